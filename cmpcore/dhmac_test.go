package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// stdDHMAC computes the MAC of RFC 9810 section 5.1.3.2 with the standard
// library alone.
func stdDHMAC(t testing.TB, a pkix.AlgorithmIdentifier, shared, message []byte) []byte {
	t.Helper()
	var p struct{ OWF, MAC stdAlgorithm }
	if _, err := asn1.Unmarshal(a.Parameters, &p); err != nil {
		return nil
	}
	owf, mac := stdHashes[p.OWF.OID.String()], stdHashes[p.MAC.OID.String()]
	if !owf.Available() || !mac.Available() {
		return nil
	}
	sum := func(parts ...[]byte) []byte {
		h := owf.New()
		h.Write(bytes.Join(parts, nil))
		return h.Sum(nil)
	}
	base := sum(shared)
	key := base
	for n := '1'; len(key) < mac.Size(); n++ {
		key = append(key[:len(key):len(key)], sum([]byte(string(n)), base)...)
	}
	h := hmac.New(mac.New, key[:mac.Size()])
	h.Write(message)
	return h.Sum(nil)
}

type dhProtector struct {
	t testing.TB
	p *party
}

func (d dhProtector) Algorithm() pkix.AlgorithmIdentifier {
	if d.p.dhAlg.IsZero() {
		return dhAlgorithm(oidSHA256, oidHMACSHA256)
	}
	return d.p.dhAlg
}

func (d dhProtector) Protect(part []byte) ([]byte, error) {
	if sum := stdDHMAC(d.t, d.Algorithm(), d.p.shared, part); sum != nil {
		return sum, nil
	}
	return make([]byte, 32), nil
}

func dhAlgorithm(owf, mac string) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(owf)}.Add(b)
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(mac), Parameters: pkix.Null}.Add(b)
	})
	return pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.30"), Parameters: b.BytesOrPanic()}
}

var agreementCurves = map[string]ecdh.Curve{"x25519": ecdh.X25519(), "p256": ecdh.P256(), "p384": ecdh.P384(), "p521": ecdh.P521()}

func dhKey(t testing.TB, curve string) *ecdh.PrivateKey {
	t.Helper()
	k, err := agreementCurves[curve].GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// dhBed is a bed whose CA has a key agreement key.
func dhBed(t testing.TB, curve string, options ...option) (*bed, *ecdh.PrivateKey) {
	t.Helper()
	k := dhKey(t, curve)
	return newBed(t, append([]option{func(b *bed) {
		b.agreement = certifyPublic(t, b.ca, "CA agreement", k.PublicKey(), nil)
		b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: parsedKey(t, k)}
	}}, options...)...), k
}

