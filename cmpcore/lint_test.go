package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"io"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
)

// countingSigner counts the signatures of a key.
type countingSigner struct {
	crypto.Signer
	n int
}

func (s *countingSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.n++
	return s.Signer.Sign(rand, digest, opts)
}

// linting is a linter of every profile that finds what a test wants, and a
// count of what the CA's key signs: nothing else is signed by it.
type linting struct {
	findings []issuance.Finding
	seen     [][]byte
	signer   *countingSigner
}

var twoErrors = []issuance.Finding{
	{Lint: "e_first", Level: "error", Text: "the rule of the first lint", Refuse: true},
	{Lint: "w_second", Level: "warn", Text: "a warning"},
	{Lint: "e_third", Level: "error", Text: "the rule of the third lint", Refuse: true},
}

// withLint has every profile's certificates looked at. It comes after all
// options that set profiles.
func withLint(l *linting) option {
	return func(b *bed) {
		withServer(b)
		withKGA(nil)(b)
		l.signer = &countingSigner{Signer: b.ca.key}
		issuer, err := issuance.NewIssuer(b.ca.cert.Raw, l.signer, "")
		if err != nil {
			b.Fatal(err)
		}
		b.cfg.Authority.Issuer = issuer
		b.cfg.Lint = map[string]issuance.Linter{}
		for name := range b.cfg.Profiles {
			isCA := b.cfg.Profiles[name].IsCA()
			b.cfg.Profiles[name] = profile(b, name, func(c *issuance.ProfileConfig) {
				c.Lint = &issuance.LintConfig{}
				c.Keys = append(c.Keys, "x25519")
				c.KeyUsage.Default = append(c.KeyUsage.Default, "keyAgreement")
				if isCA {
					c.BasicConstraints.CA = true
					c.KeyUsage = issuance.UsageConfig{Fixed: []string{"keyCertSign", "cRLSign"}}
					c.Subject.MayBeEmpty = false
				}
			})
			b.cfg.Lint[name] = func(der []byte) []issuance.Finding {
				l.seen = append(l.seen, slices.Clone(der))
				return l.findings
			}
		}
	}
}

func lastEvent(out *cmpcore.Outcome, event string) *cmpcore.AuditEntry {
	for i := len(out.Audit) - 1; i >= 0; i-- {
		if out.Audit[i].Event == event {
			return &out.Audit[i]
		}
	}
	return nil
}

