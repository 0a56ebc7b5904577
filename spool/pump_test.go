package spool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
	"cmp-batch/spool/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// drain runs a life to its end and audits the world.
func drain(t *testing.T, w *world, l *life, cfg spool.Config) spool.Summary {
	t.Helper()
	s, err := spool.New(cfg).Drain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reconcile(t, s)
	w.audit(t, l)
	return s
}

// daemon starts Run in a bubble; stop ends it and gives its error.
func daemon(ctx context.Context, cfg spool.Config) (p *spool.Pump, stop func() error) {
	cfg.RetryBackoff, cfg.MaxBackoff = time.Second, 30*time.Second
	p = spool.New(cfg)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	return p, func() error {
		cancel()
		return <-ended
	}
}

// TestOrder: messages of one transaction take effect in the order they came,
// never two at a time, while others go on beside them.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		var want []string
		for i := range 20 {
			w.put("a", fmt.Sprintf("chain%02d", i), toy("T-chain", fmt.Sprint(i), "refuse"))
			w.put("a", fmt.Sprintf("other%02d", i), toy(fmt.Sprintf("T%d", i), "1", ""))
			want = append(want, fmt.Sprint(i))
		}
		// Once computed, a message is in work until a commit has ended.
		var busy atomic.Bool
		w.core.hook = func(_, transaction, nonce string) {
			if transaction == "T-chain" && busy.Swap(true) {
				t.Errorf("message %s was computed while the one before was in work", nonce)
			}
		}
		l := w.birth("a")
		cfg := l.config()
		cfg.Store = &watched{Store: cfg.Store, commit: func(b []spool.Entry) {
			n := 0
			for _, e := range b {
				if e.Outcome.Transaction != nil && string(e.Outcome.Transaction.TransactionID) == "T-chain" {
					n++
					busy.Store(false)
				}
			}
			if n > 1 {
				t.Errorf("%d messages of one transaction in one batch", n)
			}
		}}
		s := drain(t, w, l, cfg)
		if s.Received != 40 || s.Conflicts != 0 {
			t.Errorf("received %d with %d conflicts, want 40 with none", s.Received, s.Conflicts)
		}
		if got := w.chain(t, "T-chain"); !slices.Equal(got, want) {
			t.Errorf("took effect in the order %q", got)
		}
	})
}

// watched looks at each commit, and may change its result.
type watched struct {
	spool.Store
	commit func([]spool.Entry)
	change func(ctx context.Context, b []spool.Entry) (int64, []spool.Verdict, error)
}

func (s *watched) Commit(ctx context.Context, b []spool.Entry) (int64, []spool.Verdict, error) {
	if s.change != nil {
		return s.change(ctx, b)
	}
	id, v, err := s.Store.Commit(ctx, b)
	s.commit(b)
	return id, v, err
}

// TestDuplicates: the same bytes get the same answer, wherever and whenever
// they come again.
func TestDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		same := toy("T", "1", "")
		for i := range 11 { // in one batch, and across three in flight
			w.put("a", fmt.Sprintf("same%d", i), same)
		}
		l := w.birth("a", "b")
		s := drain(t, w, l, l.config())
		if s.Received != 11 || s.Duplicates != 10 || s.Issued != 1 || s.Answered != 11 {
			t.Errorf("within one run:\n%s", s)
		}
		w.put("b", "later", same)
		w.put("b", "refused", toy("", "2", "")) // no transaction: its line is its hash
		w.put("b", "refused again", toy("", "2", ""))
		l = w.birth("a", "b")
		s = drain(t, w, l, l.config())
		if s.Received != 3 || s.Duplicates != 2 || s.Issued != 0 || s.Refused != 2 {
			t.Errorf("in a later run:\n%s", s)
		}
		if n := len(w.core.order("T")); n != 1 {
			t.Errorf("computed %d times", n)
		}
	})
}

// TestFailedAndSilentDuplicates: no answer is made up for them.
func TestFailedAndSilentDuplicates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 2 {
			w.put("a", fmt.Sprintf("fail%d", i), toy("T-f", "1", "fail"))
			w.put("a", fmt.Sprintf("silent%d", i), toy("T-s", "1", "silent"))
		}
		l := w.birth("a")
		s := drain(t, w, l, l.config())
		if s.Failed != 2 || s.Silent != 2 || s.Duplicates != 2 || len(w.sunk) != 0 {
			t.Errorf("%s%d answers", s, len(w.sunk))
		}
	})
}

