package cmp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"cmp-batch/cmpcore/der"
)

// node is an element taken apart, so that one part can be changed and all the
// lengths around it still fit. Random changes of octets rarely get that far.
type node struct {
	class, tag int
	compound   bool
	contents   []byte
	parts      []*node
}

func takeApart(b []byte) []*node {
	var list []*node
	for len(b) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil {
			panic(err)
		}
		n := &node{class: v.Class, tag: v.Tag, compound: v.IsCompound, contents: v.Bytes}
		if v.IsCompound {
			n.parts = takeApart(v.Bytes)
		}
		list, b = append(list, n), rest
	}
	return list
}

func (n *node) bytes() []byte {
	if !n.compound {
		return raw(n.class, n.tag, false, n.contents)
	}
	var parts [][]byte
	for _, p := range n.parts {
		parts = append(parts, p.bytes())
	}
	return raw(n.class, n.tag, true, parts...)
}

func (n *node) walk(f func(*node)) {
	f(n)
	for _, p := range n.parts {
		p.walk(f)
	}
}

// TestEveryElementChanged changes every element of every golden message in
// each of some ways. What is accepted nevertheless must be written the same;
// what is refused must fall into a class that fits what was returned.
func TestEveryElementChanged(t *testing.T) {
	accepted, refused := 0, 0
	check := func(what string, b []byte) {
		m, err := Parse(b, Limits{})
		if err != nil {
			refused++
			if (m == nil) != errors.Is(err, ErrNotPKIMessage) || m != nil && errors.Is(err, ErrHeader) == errors.Is(err, ErrBody) {
				t.Errorf("%s: %v", what, err)
			}
			if m != nil {
				if err := der.Scan(m.ProtectedPart(), der.Limits{}); err != nil {
					t.Errorf("%s: ProtectedPart: %v", what, err)
				}
			}
			return
		}
		accepted++
		clearRaw(reflect.ValueOf(m))
		if again, err := m.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: %v\nread    %x\nwritten %x", what, err, b, again)
		}
	}
	for _, file := range goldenFiles(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		root := takeApart(b)[0]
		if !bytes.Equal(root.bytes(), b) {
			t.Fatalf("%s: taking apart and together changes it", file)
		}
		i := 0
		root.walk(func(n *node) {
			i++
			saved := *n
			try := func(how string, change func()) {
				change()
				check(fmt.Sprintf("%s: element %d %s", file, i, how), root.bytes())
				*n = saved
			}
			try("empty", func() { n.contents, n.parts = nil, nil })
			try("with another tag", func() { n.tag ^= 1 })
			try("with tag 9", func() { n.tag = 9 })
			try("private", func() { n.class = 3 })
			try("primitive context", func() { n.class, n.compound, n.contents = 2, false, []byte{0} })
			if n.compound {
				try("with a NULL more", func() { n.parts = append(n.parts[:len(n.parts):len(n.parts)], &node{tag: 5}) })
				try("with a NULL first", func() { n.parts = append([]*node{{tag: 5}}, n.parts...) })
				for j := range n.parts {
					try("with a part less", func() {
						n.parts = append(append([]*node(nil), saved.parts[:j]...), saved.parts[j+1:]...)
					})
					try("with a part twice", func() {
						n.parts = append(append([]*node(nil), saved.parts[:j+1]...), saved.parts[j:]...)
					})
				}
				if len(n.parts) > 1 {
					try("in reverse", func() {
						n.parts = nil
						for _, p := range saved.parts {
							n.parts = append([]*node{p}, n.parts...)
						}
					})
				}
			} else {
				try("with an octet 0 more", func() { n.contents = append(bytes.Clone(n.contents), 0) })
				try("with an octet 0 first", func() { n.contents = append([]byte{0}, n.contents...) })
				try("with an octet ff first", func() { n.contents = append([]byte{0xff}, n.contents...) })
				if len(n.contents) > 0 {
					try("with the first octet ff", func() { n.contents = bytes.Clone(n.contents); n.contents[0] = 0xff })
					try("with the last octet 80", func() { n.contents = bytes.Clone(n.contents); n.contents[len(n.contents)-1] = 0x80 })
				}
			}
		})
	}
	if accepted < 1000 || refused < 10_000 {
		t.Errorf("only %d accepted and %d refused", accepted, refused)
	}
}
