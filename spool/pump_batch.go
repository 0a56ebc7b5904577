package spool

import (
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"cmp-batch/cmpcore"
)

// internalError is the reason of a message that made the processor panic.
const internalError = "internal error"

// batch is what one commit makes durable.
type batch struct {
	items    []*item
	entries  []Entry
	attempts int
}

// form begins batches while there is something to compute and a free place.
// A second batch begins beside another only when it is full: what has just
// arrived would otherwise be committed in crumbs.
func (r *run) form() {
	for len(r.ready) > 0 && r.precommit < inFlight && r.compute.idle() {
		if r.compute.busy > 0 && len(r.ready) < r.cfg.BatchSize {
			return
		}
		n := min(len(r.ready), r.cfg.BatchSize)
		items := append([]*item(nil), r.ready[:n]...)
		r.ready = append(r.ready[:0], r.ready[n:]...)
		clear(r.ready[len(r.ready) : len(r.ready)+n])
		r.precommit++
		r.compute.do(func() func() {
			began := time.Now()
			err := r.process(items)
			r.cfg.Observe(StageProcess, len(items), time.Since(began))
			return func() { r.processed(items, err) }
		})
	}
}

// process computes a batch, off the loop: each item gets one of its results.
func (r *run) process(items []*item) error {
	hashes := make([]cmpcore.Hash, 0, len(items))
	for _, it := range items {
		it.outcome, it.stored, it.err, it.gone, it.again = nil, nil, nil, false, false
		if it.tx == nil {
			hashes = append(hashes, it.hash)
		}
	}
	var known map[cmpcore.Hash]Stored
	if len(hashes) > 0 {
		var err error
		if known, err = r.cfg.Store.Lookup(r.work, hashes); err != nil {
			err = fmt.Errorf("look up %d messages: %w", len(hashes), err)
			for _, it := range items {
				it.err = err
			}
			return err
		}
	}
	view := r.cfg.Store.View()
	parallel(len(items), r.cfg.Workers, 1, func(i int) {
		it := items[i]
		st, found := Stored{}, false
		if it.tx == nil {
			st, found = known[it.hash]
		}
		switch {
		case it.held != nil && (!found || st.Disposition != cmpcore.Held):
			it.gone = true
		case it.held == nil && it.tx == nil && found:
			it.stored = &st
		case !it.holds:
			it.again = true
		case it.bad != "" && it.src == nil:
			it.err = errors.New(it.bad)
		case it.bad != "":
			it.outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: it.bad}
		default:
			r.computeOne(it, view)
		}
	})
	return nil
}

// computeOne asks the processor. What makes it panic is quarantined: the same
// bytes would do it again, and the others must go on.
func (r *run) computeOne(it *item, view cmpcore.View) {
	thrown := protect(func() {
		if it.tx != nil {
			it.outcome, it.err = r.cfg.Processor.Expire(r.work, it.tx, view)
		} else {
			it.outcome, it.err = r.cfg.Processor.Process(r.work, it.req, view)
		}
	})
	if thrown == "" && it.err == nil {
		thrown = faultOf(it)
	}
	if thrown == "" {
		return
	}
	r.log.Error("pump: the processor failed", "channel", it.channel, "name", it.ret.Name, "hash", hexHash(it.hash), "fault", thrown)
	it.thrown = true
	it.outcome, it.err = nil, nil
	if it.src == nil {
		// It stays in the Store as it is; there is no file to quarantine.
		it.err = errors.New(internalError)
		return
	}
	it.bad = internalError
	it.outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: internalError}
}

// faultOf says what would make an outcome lose a message.
func faultOf(it *item) string {
	o := it.outcome
	if o == nil {
		return "none"
	}
	if thrown := faultOfParts(o); thrown != "" || it.tx != nil && !it.tx.Held {
		return thrown
	}
	switch o.Disposition {
	case cmpcore.Answered, cmpcore.Waiting, cmpcore.Refused:
		if len(o.Reply) == 0 {
			return "no reply"
		}
	case cmpcore.Held, cmpcore.Failed, cmpcore.Silent:
		if len(o.Reply) != 0 {
			return "a reply that would not be sent"
		}
	default:
		return "no disposition"
	}
	return ""
}

func faultOfParts(o *cmpcore.Outcome) string {
	for i := range o.Parts {
		if o.Parts[i].Outcome == nil {
			return "a part without an outcome"
		}
		if f := faultOfParts(o.Parts[i].Outcome); f != "" {
			return f
		}
	}
	return ""
}

