package storetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/spool"
)

// full is an entry that uses every field.
func full() (spool.Entry, *cmpcore.Transaction, *cmpcore.Certificate) {
	t := transaction("full")
	t.Body, t.Held, t.Frozen = cmp.TypeP10CR, true, true
	t.Approvals, t.Decision, t.Summary = 3, cmpcore.Rejected, "CN=full"
	t.Votes = []cmpcore.Vote{vote("alice", cmpcore.Rejected, "no such device \u00fc\x00"), vote("\xff", cmpcore.Approved, "")}
	t.Items = []cmpcore.TransactionItem{{CertReqID: -1, Serial: serial("full"), Confirmed: true}, {CertReqID: 1 << 40, Unproven: true}}
	t.Requester, t.TransactionID, t.Expires = "cert:\xff\x00", []byte{0, 1, 0xff}, time.Time{}
	c := certificate("full")
	c.NotAfter = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // RFC 5280 section 4.1.2.5: no end
	c.NotBefore = time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)
	c.Status, c.RevokedAt, c.Reason, c.InvalidityDate = cmpcore.Revoked, day.Add(time.Second), 1, day.Add(-time.Hour)
	e := enrolment("full")
	e.Outcome.Transaction, e.Outcome.Certificates = t, []*cmpcore.Certificate{c}
	e.Outcome.CRL = &cmpcore.CRL{Number: 7, DER: []byte("crl"), ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 7)}
	return e, t, c
}

func (b *bench) checkFull(t *cmpcore.Transaction, c *cmpcore.Certificate) {
	b.Helper()
	want := *t
	want.Version = 1
	b.equal("transaction", b.transaction("full"), &want)
	cert := *c
	cert.Version = 1
	b.equal("certificate", b.certificate("full"), &cert)
	b.equal("crl", get[*cmpcore.CRL](b)(b.s.View().CRL(ctx)),
		&cmpcore.CRL{Number: 7, DER: []byte("crl"), ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 7)})
	st, _ := b.lookup("full")
	if st.ID == 0 {
		b.Error("the message has no ID")
	}
	st.ID = 0
	b.equal("message", st, spool.Stored{Disposition: cmpcore.Answered, Reply: []byte("reply to full"), Reason: "issued full"})
	if st, ok := b.lookup("none"); ok {
		b.Errorf("found a message that was never stored: %+v", st)
	}
	want2 := secret("all", 9)
	want2.Version, want2.Used, want2.Rule, want2.Bodies, want2.Expires = 1, 3, "factory", []string{"ir", "p10cr"}, day.AddDate(0, 1, 0)
	b.equal("secret", get[*cmpcore.Secret](b)(b.s.View().Secret(ctx, "all")), want2)
}

func (b *bench) storeFull() (*cmpcore.Transaction, *cmpcore.Certificate) {
	b.Helper()
	s := secret("all", 9)
	s.Used, s.Rule, s.Bodies, s.Expires = 3, "factory", []string{"ir", "p10cr"}, day.AddDate(0, 1, 0)
	b.ok(b.s.AddSecret(ctx, s))
	e, t, c := full()
	b.commit(e)
	return t, c
}

func testRoundTrip(b *bench) {
	v := b.s.View()
	if t := b.transaction("full"); t != nil {
		b.Errorf("an empty Store has a transaction: %+v", t)
	}
	if c := b.certificate("full"); c != nil {
		b.Errorf("an empty Store has a certificate: %+v", c)
	}
	if m := b.message("full"); m != nil {
		b.Errorf("an empty Store has a message: %q", m)
	}
	if c := get[*cmpcore.CRL](b)(v.CRL(ctx)); c != nil {
		b.Errorf("an empty Store has a CRL: %+v", c)
	}
	if s := get[*cmpcore.Secret](b)(v.Secret(ctx, "all")); s != nil {
		b.Errorf("an empty Store has a secret: %+v", s)
	}
	if m := get[map[cmpcore.Hash]spool.Stored](b)(b.s.Lookup(ctx, nil)); len(m) != 0 {
		b.Errorf("nothing was looked up and %d found", len(m))
	}
	if id, v, err := b.s.Commit(ctx, nil); id != 0 || v != nil || err != nil {
		b.Errorf("empty batch: %d %v %v", id, v, err)
	}
	t, c := b.storeFull()
	b.checkFull(t, c)

	// An entry with next to nothing.
	var k cmpcore.TransactionKey
	b.commit(spool.Entry{Hash: hash("bare"), Received: day, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Silent,
		Transaction: &cmpcore.Transaction{Key: k, State: cmpcore.Finished}}})
	b.equal("bare transaction", get[*cmpcore.Transaction](b)(v.Transaction(ctx, k)), &cmpcore.Transaction{Key: k, Version: 1, State: cmpcore.Finished})

	// Hashes and keys are compared as a whole, whatever an index keeps of them.
	near := hash("full")
	near[31] ^= 1
	if m := get[map[cmpcore.Hash]spool.Stored](b)(b.s.Lookup(ctx, []cmpcore.Hash{near, hash("full"), hash("bare")})); len(m) != 2 {
		b.Errorf("found %d of 2 messages", len(m))
	}
	nearKey := key("full")
	nearKey[15] ^= 1
	if t := get[*cmpcore.Transaction](b)(v.Transaction(ctx, nearKey)); t != nil {
		b.Error("found a transaction by a part of its key")
	}
	near[30] ^= 1
	b.commit(spool.Entry{Hash: near, Outcome: &cmpcore.Outcome{Disposition: cmpcore.Silent,
		Transaction: &cmpcore.Transaction{Key: nearKey, State: cmpcore.Finished}}})
	b.checkFull(t, c)
}

