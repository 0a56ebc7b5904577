package cmpcore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

func (r *reply) pollRep(ids ...int64) {
	r.Helper()
	b := r.body(cmp.TypePollRep).msg.Body.(*cmp.PollRep)
	if len(b.Items) != len(ids) || r.out.Disposition != cmpcore.Waiting {
		r.Fatalf("pollRep of %d items, %s", len(b.Items), r.out.Disposition)
	}
	for i, it := range b.Items {
		if it.CertReqID.Int64() != ids[i] || it.CheckAfter != 3600 || len(it.Reason) != 1 {
			r.Errorf("item %d: %+v", i, it)
		}
	}
}

func TestARequestWaitsUntilItIsApproved(t *testing.T) {
	for _, last := range []bool{false, true} {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.LastPollNonce = last }))
		k := b.talk(b.device("slow-1", func(s *cmpcore.Secret) { s.MaxUses = 1 }))
		r := k.say(k.one(cmp.TypeIR, "CN=device 1", "p256 a")).body(cmp.TypeIP)
		r.waits(0)
		if r.out.Disposition != cmpcore.Waiting || len(b.store.certs) != 0 || b.store.secrets["slow-1"].Used != 0 {
			t.Fatalf("waiting, and yet %s", describe(r.out))
		}
		if s := b.store.transactionOf(k.id).Summary; !strings.Contains(s, "CN=device 1") {
			t.Errorf("summary %q", s)
		}
		k.say(poll(0)).pollRep(0)
		k.say(poll(0)).pollRep(0)
		b.decide(k, cmpcore.Approved, "")
		c := k.say(poll(0)).cert(0) // its nonce is checked by the bed
		b.wantStatus(c, cmpcore.Unconfirmed)
		k.say(confirmation(c)).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
		if b.store.secrets["slow-1"].Used != 1 {
			t.Error("the secret was not used once")
		}
		if len(b.store.messages) != 0 {
			t.Error("the request is still kept")
		}
	}
}

func TestARejectionGivesThePersonsReason(t *testing.T) {
	for reason, want := range map[string]string{
		"": "the request was refused by the CA's operator", "we do not know this device": "we do not know this device",
		"caf\xe9": "caf\ufffd", // from a terminal that is not UTF-8
	} {
		b := newBed(t)
		k := b.talk(b.device("slow-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
		b.decide(k, cmpcore.Rejected, reason)
		r := k.say(poll(0))
		r.judge(cmp.NotAuthorized)
		if got := r.response(0).Status.StatusString[0]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		k.say(poll(0)).refused(cmp.BadRequest)
	}
}

func TestWhatCannotBeGrantedDoesNotWait(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "rsa1024 a")).judge(cmp.BadAlg)
	// Nor does what a secret that is used up asks for.
	k = b.talk(b.device("slow-1", func(s *cmpcore.Secret) { s.MaxUses, s.Used = 2, 2 }))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).judge(cmp.NotAuthorized)
	b.device("slow-1")
	// In company it does, and is refused at the end.
	k = b.talk(b.device("slow-1"))
	r := k.say(k.request(cmp.TypeIR, want2("CN=a", "rsa1024 a", 0), want2("CN=b", "p256 b", 1)))
	r.waits(0)
	r.waits(1)
	k.say(poll(1, 0)).pollRep(1, 0)
	k.say(poll(1)).pollRep(1)
	b.decide(k, cmpcore.Approved, "")
	r = k.say(poll(0, 1))
	r.rejected(0, cmp.BadAlg)
	r.cert(1)
}

func TestAFrozenDecisionIsNotActedOn(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	b.decide(k, cmpcore.Approved, "").Frozen = true
	k.say(poll(0)).pollRep(0)
	b.store.transactionOf(k.id).Frozen = false
	k.say(poll(0)).cert(0)
}

