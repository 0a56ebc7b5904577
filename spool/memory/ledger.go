package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Meta gives nil where the key was never set.
func (s *Store) Meta(ctx context.Context, key string) ([]byte, error) {
	return read(ctx, s.d, func() []byte { return bytes.Clone(s.d.meta[key]) })
}

// SetMeta sets a value.
func (s *Store) SetMeta(ctx context.Context, key string, value []byte) error {
	return s.write(ctx, SetMeta, func(d *data) error {
		d.meta[key] = append([]byte{}, value...)
		return nil
	})
}

// AddSecret registers a secret, with version 1.
func (s *Store) AddSecret(ctx context.Context, secret *cmpcore.Secret) error {
	if secret.Ref == "" {
		return errors.New("add secret: the reference is empty")
	}
	return s.write(ctx, AddSecret, func(d *data) error {
		if d.secrets[secret.Ref] != nil {
			return fmt.Errorf("add secret: %.64q is registered already: remove it first", secret.Ref)
		}
		c := copySecret(secret)
		c.Version = 1
		d.secrets[c.Ref] = c
		return nil
	})
}

// Secrets yields all, by reference.
func (s *Store) Secrets(ctx context.Context) iter.Seq2[*cmpcore.Secret, error] {
	return each(ctx, s.d, func() (list []*cmpcore.Secret) {
		for _, ref := range slices.Sorted(maps.Keys(s.d.secrets)) {
			list = append(list, copySecret(s.d.secrets[ref]))
		}
		return list
	})
}

// RemoveSecret removes one.
func (s *Store) RemoveSecret(ctx context.Context, ref string) error {
	return s.write(ctx, RemoveSecret, func(d *data) error {
		if d.secrets[ref] == nil {
			return fmt.Errorf("remove secret: %.64q: %w", ref, spool.ErrNotFound)
		}
		delete(d.secrets, ref)
		return nil
	})
}

// Passphrases yields all, by owner.
func (s *Store) Passphrases(ctx context.Context) iter.Seq2[*cmpcore.Passphrase, error] {
	return each(ctx, s.d, func() (list []*cmpcore.Passphrase) {
		for _, owner := range slices.Sorted(maps.Keys(s.d.passphrases)) {
			list = append(list, copyPassphrase(s.d.passphrases[owner]))
		}
		return list
	})
}

// RemovePassphrase removes one.
func (s *Store) RemovePassphrase(ctx context.Context, owner string) error {
	return s.write(ctx, RemovePassphrase, func(d *data) error {
		if d.passphrases[owner] == nil {
			return fmt.Errorf("remove revocation passphrase: %.64q: %w", owner, spool.ErrNotFound)
		}
		delete(d.passphrases, owner)
		return nil
	})
}

// Certificates yields what f selects.
func (s *Store) Certificates(ctx context.Context, f spool.CertFilter) iter.Seq2[*cmpcore.Certificate, error] {
	return each(ctx, s.d, func() (list []*cmpcore.Certificate) {
		for _, c := range s.d.certificates {
			if f.Match(c) {
				list = append(list, copyCertificate(c))
			}
			if f.Limit > 0 && len(list) == f.Limit {
				break
			}
		}
		return list
	})
}

// Archive yields all archived keys.
func (s *Store) Archive(ctx context.Context) iter.Seq2[*cmpcore.ArchivedKey, error] {
	return each(ctx, s.d, func() (list []*cmpcore.ArchivedKey) {
		for _, k := range s.d.archive {
			list = append(list, copyArchivedKey(k))
		}
		return list
	})
}

// Waiting yields the transactions that are AwaitingDecision.
func (s *Store) Waiting(ctx context.Context) iter.Seq2[*cmpcore.Transaction, error] {
	return each(ctx, s.d, func() (list []*cmpcore.Transaction) {
		for _, key := range s.d.order {
			if t := s.d.transactions[key]; t.State == cmpcore.AwaitingDecision {
				list = append(list, copyTransaction(t))
			}
		}
		return list
	})
}

// Decide records a decision.
func (s *Store) Decide(ctx context.Context, key cmpcore.TransactionKey, version int64, v cmpcore.Vote, audit ...cmpcore.AuditEntry) error {
	return s.write(ctx, Decide, func(d *data) error {
		return d.changeWaiting(key, version, audit, func(t *cmpcore.Transaction) error { return t.Vote(v) })
	})
}

