package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

var recipientNames = []string{"rsa", "rsa no ski", "p256", "p256 issuer", "p384", "p521", "x25519", "x448", "ml-kem-512", "ml-kem-768", "ml-kem-1024"}

func forParty(t testing.TB, name string, o *RecipientOptions) *Recipient {
	t.Helper()
	return must[*Recipient](t)(ForCertificate(everybody(t)[name].cert, o))
}

func keyOf(t testing.TB, name string) *Key {
	p := everybody(t)[name]
	return &Key{Private: p.key, Certificate: p.cert}
}

func TestEveryRecipientReadsItsOwnAndNobodyElseDoes(t *testing.T) {
	all := everybody(t)
	password := must[*Recipient](t)(ForPassword([]byte("secret"), &PasswordOptions{AESWrap: true, Iterations: 1000}))
	to := []*Recipient{password}
	for _, n := range recipientNames {
		to = append(to, forParty(t, n, nil))
	}
	for _, gcm := range []bool{false, true} {
		make, parse := Encrypt, ParseEnvelopedData
		if gcm {
			make, parse = EncryptAuthenticated, ParseAuthEnvelopedData
		}
		for _, typ := range []pkix.OID{OIDData, OIDSignedData} {
			b := must[[]byte](t)(make(rand.Reader, to, typ, testContent, nil))
			if err := der.Scan(b, der.Limits{}); err != nil {
				t.Fatal(err)
			}
			e := must[*Envelope](t)(parse(b))
			if e.ContentType != typ || len(e.Recipients()) != len(to) {
				t.Errorf("%s, %d recipients", e.ContentType, len(e.Recipients()))
			}
			for _, n := range recipientNames {
				for _, k := range []*Key{keyOf(t, n), {Private: all[n].key}} {
					if got, err := e.Decrypt(rand.Reader, k, nil); err != nil || !bytes.Equal(got, testContent) {
						t.Errorf("%s: %q, %v", n, got, err)
					}
				}
			}
			if got, err := e.Decrypt(rand.Reader, &Key{Password: []byte("secret")}, nil); err != nil || !bytes.Equal(got, testContent) {
				t.Errorf("password: %q, %v", got, err)
			}
			if _, err := e.Decrypt(rand.Reader, &Key{Password: []byte("Secret")}, nil); !errors.Is(err, ErrDecrypt) {
				t.Errorf("another password: %v", err)
			}
			if _, err := e.Decrypt(rand.Reader, keyOf(t, "ed25519"), nil); !errors.Is(err, ErrNoRecipient) {
				t.Errorf("signature key: %v", err)
			}
			if _, err := e.Decrypt(rand.Reader, &Key{}, nil); !errors.Is(err, ErrNoRecipient) {
				t.Errorf("no key: %v", err)
			}
		}
	}
	for _, n := range recipientNames {
		b := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, n, nil)}, OIDData, testContent, nil))
		e := must[*Envelope](t)(ParseEnvelopedData(b))
		for _, other := range recipientNames {
			if n[:3] == other[:3] { // the same key, or the same kind
				continue
			}
			if _, err := e.Decrypt(rand.Reader, keyOf(t, other), nil); !errors.Is(err, ErrNoRecipient) {
				t.Errorf("for %s, by %s: %v", n, other, err)
			}
			if _, err := e.Decrypt(rand.Reader, &Key{Private: all[other].key}, nil); err == nil {
				t.Errorf("for %s, by %s without certificate: it decrypts", n, other)
			}
		}
	}
}

// The same content for the same recipient is each time another ciphertext, under
// another key.
func TestTheContentKeyIsNewEachTime(t *testing.T) {
	to := must[*Recipient](t)(ForPassword([]byte("secret"), &PasswordOptions{Iterations: 1000}))
	policy := (*Policy)(nil).withDefaults()
	seen := map[string]bool{}
	for range 20 {
		e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{to}, OIDData, testContent, nil))))
		size, _, err := e.decrypter()
		if err != nil {
			t.Fatal(err)
		}
		key := must[[]byte](t)(e.recipients[0].open(rand.Reader, &Key{Password: []byte("secret")}, &policy, size))
		if seen[string(key)] {
			t.Fatal("a content-encryption key twice")
		}
		seen[string(key)] = true
	}
}

