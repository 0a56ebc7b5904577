package cmpcore

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// Config is all that an Engine is built from.
type Config struct {
	Authority Authority
	Profiles  map[string]*issuance.Profile
	Rules     []Rule            // the first that matches decides
	Policies  map[string]Policy // by channel name; channels a:b have that of a, if none of their own
	Limits    cmp.Limits
	// Trust is about revocation below the anchors of rules.
	Trust []Trust
	// Lint has the linters of those profiles that want one, by their names.
	Lint map[string]issuance.Linter

	CRLLifetime time.Duration // from thisUpdate to nextUpdate
	// CRLDistributionPoints are URLs under which a genm may ask for our CRL.
	CRLDistributionPoints []string

	// Announcements says who is told what. Each message costs a signature.
	Announcements []Announcement

	// Encryption is nil where nothing is encrypted to the CA.
	Encryption *Encryption

	// KEMSeed, at least 32 octets, is what the ciphertexts for requesters with a
	// KEM key are made from, so that none need be kept; a change makes open ones
	// useless. nil: none are made, whatever the policies say.
	KEMSeed []byte

	Clock  func() time.Time
	Random io.Reader
	// Unseal opens the secret's value. It may be called concurrently.
	Unseal func(s *Secret) ([]byte, error)
	// SealPassphrase seals the value of a revocation passphrase, UnsealPassphrase
	// opens it again: all of p but Sealed is as it was. They may be called
	// concurrently, and may be nil where no rule has Passphrases.
	SealPassphrase   func(p *Passphrase, value []byte) ([]byte, error)
	UnsealPassphrase func(p *Passphrase) ([]byte, error)
}

// Authority is the CA and the key that protects its messages.
type Authority struct {
	Issuer      *issuance.Issuer
	Certificate []byte   // DER of the CA certificate
	Chain       [][]byte // its issuers in order, the root last; empty for a root
	// RootUpdates are the changes of the root's key that are known, past ones
	// and one to come.
	RootUpdates []RootUpdate

	// Protection of our messages; where the certificate is nil, the CA's own
	// key and certificate serve.
	ProtectionCertificate []byte
	ProtectionChain       [][]byte
	Signer                crypto.Signer
	SignatureAlgorithm    string // name as of package alg; empty: the key's default

	// KeyGenerator signs the private keys that are made here. Where it is nil
	// and the CA's own key protects messages, that serves.
	KeyGenerator *KeyGenerator

	// Agreement, where set, is our half of MACs by Diffie-Hellman (RFC 9810
	// section 5.1.3.2); requesters who have its certificate may protect by them.
	Agreement *StaticKey
	// KEM, where set, opens the ciphertexts that requesters bring; their answers
	// have a MAC under it (RFC 9810 section 5.1.3.4).
	KEM *StaticKey
}

// KeyGenerator is a key generation authority: the CA itself, or the holder of a
// certificate with the extended key usage cmKGA (RFC 9483 section 4.1.6).
type KeyGenerator struct {
	Certificate        []byte
	Chain              [][]byte // its issuers in order
	Signer             crypto.Signer
	SignatureAlgorithm string // name as of package alg; empty: the key's default
}

// StaticKey is a key of ours that does not sign, with its certificate.
type StaticKey struct {
	Certificate []byte   // DER
	Chain       [][]byte // its issuers in order, where they are not the CA and its chain
	Key         crypto.PrivateKey
}

// Policy is what one channel wants of the protocol.
type Policy struct {
	// MessageTimeWindow is the greatest distance of messageTime from now, in
	// either direction; zero: not checked.
	MessageTimeWindow  time.Duration
	RequireMessageTime bool

	ImplicitConfirm bool          // grant it to those who ask
	ConfirmWait     time.Duration // how long a certificate waits for certConf
	// KeepUnconfirmed makes a certificate valid when the wait is over; else it
	// is revoked, as one that was sent encrypted always is.
	KeepUnconfirmed bool

	TransactionLife time.Duration // how long a request waits for a person
	PollInterval    time.Duration // checkAfter of our pollRep
	Hold            bool          // requests for a person get no answer before the decision

	// OmitRoot leaves self-signed certificates out of extraCerts (they stay in
	// caPubs).
	OmitRoot bool

	MAC        *alg.MACPolicy
	Signatures *alg.SignaturePolicy

	// Lightweight applies the rules that RFC 9483 has beyond RFC 9810.
	Lightweight bool
	// LastPollNonce answers the last pollReq's senderNonce in the final
	// message after polling, as OpenSSL 3.0 wants, not the first request's
	// (RFC 9483 section 4.4).
	LastPollNonce bool
	// Tolerate lists deviations of peers that are accepted on read; the names
	// are those of [Tolerances].
	Tolerate []string
	// KEMRequesters lets holders of certificates for a KEM key ask, without any
	// protection, for a ciphertext, and protect by a MAC under its secret (RFC
	// 9810 section 5.1.3.4).
	KEMRequesters bool
	// SilentToStrangers leaves messages without good protection unanswered.
	SilentToStrangers bool
	// SignErrors has error messages signed by the CA where the request has a MAC
	// too (RFC 9810 section 5.3.21).
	SignErrors bool
	// MaxRequests bounds CertReqMsgs, RevDetails and ITAVs of one message; 0: 1000.
	MaxRequests int
}

