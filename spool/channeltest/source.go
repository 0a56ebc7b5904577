package channeltest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"cmp-batch/spool"
)

// SourceFixture is a channel with a place that messages arrive at.
type SourceFixture struct {
	Channel string
	// Open opens the Source on what is there, as a start of the process does.
	// It is called again after Close.
	Open func(t *testing.T) spool.Source
	// Put makes a message arrive, whole, under a name.
	Put func(t *testing.T, name string, der []byte)
	// PutBad makes something arrive that can never be a message.
	PutBad func(t *testing.T, name string)
	// Waiting, Settled and Aside count what is still at the source, what was
	// archived (-1: not kept) and what is in quarantine.
	Waiting, Settled, Aside func(t *testing.T) int
	// Name gives the Return.Name that Put's name leads to; nil: the same.
	Name func(string) string
}

// Message makes a DER element, another for each n.
func Message(n int) []byte {
	b := append([]byte{0x30, 10, 0x04, 8}, make([]byte, 8)...)
	binary.BigEndian.PutUint64(b[4:], uint64(n))
	return b
}

func name(n int) string { return fmt.Sprintf("message-%05d.pki", n) }

// Source checks a Source. make builds a new, empty fixture for each test.
func Source(t *testing.T, make func(t *testing.T) SourceFixture) {
	for _, tt := range []struct {
		name string
		test func(t *testing.T, f *source)
	}{
		{"nothing there is no error", emptySource},
		{"a message is shown once, as it is", shownOnce},
		{"all messages, never more than asked for", inParts},
		{"the receiver owns the octets", ownedOctets},
		{"retry shows it again", retried},
		{"done is over, also for the next process", done},
		{"what is not settled is there after a crash", unsettled},
		{"settling twice, or what is not there, is no error", settledTwice},
		{"quarantine is over, and kept", quarantined},
		{"what is no message is shown as bad", badItem},
		{"the same name again is a new message", sameNameAgain},
		{"a mixed batch", mixedBatch},
		{"one goroutine collects, another settles", twoGoroutines},
		{"wait ends after its time", waitEnds},
		{"wait ends when something arrives", waitWakes},
		{"wait ends with its context", waitCancelled},
		{"a cancelled collect loses nothing", collectCancelled},
		{"a cancelled settle can be repeated", settleCancelled},
		{"close can be called twice and ends the wait", closeTwice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &source{SourceFixture: make(t)}
			f.restart(t)
			t.Cleanup(func() { f.src.Close() })
			tt.test(t, f)
		})
	}
}

type source struct {
	SourceFixture
	src spool.Source
}

