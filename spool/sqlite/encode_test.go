package sqlite

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"cmp-batch/cmpcore"
)

func FuzzReadTransaction(f *testing.F) {
	f.Add(appendTransaction(nil, &cmpcore.Transaction{}))
	f.Add(appendTransaction(nil, &cmpcore.Transaction{Requester: "secret:a", TransactionID: []byte{1}, Held: true, Approvals: 2,
		Votes: []cmpcore.Vote{{By: "alice", Account: "a", Decision: cmpcore.Approved, Note: "n"}}, Items: []cmpcore.TransactionItem{{CertReqID: -1, Serial: []byte{2}, Confirmed: true, Unproven: true}}}))
	f.Add([]byte{recordFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		var tx cmpcore.Transaction
		if !readTransaction(&tx, bytes.Clone(b)) {
			return
		}
		var again cmpcore.Transaction
		if !readTransaction(&again, appendTransaction(nil, &tx)) {
			t.Fatal("what was read cannot be written and read")
		}
	})
}

func FuzzReadCertificate(f *testing.F) {
	f.Add(appendCertificate(nil, &cmpcore.Certificate{}))
	f.Add(appendCertificate(nil, &cmpcore.Certificate{Profile: "device", Requester: "secret:a", TransactionID: []byte{1}, Subject: []byte{0x30, 0}}))
	f.Add([]byte{recordFormat})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c cmpcore.Certificate
		if readCertificate(&c, bytes.Clone(b)) && !readCertificate(&c, appendCertificate(nil, &c)) {
			t.Fatal("what was read cannot be written and read")
		}
	})
}

func TestTruncatedRecordsAreDamaged(t *testing.T) {
	tx := appendTransaction(nil, &cmpcore.Transaction{Requester: "a", Items: []cmpcore.TransactionItem{{Serial: []byte{1}}}, Approvals: 2, Votes: []cmpcore.Vote{{By: "b", Decision: cmpcore.Rejected, Note: "r"}}})
	cert := appendCertificate(nil, &cmpcore.Certificate{Profile: "p", Subject: []byte{0x30, 0}})
	for i := range tx {
		if readTransaction(new(cmpcore.Transaction), tx[:i]) {
			t.Errorf("%d of %d octets of a transaction were read", i, len(tx))
		}
	}
	for i := range cert {
		if readCertificate(new(cmpcore.Certificate), cert[:i]) {
			t.Errorf("%d of %d octets of a certificate were read", i, len(cert))
		}
	}
	if readTransaction(new(cmpcore.Transaction), append(tx, 0)) || readCertificate(new(cmpcore.Certificate), append(cert, 0)) {
		t.Error("a record with more octets was read")
	}
}

func TestFilterNeverDeniesWhatWasAdded(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, n := range []int64{1, 2, 5, 1000, 60_000, 65_536, 65_537} {
		f := newFilter(n)
		if bits := int64(len(f)) * 64; bits < 16*n {
			t.Errorf("%d keys have %d bits", n, bits)
		}
		keys := make([]lookupKey, n)
		for i := range keys {
			keys[i] = keyFor(kind(1+i%4), rng.Int64N(math.MaxInt64))
			f.add(keys[i])
		}
		f, ok := parseFilter(f.bytes())
		if !ok {
			t.Fatal("a filter cannot be read back")
		}
		for _, k := range keys {
			if !f.mayHave(k, k.mask()) {
				t.Fatalf("%d keys: one was denied", n)
			}
		}
		if n < 1000 {
			continue
		}
		wrong := 0
		const tries = 100_000
		for range tries {
			if k := keyFor(kindMessage, rng.Int64()); f.mayHave(k, k.mask()) {
				wrong++
			}
		}
		if wrong > tries/100 {
			t.Errorf("%d keys: %d of %d others may be there, want less than one in a hundred", n, wrong, tries)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 7), make([]byte, 24)} {
		if _, ok := parseFilter(b); ok {
			t.Errorf("a filter of %d octets was read", len(b))
		}
	}
}
