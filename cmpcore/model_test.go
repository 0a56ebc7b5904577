package cmpcore_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"flag"
	"fmt"
	"maps"
	"math/big"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

var modelSeed = flag.Uint64("model.seed", 0, "seed of TestRandomConversationsFollowTheModel; 0: a new one each time")

// The model is written from the documentation of the states and knows nothing
// of the Engine: what a transaction and a certificate are, and what may happen
// to them.

type modelCert struct {
	cert   *x509.Certificate
	owner  int
	status cmpcore.CertStatus
	reason int
}

type modelItem struct {
	good bool // the request is one that can be granted
	keep bool // with its private key, to be archived
	cert *modelCert
}

type modelTx struct {
	talk     *talk
	owner    int
	state    cmpcore.TransactionState
	items    []modelItem
	nonces   [][]byte // ours, newest first
	decision cmpcore.Decision
	implicit bool
	krr      bool // it waits as a whole
	expires  time.Time

	challenge *reply // while a proof is awaited
}

type model struct {
	*bed
	rnd     *mathrand.Rand
	parties []*party
	slow    []bool
	left    []int          // uses of the secret; -1: no limit
	kept    [][]*modelCert // of each party, whose private keys are archived
	ra      *party
	txs     []*modelTx
	certs   []*modelCert
	log     []string
}

func (m *model) note(format string, a ...any) { m.log = append(m.log, fmt.Sprintf(format, a...)) }

func TestRandomConversationsFollowTheModel(t *testing.T) {
	runs := 12
	if testing.Short() {
		runs = 3
	}
	for range runs {
		seed := *modelSeed
		if seed == 0 {
			seed = mathrand.Uint64()
		}
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := &model{bed: newBed(t, withArchive, withCross, withRegistrars, withDecryptionKeys), rnd: mathrand.New(mathrand.NewPCG(seed, 0))}
			m.parties = []*party{
				m.device("dev-1"), m.device("dev-2", func(s *cmpcore.Secret) { s.MaxUses = 9 }), m.device("slow-1"), m.signer(m.partner),
			}
			m.slow, m.left, m.kept = []bool{false, false, true, false}, []int{-1, 9, -1, -1}, make([][]*modelCert, 4)
			m.ra = m.registrar()
			withRule("cross", func(r *cmpcore.Rule) { r.Unattended = false })(m.bed) // a person decides
			m.rebuild()
			steps := []func(){m.newIR, m.newIR, m.newChallenge, m.newCCR, m.newKRR, m.reuse, m.confirm, m.confirm, m.confirm, m.respond, m.respond,
				m.poll, m.poll, m.decideOne, m.decideOne, m.peerError, m.revoke, m.revoke, m.byHand, m.foreign, m.wait}
			for range 150 {
				steps[m.rnd.IntN(len(steps))]()
				m.compare()
				if t.Failed() {
					for _, l := range m.log[max(0, len(m.log)-15):] {
						t.Log(l)
					}
					t.FailNow()
				}
			}
		})
	}
}

// compare holds the store against the model.
func (m *model) compare() {
	m.Helper()
	for _, c := range m.certs {
		rec := m.store.certs[string(c.cert.SerialNumber.Bytes())]
		if rec == nil || rec.Status != c.status || c.status == cmpcore.Revoked && rec.Reason != c.reason {
			m.Errorf("certificate %x is %+v, the model says %s %d", c.cert.SerialNumber, rec, c.status, c.reason)
		}
	}
	if len(m.certs) != len(m.store.certs) {
		m.Errorf("%d certificates, the model has %d", len(m.store.certs), len(m.certs))
	}
	for _, x := range m.txs {
		t := m.store.transactionOf(x.talk.id)
		if t == nil || t.State != x.state || !t.Expires.Equal(x.expires) {
			m.Errorf("transaction %x is %+v, the model says state %d, expiry %s", x.talk.id, t, x.state, x.expires)
		}
	}
	for i, p := range m.parties {
		if s := m.store.secrets[p.ref]; m.left[i] >= 0 && s.MaxUses-s.Used != int64(m.left[i]) {
			m.Errorf("%s has %d uses left, the model says %d", p.ref, s.MaxUses-s.Used, m.left[i])
		}
	}
}

