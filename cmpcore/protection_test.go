package cmpcore_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

func pbm(t testing.TB, iterations int) *alg.MAC {
	t.Helper()
	m, err := alg.NewPBM(rand.Reader, alg.PBMOptions{Iterations: iterations})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// foreignMAC protects with any parameters, also such as package alg refuses.
type foreignMAC struct {
	a      pkix.AlgorithmIdentifier
	t      testing.TB
	secret string
}

func (f foreignMAC) Algorithm() pkix.AlgorithmIdentifier { return f.a }
func (f foreignMAC) Protect(part []byte) ([]byte, error) {
	return stdMAC(f.t, f.a, []byte(f.secret), part), nil
}

func pbmParameters(salt, iterations int, owf, mac string) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(random(salt))
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(owf)}.Add(b)
		b.AddASN1Int64(int64(iterations))
		pkix.AlgorithmIdentifier{OID: pkix.MustOID(mac), Parameters: pkix.Null}.Add(b)
	})
	return pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.13"), Parameters: b.BytesOrPanic()}
}

const (
	oidSHA1, oidSHA256, oidSHA384, oidSHA512 = "1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "2.16.840.1.101.3.4.2.2", "2.16.840.1.101.3.4.2.3"
	oidHMACSHA1, oidHMACSHA256               = "1.3.6.1.5.5.8.1.2", "1.2.840.113549.2.9"
)

func TestEveryMACAlgorithmIsAnsweredInKind(t *testing.T) {
	hashes := []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512}
	for _, h := range hashes {
		for _, m := range append(hashes, crypto.SHA1) {
			t.Run("PBM "+h.String()+" HMAC "+m.String(), func(t *testing.T) {
				b := newBed(t)
				p := b.device("dev-1")
				p.mac = func() *alg.MAC {
					mac, err := alg.NewPBM(rand.Reader, alg.PBMOptions{OWF: h, HMAC: m, Iterations: 200})
					if err != nil {
						t.Fatal(err)
					}
					return mac
				}
				k := b.talk(p)
				c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
				if r := k.say(confirmation(c)).body(cmp.TypePKIConf); r.signed {
					t.Error("pkiconf is signed")
				}
			})
			t.Run("PBMAC1 "+h.String()+" HMAC "+m.String(), func(t *testing.T) {
				b := newBed(t)
				p := b.device("dev-1")
				p.mac = func() *alg.MAC {
					mac, err := alg.NewPBMAC1(rand.Reader, alg.PBMAC1Options{PRF: h, HMAC: m, Iterations: 200})
					if err != nil {
						t.Fatal(err)
					}
					return mac
				}
				k := b.talk(p)
				if r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")); r.signed {
					t.Error("ip is signed")
				} else {
					r.cert(0)
				}
			})
		}
	}
}

