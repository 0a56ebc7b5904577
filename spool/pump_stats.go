package spool

import (
	"maps"
	"time"

	"cmp-batch/cmpcore"
)

// Progress is where a run stands, for a line on a terminal.
type Progress struct {
	Done        int64 // messages with an outcome
	Rate        float64
	InFlight    int64 // claimed and not settled
	Undelivered int64
	Elapsed     time.Duration
}

// Stats is a snapshot of what a [Pump] did since it was made, for metrics.
type Stats struct {
	Summary
	Channels map[string]ChannelStats

	Batches       int64 // commits that succeeded
	CommitErrors  int64
	StoreErrors   int64 // of any other call to the Store
	ProcessErrors int64 // messages whose outcome could not be computed for a time
	Panics        int64 // of the processor

	// Gauges.
	InFlight int64 // claimed and not settled
	Deferred int64 // of these, wait for their turn behind a message of the same transaction
	Stuck    int64 // of these, committed or failed for a time, and not settled yet
}

// ChannelStats counts for one channel. Its names are a closed set, fit for
// labels of metrics.
type ChannelStats struct {
	Received, Answered, Waiting, Refused, Held, Failed, Silent, Duplicates int64

	Delivered                                  int64 // answers, each arrival counted
	CollectErrors, DeliverErrors, SettleErrors int64
}

// Stats may be called at any time from any goroutine.
func (p *Pump) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Channels = maps.Clone(s.Channels)
	if r := p.current; r != nil {
		s.Summary = s.Summary.Plus(r.summary())
		for _, src := range r.sources {
			s.InFlight += int64(src.claimed)
			s.Deferred += int64(src.deferred)
			s.Stuck += int64(src.stuck)
		}
	}
	return s
}

// Plus adds what s and t counted. Undelivered and Incomplete are those of t:
// they say what is left, and t is the later one.
func (s Summary) Plus(t Summary) Summary {
	t.Received += s.Received
	t.Answered += s.Answered
	t.Issued += s.Issued
	t.Revoked += s.Revoked
	t.Nested += s.Nested
	t.Waiting += s.Waiting
	t.Refused += s.Refused
	t.Duplicates += s.Duplicates
	t.Failed += s.Failed
	t.Held += s.Held
	t.Silent += s.Silent
	t.Released += s.Released
	t.Withdrawn += s.Withdrawn
	t.Expired += s.Expired
	t.Conflicts += s.Conflicts
	t.Seconds += s.Seconds
	if t.Seconds > 0 {
		t.Rate = float64(t.Received) / t.Seconds
	}
	return t
}

// summary is the Summary as of now.
func (r *run) summary() Summary {
	s := r.sum
	s.Undelivered = int64(len(r.late)) + r.skipped
	s.Seconds = time.Since(r.began).Seconds()
	if s.Seconds > 0 {
		s.Rate = float64(s.Received) / s.Seconds
	}
	return s
}

// channel lets f change the counters of a channel.
func (r *run) channel(name string, f func(*ChannelStats)) {
	c := r.pump.stats.Channels[name]
	f(&c)
	r.pump.stats.Channels[name] = c
}

// count counts one message under its disposition.
func (r *run) count(channel string, d cmpcore.Disposition, duplicate, released bool) {
	s, c := &r.sum, r.pump.stats.Channels[channel]
	s.Received++
	c.Received++
	if duplicate {
		s.Duplicates++
		c.Duplicates++
	}
	if released {
		s.Released++
	}
	switch d {
	case cmpcore.Answered:
		s.Answered++
		c.Answered++
	case cmpcore.Refused:
		s.Answered++
		s.Refused++
		c.Answered++
		c.Refused++
	case cmpcore.Waiting:
		s.Waiting++
		c.Waiting++
	case cmpcore.Held:
		s.Waiting++
		s.Held++
		c.Waiting++
		c.Held++
	case cmpcore.Silent:
		s.Silent++
		c.Silent++
	default:
		s.Failed++
		c.Failed++
	}
	r.pump.stats.Channels[channel] = c
}

// countPanic counts a failure of the processor once.
func (r *run) countPanic(it *item) {
	if it.thrown {
		it.thrown = false
		r.pump.stats.Panics++
	}
}

// countMade counts what an outcome did to certificates, and its parts.
func (r *run) countMade(o *cmpcore.Outcome) {
	for one := range o.All() {
		if one != o {
			r.sum.Nested++
		}
		r.sum.Issued += int64(len(one.Certificates))
		for i := range one.CertChanges {
			if one.CertChanges[i].Status == cmpcore.Revoked {
				r.sum.Revoked++
			}
		}
	}
}

// progressEvery is the shortest time between two calls of [Config.Progress].
const progressEvery = 200 * time.Millisecond

// progress gives the Progress that is due, if one is.
func (r *run) progress(last bool) (Progress, bool) {
	if r.cfg.Progress == nil || r.sum.Received == r.shown && !last {
		return Progress{}, false
	}
	now := time.Now()
	since := now.Sub(r.shownAt)
	if since < progressEvery && !last {
		return Progress{}, false
	}
	if since > 0 {
		// Half the old rate and half the new one calms the display.
		rate := float64(r.sum.Received-r.shown) / since.Seconds()
		if r.rate == 0 {
			r.rate = rate
		}
		r.rate = (r.rate + rate) / 2
	}
	r.shown, r.shownAt = r.sum.Received, now
	p := Progress{Done: r.sum.Received, Rate: r.rate, Undelivered: int64(len(r.late)) + r.skipped, Elapsed: now.Sub(r.began)}
	for _, s := range r.sources {
		p.InFlight += int64(s.claimed)
	}
	return p, true
}
