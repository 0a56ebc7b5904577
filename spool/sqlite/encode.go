package sqlite

import (
	"encoding/binary"
	"math"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

// Fields that no query asks for are packed into one column of each row: a
// format number, then the fields in a fixed order, integers as varints and
// octets behind their length. That is smaller than columns and read in one go.

const recordFormat = 1

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendTime(b []byte, t time.Time) []byte { return binary.AppendVarint(b, t.UnixMicro()) }

// micros is a time as the database has it. The zero time is one like others.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// record reads what the append functions wrote. After anything that does not
// fit, bad is set and all further values are zero.
type record struct {
	b   []byte
	bad bool
}

func (r *record) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *record) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *record) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// fixed takes n octets; the result is part of the record's memory.
func (r *record) fixed(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *record) bytes() []byte {
	v := r.fixed(r.uint())
	if len(v) == 0 {
		return nil
	}
	return v
}

func (r *record) string() string  { return string(r.fixed(r.uint())) }
func (r *record) time() time.Time { return fromMicros(r.int()) }

func (r *record) ok() bool { return !r.bad && len(r.b) == 0 }

func (r *record) array20() (a [20]byte) { copy(a[:], r.fixed(20)); return a }
func (r *record) array16() (a [16]byte) { copy(a[:], r.fixed(16)); return a }
func (r *record) array32() (a [32]byte) { copy(a[:], r.fixed(32)); return a }

const (
	flagHeld byte = 1 << iota
	flagFrozen
	flagDecision // Decision, its reason and who took it follow; until schema 2
	flagProof    // Proof follows; since schema 2
	flagVotes    // Approvals and Votes follow; since schema 3
)

// appendTransaction packs all of t but key, version and state.
func appendTransaction(b []byte, t *cmpcore.Transaction) []byte {
	b = append(b, recordFormat)
	b = appendBytes(b, t.Requester)
	b = appendBytes(b, t.TransactionID)
	b = appendBytes(b, t.Channel)
	b = binary.AppendVarint(b, int64(t.Body))
	b = appendTime(b, t.Created)
	b = appendTime(b, t.Expires)
	b = append(b, t.Request[:]...)
	b = appendBytes(b, t.FirstNonce)
	b = appendBytes(b, t.OurNonce)
	b = appendBytes(b, t.Summary)
	b = binary.AppendUvarint(b, uint64(len(t.Items)))
	for i := range t.Items {
		item := &t.Items[i]
		b = binary.AppendVarint(b, item.CertReqID)
		b = appendBytes(b, item.Serial)
		b = append(b, boolByte(item.Confirmed)|boolByte(item.Unproven)<<1)
	}
	var flags byte
	if t.Held {
		flags |= flagHeld
	}
	if t.Frozen {
		flags |= flagFrozen
	}
	if len(t.Proof) > 0 {
		flags |= flagProof
	}
	if t.Approvals != 0 || len(t.Votes) > 0 {
		flags |= flagVotes
	}
	b = append(b, flags)
	if flags&flagProof != 0 {
		b = appendBytes(b, t.Proof)
	}
	if flags&flagVotes != 0 {
		b = binary.AppendUvarint(b, uint64(t.Approvals))
		b = binary.AppendUvarint(b, uint64(len(t.Votes)))
		for i := range t.Votes {
			v := &t.Votes[i]
			b = append(b, byte(v.Decision))
			b = appendTime(b, v.At)
			b = appendBytes(b, v.By)
			b = appendBytes(b, v.Account)
			b = appendBytes(b, v.Note)
		}
	}
	return b
}

