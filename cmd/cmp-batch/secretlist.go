package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) secretListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the registered secrets, without their values",
		Long: `List the registered secrets, and the revocation passphrases that requesters have
left (passphrase:OWNER), without their values. A passphrase is good for rr alone,
of the certificates of its owner: cert:SERIAL is the holder of that certificate,
secret:REF whoever has that secret.`,
		Example: `  cmp-batch secret ls
  cmp-batch secret ls --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			now := time.Now()
			t := c.rows("REF\tCREATED\tEXPIRES\tUSED\tRULE\tFOR")
			for s, err := range a.store.Secrets(ctx) {
				if err != nil {
					return errors.Join(t.end(), err)
				}
				if c.json {
					if err := c.printJSON(newSecretJSON(s)); err != nil {
						return err
					}
					continue
				}
				t.row(cmptext.Escape(s.Ref), age(now.Sub(s.Created))+" ago", until(s.Expires, now), usesOf(s),
					orAny(s.Rule), orAny(strings.Join(s.Bodies, ",")))
			}
			for p, err := range a.store.Passphrases(ctx) {
				if err != nil {
					return errors.Join(t.end(), err)
				}
				if c.json {
					if err := c.printJSON(newPassphraseJSON(p)); err != nil {
						return err
					}
					continue
				}
				t.row(cmptext.Escape(passphrasePrefix+p.Owner), age(now.Sub(p.Created))+" ago", "never", "-", p.Rule, "rr only")
			}
			if t.n == 0 && !c.json {
				fmt.Fprintln(c.stdout, "no secrets yet; cmp-batch secret add REF --generate makes one")
			}
			return t.end()
		},
	}
	return c.withJSON(c.withConfig(cmd))
}

func usesOf(s *cmpcore.Secret) string {
	if s.MaxUses == 0 {
		return strconv.FormatInt(s.Used, 10)
	}
	return fmt.Sprintf("%d of %d", s.Used, s.MaxUses)
}

func orAny(s string) string {
	if s == "" {
		return "any"
	}
	return s
}

func (c *cli) secretRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rm REF...",
		Aliases: []string{"remove"},
		Short:   "Remove secrets",
		Long: `Remove secrets: from now on their holders are strangers. Certificates that they
brought stay valid. A transaction that is under way, such as one that waits for
a person or for a confirmation, cannot be ended with a removed secret.

passphrase:OWNER, as secret ls lists it, drops a revocation passphrase. One that
was left under a secret outlives that: certificates stay, and may be lost later.

A reference that is not registered is wrong use: exit 2, and the others that
were named are removed.`,
		Example: `  cmp-batch secret rm device-1
  cmp-batch secret rm passphrase:secret:device-1`,
		Args: needs(1, "the reference is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			var errs []error
			for _, ref := range args {
				err := a.removeSecret(ctx, ref)
				switch {
				case errors.Is(err, spool.ErrNotFound):
					errs = append(errs, usage("no secret has the reference %.80q", ref))
					continue
				case err != nil:
					return errors.Join(append(errs, err)...)
				case c.json:
					err = c.printJSON(map[string]string{"ref": ref, "status": "removed"})
				default:
					_, err = fmt.Fprintf(c.stdout, "%q is removed\n", ref)
				}
				if err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
	}
	return c.withJSON(c.withConfig(cmd))
}

// removeSecret removes a secret, or the revocation passphrase that ref stands
// for, and says what of a secret stays.
func (a *authority) removeSecret(ctx context.Context, ref string) error {
	err := a.store.RemoveSecret(ctx, ref)
	if owner, ok := strings.CutPrefix(ref, passphrasePrefix); ok && errors.Is(err, spool.ErrNotFound) {
		if err := a.store.RemovePassphrase(ctx, owner); err != nil {
			return err
		}
		return a.note(ctx, cmpcore.AuditEntry{Event: "passphrase-removed", Detail: fmt.Sprintf("revocation passphrase of %.100q", owner)})
	}
	if err != nil {
		return err
	}
	left, err := a.store.View().Passphrase(ctx, "secret:"+ref)
	if left != nil {
		fmt.Fprintf(a.cli.stderr, "note: the revocation passphrase that was left under %.100q stays; cmp-batch secret rm %s drops it\n",
			ref, shellQuote(passphrasePrefix+left.Owner))
	}
	return errors.Join(err, a.note(ctx, cmpcore.AuditEntry{Event: "secret-removed", Detail: fmt.Sprintf("reference %.100q", ref)}))
}
