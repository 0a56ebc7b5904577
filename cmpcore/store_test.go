package cmpcore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
)

// store is a View that takes outcomes with the checks that an Outcome asks for.
// It gives copies, and checks nowhere what it was not asked to check.
type store struct {
	transactions map[cmpcore.TransactionKey]*cmpcore.Transaction
	order        []cmpcore.TransactionKey
	messages     map[cmpcore.Hash][]byte
	certs        map[string]*cmpcore.Certificate
	secrets      map[string]*cmpcore.Secret
	answers      map[cmpcore.Hash]*cmpcore.Answer
	archive      []*cmpcore.ArchivedKey
	passphrases  map[string]*cmpcore.Passphrase
	outgoing     []cmpcore.Outgoing
	crl          *cmpcore.CRL
	audit        []cmpcore.AuditEntry
	fail         error // what every question is answered with
}

func newStore() *store {
	return &store{
		transactions: map[cmpcore.TransactionKey]*cmpcore.Transaction{}, messages: map[cmpcore.Hash][]byte{},
		certs: map[string]*cmpcore.Certificate{}, secrets: map[string]*cmpcore.Secret{},
		answers: map[cmpcore.Hash]*cmpcore.Answer{}, passphrases: map[string]*cmpcore.Passphrase{},
	}
}

func copyOf[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

func (s *store) Transaction(_ context.Context, k cmpcore.TransactionKey) (*cmpcore.Transaction, error) {
	return copyOf(s.transactions[k]), s.fail
}

func (s *store) Message(_ context.Context, h cmpcore.Hash) ([]byte, error) {
	return s.messages[h], s.fail
}

func (s *store) Answer(_ context.Context, h cmpcore.Hash) (*cmpcore.Answer, error) {
	return copyOf(s.answers[h]), s.fail
}

func (s *store) ArchivedKeys(_ context.Context, requester string, limit int) (list []*cmpcore.ArchivedKey, err error) {
	for _, k := range slices.Backward(s.archive) {
		if k.Requester == requester && len(list) < limit {
			list = append(list, copyOf(k))
		}
	}
	return list, s.fail
}

func (s *store) ArchivedKeysOf(_ context.Context, requester string, keyID [20]byte, limit int) (list []*cmpcore.ArchivedKey, err error) {
	for _, k := range slices.Backward(s.archive) {
		if k.Requester == requester && k.KeyID == keyID && len(list) < limit {
			list = append(list, copyOf(k))
		}
	}
	return list, s.fail
}

func (s *store) Passphrase(_ context.Context, owner string) (*cmpcore.Passphrase, error) {
	return copyOf(s.passphrases[owner]), s.fail
}

func (s *store) PassphraseOfKey(_ context.Context, keyID []byte) (*cmpcore.Passphrase, error) {
	for _, p := range s.passphrases {
		if bytes.Equal(p.KeyID, keyID) {
			return copyOf(p), s.fail
		}
	}
	return nil, s.fail
}

func (s *store) Certificate(_ context.Context, serial []byte) (*cmpcore.Certificate, error) {
	return copyOf(s.certs[string(serial)]), s.fail
}

func (s *store) CertificatesOfKey(_ context.Context, id [20]byte, limit int) (list []*cmpcore.Certificate, err error) {
	for _, c := range s.sorted() {
		if c.KeyID == id && len(list) < limit {
			list = append(list, copyOf(c))
		}
	}
	return list, s.fail
}

func (s *store) Secret(_ context.Context, ref string) (*cmpcore.Secret, error) {
	return copyOf(s.secrets[ref]), s.fail
}

func (s *store) CRL(context.Context) (*cmpcore.CRL, error) { return copyOf(s.crl), s.fail }

func (s *store) Revoked(_ context.Context, since time.Time) iter.Seq2[*cmpcore.Certificate, error] {
	return func(yield func(*cmpcore.Certificate, error) bool) {
		for _, c := range s.sorted() {
			revoked := c.Status == cmpcore.Revoked || c.Status == cmpcore.RejectedByHolder
			if revoked && !c.NotAfter.Before(since) && !yield(copyOf(c), nil) {
				return
			}
		}
		if s.fail != nil {
			yield(nil, s.fail)
		}
	}
}

func (s *store) sorted() (list []*cmpcore.Certificate) {
	for _, c := range s.certs {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *cmpcore.Certificate) int { return bytes.Compare(a.Serial, b.Serial) })
	return list
}