func TestAPollMustFitItsTransaction(t *testing.T) {
	b := newBed(t)
	p := b.device("slow-1")
	k := b.talk(p)
	k.say(poll(0)).refused(cmp.BadRequest) // of nothing
	k = b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	nonce := k.peer
	for name, c := range map[string]struct {
		body *cmp.PollReq
		edit edit
		want cmp.PKIFailureInfo
	}{
		"a wrong id":    {poll(1), nil, cmp.BadRequest},
		"minus one":     {poll(-1), nil, cmp.BadRequest},
		"two ids":       {poll(0, 0), nil, cmp.BadRequest},
		"no id":         {poll(), nil, cmp.BadRequest},
		"no nonce":      {poll(0), func(m *message) { m.RecipNonce = nil }, cmp.BadRecipientNonce},
		"a wrong nonce": {poll(0), func(m *message) { m.RecipNonce = random(16) }, cmp.BadRecipientNonce},
	} {
		t.Run(name, func(t *testing.T) {
			k.peer = nonce
			edits := []edit{}
			if c.edit != nil {
				edits = append(edits, c.edit)
			}
			k.say(c.body, edits...).refused(c.want)
		})
	}
	k.peer = nonce
	k.say(poll(0)).pollRep(0)
	// The answer to that poll may be lost with its medium: an earlier nonce will
	// do, but not for ever.
	second := k.peer
	k.peer = nonce
	k.say(poll(0)).pollRep(0)
	for range 8 {
		k.say(poll(0)).pollRep(0)
	}
	k.peer = second
	k.say(poll(0)).refused(cmp.BadRecipientNonce)
}

func TestAP10CRWaitsUnderMinusOne(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("slow-1"))
	r := k.say(k.p10cr("CN=a", "p256 a"))
	r.waits(0)
	if id := r.response(0).CertReqID.Int64(); id != -1 {
		t.Errorf("id %d", id)
	}
	nonce := k.peer
	k.say(poll(0)).refused(cmp.BadRequest)
	k.peer = nonce
	k.say(poll(-1)).pollRep(-1)
	b.decide(k, cmpcore.Approved, "")
	k.say(poll(-1)).cert(0)
}

func TestARevocationWaitsAsAWhole(t *testing.T) {
	for _, d := range []cmpcore.Decision{cmpcore.Approved, cmpcore.Rejected} {
		b := newBed(t, withRule("slow", func(r *cmpcore.Rule) { r.RevokeAny = true }))
		c := b.enrolled("CN=device 1", "p256 a").holder.cert
		k := b.talk(b.device("slow-1"))
		r := k.say(rr(revocation(c, 1))).body(cmp.TypeError)
		if s := r.msg.Body.(*cmp.ErrorMsg).Status; s.Status != cmp.Waiting || r.out.Disposition != cmpcore.Waiting {
			t.Fatalf("%s, %s", s.Status, r.out.Disposition)
		}
		b.wantStatus(c, cmpcore.Valid)
		k.say(poll(-1)).pollRep(-1)
		b.decide(k, d, "not today")
		r = k.say(poll(-1))
		if d == cmpcore.Approved {
			r.statuses(0)
			b.wantStatus(c, cmpcore.Revoked)
		} else {
			r.statuses(cmp.NotAuthorized)
			b.wantStatus(c, cmpcore.Valid)
		}
	}
}

func TestWhatHasChangedWhenTheDecisionComes(t *testing.T) {
	setup := func(t *testing.T, options ...option) (*bed, *talk, *party) {
		b := newBed(t, options...)
		p := b.device("slow-1")
		k := b.talk(p)
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
		b.decide(k, cmpcore.Approved, "")
		return b, k, p
	}
	t.Run("the secret has expired: it may end what it began, and begin nothing", func(t *testing.T) {
		b, k, p := setup(t)
		b.store.secrets["slow-1"].Expires = epoch.Add(-1)
		k.say(poll(0)).cert(0)
		other := b.talk(p)
		other.say(other.one(cmp.TypeIR, "CN=a", "p256 a")).refused(cmp.NotAuthorized)
	})
	t.Run("the secret was used up", func(t *testing.T) {
		b, k, _ := setup(t)
		b.store.secrets["slow-1"].MaxUses, b.store.secrets["slow-1"].Used = 1, 1
		k.say(poll(0)).judge(cmp.NotAuthorized)
	})
	t.Run("the rule is gone", func(t *testing.T) {
		b, k, _ := setup(t)
		b.cfg.Rules = b.cfg.Rules[:1]
		b.rebuild()
		r := k.say(poll(0))
		r.refused(cmp.NotAuthorized)
		k.wantState(cmpcore.Aborted)
	})
	t.Run("the rule needs no approval any more", func(t *testing.T) {
		b, k, _ := setup(t)
		b.cfg.Rules[2].Approval = false
		b.rebuild()
		k.say(poll(0)).cert(0)
	})
	t.Run("the profile has become stricter", func(t *testing.T) {
		b, k, _ := setup(t)
		b.cfg.Rules[2].KeyTypes = []string{"ed25519"}
		b.rebuild()
		k.say(poll(0)).judge(cmp.BadCertTemplate)
	})
	t.Run("the request is lost, which is an error of the store", func(t *testing.T) {
		b, k, _ := setup(t)
		clear(b.store.messages)
		if _, err := b.engine.Process(context.Background(), b.engine.Parse(k.message(poll(0)), "dir"), b.store); err == nil {
			t.Error("no error")
		}
	})
}