func (m *model) pick(states ...cmpcore.TransactionState) *modelTx {
	var list []*modelTx
	for _, x := range m.txs {
		if len(states) == 0 || slices.Contains(states, x.state) {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[m.rnd.IntN(len(list))]
}

var errorBody = &cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection}}

func (x *modelTx) answered(r *reply) {
	x.nonces = append([][]byte{r.msg.Header.SenderNonce}, x.nonces...)
	if len(x.nonces) > 8 {
		x.nonces = x.nonces[:8]
	}
}

// deliver sends a message alone, with the added protection of a registration
// authority, or in a batch of it behind another message (RFC 9810 section
// 5.1.3.5): what becomes of it is the same.
func (m *model) deliver(k *talk, body cmp.Body, edits ...edit) *reply {
	m.Helper()
	how := m.rnd.IntN(4)
	if how > 1 {
		return k.say(body, edits...)
	}
	der := k.message(body, edits...)
	k.last = der
	outer := m.talk(m.ra)
	inner := nest(m, der)
	if how == 0 {
		other := m.talk(m.parties[0])
		inner = nest(m, other.message(genm(question(cmp.OIDCACerts))), der)
	} else {
		outer.id = k.id
	}
	m.note("%s: nested, alone: %v", k.party.ref, how == 1)
	whole := outer.message(inner)
	out := m.process(whole)
	m.commit(whole, out)
	if len(out.Parts) != 2-how {
		m.Fatalf("%d parts", len(out.Parts))
	}
	r := k.check(der, out.Parts[1-how].Outcome)
	if r.msg != nil {
		k.peer = r.msg.Header.SenderNonce
		if answers := 2 - how; answers == 2 {
			list := outer.check(whole, out).inside()
			if len(list) != 2 || !bytes.Equal(list[1], r.out.Reply) {
				m.Error("the batch has another answer")
			}
		} else if !bytes.Equal(out.Reply, r.out.Reply) {
			m.Error("the added protection has another answer")
		}
	}
	return r
}

// requests makes some good and some bad requests, some with their keys to
// archive.
func (m *model) requests(k *talk) (*cmp.CertReqMessages, []modelItem) {
	var wants []want
	var items []modelItem
	for i := range 1 + m.rnd.IntN(3) {
		w := want{id: int64(i), subject: fmt.Sprintf("CN=device %d", i), key: fmt.Sprintf("p256 m%d", i)}
		good := m.rnd.IntN(5) > 0
		if !good {
			w.popo = func(r *crmf.CertReqMsg) {}
		}
		keep := m.rnd.IntN(4) == 0
		if keep {
			w.controls = m.toArchive(key(m, w.key), nil)
		}
		wants = append(wants, w)
		items = append(items, modelItem{good: good, keep: keep})
	}
	return k.request(cmp.TypeIR, wants...), items
}

func (m *model) newIR() {
	who := m.rnd.IntN(len(m.parties))
	k := m.talk(m.parties[who])
	body, items := m.requests(k)
	x := &modelTx{talk: k, owner: who, items: items, implicit: m.rnd.IntN(3) == 0}
	m.note("%s: ir of %v, implicit %v", k.party.ref, items, x.implicit)
	edits := []edit{version3}
	if x.implicit {
		edits = append(edits, implicit)
	}
	r := m.deliver(k, body, edits...)
	good := slices.ContainsFunc(items, func(i modelItem) bool { return i.good })
	if m.slow[who] && good {
		for i := range items {
			r.waits(i)
		}
		x.state, x.expires = cmpcore.AwaitingDecision, m.now.Add(90*day)
	} else {
		m.granted(x, r)
	}
	x.answered(r)
	m.txs = append(m.txs, x)
}

