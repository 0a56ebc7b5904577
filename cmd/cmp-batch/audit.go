package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmptext"

	"github.com/spf13/cobra"
)

func (c *cli) auditCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "audit",
		Short: "The audit log: what was done, for whom, and by whom",
		Long: `The audit log: what was done, for whom, and by whom. It is written in the same
transaction as the deed, one record a commit. Each record holds a hash over its
entries and the record before it, so that none can be changed, taken out or put
in between without a trace. Note the head from time to time in another place:
it also gives away that the end was cut off or all was written anew.`,
		Example: `  cmp-batch audit ls --since 100
  cmp-batch audit verify`,
	}, c.auditListCommand(), c.auditVerifyCommand())
}

// auditJSON is one entry as --json prints it.
type auditJSON struct {
	Record int64 `json:"record"`
	cmpcore.AuditEntry
}

func (c *cli) auditListCommand() *cobra.Command {
	var since int64
	var event, serial string
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the entries of the audit log, oldest first",
		Example: `  cmp-batch audit ls
  cmp-batch audit ls --event revoked --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if since < 0 {
				return usage("--since: %d is not the number of a record", since)
			}
			if serial != "" {
				s, err := parseSerial(serial)
				if err != nil {
					return usageError{fmt.Errorf("--serial: %w", err)}
				}
				serial = hex.EncodeToString(s)
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			t := c.rows("RECORD\tTIME\tEVENT\tREQUESTER\tSERIAL\tRULE\tDETAIL")
			for r, err := range a.store.Audit(ctx, since) {
				if err != nil {
					return errors.Join(t.end(), err)
				}
				for line := range bytes.Lines(r.Entries) {
					j := auditJSON{Record: r.Seq}
					if err := json.Unmarshal(line, &j.AuditEntry); err != nil {
						return errors.Join(t.end(), hint(fmt.Errorf("record %d of the audit log is damaged: %w", r.Seq, err), "cmp-batch audit verify"))
					}
					if event != "" && j.Event != event || serial != "" && j.Serial != serial {
						continue
					}
					if c.json {
						if err := c.printJSON(j); err != nil {
							return err
						}
						continue
					}
					t.row(strconv.FormatInt(r.Seq, 10), stamp(j.Time), escapeCut(j.Event, 24), escapeCut(j.Requester, 48),
						escapeCut(j.Serial, 40), escapeCut(j.Rule, 40), cmptext.Escape(j.Detail))
				}
			}
			if t.n == 0 && !c.json {
				fmt.Fprintln(c.stdout, "no entries")
			}
			return t.end()
		},
	}
	f := cmd.Flags()
	f.Int64Var(&since, "since", 0, "from this `RECORD` on")
	f.StringVar(&event, "event", "", "only this `EVENT`: issued, refused, revoked, confirmed, ...")
	f.StringVar(&serial, "serial", "", "only about the certificate with this serial number, `HEX`")
	return c.withJSON(c.withConfig(cmd))
}

func (c *cli) auditVerifyCommand() *cobra.Command {
	var expect string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the chain of the audit log",
		Long: `Check the chain of the audit log from its first record on, and print its length
and its head. Exit 1 says that it was tampered with, or is damaged, and where.

--expect takes what an earlier call printed, LENGTH:HEAD, and also finds that
the end was cut off since, or all was written anew.`,
		Example: `  cmp-batch audit verify
  cmp-batch audit verify --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, head, err := parseExpected(expect)
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			n, last, err := a.store.VerifyAudit(ctx)
			if err == nil && expect != "" {
				err = a.checkHead(ctx, seq, n, head)
			}
			if c.json {
				j := map[string]any{"records": n, "head": hex.EncodeToString(last[:]), "ok": err == nil}
				if err != nil {
					j["error"] = err.Error()
				}
				return errors.Join(c.printJSON(j), err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "the chain of %d records is whole; its head is\n%d:%x\n", n, n, last)
			return err
		},
	}
	cmd.Flags().StringVar(&expect, "expect", "", "`LENGTH:HEAD` that an earlier call printed")
	return c.withJSON(c.withConfig(cmd))
}

func parseExpected(text string) (seq int64, head []byte, err error) {
	if text == "" {
		return 0, nil, nil
	}
	number, digits, _ := strings.Cut(text, ":")
	seq, err = strconv.ParseInt(number, 10, 64)
	if err == nil {
		head, err = hex.DecodeString(digits)
	}
	if err != nil || seq < 0 || len(head) != 32 {
		return 0, nil, usage("--expect: %.100q is not LENGTH:HEAD as audit verify prints it", text)
	}
	return seq, head, nil
}

// checkHead compares a record with what was noted of it before.
func (a *authority) checkHead(ctx context.Context, seq, n int64, head []byte) error {
	if seq == 0 {
		return nil // noted before the first record
	}
	if seq > n {
		return fmt.Errorf("audit log: it has %d records and once had %d: its end was cut off", n, seq)
	}
	for r, err := range a.store.Audit(ctx, seq) {
		if err != nil {
			return err
		}
		if r.Seq != seq || !bytes.Equal(r.Head[:], head) {
			return fmt.Errorf("audit log: record %d is not the one that was noted: the log was written anew", seq)
		}
		return nil
	}
	return fmt.Errorf("audit log: record %d is gone", seq)
}
