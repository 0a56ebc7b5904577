package sqlite

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"cmp-batch/spool"
)

// Audit yields the records from a sequence number on; the first has 1.
func (s *Store) Audit(ctx context.Context, from int64) iter.Seq2[spool.AuditRecord, error] {
	return pages(ctx, s, "read audit log", from, func(c *conn, next *int64, _ int) (list []spool.AuditRecord, err error) {
		const few = 8 // a record is up to some 100 kB
		q := c.q(qAudit).int(*next).int(few)
		for q.next() {
			r := spool.AuditRecord{Seq: q.ColumnInt64(0), Entries: q.copyBlob(1)}
			head := q.ColumnRawBlob(2)
			if len(head) != len(r.Head) {
				err = damaged("audit log", r.Seq)
				break
			}
			copy(r.Head[:], head)
			*next = r.Seq + 1
			list = append(list, r)
		}
		if e := q.done(); err == nil {
			err = e
		}
		return list, err
	})
}

// VerifyAudit recomputes the chain from its first record on.
func (s *Store) VerifyAudit(ctx context.Context) (n int64, head [32]byte, err error) {
	for r, err := range s.Audit(ctx, 0) {
		if err != nil {
			return n, head, err
		}
		if r.Seq != n+1 {
			return n, head, spool.Permanent(fmt.Errorf("verify audit log: record %d is missing", n+1))
		}
		want := spool.AuditHead(head, r.Entries)
		if !bytes.Equal(want[:], r.Head[:]) {
			return n, head, spool.Permanent(fmt.Errorf("verify audit log: record %d was changed: its hash is not that of its entries and the record before", r.Seq))
		}
		n, head = r.Seq, r.Head
	}
	return n, head, nil
}