// Every octet of an envelope matters, apart from the identifiers of the
// recipient, which a key without a certificate does not look at.
func TestAChangedEnvelopeDoesNotGiveTheContent(t *testing.T) {
	for _, n := range []string{"rsa", "p256", "x25519", "ml-kem-512"} {
		b := must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{forParty(t, n, nil)}, OIDKeyPackage, testContent, nil))
		for i := range b {
			for _, bit := range []byte{1, 0x80} {
				c := bytes.Clone(b)
				c[i] ^= bit
				e, err := ParseAuthEnvelopedData(c)
				if err != nil {
					continue
				}
				got, err := e.Decrypt(rand.Reader, keyOf(t, n), nil)
				// An EC point and an X25519 key have octets that say nothing: the
				// highest bit of the latter.
				if err == nil && !(n == "x25519" && bit == 0x80 && bytes.Equal(got, testContent)) {
					t.Fatalf("%s: octet %d changed, and it decrypts", n, i)
				}
			}
		}
	}
}

func TestVersionsAreThoseOfRFC5652(t *testing.T) {
	pw := must[*Recipient](t)(ForPassword([]byte("secret"), nil))
	for _, c := range []struct {
		to   []*Recipient
		want byte
	}{
		{[]*Recipient{forParty(t, "rsa no ski", nil)}, 0},
		{[]*Recipient{forParty(t, "rsa", nil)}, 2},
		{[]*Recipient{forParty(t, "p256", nil)}, 2},
		{[]*Recipient{forParty(t, "rsa no ski", nil), forParty(t, "p256", nil)}, 2},
		{[]*Recipient{forParty(t, "rsa", nil), pw}, 3},
		{[]*Recipient{forParty(t, "ml-kem-768", nil)}, 3},
	} {
		in := cryptobyte.String(must[[]byte](t)(Encrypt(rand.Reader, c.to, OIDData, testContent, nil)))
		var seq, v cryptobyte.String
		if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&v, asn1.INTEGER) || v[0] != c.want {
			t.Errorf("version %x, not %d", v, c.want)
		}
	}
}

// localKeyId of RFC 2985 section 5.5.2 is the only attribute, in the clear.
func TestALocalKeyIDGoesAlong(t *testing.T) {
	o := &EncryptOptions{LocalKeyID: []byte("my key")}
	der := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, "rsa no ski", nil)}, OIDData, testContent, o))
	attr := []byte("\xa1\x19\x30\x17\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x15\x31\x0a\x04\x06my key")
	attr[1], attr[3] = byte(len(attr)-2), byte(len(attr)-4)
	attr[16], attr[18] = 8, 6
	if !bytes.HasSuffix(der, attr) {
		t.Errorf("the end is %x, not %x", der[len(der)-len(attr):], attr)
	}
	e := must[*Envelope](t)(ParseEnvelopedData(der))
	if string(e.LocalKeyID) != "my key" {
		t.Errorf("localKeyId %q", e.LocalKeyID)
	}
	if got, err := e.Decrypt(rand.Reader, keyOf(t, "rsa no ski"), nil); err != nil || !bytes.Equal(got, testContent) {
		t.Errorf("%q %v", got, err)
	}
	in := cryptobyte.String(der)
	var seq, v cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !seq.ReadASN1(&v, asn1.INTEGER) || v[0] != 2 {
		t.Errorf("version %x, not 2, which RFC 5652 section 6.1 has for attributes", v)
	}
	if e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, "rsa", nil)}, OIDData, testContent, nil)))); e.LocalKeyID != nil {
		t.Error("a localKeyId from nowhere")
	}
}

func TestKeyUsageDecidesForWhomToEncrypt(t *testing.T) {
	all := everybody(t)
	for _, c := range []struct {
		keyType string
		usage   pkix.KeyUsage
		ok      bool
	}{
		{"rsa", pkix.KeyEncipherment, true}, {"rsa", pkix.DigitalSignature, false}, {"rsa", 0, true},
		{"p256", pkix.KeyAgreement, true}, {"p256", pkix.KeyEncipherment, false},
		{"x25519", pkix.KeyAgreement, true}, {"x25519", pkix.DigitalSignature, false},
		{"ml-kem-768", pkix.KeyEncipherment, true}, {"ml-kem-768", pkix.KeyAgreement, false},
	} {
		pub := all[c.keyType].key.(interface{ Public() crypto.PublicKey }).Public()
		_, err := ForCertificate(certify(t, pub, c.usage, nil), nil)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, alg.ErrMismatch) {
			t.Errorf("%s for %s: %v", c.keyType, c.usage, err)
		}
	}
	if _, err := ForCertificate(all["ed25519"].cert, nil); !errors.Is(err, alg.ErrMismatch) {
		t.Errorf("ed25519: %v", err)
	}
	if _, err := ForKey(all["p256"].key.(crypto.Signer).Public(), nil); err == nil {
		t.Error("a recipient without an identifier")
	}
}

