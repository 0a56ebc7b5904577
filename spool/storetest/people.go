package storetest

import (
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

func (b *bench) released() []spool.HeldMessage {
	b.Helper()
	return get[[]spool.HeldMessage](b)(b.s.Released(ctx, 100))
}

// release is the outcome of a decision about a held message.
func release(name string, version int64) spool.Entry {
	e := enrolment(name)
	e.Release = true
	e.Outcome.Transaction = next(waiting(name, true), version, cmpcore.AwaitingConfirm)
	return e
}

func testHeld(b *bench) {
	first := spool.Return{Channel: "usb", Name: "a.pki"}
	second := spool.Return{Channel: "mail", Name: "<1@example>"}
	third := spool.Return{Channel: "mail", Name: "a.pki"}
	_, ids := b.commit(held("a"), held("b"))
	st, _ := b.lookup("a")
	b.equal("lookup", st, spool.Stored{ID: ids[0], Disposition: cmpcore.Held})
	b.equal("released before a decision", b.released(), []spool.HeldMessage(nil))
	if u := b.undelivered(); len(u) != 0 {
		b.Errorf("a held message is undelivered: %+v", u)
	}

	b.ok(b.s.AddReturn(ctx, ids[0], second))
	b.ok(b.s.AddReturn(ctx, ids[0], third))
	b.ok(b.s.AddReturn(ctx, ids[0], second))
	b.ok(b.s.AddReturn(ctx, ids[0], first))
	b.is(b.s.AddReturn(ctx, 1<<40, first), spool.ErrNotFound, "return of an unknown message")
	returns := []spool.Return{first, second, third}

	b.ok(b.s.Decide(ctx, key("a"), 1, vote("alice", cmpcore.Approved, "")))
	want := []spool.HeldMessage{{ID: ids[0], Hash: hash("a"), DER: []byte("request a"), Returns: returns}}
	b.equal("released", b.released(), want)
	b.ok(b.s.Freeze(ctx, key("a"), 2, true))
	b.equal("released while frozen", b.released(), []spool.HeldMessage(nil))
	b.ok(b.s.Freeze(ctx, key("a"), 3, false))
	b.equal("released again", b.released(), want)
	b.ok(b.s.Decide(ctx, key("b"), 1, vote("bob", cmpcore.Rejected, "no")))
	if l := b.released(); len(l) != 2 {
		b.Errorf("%d released, want 2", len(l))
	}
	if l := get[[]spool.HeldMessage](b)(b.s.Released(ctx, 1)); len(l) != 1 {
		b.Errorf("%d released, want the limit 1", len(l))
	}

	b.conflict("stale decision", release("a", 1))
	if st, _ := b.lookup("a"); st.Disposition != cmpcore.Held {
		b.Errorf("the message is %s after a conflict", st.Disposition)
	}
	again := release("a", 4)
	again.Release = false
	b.conflict("not a release", again)

	batch, v, err := b.s.Commit(ctx, []spool.Entry{release("a", 4)})
	b.ok(err)
	if len(v) != 1 || v[0].Conflict || v[0].ID != ids[0] {
		b.Fatalf("release: %+v", v)
	}
	b.equal("returns", v[0].Returns, returns)
	st, _ = b.lookup("a")
	b.equal("lookup after release", st, spool.Stored{ID: ids[0], Disposition: cmpcore.Answered, Reply: []byte("reply to a"), Reason: "issued a"})
	if b.message("a") != nil {
		b.Error("the request was kept after the decision")
	}
	if b.message("b") == nil {
		b.Error("the request of the other is gone")
	}
	if l := b.released(); len(l) != 1 || l[0].Hash != hash("b") {
		b.Errorf("released: %+v", l)
	}
	var open []spool.Undelivered
	for _, r := range returns {
		open = append(open, spool.Undelivered{ID: ids[0], Batch: batch, Return: r, Reply: []byte("reply to a")})
	}
	b.equal("undelivered", b.undelivered(), open)
	b.equal("undelivered beyond the limit", get[[]spool.Undelivered](b)(b.s.Undelivered(ctx, 0, 1)), open)
	b.is(b.s.AddReturn(ctx, ids[0], spool.Return{Channel: "usb", Name: "late"}), spool.ErrConflict, "return of an answered message")
	b.conflict("second release", release("a", 5))
	b.ok(b.s.Delivered(ctx, batch, nil))
	if u := b.undelivered(); len(u) != 0 {
		b.Errorf("undelivered: %+v", u)
	}

	// A release in the batch of another release, and of a message held in the
	// same batch.
	b.commit(release("b", 2), held("c"))
	if c := b.counts(); c.Held != 1 || c.Undelivered != 1 || c.Waiting != 1 {
		b.Errorf("counts %+v", c)
	}
}

// testWithdrawn: the requester of a held message ends its transaction by another
// message, alone or inside a third.
func testWithdrawn(b *bench) {
	b.commit(held("a"), held("b"), held("c"), held("d"))
	withdraw := func(name string, version int64) spool.Entry {
		e := message("error for " + name)
		e.Outcome.Transaction = next(waiting(name, true), version, cmpcore.Aborted)
		e.Outcome.Transaction.Held = false
		return e
	}
	b.conflict("another version", withdraw("a", 2))
	b.equal("held after a conflict", b.counts().Held, int64(4))
	_, v, err := b.s.Commit(ctx, []spool.Entry{withdraw("a", 1), message("other")})
	b.ok(err)
	b.equal("withdrawn", []int{v[0].Withdrawn, v[1].Withdrawn}, []int{1, 0})
	st, ok := b.lookup("a")
	b.equal("lookup", st, spool.Stored{ID: st.ID, Disposition: cmpcore.Silent, Reason: spool.Withdrawn})
	b.equal("known", ok, true)
	if b.message("a") != nil {
		b.Error("the request is still kept")
	}
	b.is(b.s.AddReturn(ctx, st.ID, spool.Return{Channel: "usb", Name: "late"}), spool.ErrConflict, "return of a withdrawn message")

	outer := message("outer")
	inner := withdraw("b", 1)
	outer.Outcome.Parts = []cmpcore.Part{{Hash: inner.Hash, DER: inner.DER, Outcome: inner.Outcome}}
	_, v, err = b.s.Commit(ctx, []spool.Entry{outer})
	b.ok(err)
	b.equal("withdrawn inside another", v[0].Withdrawn, 1)
	// What is answered is not withdrawn.
	_, v, err = b.s.Commit(ctx, []spool.Entry{release("c", 1)})
	b.ok(err)
	b.equal("withdrawn by a release", v[0].Withdrawn, 0)
	if c := b.counts(); c.Held != 1 || c.Waiting != 1 {
		b.Errorf("held and waiting differ: %+v", c)
	}
	if st, _ := b.lookup("d"); st.Disposition != cmpcore.Held {
		b.Errorf("the message of another transaction is %s", st.Disposition)
	}
}

func testDecide(b *bench) {
	b.commit(held("a"), enrolment("done"))
	decide := func(name string, version int64) error {
		return b.s.Decide(ctx, key(name), version, vote("alice", cmpcore.Rejected, "not ours"))
	}
	b.is(decide("none", 1), spool.ErrNotFound, "decide on nothing")
	b.is(decide("a", 2), spool.ErrConflict, "decide on another version")
	b.is(decide("done", 1), spool.ErrConflict, "decide on what does not wait")
	b.is(b.s.Freeze(ctx, key("none"), 1, true), spool.ErrNotFound, "freeze nothing")
	b.is(b.s.Freeze(ctx, key("a"), 2, true), spool.ErrConflict, "freeze another version")
	b.is(b.s.Freeze(ctx, key("done"), 1, true), spool.ErrConflict, "freeze what does not wait")
	if err := b.s.Decide(ctx, key("a"), 1, vote("alice", 3, "")); err == nil {
		b.Error("decision 3 was recorded")
	}
	if err := b.s.Decide(ctx, key("a"), 1, vote("", cmpcore.Approved, "")); err == nil {
		b.Error("nobody's decision was recorded")
	}
	b.ok(decide("a", 1))
	want := waiting("a", true)
	want.Version, want.Decision, want.Votes = 2, cmpcore.Rejected, []cmpcore.Vote{vote("alice", cmpcore.Rejected, "not ours")}
	b.equal("decided", b.transaction("a"), want)
	b.is(decide("a", 1), spool.ErrConflict, "decide twice on one version")
	b.ok(b.s.Freeze(ctx, key("a"), 2, true))
	want.Version, want.Frozen = 3, true
	b.equal("frozen", b.transaction("a"), want)
	b.ok(b.s.Decide(ctx, key("a"), 3, vote("alice", cmpcore.Undecided, "")))
	want.Version, want.Decision, want.Votes = 4, cmpcore.Undecided, nil
	b.equal("taken back", b.transaction("a"), want)
	// What was computed before the decision does not fit any more.
	b.conflict("computed before", silent(cmpcore.Outcome{Transaction: next(waiting("a", true), 1, cmpcore.Aborted)}))
}

// testVotes: a transaction that two people must approve.
func testVotes(b *bench) {
	two := held("a")
	two.Outcome.Transaction.Approvals = 2
	b.commit(two)
	say := func(version int64, v cmpcore.Vote, audit ...cmpcore.AuditEntry) {
		b.Helper()
		b.ok(b.s.Decide(ctx, key("a"), version, v, audit...))
	}
	records := b.counts().AuditRecords
	say(1, vote("alice", cmpcore.Approved, "by phone"), cmpcore.AuditEntry{Time: day, Event: "decided-approved"}, cmpcore.AuditEntry{Time: day, Event: "two"})
	b.equal("audit records", b.counts().AuditRecords, records+1)
	b.is(b.s.Decide(ctx, key("a"), 1, vote("bob", cmpcore.Approved, ""), cmpcore.AuditEntry{Event: "lost"}), spool.ErrConflict, "vote on another version")
	b.ok(b.s.Freeze(ctx, key("a"), 2, true, cmpcore.AuditEntry{Time: day, Event: "hold"}))
	b.ok(b.s.Freeze(ctx, key("a"), 3, false))
	b.equal("audit records", b.counts().AuditRecords, records+2)
	if _, _, err := b.s.VerifyAudit(ctx); err != nil {
		b.Error(err)
	}
	say(4, vote("Alice", cmpcore.Approved, "again"))
	b.equal("released by one", b.released(), []spool.HeldMessage(nil))
	say(5, vote("bob", cmpcore.Approved, ""))
	want := waiting("a", true)
	want.Version, want.Approvals, want.Decision = 6, 2, cmpcore.Approved
	want.Votes = []cmpcore.Vote{vote("Alice", cmpcore.Approved, "again"), vote("bob", cmpcore.Approved, "")}
	b.equal("approved", b.transaction("a"), want)
	if l := b.released(); len(l) != 1 {
		b.Errorf("%d released, want 1", len(l))
	}
	b.s = b.reopen()
	b.equal("approved, in another process", b.transaction("a"), want)
	say(6, vote("carol", cmpcore.Rejected, "no"))
	if t := b.transaction("a"); t.Decision != cmpcore.Rejected || t.DecidedBy() != "carol" || t.Reason() != "no" {
		b.Errorf("rejected: %+v", t)
	}
}

// testVotesTogether: several people, each in a process of their own, vote at one
// time, and each of them again and again.
func testVotesTogether(b *bench) {
	people := []string{"alice", "bob", "carol", "dave"}
	e := held("a")
	e.Outcome.Transaction.Approvals = len(people)
	b.commit(e)
	stores := make([]spool.Store, 2*len(people))
	for i := range stores {
		stores[i] = b.reopen()
	}
	records := b.counts().AuditRecords
	together(len(stores), func(i int) {
		v := vote(people[i%len(people)], cmpcore.Approved, fmt.Sprint(i))
		for {
			t, err := stores[i].View().Transaction(ctx, key("a"))
			if err != nil {
				b.Error(err)
				return
			}
			err = stores[i].Decide(ctx, t.Key, t.Version, v, cmpcore.AuditEntry{Time: day, Event: "decided-approved"})
			if err == nil {
				return
			}
			if !errors.Is(err, spool.ErrConflict) {
				b.Error(err)
				return
			}
		}
	})
	t := b.transaction("a")
	if t.Decision != cmpcore.Approved || t.Approved() != len(people) || len(t.Votes) != len(people) || t.Version != int64(1+len(stores)) {
		b.Errorf("after all votes: %+v", t)
	}
	b.equal("audit records", b.counts().AuditRecords, records+int64(len(stores)))
	if _, _, err := b.s.VerifyAudit(ctx); err != nil {
		b.Error(err)
	}
}

func testKeepRequest(b *bench) {
	poll := message("poll")
	poll.Outcome.Disposition, poll.Outcome.Transaction, poll.Outcome.KeepRequest = cmpcore.Waiting, waiting("poll", false), true
	notKept := message("not kept")
	notKept.Outcome.Transaction = waiting("not kept", false)
	finished := enrolment("finished")
	finished.Outcome.KeepRequest = true
	b.commit(poll, notKept, finished)
	b.equal("kept", string(b.message("poll")), "request poll")
	if b.message("not kept") != nil || b.message("finished") != nil {
		b.Error("a request was kept that nobody will ask for")
	}
	// Another poll of the same transaction: it still waits.
	again := message("again")
	again.Outcome.Disposition, again.Outcome.Transaction = cmpcore.Waiting, next(waiting("poll", false), 1, cmpcore.AwaitingDecision)
	b.commit(again)
	b.ok(b.s.Decide(ctx, key("poll"), 2, vote("alice", cmpcore.Approved, "")))
	if l := b.released(); len(l) != 0 {
		b.Errorf("what was answered is not to be released: %+v", l)
	}
	b.equal("kept after a poll and a decision", string(b.message("poll")), "request poll")
	if b.message("again") != nil {
		b.Error("the poll was kept")
	}
	b.commit(silent(cmpcore.Outcome{Transaction: next(waiting("poll", false), 3, cmpcore.AwaitingConfirm)}))
	if b.message("poll") != nil {
		b.Error("kept after the transaction went on")
	}
	if st, ok := b.lookup("poll"); !ok || string(st.Reply) != "reply to poll" {
		b.Errorf("the message itself is gone: %+v", st)
	}
}

func testExpired(b *bench) {
	now := day.Add(time.Hour)
	add := func(name string, t *cmpcore.Transaction, expires time.Time) {
		t.Expires = expires
		b.commit(silent(cmpcore.Outcome{Transaction: t}))
	}
	add("confirm", transaction("confirm"), now.Add(-time.Microsecond))
	add("now", transaction("now"), now)
	add("later", transaction("later"), now.Add(time.Microsecond))
	add("never", transaction("never"), time.Time{})
	add("held", waiting("held", true), now.Add(-time.Hour))
	add("poll", waiting("poll", false), now.Add(-2*time.Hour))
	add("decided", waiting("decided", false), now.Add(-3*time.Hour))
	b.ok(b.s.Decide(ctx, key("decided"), 1, vote("alice", cmpcore.Approved, "")))
	add("frozen", waiting("frozen", true), now.Add(-time.Hour))
	b.ok(b.s.Freeze(ctx, key("frozen"), 1, true))
	add("finished", next(transaction("finished"), 0, cmpcore.Finished), now.Add(-time.Hour))
	add("aborted", next(transaction("aborted"), 0, cmpcore.Aborted), now.Add(-time.Hour))

	names := func(limit int) (l []string) {
		for _, t := range get[[]*cmpcore.Transaction](b)(b.s.Expired(ctx, now, limit)) {
			l = append(l, string(t.TransactionID[len("id of "):]))
		}
		return l
	}
	b.equal("expired", names(100), []string{"decided", "poll", "held", "confirm", "now"})
	b.equal("limit", names(2), []string{"decided", "poll"})
	b.equal("no limit", names(0), []string(nil))
	list := get[[]*cmpcore.Transaction](b)(b.s.Expired(ctx, now, 100))
	b.equal("whole transaction", list[4], b.transaction("now"))
	t := *list[4]
	t.State = cmpcore.Aborted
	b.commit(silent(cmpcore.Outcome{Transaction: &t}))
	b.equal("after expiry", names(100), []string{"decided", "poll", "held", "confirm"})
	b.ok(b.s.Freeze(ctx, key("frozen"), 2, false))
	b.equal("after thaw", len(names(100)), 5)
}

func testWaiting(b *bench) {
	names := func() (l []string) {
		for _, t := range collect(b, b.s.Waiting(ctx)) {
			l = append(l, string(t.TransactionID[len("id of "):]))
		}
		return l
	}
	for i := range 5 {
		b.commit(held(fmt.Sprint(i)), enrolment(fmt.Sprint("other ", i)))
	}
	b.equal("waiting", names(), []string{"0", "1", "2", "3", "4"})
	b.ok(b.s.Freeze(ctx, key("0"), 1, true))
	b.ok(b.s.Decide(ctx, key("3"), 1, vote("alice", cmpcore.Approved, "")))
	b.commit(release("1", 1))
	b.equal("waiting", names(), []string{"0", "2", "3", "4"})
	for t := range b.s.Waiting(ctx) {
		b.equal("whole transaction", t, b.transaction("0"))
		break
	}
}
