package cmpcore_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// answered gives what the Engine says to a message.
func (b *bed) answered(der []byte) []byte {
	b.Helper()
	out := b.process(der)
	b.commit(der, out)
	return out.Reply
}

func (b *bed) startIR(ref, keyName string) (*client.Session, []byte, client.Credentials) {
	b.Helper()
	c := b.credentials(b.device(ref))
	s, der, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c,
		Certificates: []client.CertificateRequest{{Subject: dn(b, "CN="+ref), Key: key(b, keyName)}}})
	if err != nil {
		b.Fatal(err)
	}
	return s, der, c
}

// nestAll carries messages in one file and gives their answers by index.
func (b *bed) nestAll(ra *party, messages ...[]byte) [][]byte {
	b.Helper()
	s, der, err := client.Nest(messages, b.credentials(ra), pkix.Name(b.ca.cert.RawSubject))
	if err != nil {
		b.Fatal(err)
	}
	for i := range s.Nested {
		s.Nested[i].Name = fmt.Sprint(i)
	}
	text, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	s = new(client.Session)
	if err := json.Unmarshal(text, s); err != nil {
		b.Fatal(err)
	}
	r, err := s.Accept(b.answered(der), b.credentials(ra))
	if err != nil {
		b.Fatal(err)
	}
	if !r.Done || s.Step != client.StepFinished {
		b.Errorf("the batch ends at %s", s.Step)
	}
	answers := make([][]byte, len(messages))
	for _, a := range r.Nested {
		if s.Nested[a.Index].Name != fmt.Sprint(a.Index) {
			b.Errorf("message %d is called %q", a.Index, s.Nested[a.Index].Name)
		}
		answers[a.Index] = a.DER
	}
	return answers
}

func TestTheClientNests(t *testing.T) {
	for _, n := range []int{1, 2, 30} {
		for _, strict := range []bool{false, true} {
			b := newBed(t, withRegistrars, withPolicy(func(p *cmpcore.Policy) { p.Lightweight, p.Hold = strict, strict }))
			ra := b.registrar()
			type device struct {
				s *client.Session
				c client.Credentials
			}
			devices := make([]device, n)
			var next [][]byte
			var of []int
			for i := range devices {
				ref := fmt.Sprint("dev-", i)
				if i%3 == 0 {
					ref = fmt.Sprint("slow-", i)
				}
				s, der, c := b.startIR(ref, fmt.Sprint("p256 nest", i))
				devices[i] = device{s, c}
				next, of = append(next, der), append(of, i)
			}
			for step := 0; len(next) > 0; step++ {
				if step > 6 {
					t.Fatal("it does not end")
				}
				answers := b.nestAll(ra, next...)
				var again [][]byte
				var who []int
				for k, i := range of {
					r, err := devices[i].s.Accept(answers[k], devices[i].c)
					if err != nil {
						t.Fatalf("%d messages, step %d, device %d: %v", n, step, i, err)
					}
					if r.Waiting != nil {
						if tx := b.store.transactionOf(devices[i].s.TransactionID); tx.Decision == cmpcore.Undecided {
							b.vote(tx, "alice", cmpcore.Approved, "")
						}
					}
					if r.Next != nil {
						again, who = append(again, r.Next), append(who, i)
					}
				}
				next, of = again, who
			}
			for i := range devices {
				if s := devices[i].s; s.Step != client.StepFinished || s.Items[0].State != client.ItemConfirmed {
					t.Errorf("device %d ends at %s, %s", i, s.Step, s.Items[0].State)
				}
			}
		}
	}
}

// A lot of a factory in one file, within the limits that there are by default.
func TestAThousandInOneFile(t *testing.T) {
	b := newBed(t, withRegistrars)
	const n = 1000
	sessions := make([]*client.Session, n)
	messages := make([][]byte, n)
	size := 0
	var cred client.Credentials
	for i := range n {
		// Few keys, so that the test is not one of making keys.
		cred = b.credentials(b.device("dev-lot"))
		cred.MAC.Iterations = 500
		var err error
		sessions[i], messages[i], err = client.Start(client.Options{Kind: cmp.TypeIR, Credentials: cred, ImplicitConfirm: true,
			Certificates: []client.CertificateRequest{{Subject: dn(b, fmt.Sprintf("CN=device %d,O=Example", i)), Key: key(b, fmt.Sprint("p256 lot", i%8))}}})
		if err != nil {
			t.Fatal(err)
		}
		size += len(messages[i])
	}
	answers := b.nestAll(b.registrar(), messages...)
	for i, a := range answers {
		r, err := sessions[i].Accept(a, cred)
		if err != nil || len(r.Certificates) != 1 || r.Certificates[0].State != client.ItemConfirmed {
			t.Fatalf("device %d: %+v %v", i, r, err)
		}
	}
	if len(b.store.certs) != n {
		t.Errorf("%d certificates", len(b.store.certs))
	}
	t.Logf("%d octets of requests", size)
}

