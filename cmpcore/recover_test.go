package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// withArchive keeps keys for all who ask, and gives them back: without a person
// but under rule "slow".
func withArchive(b *bed) {
	enc := certify(b, b.ca, "Encryption", key(b, "rsa2048 encryption"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key}
	for i := range b.cfg.Rules {
		r := &b.cfg.Rules[i]
		r.Archive, r.Unattended = cmpcore.ArchiveAllowed, r.Name != "slow"
		r.May = append(r.May, cmp.TypeKRR)
	}
	withCentralKeys("ecdsa-p256")(b)
}

// toArchive is the control that has a key kept.
func (b *bed) toArchive(k crypto.Signer, change func(*cms.KeyWithID)) []crmf.Attribute {
	b.Helper()
	with := &cms.KeyWithID{Key: must[*cms.OneAsymmetricKey](b)(cms.NewOneAsymmetricKey(k))}
	if change != nil {
		change(with)
	}
	to := must[*cms.Recipient](b)(cms.ForCertificate(b.cfg.Encryption.Certificate, nil))
	content := must[[]byte](b)(cms.MarshalKeyWithID(with))
	return b.archiveControl(to, cms.OIDKeyWithID, content)
}

func (b *bed) archiveControl(to *cms.Recipient, typ pkix.OID, content []byte) []crmf.Attribute {
	b.Helper()
	der := must[[]byte](b)(cms.Encrypt(b.cfg.Random, []*cms.Recipient{to}, typ, content, nil))
	return []crmf.Attribute{must[crmf.Attribute](b)(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Enveloped: der}}))}
}

// archived enrols with a key that is kept.
func (b *bed) archived(p *party, subject, keyName string) *x509.Certificate {
	b.Helper()
	k := b.talk(p)
	r := k.say(k.request(cmp.TypeIR, want{subject: subject, key: keyName, controls: b.toArchive(key(b, keyName), nil)}), implicit, version3)
	return r.cert(0)
}

// krr asks for keys.
func krr(change func(*crmf.CertReqMsg)) *cmp.CertReqMessages {
	m := crmf.CertReqMsg{CertReq: crmf.CertRequest{CertReqID: big.NewInt(0)}}
	if change != nil {
		change(&m)
	}
	return &cmp.CertReqMessages{Kind: cmp.TypeKRR, Requests: []crmf.CertReqMsg{m}}
}

// history wants krp with just these certificates and their keys.
func (r *reply) history(open *cms.Key, certs ...*x509.Certificate) {
	r.Helper()
	b := r.body(cmp.TypeKRP).msg.Body.(*cmp.KeyRecRepContent)
	if b.Status.Status != cmp.Accepted || b.NewSigCert != nil || len(b.KeyPairHist) != len(certs) {
		r.Fatalf("status %v, %d keys, want %d", b.Status, len(b.KeyPairHist), len(certs))
	}
	for _, c := range certs {
		found := false
		for _, k := range b.KeyPairHist {
			if !bytes.Equal(k.Certificate, c.Raw) {
				continue
			}
			found = true
			u := must[*cms.Unwrapped](r)(cms.UnwrapPrivateKey(r.cfg.Random, k.PrivateKey.Enveloped, open, nil))
			private := must[crypto.PrivateKey](r)(u.Keys[0].Parse())
			if !private.(crypto.Signer).Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(c.PublicKey) {
				r.Error("not the key of the certificate")
			}
			if len(u.Signatures) != 1 {
				r.Errorf("%d signatures", len(u.Signatures))
			}
			if d, ok := private.(*ecdsa.PrivateKey); ok && bytes.Contains(r.out.Reply, must[[]byte](r)(d.Bytes())) {
				r.Error("the answer has a private key in the clear")
			}
		}
		if !found {
			r.Errorf("the key of %s did not come", c.Subject)
		}
		if !strings.Contains(describe(r.out), "recovered") {
			r.Error("the audit log does not tell")
		}
	}
}