// readTransaction is the inverse; it keeps b.
func readTransaction(t *cmpcore.Transaction, b []byte) bool {
	r := record{b: b}
	if r.byte() != recordFormat {
		return false
	}
	t.Requester = r.string()
	t.TransactionID = r.bytes()
	t.Channel = r.string()
	body := r.int()
	if body < math.MinInt32 || body > math.MaxInt32 {
		return false
	}
	t.Body = cmp.BodyType(body)
	t.Created = r.time()
	t.Expires = r.time()
	t.Request = r.array32()
	t.FirstNonce = r.bytes()
	t.OurNonce = r.bytes()
	t.Summary = r.string()
	n := r.uint()
	if n > uint64(len(r.b)) { // an item has at least 3 octets
		return false
	}
	if n > 0 {
		t.Items = make([]cmpcore.TransactionItem, n)
		for i := range t.Items {
			t.Items[i] = cmpcore.TransactionItem{CertReqID: r.int(), Serial: r.bytes()}
			state := r.byte()
			t.Items[i].Confirmed, t.Items[i].Unproven = state&1 != 0, state&2 != 0
		}
	}
	flags := r.byte()
	t.Held = flags&flagHeld != 0
	t.Frozen = flags&flagFrozen != 0
	if flags&flagDecision != 0 {
		v := cmpcore.Vote{Decision: cmpcore.Decision(r.byte()), Note: r.string(), By: r.string()}
		if v.Decision != cmpcore.Undecided {
			t.Votes = []cmpcore.Vote{v}
		}
	}
	if flags&flagProof != 0 {
		t.Proof = r.bytes()
	}
	if flags&flagVotes != 0 {
		r.votes(t)
	}
	t.Tally()
	return r.ok()
}

func (r *record) votes(t *cmpcore.Transaction) {
	need := r.uint()
	n := r.uint()
	if need > math.MaxInt32 || n > uint64(len(r.b)) { // a vote has at least 5 octets
		r.bad = true
		return
	}
	t.Approvals = int(need)
	for range n {
		t.Votes = append(t.Votes, cmpcore.Vote{
			Decision: cmpcore.Decision(r.byte()), At: r.time(), By: r.string(), Account: r.string(), Note: r.string(),
		})
	}
}

// appendCertificate packs the fields of c that have no column.
func appendCertificate(b []byte, c *cmpcore.Certificate) []byte {
	b = append(b, recordFormat)
	b = append(b, c.KeyID[:]...)
	b = appendTime(b, c.NotBefore)
	b = append(b, c.TransactionKey[:]...)
	b = appendBytes(b, c.TransactionID)
	b = appendBytes(b, c.Profile)
	b = appendBytes(b, c.Requester)
	b = appendBytes(b, c.Subject)
	return b
}

// readCertificate is the inverse; it keeps b.
func readCertificate(c *cmpcore.Certificate, b []byte) bool {
	r := record{b: b}
	if r.byte() != recordFormat {
		return false
	}
	c.KeyID = r.array20()
	c.NotBefore = r.time()
	c.TransactionKey = r.array16()
	c.TransactionID = r.bytes()
	c.Profile = r.string()
	c.Requester = r.string()
	c.Subject = r.bytes()
	return r.ok()
}

func boolByte(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// Keys in indexes: the first octets as an integer, which SQLite compares
// fastest and stores smallest.

func hashKey(h *cmpcore.Hash) (int64, []byte) {
	return int64(binary.BigEndian.Uint64(h[:8])), h[8:]
}

func transactionKey(k *cmpcore.TransactionKey) (int64, int64) {
	return int64(binary.BigEndian.Uint64(k[:8])), int64(binary.BigEndian.Uint64(k[8:]))
}

func keyOf(k1, k2 int64) (k cmpcore.TransactionKey) {
	binary.BigEndian.PutUint64(k[:8], uint64(k1))
	binary.BigEndian.PutUint64(k[8:], uint64(k2))
	return k
}

func keyIDKey(id *[20]byte) int64 { return int64(binary.BigEndian.Uint64(id[:8])) }

// phase of the column of that name.
func phase(t *cmpcore.Transaction) (int64, bool) {
	switch {
	case t.State == cmpcore.AwaitingConfirm:
		return phaseConfirm, true
	case t.State == cmpcore.AwaitingProof:
		return phaseProof, true
	case t.State != cmpcore.AwaitingDecision:
		return 0, false
	case t.Frozen:
		return phaseFrozen, true
	case t.Decision == cmpcore.Undecided:
		return phaseUndecided, true
	case t.Held:
		return phaseRelease, true
	}
	return phaseDecided, true
}

// The phases, as written in queries and the schema.
const (
	phaseUndecided = 1
	phaseRelease   = 2
	phaseDecided   = 3
	phaseFrozen    = 4
	phaseConfirm   = 5
	phaseProof     = 6
)
