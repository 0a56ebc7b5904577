package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// bench is a directory in which openssl works.
type bench struct {
	t   *testing.T
	dir string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatalf("openssl is needed for this test: %v", err)
	}
	return &bench{t, t.TempDir()}
}

func (b *bench) run(args string) {
	b.t.Helper()
	cmd := exec.Command("openssl", strings.Fields(args)...)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("openssl %s: %v\n%s", args, err, out)
	}
}

func (b *bench) read(name string) []byte {
	b.t.Helper()
	return must[[]byte](b.t)(os.ReadFile(filepath.Join(b.dir, name)))
}

func (b *bench) write(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) writeParty(name string, p *party) {
	b.t.Helper()
	key := must[[]byte](b.t)(x509.MarshalPKCS8PrivateKey(p.key))
	b.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	b.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.cert}))
}

var testContent = []byte("a content of\r\nmore than one block, and \x00 octets\n")

func TestWhatOpenSSLEncryptsIsRead(t *testing.T) {
	b := newBench(t)
	all := everybody(t)
	b.write("in", testContent)
	for _, name := range []string{"rsa", "rsa no ski", "p256", "p384", "p521"} {
		b.writeParty(strings.ReplaceAll(name, " ", "-"), all[name])
	}
	pw := []byte("a-shared-secret")
	allowed := &Policy{AllowPKCS1v15: true}
	for _, c := range []struct {
		args   string
		key    Key
		policy *Policy
		kind   Technique
	}{
		{"-recip rsa.crt -keyopt rsa_padding_mode:oaep -aes256", Key{Private: all["rsa"].key, Certificate: all["rsa"].cert}, nil, KeyTransport},
		{"-recip rsa.crt -keyid -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -aes128", Key{Private: all["rsa"].key, Certificate: all["rsa"].cert}, &Policy{RefuseSHA1: true}, KeyTransport},
		{"-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha512 -keyopt rsa_mgf1_md:sha1 -keyopt rsa_oaep_label:6162 -aes192", Key{Private: all["rsa"].key}, nil, KeyTransport},
		{"-recip rsa.crt -aes256", Key{Private: all["rsa"].key}, allowed, KeyTransport},
		{"-recip p256.crt -aes256", Key{Private: all["p256"].key, Certificate: all["p256"].cert}, nil, KeyAgreement},
		{"-recip p256.crt -keyid -aes128 -keyopt ecdh_kdf_md:sha224", Key{Private: all["p256"].key, Certificate: all["p256"].cert}, &Policy{RefuseSHA1: true}, KeyAgreement},
		{"-recip p384.crt -aes192 -keyopt ecdh_kdf_md:sha384", Key{Private: all["p384"].key, Certificate: all["p384"].cert}, nil, KeyAgreement},
		{"-recip p521.crt -aes256 -aes256-wrap -keyopt ecdh_kdf_md:sha512", Key{Private: all["p521"].key, Certificate: all["p521"].cert}, nil, KeyAgreement},
		{"-recip p256.crt -aes256 -aes128-wrap -keyopt ecdh_kdf_md:sha256 -keyopt ecdh_cofactor_mode:1", Key{Private: all["p256"].key}, nil, KeyAgreement},
		{"-pwri_password a-shared-secret -aes256", Key{Password: pw}, nil, Password},
		{"-pwri_password a-shared-secret -aes192", Key{Password: pw}, nil, Password},
		{"-pwri_password a-shared-secret -aes128", Key{Password: pw}, nil, Password},
		{"-recip rsa.crt -recip p256.crt -recip p384.crt -aes256", Key{Private: all["p384"].key, Certificate: all["p384"].cert}, nil, KeyTransport},
		{"-aes-256-gcm -recip p256.crt", Key{Private: all["p256"].key}, nil, KeyAgreement},
		{"-aes-128-gcm -recip rsa.crt -keyopt rsa_padding_mode:oaep", Key{Private: all["rsa"].key}, nil, KeyTransport},
		{"-aes-192-gcm -recip p521.crt", Key{Private: all["p521"].key}, nil, KeyAgreement},
	} {
		b.run("cms -encrypt -binary -in in -outform DER -out out " + c.args)
		parse, typ := ParseEnvelopedData, OIDEnvelopedData
		if strings.Contains(c.args, "-gcm") {
			parse, typ = ParseAuthEnvelopedData, OIDAuthEnvelopedData
		}
		e, err := parse(contentOf(t, b.read("out"), typ))
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		got, err := e.Decrypt(rand.Reader, &c.key, c.policy)
		if err != nil || !bytes.Equal(got, testContent) {
			t.Errorf("%s: %q, %v", c.args, got, err)
		}
		if e.ContentType != OIDData || e.Recipients()[0].Technique != c.kind && len(e.Recipients()) == 1 {
			t.Errorf("%s: %s, %v", c.args, e.ContentType, e.Recipients())
		}
	}
}

