package configs

import (
	"maps"
	"slices"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
)

func (r *reader) policies(w map[string]writtenPolicy) map[string]Policy {
	out := make(map[string]Policy, len(w)+1)
	for _, name := range slices.Sorted(maps.Keys(w)) {
		p := w[name]
		out[name] = r.policy(name, child("policies", name), &p)
	}
	if _, written := w[standardPolicy]; !written {
		p := defaultPolicy()
		out[standardPolicy] = r.policy(standardPolicy, child("policies", standardPolicy), &p)
	}
	return out
}

func defaultPolicy() writtenPolicy {
	var p writtenPolicy
	p.defaults()
	p.MAC.defaults()
	return p
}

func (r *reader) policy(name, at string, w *writtenPolicy) Policy {
	key := func(k string) string { return child(at, k) }
	p := Policy{
		Name:               name,
		Lightweight:        r.word(key("protocol"), w.Protocol, "rfc9810", "rfc9483") == 1,
		MessageTimeWindow:  r.length(key("message_time_window"), w.MessageTimeWindow, time.Second, true),
		RequireMessageTime: w.RequireMessageTime,
		ImplicitConfirm:    w.ImplicitConfirm,
		ConfirmWait:        r.length(key("confirm_wait"), w.ConfirmWait, time.Minute, false),
		KeepUnconfirmed:    r.word(key("on_confirm_timeout"), w.OnConfirmTimeout, "revoke", "keep") == 1,
		TransactionLife:    r.length(key("transaction_life"), w.TransactionLife, time.Minute, false),
		Hold:               r.word(key("waiting"), w.Waiting, "poll", "hold") == 1,
		PollInterval:       r.length(key("poll_interval"), w.PollInterval, time.Second, false),
		LastPollNonce:      r.word(key("poll_nonce"), w.PollNonce, "first", "last") == 1,
		ExtraCertsRoot:     w.ExtraCertsRoot,
		Tolerate:           r.words(key("tolerate"), w.Tolerate, "a deviation that can be tolerated", Tolerances),
		KEMRequesters:      w.KEMRequesters,
		SilentToStrangers:  w.SilentToStrangers,
		SignErrors:         w.SignErrors,
		MaxRequests:        r.number(key("max_requests"), w.MaxRequests, 1, 100_000),
		MAC:                r.mac(key("mac"), &w.MAC),
		Signatures:         r.signatures(key("signatures"), &w.Signatures),
	}
	if p.KEMRequesters && p.SilentToStrangers {
		r.fault(key("kem_requesters"), "these begin with a question that is not protected, and silent_to_strangers leaves it unanswered; remove one of both")
	}
	if p.Hold && r.has(key("poll_interval")) {
		r.fault(key("poll_interval"), "nobody polls where waiting is hold; remove the key")
	}
	if p.PollInterval > 0 && p.TransactionLife > 0 && p.PollInterval > p.TransactionLife && !p.Hold {
		r.fault(key("poll_interval"), "%s is longer than transaction_life, which is %s", w.PollInterval, w.TransactionLife)
	}
	return p
}

func (r *reader) mac(at string, w *writtenMAC) alg.MACPolicy {
	const most = 100_000_000
	p := alg.MACPolicy{
		Only:                r.words(child(at, "algorithms"), w.Algorithms, "a MAC algorithm", alg.MACKinds()),
		MinIterations:       r.number(child(at, "min_iterations"), w.MinIterations, 1, most),
		MaxIterations:       r.number(child(at, "max_iterations"), w.MaxIterations, 1, most),
		MaxPBMAC1Iterations: r.number(child(at, "max_pbmac1_iterations"), w.MaxPBMAC1Iterations, 1, most),
		MinSalt:             r.number(child(at, "min_salt"), w.MinSalt, 1, alg.DefaultMaxSalt),
		AllowSHA1:           w.AllowSHA1,
		RefuseHMACSHA1:      !w.AllowHMACSHA1,
	}
	if p.MinIterations > p.MaxIterations {
		r.fault(child(at, "min_iterations"), "%d is above max_iterations, which is %d", p.MinIterations, p.MaxIterations)
	}
	if p.MinIterations > p.MaxPBMAC1Iterations {
		r.fault(child(at, "min_iterations"), "%d is above max_pbmac1_iterations, which is %d", p.MinIterations, p.MaxPBMAC1Iterations)
	}
	return p
}