// The challenge of RFC 9810 section 5.2.8.3.3 names its recipient by the NULL-DN
// and certReqId, an encrypted certificate by what is in it.
func TestAKeyWithoutACertificateIsARecipient(t *testing.T) {
	for _, n := range recipientNames {
		key := everybody(t)[n].key
		pub := key.(interface{ Public() crypto.PublicKey }).Public()
		id := Identifier{Issuer: pkix.EmptyName, Serial: big.NewInt(0)}
		r := must[*Recipient](t)(ForKey(pub, &RecipientOptions{ID: id}))
		e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))))
		if got := e.Recipients()[0].ID; !got.Issuer.IsEmpty() || got.Serial.Sign() != 0 || got.KeyID != nil {
			t.Errorf("%s: %v", n, got)
		}
		if got, err := e.Decrypt(rand.Reader, &Key{Private: key}, nil); err != nil || !bytes.Equal(got, testContent) {
			t.Errorf("%s: %q, %v", n, got, err)
		}
		if _, err := e.Decrypt(rand.Reader, keyOf(t, n), nil); !errors.Is(err, ErrNoRecipient) {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// device hides what a key is, as keys in hardware do.
type rsaDevice struct{ crypto.Decrypter }
type ecdhDevice struct{ ecdh.KeyExchanger }
type kemDevice struct{ crypto.Decapsulator }

func TestKeysInDevicesDecrypt(t *testing.T) {
	all := everybody(t)
	ec := must[*ecdh.PrivateKey](t)(all["p384"].key.(*ecdsa.PrivateKey).ECDH())
	pkcs8 := must[[]byte](t)(alg.MarshalPrivateKey(all["ml-kem-768"].key))
	kem := must[*mlkem.DecapsulationKey768](t)(mlkem.NewDecapsulationKey768(pkcs8[len(pkcs8)-64:]))
	for n, k := range map[string]crypto.PrivateKey{
		"rsa": rsaDevice{all["rsa"].key.(*rsa.PrivateKey)}, "p384": ecdhDevice{ec}, "x25519": ecdhDevice{all["x25519"].key.(*ecdh.PrivateKey)}, "ml-kem-768": kemDevice{kem},
	} {
		e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, n, nil)}, OIDData, testContent, nil))))
		if got, err := e.Decrypt(rand.Reader, &Key{Private: k}, nil); err != nil || !bytes.Equal(got, testContent) {
			t.Errorf("%s: %q, %v", n, got, err)
		}
	}
	e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, "ml-kem-1024", nil)}, OIDData, testContent, nil))))
	if _, err := e.Decrypt(rand.Reader, &Key{Private: kemDevice{kem}}, nil); !errors.Is(err, ErrNoRecipient) {
		t.Errorf("another parameter set: %v", err)
	}
}

func TestRSAKEMIsMadeAndRead(t *testing.T) {
	r := forParty(t, "rsa", &RecipientOptions{RSAKEM: true})
	e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))))
	if e.Recipients()[0].Technique != KeyEncapsulation {
		t.Errorf("%v", e.Recipients())
	}
	if got, err := e.Decrypt(rand.Reader, keyOf(t, "rsa"), nil); err != nil || !bytes.Equal(got, testContent) {
		t.Errorf("%q, %v", got, err)
	}
}

// pkcs1 makes a ktri with PKCS #1 v1.5 padding around anything.
func pkcs1(t testing.TB, p *party, cek []byte) *Recipient {
	pub := p.key.(*rsa.PrivateKey).Public().(*rsa.PublicKey)
	id := must[Identifier](t)(CertificateID(p.cert))
	return &Recipient{KeyTransport, 2, func(rand io.Reader, random []byte) ([]byte, error) {
		if cek == nil {
			cek = random
		}
		//lint:ignore SA1019 what is tested is how it is read
		enc := must[[]byte](t)(rsa.EncryptPKCS1v15(rand, pub, cek))
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2)
			id.add(b)
			pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}.Add(b)
			b.AddASN1OctetString(enc)
		})
		return b.Bytes()
	}}
}

