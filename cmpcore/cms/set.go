package cms

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// readSet takes a SET OF off s under the tag and gives its elements, at most
// most of them. Their order is not checked: RFC 9483 wants certificates in one
// that DER does not.
func readSet(s *cryptobyte.String, tag asn1.Tag, where string, most int) ([][]byte, error) {
	var set cryptobyte.String
	if !s.ReadASN1(&set, tag) {
		return nil, malformed(where)
	}
	var list [][]byte
	for !set.Empty() {
		if len(list) == most {
			return nil, fmt.Errorf("%s: more than %d elements: %w", where, most, ErrTooLarge)
		}
		var e cryptobyte.String
		var t asn1.Tag
		if !set.ReadAnyASN1Element(&e, &t) {
			return nil, malformed(where)
		}
		list = append(list, e)
	}
	return list, nil
}

// addSet appends a SET OF in the order of DER (X.690 section 11.6).
func addSet(b *cryptobyte.Builder, tag asn1.Tag, elements [][]byte) {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, bytes.Compare)
	pkix.AddElement(b, tag, bytes.Join(sorted, nil))
}

// attribute of RFC 5652 section 5.3.
type attribute struct {
	typ    pkix.OID
	values [][]byte // at least one
}

// readAttributes takes a SET OF Attribute off s: at least one, no type twice,
// in the order of DER where it is signed or authenticated. raw is the element
// under the tag SET, which is what signatures and MACs cover.
func readAttributes(s *cryptobyte.String, tag asn1.Tag, where string, ordered bool) (list []attribute, raw []byte, err error) {
	peek := *s
	elements, err := readSet(s, tag, where, MaxAttributes)
	if err != nil {
		return nil, nil, err
	}
	raw, ok := pkix.ReadRetagged(&peek, tag, asn1.SET)
	if !ok || len(elements) == 0 {
		return nil, nil, malformed(where)
	}
	if ordered && !slices.IsSortedFunc(elements, bytes.Compare) {
		return nil, nil, at(where+": not in the order of DER", ErrMalformed)
	}
	for _, e := range elements {
		in := cryptobyte.String(e)
		var seq cryptobyte.String
		var a attribute
		if !in.ReadASN1(&seq, asn1.SEQUENCE) {
			return nil, nil, malformed(where)
		}
		if a.typ, ok = pkix.ReadOID(&seq); !ok {
			return nil, nil, malformed(where)
		}
		if a.values, err = readSet(&seq, asn1.SET, where, MaxAttributes); err != nil {
			return nil, nil, err
		}
		if !seq.Empty() || len(a.values) == 0 || slices.ContainsFunc(list, func(o attribute) bool { return o.typ == a.typ }) {
			return nil, nil, malformed(where)
		}
		list = append(list, a)
	}
	return list, raw, nil
}

// single gives the value of an attribute that must have exactly one.
func single(list []attribute, typ pkix.OID) (value cryptobyte.String, present, ok bool) {
	for _, a := range list {
		if a.typ == typ {
			return a.values[0], true, len(a.values) == 1
		}
	}
	return nil, false, false
}

// contentTypeIs tells whether the attributes have the contentType that they
// must.
func contentTypeIs(list []attribute, want pkix.OID) bool {
	v, _, ok := single(list, oidContentType)
	if !ok {
		return false
	}
	o, ok := pkix.ReadOID(&v)
	return ok && v.Empty() && o == want
}

func marshalAttribute(typ pkix.OID, value func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		typ.Add(b)
		b.AddASN1(asn1.SET, value)
	})
	return b.BytesOrPanic()
}
