package configs

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// maxLength is the longest length of time: far beyond any use, and far from
// the end of what a time.Duration holds.
const maxLength = 100 * 365 * day

var timeUnits = []struct {
	letter byte
	length time.Duration
}{{'y', 365 * day}, {'d', day}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// length reads a length of time between least and maxLength. Where zero is set,
// 0 has a meaning of its own and is allowed besides.
func (r *reader) length(path, s string, least time.Duration, zero bool) time.Duration {
	d, why := parseLength(s)
	switch {
	case why != "":
		r.fault(path, "%q is not a length of time: %s; write it as 30d, 12h, 90m or 1d12h", clip(s), why)
		return 0
	case d == 0 && zero:
		return 0
	case d < least && zero:
		r.fault(path, "%s is too short; the least is %s, or 0", s, shortest(least))
	case d < least:
		r.fault(path, "%s is too short; the least is %s", s, shortest(least))
	}
	return d
}

// parseLength reads whole numbers with units, the largest unit first.
func parseLength(s string) (d time.Duration, why string) {
	if s == "0" {
		return 0, ""
	}
	if s == "" {
		return 0, "it is empty"
	}
	unit := 0
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		if digits == 0 {
			return 0, "a number is missing"
		}
		n, err := strconv.ParseInt(s[:digits], 10, 32)
		if err != nil {
			return 0, "it is too long"
		}
		if digits == len(s) {
			return 0, "it has no unit"
		}
		for unit < len(timeUnits) && timeUnits[unit].letter != s[digits] {
			unit++
		}
		if unit == len(timeUnits) {
			return 0, "the units are y, d, h, m and s, each once and in this order"
		}
		length := timeUnits[unit].length
		if n > int64(maxLength/length) || d > maxLength-time.Duration(n)*length {
			return 0, "it is longer than 100y"
		}
		d += time.Duration(n) * length
		unit++
		s = s[digits+1:]
	}
	return d, ""
}

// shortest writes a length that is whole in one of the units.
func shortest(d time.Duration) string {
	for _, u := range timeUnits[1:] {
		if d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + string(u.letter)
		}
	}
	return d.String()
}

var sizeUnits = []struct {
	name   string
	octets int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

// size reads a size in octets between least and most.
func (r *reader) size(path, s string, least, most int64) int64 {
	digits := s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
	unit := strings.TrimSpace(s[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	var octets int64
	for _, u := range sizeUnits {
		if u.name == unit {
			octets = u.octets
		}
	}
	switch {
	case err != nil || octets == 0:
		r.fault(path, "%q is not a size; write it as 1MiB, 64KiB or in octets", clip(s))
		return 0
	case n > math.MaxInt64/octets || n*octets < least || n*octets > most:
		r.fault(path, "%s is not between %d and %d octets", clip(s), least, most)
		return 0
	}
	return n * octets
}

// number checks a whole number against its bounds.
func (r *reader) number(path string, n, least, most int) int {
	if n < least || n > most {
		r.fault(path, "%d is not between %d and %d", n, least, most)
	}
	return n
}

// word checks that s is one of the words, and gives its index.
func (r *reader) word(path, s string, words ...string) int {
	i := slices.Index(words, s)
	if i < 0 {
		r.fault(path, "%q means nothing here; %s", clip(s), oneOf(s, words))
	}
	return i
}

// words checks that each element is one of the words and there once.
func (r *reader) words(path string, list []string, what string, words []string) []string {
	for i, s := range list {
		switch {
		case !slices.Contains(words, s):
			r.fault(index(path, i), "%q is not %s; %s", clip(s), what, oneOf(s, words))
		case slices.Contains(list[:i], s):
			r.fault(index(path, i), "%q is there twice", clip(s))
		}
	}
	return list
}

// path makes a path absolute; hint says what to write where it is missing, and
// is empty where it may be.
func (r *reader) path(dir, path, s, hint string) string {
	switch {
	case s == "":
		if hint != "" {
			r.fault(path, "it is missing; write %s", hint)
		} else if r.has(path) {
			r.fault(path, "the path is empty; remove the key if there is none")
		}
		return ""
	case strings.HasPrefix(s, "~"):
		r.fault(path, "%q: ~ is not expanded here; write the folder out", clip(s))
	case strings.HasPrefix(s, "file:"):
		r.fault(path, "%q: write a path, not a URL", clip(s))
	}
	abs := filepath.Clean(s)
	if !filepath.IsAbs(s) {
		abs = filepath.Join(dir, s)
	}
	r.named(abs, path)
	return abs
}
