package client

import (
	"bytes"
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
	n, ok := m.Header.Sender.DirectoryName()
	if !ok || !n.Matches(cert.RawSubject) || m.Header.SenderKID != nil && cert.SubjectKeyId != nil && !bytes.Equal(m.Header.SenderKID, cert.SubjectKeyId) {
		return fmt.Errorf("%w: sender %.200q or senderKID are not those of the CA's KEM certificate", ErrSender, m.Header.Sender.String())
	}
	if c.Now.Before(cert.NotBefore) || c.Now.After(cert.NotAfter) {
		return fmt.Errorf("%w: the CA's KEM certificate is not valid at %s", ErrSigner, c.Now.Format("2006-01-02 15:04"))
	}
	_, err = m.VerifyKEMMAC(s.KEM.Secret, s.TransactionID, c.Trust.MACPolicy)
	return err
}
