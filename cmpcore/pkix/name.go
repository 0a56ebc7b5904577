package pkix

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Name is the DER of an X.501 Name: a SEQUENCE of RDNs. nil stands for no
// name; [EmptyName] is the NULL-DN. Names are mirrored and stored as received.
type Name []byte

// EmptyName is the NULL-DN, a Name without RDNs.
var EmptyName = Name{0x30, 0x00}

// Validity as CRMF has it: either bound may be the zero time, which is absent.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// AttributeTypeAndValue is one attribute of a Name (RFC 5280 section 4.1.2.4).
type AttributeTypeAndValue struct {
	Type  OID
	Value []byte // the whole element
	// Text is the value as UTF-8. It is empty where Value is no character
	// string, or not a valid one; IsText tells.
	Text   string
	IsText bool
}

// ReadName takes a Name off s and keeps its DER. It wants RDNs that are not
// empty and attributes of exactly a type and a value; the values may be of any
// type and in any order.
func ReadName(s *cryptobyte.String) (Name, bool) {
	var e cryptobyte.String
	if !s.ReadASN1Element(&e, asn1.SEQUENCE) {
		return nil, false
	}
	n := Name(e)
	return n, n.each(func(int, OID, cryptobyte.String) bool { return true })
}

// each calls f with the number of the RDN, the type and the value's element. It
// tells whether the name is well-formed and f always returned true.
func (n Name) each(f func(rdn int, typ OID, value cryptobyte.String) bool) bool {
	s := cryptobyte.String(n)
	var rdns cryptobyte.String
	if !s.ReadASN1(&rdns, asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	for i := 0; !rdns.Empty(); i++ {
		var rdn cryptobyte.String
		if !rdns.ReadASN1(&rdn, asn1.SET) || rdn.Empty() {
			return false
		}
		for !rdn.Empty() {
			var atv, oid, value cryptobyte.String
			var tag asn1.Tag
			if !rdn.ReadASN1(&atv, asn1.SEQUENCE) ||
				!atv.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) || !validOID(oid) ||
				!atv.ReadAnyASN1Element(&value, &tag) || !atv.Empty() ||
				!f(i, OID(oid), value) {
				return false
			}
		}
	}
	return true
}

// Add appends the Name. nil is an error of the builder.
func (n Name) Add(b *cryptobyte.Builder) {
	if n == nil {
		b.SetError(errors.New("name is missing"))
		return
	}
	b.AddBytes(n)
}

// IsEmpty tells whether the name is absent or has no RDNs.
func (n Name) IsEmpty() bool { return len(n) == 0 || bytes.Equal(n, EmptyName) }

// Equal compares byte for byte, so that string types, case and order count.
func (n Name) Equal(o Name) bool { return bytes.Equal(n, o) }

// Attributes gives the RDNs in the order of the DER; nil for a malformed name.
func (n Name) Attributes() [][]AttributeTypeAndValue {
	var rdns [][]AttributeTypeAndValue
	ok := n.each(func(i int, typ OID, value cryptobyte.String) bool {
		if i == len(rdns) {
			rdns = append(rdns, nil)
		}
		a := AttributeTypeAndValue{Type: typ, Value: value}
		a.Text, a.IsText = decodeString(value)
		rdns[i] = append(rdns[i], a)
		return true
	})
	if !ok {
		return nil
	}
	return rdns
}

// Get is the text of every attribute of a type, in the order of the DER.
func (n Name) Get(typ OID) []string {
	var texts []string
	n.each(func(_ int, t OID, value cryptobyte.String) bool {
		if t == typ {
			if text, ok := decodeString(value); ok {
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts
}

// Matches compares as RFC 5280 section 7.1 wants it: RDN by RDN, as sets, the
// values without regard to case, string type and the amount of white space.
// Two names that are absent or malformed match only if they are equal.
func (n Name) Matches(o Name) bool {
	if n.Equal(o) {
		return true
	}
	a, aok := n.canonical()
	b, bok := o.canonical()
	return aok && bok && slices.EqualFunc(a, b, slices.Equal)
}

// canonical gives a comparable form of every attribute, sorted in each RDN:
// sorting keeps the comparison of hostile RDNs with many attributes cheap.
func (n Name) canonical() ([][]string, bool) {
	var rdns [][]string
	ok := n.each(func(i int, typ OID, value cryptobyte.String) bool {
		if i == len(rdns) {
			rdns = append(rdns, nil)
		}
		form := "\x01" + string(value)
		if text, ok := decodeString(value); ok {
			form = "\x00" + foldText(text)
		}
		// The length octet keeps the type and the value apart.
		rdns[i] = append(rdns[i], string(rune(len(typ)))+string(typ)+form)
		return true
	})
	for _, rdn := range rdns {
		slices.Sort(rdn)
	}
	return rdns, ok
}

func foldText(text string) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(foldRune(r))
	}
	return b.String()
}

// foldRune picks the smallest of the runes that differ only in case.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}
