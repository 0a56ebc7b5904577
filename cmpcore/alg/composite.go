package alg

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"strings"

	"cmp-batch/cmpcore/pkix"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// composite is a row of draft-ietf-lamps-pq-composite-sigs section 6: ML-DSA
// with a traditional algorithm, of which both must be broken.
type composite struct {
	name  string // of the draft, without id-
	oid   pkix.OID
	label string
	hash  string // of the message
	mldsa *mldsaSet
	trad  *tradSignature
}

// compositePrefix starts all that is signed (section 2.2 of the draft).
const compositePrefix = "CompositeAlgorithmSignatures2025"

// composites is the table, without the two on Brainpool curves.
var composites = []*composite{
	comp("MLDSA44-RSA2048-PSS-SHA256", 37, mldsa44Set, tradPSS(2048, "sha256")),
	comp("MLDSA44-RSA2048-PKCS15-SHA256", 38, mldsa44Set, tradPKCS1(2048, "sha256")),
	comp("MLDSA44-Ed25519-SHA512", 39, mldsa44Set, tradEd25519),
	comp("MLDSA44-ECDSA-P256-SHA256", 40, mldsa44Set, tradEC(elliptic.P256(), "sha256")),
	comp("MLDSA65-RSA3072-PSS-SHA512", 41, mldsa65Set, tradPSS(3072, "sha256")),
	comp("MLDSA65-RSA3072-PKCS15-SHA512", 42, mldsa65Set, tradPKCS1(3072, "sha256")),
	comp("MLDSA65-RSA4096-PSS-SHA512", 43, mldsa65Set, tradPSS(4096, "sha384")),
	comp("MLDSA65-RSA4096-PKCS15-SHA512", 44, mldsa65Set, tradPKCS1(4096, "sha384")),
	comp("MLDSA65-ECDSA-P256-SHA512", 45, mldsa65Set, tradEC(elliptic.P256(), "sha256")),
	comp("MLDSA65-ECDSA-P384-SHA512", 46, mldsa65Set, tradEC(elliptic.P384(), "sha384")),
	comp("MLDSA65-Ed25519-SHA512", 48, mldsa65Set, tradEd25519),
	comp("MLDSA87-ECDSA-P384-SHA512", 49, mldsa87Set, tradEC(elliptic.P384(), "sha384")),
	comp("MLDSA87-Ed448-SHAKE256", 51, mldsa87Set, tradEd448),
	comp("MLDSA87-RSA3072-PSS-SHA512", 52, mldsa87Set, tradPSS(3072, "sha256")),
	comp("MLDSA87-RSA4096-PSS-SHA512", 53, mldsa87Set, tradPSS(4096, "sha384")),
	comp("MLDSA87-ECDSA-P521-SHA512", 54, mldsa87Set, tradEC(elliptic.P521(), "sha512")),
}

func comp(name string, arc int, m *mldsaSet, t *tradSignature) *composite {
	return &composite{
		name: name, oid: pkix.MustOID(fmt.Sprintf("1.3.6.1.5.5.7.6.%d", arc)), label: "COMPSIG-" + name,
		hash: strings.ToLower(name[strings.LastIndexByte(name, '-')+1:]), mldsa: m, trad: t,
	}
}

// CompositePublicKey is a pair of keys that verify together
// (draft-ietf-lamps-pq-composite-sigs).
type CompositePublicKey struct {
	row   *composite
	mldsa *mldsa.PublicKey
	trad  crypto.PublicKey
}

// Equal tells whether both are the same pair for the same algorithm.
func (k *CompositePublicKey) Equal(o crypto.PublicKey) bool {
	p, ok := o.(*CompositePublicKey)
	if !ok || k.row != p.row || !k.mldsa.Equal(p.mldsa) {
		return false
	}
	t, ok := k.trad.(interface{ Equal(crypto.PublicKey) bool })
	return ok && t.Equal(p.trad)
}

// CompositePrivateKey signs with both of its keys, which no other key may have.
type CompositePrivateKey struct {
	row   *composite
	mldsa *mldsa.PrivateKey
	trad  crypto.Signer
}

// Public gives the *[CompositePublicKey].
func (k *CompositePrivateKey) Public() crypto.PublicKey {
	return &CompositePublicKey{k.row, k.mldsa.PublicKey(), k.trad.Public()}
}

// Equal tells whether both are the same pair for the same algorithm.
func (k *CompositePrivateKey) Equal(o crypto.PrivateKey) bool {
	p, ok := o.(*CompositePrivateKey)
	if !ok || k.row != p.row || !k.mldsa.Equal(p.mldsa) {
		return false
	}
	t, ok := k.trad.(interface{ Equal(crypto.PrivateKey) bool })
	return ok && t.Equal(p.trad)
}

