package sqlite

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// An era is over when it has this many keys, or a 64th of all keys before it:
// about 15 thousand enrolments of four keys each. Smaller eras write fewer pages
// and need more filters: at a million enrolments, a search reads one word of
// each of some 65 filters, which together take 8 MB of memory. The number stays
// so far below a power of two that a batch more does not double the filter.
var eraKeys int64 = 60_000 // a variable for tests

// kind tells keys of different indexes apart in a filter.
type kind uint64

const (
	kindMessage kind = iota + 1
	kindTransaction
	kindSerial
	kindKeyID
)

// lookupKey is a key as filters see it.
type lookupKey uint64

func keyFor(k kind, v int64) lookupKey {
	return lookupKey(mix(uint64(v) ^ uint64(k)*0x9e3779b97f4a7c15))
}

func keyForSerial(serial []byte) lookupKey {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range serial {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return keyFor(kindSerial, int64(h))
}

// mix is the finalizer of SplitMix64. It is part of the file format.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// filter is a Bloom filter of which each key uses four bits in one word. What
// was added may be there; what may not be there was never added. The number of
// words is a power of two, at least one for four keys: one wrong "perhaps" in
// 200.
type filter []uint64

func newFilter(keys int64) filter {
	return make(filter, 1<<bits.Len64(uint64(max(keys, 1)-1)/4))
}

func (f filter) word(k lookupKey) *uint64 { return &f[uint64(k)&uint64(len(f)-1)] }

// mask takes its bits from the end of the key that does not choose the word.
func (k lookupKey) mask() uint64 {
	return 1<<(k>>58) | 1<<(k>>52&63) | 1<<(k>>46&63) | 1<<(k>>40&63)
}

func (f filter) add(k lookupKey) { *f.word(k) |= k.mask() }

func (f filter) mayHave(k lookupKey, mask uint64) bool { return *f.word(k)&mask == mask }

func (f filter) bytes() []byte {
	b := make([]byte, 0, 8*len(f))
	for _, w := range f {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

func parseFilter(b []byte) (filter, bool) {
	n := len(b) / 8
	if len(b)%8 != 0 || n == 0 || n&(n-1) != 0 {
		return nil, false
	}
	f := make(filter, n)
	for i := range f {
		f[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return f, true
}

// eras are the filters of all eras that are over, the first at index 0. They
// never change, so all connections of a Store share them.
type eras struct {
	known atomic.Pointer[[]filter]
	mu    sync.Mutex // held while more are read
}

// current reads where c's state is. Filters that are missing are read too.
func (s *Store) current(c *conn) (e era, err error) {
	q := c.q(qCurrent)
	if q.next() {
		e.id, e.keys, e.past = q.ColumnInt64(0), q.ColumnInt64(1), q.ColumnInt64(2)
	}
	if err := q.done(); err != nil {
		return e, err
	}
	if e.id < 1 {
		return e, damaged("table", "current")
	}
	if p := s.eras.known.Load(); p != nil {
		e.filters = *p
	}
	if int64(len(e.filters)) < e.id-1 {
		if e.filters, err = s.readFilters(c); err != nil {
			return e, err
		}
		if int64(len(e.filters)) < e.id-1 {
			return e, damaged("era", e.id-1)
		}
	}
	// Another connection may have seen later ones: they are not of this state.
	e.filters = e.filters[:e.id-1]
	return e, nil
}

func (s *Store) readFilters(c *conn) ([]filter, error) {
	s.eras.mu.Lock()
	defer s.eras.mu.Unlock()
	var list []filter
	if p := s.eras.known.Load(); p != nil {
		list = *p
	}
	list = list[:len(list):len(list)] // others read the old one
	q := c.q(qFilters).int(int64(len(list)))
	for q.next() {
		f, ok := parseFilter(q.ColumnRawBlob(1))
		if !ok || q.ColumnInt64(0) != int64(len(list)+1) {
			q.done()
			return nil, damaged("era", q.ColumnInt64(0))
		}
		list = append(list, f)
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	s.eras.known.Store(&list)
	return list, nil
}

// era is the era that new rows belong to, as one state of the database has it.
type era struct {
	id      int64
	keys    int64
	past    int64
	filters []filter
}

// search runs try for each era that may have the key, the newest first, until
// it says that it is done.
func (e *era) search(k lookupKey, try func(era int64) (done bool, err error)) error {
	done, err := try(e.id)
	mask := k.mask()
	for i := len(e.filters) - 1; i >= 0 && !done && err == nil; i-- {
		if e.filters[i].mayHave(k, mask) {
			done, err = try(int64(i + 1))
		}
	}
	return err
}

// grow counts the keys that a commit added, and ends the era when it is full.
// The filter is made of what the index has, not of what this process has seen.
func (e *era) grow(c *conn, keys int64) error {
	e.keys += keys
	if e.keys >= max(eraKeys, e.past/64) {
		f, n, err := buildFilter(c, e.id, e.keys)
		if err != nil {
			return err
		}
		if err := c.q(qInsertEra).int(e.id).blob(f.bytes()).exec(); err != nil {
			return err
		}
		e.id, e.keys, e.past = e.id+1, 0, e.past+n
	}
	return c.q(qUpdateCurrent).int(e.id).int(e.keys).int(e.past).exec()
}

func buildFilter(c *conn, id, keys int64) (f filter, n int64, err error) {
	f = newFilter(keys)
	for _, index := range []struct {
		query query
		key   func(*stmt) lookupKey
	}{
		{qMessageKeys, func(q *stmt) lookupKey { return keyFor(kindMessage, q.ColumnInt64(0)) }},
		{qTransactionKeys, func(q *stmt) lookupKey { return keyFor(kindTransaction, q.ColumnInt64(0)) }},
		{qSerialKeys, func(q *stmt) lookupKey { return keyForSerial(q.ColumnRawBlob(0)) }},
		{qKeyIDKeys, func(q *stmt) lookupKey { return keyFor(kindKeyID, q.ColumnInt64(0)) }},
	} {
		q := c.q(index.query).int(id)
		for q.next() {
			f.add(index.key(q))
			n++
		}
		if err := q.done(); err != nil {
			return nil, 0, err
		}
	}
	return f, n, nil
}

// The finders below look in all eras.

// message gives id 0 where there is none.
func (e *era) message(c *conn, h *cmpcore.Hash) (id int64, d cmpcore.Disposition, err error) {
	h1, rest := hashKey(h)
	err = e.search(keyFor(kindMessage, h1), func(era int64) (bool, error) {
		q := c.q(qMessageOfHash).int(era).int(h1).blob(rest)
		if q.next() {
			id, d = q.ColumnInt64(0), cmpcore.Disposition(q.ColumnInt64(1))
		}
		return id != 0, q.done()
	})
	return id, d, err
}

// stored gives what Lookup tells of a message; ID 0 where there is none.
func (e *era) stored(c *conn, h *cmpcore.Hash) (m spool.Stored, err error) {
	h1, rest := hashKey(h)
	err = e.search(keyFor(kindMessage, h1), func(era int64) (bool, error) {
		q := c.q(qLookup).int(era).int(h1).blob(rest)
		if q.next() {
			m = spool.Stored{
				ID:          q.ColumnInt64(0),
				Disposition: cmpcore.Disposition(q.ColumnInt64(1)),
				Reply:       q.copyBlob(2),
				Reason:      q.ColumnText(3),
			}
		}
		return m.ID != 0, q.done()
	})
	return m, err
}

// transaction gives nil where there is none.
func (e *era) transaction(c *conn, key *cmpcore.TransactionKey) (id int64, t *cmpcore.Transaction, err error) {
	k1, k2 := transactionKey(key)
	err = e.search(keyFor(kindTransaction, k1), func(era int64) (bool, error) {
		q := c.q(qTransaction).int(era).int(k1).int(k2)
		var bad error
		if q.next() {
			id, t, bad = scanTransaction(q)
		}
		return t != nil, firstError(q.done(), bad)
	})
	return id, t, err
}

// transactionState gives id 0 where there is none.
func (e *era) transactionState(c *conn, key *cmpcore.TransactionKey) (id, version int64, s cmpcore.TransactionState, err error) {
	k1, k2 := transactionKey(key)
	err = e.search(keyFor(kindTransaction, k1), func(era int64) (bool, error) {
		q := c.q(qTransactionState).int(era).int(k1).int(k2)
		if q.next() {
			id, version, s = q.ColumnInt64(0), q.ColumnInt64(1), cmpcore.TransactionState(q.ColumnInt64(2))
		}
		return id != 0, q.done()
	})
	return id, version, s, err
}

// certificate gives nil where there is none.
func (e *era) certificate(c *conn, serial []byte) (cert *cmpcore.Certificate, err error) {
	err = e.search(keyForSerial(serial), func(era int64) (bool, error) {
		q := c.q(qCertificate).int(era).blob(serial)
		var bad error
		if q.next() {
			_, cert, bad = scanCertificate(q, nil)
		}
		return cert != nil, firstError(q.done(), bad)
	})
	return cert, err
}

// certificateState gives id 0 where there is none.
func (e *era) certificateState(c *conn, serial []byte) (id, version int64, err error) {
	err = e.search(keyForSerial(serial), func(era int64) (bool, error) {
		q := c.q(qCertificateState).int(era).blob(serial)
		if q.next() {
			id, version = q.ColumnInt64(0), q.ColumnInt64(1)
		}
		return id != 0, q.done()
	})
	return id, version, err
}

// certificatesOfKey gives the newest first.
func (e *era) certificatesOfKey(c *conn, keyID *[20]byte, limit int) (list []*cmpcore.Certificate, err error) {
	kid := keyIDKey(keyID)
	same := func(c *cmpcore.Certificate) bool { return c.KeyID == *keyID }
	err = e.search(keyFor(kindKeyID, kid), func(era int64) (bool, error) {
		q := c.q(qCertificatesOfKey).int(era).int(kid)
		var bad error
		for bad == nil && len(list) < limit && q.next() {
			var cert *cmpcore.Certificate
			if _, cert, bad = scanCertificate(q, same); cert != nil {
				list = append(list, cert)
			}
		}
		return len(list) >= limit, firstError(q.done(), bad)
	})
	return list, err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
