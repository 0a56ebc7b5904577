package cmpcore_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	mathrand "math/rand/v2"
	"testing"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// withRegistrars lets holders of certificates of the partner's CA bring nested
// messages.
func withRegistrars(b *bed) {
	b.cfg.Rules = append(b.cfg.Rules, cmpcore.Rule{Name: "registrars", RAVerified: true, May: []cmp.BodyType{cmp.TypeNested},
		Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{b.partner.cert}}})
}

func (b *bed) registrar() *party {
	b.Helper()
	return b.signer(certify(b, b.partner, "RA", key(b, "p256 ra"), nil))
}

func nest(t testing.TB, messages ...[]byte) *cmp.Nested {
	t.Helper()
	n := &cmp.Nested{}
	for _, der := range messages {
		n.Messages = append(n.Messages, &cmp.PKIMessage{Raw: der})
	}
	return n
}

// inside gives the answers in a nested one, as they stand.
func (r *reply) inside() [][]byte {
	r.Helper()
	if _, ok := r.msg.Body.(*cmp.Nested); !ok {
		r.Fatalf("the answer is %s, want nested", r.msg.Body.Type())
	}
	list, err := r.msg.NestedRaw(cmp.Limits{})
	if err != nil {
		r.Fatal(err)
	}
	return list
}

// got checks an answer that came inside another one, as that of its request.
func (k *talk) got(request, answer []byte) *reply {
	k.Helper()
	r := k.check(request, &cmpcore.Outcome{Reply: answer, Transaction: k.store.transactionOf(k.id)})
	k.peer = r.msg.Header.SenderNonce
	return r
}

// fails wants an error message.
func (r *reply) fails(want cmp.PKIFailureInfo) {
	r.Helper()
	if b := r.body(cmp.TypeError).msg.Body.(*cmp.ErrorMsg); b.Status.FailInfo != want {
		r.Errorf("failInfo %s, want %s", b.Status.FailInfo, want)
	}
}

func TestABatchAnswersEachInOrder(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.talk(b.registrar())
	var talks []*talk
	var requests [][]byte
	for i := range 5 {
		k := b.talk(b.device(fmt.Sprint("dev-", i)))
		talks = append(talks, k)
		requests = append(requests, k.message(k.one(cmp.TypeIR, fmt.Sprint("CN=dev-", i), fmt.Sprint("p256 ", i))))
	}
	// One that a rule refuses, one with a MAC that is wrong, and one that needs
	// no answer.
	curious := b.talk(b.device("ask-1"))
	requests = append(requests, curious.message(curious.one(cmp.TypeIR, "CN=x", "p256 x")))
	liar := b.talk(&party{ref: "dev-0", secret: "guessed", sender: mustDN("CN=dev-0")})
	requests = append(requests, liar.message(liar.one(cmp.TypeIR, "CN=x", "p256 x")))
	requests = append(requests, talks[0].message(&cmp.PKIConf{}))

	r := ra.say(nest(t, requests...))
	if r.out.Disposition != cmpcore.Answered || !r.signed {
		t.Fatalf("the batch is %s", r.out.Disposition)
	}
	answers := r.inside()
	if len(answers) != 7 {
		t.Fatalf("%d answers, want 7", len(answers))
	}
	for i, k := range talks {
		a := k.got(requests[i], answers[i])
		if a.signed {
			t.Errorf("answer %d is not protected as its request is", i)
		}
		c := a.cert(0)
		if c.Subject.CommonName != fmt.Sprint("dev-", i) {
			t.Errorf("answer %d is for %s", i, c.Subject)
		}
		b.wantStatus(c, cmpcore.Unconfirmed)
		// Its transaction goes on alone, with its own nonces.
		if conf := k.say(confirmation(c)); conf.msg.Body.Type() != cmp.TypePKIConf {
			t.Errorf("certConf %d is answered by %s", i, conf.msg.Body.Type())
		}
		b.wantStatus(c, cmpcore.Valid)
	}
	curious.got(requests[5], answers[5]).fails(cmp.NotAuthorized)
	liar.got(requests[6], answers[6]).fails(cmp.BadMessageCheck)
	if n := len(r.out.Parts); n != 8 {
		t.Errorf("%d parts, want 8", n)
	}
	// The batch has a transaction of its own.
	ra.wantState(cmpcore.Finished)
	ra.say(nest(t, requests[0], requests[1])).refused(cmp.TransactionIDInUse)
}

