package pkix

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OID is an object identifier as the contents octets of its DER. It is
// comparable and a map key; the zero value is no identifier.
type OID string

// MustOID makes an OID of its dotted form and panics on a malformed one. It is
// for package variables.
func MustOID(dotted string) OID {
	o, err := ParseOID(dotted)
	if err != nil {
		panic(err)
	}
	return o
}

// ParseOID reads the dotted form, such as "1.3.6.1.5.5.7.4.13".
func ParseOID(dotted string) (OID, error) {
	parts := strings.Split(dotted, ".")
	if len(parts) < 2 {
		return "", fmt.Errorf("%q is not an object identifier: it has less than two numbers", dotted)
	}
	arcs := make([]uint64, len(parts))
	for i, p := range parts {
		v, err := strconv.ParseUint(p, 10, 62)
		if err != nil || strconv.FormatUint(v, 10) != p {
			return "", fmt.Errorf("%q is not an object identifier: %q is not a number", dotted, p)
		}
		arcs[i] = v
	}
	if arcs[0] > 2 || arcs[0] < 2 && arcs[1] > 39 {
		return "", fmt.Errorf("%q is not an object identifier: no such arc", dotted)
	}
	b := appendBase128(nil, arcs[0]*40+arcs[1])
	for _, v := range arcs[2:] {
		b = appendBase128(b, v)
	}
	return OID(b), nil
}

func appendBase128(b []byte, v uint64) []byte {
	n := 1
	for x := v >> 7; x > 0; x >>= 7 {
		n++
	}
	for i := n - 1; i >= 0; i-- {
		c := byte(v>>(7*i)) & 0x7f
		if i > 0 {
			c |= 0x80
		}
		b = append(b, c)
	}
	return b
}

// String gives the dotted form. Arcs above 2^63 are written as "?".
func (o OID) String() string {
	var s []byte
	for i := 0; i < len(o); {
		var v uint64
		big := false
		for {
			if v >= 1<<56 {
				big = true
			}
			v = v<<7 | uint64(o[i]&0x7f)
			i++
			if i == len(o) || o[i-1]&0x80 == 0 {
				break
			}
		}
		if len(s) == 0 {
			first := min(v/40, 2)
			s = strconv.AppendUint(s, first, 10)
			v -= first * 40
		}
		s = append(s, '.')
		if big {
			s = append(s, '?')
			continue
		}
		s = strconv.AppendUint(s, v, 10)
	}
	return string(s)
}

// ReadOID takes an OBJECT IDENTIFIER off s. It refuses arcs with leading zero
// octets and a cut-off last arc (X.690 section 8.19).
func ReadOID(s *cryptobyte.String) (OID, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.OBJECT_IDENTIFIER) || !validOID(c) {
		return "", false
	}
	return OID(c), true
}

func validOID(c []byte) bool {
	if len(c) == 0 || len(c) > 128 || c[len(c)-1]&0x80 != 0 {
		return false
	}
	start := true
	for _, x := range c {
		if start && x == 0x80 {
			return false
		}
		start = x&0x80 == 0
	}
	return true
}

// Add appends the OBJECT IDENTIFIER.
func (o OID) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(o)) })
}
