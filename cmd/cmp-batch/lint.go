package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"slices"

	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/lint"
)

// findingJSON is a finding as --json prints it.
type findingJSON struct {
	Lint   string `json:"lint"`
	Level  string `json:"level"`
	Text   string `json:"text"`
	Refuse bool   `json:"refuse"`
}

func findingsJSON(found []issuance.Finding) []findingJSON {
	list := make([]findingJSON, 0, len(found))
	for _, f := range found {
		list = append(list, findingJSON(f))
	}
	return list
}

// linter gives the linter of a profile, which also tells the log what refuses
// a certificate.
func (a *authority) linter(profile string, cfg issuance.LintConfig) (issuance.Linter, error) {
	look, err := lint.Compile(cfg)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", profile, err)
	}
	return func(der []byte) []issuance.Finding {
		found := look(der)
		for _, f := range found {
			level, subject := slog.LevelDebug, ""
			if f.Refuse {
				level, subject = slog.LevelWarn, subjectOf(der)
			}
			a.log.Log(context.Background(), level, "lint: a certificate that was to be issued", "profile", profile, "subject", subject,
				"lint", f.Lint, "level", f.Level, "refused", f.Refuse, "text", f.Text)
		}
		return found
	}, nil
}

func subjectOf(der []byte) string {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return ""
	}
	return cut(pkix.Name(c.RawSubject).String(), 200)
}

// lintRoot looks at certificates that were made here for a root, by the rules
// for all certificates. What is found is once there, however many have it.
func lintRoot(certs ...[]byte) []findingJSON {
	look, err := lint.Compile(issuance.LintConfig{Refuse: "none"})
	if err != nil {
		panic(err) // the settings are a constant
	}
	var all []issuance.Finding
	for _, der := range certs {
		for _, f := range look(der) {
			if !slices.Contains(all, f) {
				all = append(all, f)
			}
		}
	}
	return findingsJSON(all)
}

// printLint says what was found about a certificate, and nothing where that is
// nothing.
func (c *cli) printLint(what string, found []findingJSON) {
	if len(found) == 0 {
		return
	}
	fmt.Fprintf(c.stdout, "\nlint has %s about %s:\n", count(len(found), "finding"), what)
	w := c.table("  LEVEL\tLINT\tRULE")
	for _, f := range found {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", f.Level, f.Lint, cmptext.Escape(f.Text))
	}
	w.Flush()
}
