package cmpcore_test

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
)

// crlOf is a list of an hour around now, made by the standard library.
func (b *bed) crlOf(by *holder, revoked ...*holder) *certpath.CRL {
	b.Helper()
	return b.crlAt(by, b.now.Add(-time.Hour), b.now.Add(time.Hour), revoked...)
}

func (b *bed) crlAt(by *holder, from, to time.Time, revoked ...*holder) *certpath.CRL {
	b.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: from, NextUpdate: to}
	for _, h := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: h.cert.SerialNumber, RevocationTime: from})
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, by.cert, by.key)
	if err != nil {
		b.Fatal(err)
	}
	c, err := certpath.ParseCRL(der)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// trusting sets what is known below the partner's root.
func (b *bed) trusting(mode cmpcore.RevocationMode, crls ...*certpath.CRL) {
	b.Helper()
	b.cfg.Trust = []cmpcore.Trust{{Name: "partner", Anchors: []*x509.Certificate{b.partner.cert}, Mode: mode, CRLs: func() []*certpath.CRL { return crls }}}
	b.rebuild()
}

func TestRevokedSignersOfOtherCAsAreRefused(t *testing.T) {
	const (
		require = cmpcore.RevocationRequire
		prefer  = cmpcore.RevocationPrefer
		off     = cmpcore.RevocationOff
	)
	type list = []*certpath.CRL
	for name, c := range map[string]struct {
		crls    func(b *bed, sub, leaf *holder) list
		require cmp.PKIFailureInfo
		prefer  cmp.PKIFailureInfo
	}{
		"nothing is known":        {func(b *bed, sub, leaf *holder) list { return nil }, cmp.SignerNotTrusted, 0},
		"all is well":             {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(b.partner), b.crlOf(sub)} }, 0, 0},
		"the leaf is revoked":     {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(b.partner), b.crlOf(sub, leaf)} }, cmp.CertRevoked, cmp.CertRevoked},
		"the CA above is revoked": {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(b.partner, sub), b.crlOf(sub)} }, cmp.CertRevoked, cmp.CertRevoked},
		"none of the leaf's CA":   {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(b.partner)} }, cmp.SignerNotTrusted, 0},
		"none of the root":        {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(sub)} }, cmp.SignerNotTrusted, 0},
		"it has run out": {func(b *bed, sub, leaf *holder) list {
			return list{b.crlOf(b.partner), b.crlAt(sub, b.now.Add(-2*time.Hour), b.now.Add(-time.Second))}
		}, cmp.SignerNotTrusted, 0},
		"it has run out, and lists the leaf": {func(b *bed, sub, leaf *holder) list {
			return list{b.crlOf(b.partner), b.crlAt(sub, b.now.Add(-2*time.Hour), b.now.Add(-time.Second), leaf)}
		}, cmp.CertRevoked, cmp.CertRevoked},
		"it is not valid yet": {func(b *bed, sub, leaf *holder) list {
			return list{b.crlOf(b.partner), b.crlAt(sub, b.now.Add(time.Second), b.now.Add(time.Hour))}
		}, cmp.SignerNotTrusted, 0},
		"by another CA of the name": {func(b *bed, sub, leaf *holder) list {
			return list{b.crlOf(b.partner), b.crlOf(certify(b, nil, "Partner Sub CA", key(b, "p256 evil"), asCA), leaf)}
		}, cmp.SignerNotTrusted, 0},
		"by a CA of another name": {func(b *bed, sub, leaf *holder) list { return list{b.crlOf(b.partner), b.crlOf(b.root, leaf)} }, cmp.SignerNotTrusted, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			sub := certify(b, b.partner, "Partner Sub CA", key(b, "p256 sub"), asCA)
			leaf := certify(b, sub, "partner device", key(b, "p256 x"), nil)
			crls := c.crls(b, sub, leaf)
			for mode, want := range map[cmpcore.RevocationMode]cmp.PKIFailureInfo{require: c.require, prefer: c.prefer, off: 0} {
				b.trusting(mode, crls...)
				k := b.talk(b.signer(leaf))
				r := k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"))
				if want == 0 {
					r.cert(0)
					continue
				}
				r.stranger(want)
				if want == cmp.SignerNotTrusted && !strings.Contains(r.out.Reason, "no fresh CRL") {
					t.Errorf("the operator is not told why: %s", r.out.Reason)
				}
			}
		})
	}
}

// Whoever has not proven to be the holder is not told that the certificate is
// revoked, and does not get its record in the audit log.
func TestARevokedSignerIsToldSoWhenTheSignatureIsGood(t *testing.T) {
	b := newBed(t)
	leaf := certify(b, b.partner, "partner device", key(b, "p256 x"), nil)
	b.trusting(cmpcore.RevocationRequire, b.crlOf(b.partner, leaf))
	k := b.talk(b.signer(leaf))
	r := k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"), func(m *message) { m.by = fixed{m.by.Algorithm(), random(70)} })
	r.stranger(cmp.BadMessageCheck)
	k = b.talk(b.signer(leaf))
	k.say(k.one(cmp.TypeCR, "CN=a", "p256 a")).stranger(cmp.CertRevoked)
}

// What is configured for one anchor says nothing of others.
func TestEachSetOfAnchorsHasItsOwnCRLs(t *testing.T) {
	b := newBed(t)
	other := certify(t, nil, "Other Root", key(t, "p256 other root"), asCA)
	withRule("partners", func(r *cmpcore.Rule) { r.Certificate.Anchors = append(r.Certificate.Anchors, other.cert) })(b)
	a, o := certify(t, b.partner, "a", key(t, "p256 x"), nil), certify(t, other, "o", key(t, "p256 y"), nil)
	b.trusting(cmpcore.RevocationRequire, b.crlOf(other, o))
	ask := func(h *holder) *reply {
		k := b.talk(b.signer(h))
		return k.say(k.one(cmp.TypeCR, "CN=x", "p256 a"))
	}
	ask(o).cert(0)
	ask(a).stranger(cmp.SignerNotTrusted)
}

