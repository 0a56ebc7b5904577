package cmptext

import (
	"fmt"
	"strings"

	"cmp-batch/cmpcore/pkix"
)

func extensions(l *node, list []pkix.Extension) {
	for _, e := range list {
		c := l.object("")
		name, text := oidName(e.ID), extensionText(l.t, e)
		c.str("id", name)
		c.bool("critical", e.Critical)
		c.str("value", text)
		if e.Critical {
			name += " (critical)"
		}
		c.line = name + ": " + text
	}
}

// maxListed bounds the names shown of one extension.
const maxListed = 100

// extensionText is the value of a well-known extension in words, or hex.
func extensionText(t *tree, e pkix.Extension) string {
	text, ok := "", false
	switch e.ID {
	case pkix.OIDSubjectAltName, pkix.OIDIssuerAltName:
		var names []pkix.GeneralName
		if names, ok = pkix.ParseSubjectAltName(e.Value); ok {
			text = generalNames(t, names)
		}
	case pkix.OIDKeyUsage:
		var u pkix.KeyUsage
		u, ok = pkix.ParseKeyUsage(e.Value)
		text = u.String()
	case pkix.OIDExtKeyUsage:
		var oids []pkix.OID
		if oids, ok = pkix.ParseExtKeyUsage(e.Value); ok {
			text = joinOIDs(oids, pkix.ExtKeyUsageName)
		}
	case pkix.OIDBasicConstraints:
		var c pkix.BasicConstraints
		if c, ok = pkix.ParseBasicConstraints(e.Value); ok {
			text = "not a CA"
			if c.CA {
				text = "CA"
				if c.MaxPathLen >= 0 {
					text = fmt.Sprintf("CA, path length at most %d", c.MaxPathLen)
				}
			}
		}
	case pkix.OIDSubjectKeyID:
		var id []byte
		id, ok = pkix.ParseSubjectKeyID(e.Value)
		text = t.hex(id)
	case pkix.OIDAuthorityKeyID:
		var a pkix.AuthorityKeyID
		if a, ok = pkix.ParseAuthorityKeyID(e.Value); ok {
			text = authorityKeyID(t, a)
		}
	case pkix.OIDCertificatePolicies:
		var oids []pkix.OID
		if oids, ok = pkix.ParseCertificatePolicies(e.Value); ok {
			text = joinOIDs(oids, oidName)
		}
	case pkix.OIDReasonCode:
		var r pkix.CRLReason
		r, ok = pkix.ParseReasonCode(e.Value)
		text = r.String()
	case pkix.OIDInvalidityDate:
		d, good := pkix.ParseInvalidityDate(e.Value)
		text, ok = d.UTC().Format("2006-01-02T15:04:05Z"), good
	}
	if !ok || text == "" {
		return "hex " + t.hex(e.Value)
	}
	return t.cut(text)
}

func authorityKeyID(t *tree, a pkix.AuthorityKeyID) string {
	var parts []string
	if a.KeyID != nil {
		parts = append(parts, t.hex(a.KeyID))
	}
	if a.Issuer != nil {
		parts = append(parts, "issuer "+generalNames(t, a.Issuer))
	}
	if a.Serial != nil {
		parts = append(parts, "serial "+serial(a.Serial))
	}
	return strings.Join(parts, ", ")
}

// generalNames stops as soon as there is enough to fill what is shown.
func generalNames(t *tree, names []pkix.GeneralName) string {
	var b strings.Builder
	for i, g := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxListed || b.Len() > t.chars {
			fmt.Fprintf(&b, "... (%d names)", len(names))
			break
		}
		b.WriteString(t.cut(g.String()))
	}
	return b.String()
}

func joinOIDs(oids []pkix.OID, name func(pkix.OID) string) string {
	var b strings.Builder
	for i, o := range oids {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == maxListed {
			fmt.Fprintf(&b, "... (%d)", len(oids))
			break
		}
		b.WriteString(name(o))
	}
	return b.String()
}
