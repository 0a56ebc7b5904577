package issuance

import (
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// The outermost layers of certificates and all of a CRL are appended with
// lengths known beforehand: a cryptobyte.Builder would allocate for each level
// of each of 100,000 entries, and copy the whole to make room for a length.

// appendHeader appends identifier and length octets.
func appendHeader(b []byte, tag asn1.Tag, n int) []byte {
	switch {
	case n < 0x80:
		return append(b, byte(tag), byte(n))
	case n < 1<<8:
		return append(b, byte(tag), 0x81, byte(n))
	case n < 1<<16:
		return append(b, byte(tag), 0x82, byte(n>>8), byte(n))
	case n < 1<<24:
		return append(b, byte(tag), 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, byte(tag), 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// maxHeader is the most that appendHeader appends.
const maxHeader = 6

// putBefore writes identifier and length of everything in b[at:] so that they
// end at at, and gives where they start.
func putBefore(b []byte, at int, tag asn1.Tag) (start int) {
	var h [maxHeader]byte
	hdr := appendHeader(h[:0], tag, len(b)-at)
	start = at - len(hdr)
	copy(b[start:], hdr)
	return start
}

// appendTime appends a Time: UTCTime through 2049, GeneralizedTime otherwise
// (RFC 5280 section 4.1.2.5).
func appendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if y := t.Year(); y >= 1950 && y < 2050 {
		return t.AppendFormat(append(b, byte(asn1.UTCTime), 13), "060102150405Z")
	}
	return appendGeneralizedTime(b, t)
}

func appendGeneralizedTime(b []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(append(b, byte(asn1.GeneralizedTime), 15), "20060102150405Z")
}

// appendExtension appends an Extension (RFC 5280 section 4.1).
func appendExtension(b []byte, e pkix.Extension) []byte {
	var header [maxHeader]byte
	value := appendHeader(header[:0], asn1.OCTET_STRING, len(e.Value))
	n := 2 + len(e.ID) + len(value) + len(e.Value)
	if len(e.ID) >= 0x80 {
		n++
	}
	if e.Critical {
		n += 3
	}
	b = appendHeader(b, asn1.SEQUENCE, n)
	b = append(appendHeader(b, asn1.OBJECT_IDENTIFIER, len(e.ID)), e.ID...)
	if e.Critical {
		b = append(b, byte(asn1.BOOLEAN), 1, 0xff)
	}
	return append(append(b, value...), e.Value...)
}
