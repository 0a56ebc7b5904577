package spool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

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
