package spool_test

import (
	"context"
	"encoding/json"
	"errors"
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

// TestNothingOvertakes a message that Drain has given up, however late it is
// collected.
func TestNothingOvertakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.core.down.Store(true)
		w.core.hook = func(string, string, string) { time.Sleep(time.Second) }
		w.put("a", "1st", toy("T", "1", "temp"))
		for i := range 100 {
			w.put("a", fmt.Sprint("other", i), toy(fmt.Sprint("O", i), "1", ""))
		}
		w.put("a", "2nd", toy("T", "2", "refuse"))
		s, err := spool.New(w.birth("a").config()).Drain(t.Context())
		if err == nil || s.Received != 100 || s.Incomplete != 2 || w.waiting("a") != 2 {
			t.Errorf("%v\n%s", err, s)
		}
		w.core.down.Store(false)
		l := w.birth("a")
		drain(t, w, l, l.config())
		if got := w.chain(t, "T"); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("took effect in the order %q", got)
		}
	})
}

// TestOldAnswersComeFirst: what an earlier process left is delivered before
// anything is collected.
func TestOldAnswersComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 11 { // several pages
			w.put("a", fmt.Sprint("old", i), toy(fmt.Sprint("T", i), "1", ""))
		}
		l := w.birth("a")
		l.sinks["a"].(*sink).down.Store(true)
		if _, err := spool.New(l.config()).Drain(t.Context()); err == nil {
			t.Error("delivered into a sink that is down")
		}
		w.mu.Lock()
		w.in["a"] = slices.Insert(w.in["a"], 0, "new")
		w.files["a/new"] = spool.Item{ID: "new", Return: spool.Return{Channel: "a", Name: "new"}, DER: toy("T-new", "1", "")}
		w.mu.Unlock()
		l = w.birth("a")
		l.trace = func(point string) {
			if n := w.delivered(); point == "collect before" && n < 11 {
				t.Errorf("collected after %d old answers", n)
			}
		}
		drain(t, w, l, l.config())
	})
}

// TestSinkDown: a full disk does not eat the folder, and its end mends all.
func TestSinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		const n = 200
		for i := range n {
			w.put("a", fmt.Sprintf("a%03d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
			w.put("b", fmt.Sprintf("b%03d", i), toy(fmt.Sprintf("B%d", i), "1", ""))
		}
		l := w.birth("a", "b")
		a := l.sinks["a"].(*sink)
		a.down.Store(true)
		p, stop := daemon(t.Context(), l.config())
		time.Sleep(time.Hour)
		if w.waiting("b") != 0 {
			t.Errorf("the other channel has %d files left", w.waiting("b"))
		}
		if w.waiting("a") != n {
			t.Errorf("%d files were settled without an answer", n-w.waiting("a"))
		}
		st := p.Stats()
		// Four batches of four, and what was in flight when that was reached.
		if st.Undelivered < 16 || st.Undelivered > 40 || st.InFlight != st.Undelivered {
			t.Errorf("%d answers are undelivered, %d claims open", st.Undelivered, st.InFlight)
		}
		if c := a.calls.Load(); c < 100 || c > 1000 {
			t.Errorf("the sink was tried %d times in an hour", c)
		}
		a.down.Store(false)
		time.Sleep(time.Minute)
		st = p.Stats()
		if st.Undelivered != 0 || st.InFlight != 0 || st.Received != 2*n || st.Duplicates != 0 {
			t.Errorf("after the sink came back: %+v", st)
		}
		if len(w.sunk) != 2*n {
			t.Errorf("%d deliveries of %d answers", len(w.sunk), 2*n)
		}
		if c := st.Channels["a"]; c.Delivered != n || c.Answered != n || c.DeliverErrors == 0 {
			t.Errorf("channel a: %+v", c)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.audit(t, l)
	})
}

// TestSinkDownInDrain: what could not be done is told, and still there.
func TestSinkDownInDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 100 {
			w.put("a", fmt.Sprintf("a%03d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
		}
		w.put("a", "again", toy("A0", "1", ""))
		l := w.birth("a")
		l.sinks["a"].(*sink).down.Store(true)
		s, err := spool.New(l.config()).Drain(t.Context())
		if err == nil || !strings.Contains(err.Error(), "sink a: the disk is full") {
			t.Errorf("error %v", err)
		}
		reconcile(t, s)
		if s.Undelivered < 16 || s.Undelivered > 40 || s.Undelivered != s.Received || w.waiting("a") != 101 {
			t.Errorf("%s%d files left", s, w.waiting("a"))
		}
		if n := l.sources[0].(*source).open(); n != 0 {
			t.Errorf("%d claims are open", n)
		}
		l = w.birth("a")
		s = drain(t, w, l, l.config())
		if s.Received != 101 {
			t.Errorf("%s", s)
		}
	})
}

