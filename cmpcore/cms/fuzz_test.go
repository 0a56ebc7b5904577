package cms

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"

	"cmp-batch/cmpcore/alg"
)

// envelopes gives one of each kind, of our own making and of the RFCs.
func envelopes(t testing.TB) (plain, authenticated [][]byte) {
	to := []*Recipient{must[*Recipient](t)(ForPassword([]byte("secret"), &PasswordOptions{Iterations: 1000}))}
	for _, n := range recipientNames {
		to = append(to, forParty(t, n, nil))
	}
	for _, r := range to {
		plain = append(plain, must[[]byte](t)(Encrypt(rand.Reader, []*Recipient{r}, OIDData, testContent, nil)))
	}
	plain = append(plain, must[[]byte](t)(Encrypt(rand.Reader, to, OIDSignedData, testContent, nil)),
		contentOf(t, readPEM(t, "rfc9690-rsa-kem.cms.pem"), OIDEnvelopedData))
	authenticated = append(authenticated, must[[]byte](t)(EncryptAuthenticated(rand.Reader, to[:3], OIDKeyPackage, testContent, nil)),
		contentOf(t, readPEM(t, "rfc9936-ml-kem-512.cms.pem"), OIDAuthEnvelopedData))
	return plain, authenticated
}

func fuzzEnvelope(f *testing.F, seeds [][]byte, parse func([]byte) (*Envelope, error)) {
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range seeds {
		f.Add(s)
	}
	var keys []*Key
	for _, n := range []string{"rsa", "p256", "x25519", "x448", "ml-kem-512", "ml-kem-768"} {
		keys = append(keys, &Key{Private: everybody(f)[n].key, Password: []byte("secret")})
	}
	// The keys above are others in each process; these open what is a seed.
	kem := must[crypto.PrivateKey](f)(alg.ParsePrivateKey(readPEM(f, "rfc9936-ml-kem-512.priv.pem")))
	rsaKEM := must[*rsa.PrivateKey](f)(x509.ParsePKCS1PrivateKey(readPEM(f, "rfc9690-rsa-kem.priv.pem")))
	keys = append(keys, &Key{Private: kem}, &Key{Private: rsaKEM})
	// What passwords may cost is bounded; here by very little.
	policy := &Policy{MaxIterations: 2000, AllowPKCS1v15: true}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parse(b)
		if err == nil && e == nil {
			t.Fatal("neither a result nor an error")
		}
		if err != nil {
			return
		}
		if n := len(e.Recipients()); n < 1 || n > MaxRecipients {
			t.Fatalf("%d recipients", n)
		}
		for _, k := range keys {
			if content, err := e.Decrypt(rand.Reader, k, policy); err != nil && content != nil {
				t.Fatal("content besides an error")
			}
		}
	})
}

func FuzzParseEnvelopedData(f *testing.F) {
	seeds, _ := envelopes(f)
	fuzzEnvelope(f, seeds, ParseEnvelopedData)
}

func FuzzParseAuthEnvelopedData(f *testing.F) {
	_, seeds := envelopes(f)
	fuzzEnvelope(f, seeds, ParseAuthEnvelopedData)
}

func FuzzParseSignedData(f *testing.F) {
	all := everybody(f)
	for _, n := range []string{"rsa", "rsa no ski", "p256", "ed25519"} {
		f.Add(must[[]byte](f)(Sign(rand.Reader, kga(all[n]), OIDKeyPackage, testContent, testNow)))
	}
	known := [][]byte{all["p256"].cert}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSignedData(b)
		if err != nil {
			return
		}
		content, by, err := s.Verify(known, &VerifyPolicy{AllowNoAttributes: true})
		if err != nil && (content != nil || by != nil) || err == nil && len(by) == 0 {
			t.Fatalf("%v with %d signatures", err, len(by))
		}
	})
}

func FuzzParseKeyPackage(f *testing.F) {
	for _, n := range []string{"ed25519", "ecdsa-p256", "ml-dsa-44"} {
		k := must[*OneAsymmetricKey](f)(NewOneAsymmetricKey(must[crypto.Signer](f)(alg.GenerateKey(rand.Reader, n))))
		f.Add(must[[]byte](f)(MarshalKeyPackage(k)))
		f.Add(must[[]byte](f)(MarshalKeyPackage(k, k)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := ParseKeyPackage(b)
		if err != nil {
			return
		}
		again, err := MarshalKeyPackage(keys...)
		// Version 2 may go without a public key.
		if err != nil || len(again) == len(b) && !bytes.Equal(bytes.ReplaceAll(again, []byte{2, 1, 1}, []byte{2, 1, 0}), bytes.ReplaceAll(b, []byte{2, 1, 1}, []byte{2, 1, 0})) || len(again) != len(b) {
			t.Fatalf("%v: %x became %x", err, b, again)
		}
		for _, k := range keys {
			k.Parse()
		}
	})
}

func FuzzParseContentInfo(f *testing.F) {
	f.Add(readPEM(f, "rfc9936-ml-kem-512.cms.pem"))
	f.Add(readPEM(f, "rfc9690-rsa-kem.cms.pem"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseContentInfo(b)
		if err != nil {
			return
		}
		if again, err := c.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v: %x became %x", err, b, again)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	for _, p := range everybody(f) {
		f.Add(p.cert)
	}
	f.Add(readPEM(f, "rfc9936-ml-kem-512.cert.pem"))
	f.Fuzz(func(t *testing.T, b []byte) {
		CertificateID(b)
		IssuerAndSerial(b)
		ForCertificate(b, nil)
	})
}
