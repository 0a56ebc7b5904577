package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/configs"

	"github.com/spf13/cobra"
)

func (c *cli) checkCommand() *cobra.Command {
	var quick bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say all that is wrong, before it matters",
		Long: `Say all that is wrong with the configuration, keys, folders, database, CRL and
clock, before it matters, and what to do about it. Nothing is changed, and a
running daemon is not disturbed.

Each line is ok, warn or FAIL. Exit 0: no FAIL; 1: there are some; 2: some are
of the configuration or the files it names, with which run would not start.`,
		Example: `  cmp-batch check -c my-ca/cmp-batch.yaml
  cmp-batch check --quick --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			k := &checker{c: c, now: time.Now(), quick: quick}
			k.all(cmd.Context())
			return k.end()
		},
	}
	cmd.Flags().BoolVar(&quick, "quick", false, "do not read the whole database for damage")
	return c.withJSON(c.withConfig(cmd))
}

// finding is one line of check.
type finding struct {
	Level string `json:"level"` // ok, warn or fail
	Check string `json:"check"` // what it is about, such as ca.key or channel.spool.in
	Text  string `json:"text"`
	Do    string `json:"do,omitempty"`
}

// checker goes from what everything needs to details. A check whose
// preconditions are missing is left out: what is missing has its line.
type checker struct {
	c     *cli
	now   time.Time
	quick bool

	cfg *configs.Config
	a   *authority

	running bool // a daemon is at work

	fails, warns int
	wrong        bool // some fails are of the configuration
	err          error
}

func (k *checker) print(f finding) {
	var err error
	if k.c.json {
		err = k.c.printJSON(f)
	} else {
		level := f.Level
		if level == "fail" {
			level = "FAIL"
		}
		_, err = fmt.Fprintf(k.c.stdout, "%-4s  %-22s  %s\n", level, f.Check, cmptext.Escape(f.Text))
		if err == nil && f.Do != "" {
			_, err = fmt.Fprintf(k.c.stdout, "%-4s  %-22s  -> %s\n", "", "", cmptext.Escape(f.Do))
		}
	}
	k.err = errors.Join(k.err, err)
}

func (k *checker) ok(check, format string, a ...any) {
	k.print(finding{Level: "ok", Check: check, Text: fmt.Sprintf(format, a...)})
}

func (k *checker) warn(check, do, format string, a ...any) {
	k.warns++
	k.print(finding{Level: "warn", Check: check, Text: fmt.Sprintf(format, a...), Do: do})
}

func (k *checker) fail(check, do, format string, a ...any) {
	k.fails++
	k.print(finding{Level: "fail", Check: check, Text: fmt.Sprintf(format, a...), Do: do})
}

// misconfigured is fail for what run would not start with.
func (k *checker) misconfigured(check, do, format string, a ...any) {
	k.wrong = true
	text := fmt.Sprintf(format, a...)
	if k.cfg != nil {
		if at := k.cfg.Place(text); at != "" {
			text = at + ": " + text
		}
	}
	k.fail(check, do, "%s", text)
}

func (k *checker) all(ctx context.Context) {
	if !k.configuration() {
		return
	}
	log, err := k.c.logger(k.cfg.Log)
	if err != nil {
		k.err = err
		return
	}
	k.a = &authority{cfg: k.cfg, log: log, cli: k.c, passphrases: map[configs.Passphrase][]byte{}}
	defer k.a.close()
	k.rules()
	k.trust()
	caGood := k.keyPair("ca", "the CA", k.cfg.CA.KeyPair, signerFits(func(cert *x509.Certificate, signer crypto.Signer) error {
		_, err := issuance.NewIssuer(cert.Raw, signer, k.cfg.CA.Signature)
		return err
	}))
	if p := k.cfg.CA.Protection; p != nil {
		caGood = k.keyPair("ca.protection", "CMP protection", *p, fitsPurpose("CMP protection", p.Signature)) && caGood
	}
	if p := k.cfg.CA.KeyAgreement; p != nil {
		caGood = k.keyPair("ca.key_agreement", "key agreement", *p, func(cert *x509.Certificate, key crypto.PrivateKey) error {
			return cmpcore.CheckAgreementKey(&cmpcore.StaticKey{Certificate: cert.Raw, Key: key})
		}) && caGood
	}
	if p := k.cfg.CA.KEM; p != nil {
		caGood = k.keyPair("ca.kem", "the KEM", *p, func(cert *x509.Certificate, key crypto.PrivateKey) error {
			return cmpcore.CheckKEMKey(&cmpcore.StaticKey{Certificate: cert.Raw, Key: key})
		}) && caGood
	}
	if p := k.cfg.CA.KeyGeneration; p != nil {
		caGood = k.keyPair("ca.key_generation", "key generation", *p, fitsPurpose("key generation", p.Signature)) && caGood
	}
	if e := k.cfg.CA.Encryption; e != nil {
		caGood = k.encryption(e.Certificate) && caGood
	}
	stored := k.database(ctx)
	if stored && k.vault(ctx) {
		k.secrets(ctx)
		if caGood {
			k.engine()
		}
	}
	if stored && caGood {
		k.archive(ctx)
	}
	k.folders()
	if stored {
		k.crl(ctx)
	}
	k.clock(ctx, stored)
	k.metrics()
}

// configuration reports every fault; with one, nothing else can be looked at.
func (k *checker) configuration() bool {
	var err error
	if k.cfg, err = configs.Load(k.c.configFile); err == nil {
		k.ok("configuration", "%s", k.c.configFile)
		return true
	}
	var faults configs.Faults
	if !errors.As(err, &faults) {
		k.misconfigured("configuration", "", "%v", err)
		return false
	}
	for _, f := range faults {
		k.misconfigured("configuration", "", "%s", f.String())
	}
	return false
}

// engine puts all settings together, as run does.
func (k *checker) engine() {
	if _, err := k.a.newEngine(); err != nil {
		k.misconfigured("engine", "", "%v", err)
		return
	}
	k.ok("engine", "can be started")
}

// end prints the sum and gives the exit code.
func (k *checker) end() error {
	if k.err != nil {
		return k.err
	}
	if !k.c.json {
		fmt.Fprintf(k.c.stdout, "\n%s, %s\n", count(k.fails, "failure"), count(k.warns, "warning"))
	}
	switch {
	case k.wrong:
		return usage("check found %s", count(k.fails, "failure"))
	case k.fails > 0:
		return fmt.Errorf("check found %s", count(k.fails, "failure"))
	}
	return nil
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "y") && !strings.HasSuffix(noun, "ey") {
		noun = strings.TrimSuffix(noun, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
