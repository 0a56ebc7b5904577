package cmpcore_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
)

// ecdhPop is the identifiers of RFC 6955 section 7 and their hashes.
var ecdhPop = map[string]crypto.Hash{
	"1.3.6.1.5.5.7.6.25": crypto.SHA224, "1.3.6.1.5.5.7.6.26": crypto.SHA256,
	"1.3.6.1.5.5.7.6.27": crypto.SHA384, "1.3.6.1.5.5.7.6.28": crypto.SHA512,
}

// stdStaticMAC computes the MAC of RFC 6955 section 4 with the standard library
// alone: its key is the hash of the subject, the secret and the issuer.
func stdStaticMAC(h crypto.Hash, shared []byte, ca *x509.Certificate, message []byte) []byte {
	k := h.New()
	k.Write(ca.RawSubject)
	k.Write(shared)
	k.Write(ca.RawIssuer)
	m := hmac.New(h.New, k.Sum(nil))
	m.Write(message)
	return m.Sum(nil)
}

// stdDhSigStatic makes the value; a nil certificate is left out.
func stdDhSigStatic(t testing.TB, ca *x509.Certificate, mac []byte) []byte {
	t.Helper()
	type id struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	if ca == nil {
		return must[[]byte](t)(asn1.Marshal(struct{ MAC []byte }{mac}))
	}
	return must[[]byte](t)(asn1.Marshal(struct {
		ID  id
		MAC []byte
	}{id{asn1.RawValue{FullBytes: ca.RawIssuer}, ca.SerialNumber}, mac}))
}

// agreePOP is a key to certify, its secret with the CA's key, and the CA's
// certificate.
type agreePOP struct {
	t      testing.TB
	key    *ecdh.PrivateKey
	shared []byte
	ca     *x509.Certificate
}

// talk is one with a device that asks for the key, under any certReqId.
func (a *agreePOP) talk(b *bed) *talk {
	k := b.talk(b.device("dev-1"))
	pub := must[any](a.t)(x509.ParsePKIXPublicKey(must[[]byte](a.t)(x509.MarshalPKIXPublicKey(a.key.PublicKey()))))
	for id := range int64(20) {
		k.keys[id-1] = halfKey{pub}
	}
	return k
}

// want asks for a certificate with a proof over the CertRequest.
func (a *agreePOP) want(prove func(der []byte) crmf.ProofOfPossession) want {
	spki := must[[]byte](a.t)(x509.MarshalPKIXPublicKey(a.key.PublicKey()))
	return want{subject: "CN=a", template: func(t *crmf.CertTemplate) { t.PublicKey = spki }, popo: func(r *crmf.CertReqMsg) {
		r.POPO = prove(must[[]byte](a.t)(r.CertReq.Bytes()))
	}}
}

func (a *agreePOP) static(oid string, named *x509.Certificate, der []byte) (pkix.AlgorithmIdentifier, []byte) {
	return pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid)}, stdDhSigStatic(a.t, named, stdStaticMAC(ecdhPop[oid], a.shared, a.ca, der))
}

func agreeMAC(a pkix.AlgorithmIdentifier, mac []byte) crmf.ProofOfPossession {
	return &crmf.POPOPrivKey{Use: crmf.KeyAgreement, Form: crmf.AgreeMAC, MAC: &crmf.PKMACValue{Algorithm: a, Value: mac}}
}

func asSignature(a pkix.AlgorithmIdentifier, mac []byte) crmf.ProofOfPossession {
	return &crmf.POPOSigningKey{Algorithm: a, Signature: mac}
}

func dhMAC(mac []byte) crmf.ProofOfPossession {
	return &crmf.POPOPrivKey{Use: crmf.KeyAgreement, Form: crmf.DHMAC, Bits: mac}
}

func withProofs(p cmpcore.Proofs) option {
	return func(b *bed) {
		for i := range b.cfg.Rules {
			b.cfg.Rules[i].Proofs = p
		}
	}
}

const macProofs = cmpcore.ProofAgreement | cmpcore.ProofDHMAC

func agreeBed(t testing.TB, curve string, options ...option) (*bed, *agreePOP) {
	t.Helper()
	b, ca := dhBed(t, curve, append([]option{withDecryptionKeys, withProofs(macProofs)}, options...)...)
	own := dhKey(t, curve)
	return b, &agreePOP{t, own, shared(t, own, ca), b.agreement.cert}
}

