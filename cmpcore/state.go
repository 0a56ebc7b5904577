package cmpcore

import (
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// Hash names a message: the SHA-256 of its DER.
type Hash [32]byte

// TransactionKey names a transaction: the first 16 octets of SHA-256 over the
// requester and the transactionID, in a form that keeps both apart. Two requesters may use the same
// transactionID without meeting.
type TransactionKey [16]byte

// TransactionState is where a transaction stands.
type TransactionState uint8

// The states of a transaction.
const (
	// AwaitingDecision: a person must decide; pollReq is answered with pollRep,
	// or, where the channel holds requests, nothing was answered yet.
	AwaitingDecision TransactionState = 1
	// AwaitingConfirm: certificates were sent, certConf has not come.
	AwaitingConfirm TransactionState = 2
	// Finished: nothing more is expected.
	Finished TransactionState = 3
	// Aborted: ended by an error of the peer, by a rejection or by expiry.
	Aborted TransactionState = 4
	// AwaitingProof: a challenge was sent, its response has not come
	// (RFC 9810 section 5.2.8.3.3).
	AwaitingProof TransactionState = 5
)

// Open tells whether the first message is still needed: its DER stays in the
// Store.
func (s TransactionState) Open() bool { return s == AwaitingDecision || s == AwaitingProof }

// Decision is what people said of a waiting transaction, or one of them.
type Decision uint8

// The decisions.
const (
	Undecided Decision = 0
	Approved  Decision = 1
	Rejected  Decision = 2
)

// Transaction is the committed state of one CMP transaction.
type Transaction struct {
	Key           TransactionKey
	Version       int64 // of the committed row; 0 where the row is new
	Requester     string
	TransactionID []byte
	Channel       string // channel policy of the first message
	Body          cmp.BodyType
	State         TransactionState
	Created       time.Time
	Expires       time.Time // when expiry acts on it; zero: never
	Request       Hash      // the first message; it stays in the Store while State is AwaitingDecision or AwaitingProof
	FirstNonce    []byte    // senderNonce of the first request
	OurNonce      []byte    // our last senderNonce: what a follow-up must carry as recipNonce
	Items         []TransactionItem
	Proof         []byte // what the Engine must know of an open challenge; no Store looks inside

	// Of a transaction that waits for a person:
	Held      bool     // no answer was given; the answer goes to the first message
	Frozen    bool     // an operator holds it: no decision is acted on, no expiry
	Approvals int      // how many people must approve, as its rule had it; 0 is 1
	Votes     []Vote   // in the order they came; set by Store.Decide
	Decision  Decision // what Votes come to
	Summary   string   // what is asked for, for people
}

// TransactionItem is one certificate of a transaction.
type TransactionItem struct {
	CertReqID int64
	Serial    []byte // nil where the item was refused
	Confirmed bool
	// Unproven tells that the certificate was sent encrypted: its confirmation
	// proves possession of the key (RFC 9810 section 5.2.8.3.2).
	Unproven bool
}

// CertStatus is where a certificate stands.
type CertStatus uint8

// The states of a certificate, named as `cert ls` prints them.
const (
	Unconfirmed CertStatus = 1
	Valid       CertStatus = 2
	Revoked     CertStatus = 3
	// RejectedByHolder: certConf said no, or never came; it is on the CRL.
	RejectedByHolder CertStatus = 4
)

// String gives the word of the outside contract.
func (s CertStatus) String() string {
	switch s {
	case Unconfirmed:
		return "unconfirmed"
	case Valid:
		return "valid"
	case Revoked:
		return "revoked"
	case RejectedByHolder:
		return "rejected"
	}
	return "unknown"
}

// Certificate is the committed record of a certificate this CA issued.
type Certificate struct {
	Serial         []byte // big-endian magnitude without leading zeros; the key
	Version        int64
	DER            []byte
	Subject        pkix.Name
	KeyID          [20]byte // SHA-1 of the public key bits: finds certificates of the same key
	Status         CertStatus
	NotBefore      time.Time
	NotAfter       time.Time
	Profile        string
	Requester      string
	TransactionKey TransactionKey
	TransactionID  []byte
	RevokedAt      time.Time // zero unless Revoked or RejectedByHolder
	Reason         int       // CRLReason of RFC 5280 section 5.3.1
	InvalidityDate time.Time
}

// ArchivedKey is a private key that was given to the CA to keep (RFC 4211
// section 6.4), encrypted.
type ArchivedKey struct {
	KeyID     [20]byte // SHA-1 of the public key bits, as in Certificate
	Serial    []byte   // of the certificate issued for it; nil where there is none
	Requester string
	Subject   pkix.Name
	Created   time.Time
	Envelope  []byte // encrypted; no Store looks inside
}

// Passphrase is a revocation passphrase that a requester has left here (RFC 9810
// section 5.3.19.9 and appendix B). It authenticates rr for the certificate of
// Owner and for those that were issued at its request, and nothing else.
type Passphrase struct {
	Owner   string // a Requester: the key, each has one at most
	Version int64
	KeyID   []byte // the owner's name for it, of senderKID; no two have the same; nil: none
	Sealed  []byte // opened by Config.UnsealPassphrase
	Rule    string // name of the rule that let it be left
	Created time.Time
}

// Answer is what was said to a message.
type Answer struct {
	Disposition Disposition
	Reply       []byte // nil where there is none
	Reason      string
}

// Secret is a registered shared secret as the Store keeps it.
type Secret struct {
	Ref     string // the senderKID, octets as a Go string
	Version int64
	Sealed  []byte // opened by Config.Unseal
	Created time.Time
	Expires time.Time // zero: never
	MaxUses int64     // certificates it may still bring, counted from the start; 0: no limit
	Used    int64
	Rule    string   // name of the only rule it may be used under; empty: any
	Bodies  []string // body types it may protect ("ir", "p10cr"); empty: any the rules allow
}