// norecovery wants krp with a rejection.
func (r *reply) norecovery(want cmp.PKIFailureInfo) {
	r.Helper()
	b := r.body(cmp.TypeKRP).msg.Body.(*cmp.KeyRecRepContent)
	if b.Status.Status != cmp.Rejection || b.Status.FailInfo != want || len(b.KeyPairHist) > 0 {
		r.Errorf("%v (%s), want %s", b.Status, r.out.Reason, want)
	}
}

func TestKeysAreArchivedAndRecovered(t *testing.T) {
	b := newBed(t, withArchive)
	dev := b.device("dev-1")
	byPassword := &cms.Key{Password: []byte(dev.secret)}
	one := b.archived(dev, "CN=one", "p256 a")
	two := b.archived(dev, "CN=two", "rsa2048 b")
	alien := b.archived(b.device("dev-2"), "CN=one", "p256 alien")
	for _, k := range must[[]*cmpcore.ArchivedKey](t)(b.store.ArchivedKeys(t.Context(), "secret:dev-1", 10)) {
		d := must[[]byte](t)(key(t, "p256 a").(*ecdsa.PrivateKey).Bytes())
		if bytes.Contains(k.Envelope, d) || bytes.Contains([]byte(describe(&cmpcore.Outcome{Archive: []*cmpcore.ArchivedKey{k}})), d) {
			t.Error("the archive has the key in the clear")
		}
		u := must[*cms.Unwrapped](t)(cms.UnwrapPrivateKey(b.cfg.Random, k.Envelope, &cms.Key{Private: b.cfg.Encryption.Key, Certificate: b.cfg.Encryption.Certificate}, nil))
		if len(u.Signatures) != 1 || !bytes.Equal(u.Signatures[0].Certificate, b.ca.cert.Raw) {
			t.Error("not signed by us")
		}
	}
	b.talk(dev).say(krr(nil), version3).history(byPassword, one, two)
	b.talk(dev).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.Subject = dn(t, "CN=two") }), version3).history(byPassword, two)
	b.talk(dev).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = one.SerialNumber }), version3).history(byPassword, one)
	b.talk(dev).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = two.RawSubjectPublicKeyInfo }), version3).history(byPassword, two)
	b.talk(dev).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = alien.SerialNumber }), version3).norecovery(cmp.BadCertID)

	t.Run("encrypted to a key of the requester's choice", func(t *testing.T) {
		c := must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
		b.talk(dev).say(krr(func(m *crmf.CertReqMsg) {
			m.CertReq.Controls, m.CertReq.Template.Subject = []crmf.Attribute{c}, dn(t, "CN=one")
		}), version3).history(&cms.Key{Private: key(t, "rsa2048 x")}, one)
	})
	t.Run("by the certificate's holder, through updates", func(t *testing.T) {
		me := b.signer(&holder{key: key(t, "rsa2048 b"), cert: two, chain: append([][]byte{b.ca.cert.Raw}, b.ca.chain...)})
		k := b.talk(me)
		next := k.say(k.request(cmp.TypeKUR, want{key: "rsa2048 c", controls: b.toArchive(key(t, "rsa2048 c"), nil)}), implicit, version3).cert(0)
		me = b.signer(&holder{key: key(t, "rsa2048 c"), cert: next, chain: append([][]byte{b.ca.cert.Raw}, b.ca.chain...)})
		c := must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
		// Not the key of CN=one, which came under the same secret.
		b.talk(me).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{c} }), version3).
			history(&cms.Key{Private: key(t, "rsa2048 x")}, two, next)
	})
	t.Run("a key made here", func(t *testing.T) {
		p, yes := b.device("dev-3"), true
		k := b.talk(p)
		cert := k.say(k.request(cmp.TypeIR, want{subject: "CN=c", controls: []crmf.Attribute{
			must[crmf.Attribute](t)(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{ArchiveRemGenPriv: &yes})),
		}}), implicit, version3).cert(0)
		b.talk(p).say(krr(nil), version3).history(&cms.Key{Password: []byte(p.secret)}, cert)
	})
	t.Run("a person decides", func(t *testing.T) {
		p := b.device("slow-1")
		k := b.talk(p)
		k.say(k.request(cmp.TypeIR, want{subject: "CN=s", key: "p256 s", controls: b.toArchive(key(t, "p256 s"), nil)}), implicit, version3).waits(0)
		b.decide(k, cmpcore.Approved, "")
		cert := k.say(poll(0), version3).cert(0)
		for _, d := range []cmpcore.Decision{cmpcore.Approved, cmpcore.Rejected} {
			k = b.talk(p)
			r := k.say(krr(nil), version3).body(cmp.TypeKRP)
			if s := r.msg.Body.(*cmp.KeyRecRepContent); s.Status.Status != cmp.Waiting || len(s.KeyPairHist) > 0 {
				t.Fatalf("%v", s.Status)
			}
			if tx := b.store.transactionOf(k.id); !strings.Contains(tx.Summary, "krr: 1 private keys: CN=s") {
				t.Errorf("summary %q", tx.Summary)
			}
			b.decide(k, d, "")
			r = k.say(poll(-1), version3)
			if d == cmpcore.Approved {
				r.history(&cms.Key{Password: []byte(p.secret)}, cert)
			} else {
				r.norecovery(cmp.NotAuthorized)
			}
		}
	})
	t.Run("a key that the archive no longer opens", func(t *testing.T) {
		other := newBed(t, withArchive)
		other.archived(other.device("dev-1"), "CN=one", "p256 other")
		b.store.archive[0].Envelope = other.store.archive[0].Envelope
		b.talk(dev).say(krr(func(m *crmf.CertReqMsg) {
			m.CertReq.Template.SerialNumber = new(big.Int).SetBytes(b.store.archive[0].Serial)
		}), version3).
			refused(cmp.SystemFailure)
	})
}

