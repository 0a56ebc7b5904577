package cmpcore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	mathrand "math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// node is one DER element, taken apart as far as it goes.
type node struct {
	tag  asn1.Tag
	kids []*node
	leaf []byte
}

func readNode(s *cryptobyte.String) *node {
	var c cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&c, &tag) {
		return nil
	}
	n := &node{tag: tag}
	if tag&0x20 == 0 {
		n.leaf = c
		return n
	}
	for !c.Empty() {
		kid := readNode(&c)
		if kid == nil {
			return nil
		}
		n.kids = append(n.kids, kid)
	}
	return n
}

func (n *node) add(b *cryptobyte.Builder) {
	b.AddASN1(n.tag, func(b *cryptobyte.Builder) {
		b.AddBytes(n.leaf)
		for _, k := range n.kids {
			k.add(b)
		}
	})
}

func (n *node) all(list []*node) []*node {
	list = append(list, n)
	for _, k := range n.kids {
		list = k.all(list)
	}
	return list
}

// mutate changes elements of header and body by triples of op, place and value.
func mutate(der, how []byte) []byte {
	s := cryptobyte.String(der)
	root := readNode(&s)
	if root == nil || len(root.kids) < 2 {
		return der
	}
	for ; len(how) >= 3; how = how[3:] {
		part := append(root.kids[0].all(nil), root.kids[1].all(nil)...)
		n := part[(int(how[1])|int(how[2]>>4)<<8)%len(part)]
		v := how[2]
		other := part[int(v)%len(part)]
		switch how[0] % 8 {
		case 0:
			if len(n.kids) > 0 {
				n.kids = n.kids[:len(n.kids)-1]
			}
		case 1:
			if len(n.kids) > 0 {
				n.kids = n.kids[1:]
			}
		case 2:
			if len(n.kids) > 0 && len(n.kids) < 64 {
				n.kids = append(n.kids[:len(n.kids):len(n.kids)], n.kids[int(v)%len(n.kids)])
			}
		case 3:
			if len(n.leaf) > 0 {
				n.leaf = append([]byte(nil), n.leaf...)
				n.leaf[int(v)%len(n.leaf)] ^= 1 + v
			}
		case 4:
			n.leaf = n.leaf[:0:0]
		case 5:
			if n != root.kids[0] && n != root.kids[1] && len(other.all(nil)) < 200 {
				*n = *other.copy()
			}
		case 6:
			n.tag ^= asn1.Tag(v & 0xf)
		case 7:
			if n.tag&0x20 == 0 && len(n.leaf) < 4096 {
				n.leaf = append(n.leaf[:len(n.leaf):len(n.leaf)], n.leaf...)
			}
		}
	}
	var b cryptobyte.Builder
	root.add(&b)
	out, err := b.Bytes()
	if err != nil {
		return der
	}
	return out
}

func (n *node) copy() *node {
	c := &node{tag: n.tag, leaf: n.leaf}
	for _, k := range n.kids {
		c.kids = append(c.kids, k.copy())
	}
	return c
}

// signers are the parties of the fuzzing that have a certificate; a message is
// of the one whose certificate comes first, else of the first.
type signers []*party

func (s signers) of(m *cmp.PKIMessage) *party {
	for _, p := range s {
		if len(m.ExtraCerts) > 0 && bytes.Equal(m.ExtraCerts[0], p.holder.cert.Raw) {
			return p
		}
	}
	return s[0]
}

// protectAgain gives a message the protection that its header names, by the
// secrets and the keys that the parties of the fuzzing have.
func protectAgain(t testing.TB, der []byte, parties signers) []byte {
	m, _ := cmp.Parse(der, cmp.Limits{})
	if m == nil {
		return der
	}
	p := parties.of(m)
	var protection []byte
	var err error
	switch cmp.ProtectionKind(m.Header.ProtectionAlg) {
	case cmp.ProtectionMAC:
		mac, perr := alg.ParseMAC(m.Header.ProtectionAlg, nil)
		if perr != nil || mac.Iterations() > 1000 {
			return der
		}
		protection, err = mac.Sum([]byte("secret of "+string(m.Header.SenderKID)), m.ProtectedPart())
	case cmp.ProtectionSignature:
		if p.holder.key == nil {
			return der
		}
		protection, err = alg.Sign(nil, p.holder.key, m.Header.ProtectionAlg, m.ProtectedPart())
	case cmp.ProtectionDHMAC:
		mac, perr := alg.ParseDHBM(m.Header.ProtectionAlg)
		if perr != nil || p.shared == nil {
			return der
		}
		protection, err = mac.Sum(p.shared, m.ProtectedPart())
	case cmp.ProtectionKEMMAC:
		mac, perr := alg.ParseKEMBM(m.Header.ProtectionAlg)
		if perr != nil || p.kemSecret == nil {
			return der
		}
		protection, err = mac.Sum(p.kemSecret, m.Header.TransactionID, m.ProtectedPart())
	default:
		return der
	}
	if err != nil {
		return der
	}
	parts := [][]byte{m.Header.Raw, m.RawBody, element(tagged(0), element(asn1.BIT_STRING, []byte{0}, protection))}
	if len(m.ExtraCerts) > 0 {
		parts = append(parts, element(tagged(1), element(asn1.SEQUENCE, m.ExtraCerts...)))
	}
	return element(asn1.SEQUENCE, parts...)
}

