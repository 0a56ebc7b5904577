package issuance

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"sync"
	"testing"

	"cmp-batch/cmpcore/alg"
)

// deafSigner signs nothing.
type deafSigner struct{ crypto.Signer }

func (deafSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("asked to sign")
}

// parts gives what of a certificate is signed, and the signature.
func parts(t *testing.T, der []byte) (tbs, sig []byte) {
	t.Helper()
	var c struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d octets left", err, len(rest))
	}
	return c.TBS.FullBytes, c.Signature.Bytes
}

// A rehearsal has the octets of the certificate and the kind of signature that
// the CA's is of, is not by the CA, and spends nothing.
func TestARehearsalIsTheCertificateButForTheSignature(t *testing.T) {
	for _, x := range []struct{ keyType, sigAlg string }{
		{"ecdsa-p256", ""}, {"ecdsa-p384", "ecdsa-sha512"}, {"ecdsa-p521", ""}, {"rsa-2048", ""}, {"rsa-3072", "rsa-pss-sha384"},
		{"ed25519", ""}, {"ed448", ""}, {"ml-dsa-44", ""}, {"mldsa44-ed25519-sha512", ""}, {"slh-dsa-sha2-128f", ""},
	} {
		t.Run(x.keyType, func(t *testing.T) {
			is := testCA(t, x.keyType, x.sigAlg)
			if err := is.CanRehearse(); err != nil {
				t.Fatal(err)
			}
			p := mustCompile(t, DefaultProfile())
			prep, err := p.Prepare(testRequest(t), is, testNow)
			if err != nil {
				t.Fatal(err)
			}
			serial, err := NewSerial(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			signer := is.signer
			is.signer = deafSigner{signer}
			trial, err := is.Rehearse(rand.Reader, prep, serial)
			if err != nil {
				t.Fatal(err)
			}
			again, err := is.Rehearse(rand.Reader, prep, serial)
			if err != nil {
				t.Fatal(err)
			}
			is.signer = signer
			cert, err := is.Issue(rand.Reader, prep, serial)
			if err != nil {
				t.Fatal(err)
			}
			if err := Check(trial); err != nil {
				t.Error(err)
			}
			tbs, sig := parts(t, cert)
			for _, der := range [][]byte{trial, again} {
				tbs2, sig2 := parts(t, der)
				if !bytes.Equal(tbs2, tbs) {
					t.Error("the octets that are signed differ")
				}
				if err := alg.Verify(is.sigAlg, is.public, tbs2, sig2, nil); err == nil {
					t.Error("the CA has signed it")
				}
				if err := alg.Verify(is.sigAlg, is.trial.key.Public(), tbs2, sig2, nil); err != nil {
					t.Errorf("the key for trial has not signed it: %v", err)
				}
			}
			if err := alg.Verify(is.sigAlg, is.public, tbs, sig, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRehearsalsAreOfOneCA(t *testing.T) {
	is, other := testCA(t, "ecdsa-p256", ""), testCA(t, "ecdsa-p256", "")
	prep, err := mustCompile(t, DefaultProfile()).Prepare(testRequest(t), is, testNow)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Rehearse(rand.Reader, prep, []byte{1}); !errors.Is(err, ErrOtherIssuer) {
		t.Errorf("%v", err)
	}
	if _, err := is.Rehearse(rand.Reader, nil, []byte{1}); !errors.Is(err, ErrOtherIssuer) {
		t.Errorf("%v", err)
	}
	if _, err := is.Rehearse(rand.Reader, prep, nil); err == nil {
		t.Error("without a serial number")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := is.Rehearse(rand.Reader, prep, []byte{1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// An RSA CA of any size has a key for trial, and so has one whose key is for
// RSASSA-PSS alone.
func TestWhatStandsInForRSA(t *testing.T) {
	for _, pub := range []crypto.PublicKey{
		testCA(t, "rsa-3072", "").public, &alg.PSSPublicKey{Key: testCA(t, "rsa-3072", "").public.(*rsa.PublicKey)},
	} {
		is := &Issuer{public: pub}
		if err := is.CanRehearse(); err != nil || is.standInType() != "rsa-2048" {
			t.Errorf("%T: %s, %v", pub, is.standInType(), err)
		}
	}
	if err := (&Issuer{public: "none"}).CanRehearse(); err == nil {
		t.Error("a key of no type")
	}
}
