package client

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// What can be said of a new root that a CA tells of.
var (
	// ErrNewRoot is of certificates that are no change of a root's key.
	ErrNewRoot = errors.New("this is no change of a root's key")
	// ErrNoVoucher is of a new root for which no root that is trusted vouches:
	// there is no link, or it is signed by another root, or is not valid now.
	ErrNoVoucher = errors.New("no root that is trusted vouches for the new one")
)

// VerifyNewRoot checks a change of a root's key (RFC 9810 section 4.4.2.2): the
// new root is one and valid, and its link is signed by the root of the same name
// among anchors, which is returned. It is the new one itself where that is an
// anchor already.
func VerifyNewRoot(u cmp.CAKeyUpdAnn, anchors [][]byte, now time.Time) (old []byte, err error) {
	next, err := rootOf("new with new", u.NewWithNew)
	if err != nil {
		return nil, err
	}
	if !certpath.IsIssuer(next, next, nil) {
		return nil, fmt.Errorf("%w: new with new is not a CA's, signed by itself", ErrNewRoot)
	}
	for _, der := range anchors {
		if bytes.Equal(der, next.Raw) {
			return der, nil
		}
	}
	var link, back *x509.Certificate
	if u.NewWithOld != nil {
		if link, err = rootOf("new with old", u.NewWithOld); err != nil {
			return nil, err
		}
		if !sameHolder(link, next) {
			return nil, fmt.Errorf("%w: new with old is not for the name and key of the new root", ErrNewRoot)
		}
	}
	if u.OldWithNew != nil {
		if back, err = rootOf("old with new", u.OldWithNew); err != nil {
			return nil, err
		}
		if !certpath.IsIssuer(back, next, nil) {
			return nil, fmt.Errorf("%w: old with new is not signed by the new root", ErrNewRoot)
		}
	}
	switch {
	case link == nil:
		return nil, fmt.Errorf("%w: there is no link from the old root", ErrNoVoucher)
	case !pkix.Name(link.RawIssuer).Matches(pkix.Name(link.RawSubject)):
		// A root keeps its name. Else every CA below it, whose certificate is such
		// a link, could put its own root in the place of the one above.
		return nil, fmt.Errorf("%w: the link names another issuer, as the certificate of a CA below does", ErrNoVoucher)
	case !validAt(next, now) || !validAt(link, now):
		return nil, fmt.Errorf("%w: it or its link is not valid now", ErrNoVoucher)
	}
	for _, der := range anchors {
		a, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: trust anchor: %w", ErrCredentials, err)
		}
		if !validAt(a, now) || !certpath.IsIssuer(link, a, nil) || !certpath.IsIssuer(a, a, nil) {
			continue
		}
		if back != nil && !sameHolder(back, a) {
			return nil, fmt.Errorf("%w: old with new is not for the old root", ErrNewRoot)
		}
		return der, nil
	}
	return nil, fmt.Errorf("%w: the link to %.200q is signed by another root", ErrNoVoucher, pkix.Name(next.RawSubject).String())
}

func rootOf(what string, der []byte) (*x509.Certificate, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrNewRoot, what, err)
	}
	return c, nil
}

func sameHolder(a, b *x509.Certificate) bool {
	return pkix.Name(a.RawSubject).Matches(pkix.Name(b.RawSubject)) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

func validAt(c *x509.Certificate, t time.Time) bool {
	return !t.Before(c.NotBefore) && !t.After(c.NotAfter)
}
