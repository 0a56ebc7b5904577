package cms

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha3"
	"errors"
	"io"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

func element(tag asn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	pkix.AddElement(&b, tag, bytes.Join(parts, nil))
	return b.BytesOrPanic()
}

func number(n byte) []byte { return []byte{2, 1, n} }

// What RFC 5652 allows around the recipients and the content is read, and
// bounded.
func TestTheOptionalPartsOfAnEnvelopeAreBounded(t *testing.T) {
	info := must[[]byte](t)(forParty(t, "p256", nil).make(rand.Reader, make2(32)))
	var cb cryptobyte.Builder
	addEncryptedContent(&cb, OIDData, contentCiphers[0].withIV(make2(16)), make2(16))
	content := cb.BytesOrPanic()
	kek := element(cons(2), number(4))
	other := element(cons(4), element(asn1.OBJECT_IDENTIFIER, []byte(OIDData)), number(1))
	cert := everybody(t)["p256"].cert
	attr := marshalAttribute(oidSigningTime, OIDData.Add)
	local := func(values ...[]byte) []byte {
		return marshalAttribute(oidLocalKeyID, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(values, nil)) })
	}
	set := func(parts ...[]byte) []byte { return element(asn1.SET, parts...) }
	originator := func(n int) []byte { return element(cons(0), element(cons(0), bytes.Repeat(cert, n))) }
	for _, c := range []struct {
		what  string
		parts [][]byte
		want  error
	}{
		{"the least", [][]byte{number(2), set(info), content}, nil},
		{"others' recipients", [][]byte{number(3), set(info, kek, other), content}, nil},
		{"originatorInfo", [][]byte{number(2), originator(2), set(info), content}, nil},
		{"originatorInfo, many", [][]byte{number(2), originator(MaxCertificates + 1), set(info), content}, ErrTooLarge},
		{"originatorInfo with CRLs", [][]byte{number(2), element(cons(0), element(cons(1), element(asn1.SEQUENCE))), set(info), content}, nil},
		{"originatorInfo with more", [][]byte{number(2), element(cons(0), element(cons(2))), set(info), content}, ErrMalformed},
		{"unprotectedAttrs", [][]byte{number(2), set(info), content, element(cons(1), attr)}, nil},
		{"unprotectedAttrs, many", [][]byte{number(2), set(info), content, element(cons(1), bytes.Repeat(attr, MaxAttributes+1))}, ErrTooLarge},
		{"localKeyId", [][]byte{number(2), set(info), content, element(cons(1), local(element(asn1.OCTET_STRING, []byte("k"))))}, nil},
		{"localKeyId, empty", [][]byte{number(2), set(info), content, element(cons(1), local(element(asn1.OCTET_STRING)))}, ErrMalformed},
		{"localKeyId, a number", [][]byte{number(2), set(info), content, element(cons(1), local(number(1)))}, ErrMalformed},
		{"localKeyId, two values", [][]byte{number(2), set(info), content, element(cons(1), local(element(asn1.OCTET_STRING, []byte("k")), element(asn1.OCTET_STRING, []byte("l"))))}, ErrMalformed},
		{"localKeyId, with more", [][]byte{number(2), set(info), content, element(cons(1), local(append(element(asn1.OCTET_STRING, []byte("k")), 5, 0)))}, ErrMalformed},
		{"unprotectedAttrs, none", [][]byte{number(2), set(info), content, element(cons(1))}, ErrMalformed},
		{"more", [][]byte{number(2), set(info), content, number(1)}, ErrMalformed},
		{"version", [][]byte{number(1), set(info), content}, ErrMalformed},
		{"no recipients", [][]byte{number(2), content}, ErrMalformed},
		{"an unknown recipient", [][]byte{number(2), set(element(cons(5))), content}, ErrMalformed},
		{"no content", [][]byte{number(2), set(info)}, ErrMalformed},
		{"content in pieces", [][]byte{number(2), set(info), bytes.Replace(content, []byte{0x80, 16}, []byte{0xa0, 16}, 1)}, ErrMalformed},
	} {
		e, err := ParseEnvelopedData(element(asn1.SEQUENCE, c.parts...))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		if err == nil && e.Recipients()[0].Technique != KeyAgreement {
			t.Errorf("%s: %v", c.what, e.Recipients())
		}
	}
	// The content key is there, and the content is not of it, or no CBC.
	e := must[*Envelope](t)(ParseEnvelopedData(element(asn1.SEQUENCE, number(2), set(info), content)))
	if _, err := e.Decrypt(rand.Reader, keyOf(t, "p256"), nil); !errors.Is(err, ErrDecrypt) {
		t.Errorf("a content of zeros: %v", err)
	}
	for n, want := range map[int]error{0: ErrMalformed, 15: ErrMalformed, 17: ErrMalformed} {
		e.encrypted = make2(n)
		if _, err := e.Decrypt(rand.Reader, keyOf(t, "p256"), nil); !errors.Is(err, want) {
			t.Errorf("%d octets: %v", n, err)
		}
	}
}