// The lists are asked for at each message: a new one counts from then on, also
// for the messages that follow.
func TestANewCRLCountsAtOnce(t *testing.T) {
	b := newBed(t)
	leaf := certify(b, b.partner, "partner device", key(b, "p256 x"), nil)
	crls := []*certpath.CRL{b.crlOf(b.partner)}
	b.cfg.Trust = []cmpcore.Trust{{Name: "partner", Anchors: []*x509.Certificate{b.partner.cert}, CRLs: func() []*certpath.CRL { return crls }}}
	b.rebuild()
	k := b.talk(b.signer(leaf))
	first := k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"))
	c := first.cert(0)
	crls = []*certpath.CRL{b.crlOf(b.partner, leaf)}
	k.say(confirmation(c)).refused(cmp.CertRevoked)
	b.wantStatus(c, cmpcore.Unconfirmed)
	crls = []*certpath.CRL{b.crlOf(b.partner)}
	k.say(confirmation(c), func(m *message) { m.RecipNonce = first.msg.Header.SenderNonce }).body(cmp.TypePKIConf)
}

// Certificates of ours in the middle of a path are held against the Store.
func TestACAThatWeRevokedLeadsToNobody(t *testing.T) {
	b := newBed(t)
	sub := certify(b, b.ca, "Sub", key(b, "p256 sub"), asCA)
	leaf := certify(b, sub, "device of sub", key(b, "p256 x"), nil)
	withRule("partners", func(r *cmpcore.Rule) { r.Certificate.Anchors = []*x509.Certificate{b.ca.cert} })(b)
	b.rebuild()
	ask := func() *reply {
		k := b.talk(b.signer(leaf))
		return k.say(k.one(cmp.TypeCR, "CN=x", "p256 a"))
	}
	ask().cert(0) // the store does not know it: it is as one of any other CA
	rec := &cmpcore.Certificate{Serial: sub.cert.SerialNumber.Bytes(), Version: 1, DER: sub.cert.Raw, Status: cmpcore.Valid}
	b.store.certs[string(rec.Serial)] = rec
	r := ask()
	if r.cert(0); len(r.out.Relied) != 1 || string(r.out.Relied[0].CertificateSerial) != string(rec.Serial) {
		t.Errorf("not relied on: %s", describe(r.out))
	}
	for _, s := range []cmpcore.CertStatus{cmpcore.Revoked, cmpcore.RejectedByHolder} {
		rec.Status = s
		ask().stranger(cmp.CertRevoked)
	}
	rec.Status = cmpcore.Valid
	b.cfg.Trust = []cmpcore.Trust{{Name: "own", Anchors: []*x509.Certificate{b.ca.cert}, CRLs: func() []*certpath.CRL { return []*certpath.CRL{b.crlOf(sub)} }}}
	b.rebuild()
	ask().cert(0) // of sub the store speaks, of the device its CRL
}

// What cannot be looked up now is no refusal.
func TestAStoreThatFailsDecidesNothing(t *testing.T) {
	b := newBed(t)
	sub := certify(b, b.ca, "Sub", key(b, "p256 sub"), asCA)
	leaf := certify(b, sub, "device of sub", key(b, "p256 x"), nil)
	withRule("partners", func(r *cmpcore.Rule) { r.Certificate.Anchors = []*x509.Certificate{b.ca.cert} })(b)
	b.rebuild()
	k := b.talk(b.signer(leaf))
	der := k.message(k.one(cmp.TypeCR, "CN=x", "p256 a"))
	b.store.fail = errors.New("disk")
	if _, err := b.engine.Process(t.Context(), b.engine.Parse(der, b.channel), b.store); !errors.Is(err, b.store.fail) {
		t.Errorf("got %v", err)
	}
}

// A revoked holder of a KEM key is given nothing, before and after the proof.
func TestARevokedKEMRequesterIsRefused(t *testing.T) {
	b := newBed(t, withPolicy(askKEM), withSeed)
	r := newKEMRequester(t, b.partner, nil)
	b.trusting(cmpcore.RevocationRequire, b.crlOf(b.partner))
	k := b.talk(r.party)
	secret := r.fetch(k)
	b.trusting(cmpcore.RevocationRequire, b.crlOf(b.partner, r.holder))
	k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"), under(t, secret, k.id)).refused(cmp.CertRevoked)
	b.talk(r.party).say(genm(question(cmp.OIDKEMCiphertextInfo)), version3, unprotected).refused(cmp.CertRevoked)
}

func TestTrustThatContradictsItself(t *testing.T) {
	b := newBed(t)
	none := func() []*certpath.CRL { return nil }
	anchors := []*x509.Certificate{b.partner.cert}
	for name, list := range map[string][]cmpcore.Trust{
		"no anchors":      {{Name: "a", CRLs: none}},
		"no CRLs":         {{Name: "a", Anchors: anchors}},
		"one anchor, two": {{Name: "a", Anchors: anchors, CRLs: none}, {Name: "b", Anchors: anchors, CRLs: none}},
		"unknown mode":    {{Name: "a", Anchors: anchors, CRLs: none, Mode: 3}},
	} {
		b.cfg.Trust = list
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), fmt.Sprint("trust ", list[len(list)-1].Name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
