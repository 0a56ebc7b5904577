package storetest

import (
	"fmt"
	"sync"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// together runs n goroutines and waits.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

func testConcurrent(b *bench) {
	const workers, rounds, size = 4, 10, 8
	b.ok(b.s.AddSecret(ctx, secret("shared", 0)))
	name := func(w, r, i int) string { return fmt.Sprintf("%d %d %d", w, r, i) }
	together(2*workers, func(w int) {
		if w >= workers { // readers
			w -= workers
			for r := range rounds {
				for i := range size {
					n := name(w, r, i)
					if _, err := b.s.View().Transaction(ctx, key(n)); err != nil {
						b.Error(err)
					}
					if _, err := b.s.View().Secret(ctx, "shared"); err != nil {
						b.Error(err)
					}
					if _, err := b.s.View().Certificate(ctx, serial(n)); err != nil {
						b.Error(err)
					}
				}
				if _, err := b.s.Undelivered(ctx, 0, 10); err != nil {
					b.Error(err)
				}
			}
			return
		}
		for r := range rounds {
			var batch []spool.Entry
			var hashes []cmpcore.Hash
			for i := range size {
				e := enrolment(name(w, r, i))
				e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "shared", N: 1}}
				batch, hashes = append(batch, e), append(hashes, e.Hash)
			}
			id, _, err := b.s.Commit(ctx, batch)
			if err != nil {
				b.Error(err)
				return
			}
			// What is committed is seen at once.
			if m, err := b.s.Lookup(ctx, hashes); err != nil || len(m) != size {
				b.Errorf("looked up %d of %d: %v", len(m), size, err)
			}
			if err := b.s.Delivered(ctx, id, nil); err != nil {
				b.Error(err)
			}
		}
	})
	const all = workers * rounds * size
	b.equal("uses", b.used("shared"), int64(all))
	c := b.counts()
	if c.Messages != all || c.Certificates != all || c.Undelivered != 0 || c.AuditRecords != workers*rounds {
		b.Errorf("counts %+v", c)
	}
	if n, _, err := b.s.VerifyAudit(ctx); n != workers*rounds || err != nil {
		b.Errorf("audit: %d %v", n, err)
	}
}

func testTwoStores(b *bench) {
	stores := []spool.Store{b.s, b.reopen(), b.reopen()}
	const rounds = 40
	b.ok(stores[1].AddSecret(ctx, secret("few", rounds/2)))
	b.commit(enrolment("shared"))
	wins := make([]int, len(stores))
	batches := make([]map[int64]bool, len(stores))
	together(len(stores), func(w int) {
		batches[w] = map[int64]bool{}
		for r := range rounds {
			// All try to take the same step: new message, transaction version
			// and serial are each enough for a conflict.
			e := enrolment(fmt.Sprint("step ", r))
			e.Outcome.Transaction = next(transaction("shared"), int64(r+1), cmpcore.AwaitingConfirm)
			own := enrolment(fmt.Sprintf("own %d %d", w, r))
			own.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: "few", N: 1}}
			for {
				id, v, err := stores[w].Commit(ctx, []spool.Entry{e, own})
				if err != nil {
					b.Error(err)
					return
				}
				batches[w][id] = true
				if !v[0].Conflict {
					wins[w]++
					break
				}
				t, err := stores[w].View().Transaction(ctx, key("shared"))
				if err != nil {
					b.Error(err)
					return
				}
				if t.Version > int64(r+1) {
					break // another was faster
				}
			}
		}
	})
	total := 0
	for _, n := range wins {
		total += n
	}
	b.equal("steps taken", total, rounds)
	for _, s := range stores {
		b.s = s
		t := b.transaction("shared")
		b.equal("version", t.Version, int64(rounds+1))
		b.equal("uses", b.used("few"), int64(rounds/2))
		c := b.counts()
		b.equal("certificates", c.Certificates, int64(1+rounds+rounds/2))
		if _, _, err := s.VerifyAudit(ctx); err != nil {
			b.Error(err)
		}
	}
	seen := map[int64]bool{}
	for _, m := range batches {
		for id := range m {
			if id != 0 && seen[id] {
				b.Errorf("batch %d was given twice", id)
			}
			seen[id] = true
		}
	}
}