func testReopen(b *bench) {
	t, c := b.storeFull()
	b.commit(held("held"))
	counts := b.counts()
	n, head, err := b.s.VerifyAudit(ctx)
	b.ok(err)
	open := b.undelivered()

	b.ok(b.s.Close())
	b.ok(b.s.Close())
	b.s = b.reopen()
	b.checkFull(t, c)
	b.equal("counts", b.counts(), counts)
	b.equal("undelivered", b.undelivered(), open)
	b.equal("kept request", string(b.message("held")), "request held")
	n2, head2, err := b.s.VerifyAudit(ctx)
	b.ok(err)
	if n != n2 || head != head2 {
		b.Errorf("audit log: %d %x, was %d %x", n2, head2, n, head)
	}
	batch, ids := b.commit(message("after"))
	if last := open[len(open)-1]; batch <= last.Batch || ids[0] <= last.ID {
		b.Errorf("batch %d, message %d: not above those before", batch, ids[0])
	}
}

// conflicts are entries that do not fit the state that setup makes.
var conflicts = []struct {
	name string
	// change makes a good entry a bad one.
	change func(e *spool.Entry)
}{
	{"new transaction meets a row", func(e *spool.Entry) { e.Outcome.Transaction = transaction("base") }},
	{"transaction has another version", func(e *spool.Entry) {
		e.Outcome.Transaction = next(transaction("base"), 7, cmpcore.Finished)
	}},
	{"transaction is not there", func(e *spool.Entry) { e.Outcome.Transaction.Version = 1 }},
	{"hash is stored", func(e *spool.Entry) { e.Hash = hash("base") }},
	{"serial exists", func(e *spool.Entry) { e.Outcome.Certificates[0].Serial = serial("base") }},
	{"second serial exists", func(e *spool.Entry) {
		e.Outcome.Certificates = append(e.Outcome.Certificates, certificate("base"))
	}},
	{"serial twice in one outcome", func(e *spool.Entry) {
		e.Outcome.Certificates = append(e.Outcome.Certificates, certificate("bad"))
	}},
	{"certificate change is stale", func(e *spool.Entry) {
		e.Outcome.CertChanges = []cmpcore.CertificateChange{{Serial: serial("base"), Version: 2, Status: cmpcore.Revoked}}
	}},
	{"changed certificate is not there", func(e *spool.Entry) {
		e.Outcome.CertChanges = []cmpcore.CertificateChange{{Serial: serial("none"), Version: 1, Status: cmpcore.Revoked}}
	}},
	{"reliance is stale", func(e *spool.Entry) {
		e.Outcome.Relied = []cmpcore.Reliance{{CertificateSerial: serial("base"), Version: 2}}
	}},
	{"certificate relied on is not there", func(e *spool.Entry) {
		e.Outcome.Relied = []cmpcore.Reliance{{CertificateSerial: serial("none"), Version: 1}}
	}},
	{"secret is not there", func(e *spool.Entry) { e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "none", N: 1}} }},
	{"secret was removed", func(e *spool.Entry) { e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "removed", N: 1}} }},
	{"secret has too few uses left", func(e *spool.Entry) {
		e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}, {Ref: "two", N: 3}}
	}},
	{"secret has too few uses left for the sum", func(e *spool.Entry) {
		e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "two", N: 2}, {Ref: "two", N: 1}}
	}},
	{"CRL number is not above the last", func(e *spool.Entry) { e.Outcome.CRL = &cmpcore.CRL{Number: 5, DER: []byte("bad")} }},
	{"released message is not held", func(e *spool.Entry) { e.Hash, e.Release = hash("base"), true }},
	{"released message is not there", func(e *spool.Entry) { e.Release = true }},
	{"release without a message", func(e *spool.Entry) { e.Hash, e.Release = cmpcore.Hash{}, true }},
}

