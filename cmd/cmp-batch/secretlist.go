package main

import (
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

A reference that is not registered is wrong use: exit 2, and the others that
were named are removed.`,
		Example: `  cmp-batch secret rm device-1`,
		Args:    needs(1, "the reference is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			var errs []error
			for _, ref := range args {
				err := a.store.RemoveSecret(ctx, ref)
				if errors.Is(err, spool.ErrNotFound) {
					errs = append(errs, usage("no secret has the reference %.80q", ref))
					continue
				}
				if err == nil {
					err = a.note(ctx, cmpcore.AuditEntry{Event: "secret-removed", Detail: fmt.Sprintf("reference %.100q", ref)})
				}
				switch {
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
