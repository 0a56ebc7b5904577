package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// withCentralKeys lets keys be made for all who ask.
func withCentralKeys(types ...string) option {
	return func(b *bed) {
		for i := range b.cfg.Rules {
			b.cfg.Rules[i].CentralKeys = types
		}
		b.cfg.Profiles["default"] = profile(b, "default", func(c *issuance.ProfileConfig) {
			c.Keys = append(c.Keys, "x25519", "ml-kem-768", "ed448", "ml-dsa-44")
			c.KeyUsage.Default = append(c.KeyUsage.Default, "keyAgreement")
		})
	}
}

// withKGA has keys signed by a key generation authority.
func withKGA(change func(*x509.Certificate)) option {
	return func(b *bed) {
		kga := certify(b, b.ca, "Key generation", key(b, "p256 kga"), func(c *x509.Certificate) {
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 32}}
			if change != nil {
				change(c)
			}
		})
		b.cfg.Authority.KeyGenerator = &cmpcore.KeyGenerator{Certificate: kga.cert.Raw, Chain: kga.chain, Signer: kga.key}
	}
}

// keyAlgorithm names an algorithm in place of a public key.
func keyAlgorithm(t testing.TB, keyType string) func(*crmf.CertTemplate) {
	t.Helper()
	a, ok := alg.KeyTypeAlgorithm(keyType)
	if !ok {
		t.Fatal(keyType)
	}
	return func(c *crmf.CertTemplate) {
		var err error
		if c.PublicKey, err = pkix.NewSubjectPublicKeyInfo(a, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// openssl runs openssl in a folder.
func openssl(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// contentInfo puts an element under its content type, as openssl wants it.
func contentInfo(t testing.TB, typ string, der []byte) []byte {
	t.Helper()
	var oid asn1.ObjectIdentifier
	for _, n := range strings.Split(typ, ".") {
		oid = append(oid, must[int](t)(strconv.Atoi(n)))
	}
	return must[[]byte](t)(asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{oid, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: der}}))
}

// opensslOpens gives the private key of response 0 as openssl decrypts and
// verifies it.
func (r *reply) opensslOpens() crypto.PrivateKey {
	r.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		r.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	dir := r.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			r.Fatal(err)
		}
	}
	k := r.response(0).CertifiedKeyPair.PrivateKey
	if k == nil {
		r.Fatal("no private key came")
	}
	write("env.der", contentInfo(r, "1.2.840.113549.1.7.3", k.Enveloped))
	args := []string{"cms", "-decrypt", "-binary", "-inform", "DER", "-in", "env.der", "-out", "signed.der"}
	if h := r.party.holder; h != nil {
		write("me.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.cert.Raw}))
		write("me.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must[[]byte](r)(x509.MarshalPKCS8PrivateKey(h.key))}))
		args = append(args, "-recip", "me.crt", "-inkey", "me.key")
	} else {
		args = append(args, "-pwri_password", r.party.secret)
	}
	openssl(r, dir, args...)
	write("signed-info.der", contentInfo(r, "1.2.840.113549.1.7.2", must[[]byte](r)(os.ReadFile(filepath.Join(dir, "signed.der")))))
	write("root.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.root.cert.Raw}))
	openssl(r, dir, "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed-info.der", "-CAfile", "root.crt",
		"-purpose", "any", "-attime", strconv.FormatInt(r.now.Unix(), 10), "-out", "package.der")
	var pkg []asn1.RawValue
	if rest, err := asn1.Unmarshal(must[[]byte](r)(os.ReadFile(filepath.Join(dir, "package.der"))), &pkg); err != nil || len(rest) != 0 || len(pkg) != 1 {
		r.Fatalf("the package has %d keys: %v", len(pkg), err)
	}
	return must[any](r)(x509.ParsePKCS8PrivateKey(pkg[0].FullBytes))
}

func TestKeysMadeHereAsOpenSSLOpensThem(t *testing.T) {
	for _, kga := range []bool{false, true} {
		for name, who := range map[string]func(*bed) *party{
			"a shared secret": func(b *bed) *party { return b.device("dev-1") },
			"an RSA certificate": func(b *bed) *party {
				return b.signer(certify(b, b.partner, "rsa", key(b, "rsa2048 me"), func(c *x509.Certificate) {
					c.KeyUsage |= x509.KeyUsageKeyEncipherment
				}))
			},
			"an EC certificate": func(b *bed) *party {
				return b.signer(certify(b, b.partner, "ec", key(b, "p384 me"), func(c *x509.Certificate) {
					c.KeyUsage |= x509.KeyUsageKeyAgreement
				}))
			},
			"a certificate without keyUsage": func(b *bed) *party {
				return b.signer(certify(b, b.partner, "ec", key(b, "p256 me"), func(c *x509.Certificate) { c.KeyUsage = 0 }))
			},
		} {
			t.Run(fmt.Sprint(name, ", key generation authority: ", kga), func(t *testing.T) {
				options := []option{withCentralKeys("ecdsa-p384", "rsa-2048", "x25519")}
				if kga {
					options = append(options, withServer, withKGA(nil))
				}
				b := newBed(t, options...)
				k := b.talk(who(b))
				r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a"}), version3)
				private := r.opensslOpens()
				cert := r.cert(0)
				if p, ok := private.(*ecdsa.PrivateKey); !ok || !p.PublicKey.Equal(cert.PublicKey) {
					t.Fatalf("a %T, which is not the key of the certificate", private)
				} else {
					d := must[[]byte](t)(p.Bytes())
					if bytes.Contains(r.out.Reply, d) || strings.Contains(describe(r.out), fmt.Sprintf("%x", d)) {
						t.Error("the outcome has the private key in the clear")
					}
				}
				k.say(confirmation(cert), version3).body(cmp.TypePKIConf)
				b.wantStatus(cert, cmpcore.Valid)
			})
		}
	}
}

func TestWhichKeyIsMadeHere(t *testing.T) {
	b := newBed(t, withCentralKeys("ecdsa-p256", "ed25519", "rsa-2048", "rsa-3072", "x25519", "ml-kem-768", "ecdsa-p384"))
	algID := func(keyType string) []crmf.Attribute {
		a, _ := alg.KeyTypeAlgorithm(keyType)
		return []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewAlgID(a))}
	}
	bits := func(n int) []crmf.Attribute { return []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewRSAKeyLen(n))} }
	anyCurve := func(c *crmf.CertTemplate) {
		c.PublicKey = must[pkix.SubjectPublicKeyInfo](t)(pkix.NewSubjectPublicKeyInfo(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.10045.2.1")}, nil))
	}
	for name, c := range map[string]struct {
		want want
		made string
		fail cmp.PKIFailureInfo
	}{
		"nothing said":                 {want{}, "ecdsa-p256", 0},
		"a curve":                      {want{template: keyAlgorithm(t, "ecdsa-p384")}, "ecdsa-p384", 0},
		"any curve":                    {want{template: anyCurve}, "ecdsa-p256", 0},
		"another curve":                {want{template: keyAlgorithm(t, "ecdsa-p521")}, "", cmp.BadAlg},
		"Ed25519":                      {want{template: keyAlgorithm(t, "ed25519")}, "ed25519", 0},
		"RSA":                          {want{template: keyAlgorithm(t, "rsa-4096")}, "rsa-2048", 0},
		"RSA of 3072 bits":             {want{template: keyAlgorithm(t, "rsa-4096"), controls: bits(3072)}, "rsa-3072", 0},
		"3072 bits":                    {want{controls: bits(3072)}, "rsa-3072", 0},
		"RSA of 4096 bits":             {want{template: keyAlgorithm(t, "rsa-4096"), controls: bits(4096)}, "", cmp.BadAlg},
		"an EC key of 2048 bits":       {want{template: keyAlgorithm(t, "ecdsa-p256"), controls: bits(2048)}, "", cmp.BadAlg},
		"X25519":                       {want{template: keyAlgorithm(t, "x25519")}, "x25519", 0},
		"ML-KEM":                       {want{template: keyAlgorithm(t, "ml-kem-768")}, "ml-kem-768", 0},
		"another ML-KEM":               {want{template: keyAlgorithm(t, "ml-kem-512")}, "", cmp.BadAlg},
		"algId":                        {want{controls: algID("ed25519")}, "ed25519", 0},
		"algId and another algorithm":  {want{template: keyAlgorithm(t, "ecdsa-p256"), controls: algID("ed25519")}, "", cmp.BadAlg},
		"algId beside a public key":    {want{key: "p256 a", controls: algID("ecdsa-p256")}, "", cmp.BadRequest},
		"protocolEncrKey":              {want{controls: []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))}}, "", cmp.BadRequest},
		"a proof of possession":        {want{popo: func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }}, "", cmp.BadPOP},
		"algId that cannot be read":    {want{controls: []crmf.Attribute{{Type: crmf.OIDAlgID, Value: []byte{5, 0}}}}, "", cmp.BadDataFormat},
		"rsaKeyLen that is no number":  {want{controls: []crmf.Attribute{{Type: crmf.OIDRSAKeyLen, Value: []byte{5, 0}}}}, "", cmp.BadDataFormat},
		"an algorithm nobody knows":    {want{template: func(c *crmf.CertTemplate) { c.PublicKey = []byte("\x30\x0a\x30\x05\x06\x03\x2a\x03\x04\x03\x01\x00") }}, "", cmp.BadAlg},
		"a subject that is not served": {want{subject: "/"}, "", cmp.BadCertTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			b := &bed{TB: t, root: b.root, ca: b.ca, partner: b.partner, cfg: b.cfg, engine: b.engine, store: newStore(), now: b.now, channel: b.channel, nonces: map[string]bool{}}
			if c.want.subject == "" {
				c.want.subject = "CN=a"
			}
			r := b.asked("dev-1", c.want, version3)
			r.judge(c.fail)
			if c.fail != 0 {
				return
			}
			k := r.response(0).CertifiedKeyPair.PrivateKey
			u := must[*cms.Unwrapped](t)(cms.UnwrapPrivateKey(b.cfg.Random, k.Enveloped, &cms.Key{Password: []byte("secret of dev-1")}, nil))
			private := must[crypto.PrivateKey](t)(u.Keys[0].Parse())
			pub := private.(interface{ Public() crypto.PublicKey }).Public()
			if got := alg.KeyType(pub); got != c.made {
				t.Errorf("a key of type %q, want %q", got, c.made)
			}
			if got := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(pub)); !bytes.Equal(got, r.cert(0).RawSubjectPublicKeyInfo) {
				t.Error("the key is not that of the certificate")
			}
			if !strings.Contains(describe(r.out), "the key was made here: "+c.made) {
				t.Errorf("the audit log does not tell:\n%s", describe(r.out))
			}
		})
	}
}

