package client

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// Encapsulation is what a session has of the CA's KEM key (RFC 9810 section
// 5.1.3.4). Who knows Secret can forge the CA's answers to this session.
type Encapsulation struct {
	Certificate []byte `json:"certificate"` // the CA's, DER
	Ciphertext  Octets `json:"ciphertext"`  // KemCiphertextInfo, DER
	Secret      Octets `json:"secret"`
}

// encapsulate makes a secret that the holder of the certificate's key alone can
// learn.
func encapsulate(rand io.Reader, cert []byte) (*Encapsulation, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's KEM certificate: %w", ErrCredentials, err)
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		return nil, fmt.Errorf("%w: the key usage of %q lacks keyEncipherment", ErrCredentials, pkix.Name(c.RawSubject).String())
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's KEM certificate: %w", ErrCredentials, err)
	}
	kem, ct, secret, err := alg.Encapsulate(rand, pub)
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's KEM certificate: %w", ErrCredentials, err)
	}
	i, err := cmp.NewKEMCiphertextInfo(cmp.KEMCiphertextInfo{KEM: kem, Ciphertext: ct})
	return &Encapsulation{Certificate: slices.Clone(cert), Ciphertext: Octets(i.Value), Secret: secret}, err
}

// info is the ciphertext for generalInfo. Every message of the session has it:
// the CA need not remember it.
func (e *Encapsulation) info() cmp.InfoTypeAndValue {
	return cmp.InfoTypeAndValue{Type: cmp.OIDKEMCiphertextInfo, Value: e.Ciphertext}
}

// authenticateKEM checks an answer with a MAC under the secret.
func (s *Session) authenticateKEM(m *cmp.PKIMessage, c *Credentials) error {
	cert, err := x509.ParseCertificate(s.KEM.Certificate)
	if err != nil {
		return fmt.Errorf("%w: the CA's KEM certificate: %w", ErrSession, err)
	}
	if err := c.sentBy(m, cert, "KEM certificate"); err != nil {
		return err
	}
	_, err = m.VerifyKEMMAC(s.KEM.Secret, s.TransactionID, c.Trust.MACPolicy)
	return err
}

// checkKEMKey wants our KEM key to be that of its certificate, and to be for
// this.
func checkKEMKey(k crypto.PrivateKey, own *x509.Certificate) error {
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(own.RawSubjectPublicKeyInfo))
	switch {
	case err != nil:
		return fmt.Errorf("%w: own certificate: %w", ErrCredentials, err)
	case alg.Uses(pub)&(alg.UseEncapsulate|alg.UseEncipher) == 0:
		return fmt.Errorf("%w: the certificate is of a key of type %s, which is not of a KEM", ErrCredentials, alg.KeyType(pub))
	case own.KeyUsage != 0 && own.KeyUsage&x509.KeyUsageKeyEncipherment == 0:
		return fmt.Errorf("%w: the key usage of %q lacks keyEncipherment", ErrCredentials, pkix.Name(own.RawSubject).String())
	case !alg.Opens(k, pub):
		return fmt.Errorf("%w: own key and certificate are not a pair", ErrCredentials)
	}
	return nil
}

// after continues the transaction that fetched a ciphertext, or sees that this
// request does no more than fetch one.
func (s *Session) after(o *Options) error {
	a := o.After
	switch {
	case s.Protection.Method != MethodKEMMAC:
		if a != nil {
			return fmt.Errorf("%w: only a request under our KEM key continues another", ErrOptions)
		}
	case a == nil:
		if o.Kind != cmp.TypeGenM || len(o.Infos) != 1 || o.Infos[0].Type != cmp.OIDKEMCiphertextInfo || o.Infos[0].Value != nil {
			return fmt.Errorf("%w: a request under our KEM key needs the ciphertext of a genm that asks for kemCiphertextInfo alone", ErrOptions)
		}
	case a.check() != nil || a.Protection.Method != MethodKEMMAC || a.Kind != "genm" || a.Ciphertext == nil || !bytes.Equal(a.Protection.Certificate, o.Credentials.Certificate):
		return fmt.Errorf("%w: the session to continue fetched no ciphertext for this certificate", ErrOptions)
	default:
		s.TransactionID, s.PeerNonce, s.Ciphertext = slices.Clone(a.TransactionID), slices.Clone(a.PeerNonce), slices.Clone(a.Ciphertext)
	}
	return nil
}

func (s *Session) useKEMKey(c *Credentials) error {
	if c.KEMKey == nil {
		return fmt.Errorf("%w: the request is under a KEM key, which is needed again", ErrCredentials)
	}
	if !s.sameCertificate(c) {
		return fmt.Errorf("%w: the request is under another certificate", ErrCredentials)
	}
	if s.Protection.MAC != nil {
		c.MAC = *s.Protection.MAC
	}
	c.Secret, c.Reference, c.Agreement = nil, nil, nil
	_, err := c.check()
	return err
}

// isCiphertext tells whether a message is the answer that we asked for a
// ciphertext with.
func (s *Session) isCiphertext(m *cmp.PKIMessage) bool {
	b, ok := m.Body.(*cmp.GenMsg)
	return ok && s.Protection.Method == MethodKEMMAC && s.Ciphertext == nil && len(b.Infos) == 1 && b.Infos[0].Type == cmp.OIDKEMCiphertextInfo
}

// takeCiphertext keeps what the CA gave, if our key opens it.
func (s *Session) takeCiphertext(m *cmp.PKIMessage, c *Credentials) error {
	if !s.isCiphertext(m) {
		return fmt.Errorf("%w: the answer has no kemCiphertextInfo", ErrBody)
	}
	s.Ciphertext = slices.Clone(Octets(m.Body.(*cmp.GenMsg).Infos[0].Value))
	_, err := s.ownSecret(c)
	return err
}

func (s *Session) ownSecret(c *Credentials) ([]byte, error) {
	i := cmp.InfoTypeAndValue{Type: cmp.OIDKEMCiphertextInfo, Value: s.Ciphertext}
	k, err := i.KEMCiphertextInfo()
	if err != nil {
		return nil, fmt.Errorf("the CA's ciphertext: %w", err)
	}
	secret, err := alg.Decapsulate(c.Rand, c.KEMKey, k.KEM, k.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("the CA's ciphertext: %w", err)
	}
	return secret, nil
}

func (s *Session) kemProtector(c *Credentials) (cmp.Protector, error) {
	_, hmac, kmac, err := c.MAC.algorithms()
	if err != nil {
		return nil, err
	}
	mac, err := alg.NewKEMBM(alg.KEMBMOptions{HMAC: hmac, KMAC: kmac})
	if err != nil {
		return nil, err
	}
	secret, err := s.ownSecret(c)
	if err != nil {
		return nil, err
	}
	return cmp.KEMMACProtector(mac, secret, s.TransactionID), nil
}
