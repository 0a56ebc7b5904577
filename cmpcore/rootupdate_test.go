package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
)

// generation is a root with one of its keys.
func generation(t testing.TB, k string) *holder {
	return certify(t, nil, "Rolling Root", key(t, k), asCA)
}

// link is a certificate of one generation under the key of another.
func link(t testing.TB, subject, issuer *holder) []byte {
	t.Helper()
	tmpl := *subject.cert
	tmpl.AuthorityKeyId = nil
	der, err := x509.CreateCertificate(rand.Reader, &tmpl, issuer.cert, subject.key.Public(), crypto.Signer(issuer.key))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func update(t testing.TB, old, next *holder) cmpcore.RootUpdate {
	return cmpcore.RootUpdate{Old: old.cert.Raw, New: next.cert.Raw, NewWithOld: link(t, next, old), OldWithNew: link(t, old, next)}
}

// withRoot makes the CA a root of that key, which knows of updates.
func withRoot(root *holder, updates ...cmpcore.RootUpdate) option {
	return func(b *bed) {
		b.ca, b.root = root, root
		issuer, err := issuance.NewIssuer(root.cert.Raw, root.key, "")
		if err != nil {
			b.Fatal(err)
		}
		b.cfg.Authority = cmpcore.Authority{Issuer: issuer, Certificate: root.cert.Raw, Signer: root.key, RootUpdates: updates}
	}
}

func TestRootUpdatesAreGivenOneStepAtATime(t *testing.T) {
	g1, g2, g3 := generation(t, "p256 g1"), generation(t, "p256 g2"), generation(t, "p256 g3")
	u12, u23 := update(t, g1, g2), update(t, g2, g3)
	for name, c := range map[string]struct {
		now  *holder
		asks *holder // nil: without a value
		want *cmpcore.RootUpdate
	}{
		"before the change, by the root of today":    {g1, g1, &u12},
		"before the change, the new is there":        {g1, g2, &u23},
		"after the first change, by the root before": {g2, g1, &u12},
		"after all changes, by the first":            {g3, g1, &u12},
		"after all changes, by the second":           {g3, g2, &u23},
		"the newest":                                 {g3, g3, nil},
		"a root that nobody knows":                   {g3, certify(t, nil, "Rolling Root", key(t, "p256 g4"), asCA), nil},
		"no root, a change is to come":               {g2, nil, &u23},
		"no root, all changes are past":              {g3, nil, &u23},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withRoot(c.now, u12, u23))
			q := question(cmp.OIDRootCACert)
			if c.asks != nil {
				var err error
				if q, err = cmp.NewRootCACert(c.asks.cert.Raw); err != nil {
					t.Fatal(err)
				}
			}
			a := b.asks("dev-1", q).answer(cmp.OIDRootCAKeyUpdate)
			if c.want == nil {
				if a.Value != nil {
					t.Error("an update was given")
				}
				return
			}
			u, err := a.RootCAKeyUpdate()
			if err != nil || !bytes.Equal(u.NewWithNew, c.want.New) || !bytes.Equal(u.NewWithOld, c.want.NewWithOld) || !bytes.Equal(u.OldWithNew, c.want.OldWithNew) {
				t.Errorf("another update: %v", err)
			}
		})
	}
}

func TestCAKeyUpdateInfo(t *testing.T) {
	g1, g2 := generation(t, "p256 g1"), generation(t, "p256 g2")
	u := update(t, g1, g2)
	for _, now := range []*holder{g1, g2} {
		b := newBed(t, withRoot(now, u))
		got, err := b.asks("dev-1", question(cmp.OIDCAKeyUpdateInfo)).answer(cmp.OIDCAKeyUpdateInfo).CAKeyUpdateInfo()
		if err != nil || got.RootForm || !bytes.Equal(got.NewWithNew, u.New) || !bytes.Equal(got.NewWithOld, u.NewWithOld) || !bytes.Equal(got.OldWithNew, u.OldWithNew) {
			t.Errorf("%+v %v", got, err)
		}
	}
	half := u
	half.OldWithNew = nil
	for _, updates := range [][]cmpcore.RootUpdate{nil, {half}} {
		b := newBed(t, withRoot(g2, updates...))
		if a := b.asks("dev-1", question(cmp.OIDCAKeyUpdateInfo)).answer(cmp.OIDCAKeyUpdateInfo); a.Value != nil {
			t.Error("an update was given")
		}
	}
}

