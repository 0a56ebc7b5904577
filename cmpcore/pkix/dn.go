package pkix

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Attribute types of names.
var (
	OIDCommonName         = MustOID("2.5.4.3")
	OIDSurname            = MustOID("2.5.4.4")
	OIDSerialNumber       = MustOID("2.5.4.5")
	OIDCountry            = MustOID("2.5.4.6")
	OIDLocality           = MustOID("2.5.4.7")
	OIDState              = MustOID("2.5.4.8")
	OIDStreet             = MustOID("2.5.4.9")
	OIDOrganization       = MustOID("2.5.4.10")
	OIDOrganizationalUnit = MustOID("2.5.4.11")
	OIDTitle              = MustOID("2.5.4.12")
	OIDGivenName          = MustOID("2.5.4.42")
	OIDDNQualifier        = MustOID("2.5.4.46")
	OIDUserID             = MustOID("0.9.2342.19200300.100.1.1")
	OIDDomainComponent    = MustOID("0.9.2342.19200300.100.1.25")
	OIDEmailAddress       = MustOID("1.2.840.113549.1.9.1")
)

// shortNames are the names of attribute types as RFC 4514 and OpenSSL write
// them. The first name of a type is the one that is written.
var shortNames = []struct {
	name string
	oid  OID
}{
	{"CN", OIDCommonName},
	{"O", OIDOrganization},
	{"OU", OIDOrganizationalUnit},
	{"C", OIDCountry},
	{"ST", OIDState},
	{"L", OIDLocality},
	{"STREET", OIDStreet},
	{"DC", OIDDomainComponent},
	{"UID", OIDUserID},
	{"serialNumber", OIDSerialNumber},
	{"emailAddress", OIDEmailAddress},
	{"title", OIDTitle},
	{"SN", OIDSurname},
	{"GN", OIDGivenName},
	{"initials", MustOID("2.5.4.43")},
	{"generationQualifier", MustOID("2.5.4.44")},
	{"dnQualifier", OIDDNQualifier},
	{"pseudonym", MustOID("2.5.4.65")},
	{"name", MustOID("2.5.4.41")},
	{"description", MustOID("2.5.4.13")},
	{"businessCategory", MustOID("2.5.4.15")},
	{"postalCode", MustOID("2.5.4.17")},
	{"organizationIdentifier", MustOID("2.5.4.97")},
	{"unstructuredName", MustOID("1.2.840.113549.1.9.2")},
	{"unstructuredAddress", MustOID("1.2.840.113549.1.9.8")},
	{"jurisdictionC", MustOID("1.3.6.1.4.1.311.60.2.1.3")},
	{"jurisdictionST", MustOID("1.3.6.1.4.1.311.60.2.1.2")},
	{"jurisdictionL", MustOID("1.3.6.1.4.1.311.60.2.1.1")},

	{"E", OIDEmailAddress},
	{"email", OIDEmailAddress},
	{"S", OIDState},
	{"surname", OIDSurname},
	{"givenName", OIDGivenName},
	{"commonName", OIDCommonName},
	{"organizationName", OIDOrganization},
	{"organizationalUnitName", OIDOrganizationalUnit},
	{"countryName", OIDCountry},
	{"stateOrProvinceName", OIDState},
	{"localityName", OIDLocality},
	{"domainComponent", OIDDomainComponent},
	{"userId", OIDUserID},
}

func shortName(typ OID) string {
	for _, s := range shortNames {
		if s.oid == typ {
			return s.name
		}
	}
	return ""
}

// String writes the name for people and logs as RFC 4514 does: the last RDN
// first, as in "CN=device 7,O=Example,C=DE". Values of unknown types and values
// that are no text are written as "#" and the hex of their DER. Characters
// that do not print, among them controls and those that turn the direction of
// writing, are escaped, so that [ParseDN] reads the text back. The length is
// that of the name.
func (n Name) String() string {
	rdns := n.Attributes()
	if rdns == nil && !n.IsEmpty() {
		return "(malformed name)"
	}
	var b strings.Builder
	for i, rdn := range slices.Backward(rdns) {
		if i < len(rdns)-1 {
			b.WriteByte(',')
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteByte('+')
			}
			name := shortName(a.Type)
			if name == "" || !a.IsText {
				if name == "" {
					name = a.Type.String()
				}
				b.WriteString(name + "=#" + hex.EncodeToString(a.Value))
				continue
			}
			b.WriteString(name + "=")
			escapeValue(&b, a.Text)
		}
	}
	return b.String()
}

