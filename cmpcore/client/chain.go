package client

import (
	"bytes"
	"crypto/x509"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxPath bounds a chain; real ones have three or four certificates.
const maxPath = 10

// certPool holds the certificates of an answer by subject.
type certPool map[string][]*x509.Certificate

func newPool(ders [][]byte) certPool {
	p := certPool{}
	for i, der := range ders {
		if i == maxPool {
			break
		}
		if c, err := x509.ParseCertificate(der); err == nil {
			p[string(c.RawSubject)] = append(p[string(c.RawSubject)], c)
		}
	}
	return p
}

// path sorts what leads up from a certificate. Every link is a signature that
// verifies.
func (p certPool) path(der []byte) (chain [][]byte, complete bool) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, false
	}
	for range maxPath {
		if bytes.Equal(c.RawSubject, c.RawIssuer) && signedBy(c, c) {
			return chain, true
		}
		up := p.issuer(c)
		if up == nil {
			return chain, false
		}
		chain = append(chain, up.Raw)
		c = up
	}
	return chain, false
}

// maxTries bounds the signature checks for one link.
const maxTries = 4

func (p certPool) issuer(c *x509.Certificate) *x509.Certificate {
	tries := 0
	for _, up := range p[string(c.RawIssuer)] {
		if c.AuthorityKeyId != nil && up.SubjectKeyId != nil && !bytes.Equal(c.AuthorityKeyId, up.SubjectKeyId) {
			continue
		}
		if tries++; tries > maxTries {
			return nil
		}
		if signedBy(c, up) {
			return up
		}
	}
	return nil
}

// signedBy checks one signature, with every algorithm of package alg.
func signedBy(c, issuer *x509.Certificate) bool {
	a, ok := signatureAlgorithm(c.Raw)
	if !ok {
		return false
	}
	pub, err := alg.ParsePublicKey(issuer.RawSubjectPublicKeyInfo)
	return err == nil && alg.Verify(a, pub, c.RawTBSCertificate, c.Signature, nil) == nil
}

// signatureAlgorithm is that of a certificate (RFC 5280 section 4.1.1.2).
func signatureAlgorithm(der []byte) (a pkix.AlgorithmIdentifier, ok bool) {
	s := cryptobyte.String(der)
	var cert cryptobyte.String
	if !s.ReadASN1(&cert, asn1.SEQUENCE) || !cert.SkipASN1(asn1.SEQUENCE) {
		return a, false
	}
	return pkix.ReadAlgorithm(&cert)
}
