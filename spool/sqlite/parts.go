package sqlite

import (
	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// enter checks and writes one entry. Most have no parts: those are checked as a
// whole before anything is written. Of one that has, a later part may turn out
// not to fit when earlier ones are written, so that there is something to undo.
func (b *commit) enter(e *spool.Entry, v *spool.Verdict) (bool, error) {
	if len(e.Outcome.Parts) == 0 {
		return b.enterOne(e, v)
	}
	before := *b
	used := make(map[string]int64, len(b.secrets))
	for ref, s := range b.secrets {
		if s != nil {
			used[ref] = s.add
		}
	}
	if err := b.c.q(qSavepoint).exec(); err != nil {
		return false, err
	}
	ok, err := b.enterAll(e, v)
	if err != nil {
		return false, err // the whole commit is rolled back
	}
	if !ok {
		if err := b.c.q(qRollbackTo).exec(); err != nil {
			return false, err
		}
		secrets, buf, changes := b.secrets, b.buf, b.changes
		*b = before
		b.secrets, b.buf, b.changes = secrets, buf, changes
		for ref, s := range b.secrets {
			if s != nil {
				s.add = used[ref]
			}
		}
		*v = spool.Verdict{}
	}
	return ok, b.c.q(qReleaseSavepoint).exec()
}

func (b *commit) enterOne(e *spool.Entry, v *spool.Verdict) (bool, error) {
	ok, err := b.check(e)
	if !ok || err != nil {
		return false, err
	}
	return true, b.apply(e, v)
}

// enterAll enters e and then its parts, each into what those before it have
// made.
func (b *commit) enterAll(e *spool.Entry, v *spool.Verdict) (bool, error) {
	if ok, err := b.enterOne(e, v); !ok || err != nil {
		return false, err
	}
	outer := b.outer
	b.outer = &v.ID
	for i := range e.Outcome.Parts {
		var pv spool.Verdict
		if ok, err := b.enterAll(spool.PartEntry(e, i), &pv); !ok || err != nil {
			return false, err
		}
		v.Outgoing = append(v.Outgoing, pv.Outgoing...)
		v.Withdrawn += pv.Withdrawn
	}
	b.outer = outer
	return true, nil
}

// send stores a message that nobody asked for. It is undelivered one by one.
func (b *commit) send(o *cmpcore.Outgoing, v *spool.Verdict) error {
	id := b.next
	b.next++
	if err := b.c.q(qInsertOutgoing).int(id).text(o.Channel).text(o.Name).blob(o.DER).exec(); err != nil {
		return err
	}
	v.Outgoing = append(v.Outgoing, id)
	return b.c.q(qInsertUndelivered).int(id).int(b.id).exec()
}

func (b *commit) archive(k *cmpcore.ArchivedKey) error {
	return b.c.q(qInsertArchived).blob(k.KeyID[:]).blob([]byte(k.Requester)).blob(k.Serial).blob(k.Subject).
		int(micros(k.Created)).blob(k.Envelope).exec()
}

// scanArchived reads a row of archivedColumns, from the column first on.
func scanArchived(q *stmt, first int) *cmpcore.ArchivedKey {
	k := &cmpcore.ArchivedKey{
		Requester: string(q.ColumnRawBlob(first + 1)),
		Serial:    q.copyBlob(first + 2),
		Subject:   q.copyBlob(first + 3),
		Created:   fromMicros(q.ColumnInt64(first + 4)),
		Envelope:  q.copyBlob(first + 5),
	}
	copy(k.KeyID[:], q.ColumnRawBlob(first))
	return k
}