func TestABatchSeesWhatItsMessagesDid(t *testing.T) {
	b := newBed(t, withRegistrars)
	b.device("dev-2", func(s *cmpcore.Secret) { s.MaxUses = 2 })
	dev := &party{ref: "dev-2", secret: "secret of dev-2", sender: mustDN("CN=dev-2")}
	var requests [][]byte
	var talks []*talk
	for i := range 3 {
		k := b.talk(dev)
		talks = append(talks, k)
		requests = append(requests, k.message(k.one(cmp.TypeIR, "CN=dev-2", fmt.Sprint("p256 ", i)), implicit))
	}
	// The same again, in the same batch; and another message of a transaction
	// that an earlier part began.
	late := b.talk(dev)
	late.id = talks[1].id
	requests = append(requests, requests[0], late.message(late.one(cmp.TypeIR, "CN=dev-2", "p256 9")))
	answers := b.talk(b.registrar()).say(nest(t, requests...)).inside()
	talks[0].got(requests[0], answers[0]).cert(0)
	talks[1].got(requests[1], answers[1]).cert(0)
	third := talks[2].got(requests[2], answers[2])
	if body := third.msg.Body.(*cmp.CertRepMessage); body.Responses[0].Status.FailInfo != cmp.NotAuthorized {
		t.Errorf("a secret with two uses: %+v", body.Responses[0].Status)
	}
	if !bytes.Equal(answers[3], answers[0]) {
		t.Error("the same request has another answer")
	}
	late.got(requests[4], answers[4]).fails(cmp.TransactionIDInUse)
	if n := b.store.secrets["dev-2"].Used; n != 2 || len(b.store.certs) != 2 {
		t.Errorf("used %d times for %d certificates", n, len(b.store.certs))
	}
}

func TestARevocationInABatchCountsForTheNext(t *testing.T) {
	b := newBed(t, withRegistrars)
	holder := b.enrolled("CN=holder", "p256 holder")
	revoke, after := b.talk(holder), b.talk(holder)
	first := revoke.message(rr(revocation(holder.holder.cert, 1)))
	second := after.message(after.one(cmp.TypeCR, "CN=holder", "p256 other"))
	answers := b.talk(b.registrar()).say(nest(t, first, second)).inside()
	revoke.got(first, answers[0])
	b.wantStatus(holder.holder.cert, cmpcore.Revoked)
	after.got(second, answers[1]).fails(cmp.CertRevoked)
}

func TestAloneOrBatchedTheAnswerIsOne(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.registrar()
	k, other := b.talk(b.device("dev-1")), b.talk(b.device("dev-2"))
	first, second := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a")), other.message(other.one(cmp.TypeIR, "CN=b", "p256 b"))
	alone := k.send(first)
	answers := b.talk(ra).say(nest(t, first, second)).inside()
	if !bytes.Equal(answers[0], alone.out.Reply) {
		t.Error("what came alone has another answer in a batch")
	}
	if a := b.store.answers[sha256.Sum256(second)]; a == nil || !bytes.Equal(a.Reply, answers[1]) {
		t.Error("what came in a batch is not known alone")
	}
	again := b.talk(ra).say(nest(t, second, first)).inside()
	if !bytes.Equal(again[0], answers[1]) || !bytes.Equal(again[1], answers[0]) {
		t.Error("another batch has other answers")
	}
	added := b.talk(ra).process(b.talk(ra).message(nest(t, second)))
	if !bytes.Equal(added.Reply, answers[1]) {
		t.Error("added protection has another answer")
	}
	if len(b.store.certs) != 2 {
		t.Errorf("%d certificates for two requests", len(b.store.certs))
	}
}

