package cmpcore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cmp-batch/cmpcore/cmp"
)

// Vote is what one person said of a transaction that waits. Who the person is,
// the caller has found out: the Engine counts names.
type Vote struct {
	By       string    // the person; each has one vote, whatever the case of the letters
	Account  string    // of the operating system, under which it was said
	At       time.Time // when
	Decision Decision  // Undecided takes an earlier vote back
	Note     string    // for the record; of a rejection: the statusString the requester gets
}

// maxVotes bounds the votes of one transaction.
const maxVotes = 32

// Vote adds what a person said, in place of what that person said before. One
// rejection rejects; else it takes as many approvals, of different people, as
// Approvals says. It is for Stores, which must make it durable in one step with
// the check that nobody else has changed t meanwhile.
func (t *Transaction) Vote(v Vote) error {
	switch {
	case v.Decision > Rejected:
		return fmt.Errorf("%d is no decision", v.Decision)
	case v.By == "":
		return errors.New("a decision needs the name of who takes it")
	}
	votes := slices.DeleteFunc(slices.Clone(t.Votes), func(o Vote) bool { return strings.EqualFold(o.By, v.By) })
	if v.Decision != Undecided {
		if len(votes) == maxVotes {
			return fmt.Errorf("%d people have said something already", maxVotes)
		}
		votes = append(votes, v)
	}
	if t.Votes = votes; len(votes) == 0 {
		t.Votes = nil
	}
	t.Tally()
	return nil
}

// Tally sets Decision to what the votes come to.
func (t *Transaction) Tally() {
	t.Decision = Undecided
	if t.Approved() >= t.Needed() {
		t.Decision = Approved
	}
	if slices.ContainsFunc(t.Votes, func(v Vote) bool { return v.Decision == Rejected }) {
		t.Decision = Rejected
	}
}

// Approved counts the people who have approved.
func (t *Transaction) Approved() (n int) {
	for i := range t.Votes {
		if t.Votes[i].Decision == Approved {
			n++
		}
	}
	return n
}

// Needed is how many people must approve: at least one.
func (t *Transaction) Needed() int { return max(1, t.Approvals) }

// VoteOf gives what a person has said, nil where that is nothing.
func (t *Transaction) VoteOf(person string) *Vote {
	for i := range t.Votes {
		if strings.EqualFold(t.Votes[i].By, person) {
			return &t.Votes[i]
		}
	}
	return nil
}

// DecidedBy names those whose votes made the decision; empty where there is
// none.
func (t *Transaction) DecidedBy() string {
	var names []string
	for i := range t.Votes {
		if t.Decision != Undecided && t.Votes[i].Decision == t.Decision {
			names = append(names, t.Votes[i].By)
		}
	}
	return strings.Join(names, ", ")
}

// Reason is what the requester is told of a rejection.
func (t *Transaction) Reason() string {
	for i := range t.Votes {
		if t.Votes[i].Decision == Rejected {
			return t.Votes[i].Note
		}
	}
	return ""
}

// waitForMore lets a request that was approved wait again: by now its rule wants
// more people to approve than have.
func (x *exchange) waitForMore(rule *Rule) error {
	t := *x.tx
	t.Approvals = rule.Approvals
	t.Tally()
	x.tx = &t
	x.out.Relied = nil // nothing is granted
	x.audit("waiting", func(a *AuditEntry) {
		a.Rule = rule.Name
		a.Detail = fmt.Sprintf("approved by %d; the rule wants %d by now", t.Approved(), t.Needed())
	})
	if b, ok := x.msg.Body.(*cmp.PollReq); ok {
		return x.askLater(b)
	}
	x.out.Transaction = x.newTransaction(x.msg)
	x.out.Disposition = Held
	return nil
}
