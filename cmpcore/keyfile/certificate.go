package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// MaxCertificates bounds what one file may hold.
const MaxCertificates = 10_000

// ParseCertificates gives the DER of the certificates in data, in order: PEM
// blocks, or DER one after another. Other PEM blocks, such as keys, are passed
// over. It is an error if there is none, or if any is damaged.
func ParseCertificates(data []byte) ([][]byte, error) {
	var certs [][]byte
	if len(data) > 0 && data[0] == 0x30 {
		in := cryptobyte.String(data)
		for !in.Empty() {
			var c cryptobyte.String
			if !in.ReadASN1Element(&c, asn1.SEQUENCE) || !isCertificate(c) {
				return nil, fmt.Errorf("certificate %d: not the DER of a certificate", len(certs)+1)
			}
			if certs = append(certs, c); len(certs) > MaxCertificates {
				return nil, errTooMany
			}
		}
		return certs, nil
	}
	for {
		b, rest := pem.Decode(data)
		if b == nil {
			break
		}
		// The decoder passes over blocks that it cannot read; here a chain with
		// a hole is an error.
		if taken := data[:len(data)-len(rest)]; bytes.Count(taken, []byte("-----BEGIN")) > 1 {
			return nil, fmt.Errorf("certificate %d: damaged PEM", len(certs)+1)
		}
		data = rest
		switch b.Type {
		case typeCertificate, "X509 CERTIFICATE":
			if !isCertificate(b.Bytes) {
				return nil, fmt.Errorf("certificate %d: the PEM block does not hold the DER of a certificate", len(certs)+1)
			}
			if certs = append(certs, b.Bytes); len(certs) > MaxCertificates {
				return nil, errTooMany
			}
		case "TRUSTED CERTIFICATE":
			return nil, fmt.Errorf(`certificate %d: convert the trusted certificate of OpenSSL with "openssl x509"`, len(certs)+1)
		}
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, fmt.Errorf("certificate %d: damaged PEM", len(certs)+1)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate found: PEM or DER is needed")
	}
	return certs, nil
}

var errTooMany = fmt.Errorf("more than %d certificates or CRLs", MaxCertificates)

// MarshalCertificates gives certificates as PEM, in order.
func MarshalCertificates(certs ...[]byte) []byte {
	var out bytes.Buffer
	for _, c := range certs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: typeCertificate, Bytes: c}))
	}
	return out.Bytes()
}

// isCertificate looks at the outermost shape of RFC 5280 section 4.1 alone.
func isCertificate(der []byte) bool {
	in := cryptobyte.String(der)
	var seq, tbs cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&tbs, asn1.SEQUENCE) {
		return false
	}
	if _, ok := pkix.ReadAlgorithm(&seq); !ok {
		return false
	}
	var sig []byte
	return seq.ReadASN1BitStringAsBytes(&sig) && seq.Empty()
}
