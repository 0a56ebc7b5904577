package cmpcore

import (
	"fmt"
	"io"
	"slices"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

type replyOptions struct {
	recipNonce []byte // nil: the message's senderNonce
	info       []cmp.InfoTypeAndValue
}

// reply builds, protects and stores the answer. It is protected as the request
// was, where that protection was good: a MAC by the same secret and algorithm,
// one by Diffie-Hellman by the same, a signature by ours;
// but with a MAC by our KEM key where the request brought a ciphertext for it,
// and with a signature an error message where the policy says SignErrors.
// Whoever did not prove to hold a secret gets a signature, so that no guess at
// a secret can be tested offline.
func (x *exchange) reply(body cmp.Body, o replyOptions) error {
	nonce := make([]byte, nonceSize)
	if _, err := io.ReadFull(x.cfg.Random, nonce); err != nil {
		return fmt.Errorf("nonce: %w", err)
	}
	req := &x.msg.Header
	h := cmp.PKIHeader{
		PVNO:          req.PVNO,
		Sender:        x.sender,
		Recipient:     req.Sender, // mirrored octet by octet
		MessageTime:   x.now,
		TransactionID: req.TransactionID,
		SenderNonce:   nonce,
		RecipNonce:    req.SenderNonce,
		GeneralInfo:   o.info,
	}
	if body.Type() != cmp.TypeError || x.out.Disposition != Refused {
		tell, err := x.tellPassphrase()
		if err != nil {
			return err
		}
		if tell {
			h.GeneralInfo = append(slices.Clone(h.GeneralInfo), cmp.InfoTypeAndValue{Type: cmp.OIDRevPassphrase})
		}
		x.keepPassphrase()
	}
	switch {
	case h.PVNO == 1: // below all that is known here: the lowest (RFC 9810 section 7)
		h.PVNO = 2
	case h.PVNO != 2 && h.PVNO != 3:
		h.PVNO = 3
	}
	if h.Recipient == nil {
		h.Recipient = pkix.NewDirectoryName(pkix.EmptyName) // sender could not be read
	}
	if o.recipNonce != nil {
		h.RecipNonce = o.recipNonce
	}
	if len(h.TransactionID) > maxTransactionID {
		h.TransactionID = nil
	}
	var p cmp.Protector
	var extra [][]byte
	inKind := x.who != nil && !(x.policy.SignErrors && body.Type() == cmp.TypeError)
	switch {
	case inKind && x.kemSecret != nil:
		var err error
		if p, err = x.kemProtector(); err != nil {
			return err
		}
		extra = x.kem.protects(&h, x.policy)
	case inKind && x.who.mac != nil:
		mac, err := x.who.mac.InKind(x.cfg.Random)
		if err != nil {
			return fmt.Errorf("salt: %w", err)
		}
		p = cmp.MACProtector(mac, x.who.secretValue)
		h.SenderKID = req.SenderKID
		extra = x.caChain
		if x.policy.OmitRoot {
			extra = x.caChainCut
		}
	case inKind && x.who.dh != nil:
		p = cmp.DHMACProtector(x.who.dh, x.who.dhSecret)
		extra = x.agreement.protects(&h, x.policy)
	default:
		p = cmp.SignatureProtector(x.cfg.Random, x.cfg.Authority.Signer, x.sigAlg)
		h.SenderKID = x.senderKID
		extra = x.protChain
		if x.policy.OmitRoot {
			extra = x.protCut
		}
	}
	der, err := cmp.Seal(&h, body, extra, p)
	if err != nil {
		return fmt.Errorf("build the %s answer: %w", body.Type(), err)
	}
	x.out.Reply = der
	if t := x.out.Transaction; t != nil {
		t.OurNonce = pushNonce(t.OurNonce, nonce)
	}
	return nil
}

// answerSender is the sender of answers in kind: the holder of the key that
// protects them.
func (x *exchange) answerSender() pkix.GeneralName {
	switch {
	case x.kemSecret != nil:
		return x.kem.sender
	case x.who.dh != nil:
		return x.agreement.sender
	}
	return x.sender
}

// newTransaction is the state of a transaction that begins with orig.
func (x *exchange) newTransaction(orig *cmp.PKIMessage) *Transaction {
	if x.tx != nil {
		t := *x.tx
		t.Items = append([]TransactionItem(nil), x.tx.Items...)
		t.OurNonce = append([]byte(nil), x.tx.OurNonce...)
		return &t
	}
	id := orig.Header.TransactionID
	return &Transaction{
		Key:           transactionKey(x.who.identity, id),
		Requester:     x.who.identity,
		TransactionID: id,
		Channel:       x.req.Channel,
		Body:          orig.Body.Type(),
		Created:       x.now,
		Request:       x.req.Hash,
		FirstNonce:    orig.Header.SenderNonce,
	}
}

// endWaiting clears what only a waiting transaction has. Nothing expires then,
// unless the caller says what the next state waits for.
func (t *Transaction) endWaiting(s TransactionState) {
	t.State = s
	t.Expires = time.Time{}
	t.Held = false
	t.Frozen = false
	t.Summary = ""
	t.Proof = nil
}
