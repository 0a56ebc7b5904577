package client_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
)

// RFC 9810 section 4.4.2.2, with certificates of the standard library.
func TestVerifyNewRoot(t *testing.T) {
	oldKey, newKey, other := ecKey(t), ecKey(t), ecKey(t)
	old := issue(t, nil, "Root", oldKey, asCA)
	next := issue(t, nil, "Root", newKey, asCA)
	stranger := issue(t, nil, "Root", other, asCA)
	link := func(by *holder, name string, k crypto.Signer, change func(*x509.Certificate)) []byte {
		return issue(t, by, name, k, func(c *x509.Certificate) {
			asCA(c)
			if change != nil {
				change(c)
			}
		}).der()
	}
	good := cmp.CAKeyUpdAnn{NewWithNew: next.der(), NewWithOld: link(old, "Root", newKey, nil), OldWithNew: link(next, "Root", oldKey, nil)}
	partner := issue(t, nil, "Partner", other, asCA)
	past := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }
	future := func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }
	anchors := [][]byte{partner.der(), old.der()}
	for name, c := range map[string]struct {
		change  func(u *cmp.CAKeyUpdAnn)
		anchors [][]byte
		want    error
	}{
		"good":                              {nil, anchors, nil},
		"without the way back":              {func(u *cmp.CAKeyUpdAnn) { u.OldWithNew = nil }, anchors, nil},
		"without a link":                    {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = nil }, anchors, client.ErrNoVoucher},
		"no anchors":                        {nil, nil, client.ErrNoVoucher},
		"another root of the name":          {nil, [][]byte{stranger.der()}, client.ErrNoVoucher},
		"a link made by the new key itself": {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = link(next, "Root", newKey, nil) }, anchors, client.ErrNoVoucher},
		"a link by a stranger":              {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = link(stranger, "Root", newKey, nil) }, anchors, client.ErrNoVoucher},
		"a link of another key":             {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = link(old, "Root", other, nil) }, anchors, client.ErrNewRoot},
		"a link that has ended":             {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = link(old, "Root", newKey, past) }, anchors, client.ErrNoVoucher},
		"a link that is not valid yet":      {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = link(old, "Root", newKey, future) }, anchors, client.ErrNoVoucher},
		"a CA below puts itself above": {func(u *cmp.CAKeyUpdAnn) {
			*u = cmp.CAKeyUpdAnn{NewWithNew: partner.der(), NewWithOld: link(old, "Partner", other, nil)}
		}, [][]byte{old.der()}, client.ErrNoVoucher},
		"new is not signed by itself": {func(u *cmp.CAKeyUpdAnn) { u.NewWithNew = link(old, "Root", newKey, nil) }, anchors, client.ErrNewRoot},
		"new is no CA":                {func(u *cmp.CAKeyUpdAnn) { u.NewWithNew = issue(t, nil, "Root", newKey, nil).der() }, anchors, client.ErrNewRoot},
		"new has ended": {func(u *cmp.CAKeyUpdAnn) {
			u.NewWithNew = issue(t, nil, "Root", newKey, func(c *x509.Certificate) { asCA(c); past(c) }).der()
		}, anchors, client.ErrNoVoucher},
		"new is no certificate":       {func(u *cmp.CAKeyUpdAnn) { u.NewWithNew = []byte{0x30, 0} }, anchors, client.ErrNewRoot},
		"the link is no certificate":  {func(u *cmp.CAKeyUpdAnn) { u.NewWithOld = []byte{0x30, 0} }, anchors, client.ErrNewRoot},
		"the way back is by another":  {func(u *cmp.CAKeyUpdAnn) { u.OldWithNew = link(stranger, "Root", oldKey, nil) }, anchors, client.ErrNewRoot},
		"the way back is for another": {func(u *cmp.CAKeyUpdAnn) { u.OldWithNew = link(next, "Root", other, nil) }, anchors, client.ErrNewRoot},
		"the old root has ended":      {nil, [][]byte{issue(t, nil, "Root", oldKey, func(c *x509.Certificate) { asCA(c); past(c) }).der()}, client.ErrNoVoucher},
		"the anchor is no root":       {func(u *cmp.CAKeyUpdAnn) { u.OldWithNew = nil }, [][]byte{link(stranger, "Root", oldKey, nil)}, client.ErrNoVoucher},
	} {
		t.Run(name, func(t *testing.T) {
			u := good
			if c.change != nil {
				c.change(&u)
			}
			by, err := client.VerifyNewRoot(u, c.anchors, now)
			if !errors.Is(err, c.want) || c.want == nil && !bytes.Equal(by, old.der()) {
				t.Errorf("by %x, %v, want %v", by, err, c.want)
			}
		})
	}
	if by, err := client.VerifyNewRoot(good, [][]byte{old.der(), next.der()}, now); err != nil || !bytes.Equal(by, next.der()) {
		t.Errorf("an anchor already: %v", err)
	}
}