// proofs are all ways to write the MAC.
func (a *agreePOP) proofs() map[string]func([]byte) crmf.ProofOfPossession {
	ways := map[string]func([]byte) crmf.ProofOfPossession{
		"dhMAC": func(der []byte) crmf.ProofOfPossession {
			return dhMAC(stdStaticMAC(crypto.SHA1, a.shared, a.ca, der))
		},
		"dhMAC as DhSigStatic": func(der []byte) crmf.ProofOfPossession {
			return dhMAC(stdDhSigStatic(a.t, a.ca, stdStaticMAC(crypto.SHA1, a.shared, a.ca, der)))
		},
		"agreeMAC by a password's MAC": func(der []byte) crmf.ProofOfPossession {
			m := pbm(a.t, 300)
			return agreeMAC(m.Algorithm(), must[[]byte](a.t)(m.Sum(a.shared, der)))
		},
		"agreeMAC, no certificate named": func(der []byte) crmf.ProofOfPossession {
			return agreeMAC(a.static("1.3.6.1.5.5.7.6.26", nil, der))
		},
		"agreeMAC, NULL as parameters": func(der []byte) crmf.ProofOfPossession {
			id, v := a.static("1.3.6.1.5.5.7.6.26", a.ca, der)
			id.Parameters = pkix.Null
			return agreeMAC(id, v)
		},
	}
	for form, write := range map[string]func(pkix.AlgorithmIdentifier, []byte) crmf.ProofOfPossession{"agreeMAC": agreeMAC, "signature": asSignature} {
		for oid := range ecdhPop {
			ways[form+" "+oid] = func(der []byte) crmf.ProofOfPossession { return write(a.static(oid, a.ca, der)) }
		}
		ways[form+" DHBasedMac"] = func(der []byte) crmf.ProofOfPossession {
			id := dhAlgorithm(oidSHA256, oidHMACSHA512)
			return write(id, stdDHMAC(a.t, id, a.shared, der))
		}
	}
	return ways
}

func TestMACsByKeyAgreementProvePossession(t *testing.T) {
	for curve := range agreementCurves {
		b, a := agreeBed(t, curve)
		for name, prove := range a.proofs() {
			t.Run(curve+" "+name, func(t *testing.T) {
				k := a.talk(b)
				c := k.say(k.request(cmp.TypeIR, a.want(prove)), version3).cert(0)
				if c.KeyUsage&x509.KeyUsageKeyAgreement == 0 {
					t.Errorf("key usage %x", c.KeyUsage)
				}
				k.say(confirmation(c), version3).body(cmp.TypePKIConf)
				b.wantStatus(c, cmpcore.Valid)
			})
		}
	}
}

func TestOldAgreementProofsAtVersion2(t *testing.T) {
	b, a := agreeBed(t, "p256")
	for name, want := range map[string]cmp.PKIFailureInfo{
		"dhMAC": 0, "signature DHBasedMac": 0, "signature 1.3.6.1.5.5.7.6.26": 0,
		"agreeMAC DHBasedMac": cmp.BadRequest, "agreeMAC 1.3.6.1.5.5.7.6.26": cmp.BadRequest,
	} {
		k := a.talk(b)
		k.say(k.request(cmp.TypeIR, a.want(a.proofs()[name])), implicit).judge(want)
	}
}

func TestX448ProvesByAgreement(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	gen := func() (*alg.X448PrivateKey, pkix.SubjectPublicKeyInfo) {
		k := anyKey(t, "x448").(*alg.X448PrivateKey)
		return k, must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(k.Public()))
	}
	caKey, caSPKI := gen()
	own, ownSPKI := gen()
	b.agreement = foreignKey(t, b.ca, "CA agreement", caSPKI, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
	b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: caKey}
	withProofs(macProofs)(b)
	b.rebuild()
	a := &agreePOP{t, nil, must[[]byte](t)(own.ECDH(caKey.Public().(alg.X448PublicKey))), b.agreement.cert}
	for name, prove := range a.proofs() {
		k := b.talk(b.device("dev-1"))
		b.keysOf(k, own, 0)
		w := want{subject: "CN=a", template: func(t *crmf.CertTemplate) { t.PublicKey = ownSPKI }, popo: func(r *crmf.CertReqMsg) {
			r.POPO = prove(must[[]byte](t)(r.CertReq.Bytes()))
		}}
		if k.say(k.request(cmp.TypeIR, w), version3, implicit).cert(0) == nil {
			t.Errorf("%s: no certificate", name)
		}
	}
}