func TestAddedProtection(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.registrar()
	k := b.talk(b.device("dev-1"))
	vouched := func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }
	wrap := func(der []byte, edits ...edit) *cmpcore.Outcome {
		// The outer header has the inner one's transactionID and nonces.
		w := b.talk(ra)
		w.id = k.id
		der2 := w.message(nest(t, der), append(edits, func(m *message) {
			in, _ := cmp.Parse(der, cmp.Limits{})
			m.SenderNonce, m.RecipNonce = in.Header.SenderNonce, in.Header.RecipNonce
		})...)
		out := b.process(der2)
		b.commit(der2, out)
		return out
	}
	request := k.message(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", popo: vouched}))
	out := wrap(request)
	c := k.got(request, out.Reply).cert(0)
	if out.Disposition != cmpcore.Answered || len(out.Parts) != 1 || out.Transaction != nil {
		t.Errorf("%s with %d parts and transaction %v", out.Disposition, len(out.Parts), out.Transaction)
	}
	conf := k.message(confirmation(c))
	if r := k.got(conf, wrap(conf).Reply); r.msg.Body.Type() != cmp.TypePKIConf {
		t.Errorf("certConf is answered by %s", r.msg.Body.Type())
	}
	b.wantStatus(c, cmpcore.Valid)

	// Nobody vouches for it alone.
	k = b.talk(b.device("dev-2"))
	r := k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a2", popo: vouched}))
	if s := r.msg.Body.(*cmp.CertRepMessage).Responses[0].Status; s.FailInfo != cmp.BadPOP {
		t.Errorf("raVerified alone: %+v", s)
	}
	// The inner protection counts all the same.
	k = b.talk(&party{ref: "dev-1", secret: "guessed", sender: mustDN("CN=dev-1")})
	request = k.message(k.one(cmp.TypeIR, "CN=a", "p256 a3"))
	out = wrap(request)
	k.got(request, out.Reply).fails(cmp.BadMessageCheck)
	if out.Disposition != cmpcore.Refused || out.Reason == "" {
		t.Errorf("%s, reason %q", out.Disposition, out.Reason)
	}
	// What needs no answer.
	k = b.talk(b.device("dev-3"))
	if out = wrap(k.message(&cmp.PKIConf{})); out.Disposition != cmpcore.Silent {
		t.Errorf("pkiconf: %s", out.Disposition)
	}
}

func TestWhoMayNest(t *testing.T) {
	cases := []struct {
		name    string
		party   func(*bed) *party
		options []option
		edit    edit
		want    cmp.PKIFailureInfo
	}{
		{"a stranger", func(b *bed) *party { return b.signer(certify(b, nil, "RA", key(b, "p256 stranger"), nil)) }, nil, nil, cmp.SignerNotTrusted},
		{"a device", func(b *bed) *party { return b.enrolled("CN=a", "p256 device") }, nil, nil, cmp.NotAuthorized},
		{"a holder of a secret", func(b *bed) *party { return b.device("ra-1") }, nil, nil, cmp.WrongIntegrity},
		{"an RA without the rule", (*bed).registrar, []option{withRule("registrars", func(r *cmpcore.Rule) {
			r.May, r.Profiles = []cmp.BodyType{cmp.TypeCR}, []string{"default"}
		})}, nil, cmp.NotAuthorized},
		{"an RA by another name", (*bed).registrar, []option{withRule("registrars", func(r *cmpcore.Rule) {
			r.Certificate.Subject = nobody
		})}, nil, cmp.NotAuthorized},
		{"a changed message", (*bed).registrar, nil, func(m *message) { m.by = otherKey{m.by} }, cmp.BadMessageCheck},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBed(t, append([]option{withRegistrars}, c.options...)...)
			p := c.party(b)
			before := len(b.store.certs)
			for n := 1; n <= 2; n++ {
				var inner [][]byte
				for i := range n {
					k := b.talk(b.device(fmt.Sprint("dev-", n, i)))
					inner = append(inner, k.message(k.one(cmp.TypeIR, "CN=x", fmt.Sprint("p256 who", n, i))))
				}
				edits := []edit{}
				if c.edit != nil {
					edits = append(edits, c.edit)
				}
				r := b.talk(p).say(nest(t, inner...), edits...)
				r.refused(c.want)
				if len(r.out.Parts) != 0 {
					t.Errorf("%d messages inside were looked at", len(r.out.Parts))
				}
			}
			if n := len(b.store.certs); n != before {
				t.Errorf("%d certificates were issued", n-before)
			}
		})
	}
}

func nobody(pkix.Name) bool { return false }

// otherKey makes a protection of something else.
type otherKey struct{ cmp.Protector }

func (p otherKey) Protect(part []byte) ([]byte, error) {
	return p.Protector.Protect(append([]byte{0}, part...))
}

