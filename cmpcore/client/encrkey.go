package client

import (
	"fmt"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// checkEncrKey refuses a key for private keys that do not come, or to which
// none can be encrypted.
func (q *request) checkEncrKey() error {
	if q.EncrKey == nil {
		return nil
	}
	if !q.asksForKeys() {
		return fmt.Errorf("%w: no private key is asked for, so there is none to encrypt to EncrKey", ErrOptions)
	}
	pub, err := alg.ParsePublicKey(q.EncrKey)
	if err == nil {
		id := q.EncrKey.KeyID()
		_, err = cms.ForKey(pub, &cms.RecipientOptions{ID: cms.Identifier{KeyID: id[:]}})
	}
	if err != nil {
		return fmt.Errorf("%w: EncrKey: %w", ErrOptions, err)
	}
	q.session.EncrKey = Octets(slices.Clone(q.EncrKey))
	return nil
}

func (q *request) asksForKeys() bool {
	return q.Kind == cmp.TypeKRR || slices.ContainsFunc(q.Certificates, func(r CertificateRequest) bool { return r.CentralKey != nil })
}

// checkOldEncryption refuses to ask for EncryptedValues that nothing could open.
func (q *request) checkOldEncryption() error {
	if !q.OldEncryption {
		return nil
	}
	if q.PVNO != 2 || !q.asksForKeys() {
		return fmt.Errorf("%w: OldEncryption is for private keys that the CA is asked for at pvno 2", ErrOptions)
	}
	spki := q.EncrKey
	if spki == nil && q.own != nil {
		spki = q.own.cert.RawSubjectPublicKeyInfo
	}
	if pub, err := alg.ParsePublicKey(spki); err != nil || alg.Uses(pub)&alg.UseEncipher == 0 {
		return fmt.Errorf("%w: private keys at pvno 2 come encrypted to an RSA key: EncrKey, or that of the certificate that protects", ErrOptions)
	}
	return nil
}

// encrKeyControl gives the control protocolEncrKey (RFC 4211 section 6.6), where
// there is a key for it.
func (q *request) encrKeyControl() ([]crmf.Attribute, error) {
	if q.EncrKey == nil {
		return nil, nil
	}
	c, err := crmf.NewProtocolEncrKey(q.EncrKey)
	return []crmf.Attribute{c}, err
}

// envelopeKey is what private keys are encrypted to: the key that the request
// named, and no other, or what protects.
func (s *Session) envelopeKey(c *Credentials) (*cms.Key, error) {
	switch {
	case s.EncrKey != nil:
		pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(s.EncrKey))
		if err != nil {
			return nil, fmt.Errorf("%w: encr_key: %w", ErrSession, err)
		}
		if c.EncrKey == nil || !alg.Opens(c.EncrKey, pub) {
			return nil, fmt.Errorf("%w: the request named a key to encrypt private keys to, which is needed now", ErrCredentials)
		}
		return &cms.Key{Private: c.EncrKey}, nil
	case len(c.Secret) > 0:
		return &cms.Key{Password: c.Secret}, nil
	case c.Agreement != nil:
		return &cms.Key{Private: c.Agreement.Key, Certificate: c.Certificate}, nil
	case c.KEMKey != nil:
		return &cms.Key{Private: c.KEMKey, Certificate: c.Certificate}, nil
	}
	return &cms.Key{Private: c.Key, Certificate: c.Certificate}, nil
}
