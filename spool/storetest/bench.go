package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	cryptopkix "crypto/x509/pkix"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/spool"
)

// bench is one test with its Store.
type bench struct {
	*testing.T
	s      spool.Store
	reopen func() spool.Store
}

var (
	ctx = context.Background()
	day = time.Date(2026, 3, 1, 12, 30, 15, 123456000, time.UTC)
)

func hash(name string) cmpcore.Hash { return sha256.Sum256([]byte("message " + name)) }

func key(name string) (k cmpcore.TransactionKey) {
	h := sha256.Sum256([]byte("transaction " + name))
	copy(k[:], h[:])
	return k
}

func keyID(name string) (k [20]byte) {
	h := sha256.Sum256([]byte("key " + name))
	copy(k[:], h[:])
	return k
}

// serial gives a serial number of 16 octets.
func serial(name string) []byte {
	h := sha256.Sum256([]byte("serial " + name))
	h[0] |= 0x40
	return h[:16]
}

func secret(ref string, max int64) *cmpcore.Secret {
	return &cmpcore.Secret{Ref: ref, Sealed: []byte("sealed " + ref), Created: day, MaxUses: max}
}

// transaction is a new one that awaits certConf.
func transaction(name string) *cmpcore.Transaction {
	return &cmpcore.Transaction{
		Key: key(name), Requester: "secret:" + name, TransactionID: []byte("id of " + name), Channel: "usb",
		Body: cmp.TypeIR, State: cmpcore.AwaitingConfirm, Created: day, Expires: day.Add(time.Hour),
		Request: hash(name), FirstNonce: []byte("first nonce"), OurNonce: []byte("our nonce"),
		Items: []cmpcore.TransactionItem{{CertReqID: 0, Serial: serial(name)}},
	}
}

// waiting is a new one that awaits a decision.
func waiting(name string, held bool) *cmpcore.Transaction {
	t := transaction(name)
	t.State, t.Held, t.Items, t.Summary = cmpcore.AwaitingDecision, held, nil, "CN="+name
	return t
}

func vote(by string, d cmpcore.Decision, note string) cmpcore.Vote {
	return cmpcore.Vote{By: by, Account: "account of " + by, At: day, Decision: d, Note: note}
}

// next is t as committed, in another state.
func next(t *cmpcore.Transaction, version int64, state cmpcore.TransactionState) *cmpcore.Transaction {
	c := *t
	c.Version, c.State = version, state
	return &c
}

func certificate(name string) *cmpcore.Certificate {
	return &cmpcore.Certificate{
		Serial: serial(name), DER: []byte("DER of " + name), Subject: subject(name), KeyID: keyID(name),
		Status: cmpcore.Unconfirmed, NotBefore: day, NotAfter: day.AddDate(1, 0, 0), Profile: "device",
		Requester: "secret:" + name, TransactionKey: key(name), TransactionID: []byte("id of " + name),
	}
}

func subject(cn string) []byte {
	der, err := asn1.Marshal(cryptopkix.Name{CommonName: cn, Organization: []string{"Example"}}.ToRDNSequence())
	if err != nil {
		panic(err)
	}
	return der
}

// enrolment is an answered request: a message, a transaction, a certificate and
// an audit entry, all called name.
func enrolment(name string) spool.Entry {
	return spool.Entry{
		Hash: hash(name), DER: []byte("request " + name), Return: spool.Return{Channel: "usb", Name: name + ".pki"}, Received: day,
		Outcome: &cmpcore.Outcome{
			Disposition: cmpcore.Answered, Reply: []byte("reply to " + name), Reason: "issued " + name,
			Transaction: transaction(name), Certificates: []*cmpcore.Certificate{certificate(name)},
			Audit: []cmpcore.AuditEntry{{Time: day, Event: "issued", Requester: "secret:" + name, Serial: hex.EncodeToString(serial(name))}},
		},
	}
}

// message is an answered message and nothing else.
func message(name string) spool.Entry {
	e := enrolment(name)
	e.Outcome = &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: e.Outcome.Reply}
	return e
}

// held is a message without an answer whose transaction waits for a person.
func held(name string) spool.Entry {
	e := message(name)
	e.Outcome = &cmpcore.Outcome{Disposition: cmpcore.Held, Transaction: waiting(name, true), KeepRequest: true}
	return e
}

// silent has no message: it only makes o true.
func silent(o cmpcore.Outcome) spool.Entry { return spool.Entry{Outcome: &o} }

