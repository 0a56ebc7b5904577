package alg

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign"
	"github.com/cloudflare/circl/sign/mldsa/mldsa44"
	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
	"github.com/cloudflare/circl/sign/mldsa/mldsa87"
)

// mldsaSet is a parameter set of FIPS 204. Keys are those of filippo.io/mldsa,
// which a later standard library takes over; circl has the private keys that
// come without their seed.
type mldsaSet struct {
	name          string
	oid           pkix.OID
	params        mldsa.Parameters
	circl         sign.Scheme
	rows, columns int // k and l of FIPS 204 table 1
	// The coefficients of the secret vectors in the expanded private key have
	// etaBits each and are at most 2*eta.
	etaBits int
	eta     byte
}

var (
	mldsa44Set = &mldsaSet{"ml-dsa-44", pkix.MustOID("2.16.840.1.101.3.4.3.17"), mldsa.MLDSA44(), mldsa44.Scheme(), 4, 4, 3, 2}
	mldsa65Set = &mldsaSet{"ml-dsa-65", pkix.MustOID("2.16.840.1.101.3.4.3.18"), mldsa.MLDSA65(), mldsa65.Scheme(), 6, 5, 4, 4}
	mldsa87Set = &mldsaSet{"ml-dsa-87", pkix.MustOID("2.16.840.1.101.3.4.3.19"), mldsa.MLDSA87(), mldsa87.Scheme(), 8, 7, 3, 2}
	mldsaSets  = []*mldsaSet{mldsa44Set, mldsa65Set, mldsa87Set}
)

func mldsaKeys() (keys []*fixedKey) {
	for _, set := range mldsaSets {
		keys = append(keys, &fixedKey{
			name: set.name, oid: set.oid, use: UseSign,
			parse:        set.parse,
			is:           set.is,
			bytes:        func(pub crypto.PublicKey) []byte { return pub.(*mldsa.PublicKey).Bytes() },
			parsePrivate: set.parsePrivate,
			privateBytes: set.privateBytes,
			generate: func(rand io.Reader) (crypto.PrivateKey, error) {
				seed := make([]byte, mldsa.PrivateKeySize)
				if _, err := io.ReadFull(rand, seed); err != nil {
					return nil, err
				}
				return mldsa.NewPrivateKey(set.params, seed)
			},
		})
	}
	return keys
}

func verifyMLDSA(pub crypto.PublicKey, message, sig []byte) bool {
	return mldsa.Verify(pub.(*mldsa.PublicKey), message, sig, nil) == nil
}

func (s *mldsaSet) is(pub crypto.PublicKey) bool {
	k, ok := pub.(*mldsa.PublicKey)
	return ok && k != nil && k.Parameters() == s.params
}

func (s *mldsaSet) parse(key []byte) (crypto.PublicKey, error) {
	k, err := mldsa.NewPublicKey(s.params, key)
	if err != nil {
		return nil, fmt.Errorf("an %s key must have %d octets, not %d: %w", s.params, s.params.PublicKeySize(), len(key), ErrKey)
	}
	return k, nil
}

// parsePrivate reads ML-DSA-xx-PrivateKey (RFC 9881 section 6).
func (s *mldsaSet) parsePrivate(octets []byte) (crypto.PrivateKey, error) {
	seed, expanded, ok := readSeedKey(octets, mldsa.PrivateKeySize, s.circl.PrivateKeySize())
	if !ok {
		return nil, fmt.Errorf("%s private key is malformed: %w", s.params, ErrPrivateKey)
	}
	if seed == nil {
		return s.newExpanded(expanded)
	}
	if expanded != nil {
		_, k := s.circl.DeriveKey(seed)
		want, err := k.MarshalBinary()
		if err != nil || subtle.ConstantTimeCompare(want, expanded) != 1 {
			return nil, fmt.Errorf("%s seed and expanded key are of two keys: %w", s.params, ErrPrivateKey)
		}
	}
	k, err := mldsa.NewPrivateKey(s.params, seed)
	if err != nil {
		return nil, fmt.Errorf("%s seed: %w", s.params, ErrPrivateKey)
	}
	return k, nil
}

func (s *mldsaSet) privateBytes(k crypto.PrivateKey) []byte {
	switch k := k.(type) {
	case *mldsa.PrivateKey:
		if k != nil && k.PublicKey().Parameters() == s.params {
			return addSeed(k.Bytes())
		}
	case *mldsaExpanded:
		if k.set == s {
			return addExpanded(k.key)
		}
	}
	return nil
}

// mldsaExpanded is a private key whose seed is not known. It signs, and is
// written back without a seed.
type mldsaExpanded struct {
	set *mldsaSet
	key []byte
	sk  crypto.Signer
	pub *mldsa.PublicKey
}

func (k *mldsaExpanded) Public() crypto.PublicKey { return k.pub }

func (k *mldsaExpanded) Equal(o crypto.PrivateKey) bool {
	p, ok := o.(*mldsaExpanded)
	return ok && k.set == p.set && subtle.ConstantTimeCompare(k.key, p.key) == 1
}

func (k *mldsaExpanded) Sign(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return k.sk.Sign(rand, message, opts)
}

// newExpanded checks what an import of a foreign key can: ranges (FIPS 204
// algorithm 25), that t0 and tr are of the rest of the key, and that what it
// signs verifies (RFC 9881 section 8.2).
func (s *mldsaSet) newExpanded(key []byte) (crypto.PrivateKey, error) {
	fail := func(what string) (crypto.PrivateKey, error) {
		return nil, fmt.Errorf("%s expanded private key: %s: %w", s.params, what, ErrPrivateKey)
	}
	if !s.inRange(key[128:]) {
		return fail("a coefficient is out of range")
	}
	if !lowBitsFit(key, s.rows, s.columns, s.etaBits, uint64(s.eta)) {
		return fail("its t0 is not of its secret vectors")
	}
	sk, err := s.circl.UnmarshalBinaryPrivateKey(key)
	if err != nil {
		return fail("malformed")
	}
	raw, err := sk.Public().(sign.PublicKey).MarshalBinary()
	if err != nil {
		return fail("malformed")
	}
	if !bytes.Equal(sha3.SumSHAKE256(raw, 64), key[64:128]) {
		return fail("its hash of the public key is wrong")
	}
	pub, err := mldsa.NewPublicKey(s.params, raw)
	if err != nil {
		return fail("malformed")
	}
	signer, ok := sk.(crypto.Signer)
	if !ok {
		return nil, errors.New("no signer") // unreachable with circl
	}
	probe := []byte("a key that does not fit itself")
	sig, err := signer.Sign(nil, probe, crypto.Hash(0))
	if err != nil || mldsa.Verify(pub, probe, sig, nil) != nil {
		return fail("what it signs does not verify")
	}
	return &mldsaExpanded{s, bytes.Clone(key), signer, pub}, nil
}

// inRange looks at the packed coefficients of the two secret vectors.
func (s *mldsaSet) inRange(packed []byte) bool {
	var acc, bits uint
	mask := uint(1)<<s.etaBits - 1
	for _, b := range packed[:(s.rows+s.columns)*256*s.etaBits/8] {
		for acc, bits = acc|uint(b)<<bits, bits+8; bits >= uint(s.etaBits); acc, bits = acc>>s.etaBits, bits-uint(s.etaBits) {
			if byte(acc&mask) > 2*s.eta {
				return false
			}
		}
	}
	return true
}
