package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) queueCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "queue",
		Short: "What waits for a person, failed, or is undelivered",
		Long: `What waits for a person, what failed, and what was answered and has not arrived.

ID is what queue ls prints: hexadecimal digits for a request that waits (a
beginning that only one has is enough), a number for a message that failed.`,
		Example: `  cmp-batch queue ls
  cmp-batch queue approve 3f2a91
  cmp-batch queue reject 3f2a91 --reason "unknown device"`,
	}, c.queueListCommand(), c.queueShowCommand(), c.queueApproveCommand(), c.queueRejectCommand(),
		c.queueHoldCommand(), c.queueReleaseCommand(), c.queueRequeueCommand(), c.queueForgetCommand())
}

// waitingJSON is a request that waits, as --json prints it.
type waitingJSON struct {
	Kind        string `json:"kind"` // waiting
	ID          string `json:"id"`
	Created     string `json:"created"`
	Expires     string `json:"expires,omitempty"`
	Channel     string `json:"channel"`
	Requester   string `json:"requester"`
	Transaction string `json:"transaction"`
	Body        string `json:"body"`
	Summary     string `json:"summary"`
	Decision    string `json:"decision"` // undecided, approved or rejected
	DecidedBy   string `json:"decided_by,omitempty"`
	Reason      string `json:"reason,omitempty"`
	OnHold      bool   `json:"on_hold"`  // queue hold
	Answered    bool   `json:"answered"` // it was told to wait; else nothing was answered
	RequestHash string `json:"request"`  // SHA-256 of the request
	// How many people have approved, and must; and what each has said.
	Approvals       int        `json:"approvals"`
	ApprovalsNeeded int        `json:"approvals_needed"`
	Votes           []voteJSON `json:"votes,omitempty"`
}

// voteJSON is what one person said of a request.
type voteJSON struct {
	By       string `json:"by"`
	Account  string `json:"account,omitempty"` // of the operating system
	Time     string `json:"time,omitempty"`
	Decision string `json:"decision"`
	Note     string `json:"note,omitempty"` // of a rejection: what the requester is told
}

// failedJSON is a message that failed.
type failedJSON struct {
	Kind    string `json:"kind"` // failed
	ID      int64  `json:"id,string"`
	Time    string `json:"time"`
	Channel string `json:"channel"`
	Name    string `json:"name"`
	Reason  string `json:"reason"`
	Hash    string `json:"hash"`
}

// undeliveredJSON is an answer that has not arrived.
type undeliveredJSON struct {
	Kind    string `json:"kind"` // undelivered
	ID      int64  `json:"id,string"`
	Channel string `json:"channel"`
	Name    string `json:"name"`
	Octets  int    `json:"octets"`
}

func newWaitingJSON(t *cmpcore.Transaction) waitingJSON {
	j := waitingJSON{
		Kind: "waiting", ID: fmt.Sprintf("%x", t.Key), Created: stamp(t.Created), Expires: optionalStamp(t.Expires),
		Channel: t.Channel, Requester: t.Requester, Transaction: fmt.Sprintf("%x", t.TransactionID),
		Body: t.Body.String(), Summary: t.Summary, Decision: decisionWord(t.Decision), DecidedBy: t.DecidedBy(),
		Reason: t.Reason(), Approvals: t.Approved(), ApprovalsNeeded: t.Needed(), OnHold: t.Frozen, Answered: !t.Held, RequestHash: fmt.Sprintf("%x", t.Request),
	}
	for i := range t.Votes {
		v := &t.Votes[i]
		at := ""
		if v.At.Unix() > 0 { // it was not kept before
			at = stamp(v.At)
		}
		j.Votes = append(j.Votes, voteJSON{By: v.By, Account: v.Account, Time: at, Decision: decisionWord(v.Decision), Note: v.Note})
	}
	return j
}

func newFailedJSON(f *spool.Failure) failedJSON {
	return failedJSON{
		Kind: "failed", ID: f.ID, Time: stamp(f.Time), Channel: f.Return.Channel, Name: f.Return.Name,
		Reason: f.Reason, Hash: fmt.Sprintf("%x", f.Hash),
	}
}

func decisionWord(d cmpcore.Decision) string {
	switch d {
	case cmpcore.Approved:
		return "approved"
	case cmpcore.Rejected:
		return "rejected"
	}
	return "undecided"
}

