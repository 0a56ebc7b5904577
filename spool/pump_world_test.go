package spool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/spool"
	"cmp-batch/spool/memory"
)

// toy builds the DER of a PKIMessage that tells the toy processor what to do:
// transactionID is the transaction, senderNonce makes the bytes unique and
// senderKID is the order. The body is pkiconf.
func toy(transaction, nonce, order string) []byte {
	var b cryptobyte.Builder
	context := func(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }
	octets := func(b *cryptobyte.Builder, n uint8, s string) {
		if s != "" {
			b.AddASN1(context(n), func(b *cryptobyte.Builder) { b.AddASN1OctetString([]byte(s)) })
		}
	}
	name := func(b *cryptobyte.Builder) {
		b.AddASN1(context(4), func(b *cryptobyte.Builder) { b.AddASN1(casn1.SEQUENCE, func(*cryptobyte.Builder) {}) })
	}
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(2)
			name(b)
			name(b)
			octets(b, 2, order)
			octets(b, 4, transaction)
			octets(b, 5, nonce)
		})
		b.AddASN1(context(19), func(b *cryptobyte.Builder) { b.AddASN1NULL() })
	})
	return b.BytesOrPanic()
}

// processor is a toy core. Each call makes other bytes and another serial, as
// the real one may: only what was stored counts.
//
// Orders: issue (the default), revoke, confirm, wait, keep, hold, withdraw, silent, fail, refuse, panic, temp
// (a temporary error as long as down is set).
type processor struct {
	engine cmpcore.Engine
	made   atomic.Uint64
	down   atomic.Bool
	hook   func(order, transaction, nonce string) // called within Process

	mu   sync.Mutex
	seen []string // transaction/nonce in the order of computing
}

func (p *processor) Parse(der []byte, channel string) *cmpcore.Request {
	if bytes.Contains(der, []byte("panic-in-parse")) {
		panic("parse")
	}
	return p.engine.Parse(der, channel)
}

func key(transaction []byte) (k cmpcore.TransactionKey) {
	h := sha256.Sum256(transaction)
	copy(k[:], h[:])
	return k
}

func (p *processor) reply(parts ...string) []byte {
	return fmt.Appendf(nil, "%s #%d", strings.Join(parts, " "), p.made.Add(1))
}

func (p *processor) certificate(transaction []byte) *cmpcore.Certificate {
	serial := binary.BigEndian.AppendUint64([]byte{1}, p.made.Add(1))
	return &cmpcore.Certificate{Serial: serial, DER: slices.Clone(serial), Status: cmpcore.Valid, TransactionKey: key(transaction), TransactionID: slices.Clone(transaction),
		NotBefore: time.Unix(1e9, 0), NotAfter: time.Unix(4e9, 0)}
}

func (p *processor) Process(ctx context.Context, r *cmpcore.Request, v cmpcore.View) (*cmpcore.Outcome, error) {
	m, err := cmp.Parse(r.DER, cmp.Limits{})
	if err != nil {
		return &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: "no message"}, nil
	}
	id, nonce, order := m.Header.TransactionID, string(m.Header.SenderNonce), string(m.Header.SenderKID)
	p.mu.Lock()
	p.seen = append(p.seen, string(id)+"/"+nonce)
	p.mu.Unlock()
	if p.hook != nil {
		p.hook(order, string(id), nonce)
	}
	if len(id) == 0 {
		return &cmpcore.Outcome{Disposition: cmpcore.Refused, Reply: p.reply("no transaction", nonce)}, nil
	}
	t, err := v.Transaction(ctx, key(id))
	if err != nil {
		return nil, err
	}
	next := &cmpcore.Transaction{Key: key(id), TransactionID: id, Requester: "toy", Channel: r.Channel, State: cmpcore.Finished, Created: time.Unix(1e9, 0)}
	if t != nil {
		c := *t
		next = &c
		next.State = cmpcore.Finished
	}
	next.Summary += nonce + ";" // remembers what it met, in order
	out := &cmpcore.Outcome{Disposition: cmpcore.Answered, Transaction: next}
	out.Audit = []cmpcore.AuditEntry{{Time: time.Unix(1e9, 0), Event: "toy"}}
	switch order {
	case "", "issue":
		c := p.certificate(id)
		out.Certificates = []*cmpcore.Certificate{c}
		next.Items = append(slices.Clone(next.Items), cmpcore.TransactionItem{Serial: c.Serial})
		out.Reply = p.reply("issued", string(id), nonce)
	case "revoke":
		for _, it := range next.Items {
			out.CertChanges = append(out.CertChanges, cmpcore.CertificateChange{Serial: it.Serial, Version: 1, Status: cmpcore.Revoked})
		}
		out.Reply = p.reply("revoked", nonce)
	case "refuse":
		out.Disposition = cmpcore.Refused
		out.Reply = p.reply("refused", nonce)
	case "wait":
		next.State, next.Request = cmpcore.AwaitingDecision, r.Hash
		out.Disposition, out.KeepRequest = cmpcore.Waiting, true
		out.Reply = p.reply("wait", nonce)
	case "hold", "keep": // for a time, or without end
		if t != nil && t.Decision != cmpcore.Undecided {
			out.Certificates = []*cmpcore.Certificate{p.certificate(id)}
			out.Reply = p.reply("decided", string(id), nonce)
			break
		}
		next.State, next.Request, next.Held = cmpcore.AwaitingDecision, r.Hash, true
		if order == "hold" {
			next.Expires = time.Unix(2e9, 0)
		}
		out.Disposition, out.KeepRequest = cmpcore.Held, true
	case "withdraw":
		next.State, next.Held = cmpcore.Aborted, false
		out.Reply = p.reply("withdrawn", nonce)
	case "confirm": // a certificate was sent, a confirmation is awaited
		next.State, next.Expires = cmpcore.AwaitingConfirm, time.Unix(2e9, 0)
		out.Reply = p.reply("confirm", nonce)
	case "silent":
		return &cmpcore.Outcome{Disposition: cmpcore.Silent}, nil
	case "fail":
		return &cmpcore.Outcome{Disposition: cmpcore.Failed, Reason: "told to fail"}, nil
	case "panic":
		panic("told to panic")
	case "none":
		return nil, nil
	case "temp":
		if p.down.Load() {
			return nil, errors.New("told to wait")
		}
		out.Reply = p.reply("temp", nonce)
	}
	return out, nil
}

