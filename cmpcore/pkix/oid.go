package pkix

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OID is an object identifier as the contents octets of its DER. It is
// comparable and a map key; the zero value is no identifier.
type OID string

// maxOID bounds the contents octets of an identifier. The longest in use have
// a 128-bit UUID as an arc and need some 25.
const maxOID = 128

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
	if len(dotted) > 4*maxOID {
		return "", fmt.Errorf("%.32q... is not an object identifier: too long", dotted)
	}
	parts := strings.Split(dotted, ".")
	if len(parts) < 2 {
		return "", fmt.Errorf("%q is not an object identifier: it has less than two numbers", dotted)
	}
	var b []byte
	var root uint64
	for i, p := range parts {
		v, err := parseArc(p)
		if err != nil {
			return "", fmt.Errorf("%q is not an object identifier: %q is not a number", dotted, p)
		}
		switch i {
		case 0:
			if !v.IsUint64() || v.Uint64() > 2 {
				return "", fmt.Errorf("%q is not an object identifier: no such arc", dotted)
			}
			root = v.Uint64()
		case 1:
			if root < 2 && (!v.IsUint64() || v.Uint64() > 39) {
				return "", fmt.Errorf("%q is not an object identifier: no such arc", dotted)
			}
			b = appendBase128(b, v.Add(v, new(big.Int).SetUint64(root*40)))
		default:
			b = appendBase128(b, v)
		}
	}
	if len(b) > maxOID {
		return "", fmt.Errorf("%q is not an object identifier: too long", dotted)
	}
	return OID(b), nil
}

func parseArc(p string) (*big.Int, error) {
	if p == "" || len(p) > 1 && p[0] == '0' {
		return nil, strconv.ErrSyntax
	}
	for _, c := range []byte(p) {
		if c < '0' || c > '9' {
			return nil, strconv.ErrSyntax
		}
	}
	v, ok := new(big.Int).SetString(p, 10)
	if !ok {
		return nil, strconv.ErrSyntax
	}
	return v, nil
}

func appendBase128(b []byte, v *big.Int) []byte {
	n := max(1, (v.BitLen()+6)/7)
	for i := n - 1; i >= 0; i-- {
		var c byte
		for bit := range 7 {
			c |= byte(v.Bit(7*i+bit)) << bit
		}
		if i > 0 {
			c |= 0x80
		}
		b = append(b, c)
	}
	return b
}

// String gives the dotted form, whatever the size of an arc. An identifier that
// is cut off, which no Read function returns, ends in ".?".
func (o OID) String() string {
	var s []byte
	for i := 0; i < len(o); {
		start, v := i, uint64(0)
		for i < len(o) {
			v = v<<7 | uint64(o[i]&0x7f)
			i++
			if o[i-1]&0x80 == 0 {
				break
			}
		}
		if o[i-1]&0x80 != 0 {
			return string(s) + ".?"
		}
		first := len(s) == 0
		if i-start > 9 {
			s = appendBigArc(s, string(o[start:i]), first)
			continue
		}
		if first {
			root := min(v/40, 2)
			s = strconv.AppendUint(s, root, 10)
			v -= root * 40
		}
		s = append(s, '.')
		s = strconv.AppendUint(s, v, 10)
	}
	return string(s)
}

func appendBigArc(s []byte, arc string, first bool) []byte {
	v := new(big.Int)
	for _, c := range []byte(arc) {
		v.Lsh(v, 7)
		v.Or(v, big.NewInt(int64(c&0x7f)))
	}
	if first {
		s = append(s, '2')
		v.Sub(v, big.NewInt(80))
	}
	return v.Append(append(s, '.'), 10)
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
	if len(c) == 0 || len(c) > maxOID || c[len(c)-1]&0x80 != 0 {
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
	if !validOID([]byte(o)) {
		b.SetError(fmt.Errorf("object identifier %x is malformed", string(o[:min(len(o), maxOID)])))
		return
	}
	AddElement(b, asn1.OBJECT_IDENTIFIER, []byte(o))
}
