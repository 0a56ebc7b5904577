package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// fill puts one of everything into the folders.
func (w *world) fill(t *testing.T) {
	t.Helper()
	// Two requests were held earlier; one has been decided, one has run out
	// of time.
	w.put("a", "held", toy("T-held", "1", "hold"))
	w.put("a", "old", toy("T-old", "1", "hold"))
	if _, err := spool.New(w.birth("a", "b").config()).Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.decide(t, "T-held", cmpcore.Approved)
	w.now = time.Unix(2.1e9, 0)

	for i := range 5 {
		w.put("a", fmt.Sprintf("issue%d", i), toy(fmt.Sprintf("T-i%d", i), "1", ""))
	}
	w.put("a", "again", toy("T-i0", "1", ""))     // the same bytes in one batch
	w.put("b", "elsewhere", toy("T-i4", "1", "")) // and on another channel
	w.put("a", "chain1", toy("T-chain", "1", "")) // three of one transaction
	w.put("a", "chain2", toy("T-chain", "2", "refuse"))
	w.put("b", "wait", toy("T-wait", "1", "wait"))
	w.put("a", "chain3", toy("T-chain", "3", "refuse"))
	w.put("b", "silent", toy("T-silent", "1", "silent"))
	w.put("b", "fail", toy("T-fail", "1", "fail"))
	w.put("b", "panic", toy("T-panic", "1", "panic"))
	w.put("b", "panic2", toy("T-panic", "panic-in-parse", ""))
	w.put("b", "garbage", []byte("no DER at all"))
	w.putItem("b", "bad", spool.Item{Bad: "is a directory"})
	w.put("b", "held again", toy("T-held", "1", "hold"))
	w.put("b", "hold", toy("T-hold2", "1", "keep"))
	w.put("a", "hold", toy("T-hold2", "1", "keep"))
}

func (w *world) decide(t *testing.T, transaction string, d cmpcore.Decision) {
	t.Helper()
	tx, err := w.store.View().Transaction(t.Context(), key([]byte(transaction)))
	if err != nil || tx == nil {
		t.Fatalf("transaction %s: %v, %v", transaction, tx, err)
	}
	if err := w.store.Decide(t.Context(), tx.Key, tx.Version, cmpcore.Vote{By: "a person", Decision: d}); err != nil {
		t.Fatal(err)
	}
}

// TestCrash lets the process die before and after every single step that
// changes something, starts another one, and looks whether all is well.
func TestCrash(t *testing.T) {
	var points []string
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fill(t)
		l := w.birth("a", "b")
		var mu sync.Mutex
		l.trace = func(p string) {
			mu.Lock()
			defer mu.Unlock()
			points = append(points, p)
		}
		s, err := spool.New(l.config()).Drain(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		reconcile(t, s)
		w.audit(t, l)
		if s.Received != 22 || s.Duplicates != 4 || s.Released != 2 || s.Expired != 1 || s.Failed != 5 || s.Held < 2 || s.Held > 3 || s.Silent != 1 || s.Issued != 7 {
			t.Errorf("the summary is not what was put in:\n%s", s)
		}
	})
	kinds := map[string]int{}
	for i, p := range points {
		kinds[p]++
		t.Run(fmt.Sprintf("%03d %s", i+1, p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { crashAt(t, int64(i+1)) })
		})
	}
	for _, k := range []string{"commit", "deliver", "delivered", "settle", "addReturn"} {
		if kinds[k+" before"] == 0 || kinds[k+" after"] == 0 {
			t.Errorf("no crash around %s was tried: %v", k, kinds)
		}
	}
}

func crashAt(t *testing.T, points ...int64) {
	w := newWorld()
	w.fill(t)
	for _, at := range points {
		l := w.birth("a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		l.dieAt, l.onDie = at, cancel
		cfg := l.config()
		cfg.Attempts = 1
		s, _ := spool.New(cfg).Drain(ctx)
		cancel()
		reconcile(t, s)
	}
	l := w.birth("a", "b")
	s, err := spool.New(l.config()).Drain(t.Context())
	if err != nil {
		t.Error(err)
	}
	reconcile(t, s)
	w.audit(t, l)
	if got := strings.Join(w.chain(t, "T-chain"), " "); got != "1 2 3" {
		t.Errorf("the messages of one transaction took effect in the order %q", got)
	}
}

// chain gives the nonces that a transaction met, as they were committed.
func (w *world) chain(t *testing.T, transaction string) []string {
	t.Helper()
	tx, err := w.store.View().Transaction(t.Context(), key([]byte(transaction)))
	if err != nil || tx == nil {
		t.Fatalf("transaction %s: %v, %v", transaction, tx, err)
	}
	return strings.FieldsFunc(tx.Summary, func(r rune) bool { return r == ';' })
}

// TestRandomFaults mixes temporary errors, some of which lie about what
// happened, with crashes. Set PUMP_SEED to repeat a run.
func TestRandomFaults(t *testing.T) {
	seed := rand.Uint64()
	if s := os.Getenv("PUMP_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	rounds := 400
	if testing.Short() {
		rounds = 20
	}
	for i := range rounds {
		seed := seed + uint64(i)
		ok := t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomFaults(t, seed) })
		})
		if !ok {
			t.Fatalf("repeat with PUMP_SEED=%d", seed)
		}
	}
}

func randomFaults(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	w := newWorld()
	w.fill(t)
	for range 3 {
		l := w.birth("a", "b")
		ctx, cancel := context.WithCancel(t.Context())
		l.onDie = cancel
		if rnd.IntN(2) == 0 {
			l.dieAt = 1 + rnd.Int64N(150)
		}
		rate := rnd.Float64() / 3
		faults := make(chan float64, 1<<12) // the steps call from many goroutines
		for range cap(faults) {
			faults <- rnd.Float64()
		}
		l.fault = func(step string) (before, after error) {
			select {
			case f := <-faults:
				if f < rate/2 {
					return errors.New("fault before " + step), nil
				}
				if f < rate && step != "collect" {
					return nil, errors.New("fault after " + step)
				}
			default:
			}
			return nil, nil
		}
		cfg := l.config()
		cfg.BatchSize = 1 + rnd.IntN(9)
		if rnd.IntN(2) == 0 {
			s, _ := spool.New(cfg).Drain(ctx)
			reconcile(t, s)
		} else {
			time.AfterFunc(time.Duration(rnd.IntN(3000))*time.Millisecond, cancel)
			_ = spool.New(cfg).Run(ctx)
		}
		cancel()
	}
	l := w.birth("a", "b")
	s, err := spool.New(l.config()).Drain(t.Context())
	if err != nil {
		t.Error(err)
	}
	reconcile(t, s)
	w.audit(t, l)
	if got := strings.Join(w.chain(t, "T-chain"), " "); got != "1 2 3" {
		t.Errorf("the messages of one transaction took effect in the order %q", got)
	}
}
