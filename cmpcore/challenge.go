package cmpcore

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/pkix"
)

// maxChallenges bounds the challenges of one message: each costs an encryption.
const maxChallenges = 32

// challengeOctets is the size of the number that only the key's holder can find.
const challengeOctets = 16

// checkChallengeResponse lets a request go on to its challenge, or past it
// (RFC 9810 section 5.2.8.3.3).
func (x *exchange) checkChallengeResponse(rule *Rule, orig *cmp.PKIMessage, it *certItem, pub crypto.PublicKey) error {
	if x.tx != nil {
		if !slices.Contains(x.proven, it.id.Int64()) {
			return refuse(cmp.BadPOP, "possession of the key was not proven")
		}
		return nil
	}
	if rule.needsApproval(orig.Body.Type()) && x.policy.Hold {
		return refuse(cmp.BadPOP, "a challenge is not served where requests are held for a person").because("rule %s", rule.Name)
	}
	if orig.Header.PVNO < 3 {
		k, ok := pub.(*rsa.PublicKey)
		if !ok {
			return refuse(cmp.BadRequest, "a challenge for this type of key needs pvno 3")
		}
		// 11 octets of padding; the number has up to 20 with all around it.
		if len(x.answerSender())+20 > k.Size()-11 {
			return refuse(cmp.BadRequest, "a challenge with the CA's name does not fit this key; it needs pvno 3")
		}
	}
	if !x.spend(costChallenge, maxChallenges) {
		return refuse(cmp.BadRequest, "the message asks for too many challenges").because("more than %d", maxChallenges)
	}
	it.challenge = pub
	return nil
}

// sendChallenges answers with popdecc where possession of a key is still to be
// proven. The request is kept until the response comes.
func (x *exchange) sendChallenges(orig *cmp.PKIMessage, items []certItem) error {
	t := x.newTransaction(orig)
	body := &cmp.POPODecKeyChallenge{}
	proof := proof{}
	for i := range items {
		it := &items[i]
		t.Items = append(t.Items, TransactionItem{CertReqID: it.id.Int64()})
		if it.fail != nil || it.challenge == nil {
			continue
		}
		c, number, err := x.newChallenge(orig, it)
		if err != nil {
			return fmt.Errorf("challenge: %w", err)
		}
		body.Challenges = append(body.Challenges, c)
		proof.add(it.id.Int64(), number)
	}
	t.State = AwaitingProof
	t.Proof = proof.bytes()
	t.Expires = x.now.Add(x.policy.ConfirmWait)
	x.out.Transaction = t
	x.out.KeepRequest = true
	// Nothing is granted yet, so nothing must still hold at this commit.
	x.out.Relied = nil
	x.out.Disposition = Answered
	x.audit("challenged", func(a *AuditEntry) { a.Detail = fmt.Sprintf("challenges: %d", len(body.Challenges)) })
	return x.reply(body, replyOptions{})
}

// newChallenge encrypts a number to the requested key: as EnvelopedData or, at
// pvno 2, directly.
func (x *exchange) newChallenge(orig *cmp.PKIMessage, it *certItem) (c cmp.Challenge, number *big.Int, err error) {
	b := make([]byte, challengeOctets)
	if _, err := io.ReadFull(x.cfg.Random, b); err != nil {
		return c, nil, err
	}
	b[0] = b[0]&0x7f | 0x40 // positive, and always of this size
	number = new(big.Int).SetBytes(b)
	plain, err := cmp.Rand{Int: number, Sender: x.answerSender()}.Bytes() // as the header has it
	if err != nil {
		return c, nil, err
	}
	// The contents of the INTEGER, as NSS has it; RFC 9810 does not say.
	witness := sha256.Sum256(b)
	c.OWF, c.Witness, c.Challenge = alg.HashAlgorithm(crypto.SHA256), witness[:], []byte{}
	if orig.Header.PVNO < 3 {
		// RFC 4210 names no padding; this is what its implementations have.
		//lint:ignore SA1019 the form of version 2 has no other padding in its implementations
		c.Challenge, err = rsa.EncryptPKCS1v15(x.cfg.Random, it.challenge.(*rsa.PublicKey), plain)
		return c, number, err
	}
	to, err := cms.ForKey(it.challenge, &cms.RecipientOptions{ID: cms.Identifier{Issuer: pkix.EmptyName, Serial: it.id}})
	if err != nil {
		return c, nil, err
	}
	c.EncryptedRand, err = cms.Encrypt(x.cfg.Random, []*cms.Recipient{to}, cms.OIDData, plain, nil)
	return c, number, err
}

