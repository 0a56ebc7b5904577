package client

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Credentials are what a step needs and a session must not keep: how our
// messages are protected, whose answers are believed, the time, and random
// octets. One of Secret, Agreement, KEMKey and Key is set; of several, the first of these
// protects.
type Credentials struct {
	// Secret is the shared secret, Reference its name: the senderKID.
	Secret    []byte
	Reference []byte
	MAC       MAC

	// Key signs, Certificate (DER) is its certificate, and Chain are the
	// certificates above it, which go into extraCerts with it. Signature is a
	// name of alg.SignatureNames; empty is the key's default.
	Key         crypto.Signer
	Certificate []byte
	Chain       [][]byte
	Signature   string

	// Agreement, if set, protects by a MAC under a Diffie-Hellman secret instead
	// of Key, whose Certificate it has in its place.
	Agreement *Agreement

	// KEMKey, if set, is the key of a KEM, ML-KEM or RSA, whose Certificate it
	// has, and protects by a MAC under it instead of Key. The CA must give a
	// ciphertext first: a genm that asks for kemCiphertextInfo alone is sent
	// without protection, and Options.After continues its transaction.
	KEMKey crypto.PrivateKey

	Trust Trust

	// RequestedKeys are the private keys, of types of package alg, of the
	// certificates that were asked for under [POPEncrCert] or [POPChallenge]: they open what
	// comes encrypted to them.
	RequestedKeys []crypto.PrivateKey
	// EncrKey is the private half of Options.EncrKey, an RSA, EC, X25519, X448 or
	// ML-KEM key as package alg has it. Private keys must then come to it. A
	// request does without.
	EncrKey crypto.PrivateKey
	// OldEncryption says whether certificates and private keys may come as
	// EncryptedValue, the form of PVNO 2 that EnvelopedData has replaced: encrypted
	// to an RSA key. Nobody signs private keys in it, so that the protection of the
	// message is all that vouches for them. By default none may.
	OldEncryption cms.ValuePolicy
	// Decrypt, where it is set, opens a certificate that came encrypted instead.
	// It returns the certificate's DER.
	Decrypt func(*crmf.EncryptedKey) ([]byte, error)

	Now  time.Time
	Rand io.Reader
}

// Agreement is our half of a MAC by Diffie-Hellman, and the CA's (RFC 9810
// section 5.1.3.2). The CA answers in kind.
type Agreement struct {
	Key crypto.PrivateKey // of Credentials.Certificate: EC, X25519 or X448
	// Peer (DER) is the CA's certificate for key agreement. That it is the CA's
	// is taken on the caller's word, as that of a trust anchor is.
	Peer []byte
	MAC  MAC // Hash and HMAC alone count; the default is SHA-256 and HMAC-SHA256
}

// MAC says how a shared secret protects. The zero value is PBM with SHA-256,
// HMAC-SHA256 and 10,000 iterations. Hashes are named as alg.HashByName does;
// HMAC may also be "kmac128" or "kmac256" (RFC 9481 section 6.2.2).
type MAC struct {
	PBMAC1     bool   `json:"pbmac1,omitempty"` // instead of PBM
	Hash       string `json:"hash,omitempty"`   // one-way function of PBM, PRF of PBMAC1
	HMAC       string `json:"hmac,omitempty"`
	Iterations int    `json:"iterations,omitempty"`
}

// Trust says whose answers are believed.
type Trust struct {
	// Anchors (DER) are CAs whose word is taken for the signer of an answer.
	// Untrusted help to build the chain, as extraCerts do.
	Anchors   [][]byte
	Untrusted [][]byte
	// CRLs (DER) may revoke the signer and what is between it and its anchor.
	// NeedCRL refuses a signer for which they have no fresh word.
	CRLs    [][]byte
	NeedCRL bool
	// Signer, if set, is the one certificate (DER) that may sign answers; no
	// chain is wanted then.
	Signer []byte
	// AnySigner lets every holder of a certificate under Anchors answer. By
	// default the signer must be a CA, have the extended key usage of a CMP CA
	// or RA (RFC 9810 section 4.5), or be the recipient or the expected sender
	// of the session.
	AnySigner bool
	// IgnoreKeyUsage accepts a signer whose keyUsage lacks digitalSignature.
	IgnoreKeyUsage bool
	// KEM (DER), if set, is the CA's certificate of a KEM key, ML-KEM or RSA:
	// the CA may answer with a MAC under a secret that the messages bring for
	// it. It counts in [Start]; the session keeps it.
	KEM []byte
	// Issued (DER), if not empty, are the CAs one of which must be above every
	// certificate that is issued to us; Anchors are for signers only.
	Issued [][]byte
	// Window, if not 0, is how far messageTime may be from Now.
	Window time.Duration
	// UnprotectedErrors lets an error message without protection end the
	// transaction, if it has our transactionID and nonce.
	UnprotectedErrors bool
	// MACPolicy and SignaturePolicy bound the algorithms of answers; nil is the
	// default of package alg.
	MACPolicy       *alg.MACPolicy
	SignaturePolicy *alg.SignaturePolicy
}

