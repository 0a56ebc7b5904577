package pkix

import (
	"errors"
	"math/big"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// maxInteger bounds the octets of an INTEGER. Serial numbers need 20; the
// largest in CMP, the random number of a key challenge, is far below.
const maxInteger = 1024

var errNoElement = errors.New("a mandatory element is missing")

// AddElement appends one element of which the contents are known. It spares
// the child builder that [cryptobyte.Builder.AddASN1] needs.
func AddElement(b *cryptobyte.Builder, tag asn1.Tag, contents []byte) {
	addHeader(b, tag, len(contents))
	b.AddBytes(contents)
}

func addHeader(b *cryptobyte.Builder, tag asn1.Tag, n int) {
	b.AddUint8(uint8(tag))
	switch {
	case n < 0x80:
		b.AddUint8(uint8(n))
	case n <= 0xff:
		b.AddUint16(0x8100 | uint16(n))
	case n <= 0xffff:
		b.AddUint8(0x82)
		b.AddUint16(uint16(n))
	case n <= 0xffffff:
		b.AddUint8(0x83)
		b.AddUint24(uint32(n))
	default:
		b.AddUint8(0x84)
		b.AddUint32(uint32(n))
	}
}

func headerSize(n int) int {
	switch {
	case n < 0x80:
		return 2
	case n <= 0xff:
		return 3
	case n <= 0xffff:
		return 4
	case n <= 0xffffff:
		return 5
	}
	return 6
}

// AddRetagged appends a whole element under another tag of the same form, as
// implicit tagging wants it.
func AddRetagged(b *cryptobyte.Builder, tag asn1.Tag, element []byte) {
	if len(element) < 2 {
		b.SetError(errNoElement)
		return
	}
	b.AddUint8(uint8(tag))
	b.AddBytes(element[1:])
}

// ReadRetagged takes the element with the given tag off s and returns a copy
// of it under the tag want: the reverse of [AddRetagged].
func ReadRetagged(s *cryptobyte.String, tag, want asn1.Tag) ([]byte, bool) {
	var e cryptobyte.String
	if !s.ReadASN1Element(&e, tag) {
		return nil, false
	}
	c := make([]byte, len(e))
	copy(c, e)
	c[0] = byte(want)
	return c, true
}

// ReadBitString takes a BIT STRING off s and tells how many bits of the last
// octet are unused. Those must be zero (X.690 section 11.2.1).
func ReadBitString(s *cryptobyte.String, tag asn1.Tag) (bits []byte, unused int, ok bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, tag) || len(c) == 0 {
		return nil, 0, false
	}
	pad := c[0]
	bits = c[1:]
	if pad > 7 || len(bits) == 0 && pad != 0 || len(bits) > 0 && bits[len(bits)-1]&(1<<pad-1) != 0 {
		return nil, 0, false
	}
	return bits, int(pad), true
}

// ReadBits is [ReadBitString] for strings of whole octets, such as signatures.
// The result is not nil even where it is empty.
func ReadBits(s *cryptobyte.String, tag asn1.Tag) ([]byte, bool) {
	bits, unused, ok := ReadBitString(s, tag)
	return bits, ok && unused == 0
}

// AddBits appends a BIT STRING of whole octets.
func AddBits(b *cryptobyte.Builder, tag asn1.Tag, bits []byte) {
	addHeader(b, tag, len(bits)+1)
	b.AddUint8(0)
	b.AddBytes(bits)
}

// ReadNamedBits takes a BIT STRING off s that is a set of named bits: bit n is
// 1<<n of the result. It wants the form of DER, without trailing zero bits
// (X.690 section 11.2.2), and no bit above 31.
func ReadNamedBits(s *cryptobyte.String) (uint32, bool) {
	bits, unused, ok := ReadBitString(s, asn1.BIT_STRING)
	if !ok || len(bits) > 4 || len(bits) > 0 && bits[len(bits)-1]>>unused&1 == 0 {
		return 0, false
	}
	return NamedBits(bits), true
}

// NamedBits makes a set of the octets of a BIT STRING. Bits above 31 are left
// out.
func NamedBits(bits []byte) uint32 {
	var set uint32
	for i, c := range bits[:min(len(bits), 4)] {
		for j := range 8 {
			if c&(0x80>>j) != 0 {
				set |= 1 << (8*i + j)
			}
		}
	}
	return set
}

// AddNamedBits appends a set of named bits without trailing zero bits.
func AddNamedBits(b *cryptobyte.Builder, set uint32) {
	var c [5]byte
	n := 0
	for i := range 32 {
		if set&(1<<i) != 0 {
			c[1+i/8] |= 0x80 >> (i % 8)
			n = i + 1
		}
	}
	size := (n + 7) / 8
	c[0] = byte(size*8 - n)
	AddElement(b, asn1.BIT_STRING, c[:1+size])
}

// ReadInteger takes an INTEGER off s, in its shortest form and of at most 1024
// octets. The tag is asn1.INTEGER or an implicit one.
func ReadInteger(s *cryptobyte.String, tag asn1.Tag) (*big.Int, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, tag) || !validInteger(c) {
		return nil, false
	}
	if len(c) <= 8 {
		return big.NewInt(smallInteger(c)), true
	}
	n := new(big.Int).SetBytes(c)
	if c[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(c))*8))
	}
	return n, true
}

// ReadInt is [ReadInteger] for values that fit an int64.
func ReadInt(s *cryptobyte.String, tag asn1.Tag) (int64, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, tag) || !validInteger(c) || len(c) > 8 {
		return 0, false
	}
	return smallInteger(c), true
}

func smallInteger(c []byte) int64 {
	v := int64(int8(c[0]))
	for _, x := range c[1:] {
		v = v<<8 | int64(x)
	}
	return v
}

func validInteger(c []byte) bool {
	if len(c) == 0 || len(c) > maxInteger {
		return false
	}
	return len(c) == 1 || c[0] != 0 && c[0] != 0xff || (c[0]^c[1])&0x80 != 0
}

// AddInteger appends an INTEGER. A nil number is an error of the builder.
func AddInteger(b *cryptobyte.Builder, tag asn1.Tag, n *big.Int) {
	if n == nil {
		b.SetError(errNoElement)
		return
	}
	if n.IsInt64() {
		b.AddASN1Int64WithTag(n.Int64(), tag)
		return
	}
	var c []byte
	if n.Sign() > 0 {
		if c = n.Bytes(); c[0]&0x80 != 0 {
			c = append([]byte{0}, c...)
		}
	} else {
		// Two's complement: the octets of -n-1 with every bit turned.
		m := new(big.Int).Not(n)
		if c = m.Bytes(); c[0]&0x80 != 0 {
			c = append([]byte{0}, c...)
		}
		for i := range c {
			c[i] = ^c[i]
		}
	}
	AddElement(b, tag, c)
}

// ReadUTF8 takes a UTF8String off s.
func ReadUTF8(s *cryptobyte.String) (string, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.UTF8String) || !utf8.Valid(c) {
		return "", false
	}
	return string(c), true
}

// AddUTF8 appends a UTF8String. Text that is not UTF-8 is an error of the
// builder.
func AddUTF8(b *cryptobyte.Builder, text string) {
	if !utf8.ValidString(text) {
		b.SetError(errors.New("text is not UTF-8"))
		return
	}
	AddElement(b, asn1.UTF8String, []byte(text))
}
