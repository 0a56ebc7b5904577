package cmpcore_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
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

// withDecryptionKeys certifies keys that cannot sign.
func withDecryptionKeys(b *bed) {
	b.cfg.Profiles["default"] = profile(b, "default", func(c *issuance.ProfileConfig) {
		c.Keys = append(c.Keys, "x25519", "x448", "ml-kem-512", "ml-kem-768", "ml-kem-1024")
		c.KeyUsage.Default = append(c.KeyUsage.Default, "keyAgreement")
	})
}

func subsequent(use, what int) func(*crmf.CertReqMsg) {
	return func(r *crmf.CertReqMsg) {
		r.POPO = &crmf.POPOPrivKey{Use: use, Form: crmf.SubsequentMessage, Subsequent: what}
	}
}

// encrCert asks for an encrypted certificate for a key.
func encrCert(t testing.TB, private crypto.PrivateKey, use int) want {
	t.Helper()
	spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
	return want{subject: "CN=a", template: func(c *crmf.CertTemplate) { c.PublicKey = spki }, popo: subsequent(use, crmf.EncrCert)}
}

// decrypted opens the certificate of response i.
func (r *reply) decrypted(i int, private crypto.PrivateKey) *x509.Certificate {
	r.Helper()
	kp := r.response(i).CertifiedKeyPair
	if kp == nil || kp.EncryptedCert == nil || kp.Certificate != nil {
		r.Fatalf("response %d has no encrypted certificate (%s)", i, r.out.Reason)
	}
	e := must[*cms.Envelope](r)(cms.ParseEnvelopedData(kp.EncryptedCert.Enveloped))
	der := must[[]byte](r)(e.Decrypt(rand.Reader, &cms.Key{Private: private}, nil))
	if n := len(e.Recipients()); n != 1 || e.ContentType != cms.OIDData {
		r.Errorf("%d recipients of %s", n, e.ContentType)
	}
	cert := must[*x509.Certificate](r)(x509.ParseCertificate(der))
	if id := e.Recipients()[0].ID; id.Serial.Cmp(cert.SerialNumber) != 0 || !id.Issuer.Matches(pkix.Name(cert.RawIssuer)) {
		r.Errorf("the recipient is named %v", id)
	}
	return cert
}

func anyKey(t testing.TB, keyType string) crypto.PrivateKey {
	t.Helper()
	return must[crypto.PrivateKey](t)(alg.GenerateAnyKey(rand.Reader, keyType))
}

func TestEncryptedCertificates(t *testing.T) {
	for keyType, use := range map[string]int{
		"x25519": crmf.KeyAgreement, "x448": crmf.KeyAgreement, "ecdsa-p256": crmf.KeyAgreement, "rsa-2048": crmf.KeyEncipherment,
		"ml-kem-512": crmf.KeyEncipherment, "ml-kem-768": crmf.KeyEncipherment, "ml-kem-1024": crmf.KeyEncipherment,
	} {
		t.Run(keyType, func(t *testing.T) {
			b := newBed(t, withDecryptionKeys, withPolicy(func(p *cmpcore.Policy) { p.KeepUnconfirmed = true }))
			private := anyKey(t, keyType)
			k := b.talk(b.device("dev-1"))
			r := k.say(k.request(cmp.TypeIR, encrCert(t, private, use)), version3, implicit)
			if asksImplicit(r) {
				t.Error("implicitConfirm was granted, and nothing is proven")
			}
			cert := r.decrypted(0, private)
			b.wantStatus(cert, cmpcore.Unconfirmed)
			wrong := sha256.Sum256([]byte("a guess"))
			k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{{CertHash: wrong[:], CertReqID: big.NewInt(0)}}}, version3).refused(cmp.BadCertID)
			b.wantStatus(cert, cmpcore.Unconfirmed)
			k.peer = r.msg.Header.SenderNonce
			k.say(confirmation(cert), version3).body(cmp.TypePKIConf)
			b.wantStatus(cert, cmpcore.Valid)

			// Who never confirms has proven nothing, whatever the policy.
			k = b.talk(b.device("dev-2"))
			cert = k.say(k.request(cmp.TypeIR, encrCert(t, private, use)), version3).decrypted(0, private)
			b.now = b.now.Add(31 * day)
			b.expire()
			b.wantStatus(cert, cmpcore.RejectedByHolder)
			k.wantState(cmpcore.Aborted)
		})
	}
}

func asksImplicit(r *reply) bool {
	_, ok := cmp.FindInfo(r.msg.Header.GeneralInfo, cmp.OIDImplicitConfirm)
	return ok
}

// A message may ask for both kinds; then everything is to be confirmed.
func TestOneCertificateOfTwoIsEncrypted(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	private := anyKey(t, "x25519")
	k := b.talk(b.device("dev-1"))
	w := encrCert(t, private, crmf.KeyAgreement)
	w.id = 1
	r := k.say(k.request(cmp.TypeIR, want{subject: "CN=b", key: "p256 b"}, w), version3, implicit)
	if asksImplicit(r) {
		t.Error("implicitConfirm was granted")
	}
	k.say(confirmation(r.cert(0), r.decrypted(1, private)), version3).body(cmp.TypePKIConf)
	b.wantStatus(r.cert(0), cmpcore.Valid)
}