func (r *reader) signatures(at string, w *writtenSignatures) alg.SignaturePolicy {
	names := alg.SignatureNames()
	weak := append(slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !weakSignature(s) }), alg.WeakKeyTypes()...)
	names = append(names, alg.WeakKeyTypes()...)
	p := alg.SignaturePolicy{
		Only: r.words(child(at, "algorithms"), w.Algorithms, "a signature algorithm", names),
		Weak: r.words(child(at, "weak"), w.Weak, "a weak signature algorithm", weak),
	}
	if len(p.Only) > 0 && len(p.Weak) > 0 {
		r.fault(child(at, "weak"), "algorithms lists all that is accepted; write the weak ones there")
	}
	return p
}

func (r *reader) policyName(path, name string, policies map[string]Policy) {
	if _, ok := policies[name]; !ok {
		r.fault(path, "%q is not a policy; %s", clip(name), oneOf(name, slices.Sorted(maps.Keys(policies))))
	}
}

func (r *reader) channels(w []writtenChannel, policies map[string]Policy, dir string) []Channel {
	seen := map[string]int{}
	folders := map[string]string{} // path of the key by folder
	channels := make([]Channel, len(w))
	for i := range w {
		at := index("channels", i)
		r.uniqueName(at, w[i].Name, seen, i)
		r.policyName(child(at, "policy"), w[i].Policy, policies)
		channels[i] = Channel{Name: w[i].Name, Policy: w[i].Policy}
		if w[i].Dir == nil {
			r.missing(child(at, "dir"), "dir: {in: spool/in, out: spool/out, archive: spool/archive, failed: spool/failed}")
			continue
		}
		channels[i].Dir = r.dir(child(at, "dir"), w[i].Dir, folders, dir)
	}
	return channels
}

func (r *reader) dir(at string, w *writtenDir, folders map[string]string, dir string) *Dir {
	folder := func(key, s, hint string) string {
		path := child(at, key)
		f := r.path(dir, path, s, hint)
		if f == "" {
			return ""
		}
		if other, taken := folders[f]; taken {
			r.fault(path, "it is the folder of %s too; each needs its own", other)
		} else {
			folders[f] = path
		}
		return f
	}
	d := &Dir{
		In:         folder("in", w.In, "in: spool/in"),
		Out:        folder("out", w.Out, "out: spool/out"),
		Delete:     w.Delete,
		StaleAfter: r.length(child(at, "stale_after"), w.StaleAfter, time.Second, true),
		Suffixes:   w.Suffixes,
	}
	switch {
	case w.Delete && w.Archive != "":
		r.fault(child(at, "delete"), "it is either an archive or delete; remove one of both")
	case !w.Delete:
		d.Archive = folder("archive", w.Archive, "archive: spool/archive, or delete: true")
	}
	d.Failed = folder("failed", w.Failed, "failed: spool/failed")
	r.suffixes(child(at, "suffixes"), w.Suffixes)
	return d
}

func (r *reader) suffixes(path string, list []string) {
	if len(list) == 0 {
		r.fault(path, "the list is empty; no file would ever be read")
	}
	for i, s := range list {
		at := index(path, i)
		switch {
		case len(s) < 2 || len(s) > 32 || s[0] != '.' || strings.ContainsAny(s, `/\*?`):
			r.fault(at, "%q is not the ending of a file's name, such as .pki", clip(s))
		case s == ".tmp" || s == ".part" || s == ".writing" || strings.HasSuffix(s, "~"):
			r.fault(at, "%q is for files that are still being written", clip(s))
		case slices.Contains(list[:i], s):
			r.fault(at, "%q is there twice", clip(s))
		}
	}
}