func TestMACParametersOutsideThePolicyAreBadAlg(t *testing.T) {
	for name, c := range map[string]struct {
		a      pkix.AlgorithmIdentifier
		policy *alg.MACPolicy
		want   cmp.PKIFailureInfo
	}{
		"OpenSSL's default is accepted":    {pbmParameters(16, 500, oidSHA256, oidHMACSHA1), nil, 0},
		"99 iterations are too few":        {pbmParameters(16, 99, oidSHA256, oidHMACSHA256), nil, cmp.BadAlg},
		"100 iterations are enough":        {pbmParameters(16, 100, oidSHA256, oidHMACSHA256), nil, 0},
		"100,001 iterations are too many":  {pbmParameters(16, 100_001, oidSHA256, oidHMACSHA256), nil, cmp.BadAlg},
		"two thousand million are as well": {pbmParameters(16, 2_000_000_000, oidSHA256, oidHMACSHA256), nil, cmp.BadAlg},
		"a salt of 7 octets is too short":  {pbmParameters(7, 500, oidSHA256, oidHMACSHA256), nil, cmp.BadAlg},
		"a salt of 257 octets is too long": {pbmParameters(257, 500, oidSHA256, oidHMACSHA256), nil, cmp.BadAlg},
		"SHA-1 is refused by default":      {pbmParameters(16, 500, oidSHA1, oidHMACSHA1), nil, cmp.BadAlg},
		"SHA-1 is accepted where policy says so": {
			pbmParameters(16, 500, oidSHA1, oidHMACSHA1), &alg.MACPolicy{AllowSHA1: true}, 0},
		"HMAC-SHA1 is refused where policy says so": {
			pbmParameters(16, 500, oidSHA256, oidHMACSHA1), &alg.MACPolicy{RefuseHMACSHA1: true}, cmp.BadAlg},
		"PBM is refused where only PBMAC1 is accepted": {
			pbmParameters(16, 500, oidSHA256, oidHMACSHA256), &alg.MACPolicy{Only: []string{"pbmac1"}}, cmp.BadAlg},
		"an unknown one-way function":      {pbmParameters(16, 500, "1.2.3.4", oidHMACSHA256), nil, cmp.BadAlg},
		"an unknown MAC":                   {pbmParameters(16, 500, oidSHA256, "1.2.3.4"), nil, cmp.BadAlg},
		"PBM without parameters":           {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.13"), Parameters: pkix.Null}, nil, cmp.BadAlg},
		"a MAC under a Diffie-Hellman key": {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.30")}, nil, cmp.BadAlg},
		"a MAC under a KEM's key":          {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113533.7.66.16")}, nil, cmp.BadAlg},
		"an algorithm that nobody knows":   {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, nil, cmp.BadAlg},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.MAC = c.policy }))
			p := b.device("dev-1")
			k := b.talk(p)
			by := cmp.Protector(foreignMAC{c.a, t, p.secret})
			if c.want != 0 {
				by = fixed{c.a, random(32)} // not worth a computation
			}
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = by })
			if c.want == 0 {
				r.cert(0)
				return
			}
			r.stranger(c.want)
		})
	}
}

// fixed is a protection of any octets.
type fixed struct {
	a     pkix.AlgorithmIdentifier
	octet []byte
}

func (f fixed) Algorithm() pkix.AlgorithmIdentifier { return f.a }
func (f fixed) Protect(part []byte) ([]byte, error) { return f.octet, nil }

// The salt of a request serves its answer too, unless it is shorter than those
// of this side.
func TestShortSaltsAreNotKept(t *testing.T) {
	for salt, kept := range map[int]bool{8: false, 15: false, 16: true, 17: true, 256: true} {
		b := newBed(t)
		k := b.talk(b.device("dev-1"))
		var asked pkix.AlgorithmIdentifier
		r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) {
			asked = pbmParameters(salt, 500, oidSHA256, oidHMACSHA256)
			m.by = foreignMAC{asked, t, k.party.secret}
		})
		got := r.msg.Header.ProtectionAlg
		if got.Equal(asked) != kept || saltLength(t, got) < 16 {
			t.Errorf("a salt of %d octets is answered with one of %d, the same: %v", salt, saltLength(t, got), got.Equal(asked))
		}
	}
}

func TestAWrongMACIsAStrangers(t *testing.T) {
	for name, e := range map[string]func(*party, *message){
		"the secret is wrong": func(p *party, m *message) { m.by = cmp.MACProtector(pbm(t, 500), []byte("guess")) },
		"the reference is unknown": func(p *party, m *message) {
			m.SenderKID = []byte("dev-2")
			m.Sender = pkix.NewDirectoryName(dn(t, "CN=dev-2"))
		},
		"senderKID is missing":           func(p *party, m *message) { m.SenderKID = nil },
		"senderKID is empty":             func(p *party, m *message) { m.SenderKID = []byte{} },
		"sender has another common name": func(p *party, m *message) { m.Sender = pkix.NewDirectoryName(dn(t, "CN=device 1")) },
		"sender is the NULL-DN":          func(p *party, m *message) { m.Sender = pkix.NewDirectoryName(pkix.EmptyName) },
		"the message is not protected":   func(p *party, m *message) { m.by = nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			p := b.device("dev-1")
			k := b.talk(p)
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { e(p, m) }).stranger(cmp.BadMessageCheck)
			if len(b.store.certs) != 0 {
				t.Error("something was issued")
			}
		})
	}
}

