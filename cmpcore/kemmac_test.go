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
	"errors"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
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

// kemRequester is a party whose certificate is of a KEM key.
type kemRequester struct {
	*party
	std *mlkem.DecapsulationKey768
	key crypto.PrivateKey
}

func askKEM(p *cmpcore.Policy) { p.KEMRequesters = true }

func withSeed(b *bed) { b.cfg.KEMSeed = []byte(strings.Repeat("seed", 8)) }

func newKEMRequester(t testing.TB, issuer *holder, change func(*x509.Certificate)) *kemRequester {
	k, std, spki := kemKey(t)
	h := foreignKey(t, issuer, "KEM device", spki, func(c *x509.Certificate) {
		enciphers(c)
		if change != nil {
			change(c)
		}
	})
	return &kemRequester{&party{holder: h, sender: pkix.Name(h.cert.RawSubject)}, std, k}
}

func unprotected(m *message) { m.by = nil }

// fetch asks for a ciphertext and opens it with the standard library.
func (r *kemRequester) fetch(k *talk, edits ...edit) []byte {
	k.Helper()
	a := k.say(genm(question(cmp.OIDKEMCiphertextInfo)), append([]edit{version3, unprotected}, edits...)...)
	if !a.signed || a.out.Transaction != nil {
		k.Error("the ciphertext is not signed, or left a transaction")
	}
	c, err := a.answer(cmp.OIDKEMCiphertextInfo).KEMCiphertextInfo()
	if err != nil || c.KEM.OID != oidMLKEM768 || c.KEM.Parameters != nil {
		k.Fatalf("%v, %v", c, err)
	}
	secret, err := r.std.Decapsulate(c.Ciphertext)
	if err != nil {
		k.Fatal(err)
	}
	return secret
}

// kemProtects is a MAC by the standard library alone.
type kemProtects struct {
	t          testing.TB
	a          pkix.AlgorithmIdentifier
	secret, id []byte
}

func (p kemProtects) Algorithm() pkix.AlgorithmIdentifier { return p.a }
func (p kemProtects) Protect(part []byte) ([]byte, error) {
	good := kemAlgorithm("1.2.840.113549.1.9.16.3.28", oidHMACSHA256)
	return stdKEMMAC(p.t, good, p.secret, p.id, part), nil
}

func kemAlgorithm(kdf, mac string) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(kdf)}.Add(b)
		b.AddASN1Int64(32)
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(mac), Parameters: pkix.Null}.Add(b)
	})
	return pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.16"), Parameters: b.BytesOrPanic()}
}

func under(t testing.TB, secret, id []byte) edit {
	return func(m *message) {
		m.PVNO = 3
		m.by = kemProtects{t, kemAlgorithm("1.2.840.113549.1.9.16.3.28", oidHMACSHA256), secret, id}
	}
}

func TestRequestersWithAKEMKey(t *testing.T) {
	for _, strict := range []bool{false, true} {
		b := newBed(t, withSeed, withPolicy(askKEM), withPolicy(func(p *cmpcore.Policy) { p.Lightweight = strict }))
		r := newKEMRequester(t, b.partner, nil)
		k := b.talk(r.party)
		secret := r.fetch(k)
		b.rebuild() // nothing is kept
		c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), under(t, secret, k.id)).cert(0)
		k.say(confirmation(c), under(t, secret, k.id)).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
		k.wantState(cmpcore.Finished)

		// The same question has the same secret, another transaction another.
		again := b.talk(r.party)
		again.id = k.id
		if !bytes.Equal(r.fetch(again), secret) {
			t.Error("an answer that got lost cannot be had again")
		}
		other := b.talk(r.party)
		if bytes.Equal(r.fetch(other), secret) {
			t.Error("two transactions have the same secret")
		}
		other.say(other.one(cmp.TypeIR, "CN=b", "p256 b"), under(t, secret, other.id)).stranger(cmp.BadMessageCheck)
	}
}

