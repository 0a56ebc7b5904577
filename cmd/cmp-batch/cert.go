package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) certCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "cert",
		Short: "What was issued: list, show, export, lint, revoke",
		Long: `What was issued: list, show, export, lint and revoke certificates.

SERIAL is a serial number in hexadecimal, with or without colons, in any case.`,
		Example: `  cmp-batch cert ls --status valid --expiring 30d
  cmp-batch cert revoke 3F:A9:01 --reason keyCompromise`,
	}, c.certListCommand(), c.certShowCommand(), c.certExportCommand(), c.certLintCommand(), c.certRevokeCommand())
}

// parseSerial reads a serial number as people write it, and gives it as the
// Store keeps it.
func parseSerial(text string) ([]byte, error) {
	digits := strings.NewReplacer(":", "", " ", "").Replace(text)
	if len(digits) > 1 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X') {
		digits = digits[2:]
	}
	if digits = strings.TrimLeft(digits, "0"); len(digits)%2 == 1 {
		digits = "0" + digits
	}
	serial, err := hex.DecodeString(digits)
	if err != nil || len(serial) == 0 || len(serial) > 64 {
		return nil, usage("%.80q is not a serial number in hexadecimal, such as 3FA901 or 3F:A9:01", text)
	}
	return serial, nil
}

// certFilters are the flags that select certificates.
type certFilters struct {
	status, serial, subject, profile, transaction, expiring string
	limit                                                   int
}

var certStatuses = []cmpcore.CertStatus{cmpcore.Unconfirmed, cmpcore.Valid, cmpcore.Revoked, cmpcore.RejectedByHolder}

// filter gives what the Store can select by, and what it cannot.
func (f *certFilters) filter(now time.Time) (spool.CertFilter, func(*cmpcore.Certificate) bool, error) {
	all := func(*cmpcore.Certificate) bool { return true }
	out := spool.CertFilter{SubjectPart: f.subject, Profile: f.profile}
	if f.status != "" {
		var words []string
		for _, s := range certStatuses {
			words = append(words, s.String())
			if s.String() == f.status {
				out.Status = s
			}
		}
		if out.Status == 0 {
			return out, nil, usage("--status: %.40q is not one of %s", f.status, strings.Join(words, ", "))
		}
	}
	var err error
	if f.serial != "" {
		if out.Serial, err = parseSerial(f.serial); err != nil {
			return out, nil, usageError{fmt.Errorf("--serial: %w", err)}
		}
	}
	if f.transaction != "" {
		if out.TransactionID, err = hex.DecodeString(strings.ReplaceAll(f.transaction, ":", "")); err != nil || len(out.TransactionID) == 0 {
			return out, nil, usage("--transaction: %.80q is not a transactionID in hexadecimal", f.transaction)
		}
	}
	if f.limit < 0 {
		return out, nil, usage("--limit: %d is no number of certificates", f.limit)
	}
	if f.expiring == "" {
		return out, all, nil
	}
	if out.ExpiresBefore, err = parseDeadline("--expiring", f.expiring, now); err != nil {
		return out, nil, err
	}
	// Those that need a successor: what is over, or was revoked, needs none.
	return out, func(c *cmpcore.Certificate) bool {
		return !c.NotAfter.Before(now) && (f.status != "" || c.Status == cmpcore.Valid || c.Status == cmpcore.Unconfirmed)
	}, nil
}

func (c *cli) certListCommand() *cobra.Command {
	var f certFilters
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List certificates, in order of issue",
		Long: `List certificates, in order of issue. All filters that are given must match.

The states are: unconfirmed (the device has not confirmed it yet), valid,
revoked, and rejected (the device did not want it, or never confirmed it; it is
on the CRL).`,
		Example: `  cmp-batch cert ls
  cmp-batch cert ls --expiring 30d
  cmp-batch cert ls --status revoked --subject O=Example --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			now := time.Now()
			filter, wanted, err := f.filter(now)
			if err != nil {
				return err
			}
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			t := c.rows("SERIAL\tSTATUS\tNOT AFTER\tPROFILE\tREQUESTER\tSUBJECT")
			n := 0
			for cert, err := range a.store.Certificates(ctx, filter) {
				if err != nil {
					return errors.Join(t.end(), err)
				}
				if !wanted(cert) {
					continue
				}
				if c.json {
					if err := c.printJSON(newCertJSON(cert)); err != nil {
						return err
					}
				} else {
					t.row(hex.EncodeToString(cert.Serial), statusWord(cert), until(cert.NotAfter, now), cert.Profile,
						escapeCut(cert.Requester, 48), cut(subjectText(cert), 200))
				}
				if n++; n == f.limit {
					break
				}
			}
			if n == 0 && !c.json {
				if f == (certFilters{}) {
					fmt.Fprintln(c.stdout, "no certificates yet")
				} else {
					fmt.Fprintln(c.stdout, "no certificate matches")
				}
			}
			return t.end()
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.status, "status", "", "`STATUS`: unconfirmed, valid, revoked or rejected")
	fl.StringVar(&f.subject, "subject", "", "`PART` of the subject, in any case")
	fl.StringVar(&f.profile, "profile", "", "`NAME` of the profile it was issued by")
	fl.StringVar(&f.serial, "serial", "", "serial number, `HEX`")
	fl.StringVar(&f.transaction, "transaction", "", "transactionID of its request, `HEX`")
	fl.StringVar(&f.expiring, "expiring", "", "not revoked, and ends within this `TIME` from now, as 30d, or before it, as 2026-12-31")
	fl.IntVar(&f.limit, "limit", 0, "at most so many; 0: all")
	return c.withJSON(c.withConfig(cmd))
}

// certJSON is a certificate as --json prints it.
type certJSON struct {
	Serial         string `json:"serial"`
	Subject        string `json:"subject"`
	Status         string `json:"status"`
	NotBefore      string `json:"not_before"`
	NotAfter       string `json:"not_after"`
	Profile        string `json:"profile"`
	Transaction    string `json:"transaction"`
	Requester      string `json:"requester"`
	RevokedAt      string `json:"revoked_at,omitempty"`
	Reason         string `json:"reason,omitempty"`
	InvalidityDate string `json:"invalidity_date,omitempty"`
}

func newCertJSON(c *cmpcore.Certificate) certJSON {
	j := certJSON{
		Serial: hex.EncodeToString(c.Serial), Subject: c.Subject.String(), Status: c.Status.String(),
		NotBefore: stamp(c.NotBefore), NotAfter: stamp(c.NotAfter), Profile: c.Profile,
		Transaction: hex.EncodeToString(c.TransactionID), Requester: c.Requester,
	}
	if c.Status == cmpcore.Revoked || c.Status == cmpcore.RejectedByHolder {
		j.RevokedAt, j.Reason = optionalStamp(c.RevokedAt), pkix.CRLReason(c.Reason).String()
		j.InvalidityDate = optionalStamp(c.InvalidityDate)
	}
	return j
}

// statusWord is the status for people.
func statusWord(c *cmpcore.Certificate) string {
	if c.Status == cmpcore.Revoked && pkix.CRLReason(c.Reason) == pkix.ReasonCertificateHold {
		return "on hold"
	}
	return c.Status.String()
}

func subjectText(c *cmpcore.Certificate) string {
	if c.Subject.IsEmpty() {
		return "(empty)"
	}
	return c.Subject.String()
}