// Bleichenbacher's question is not answered: a padding that is wrong, a key of
// another length and a content of another key are the same error.
func TestPKCS1v15IsReadByPolicyAndTellsNothing(t *testing.T) {
	p := everybody(t)["rsa"]
	good := must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{pkcs1(t, p, nil)}, OIDData, testContent, nil))
	e := must[*Envelope](t)(ParseAuthEnvelopedData(good))
	if _, err := e.Decrypt(rand.Reader, keyOf(t, "rsa"), nil); !errors.Is(err, alg.ErrForbidden) {
		t.Errorf("by default: %v", err)
	}
	allow := &Policy{AllowPKCS1v15: true}
	if got, err := e.Decrypt(rand.Reader, keyOf(t, "rsa"), allow); err != nil || !bytes.Equal(got, testContent) {
		t.Errorf("%q, %v", got, err)
	}
	texts := map[string]bool{}
	try := func(b []byte) {
		e := must[*Envelope](t)(ParseAuthEnvelopedData(b))
		_, err := e.Decrypt(rand.Reader, keyOf(t, "rsa"), allow)
		if !errors.Is(err, ErrDecrypt) {
			t.Errorf("%v", err)
			return
		}
		texts[err.Error()] = true
	}
	try(must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{pkcs1(t, p, make([]byte, 32))}, OIDData, testContent, nil)))
	try(must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{pkcs1(t, p, make([]byte, 16))}, OIDData, testContent, nil)))
	try(must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{pkcs1(t, p, []byte{})}, OIDData, testContent, nil)))
	// Padding that is none: the ciphertext of a number.
	enc := bytes.Index(good, []byte{4, 0x82, 1, 0})
	bad := bytes.Clone(good)
	clear(bad[enc+4:][:256])
	bad[enc+4+255] = 2
	try(bad)
	try(flip(good, len(good)-1))
	if len(texts) != 1 {
		t.Errorf("%d texts: %v", len(texts), texts)
	}
}

func TestPoliciesBoundWhatPasswordsCost(t *testing.T) {
	make := func(d derivation, a func(kek, cek []byte) (pkix.AlgorithmIdentifier, []byte), params func(b *cryptobyte.Builder)) []byte {
		r := &Recipient{Password, 3, func(_ io.Reader, cek []byte) ([]byte, error) {
			var p, b cryptobyte.Builder
			p.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1OctetString(d.salt)
				b.AddASN1Int64(d.iterations)
				params(b)
			})
			keyAlg, enc := a(nil, cek)
			b.AddASN1(cons(3), func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: p.BytesOrPanic()}.AddTagged(b, cons(0))
				keyAlg.Add(b)
				b.AddASN1OctetString(enc)
			})
			return b.Bytes()
		}}
		return must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))
	}
	wrap := func(_, cek []byte) (pkix.AlgorithmIdentifier, []byte) {
		return keyWraps[0].algorithm(), append(cek, 1, 2, 3, 4, 5, 6, 7, 8)
	}
	none := func(*cryptobyte.Builder) {}
	salt := []byte("12345678")
	for _, c := range []struct {
		what   string
		d      derivation
		params func(b *cryptobyte.Builder)
		policy *Policy
		want   error
	}{
		{"too few", derivation{salt: salt, iterations: 999}, none, nil, alg.ErrForbidden},
		{"too many for two blocks", derivation{salt: salt, iterations: 500_001}, none, nil, alg.ErrForbidden},
		{"far too many", derivation{salt: salt, iterations: 1 << 62}, none, nil, alg.ErrForbidden},
		{"none", derivation{salt: salt, iterations: 0}, none, nil, alg.ErrParameters},
		{"fewer than none", derivation{salt: salt, iterations: -1}, none, nil, alg.ErrParameters},
		{"salt", derivation{salt: salt[:7], iterations: 2000}, none, nil, alg.ErrForbidden},
		{"long salt", derivation{salt: make2(257), iterations: 2000}, none, nil, alg.ErrForbidden},
		{"key length", derivation{salt: salt, iterations: 2000}, func(b *cryptobyte.Builder) { b.AddASN1Int64(16) }, nil, alg.ErrParameters},
		{"SHA-1 refused", derivation{salt: salt, iterations: 2000}, none, &Policy{RefuseSHA1: true}, alg.ErrForbidden},
		{"PRF", derivation{salt: salt, iterations: 2000}, pkix.AlgorithmIdentifier{OID: OIDData}.Add, nil, alg.ErrUnsupported},
		{"all is well but the key", derivation{salt: salt, iterations: 2000}, none, nil, ErrDecrypt},
	} {
		e := must[*Envelope](t)(ParseEnvelopedData(make(c.d, wrap, c.params)))
		if _, err := e.Decrypt(rand.Reader, &Key{Password: []byte("x")}, c.policy); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	// 16 recipients share one limit.
	r := must[*Recipient](t)(ForPassword([]byte("x"), &PasswordOptions{Iterations: 2000}))
	e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, slices.Repeat([]*Recipient{r}, 16), OIDData, testContent, nil))))
	if _, err := e.Decrypt(rand.Reader, &Key{Password: []byte("y")}, &Policy{MaxIterations: 5000}); !errors.Is(err, alg.ErrForbidden) {
		t.Errorf("16 recipients: %v", err)
	}
	for _, o := range []*PasswordOptions{{Iterations: 10}, {Iterations: 1 << 30}, {SaltSize: 4}, {PRF: crypto.SHA1}, {PRF: crypto.MD5}} {
		if _, err := ForPassword([]byte("x"), o); err == nil {
			t.Errorf("%+v is made", o)
		}
	}
	if _, err := ForPassword(nil, nil); !errors.Is(err, alg.ErrSecret) {
		t.Errorf("no password: %v", err)
	}
}

