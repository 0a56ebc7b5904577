package cms

import (
	"bytes"
	"crypto"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// OneAsymmetricKey is a private key as RFC 5958 section 2 has it. A
// PrivateKeyInfo is its first version.
type OneAsymmetricKey struct {
	Algorithm  pkix.AlgorithmIdentifier
	PrivateKey []byte // contents of the OCTET STRING
	Attributes []byte // the element under the tag SET; nil where absent
	PublicKey  []byte // bits of the BIT STRING; nil in the first version
}

// NewOneAsymmetricKey gives a private key of package alg with its public key, as
// RFC 9483 section 4.1.6 wants it.
func NewOneAsymmetricKey(private crypto.PrivateKey) (*OneAsymmetricKey, error) {
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, fmt.Errorf("private key of type %T: %w", private, alg.ErrUnsupported)
	}
	spki, err := marshalPublic(p.Public())
	if err != nil {
		return nil, err
	}
	pkcs8, err := alg.MarshalPrivateKey(private)
	if err != nil {
		return nil, err
	}
	k, err := ParseOneAsymmetricKey(pkcs8)
	if err != nil {
		return nil, err
	}
	k.PublicKey = spki.KeyBits()
	return k, nil
}

func marshalPublic(pub crypto.PublicKey) (pkix.SubjectPublicKeyInfo, error) {
	spki, err := alg.MarshalPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return spki, nil
}

// ParseOneAsymmetricKey reads a OneAsymmetricKey or PrivateKeyInfo that is all
// of b. The key in it is not looked at. The result refers to b.
func ParseOneAsymmetricKey(b []byte) (*OneAsymmetricKey, error) {
	seq, err := open("privateKeyInfo", b)
	if err != nil {
		return nil, err
	}
	return readKey(seq)
}

func readKey(seq cryptobyte.String) (*OneAsymmetricKey, error) {
	const where = "privateKeyInfo"
	version, ok := pkix.ReadInt(&seq, asn1.INTEGER)
	if !ok || version != 0 && version != 1 {
		return nil, malformed(where + ": version")
	}
	k := &OneAsymmetricKey{}
	var private cryptobyte.String
	if k.Algorithm, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&private, asn1.OCTET_STRING) {
		return nil, malformed(where)
	}
	k.PrivateKey = private
	if seq.PeekASN1Tag(cons(0)) {
		peek := seq
		if _, err := readSet(&seq, cons(0), where+": attributes", MaxAttributes); err != nil {
			return nil, err
		}
		k.Attributes, _ = pkix.ReadRetagged(&peek, cons(0), asn1.SET)
	}
	if seq.PeekASN1Tag(prim(1)) {
		// The first version has no public key.
		if k.PublicKey, ok = pkix.ReadBits(&seq, prim(1)); !ok || version == 0 {
			return nil, malformed(where + ": publicKey")
		}
	}
	return k, end(where, seq)
}

// Parse gives the key, which must be that of PublicKey where it is there. The
// error wraps [ErrPrivateKey], and alg.ErrUnsupported for an unknown kind of
// key.
func (k *OneAsymmetricKey) Parse() (crypto.PrivateKey, error) {
	der, err := k.PKCS8()
	if err != nil {
		return nil, err
	}
	defer clear(der)
	private, err := alg.ParsePrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPrivateKey, err)
	}
	if k.PublicKey == nil {
		return private, nil
	}
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, fmt.Errorf("private key of type %T: %w", private, alg.ErrUnsupported)
	}
	spki, err := marshalPublic(p.Public())
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(spki.KeyBits(), k.PublicKey) {
		return nil, at("another key than its public key", ErrPrivateKey)
	}
	return private, nil
}

// PKCS8 gives the key as a PrivateKeyInfo, the form that files have. The caller
// clears it.
func (k *OneAsymmetricKey) PKCS8() ([]byte, error) {
	var b cryptobyte.Builder
	(&OneAsymmetricKey{Algorithm: k.Algorithm, PrivateKey: k.PrivateKey}).add(&b)
	return b.Bytes()
}

// Clear overwrites the private key.
func (k *OneAsymmetricKey) Clear() { clear(k.PrivateKey) }

func (k *OneAsymmetricKey) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		version := int64(0)
		if k.PublicKey != nil {
			version = 1
		}
		b.AddASN1Int64(version)
		k.Algorithm.Add(b)
		b.AddASN1OctetString(k.PrivateKey)
		if k.Attributes != nil {
			pkix.AddRetagged(b, cons(0), k.Attributes)
		}
		if k.PublicKey != nil {
			pkix.AddBits(b, prim(1), k.PublicKey)
		}
	})
}

// MarshalKeyPackage makes an AsymmetricKeyPackage, the content of type
// OIDKeyPackage. The caller clears it.
func MarshalKeyPackage(keys ...*OneAsymmetricKey) ([]byte, error) {
	if len(keys) == 0 || len(keys) > MaxPrivateKeys {
		return nil, fmt.Errorf("key package with %d keys, not 1 to %d", len(keys), MaxPrivateKeys)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, k := range keys {
			k.add(b)
		}
	})
	return b.Bytes()
}

// ParseKeyPackage reads an AsymmetricKeyPackage that is all of b: 1 to
// [MaxPrivateKeys] keys. The result refers to b.
func ParseKeyPackage(b []byte) ([]*OneAsymmetricKey, error) {
	const where = "asymmetricKeyPackage"
	seq, err := open(where, b)
	if err != nil {
		return nil, err
	}
	var keys []*OneAsymmetricKey
	for !seq.Empty() {
		if len(keys) == MaxPrivateKeys {
			return nil, at(where, ErrTooLarge)
		}
		var e cryptobyte.String
		if !seq.ReadASN1(&e, asn1.SEQUENCE) {
			return nil, malformed(where)
		}
		k, err := readKey(e)
		if err != nil {
			return nil, at(where, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, malformed(where)
	}
	return keys, nil
}
