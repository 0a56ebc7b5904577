package cmpcore_test

import (
	"crypto/rand"
	"math/big"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// asked sends one request and gives the answer.
func (b *bed) asked(ref string, w want, edits ...edit) *reply {
	b.Helper()
	k := b.talk(b.device(ref))
	return k.say(k.request(cmp.TypeIR, w), edits...)
}

// judge compares the only response: 0 means a certificate.
func (r *reply) judge(want cmp.PKIFailureInfo) {
	r.Helper()
	if want == 0 {
		r.cert(0)
		return
	}
	r.rejected(0, want)
	if len(r.out.Certificates)+len(r.out.SecretUses) > 0 || r.out.Disposition != cmpcore.Refused {
		r.Errorf("a rejection of all left:\n%s", describe(r.out))
	}
	r.wantState(cmpcore.Aborted)
}

func TestProofOfPossession(t *testing.T) {
	input := func(b *bed, keyName string, change func(*crmf.POPOSigningKeyInput)) func(*crmf.CertReqMsg) {
		return func(r *crmf.CertReqMsg) {
			in := &crmf.POPOSigningKeyInput{Sender: pkix.NewDirectoryName(dn(b, "CN=dev-1")), PublicKey: spki(b, key(b, keyName))}
			if change != nil {
				change(in)
			}
			a, _ := alg.SignatureFor(key(b, keyName).Public(), "")
			p, err := crmf.SignPOPInput(rand.Reader, key(b, keyName), a, in)
			if err != nil {
				b.Fatal(err)
			}
			r.POPO = p
		}
	}
	over := func(b *bed, keyName string) func(*crmf.CertReqMsg) {
		return func(r *crmf.CertReqMsg) {
			der, err := r.CertReq.Bytes()
			if err != nil {
				b.Fatal(err)
			}
			a, _ := alg.SignatureFor(key(b, keyName).Public(), "")
			if r.POPO, err = crmf.SignPOP(rand.Reader, key(b, keyName), a, der); err != nil {
				b.Fatal(err)
			}
		}
	}
	macOf := func(b *bed, secret string) func(*crmf.POPOSigningKeyInput) {
		return func(in *crmf.POPOSigningKeyInput) {
			in.Sender = nil
			v, err := crmf.SignPublicKeyMAC(pbm(b, 300), in.PublicKey, []byte(secret))
			if err != nil {
				b.Fatal(err)
			}
			in.PublicKeyMAC = v
		}
	}
	san := func(t *crmf.CertTemplate) {
		n, _ := pkix.NewDNSName("a.example")
		e, _ := pkix.SubjectAltNameExtension([]pkix.GeneralName{n}, true)
		t.Extensions = append(t.Extensions, e)
	}
	full := want{subject: "CN=a", key: "p256 a"}
	noName := want{key: "p256 a", template: san}
	for name, c := range map[string]struct {
		ref  string
		want want
		popo func(b *bed) func(*crmf.CertReqMsg)
		fail cmp.PKIFailureInfo
	}{
		"a signature over the CertRequest": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) { return over(b, "p256 a") }, 0},
		"none at all":                      {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) { return func(*crmf.CertReqMsg) {} }, cmp.BadPOP},
		"a signature by another key":       {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) { return over(b, "p256 b") }, cmp.BadPOP},
		"a signature over another request": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) {
				over(b, "p256 a")(r)
				r.CertReq.Template.Subject = dn(b, "CN=admin")
			}
		}, cmp.BadPOP},
		"an algorithm that is not for the key": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) { return over(b, "rsa2048 x") }, cmp.BadPOP},
		"an algorithm that nobody knows": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) {
				r.POPO = &crmf.POPOSigningKey{Algorithm: pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, Signature: []byte{1}}
			}
		}, cmp.BadAlg},
		"raVerified by a device": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }
		}, cmp.BadPOP},
		"raVerified by a registration authority": {"ra-1", full, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }
		}, 0},
		"poposkInput with the sender, where the template has no subject": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) { return input(b, "p256 a", nil) }, 0},
		"poposkInput with another sender": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) {
			return input(b, "p256 a", func(in *crmf.POPOSigningKeyInput) { in.Sender = pkix.NewDirectoryName(dn(b, "CN=dev-2")) })
		}, cmp.BadPOP},
		"poposkInput signed by another key": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) {
				input(b, "p256 b", func(in *crmf.POPOSigningKeyInput) { in.PublicKey = spki(b, key(b, "p256 a")) })(r)
			}
		}, cmp.BadPOP},
		"poposkInput for another key":             {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) { return input(b, "p256 b", nil) }, cmp.BadPOP},
		"poposkInput beside a complete template":  {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) { return input(b, "p256 a", nil) }, cmp.BadPOP},
		"no poposkInput beside an incomplete one": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) { return over(b, "p256 a") }, cmp.BadPOP},
		"publicKeyMAC under the secret": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) {
			return input(b, "p256 a", macOf(b, "secret of dev-1"))
		}, 0},
		"publicKeyMAC under another secret": {"dev-1", noName, func(b *bed) func(*crmf.CertReqMsg) {
			return input(b, "p256 a", macOf(b, "secret of dev-2"))
		}, cmp.BadPOP},
		"a certificate encrypted to its key is not made here": {"dev-1", full, func(b *bed) func(*crmf.CertReqMsg) {
			return func(r *crmf.CertReqMsg) {
				r.POPO = &crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.SubsequentMessage, Subsequent: crmf.EncrCert}
			}
		}, cmp.BadPOP},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			c.want.popo = c.popo(b)
			b.asked(c.ref, c.want).judge(c.fail)
		})
	}
}

