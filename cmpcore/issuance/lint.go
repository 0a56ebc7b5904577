package issuance

// Finding is what a linter has to say about a certificate.
type Finding struct {
	Lint   string // its name
	Level  string // notice, warn, error or fatal
	Text   string // which rule is broken, for the operator; may quote the certificate
	Refuse bool   // such a certificate is not to be issued
}

// Linter looks at the DER of a certificate before it is signed: see
// [Issuer.Rehearse]. It may be called concurrently.
type Linter func(der []byte) []Finding

// Linted tells whether the profile wants its certificates looked at by a
// [Linter].
func (p *Profile) Linted() bool { return p.linted }
