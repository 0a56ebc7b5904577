package pkix

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// NoExpiry is the notAfter of a certificate without a known end (RFC 5280
// section 4.1.2.5).
var NoExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// ReadTime takes a Time off s: UTCTime for the years 1950 to 2049 and
// GeneralizedTime from 2050 on, both in UTC, with seconds and without
// fractions (RFC 5280 section 4.1.2.5). The other form is refused.
func ReadTime(s *cryptobyte.String) (t time.Time, ok bool) {
	if s.PeekASN1Tag(asn1.UTCTime) {
		var c cryptobyte.String
		if !s.ReadASN1(&c, asn1.UTCTime) || len(c) != 13 {
			return t, false
		}
		yy, ok := digits(c[:2])
		if !ok {
			return t, false
		}
		if yy < 50 {
			yy += 100
		}
		return parseTime(1900+yy, c[2:])
	}
	t, ok = ReadGeneralizedTime(s)
	if t.Year() < 2050 {
		return time.Time{}, false
	}
	return t, ok
}

// ReadGeneralizedTime takes a GeneralizedTime off s, in the form of RFC 5280
// section 4.1.2.5.2: YYYYMMDDHHMMSSZ.
func ReadGeneralizedTime(s *cryptobyte.String) (time.Time, bool) {
	t, ok := ReadExactTime(s)
	if t.Nanosecond() != 0 {
		return time.Time{}, false
	}
	return t, ok
}

// ReadExactTime is [ReadGeneralizedTime] that takes fractions of a second too,
// in the form of DER (X.690 section 11.7) and down to nanoseconds. CMP, unlike
// the profile of certificates, does not forbid them.
func ReadExactTime(s *cryptobyte.String) (t time.Time, ok bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.GeneralizedTime) || len(c) < 15 {
		return t, false
	}
	year, ok := digits(c[:4])
	if !ok {
		return t, false
	}
	nanos, frac := 0, c[14:len(c)-1]
	if len(frac) > 0 {
		if len(frac) < 2 || len(frac) > 10 || frac[0] != '.' || frac[len(frac)-1] == '0' {
			return t, false
		}
		if nanos, ok = digits(frac[1:]); !ok {
			return t, false
		}
		for range 10 - len(frac) {
			nanos *= 10
		}
	}
	var tail [11]byte
	copy(tail[:], c[4:14])
	tail[10] = c[len(c)-1]
	if t, ok = parseTime(year, tail[:]); !ok {
		return time.Time{}, false
	}
	t = t.Add(time.Duration(nanos))
	// The zero time means absent in this library.
	return t, !t.IsZero()
}

// parseTime reads MMDDHHMMSSZ.
func parseTime(year int, c []byte) (time.Time, bool) {
	if len(c) != 11 || c[10] != 'Z' {
		return time.Time{}, false
	}
	var v [5]int
	for i := range v {
		var ok bool
		if v[i], ok = digits(c[2*i : 2*i+2]); !ok {
			return time.Time{}, false
		}
	}
	t := time.Date(year, time.Month(v[0]), v[1], v[2], v[3], v[4], 0, time.UTC)
	// Date normalises, so 30 February shows as another day.
	ok := t.Month() == time.Month(v[0]) && t.Day() == v[1] && v[2] < 24 && v[3] < 60 && v[4] < 60
	return t, ok
}

func digits(c []byte) (n int, ok bool) {
	for _, x := range c {
		if x < '0' || x > '9' {
			return 0, false
		}
		n = n*10 + int(x-'0')
	}
	return n, true
}

// AddTime appends a Time by the rule of [ReadTime]. Fractions of a second are
// cut off.
func AddTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if t.Year() >= 2050 {
		AddGeneralizedTime(b, t)
		return
	}
	if t.Year() < 1950 {
		b.SetError(fmt.Errorf("time %s is before 1950, which certificates cannot say", t.Format(time.RFC3339)))
		return
	}
	var buf [20]byte
	AddElement(b, asn1.UTCTime, t.AppendFormat(buf[:0], "060102150405Z"))
}

// AddGeneralizedTime appends a GeneralizedTime. Fractions of a second are cut
// off.
func AddGeneralizedTime(b *cryptobyte.Builder, t time.Time) {
	AddExactTime(b, t.Truncate(time.Second))
}

// AddExactTime appends a GeneralizedTime with the fraction of the second, if
// there is one.
func AddExactTime(b *cryptobyte.Builder, t time.Time) {
	t = t.UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		b.SetError(fmt.Errorf("time %s cannot be written", t.Format(time.RFC3339)))
		return
	}
	var buf [32]byte
	AddElement(b, asn1.GeneralizedTime, t.AppendFormat(buf[:0], "20060102150405.999999999Z"))
}
