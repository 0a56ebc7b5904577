package certpath

import (
	"bytes"
	"crypto/x509"
	"fmt"

	"cmp-batch/cmpcore/pkix"
)

// CRL is a list of revoked certificates, read once.
type CRL struct {
	list    *x509.RevocationList
	revoked map[string]bool
	partial bool // its scope is narrowed by an extension that is not read here
}

// ParseCRL reads a CRL. Its signature is checked where it is used.
func ParseCRL(der []byte) (*CRL, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	c := &CRL{list: l, revoked: make(map[string]bool, len(l.RevokedCertificateEntries))}
	for i := range l.RevokedCertificateEntries {
		e := &l.RevokedCertificateEntries[i]
		for _, x := range e.Extensions {
			// certificateIssuer of an indirect CRL changes whose serial it is.
			c.partial = c.partial || x.Critical
		}
		c.revoked[string(e.SerialNumber.Bytes())] = true
	}
	for _, x := range l.Extensions {
		c.partial = c.partial || x.Critical
	}
	return c, nil
}

// revocation looks at all certificates below the anchor.
func (s *search) revocation(path []*x509.Certificate) error {
	for i, c := range path[:len(path)-1] {
		known, err := s.status(c, path[i+1])
		switch {
		case err != nil:
			return err
		case !known && s.NeedCRL:
			return fmt.Errorf("%w: %.100q", ErrCRL, c.Subject.String())
		}
	}
	return nil
}

// status tells whether a fresh CRL of the issuer covers the certificate. A CRL
// whose scope is not understood may revoke, but does not acquit.
func (s *search) status(c, issuer *x509.Certificate) (known bool, err error) {
	for _, l := range s.CRLs {
		switch {
		case !bytes.Equal(l.list.RawIssuer, issuer.RawSubject),
			issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0,
			l.partial && !l.revoked[string(c.SerialNumber.Bytes())]:
			continue
		}
		if s.checks++; s.checks > maxChecks {
			return false, ErrWork
		}
		if verify(l.list.Raw, l.list.RawTBSRevocationList, l.list.Signature, issuer, s.Signatures) != nil {
			continue
		}
		if l.revoked[string(c.SerialNumber.Bytes())] && !s.Time.Before(l.list.ThisUpdate) {
			return true, fmt.Errorf("%w: %.100q, serial %x", ErrRevoked, pkix.Name(c.RawSubject).String(), c.SerialNumber)
		}
		fresh := !s.Time.Before(l.list.ThisUpdate) && (l.list.NextUpdate.IsZero() || !s.Time.After(l.list.NextUpdate))
		known = known || fresh && !l.partial
	}
	return known, nil
}