// processed sorts the results of a batch.
func (r *run) processed(items []*item, err error) {
	if err != nil {
		r.pump.stats.StoreErrors++
	}
	b := &batch{}
	for _, it := range items {
		r.countPanic(it)
		switch {
		case it.err != nil:
			if err == nil {
				r.pump.stats.ProcessErrors++
			}
			r.delay(it, it.err)
		case it.gone:
			r.leave(it)
			r.workDone(it, false)
		case it.again:
			r.admit(it)
		case it.stored != nil:
			r.duplicate(it)
		default:
			b.items = append(b.items, it)
			b.entries = append(b.entries, it.entry())
		}
	}
	if len(b.items) == 0 {
		r.precommit--
		return
	}
	r.commit(b)
}

func (it *item) entry() Entry {
	switch {
	case it.tx != nil && it.tx.Held:
		return Entry{Hash: it.tx.Request, Outcome: it.outcome, Received: it.received, Release: true}
	case it.tx != nil:
		return Entry{Outcome: it.outcome, Received: it.received}
	}
	return Entry{Hash: it.hash, DER: it.der, Return: it.ret, Received: it.received, Outcome: it.outcome, Release: it.held != nil}
}

func (r *run) commit(b *batch) {
	r.ledger.do(func() func() {
		if r.halted.Load() {
			return func() { r.abort(b) }
		}
		began := time.Now()
		id, verdicts, err := r.cfg.Store.Commit(r.work, b.entries)
		r.cfg.Observe(StageCommit, len(b.entries), time.Since(began))
		if err == nil && len(verdicts) != len(b.entries) {
			err = fmt.Errorf("%d verdicts for %d outcomes: %w", len(verdicts), len(b.entries), ErrAmbiguous)
		}
		return func() {
			if err != nil {
				r.notCommitted(b, err)
				return
			}
			r.committed(b, id, verdicts)
		}
	})
}

// notCommitted: nothing of the batch is stored, or nobody knows.
func (r *run) notCommitted(b *batch, err error) {
	r.pump.stats.CommitErrors++
	b.attempts++
	switch {
	case errors.Is(err, ErrAmbiguous):
		r.fail(fmt.Errorf("commit of %d messages: %w", len(b.entries), err))
		r.abort(b)
	case IsPermanent(err) && r.divide(b, err):
	case IsPermanent(err), r.ending() && b.attempts >= r.cfg.Attempts:
		r.fail(fmt.Errorf("commit of %d messages, tried %d times: %w", len(b.entries), b.attempts, err))
		r.abort(b)
	default:
		d := r.backoff(b.attempts)
		r.log.Error("pump: nothing of a batch could be stored, trying again", "messages", len(b.entries), "attempt", b.attempts, "after", d, "err", err)
		r.after(d, func() { r.commit(b) })
	}
}

// divide finds, by halves, the one message that the Store refuses for good, so
// that it is the only one to fail.
func (r *run) divide(b *batch, err error) bool {
	if n := len(b.items); n > 1 {
		r.precommit++
		r.commit(&batch{items: b.items[:n/2], entries: b.entries[:n/2]})
		r.commit(&batch{items: b.items[n/2:], entries: b.entries[n/2:]})
		return true
	}
	it := b.items[0]
	if it.src == nil {
		r.precommit--
		r.delay(it, err)
		return true
	}
	if it.bad != "" {
		return false // not even the failure can be stored
	}
	r.log.Error("pump: the store refuses an outcome", "channel", it.channel, "name", it.ret.Name, "hash", hexHash(it.hash), "err", err)
	it.bad = internalError
	it.outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: internalError}
	b.entries[0] = it.entry()
	r.commit(b)
	return true
}

// abort puts back what was in a batch that could not be committed.
func (r *run) abort(b *batch) {
	r.precommit--
	for _, it := range b.items {
		r.giveUp(it)
	}
}

func (r *run) committed(b *batch, id int64, verdicts []Verdict) {
	r.precommit--
	r.pump.stats.Batches++
	g := &group{batch: id, left: 1}
	r.open[id] = struct{}{}
	for i, it := range b.items {
		if verdicts[i].Conflict {
			r.conflict(it)
			continue
		}
		r.accept(it, verdicts[i], g)
	}
	g.arrived(r)
}

