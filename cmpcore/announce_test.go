package cmpcore_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func withAnnouncements(what ...cmp.BodyType) option {
	return func(b *bed) {
		b.cfg.Announcements = append(b.cfg.Announcements, cmpcore.Announcement{Channel: "dir", Prefix: "ann-", What: what})
	}
}

// announcements reads what the store got to send since the last call. The
// signature is checked by the standard library.
func (b *bed) announcements() (bodies []cmp.Body, names []string) {
	b.Helper()
	ids := map[string]bool{}
	for _, o := range b.store.outgoing {
		m, err := cmp.Parse(o.DER, cmp.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		h := &m.Header
		if o.Channel != "dir" || ids[string(h.TransactionID)] || len(h.TransactionID) != 16 || len(h.SenderNonce) != 16 || len(h.RecipNonce) != 0 {
			b.Errorf("%s: header %+v", o.Name, h)
		}
		ids[string(h.TransactionID)] = true
		if !bytes.Equal(m.ExtraCerts[0], b.ca.cert.Raw) {
			b.Errorf("%s: extraCerts", o.Name)
		}
		if err := b.ca.cert.CheckSignature(stdSignature(h.ProtectionAlg), protectedPart(b, m.Raw), m.Protection); err != nil {
			b.Errorf("%s: %v", o.Name, err)
		}
		// RFC 9810 section 5.3.13: the form with RootCaKeyUpdateContent has pvno 3.
		if a, ok := m.Body.(*cmp.CAKeyUpdAnn); ok && a.RootForm != (h.PVNO == 3) || !ok && h.PVNO != 2 {
			b.Errorf("%s: pvno %d", o.Name, h.PVNO)
		}
		bodies, names = append(bodies, m.Body), append(names, o.Name)
	}
	b.store.outgoing = nil
	return bodies, names
}

func (b *bed) revokeAsOperator(c *x509.Certificate, reason int, since time.Time) {
	b.Helper()
	out, err := b.engine.Revoke(context.Background(), b.store, c.SerialNumber.Bytes(), reason, since, "alice")
	if err != nil {
		b.Fatal(err)
	}
	b.commit(nil, out)
}

func TestCRLsAreAnnounced(t *testing.T) {
	b := newBed(t, withAnnouncements(cmp.TypeCRLAnn))
	b.makeCRL()
	bodies, names := b.announcements()
	if len(bodies) != 1 || names[0] != "ann-crl-1.pki" {
		t.Fatalf("%q", names)
	}
	if a := bodies[0].(*cmp.CRLAnn); len(a.CRLs) != 1 || !bytes.Equal(a.CRLs[0], b.store.crl.DER) {
		t.Error("another CRL")
	}
	b.enrolled("CN=a", "p256 a")
	if _, names := b.announcements(); len(names) != 0 {
		t.Errorf("nobody asked for %q", names)
	}
}

func TestCertificatesAreAnnouncedWhenTheyAreValid(t *testing.T) {
	b := newBed(t, withAnnouncements(cmp.TypeCAnn), withPolicy(func(p *cmpcore.Policy) { p.KeepUnconfirmed = true }))
	c := b.enrolled("CN=a", "p256 a").holder.cert
	one := func(want *x509.Certificate) {
		t.Helper()
		bodies, names := b.announcements()
		if len(bodies) != 1 || !bytes.Equal(bodies[0].(*cmp.CertAnn).Certificate, want.Raw) || !strings.HasPrefix(names[0], "ann-cert-") {
			t.Errorf("announced %q", names)
		}
	}
	one(c)
	none := func() {
		t.Helper()
		if _, names := b.announcements(); len(names) != 0 {
			t.Errorf("announced %q", names)
		}
	}
	// By certConf, not before.
	k := b.talk(b.device("dev-2"))
	r := k.say(k.request(cmp.TypeIR, want{subject: "CN=b", key: "p256 b"}))
	none()
	k.say(confirmation(r.cert(0)))
	one(r.cert(0))
	// By the end of the wait.
	k = b.talk(b.device("dev-3"))
	r = k.say(k.request(cmp.TypeIR, want{subject: "CN=c", key: "p256 c"}))
	none()
	b.now = b.now.Add(31 * day)
	out, err := b.engine.Expire(context.Background(), b.store.transactionOf(k.id), b.store)
	if err != nil {
		t.Fatal(err)
	}
	b.commit(nil, out)
	one(r.cert(0))
	// One that comes off hold is known already.
	b.revokeAsOperator(c, 6, time.Time{})
	b.revokeAsOperator(c, 8, time.Time{})
	none()
}

func TestRevocationsAreAnnounced(t *testing.T) {
	b := newBed(t, withAnnouncements(cmp.TypeRAnn))
	p, q := b.enrolled("CN=a", "p256 a"), b.enrolled("CN=b", "p256 b")
	since := b.now.Add(-9 * day).UTC().Truncate(time.Second)
	b.revokeAsOperator(p.holder.cert, 1, since)
	b.talk(q).say(rr(revocation(q.holder.cert, -1))).statuses(0)
	bodies, names := b.announcements()
	if len(bodies) != 2 {
		t.Fatalf("announced %q", names)
	}
	first, second := bodies[0].(*cmp.RevAnn), bodies[1].(*cmp.RevAnn)
	at := b.now.UTC().Truncate(time.Second)
	if first.Status != cmp.RevocationNotification || first.CertID.SerialNumber.Cmp(p.holder.cert.SerialNumber) != 0 ||
		!bytes.Equal(first.CertID.Issuer, pkix.NewDirectoryName(pkix.Name(b.ca.cert.RawSubject))) ||
		!first.WillBeRevokedAt.Equal(at) || !first.BadSince.Equal(since) || len(first.CRLDetails) != 1 || !bytes.Equal(first.CRLDetails[0].Value, []byte{10, 1, 1}) {
		t.Errorf("%+v", first)
	}
	if second.CertID.SerialNumber.Cmp(q.holder.cert.SerialNumber) != 0 || !second.BadSince.Equal(at) || len(second.CRLDetails) != 0 {
		t.Errorf("%+v", second)
	}
}

func TestChangesOfTheRootAreAnnouncedInBothForms(t *testing.T) {
	g1, g2 := generation(t, "p256 g1"), generation(t, "p256 g2")
	u := update(t, g1, g2)
	half := u
	half.OldWithNew = nil
	for _, c := range []struct {
		update cmpcore.RootUpdate
		forms  []bool
	}{{u, []bool{true, false}}, {half, []bool{true}}} {
		b := newBed(t, withRoot(g1, c.update), withAnnouncements(cmp.TypeCKUAnn))
		out, err := b.engine.AnnounceRoot(0)
		if err != nil {
			t.Fatal(err)
		}
		b.commit(nil, out)
		var forms []bool
		bodies, _ := b.announcements()
		for _, body := range bodies {
			a := body.(*cmp.CAKeyUpdAnn)
			forms = append(forms, a.RootForm)
			if !bytes.Equal(a.NewWithNew, u.New) || !bytes.Equal(a.NewWithOld, u.NewWithOld) || !bytes.Equal(a.OldWithNew, c.update.OldWithNew) {
				t.Error("other certificates")
			}
		}
		if !slices.Equal(forms, c.forms) {
			t.Errorf("forms %t", forms)
		}
		if _, err := b.engine.AnnounceRoot(1); err == nil {
			t.Error("an update that is not there")
		}
	}
	b := newBed(t, withRoot(g1, u), withAnnouncements(cmp.TypeCRLAnn))
	if out, err := b.engine.AnnounceRoot(0); out != nil || err != nil {
		t.Errorf("nobody is to be told: %v %v", out, err)
	}
}

func asCMPServer(c *x509.Certificate) {
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 27}} // id-kp-cmcCA
}

