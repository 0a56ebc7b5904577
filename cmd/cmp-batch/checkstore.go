package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	"cmp-batch/spool/sqlite"
)

// database tells whether the database could be opened.
func (k *checker) database(ctx context.Context) bool {
	path := k.cfg.Store.SQLite
	var err error
	if k.a.store, err = sqlite.Open(ctx, path, sqlite.Options{}); err != nil {
		do := ""
		if missing(err) {
			do = "cmp-batch init makes a CA with its database; a lost one comes back from the backup"
		}
		k.a.store = nil
		k.misconfigured("database", do, "%v", err)
		return false
	}
	k.private("database", path)
	n, err := k.a.store.Counts(ctx)
	if err != nil {
		k.fail("database", "", "%v", err)
		return true
	}
	k.ok("database", "%s: %s, %s waiting, %s", path, count(int(n.Certificates), "certificate"), count(int(n.Waiting), "request"), count(int(n.Secrets), "secret"))
	if n.Failed > 0 {
		k.warn("database", "cmp-batch queue ls", "%s failed", count(int(n.Failed), "message"))
	}
	k.lock(path, n.Undelivered)
	if k.quick {
		return true
	}
	if err := k.a.store.Check(ctx); err != nil {
		k.fail("database", "restore a backup", "%v", err)
	} else {
		k.ok("database", "no damage found")
	}
	if records, head, err := k.a.store.VerifyAudit(ctx); err != nil {
		k.fail("audit", "cmp-batch audit verify", "%v", err)
	} else {
		k.ok("audit", "the chain of %s is whole; head %x", count(int(records), "record"), head)
	}
	return true
}

func (k *checker) vault(ctx context.Context) bool {
	if _, ok := k.passphrase("vault", k.a.vaultIs(), k.cfg.Vault); !ok {
		return false
	}
	if err := k.a.unlock(ctx); err != nil {
		k.misconfigured("vault", k.a.vaultHint(), "%v", err)
		return false
	}
	k.ok("vault", "opens")
	return true
}

// secrets looks at every secret, but names only some.
func (k *checker) secrets(ctx context.Context) {
	const name = 5
	var n int
	groups := map[string][]string{}
	for s, err := range k.a.store.Secrets(ctx) {
		if err != nil {
			k.fail("secrets", "", "%v", err)
			return
		}
		n++
		add := func(group string) { groups[group] = append(groups[group], fmt.Sprintf("%.60q", s.Ref)) }
		if value, err := k.a.vault.Open(s.Ref, s.Sealed); err != nil {
			add("broken")
		} else {
			clear(value)
		}
		switch {
		case s.Expires.IsZero():
		case !k.now.Before(s.Expires):
			add("over")
		case s.Expires.Sub(k.now) < 30*24*time.Hour:
			add("soon")
		}
		if _, err := checkSecretRules(k.cfg, s); err != nil {
			add("ruleless")
		} else if w, _ := checkSecretRules(k.cfg, s); len(w) > 0 {
			add("useless")
		}
	}
	for p, err := range k.a.store.Passphrases(ctx) {
		if err != nil {
			k.fail("secrets", "", "%v", err)
			return
		}
		ref := fmt.Sprintf("%.100q", passphrasePrefix+p.Owner)
		if value, err := k.a.vault.Open(passphraseContext(p), p.Sealed); err != nil {
			groups["lost"] = append(groups["lost"], ref)
		} else {
			clear(value)
		}
		if !slices.ContainsFunc(k.cfg.Rules, func(r configs.Rule) bool { return r.Name == p.Rule && r.Passphrases }) {
			groups["idle"] = append(groups["idle"], ref)
		}
	}
	list := func(group string) string {
		refs := groups[group]
		if len(refs) > name {
			refs = append(refs[:name:name], fmt.Sprintf("and %d more", len(refs)-name))
		}
		return strings.Join(refs, ", ")
	}
	if len(groups["lost"]) > 0 {
		k.fail("secrets", "cmp-batch secret rm drops them; their owners leave new ones", "revocation passphrases do not open: %s", list("lost"))
	}
	if len(groups["idle"]) > 0 {
		k.warn("secrets", "cmp-batch secret rm drops them, or a rule of that name takes them again by revocation_passphrases",
			"their rules take no revocation passphrases any more, so they revoke nothing: %s", list("idle"))
	}
	if len(groups["broken"]) > 0 {
		k.fail("secrets", "remove and add them again", "do not open: %s", list("broken"))
	}
	if len(groups["over"]) > 0 {
		k.warn("secrets", "cmp-batch secret rm, or add them again", "have expired: %s", list("over"))
	}
	if len(groups["soon"]) > 0 {
		k.warn("secrets", "cmp-batch secret ls", "expire within 30 days: %s", list("soon"))
	}
	if len(groups["ruleless"]) > 0 {
		k.warn("secrets", "remove and add them again with another --rule", "are limited to a rule that is not there, or not about them: %s", list("ruleless"))
	}
	if len(groups["useless"]) > 0 {
		k.warn("secrets", "look at rules: in the configuration", "have limits that the rules do not fit: %s", list("useless"))
	}
	if len(groups) == 0 {
		k.ok("secrets", "%s", count(n, "secret"))
	}
}

