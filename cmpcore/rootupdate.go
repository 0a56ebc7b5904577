package cmpcore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
)

// RootUpdate is one change of a root's key (RFC 9810 section 4.4). Old and New
// are the self-signed certificates before and after it; the links are
// certificates of the same name under the other's key, and may be missing.
type RootUpdate struct {
	Old, New   []byte
	NewWithOld []byte // the new key, signed by the old: for those who have the old root
	OldWithNew []byte // the old key, signed by the new: for those who have the new root
}

func (u *RootUpdate) check() error {
	parse := func(what string, der []byte) (*x509.Certificate, error) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		return c, nil
	}
	old, err := parse("old", u.Old)
	if err != nil {
		return err
	}
	next, err := parse("new", u.New)
	if err != nil {
		return err
	}
	if bytes.Equal(old.RawSubjectPublicKeyInfo, next.RawSubjectPublicKeyInfo) {
		return errors.New("old and new have the same key")
	}
	for _, c := range []struct {
		what           string
		der            []byte
		subject, issue *x509.Certificate
	}{
		{"old", u.Old, old, old}, {"new", u.New, next, next},
		{"new_with_old", u.NewWithOld, next, old}, {"old_with_new", u.OldWithNew, old, next},
	} {
		if c.der == nil {
			continue
		}
		link, err := parse(c.what, c.der)
		if err != nil {
			return err
		}
		switch {
		case !bytes.Equal(link.RawSubject, c.subject.RawSubject) || !bytes.Equal(link.RawSubjectPublicKeyInfo, c.subject.RawSubjectPublicKeyInfo):
			return fmt.Errorf("%s is not for the name and the key that it must be for", c.what)
		case !certpath.IsIssuer(link, c.issue, nil):
			return fmt.Errorf("%s is not signed by the key that must sign it", c.what)
		}
	}
	return nil
}

// isRoot tells whether a certificate is one of the self-signed ones of the CA's
// chain.
func (e *Engine) isRoot(der []byte) bool { return contains(e.roots, der) }

// links are the certificates that lead those who trust the root before or
// after ours to what our chain ends in.
func (e *Engine) links() (out [][]byte) {
	for _, u := range e.cfg.Authority.RootUpdates {
		ours, next := e.isRoot(u.New), e.isRoot(u.Old)
		if ours && u.NewWithOld != nil {
			out = append(out, u.NewWithOld)
		}
		if (ours || next) && u.OldWithNew != nil {
			out = append(out, u.OldWithNew)
		}
	}
	return out
}

// updateOf finds what came after a root, one step at a time. Without a root,
// it is the change that is coming, or else the last one.
func (e *Engine) updateOf(root []byte) *RootUpdate {
	var last *RootUpdate
	for i := range e.cfg.Authority.RootUpdates {
		u := &e.cfg.Authority.RootUpdates[i]
		switch {
		case root != nil && bytes.Equal(u.Old, root):
			return u
		case root == nil && e.isRoot(u.Old):
			return u
		case root == nil && e.isRoot(u.New):
			last = u
		}
	}
	return last
}

func (u *RootUpdate) announcement() cmp.CAKeyUpdAnn {
	return cmp.CAKeyUpdAnn{RootForm: true, NewWithNew: u.New, NewWithOld: u.NewWithOld, OldWithNew: u.OldWithNew}
}

// rootUpdate answers rootCaCert by rootCaKeyUpdate, without a value where no
// newer root is known (RFC 9483 section 4.3.2).
func (x *exchange) rootUpdate(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	var root []byte
	if q.Value != nil {
		if root, err = q.RootCACert(); err != nil {
			return a, false, refuse(cmp.BadDataFormat, "rootCaCert could not be read").because("%v", err)
		}
	}
	u := x.updateOf(root)
	if u == nil {
		return cmp.InfoTypeAndValue{Type: cmp.OIDRootCAKeyUpdate}, true, nil
	}
	return served(cmp.NewRootCAKeyUpdate(u.announcement()))
}

// keyUpdateInfo answers caKeyUpdateInfo of RFC 4210, whose form has all three
// certificates.
func (x *exchange) keyUpdateInfo() (a cmp.InfoTypeAndValue, ok bool, err error) {
	u := x.updateOf(nil)
	if u == nil || u.NewWithOld == nil || u.OldWithNew == nil {
		return cmp.InfoTypeAndValue{Type: cmp.OIDCAKeyUpdateInfo}, true, nil
	}
	return served(cmp.NewCAKeyUpdateInfo(u.announcement()))
}
