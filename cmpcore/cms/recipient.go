package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Technique is one of the key management techniques of RFC 5652 section 6.2.
type Technique uint8

// The techniques that are known.
const (
	KeyTransport     Technique = iota + 1 // ktri: RSA
	KeyAgreement                          // kari: EC, X25519, X448
	KeyEncapsulation                      // ori of RFC 9629: ML-KEM, RSA-KEM
	Password                              // pwri
	Unknown                               // another, or another version of one
)

// String is the name in RFC 5652 or RFC 9629.
func (t Technique) String() string {
	switch t {
	case KeyTransport:
		return "ktri"
	case KeyAgreement:
		return "kari"
	case KeyEncapsulation:
		return "kemri"
	case Password:
		return "pwri"
	}
	return "unknown"
}

// Recipient is somebody to encrypt for. It may be used again and concurrently.
type Recipient struct {
	technique Technique
	// version is that of the EnvelopedData that it makes (RFC 5652 section
	// 6.1).
	version int
	// make gives a RecipientInfo with the content encryption key.
	make func(rand io.Reader, cek []byte) ([]byte, error)
}

// Technique tells how the recipient gets the key.
func (r *Recipient) Technique() Technique { return r.technique }

// RecipientOptions are choices for [ForCertificate] and [ForKey]. nil and zero
// fields stand for the defaults.
type RecipientOptions struct {
	// ID names the recipient; by default [CertificateID] does. [ForKey] needs
	// one.
	ID Identifier
	// Hash is that of RSAES-OAEP and its mask, SHA-256 by default, or that of
	// the key derivation of KeyAgreement: by default SHA-256 for P-256 and
	// X25519, SHA-384 for P-384, SHA-512 for P-521 and X448.
	Hash crypto.Hash
	// WrapKeySize is that of AES key wrap in octets: 16, 24 or 32. The default
	// is 32, but 16 for ML-KEM-512 (RFC 9936 section 2.1) and RSA-KEM (RFC 9690
	// section 2.1).
	WrapKeySize int
	// RSAKEM takes RSA-KEM (RFC 9690) for RSA keys, not RSAES-OAEP. For those
	// that are for RSA-KEM alone it is taken anyway.
	RSAKEM bool
}

// ForCertificate encrypts to the key of a certificate by the technique that the
// key is for (RFC 9810 section 5.2.2). A keyUsage of the certificate must allow
// it: keyEncipherment for RSA and KEM keys, keyAgreement for the others.
func ForCertificate(cert []byte, o *RecipientOptions) (*Recipient, error) {
	c, err := parseCertificate(cert)
	if err != nil {
		return nil, err
	}
	pub, err := c.key()
	if err != nil {
		return nil, at("certificate", err)
	}
	var q RecipientOptions
	if o != nil {
		q = *o
	}
	if q.ID.isZero() {
		q.ID = c.id()
	}
	r, err := ForKey(pub, &q)
	if err != nil {
		return nil, err
	}
	need := pkix.KeyEncipherment
	if r.technique == KeyAgreement {
		need = pkix.KeyAgreement
	}
	if !c.allows(need) {
		return nil, fmt.Errorf("keyUsage of the certificate is without %s: %w", need, alg.ErrMismatch)
	}
	return r, nil
}

// ForKey encrypts to a key for which there is no certificate, or none that may
// be seen: one that is itself to be encrypted (RFC 9810 section 5.2.8.3.2).
func ForKey(pub crypto.PublicKey, o *RecipientOptions) (*Recipient, error) {
	var q RecipientOptions
	if o != nil {
		q = *o
	}
	if q.ID.isZero() || q.ID.KeyID != nil && len(q.ID.KeyID) == 0 {
		return nil, errors.New("recipient without an identifier: give one in the options")
	}
	if q.Hash == crypto.SHA1 {
		return nil, forbidden("recipient with SHA-1")
	}
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if q.RSAKEM {
			return encapsulationTo(k, q)
		}
		return transportTo(k, q)
	case *ecdsa.PublicKey:
		e, err := k.ECDH()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", alg.ErrKey, err)
		}
		return agreementTo(e, q)
	case *ecdh.PublicKey, alg.X448PublicKey:
		return agreementTo(k, q)
	}
	if alg.Uses(pub)&alg.UseEncapsulate != 0 {
		return encapsulationTo(pub, q)
	}
	return nil, fmt.Errorf("encryption to a key of type %q: %w", alg.KeyType(pub), alg.ErrMismatch)
}
