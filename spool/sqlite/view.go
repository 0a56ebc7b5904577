package sqlite

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cmp-batch/cmpcore"
)

// view answers from the newest committed state. Each answer is a read of its
// own: that keeps the write-ahead log free to be used again from its start.
//
// Secrets are an exception: each is read once for a View, because the messages
// of a batch have mostly the same. Whether it is still there is checked at
// commit, as is the count of its uses.
//
// The era is another: what other commits put into a later one while a batch is
// computed is not seen. Nothing that a message of the batch can know of is
// there, as no answer to it had gone out when the batch began.
type view struct {
	s *Store
	*viewOnce
}

// viewOnce is what a View reads once.
type viewOnce struct {
	secrets sync.Map // of *cmpcore.Secret by reference
	era     atomic.Pointer[era]
}

var _ cmpcore.View = view{}

// View gives the view of committed state, for one batch.
func (s *Store) View() cmpcore.View { return view{s, new(viewOnce)} }

// read runs do on a connection for reading.
func (v view) read(ctx context.Context, what string, do func(*conn, *era) error) error {
	c, err := v.s.readers.get(ctx)
	if err == nil {
		e := v.era.Load()
		if e == nil {
			e = new(era)
			if *e, err = v.s.current(c); err == nil {
				v.era.Store(e)
			}
		}
		if err == nil {
			err = do(c, e)
		}
		v.s.readers.put(c)
	}
	if err != nil {
		return v.s.explain(ctx, "read "+what, err)
	}
	return nil
}

func (v view) Transaction(ctx context.Context, key cmpcore.TransactionKey) (t *cmpcore.Transaction, err error) {
	err = v.read(ctx, "transaction", func(c *conn, e *era) (err error) {
		_, t, err = e.transaction(c, &key)
		return err
	})
	return t, err
}

// scanTransaction reads a row of transactionColumns.
func scanTransaction(q *stmt) (id int64, t *cmpcore.Transaction, err error) {
	id = q.ColumnInt64(0)
	t = &cmpcore.Transaction{
		Key:     keyOf(q.ColumnInt64(1), q.ColumnInt64(2)),
		Version: q.ColumnInt64(3),
		State:   cmpcore.TransactionState(q.ColumnInt64(4)),
	}
	if !readTransaction(t, q.copyBlob(5)) {
		return 0, nil, damaged("transaction", id)
	}
	return id, t, nil
}

func (v view) Message(ctx context.Context, h cmpcore.Hash) (der []byte, err error) {
	err = v.read(ctx, "message", func(c *conn, e *era) error {
		id, _, err := e.message(c, &h)
		if err != nil || id == 0 {
			return err
		}
		der, err = request(c, id)
		return err
	})
	return der, err
}

// request gives the DER that is kept of a message.
func request(c *conn, message int64) (der []byte, err error) {
	q := c.q(qRequest).int(message)
	if q.next() {
		der = q.copyBlob(0)
	}
	return der, q.done()
}

func (v view) Answer(ctx context.Context, h cmpcore.Hash) (a *cmpcore.Answer, err error) {
	err = v.read(ctx, "answer", func(c *conn, e *era) error {
		m, err := e.stored(c, &h)
		if err == nil && m.ID != 0 {
			a = &cmpcore.Answer{Disposition: m.Disposition, Reply: m.Reply, Reason: m.Reason}
		}
		return err
	})
	return a, err
}

func (v view) ArchivedKeys(ctx context.Context, requester string, limit int) ([]*cmpcore.ArchivedKey, error) {
	return v.archived(ctx, limit, func(c *conn) *stmt { return c.q(qArchivedOfRequester).blob([]byte(requester)) })
}

func (v view) ArchivedKeysOf(ctx context.Context, requester string, keyID [20]byte, limit int) ([]*cmpcore.ArchivedKey, error) {
	return v.archived(ctx, limit, func(c *conn) *stmt { return c.q(qArchivedOfKey).blob([]byte(requester)).blob(keyID[:]) })
}

func (v view) archived(ctx context.Context, limit int, which func(*conn) *stmt) (list []*cmpcore.ArchivedKey, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = v.read(ctx, "archived keys", func(c *conn, _ *era) error {
		q := which(c).int(int64(limit))
		for q.next() {
			list = append(list, scanArchived(q, 0))
		}
		return q.done()
	})
	return list, err
}

func (v view) Certificate(ctx context.Context, serial []byte) (cert *cmpcore.Certificate, err error) {
	err = v.read(ctx, "certificate", func(c *conn, e *era) (err error) {
		cert, err = e.certificate(c, serial)
		return err
	})
	return cert, err
}

// scanCertificate reads a row of certificateColumns. Where match says no, the
// DER is not read and the result is nil.
func scanCertificate(q *stmt, match func(*cmpcore.Certificate) bool) (id int64, c *cmpcore.Certificate, err error) {
	id = q.ColumnInt64(0)
	c = &cmpcore.Certificate{
		Serial:   q.copyBlob(1),
		Version:  q.ColumnInt64(2),
		Status:   cmpcore.CertStatus(q.ColumnInt64(3)),
		NotAfter: fromMicros(q.ColumnInt64(4)),
		Reason:   int(q.ColumnInt64(6)),
	}
	if !q.isNull(5) {
		c.RevokedAt = fromMicros(q.ColumnInt64(5))
	}
	if !q.isNull(7) {
		c.InvalidityDate = fromMicros(q.ColumnInt64(7))
	}
	if !readCertificate(c, q.copyBlob(8)) {
		return 0, nil, damaged("certificate", id)
	}
	if match != nil && !match(c) {
		return id, nil, nil
	}
	c.DER = q.copyBlob(9)
	return id, c, nil
}