// TestOneAnswerThatNeverArrives does not hold back the others of its sink.
func TestOneAnswerThatNeverArrives(t *testing.T) {
	for _, permanent := range []bool{false, true} {
		t.Run(fmt.Sprintf("permanent=%t", permanent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				for i := range 10 {
					w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
				}
				l := w.birth("a")
				l.sinks["a"].(*sink).refuse = func(name string) error {
					switch err := errors.New("name too long"); {
					case name != "a3":
						return nil
					case permanent:
						return spool.Permanent(err)
					default:
						return err
					}
				}
				p, stop := daemon(t.Context(), l.config())
				time.Sleep(time.Minute)
				if w.waiting("a") != 1 || p.Stats().Undelivered != 1 {
					t.Errorf("%d files left", w.waiting("a"))
				}
				w.put("a", "more", toy("A-more", "1", ""))
				time.Sleep(time.Minute)
				if w.waiting("a") != 1 {
					t.Errorf("%d files left after one more came", w.waiting("a"))
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
				l = w.birth("a")
				drain(t, w, l, l.config())
			})
		})
	}
}

// TestSlowSink: while its answers are on their way they are not late.
func TestSlowSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 30 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
			w.put("b", fmt.Sprintf("b%d", i), toy(fmt.Sprintf("B%d", i), "1", ""))
		}
		l := w.birth("a", "b")
		l.sinks["a"].(*sink).down.Store(true)
		l.sinks["b"].(*sink).slow = time.Minute
		_, stop := daemon(t.Context(), l.config())
		time.Sleep(time.Hour)
		if w.waiting("b") != 0 || len(w.sunk) != 30 {
			t.Errorf("%d deliveries of 30 answers, %d files left", len(w.sunk), w.waiting("b"))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// hung is a sink that does nothing until it is told to give up.
type hung struct{}

func (hung) Channel() string { return "a" }
func (hung) Close() error    { return nil }
func (hung) Deliver(ctx context.Context, list []spool.Delivery) []error {
	<-ctx.Done()
	errs := make([]error, len(list))
	for i := range errs {
		errs[i] = ctx.Err()
	}
	return errs
}

func TestSinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 50 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
			w.put("b", fmt.Sprintf("b%d", i), toy(fmt.Sprintf("B%d", i), "1", ""))
		}
		l := w.birth("a", "b")
		cfg := l.config()
		cfg.Sinks = map[string]spool.Sink{"a": hung{}, "b": l.sinks["b"]}
		cfg.DeliverTimeout = time.Hour
		_, stop := daemon(t.Context(), cfg)
		time.Sleep(time.Minute)
		if w.waiting("b") != 0 {
			t.Errorf("the other channel has %d files left", w.waiting("b"))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		l = w.birth("a", "b")
		drain(t, w, l, l.config())
	})
}

// TestDeadSource: the others go on, and it is told of.
func TestDeadSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "a", toy("A", "1", ""))
		w.put("b", "b", toy("B", "1", ""))
		l := w.birth("a", "b")
		l.sources[0].(*source).err = errors.New("no such host")
		s, err := spool.New(l.config()).Drain(t.Context())
		if err == nil || !strings.Contains(err.Error(), "source a: collect: no such host") {
			t.Errorf("error %v", err)
		}
		if s.Received != 1 || w.waiting("b") != 0 {
			t.Errorf("%s", s)
		}
		l = w.birth("a", "b")
		drain(t, w, l, l.config())
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

