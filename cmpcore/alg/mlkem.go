package alg

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/subtle"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"

	"github.com/cloudflare/circl/kem"
	"github.com/cloudflare/circl/kem/mlkem/mlkem1024"
	"github.com/cloudflare/circl/kem/mlkem/mlkem512"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
)

// mlkemSet is a parameter set of FIPS 203. The standard library does the work
// where it can: not for 512, and not for private keys without their seed.
type mlkemSet struct {
	name, label string
	oid         pkix.OID
	circl       kem.Scheme
	public      func(key []byte) (crypto.Encapsulator, error)
	private     func(seed []byte) (crypto.Decapsulator, error)
}

var mlkemSets = []*mlkemSet{
	{name: "ml-kem-512", label: "ML-KEM-512", oid: pkix.MustOID("2.16.840.1.101.3.4.4.1"), circl: mlkem512.Scheme()},
	{
		name: "ml-kem-768", label: "ML-KEM-768", oid: pkix.MustOID("2.16.840.1.101.3.4.4.2"), circl: mlkem768.Scheme(),
		public:  func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey768(key) },
		private: func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey768(seed) },
	},
	{
		name: "ml-kem-1024", label: "ML-KEM-1024", oid: pkix.MustOID("2.16.840.1.101.3.4.4.3"), circl: mlkem1024.Scheme(),
		public:  func(key []byte) (crypto.Encapsulator, error) { return mlkem.NewEncapsulationKey1024(key) },
		private: func(seed []byte) (crypto.Decapsulator, error) { return mlkem.NewDecapsulationKey1024(seed) },
	},
}

// mlkemSeedSize is d and z of FIPS 203 algorithm 16.
const mlkemSeedSize = 64

// MLKEMPublicKey is an ML-KEM key (FIPS 203, RFC 9935), which cannot sign. See
// [Encapsulate].
type MLKEMPublicKey struct {
	set *mlkemSet
	key []byte
	std crypto.Encapsulator // nil where circl has it
	own kem.PublicKey
}

// Bytes is the encapsulation key.
func (k *MLKEMPublicKey) Bytes() []byte { return bytes.Clone(k.key) }

// Equal tells whether both are the same key.
func (k *MLKEMPublicKey) Equal(o crypto.PublicKey) bool {
	p, ok := o.(*MLKEMPublicKey)
	return ok && k.set == p.set && bytes.Equal(k.key, p.key)
}

func (k *MLKEMPublicKey) encapsulate() (secret, ciphertext []byte, err error) {
	if k.std != nil {
		secret, ciphertext = k.std.Encapsulate()
		return secret, ciphertext, nil
	}
	ciphertext, secret, err = k.set.circl.Encapsulate(k.own)
	return secret, ciphertext, err
}

// MLKEMPrivateKey is the private half of an [MLKEMPublicKey].
type MLKEMPrivateKey struct {
	set      *mlkemSet
	seed     []byte // nil where it is not known
	expanded []byte // only then
	std      crypto.Decapsulator
	own      kem.PrivateKey
	pub      *MLKEMPublicKey
}

// Public gives the *[MLKEMPublicKey].
func (k *MLKEMPrivateKey) Public() crypto.PublicKey { return k.pub }

// Equal tells whether both are the same key, known in the same form.
func (k *MLKEMPrivateKey) Equal(o crypto.PrivateKey) bool {
	p, ok := o.(*MLKEMPrivateKey)
	return ok && k.set == p.set && subtle.ConstantTimeCompare(k.seed, p.seed) == 1 &&
		subtle.ConstantTimeCompare(k.expanded, p.expanded) == 1
}

func (k *MLKEMPrivateKey) decapsulate(ciphertext []byte) ([]byte, error) {
	if k.std != nil {
		return k.std.Decapsulate(ciphertext)
	}
	return k.set.circl.Decapsulate(k.own, ciphertext)
}

