package client

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"cmp-batch/cmpcore/cmp"
)

// Session is the memory of a transaction between its steps. It holds no private
// key and, but for KEM, no secret, and goes through encoding/json unharmed. Keep it where
// nobody else can write: who changes it changes what is believed.
//
// A Session that a step has changed belongs on disk before the message of that
// step is sent.
type Session struct {
	Version       int    `json:"version"`
	Kind          string `json:"kind"` // of the request: "ir", "cr", ...
	Step          Step   `json:"step"`
	PVNO          int    `json:"pvno"`
	TransactionID Octets `json:"transaction_id"`

	FirstNonce Octets `json:"first_nonce"` // senderNonce of the request
	Nonce      Octets `json:"nonce"`       // of our last message
	PeerNonce  Octets `json:"peer_nonce,omitempty"`

	Sender       Octets `json:"sender"`    // GeneralName, as we send it
	Recipient    Octets `json:"recipient"` // GeneralName
	ExpectSender Octets `json:"expect_sender,omitempty"`
	NoTime       bool   `json:"no_time,omitempty"`

	Protection Protection `json:"protection"`

	KEM *Encapsulation `json:"kem,omitempty"` // with Trust.KEM
	// Ciphertext is what the CA gave for our KEM key: KemCiphertextInfo.
	Ciphertext Octets `json:"ciphertext,omitempty"`

	// EncrKey is Options.EncrKey. Credentials.EncrKey is its private half.
	EncrKey Octets `json:"encr_key,omitempty"`

	ImplicitConfirm bool `json:"implicit_confirm,omitempty"` // asked for
	// Passphrase tells that a revocation passphrase was sent, of which no answer
	// has said whether it was taken.
	Passphrase bool `json:"passphrase,omitempty"`

	Items       []Item       `json:"items,omitempty"`
	Revocations []RevokeItem `json:"revocations,omitempty"`
	Infos       []string     `json:"infos,omitempty"` // types of a genm
	Nested      []NestedItem `json:"nested,omitempty"`

	// Whole tells that the whole message waits, not some certReqIds of it (RFC
	// 9483 section 4.4).
	Whole bool `json:"whole,omitempty"`

	// Outgoing is our last message: what to send again where it got lost.
	Outgoing []byte `json:"outgoing,omitempty"`
	// LastAnswer is the SHA-256 of the answer accepted last.
	LastAnswer Octets `json:"last_answer,omitempty"`
}

// Step is what a session waits for.
type Step string

// The steps.
const (
	StepAnswer   Step = "answer"   // the answer to the request
	StepProof    Step = "proof"    // the answer, after our response to a challenge
	StepPoll     Step = "poll"     // a pollRep or the answer
	StepConfirm  Step = "confirm"  // the pkiConf for a certConf
	StepFinished Step = "finished" // nothing: all was answered
	StepFailed   Step = "failed"   // nothing: the peer ended it with an error
)

// Protection says how our messages of a session are protected. All of them
// have the same.
type Protection struct {
	Method    string `json:"method"` // "mac", "signature", "dh-mac" or "kem-mac"
	Reference Octets `json:"reference,omitempty"`
	MAC       *MAC   `json:"mac,omitempty"`

	Certificate []byte `json:"certificate,omitempty"`
	Signature   string `json:"signature,omitempty"`

	// Peer is the CA's certificate for key agreement.
	Peer []byte `json:"peer,omitempty"`
}

// The methods of [Protection]: a shared secret, a signature, a MAC by
// Diffie-Hellman or by a KEM.
const (
	MethodMAC       = "mac"
	MethodSignature = "signature"
	MethodDHMAC     = "dh-mac"
	MethodKEMMAC    = "kem-mac"
)

