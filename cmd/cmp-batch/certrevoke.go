package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) certRevokeCommand() *cobra.Command {
	var reasonName, invalidityText string
	cmd := &cobra.Command{
		Use:   "revoke SERIAL...",
		Short: "Revoke certificates, or lift a hold",
		Long: `Revoke certificates by hand. That is durable when the command returns; with
crl: on_revoke in the configuration a new CRL is made too.

The reasons are those of RFC 5280: unspecified, keyCompromise, cACompromise,
affiliationChanged, superseded, cessationOfOperation, certificateHold,
removeFromCRL, privilegeWithdrawn, aACompromise. A certificateHold may be lifted
by removeFromCRL or made final by another reason; every other revocation is
final.

A serial number that was not issued, or whose status does not allow it, is wrong
use: exit 2, with nothing changed.`,
		Example: `  cmp-batch cert revoke 3F:A9:01 --reason keyCompromise --invalidity-date 2026-01-31
  cmp-batch cert revoke 3fa901 3fa902 --reason cessationOfOperation
  cmp-batch cert revoke 3fa901 --reason removeFromCRL`,
		Args: needs(1, "the serial number is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			reason, ok := pkix.CRLReasonByName(reasonName)
			if !ok {
				return hint(usage("--reason: %.60q is no reason of RFC 5280", reasonName), "%s --help lists them", cmd.CommandPath())
			}
			var invalidity time.Time
			if invalidityText != "" {
				var err error
				if invalidity, err = parseTime("--invalidity-date", invalidityText); err != nil {
					return err
				}
				if invalidity.After(time.Now()) {
					return usage("--invalidity-date: %s lies in the future", stamp(invalidity))
				}
			}
			return c.revokeCertificates(cmd.Context(), args, reason, invalidity)
		},
	}
	f := cmd.Flags()
	f.StringVar(&reasonName, "reason", "unspecified", "`REASON`, a name of RFC 5280")
	f.StringVar(&invalidityText, "invalidity-date", "", "`TIME` since when the key is not to be trusted, as 2026-01-31 or 2026-01-31T12:00:00Z")
	return c.withJSON(c.withConfig(cmd))
}

func (c *cli) revokeCertificates(ctx context.Context, args []string, reason pkix.CRLReason, invalidity time.Time) error {
	a, err := c.openAuthority(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	var serials [][]byte
	seen := map[string]bool{}
	for _, arg := range args {
		cert, err := a.findCertificate(ctx, arg)
		if err != nil {
			return err
		}
		if !seen[string(cert.Serial)] {
			seen[string(cert.Serial)] = true
			serials = append(serials, cert.Serial)
		}
	}
	if err := a.revoke(ctx, serials, reason, invalidity); err != nil {
		return err
	}
	for _, s := range serials {
		cert, err := a.store.View().Certificate(ctx, s)
		if err != nil {
			return err
		}
		if c.json {
			err = c.printJSON(newCertJSON(cert))
		} else {
			_, err = fmt.Fprintf(c.stdout, "%s is %s: %s\n", hex.EncodeToString(s), statusWord(cert), subjectText(cert))
		}
		if err != nil {
			return err
		}
	}
	if !a.cfg.CRL.OnRevoke {
		if !c.json {
			fmt.Fprintln(c.stdout, "the next CRL will say so; cmp-batch crl makes one now")
		}
		return nil
	}
	if err := a.makeCRL(ctx); err != nil {
		return hint(fmt.Errorf("this is done, but no CRL says so yet: %w", err), "cmp-batch crl makes one")
	}
	return nil
}

// revoke changes all of them or none.
func (a *authority) revoke(ctx context.Context, serials [][]byte, reason pkix.CRLReason, invalidity time.Time) error {
	by := operator()
	for range 10 {
		whole := &cmpcore.Outcome{Disposition: cmpcore.Silent}
		for _, s := range serials {
			o, err := a.engine.Revoke(ctx, a.store.View(), s, int(reason), invalidity, by)
			if errors.Is(err, cmpcore.ErrNotRevocable) || errors.Is(err, cmpcore.ErrNoCertificate) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			whole.CertChanges = append(whole.CertChanges, o.CertChanges...)
			whole.Outgoing = append(whole.Outgoing, o.Outgoing...)
			whole.Audit = append(whole.Audit, o.Audit...)
		}
		_, verdicts, err := a.store.Commit(ctx, []spool.Entry{{Received: time.Now(), Outcome: whole}})
		if err != nil {
			return fmt.Errorf("revoke: %w", err)
		}
		if !verdicts[0].Conflict {
			return nil
		}
	}
	return fmt.Errorf("revoke: %w", spool.ErrConflict)
}
