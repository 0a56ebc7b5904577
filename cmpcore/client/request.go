package client

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

// request is one that is being made.
type request struct {
	*Options
	session *Session
	own     *signer
	issuer  pkix.Name // the CA the request speaks of, nil where it names none
}

// Limits on what one message asks for.
const (
	maxCertificates = 1000 // what an answer can have by the limits of cmp.Parse
	maxRevocations  = 1000 // what an answer can have by the limits of cmp.Parse
)

func (q *request) body() (cmp.Body, error) {
	if err := q.onlyItsOwn(); err != nil {
		return nil, err
	}
	switch q.Kind {
	case cmp.TypeP10CR:
		return q.pkcs10()
	case cmp.TypeRR:
		return q.revocations()
	case cmp.TypeKRR:
		return q.recovery()
	case cmp.TypeGenM:
		if len(q.Infos) == 0 {
			return nil, fmt.Errorf("%w: a genm asks for at least one type of information", ErrOptions)
		}
		for _, i := range q.Infos {
			q.session.Infos = append(q.session.Infos, i.Type.String())
		}
		return &cmp.GenMsg{Kind: cmp.TypeGenM, Infos: q.Infos}, nil
	}
	b := &cmp.CertReqMessages{Kind: q.Kind}
	for i := range q.Certificates {
		m, err := q.certificate(i, &q.Certificates[i])
		if err != nil {
			return nil, fmt.Errorf("certificate request %d: %w", i, err)
		}
		b.Requests = append(b.Requests, *m)
	}
	return b, nil
}

// onlyItsOwn refuses options that the kind of request has no place for: they
// would be lost silently.
func (q *request) onlyItsOwn() error {
	want := func(kind string, n int, what string, limit int) error {
		switch {
		case kind == q.session.Kind && n == 0:
			return fmt.Errorf("%w: %s needs %s", ErrOptions, kind, what)
		case kind != q.session.Kind && n > 0:
			return fmt.Errorf("%w: %s has no place for %s", ErrOptions, q.session.Kind, what)
		case n > limit:
			return fmt.Errorf("%w: %d are too many %s for one message, the limit is %d", ErrOptions, n, what, limit)
		}
		return nil
	}
	crmfKind, most := "ir", maxCertificates
	switch q.Kind {
	case cmp.TypeCR, cmp.TypeKUR:
		crmfKind = q.session.Kind
	case cmp.TypeCCR:
		crmfKind, most = q.session.Kind, 1 // RFC 9810 appendix D.6
	}
	pkcs10s := 0
	if q.PKCS10 != nil {
		pkcs10s = 1
	}
	for _, err := range []error{
		want(crmfKind, len(q.Certificates), "certificates", most),
		want("p10cr", pkcs10s, "a PKCS #10 request", 1),
		want("rr", len(q.Revocations), "revocations", maxRevocations),
		want("genm", len(q.Infos), "types of information", maxRevocations),
	} {
		if err != nil {
			return err
		}
	}
	if err := q.checkOldEncryption(); err != nil {
		return err
	}
	if err := q.checkEncrKey(); err != nil {
		return err
	}
	if q.Recovery != nil && q.Kind != cmp.TypeKRR {
		return fmt.Errorf("%w: %s has no place for a recovery", ErrOptions, q.session.Kind)
	}
	if q.Kind == cmp.TypeRR || q.Kind == cmp.TypeGenM || q.Kind == cmp.TypeKRR {
		if q.ImplicitConfirm || len(q.CertProfile) > 0 {
			return fmt.Errorf("%w: %s has no place for implicit confirmation and certificate profiles", ErrOptions, q.session.Kind)
		}
	}
	return nil
}

func (q *request) pkcs10() (cmp.Body, error) {
	p, err := pkcs10.Parse(q.PKCS10, der.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%w: PKCS #10 request: %w", ErrOptions, err)
	}
	it := Item{CertReqID: -1, PublicKey: Octets(p.PublicKey), Subject: Octets(p.Subject), State: ItemAsked}
	q.session.Items = append(q.session.Items, it)
	return &cmp.P10CR{Request: *p}, nil
}

