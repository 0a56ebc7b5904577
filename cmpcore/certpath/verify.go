package certpath

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore/alg"
)

// What keeps a certificate from being trusted. Errors of [Verify] wrap one.
var (
	ErrNoPath    = errors.New("no path to a trust anchor")
	ErrValidity  = errors.New("certificate is not valid at this time")
	ErrNotCA     = errors.New("certificate may not issue certificates")
	ErrPathLen   = errors.New("path is longer than a certificate allows")
	ErrSignature = errors.New("signature of the certificate does not verify")
	ErrExtension = errors.New("critical extension is not understood")
	ErrNames     = errors.New("name is outside the name constraints")
	ErrRevoked   = errors.New("certificate is revoked")
	ErrCRL       = errors.New("no fresh CRL says whether the certificate is revoked")
	ErrWork      = errors.New("too many signatures to check")
)

// Options are what [Verify] judges by.
type Options struct {
	// Anchors are trusted themselves: their signature is not checked, all else
	// is.
	Anchors []*x509.Certificate
	// Others may lie between. They may come from a stranger.
	Others []*x509.Certificate
	// Time is when the path must be valid; zero is refused.
	Time time.Time
	// Signatures is the policy for the signatures of certificates and CRLs.
	Signatures *alg.SignaturePolicy
	// CRLs are looked at where they are of an issuer of the path. One that is
	// too old still revokes what it lists.
	CRLs []*CRL
	// NeedCRL refuses certificates below an anchor for which no fresh CRL is
	// given ([ErrCRL]).
	NeedCRL bool
	// Revocation, where set, says what is known below an anchor, in place of
	// CRLs and NeedCRL.
	Revocation func(anchor *x509.Certificate) Revocation
}

// Limits on the work for one certificate.
const (
	maxDepth  = 10 // certificates of a path
	maxChecks = 32 // signatures
)

// Verify gives the path from the certificate to an anchor, both included. The
// error is of the way that came nearest to one.
func Verify(cert *x509.Certificate, o Options) ([]*x509.Certificate, error) {
	if o.Time.IsZero() {
		return nil, errors.New("no time is given to verify a certificate at")
	}
	s := &search{Options: &o}
	chain, err := s.from([]*x509.Certificate{cert})
	if err != nil {
		return nil, fmt.Errorf("%.200q: %w", cert.Subject.String(), err)
	}
	return chain, nil
}

type search struct {
	*Options
	checks int
}

// from completes a path whose certificates but the last are all right in
// relation to each other.
func (s *search) from(path []*x509.Certificate) ([]*x509.Certificate, error) {
	last := path[len(path)-1]
	if err := s.alone(last); err != nil {
		return nil, err
	}
	for _, a := range s.Anchors {
		if a.Equal(last) {
			return path, s.whole(path)
		}
	}
	err := ErrNoPath
	if len(path) == maxDepth {
		return nil, err
	}
	for _, pool := range [][]*x509.Certificate{s.Anchors, s.Others} {
		// Those whose key identifier fits come first; it is a hint alone.
		for _, fits := range []bool{true, false} {
			for _, up := range pool {
				if !bytes.Equal(up.RawSubject, last.RawIssuer) || keyIDFits(last, up) != fits || contains(path, up) {
					continue
				}
				chain, e := s.step(path, up)
				if e == nil {
					return chain, nil
				}
				if errors.Is(e, ErrWork) {
					return nil, e
				}
				if !errors.Is(err, ErrRevoked) { // that says most
					err = e
				}
			}
		}
	}
	return nil, err
}

// step goes up to one issuer.
func (s *search) step(path []*x509.Certificate, up *x509.Certificate) ([]*x509.Certificate, error) {
	last := path[len(path)-1]
	if err := mayIssue(up, path); err != nil {
		return nil, err
	}
	if s.checks++; s.checks > maxChecks {
		return nil, ErrWork
	}
	if err := SignedBy(last, up, s.Signatures); err != nil {
		return nil, err
	}
	longer := append(path[:len(path):len(path)], up)
	return s.from(longer)
}

// alone checks what a certificate says of itself.
func (s *search) alone(c *x509.Certificate) error {
	if s.Time.Before(c.NotBefore) || s.Time.After(c.NotAfter) {
		return fmt.Errorf("%w: %.100q is valid from %s to %s", ErrValidity, c.Subject.String(), c.NotBefore.Format(time.DateTime), c.NotAfter.Format(time.DateTime))
	}
	if len(c.UnhandledCriticalExtensions) > 0 {
		return fmt.Errorf("%w: %.100q has %v", ErrExtension, c.Subject.String(), c.UnhandledCriticalExtensions[0])
	}
	return nil
}

// mayIssue tells whether a certificate can stand above those of the path (RFC
// 5280 section 6.1.4 k to n). Before version 3 no certificate could say that it
// is of a CA; such ones are good as anchors alone, which have no one above.
func mayIssue(c *x509.Certificate, below []*x509.Certificate) error {
	if c.Version >= 3 && (!c.BasicConstraintsValid || !c.IsCA) {
		return fmt.Errorf("%w: %.100q is not of a CA", ErrNotCA, c.Subject.String())
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
		return fmt.Errorf("%w: the key usage of %.100q lacks keyCertSign", ErrNotCA, c.Subject.String())
	}
	if c.BasicConstraintsValid && (c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero) {
		between := 0
		for _, b := range below[1:] {
			if !bytes.Equal(b.RawSubject, b.RawIssuer) {
				between++
			}
		}
		if between > c.MaxPathLen {
			return fmt.Errorf("%w: %.100q allows %d between", ErrPathLen, c.Subject.String(), c.MaxPathLen)
		}
	}
	return nil
}

// whole checks what only a complete path can tell.
func (s *search) whole(path []*x509.Certificate) error {
	for i, c := range path[1:] {
		if c.Version < 3 && i+2 < len(path) {
			return fmt.Errorf("%w: %.100q is of version %d", ErrNotCA, c.Subject.String(), c.Version)
		}
		if err := checkNames(c, path[:i+1]); err != nil {
			return err
		}
	}
	return s.revocation(path)
}

func keyIDFits(c, up *x509.Certificate) bool {
	return len(c.AuthorityKeyId) == 0 || len(up.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, up.SubjectKeyId)
}

// contains keeps a path from going through one CA twice: the same name with the
// same key is the same CA, whatever else the certificate says.
func contains(path []*x509.Certificate, c *x509.Certificate) bool {
	for _, p := range path {
		if bytes.Equal(p.RawSubject, c.RawSubject) && bytes.Equal(p.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo) {
			return true
		}
	}
	return false
}
