package alg

import (
	"crypto"
	"crypto/subtle"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ed448Key is Ed448 of RFC 8410: the keys of circl's package ed448.
var ed448Key = &fixedKey{
	name: "ed448", oid: pkix.MustOID("1.3.101.113"), use: UseSign,
	parse: func(key []byte) (crypto.PublicKey, error) {
		if len(key) != ed448.PublicKeySize {
			return nil, fmt.Errorf("an Ed448 key must have %d octets, not %d: %w", ed448.PublicKeySize, len(key), ErrKey)
		}
		return ed448.PublicKey(key), nil
	},
	is: func(pub crypto.PublicKey) bool {
		k, ok := pub.(ed448.PublicKey)
		return ok && len(k) == ed448.PublicKeySize
	},
	bytes: func(pub crypto.PublicKey) []byte { return pub.(ed448.PublicKey) },
	parsePrivate: func(octets []byte) (crypto.PrivateKey, error) {
		seed, ok := curvePrivateKey(octets, ed448.SeedSize)
		if !ok {
			return nil, errCurvePrivateKey
		}
		return ed448.NewKeyFromSeed(seed), nil
	},
	privateBytes: func(k crypto.PrivateKey) []byte {
		p, ok := k.(ed448.PrivateKey)
		if !ok || len(p) != ed448.PrivateKeySize {
			return nil
		}
		return addCurvePrivateKey(p.Seed())
	},
	generate: func(rand io.Reader) (crypto.PrivateKey, error) {
		_, k, err := ed448.GenerateKey(rand)
		return k, err
	},
}

// X448PublicKey is an X448 key (RFC 7748), which cannot sign.
type X448PublicKey [x448.Size]byte

// Equal tells whether both are the same key.
func (k X448PublicKey) Equal(o crypto.PublicKey) bool {
	p, ok := o.(X448PublicKey)
	return ok && p == k
}

// X448PrivateKey is the private half of an [X448PublicKey].
type X448PrivateKey struct{ secret x448.Key }

// Public gives the [X448PublicKey].
func (k *X448PrivateKey) Public() crypto.PublicKey {
	var pub x448.Key
	x448.KeyGen(&pub, &k.secret)
	return X448PublicKey(pub)
}

// Equal tells whether both are the same key.
func (k *X448PrivateKey) Equal(o crypto.PrivateKey) bool {
	p, ok := o.(*X448PrivateKey)
	return ok && subtle.ConstantTimeCompare(k.secret[:], p.secret[:]) == 1
}

// ECDH gives the shared secret (RFC 7748 section 6.2). A point of low order, to
// which every key has the same secret, is an error that wraps [ErrKey].
func (k *X448PrivateKey) ECDH(pub X448PublicKey) ([]byte, error) {
	var shared x448.Key
	p := x448.Key(pub)
	if !x448.Shared(&shared, &k.secret, &p) {
		return nil, fmt.Errorf("X448 key of low order: %w", ErrKey)
	}
	return shared[:], nil
}

var x448Key = &fixedKey{
	name: "x448", oid: pkix.MustOID("1.3.101.111"), use: UseAgree,
	parse: func(key []byte) (crypto.PublicKey, error) {
		if len(key) != x448.Size {
			return nil, fmt.Errorf("an X448 key must have %d octets, not %d: %w", x448.Size, len(key), ErrKey)
		}
		pub := X448PublicKey(key)
		if _, err := (&X448PrivateKey{x448.Key{1}}).ECDH(pub); err != nil {
			return nil, err
		}
		return pub, nil
	},
	is:    func(pub crypto.PublicKey) bool { _, ok := pub.(X448PublicKey); return ok },
	bytes: func(pub crypto.PublicKey) []byte { k := pub.(X448PublicKey); return k[:] },
	parsePrivate: func(octets []byte) (crypto.PrivateKey, error) {
		secret, ok := curvePrivateKey(octets, x448.Size)
		if !ok {
			return nil, errCurvePrivateKey
		}
		return &X448PrivateKey{x448.Key(secret)}, nil
	},
	privateBytes: func(k crypto.PrivateKey) []byte {
		if p, ok := k.(*X448PrivateKey); ok {
			return addCurvePrivateKey(p.secret[:])
		}
		return nil
	},
	generate: func(rand io.Reader) (crypto.PrivateKey, error) {
		k := &X448PrivateKey{}
		_, err := io.ReadFull(rand, k.secret[:])
		return k, err
	},
}

var errCurvePrivateKey = fmt.Errorf("CurvePrivateKey of RFC 8410 is malformed: %w", ErrPrivateKey)

// curvePrivateKey reads the OCTET STRING within privateKey (RFC 8410 section 7).
func curvePrivateKey(octets []byte, size int) ([]byte, bool) {
	in := cryptobyte.String(octets)
	var k cryptobyte.String
	return k, in.ReadASN1(&k, asn1.OCTET_STRING) && in.Empty() && len(k) == size
}

func addCurvePrivateKey(k []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1OctetString(k)
	return b.BytesOrPanic()
}

func verifyEd448(pub crypto.PublicKey, message, sig []byte) bool {
	k := pub.(ed448.PublicKey)
	return len(sig) == ed448.SignatureSize && ed448.Verify(k, message, sig, "")
}
