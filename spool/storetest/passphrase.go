package storetest

import (
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// passphrase is one of an owner that is to take the place of a version.
func passphrase(owner, keyID, sealed string, version int64) *cmpcore.Passphrase {
	p := &cmpcore.Passphrase{Owner: owner, Version: version, Sealed: []byte(sealed), Rule: "holders", Created: day}
	if keyID != "" {
		p.KeyID = []byte(keyID)
	}
	return p
}

func testPassphrases(b *bench) {
	of := func(owner string) *cmpcore.Passphrase {
		return get[*cmpcore.Passphrase](b)(b.s.View().Passphrase(ctx, owner))
	}
	named := func(keyID string) *cmpcore.Passphrase {
		return get[*cmpcore.Passphrase](b)(b.s.View().PassphraseOfKey(ctx, []byte(keyID)))
	}
	left := func(list ...*cmpcore.Passphrase) spool.Entry { return silent(cmpcore.Outcome{Passphrases: list}) }
	stored := func(p *cmpcore.Passphrase) *cmpcore.Passphrase {
		c := *p
		c.Version++
		return &c
	}
	owners := func() (l []string) {
		for _, p := range collect(b, b.s.Passphrases(ctx)) {
			l = append(l, p.Owner)
		}
		return l
	}
	if of("cert:0a") != nil || named("k") != nil || named("") != nil || owners() != nil {
		b.Error("an empty Store has passphrases")
	}
	one, odd := passphrase("cert:0a", "k", "one", 0), passphrase("secret:\xff\x00", "", "odd", 0)
	b.commit(left(one), left(odd, passphrase("cert:0c", "\x00", "c", 0)))
	b.equal("the first", of("cert:0a"), stored(one))
	b.equal("by its name", named("k"), stored(one))
	b.equal("without a name", of("secret:\xff\x00"), stored(odd))
	b.equal("by a name of zeros", named("\x00"), of("cert:0c"))
	if named("") != nil {
		b.Error("what has no name is found by the empty one")
	}
	b.equal("owners", owners(), []string{"cert:0a", "cert:0c", "secret:\xff\x00"})

	two := passphrase("cert:0a", "k2", "two", 1)
	two.Created, two.Rule = day.Add(time.Hour), "other"
	b.commit(left(two))
	b.equal("the second", of("cert:0a"), stored(two))
	if named("k") != nil {
		b.Error("the first is still found by its name")
	}
	b.equal("the count", b.counts().Passphrases, int64(3))

	b.conflict("a new one meets a row", left(passphrase("cert:0a", "", "x", 0)))
	b.conflict("a row is of another version", left(passphrase("cert:0a", "", "x", 1)))
	b.conflict("a row is not there", left(passphrase("cert:0d", "", "x", 1)))
	b.conflict("another owner has the name", left(passphrase("cert:0d", "k2", "x", 0)))
	b.conflict("two of one owner", left(passphrase("cert:0d", "", "x", 0), passphrase("cert:0d", "", "y", 0)))
	b.conflict("two of one name", left(passphrase("cert:0d", "n", "x", 0), passphrase("cert:0e", "n", "y", 0)))
	bad := enrolment("bad")
	bad.Outcome.Passphrases = []*cmpcore.Passphrase{passphrase("cert:0f", "", "x", 0), passphrase("cert:0a", "", "x", 7)}
	b.conflict("with a certificate", bad)
	if b.certificate("bad") != nil || of("cert:0f") != nil {
		b.Error("a part of a conflicting entry was stored")
	}

	// Within a batch, and among parts, each sees what those before have left.
	_, v, err := b.s.Commit(ctx, []spool.Entry{left(passphrase("cert:0a", "k3", "three", 2)), left(passphrase("cert:0a", "k4", "four", 2)),
		left(passphrase("cert:0d", "k2", "free again", 0))})
	b.ok(err)
	if v[0].Conflict || !v[1].Conflict || v[2].Conflict {
		b.Errorf("verdicts %+v", v)
	}
	b.equal("of the batch", string(of("cert:0a").Sealed), "three")
	b.commit(nest("outer", left(passphrase("cert:0a", "k5", "five", 3)), left(passphrase("cert:0a", "k6", "six", 4))))
	b.equal("of the parts", string(of("cert:0a").Sealed), "six")
	b.conflict("a part", nest("outer 2", left(passphrase("cert:0a", "k7", "seven", 5)), left(passphrase("cert:0a", "", "eight", 5))))
	b.equal("after a part that conflicts", string(named("k6").Sealed), "six")

	two.Sealed[0]++
	of("cert:0a").Sealed[0]++
	b.s.Close()
	b.s = b.reopen()
	b.equal("after reopening", string(of("cert:0a").Sealed), "six")
	b.ok(b.s.RemovePassphrase(ctx, "cert:0a"))
	b.is(b.s.RemovePassphrase(ctx, "cert:0a"), spool.ErrNotFound, "remove twice")
	if of("cert:0a") != nil || named("k6") != nil {
		b.Error("a removed passphrase is still there")
	}
	b.commit(left(passphrase("cert:0a", "k6", "anew", 0)))

	var many []spool.Entry
	for i := range 600 {
		many = append(many, left(passphrase(fmt.Sprintf("cert:ff%04x", i), "", "x", 0)))
	}
	b.commit(many...)
	b.equal("a long list", len(collect(b, b.s.Passphrases(ctx))), 604)
}