// stateWord is where a waiting request stands, for people.
func stateWord(t *cmpcore.Transaction) string {
	word := decisionWord(t.Decision)
	if t.Decision == cmpcore.Undecided && t.Needed() > 1 {
		word = fmt.Sprintf("%d of %d approved", t.Approved(), t.Needed())
	}
	if t.Frozen {
		return "on hold, " + word
	}
	return word
}

func (c *cli) queueListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List what waits, failed, or is undelivered",
		Long: `List the requests that wait for a person, oldest first, the messages that
failed, newest first, and the answers that have not arrived.`,
		Example: `  cmp-batch queue ls
  cmp-batch queue ls --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			q := &queueList{authority: a, now: time.Now(), most: 50}
			if all || c.json {
				q.most = 0
			}
			return q.print(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "list all that failed or is undelivered, not just 50 of each")
	return c.withJSON(c.withConfig(cmd))
}

// queueList prints the three lists.
type queueList struct {
	*authority
	now  time.Time
	most int // of failures and undelivered answers; 0: all
	any  bool
}

func (q *queueList) print(ctx context.Context) error {
	for _, part := range []func(context.Context) error{q.waiting, q.failed, q.undelivered} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	if !q.any && !q.cli.json {
		fmt.Fprintln(q.cli.stdout, "nothing waits for a person, nothing failed, and every answer has arrived")
	}
	return nil
}

// part starts one of the lists.
func (q *queueList) part(title, columns string) *rows {
	if q.any {
		title = "\n" + title
	}
	q.any = true
	if q.cli.json {
		return q.cli.rows(columns)
	}
	fmt.Fprintln(q.cli.stdout, title)
	return q.cli.rows("  " + columns)
}

func (q *queueList) waiting(ctx context.Context) error {
	var t *rows
	for tx, err := range q.store.Waiting(ctx) {
		if err != nil {
			return err
		}
		if t == nil {
			t = q.part("Waiting for a person (queue approve, queue reject):", "ID\tAGE\tSTATE\tCHANNEL\tREQUESTER\tREQUEST")
		}
		if q.cli.json {
			if err := q.cli.printJSON(newWaitingJSON(tx)); err != nil {
				return err
			}
			continue
		}
		t.row(fmt.Sprintf("  %x", tx.Key[:6]), age(q.now.Sub(tx.Created)), stateWord(tx), escapeCut(tx.Channel, 24),
			escapeCut(tx.Requester, 48), escapeCut(tx.Summary, 160))
	}
	return t.end()
}

func (q *queueList) failed(ctx context.Context) error {
	var t *rows
	n := 0
	for f, err := range q.store.Failures(ctx) {
		if err != nil {
			return err
		}
		if t == nil {
			t = q.part("Failed (queue requeue):", "ID\tAGE\tCHANNEL\tFILE\tREASON")
		}
		if q.cli.json {
			if err := q.cli.printJSON(newFailedJSON(&f)); err != nil {
				return err
			}
			continue
		}
		if n++; q.most > 0 && n > q.most {
			return q.more(t)
		}
		t.row("  "+strconv.FormatInt(f.ID, 10), age(q.now.Sub(f.Time)), escapeCut(f.Return.Channel, 24),
			escapeCut(f.Return.Name, 64), escapeCut(f.Reason, 160))
	}
	return t.end()
}

func (q *queueList) undelivered(ctx context.Context) error {
	var t *rows
	n := 0
	for after := int64(0); ; {
		list, err := q.store.Undelivered(ctx, after, 256)
		if err != nil {
			return errors.Join(t.end(), err)
		}
		if len(list) == 0 {
			return t.end()
		}
		for _, u := range list {
			after = u.ID
			if t == nil {
				t = q.part("Answered and not arrived (the next run tries again):", "ID\tCHANNEL\tFILE\tOCTETS")
			}
			if q.cli.json {
				if err := q.cli.printJSON(undeliveredJSON{"undelivered", u.ID, u.Return.Channel, u.Return.Name, len(u.Reply)}); err != nil {
					return err
				}
				continue
			}
			if n++; q.most > 0 && n > q.most {
				return q.more(t)
			}
			t.row("  "+strconv.FormatInt(u.ID, 10), escapeCut(u.Return.Channel, 24), escapeCut(u.Return.Name, 64), strconv.Itoa(len(u.Reply)))
		}
	}
}

// more ends a list before its end.
func (q *queueList) more(t *rows) error {
	if err := t.end(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(q.cli.stdout, "  and more: --all lists them\n")
	return err
}
