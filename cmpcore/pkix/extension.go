package pkix

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Extension of RFC 5280 section 4.1.
type Extension struct {
	ID       OID
	Critical bool
	Value    []byte // contents of extnValue: the DER of the extension's type
}

// MaxExtensions is how many extensions one list may have.
const MaxExtensions = 100

// ReadExtension takes an Extension off s. A critical that is FALSE must be
// absent, as it is the default (X.690 section 11.5).
func ReadExtension(s *cryptobyte.String) (e Extension, ok bool) {
	var seq, value cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return e, false
	}
	if e.ID, ok = ReadOID(&seq); !ok {
		return e, false
	}
	if seq.PeekASN1Tag(asn1.BOOLEAN) && (!seq.ReadASN1Boolean(&e.Critical) || !e.Critical) {
		return e, false
	}
	if !seq.ReadASN1(&value, asn1.OCTET_STRING) || !seq.Empty() {
		return e, false
	}
	e.Value = value
	return e, true
}

// Add appends the Extension.
func (e Extension) Add(b *cryptobyte.Builder) {
	addHeader(b, asn1.SEQUENCE, e.size())
	e.ID.Add(b)
	if e.Critical {
		b.AddASN1Boolean(true)
	}
	AddElement(b, asn1.OCTET_STRING, e.Value)
}

func (e Extension) size() int {
	n := headerSize(len(e.ID)) + len(e.ID) + headerSize(len(e.Value)) + len(e.Value)
	if e.Critical {
		n += 3
	}
	return n
}

// ReadExtensions takes an Extensions off s: one to [MaxExtensions] of them, no
// type twice (RFC 5280 section 4.2).
func ReadExtensions(s *cryptobyte.String) ([]Extension, bool) {
	return ReadTaggedExtensions(s, asn1.SEQUENCE)
}

// ReadTaggedExtensions is [ReadExtensions] for an implicitly tagged one.
func ReadTaggedExtensions(s *cryptobyte.String, tag asn1.Tag) ([]Extension, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) || seq.Empty() {
		return nil, false
	}
	var list []Extension
	for !seq.Empty() {
		e, ok := ReadExtension(&seq)
		if !ok || len(list) == MaxExtensions {
			return nil, false
		}
		if _, twice := FindExtension(list, e.ID); twice {
			return nil, false
		}
		list = append(list, e)
	}
	return list, true
}

// AddExtensions appends an Extensions under the tag: SEQUENCE or an implicit
// one.
func AddExtensions(b *cryptobyte.Builder, tag asn1.Tag, list []Extension) {
	n := 0
	for _, e := range list {
		size := e.size()
		n += headerSize(size) + size
	}
	addHeader(b, tag, n)
	for _, e := range list {
		e.Add(b)
	}
}

// FindExtension looks for the extension of a type.
func FindExtension(list []Extension, id OID) (Extension, bool) {
	for _, e := range list {
		if e.ID == id {
			return e, true
		}
	}
	return Extension{}, false
}