// TestConflictStorm: outcomes that lose against others are computed again, and
// a message that always loses is left for later without stopping the rest.
func TestConflictStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 30 {
			w.put("a", fmt.Sprintf("m%02d", i), toy(fmt.Sprintf("T%02d", i), "1", ""))
		}
		l := w.birth("a")
		cfg := l.config()
		inner := cfg.Store
		var mu sync.Mutex
		lost := map[cmpcore.Hash]int{}
		always := string(toy("T07", "1", ""))
		// Every message loses seven times; one loses always.
		cfg.Store = &watched{Store: inner, change: func(ctx context.Context, b []spool.Entry) (int64, []spool.Verdict, error) {
			mu.Lock()
			defer mu.Unlock()
			var pass []spool.Entry
			var at []int
			verdicts := make([]spool.Verdict, len(b))
			for i, e := range b {
				lost[e.Hash]++
				if lost[e.Hash] <= 7 || string(e.DER) == always {
					verdicts[i].Conflict = true
					continue
				}
				pass, at = append(pass, e), append(at, i)
			}
			id, v, err := inner.Commit(ctx, pass)
			for i, k := range at {
				verdicts[k] = v[i]
			}
			return id, verdicts, err
		}}
		s, err := spool.New(cfg).Drain(t.Context())
		if err == nil || s.Complete() {
			t.Errorf("Drain said that all is done: %v", err)
		}
		reconcile(t, s)
		if s.Received != 29 || s.Issued != 29 || s.Incomplete != 1 || s.Conflicts != 29*7+3*10 {
			t.Errorf("%s", s)
		}
		if w.waiting("a") != 1 {
			t.Errorf("%d files are left, want the one that always loses", w.waiting("a"))
		}
		l = w.birth("a")
		drain(t, w, l, l.config())
	})
}

// TestTemporaryErrorOfOne: it waits, and what follows it in its transaction
// waits behind it; the others go on.
func TestTemporaryErrorOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.core.down.Store(true)
		w.put("a", "1st", toy("T", "1", "temp"))
		w.put("a", "2nd", toy("T", "2", "refuse"))
		w.put("a", "other", toy("T2", "1", ""))
		l := w.birth("a")
		s, err := spool.New(l.config()).Drain(t.Context())
		if err == nil {
			t.Error("Drain said that all is done")
		}
		if s.Received != 1 || s.Incomplete != 2 || w.waiting("a") != 2 || l.sources[0].(*source).open() != 0 {
			t.Errorf("%s%d files left", s, w.waiting("a"))
		}

		_, stop := daemon(t.Context(), w.birth("a").config())
		time.Sleep(time.Hour)
		if n := len(w.core.order("T")); n < 100 {
			t.Errorf("tried %d times in an hour", n)
		}
		w.core.down.Store(false)
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.audit(t, l)
		if got := w.chain(t, "T"); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("took effect in the order %q", got)
		}
	})
}

// TestPanic: one message that makes the core panic is quarantined, and listed.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "1", toy("T1", "1", ""))
		w.put("a", "2", toy("T2", "1", "panic"))
		w.put("a", "3", toy("T3", "panic-in-parse", ""))
		w.put("a", "4", toy("T4", "1", "none"))
		w.put("a", "5", toy("T5", "1", ""))
		l := w.birth("a")
		p := spool.New(l.config())
		s, err := p.Drain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.audit(t, l)
		if s.Failed != 3 || s.Answered != 2 || p.Stats().Panics != 3 {
			t.Errorf("%s%d panics", s, p.Stats().Panics)
		}
		n := 0
		for f, err := range w.store.Failures(t.Context()) {
			if err != nil || f.Reason != "internal error" {
				t.Errorf("failure %+v, %v", f, err)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d failures listed, want 3", n)
		}
	})
}

// TestRevoked counts certificates.
func TestRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "1", toy("T", "1", ""))
		w.put("a", "2", toy("T", "2", ""))
		w.put("a", "3", toy("T", "3", "revoke"))
		l := w.birth("a")
		if s := drain(t, w, l, l.config()); s.Issued != 2 || s.Revoked != 2 || s.Answered != 3 {
			t.Errorf("%s", s)
		}
	})
}

// TestStop: the batches in flight are finished, the rest is put back.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		const n = 300
		for i := range n {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i%250), "1", ""))
		}
		l := w.birth("a")
		ctx, cancel := context.WithCancel(t.Context())
		var computed atomic.Int64
		w.core.hook = func(string, string, string) {
			if computed.Add(1) == 30 {
				cancel()
			}
		}
		if err := spool.New(l.config()).Run(ctx); err != nil {
			t.Error(err)
		}
		if left := w.waiting("a"); left == 0 || left > n-30 {
			t.Errorf("%d of %d files are left", left, n)
		}
		if len(w.out) != n-w.waiting("a") {
			t.Errorf("%d answers, %d settled", len(w.out), n-w.waiting("a"))
		}
		if open := l.sources[0].(*source).open(); open != 0 {
			t.Errorf("%d claims are open", open)
		}
		w.core.hook = nil
		l = w.birth("a")
		drain(t, w, l, l.config())
	})
}

