package client

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// certificates reads an ip, cp, kup or ccp (RFC 9810 section 5.3.4).
func (s *Session) certificates(m *cmp.PKIMessage, b *cmp.CertRepMessage, c *Credentials, r *Result) error {
	if r.Signer == nil {
		r.CAPubs = b.CAPubs
	} else {
		r.UntrustedCAPubs = b.CAPubs
	}
	responses, err := s.match(b)
	if err != nil {
		return err
	}
	implicit := s.ImplicitConfirm && hasImplicitConfirm(m)
	others := slices.Concat(b.CAPubs, m.ExtraCerts)
	pool := newPool(others)
	keys := keyOpener{s: s, c: c, anchors: c.Trust.Anchors, others: m.ExtraCerts, pinned: c.Trust.Signer}
	if r.Signer == nil {
		keys.anchors = slices.Concat(keys.anchors, r.CAPubs)
	}
	for i := range s.Items {
		it := &s.Items[i]
		resp := responses[it]
		if resp == nil || settled(it) {
			continue
		}
		if s.Kind == "p10cr" {
			it.CertReqID = resp.CertReqID.Int64() // certConf follows the peer
		}
		cert, err := it.answer(resp, c, others, &keys, implicit)
		if err != nil {
			return fmt.Errorf("certReqId %d: %w", it.CertReqID, err)
		}
		if cert.Certificate != nil {
			cert.Chain, cert.Complete = pool.path(cert.Certificate)
		}
		if it.State == ItemWaiting {
			if r.Waiting == nil {
				r.Waiting = &Waiting{}
			}
			r.Waiting.Reason = append(r.Waiting.Reason, resp.Status.StatusString...)
		}
		r.Certificates = append(r.Certificates, *cert)
	}
	s.Whole = false
	return s.afterCertificates(c, r)
}

// afterCertificates decides what follows: certConf first, then polling for the
// rest, as the diagram of RFC 9810 section 5.3.22 has it.
func (s *Session) afterCertificates(c *Credentials, r *Result) error {
	switch {
	case s.any(ItemIssued) || s.any(ItemUnfit):
		if err := s.sendConfirm(c, r); err != nil {
			return err
		}
	case s.any(ItemWaiting):
		return s.sendPoll(c, r)
	default:
		s.Step = StepFinished
	}
	return nil
}

func settled(it *Item) bool { return it.State != ItemAsked && it.State != ItemWaiting }

// match holds the certReqIds of the answer against those of the request: each
// once, and all of them in the first answer. After polling, those that were
// settled before may come again with the same certificate.
func (s *Session) match(b *cmp.CertRepMessage) (map[*Item]*cmp.CertResponse, error) {
	index := s.index()
	found := make(map[*Item]*cmp.CertResponse, len(s.Items))
	for i := range b.Responses {
		resp := &b.Responses[i]
		it := index.find(resp.CertReqID)
		switch {
		case it == nil:
			return nil, fmt.Errorf("%w: %s was not asked for", ErrCertReqID, number(resp.CertReqID))
		case found[it] != nil:
			return nil, fmt.Errorf("%w: %d is answered twice", ErrCertReqID, it.CertReqID)
		case settled(it):
			kp := resp.CertifiedKeyPair
			if kp != nil && !bytes.Equal(kp.Certificate, it.Certificate) {
				return nil, fmt.Errorf("%w: %d was answered before, with another certificate", ErrCertReqID, it.CertReqID)
			}
		}
		found[it] = resp
	}
	if s.Step != StepAnswer && s.Step != StepProof && !s.Whole {
		return found, nil
	}
	for i := range s.Items {
		if found[&s.Items[i]] == nil {
			return nil, fmt.Errorf("%w: %d is not answered", ErrCertReqID, s.Items[i].CertReqID)
		}
	}
	return found, nil
}

var errNoCertificate = errors.New("the status grants a certificate, but none is there")