func (k *checker) crl(ctx context.Context) {
	last, err := k.a.store.View().CRL(ctx)
	if err != nil {
		k.fail("crl", "", "%v", err)
		return
	}
	do := "cmp-batch crl makes a new one; run does so when it is due"
	switch {
	case last == nil:
		k.ok("crl", "none yet; the first run makes one")
	case k.now.After(last.NextUpdate):
		k.fail("crl", do, "number %d ended %s ago, on %s: whoever checks certificates refuses all", last.Number, age(k.now.Sub(last.NextUpdate)), stamp(last.NextUpdate))
	case k.cfg.CRL.Every > 0 && k.now.After(last.ThisUpdate.Add(k.cfg.CRL.Every)):
		k.warn("crl", do, "number %d is %s old, and every: says %s", last.Number, age(k.now.Sub(last.ThisUpdate)), age(k.cfg.CRL.Every))
	default:
		k.ok("crl", "number %d is good until %s", last.Number, until(last.NextUpdate, k.now))
	}
	path := k.cfg.CRL.File
	if path == "" {
		return
	}
	if err := writableFolder(filepath.Dir(path)); err != nil {
		k.fail("crl.file", "", "%v", err)
		return
	}
	data, err := os.ReadFile(path)
	switch {
	case last == nil, missing(err):
	case err != nil:
		k.fail("crl.file", "", "%v", err)
	case string(data) != string(last.DER):
		k.warn("crl.file", "the next run writes it", "%s is not the newest CRL", path)
	}
}

// slack is how far clocks may differ without a word.
const slack = 2 * time.Minute

// clock compares it with times that were true before.
func (k *checker) clock(ctx context.Context, stored bool) {
	last, what := buildTime(), "this program was built"
	later := func(t time.Time, of string) {
		if t.After(last) {
			last, what = t, of
		}
	}
	if stored {
		if crl, err := k.a.store.View().CRL(ctx); err == nil && crl != nil {
			later(crl.ThisUpdate, fmt.Sprintf("CRL %d was made", crl.Number))
		}
		if n, err := k.a.store.Counts(ctx); err == nil && n.AuditRecords > 0 {
			for r, err := range k.a.store.Audit(ctx, n.AuditRecords) {
				if err != nil {
					break
				}
				for line := range strings.Lines(string(r.Entries)) {
					var e cmpcore.AuditEntry
					if json.Unmarshal([]byte(line), &e) == nil {
						later(e.Time, fmt.Sprintf("record %d of the audit log was written", r.Seq))
					}
				}
			}
		}
	}
	if last.After(k.now.Add(slack)) {
		k.fail("clock", "set the clock of this machine before anything is issued", "it says %s, but %s at %s: it went back by %s", stamp(k.now), what, stamp(last), age(last.Sub(k.now)))
		return
	}
	k.ok("clock", "%s", stamp(k.now))
}

func buildTime() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				t, _ := time.Parse(time.RFC3339, s.Value)
				return t
			}
		}
	}
	return time.Time{}
}

func (k *checker) metrics() {
	if l := k.cfg.Metrics.Listen; l != "" {
		ln, err := net.Listen("tcp", l)
		switch {
		case err == nil:
			ln.Close()
			k.ok("metrics.listen", "%s is free", l)
		case k.running:
			k.ok("metrics.listen", "%s is in use, and a daemon is running", l)
		default:
			k.fail("metrics.listen", "choose another address, or end the program that has it", "%v", err)
		}
	}
	if p := k.cfg.Metrics.Textfile; p != "" {
		if err := writableFolder(filepath.Dir(p)); err != nil {
			k.fail("metrics.textfile", "", "%v", err)
			return
		}
		k.ok("metrics.textfile", "%s can be written", p)
	}
}

// lock tells whether a program is at work on the database.
func (k *checker) lock(path string, undelivered int64) {
	unlock, err := sqlite.LockRun(path)
	if errors.Is(err, sqlite.ErrInUse) {
		k.running = true
		k.ok("lock", "a run is at work: %v", err)
		return
	}
	if err != nil {
		k.fail("lock", "", "%v", err)
		return
	}
	unlock()
	k.ok("lock", "no run is at work")
	if undelivered > 0 {
		k.warn("database", "cmp-batch run --once", "%s not arrived: the next run delivers", count(int(undelivered), "answer"))
	}
}