// Who may tell us something: a CA that a rule names, one below it, and a CMP
// server that has the extended key usage for it.
func TestAnnouncementsOfOthers(t *testing.T) {
	ann := func() cmp.Body {
		return &cmp.RevAnn{Status: cmp.RevocationWarning, WillBeRevokedAt: epoch, BadSince: epoch,
			CertID: crmf.CertID{Issuer: pkix.NewDirectoryName(pkix.EmptyName), SerialNumber: big.NewInt(77)}}
	}
	for name, c := range map[string]struct {
		by   func(b *bed) *party
		edit edit
		want cmpcore.Disposition
	}{
		"the anchor itself":       {func(b *bed) *party { return b.signer(b.partner) }, nil, cmpcore.Silent},
		"a CA below the anchor":   {func(b *bed) *party { return b.signer(certify(b, b.partner, "Sub", key(b, "p256 sub"), asCA)) }, nil, cmpcore.Silent},
		"a CMP server":            {func(b *bed) *party { return b.signer(certify(b, b.partner, "Server", key(b, "p256 s"), asCMPServer)) }, nil, cmpcore.Silent},
		"a device of the partner": {func(b *bed) *party { return b.signer(certify(b, b.partner, "Device", key(b, "p256 d"), nil)) }, nil, cmpcore.Failed},
		"a device of ours":        {func(b *bed) *party { return b.enrolled("CN=a", "p256 a") }, nil, cmpcore.Failed},
		"a device that is pinned": {func(b *bed) *party {
			h := certify(b, b.partner, "Pinned", key(b, "p256 pin"), nil)
			withRule("partners", func(r *cmpcore.Rule) { r.Certificate.Anchors = append(r.Certificate.Anchors, h.cert) })(b)
			b.rebuild()
			return b.signer(h)
		}, nil, cmpcore.Failed},
		"a CA that nobody knows": {func(b *bed) *party { return b.signer(certify(b, nil, "Stranger", key(b, "p256 x"), asCA)) }, nil, cmpcore.Failed},
		"a shared secret":        {func(b *bed) *party { return b.device("dev-1") }, nil, cmpcore.Failed},
		"nobody":                 {func(b *bed) *party { return b.device("dev-1") }, func(m *message) { m.by = nil }, cmpcore.Failed},
		"without transactionID":  {func(b *bed) *party { return b.signer(b.partner) }, func(m *message) { m.TransactionID = nil }, cmpcore.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			var edits []edit
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			p := c.by(b)
			r := b.talk(p).say(ann(), edits...)
			r.silent(c.want)
			if r.out.Transaction != nil {
				t.Error("an announcement left a transaction")
			}
			event, detail := r.out.Audit[0].Event, r.out.Audit[0].Detail
			if ok := c.want == cmpcore.Silent; ok != (event == "announcement" && strings.Contains(detail, "rann, serial 4d, of ")) || !ok && event != "refused" {
				t.Errorf("audit %q %q", event, detail)
			}
		})
	}
	b := newBed(t)
	k := b.talk(b.signer(b.partner))
	der := k.message(ann())
	der[len(der)/3] ^= 1
	if out := b.process(der); out.Disposition == cmpcore.Silent {
		t.Error("a changed announcement was believed")
	}
}

func TestAnnouncementsThatCannotBeConfigured(t *testing.T) {
	for fault, a := range map[string]cmpcore.Announcement{
		"has no policy":       {Channel: "nowhere", What: []cmp.BodyType{cmp.TypeCAnn}},
		"nothing is to be":    {Channel: "dir"},
		"are no announcement": {Channel: "dir", What: []cmp.BodyType{cmp.TypeIR}},
	} {
		b := newBed(t)
		b.cfg.Announcements = []cmpcore.Announcement{a}
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%v, want %q", err, fault)
		}
	}
}