// The texts of an unknown reference and of a wrong MAC are the same.
func TestAStrangerDoesNotLearnWhichReferencesExist(t *testing.T) {
	b := newBed(t)
	text := func(ref, secret string) string {
		p := &party{ref: ref, secret: secret, sender: dn(t, "CN="+ref)}
		k := b.talk(p)
		r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		return r.msg.Body.(*cmp.ErrorMsg).Status.StatusString[0]
	}
	b.device("dev-1")
	if a, b := text("dev-1", "wrong"), text("dev-9", "wrong"); a != b {
		t.Errorf("%q and %q", a, b)
	}
}

func TestProtectionAndItsAlgorithmComeTogether(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	der := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	k.send(element(asn1.SEQUENCE, m.Header.Raw, m.RawBody)).stranger(cmp.BadMessageCheck)

	bare := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = nil })
	n, err := cmp.Parse(bare, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	k.send(element(asn1.SEQUENCE, n.Header.Raw, n.RawBody, element(tagged(0), element(asn1.BIT_STRING, []byte{0}, m.Protection)))).stranger(cmp.BadMessageCheck)
}

func TestEveryBitOfTheProtectedPartIsProtected(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	der := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	end := len(der) - 40 // the protection itself is at the end
	if len(m.Protection) != 32 {
		t.Fatal("no HMAC-SHA256")
	}
	for i := 4; i < end; i += 7 {
		forged := append([]byte(nil), der...)
		forged[i] ^= 1
		out, err := b.engine.Process(t.Context(), b.engine.Parse(forged, "dir"), b.store)
		if err != nil {
			t.Fatalf("octet %d: %v", i, err)
		}
		if out.Disposition != cmpcore.Refused && out.Disposition != cmpcore.Failed && out.Disposition != cmpcore.Silent ||
			len(out.Certificates) > 0 || out.Transaction != nil {
			t.Errorf("octet %d: %s", i, describe(out))
		}
	}
}

func TestSilentToStrangersMeansNoAnswerToThemAndToNobodyElse(t *testing.T) {
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.SilentToStrangers = true }))
	p := b.device("dev-1")
	k := b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = nil }).silent(cmpcore.Failed)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.PVNO = 1 }).silent(cmpcore.Failed)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = cmp.MACProtector(pbm(t, 500), []byte("guess")) }).silent(cmpcore.Failed)
	k.say(&cmp.CertConfirm{}).refused(cmp.BadRequest)
	k = b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
}

// RFC 9810 section 5.3.21: the CA signs its errors, always.
func TestErrorsAreSignedWhereThePolicySaysSo(t *testing.T) {
	for _, sign := range []bool{false, true} {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.SignErrors = sign }), withRule("slow", func(r *cmpcore.Rule) { r.RevokeAny = true }))
		c := b.enrolled("CN=device 1", "p256 a").holder.cert
		want := func(r *reply, signed bool) {
			t.Helper()
			if r.signed != signed {
				t.Errorf("sign_errors %v: a %s is signed: %v", sign, r.msg.Body.Type(), r.signed)
			}
		}
		r := b.talk(b.device("dev-1")).say(&cmp.CertConfirm{})
		r.refused(cmp.BadRequest)
		want(r, sign)
		k := b.talk(b.device("slow-1"))
		want(k.say(rr(revocation(c, 1))).body(cmp.TypeError), sign) // waiting
		want(k.say(poll(-1)).body(cmp.TypePollRep), false)
		// A rejection is no error message.
		k = b.talk(b.device("dev-2"))
		r = k.say(k.one(cmp.TypeIR, "CN=a", "rsa1024 a"))
		r.rejected(0, cmp.BadAlg)
		want(r, false)
	}
}

// signed asks cr with a certificate of the partner CA.
func (b *bed) partnerSays(keyName, sig string, change func(*x509.Certificate), edits ...edit) *reply {
	b.Helper()
	p := b.signer(certify(b, b.partner, "partner device", key(b, keyName), change))
	p.sig = sig
	k := b.talk(p)
	return k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"), edits...)
}