// RFC 5084 section 3.2: the tag has 12 octets where it is not said.
func TestGCMParameters(t *testing.T) {
	key, nonce := make2(16), make2(12)
	block := must[cipher.Block](t)(aes.NewCipher(key))
	octets := func(n int) []byte { return element(asn1.OCTET_STRING, make2(n)) }
	for _, c := range []struct {
		what   string
		params []byte
		tag    int
		want   error
	}{
		{"default", element(asn1.SEQUENCE, octets(12)), 12, nil},
		{"16", element(asn1.SEQUENCE, octets(12), number(16)), 16, nil},
		{"13", element(asn1.SEQUENCE, octets(12), number(13)), 13, nil},
		{"default written out", element(asn1.SEQUENCE, octets(12), number(12)), 12, alg.ErrParameters},
		{"11", element(asn1.SEQUENCE, octets(12), number(11)), 12, alg.ErrParameters},
		{"17", element(asn1.SEQUENCE, octets(12), number(17)), 16, alg.ErrParameters},
		{"long nonce", element(asn1.SEQUENCE, octets(16), number(16)), 16, alg.ErrUnsupported},
		{"no nonce", element(asn1.SEQUENCE, octets(0)), 12, alg.ErrParameters},
		{"none", nil, 12, alg.ErrParameters},
		{"a tag of another length", element(asn1.SEQUENCE, octets(12), number(16)), 12, ErrMalformed},
	} {
		aead := must[cipher.AEAD](t)(cipher.NewGCMWithTagSize(block, c.tag))
		sealed := aead.Seal(nil, nonce, testContent, nil)
		n := len(sealed) - c.tag
		e := &Envelope{ContentType: OIDData, Authenticated: true, Cipher: pkix.AlgorithmIdentifier{OID: contentCiphers[5].oid, Parameters: c.params},
			encrypted: sealed[:n], mac: sealed[n:]}
		e.recipients = []*recipientInfo{{open: func(io.Reader, *Key, *Policy, int) ([]byte, error) { return bytes.Clone(key), nil }}}
		if got, err := e.Decrypt(rand.Reader, &Key{}, nil); !errors.Is(err, c.want) || err == nil && !bytes.Equal(got, testContent) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// authEnvelopedData of another type than data must say so where it counts.
func TestAuthenticatedAttributesNameTheContentType(t *testing.T) {
	b := must[[]byte](t)(EncryptAuthenticated(rand.Reader, []*Recipient{forParty(t, "p256", nil)}, OIDKeyPackage, testContent, nil))
	// The attribute and the content type, each changed alone, and both.
	first := bytes.Index(b, []byte(OIDKeyPackage))
	last := bytes.LastIndex(b, []byte(OIDKeyPackage))
	for _, c := range []struct {
		at   []int
		want error
	}{{[]int{first}, ErrMalformed}, {[]int{last}, ErrMalformed}, {[]int{first, last}, ErrDecrypt}} {
		d := bytes.Clone(b)
		for _, i := range c.at {
			d[i+len(OIDKeyPackage)-1] ^= 1
		}
		e, err := ParseAuthEnvelopedData(d)
		if err == nil {
			_, err = e.Decrypt(rand.Reader, keyOf(t, "p256"), nil)
		}
		if first == last || !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.at, err)
		}
	}
}

func TestKeyDerivationsOfKEMs(t *testing.T) {
	secret, info := []byte("secret"), []byte("info")
	want := make2(32)
	x := sha3.NewSHAKE256()
	x.Write([]byte("secretinfo"))
	x.Read(want)
	if got, err := kemKDF(pkix.AlgorithmIdentifier{OID: oidSHAKE256}, secret, info, 32); err != nil || !bytes.Equal(got, want) {
		t.Errorf("SHAKE256: %x, %v", got, err)
	}
	if _, err := kemKDF(pkix.AlgorithmIdentifier{OID: oidSHAKE256, Parameters: pkix.Null}, secret, info, 32); !errors.Is(err, alg.ErrParameters) {
		t.Errorf("SHAKE256 with NULL: %v", err)
	}
	if _, err := kemKDF(pkix.AlgorithmIdentifier{OID: OIDData}, secret, info, 32); !errors.Is(err, alg.ErrUnsupported) {
		t.Errorf("unknown: %v", err)
	}
}

