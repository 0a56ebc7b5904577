package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// oldValue is an EncryptedValue (RFC 4211 section 2.1) made by the standard
// library: PKCS #1 v1.5 around a key of AES-128-CBC, or of DES-EDE3-CBC.
func oldValue(t testing.TB, to crypto.PublicKey, content []byte, tripleDES bool) *crmf.EncryptedValue {
	t.Helper()
	type algorithm struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters asn1.RawValue
	}
	bits := func(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }
	key, oid, newCipher := make([]byte, 16), asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, aes.NewCipher
	if tripleDES {
		key, oid, newCipher = make([]byte, 24), asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, des.NewTripleDESCipher
	}
	rand.Read(key)
	block := must[cipher.Block](t)(newCipher(key))
	iv := make([]byte, block.BlockSize())
	rand.Read(iv)
	n := len(iv) - len(content)%len(iv)
	data := append(bytes.Clone(content), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	//lint:ignore SA1019 the form that is to be read
	wrapped := must[[]byte](t)(rsa.EncryptPKCS1v15(rand.Reader, to.(*rsa.PublicKey), key))
	der := must[[]byte](t)(asn1.Marshal(struct {
		SymmAlg    algorithm      `asn1:"tag:1"`
		EncSymmKey asn1.BitString `asn1:"tag:2"`
		KeyAlg     algorithm      `asn1:"tag:3"`
		EncValue   asn1.BitString
	}{algorithm{oid, asn1.RawValue{FullBytes: must[[]byte](t)(asn1.Marshal(iv))}}, bits(wrapped), algorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue}, bits(data)}))
	return must[*crmf.EncryptedValue](t)(crmf.ParseEncryptedValue(der))
}

// oldKey has a private key in it.
func oldKey(t testing.TB, to crypto.PublicKey, k crypto.PrivateKey) *crmf.EncryptedValue {
	t.Helper()
	return oldValue(t, to, must[[]byte](t)(alg.MarshalPrivateKey(k)), false)
}

func thisMessage(use int, v *crmf.EncryptedValue) func(*crmf.CertReqMsg) {
	der, _ := v.Bytes()
	return popo(&crmf.POPOPrivKey{Use: use, Form: crmf.ThisMessage, Bits: der})
}

// withThisMessage accepts the deprecated proof by the private key.
func withThisMessage(p cms.ValuePolicy) option {
	return func(b *bed) {
		withRevealed(b)
		withProofs(cmpcore.ProofThisMessage)(b)
		b.cfg.Encryption.Values = p
	}
}

func (b *bed) encryptionKey() crypto.PublicKey { return key(b, "rsa2048 encryption").Public() }

func TestThisMessageProvesPossession(t *testing.T) {
	b := newBed(t, withThisMessage(cms.ValuesAES))
	for keyType, use := range map[string]int{"rsa-2048": crmf.KeyEncipherment, "ecdsa-p256": crmf.KeyAgreement, "x25519": crmf.KeyAgreement} {
		private := anyKey(t, keyType)
		spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
		k := b.talk(b.device("dev-1"))
		b.keysOf(k, private, 0)
		r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", template: func(t *crmf.CertTemplate) { t.PublicKey = spki },
			popo: thisMessage(use, oldKey(t, b.encryptionKey(), private))}))
		c := r.cert(0)
		if !slices.ContainsFunc(r.out.Audit, func(a cmpcore.AuditEntry) bool {
			return a.Event == "issued" && a.Detail == "the private key was the proof of possession"
		}) {
			t.Errorf("%s: the audit trail does not tell: %v", keyType, r.out.Audit)
		}
		k.say(confirmation(c)).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
	}
	if len(b.store.archive) > 0 {
		t.Errorf("%d keys were kept though nobody asked for it", len(b.store.archive))
	}
}