func TestEverySignatureAlgorithmOfCommonKeysIsAccepted(t *testing.T) {
	for _, c := range []struct{ key, sig string }{
		{"rsa2048 x", "rsa-sha256"}, {"rsa2048 x", "rsa-sha384"}, {"rsa2048 x", "rsa-sha512"},
		{"rsa2048 x", "rsa-pss-sha256"}, {"rsa2048 x", "rsa-pss-sha384"}, {"rsa2048 x", "rsa-pss-sha512"},
		{"p256 x", ""}, {"p384 x", ""}, {"p256 x", "ecdsa-sha512"}, {"ed25519 x", ""},
	} {
		t.Run(c.key+" "+c.sig, func(t *testing.T) {
			b := newBed(t)
			r := b.partnerSays(c.key, c.sig, nil)
			if r.cert(0); !r.signed {
				t.Error("a signature was answered with a MAC")
			}
			if pubs := r.msg.Body.(*cmp.CertRepMessage).CAPubs; len(pubs) != 0 {
				t.Error("cp has caPubs")
			}
		})
	}
}

func TestSignersThatAreNotTrusted(t *testing.T) {
	intermediate := func(b *bed) *holder { return certify(b, b.partner, "Partner Sub CA", key(b, "p256 sub"), asCA) }
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		edit   func(*bed, *message)
		want   cmp.PKIFailureInfo
	}{
		"as it should be":                                   {nil, nil, 0},
		"the certificate has expired":                       {func(c *x509.Certificate) { c.NotAfter = epoch.Add(-1e9) }, nil, cmp.SignerNotTrusted},
		"the certificate is not valid yet":                  {func(c *x509.Certificate) { c.NotBefore = epoch.Add(1e9) }, nil, cmp.SignerNotTrusted},
		"the certificate is for encryption only":            {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, nil, cmp.SignerNotTrusted},
		"the certificate has no key usage":                  {func(c *x509.Certificate) { c.KeyUsage = 0 }, nil, 0},
		"extraCerts are missing":                            {nil, func(b *bed, m *message) { m.extra = nil }, cmp.SignerNotTrusted},
		"extraCerts begin with another certificate":         {nil, func(b *bed, m *message) { m.extra = [][]byte{b.partner.cert.Raw} }, cmp.BadMessageCheck},
		"extraCerts begin with what is no certificate":      {nil, func(b *bed, m *message) { m.extra = [][]byte{{0x30, 0}} }, cmp.BadDataFormat},
		"sender is not the certificate's subject":           {nil, func(b *bed, m *message) { m.Sender = pkix.NewDirectoryName(dn(t, "CN=somebody")) }, cmp.BadMessageCheck},
		"sender is written in capitals":                     {nil, func(b *bed, m *message) { m.Sender = pkix.NewDirectoryName(dn(t, "CN=PARTNER DEVICE,O=EXAMPLE")) }, 0},
		"senderKID is not the certificate's key identifier": {func(c *x509.Certificate) { c.SubjectKeyId = []byte("kid") }, func(b *bed, m *message) { m.SenderKID = []byte("other") }, cmp.BadMessageCheck},
		"senderKID is missing":                              {func(c *x509.Certificate) { c.SubjectKeyId = []byte("kid") }, func(b *bed, m *message) { m.SenderKID = nil }, 0},
		"the signature is by another key": {nil, func(b *bed, m *message) {
			a, _ := alg.SignatureFor(key(b, "p256 x").Public(), "")
			m.by = cmp.SignatureProtector(rand.Reader, key(b, "p256 other"), a)
		}, cmp.BadMessageCheck},
		"the algorithm does not fit the key": {nil, func(b *bed, m *message) {
			a, _ := alg.SignatureFor(key(b, "rsa2048 x").Public(), "")
			m.by = fixed{a, random(256)}
		}, cmp.BadMessageCheck},
		"a certificate without any trust": {nil, func(b *bed, m *message) {
			evil := certify(b, nil, "Partner Root", key(b, "p256 evil root"), asCA)
			h := certify(b, evil, "partner device", key(b, "p256 x"), nil)
			m.extra = [][]byte{h.cert.Raw, evil.cert.Raw}
			m.SenderKID = h.cert.SubjectKeyId
		}, cmp.SignerNotTrusted},
		"a certificate with our name as issuer that we did not issue": {nil, func(b *bed, m *message) {
			h := certify(b, certify(b, nil, "Issuing CA", key(b, "p256 evil root"), asCA), "partner device", key(b, "p256 x"), nil)
			m.extra, m.SenderKID = [][]byte{h.cert.Raw}, h.cert.SubjectKeyId
		}, cmp.SignerNotTrusted},
		"a certificate of our key that the store does not know": {nil, func(b *bed, m *message) {
			h := certify(b, b.ca, "partner device", key(b, "p256 x"), nil)
			m.extra, m.SenderKID = [][]byte{h.cert.Raw}, h.cert.SubjectKeyId
		}, cmp.SignerNotTrusted},
		"a certificate under an intermediate in extraCerts": {nil, func(b *bed, m *message) {
			sub := intermediate(b)
			h := certify(b, sub, "partner device", key(b, "p256 x"), nil)
			m.extra, m.SenderKID = [][]byte{h.cert.Raw, sub.cert.Raw}, h.cert.SubjectKeyId
		}, 0},
		"a certificate under an intermediate that is missing": {nil, func(b *bed, m *message) {
			h := certify(b, intermediate(b), "partner device", key(b, "p256 x"), nil)
			m.extra, m.SenderKID = [][]byte{h.cert.Raw}, h.cert.SubjectKeyId
		}, cmp.SignerNotTrusted},
		"a certificate under an end entity": {nil, func(b *bed, m *message) {
			ee := certify(b, b.partner, "no CA", key(b, "p256 y"), nil)
			h := certify(b, ee, "partner device", key(b, "p256 x"), nil)
			m.extra, m.SenderKID = [][]byte{h.cert.Raw, ee.cert.Raw}, h.cert.SubjectKeyId
		}, cmp.SignerNotTrusted},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			r := b.partnerSays("p256 x", "", c.change, func(m *message) {
				if c.edit != nil {
					c.edit(b, m)
				}
			})
			if c.want == 0 {
				r.cert(0)
				return
			}
			r.stranger(c.want)
		})
	}
}