func TestPublicKeyMACNeedsASecret(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.signer(certify(b, b.partner, "partner device", key(b, "p256 x"), nil)))
	in := &crmf.POPOSigningKeyInput{PublicKey: spki(b, key(b, "p256 a"))}
	in.PublicKeyMAC, _ = crmf.SignPublicKeyMAC(pbm(b, 300), in.PublicKey, []byte("x"))
	a, _ := alg.SignatureFor(key(b, "p256 a").Public(), "")
	k.say(k.request(cmp.TypeIR, want{key: "p256 a", popo: func(r *crmf.CertReqMsg) {
		r.POPO, _ = crmf.SignPOPInput(rand.Reader, key(b, "p256 a"), a, in)
	}})).judge(cmp.BadPOP)
}

// The MAC stands for a sender that nobody vouches for yet (RFC 4211 section 4.1).
func TestWhatAPublicKeyMACMustBe(t *testing.T) {
	b := newBed(t)
	a := key(t, "p256 a")
	mac := func(m *alg.MAC, secret string, over pkix.SubjectPublicKeyInfo) *crmf.PKMACValue {
		return must[*crmf.PKMACValue](t)(crmf.SignPublicKeyMAC(m, over, []byte(secret)))
	}
	with := func(id pkix.AlgorithmIdentifier) *crmf.PKMACValue {
		return &crmf.PKMACValue{Algorithm: id, Value: random(32)}
	}
	pbmac1 := must[*alg.MAC](t)(alg.NewPBMAC1(rand.Reader, alg.PBMAC1Options{Iterations: 300}))
	good := mac(pbm(t, 300), "secret of dev-1", spki(t, a))
	flipped := &crmf.PKMACValue{Algorithm: good.Algorithm, Value: append([]byte{good.Value[0] ^ 1}, good.Value[1:]...)}
	for name, c := range map[string]struct {
		mac  *crmf.PKMACValue
		fail cmp.PKIFailureInfo
	}{
		"PBM":                          {good, 0},
		"PBMAC1":                       {mac(pbmac1, "secret of dev-1", spki(t, a)), 0},
		"another secret":               {mac(pbm(t, 300), "secret of dev-2", spki(t, a)), cmp.BadPOP},
		"over another key":             {mac(pbm(t, 300), "secret of dev-1", spki(t, key(t, "p256 b"))), cmp.BadPOP},
		"a bit of it is wrong":         {flipped, cmp.BadPOP},
		"short":                        {&crmf.PKMACValue{Algorithm: good.Algorithm, Value: good.Value[:16]}, cmp.BadPOP},
		"empty":                        {&crmf.PKMACValue{Algorithm: good.Algorithm}, cmp.BadPOP},
		"an algorithm nobody knows":    {with(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}), cmp.BadAlg},
		"by Diffie-Hellman":            {with(dhAlgorithm(oidSHA256, oidHMACSHA256)), cmp.BadAlg},
		"no parameters":                {with(pkix.AlgorithmIdentifier{OID: good.Algorithm.OID}), cmp.BadAlg},
		"more iterations than allowed": {with(pbmParameters(16, 1_000_000, oidSHA256, oidHMACSHA256)), cmp.BadAlg},
		"SHA-1 as one-way function":    {with(pbmParameters(16, 300, oidSHA1, oidHMACSHA256)), cmp.BadAlg},
	} {
		t.Run(name, func(t *testing.T) {
			id := must[pkix.AlgorithmIdentifier](t)(alg.SignatureFor(a.Public(), ""))
			in := &crmf.POPOSigningKeyInput{PublicKey: spki(t, a), PublicKeyMAC: c.mac}
			p := must[*crmf.POPOSigningKey](t)(crmf.SignPOPInput(rand.Reader, a, id, in))
			k := b.talk(b.device("dev-1"))
			k.say(k.request(cmp.TypeIR, want{key: "p256 a", template: func(t *crmf.CertTemplate) {
				n, _ := pkix.NewDNSName("a.example")
				e, _ := pkix.SubjectAltNameExtension([]pkix.GeneralName{n}, true)
				t.Extensions = append(t.Extensions, e)
			}, popo: popo(p)})).judge(c.fail)
		})
	}
}