// answer reads one response and moves its item.
func (it *Item) answer(resp *cmp.CertResponse, c *Credentials, others [][]byte, keys *keyOpener, implicit bool) (*Certificate, error) {
	out := &Certificate{CertReqID: it.CertReqID, Status: resp.Status, RspInfo: resp.RspInfo}
	defer func() { out.State = it.State }()
	var revoked error
	switch resp.Status.Status {
	case cmp.Rejection:
		it.State = ItemRefused
		return out, nil
	case cmp.Waiting:
		it.State = ItemWaiting
		return out, nil
	case cmp.RevocationNotification:
		revoked = errors.New("the CA says that it is revoked already")
	case cmp.RevocationWarning:
		out.Changes = append(out.Changes, "the CA warns of a revocation to come")
	case cmp.KeyUpdateWarning:
		if resp.CertifiedKeyPair == nil {
			it.State = ItemRefused // RFC 9810 section 5.2.3: updated before
			return out, nil
		}
		out.Changes = append(out.Changes, "the CA says that the old certificate was updated before")
	case cmp.Accepted, cmp.GrantedWithMods:
	default:
		return nil, fmt.Errorf("%w: status %d", ErrBody, int(resp.Status.Status))
	}
	kp := resp.CertifiedKeyPair
	if kp == nil {
		return nil, fmt.Errorf("%w: %w", ErrBody, errNoCertificate)
	}
	out.PrivateKey = kp.PrivateKey
	der := kp.Certificate
	if der == nil {
		if kp.EncryptedCert == nil {
			return nil, fmt.Errorf("%w: %w", ErrBody, errNoCertificate)
		}
		var err error
		if der, err = c.decryptCertificate(it, kp.EncryptedCert); err != nil {
			return nil, err
		}
		implicit = false // the confirmation is the proof of possession
	}
	it.Certificate = der
	why, info := revoked, cmp.IncorrectData
	if why == nil {
		var changes []string
		changes, info, why = it.compare(der, resp.Status.Status, c, others)
		out.Changes = append(out.Changes, changes...)
	}
	if why == nil && it.CentralKey {
		if out.Key, info, why = keys.open(kp.PrivateKey, der); errors.Is(why, ErrCredentials) {
			return nil, why
		}
	}
	if why == nil {
		out.Certificate = der
		if it.State = ItemIssued; implicit {
			it.State = ItemConfirmed
		}
		return out, nil
	}
	out.Rejected, out.Err = der, why
	if it.State = ItemUnfit; implicit {
		it.State = ItemRejected // too late to say so: only a revocation helps
		out.Err = fmt.Errorf("%w; it counts as confirmed, so have it revoked", why)
	}
	it.FailInfo, it.Reason = uint32(info), why.Error()
	return out, nil
}

// compare holds a certificate against the request. A key that is not ours, and
// a subject that is not ours where the CA says that it granted what was asked
// for, make it unfit; other differences are for people.
func (it *Item) compare(der []byte, status cmp.PKIStatus, c *Credentials, others [][]byte) (changes []string, info cmp.PKIFailureInfo, err error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return changes, cmp.BadDataFormat, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	if it.PublicKey != nil && !sameKey(pkix.SubjectPublicKeyInfo(it.PublicKey), cert.RawSubjectPublicKeyInfo) {
		return changes, cmp.IncorrectData, errors.New("the certificate is for another public key")
	}
	subject := pkix.Name(cert.RawSubject)
	if want := pkix.Name(it.Subject); want != nil && !subject.Matches(want) {
		// Who asks without a subject leaves it to the CA.
		if status == cmp.Accepted && !it.AnySubject && !want.IsEmpty() {
			return changes, cmp.IncorrectData, fmt.Errorf("the certificate is for another subject: %.200q", subject.String())
		}
		changes = append(changes, fmt.Sprintf("subject is %.200q, not %.200q", subject.String(), want.String()))
	}
	if it.CA && !(cert.BasicConstraintsValid && cert.IsCA) {
		return changes, cmp.IncorrectData, errors.New("the certificate is not one of a CA")
	}
	have := certSANs(cert)
	for _, g := range it.SANs {
		if !slices.ContainsFunc(have, func(h pkix.GeneralName) bool { return sameName(h, pkix.GeneralName(g)) }) {
			changes = append(changes, fmt.Sprintf("alternative name %.200q is not in the certificate", pkix.GeneralName(g).String()))
		}
	}
	if c.Now.After(cert.NotAfter) {
		return changes, cmp.BadTime, fmt.Errorf("the certificate has expired at %s", cert.NotAfter.UTC().Format("2006-01-02 15:04"))
	}
	if len(c.Trust.Issued) > 0 {
		if err := verifyChain(cert, c.Trust.Issued, slices.Concat(others, c.Trust.Untrusted), c); err != nil {
			return changes, cmp.SignerNotTrusted, fmt.Errorf("the certificate's issuer is not trusted: %w", err)
		}
	}
	return changes, 0, nil
}

func hasImplicitConfirm(m *cmp.PKIMessage) bool {
	return slices.ContainsFunc(m.Header.GeneralInfo, func(i cmp.InfoTypeAndValue) bool { return i.Type == cmp.OIDImplicitConfirm })
}
