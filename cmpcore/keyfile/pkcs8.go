package keyfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
)

// Errors of reading a key that a person can mend.
var (
	ErrPassphrase       = errors.New("wrong passphrase")
	ErrPassphraseNeeded = errors.New("private key is encrypted: its passphrase is needed")
	ErrNoKey            = errors.New("no private key found: a PKCS#8 key in PEM is needed")
)

// PEM block types.
const (
	typeEncrypted   = "ENCRYPTED PRIVATE KEY"
	typePlain       = "PRIVATE KEY"
	typeRSA         = "RSA PRIVATE KEY"
	typeEC          = "EC PRIVATE KEY"
	typeCertificate = "CERTIFICATE"
)

// MaxKeySize bounds a key file in octets; an RSA key of 16384 bits has 13 kB.
const MaxKeySize = 64 << 10

// EncryptPKCS8 gives the key, of any kind that alg.MarshalPrivateKey knows, as
// PEM, encrypted under the passphrase with PBES2: PBKDF2 with HMAC-SHA256 and
// [Iterations], AES-256 in CBC mode.
func EncryptPKCS8(rand io.Reader, key crypto.PrivateKey, passphrase []byte) ([]byte, error) {
	der, err := alg.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write private key: %w", err)
	}
	defer clear(der)
	return EncryptDER(rand, der, passphrase)
}

// EncryptDER is [EncryptPKCS8] for a key that is a PrivateKeyInfo already.
func EncryptDER(rand io.Reader, pkcs8, passphrase []byte) ([]byte, error) {
	der, err := encryptPBES2(rand, pkcs8, passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: typeEncrypted, Bytes: der}), nil
}

// ParsePKCS8 reads a key that can sign. The input is PEM or DER: encrypted or
// plain PKCS#8, or a plain key in the older forms of RSA and EC. Other PEM
// blocks, such as certificates, are passed over; a second key is an error. The
// passphrase is not used for a plain key. Errors may wrap [ErrPassphrase],
// [ErrPassphraseNeeded] or [ErrNoKey].
func ParsePKCS8(data, passphrase []byte) (crypto.Signer, error) {
	k, err := ParsePrivateKey(data, passphrase)
	if err != nil {
		return nil, err
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("private key of type %T cannot sign", k)
	}
	return s, nil
}

// ParsePrivateKey is [ParsePKCS8] for any key that alg.ParsePrivateKey reads,
// among them those that cannot sign.
func ParsePrivateKey(data, passphrase []byte) (crypto.PrivateKey, error) {
	kind, der, err := DecryptDER(data, passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(der)
	var k any
	switch kind {
	case typeRSA:
		k, err = x509.ParsePKCS1PrivateKey(der)
	case typeEC:
		k, err = x509.ParseECPrivateKey(der)
	default:
		k, err = alg.ParsePrivateKey(der)
	}
	if err != nil {
		return nil, fmt.Errorf("read private key: %w", err)
	}
	return k, nil
}

// DecryptDER finds the one private key in PEM or DER and gives its DER in the
// clear, with the PEM type that says what it is: "PRIVATE KEY" is a
// PrivateKeyInfo. It is for kinds of key that [ParsePrivateKey] does not know.
func DecryptDER(data, passphrase []byte) (kind string, der []byte, err error) {
	if len(data) > MaxKeySize {
		return "", nil, fmt.Errorf("private key file has %d octets, more than %d", len(data), MaxKeySize)
	}
	kind, der, err = findKey(data)
	if err != nil {
		return "", nil, err
	}
	if kind != typeEncrypted {
		return kind, bytes.Clone(der), nil
	}
	if len(passphrase) == 0 {
		return "", nil, ErrPassphraseNeeded
	}
	if der, err = decryptPBES2(der, passphrase); err != nil {
		return "", nil, fmt.Errorf("decrypt private key: %w", err)
	}
	return typePlain, der, nil
}

func findKey(data []byte) (kind string, der []byte, err error) {
	if len(data) > 0 && data[0] == 0x30 {
		if isEncrypted(data) {
			return typeEncrypted, data, nil
		}
		return typePlain, data, nil
	}
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch b.Type {
		case typeEncrypted, typePlain, typeRSA, typeEC:
			if kind != "" {
				return "", nil, errors.New("more than one private key found: keep one in a file")
			}
			if b.Headers["DEK-Info"] != "" {
				return "", nil, errors.New(`private key is encrypted in the old way of OpenSSL: convert it with "openssl pkcs8 -topk8"`)
			}
			kind, der = b.Type, b.Bytes
		}
	}
	if kind == "" {
		if bytes.Contains(data, []byte("-----BEGIN")) {
			return "", nil, fmt.Errorf("damaged PEM: %w", ErrNoKey)
		}
		return "", nil, ErrNoKey
	}
	return kind, der, nil
}

// MarshalPKCS8 gives the PEM of a private key that is not encrypted (RFC 5958),
// for those who keep keys safe by other means.
func MarshalPKCS8(key crypto.PrivateKey) ([]byte, error) {
	der, err := alg.MarshalPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	defer clear(der)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