func TestTheSignaturePolicyIsApplied(t *testing.T) {
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.Signatures = &alg.SignaturePolicy{Only: []string{"ecdsa-sha256"}} }))
	b.partnerSays("p256 x", "", nil).cert(0)
	b.partnerSays("rsa2048 x", "", nil).stranger(cmp.BadAlg)
}

func TestHoldersOfOurCertificatesAreCheckedAgainstTheStore(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	ask := func() *reply {
		k := b.talk(p)
		return k.say(k.one(cmp.TypeCR, "CN=device 1", "p256 b"))
	}
	rec := b.store.certs[string(p.holder.cert.SerialNumber.Bytes())]
	for status, want := range map[cmpcore.CertStatus]cmp.PKIFailureInfo{
		cmpcore.Valid: 0, cmpcore.Unconfirmed: 0, cmpcore.Revoked: cmp.CertRevoked, cmpcore.RejectedByHolder: cmp.CertRevoked,
	} {
		rec.Status = status
		r := ask()
		if want == 0 {
			r.cert(0)
			if len(r.out.Relied) != 1 {
				t.Errorf("%s: %d rows are relied on, want the signer's certificate", status, len(r.out.Relied))
			}
		} else {
			r.refused(want)
		}
	}
	rec.Status = cmpcore.Valid
	b.now = p.holder.cert.NotAfter.Add(1e9)
	ask().stranger(cmp.SignerNotTrusted)
}

// A sender whose certificate we issued may leave it out.
func TestASenderKIDIsEnoughForOurOwnCertificates(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	k := b.talk(p)
	k.say(k.one(cmp.TypeKUR, "CN=device 1", "p256 b"), func(m *message) { m.extra = nil }).cert(0)
	k = b.talk(p)
	k.say(k.one(cmp.TypeKUR, "CN=device 1", "p256 b"), func(m *message) {
		m.extra = nil
		m.Sender = pkix.NewDirectoryName(dn(t, "CN=device 2"))
	}).stranger(cmp.SignerNotTrusted)
}

