package crmf

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/pkix"
)

// Types of regInfo (RFC 4211 section 7).
var (
	OIDUTF8Pairs = pkix.MustOID("1.3.6.1.5.5.7.5.2.1")
	OIDCertReq   = pkix.MustOID("1.3.6.1.5.5.7.5.2.2")
)

// Pair is one name and value of utf8Pairs (RFC 4211 section 7.1).
type Pair struct{ Name, Value string }

// maxPairs bounds the list; the names RFC 4211 knew were fewer than twenty.
const maxPairs = 1000

// NewUTF8Pairs makes the regInfo utf8Pairs. Names may be neither empty nor
// start with a digit.
func NewUTF8Pairs(pairs []Pair) (Attribute, error) {
	text, err := FormatPairs(pairs)
	if err != nil {
		return Attribute{}, err
	}
	return newAttribute(OIDUTF8Pairs, func(b *cryptobyte.Builder) { pkix.AddUTF8(b, text) })
}

// UTF8Pairs reads the regInfo utf8Pairs.
func (a Attribute) UTF8Pairs() ([]Pair, error) {
	text, err := a.utf8(OIDUTF8Pairs, "utf8Pairs")
	if err != nil {
		return nil, err
	}
	return ParsePairs(text)
}

var pairEscaper = strings.NewReplacer("%", "%25", "?", "%3f")

// FormatPairs writes "name?value%name?value%". The rspInfo of a CertResponse
// has the same form (RFC 9810 section 5.3.4).
func FormatPairs(pairs []Pair) (string, error) {
	var b strings.Builder
	for _, p := range pairs {
		if p.Name == "" || '0' <= p.Name[0] && p.Name[0] <= '9' {
			return "", fmt.Errorf("utf8Pairs: name %.40q is empty or starts with a digit", p.Name)
		}
		pairEscaper.WriteString(&b, p.Name)
		b.WriteByte('?')
		pairEscaper.WriteString(&b, p.Value)
		b.WriteByte('%')
	}
	return b.String(), nil
}

// ParsePairs reads what [FormatPairs] writes. The last "%" may be missing.
//
// A "%" ends a value or starts an escape; as no name starts with a digit, it is
// an escape exactly where a digit and a hex digit follow.
func ParsePairs(text string) ([]Pair, error) {
	var pairs []Pair
	for at := 0; at < len(text); {
		name, next, end := pairPart(text, at)
		if end != '?' {
			return nil, errors.New("utf8Pairs: a name without \"?\" after it")
		}
		value, next, _ := pairPart(text, next)
		switch {
		case name == "":
			return nil, errors.New("utf8Pairs: a name is empty")
		case !utf8.ValidString(name) || !utf8.ValidString(value):
			return nil, errors.New("utf8Pairs: the escaped octets are not UTF-8")
		case len(pairs) == maxPairs:
			return nil, fmt.Errorf("utf8Pairs: more than %d pairs", maxPairs)
		}
		pairs = append(pairs, Pair{name, value})
		at = next
	}
	return pairs, nil
}

// pairPart reads up to an unescaped "?" or "%", or the end, which gives 0.
func pairPart(text string, at int) (part string, next int, end byte) {
	var b strings.Builder
	for at < len(text) {
		c := text[at]
		at++
		switch c {
		case '?':
			return b.String(), at, c
		case '%':
			if at+2 > len(text) || text[at] < '0' || text[at] > '9' || hexDigit(text[at+1]) < 0 {
				return b.String(), at, c
			}
			c = byte(hexDigit(text[at])<<4 | hexDigit(text[at+1]))
			at += 2
		}
		b.WriteByte(c)
	}
	return b.String(), at, 0
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// NewCertReqInfo makes the regInfo certReq: the original request, in one that
// an RA has changed.
func NewCertReqInfo(r CertRequest) (Attribute, error) { return newAttribute(OIDCertReq, r.Add) }

// CertReqInfo reads the regInfo certReq.
func (a Attribute) CertReqInfo() (r CertRequest, err error) {
	s, err := a.value(OIDCertReq)
	if err == nil {
		r, err = ReadCertRequest(&s)
	}
	return r, whole("certReq", s, err)
}
