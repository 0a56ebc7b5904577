package cmpcore_test

import (
	"crypto"
	"crypto/x509"
	"slices"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// withRevealed accepts private keys as proofs, for RSA keys or others.
func withRevealed(b *bed) {
	enc := certify(b, b.ca, "Encryption", key(b, "rsa2048 encryption"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key}
	withDecryptionKeys(b)
	withProofs(cmpcore.ProofEncryptedKey)(b)
}

// revealed encrypts a private key to the CA, as proof.
func (b *bed) revealed(k crypto.PrivateKey, use int, change func(*cms.KeyWithID)) *crmf.POPOPrivKey {
	b.Helper()
	with := &cms.KeyWithID{Key: must[*cms.OneAsymmetricKey](b)(cms.NewOneAsymmetricKey(k)), Name: pkix.NewDirectoryName(dn(b, "CN=a"))}
	if change != nil {
		change(with)
	}
	to := must[*cms.Recipient](b)(cms.ForCertificate(b.cfg.Encryption.Certificate, nil))
	der := must[[]byte](b)(cms.Encrypt(b.cfg.Random, []*cms.Recipient{to}, cms.OIDKeyWithID, must[[]byte](b)(cms.MarshalKeyWithID(with)), nil))
	return &crmf.POPOPrivKey{Use: use, Form: crmf.EncryptedKeyPOP, Enveloped: der}
}

func popo(p crmf.ProofOfPossession) func(*crmf.CertReqMsg) {
	return func(r *crmf.CertReqMsg) { r.POPO = p }
}

func TestPrivateKeysProvePossession(t *testing.T) {
	b := newBed(t, withRevealed)
	for keyType, use := range map[string]int{
		"rsa-2048": crmf.KeyEncipherment, "ecdsa-p256": crmf.KeyAgreement, "ecdsa-p384": crmf.KeyAgreement, "ecdsa-p521": crmf.KeyAgreement,
		"x25519": crmf.KeyAgreement, "x448": crmf.KeyAgreement, "ml-kem-512": crmf.KeyEncipherment, "ml-kem-768": crmf.KeyEncipherment,
	} {
		private := anyKey(t, keyType)
		spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
		k := b.talk(b.device("dev-1"))
		b.keysOf(k, private, 0)
		r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", template: func(t *crmf.CertTemplate) { t.PublicKey = spki },
			popo: popo(b.revealed(private, use, nil))}), version3)
		c := r.cert(0)
		if !slices.ContainsFunc(r.out.Audit, func(a cmpcore.AuditEntry) bool {
			return a.Event == "issued" && a.Detail == "the private key was the proof of possession"
		}) {
			t.Errorf("%s: the audit trail does not tell: %v", keyType, r.out.Audit)
		}
		k.say(confirmation(c), version3).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
	}
	if len(b.store.archive) > 0 {
		t.Errorf("%d keys were kept though nobody asked for it", len(b.store.archive))
	}
}

func TestAKeyThatIsAProofIsKeptWhereThatIsAskedFor(t *testing.T) {
	b := newBed(t, withArchive, withRevealed)
	private := key(t, "p256 a")
	ask := func(controls []crmf.Attribute) *reply {
		k := b.talk(b.device("dev-1"))
		return k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", controls: controls,
			popo: popo(b.revealed(private, crmf.KeyAgreement, nil))}), version3, implicit)
	}
	ask(nil).cert(0)
	if len(b.store.archive) != 0 {
		t.Error("it is kept though it was a proof only")
	}
	ask(b.toArchive(private, nil)).cert(0)
	if len(b.store.archive) != 1 {
		t.Errorf("%d keys are kept", len(b.store.archive))
	}
	withRule("devices", func(r *cmpcore.Rule) { r.Archive = cmpcore.ArchiveRequired })(b)
	b.rebuild()
	ask(nil).judge(cmp.BadRequest)
}

