package cmpcore_test

import (
	"crypto/x509"
	"math/big"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func oldCert(t testing.TB, issuer pkix.Name, serial *big.Int) []crmf.Attribute {
	t.Helper()
	a, err := crmf.NewOldCertID(crmf.CertID{Issuer: pkix.NewDirectoryName(issuer), SerialNumber: serial})
	if err != nil {
		t.Fatal(err)
	}
	return []crmf.Attribute{a}
}

func withSAN(t testing.TB, hosts ...string) func(*crmf.CertTemplate) {
	t.Helper()
	var names []pkix.GeneralName
	for _, h := range hosts {
		n, err := pkix.NewDNSName(h)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	e, err := pkix.SubjectAltNameExtension(names, false)
	if err != nil {
		t.Fatal(err)
	}
	return func(t *crmf.CertTemplate) { t.Extensions = append(t.Extensions, e) }
}

func TestKURUpdatesTheCertificateThatSigns(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1,O=Example", "p256 a", withSAN(t, "one.example", "two.example"))
	k := b.talk(p)
	r := k.say(k.one(cmp.TypeKUR, "CN=device 1,O=Example", "p256 b")).body(cmp.TypeKUP)
	c := r.cert(0)
	if len(c.DNSNames) != 2 || c.DNSNames[0] != "one.example" {
		t.Errorf("subjectAltName %q was not inherited", c.DNSNames)
	}
	b.wantStatus(p.holder.cert, cmpcore.Valid) // the old one lives on
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	b.wantStatus(c, cmpcore.Valid)
	// and the new one signs the next update
	next := b.signer(&holder{key: key(t, "p256 b"), cert: c, chain: p.holder.chain})
	k = b.talk(next)
	k.say(k.one(cmp.TypeKUR, "", "p256 c")).cert(0)
}

func TestWhatAnUpdateMayChange(t *testing.T) {
	stay := func(*cmpcore.Rule) {}
	for name, c := range map[string]struct {
		rule func(*cmpcore.Rule)
		want want
		fail cmp.PKIFailureInfo
	}{
		"nothing":                         {stay, want{subject: "CN=device 1,O=Example", key: "p256 b"}, 0},
		"nothing, with an empty subject":  {stay, want{subject: "/", key: "p256 b"}, 0},
		"nothing, without a subject":      {stay, want{key: "p256 b"}, 0},
		"the case of its name":            {stay, want{subject: "CN=DEVICE 1,O=example", key: "p256 b"}, 0},
		"the subject":                     {stay, want{subject: "CN=device 2,O=Example", key: "p256 b"}, cmp.BadCertTemplate},
		"the subject, where rules allow":  {func(r *cmpcore.Rule) { r.ChangeNames = true }, want{subject: "CN=device 2,O=Example", key: "p256 b"}, 0},
		"the subject, to one not allowed": {func(r *cmpcore.Rule) { r.ChangeNames = true; r.Names = func(pkix.Name) bool { return false } }, want{subject: "CN=device 2", key: "p256 b"}, cmp.NotAuthorized},
		"the same SAN":                    {stay, want{subject: "CN=device 1,O=Example", key: "p256 b", template: withSAN(t, "one.example")}, 0},
		"another SAN":                     {stay, want{subject: "CN=device 1,O=Example", key: "p256 b", template: withSAN(t, "evil.example")}, cmp.BadCertTemplate},
		"one SAN more":                    {stay, want{subject: "CN=device 1,O=Example", key: "p256 b", template: withSAN(t, "one.example", "evil.example")}, cmp.BadCertTemplate},
		"another SAN, where rules allow":  {func(r *cmpcore.Rule) { r.ChangeNames = true }, want{subject: "CN=device 1,O=Example", key: "p256 b", template: withSAN(t, "new.example")}, 0},
		"not even the key":                {stay, want{subject: "CN=device 1,O=Example", key: "p256 a"}, cmp.BadCertTemplate},
		"not the key, where rules allow":  {func(r *cmpcore.Rule) { r.SameKey = true }, want{subject: "CN=device 1,O=Example", key: "p256 a"}, 0},
		"the type of key":                 {stay, want{subject: "CN=device 1,O=Example", key: "ed25519 b"}, 0},
		"the key without a proof":         {stay, want{subject: "CN=device 1,O=Example", key: "p256 b", popo: func(*crmf.CertReqMsg) {}}, cmp.BadPOP},
		"a key it does not give":          {stay, want{subject: "CN=device 1,O=Example", popo: func(*crmf.CertReqMsg) {}}, cmp.BadCertTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withRule("holders", c.rule))
			p := b.enrolled("CN=device 1,O=Example", "p256 a", withSAN(t, "one.example"))
			k := b.talk(p)
			k.say(k.request(cmp.TypeKUR, c.want)).judge(c.fail)
		})
	}
}

