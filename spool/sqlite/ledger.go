package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"

	"github.com/ncruces/go-sqlite3"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// pages reads rows in pieces, so that no connection is lent while the caller
// works with them. read gets the key that the last row gave and appends rows.
func pages[K, T any](ctx context.Context, s *Store, doing string, key K, read func(*conn, *K, int) ([]T, error)) iter.Seq2[T, error] {
	const page = 256
	return func(yield func(T, error) bool) {
		key := key
		for {
			c, err := s.readers.get(ctx)
			var rows []T
			if err == nil {
				rows, err = read(c, &key, page)
				s.readers.put(c)
			}
			if err != nil {
				var none T
				yield(none, s.explain(ctx, doing, err))
				return
			}
			if rows == nil {
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Meta gives nil where the key was never set.
func (s *Store) Meta(ctx context.Context, key string) ([]byte, error) {
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.explain(ctx, "read meta", err)
	}
	defer s.readers.put(c)
	var value []byte
	q := c.q(qMeta).text(key)
	if q.next() {
		value = append([]byte{}, q.ColumnRawBlob(0)...)
	}
	if err := q.done(); err != nil {
		return nil, s.explain(ctx, "read meta", err)
	}
	return value, nil
}

// SetMeta sets a value.
func (s *Store) SetMeta(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, "set meta", true, func(c *conn) error {
		return c.q(qSetMeta).text(key).blob(value).exec()
	})
}

// AddSecret registers a secret, with version 1.
func (s *Store) AddSecret(ctx context.Context, secret *cmpcore.Secret) error {
	if secret.Ref == "" {
		return errors.New("add secret: the reference is empty")
	}
	for _, b := range secret.Bodies {
		if b == "" || strings.Contains(b, ",") {
			return fmt.Errorf("add secret: %q is no body type", b)
		}
	}
	return s.write(ctx, "add secret", true, func(c *conn) error {
		err := c.q(qInsertSecret).blob([]byte(secret.Ref)).int(micros(secret.Created)).
			intOrNull(micros(secret.Expires), !secret.Expires.IsZero()).int(secret.MaxUses).int(secret.Used).
			text(secret.Rule).text(strings.Join(secret.Bodies, ",")).blob(secret.Sealed).exec()
		if errors.Is(err, sqlite3.CONSTRAINT) {
			return fmt.Errorf("%.64q is registered already: remove it first", secret.Ref)
		}
		return err
	})
}

// Secrets yields all, by reference.
func (s *Store) Secrets(ctx context.Context) iter.Seq2[*cmpcore.Secret, error] {
	return pages(ctx, s, "list secrets", "", func(c *conn, last *string, n int) (list []*cmpcore.Secret, err error) {
		q := c.q(qSecrets).blob([]byte(*last)).int(int64(n))
		for q.next() {
			secret := scanSecret(q)
			*last = secret.Ref
			list = append(list, secret)
		}
		return list, q.done()
	})
}

// RemoveSecret removes one.
func (s *Store) RemoveSecret(ctx context.Context, ref string) error {
	return s.write(ctx, "remove secret", true, func(c *conn) error {
		if err := c.q(qDeleteSecret).blob([]byte(ref)).exec(); err != nil {
			return err
		}
		if c.Changes() == 0 {
			return fmt.Errorf("%.64q: %w", ref, spool.ErrNotFound)
		}
		return nil
	})
}

// Certificates yields what f selects. A serial number is found by index; other
// selections read all rows, but no DER of those that do not match.
func (s *Store) Certificates(ctx context.Context, f spool.CertFilter) iter.Seq2[*cmpcore.Certificate, error] {
	return func(yield func(*cmpcore.Certificate, error) bool) {
		n := 0
		for c, err := range s.certificates(ctx, &f) {
			if err != nil {
				yield(nil, err)
				return
			}
			if c == nil {
				continue
			}
			if !yield(c, nil) {
				return
			}
			if n++; f.Limit > 0 && n >= f.Limit {
				return
			}
		}
	}
}

func (s *Store) findCertificate(c *conn, serial []byte) (*cmpcore.Certificate, error) {
	e, err := s.current(c)
	if err != nil {
		return nil, err
	}
	return e.certificate(c, serial)
}

// certificates yields nil for rows that do not match.
func (s *Store) certificates(ctx context.Context, f *spool.CertFilter) iter.Seq2[*cmpcore.Certificate, error] {
	const doing = "list certificates"
	if len(f.Serial) > 0 {
		return pages(ctx, s, doing, false, func(c *conn, seen *bool, _ int) ([]*cmpcore.Certificate, error) {
			if *seen {
				return nil, nil
			}
			*seen = true
			cert, err := s.findCertificate(c, f.Serial)
			if err != nil || cert == nil || !f.Match(cert) {
				return nil, err
			}
			return []*cmpcore.Certificate{cert}, nil
		})
	}
	statement := qCertificates
	if f.Status == cmpcore.Unconfirmed {
		statement = qCertificatesUnconfirmed
	}
	return pages(ctx, s, doing, int64(0), func(c *conn, last *int64, n int) (list []*cmpcore.Certificate, err error) {
		q := c.q(statement).int(*last).int(int64(n))
		for err == nil && q.next() {
			var cert *cmpcore.Certificate
			if *last, cert, err = scanCertificate(q, f.Match); err == nil {
				list = append(list, cert)
			}
		}
		if e := q.done(); err == nil {
			err = e
		}
		return list, err
	})
}

// Archive yields all archived keys.
func (s *Store) Archive(ctx context.Context) iter.Seq2[*cmpcore.ArchivedKey, error] {
	return pages(ctx, s, "list archived keys", int64(0), func(c *conn, last *int64, n int) (list []*cmpcore.ArchivedKey, err error) {
		q := c.q(qArchive).int(*last).int(int64(n))
		for q.next() {
			*last = q.ColumnInt64(0)
			list = append(list, scanArchived(q, 1))
		}
		return list, q.done()
	})
}

// Failures yields the messages that failed, newest first.
func (s *Store) Failures(ctx context.Context) iter.Seq2[spool.Failure, error] {
	return pages(ctx, s, "list failures", int64(math.MaxInt64), func(c *conn, before *int64, n int) (list []spool.Failure, err error) {
		q := c.q(qFailures).int(*before).int(int64(n))
		for q.next() {
			f := spool.Failure{
				ID:     q.ColumnInt64(0),
				Return: spool.Return{Channel: q.ColumnText(3), Name: q.ColumnText(4)},
				Time:   fromMicros(q.ColumnInt64(5)),
				Reason: q.ColumnText(6),
			}
			binary.BigEndian.PutUint64(f.Hash[:8], uint64(q.ColumnInt64(1)))
			copy(f.Hash[8:], q.ColumnRawBlob(2))
			*before = f.ID
			list = append(list, f)
		}
		return list, q.done()
	})
}

// Forget removes a failed message.
func (s *Store) Forget(ctx context.Context, id int64) error {
	return s.write(ctx, "forget failure", true, func(c *conn) error {
		if err := c.q(qForget).int(id).exec(); err != nil {
			return err
		}
		if c.Changes() == 0 {
			return fmt.Errorf("failed message %d: %w", id, spool.ErrNotFound)
		}
		return nil
	})
}

// Counts reads small indexes where it can; counting messages and certificates
// takes some 10 ms for a million.
func (s *Store) Counts(ctx context.Context) (spool.Counts, error) {
	var n spool.Counts
	c, err := s.readers.get(ctx)
	if err != nil {
		return n, s.explain(ctx, "count", err)
	}
	defer s.readers.put(c)
	if err := c.q(qBegin).exec(); err != nil {
		return n, s.explain(ctx, "count", err)
	}
	defer c.rollback()
	var rejected int64
	for _, count := range []struct {
		to  *int64
		sql string
	}{
		{&n.Messages, `SELECT count(*) FROM message`},
		{&n.Undelivered, `SELECT (SELECT count(*) FROM undelivered) + (SELECT count(*) FROM batch b JOIN message m
			ON m.id BETWEEN b.first AND b.last WHERE b.delivered=0 AND m.reply IS NOT NULL AND m.part_of IS NULL
			AND NOT EXISTS (SELECT 1 FROM undelivered u WHERE u.message=m.id))`},
		{&n.Held, `SELECT count(*) FROM message WHERE disposition=4`},
		{&n.Failed, `SELECT count(*) FROM message WHERE disposition=5`},
		{&n.Waiting, `SELECT count(*) FROM tx WHERE phase IN (1,2,3,4)`},
		{&n.AwaitingConfirm, `SELECT count(*) FROM tx WHERE phase=5`},
		{&n.AwaitingProof, `SELECT count(*) FROM tx WHERE phase=6`},
		{&n.Certificates, `SELECT count(*) FROM certificate`},
		{&n.Unconfirmed, `SELECT count(*) FROM certificate WHERE status=1`},
		{&n.RevokedCertificates, `SELECT count(*) FROM certificate WHERE status>=3 AND status=3`},
		{&rejected, `SELECT count(*) FROM certificate WHERE status>=3 AND status=4`},
		{&n.Secrets, `SELECT count(*) FROM secret`},
		{&n.Passphrases, `SELECT count(*) FROM passphrase`},
		{&n.ArchivedKeys, `SELECT count(*) FROM archived_key`},
		{&n.AuditRecords, `SELECT count(*) FROM audit`},
	} {
		if *count.to, err = queryInt(c.Conn, count.sql); err != nil {
			return n, s.explain(ctx, "count", err)
		}
	}
	n.Valid = n.Certificates - n.Unconfirmed - n.RevokedCertificates - rejected
	return n, nil
}