func openPolicy(p *cmpcore.Policy) { p.Tolerate = tolerant }

func closedPolicy(p *cmpcore.Policy) {
	p.Hold, p.SilentToStrangers, p.LastPollNonce, p.MessageTimeWindow, p.RequireMessageTime = true, true, true, time.Hour, true
}

// fuzzBed has a transaction in every state and messages of every kind.
func fuzzBed(t testing.TB, policy func(*cmpcore.Policy)) (*bed, signers, [][]byte) {
	agreement := dhKey(t, "x25519")
	b := newBed(t, withPolicy(policy), withRule("slow", func(r *cmpcore.Rule) { r.RevokeAny = true }),
		withPassphrases, withArchive, withCross, withRegistrars, withSeed, withPolicy(askKEM), func(b *bed) {
			b.agreement = certifyPublic(t, b.ca, "CA agreement", agreement.PublicKey(), nil)
			b.cfg.Authority.Agreement = &cmpcore.StaticKey{Certificate: b.agreement.cert.Raw, Key: parsedKey(t, agreement)}
			withProofs(macProofs | cmpcore.ProofEncryptedKey | cmpcore.ProofThisMessage)(b)
			b.cfg.Encryption.Values = cms.ValuesTripleDES
		}, withDecryptionKeys, withRule("devices", func(r *cmpcore.Rule) { r.CentralKeys = []string{"ed25519", "ecdsa-p256"} }), func(b *bed) {
			b.cfg.Rules = append(b.cfg.Rules, cmpcore.Rule{Name: "relays", RAVerified: true, May: []cmp.BodyType{cmp.TypeNested},
				Certificate: &cmpcore.CertificateWho{IssuedHere: true}})
		})
	holder := b.enrolled("CN=device 1,O=Example", "p256 a", withSAN(t, "one.example"))
	var seeds [][]byte
	say := func(k *talk, body cmp.Body, edits ...edit) *reply {
		r := k.say(body, edits...)
		seeds = append(seeds, k.last)
		return r
	}
	// seed only: the state stays where it is
	next := func(k *talk, body cmp.Body, edits ...edit) { seeds = append(seeds, k.message(body, edits...)) }

	dev := b.device("dev-1")
	k := b.talk(dev)
	c := say(k, k.request(cmp.TypeIR, want2("CN=a", "p256 a", 0), want{id: 1, key: "p256 b", template: withSAN(t, "b.example")},
		want{id: 2, subject: "CN=c", key: "p256 c", popo: func(*crmf.CertReqMsg) {}}), certProfile("default"), version3)
	next(k, confirmation(c.cert(0)))
	next(k, &cmp.CertConfirm{})
	next(k, errorBody)
	k = b.talk(dev)
	one := say(k, k.p10cr("CN=d", "p256 d", "d.example")).cert(0)
	next(k, confirmation(one))
	k = b.talk(dev)
	say(k, k.one(cmp.TypeIR, "CN=done", "p256 a"), implicit)
	next(k, confirmation(one))
	slow := b.device("slow-1")
	for _, d := range []cmpcore.Decision{cmpcore.Undecided, cmpcore.Approved, cmpcore.Rejected} {
		k = b.talk(slow)
		say(k, k.one(cmp.TypeIR, "CN=slow", "p256 a"))
		if d != cmpcore.Undecided {
			b.decide(k, d, "because")
		}
		next(k, poll(0))
		next(k, errorBody)
	}
	k = b.talk(slow)
	say(k, rr(revocation(holder.holder.cert, 1)))
	next(k, poll(-1))
	k = b.talk(holder)
	next(k, k.request(cmp.TypeKUR, want{key: "p256 e", subject: "CN=device 1,O=Example", controls: oldCert(t, pkix.Name(b.ca.cert.RawSubject), holder.holder.cert.SerialNumber)}))
	next(b.talk(holder), k.one(cmp.TypeCR, "CN=device 1,O=Example", "p256 f"))
	next(b.talk(holder), rr(revocation(holder.holder.cert, 6)))
	next(b.talk(holder), genm(b.phraseInfo(b.toCA(), phrase, "kept")), version3)
	next(b.talk(dev), genm(question(cmp.OIDCACerts)), inHeader(b.phraseInfo(b.bySecret(dev.secret), phrase, "")))
	b.leave(holder, b.toCA(), phrase, "lost")
	next(b.talk(knower("lost", phrase)), rr(revocation(holder.holder.cert, 6)))
	next(b.talk(knower("", phrase)), rr(revocation(holder.holder.cert, 6)), inHeader(b.phraseInfo(b.bySecret(phrase), phrase, "next")))
	b.makeCRL()
	next(b.talk(dev), genm(question(cmp.OIDCACerts), question(cmp.OIDCurrentCRL), question(cmp.OIDSignKeyPairTypes), question(cmp.OIDCertProfile)))
	next(b.talk(b.device("ask-1")), genm(question(cmp.OIDCertProfile)))
	next(b.talk(b.device("ra-1")), rr(revocation(c.cert(0), 1), revocation(holder.holder.cert, 6)))
	ra := b.talk(b.device("ra-1"))
	next(ra, ra.request(cmp.TypeIR, want{subject: "CN=x", key: "p256 a", popo: func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} }}))
	k = b.talk(dev)
	next(k, k.request(cmp.TypeIR, want{subject: "CN=central", template: keyAlgorithm(t, "ecdsa-p256")}), version3)
	private := anyKey(t, "x25519")
	k = b.talk(dev)
	next(k, k.request(cmp.TypeIR, encrCert(t, private, crmf.KeyAgreement)), version3)
	encrypted := say(k, k.request(cmp.TypeIR, encrCert(t, private, crmf.KeyAgreement)), version3).decrypted(0, private)
	next(k, confirmation(encrypted), version3)
	k = b.talk(dev)
	popdecc := say(k, k.request(cmp.TypeIR, challenged(t, private, crmf.KeyAgreement)), version3)
	next(k, popdecc.respond(private), version3)
	next(k, errorBody)
	next(b.talk(dev), &cmp.PKIConf{})
	next(b.talk(dev), &cmp.CertRepMessage{Kind: cmp.TypeIP})
	next(b.talk(dev), &cmp.PollRep{})
	// Nested ones of what changes something, and of what is known.
	fresh := func(subject, keyName string) []byte {
		k := b.talk(dev)
		return k.message(k.one(cmp.TypeIR, subject, keyName), implicit)
	}
	next(b.talk(holder), nest(t, fresh("CN=n1", "p256 n1")))
	next(b.talk(holder), nest(t, seeds[1], fresh("CN=n2", "p256 n2"), seeds[0], seeds[len(seeds)-5], fresh("CN=n3", "p256 n3")))
	next(b.talk(holder), nest(t, seeds[len(seeds)-1], fresh("CN=n4", "p256 n4")))
	own := dhKey(t, "x25519")
	a := &agreePOP{t, own, shared(t, own, agreement), b.agreement.cert}
	for _, way := range []string{"agreeMAC DHBasedMac", "signature 1.3.6.1.5.5.7.6.26", "dhMAC as DhSigStatic", "agreeMAC by a password's MAC"} {
		next(b.talk(dev), k.request(cmp.TypeIR, a.want(a.proofs()[way])), version3)
	}
	next(b.talk(dev), a.pkcs10Of(b, func(info []byte) (pkix.AlgorithmIdentifier, []byte) {
		return a.static("1.3.6.1.5.5.7.6.26", a.ca, info)
	}))
	next(b.talk(dev), k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: popo(b.revealed(key(t, "rsa2048 a"), crmf.KeyEncipherment, nil))}), version3)
	old := oldKey(t, b.encryptionKey(), key(t, "rsa2048 a"))
	next(b.talk(dev), k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", popo: thisMessage(crmf.KeyEncipherment, old)}))
	next(b.talk(dev), k.request(cmp.TypeIR, want{subject: "CN=a", key: "rsa2048 a", controls: []crmf.Attribute{
		must[crmf.Attribute](t)(crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Value: old}}))}}))
	next(b.talk(dev), genm(must[cmp.InfoTypeAndValue](t)(cmp.NewRevPassphrase(crmf.EncryptedKey{Value: oldValue(t, b.encryptionKey(), []byte(phrase), false)}))))

	// Another CA, whose request waits, was granted, and is to be confirmed.
	partner := b.signer(b.partner)
	k = b.talk(partner)
	next(k, k.request(cmp.TypeCCR, b.crossWant(nil)))
	for _, d := range []cmpcore.Decision{cmpcore.Undecided, cmpcore.Approved} {
		k = b.talk(partner)
		say(k, k.request(cmp.TypeCCR, b.crossWant(nil)))
		if d != cmpcore.Undecided {
			b.decide(k, d, "")
		}
		next(k, poll(0))
	}
	// Keys to archive, and back.
	k = b.talk(dev)
	next(k, k.request(cmp.TypeIR, want{subject: "CN=k", key: "p256 k", controls: b.toArchive(key(t, "p256 k"), nil)}), version3)
	b.archived(dev, "CN=k", "p256 k")
	toKey := must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
	next(b.talk(dev), krr(nil), version3)
	next(b.talk(dev), krr(func(m *crmf.CertReqMsg) {
		m.CertReq.Controls, m.CertReq.Template.Subject = []crmf.Attribute{toKey}, dn(t, "CN=k")
	}), version3)
	// An input that the requested key signs.
	k = b.talk(dev)
	next(k, k.request(cmp.TypeIR, want{key: "p256 a", template: withSAN(t, "k.example"), popo: func(r *crmf.CertReqMsg) {
		in := &crmf.POPOSigningKeyInput{PublicKey: spki(t, key(t, "p256 a"))}
		in.PublicKeyMAC = must[*crmf.PKMACValue](t)(crmf.SignPublicKeyMAC(pbm(t, 200), in.PublicKey, []byte(dev.secret)))
		a, _ := alg.SignatureFor(key(t, "p256 a").Public(), "")
		r.POPO = must[*crmf.POPOSigningKey](t)(crmf.SignPOPInput(rand.Reader, key(t, "p256 a"), a, in))
	}}, want{id: 1, subject: "CN=l", key: "p256 l"}), version3)
	// MACs by Diffie-Hellman and by a KEM.
	agrees := agreeing(t, b.partner, dhKey(t, "x25519"), agreement, nil)
	k = b.talk(agrees)
	next(k, k.one(cmp.TypeIR, "CN=d", "p256 d"), version3)
	next(k, k.request(cmp.TypeIR, challenged(t, private, crmf.KeyAgreement)), version3)
	has := newKEMRequester(t, b.partner, nil)
	k = b.talk(has.party)
	if p := b.cfg.Policies["dir"]; p.SilentToStrangers {
		next(k, genm(question(cmp.OIDKEMCiphertextInfo)), version3, unprotected)
	} else {
		has.kemSecret = has.fetch(k)
		seeds = append(seeds, k.last)
		next(k, k.one(cmp.TypeIR, "CN=e", "p256 e"), under(t, has.kemSecret, k.id))
	}
	// A batch of the newer ones.
	next(b.talk(b.registrar()), nest(t, seeds[len(seeds)-1], seeds[len(seeds)-3], fresh("CN=n5", "p256 n5"), seeds[len(seeds)-6]))
	return b, signers{holder, partner, agrees, has.party}, seeds
}

