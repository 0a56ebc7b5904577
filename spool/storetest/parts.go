package storetest

import (
	"fmt"
	"slices"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// part makes an entry one message inside another.
func part(e spool.Entry) cmpcore.Part {
	return cmpcore.Part{Hash: e.Hash, DER: e.DER, Outcome: e.Outcome}
}

// nest puts entries into a message called name.
func nest(name string, inner ...spool.Entry) spool.Entry {
	e := message(name)
	for _, i := range inner {
		e.Outcome.Parts = append(e.Outcome.Parts, part(i))
	}
	return e
}

func (b *bench) answer(name string) *cmpcore.Answer {
	b.Helper()
	return get[*cmpcore.Answer](b)(b.s.View().Answer(ctx, hash(name)))
}

func testParts(b *bench) {
	b.ok(b.s.AddSecret(ctx, secret("two", 2)))
	if a := b.answer("a"); a != nil {
		b.Errorf("an answer to nothing: %+v", a)
	}
	// The second part was computed from what the first makes true.
	use := cmpcore.SecretUse{Ref: "two", N: 1}
	first, second, third := enrolment("a"), message("b"), enrolment("c")
	first.Outcome.SecretUses, third.Outcome.SecretUses = []cmpcore.SecretUse{use}, []cmpcore.SecretUse{use}
	second.Outcome.Transaction = next(transaction("a"), 1, cmpcore.Finished)
	second.Outcome.CertChanges = []cmpcore.CertificateChange{{Serial: serial("a"), Version: 1, Status: cmpcore.Valid}}
	second.Outcome.Audit = []cmpcore.AuditEntry{{Time: day, Event: "confirmed"}}
	third.Outcome.Relied = []cmpcore.Reliance{{CertificateSerial: serial("a"), Version: 2}}
	anonymous := message("d")
	anonymous.Hash = cmpcore.Hash{}
	outer := nest("outer", first, second, third, anonymous)
	// A nested message may be inside another one.
	outer.Outcome.Parts = append(outer.Outcome.Parts, part(nest("middle", message("inner"))))
	batch, ids := b.commit(message("before"), outer, message("after"))

	if t := b.transaction("a"); t == nil || t.Version != 2 || t.State != cmpcore.Finished {
		b.Errorf("transaction %+v", t)
	}
	if c := b.certificate("a"); c == nil || c.Version != 2 || c.Status != cmpcore.Valid {
		b.Errorf("certificate %+v", c)
	}
	if b.certificate("c") == nil || b.used("two") != 2 {
		b.Errorf("the third part is not stored, or the secret used %d times", b.used("two"))
	}
	for _, name := range []string{"a", "b", "c", "middle", "inner", "outer"} {
		b.equal("answer to "+name, b.answer(name).Reply, []byte("reply to "+name))
		if st, ok := b.lookup(name); !ok || st.ID == 0 || string(st.Reply) != "reply to "+name {
			b.Errorf("%s is stored as %+v", name, st)
		}
	}
	b.equal("an answer", b.answer("a"), &cmpcore.Answer{Disposition: cmpcore.Answered, Reply: []byte("reply to a"), Reason: "issued a"})
	if b.answer("d") != nil {
		b.Error("a part without a hash is known")
	}
	// What is inside is not delivered by itself, whatever is reported.
	b.open("after commit", ids...)
	inner, _ := b.lookup("b")
	b.ok(b.s.Delivered(ctx, batch, []int64{ids[1], inner.ID}))
	b.open("delivered with an exception", ids[1])
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.open("delivered")
	// Once more, one by one.
	_, ids = b.commit(nest("outer 2", message("e")), message("f"))
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.open("one delivered", ids[0])
	b.ok(b.s.DeliveredOne(ctx, ids[0]))

	if n := b.counts().Messages; n != 11 {
		b.Errorf("%d messages, want 11", n)
	}
	b.conflict("came inside another before", message("b"))
	b.conflict("came alone before", nest("outer 3", message("f")))
	b.conflict("is the outer one", nest("outer 4", message("outer 4")))
}

func testPartConflicts(b *bench) {
	b.ok(b.s.AddSecret(ctx, secret("free", 0)))
	b.ok(b.s.AddSecret(ctx, secret("two", 2)))
	b.ok(b.s.AddSecret(ctx, secret("removed", 0)))
	b.ok(b.s.RemoveSecret(ctx, "removed"))
	base := enrolment("base")
	base.Outcome.CRL = &cmpcore.CRL{Number: 5, DER: []byte("good")}
	_, baseIDs := b.commit(base)
	baseTx, baseCert := b.transaction("base"), b.certificate("base")
	for i, c := range conflicts {
		bad := enrolment("bad")
		c.change(&bad)
		if bad.Release {
			continue // no part is one
		}
		before := b.counts()
		// The good part before it does all that an outcome can do.
		good := enrolment("good")
		good.Outcome.KeepRequest = true
		good.Outcome.Transaction.State = cmpcore.AwaitingDecision
		good.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		good.Outcome.Archive = []*cmpcore.ArchivedKey{archived("good", "r")}
		good.Outcome.Outgoing = []cmpcore.Outgoing{{Channel: "usb", Name: "ann.pki", DER: []byte("good")}}
		good.Outcome.Audit[0].Event = "the bad event"
		outer := nest("outer", good, bad, message("behind"))
		outer.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		first, last := message(fmt.Sprint("first ", i)), enrolment(fmt.Sprint("last ", i))
		first.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		last.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		id, v, err := b.s.Commit(ctx, []spool.Entry{first, outer, last})
		b.ok(err)
		if v[0].Conflict || !v[1].Conflict || v[2].Conflict || v[1].ID != 0 || len(v[1].Outgoing) != 0 || id == 0 {
			b.Errorf("%s: batch %d, verdicts %+v", c.name, id, v)
			continue
		}
		before.Messages += 2
		before.Undelivered += 2
		before.AwaitingConfirm++
		before.Certificates++
		before.Unconfirmed++
		before.AuditRecords++
		b.equal(c.name+": counts", b.counts(), before)
		for _, name := range []string{"outer", "good", "bad", "behind"} {
			if b.answer(name) != nil || b.transaction(name) != nil || b.certificate(name) != nil || b.message(name) != nil {
				b.Errorf("%s: a part of %s was stored", c.name, name)
			}
		}
		b.equal(c.name+": transaction", b.transaction("base"), baseTx)
		b.equal(c.name+": certificate", b.certificate("base"), baseCert)
		if n := b.used("free"); n != int64(2*i+2) {
			b.Errorf("%s: secret free was used %d times, want %d", c.name, n, 2*i+2)
		}
		b.noAudit("the bad event")
		if crl := get[*cmpcore.CRL](b)(b.s.View().CRL(ctx)); crl.Number != 5 {
			b.Errorf("%s: CRL %d", c.name, crl.Number)
		}
	}
	// A batch of nothing but such a conflict stores nothing.
	before := b.counts()
	b.conflict("alone", nest("outer", message("good"), message("base")))
	b.equal("counts", b.counts(), before)
	if list := b.undelivered(); list[0].ID != baseIDs[0] {
		b.Errorf("undelivered %+v", list)
	}
	b.s.Close()
	b.s = b.reopen()
	b.equal("counts after reopening", b.counts(), before)
	if _, _, err := b.s.VerifyAudit(ctx); err != nil {
		b.Error(err)
	}
}

func testPartKept(b *bench) {
	inner := message("inner")
	inner.Outcome.Disposition, inner.Outcome.Transaction, inner.Outcome.KeepRequest = cmpcore.Waiting, waiting("inner", false), true
	b.commit(nest("outer", inner))
	b.equal("kept", string(b.message("inner")), "request inner")
	b.s.Close()
	b.s = b.reopen()
	b.equal("kept", string(b.message("inner")), "request inner")
	b.commit(nest("outer 2", silent(cmpcore.Outcome{Transaction: next(waiting("inner", false), 1, cmpcore.Finished)})))
	if b.message("inner") != nil {
		b.Error("kept after the transaction went on")
	}
}

func testProof(b *bench) {
	challenge := message("a")
	tx := transaction("a")
	tx.State, tx.Proof = cmpcore.AwaitingProof, []byte{0, 1, 0xff}
	challenge.Outcome.Transaction, challenge.Outcome.KeepRequest = tx, true
	b.commit(challenge)
	want := next(tx, 1, cmpcore.AwaitingProof)
	b.equal("transaction", b.transaction("a"), want)
	b.equal("kept", string(b.message("a")), "request a")
	if c := b.counts(); c.AwaitingProof != 1 || c.Waiting != 0 || c.AwaitingConfirm != 0 {
		b.Errorf("counts %+v", c)
	}
	if n := len(collect(b, b.s.Waiting(ctx))); n != 0 {
		b.Errorf("%d transactions wait for a person", n)
	}
	b.is(b.s.Decide(ctx, key("a"), 1, vote("alice", cmpcore.Approved, "")), spool.ErrConflict, "decide")
	expired := func(at time.Time) int {
		return len(get[[]*cmpcore.Transaction](b)(b.s.Expired(ctx, at, 9)))
	}
	if n := expired(tx.Expires.Add(-time.Second)); n != 0 {
		b.Errorf("%d expired too early", n)
	}
	b.equal("expired", get[[]*cmpcore.Transaction](b)(b.s.Expired(ctx, tx.Expires, 9))[0], want)
	// It may go on to wait for a person: the request is needed still.
	b.commit(silent(cmpcore.Outcome{Transaction: next(waiting("a", false), 1, cmpcore.AwaitingDecision)}))
	b.equal("kept", string(b.message("a")), "request a")
	if t := b.transaction("a"); t.Proof != nil {
		b.Errorf("proof %x is still there", t.Proof)
	}
	b.commit(silent(cmpcore.Outcome{Transaction: next(transaction("a"), 2, cmpcore.Finished)}))
	if b.message("a") != nil || expired(day.AddDate(9, 0, 0)) != 0 {
		b.Error("something is left of a finished transaction")
	}
}

func archived(name, requester string) *cmpcore.ArchivedKey {
	return &cmpcore.ArchivedKey{KeyID: keyID(name), Serial: serial(name), Requester: requester, Subject: subject(name),
		Created: day, Envelope: []byte("envelope of " + name)}
}

func testArchive(b *bench) {
	keys := func(requester string, limit int) []*cmpcore.ArchivedKey {
		return get[[]*cmpcore.ArchivedKey](b)(b.s.View().ArchivedKeys(ctx, requester, limit))
	}
	of := func(requester, name string, limit int) []*cmpcore.ArchivedKey {
		return get[[]*cmpcore.ArchivedKey](b)(b.s.View().ArchivedKeysOf(ctx, requester, keyID(name), limit))
	}
	if len(keys("r", 9)) != 0 || len(of("r", "a", 9)) != 0 || len(collect(b, b.s.Archive(ctx))) != 0 {
		b.Error("an empty Store has archived keys")
	}
	a, again, other, bare := archived("a", "r"), archived("a", "r"), archived("b", "s"), archived("c", "r\xff\x00")
	again.Created, again.Envelope = day.Add(time.Hour), []byte("newer")
	bare.Serial, bare.Subject = nil, nil
	b.commit(silent(cmpcore.Outcome{Archive: []*cmpcore.ArchivedKey{a, other}}))
	b.commit(silent(cmpcore.Outcome{Archive: []*cmpcore.ArchivedKey{bare}}), nest("outer", silent(cmpcore.Outcome{Archive: []*cmpcore.ArchivedKey{again}})))
	b.equal("of r", keys("r", 9), []*cmpcore.ArchivedKey{again, a})
	b.equal("the newest of r", keys("r", 1), []*cmpcore.ArchivedKey{again})
	b.equal("of s", keys("s", 9), []*cmpcore.ArchivedKey{other})
	b.equal("of octets", keys("r\xff\x00", 9), []*cmpcore.ArchivedKey{bare})
	b.equal("none", keys("r", 0), []*cmpcore.ArchivedKey(nil))
	b.equal("by key", of("r", "a", 9), []*cmpcore.ArchivedKey{again, a})
	b.equal("the newest by key", of("r", "a", 1), []*cmpcore.ArchivedKey{again})
	b.equal("none by key", of("r", "a", 0), []*cmpcore.ArchivedKey(nil))
	// The same key in another's name.
	alien := archived("a", "s")
	b.commit(silent(cmpcore.Outcome{Archive: []*cmpcore.ArchivedKey{alien}}))
	b.equal("by key, in spite of another", of("r", "a", 9), []*cmpcore.ArchivedKey{again, a})
	b.equal("all", collect(b, b.s.Archive(ctx)), []*cmpcore.ArchivedKey{a, other, bare, again, alien})
	for k := range b.s.Archive(ctx) {
		b.equal("the first", k, a)
		break
	}
	if n := b.counts().ArchivedKeys; n != 5 {
		b.Errorf("%d archived keys, want 5", n)
	}
	again.Envelope[0]++
	keys("r", 1)[0].Serial[0]++
	b.s.Close()
	b.s = b.reopen()
	b.equal("after reopening", string(of("r", "a", 1)[0].Envelope), "newer")
	b.equal("after reopening", of("r", "a", 1)[0].Serial, serial("a"))
}

func testOutgoing(b *bench) {
	out := func(name string) cmpcore.Outgoing {
		return cmpcore.Outgoing{Channel: "usb", Name: name, DER: []byte("announcement " + name)}
	}
	asked := message("asked")
	asked.Outcome.Outgoing = []cmpcore.Outgoing{out("1"), out("2")}
	outer := nest("outer", silent(cmpcore.Outcome{Outgoing: []cmpcore.Outgoing{out("4")}}))
	outer.Outcome.Outgoing = []cmpcore.Outgoing{out("3")}
	entries := []spool.Entry{asked, outer, silent(cmpcore.Outcome{Outgoing: []cmpcore.Outgoing{out("5")}})}
	batch, v, err := b.s.Commit(ctx, entries)
	b.ok(err)
	if len(v[0].Outgoing) != 2 || len(v[1].Outgoing) != 2 || len(v[2].Outgoing) != 1 || v[2].ID != 0 {
		b.Fatalf("verdicts %+v", v)
	}
	ids := []int64{v[0].ID, v[0].Outgoing[0], v[0].Outgoing[1], v[1].ID, v[1].Outgoing[0], v[1].Outgoing[1], v[2].Outgoing[0]}
	if !slices.IsSorted(ids) {
		b.Errorf("IDs %v do not rise", ids)
	}
	b.open("after commit", ids...)
	for i, name := range map[int]string{1: "1", 2: "2", 4: "3", 5: "4", 6: "5"} {
		b.equal("outgoing", b.undelivered()[i], spool.Undelivered{ID: ids[i], Batch: batch,
			Return: spool.Return{Channel: "usb", Name: name}, Reply: []byte("announcement " + name)})
	}
	b.s.Close()
	b.s = b.reopen()
	b.open("after reopening", ids...)
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.ok(b.s.DeliveredOne(ctx, ids[1]))
	b.open("one", ids[0], ids[2], ids[3], ids[4], ids[5], ids[6])
	b.ok(b.s.Delivered(ctx, batch, []int64{ids[4], ids[3]}))
	b.open("the batch with exceptions", ids[3], ids[4])
	b.ok(b.s.Delivered(ctx, batch, nil))
	b.open("all")
	if _, again := b.commit(message("later")); again[0] <= ids[6] {
		b.Errorf("ID %d was used before", again[0])
	}
	if n := b.counts().Messages; n != 3 {
		b.Errorf("%d messages, want 3", n)
	}
}
