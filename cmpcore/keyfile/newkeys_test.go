package keyfile

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"testing"

	"cmp-batch/cmpcore/alg"
)

// Keys that the standard library does not know rest as the others do, and work
// after what they were read from is cleared.
func TestKeysOfPackageAlg(t *testing.T) {
	pass := []byte("a passphrase")
	for _, kt := range []string{"ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "slh-dsa-sha2-128f", "mldsa44-ecdsa-p256-sha256", "mldsa44-rsa2048-pss-sha256", "mldsa87-ed448-shake256"} {
		t.Run(kt, func(t *testing.T) {
			k, err := alg.GenerateKey(rand.Reader, kt)
			if err != nil {
				t.Fatal(err)
			}
			sealed, err := EncryptPKCS8(rand.Reader, k, pass)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParsePKCS8(sealed, nil); !errors.Is(err, ErrPassphraseNeeded) {
				t.Errorf("without passphrase: %v", err)
			}
			back, err := ParsePKCS8(sealed, pass)
			if err != nil {
				t.Fatal(err)
			}
			checkPair(t, back, k.Public())
			open, err := MarshalPKCS8(k)
			if err != nil {
				t.Fatal(err)
			}
			if back, err = ParsePKCS8(open, nil); err != nil {
				t.Fatal(err)
			}
			checkPair(t, back, k.Public())
		})
	}
	for _, kt := range alg.EncryptionKeyTypes() {
		k, err := alg.GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := EncryptPKCS8(rand.Reader, k, pass)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParsePrivateKey(sealed, pass)
		if err != nil || !k.(interface{ Equal(crypto.PrivateKey) bool }).Equal(back) {
			t.Errorf("%s: another key, %v", kt, err)
		}
		open, err := MarshalPKCS8(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePKCS8(open, nil); err == nil {
			t.Errorf("%s: a key that cannot sign is read as one that can", kt)
		}
	}
	if _, err := EncryptPKCS8(rand.Reader, "no key", pass); !errors.Is(err, alg.ErrUnsupported) {
		t.Errorf("no key: %v", err)
	}
}

func checkPair(t *testing.T, k crypto.Signer, pub crypto.PublicKey) {
	t.Helper()
	want, err := alg.MarshalPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := alg.MarshalPublicKey(k.Public()); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("another public key, %v", err)
	}
	a, err := alg.SignatureFor(pub, "")
	if err != nil {
		t.Fatal(err)
	}
	sig, err := alg.Sign(rand.Reader, k, a, []byte("m"))
	if err == nil {
		err = alg.Verify(a, pub, []byte("m"), sig, nil)
	}
	if err != nil {
		t.Error(err)
	}
}