// Item is one wanted certificate.
type Item struct {
	CertReqID  int64     `json:"cert_req_id"`
	PublicKey  Octets    `json:"public_key,omitempty"` // SubjectPublicKeyInfo; none: the CA makes the key
	Subject    Octets    `json:"subject,omitempty"`    // Name; none: any
	SANs       []Octets  `json:"sans,omitempty"`       // GeneralNames
	AnySubject bool      `json:"any_subject,omitempty"`
	State      ItemState `json:"state"`
	// CentralKey tells that the CA was asked to make the key.
	CentralKey bool `json:"central_key,omitempty"`
	// Decrypts tells that possession of the key is proven by decrypting.
	Decrypts bool `json:"decrypts,omitempty"`
	// CA tells that the certificate is to be one of a CA.
	CA bool `json:"ca,omitempty"`
	// Challenge tells that it is by a response to a challenge.
	Challenge bool `json:"challenge,omitempty"`
	// Certificate is what came, in the states from ItemIssued on.
	Certificate []byte `json:"certificate,omitempty"`
	// FailInfo and Reason are our rejection, in ItemUnfit.
	FailInfo uint32 `json:"fail_info,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// ItemState is where a wanted certificate stands.
type ItemState string

// The states of an item.
const (
	ItemAsked     ItemState = "asked"
	ItemWaiting   ItemState = "waiting"
	ItemRefused   ItemState = "refused"   // by the CA
	ItemIssued    ItemState = "issued"    // certConf is due or under way
	ItemUnfit     ItemState = "unfit"     // certConf says no, or is about to
	ItemConfirmed ItemState = "confirmed" // pkiConf came, or none is needed
	ItemRejected  ItemState = "rejected"  // our no is acknowledged, or could not be said
)

// RevokeItem names a certificate to revoke.
type RevokeItem struct {
	Issuer Octets `json:"issuer"` // Name
	Serial string `json:"serial"` // decimal
}

// Octets is a byte string that is hex in JSON.
type Octets []byte

// MarshalText writes hex.
func (o Octets) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, o), nil }

// UnmarshalText reads hex.
func (o *Octets) UnmarshalText(text []byte) (err error) {
	*o, err = hex.AppendDecode(nil, text)
	return err
}

const sessionVersion = 1

// kinds maps the request to the answer.
var kinds = []struct {
	name            string
	request, answer cmp.BodyType
}{
	{"ir", cmp.TypeIR, cmp.TypeIP},
	{"cr", cmp.TypeCR, cmp.TypeCP},
	{"kur", cmp.TypeKUR, cmp.TypeKUP},
	{"p10cr", cmp.TypeP10CR, cmp.TypeCP},
	{"rr", cmp.TypeRR, cmp.TypeRP},
	{"genm", cmp.TypeGenM, cmp.TypeGenP},
	{"ccr", cmp.TypeCCR, cmp.TypeCCP},
	{"krr", cmp.TypeKRR, cmp.TypeKRP},
}

func kindName(t cmp.BodyType) (string, error) {
	for _, k := range kinds {
		if k.request == t {
			return k.name, nil
		}
	}
	return "", fmt.Errorf("%w: a client does not start with body type %d", ErrOptions, int(t))
}

func (s *Session) answerType() cmp.BodyType {
	if s.Kind == kindNested {
		return cmp.TypeNested
	}
	for _, k := range kinds {
		if k.name == s.Kind {
			return k.answer
		}
	}
	return -1
}

// check refuses what this package did not write.
func (s *Session) check() error {
	bad := func(what string) error { return fmt.Errorf("%w: %s", ErrSession, what) }
	if s == nil || s.Version != sessionVersion {
		return bad("its version is not 1")
	}
	switch {
	case s.answerType() < 0:
		return bad("its kind is unknown")
	case !slices.Contains([]Step{StepAnswer, StepProof, StepPoll, StepConfirm, StepFinished, StepFailed}, s.Step):
		return bad("its step is unknown")
	case s.PVNO != 2 && s.PVNO != 3:
		return bad("its pvno is neither 2 nor 3")
	case len(s.TransactionID) == 0 || len(s.Nonce) == 0 || len(s.FirstNonce) == 0:
		return bad("transactionID or nonce is missing")
	case len(s.Sender) == 0 || len(s.Recipient) == 0:
		return bad("sender or recipient is missing")
	case s.Kind == kindNested && len(s.Nested) == 0:
		return bad("it has no messages")
	case !slices.Contains([]string{MethodMAC, MethodSignature, MethodDHMAC, MethodKEMMAC}, s.Protection.Method):
		return bad("its protection is unknown")
	}
	return nil
}

// use completes credentials by what the session remembers and refuses others
// than those of the request: follow-ups must have the same (RFC 9810 section
// 5.1.3).
func (s *Session) use(c *Credentials) error {
	if s.Protection.Method == MethodMAC {
		switch {
		case len(c.Secret) == 0:
			return fmt.Errorf("%w: the request was protected by a shared secret, which is needed again", ErrCredentials)
		case len(c.Reference) == 0:
			c.Reference = s.Protection.Reference
		case !bytes.Equal(c.Reference, s.Protection.Reference):
			return fmt.Errorf("%w: the request was protected by the shared secret %.64q, not by %.64q", ErrCredentials, s.Protection.Reference, c.Reference)
		}
		if s.Protection.MAC != nil {
			c.MAC = *s.Protection.MAC
		}
		_, err := c.check()
		return err
	}
	if s.Protection.Method == MethodDHMAC {
		return s.useAgreement(c)
	}
	if s.Protection.Method == MethodKEMMAC {
		return s.useKEMKey(c)
	}
	if c.Key == nil {
		return fmt.Errorf("%w: the request was signed, the same key is needed again", ErrCredentials)
	}
	if !s.sameCertificate(c) {
		return fmt.Errorf("%w: the request was signed under another certificate", ErrCredentials)
	}
	c.Secret, c.Reference, c.Agreement, c.KEMKey = nil, nil, nil, nil
	c.Signature = s.Protection.Signature
	_, err := c.check()
	return err
}

// sameCertificate tells whether the credentials have the certificate that
// protects the session, and gives it to those that have none.
func (s *Session) sameCertificate(c *Credentials) bool {
	if c.Certificate == nil {
		c.Certificate = s.Protection.Certificate
	}
	return bytes.Equal(c.Certificate, s.Protection.Certificate)
}

func (s *Session) useAgreement(c *Credentials) error {
	if c.Agreement == nil {
		return fmt.Errorf("%w: the request was protected by a MAC by Diffie-Hellman, the same key is needed again", ErrCredentials)
	}
	a := *c.Agreement
	if a.Peer == nil {
		a.Peer = s.Protection.Peer
	}
	if !s.sameCertificate(c) || !bytes.Equal(a.Peer, s.Protection.Peer) {
		return fmt.Errorf("%w: the request was protected under another certificate, ours or the CA's", ErrCredentials)
	}
	if s.Protection.MAC != nil {
		a.MAC = *s.Protection.MAC
	}
	c.Secret, c.Reference, c.Agreement = nil, nil, &a
	_, err := c.check()
	return err
}

// index finds items by certReqId. It lives no longer than Items keeps its place.
type index map[int64]*Item

func (s *Session) index() index {
	x := make(index, len(s.Items))
	for i := range s.Items {
		x[s.Items[i].CertReqID] = &s.Items[i]
	}
	if s.Kind == "p10cr" && len(s.Items) == 1 {
		// RFC 9810 wants -1 for a PKCS #10 request; some peers answer 0.
		x[-1], x[0] = &s.Items[0], &s.Items[0]
	}
	return x
}

// find gives nil where nothing of that number was asked for.
func (x index) find(id *big.Int) *Item {
	if id == nil || !id.IsInt64() {
		return nil
	}
	return x[id.Int64()]
}

func (s *Session) any(state ItemState) bool {
	return slices.ContainsFunc(s.Items, func(it Item) bool { return it.State == state })
}

// clone lets a step work on a copy until all of it has succeeded.
func (s *Session) clone() *Session {
	c := *s
	c.Items = slices.Clone(s.Items)
	return &c
}

// Decrypts tells whether private keys of the wanted certificates are needed
// with the next answer: see [Credentials.RequestedKeys].
func (s *Session) Decrypts() bool {
	return (s.Step == StepAnswer || s.Step == StepProof || s.Step == StepPoll) && slices.ContainsFunc(s.Items, func(it Item) bool { return it.Decrypts })
}

// Waiting tells whether the session expects an answer.
func (s *Session) Waiting() bool { return s.Step != StepFinished && s.Step != StepFailed }