func TestAnswersAreSignedByTheProtectionCertificate(t *testing.T) {
	b := newBed(t, withServer)
	b.partnerSays("p256 x", "", nil).cert(0)
	k := b.talk(b.device("dev-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = nil }).stranger(cmp.BadMessageCheck)
}

func TestTheRootIsLeftOutWhereThePolicySaysSo(t *testing.T) {
	for _, server := range []option{func(*bed) {}, withServer} {
		b := newBed(t, server, withPolicy(func(p *cmpcore.Policy) { p.OmitRoot = true }))
		b.partnerSays("p256 x", "", nil).cert(0)
		k := b.talk(b.device("dev-1"))
		r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		if r.cert(0); len(r.msg.Body.(*cmp.CertRepMessage).CAPubs) != 1 {
			t.Error("caPubs lacks the root")
		}
	}
}

func TestCAsWithOtherKeysAnswerAndIssue(t *testing.T) {
	for _, name := range []string{"rsa2048 ca", "p384 ca", "ed25519 ca"} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withCAKey(name))
			b.partnerSays("p256 x", "", nil).cert(0)
		})
	}
}

// Trusting a certificate is not yet a rule: each rule has its own anchors.
func TestEachRuleHasItsOwnAnchors(t *testing.T) {
	other := certify(t, nil, "Other Root", key(t, "p256 other root"), asCA)
	pinned := certify(t, nil, "pinned device", key(t, "p256 x"), func(c *x509.Certificate) { c.SubjectKeyId = []byte("pinned key") })
	b := newBed(t, func(b *bed) {
		b.cfg.Rules = append(b.cfg.Rules,
			cmpcore.Rule{Name: "others", Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{other.cert}}, May: []cmp.BodyType{cmp.TypeGenM}},
			cmpcore.Rule{Name: "pinned", Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{pinned.cert}}, May: []cmp.BodyType{cmp.TypeIR}, Profiles: []string{"strict"}})
	})
	p := b.signer(certify(t, other, "device 1", key(t, "p256 y"), nil))
	k := b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).refused(cmp.NotAuthorized)
	b.talk(p).say(genm(question(cmp.OIDCACerts))).answer(cmp.OIDCACerts)
	k = b.talk(b.signer(pinned))
	r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	r.cert(0)
	if got := r.out.Certificates[0].Profile; got != "strict" {
		t.Errorf("profile %s", got)
	}
	// OpenSSL 3.0 leaves it out where it is self-signed.
	k = b.talk(b.signer(pinned))
	k.say(k.one(cmp.TypeIR, "CN=b", "p256 b"), func(m *message) { m.extra = nil }).cert(0)
	k = b.talk(b.signer(pinned))
	k.say(k.one(cmp.TypeIR, "CN=c", "p256 c"), func(m *message) {
		m.extra, m.Sender = nil, pkix.NewDirectoryName(dn(b, "CN=somebody"))
	}).stranger(cmp.SignerNotTrusted)
	b.now = pinned.cert.NotAfter.Add(1e9)
	k = b.talk(b.signer(pinned))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).stranger(cmp.SignerNotTrusted)
}

func TestARuleMayNarrowTheSignersSubject(t *testing.T) {
	b := newBed(t, withRule("partners", func(r *cmpcore.Rule) {
		r.Certificate.Subject = func(n pkix.Name) bool {
			return n.String() == "CN=partner device,O=Example" || n.String() == "O=Example,CN=partner device"
		}
	}))
	b.partnerSays("p256 x", "", nil).cert(0)
	p := b.signer(certify(b, b.partner, "another device", key(b, "p256 x"), nil))
	k := b.talk(p)
	k.say(k.one(cmp.TypeCR, "CN=a", "p256 a")).refused(cmp.NotAuthorized)
}

