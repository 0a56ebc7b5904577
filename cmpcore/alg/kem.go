package alg

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha3"
	"fmt"
	"io"
	"math/big"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
)

// oidRSAKEM is id-kem-rsa (RFC 9690 section 2.2).
var oidRSAKEM = pkix.MustOID("1.0.18033.2.2.4")

// rsaKEMSecret is the length of the secret that RSA-KEM is made to give.
const rsaKEMSecret = 32

// maxRSAKEMSecret bounds keyLength of RsaKemParameters in octets.
const maxRSAKEMSecret = 64

// IsKEM tells whether the identifier is that of a KEM that [Decapsulate] knows,
// whatever its parameters.
func IsKEM(a pkix.AlgorithmIdentifier) bool {
	f := fixedByOID[a.OID]
	return a.OID == oidRSAKEM || f != nil && f.use == UseEncapsulate
}

// Encapsulate makes a secret and its ciphertext, which the owner of the key
// opens: by ML-KEM (FIPS 203), or by RSA-KEM with KDF3 and SHA-256 (RFC 9690).
// kem is the algorithm for KemCiphertextInfo or KEMRecipientInfo. The secret
// serves one transaction (RFC 9810 section 5.1.3.4). The randomness of ML-KEM is
// the system's. Errors wrap [ErrMismatch] for a key that is none of a KEM.
func Encapsulate(rand io.Reader, pub crypto.PublicKey) (kem pkix.AlgorithmIdentifier, ciphertext, secret []byte, err error) {
	switch k := pub.(type) {
	case *MLKEMPublicKey:
		secret, ciphertext, err = k.encapsulate()
		return pkix.AlgorithmIdentifier{OID: k.set.oid}, ciphertext, secret, err
	case *rsa.PublicKey, *RSAKEMPublicKey:
		return EncapsulateRSA(rand, k, KDF3Algorithm(), rsaKEMSecret)
	}
	return kem, nil, nil, fmt.Errorf("encapsulation to a key of type %q: %w", KeyType(pub), ErrMismatch)
}

// EncapsulateFrom is [Encapsulate] with a seed for all randomness: the same seed
// and key give the same ciphertext and secret, so that whoever can make the seed
// again need not keep them. The seed must be as good as random, secret, and for
// one transaction.
func EncapsulateFrom(seed [32]byte, pub crypto.PublicKey) (kem pkix.AlgorithmIdentifier, ciphertext, secret []byte, err error) {
	k, ok := pub.(*MLKEMPublicKey)
	if !ok {
		rand := sha3.NewSHAKE256()
		rand.Write(seed[:])
		return Encapsulate(rand, pub)
	}
	own := k.own
	if own == nil {
		if own, err = k.set.circl.UnmarshalBinaryPublicKey(k.key); err != nil {
			return kem, nil, nil, fmt.Errorf("an %s key: %w", k.set.label, ErrKey)
		}
	}
	ciphertext, secret, err = k.set.circl.EncapsulateDeterministically(own, seed[:])
	return pkix.AlgorithmIdentifier{OID: k.set.oid}, ciphertext, secret, err
}

// Decapsulate opens a ciphertext of [Encapsulate]. A ciphertext of another key
// gives another secret, not an error; one of a wrong length is an error that
// wraps [ErrParameters].
func Decapsulate(rand io.Reader, k crypto.PrivateKey, kem pkix.AlgorithmIdentifier, ciphertext []byte) ([]byte, error) {
	switch k := k.(type) {
	case *MLKEMPrivateKey:
		switch {
		case kem.OID != k.set.oid:
			return nil, fmt.Errorf("KEM %s for a key of type %s: %w", short(kem.OID), k.set.name, ErrMismatch)
		case kem.Parameters != nil:
			return nil, fmt.Errorf("%s must have no parameters: %w", k.set.name, ErrParameters)
		}
		secret, err := k.decapsulate(ciphertext)
		if err != nil {
			return nil, fmt.Errorf("%s ciphertext of %d octets: %w", k.set.name, len(ciphertext), ErrParameters)
		}
		return secret, nil
	case *rsa.PrivateKey:
		if kem.OID != oidRSAKEM {
			return nil, fmt.Errorf("KEM %s for an RSA key: %w", short(kem.OID), ErrMismatch)
		}
		if new(big.Int).SetBytes(ciphertext).Cmp(k.N) >= 0 || len(ciphertext) != k.Size() {
			return nil, fmt.Errorf("RSA-KEM ciphertext of %d octets: %w", len(ciphertext), ErrParameters)
		}
		z, err := rsaPrivate(rand, k, ciphertext)
		if err != nil {
			return nil, err
		}
		defer clear(z)
		return rsaKEMDerive(kem, z)
	}
	return nil, fmt.Errorf("decapsulation by a %T: %w", k, ErrMismatch)
}

// encapsulateRSA is RFC 9690 section 1.1: a random number below the modulus,
// raised to the exponent.
func encapsulateRSA(rand io.Reader, k *rsa.PublicKey, kem pkix.AlgorithmIdentifier) (ciphertext, secret []byte, err error) {
	b := make([]byte, k.Size()+8) // a bias of 2^-64
	if _, err := io.ReadFull(rand, b); err != nil {
		return nil, nil, fmt.Errorf("RSA-KEM: %w", err)
	}
	n := new(big.Int).SetBytes(b)
	z := n.Mod(n, k.N).FillBytes(make([]byte, k.Size()))
	defer clear(z)
	ciphertext, _ = rsaPublic(k, z)
	secret, err = rsaKEMDerive(kem, z)
	return ciphertext, secret, err
}

// readParameterHash reads the parameters of a function that are a hash.
func readParameterHash(what string, der []byte) (*digest, error) {
	p := cryptobyte.String(der)
	a, ok := pkix.ReadAlgorithm(&p)
	if !ok || !p.Empty() {
		return nil, fmt.Errorf("%s names no hash: %w", what, ErrParameters)
	}
	d, err := readDigest(a)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if d.weak {
		return nil, fmt.Errorf("%s with %s: %w", what, d.name, ErrForbidden)
	}
	return d, nil
}