// newChallenge asks for a certificate for a key that cannot sign.
func (m *model) newChallenge() {
	who := m.rnd.IntN(len(m.parties))
	k := m.talk(m.parties[who])
	private := lifeKey(m, "x25519", 0)
	m.keysOf(k, private, 0)
	x := &modelTx{talk: k, owner: who, items: []modelItem{{good: true}}}
	r := m.deliver(k, k.request(cmp.TypeIR, challenged(m, private, crmf.KeyAgreement)), version3)
	m.note("%s: a challenge is wanted", k.party.ref)
	if m.left[who] == 0 {
		m.granted(x, r) // nothing is left to be granted, so nothing is to be proven
	} else {
		x.challenge = r.body(cmp.TypePOPDecC)
		x.state, x.expires = cmpcore.AwaitingProof, m.now.Add(30*day)
	}
	x.answered(r)
	m.txs = append(m.txs, x)
}

// respond answers a challenge, or what is none.
func (m *model) respond() {
	x := m.pick(cmpcore.AwaitingProof)
	if x == nil || m.rnd.IntN(4) == 0 {
		x = m.pick()
	}
	if x == nil {
		return
	}
	body := &cmp.POPODecKeyResponse{Responses: []*big.Int{big.NewInt(4711)}}
	if x.challenge != nil {
		body = x.challenge.respond(lifeKey(m, "x25519", 0))
	}
	nonce := x.nonces[0]
	var want cmp.PKIFailureInfo
	switch variant := m.rnd.IntN(5); {
	case x.state != cmpcore.AwaitingProof:
		want = cmp.BadRequest
	case variant == 0:
		nonce, want = random(16), cmp.BadRecipientNonce
	case variant == 1:
		body.Responses[0].Add(body.Responses[0], big.NewInt(1))
		want = cmp.BadPOP
	}
	m.note("%s: popdecr in state %d, want %s", x.talk.party.ref, x.state, want)
	r := m.deliver(x.talk, body, version3, func(m *message) { m.RecipNonce = nonce })
	switch {
	case want == cmp.BadPOP: // there is no second try
		r.refused(want)
		x.state, x.expires = cmpcore.Aborted, time.Time{}
		x.answered(r)
		return
	case want != 0:
		r.refused(want)
		return
	case m.slow[x.owner] && m.left[x.owner] != 0:
		r.waits(0)
		x.state, x.expires = cmpcore.AwaitingDecision, m.now.Add(90*day)
	default:
		m.granted(x, r)
	}
	x.answered(r)
}

// newCCR: the partner's CA wants to be certified, which a person decides.
func (m *model) newCCR() {
	if m.rnd.IntN(2) > 0 {
		return
	}
	k := m.talk(m.parties[3])
	x := &modelTx{talk: k, owner: 3, items: []modelItem{{good: true}}, state: cmpcore.AwaitingDecision, expires: m.now.Add(90 * day)}
	m.note("ccr")
	r := m.deliver(k, k.request(cmp.TypeCCR, m.crossWant(nil)))
	r.body(cmp.TypeCCP).waits(0)
	x.answered(r)
	m.txs = append(m.txs, x)
}

// newKRR wants all archived private keys back: those of this party, and of
// nobody else.
func (m *model) newKRR() {
	who := m.rnd.IntN(3)
	if len(m.kept[2]) > 0 && m.rnd.IntN(2) == 0 {
		who = 2 // whom a person gives them
	}
	k := m.talk(m.parties[who])
	x := &modelTx{talk: k, owner: who, krr: true}
	m.note("%s: krr, %d keys are kept", k.party.ref, len(m.kept[who]))
	r := m.deliver(k, krr(nil), version3)
	if n := len(m.kept[who]); m.slow[who] && n > 0 && n <= 16 {
		if s := r.body(cmp.TypeKRP).msg.Body.(*cmp.KeyRecRepContent); s.Status.Status != cmp.Waiting || len(s.KeyPairHist) > 0 {
			m.Errorf("krp is %v", s.Status)
		}
		x.state, x.expires = cmpcore.AwaitingDecision, m.now.Add(90*day)
	} else {
		m.recovered(x, r)
	}
	x.answered(r)
	m.txs = append(m.txs, x)
}

