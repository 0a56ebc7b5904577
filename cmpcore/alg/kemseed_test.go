package alg

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"testing"
)

func TestEncapsulateFrom(t *testing.T) {
	keys := map[string]crypto.PrivateKey{}
	for _, kt := range []string{"ml-kem-512", "ml-kem-768", "ml-kem-1024"} {
		k, err := GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			t.Fatal(err)
		}
		keys[kt] = k
	}
	r, err := GenerateKey(rand.Reader, "rsa-2048")
	if err != nil {
		t.Fatal(err)
	}
	keys["rsa"] = r
	for name, k := range keys {
		pub := k.(interface{ Public() crypto.PublicKey }).Public()
		kem, ct, secret, err := EncapsulateFrom([32]byte{1}, pub)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := Decapsulate(rand.Reader, k, kem, ct); err != nil || !bytes.Equal(got, secret) {
			t.Errorf("%s: the key opens something else: %v", name, err)
		}
		_, ct2, secret2, _ := EncapsulateFrom([32]byte{1}, pub)
		if !bytes.Equal(ct, ct2) || !bytes.Equal(secret, secret2) {
			t.Errorf("%s: the same seed gives another ciphertext", name)
		}
		_, ct3, secret3, _ := EncapsulateFrom([32]byte{2}, pub)
		if bytes.Equal(ct, ct3) || bytes.Equal(secret, secret3) {
			t.Errorf("%s: another seed gives the same ciphertext", name)
		}
	}
	ed, err := GenerateKey(rand.Reader, "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := EncapsulateFrom([32]byte{}, ed.Public()); err == nil {
		t.Error("a key of no KEM encapsulates")
	}
}
