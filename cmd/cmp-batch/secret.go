package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/configs"

	"github.com/spf13/cobra"
)

func (c *cli) secretCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "secret",
		Short: "Shared secrets: who may ask before having a certificate",
		Long: `Shared secrets let devices ask for their first certificate. A device names its
secret by a reference, the senderKID of its messages. Which rules of the
configuration match the reference says what it may ask for.`,
		Example: `  cmp-batch secret add device-1 --generate -c my-ca/cmp-batch.yaml
  cmp-batch secret ls -c my-ca/cmp-batch.yaml`,
	}, c.secretAddCommand(), c.secretListCommand(), c.secretRemoveCommand())
}

// secretOptions are what a secret is registered with.
type secretOptions struct {
	file     string
	generate bool
	hex      bool
	maxUses  int64
	expires  string
	rule     string
	bodies   []string
}

// secretBodies are the messages that a secret may protect as the first of a
// transaction.
var secretBodies = map[string]cmp.BodyType{
	"ir": cmp.TypeIR, "cr": cmp.TypeCR, "p10cr": cmp.TypeP10CR, "kur": cmp.TypeKUR, "rr": cmp.TypeRR, "genm": cmp.TypeGenM, "krr": cmp.TypeKRR,
}

const (
	maxRef    = 256 // octets
	minSecret = 16  // octets; shorter ones can be guessed from one message
)

