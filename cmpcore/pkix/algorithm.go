package pkix

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// AlgorithmIdentifier of RFC 5280 section 4.1.1.2.
type AlgorithmIdentifier struct {
	OID OID
	// Parameters is the whole element that follows the identifier, nil where
	// there is none. Absent and NULL differ, and which one is right depends on
	// the algorithm.
	Parameters []byte
}

// Null is the DER of NULL, the parameters of many older algorithms.
var Null = []byte{5, 0}

// IsZero tells whether the identifier is missing.
func (a AlgorithmIdentifier) IsZero() bool { return a.OID == "" }

// Equal compares identifier and parameters byte for byte.
func (a AlgorithmIdentifier) Equal(o AlgorithmIdentifier) bool {
	return a.OID == o.OID && string(a.Parameters) == string(o.Parameters) &&
		(a.Parameters == nil) == (o.Parameters == nil)
}

// ReadAlgorithm takes an AlgorithmIdentifier off s.
func ReadAlgorithm(s *cryptobyte.String) (AlgorithmIdentifier, bool) {
	return ReadTaggedAlgorithm(s, asn1.SEQUENCE)
}

// ReadTaggedAlgorithm is [ReadAlgorithm] for an implicitly tagged one.
func ReadTaggedAlgorithm(s *cryptobyte.String, tag asn1.Tag) (a AlgorithmIdentifier, ok bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) {
		return a, false
	}
	if a.OID, ok = ReadOID(&seq); !ok {
		return AlgorithmIdentifier{}, false
	}
	if !seq.Empty() {
		var p cryptobyte.String
		var tag asn1.Tag
		if !seq.ReadAnyASN1Element(&p, &tag) || !seq.Empty() {
			return AlgorithmIdentifier{}, false
		}
		a.Parameters = p
	}
	return a, true
}

// Add appends the AlgorithmIdentifier. A missing identifier is an error of the
// builder.
func (a AlgorithmIdentifier) Add(b *cryptobyte.Builder) { a.AddTagged(b, asn1.SEQUENCE) }

// AddTagged is Add under an implicit tag.
func (a AlgorithmIdentifier) AddTagged(b *cryptobyte.Builder, tag asn1.Tag) {
	if a.IsZero() {
		b.SetError(errors.New("algorithm identifier is missing"))
		return
	}
	addHeader(b, tag, headerSize(len(a.OID))+len(a.OID)+len(a.Parameters))
	a.OID.Add(b)
	b.AddBytes(a.Parameters)
}

// Bytes gives the DER; nil for a malformed one, which no Read function returns.
func (a AlgorithmIdentifier) Bytes() []byte {
	var b cryptobyte.Builder
	a.Add(&b)
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	return der
}
