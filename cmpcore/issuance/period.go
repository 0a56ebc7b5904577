package issuance

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Period is a length of time in calendar years, days and a rest, or the
// special "9999-12-31": no end that is known (RFC 5280 section 4.1.2.5, as
// IEEE 802.1AR device identities have it). The zero Period has no length.
type Period struct {
	years, days int
	rest        time.Duration
	forever     bool
}

// noEnd is the notAfter that says that a certificate has no known end.
var noEnd = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// maxYears keeps the arithmetic of a Period inside what a certificate can say.
const maxYears = 8000

// ParsePeriod reads "397d", "2y", "1y30d", Go's durations such as "36h" or
// "90m", both together ("1y12h"), or "9999-12-31". Years are calendar years.
// There is no sign.
func ParsePeriod(s string) (Period, error) {
	var p Period
	if s == "9999-12-31" {
		p.forever = true
		return p, nil
	}
	bad := func(why string) (Period, error) {
		return Period{}, fmt.Errorf("%q is not a length of time: %s; write it as 90m, 36h, 397d, 2y or 9999-12-31", clip(s), why)
	}
	if s == "" {
		return bad("it is empty")
	}
	rest := s
	for _, unit := range []struct {
		letter byte
		n      *int
		max    int
	}{{'y', &p.years, maxYears}, {'d', &p.days, maxYears * 366}} {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits == len(rest) || rest[digits] != unit.letter {
			continue
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > unit.max {
			return bad("it is too long")
		}
		*unit.n, rest = n, rest[digits+1:]
	}
	if rest == "" {
		return p, nil
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err != nil && strings.Trim(rest, "0123456789") == "":
		return bad("it has no unit")
	case err != nil || strings.ContainsAny(rest, "+-"):
		return bad("its units are not known")
	case d%time.Second != 0:
		return bad("certificates count whole seconds")
	}
	p.rest = d
	return p, nil
}

// From gives the moment that lies one period after t, in UTC and whole
// seconds, and never after 9999-12-31T23:59:59Z.
func (p Period) From(t time.Time) time.Time {
	if p.forever {
		return noEnd
	}
	t = t.UTC().Truncate(time.Second).AddDate(p.years, 0, p.days).Add(p.rest)
	if t.After(noEnd) {
		return noEnd
	}
	return t
}

// IsZero tells whether the period has no length.
func (p Period) IsZero() bool { return p == Period{} }

// String writes the period as [ParsePeriod] reads it.
func (p Period) String() string {
	if p.forever {
		return "9999-12-31"
	}
	var s string
	if p.years > 0 {
		s += strconv.Itoa(p.years) + "y"
	}
	if p.days > 0 {
		s += strconv.Itoa(p.days) + "d"
	}
	if p.rest > 0 || s == "" {
		s += p.rest.String()
	}
	return s
}

// longerThan compares by a year without a leap day, which is exact enough to
// find a mistake in a profile; a request meets the exact calendar.
func (p Period) longerThan(q Period) bool {
	ref := time.Date(2001, 3, 1, 0, 0, 0, 0, time.UTC)
	return p.From(ref).After(q.From(ref))
}