// Who has the old root only must be able to check what the new key signs, and
// the other way round.
func TestLinksGoAlongInExtraCerts(t *testing.T) {
	g1, g2 := generation(t, "p256 g1"), generation(t, "p256 g2")
	u := update(t, g1, g2)
	for name, c := range map[string]struct {
		now        *holder
		newWithOld bool
	}{"before": {g1, false}, "after": {g2, true}} {
		t.Run(name, func(t *testing.T) {
			for _, omit := range []bool{false, true} {
				b := newBed(t, withRoot(c.now, u), withPolicy(func(p *cmpcore.Policy) { p.OmitRoot = omit }))
				extra := b.asks("dev-1", question(cmp.OIDCACerts)).msg.ExtraCerts
				if has(extra, u.NewWithOld) != c.newWithOld || !has(extra, u.OldWithNew) || has(extra, c.now.cert.Raw) == omit {
					t.Errorf("root omitted %t: extraCerts has %d certificates, but not those that belong there", omit, len(extra))
				}
			}
		})
	}
	// The standard library finds its way from the new root to the old.
	pool, inter := x509.NewCertPool(), x509.NewCertPool()
	pool.AddCert(g1.cert)
	c, err := x509.ParseCertificate(u.NewWithOld)
	if err != nil {
		t.Fatal(err)
	}
	inter.AddCert(c)
	b := newBed(t, withRoot(g2, u))
	leaf := b.enrolled("CN=a", "p256 a").holder.cert
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: inter, CurrentTime: b.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
}

func has(list [][]byte, der []byte) bool {
	for _, c := range list {
		if bytes.Equal(c, der) {
			return true
		}
	}
	return false
}

// Certificates of the old key are ours after the change: they may be updated,
// they may be revoked, and the new key's CRL lists them.
func TestCertificatesOfTheOldKeyLiveOn(t *testing.T) {
	g1, g2 := generation(t, "p256 g1"), generation(t, "p256 g2")
	u := update(t, g1, g2)
	b := newBed(t, withRoot(g1, u))
	one, two := b.enrolled("CN=one", "p256 a"), b.enrolled("CN=two", "p256 b")
	withRoot(g2, u)(b)
	b.rebuild()

	k := b.talk(one)
	r := k.say(k.request(cmp.TypeKUR, want{key: "p256 c", subject: "CN=one"}), implicit)
	if err := r.cert(0).CheckSignatureFrom(g2.cert); err != nil {
		t.Error("the update is not by the new key:", err)
	}
	b.talk(two).say(rr(revocation(two.holder.cert, 1))).statuses(0)
	b.makeCRL()
	crl, err := x509.ParseRevocationList(b.store.crl.DER)
	if err != nil {
		t.Fatal(err)
	}
	if err := crl.CheckSignatureFrom(g2.cert); err != nil {
		t.Error("the CRL is not by the new key:", err)
	}
	if !bytes.Equal(crl.AuthorityKeyId, g2.cert.SubjectKeyId) {
		t.Error("the CRL does not name the new key")
	}
	found := false
	for _, e := range crl.RevokedCertificateEntries {
		found = found || e.SerialNumber.Cmp(two.holder.cert.SerialNumber) == 0
	}
	if !found {
		t.Error("a certificate of the old key is missing on the CRL")
	}
}

func TestRootUpdatesThatDoNotFitAreRefused(t *testing.T) {
	g1, g2, g3 := generation(t, "p256 g1"), generation(t, "p256 g2"), generation(t, "p256 g3")
	other := certify(t, nil, "Another Root", key(t, "p256 g2"), asCA)
	good := update(t, g1, g2)
	for name, c := range map[string]struct {
		change func(*cmpcore.RootUpdate)
		fault  string
	}{
		"links are optional":           {func(u *cmpcore.RootUpdate) { u.NewWithOld, u.OldWithNew = nil, nil }, ""},
		"links in each other's place":  {func(u *cmpcore.RootUpdate) { u.NewWithOld, u.OldWithNew = u.OldWithNew, u.NewWithOld }, "new_with_old is not for"},
		"a link of another key":        {func(u *cmpcore.RootUpdate) { u.NewWithOld = link(t, g3, g1) }, "new_with_old is not for"},
		"a link by another key":        {func(u *cmpcore.RootUpdate) { u.OldWithNew = link(t, g1, g3) }, "old_with_new is not signed"},
		"a link of another name":       {func(u *cmpcore.RootUpdate) { u.NewWithOld = link(t, other, g1) }, "new_with_old is not for"},
		"the same key":                 {func(u *cmpcore.RootUpdate) { u.New = u.Old }, "the same key"},
		"no certificate":               {func(u *cmpcore.RootUpdate) { u.New = []byte{0x30, 0} }, "new: "},
		"new is not self-signed":       {func(u *cmpcore.RootUpdate) { u.New = u.NewWithOld }, "new is not signed"},
		"the new root is another name": {func(u *cmpcore.RootUpdate) { *u = cmpcore.RootUpdate{Old: u.Old, New: other.cert.Raw} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := good
			c.change(&u)
			b := newBed(t)
			withRoot(g1, u)(b)
			_, err := cmpcore.New(b.cfg)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("%v, want %q", err, c.fault)
			}
		})
	}
}
