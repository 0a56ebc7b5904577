package spool

import (
	"context"
	"iter"
	"time"

	"cmp-batch/cmpcore"
)

// Entry is one outcome to be made durable.
type Entry struct {
	// Hash of the message. The zero Hash is an outcome without a message
	// (expiry, a CRL, a revocation by hand): no message row, no answer.
	Hash     cmpcore.Hash
	DER      []byte // stored only where Outcome.KeepRequest
	Return   Return
	Received time.Time
	Outcome  *cmpcore.Outcome
	// Release is set where Outcome answers a message that is Held in the
	// Store: its row gets disposition and reply now.
	Release bool
}

// PartEntry gives the i-th part of e's outcome as an entry of its own. It is for
// Stores.
func PartEntry(e *Entry, i int) *Entry {
	p := &e.Outcome.Parts[i]
	return &Entry{Hash: p.Hash, DER: p.DER, Return: e.Return, Received: e.Received, Outcome: p.Outcome}
}

// Verdict is what became of an Entry.
type Verdict struct {
	ID       int64 // of the message row; 0 with Conflict
	Conflict bool  // nothing of it was stored: what it was computed from has changed
	// Returns is set for an Entry with Release: every place the answer goes to,
	// as read in the transaction of the commit. What [Store.Released] said
	// earlier may lack one that came meanwhile.
	Returns []Return
	// Withdrawn counts the held messages, of the entry and its parts, that
	// became Silent.
	Withdrawn int
	// Outgoing are the IDs of what the outcome and its parts send unasked, in
	// the order of [cmpcore.Outcome.All].
	Outgoing []int64
}

// Stored is a message that the Store knows.
type Stored struct {
	ID          int64
	Disposition cmpcore.Disposition
	Reply       []byte
	Reason      string
}

// Undelivered is a committed answer, or a message that nobody asked for, that
// has not been reported delivered. An answer that goes to several places is listed once for each, with one ID.
type Undelivered struct {
	ID     int64
	Batch  int64
	Return Return
	Reply  []byte
}

// HeldMessage is a held message about which a person has decided.
type HeldMessage struct {
	ID      int64
	Hash    cmpcore.Hash
	DER     []byte
	Returns []Return // where its answer goes: one for each time it arrived
}

// Store makes outcomes durable. All methods may be called concurrently, from
// several processes on one database.
type Store interface {
	View() cmpcore.View

	// Lookup finds the messages of these hashes that are stored already.
	Lookup(ctx context.Context, hashes []cmpcore.Hash) (map[cmpcore.Hash]Stored, error)

	// Commit stores the entries in one durable transaction: on return without
	// error all entries without Conflict survive a power cut. An entry whose
	// outcome does not fit committed state (a version, a hash, a serial, a
	// secret's count), or an earlier entry of the batch, is a conflict and
	// leaves no trace; the others are stored all the same. An entry whose hash
	// is stored already is a conflict unless Release. Messages of the batch
	// that have a reply, and what it sends unasked, are undelivered until
	// [Store.Delivered].
	//
	// Where an outcome ends a transaction whose first message is Held and which
	// this outcome does not answer, because its requester has withdrawn it, that
	// message becomes Silent, with [Withdrawn] as its reason.
	//
	// The parts of an outcome are checked and stored one after another behind
	// it; a conflict of one is a conflict of the entry. A message inside another
	// one has an answer, but none that is undelivered.
	Commit(ctx context.Context, batch []Entry) (id int64, verdicts []Verdict, err error)

	// Delivered reports that every answer of the batch has arrived, but for
	// the messages named in except.
	Delivered(ctx context.Context, batch int64, except []int64) error
	// Undelivered lists answers that were not reported delivered, in order of
	// ID, at most limit, after the given ID. All places of one ID are listed
	// together, even where that passes limit.
	Undelivered(ctx context.Context, after int64, limit int) ([]Undelivered, error)
	// DeliveredOne reports that one answer of those that Undelivered listed has
	// arrived, at all its places. It is idempotent.
	DeliveredOne(ctx context.Context, id int64) error

	// AddReturn lets the answer of a held message go to one more place. The
	// same place again changes nothing. It is [ErrConflict] where the message is
	// not held any more, [ErrNotFound] where it is not there: look it up again.
	AddReturn(ctx context.Context, id int64, r Return) error
	// Released lists held messages whose transactions were decided and are not
	// frozen.
	Released(ctx context.Context, limit int) ([]HeldMessage, error)
	// Expired lists transactions with Expires at or before now that are
	// AwaitingDecision (and not Frozen), AwaitingConfirm or AwaitingProof.
	Expired(ctx context.Context, now time.Time, limit int) ([]*cmpcore.Transaction, error)

	Ledger

	Close() error
}

