package cmpcore_test

import (
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// factory is a root, and a device's certificate by it, with keys of a type that
// the standard library need not know.
func factory(t *testing.T, keyType string) (root, device *holder) {
	t.Helper()
	rootKey, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	period, _ := issuance.ParsePeriod("20y")
	der, err := issuance.SelfSigned(rand.Reader, rootKey, "", dn(t, "CN=Factory,O=Example"), period, epoch.Add(-day))
	if err != nil {
		t.Fatal(err)
	}
	is, err := issuance.NewIssuer(der, rootKey, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := issuance.Compile(issuance.ProfileConfig{Name: "device", Keys: []string{keyType}, Validity: issuance.ValidityConfig{Default: "9y"},
		Subject: issuance.SubjectConfig{FromRequest: true}, KeyUsage: issuance.UsageConfig{Fixed: []string{"digitalSignature"}}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := alg.MarshalPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(issuance.Request{Subject: dn(t, "CN=device,O=Example"), PublicKey: spki}, is, epoch)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := issuance.NewSerial(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := is.Issue(rand.Reader, prepared, serial)
	if err != nil {
		t.Fatal(err)
	}
	parse := func(der []byte) *x509.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return &holder{key: rootKey, cert: parse(der)}, &holder{key: k, cert: parse(leaf), chain: [][]byte{der}}
}

func TestSignersOfEveryAlgorithm(t *testing.T) {
	for _, kt := range []string{"ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "slh-dsa-sha2-128f", "mldsa65-ecdsa-p256-sha512", "mldsa87-ed448-shake256"} {
		t.Run(kt, func(t *testing.T) {
			root, device := factory(t, kt)
			other, stranger := factory(t, kt)
			b := newBed(t, func(b *bed) {
				b.cfg.Rules = append(b.cfg.Rules, cmpcore.Rule{Name: "factory", Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{root.cert}},
					May: []cmp.BodyType{cmp.TypeIR}, Profiles: []string{"strict"}})
			})
			k := b.talk(b.signer(device))
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
			// The same names, other keys.
			k = b.talk(b.signer(stranger))
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).stranger(cmp.SignerNotTrusted)
			k = b.talk(b.signer(&holder{key: other.key, cert: device.cert, chain: device.chain}))
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).stranger(cmp.BadMessageCheck)
		})
	}
}

func TestTheProtectionKeyMustBeOfItsCertificate(t *testing.T) {
	_, device := factory(t, "ml-dsa-44")
	_, other := factory(t, "ml-dsa-44")
	b := newBed(t)
	cfg := b.cfg
	cfg.Authority.ProtectionCertificate, cfg.Authority.ProtectionChain = device.cert.Raw, device.chain
	cfg.Authority.Signer, cfg.Authority.SignatureAlgorithm = other.key, ""
	if _, err := cmpcore.New(cfg); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("another key: %v", err)
	}
	cfg.Authority.Signer = device.key
	if _, err := cmpcore.New(cfg); err != nil {
		t.Error(err)
	}
	if a, err := alg.SignatureFor(device.key.Public(), ""); err != nil || a.OID != pkix.MustOID("2.16.840.1.101.3.4.3.17") {
		t.Errorf("%x, %v", a.Bytes(), err)
	}
}
