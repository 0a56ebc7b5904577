package cmpcore

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// requester is who protected a message, after the protection was checked.
type requester struct {
	// identity is the text under which transactions and certificates remember
	// the requester: "secret:REF", "cert:SERIAL" for a certificate of this CA,
	// "cert:sha256:..." for one of another; "passphrase:" and one of these for
	// a revocation passphrase.
	identity string

	secret      *Secret // with MAC protection
	secretValue []byte
	mac         *alg.MAC

	phrase *Passphrase // with a MAC by a revocation passphrase; secretValue and mac are of it

	dh       *alg.DHBM // with a MAC by Diffie-Hellman
	dhSecret []byte

	kem bool // with a MAC by a KEM

	cert    *x509.Certificate // with all but a shared secret
	issued  *Certificate      // our record of cert, nil where another CA issued it
	revoked *failure          // set: cert, of another CA, is revoked, or it is not known whether
}

func transactionKey(identity string, transactionID []byte) TransactionKey {
	// The length keeps the two apart: a reference may have octets of any value.
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 128), uint32(len(identity)))
	b = append(append(b, identity...), transactionID...)
	sum := sha256.Sum256(b)
	return TransactionKey(sum[:16])
}

// authenticate checks the protection and sets x.who (RFC 9810 section 5.1.3).
func (x *exchange) authenticate() error {
	var who *requester
	var err error
	switch cmp.ProtectionKind(x.msg.Header.ProtectionAlg) {
	case cmp.ProtectionNone:
		return refuse(cmp.BadMessageCheck, "the message is not protected")
	case cmp.ProtectionMAC:
		who, err = x.authenticateMAC()
	case cmp.ProtectionSignature:
		who, err = x.authenticateSignature()
	case cmp.ProtectionDHMAC:
		who, err = x.authenticateDHMAC()
	case cmp.ProtectionKEMMAC:
		who, err = x.authenticateKEMMAC()
	default:
		return refuse(cmp.BadAlg, "this kind of protection is not supported").
			because("protectionAlg %s", x.msg.Header.ProtectionAlg.OID)
	}
	if err != nil {
		return err
	}
	x.who = who
	if err := x.openCiphertext(); err != nil {
		return err
	}
	return x.checkRequester()
}

// checkRequester is what may be told to a requester that has proven itself.
func (x *exchange) checkRequester() error { return x.checkRevocation(x.who) }

// checkRevocation refuses the holder of a revoked certificate, and relies on one
// of ours.
func (x *exchange) checkRevocation(who *requester) error {
	if who.revoked != nil {
		return who.revoked
	}
	if c := who.issued; c != nil {
		switch c.Status {
		case Revoked, RejectedByHolder:
			return refuse(cmp.CertRevoked, "the signer's certificate is revoked").because("serial %x", c.Serial)
		}
		x.relyOn([]Reliance{{CertificateSerial: c.Serial, Version: c.Version}})
	}
	return nil
}

// checkExpiry: an expired secret begins nothing, but what it began it may end:
// a certificate must not be lost because its certConf was long on its way.
func (x *exchange) checkExpiry() error {
	if s := x.who.secret; s != nil && x.tx == nil && !s.Expires.IsZero() && !x.now.Before(s.Expires) {
		return refuse(cmp.NotAuthorized, "the shared secret has expired").because("reference %q, on %s", s.Ref, s.Expires)
	}
	return nil
}

// The text for every way in which a MAC is not right, so that it does not tell
// which references exist.
const badMAC = "the message authentication code does not verify, or its reference is unknown"

