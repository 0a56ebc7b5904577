package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

type privateKey interface{ Equal(crypto.PrivateKey) bool }

func TestPrivateKeysOfEveryKindGoThereAndBack(t *testing.T) {
	signer := kga(everybody(t)["ed25519"])
	pw := must[*Recipient](t)(ForPassword([]byte("secret"), &PasswordOptions{Iterations: 1000}))
	kinds := append(alg.KeyTypes(), "x25519", "x448", "ml-kem-512", "ml-kem-768", "ml-kem-1024")
	for _, n := range kinds {
		var key crypto.PrivateKey
		if slices.Contains(alg.KeyTypes(), n) {
			if n == "rsa-3072" || n == "rsa-4096" || len(n) > 14 {
				continue // slow, and nothing else than the others
			}
			key = must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, n))
		} else {
			key = must[crypto.PrivateKey](t)(alg.GenerateEncryptionKey(rand.Reader, n))
		}
		b, err := WrapPrivateKey(rand.Reader, key, signer, pw, testNow, nil)
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		// As CMP carries it.
		var w cryptobyte.Builder
		(&crmf.EncryptedKey{Enveloped: b}).Add(&w)
		in := cryptobyte.String(must[[]byte](t)(w.Bytes()))
		ek := must[crmf.EncryptedKey](t)(crmf.ReadEncryptedKey(&in))
		u, err := UnwrapPrivateKey(rand.Reader, ek.Enveloped, &Key{Password: []byte("secret")}, nil)
		if err != nil || len(u.Keys) != 1 || len(u.Signatures) != 1 || !bytes.Equal(u.Signatures[0].Certificate, signer.Chain[0]) ||
			!slices.EqualFunc(u.Certificates, signer.Chain, bytes.Equal) {
			t.Errorf("%s: %v", n, err)
			continue
		}
		back, err := u.Keys[0].Parse()
		if err != nil || !key.(privateKey).Equal(back) || u.Keys[0].PublicKey == nil {
			t.Errorf("%s: %v", n, err)
		}
		u.Keys[0].Clear()
		if _, err := u.Keys[0].Parse(); err == nil {
			t.Errorf("%s: it is there after Clear", n)
		}
	}
}

func TestThePublicKeyMustBeThatOfThePrivate(t *testing.T) {
	a := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ed25519"))
	b := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ed25519"))
	ka, kb := must[*OneAsymmetricKey](t)(NewOneAsymmetricKey(a)), must[*OneAsymmetricKey](t)(NewOneAsymmetricKey(b))
	ka.PublicKey = kb.PublicKey
	if _, err := ka.Parse(); !errors.Is(err, ErrPrivateKey) {
		t.Error(err)
	}
	ka.PublicKey = nil
	if _, err := ka.Parse(); err != nil {
		t.Error(err)
	}
}

func TestWhatKnownPeersSendIsRead(t *testing.T) {
	all := everybody(t)
	key := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ecdsa-p256"))
	bare := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(key))
	one := must[*OneAsymmetricKey](t)(NewOneAsymmetricKey(key))
	pkg := must[[]byte](t)(MarshalKeyPackage(one))
	sign := func(typ pkix.OID, content []byte) []byte {
		return must[[]byte](t)(Sign(rand.Reader, kga(all["rsa"]), typ, content, testNow))
	}
	unsigned := &UnwrapOptions{AllowUnsigned: true}
	for _, c := range []struct {
		what    string
		typ     pkix.OID
		content []byte
		options *UnwrapOptions
		want    error
	}{
		{"as RFC 9483 has it", OIDSignedData, sign(OIDKeyPackage, pkg), nil, nil},
		{"the identifier with a typo", OIDSignedData, sign(oidKeyPackageTypo, pkg), nil, nil},
		{"a key alone, signed", OIDSignedData, sign(OIDKeyPackage, bare), nil, nil},
		{"both", OIDSignedData, sign(oidKeyPackageTypo, bare), nil, nil},
		{"in a ContentInfo", OIDSignedData, contentInfoOf(t, OIDSignedData, sign(OIDKeyPackage, pkg)), nil, nil},
		{"a key alone, allowed", OIDData, bare, unsigned, nil},
		{"a package alone, allowed", OIDKeyPackage, pkg, unsigned, nil},
		{"signed where it need not be", OIDSignedData, sign(OIDKeyPackage, pkg), unsigned, nil},
		{"a key alone", OIDData, bare, nil, ErrUnsigned},
		{"a key alone, called signed", OIDSignedData, bare, nil, ErrUnsigned},
		{"a package alone", OIDKeyPackage, pkg, nil, ErrUnsigned},
		{"signed, called data", OIDData, sign(OIDKeyPackage, pkg), nil, ErrMalformed},
		{"data that is signed", OIDSignedData, sign(OIDData, pkg), nil, ErrMalformed},
		{"an empty package", OIDSignedData, sign(OIDKeyPackage, []byte{0x30, 0}), nil, ErrMalformed},
		{"no package", OIDSignedData, sign(OIDKeyPackage, testContent), nil, ErrMalformed},
		{"another ContentInfo", OIDSignedData, contentInfoOf(t, OIDData, sign(OIDKeyPackage, pkg)), nil, ErrMalformed},
		{"changed", OIDSignedData, flip(sign(OIDKeyPackage, pkg), 80), nil, alg.ErrSignature},
		{"no DER", OIDSignedData, testContent, nil, ErrMalformed},
		{"nothing", OIDSignedData, nil, unsigned, ErrMalformed},
	} {
		b := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{forParty(t, "p384", nil)}, c.typ, c.content, nil))
		u, err := UnwrapPrivateKey(rand.Reader, b, keyOf(t, "p384"), c.options)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.what, err)
		}
		if err != nil {
			continue
		}
		if back, err := u.Keys[0].Parse(); err != nil || !key.(privateKey).Equal(back) {
			t.Errorf("%s: %v", c.what, err)
		}
		if signed := c.options == nil || c.typ == OIDSignedData; (u.Signatures != nil) != signed {
			t.Errorf("%s: signatures %v", c.what, u.Signatures)
		}
	}
}

func TestKeyPackages(t *testing.T) {
	key := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, "ed25519"))
	one := must[*OneAsymmetricKey](t)(NewOneAsymmetricKey(key))
	b := must[[]byte](t)(MarshalKeyPackage(one, one))
	if keys, err := ParseKeyPackage(b); err != nil || len(keys) != 2 {
		t.Error(err)
	}
	if _, err := MarshalKeyPackage(); err == nil {
		t.Error("an empty package is written")
	}
	many := slices.Repeat([]*OneAsymmetricKey{one}, MaxPrivateKeys+1)
	if _, err := MarshalKeyPackage(many...); err == nil {
		t.Error("17 keys are written")
	}
	var w, k cryptobyte.Builder
	one.add(&k)
	pkix.AddElement(&w, 0x30, bytes.Repeat(k.BytesOrPanic(), MaxPrivateKeys+1))
	if _, err := ParseKeyPackage(w.BytesOrPanic()); !errors.Is(err, ErrTooLarge) {
		t.Errorf("17 keys: %v", err)
	}
	// Attributes stay.
	one.Attributes = append([]byte{0x31, byte(len(marshalAttribute(oidSigningTime, OIDData.Add)))}, marshalAttribute(oidSigningTime, OIDData.Add)...)
	keys := must[[]*OneAsymmetricKey](t)(ParseKeyPackage(must[[]byte](t)(MarshalKeyPackage(one))))
	if !bytes.Equal(keys[0].Attributes, one.Attributes) {
		t.Errorf("attributes %x", keys[0].Attributes)
	}
}
