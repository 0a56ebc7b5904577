package lint

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zmap/zcrypto/x509"
	"go.uber.org/goleak"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is after the dates from which the rules below are in force.
var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

var keys sync.Map

func key(t testing.TB, keyType string) crypto.Signer {
	t.Helper()
	if k, ok := keys.Load(keyType); ok {
		return k.(crypto.Signer)
	}
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	keys.Store(keyType, k)
	return k
}

func name(t testing.TB, text string) pkix.Name {
	t.Helper()
	n, err := pkix.ParseDN(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func ca(t testing.TB, keyType string) *issuance.Issuer {
	t.Helper()
	v, err := issuance.ParsePeriod("20y")
	if err != nil {
		t.Fatal(err)
	}
	root, err := issuance.SelfSigned(rand.Reader, key(t, keyType), "", name(t, "CN=Test CA,O=Example,C=DE"), v, now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	is, err := issuance.NewIssuer(root, key(t, keyType), "")
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// trial gives what a linter is shown: a certificate for a key of a type.
func trial(t testing.TB, is *issuance.Issuer, cfg issuance.ProfileConfig, keyType, subject string, exts ...pkix.Extension) []byte {
	t.Helper()
	p, err := issuance.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	k, err := alg.GenerateAnyKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := alg.MarshalPublicKey(k.(interface{ Public() crypto.PublicKey }).Public())
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(issuance.Request{Subject: name(t, subject), PublicKey: spki, Extensions: exts}, is, now)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := issuance.NewSerial(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := is.Rehearse(rand.Reader, prepared, serial)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func dnsNames(t testing.TB, names ...string) pkix.Extension {
	t.Helper()
	var list []pkix.GeneralName
	for _, n := range names {
		g, err := pkix.NewDNSName(n)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, g)
	}
	e, err := pkix.SubjectAltNameExtension(list, false)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func mustCompile(t testing.TB, cfg issuance.LintConfig) issuance.Linter {
	t.Helper()
	look, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return look
}

// server is a profile for certificates of domain validation as the Baseline
// Requirements of the CA/Browser Forum want them.
func server() issuance.ProfileConfig {
	return issuance.ProfileConfig{
		Name: "server", Validity: issuance.ValidityConfig{Default: "45d"}, Keys: []string{"ecdsa-p256", "rsa-2048+"},
		Subject:       issuance.SubjectConfig{FromRequest: true},
		SAN:           issuance.SANConfig{Allowed: []string{"dns"}},
		KeyUsage:      issuance.UsageConfig{Fixed: []string{"digitalSignature"}},
		ExtKeyUsage:   issuance.UsageConfig{Fixed: []string{"serverAuth"}},
		Policies:      []issuance.PolicyConfig{{OID: "2.23.140.1.2.1"}},
		CRLURLs:       []string{"http://pki.example.com/ca.crl"},
		CAIssuersURLs: []string{"http://pki.example.com/ca.crt"},
	}
}

func levelsOf(found []issuance.Finding) (list []string) {
	for _, f := range found {
		list = append(list, f.Level+" "+f.Lint)
	}
	return list
}

// The names of lints and what they are about are zlint's; the rules they cite
// are in the comments.
func TestBadProfilesAreFound(t *testing.T) {
	is := ca(t, "ecdsa-p256")
	cabf := issuance.LintConfig{Sources: []string{"CABF_BR"}}
	common := "CN=www.example.com"
	san := dnsNames(t, "www.example.com")
	anyPurpose := func(p *issuance.ProfileConfig) {
		p.ExtKeyUsage = issuance.UsageConfig{Fixed: []string{"2.5.29.37.0"}, Critical: true}
	}
	for _, x := range []struct {
		name    string
		lint    issuance.LintConfig
		profile func(*issuance.ProfileConfig)
		key     string
		subject string
		exts    []pkix.Extension
		want    string // level and name of a finding; empty: nothing refuses it
	}{
		{"as it should be", cabf, nil, "ecdsa-p256", common, []pkix.Extension{san}, ""},
		{"as it should be, RSA", cabf, nil, "rsa-2048", common, []pkix.Extension{san}, ""},
		// BR 7.1.2.7.12: subjectAltName is there in every certificate of a server.
		{"a server without subjectAltName", cabf, nil, "ecdsa-p256", common, nil, "error e_ext_san_missing"},
		// BR 6.3.2: 200 days from 2026-03-15.
		{"a server for a year", cabf, func(p *issuance.ProfileConfig) { p.Validity.Default = "1y" }, "ecdsa-p256", common, []pkix.Extension{san},
			"error e_server_cert_valid_time_longer_than_200_days"},
		// BR 7.1.4.2: the common name is one of the alternative names.
		{"a common name of its own", cabf, nil, "ecdsa-p256", "CN=mail.example.com", []pkix.Extension{san}, "error e_subject_common_name_not_exactly_from_san"},
		// BR 7.1.2.7.9.
		{"a server without policy", cabf, func(p *issuance.ProfileConfig) { p.Policies = nil }, "ecdsa-p256", common, []pkix.Extension{san}, "error e_sub_cert_certificate_policies_missing"},
		{"a finding that is ignored", issuance.LintConfig{Sources: []string{"CABF_BR"}, Ignore: []string{"e_ext_san_missing", "e_subject_common_name_not_exactly_from_san"}},
			nil, "ecdsa-p256", common, nil, ""},
		{"a rule of others", issuance.LintConfig{Sources: []string{"RFC5280"}}, nil, "ecdsa-p256", common, nil, ""},

		// RFC 3279 section 2.3.1: a CA's RSA key that signs certificates is not for encipherment.
		// (That EC keys are not, RFC 8813, profiles see to by themselves.)
		{"a key usage that is not for the type of key", issuance.LintConfig{}, func(p *issuance.ProfileConfig) {
			p.BasicConstraints.CA, p.ExtKeyUsage = true, issuance.UsageConfig{}
			p.KeyUsage.Fixed = []string{"keyCertSign", "cRLSign", "keyEncipherment"}
		}, "rsa-2048", "CN=Sub CA", nil, "error e_rsa_allowed_ku_no_encipherment_ca"},
		// RFC 5280 section 4.2.1.12: serverAuth is for digitalSignature, keyEncipherment or keyAgreement.
		{"key usages that contradict each other", issuance.LintConfig{}, func(p *issuance.ProfileConfig) {
			p.KeyUsage.Fixed = []string{"nonRepudiation"}
		}, "ecdsa-p256", common, []pkix.Extension{san}, "error e_key_usage_and_extended_key_usage_inconsistent"},
		// RFC 5280 section 4.1.2.6.
		{"an address in the subject alone", issuance.LintConfig{}, nil, "ecdsa-p256", "CN=x,emailAddress=x@example.com", nil, "error e_subj_email_not_in_san"},
		// RFC 5280 section 4.2.1.12: anyExtendedKeyUsage should not be critical.
		{"a warning does not refuse", issuance.LintConfig{}, anyPurpose, "ecdsa-p256", common, []pkix.Extension{san}, ""},
		{"a warning refuses where it shall", issuance.LintConfig{Refuse: "warn"}, anyPurpose, "ecdsa-p256", common, []pkix.Extension{san}, "warn w_eku_critical_improperly"},
		{"nothing refuses", issuance.LintConfig{Refuse: "none"}, nil, "ecdsa-p256", "CN=x,emailAddress=x@example.com", nil, ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg := server()
			if x.profile != nil {
				x.profile(&cfg)
			}
			found := mustCompile(t, x.lint)(trial(t, is, cfg, x.key, x.subject, x.exts...))
			refused := slices.DeleteFunc(slices.Clone(found), func(f issuance.Finding) bool { return !f.Refuse })
			if x.want == "" && len(refused) > 0 || x.want != "" && !slices.Contains(levelsOf(refused), x.want) {
				t.Errorf("found %q, of which %q refuse; want %q", levelsOf(found), levelsOf(refused), x.want)
			}
			for _, f := range found {
				if f.Text == "" || strings.Contains(f.Text, "\n") {
					t.Errorf("%s: text %q", f.Lint, f.Text)
				}
			}
		})
	}
}

// What the default profile of a fresh CA grants to ordinary requests has no
// finding at all, whatever kind of key the CA has. So it is with the roots.
func TestWhatAFreshCAIssuesIsClean(t *testing.T) {
	look := mustCompile(t, issuance.LintConfig{Refuse: "notice"})
	for _, keyType := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "ed25519", "ed448", "ml-dsa-65", "slh-dsa-sha2-128f", "mldsa65-ecdsa-p256-sha512"} {
		t.Run(keyType, func(t *testing.T) {
			is := ca(t, keyType)
			if found := look(is.Certificate()); len(found) > 0 {
				t.Errorf("the root: %q", levelsOf(found))
			}
			for _, of := range []string{"ecdsa-p256", "rsa-2048", "ed25519"} {
				for _, subject := range []string{"CN=device 0000001,O=Example Corp,C=DE", "CN=düse,O=Example"} {
					if found := look(trial(t, is, issuance.DefaultProfile(), of, subject, dnsNames(t, "device.example.com"))); len(found) > 0 {
						t.Errorf("%s for a key of type %s: %q", subject, of, levelsOf(found))
					}
				}
			}
		})
	}
}

// Keys and signatures that zlint does not know are read all the same; what it
// cannot say about them it does not.
func TestUnknownKeysCanBeLookedAt(t *testing.T) {
	look := mustCompile(t, issuance.LintConfig{Refuse: "notice"})
	is := ca(t, "ml-dsa-44")
	cfg := issuance.DefaultProfile()
	cfg.Keys = []string{"ed448", "ml-dsa-44", "ml-kem-768", "x25519", "x448", "slh-dsa-sha2-128f", "mldsa44-ed25519-sha512"}
	cfg.KeyUsage = issuance.UsageConfig{}
	for _, k := range cfg.Keys {
		if found := look(trial(t, is, cfg, k, "CN=x")); len(found) > 0 {
			t.Errorf("%s: %q", k, levelsOf(found))
		}
	}
}

func TestWhatCannotBeLookedAtIsAFinding(t *testing.T) {
	good := trial(t, ca(t, "ecdsa-p256"), server(), "ecdsa-p256", "CN=x")
	never := make(chan struct{})
	defer close(never)
	for _, x := range []struct {
		name  string
		parse func([]byte) (*x509.Certificate, error)
		der   []byte
		want  string
	}{
		{"no certificate", x509.ParseCertificate, []byte("none"), "zlint cannot read it: "},
		{"half a certificate", x509.ParseCertificate, good[:len(good)/2], "zlint cannot read it: "},
		{"a panic", func([]byte) (*x509.Certificate, error) { panic("off the map") }, good, `zlint cannot read it: "panic: off the map"`},
		{"an error with text of a stranger", func([]byte) (*x509.Certificate, error) { return nil, errors.New("\x1b[2J" + strings.Repeat("x", 1000)) }, good, `zlint cannot read it: "\x1b[2J`},
		{"nothing", func([]byte) (*x509.Certificate, error) { return nil, nil }, good, "zlint cannot read it: "},
		{"for ever", func([]byte) (*x509.Certificate, error) { <-never; return nil, nil }, good, "zlint was not done with it after "},
	} {
		t.Run(x.name, func(t *testing.T) {
			for _, cfg := range []issuance.LintConfig{{}, {Refuse: "fatal"}, {Refuse: "none"}, {Ignore: []string{NotLintable}}} {
				l, err := compile(cfg)
				if err != nil {
					t.Fatal(err)
				}
				l.parse = x.parse
				if x.name == "for ever" {
					l.patience = time.Millisecond
				}
				found := l.Look(x.der)
				if cfg.Ignore != nil {
					if found != nil {
						t.Errorf("ignored, and found %+v", found)
					}
					continue
				}
				if len(found) != 1 || found[0].Lint != NotLintable || found[0].Level != "fatal" || found[0].Refuse != (cfg.Refuse != "none") ||
					!strings.HasPrefix(found[0].Text, x.want) || len(found[0].Text) > 400 {
					t.Errorf("%+v: found %+v, want %q", cfg, found, x.want)
				}
			}
		})
	}
}

// Looks that never end take all places and no more; then others are refused.
func TestLooksThatNeverEndAreBounded(t *testing.T) {
	never := make(chan struct{})
	l, err := compile(issuance.LintConfig{})
	if err != nil {
		t.Fatal(err)
	}
	l.patience = time.Millisecond
	l.parse = func([]byte) (*x509.Certificate, error) { <-never; return nil, errors.New("at last") }
	busy := 0
	for range cap(atWork) + 5 {
		if found := l.Look(nil); strings.HasPrefix(found[0].Text, "zlint was busy") {
			busy++
		}
	}
	if n := len(atWork); n != cap(atWork) || busy < 5 {
		t.Errorf("%d of %d at work, %d times busy", n, cap(atWork), busy)
	}
	close(never)
	for range cap(atWork) { // each place is free again
		atWork <- struct{}{}
	}
	for range cap(atWork) {
		<-atWork
	}
}

func TestFaultsOfSettings(t *testing.T) {
	for _, x := range []struct {
		name string
		cfg  issuance.LintConfig
		want []string
	}{
		{"refuse", issuance.LintConfig{Refuse: "errors"}, []string{`lint.refuse: "errors" is none of notice, warn, error, fatal, none`}},
		{"source", issuance.LintConfig{Sources: []string{"RFC5280", "RFC9999"}}, []string{`lint.sources[1]: "RFC9999" is no source of lints; one of ` + strings.Join(Sources(), ", ")}},
		{"source twice", issuance.LintConfig{Sources: []string{"RFC5280", "RFC5280"}}, []string{"lint.sources[1]: RFC5280 is there twice"}},
		{"lint", issuance.LintConfig{Ignore: []string{"e_nothing_of_the_kind"}}, []string{`lint.ignore[0]: "e_nothing_of_the_kind" is no lint of zlint for certificates; cmp-batch cert lint --list names them all`}},
		{"a lint of CRLs", issuance.LintConfig{Ignore: []string{"e_crl_next_update_invalid"}}, []string{`lint.ignore[0]: "e_crl_next_update_invalid" is no lint of zlint for certificates; cmp-batch cert lint --list names them all`}},
		{"another letter", issuance.LintConfig{Ignore: []string{"w_subj_email_not_in_san"}}, []string{`lint.ignore[0]: "w_subj_email_not_in_san" is no lint of zlint for certificates; is it e_subj_email_not_in_san?`}},
		{"lint twice", issuance.LintConfig{Ignore: []string{NotLintable, NotLintable}}, []string{"lint.ignore[1]: not_lintable is there twice"}},
		{"lint of another source", issuance.LintConfig{Ignore: []string{"e_ext_san_missing"}}, []string{"lint.ignore[0]: e_ext_san_missing is a lint of CABF_BR, which is not among the sources; remove it"}},
		{"all at a time", issuance.LintConfig{Refuse: "x", Sources: []string{"y"}, Ignore: []string{"z"}}, []string{
			`lint.refuse: "x" is none of notice, warn, error, fatal, none`, `lint.sources[0]: "y" is no source of lints; one of ` + strings.Join(Sources(), ", "),
			`lint.ignore[0]: "z" is no lint of zlint for certificates; cmp-batch cert lint --list names them all`}},
		{"nothing left", issuance.LintConfig{Sources: []string{"Chrome"}, Ignore: lintsOf("Chrome")}, []string{"lint.ignore: no lint is left; remove lint to have none"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			look, err := Compile(x.cfg)
			if err == nil || look != nil || err.Error() != strings.Join(x.want, "\n") {
				t.Errorf("error %v\nwant %s", err, strings.Join(x.want, "\n"))
			}
		})
	}
}

func lintsOf(source string) (names []string) {
	for _, k := range All() {
		if k.Source == source {
			names = append(names, k.Name)
		}
	}
	return names
}

func TestTheWorstStandsFirst(t *testing.T) {
	cfg := server()
	cfg.Validity.Default, cfg.Policies, cfg.CAIssuersURLs = "1y", nil, nil
	found := mustCompile(t, issuance.LintConfig{Sources: Sources(), Refuse: "notice"})(trial(t, ca(t, "ecdsa-p256"), cfg, "ecdsa-p256", "CN=x"))
	if len(found) < 5 || !slices.IsSortedFunc(found, func(a, b issuance.Finding) int {
		return slices.Index(Levels(), b.Level) - slices.Index(Levels(), a.Level)
	}) {
		t.Errorf("%q", levelsOf(found))
	}
}

// zlint's own names and sources, as zlint -list-lints-source has them.
func TestSources(t *testing.T) {
	if got := defaultSources(); !slices.Equal(got, []string{"RFC3279", "RFC5280", "RFC5480", "RFC5891", "RFC6962", "RFC8813"}) {
		t.Errorf("default sources %q", got)
	}
	for _, s := range []string{"CABF_BR", "CABF_SMIME_BR", "CABF_EV", "CABF_CS_BR", "ETSI_ESI", "Mozilla", "Apple", "Chrome", "Community"} {
		if !slices.Contains(Sources(), s) {
			t.Errorf("no source %s among %q", s, Sources())
		}
	}
}

func TestManyLookAtOnce(t *testing.T) {
	der := trial(t, ca(t, "ecdsa-p256"), server(), "ecdsa-p256", "CN=x,emailAddress=x@example.com")
	look := mustCompile(t, issuance.LintConfig{})
	want := fmt.Sprint(look(der))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if got := fmt.Sprint(look(der)); got != want {
					t.Errorf("found %s, want %s", got, want)
				}
			}
		})
	}
	wg.Wait()
}