// proveByResponse takes popdecr. The right numbers let the request go on; one
// that is wrong ends the transaction.
func (x *exchange) proveByResponse(b *cmp.POPODecKeyResponse) error {
	t := x.tx
	switch {
	case t == nil:
		return refuse(cmp.BadRequest, "no transaction of this requester has this transactionID")
	case t.State != AwaitingProof:
		return refuse(cmp.BadRequest, "no challenge of this transaction waits for a response")
	}
	if err := x.checkFollowUp(false); err != nil {
		return err
	}
	der, err := x.view.Message(x.ctx, t.Request)
	if err != nil {
		return err
	}
	if der == nil {
		return fmt.Errorf("%w: %x", errNoRequest, t.Request)
	}
	orig, err := cmp.Parse(der, x.cfg.Limits)
	if err != nil {
		return fmt.Errorf("request of a challenged transaction: %w", err)
	}
	proof, err := readProof(t.Proof)
	if err != nil {
		return err
	}
	if !proof.answered(b.Responses) {
		return x.finalFailure(orig, refuse(cmp.BadPOP, "the response to the challenge is wrong"))
	}
	x.proven = proof.ids
	return x.decided(orig)
}

// proof is what a transaction remembers of challenges: for whom they are, and
// the hashes of the numbers.
type proof struct {
	done bool // all were answered
	ids  []int64
	sums [][32]byte
}

const proofEntry = 8 + 32

func (p *proof) add(id int64, number *big.Int) {
	p.ids, p.sums = append(p.ids, id), append(p.sums, sha256.Sum256(number.Bytes()))
}

func (p *proof) answered(numbers []*big.Int) bool {
	if len(numbers) != len(p.ids) || len(numbers) == 0 {
		return false
	}
	right := 1
	for i, n := range numbers {
		sum := sha256.Sum256(n.Bytes())
		right &= subtle.ConstantTimeCompare(sum[:], p.sums[i][:])
		if n.Sign() <= 0 {
			return false
		}
	}
	return right == 1
}

func (p *proof) bytes() []byte {
	b := []byte{0}
	if p.done {
		b[0] = 1
	}
	for i, id := range p.ids {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
		b = append(b, p.sums[i][:]...)
	}
	return b
}

func readProof(b []byte) (*proof, error) {
	if len(b) == 0 {
		return &proof{}, nil
	}
	if b[0] > 1 || (len(b)-1)%proofEntry != 0 {
		return nil, errors.New("the proof of a transaction in the store cannot be read")
	}
	p := &proof{done: b[0] == 1}
	for b = b[1:]; len(b) > 0; b = b[proofEntry:] {
		p.ids = append(p.ids, int64(binary.BigEndian.Uint64(b)))
		p.sums = append(p.sums, [32]byte(b[8:proofEntry]))
	}
	return p, nil
}

// useProof finds out what was proven before a person decided.
func (x *exchange) useProof() error {
	if x.tx == nil || x.proven != nil {
		return nil
	}
	p, err := readProof(x.tx.Proof)
	if err == nil && p.done {
		x.proven = p.ids
	}
	return err
}

// rememberProof keeps that everything was proven, while a person decides.
func (x *exchange) rememberProof(t *Transaction) error {
	p, err := readProof(t.Proof)
	if err != nil || len(p.ids) == 0 {
		return err
	}
	p.done = x.proven != nil
	t.Proof = p.bytes()
	return nil
}