func TestRecoveryRefused(t *testing.T) {
	b := newBed(t, withArchive, withRule("ra", func(r *cmpcore.Rule) { r.May = []cmp.BodyType{cmp.TypeIR} }))
	dev := b.device("dev-1")
	for i := range 17 {
		b.archived(dev, fmt.Sprintf("CN=%d", i), fmt.Sprintf("p256 k%d", i))
	}
	say := func(change func(*crmf.CertReqMsg), edits ...edit) *reply {
		return b.talk(dev).say(krr(change), append(edits, version3)...)
	}
	say(nil).norecovery(cmp.BadRequest) // too many
	b.talk(dev).say(krr(nil)).norecovery(cmp.BadRequest)
	for name, c := range map[string]struct {
		change func(*crmf.CertReqMsg)
		fail   cmp.PKIFailureInfo
	}{
		"a subject that nobody has": {func(m *crmf.CertReqMsg) { m.CertReq.Template.Subject = dn(t, "CN=x") }, cmp.BadCertID},
		"a proof of possession":     {func(m *crmf.CertReqMsg) { m.POPO = crmf.RAVerified{} }, cmp.BadPOP},
		"a validity":                {func(m *crmf.CertReqMsg) { m.CertReq.Template.Validity = &pkix.Validity{NotAfter: epoch} }, cmp.BadCertTemplate},
		"another issuer":            {func(m *crmf.CertReqMsg) { m.CertReq.Template.Issuer = dn(t, "CN=x") }, cmp.BadCertTemplate},
		"a serial number of zero":   {func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = new(big.Int) }, cmp.BadCertTemplate},
		"a control of something else": {func(m *crmf.CertReqMsg) {
			m.CertReq.Controls = []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewRegToken("x"))}
		}, cmp.BadRequest},
		"a key that cannot encrypt": {func(m *crmf.CertReqMsg) {
			m.CertReq.Controls = []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "ed25519 x"))))}
		}, cmp.BadAlg},
	} {
		t.Run(name, func(t *testing.T) { say(c.change).norecovery(c.fail) })
	}
	b.talk(b.device("ra-1")).say(krr(nil), version3).refused(cmp.NotAuthorized)
	two := krr(nil)
	two.Requests = append(two.Requests, two.Requests[0])
	b.talk(dev).say(two, version3).norecovery(cmp.BadRequest)
	stranger := b.signer(certify(t, b.partner, "0", key(t, "rsa2048 p"), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment }))
	b.talk(stranger).say(krr(nil), version3).norecovery(cmp.BadCertID)
}

