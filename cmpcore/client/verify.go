package client

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// maxCandidates bounds how many certificates are tried as the signer of a
// message that does not put its own first.
const maxCandidates = 8

// authenticate checks the protection. It gives the signer's certificate, nil
// where a MAC protects.
func (s *Session) authenticate(m *cmp.PKIMessage, c *Credentials) (*x509.Certificate, error) {
	if s.KEM != nil && cmp.ProtectionKind(m.Header.ProtectionAlg) == cmp.ProtectionKEMMAC && m.Protection != nil {
		return nil, s.authenticateKEM(m, c)
	}
	if s.Protection.Method == MethodMAC && cmp.ProtectionKind(m.Header.ProtectionAlg) != cmp.ProtectionSignature {
		return nil, m.VerifyMAC(c.Secret, c.Trust.MACPolicy)
	}
	if s.Protection.Method == MethodDHMAC && cmp.ProtectionKind(m.Header.ProtectionAlg) == cmp.ProtectionDHMAC && m.Protection != nil {
		return nil, c.authenticateDHMAC(m)
	}
	// A signature in answer to a MAC is as good as the anchors the caller gave
	// for it.
	if s.isCiphertext(m) && m.Header.ProtectionAlg.IsZero() && m.Protection == nil {
		return nil, nil // RFC 9810 appendix E: another's ciphertext gives a MAC that the CA refuses
	}
	if cmp.ProtectionKind(m.Header.ProtectionAlg) == cmp.ProtectionNone || m.Protection == nil {
		return nil, cmp.ErrUnprotected
	}
	var cert *x509.Certificate
	var err error
	if c.Trust.Signer != nil {
		if cert, err = x509.ParseCertificate(c.Trust.Signer); err != nil {
			return nil, fmt.Errorf("%w: the signer to trust: %w", ErrCredentials, err)
		}
	} else {
		if len(c.Trust.Anchors) == 0 {
			return nil, fmt.Errorf("%w: the answer is signed, but no trust anchor is given", ErrSigner)
		}
		if cert, err = findSigner(m, c); err != nil {
			return nil, err
		}
	}
	if !names(m, cert) {
		return nil, fmt.Errorf("%w: sender %.200q or senderKID are not those of the signer's certificate", ErrSender, m.Header.Sender.String())
	}
	pub, err := alg.ParsePublicKey(cert.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, fmt.Errorf("signer's key: %w", err)
	}
	if err := m.VerifySignature(pub, c.Trust.SignaturePolicy); err != nil {
		return nil, err
	}
	if err := s.checkSigner(m, c, cert); err != nil {
		return nil, err
	}
	return cert, nil
}