func TestNobodyDecides(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	b.now = epoch.Add(90 * day)
	if outs := b.expire(); len(outs) != 1 || outs[0].Reply != nil {
		t.Fatalf("%d outcomes", len(outs))
	}
	k.wantState(cmpcore.Aborted)
	k.say(poll(0)).refused(cmp.BadRequest)
}

// Requests that are held get no answer before the decision.

var hold = withPolicy(func(p *cmpcore.Policy) { p.Hold, p.MessageTimeWindow = true, time.Hour })

func (k *talk) held(body cmp.Body, edits ...edit) []byte {
	k.Helper()
	k.say(body, edits...).silent(cmpcore.Held)
	return k.last
}

func TestAHeldRequestIsAnsweredByItsDecision(t *testing.T) {
	for _, d := range []cmpcore.Decision{cmpcore.Approved, cmpcore.Rejected} {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		b.now = b.now.Add(20 * day) // far outside the window of messageTime
		b.decide(k, d, "no")
		r := k.send(der)
		if d == cmpcore.Rejected {
			r.judge(cmp.NotAuthorized)
			continue
		}
		c := r.cert(0)
		k.say(confirmation(c)).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
	}
}

func TestAHeldRequestIsNotPolled(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	k.say(poll(0)).refused(cmp.BadRequest)
	k.wantState(cmpcore.AwaitingDecision)
}

// Frozen stops the decision of a held request too.
func TestAFrozenHeldRequestStaysHeld(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	for range 2 { // undecided, then decided and frozen
		if out, err := b.engine.Process(t.Context(), b.engine.Parse(der, "dir"), b.store); err == nil {
			t.Errorf("processed again, it is %s", out.Disposition)
		}
		if b.store.transactionOf(k.id).Decision == cmpcore.Undecided {
			b.decide(k, cmpcore.Approved, "").Frozen = true
		}
	}
	b.store.transactionOf(k.id).Frozen = false
	k.send(der).cert(0)
}

func TestAHeldRevocationIsAnsweredByItsDecision(t *testing.T) {
	b := newBed(t, hold, withRule("slow", func(r *cmpcore.Rule) { r.RevokeAny = true }))
	c := b.enrolled("CN=device 1", "p256 a").holder.cert
	k := b.talk(b.device("slow-1"))
	der := k.held(rr(revocation(c, 1)))
	b.decide(k, cmpcore.Approved, "")
	k.send(der).statuses(0)
	b.wantStatus(c, cmpcore.Revoked)
}