// transactionOf finds the newest transaction with an id.
func (s *store) transactionOf(id []byte) *cmpcore.Transaction {
	for _, k := range slices.Backward(s.order) {
		if t := s.transactions[k]; bytes.Equal(t.TransactionID, id) {
			return t
		}
	}
	return nil
}

func (s *store) due(now time.Time) (list []*cmpcore.Transaction) {
	for _, k := range s.order {
		t := s.transactions[k]
		if !t.Expires.IsZero() && !t.Expires.After(now) && !t.Frozen {
			list = append(list, copyOf(t))
		}
	}
	return list
}

var errConflict = errors.New("conflict")

// copy gives a store that can be changed without changing s.
func (s *store) copy() *store {
	c := *s
	c.transactions, c.order, c.messages = maps.Clone(s.transactions), slices.Clone(s.order), maps.Clone(s.messages)
	c.certs, c.secrets, c.answers = maps.Clone(s.certs), maps.Clone(s.secrets), maps.Clone(s.answers)
	c.passphrases = maps.Clone(s.passphrases)
	for k, v := range c.certs {
		c.certs[k] = copyOf(v)
	}
	for k, v := range c.secrets {
		c.secrets[k] = copyOf(v)
	}
	return &c
}

// commit makes an outcome and its parts true, or says what it conflicts with.
func (s *store) commit(der []byte, o *cmpcore.Outcome) error {
	var h cmpcore.Hash
	if der != nil {
		h = sha256.Sum256(der)
	}
	if len(o.Parts) == 0 {
		return s.commitOne(h, der, o)
	}
	trial := s.copy()
	if err := trial.commitAll(h, der, o); err != nil {
		return err
	}
	*s = *trial
	return nil
}

func (s *store) commitAll(h cmpcore.Hash, der []byte, o *cmpcore.Outcome) error {
	if err := s.commitOne(h, der, o); err != nil {
		return err
	}
	for i, p := range o.Parts {
		if p.Hash != (cmpcore.Hash{}) && s.answers[p.Hash] != nil {
			return fmt.Errorf("%w: part %d is known", errConflict, i)
		}
		if err := s.commitAll(p.Hash, p.DER, p.Outcome); err != nil {
			return fmt.Errorf("part %d: %w", i, err)
		}
	}
	return nil
}