// FuzzProcess changes elements of good messages and protects them again, so
// that what is behind the protection is reached. The messages are named by
// number, because each process has keys and transactions of its own; raw takes
// the place of what is made from them.
func FuzzProcess(f *testing.F) {
	b, holder, seeds := fuzzBed(f, openPolicy)
	if len(seeds) < 55 {
		f.Fatalf("only %d seeds", len(seeds))
	}
	for i, der := range seeds {
		f.Add(byte(i), []byte{}, der)
		f.Add(byte(i), []byte{3, byte(17 * i), byte(i)}, []byte{})
		f.Add(byte(i), []byte{byte(i), byte(31 * i), 7, byte(i + 1), byte(57 * i), byte(3 * i)}, []byte{})
	}
	f.Fuzz(func(t *testing.T, which byte, how, raw []byte) {
		if len(raw) > 1<<16 || len(how) > 30 {
			return
		}
		if len(raw) == 0 {
			raw = protectAgain(t, mutate(seeds[int(which)%len(seeds)], how), holder)
		}
		processHostile(t, b, raw)
	})
}

// The same without waiting for a fuzzing run.
func TestChangedMessagesThatAreProtectedAgain(t *testing.T) {
	for name, policy := range map[string]func(*cmpcore.Policy){"open": openPolicy, "closed": closedPolicy} {
		t.Run(name, func(t *testing.T) { changedMessages(t, policy) })
	}
}

