package cmpcore

import (
	"fmt"
	"strings"
	"time"

	"cmp-batch/cmpcore/cmp"
)

// waitForPerson stores a request that a person must decide. The channel says
// whether the requester is told to poll, or gets no answer before the decision.
func (x *exchange) waitForPerson(rule *Rule, orig *cmp.PKIMessage, items []certItem) error {
	t := x.newTransaction(orig)
	t.Items = t.Items[:0]
	var names []string
	body := &cmp.CertRepMessage{Kind: responseKind(orig.Body.Type())}
	for i := range items {
		it := &items[i]
		t.Items = append(t.Items, TransactionItem{CertReqID: it.id.Int64()})
		body.Responses = append(body.Responses, cmp.CertResponse{
			CertReqID: it.id,
			Status:    cmp.PKIStatusInfo{Status: cmp.Waiting, StatusString: []string{"waits for a decision of the CA's operator"}},
		})
		name := it.ask.Subject.String()
		if it.central {
			name += " (with a key made here)"
		}
		if it.fail != nil {
			name += " (will be refused: " + it.fail.text + ")"
		}
		names = append(names, name)
	}
	return x.wait(rule, t, clip(orig.Body.Type().String()+": "+strings.Join(names, "; ")), body)
}

// waitWhole is waitForPerson for bodies without items: rr and genm wait as a
// whole message, by an error message with status waiting (RFC 9810 section
// 5.3.22).
func (x *exchange) waitWhole(rule *Rule, orig *cmp.PKIMessage, summary string) error {
	t := x.newTransaction(orig)
	t.Items = []TransactionItem{{CertReqID: -1}}
	return x.wait(rule, t, clip(summary), &cmp.ErrorMsg{Status: cmp.PKIStatusInfo{
		Status: cmp.Waiting, StatusString: []string{"waits for a decision of the CA's operator"},
	}})
}

func (x *exchange) wait(rule *Rule, t *Transaction, summary string, body cmp.Body) error {
	t.State = AwaitingDecision
	t.Summary = summary
	t.Expires = x.now.Add(x.policy.TransactionLife)
	t.Held = x.policy.Hold
	t.Approvals = rule.Approvals
	x.out.Transaction = t
	if err := x.rememberProof(t); err != nil {
		return err
	}
	x.out.KeepRequest = x.tx == nil // it is kept already where a challenge came before
	// Nothing is granted yet, so nothing must still hold at this commit.
	x.out.Relied = nil
	x.audit("waiting", func(a *AuditEntry) { a.Detail = clip(t.Summary) })
	if x.left != nil && x.who.phrase != nil {
		return refuse(cmp.BadRequest, "a new revocation passphrase is not taken with a request that waits: the one before is needed to ask for its answer")
	}
	if t.Held {
		x.out.Disposition = Held
		x.keepPassphrase() // not with the answer, which may come late
		return nil
	}
	x.out.Disposition = Waiting
	return x.reply(body, replyOptions{})
}

func (x *exchange) rejectedByPerson() *failure {
	text := "the request was refused by the CA's operator"
	if reason := x.tx.Reason(); reason != "" {
		text = strings.ToValidUTF8(reason, "\ufffd")
	}
	return refuse(cmp.NotAuthorized, text).because("rejected by %s", x.tx.DecidedBy())
}

// poll answers pollReq: the decision is there and its message is processed
// now, or it is to be asked for again later.
func (x *exchange) poll(b *cmp.PollReq) error {
	if x.tx == nil {
		return refuse(cmp.BadRequest, "no transaction of this requester has this transactionID")
	}
	if x.tx.State != AwaitingDecision || x.tx.Held {
		return refuse(cmp.BadRequest, "nothing is waiting in this transaction")
	}
	if err := x.checkFollowUp(true); err != nil {
		return err
	}
	if err := x.checkPollIDs(b); err != nil {
		return err
	}
	if x.tx.Decision == Undecided || x.tx.Frozen {
		return x.askLater(b)
	}
	der, err := x.view.Message(x.ctx, x.tx.Request)
	if err != nil {
		return err
	}
	if der == nil {
		return fmt.Errorf("%w: %x", errNoRequest, x.tx.Request)
	}
	orig, err := cmp.Parse(der, x.cfg.Limits)
	if err != nil {
		return fmt.Errorf("request of a waiting transaction: %w", err)
	}
	return x.decided(orig)
}

