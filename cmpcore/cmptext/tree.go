package cmptext

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
)

// node is one value on its way to text or JSON. What it holds may be anything:
// both renderings escape.
type node struct {
	key  string
	kind kind
	text string // of the scalar kinds
	kids []*node

	// line, if not empty, is what the text rendering shows in place of kids.
	line string
	// quoted values are free text, which the text rendering puts in quotes.
	quoted bool

	t *tree
}

type kind uint8

const (
	kindText kind = iota
	kindNumber
	kindBool
	kindObject
	kindList
)

// tree carries the limits of one rendering.
type tree struct {
	nodes  int // still allowed
	octets int // shown of a byte string
	chars  int // octets shown of a text

	// inner is Options.Inner, never nil where messages are shown.
	inner func(*cmp.PKIMessage) *Protection
}

const maxNodes = 200_000

// child adds a node. Past the limit nodes still come into being, so that no
// caller needs to care, but are dropped, and a word says so once.
func (n *node) child(key string, k kind) *node {
	c := &node{key: key, kind: k, t: n.t}
	switch n.t.nodes--; {
	case n.t.nodes > 0:
		n.kids = append(n.kids, c)
	case n.t.nodes == 0:
		c.text, c.kind = "too much to show", kindText
		n.kids = append(n.kids, c)
		return &node{kind: k, t: n.t}
	}
	return c
}

func (n *node) object(key string) *node { return n.child(key, kindObject) }
func (n *node) list(key string) *node   { return n.child(key, kindList) }

// str adds words of ours or text that is safe by its nature.
func (n *node) str(key, v string) *node {
	c := n.child(key, kindText)
	c.text = n.t.cut(v)
	return c
}

// free adds text that somebody else chose.
func (n *node) free(key, v string) {
	c := n.str(key, v)
	c.quoted = true
}

func (n *node) num(key string, v int64) {
	n.child(key, kindNumber).text = strconv.FormatInt(v, 10)
}

// big adds an INTEGER that need not fit a JSON number.
func (n *node) big(key string, v *big.Int) {
	switch {
	case v == nil:
		n.str(key, "missing")
	case v.IsInt64() && v.BitLen() <= 53:
		n.num(key, v.Int64())
	default:
		n.str(key, decimal(v))
	}
}

// decimal writes a number, or how long it is.
func decimal(v *big.Int) string {
	if v.BitLen() > 256 {
		return fmt.Sprintf("a number of %d bits", v.BitLen())
	}
	return v.String()
}

func (n *node) bool(key string, v bool) {
	n.child(key, kindBool).text = strconv.FormatBool(v)
}

func (n *node) hex(key string, v []byte) { n.str(key, n.t.hex(v)) }

func (n *node) time(key string, v time.Time) {
	if !v.IsZero() {
		n.str(key, v.UTC().Format("2006-01-02T15:04:05.999999999Z"))
	}
}

// hex writes at most t.octets octets.
func (t *tree) hex(v []byte) string {
	if len(v) <= t.octets {
		return hex.EncodeToString(v)
	}
	return fmt.Sprintf("%x... (%d octets)", v[:t.octets], len(v))
}

func (t *tree) cut(s string) string {
	if len(s) <= t.chars {
		return s
	}
	n := t.chars
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s... (%d octets)", s[:n], len(s))
}

// serial writes a serial number as people compare it: hex octets.
func serial(v *big.Int) string {
	if v.Sign() < 0 {
		return "-" + serial(new(big.Int).Neg(v))
	}
	b := v.Bytes()
	if len(b) == 0 {
		b = []byte{0}
	}
	if len(b) > 64 {
		return fmt.Sprintf("%x... (%d octets)", b[:64], len(b))
	}
	return hex.EncodeToString(b)
}