// Freeze sets or clears Frozen.
func (s *Store) Freeze(ctx context.Context, key cmpcore.TransactionKey, version int64, frozen bool, audit ...cmpcore.AuditEntry) error {
	return s.write(ctx, Freeze, func(d *data) error {
		return d.changeWaiting(key, version, audit, func(t *cmpcore.Transaction) error {
			t.Frozen = frozen
			return nil
		})
	})
}

func (d *data) changeWaiting(key cmpcore.TransactionKey, version int64, audit []cmpcore.AuditEntry, change func(*cmpcore.Transaction) error) error {
	t := d.transactions[key]
	if t == nil {
		return fmt.Errorf("transaction %x: %w", key, spool.ErrNotFound)
	}
	if t.Version != version || t.State != cmpcore.AwaitingDecision {
		return fmt.Errorf("transaction %x: %w", key, spool.ErrConflict)
	}
	if err := change(t); err != nil {
		return fmt.Errorf("transaction %x: %w", key, err)
	}
	t.Version++
	d.log(audit)
	return nil
}

// Failures yields the messages that failed, newest first.
func (s *Store) Failures(ctx context.Context) iter.Seq2[spool.Failure, error] {
	return each(ctx, s.d, func() (list []spool.Failure) {
		for _, id := range slices.Backward(slices.Sorted(maps.Keys(s.d.messages))) {
			if m := s.d.messages[id]; m.disposition == cmpcore.Failed {
				list = append(list, spool.Failure{ID: id, Hash: m.hash, Return: m.returns[0], Time: m.received, Reason: m.reason})
			}
		}
		return list
	})
}

// Forget removes a failed message.
func (s *Store) Forget(ctx context.Context, id int64) error {
	return s.write(ctx, Forget, func(d *data) error {
		m := d.messages[id]
		if m == nil || m.disposition != cmpcore.Failed {
			return fmt.Errorf("failed message %d: %w", id, spool.ErrNotFound)
		}
		delete(d.messages, id)
		delete(d.hashes, m.hash)
		delete(d.undelivered, id)
		return nil
	})
}

// Counts counts.
func (s *Store) Counts(ctx context.Context) (spool.Counts, error) {
	return read(ctx, s.d, func() (n spool.Counts) {
		d := s.d
		n.Messages, n.Undelivered = int64(len(d.messages)), int64(len(d.undelivered))
		n.Certificates, n.Secrets, n.AuditRecords = int64(len(d.certificates)), int64(len(d.secrets)), int64(len(d.audit))
		n.ArchivedKeys, n.Passphrases = int64(len(d.archive)), int64(len(d.passphrases))
		for _, m := range d.messages {
			switch m.disposition {
			case cmpcore.Held:
				n.Held++
			case cmpcore.Failed:
				n.Failed++
			}
		}
		for _, t := range d.transactions {
			switch t.State {
			case cmpcore.AwaitingDecision:
				n.Waiting++
			case cmpcore.AwaitingConfirm:
				n.AwaitingConfirm++
			case cmpcore.AwaitingProof:
				n.AwaitingProof++
			}
		}
		for _, c := range d.certificates {
			switch c.Status {
			case cmpcore.Unconfirmed:
				n.Unconfirmed++
			case cmpcore.Valid:
				n.Valid++
			case cmpcore.Revoked:
				n.RevokedCertificates++
			}
		}
		return n
	})
}

// Audit yields the records from a sequence number on; the first has 1.
func (s *Store) Audit(ctx context.Context, from int64) iter.Seq2[spool.AuditRecord, error] {
	return each(ctx, s.d, func() (list []spool.AuditRecord) {
		for _, r := range s.d.audit {
			if r.Seq >= from {
				r.Entries = bytes.Clone(r.Entries)
				list = append(list, r)
			}
		}
		return list
	})
}

// VerifyAudit recomputes the chain from its first record on.
func (s *Store) VerifyAudit(ctx context.Context) (n int64, head [32]byte, err error) {
	for r, err := range s.Audit(ctx, 0) {
		if err != nil {
			return n, head, err
		}
		if spool.AuditHead(head, r.Entries) != r.Head {
			return n, head, spool.Permanent(fmt.Errorf("verify audit log: record %d was changed", r.Seq))
		}
		n, head = r.Seq, r.Head
	}
	return n, head, nil
}