// parsedKey is the key as it comes from a file.
func parsedKey(t testing.TB, k *ecdh.PrivateKey) crypto.PrivateKey {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	out, err := alg.ParsePrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func shared(t testing.TB, own, ca *ecdh.PrivateKey) []byte {
	t.Helper()
	s, err := own.ECDH(ca.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// certifyPublic makes a certificate for key agreement.
func certifyPublic(t testing.TB, issuer *holder, cn string, pub *ecdh.PublicKey, change func(*x509.Certificate)) *holder {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return foreignKey(t, issuer, cn, der, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageKeyAgreement
		if change != nil {
			change(c)
		}
	})
}

// foreignKey makes a certificate for a key that the standard library certifies
// not: one for another key, which is then changed and signed anew.
func foreignKey(t testing.TB, issuer *holder, cn string, spki pkix.SubjectPublicKeyInfo, change func(*x509.Certificate)) *holder {
	t.Helper()
	h := certify(t, issuer, cn, key(t, "p256 placeholder"), func(c *x509.Certificate) {
		c.SubjectKeyId = []byte("ski of " + cn)
		change(c)
	})
	var raw asn1.RawValue
	if _, err := asn1.Unmarshal(h.cert.RawTBSCertificate, &raw); err != nil {
		t.Fatal(err)
	}
	tbs, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true,
		Bytes: bytes.Replace(raw.Bytes, h.cert.RawSubjectPublicKeyInfo, spki, 1)})
	if err != nil {
		t.Fatal(err)
	}
	a, err := alg.SignatureFor(issuer.key.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	sig, err := alg.Sign(rand.Reader, issuer.key, a, tbs)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS, Alg asn1.RawValue
		Sig      asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, asn1.RawValue{FullBytes: a.Bytes()}, asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{cert: c, chain: h.chain}
}

// agreeing is a requester with a certificate for key agreement.
func agreeing(t testing.TB, issuer *holder, own, ca *ecdh.PrivateKey, change func(*x509.Certificate)) *party {
	h := certifyPublic(t, issuer, "agreeing device", own.PublicKey(), change)
	return &party{holder: h, sender: pkix.Name(h.cert.RawSubject), shared: shared(t, own, ca)}
}

const oidHMACSHA512 = "1.2.840.113549.2.11"

func TestMACsByDiffieHellmanAreAnsweredInKind(t *testing.T) {
	for curve := range agreementCurves {
		for _, a := range []pkix.AlgorithmIdentifier{{}, dhAlgorithm(oidSHA384, oidHMACSHA256), dhAlgorithm(oidSHA256, oidHMACSHA512), dhAlgorithm(oidSHA256, oidHMACSHA1)} {
			for _, strict := range []bool{false, true} {
				b, ca := dhBed(t, curve, withPolicy(func(p *cmpcore.Policy) { p.Lightweight = strict }))
				p := agreeing(t, b.partner, dhKey(t, curve), ca, nil)
				p.dhAlg = a
				k := b.talk(p)
				toKey := func(m *message) { m.RecipKID = b.agreement.cert.SubjectKeyId }
				c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), toKey).cert(0)
				if r := k.say(confirmation(c)).body(cmp.TypePKIConf); r.signed {
					t.Errorf("%s: pkiconf is signed", curve)
				}
				b.wantStatus(c, cmpcore.Valid)
				k.wantState(cmpcore.Finished)
				// A refusal of one who has proven himself is in kind too.
				k = b.talk(p)
				r := k.say(k.one(cmp.TypeKUR, "CN=a", "p256 a"))
				if r.signed {
					t.Errorf("%s: the refusal is signed", curve)
				}
			}
		}
	}
}

func TestX448AgreesToo(t *testing.T) {
	agrees := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }
	gen := func() (*alg.X448PrivateKey, pkix.SubjectPublicKeyInfo) {
		k, err := alg.GenerateEncryptionKey(rand.Reader, "x448")
		if err != nil {
			t.Fatal(err)
		}
		spki, err := alg.MarshalPublicKey(k.(*alg.X448PrivateKey).Public())
		if err != nil {
			t.Fatal(err)
		}
		return k.(*alg.X448PrivateKey), spki
	}
	caKey, caSPKI := gen()
	own, ownSPKI := gen()
	b := newBed(t)
	b.agreement = foreignKey(t, b.ca, "CA agreement", caSPKI, agrees)
	b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: caKey}
	b.rebuild()
	h := foreignKey(t, b.partner, "device", ownSPKI, agrees)
	secret, err := own.ECDH(caKey.Public().(alg.X448PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	k := b.talk(&party{holder: h, sender: pkix.Name(h.cert.RawSubject), shared: secret})
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit).cert(0)
}

