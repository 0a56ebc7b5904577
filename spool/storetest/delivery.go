package storetest

import (
	"fmt"
	"slices"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

func openIDs(list []spool.Undelivered) (ids []int64) {
	for _, u := range list {
		ids = append(ids, u.ID)
	}
	return ids
}

func (b *bench) open(what string, want ...int64) {
	b.Helper()
	if got := openIDs(b.undelivered()); !slices.Equal(got, want) {
		b.Errorf("%s: undelivered %v, want %v", what, got, want)
	}
	if c := b.counts(); c.Undelivered != int64(len(want)) {
		b.Errorf("%s: %d counted as undelivered, want %d", what, c.Undelivered, len(want))
	}
}

func testUndelivered(b *bench) {
	quiet := message("quiet")
	quiet.Outcome.Disposition, quiet.Outcome.Reply = cmpcore.Silent, nil
	one, ids := b.commit(message("a"), quiet, message("b"), silent(cmpcore.Outcome{}), message("c"))
	two, more := b.commit(message("d"), message("e"))
	if two <= one || more[0] <= ids[4] {
		b.Errorf("batches %d %d, messages %v %v: not rising", one, two, ids, more)
	}
	b.open("after commit", ids[0], ids[2], ids[4], more[0], more[1])
	list := b.undelivered()
	b.equal("an undelivered answer", list[1], spool.Undelivered{ID: ids[2], Batch: one,
		Return: spool.Return{Channel: "usb", Name: "b.pki"}, Reply: []byte("reply to b")})
	b.equal("its batch", list[3].Batch, two)

	page := get[[]spool.Undelivered](b)(b.s.Undelivered(ctx, ids[0], 3))
	b.equal("a page", openIDs(page), []int64{ids[2], ids[4], more[0]})
	page = get[[]spool.Undelivered](b)(b.s.Undelivered(ctx, more[0], 3))
	b.equal("the last page", openIDs(page), []int64{more[1]})
	page = get[[]spool.Undelivered](b)(b.s.Undelivered(ctx, more[1], 3))
	b.equal("no more", openIDs(page), []int64(nil))

	// The message without an answer, and one of another batch, cannot be
	// exceptions.
	b.ok(b.s.Delivered(ctx, one, []int64{ids[1], ids[2], more[0]}))
	b.open("one delivered with an exception", ids[2], more[0], more[1])
	b.equal("the exception's batch", b.undelivered()[0].Batch, one)
	b.ok(b.s.Delivered(ctx, two, nil))
	b.open("two delivered", ids[2])
	b.ok(b.s.Delivered(ctx, two, nil))
	b.ok(b.s.Delivered(ctx, one, []int64{ids[2]}))
	b.open("delivered twice", ids[2])
	b.ok(b.s.Delivered(ctx, one, nil))
	b.open("the exception delivered with its batch")
	b.is(b.s.Delivered(ctx, two+10, nil), spool.ErrNotFound, "a batch that is not there")

	three, last := b.commit(message("f"), message("g"))
	b.ok(b.s.Delivered(ctx, three, last))
	b.open("nothing arrived", last...)
	b.s.Close()
	b.s = b.reopen()
	b.open("after reopening", last...)
}

func testDeliveredOne(b *bench) {
	one, ids := b.commit(message("a"), message("b"), message("c"))
	two, more := b.commit(message("d"), message("e"))
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.open("one", ids[0], ids[2], more[0], more[1])
	b.ok(b.s.DeliveredOne(ctx, more[1]))
	b.open("one of each", ids[0], ids[2], more[0])
	b.ok(b.s.DeliveredOne(ctx, 1<<40))
	b.ok(b.s.Delivered(ctx, one, []int64{ids[0], ids[1]}))
	b.open("the rest of the batch", ids[0], more[0])
	b.ok(b.s.DeliveredOne(ctx, ids[0]))
	b.ok(b.s.Delivered(ctx, two, nil))
	b.open("all")
}

func testReleaseDelivery(b *bench) {
	// While the batch in which it was held is not delivered yet.
	one, ids := b.commit(held("a"), message("b"))
	two, _ := b.commit(release("a", 1), message("c"))
	c, _ := b.lookup("c")
	b.open("both", ids[0], ids[1], c.ID)
	for _, u := range b.undelivered() {
		if want := map[int64]int64{ids[0]: two, ids[1]: one, c.ID: two}[u.ID]; u.Batch != want {
			b.Errorf("message %d is of batch %d, want %d", u.ID, u.Batch, want)
		}
	}
	b.ok(b.s.Delivered(ctx, one, nil))
	b.open("the first batch", ids[0], c.ID)
	b.ok(b.s.Delivered(ctx, two, []int64{ids[0]}))
	b.open("the release is an exception", ids[0])
	b.ok(b.s.DeliveredOne(ctx, ids[0]))
	b.open("the release")

	// The other way round, and one by one.
	_, ids = b.commit(held("d"), message("e"))
	two, _ = b.commit(release("d", 1))
	b.ok(b.s.Delivered(ctx, two, nil))
	b.open("the second batch", ids[1])
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.open("all")
}

func testFailures(b *bench) {
	failed := func(name string) spool.Entry {
		e := message(name)
		e.Outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: "not DER: " + name}
		return e
	}
	_, ids := b.commit(failed("a"), message("b"), failed("c"))
	st, _ := b.lookup("a")
	b.equal("lookup", st, spool.Stored{ID: ids[0], Disposition: cmpcore.Failed, Reason: "not DER: a"})
	b.open("failures have no answer", ids[1])
	list := collect(b, b.s.Failures(ctx))
	b.equal("failures", list, []spool.Failure{
		{ID: ids[2], Hash: hash("c"), Return: spool.Return{Channel: "usb", Name: "c.pki"}, Time: day, Reason: "not DER: c"},
		{ID: ids[0], Hash: hash("a"), Return: spool.Return{Channel: "usb", Name: "a.pki"}, Time: day, Reason: "not DER: a"},
	})
	b.conflict("stored already", message("c"))
	b.is(b.s.Forget(ctx, ids[1]), spool.ErrNotFound, "forget what did not fail")
	b.is(b.s.Forget(ctx, 1<<40), spool.ErrNotFound, "forget nothing")
	b.ok(b.s.Forget(ctx, ids[2]))
	b.is(b.s.Forget(ctx, ids[2]), spool.ErrNotFound, "forget twice")
	if _, ok := b.lookup("c"); ok {
		b.Error("a forgotten message is still known")
	}
	_, again := b.commit(message("c"))
	if again[0] <= ids[2] {
		b.Errorf("ID %d was used before (%v)", again[0], ids)
	}
	if n := len(collect(b, b.s.Failures(ctx))); n != 1 {
		b.Errorf("%d failures, want 1", n)
	}
	for i := range 3 {
		b.commit(failed(fmt.Sprint("more ", i)))
	}
	list = collect(b, b.s.Failures(ctx))
	if len(list) != 4 || !slices.IsSortedFunc(list, func(x, y spool.Failure) int { return int(y.ID - x.ID) }) {
		b.Errorf("failures %+v, want the newest first", list)
	}
}
