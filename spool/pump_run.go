package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// run is one Run or Drain. Everything in it belongs to one goroutine, the loop;
// whatever may block is a job on a goroutine of its own, which sends back a
// function for the loop to call. So nothing here needs a lock, and a source or
// a sink that hangs stops nobody but itself.
//
// The way of an item:
//
//	collect -> parse -> admit -> ready -> compute -> commit -> send -> settle
//	                      |       ^         |          |         |
//	                      line ---+---------+ delay    |         +-> late (redelivered)
//	                              +--------------------+ conflict
type run struct {
	pump  *Pump
	cfg   *Config
	log   *slog.Logger
	drain bool
	debug bool // one line a message

	events chan func()
	over   chan struct{}   // closed when the loop has ended
	work   context.Context // of what must not be cut short by a stop
	listen context.Context // of collecting and waiting; ends with a stop
	endAll context.CancelFunc
	deaf   context.CancelFunc

	pending  int // jobs and timers that will call back
	timers   map[*timer]struct{}
	stopping bool    // begin nothing new
	closing  bool    // nothing is in flight; what stays claimed is put back
	problems []error // what the result tells
	fatal    error
	halted   atomic.Bool // no further commit may begin

	sources []*source
	sinks   map[string]*sink

	parsing *lane
	compute *lane
	ledger  *lane // all that writes the Store, in order

	lines     map[string]*line
	unparsed  int // items in the parse lane
	ready     []*item
	precommit int // batches formed and not committed
	putBack   []*item

	open      map[int64]struct{} // batches committed and not yet marked delivered
	late      map[int64]*late    // answers that did not arrive at the first try
	skipped   int64              // undelivered rows that the last sweep did not try
	recovered bool               // the first sweep is over
	sweeping  bool
	sweeps    int // begun so far
	sweepAt   time.Time
	sweepT    *timer
	sweepBad  int // failures to list, in a row

	decided, expired worklist

	sum     Summary
	began   time.Time
	shown   int64
	shownAt time.Time
	rate    float64
}

func newRun(p *Pump, ctx context.Context, drain bool) *run {
	r := &run{
		pump: p, cfg: &p.cfg, log: p.cfg.Logger, drain: drain,
		events: make(chan func(), 16), over: make(chan struct{}),
		timers: map[*timer]struct{}{}, sinks: map[string]*sink{}, lines: map[string]*line{},
		open: map[int64]struct{}{}, late: map[int64]*late{},
		began: time.Now(),
		debug: p.cfg.Logger.Enabled(ctx, slog.LevelDebug),
	}
	r.shownAt = r.began
	r.work, r.endAll = context.WithCancel(context.WithoutCancel(ctx))
	r.listen, r.deaf = context.WithCancel(ctx)
	r.parsing = &lane{r: r, width: 1}
	// Two batches at a time: the cores do not idle while one batch looks up its
	// hashes or waits for its last message.
	r.compute = &lane{r: r, width: 2}
	r.ledger = &lane{r: r, width: 1}
	for _, s := range p.cfg.Sources {
		r.sources = append(r.sources, &source{r: r, src: s, name: s.Channel()})
	}
	for name, s := range p.cfg.Sinks {
		if s == nil {
			continue
		}
		r.sinks[name] = &sink{r: r, name: name, to: s}
	}
	r.decided.init()
	r.expired.init()
	return r
}

// loop runs until nothing is left that could happen: in Run only a stop brings
// that about, in Drain also that all is done.
func (r *run) loop(ctx context.Context) {
	defer close(r.over)
	defer r.endAll()
	defer r.deaf()
	stop := ctx.Done()
	do := func(f func()) {
		r.pump.mu.Lock()
		f()
		r.advance()
		p, show := r.progress(false)
		r.pump.mu.Unlock()
		if show {
			r.cfg.Progress(p)
		}
	}
	do(func() {
		if !r.drain {
			r.tick()
		}
		r.sweep()
	})
	for r.pending > 0 {
		select {
		case f := <-r.events:
			do(f)
		case <-stop:
			stop = nil
			do(r.stop)
		}
	}
	r.pump.mu.Lock()
	p, show := r.progress(true)
	r.pump.mu.Unlock()
	if show {
		r.cfg.Progress(p)
	}
}