func (x *exchange) auditDecision() {
	event := "approved"
	if x.tx.Decision == Rejected {
		event = "rejected-by-operator"
	}
	x.audit(event, func(a *AuditEntry) { a.Detail = clip("by " + x.tx.DecidedBy() + " " + x.tx.Reason()) })
}

// decided processes the first message of a waiting transaction with the
// decision that people have taken.
func (x *exchange) decided(orig *cmp.PKIMessage) error {
	rule, err := x.rule(orig.Body.Type())
	if err == nil && x.tx.Decision == Approved && x.tx.Approved() < rule.Approvals {
		return x.waitForMore(rule)
	}
	if x.tx.Decision != Undecided {
		x.auditDecision()
	}
	if err != nil {
		return x.finalFailure(orig, err)
	}
	switch b := orig.Body.(type) {
	case *cmp.RevReqContent:
		return x.finalFailure(orig, x.revokeUnder(rule, orig, b))
	case *cmp.CertReqMessages:
		if b.Kind == cmp.TypeKRR {
			return x.finalFailure(orig, x.recoverUnder(rule, orig, b))
		}
		return x.finalFailure(orig, x.certify(rule, orig))
	default:
		return x.finalFailure(orig, x.certify(rule, orig))
	}
}

// finalFailure ends a waiting transaction with an error message where its
// request as a whole can no longer be granted.
func (x *exchange) finalFailure(orig *cmp.PKIMessage, err error) error {
	f, ok := asFailure(err)
	if !ok {
		return err
	}
	x.out = &Outcome{Disposition: Refused, Reason: f.Error(), Audit: x.out.Audit}
	t := x.newTransaction(orig)
	t.endWaiting(Aborted)
	x.out.Transaction = t
	x.audit("refused", func(a *AuditEntry) { a.Rule = f.rule; a.Detail = clip(f.Error()) })
	return x.reply(&cmp.ErrorMsg{Status: f.statusInfo()}, x.finalOptions(orig, t))
}

// finalOptions: the answer that ends polling answers the first request (RFC
// 9483 section 4.4), or the last pollReq where the peer wants that.
func (x *exchange) finalOptions(orig *cmp.PKIMessage, t *Transaction) (o replyOptions) {
	if x.msg.BodyType() == cmp.TypePollReq && !x.policy.LastPollNonce {
		o.recipNonce = t.FirstNonce
	}
	return o
}

// checkPollIDs: a pollReq names the certReqIds that wait, or -1 where the
// message waits as a whole.
func (x *exchange) checkPollIDs(b *cmp.PollReq) error {
	if len(b.CertReqIDs) == 0 || len(b.CertReqIDs) > len(x.tx.Items) {
		return refuse(cmp.BadRequest, "pollReq must name the certReqIds that wait")
	}
	for _, id := range b.CertReqIDs {
		if x.findItem(id.Int64()) < 0 || !id.IsInt64() {
			return refuse(cmp.BadRequest, "pollReq names a certReqId that does not wait")
		}
	}
	return nil
}

// findItem gives the index of an item in the committed transaction. The single
// item of a p10cr has -1, and some peers call it 0.
func (x *exchange) findItem(id int64) int {
	for i, it := range x.tx.Items {
		if it.CertReqID == id {
			return i
		}
	}
	if id == 0 && len(x.tx.Items) == 1 && x.tx.Items[0].CertReqID == -1 && x.policy.tolerates("p10cr-id-zero") {
		return 0
	}
	return -1
}

func (x *exchange) askLater(b *cmp.PollReq) error {
	rep := &cmp.PollRep{}
	for _, id := range b.CertReqIDs {
		rep.Items = append(rep.Items, cmp.PollRepItem{
			CertReqID: id, CheckAfter: int64(x.policy.PollInterval / time.Second),
			Reason: []string{"waits for a decision of the CA's operator"},
		})
	}
	x.out.Disposition = Waiting
	x.out.Transaction = x.newTransaction(x.msg)
	return x.reply(rep, replyOptions{})
}