// Rule says who may ask for what.
type Rule struct {
	Name string

	// Who: exactly one of both.
	Secret      func(ref string) bool
	Certificate *CertificateWho

	May      []cmp.BodyType
	Profiles []string // the first is the default, the others by certProfile

	// Own narrows a rule for certificate holders: names must be those of the
	// signer's certificate. Updated and revoked may be, with or without it, only
	// that certificate and those that were issued at its holder's request.
	Own bool
	// Names, where set, must accept the subject of a request.
	Names func(subject pkix.Name) bool
	// KeyTypes, where set, must contain the requested key's type.
	KeyTypes []string
	// CentralKeys are the types of keys that are made here for those who ask
	// for it, the first where they name none. Empty: none are made.
	CentralKeys []string

	// EncrKey says with which private keys a request may name the key to encrypt
	// them to.
	EncrKey EncrKeyMode

	Approval bool // a person must say yes
	// Approvals is how many people must say yes where one must; 0 is 1.
	Approvals int
	// Archive says whether the private keys of certificates are kept here.
	Archive ArchiveMode
	// Proofs are forms of proof of possession accepted besides the usual ones.
	Proofs Proofs
	// Passphrases lets the requester leave a revocation passphrase, under which rr
	// for its certificates is taken (RFC 9810 section 5.3.19.9).
	Passphrases bool
	// RegToken wants a registration token with requests by ir and cr of holders of
	// certificates (RFC 4211 section 6.1): control regToken or authenticator with
	// REF:SECRET of a shared secret that is limited to this rule.
	RegToken bool
	// Unattended lets ccr and krr be answered without a person, which else it never is.
	Unattended bool

	// RAVerified accepts POPO raVerified: the requester is an RA. Under a rule
	// for nested, it is accepted in the messages inside.
	RAVerified  bool
	SameKey     bool // kur may keep the key
	ChangeNames bool // kur may change subject and subjectAltName
	UpdateAny   bool // kur for any certificate of this CA
	RevokeAny   bool // rr for any certificate of this CA
}

// CertificateWho matches requesters that sign.
type CertificateWho struct {
	// IssuedHere matches holders of certificates of this CA.
	IssuedHere bool
	// Anchors matches holders of certificates that chain to one of these.
	Anchors []*x509.Certificate
	// Subject, where set, must accept the signer's subject.
	Subject func(subject pkix.Name) bool
	// CMCRA passes over signers whose certificate lacks the extended key usage
	// id-kp-cmcRA, by which its CA says that they are a registration authority
	// (RFC 9810 section 4.5).
	CMCRA bool
}

// Tolerances names the deviations that a Policy may tolerate on read, with the
// peer that needs it and the rule it breaks.
var Tolerances = map[string]string{
	"mac-sender":          "OpenSSL: with a MAC, sender is the wanted subject or NULL-DN and not the reference (RFC 9483 section 3.1)",
	"any-recipient":       "OpenSSL: recipient is a name of the client's choice (RFC 9483 section 3.1)",
	"no-sender-nonce":     "cryptlib: senderNonce may be missing or short (RFC 9810 section 5.1.1)",
	"short-transactionid": "cryptlib: transactionID of less than 16 octets (RFC 9483 section 3.1)",
	"p10cr-id-zero":       "OpenSSL before 3.1, EJBCA: certConf after p10cr has certReqId 0 and not -1 (RFC 9810 section 5.3.4)",
	"first-recip-nonce":   "some clients: recipNonce in a first request (RFC 9483 section 3.1)",
	"pop-form":            "OpenSSL: a template without subject or key with a proof of possession over the CertRequest (RFC 4211 section 4.1)",
	"signer-issuer":       "OpenSSL: the template's issuer is that of the certificate that signs, and not this CA (RFC 4211 section 5)",
	"no-sender-kid":       "some clients: no senderKID though the signer's certificate has a key identifier (RFC 9483 section 3.1)",
}