func escapeValue(b *strings.Builder, text string) {
	for i, r := range text {
		switch {
		case strings.ContainsRune(`,+"\<>;`, r),
			r == ' ' && (i == 0 || i == len(text)-1),
			r == '#' && i == 0:
			b.WriteByte('\\')
			b.WriteRune(r)
		case !unicode.IsPrint(r):
			var u [utf8.UTFMax]byte
			for _, c := range u[:utf8.EncodeRune(u[:], r)] {
				fmt.Fprintf(b, "\\%02X", c)
			}
		default:
			b.WriteRune(r)
		}
	}
}

// ParseDN makes a Name of text in the form of RFC 4514, "CN=x,O=y,C=DE" with
// the last RDN first, or in that of OpenSSL, "/C=DE/O=y/CN=x" with the first
// one first. "+" joins the attributes of one RDN. A type is a short name, in
// any case, or dotted. A "\" takes the meaning from the character after it; in
// the form of RFC 4514 it also stands before two hex digits, and a value may be
// "#" and the hex of a DER element. The empty text and "/" are the NULL-DN.
//
// Text is written as UTF8String, but country, serialNumber and dnQualifier as
// PrintableString, and DC and emailAddress as IA5String (RFC 5280 appendix A).
func ParseDN(text string) (Name, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("name is not UTF-8")
	}
	p := dnParser{text: text, sep: ','}
	slash := strings.HasPrefix(text, "/")
	if slash {
		p.sep, p.at = '/', 1
	}
	var rdns [][]byte
	for p.skipSpace(); p.at < len(text); {
		rdn, err := p.rdn()
		if err != nil {
			return nil, fmt.Errorf("name %.200q: %w", text, err)
		}
		rdns = append(rdns, rdn)
		if p.at < len(text) {
			p.at++ // the separator
			if p.skipSpace(); p.at == len(text) {
				return nil, fmt.Errorf("name %.200q: nothing follows the last %q", text, p.sep)
			}
		}
	}
	if !slash {
		slices.Reverse(rdns)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range rdns {
			b.AddBytes(rdn)
		}
	})
	return b.Bytes()
}

type dnParser struct {
	text string
	at   int
	sep  byte
}

func (p *dnParser) skipSpace() {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
}

// rdn reads up to the separator or the end.
func (p *dnParser) rdn() ([]byte, error) {
	var atvs [][]byte
	for {
		atv, err := p.attribute()
		if err != nil {
			return nil, err
		}
		atvs = append(atvs, atv)
		if p.at == len(p.text) || p.text[p.at] == p.sep {
			break
		}
		p.at++ // '+'
	}
	// DER sorts the elements of a SET OF.
	slices.SortFunc(atvs, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		for _, atv := range atvs {
			b.AddBytes(atv)
		}
	})
	return b.Bytes()
}

func (p *dnParser) attribute() ([]byte, error) {
	eq := strings.IndexByte(p.text[p.at:], '=')
	if eq < 0 {
		return nil, fmt.Errorf("no \"=\" after %q", cut(p.text[p.at:]))
	}
	name := strings.TrimSpace(p.text[p.at : p.at+eq])
	p.at += eq + 1
	typ, err := attributeType(name)
	if err != nil {
		return nil, err
	}
	if p.sep == ',' {
		p.skipSpace()
	}
	var value []byte
	if p.sep == ',' && p.at < len(p.text) && p.text[p.at] == '#' {
		value, err = p.hexValue()
	} else {
		var text string
		if text, err = p.textValue(); err == nil {
			value, err = encodeValue(typ, text)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cut(name), err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		typ.Add(b)
		b.AddBytes(value)
	})
	return b.Bytes()
}

func cut(text string) string {
	if len(text) > 40 {
		return text[:40] + "..."
	}
	return text
}

