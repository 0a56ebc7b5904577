package spool

import (
	"crypto/sha256"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
)

// source is the loop's side of one Source.
type source struct {
	r    *run
	src  Source
	name string

	looking bool // Collect or Wait runs
	resting bool // after an error
	empty   bool // the last Collect gave nothing
	off     bool // Drain has given it up
	fails   int  // of Collect or Wait, in a row
	warned  bool // that it is blocked

	claimed  int // items not settled
	deferred int // of these, wait in line
	stuck    int // of these, committed or delayed, and not settled

	settles  []settlement
	settling bool
}

type settlement struct {
	it *item
	s  Settlement
}

// collect begins whatever the source may do now: give items, or wait for some.
func (s *source) collect() {
	r := s.r
	if s.looking || s.resting || s.off {
		return
	}
	if s.empty {
		if !r.drain {
			s.wait()
		}
		return
	}
	// Two batches ready: one is still being collected when the next can begin.
	room := min(r.cfg.BatchSize, 2*r.cfg.BatchSize-len(r.ready)-r.unparsed)
	if room <= 0 || s.deferred >= r.cfg.limit() && (r.drain || r.precommit > 0 || len(r.ready) > 0) {
		return
	}
	if s.stuck >= r.cfg.limit() {
		// Nothing to worry about while answers are only slower than commits.
		if !s.warned && len(r.late) > 0 {
			s.warned = true
			r.log.Warn("pump: collecting nothing more until answers are delivered", "channel", s.name, "unsettled", s.stuck)
		}
		return
	}
	s.warned = false
	s.looking = true
	r.pending++
	go func() {
		items, err := s.src.Collect(r.listen, room)
		r.events <- func() {
			r.pending--
			s.looking = false
			s.collected(items, err)
		}
	}()
}

func (s *source) wait() {
	r := s.r
	s.looking = true
	r.pending++
	go func() {
		err := s.src.Wait(r.listen, r.cfg.ScanInterval)
		r.events <- func() {
			r.pending--
			s.looking, s.empty = false, false
			if err != nil && !r.stopping {
				s.failed("wait", err)
			}
		}
	}()
}

func (s *source) collected(items []Item, err error) {
	r := s.r
	if err != nil && !r.stopping {
		r.channel(s.name, func(c *ChannelStats) { c.CollectErrors++ })
		s.failed("collect", err)
	}
	if err == nil {
		s.fails = 0
		s.empty = len(items) == 0
	}
	if len(items) == 0 {
		return
	}
	now := r.cfg.Clock()
	list := make([]*item, len(items))
	for i, in := range items {
		list[i] = &item{src: s, id: in.ID, ret: in.Return, channel: s.name, der: in.DER, received: now, bad: in.Bad}
	}
	s.claimed += len(list)
	r.parse(list)
}

// parse reads items on all cores and puts them in line, in their order.
func (r *run) parse(list []*item) {
	r.unparsed += len(list)
	r.parsing.do(func() func() {
		began := time.Now()
		parallel(len(list), r.cfg.Workers, 8, func(i int) { r.read(list[i]) })
		r.cfg.Observe(StageParse, len(list), time.Since(began))
		return func() {
			r.unparsed -= len(list)
			for _, it := range list {
				r.countPanic(it)
				r.admit(it)
			}
		}
	})
}

// read parses one item, off the loop.
func (r *run) read(it *item) {
	switch {
	case it.src == nil:
		r.readWork(it)
	case it.bad != "":
		it.hash = badHash(it)
		it.der = nil
	default:
		thrown := protect(func() { it.req = r.cfg.Processor.Parse(it.der, it.channel) })
		if thrown != "" || it.req == nil {
			it.hash = sha256.Sum256(it.der)
			it.req, it.bad, it.thrown = nil, internalError, true
			r.log.Error("pump: the parser failed", "channel", it.channel, "name", it.ret.Name, "hash", hexHash(it.hash), "fault", thrown)
			break
		}
		it.hash = it.req.Hash
		it.key = it.req.OrderKey()
	}
	if it.key == "" {
		it.key = string(it.hash[:])
	}
}

// badHash names what is no message, so that it can be listed as a failure: its
// bytes may be incomplete, but it came under a name for a reason.
func badHash(it *item) cmpcore.Hash {
	return sha256.Sum256([]byte("bad\x00" + it.channel + "\x00" + it.ret.Name + "\x00" + it.bad))
}

// failed makes a source rest.
func (s *source) failed(what string, err error) {
	r := s.r
	s.fails++
	if r.drain && (s.fails >= r.cfg.Attempts || IsPermanent(err)) {
		s.off = true
		r.log.Error("pump: "+what, "channel", s.name, "attempts", s.fails, "err", err)
		r.problem(fmt.Errorf("source %s: %s: %w", s.name, what, err))
		return
	}
	d := r.backoff(s.fails)
	r.log.Warn("pump: "+what, "channel", s.name, "attempt", s.fails, "again", d, "err", err)
	s.rest(d)
}

func (s *source) rest(d time.Duration) {
	if s.resting {
		return
	}
	s.resting = true
	s.r.after(d, func() { s.resting = false })
}

// stick counts an item that does not move on.
func (r *run) stick(it *item) {
	if it.src != nil && !it.stuck {
		it.stuck = true
		it.src.stuck++
	}
}

func (r *run) unstick(it *item) {
	if it.src != nil && it.stuck {
		it.stuck = false
		it.src.stuck--
	}
}

// settle ends the claim on an item.
func (r *run) settle(it *item, a Action, reason string) {
	if it.src == nil {
		return
	}
	it.forget()
	r.stick(it)
	it.src.settles = append(it.src.settles, settlement{it, Settlement{ID: it.id, Action: a, Reason: reason}})
	it.src.nextSettle()
}

func (s *source) nextSettle() {
	if s.settling || len(s.settles) == 0 {
		return
	}
	r := s.r
	n := min(len(s.settles), r.cfg.BatchSize)
	part := s.settles[:n:n]
	s.settles = s.settles[n:]
	s.settling = true
	r.pending++
	go func() {
		args := make([]Settlement, len(part))
		for i := range part {
			args[i] = part[i].s
		}
		began := time.Now()
		errs := s.src.Settle(r.work, args)
		r.cfg.Observe(StageSettle, len(args), time.Since(began))
		r.events <- func() {
			r.pending--
			s.settling = false
			s.settled(part, errs)
			s.nextSettle()
		}
	}()
}

func (s *source) settled(part []settlement, errs []error) {
	r := s.r
	var again []settlement
	var first error
	worst := 0
	for i, p := range part {
		var err error
		if i < len(errs) {
			err = errs[i]
		}
		if err == nil {
			r.unstick(p.it)
			s.claimed--
			continue
		}
		r.channel(s.name, func(c *ChannelStats) { c.SettleErrors++ })
		if first == nil {
			first = err
		}
		p.it.settling++
		worst = max(worst, p.it.settling)
		if r.ending() && (p.it.settling >= r.cfg.Attempts || IsPermanent(err)) {
			if p.s.Action != Retry {
				r.sum.Incomplete++
			}
			r.problem(fmt.Errorf("source %s: settle %.80q: %w", s.name, p.it.ret.Name, err))
			continue
		}
		again = append(again, p)
	}
	if first == nil {
		return
	}
	r.log.Warn("pump: settle", "channel", s.name, "failed", len(part), "again", len(again), "err", first)
	if len(again) > 0 {
		r.after(r.backoff(worst), func() {
			s.settles = append(s.settles, again...)
			s.nextSettle()
		})
	}
}
