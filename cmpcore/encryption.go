package cmpcore

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Encryption is the certificate, and its key, to which requesters encrypt what
// only the CA may read (caProtEncCert, RFC 9810 section 5.3.19.1).
type Encryption struct {
	Certificate []byte
	Chain       [][]byte // above it, where it is not the CA's
	Key         crypto.PrivateKey
	Algorithm   pkix.AlgorithmIdentifier // preferredSymmAlg (section 5.3.19.4); zero: not told
}

func (e *Encryption) check() error {
	c, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		return fmt.Errorf("encryption certificate: %w", err)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo))
	if err != nil {
		return fmt.Errorf("encryption certificate: %w", err)
	}
	if !alg.Opens(e.Key, pub) {
		return errors.New("encryption key: it does not belong to its certificate")
	}
	uses := alg.Uses(pub)
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
