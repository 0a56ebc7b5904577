package cmpcore

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/cmp"
)

// Expire gives the outcome of a transaction whose time has run out: an
// unconfirmed certificate is revoked or becomes valid, as its channel says; a
// request that waited for a person is over, and where it was held its first
// message is answered now: by the decision, where one was taken after all.
func (e *Engine) Expire(ctx context.Context, t *Transaction, v View) (*Outcome, error) {
	if t.State == AwaitingDecision && t.Held && t.Decision != Undecided && !t.Frozen {
		r, err := e.heldRequest(ctx, t, v)
		if err != nil {
			return nil, err
		}
		return e.Process(ctx, r, v)
	}
	now := e.cfg.Clock()
	out := &Outcome{Disposition: Silent}
	next := *t
	next.endWaiting(Aborted)
	out.Transaction = &next
	entry := AuditEntry{Time: now, Event: "expired", Requester: t.Requester, Transaction: hex.EncodeToString(t.TransactionID), Channel: t.Channel}
	switch t.State {
	case AwaitingConfirm:
		policy, ok := e.policyOf(t.Channel)
		if !ok {
			return nil, fmt.Errorf("channel %q has no policy", t.Channel)
		}
		next.Items = append([]TransactionItem(nil), t.Items...)
		if policy.KeepUnconfirmed && !slices.ContainsFunc(t.Items, func(i TransactionItem) bool { return i.Unproven }) {
			next.State = Finished
		}
		for i, item := range t.Items {
			if item.Serial == nil || item.Confirmed {
				continue
			}
			cert, err := v.Certificate(ctx, item.Serial)
			if err != nil {
				return nil, err
			}
			if cert == nil || cert.Status != Unconfirmed {
				continue
			}
			change := CertificateChange{Serial: item.Serial, Version: cert.Version, Status: RejectedByHolder, RevokedAt: now}
			if policy.KeepUnconfirmed && !item.Unproven {
				change = CertificateChange{Serial: item.Serial, Version: cert.Version, Status: Valid}
				next.Items[i].Confirmed = true
			}
			out.CertChanges = append(out.CertChanges, change)
			entry.Serial = hex.EncodeToString(item.Serial)
			entry.Detail = "no certConf came; the certificate is now " + change.Status.String()
			out.Audit = append(out.Audit, entry)
		}
	case AwaitingDecision:
		entry.Detail = "nobody decided in time"
		if n := t.Approved(); n > 0 {
			entry.Detail = fmt.Sprintf("%d of %d approved in time", n, t.Needed())
		}
		if t.Decision != Undecided {
			entry.Detail = "the requester never asked for the decision"
		}
		out.Audit = append(out.Audit, entry)
		if t.Held {
			return e.expireHeld(ctx, t, v, out)
		}
	case AwaitingProof:
		entry.Detail = "the challenge was not answered"
		out.Audit = append(out.Audit, entry)
	default:
		return nil, fmt.Errorf("transaction %x in state %d does not expire", t.Key, t.State)
	}
	if err := e.announceChanges(ctx, v, out); err != nil {
		return nil, err
	}
	return out, nil
}

// heldRequest reads the first message of a held transaction.
func (e *Engine) heldRequest(ctx context.Context, t *Transaction, v View) (*Request, error) {
	der, err := v.Message(ctx, t.Request)
	if err != nil {
		return nil, err
	}
	if der == nil {
		return nil, fmt.Errorf("%w: %x", errNoRequest, t.Request)
	}
	r := e.Parse(der, t.Channel)
	if r.msg == nil {
		return nil, fmt.Errorf("held request %x: %w", t.Request, r.parseErr)
	}
	return r, nil
}

// expireHeld refuses the first message of a held transaction.
func (e *Engine) expireHeld(ctx context.Context, t *Transaction, v View, out *Outcome) (*Outcome, error) {
	r, err := e.heldRequest(ctx, t, v)
	if err != nil {
		return nil, err
	}
	policy, ok := e.policyOf(t.Channel)
	if !ok {
		return nil, fmt.Errorf("channel %q has no policy", t.Channel)
	}
	x := &exchange{Engine: e, ctx: ctx, view: v, req: r, msg: r.msg, policy: &policy, now: e.cfg.Clock(), out: &Outcome{}, file: &file{}}
	if err := x.authenticate(); err != nil {
		// Whoever proved himself is answered in kind even where his secret has
		// expired since; else by our signature.
		if _, ok := asFailure(err); !ok {
			return nil, err
		}
	}
	x.out = out
	out.Disposition = Refused
	out.Reason = "nobody decided in time"
	f := refuse(cmp.NotAuthorized, "the request was not decided in time")
	if err := x.reply(&cmp.ErrorMsg{Status: f.statusInfo()}, replyOptions{}); err != nil {
		return nil, err
	}
	return out, nil
}
