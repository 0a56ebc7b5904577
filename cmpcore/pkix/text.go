package pkix

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The string types that cryptobyte does not name.
const (
	tagNumericString   = asn1.Tag(18)
	tagVisibleString   = asn1.Tag(26)
	tagUniversalString = asn1.Tag(28)
	tagBMPString       = asn1.Tag(30)
)

// decodeString gives the UTF-8 of a character string, whatever its type.
func decodeString(element []byte) (string, bool) {
	s := cryptobyte.String(element)
	var c cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&c, &tag) || !s.Empty() {
		return "", false
	}
	switch tag {
	case asn1.UTF8String:
		return string(c), utf8.Valid(c)
	case asn1.PrintableString, asn1.IA5String, tagNumericString, tagVisibleString:
		return string(c), isASCII(c)
	case asn1.T61String:
		// What is in use calls itself T61 and is Latin-1.
		r := make([]rune, len(c))
		for i, x := range c {
			r[i] = rune(x)
		}
		return string(r), true
	case tagBMPString:
		if len(c)%2 != 0 {
			return "", false
		}
		u := make([]uint16, len(c)/2)
		for i := range u {
			u[i] = uint16(c[2*i])<<8 | uint16(c[2*i+1])
			if utf16.IsSurrogate(rune(u[i])) {
				return "", false
			}
		}
		return string(utf16.Decode(u)), true
	case tagUniversalString:
		if len(c)%4 != 0 {
			return "", false
		}
		r := make([]rune, len(c)/4)
		for i := range r {
			v := uint32(c[4*i])<<24 | uint32(c[4*i+1])<<16 | uint32(c[4*i+2])<<8 | uint32(c[4*i+3])
			if v > utf8.MaxRune || !utf8.ValidRune(rune(v)) {
				return "", false
			}
			r[i] = rune(v)
		}
		return string(r), true
	}
	return "", false
}

func isASCII(c []byte) bool {
	for _, x := range c {
		if x >= 0x80 {
			return false
		}
	}
	return true
}

func isPrintable(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == ' ' || c >= '\'' && c <= ')' || c >= '+' && c <= '/' || c == ':' || c == '=' || c == '?':
		default:
			return false
		}
	}
	return true
}
