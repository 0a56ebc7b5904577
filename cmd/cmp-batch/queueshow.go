package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

// findWaiting finds a request that waits by its identifier or its beginning.
func (a *authority) findWaiting(ctx context.Context, id string) (*cmpcore.Transaction, error) {
	prefix := strings.ToLower(strings.ReplaceAll(id, ":", ""))
	if strings.Trim(prefix, "0123456789abcdef") != "" || len(prefix) > 2*len(cmpcore.TransactionKey{}) || prefix == "" {
		return nil, hint(usage("%.80q is not the ID of a request", id), "cmp-batch queue ls lists them")
	}
	var found *cmpcore.Transaction
	for t, err := range a.store.Waiting(ctx) {
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(hex.EncodeToString(t.Key[:]), prefix) {
			continue
		}
		if found != nil {
			return nil, usage("%s is the beginning of more than one ID: %x, %x", prefix, found.Key, t.Key)
		}
		found = t
	}
	if found == nil {
		return nil, hint(usage("no request with the ID %s waits for a person", prefix), "cmp-batch queue ls lists them")
	}
	return found, nil
}

// findFailure finds a message that failed by its number.
func (a *authority) findFailure(ctx context.Context, id int64) (*spool.Failure, error) {
	for f, err := range a.store.Failures(ctx) {
		if err != nil {
			return nil, err
		}
		if f.ID == id {
			return &f, nil
		}
		if f.ID < id {
			break // newest first
		}
	}
	return nil, hint(usage("no failed message has the number %d", id), "cmp-batch queue ls lists them")
}

func (c *cli) queueShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Print a request that waits, or why a message failed",
		Example: `  cmp-batch queue show 3f2a91
  cmp-batch queue show 12 --json`,
		Args: only(1, "the ID is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			t, err := a.findWaiting(ctx, args[0])
			if err == nil {
				return a.showWaiting(ctx, t)
			}
			if n, bad := strconv.ParseInt(args[0], 10, 64); bad == nil {
				f, err := a.findFailure(ctx, n)
				if err == nil {
					return a.showFailure(f)
				}
				return hint(usage("%s is neither the ID of a request that waits nor the number of a message that failed", args[0]), "cmp-batch queue ls lists them")
			}
			return err
		},
	}
	return c.withJSON(c.withConfig(cmd))
}

func (a *authority) showWaiting(ctx context.Context, t *cmpcore.Transaction) error {
	c := a.cli
	der, err := a.store.View().Message(ctx, t.Request)
	if err != nil {
		return err
	}
	var m *cmp.PKIMessage
	o := cmptext.Options{Protection: &cmptext.Protection{By: t.Requester}}
	if der != nil {
		m, o.ParseErr = cmp.Parse(der, cmp.Limits{DER: a.cfg.Limits})
	}
	if c.json {
		j := struct {
			waitingJSON
			Message json.RawMessage `json:"message,omitempty"`
		}{waitingJSON: newWaitingJSON(t)}
		if m != nil {
			if j.Message, err = cmptext.JSON(m, o); err != nil {
				return err
			}
		}
		return c.printJSON(j)
	}
	now := time.Now()
	w := c.table(fmt.Sprintf("id:\t%x", t.Key))
	fmt.Fprintf(w, "state:\t%s\n", stateWord(t))
	for _, v := range newWaitingJSON(t).Votes {
		fmt.Fprintf(w, "%s by:\t%s\n", v.Decision, voteLine(&v))
	}
	fmt.Fprintf(w, "came:\t%s (%s ago)\n", stamp(t.Created), age(now.Sub(t.Created)))
	if !t.Expires.IsZero() {
		fmt.Fprintf(w, "is refused at:\t%s\n", stamp(t.Expires))
	}
	told := "it was told to wait and to ask again"
	if t.Held {
		told = "nothing; its answer will be the first it hears"
	}
	fmt.Fprintf(w, "channel:\t%s\nrequester:\t%s\ntold:\t%s\nasks for:\t%s\n\n",
		cmptext.Escape(t.Channel), cmptext.Escape(t.Requester), told, cmptext.Escape(t.Summary))
	if err := w.Flush(); err != nil {
		return err
	}
	if m == nil {
		_, err := fmt.Fprintln(c.stdout, "the request itself cannot be shown")
		return err
	}
	return cmptext.Text(c.stdout, m, o)
}

// voteLine is who said something, when, and the note.
func voteLine(v *voteJSON) string {
	line := cmptext.Escape(v.By)
	if v.Account != "" && v.Account != v.By {
		line += " (account " + cmptext.Escape(v.Account) + ")"
	}
	if v.Time != "" {
		line += " at " + v.Time
	}
	if v.Note != "" {
		line += ": " + cmptext.Escape(v.Note)
	}
	return line
}

func (a *authority) showFailure(f *spool.Failure) error {
	c := a.cli
	path := ""
	if failed, err := a.failedFile(f); err == nil {
		path = failed.path()
	}
	if c.json {
		return c.printJSON(struct {
			failedJSON
			Path string `json:"path,omitempty"`
		}{newFailedJSON(f), path})
	}
	w := c.table(fmt.Sprintf("id:\t%d", f.ID))
	fmt.Fprintf(w, "failed:\t%s\nchannel:\t%s\nname:\t%s\nreason:\t%s\n",
		stamp(f.Time), cmptext.Escape(f.Return.Channel), cmptext.Escape(f.Return.Name), cmptext.Escape(f.Reason))
	if path != "" {
		fmt.Fprintf(w, "file:\t%s\n", cmptext.Escape(path))
	}
	return w.Flush()
}