func TestArchiveRefused(t *testing.T) {
	b := newBed(t, withArchive, withRule("ra", func(r *cmpcore.Rule) { r.Archive = cmpcore.ArchiveNone }),
		withRule("slow", func(r *cmpcore.Rule) { r.Archive, r.Approval = cmpcore.ArchiveRequired, false }))
	a := key(t, "p256 a")
	no, yes := false, true
	option := func(o crmf.PKIArchiveOptions) []crmf.Attribute {
		return []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewPKIArchiveOptions(o))}
	}
	toOurs := must[*cms.Recipient](t)(cms.ForCertificate(b.cfg.Encryption.Certificate, nil))
	other := certify(t, nil, "Other", key(t, "rsa2048 o"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	toOther := must[*cms.Recipient](t)(cms.ForCertificate(other.cert.Raw, nil))
	content := must[[]byte](t)(cms.MarshalKeyWithID(&cms.KeyWithID{Key: must[*cms.OneAsymmetricKey](t)(cms.NewOneAsymmetricKey(a))}))
	named := func(name string) func(*cms.KeyWithID) {
		return func(k *cms.KeyWithID) { k.Name = pkix.NewDirectoryName(dn(t, name)) }
	}
	good := b.toArchive(a, nil)
	for name, c := range map[string]struct {
		ref      string
		controls []crmf.Attribute
		fail     cmp.PKIFailureInfo
	}{
		"good":                          {"dev-1", good, 0},
		"for its own name":              {"dev-1", b.toArchive(a, named("CN=a")), 0},
		"with a text":                   {"dev-1", b.toArchive(a, func(k *cms.KeyWithID) { k.Text = "me" }), 0},
		"none, and none is needed":      {"dev-1", nil, 0},
		"none, but one is required":     {"slow-1", nil, cmp.BadRequest},
		"one, as required":              {"slow-1", good, 0},
		"a rule without an archive":     {"ra-1", good, cmp.BadRequest},
		"twice":                         {"dev-1", append(good[:1:1], good...), cmp.BadRequest},
		"parameters for a key":          {"dev-1", option(crmf.PKIArchiveOptions{KeyGenParameters: []byte{1}}), cmp.BadRequest},
		"a key made here, with its own": {"dev-1", option(crmf.PKIArchiveOptions{ArchiveRemGenPriv: &yes}), cmp.BadRequest},
		"no key made here":              {"dev-1", option(crmf.PKIArchiveOptions{ArchiveRemGenPriv: &no}), 0},
		"malformed":                     {"dev-1", []crmf.Attribute{{Type: crmf.OIDPKIArchiveOptions, Value: []byte{5, 0}}}, cmp.BadDataFormat},
		"EncryptedValue": {"dev-1", option(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{
			Value: &crmf.EncryptedValue{EncValue: []byte{1, 2}}}}), cmp.BadRequest},
		"another key":            {"dev-1", b.toArchive(key(t, "p256 b"), nil), cmp.IncorrectData},
		"for somebody else":      {"dev-1", b.toArchive(a, named("CN=b")), cmp.IncorrectData},
		"for another recipient":  {"dev-1", b.archiveControl(toOther, cms.OIDKeyWithID, content), cmp.IncorrectData},
		"of another type":        {"dev-1", b.archiveControl(toOurs, cms.OIDData, content), cmp.IncorrectData},
		"a key that is none":     {"dev-1", b.archiveControl(toOurs, cms.OIDKeyWithID, content[:len(content)-1]), cmp.IncorrectData},
		"no envelope at all":     {"dev-1", option(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Enveloped: []byte{0x30, 0}}}), cmp.IncorrectData},
		"a trailing octet in it": {"dev-1", b.archiveControl(toOurs, cms.OIDKeyWithID, append(content[:len(content):len(content)], 0)), cmp.IncorrectData},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(b.store.archive)
			k := b.talk(b.device(c.ref))
			r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", controls: c.controls}), version3)
			r.judge(c.fail)
			kept := len(b.store.archive) - before
			if want := c.fail == 0 && len(c.controls) > 0 && name != "no key made here"; want != (kept == 1) {
				t.Errorf("%d keys were kept", kept)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		k := b.talk(b.device("dev-9"))
		var wants []want
		for i := range 17 {
			wants = append(wants, want{id: int64(i), subject: "CN=a", key: "p256 a", controls: good})
		}
		r := k.say(k.request(cmp.TypeIR, wants...), version3)
		r.cert(15)
		r.rejected(16, cmp.BadRequest)
	})
	t.Run("to the CA's own key", func(t *testing.T) {
		b := newBed(t, withCAKey("rsa2048 ca"))
		withArchive(b)
		b.cfg.Encryption = &cmpcore.Encryption{Key: b.ca.key, Certificate: certify(b, b.ca, "Encryption", b.ca.key, func(c *x509.Certificate) {
			c.KeyUsage = x509.KeyUsageKeyEncipherment
		}).cert.Raw}
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "the CA's own key") {
			t.Error(err)
		}
	})
	t.Run("nothing to encrypt to", func(t *testing.T) {
		b := newBed(t)
		b.cfg.Rules[0].Archive = cmpcore.ArchiveAllowed
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "no encryption certificate") {
			t.Error(err)
		}
	})
}

