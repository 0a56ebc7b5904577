package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RFC 5280 section 4.2.1.2
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// withEncrKey sets what all rules say of protocolEncrKey.
func withEncrKey(m cmpcore.EncrKeyMode) option {
	return func(b *bed) {
		for i := range b.cfg.Rules {
			b.cfg.Rules[i].EncrKey = m
		}
	}
}

// oneKey gives a key of a type as package alg names it, made once.
func oneKey(t testing.TB, keyType string) crypto.PrivateKey {
	t.Helper()
	if k, ok := keys.Load("any " + keyType); ok {
		return k
	}
	k := anyKey(t, keyType)
	keys.Store("any "+keyType, k)
	return k
}

func publicInfo(t testing.TB, k crypto.PrivateKey) pkix.SubjectPublicKeyInfo {
	t.Helper()
	return must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(k.(interface{ Public() crypto.PublicKey }).Public()))
}

// onlyRSAKEM is the SubjectPublicKeyInfo of an RSA key that is for RSA-KEM alone
// (RFC 9690 section 2.3), by the standard library.
func onlyRSAKEM(t testing.TB, k crypto.PrivateKey) pkix.SubjectPublicKeyInfo {
	t.Helper()
	octets := x509.MarshalPKCS1PublicKey(&k.(*rsa.PrivateKey).PublicKey)
	return must[[]byte](t)(asn1.Marshal(struct {
		Algorithm struct{ OID asn1.ObjectIdentifier }
		Key       asn1.BitString
	}{struct{ OID asn1.ObjectIdentifier }{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 14}}, asn1.BitString{Bytes: octets, BitLength: 8 * len(octets)}}))
}

// keyForm is a way in which a private key can be sent.
type keyForm struct {
	technique cms.Technique
	kem       string // KEM of KeyEncapsulation
	openssl   bool   // reads it
	// ask gives who asks and, for protocolEncrKey, what for.
	ask func(b *bed) client.Options
}

const rsaKEM = "1.0.18033.2.2.4"

var mlkems = map[string]string{"ml-kem-512": "2.16.840.1.101.3.4.4.1", "ml-kem-768": "2.16.840.1.101.3.4.4.2", "ml-kem-1024": "2.16.840.1.101.3.4.4.3"}

func keyForms() map[string]keyForm {
	forms := map[string]keyForm{
		"pwri, a shared secret": {cms.Password, "", true, func(b *bed) client.Options {
			return client.Options{Credentials: b.credentials(b.device("dev-1"))}
		}},
		"kemri, a MAC by RSA-KEM":                     {cms.KeyEncapsulation, rsaKEM, false, byKEM("rsa-2048", publicInfo)},
		"kemri, a MAC by RSA-KEM, a key for it alone": {cms.KeyEncapsulation, rsaKEM, false, byKEM("rsa-2048", onlyRSAKEM)},
		"kemri, protocolEncrKey for RSA-KEM alone":    {cms.KeyEncapsulation, rsaKEM, false, byEncrKey("rsa-2048", onlyRSAKEM)},
		"ktri, protocolEncrKey rsa-2048":              {cms.KeyTransport, "", true, byEncrKey("rsa-2048", publicInfo)},
		"ktri, an RSA certificate": {cms.KeyTransport, "", true, func(b *bed) client.Options {
			return bySignature(b, "rsa-2048", x509.KeyUsageKeyEncipherment)
		}},
	}
	for _, c := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521"} {
		forms["kari, a certificate "+c] = keyForm{cms.KeyAgreement, "", true, func(b *bed) client.Options {
			return bySignature(b, c, x509.KeyUsageKeyAgreement)
		}}
	}
	for _, c := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "x25519", "x448"} {
		ec := strings.HasPrefix(c, "ecdsa")
		forms["kari, protocolEncrKey "+c] = keyForm{cms.KeyAgreement, "", ec, byEncrKey(c, publicInfo)}
		forms["kari, a MAC by Diffie-Hellman "+c] = keyForm{cms.KeyAgreement, "", ec, byAgreement(c)}
	}
	for kem, oid := range mlkems {
		forms["kemri, protocolEncrKey "+kem] = keyForm{cms.KeyEncapsulation, oid, false, byEncrKey(kem, publicInfo)}
		forms["kemri, a MAC by "+kem] = keyForm{cms.KeyEncapsulation, oid, false, byKEM(kem, publicInfo)}
	}
	return forms
}