// TestCommitFails: nothing is stored, nothing is lost.
func TestCommitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 20 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
		}
		l := w.birth("a")
		full := errors.New("database or disk is full")
		l.fault = func(step string) (error, error) {
			if step == "commit" {
				return full, nil
			}
			return nil, nil
		}
		s, err := spool.New(l.config()).Drain(t.Context())
		if !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
		if s.Received != 0 || w.waiting("a") != 20 || l.sources[0].(*source).open() != 0 {
			t.Errorf("%s%d files left", s, w.waiting("a"))
		}

		var mended atomic.Bool
		l = w.birth("a")
		l.fault = func(step string) (error, error) {
			if step == "commit" && !mended.Load() {
				return full, nil
			}
			return nil, nil
		}
		p, stop := daemon(t.Context(), l.config())
		time.Sleep(time.Hour)
		if n := p.Stats().CommitErrors; n < 100 {
			t.Errorf("tried %d times in an hour", n)
		}
		if n := l.sources[0].(*source).peak(); n > 4*5 {
			t.Errorf("%d messages were claimed", n)
		}
		mended.Store(true)
		time.Sleep(time.Minute)
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.audit(t, l)
	})
}

// TestAmbiguousCommit stops the pump; the next one finds out.
func TestAmbiguousCommit(t *testing.T) {
	for _, happened := range []bool{false, true} {
		t.Run(fmt.Sprintf("happened=%t", happened), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				for i := range 20 {
					w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
				}
				l := w.birth("a")
				err := fmt.Errorf("connection lost: %w", spool.ErrAmbiguous)
				var commits atomic.Int64
				l.fault = func(step string) (error, error) {
					if step != "commit" || commits.Add(1) != 2 {
						return nil, nil
					}
					if happened {
						return nil, err
					}
					return err, nil
				}
				if got := spool.New(l.config()).Run(t.Context()); !errors.Is(got, spool.ErrAmbiguous) {
					t.Errorf("Run gave %v", got)
				}
				if commits.Load() != 2 {
					t.Errorf("%d commits, want none after the ambiguous one", commits.Load())
				}
				l = w.birth("a")
				drain(t, w, l, l.config())
			})
		})
	}
}

// TestPermanentCommitError: one outcome that the Store refuses for good fails
// alone.
func TestPermanentCommitError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for i := range 9 {
			w.put("a", fmt.Sprintf("a%d", i), toy(fmt.Sprintf("A%d", i), "1", ""))
		}
		l := w.birth("a")
		cfg := l.config()
		inner := cfg.Store
		cfg.Store = &watched{Store: inner, change: func(ctx context.Context, b []spool.Entry) (int64, []spool.Verdict, error) {
			for _, e := range b {
				if e.Return.Name == "a5" && e.Outcome.Disposition != cmpcore.Failed {
					return 0, nil, spool.Permanent(errors.New("value too large"))
				}
			}
			return inner.Commit(ctx, b)
		}}
		s := drain(t, w, l, cfg)
		if s.Answered != 8 || s.Failed != 1 {
			t.Errorf("%s", s)
		}
		if w.failed["a/a5"] != "internal error" {
			t.Errorf("quarantined: %v", w.failed)
		}
	})
}

// TestSeveralProcesses share a database: what they compute of the same bytes
// and of the same transactions meets at the commit.
func TestSeveralProcesses(t *testing.T) {
	w := newWorld()
	lives := []*life{w.birth("a"), w.birth("b"), w.birth("c")}
	const n = 120
	for i := range n {
		for _, c := range []string{"a", "b", "c"} {
			w.put(c, fmt.Sprintf("m%d", i), toy(fmt.Sprintf("T%d", i), "1", ""))
			w.put(c, fmt.Sprintf("%s%d", c, i), toy(fmt.Sprintf("T%d", i%10), c+fmt.Sprint(i), "refuse"))
		}
	}
	var wg sync.WaitGroup
	for _, l := range lives {
		wg.Go(func() {
			s, err := spool.New(l.config()).Drain(t.Context())
			if err != nil {
				t.Error(err)
			}
			reconcile(t, s)
			if s.Received != 2*n {
				t.Errorf("%s", s)
			}
		})
	}
	wg.Wait()
	for _, l := range lives {
		w.audit(t, l)
	}
}

// racing lets something happen just before a call to the Store.
type racing struct {
	spool.Store
	beforeCommit    func([]spool.Entry)
	beforeAddReturn func()
}

func (s *racing) Commit(ctx context.Context, b []spool.Entry) (int64, []spool.Verdict, error) {
	if s.beforeCommit != nil {
		s.beforeCommit(b)
	}
	return s.Store.Commit(ctx, b)
}

func (s *racing) AddReturn(ctx context.Context, id int64, r spool.Return) error {
	if s.beforeAddReturn != nil {
		s.beforeAddReturn()
	}
	return s.Store.AddReturn(ctx, id, r)
}