// advance begins whatever can begin. When it leaves nothing pending, nothing
// will ever happen again; then it puts back what is still claimed.
func (r *run) advance() {
	if !r.stopping && !r.closing && r.recovered {
		r.pollDecided()
		for _, s := range r.sources {
			s.collect()
		}
		r.form()
		r.pollExpired()
	}
	if r.pending == 0 && !r.closing {
		r.closing = true
		for _, it := range r.putBack {
			r.settle(it, Retry, "")
		}
		r.putBack = nil
		for _, l := range r.late {
			for _, it := range l.claims {
				r.settle(it, Retry, "")
			}
			l.claims = nil
		}
	}
}

// stop ends collecting, puts back what no batch has begun, and lets everything
// that waits for another try have it now, for the last time.
func (r *run) stop() {
	if r.stopping {
		return
	}
	r.stopping = true
	r.deaf()
	r.log.Info("pump: stopping", "batches", r.precommit)
	grace := time.AfterFunc(r.cfg.StopGrace, func() {
		r.log.Warn("pump: the batches in flight take too long, cancelling them", "after", r.cfg.StopGrace)
		r.endAll()
	})
	context.AfterFunc(r.work, func() { grace.Stop() })
	ready := r.ready
	r.ready = nil
	for _, it := range ready {
		r.giveUp(it)
	}
	for t := range r.timers {
		r.fire(t)
	}
}

// fail stops the run because going on would not be safe.
func (r *run) fail(err error) {
	r.halted.Store(true)
	if r.fatal == nil {
		r.fatal = err
		r.log.Error("pump: stopping", "err", err)
	}
	r.stop()
}

// ending tells whether a temporary error may be met only so many times.
func (r *run) ending() bool { return r.drain || r.stopping }

// problem notes what Drain reports; a few of them say enough.
func (r *run) problem(err error) {
	if len(r.problems) < 8 {
		r.problems = append(r.problems, err)
	}
}

func (r *run) result(ctx context.Context) error {
	if r.fatal != nil {
		return fmt.Errorf("pump: %w", r.fatal)
	}
	if !r.drain {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("pump: stopped before all was done: %w", err)
	}
	if err := errors.Join(r.problems...); err != nil {
		return fmt.Errorf("pump: %w", err)
	}
	if s := r.summary(); !s.Complete() {
		return fmt.Errorf("pump: %d messages and %d answers are left to try again", s.Incomplete, s.Undelivered)
	}
	return nil
}

// lane runs jobs, at most width at a time, in the order they came.
type lane struct {
	r     *run
	width int
	busy  int
	queue []func() (then func())
}

// do runs job off the loop, and what it returns on the loop.
func (l *lane) do(job func() (then func())) {
	l.r.pending++
	l.queue = append(l.queue, job)
	l.next()
}

func (l *lane) next() {
	for l.busy < l.width && len(l.queue) > 0 {
		job := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.busy++
		go func() {
			then := job()
			l.r.events <- func() {
				l.busy--
				l.r.pending--
				l.next()
				then()
			}
		}()
	}
}

// idle tells whether the lane could begin another job now.
func (l *lane) idle() bool { return l.busy < l.width }

type timer struct {
	t *time.Timer
	f func()
}

// after calls f on the loop after d, or at once when the run stops.
func (r *run) after(d time.Duration, f func()) *timer {
	r.pending++
	t := &timer{f: f}
	r.timers[t] = struct{}{}
	t.t = time.AfterFunc(d, func() {
		select {
		case r.events <- func() { r.fire(t) }:
		case <-r.over:
		}
	})
	return t
}

// fire calls what t waits for, unless that happened.
func (r *run) fire(t *timer) {
	if r.cancel(t) {
		t.f()
	}
}

func (r *run) cancel(t *timer) bool {
	if _, waits := r.timers[t]; !waits {
		return false
	}
	delete(r.timers, t)
	r.pending--
	t.t.Stop()
	return true
}

// backoff is the wait after the n-th error in a row, n from 1.
func (r *run) backoff(n int) time.Duration {
	d := r.cfg.RetryBackoff
	for ; n > 1 && d < r.cfg.MaxBackoff; n-- {
		d *= 2
	}
	d = min(d, r.cfg.MaxBackoff)
	return d - time.Duration(rand.Int64N(int64(d)/2+1))
}
