package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// stdKEMMAC computes the MAC of RFC 9810 section 5.1.3.4 with HKDF-SHA256,
// HMAC-SHA256 and the standard library alone.
func stdKEMMAC(t testing.TB, a pkix.AlgorithmIdentifier, secret, transactionID, message []byte) []byte {
	t.Helper()
	var p struct {
		KDF stdAlgorithm
		Len int
		MAC stdAlgorithm
	}
	if _, err := asn1.Unmarshal(a.Parameters, &p); err != nil {
		t.Fatal(err)
	}
	if p.KDF.OID.String() != "1.2.840.113549.1.9.16.3.28" || p.MAC.OID.String() != oidHMACSHA256 || p.Len != 32 {
		t.Fatalf("parameters %+v", p)
	}
	info, err := asn1.Marshal(struct {
		Static        []asn1.RawValue
		TransactionID []byte
	}{[]asn1.RawValue{{Tag: asn1.TagUTF8String, Bytes: []byte("CMP-KEM")}}, transactionID})
	if err != nil {
		t.Fatal(err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, string(info), 32)
	if err != nil {
		t.Fatal(err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil)
}

var oidMLKEM768 = pkix.MustOID("2.16.840.1.101.3.4.4.2")

// kemKey is an ML-KEM-768 key as this module and as the standard library has it.
func kemKey(t testing.TB) (crypto.PrivateKey, *mlkem.DecapsulationKey768, pkix.SubjectPublicKeyInfo) {
	t.Helper()
	std, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := pkix.NewSubjectPublicKeyInfo(pkix.AlgorithmIdentifier{OID: oidMLKEM768}, std.EncapsulationKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	// PrivateKeyInfo with the seed alone (RFC 9935 section 6).
	seed, _ := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: std.Bytes()})
	der, err := asn1.Marshal(struct {
		Version int
		Alg     asn1.RawValue
		Key     []byte
	}{0, asn1.RawValue{FullBytes: pkix.AlgorithmIdentifier{OID: oidMLKEM768}.Bytes()}, seed})
	if err != nil {
		t.Fatal(err)
	}
	k, err := alg.ParsePrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return k, std, spki
}

func enciphers(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }

// kemBed is a bed whose CA has a KEM key.
func kemBed(t testing.TB, options ...option) (*bed, *mlkem.EncapsulationKey768) {
	t.Helper()
	k, std, spki := kemKey(t)
	return newBed(t, append([]option{func(b *bed) {
		b.kem = foreignKey(t, b.ca, "CA KEM", spki, enciphers)
		b.cfg.Authority.KEM = &cmpcore.StaticKey{Certificate: b.kem.cert.Raw, Key: k}
	}}, options...)...), std.EncapsulationKey()
}

// bring puts a ciphertext into messages, whose answers have a MAC under its secret.
func (k *talk) bring(pub *mlkem.EncapsulationKey768) edit {
	secret, ct := pub.Encapsulate()
	k.kemSecret = secret
	return withCiphertext(pkix.AlgorithmIdentifier{OID: oidMLKEM768}, ct)
}

func withCiphertext(a pkix.AlgorithmIdentifier, ct []byte) edit {
	return func(m *message) {
		i, err := cmp.NewKEMCiphertextInfo(cmp.KEMCiphertextInfo{KEM: a, Ciphertext: ct})
		if err != nil {
			panic(err)
		}
		m.PVNO = 3
		m.GeneralInfo = append(m.GeneralInfo, i)
	}
}

func TestAnswersHaveAMACUnderOurKEMKey(t *testing.T) {
	for _, kind := range []string{"secret", "signature"} {
		t.Run(kind, func(t *testing.T) {
			b, pub := kemBed(t)
			p := b.device("dev-1")
			if kind == "signature" {
				p = b.signer(certify(t, b.partner, "signer", key(t, "p256 signer"), nil))
			}
			k := b.talk(p)
			ct := k.bring(pub)
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), ct)
			c := r.cert(0)
			if !r.kem {
				t.Error("the answer has no MAC under the KEM key")
			}
			if r := k.say(confirmation(c), version3, ct).body(cmp.TypePKIConf); !r.kem {
				t.Error("the pkiconf has no MAC under the KEM key")
			}
			b.wantStatus(c, cmpcore.Valid)
			// Who has proven himself is refused in the same way.
			k = b.talk(p)
			k.say(&cmp.GenMsg{Kind: cmp.TypeGenP}, k.bring(pub)).refused(cmp.BadRequest)
			// A follow-up without a ciphertext is answered as usual.
			k = b.talk(p)
			c = k.say(k.one(cmp.TypeIR, "CN=b", "p256 b"), k.bring(pub)).cert(0)
			if r := k.say(confirmation(c), version3).body(cmp.TypePKIConf); r.kem {
				t.Error("a MAC under a KEM key that nobody asked for")
			}
		})
	}
}