func (p *processor) Expire(_ context.Context, t *cmpcore.Transaction, _ cmpcore.View) (*cmpcore.Outcome, error) {
	c := *t
	c.State = cmpcore.Aborted
	out := &cmpcore.Outcome{Transaction: &c}
	if t.Held {
		out.Disposition, out.Reply = cmpcore.Refused, p.reply("expired", string(t.TransactionID))
	}
	return out, nil
}

// order gives the transactions' messages as they were computed.
func (p *processor) order(transaction string) (nonces []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.seen {
		if t, n, _ := strings.Cut(s, "/"); t == transaction {
			nonces = append(nonces, n)
		}
	}
	return nonces
}

// errCrash is what a call meets after the process has died.
var errCrash = errors.New("the process is dead")

// world is what survives a crash: the database, the folders.
type world struct {
	store *memory.Store
	core  *processor
	now   time.Time

	mu       sync.Mutex
	in       map[string][]string // channel -> names, in order
	files    map[string]spool.Item
	archive  map[string]bool
	failed   map[string]string
	out      map[string][]byte
	arrivals map[string][][]byte // every delivery of a name
	sunk     []string            // paths in the order of delivery
}

func newWorld() *world {
	return &world{store: memory.New(), core: &processor{}, now: time.Unix(1e9, 0), in: map[string][]string{}, files: map[string]spool.Item{},
		archive: map[string]bool{}, failed: map[string]string{}, out: map[string][]byte{}, arrivals: map[string][][]byte{}}
}

func (w *world) put(channel, name string, der []byte) {
	w.putItem(channel, name, spool.Item{DER: der})
}

func (w *world) putItem(channel, name string, it spool.Item) {
	w.mu.Lock()
	defer w.mu.Unlock()
	it.ID, it.Return = name, spool.Return{Channel: channel, Name: name}
	w.in[channel] = append(w.in[channel], name)
	w.files[channel+"/"+name] = it
}

func (w *world) waiting(channel string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.in[channel])
}

func (w *world) delivered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.out)
}

// life is one process: its channels and its view of the store die with it.
type life struct {
	w      *world
	dead   atomic.Bool
	points atomic.Int64 // durable steps passed, two for each: before and after
	dieAt  int64        // the point to die at; 0: never
	onDie  func()
	trace  func(string)

	// fault gives a temporary error for a step: before it happens, or after it
	// happened all the same.
	fault func(step string) (before, after error)

	sources []spool.Source
	sinks   map[string]spool.Sink
}

func (w *world) birth(channels ...string) *life {
	l := &life{w: w, sinks: map[string]spool.Sink{}}
	for _, c := range channels {
		l.sources = append(l.sources, &source{l: l, channel: c, claimed: map[string]bool{}, back: map[string]bool{}})
		l.sinks[c] = &sink{l: l, channel: c}
	}
	return l
}