// The derivations that publicKeyMACs of one message ask for are bounded too.
func TestAMessageCannotBuyManyKeyDerivations(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	var wants []want
	for i := range 20 {
		wants = append(wants, want{id: int64(i), key: "p256 a", popo: func(r *crmf.CertReqMsg) {
			in := &crmf.POPOSigningKeyInput{PublicKey: spki(b, key(b, "p256 a"))}
			in.PublicKeyMAC = &crmf.PKMACValue{Algorithm: pbmParameters(16, 100_000, oidSHA256, oidHMACSHA256), Value: random(32)}
			a, _ := alg.SignatureFor(key(b, "p256 a").Public(), "")
			r.POPO, _ = crmf.SignPOPInput(rand.Reader, key(b, "p256 a"), a, in)
		}})
	}
	r := k.say(k.request(cmp.TypeIR, wants...))
	for i := range wants {
		r.rejected(i, cmp.BadPOP)
	}
	if text := r.response(19).Status.StatusString[0]; text != "the message has too many publicKeyMACs" {
		t.Errorf("the last is rejected because %q", text)
	}
}

func TestThePKCS10SignatureIsTheProof(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	body := k.p10cr("CN=a", "p256 a")
	body.Request.Signature[10] ^= 1
	k.say(body).rejected(0, cmp.BadPOP)
	k = b.talk(b.device("dev-1"))
	body = k.p10cr("CN=a", "p256 a")
	body.Request.Subject = dn(t, "CN=admin")
	k.say(body).rejected(0, cmp.BadPOP)
	if len(b.store.certs) > 0 {
		t.Error("something was issued")
	}
}

