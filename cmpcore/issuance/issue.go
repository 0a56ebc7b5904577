package issuance

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Errors of [Issuer.Issue] that are mistakes of the caller.
var (
	ErrUsed        = errors.New("the prepared certificate was issued already")
	ErrOtherIssuer = errors.New("the prepared certificate is for another CA")
)

// SerialSize is the size of the serial numbers of [NewSerial].
const SerialSize = 16

// NewSerial draws a serial number: the contents octets of a positive INTEGER
// with 126 random bits, always 16 octets (RFC 5280 section 4.1.2.2).
func NewSerial(rand io.Reader) ([]byte, error) {
	s := make([]byte, SerialSize)
	if _, err := io.ReadFull(rand, s); err != nil {
		return nil, fmt.Errorf("draw a serial number: %w", err)
	}
	// The first bit off keeps it positive, the second on keeps its size.
	s[0] = s[0]&0x3f | 0x40
	return s, nil
}

// checkSerial wants the contents octets of a positive INTEGER in DER, at most
// 20 of them.
func checkSerial(s []byte) error {
	switch {
	case len(s) == 0 || len(s) > 20:
		return fmt.Errorf("serial number: it has %d octets, RFC 5280 wants 1 to 20", len(s))
	case s[0]&0x80 != 0:
		return errors.New("serial number: it is negative")
	case s[0] == 0 && (len(s) == 1 || s[1]&0x80 == 0):
		return errors.New("serial number: it is zero or begins with an octet too many")
	}
	return nil
}

// Issue signs a prepared certificate and gives its DER. serial is the contents
// octets of its INTEGER, as [NewSerial] makes it; that it is unique is the
// caller's to keep. A Prepared is spent even where signing fails: prepare
// again.
//
// The first certificate of each profile passes [Check]. The signature is not
// verified again.
func (is *Issuer) Issue(rand io.Reader, p *Prepared, serial []byte) ([]byte, error) {
	if p == nil || p.issuer != is {
		return nil, ErrOtherIssuer
	}
	if err := checkSerial(serial); err != nil {
		return nil, err
	}
	if !p.used.CompareAndSwap(false, true) {
		return nil, ErrUsed
	}
	cert, err := signCertificate(rand, is.signer, is.sigAlg, is.sigAlgDER, is.sigSize, serial, p.rest)
	if err != nil {
		return nil, fmt.Errorf("issue by profile %s: %w", p.profile.name, err)
	}
	if !p.profile.checked.Load() {
		if err := Check(cert); err != nil {
			return nil, fmt.Errorf("issue by profile %s: the certificate is not what RFC 5280 wants: %w", p.profile.name, err)
		}
		p.profile.checked.Store(true)
	}
	return cert, nil
}

// signCertificate puts version and serial before rest, signs, and wraps all of
// it in one buffer: lengths are written backwards into the room in front.
func signCertificate(rand io.Reader, signer crypto.Signer, sigAlg pkix.AlgorithmIdentifier, sigAlgDER []byte, sigSize int, serial, rest []byte) ([]byte, error) {
	const room = 2 * maxHeader
	b := make([]byte, room, room+5+2+len(serial)+len(rest)+len(sigAlgDER)+maxHeader+1+sigSize)
	b = append(b, 0xa0, 3, 2, 1, 2) // v3
	b = append(appendHeader(b, asn1.INTEGER, len(serial)), serial...)
	b = append(b, rest...)
	tbs := putBefore(b, room, asn1.SEQUENCE)
	sig, err := alg.Sign(rand, signer, sigAlg, b[tbs:])
	if err != nil {
		return nil, err
	}
	b, start := appendSignature(b, tbs, sigAlgDER, sig)
	return b[start:len(b):len(b)], nil
}

// appendSignature completes what a CA signs: the algorithm and the signature
// after it, the outer header before it.
func appendSignature(b []byte, tbs int, sigAlgDER, sig []byte) ([]byte, int) {
	b = append(b, sigAlgDER...)
	b = append(appendHeader(b, asn1.BIT_STRING, len(sig)+1), 0)
	b = append(b, sig...)
	return b, putBefore(b, tbs, asn1.SEQUENCE)
}
