package cmpcore_test

import (
	"fmt"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
)

func TestVotes(t *testing.T) {
	yes, no, back := cmpcore.Approved, cmpcore.Rejected, cmpcore.Undecided
	type say struct {
		by string
		d  cmpcore.Decision
	}
	for name, c := range map[string]struct {
		need int
		said []say
		want cmpcore.Decision
		by   string
	}{
		"nobody":                                   {2, nil, back, ""},
		"one is enough where none are asked for":   {0, []say{{"a", yes}}, yes, "a"},
		"one of one":                               {1, []say{{"a", yes}}, yes, "a"},
		"one of two":                               {2, []say{{"a", yes}}, back, ""},
		"two of two":                               {2, []say{{"a", yes}, {"b", yes}}, yes, "a, b"},
		"the same person twice":                    {2, []say{{"a", yes}, {"a", yes}}, back, ""},
		"the same person in other letters":         {2, []say{{"alice", yes}, {"Alice", yes}}, back, ""},
		"three of two":                             {2, []say{{"a", yes}, {"b", yes}, {"c", yes}}, yes, "a, b, c"},
		"one rejection rejects":                    {2, []say{{"a", no}}, no, "a"},
		"also after an approval":                   {2, []say{{"a", yes}, {"b", no}}, no, "b"},
		"also after all approvals":                 {2, []say{{"a", yes}, {"b", yes}, {"c", no}}, no, "c"},
		"others do not outvote it":                 {1, []say{{"a", no}, {"b", yes}, {"c", yes}}, no, "a"},
		"who rejected may approve":                 {2, []say{{"a", no}, {"b", yes}, {"a", yes}}, yes, "b, a"},
		"who approved may reject":                  {1, []say{{"a", yes}, {"a", no}}, no, "a"},
		"taken back":                               {1, []say{{"a", yes}, {"a", back}}, back, ""},
		"one of two takes it back, a third agrees": {2, []say{{"a", yes}, {"b", yes}, {"a", back}, {"c", yes}}, yes, "b, c"},
	} {
		t.Run(name, func(t *testing.T) {
			tx := &cmpcore.Transaction{Approvals: c.need}
			for _, s := range c.said {
				before := tx.Votes
				was := fmt.Sprint(before)
				if err := tx.Vote(cmpcore.Vote{By: s.by, Decision: s.d, Note: "note of " + s.by}); err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(before) != was {
					t.Error("the votes before were changed in place, which a View may share")
				}
			}
			if tx.Decision != c.want || tx.DecidedBy() != c.by {
				t.Errorf("decision %d by %q, want %d by %q", tx.Decision, tx.DecidedBy(), c.want, c.by)
			}
			if want := "note of " + c.by; c.want == no && tx.Reason() != want || c.want != no && tx.Reason() != "" {
				t.Errorf("reason %q", tx.Reason())
			}
		})
	}
	tx := &cmpcore.Transaction{}
	for _, v := range []cmpcore.Vote{{By: "a", Decision: 3}, {Decision: yes}, {}} {
		if err := tx.Vote(v); err == nil || len(tx.Votes) != 0 {
			t.Errorf("%+v: %v", v, err)
		}
	}
	for i := range 32 {
		if err := tx.Vote(cmpcore.Vote{By: fmt.Sprint(i), Decision: yes}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Vote(cmpcore.Vote{By: "one more", Decision: no}); err == nil {
		t.Error("any number of people can be heard")
	}
	if err := tx.Vote(cmpcore.Vote{By: "31", Decision: no}); err != nil || tx.Decision != no {
		t.Error("nobody can say anything else any more", err)
	}
}

// twoPeople makes two people necessary where one was.
var twoPeople = withRule("slow", func(r *cmpcore.Rule) { r.Approvals = 2 })

func TestTwoPeopleApproveARecovery(t *testing.T) {
	b := newBed(t, withArchive, withRule("slow", func(r *cmpcore.Rule) { r.Approval, r.Approvals = false, 2 }))
	p := b.device("slow-1")
	cert := b.archived(p, "CN=s", "p256 s") // no person is asked
	ask := func(by string, d cmpcore.Decision, k *talk) {
		tx := b.store.transactionOf(k.id)
		b.vote(tx, by, d, "not this one")
	}
	k := b.talk(p)
	k.say(krr(nil), version3).body(cmp.TypeKRP)
	if tx := b.store.transactionOf(k.id); tx.Approvals != 2 || tx.Needed() != 2 {
		t.Fatalf("%d approvals are asked for", tx.Approvals)
	}
	ask("alice", cmpcore.Approved, k)
	ask("alice", cmpcore.Approved, k)
	k.say(poll(-1), version3).pollRep(-1)
	ask("bob", cmpcore.Approved, k)
	r := k.say(poll(-1), version3)
	r.history(&cms.Key{Password: []byte(p.secret)}, cert)
	if !strings.Contains(describe(r.out), "by alice, bob") {
		t.Errorf("the audit log does not name both: %s", describe(r.out))
	}

	k = b.talk(p)
	k.say(krr(nil), version3).body(cmp.TypeKRP)
	ask("alice", cmpcore.Approved, k)
	ask("bob", cmpcore.Rejected, k)
	k.say(poll(-1), version3).norecovery(cmp.NotAuthorized)
}

func TestTwoPeopleApproveWhatIsHeld(t *testing.T) {
	b := newBed(t, hold, twoPeople)
	k := b.talk(b.device("slow-1"))
	der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	tx := b.store.transactionOf(k.id)
	b.vote(tx, "alice", cmpcore.Approved, "")
	if out, err := b.engine.Process(t.Context(), b.engine.Parse(der, "dir"), b.store); err == nil {
		t.Fatalf("one has approved, and it is %s", out.Disposition)
	}
	b.vote(tx, "bob", cmpcore.Approved, "")
	k.send(der).cert(0)
}

// The rule was made stricter after one person had approved.
func TestARuleThatAsksForMorePeopleMeanwhile(t *testing.T) {
	stricter := func(b *bed) {
		twoPeople(b)
		b.engine = must[*cmpcore.Engine](b)(cmpcore.New(b.cfg))
	}
	t.Run("polled", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("slow-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
		b.decide(k, cmpcore.Approved, "")
		stricter(b)
		k.say(poll(0)).pollRep(0)
		tx := b.store.transactionOf(k.id)
		if tx.Decision != cmpcore.Undecided || tx.Approved() != 1 || tx.Needed() != 2 {
			t.Fatalf("%+v", tx)
		}
		b.vote(tx, "bob", cmpcore.Approved, "")
		k.say(poll(0)).cert(0)
	})
	t.Run("held", func(t *testing.T) {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		b.decide(k, cmpcore.Approved, "")
		stricter(b)
		k.send(der).silent(cmpcore.Held)
		b.vote(b.store.transactionOf(k.id), "bob", cmpcore.Approved, "")
		k.send(der).cert(0)
	})
	t.Run("a rejection stands", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("slow-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
		b.decide(k, cmpcore.Rejected, "")
		stricter(b)
		k.say(poll(0)).judge(cmp.NotAuthorized)
	})
	t.Run("and nobody comes", func(t *testing.T) {
		b := newBed(t, hold)
		k := b.talk(b.device("slow-1"))
		der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"))
		b.decide(k, cmpcore.Approved, "")
		stricter(b)
		b.now = epoch.Add(90 * day)
		if outs := b.expire(); len(outs) != 1 || outs[0].Disposition != cmpcore.Held {
			t.Fatal("it was approved by too few, and is not waiting again")
		}
		outs := b.expire()
		k.check(der, outs[0]).refused(cmp.NotAuthorized)
		if !strings.Contains(describe(outs[0]), "1 of 2 approved in time") {
			t.Error(describe(outs[0]))
		}
		k.wantState(cmpcore.Aborted)
	})
	t.Run("a rule wants more people than there can be", func(t *testing.T) {
		b := newBed(t)
		b.cfg.Rules[0].Approvals = 33
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "approvals by 33 people") {
			t.Error(err)
		}
	})
}