func make2(n int) []byte { return make([]byte, n) }

func TestRecipientsAreBounded(t *testing.T) {
	r := forParty(t, "p256", nil)
	if _, err := Encrypt(rand.Reader, slices.Repeat([]*Recipient{r}, MaxRecipients+1), OIDData, nil, nil); err == nil {
		t.Error("17 recipients are written")
	}
	if _, err := Encrypt(rand.Reader, nil, OIDData, nil, nil); err == nil {
		t.Error("no recipient is written")
	}
	info := must[[]byte](t)(r.make(rand.Reader, make2(32)))
	several := func(n int) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2)
			b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Repeat(info, n)) })
			a := contentCiphers[0].withIV(make2(16))
			addEncryptedContent(b, OIDData, a, make2(16))
		})
		return b.BytesOrPanic()
	}
	if e, err := ParseEnvelopedData(several(MaxRecipients)); err != nil || len(e.Recipients()) != MaxRecipients {
		t.Errorf("16: %v", err)
	}
	if _, err := ParseEnvelopedData(several(MaxRecipients + 1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("17: %v", err)
	}
	if _, err := ParseEnvelopedData(several(0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("0: %v", err)
	}
	big := append([]byte{0x30, 0x83, 0x10, 0, 1}, make([]byte, 0x100001)...)
	if _, err := ParseEnvelopedData(big); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over a megabyte: %v", err)
	}
}

