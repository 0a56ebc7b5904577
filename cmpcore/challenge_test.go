package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// challenged asks for a certificate for a key whose possession a challenge is to prove.
func challenged(t testing.TB, private crypto.PrivateKey, use int) want {
	w := encrCert(t, private, use)
	w.popo = subsequent(use, crmf.ChallengeResp)
	return w
}

// RFC 9810 section 5.2.8.3.3: Rand has the sender as it is in the header, which
// is not that of our signatures under each protection.
func TestChallengesNameTheSenderOfTheAnswer(t *testing.T) {
	b, ca := dhBed(t, "x25519", withDecryptionKeys)
	private := anyKey(t, "x25519")
	k := b.talk(agreeing(t, b.partner, dhKey(t, "x25519"), ca, nil))
	b.keysOf(k, private, 0)
	k.say(k.say(k.request(cmp.TypeIR, challenged(t, private, crmf.KeyAgreement)), version3).respond(private), version3).cert(0)

	b, pub := kemBed(t, withDecryptionKeys)
	k = b.talk(b.device("dev-1"))
	b.keysOf(k, private, 0)
	k.say(k.say(k.request(cmp.TypeIR, challenged(t, private, crmf.KeyAgreement)), k.bring(pub)).respond(private), version3).cert(0)
}

// respond decrypts the challenges, each with its key, and checks them.
func (r *reply) respond(keys ...crypto.PrivateKey) *cmp.POPODecKeyResponse {
	r.Helper()
	b := r.body(cmp.TypePOPDecC).msg.Body.(*cmp.POPODecKeyChallenge)
	if len(b.Challenges) != len(keys) {
		r.Fatalf("%d challenges, want %d", len(b.Challenges), len(keys))
	}
	out := &cmp.POPODecKeyResponse{}
	for i, c := range b.Challenges {
		var plain []byte
		if r.msg.Header.PVNO == 3 {
			if len(c.Challenge) != 0 {
				r.Error("challenge must be empty beside encryptedRand")
			}
			e := must[*cms.Envelope](r)(cms.ParseEnvelopedData(c.EncryptedRand))
			plain = must[[]byte](r)(e.Decrypt(rand.Reader, &cms.Key{Private: keys[i]}, nil))
			if id := e.Recipients()[0].ID; !id.Issuer.IsEmpty() || id.Serial == nil {
				r.Errorf("the recipient must be named by NULL-DN and certReqId, not %v", id)
			}
		} else {
			if c.EncryptedRand != nil {
				r.Error("encryptedRand at pvno 2")
			}
			//lint:ignore SA1019 the form of version 2 has no other padding in its implementations
			plain = must[[]byte](r)(rsa.DecryptPKCS1v15(nil, keys[i].(*rsa.PrivateKey), c.Challenge))
		}
		var v struct {
			Int    *big.Int
			Sender asn1.RawValue
		}
		if rest, err := asn1.Unmarshal(plain, &v); err != nil || len(rest) != 0 {
			r.Fatalf("Rand: %v", err)
		}
		if !bytes.Equal(v.Sender.FullBytes, r.msg.Header.Sender) || v.Int.BitLen() < 100 {
			r.Errorf("Rand of %d bits by %x", v.Int.BitLen(), v.Sender.FullBytes)
		}
		if sum := sha256.Sum256(v.Int.Bytes()); c.OWF.OID != pkix.MustOID("2.16.840.1.101.3.4.2.1") || !bytes.Equal(c.Witness, sum[:]) {
			r.Error("the witness is not SHA-256 of the number")
		}
		out.Responses = append(out.Responses, v.Int)
	}
	return out
}

func (b *bed) keysOf(k *talk, private crypto.PrivateKey, id int64) {
	if s, ok := private.(crypto.Signer); ok {
		k.keys[id] = s
		return
	}
	k.keys[id] = halfKey{private.(interface{ Public() crypto.PublicKey }).Public()}
}

// halfKey lets the bed compare keys that cannot sign.
type halfKey struct{ pub crypto.PublicKey }

