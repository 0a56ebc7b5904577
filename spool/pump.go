package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Config says what a [Pump] joins. Zero fields mean the default.
type Config struct {
	Store     Store
	Processor Processor
	Sources   []Source
	// Sinks are found by [Return.Channel].
	Sinks map[string]Sink
	// Adopts tells of channels that are neither of Sources nor of Sinks whether
	// transactions that came by them end here when their time has run out, as far
	// as nobody need be answered: a medium may never come back. nil: of none.
	Adopts func(channel string) bool

	BatchSize int // messages in one commit, at most; default 512
	Workers   int // messages computed at a time; default GOMAXPROCS

	// ScanInterval is how long a source that has nothing may wait before it
	// looks again; default 5 s.
	ScanInterval time.Duration
	// PollInterval is how often Run asks the Store for decisions and for
	// transactions whose time has run out; default 1 s.
	PollInterval time.Duration
	// RetryBackoff is the wait after a first temporary error. It doubles with
	// each further one up to MaxBackoff; a random part of up to a half is taken
	// off. Defaults 1 s and 1 min.
	RetryBackoff, MaxBackoff time.Duration
	// Attempts is how often Drain, and Run once it was told to stop, tries what
	// fails for a time before it is left for the next start; default 3. Run
	// itself does not give up.
	Attempts int
	// DeliverTimeout ends a delivery that does not come back; default 5 min.
	DeliverTimeout time.Duration
	// StopGrace is how long the batches in flight may take after the context
	// of Run or Drain ended, before what they call is cancelled too; default
	// 30 s.
	StopGrace time.Duration

	Logger *slog.Logger     // default: none
	Clock  func() time.Time // default time.Now; for times that are stored, not for waiting

	// Progress is called about five times a second at most, from the goroutine
	// of Run or Drain, while messages are moving.
	Progress func(Progress)
	// Observe is told how long each step of a batch took, and of how many
	// messages. It is called from several goroutines at once.
	Observe func(Stage, int, time.Duration)
}

// Stage is a step of a batch, for [Config.Observe].
type Stage string

// The stages.
const (
	StageParse   Stage = "parse"
	StageProcess Stage = "process"
	StageCommit  Stage = "commit"
	StageDeliver Stage = "deliver"
	StageSettle  Stage = "settle"
)

// inFlight is how many batches may be between their forming and their commit.
const inFlight = 3

// maxConflicts is how often one message is computed again at once because
// another outcome came first, before that counts as a temporary error.
const maxConflicts = 10

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	if c.BatchSize <= 0 {
		c.BatchSize = 512
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	if c.Attempts <= 0 {
		c.Attempts = 3
	}
	def(&c.ScanInterval, 5*time.Second)
	def(&c.PollInterval, time.Second)
	def(&c.RetryBackoff, time.Second)
	def(&c.MaxBackoff, time.Minute)
	def(&c.DeliverTimeout, 5*time.Minute)
	def(&c.StopGrace, 30*time.Second)
	c.MaxBackoff = max(c.MaxBackoff, c.RetryBackoff)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(Stage, int, time.Duration) {}
	}
	return c
}

// limit bounds, for each source, the messages that are claimed and do not move
// on: those whose answers cannot be delivered, those that wait after a
// temporary error, and, apart from these, those that wait for their turn. At
// the limit nothing more is collected from the source, so that a sink that is
// down does not eat the input of days.
func (c *Config) limit() int { return 4 * c.BatchSize }

// Pump moves messages from sources through the processor and the Store into
// sinks. It does not close what it was given.
//
// Several processes may share a Store. Each takes up only what the Store has
// for channels that it knows: undelivered answers, decisions, expiries.
type Pump struct {
	cfg Config

	mu      sync.Mutex // held by the loop while it works; guards what follows
	running bool
	stats   Stats
	current *run // nil where none is running
}

// New makes a Pump; nothing happens before [Pump.Run] or [Pump.Drain].
func New(c Config) *Pump {
	return &Pump{cfg: c.withDefaults(), stats: Stats{Channels: map[string]ChannelStats{}}}
}

// Run moves messages until ctx ends. It then collects nothing more, finishes
// the batches in flight, puts back what was claimed and not begun, and returns
// nil. It returns an error only where going on would not be safe: a commit that
// nobody knows the result of ([ErrAmbiguous]), or one that the Store refuses for
// good, or still refuses after ctx ended. Errors of sources and sinks, and
// temporary ones of the Store, are logged and tried again without end.
func (p *Pump) Run(ctx context.Context) error {
	_, err := p.run(ctx, false)
	return err
}

// Drain delivers what was left undelivered, then moves messages until no source
// has one that is ready and no decision or expiry is left to act on. What fails
// for a time is tried [Config.Attempts] times, then left for the next start and
// counted in the Summary as Incomplete or Undelivered. The error says what could
// not be done, if anything; the Summary is true in any case.
func (p *Pump) Drain(ctx context.Context) (Summary, error) { return p.run(ctx, true) }

func (p *Pump) run(ctx context.Context, drain bool) (Summary, error) {
	if p.cfg.Store == nil || p.cfg.Processor == nil {
		return Summary{}, errors.New("pump: a Store and a Processor are needed")
	}
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return Summary{}, errors.New("pump: it is running already")
	}
	p.running = true
	r := newRun(p, ctx, drain)
	p.current = r
	p.mu.Unlock()

	r.loop(ctx)

	p.mu.Lock()
	defer p.mu.Unlock()
	p.running, p.current = false, nil
	s := r.summary()
	p.stats.Summary = p.stats.Summary.Plus(s)
	return s, r.result(ctx)
}

// protect runs f and tells what it panicked with, and where; empty if it did
// not.
func protect(f func()) (thrown string) {
	defer func() {
		if v := recover(); v != nil {
			thrown = fmt.Sprintf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	f()
	return ""
}
