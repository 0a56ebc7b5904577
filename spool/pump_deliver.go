package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
)

// answer is one committed reply on its way to all its places.
type answer struct {
	id   int64 // of the message row; 0 for a duplicate
	item *item // nil for one that was listed as undelivered, or that nobody asked for
	left int   // places that have not been told of
	err  error
	done func(*answer, *run)

	group *group // with ofBatch
	page  *page  // with ofLate
}

func (a *answer) dropped(r *run, err error) {
	if err != nil {
		a.err = err
	}
	if a.left--; a.left == 0 {
		a.done(a, r)
	}
}

// group is the answers of one batch, which are reported together.
type group struct {
	batch    int64
	left     int // answers on their way, and one while the batch is handed out
	ids      []int64
	except   []int64
	attempts int
}

func (a *answer) ofBatch(r *run) {
	g := a.group
	g.ids = append(g.ids, a.id)
	switch {
	case a.err != nil:
		g.except = append(g.except, a.id)
		r.addLate(a.id, a.item, a.err)
	case a.item != nil:
		r.settle(a.item, Done, "")
	}
	g.arrived(r)
}

// sendOutgoing delivers, with the answers of the batch, what an outcome sends
// unasked. No file waits for it.
func (r *run) sendOutgoing(o *cmpcore.Outcome, v Verdict, g *group) {
	if len(v.Outgoing) == 0 {
		return
	}
	ids := v.Outgoing
	for o := range o.All() {
		for i := range o.Outgoing {
			if len(ids) == 0 {
				return // the next sweep finds the rest in the Store
			}
			out := &o.Outgoing[i]
			if r.sinks[out.Channel] == nil {
				// It stays in the Store for a process that has the channel.
				g.ids, g.except = append(g.ids, ids[0]), append(g.except, ids[0])
				ids = ids[1:]
				continue
			}
			g.left++
			a := &answer{id: ids[0], group: g, left: 1, done: (*answer).ofBatch}
			ids = ids[1:]
			r.sendAll(a, []Return{{Channel: out.Channel, Name: out.Name}}, out.DER)
		}
	}
}

func (g *group) arrived(r *run) {
	if g.left--; g.left > 0 {
		return
	}
	if len(g.ids) == len(g.except) {
		delete(r.open, g.batch)
		return
	}
	r.mark(g)
}

// mark tells the Store what of a batch arrived. The sources are being settled
// meanwhile: both only save work after a crash, in any order.
func (r *run) mark(g *group) {
	r.ledger.do(func() func() {
		err := r.cfg.Store.Delivered(r.work, g.batch, g.except)
		return func() {
			if err == nil {
				delete(r.open, g.batch)
				return
			}
			r.pump.stats.StoreErrors++
			g.attempts++
			r.log.Warn("pump: delivered answers could not be marked so", "batch", g.batch, "attempt", g.attempts, "err", err)
			if !r.ending() || g.attempts < r.cfg.Attempts {
				r.after(r.backoff(g.attempts), func() { r.mark(g) })
				return
			}
			// They will be delivered once more, which changes nothing.
			delete(r.open, g.batch)
			skip := map[int64]bool{}
			for _, id := range g.except {
				skip[id] = true
			}
			for _, id := range g.ids {
				if !skip[id] {
					r.addLate(id, nil, err)
				}
			}
		}
	})
}

func (a *answer) ofDuplicate(r *run) {
	it := a.item
	if a.err != nil {
		r.unstick(it)
		r.delay(it, fmt.Errorf("deliver the stored answer again: %w", a.err))
		return
	}
	r.count(it.channel, it.stored.Disposition, true, false)
	r.settle(it, Done, "")
}

// sink is the loop's side of one Sink.
type sink struct {
	r     *run
	name  string
	to    Sink
	queue []drop
	busy  int // deliveries in flight

	// A sink that takes nothing rests, and what comes for it meanwhile fails at
	// once. One answer that fails alone, again and again, is no such sign.
	fails   int
	until   time.Time
	dead    bool // Drain has given it up
	lastBad string
}