func TestOpenSSLReadsWhatIsEncrypted(t *testing.T) {
	b := newBench(t)
	all := everybody(t)
	for _, name := range []string{"rsa", "rsa no ski", "p256", "p384", "p521"} {
		b.writeParty(strings.ReplaceAll(name, " ", "-"), all[name])
	}
	issuer := func(name string) Identifier { return must[Identifier](t)(IssuerAndSerial(all[name].cert)) }
	cert := func(name string, o *RecipientOptions) *Recipient {
		return must[*Recipient](t)(ForCertificate(all[name].cert, o))
	}
	password := func(o *PasswordOptions) *Recipient { return must[*Recipient](t)(ForPassword([]byte("secret"), o)) }
	for _, c := range []struct {
		what   string
		to     []*Recipient
		args   string
		cipher string
	}{
		{"OAEP", []*Recipient{cert("rsa", nil)}, "-recip rsa.crt -inkey rsa.key", ""},
		{"OAEP, no key identifier", []*Recipient{cert("rsa no ski", nil)}, "-recip rsa-no-ski.crt -inkey rsa-no-ski.key", "aes128-cbc"},
		{"OAEP SHA-512", []*Recipient{cert("rsa", &RecipientOptions{Hash: crypto.SHA512, ID: issuer("rsa")})}, "-recip rsa.crt -inkey rsa.key", "aes192-cbc"},
		{"P-256", []*Recipient{cert("p256", nil)}, "-recip p256.crt -inkey p256.key", ""},
		{"P-256 by issuer, SHA-224, wrap 128", []*Recipient{cert("p256", &RecipientOptions{ID: issuer("p256"), Hash: crypto.SHA224, WrapKeySize: 16})}, "-recip p256.crt -inkey p256.key", ""},
		{"P-384", []*Recipient{cert("p384", nil)}, "-recip p384.crt -inkey p384.key", ""},
		{"P-521", []*Recipient{cert("p521", &RecipientOptions{WrapKeySize: 24})}, "-recip p521.crt -inkey p521.key", ""},
		{"password", []*Recipient{password(nil)}, "-pwri_password secret", ""},
		{"password, SHA-512, AES-128", []*Recipient{password(&PasswordOptions{PRF: crypto.SHA512, Iterations: 5000, SaltSize: 32})}, "-pwri_password secret", "aes128-cbc"},
		{"several, the last", []*Recipient{cert("rsa", nil), password(nil), cert("p256", nil)}, "-recip p256.crt -inkey p256.key", ""},
		{"several, the first", []*Recipient{cert("rsa", nil), cert("ml-kem-768", nil), cert("p256", nil)}, "-recip rsa.crt -inkey rsa.key", ""},
		{"GCM", []*Recipient{cert("p256", nil)}, "-recip p256.crt -inkey p256.key", "aes256-gcm"},
		{"GCM 128", []*Recipient{cert("rsa", nil)}, "-recip rsa.crt -inkey rsa.key", "aes128-gcm"},
	} {
		o := &EncryptOptions{Cipher: c.cipher}
		var der []byte
		var err error
		typ := OIDEnvelopedData
		if strings.HasSuffix(c.cipher, "gcm") {
			typ = OIDAuthEnvelopedData
			der, err = EncryptAuthenticated(rand.Reader, c.to, OIDData, testContent, o)
		} else {
			der, err = Encrypt(rand.Reader, c.to, OIDData, testContent, o)
		}
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		b.write("msg", contentInfoOf(t, typ, der))
		os.Remove(filepath.Join(b.dir, "plain"))
		b.run("cms -decrypt -binary -inform DER -in msg -out plain " + c.args)
		if got := b.read("plain"); !bytes.Equal(got, testContent) {
			t.Errorf("%s: openssl read %q", c.what, got)
		}
	}
}

