package cmpcore_test

import (
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

// The states of a transaction, as a requester knows them.
var txStates = []string{"none", "waiting", "challenged", "unconfirmed", "confirmed", "refused", "expired"}

// stateBed serves every body. Where requests are to wait, all of them do.
func stateBed(t testing.TB, state string, options ...option) *bed {
	t.Helper()
	return newBed(t, append([]option{withArchive, withCross, withRegistrars, withDecryptionKeys, func(b *bed) {
		for i := range b.cfg.Rules {
			r := &b.cfg.Rules[i]
			r.Approval = state == "waiting" && r.Name != "registrars"
			if r.Name == "cross" {
				r.Unattended = true
			}
		}
	}}, options...)...)
}

// into brings a transaction of the party into a state.
func (b *bed) into(state string, p *party) *talk {
	b.Helper()
	k := b.talk(p)
	enrol := func() *reply { return k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), version3) }
	switch state {
	case "waiting":
		enrol().waits(0)
		k.wantState(cmpcore.AwaitingDecision)
	case "challenged":
		b.keysOf(k, lifeKey(b, "x25519", 0), 0)
		k.say(k.request(cmp.TypeIR, challenged(b, lifeKey(b, "x25519", 0), crmf.KeyAgreement)), version3).body(cmp.TypePOPDecC)
		k.wantState(cmpcore.AwaitingProof)
	case "unconfirmed":
		enrol().cert(0)
		k.wantState(cmpcore.AwaitingConfirm)
	case "confirmed":
		k.say(confirmation(enrol().cert(0)), version3).body(cmp.TypePKIConf)
		k.wantState(cmpcore.Finished)
	case "refused":
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", popo: func(*crmf.CertReqMsg) {}}), version3).rejected(0, cmp.BadPOP)
		k.wantState(cmpcore.Aborted)
	case "expired":
		enrol().cert(0)
		b.now = b.now.Add(31 * day)
		b.expire()
		k.wantState(cmpcore.Aborted)
	}
	return k
}

// conf confirms the certificate of the transaction; without one, another.
func (k *talk) conf() *cmp.CertConfirm {
	k.Helper()
	for _, c := range k.store.sorted() {
		if t := k.store.transactionOf(k.id); t != nil && c.TransactionKey == t.Key {
			return confirmation(parsed(k, c.DER))
		}
	}
	return confirmation(k.ca.cert)
}

