package main

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"
)

// trust looks at the CRLs of other CAs, and at rules that trust CAs of which
// there are none.
func (k *checker) trust() {
	about := map[string]bool{}
	for _, t := range k.cfg.Trust {
		for _, f := range t.Anchors {
			about[f] = true
		}
		k.shelf(t)
	}
	for i := range k.cfg.Rules {
		r := &k.cfg.Rules[i]
		if r.Certificate == nil {
			continue
		}
		for _, path := range r.Certificate.Files {
			certs, _ := readAnchors(path) // rules() has said what is wrong
			for _, c := range certs {
				if c.IsCA && !about[path] {
					k.warn("rules."+r.Name, "trust: in the configuration names CRLs", "nothing tells which certificates under %q in %s are revoked: they may all sign", pkix.Name(c.RawSubject).String(), path)
				}
			}
		}
	}
}

func (k *checker) shelf(t configs.Trust) {
	check := "trust." + t.Name
	if t.Revocation == "off" {
		k.warn(check, "", "revocation is off: revoked certificates may sign")
		return
	}
	s, err := newShelf(t)
	if err != nil {
		k.misconfigured(check, "", "%v", err)
		return
	}
	bad := k.fail
	effect := "signers of whom nothing else is known are refused"
	if t.Revocation == "prefer" {
		bad, effect = k.warn, "signers whom it does not list are believed"
	}
	s.reload(k.now, slog.New(slog.DiscardHandler))
	for _, f := range s.errors() {
		bad(check, "run goes on with what it has read before, if anything", "%v", f.err)
	}
	list := newest(*s.crls.Load(), k.now)
	if len(list) == 0 {
		bad(check, "", "there is no CRL: %s", effect)
	}
	for _, l := range list {
		k.foreignCRL(check, s, l, bad, effect)
	}
	for _, a := range s.anchors {
		if a.IsCA && !slices.ContainsFunc(list, func(l *certpath.CRL) bool { return l.Issuer().Matches(pkix.Name(a.RawSubject)) }) {
			bad(check, "add its CRL", "there is no CRL of the anchor %q: %s", pkix.Name(a.RawSubject).String(), effect)
		}
	}
}

func (k *checker) foreignCRL(check string, s *shelf, l *certpath.CRL, bad func(check, do, format string, a ...any), effect string) {
	text := fmt.Sprintf("CRL of %q", l.Issuer().String())
	if n := l.Number(); n != nil {
		text += fmt.Sprintf(" number %d", n)
	}
	text += fmt.Sprintf(", %d revoked, from %s until %s", l.Len(), stamp(l.ThisUpdate()), optionalStamp(l.NextUpdate()))
	const do = "get the new one from its CA"
	named, signed := false, false
	for _, a := range s.anchors {
		if l.Issuer().Matches(pkix.Name(a.RawSubject)) {
			named, signed = true, signed || l.SignedBy(a)
		}
	}
	left := l.NextUpdate().Sub(k.now)
	switch {
	case named && !signed:
		bad(check, do, "%s, is not signed by the anchor of that name: it does not count", text)
	case l.NextUpdate().IsZero():
		bad(check, "RFC 5280 wants nextUpdate", "%s, does not say until when it is valid: %s", text, effect)
	case k.now.Before(l.ThisUpdate()):
		bad(check, "look at the clock of this machine", "%s, is not valid yet: %s", text, effect)
	case left < 0:
		bad(check, do, "%s, ended %s ago: %s", text, age(-left), effect)
	case left < runsOut(l):
		k.warn(check, do, "%s, ends in %s", text, age(left))
	case l.Narrowed():
		k.warn(check, "", "%s, is about some reasons, or narrowed in a way that is not understood: it acquits nobody", text)
	default:
		k.ok(check, "%s", text)
	}
}

// runsOut is how long before its end a CRL should be replaced: a quarter of its
// life, and no more than a week.
func runsOut(l *certpath.CRL) time.Duration {
	return min(7*24*time.Hour, l.NextUpdate().Sub(l.ThisUpdate())/4)
}
