package sqlite

import (
	"context"
	"fmt"
	"iter"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// checkPassphrases tells whether each takes the place of the one that was read,
// and has a name that nobody else's has.
func (b *commit) checkPassphrases(list []*cmpcore.Passphrase) (bool, error) {
	for i, p := range list {
		var version int64
		q := b.c.q(qPassphraseVersion).blob([]byte(p.Owner))
		if q.next() {
			version = q.ColumnInt64(0)
		}
		if err := q.done(); err != nil || version != p.Version {
			return false, err
		}
		for _, other := range list[:i] {
			if other.Owner == p.Owner || len(p.KeyID) > 0 && string(other.KeyID) == string(p.KeyID) {
				return false, nil
			}
		}
		if len(p.KeyID) == 0 {
			continue
		}
		taken := false
		q = b.c.q(qPassphraseOfKey).blob(p.KeyID)
		if q.next() {
			taken = string(q.ColumnRawBlob(0)) != p.Owner
		}
		if err := q.done(); err != nil || taken {
			return false, err
		}
	}
	return true, nil
}

func (b *commit) putPassphrase(p *cmpcore.Passphrase) error {
	return b.c.q(qPutPassphrase).blob([]byte(p.Owner)).int(p.Version + 1).blobOrNull(p.KeyID).text(p.Rule).
		int(micros(p.Created)).blob(p.Sealed).exec()
}

// scanPassphrase reads a row of passphraseColumns.
func scanPassphrase(q *stmt) *cmpcore.Passphrase {
	return &cmpcore.Passphrase{
		Owner:   string(q.ColumnRawBlob(0)),
		Version: q.ColumnInt64(1),
		KeyID:   q.copyBlob(2),
		Rule:    q.ColumnText(3),
		Created: fromMicros(q.ColumnInt64(4)),
		Sealed:  q.copyBlob(5),
	}
}

func (v view) Passphrase(ctx context.Context, owner string) (*cmpcore.Passphrase, error) {
	return v.passphrase(ctx, qPassphrase, []byte(owner))
}

func (v view) PassphraseOfKey(ctx context.Context, keyID []byte) (*cmpcore.Passphrase, error) {
	if len(keyID) == 0 {
		return nil, nil
	}
	return v.passphrase(ctx, qPassphraseOfKey, keyID)
}

func (v view) passphrase(ctx context.Context, which query, of []byte) (*cmpcore.Passphrase, error) {
	const doing = "read revocation passphrase"
	c, err := v.s.readers.get(ctx)
	if err != nil {
		return nil, v.s.explain(ctx, doing, err)
	}
	var p *cmpcore.Passphrase
	q := c.q(which).blob(of)
	if q.next() {
		p = scanPassphrase(q)
	}
	err = q.done()
	v.s.readers.put(c)
	if err != nil {
		return nil, v.s.explain(ctx, doing, err)
	}
	return p, nil
}

// Passphrases yields all, by owner.
func (s *Store) Passphrases(ctx context.Context) iter.Seq2[*cmpcore.Passphrase, error] {
	return pages(ctx, s, "list revocation passphrases", "", func(c *conn, last *string, n int) (list []*cmpcore.Passphrase, err error) {
		q := c.q(qPassphrases).blob([]byte(*last)).int(int64(n))
		for q.next() {
			p := scanPassphrase(q)
			*last = p.Owner
			list = append(list, p)
		}
		return list, q.done()
	})
}

// RemovePassphrase removes one.
func (s *Store) RemovePassphrase(ctx context.Context, owner string) error {
	return s.write(ctx, "remove revocation passphrase", true, func(c *conn) error {
		if err := c.q(qDeletePassphrase).blob([]byte(owner)).exec(); err != nil {
			return err
		}
		if c.Changes() == 0 {
			return fmt.Errorf("%.64q: %w", owner, spool.ErrNotFound)
		}
		return nil
	})
}