// Sign signs the message itself, so opts must name no hash.
func (k *CompositePrivateKey) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts != nil && opts.HashFunc() != 0 {
		return nil, fmt.Errorf("%s signs messages, not hashes: %w", k.row.name, ErrMismatch)
	}
	m := k.row.representative(message)
	sig, err := k.mldsa.Sign(rand, m, &mldsa.Options{Context: k.row.label})
	if err != nil {
		return nil, err
	}
	t, err := k.row.trad.sign(rand, k.trad, m)
	if err != nil {
		return nil, err
	}
	return append(sig, t...), nil
}

// representative gives M', with an empty context.
func (c *composite) representative(message []byte) []byte {
	m := make([]byte, 0, 160)
	m = append(append(append(m, compositePrefix...), c.label...), 0)
	return named(c.hash).sum(m, message)
}

func (c *composite) verify(pub crypto.PublicKey, message, sig []byte) bool {
	k, n := pub.(*CompositePublicKey), c.mldsa.params.SignatureSize()
	if len(sig) < n {
		return false
	}
	m := c.representative(message)
	return mldsa.Verify(k.mldsa, m, sig[:n], &mldsa.Options{Context: c.label}) == nil && c.trad.verify(k.trad, m, sig[n:])
}

func compositeKeys() (keys []*fixedKey) {
	for _, c := range composites {
		keys = append(keys, &fixedKey{
			name: strings.ToLower(c.name), oid: c.oid, use: UseSign,
			parse: c.parse,
			is: func(pub crypto.PublicKey) bool {
				k, ok := pub.(*CompositePublicKey)
				return ok && k != nil && k.row == c
			},
			bytes: func(pub crypto.PublicKey) []byte {
				k := pub.(*CompositePublicKey)
				return append(k.mldsa.Bytes(), c.trad.bytes(k.trad)...)
			},
			parsePrivate: c.parsePrivate,
			privateBytes: func(k crypto.PrivateKey) []byte {
				p, ok := k.(*CompositePrivateKey)
				if !ok || p.row != c {
					return nil
				}
				return append(p.mldsa.Bytes(), c.trad.privateBytes(p.trad)...)
			},
			generate: func(rand io.Reader) (crypto.PrivateKey, error) {
				seed := make([]byte, mldsa.PrivateKeySize)
				if _, err := io.ReadFull(rand, seed); err != nil {
					return nil, err
				}
				m, err := mldsa.NewPrivateKey(c.mldsa.params, seed)
				if err != nil {
					return nil, err
				}
				t, err := c.trad.generate(rand)
				if err != nil {
					return nil, err
				}
				return &CompositePrivateKey{c, m, t}, nil
			},
		})
	}
	return keys
}

// parse takes the two keys apart (section 4.1 of the draft).
func (c *composite) parse(key []byte) (crypto.PublicKey, error) {
	n := c.mldsa.params.PublicKeySize()
	if len(key) < n {
		return nil, fmt.Errorf("%s key of %d octets: %w", c.name, len(key), ErrKey)
	}
	m, err := mldsa.NewPublicKey(c.mldsa.params, key[:n])
	if err != nil {
		return nil, fmt.Errorf("%s key: %w", c.name, ErrKey)
	}
	t, err := c.trad.parse(bytes.Clone(key[n:]))
	if err != nil {
		return nil, fmt.Errorf("%s key: %w", c.name, err)
	}
	return &CompositePublicKey{c, m, t}, nil
}

// parsePrivate takes the seed and the other key apart (section 4.2).
func (c *composite) parsePrivate(octets []byte) (crypto.PrivateKey, error) {
	fail := func() (crypto.PrivateKey, error) {
		return nil, fmt.Errorf("%s private key is malformed: %w", c.name, ErrPrivateKey)
	}
	if len(octets) < mldsa.PrivateKeySize {
		return fail()
	}
	m, err := mldsa.NewPrivateKey(c.mldsa.params, octets[:mldsa.PrivateKeySize])
	if err != nil {
		return fail()
	}
	t := c.trad.parsePrivate(octets[mldsa.PrivateKeySize:])
	if t == nil {
		return fail()
	}
	return &CompositePrivateKey{c, m, t}, nil
}

// tradSignature is the traditional half of a composite.
type tradSignature struct {
	parse        func(key []byte) (crypto.PublicKey, error)
	bytes        func(pub crypto.PublicKey) []byte
	parsePrivate func(key []byte) crypto.Signer // nil where it is malformed
	privateBytes func(k crypto.Signer) []byte
	generate     func(rand io.Reader) (crypto.Signer, error)
	verify       func(pub crypto.PublicKey, message, sig []byte) bool
	sign         func(rand io.Reader, k crypto.Signer, message []byte) ([]byte, error)
}

