package sqlite

import (
	"bytes"
	"fmt"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// check tells whether e fits what is committed and what the batch changed so
// far, and leaves in b.found what apply needs. It writes nothing.
func (b *commit) check(e *spool.Entry) (bool, error) {
	o := e.Outcome
	b.found = found{changes: b.changes[:0]}
	if ok, err := b.checkMessage(e); !ok {
		return false, err
	}
	if ok, err := b.checkTransaction(o.Transaction); !ok {
		return false, err
	}
	if ok, err := b.checkCertificates(o); !ok {
		return false, err
	}
	if ok, err := b.checkSecrets(o.SecretUses); !ok {
		return false, err
	}
	if ok, err := b.checkPassphrases(o.Passphrases); !ok {
		return false, err
	}
	return b.checkCRL(o.CRL)
}

func (b *commit) checkMessage(e *spool.Entry) (bool, error) {
	if e.Hash == (cmpcore.Hash{}) {
		return !e.Release, nil
	}
	id, d, err := b.era.message(b.c, &e.Hash)
	if !e.Release {
		return id == 0, err
	}
	b.message = id
	return id != 0 && d == cmpcore.Held, err
}

func (b *commit) checkTransaction(t *cmpcore.Transaction) (bool, error) {
	if t == nil {
		return true, nil
	}
	id, version, state, err := b.era.transactionState(b.c, &t.Key)
	b.tx, b.waited = id, state.Open()
	return version == t.Version, err
}

func (b *commit) checkCertificates(o *cmpcore.Outcome) (bool, error) {
	for i, cert := range o.Certificates {
		id, _, err := b.era.certificateState(b.c, cert.Serial)
		if err != nil || id != 0 {
			return false, err
		}
		for _, other := range o.Certificates[:i] {
			if bytes.Equal(other.Serial, cert.Serial) {
				return false, nil
			}
		}
	}
	for i := range o.CertChanges {
		ch := &o.CertChanges[i]
		id, version, err := b.era.certificateState(b.c, ch.Serial)
		if err != nil || id == 0 || version != ch.Version {
			return false, err
		}
		for _, other := range b.changes {
			if other == id {
				return false, nil // the second was computed from what the first changes
			}
		}
		b.changes = append(b.changes, id)
	}
	for _, r := range o.Relied {
		id, version, err := b.era.certificateState(b.c, r.CertificateSerial)
		if err != nil || id == 0 || version != r.Version {
			return false, err
		}
	}
	return true, nil
}

func (b *commit) checkSecrets(uses []cmpcore.SecretUse) (bool, error) {
	for i, u := range uses {
		if u.N < 0 {
			return false, fmt.Errorf("a secret cannot be used %d times", u.N)
		}
		s, err := b.secret(u.Ref)
		if err != nil || s == nil {
			return false, err
		}
		n := s.used + s.add
		for _, same := range uses[:i+1] {
			if same.Ref == u.Ref {
				n += same.N
			}
		}
		if s.max > 0 && n > s.max {
			return false, nil
		}
	}
	return true, nil
}

// secret reads the counters once a batch; nil where the secret is gone.
func (b *commit) secret(ref string) (*secretUse, error) {
	if s, ok := b.secrets[ref]; ok {
		return s, nil
	}
	var s *secretUse
	q := b.c.q(qSecretUses).blob([]byte(ref))
	if q.next() {
		s = &secretUse{max: q.ColumnInt64(0), used: q.ColumnInt64(1)}
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	if b.secrets == nil {
		b.secrets = make(map[string]*secretUse)
	}
	b.secrets[ref] = s
	return s, nil
}

func (b *commit) checkCRL(crl *cmpcore.CRL) (bool, error) {
	if crl == nil {
		return true, nil
	}
	if !b.crlRead {
		q := b.c.q(qCRLNumber)
		if b.crl = -1; q.next() {
			b.crl = q.ColumnInt64(0)
		}
		if err := q.done(); err != nil {
			return false, err
		}
		b.crlRead = true
	}
	return crl.Number > b.crl, nil
}