func TestWhichCertificateAnUpdateIsOf(t *testing.T) {
	b := newBed(t)
	mine := b.enrolled("CN=device 1", "p256 a")
	other := b.enrolled("CN=device 2", "p256 b")
	ca := pkix.Name(b.ca.cert.RawSubject)
	ask := func(p *party, subject string, controls []crmf.Attribute) *reply {
		k := b.talk(p)
		return k.say(k.request(cmp.TypeKUR, want{subject: subject, key: "p256 new", controls: controls}))
	}
	ask(mine, "CN=device 1", oldCert(t, ca, mine.holder.cert.SerialNumber)).judge(0)
	ask(mine, "CN=device 2", oldCert(t, ca, other.holder.cert.SerialNumber)).judge(cmp.BadCertID)
	ask(mine, "CN=device 1", oldCert(t, ca, big.NewInt(4711))).judge(cmp.BadCertID)
	ask(mine, "CN=device 1", oldCert(t, ca, big.NewInt(0))).judge(cmp.BadCertID)
	ask(mine, "CN=device 1", oldCert(t, ca, big.NewInt(-1))).judge(cmp.BadCertID)
	ask(mine, "CN=device 1", oldCert(t, dn(t, "CN=Other CA"), mine.holder.cert.SerialNumber)).judge(cmp.BadCertID)
	ask(mine, "CN=device 1", []crmf.Attribute{{Type: crmf.OIDOldCertID, Value: pkix.Null}}).judge(cmp.BadDataFormat)

	// A registration authority updates anybody's, a device what it asked for.
	ra := b.device("ra-1")
	ask(ra, "CN=device 2", oldCert(t, ca, other.holder.cert.SerialNumber)).judge(0)
	ask(ra, "CN=device 2", nil).judge(cmp.BadCertID)
	enroller := b.device("dev-enrol")
	ask(enroller, "CN=device 2", oldCert(t, ca, other.holder.cert.SerialNumber)).judge(0)
	ask(b.device("dev-3"), "CN=device 2", oldCert(t, ca, other.holder.cert.SerialNumber)).judge(cmp.BadCertID)

	// To vouch for possession is not to update what is of others.
	c, err := x509.ParseCertificate(other.holder.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	withRule("ra", func(r *cmpcore.Rule) { r.UpdateAny = false })(b)
	b.rebuild()
	ask(ra, "CN=device 2", oldCert(t, ca, c.SerialNumber)).judge(cmp.BadCertID)
	k := b.talk(ra)
	mine2 := k.say(k.one(cmp.TypeIR, "CN=device 3", "p256 c"), implicit).cert(0)
	ask(ra, "CN=device 3", oldCert(t, ca, mine2.SerialNumber)).judge(0) // its own request
	withRule("ra", func(r *cmpcore.Rule) { r.UpdateAny, r.RAVerified = true, false })(b)
	b.rebuild()
	ask(ra, "CN=device 2", oldCert(t, ca, c.SerialNumber)).judge(0)
	k = b.talk(ra)
	k.say(k.request(cmp.TypeKUR, want{subject: "CN=device 2", key: "p256 new", controls: oldCert(t, ca, c.SerialNumber),
		popo: func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }})).judge(cmp.BadPOP)

	b.revokeByHand(other.holder.cert, 1)
	ask(ra, "CN=device 2", oldCert(t, ca, other.holder.cert.SerialNumber)).judge(cmp.CertRevoked)
	ask(other, "CN=device 2", nil).refused(cmp.CertRevoked)

	// A signer from elsewhere has nothing to update here.
	ask(b.signer(certify(t, b.partner, "device 1", key(t, "p256 x"), nil)), "CN=device 1", nil).judge(cmp.BadCertID)
}