func bySignature(b *bed, keyType string, usage x509.KeyUsage) client.Options {
	h := certify(b, b.partner, "signer", oneKey(b, keyType).(crypto.Signer), func(c *x509.Certificate) { c.KeyUsage |= usage })
	return client.Options{Credentials: b.credentials(b.signer(h))}
}

func byAgreement(keyType string) func(*bed) client.Options {
	return func(b *bed) client.Options {
		agrees := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }
		ca := anyKey(b, keyType)
		b.agreement = foreignKey(b, b.ca, "CA agreement", publicInfo(b, ca), agrees)
		b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: ca}
		b.rebuild()
		own := oneKey(b, keyType)
		h := foreignKey(b, b.partner, "agreeing device", publicInfo(b, own), agrees)
		c := b.credentials(&party{holder: h})
		c.Key, c.Agreement = nil, &client.Agreement{Key: own, Peer: b.agreement.cert.Raw}
		return client.Options{Credentials: c}
	}
}

func byKEM(keyType string, info func(testing.TB, crypto.PrivateKey) pkix.SubjectPublicKeyInfo) func(*bed) client.Options {
	return func(b *bed) client.Options {
		own := oneKey(b, keyType)
		h := foreignKey(b, b.partner, "KEM device", info(b, own), enciphers)
		c := b.credentials(&party{holder: h})
		c.Key, c.KEMKey = nil, own
		return client.Options{Credentials: c}
	}
}

// ready fetches the ciphertext that a request under a KEM key needs.
func (b *bed) ready(o client.Options) client.Options {
	if o.Credentials.KEMKey == nil {
		return o
	}
	s, der, err := client.Start(client.Options{Kind: cmp.TypeGenM, Credentials: o.Credentials, Infos: []cmp.InfoTypeAndValue{{Type: cmp.OIDKEMCiphertextInfo}}})
	if err != nil {
		b.Fatal(err)
	}
	must[*client.Result](b)(s.Accept(b.process(der).Reply, o.Credentials))
	o.After = s
	return o
}

func byEncrKey(keyType string, info func(testing.TB, crypto.PrivateKey) pkix.SubjectPublicKeyInfo) func(*bed) client.Options {
	return func(b *bed) client.Options {
		k := oneKey(b, keyType)
		c := b.credentials(b.device("dev-1"))
		c.EncrKey = k
		return client.Options{Credentials: c, EncrKey: info(b, k)}
	}
}

// wantRecipient holds the one recipient of a private key against the request.
func wantRecipient(t *testing.T, f keyForm, o *client.Options, enveloped []byte) {
	t.Helper()
	e := must[*cms.Envelope](t)(cms.ParseEnvelopedData(enveloped))
	if len(e.Recipients()) != 1 || e.Recipients()[0].Technique != f.technique {
		t.Fatalf("recipients %v, want one %s", e.Recipients(), f.technique)
	}
	r := e.Recipients()[0]
	if f.kem != "" && r.Algorithm.OID.String() != f.kem {
		t.Errorf("KEM %s, want %s", r.Algorithm.OID, f.kem)
	}
	switch {
	case o.EncrKey != nil:
		// Method 1 of RFC 5280 section 4.2.1.2, by the standard library.
		var k struct {
			Algorithm asn1.RawValue
			Key       asn1.BitString
		}
		if _, err := asn1.Unmarshal(o.EncrKey, &k); err != nil {
			t.Fatal(err)
		}
		if id := sha1.Sum(k.Key.Bytes); !bytes.Equal(r.ID.KeyID, id[:]) {
			t.Errorf("rid %x, want the subjectKeyIdentifier %x", r.ID.KeyID, id)
		}
	case f.technique != cms.Password:
		c := must[*x509.Certificate](t)(x509.ParseCertificate(o.Credentials.Certificate))
		if !bytes.Equal(r.ID.KeyID, c.SubjectKeyId) && (r.ID.Serial == nil || r.ID.Serial.Cmp(c.SerialNumber) != 0) {
			t.Errorf("rid %+v is not of the certificate that protects", r.ID)
		}
	}
}

