package spool_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// nesting answers every message with two inside it, and announces something in
// channel b.
type nesting struct{ *processor }

func (p nesting) Process(_ context.Context, r *cmpcore.Request, _ cmpcore.View) (*cmpcore.Outcome, error) {
	c, hash := p.certificate([]byte("T")), r.Hash
	hash[0]++ // of another message
	inner := &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("inner"), Certificates: []*cmpcore.Certificate{c},
		Outgoing: []cmpcore.Outgoing{{Channel: "b", Name: "new " + r.Channel, DER: []byte("certificate")}}}
	revoke := &cmpcore.Outcome{Disposition: cmpcore.Refused, Reply: []byte("inner"),
		CertChanges: []cmpcore.CertificateChange{{Serial: c.Serial, Version: 1, Status: cmpcore.Revoked, RevokedAt: time.Unix(1e9, 0)}}}
	return &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("outer"),
		Outgoing: []cmpcore.Outgoing{{Channel: "b", Name: "ann " + r.Channel, DER: []byte("announcement")}},
		Parts:    []cmpcore.Part{{Hash: hash, Outcome: inner}, {Outcome: revoke}}}, nil
}

// faulty has a part that was not computed.
type faulty struct{ *processor }

func (faulty) Process(context.Context, *cmpcore.Request, cmpcore.View) (*cmpcore.Outcome, error) {
	return &cmpcore.Outcome{Disposition: cmpcore.Answered, Reply: []byte("outer"), Parts: []cmpcore.Part{{}}}, nil
}

func TestNestedAndUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.put("a", "one", toy("T", "1", ""))
		run := func(down bool) spool.Summary {
			t.Helper()
			l := w.birth("a", "b")
			cfg := l.config()
			cfg.Processor = nesting{w.core}
			l.sinks["b"].(*sink).down.Store(down)
			s, _ := spool.New(cfg).Drain(t.Context())
			reconcile(t, s)
			return s
		}
		s := run(true)
		if s.Received != 1 || s.Answered != 1 || s.Refused != 0 || s.Issued != 1 || s.Revoked != 1 || s.Nested != 2 || s.Undelivered != 2 {
			t.Errorf("with a sink that is down:\n%s", s)
		}
		if !strings.Contains(s.String(), "nested               2  messages inside others") {
			t.Errorf("the table lacks them:\n%s", s)
		}
		if string(w.out["a/one"]) != "outer" || len(w.in["a"]) != 0 {
			t.Errorf("out %q, in %q: the answer waits for what nobody asked for", w.out, w.in)
		}
		s = run(false)
		if s.Received != 0 || s.Undelivered != 0 || string(w.out["b/ann a"]) != "announcement" || string(w.out["b/new a"]) != "certificate" || len(w.out) != 3 {
			t.Errorf("out %q\n%s", w.out, s)
		}
		// What a command has stored, without a message.
		_, _, err := w.store.Commit(t.Context(), []spool.Entry{{Outcome: &cmpcore.Outcome{
			Outgoing: []cmpcore.Outgoing{{Channel: "b", Name: "crl", DER: []byte("CRL")}}}}})
		if err != nil {
			t.Fatal(err)
		}
		if s = run(false); s.Received != 0 || s.Undelivered != 0 || string(w.out["b/crl"]) != "CRL" {
			t.Errorf("out %q\n%s", w.out, s)
		}
		// At once, where the sink takes it.
		w.put("a", "two", toy("T2", "1", ""))
		delete(w.out, "b/ann a")
		if s = run(false); s.Received != 1 || s.Undelivered != 0 || string(w.out["b/ann a"]) != "announcement" {
			t.Errorf("out %q\n%s", w.out, s)
		}
		if left, err := w.store.Undelivered(t.Context(), 0, 9); len(left) != 0 || err != nil {
			t.Errorf("undelivered %+v %v", left, err)
		}
		// An outcome that would not fit its form is quarantined.
		w.put("a", "three", toy("T3", "1", ""))
		l := w.birth("a", "b")
		cfg := l.config()
		cfg.Processor = faulty{w.core}
		if s, err := spool.New(cfg).Drain(t.Context()); s.Failed != 1 || err != nil {
			t.Errorf("%v\n%s", err, s)
		}
	})
}