func (q *request) certificate(id int, r *CertificateRequest) (*crmf.CertReqMsg, error) {
	m := &crmf.CertReqMsg{RegInfo: r.RegInfo}
	m.CertReq.CertReqID = big.NewInt(int64(id))
	t := &m.CertReq.Template
	t.Issuer, t.Subject = r.Issuer, r.Subject
	if !r.NotBefore.IsZero() || !r.NotAfter.IsZero() {
		t.Validity = &pkix.Validity{NotBefore: r.NotBefore, NotAfter: r.NotAfter}
	}
	if q.issuer == nil && r.Issuer != nil {
		q.issuer = r.Issuer
	}
	var old *x509.Certificate
	if q.Kind == cmp.TypeKUR {
		var err error
		if old, err = q.old(r); err != nil {
			return nil, err
		}
		if t.Subject == nil && r.POP != POPSignatureInput {
			t.Subject = old.RawSubject
		}
		c, err := crmf.NewOldCertID(crmf.CertID{Issuer: pkix.NewDirectoryName(old.RawIssuer), SerialNumber: old.SerialNumber})
		if err != nil {
			return nil, err
		}
		m.CertReq.Controls = append(m.CertReq.Controls, c)
	} else if r.OldCertificate != nil {
		return nil, fmt.Errorf("%w: only kur updates an old certificate", ErrOptions)
	}
	if t.Subject == nil && r.POP != POPSignatureInput {
		t.Subject = pkix.EmptyName
	}
	m.CertReq.Controls = append(m.CertReq.Controls, r.Controls...)
	if r.CentralKey != nil {
		c, err := q.encrKeyControl()
		if err != nil {
			return nil, err
		}
		m.CertReq.Controls = append(m.CertReq.Controls, c...)
	}
	if err := r.publicKey(t, q.PVNO == 3 || q.OldEncryption); err != nil {
		return nil, err
	}
	sans, err := r.extensions(t, old)
	if err != nil {
		return nil, err
	}
	if q.Kind == cmp.TypeCCR {
		if err := q.cross(t, r); err != nil {
			return nil, err
		}
	}
	if r.ArchiveTo != nil {
		c, err := q.archive(t, r)
		if err != nil {
			return nil, err
		}
		m.CertReq.Controls = append(m.CertReq.Controls, c)
	}
	if err := q.prove(m, r); err != nil {
		return nil, err
	}
	it := Item{CertReqID: int64(id), AnySubject: r.AnySubject, State: ItemAsked, CA: q.Kind == cmp.TypeCCR}
	if it.CentralKey = r.CentralKey != nil; !it.CentralKey {
		it.PublicKey = Octets(t.PublicKey)
	}
	it.Decrypts, it.Challenge = r.POP == POPEncrCert || r.POP == POPChallenge, r.POP == POPChallenge
	it.Subject = Octets(t.Subject)
	for _, g := range sans {
		it.SANs = append(it.SANs, Octets(g))
	}
	q.session.Items = append(q.session.Items, it)
	return m, nil
}

// cross completes the template of a ccr and refuses an incomplete one (RFC 9810
// section 6.6.1).
func (q *request) cross(t *crmf.CertTemplate, r *CertificateRequest) error {
	switch {
	case len(q.Credentials.Secret) > 0:
		return fmt.Errorf("%w: ccr is signed, not protected by a shared secret", ErrOptions)
	case r.Key == nil || r.POP != POPSignature:
		return fmt.Errorf("%w: ccr needs the CA's key and a proof of possession by signature", ErrOptions)
	case t.Subject.IsEmpty() || t.Validity == nil || t.Validity.NotBefore.IsZero() || t.Validity.NotAfter.IsZero():
		return fmt.Errorf("%w: ccr needs the subject and both ends of the validity", ErrOptions)
	}
	if t.Issuer == nil {
		t.Issuer = q.Recipient // nil: any
	}
	if e, ok := pkix.FindExtension(t.Extensions, pkix.OIDBasicConstraints); !ok {
		t.Extensions = append(t.Extensions, pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: -1}))
	} else if bc, ok := pkix.ParseBasicConstraints(e.Value); !ok || !bc.CA {
		return fmt.Errorf("%w: the basicConstraints of a ccr must be those of a CA", ErrOptions)
	}
	// What the CA has issued names its key as its own certificate does.
	own := q.own.cert
	if _, ok := pkix.FindExtension(t.Extensions, pkix.OIDSubjectKeyID); !ok && len(own.SubjectKeyId) > 0 && bytes.Equal(own.RawSubjectPublicKeyInfo, t.PublicKey) {
		t.Extensions = append(t.Extensions, pkix.SubjectKeyIDExtension(own.SubjectKeyId))
	}
	return nil
}

// old reads the certificate that kur updates.
func (q *request) old(r *CertificateRequest) (*x509.Certificate, error) {
	der := r.OldCertificate
	if der == nil {
		der = q.Credentials.Certificate
	}
	if der == nil {
		return nil, fmt.Errorf("%w: kur needs the certificate to update", ErrOptions)
	}
	old, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate to update: %w", ErrOptions, err)
	}
	if q.issuer == nil {
		q.issuer = old.RawIssuer
	}
	return old, nil
}

