package cmpcore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// rewritten builds a message, changes its elements, and protects it again.
func (k *talk) rewritten(body cmp.Body, change func(root *node), edits ...edit) []byte {
	k.Helper()
	var by cmp.Protector
	der := k.message(body, append(slices.Clone(edits), func(m *message) { by = m.by })...)
	s := cryptobyte.String(der)
	root := readNode(&s)
	change(root)
	protection := root.field(0xa0)
	if protection != nil && by != nil {
		var b cryptobyte.Builder
		(&node{tag: asn1.SEQUENCE, kids: root.kids[:2]}).add(&b)
		value, err := by.Protect(b.BytesOrPanic())
		if err != nil {
			k.Fatal(err)
		}
		protection.kids[0].leaf = append([]byte{0}, value...)
	}
	var b cryptobyte.Builder
	root.add(&b)
	return b.BytesOrPanic()
}

// field finds the optional element with a tag behind the first two of a message
// or the first three of a header.
func (n *node) field(tag asn1.Tag) *node {
	if i := n.place(tag); i >= 0 {
		return n.kids[i]
	}
	return nil
}

func (n *node) place(tag asn1.Tag) int {
	skip := 2
	if n.kids[0].tag == asn1.INTEGER {
		skip = 3
	}
	i := slices.IndexFunc(n.kids[skip:], func(k *node) bool { return k.tag == tag })
	if i < 0 {
		return i
	}
	return i + skip
}

// The fields of a header: the first three by place, the others by tag.
func mandatory(i int) func(*node) int       { return func(*node) int { return i } }
func optional(tag asn1.Tag) func(*node) int { return func(h *node) int { return h.place(tag) } }

func missing(field func(*node) int) func(*node) {
	return func(root *node) {
		h := root.kids[0]
		if i := field(h); i >= 0 {
			h.kids = slices.Delete(h.kids, i, i+1)
		}
	}
}

func doubled(field func(*node) int) func(*node) {
	return func(root *node) {
		h := root.kids[0]
		i := field(h)
		h.kids = slices.Insert(h.kids, i, h.kids[i].copy())
	}
}

// twice has an element of the message behind header and body twice.
func twice(tag asn1.Tag) func(*node) {
	return func(root *node) {
		i := root.place(tag)
		root.kids = slices.Insert(root.kids, i+1, root.kids[i].copy())
	}
}

func without(tag asn1.Tag) func(*node) {
	return func(root *node) { root.kids = slices.Delete(root.kids, root.place(tag), root.place(tag)+1) }
}

// text puts another content into a field of the header.
func content(tag asn1.Tag, der []byte) func(*node) {
	return func(root *node) {
		s := cryptobyte.String(der)
		root.kids[0].field(tag).kids = []*node{readNode(&s)}
	}
}

