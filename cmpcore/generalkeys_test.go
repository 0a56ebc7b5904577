package cmpcore_test

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// withProfile offers another profile to secrets dev-*.
func withProfile(name string, change func(*issuance.ProfileConfig)) option {
	return func(b *bed) {
		b.cfg.Profiles[name] = profile(b, name, change)
		withRule("devices", func(r *cmpcore.Rule) { r.Profiles = append(r.Profiles[:len(r.Profiles):len(r.Profiles)], name) })(b)
	}
}

func (b *bed) asks(ref string, q cmp.InfoTypeAndValue, edits ...edit) *reply {
	b.Helper()
	return b.talk(b.device(ref)).say(genm(q), edits...)
}

// specs reads keySpec: dotted algorithms, and lengths of RSA keys.
func specs(t *testing.T, list []crmf.Attribute) (algs []string, lengths []int) {
	t.Helper()
	for _, c := range list {
		if a, err := c.AlgID(); err == nil {
			algs = append(algs, a.OID.String())
		} else if n, err := c.RSAKeyLen(); err == nil {
			lengths = append(lengths, n)
		} else {
			t.Errorf("control %s: %v", c.Type, err)
		}
	}
	return algs, lengths
}

func TestCertReqTemplateIsWhatTheProfileDemands(t *testing.T) {
	b := newBed(t, withProfile("factory", func(c *issuance.ProfileConfig) {
		c.Keys = []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048..3072"}
		c.Subject = issuance.SubjectConfig{FromRequest: true, Fixed: []string{"O=Factory"}, Required: []string{"CN", "serialNumber", "O"}}
		c.SAN.Required = true
		c.KeyUsage = issuance.UsageConfig{Fixed: []string{"digitalSignature"}}
		c.ExtKeyUsage = issuance.UsageConfig{Fixed: []string{"clientAuth"}}
	}))
	tmpl, err := b.asks("dev-1", question(cmp.OIDCertReqTemplate), certProfile("factory")).answer(cmp.OIDCertReqTemplate).CertReqTemplate()
	if err != nil {
		t.Fatal(err)
	}
	// O first, as fixed; the others in order and empty. The octets are of X.690.
	rdn := func(typ []byte, value ...byte) []byte {
		atv := append(append([]byte{0x30, byte(len(typ) + 4 + len(value)), 0x06, byte(len(typ))}, typ...), 0x0c, byte(len(value)))
		atv = append(atv, value...)
		return append([]byte{0x31, byte(len(atv))}, atv...)
	}
	rdns := slices.Concat(rdn([]byte{85, 4, 10}, []byte("Factory")...), rdn([]byte{85, 4, 3}), rdn([]byte{85, 4, 5}))
	if want := append([]byte{0x30, byte(len(rdns))}, rdns...); !bytes.Equal(tmpl.Template.Subject, want) {
		t.Errorf("subject %x\nwant    %x", []byte(tmpl.Template.Subject), want)
	}
	if tmpl.Template.PublicKey != nil || tmpl.Template.SerialNumber != nil || tmpl.Template.Issuer != nil || tmpl.Template.Validity != nil {
		t.Error("fields that must not or need not be there are")
	}
	ku, _ := pkix.FindExtension(tmpl.Template.Extensions, pkix.OIDKeyUsage)
	eku, _ := pkix.FindExtension(tmpl.Template.Extensions, pkix.OIDExtKeyUsage)
	san, ok := pkix.FindExtension(tmpl.Template.Extensions, pkix.OIDSubjectAltName)
	if u, _ := pkix.ParseKeyUsage(ku.Value); u != pkix.DigitalSignature {
		t.Errorf("key usage %s", u)
	}
	if l, _ := pkix.ParseExtKeyUsage(eku.Value); len(l) != 1 || l[0].String() != "1.3.6.1.5.5.7.3.2" {
		t.Errorf("extended key usage %v", l)
	}
	if !ok || len(san.Value) != 0 {
		t.Error("a place for the alternative names is wanted")
	}
	algs, lengths := specs(t, tmpl.KeySpec)
	if !slices.Equal(algs, []string{"1.2.840.10045.2.1", "1.2.840.10045.2.1"}) || !slices.Equal(lengths, []int{2048, 3072}) {
		t.Errorf("keySpec %q %d", algs, lengths)
	}
}