func (c *cli) secretAddCommand() *cobra.Command {
	var o secretOptions
	cmd := &cobra.Command{
		Use:   "add REF (--secret-file FILE | --generate)",
		Short: "Register a shared secret",
		Long: `Register a shared secret under the reference REF, the senderKID of the device's
messages (what openssl cmp calls -ref).

--generate makes a secret of 140 random bits and prints it, this once. It is
stored encrypted under the passphrase of the vault, and no command prints it
again. With --secret-file, the first line of the file is the secret; whoever
sees one message may try to guess it, so it should not be one that people think
up.

The limits narrow what the rules of the configuration allow. With the name of a
rule that has reg_token, the secret is a registration token, REF:SECRET, and
protects no messages.`,
		Example: `  cmp-batch secret add device-1 --generate
  cmp-batch secret add device-2 --generate --max-uses 1 --expires 30d --bodies ir --json
  cmp-batch secret add line-7 --secret-file line-7.secret --rule registered-secrets
  cmp-batch secret add token-8 --generate --max-uses 1 --rule makers`,
		Args: only(1, "the reference is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.addSecret(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.file, "secret-file", "", "`FILE` whose first line is the secret; - is standard input")
	f.BoolVar(&o.generate, "generate", false, "make a secret and print it, this once")
	f.BoolVar(&o.hex, "hex", false, "the line in --secret-file is the secret in hexadecimal")
	f.Int64Var(&o.maxUses, "max-uses", 0, "how many certificates it may bring; 0: any number")
	f.StringVar(&o.expires, "expires", "", "`TIME` until which it may be used, as 30d or 2026-12-31 (default: for ever)")
	f.StringVar(&o.rule, "rule", "", "`NAME` of the only rule of the configuration that it may be used under")
	f.StringSliceVar(&o.bodies, "bodies", nil, "the only `MESSAGES` it may be used for, of ir, cr, p10cr, kur, rr, genm, krr")
	return c.withJSON(c.withConfig(cmd))
}

// secretJSON is a secret as --json prints it; never its value but the once.
type secretJSON struct {
	Ref     string   `json:"ref"`
	RefHex  string   `json:"ref_hex,omitempty"` // where the reference is no UTF-8
	Secret  string   `json:"secret,omitempty"`  // of --generate
	Created string   `json:"created"`
	Expires string   `json:"expires,omitempty"`
	Used    int64    `json:"used"`
	MaxUses int64    `json:"max_uses,omitempty"`
	Rule    string   `json:"rule,omitempty"`
	Bodies  []string `json:"bodies,omitempty"`

	// Of a revocation passphrase: whose it is, and what senderKID calls it.
	PassphraseOf string `json:"passphrase_of,omitempty"`
	Name         string `json:"name,omitempty"`
	NameHex      string `json:"name_hex,omitempty"` // where the name is no UTF-8
}

func newSecretJSON(s *cmpcore.Secret) secretJSON {
	j := secretJSON{
		Ref: s.Ref, Created: stamp(s.Created), Expires: optionalStamp(s.Expires),
		Used: s.Used, MaxUses: s.MaxUses, Rule: s.Rule, Bodies: s.Bodies,
	}
	if !utf8.ValidString(s.Ref) {
		j.RefHex = hex.EncodeToString([]byte(s.Ref))
	}
	return j
}

// passphrasePrefix begins what stands in place of a reference for a revocation
// passphrase; the owner follows. The audit log names it so too.
const passphrasePrefix = "passphrase:"

func newPassphraseJSON(p *cmpcore.Passphrase) secretJSON {
	j := newSecretJSON(&cmpcore.Secret{Ref: passphrasePrefix + p.Owner, Created: p.Created, Rule: p.Rule, Bodies: []string{"rr"}})
	j.PassphraseOf = p.Owner
	if j.Name = string(p.KeyID); !utf8.ValidString(j.Name) {
		j.NameHex = hex.EncodeToString(p.KeyID)
	}
	return j
}

func (c *cli) addSecret(ctx context.Context, ref string, o secretOptions) error {
	now := time.Now()
	s := &cmpcore.Secret{Ref: ref, Created: now, MaxUses: o.maxUses, Rule: o.rule}
	if err := checkRef(ref); err != nil {
		return err
	}
	if o.maxUses < 0 {
		return usage("--max-uses: %d is no number of certificates", o.maxUses)
	}
	if o.expires != "" {
		var err error
		if s.Expires, err = parseDeadline("--expires", o.expires, now); err != nil {
			return err
		}
		if !s.Expires.After(now) {
			return usage("--expires: %s is over", stamp(s.Expires))
		}
	}
	for _, b := range o.bodies {
		b = strings.TrimSpace(b)
		if _, ok := secretBodies[b]; !ok {
			return usage("--bodies: %.40q is not one of ir, cr, p10cr, kur, rr, genm, krr", b)
		}
		if !slices.Contains(s.Bodies, b) {
			s.Bodies = append(s.Bodies, b)
		}
	}
	value, err := c.secretValue(o)
	if err != nil {
		return err
	}
	defer clear(value)
	a, err := c.openVault(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	warnings, err := checkSecretRules(a.cfg, s)
	if err != nil {
		return err
	}
	if r := tokenRule(a.cfg, s.Rule); r != nil {
		if err := checkTokenSecret(r, s.Bodies, value); err != nil {
			return err
		}
	}
	if known, err := a.store.View().Secret(ctx, ref); err != nil {
		return err
	} else if known != nil {
		return hint(usage("%q is registered already", ref), "cmp-batch secret rm removes it")
	}
	if p, err := a.store.View().PassphraseOfKey(ctx, []byte(ref)); err != nil {
		return err
	} else if p != nil {
		return hint(usage("%q is the name of a revocation passphrase, which messages with the secret could not be told from", ref),
			"take another reference, or drop it by cmp-batch secret rm %s", shellQuote(passphrasePrefix+p.Owner))
	}
	if s.Sealed, err = a.vault.Seal(rand.Reader, ref, value); err != nil {
		return err
	}
	if err := a.store.AddSecret(ctx, s); err != nil {
		return err
	}
	noted := a.note(ctx, cmpcore.AuditEntry{Event: "secret-added", Rule: s.Rule, Detail: fmt.Sprintf("reference %.100q", ref)})
	if !o.generate && len(value) < minSecret {
		warnings = append(warnings, fmt.Sprintf("the secret has %d octets; with less than %d it can be guessed from one message", len(value), minSecret))
	}
	for _, w := range warnings {
		fmt.Fprintln(c.stderr, "warning:", w)
	}
	return errors.Join(c.printAdded(s, string(value), o.generate), noted)
}

func checkRef(ref string) error {
	switch {
	case ref == "":
		return usage("the reference is empty")
	case len(ref) > maxRef:
		return usage("the reference has %d octets; the most is %d", len(ref), maxRef)
	case strings.HasPrefix(ref, passphrasePrefix):
		return usage("the reference %.80q begins as those of revocation passphrases do", ref)
	case strings.ContainsFunc(ref, func(r rune) bool { return unicode.IsControl(r) }):
		return usage("the reference %.80q has control characters", ref)
	}
	return nil
}

// secretValue makes or reads the secret.
func (c *cli) secretValue(o secretOptions) ([]byte, error) {
	switch {
	case o.generate == (o.file != ""):
		return nil, usage("one of --secret-file and --generate says what the secret is")
	case o.generate && o.hex:
		return nil, usage("--hex is about --secret-file")
	case o.generate:
		return generateSecret()
	}
	line, err := c.secretLine(o.file)
	if err != nil {
		return nil, usageError{fmt.Errorf("--secret-file: %w", err)}
	}
	if !o.hex {
		return line, nil
	}
	value := make([]byte, hex.DecodedLen(len(line)))
	if n, err := hex.Decode(value, line); err != nil || n == 0 {
		return nil, usage("--hex: the first line of the file is not hexadecimal") // and is not shown
	}
	return value, nil
}

func (c *cli) secretLine(path string) ([]byte, error) {
	if path != "-" {
		return readSecretFile(path)
	}
	line, err := bufio.NewReaderSize(c.stdin, 64<<10).ReadSlice('\n')
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
		return nil, errors.New("standard input: the first line is empty")
	}
	return line, nil
}

// The letters that look like others are left out; 28 of 32 make 140 bits.
const (
	secretLetters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	secretGroups  = 7
)

func generateSecret() ([]byte, error) {
	var random [4 * secretGroups]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	var b []byte
	for i, r := range random {
		if i > 0 && i%4 == 0 {
			b = append(b, '-')
		}
		b = append(b, secretLetters[r%32])
	}
	return b, nil
}

// checkSecretRules compares the limits of a secret with the rules that match
// its reference.
func checkSecretRules(cfg *configs.Config, s *cmpcore.Secret) (warnings []string, err error) {
	if r := tokenRule(cfg, s.Rule); r != nil {
		return nil, checkTokenSecret(r, s.Bodies, nil)
	}
	var names, late []string
	may := map[cmp.BodyType]bool{}
	for i := range cfg.Rules {
		r := &cfg.Rules[i]
		if r.Certificate != nil {
			continue
		}
		names = append(names, r.Name)
		matches := r.MatchesSecret(s.Ref)
		if r.Name == s.Rule && !matches {
			return nil, usage("--rule: rule %s is not about the reference %q", r.Name, s.Ref)
		}
		if !matches || s.Rule != "" && s.Rule != r.Name {
			continue
		}
		for _, b := range r.May {
			if first := firstRule(cfg, s.Ref, b); s.Rule != "" && first != r {
				late = append(late, b.String()+" by "+first.Name)
				continue
			}
			may[b] = true
		}
	}
	if len(late) > 0 {
		warnings = append(warnings, fmt.Sprintf("rule %s comes after others that decide about this reference: %s", s.Rule, strings.Join(late, ", ")))
	}
	if s.Rule != "" && !slices.Contains(names, s.Rule) {
		return nil, usage("--rule: no rule about secrets is called %.60q; there are %s", s.Rule, strings.Join(names, ", "))
	}
	if len(may) == 0 && len(late) == 0 {
		warnings = append(warnings, "no rule of the configuration is about this reference: nothing can be asked with it")
	}
	for _, b := range s.Bodies {
		if len(may) > 0 && !may[secretBodies[b]] {
			warnings = append(warnings, "no rule of the configuration lets this reference send "+b)
		}
	}
	return warnings, nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

func (c *cli) printAdded(s *cmpcore.Secret, value string, generated bool) error {
	if c.json {
		j := newSecretJSON(s)
		if generated {
			j.Secret = value
		}
		return c.printJSON(j)
	}
	if !generated {
		_, err := fmt.Fprintf(c.stdout, "%q is registered\n", s.Ref)
		return err
	}
	ref, name := shellQuote(s.Ref), "device"
	if plainWord.MatchString(s.Ref) && !strings.HasPrefix(s.Ref, "-") {
		name = s.Ref
	}
	_, err := fmt.Fprintf(c.stdout, `%q is registered with this secret, which is not shown again:

  %s

On the device, for example:

  printf %%s %s > %s.secret
  cmp-batch request ir --out %s.pki --subject CN=%s --ref %s --secret-file %s.secret

or with OpenSSL:

  openssl cmp -cmd ir -ref %s -secret pass:%s ...
`, s.Ref, value, value, name, name, name, ref, name, ref, value)
	return err
}

// shellQuote writes a word as a shell reads it.
func shellQuote(s string) string {
	if plainWord.MatchString(strings.ReplaceAll(s, "/", "")) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