func TestAMalformedMessageSpoilsNoBatch(t *testing.T) {
	b := newBed(t, withRegistrars, withPolicy(func(p *cmpcore.Policy) { p.SilentToStrangers = true }))
	a, c := b.talk(b.device("dev-1")), b.talk(b.device("dev-2"))
	first, last := a.message(a.one(cmp.TypeIR, "CN=a", "p256 a")), c.message(c.one(cmp.TypeIR, "CN=c", "p256 c"))
	// Its body is [0] with an INTEGER in it; its header is good.
	broken := b.talk(b.device("dev-3"))
	m, _ := cmp.Parse(broken.message(broken.one(cmp.TypeIR, "CN=x", "p256 x")), cmp.Limits{})
	malformed := element(asn1.SEQUENCE, m.Header.Raw, []byte{0xa0, 3, 2, 1, 5})
	noMessage := []byte{0x30, 3, 2, 1, 5}
	ra := b.talk(b.registrar())
	answers := ra.send(ra.raw(&rawBody{cmp.TypeNested, element(asn1.SEQUENCE, first, malformed, noMessage, last)})).inside()
	if len(answers) != 4 {
		t.Fatalf("%d answers, want 4", len(answers))
	}
	a.got(first, answers[0]).cert(0)
	c.got(last, answers[3]).cert(0)
	for i, answer := range answers[1:3] {
		m, err := cmp.Parse(answer, cmp.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		e, ok := m.Body.(*cmp.ErrorMsg)
		if !ok || e.Status.FailInfo&(cmp.BadDataFormat|cmp.BadMessageCheck) == 0 {
			t.Errorf("answer %d is %s %+v", i+1, m.Body.Type(), e)
		}
		if id := m.Header.TransactionID; i == 0 && !bytes.Equal(id, broken.id) {
			t.Errorf("transactionID %x", id)
		}
	}
	// What is wrong outside is no matter of the messages inside.
	ra = b.talk(b.registrar())
	ra.send(ra.raw(&rawBody{cmp.TypeNested, element(asn1.SEQUENCE)})).refused(cmp.BadDataFormat)
}

func TestNestedInNested(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.registrar()
	k := b.talk(b.device("dev-1"))
	request := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))
	der := request
	for range 2 {
		der = b.talk(ra).message(nest(t, der))
	}
	other := b.talk(b.device("dev-2"))
	batch := b.talk(ra)
	inner := batch.message(nest(t, der, other.message(other.one(cmp.TypeIR, "CN=b", "p256 b"))))
	out := b.process(inner)
	b.commit(inner, out)
	answers := batch.check(inner, out).inside()
	k.got(request, answers[0]).cert(0)
	n := 0
	for range out.All() {
		n++
	}
	if n != 5 { // the batch, two around the first request, both requests
		t.Errorf("%d outcomes, want 5", n)
	}
	// One more is too much for the parser; one that it could not read is
	// answered by itself.
	third := b.talk(b.device("dev-3"))
	der = third.message(third.one(cmp.TypeIR, "CN=c", "p256 c"))
	for range 4 {
		der = b.talk(ra).message(nest(t, der))
	}
	before := len(b.store.certs)
	b.talk(ra).send(der)
	if len(b.store.certs) != before {
		t.Error("four nested messages around one were opened")
	}
}

func TestWaitingInABatch(t *testing.T) {
	for _, hold := range []bool{false, true} {
		b := newBed(t, withRegistrars, withPolicy(func(p *cmpcore.Policy) { p.Hold = hold }))
		ra := b.registrar()
		k, other := b.talk(b.device("slow-1")), b.talk(b.device("dev-2"))
		first, second := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a")), other.message(other.one(cmp.TypeIR, "CN=b", "p256 b"))
		answers := b.talk(ra).say(nest(t, first, second)).inside()
		if s := k.got(first, answers[0]).msg.Body.(*cmp.CertRepMessage).Responses[0].Status.Status; s != cmp.Waiting {
			t.Fatalf("hold %v: %s, want waiting", hold, s)
		}
		other.got(second, answers[1]).cert(0)
		k.wantState(cmpcore.AwaitingDecision)
		ask, ask2 := k.message(poll(0)), other.message(poll(0))
		answers = b.talk(ra).say(nest(t, ask, ask2)).inside()
		if r := k.got(ask, answers[0]); r.msg.Body.Type() != cmp.TypePollRep {
			t.Errorf("hold %v: %s, want pollRep", hold, r.msg.Body.Type())
		}
		b.decide(k, cmpcore.Approved, "")
		ask = k.message(poll(0))
		out := b.talk(ra).say(nest(t, ask, ask2)).out
		if c := k.check(ask, out.Parts[0].Outcome).cert(0); c.Subject.CommonName != "a" {
			t.Errorf("hold %v: a certificate for %s", hold, c.Subject)
		}
	}
}

