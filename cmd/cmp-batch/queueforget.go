package main

import (
	"errors"
	"fmt"
	"strconv"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"

	"github.com/spf13/cobra"
)

func (c *cli) queueForgetCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "forget (ID... | --all)",
		Short: "Strike failed messages off the list",
		Long: `Strike failed messages off the list, once they are dealt with. Files in the failed
folder stay where they are; remove them by hand. The audit log keeps a line of it.
What is forgotten is judged anew if it comes again.`,
		Example: `  cmp-batch queue forget 12
  cmp-batch queue forget --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return hint(usage("IDs or --all say what is forgotten"), "cmp-batch queue ls lists what failed")
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			wanted := map[string]bool{}
			for _, id := range args {
				wanted[id] = true
			}
			var list []spool.Failure
			for f, err := range a.store.Failures(ctx) {
				if err != nil {
					return err
				}
				if id := strconv.FormatInt(f.ID, 10); all || wanted[id] {
					delete(wanted, id)
					list = append(list, f)
				}
			}
			var errs []error
			for i := range list {
				f := &list[i]
				if err := a.store.Forget(ctx, f.ID); errors.Is(err, spool.ErrNotFound) {
					continue // another was quicker
				} else if err != nil {
					return errors.Join(append(errs, err)...)
				}
				errs = append(errs, a.note(ctx, cmpcore.AuditEntry{
					Event: "forgotten", Detail: fmt.Sprintf("channel %.80s, file %.200q: %.200s", f.Return.Channel, f.Return.Name, f.Reason),
				}))
				if c.json {
					errs = append(errs, c.printJSON(map[string]string{"id": strconv.FormatInt(f.ID, 10), "status": "forgotten"}))
				} else if _, err := fmt.Fprintf(c.stdout, "%d is forgotten: %q\n", f.ID, f.Return.Name); err != nil {
					errs = append(errs, err)
				}
			}
			if all && len(list) == 0 && !c.json {
				fmt.Fprintln(c.stdout, "nothing failed")
			}
			for _, id := range args {
				if wanted[id] {
					errs = append(errs, hint(usage("%.80q is not the number of a failed message", id), "cmp-batch queue ls lists what failed"))
				}
			}
			return errors.Join(errs...)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that failed")
	return c.withJSON(c.withConfig(cmd))
}
