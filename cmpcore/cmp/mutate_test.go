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

// mutants are the messages to be changed: the golden ones, with short
// certificates in place of theirs, and the bodies OpenSSL does not make.
func mutants(t *testing.T) map[string][]byte {
	list := map[string][]byte{
		"popdecc": message(header(), exp(5, seq(seq(sha256Alg, octets(1), octets(2)), seq(octets(3), octets(), exp(0, enveloped))))),
		"popdecr": message(header(), exp(6, seq(number(-129)))),
		"krr":     message(header(exp(7, seq(utf8("hi")))), exp(9, requestsDER)),
		"krp":     message(header(exp(3, octets(7))), exp(10, seq(rejectedDE, exp(0, cert1), exp(1, seq(cert2)), exp(2, seq(seq(exp(0, cert3), exp(0, implicitEnveloped(0)))))))),
		"ckuann":  message(header(), exp(15, exp(0, seq(cert3, exp(0, cert2), exp(1, cert1))))),
		"ckuann2": message(header(), exp(15, seq(cert1, cert2, cert3))),
		"cann":    message(header(), exp(16, cert1)),
		"rann":    message(header(), exp(17, seq(number(4), certIDDER, generalized("20301231235959"), generalized("20301231235959"), reasonDER))),
		"crlann":  message(header(), exp(18, seq(cert1, cert2))),
		"nested":  message(header(), exp(20, seq(message(header(), exp(19, null)), message(header(), exp(25, seq(seq(number(0)))))))),
		"cp":      message(header(), exp(3, seq(exp(1, seq(cert1)), seq(seq(number(-1), accepted, seq(exp(1, implicitEnveloped(0)), exp(0, seq(exp(0, oid(1, 2)), bits(7))), exp(1, seq(number(1), seq(seq(number(2), nullDN))))), octets(1)))))),
		"conf":    message(header(), exp(24, seq(seq(octets(3), number(-1), rejectedDE, exp(0, sha256Alg))))),
	}
	for _, file := range goldenFiles(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(b, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.ExtraCerts {
			m.ExtraCerts[i] = cert1
		}
		if rep, ok := m.Body.(*CertRepMessage); ok {
			for i := range rep.CAPubs {
				rep.CAPubs[i] = cert2
			}
			if k := rep.Responses[0].CertifiedKeyPair; k != nil {
				k.Certificate = cert3
			}
		}
		if list[file], err = m.Marshal(); err != nil {
			t.Fatal(err)
		}
	}
	return list
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
	for name, b := range mutants(t) {
		root := takeApart(b)[0]
		if !bytes.Equal(root.bytes(), b) {
			t.Fatalf("%s: taking apart and together changes it", name)
		}
		i := 0
		root.walk(func(n *node) {
			i++
			saved := *n
			try := func(how string, change func()) {
				change()
				check(fmt.Sprintf("%s: element %d %s", name, i, how), root.bytes())
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
