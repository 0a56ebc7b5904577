package spool_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

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
