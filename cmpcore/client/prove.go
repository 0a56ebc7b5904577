package client

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"unicode/utf8"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// StaticDH gives the secret of a private key and the CA's certificate for key
// agreement (DER), with which a PKCS #10 request proves possession (RFC 6955).
// Errors wrap [ErrOptions].
func StaticDH(private crypto.PrivateKey, cert []byte) (*alg.StaticDH, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrOptions, err)
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyAgreement == 0 {
		return nil, fmt.Errorf("%w: the key usage of %q lacks keyAgreement", ErrOptions, pkix.Name(c.RawSubject).String())
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("%w: the CA's certificate for key agreement: %w", ErrOptions, err)
	}
	dh, err := alg.NewStaticDH(private, pub, alg.StaticRecipient{Subject: c.RawSubject, Issuer: c.RawIssuer, Serial: c.SerialNumber})
	if err != nil {
		return nil, fmt.Errorf("%w: the key to certify and the CA's: %w", ErrOptions, err)
	}
	return dh, nil
}

// proofKey gives the private key that is to be certified.
func (r *CertificateRequest) proofKey(spki pkix.SubjectPublicKeyInfo) (crypto.PrivateKey, error) {
	private := r.ProofKey
	if r.Key != nil {
		private = r.Key
	}
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok || len(r.ProofTo) == 0 {
		return nil, fmt.Errorf("%w: this proof of possession needs the private key and a certificate of the CA", ErrOptions)
	}
	own, err := alg.MarshalPublicKey(p.Public())
	if err != nil {
		return nil, err
	}
	if string(own.KeyBits()) != string(spki.KeyBits()) {
		return nil, fmt.Errorf("%w: the private key for the proof of possession is not the requested one", ErrOptions)
	}
	return private, nil
}

// proveByAgreement adds a MAC under the secret of the requested key and the CA's.
func (q *request) proveByAgreement(m *crmf.CertReqMsg, r *CertificateRequest) error {
	if r.POP == POPAgreeMAC && q.PVNO != 3 {
		return fmt.Errorf("%w: agreeMAC needs pvno 3", ErrOptions)
	}
	private, err := r.proofKey(m.CertReq.Template.PublicKey)
	if err != nil {
		return err
	}
	dh, err := StaticDH(private, r.ProofTo)
	if err != nil {
		return err
	}
	a, err := r.agreementMAC(private)
	if err != nil {
		return err
	}
	der, err := m.CertReq.Bytes()
	if err != nil {
		return err
	}
	if r.POP == POPAgreeMAC {
		pop, err := crmf.MakeAgreeMAC(dh, a, der)
		if err != nil {
			return err
		}
		m.POPO = pop
		return nil
	}
	mac, err := dh.Sign(a, der)
	if err != nil {
		return err
	}
	m.POPO = &crmf.POPOSigningKey{Algorithm: a, Signature: mac}
	return nil
}

func (r *CertificateRequest) agreementMAC(private crypto.PrivateKey) (a pkix.AlgorithmIdentifier, err error) {
	if r.StaticECDH {
		return alg.StaticPOPFor(private.(interface{ Public() crypto.PublicKey }).Public())
	}
	d, err := alg.NewDHBM(alg.DHBMOptions{})
	if err != nil {
		return a, err
	}
	return d.Algorithm(), nil
}

// proveByKey adds the private key itself.
func (q *request) proveByKey(m *crmf.CertReqMsg, r *CertificateRequest) error {
	switch {
	case r.POP == POPEncryptedKey && q.PVNO != 3:
		return fmt.Errorf("%w: encryptedKey needs pvno 3", ErrOptions)
	case r.POP == POPThisMessage && q.PVNO != 2:
		return fmt.Errorf("%w: thisMessage is for pvno 2; encryptedKey has taken its place", ErrOptions)
	case r.StaticECDH:
		return fmt.Errorf("%w: StaticECDH is for a MAC", ErrOptions)
	}
	t := &m.CertReq.Template
	use, err := q.decryptionUse(t.PublicKey)
	if err != nil {
		return err
	}
	private, err := r.proofKey(t.PublicKey)
	if err != nil {
		return err
	}
	if r.POP == POPThisMessage {
		m.POPO, err = q.thisMessage(use, private, r.ProofTo)
		return err
	}
	// Whose it is must be said (RFC 4211 section 4.2).
	var whose cms.KeyWithID
	switch {
	case !t.Subject.IsEmpty():
		whose.Name = pkix.NewDirectoryName(t.Subject)
	case q.own != nil:
		whose.Name = pkix.NewDirectoryName(q.own.cert.RawSubject)
	case utf8.Valid(q.Credentials.Reference):
		whose.Text = string(q.Credentials.Reference)
	default:
		return fmt.Errorf("%w: encryptedKey needs a subject, for the reference of the secret is no text", ErrOptions)
	}
	der, err := q.encryptKey(private, r.ProofTo, whose)
	if err != nil {
		return err
	}
	m.POPO = &crmf.POPOPrivKey{Use: use, Form: crmf.EncryptedKeyPOP, Enveloped: der}
	return nil
}

// thisMessage is an EncryptedValue in a BIT STRING (RFC 9810 section 5.2.8.3.1).
func (q *request) thisMessage(use int, private crypto.PrivateKey, cert []byte) (*crmf.POPOPrivKey, error) {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate to encrypt the key to: %w", ErrOptions, err)
	}
	if c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
		return nil, fmt.Errorf("%w: the key usage of %q lacks keyEncipherment", ErrOptions, pkix.Name(c.RawSubject).String())
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, fmt.Errorf("%w: certificate to encrypt the key to: %w", ErrOptions, err)
	}
	v, err := cms.SealKeyValue(q.Credentials.Rand, pub, private)
	if err != nil {
		return nil, fmt.Errorf("%w: thisMessage: %w", ErrOptions, err)
	}
	bits, err := v.Bytes()
	if err != nil {
		return nil, err
	}
	return &crmf.POPOPrivKey{Use: use, Form: crmf.ThisMessage, Bits: bits}, nil
}
