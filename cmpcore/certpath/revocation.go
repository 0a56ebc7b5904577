package certpath

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"cmp-batch/cmpcore/pkix"
)

// Revocation is what is known of revocation below one anchor.
type Revocation struct {
	// CRLs are looked at where they are of an issuer of the path. One that is
	// too old still revokes what it lists.
	CRLs []*CRL
	// Need refuses certificates of which nothing fresh is known ([ErrCRL]).
	Need bool
	// Signers may have signed a CRL of their name besides the issuer of a
	// certificate: a root with a new key goes on with the list of the old one
	// (RFC 5280 section 6.3.3 f).
	Signers []*x509.Certificate
	// Status, where set, is asked before the CRLs. Errors end the path; for a
	// revoked certificate they wrap [ErrRevoked].
	Status func(c *x509.Certificate) (known bool, err error)
}

// revocation looks at all certificates below the anchor.
func (s *search) revocation(path []*x509.Certificate) error {
	r := Revocation{CRLs: s.CRLs, Need: s.NeedCRL, Signers: s.Anchors}
	if s.Revocation != nil {
		r = s.Revocation(path[len(path)-1])
	}
	for i, c := range path[:len(path)-1] {
		known, err := s.status(&r, c, path[i+1])
		switch {
		case err != nil:
			return err
		case !known && r.Need:
			return fmt.Errorf("%w: %.100q", ErrCRL, c.Subject.String())
		}
	}
	return nil
}

// status tells whether it is known that a certificate is not revoked. A CRL
// whose scope is another or not understood may revoke, but does not acquit.
func (s *search) status(r *Revocation, c, issuer *x509.Certificate) (known bool, err error) {
	if r.Status != nil {
		if known, err = r.Status(c); known || err != nil {
			return known, err
		}
	}
	serial := c.SerialNumber.Bytes()
	var held, free time.Time // when the newest that says so was made
	for _, l := range r.CRLs {
		hold, listed := l.revoked[string(serial)]
		acquits := !listed && l.covers(c) && l.Fresh(s.Time)
		if !listed && !acquits || s.Time.Before(l.list.ThisUpdate) || !s.signed(l, issuer, r.Signers) {
			continue
		}
		switch at := l.list.ThisUpdate; {
		case listed && !hold:
			return true, revoked(c)
		case listed && at.After(held):
			held = at
		case acquits && at.After(free):
			free = at
		}
	}
	if !held.IsZero() && !free.After(held) {
		return true, revoked(c)
	}
	return !free.IsZero(), nil
}

func revoked(c *x509.Certificate) error {
	return fmt.Errorf("%w: %.100q, serial %x", ErrRevoked, pkix.Name(c.RawSubject).String(), c.SerialNumber)
}

// signed tells whether a CRL is by the issuer, or by another key of its name.
// CRLs come from whoever trusts, and not from the stranger, so that they do not
// count as work that he makes.
func (s *search) signed(l *CRL, issuer *x509.Certificate, more []*x509.Certificate) bool {
	by := func(c *x509.Certificate) bool {
		return bytes.Equal(l.list.RawIssuer, issuer.RawSubject) && bytes.Equal(c.RawSubject, issuer.RawSubject) &&
			(c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCRLSign != 0) && l.signedBy(c, s.Signatures)
	}
	return by(issuer) || slices.ContainsFunc(more, by)
}
