package cmpcore_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// epoch is where the clock of every bed begins. It has a zone and a fraction
// of a second, neither of which may come out.
var epoch = time.Date(2030, 5, 17, 14, 30, 15, 123456789, time.FixedZone("CEST", 7200))

const day = 24 * time.Hour

// holder is a certificate with its key and the certificates above it.
type holder struct {
	key   crypto.Signer
	cert  *x509.Certificate
	chain [][]byte
}

var keys sync.Map

// key gives the key of a name, made once. The name begins with its type: "p256 a".
func key(t testing.TB, name string) crypto.Signer {
	t.Helper()
	if k, ok := keys.Load(name); ok {
		return k.(crypto.Signer)
	}
	var k crypto.Signer
	var err error
	switch kind, _, _ := strings.Cut(name, " "); kind {
	case "p256":
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "p384":
		k, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ed25519":
		_, k, err = ed25519.GenerateKey(rand.Reader)
	case "rsa2048":
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa1024":
		k, err = rsa.GenerateKey(rand.Reader, 1024)
	default:
		t.Fatalf("no such kind of key: %s", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	k2, _ := keys.LoadOrStore(name, k)
	return k2.(crypto.Signer)
}

func spki(t testing.TB, k crypto.Signer) pkix.SubjectPublicKeyInfo {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var stdSerial int64 = 1000

// certify makes a certificate with the standard library; a nil issuer makes a root.
func certify(t testing.TB, issuer *holder, cn string, k crypto.Signer, change func(*x509.Certificate)) *holder {
	t.Helper()
	stdSerial++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(stdSerial), Subject: stdpkix.Name{CommonName: cn, Organization: []string{"Example"}},
		NotBefore: epoch.Add(-400 * day), NotAfter: epoch.Add(4000 * day), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(tmpl)
	}
	parent, signer := tmpl, k
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, k.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	h := &holder{key: k, cert: c}
	if issuer != nil {
		h.chain = append([][]byte{issuer.cert.Raw}, issuer.chain...)
	}
	return h
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
}

// bed is an Engine over a store in memory, and a clock that stands still.
type bed struct {
	testing.TB
	root, ca, server, partner *holder // partner is another root that rule "partners" trusts
	agreement, kem            *holder // the CA's certificates for key agreement and encapsulation
	cfg                       cmpcore.Config
	engine                    *cmpcore.Engine
	store                     *store
	now                       time.Time
	channel                   string

	nonces map[string]bool // all that the Engine ever sent
}

// option changes a bed before its Engine is built.
type option func(*bed)

func withPolicy(change func(*cmpcore.Policy)) option {
	return func(b *bed) {
		for name, p := range b.cfg.Policies {
			change(&p)
			b.cfg.Policies[name] = p
		}
	}
}

func withRule(name string, change func(*cmpcore.Rule)) option {
	return func(b *bed) {
		for i := range b.cfg.Rules {
			if b.cfg.Rules[i].Name == name {
				change(&b.cfg.Rules[i])
				return
			}
		}
		b.Fatalf("no rule %q", name)
	}
}

// withCAKey makes the CA's key one of another kind.
func withCAKey(name string) option {
	return func(b *bed) {
		b.ca = certify(b, b.root, "Issuing CA", key(b, name), asCA)
		b.useCA()
	}
}

// withServer protects messages by a certificate of its own.
func withServer(b *bed) {
	b.server = certify(b, b.ca, "CMP server", key(b, "p256 server"), func(c *x509.Certificate) { c.SubjectKeyId = []byte("server key") })
	b.cfg.Authority.ProtectionCertificate = b.server.cert.Raw
	b.cfg.Authority.Signer = b.server.key
}

func (b *bed) useCA() {
	issuer, err := issuance.NewIssuer(b.ca.cert.Raw, b.ca.key, "")
	if err != nil {
		b.Fatal(err)
	}
	b.cfg.Authority = cmpcore.Authority{Issuer: issuer, Certificate: b.ca.cert.Raw, Chain: b.ca.chain, Signer: b.ca.key}
}

func secretPrefix(prefix string) func(string) bool {
	return func(ref string) bool { return strings.HasPrefix(ref, prefix) }
}

func profile(t testing.TB, name string, change func(*issuance.ProfileConfig)) *issuance.Profile {
	t.Helper()
	c := issuance.DefaultProfile()
	c.Name = name
	if change != nil {
		change(&c)
	}
	p, err := issuance.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tolerant is what OpenSSL needs.
var tolerant = []string{"mac-sender", "any-recipient", "p10cr-id-zero", "pop-form", "signer-issuer"}

const crlURL = "http://crl.example/ca.crl"

func newBed(t testing.TB, options ...option) *bed {
	t.Helper()
	b := &bed{TB: t, now: epoch, channel: "dir", nonces: map[string]bool{}}
	b.root = certify(t, nil, "Test Root", key(t, "p256 root"), asCA)
	b.ca = certify(t, b.root, "Issuing CA", key(t, "p256 ca"), asCA)
	b.partner = certify(t, nil, "Partner Root", key(t, "p256 partner"), asCA)
	b.useCA()
	b.cfg.Profiles = map[string]*issuance.Profile{
		"default": profile(t, "default", nil),
		"strict": profile(t, "strict", func(c *issuance.ProfileConfig) {
			c.Extensions.Unaccepted = "refuse"
			c.Validity.Request = "strict"
			c.Keys = []string{"ecdsa-p256"}
		}),
	}
	all := []cmp.BodyType{cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR, cmp.TypeP10CR, cmp.TypeRR, cmp.TypeGenM}
	both := []string{"default", "strict"}
	b.cfg.Rules = []cmpcore.Rule{
		{Name: "devices", Secret: secretPrefix("dev-"), May: all, Profiles: both},
		{Name: "ra", Secret: secretPrefix("ra-"), May: all, Profiles: both, RAVerified: true, UpdateAny: true, RevokeAny: true},
		{Name: "slow", Secret: secretPrefix("slow-"), May: all, Profiles: both, Approval: true},
		{Name: "curious", Secret: secretPrefix("ask-"), May: []cmp.BodyType{cmp.TypeGenM}},
		{Name: "holders", Certificate: &cmpcore.CertificateWho{IssuedHere: true},
			May: []cmp.BodyType{cmp.TypeCR, cmp.TypeKUR, cmp.TypeRR, cmp.TypeGenM}, Profiles: both, Own: true},
		{Name: "partners", Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{b.partner.cert}},
			May: []cmp.BodyType{cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR, cmp.TypeP10CR, cmp.TypeRR, cmp.TypeGenM}, Profiles: both},
	}
	b.cfg.Policies = map[string]cmpcore.Policy{"dir": {
		ImplicitConfirm: true, ConfirmWait: 30 * day, TransactionLife: 90 * day, PollInterval: time.Hour,
	}}
	b.cfg.CRLLifetime = 7 * day
	b.cfg.CRLDistributionPoints = []string{crlURL}
	b.cfg.Clock = func() time.Time { return b.now }
	b.cfg.Random = mathrand.NewChaCha8(sha256.Sum256([]byte(t.Name())))
	b.cfg.Unseal = func(s *cmpcore.Secret) ([]byte, error) { return s.Sealed, nil }
	b.cfg.SealPassphrase = func(p *cmpcore.Passphrase, value []byte) ([]byte, error) {
		return append([]byte("sealed for "+p.Owner+": "), value...), nil
	}
	b.cfg.UnsealPassphrase = func(p *cmpcore.Passphrase) ([]byte, error) {
		value, ok := bytes.CutPrefix(p.Sealed, []byte("sealed for "+p.Owner+": "))
		if !ok {
			return nil, errors.New("sealed for somebody else")
		}
		return value, nil
	}
	for _, o := range options {
		o(b)
	}
	b.store = newStore()
	b.rebuild()
	return b
}

// rebuild makes the Engine anew, as a restart with another configuration.
func (b *bed) rebuild() {
	b.Helper()
	var err error
	if b.engine, err = cmpcore.New(b.cfg); err != nil {
		b.Fatal(err)
	}
}

// party is a requester: a shared secret, or a key with its certificate.
type party struct {
	ref, secret string
	mac         func() *alg.MAC
	holder      *holder
	sig         string // signature algorithm; empty: the key's default
	sender      pkix.Name

	shared []byte                   // Diffie-Hellman secret with the CA's agreement key
	dhAlg  pkix.AlgorithmIdentifier // zero: SHA-256 and HMAC-SHA256

	kemSecret []byte // of the ciphertext for the party's KEM key
}

// device registers a shared secret and gives its holder.
func (b *bed) device(ref string, change ...func(*cmpcore.Secret)) *party {
	b.Helper()
	s := &cmpcore.Secret{Ref: ref, Version: 1, Sealed: []byte("secret of " + ref), Created: b.now}
	for _, f := range change {
		f(s)
	}
	b.store.secrets[ref] = s
	return &party{ref: ref, secret: string(s.Sealed), sender: dn(b, "CN="+ref)}
}

// signer gives a requester that signs.
func (b *bed) signer(h *holder) *party {
	return &party{holder: h, sender: pkix.Name(h.cert.RawSubject)}
}

func dn(t testing.TB, text string) pkix.Name {
	t.Helper()
	n, err := pkix.ParseDN(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// message is a PKIMessage before it is protected.
type message struct {
	cmp.PKIHeader
	body  cmp.Body
	extra [][]byte
	by    cmp.Protector
}

// edit changes a message before it is protected.
type edit func(*message)

func (p *party) protector(t testing.TB) cmp.Protector {
	t.Helper()
	if p.shared != nil {
		return dhProtector{t, p}
	}
	if p.holder != nil && p.holder.key == nil {
		return nil // of a KEM: see under
	}
	if p.holder != nil {
		a, err := alg.SignatureFor(p.holder.key.Public(), p.sig)
		if err != nil {
			t.Fatal(err)
		}
		return cmp.SignatureProtector(rand.Reader, p.holder.key, a)
	}
	if p.mac != nil {
		return cmp.MACProtector(p.mac(), []byte(p.secret))
	}
	m, err := alg.NewPBM(rand.Reader, alg.PBMOptions{Iterations: 500})
	if err != nil {
		t.Fatal(err)
	}
	return cmp.MACProtector(m, []byte(p.secret))
}

// talk is one transaction of a party.
type talk struct {
	*bed
	party *party
	id    []byte
	first []byte // senderNonce of the first message
	peer  []byte // senderNonce of the last answer
	keys  map[int64]crypto.Signer
	last  []byte // the last message sent

	kemSecret []byte // of the ciphertext that messages bring
	challenge *reply // the last popdecc

	enrolledCert *x509.Certificate // of the party, by another transaction
}

func (b *bed) talk(p *party) *talk {
	return &talk{bed: b, party: p, id: random(16), keys: map[int64]crypto.Signer{}}
}

// message builds what the party says next.
func (k *talk) message(body cmp.Body, edits ...edit) []byte {
	k.Helper()
	p := k.party
	m := &message{body: body, by: p.protector(k), PKIHeader: cmp.PKIHeader{
		PVNO: 2, Sender: pkix.NewDirectoryName(p.sender), Recipient: pkix.NewDirectoryName(pkix.Name(k.ca.cert.RawSubject)),
		MessageTime: k.now, TransactionID: k.id, SenderNonce: random(16), RecipNonce: k.peer,
	}}
	if p.holder != nil {
		m.SenderKID = p.holder.cert.SubjectKeyId
		m.extra = append([][]byte{p.holder.cert.Raw}, p.holder.chain...)
	} else {
		m.SenderKID = []byte(p.ref)
	}
	for _, e := range edits {
		e(m)
	}
	der, err := cmp.Seal(&m.PKIHeader, m.body, m.extra, m.by)
	if err != nil {
		k.Fatal(err)
	}
	if k.first == nil {
		k.first = m.SenderNonce
	}
	return der
}

// say sends a message, commits its outcome and checks the answer.
func (k *talk) say(body cmp.Body, edits ...edit) *reply {
	k.Helper()
	return k.send(k.message(body, edits...))
}

func (k *talk) send(der []byte) *reply {
	k.Helper()
	k.last = der
	out := k.process(der)
	k.commit(der, out)
	r := k.check(der, out)
	if r.msg != nil {
		k.peer = r.msg.Header.SenderNonce
		if r.msg.Body.Type() == cmp.TypePOPDecC {
			k.challenge = r
		}
	}
	return r
}

// process gives the outcome of a message and changes nothing.
func (b *bed) process(der []byte) *cmpcore.Outcome {
	b.Helper()
	out, err := b.engine.Process(context.Background(), b.engine.Parse(der, b.channel), b.store)
	if err != nil {
		b.Fatalf("Process: %v", err)
	}
	return out
}

func (b *bed) commit(der []byte, out *cmpcore.Outcome) {
	b.Helper()
	checkOutcome(b, b.now, out)
	if err := b.store.commit(der, out); err != nil {
		b.Fatalf("the outcome does not fit the store: %v", err)
	}
}

// want is one wanted certificate.
type want struct {
	id       int64
	subject  string // "": none; "/" the NULL-DN
	key      string // "": none
	template func(*crmf.CertTemplate)
	controls []crmf.Attribute
	popo     func(*crmf.CertReqMsg) // nil: signature in the right form
}

// request builds the CertReqMsgs of a body.
func (k *talk) request(kind cmp.BodyType, wants ...want) *cmp.CertReqMessages {
	k.Helper()
	b := &cmp.CertReqMessages{Kind: kind}
	for i, w := range wants {
		r := crmf.CertReqMsg{CertReq: crmf.CertRequest{CertReqID: big.NewInt(w.id), Controls: w.controls}}
		t := &r.CertReq.Template
		switch w.subject {
		case "":
		case "/":
			t.Subject = pkix.EmptyName
		default:
			t.Subject = dn(k, w.subject)
		}
		var signer crypto.Signer
		if w.key != "" {
			signer = key(k, w.key)
			t.PublicKey = spki(k, signer)
			if k.keys[w.id] == nil || i == 0 {
				k.keys[w.id] = signer
			}
		}
		if w.template != nil {
			w.template(t)
		}
		if w.popo != nil {
			w.popo(&r)
		} else if signer != nil {
			k.prove(&r, signer, "")
		}
		b.Requests = append(b.Requests, r)
	}
	return b
}

// prove signs a request as RFC 4211 section 4.1 wants it.
func (k *talk) prove(r *crmf.CertReqMsg, signer crypto.Signer, sigName string) {
	k.Helper()
	a, err := alg.SignatureFor(signer.Public(), sigName)
	if err != nil {
		k.Fatal(err)
	}
	t := &r.CertReq.Template
	if t.Subject != nil && t.PublicKey != nil {
		der, err := r.CertReq.Bytes()
		if err != nil {
			k.Fatal(err)
		}
		if r.POPO, err = crmf.SignPOP(rand.Reader, signer, a, der); err != nil {
			k.Fatal(err)
		}
		return
	}
	in := &crmf.POPOSigningKeyInput{Sender: pkix.NewDirectoryName(k.party.sender), PublicKey: spki(k, signer)}
	if r.POPO, err = crmf.SignPOPInput(rand.Reader, signer, a, in); err != nil {
		k.Fatal(err)
	}
}

// one asks for one certificate with the id 0.
func (k *talk) one(kind cmp.BodyType, subject, key string) *cmp.CertReqMessages {
	k.Helper()
	return k.request(kind, want{subject: subject, key: key})
}

// confirmation accepts certificates, by the hash of their signature algorithm.
func confirmation(certs ...*x509.Certificate) *cmp.CertConfirm {
	b := &cmp.CertConfirm{}
	for i, c := range certs {
		sum := sha256.Sum256(c.Raw)
		b.Statuses = append(b.Statuses, cmp.CertStatus{CertHash: sum[:], CertReqID: big.NewInt(int64(i))})
	}
	return b
}

func poll(ids ...int64) *cmp.PollReq {
	b := &cmp.PollReq{}
	for _, id := range ids {
		b.CertReqIDs = append(b.CertReqIDs, big.NewInt(id))
	}
	return b
}

// enrolled gives a party that signs with a certificate of this CA.
func (b *bed) enrolled(subject, keyName string, edits ...func(*crmf.CertTemplate)) *party {
	b.Helper()
	k := b.talk(b.device("dev-enrol"))
	c := k.say(k.request(cmp.TypeIR, want{subject: subject, key: keyName, template: func(t *crmf.CertTemplate) {
		for _, e := range edits {
			e(t)
		}
	}}), implicit).cert(0)
	return b.signer(&holder{key: key(b, keyName), cert: c, chain: append([][]byte{b.ca.cert.Raw}, b.ca.chain...)})
}

// Edits of messages that many tests need.
func implicit(m *message) { m.GeneralInfo = append(m.GeneralInfo, cmp.NewImplicitConfirm()) }
func version3(m *message) { m.PVNO = 3 }

func certProfile(names ...string) edit {
	return func(m *message) {
		i, err := cmp.NewCertProfile(names)
		if err != nil {
			panic(fmt.Sprint(err))
		}
		m.GeneralInfo = append(m.GeneralInfo, i)
	}
}

func (b *bed) decide(k *talk, d cmpcore.Decision, reason string) *cmpcore.Transaction {
	b.Helper()
	t := b.store.transactionOf(k.id)
	if t == nil || t.State != cmpcore.AwaitingDecision {
		b.Fatal("nothing waits for a decision")
	}
	b.vote(t, "alice", d, reason)
	return t
}

// vote is what Store.Decide does.
func (b *bed) vote(t *cmpcore.Transaction, by string, d cmpcore.Decision, note string) {
	b.Helper()
	if err := t.Vote(cmpcore.Vote{By: by, At: b.now, Decision: d, Note: note}); err != nil {
		b.Fatal(err)
	}
	t.Version++
}

// expire applies the outcome of all that is due.
func (b *bed) expire() (outs []*cmpcore.Outcome) {
	b.Helper()
	for _, t := range b.store.due(b.now) {
		out, err := b.engine.Expire(context.Background(), t, b.store)
		if err != nil {
			b.Fatalf("Expire: %v", err)
		}
		checkOutcome(b, b.now, out)
		if err := b.store.commit(nil, out); err != nil {
			b.Fatalf("the outcome of an expiry does not fit the store: %v", err)
		}
		outs = append(outs, out)
	}
	return outs
}

func (b *bed) status(c *x509.Certificate) cmpcore.CertStatus {
	b.Helper()
	rec := b.store.certs[string(c.SerialNumber.Bytes())]
	if rec == nil {
		b.Fatal("the certificate is not in the store")
	}
	return rec.Status
}

func (b *bed) wantStatus(c *x509.Certificate, want cmpcore.CertStatus) {
	b.Helper()
	if got := b.status(c); got != want {
		b.Errorf("the certificate is %s, want %s", got, want)
	}
}

func (k *talk) wantState(want cmpcore.TransactionState) {
	k.Helper()
	t := k.store.transactionOf(k.id)
	switch {
	case t == nil:
		k.Errorf("there is no transaction, want state %d", want)
	case t.State != want:
		k.Errorf("the transaction is in state %d, want %d", t.State, want)
	}
}

func mustDN(text string) pkix.Name {
	n, err := pkix.ParseDN(text)
	if err != nil {
		panic(err)
	}
	return n
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	return must[*x509.Certificate](t)(x509.ParseCertificate(der))
}