// opensslUnwraps gives a private key as openssl decrypts and verifies it.
func (b *bed) opensslUnwraps(t *testing.T, o *client.Options, enveloped []byte) crypto.PrivateKey {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) []byte { return must[[]byte](t)(os.ReadFile(filepath.Join(dir, name))) }
	c := &o.Credentials
	args := []string{"cms", "-decrypt", "-binary", "-inform", "DER", "-in", "env.der", "-out", "signed.der"}
	private, cert := crypto.PrivateKey(c.Key), c.Certificate
	switch {
	case o.EncrKey != nil:
		private, cert = c.EncrKey, nil
	case c.Agreement != nil:
		private = c.Agreement.Key
	}
	if len(c.Secret) > 0 && o.EncrKey == nil {
		args = append(args, "-pwri_password", string(c.Secret))
	} else {
		write("me.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must[[]byte](t)(alg.MarshalPrivateKey(private))}))
		args = append(args, "-inkey", "me.key")
	}
	if cert != nil {
		write("me.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
		args = append(args, "-recip", "me.crt")
	}
	write("env.der", contentInfo(t, "1.2.840.113549.1.7.3", enveloped))
	openssl(t, dir, args...)
	write("signed-info.der", contentInfo(t, "1.2.840.113549.1.7.2", read("signed.der")))
	write("root.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.root.cert.Raw}))
	openssl(t, dir, "cms", "-verify", "-binary", "-inform", "DER", "-in", "signed-info.der", "-CAfile", "root.crt",
		"-purpose", "any", "-attime", strconv.FormatInt(b.now.Unix(), 10), "-out", "package.der")
	var pkg []asn1.RawValue
	if rest, err := asn1.Unmarshal(read("package.der"), &pkg); err != nil || len(rest) != 0 || len(pkg) != 1 {
		t.Fatalf("the package has %d keys: %v", len(pkg), err)
	}
	return must[crypto.PrivateKey](t)(alg.ParsePrivateKey(pkg[0].FullBytes))
}

// Every way to encrypt a private key, with every kind of key in it, goes from
// the Engine to the client, which believes in the certificate with cmKGA alone.
// What OpenSSL can read it reads.
func TestEveryFormOfKeysMadeHere(t *testing.T) {
	made := []string{"ecdsa-p256", "ecdsa-p384", "ed25519", "ed448", "x25519", "x448", "ml-kem-768", "ml-dsa-44", "rsa-2048"}
	for name, f := range keyForms() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withCentralKeys(made...), withKGA(nil), withEncrKey(cmpcore.EncrKeyAllowed), withSeed, withPolicy(askKEM), func(b *bed) {
				b.cfg.Profiles["default"] = profile(b, "default", func(c *issuance.ProfileConfig) {
					c.Keys = append(c.Keys, "ed448", "x25519", "x448", "ml-kem-768", "ml-dsa-44")
					c.KeyUsage.Default = append(c.KeyUsage.Default, "keyAgreement")
				})
			})
			asks := f.ask(b)
			for _, keyType := range made {
				if keyType == "rsa-2048" && f.technique != cms.Password {
					continue // slow to make
				}
				o := b.ready(asks)
				a, _ := alg.KeyTypeAlgorithm(keyType)
				o.Kind, o.PVNO, o.ImplicitConfirm = cmp.TypeIR, 3, true
				o.Certificates = []client.CertificateRequest{{Subject: dn(t, "CN=a"), CentralKey: &a}}
				got := b.converse(o).Certificates[0]
				if got.Err != nil || got.Key == nil {
					t.Fatalf("%s: %v, %v", keyType, got.Err, got.Status)
				}
				pub := got.Key.(interface{ Public() crypto.PublicKey }).Public()
				cert := must[*x509.Certificate](t)(x509.ParseCertificate(got.Certificate))
				if alg.KeyType(pub) != keyType || !bytes.Equal(publicInfo(t, got.Key), cert.RawSubjectPublicKeyInfo) {
					t.Errorf("a key of type %q, want %q, that of the certificate", alg.KeyType(pub), keyType)
				}
				b.wantStatus(cert, cmpcore.Valid)
				wantRecipient(t, f, &o, got.PrivateKey.Enveloped)
				if f.openssl && (keyType == "ecdsa-p384" || keyType == "ed448" && f.technique == cms.Password) {
					k := b.opensslUnwraps(t, &o, got.PrivateKey.Enveloped)
					if !k.(interface{ Equal(crypto.PrivateKey) bool }).Equal(got.Key) {
						t.Errorf("%s: openssl reads another key", keyType)
					}
				}
				// Nobody else opens it, and without the key nothing is lost.
				if o.EncrKey != nil {
					if _, err := cms.UnwrapPrivateKey(rand.Reader, got.PrivateKey.Enveloped, &cms.Key{Password: o.Credentials.Secret}, nil); err == nil {
						t.Error("the shared secret opens what is for protocolEncrKey")
					}
				}
			}
		})
	}
}