func (l *life) config() spool.Config {
	return spool.Config{Store: &store{l.w.store, l}, Processor: l.w.core, Sources: l.sources, Sinks: l.sinks, BatchSize: 4, Workers: 2,
		Clock: func() time.Time { return l.w.now }, RetryBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond}
}

// step runs a durable step of this life.
func (l *life) step(name string, do func() error) error {
	if l.die(name + " before") {
		return errCrash
	}
	var before, after error
	if l.fault != nil {
		before, after = l.fault(name)
	}
	if before != nil {
		return before
	}
	if err := do(); err != nil {
		return err
	}
	if l.die(name + " after") {
		return errCrash
	}
	return after
}

func (l *life) die(point string) bool {
	if l.dead.Load() {
		return true
	}
	n := l.points.Add(1)
	if l.trace != nil {
		l.trace(point)
	}
	if n != l.dieAt {
		return false
	}
	l.dead.Store(true)
	if l.onDie != nil {
		l.onDie()
	}
	return true
}

// store is the database as one life sees it.
type store struct {
	*memory.Store
	l *life
}

func (s *store) Lookup(ctx context.Context, h []cmpcore.Hash) (m map[cmpcore.Hash]spool.Stored, err error) {
	err = s.l.step("lookup", func() error { m, err = s.Store.Lookup(ctx, h); return err })
	return m, err
}

func (s *store) Commit(ctx context.Context, b []spool.Entry) (id int64, v []spool.Verdict, err error) {
	err = s.l.step("commit", func() error { id, v, err = s.Store.Commit(ctx, b); return err })
	return id, v, err
}

func (s *store) Delivered(ctx context.Context, batch int64, except []int64) error {
	return s.l.step("delivered", func() error { return s.Store.Delivered(ctx, batch, except) })
}

func (s *store) DeliveredOne(ctx context.Context, id int64) error {
	return s.l.step("deliveredOne", func() error { return s.Store.DeliveredOne(ctx, id) })
}

func (s *store) AddReturn(ctx context.Context, id int64, r spool.Return) error {
	return s.l.step("addReturn", func() error { return s.Store.AddReturn(ctx, id, r) })
}

func (s *store) Undelivered(ctx context.Context, after int64, limit int) (u []spool.Undelivered, err error) {
	err = s.l.step("undelivered", func() error { u, err = s.Store.Undelivered(ctx, after, limit); return err })
	return u, err
}

func (s *store) Released(ctx context.Context, limit int) (h []spool.HeldMessage, err error) {
	err = s.l.step("released", func() error { h, err = s.Store.Released(ctx, limit); return err })
	return h, err
}

func (s *store) Expired(ctx context.Context, now time.Time, limit int) (t []*cmpcore.Transaction, err error) {
	err = s.l.step("expired", func() error { t, err = s.Store.Expired(ctx, now, limit); return err })
	return t, err
}

// source is a folder.
type source struct {
	l       *life
	channel string
	mu      sync.Mutex
	claimed map[string]bool
	back    map[string]bool
	most    int // claims at one time
	err     error
}

func (s *source) Channel() string { return s.channel }
func (s *source) Close() error    { return nil }

func (s *source) Collect(_ context.Context, limit int) (items []spool.Item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	err = s.l.step("collect", func() error { return nil })
	if err != nil {
		return nil, err
	}
	s.l.w.mu.Lock()
	defer s.l.w.mu.Unlock()
	for _, back := range []bool{false, true} { // what was put back comes last
		for _, name := range s.l.w.in[s.channel] {
			if len(items) < limit && !s.claimed[name] && s.back[name] == back {
				s.claimed[name] = true
				items = append(items, s.l.w.files[s.channel+"/"+name])
			}
		}
	}
	s.most = max(s.most, len(s.claimed))
	return items, nil
}

func (s *source) Wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return nil
}

func (s *source) Settle(_ context.Context, list []spool.Settlement) []error {
	errs := make([]error, len(list))
	for i, one := range list {
		errs[i] = s.l.step("settle", func() error {
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.claimed, one.ID)
			w := s.l.w
			w.mu.Lock()
			defer w.mu.Unlock()
			if one.Action == spool.Retry {
				s.back[one.ID] = true
				return nil
			}
			w.in[s.channel] = slices.DeleteFunc(w.in[s.channel], func(n string) bool { return n == one.ID })
			if one.Action == spool.Done {
				w.archive[s.channel+"/"+one.ID] = true
			} else {
				w.failed[s.channel+"/"+one.ID] = one.Reason
			}
			return nil
		})
	}
	return errs
}