func TestThisMessageThatProvesNothing(t *testing.T) {
	b := newBed(t, withThisMessage(cms.ValuesAES), withRule("slow", func(r *cmpcore.Rule) { r.Proofs = cmpcore.ProofEncryptedKey }))
	rsaKey, ours := key(t, "rsa2048 a"), b.encryptionKey()
	pkcs8 := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(rsaKey))
	value := func(v *crmf.EncryptedValue) func(*crmf.CertReqMsg) { return thisMessage(crmf.KeyEncipherment, v) }
	good := oldKey(t, ours, rsaKey)
	changed := func(change func(*crmf.EncryptedValue)) func(*crmf.CertReqMsg) {
		v := *good
		v.EncSymmKey, v.EncValue = bytes.Clone(good.EncSymmKey), bytes.Clone(good.EncValue)
		change(&v)
		return value(&v)
	}
	raw := func(b []byte) func(*crmf.CertReqMsg) {
		return popo(&crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.ThisMessage, Bits: b})
	}
	der := must[[]byte](t)(good.Bytes())
	signOnly := func(c *crmf.CertTemplate) {
		c.Extensions = append(c.Extensions, pkix.KeyUsageExtension(pkix.DigitalSignature))
	}
	for name, c := range map[string]struct {
		ref      string
		popo     func(*crmf.CertReqMsg)
		edits    []edit
		template func(*crmf.CertTemplate)
		fail     cmp.PKIFailureInfo
	}{
		"good":                          {"dev-1", value(good), nil, nil, 0},
		"at pvno 3":                     {"dev-1", value(good), []edit{version3}, nil, cmp.BadRequest},
		"a rule without it":             {"slow-1", value(good), nil, nil, cmp.BadPOP},
		"a certificate that only signs": {"dev-1", value(good), nil, signOnly, cmp.BadPOP},
		"under keyAgreement":            {"dev-1", thisMessage(crmf.KeyAgreement, good), nil, nil, cmp.BadPOP},
		// What follows has one answer, whatever is wrong.
		"another key":              {"dev-1", value(oldKey(t, ours, key(t, "rsa2048 b"))), nil, nil, cmp.BadPOP},
		"a key of another kind":    {"dev-1", value(oldKey(t, ours, key(t, "p256 b"))), nil, nil, cmp.BadPOP},
		"to another recipient":     {"dev-1", value(oldKey(t, key(t, "rsa2048 o").Public(), rsaKey)), nil, nil, cmp.BadPOP},
		"DES-EDE3-CBC":             {"dev-1", value(oldValue(t, ours, pkcs8, true)), nil, nil, cmp.BadPOP},
		"a key of PKCS #1":         {"dev-1", value(oldValue(t, ours, x509.MarshalPKCS1PrivateKey(rsaKey.(*rsa.PrivateKey)), false)), nil, nil, cmp.BadPOP},
		"no key in it":             {"dev-1", value(oldValue(t, ours, []byte("key"), false)), nil, nil, cmp.BadPOP},
		"nothing in it":            {"dev-1", value(oldValue(t, ours, nil, false)), nil, nil, cmp.BadPOP},
		"an octet after the key":   {"dev-1", value(oldValue(t, ours, append(bytes.Clone(pkcs8), 0), false)), nil, nil, cmp.BadPOP},
		"a key that is flipped":    {"dev-1", changed(func(v *crmf.EncryptedValue) { v.EncSymmKey[7] ^= 1 }), nil, nil, cmp.BadPOP},
		"a padding that is wrong":  {"dev-1", changed(func(v *crmf.EncryptedValue) { v.EncValue[len(v.EncValue)-17] ^= 0x80 }), nil, nil, cmp.BadPOP},
		"half a block":             {"dev-1", changed(func(v *crmf.EncryptedValue) { v.EncValue = v.EncValue[:len(v.EncValue)-8] }), nil, nil, cmp.BadPOP},
		"no symmAlg":               {"dev-1", changed(func(v *crmf.EncryptedValue) { v.SymmAlg = pkix.AlgorithmIdentifier{} }), nil, nil, cmp.BadPOP},
		"no keyAlg":                {"dev-1", changed(func(v *crmf.EncryptedValue) { v.KeyAlg = pkix.AlgorithmIdentifier{} }), nil, nil, cmp.BadPOP},
		"not DER":                  {"dev-1", raw([]byte{1}), nil, nil, cmp.BadPOP},
		"no bits":                  {"dev-1", raw([]byte{}), nil, nil, cmp.BadPOP},
		"an octet after the value": {"dev-1", raw(append(bytes.Clone(der), 0)), nil, nil, cmp.BadPOP},
		"an EnvelopedData":         {"dev-1", raw(append([]byte{0xa0, 2}, 5, 0)), nil, nil, cmp.BadPOP},
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(b.device(c.ref))
			r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: c.popo, template: c.template}), c.edits...)
			r.judge(c.fail)
			switch name {
			case "good", "at pvno 3", "a rule without it", "a certificate that only signs", "under keyAgreement":
				return
			}
			if text := r.response(0).Status.StatusString; len(text) != 1 || text[0] != "the private key does not open, or is not that of the request" {
				t.Errorf("it is told apart: %q", text)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		k := b.talk(b.device("dev-9"))
		var wants []want
		for i := range 17 {
			wants = append(wants, want{id: int64(i), subject: "CN=a", key: "rsa2048 a", popo: value(good)})
		}
		r := k.say(k.request(cmp.TypeIR, wants...))
		r.cert(15)
		r.rejected(16, cmp.BadRequest)
	})
	t.Run("the oldest cipher where it is allowed", func(t *testing.T) {
		b := newBed(t, withThisMessage(cms.ValuesTripleDES))
		k := b.talk(b.device("dev-1"))
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: value(oldValue(t, b.encryptionKey(), pkcs8, true))})).judge(0)
	})
	t.Run("to a former key", func(t *testing.T) {
		b := newBed(t, withThisMessage(cms.ValuesAES))
		e := b.cfg.Encryption
		enc := certify(b, b.ca, "Encryption 2", key(b, "rsa2048 o"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
		e.Former = []cmpcore.FormerEncryption{{Certificate: e.Certificate, Key: e.Key}}
		e.Certificate, e.Key = enc.cert.Raw, enc.key
		b.rebuild()
		k := b.talk(b.device("dev-1"))
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: value(oldKey(t, b.encryptionKey(), rsaKey))})).judge(0)
	})
}