// Private keys of the archive come back in every form, too.
func TestEveryFormOfKeysGivenBack(t *testing.T) {
	for name, f := range keyForms() {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withArchive, withKGA(nil), withSeed, withPolicy(askKEM))
			asks := f.ask(b)
			ask := b.ready(asks)
			ask.Kind, ask.PVNO = cmp.TypeIR, 3
			ask.EncrKey, ask.Certificates = nil, []client.CertificateRequest{{Subject: dn(t, "CN=a"), Key: key(t, "p256 a"), ArchiveTo: b.cfg.Encryption.Certificate}}
			if got := b.converse(ask).Certificates[0]; got.Err != nil || got.Certificate == nil {
				t.Fatal(got.Err, got.Status)
			}
			if c := asks.Credentials.Certificate; c != nil {
				// Who signs owns what is of the same name as its certificate.
				b.store.archive[0].Subject = must[*x509.Certificate](t)(x509.ParseCertificate(c)).RawSubject
			}
			o := b.ready(asks)
			o.Kind, o.PVNO = cmp.TypeKRR, 3
			r := b.converse(o)
			if r.Recovery == nil || len(r.Recovery.Keys) != 1 {
				t.Fatalf("%+v", r.Recovery)
			}
			k := r.Recovery.Keys[0]
			if k.Err != nil || !k.Key.(*ecdsa.PrivateKey).Equal(key(t, "p256 a")) {
				t.Errorf("%v", k.Err)
			}
		})
	}
}