func TestKeysAreNotMadeForEverybody(t *testing.T) {
	b := newBed(t, withCentralKeys("ecdsa-p256"), withRule("ra", func(r *cmpcore.Rule) { r.CentralKeys = nil }),
		withRule("slow", func(r *cmpcore.Rule) { r.KeyTypes = []string{"ed25519"} }))
	plain := want{subject: "CN=a"}
	b.asked("dev-1", plain).judge(cmp.BadRequest) // pvno 2
	b.asked("ra-1", plain, version3).judge(cmp.BadCertTemplate)
	b.asked("slow-1", plain, version3).judge(cmp.BadAlg)
	b.asked("dev-1", plain, version3, certProfile("strict")).judge(0)
	b.device("dev-2", func(s *cmpcore.Secret) { s.MaxUses, s.Used = 1, 1 })
	for name, h := range map[string]*holder{
		"an EC certificate without keyAgreement":     certify(t, b.partner, "x", key(t, "p256 me"), nil),
		"an RSA certificate without keyEncipherment": certify(t, b.partner, "x", key(t, "rsa2048 me"), nil),
		"an Ed25519 certificate":                     certify(t, b.partner, "x", key(t, "ed25519 me"), func(c *x509.Certificate) { c.KeyUsage = 0 }),
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(b.signer(h))
			k.say(k.request(cmp.TypeIR, plain), version3).judge(cmp.NotAuthorized)
		})
	}
	t.Run("too many at once", func(t *testing.T) {
		k := b.talk(b.device("dev-3"))
		var wants []want
		for i := range 18 {
			wants = append(wants, want{id: int64(i), subject: fmt.Sprintf("CN=%d", i)})
		}
		r := k.say(k.request(cmp.TypeIR, wants...), version3)
		r.cert(15)
		r.rejected(16, cmp.BadRequest)
		r.rejected(17, cmp.BadRequest)
	})
	t.Run("a used-up secret", func(t *testing.T) {
		k := b.talk(b.device("dev-4", func(s *cmpcore.Secret) { s.MaxUses, s.Used = 1, 1 }))
		k.say(k.request(cmp.TypeIR, plain), version3).judge(cmp.NotAuthorized)
	})
}

