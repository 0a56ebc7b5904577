package spool

import (
	"errors"
	"fmt"
	"time"
)

// late is a committed answer that has not arrived. The Store has its bytes; the
// claims on the source wait here, so that a sink that is down holds its sources
// back.
type late struct {
	attempts int
	due      time.Time
	claims   []*item
	given    bool // Drain has given it up
	seen     int  // number of the last sweep that met it, or began before it
}

// lateLimit bounds the answers remembered that have no claim; there may be any
// number of them from earlier starts.
func (r *run) lateLimit() int { return 4 * r.cfg.limit() }

// addLate notes that an answer did not arrive.
func (r *run) addLate(id int64, it *item, err error) {
	l := r.late[id]
	if l == nil {
		if (it == nil || it.src == nil) && len(r.late) >= r.lateLimit() {
			r.skipped++
			return
		}
		l = &late{}
		r.late[id] = l
	}
	l.seen = r.sweeps
	if it != nil && it.src != nil {
		l.claims = append(l.claims, it)
	}
	if rest, ok := errors.AsType[resting](err); ok {
		l.due = rest.until
		if s := r.sinks[rest.sink]; s.dead {
			l.given = true
		}
	} else {
		l.attempts++
		d := r.backoff(l.attempts)
		if IsPermanent(err) {
			d = r.cfg.MaxBackoff
		}
		l.due = time.Now().Add(d)
		if r.drain && (l.attempts >= r.cfg.Attempts || IsPermanent(err)) {
			l.given = true
			r.problem(fmt.Errorf("deliver answer %d: %w", id, err))
		}
	}
	if !l.given {
		r.planSweep(l.due)
	}
}

// lateOver: an answer that was late has arrived, here or by another process.
func (r *run) lateOver(id int64) {
	l := r.late[id]
	if l == nil {
		return
	}
	delete(r.late, id)
	for _, it := range l.claims {
		r.settle(it, Done, "")
	}
}

// A sweep goes through all the Store lists as undelivered, a page at a time,
// and delivers what is due. The first one, before anything is collected, is
// the recovery after a crash.
func (r *run) sweep() {
	if r.sweeping || r.stopping {
		return
	}
	r.sweeping = true
	r.sweeps++
	r.skipped = 0
	r.list(0)
}

// planSweep makes a sweep happen at a time, or earlier.
func (r *run) planSweep(at time.Time) {
	if r.sweeping || r.stopping {
		return // its end plans the next
	}
	if r.sweepT != nil {
		if !at.Before(r.sweepAt) {
			return
		}
		r.cancel(r.sweepT)
	}
	r.sweepAt = at
	r.sweepT = r.after(max(time.Until(at), r.cfg.RetryBackoff/2), func() {
		r.sweepT = nil
		r.sweep()
	})
}

// page is one part of a sweep.
type page struct {
	left int // answers on their way, and one while the page is handed out
	next int64
	done []int64
}

func (r *run) list(after int64) {
	r.ledger.do(func() func() {
		rows, err := r.cfg.Store.Undelivered(r.work, after, r.cfg.BatchSize)
		return func() { r.listed(rows, err, after) }
	})
}

func (r *run) listed(rows []Undelivered, err error, after int64) {
	switch {
	case err != nil:
		r.pump.stats.StoreErrors++
		r.sweepBad++
		err = fmt.Errorf("list undelivered answers: %w", err)
		if r.ending() && r.sweepBad >= r.cfg.Attempts {
			if !r.recovered {
				r.fail(err)
			}
			r.problem(err)
			r.sweepOver(false)
			return
		}
		d := r.backoff(r.sweepBad)
		r.log.Warn("pump: store", "attempt", r.sweepBad, "again", d, "err", err)
		r.after(d, func() { r.list(after) })
		return
	case r.stopping:
		r.sweepOver(false)
		return
	case len(rows) == 0:
		r.sweepBad = 0
		r.sweepOver(true)
		return
	}
	r.sweepBad = 0
	now := time.Now()
	p := &page{left: 1, next: rows[len(rows)-1].ID}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].ID == rows[0].ID {
			n++
		}
		one := rows[:n]
		rows = rows[n:]
		id := one[0].ID
		l := r.late[id]
		if l != nil {
			l.seen = r.sweeps
		}
		_, onItsWay := r.open[one[0].Batch]
		switch {
		case onItsWay, l != nil && (l.given || now.Before(l.due)):
			continue
		case l == nil && !r.mine(one):
			continue
		case l == nil && len(r.late) >= r.lateLimit():
			r.skipped++
			continue
		}
		to := make([]Return, n)
		for i := range one {
			to[i] = one[i].Return
		}
		p.left++
		r.sendAll(&answer{id: id, page: p, done: (*answer).ofLate}, to, one[0].Reply)
	}
	p.arrived(r)
}

// mine tells whether this process can deliver an answer anywhere: another one,
// with other channels, may share the Store.
func (r *run) mine(places []Undelivered) bool {
	for _, p := range places {
		if r.sinks[p.Return.Channel] != nil {
			return true
		}
	}
	return false
}

func (a *answer) ofLate(r *run) {
	if a.err != nil {
		r.addLate(a.id, nil, a.err)
	} else {
		a.page.done = append(a.page.done, a.id)
	}
	a.page.arrived(r)
}

func (p *page) arrived(r *run) {
	if p.left--; p.left > 0 {
		return
	}
	if len(p.done) == 0 {
		r.list(p.next)
		return
	}
	r.ledger.do(func() func() {
		errs := make([]error, len(p.done))
		for i, id := range p.done {
			errs[i] = r.cfg.Store.DeliveredOne(r.work, id)
		}
		return func() {
			for i, id := range p.done {
				if errs[i] != nil {
					r.pump.stats.StoreErrors++
					r.addLate(id, nil, fmt.Errorf("mark answer %d delivered: %w", id, errs[i]))
					continue
				}
				r.lateOver(id)
			}
			r.list(p.next)
		}
	})
}

// sweepOver ends a sweep and plans the next one.
func (r *run) sweepOver(whole bool) {
	r.sweeping, r.recovered = false, true
	var next time.Time
	for id, l := range r.late {
		switch {
		case whole && l.seen < r.sweeps:
			r.lateOver(id) // the Store lists it no more
		case !l.given && (next.IsZero() || l.due.Before(next)):
			next = l.due
		}
	}
	if next.IsZero() && !r.drain {
		// Another process may have died with answers on its way.
		next = time.Now().Add(r.cfg.MaxBackoff)
	}
	if !next.IsZero() {
		r.planSweep(next)
	}
}
