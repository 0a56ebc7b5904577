package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	stdpkix "crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"fmt"
	"hash"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"

	"cmp-batch/cmpcore/alg"
)

// These tests read our envelopes with encoding/asn1, derive the keys with the
// standard library and circl, and unwrap with OpenSSL.

type asnEnveloped struct {
	Version    int
	Recipients []stdasn1.RawValue `asn1:"set"`
	Content    struct {
		Type      stdasn1.ObjectIdentifier
		Cipher    stdpkix.AlgorithmIdentifier
		Encrypted []byte `asn1:"tag:0"`
	}
}

type asnKARI struct {
	Version    int
	Originator stdasn1.RawValue // [0] { [1] asnPublicKey }
	Alg        stdpkix.AlgorithmIdentifier
	Keys       []struct {
		ID        stdasn1.RawValue
		Encrypted []byte
	}
}

type asnPublicKey struct {
	Alg stdpkix.AlgorithmIdentifier
	Key stdasn1.BitString
}

type asnKEMRI struct {
	Version   int
	ID        []byte `asn1:"tag:0"`
	KEM       stdpkix.AlgorithmIdentifier
	CT        []byte
	KDF       stdpkix.AlgorithmIdentifier
	KEKLength int
	Wrap      stdpkix.AlgorithmIdentifier
	Encrypted []byte
}

func asnRead(t testing.TB, der []byte, v any, params string) {
	t.Helper()
	if rest, err := stdasn1.UnmarshalWithParams(der, v, params); err != nil || len(rest) > 0 {
		t.Fatalf("%T: %v, %d octets left", v, err, len(rest))
	}
}

// finish unwraps the content key and decrypts.
func (e *asnEnveloped) finish(t *testing.T, b *bench, kek, wrapped []byte) []byte {
	t.Helper()
	b.write("wrapped", wrapped)
	b.run(fmt.Sprintf("enc -d -aes-%d-wrap -K %x -iv A6A6A6A6A6A6A6A6 -in wrapped -out cek", 8*len(kek), kek))
	block := must[cipher.Block](t)(aes.NewCipher(b.read("cek")))
	plain := bytes.Clone(e.Content.Encrypted)
	var iv []byte
	asnRead(t, e.Content.Cipher.Parameters.FullBytes, &iv, "")
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	return plain[:len(plain)-int(plain[len(plain)-1])]
}