func TestAKeyIsMadeAfterApproval(t *testing.T) {
	b := newBed(t, withCentralKeys("ecdsa-p256"))
	k := b.talk(b.device("slow-1"))
	k.say(k.request(cmp.TypeIR, want{subject: "CN=a"}), version3).waits(0)
	if tx := b.store.transactionOf(k.id); !strings.Contains(tx.Summary, "key made here") {
		t.Errorf("summary %q", tx.Summary)
	}
	b.decide(k, cmpcore.Approved, "")
	r := k.say(poll(0), version3)
	if p, ok := r.opensslOpens().(*ecdsa.PrivateKey); !ok || !p.PublicKey.Equal(r.cert(0).PublicKey) {
		t.Error("not the key of the certificate")
	}
}

func TestKeyGeneratorThatNobodyWouldBelieve(t *testing.T) {
	for name, c := range map[string]struct {
		option option
		err    string
	}{
		"no purpose":          {withKGA(func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }), "cmKGA"},
		"no digitalSignature": {withKGA(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }), "digitalSignature"},
		"another key": {func(b *bed) {
			withKGA(nil)(b)
			b.cfg.Authority.KeyGenerator.Signer = key(b, "p256 other")
		}, "does not belong"},
		"none, and the CA's key is not at hand": {withServer, "no key generator"},
		"a type of key that cannot be made":     {withRule("ra", func(r *cmpcore.Rule) { r.CentralKeys = []string{"rsa-1024"} }), "rsa-1024"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			withCentralKeys("ecdsa-p256")(b)
			c.option(b)
			if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v, want %q", err, c.err)
			}
		})
	}
}