// The archive itself is for every kind of key that can open one.
func TestArchivesOfEveryKindOfKey(t *testing.T) {
	for name, c := range map[string]struct {
		keyType string
		info    func(testing.TB, crypto.PrivateKey) pkix.SubjectPublicKeyInfo
		usage   x509.KeyUsage
	}{
		"rsa-2048":          {"rsa-2048", publicInfo, x509.KeyUsageKeyEncipherment},
		"RSA-KEM alone":     {"rsa-2048", onlyRSAKEM, x509.KeyUsageKeyEncipherment},
		"ecdsa-p384":        {"ecdsa-p384", publicInfo, x509.KeyUsageKeyAgreement},
		"x25519":            {"x25519", publicInfo, x509.KeyUsageKeyAgreement},
		"x448":              {"x448", publicInfo, x509.KeyUsageKeyAgreement},
		"ml-kem-512":        {"ml-kem-512", publicInfo, x509.KeyUsageKeyEncipherment},
		"ml-kem-768":        {"ml-kem-768", publicInfo, x509.KeyUsageKeyEncipherment},
		"ml-kem-1024":       {"ml-kem-1024", publicInfo, x509.KeyUsageKeyEncipherment},
		"no usage, ml-kem":  {"ml-kem-768", publicInfo, 0},
		"no usage, P-256":   {"ecdsa-p256", publicInfo, 0},
		"no usage, RSA-KEM": {"rsa-2048", onlyRSAKEM, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k := oneKey(t, c.keyType)
			b := newBed(t, withArchive, func(b *bed) {
				h := foreignKey(t, b.ca, "Encryption", c.info(t, k), func(x *x509.Certificate) { x.KeyUsage = c.usage })
				b.cfg.Encryption = &cmpcore.Encryption{Certificate: h.cert.Raw, Key: k}
			})
			cred := b.credentials(b.device("dev-1"))
			r := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: cred, PVNO: 3, Certificates: []client.CertificateRequest{
				{Subject: dn(t, "CN=a"), Key: key(t, "p256 a"), ArchiveTo: b.cfg.Encryption.Certificate},
			}})
			if err := r.Certificates[0].Err; err != nil {
				t.Fatal(err)
			}
			r = b.converse(client.Options{Kind: cmp.TypeKRR, Credentials: cred, PVNO: 3})
			if len(r.Recovery.Keys) != 1 || !r.Recovery.Keys[0].Key.(*ecdsa.PrivateKey).Equal(key(t, "p256 a")) {
				t.Errorf("%+v", r.Recovery)
			}
		})
	}
	b := newBed(t)
	b.cfg.Encryption = &cmpcore.Encryption{Key: oneKey(t, "ml-kem-768"), Certificate: foreignKey(t, b.ca, "E", publicInfo(t, oneKey(t, "ml-kem-512")), enciphers).cert.Raw}
	if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Error(err)
	}
}

// bigRSA is the SubjectPublicKeyInfo of a modulus of so many bits, whoever has
// its factors.
func bigRSA(t testing.TB, bits int) pkix.SubjectPublicKeyInfo {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return must[[]byte](t)(x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}))
}

