package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/scrypt"
)

// Vault seals small secrets under a random data key, which itself rests wrapped
// under a passphrase. It may be used concurrently. Nonces are random, so one
// vault is good for some 2^32 seals.
//
// Wrapped and sealed data start with a version octet. Version 1 is:
//
//	wrapped: 1, salt[16], nonce[12], AES-256-GCM of the data key with scrypt(passphrase, salt)
//	sealed:  1, nonce[12], AES-256-GCM of the secret with the data key
type Vault struct {
	key  [32]byte
	aead cipher.AEAD
}

const (
	vaultVersion = 1
	saltSize     = 16
	nonceSize    = 12
	tagSize      = 16

	// 32 MiB and about 100 ms.
	scryptN = 1 << 15
	scryptR = 8
	scryptP = 1

	wrappedSize = 1 + saltSize + nonceSize + 32 + tagSize
)

// wrapContext keeps a wrapped key from passing for a sealed secret.
const wrapContext = "cmp-batch vault key"

// ErrSealed is a sealed secret that does not open: it was changed, or belongs
// to another context or another vault.
var ErrSealed = errors.New("sealed secret does not open: it was changed, or belongs to another entry or vault")

// NewVault makes a vault and its wrapped key, which is to be kept.
func NewVault(rand io.Reader, passphrase []byte) (v *Vault, wrapped []byte, err error) {
	v = &Vault{}
	if _, err := io.ReadFull(rand, v.key[:]); err != nil {
		return nil, nil, fmt.Errorf("new vault: %w", err)
	}
	if v.aead, err = newGCM(v.key[:]); err != nil {
		return nil, nil, fmt.Errorf("new vault: %w", err)
	}
	if wrapped, err = v.Wrap(rand, passphrase); err != nil {
		return nil, nil, err
	}
	return v, wrapped, nil
}

// Wrap gives the vault's key wrapped under a passphrase: a change of
// passphrase, after which the old wrapped key is to be destroyed.
func (v *Vault) Wrap(rand io.Reader, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("wrap vault: the passphrase is empty")
	}
	out := make([]byte, 1+saltSize+nonceSize, wrappedSize)
	out[0] = vaultVersion
	if _, err := io.ReadFull(rand, out[1:]); err != nil {
		return nil, fmt.Errorf("wrap vault: %w", err)
	}
	a, err := wrapper(out[1:1+saltSize], passphrase)
	if err != nil {
		return nil, fmt.Errorf("wrap vault: %w", err)
	}
	return a.Seal(out, out[1+saltSize:], v.key[:], []byte(wrapContext)), nil
}

// OpenVault opens a vault with its wrapped key. The error wraps [ErrPassphrase]
// where the passphrase is wrong or the wrapped key was changed.
func OpenVault(wrapped, passphrase []byte) (*Vault, error) {
	if len(wrapped) == 0 || wrapped[0] != vaultVersion {
		return nil, errors.New("open vault: the wrapped key is not of version 1")
	}
	if len(wrapped) != wrappedSize {
		return nil, fmt.Errorf("open vault: the wrapped key has %d octets, not %d", len(wrapped), wrappedSize)
	}
	a, err := wrapper(wrapped[1:1+saltSize], passphrase)
	if err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := &Vault{}
	nonce, box := wrapped[1+saltSize:1+saltSize+nonceSize], wrapped[1+saltSize+nonceSize:]
	if _, err := a.Open(v.key[:0], nonce, box, []byte(wrapContext)); err != nil {
		return nil, fmt.Errorf("open vault: %w", ErrPassphrase)
	}
	if v.aead, err = newGCM(v.key[:]); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	return v, nil
}

// Seal encrypts a secret. It opens under the same context alone, such as the
// secret's reference, so that entries cannot be swapped at rest.
func (v *Vault) Seal(rand io.Reader, context string, plain []byte) ([]byte, error) {
	out := make([]byte, 1+nonceSize, 1+nonceSize+len(plain)+tagSize)
	out[0] = vaultVersion
	if _, err := io.ReadFull(rand, out[1:]); err != nil {
		return nil, fmt.Errorf("seal secret: %w", err)
	}
	return v.aead.Seal(out, out[1:], plain, []byte(context)), nil
}

// Open decrypts what [Vault.Seal] made under the same context. The error wraps
// [ErrSealed].
func (v *Vault) Open(context string, sealed []byte) ([]byte, error) {
	if len(sealed) < 1+nonceSize+tagSize || sealed[0] != vaultVersion {
		return nil, fmt.Errorf("%d octets are not a sealed secret of version 1: %w", len(sealed), ErrSealed)
	}
	plain, err := v.aead.Open(nil, sealed[1:1+nonceSize], sealed[1+nonceSize:], []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Derive gives 32 octets that follow from the vault's key and the label, and
// are the same each time (HKDF-Expand, RFC 5869).
func (v *Vault) Derive(label string) []byte {
	b, err := hkdf.Expand(sha256.New, v.key[:], label, 32)
	if err != nil {
		panic(err) // of a length that is constant
	}
	return b
}

func wrapper(salt, passphrase []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase, salt, scryptN, scryptR, scryptP, 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newGCM(key)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	b, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(b)
}