func (p halfKey) Public() crypto.PublicKey { return p.pub }
func (p halfKey) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("cannot sign")
}

func TestChallenges(t *testing.T) {
	for keyType, use := range map[string]int{"rsa-2048": crmf.KeyEncipherment, "x25519": crmf.KeyAgreement, "ecdsa-p256": crmf.KeyAgreement} {
		for _, pvno := range []int{2, 3} {
			if pvno == 2 && keyType != "rsa-2048" {
				continue
			}
			version := func(m *message) { m.PVNO = pvno }
			t.Run(fmt.Sprint(keyType, " pvno ", pvno), func(t *testing.T) {
				b := newBed(t, withDecryptionKeys)
				private := anyKey(t, keyType)
				k := b.talk(b.device("dev-1"))
				b.keysOf(k, private, 0)
				r := k.say(k.request(cmp.TypeIR, challenged(t, private, use)), version)
				k.wantState(cmpcore.AwaitingProof)
				if len(r.out.Certificates)+len(r.out.SecretUses) > 0 {
					t.Error("issued before anything was proven")
				}
				cert := k.say(r.respond(private), version).body(cmp.TypeIP).cert(0)
				k.say(confirmation(cert), version).body(cmp.TypePKIConf)
				b.wantStatus(cert, cmpcore.Valid)
				k.say(&cmp.POPODecKeyResponse{Responses: []*big.Int{big.NewInt(1)}}, version).refused(cmp.BadRequest)

				// A wrong answer ends it; there is no second try.
				k = b.talk(b.device("dev-2"))
				r = k.say(k.request(cmp.TypeIR, challenged(t, private, use)), version)
				right := r.respond(private)
				wrong := &cmp.POPODecKeyResponse{Responses: []*big.Int{new(big.Int).Add(right.Responses[0], big.NewInt(1))}}
				peer := k.peer
				k.say(wrong, version).refused(cmp.BadPOP)
				k.wantState(cmpcore.Aborted)
				k.peer = peer
				k.say(right, version).refused(cmp.BadRequest)
			})
		}
	}
}

func TestResponsesThatProveNothing(t *testing.T) {
	private := anyKey(t, "x25519")
	for name, c := range map[string]func(right *cmp.POPODecKeyResponse){
		"none":          func(r *cmp.POPODecKeyResponse) { r.Responses = r.Responses[:0] },
		"one too many":  func(r *cmp.POPODecKeyResponse) { r.Responses = append(r.Responses, r.Responses[0]) },
		"one too few":   func(r *cmp.POPODecKeyResponse) { r.Responses = r.Responses[:1] },
		"another order": func(r *cmp.POPODecKeyResponse) { r.Responses[0], r.Responses[1] = r.Responses[1], r.Responses[0] },
		"negated":       func(r *cmp.POPODecKeyResponse) { r.Responses[1] = new(big.Int).Neg(r.Responses[1]) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withDecryptionKeys)
			k := b.talk(b.device("dev-1"))
			one, two := challenged(t, private, crmf.KeyAgreement), challenged(t, private, crmf.KeyAgreement)
			two.id = 1
			r := k.say(k.request(cmp.TypeIR, one, two), version3)
			right := r.respond(private, private)
			c(right)
			if len(right.Responses) == 0 { // not even a message
				return
			}
			k.say(right, version3).refused(cmp.BadPOP)
			k.wantState(cmpcore.Aborted)
		})
	}
	b := newBed(t, withDecryptionKeys)
	k := b.talk(b.device("dev-1"))
	right := k.say(k.request(cmp.TypeIR, challenged(t, private, crmf.KeyAgreement)), version3).respond(private)
	other := b.talk(b.device("dev-2"))
	other.id, other.peer = k.id, k.peer
	other.say(right, version3).refused(cmp.BadRequest) // another requester's
	k.peer = random(16)
	k.say(right, version3).refused(cmp.BadRecipientNonce)
	k.wantState(cmpcore.AwaitingProof)
	b.now = b.now.Add(31 * day)
	b.expire()
	k.wantState(cmpcore.Aborted)
}

