package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// A change that somebody makes to a request that waits, and what to say of it.
type waitingChange struct {
	event string // of the audit log
	// do tells whether there was anything to do.
	do   func(ctx context.Context, t *cmpcore.Transaction) (bool, error)
	done func(t *cmpcore.Transaction) string
}

// change makes the change to the request with this identifier, also where
// another process changes it meanwhile.
func (a *authority) change(ctx context.Context, id string, ch waitingChange) error {
	for range 10 {
		t, err := a.findWaiting(ctx, id)
		if err != nil {
			return err
		}
		changed, err := ch.do(ctx, t)
		if errors.Is(err, spool.ErrConflict) {
			continue
		}
		if errors.Is(err, spool.ErrNotFound) {
			return usageError{err}
		}
		if err == nil && changed {
			err = a.note(ctx, cmpcore.AuditEntry{
				Event: ch.event, Transaction: hex.EncodeToString(t.TransactionID), Detail: cut(t.Requester+" "+t.Summary, 300),
			})
		}
		if err != nil {
			return err
		}
		now, err := a.store.View().Transaction(ctx, t.Key)
		if err != nil {
			return err
		}
		if now == nil {
			now = t
		}
		if a.cli.json {
			return a.cli.printJSON(newWaitingJSON(now))
		}
		_, err = fmt.Fprintf(a.cli.stdout, "%x %s: %s\n", t.Key[:6], ch.done(t), escapeCut(t.Summary, 160))
		return err
	}
	return fmt.Errorf("request %s: %w", id, spool.ErrConflict)
}

// changeAll goes on after one that could not be changed.
func (a *authority) changeAll(ctx context.Context, ids []string, ch waitingChange) error {
	var errs []error
	for _, id := range ids {
		if err := a.change(ctx, id, ch); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (a *authority) decision(d cmpcore.Decision, reason string) waitingChange {
	by := operator()
	return waitingChange{
		event: "decided-" + decisionWord(d),
		do: func(ctx context.Context, t *cmpcore.Transaction) (bool, error) {
			return true, a.store.Decide(ctx, t.Key, t.Version, d, by, reason)
		},
		done: func(t *cmpcore.Transaction) string {
			text := decisionWord(d)
			if t.Decision != cmpcore.Undecided && t.Decision != d {
				text += " (was " + decisionWord(t.Decision) + " by " + escapeCut(t.DecidedBy, 64) + ")"
			}
			switch {
			case t.Frozen:
				text += ", but on hold until queue release"
			case t.Held:
				text += ", the next run answers"
			default:
				text += ", it hears so when it asks again"
			}
			return text
		},
	}
}

func (c *cli) queueApproveCommand() *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "approve (ID... | --all)",
		Short: "Say yes to requests that wait",
		Long: `Say yes to requests that wait. What they ask for is checked again when it is
issued, so an approval does not pass over the profile. A decision may be changed
until it was acted on. The audit log has the name of who decided.

--all is for those that are undecided and not on hold. It asks before, or wants
--yes where there is no terminal.

An ID that does not wait is wrong use: exit 2; the others are approved.`,
		Example: `  cmp-batch queue approve 3f2a91
  cmp-batch queue approve --all --yes`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return hint(usage("IDs or --all say what is approved"), "cmp-batch queue ls lists what waits")
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			if all {
				if args, err = a.undecided(ctx, yes); err != nil || len(args) == 0 {
					return err
				}
			}
			return a.changeAll(ctx, args, a.decision(cmpcore.Approved, ""))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are undecided and not on hold")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before --all")
	return c.withJSON(c.withConfig(cmd))
}

// undecided lists what --all is about, after a person has said yes to it.
func (a *authority) undecided(ctx context.Context, yes bool) ([]string, error) {
	c := a.cli
	stdin, ok := c.stdin.(*os.File)
	if !yes && !(ok && term.IsTerminal(int(stdin.Fd()))) {
		return nil, usage("--all needs --yes where there is no terminal to ask on")
	}
	var ids []string
	now := time.Now()
	for t, err := range a.store.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		if t.Decision != cmpcore.Undecided || t.Frozen {
			continue
		}
		ids = append(ids, fmt.Sprintf("%x", t.Key))
		if !yes {
			fmt.Fprintf(c.stderr, "  %x  %s  %s  %s\n", t.Key[:6], age(now.Sub(t.Created)), escapeCut(t.Requester, 48), escapeCut(t.Summary, 160))
		}
	}
	if len(ids) == 0 {
		if !c.json {
			fmt.Fprintln(c.stdout, "nothing is undecided")
		}
		return nil, nil
	}
	if yes {
		return ids, nil
	}
	fmt.Fprintf(c.stderr, "Approve these %d? [y/N] ", len(ids))
	line, _ := bufio.NewReader(c.stdin).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return nil, errors.New("nothing was approved")
	}
	return ids, nil
}

const maxRejection = 500 // characters

func (c *cli) queueRejectCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "reject ID... --reason TEXT",
		Short: "Say no to requests that wait",
		Long: `Say no to requests that wait. The requester gets TEXT with the refusal. A
decision may be changed until it was acted on.`,
		Example: `  cmp-batch queue reject 3f2a91 --reason "unknown device"`,
		Args:    needs(1, "the ID is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case strings.TrimSpace(reason) == "":
				return usage("--reason says why; the requester gets it")
			case !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl):
				return usage("--reason: it must be one line of text")
			case utf8.RuneCountInString(reason) > maxRejection:
				return usage("--reason: it has more than %d characters", maxRejection)
			}
			a, err := c.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			return a.changeAll(cmd.Context(), args, a.decision(cmpcore.Rejected, reason))
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that the requester gets")
	return c.withJSON(c.withConfig(cmd))
}

func (c *cli) queueHoldCommand() *cobra.Command {
	return c.freezeCommand(&cobra.Command{
		Use:   "hold ID...",
		Short: "Keep requests from being decided or refused by time",
		Long: `Put requests on hold: no decision about them is acted on, and they are not
refused when their time is over, until queue release.`,
		Example: `  cmp-batch queue hold 3f2a91`,
	}, true)
}

func (c *cli) queueReleaseCommand() *cobra.Command {
	return c.freezeCommand(&cobra.Command{
		Use:     "release ID...",
		Short:   "Lift queue hold",
		Example: `  cmp-batch queue release 3f2a91`,
	}, false)
}

func (c *cli) freezeCommand(cmd *cobra.Command, frozen bool) *cobra.Command {
	cmd.Args = needs(1, "the ID is missing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := c.openLedger(cmd.Context())
		if err != nil {
			return err
		}
		defer a.close()
		return a.changeAll(cmd.Context(), args, waitingChange{
			event: cmd.Name(), // hold, release
			do: func(ctx context.Context, t *cmpcore.Transaction) (bool, error) {
				if t.Frozen == frozen {
					return false, nil
				}
				return true, a.store.Freeze(ctx, t.Key, t.Version, frozen)
			},
			done: func(t *cmpcore.Transaction) string {
				switch {
				case frozen && t.Frozen:
					return "is on hold already"
				case frozen:
					return "is on hold"
				case t.Frozen:
					return "is released, " + decisionWord(t.Decision)
				}
				return "was not on hold"
			},
		})
	}
	return c.withJSON(c.withConfig(cmd))
}