func (x *exchange) authenticateMAC() (*requester, error) {
	if p, err := x.findPassphrase(); err != nil {
		return nil, err
	} else if p != nil {
		return x.authenticatePassphrase(p)
	}
	h := &x.msg.Header
	if len(h.SenderKID) == 0 {
		return nil, refuse(cmp.BadMessageCheck, badMAC).because("senderKID is missing")
	}
	if !x.policy.tolerates("mac-sender") {
		if err := checkMACSender(h); err != nil {
			return nil, err
		}
	}
	mac, err := alg.ParseMAC(h.ProtectionAlg, x.policy.MAC)
	if err != nil {
		return nil, refuse(cmp.BadAlg, "the MAC algorithm or its parameters are not accepted").because("%v", err)
	}
	mac = mac.Keeping() // for the answer
	ref := string(h.SenderKID)
	secret, err := x.view.Secret(x.ctx, ref)
	if err != nil {
		return nil, err
	}
	if secret == nil {
		// As long as with a reference that exists, so that time does not tell.
		mac.Verify([]byte("no secret"), x.msg.ProtectedPart(), x.msg.Protection)
		return nil, refuse(cmp.BadMessageCheck, badMAC).because("no shared secret has the reference %.64q", ref)
	}
	value, err := x.cfg.Unseal(secret)
	if err != nil {
		return nil, fmt.Errorf("open shared secret %.64q: %w", ref, err)
	}
	if !mac.Verify(value, x.msg.ProtectedPart(), x.msg.Protection) {
		return nil, refuse(cmp.BadMessageCheck, badMAC).because("wrong MAC under reference %.64q", ref)
	}
	return &requester{identity: "secret:" + ref, secret: secret, secretValue: value, mac: mac}, nil
}

// checkMACSender: sender is a directoryName with the reference as its common
// name (RFC 9483 section 3.1).
func checkMACSender(h *cmp.PKIHeader) error {
	name, ok := h.Sender.DirectoryName()
	if ok {
		if slices.Contains(name.Get(pkix.OIDCommonName), string(h.SenderKID)) {
			return nil
		}
	}
	return refuse(cmp.BadMessageCheck, "sender must have the common name of the shared secret's reference")
}

func (x *exchange) authenticateSignature() (*requester, error) {
	who, pub, err := x.certificateHolder(x509.KeyUsageDigitalSignature, "digital signatures")
	if err != nil {
		return nil, err
	}
	if err := x.msg.VerifySignature(pub, x.policy.Signatures); err != nil {
		text := "the signature does not verify"
		if !errors.Is(err, alg.ErrSignature) {
			text = "the signature algorithm is not accepted"
		}
		return nil, refuse(cmp.FailInfoFor(err), text).because("%v", err)
	}
	return who, nil
}

// certificateHolder finds the certificate under which the message claims to be
// protected, and gives its key and who its holder is. That the holder has
// protected the message is still to be checked.
func (x *exchange) certificateHolder(usage x509.KeyUsage, use string) (*requester, crypto.PublicKey, error) {
	h := &x.msg.Header
	der, err := x.signerCertificate()
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, refuse(cmp.BadDataFormat, "the first certificate of extraCerts could not be read").because("%v", err)
	}
	if name, ok := h.Sender.DirectoryName(); !ok || !name.Matches(pkix.Name(cert.RawSubject)) {
		return nil, nil, refuse(cmp.BadMessageCheck, "sender is not the subject of "+x.theCertificate())
	}
	switch {
	case len(h.SenderKID) == 0:
		if len(cert.SubjectKeyId) != 0 && x.policy.Lightweight && !x.policy.tolerates("no-sender-kid") {
			return nil, nil, refuse(cmp.BadMessageCheck, "senderKID is missing")
		}
	case len(cert.SubjectKeyId) != 0 && !bytes.Equal(h.SenderKID, cert.SubjectKeyId):
		return nil, nil, refuse(cmp.BadMessageCheck, "senderKID is not the subject key identifier of "+x.theCertificate())
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&usage == 0 {
		return nil, nil, refuse(cmp.SignerNotTrusted, x.theCertificate()+" may not be used for "+use)
	}
	who := &requester{cert: cert}
	if err := x.trust(who); err != nil {
		return nil, nil, err
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, nil, refuse(cmp.BadAlg, "the key of "+x.theCertificate()+" is not supported").because("%v", err)
	}
	return who, pub, nil
}

// theCertificate names the certificate under which the message is protected.
func (x *exchange) theCertificate() string {
	if cmp.ProtectionKind(x.msg.Header.ProtectionAlg) == cmp.ProtectionSignature {
		return "the certificate that signs"
	}
	return "the certificate that protects"
}

