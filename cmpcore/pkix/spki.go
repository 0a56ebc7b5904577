package pkix

import (
	"bytes"
	"crypto/sha1"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SubjectPublicKeyInfo is the whole DER of RFC 5280 section 4.1.2.7. nil is
// absent.
type SubjectPublicKeyInfo []byte

// ReadSubjectPublicKeyInfo takes a SubjectPublicKeyInfo off s. The key itself
// may be empty: a request for a key made by the CA names only the algorithm.
func ReadSubjectPublicKeyInfo(s *cryptobyte.String) (SubjectPublicKeyInfo, bool) {
	var e cryptobyte.String
	if !s.ReadASN1Element(&e, asn1.SEQUENCE) {
		return nil, false
	}
	k := SubjectPublicKeyInfo(e)
	_, _, ok := k.parts()
	return k, ok
}

// ReadTaggedSubjectPublicKeyInfo is [ReadSubjectPublicKeyInfo] for an
// implicitly tagged one. The result has the SEQUENCE tag.
func ReadTaggedSubjectPublicKeyInfo(s *cryptobyte.String, tag asn1.Tag) (SubjectPublicKeyInfo, bool) {
	e, ok := ReadRetagged(s, tag, asn1.SEQUENCE)
	if !ok {
		return nil, false
	}
	k := SubjectPublicKeyInfo(e)
	_, _, ok = k.parts()
	return k, ok
}

// Add appends the SubjectPublicKeyInfo.
func (k SubjectPublicKeyInfo) Add(b *cryptobyte.Builder) { k.AddTagged(b, asn1.SEQUENCE) }

// AddTagged is Add under an implicit tag.
func (k SubjectPublicKeyInfo) AddTagged(b *cryptobyte.Builder, tag asn1.Tag) {
	AddRetagged(b, tag, k)
}

// NewSubjectPublicKeyInfo makes one of its parts.
func NewSubjectPublicKeyInfo(alg AlgorithmIdentifier, keyBits []byte) (SubjectPublicKeyInfo, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		alg.Add(b)
		AddBits(b, asn1.BIT_STRING, keyBits)
	})
	return b.Bytes()
}

// Equal compares byte for byte.
func (k SubjectPublicKeyInfo) Equal(o SubjectPublicKeyInfo) bool { return bytes.Equal(k, o) }

// Algorithm is the algorithm the key is for.
func (k SubjectPublicKeyInfo) Algorithm() AlgorithmIdentifier {
	a, _, _ := k.parts()
	return a
}

// KeyBits is the contents of the BIT STRING without the unused-bits octet.
func (k SubjectPublicKeyInfo) KeyBits() []byte {
	_, bits, _ := k.parts()
	return bits
}

// KeyID is the key identifier of RFC 5280 section 4.2.1.2 (1): the SHA-1 of
// KeyBits. It is a name, not a protection.
func (k SubjectPublicKeyInfo) KeyID() []byte {
	id := sha1.Sum(k.KeyBits())
	return id[:]
}

func (k SubjectPublicKeyInfo) parts() (a AlgorithmIdentifier, bits []byte, ok bool) {
	s := cryptobyte.String(k)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return a, nil, false
	}
	if a, ok = ReadAlgorithm(&seq); !ok {
		return a, nil, false
	}
	if bits, ok = ReadBits(&seq, asn1.BIT_STRING); !ok || !seq.Empty() {
		return AlgorithmIdentifier{}, nil, false
	}
	return a, bits, true
}