func TestWhatOpenSSLSignsIsVerified(t *testing.T) {
	b := newBench(t)
	all := everybody(t)
	b.write("in", testContent)
	for _, name := range []string{"rsa", "rsa no ski", "p256", "p384", "p521"} {
		b.writeParty(strings.ReplaceAll(name, " ", "-"), all[name])
	}
	for _, c := range []struct {
		args    string
		signers []string
		typ     pkix.OID
		policy  *VerifyPolicy
		known   [][]byte
	}{
		{"-signer rsa.crt -inkey rsa.key", []string{"rsa"}, OIDData, nil, nil},
		{"-signer rsa.crt -inkey rsa.key -md sha384 -keyid", []string{"rsa"}, OIDData, nil, nil},
		{"-signer rsa.crt -inkey rsa.key -keyopt rsa_padding_mode:pss -md sha256 -keyopt rsa_pss_saltlen:-1", []string{"rsa"}, OIDData, nil, nil},
		{"-signer rsa-no-ski.crt -inkey rsa-no-ski.key -nosmimecap", []string{"rsa no ski"}, OIDData, nil, nil},
		{"-signer p256.crt -inkey p256.key -econtent_type 2.16.840.1.101.2.1.2.78.5", []string{"p256"}, OIDKeyPackage, nil, nil},
		{"-signer p384.crt -inkey p384.key -md sha384 -keyid -cades", []string{"p384"}, OIDData, nil, nil},
		{"-signer p521.crt -inkey p521.key -md sha512 -nocerts", []string{"p521"}, OIDData, nil, [][]byte{all["rsa"].cert, all["p521"].cert}},
		{"-signer p256.crt -inkey p256.key -noattr", []string{"p256"}, OIDData, &VerifyPolicy{AllowNoAttributes: true}, nil},
		{"-signer rsa.crt -inkey rsa.key -noattr", []string{"rsa"}, OIDData, &VerifyPolicy{AllowNoAttributes: true}, nil},
		{"-signer rsa.crt -inkey rsa.key -signer p256.crt -inkey p256.key", []string{"rsa", "p256"}, OIDData, nil, nil},
	} {
		b.run("cms -sign -binary -nodetach -in in -outform DER -out out " + c.args)
		s, err := ParseSignedData(contentOf(t, b.read("out"), OIDSignedData))
		if err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		content, by, err := s.Verify(c.known, c.policy)
		if err != nil || !bytes.Equal(content, testContent) || s.ContentType != c.typ || len(by) != len(c.signers) {
			t.Errorf("%s: %q, %d signers, %v", c.args, content, len(by), err)
			continue
		}
		for _, name := range c.signers {
			found := false
			for _, sig := range by {
				found = found || bytes.Equal(sig.Certificate, all[name].cert)
				if sig.SigningTime.IsZero() != strings.Contains(c.args, "-noattr") {
					t.Errorf("%s: signing time %v", c.args, sig.SigningTime)
				}
			}
			if !found {
				t.Errorf("%s: not signed by %s", c.args, name)
			}
		}
		if c.policy != nil {
			if _, _, err := s.Verify(c.known, nil); err == nil {
				t.Errorf("%s: accepted without attributes", c.args)
			}
		}
	}
	b.run("cms -sign -binary -nodetach -in in -outform DER -out out -signer rsa.crt -inkey rsa.key -md sha1")
	s := must[*SignedData](t)(ParseSignedData(contentOf(t, b.read("out"), OIDSignedData)))
	if _, _, err := s.Verify(nil, nil); !isErr(err, alg.ErrForbidden) {
		t.Errorf("SHA-1: %v", err)
	}
}

func TestOpenSSLVerifiesWhatIsSigned(t *testing.T) {
	b := newBench(t)
	all := everybody(t)
	for _, c := range []struct {
		name, algorithm string
		typ             pkix.OID
	}{
		{"rsa", "", OIDKeyPackage}, {"rsa", "rsa-sha512", OIDData}, {"rsa", "rsa-pss-sha256", OIDKeyPackage}, {"rsa no ski", "", OIDData},
		{"p256", "", OIDKeyPackage}, {"p384", "", OIDKeyPackage}, {"p521", "ecdsa-sha256", OIDData},
	} {
		p := all[c.name]
		b.writeParty("signer", p)
		der, err := Sign(rand.Reader, &Signer{p.key.(crypto.Signer), [][]byte{p.cert}, c.algorithm}, c.typ, testContent, testNow)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		b.write("msg", contentInfoOf(t, OIDSignedData, der))
		b.run("cms -verify -binary -inform DER -in msg -CAfile signer.crt -purpose any -partial_chain -out plain")
		if got := b.read("plain"); !bytes.Equal(got, testContent) {
			t.Errorf("%s: openssl read %q", c.name, got)
		}
		signers := must[*SignedData](t)(ParseSignedData(der))
		if _, by, err := signers.Verify(nil, nil); err != nil || !by[0].SigningTime.Equal(testNow) {
			t.Errorf("%s: %v, %v", c.name, by, err)
		}
	}
}

// OpenSSL opens the two layers of a private key and reads the key.
func TestOpenSSLReadsAWrappedPrivateKey(t *testing.T) {
	b := newBench(t)
	all := everybody(t)
	b.writeParty("ee", all["p256"])
	b.writeParty("kga", all["rsa"])
	key := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ecdsa-p384"))
	der, err := WrapPrivateKey(rand.Reader, key, kga(all["rsa"]), must[*Recipient](t)(ForCertificate(all["p256"].cert, nil)), testNow, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.write("enveloped", contentInfoOf(t, OIDEnvelopedData, der))
	b.run("cms -decrypt -binary -inform DER -in enveloped -out signed -recip ee.crt -inkey ee.key")
	b.write("signed", contentInfoOf(t, OIDSignedData, b.read("signed")))
	b.run("cms -verify -binary -inform DER -in signed -CAfile kga.crt -purpose any -partial_chain -out package")
	keys := must[[]*OneAsymmetricKey](t)(ParseKeyPackage(b.read("package")))
	b.write("key", must[[]byte](t)(keys[0].PKCS8()))
	b.run("pkey -inform DER -in key -pubout -outform DER -out pub")
	if want := must[[]byte](t)(x509.MarshalPKIXPublicKey(key.Public())); !bytes.Equal(b.read("pub"), want) {
		t.Errorf("public key %x", b.read("pub"))
	}
}