func testConflicts(b *bench) {
	b.ok(b.s.AddSecret(ctx, secret("free", 0)))
	b.ok(b.s.AddSecret(ctx, secret("two", 2)))
	b.ok(b.s.AddSecret(ctx, secret("removed", 0)))
	b.ok(b.s.RemoveSecret(ctx, "removed"))
	base := enrolment("base")
	base.Outcome.CRL = &cmpcore.CRL{Number: 5, DER: []byte("good")}
	b.commit(base)
	baseTx, baseCert := b.transaction("base"), b.certificate("base")
	for i, c := range conflicts {
		bad := enrolment("bad")
		bad.Outcome.KeepRequest = true
		bad.Outcome.Transaction.State = cmpcore.AwaitingDecision
		bad.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		bad.Outcome.CertChanges = []cmpcore.CertificateChange{{Serial: serial("base"), Version: 1, Status: cmpcore.Revoked}}
		bad.Outcome.CRL = &cmpcore.CRL{Number: 6, DER: []byte("bad")}
		bad.Outcome.Audit[0].Event = "the bad event"
		c.change(&bad)

		before := b.counts()
		first, last := enrolment(fmt.Sprintf("first %d", i)), enrolment(fmt.Sprintf("last %d", i))
		last.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "free", N: 1}}
		id, v, err := b.s.Commit(ctx, []spool.Entry{first, bad, last})
		b.ok(err)
		if v[0].Conflict || !v[1].Conflict || v[2].Conflict || v[1].ID != 0 || v[0].ID == 0 || v[2].ID == 0 || id == 0 {
			b.Errorf("%s: batch %d, verdicts %+v", c.name, id, v)
			continue
		}
		before.Messages += 2
		before.Undelivered += 2
		before.AwaitingConfirm += 2
		before.Certificates += 2
		before.Unconfirmed += 2
		before.AuditRecords++
		b.equal(c.name+": counts", b.counts(), before)
		if st, ok := b.lookup("bad"); ok {
			b.Errorf("%s: the message was stored: %+v", c.name, st)
		}
		if b.transaction("bad") != nil || b.certificate("bad") != nil || b.message("bad") != nil {
			b.Errorf("%s: a part of the outcome was stored", c.name)
		}
		b.equal(c.name+": transaction", b.transaction("base"), baseTx)
		b.equal(c.name+": certificate", b.certificate("base"), baseCert)
		if n := b.used("free"); n != int64(i+1) {
			b.Errorf("%s: secret free was used %d times, want %d", c.name, n, i+1)
		}
		if n := b.used("two"); n != 0 {
			b.Errorf("%s: secret two was used %d times", c.name, n)
		}
		if crl := get[*cmpcore.CRL](b)(b.s.View().CRL(ctx)); crl.Number != 5 || string(crl.DER) != "good" {
			b.Errorf("%s: CRL %d %q", c.name, crl.Number, crl.DER)
		}
		b.noAudit("the bad event")
		if b.transaction(fmt.Sprintf("first %d", i)) == nil || b.certificate(fmt.Sprintf("last %d", i)) == nil {
			b.Errorf("%s: another entry was not stored", c.name)
		}
	}
}

