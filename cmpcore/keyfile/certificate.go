package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"

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
	return sequence{
		what: "certificate",
		pem: func(b *pem.Block) (bool, error) {
			switch b.Type {
			case typeCertificate, "X509 CERTIFICATE":
				if !isCertificate(b.Bytes) {
					return false, errors.New("the PEM block does not hold the DER of a certificate")
				}
				return true, nil
			case "TRUSTED CERTIFICATE":
				return false, errors.New(`convert the trusted certificate of OpenSSL with "openssl x509"`)
			}
			return false, nil
		},
		der:  isCertificate,
		bad:  "not the DER of a certificate",
		none: "no certificate found: PEM or DER is needed",
	}.parse(data)
}

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