func attributeType(name string) (OID, error) {
	for _, s := range shortNames {
		if strings.EqualFold(s.name, name) {
			return s.oid, nil
		}
	}
	dotted := name
	if len(name) > 4 && strings.EqualFold(name[:4], "OID.") {
		dotted = name[4:]
	}
	if oid, err := ParseOID(dotted); err == nil {
		return oid, nil
	}
	return "", fmt.Errorf("attribute type %q is not known: use its dotted form", cut(name))
}

// end tells whether c ends an attribute.
func (p *dnParser) end(c byte) bool { return c == p.sep || c == '+' }

func (p *dnParser) hexValue() ([]byte, error) {
	start := p.at + 1
	for p.at < len(p.text) && !p.end(p.text[p.at]) {
		p.at++
	}
	der, err := hex.DecodeString(strings.TrimRight(p.text[start:p.at], " "))
	if err != nil {
		return nil, errors.New("the value after \"#\" is not hex")
	}
	s := cryptobyte.String(der)
	var e cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1Element(&e, &tag) || !s.Empty() {
		return nil, errors.New("the value after \"#\" is not one DER element")
	}
	return der, nil
}

func (p *dnParser) textValue() (string, error) {
	if p.sep == ',' && p.at < len(p.text) && p.text[p.at] == '"' {
		return p.quotedValue()
	}
	var v []byte
	keep := 0 // the octets of v that are no trailing spaces
	for p.at < len(p.text) && !p.end(p.text[p.at]) {
		c := p.text[p.at]
		p.at++
		if c != '\\' {
			v = append(v, c)
			if c != ' ' || p.sep == '/' {
				keep = len(v)
			}
			continue
		}
		c, err := p.escaped()
		if err != nil {
			return "", err
		}
		v = append(v, c)
		keep = len(v)
	}
	if !utf8.Valid(v[:keep]) {
		return "", errors.New("the escaped octets are not UTF-8")
	}
	return string(v[:keep]), nil
}

// escaped reads what follows a backslash: one character, or in the form of RFC
// 4514 two hex digits. OpenSSL knows no hex.
func (p *dnParser) escaped() (byte, error) {
	if p.at == len(p.text) {
		return 0, errors.New("nothing follows the last \"\\\"")
	}
	if p.sep == ',' && p.at+2 <= len(p.text) {
		if h, err := hex.DecodeString(p.text[p.at : p.at+2]); err == nil {
			p.at += 2
			return h[0], nil
		}
	}
	c := p.text[p.at]
	p.at++
	return c, nil
}

// quotedValue reads the quoted form, which RFC 4514 has no more but readers of
// RFC 2253 had to take.
func (p *dnParser) quotedValue() (string, error) {
	var v []byte
	for p.at++; p.at < len(p.text); {
		c := p.text[p.at]
		p.at++
		switch c {
		case '"':
			p.skipSpace()
			if p.at < len(p.text) && !p.end(p.text[p.at]) {
				return "", errors.New("text follows the closing quote")
			}
			if !utf8.Valid(v) {
				return "", errors.New("the escaped octets are not UTF-8")
			}
			return string(v), nil
		case '\\':
			var err error
			if c, err = p.escaped(); err != nil {
				return "", err
			}
		}
		v = append(v, c)
	}
	return "", errors.New("the closing quote is missing")
}

func encodeValue(typ OID, text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("the value is empty")
	}
	tag := asn1.UTF8String
	switch typ {
	case OIDCountry, OIDSerialNumber, OIDDNQualifier:
		tag = asn1.PrintableString
		if !isPrintable(text) {
			return nil, fmt.Errorf("%q has characters that a PrintableString cannot hold", cut(text))
		}
		if typ == OIDCountry && len(text) != 2 {
			return nil, fmt.Errorf("%q is not a country code of two letters", cut(text))
		}
	case OIDDomainComponent, OIDEmailAddress:
		tag = asn1.IA5String
		if !isASCII([]byte(text)) {
			return nil, fmt.Errorf("%q is not ASCII", cut(text))
		}
	}
	var b cryptobyte.Builder
	AddElement(&b, tag, []byte(text))
	return b.Bytes()
}