func (m *model) recovered(x *modelTx, r *reply) {
	m.Helper()
	kept := m.kept[x.owner]
	x.state, x.expires = cmpcore.Aborted, time.Time{}
	switch {
	case x.decision == cmpcore.Rejected:
		r.norecovery(cmp.NotAuthorized)
	case len(kept) == 0:
		r.norecovery(cmp.BadCertID)
	case len(kept) > 16:
		r.norecovery(cmp.BadRequest)
	default:
		x.state = cmpcore.Finished
		b := r.body(cmp.TypeKRP).msg.Body.(*cmp.KeyRecRepContent)
		if b.Status.Status != cmp.Accepted || len(b.KeyPairHist) != len(kept) {
			m.Fatalf("%v, %d keys, the model has %d", b.Status, len(b.KeyPairHist), len(kept))
		}
		for _, c := range kept {
			if !slices.ContainsFunc(b.KeyPairHist, func(k cmp.CertifiedKeyPair) bool {
				return bytes.Equal(k.Certificate, c.cert.Raw) && k.PrivateKey != nil
			}) {
				m.Errorf("the key of %x did not come", c.cert.SerialNumber)
			}
		}
	}
}

// granted: the answer has what the requests and the secret allow.
func (m *model) granted(x *modelTx, r *reply) {
	m.Helper()
	n := 0
	for i := range x.items {
		it := &x.items[i]
		switch {
		case x.decision == cmpcore.Rejected:
			want := cmp.NotAuthorized
			if !it.good {
				want = cmp.BadPOP
			}
			r.rejected(i, want)
			it.good = false
		case !it.good:
			r.rejected(i, cmp.BadPOP)
		case m.left[x.owner] == 0:
			r.rejected(i, cmp.NotAuthorized)
			it.good = false
		default:
			n++
			if m.left[x.owner] > 0 {
				m.left[x.owner]--
			}
			it.cert = &modelCert{cert: r.cert(i), owner: x.owner, status: cmpcore.Unconfirmed}
			if x.implicit {
				it.cert.status = cmpcore.Valid
			}
			m.certs = append(m.certs, it.cert)
			if it.keep {
				m.kept[x.owner] = append(m.kept[x.owner], it.cert)
			}
		}
	}
	x.expires = time.Time{}
	switch {
	case n == 0:
		x.state = cmpcore.Aborted
	case x.implicit:
		x.state = cmpcore.Finished
	default:
		x.state, x.expires = cmpcore.AwaitingConfirm, m.now.Add(30*day)
	}
}

// reuse: a transactionID that was used, whatever became of it.
func (m *model) reuse() {
	if x := m.pick(); x != nil {
		m.note("%s: another ir in a used transaction in state %d", x.talk.party.ref, x.state)
		keys := maps.Clone(x.talk.keys)
		body, _ := m.requests(x.talk)
		x.talk.keys = keys // those of the request that counts
		m.deliver(x.talk, body, version3).refused(cmp.TransactionIDInUse)
	}
}