func (f *source) restart(t *testing.T) {
	t.Helper()
	if f.src != nil {
		if err := f.src.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	f.src = f.Open(t)
}

func (f *source) returnName(n string) string {
	if f.Name == nil {
		return n
	}
	return f.Name(n)
}

// drain collects until there is nothing.
func (f *source) drain(t *testing.T, max int) []spool.Item {
	t.Helper()
	var all []spool.Item
	for {
		items, err := f.src.Collect(t.Context(), max)
		if err != nil {
			t.Fatalf("Collect: %v", err)
		}
		if len(items) > max {
			t.Fatalf("Collect(%d) returned %d items", max, len(items))
		}
		if len(items) == 0 {
			return all
		}
		all = append(all, items...)
	}
}

func (f *source) one(t *testing.T) spool.Item {
	t.Helper()
	items := f.drain(t, 10)
	if len(items) != 1 {
		t.Fatalf("%d items, want 1", len(items))
	}
	return items[0]
}

func (f *source) none(t *testing.T) {
	t.Helper()
	if items := f.drain(t, 10); len(items) != 0 {
		t.Fatalf("%d items, want none; the first is %+v", len(items), items[0])
	}
}

func (f *source) settle(t *testing.T, a spool.Action, items ...spool.Item) {
	t.Helper()
	var s []spool.Settlement
	for _, it := range items {
		s = append(s, spool.Settlement{ID: it.ID, Action: a, Reason: "a test"})
	}
	errs := f.src.Settle(t.Context(), s)
	if len(errs) != len(s) {
		t.Fatalf("%d errors for %d settlements", len(errs), len(s))
	}
	for i, err := range errs {
		if err != nil {
			t.Fatalf("Settle %q: %v", items[i].ID, err)
		}
	}
}

func (f *source) counts(t *testing.T, waiting, settled, aside int) {
	t.Helper()
	if n := f.Waiting(t); n != waiting {
		t.Errorf("%d at the source, want %d", n, waiting)
	}
	if n := f.Settled(t); n != settled && n != -1 {
		t.Errorf("%d archived, want %d", n, settled)
	}
	if n := f.Aside(t); n != aside {
		t.Errorf("%d in quarantine, want %d", n, aside)
	}
}

func emptySource(t *testing.T, f *source) {
	f.none(t)
	if got := f.src.Channel(); got != f.Channel {
		t.Errorf("Channel = %q, want %q", got, f.Channel)
	}
	if errs := f.src.Settle(t.Context(), nil); len(errs) != 0 {
		t.Errorf("Settle of nothing: %v", errs)
	}
	if items, err := f.src.Collect(t.Context(), 0); err != nil || len(items) != 0 {
		t.Errorf("Collect(0) = %d items, %v", len(items), err)
	}
}

func shownOnce(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	it := f.one(t)
	if want := (spool.Return{Channel: f.Channel, Name: f.returnName(name(1))}); it.Return != want {
		t.Errorf("Return = %+v, want %+v", it.Return, want)
	}
	if it.ID == "" || it.Bad != "" || !bytes.Equal(it.DER, Message(1)) {
		t.Errorf("item %+v", it)
	}
	f.none(t)
	f.counts(t, 1, 0, 0)
}

func inParts(t *testing.T, f *source) {
	const n = 100
	for i := range n {
		f.Put(t, name(i), Message(i))
	}
	ids, names := map[string]bool{}, map[string]bool{}
	for _, it := range f.drain(t, 7) {
		if ids[it.ID] || names[it.Return.Name] {
			t.Fatalf("%q is shown twice", it.Return.Name)
		}
		ids[it.ID], names[it.Return.Name] = true, true
	}
	if len(ids) != n {
		t.Fatalf("%d items, want %d", len(ids), n)
	}
}

func ownedOctets(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	it := f.one(t)
	clear(it.DER)
	f.settle(t, spool.Retry, it)
	if it := f.one(t); !bytes.Equal(it.DER, Message(1)) {
		t.Fatalf("octets %x, want %x", it.DER, Message(1))
	}
}

func retried(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	for range 3 {
		f.settle(t, spool.Retry, f.one(t))
	}
	f.counts(t, 1, 0, 0)
}

func done(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	f.settle(t, spool.Done, f.one(t))
	f.none(t)
	f.counts(t, 0, 1, 0)
	f.restart(t)
	f.none(t)
	f.counts(t, 0, 1, 0)
}

func unsettled(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	first := f.one(t)
	f.restart(t)
	second := f.one(t)
	if first.Return != second.Return || !bytes.Equal(first.DER, second.DER) {
		t.Fatalf("%+v, before the restart %+v", second, first)
	}
}

func settledTwice(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	it := f.one(t)
	f.settle(t, spool.Done, it, it)
	f.settle(t, spool.Done, it)
	f.settle(t, spool.Quarantine, it)
	f.settle(t, spool.Retry, it)
	f.settle(t, spool.Done, spool.Item{ID: "nobody has this"})
	f.none(t)
	f.counts(t, 0, 1, 0)
}

func quarantined(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	f.settle(t, spool.Quarantine, f.one(t))
	f.none(t)
	f.restart(t)
	f.none(t)
	f.counts(t, 0, 0, 1)
}

func badItem(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	f.PutBad(t, name(2))
	f.Put(t, name(3), Message(3))
	var good, bad []spool.Item
	for _, it := range f.drain(t, 10) {
		if it.Bad != "" {
			bad = append(bad, it)
		} else {
			good = append(good, it)
		}
	}
	if len(good) != 2 || len(bad) != 1 {
		t.Fatalf("%d good and %d bad items, want 2 and 1", len(good), len(bad))
	}
	f.settle(t, spool.Quarantine, bad...)
	f.settle(t, spool.Done, good...)
	f.none(t)
	f.counts(t, 0, 2, 1)
}

func sameNameAgain(t *testing.T, f *source) {
	for i := range 3 {
		f.Put(t, name(1), Message(i))
		it := f.one(t)
		if !bytes.Equal(it.DER, Message(i)) {
			t.Fatalf("octets %x, want %x", it.DER, Message(i))
		}
		f.settle(t, spool.Done, it)
	}
	f.none(t)
	f.counts(t, 0, 3, 0)
}

func mixedBatch(t *testing.T, f *source) {
	for i := range 4 {
		f.Put(t, name(i), Message(i))
	}
	items := f.drain(t, 10)
	if len(items) != 4 {
		t.Fatalf("%d items, want 4", len(items))
	}
	actions := []spool.Action{spool.Done, spool.Quarantine, spool.Retry, spool.Done}
	var s []spool.Settlement
	for i, it := range items {
		s = append(s, spool.Settlement{ID: it.ID, Action: actions[i], Reason: "a test"})
	}
	for i, err := range f.src.Settle(t.Context(), s) {
		if err != nil {
			t.Fatalf("Settle %d: %v", i, err)
		}
	}
	if it := f.one(t); it.Return.Name != items[2].Return.Name {
		t.Fatalf("%q is shown again, want %q", it.Return.Name, items[2].Return.Name)
	}
	f.counts(t, 1, 2, 1)
}

func twoGoroutines(t *testing.T, f *source) {
	const n = 200
	for i := range n {
		f.Put(t, name(i), Message(i))
	}
	parts := make(chan []spool.Item, 4)
	var wg sync.WaitGroup
	wg.Go(func() {
		for items := range parts {
			var s []spool.Settlement
			for _, it := range items {
				s = append(s, spool.Settlement{ID: it.ID, Action: spool.Done})
			}
			for _, err := range f.src.Settle(t.Context(), s) {
				if err != nil {
					t.Errorf("Settle: %v", err)
				}
			}
		}
	})
	var names []string
	for len(names) < n {
		items, err := f.src.Collect(t.Context(), 16)
		if err != nil {
			t.Errorf("Collect: %v", err)
			break
		}
		if len(items) == 0 {
			t.Errorf("nothing left after %d of %d", len(names), n)
			break
		}
		for _, it := range items {
			names = append(names, it.Return.Name)
		}
		parts <- items
	}
	close(parts)
	wg.Wait()
	slices.Sort(names)
	if c := slices.Compact(slices.Clone(names)); len(c) != n || len(names) != n {
		t.Errorf("%d items of %d names, want %d", len(names), len(c), n)
	}
	f.none(t)
	f.counts(t, 0, n, 0)
}

func waitEnds(t *testing.T, f *source) {
	for range 3 {
		if err := f.src.Wait(t.Context(), time.Millisecond); err != nil {
			t.Fatalf("Wait: %v", err)
		}
	}
}

func waitWakes(t *testing.T, f *source) {
	f.none(t)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.Put(t, name(1), Message(1)) })
	for {
		if err := f.src.Wait(t.Context(), time.Hour); err != nil {
			t.Fatalf("Wait: %v", err)
		}
		items, err := f.src.Collect(t.Context(), 1)
		if err != nil {
			t.Fatalf("Collect: %v", err)
		}
		if len(items) == 1 {
			return
		}
	}
}

func waitCancelled(t *testing.T, f *source) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(cancel)
	for {
		if err := f.src.Wait(ctx, time.Hour); err != nil {
			return
		}
	}
}

func collectCancelled(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	items, _ := f.src.Collect(ctx, 10)
	f.settle(t, spool.Retry, items...)
	f.one(t)
}

func settleCancelled(t *testing.T, f *source) {
	f.Put(t, name(1), Message(1))
	it := f.one(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.src.Settle(ctx, []spool.Settlement{{ID: it.ID, Action: spool.Done}})
	f.settle(t, spool.Done, it)
	f.none(t)
	f.counts(t, 0, 1, 0)
}

func closeTwice(t *testing.T, f *source) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for f.src.Wait(context.Background(), time.Hour) == nil {
		}
	})
	if err := f.src.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	wg.Wait()
	if err := f.src.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if items, err := f.src.Collect(t.Context(), 1); err == nil || len(items) > 0 {
		t.Errorf("Collect after Close: %d items, %v", len(items), err)
	}
}