// A rule may ask for the word of the CA that its holders are authorities (RFC
// 9810 section 4.5).
func TestARegistrationAuthorityIsKnownByItsPurpose(t *testing.T) {
	oid := func(arc int) stdasn1.ObjectIdentifier { return stdasn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, arc} }
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		good   bool
	}{
		"cmcRA":           {func(c *x509.Certificate) { c.UnknownExtKeyUsage = []stdasn1.ObjectIdentifier{oid(28)} }, true},
		"cmcRA of many":   {func(c *x509.Certificate) { c.UnknownExtKeyUsage = []stdasn1.ObjectIdentifier{oid(27), oid(28)} }, true},
		"no purpose":      {nil, false},
		"cmcCA":           {func(c *x509.Certificate) { c.UnknownExtKeyUsage = []stdasn1.ObjectIdentifier{oid(27)} }, false},
		"any purpose":     {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, false},
		"another purpose": {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withRule("partners", func(r *cmpcore.Rule) { r.Certificate.CMCRA, r.RAVerified = true, true }))
			k := b.talk(b.signer(certify(b, b.partner, "RA", key(b, "p256 x"), c.change)))
			r := k.say(k.request(cmp.TypeCR, want{subject: "CN=a", key: "p256 a", popo: func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }}))
			if c.good {
				r.cert(0)
			} else {
				r.refused(cmp.NotAuthorized)
			}
		})
	}
	t.Run("one of this CA", func(t *testing.T) {
		b := newBed(t, withRule("holders", func(r *cmpcore.Rule) { r.Certificate.CMCRA = true }))
		b.cfg.Profiles["default"] = profile(t, "default", func(c *issuance.ProfileConfig) { c.ExtKeyUsage.Allowed = []string{"cmcRA"} })
		b.rebuild()
		plain := b.talk(b.enrolled("CN=device 1", "p256 a"))
		plain.say(plain.one(cmp.TypeKUR, "CN=device 1", "p256 b")).refused(cmp.NotAuthorized)
		ra := b.talk(b.enrolled("CN=RA 1", "p256 c", func(t *crmf.CertTemplate) {
			t.Extensions = append(t.Extensions, pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDCMCRA}))
		}))
		ra.say(ra.one(cmp.TypeKUR, "CN=RA 1", "p256 d")).cert(0)
	})
}

// Path building looks at eight certificates of a stranger, and not at keys that
// make a signature check dear.
func TestPathBuildingIsBounded(t *testing.T) {
	b := newBed(t)
	sub := certify(t, b.partner, "Partner Sub CA", key(t, "p256 sub"), asCA)
	h := certify(t, sub, "partner device", key(t, "p256 x"), nil)
	n, _ := new(big.Int).SetString("1"+strings.Repeat("0", 6000)+"1", 16)
	huge := certify(t, b.partner, "Partner Sub CA", publicOnly{&rsa.PublicKey{N: n, E: 65537}}, asCA)
	for name, c := range map[string]struct {
		extra [][]byte
		good  bool
	}{
		"the intermediate in the eighth place": {append(filler(b, 7), sub.cert.Raw), true},
		"the intermediate in the ninth place":  {append(filler(b, 8), sub.cert.Raw), false},
		"one of the same name with a huge key": {[][]byte{huge.cert.Raw, sub.cert.Raw}, true},
		"junk before the intermediate":         {[][]byte{{0x30, 0}, sub.cert.Raw}, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(b.signer(h))
			r := k.say(k.one(cmp.TypeCR, "CN=a", "p256 a"), func(m *message) { m.extra = append([][]byte{h.cert.Raw}, c.extra...) })
			if c.good {
				r.cert(0)
			} else {
				r.stranger(cmp.SignerNotTrusted)
			}
		})
	}
}

func filler(b *bed, n int) (list [][]byte) {
	for range n {
		list = append(list, b.ca.cert.Raw)
	}
	return list
}

// publicOnly stands for the holder of a key that is only there to be certified.
type publicOnly struct{ pub crypto.PublicKey }

func (p publicOnly) Public() crypto.PublicKey { return p.pub }
func (publicOnly) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no private key")
}