// sinkWidth is how many deliveries of one sink may be in flight.
const sinkWidth = 2

// drop is one answer for one place.
type drop struct {
	a     *answer
	ret   Return
	reply []byte
}

// resting is the error of an answer that was not tried.
type resting struct {
	sink  string
	until time.Time
}

func (e resting) Error() string { return "sink " + e.sink + " takes nothing at present" }

// sendAll gives a reply to the sinks of all its places; a is told of each.
func (r *run) sendAll(a *answer, to []Return, reply []byte) {
	a.left = len(to)
	if len(to) == 0 {
		a.left = 1
		a.dropped(r, errors.New("the store names no place for the answer"))
		return
	}
	for _, ret := range to {
		s := r.sinks[ret.Channel]
		switch {
		case s == nil:
			a.dropped(r, fmt.Errorf("no sink for channel %.80q", ret.Channel))
		case s.dead || time.Now().Before(s.until):
			a.dropped(r, resting{s.name, s.until})
		default:
			s.queue = append(s.queue, drop{a, ret, reply})
			s.next()
		}
	}
}

// next begins a delivery. A second one begins beside another only when it is of
// a whole batch: what has just been committed would otherwise go in crumbs.
func (s *sink) next() {
	r := s.r
	if len(s.queue) == 0 || s.busy >= sinkWidth || s.busy > 0 && len(s.queue) < r.cfg.BatchSize {
		return
	}
	n := min(len(s.queue), r.cfg.BatchSize)
	part := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.busy++
	r.pending++
	go func() {
		list := make([]Delivery, len(part))
		for i, d := range part {
			list[i] = Delivery{Name: d.ret.Name, DER: d.reply}
		}
		ctx, cancel := context.WithTimeout(r.work, r.cfg.DeliverTimeout)
		began := time.Now()
		errs := s.to.Deliver(ctx, list)
		cancel()
		r.cfg.Observe(StageDeliver, len(list), time.Since(began))
		r.events <- func() {
			r.pending--
			s.busy--
			s.delivered(part, errs)
			s.next()
		}
	}()
}

func (s *sink) delivered(part []drop, errs []error) {
	r := s.r
	failed, temporary := 0, 0
	var first error
	for i := range part {
		if i >= len(errs) || errs[i] == nil {
			continue
		}
		failed++
		if !IsPermanent(errs[i]) {
			temporary++
		}
		if first == nil {
			first = errs[i]
		}
	}
	r.channel(s.name, func(c *ChannelStats) {
		c.Delivered += int64(len(part) - failed)
		c.DeliverErrors += int64(failed)
	})
	switch {
	case failed < len(part):
		s.fails, s.lastBad = 0, ""
	case temporary == len(part) && (len(part) > 1 || s.lastBad != "" && s.lastBad != part[0].ret.Name):
		s.fails++
		d := r.backoff(s.fails)
		s.until = time.Now().Add(d)
		if r.drain && s.fails >= r.cfg.Attempts && !s.dead {
			s.dead = true
			r.problem(fmt.Errorf("sink %s: %w", s.name, first))
		}
	}
	if failed > 0 {
		log := r.log.With("channel", s.name, "failed", failed, "of", len(part), "first", part[0].ret.Name)
		if s.fails > 0 { // the sink is at fault, not one answer
			log = log.With("attempt", s.fails)
		}
		log.Warn("pump: deliver", "err", first)
		s.lastBad = part[0].ret.Name
	}
	for i, d := range part {
		var err error
		if i < len(errs) {
			err = errs[i]
		}
		d.a.dropped(r, err)
	}
	if s.dead || time.Now().Before(s.until) {
		queue := s.queue
		s.queue = nil
		for _, d := range queue {
			d.a.dropped(r, resting{s.name, s.until})
		}
	}
}