func TestAgreementIsThatOfRFC8418(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct {
		name, scheme, keyOID string
		hash                 func() hash.Hash
		kekSize              int
		wrap                 string
		options              RecipientOptions
		agree                func(private crypto.PrivateKey, theirs []byte) []byte
	}{
		{"x25519", "1.2.840.113549.1.9.16.3.19", "1.3.101.110", sha256.New, 32, "2d", RecipientOptions{}, func(p crypto.PrivateKey, theirs []byte) []byte {
			pub := must[*ecdh.PublicKey](t)(ecdh.X25519().NewPublicKey(theirs))
			return must[[]byte](t)(p.(*ecdh.PrivateKey).ECDH(pub))
		}},
		{"x25519", "1.2.840.113549.1.9.16.3.21", "1.3.101.110", sha512.New, 16, "05", RecipientOptions{Hash: crypto.SHA512, WrapKeySize: 16}, func(p crypto.PrivateKey, theirs []byte) []byte {
			pub := must[*ecdh.PublicKey](t)(ecdh.X25519().NewPublicKey(theirs))
			return must[[]byte](t)(p.(*ecdh.PrivateKey).ECDH(pub))
		}},
		{"x448", "1.2.840.113549.1.9.16.3.21", "1.3.101.111", sha512.New, 32, "2d", RecipientOptions{}, func(p crypto.PrivateKey, theirs []byte) []byte {
			pkcs8 := must[[]byte](t)(alg.MarshalPrivateKey(p))
			secret, pub, shared := x448.Key(pkcs8[len(pkcs8)-56:]), x448.Key(theirs), x448.Key{}
			if !x448.Shared(&shared, &secret, &pub) {
				t.Fatal("low order")
			}
			return shared[:]
		}},
	} {
		p := everybody(t)[c.name]
		r := must[*Recipient](t)(ForCertificate(p.cert, &c.options))
		der := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))
		var e asnEnveloped
		var k asnKARI
		asnRead(t, der, &e, "")
		asnRead(t, e.Recipients[0].FullBytes, &k, "tag:1")
		var originator asnPublicKey
		asnRead(t, k.Originator.Bytes, &originator, "tag:1")
		if e.Version != 2 || k.Version != 3 || k.Alg.Algorithm.String() != c.scheme || originator.Alg.Algorithm.String() != c.keyOID || k.Originator.FullBytes[0] != 0xa0 ||
			len(originator.Alg.Parameters.FullBytes) != 0 || len(k.Keys) != 1 {
			t.Errorf("%s: %+v", c.name, k)
		}
		// rKeyId [0] { subjectKeyIdentifier }
		want := append([]byte{0xa0, byte(len(c.name) + 2), 4, byte(len(c.name))}, c.name...)
		if !bytes.Equal(k.Keys[0].ID.FullBytes, want) {
			t.Errorf("%s: rid %x", c.name, k.Keys[0].ID.FullBytes)
		}
		// ECC-CMS-SharedInfo, octet by octet.
		info := unhex(t, "3015"+"300b06096086480165030401"+c.wrap+"a2060404"+fmt.Sprintf("%08x", 8*c.kekSize))
		kek := must[[]byte](t)(hkdf.Key(c.hash, c.agree(p.key, originator.Key.Bytes), nil, string(info), c.kekSize))
		if got := e.finish(t, b, kek, k.Keys[0].Encrypted); !bytes.Equal(got, testContent) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestEncapsulationIsThatOfRFC9936(t *testing.T) {
	b := newBench(t)
	seed := func(p *party) []byte {
		pkcs8 := must[[]byte](t)(alg.MarshalPrivateKey(p.key))
		return pkcs8[len(pkcs8)-64:]
	}
	for _, c := range []struct {
		name, oid string
		kekSize   int
		wrap      string
		secret    func(p *party, ct []byte) []byte
	}{
		{"ml-kem-512", "2.16.840.1.101.3.4.4.1", 16, "05", func(p *party, ct []byte) []byte {
			_, k := mlkem512.Scheme().DeriveKeyPair(seed(p))
			return must[[]byte](t)(mlkem512.Scheme().Decapsulate(k, ct))
		}},
		{"ml-kem-768", "2.16.840.1.101.3.4.4.2", 32, "2d", func(p *party, ct []byte) []byte {
			return must[[]byte](t)(must[*mlkem.DecapsulationKey768](t)(mlkem.NewDecapsulationKey768(seed(p))).Decapsulate(ct))
		}},
		{"ml-kem-1024", "2.16.840.1.101.3.4.4.3", 32, "2d", func(p *party, ct []byte) []byte {
			return must[[]byte](t)(must[*mlkem.DecapsulationKey1024](t)(mlkem.NewDecapsulationKey1024(seed(p))).Decapsulate(ct))
		}},
	} {
		p := everybody(t)[c.name]
		r := must[*Recipient](t)(ForCertificate(p.cert, nil))
		der := must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil))
		var e asnEnveloped
		var ori struct {
			Type stdasn1.ObjectIdentifier
			Info asnKEMRI
		}
		asnRead(t, der, &e, "")
		asnRead(t, e.Recipients[0].FullBytes, &ori, "tag:4")
		k := ori.Info
		if e.Version != 3 || k.Version != 0 || ori.Type.String() != "1.2.840.113549.1.9.16.13.3" || k.KEM.Algorithm.String() != c.oid ||
			len(k.KEM.Parameters.FullBytes) != 0 || string(k.ID) != c.name || k.KDF.Algorithm.String() != "1.2.840.113549.1.9.16.3.28" || k.KEKLength != c.kekSize {
			t.Errorf("%s: %+v", c.name, k)
		}
		info := unhex(t, "3010"+"300b06096086480165030401"+c.wrap+"0201"+fmt.Sprintf("%02x", c.kekSize))
		kek := must[[]byte](t)(hkdf.Key(sha256.New, c.secret(p, k.CT), nil, string(info), c.kekSize))
		if got := e.finish(t, b, kek, k.Encrypted); !bytes.Equal(got, testContent) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