// signer is the protection certificate of our own messages, read.
type signer struct {
	cert *x509.Certificate
	peer *x509.Certificate // with Agreement
}

// check reports what is missing, and reads our certificate.
func (c *Credentials) check() (*signer, error) {
	switch {
	case c.Rand == nil || c.Now.IsZero():
		return nil, fmt.Errorf("%w: no time or no random source is given", ErrCredentials)
	case len(c.Secret) > 0:
		if len(c.Reference) == 0 {
			return nil, fmt.Errorf("%w: a shared secret needs its reference", ErrCredentials)
		}
		return nil, nil
	case c.Key == nil && c.Agreement == nil && c.KEMKey == nil:
		return nil, fmt.Errorf("%w: neither a shared secret nor a key is given", ErrCredentials)
	case len(c.Certificate) == 0:
		return nil, fmt.Errorf("%w: the key that protects needs its certificate", ErrCredentials)
	}
	cert, err := x509.ParseCertificate(c.Certificate)
	if err != nil {
		return nil, fmt.Errorf("%w: own certificate: %w", ErrCredentials, err)
	}
	own := &signer{cert: cert}
	if c.Agreement == nil && c.KEMKey != nil {
		return own, checkKEMKey(c.KEMKey, cert)
	}
	var pub crypto.PublicKey
	if c.Agreement != nil {
		if pub, own.peer, err = c.Agreement.check(cert); err != nil {
			return nil, err
		}
	} else {
		pub = c.Key.Public()
	}
	spki, err := alg.MarshalPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("%w: own key: %w", ErrCredentials, err)
	}
	if !sameKey(spki, cert.RawSubjectPublicKeyInfo) {
		return nil, fmt.Errorf("%w: own key and certificate are not a pair", ErrCredentials)
	}
	return own, nil
}

// protector gives what seals a message.
func (c *Credentials) protector() (cmp.Protector, error) {
	if len(c.Secret) > 0 {
		m, err := c.MAC.make(c.Rand)
		if err != nil {
			return nil, err
		}
		return cmp.MACProtector(m, c.Secret), nil
	}
	if c.Agreement != nil {
		return c.Agreement.protector()
	}
	a, err := alg.SignatureFor(c.Key.Public(), c.Signature)
	if err != nil {
		return nil, err
	}
	return cmp.SignatureProtector(c.Rand, c.Key, a), nil
}

func (m MAC) make(rand io.Reader) (*alg.MAC, error) {
	h, k, kmac, err := m.algorithms()
	if err != nil {
		return nil, err
	}
	if m.PBMAC1 {
		return alg.NewPBMAC1(rand, alg.PBMAC1Options{PRF: h, HMAC: k, KMAC: kmac, Iterations: m.Iterations})
	}
	return alg.NewPBM(rand, alg.PBMOptions{OWF: h, HMAC: k, KMAC: kmac, Iterations: m.Iterations})
}

// algorithms gives the hash, and the HMAC's hash or the bits of KMAC.
func (m MAC) algorithms() (h, hmac crypto.Hash, kmac int, err error) {
	if h, err = hashOrZero(m.Hash); err != nil {
		return 0, 0, 0, err
	}
	switch m.HMAC {
	case "kmac128":
		kmac = 128
	case "kmac256":
		kmac = 256
	default:
		hmac, err = hashOrZero(m.HMAC)
	}
	return h, hmac, kmac, err
}

func hashOrZero(name string) (crypto.Hash, error) {
	if name == "" {
		return 0, nil
	}
	return alg.HashByName(name)
}

// extraCerts puts the protection certificate first, as RFC 9483 section 3.3
// wants it, and nothing twice.
func (c *Credentials) extraCerts(more [][]byte) [][]byte {
	var all [][]byte
	add := func(cert []byte) {
		for _, have := range all {
			if bytes.Equal(have, cert) {
				return
			}
		}
		all = append(all, cert)
	}
	if len(c.Secret) == 0 {
		add(c.Certificate)
		for _, x := range c.Chain {
			add(x)
		}
	}
	for _, x := range more {
		add(x)
	}
	return all
}

// sameKey compares two keys, which may be the same under different DER.
func sameKey(a, b pkix.SubjectPublicKeyInfo) bool {
	if a.Equal(b) {
		return true
	}
	x, errX := alg.ParsePublicKey(a)
	y, errY := alg.ParsePublicKey(b)
	if errX != nil || errY != nil {
		return false
	}
	k, ok := x.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(y)
}