func TestWhichProtocolEncrKeyIsRefused(t *testing.T) {
	control := func(spki pkix.SubjectPublicKeyInfo) []crmf.Attribute {
		return []crmf.Attribute{must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki))}
	}
	good := control(publicInfo(t, oneKey(t, "x25519")))
	x25519, _ := alg.KeyTypeAlgorithm("x25519")
	mlkem, _ := alg.KeyTypeAlgorithm("ml-kem-768")
	cut := func(a pkix.AlgorithmIdentifier, n int) []crmf.Attribute {
		return control(must[pkix.SubjectPublicKeyInfo](t)(pkix.NewSubjectPublicKeyInfo(a, make([]byte, n))))
	}
	p224 := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	const made, kept = "ir", "krr"
	for name, c := range map[string]struct {
		mode     cmpcore.EncrKeyMode
		kind     string
		controls []crmf.Attribute
		fail     cmp.PKIFailureInfo
	}{
		"a key made here, by default":          {cmpcore.EncrKeyRecovery, made, good, cmp.BadRequest},
		"a key made here, allowed":             {cmpcore.EncrKeyAllowed, made, good, 0},
		"a key made here, required":            {cmpcore.EncrKeyRequired, made, good, 0},
		"a key made here, required and absent": {cmpcore.EncrKeyRequired, made, nil, cmp.BadRequest},
		"a key made here, none":                {cmpcore.EncrKeyNone, made, good, cmp.BadRequest},
		"a key made here, allowed and absent":  {cmpcore.EncrKeyAllowed, made, nil, 0},
		"krr, by default":                      {cmpcore.EncrKeyRecovery, kept, good, 0},
		"krr, by default and absent":           {cmpcore.EncrKeyRecovery, kept, nil, 0},
		"krr, none":                            {cmpcore.EncrKeyNone, kept, good, cmp.BadRequest},
		"krr, required and absent":             {cmpcore.EncrKeyRequired, kept, nil, cmp.BadRequest},
		"krr, required":                        {cmpcore.EncrKeyRequired, kept, good, 0},
		"twice":                                {cmpcore.EncrKeyAllowed, made, slices.Concat(good, good), cmp.BadRequest},
		"krr, twice":                           {cmpcore.EncrKeyAllowed, kept, slices.Concat(good, good), cmp.BadRequest},
		"malformed":                            {cmpcore.EncrKeyAllowed, made, []crmf.Attribute{{Type: crmf.OIDProtocolEncrKey, Value: []byte{5, 0}}}, cmp.BadDataFormat},
		"krr, malformed":                       {cmpcore.EncrKeyAllowed, kept, []crmf.Attribute{{Type: crmf.OIDProtocolEncrKey, Value: []byte{5, 0}}}, cmp.BadDataFormat},
		"a key that only signs":                {cmpcore.EncrKeyAllowed, made, control(publicInfo(t, oneKey(t, "ed25519"))), cmp.BadAlg},
		"ML-DSA":                               {cmpcore.EncrKeyAllowed, made, control(publicInfo(t, oneKey(t, "ml-dsa-44"))), cmp.BadAlg},
		"P-224":                                {cmpcore.EncrKeyAllowed, made, control(publicInfo(t, p224)), cmp.BadAlg},
		"RSA of 1024 bits":                     {cmpcore.EncrKeyAllowed, made, control(bigRSA(t, 1024)), cmp.BadAlg},
		"RSA of 2047 bits":                     {cmpcore.EncrKeyAllowed, made, control(bigRSA(t, 2047)), cmp.BadAlg},
		"RSA of 8192 bits":                     {cmpcore.EncrKeyAllowed, made, control(bigRSA(t, 8192)), 0},
		"RSA of 8193 bits":                     {cmpcore.EncrKeyAllowed, made, control(bigRSA(t, 8193)), cmp.BadAlg},
		"krr, RSA of 16384 bits":               {cmpcore.EncrKeyAllowed, kept, control(bigRSA(t, 16384)), cmp.BadAlg},
		"an X25519 key of low order":           {cmpcore.EncrKeyAllowed, made, cut(x25519, 32), cmp.BadAlg},
		"an X25519 key cut off":                {cmpcore.EncrKeyAllowed, made, cut(x25519, 31), cmp.BadAlg},
		"an ML-KEM key cut off":                {cmpcore.EncrKeyAllowed, made, cut(mlkem, 1183), cmp.BadAlg},
		"a key of an unknown type":             {cmpcore.EncrKeyAllowed, made, cut(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, 32), cmp.BadAlg},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withArchive, withEncrKey(c.mode))
			p := b.device("dev-1")
			if c.kind == kept {
				b.archived(p, "CN=one", "p256 one")
				r := b.talk(p).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Controls = c.controls }), version3)
				if c.fail != 0 {
					r.norecovery(c.fail)
				} else {
					r.body(cmp.TypeKRP)
				}
				return
			}
			k := b.talk(p)
			k.say(k.request(cmp.TypeIR, want{subject: "CN=a", controls: c.controls}), version3).judge(c.fail)
		})
	}
	t.Run("not covered by the protection", func(t *testing.T) {
		b := newBed(t, withArchive, withEncrKey(cmpcore.EncrKeyAllowed))
		k := b.talk(b.device("dev-1"))
		mine, theirs := publicInfo(t, oneKey(t, "x25519")), publicInfo(t, anyKey(t, "x25519"))
		der := k.message(k.request(cmp.TypeIR, want{subject: "CN=a", controls: control(mine)}), version3)
		if !bytes.Contains(der, mine) {
			t.Fatal("the control is not there")
		}
		k.send(bytes.Replace(der, mine, theirs, 1)).stranger(cmp.BadMessageCheck)
	})
	t.Run("a key for each", func(t *testing.T) {
		b := newBed(t, withArchive, withEncrKey(cmpcore.EncrKeyAllowed))
		k := b.talk(b.device("dev-1"))
		one, two := oneKey(t, "x25519"), oneKey(t, "ecdsa-p256")
		r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", controls: control(publicInfo(t, one))},
			want{id: 1, subject: "CN=b", controls: control(publicInfo(t, two))}, want{id: 2, subject: "CN=c"}), version3)
		for i, key := range []*cms.Key{{Private: one}, {Private: two}, {Password: []byte("secret of dev-1")}} {
			must[*cms.Unwrapped](t)(cms.UnwrapPrivateKey(rand.Reader, r.response(i).CertifiedKeyPair.PrivateKey.Enveloped, key, nil))
		}
		if text := describe(r.out); !strings.Contains(text, "key of type x25519 (protocolEncrKey)") || !strings.Contains(text, "key of type ecdsa-p256 (protocolEncrKey)") {
			t.Errorf("the audit log does not tell:\n%s", text)
		}
	})
	t.Run("after a person's approval", func(t *testing.T) {
		b := newBed(t, withArchive, withEncrKey(cmpcore.EncrKeyAllowed))
		k := b.talk(b.device("slow-1"))
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a", controls: good}), version3).waits(0)
		b.decide(k, cmpcore.Approved, "")
		e := k.say(poll(0), version3).response(0).CertifiedKeyPair.PrivateKey.Enveloped
		must[*cms.Unwrapped](t)(cms.UnwrapPrivateKey(rand.Reader, e, &cms.Key{Private: oneKey(t, "x25519")}, nil))
	})
	t.Run("a certificate of a short RSA key", func(t *testing.T) {
		b := newBed(t, withCentralKeys("ecdsa-p256"))
		k := b.talk(b.signer(certify(t, b.partner, "x", key(t, "rsa1024 me"), func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment })))
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a"}), version3).judge(cmp.NotAuthorized)
	})
}

