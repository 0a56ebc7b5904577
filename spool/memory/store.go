package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Store is a [spool.Store] in memory.
type Store struct {
	d     *data
	mu    sync.Mutex
	fault Fault
}

// data is what several Stores of one database share. Nothing in it is ever
// handed out or taken in without a copy.
type data struct {
	mu           sync.Mutex
	meta         map[string][]byte
	secrets      map[string]*cmpcore.Secret
	certificates []*cmpcore.Certificate // in order of issue
	serials      map[string]*cmpcore.Certificate
	transactions map[cmpcore.TransactionKey]*cmpcore.Transaction
	order        []cmpcore.TransactionKey
	messages     map[int64]*message
	hashes       map[cmpcore.Hash]*message
	undelivered  map[int64]int64 // message to batch
	batches      int64
	lastMessage  int64
	outgoing     map[int64]cmpcore.Outgoing
	archive      []*cmpcore.ArchivedKey
	passphrases  map[string]*cmpcore.Passphrase
	crl          *cmpcore.CRL
	audit        []spool.AuditRecord
}

type message struct {
	id          int64
	hash        cmpcore.Hash
	disposition cmpcore.Disposition
	reply       []byte
	reason      string
	received    time.Time
	returns     []spool.Return
	der         []byte                 // kept
	keptFor     cmpcore.TransactionKey // while this waits
}

// New makes an empty Store.
func New() *Store {
	return &Store{d: &data{
		meta: map[string][]byte{}, secrets: map[string]*cmpcore.Secret{}, serials: map[string]*cmpcore.Certificate{},
		transactions: map[cmpcore.TransactionKey]*cmpcore.Transaction{}, messages: map[int64]*message{},
		hashes: map[cmpcore.Hash]*message{}, undelivered: map[int64]int64{},
		outgoing: map[int64]cmpcore.Outgoing{}, passphrases: map[string]*cmpcore.Passphrase{},
	}}
}

// Again gives one more Store on the same data, without a fault: what another
// process would have, or the next one after a crash.
func (s *Store) Again() *Store { return &Store{d: s.d} }

// Close does nothing; the data stay.
func (s *Store) Close() error { return nil }

// Lookup finds the messages of these hashes that are stored already.
func (s *Store) Lookup(ctx context.Context, hashes []cmpcore.Hash) (map[cmpcore.Hash]spool.Stored, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	found := map[cmpcore.Hash]spool.Stored{}
	for _, h := range hashes {
		if m := s.d.hashes[h]; m != nil {
			found[h] = spool.Stored{ID: m.id, Disposition: m.disposition, Reply: bytes.Clone(m.reply), Reason: m.reason}
		}
	}
	return found, nil
}

// Delivered reports that every answer of the batch has arrived.
func (s *Store) Delivered(ctx context.Context, batch int64, except []int64) error {
	return s.write(ctx, Delivered, func(d *data) error {
		if batch < 0 || batch > d.batches {
			return fmt.Errorf("batch %d: %w", batch, spool.ErrNotFound)
		}
		for id, b := range d.undelivered {
			if b == batch && !slices.Contains(except, id) {
				delete(d.undelivered, id)
				delete(d.outgoing, id)
			}
		}
		return nil
	})
}

// DeliveredOne reports one answer.
func (s *Store) DeliveredOne(ctx context.Context, id int64) error {
	return s.write(ctx, DeliveredOne, func(d *data) error {
		delete(d.undelivered, id)
		delete(d.outgoing, id)
		return nil
	})
}

// Undelivered lists answers that were not reported delivered.
func (s *Store) Undelivered(ctx context.Context, after int64, limit int) (list []spool.Undelivered, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	var ids []int64
	for id := range s.d.undelivered {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if len(list) >= limit {
			break
		}
		if o, ok := s.d.outgoing[id]; ok {
			list = append(list, spool.Undelivered{ID: id, Batch: s.d.undelivered[id],
				Return: spool.Return{Channel: o.Channel, Name: o.Name}, Reply: bytes.Clone(o.DER)})
			continue
		}
		m := s.d.messages[id]
		for _, r := range m.returns {
			list = append(list, spool.Undelivered{ID: id, Batch: s.d.undelivered[id], Return: r, Reply: bytes.Clone(m.reply)})
		}
	}
	return list, nil
}

// AddReturn lets the answer of a held message go to one more place.
func (s *Store) AddReturn(ctx context.Context, id int64, r spool.Return) error {
	return s.write(ctx, AddReturn, func(d *data) error {
		m := d.messages[id]
		switch {
		case m == nil:
			return fmt.Errorf("message %d: %w", id, spool.ErrNotFound)
		case m.disposition != cmpcore.Held:
			return fmt.Errorf("message %d is %s: %w", id, m.disposition, spool.ErrConflict)
		case !slices.Contains(m.returns, r):
			m.returns = append(m.returns, r)
		}
		return nil
	})
}

// Released lists held messages that a person has decided about.
func (s *Store) Released(ctx context.Context, limit int) (list []spool.HeldMessage, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	for _, key := range s.d.order {
		t := s.d.transactions[key]
		if len(list) >= limit {
			break
		}
		if t.State != cmpcore.AwaitingDecision || !t.Held || t.Decision == cmpcore.Undecided || t.Frozen {
			continue
		}
		if m := s.d.hashes[t.Request]; m != nil && m.disposition == cmpcore.Held && m.der != nil {
			list = append(list, spool.HeldMessage{ID: m.id, Hash: m.hash, DER: bytes.Clone(m.der), Returns: slices.Clone(m.returns)})
		}
	}
	return list, nil
}

// Expired lists transactions whose time has run out, the oldest first.
func (s *Store) Expired(ctx context.Context, now time.Time, limit int) (list []*cmpcore.Transaction, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	for _, key := range s.d.order {
		t := s.d.transactions[key]
		due := t.State == cmpcore.AwaitingConfirm || t.State == cmpcore.AwaitingProof || t.State == cmpcore.AwaitingDecision && !t.Frozen
		if due && !t.Expires.IsZero() && !t.Expires.After(now) {
			list = append(list, copyTransaction(t))
		}
	}
	slices.SortStableFunc(list, func(a, b *cmpcore.Transaction) int { return a.Expires.Compare(b.Expires) })
	return list[:min(len(list), max(limit, 0))], nil
}
