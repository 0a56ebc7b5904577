package cmpcore_test

import (
	"fmt"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/der"
)

// What is bounded for one message is not had a thousandfold by putting messages
// into one: a batch holds up all that is worked on with it.
func TestABatchMayCostSoMuch(t *testing.T) {
	b := newBed(t, withRegistrars, withCentralKeys("ed25519"))
	ra := b.talk(b.registrar())
	var talks []*talk
	var requests [][]byte
	for i := range 70 {
		k := b.talk(b.device(fmt.Sprint("dev-", i)))
		talks = append(talks, k)
		requests = append(requests, k.message(k.request(cmp.TypeIR, want{subject: fmt.Sprint("CN=dev-", i), template: keyAlgorithm(t, "ed25519")}), version3))
	}
	r := ra.say(nest(t, requests...), version3)
	made := 0
	for i, answer := range r.inside() {
		a := talks[i].got(requests[i], answer)
		if s := a.response(0).Status; s.Status == cmp.Rejection {
			if s.FailInfo != cmp.BadRequest {
				t.Errorf("answer %d: %s", i, s.FailInfo)
			}
			continue
		}
		made++
	}
	if made != 64 {
		t.Errorf("%d keys were made for one file, want 64", made)
	}
}

// Answers that only tell something do not add up without end, and whoever is
// sent away can ask the same once more alone.
func TestTheAnswerToABatchIsBounded(t *testing.T) {
	b := newBed(t, withRegistrars)
	list := make([]byte, 4<<20)
	copy(list, []byte{0x30, 0x83, 0x3f, 0xff, 0xfb, 0x04, 0x83, 0x3f, 0xff, 0xf6}) // octets of a large CRL
	b.store.crl = &cmpcore.CRL{Number: 1, DER: list, ThisUpdate: b.now, NextUpdate: b.now.Add(day)}
	ra := b.talk(b.registrar())
	asker := b.talk(b.device("dev-1"))
	var requests [][]byte
	for range 12 {
		k := b.talk(asker.party)
		requests = append(requests, k.message(genm(question(cmp.OIDCurrentCRL))))
	}
	requests = append(requests, requests[0], requests[0]) // a copy is as large
	k := b.talk(b.device("dev-2"))
	requests = append(requests, k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))) // this one goes on
	out := b.process(ra.message(nest(t, requests...)))
	if n := len(out.Reply); n > 34<<20 {
		t.Errorf("the answer has %d MiB", n>>20)
	}
	large := cmp.Limits{DER: der.Limits{Bytes: 1 << 30, Elements: 1 << 20, Depth: 64}}
	m, err := cmp.Parse(out.Reply, large)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[cmp.BodyType]int{}
	for _, in := range m.Body.(*cmp.Nested).Messages {
		kinds[in.BodyType()]++
		if e, ok := in.Body.(*cmp.ErrorMsg); ok && e.Status.FailInfo != cmp.SystemUnavail {
			t.Errorf("failInfo %s", e.Status.FailInfo)
		}
	}
	if kinds[cmp.TypeGenP] != 7 || kinds[cmp.TypeError] != 7 || kinds[cmp.TypeIP] != 1 {
		t.Errorf("answers: %v", kinds)
	}
	b.commit(ra.message(nest(t, requests...)), out)
	last := b.process(requests[11])
	if m, err := cmp.Parse(last.Reply, large); err != nil || m.BodyType() != cmp.TypeGenP {
		t.Errorf("asked once more alone: %v, %v", m, err)
	}
}
