package client

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
)

// challenges answers a popdecc: the numbers that only the requested keys can
// find, in the same order (RFC 9810 section 5.2.8.3.3).
func (s *Session) challenges(m *cmp.PKIMessage, b *cmp.POPODecKeyChallenge, c *Credentials, r *Result) error {
	var keys []*Item
	for i := range s.Items {
		if s.Items[i].Challenge {
			keys = append(keys, &s.Items[i])
		}
	}
	if len(b.Challenges) == 0 || len(b.Challenges) > len(keys) {
		return fmt.Errorf("%w: %d challenges to %d keys", ErrBody, len(b.Challenges), len(keys))
	}
	out := &cmp.POPODecKeyResponse{}
	var owf pkix.AlgorithmIdentifier
	for i := range b.Challenges {
		ch := &b.Challenges[i]
		if !ch.OWF.IsZero() {
			owf = ch.OWF
		}
		number, err := c.openChallenge(m, ch, owf, keys)
		if err != nil {
			return fmt.Errorf("challenge %d: %w", i, err)
		}
		out.Responses = append(out.Responses, number)
	}
	s.Step = StepProof
	return s.next(c, out, s.PVNO, r)
}

// errChallenge is one error for all that can be wrong with a number that was
// decrypted, so that nobody learns from us what a key decrypts.
var errChallenge = errors.New("the challenge does not open with a requested key, or is not what it should be")

// openChallenge tries the keys until one gives a number that the challenge
// vouches for.
func (c *Credentials) openChallenge(m *cmp.PKIMessage, ch *cmp.Challenge, owf pkix.AlgorithmIdentifier, items []*Item) (*big.Int, error) {
	hash, err := alg.HashByAlgorithm(owf)
	if err != nil {
		return nil, fmt.Errorf("one-way function: %w", err)
	}
	found := false
	for _, it := range items {
		private := c.requestedKey(it)
		if private == nil {
			continue
		}
		found = true
		plain, err := c.decryptRand(ch, private)
		if err != nil {
			continue
		}
		got, err := cmp.ParseRand(plain)
		if err != nil || got.Int.Sign() <= 0 || !bytes.Equal(got.Sender, m.Header.Sender) || !witnessed(hash, ch.Witness, got.Int) {
			continue
		}
		return got.Int, nil
	}
	if !found {
		return nil, fmt.Errorf("%w: the requested private key is not among them", ErrCredentials)
	}
	return nil, errChallenge
}

func (c *Credentials) decryptRand(ch *cmp.Challenge, private crypto.PrivateKey) ([]byte, error) {
	if ch.EncryptedRand != nil {
		e, err := cms.ParseEnvelopedData(ch.EncryptedRand)
		if err != nil {
			return nil, err
		}
		return e.Decrypt(c.Rand, &cms.Key{Private: private}, nil)
	}
	k, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, errChallenge
	}
	//lint:ignore SA1019 the form of version 2 has no other padding in its implementations
	return rsa.DecryptPKCS1v15(c.Rand, k, ch.Challenge)
}

// witnessed compares with the hash of the number: of the contents of the
// INTEGER, or of all of it, as RFC 9810 does not say which.
func witnessed(hash crypto.Hash, witness []byte, number *big.Int) bool {
	var b cryptobyte.Builder
	b.AddASN1BigInt(number)
	der, err := b.Bytes()
	if err != nil || len(der) > 127 || len(der) < 3 {
		return false
	}
	for _, octets := range [][]byte{der[2:], der} {
		h := hash.New()
		h.Write(octets)
		if subtle.ConstantTimeCompare(h.Sum(nil), witness) == 1 {
			return true
		}
	}
	return false
}