func (m *model) confirm() {
	x := m.pick(cmpcore.AwaitingConfirm)
	if x == nil || m.rnd.IntN(4) == 0 {
		x = m.pick()
	}
	if x == nil {
		return
	}
	conf := &cmp.CertConfirm{}
	said := map[int]bool{} // item: accepted
	variant := m.rnd.IntN(7)
	for i, it := range x.items {
		if it.cert == nil || m.rnd.IntN(4) == 0 {
			continue
		}
		sum := sha256.Sum256(it.cert.cert.Raw)
		s := status(sum[:], int64(i))
		said[i] = m.rnd.IntN(4) > 0
		if !said[i] {
			s = withInfo(s, cmp.Rejection)
		}
		conf.Statuses = append(conf.Statuses, s)
	}
	nonce := x.nonces[0]
	var want cmp.PKIFailureInfo
	switch {
	case x.state == cmpcore.Finished && !x.krr:
		want = cmp.CertConfirmed
	case x.state != cmpcore.AwaitingConfirm:
		want = cmp.BadRequest
	case variant == 0:
		nonce, want = random(16), cmp.BadRecipientNonce
	case variant == 1 && len(x.nonces) > 1:
		nonce, want = x.nonces[1], cmp.BadRecipientNonce
	case variant == 2 && len(conf.Statuses) > 0:
		conf.Statuses[0].CertHash = random(32)
		want = cmp.BadCertID
	case variant == 3 && len(conf.Statuses) > 0:
		conf.Statuses[0].CertReqID = big.NewInt(99)
		want = cmp.BadRequest
	case variant == 4 && len(conf.Statuses) > 0:
		conf.Statuses = append(conf.Statuses, conf.Statuses[0])
		want = cmp.BadRequest
	}
	m.note("%s: certConf %v in state %d, want %s", x.talk.party.ref, said, x.state, want)
	r := m.deliver(x.talk, conf, func(m *message) { m.RecipNonce = nonce })
	if want != 0 {
		r.refused(want)
		return
	}
	r.body(cmp.TypePKIConf)
	for i, it := range x.items {
		if it.cert == nil || it.cert.status != cmpcore.Unconfirmed {
			continue
		}
		it.cert.status = cmpcore.RejectedByHolder
		if said[i] {
			it.cert.status = cmpcore.Valid
		}
	}
	x.state, x.expires = cmpcore.Finished, time.Time{}
	x.answered(r)
}

func (m *model) poll() {
	x := m.pick(cmpcore.AwaitingDecision)
	if x == nil || m.rnd.IntN(5) == 0 {
		x = m.pick()
	}
	if x == nil {
		return
	}
	nonce := x.nonces[m.rnd.IntN(len(x.nonces))] // an earlier one will do
	id := int64(-1)                              // a whole message
	if !x.krr {
		id = int64(m.rnd.IntN(len(x.items)))
	}
	var want cmp.PKIFailureInfo
	switch variant := m.rnd.IntN(8); {
	case x.state != cmpcore.AwaitingDecision:
		want = cmp.BadRequest
	case variant == 0:
		nonce, want = random(16), cmp.BadRecipientNonce
	case variant == 1:
		id, want = 99, cmp.BadRequest
	}
	m.note("%s: pollReq in state %d, decision %d, want %s", x.talk.party.ref, x.state, x.decision, want)
	r := m.deliver(x.talk, poll(id), version3, func(m *message) { m.RecipNonce = nonce })
	switch {
	case want != 0:
		r.refused(want)
		return
	case x.decision == cmpcore.Undecided:
		r.pollRep(id)
	case x.krr:
		m.recovered(x, r)
	default:
		m.granted(x, r)
	}
	x.answered(r)
}

func (m *model) decideOne() {
	if x := m.pick(cmpcore.AwaitingDecision); x != nil && x.decision == cmpcore.Undecided {
		x.decision = cmpcore.Decision(1 + m.rnd.IntN(2))
		m.note("decision %d", x.decision)
		m.decide(x.talk, x.decision, "")
	}
}

func (m *model) peerError() {
	x := m.pick()
	if x == nil || m.rnd.IntN(3) > 0 {
		return
	}
	open := x.state == cmpcore.AwaitingConfirm || x.state == cmpcore.AwaitingDecision || x.state == cmpcore.AwaitingProof
	nonce := x.nonces[m.rnd.IntN(len(x.nonces))]
	wrong := m.rnd.IntN(3) == 0
	if wrong {
		nonce = random(16)
	}
	m.note("%s: error in state %d, wrong nonce %v", x.talk.party.ref, x.state, wrong)
	r := x.talk.say(errorBody, func(m *message) { m.RecipNonce = nonce })
	if open && wrong {
		r.silent(cmpcore.Silent)
		return
	}
	r.body(cmp.TypePKIConf)
	if !open {
		return
	}
	for _, it := range x.items {
		if it.cert != nil && it.cert.status == cmpcore.Unconfirmed {
			it.cert.status = cmpcore.RejectedByHolder
		}
	}
	x.state, x.expires = cmpcore.Aborted, time.Time{}
	x.answered(r)
}

