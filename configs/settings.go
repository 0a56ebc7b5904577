package configs

import (
	"log/slog"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/issuance"
)

// Config is the settings of one CA, checked and complete: every default is
// filled in, every path is absolute, every name leads somewhere.
type Config struct {
	File string // the configuration file as it was given
	Dir  string // its folder; relative paths start here

	CA       CA
	Vault    Passphrase // unlocks what protects the registered secrets
	Store    Store
	Profiles map[string]issuance.ProfileConfig // Name is the key; each compiles
	Rules    []Rule                            // the first that matches decides
	// Approvers may decide about requests that wait; empty: everybody may.
	Approvers []Approver
	Trust     []Trust
	Policies  map[string]Policy
	Channels  []Channel
	// Announcements says who is told, unasked, of what the CA does.
	Announcements []Announcement
	Process       Process
	CRL           CRL
	Limits        der.Limits
	Batch         Batch
	Log           Log
	Metrics       Metrics

	names map[string][]string // for Locate
}

// Policy gives the policy of a channel.
func (c *Config) Policy(ch Channel) Policy { return c.Policies[ch.Policy] }

// Passphrase says where a passphrase comes from: at most one of the three.
type Passphrase struct {
	File   string // path; its first line
	Env    string // name of an environment variable
	Prompt bool   // ask on the terminal
}

// IsZero tells whether there is no passphrase.
func (p Passphrase) IsZero() bool { return p == Passphrase{} }

// KeyPair is a certificate, those above it, and its key, as files.
type KeyPair struct {
	Certificate string
	Chain       string // empty where there is none
	Key         string
	Passphrase  Passphrase
	Signature   string // name as of package alg; empty: the key's default
}

// CA is the certification authority.
type CA struct {
	KeyPair
	Protection *KeyPair // protects answers; nil: the CA's own
	// KeyGeneration signs the private keys that are made here; nil: the CA's own does.
	KeyGeneration *KeyPair
	Encryption    *Encryption // nil: nothing is encrypted to the CA
	RootUpdates   []RootUpdate
	KeyAgreement  *KeyPair // for MACs by Diffie-Hellman; nil: none
	KEM           *KeyPair // for MACs of answers by a KEM; nil: none
}

// Encryption is what requesters encrypt to and with.
type Encryption struct {
	KeyPair           // without Signature
	Cipher  string    // as cms.CipherNames has it
	Values  string    // whether EncryptedValue is read, as cms.ValuePolicyNames has it
	Former  []KeyPair // that this one has replaced, newest or oldest first; without Chain and Signature
	Lost    []string  // recipients of archived keys that are given up
}

// RootUpdate is one change of a root's key, as files; NewWithOld and OldWithNew
// are empty where there is none.
type RootUpdate struct{ Old, New, NewWithOld, OldWithNew string }

// Store is where state is kept.
type Store struct {
	SQLite string // path of the database
}

// Rule lets somebody ask for something.
type Rule struct {
	Name string

	// Who: exactly one of both is set.
	Secret      []Glob // of the reference; one must match
	Certificate *Holder

	May      []cmp.BodyType
	Profiles []string  // the first is the default; empty where May brings no certificates
	Subjects []Subject // one must match; empty: any
	KeyTypes []string  // names as of package alg; empty: any
	Own      bool
	// CentralKeys are the types of keys that are made here; empty: none are.
	CentralKeys []string
	// Proofs are those of possession accepted besides the usual, of ProofNames.
	Proofs []string
	// EncrKey says whether protocolEncrKey is heeded: none, recovery, allowed or
	// required.
	EncrKey string

	Approval    bool   // a person must say yes
	Approvals   int    // how many people must say yes where one must; at least 1
	Unattended  bool   // nobody is asked, not even for ccr and krr
	Archive     string // of private keys: none, allowed or required
	RAVerified  bool
	Passphrases bool // for revocation may be left
	RegToken    bool // ir and cr must bring a registration token
	SameKey     bool // kur may keep the key
	ChangeNames bool // kur may change the names
	UpdateAny   bool // kur for any certificate
	RevokeAny   bool // rr for any certificate
}

// Approver is a person who may decide about requests that wait.
type Approver struct {
	Name    string
	Account string // of the operating system
}

// MatchesSecret tells whether the rule is about holders of the shared secret
// with this reference.
func (r *Rule) MatchesSecret(ref string) bool {
	for i := range r.Secret {
		if r.Secret[i].Match(ref) {
			return true
		}
	}
	return false
}

// Holder matches holders of certificates.
type Holder struct {
	IssuedHere bool      // of this CA's
	Files      []string  // PEM: CA certificates, or the very certificates of signers
	Subjects   []Subject // of the signer; one must match; empty: any
	CMCRA      bool      // the signer's certificate must have the purpose cmcRA
}

// Trust is about CRLs of another CA.
type Trust struct {
	Name       string
	Anchors    []string // files, each one of some Rule.Certificate.Files
	CRLs       []string // files and folders
	Revocation string   // require, prefer or off
}

// Policy is how a channel speaks the protocol.
type Policy struct {
	Name               string
	Lightweight        bool          // RFC 9483 beyond RFC 9810
	MessageTimeWindow  time.Duration // 0: not looked at
	RequireMessageTime bool
	ImplicitConfirm    bool
	ConfirmWait        time.Duration
	KeepUnconfirmed    bool // when the wait is over; else they are revoked
	TransactionLife    time.Duration
	Hold               bool // no answer before the decision of a person; else "waiting"
	PollInterval       time.Duration
	LastPollNonce      bool
	ExtraCertsRoot     bool
	Tolerate           []string // names of [Tolerances]
	KEMRequesters      bool
	SilentToStrangers  bool
	SignErrors         bool
	MaxRequests        int
	MAC                alg.MACPolicy
	Signatures         alg.SignaturePolicy
}

// Channel is a place where messages come in and answers go out.
type Channel struct {
	Name   string
	Policy string // a key of Config.Policies
	Dir    *Dir   // the only kind yet; never nil
}

// Dir is a channel of folders.
type Dir struct {
	In, Out    string
	Archive    string // empty where Delete
	Delete     bool
	Failed     string
	StaleAfter time.Duration // 0: never
	Suffixes   []string      // with the dot
}

// Announcement is somebody who is told of what the CA does.
type Announcement struct {
	To     string // name of a channel
	Prefix string // of the names of files
	What   []cmp.BodyType
}

// Process is for the command that works on one medium.
type Process struct {
	Policy string // a key of Config.Policies
}

// CRL is about certificate revocation lists.
type CRL struct {
	File     string        // empty: none
	Every    time.Duration // 0: not by time
	Lifetime time.Duration // above Every
	OnRevoke bool
}

// Batch is about what is worked on at a time.
type Batch struct {
	Size      int
	Workers   int // 0: one for each processor
	ScanEvery time.Duration
}

// Log is about the log.
type Log struct {
	Level slog.Level
	JSON  bool
}

// Metrics is about monitoring; both are empty where they are off.
type Metrics struct {
	Listen   string // host:port
	Textfile string
}
