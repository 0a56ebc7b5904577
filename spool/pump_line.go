package spool

import (
	"time"

	"cmp-batch/cmpcore"
)

// item is a message that is worked on.
type item struct {
	src *source // nil for work that the Store gave
	id  string  // of the source

	ret      Return
	channel  string // whose policy applies
	der      []byte
	received time.Time
	hash     cmpcore.Hash
	req      *cmpcore.Request

	key   string // of its line
	holds bool   // it is at the head of its line: no other message of the transaction is in work
	stuck bool

	held *HeldMessage         // a decided message of the Store
	tx   *cmpcore.Transaction // a transaction whose time has run out

	bad       string // reason of a failure that needs no processor
	attempts  int    // temporary errors so far
	conflicts int    // in a row
	settling  int    // failed settlements so far
	thrown    bool   // the processor panicked, and nobody has counted it yet

	// What computing it gave; exactly one is set.
	outcome *cmpcore.Outcome
	stored  *Stored // it is a duplicate
	err     error   // temporary
	gone    bool    // work of the Store that another process has done
	again   bool    // it must get in line first
}

// forget drops what only computing needs.
func (it *item) forget() {
	it.der, it.req, it.outcome, it.stored, it.err, it.held, it.tx = nil, nil, nil, nil, nil, nil, nil
}

// line is the queue of messages of one transaction, or of the same bytes. Its
// head is in work; the others wait in order of arrival. A closed line belongs
// to a message that Drain has given up: those behind it would overtake it.
type line struct {
	waiting []*item
	closed  bool
}

// admit puts an item in its line, and makes it ready if it is the first.
func (r *run) admit(it *item) {
	l := r.lines[it.key]
	switch {
	case l == nil:
		if r.stopping {
			r.giveUp(it)
			return
		}
		r.lines[it.key] = &line{}
		it.holds = true
		r.ready = append(r.ready, it)
	case l.closed || r.stopping:
		r.giveUp(it)
	case it.src != nil && it.src.deferred >= r.cfg.limit() && !r.drain && r.precommit == 0 && len(r.ready) == 0:
		// The heads of the lines wait for another try. So that one
		// transaction cannot stop a source, what is behind them goes back.
		r.settle(it, Retry, "")
		it.src.rest(r.cfg.ScanInterval)
	default:
		l.waiting = append(l.waiting, it)
		if it.src != nil {
			it.src.deferred++
		}
	}
}

// leave takes an item out of the head of its line; the next one is ready.
func (r *run) leave(it *item) {
	if !it.holds {
		return
	}
	it.holds = false
	l := r.lines[it.key]
	if l == nil || len(l.waiting) == 0 {
		delete(r.lines, it.key)
		return
	}
	next := l.waiting[0]
	l.waiting[0] = nil
	l.waiting = l.waiting[1:]
	if next.src != nil {
		next.src.deferred--
	}
	next.holds = true
	if r.stopping {
		r.giveUp(next)
		return
	}
	r.ready = append(r.ready, next)
}

// giveUp leaves a message for the next start, and with it those that must not
// overtake it.
func (r *run) giveUp(it *item) {
	var behind []*item
	if it.holds {
		it.holds = false
		l := r.lines[it.key]
		behind, l.waiting, l.closed = l.waiting, nil, true
		if r.stopping {
			delete(r.lines, it.key)
		}
	}
	r.abandon(it)
	for _, b := range behind {
		if b.src != nil {
			b.src.deferred--
		}
		r.abandon(b)
	}
}

func (r *run) abandon(it *item) {
	if it.src == nil {
		r.workDone(it, true)
		return
	}
	r.sum.Incomplete++
	it.forget()
	if r.stopping {
		r.settle(it, Retry, "")
		return
	}
	// The source would show it again at once.
	r.stick(it)
	r.putBack = append(r.putBack, it)
}

// delay gives an item another try later. It keeps its place in line.
func (r *run) delay(it *item, err error) {
	it.attempts++
	it.conflicts = 0
	if it.src == nil {
		r.log.Warn("pump: put off", "hash", hexHash(it.hash), "attempt", it.attempts, "err", err)
		r.leave(it)
		r.workDone(it, true)
		return
	}
	if r.stopping || r.drain && it.attempts >= r.cfg.Attempts {
		r.log.Error("pump: left for the next start", "channel", it.channel, "name", it.ret.Name, "attempts", it.attempts, "err", err)
		r.giveUp(it)
		return
	}
	d := r.backoff(it.attempts)
	r.log.Warn("pump: trying again later", "channel", it.channel, "name", it.ret.Name, "attempt", it.attempts, "after", d, "err", err)
	r.stick(it)
	it.stored, it.err, it.outcome = nil, nil, nil
	r.after(d, func() {
		r.unstick(it)
		if r.stopping {
			r.giveUp(it)
			return
		}
		r.ready = append(r.ready, it)
	})
}
