package alg

import (
	"crypto"
	"crypto/x509"
	"fmt"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ParsePrivateKey reads a PrivateKeyInfo or OneAsymmetricKey (RFC 5958), for
// every kind of key that [MarshalPublicKey] writes. ML-DSA and ML-KEM keys may
// have their seed, the expanded key or both, which are then compared. What
// signs is a crypto.Signer, X25519 an *ecdh.PrivateKey, X448 an
// *[X448PrivateKey], ML-KEM an *[MLKEMPrivateKey]. Errors of the kinds that the
// standard library does not know wrap [ErrPrivateKey] or [ErrParameters].
func ParsePrivateKey(der []byte) (crypto.PrivateKey, error) {
	f, octets, err := fixedPrivateKey(der)
	switch {
	case err != nil:
		return nil, err
	case f == nil:
		return x509.ParsePKCS8PrivateKey(der)
	}
	return f.parsePrivate(octets)
}

// fixedPrivateKey finds the kind of key and its octets, nil for a kind that is
// left to the standard library.
func fixedPrivateKey(der []byte) (*fixedKey, []byte, error) {
	malformed := fmt.Errorf("PrivateKeyInfo: %w", ErrPrivateKey)
	in := cryptobyte.String(der)
	var seq, octets cryptobyte.String
	var version int
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) {
		return nil, nil, malformed
	}
	a, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return nil, nil, malformed
	}
	f := fixedByOID[a.OID]
	if f == nil {
		return nil, nil, nil
	}
	if a.Parameters != nil {
		return nil, nil, fmt.Errorf("a private key of type %s must have no parameters: %w", f.name, ErrParameters)
	}
	// Attributes, and in version 2 the public key, which the private one has.
	if version < 0 || version > 1 || !seq.ReadASN1(&octets, asn1.OCTET_STRING) ||
		!seq.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) ||
		!seq.SkipOptionalASN1(asn1.Tag(1).ContextSpecific()) || !seq.Empty() {
		return nil, nil, malformed
	}
	return f, octets, nil
}

// MarshalPrivateKey writes a PrivateKeyInfo for a key of [GenerateKey],
// [GenerateEncryptionKey] or [ParsePrivateKey]: with its seed alone where it
// has one (RFC 9881 section 6, RFC 9935 section 6). The caller clears it.
func MarshalPrivateKey(k crypto.PrivateKey) ([]byte, error) {
	for _, f := range fixedKeys {
		if octets := f.privateBytes(k); octets != nil {
			defer clear(octets)
			var b cryptobyte.Builder
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				f.algorithm().Add(b)
				b.AddASN1OctetString(octets)
			})
			return b.Bytes()
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("private key of type %T: %w", k, ErrUnsupported)
	}
	return der, nil
}
