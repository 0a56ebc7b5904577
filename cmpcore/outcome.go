package cmpcore

import (
	"iter"
	"time"
)

// Disposition says what became of a message.
type Disposition uint8

// The dispositions. Answered, Waiting, Refused and Held are of PKIMessages;
// Failed is of what cannot be answered.
const (
	Answered Disposition = 1 // the reply grants or acknowledges
	Waiting  Disposition = 2 // the reply says waiting, or is a pollRep
	Refused  Disposition = 3 // the reply is an error or rejects everything in it
	Held     Disposition = 4 // no reply until a person has decided
	Failed   Disposition = 5 // no reply; Reason says why; goes to quarantine
	Silent   Disposition = 6 // no reply by the protocol (pkiConf, announcements); not a failure
)

// String names the disposition as logs and summaries do.
func (d Disposition) String() string {
	switch d {
	case Answered:
		return "answered"
	case Waiting:
		return "waiting"
	case Refused:
		return "refused"
	case Held:
		return "held"
	case Failed:
		return "failed"
	case Silent:
		return "silent"
	}
	return "unknown"
}

// Outcome lists everything that shall become true because of one message (or
// one decision, or one expiry). The Store makes all of it true at once, or
// none of it.
type Outcome struct {
	Disposition Disposition
	Reply       []byte // DER of the answer, nil where there is none
	Reason      string // for the operator; never sent

	// Transaction is the new state: Version 0 inserts and must not meet an
	// existing row, else the committed version must equal Version.
	Transaction *Transaction

	// KeepRequest asks the Store to keep the message's DER for View.Message
	// until its transaction is no longer AwaitingDecision or AwaitingProof.
	KeepRequest bool

	Certificates []*Certificate      // new ones; a serial that exists is a conflict
	CertChanges  []CertificateChange // each checks the version it was computed from
	SecretUses   []SecretUse
	Relied       []Reliance // read, unchanged here, but decisive
	CRL          *CRL       // a new CRL; its number must be above the last
	Archive      []*ArchivedKey
	// Passphrases each take the place of the one that their owner had. As with a
	// Transaction, Version is that of the row that goes, or 0 where there must be
	// none; a KeyID of another owner is a conflict.
	Passphrases []*Passphrase
	Outgoing    []Outgoing
	Audit       []AuditEntry

	// Parts are the outcomes of the messages inside this one, in their order
	// (RFC 9810 section 5.1.3.4). Each is checked against what is true after
	// this outcome and the parts before it; a conflict of one is a conflict of
	// all.
	Parts []Part
}

// Part is the outcome of one message inside another.
type Part struct {
	// Hash names the inner message, which is then known as one that came alone
	// would be: its answer can be found, its request kept. A hash that is known
	// already is a conflict. Its answer is not delivered by itself: it is inside
	// the answer to the outer one. The zero Hash leaves no such trace.
	Hash    Hash
	DER     []byte // stored only where Outcome.KeepRequest
	Outcome *Outcome
}

// All yields o, then the outcomes of its parts and theirs, in order.
func (o *Outcome) All() iter.Seq[*Outcome] {
	return func(yield func(*Outcome) bool) { o.each(yield) }
}

func (o *Outcome) each(yield func(*Outcome) bool) bool {
	if !yield(o) {
		return false
	}
	for i := range o.Parts {
		if !o.Parts[i].Outcome.each(yield) {
			return false
		}
	}
	return true
}

// Outgoing is a message that nobody asked for, such as an announcement (RFC 9810
// section 5.3.13). It is delivered as answers are.
type Outgoing struct {
	Channel string
	Name    string // as the channel's sink understands it
	DER     []byte
}

// CertificateChange moves a certificate to another status.
type CertificateChange struct {
	Serial         []byte
	Version        int64
	Status         CertStatus
	RevokedAt      time.Time
	Reason         int
	InvalidityDate time.Time
}

// SecretUse counts uses of a shared secret. The commit conflicts where the
// secret is gone or MaxUses would be passed.
type SecretUse struct {
	Ref string
	N   int64
}

// Reliance names a row whose committed version must still be the one that was
// read.
type Reliance struct {
	CertificateSerial []byte
	Version           int64
}

// CRL is a signed certificate revocation list.
type CRL struct {
	Number     int64
	DER        []byte
	ThisUpdate time.Time
	NextUpdate time.Time
}

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"` // a word of a closed set: issued, refused, revoked, confirmed, rejected, expired, waiting, approved, crl, passphrase, ...
	Requester string    `json:"requester,omitempty"`
	// Transaction and Serial are lower-case hex.
	Transaction string `json:"transaction,omitempty"`
	Serial      string `json:"serial,omitempty"`
	Rule        string `json:"rule,omitempty"`
	Profile     string `json:"profile,omitempty"`
	Detail      string `json:"detail,omitempty"`
	Channel     string `json:"channel,omitempty"` // that the message, or the transaction, came by
}