func TestWhatTheClientDoesNotNest(t *testing.T) {
	b := newBed(t)
	ra := b.credentials(b.registrar())
	_, good, mac := b.startIR("dev-1", "p256 a")
	for name, c := range map[string]struct {
		messages [][]byte
		by       client.Credentials
		want     error
	}{
		"nothing":        {nil, ra, client.ErrOptions},
		"no message":     {[][]byte{good, []byte("hello")}, ra, client.ErrOptions},
		"half a message": {[][]byte{good[:100]}, ra, client.ErrOptions},
		"by a secret":    {[][]byte{good}, mac, client.ErrCredentials},
	} {
		if _, _, err := client.Nest(c.messages, c.by, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := client.Start(client.Options{Kind: cmp.TypeNested, Credentials: ra}); !errors.Is(err, client.ErrOptions) {
		t.Errorf("Start: %v", err)
	}
}

func TestWhichNestedAnswersAreBelieved(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.registrar()
	cred := b.credentials(ra)
	_, one, _ := b.startIR("dev-1", "p256 a")
	_, two, _ := b.startIR("dev-2", "p256 b")
	_, three, _ := b.startIR("dev-3", "p256 c")
	batch := func(messages ...[]byte) (*client.Session, []byte) {
		s, der, err := client.Nest(messages, cred, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s, b.answered(der)
	}
	s, answer := batch(one, two)
	other, otherAnswer := batch(two, three)
	wrong := func(what string, s *client.Session, answer []byte, want error) {
		t.Helper()
		before := s.Step
		if _, err := s.Accept(answer, cred); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		if s.Step != before {
			t.Errorf("%s moved the session to %s", what, s.Step)
		}
	}
	wrong("the answer to another batch", s, otherAnswer, client.ErrTransaction)
	m, err := cmp.Parse(answer, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	inner := m.Body.(*cmp.Nested).Messages
	changed := bytes.Replace(answer, inner[0].Header.TransactionID, inner[1].Header.TransactionID, 1)
	wrong("a changed answer", s, changed, alg.ErrSignature)

	// Signed by the CA, but with an answer that is to none of the messages, or
	// in another order.
	forge := func(list ...*cmp.PKIMessage) []byte {
		h := m.Header
		der, err := cmp.Seal(&h, &cmp.Nested{Messages: list}, m.ExtraCerts, b.talk(b.signer(b.ca)).party.protector(t))
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	om, err := cmp.Parse(otherAnswer, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	fresh, _ := batchOf(t, cred, one, two)
	fresh.TransactionID, fresh.Nonce, fresh.FirstNonce = m.Header.TransactionID, m.Header.RecipNonce, m.Header.RecipNonce
	wrong("a foreign answer", fresh, forge(inner[0], om.Body.(*cmp.Nested).Messages[1]), client.ErrTransaction)
	wrong("another order", fresh, forge(inner[1], inner[0]), client.ErrTransaction)
	wrong("an answer twice", fresh, forge(inner[0], inner[0]), client.ErrTransaction)
	if r, err := fresh.Accept(forge(inner[1]), cred); err != nil || len(r.Nested) != 1 || r.Nested[0].Index != 1 {
		t.Errorf("one answer of two: %+v %v", r, err)
	}

	// The RA is refused as a whole.
	b2 := newBed(t)
	cred2 := b2.credentials(b2.registrar())
	for _, list := range [][][]byte{{one}, {one, two}} {
		s, der := batchOf(t, cred2, list...)
		var peer *client.PeerError
		if _, err := s.Accept(b2.answered(der), cred2); !errors.As(err, &peer) || !peer.Authenticated || s.Step != client.StepFailed {
			t.Errorf("refused: %v at %s", err, s.Step)
		}
	}
	// Added protection: the answer must be of the transaction inside.
	single, _ := batchOf(t, cred, three)
	wrong("an answer to another message", single, inner[0].Raw, client.ErrTransaction)
	wrong("a batch", single, otherAnswer, client.ErrBody)
	if _, err := other.Accept(otherAnswer, cred); err != nil {
		t.Error(err)
	}
	if _, err := other.Accept(otherAnswer, cred); !errors.Is(err, client.ErrRepeated) {
		t.Errorf("again: %v", err)
	}
}

func batchOf(t *testing.T, c client.Credentials, messages ...[]byte) (*client.Session, []byte) {
	t.Helper()
	s, der, err := client.Nest(messages, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, der
}

// One message that is out of order does not cost the others their answers, and
// no answer goes to another one's place.
func TestOneMessageDoesNotSpoilTheAnswersOfABatch(t *testing.T) {
	b := newBed(t, withRegistrars)
	ra := b.registrar()
	honest := func(i int) (*client.Session, []byte, client.Credentials) {
		return b.startIR(fmt.Sprint("dev-", i), fmt.Sprint("p256 nest", i))
	}
	s0, m0, c0 := honest(0)
	s1, m1, c1 := honest(1)
	long := b.talk(b.device("dev-2"))
	odd := long.message(long.one(cmp.TypeIR, "CN=dev-2", "p256 2"), func(m *message) { m.TransactionID = random(65) })
	// Somebody has seen the transactionID of the second, and sends what needs no
	// answer before it.
	thief := b.talk(b.device("dev-3"))
	decoy := thief.message(&cmp.PKIConf{}, func(m *message) { m.TransactionID = s1.TransactionID })
	answers := b.nestAll(ra, decoy, m0, odd, m1)
	for i, d := range []struct {
		s *client.Session
		c client.Credentials
		m []byte
	}{{s0, c0, answers[1]}, {s1, c1, answers[3]}} {
		if r, err := d.s.Accept(d.m, d.c); err != nil || r.Certificates[0].Err != nil {
			t.Errorf("device %d: %v", i, err)
		}
	}
	if answers[0] != nil {
		t.Error("the decoy has an answer")
	}
	if m, err := cmp.Parse(answers[2], cmp.Limits{}); err != nil || m.BodyType() != cmp.TypeError {
		t.Errorf("the long transactionID: %v", err)
	}
}
