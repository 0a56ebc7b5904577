package sqlite

import (
	"context"
	"fmt"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Commit makes a batch durable. Each entry is first compared with what is
// committed and with what the batch has changed so far, then written; so a
// conflict has nothing to undo, unless it is of an entry with parts.
func (s *Store) Commit(ctx context.Context, batch []spool.Entry) (int64, []spool.Verdict, error) {
	if len(batch) == 0 {
		return 0, nil, nil
	}
	var b commit
	err := s.write(ctx, "commit", true, func(c *conn) error {
		b = commit{s: s, c: c, verdicts: make([]spool.Verdict, len(batch))}
		return b.run(batch)
	})
	if err != nil {
		return 0, nil, err
	}
	return b.id, b.verdicts, nil
}

// commit is the state of one Commit.
type commit struct {
	s        *Store
	c        *conn
	era      era
	keys     int64 // added to the era
	id       int64
	first    int64 // the first message of the batch
	next     int64 // the next message
	replies  bool
	verdicts []spool.Verdict
	secrets  map[string]*secretUse
	crl      int64 // number of the newest CRL
	crlRead  bool
	audit    []byte
	released []int64
	buf      []byte
	outer    *int64 // id of the message that the entry is a part of; nil: of none

	found // by check, of one entry
}

// found is what check learned of an entry's rows, for apply.
type found struct {
	message int64   // id, of a Release
	tx      int64   // id, of an existing one
	waited  bool    // that transaction kept its request
	changes []int64 // ids of CertChanges
}

type secretUse struct{ max, used, add int64 }

func (b *commit) run(batch []spool.Entry) error {
	if err := b.begin(); err != nil {
		return err
	}
	stored := false
	for i := range batch {
		e := &batch[i]
		if e.Outcome == nil {
			return fmt.Errorf("entry %d has no outcome", i)
		}
		ok, err := b.enter(e, &b.verdicts[i])
		if err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if !ok {
			b.verdicts[i].Conflict = true
			continue
		}
		stored = true
	}
	if !stored {
		b.id = 0
		return errNothing
	}
	return b.end()
}

// begin reads where ids go on. The row of the last batch keeps them from being
// used again after messages were forgotten.
func (b *commit) begin() error {
	var last int64
	q := b.c.q(qLastBatch)
	if q.next() {
		b.id, last = q.ColumnInt64(0), q.ColumnInt64(1)
	}
	b.id++
	b.first = last + 1
	b.next = b.first
	if err := q.done(); err != nil {
		return err
	}
	var err error
	b.era, err = b.s.current(b.c)
	return err
}

// end writes what is one row a batch.
func (b *commit) end() error {
	c := b.c
	for ref, u := range b.secrets {
		if u != nil && u.add > 0 { // nil: looked for and gone
			if err := c.q(qUseSecret).int(u.used + u.add).blob([]byte(ref)).exec(); err != nil {
				return err
			}
		}
	}
	if err := insertAudit(c, b.audit); err != nil {
		return err
	}
	for _, id := range b.released {
		if err := c.q(qInsertUndelivered).int(id).int(b.id).exec(); err != nil {
			return err
		}
	}
	if err := b.era.grow(c, b.keys); err != nil {
		return err
	}
	delivered := int64(1)
	if b.replies {
		delivered = 0
	}
	return c.q(qInsertBatch).int(b.id).int(b.first).int(b.next - 1).int(delivered).exec()
}

// insertAudit adds the entries of one commit to the log; none make no record.
func insertAudit(c *conn, entries []byte) error {
	if len(entries) == 0 {
		return nil
	}
	seq, head, err := lastAudit(c)
	if err != nil {
		return err
	}
	head = spool.AuditHead(head, entries)
	return c.q(qInsertAudit).int(seq + 1).blob(head[:]).blob(entries).exec()
}

func lastAudit(c *conn) (seq int64, head [32]byte, err error) {
	q := c.q(qLastAudit)
	if q.next() {
		seq = q.ColumnInt64(0)
		if copy(head[:], q.ColumnRawBlob(1)) != len(head) {
			err = damaged("audit log", seq)
		}
	}
	if e := q.done(); e != nil {
		err = e
	}
	return seq, head, err
}

// apply writes an entry that check let pass.
func (b *commit) apply(e *spool.Entry, v *spool.Verdict) error {
	c, o := b.c, e.Outcome
	if e.Hash != (cmpcore.Hash{}) {
		if err := b.applyMessage(e, v); err != nil {
			return err
		}
	}
	if t := o.Transaction; t != nil {
		if b.waited && !t.State.Open() {
			if err := b.withdraw(v); err != nil {
				return err
			}
		}
		tx, err := b.applyTransaction(t)
		if err != nil {
			return err
		}
		// Only while it waits is the message needed again.
		if o.KeepRequest && v.ID != 0 && !e.Release && t.State.Open() {
			if err := c.q(qInsertRequest).int(v.ID).int(tx).blob(e.DER).exec(); err != nil {
				return err
			}
		}
	}
	for _, cert := range o.Certificates {
		b.keys += 2
		b.buf = appendCertificate(b.buf[:0], cert)
		err := c.q(qInsertCertificate).int(b.era.id).blob(cert.Serial).int(keyIDKey(&cert.KeyID)).int(int64(cert.Status)).
			int(micros(cert.NotAfter)).intOrNull(micros(cert.RevokedAt), !cert.RevokedAt.IsZero()).int(int64(cert.Reason)).
			intOrNull(micros(cert.InvalidityDate), !cert.InvalidityDate.IsZero()).blob(b.buf).blob(cert.DER).exec()
		if err != nil {
			return err
		}
	}
	for i := range o.CertChanges {
		ch := &o.CertChanges[i]
		err := c.q(qChangeCertificate).int(int64(ch.Status)).intOrNull(micros(ch.RevokedAt), !ch.RevokedAt.IsZero()).
			int(int64(ch.Reason)).intOrNull(micros(ch.InvalidityDate), !ch.InvalidityDate.IsZero()).int(b.changes[i]).exec()
		if err != nil {
			return err
		}
	}
	for _, u := range o.SecretUses {
		b.secrets[u.Ref].add += u.N
	}
	if crl := o.CRL; crl != nil {
		b.crl = crl.Number
		if err := c.q(qDropCRL).exec(); err != nil {
			return err
		}
		if err := c.q(qInsertCRL).int(crl.Number).int(micros(crl.ThisUpdate)).int(micros(crl.NextUpdate)).blob(crl.DER).exec(); err != nil {
			return err
		}
	}
	for _, k := range o.Archive {
		if err := b.archive(k); err != nil {
			return err
		}
	}
	for _, p := range o.Passphrases {
		if err := b.putPassphrase(p); err != nil {
			return err
		}
	}
	for i := range o.Outgoing {
		if err := b.send(&o.Outgoing[i], v); err != nil {
			return err
		}
	}
	b.audit = spool.AppendAudit(b.audit, o.Audit)
	return nil
}

func (b *commit) applyMessage(e *spool.Entry, v *spool.Verdict) error {
	c, o := b.c, e.Outcome
	if e.Release {
		v.ID = b.message
		// It gets a reply only now, which is not of the batch it came with.
		if err := listBatchOf(c, v.ID); err != nil {
			return err
		}
		if err := c.q(qReleaseMessage).int(int64(o.Disposition)).textOrNull(o.Reason).blobOrNull(o.Reply).int(v.ID).exec(); err != nil {
			return err
		}
		if len(o.Reply) > 0 {
			b.released = append(b.released, v.ID)
		}
		var err error
		v.Returns, err = returnsOf(c, v.ID)
		return err
	}
	v.ID = b.next
	b.next++
	b.keys++
	h, rest := hashKey(&e.Hash)
	insert := qInsertMessage
	if b.outer != nil {
		insert = qInsertPart
	} else {
		b.replies = b.replies || len(o.Reply) > 0
	}
	q := c.q(insert).int(v.ID).int(b.era.id).int(h).blob(rest).int(int64(o.Disposition)).int(micros(e.Received)).
		text(e.Return.Channel).text(e.Return.Name).textOrNull(o.Reason).blobOrNull(o.Reply)
	if b.outer != nil {
		q = q.int(*b.outer)
	}
	return q.exec()
}

// withdraw makes the held message of a transaction that is over Silent, unless
// this entry has answered it.
func (b *commit) withdraw(v *spool.Verdict) error {
	if err := b.c.q(qWithdraw).text(spool.Withdrawn).int(b.tx).exec(); err != nil {
		return err
	}
	v.Withdrawn += int(b.c.Changes())
	return nil
}

func (b *commit) applyTransaction(t *cmpcore.Transaction) (id int64, err error) {
	c := b.c
	b.buf = appendTransaction(b.buf[:0], t)
	ph, pending := phase(t)
	expires := pending && !t.Expires.IsZero()
	if t.Version == 0 {
		k1, k2 := transactionKey(&t.Key)
		b.keys++
		err = c.q(qInsertTransaction).int(b.era.id).int(k1).int(k2).int(int64(t.State)).
			intOrNull(ph, pending).intOrNull(micros(t.Expires), expires).blob(b.buf).exec()
		return c.LastInsertRowID(), err
	}
	err = c.q(qUpdateTransaction).int(t.Version+1).int(int64(t.State)).
		intOrNull(ph, pending).intOrNull(micros(t.Expires), expires).blob(b.buf).int(b.tx).exec()
	if err == nil && b.waited && !t.State.Open() {
		err = c.q(qDropRequest).int(b.tx).exec()
	}
	return b.tx, err
}
