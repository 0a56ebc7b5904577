package cmptext

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
)

// JSON gives the message as one JSON object on one line, without a line feed.
func JSON(m *cmp.PKIMessage, o Options) ([]byte, error) {
	var b bytes.Buffer
	writeJSON(&b, build(m, o, jsonOctets, jsonChars))
	return b.Bytes(), nil
}

func writeJSON(b *bytes.Buffer, n *node) {
	switch n.kind {
	case kindNumber, kindBool:
		b.WriteString(n.text)
	case kindText:
		writeString(b, n.text)
	case kindList:
		b.WriteByte('[')
		for i, k := range n.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, k)
		}
		b.WriteByte(']')
	case kindObject:
		b.WriteByte('{')
		for i, k := range n.kids {
			if i > 0 {
				b.WriteByte(',')
			}
			writeString(b, k.key)
			b.WriteByte(':')
			writeJSON(b, k)
		}
		b.WriteByte('}')
	}
}

// writeString escapes more than encoding/json does: everything that does not
// print, so that a terminal stays whole.
func writeString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == utf8.RuneError || !unicode.IsPrint(r):
			if r > 0xffff {
				hi, lo := utf16.EncodeRune(r)
				fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
				continue
			}
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