func TestTheClientRecoversKeys(t *testing.T) {
	b := newBed(t, withArchive)
	for _, ref := range []string{"dev-1", "slow-1"} {
		c := b.credentials(b.device(ref))
		r := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: c, PVNO: 3, Certificates: []client.CertificateRequest{
			{Subject: dn(t, "CN=a"), Key: key(t, "p256 a"), ArchiveTo: b.cfg.Encryption.Certificate},
			{Subject: dn(t, "CN=b"), CentralKey: &pkix.AlgorithmIdentifier{}, ArchiveTo: b.cfg.Encryption.Certificate},
		}})
		one, two := r.Certificates[0], r.Certificates[1]
		if one.Err != nil || two.Err != nil {
			t.Fatal(one.Err, two.Err)
		}
		r = b.converse(client.Options{Kind: cmp.TypeKRR, Credentials: c, PVNO: 3})
		if r.Recovery == nil || len(r.Recovery.Keys) != 2 {
			t.Fatalf("%+v", r.Recovery)
		}
		for _, k := range r.Recovery.Keys {
			cert := must[*x509.Certificate](t)(x509.ParseCertificate(k.Certificate))
			if k.Err != nil || !k.Key.(*ecdsa.PrivateKey).PublicKey.Equal(cert.PublicKey) {
				t.Errorf("%s: %v", cert.Subject, k.Err)
			}
		}
		r = b.converse(client.Options{Kind: cmp.TypeKRR, Credentials: c, PVNO: 3, Recovery: &client.Recovery{Certificate: two.Certificate}})
		if len(r.Recovery.Keys) != 1 || !bytes.Equal(r.Recovery.Keys[0].Certificate, two.Certificate) {
			t.Errorf("%+v", r.Recovery)
		}
		r = b.converse(client.Options{Kind: cmp.TypeKRR, Credentials: c, PVNO: 3, Recovery: &client.Recovery{Subject: dn(t, "CN=z")}})
		if r.Recovery.Status.FailInfo != cmp.BadCertID || len(r.Recovery.Keys) != 0 {
			t.Errorf("%+v", r.Recovery)
		}
	}
}