func TestWhoseMACByDiffieHellmanIsRefused(t *testing.T) {
	unknown := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.30"), Parameters: pkix.Null}
	for name, tt := range map[string]struct {
		option option
		party  func(b *bed, ca *ecdh.PrivateKey) *party
		edit   edit
		want   cmp.PKIFailureInfo
	}{
		"no key of the CA": {option: func(b *bed) { b.cfg.Authority.Agreement = nil }, want: cmp.BadAlg},
		"another key than the certificate's": {want: cmp.BadMessageCheck, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			p := agreeing(b, b.partner, dhKey(b, "x25519"), ca, nil)
			p.shared = shared(b, dhKey(b, "x25519"), ca)
			return p
		}},
		"another party's key for the CA's": {want: cmp.BadMessageCheck, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			own := dhKey(b, "x25519")
			p := agreeing(b, b.partner, own, ca, nil)
			p.shared = shared(b, own, dhKey(b, "x25519"))
			return p
		}},
		"another kind of key": {want: cmp.BadAlg, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			h := certifyPublic(b, b.partner, "device", dhKey(b, "p256").PublicKey(), nil)
			return &party{holder: h, sender: pkix.Name(h.cert.RawSubject), shared: []byte("whatever")}
		}},
		"a key of small order": {want: cmp.BadAlg, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			pub, err := ecdh.X25519().NewPublicKey(make([]byte, 32))
			if err != nil {
				b.Fatal(err)
			}
			h := certifyPublic(b, b.partner, "device", pub, nil)
			return &party{holder: h, sender: pkix.Name(h.cert.RawSubject), shared: make([]byte, 32)}
		}},
		"a certificate for signatures": {want: cmp.SignerNotTrusted, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			return agreeing(b, b.partner, dhKey(b, "x25519"), ca, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
		}},
		"a certificate of nobody": {want: cmp.SignerNotTrusted, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			return agreeing(b, b.root, dhKey(b, "x25519"), ca, nil)
		}},
		"a certificate that has ended": {want: cmp.SignerNotTrusted, party: func(b *bed, ca *ecdh.PrivateKey) *party {
			return agreeing(b, b.partner, dhKey(b, "x25519"), ca, func(c *x509.Certificate) { c.NotAfter = epoch.Add(-day) })
		}},
		"no certificate":      {edit: func(m *message) { m.extra = nil }, want: cmp.SignerNotTrusted},
		"another sender":      {edit: func(m *message) { m.Sender = pkix.NewDirectoryName(mustDN("CN=other")) }, want: cmp.BadMessageCheck},
		"another senderKID":   {edit: func(m *message) { m.SenderKID = []byte("other") }, want: cmp.BadMessageCheck},
		"another recipKID":    {edit: func(m *message) { m.RecipKID = []byte("other") }, want: cmp.BadMessageCheck},
		"unknown hash":        {edit: withDH(dhAlgorithm("1.2.3.4", oidHMACSHA256)), want: cmp.BadAlg},
		"unknown MAC":         {edit: withDH(dhAlgorithm(oidSHA256, "1.2.3.4")), want: cmp.BadAlg},
		"SHA-1":               {edit: withDH(dhAlgorithm(oidSHA1, oidHMACSHA256)), want: cmp.BadAlg},
		"no parameters":       {edit: withDH(unknown), want: cmp.BadAlg},
		"refused by a policy": {option: withPolicy(func(p *cmpcore.Policy) { p.MAC = &alg.MACPolicy{Only: []string{"pbm", "pbmac1"}} }), want: cmp.BadAlg},
		"HMAC-SHA1 refused by a policy": {option: withPolicy(func(p *cmpcore.Policy) { p.MAC = &alg.MACPolicy{RefuseHMACSHA1: true} }),
			edit: withDH(dhAlgorithm(oidSHA256, oidHMACSHA1)), want: cmp.BadAlg},
		"nothing wrong": {want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			options := []option{}
			if tt.option != nil {
				options = append(options, tt.option)
			}
			b, ca := dhBed(t, "x25519", options...)
			p := agreeing(t, b.partner, dhKey(t, "x25519"), ca, nil)
			if tt.party != nil {
				p = tt.party(b, ca)
			}
			edits := []edit{implicit}
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			k := b.talk(p)
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), edits...)
			if tt.want == 0 {
				r.cert(0)
				return
			}
			r.stranger(tt.want)
		})
	}
}

func withDH(a pkix.AlgorithmIdentifier) edit {
	return func(m *message) {
		p := *m.by.(dhProtector).p
		p.dhAlg = a
		m.by = dhProtector{m.by.(dhProtector).t, &p}
	}
}

// A certificate of this CA updates itself, unless it is revoked; the CA finds
// it by its key where it is not sent.
func TestHoldersOfOurCertificatesForKeyAgreement(t *testing.T) {
	b, ca := dhBed(t, "p256")
	p := b.enrolled("CN=agreeing", "p256 agreeing", func(tpl *crmf.CertTemplate) {
		tpl.Extensions = append(tpl.Extensions, pkix.KeyUsageExtension(pkix.KeyAgreement))
	})
	der, err := x509.MarshalPKCS8PrivateKey(key(t, "p256 agreeing"))
	if err != nil {
		t.Fatal(err)
	}
	own, _ := x509.ParsePKCS8PrivateKey(der)
	e, err := own.(interface {
		ECDH() (*ecdh.PrivateKey, error)
	}).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	k := b.talk(p)
	k.say(k.one(cmp.TypeKUR, "CN=agreeing", "p256 next")).stranger(cmp.SignerNotTrusted) // it may not sign
	p.shared = shared(t, e, ca)
	k = b.talk(p)
	k.say(k.one(cmp.TypeKUR, "CN=agreeing", "p256 next"), implicit, func(m *message) { m.extra = nil }).cert(0)
	rec := b.store.certs[string(p.holder.cert.SerialNumber.Bytes())]
	rec.Status = cmpcore.Revoked
	k = b.talk(p)
	r := k.say(k.one(cmp.TypeKUR, "CN=agreeing", "p256 other"))
	r.refused(cmp.CertRevoked)
}

