package client

import (
	"bytes"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// kindNested is the Kind of a session of [Nest].
const kindNested = "nested"

// NestedItem is one message inside a nested one.
type NestedItem struct {
	// Name is the caller's, to find the message again; this package only keeps it.
	Name          string `json:"name,omitempty"`
	Kind          string `json:"kind"` // of its body: "ir", "certConf", ...
	TransactionID Octets `json:"transaction_id"`
	Sender        Octets `json:"sender,omitempty"` // DER of a GeneralName
	// Own tells that its sender is that of the nested message.
	Own bool `json:"own,omitempty"`
}

// NestedAnswer is the answer to one message inside a nested one. Only the sender
// of that message can check its protection: pass it on as it is.
type NestedAnswer struct {
	Index int // of the message, in the order given to Nest
	Kind  cmp.BodyType
	DER   []byte
}

// nestedLimits are for batches: much in one message, by somebody who is trusted
// to answer.
var nestedLimits = cmp.Limits{DER: der.Limits{Bytes: 64 << 20, Elements: 4_000_000}}

// Nest makes one message of those that others have made and protected, signed
// by c: the key of a registration authority (RFC 9810 section 5.1.3.4, RFC 9483
// section 5.2.2). recipient nil is that of the first message, or where it names
// none, the issuer of c's certificate.
//
// Around one message the signature is added protection: the outer header has
// transactionID and nonces of the inner one, and the answer is that to the inner
// message. Several messages are a batch with a transaction of its own; its
// answer has the answers inside. [Session.Accept] gives both as Result.Nested.
//
// Errors wrap [ErrOptions] or [ErrCredentials], or are those of the key.
func Nest(messages [][]byte, c Credentials, recipient pkix.Name) (*Session, []byte, error) {
	own, err := c.check()
	if err != nil {
		return nil, nil, err
	}
	if len(c.Secret) > 0 || c.Agreement != nil || own == nil {
		return nil, nil, fmt.Errorf("%w: a nested message must be signed, with a key and its certificate", ErrCredentials)
	}
	if len(messages) == 0 {
		return nil, nil, fmt.Errorf("%w: there is no message to nest", ErrOptions)
	}
	s := &Session{Version: sessionVersion, Kind: kindNested, Step: StepAnswer, PVNO: 2}
	body := &cmp.Nested{}
	for i, raw := range messages {
		m, err := cmp.Parse(raw, nestedLimits)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: message %d: %w", ErrOptions, i, err)
		}
		if len(m.Header.TransactionID) == 0 {
			return nil, nil, fmt.Errorf("%w: message %d has no transactionID, its answer could not be told apart", ErrOptions, i)
		}
		s.PVNO = max(s.PVNO, min(m.Header.PVNO, 3))
		s.Nested = append(s.Nested, NestedItem{Kind: m.BodyType().String(), TransactionID: slices.Clone(m.Header.TransactionID), Sender: slices.Clone(Octets(m.Header.Sender))})
		body.Messages = append(body.Messages, m)
	}
	if s.Protection, err = protection(&c); err != nil {
		return nil, nil, err
	}
	if recipient == nil {
		recipient = pkix.Name(own.cert.RawIssuer)
		if n, ok := body.Messages[0].Header.Recipient.DirectoryName(); ok && !n.IsEmpty() {
			recipient = n
		}
	}
	s.Sender = Octets(pkix.NewDirectoryName(pkix.Name(own.cert.RawSubject)))
	for i, m := range body.Messages {
		s.Nested[i].Own = sameName(m.Header.Sender, pkix.GeneralName(s.Sender))
	}
	s.Recipient = Octets(pkix.NewDirectoryName(recipient))
	nonce, err := random(c.Rand)
	if err != nil {
		return nil, nil, err
	}
	if s.TransactionID, err = random(c.Rand); err != nil {
		return nil, nil, err
	}
	if len(messages) == 1 {
		h := &body.Messages[0].Header
		s.TransactionID, s.PeerNonce = s.Nested[0].TransactionID, slices.Clone(Octets(h.RecipNonce))
		if len(h.SenderNonce) >= nonceSize {
			nonce = slices.Clone(Octets(h.SenderNonce))
		}
	}
	out, err := s.seal(&c, body, nil, nil, s.PVNO, nonce)
	if err != nil {
		return nil, nil, err
	}
	s.FirstNonce, s.PeerNonce = s.Nonce, nil
	return s, out, nil
}

// addedProtection takes the answer to the one message inside. What can be
// checked is that it belongs to it: it is protected for its sender.
func (s *Session) addedProtection(m *cmp.PKIMessage) (*Result, error) {
	if m.Body.Type() == cmp.TypeNested && s.Nested[0].Kind != kindNested {
		return nil, fmt.Errorf("%w: nested in answer to %s", ErrBody, s.Nested[0].Kind)
	}
	if !bytes.Equal(m.Header.TransactionID, s.TransactionID) {
		return nil, fmt.Errorf("%w: %.32x", ErrTransaction, m.Header.TransactionID)
	}
	s.Step = StepFinished
	return &Result{Kind: m.Body.Type(), Done: true, Nested: []NestedAnswer{{Kind: m.Body.Type(), DER: slices.Clone(m.Raw)}}}, nil
}

// forUs tells whether the answer is not to the message inside but an error that
// is for the authority itself.
func (s *Session) forUs(m *cmp.PKIMessage) bool {
	_, isError := m.Body.(*cmp.ErrorMsg)
	return isError && !s.Nested[0].Own && sameName(m.Header.Recipient, pkix.GeneralName(s.Sender))
}

// split takes a batch of answers apart. They are in the order of the messages,
// some of which need none.
func (s *Session) split(b *cmp.Nested, r *Result) error {
	next := 0
	for i, m := range b.Messages {
		at := s.answered(m, s.Nested[next:])
		if at < 0 {
			if _, isError := m.Body.(*cmp.ErrorMsg); isError {
				continue // it tells nobody whose it is; the others have theirs
			}
			return fmt.Errorf("%w: answer %d inside is to none of the messages that are left", ErrTransaction, i)
		}
		next += at + 1
		r.Nested = append(r.Nested, NestedAnswer{Index: next - 1, Kind: m.Body.Type(), DER: slices.Clone(m.Raw)})
	}
	s.Step = StepFinished
	return nil
}

// answered finds the message that an answer is to, by transactionID and sender:
// of two with the same transactionID one may need no answer. An answer for
// nobody by name, and one that is without the transactionID because that was too
// long to be repeated, is to the first that it can be to.
func (s *Session) answered(m *cmp.PKIMessage, items []NestedItem) int {
	same := func(n NestedItem) bool { return bytes.Equal(n.TransactionID, m.Header.TransactionID) }
	if len(m.Header.TransactionID) == 0 {
		same = func(n NestedItem) bool { return len(n.TransactionID) > mostMirrored }
	}
	at := slices.IndexFunc(items, func(n NestedItem) bool {
		return same(n) && sameName(m.Header.Recipient, pkix.GeneralName(n.Sender))
	})
	if at < 0 {
		at = slices.IndexFunc(items, same)
	}
	return at
}

// mostMirrored is the longest transactionID that CAs are sure to repeat.
const mostMirrored = 64
