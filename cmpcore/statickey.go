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
	chain, cut [][]byte // its certificate first; cut: without self-signed ones
}

// CheckAgreementKey refuses a key that is not that of its certificate, or that
// cannot or may not be used for MACs by Diffie-Hellman.
func CheckAgreementKey(k *StaticKey) error {
	_, err := checkStaticKey(k, alg.UseAgree, x509.KeyUsageKeyAgreement, "keyAgreement")
	return err
}

func checkStaticKey(k *StaticKey, use alg.Use, usage x509.KeyUsage, usageName string) (*x509.Certificate, error) {
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if alg.Uses(pub)&use == 0 {
		return nil, fmt.Errorf("certificate %q: a key of type %s cannot serve for this", cert.Subject, alg.KeyType(pub))
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&usage == 0 {
		return nil, fmt.Errorf("certificate %q: key usage lacks %s", cert.Subject, usageName)
	}
	own, ok := k.Key.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, errors.New("the private key is missing")
	}
	if p, ok := pub.(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(own.Public()) {
		return nil, errors.New("the key does not belong to its certificate")
	}
	return cert, nil
}

func (e *Engine) newStaticKey(k *StaticKey, use alg.Use, usage x509.KeyUsage, usageName string) (*staticKey, error) {
	cert, err := checkStaticKey(k, use, usage, usageName)
	if err != nil {
		return nil, err
	}
	s := &staticKey{
		key: k.Key, sender: pkix.NewDirectoryName(pkix.Name(cert.RawSubject)), kid: cert.SubjectKeyId,
		chain: e.chainOf(k.Certificate, k.Chain),
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