func TestEncryptedValueIsOffUnlessItIsAllowed(t *testing.T) {
	for _, c := range []struct {
		change func(*cmpcore.Config, *bed)
		says   string
	}{
		{func(c *cmpcore.Config, _ *bed) { c.Encryption.Values = cms.ValuesRefused }, "EncryptedValue is refused"},
		{func(c *cmpcore.Config, _ *bed) { c.Encryption = nil }, "no encryption certificate"},
		{func(c *cmpcore.Config, b *bed) {
			enc := certify(b, b.ca, "Encryption", key(b, "p256 encryption"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
			c.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key, Values: cms.ValuesAES}
		}, "RSA keys alone"},
	} {
		b := newBed(t, withThisMessage(cms.ValuesAES))
		c.change(&b.cfg, b)
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %q", err, c.says)
		}
	}
}

func TestEncryptedValueIsArchived(t *testing.T) {
	a := key(t, "p256 a")
	for _, c := range []struct {
		name   string
		policy cms.ValuePolicy
		value  func(to crypto.PublicKey) *crmf.EncryptedValue
		edits  []edit
		fail   cmp.PKIFailureInfo
	}{
		{"where it is allowed", cms.ValuesAES, func(to crypto.PublicKey) *crmf.EncryptedValue { return oldKey(t, to, a) }, nil, 0},
		{"where it is not", cms.ValuesRefused, func(to crypto.PublicKey) *crmf.EncryptedValue { return oldKey(t, to, a) }, nil, cmp.BadRequest},
		{"at pvno 3", cms.ValuesAES, func(to crypto.PublicKey) *crmf.EncryptedValue { return oldKey(t, to, a) }, []edit{version3}, cmp.BadRequest},
		{"another key", cms.ValuesAES, func(to crypto.PublicKey) *crmf.EncryptedValue { return oldKey(t, to, key(t, "p256 b")) }, nil, cmp.IncorrectData},
		{"to another", cms.ValuesAES, func(crypto.PublicKey) *crmf.EncryptedValue { return oldKey(t, key(t, "rsa2048 o").Public(), a) }, nil, cmp.IncorrectData},
		{"the oldest cipher", cms.ValuesAES, func(to crypto.PublicKey) *crmf.EncryptedValue {
			return oldValue(t, to, must[[]byte](t)(alg.MarshalPrivateKey(a)), true)
		}, nil, cmp.IncorrectData},
		{"no ciphertext", cms.ValuesAES, func(crypto.PublicKey) *crmf.EncryptedValue { return &crmf.EncryptedValue{EncValue: []byte{1}} }, nil, cmp.IncorrectData},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, withArchive)
			b.cfg.Encryption.Values = c.policy
			b.rebuild()
			control := must[crmf.Attribute](t)(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Value: c.value(b.encryptionKey())}}))
			k := b.talk(b.device("dev-1"))
			k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", controls: []crmf.Attribute{control}}), c.edits...).judge(c.fail)
			if kept := len(b.store.archive); (kept == 1) != (c.fail == 0) {
				t.Errorf("%d keys were kept", kept)
			}
		})
	}
}