// TestDecisions: a decision made elsewhere brings the answer to every place
// that the request came from.
func TestDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		l := w.birth("a", "b")
		p, stop := daemon(t.Context(), l.config())
		w.put("a", "1", toy("T", "1", "keep"))
		time.Sleep(10 * time.Second)
		w.put("b", "2", toy("T", "1", "keep"))
		time.Sleep(10 * time.Second)
		if s := p.Stats(); s.Held != 2 || s.Duplicates != 1 || w.delivered() != 0 || w.waiting("a")+w.waiting("b") != 0 {
			t.Errorf("before the decision: %+v", s)
		}
		w.decide(t, "T", cmpcore.Approved)
		time.Sleep(2 * time.Second)
		if s := p.Stats(); s.Released != 1 || w.delivered() != 2 {
			t.Errorf("after it: %d answers, %+v", w.delivered(), s)
		}
		if string(w.out["a/1"]) != string(w.out["b/2"]) {
			t.Errorf("two answers: %q, %q", w.out["a/1"], w.out["b/2"])
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.audit(t, l)
	})
}

// TestWithdrawn: what its requester has withdrawn is held no more, in no count.
func TestWithdrawn(t *testing.T) {
	w := newWorld()
	l := w.birth("a")
	p := spool.New(l.config())
	w.put("a", "1", toy("T", "1", "keep"))
	w.put("a", "2", toy("U", "1", "keep"))
	if s, err := p.Drain(t.Context()); err != nil || s.Held != 2 || s.Withdrawn != 0 {
		t.Fatalf("%+v %v", s, err)
	}
	w.put("a", "3", toy("T", "2", "withdraw"))
	w.put("a", "4", toy("T", "1", "keep")) // comes again, and needs no answer now
	s, err := p.Drain(t.Context())
	if err != nil || s.Withdrawn != 1 || s.Answered != 1 || s.Silent != 1 || s.Held != 0 || !s.Reconciles() {
		t.Errorf("%+v %v", s, err)
	}
	all := p.Stats()
	c, err := w.store.Counts(t.Context())
	if err != nil || c.Held != 1 || c.Waiting != 1 || all.Held-all.Released-all.Withdrawn != c.Held {
		t.Errorf("%+v and %+v %v", all.Summary, c, err)
	}
	if string(w.out["a/4"]) != "" || w.waiting("a") != 0 {
		t.Errorf("answered by %q", w.out["a/4"])
	}
}

// TestExpiry: time runs out for what waits, but not for what has arrived.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "confirmed", toy("T1", "1", "confirm"))
		w.put("a", "forgotten", toy("T2", "1", "confirm"))
		w.put("a", "held", toy("T3", "1", "hold"))
		w.put("b", "held too", toy("T3", "1", "hold"))
		l := w.birth("a", "b")
		drain(t, w, l, l.config())
		w.now = time.Unix(2.1e9, 0)
		w.put("a", "confirmation", toy("T1", "2", "refuse"))
		l = w.birth("a", "b")
		s := drain(t, w, l, l.config())
		if s.Expired != 2 || s.Released != 1 || s.Received != 2 {
			t.Errorf("%s", s)
		}
		if got := string(w.out["b/held too"]); !strings.HasPrefix(got, "expired") || got != string(w.out["a/held"]) {
			t.Errorf("the held request got %q", got)
		}
		for id, want := range map[string]cmpcore.TransactionState{"T1": cmpcore.Finished, "T2": cmpcore.Aborted, "T3": cmpcore.Aborted} {
			if tx, err := w.store.View().Transaction(t.Context(), key([]byte(id))); err != nil || tx.State != want {
				t.Errorf("%s: %+v, %v", id, tx, err)
			}
		}
	})
}

// TestFlood: thousands of messages of one transaction, whose first cannot be
// computed at present, do not stop the others, nor fill the memory.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.core.down.Store(true)
		for i := range 300 {
			w.put("a", fmt.Sprintf("flood%03d", i), toy("T", fmt.Sprint(i), "temp"))
		}
		for i := range 20 {
			w.put("a", fmt.Sprintf("other%d", i), toy(fmt.Sprintf("O%d", i), "1", ""))
		}
		l := w.birth("a")
		_, stop := daemon(t.Context(), l.config())
		time.Sleep(10 * time.Minute)
		if left := w.waiting("a"); left != 300 {
			t.Errorf("%d files are left, want those of the flood", left)
		}
		if most := l.sources[0].(*source).peak(); most > 60 {
			t.Errorf("%d messages were claimed at one time", most)
		}
		w.core.down.Store(false)
		time.Sleep(10 * time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.audit(t, l)
	})
}

// TestMemoryIsBounded: a million files waiting are not a million claims.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 2000 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
		}
		l := w.birth("a")
		drain(t, w, l, l.config())
		if most := l.sources[0].(*source).peak(); most > 4*9 {
			t.Errorf("%d messages were claimed at one time, with batches of 4", most)
		}
	})
}

