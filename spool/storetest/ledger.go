package storetest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

func testSecrets(b *bench) {
	refs := func() (l []string) {
		for _, s := range collect(b, b.s.Secrets(ctx)) {
			l = append(l, s.Ref)
		}
		return l
	}
	b.equal("none", refs(), []string(nil))
	for _, ref := range []string{"b", "\xff\x00", "a"} {
		b.ok(b.s.AddSecret(ctx, secret(ref, 1)))
	}
	b.equal("all", refs(), []string{"a", "b", "\xff\x00"})
	if err := b.s.AddSecret(ctx, secret("a", 7)); err == nil {
		b.Error("a second secret of one reference was registered")
	}
	if err := b.s.AddSecret(ctx, secret("", 7)); err == nil {
		b.Error("a secret without a reference was registered")
	}
	want := secret("a", 1)
	want.Version = 1
	b.equal("secret", get[*cmpcore.Secret](b)(b.s.View().Secret(ctx, "a")), want)
	b.equal("listed secret", collect(b, b.s.Secrets(ctx))[0], want)
	b.ok(b.s.RemoveSecret(ctx, "a"))
	b.is(b.s.RemoveSecret(ctx, "a"), spool.ErrNotFound, "remove twice")
	b.equal("the others", refs(), []string{"b", "\xff\x00"})
	if s := get[*cmpcore.Secret](b)(b.s.View().Secret(ctx, "a")); s != nil {
		b.Error("a removed secret is still there")
	}
}

func testMeta(b *bench) {
	value := func(k string) []byte { return get[[]byte](b)(b.s.Meta(ctx, k)) }
	if v := value("vault"); v != nil {
		b.Errorf("%q was never set", v)
	}
	b.ok(b.s.SetMeta(ctx, "vault", []byte{0, 1, 0xff}))
	b.ok(b.s.SetMeta(ctx, "summary", []byte("one")))
	b.ok(b.s.SetMeta(ctx, "summary", []byte("two")))
	b.equal("vault", value("vault"), []byte{0, 1, 0xff})
	b.equal("summary", value("summary"), []byte("two"))
}

func testCounts(b *bench) {
	b.equal("empty", b.counts(), spool.Counts{})
	b.ok(b.s.AddSecret(ctx, secret("a", 0)))
	failed := message("failed")
	failed.Outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed}
	poll := message("poll")
	poll.Outcome.Transaction = waiting("poll", false)
	certs := []*cmpcore.Certificate{certificate("valid"), certificate("revoked"), certificate("rejected")}
	for i := range certs {
		certs[i].Status = cmpcore.CertStatus(i + 2)
	}
	b.commit(silent(cmpcore.Outcome{Passphrases: []*cmpcore.Passphrase{passphrase("secret:a", "a", "one", 0)}}))
	b.commit(enrolment("a"), enrolment("b"), failed, held("held"), poll, issue(certs...))
	b.ok(b.s.Freeze(ctx, key("poll"), 1, true))
	b.equal("counts", b.counts(), spool.Counts{
		Messages: 5, Undelivered: 3, Held: 1, Failed: 1, Waiting: 2, AwaitingConfirm: 2,
		Certificates: 5, Unconfirmed: 2, Valid: 1, RevokedCertificates: 1, Secrets: 1, Passphrases: 1, AuditRecords: 1,
	})
}

func testAudit(b *bench) {
	if n, head, err := b.s.VerifyAudit(ctx); n != 0 || head != [32]byte{} || err != nil {
		b.Errorf("empty log: %d %x %v", n, head, err)
	}
	entry := func(event string) cmpcore.AuditEntry {
		return cmpcore.AuditEntry{Time: day, Event: event, Requester: "secret:a", Transaction: "00", Serial: "01", Rule: "r", Profile: "p", Detail: "a \"quote\"\n"}
	}
	b.commit(silent(cmpcore.Outcome{Audit: []cmpcore.AuditEntry{entry("one"), entry("two")}}),
		silent(cmpcore.Outcome{Audit: []cmpcore.AuditEntry{entry("three")}}))
	b.commit(message("quiet")) // nothing to say
	for i := range 20 {
		b.commit(silent(cmpcore.Outcome{Audit: []cmpcore.AuditEntry{entry(fmt.Sprint("more ", i))}}))
	}
	records := collect(b, b.s.Audit(ctx, 0))
	if len(records) != 21 {
		b.Fatalf("%d records, want one for each commit with an entry: 21", len(records))
	}
	var head [32]byte
	var events []string
	for i, r := range records {
		if r.Seq != int64(i+1) {
			b.Errorf("record %d has number %d", i, r.Seq)
		}
		head = sha256.Sum256(append(head[:], r.Entries...))
		if r.Head != head {
			b.Errorf("record %d: head %x, want %x", r.Seq, r.Head, head)
		}
		for line := range bytes.Lines(r.Entries) {
			var e cmpcore.AuditEntry
			b.ok(json.Unmarshal(line, &e))
			events = append(events, e.Event)
			b.equal("entry", e, entry(e.Event))
		}
	}
	if len(events) != 23 || events[0] != "one" || events[2] != "three" || events[22] != "more 19" {
		b.Errorf("events %v", events)
	}
	if n, h, err := b.s.VerifyAudit(ctx); n != 21 || h != head || err != nil {
		b.Errorf("verified %d %x %v, want 21 %x", n, h, err, head)
	}
	if tail := collect(b, b.s.Audit(ctx, 20)); len(tail) != 2 || tail[0].Seq != 20 {
		b.Errorf("the tail has %d records", len(tail))
	}
}

// testLongLists has more rows than a Store would read at once.
func testLongLists(b *bench) {
	const n = 1300
	var batch []spool.Entry
	for i := range n {
		e := held(fmt.Sprint(i))
		if i%2 == 0 {
			e.Outcome = &cmpcore.Outcome{Disposition: cmpcore.Failed}
		}
		c := certificate(fmt.Sprint(i))
		c.Status, c.Serial = cmpcore.Revoked, number(uint64(n-i))
		e.Outcome.Certificates = []*cmpcore.Certificate{c}
		batch = append(batch, e)
	}
	b.commit(batch...)
	for i := range n / 2 {
		b.ok(b.s.AddSecret(ctx, secret(fmt.Sprint(i), 0)))
	}
	last := uint64(0)
	revoked := 0
	for _, c := range collect(b, b.s.View().Revoked(ctx, day)) {
		revoked++
		if string(c.Serial) != string(number(last+1)) {
			b.Fatalf("serial %x after %x", c.Serial, last)
		}
		last++
	}
	b.equal("revoked", revoked, n)
	b.equal("certificates", len(collect(b, b.s.Certificates(ctx, spool.CertFilter{}))), n)
	b.equal("failures", len(collect(b, b.s.Failures(ctx))), n/2)
	b.equal("secrets", len(collect(b, b.s.Secrets(ctx))), n/2)
	nWaiting := 0
	for t, err := range b.s.Waiting(ctx) {
		b.ok(err)
		// The Store can be used, and changed, while a list is read.
		if err := b.s.Decide(ctx, t.Key, t.Version, vote("alice", cmpcore.Approved, "")); err != nil {
			b.Fatal(err)
		}
		if nWaiting++; nWaiting == 20 {
			break
		}
	}
	b.equal("released", len(b.released()), 20)
	b.equal("waiting", len(collect(b, b.s.Waiting(ctx))), n/2)
}