func mlkemKeys() (keys []*fixedKey) {
	for _, set := range mlkemSets {
		keys = append(keys, &fixedKey{
			name: set.name, oid: set.oid, use: UseEncapsulate,
			parse: func(key []byte) (crypto.PublicKey, error) {
				k, err := set.parse(key)
				if err != nil {
					return nil, err
				}
				return k, nil
			},
			is: func(pub crypto.PublicKey) bool {
				k, ok := pub.(*MLKEMPublicKey)
				return ok && k != nil && k.set == set
			},
			bytes:        func(pub crypto.PublicKey) []byte { return pub.(*MLKEMPublicKey).key },
			parsePrivate: set.parsePrivate,
			privateBytes: func(k crypto.PrivateKey) []byte {
				p, ok := k.(*MLKEMPrivateKey)
				switch {
				case !ok || p.set != set:
					return nil
				case p.seed == nil:
					return addExpanded(p.expanded)
				}
				return addSeed(p.seed)
			},
			generate: func(rand io.Reader) (crypto.PrivateKey, error) {
				seed := make([]byte, mlkemSeedSize)
				if _, err := io.ReadFull(rand, seed); err != nil {
					return nil, err
				}
				return set.fromSeed(seed)
			},
		})
	}
	return keys
}

func (s *mlkemSet) parse(key []byte) (*MLKEMPublicKey, error) {
	k := &MLKEMPublicKey{set: s, key: bytes.Clone(key)}
	var err error
	if s.public != nil {
		k.std, err = s.public(k.key)
	} else {
		k.own, err = s.circl.UnmarshalBinaryPublicKey(k.key)
	}
	if err != nil {
		return nil, fmt.Errorf("an %s key of %d octets: %w", s.label, len(key), ErrKey)
	}
	return k, nil
}

// parsePrivate reads ML-KEM-xxx-PrivateKey (RFC 9935 section 6).
func (s *mlkemSet) parsePrivate(octets []byte) (crypto.PrivateKey, error) {
	seed, expanded, ok := readSeedKey(octets, mlkemSeedSize, s.circl.PrivateKeySize())
	if !ok {
		return nil, fmt.Errorf("%s private key is malformed: %w", s.label, ErrPrivateKey)
	}
	if seed == nil {
		return s.fromExpanded(expanded)
	}
	if expanded != nil {
		_, k := s.circl.DeriveKeyPair(seed)
		want, err := k.MarshalBinary()
		if err != nil || subtle.ConstantTimeCompare(want, expanded) != 1 {
			return nil, fmt.Errorf("%s seed and expanded key are of two keys: %w", s.label, ErrPrivateKey)
		}
	}
	return s.fromSeed(seed)
}

func (s *mlkemSet) fromSeed(seed []byte) (crypto.PrivateKey, error) {
	k := &MLKEMPrivateKey{set: s, seed: bytes.Clone(seed)}
	var pub []byte
	var err error
	if s.private != nil {
		if k.std, err = s.private(k.seed); err == nil {
			pub = k.std.Encapsulator().Bytes()
		}
	} else {
		var p kem.PublicKey
		p, k.own = s.circl.DeriveKeyPair(k.seed)
		pub, err = p.MarshalBinary()
	}
	if err == nil {
		k.pub, err = s.parse(pub)
	}
	if err != nil {
		return nil, fmt.Errorf("%s seed: %w", s.label, ErrPrivateKey)
	}
	return k, nil
}

// fromExpanded makes the checks of FIPS 203 section 7.3 on a key that comes
// from elsewhere: the hash of its public key, and the public key itself; and
// that it opens what the public key closes.
func (s *mlkemSet) fromExpanded(expanded []byte) (crypto.PrivateKey, error) {
	fail := func(what string) (crypto.PrivateKey, error) {
		return nil, fmt.Errorf("%s expanded private key: %s: %w", s.label, what, ErrPrivateKey)
	}
	k := &MLKEMPrivateKey{set: s, expanded: bytes.Clone(expanded)}
	var err error
	if k.own, err = s.circl.UnmarshalBinaryPrivateKey(k.expanded); err != nil {
		return fail("its hash of the public key is wrong")
	}
	// It ends with the public key, its hash and z, of 32 octets each.
	n := len(expanded) - 64
	if k.pub, err = s.parse(expanded[n-s.circl.PublicKeySize() : n]); err != nil {
		return fail("its public key is out of range")
	}
	secret, ct, err := k.pub.encapsulate()
	if err != nil {
		return fail("its public key does not work")
	}
	if back, err := k.decapsulate(ct); err != nil || subtle.ConstantTimeCompare(secret, back) != 1 {
		return fail("it is not of its public key")
	}
	return k, nil
}
