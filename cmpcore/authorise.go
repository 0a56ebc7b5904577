package cmpcore

import (
	"bytes"
	"iter"
	"slices"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// rule finds the first rule that speaks of this requester and this body type.
// The reply does not name it; the log does.
func (x *exchange) rule(body cmp.BodyType) (*Rule, error) {
	if x.who.phrase != nil {
		return x.ruleOfPassphrase(body)
	}
	for r, err := range x.rules(func(r *Rule) bool { return slices.Contains(r.May, body) }) {
		if err == nil {
			err = x.secretAllows(r, body)
		}
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	return nil, refuse(cmp.NotAuthorized, "this requester may not send a "+body.String()+" message").
		because("no rule for %s and %s", x.who.identity, body)
}

// rules yields those that speak of this requester and that want accepts, in
// their order. An error is the last that it yields. want is asked first: matches
// may build a certificate path.
func (x *exchange) rules(want func(*Rule) bool) iter.Seq2[*Rule, error] {
	return func(yield func(*Rule, error) bool) {
		for i := range x.cfg.Rules {
			r := &x.cfg.Rules[i]
			if !x.secretMeans(r) || !want(r) {
				continue
			}
			ok, err := x.matches(i)
			if err != nil {
				yield(nil, err)
				return
			}
			if ok && !yield(r, nil) {
				return
			}
		}
	}
}

// matches tells whether a rule, by its number, speaks of this requester.
func (x *exchange) matches(i int) (bool, error) {
	r := &x.cfg.Rules[i]
	if r.Secret != nil {
		return x.who.secret != nil && r.Secret(x.who.secret.Ref), nil
	}
	w, cert := r.Certificate, x.who.cert
	if cert == nil {
		return false, nil
	}
	if w.Subject != nil && !w.Subject(pkix.Name(cert.RawSubject)) {
		return false, nil
	}
	if w.CMCRA && !hasPurpose(cert, pkix.OIDCMCRA) {
		return false, nil
	}
	if w.IssuedHere && x.who.issued != nil {
		return true, nil
	}
	bad, err := x.chainsTo(cert, x.ruleAnchors[i])
	return bad == nil && err == nil, err
}

// secretAllows applies the limits that were registered with a shared secret.
func (x *exchange) secretAllows(r *Rule, body cmp.BodyType) error {
	s := x.who.secret
	if s == nil {
		return nil
	}
	if len(s.Bodies) == 0 || slices.Contains(s.Bodies, body.String()) {
		return nil
	}
	f := refuse(cmp.NotAuthorized, "the shared secret may not be used for this").because("reference %q is for %v", s.Ref, s.Bodies)
	f.rule = r.Name
	return f
}

// secretMeans tells whether a shared secret may be used under a rule: one that
// was registered for a rule passes over all others.
func (x *exchange) secretMeans(r *Rule) bool {
	s := x.who.secret
	return s == nil || s.Rule == "" || s.Rule == r.Name
}

// namesAllowed applies the rule's narrowing to the names of a certificate.
func (x *exchange) namesAllowed(r *Rule, subject pkix.Name, exts []pkix.Extension) error {
	if r.Names != nil && !r.Names(subject) {
		return refuse(cmp.NotAuthorized, "this requester may not have a certificate of this name").
			because("rule %s, subject %.200q", r.Name, subject.String())
	}
	if !r.Own || x.who.cert == nil {
		return nil
	}
	if !subject.Matches(pkix.Name(x.who.cert.RawSubject)) {
		return refuse(cmp.NotAuthorized, "the subject must be that of the certificate that signs")
	}
	if san, ok := pkix.FindExtension(exts, pkix.OIDSubjectAltName); ok {
		if own := ownSAN(x.who.cert); !bytes.Equal(own, san.Value) {
			return refuse(cmp.NotAuthorized, "subjectAltName must be that of the certificate that signs")
		}
	}
	return nil
}
