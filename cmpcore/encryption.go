package cmpcore

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/pkix"
)

// Encryption is the certificate, and its key, to which requesters encrypt what
// only the CA may read (caProtEncCert, RFC 9810 section 5.3.19.1).
type Encryption struct {
	Certificate []byte
	Chain       [][]byte // above it, where it is not the CA's
	Key         crypto.PrivateKey
	Algorithm   pkix.AlgorithmIdentifier // preferredSymmAlg (section 5.3.19.4); zero: not told

	// Values says whether private keys and passphrases may come as EncryptedValue, the deprecated
	// form at pvno 2 (RFC 4211 section 2.1). Only RSA keys open it.
	Values cms.ValuePolicy

	// Former are those that this one has replaced. They open what was archived
	// under them, and what was on its way when they were replaced.
	Former []FormerEncryption
}

// FormerEncryption is a certificate and key to which nothing new is encrypted.
type FormerEncryption struct {
	Certificate []byte
	Key         crypto.PrivateKey
}

func (e *Encryption) check() error {
	c, pub, err := checkPair(e.Certificate, e.Key)
	if err != nil {
		return fmt.Errorf("encryption %w", err)
	}
	for i, f := range e.Former {
		if _, _, err := checkPair(f.Certificate, f.Key); err != nil {
			return fmt.Errorf("former encryption %d: %w", i, err)
		}
	}
	uses := alg.Uses(pub)
	if e.Values != cms.ValuesRefused && uses&alg.UseEncipher == 0 {
		return errors.New("encryption certificate: EncryptedValue is encrypted to RSA keys alone, and this one is none")
	}
	need, word := x509.KeyUsageKeyEncipherment, "keyEncipherment"
	switch {
	case uses&(alg.UseEncipher|alg.UseEncapsulate) != 0:
	case uses&alg.UseAgree != 0:
		need, word = x509.KeyUsageKeyAgreement, "keyAgreement"
	default:
		return errors.New("encryption certificate: nothing can be encrypted to a key of this type; take RSA, EC, X25519, X448 or ML-KEM")
	}
	if c.KeyUsage != 0 && c.KeyUsage&need == 0 {
		return fmt.Errorf("encryption certificate %q: key usage lacks %s", c.Subject, word)
	}
	return nil
}

// checkPair wants the certificate of a key.
func checkPair(certificate []byte, key crypto.PrivateKey) (*x509.Certificate, crypto.PublicKey, error) {
	c, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, nil, fmt.Errorf("certificate: %w", err)
	}
	if !alg.Opens(key, pub) {
		return nil, nil, errors.New("key: it does not belong to its certificate")
	}
	return c, pub, nil
}

// keys are all that may open what was encrypted to us, the present one first.
func (e *Encryption) keys() []cms.Key {
	list := []cms.Key{{Private: e.Key, Certificate: e.Certificate}}
	for _, f := range e.Former {
		list = append(list, cms.Key{Private: f.Key, Certificate: f.Certificate})
	}
	return list
}

// ArchiveRecipient names the key that an archived key is encrypted to: its
// identifier in hex or, where its certificate had none, number and issuer of that.
func ArchiveRecipient(k *ArchivedKey) (string, error) {
	e, err := cms.ParseEnvelopedData(k.Envelope)
	if err != nil {
		return "", err
	}
	list := e.Recipients()
	switch id := list[0].ID; {
	case len(list) != 1:
		return "", fmt.Errorf("%d recipients, not one", len(list))
	case id.KeyID != nil:
		return hex.EncodeToString(id.KeyID), nil
	case id.Serial != nil:
		return fmt.Sprintf("serial:%x of %s", id.Serial, id.Issuer), nil
	}
	return "", errors.New("no recipient with a name")
}

// Opens tells why an archived key could not be given back to its holder.
func (e *Encryption) Opens(rand io.Reader, k *ArchivedKey) error {
	u, err := e.unwrap(rand, k.Envelope)
	if err != nil {
		return err
	}
	u.clear()
	return nil
}

type unwrapped struct{ *cms.Unwrapped }

func (u unwrapped) clear() {
	for _, k := range u.Keys {
		k.Clear()
	}
}

// unwrap opens a key of the archive by whichever of our keys it is for. Where
// none of their certificates is named, they are tried all the same: a
// certificate without a key identifier may have been renewed for its key.
func (e *Encryption) unwrap(rand io.Reader, envelope []byte) (unwrapped, error) {
	err := cms.ErrNoRecipient
	for _, named := range []bool{true, false} {
		for _, key := range e.keys() {
			if !named {
				key.Certificate = nil
			}
			u, e := cms.UnwrapPrivateKey(rand, envelope, &key, nil)
			if e == nil {
				return unwrapped{u}, nil
			}
			if errors.Is(err, cms.ErrNoRecipient) {
				err = e
			}
		}
		if !errors.Is(err, cms.ErrNoRecipient) {
			break
		}
	}
	return unwrapped{}, err
}