func TestTheClientWantsTheKeyThatItNamed(t *testing.T) {
	b := newBed(t, withArchive, withEncrKey(cmpcore.EncrKeyAllowed))
	k, other := oneKey(t, "x25519"), anyKey(t, "x25519")
	for _, kind := range []cmp.BodyType{cmp.TypeIR, cmp.TypeKRR} {
		c := b.credentials(b.device("dev-1"))
		o := client.Options{Kind: kind, PVNO: 3, Credentials: c, EncrKey: publicInfo(t, k)}
		if kind == cmp.TypeIR {
			o.Certificates = []client.CertificateRequest{{Subject: dn(t, "CN=a"), CentralKey: &pkix.AlgorithmIdentifier{}, ArchiveTo: b.cfg.Encryption.Certificate}}
		}
		s, der, err := client.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		out := b.process(der)
		b.commit(der, out)
		for _, wrong := range []crypto.PrivateKey{nil, other, key(t, "p256 a")} {
			c.EncrKey = wrong
			if _, err := s.Accept(out.Reply, c); err == nil || !strings.Contains(err.Error(), "needed now") {
				t.Errorf("%s with a %T: %v", kind, wrong, err)
			}
		}
		c.EncrKey = k
		r := must[*client.Result](t)(s.Accept(out.Reply, c))
		if kind == cmp.TypeIR && (r.Certificates[0].Err != nil || r.Certificates[0].Key == nil) || kind == cmp.TypeKRR && (len(r.Recovery.Keys) != 1 || r.Recovery.Keys[0].Err != nil) {
			t.Errorf("%s: %+v", kind, r)
		}
		if r.Next != nil {
			b.commit(r.Next, b.process(r.Next))
		}
	}
	// A CA that encrypts by the secret after all did not do what was asked.
	t.Run("a CA that does not heed it", func(t *testing.T) {
		c := b.credentials(b.device("dev-1"))
		o := client.Options{Kind: cmp.TypeIR, PVNO: 3, Credentials: c, Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), CentralKey: &pkix.AlgorithmIdentifier{}}}}
		s, der, err := client.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		s.EncrKey, c.EncrKey = client.Octets(publicInfo(t, k)), k
		r := must[*client.Result](t)(s.Accept(b.process(der).Reply, c))
		if got := r.Certificates[0]; got.Err == nil || got.Key != nil || got.State != client.ItemUnfit {
			t.Errorf("%+v", got)
		}
	})
}