func TestWhatATemplateMayHave(t *testing.T) {
	one, three := 1, 2
	ext := func(e pkix.Extension) func(*crmf.CertTemplate) {
		return func(t *crmf.CertTemplate) { t.Extensions = append(t.Extensions, e) }
	}
	unknown := pkix.Extension{ID: pkix.MustOID("1.2.3.4"), Value: pkix.Null}
	asCA := pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: -1})
	strict := certProfile("strict")
	for name, c := range map[string]struct {
		want want
		edit edit
		fail cmp.PKIFailureInfo
	}{
		"version 3":                         {want{template: func(t *crmf.CertTemplate) { t.Version = &three }}, nil, 0},
		"version 2":                         {want{template: func(t *crmf.CertTemplate) { t.Version = &one }}, nil, cmp.BadCertTemplate},
		"a serial number":                   {want{template: func(t *crmf.CertTemplate) { t.SerialNumber = big.NewInt(1) }}, nil, cmp.BadCertTemplate},
		"a signing algorithm":               {want{template: func(t *crmf.CertTemplate) { t.SigningAlg.OID = pkix.MustOID("1.2.3") }}, nil, cmp.BadCertTemplate},
		"our name as issuer":                {want{template: func(t *crmf.CertTemplate) { t.Issuer = mustDN("CN=Issuing CA,O=Example") }}, nil, 0},
		"the NULL-DN as issuer":             {want{template: func(t *crmf.CertTemplate) { t.Issuer = pkix.EmptyName }}, nil, 0},
		"another issuer":                    {want{template: func(t *crmf.CertTemplate) { t.Issuer = mustDN("CN=Other CA") }}, nil, cmp.BadCertTemplate},
		"an issuerUID":                      {want{template: func(t *crmf.CertTemplate) { t.IssuerUID = []byte{0, 1} }}, nil, cmp.BadCertTemplate},
		"a subjectUID":                      {want{template: func(t *crmf.CertTemplate) { t.SubjectUID = []byte{0, 1} }}, nil, cmp.BadCertTemplate},
		"no key":                            {want{key: "", popo: func(*crmf.CertReqMsg) {}}, nil, cmp.BadCertTemplate},
		"a key of 1024 bits":                {want{key: "rsa1024 a"}, nil, cmp.BadAlg},
		"a type of key that is not offered": {want{key: "ed25519 a"}, strict, cmp.BadAlg},
		"a type of key that nobody knows": {want{template: func(t *crmf.CertTemplate) {
			t.PublicKey = element(0x30, element(0x30, element(6, []byte{42, 3})), element(3, []byte{0, 1}))
		}}, nil, cmp.BadAlg},
		"a key that cannot be read": {want{template: func(t *crmf.CertTemplate) {
			rsa := element(6, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1})
			t.PublicKey = element(0x30, element(0x30, rsa, []byte(pkix.Null)), element(3, []byte{0, 1}))
		}}, nil, cmp.BadCertTemplate},
		"an RSA key without NULL": {want{key: "rsa2048 a", template: func(t *crmf.CertTemplate) {
			rsa := element(6, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1})
			t.PublicKey = element(0x30, element(0x30, rsa), element(3, append([]byte{0}, t.PublicKey.KeyBits()...)))
		}}, nil, cmp.BadCertTemplate},
		"an extension that is not accepted": {want{template: ext(unknown)}, strict, cmp.UnacceptedExtension},
		"the CA flag":                       {want{template: ext(asCA)}, strict, cmp.UnacceptedExtension},
		"the CA flag, which is left out":    {want{template: ext(asCA)}, nil, 0},
		"a malformed extension":             {want{template: ext(pkix.Extension{ID: pkix.OIDSubjectAltName, Value: pkix.Null})}, nil, cmp.BadCertTemplate},
		"the CA's own name":                 {want{subject: "CN=Issuing CA,O=Example"}, nil, cmp.BadCertTemplate},
		"neither subject nor SAN":           {want{subject: "/"}, nil, cmp.BadCertTemplate},
		"a validity that is not offered": {want{template: func(t *crmf.CertTemplate) {
			t.Validity = &pkix.Validity{NotAfter: epoch.Add(3650 * day)}
		}}, strict, cmp.BadCertTemplate},
		"a profile that is offered":     {want{}, strict, 0},
		"a profile that is not offered": {want{}, certProfile("secret"), cmp.UnacceptedPolicy},
		"two profiles for one request":  {want{}, certProfile("strict", "default"), cmp.BadRequest},
		"a control for an archive":      {want{controls: []crmf.Attribute{{Type: crmf.OIDPKIArchiveOptions, Value: pkix.Null}}}, nil, cmp.BadRequest},
		"a control that nobody knows":   {want{controls: []crmf.Attribute{{Type: pkix.MustOID("1.2.3"), Value: pkix.Null}}}, nil, cmp.BadRequest},
		"altCertTemplate": {want{template: func(t *crmf.CertTemplate) { *t = crmf.CertTemplate{} }, popo: func(*crmf.CertReqMsg) {},
			controls: []crmf.Attribute{{Type: crmf.OIDAltCertTemplate, Value: element(0x30, element(6, []byte{42, 3}), pkix.Null)}}}, nil, cmp.BadRequest},
		"a malformed control": {want{controls: []crmf.Attribute{{Type: crmf.OIDPKIPublicationInfo, Value: pkix.Null}}}, nil, cmp.BadDataFormat},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			w := c.want
			if w.subject == "" {
				w.subject = "CN=a"
			}
			if w.key == "" && w.popo == nil {
				w.key = "p256 a"
			}
			edits := []edit{}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			r := b.asked("dev-1", w, edits...)
			r.judge(c.fail)
		})
	}
}

