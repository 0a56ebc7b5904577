package cmpcore

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/cmp"
)

// spoiledBatch tells whether the message is a nested one of which something
// inside may be all that cannot be read.
func (x *exchange) spoiledBatch() bool {
	return x.msg.BodyType() == cmp.TypeNested && errors.Is(x.req.parseErr, cmp.ErrBody)
}

// nested answers messages that a registration authority has put into one and
// signed (RFC 9810 section 5.1.3.4, RFC 9483 section 5.2.2). The protection of
// each is checked as if it had come alone, and it has the same outcome, but for
// two things: the authority may vouch for possession, and nothing is held.
//
// Around one message the signature is added protection: the answer is that of
// the inner message. Several are a batch: their answers go, in order, into one
// nested answer, which is signed by us.
func (x *exchange) nested() error {
	if cmp.ProtectionKind(x.msg.Header.ProtectionAlg) != cmp.ProtectionSignature {
		return refuse(cmp.WrongIntegrity, "a nested message must be signed")
	}
	if err := checkGeneralInfo(&x.msg.Header); err != nil {
		return err
	}
	rule, err := x.rule(cmp.TypeNested)
	if err != nil {
		return err
	}
	if x.depth >= x.cfg.Limits.MaxNestedDepth() {
		return refuse(cmp.BadRequest, "nested messages are inside each other too often")
	}
	list, err := x.innerRequests()
	if err != nil {
		return err
	}
	if len(list) == 1 {
		return x.addedProtection(rule, list[0])
	}
	return x.batch(rule, list)
}

// innerRequests gives the messages inside. Where one of them made the parser
// give up, each is read by itself.
func (x *exchange) innerRequests() ([]*Request, error) {
	var list []*Request
	if b, ok := x.msg.Body.(*cmp.Nested); ok {
		for _, m := range b.Messages {
			list = append(list, &Request{Hash: sha256.Sum256(m.Raw), DER: m.Raw, Channel: x.req.Channel, msg: m})
		}
		return list, nil
	}
	raw, err := x.msg.NestedRaw(x.cfg.Limits)
	if err != nil {
		return nil, refuse(cmp.BadDataFormat, "the messages inside could not be told apart").because("%v", err)
	}
	good := true
	for _, der := range raw {
		r := x.Parse(der, x.req.Channel)
		good = good && r.parseErr == nil
		list = append(list, r)
	}
	if good {
		return nil, refuse(cmp.BadDataFormat, "the message could not be read").because("%v", x.req.parseErr)
	}
	return list, nil
}

// addedProtection answers the one message inside. The outer message then often
// has the transactionID of the inner one (RFC 9810 section 5.1.1), so that it
// begins no transaction of its own.
func (x *exchange) addedProtection(rule *Rule, r *Request) error {
	if r.msg == nil {
		return refuse(cmp.BadDataFormat, "what is inside is no message").because("%v", r.parseErr)
	}
	if err := x.refusePassphrase(); err != nil {
		return err
	}
	p, err := x.part(rule, r, newOverlay(x.view), false)
	if err != nil {
		return err
	}
	x.auditNested(rule, 1)
	o := p.Outcome
	x.out.Disposition, x.out.Reply, x.out.Reason = o.Disposition, o.Reply, o.Reason
	x.out.Parts = []Part{*p}
	return nil
}

// batch answers several messages. What one of them makes true is true for those
// behind it.
func (x *exchange) batch(rule *Rule, list []*Request) error {
	if err := x.checkFirst(); err != nil {
		return err
	}
	id := x.msg.Header.TransactionID
	x.out.Transaction = &Transaction{
		Key: transactionKey(x.who.identity, id), Requester: x.who.identity, TransactionID: id, Channel: x.req.Channel,
		Body: cmp.TypeNested, State: Finished, Created: x.now, Request: x.req.Hash, FirstNonce: x.msg.Header.SenderNonce,
	}
	v := newOverlay(x.view)
	if err := v.apply(x.ctx, x.req.Hash, nil, x.out); err != nil {
		return err
	}
	answers := &cmp.Nested{}
	refused := 0
	for _, r := range list {
		p, err := x.part(rule, r, v, true)
		if err != nil {
			return err
		}
		if err := v.apply(x.ctx, p.Hash, p.DER, p.Outcome); err != nil {
			return err
		}
		x.out.Parts = append(x.out.Parts, *p)
		if p.Outcome.Disposition == Refused {
			refused++
		}
		if p.Outcome.Reply != nil {
			answers.Messages = append(answers.Messages, &cmp.PKIMessage{Raw: p.Outcome.Reply})
		}
	}
	x.auditNested(rule, len(list))
	switch len(answers.Messages) {
	case 0:
		x.silent("no message inside needs an answer")
		return nil
	case refused:
		x.out.Disposition = Refused
		x.out.Reason = fmt.Sprintf("all of %d messages inside were refused", len(list))
	default:
		x.out.Disposition = Answered
	}
	return x.reply(answers, replyOptions{})
}

func (x *exchange) auditNested(rule *Rule, n int) {
	x.audit("nested", func(a *AuditEntry) {
		a.Rule = rule.Name
		a.Detail = fmt.Sprintf("messages inside: %d", n)
	})
}

// part processes one message inside. What is known already, alone or from
// another batch, gets the answer that it got.
func (x *exchange) part(rule *Rule, r *Request, v *overlay, batch bool) (*Part, error) {
	policy := *x.policy
	policy.Hold = false // the others would wait with it
	policy.SilentToStrangers = false
	in := &exchange{
		Engine: x.Engine, ctx: x.ctx, view: v, req: r, msg: r.msg, policy: &policy, now: x.now, out: &Outcome{},
		depth: x.depth + 1, vouched: x.vouched || rule.RAVerified, file: x.file,
	}
	if r.msg == nil {
		in.msg = &cmp.PKIMessage{}
		o, err := in.errorOutcome(refuse(cmp.BadDataFormat, "this is no message").because("%v", r.parseErr))
		return &Part{Outcome: o}, err
	}
	known, err := v.Answer(x.ctx, r.Hash)
	if err != nil {
		return nil, err
	}
	if known == nil {
		o, err := in.process()
		if err == nil && batch && !x.fits(o, false) {
			o, err = in.errorOutcome(noRoom())
			return &Part{Outcome: o}, err // not remembered: it may come again alone
		}
		return &Part{Hash: r.Hash, DER: r.DER, Outcome: o}, err
	}
	o := &Outcome{Disposition: known.Disposition, Reply: known.Reply, Reason: known.Reason}
	switch known.Disposition {
	case Held:
		o.Disposition, o.Reason = Silent, "it came before and is held: its answer goes to where it came from then"
	case Failed:
		o, err = in.errorOutcome(refuse(cmp.SystemFailure, "this message came before and could not be processed").because("%s", known.Reason))
	}
	if err == nil && batch && !x.fits(o, true) {
		o, err = in.errorOutcome(noRoom())
	}
	return &Part{Outcome: o}, err
}
