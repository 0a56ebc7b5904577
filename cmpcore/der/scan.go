package der

import (
	"errors"
	"fmt"
)

// Limits bound what Scan accepts. A zero field means the default.
type Limits struct {
	Bytes    int // total size in octets; default 1 MiB
	Depth    int // nesting of constructed elements, the outermost is 1; default 64
	Elements int // elements of any kind; default 100,000
}

// The defaults of [Limits].
const (
	DefaultBytes    = 1 << 20
	DefaultDepth    = 64
	DefaultElements = 100_000
)

// The ways in which input is not acceptable DER. Errors of this package wrap
// one of them and say at which octet.
var (
	ErrTruncated = errors.New("element is cut off")
	ErrTrailing  = errors.New("octets after the end of the element")
	ErrEncoding  = errors.New("not DER")
	ErrTooLarge  = errors.New("too large")
	ErrTooDeep   = errors.New("nested too deep")
	ErrTooMany   = errors.New("too many elements")
)

func (l Limits) withDefaults() Limits {
	if l.Bytes == 0 {
		l.Bytes = DefaultBytes
	}
	if l.Depth == 0 {
		l.Depth = DefaultDepth
	}
	if l.Elements == 0 {
		l.Elements = DefaultElements
	}
	return l
}

// Scan checks that b is exactly one DER element within the limits. It looks
// into every constructed element, but not into strings that happen to hold
// DER. Its cost is linear in len(b).
func Scan(b []byte, l Limits) error {
	l = l.withDefaults()
	if len(b) > l.Bytes {
		return fmt.Errorf("%w: %d octets, the limit is %d", ErrTooLarge, len(b), l.Bytes)
	}
	s := scanner{b: b, left: l.Elements, depth: l.Depth}
	end, err := s.element(0, len(b), 1)
	if err != nil {
		return err
	}
	if end != len(b) {
		return fmt.Errorf("%w: %d of %d octets used", ErrTrailing, end, len(b))
	}
	return nil
}

type scanner struct {
	b     []byte
	left  int
	depth int
}

func (s *scanner) element(at, limit, depth int) (end int, err error) {
	if s.left--; s.left < 0 {
		return 0, fmt.Errorf("%w at octet %d", ErrTooMany, at)
	}
	if depth > s.depth {
		return 0, fmt.Errorf("%w at octet %d: the limit is %d", ErrTooDeep, at, s.depth)
	}
	h, err := readHeader(s.b[at:limit])
	if err != nil {
		return 0, fmt.Errorf("octet %d: %w", at, err)
	}
	body := at + h.size
	if h.length > limit-body {
		return 0, fmt.Errorf("octet %d: %w", at, ErrTruncated)
	}
	end = body + h.length
	if h.first&0x20 == 0 {
		return end, nil
	}
	for body < end {
		if body, err = s.element(body, end, depth+1); err != nil {
			return 0, err
		}
	}
	return end, nil
}

type header struct {
	first  byte // class, constructed bit, low tag number
	size   int  // octets of identifier and length
	length int  // octets of contents
}

func readHeader(b []byte) (header, error) {
	if len(b) < 2 {
		return header{}, ErrTruncated
	}
	h := header{first: b[0], size: 1}
	switch b[0] & 0x1f {
	case 0x1f:
		// No structure of PKIX needs a tag number above 30.
		return header{}, fmt.Errorf("%w: tag number above 30", ErrEncoding)
	case 0:
		if b[0]&0xc0 == 0 {
			return header{}, fmt.Errorf("%w: end-of-contents octets", ErrEncoding)
		}
	}
	if err := universalForm(b[0]); err != nil {
		return header{}, err
	}
	n := int(b[1])
	h.size = 2
	if n < 0x80 {
		h.length = n
		return h, nil
	}
	n &= 0x7f
	if n == 0 || n > 4 {
		return header{}, fmt.Errorf("%w: length of %d octets", ErrEncoding, n)
	}
	if len(b) < 2+n {
		return header{}, ErrTruncated
	}
	var v uint64
	for _, c := range b[2 : 2+n] {
		v = v<<8 | uint64(c)
	}
	if b[2] == 0 || v < 0x80 || v > 1<<31-1 {
		return header{}, fmt.Errorf("%w: length not in its shortest form", ErrEncoding)
	}
	h.size += n
	h.length = int(v)
	return h, nil
}

// universalForm refuses primitive SEQUENCE and SET and constructed forms of
// everything else in the universal class (X.690 section 10.2). EXTERNAL and
// EMBEDDED PDV have no place in PKIX.
func universalForm(first byte) error {
	if first&0xc0 != 0 {
		return nil
	}
	constructed := first&0x20 != 0
	switch first & 0x1f {
	case 16, 17:
		if !constructed {
			return fmt.Errorf("%w: primitive SEQUENCE or SET", ErrEncoding)
		}
	default:
		if constructed {
			return fmt.Errorf("%w: constructed form of a primitive type", ErrEncoding)
		}
	}
	return nil
}

// Size tells how many octets the element that starts b has in all, from its
// first octets alone. It returns [ErrTruncated] while too few octets are there
// to tell: a file that is still being written.
func Size(b []byte) (int64, error) {
	h, err := readHeader(b)
	if err != nil {
		return 0, err
	}
	return int64(h.size) + int64(h.length), nil
}