// Every kind of message x every state of its transaction x both kinds of
// requester. A row has a word for each of txStates: the body of the answer, the
// bit of an error message, or "-" for no answer at all.
func TestEveryMessageInEveryState(t *testing.T) {
	const (
		first   = "transactionIdInUse" // RFC 9483 section 3.5
		request = "badRequest"
	)
	begins := func(answer string) []string { return []string{answer, first, first, first, first, first, first} }
	never := []string{request, request, request, request, request, request, request}
	popo := func(k *talk) *cmp.CertReqMessages { return k.one(cmp.TypeIR, "CN=b", "p256 b") }
	kind := func(t cmp.BodyType) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body { b := popo(k); b.Kind = t; return b }
	}
	always := func(b cmp.Body) func(*talk) cmp.Body { return func(*talk) cmp.Body { return b } }
	secret, signer := "secret", "signature"
	for _, row := range []struct {
		name string
		who  string // empty: both
		body func(*talk) cmp.Body
		want []string // none, waiting, challenged, unconfirmed, confirmed, refused, expired
	}{
		{"ir", "", kind(cmp.TypeIR), begins("ip")},
		{"cr", "", kind(cmp.TypeCR), begins("cp")},
		{"kur", "", kind(cmp.TypeKUR), begins("kup")},
		{"p10cr", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, begins("cp")},
		{"rr", "", func(k *talk) cmp.Body { return rr(revocation(k.ca.cert, 1)) }, begins("rp")},
		{"genm", "", always(genm(question(cmp.OIDCACerts))), begins("genp")},
		{"krr", "", always(krr(nil)), begins("krp")},
		{"ccr", signer, func(k *talk) cmp.Body { return k.request(cmp.TypeCCR, k.crossWant(nil)) }, begins("ccp")},
		{"ccr", secret, func(k *talk) cmp.Body { return k.request(cmp.TypeCCR, k.crossWant(nil)) }, begins("wrongIntegrity")},
		{"nested batch", signer, func(k *talk) cmp.Body { return begin(k, "nested batch") }, begins("nested")},
		{"nested batch", secret, func(k *talk) cmp.Body { return begin(k, "nested batch") },
			[]string{"wrongIntegrity", "wrongIntegrity", "wrongIntegrity", "wrongIntegrity", "wrongIntegrity", "wrongIntegrity", "wrongIntegrity"}},

		{"certConf", "", func(k *talk) cmp.Body { return k.conf() }, []string{request, request, request, "pkiconf", "certConfirmed", request, request}},
		{"empty certConf", "", always(&cmp.CertConfirm{}), []string{request, request, request, "pkiconf", "certConfirmed", request, request}},
		{"pollReq", "", always(poll(0)), []string{request, "pollRep", request, request, request, request, request}},
		{"popdecr", "", func(k *talk) cmp.Body { return k.response() }, []string{request, request, "ip", request, request, request, request}},
		{"error", "", always(errorBody), []string{"pkiconf", "pkiconf", "pkiconf", "pkiconf", "pkiconf", "pkiconf", "pkiconf"}}, // RFC 9483 section 3.6.4
		{"pkiconf", "", always(&cmp.PKIConf{}), []string{"-", "-", "-", "-", "-", "-", "-"}},

		{"ip", "", always(&cmp.CertRepMessage{Kind: cmp.TypeIP}), never},
		{"cp", "", always(&cmp.CertRepMessage{Kind: cmp.TypeCP}), never},
		{"kup", "", always(&cmp.CertRepMessage{Kind: cmp.TypeKUP}), never},
		{"ccp", "", always(&cmp.CertRepMessage{Kind: cmp.TypeCCP}), never},
		{"krp", "", always(&cmp.KeyRecRepContent{}), never},
		{"rp", "", always(&cmp.RevRepContent{Status: []cmp.PKIStatusInfo{{}}}), never},
		{"genp", "", always(&cmp.GenMsg{Kind: cmp.TypeGenP}), never},
		{"pollRep", "", always(&cmp.PollRep{}), never},
		{"popdecc", "", always(&cmp.POPODecKeyChallenge{}), never},
	} {
		if len(row.want) != len(txStates) {
			t.Fatal(row.name)
		}
		for i, state := range txStates {
			for _, who := range []string{secret, signer} {
				if row.who != "" && row.who != who {
					continue
				}
				t.Run(strings.Join([]string{row.name, state, who}, "/"), func(t *testing.T) {
					b := stateBed(t, state)
					p := b.device("dev-1")
					if who == signer {
						p = b.registrar()
					}
					k := b.into(state, p)
					before, peer := b.store.transactionOf(k.id), k.peer
					body := row.body(k)
					edits := []edit{version3}
					r := k.say(body, edits...)
					if got := answered(r); got != row.want[i] {
						t.Fatalf("the answer is %s, want %s (%s)", got, row.want[i], r.out.Reason)
					}
					if r.out.Disposition != cmpcore.Refused || r.msg.Body.Type() != cmp.TypeError {
						return
					}
					// A refusal leaves the transaction as it was, and what it waits for
					// may still come.
					if after := b.store.transactionOf(k.id); r.out.Transaction != nil || before != nil && after.Version != before.Version {
						t.Error("the transaction was touched")
					}
					k.peer = peer
					switch state {
					case "waiting":
						k.say(poll(0), version3).body(cmp.TypePollRep)
					case "challenged":
						k.say(k.response(), version3).cert(0)
					case "unconfirmed":
						k.say(k.conf(), version3).body(cmp.TypePKIConf)
					}
				})
			}
		}
	}
}

// answered is one word for an answer.
func answered(r *reply) string {
	switch {
	case r.msg == nil:
		return "-"
	case r.msg.Body.Type() == cmp.TypeError:
		return r.msg.Body.(*cmp.ErrorMsg).Status.FailInfo.String()
	}
	return r.msg.Body.Type().String()
}
