package keyfile

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/scrypt"
)

func generate() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func TestVault(t *testing.T) {
	v, wrapped, err := NewVault(rand.Reader, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Seal(rand.Reader, "4711", []byte("SiemensIT"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("SiemensIT")) {
		t.Error("the secret is in the clear")
	}
	if again, _ := v.Seal(rand.Reader, "4711", []byte("SiemensIT")); bytes.Equal(again, sealed) {
		t.Error("two seals of one secret are equal")
	}
	v, err = OpenVault(wrapped, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := v.Open("4711", sealed); err != nil || string(plain) != "SiemensIT" {
		t.Errorf("opened: %q, %v", plain, err)
	}
	for _, context := range []string{"", "4712", "4711\x00"} {
		if _, err := v.Open(context, sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("context %q: %v", context, err)
		}
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 0x80
		if _, err := v.Open("4711", bad); !errors.Is(err, ErrSealed) {
			t.Errorf("octet %d changed: %v", i, err)
		}
		if _, err := v.Open("4711", sealed[:i]); !errors.Is(err, ErrSealed) {
			t.Errorf("cut off after %d octets: %v", i, err)
		}
	}
	if empty, err := v.Seal(rand.Reader, "", nil); err != nil {
		t.Error(err)
	} else if plain, err := v.Open("", empty); err != nil || len(plain) != 0 {
		t.Errorf("empty secret: %q, %v", plain, err)
	}
	if _, err := v.Seal(strings.NewReader("short"), "4711", nil); err == nil {
		t.Error("sealed without randomness")
	}

	other, _, err := NewVault(rand.Reader, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open("4711", sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("another vault: %v", err)
	}
	rewrapped, err := v.Wrap(rand.Reader, []byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if v, err = OpenVault(rewrapped, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if plain, err := v.Open("4711", sealed); err != nil || string(plain) != "SiemensIT" {
		t.Errorf("after a change of passphrase: %q, %v", plain, err)
	}
}

func TestOpenVaultRefuses(t *testing.T) {
	_, wrapped, err := NewVault(rand.Reader, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVault(wrapped, []byte("Passphrase")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := OpenVault(wrapped, nil); !errors.Is(err, ErrPassphrase) {
		t.Errorf("no passphrase: %v", err)
	}
	for _, i := range []int{1, 1 + saltSize, len(wrapped) - 1} {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1
		if _, err := OpenVault(bad, []byte("passphrase")); !errors.Is(err, ErrPassphrase) {
			t.Errorf("octet %d changed: %v", i, err)
		}
	}
	newer := bytes.Clone(wrapped)
	newer[0] = 2
	for _, bad := range [][]byte{nil, newer, wrapped[:len(wrapped)-1], append(bytes.Clone(wrapped), 0)} {
		if _, err := OpenVault(bad, []byte("passphrase")); err == nil || errors.Is(err, ErrPassphrase) {
			t.Errorf("%d octets: %v", len(bad), err)
		}
	}
	if _, _, err := NewVault(rand.Reader, nil); err == nil {
		t.Error("made with an empty passphrase")
	}
	if _, _, err := NewVault(strings.NewReader("short"), []byte("p")); err == nil {
		t.Error("made without randomness")
	}
}

// The layout on disk, read step by step.
func TestVaultLayout(t *testing.T) {
	v, wrapped, err := NewVault(rand.Reader, []byte("passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Seal(rand.Reader, "ref", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	gcm := func(key []byte) cipher.AEAD {
		b, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		a, err := cipher.NewGCM(b)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	kek, err := scrypt.Key([]byte("passphrase"), wrapped[1:17], 32768, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	key, err := gcm(kek).Open(nil, wrapped[17:29], wrapped[29:], []byte("cmp-batch vault key"))
	if err != nil || len(key) != 32 || wrapped[0] != 1 {
		t.Fatalf("wrapped: %v", err)
	}
	plain, err := gcm(key).Open(nil, sealed[1:13], sealed[13:], []byte("ref"))
	if err != nil || string(plain) != "secret" || sealed[0] != 1 {
		t.Errorf("sealed: %q, %v", plain, err)
	}
}

func TestVaultConcurrently(t *testing.T) {
	v, _, err := NewVault(rand.Reader, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				context := fmt.Sprint(i, j)
				s, err := v.Seal(rand.Reader, context, []byte(context))
				if err != nil {
					t.Error(err)
					return
				}
				if p, err := v.Open(context, s); err != nil || string(p) != context {
					t.Errorf("%s: %q, %v", context, p, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkVaultOpen(b *testing.B) {
	v, _, err := NewVault(rand.Reader, []byte("p"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := v.Seal(rand.Reader, "ref", []byte("a shared secret"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Open("ref", s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestVaultDerives(t *testing.T) {
	v, wrapped, err := NewVault(rand.Reader, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenVault(wrapped, []byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	a := v.Derive("a")
	// HKDF-Expand of one block: HMAC(key, label || 1), RFC 5869 section 2.3.
	h := hmac.New(sha256.New, v.key[:])
	h.Write([]byte("a\x01"))
	if !bytes.Equal(a, h.Sum(nil)) || !bytes.Equal(a, again.Derive("a")) {
		t.Error("not what RFC 5869 says, or not the same again")
	}
	if bytes.Equal(a, v.Derive("b")) {
		t.Error("two labels have the same octets")
	}
}
