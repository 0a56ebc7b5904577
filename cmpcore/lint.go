package cmpcore

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
)

// checkLint wants a linter for each profile that names lints, and for no other.
func (c *Config) checkLint(fail func(format string, a ...any)) {
	for _, name := range slices.Sorted(maps.Keys(c.Lint)) {
		if p := c.Profiles[name]; c.Lint[name] == nil || p == nil || !p.Linted() {
			fail("linter for profile %s: there is none, or no profile that wants it", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		if p := c.Profiles[name]; p == nil || !p.Linted() {
			continue
		}
		if c.Lint[name] == nil {
			fail("profile %s wants its certificates looked at, and there is no linter for it", name)
		}
		if is := c.Authority.Issuer; is != nil {
			if err := is.CanRehearse(); err != nil {
				fail("profile %s: lint: %w", name, err)
			}
		}
	}
}

// maxLintNames bounds the lints that a text names.
const maxLintNames = 4

// lint shows what is about to be signed to the linter of its profile. The CA's
// key signs only after it.
func (x *exchange) lint(it *certItem) error {
	look := x.cfg.Lint[it.profile]
	if look == nil {
		return nil
	}
	serial, err := issuance.NewSerial(x.cfg.Random)
	if err != nil {
		return err
	}
	trial, err := x.cfg.Authority.Issuer.Rehearse(x.cfg.Random, it.prepared, serial)
	if err != nil {
		return err
	}
	var refused, texts, noted []string
	for _, f := range look(trial) {
		if f.Refuse {
			refused = append(refused, f.Lint)
			texts = append(texts, f.Level+": "+f.Text)
		} else {
			noted = append(noted, f.Lint)
		}
	}
	if len(refused) > 0 {
		return refuse(cmp.BadCertTemplate, "the certificate would not pass lint: "+lintNames(refused)).
			because("profile %s: %s", it.profile, strings.Join(texts, "; "))
	}
	// The octets that were looked at, and no others.
	it.serial, it.lint = serial, lintNames(noted)
	return nil
}

func lintNames(names []string) string {
	if more := len(names) - maxLintNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxLintNames], ", "), more)
	}
	return strings.Join(names, ", ")
}
