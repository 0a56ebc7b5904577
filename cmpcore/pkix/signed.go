package pkix

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignatureAlgorithm is the outer one of a certificate or a CRL (RFC 5280
// sections 4.1.1.2 and 5.1.1.2). Nothing else of it is read.
func SignatureAlgorithm(der []byte) (a AlgorithmIdentifier, ok bool) {
	in, seq := cryptobyte.String(der), cryptobyte.String(nil)
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.SEQUENCE) {
		return a, false
	}
	return ReadAlgorithm(&seq)
}