// findSigner picks the protection certificate: the first of extraCerts (RFC
// 9483 section 3.3) or, for peers that send it elsewhere or not at all, the one
// that sender and senderKID name.
func findSigner(m *cmp.PKIMessage, c *Credentials) (*x509.Certificate, error) {
	var fallback *x509.Certificate
	for i, der := range slices.Concat(m.ExtraCerts, c.Trust.Untrusted, c.Trust.Anchors) {
		if i >= maxCandidates+len(c.Trust.Untrusted)+len(c.Trust.Anchors) {
			break
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		if names(m, cert) {
			return cert, nil
		}
		if i == 0 && len(m.ExtraCerts) > 0 {
			fallback = cert
		}
	}
	if fallback != nil {
		return fallback, nil // the checks to come say what is wrong with it
	}
	return nil, fmt.Errorf("%w: the answer has no certificate of its signer", ErrSigner)
}

// names tells whether the header speaks of this certificate.
func names(m *cmp.PKIMessage, cert *x509.Certificate) bool {
	n, ok := m.Header.Sender.DirectoryName()
	if !ok || !n.Matches(cert.RawSubject) {
		return false
	}
	return m.Header.SenderKID == nil || cert.SubjectKeyId == nil || bytes.Equal(m.Header.SenderKID, cert.SubjectKeyId)
}

// checkSigner tells whether the certificate may speak for its subject, to us.
func (s *Session) checkSigner(m *cmp.PKIMessage, c *Credentials, cert *x509.Certificate) error {
	if c.Now.Before(cert.NotBefore) || c.Now.After(cert.NotAfter) {
		return fmt.Errorf("%w: its certificate is not valid at %s", ErrSigner, c.Now.Format("2006-01-02 15:04"))
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 && !c.Trust.IgnoreKeyUsage {
		return fmt.Errorf("%w: its certificate's keyUsage lacks digitalSignature", ErrSigner)
	}
	if c.Trust.Signer != nil {
		return nil
	}
	others := slices.Concat(m.ExtraCerts, c.Trust.Untrusted)
	// What the key may do is said by the certificate that is trusted: of one that
	// is so through a link alone, anything could be written in it by its holder.
	trusted := cert
	if err := verifyChain(cert, c.Trust.Anchors, others, c); err != nil {
		if trusted = verifyLink(cert, c.Trust.Anchors, others, c); trusted == nil {
			return fmt.Errorf("%w: %w", ErrSigner, err)
		}
	}
	if !c.Trust.AnySigner && !s.mayAnswer(trusted, c) {
		return fmt.Errorf("%w: %.200q is neither a CA nor a CMP CA or RA by its extended key usage, nor the expected sender or the recipient of the request",
			ErrSigner, pkix.Name(cert.RawSubject).String())
	}
	return nil
}

// mayAnswer keeps the holder of just any certificate of the CA from answering
// in its stead (RFC 9810 section 8.6).
func (s *Session) mayAnswer(cert *x509.Certificate, c *Credentials) bool {
	if cert.BasicConstraintsValid && cert.IsCA {
		return true
	}
	if hasPurpose(cert, pkix.OIDCMCCA, pkix.OIDCMCRA) {
		return true
	}
	for _, a := range c.Trust.Anchors {
		if bytes.Equal(a, cert.Raw) {
			return true
		}
	}
	subject := pkix.Name(cert.RawSubject)
	if s.ExpectSender != nil && subject.Matches(pkix.Name(s.ExpectSender)) {
		return true
	}
	to, ok := pkix.GeneralName(s.Recipient).DirectoryName()
	return ok && !to.IsEmpty() && subject.Matches(to)
}

// maxLinks bounds the certificates of one key that are tried.
const maxLinks = 4

// verifyLink looks for a path from another certificate of the same name and
// key: a root with a new key signs as itself, but is trusted through the link
// that its old key signed (RFC 9810 section 4.4.2.2). It gives that link, which
// is of a CA; nil: there is none.
func verifyLink(cert *x509.Certificate, anchors, others [][]byte, c *Credentials) *x509.Certificate {
	tried := 0
	for i, der := range others {
		if i == maxPool || tried == maxLinks {
			break
		}
		l, err := x509.ParseCertificate(der)
		if err != nil || !l.BasicConstraintsValid || !l.IsCA || l.Equal(cert) || !bytes.Equal(l.RawSubject, cert.RawSubject) || !bytes.Equal(l.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo) {
			continue
		}
		if tried++; verifyChain(l, anchors, others, c) == nil {
			return l
		}
	}
	return nil
}

// verifyChain looks for a path to an anchor at the given time.
func verifyChain(cert *x509.Certificate, anchors, others [][]byte, c *Credentials) error {
	o := certpath.Options{Time: c.Now, NeedCRL: c.Trust.NeedCRL}
	for _, der := range c.Trust.CRLs {
		l, err := certpath.ParseCRL(der)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCredentials, err)
		}
		o.CRLs = append(o.CRLs, l)
	}
	for _, a := range anchors {
		x, err := x509.ParseCertificate(a)
		if err != nil {
			return fmt.Errorf("%w: trust anchor: %w", ErrCredentials, err)
		}
		o.Anchors = append(o.Anchors, x)
	}
	for i, der := range others {
		if i == maxPool {
			break
		}
		if x, err := x509.ParseCertificate(der); err == nil {
			o.Others = append(o.Others, x)
		}
	}
	_, err := certpath.Verify(cert, o)
	return err
}

// maxPool bounds the certificates of a peer that are considered for a chain.
const maxPool = 100