// The usages of a profile that not every key can serve are no advice: who
// followed it would be refused where the profile is strict.
func TestCertReqTemplateLeavesOutWhatSomeKeysCannotDo(t *testing.T) {
	b := newBed(t)
	tmpl, err := b.asks("dev-1", question(cmp.OIDCertReqTemplate)).answer(cmp.OIDCertReqTemplate).CertReqTemplate()
	if err != nil || tmpl.Template.Subject != nil || len(tmpl.Template.Extensions) != 0 {
		t.Errorf("%+v %v", tmpl.Template, err)
	}
	tmpl, err = b.asks("dev-2", question(cmp.OIDCertReqTemplate), certProfile("strict")).answer(cmp.OIDCertReqTemplate).CertReqTemplate()
	algs, lengths := specs(t, tmpl.KeySpec)
	if err != nil || len(algs) != 1 || len(lengths) != 0 {
		t.Errorf("keySpec %q %d %v", algs, lengths, err)
	}
	narrow := newBed(t, withRule("devices", func(r *cmpcore.Rule) { r.KeyTypes = []string{"rsa-3072"} }))
	tmpl, err = narrow.asks("dev-1", question(cmp.OIDCertReqTemplate)).answer(cmp.OIDCertReqTemplate).CertReqTemplate()
	algs, lengths = specs(t, tmpl.KeySpec)
	if err != nil || len(algs) != 0 || !slices.Equal(lengths, []int{3072}) {
		t.Errorf("keySpec %q %d %v", algs, lengths, err)
	}
}

func TestCertReqTemplateRefusals(t *testing.T) {
	b := newBed(t)
	ask := func(ref string, edits ...edit) *reply { return b.asks(ref, question(cmp.OIDCertReqTemplate), edits...) }
	ask("dev-1", certProfile("no-such")).refused(cmp.UnacceptedPolicy)
	ask("dev-2", certProfile("default", "strict")).refused(cmp.BadRequest)
	ask("dev-3", func(m *message) {
		m.GeneralInfo = []cmp.InfoTypeAndValue{{Type: cmp.OIDCertProfile, Value: pkix.Null}}
	}).refused(cmp.BadDataFormat)
	if a := ask("ask-1").answer(cmp.OIDCertReqTemplate); a.Value != nil {
		t.Error("who may have nothing issued got a template")
	}
	ask("ask-2", certProfile("default")).refused(cmp.UnacceptedPolicy)
}

func TestKeysForEncryption(t *testing.T) {
	b := newBed(t, withProfile("crypt", func(c *issuance.ProfileConfig) {
		c.Keys = []string{"x25519", "ed25519", "ecdsa-p384"}
		c.KeyUsage = issuance.UsageConfig{Fixed: []string{"keyAgreement"}}
	}))
	algs, err := b.asks("dev-1", question(cmp.OIDEncKeyPairTypes)).answer(cmp.OIDEncKeyPairTypes).EncKeyPairTypes()
	var got []string
	for _, a := range algs {
		got = append(got, a.OID.String())
	}
	// default: the three curves and RSA; crypt: P-384 again, and X25519.
	want := []string{"1.2.840.10045.2.1", "1.2.840.10045.2.1", "1.2.840.10045.2.1", "1.2.840.113549.1.1.1", "1.3.101.110"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q %v", got, err)
	}
	only := newBed(t, withRule("devices", func(r *cmpcore.Rule) { r.KeyTypes = []string{"ed25519"} }))
	if oids, err := only.asks("dev-1", question(cmp.OIDEncKeyPairTypes)).answer(cmp.OIDUnsupportedOIDs).UnsupportedOIDs(); err != nil || oids[0] != cmp.OIDEncKeyPairTypes {
		t.Errorf("%v %v", oids, err)
	}
}

