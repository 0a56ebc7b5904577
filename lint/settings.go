package lint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/zmap/zcrypto/x509"
	// Its init functions put all lints into the registry of package lint.
	_ "github.com/zmap/zlint/v3"
	zlint "github.com/zmap/zlint/v3/lint"

	"cmp-batch/cmpcore/issuance"
)

// levels are the words for zlint's statuses of findings, from Notice on.
var levels = []string{"notice", "warn", "error", "fatal"}

func word(s zlint.LintStatus) string {
	return levels[min(max(s, zlint.Notice), zlint.Fatal)-zlint.Notice]
}

// Levels lists the levels of findings, the least first.
func Levels() []string { return slices.Clone(levels) }

// Sources lists whose rules the lints are about, as settings name them.
func Sources() []string {
	var names []string
	for _, s := range zlint.GlobalRegistry().CertificateLints().Sources() {
		names = append(names, string(s))
	}
	slices.Sort(names)
	return names
}

// defaultSources are the RFCs: what holds for every certificate and not just
// for those of one public PKI.
func defaultSources() []string {
	return slices.DeleteFunc(Sources(), func(s string) bool { return !strings.HasPrefix(s, "RFC") })
}

// Compile checks settings. Its error joins all faults, each of which names the
// place as "lint.sources[0]: ...". The linter may be used concurrently.
func Compile(cfg issuance.LintConfig) (issuance.Linter, error) {
	l, err := compile(cfg)
	if err != nil {
		return nil, err
	}
	return l.Look, nil
}

func compile(cfg issuance.LintConfig) (*linter, error) {
	var errs []error
	fault := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("lint.%s: %w", key, fmt.Errorf(format, args...)))
	}
	l := &linter{patience: patience, parse: x509.ParseCertificate}
	words := append(Levels(), "none")
	switch at := slices.Index(words, cmp.Or(cfg.Refuse, "error")); {
	case at < 0:
		fault("refuse", "%.60q is none of %s", cfg.Refuse, strings.Join(words, ", "))
	case at < len(levels):
		l.refuse = zlint.Notice + zlint.LintStatus(at)
	}
	known, chosen := Sources(), map[zlint.LintSource]bool{}
	if len(cfg.Sources) == 0 {
		for _, s := range defaultSources() {
			chosen[zlint.LintSource(s)] = true
		}
	}
	for i, s := range cfg.Sources {
		key := fmt.Sprintf("sources[%d]", i)
		switch {
		case !slices.Contains(known, s):
			fault(key, "%.60q is no source of lints; one of %s", s, strings.Join(known, ", "))
		case chosen[zlint.LintSource(s)]:
			fault(key, "%s is there twice", s)
		}
		chosen[zlint.LintSource(s)] = true
	}
	all := zlint.GlobalRegistry().CertificateLints()
	ignored := map[string]bool{}
	for i, name := range cfg.Ignore {
		key := fmt.Sprintf("ignore[%d]", i)
		x := all.ByName(name)
		switch {
		case ignored[name]:
			fault(key, "%s is there twice", name)
		case name == NotLintable:
			l.lenient = true
		case x == nil:
			fault(key, "%.80q is no lint of zlint for certificates%s", name, suggest(name, all.Names()))
		case !chosen[x.Source]:
			fault(key, "%s is a lint of %s, which is not among the sources; remove it", name, x.Source)
		}
		ignored[name] = true
	}
	for _, x := range all.Lints() {
		if chosen[x.Source] && !ignored[x.Name] {
			l.lints = append(l.lints, x)
		}
	}
	if len(errs) == 0 && len(l.lints) == 0 {
		fault("ignore", "no lint is left; remove lint to have none")
	}
	return l, errors.Join(errs...)
}

// suggest finds the names that have the most in common with one that is none.
func suggest(name string, names []string) string {
	_, stem, _ := strings.Cut(name, "_") // e_, w_ or n_ is easily wrong
	var near []string
	for _, n := range names {
		if _, s, _ := strings.Cut(n, "_"); stem != "" && (strings.Contains(s, stem) || s == name) {
			near = append(near, n)
		}
	}
	if len(near) == 0 || len(near) > 3 {
		return "; cmp-batch cert lint --list names them all"
	}
	return "; is it " + strings.Join(near, " or ") + "?"
}

// Known is one lint.
type Known struct{ Name, Source, Text string }

// All lists the lints for certificates by name, and [NotLintable].
func All() []Known {
	list := []Known{{NotLintable, "", "the certificate can be looked at"}}
	for _, x := range zlint.GlobalRegistry().CertificateLints().Lints() {
		list = append(list, Known{x.Name, string(x.Source), describe(x)})
	}
	slices.SortFunc(list, func(a, b Known) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// describe says on one line which rule a lint is about.
func describe(x *zlint.CertificateLint) string {
	text := strings.Join(strings.Fields(x.Description), " ")
	if c := strings.Join(strings.Fields(x.Citation), " "); c != "" {
		text += " (" + c + ")"
	}
	return text
}