func TestWhatHasChangedWhenAHeldRequestIsReleased(t *testing.T) {
	t.Run("the secret is gone: answered by our signature", func(t *testing.T) {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		delete(b.store.secrets, "slow-1")
		b.decide(k, cmpcore.Approved, "")
		r := k.send(der)
		r.refused(cmp.BadMessageCheck)
		if !r.signed {
			t.Error("a MAC by a secret that is gone")
		}
		k.wantState(cmpcore.Aborted)
	})
	t.Run("the secret has expired: it was good when the request came", func(t *testing.T) {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		b.store.secrets["slow-1"].Expires = epoch
		b.decide(k, cmpcore.Approved, "")
		r := k.send(der)
		r.cert(0)
		if r.signed {
			t.Error("not in kind")
		}
	})
	for name, edits := range map[string][]edit{
		"the certificate is revoked":                     nil,
		"the certificate is revoked and was not with it": {func(m *message) { m.extra = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, hold, withRule("holders", func(r *cmpcore.Rule) { r.Approval = true }))
			p := b.enrolled("CN=device 1", "p256 a")
			k := b.talk(p)
			der := k.held(k.one(cmp.TypeKUR, "CN=device 1", "p256 b"), edits...)
			b.revokeByHand(p.holder.cert, 1)
			b.decide(k, cmpcore.Approved, "")
			k.send(der).refused(cmp.CertRevoked)
			k.wantState(cmpcore.Aborted)
		})
	}
	t.Run("the signer is a stranger now", func(t *testing.T) {
		b := newBed(t, hold, withRule("partners", func(r *cmpcore.Rule) { r.Approval = true }))
		k := b.talk(b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil)))
		der := k.held(k.one(cmp.TypeCR, "CN=a", "p256 a"))
		b.cfg.Rules = b.cfg.Rules[:5]
		b.rebuild()
		b.decide(k, cmpcore.Approved, "")
		k.send(der).refused(cmp.SignerNotTrusted)
		k.wantState(cmpcore.Aborted)
	})
	t.Run("the rule is gone", func(t *testing.T) {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		b.cfg.Rules = b.cfg.Rules[:1]
		b.rebuild()
		b.decide(k, cmpcore.Approved, "")
		k.send(der).refused(cmp.NotAuthorized)
		k.wantState(cmpcore.Aborted)
	})
}

func TestAHeldRequestIsAnsweredWhenItsTimeIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cmpcore.Secret, *bed)
		signed bool
	}{
		"in kind":                             {func(*cmpcore.Secret, *bed) {}, false},
		"in kind though the secret expired":   {func(s *cmpcore.Secret, b *bed) { s.Expires = epoch.Add(1) }, false},
		"by our signature without the secret": {func(s *cmpcore.Secret, b *bed) { delete(b.store.secrets, s.Ref) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, hold)
			k := b.talk(b.device("slow-1"))
			der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
			c.change(b.store.secrets["slow-1"], b)
			b.now = epoch.Add(90 * day)
			outs := b.expire()
			if len(outs) != 1 {
				t.Fatalf("%d outcomes", len(outs))
			}
			r := k.check(der, outs[0])
			r.refused(cmp.NotAuthorized)
			if r.signed != c.signed {
				t.Errorf("signed: %v", r.signed)
			}
			k.wantState(cmpcore.Aborted)
		})
	}
}

// The octets of a held request are all that releases it.
func TestADecisionReleasesNoOtherMessage(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	b.decide(k, cmpcore.Approved, "")
	k.say(k.one(cmp.TypeIR, "CN=admin", "p256 b")).refused(cmp.TransactionIDInUse)
	k.wantState(cmpcore.AwaitingDecision)
}

func TestAMessageOfManyRequestsIsHeldAsOne(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	der := k.held(k.request(cmp.TypeIR, want2("CN=a", "p256 a", 0), want{id: 1, subject: "CN=b", key: "p256 b", popo: func(*crmf.CertReqMsg) {}}))
	b.decide(k, cmpcore.Approved, "")
	r := k.send(der)
	r.cert(0)
	r.rejected(1, cmp.BadPOP)
}

// A decision that was taken in time, but not acted on, is not forgotten.
func TestADecisionOutlivesTheClock(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	b.decide(k, cmpcore.Approved, "")
	b.now = epoch.Add(91 * day)
	outs := b.expire()
	if len(outs) != 1 {
		t.Fatalf("%d outcomes", len(outs))
	}
	c := k.check(der, outs[0]).cert(0)
	b.wantStatus(c, cmpcore.Unconfirmed)
	k.wantState(cmpcore.AwaitingConfirm)

	// Without holding, it ends when nobody asks for it.
	b = newBed(t)
	k = b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	b.decide(k, cmpcore.Approved, "")
	b.now = epoch.Add(91 * day)
	if outs := b.expire(); len(outs) != 1 || outs[0].Reply != nil || outs[0].Audit[0].Detail != "the requester never asked for the decision" {
		t.Errorf("%d outcomes", len(outs))
	}
	k.wantState(cmpcore.Aborted)
}

func TestALostHeldRequestIsAnErrorOfTheStore(t *testing.T) {
	b := newBed(t, hold)
	k := b.talk(b.device("slow-1"))
	k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	clear(b.store.messages)
	b.now = epoch.Add(91 * day)
	if _, err := b.engine.Expire(context.Background(), b.store.transactionOf(k.id), b.store); err == nil {
		t.Error("no error")
	}
}
