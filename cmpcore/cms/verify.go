package cms

import (
	"crypto/subtle"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Signature is one that verified.
type Signature struct {
	Certificate []byte // the signer's
	Algorithm   pkix.AlgorithmIdentifier
	SigningTime time.Time // as the signer says; zero where it does not
}

// VerifyPolicy says what signatures are accepted. nil and the zero value stand
// for those of RFC 9483.
type VerifyPolicy struct {
	Signature *alg.SignaturePolicy
	// AllowNoAttributes admits signatures over the content itself, of the type
	// OIDData.
	AllowNoAttributes bool
}

// Verify checks all signatures and gives the content, and who signed it: one
// Signature for each SignerInfo. known are certificates to look in besides those
// of the message. Whether a signer is to be trusted for this, by its chain,
// its extKeyUsage and the time, is left to the caller. The error wraps
// [ErrSigner] or an error of package alg.
func (s *SignedData) Verify(known [][]byte, p *VerifyPolicy) (content []byte, by []Signature, err error) {
	if p == nil {
		p = &VerifyPolicy{}
	}
	for n, i := range s.signers {
		sig, err := s.verify(i, known, p)
		if err != nil {
			return nil, nil, fmt.Errorf("signature %d: %w", n, err)
		}
		by = append(by, *sig)
	}
	return s.content, by, nil
}

func (s *SignedData) verify(i *signerInfo, known [][]byte, p *VerifyPolicy) (*Signature, error) {
	cert, err := s.signer(i.sid, known)
	if err != nil {
		return nil, err
	}
	pub, err := cert.key()
	if err != nil {
		return nil, at("signer", err)
	}
	sigAlg, err := fullSignature(i.signature, i.digest, pub)
	if err != nil {
		return nil, err
	}
	if err := checkDigest(sigAlg, i.digest); err != nil {
		return nil, err
	}
	out := &Signature{Certificate: cert.raw, Algorithm: sigAlg}
	message := i.signed
	if i.attrs == nil {
		// Without attributes a signature over those of another message, which
		// start with the tag SET, would do for a content that looks the same.
		if !p.AllowNoAttributes || s.ContentType != OIDData || len(s.content) > 0 && asn1.Tag(s.content[0]) == asn1.SET {
			return nil, forbidden("signature without signed attributes")
		}
		message = s.content
	} else if out.SigningTime, err = s.checkAttributes(i); err != nil {
		return nil, err
	}
	if err := alg.Verify(sigAlg, pub, message, i.value, p.Signature); err != nil {
		return nil, err
	}
	return out, nil
}

// checkAttributes does RFC 5652 section 5.6 and RFC 6211 section 3.
func (s *SignedData) checkAttributes(i *signerInfo) (signingTime time.Time, err error) {
	if !contentTypeIs(i.attrs, s.ContentType) {
		return signingTime, malformed("signedAttrs: content-type")
	}
	v, _, ok := single(i.attrs, oidMessageDigest)
	var md cryptobyte.String
	if !ok || !v.ReadASN1(&md, asn1.OCTET_STRING) || !v.Empty() {
		return signingTime, malformed("signedAttrs: message-digest")
	}
	want, err := sum(i.digest, s.content)
	if err != nil {
		return signingTime, err
	}
	if subtle.ConstantTimeCompare(md, want) != 1 {
		return signingTime, at("message-digest", alg.ErrSignature)
	}
	if v, present, ok := single(i.attrs, oidSigningTime); present {
		if signingTime, present = pkix.ReadTime(&v); !ok || !present || !v.Empty() {
			return signingTime, malformed("signedAttrs: signing-time")
		}
	}
	if v, present, ok := single(i.attrs, oidProtection); present && (!ok || !isProtection(v, i.digest, i.signature)) {
		return signingTime, at("signedAttrs: CMSAlgorithmProtection", alg.ErrMismatch)
	}
	return signingTime, nil
}

// signer finds the certificate that is named. A certificate that cannot be read
// is passed over: it may be of no use to anybody.
func (s *SignedData) signer(sid Identifier, known [][]byte) (*certificate, error) {
	for _, list := range [][][]byte{s.Certificates, known} {
		for _, raw := range list {
			c, err := parseCertificate(raw)
			if err != nil || !c.is(sid) {
				continue
			}
			if !c.allows(pkix.DigitalSignature) {
				return nil, at("keyUsage without digitalSignature", ErrSigner)
			}
			return c, nil
		}
	}
	return nil, ErrSigner
}
