package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"
	"cmp-batch/lint"

	"github.com/spf13/cobra"
)

// lintFlags are the settings of cert lint.
type lintFlags struct {
	profile         string
	refuse          string
	sources, ignore []string
	list            bool
}

func (c *cli) certLintCommand() *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{
		Use:   "lint {FILE|SERIAL}...",
		Short: "Look for what is wrong with certificates",
		Long: `Look at certificates with zlint, as profiles with lint do before a certificate is
signed. A FILE holds one or more certificates, PEM or DER, of any CA; a SERIAL
is of a certificate that this CA has issued.

The rules are those of the RFCs, or those of --source, or those of --profile.
Exit 0: no finding of level error or above (--refuse says which); 1: there are
some; 2: wrong use.`,
		Example: `  cmp-batch cert lint ca/ca.crt
  cmp-batch cert lint ca.crt 3F:A9:01 --source RFC5280,RFC8813 --ignore w_ext_key_usage_not_critical --json
  cmp-batch cert lint 3F:A9:01 --profile default -c my-ca/cmp-batch.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.list {
				if err := only(0, "")(cmd, args); err != nil {
					return err
				}
				return c.listLints(f.sources)
			}
			if err := needs(1, "a file or a serial number is missing")(cmd, args); err != nil {
				return err
			}
			return c.lintAll(cmd.Context(), args, f)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.profile, "profile", "", "look as the profile `NAME` of the configuration does")
	fl.StringSliceVar(&f.sources, "source", nil, "`SOURCES` of lints: "+strings.Join(lint.Sources(), ", ")+" (default: all RFCs)")
	fl.StringSliceVar(&f.ignore, "ignore", nil, "`LINTS` that count for nothing")
	fl.StringVar(&f.refuse, "refuse", "", "the least `LEVEL` that makes the exit code 1: notice, warn, error (default), fatal, or none")
	fl.BoolVar(&f.list, "list", false, "list all lints, or those of --source")
	return c.withJSON(c.withConfig(cmd))
}

// listLints prints what a configuration may name.
func (c *cli) listLints(sources []string) error {
	if _, err := lint.Compile(issuance.LintConfig{Sources: sources}); err != nil {
		return lintFlagError(err)
	}
	t := c.rows("LINT\tSOURCE\tRULE")
	for _, k := range lint.All() {
		if len(sources) > 0 && !slices.Contains(sources, k.Source) {
			continue
		}
		if !c.json {
			t.row(k.Name, k.Source, escapeCut(k.Text, 200))
		} else if err := c.printJSON(struct {
			Lint   string `json:"lint"`
			Source string `json:"source,omitempty"`
			Text   string `json:"text"`
		}{k.Name, k.Source, k.Text}); err != nil {
			return err
		}
	}
	return t.end()
}

var lintFlagNames = regexp.MustCompile(`(?m)^lint\.(source|ignore|refuse)s?(\[\d+\])?:`)

// lintFlagError names the flag and not the key that it stands for.
func lintFlagError(err error) error {
	return usage("%s", lintFlagNames.ReplaceAllString(err.Error(), "--$1:"))
}

// lintConfig gives the settings to look by.
func (c *cli) lintConfig(f lintFlags) (issuance.LintConfig, error) {
	cfg := issuance.LintConfig{Refuse: f.refuse, Sources: f.sources, Ignore: f.ignore}
	if f.profile == "" {
		return cfg, nil
	}
	if f.refuse != "" || len(f.sources)+len(f.ignore) > 0 {
		return cfg, usage("--profile: it says all that --source, --ignore and --refuse would; use it without them")
	}
	file, err := configs.Load(c.configFile)
	if err != nil {
		return cfg, configError(err)
	}
	p, ok := file.Profiles[f.profile]
	if !ok {
		return cfg, usage("--profile: %s has no profile %.60q", c.configFile, f.profile)
	}
	if p.Lint == nil {
		return cfg, usage("--profile: profile %s has no lint; it issues without a look", f.profile)
	}
	return *p.Lint, nil
}

func (c *cli) lintAll(ctx context.Context, args []string, f lintFlags) error {
	cfg, err := c.lintConfig(f)
	if err != nil {
		return err
	}
	look, err := lint.Compile(cfg)
	if err != nil {
		return lintFlagError(err)
	}
	var a *authority
	defer func() {
		if a != nil {
			a.close()
		}
	}()
	bad, seen := 0, 0
	for _, arg := range args {
		var certs [][]byte
		name := arg
		if _, err := os.Stat(arg); err == nil {
			if certs, err = readCertificates(arg); err != nil {
				return usageError{err}
			}
		} else {
			if _, notSerial := parseSerial(arg); notSerial != nil {
				return usageError{fmt.Errorf("%w, and neither is it a serial number in hexadecimal", err)}
			}
			if a == nil {
				if a, err = c.openLedger(ctx); err != nil {
					return err
				}
			}
			cert, err := a.findCertificate(ctx, arg)
			if err != nil {
				return err
			}
			certs, name = [][]byte{cert.DER}, hex.EncodeToString(cert.Serial)
		}
		for _, der := range certs {
			seen++
			refused, err := c.lintOne(name, der, look(der))
			if err != nil {
				return err
			}
			if refused {
				bad++
			}
		}
	}
	if bad > 0 {
		return fmt.Errorf("lint refuses %d of %s", bad, count(seen, "certificate"))
	}
	return nil
}

// lintOne prints what was found about one certificate.
func (c *cli) lintOne(name string, der []byte, found []issuance.Finding) (refused bool, err error) {
	refused = slices.ContainsFunc(found, func(f issuance.Finding) bool { return f.Refuse })
	subject := ""
	if x, err := x509.ParseCertificate(der); err == nil {
		subject = pkix.Name(x.RawSubject).String()
	}
	if c.json {
		return refused, c.printJSON(struct {
			Certificate string        `json:"certificate"`
			Subject     string        `json:"subject"`
			Refused     bool          `json:"refused"`
			Findings    []findingJSON `json:"findings"`
		}{name, subject, refused, findingsJSON(found)})
	}
	fmt.Fprintf(c.stdout, "%s: %s, %s\n", name, cmptext.Escape(cut(subject, 200)), count(len(found), "finding"))
	w := c.rows("  LEVEL\tLINT\tRULE")
	for _, f := range found {
		w.row("  "+f.Level, f.Lint, cmptext.Escape(f.Text))
	}
	return refused, w.end()
}