func TestTheClientTakesKeysMadeByTheEngine(t *testing.T) {
	b := newBed(t, withCentralKeys("ecdsa-p256", "rsa-2048", "x25519", "ml-kem-768", "ml-dsa-44", "ed448"), withKGA(nil))
	rsaHolder := b.signer(certify(b, b.partner, "rsa", key(b, "rsa2048 me"), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }))
	for _, who := range []*party{b.device("dev-1"), rsaHolder} {
		for _, keyType := range []string{"", "rsa-2048", "x25519", "ml-kem-768", "ml-dsa-44", "ed448"} {
			a, _ := alg.KeyTypeAlgorithm(keyType)
			c := b.credentials(who)
			s, der, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c, PVNO: 3,
				Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), CentralKey: &a}}})
			if err != nil {
				t.Fatal(err)
			}
			out := b.process(der)
			b.commit(der, out)
			r := must[*client.Result](t)(s.Accept(out.Reply, c))
			got := r.Certificates[0]
			if got.Err != nil || got.Key == nil {
				t.Fatalf("%q: %v", keyType, got.Err)
			}
			if keyType == "" {
				keyType = "ecdsa-p256"
			}
			pub := got.Key.(interface{ Public() crypto.PublicKey }).Public()
			if alg.KeyType(pub) != keyType {
				t.Errorf("a key of type %q, want %q", alg.KeyType(pub), keyType)
			}
			out = b.process(r.Next)
			b.commit(r.Next, out)
			if r = must[*client.Result](t)(s.Accept(out.Reply, c)); !r.Done {
				t.Errorf("%s: not done", keyType)
			}
		}
	}
}