func testBatchConflicts(b *bench) {
	b.ok(b.s.AddSecret(ctx, secret("two", 2)))
	b.commit(enrolment("base"))
	change := []cmpcore.CertificateChange{{Serial: serial("base"), Version: 1, Status: cmpcore.Valid}}
	for _, c := range []struct {
		name string
		pair [2]cmpcore.Outcome
	}{
		{"new transaction twice", [2]cmpcore.Outcome{{Transaction: transaction("a")}, {Transaction: transaction("a")}}},
		{"transaction changed twice", [2]cmpcore.Outcome{
			{Transaction: next(transaction("base"), 1, cmpcore.Finished)}, {Transaction: next(transaction("base"), 1, cmpcore.Aborted)}}},
		{"serial twice", [2]cmpcore.Outcome{
			{Certificates: []*cmpcore.Certificate{certificate("a")}}, {Certificates: []*cmpcore.Certificate{certificate("a")}}}},
		{"certificate changed twice", [2]cmpcore.Outcome{{CertChanges: change}, {CertChanges: change}}},
		{"certificate relied on was changed", [2]cmpcore.Outcome{
			{CertChanges: []cmpcore.CertificateChange{{Serial: serial("base"), Version: 2, Status: cmpcore.Revoked}}},
			{Relied: []cmpcore.Reliance{{CertificateSerial: serial("base"), Version: 2}}}}},
		{"secret is used up", [2]cmpcore.Outcome{
			{SecretUses: []cmpcore.SecretUse{{Ref: "two", N: 2}}}, {SecretUses: []cmpcore.SecretUse{{Ref: "two", N: 1}}}}},
		{"CRL number twice", [2]cmpcore.Outcome{{CRL: &cmpcore.CRL{Number: 3}}, {CRL: &cmpcore.CRL{Number: 3}}}},
	} {
		first, second := silent(c.pair[0]), silent(c.pair[1])
		_, v, err := b.s.Commit(ctx, []spool.Entry{first, second})
		b.ok(err)
		if v[0].Conflict || !v[1].Conflict {
			b.Errorf("%s: verdicts %+v, want the second to be a conflict", c.name, v)
		}
	}
	_, v, err := b.s.Commit(ctx, []spool.Entry{message("same"), message("same")})
	b.ok(err)
	if v[0].Conflict || !v[1].Conflict {
		b.Errorf("same hash twice: verdicts %+v", v)
	}
	if t := b.transaction("base"); t.Version != 2 || t.State != cmpcore.Finished {
		b.Errorf("transaction %+v, want the first change", t)
	}
	if c := b.certificate("base"); c.Version != 3 || c.Status != cmpcore.Revoked {
		b.Errorf("certificate %+v, want two changes", c)
	}
	// What fits is no conflict: reliance on a certificate of the state before.
	b.commit(silent(cmpcore.Outcome{Relied: []cmpcore.Reliance{{CertificateSerial: serial("base"), Version: 3}}}),
		silent(cmpcore.Outcome{CertChanges: []cmpcore.CertificateChange{{Serial: serial("base"), Version: 3, Status: cmpcore.Revoked}}}))
}

func testAllConflicts(b *bench) {
	b.commit(enrolment("base"))
	before := b.counts()
	id, v, err := b.s.Commit(ctx, []spool.Entry{enrolment("base"), enrolment("base")})
	b.ok(err)
	if id != 0 || !v[0].Conflict || !v[1].Conflict {
		b.Errorf("batch %d, verdicts %+v", id, v)
	}
	b.equal("counts", b.counts(), before)
	b.ok(b.s.Delivered(ctx, id, nil))
}

func testSecretUses(b *bench) {
	b.ok(b.s.AddSecret(ctx, secret("three", 3)))
	b.ok(b.s.AddSecret(ctx, secret("free", 0)))
	use := func(ref string, n int64) spool.Entry {
		return silent(cmpcore.Outcome{SecretUses: []cmpcore.SecretUse{{Ref: ref, N: n}}})
	}
	b.commit(use("three", 1), use("three", 1), use("free", 1000))
	b.conflict("two of one left", use("three", 2))
	b.commit(use("three", 1), use("free", 1000))
	b.conflict("none left", use("three", 1))
	if n, m := b.used("three"), b.used("free"); n != 3 || m != 2000 {
		b.Errorf("used %d and %d times, want 3 and 2000", n, m)
	}
	b.ok(b.s.RemoveSecret(ctx, "free"))
	b.conflict("removed", use("free", 1))
	// Registered again, it counts from its own start.
	b.ok(b.s.AddSecret(ctx, secret("free", 1)))
	b.commit(use("free", 1))
	if _, _, err := b.s.Commit(ctx, []spool.Entry{use("free", -1)}); err == nil {
		b.Error("a secret was given a use back")
	}
}

func testCancelled(b *bench) {
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err := b.s.Commit(gone, []spool.Entry{enrolment("a")})
	b.is(err, context.Canceled, "commit")
	if errors.Is(err, spool.ErrAmbiguous) {
		b.Errorf("%v: a commit that did not start is not ambiguous", err)
	}
	if _, err = b.s.View().Transaction(gone, key("a")); !errors.Is(err, context.Canceled) {
		b.Errorf("view: error %v", err)
	}
	if _, ok := b.lookup("a"); ok {
		b.Error("the message was stored")
	}
	b.commit(enrolment("a"))
}

func testNoAliasing(b *bench) {
	e := enrolment("a")
	b.commit(e)
	want, cert := b.transaction("a"), b.certificate("a")
	e.Outcome.Transaction.OurNonce[0]++
	e.Outcome.Transaction.Items[0].Confirmed = true
	e.Outcome.Certificates[0].DER[0]++
	e.Outcome.Reply[0]++
	b.equal("transaction", b.transaction("a"), want)
	b.equal("certificate", b.certificate("a"), cert)
	if st, _ := b.lookup("a"); string(st.Reply) != "reply to a" {
		b.Errorf("reply %q", st.Reply)
	}
	b.transaction("a").OurNonce[0]++
	b.certificate("a").DER[0]++
	b.equal("transaction", b.transaction("a"), want)
	b.equal("certificate", b.certificate("a"), cert)
}