// What waits for a person is answered in kind when it is processed again.
func TestHeldMessagesUnderDiffieHellman(t *testing.T) {
	b, ca := dhBed(t, "x25519", withPolicy(func(p *cmpcore.Policy) { p.Hold = true }), withRule("partners", func(r *cmpcore.Rule) { r.Approval = true }))
	k := b.talk(agreeing(t, b.partner, dhKey(t, "x25519"), ca, nil))
	der := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit)
	k.send(der).silent(cmpcore.Held)
	b.decide(k, cmpcore.Approved, "")
	k.send(der).cert(0)
}

func TestAKeyForAgreementMustFitItsCertificate(t *testing.T) {
	b, _ := dhBed(t, "x25519")
	own := dhKey(t, "x25519")
	good := certifyPublic(t, b.ca, "CA agreement", own.PublicKey(), nil)
	for name, k := range map[string]*cmpcore.StaticKey{
		"does not belong":    {Certificate: good.cert.Raw, Key: dhKey(t, "x25519")},
		"missing":            {Certificate: good.cert.Raw},
		"lacks keyAgreement": {Certificate: certifyPublic(t, b.ca, "x", own.PublicKey(), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }).cert.Raw, Key: own},
		"cannot serve":       {Certificate: b.partner.cert.Raw[:0:0], Key: own},
	} {
		if name == "cannot serve" {
			ed := certify(t, b.ca, "x", key(t, "ed25519 x"), func(c *x509.Certificate) { c.KeyUsage = 0 })
			k = &cmpcore.StaticKey{Certificate: ed.cert.Raw, Key: ed.key}
		}
		cfg := b.cfg
		cfg.Authority.Agreement = k
		if _, err := cmpcore.New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := cmpcore.CheckAgreementKey(&cmpcore.StaticKey{Certificate: good.cert.Raw, Key: own}); err != nil {
		t.Error(err)
	}
}

func TestTheClientProtectsByDiffieHellman(t *testing.T) {
	for _, hmac := range []string{"", "sha512", "kmac256"} {
		b, ca := dhBed(t, "x25519")
		own := dhKey(t, "x25519")
		p := agreeing(t, b.partner, own, ca, nil)
		c := b.credentials(p)
		c.Key, c.Trust.Anchors = nil, nil // nothing that is signed is believed
		c.Agreement = &client.Agreement{Key: own, Peer: b.agreement.cert.Raw, MAC: client.MAC{HMAC: hmac}}
		o := client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), Key: key(t, "p256 a")}}}
		r := b.converse(o)
		cert, err := x509.ParseCertificate(r.Certificates[0].Certificate)
		if err != nil {
			t.Fatalf("%q: %v", hmac, err)
		}
		b.wantStatus(cert, cmpcore.Valid)

		// Another's answer, and our own message sent back, are not believed.
		s, der, err := client.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		out := b.process(der)
		wrong := o.Credentials
		wrong.Agreement = &client.Agreement{Key: dhKey(t, "x25519"), Peer: b.agreement.cert.Raw}
		if _, err := s.Accept(out.Reply, wrong); err == nil {
			t.Error("an answer is believed under a key that is not the certificate's")
		}
		if _, err := s.Accept(der, o.Credentials); err == nil {
			t.Error("our own message is believed")
		}
		mangled := bytes.Clone(out.Reply)
		mangled[bytes.LastIndex(mangled, cert.RawSubject)]++
		if _, err := s.Accept(mangled, o.Credentials); err == nil {
			t.Error("a changed answer is believed")
		}
		if _, err := s.Accept(out.Reply, o.Credentials); err != nil {
			t.Error(err)
		}
	}
}
