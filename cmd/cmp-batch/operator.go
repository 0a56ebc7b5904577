package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	"cmp-batch/spool"
)

// operator names the person at the keyboard: the account of the operating
// system, and no variable that anybody can set. It is the account that was
// logged in to, where the kernel remembers that through sudo and su (Linux, with
// pam_loginuid); else, for root, the one that sudo was called by; else the one
// that runs this program. Who is root can be anybody.
func operator() string {
	if uid, ok := loginUID(); ok {
		return accountName(uid)
	}
	if uid := os.Getuid(); uid > 0 {
		return accountName(strconv.Itoa(uid))
	}
	if uid := os.Getenv("SUDO_UID"); os.Getuid() == 0 && isUID(uid) {
		return accountName(uid)
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return cut(u.Username, 64)
	}
	return "unknown"
}

// loginUID is the account that the session was logged in to; nobody but the
// kernel's audit can change it.
func loginUID() (string, bool) {
	if runtime.GOOS != "linux" {
		return "", false
	}
	b, err := os.ReadFile("/proc/self/loginuid")
	uid := strings.TrimSpace(string(b))
	return uid, err == nil && isUID(uid)
}

// isUID leaves out 4294967295, which is none.
func isUID(s string) bool {
	n, err := strconv.ParseUint(s, 10, 32)
	return err == nil && n < 1<<32-1
}

func accountName(uid string) string {
	if u, err := user.LookupId(uid); err == nil && u.Username != "" {
		return cut(u.Username, 64)
	}
	return "uid:" + uid
}

// decider finds who decides on the account that the system vouches for. by is
// what --by says, empty where it says nothing.
func (a *authority) decider(by string) (v cmpcore.Vote, err error) {
	v.Account = operator()
	if len(a.cfg.Approvers) == 0 {
		if v.By = v.Account; by != "" && by != v.By {
			return v, hint(usage("--by %.64q: the account here is %q, and approvers: in the configuration names no people", by, v.Account),
				"without approvers, each account is one person")
		}
		return v, nil
	}
	var mine []string
	var named *configs.Approver
	for i := range a.cfg.Approvers {
		p := &a.cfg.Approvers[i]
		if strings.EqualFold(p.Name, by) {
			named = p
		}
		if p.Account == v.Account {
			mine = append(mine, p.Name)
		}
	}
	switch {
	case len(mine) == 0:
		return v, usage("the account here is %q, and that of nobody under approvers: in the configuration", v.Account)
	case by == "" && len(mine) > 1:
		return v, usage("--by says who decides: the account %q is that of %s", v.Account, strings.Join(mine, ", "))
	case by == "":
		v.By = mine[0]
	case named == nil:
		return v, usage("--by %.64q: nobody under approvers: in the configuration has this name", by)
	case named.Account != v.Account:
		return v, usage("--by %q decides under the account %q, and this is %q", named.Name, named.Account, v.Account)
	default:
		v.By = named.Name
	}
	return v, nil
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
