package main

import (
	"crypto/x509"
	"fmt"
	"maps"
	"os/user"
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"
)

// rules finds what has no fault by itself and does not do what it seems to.
func (k *checker) rules() {
	before := k.warns + k.fails
	rules := k.cfg.Rules
	used := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		for _, p := range r.Profiles {
			used[p] = true
		}
		k.shadowed(rules[:i], r)
		if r.Certificate != nil {
			for _, path := range r.Certificate.Files {
				k.anchors(r.Name, path)
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(k.cfg.Profiles)) {
		if !used[p] {
			k.warn("profiles."+p, "name it in a rule, or remove it", "no rule uses this profile")
		}
	}
	policies := map[string]bool{k.cfg.Process.Policy: true, "standard": true}
	for _, ch := range k.cfg.Channels {
		policies[ch.Policy] = true
	}
	for _, p := range slices.Sorted(maps.Keys(k.cfg.Policies)) {
		if !policies[p] {
			k.warn("policies."+p, "name it in a channel, or remove it", "no channel uses this policy")
		}
	}
	k.approvers()
	if len(k.cfg.Channels) == 0 {
		k.warn("channels", "", "there are none: only the process command can be used")
	}
	if k.warns+k.fails == before {
		k.ok("rules", "%s, %s", count(len(rules), "rule"), count(len(k.cfg.Profiles), "profile"))
	}
}

// approvers looks at who may decide, and whether several really are.
func (k *checker) approvers() {
	people := map[string][]string{} // by account
	var accounts []string
	for _, p := range k.cfg.Approvers {
		if people[p.Account] == nil {
			accounts = append(accounts, p.Account)
		}
		people[p.Account] = append(people[p.Account], p.Name)
	}
	for _, account := range accounts {
		if names := people[account]; len(names) > 1 {
			k.warn("approvers", "give each an account of the operating system", "%s share the account %q: each can approve for the others", strings.Join(names, ", "), account)
		}
		if _, err := user.Lookup(account); err != nil && !strings.HasPrefix(account, "uid:") {
			k.warn("approvers", "write the account's name as it is on the host where queue approve is called", "the account %q is not known on this host", account)
		}
	}
	if len(accounts) == 0 {
		return
	}
	for i := range k.cfg.Rules {
		if r := &k.cfg.Rules[i]; r.Approvals > len(accounts) {
			k.warn("rules."+r.Name, "give each of approvers an account", "%d people must approve, and they have %s: fewer can do it", r.Approvals, count(len(accounts), "account"))
		}
	}
}

// shadowed reports messages of a rule that an earlier one always decides about.
func (k *checker) shadowed(earlier []configs.Rule, r *configs.Rule) {
	by := map[string][]string{}
	var names []string
	n := 0
	for _, body := range r.May {
		for i := range earlier {
			e := &earlier[i]
			if !slices.Contains(e.May, body) || !covers(e, r) {
				continue
			}
			if by[e.Name] == nil {
				names = append(names, e.Name)
			}
			by[e.Name] = append(by[e.Name], body.String())
			n++
			break
		}
	}
	if n == 0 {
		return
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s by %s", strings.Join(by[name], ", "), name))
	}
	text := "is never used for some messages, which earlier rules decide: "
	if n == len(r.May) {
		text = "is never used: earlier rules decide, "
	}
	k.warn("rules."+r.Name, "put the narrower rule first: the first that matches decides", "%s%s", text, strings.Join(parts, "; "))
}

// covers tells whether everybody that b is about is also one of a; false where
// that is not obvious.
func covers(a, b *configs.Rule) bool {
	if (a.Certificate == nil) != (b.Certificate == nil) {
		return false
	}
	if a.Certificate == nil {
		return all(b.Secret, func(g configs.Glob) bool {
			return slices.ContainsFunc(a.Secret, func(h configs.Glob) bool {
				return h.String() == g.String() || strings.Trim(h.String(), "*") == "" && h.String() != ""
			})
		})
	}
	x, y := a.Certificate, b.Certificate
	return (x.IssuedHere || !y.IssuedHere) &&
		all(y.Files, func(f string) bool { return slices.Contains(x.Files, f) }) &&
		(len(x.Subjects) == 0 || len(y.Subjects) > 0 && all(y.Subjects, func(s configs.Subject) bool {
			return slices.ContainsFunc(x.Subjects, func(t configs.Subject) bool { return t.String() == s.String() || t.String() == "*" })
		}))
}

func all[T any](list []T, is func(T) bool) bool {
	return !slices.ContainsFunc(list, func(x T) bool { return !is(x) })
}

// anchors looks at the certificates that a rule trusts.
func (k *checker) anchors(rule, path string) {
	certs, err := readCertificates(path)
	if err != nil {
		k.misconfigured("rules."+rule, "", "%v", err)
		return
	}
	for _, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			k.misconfigured("rules."+rule, "", "%s: %v", path, err)
			continue
		}
		name := pkix.Name(c.RawSubject).String()
		switch {
		case k.now.After(c.NotAfter):
			k.warn("rules."+rule, "renew it: nobody can ask by it any more", "%q in %s ended on %s", name, path, stamp(c.NotAfter))
		case c.NotAfter.Sub(k.now) < soon:
			k.warn("rules."+rule, "renew it in time", "%q in %s ends in %s", name, path, age(c.NotAfter.Sub(k.now)))
		}
	}
}

// firstRule gives the rule that decides about a message of a secret's holder.
func firstRule(cfg *configs.Config, ref string, body cmp.BodyType) *configs.Rule {
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		if r.Certificate == nil && r.MatchesSecret(ref) && slices.Contains(r.May, body) {
			return r
		}
	}
	return nil
}