// The old certificate is relied on: its revocation meanwhile is a conflict.
func TestAnUpdateConflictsWithARevocation(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	k := b.talk(p)
	der := k.message(k.one(cmp.TypeKUR, "CN=device 1", "p256 b"))
	out := b.process(der)
	b.revokeByHand(p.holder.cert, 1)
	if b.store.commit(der, out) == nil {
		t.Error("a revoked certificate was updated")
	}
}

func TestAnUpdateKeepsItsProfile(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), certProfile("strict"), implicit).cert(0)
	p := b.signer(&holder{key: key(t, "p256 a"), cert: c, chain: [][]byte{b.ca.cert.Raw, b.root.cert.Raw}})
	k = b.talk(p)
	r := k.say(k.one(cmp.TypeKUR, "CN=a", "p256 b"))
	r.cert(0)
	if got := r.out.Certificates[0].Profile; got != "strict" {
		t.Errorf("profile %q", got)
	}
	k = b.talk(p)
	r = k.say(k.one(cmp.TypeKUR, "CN=a", "p256 b"), certProfile("default"))
	r.cert(0)
	if got := r.out.Certificates[0].Profile; got != "default" {
		t.Errorf("profile %q", got)
	}
}

func TestHoldersAskForTheirOwnNamesOnly(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a", withSAN(t, "one.example"))
	for name, c := range map[string]struct {
		want want
		fail cmp.PKIFailureInfo
	}{
		"its name":              {want{subject: "CN=device 1", key: "p256 b"}, 0},
		"its name and SAN":      {want{subject: "CN=device 1", key: "p256 b", template: withSAN(t, "one.example")}, 0},
		"another name":          {want{subject: "CN=device 2", key: "p256 b"}, cmp.NotAuthorized},
		"its name, another SAN": {want{subject: "CN=device 1", key: "p256 b", template: withSAN(t, "evil.example")}, cmp.NotAuthorized},
		"no name, its SAN":      {want{subject: "/", key: "p256 b", template: withSAN(t, "one.example")}, cmp.NotAuthorized},
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(p)
			k.say(k.request(cmp.TypeCR, c.want)).judge(c.fail)
		})
	}
	k := b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=device 1", "p256 b")).refused(cmp.NotAuthorized) // not in May
}

func TestUsageOfTheSignersCertificateIsWhatX509Says(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a", func(t *crmf.CertTemplate) {
		t.Extensions = append(t.Extensions, pkix.KeyUsageExtension(pkix.KeyAgreement))
	})
	if p.holder.cert.KeyUsage != x509.KeyUsageKeyAgreement {
		t.Fatal("the profile changed the usage")
	}
	k := b.talk(p)
	k.say(k.one(cmp.TypeKUR, "CN=device 1", "p256 b")).stranger(cmp.SignerNotTrusted)
}

// So does that of the certificate that a registration authority updates.
func TestAnUpdateByAnotherConflictsWithARevocation(t *testing.T) {
	b := newBed(t)
	c := b.enrolled("CN=device 1", "p256 a").holder.cert
	k := b.talk(b.device("ra-1"))
	der := k.message(k.request(cmp.TypeKUR, want{key: "p256 b", controls: oldCert(t, pkix.Name(b.ca.cert.RawSubject), c.SerialNumber)}))
	out := b.process(der)
	if len(out.Certificates) != 1 {
		t.Fatal(describe(out))
	}
	b.revokeByHand(c, 1)
	if b.store.commit(der, out) == nil {
		t.Error("a revoked certificate was updated")
	}
}

func TestOtherControlsOfAnUpdateArePassedOver(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	token, err := crmf.NewRegToken("4711")
	if err != nil {
		t.Fatal(err)
	}
	k := b.talk(p)
	k.say(k.request(cmp.TypeKUR, want{key: "p256 b", controls: []crmf.Attribute{token}})).cert(0)
	k = b.talk(p)
	both := append([]crmf.Attribute{token}, oldCert(t, pkix.Name(b.ca.cert.RawSubject), p.holder.cert.SerialNumber)...)
	k.say(k.request(cmp.TypeKUR, want{key: "p256 b", controls: both})).cert(0)
}
