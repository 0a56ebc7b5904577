package client

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// check reads the CA's certificate and gives our public key. A pair of keys
// that do not agree is found here and not by the CA.
func (a *Agreement) check(own *x509.Certificate) (crypto.PublicKey, *x509.Certificate, error) {
	key, ok := a.Key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, nil, fmt.Errorf("%w: the private key for key agreement is missing", ErrCredentials)
	}
	peer, err := x509.ParseCertificate(a.Peer)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrCredentials, err)
	}
	for _, c := range []*x509.Certificate{own, peer} {
		if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyAgreement == 0 {
			return nil, nil, fmt.Errorf("%w: the key usage of %q lacks keyAgreement", ErrCredentials, pkix.Name(c.RawSubject).String())
		}
	}
	if _, err := a.secret(peer); err != nil {
		return nil, nil, err
	}
	return key.Public(), peer, nil
}

func (a *Agreement) secret(peer *x509.Certificate) ([]byte, error) {
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(peer.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrCredentials, err)
	}
	secret, err := alg.SharedSecret(a.Key, pub)
	if err != nil {
		return nil, fmt.Errorf("%w: our key and the CA's: %w", ErrCredentials, err)
	}
	return secret, nil
}

func (a *Agreement) protector() (cmp.Protector, error) {
	h, hmac, kmac, err := a.MAC.algorithms()
	if err != nil {
		return nil, err
	}
	mac, err := alg.NewDHBM(alg.DHBMOptions{OWF: h, HMAC: hmac, KMAC: kmac})
	if err != nil {
		return nil, err
	}
	peer, err := x509.ParseCertificate(a.Peer)
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrCredentials, err)
	}
	secret, err := a.secret(peer)
	if err != nil {
		return nil, err
	}
	return cmp.DHMACProtector(mac, secret), nil
}

// sentBy wants the sender of a MAC to be the CA whose certificate, which is
// called what, makes it.
func (c *Credentials) sentBy(m *cmp.PKIMessage, cert *x509.Certificate, what string) error {
	h := &m.Header
	n, ok := h.Sender.DirectoryName()
	if !ok || !n.Matches(cert.RawSubject) || h.SenderKID != nil && cert.SubjectKeyId != nil && !bytes.Equal(h.SenderKID, cert.SubjectKeyId) {
		return fmt.Errorf("%w: sender %.200q or senderKID are not those of the CA's %s", ErrSender, h.Sender.String(), what)
	}
	if c.Now.Before(cert.NotBefore) || c.Now.After(cert.NotAfter) {
		return fmt.Errorf("%w: the CA's %s is not valid at %s", ErrSigner, what, c.Now.Format("2006-01-02 15:04"))
	}
	return nil
}

// authenticateDHMAC checks an answer in kind. Both of us have the secret: the
// sender tells the CA's messages from ours.
func (c *Credentials) authenticateDHMAC(m *cmp.PKIMessage) error {
	peer, err := x509.ParseCertificate(c.Agreement.Peer)
	if err != nil {
		return fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrCredentials, err)
	}
	if err := c.sentBy(m, peer, "certificate for key agreement"); err != nil {
		return err
	}
	secret, err := c.Agreement.secret(peer)
	if err != nil {
		return err
	}
	_, err = m.VerifyDHMAC(secret, c.Trust.MACPolicy)
	return err
}