// Withdrawn is the reason of a message that was held until its requester
// withdrew it.
const Withdrawn = "withdrawn by its requester before a decision"

// Ledger is what commands for people ask of a Store.
type Ledger interface {
	// Meta is a small durable map: the wrapped vault key, the last summary.
	Meta(ctx context.Context, key string) ([]byte, error)
	SetMeta(ctx context.Context, key string, value []byte) error

	// AddSecret registers s; a Ref that exists is an error.
	AddSecret(ctx context.Context, s *cmpcore.Secret) error
	Secrets(ctx context.Context) iter.Seq2[*cmpcore.Secret, error]
	// RemoveSecret is [ErrNotFound] where there is none.
	RemoveSecret(ctx context.Context, ref string) error

	// Passphrases yields the revocation passphrases, by owner.
	Passphrases(ctx context.Context) iter.Seq2[*cmpcore.Passphrase, error]
	// RemovePassphrase is [ErrNotFound] where there is none.
	RemovePassphrase(ctx context.Context, owner string) error

	// Certificates yields the certificates that match, in order of issue.
	Certificates(ctx context.Context, f CertFilter) iter.Seq2[*cmpcore.Certificate, error]

	// Archive yields all archived keys, in the order they came.
	Archive(ctx context.Context) iter.Seq2[*cmpcore.ArchivedKey, error]

	// Waiting yields the transactions that wait for a person, oldest first.
	Waiting(ctx context.Context) iter.Seq2[*cmpcore.Transaction, error]
	// Decide records what a person said of a transaction that waits
	// ([cmpcore.Transaction.Vote]), if its version is still the given one
	// ([ErrConflict] otherwise), and what the audit log shall tell of it, in one
	// durable transaction. Votes that two people give at one time both count, or
	// one of them is a conflict.
	Decide(ctx context.Context, key cmpcore.TransactionKey, version int64, v cmpcore.Vote, audit ...cmpcore.AuditEntry) error
	// Freeze sets or clears Frozen, likewise.
	Freeze(ctx context.Context, key cmpcore.TransactionKey, version int64, frozen bool, audit ...cmpcore.AuditEntry) error

	// Failures yields the messages that failed, newest first.
	Failures(ctx context.Context) iter.Seq2[Failure, error]
	// Forget removes a failed message, so that its bytes are processed anew.
	Forget(ctx context.Context, id int64) error

	// Counts tells how many rows there are of each kind.
	Counts(ctx context.Context) (Counts, error)

	// Audit yields the audit log from a sequence number on. Each record chains
	// to the one before it.
	Audit(ctx context.Context, from int64) iter.Seq2[AuditRecord, error]
	// VerifyAudit recomputes the chain and returns its length and head.
	VerifyAudit(ctx context.Context) (n int64, head [32]byte, err error)
}

// CertFilter selects certificates. Zero fields select all.
type CertFilter struct {
	Status        cmpcore.CertStatus
	Serial        []byte
	SubjectPart   string // substring of the subject's text, any case
	Profile       string
	TransactionID []byte
	ExpiresBefore time.Time
	Limit         int
}

// Failure is a message that failed.
type Failure struct {
	ID     int64
	Hash   cmpcore.Hash
	Return Return
	Time   time.Time
	Reason string
}

// Counts is the size of a Store.
type Counts struct {
	Messages, Undelivered, Held, Failed                   int64
	Waiting, AwaitingConfirm, AwaitingProof               int64
	Certificates, Unconfirmed, Valid, RevokedCertificates int64
	Secrets, Passphrases, ArchivedKeys, AuditRecords      int64
}

// AuditRecord is the audit log of one commit: its entries as JSON lines, and a
// hash over them and the record before.
type AuditRecord struct {
	Seq     int64
	Entries []byte   // JSON objects, one a line
	Head    [32]byte // SHA-256(previous Head || Entries); the first previous Head is zero
}