func TestLintComesBeforeTheSignature(t *testing.T) {
	x25519 := must[*ecdh.PrivateKey](t)(ecdh.X25519().GenerateKey(rand.Reader))
	for name, x := range map[string]struct {
		options []option
		talk    func(b *bed) *talk
		ask     func(k *talk) *reply
		cert    func(r *reply) *x509.Certificate
	}{
		"ir":    {ask: func(k *talk) *reply { return k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")) }},
		"cr":    {ask: func(k *talk) *reply { return k.say(k.one(cmp.TypeCR, "CN=a", "ed25519 a"), implicit) }},
		"p10cr": {ask: func(k *talk) *reply { return k.say(k.p10cr("CN=a", "rsa2048 a", "a.example")) }},
		"kur": {
			talk: func(b *bed) *talk { return b.talk(b.enrolled("CN=a", "p256 a")) },
			ask:  func(k *talk) *reply { return k.say(k.one(cmp.TypeKUR, "CN=a", "p256 b")) },
		},
		"a key made here": {
			options: []option{withCentralKeys("ed25519")},
			ask: func(k *talk) *reply {
				return k.say(k.request(cmp.TypeIR, want{subject: "CN=a"}), version3)
			},
			cert: func(r *reply) *x509.Certificate {
				return must[*x509.Certificate](r)(x509.ParseCertificate(r.response(0).CertifiedKeyPair.Certificate))
			},
		},
		"an encrypted certificate": {
			ask: func(k *talk) *reply {
				return k.say(k.request(cmp.TypeIR, encrCert(k, x25519, crmf.KeyAgreement)), version3)
			},
			cert: func(r *reply) *x509.Certificate { return r.decrypted(0, x25519) },
		},
		"ccr": {
			options: []option{withCross, withRule("cross", func(r *cmpcore.Rule) { r.Unattended = true })},
			talk:    func(b *bed) *talk { return b.talk(b.signer(b.partner)) },
			ask:     func(k *talk) *reply { return k.say(k.request(cmp.TypeCCR, k.crossWant(nil))) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &linting{}
			b := newBed(t, append(x.options, withLint(l))...)
			start := func() *talk { return b.talk(b.device("dev-1")) }
			if x.talk != nil {
				start = func() *talk { return x.talk(b) }
			}
			k := start()
			before, certs := l.signer.n, len(b.store.certs)
			l.seen, l.findings = nil, twoErrors
			r := x.ask(k)
			r.rejected(0, cmp.BadCertTemplate)
			if got := r.response(0).Status.StatusString[0]; got != "the certificate would not pass lint: e_first, e_third" {
				t.Errorf("statusString %q", got)
			}
			for _, s := range []string{"error: the rule of the first lint", "error: the rule of the third lint", "profile "} {
				if a := lastEvent(r.out, "refused"); a == nil || !strings.Contains(a.Detail, s) || !strings.Contains(r.out.Reason, s) {
					t.Errorf("neither audit %+v nor reason %q may lack %q", a, r.out.Reason, s)
				}
			}
			if l.signer.n != before || len(b.store.certs) != certs || len(l.seen) != 1 {
				t.Fatalf("refused after %d looks, and yet the CA signed %d times; %d certificates", len(l.seen), l.signer.n-before, len(b.store.certs)-certs)
			}
			if s := b.store.secrets["dev-1"]; s != nil && s.Used != 0 {
				t.Error("a refusal used the secret")
			}

			l.findings = nil
			k = start()
			before = l.signer.n
			l.seen, l.findings = nil, twoErrors[1:2]
			r = x.ask(k)
			var cert *x509.Certificate
			if x.cert != nil {
				cert = x.cert(r)
			} else {
				cert = r.cert(0)
			}
			if l.signer.n != before+1 || len(l.seen) != 1 {
				t.Fatalf("%d signatures of the CA after %d looks, want one of each", l.signer.n-before, len(l.seen))
			}
			trial := must[*x509.Certificate](t)(x509.ParseCertificate(l.seen[0]))
			if !bytes.Equal(trial.RawTBSCertificate, cert.RawTBSCertificate) {
				t.Error("what was signed is not what was looked at")
			}
			if trial.SignatureAlgorithm != cert.SignatureAlgorithm || bytes.Equal(trial.Signature, cert.Signature) || trial.CheckSignatureFrom(b.ca.cert) == nil {
				t.Error("what was looked at has the signature of the CA")
			}
			if a := lastEvent(r.out, "issued"); a == nil || !strings.HasSuffix(a.Detail, "lint: w_second") {
				t.Errorf("audit %+v lacks the warning", a)
			}
		})
	}
}

func TestLintRefusesOneOfMany(t *testing.T) {
	l := &linting{}
	b := newBed(t, withLint(l))
	b.cfg.Lint["default"] = func(der []byte) []issuance.Finding {
		if bytes.Contains(der, []byte("bad")) {
			return twoErrors
		}
		return nil
	}
	b.rebuild()
	k := b.talk(b.device("dev-1", func(s *cmpcore.Secret) { s.MaxUses = 2 }))
	r := k.say(k.request(cmp.TypeIR, want{id: 0, subject: "CN=good 1", key: "p256 a"}, want{id: 1, subject: "CN=bad", key: "p256 b"},
		want{id: 2, subject: "CN=good 2", key: "p256 c"}), implicit).body(cmp.TypeIP)
	r.cert(0)
	r.rejected(1, cmp.BadCertTemplate)
	r.cert(2)
	if l.signer.n != 2 || len(b.store.certs) != 2 || b.store.secrets["dev-1"].Used != 2 {
		t.Errorf("%d signatures, %d certificates, %d uses; want 2 of each", l.signer.n, len(b.store.certs), b.store.secrets["dev-1"].Used)
	}
}

// A person is not asked about what would be refused anyway, and is asked again
// by what is true when the decision comes.
func TestLintAroundAnApproval(t *testing.T) {
	l := &linting{findings: twoErrors}
	b := newBed(t, withLint(l))
	k := b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).rejected(0, cmp.BadCertTemplate)

	l.findings = nil
	k = b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	b.decide(k, cmpcore.Approved, "")
	l.findings = twoErrors
	k.say(poll(0)).rejected(0, cmp.BadCertTemplate)
	if l.signer.n != 0 || len(l.seen) != 3 {
		t.Errorf("%d signatures after %d looks", l.signer.n, len(l.seen))
	}
}

func TestManyFindingsAreNamedInPart(t *testing.T) {
	l := &linting{}
	for range 30 {
		l.findings = append(l.findings, issuance.Finding{Lint: "e_lint_with_a_name_of_its_own", Level: "error", Text: strings.Repeat("long ", 100), Refuse: true})
	}
	b := newBed(t, withLint(l))
	k := b.talk(b.device("dev-1"))
	r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	r.rejected(0, cmp.BadCertTemplate)
	if s := r.response(0).Status.StatusString[0]; !strings.HasSuffix(s, " and 26 more") || len(s) > 300 {
		t.Errorf("statusString %q", s)
	}
	if a := lastEvent(r.out, "refused"); len(a.Detail) > 310 {
		t.Errorf("audit of %d octets", len(a.Detail))
	}
}

func TestLintNeedsALinterAndAProfile(t *testing.T) {
	for name, x := range map[string]struct {
		change option
		want   string
	}{
		"no linter":       {func(b *bed) { delete(b.cfg.Lint, "default") }, "profile default wants its certificates looked at"},
		"a nil linter":    {func(b *bed) { b.cfg.Lint["default"] = nil }, "linter for profile default"},
		"no such profile": {func(b *bed) { b.cfg.Lint["other"] = b.cfg.Lint["default"] }, "linter for profile other"},
		"a profile that wants none": {func(b *bed) { b.cfg.Profiles["default"] = profile(b, "default", nil) },
			"linter for profile default"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withLint(&linting{}))
			x.change(b)
			if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("error %v, want one that names %q", err, x.want)
			}
		})
	}
}

// RSA keys of all sizes and the others have a key that stands in for trial.
func TestEveryKindOfCACanRehearse(t *testing.T) {
	for _, name := range []string{"p256 ca", "p384 ca", "rsa2048 ca", "ed25519 ca"} {
		l := &linting{}
		b := newBed(t, withCAKey(name), withLint(l))
		k := b.talk(b.device("dev-1"))
		cert := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
		trial := must[*x509.Certificate](t)(x509.ParseCertificate(l.seen[0]))
		if !bytes.Equal(trial.RawTBSCertificate, cert.RawTBSCertificate) || trial.CheckSignatureFrom(b.ca.cert) == nil {
			t.Errorf("%s: the trial is not as it should be", name)
		}
	}
}