func TestCiphertextsThatDoNotOpen(t *testing.T) {
	for name, tt := range map[string]struct {
		ct   edit
		want cmp.PKIFailureInfo
	}{
		"too short":   {withCiphertext(pkix.AlgorithmIdentifier{OID: oidMLKEM768}, make([]byte, 1087)), cmp.BadMessageCheck},
		"empty":       {withCiphertext(pkix.AlgorithmIdentifier{OID: oidMLKEM768}, []byte{}), cmp.BadMessageCheck},
		"another KEM": {withCiphertext(pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.16.840.1.101.3.4.4.3")}, make([]byte, 1568)), cmp.BadAlg},
		"unknown KEM": {withCiphertext(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, make([]byte, 1088)), cmp.BadAlg},
		"parameters":  {withCiphertext(pkix.AlgorithmIdentifier{OID: oidMLKEM768, Parameters: pkix.Null}, make([]byte, 1088)), cmp.BadMessageCheck},
		"no structure": {func(m *message) {
			m.GeneralInfo = append(m.GeneralInfo, cmp.InfoTypeAndValue{Type: cmp.OIDKEMCiphertextInfo, Value: pkix.Null})
		}, cmp.BadDataFormat},
	} {
		t.Run(name, func(t *testing.T) {
			b, pub := kemBed(t)
			k := b.talk(b.device("dev-1"))
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), tt.ct)
			r.refused(tt.want)
			if r.kem || r.signed {
				t.Error("the refusal is not in kind")
			}
			k = b.talk(b.device("dev-1"))
			good := k.bring(pub)
			r = k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), good, good)
			r.refused(cmp.BadDataFormat)

			// Without a key for it, the same is passed over.
			b.cfg.Authority.KEM = nil
			b.rebuild()
			k = b.talk(b.device("dev-1"))
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit, k.bring(pub)).cert(0)
		})
	}
}

// Who has proven nothing gets no use of the KEM key.
func TestStrangersGetNoMACUnderTheKEMKey(t *testing.T) {
	b, pub := kemBed(t)
	p := b.device("dev-1")
	p.secret = "wrong"
	k := b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), k.bring(pub)).stranger(cmp.BadMessageCheck)
}

func TestAKEMKeyMustFitItsCertificate(t *testing.T) {
	b, _ := kemBed(t)
	k, _, spki := kemKey(t)
	other, _, _ := kemKey(t)
	good := foreignKey(t, b.ca, "CA KEM", spki, enciphers)
	bad := foreignKey(t, b.ca, "CA KEM", spki, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	ed := certify(t, b.ca, "x", key(t, "ed25519 x"), func(c *x509.Certificate) { c.KeyUsage = 0 })
	for want, s := range map[string]*cmpcore.StaticKey{
		"does not belong":       {Certificate: good.cert.Raw, Key: other},
		"lacks keyEncipherment": {Certificate: bad.cert.Raw, Key: k},
		"cannot serve":          {Certificate: ed.cert.Raw, Key: ed.key},
	} {
		cfg := b.cfg
		cfg.Authority.KEM = s
		if _, err := cmpcore.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := cmpcore.CheckKEMKey(&cmpcore.StaticKey{Certificate: good.cert.Raw, Key: k}); err != nil {
		t.Error(err)
	}
}

func TestTheClientBelievesTheKEMKey(t *testing.T) {
	for _, kind := range []string{"ml-kem-512", "ml-kem-768", "ml-kem-1024", "rsa"} {
		t.Run(kind, func(t *testing.T) {
			var k crypto.PrivateKey = key(t, "rsa2048 kem")
			if kind != "rsa" {
				var err error
				if k, err = alg.GenerateEncryptionKey(rand.Reader, kind); err != nil {
					t.Fatal(err)
				}
			}
			spki, err := alg.MarshalPublicKey(k.(interface{ Public() crypto.PublicKey }).Public())
			if err != nil {
				t.Fatal(err)
			}
			b := newBed(t)
			b.kem = foreignKey(t, b.ca, "CA KEM", spki, enciphers)
			b.cfg.Authority.KEM = &cmpcore.StaticKey{Certificate: b.kem.cert.Raw, Key: k}
			b.rebuild()
			c := b.credentials(b.signer(certify(t, b.partner, "signer", key(t, "p256 signer"), nil)))
			c.Trust.Anchors, c.Trust.KEM = nil, b.kem.cert.Raw // nothing that is signed is believed
			o := client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), Key: key(t, "p256 a")}}}
			r := b.converse(o)
			cert, err := x509.ParseCertificate(r.Certificates[0].Certificate)
			if err != nil {
				t.Fatal(err)
			}
			b.wantStatus(cert, cmpcore.Valid)

			s, der, err := client.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			// RFC 9810 section 5.1.3.4: not reused for other operations.
			if other, _, err := client.Start(o); err != nil || bytes.Equal(other.KEM.Secret, s.KEM.Secret) {
				t.Errorf("the secret of another transaction: %v", err)
			}
			reply := b.process(der).Reply
			s.KEM.Secret[0] ^= 1
			if _, err := s.Accept(reply, c); err == nil {
				t.Error("an answer is believed under another secret")
			}
			s.KEM.Secret[0] ^= 1
			kem := s.KEM
			s.KEM = nil
			if _, err := s.Accept(reply, c); err == nil {
				t.Error("an answer is believed without a secret")
			}
			s.KEM = kem
			if _, err := s.Accept(reply, c); err != nil {
				t.Error(err)
			}
		})
	}
	c := newBed(t).credentials(&party{secret: "x", ref: "x"})
	c.Trust.KEM = certify(t, nil, "no KEM", key(t, "p256 nokem"), asCA).cert.Raw
	if _, _, err := client.Start(client.Options{Kind: cmp.TypeGenM, Credentials: c}); err == nil {
		t.Error("a certificate of no KEM is taken")
	}
}
