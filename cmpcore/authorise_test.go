package cmpcore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

// Transactions and certificates remember who asked under a name that the audit
// log shows too.
func TestRequestersHaveNames(t *testing.T) {
	b := newBed(t)
	mine := b.enrolled("CN=device 1", "p256 a")
	foreign := b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil))
	sum := sha256.Sum256(foreign.holder.cert.Raw)
	for name, p := range map[string]*party{
		"secret:dev-1": b.device("dev-1"),
		"cert:" + hex.EncodeToString(mine.holder.cert.SerialNumber.Bytes()): mine,
		"cert:sha256:" + hex.EncodeToString(sum[:]):                         foreign,
	} {
		k := b.talk(p)
		r := k.say(k.one(cmp.TypeCR, "CN=device 1", "p256 b"))
		r.cert(0)
		if tx, c, a := r.out.Transaction.Requester, r.out.Certificates[0].Requester, r.out.Audit[0].Requester; tx != name || c != name || a != name {
			t.Errorf("%s: transaction %s, certificate %s, audit %s", name, tx, c, a)
		}
	}
}

func TestHoldersMayUpdateAndRevokeWhatTheyAskedFor(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	k := b.talk(p)
	second := k.say(k.one(cmp.TypeCR, "CN=device 1", "p256 b"), implicit).cert(0)
	b.talk(p).say(rr(revocation(second, 1))).statuses(0)
	b.wantStatus(second, cmpcore.Revoked)
	b.wantStatus(p.holder.cert, cmpcore.Valid)
}

// The log names the rule that refused, the answer does not.
func TestTheLogNamesTheRule(t *testing.T) {
	b := newBed(t)
	r := b.asked("dev-1", want{subject: "CN=a", key: "p256 a"}, certProfile("secret profile"))
	r.rejected(0, cmp.UnacceptedPolicy)
	if a := r.out.Audit; len(a) != 1 || a[0].Event != "refused" || a[0].Rule != "devices" || a[0].Detail == "" {
		t.Errorf("audit %+v", a)
	}
	if text := r.response(0).Status.StatusString[0]; text != "this certProfile is not offered to this requester" {
		t.Errorf("%q", text)
	}
}

// What a stranger writes is quoted, and cut.
func TestTheLogIsBounded(t *testing.T) {
	b := newBed(t)
	r := b.asked("dev-1", want{subject: "CN=a", key: "p256 a"}, certProfile(strings.Repeat("profile\n", 500)))
	r.rejected(0, cmp.UnacceptedPolicy)
	k := b.talk(b.device("slow-1"))
	names := make([]want, 40)
	for i := range names {
		names[i] = want2("CN="+strings.Repeat("ü", 60), "p256 a", int64(i))
	}
	k.say(k.request(cmp.TypeIR, names...)).waits(0)
	if s := b.store.transactionOf(k.id).Summary; len(s) > 310 || !utf8.ValidString(s) {
		t.Errorf("summary of %d octets: %q", len(s), s)
	}
	for _, a := range b.store.audit {
		if strings.ContainsAny(a.Detail, "\n\r") || len(a.Detail) > 310 || !utf8.ValidString(a.Detail) {
			t.Errorf("%q", a.Detail)
		}
	}
}
