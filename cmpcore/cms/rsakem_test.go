package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"hash"
	"math/big"
	"testing"

	"cmp-batch/cmpcore/alg"
)

type stdAlg struct {
	OID        asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

type stdKEMParameters struct {
	KDF    stdAlg
	Length int
}

// stdKEMRecipient is KEMRecipientInfo of RFC 9629 section 3 without ukm, with
// the key identifier.
type stdKEMRecipient struct {
	Version    int
	RID        []byte `asn1:"tag:0"`
	KEM        stdAlg
	Ciphertext []byte
	KDF        stdAlg
	KEKLength  int
	Wrap       stdAlg
	Encrypted  []byte
}

func stdDER(t testing.TB, v any) []byte { return must[[]byte](t)(asn1.Marshal(v)) }

// counterKDF is KDF2 and KDF3 of ANSI X9.44, as RFC 9690 and RFC 5990 describe them.
func counterKDF(h func() hash.Hash, before bool, z, info []byte, n int) (out []byte) {
	for i := uint32(1); len(out) < n; i++ {
		counter := binary.BigEndian.AppendUint32(nil, i)
		d := h()
		if before {
			d.Write(counter)
			d.Write(z)
		} else {
			d.Write(z)
			d.Write(counter)
		}
		d.Write(info)
		out = d.Sum(out)
	}
	return out[:n]
}

// Keys for RSA-KEM alone are opened here as RFC 9690 appendix A has it, by the
// standard library up to the key wrap.
func TestKeysForRSAKEMAlone(t *testing.T) {
	private := everybody(t)["rsa"].key.(*rsa.PrivateKey)
	kdf2 := stdAlg{OID: asn1.ObjectIdentifier{1, 3, 133, 16, 840, 9, 44, 1, 1},
		Parameters: asn1.RawValue{FullBytes: stdDER(t, stdAlg{OID: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}})}}
	wrap := func(n int) stdAlg { return stdAlg{OID: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, n}} }
	key := func(length int, dem stdAlg) crypto.PublicKey {
		var a = stdAlg{OID: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 14}}
		if length != 0 {
			params := stdDER(t, stdKEMParameters{kdf2, length})
			a.Parameters.FullBytes = stdDER(t, struct{ KEM, DEM stdAlg }{
				stdAlg{OID: asn1.ObjectIdentifier{1, 0, 18033, 2, 2, 4}, Parameters: asn1.RawValue{FullBytes: params}}, dem})
		}
		octets := x509.MarshalPKCS1PublicKey(&private.PublicKey)
		return must[crypto.PublicKey](t)(alg.ParsePublicKey(stdDER(t, struct {
			Algorithm stdAlg
			Key       asn1.BitString
		}{a, asn1.BitString{Bytes: octets, BitLength: 8 * len(octets)}})))
	}
	for name, c := range map[string]struct {
		key    crypto.PublicKey
		size   int
		hash   func() hash.Hash
		before bool
		wrap   int
	}{
		"what all must have":             {key(0, stdAlg{}), 16, sha256.New, true, 5},
		"KDF2, SHA-512 and AES-192":      {key(24, wrap(25)), 24, sha512.New, false, 25},
		"KDF2, SHA-512 and AES-256":      {key(32, wrap(45)), 32, sha512.New, false, 45},
		"a key that others are for, too": {&private.PublicKey, 16, sha256.New, true, 5},
	} {
		t.Run(name, func(t *testing.T) {
			to := must[*Recipient](t)(ForKey(c.key, &RecipientOptions{ID: Identifier{KeyID: []byte("me")}, RSAKEM: true}))
			der := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{to}, OIDData, testContent, nil))
			e := must[*Envelope](t)(ParseEnvelopedData(der))
			if r := e.Recipients()[0]; r.Technique != KeyEncapsulation || string(r.ID.KeyID) != "me" {
				t.Errorf("%v", r)
			}
			if got, err := e.Decrypt(rand.Reader, &Key{Private: private}, nil); err != nil || !bytes.Equal(got, testContent) {
				t.Errorf("%q, %v", got, err)
			}
			var env struct {
				Version    int
				Recipients []asn1.RawValue `asn1:"set"`
				Content    asn1.RawValue
			}
			if _, err := asn1.Unmarshal(der, &env); err != nil || env.Version != 3 || len(env.Recipients) != 1 {
				t.Fatal(env.Version, len(env.Recipients), err)
			}
			var other struct {
				Type  asn1.ObjectIdentifier
				Value stdKEMRecipient
			}
			if _, err := asn1.UnmarshalWithParams(env.Recipients[0].FullBytes, &other, "tag:4"); err != nil {
				t.Fatal(err)
			}
			k := other.Value
			z := new(big.Int).Exp(new(big.Int).SetBytes(k.Ciphertext), private.D, private.N).FillBytes(make([]byte, private.Size()))
			if k.KEKLength != c.size || k.Wrap.OID[8] != c.wrap || len(k.Ciphertext) != private.Size() {
				t.Errorf("kekLength %d, wrap %s, ciphertext of %d octets", k.KEKLength, k.Wrap.OID, len(k.Ciphertext))
			}
			info := stdDER(t, struct {
				Wrap   stdAlg
				Length int
			}{k.Wrap, k.KEKLength})
			kek := counterKDF(c.hash, c.before, counterKDF(c.hash, c.before, z, nil, c.size), info, c.size)
			if _, err := unwrapKey(kek, k.Encrypted, 32); err != nil {
				t.Errorf("the key as RFC 9690 derives it does not unwrap: %v", err)
			}
			// With or without parameters of the KEM the secret is the same.
			var p stdKEMParameters
			if _, err := asn1.Unmarshal(k.KEM.Parameters.FullBytes, &p); err != nil || p.Length != k.KEKLength ||
				!bytes.Equal(stdDER(t, p.KDF), stdDER(t, k.KDF)) {
				t.Errorf("RsaKemParameters %+v, %v", p, err)
			}
		})
	}
	for name, c := range map[string]struct {
		key  crypto.PublicKey
		size int
	}{
		"a key wrap that is longer":   {key(16, wrap(45)), 0},
		"a key wrap of another size":  {key(32, wrap(45)), 16},
		"a key wrap nobody knows":     {key(32, wrap(99)), 0},
		"a key wrap with no key size": {&private.PublicKey, 17},
	} {
		_, err := ForKey(c.key, &RecipientOptions{ID: Identifier{KeyID: []byte("me")}, RSAKEM: true, WrapKeySize: c.size})
		if !errors.Is(err, alg.ErrMismatch) && !errors.Is(err, alg.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