func TestOnlySomeAreChallenged(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	private := anyKey(t, "rsa-2048")
	k := b.talk(b.device("dev-1"))
	bad, proven := challenged(t, anyKey(t, "ecdsa-p256"), crmf.KeyEncipherment), challenged(t, private, crmf.KeyEncipherment)
	bad.id, proven.id = 7, 8
	k.keys[8] = private.(crypto.Signer)
	r := k.say(k.request(cmp.TypeIR, want{subject: "CN=b", key: "p256 b"}, bad, proven), version3, implicit)
	r = k.say(r.respond(private), version3)
	r.cert(0)
	r.rejected(1, cmp.BadPOP)
	b.wantStatus(r.cert(2), cmpcore.Valid)
}

func TestAPersonDecidesAfterTheProof(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	private := anyKey(t, "rsa-2048")
	k := b.talk(b.device("slow-1"))
	k.keys[0] = private.(crypto.Signer)
	r := k.say(k.request(cmp.TypeIR, challenged(t, private, crmf.KeyEncipherment)), version3)
	k.say(r.respond(private), version3).waits(0)
	b.decide(k, cmpcore.Approved, "")
	k.say(poll(0), version3).cert(0)

	b = newBed(t, withDecryptionKeys, withPolicy(func(p *cmpcore.Policy) { p.Hold = true }))
	b.asked("slow-1", challenged(t, private, crmf.KeyEncipherment), version3).judge(cmp.BadPOP)
}

func TestWhoGetsNoChallenge(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	b.asked("dev-1", challenged(t, anyKey(t, "ecdsa-p256"), crmf.KeyAgreement)).judge(cmp.BadRequest) // pvno 2
	b.asked("dev-1", challenged(t, anyKey(t, "ed25519"), crmf.KeyAgreement), version3).judge(cmp.BadPOP)
	k := b.talk(b.device("dev-2", func(s *cmpcore.Secret) { s.MaxUses, s.Used = 1, 1 }))
	k.say(k.request(cmp.TypeIR, challenged(t, anyKey(t, "x25519"), crmf.KeyAgreement)), version3).judge(cmp.NotAuthorized)
	k = b.talk(b.device("dev-3"))
	var wants []want
	private := anyKey(t, "x25519")
	for i := range 33 {
		w := challenged(t, private, crmf.KeyAgreement)
		w.id = int64(i)
		wants = append(wants, w)
	}
	r := k.say(k.request(cmp.TypeIR, wants...), version3)
	if n := len(r.body(cmp.TypePOPDecC).msg.Body.(*cmp.POPODecKeyChallenge).Challenges); n != 32 {
		t.Errorf("%d challenges", n)
	}
}

func TestTheClientAnswersChallenges(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	for _, c := range []struct {
		ref, keyType string
		pvno         int
	}{{"dev-1", "rsa-2048", 2}, {"dev-1", "rsa-2048", 3}, {"dev-1", "x25519", 3}, {"dev-1", "ml-kem-768", 3}, {"dev-1", "ecdsa-p384", 3}} {
		private := anyKey(t, c.keyType)
		spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
		cred := b.credentials(b.device(c.ref))
		cred.RequestedKeys = []crypto.PrivateKey{private}
		r := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: cred, PVNO: c.pvno,
			Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), PublicKey: spki, POP: client.POPChallenge}}})
		if len(r.Certificates) != 1 || r.Certificates[0].Certificate == nil {
			t.Fatalf("%+v: %+v", c, r)
		}
		b.wantStatus(must[*x509.Certificate](t)(x509.ParseCertificate(r.Certificates[0].Certificate)), cmpcore.Valid)
	}
}

// response answers the challenge of a transaction; without one, nothing.
func (k *talk) response() *cmp.POPODecKeyResponse {
	k.Helper()
	if k.challenge == nil {
		return &cmp.POPODecKeyResponse{Responses: []*big.Int{big.NewInt(4711)}}
	}
	k.keysOf(k, lifeKey(k, "x25519", 0), 0)
	return k.challenge.respond(lifeKey(k, "x25519", 0))
}