func (v view) CertificatesOfKey(ctx context.Context, keyID [20]byte, limit int) (list []*cmpcore.Certificate, err error) {
	if limit <= 0 {
		return nil, nil
	}
	err = v.read(ctx, "certificates of a key", func(c *conn, e *era) (err error) {
		list, err = e.certificatesOfKey(c, &keyID, limit)
		return err
	})
	return list, err
}

func (v view) Secret(ctx context.Context, ref string) (*cmpcore.Secret, error) {
	if s, ok := v.secrets.Load(ref); ok {
		return s.(*cmpcore.Secret), nil
	}
	secret, err := v.secret(ctx, ref)
	if err == nil && secret != nil {
		v.secrets.Store(ref, secret)
	}
	return secret, err
}

func (v view) secret(ctx context.Context, ref string) (*cmpcore.Secret, error) {
	c, err := v.s.readers.get(ctx)
	if err != nil {
		return nil, v.s.explain(ctx, "read secret", err)
	}
	var secret *cmpcore.Secret
	q := c.q(qSecret).blob([]byte(ref))
	if q.next() {
		secret = scanSecret(q)
	}
	err = q.done()
	v.s.readers.put(c)
	if err != nil {
		return nil, v.s.explain(ctx, "read secret", err)
	}
	return secret, nil
}

// scanSecret reads a row of secretColumns.
func scanSecret(q *stmt) *cmpcore.Secret {
	s := &cmpcore.Secret{
		Ref:     string(q.ColumnRawBlob(0)),
		Version: q.ColumnInt64(1),
		Created: fromMicros(q.ColumnInt64(2)),
		MaxUses: q.ColumnInt64(4),
		Used:    q.ColumnInt64(5),
		Rule:    q.ColumnText(6),
		Sealed:  q.copyBlob(8),
	}
	if !q.isNull(3) {
		s.Expires = fromMicros(q.ColumnInt64(3))
	}
	if bodies := q.ColumnText(7); bodies != "" {
		s.Bodies = strings.Split(bodies, ",")
	}
	return s
}

func (v view) CRL(ctx context.Context) (*cmpcore.CRL, error) {
	c, err := v.s.readers.get(ctx)
	if err != nil {
		return nil, v.s.explain(ctx, "read CRL", err)
	}
	defer v.s.readers.put(c)
	var crl *cmpcore.CRL
	q := c.q(qCRL)
	if q.next() {
		crl = &cmpcore.CRL{
			Number:     q.ColumnInt64(0),
			ThisUpdate: fromMicros(q.ColumnInt64(1)),
			NextUpdate: fromMicros(q.ColumnInt64(2)),
			DER:        q.copyBlob(3),
		}
	}
	if err := q.done(); err != nil {
		return nil, v.s.explain(ctx, "read CRL", err)
	}
	return crl, nil
}

// Revoked reads in pieces, so that no connection is lent and no old state is
// kept alive while the caller works. A certificate that is revoked meanwhile is
// there or not; none is there twice.
func (v view) Revoked(ctx context.Context, since time.Time) iter.Seq2[*cmpcore.Certificate, error] {
	const page = 1024
	return func(yield func(*cmpcore.Certificate, error) bool) {
		var last []byte
		for {
			list, err := v.revokedAfter(ctx, last, since, page)
			if err != nil {
				yield(nil, fmt.Errorf("read revoked certificates: %w", err))
				return
			}
			for _, c := range list {
				if !yield(c, nil) {
					return
				}
			}
			if len(list) < page {
				return
			}
			last = list[len(list)-1].Serial
		}
	}
}

func (v view) revokedAfter(ctx context.Context, last []byte, since time.Time, limit int64) ([]*cmpcore.Certificate, error) {
	c, err := v.s.readers.get(ctx)
	if err != nil {
		return nil, v.s.explain(ctx, "read", err)
	}
	defer v.s.readers.put(c)
	from := int64(math.MinInt64)
	if !since.IsZero() {
		from = micros(since)
	}
	n := int64(len(last))
	list, err := scanRevoked(nil, c.q(qRevokedSameLength).int(n).blob(last).int(from).int(limit))
	if rest := limit - int64(len(list)); err == nil && rest > 0 {
		list, err = scanRevoked(list, c.q(qRevokedLonger).int(n).int(from).int(rest))
	}
	return list, v.s.explain(ctx, "read", err)
}

func scanRevoked(list []*cmpcore.Certificate, q *stmt) ([]*cmpcore.Certificate, error) {
	for q.next() {
		cert := &cmpcore.Certificate{
			Serial:   q.copyBlob(0),
			Version:  q.ColumnInt64(1),
			Status:   cmpcore.CertStatus(q.ColumnInt64(2)),
			NotAfter: fromMicros(q.ColumnInt64(3)),
			Reason:   int(q.ColumnInt64(5)),
		}
		if !q.isNull(4) {
			cert.RevokedAt = fromMicros(q.ColumnInt64(4))
		}
		if !q.isNull(6) {
			cert.InvalidityDate = fromMicros(q.ColumnInt64(6))
		}
		list = append(list, cert)
	}
	return list, q.done()
}