func TestMACsByKeyAgreementThatProveNothing(t *testing.T) {
	other := func(a *agreePOP) *agreePOP { // somebody with another private key
		s := must[[]byte](a.t)(dhKey(a.t, "p256").ECDH(a.key.PublicKey()))
		return &agreePOP{a.t, a.key, s, a.ca}
	}
	signOnly := func(c *crmf.CertTemplate) {
		c.Extensions = append(c.Extensions, pkix.KeyUsageExtension(pkix.DigitalSignature))
	}
	good := func(a *agreePOP, name string) want { return a.want(a.proofs()[name]) }
	for name, c := range map[string]struct {
		want   func(b *bed, a *agreePOP) want
		option option
		fail   cmp.PKIFailureInfo
	}{
		"agreeMAC under another secret":       {func(b *bed, a *agreePOP) want { return good(other(a), "agreeMAC DHBasedMac") }, nil, cmp.BadPOP},
		"static ECDH under another secret":    {func(b *bed, a *agreePOP) want { return good(other(a), "agreeMAC 1.3.6.1.5.5.7.6.26") }, nil, cmp.BadPOP},
		"dhMAC under another secret":          {func(b *bed, a *agreePOP) want { return good(other(a), "dhMAC") }, nil, cmp.BadPOP},
		"as a signature under another secret": {func(b *bed, a *agreePOP) want { return good(other(a), "signature DHBasedMac") }, nil, cmp.BadPOP},
		"a password's MAC of another secret":  {func(b *bed, a *agreePOP) want { return good(other(a), "agreeMAC by a password's MAC") }, nil, cmp.BadPOP},
		"over another request": {func(b *bed, a *agreePOP) want {
			w := good(a, "agreeMAC DHBasedMac")
			prove := w.popo
			w.popo = func(r *crmf.CertReqMsg) { prove(r); r.CertReq.Template.Subject = dn(b, "CN=admin") }
			return w
		}, nil, cmp.BadPOP},
		"for another certificate of the CA": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				return agreeMAC(a.static("1.3.6.1.5.5.7.6.26", b.ca.cert, der))
			})
		}, nil, cmp.BadPOP},
		"under the names of another certificate": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				return agreeMAC(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.6.1.5.5.7.6.26")},
					stdDhSigStatic(a.t, nil, stdStaticMAC(crypto.SHA256, a.shared, b.ca.cert, der)))
			})
		}, nil, cmp.BadPOP},
		"no DhSigStatic": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				return agreeMAC(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.6.1.5.5.7.6.26")}, stdStaticMAC(crypto.SHA256, a.shared, a.ca, der))
			})
		}, nil, cmp.BadPOP},
		"empty": {func(b *bed, a *agreePOP) want {
			return a.want(func([]byte) crmf.ProofOfPossession { return dhMAC(nil) })
		}, nil, cmp.BadPOP},
		"a short dhMAC": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				return dhMAC(stdStaticMAC(crypto.SHA1, a.shared, a.ca, der)[:sha1.Size-1])
			})
		}, nil, cmp.BadPOP},
		"an algorithm that nobody knows": {func(b *bed, a *agreePOP) want {
			return a.want(func([]byte) crmf.ProofOfPossession {
				return agreeMAC(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, []byte{1})
			})
		}, nil, cmp.BadAlg},
		"static DH of keys that are not EC": {func(b *bed, a *agreePOP) want {
			return a.want(func([]byte) crmf.ProofOfPossession {
				return agreeMAC(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.6.1.5.5.7.6.16")}, []byte{1})
			})
		}, nil, cmp.BadAlg},
		"parameters where none belong": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				id, v := a.static("1.3.6.1.5.5.7.6.26", a.ca, der)
				id.Parameters = []byte{2, 1, 1}
				return agreeMAC(id, v)
			})
		}, nil, cmp.BadAlg},
		"SHA-1 as one-way function": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				id := dhAlgorithm(oidSHA1, oidHMACSHA256)
				return agreeMAC(id, stdDHMAC(a.t, id, a.shared, der))
			})
		}, nil, cmp.BadAlg},
		"DHBasedMac refused by a policy": {func(b *bed, a *agreePOP) want { return good(a, "agreeMAC DHBasedMac") },
			withPolicy(func(p *cmpcore.Policy) { p.MAC = &alg.MACPolicy{Only: []string{"pbm"}} }), cmp.BadAlg},
		"a template without a subject": {func(b *bed, a *agreePOP) want {
			w := good(a, "agreeMAC DHBasedMac")
			w.subject = ""
			w.template = func(set func(*crmf.CertTemplate)) func(*crmf.CertTemplate) {
				return func(t *crmf.CertTemplate) {
					set(t)
					n, _ := pkix.NewDNSName("a.example")
					e, _ := pkix.SubjectAltNameExtension([]pkix.GeneralName{n}, true)
					t.Extensions = append(t.Extensions, e)
				}
			}(w.template)
			return w
		}, nil, cmp.BadPOP},
		"a certificate that only signs": {func(b *bed, a *agreePOP) want {
			w := good(a, "agreeMAC DHBasedMac")
			set := w.template
			w.template = func(t *crmf.CertTemplate) { set(t); signOnly(t) }
			return w
		}, nil, cmp.BadPOP},
		"a certificate that only signs, as a signature": {func(b *bed, a *agreePOP) want {
			w := good(a, "signature DHBasedMac")
			set := w.template
			w.template = func(t *crmf.CertTemplate) { set(t); signOnly(t) }
			return w
		}, nil, cmp.BadPOP},
		"under keyEncipherment": {func(b *bed, a *agreePOP) want {
			return a.want(func(der []byte) crmf.ProofOfPossession {
				p := a.proofs()["agreeMAC DHBasedMac"](der).(*crmf.POPOPrivKey)
				p.Use = crmf.KeyEncipherment
				return p
			})
		}, nil, cmp.BadPOP},
		"a key on another curve": {func(b *bed, a *agreePOP) want {
			return (&agreePOP{a.t, dhKey(a.t, "p384"), a.shared, a.ca}).want(a.proofs()["agreeMAC DHBasedMac"])
		}, nil, cmp.BadPOP},
		"a key that does not agree": {func(b *bed, a *agreePOP) want {
			w := good(a, "agreeMAC DHBasedMac")
			w.template, w.key = nil, "rsa2048 a"
			return w
		}, nil, cmp.BadPOP},
		"a key that does not agree, as a signature": {func(b *bed, a *agreePOP) want {
			w := good(a, "signature DHBasedMac")
			w.template, w.key = nil, "rsa2048 a"
			return w
		}, nil, cmp.BadPOP},
		"agreeMAC under a rule without it":    {func(b *bed, a *agreePOP) want { return good(a, "agreeMAC DHBasedMac") }, withProofs(cmpcore.ProofDHMAC), cmp.BadPOP},
		"dhMAC under a rule without it":       {func(b *bed, a *agreePOP) want { return good(a, "dhMAC") }, withProofs(cmpcore.ProofAgreement), cmp.BadPOP},
		"a signature under a rule without it": {func(b *bed, a *agreePOP) want { return good(a, "signature DHBasedMac") }, withProofs(0), cmp.BadAlg},
		"nothing wrong":                       {func(b *bed, a *agreePOP) want { return good(a, "agreeMAC DHBasedMac") }, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var options []option
			if c.option != nil {
				options = append(options, c.option)
			}
			b, a := agreeBed(t, "p256", options...)
			k := a.talk(b)
			k.say(k.request(cmp.TypeIR, c.want(b, a)), version3).judge(c.fail)
		})
	}
}

