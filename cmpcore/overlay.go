package cmpcore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// overlay is a View of what will be true once outcomes that are not committed
// are: versions, counts and states are those that the Store will have. It is
// used by one goroutine.
type overlay struct {
	View
	transactions map[TransactionKey]*Transaction
	messages     map[Hash][]byte // nil: not kept any more
	answers      map[Hash]*Answer
	certificates map[string]*Certificate
	issued       []*Certificate // of these, the new ones
	used         map[string]int64
	archive      []*ArchivedKey
	passphrases  map[string]*Passphrase
	crl          *CRL
}

func newOverlay(v View) *overlay {
	return &overlay{
		View: v, transactions: map[TransactionKey]*Transaction{}, messages: map[Hash][]byte{}, answers: map[Hash]*Answer{},
		certificates: map[string]*Certificate{}, used: map[string]int64{}, passphrases: map[string]*Passphrase{},
	}
}

// apply adds an outcome and its parts.
func (v *overlay) apply(ctx context.Context, h Hash, der []byte, o *Outcome) error {
	if h != (Hash{}) {
		v.answers[h] = &Answer{Disposition: o.Disposition, Reply: o.Reply, Reason: o.Reason}
	}
	if o.Transaction != nil {
		t := *o.Transaction
		t.Version++
		v.transactions[t.Key] = &t
		switch {
		case !t.State.Open():
			v.messages[t.Request] = nil
		case o.KeepRequest:
			v.messages[h] = der
		}
	}
	for _, c := range o.Certificates {
		n := *c
		n.Version = 1
		v.certificates[string(c.Serial)] = &n
		v.issued = append(v.issued, &n)
	}
	for i := range o.CertChanges {
		if err := v.change(ctx, &o.CertChanges[i]); err != nil {
			return err
		}
	}
	for _, u := range o.SecretUses {
		v.used[u.Ref] += u.N
	}
	v.archive = append(v.archive, o.Archive...)
	for _, p := range o.Passphrases {
		n := *p
		n.Version++
		v.passphrases[p.Owner] = &n
	}
	if o.CRL != nil {
		v.crl = o.CRL
	}
	for i := range o.Parts {
		p := &o.Parts[i]
		if err := v.apply(ctx, p.Hash, p.DER, p.Outcome); err != nil {
			return err
		}
	}
	return nil
}

func (v *overlay) change(ctx context.Context, ch *CertificateChange) error {
	c, err := v.Certificate(ctx, ch.Serial)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("certificate %x that is to change is not in the store", ch.Serial)
	}
	n := *c
	n.Version++
	n.Status, n.RevokedAt, n.Reason, n.InvalidityDate = ch.Status, ch.RevokedAt, ch.Reason, ch.InvalidityDate
	v.certificates[string(n.Serial)] = &n
	for i, old := range v.issued {
		if bytes.Equal(old.Serial, n.Serial) {
			v.issued[i] = &n
		}
	}
	return nil
}

func (v *overlay) Transaction(ctx context.Context, key TransactionKey) (*Transaction, error) {
	if t := v.transactions[key]; t != nil {
		return t, nil
	}
	return v.View.Transaction(ctx, key)
}

func (v *overlay) Message(ctx context.Context, h Hash) ([]byte, error) {
	if der, ok := v.messages[h]; ok {
		return der, nil
	}
	return v.View.Message(ctx, h)
}

func (v *overlay) Answer(ctx context.Context, h Hash) (*Answer, error) {
	if a := v.answers[h]; a != nil {
		return a, nil
	}
	return v.View.Answer(ctx, h)
}

func (v *overlay) Certificate(ctx context.Context, serial []byte) (*Certificate, error) {
	if c := v.certificates[string(serial)]; c != nil {
		return c, nil
	}
	return v.View.Certificate(ctx, serial)
}

func (v *overlay) CertificatesOfKey(ctx context.Context, keyID [20]byte, limit int) ([]*Certificate, error) {
	var list []*Certificate
	for _, c := range slices.Backward(v.issued) {
		if c.KeyID == keyID && len(list) < limit {
			list = append(list, c)
		}
	}
	old, err := v.View.CertificatesOfKey(ctx, keyID, limit-len(list))
	for _, c := range old {
		if n := v.certificates[string(c.Serial)]; n != nil {
			c = n
		}
		list = append(list, c)
	}
	return list, err
}

func (v *overlay) Secret(ctx context.Context, ref string) (*Secret, error) {
	s, err := v.View.Secret(ctx, ref)
	if n := v.used[ref]; s != nil && n > 0 {
		c := *s
		c.Used += n
		s = &c
	}
	return s, err
}

func (v *overlay) Passphrase(ctx context.Context, owner string) (*Passphrase, error) {
	if p := v.passphrases[owner]; p != nil {
		return p, nil
	}
	return v.View.Passphrase(ctx, owner)
}

func (v *overlay) PassphraseOfKey(ctx context.Context, keyID []byte) (*Passphrase, error) {
	for _, p := range v.passphrases {
		if bytes.Equal(p.KeyID, keyID) {
			return p, nil
		}
	}
	p, err := v.View.PassphraseOfKey(ctx, keyID)
	if p != nil && v.passphrases[p.Owner] != nil {
		p = nil // it has another name now
	}
	return p, err
}

func (v *overlay) ArchivedKeys(ctx context.Context, requester string, limit int) ([]*ArchivedKey, error) {
	var list []*ArchivedKey
	for _, k := range slices.Backward(v.archive) {
		if k.Requester == requester && len(list) < limit {
			list = append(list, k)
		}
	}
	old, err := v.View.ArchivedKeys(ctx, requester, limit-len(list))
	return append(list, old...), err
}

func (v *overlay) ArchivedKeysOf(ctx context.Context, requester string, keyID [20]byte, limit int) ([]*ArchivedKey, error) {
	var list []*ArchivedKey
	for _, k := range slices.Backward(v.archive) {
		if k.Requester == requester && k.KeyID == keyID && len(list) < limit {
			list = append(list, k)
		}
	}
	old, err := v.View.ArchivedKeysOf(ctx, requester, keyID, limit-len(list))
	return append(list, old...), err
}

func (v *overlay) CRL(ctx context.Context) (*CRL, error) {
	if v.crl != nil {
		return v.crl, nil
	}
	return v.View.CRL(ctx)
}

func (v *overlay) Revoked(ctx context.Context, since time.Time) iter.Seq2[*Certificate, error] {
	listed := func(c *Certificate) bool {
		return (c.Status == Revoked || c.Status == RejectedByHolder) && !c.NotAfter.Before(since)
	}
	order := func(a, b *Certificate) int {
		if n := cmp.Compare(len(a.Serial), len(b.Serial)); n != 0 {
			return n
		}
		return bytes.Compare(a.Serial, b.Serial)
	}
	return func(yield func(*Certificate, error) bool) {
		var ours []*Certificate
		for _, c := range v.certificates {
			if listed(c) {
				ours = append(ours, c)
			}
		}
		slices.SortFunc(ours, order)
		for c, err := range v.View.Revoked(ctx, since) {
			if err != nil {
				yield(nil, err)
				return
			}
			for len(ours) > 0 && order(ours[0], c) < 0 {
				if !yield(ours[0], nil) {
					return
				}
				ours = ours[1:]
			}
			if v.certificates[string(c.Serial)] != nil {
				continue // as it is now, it is among ours or listed no more
			}
			if !yield(c, nil) {
				return
			}
		}
		for _, c := range ours {
			if !yield(c, nil) {
				return
			}
		}
	}
}
