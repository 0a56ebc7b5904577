package cmptext

import (
	"bytes"
	"io"

	"cmp-batch/cmpcore/pkix"
)

// CertificateText writes one certificate, with all its extensions, as indented
// lines. Only the writer can fail.
func CertificateText(w io.Writer, der []byte) error {
	var b bytes.Buffer
	for _, k := range buildCertificate(der, textOctets, textChars).kids {
		writeText(&b, k, 0, "")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// CertificateJSON gives the same as one JSON object on one line, without a line
// feed.
func CertificateJSON(der []byte) []byte {
	var b bytes.Buffer
	writeJSON(&b, buildCertificate(der, jsonOctets, jsonChars))
	return b.Bytes()
}

func buildCertificate(der []byte, octets, chars int) *node {
	n := &node{kind: kindObject, t: &tree{nodes: maxNodes, octets: octets, chars: chars}}
	certificate(n, der)
	c, ok := readCertificate(der)
	if !ok || len(c.extensions) == 0 {
		return n
	}
	// Here they stand with all others.
	n.drop(oidName(pkix.OIDSubjectAltName), oidName(pkix.OIDKeyUsage), oidName(pkix.OIDExtKeyUsage), oidName(pkix.OIDBasicConstraints))
	extensions(n.list("extensions"), c.extensions)
	return n
}

// drop takes children away.
func (n *node) drop(keys ...string) {
	var left []*node
	for _, k := range n.kids {
		gone := false
		for _, key := range keys {
			gone = gone || k.key == key
		}
		if !gone {
			left = append(left, k)
		}
	}
	n.kids = left
}

// Escape writes text of any origin on one line: what does not print, or turns
// the direction of writing, is escaped.
func Escape(s string) string { return clean(s) }

// Name is a word for the identifier of an algorithm, a control or an
// extension, or its dotted form.
func Name(o pkix.OID) string { return oidName(o) }
