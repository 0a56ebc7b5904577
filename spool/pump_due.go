package spool

import (
	"context"
	"fmt"
	"math/bits"
	"time"
)

// worklist is one kind of work that the Store gives: decided messages, or
// transactions whose time has run out.
type worklist struct {
	asking bool
	done   bool // the Store has no more than what is in work or put off
	fails  int  // of asking, in a row
	asked  time.Time
	inWork map[string]struct{}
	putOff map[string]*putOff
}

type putOff struct {
	attempts int
	until    time.Time
	foreign  bool // of a channel that only another process has
}

func (w *worklist) init() {
	w.inWork, w.putOff = map[string]struct{}{}, map[string]*putOff{}
	w.asked = time.Now()
}

// tick makes Run ask the Store again and again.
func (r *run) tick() {
	if r.stopping {
		return
	}
	r.decided.done, r.expired.done = false, false
	r.after(r.cfg.PollInterval, r.tick)
}

// pollDecided takes up what another process decided on, with its command.
func (r *run) pollDecided() {
	w := &r.decided
	r.poll(w, "released messages", func(ctx context.Context, limit int) ([]*item, error) {
		list, err := r.cfg.Store.Released(ctx, limit)
		if err != nil {
			return nil, err
		}
		now := r.cfg.Clock()
		items := make([]*item, len(list))
		for i := range list {
			h := &list[i]
			it := &item{held: h, der: h.DER, received: now}
			if len(h.Returns) > 0 {
				it.ret, it.channel = h.Returns[0], h.Returns[0].Channel
			}
			items[i] = it
		}
		return items, nil
	})
}

// pollExpired ends transactions. What has arrived comes first: a confirmation
// that lies in the folder beside the end of its time still counts.
func (r *run) pollExpired() {
	w := &r.expired
	if quiet := r.quiet(); !quiet && (r.drain || time.Since(w.asked) < 60*r.cfg.PollInterval) {
		return
	}
	r.poll(w, "expired transactions", func(ctx context.Context, limit int) ([]*item, error) {
		now := r.cfg.Clock()
		list, err := r.cfg.Store.Expired(ctx, now, limit)
		items := make([]*item, len(list))
		for i, t := range list {
			items[i] = &item{tx: t, channel: t.Channel, hash: t.Request, received: now, key: string(t.TransactionID)}
		}
		return items, err
	})
}

// quiet tells whether the sources have nothing that is not done or put off.
func (r *run) quiet() bool {
	if r.unparsed > 0 || len(r.ready) > 0 || r.precommit > 0 || !r.decided.done {
		return false
	}
	for _, s := range r.sources {
		if !s.empty && !s.off && !s.resting && (s.looking || s.stuck < r.cfg.limit()) {
			return false
		}
	}
	return true
}

func (w *worklist) key(it *item) string {
	if it.tx != nil {
		return string(it.tx.Key[:])
	}
	return string(it.held.Hash[:])
}

func (r *run) poll(w *worklist, what string, list func(context.Context, int) ([]*item, error)) {
	if w.asking || w.done || len(w.inWork) >= r.cfg.BatchSize {
		return
	}
	w.asking = true
	// Enough to see past what is known already.
	limit := r.cfg.BatchSize + len(w.inWork) + len(w.putOff)
	r.ledger.do(func() func() {
		items, err := list(r.work, limit)
		return func() {
			w.asking = false
			w.asked = time.Now()
			if err != nil {
				r.pollFailed(w, what, err)
				return
			}
			w.fails = 0
			if !r.stopping {
				r.take(w, items)
			}
		}
	})
}

func (r *run) pollFailed(w *worklist, what string, err error) {
	r.pump.stats.StoreErrors++
	w.fails++
	w.done = true
	if bits.OnesCount(uint(w.fails)) == 1 { // 1, 2, 4, ...
		r.log.Warn("pump: store", "asked", what, "attempt", w.fails, "err", err)
	}
	if !r.drain || r.stopping {
		return // the next tick asks again
	}
	if w.fails >= r.cfg.Attempts {
		r.problem(fmt.Errorf("ask the store for %s: %w", what, err))
		return
	}
	r.after(r.backoff(w.fails), func() { w.done = false })
}

// take begins the work that is new.
func (r *run) take(w *worklist, items []*item) {
	now := time.Now()
	known := make(map[string]*putOff, len(w.putOff))
	var fresh []*item
	more := false
	for _, it := range items {
		key := w.key(it)
		p := w.putOff[key]
		if p != nil {
			known[key] = p
		}
		if p == nil && !r.knows(it) {
			known[key] = &putOff{foreign: true}
			more = true // the list may go on behind it
			continue
		}
		if _, busy := w.inWork[key]; busy || p != nil &&
			(p.foreign || now.Before(p.until) || r.drain && p.attempts >= r.cfg.Attempts) {
			continue
		}
		w.inWork[key] = struct{}{}
		fresh = append(fresh, it)
	}
	for key, p := range w.putOff {
		if _, busy := w.inWork[key]; busy {
			known[key] = p
		}
	}
	w.putOff = known // what the Store lists no more was done elsewhere
	if len(fresh) == 0 {
		w.done = !more
		return
	}
	r.parse(fresh)
}

// knows tells whether work of the Store is of a channel of this process.
func (r *run) knows(it *item) bool {
	if it.held != nil {
		for _, ret := range it.held.Returns {
			if r.sinks[ret.Channel] != nil {
				return true
			}
		}
		return false
	}
	if r.sinks[it.channel] != nil {
		return true
	}
	for _, s := range r.sources {
		if s.name == it.channel {
			return true
		}
	}
	return !it.tx.Held && r.cfg.Adopts != nil && r.cfg.Adopts(it.channel)
}

// workDone ends work that the Store gave.
func (r *run) workDone(it *item, failed bool) {
	w := &r.decided
	switch {
	case it.tx != nil:
		w = &r.expired
	case it.held == nil:
		return
	}
	key := w.key(it)
	delete(w.inWork, key)
	if !failed {
		delete(w.putOff, key)
		return
	}
	p := w.putOff[key]
	if p == nil {
		p = &putOff{}
		w.putOff[key] = p
	}
	p.attempts++
	d := r.backoff(p.attempts)
	p.until = time.Now().Add(d)
	switch {
	case r.stopping:
	case r.drain && p.attempts >= r.cfg.Attempts:
		r.sum.Incomplete++
	case r.drain:
		r.after(d, func() { w.done = false })
	}
}

// readWork prepares work of the Store for its line, off the loop.
func (r *run) readWork(it *item) {
	if it.tx != nil {
		if it.key == "" {
			it.key = string(it.tx.Key[:])
		}
		return
	}
	thrown := protect(func() { it.req = r.cfg.Processor.Parse(it.der, it.channel) })
	it.hash = it.held.Hash
	if thrown != "" || it.req == nil {
		it.req, it.bad, it.thrown = nil, internalError, true
		r.log.Error("pump: the parser failed", "hash", hexHash(it.hash), "fault", thrown)
	} else {
		it.key = it.req.OrderKey()
	}
	if it.key == "" {
		it.key = string(it.hash[:])
	}
}
