package lint

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/zmap/zcrypto/x509"
	zlint "github.com/zmap/zlint/v3/lint"

	"cmp-batch/cmpcore/issuance"
)

// NotLintable is the finding about a certificate that could not be looked at.
const NotLintable = "not_lintable"

// patience is how long one certificate may take; it takes a millisecond. It is
// long enough for a machine that sleeps in between.
const patience = 30 * time.Second

// atWork bounds the looks at a time, those that were given up on too: one that
// never ends keeps its place.
var atWork = make(chan struct{}, 16*runtime.GOMAXPROCS(0))

// linter is settings in the form that is used.
type linter struct {
	lints    []*zlint.CertificateLint
	refuse   zlint.LintStatus // the least that refuses; 0: nothing does
	lenient  bool             // NotLintable is ignored
	patience time.Duration
	parse    func([]byte) (*x509.Certificate, error)
}

// Look gives what the lints have to say about the DER of a certificate. It ends
// in time whatever the certificate does to them.
func (l *linter) Look(der []byte) []issuance.Finding {
	timer := time.NewTimer(l.patience)
	defer timer.Stop()
	select {
	case atWork <- struct{}{}:
	case <-timer.C:
		return l.notLintable("zlint was busy with others for %s", l.patience)
	}
	done := make(chan []issuance.Finding, 1)
	go func() {
		defer func() { <-atWork }()
		done <- l.look(der)
	}()
	select {
	case f := <-done:
		return f
	case <-timer.C:
		return l.notLintable("zlint was not done with it after %s", l.patience)
	}
}

func (l *linter) look(der []byte) (found []issuance.Finding) {
	cert, err := l.read(der)
	if err != nil {
		return l.notLintable("zlint cannot read it: %.200q", err.Error())
	}
	config := zlint.NewEmptyConfig()
	for _, x := range l.lints {
		r := x.Execute(cert, config) // a panic inside is a result of status fatal
		if r == nil || r.Status < zlint.Notice {
			continue
		}
		text := describe(x)
		if r.Details != "" {
			text += fmt.Sprintf(": %.200q", r.Details) // may quote the certificate
		}
		found = append(found, issuance.Finding{Lint: x.Name, Level: word(r.Status), Text: text, Refuse: l.refuses(r.Status)})
	}
	slices.SortFunc(found, func(a, b issuance.Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, b.Level), slices.Index(levels, a.Level)), cmp.Compare(a.Lint, b.Lint))
	})
	return found
}

// read parses, and makes an error of a panic.
func (l *linter) read(der []byte) (cert *x509.Certificate, err error) {
	defer func() {
		if p := recover(); p != nil {
			cert, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	if cert, err = l.parse(der); err == nil && cert == nil {
		err = errors.New("there is none")
	}
	return cert, err
}

func (l *linter) refuses(s zlint.LintStatus) bool { return l.refuse != 0 && s >= l.refuse }

func (l *linter) notLintable(format string, args ...any) []issuance.Finding {
	if l.lenient {
		return nil
	}
	return []issuance.Finding{{
		Lint: NotLintable, Level: word(zlint.Fatal), Text: fmt.Sprintf(format, args...), Refuse: l.refuses(zlint.Fatal),
	}}
}