// A requester who knows only the shared secret of the messages cannot choose a
// key of small order, whose secret everybody knows.
func TestAKeyOfSmallOrderProvesNothing(t *testing.T) {
	b, a := agreeBed(t, "x25519")
	a.shared = make([]byte, 32)
	spki := pkix.SubjectPublicKeyInfo(must[[]byte](t)(x509.MarshalPKIXPublicKey(must[*ecdh.PublicKey](t)(ecdh.X25519().NewPublicKey(make([]byte, 32))))))
	w := a.want(a.proofs()["agreeMAC DHBasedMac"])
	w.template = func(t *crmf.CertTemplate) { t.PublicKey = spki }
	b.asked("dev-1", w, version3).judge(cmp.BadCertTemplate)
}

// Password-based MACs in agreeMAC cost what their parameters ask for.
func TestAMessageCannotBuyManyAgreeMACs(t *testing.T) {
	b, a := agreeBed(t, "p256")
	k := a.talk(b)
	var wants []want
	for i := range 12 {
		w := a.want(a.proofs()["agreeMAC by a password's MAC"])
		w.id = int64(i)
		wants = append(wants, w)
	}
	r := k.say(k.request(cmp.TypeIR, wants...), version3)
	r.cert(9)
	r.rejected(10, cmp.BadPOP)
	r.rejected(11, cmp.BadPOP)
}