func TestWhoseMACByAKEMIsRefused(t *testing.T) {
	on := []option{withSeed, withPolicy(askKEM)}
	for name, tt := range map[string]struct {
		options []option
		party   func(b *bed) *kemRequester
		asks    cmp.PKIFailureInfo // what the question gets; 0: a ciphertext
		edit    edit               // of the request
		want    cmp.PKIFailureInfo
	}{
		"not by policy":     {options: []option{withSeed}, asks: cmp.BadMessageCheck, want: cmp.BadAlg},
		"not without seed":  {options: []option{withPolicy(askKEM)}, asks: cmp.BadMessageCheck, want: cmp.BadAlg},
		"not by algorithms": {options: append(on[:2:2], withPolicy(func(p *cmpcore.Policy) { p.MAC = &alg.MACPolicy{Only: []string{"pbm", "dhbm"}} })), want: cmp.BadAlg},
		"of nobody": {options: on, party: func(b *bed) *kemRequester { return newKEMRequester(b, b.root, nil) },
			asks: cmp.SignerNotTrusted, want: cmp.SignerNotTrusted},
		"ended": {options: on, party: func(b *bed) *kemRequester {
			return newKEMRequester(b, b.partner, func(c *x509.Certificate) { c.NotAfter = epoch.Add(-day) })
		}, asks: cmp.SignerNotTrusted, want: cmp.SignerNotTrusted},
		"for another use": {options: on, party: func(b *bed) *kemRequester {
			return newKEMRequester(b, b.partner, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
		}, asks: cmp.SignerNotTrusted, want: cmp.SignerNotTrusted},
		"of no KEM": {options: on, party: func(b *bed) *kemRequester {
			r := newKEMRequester(b, b.partner, nil)
			r.holder = certify(b, b.partner, "KEM device", key(b, "p256 nokem"), func(c *x509.Certificate) { c.KeyUsage = 0 })
			return r
		}, asks: cmp.BadAlg, want: cmp.BadAlg},
		"another sender":    {options: on, edit: func(m *message) { m.Sender = pkix.NewDirectoryName(mustDN("CN=other")) }, want: cmp.BadMessageCheck},
		"no certificate":    {options: on, edit: func(m *message) { m.extra = nil }, want: cmp.SignerNotTrusted},
		"unknown KDF":       {options: on, edit: withKEM(kemAlgorithm("1.2.3.4", oidHMACSHA256)), want: cmp.BadAlg},
		"unknown MAC":       {options: on, edit: withKEM(kemAlgorithm("1.2.840.113549.1.9.16.3.28", "1.2.3.4")), want: cmp.BadAlg},
		"no parameters":     {options: on, edit: withKEM(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.16")}), want: cmp.BadAlg},
		"a wrong secret":    {options: on, edit: func(m *message) { p := m.by.(kemProtects); p.secret = make([]byte, 32); m.by = p }, want: cmp.BadMessageCheck},
		"another KDF":       {options: on, edit: withKEM(kemAlgorithm("1.2.840.113549.1.9.16.3.30", oidHMACSHA256)), want: cmp.BadMessageCheck},
		"no transaction of": {options: on, edit: func(m *message) { p := m.by.(kemProtects); p.id = random(16); m.by = p }, want: cmp.BadMessageCheck},
		"nothing wrong":     {options: on},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, tt.options...)
			r := newKEMRequester(t, b.partner, nil)
			if tt.party != nil {
				r = tt.party(b)
			}
			k := b.talk(r.party)
			secret := make([]byte, 32)
			if tt.asks != 0 {
				k.say(genm(question(cmp.OIDKEMCiphertextInfo)), version3, unprotected).stranger(tt.asks)
			} else {
				secret = r.fetch(k)
			}
			edits := []edit{implicit, under(t, secret, k.id)}
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			a := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), edits...)
			if tt.want == 0 {
				a.cert(0)
				return
			}
			a.stranger(tt.want)
		})
	}
}

func withKEM(a pkix.AlgorithmIdentifier) edit {
	return func(m *message) {
		p := m.by.(kemProtects)
		p.a = a
		m.by = p
	}
}

// Nothing but the one question is answered without protection.
func TestWhatElseIsNotProtectedIsRefused(t *testing.T) {
	b := newBed(t, withSeed, withPolicy(askKEM))
	r := newKEMRequester(t, b.partner, nil)
	value, _ := cmp.NewKEMCiphertextInfo(cmp.KEMCiphertextInfo{KEM: pkix.AlgorithmIdentifier{OID: oidMLKEM768}, Ciphertext: []byte{1}})
	for _, body := range []cmp.Body{genm(), genm(question(cmp.OIDCACerts)), genm(question(cmp.OIDKEMCiphertextInfo), question(cmp.OIDCACerts)), genm(value)} {
		k := b.talk(r.party)
		k.say(body, unprotected).stranger(cmp.BadMessageCheck)
	}
	k := b.talk(r.party)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), unprotected).stranger(cmp.BadMessageCheck)

	b = newBed(t, withSeed, withPolicy(askKEM), withPolicy(func(p *cmpcore.Policy) { p.SilentToStrangers = true }))
	b.talk(r.party).say(genm(question(cmp.OIDKEMCiphertextInfo)), unprotected).silent(cmpcore.Failed)
	cfg := b.cfg
	cfg.KEMSeed = make([]byte, 31)
	if _, err := cmpcore.New(cfg); err == nil {
		t.Error("a short seed is taken")
	}
}

func TestTheClientProtectsByAKEM(t *testing.T) {
	b, _ := kemBed(t, withSeed, withPolicy(askKEM))
	r := newKEMRequester(t, b.partner, nil)
	c := b.credentials(r.party)
	c.Key, c.KEMKey = nil, r.key
	certs := []client.CertificateRequest{{Subject: dn(t, "CN=a"), Key: key(t, "p256 a")}}
	if _, _, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: certs}); !errors.Is(err, client.ErrOptions) {
		t.Errorf("without a ciphertext: %v", err)
	}
	ask := client.Options{Kind: cmp.TypeGenM, Credentials: c, Infos: []cmp.InfoTypeAndValue{question(cmp.OIDKEMCiphertextInfo)}}
	s, der, err := client.Start(ask)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: certs, After: s}); !errors.Is(err, client.ErrOptions) {
		t.Errorf("before the ciphertext: %v", err)
	}
	if res, err := s.Accept(b.process(der).Reply, c); err != nil || !res.Done {
		t.Fatal(err)
	}
	c.Trust.KEM = b.kem.cert.Raw // both flows at once
	for _, hmac := range []string{"", "kmac128"} {
		c.MAC.HMAC = hmac
		res := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: certs, After: s})
		cert, err := x509.ParseCertificate(res.Certificates[0].Certificate)
		if err != nil {
			t.Fatal(err)
		}
		b.wantStatus(cert, cmpcore.Valid)
		// Another transaction for the next.
		if s, der, err = client.Start(ask); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Accept(b.process(der).Reply, ask.Credentials); err != nil {
			t.Fatal(err)
		}
	}
}
