package issuance

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// The limits of a name from outside.
const (
	maxNameOctets     = 16 << 10
	maxNameAttributes = 64
)

const (
	tagNumericString = asn1.Tag(18)
	tagBMPString     = asn1.Tag(30)
)

// attribute is one AttributeTypeAndValue.
type attribute struct {
	typ  pkix.OID
	text string
}

type rdn struct {
	raw   []byte
	attrs []attribute
}

// parseName reads a Name strictly: DER order in RDNs, string types and lengths
// as RFC 5280 appendix A has them, no empty values, no control characters.
func parseName(n pkix.Name) ([]rdn, error) {
	if len(n) > maxNameOctets {
		return nil, fmt.Errorf("the name has %d octets, more than %d", len(n), maxNameOctets)
	}
	s := cryptobyte.String(n)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return nil, errors.New("the name is no SEQUENCE")
	}
	if seq.Empty() {
		return nil, nil
	}
	rdns := make([]rdn, 0, 8)
	attrs := make([]attribute, 0, 8) // of all RDNs
	left := maxNameAttributes
	for !seq.Empty() {
		var el, set cryptobyte.String
		if !seq.ReadASN1Element(&el, asn1.SET) {
			return nil, errors.New("a relative distinguished name is no SET")
		}
		r := rdn{raw: el}
		if !el.ReadASN1(&set, asn1.SET) || set.Empty() {
			return nil, errors.New("a relative distinguished name is empty")
		}
		first := len(attrs)
		var last []byte
		for !set.Empty() {
			if left--; left < 0 {
				return nil, fmt.Errorf("the name has more than %d attributes", maxNameAttributes)
			}
			var raw cryptobyte.String
			if !set.ReadASN1Element(&raw, asn1.SEQUENCE) {
				return nil, errors.New("an attribute of the name is no SEQUENCE")
			}
			if bytes.Compare(last, raw) >= 0 {
				return nil, errors.New("attributes of a relative distinguished name are not in DER order")
			}
			last = raw
			a, err := parseAttribute(raw)
			if err != nil {
				return nil, err
			}
			attrs = append(attrs, a)
		}
		r.attrs = attrs[first:len(attrs):len(attrs)]
		rdns = append(rdns, r)
	}
	return rdns, nil
}

func parseAttribute(raw cryptobyte.String) (a attribute, err error) {
	var seq, value, el cryptobyte.String
	var tag asn1.Tag
	var ok bool
	if !raw.ReadASN1(&seq, asn1.SEQUENCE) {
		return a, errors.New("an attribute of the name is malformed")
	}
	if a.typ, ok = pkix.ReadOID(&seq); !ok {
		return a, errors.New("an attribute of the name has no type")
	}
	if !smallArcs(a.typ) {
		return a, errors.New("an attribute of the name has a type with a number of more than 31 bits")
	}
	if !seq.ReadAnyASN1Element(&el, &tag) || !seq.Empty() {
		return a, fmt.Errorf("attribute %s of the name is malformed", attributeName(a.typ))
	}
	if !el.ReadAnyASN1(&value, &tag) {
		return a, fmt.Errorf("attribute %s of the name is malformed", attributeName(a.typ))
	}
	text, err := stringText(tag, value)
	if err != nil {
		return a, fmt.Errorf("attribute %s of the name: %w", attributeName(a.typ), err)
	}
	if text == "" {
		return a, fmt.Errorf("attribute %s of the name is empty", attributeName(a.typ))
	}
	if want := stringTypeOf(a.typ); want != 0 && tag != want {
		return a, fmt.Errorf("attribute %s of the name has string type %d, RFC 5280 wants %d", attributeName(a.typ), tag, want)
	}
	if most := upperBounds[a.typ]; most > 0 && utf8.RuneCountInString(text) > most {
		return a, fmt.Errorf("attribute %s of the name is longer than %d characters", attributeName(a.typ), most)
	}
	a.text = text
	return a, nil
}

// smallArcs tells whether each number of an object identifier has 31 bits at
// most: common verifiers, Go's among them, cannot read others.
func smallArcs(o pkix.OID) bool {
	var v uint64
	for i := range len(o) {
		if v = v<<7 | uint64(o[i]&0x7f); v > math.MaxInt32 {
			return false
		}
		if o[i]&0x80 == 0 {
			v = 0
		}
	}
	return true
}