func TestWhatTheProfileChangesIsTold(t *testing.T) {
	b := newBed(t)
	r := b.asked("dev-1", want{subject: "CN=a", key: "p256 a", template: func(t *crmf.CertTemplate) {
		t.Validity = &pkix.Validity{NotAfter: epoch.Add(20 * 365 * day)}
	}})
	c := r.cert(0)
	if s := r.response(0).Status; s.Status != cmp.GrantedWithMods {
		t.Errorf("status %s %q", s.Status, s.StatusString)
	}
	if c.NotAfter.After(epoch.AddDate(3, 0, 1)) {
		t.Errorf("notAfter %s", c.NotAfter)
	}
	pub := crmf.PKIPublicationInfo{Action: 1}
	a, err := crmf.NewPKIPublicationInfo(pub)
	if err != nil {
		t.Fatal(err)
	}
	r = b.asked("dev-1", want{subject: "CN=a", key: "p256 a", controls: []crmf.Attribute{a}})
	if s := r.response(0).Status; s.Status != cmp.GrantedWithMods || s.StatusString[0] != "the certificate is not published" {
		t.Errorf("status %s %q", s.Status, s.StatusString)
	}
}

func TestAGrantedValidityIsTheRequestedOne(t *testing.T) {
	b := newBed(t)
	nb, na := epoch.Add(day).UTC().Truncate(time.Second), epoch.Add(100*day).UTC().Truncate(time.Second)
	r := b.asked("dev-1", want{subject: "CN=a", key: "p256 a", template: func(t *crmf.CertTemplate) {
		t.Validity = &pkix.Validity{NotBefore: nb, NotAfter: na}
	}})
	if c := r.cert(0); !c.NotBefore.Equal(nb) || !c.NotAfter.Equal(na) || r.response(0).Status.Status != cmp.Accepted {
		t.Errorf("%s to %s, %s", c.NotBefore, c.NotAfter, r.response(0).Status.Status)
	}
}

func TestRulesNarrowNamesAndKeys(t *testing.T) {
	b := newBed(t, withRule("devices", func(r *cmpcore.Rule) {
		r.KeyTypes = []string{"ecdsa-p256"}
		r.Names = func(n pkix.Name) bool { return n.String() == "CN=device 1" }
	}))
	b.asked("dev-1", want{subject: "CN=device 1", key: "p256 a"}).judge(0)
	b.asked("dev-1", want{subject: "CN=device 2", key: "p256 a"}).judge(cmp.NotAuthorized)
	b.asked("dev-1", want{subject: "CN=device 1", key: "p384 a"}).judge(cmp.BadCertTemplate)
	b.asked("nobody-1", want{subject: "CN=device 1", key: "p256 a"}).refused(cmp.NotAuthorized)
	b.asked("ask-1", want{subject: "CN=device 1", key: "p256 a"}).refused(cmp.NotAuthorized)
}

// resign replaces the signature of a proof by one over der.
func resign(b *bed, r *crmf.CertReqMsg, der []byte) {
	b.Helper()
	a, err := alg.SignatureFor(key(b, "p256 a").Public(), "")
	if err != nil {
		b.Fatal(err)
	}
	if r.POPO, err = crmf.SignPOP(rand.Reader, key(b, "p256 a"), a, der); err != nil {
		b.Fatal(err)
	}
}