func TestKeyPairParameters(t *testing.T) {
	b := newBed(t)
	ask := func(dotted string) cmp.InfoTypeAndValue {
		q, err := cmp.NewKeyPairParamReq(pkix.MustOID(dotted))
		if err != nil {
			t.Fatal(err)
		}
		return b.asks("dev-1", q).answer(cmp.OIDKeyPairParamRep)
	}
	p256 := []byte{0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}
	if a, err := ask("1.2.840.10045.2.1").KeyPairParamRep(); err != nil || !bytes.Equal(a.Parameters, p256) {
		t.Errorf("%x %v", a.Parameters, err)
	}
	if a, err := ask("1.2.840.113549.1.1.1").KeyPairParamRep(); err != nil || !bytes.Equal(a.Parameters, pkix.Null) {
		t.Errorf("%x %v", a.Parameters, err)
	}
	if a := ask("1.2.840.10040.4.1"); a.Value != nil {
		t.Error("DSA is not supported")
	}
	b.asks("dev-1", question(cmp.OIDKeyPairParamReq)).refused(cmp.BadDataFormat)
}

func TestSupportedLanguages(t *testing.T) {
	b := newBed(t)
	for offered, want := range map[string]string{"de en": "en", "EN-GB en": "EN-GB", "en": "en"} {
		q, err := cmp.NewSuppLangTags(strings.Fields(offered))
		if err != nil {
			t.Fatal(err)
		}
		got, err := b.asks("dev-1", q).answer(cmp.OIDSuppLangTags).SuppLangTags()
		if err != nil || !slices.Equal(got, []string{want}) {
			t.Errorf("of %q: %q %v", offered, got, err)
		}
	}
	q, _ := cmp.NewSuppLangTags([]string{"de", "enm"})
	b.asks("dev-1", q).refused(cmp.AddInfoNotAvailable)
	q, _ = cmp.NewSuppLangTags(nil)
	b.asks("dev-1", q).refused(cmp.BadDataFormat)
	b.asks("dev-1", question(cmp.OIDSuppLangTags)).refused(cmp.BadDataFormat)
}

func withEncryption(b *bed) {
	h := certify(b, b.ca, "Encryption", key(b, "rsa2048 enc"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	b.cfg.Encryption = &cmpcore.Encryption{Certificate: h.cert.Raw, Key: h.key, Algorithm: pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.16.840.1.101.3.4.1.42")}}
}

func TestTheCertificateToEncryptTo(t *testing.T) {
	b := newBed(t, withEncryption)
	cert, err := b.asks("dev-1", question(cmp.OIDCAProtEncCert)).answer(cmp.OIDCAProtEncCert).CAProtEncCert()
	if err != nil || !bytes.Equal(cert, b.cfg.Encryption.Certificate) {
		t.Errorf("caProtEncCert: %v", err)
	}
	a, err := b.asks("dev-1", question(cmp.OIDPreferredSymmAlg)).answer(cmp.OIDPreferredSymmAlg).PreferredSymmAlg()
	if err != nil || a.OID.String() != "2.16.840.1.101.3.4.1.42" || a.Parameters != nil {
		t.Errorf("preferredSymmAlg: %+v %v", a, err)
	}
	b = newBed(t)
	if a := b.asks("dev-1", question(cmp.OIDCAProtEncCert)).answer(cmp.OIDCAProtEncCert); a.Value != nil {
		t.Error("a certificate from nowhere")
	}
	b.asks("dev-1", question(cmp.OIDPreferredSymmAlg)).answer(cmp.OIDUnsupportedOIDs)
}

func TestAnEncryptionCertificateMustBeGoodForIt(t *testing.T) {
	for name, c := range map[string]struct {
		key, other string
		usage      x509.KeyUsage
		fault      string
	}{
		"EC for agreement":       {"p256 enc", "", x509.KeyUsageKeyAgreement, ""},
		"without key usage":      {"p256 enc", "", 0, ""},
		"EC for encipherment":    {"p256 enc", "", x509.KeyUsageKeyEncipherment, "keyAgreement"},
		"RSA for signatures":     {"rsa2048 enc", "", x509.KeyUsageDigitalSignature, "keyEncipherment"},
		"a key that only signs":  {"ed25519 enc", "", 0, "nothing can be encrypted"},
		"the key of another one": {"p256 enc", "p256 other", x509.KeyUsageKeyAgreement, "does not belong"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			h := certify(b, b.ca, "Encryption", key(b, c.key), func(tmpl *x509.Certificate) { tmpl.KeyUsage = c.usage })
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: h.cert.Raw, Key: h.key}
			if c.other != "" {
				b.cfg.Encryption.Key = key(b, c.other)
			}
			_, err := cmpcore.New(b.cfg)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("%v, want %q", err, c.fault)
			}
		})
	}
}