// publicKey fills the template's key.
func (r *CertificateRequest) publicKey(t *crmf.CertTemplate, mayBeMade bool) (err error) {
	n := 0
	if r.Key != nil {
		n++
		if t.PublicKey, err = alg.MarshalPublicKey(r.Key.Public()); err != nil {
			return err
		}
	}
	if r.PublicKey != nil {
		n++
		t.PublicKey = r.PublicKey
	}
	if r.CentralKey != nil {
		n++
		if !mayBeMade {
			return fmt.Errorf("%w: a key made by the CA needs pvno 3", ErrOptions)
		}
		if !r.CentralKey.IsZero() {
			// An empty BIT STRING names the algorithm and no key.
			if t.PublicKey, err = pkix.NewSubjectPublicKeyInfo(*r.CentralKey, nil); err != nil {
				return err
			}
		}
	}
	if n != 1 {
		return fmt.Errorf("%w: exactly one of Key, PublicKey and CentralKey is to be set", ErrOptions)
	}
	return nil
}

// extensions fills the template's extensions and gives the names among them.
func (r *CertificateRequest) extensions(t *crmf.CertTemplate, old *x509.Certificate) ([]pkix.GeneralName, error) {
	sans := r.SANs
	list := slices.Clone(r.Extensions)
	if e, ok := pkix.FindExtension(list, pkix.OIDSubjectAltName); ok {
		if len(sans) > 0 {
			return nil, fmt.Errorf("%w: SANs are given twice", ErrOptions)
		}
		if sans, ok = pkix.ParseSubjectAltName(e.Value); !ok {
			return nil, fmt.Errorf("%w: the SAN extension is malformed", ErrOptions)
		}
	} else {
		if len(sans) == 0 && old != nil {
			sans = certSANs(old)
		}
		if len(sans) > 0 {
			e, err := pkix.SubjectAltNameExtension(sans, t.Subject.IsEmpty())
			if err != nil {
				return nil, fmt.Errorf("%w: SANs: %w", ErrOptions, err)
			}
			list = append(list, e)
		}
	}
	if r.KeyUsage != 0 {
		list = append(list, pkix.KeyUsageExtension(r.KeyUsage))
	}
	if len(r.ExtKeyUsage) > 0 {
		list = append(list, pkix.ExtKeyUsageExtension(r.ExtKeyUsage))
	}
	for i, e := range list {
		if f, _ := pkix.FindExtension(list[:i], e.ID); f.ID == e.ID {
			return nil, fmt.Errorf("%w: extension %s is given twice", ErrOptions, e.ID)
		}
	}
	t.Extensions = list
	return sans, nil
}

// certSANs gives the alternative names of a certificate.
func certSANs(c *x509.Certificate) []pkix.GeneralName {
	for _, e := range c.Extensions {
		if o, err := pkix.ParseOID(e.Id.String()); err == nil && o == pkix.OIDSubjectAltName {
			sans, _ := pkix.ParseSubjectAltName(e.Value)
			return sans
		}
	}
	return nil
}

// prove adds the proof of possession.
func (q *request) prove(m *crmf.CertReqMsg, r *CertificateRequest) error {
	if r.POP < POPAgreeMAC && (r.ProofTo != nil || r.ProofKey != nil || r.StaticECDH) {
		return fmt.Errorf("%w: ProofTo, ProofKey and StaticECDH are not for this proof of possession", ErrOptions)
	}
	switch r.POP {
	case POPNone:
		return nil
	case POPRAVerified:
		m.POPO = crmf.RAVerified{}
		return nil
	case POPEncrCert, POPChallenge:
		use, err := q.decryptionUse(m.CertReq.Template.PublicKey)
		if err != nil {
			return err
		}
		pop := &crmf.POPOPrivKey{Use: use, Form: crmf.SubsequentMessage, Subsequent: crmf.EncrCert}
		if r.POP == POPChallenge {
			pop.Subsequent = crmf.ChallengeResp
		}
		m.POPO = pop
		return nil
	case POPAgreeMAC, POPAgreeSignature:
		return q.proveByAgreement(m, r)
	case POPEncryptedKey, POPThisMessage:
		return q.proveByKey(m, r)
	case POPSignatureInput:
		if r.Key == nil || m.CertReq.Template.Subject != nil {
			return fmt.Errorf("%w: a proof by signature of its own input needs the private key, and no subject", ErrOptions)
		}
	case POPSignature:
	default:
		return fmt.Errorf("%w: unknown proof of possession %d", ErrOptions, r.POP)
	}
	if r.CentralKey != nil {
		return nil // there is no key yet
	}
	if r.Key == nil {
		return fmt.Errorf("%w: a proof by signature needs the private key", ErrOptions)
	}
	a, err := alg.SignatureFor(r.Key.Public(), r.Signature)
	if err != nil {
		return err
	}
	if r.POP == POPSignatureInput {
		in, err := q.signingInput(m.CertReq.Template.PublicKey)
		if err != nil {
			return err
		}
		m.POPO, err = crmf.SignPOPInput(q.Credentials.Rand, r.Key, a, in)
		return err
	}
	der, err := m.CertReq.Bytes()
	if err != nil {
		return err
	}
	pop, err := crmf.SignPOP(q.Credentials.Rand, r.Key, a, der)
	if err != nil {
		return err
	}
	m.POPO = pop
	return nil
}