func tradPSS(bits int, hash string) *tradSignature {
	d := named(hash)
	return tradRSA(bits, rsaPSS, scheme{&signature{hash: d}, d.length()})
}

func tradPKCS1(bits int, hash string) *tradSignature {
	return tradRSA(bits, rsaPKCS1, scheme{&signature{hash: named(hash)}, 0})
}

func tradRSA(bits int, kind *signatureKind, s scheme) *tradSignature {
	return &tradSignature{
		parse: func(key []byte) (crypto.PublicKey, error) {
			k, err := readRSAPublicKey(key)
			switch {
			case err != nil:
				return nil, err
			case k.N.BitLen() != bits:
				return nil, fmt.Errorf("RSA modulus has %d bits, not %d: %w", k.N.BitLen(), bits, ErrKey)
			}
			return k, nil
		},
		bytes: func(pub crypto.PublicKey) []byte { return marshalRSA(pub.(*rsa.PublicKey)) },
		parsePrivate: func(key []byte) crypto.Signer {
			k, err := x509.ParsePKCS1PrivateKey(key)
			if err != nil || k.N.BitLen() != bits || len(k.Primes) != 2 {
				return nil
			}
			return k
		},
		privateBytes: func(k crypto.Signer) []byte { return x509.MarshalPKCS1PrivateKey(k.(*rsa.PrivateKey)) },
		generate:     generateRSA(bits),
		verify: func(pub crypto.PublicKey, message, sig []byte) bool {
			return kind.verify(s, pub, message, sig)
		},
		sign: func(rand io.Reader, k crypto.Signer, message []byte) ([]byte, error) {
			return kind.sign(rand, s, k, message)
		},
	}
}

func tradEC(curve elliptic.Curve, hash string) *tradSignature {
	s := scheme{&signature{hash: named(hash)}, 0}
	return &tradSignature{
		parse: func(key []byte) (crypto.PublicKey, error) { return parsePoint(curve, key) },
		bytes: func(pub crypto.PublicKey) []byte {
			b, _ := pub.(*ecdsa.PublicKey).Bytes()
			return b
		},
		parsePrivate: func(key []byte) crypto.Signer {
			k, err := x509.ParseECPrivateKey(key)
			if err != nil || k.Curve != curve {
				return nil
			}
			return k
		},
		privateBytes: func(k crypto.Signer) []byte { return addECPrivateKey(k.(*ecdsa.PrivateKey)) },
		generate:     generateEC(curve),
		verify: func(pub crypto.PublicKey, message, sig []byte) bool {
			return ecDSA.verify(s, pub, message, sig)
		},
		sign: func(rand io.Reader, k crypto.Signer, message []byte) ([]byte, error) {
			return signDigest(rand, s, k, message)
		},
	}
}

// addECPrivateKey writes ECPrivateKey (RFC 5915 section 3) with the curve and
// without the public key, as the draft wants it.
func addECPrivateKey(k *ecdsa.PrivateKey) []byte {
	d, err := k.Bytes()
	if err != nil {
		return nil
	}
	a, _, _ := identifyEC(&k.PublicKey)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(d)
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddBytes(a.Parameters) })
	})
	return b.BytesOrPanic()
}

var tradEd25519 = &tradSignature{
	parse: func(key []byte) (crypto.PublicKey, error) { return parseEd25519(pkix.AlgorithmIdentifier{}, key) },
	bytes: func(pub crypto.PublicKey) []byte { return pub.(ed25519.PublicKey) },
	parsePrivate: func(key []byte) crypto.Signer {
		if len(key) != ed25519.SeedSize {
			return nil
		}
		return ed25519.NewKeyFromSeed(key)
	},
	privateBytes: func(k crypto.Signer) []byte { return k.(ed25519.PrivateKey).Seed() },
	generate:     generateEd25519,
	verify:       func(pub crypto.PublicKey, message, sig []byte) bool { return edDSA.verify(scheme{}, pub, message, sig) },
	sign:         signMessage,
}

var tradEd448 = &tradSignature{
	parse: ed448Key.parse,
	bytes: ed448Key.bytes,
	parsePrivate: func(key []byte) crypto.Signer {
		if len(key) != ed448.SeedSize {
			return nil
		}
		return ed448.NewKeyFromSeed(key)
	},
	privateBytes: func(k crypto.Signer) []byte { return k.(ed448.PrivateKey).Seed() },
	generate: func(rand io.Reader) (crypto.Signer, error) {
		_, k, err := ed448.GenerateKey(rand)
		return k, err
	},
	verify: verifyEd448,
	sign:   signMessage,
}

func signMessage(rand io.Reader, k crypto.Signer, message []byte) ([]byte, error) {
	return k.Sign(rand, message, crypto.Hash(0))
}
