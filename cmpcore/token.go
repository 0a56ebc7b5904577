package cmpcore

import (
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

// A registration token tells who somebody is whose certificate only says what
// it is, such as a maker's (RFC 4211 sections 6.1 and 6.2: "the receiving CA
// verifies the information"). It is a shared secret that was registered for the
// rule alone, written as REF:SECRET: as it lies open in the request, it must be
// good for nothing else.

// takesToken tells whether requests of this kind bring a token. An update
// continues what was registered.
func (r *Rule) takesToken(kind cmp.BodyType) bool {
	return r.RegToken && (kind == cmp.TypeIR || kind == cmp.TypeCR)
}

// checkTokenRule refuses rules whose tokens could not do what they promise.
func (c *Config) checkTokenRule(r *Rule) error {
	switch {
	case !r.RegToken:
		return nil
	case r.Certificate == nil:
		return fmt.Errorf("rule %s: registration tokens are for holders of certificates; who has a shared secret is registered by it", r.Name)
	case slices.Contains(r.May, cmp.TypeP10CR) || slices.Contains(r.May, cmp.TypeCCR):
		return fmt.Errorf("rule %s: p10cr and ccr bring no registration token", r.Name)
	}
	return nil
}

// checkToken finds the token of a request, in control regToken or authenticator,
// and refuses one that is not good. Without RegToken nothing depends on either.
func (x *exchange) checkToken(rule *Rule, kind cmp.BodyType, it *certItem) error {
	token, has := "", false
	for _, c := range it.req.CertReq.Controls {
		var text string
		var err error
		switch c.Type {
		case crmf.OIDRegToken:
			text, err = c.RegToken()
		case crmf.OIDAuthenticator:
			text, err = c.Authenticator()
		default:
			continue
		}
		if err != nil {
			return refuse(cmp.BadDataFormat, "the registration token could not be read")
		}
		if has && rule.takesToken(kind) {
			return refuse(cmp.BadRequest, "the request has two registration tokens")
		}
		token, has = text, true
	}
	if !rule.takesToken(kind) {
		return nil
	}
	if !has {
		return refuse(cmp.NotAuthorized, "the registration token is missing")
	}
	s, why, err := x.openToken(rule, kind, token)
	switch {
	case err != nil:
		return err
	case why != "":
		return refuse(cmp.NotAuthorized, "the registration token is not accepted").because("%s", why)
	case s.MaxUses > 0 && s.Used >= s.MaxUses:
		return tokenUsedUp(s)
	}
	it.token = s
	return nil
}

// openToken finds the secret that a token is; why says what is wrong with it.
func (x *exchange) openToken(rule *Rule, kind cmp.BodyType, token string) (s *Secret, why string, err error) {
	i := strings.LastIndexByte(token, ':')
	if i <= 0 {
		return nil, "it has not the form REF:SECRET", nil
	}
	ref := token[:i]
	if s, err = x.view.Secret(x.ctx, ref); err != nil {
		return nil, "", err
	}
	if s == nil {
		return nil, "no shared secret has its reference", nil // which may be a part of the secret
	}
	value, err := x.cfg.Unseal(s)
	if err != nil {
		return nil, "", fmt.Errorf("open shared secret %.64q: %w", ref, err)
	}
	switch {
	case subtle.ConstantTimeCompare(value, []byte(token[i+1:])) != 1:
		why = fmt.Sprintf("it is not the secret of reference %.64q", ref)
	case s.Rule != rule.Name:
		why = fmt.Sprintf("reference %.64q is not registered for this rule alone", ref)
	case len(s.Bodies) > 0 && !slices.Contains(s.Bodies, kind.String()):
		why = fmt.Sprintf("reference %.64q is for %v", ref, s.Bodies)
	case x.tx == nil && !s.Expires.IsZero() && !x.now.Before(s.Expires):
		why = fmt.Sprintf("reference %.64q has expired on %s", ref, s.Expires)
	}
	return s, why, nil
}

func tokenUsedUp(s *Secret) error {
	return refuse(cmp.NotAuthorized, "the registration token is used up").because("reference %.64q has brought %d of %d certificates", s.Ref, s.Used, s.MaxUses)
}

// countTokens counts the certificates of this message that each token brings,
// and refuses what is too much.
func (x *exchange) countTokens(items []certItem) {
	for i := range items {
		it := &items[i]
		if it.fail != nil || it.token == nil {
			continue
		}
		at := slices.IndexFunc(x.out.SecretUses, func(u SecretUse) bool { return u.Ref == it.token.Ref })
		if at < 0 {
			at = len(x.out.SecretUses)
			x.out.SecretUses = append(x.out.SecretUses, SecretUse{Ref: it.token.Ref})
		}
		u := &x.out.SecretUses[at]
		if s := it.token; s.MaxUses > 0 && s.Used+u.N >= s.MaxUses {
			it.fail, _ = asFailure(tokenUsedUp(s))
			continue
		}
		u.N++
	}
}
