package cmptext

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
)

// Options say what the caller knows about a message.
type Options struct {
	// Protection is what came of checking it; nil: nobody has.
	Protection *Protection
	// Inner, if not nil, checks the protection of a message inside a nested one;
	// its nil says that it could not.
	Inner func(*cmp.PKIMessage) *Protection
	// ParseErr is the error of cmp.Parse for a message that could be read in
	// part only.
	ParseErr error
}

// Protection is the result of checking a protection.
type Protection struct {
	// By names, for people, whose secret or certificate was used.
	By string
	// Err says why the protection is wrong; nil: it is right.
	Err error
}

// Limits of the two renderings.
const (
	textOctets, textChars = 64, 400
	jsonOctets, jsonChars = 4096, 16384
)

// Text writes the message as indented lines. The last one is about the
// protection. Only the writer can fail.
func Text(w io.Writer, m *cmp.PKIMessage, o Options) error {
	root := build(m, o, textOctets, textChars)
	var b bytes.Buffer
	for _, k := range root.kids {
		writeText(&b, k, 0, "")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeText(b *bytes.Buffer, n *node, depth int, label string) {
	for range depth {
		b.WriteString("  ")
	}
	if label == "" {
		label = n.key
	}
	b.WriteString(label)
	value := n.line
	switch {
	case value != "":
		value = clean(value)
	case n.kind == kindObject || n.kind == kindList:
	case n.quoted:
		value = quote(n.text)
	default:
		value = clean(n.text)
	}
	if value != "" {
		b.WriteString(": ")
		b.WriteString(value)
	} else if len(n.kids) == 0 && (n.kind == kindObject || n.kind == kindList) {
		b.WriteString(": none")
	}
	b.WriteByte('\n')
	if n.line != "" {
		return
	}
	for i, k := range n.kids {
		label := ""
		if n.kind == kindList {
			label = "[" + strconv.Itoa(i) + "]"
		}
		writeText(b, k, depth+1, label)
	}
}

// clean escapes what does not print, and leaves the rest alone.
func clean(s string) string {
	ok := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			ok = false
			break
		}
	}
	if ok {
		return s
	}
	var b strings.Builder
	for i, w := 0, 0; i < len(s); i += w {
		var r rune
		r, w = utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && w == 1 || !unicode.IsPrint(r) {
			b.WriteString(strings.Trim(strconv.QuoteToASCII(s[i:i+w]), `"`))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// quote writes free text in quotes, with everything escaped that does not
// print.
func quote(s string) string { return strconv.Quote(s) }