// A KEMRecipientInfo with ukm, and with lengths that do not go together.
func TestKEMRecipientsAreChecked(t *testing.T) {
	p := everybody(t)["ml-kem-768"]
	pub := p.key.(*alg.MLKEMPrivateKey).Public()
	make := func(kekLength byte, ukm []byte, ct func([]byte) []byte) *Recipient {
		return &Recipient{KeyEncapsulation, 3, func(rand io.Reader, cek []byte) ([]byte, error) {
			kem, c, secret, err := alg.Encapsulate(rand, pub)
			if err != nil {
				return nil, err
			}
			wrap := keyWraps[0].algorithm()
			kek := must[[]byte](t)(kemKDF(alg.HKDFAlgorithm(), secret, kemOtherInfo(wrap, ukm, 32), 32))
			parts := [][]byte{number(0), element(prim(0), []byte("ml-kem-768")), kem.Bytes(), element(asn1.OCTET_STRING, ct(c)), alg.HKDFAlgorithm().Bytes(), number(kekLength)}
			if ukm != nil {
				parts = append(parts, element(cons(0), element(asn1.OCTET_STRING, ukm)))
			}
			parts = append(parts, wrap.Bytes(), element(asn1.OCTET_STRING, must[[]byte](t)(wrapKey(kek, cek))))
			return element(cons(4), element(asn1.OBJECT_IDENTIFIER, []byte(oidKEMRecipient)), element(asn1.SEQUENCE, parts...)), nil
		}}
	}
	same := func(b []byte) []byte { return b }
	for _, c := range []struct {
		what  string
		r     *Recipient
		parse error
		want  error
	}{
		{"plain", make(32, nil, same), nil, nil},
		{"ukm", make(32, []byte("ukm"), same), nil, nil},
		{"empty ukm", make(32, []byte{}, same), nil, nil},
		{"long ukm", make(32, make2(maxUKM+1), same), ErrTooLarge, nil},
		{"kekLength", make(16, nil, same), nil, alg.ErrParameters},
		{"kekLength 0", make(0, nil, same), ErrMalformed, nil},
		{"ciphertext of another length", make(32, nil, func(b []byte) []byte { return b[1:] }), nil, alg.ErrParameters},
		{"another ciphertext", make(32, nil, func(b []byte) []byte { return flip(b, 9) }), nil, ErrDecrypt},
	} {
		e, err := ParseEnvelopedData(must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{c.r}, OIDData, testContent, nil)))
		if !errors.Is(err, c.parse) {
			t.Errorf("%s: %v", c.what, err)
		}
		if err != nil {
			continue
		}
		if _, err := e.Decrypt(rand.Reader, keyOf(t, "ml-kem-768"), nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestOAEPParametersAreRead(t *testing.T) {
	hash := func(n int, o string) []byte {
		return element(cons(uint8(n)), element(asn1.SEQUENCE, element(asn1.OBJECT_IDENTIFIER, []byte(pkix.MustOID(o)))))
	}
	label := func(n int) []byte {
		return element(cons(2), element(asn1.SEQUENCE, element(asn1.OBJECT_IDENTIFIER, []byte(oidPSpecified)), element(asn1.OCTET_STRING, make2(n))))
	}
	for _, c := range []struct {
		what   string
		params []byte
		want   error
	}{
		{"defaults", element(asn1.SEQUENCE), nil},
		{"hash", element(asn1.SEQUENCE, hash(0, "2.16.840.1.101.3.4.2.1")), nil},
		{"label", element(asn1.SEQUENCE, label(16)), nil},
		{"long label", element(asn1.SEQUENCE, label(maxLabel+1)), alg.ErrForbidden},
		{"unknown hash", element(asn1.SEQUENCE, hash(0, "1.2.840.113549.2.5")), alg.ErrUnsupported},
		{"unknown mask", element(asn1.SEQUENCE, hash(1, "1.2.3")), alg.ErrUnsupported},
		{"unknown label source", element(asn1.SEQUENCE, hash(2, "1.2.3")), alg.ErrUnsupported},
		{"mask without hash", element(asn1.SEQUENCE, hash(1, "1.2.840.113549.1.1.8")), alg.ErrParameters},
		{"another order", element(asn1.SEQUENCE, label(1), hash(0, "2.16.840.1.101.3.4.2.1")), alg.ErrParameters},
		{"absent", nil, alg.ErrParameters},
		{"NULL", pkix.Null, alg.ErrParameters},
	} {
		if _, err := readOAEP(c.params); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	for _, p := range []*Policy{nil, {}, {MinIterations: 5}} {
		if err := p.Check(); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []*Policy{{MinIterations: 5, MaxIterations: 4}, {MinSalt: 300}, {MinIterations: -1}} {
		if p.Check() == nil {
			t.Errorf("%+v", p)
		}
	}
	if !slices.Contains(CipherNames(), "aes128-cbc") {
		t.Error(CipherNames())
	}
}
