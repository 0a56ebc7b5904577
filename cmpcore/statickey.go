package cmpcore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// staticKey is a [StaticKey] that was checked.
type staticKey struct {
	key        crypto.PrivateKey
	sender     pkix.GeneralName
	kid        []byte
	recipient  alg.StaticRecipient
	chain, cut [][]byte // its certificate first; cut: without self-signed ones
}

// CheckAgreementKey refuses a key that is not that of its certificate, or that
// cannot or may not be used for MACs by Diffie-Hellman.
func CheckAgreementKey(k *StaticKey) error {
	_, err := checkStaticKey(k, useAgreement)
	return err
}

// CheckKEMKey is [CheckAgreementKey] for MACs by a KEM.
func CheckKEMKey(k *StaticKey) error {
	_, err := checkStaticKey(k, useKEM)
	return err
}

// staticUse is what a static key is for: what it must be able to do, and what
// its certificate must say, if anything.
type staticUse struct {
	use       alg.Use
	usage     x509.KeyUsage
	usageName string
}

var (
	useAgreement = staticUse{alg.UseAgree, x509.KeyUsageKeyAgreement, "keyAgreement"}
	// RSA by RFC 9690; RFC 9935 section 5 for ML-KEM.
	useKEM = staticUse{alg.UseEncapsulate | alg.UseEncipher, x509.KeyUsageKeyEncipherment, "keyEncipherment"}
)

func checkStaticKey(k *StaticKey, u staticUse) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if alg.Uses(pub)&u.use == 0 {
		return nil, fmt.Errorf("certificate %q: a key of type %s cannot serve for this", cert.Subject, alg.KeyType(pub))
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&u.usage == 0 {
		return nil, fmt.Errorf("certificate %q: key usage lacks %s", cert.Subject, u.usageName)
	}
	if k.Key == nil {
		return nil, errors.New("the private key is missing")
	}
	if !alg.Opens(k.Key, pub) {
		return nil, errors.New("the key does not belong to its certificate")
	}
	return cert, nil
}

func (e *Engine) newStaticKey(k *StaticKey, u staticUse) (*staticKey, error) {
	cert, err := checkStaticKey(k, u)
	if err != nil {
		return nil, err
	}
	s := &staticKey{
		key: k.Key, sender: pkix.NewDirectoryName(pkix.Name(cert.RawSubject)), kid: cert.SubjectKeyId,
		recipient: alg.StaticRecipient{Subject: cert.RawSubject, Issuer: cert.RawIssuer, Serial: cert.SerialNumber},
		chain:     e.chainOf(k.Certificate, k.Chain),
	}
	s.cut, err = withoutRoots(s.chain)
	return s, err
}

// named tells whether a general name is the subject of the key's certificate;
// a nil key has none.
func (s *staticKey) named(n pkix.GeneralName) bool { return s != nil && bytes.Equal(n, s.sender) }

// protects writes into the header whose key protects the message, and gives
// extraCerts.
func (s *staticKey) protects(h *cmp.PKIHeader, p *Policy) [][]byte {
	h.Sender, h.SenderKID = s.sender, s.kid
	if p.OmitRoot {
		return s.cut
	}
	return s.chain
}