// TestHeldRequestComesAgainWhileItIsAnswered: in another process, at the two
// worst moments.
func TestHeldRequestComesAgainWhileItIsAnswered(t *testing.T) {
	setup := func(t *testing.T) *world {
		w := newWorld()
		w.put("a", "first", toy("T", "1", "keep"))
		l := w.birth("a", "b")
		drain(t, w, l, l.config())
		w.decide(t, "T", cmpcore.Approved)
		return w
	}
	t.Run("before the commit of its answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := setup(t)
			w.putItem("b", "second", spool.Item{DER: toy("T", "1", "keep")})
			l := w.birth("a")
			l.sinks["b"] = &sink{l: l, channel: "b"}
			cfg := l.config()
			cfg.Store = &racing{Store: cfg.Store, beforeCommit: func([]spool.Entry) {
				other := w.birth("b")
				c := other.config()
				c.Store = &unreleased{c.Store}
				if _, err := spool.New(c).Drain(t.Context()); err != nil {
					t.Error(err)
				}
			}}
			s := drain(t, w, l, cfg)
			if s.Released != 1 || w.out["b/second"] == nil {
				t.Errorf("%s%q", s, w.out)
			}
		})
	})
	t.Run("after it was found held", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := setup(t)
			w.put("b", "second", toy("T", "1", "keep"))
			l := w.birth("b")
			cfg := l.config()
			cfg.Store = &racing{Store: &unreleased{cfg.Store}, beforeAddReturn: func() {
				if _, err := spool.New(w.birth("a").config()).Drain(t.Context()); err != nil {
					t.Error(err)
				}
			}}
			s := drain(t, w, l, cfg)
			if s.Received != 1 || s.Answered != 1 || s.Duplicates != 1 {
				t.Errorf("%s", s)
			}
		})
	})
}

// unreleased is the Store of a process that asks for decisions too seldom.
type unreleased struct{ spool.Store }

func (unreleased) Released(context.Context, int) ([]spool.HeldMessage, error) { return nil, nil }

// TestNoSinkForTheAnswer: it is kept until there is one.
func TestNoSinkForTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "1", toy("T", "1", ""))
		w.put("b", "2", toy("T2", "1", ""))
		l := w.birth("a", "b")
		delete(l.sinks, "a")
		s, err := spool.New(l.config()).Drain(t.Context())
		if err == nil || !strings.Contains(err.Error(), `no sink for channel "a"`) || s.Undelivered != 1 {
			t.Errorf("%v\n%s", err, s)
		}
		l = w.birth("a", "b")
		drain(t, w, l, l.config())
	})
}

// TestForeignWork of a channel that only another process has is left to it.
func TestForeignWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "undelivered", toy("T1", "1", ""))
		l := w.birth("a")
		l.sinks["a"].(*sink).down.Store(true)
		if _, err := spool.New(l.config()).Drain(t.Context()); err == nil {
			t.Error("delivered into a sink that is down")
		}
		for i := range 30 { // more than one page of each
			w.put("a", fmt.Sprint("decided", i), toy(fmt.Sprint("D", i), "1", "keep"))
			w.put("a", fmt.Sprint("expired", i), toy(fmt.Sprint("E", i), "1", "hold"))
		}
		w.put("b", "expired too", toy("E", "1", "hold"))
		l = w.birth("a", "b")
		l.sinks["a"].(*sink).down.Store(true)
		if s, _ := spool.New(l.config()).Drain(t.Context()); s.Held != 61 || s.Undelivered != 1 {
			t.Errorf("%s", s)
		}
		for i := range 30 {
			w.decide(t, fmt.Sprint("D", i), cmpcore.Approved)
		}
		w.now = time.Unix(2.1e9, 0)

		other := w.birth("b")
		s, err := spool.New(other.config()).Drain(t.Context())
		if err != nil {
			t.Error(err)
		}
		if s.Received != 1 || s.Expired != 1 || w.out["b/expired too"] == nil || len(w.out) != 1 {
			t.Errorf("%s%d answers", s, len(w.out))
		}
		l = w.birth("a", "b")
		if s := drain(t, w, l, l.config()); s.Released != 60 || s.Expired != 30 {
			t.Errorf("%s", s)
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
	for _, name := range strings.Fields("received answered issued revoked waiting refused duplicates failed seconds held silent undelivered expired incomplete conflicts rate") {
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