func (s *store) commitOne(h cmpcore.Hash, der []byte, o *cmpcore.Outcome) error {
	if t := o.Transaction; t != nil {
		old := s.transactions[t.Key]
		if old == nil && t.Version != 0 || old != nil && old.Version != t.Version {
			return fmt.Errorf("%w: transaction version", errConflict)
		}
	}
	for _, c := range o.Certificates {
		if s.certs[string(c.Serial)] != nil {
			return fmt.Errorf("%w: serial %x", errConflict, c.Serial)
		}
	}
	for _, c := range o.CertChanges {
		if old := s.certs[string(c.Serial)]; old == nil || old.Version != c.Version {
			return fmt.Errorf("%w: change of %x", errConflict, c.Serial)
		}
	}
	for _, r := range o.Relied {
		if old := s.certs[string(r.CertificateSerial)]; old == nil || old.Version != r.Version {
			return fmt.Errorf("%w: reliance on %x", errConflict, r.CertificateSerial)
		}
	}
	used := map[string]int64{}
	for _, u := range o.SecretUses {
		used[u.Ref] += u.N
		if sec := s.secrets[u.Ref]; sec == nil || sec.MaxUses > 0 && sec.Used+used[u.Ref] > sec.MaxUses {
			return fmt.Errorf("%w: secret %s", errConflict, u.Ref)
		}
	}
	for _, p := range o.Passphrases {
		if old := s.passphrases[p.Owner]; old == nil && p.Version != 0 || old != nil && old.Version != p.Version {
			return fmt.Errorf("%w: passphrase of %s", errConflict, p.Owner)
		}
		for _, other := range s.passphrases {
			if len(p.KeyID) > 0 && other.Owner != p.Owner && bytes.Equal(other.KeyID, p.KeyID) {
				return fmt.Errorf("%w: passphrase named %q", errConflict, p.KeyID)
			}
		}
	}
	if o.CRL != nil && s.crl != nil && o.CRL.Number <= s.crl.Number {
		return fmt.Errorf("%w: CRL number", errConflict)
	}

	if t := copyOf(o.Transaction); t != nil {
		if t.Version == 0 {
			s.order = append(s.order, t.Key)
		}
		t.Version++
		s.transactions[t.Key] = t
		if o.KeepRequest {
			s.messages[t.Request] = der
		}
		if !t.State.Open() {
			delete(s.messages, t.Request)
		}
	}
	for _, c := range o.Certificates {
		c = copyOf(c)
		c.Version = 1
		s.certs[string(c.Serial)] = c
	}
	for _, c := range o.CertChanges {
		old := s.certs[string(c.Serial)]
		old.Version++
		old.Status, old.RevokedAt, old.Reason, old.InvalidityDate = c.Status, c.RevokedAt, c.Reason, c.InvalidityDate
	}
	for ref, n := range used {
		s.secrets[ref].Used += n
		s.secrets[ref].Version++
	}
	if o.CRL != nil {
		s.crl = copyOf(o.CRL)
	}
	if h != (cmpcore.Hash{}) {
		s.answers[h] = &cmpcore.Answer{Disposition: o.Disposition, Reply: o.Reply, Reason: o.Reason}
	}
	for _, p := range o.Passphrases {
		p = copyOf(p)
		p.Version++
		s.passphrases[p.Owner] = p
	}
	s.archive = append(s.archive, o.Archive...)
	s.outgoing = append(s.outgoing, o.Outgoing...)
	s.audit = append(s.audit, o.Audit...)
	return nil
}

// events are the words of the audit log.
var events = []string{"issued", "refused", "revoked", "unrevoked", "announced", "announcement", "confirmed", "rejected", "expired", "waiting",
	"approved", "rejected-by-operator", "peer-error", "informed", "crl", "nested", "challenged", "recovered", "passphrase"}