func TestEncryptedCertificateAsOpenSSLOpensIt(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	for keyType, use := range map[string]int{"rsa-2048": crmf.KeyEncipherment, "ecdsa-p384": crmf.KeyAgreement} {
		b := newBed(t, withDecryptionKeys)
		private := anyKey(t, keyType)
		k := b.talk(b.device("dev-1"))
		r := k.say(k.request(cmp.TypeIR, encrCert(t, private, use)), version3)
		dir := t.TempDir()
		for name, data := range map[string][]byte{
			"env.der": contentInfo(t, "1.2.840.113549.1.7.3", r.response(0).CertifiedKeyPair.EncryptedCert.Enveloped),
			"key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must[[]byte](t)(x509.MarshalPKCS8PrivateKey(private))}),
			// OpenSSL finds the recipient by the certificate, which is the one inside.
			"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.decrypted(0, private).Raw}),
		} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		openssl(t, dir, "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "env.der", "-inkey", "key.pem", "-recip", "cert.pem", "-out", "cert.der")
		cert := must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(os.ReadFile(filepath.Join(dir, "cert.der")))))
		if err := cert.CheckSignatureFrom(b.ca.cert); err != nil {
			t.Error(err)
		}
	}
}

func TestProofsByDecryptionThatProveNothing(t *testing.T) {
	signOnly := func(c *crmf.CertTemplate) {
		c.Extensions = append(c.Extensions, pkix.KeyUsageExtension(pkix.DigitalSignature))
	}
	form := func(use, form int) func(*crmf.CertReqMsg) {
		return func(r *crmf.CertReqMsg) {
			r.POPO = &crmf.POPOPrivKey{Use: use, Form: form, Bits: []byte{1}, MAC: &crmf.PKMACValue{Algorithm: pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3")}, Value: []byte{1}}, Enveloped: []byte{0x30, 0}}
		}
	}
	rsa := func(popo func(*crmf.CertReqMsg)) want { return want{subject: "CN=a", key: "rsa2048 a", popo: popo} }
	for name, c := range map[string]struct {
		want  want
		edits []edit
		fail  cmp.PKIFailureInfo
	}{
		"at pvno 2":                     {rsa(subsequent(crmf.KeyEncipherment, crmf.EncrCert)), nil, cmp.BadRequest},
		"agreement with an RSA key":     {rsa(subsequent(crmf.KeyAgreement, crmf.EncrCert)), []edit{version3}, cmp.BadPOP},
		"encipherment with an EC key":   {want{subject: "CN=a", key: "p256 a", popo: subsequent(crmf.KeyEncipherment, crmf.EncrCert)}, []edit{version3}, cmp.BadPOP},
		"a key that only signs":         {want{subject: "CN=a", key: "ed25519 a", popo: subsequent(crmf.KeyAgreement, crmf.EncrCert)}, []edit{version3}, cmp.BadPOP},
		"a certificate that only signs": {want{subject: "CN=a", key: "rsa2048 a", template: signOnly, popo: subsequent(crmf.KeyEncipherment, crmf.EncrCert)}, []edit{version3}, cmp.BadPOP},
		"thisMessage":                   {rsa(form(crmf.KeyEncipherment, crmf.ThisMessage)), []edit{version3}, cmp.BadPOP},
		"dhMAC":                         {want{subject: "CN=a", key: "p256 a", popo: form(crmf.KeyAgreement, crmf.DHMAC)}, []edit{version3}, cmp.BadPOP},
		"agreeMAC":                      {want{subject: "CN=a", key: "p256 a", popo: form(crmf.KeyAgreement, crmf.AgreeMAC)}, []edit{version3}, cmp.BadPOP},
		"encryptedKey":                  {rsa(form(crmf.KeyEncipherment, crmf.EncryptedKeyPOP)), []edit{version3}, cmp.BadPOP},
		"encrCert":                      {rsa(subsequent(crmf.KeyEncipherment, crmf.EncrCert)), []edit{version3, certProfile("strict")}, cmp.BadAlg},
	} {
		t.Run(name, func(t *testing.T) {
			newBed(t, withDecryptionKeys).asked("dev-1", c.want, c.edits...).judge(c.fail)
		})
	}
}

func TestTheClientOpensEncryptedCertificates(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	for _, keyType := range []string{"x25519", "x448", "ml-kem-768", "rsa-2048", "ecdsa-p521"} {
		private := anyKey(t, keyType)
		spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
		c := b.credentials(b.device("dev-1"))
		c.RequestedKeys = []crypto.PrivateKey{anyKey(t, "x25519"), private}
		r := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: c, PVNO: 3,
			Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), PublicKey: spki, POP: client.POPEncrCert}}})
		got := r.Certificates[0]
		if got.Err != nil || got.Certificate == nil {
			t.Fatalf("%s: %v", keyType, got.Err)
		}
		b.wantStatus(must[*x509.Certificate](t)(x509.ParseCertificate(got.Certificate)), cmpcore.Valid)
	}
}
