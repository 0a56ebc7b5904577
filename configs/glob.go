package configs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPattern bounds a pattern, in characters.
const maxPattern = 256

// What * and ? are in a compiled pattern.
const (
	anyText rune = -1
	anyRune rune = -2
)

// Glob is a pattern of which * stands for any text, the empty one too, and ?
// for one character. The zero Glob matches the empty text only.
type Glob struct {
	text string
	runs []rune
	fold bool // case does not count
}

// newGlob compiles a pattern. All characters but * and ? stand for themselves.
func newGlob(s string) (Glob, error) {
	g := Glob{text: s}
	for _, c := range s {
		switch c {
		case '*':
			c = anyText
		case '?':
			c = anyRune
		}
		g.runs = append(g.runs, c)
	}
	if len(g.runs) > maxPattern {
		return Glob{}, fmt.Errorf("the pattern has %d characters; the most is %d", len(g.runs), maxPattern)
	}
	return g, nil
}

// String gives the pattern as it was written.
func (g Glob) String() string { return g.text }

// Match compares all of s. Its cost is at most the product of both lengths.
func (g Glob) Match(s string) bool {
	p := g.runs
	at, star, mark := 0, -1, 0
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case at < len(p) && p[at] == anyText:
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == anyRune || g.same(p[at], c, n)):
			at++
			i += n
		case star >= 0:
			// One character more for the last *.
			_, skip := utf8.DecodeRuneInString(s[mark:])
			mark += skip
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at] == anyText {
		at++
	}
	return at == len(p)
}

// same compares a character of the pattern with one of a text, where an octet
// that is no UTF-8 equals nothing.
func (g Glob) same(p, c rune, size int) bool {
	if c == utf8.RuneError && size < 2 {
		return false
	}
	return p == c || g.fold && foldRune(p) == foldRune(c)
}

// foldRune picks the smallest of the characters that differ only in case.
func foldRune(c rune) rune {
	least := c
	for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// valueGlob compiles the value of an attribute in a [Subject]: * is any text, \
// takes the meaning off the character that follows. There is no ?: it is common
// in names.
func valueGlob(s string) (Glob, error) {
	g := Glob{text: s, fold: true}
	escaped := false
	for _, c := range s {
		switch {
		case escaped && strings.ContainsRune("0123456789abcdefABCDEF", c):
			return Glob{}, errors.New(`octets in hex are not for patterns; write the character itself, or *`)
		case !escaped && c == '\\':
			escaped = true
			continue
		case !escaped && c == '*':
			c = anyText
		}
		escaped = false
		g.runs = append(g.runs, c)
	}
	if escaped {
		return Glob{}, errors.New(`nothing follows the last \`)
	}
	return g, nil
}