// commit stores entries that must all fit.
func (b *bench) commit(entries ...spool.Entry) (batch int64, ids []int64) {
	b.Helper()
	return b.commitTo(b.s, entries...)
}

func (b *bench) commitTo(s spool.Store, entries ...spool.Entry) (batch int64, ids []int64) {
	b.Helper()
	batch, verdicts, err := s.Commit(ctx, entries)
	if err != nil {
		b.Fatalf("commit: %v", err)
	}
	if len(verdicts) != len(entries) {
		b.Fatalf("commit: %d verdicts for %d entries", len(verdicts), len(entries))
	}
	for i, v := range verdicts {
		if v.Conflict {
			b.Fatalf("commit: entry %d is a conflict", i)
		}
		if (v.ID != 0) != (entries[i].Hash != cmpcore.Hash{}) {
			b.Fatalf("commit: entry %d has ID %d", i, v.ID)
		}
		ids = append(ids, v.ID)
	}
	if batch == 0 {
		b.Fatal("commit: the batch has no ID")
	}
	return batch, ids
}

// conflict commits one entry that must not fit.
func (b *bench) conflict(why string, e spool.Entry) {
	b.Helper()
	_, v, err := b.s.Commit(ctx, []spool.Entry{e})
	if err != nil {
		b.Fatalf("%s: %v", why, err)
	}
	if len(v) != 1 || !v[0].Conflict || v[0].ID != 0 {
		b.Errorf("%s: verdict %+v, want a conflict", why, v)
	}
}

func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) is(err, want error, what string) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// equal compares deeply.
func (b *bench) equal(what string, got, want any) {
	b.Helper()
	if !reflect.DeepEqual(got, want) {
		b.Errorf("%s:\n got %s\nwant %s", what, show(got), show(want))
	}
}

func show(v any) string {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		v = p.Elem().Interface()
	}
	return fmt.Sprintf("%+v", v)
}

func collect[T any](b *bench, seq iter.Seq2[T, error]) (list []T) {
	b.Helper()
	for v, err := range seq {
		b.ok(err)
		list = append(list, v)
	}
	return list
}

func get[T any](b *bench) func(v T, err error) T {
	return func(v T, err error) T {
		b.Helper()
		b.ok(err)
		return v
	}
}

func (b *bench) transaction(name string) *cmpcore.Transaction {
	b.Helper()
	return get[*cmpcore.Transaction](b)(b.s.View().Transaction(ctx, key(name)))
}

func (b *bench) certificate(name string) *cmpcore.Certificate {
	b.Helper()
	return get[*cmpcore.Certificate](b)(b.s.View().Certificate(ctx, serial(name)))
}

func (b *bench) message(name string) []byte {
	b.Helper()
	return get[[]byte](b)(b.s.View().Message(ctx, hash(name)))
}

func (b *bench) lookup(name string) (spool.Stored, bool) {
	b.Helper()
	m := get[map[cmpcore.Hash]spool.Stored](b)(b.s.Lookup(ctx, []cmpcore.Hash{hash(name)}))
	st, ok := m[hash(name)]
	return st, ok
}

func (b *bench) used(ref string) int64 {
	b.Helper()
	s := get[*cmpcore.Secret](b)(b.s.View().Secret(ctx, ref))
	if s == nil {
		b.Fatalf("secret %s is gone", ref)
	}
	return s.Used
}

func (b *bench) counts() spool.Counts {
	b.Helper()
	return get[spool.Counts](b)(b.s.Counts(ctx))
}

func (b *bench) undelivered() []spool.Undelivered {
	b.Helper()
	return get[[]spool.Undelivered](b)(b.s.Undelivered(ctx, 0, 1000))
}

// auditText is the whole audit log.
func (b *bench) auditText() string {
	b.Helper()
	var all bytes.Buffer
	for _, r := range collect(b, b.s.Audit(ctx, 0)) {
		all.Write(r.Entries)
	}
	return all.String()
}

func (b *bench) noAudit(word string) {
	b.Helper()
	if strings.Contains(b.auditText(), word) {
		b.Errorf("the audit log has an entry of what was not stored: %s", word)
	}
}

// number gives a serial number of this value.
func number(n uint64) []byte {
	var s [8]byte
	binary.BigEndian.PutUint64(s[:], n)
	return bytes.TrimLeft(s[:], "\x00")
}