// accept takes one outcome from durable to delivered.
func (r *run) accept(it *item, v Verdict, g *group) {
	o := it.outcome
	r.countMade(o)
	r.sum.Withdrawn += int64(v.Withdrawn)
	r.sendOutgoing(o, v, g)
	if it.tx != nil {
		r.sum.Expired++
	}
	released := it.held != nil || it.tx != nil && it.tx.Held
	if it.tx == nil || released {
		r.count(it.channel, o.Disposition, false, released)
	}
	if r.debug {
		r.log.Debug("pump: committed", "channel", it.channel, "name", it.ret.Name, "hash", hexHash(it.hash), "result", o.Disposition.String(), "id", v.ID)
	}
	returns := []Return{it.ret}
	if released {
		returns = v.Returns
		if len(returns) == 0 && it.held != nil {
			returns = it.held.Returns
		}
	}
	still := released && o.Disposition == cmpcore.Held // would be listed again at once
	reply, reason, d := o.Reply, o.Reason, o.Disposition
	if it.tx != nil && !released {
		reply = nil
	}
	r.leave(it)
	r.workDone(it, still)
	it.forget()
	r.stick(it)
	switch {
	case len(reply) > 0:
		g.left++
		a := &answer{id: v.ID, item: it, group: g, left: 1, done: (*answer).ofBatch}
		r.sendAll(a, returns, reply)
	case d == cmpcore.Failed:
		r.log.Warn("pump: quarantined", "channel", it.channel, "name", it.ret.Name, "hash", hexHash(it.hash), "reason", reason)
		r.settle(it, Quarantine, reason)
	default:
		r.settle(it, Done, "")
	}
}

// conflict: another outcome came first, so this one is computed again.
func (r *run) conflict(it *item) {
	r.sum.Conflicts++
	it.conflicts++
	err := errors.New("other changes came first each time")
	switch {
	case it.tx != nil:
		// The next list has it with its new version, if it still counts.
		r.delay(it, err)
	case r.stopping:
		r.giveUp(it)
	case it.conflicts >= maxConflicts:
		r.delay(it, err)
	default:
		it.outcome = nil
		r.ready = append(r.ready, it) // it is still the head of its line
	}
}

// duplicate: the Store knows the message. Nothing is stored again; the same
// answer goes to where this copy came from.
func (r *run) duplicate(it *item) {
	st := it.stored
	switch st.Disposition {
	case cmpcore.Held:
		id, ret := st.ID, it.ret
		r.stick(it)
		r.ledger.do(func() func() {
			err := r.cfg.Store.AddReturn(r.work, id, ret)
			return func() { r.returnAdded(it, err) }
		})
		return
	case cmpcore.Failed, cmpcore.Silent:
		r.count(it.channel, st.Disposition, true, false)
		r.leave(it)
		if st.Disposition == cmpcore.Failed {
			r.settle(it, Quarantine, st.Reason)
		} else {
			r.settle(it, Done, "")
		}
		return
	}
	if len(st.Reply) == 0 {
		r.delay(it, fmt.Errorf("message %d is %s in the store, without a reply", st.ID, st.Disposition))
		return
	}
	// Others may go on, whether or not this copy's answer arrives.
	r.leave(it)
	r.stick(it)
	a := &answer{item: it, left: 1, done: (*answer).ofDuplicate}
	r.sendAll(a, []Return{it.ret}, st.Reply)
}

// returnAdded: a held message came once more.
func (r *run) returnAdded(it *item, err error) {
	switch {
	case err == nil:
		r.count(it.channel, cmpcore.Held, true, false)
		r.leave(it)
		r.settle(it, Done, "")
	case errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound):
		// It was decided meanwhile: there is an answer now, or soon.
		r.unstick(it)
		r.conflict(it)
	default:
		r.pump.stats.StoreErrors++
		r.unstick(it)
		r.delay(it, fmt.Errorf("note one more return of message %d: %w", it.stored.ID, err))
	}
}

// parallel calls f with 0 to n-1 on up to workers goroutines, each taking step
// numbers at a time.
func parallel(n, workers, step int, f func(int)) {
	workers = min(workers, (n+step-1)/step)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				end := int(next.Add(int64(step)))
				for i := end - step; i < min(end, n); i++ {
					f(i)
				}
				if end >= n {
					return
				}
			}
		})
	}
	wg.Wait()
}

// hexHash is how logs name a message.
func hexHash(h cmpcore.Hash) string { return hex.EncodeToString(h[:]) }