// checkOutcome holds every outcome to what its type promises.
func checkOutcome(t testing.TB, now time.Time, o *cmpcore.Outcome) {
	t.Helper()
	bad := func(format string, a ...any) {
		t.Helper()
		t.Errorf("outcome: "+format+"\n%s", append(a, describe(o))...)
	}
	mute := o.Disposition == cmpcore.Held || o.Disposition == cmpcore.Failed || o.Disposition == cmpcore.Silent
	switch {
	case o.Disposition < cmpcore.Answered || o.Disposition > cmpcore.Silent:
		bad("disposition %d", o.Disposition)
	case mute != (o.Reply == nil):
		bad("%s with a reply of %d octets", o.Disposition, len(o.Reply))
	}
	if (o.Disposition == cmpcore.Refused || o.Disposition == cmpcore.Failed) && o.Reason == "" {
		bad("%s without a reason", o.Disposition)
	}
	tx := o.Transaction
	if o.Disposition == cmpcore.Held && (tx == nil || !tx.Held || o.KeepRequest != (tx.Version == 0)) {
		bad("held, but no held transaction is kept")
	}
	for _, p := range o.Parts {
		if p.Hash != (cmpcore.Hash{}) { // else it is an answer of before
			checkOutcome(t, now, p.Outcome)
		}
	}
	if len(o.Parts) > 0 && (len(o.Certificates) > 0 || len(o.CertChanges) > 0 || len(o.SecretUses) > 0 || o.KeepRequest) {
		bad("the outer message does what is of an inner one")
	}
	if o.Disposition == cmpcore.Waiting && len(o.Parts) == 0 && (tx == nil || tx.State != cmpcore.AwaitingDecision) {
		bad("waiting, but no transaction waits")
	}
	if o.KeepRequest && (tx == nil || !tx.State.Open()) {
		bad("a message is kept for no transaction")
	}
	if tx != nil {
		waits := tx.State == cmpcore.AwaitingConfirm || tx.State.Open()
		if waits != !tx.Expires.IsZero() {
			bad("state %d, but expiry at %s", tx.State, tx.Expires)
		}
		if tx.State != cmpcore.AwaitingDecision && (tx.Held || tx.Frozen || tx.Summary != "") {
			bad("state %d still has what only a waiting transaction has", tx.State)
		}
		if !tx.State.Open() && tx.Proof != nil {
			bad("state %d still has a proof", tx.State)
		}
	}
	changed := map[string]bool{}
	for _, c := range o.Certificates {
		changed[string(c.Serial)] = true
		if tx == nil || !slices.ContainsFunc(tx.Items, func(i cmpcore.TransactionItem) bool { return bytes.Equal(i.Serial, c.Serial) }) {
			bad("certificate %x is in no transaction", c.Serial)
		}
		if o.Disposition != cmpcore.Answered {
			bad("%s, and yet certificate %x", o.Disposition, c.Serial)
		}
		if n := len(slices.DeleteFunc(slices.Clone(o.Audit), func(a cmpcore.AuditEntry) bool {
			return a.Event != "issued" || a.Serial != fmt.Sprintf("%x", c.Serial) || a.Rule == "" || a.Profile == ""
		})); n != 1 {
			bad("certificate %x was issued with %d audit entries of rule and profile", c.Serial, n)
		}
		cert, err := x509.ParseCertificate(c.DER)
		if err != nil {
			bad("certificate %x: %v", c.Serial, err)
			continue
		}
		if !bytes.Equal(cert.SerialNumber.Bytes(), c.Serial) || !cert.NotAfter.Equal(c.NotAfter) || !cert.NotBefore.Equal(c.NotBefore) ||
			!bytes.Equal(cert.RawSubject, c.Subject) {
			bad("the record of certificate %x is not of that certificate", c.Serial)
		}
	}
	for _, c := range o.CertChanges {
		if changed[string(c.Serial)] {
			bad("certificate %x changes twice", c.Serial)
		}
		changed[string(c.Serial)] = true
		if off := c.Status == cmpcore.Revoked || c.Status == cmpcore.RejectedByHolder; off != !c.RevokedAt.IsZero() {
			bad("certificate %x becomes %s, revoked at %s", c.Serial, c.Status, c.RevokedAt)
		}
	}
	for _, r := range o.Relied {
		if changed[string(r.CertificateSerial)] {
			bad("certificate %x is relied on and changed", r.CertificateSerial)
		}
	}
	uses := int64(0) // several only where each is the token of some of them
	for _, u := range o.SecretUses {
		if uses += u.N; u.N < 1 {
			bad("secret %s is used %d times", u.Ref, u.N)
		}
	}
	if len(o.SecretUses) > 0 && uses != int64(len(o.Certificates)) {
		bad("secrets are used %d times for %d certificates", uses, len(o.Certificates))
	}
	for _, p := range o.Passphrases {
		if p.Owner == "" || p.Rule == "" || len(p.Sealed) == 0 || !p.Created.Equal(now) {
			bad("passphrase %+v", p)
		}
		if o.Disposition == cmpcore.Failed || o.Disposition == cmpcore.Silent {
			bad("%s, and yet a passphrase is kept", o.Disposition)
		}
	}
	for _, a := range o.Audit {
		if !slices.Contains(events, a.Event) || !a.Time.Equal(now) {
			bad("audit entry %+v", a)
		}
		if len(a.Transaction) > 128 {
			bad("audit entry with a transactionID of %d octets", len(a.Transaction)/2)
		}
		if len(a.Detail) > 400 {
			bad("audit entry of %d octets", len(a.Detail))
		}
	}
}

func describe(o *cmpcore.Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, reason %q, %d certificates, %d changes, %d uses\n", o.Disposition, o.Reason, len(o.Certificates), len(o.CertChanges), len(o.SecretUses))
	for _, a := range o.Audit {
		fmt.Fprintf(&b, "  audit %s %s rule=%s profile=%s serial=%s %s\n", a.Event, a.Requester, a.Rule, a.Profile, a.Serial, a.Detail)
	}
	if o.Transaction != nil {
		fmt.Fprintf(&b, "  transaction state %d, expires %s\n", o.Transaction.State, o.Transaction.Expires)
	}
	return b.String()
}
