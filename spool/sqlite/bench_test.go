//go:build unix

package sqlite_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

// Sizes of one enrolment by a shared secret, as on the wire: a reply with the
// certificate and its chain, and a certificate for a P-256 key.
const (
	batchSize  = 512
	replySize  = 1500
	certSize   = 600
	benchRef   = "bench"
	rowsOption = "CMPBATCH_BENCH_ROWS" // enrolments that are there before; default 0
)

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

var (
	benchReply, benchCert, benchSubject = random(replySize), random(certSize), random(90)
	benchTime                           = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
)

// enrolment is what the core makes of an ir with implicit confirmation.
func enrolment() spool.Entry {
	serial, key := random(16), random(16)
	serial[0] |= 0x40
	c := &cmpcore.Certificate{
		Serial: serial, DER: benchCert, Subject: benchSubject, KeyID: [20]byte(random(20)), Status: cmpcore.Valid,
		NotBefore: benchTime, NotAfter: benchTime.AddDate(1, 0, 0), Profile: "device", Requester: "secret:" + benchRef,
		TransactionKey: cmpcore.TransactionKey(key), TransactionID: random(16),
	}
	h := cmpcore.Hash(random(32))
	return spool.Entry{
		Hash: h, Return: spool.Return{Channel: "usb", Name: hex.EncodeToString(serial) + ".pki"}, Received: benchTime,
		Outcome: &cmpcore.Outcome{
			Disposition: cmpcore.Answered, Reply: benchReply,
			Transaction: &cmpcore.Transaction{
				Key: c.TransactionKey, Requester: c.Requester, TransactionID: c.TransactionID, Channel: "usb", State: cmpcore.Finished,
				Created: benchTime, Expires: benchTime.AddDate(0, 1, 0), Request: h, FirstNonce: random(16), OurNonce: random(16),
				Items: []cmpcore.TransactionItem{{Serial: serial, Confirmed: true}},
			},
			Certificates: []*cmpcore.Certificate{c},
			SecretUses:   []cmpcore.SecretUse{{Ref: benchRef, N: 1}},
			Audit: []cmpcore.AuditEntry{{Time: benchTime, Event: "issued", Requester: c.Requester, Transaction: hex.EncodeToString(c.TransactionID),
				Serial: hex.EncodeToString(serial), Rule: "factory", Profile: "device", Detail: "CN=device 123456,O=Example"}},
		},
	}
}

func benchBatch() []spool.Entry {
	batch := make([]spool.Entry, batchSize)
	for i := range batch {
		batch[i] = enrolment()
	}
	return batch
}

// benchStore has as many enrolments as asked for, and the last batch of them.
func benchStore(b *testing.B) (*sqlite.Store, []spool.Entry) {
	ctx := context.Background()
	s, err := sqlite.Create(ctx, filepath.Join(b.TempDir(), "state.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.AddSecret(ctx, &cmpcore.Secret{Ref: benchRef, Sealed: random(80), Created: benchTime}); err != nil {
		b.Fatal(err)
	}
	rows, _ := strconv.Atoi(os.Getenv(rowsOption))
	var batch []spool.Entry
	for n := 0; n <= rows; n += batchSize {
		batch = benchBatch()
		commit(b, s, batch)
	}
	return s, batch
}

// cpuTime is what counts where others use the machine too.
func cpuTime() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func commit(b *testing.B, s *sqlite.Store, batch []spool.Entry) {
	b.Helper()
	id, v, err := s.Commit(context.Background(), batch)
	if err != nil || v[0].Conflict {
		b.Fatal(err, v)
	}
	if err := s.Delivered(context.Background(), id, nil); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCommit is one batch: looked up, committed, delivered.
func BenchmarkCommit(b *testing.B) {
	s, _ := benchStore(b)
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		batch := benchBatch()
		hashes := make([]cmpcore.Hash, len(batch))
		for i := range batch {
			hashes[i] = batch[i].Hash
		}
		b.StartTimer()
		start := cpuTime()
		if m, err := s.Lookup(context.Background(), hashes); err != nil || len(m) != 0 {
			b.Fatal(m, err)
		}
		commit(b, s, batch)
		cpu += cpuTime() - start
	}
	b.ReportMetric(float64(cpu.Microseconds())/float64(b.N*batchSize), "cpu-µs/outcome")
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*batchSize), "µs/outcome")
}

// BenchmarkCommitOne is one message that is durable on return.
func BenchmarkCommitOne(b *testing.B) {
	s, _ := benchStore(b)
	for b.Loop() {
		commit(b, s, []spool.Entry{enrolment()})
	}
}

func BenchmarkView(b *testing.B) {
	s, batch := benchStore(b)
	v, ctx := s.View(), context.Background()
	for _, call := range []struct {
		name string
		do   func(i int) (bool, error)
	}{
		{"Secret", func(int) (bool, error) { r, err := v.Secret(ctx, benchRef); return r != nil, err }},
		{"Transaction", func(i int) (bool, error) {
			r, err := v.Transaction(ctx, batch[i].Outcome.Transaction.Key)
			return r != nil, err
		}},
		{"NoTransaction", func(i int) (bool, error) {
			r, err := v.Transaction(ctx, cmpcore.TransactionKey(batch[i].Hash[:16]))
			return r == nil, err
		}},
		{"Certificate", func(i int) (bool, error) {
			r, err := v.Certificate(ctx, batch[i].Outcome.Certificates[0].Serial)
			return r != nil, err
		}},
		{"CertificatesOfKey", func(i int) (bool, error) {
			r, err := v.CertificatesOfKey(ctx, batch[i].Outcome.Certificates[0].KeyID, 5)
			return len(r) == 1, err
		}},
	} {
		b.Run(call.name, func(b *testing.B) {
			var next atomic.Int64
			start := cpuTime()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if ok, err := call.do(int(next.Add(1)) % batchSize); !ok || err != nil {
						b.Error(call.name, ok, err)
						return
					}
				}
			})
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
