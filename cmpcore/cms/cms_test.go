package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var testNow = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// party is somebody with a key and a certificate.
type party struct {
	key  crypto.PrivateKey
	cert []byte
}

func must[T any](t testing.TB) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// stdParty makes a certificate with the standard library.
func stdParty(t testing.TB, key crypto.Signer, usage x509.KeyUsage, keyID []byte) *party {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: must[*big.Int](t)(rand.Int(rand.Reader, big.NewInt(1<<62))), Subject: stdpkix.Name{CommonName: "party"}, KeyUsage: usage, SubjectKeyId: keyID,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	return &party{key, must[[]byte](t)(x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key))}
}

// certify makes a certificate for keys that the standard library does not know.
// Its signature is none: nothing here looks at it.
func certify(t testing.TB, pub crypto.PublicKey, usage pkix.KeyUsage, keyID []byte) []byte {
	t.Helper()
	spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(pub))
	name := must[pkix.Name](t)(pkix.ParseDN("CN=issuer"))
	sigAlg := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}
	var exts []pkix.Extension
	if usage != 0 {
		exts = append(exts, pkix.KeyUsageExtension(usage))
	}
	if keyID != nil {
		exts = append(exts, pkix.SubjectKeyIDExtension(keyID))
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
			b.AddASN1BigInt(must[*big.Int](t)(rand.Int(rand.Reader, big.NewInt(1<<62))))
			sigAlg.Add(b)
			name.Add(b)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { pkix.AddTime(b, testNow); pkix.AddTime(b, testNow) })
			name.Add(b)
			spki.Add(b)
			if exts != nil {
				b.AddASN1(cons(3), func(b *cryptobyte.Builder) { pkix.AddExtensions(b, asn1.SEQUENCE, exts) })
			}
		})
		sigAlg.Add(b)
		pkix.AddBits(b, asn1.BIT_STRING, []byte{1})
	})
	return must[[]byte](t)(b.Bytes())
}

func encryptionParty(t testing.TB, keyType string) *party {
	t.Helper()
	k := must[crypto.PrivateKey](t)(alg.GenerateEncryptionKey(rand.Reader, keyType))
	usage := pkix.KeyEncipherment
	if keyType[0] == 'x' {
		usage = pkix.KeyAgreement
	}
	pub := k.(interface{ Public() crypto.PublicKey }).Public()
	return &party{k, certify(t, pub, usage, []byte(keyType))}
}

// parties are made once: RSA keys are slow.
var parties = struct {
	sync.Once
	m map[string]*party
}{}

func everybody(t testing.TB) map[string]*party {
	parties.Do(func() {
		signer := func(keyType string) crypto.Signer {
			return must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, keyType))
		}
		rsaKey := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
		ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
			return must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(c, rand.Reader))
		}
		p256 := ec(elliptic.P256())
		parties.m = map[string]*party{
			"rsa":         stdParty(t, rsaKey, x509.KeyUsageKeyEncipherment|x509.KeyUsageDigitalSignature, []byte("rsa")),
			"rsa no ski":  stdParty(t, rsaKey, 0, nil),
			"p256":        stdParty(t, p256, x509.KeyUsageKeyAgreement|x509.KeyUsageDigitalSignature, []byte("p256")),
			"p256 issuer": {p256, certify(t, p256.Public(), 0, nil)},
			"p384":        stdParty(t, ec(elliptic.P384()), 0, []byte("p384")),
			"p521":        stdParty(t, ec(elliptic.P521()), 0, []byte("p521")),
			"ed25519":     stdParty(t, signer("ed25519"), x509.KeyUsageDigitalSignature, []byte("ed")),
		}
		for _, k := range []string{"x25519", "x448", "ml-kem-512", "ml-kem-768", "ml-kem-1024"} {
			parties.m[k] = encryptionParty(t, k)
		}
	})
	return parties.m
}

func readPEM(t testing.TB, name string) []byte {
	t.Helper()
	b := must[[]byte](t)(os.ReadFile(filepath.Join("testdata", name)))
	block, _ := pem.Decode(b)
	if block == nil {
		t.Fatalf("%s holds no PEM", name)
	}
	return block.Bytes
}

func contentOf(t testing.TB, der []byte, want pkix.OID) []byte {
	t.Helper()
	c := must[ContentInfo](t)(ParseContentInfo(der))
	if c.Type != want {
		t.Fatalf("content type %s, not %s", c.Type, want)
	}
	return c.Content
}

func contentInfoOf(t testing.TB, typ pkix.OID, content []byte) []byte {
	t.Helper()
	return must[[]byte](t)(ContentInfo{typ, content}.Marshal())
}

func flip(b []byte, i int) []byte {
	c := bytes.Clone(b)
	c[i] ^= 1
	return c
}

func isErr(err, target error) bool { return errors.Is(err, target) }

func kga(p *party) *Signer { return &Signer{Key: p.key.(crypto.Signer), Chain: [][]byte{p.cert}} }
