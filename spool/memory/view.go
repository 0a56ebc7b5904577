package memory

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"time"

	"cmp-batch/cmpcore"
)

type view struct{ d *data }

// View gives the view of committed state.
func (s *Store) View() cmpcore.View { return view{s.d} }

// read runs do with the data locked.
func read[T any](ctx context.Context, d *data, do func() T) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return do(), nil
}

// each yields a list that read gives.
func each[T any](ctx context.Context, d *data, list func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		all, err := read(ctx, d, list)
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for _, one := range all {
			if !yield(one, nil) {
				return
			}
		}
	}
}

func (v view) Transaction(ctx context.Context, key cmpcore.TransactionKey) (*cmpcore.Transaction, error) {
	return read(ctx, v.d, func() *cmpcore.Transaction {
		if t := v.d.transactions[key]; t != nil {
			return copyTransaction(t)
		}
		return nil
	})
}

func (v view) Message(ctx context.Context, h cmpcore.Hash) ([]byte, error) {
	return read(ctx, v.d, func() []byte {
		if m := v.d.hashes[h]; m != nil {
			return bytes.Clone(m.der)
		}
		return nil
	})
}

func (v view) Answer(ctx context.Context, h cmpcore.Hash) (*cmpcore.Answer, error) {
	return read(ctx, v.d, func() *cmpcore.Answer {
		if m := v.d.hashes[h]; m != nil {
			return &cmpcore.Answer{Disposition: m.disposition, Reply: bytes.Clone(m.reply), Reason: m.reason}
		}
		return nil
	})
}

func (v view) ArchivedKeys(ctx context.Context, requester string, limit int) ([]*cmpcore.ArchivedKey, error) {
	return read(ctx, v.d, func() (list []*cmpcore.ArchivedKey) {
		for _, k := range slices.Backward(v.d.archive) {
			if len(list) >= limit {
				break
			}
			if k.Requester == requester {
				list = append(list, copyArchivedKey(k))
			}
		}
		return list
	})
}

// ArchivedKeysOf lists those with one key identifier.
func (v view) ArchivedKeysOf(ctx context.Context, requester string, keyID [20]byte, limit int) ([]*cmpcore.ArchivedKey, error) {
	return read(ctx, v.d, func() (list []*cmpcore.ArchivedKey) {
		for _, k := range slices.Backward(v.d.archive) {
			if k.Requester == requester && k.KeyID == keyID && len(list) < limit {
				list = append(list, copyArchivedKey(k))
			}
		}
		return list
	})
}

func (v view) Passphrase(ctx context.Context, owner string) (*cmpcore.Passphrase, error) {
	return read(ctx, v.d, func() *cmpcore.Passphrase {
		if p := v.d.passphrases[owner]; p != nil {
			return copyPassphrase(p)
		}
		return nil
	})
}

func (v view) PassphraseOfKey(ctx context.Context, keyID []byte) (*cmpcore.Passphrase, error) {
	return read(ctx, v.d, func() *cmpcore.Passphrase {
		if p := v.d.passphraseOfKey(keyID); p != nil {
			return copyPassphrase(p)
		}
		return nil
	})
}

func (v view) Certificate(ctx context.Context, serial []byte) (*cmpcore.Certificate, error) {
	return read(ctx, v.d, func() *cmpcore.Certificate {
		if c := v.d.serials[string(serial)]; c != nil {
			return copyCertificate(c)
		}
		return nil
	})
}

func (v view) CertificatesOfKey(ctx context.Context, keyID [20]byte, limit int) ([]*cmpcore.Certificate, error) {
	return read(ctx, v.d, func() (list []*cmpcore.Certificate) {
		for _, c := range slices.Backward(v.d.certificates) {
			if len(list) >= limit {
				break
			}
			if c.KeyID == keyID {
				list = append(list, copyCertificate(c))
			}
		}
		return list
	})
}

func (v view) Secret(ctx context.Context, ref string) (*cmpcore.Secret, error) {
	return read(ctx, v.d, func() *cmpcore.Secret {
		if s := v.d.secrets[ref]; s != nil {
			return copySecret(s)
		}
		return nil
	})
}

func (v view) CRL(ctx context.Context) (*cmpcore.CRL, error) {
	return read(ctx, v.d, func() *cmpcore.CRL {
		if v.d.crl == nil {
			return nil
		}
		return copyCRL(v.d.crl)
	})
}

func (v view) Revoked(ctx context.Context, since time.Time) iter.Seq2[*cmpcore.Certificate, error] {
	return each(ctx, v.d, func() (list []*cmpcore.Certificate) {
		for _, c := range v.d.certificates {
			if (c.Status == cmpcore.Revoked || c.Status == cmpcore.RejectedByHolder) && !c.NotAfter.Before(since) {
				list = append(list, copyCertificate(c))
			}
		}
		slices.SortFunc(list, func(a, b *cmpcore.Certificate) int {
			if n := len(a.Serial) - len(b.Serial); n != 0 {
				return n
			}
			return bytes.Compare(a.Serial, b.Serial)
		})
		return list
	})
}