func TestPrivateKeysThatProveNothing(t *testing.T) {
	signOnly := func(c *crmf.CertTemplate) {
		c.Extensions = append(c.Extensions, pkix.KeyUsageExtension(pkix.DigitalSignature))
	}
	b := newBed(t, withRevealed, withRule("slow", func(r *cmpcore.Rule) { r.Proofs = 0 }),
		withPolicy(func(p *cmpcore.Policy) { p.Tolerate = append(p.Tolerate, "mac-sender") }))
	rsa := key(t, "rsa2048 a")
	other := certify(t, nil, "Other", key(t, "rsa2048 o"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
	content := must[[]byte](t)(cms.MarshalKeyWithID(&cms.KeyWithID{Key: must[*cms.OneAsymmetricKey](t)(cms.NewOneAsymmetricKey(rsa)), Name: pkix.NewDirectoryName(dn(t, "CN=a"))}))
	envelope := func(cert []byte, typ pkix.OID, content []byte) func(*crmf.CertReqMsg) {
		to := must[*cms.Recipient](t)(cms.ForCertificate(cert, nil))
		der := must[[]byte](t)(cms.Encrypt(b.cfg.Random, []*cms.Recipient{to}, typ, content, nil))
		return popo(&crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.EncryptedKeyPOP, Enveloped: der})
	}
	ours := b.cfg.Encryption.Certificate
	good := popo(b.revealed(rsa, crmf.KeyEncipherment, nil))
	whose := func(change func(*cms.KeyWithID)) func(*crmf.CertReqMsg) {
		return popo(b.revealed(rsa, crmf.KeyEncipherment, change))
	}
	toName := func(n string) func(*cms.KeyWithID) {
		return func(k *cms.KeyWithID) { k.Name = pkix.NewDirectoryName(dn(t, n)) }
	}
	text := func(s string) func(*cms.KeyWithID) { return func(k *cms.KeyWithID) { k.Name, k.Text = nil, s } }
	senderIs := func(n string) edit { return func(m *message) { m.Sender = pkix.NewDirectoryName(dn(t, n)) } }
	for name, c := range map[string]struct {
		ref      string
		popo     func(*crmf.CertReqMsg)
		edits    []edit
		template func(*crmf.CertTemplate)
		fail     cmp.PKIFailureInfo
	}{
		"good":                              {"dev-1", good, []edit{version3}, nil, 0},
		"at pvno 2":                         {"dev-1", good, nil, nil, cmp.BadRequest},
		"a rule without it":                 {"slow-1", good, []edit{version3}, nil, cmp.BadPOP},
		"another key":                       {"dev-1", popo(b.revealed(key(t, "rsa2048 b"), crmf.KeyEncipherment, nil)), []edit{version3}, nil, cmp.BadPOP},
		"a key of another kind":             {"dev-1", popo(b.revealed(key(t, "p256 b"), crmf.KeyEncipherment, nil)), []edit{version3}, nil, cmp.BadPOP},
		"under keyAgreement":                {"dev-1", popo(b.revealed(rsa, crmf.KeyAgreement, nil)), []edit{version3}, nil, cmp.BadPOP},
		"a certificate that only signs":     {"dev-1", good, []edit{version3}, signOnly, cmp.BadPOP},
		"whose is not said":                 {"dev-1", whose(func(k *cms.KeyWithID) { k.Name = nil }), []edit{version3}, nil, cmp.BadPOP},
		"somebody else's":                   {"dev-1", whose(toName("CN=b")), []edit{version3}, nil, cmp.BadPOP},
		"somebody else's, who is sender":    {"dev-1", whose(toName("CN=b")), []edit{version3, senderIs("CN=b")}, nil, cmp.BadPOP},
		"the NULL-DN's":                     {"dev-1", whose(func(k *cms.KeyWithID) { k.Name = pkix.NewDirectoryName(pkix.EmptyName) }), []edit{version3}, nil, cmp.BadPOP},
		"that of the secret":                {"dev-1", whose(text("dev-1")), []edit{version3}, nil, 0},
		"that of another secret":            {"dev-1", whose(text("dev-2")), []edit{version3}, nil, cmp.BadPOP},
		"to another recipient":              {"dev-1", envelope(other.cert.Raw, cms.OIDKeyWithID, content), []edit{version3}, nil, cmp.BadPOP},
		"content of another type":           {"dev-1", envelope(ours, cms.OIDData, content), []edit{version3}, nil, cmp.BadPOP},
		"a trailing octet":                  {"dev-1", envelope(ours, cms.OIDKeyWithID, append(content[:len(content):len(content)], 0)), []edit{version3}, nil, cmp.BadPOP},
		"no key in it":                      {"dev-1", envelope(ours, cms.OIDKeyWithID, []byte("key")), []edit{version3}, nil, cmp.BadPOP},
		"no envelope":                       {"dev-1", popo(&crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.EncryptedKeyPOP, Enveloped: []byte{0x30, 0}}), []edit{version3}, nil, cmp.BadPOP},
		"thisMessage, whatever is accepted": {"dev-1", popo(&crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.ThisMessage, Bits: []byte{1}}), nil, nil, cmp.BadPOP},
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(b.device(c.ref))
			r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: c.popo, template: c.template}), c.edits...)
			r.judge(c.fail)
		})
	}
	t.Run("too many", func(t *testing.T) {
		k := b.talk(b.device("dev-9"))
		var wants []want
		for i := range 17 {
			wants = append(wants, want{id: int64(i), subject: "CN=a", key: "rsa2048 a", popo: good})
		}
		r := k.say(k.request(cmp.TypeIR, wants...), version3)
		r.cert(15)
		r.rejected(16, cmp.BadRequest)
	})
}

// A holder of a certificate may show a key for its own name, and for no other's.
func TestWhoseKeyASignerShows(t *testing.T) {
	b := newBed(t, withRevealed)
	p := b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil))
	for name, fail := range map[string]cmp.PKIFailureInfo{string(p.holder.cert.RawSubject): 0, string(b.partner.cert.RawSubject): cmp.BadPOP} {
		k := b.talk(p)
		k.say(k.request(cmp.TypeIR, want{subject: "CN=b", key: "rsa2048 a", popo: popo(b.revealed(key(t, "rsa2048 a"), crmf.KeyEncipherment, func(k *cms.KeyWithID) {
			k.Name = pkix.NewDirectoryName(pkix.Name(name))
		}))}), version3).judge(fail)
	}
}

func TestTheClientShowsPrivateKeys(t *testing.T) {
	b := newBed(t, withRevealed)
	for _, keyType := range []string{"rsa-2048", "ecdsa-p384", "x25519", "x448", "ml-kem-1024"} {
		private := anyKey(t, keyType)
		for _, subject := range []string{"CN=a", ""} {
			r := client.CertificateRequest{POP: client.POPEncryptedKey, ProofTo: b.cfg.Encryption.Certificate, ProofKey: private,
				PublicKey: must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))}
			if subject != "" {
				r.Subject = dn(t, subject)
			} else {
				n, _ := pkix.NewDNSName("a.example")
				r.SANs = []pkix.GeneralName{n}
			}
			got := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: b.credentials(b.device("dev-1")), PVNO: 3,
				Certificates: []client.CertificateRequest{r}}).Certificates[0]
			if got.Err != nil {
				t.Fatalf("%s %q: %v", keyType, subject, got.Err)
			}
			b.wantStatus(must[*x509.Certificate](t)(x509.ParseCertificate(got.Certificate)), cmpcore.Valid)
		}
	}
	if len(b.store.archive) > 0 {
		t.Error("keys were kept")
	}
}
