package memory

import (
	"maps"
	"slices"

	"cmp-batch/cmpcore"
)

// copy gives data that can be changed without changing d, for an outcome with
// parts: the third of them may not fit when two are stored.
func (d *data) copy() *data {
	c := &data{}
	c.become(d)
	c.secrets = maps.Clone(d.secrets)
	for ref, s := range c.secrets {
		c.secrets[ref] = copySecret(s)
	}
	c.certificates, c.serials = slices.Clone(d.certificates), make(map[string]*cmpcore.Certificate, len(d.serials))
	for i, cert := range c.certificates {
		cert = copyCertificate(cert)
		c.certificates[i], c.serials[string(cert.Serial)] = cert, cert
	}
	c.transactions = maps.Clone(d.transactions)
	c.order = slices.Clone(d.order)
	c.messages, c.hashes = make(map[int64]*message, len(d.messages)), make(map[cmpcore.Hash]*message, len(d.hashes))
	for id, m := range d.messages {
		m2 := *m
		c.messages[id], c.hashes[m.hash] = &m2, &m2
	}
	c.undelivered, c.outgoing = maps.Clone(d.undelivered), maps.Clone(d.outgoing)
	c.archive, c.passphrases = slices.Clone(d.archive), maps.Clone(d.passphrases)
	return c
}

// become takes over all of t but its lock.
func (d *data) become(t *data) {
	d.meta, d.secrets, d.certificates, d.serials = t.meta, t.secrets, t.certificates, t.serials
	d.transactions, d.order, d.messages, d.hashes = t.transactions, t.order, t.messages, t.hashes
	d.undelivered, d.batches, d.lastMessage = t.undelivered, t.batches, t.lastMessage
	d.outgoing, d.archive, d.crl, d.audit = t.outgoing, t.archive, t.crl, t.audit
	d.passphrases = t.passphrases
}