// pkcs10Of makes a PKCS #10 request with any signature.
func (a *agreePOP) pkcs10Of(b *bed, sign func(info []byte) (pkix.AlgorithmIdentifier, []byte)) *cmp.P10CR {
	spki := must[[]byte](a.t)(x509.MarshalPKIXPublicKey(a.key.PublicKey()))
	id, _ := sign(nil)
	der := must[[]byte](a.t)(pkcs10.Build(dn(b, "CN=a"), spki, nil, id, func(info []byte) ([]byte, error) {
		_, v := sign(info)
		return v, nil
	}))
	s := cryptobyte.String(der)
	return &cmp.P10CR{Request: must[pkcs10.CertificationRequest](a.t)(pkcs10.Read(&s))}
}

func TestPKCS10ProvesByStaticECDH(t *testing.T) {
	for curve := range agreementCurves {
		b, a := agreeBed(t, curve)
		for oid := range ecdhPop {
			k := a.talk(b)
			body := a.pkcs10Of(b, func(info []byte) (pkix.AlgorithmIdentifier, []byte) { return a.static(oid, a.ca, info) })
			if k.say(body, implicit).cert(0) == nil {
				t.Errorf("%s %s: no certificate", curve, oid)
			}
			body.Request.Signature[len(body.Request.Signature)-1] ^= 1
			b.talk(b.device("dev-1")).say(body, implicit).rejected(0, cmp.BadPOP)
		}
		// DHBasedMac is for CRMF.
		k := b.talk(b.device("dev-1"))
		k.say(a.pkcs10Of(b, func(info []byte) (pkix.AlgorithmIdentifier, []byte) {
			id := dhAlgorithm(oidSHA256, oidHMACSHA256)
			return id, stdDHMAC(t, id, a.shared, info)
		}), implicit).rejected(0, cmp.BadAlg)
	}
	b, a := agreeBed(t, "p256", withProofs(cmpcore.ProofDHMAC))
	k := b.talk(b.device("dev-1"))
	k.say(a.pkcs10Of(b, func(info []byte) (pkix.AlgorithmIdentifier, []byte) {
		return a.static("1.3.6.1.5.5.7.6.26", a.ca, info)
	})).rejected(0, cmp.BadAlg)
}

