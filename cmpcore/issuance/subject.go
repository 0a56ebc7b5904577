package issuance

import (
	"slices"

	"cmp-batch/cmpcore/pkix"
)

// applySubject gives the subject of the certificate and says what was changed
// against the requested one.
func (p *Profile) applySubject(requested pkix.Name) (subject pkix.Name, rdns []rdn, mods []string, ref *Refusal) {
	r := &p.subject
	bad := func(detail string, args ...any) (pkix.Name, []rdn, []string, *Refusal) {
		return nil, nil, nil, p.refuse(BadTemplate, "the requested subject is not accepted", detail, args...)
	}
	subject = requested
	if requested == nil {
		subject = pkix.EmptyName
	}
	asked, err := parseName(subject)
	if err != nil {
		return nil, nil, nil, p.refuse(BadTemplate, "the requested subject is malformed", "subject: %v", err)
	}
	rdns = asked
	switch {
	case !r.fromRequest:
		rdns = r.fixed
	case len(r.fixed) > 0 && !r.has(asked):
		rdns = r.replace(asked)
	}
	if !slices.EqualFunc(rdns, asked, func(a, b rdn) bool { return &a.raw[0] == &b.raw[0] }) {
		subject = joinRDNs(rdns)
		if len(asked) > 0 && !sameName(asked, rdns) {
			mods = append(mods, "subject: changed to "+clip(subject.String()))
		}
	}
	if len(rdns) == 0 && !r.mayBeEmpty {
		return nil, nil, nil, p.refuse(BadTemplate, "the request has no subject", "subject.may_be_empty: the request has no subject")
	}
	for _, o := range r.required {
		if !hasAttribute(rdns, o) {
			return bad("subject.required: %s is missing", attributeName(o))
		}
	}
	if r.allowed == nil && len(r.patterns) == 0 {
		return subject, rdns, mods, nil
	}
	for _, one := range rdns {
		for _, a := range one.attrs {
			if r.fixedTypes[a.typ] {
				continue
			}
			if r.allowed != nil && !r.allowed[a.typ] {
				return bad("subject.allowed: %s is not in the list", attributeName(a.typ))
			}
			if re := r.patterns[a.typ]; re != nil && !re.MatchString(a.text) {
				return bad("subject.patterns.%s: %q does not match", attributeName(a.typ), clip(a.text))
			}
		}
	}
	return subject, rdns, mods, nil
}

// has tells whether the name has all fixed parts already, and no other values
// of their types. Then it stays as it is, byte for byte.
func (r *subjectRule) has(rdns []rdn) bool {
	want, got := 0, 0
	for _, f := range r.fixed {
		want += len(f.attrs)
		if !slices.ContainsFunc(rdns, func(x rdn) bool { return sameName([]rdn{x}, []rdn{f}) }) {
			return false
		}
	}
	for _, x := range rdns {
		for _, a := range x.attrs {
			if r.fixedTypes[a.typ] {
				got++
			}
		}
	}
	return want == got
}

// replace puts the fixed parts in front and leaves out RDNs of their types.
func (r *subjectRule) replace(rdns []rdn) []rdn {
	out := slices.Clone(r.fixed)
	for _, x := range rdns {
		if !slices.ContainsFunc(x.attrs, func(a attribute) bool { return r.fixedTypes[a.typ] }) {
			out = append(out, x)
		}
	}
	return out
}

func hasAttribute(rdns []rdn, typ pkix.OID) bool {
	return slices.ContainsFunc(rdns, func(x rdn) bool {
		return slices.ContainsFunc(x.attrs, func(a attribute) bool { return a.typ == typ })
	})
}