// A static key of the sender is found by its certificate.
func TestAnOriginatorMayHaveACertificate(t *testing.T) {
	all := everybody(t)
	sender, to := all["p256"], all["p256 2"]
	if to == nil {
		k := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ecdsa-p256"))
		to = &party{k, certify(t, k.Public(), 0, []byte("to"))}
	}
	mine := must[*ecdh.PrivateKey](t)(sender.key.(*ecdsa.PrivateKey).ECDH())
	theirs := must[*ecdh.PublicKey](t)(to.key.(*ecdsa.PrivateKey).PublicKey.ECDH())
	ukm := []byte("something fresh, for the key is not")
	senderID := must[Identifier](t)(CertificateID(sender.cert))
	toID := must[Identifier](t)(CertificateID(to.cert))
	scheme, wrap := agreementSchemes[1], keyWraps[0]
	r := &Recipient{KeyAgreement, 2, func(_ io.Reader, cek []byte) ([]byte, error) {
		secret := must[[]byte](t)(mine.ECDH(theirs))
		kek := must[[]byte](t)(scheme.kek(secret, ukm, wrap.algorithm(), 32))
		wrapped := must[[]byte](t)(wrapKey(kek, cek))
		var b cryptobyte.Builder
		b.AddASN1(cons(1), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(cons(0), senderID.add)
			b.AddASN1(cons(1), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
			pkix.AlgorithmIdentifier{OID: scheme.oid, Parameters: wrap.algorithm().Bytes()}.Add(b)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(toID.KeyID) })
					b.AddASN1OctetString(wrapped)
				})
			})
		})
		return b.Bytes()
	}}
	e := must[*Envelope](t)(ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))))
	k := &Key{Private: to.key, Certificate: to.cert}
	if _, err := e.Decrypt(rand.Reader, k, nil); !errors.Is(err, alg.ErrMismatch) {
		t.Errorf("without the certificate: %v", err)
	}
	k.Originators = [][]byte{all["rsa"].cert, sender.cert}
	if got, err := e.Decrypt(rand.Reader, k, nil); err != nil || !bytes.Equal(got, testContent) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnknownAlgorithmsAndChoicesAreNamed(t *testing.T) {
	good := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, "p256", nil)}, OIDData, testContent, nil))
	replace := func(old, new pkix.OID) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	des := pkix.MustOID("2.16.840.1.101.3.4.1.99")
	for _, c := range []struct {
		what string
		b    []byte
		want error
	}{
		{"cipher", replace(contentCiphers[0].oid, des), alg.ErrUnsupported},
		{"GCM in an EnvelopedData", replace(contentCiphers[0].oid, contentCiphers[3].oid), alg.ErrUnsupported},
		{"wrap", replace(keyWraps[0].oid, des), alg.ErrUnsupported},
		{"scheme", replace(agreementSchemes[1].oid, pkix.MustOID("1.3.132.1.11.9")), alg.ErrUnsupported},
		{"curve", replace(pkix.MustOID("1.2.840.10045.3.1.7"), pkix.MustOID("1.2.840.10045.3.1.1")), alg.ErrMismatch},
		{"point", bytes.Replace(good, []byte{3, 66, 0, 4}, []byte{3, 66, 0, 5}, 1), alg.ErrKey},
	} {
		e, err := ParseEnvelopedData(c.b)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if _, err := e.Decrypt(rand.Reader, keyOf(t, "p256"), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	for _, o := range []*RecipientOptions{{Hash: crypto.SHA1}, {WrapKeySize: 20}, {Hash: crypto.MD5}} {
		if _, err := ForCertificate(everybody(t)["p256"].cert, o); err == nil {
			t.Errorf("%+v is made", o)
		}
	}
	if _, err := Encrypt(rand.Reader, []*Recipient{forParty(t, "p256", nil)}, OIDData, nil, &EncryptOptions{Cipher: "aes256-gcm"}); !errors.Is(err, alg.ErrUnsupported) {
		t.Errorf("GCM in Encrypt: %v", err)
	}
}

// The padding check of CBC against a plain one, for every last block that
// matters.
func TestCBCPadding(t *testing.T) {
	key := make2(16)
	for n := 0; n < 40; n++ {
		a, data, err := contentCiphers[2].encryptCBC(rand.Reader, key, bytes.Repeat([]byte{7}, n))
		if err != nil {
			t.Fatal(err)
		}
		iv, _ := readIV(a)
		if got, err := decryptCBC(key, iv, data); err != nil || len(got) != n {
			t.Errorf("%d: %d, %v", n, len(got), err)
		}
	}
	// IV octets turn the one block as one likes.
	_, data, _ := contentCiphers[2].encryptCBC(bytes.NewReader(make2(16)), key, nil)
	block := bytes.Repeat([]byte{16}, 16)
	for last := range 256 {
		for _, at := range []int{0, 5, 14} {
			for _, x := range []byte{0, 1, 16, byte(last)} {
				want := bytes.Clone(block)
				want[15], want[at] = byte(last), x
				iv := make2(16)
				for i := range iv {
					iv[i] = block[i] ^ want[i]
				}
				good := last >= 1 && last <= 16
				for i := 16 - last; good && i < 16; i++ {
					good = want[i] == byte(last)
				}
				if got, err := decryptCBC(key, iv, data); (err == nil) != good || good && len(got) != 16-last {
					t.Fatalf("%x: %v", want, err)
				}
			}
		}
	}
}
