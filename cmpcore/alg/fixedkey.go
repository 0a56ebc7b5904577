package alg

import (
	"crypto"
	"fmt"
	"io"
	"slices"

	"cmp-batch/cmpcore/pkix"
)

// fixedKey is a kind of key that its OID tells all about: no parameters, one
// size, and the octets of the key as they are in the BIT STRING.
type fixedKey struct {
	name  string
	oid   pkix.OID
	use   Use
	parse func(key []byte) (crypto.PublicKey, error)
	is    func(pub crypto.PublicKey) bool
	bytes func(pub crypto.PublicKey) []byte // of one that it is

	parsePrivate func(octets []byte) (crypto.PrivateKey, error)
	// privateBytes gives what parsePrivate reads, nil for another kind of key.
	privateBytes func(k crypto.PrivateKey) []byte
	generate     func(rand io.Reader) (crypto.PrivateKey, error)
}

// fixedKeys is the table of these kinds (RFC 8410, RFC 9881, RFC 9909, RFC
// 9935, draft-ietf-lamps-pq-composite-sigs), in the order in which people are
// shown them.
var fixedKeys = slices.Concat([]*fixedKey{ed448Key}, mldsaKeys(), slhdsaKeys(), compositeKeys(), []*fixedKey{x448Key}, mlkemKeys())

func (f *fixedKey) algorithm() pkix.AlgorithmIdentifier { return pkix.AlgorithmIdentifier{OID: f.oid} }

// row gives the kind as a row of the table of all public keys.
func (f *fixedKey) row() *keyAlgorithm {
	return &keyAlgorithm{
		oid: f.oid,
		parse: func(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
			if a.Parameters != nil {
				return nil, fmt.Errorf("a key of type %s must have no parameters: %w", f.name, ErrParameters)
			}
			return f.parse(key)
		},
		identify: func(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
			if !f.is(pub) {
				return pkix.AlgorithmIdentifier{}, nil, false
			}
			return f.algorithm(), f.bytes(pub), true
		},
		name: func(pub crypto.PublicKey) string {
			if f.is(pub) {
				return f.name
			}
			return ""
		},
		use: f.use,
	}
}

// messageKind is the family of signatures over the message itself, by a key of
// one kind with an algorithm of the same name.
func messageKind(f *fixedKey, verify func(pub crypto.PublicKey, message, sig []byte) bool) *signatureKind {
	return &signatureKind{
		parameters: noParameters,
		written:    func(*signature) []byte { return nil },
		fits:       func(_ scheme, pub crypto.PublicKey) bool { return f.is(pub) },
		verify:     func(_ scheme, pub crypto.PublicKey, message, sig []byte) bool { return verify(pub, message, sig) },
		sign: func(rand io.Reader, _ scheme, k crypto.Signer, message []byte) ([]byte, error) {
			return k.Sign(rand, message, crypto.Hash(0))
		},
	}
}
