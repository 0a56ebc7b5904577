package client

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// archive makes the control that has the CA keep the private key (RFC 4211
// section 6.4).
func (q *request) archive(t *crmf.CertTemplate, r *CertificateRequest) (a crmf.Attribute, err error) {
	switch {
	case q.PVNO != 3:
		return a, fmt.Errorf("%w: to archive a key needs pvno 3", ErrOptions)
	case q.Kind == cmp.TypeCCR:
		return a, fmt.Errorf("%w: ccr does not archive keys", ErrOptions)
	case r.CentralKey != nil:
		yes := true
		return crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{ArchiveRemGenPriv: &yes})
	case r.Key == nil && r.ArchiveKey == nil:
		return a, fmt.Errorf("%w: to archive a key needs the private key", ErrOptions)
	}
	private := r.ArchiveKey
	if r.Key != nil {
		private = r.Key
	}
	with := cms.KeyWithID{}
	if !t.Subject.IsEmpty() {
		with.Name = pkix.NewDirectoryName(t.Subject) // so that nobody else's request can use it
	}
	der, err := q.encryptKey(private, r.ArchiveTo, with)
	if err != nil {
		return a, err
	}
	return crmf.NewPKIArchiveOptions(crmf.PKIArchiveOptions{EncryptedPrivKey: &crmf.EncryptedKey{Enveloped: der}})
}

// encryptKey encrypts a private key, and whose it is, to a certificate.
func (q *request) encryptKey(private crypto.PrivateKey, cert []byte, whose cms.KeyWithID) ([]byte, error) {
	to, err := cms.ForCertificate(cert, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate to encrypt the key to: %w", ErrOptions, err)
	}
	if whose.Key, err = cms.NewOneAsymmetricKey(private); err != nil {
		return nil, err
	}
	defer whose.Key.Clear()
	content, err := cms.MarshalKeyWithID(&whose)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	return cms.Encrypt(q.Credentials.Rand, []*cms.Recipient{to}, cms.OIDKeyWithID, content, nil)
}

// recovery is the body of krr (RFC 9810 section 5.3.7).
func (q *request) recovery() (cmp.Body, error) {
	if q.PVNO != 3 && !q.OldEncryption {
		return nil, fmt.Errorf("%w: krr needs pvno 3", ErrOptions)
	}
	controls, err := q.encrKeyControl()
	if err != nil {
		return nil, err
	}
	m := crmf.CertReqMsg{CertReq: crmf.CertRequest{CertReqID: big.NewInt(0), Controls: controls}}
	if w := q.Recovery; w != nil {
		t := &m.CertReq.Template
		t.Subject, t.SerialNumber = w.Subject, w.Serial
		if w.Certificate != nil {
			c, err := x509.ParseCertificate(w.Certificate)
			if err != nil {
				return nil, fmt.Errorf("%w: certificate whose key is wanted: %w", ErrOptions, err)
			}
			if w.Subject != nil || w.Serial != nil {
				return nil, fmt.Errorf("%w: a certificate names subject and serial number already", ErrOptions)
			}
			t.Issuer, t.SerialNumber = c.RawIssuer, c.SerialNumber
			if q.issuer == nil {
				q.issuer = c.RawIssuer
			}
		}
	}
	return &cmp.CertReqMessages{Kind: cmp.TypeKRR, Requests: []crmf.CertReqMsg{m}}, nil
}

// recovered reads a krp (RFC 9810 section 5.3.8).
func (s *Session) recovered(m *cmp.PKIMessage, b *cmp.KeyRecRepContent, c *Credentials, r *Result) error {
	out := &RecoveryResult{Status: b.Status}
	switch b.Status.Status {
	case cmp.Waiting:
		if s.Step != StepAnswer {
			return fmt.Errorf("%w: krp with status waiting in answer to a pollReq", ErrBody)
		}
		r.Waiting = &Waiting{Reason: b.Status.StatusString}
		s.Whole = true
		return s.sendPoll(c, r)
	case cmp.Rejection:
	case cmp.Accepted, cmp.GrantedWithMods:
		keys := keyOpener{s: s, c: c, anchors: c.Trust.Anchors, others: slices.Concat(b.CACerts, m.ExtraCerts), pinned: c.Trust.Signer}
		if r.Signer == nil {
			// Whoever shares the secret may say whom to trust, as in caPubs.
			keys.anchors = slices.Concat(keys.anchors, b.CACerts)
		}
		for i, k := range b.KeyPairHist {
			if k.Certificate == nil {
				return fmt.Errorf("%w: keyPairHist %d has no certificate", ErrBody, i)
			}
			got := RecoveredKey{Certificate: k.Certificate}
			if got.Key, _, got.Err = keys.open(k.PrivateKey, k.Certificate); errors.Is(got.Err, ErrCredentials) {
				return got.Err
			}
			out.Keys = append(out.Keys, got)
		}
	default:
		return fmt.Errorf("%w: status %d", ErrBody, int(b.Status.Status))
	}
	r.Recovery = out
	s.Step = StepFinished
	return nil
}
