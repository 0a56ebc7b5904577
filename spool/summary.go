package spool

import (
	"fmt"
	"strings"
)

// Summary is what a run did. Its JSON names are promised to scripts.
//
// A message counts once its outcome is durable. A duplicate counts under what
// its stored answer is. A message that a person decided about is received
// again, from the Store, and counts under what its answer became. So
//
//	received = answered + waiting + failed + silent
//
// holds always; refused is part of answered, held of waiting, duplicates and
// released of received.
type Summary struct {
	Received   int64 `json:"received"`
	Answered   int64 `json:"answered"`   // have an answer that is final, refusals included
	Issued     int64 `json:"issued"`     // certificates, not messages
	Revoked    int64 `json:"revoked"`    // certificates, not messages
	Waiting    int64 `json:"waiting"`    // for a person
	Refused    int64 `json:"refused"`    // of those answered
	Duplicates int64 `json:"duplicates"` // the same bytes had arrived before
	Failed     int64 `json:"failed"`     // in quarantine, without an answer
	Held       int64 `json:"held"`       // of those waiting: nothing was answered yet
	Silent     int64 `json:"silent"`     // need no answer
	Released   int64 `json:"released"`   // were held before and got their answer now
	Withdrawn  int64 `json:"withdrawn"`  // were held before, and their requesters have withdrawn them; not received again
	Nested     int64 `json:"nested"`     // messages inside those received, which count as one each

	Undelivered int64 `json:"undelivered"` // answers that are durable and did not arrive yet
	Expired     int64 `json:"expired"`     // transactions whose time ran out
	Incomplete  int64 `json:"incomplete"`  // messages without an outcome, or not settled: still there
	Unready     int64 `json:"unready"`     // files that are not whole, or cannot be read: still there, and not received
	Conflicts   int64 `json:"conflicts"`   // outcomes computed again because another came first

	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"` // received a second
}

// Reconciles tells whether every message that was received is accounted for.
func (s Summary) Reconciles() bool {
	return s.Received == s.Answered+s.Waiting+s.Failed+s.Silent &&
		s.Refused <= s.Answered && s.Held <= s.Waiting &&
		s.Duplicates+s.Released <= s.Received
}

// Complete tells whether nothing is left that has to be tried again.
func (s Summary) Complete() bool { return s.Incomplete == 0 && s.Undelivered == 0 && s.Unready == 0 }

// String is a table for people that ends with the equation.
func (s Summary) String() string {
	var b strings.Builder
	row := func(name string, n int64, note string) {
		if note != "" {
			note = "  " + note
		}
		fmt.Fprintf(&b, "%-12s %9d%s\n", name, n, note)
	}
	some := func(name string, n int64, note string) {
		if n != 0 {
			row(name, n, note)
		}
	}
	row("received", s.Received, "")
	some("  duplicates", s.Duplicates, "had arrived before: the same answer again")
	some("  released", s.Released, "were held for a decision")
	row("answered", s.Answered, "")
	some("  refused", s.Refused, "")
	row("waiting", s.Waiting, "")
	some("  held", s.Held, "not answered yet")
	some("withdrawn", s.Withdrawn, "were held, and are no more")
	row("failed", s.Failed, "")
	some("silent", s.Silent, "need no answer")
	row("issued", s.Issued, "certificates")
	some("revoked", s.Revoked, "certificates")
	some("nested", s.Nested, "messages inside others")
	some("expired", s.Expired, "transactions")
	some("conflicts", s.Conflicts, "computed again")
	some("undelivered", s.Undelivered, "will be delivered again: run once more")
	some("incomplete", s.Incomplete, "still there: run once more")
	some("unready", s.Unready, "files are not whole, or cannot be read: still there")
	fmt.Fprintf(&b, "%-12s %9.1f  (%.0f a second)\n", "seconds", s.Seconds, s.Rate)
	eq := "="
	if !s.Reconciles() {
		eq = "≠"
	}
	fmt.Fprintf(&b, "%d received %s %d answered + %d waiting + %d failed", s.Received, eq, s.Answered, s.Waiting, s.Failed)
	if s.Silent != 0 {
		fmt.Fprintf(&b, " + %d silent", s.Silent)
	}
	b.WriteByte('\n')
	return b.String()
}