func changedMessages(t *testing.T, policy func(*cmpcore.Policy)) {
	b, holder, seeds := fuzzBed(t, policy)
	n := 4000
	if testing.Short() {
		n = 500
	}
	seed := mathrand.Uint64()
	t.Logf("seed %d", seed)
	rnd := mathrand.New(mathrand.NewPCG(seed, 0))
	var granted, refused int
	for range n {
		how := make([]byte, 3*(1+rnd.IntN(3)))
		for i := range how {
			how[i] = byte(rnd.Uint32())
		}
		der := protectAgain(t, mutate(seeds[rnd.IntN(len(seeds))], how), holder)
		switch out := processHostile(t, b, der); {
		case out.Disposition == cmpcore.Answered:
			granted++
		case out.Disposition == cmpcore.Refused && out.Reason != badMAC:
			refused++
		}
		if t.Failed() {
			t.Fatalf("after %x", der)
		}
	}
	if granted < n/50 || refused < n/10 {
		t.Errorf("of %d messages %d were granted and %d refused: the changes do not get behind the protection", n, granted, refused)
	}
}

const badMAC = "the message authentication code does not verify, or its reference is unknown"

func processHostile(t testing.TB, b *bed, der []byte) *cmpcore.Outcome {
	t.Helper()
	r := b.engine.Parse(der, "dir")
	r.OrderKey()
	out, err := b.engine.Process(context.Background(), r, b.store)
	if err != nil {
		if tx := b.store.transactionOf([]byte(r.OrderKey())); tx != nil && tx.Held && tx.Request == r.Hash {
			return &cmpcore.Outcome{} // held, and not decided
		}
		t.Fatalf("an error of the machine: %v, after %x", err, der)
	}
	checkOutcome(t, b.now, out)
	for one := range out.All() {
		checkStranger(t, b, one)
	}
	if len(out.Parts) > 0 {
		// What each part was computed from is what the Store will have.
		if err := b.store.copy().commit(der, out); err != nil {
			t.Errorf("the outcome of a nested message does not fit: %v", err)
		}
	}
	return out
}