func TestRulesForProofsNeedTheirKeys(t *testing.T) {
	for want, c := range map[string]struct {
		proofs  cmpcore.Proofs
		options []option
	}{
		"no key for it":             {cmpcore.ProofAgreement, nil},
		"but the CA has no key":     {cmpcore.ProofDHMAC, nil},
		"no encryption certificate": {cmpcore.ProofEncryptedKey, nil},
	} {
		b := newBed(t, c.options...)
		withProofs(c.proofs)(b)
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A CA that asks for a cross-certificate signs.
func TestACrossCertificateIsNotProvenByAgreement(t *testing.T) {
	b, a := agreeBed(t, "p256", withCross, withRule("cross", func(r *cmpcore.Rule) { r.Unattended, r.Proofs = true, macProofs }))
	k := b.talk(b.signer(b.partner))
	w := b.crossWant(nil)
	set := w.template
	w.key = ""
	w.template = func(t *crmf.CertTemplate) { set(t); a.want(nil).template(t) }
	w.popo = a.want(a.proofs()["signature DHBasedMac"]).popo
	k.say(k.request(cmp.TypeCCR, w), version3).rejected(0, cmp.BadPOP)
}

func TestTheClientProvesByAgreement(t *testing.T) {
	for _, keyType := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "x25519", "x448"} {
		b := newBed(t, withDecryptionKeys)
		caKey := anyKey(t, keyType)
		publicOf := func(k crypto.PrivateKey) pkix.SubjectPublicKeyInfo {
			return must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(k.(interface{ Public() crypto.PublicKey }).Public()))
		}
		b.agreement = foreignKey(t, b.ca, "CA agreement", publicOf(caKey), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
		b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: caKey}
		withProofs(macProofs)(b)
		b.rebuild()
		private := anyKey(t, keyType)
		for _, r := range []client.CertificateRequest{
			{POP: client.POPAgreeMAC}, {POP: client.POPAgreeSignature},
			{POP: client.POPAgreeMAC, StaticECDH: true}, {POP: client.POPAgreeSignature, StaticECDH: true},
		} {
			r.Subject, r.ProofTo = dn(t, "CN=a"), b.agreement.cert.Raw
			if s, ok := private.(crypto.Signer); ok {
				r.Key = s
			} else {
				r.PublicKey, r.ProofKey = publicOf(private), private
			}
			got := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: b.credentials(b.device("dev-1")), PVNO: 3,
				Certificates: []client.CertificateRequest{r}}).Certificates[0]
			if got.Err != nil {
				t.Fatalf("%s %d: %v", keyType, r.POP, got.Err)
			}
			b.wantStatus(must[*x509.Certificate](t)(x509.ParseCertificate(got.Certificate)), cmpcore.Valid)
		}
		dh := must[*alg.StaticDH](t)(client.StaticDH(private, b.agreement.cert.Raw))
		id := must[pkix.AlgorithmIdentifier](t)(alg.StaticPOPFor(private.(interface{ Public() crypto.PublicKey }).Public()))
		p10 := must[[]byte](t)(pkcs10.Build(dn(t, "CN=a"), publicOf(private), nil, id, func(info []byte) ([]byte, error) { return dh.Sign(id, info) }))
		got := b.converse(client.Options{Kind: cmp.TypeP10CR, Credentials: b.credentials(b.device("dev-1")), PKCS10: p10}).Certificates[0]
		if got.Err != nil {
			t.Fatalf("%s p10cr: %v", keyType, got.Err)
		}
	}
}

func TestWhatTheClientCannotProveByAgreement(t *testing.T) {
	b, _ := agreeBed(t, "p256")
	ca := b.agreement.cert.Raw
	a, other := key(t, "p256 a"), key(t, "p384 a")
	signs := certify(t, b.ca, "x", key(t, "p256 x"), nil).cert.Raw
	for name, c := range map[string]struct {
		pvno int
		r    client.CertificateRequest
	}{
		"agreeMAC at pvno 2":             {2, client.CertificateRequest{Key: a, POP: client.POPAgreeMAC, ProofTo: ca}},
		"no certificate":                 {3, client.CertificateRequest{Key: a, POP: client.POPAgreeMAC}},
		"no certificate at all":          {3, client.CertificateRequest{Key: a, POP: client.POPAgreeMAC, ProofTo: []byte{1}}},
		"a certificate that only signs":  {3, client.CertificateRequest{Key: a, POP: client.POPAgreeMAC, ProofTo: signs}},
		"another curve":                  {3, client.CertificateRequest{Key: other, POP: client.POPAgreeSignature, ProofTo: ca}},
		"no private key":                 {3, client.CertificateRequest{PublicKey: spki(t, a), POP: client.POPAgreeMAC, ProofTo: ca}},
		"another private key":            {3, client.CertificateRequest{PublicKey: spki(t, a), ProofKey: key(t, "p256 b"), POP: client.POPAgreeMAC, ProofTo: ca}},
		"options of another proof":       {3, client.CertificateRequest{Key: a, ProofTo: ca}},
		"encryptedKey at pvno 2":         {2, client.CertificateRequest{Key: a, POP: client.POPEncryptedKey, ProofTo: ca}},
		"encryptedKey to nobody":         {3, client.CertificateRequest{Key: a, POP: client.POPEncryptedKey, ProofTo: []byte{1}}},
		"encryptedKey of a signing key":  {3, client.CertificateRequest{Key: key(t, "ed25519 a"), POP: client.POPEncryptedKey, ProofTo: ca}},
		"encryptedKey, RFC 6955 besides": {3, client.CertificateRequest{Key: a, POP: client.POPEncryptedKey, ProofTo: ca, StaticECDH: true}},
	} {
		c.r.Subject = dn(t, "CN=a")
		_, _, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: b.credentials(b.device("dev-1")), PVNO: c.pvno,
			Certificates: []client.CertificateRequest{c.r}})
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
