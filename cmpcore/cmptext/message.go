package cmptext

import (
	"fmt"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// maxNested bounds how deep nested messages are shown.
const maxNested = 5

// build reads a message into a tree: the root's children are the parts.
func build(m *cmp.PKIMessage, o Options, octets, chars int) *node {
	root := &node{kind: kindObject, t: &tree{nodes: maxNodes, octets: octets, chars: chars, inner: o.Inner}}
	if m == nil {
		root.str("error", errText(o.ParseErr, "not a PKIMessage"))
		return root
	}
	message(root, m, 0)
	if o.ParseErr != nil {
		root.str("error", errText(o.ParseErr, ""))
	}
	protectionResult(root, m, o.Protection)
	return root
}

func errText(err error, none string) string {
	if err == nil {
		return none
	}
	return err.Error()
}

// message adds what one PKIMessage holds to n.
func message(n *node, m *cmp.PKIMessage, depth int) {
	n.str("PKIMessage", bodyName(m))
	if m.Raw != nil {
		n.num("octets", int64(len(m.Raw)))
	}
	header(n.object("header"), &m.Header)
	if m.Body == nil {
		b := n.str("body", "not readable")
		if m.RawBody != nil {
			b.text += ": " + b.t.hex(m.RawBody)
		}
	} else {
		body(n, m.Body, depth)
	}
	if len(m.ExtraCerts) > 0 {
		certificates(n.list("extraCerts"), m.ExtraCerts)
	}
}

func bodyName(m *cmp.PKIMessage) string {
	if m.Body != nil {
		return m.Body.Type().String()
	}
	if len(m.RawBody) > 0 {
		return cmp.BodyType(m.RawBody[0]&0x1f).String() + " (not readable)"
	}
	return "body not readable"
}

func header(n *node, h *cmp.PKIHeader) {
	n.num("pvno", int64(h.PVNO))
	if h.Sender != nil {
		n.str("sender", generalName(h.Sender))
	}
	if h.Recipient != nil {
		n.str("recipient", generalName(h.Recipient))
	}
	n.time("messageTime", h.MessageTime)
	if !h.ProtectionAlg.IsZero() {
		algorithm(n, "protectionAlg", h.ProtectionAlg)
	}
	if h.SenderKID != nil {
		keyID(n, "senderKID", h.SenderKID)
	}
	if h.RecipKID != nil {
		keyID(n, "recipKID", h.RecipKID)
	}
	for _, v := range []struct {
		key   string
		value []byte
	}{{"transactionID", h.TransactionID}, {"senderNonce", h.SenderNonce}, {"recipNonce", h.RecipNonce}} {
		if v.value != nil {
			n.hex(v.key, v.value)
		}
	}
	freeText(n, "freeText", h.FreeText)
	if len(h.GeneralInfo) > 0 {
		l := n.list("generalInfo")
		for i := range h.GeneralInfo {
			info(l.object(""), &h.GeneralInfo[i])
		}
	}
}

// keyID shows the octets and, where they are the reference of a shared secret,
// the text.
func keyID(n *node, key string, id []byte) {
	c := n.object(key)
	c.hex("hex", id)
	c.line = n.t.hex(id)
	if s := string(id); len(id) > 0 && clean(s) == s {
		c.free("text", s)
		c.line += " " + quote(n.t.cut(s))
	}
}

func freeText(n *node, key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	l := n.list(key)
	for _, t := range texts {
		l.free("", t)
	}
}

// generalName writes a directory name alone: nearly every name is one.
func generalName(g pkix.GeneralName) string {
	if n, ok := g.DirectoryName(); ok {
		return nameText(n)
	}
	return g.String()
}

func nameText(n pkix.Name) string {
	if n.IsEmpty() {
		return "NULL-DN"
	}
	return n.String()
}

// protectionResult adds the last line.
func protectionResult(n *node, m *cmp.PKIMessage, p *Protection) {
	c := n.object("protection")
	state := ""
	switch {
	case m.Protection == nil && m.Header.ProtectionAlg.IsZero():
		state = "absent"
	case m.Protection == nil:
		state = "absent, though the header names an algorithm"
	default:
		state = fmt.Sprintf("present, %d octets", len(m.Protection))
		c.num("octets", int64(len(m.Protection)))
	}
	result := ""
	switch {
	case p == nil && m.Protection == nil:
	case p == nil:
		result = "not checked (" + notChecked(m) + ")"
	case p.Err != nil:
		result = "WRONG: " + p.Err.Error()
	default:
		result = "good"
		if p.By != "" {
			result += ", by " + p.By
		}
	}
	c.str("kind", cmp.ProtectionKind(m.Header.ProtectionAlg).String())
	c.bool("present", m.Protection != nil)
	if result != "" {
		c.str("result", result)
	}
	c.line = strings.Join(append([]string{state}, nonEmpty(result)...), ", ")
}

// notChecked says what a check would need.
func notChecked(m *cmp.PKIMessage) string {
	switch kind := cmp.ProtectionKind(m.Header.ProtectionAlg); {
	case kind == cmp.ProtectionMAC:
		return "no secret given"
	case kind == cmp.ProtectionDHMAC || kind == cmp.ProtectionKEMMAC:
		return "that takes one of the two private keys"
	case kind == cmp.ProtectionSignature && len(m.ExtraCerts) == 0:
		return "the message brings no certificate"
	}
	return "no trusted certificate given"
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}