// Every field of the header, wrong, missing and doubled, x the state of the
// transaction, in a first message and in what the transaction waits for. What
// is wrong with a header is found before the transaction is looked at, so the
// bit is the same in every state, but for the fields that are about it. The
// policy is that of RFC 9483 with a window of an hour.
func TestEveryFieldOfTheHeader(t *testing.T) {
	const (
		version = cmp.UnsupportedVersion
		format  = cmp.BadDataFormat
		check   = cmp.BadMessageCheck
	)
	dns, err := pkix.NewDNSName("device.example")
	if err != nil {
		t.Fatal(err)
	}
	set := func(f func(*message)) edit { return f }
	const (
		silent = 1 + iota // it is no message, and gets no answer
		waited            // told only where the transaction waits for the message
	)
	type both [2]cmp.PKIFailureInfo
	all := func(f cmp.PKIFailureInfo) both { return both{f, f} }
	fine := both{}
	for _, row := range []struct {
		name string
		edit edit
		der  func(*node)
		want both // in a first message; in a later one
		note int
	}{
		{"pvno 1", set(func(m *message) { m.PVNO = 1 }), nil, all(version), 0},
		{"pvno 4", set(func(m *message) { m.PVNO = 4 }), nil, all(version), 0},
		{"pvno missing", nil, missing(mandatory(0)), both{}, silent},
		{"pvno twice", nil, doubled(mandatory(0)), both{}, silent},

		{"sender: another", set(func(m *message) { m.Sender = pkix.NewDirectoryName(mustDN("CN=other")) }), nil, all(check), 0},
		{"sender: no directoryName", set(func(m *message) { m.Sender = dns }), nil, all(format), 0},
		{"sender: malformed", nil, func(root *node) { root.kids[0].kids[1].kids = nil }, all(format), 0},
		{"sender missing", nil, missing(mandatory(1)), all(check), 0}, // the recipient's name is in its place
		{"sender twice", nil, doubled(mandatory(1)), all(format), 0},

		{"recipient: another", set(func(m *message) { m.Recipient = pkix.NewDirectoryName(mustDN("CN=Other CA")) }), nil, all(cmp.WrongAuthority), 0},
		{"recipient: no directoryName", set(func(m *message) { m.Recipient = dns }), nil, all(cmp.WrongAuthority), 0},
		{"recipient: NULL-DN", set(func(m *message) { m.Recipient = pkix.NewDirectoryName(pkix.EmptyName) }), nil, fine, 0},
		{"recipient: malformed", nil, func(root *node) { root.kids[0].kids[2].kids = nil }, all(format), 0},
		{"recipient missing", nil, missing(mandatory(2)), all(format), 0},
		{"recipient twice", nil, doubled(mandatory(2)), all(format), 0},

		{"messageTime: two hours late", set(func(m *message) { m.MessageTime = m.MessageTime.Add(-2 * time.Hour) }), nil, all(cmp.BadTime), 0},
		{"messageTime: two hours early", set(func(m *message) { m.MessageTime = m.MessageTime.Add(2 * time.Hour) }), nil, all(cmp.BadTime), 0},
		{"messageTime: with a zone", nil, content(0xa0, element(0x18, []byte("20300517143015+0200"))), all(format), 0},
		{"messageTime missing", nil, missing(optional(0xa0)), all(cmp.MissingTimeStamp), 0},
		{"messageTime twice", nil, doubled(optional(0xa0)), all(format), 0},

		{"protectionAlg: unknown", nil, content(0xa1, element(0x30, element(6, []byte{42, 3}))), all(cmp.BadAlg), 0},
		{"protectionAlg: malformed", nil, content(0xa1, element(0x30)), all(check), 0},
		{"protectionAlg missing", nil, missing(optional(0xa1)), all(check), 0},
		{"protectionAlg twice", nil, doubled(optional(0xa1)), all(format), 0},
		{"protection: another", set(func(m *message) { m.by = otherKey{m.by} }), nil, all(check), 0},
		{"protection missing", nil, without(0xa0), all(check), 0},
		{"protection twice", nil, twice(0xa0), all(format), 0},
		{"protection and protectionAlg missing", set(unprotected), nil, all(check), 0},

		{"senderKID: another", set(func(m *message) { m.SenderKID = []byte("dev-9") }), nil, all(check), 0},
		{"senderKID: empty", set(func(m *message) { m.SenderKID = []byte{} }), nil, all(check), 0},
		{"senderKID: malformed", nil, content(0xa2, pkix.Null), all(check), 0},
		{"senderKID missing", nil, missing(optional(0xa2)), all(check), 0},
		{"senderKID twice", nil, doubled(optional(0xa2)), all(format), 0},

		{"recipKID: any", set(func(m *message) { m.RecipKID = []byte("a key") }), nil, fine, 0}, // of MACs by Diffie-Hellman alone
		{"recipKID: malformed", set(func(m *message) { m.RecipKID = []byte("a key") }), content(0xa3, pkix.Null), all(format), 0},
		{"recipKID twice", set(func(m *message) { m.RecipKID = []byte("a key") }), doubled(optional(0xa3)), all(format), 0},

		{"transactionID: another", set(func(m *message) { m.TransactionID = random(16) }), nil, both{0, cmp.BadRequest}, waited},
		{"transactionID: empty", set(func(m *message) { m.TransactionID = []byte{} }), nil, all(format), 0},
		{"transactionID: 15 octets", set(func(m *message) { m.TransactionID = random(15) }), nil, all(format), 0},
		{"transactionID: 65 octets", set(func(m *message) { m.TransactionID = random(65) }), nil, all(format), 0},
		{"transactionID: malformed", nil, content(0xa4, pkix.Null), all(format), 0},
		{"transactionID missing", nil, missing(optional(0xa4)), all(format), 0},
		{"transactionID twice", nil, doubled(optional(0xa4)), all(format), 0},

		{"senderNonce: 15 octets", set(func(m *message) { m.SenderNonce = random(15) }), nil, all(cmp.BadSenderNonce), 0},
		{"senderNonce: 257 octets", set(func(m *message) { m.SenderNonce = random(257) }), nil, all(cmp.BadSenderNonce), 0},
		{"senderNonce missing", nil, missing(optional(0xa5)), all(cmp.BadSenderNonce), 0},
		{"senderNonce twice", nil, doubled(optional(0xa5)), all(format), 0},

		{"recipNonce: another", set(func(m *message) { m.RecipNonce = random(16) }), nil, all(cmp.BadRecipientNonce), waited},
		{"recipNonce: malformed", set(func(m *message) { m.RecipNonce = random(16) }), content(0xa6, pkix.Null), all(format), 0},
		{"recipNonce missing", nil, missing(optional(0xa6)), both{0, cmp.BadRecipientNonce}, waited},
		{"recipNonce twice", set(func(m *message) { m.RecipNonce = random(16) }), doubled(optional(0xa6)), all(format), 0},

		{"freeText: any", set(func(m *message) { m.FreeText = []string{"grüße"} }), nil, fine, 0},
		{"freeText: empty", set(func(m *message) { m.FreeText = []string{"x"} }), content(0xa7, element(0x30)), all(format), 0},
		{"freeText: not UTF-8", set(func(m *message) { m.FreeText = []string{"x"} }), content(0xa7, element(0x30, element(12, []byte{0xff}))), all(format), 0},
		{"freeText twice", set(func(m *message) { m.FreeText = []string{"x"} }), doubled(optional(0xa7)), all(format), 0},

		{"generalInfo: unknown", info("1.2.3.4", pkix.Null), nil, fine, 0},
		{"generalInfo: empty", info("1.2.3.4", pkix.Null), content(0xa8, element(0x30)), all(format), 0},
		{"generalInfo: implicitConfirm 1", info("1.3.6.1.5.5.7.4.13", []byte{2, 1, 1}), nil, all(format), waited},
		{"generalInfo: confirmWaitTime NULL", info("1.3.6.1.5.5.7.4.14", pkix.Null), nil, all(format), waited},
		{"generalInfo: certProfile NULL", info("1.3.6.1.5.5.7.4.21", pkix.Null), nil, all(format), waited},
		{"generalInfo: certProfile empty", info("1.3.6.1.5.5.7.4.21", element(0x30)), nil, all(format), waited},
		{"generalInfo: certProfile twice", func(m *message) { certProfile("default")(m); certProfile("strict")(m) }, nil, all(format), waited},
		{"generalInfo: the unknown twice", func(m *message) { info("1.2.3.4", pkix.Null)(m); info("1.2.3.4", pkix.Null)(m) }, nil, fine, 0},
		{"generalInfo twice", info("1.2.3.4", pkix.Null), doubled(optional(0xa8)), all(format), 0},

		{"extraCerts: malformed", set(func(m *message) { m.extra = [][]byte{{0x30, 0}} }), func(root *node) { root.field(0xa1).kids[0].tag = asn1.INTEGER }, all(format), 0},
		{"extraCerts: empty", set(func(m *message) { m.extra = [][]byte{{0x30, 0}} }), func(root *node) { root.field(0xa1).kids[0].kids = nil }, all(format), 0},
		{"extraCerts twice", set(func(m *message) { m.extra = [][]byte{{0x30, 0}} }), twice(0xa1), all(format), 0},

		{"nothing wrong", nil, func(*node) {}, fine, 0},
	} {
		for _, state := range txStates {
			first := state == "none"
			t.Run(fmt.Sprint(row.name, "/", state), func(t *testing.T) {
				b := stateBed(t, state, lightweight, withPolicy(func(p *cmpcore.Policy) { p.MessageTimeWindow, p.RequireMessageTime = time.Hour, true }))
				k := b.into(state, b.device("dev-1"))
				before, peer := b.store.transactionOf(k.id), k.peer
				body := k.due(state)
				edits := []edit{version3}
				if row.edit != nil {
					edits = append(edits, row.edit)
				}
				change := func(*node) {}
				if row.der != nil {
					change = row.der
				}
				der := k.rewritten(body, change, edits...)
				out := b.process(der)
				checkOutcome(t, b.now, out)
				got := "-"
				if out.Reply != nil {
					m, err := cmp.Parse(out.Reply, cmp.Limits{})
					if err != nil {
						t.Fatal(err)
					}
					got = answered(&reply{msg: m})
				}
				want := row.want[1]
				if first {
					want = row.want[0]
				}
				switch over := state == "confirmed" || state == "refused" || state == "expired"; {
				case row.note == silent:
					if got != "-" || out.Disposition != cmpcore.Failed {
						t.Fatalf("the answer is %s (%s)", got, out.Reason)
					}
				case want == 0 || over && row.note == waited:
					if good := map[string]string{"none": "ip", "waiting": "pollRep", "challenged": "ip", "unconfirmed": "pkiconf",
						"confirmed": "certConfirmed", "refused": "badRequest", "expired": "badRequest"}[state]; got != good && !(row.name == "transactionID: another" && got == "badRequest") {
						t.Fatalf("the answer is %s, want %s (%s)", got, good, out.Reason)
					}
					return
				default:
					if got != want.String() {
						t.Fatalf("the answer is %s, want %s (%s)", got, want, out.Reason)
					}
				}
				if out.Transaction != nil || len(out.Certificates)+len(out.CertChanges)+len(out.SecretUses) > 0 {
					t.Errorf("a refusal changes something:\n%s", describe(out))
				}
				b.commit(der, out)
				if after := b.store.transactionOf(k.id); before != nil && after.Version != before.Version {
					t.Error("the transaction was touched")
				}
				k.peer = peer
				if want := map[string]cmp.BodyType{"none": cmp.TypeIP, "waiting": cmp.TypePollRep, "challenged": cmp.TypeIP, "unconfirmed": cmp.TypePKIConf}[state]; want != 0 || first {
					k.say(k.due(state), version3).body(want)
				}
			})
		}
	}
}

// due is the message that a transaction in a state waits for.
func (k *talk) due(state string) cmp.Body {
	k.Helper()
	switch state {
	case "none":
		return k.one(cmp.TypeIR, "CN=b", "p256 b")
	case "waiting":
		return poll(0)
	case "challenged":
		return k.response()
	}
	return k.conf()
}