func TestWhatIsHeldStaysSo(t *testing.T) {
	b := newBed(t, withRegistrars, withPolicy(func(p *cmpcore.Policy) { p.Hold = true }))
	k, other := b.talk(b.device("slow-1")), b.talk(b.device("dev-2"))
	held, second := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a")), other.message(other.one(cmp.TypeIR, "CN=b", "p256 b"))
	k.send(held)
	b.decide(k, cmpcore.Approved, "")
	answers := b.talk(b.registrar()).say(nest(t, held, second)).inside()
	if len(answers) != 1 {
		t.Fatalf("%d answers, want that of the other", len(answers))
	}
	other.got(second, answers[0]).cert(0)
	k.send(held) // the decision comes
	k.wantState(cmpcore.AwaitingConfirm)
}

// TestBatchesAreWhatTheirMessagesAre: messages in batches of any size, in any
// order and any number of times, have the outcomes that they have alone in the
// order in which they are met first.
func TestBatchesAreWhatTheirMessagesAre(t *testing.T) {
	for seed := range uint64(20) {
		rnd := mathrand.New(mathrand.NewPCG(seed, 1))
		b := newBed(t, withRegistrars)
		ra := b.registrar()
		uses := rnd.Int64N(6)
		b.device("dev-n", func(s *cmpcore.Secret) { s.MaxUses = uses })
		dev := &party{ref: "dev-n", secret: "secret of dev-n", sender: mustDN("CN=dev-n")}
		var pool [][]byte
		for i := range 8 {
			k := b.talk(dev)
			if i%4 == 3 {
				k = b.talk(b.device(fmt.Sprint("ask-", i))) // may not
			}
			pool = append(pool, k.message(k.one(cmp.TypeIR, "CN=n", fmt.Sprint("p256 n", i)), implicit))
		}
		answers := map[string][]byte{}
		granted := int64(0)
		for len(answers) < len(pool) {
			n := 1 + rnd.IntN(4)
			var batch [][]byte
			for range n {
				batch = append(batch, pool[rnd.IntN(len(pool))])
			}
			var got [][]byte
			if w := b.talk(ra); n == 1 && rnd.IntN(2) == 0 {
				if a := b.store.answers[sha256.Sum256(batch[0])]; a != nil {
					got = [][]byte{a.Reply} // the pump answers what is known
				} else {
					out := b.process(batch[0])
					b.commit(batch[0], out)
					got = [][]byte{out.Reply}
				}
			} else if n == 1 {
				der := w.message(nest(t, batch...))
				out := b.process(der)
				b.commit(der, out)
				got = [][]byte{out.Reply}
			} else {
				got = w.say(nest(t, batch...)).inside()
			}
			if len(got) != n {
				t.Fatalf("seed %d: %d answers to %d messages", seed, len(got), n)
			}
			for i, der := range batch {
				old, known := answers[string(der)]
				if known && !bytes.Equal(old, got[i]) {
					t.Fatalf("seed %d: another answer to the same message", seed)
				}
				if !known {
					m, err := cmp.Parse(got[i], cmp.Limits{})
					if err != nil {
						t.Fatal(err)
					}
					in, _ := cmp.Parse(der, cmp.Limits{})
					if !bytes.Equal(m.Header.TransactionID, in.Header.TransactionID) || !bytes.Equal(m.Header.RecipNonce, in.Header.SenderNonce) {
						t.Fatalf("seed %d: answer %d is of another message", seed, i)
					}
					rep, ok := m.Body.(*cmp.CertRepMessage)
					may := string(in.Header.SenderKID) == "dev-n"
					wantGrant := may && granted < max(uses, 0) || may && uses == 0
					if got := ok && rep.Responses[0].CertifiedKeyPair != nil; got != wantGrant {
						t.Fatalf("seed %d: granted %v, want %v", seed, got, wantGrant)
					}
					if wantGrant {
						granted++
					}
				}
				answers[string(der)] = got[i]
			}
		}
		if int64(len(b.store.certs)) != granted || b.store.secrets["dev-n"].Used != granted {
			t.Fatalf("seed %d: %d certificates, want %d", seed, len(b.store.certs), granted)
		}
	}
}