// stringTypeOf gives the one string type an attribute may have, or 0.
func stringTypeOf(o pkix.OID) asn1.Tag {
	switch o {
	case pkix.OIDCountry, pkix.OIDSerialNumber, pkix.OIDDNQualifier:
		return asn1.PrintableString
	case pkix.OIDDomainComponent, pkix.OIDEmailAddress:
		return asn1.IA5String
	}
	return 0
}

// stringText decodes a string type. Other types, and the strings that common
// verifiers cannot read, are refused: Go's does not take the whole certificate
// then.
func stringText(tag asn1.Tag, v []byte) (text string, err error) {
	switch tag {
	case asn1.UTF8String:
		if !utf8.Valid(v) {
			return "", errors.New("UTF8String is not UTF-8")
		}
		text = string(v)
	case asn1.PrintableString:
		for _, c := range v {
			if !printable(c) {
				return "", fmt.Errorf("PrintableString has the octet %#02x", c)
			}
		}
		text = string(v)
	case asn1.IA5String:
		for _, c := range v {
			if c >= 0x80 {
				return "", fmt.Errorf("IA5String has the octet %#02x", c)
			}
		}
		text = string(v)
	case tagNumericString:
		for _, c := range v {
			if c != ' ' && (c < '0' || c > '9') {
				return "", fmt.Errorf("NumericString has the octet %#02x", c)
			}
		}
		text = string(v)
	case asn1.T61String:
		// T.61 in theory, Latin-1 in practice.
		r := make([]rune, len(v))
		for i, c := range v {
			r[i] = rune(c)
		}
		text = string(r)
	case tagBMPString:
		if len(v)%2 != 0 {
			return "", errors.New("BMPString has an odd number of octets")
		}
		u := make([]rune, 0, len(v)/2)
		for i := 0; i < len(v); i += 2 {
			c := rune(v[i])<<8 | rune(v[i+1])
			if utf16.IsSurrogate(c) {
				return "", errors.New("BMPString has a surrogate")
			}
			u = append(u, c)
		}
		text = string(u)
	default:
		return "", fmt.Errorf("values of type %d are not supported, use UTF8String", tag)
	}
	if hasControl(text) {
		return "", errors.New("it has a control character")
	}
	return text, nil
}

func hasControl(text string) bool { return strings.IndexFunc(text, unicode.IsControl) >= 0 }

func printable(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(" '()+,-./:=?", c) >= 0
}

func attributeName(o pkix.OID) string { return clip(pkix.AttributeTypeName(o)) }

func joinRDNs(rdns []rdn) pkix.Name {
	n := 0
	for _, r := range rdns {
		n += len(r.raw)
	}
	out := appendHeader(make([]byte, 0, n+4), asn1.SEQUENCE, n)
	for _, r := range rdns {
		out = append(out, r.raw...)
	}
	return out
}

// sameName compares as RFC 5280 section 7.1 does: RDN by RDN, as sets, without
// regard to string type, case and amount of white space. It begins at the end,
// where names differ first, and allocates only for odd spacing.
func sameName(a, b []rdn) bool {
	if len(a) != len(b) {
		return false
	}
	for i := len(a) - 1; i >= 0; i-- {
		if len(a[i].attrs) != len(b[i].attrs) {
			return false
		}
		for _, x := range a[i].attrs {
			if !slices.ContainsFunc(b[i].attrs, func(y attribute) bool { return x.typ == y.typ && sameText(x.text, y.text) }) {
				return false
			}
		}
	}
	return true
}

func sameText(a, b string) bool {
	return strings.EqualFold(a, b) || (oddlySpaced(a) || oddlySpaced(b)) &&
		strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

func oddlySpaced(s string) bool {
	return s != "" && (s[0] == ' ' || s[len(s)-1] == ' ' || strings.Contains(s, "  ") || strings.IndexFunc(s, func(r rune) bool {
		return r != ' ' && unicode.IsSpace(r)
	}) >= 0)
}
