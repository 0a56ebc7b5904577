package client

import (
	"bytes"
	"crypto/x509"

	"cmp-batch/cmpcore/certpath"
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
		if bytes.Equal(c.RawSubject, c.RawIssuer) && certpath.SignedBy(c, c, nil) == nil {
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
		if certpath.SignedBy(c, up, nil) == nil {
			return up
		}
	}
	return nil
}