func (c *Config) check() error {
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if c.Authority.Issuer == nil || c.Authority.Signer == nil || len(c.Authority.Certificate) == 0 {
		fail("authority: issuer, signer and certificate are needed")
	}
	if c.Clock == nil || c.Random == nil || c.Unseal == nil {
		fail("clock, random source and unseal function are needed")
	}
	if c.KEMSeed != nil && len(c.KEMSeed) < 32 {
		fail("KEM seed must have at least 32 octets")
	}
	if c.CRLLifetime <= 0 {
		fail("CRL lifetime must be positive")
	}
	c.checkAnnouncements(fail)
	c.checkTrust(fail)
	c.checkLint(fail)
	if c.Encryption != nil {
		if err := c.Encryption.check(); err != nil {
			errs = append(errs, err)
		}
	}
	for i := range c.Authority.RootUpdates {
		if err := c.Authority.RootUpdates[i].check(); err != nil {
			fail("root update %d: %w", i, err)
		}
	}
	names := map[string]bool{}
	for i, r := range c.Rules {
		if r.Name == "" || names[r.Name] {
			fail("rule %d: a name of its own is needed, not %q", i, r.Name)
		}
		names[r.Name] = true
		if (r.Secret == nil) == (r.Certificate == nil) {
			fail("rule %s: exactly one of secret and certificate says who", r.Name)
		}
		if w := r.Certificate; w != nil && !w.IssuedHere && len(w.Anchors) == 0 {
			fail("rule %s: no certificate matches: neither those issued here nor those under an anchor", r.Name)
		}
		if r.Secret != nil && slices.Contains(r.May, cmp.TypeNested) {
			fail("rule %s: nested messages must be signed, a secret cannot bring them", r.Name)
		}
		if r.issues() && len(r.Profiles) == 0 {
			fail("rule %s: issues certificates but names no profile", r.Name)
		}
		if r.Approvals < 0 || r.Approvals > maxVotes {
			fail("rule %s: approvals by %d people; at most %d can be asked for", r.Name, r.Approvals, maxVotes)
		}
		for _, k := range r.CentralKeys {
			if _, ok := alg.KeyTypeAlgorithm(k); !ok {
				fail("rule %s: keys of type %q cannot be made", r.Name, k)
			}
		}
		for _, p := range r.Profiles {
			if c.Profiles[p] == nil {
				fail("rule %s: no such profile: %s", r.Name, p)
			}
		}
		if err := c.checkArchive(&r); err != nil {
			errs = append(errs, err)
		}
		if err := c.checkProofs(&r); err != nil {
			errs = append(errs, err)
		}
		if err := c.checkPassphrases(&r); err != nil {
			errs = append(errs, err)
		}
		if err := c.checkTokenRule(&r); err != nil {
			errs = append(errs, err)
		}
		if slices.Contains(r.May, cmp.TypeCCR) {
			if err := c.checkCrossRule(&r); err != nil {
				errs = append(errs, err)
			}
		}
	}
	for ch, p := range c.Policies {
		for _, t := range p.Tolerate {
			if _, ok := Tolerances[t]; !ok {
				fail("policy of channel %s: unknown tolerance %q", ch, t)
			}
		}
		if p.ConfirmWait <= 0 || p.TransactionLife <= 0 || p.PollInterval <= 0 {
			fail("policy of channel %s: confirm wait, transaction life and poll interval must be positive", ch)
		}
		if p.MaxRequests < 0 || p.MessageTimeWindow < 0 {
			fail("policy of channel %s: max requests and message time window must not be negative", ch)
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) issues() bool {
	return slices.ContainsFunc(r.May, func(b cmp.BodyType) bool {
		return b == cmp.TypeIR || b == cmp.TypeCR || b == cmp.TypeKUR || b == cmp.TypeP10CR || b == cmp.TypeCCR
	})
}

// needsApproval tells whether a message of this kind waits for a person.
func (r *Rule) needsApproval(b cmp.BodyType) bool {
	return r.Approval || (b == cmp.TypeCCR || b == cmp.TypeKRR) && !r.Unattended
}

// handlesKeys tells whether private keys of others go through our hands under
// this rule.
func (r *Rule) handlesKeys() bool {
	return r.Archive != ArchiveNone || slices.Contains(r.May, cmp.TypeKRR)
}

func (p *Policy) tolerates(name string) bool { return slices.Contains(p.Tolerate, name) }

func (p *Policy) maxRequests() int {
	if p.MaxRequests == 0 {
		return 1000
	}
	return p.MaxRequests
}
