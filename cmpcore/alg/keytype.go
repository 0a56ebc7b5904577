package alg

import (
	"crypto"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"
)

// KeyTypeAlgorithm gives the AlgorithmIdentifier that the keys of a type carry,
// as signKeyPairTypes and encKeyPairTypes list them (RFC 9810 sections 5.3.19.2
// and 5.3.19.3). ok is false for a type that is neither in [KeyTypes] nor in
// [EncryptionKeyTypes].
func KeyTypeAlgorithm(keyType string) (a pkix.AlgorithmIdentifier, ok bool) {
	for _, g := range generators {
		if g.keyType == keyType {
			return g.a, true
		}
	}
	return a, false
}

// GenerateAnyKey makes a key pair of a type that is in [KeyTypes] or in
// [EncryptionKeyTypes].
func GenerateAnyKey(rand io.Reader, keyType string) (crypto.PrivateKey, error) {
	for _, g := range generators {
		if g.keyType == keyType {
			return g.generate(rand)
		}
	}
	return nil, fmt.Errorf("key type %.40q: %w", keyType, ErrUnsupported)
}

// KeyTypeUses tells what the keys of a type can do; 0 for a type that is
// neither in [KeyTypes] nor in [EncryptionKeyTypes].
func KeyTypeUses(keyType string) Use {
	a, ok := KeyTypeAlgorithm(keyType)
	if !ok {
		return 0
	}
	return keyByOID[a.OID].use
}
