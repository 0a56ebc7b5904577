package cmpcore

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"cmp-batch/cmpcore/cmp"
)

// exchange is one message on its way to its outcome.
type exchange struct {
	*Engine
	ctx    context.Context
	view   View
	req    *Request
	msg    *cmp.PKIMessage
	policy *Policy
	now    time.Time
	out    *Outcome

	who *requester   // nil until the protection was checked
	tx  *Transaction // the committed transaction of a follow-up, nil for a new one

	left         *Passphrase // came with this message, to be kept with its answer
	leftInHeader bool        // and in its header, so that the answer's is to say so

	kemSecret []byte // of the requester's ciphertext; nil: none

	depth   int  // nested messages around this one
	vouched bool // the authority that signed one of them may vouch for possession

	spent [costs]int
	file  *file // shared with the messages around and beside this one

	proven    []int64             // certReqIds whose challenges were answered
	protector *keyRecipient       // who protects the message, as whom to encrypt keys to, once that is known
	unseen    bool                // there may be archived keys that were not looked at
	sample    bool                // nothing is issued now, whatever the judgement
	inter     []*x509.Certificate // see intermediates; empty but not nil: none
}

// run fills x.out or returns a *failure or an error of the View.
func (x *exchange) run() error {
	// Nothing answers these (RFC 9810 sections 5.3.13 to 5.3.17), and an error in
	// answer to pkiconf could bounce for ever between two CAs.
	switch body := x.msg.BodyType(); {
	case body == cmp.TypePKIConf:
		x.silent(body.String() + " needs no answer")
		return nil
	case announced(body):
		return x.announcement()
	}
	if err := x.checkHeader(); err != nil {
		return err
	}
	if x.req.parseErr == nil && x.asksForCiphertext() {
		return x.giveCiphertext()
	}
	if x.req.parseErr != nil && !x.spoiledBatch() {
		// What cannot be read can still be authenticated: the octets are there.
		if x.msg.RawBody != nil {
			if err := x.authenticate(); err != nil {
				return err
			}
		}
		return refuse(cmp.BadDataFormat, "the message could not be read").because("%v", x.req.parseErr)
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	key := transactionKey(x.who.identity, x.msg.Header.TransactionID)
	tx, err := x.view.Transaction(x.ctx, key)
	if err != nil {
		return err
	}
	x.tx = tx
	if err := x.checkExpiry(); err != nil {
		return err
	}
	if x.heldMessage() && !x.released() {
		return errHeld
	}
	if x.released() {
		return x.decided(x.msg)
	}
	if err := x.checkMessageTime(); err != nil {
		return err
	}
	if x.msg.BodyType() == cmp.TypeNested {
		return x.nested()
	}
	switch b := x.msg.Body.(type) {
	case *cmp.CertReqMessages:
		switch b.Kind {
		case cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR, cmp.TypeCCR:
			return x.enrol()
		case cmp.TypeKRR:
			return x.recover()
		}
	case *cmp.P10CR:
		return x.enrol()
	case *cmp.RevReqContent:
		return x.revoke()
	case *cmp.GenMsg:
		if b.Kind == cmp.TypeGenM {
			return x.general(b)
		}
	case *cmp.CertConfirm:
		return x.confirm(b)
	case *cmp.PollReq:
		return x.poll(b)
	case *cmp.POPODecKeyResponse:
		return x.proveByResponse(b)
	case *cmp.ErrorMsg:
		return x.peerError(b)
	}
	return refuse(cmp.BadRequest, x.msg.BodyType().String()+" messages are not served here")
}

// heldMessage tells whether this message is held for a person.
func (x *exchange) heldMessage() bool {
	return x.tx != nil && x.tx.Held && x.tx.State == AwaitingDecision && x.tx.Request == x.req.Hash
}

// released tells whether this message was held for a person, came to its
// decision, and is processed again.
func (x *exchange) released() bool {
	return x.heldMessage() && x.tx.Decision != Undecided && !x.tx.Frozen
}

// claimedTransaction finds the transaction that this message would belong to
// if its protection were good. It only serves to find the transaction that
// these very octets began.
func (x *exchange) claimedTransaction() (*Transaction, error) {
	h := &x.msg.Header
	if x.who != nil {
		return x.view.Transaction(x.ctx, transactionKey(x.who.identity, h.TransactionID))
	}
	identity := "secret:" + string(h.SenderKID)
	if cmp.ProtectionKind(h.ProtectionAlg) == cmp.ProtectionMAC {
		owners, err := x.ownersOfRevoked()
		if err != nil {
			return nil, err
		}
		for _, o := range owners {
			t, err := x.view.Transaction(x.ctx, transactionKey(passphraseIdentity(o), h.TransactionID))
			if t != nil || err != nil {
				return t, err
			}
		}
	} else {
		if len(x.msg.ExtraCerts) == 0 {
			return nil, nil
		}
		c, err := x509.ParseCertificate(x.msg.ExtraCerts[0])
		if err != nil {
			return nil, nil
		}
		identity = certIdentity(c, bytes.Equal(c.RawIssuer, x.caName))
	}
	return x.view.Transaction(x.ctx, transactionKey(identity, h.TransactionID))
}

func (x *exchange) silent(reason string) {
	x.out.Disposition = Silent
	x.out.Reason = reason
}

// audit adds an entry about this exchange.
func (x *exchange) audit(event string, fill func(*AuditEntry)) {
	a := AuditEntry{Time: x.now, Event: event, Channel: x.req.Channel}
	if id := x.msg.Header.TransactionID; len(id) <= maxTransactionID {
		a.Transaction = hex.EncodeToString(id)
	}
	if x.who != nil {
		a.Requester = x.who.identity
	}
	if fill != nil {
		fill(&a)
	}
	x.out.Audit = append(x.out.Audit, a)
}

// errorOutcome answers with an error message and leaves every transaction as
// it was.
func (x *exchange) errorOutcome(f *failure) (*Outcome, error) {
	if x.msg.BodyType() == cmp.TypeError {
		// Error messages that answer error messages could go to and fro for ever.
		x.out = &Outcome{}
		x.silent("error message: " + f.Error())
		return x.out, nil
	}
	x.out = &Outcome{Disposition: Refused, Reason: f.Error()}
	x.audit("refused", func(a *AuditEntry) { a.Rule = f.rule; a.Detail = clip(f.Error()) })
	if x.who == nil && x.policy.SilentToStrangers {
		x.out.Disposition = Failed
		return x.out, nil
	}
	info := f.statusInfo()
	if err := x.reply(&cmp.ErrorMsg{Status: info}, replyOptions{}); err != nil {
		return nil, err
	}
	return x.out, nil
}

// clip bounds text that a stranger may have chosen. The result is UTF-8 as a
// PKIFreeText must be, whatever was cut in two.
func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "..."
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

var (
	errNoRequest = errors.New("the request of a waiting transaction is not in the store")
	errHeld      = errors.New("the message is held, and there is no decision that may be acted on")
)