// checkStranger holds what no message may reach, whatever is in it.
func checkStranger(t testing.TB, b *bed, out *cmpcore.Outcome) {
	t.Helper()
	if out.Reply != nil {
		m, err := cmp.Parse(out.Reply, cmp.Limits{})
		if err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		if cmp.ProtectionKind(m.Header.ProtectionAlg) == cmp.ProtectionSignature {
			if err := b.ca.cert.CheckSignature(stdSignature(m.Header.ProtectionAlg), protectedPart(t, out.Reply), m.Protection); err != nil {
				t.Error(err)
			}
		}
	}
	for _, rec := range out.Certificates {
		c, err := x509.ParseCertificate(rec.DER)
		if err != nil {
			t.Error(err)
			continue
		}
		if tx := out.Transaction; tx != nil && tx.Body == cmp.TypeCCR {
			// What only another CA gets, and only after a person's word.
			if tx.Decision != cmpcore.Approved || c.MaxPathLen > 2 || c.KeyUsage&^(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 || !c.IsCA {
				t.Errorf("a certificate for a CA: decision %d, path length %d, usage %b", tx.Decision, c.MaxPathLen, c.KeyUsage)
			}
		} else if c.IsCA || c.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0 || c.NotAfter.After(b.ca.cert.NotAfter) {
			t.Errorf("a certificate that the profile does not have: CA %v, usage %b, until %s", c.IsCA, c.KeyUsage, c.NotAfter)
		}
		if strings.EqualFold(c.Subject.String(), b.ca.cert.Subject.String()) {
			t.Error("a certificate of the CA's name")
		}
	}
	if tx := out.Transaction; tx != nil && tx.Requester == "" {
		t.Error("a transaction of nobody")
	}
	for _, k := range out.Archive {
		if u, err := cms.UnwrapPrivateKey(rand.Reader, k.Envelope, &cms.Key{Private: b.cfg.Encryption.Key, Certificate: b.cfg.Encryption.Certificate}, nil); err != nil || len(u.Keys) != 1 {
			t.Errorf("an archived key does not open: %v", err)
		}
	}
}