// signingInput names who asks: the sender where a certificate vouches for it,
// and else who has the shared secret.
func (q *request) signingInput(spki pkix.SubjectPublicKeyInfo) (*crmf.POPOSigningKeyInput, error) {
	in := &crmf.POPOSigningKeyInput{PublicKey: spki}
	c := &q.Credentials
	if len(c.Secret) == 0 {
		sender, _, err := q.names()
		in.Sender = pkix.NewDirectoryName(sender)
		return in, err
	}
	mac, err := c.MAC.make(c.Rand)
	if err != nil {
		return nil, err
	}
	in.PublicKeyMAC, err = crmf.SignPublicKeyMAC(mac, spki, c.Secret)
	return in, err
}

// decryptionUse tells how the owner of a key can decrypt with it.
func (q *request) decryptionUse(spki pkix.SubjectPublicKeyInfo) (int, error) {
	pub, err := alg.ParsePublicKey(spki)
	if err != nil {
		return 0, fmt.Errorf("%w: public key: %w", ErrOptions, err)
	}
	switch uses := alg.Uses(pub); {
	case uses&(alg.UseEncipher|alg.UseEncapsulate) != 0:
		return crmf.KeyEncipherment, nil
	case uses&alg.UseAgree != 0:
		return crmf.KeyAgreement, nil
	}
	return 0, fmt.Errorf("%w: a key of type %s cannot decrypt", ErrOptions, alg.KeyType(pub))
}

func (q *request) revocations() (cmp.Body, error) {
	b := &cmp.RevReqContent{}
	for i := range q.Revocations {
		d, err := q.revocation(&q.Revocations[i])
		if err != nil {
			return nil, fmt.Errorf("revocation %d: %w", i, err)
		}
		b.Details = append(b.Details, *d)
	}
	return b, nil
}

func (q *request) revocation(r *Revocation) (*cmp.RevDetails, error) {
	issuer, serial := r.Issuer, r.Serial
	if r.Certificate != nil {
		c, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate to revoke: %w", ErrOptions, err)
		}
		if issuer != nil && !bytes.Equal(issuer, c.RawIssuer) || serial != nil && serial.Cmp(c.SerialNumber) != 0 {
			return nil, fmt.Errorf("%w: issuer or serial number are not those of the certificate", ErrOptions)
		}
		issuer, serial = c.RawIssuer, c.SerialNumber
	}
	if issuer == nil || serial == nil {
		return nil, fmt.Errorf("%w: a certificate, or issuer and serial number, are needed", ErrOptions)
	}
	d := &cmp.RevDetails{CertDetails: crmf.CertTemplate{Issuer: issuer, SerialNumber: serial}}
	switch {
	case r.NoReason && r.Reason != 0:
		return nil, fmt.Errorf("%w: both a reason and NoReason", ErrOptions)
	case r.NoReason:
	case r.Reason.String() == "unknown":
		return nil, fmt.Errorf("%w: there is no reason %d", ErrOptions, int(r.Reason))
	default:
		d.CRLEntryDetails = append(d.CRLEntryDetails, pkix.ReasonCodeExtension(r.Reason))
	}
	if !r.InvalidityDate.IsZero() {
		e, err := pkix.InvalidityDateExtension(r.InvalidityDate)
		if err != nil {
			return nil, fmt.Errorf("%w: invalidity date: %w", ErrOptions, err)
		}
		d.CRLEntryDetails = append(d.CRLEntryDetails, e)
	}
	if q.issuer == nil {
		q.issuer = issuer
	}
	q.session.Revocations = append(q.session.Revocations, RevokeItem{Issuer: Octets(issuer), Serial: serial.String()})
	return d, nil
}