// revoke sends an rr for a certificate, of the requester's or not. Reasons are
// keyCompromise, certificateHold and removeFromCRL.
func (m *model) revoke() {
	if len(m.certs) == 0 {
		return
	}
	c := m.certs[m.rnd.IntN(len(m.certs))]
	who := m.rnd.IntN(2) // not the slow one
	reason := []int{1, 6, 8}[m.rnd.IntN(3)]
	want := c.revocable(reason)
	if c.owner != who {
		want = cmp.NotAuthorized
	}
	m.note("%s: rr of %s %d for reason %d, want %s", m.parties[who].ref, c.status, c.reason, reason, want)
	m.talk(m.parties[who]).say(rr(revocation(c.cert, reason))).statuses(want)
	if want == 0 {
		c.revoke(reason)
	}
}

func (c *modelCert) revocable(reason int) cmp.PKIFailureInfo {
	hold := c.status == cmpcore.Revoked && c.reason == 6
	off := c.status == cmpcore.Revoked || c.status == cmpcore.RejectedByHolder
	switch {
	case reason == 8 && !hold:
		return cmp.BadRequest
	case reason == 8, !off, hold && reason != 6:
		return 0
	}
	return cmp.CertRevoked
}

func (c *modelCert) revoke(reason int) {
	if c.status, c.reason = cmpcore.Revoked, reason; reason == 8 {
		c.status, c.reason = cmpcore.Valid, 0
	}
}

func (m *model) byHand() {
	if len(m.certs) == 0 || m.rnd.IntN(3) > 0 {
		return
	}
	if c := m.certs[m.rnd.IntN(len(m.certs))]; c.revocable(4) == 0 {
		m.note("by hand")
		m.revokeByHand(c.cert, 4)
		c.revoke(4)
	}
}

// foreign: somebody else's transactionID is nothing to a requester.
func (m *model) foreign() {
	x := m.pick()
	if x == nil {
		return
	}
	other := &talk{bed: m.bed, party: m.parties[(x.owner+1)%len(m.parties)], id: x.talk.id, peer: x.nonces[0], keys: x.talk.keys}
	m.note("%s: follow-up in another's transaction", other.party.ref)
	switch m.rnd.IntN(4) {
	case 0:
		other.say(poll(0)).refused(cmp.BadRequest)
	case 3:
		other.say(&cmp.POPODecKeyResponse{Responses: []*big.Int{big.NewInt(1)}}).refused(cmp.BadRequest)
	case 1:
		other.say(&cmp.CertConfirm{}).refused(cmp.BadRequest)
	default:
		other.say(errorBody).body(cmp.TypePKIConf)
	}
}

// wait lets time pass, and what is over be over.
func (m *model) wait() {
	m.now = m.now.Add(time.Duration(m.rnd.IntN(10)) * day)
	m.note("now it is %s", m.now)
	m.expire()
	for _, x := range m.txs {
		if x.expires.IsZero() || x.expires.After(m.now) {
			continue
		}
		for _, it := range x.items {
			if it.cert != nil && it.cert.status == cmpcore.Unconfirmed {
				it.cert.status = cmpcore.RejectedByHolder
			}
		}
		x.state, x.expires = cmpcore.Aborted, time.Time{}
	}
	if m.rnd.IntN(4) == 0 {
		listed := 0
		for _, c := range m.certs {
			if c.status == cmpcore.Revoked || c.status == cmpcore.RejectedByHolder {
				listed++
			}
		}
		crl := m.makeCRL()
		if len(crl.RevokedCertificateEntries) != listed && m.now.Before(epoch.Add(360*day)) {
			m.Errorf("the CRL has %d entries, want %d", len(crl.RevokedCertificateEntries), listed)
		}
		if !slices.IsSortedFunc(crl.RevokedCertificateEntries, func(a, b x509.RevocationListEntry) int {
			return bytes.Compare(a.SerialNumber.Bytes(), b.SerialNumber.Bytes())
		}) {
			m.Error("the CRL is not in order")
		}
	}
}