// signerCertificate is extraCerts[0], or where the sender left it out because
// we know it, the certificate that senderKID names: one of this CA, or one that
// a rule pins. OpenSSL 3.0 leaves out its certificate where it is self-signed.
func (x *exchange) signerCertificate() ([]byte, error) {
	if len(x.msg.ExtraCerts) > 0 {
		return x.msg.ExtraCerts[0], nil
	}
	kid := x.msg.Header.SenderKID
	if name, ok := x.msg.Header.Sender.DirectoryName(); ok && len(kid) > 0 {
		der, err := x.ourCertificate(kid, name)
		if der != nil || err != nil {
			return der, err
		}
		for i := range x.cfg.Rules {
			if w := x.cfg.Rules[i].Certificate; w != nil {
				for _, a := range w.Anchors {
					if bytes.Equal(kid, a.SubjectKeyId) && name.Matches(pkix.Name(a.RawSubject)) {
						return a.Raw, nil
					}
				}
			}
		}
	}
	return nil, refuse(cmp.SignerNotTrusted, "extraCerts lacks "+x.theCertificate())
}

// ourCertificate finds a certificate of this CA by its key and subject.
func (x *exchange) ourCertificate(kid []byte, name pkix.Name) ([]byte, error) {
	var id [20]byte
	if len(kid) != len(id) {
		return nil, nil
	}
	copy(id[:], kid)
	certs, err := x.view.CertificatesOfKey(x.ctx, id, 16)
	if err != nil {
		return nil, err
	}
	for _, c := range certs {
		if name.Matches(c.Subject) {
			return c.DER, nil
		}
	}
	return nil, nil
}

// trust finds out whether the signer's certificate is one of this CA or chains
// to an anchor of some rule, and sets who's identity. It costs no signature
// check for our own certificates: those are compared with what was issued.
func (x *exchange) trust(who *requester) error {
	cert := who.cert
	if x.now.Before(cert.NotBefore) || x.now.After(cert.NotAfter) {
		return refuse(cmp.SignerNotTrusted, x.theCertificate()+" is not valid at this time").
			because("valid from %s to %s", cert.NotBefore, cert.NotAfter)
	}
	rec, err := x.record(cert)
	if err != nil {
		return err
	}
	if rec != nil {
		who.issued = rec
		who.identity = certIdentity(cert, true)
		return nil
	}
	// All anchors at once: a stranger is to cost no more where there are many rules.
	bad, err := x.chainsTo(cert, x.anchors)
	if err != nil {
		return err
	}
	if bad != nil {
		if who.revoked = x.distrust(bad); who.revoked == nil {
			return refuse(cmp.SignerNotTrusted, x.theCertificate()+" is not trusted here").
				because("subject %.200q", pkix.Name(cert.RawSubject).String())
		}
	}
	who.identity = certIdentity(cert, false)
	return nil
}

func certIdentity(c *x509.Certificate, issuedHere bool) string {
	if issuedHere {
		return "cert:" + hex.EncodeToString(c.SerialNumber.Bytes())
	}
	sum := sha256.Sum256(c.Raw)
	return "cert:sha256:" + hex.EncodeToString(sum[:])
}

// maxPathCerts bounds the certificates of a stranger that path building may
// use: each may cost signature checks.
const maxPathCerts = 8

// intermediates are those certificates of extraCerts that could be of CAs, with
// keys of a kind and size that does not make a signature check an attack.
func (x *exchange) intermediates() []*x509.Certificate {
	if x.inter != nil {
		return x.inter
	}
	x.inter = []*x509.Certificate{}
	certs := x.msg.ExtraCerts
	for _, der := range certs[min(1, len(certs)):min(1+maxPathCerts, len(certs))] {
		c, err := x509.ParseCertificate(der)
		if err != nil || !c.IsCA {
			continue
		}
		if _, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(c.RawSubjectPublicKeyInfo)); err == nil {
			x.inter = append(x.inter, c)
		}
	}
	return x.inter
}
