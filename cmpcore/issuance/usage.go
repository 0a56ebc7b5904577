package issuance

import (
	"crypto"
	"slices"
	"strings"

	"cmp-batch/cmpcore/pkix"
)

// grantKeyUsage gives the key usages of the certificate; zero is none.
func (p *Profile) grantKeyUsage(requested *pkix.Extension, pub crypto.PublicKey) (granted pkix.KeyUsage, mod string, ref *Refusal) {
	r := &p.keyUsage
	usable := usableWith(pub)
	granted = withoutNarrow(r.def & usable)
	if requested == nil {
		if r.def != 0 && granted == 0 {
			return 0, "", p.refuse(BadAlg, "keys of this type cannot serve the purpose of the certificate",
				"key_usage: the key can serve none of %s", r.def)
		}
		if p.ca && granted&pkix.KeyCertSign == 0 {
			return 0, "", p.refuse(BadAlg, "keys of this type cannot sign certificates", "key_usage: the key cannot serve keyCertSign")
		}
		return granted, "", nil
	}
	asked, ok := pkix.ParseKeyUsage(requested.Value)
	if !ok || asked == 0 {
		return 0, "", p.refuse(BadExtension, "the requested keyUsage is malformed", "key_usage: it is malformed or empty")
	}
	if r.choice {
		granted = withoutNarrow(asked & r.allowed & usable)
	}
	if granted == asked {
		return granted, "", nil
	}
	// A certificate without keyUsage is good for everything, so dropping the
	// last one would grant more than was asked for.
	if !p.drop || granted == 0 || p.ca && granted&pkix.KeyCertSign == 0 {
		return 0, "", p.refuse(UnacceptedExtension, "the requested keyUsage is not accepted",
			"key_usage: %s was asked for, %s could be granted to this key", asked, orNothing(granted.String()))
	}
	return granted, "keyUsage: granted " + orNothing(granted.String()), nil
}

// withoutNarrow leaves out encipherOnly and decipherOnly where keyAgreement,
// which they narrow, is not there.
func withoutNarrow(u pkix.KeyUsage) pkix.KeyUsage {
	if u&pkix.KeyAgreement == 0 {
		u &^= useNarrow
	}
	return u
}

// grantExtKeyUsage gives the extended key usages of the certificate, none for nil.
func (p *Profile) grantExtKeyUsage(requested *pkix.Extension) (granted []pkix.OID, mod string, ref *Refusal) {
	r := &p.extKeyUsage
	if requested == nil {
		return r.def, "", nil
	}
	asked, ok := pkix.ParseExtKeyUsage(requested.Value)
	if !ok || len(asked) > maxExtKeyUsages || hasTwice(asked) {
		return nil, "", p.refuse(BadExtension, "the requested extKeyUsage is malformed",
			"ext_key_usage: it is malformed, has more than %d purposes, or one twice", maxExtKeyUsages)
	}
	same := false
	if r.choice {
		granted = slices.DeleteFunc(slices.Clone(asked), func(o pkix.OID) bool { return !slices.Contains(r.allowed, o) })
		same = len(granted) == len(asked)
	} else {
		granted = r.def
		same = len(granted) == len(asked) && !slices.ContainsFunc(asked, func(o pkix.OID) bool { return !slices.Contains(granted, o) })
	}
	if same {
		return granted, "", nil
	}
	// As above: no purpose at all means any.
	if !p.drop || len(granted) == 0 {
		return nil, "", p.refuse(UnacceptedExtension, "the requested extKeyUsage is not accepted",
			"ext_key_usage: %s was asked for, %s could be granted", purposes(asked), purposes(granted))
	}
	return granted, "extKeyUsage: granted " + purposes(granted), nil
}

// maxExtKeyUsages bounds the comparison of each with each.
const maxExtKeyUsages = 64

func hasTwice(l []pkix.OID) bool {
	for i, o := range l {
		if slices.Contains(l[:i], o) {
			return true
		}
	}
	return false
}

func purposes(l []pkix.OID) string {
	names := make([]string, len(l))
	for i, o := range l {
		names[i] = pkix.ExtKeyUsageName(o)
	}
	return orNothing(clip(strings.Join(names, ",")))
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// grantBasicConstraints gives the constraints of the certificate.
func (p *Profile) grantBasicConstraints(requested *pkix.Extension, is *Issuer) (c pkix.BasicConstraints, mod string, ref *Refusal) {
	c = pkix.BasicConstraints{CA: p.ca, MaxPathLen: p.pathLen}
	if p.ca && is.pathLen >= 0 {
		if is.pathLen == 0 {
			return c, "", p.refuse(NotAuthorized, "this CA does not certify CAs",
				"basic_constraints.ca: the path length of the CA certificate allows no CA below it")
		}
		if c.MaxPathLen < 0 || c.MaxPathLen > is.pathLen-1 {
			c.MaxPathLen = is.pathLen - 1
		}
	}
	if requested == nil {
		return c, "", nil
	}
	asked, ok := pkix.ParseBasicConstraints(requested.Value)
	switch {
	case !ok:
		return c, "", p.refuse(BadExtension, "the requested basicConstraints is malformed", "basic_constraints: it is malformed")
	case asked.CA != p.ca:
		if !p.drop {
			return c, "", p.refuse(UnacceptedExtension, "the requested basicConstraints is not accepted",
				"basic_constraints.ca: CA %t was asked for, the profile has %t", asked.CA, p.ca)
		}
		if p.ca {
			return c, "basicConstraints: granted CA TRUE", nil
		}
		return c, "basicConstraints: granted CA FALSE", nil
	case asked.MaxPathLen >= 0 && (c.MaxPathLen < 0 || asked.MaxPathLen < c.MaxPathLen):
		c.MaxPathLen = asked.MaxPathLen // less than allowed may always be asked for
	case asked.MaxPathLen != c.MaxPathLen:
		if !p.drop {
			return c, "", p.refuse(UnacceptedExtension, "the requested path length is not accepted",
				"basic_constraints.path_len: %d was asked for, %d is the most", asked.MaxPathLen, c.MaxPathLen)
		}
		mod = "basicConstraints: the path length is limited"
	}
	return c, mod, nil
}