func (s *source) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.claimed)
}

// peak is the most that was claimed at one time.
func (s *source) peak() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// sink is a folder, too.
type sink struct {
	l       *life
	channel string
	down    atomic.Bool
	refuse  func(name string) error
	slow    time.Duration
	calls   atomic.Int64
}

func (s *sink) Channel() string { return s.channel }
func (s *sink) Close() error    { return nil }

func (s *sink) Deliver(_ context.Context, list []spool.Delivery) []error {
	s.calls.Add(1)
	time.Sleep(s.slow)
	errs := make([]error, len(list))
	for i, d := range list {
		if s.down.Load() {
			errs[i] = errors.New("the disk is full")
			continue
		}
		if s.refuse != nil {
			if errs[i] = s.refuse(d.Name); errs[i] != nil {
				continue
			}
		}
		errs[i] = s.l.step("deliver", func() error {
			w := s.l.w
			w.mu.Lock()
			defer w.mu.Unlock()
			w.out[s.channel+"/"+d.Name] = d.DER
			w.arrivals[s.channel+"/"+d.Name] = append(w.arrivals[s.channel+"/"+d.Name], d.DER)
			w.sunk = append(w.sunk, s.channel+"/"+d.Name)
			return nil
		})
	}
	return errs
}

// audit checks that nothing was lost, nothing done twice, and all of it got
// out.
func (w *world) audit(t *testing.T, l *life) {
	t.Helper()
	ctx := context.Background()
	w.mu.Lock()
	defer w.mu.Unlock()
	for c, names := range w.in {
		if len(names) > 0 {
			t.Errorf("channel %s: not settled: %q", c, names)
		}
	}
	for _, s := range l.sources {
		if n := s.(*source).open(); n > 0 {
			t.Errorf("channel %s: %d claims are open", s.Channel(), n)
		}
	}
	wantCerts := map[string]int{}
	done := map[string]bool{}
	for path, it := range w.files {
		arrived := w.arrivals[path]
		for _, der := range arrived {
			if !bytes.Equal(der, arrived[0]) {
				t.Errorf("%s: two answers: %q, %q", path, arrived[0], der)
			}
		}
		if it.Bad != "" {
			if w.failed[path] != it.Bad {
				t.Errorf("%s: bad, but not in quarantine: %q", path, w.failed[path])
			}
			continue
		}
		h := cmpcore.Hash(sha256.Sum256(it.DER))
		known, err := w.store.Lookup(ctx, []cmpcore.Hash{h})
		if err != nil {
			t.Fatal(err)
		}
		st, ok := known[h]
		if !ok {
			t.Errorf("%s: not in the store", path)
			continue
		}
		switch st.Disposition {
		case cmpcore.Failed:
			if w.failed[path] != st.Reason {
				t.Errorf("%s: quarantined with reason %q, stored is %q", path, w.failed[path], st.Reason)
			}
		case cmpcore.Held, cmpcore.Silent:
			if len(arrived) > 0 || !w.archive[path] {
				t.Errorf("%s: is %s, yet has %d answers (archived: %t)", path, st.Disposition, len(arrived), w.archive[path])
			}
		default:
			if len(arrived) == 0 || !bytes.Equal(arrived[0], st.Reply) {
				t.Errorf("%s: answered by %q, stored is %q", path, arrived, st.Reply)
			}
			if !w.archive[path] {
				t.Errorf("%s: answered, but not archived", path)
			}
			if !done[string(it.DER)] && (bytes.HasPrefix(st.Reply, []byte("issued")) || bytes.HasPrefix(st.Reply, []byte("decided"))) {
				m, _ := cmp.Parse(it.DER, cmp.Limits{})
				wantCerts[string(m.Header.TransactionID)]++
			}
		}
		done[string(it.DER)] = true
	}
	certs := map[string]int{}
	for c, err := range w.store.Certificates(ctx, spool.CertFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		certs[string(c.TransactionID)]++
	}
	for id, n := range wantCerts {
		if certs[id] != n {
			t.Errorf("transaction %q has %d certificates, want %d", id, certs[id], n)
		}
	}
	for id := range certs {
		if wantCerts[id] == 0 {
			t.Errorf("transaction %q has certificates that nobody got", id)
		}
	}
	late, err := w.store.Undelivered(ctx, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(late) > 0 {
		t.Errorf("undelivered: %+v", late)
	}
}

// reconcile fails where a summary does not add up.
func reconcile(t *testing.T, s spool.Summary) {
	t.Helper()
	if !s.Reconciles() {
		t.Errorf("the summary does not reconcile:\n%s", s)
	}
}
