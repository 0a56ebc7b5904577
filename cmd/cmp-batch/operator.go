package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// operator names the person at the keyboard, for the audit log. It is what the
// system says, not what anybody has proven.
func operator() string {
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v := os.Getenv(name); v != "" {
			return cut(v, 64)
		}
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return cut(u.Username, 64)
	}
	return "unknown"
}

// note writes into the audit log what an operator did that no outcome of a
// message tells of.
func (a *authority) note(ctx context.Context, e cmpcore.AuditEntry) error {
	now := time.Now()
	e.Time, e.Requester = now, "operator:"+operator()
	_, _, err := a.store.Commit(ctx, []spool.Entry{{Received: now, Outcome: &cmpcore.Outcome{
		Disposition: cmpcore.Silent, Audit: []cmpcore.AuditEntry{e},
	}}})
	if err != nil {
		return fmt.Errorf("this is done, but not in the audit log: %w", err)
	}
	return nil
}