func TestSummaryJSON(t *testing.T) {
	b, err := json.Marshal(spool.Summary{})
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("received answered issued revoked waiting refused duplicates failed seconds held silent undelivered expired incomplete unready conflicts rate") {
		if _, ok := m[name]; !ok {
			t.Errorf("%s is missing in %s", name, b)
		}
	}
	good := spool.Summary{Received: 9, Answered: 4, Refused: 1, Waiting: 2, Held: 1, Failed: 2, Silent: 1, Duplicates: 3}
	if !good.Reconciles() || !strings.Contains(good.String(), "\n9 received = 4 answered + 2 waiting + 2 failed + 1 silent\n") {
		t.Errorf("%s", good)
	}
	bad := good
	bad.Received++
	if bad.Reconciles() || !strings.Contains(bad.String(), "≠") {
		t.Errorf("%s", bad)
	}
}

// TestProgress: it is told now and then, and at the end.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 100 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
		}
		w.core.hook = func(string, string, string) { time.Sleep(20 * time.Millisecond) }
		l := w.birth("a")
		cfg := l.config()
		cfg.Workers = 1
		var told []spool.Progress
		cfg.Progress = func(p spool.Progress) { told = append(told, p) }
		drain(t, w, l, cfg)
		if n := len(told); n < 4 || n > 11 || told[n-1].Done != 100 || told[n-1].InFlight != 0 {
			t.Errorf("told %d times, at last %+v", n, told[n-1])
		}
	})
}

// nothing is a store, a source, a sink and a processor that do nothing.
type nothing struct {
	spool.Store
	left    int
	der     []byte
	outcome cmpcore.Outcome
	id      int64
}

func (n *nothing) View() cmpcore.View { return nil }
func (n *nothing) Lookup(context.Context, []cmpcore.Hash) (map[cmpcore.Hash]spool.Stored, error) {
	return nil, nil
}
func (n *nothing) Commit(_ context.Context, b []spool.Entry) (int64, []spool.Verdict, error) {
	v := make([]spool.Verdict, len(b))
	for i := range v {
		n.id++
		v[i].ID = n.id
	}
	return n.id, v, nil
}
func (n *nothing) Delivered(context.Context, int64, []int64) error { return nil }
func (n *nothing) Undelivered(context.Context, int64, int) ([]spool.Undelivered, error) {
	return nil, nil
}
func (n *nothing) Released(context.Context, int) ([]spool.HeldMessage, error) { return nil, nil }
func (n *nothing) Expired(context.Context, time.Time, int) ([]*cmpcore.Transaction, error) {
	return nil, nil
}
func (n *nothing) Close() error                                       { return nil }
func (n *nothing) Channel() string                                    { return "a" }
func (n *nothing) Wait(context.Context, time.Duration) error          { return nil }
func (n *nothing) Settle(context.Context, []spool.Settlement) []error { return nil }
func (n *nothing) Deliver(context.Context, []spool.Delivery) []error  { return nil }
func (n *nothing) Collect(_ context.Context, limit int) ([]spool.Item, error) {
	k := min(limit, n.left)
	items := make([]spool.Item, k)
	for i := range items {
		n.left--
		items[i] = spool.Item{ID: "id", Return: spool.Return{Channel: "a", Name: "id"}, DER: n.der}
	}
	return items, nil
}

type nothingCore struct {
	n    *nothing
	hash atomic.Uint64
}

func (c *nothingCore) Parse(der []byte, channel string) *cmpcore.Request {
	r := &cmpcore.Request{DER: der, Channel: channel}
	h := c.hash.Add(1)
	for i := range 8 {
		r.Hash[i] = byte(h >> (8 * i))
	}
	return r
}
func (c *nothingCore) Process(context.Context, *cmpcore.Request, cmpcore.View) (*cmpcore.Outcome, error) {
	return &c.n.outcome, nil
}
func (c *nothingCore) Expire(context.Context, *cmpcore.Transaction, cmpcore.View) (*cmpcore.Outcome, error) {
	return nil, nil
}

// BenchmarkPump is what the pump itself costs for one message.
func BenchmarkPump(b *testing.B) {
	n := &nothing{left: b.N, der: toy("T", "1", ""), outcome: cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("reply")}}
	p := spool.New(spool.Config{Store: n, Processor: &nothingCore{n: n}, Sources: []spool.Source{n}, Sinks: map[string]spool.Sink{"a": n}})
	b.ReportAllocs()
	b.ResetTimer()
	s, err := p.Drain(b.Context())
	if err != nil || s.Received != int64(b.N) {
		b.Fatal(s, err)
	}
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
}

var _ spool.Store = (*memory.Store)(nil)