func TestTheClientProvesByThisMessage(t *testing.T) {
	b := newBed(t, withThisMessage(cms.ValuesAES))
	for _, keyType := range []string{"rsa-2048", "ecdsa-p384", "x448", "ml-kem-768"} {
		private := anyKey(t, keyType)
		r := client.CertificateRequest{Subject: dn(t, "CN=a"), POP: client.POPThisMessage, ProofTo: b.cfg.Encryption.Certificate, ProofKey: private,
			PublicKey: must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))}
		o := client.Options{Kind: cmp.TypeIR, Credentials: b.credentials(b.device("dev-1")), Certificates: []client.CertificateRequest{r}}
		got := b.converse(o).Certificates[0]
		if got.Err != nil || got.Certificate == nil {
			t.Fatalf("%s: %v %+v", keyType, got.Err, got.Status)
		}
		b.wantStatus(must[*x509.Certificate](t)(x509.ParseCertificate(got.Certificate)), cmpcore.Valid)
		o.PVNO = 3
		if _, _, err := client.Start(o); err == nil || !strings.Contains(err.Error(), "pvno 2") {
			t.Errorf("at pvno 3: %v", err)
		}
	}
}

// RFC 9810 appendix B: at pvno 2 the passphrase is an EncryptedValue, and its
// valueHint the name by which it is found.
func TestPassphrasesInTheOldForm(t *testing.T) {
	value := func(to crypto.PublicKey, text, name string) cmp.InfoTypeAndValue {
		v := oldValue(t, to, []byte(text), false)
		if name != "" {
			v.ValueHint = []byte(name)
		}
		return must[cmp.InfoTypeAndValue](t)(cmp.NewRevPassphrase(crmf.EncryptedKey{Value: v}))
	}
	scene := func(t *testing.T, p cms.ValuePolicy) (*bed, *party) {
		b := newBed(t, withPassphrases)
		b.cfg.Encryption.Values = p
		b.rebuild()
		return b, b.enrolled("CN=device 1", "p256 a")
	}
	t.Run("it revokes", func(t *testing.T) {
		b, p := scene(t, cms.ValuesAES)
		b.talk(p).say(genm(value(b.encryptionKey(), phrase, "my name"))).answer(cmp.OIDRevPassphrase)
		b.phrases(1)
		b.talk(knower("my name", phrase)).say(rr(revocation(p.holder.cert, 1))).statuses(0)
		b.wantStatus(p.holder.cert, cmpcore.Revoked)
	})
	ours := key(t, "rsa2048 encryption").Public()
	texts := map[string]bool{}
	for _, c := range []struct {
		name   string
		policy cms.ValuePolicy
		info   cmp.InfoTypeAndValue
		edits  []edit
		fail   cmp.PKIFailureInfo
	}{
		{"where it is not allowed", cms.ValuesRefused, value(ours, phrase, "n"), nil, cmp.BadRequest},
		{"at pvno 3", cms.ValuesAES, value(ours, phrase, "n"), []edit{version3}, cmp.BadRequest},
		{"a long name", cms.ValuesAES, value(ours, phrase, strings.Repeat("x", 129)), nil, cmp.BadDataFormat},
		{"a short text", cms.ValuesAES, value(ours, "short", "n"), nil, cmp.IncorrectData},
		{"no text", cms.ValuesAES, value(ours, strings.Repeat("\xff", 20), "n"), nil, cmp.IncorrectData},
		{"to another", cms.ValuesAES, value(key(t, "rsa2048 o").Public(), phrase, "n"), nil, cmp.IncorrectData},
		{"no ciphertext", cms.ValuesAES, must[cmp.InfoTypeAndValue](t)(cmp.NewRevPassphrase(crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{1}}})), nil, cmp.IncorrectData},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, p := scene(t, c.policy)
			r := b.talk(p).say(genm(c.info), c.edits...)
			r.refused(c.fail)
			b.phrases(0)
			if c.fail == cmp.IncorrectData {
				texts[strings.Join(r.msg.Body.(*cmp.ErrorMsg).Status.StatusString, "")] = true
			}
		})
	}
	if len(texts) != 1 {
		t.Errorf("failures are told apart: %v", texts)
	}
}
