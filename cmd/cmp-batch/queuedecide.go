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
	// do makes it, with what the audit log shall tell of it in the same
	// transaction.
	do   func(ctx context.Context, t *cmpcore.Transaction) error
	done func(was, now *cmpcore.Transaction) string
}

// change makes the change to the request with this identifier, also where
// another process changes it meanwhile.
func (a *authority) change(ctx context.Context, id string, ch waitingChange) error {
	for range 10 {
		t, err := a.findWaiting(ctx, id)
		if err != nil {
			return err
		}
		err = ch.do(ctx, t)
		if errors.Is(err, spool.ErrConflict) {
			continue
		}
		if errors.Is(err, spool.ErrNotFound) {
			return usageError{err}
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
		_, err = fmt.Fprintf(a.cli.stdout, "%x %s: %s\n", t.Key[:6], ch.done(t, now), escapeCut(t.Summary, 160))
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

// aboutWaiting is what the audit log tells of a change by a person.
func aboutWaiting(event, by string, t *cmpcore.Transaction, more string) cmpcore.AuditEntry {
	return cmpcore.AuditEntry{
		Time: time.Now(), Event: event, Requester: "operator:" + by, Transaction: hex.EncodeToString(t.TransactionID),
		Detail: cut(t.Requester+" "+t.Summary, 300) + more, Channel: t.Channel,
	}
}

// vote is what a person says of requests.
func (a *authority) vote(v cmpcore.Vote) waitingChange {
	saidBefore := func(t *cmpcore.Transaction) bool {
		o := t.VoteOf(v.By)
		return o != nil && o.Decision == v.Decision && o.Note == v.Note
	}
	return waitingChange{
		do: func(ctx context.Context, t *cmpcore.Transaction) error {
			if saidBefore(t) {
				return nil
			}
			v.At = time.Now()
			after := *t
			if err := after.Vote(v); err != nil {
				return err
			}
			return a.store.Decide(ctx, t.Key, t.Version, v, aboutWaiting("decided-"+decisionWord(v.Decision), v.By, t, aboutVote(v, &after)))
		},
		done: func(was, t *cmpcore.Transaction) string {
			text := decisionWord(v.Decision)
			by := " by " + escapeCut(v.By, 64)
			if saidBefore(was) {
				by += " already"
			}
			switch {
			case v.Decision == cmpcore.Approved && t.Decision == cmpcore.Rejected:
				return text + by + ", but rejected by " + escapeCut(t.DecidedBy(), 64)
			case t.Decision == cmpcore.Undecided:
				return fmt.Sprintf("%s%s, %d of %d: somebody else must approve too", text, by, t.Approved(), t.Needed())
			case t.Needed() > 1:
				text += " by " + escapeCut(t.DecidedBy(), 200)
			}
			switch {
			case t.Frozen:
				text += ", but on hold until queue release"
			case was.Held:
				text += ", the next run answers"
			default:
				text += ", it hears so when it asks again"
			}
			return text
		},
	}
}

// aboutVote is what the audit log tells besides who and about what.
func aboutVote(v cmpcore.Vote, after *cmpcore.Transaction) string {
	text := ""
	if after.Needed() > 1 {
		text += fmt.Sprintf("; %d of %d approve", after.Approved(), after.Needed())
	}
	if v.Account != v.By {
		text += "; account " + v.Account
	}
	if v.Note != "" {
		text += "; " + cut(v.Note, 200)
	}
	return text
}

// oneLine checks what is written about a decision.
func oneLine(flag, text string) error {
	switch {
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return usage("%s: it must be one line of text", flag)
	case utf8.RuneCountInString(text) > maxSaid:
		return usage("%s: it has more than %d characters", flag, maxSaid)
	}
	return nil
}

const maxSaid = 500 // characters

func (c *cli) queueApproveCommand() *cobra.Command {
	var all, yes bool
	var by, note string
	cmd := &cobra.Command{
		Use:   "approve (ID... | --all)",
		Short: "Say yes to requests that wait",
		Long: `Say yes to requests that wait. What they ask for is checked again when it is
issued, so an approval does not pass over the profile. Where the rule wants more
than one approval, as many different people must say yes; one rejection rejects.
Who said something may say something else until it was acted on. The audit log
has the name of who decided.

Who you are is the account of the operating system, and nothing else proves it;
under approvers: the configuration says whose that is. --by is for people who
share an account.

--all is for those that are undecided, not on hold, and not approved by you. It
asks before, or wants --yes where there is no terminal.

An ID that does not wait is wrong use: exit 2; the others are approved.`,
		Example: `  cmp-batch queue approve 3f2a91
  cmp-batch queue approve 3f2a91 --note "ticket 4711"
  cmp-batch queue approve --all --yes`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return hint(usage("IDs or --all say what is approved"), "cmp-batch queue ls lists what waits")
			}
			if err := oneLine("--note", note); err != nil {
				return err
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			v, err := a.decider(by)
			if err != nil {
				return err
			}
			v.Decision, v.Note = cmpcore.Approved, note
			if all {
				if args, err = a.undecided(ctx, v.By, yes); err != nil || len(args) == 0 {
					return err
				}
			}
			return a.changeAll(ctx, args, a.vote(v))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that are undecided and not on hold")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask before --all")
	cmd.Flags().StringVar(&note, "note", "", "`TEXT` for queue show and the audit log")
	byFlag(cmd, &by)
	return c.withJSON(c.withConfig(cmd))
}

func byFlag(cmd *cobra.Command, by *string) {
	cmd.Flags().StringVar(by, "by", "", "`NAME` of who decides, where people share an account")
}

// undecided lists what --all is about, after a person has said yes to it.
func (a *authority) undecided(ctx context.Context, by string, yes bool) ([]string, error) {
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
		if t.Decision != cmpcore.Undecided || t.Frozen || t.VoteOf(by) != nil {
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

func (c *cli) queueRejectCommand() *cobra.Command {
	var reason, by string
	cmd := &cobra.Command{
		Use:   "reject ID... --reason TEXT",
		Short: "Say no to requests that wait",
		Long: `Say no to requests that wait. The requester gets TEXT with the refusal. One
rejection is enough, however many approvals a rule wants. Who said something may
say something else until it was acted on.`,
		Example: `  cmp-batch queue reject 3f2a91 --reason "unknown device"`,
		Args:    needs(1, "the ID is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usage("--reason says why; the requester gets it")
			}
			if err := oneLine("--reason", reason); err != nil {
				return err
			}
			a, err := c.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			v, err := a.decider(by)
			if err != nil {
				return err
			}
			v.Decision, v.Note = cmpcore.Rejected, reason
			return a.changeAll(cmd.Context(), args, a.vote(v))
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that the requester gets")
	byFlag(cmd, &by)
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
			do: func(ctx context.Context, t *cmpcore.Transaction) error {
				if t.Frozen == frozen {
					return nil
				}
				// The events are hold and release.
				return a.store.Freeze(ctx, t.Key, t.Version, frozen, aboutWaiting(cmd.Name(), operator(), t, ""))
			},
			done: func(t, _ *cmpcore.Transaction) string {
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
