package client_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	cpkix "cmp-batch/cmpcore/pkix"
)

func TestChallengesOfTheCA(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	number := big.NewInt(0x0123456789abcdef)
	ca := cpkix.NewDirectoryName(dn(t, "CN=Issuing CA"))
	plain := func(n *big.Int, sender []byte) []byte {
		der, err := asn1.Marshal(struct {
			Int    *big.Int
			Sender asn1.RawValue
		}{n, asn1.RawValue{FullBytes: sender}})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	hash := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	whole, err := asn1.Marshal(number)
	if err != nil {
		t.Fatal(err)
	}
	old := func(content []byte) cmp.Challenge {
		//lint:ignore SA1019 the form of version 2 has no other padding in its implementations
		c, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, content)
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Challenge{OWF: alg.HashAlgorithm(crypto.SHA256), Witness: hash(number.Bytes()), Challenge: c}
	}
	enveloped := func(content []byte) cmp.Challenge {
		to, err := cms.ForKey(&key.PublicKey, &cms.RecipientOptions{ID: cms.Identifier{Issuer: cpkix.EmptyName, Serial: big.NewInt(0)}})
		if err != nil {
			t.Fatal(err)
		}
		der, err := cms.Encrypt(rand.Reader, []*cms.Recipient{to}, cms.OIDData, content, nil)
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Challenge{OWF: alg.HashAlgorithm(crypto.SHA256), Witness: hash(number.Bytes()), Challenge: []byte{}, EncryptedRand: der}
	}
	good := plain(number, ca)
	with := func(c cmp.Challenge, change func(*cmp.Challenge)) cmp.Challenge { change(&c); return c }
	for name, tt := range map[string]struct {
		challenges []cmp.Challenge
		good       bool
	}{
		"EnvelopedData":              {[]cmp.Challenge{enveloped(good)}, true},
		"the old form":               {[]cmp.Challenge{old(good)}, true},
		"a witness of all octets":    {[]cmp.Challenge{with(old(good), func(c *cmp.Challenge) { c.Witness = hash(whole) })}, true},
		"no challenge":               {nil, false},
		"two for one key":            {[]cmp.Challenge{old(good), old(good)}, false},
		"of another sender":          {[]cmp.Challenge{old(plain(number, cpkix.NewDirectoryName(dn(t, "CN=Other"))))}, false},
		"another witness":            {[]cmp.Challenge{with(enveloped(good), func(c *cmp.Challenge) { c.Witness = hash([]byte("x")) })}, false},
		"no witness":                 {[]cmp.Challenge{with(enveloped(good), func(c *cmp.Challenge) { c.Witness = nil })}, false},
		"no one-way function":        {[]cmp.Challenge{with(enveloped(good), func(c *cmp.Challenge) { c.OWF = cpkix.AlgorithmIdentifier{} })}, false},
		"something else to decrypt":  {[]cmp.Challenge{old([]byte("a session key of another"))}, false},
		"a negative number":          {[]cmp.Challenge{old(plain(new(big.Int).Neg(number), ca))}, false},
		"damaged":                    {[]cmp.Challenge{with(old(good), func(c *cmp.Challenge) { c.Challenge[9] ^= 1 })}, false},
		"not even of the right size": {[]cmp.Challenge{with(old(good), func(c *cmp.Challenge) { c.Challenge = c.Challenge[1:] })}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := withSecret(secret)
			spki, err := alg.MarshalPublicKey(&key.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			s, req, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c,
				Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), PublicKey: spki, POP: client.POPChallenge}}})
			if err != nil {
				t.Fatal(err)
			}
			answer := reply{body: body(&cmp.POPODecKeyChallenge{Challenges: tt.challenges})}
			if len(tt.challenges) == 0 {
				answer.body = body(&cmp.PKIConf{}) // an empty popdecc is no message
			}
			der, before := answer.to(t, req), snapshot(t, s)
			if _, err := s.Accept(der, c); err == nil || tt.good && !errors.Is(err, client.ErrCredentials) || snapshot(t, s) != before {
				t.Fatalf("without the key: %v", err)
			}
			c.RequestedKeys = []crypto.PrivateKey{key}
			r, err := s.Accept(der, c)
			if !tt.good {
				if err == nil || snapshot(t, s) != before {
					t.Errorf("answered: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b, ok := parse(t, r.Next).Body.(*cmp.POPODecKeyResponse)
			if !ok || len(b.Responses) != 1 || b.Responses[0].Cmp(number) != 0 || s.Step != client.StepProof {
				t.Errorf("%+v at step %s", b, s.Step)
			}
			// A second challenge is none.
			again := reply{body: answer.body}.to(t, r.Next)
			if _, err := s.Accept(again, c); !errors.Is(err, client.ErrBody) {
				t.Errorf("a second challenge: %v", err)
			}
		})
	}
	// Who did not ask for a challenge decrypts nothing.
	s, req, _ := asked(t, newPKI(t), withSecret(secret), nil)
	c := withSecret(secret)
	c.RequestedKeys = []crypto.PrivateKey{key}
	if _, err := s.Accept(reply{body: body(&cmp.POPODecKeyChallenge{Challenges: []cmp.Challenge{old(good)}})}.to(t, req), c); !errors.Is(err, client.ErrBody) {
		t.Errorf("an unasked challenge: %v", err)
	}
}
