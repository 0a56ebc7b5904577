package cmpcore

import (
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
	// until its transaction is no longer AwaitingDecision.
	KeepRequest bool

	Certificates []*Certificate      // new ones; a serial that exists is a conflict
	CertChanges  []CertificateChange // each checks the version it was computed from
	SecretUses   []SecretUse
	Relied       []Reliance // read, unchanged here, but decisive
	CRL          *CRL       // a new CRL; its number must be above the last
	Audit        []AuditEntry
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
	Event     string    `json:"event"` // a word of a closed set: issued, refused, revoked, confirmed, rejected, expired, waiting, approved, crl, ...
	Requester string    `json:"requester,omitempty"`
	// Transaction and Serial are lower-case hex.
	Transaction string `json:"transaction,omitempty"`
	Serial      string `json:"serial,omitempty"`
	Rule        string `json:"rule,omitempty"`
	Profile     string `json:"profile,omitempty"`
	Detail      string `json:"detail,omitempty"`
}
