package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Commit stores a batch.
func (s *Store) Commit(ctx context.Context, batch []spool.Entry) (id int64, verdicts []spool.Verdict, err error) {
	if len(batch) == 0 {
		return 0, nil, nil
	}
	err = s.write(ctx, Commit, func(d *data) error {
		for i := range batch {
			if batch[i].Outcome == nil {
				return fmt.Errorf("entry %d has no outcome", i)
			}
			for o := range batch[i].Outcome.All() {
				for _, u := range o.SecretUses {
					if u.N < 0 {
						return fmt.Errorf("entry %d: a secret cannot be used %d times", i, u.N)
					}
				}
			}
		}
		id, verdicts = d.commit(batch)
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	return id, verdicts, nil
}

func (d *data) commit(batch []spool.Entry) (int64, []spool.Verdict) {
	verdicts := make([]spool.Verdict, len(batch))
	id := d.batches + 1
	var audit []cmpcore.AuditEntry
	stored := false
	for i := range batch {
		if !d.enter(&batch[i], id, &verdicts[i]) {
			verdicts[i] = spool.Verdict{Conflict: true}
			continue
		}
		stored = true
		for o := range batch[i].Outcome.All() {
			audit = append(audit, o.Audit...)
		}
	}
	if !stored {
		return 0, verdicts
	}
	d.batches = id
	d.log(audit)
	return id, verdicts
}

// log adds the entries of one commit to the audit log; none make no record.
func (d *data) log(audit []cmpcore.AuditEntry) {
	if len(audit) == 0 {
		return
	}
	var head [32]byte
	if n := len(d.audit); n > 0 {
		head = d.audit[n-1].Head
	}
	entries := spool.AppendAudit(nil, audit)
	d.audit = append(d.audit, spool.AuditRecord{Seq: int64(len(d.audit)) + 1, Entries: entries, Head: spool.AuditHead(head, entries)})
}

// enter stores e if it fits, with its parts.
func (d *data) enter(e *spool.Entry, batch int64, v *spool.Verdict) bool {
	if len(e.Outcome.Parts) == 0 {
		if !d.fits(e) {
			return false
		}
		d.store(e, batch, v, false)
		return true
	}
	trial := d.copy()
	if !trial.enterAll(e, batch, v, false) {
		return false
	}
	d.become(trial)
	return true
}

func (d *data) enterAll(e *spool.Entry, batch int64, v *spool.Verdict, inner bool) bool {
	if !d.fits(e) {
		return false
	}
	d.store(e, batch, v, inner)
	for i := range e.Outcome.Parts {
		var pv spool.Verdict
		if !d.enterAll(spool.PartEntry(e, i), batch, &pv, true) {
			return false
		}
		v.Outgoing = append(v.Outgoing, pv.Outgoing...)
		v.Withdrawn += pv.Withdrawn
	}
	return true
}

// fits tells whether e is no conflict.
func (d *data) fits(e *spool.Entry) bool {
	o := e.Outcome
	if e.Hash == (cmpcore.Hash{}) {
		if e.Release {
			return false
		}
	} else if m := d.hashes[e.Hash]; e.Release != (m != nil) || m != nil && m.disposition != cmpcore.Held {
		return false
	}
	if t := o.Transaction; t != nil {
		var version int64
		if old := d.transactions[t.Key]; old != nil {
			version = old.Version
		}
		if version != t.Version {
			return false
		}
	}
	seen := map[string]bool{}
	for _, c := range o.Certificates {
		if d.serials[string(c.Serial)] != nil || seen[string(c.Serial)] {
			return false
		}
		seen[string(c.Serial)] = true
	}
	clear(seen)
	for _, ch := range o.CertChanges {
		if c := d.serials[string(ch.Serial)]; c == nil || c.Version != ch.Version || seen[string(ch.Serial)] {
			return false
		}
		seen[string(ch.Serial)] = true
	}
	for _, r := range o.Relied {
		if c := d.serials[string(r.CertificateSerial)]; c == nil || c.Version != r.Version {
			return false
		}
	}
	uses := map[string]int64{}
	for _, u := range o.SecretUses {
		uses[u.Ref] += u.N
		if s := d.secrets[u.Ref]; s == nil || s.MaxUses > 0 && s.Used+uses[u.Ref] > s.MaxUses {
			return false
		}
	}
	clear(seen)
	for i, p := range o.Passphrases {
		var version int64
		if old := d.passphrases[p.Owner]; old != nil {
			version = old.Version
		}
		if version != p.Version || seen[p.Owner] {
			return false
		}
		seen[p.Owner] = true
		if of := d.passphraseOfKey(p.KeyID); of != nil && of.Owner != p.Owner {
			return false
		}
		for _, other := range o.Passphrases[:i] {
			if len(p.KeyID) > 0 && bytes.Equal(other.KeyID, p.KeyID) {
				return false
			}
		}
	}
	return o.CRL == nil || o.CRL.Number >= 0 && (d.crl == nil || o.CRL.Number > d.crl.Number)
}

func (d *data) store(e *spool.Entry, batch int64, v *spool.Verdict, inner bool) {
	o := e.Outcome
	var m *message
	if e.Hash != (cmpcore.Hash{}) {
		if e.Release {
			m = d.hashes[e.Hash]
			v.Returns = slices.Clone(m.returns)
		} else {
			d.lastMessage++
			m = &message{id: d.lastMessage, hash: e.Hash, received: e.Received, returns: []spool.Return{e.Return}}
			d.messages[m.id], d.hashes[m.hash] = m, m
		}
		m.disposition, m.reply, m.reason = o.Disposition, bytes.Clone(o.Reply), o.Reason
		if len(m.reply) > 0 && !inner {
			d.undelivered[m.id] = batch
		}
		v.ID = m.id
	}
	if o.Transaction != nil {
		t := copyTransaction(o.Transaction)
		t.Version++
		if t.Version == 1 {
			d.order = append(d.order, t.Key)
		}
		d.transactions[t.Key] = t
		if !t.State.Open() {
			for _, kept := range d.messages {
				if kept.der == nil || kept.keptFor != t.Key {
					continue
				}
				kept.der = nil
				if kept.disposition == cmpcore.Held {
					kept.disposition, kept.reason = cmpcore.Silent, spool.Withdrawn
					v.Withdrawn++
				}
			}
		} else if o.KeepRequest && m != nil && !e.Release {
			m.der, m.keptFor = append([]byte{}, e.DER...), t.Key
		}
	}
	for _, c := range o.Certificates {
		c = copyCertificate(c)
		c.Version = 1
		d.certificates = append(d.certificates, c)
		d.serials[string(c.Serial)] = c
	}
	for _, ch := range o.CertChanges {
		c := d.serials[string(ch.Serial)]
		c.Version++
		c.Status, c.RevokedAt, c.Reason, c.InvalidityDate = ch.Status, ch.RevokedAt, ch.Reason, ch.InvalidityDate
	}
	for _, u := range o.SecretUses {
		d.secrets[u.Ref].Used += u.N
	}
	for _, k := range o.Archive {
		d.archive = append(d.archive, copyArchivedKey(k))
	}
	for _, p := range o.Passphrases {
		p = copyPassphrase(p)
		p.Version++
		d.passphrases[p.Owner] = p
	}
	for _, out := range o.Outgoing {
		d.lastMessage++
		out.DER = bytes.Clone(out.DER)
		d.outgoing[d.lastMessage], d.undelivered[d.lastMessage] = out, batch
		v.Outgoing = append(v.Outgoing, d.lastMessage)
	}
	if o.CRL != nil {
		d.crl = copyCRL(o.CRL)
	}
}

func copyTransaction(t *cmpcore.Transaction) *cmpcore.Transaction {
	c := *t
	c.TransactionID = bytes.Clone(t.TransactionID)
	c.FirstNonce = bytes.Clone(t.FirstNonce)
	c.OurNonce = bytes.Clone(t.OurNonce)
	c.Proof = bytes.Clone(t.Proof)
	c.Votes = slices.Clone(t.Votes)
	c.Items = slices.Clone(t.Items)
	for i := range c.Items {
		c.Items[i].Serial = bytes.Clone(c.Items[i].Serial)
	}
	return &c
}

func copyCertificate(t *cmpcore.Certificate) *cmpcore.Certificate {
	c := *t
	c.Serial = bytes.Clone(t.Serial)
	c.DER = bytes.Clone(t.DER)
	c.Subject = slices.Clone(t.Subject)
	c.TransactionID = bytes.Clone(t.TransactionID)
	return &c
}

func copyArchivedKey(t *cmpcore.ArchivedKey) *cmpcore.ArchivedKey {
	c := *t
	c.Serial = bytes.Clone(t.Serial)
	c.Subject = slices.Clone(t.Subject)
	c.Envelope = bytes.Clone(t.Envelope)
	return &c
}

// passphraseOfKey gives nil for the empty key identifier, which names none.
func (d *data) passphraseOfKey(keyID []byte) *cmpcore.Passphrase {
	for _, p := range d.passphrases {
		if len(keyID) > 0 && bytes.Equal(p.KeyID, keyID) {
			return p
		}
	}
	return nil
}

func copyPassphrase(t *cmpcore.Passphrase) *cmpcore.Passphrase {
	c := *t
	c.KeyID = bytes.Clone(t.KeyID)
	c.Sealed = bytes.Clone(t.Sealed)
	return &c
}

func copySecret(t *cmpcore.Secret) *cmpcore.Secret {
	c := *t
	c.Sealed = bytes.Clone(t.Sealed)
	c.Bodies = slices.Clone(t.Bodies)
	return &c
}

func copyCRL(t *cmpcore.CRL) *cmpcore.CRL {
	c := *t
	c.DER = bytes.Clone(t.DER)
	return &c
}
