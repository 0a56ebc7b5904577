package issuance

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// CRLEntry is one revoked certificate.
type CRLEntry struct {
	Serial         []byte // contents octets of the INTEGER
	RevokedAt      time.Time
	Reason         int       // CRLReason of RFC 5280 section 5.3.1; 0, unspecified, is left out
	InvalidityDate time.Time // when the key is thought to have been lost; zero: left out
}

// maxCRL bounds a CRL to what DER lengths of four octets can say and readers
// can hold.
const maxCRL = 1<<31 - 1<<20

// The CRL entry extensions without what differs: SEQUENCE, identifier, OCTET
// STRING header, type and length of the value.
var (
	reasonPrefix     = []byte{0x30, 0x0a, 0x06, 0x03, 0x55, 0x1d, 0x15, 0x04, 0x03, 0x0a, 0x01}
	invalidityPrefix = []byte{0x30, 0x18, 0x06, 0x03, 0x55, 0x1d, 0x18, 0x04, 0x11} // then a GeneralizedTime
)

// SignCRL makes a full version 2 CRL for all certificates of the CA (RFC 5280
// section 5). The entries are read once, in their order; each must be there
// once. An error from them is returned wrapped. certificateHold is a reason as
// any other; removeFromCRL is for delta CRLs and refused.
//
// Time and memory grow linearly with the entries: about 40 octets each.
func (is *Issuer) SignCRL(rand io.Reader, number int64, thisUpdate, nextUpdate time.Time, entries iter.Seq2[CRLEntry, error]) ([]byte, error) {
	if number < 0 {
		return nil, fmt.Errorf("sign CRL: number %d is negative", number)
	}
	thisUpdate, nextUpdate = thisUpdate.UTC().Truncate(time.Second), nextUpdate.UTC().Truncate(time.Second)
	if !nextUpdate.After(thisUpdate) {
		return nil, fmt.Errorf("sign CRL %d: next update %s is not after this update %s", number,
			nextUpdate.Format(time.RFC3339), thisUpdate.Format(time.RFC3339))
	}
	if !representable(thisUpdate) || !representable(nextUpdate) {
		return nil, fmt.Errorf("sign CRL %d: a date is not between 1950 and 9999", number)
	}
	var head []byte // of TBSCertList, up to revokedCertificates
	head = append(head, 2, 1, 1)
	head = append(head, is.sigAlgDER...)
	head = append(head, is.subject...)
	head = appendTime(appendTime(head, thisUpdate), nextUpdate)

	// Entries first, with room in front for all that comes before them.
	room := len(head) + 3*maxHeader
	b := make([]byte, room, room+4096)
	if entries != nil {
		n := 0
		for e, err := range entries {
			if n++; err != nil {
				return nil, fmt.Errorf("sign CRL %d: read entry %d: %w", number, n, err)
			}
			if b, err = appendCRLEntry(b, e); err != nil {
				return nil, fmt.Errorf("sign CRL %d: entry %d, serial %x: %w", number, n, e.Serial[:min(len(e.Serial), 20)], err)
			}
			if len(b) > maxCRL {
				return nil, fmt.Errorf("sign CRL %d: more than %d octets after %d entries", number, maxCRL, n)
			}
		}
	}
	start := room
	if len(b) > room { // an empty list must be absent (section 5.1.2.6)
		start = putBefore(b, room, asn1.SEQUENCE)
	}
	start -= len(head)
	copy(b[start:], head)
	exts, err := is.crlExtensions(number)
	if err != nil {
		return nil, fmt.Errorf("sign CRL %d: %w", number, err)
	}
	b = append(b, exts...)
	tbs := putBefore(b, start, asn1.SEQUENCE)
	sig, err := alg.Sign(rand, is.signer, is.sigAlg, b[tbs:])
	if err != nil {
		return nil, fmt.Errorf("sign CRL %d: %w", number, err)
	}
	b, start = appendSignature(b, tbs, is.sigAlgDER, sig)
	return b[start:len(b):len(b)], nil
}

func (is *Issuer) crlExtensions(number int64) ([]byte, error) {
	n, err := pkix.CRLNumberExtension(big.NewInt(number))
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(tag0c, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(is.akiDER)
			n.Add(b)
		})
	})
	return b.Bytes()
}

func appendCRLEntry(b []byte, e CRLEntry) ([]byte, error) {
	if err := checkSerial(e.Serial); err != nil {
		return b, err
	}
	switch r := pkix.CRLReason(e.Reason); {
	case r == pkix.ReasonRemoveFromCRL:
		return b, errors.New("removeFromCRL has no place in a full CRL")
	case r.String() == "unknown":
		return b, fmt.Errorf("reason %d is none of RFC 5280", e.Reason)
	}
	if !representable(e.RevokedAt) || !e.InvalidityDate.IsZero() && !representable(e.InvalidityDate) {
		return b, errors.New("a date is missing or not between 1950 and 9999")
	}
	var body [128]byte // 22 + 17 + 2 + 12 + 26 at most
	c := append(appendHeader(body[:0], asn1.INTEGER, len(e.Serial)), e.Serial...)
	c = appendTime(c, e.RevokedAt)
	var exts [64]byte
	x := exts[:0]
	if e.Reason != 0 {
		x = append(append(x, reasonPrefix...), byte(e.Reason))
	}
	if !e.InvalidityDate.IsZero() {
		x = appendGeneralizedTime(append(x, invalidityPrefix...), e.InvalidityDate)
	}
	if len(x) > 0 {
		c = append(appendHeader(c, asn1.SEQUENCE, len(x)), x...)
	}
	return append(appendHeader(b, asn1.SEQUENCE, len(c)), c...), nil
}

// representable tells whether a certificate or CRL can say the date.
func representable(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 1950 && y <= 9999
}
