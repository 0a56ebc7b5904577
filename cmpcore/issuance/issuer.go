package issuance

import (
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Issuer is a CA: its certificate, its key, and what of every certificate is
// always the same. It does not change; it may be used concurrently if the
// signer may.
type Issuer struct {
	cert      []byte
	subject   pkix.Name
	rdns      []rdn
	keyID     []byte
	public    crypto.PublicKey
	notBefore time.Time
	notAfter  time.Time
	pathLen   int // -1: no limit
	limits    *nameLimits

	signer    crypto.Signer
	sigAlg    pkix.AlgorithmIdentifier
	sigAlgDER []byte
	sigSize   int // expected, to allocate once

	akiValue []byte
	akiDER   []byte // the whole Extension

	trial *standIn // what Rehearse signs with
}

// NewIssuer joins a CA certificate and its key. The name of the signature
// algorithm is one of package alg; empty is the key's default. It refuses a
// key that is not the certificate's, and certificates without the CA flag or
// without keyCertSign and cRLSign in keyUsage.
func NewIssuer(certDER []byte, signer crypto.Signer, sigAlgName string) (*Issuer, error) {
	fail := func(format string, args ...any) (*Issuer, error) {
		return nil, fmt.Errorf("CA certificate: %w", fmt.Errorf(format, args...))
	}
	if signer == nil {
		return nil, errors.New("CA key: there is none")
	}
	c, err := parseCertificate(certDER)
	if err != nil {
		return fail("%w", err)
	}
	is := &Issuer{
		cert: slices.Clone(certDER), subject: slices.Clone(c.subject), notBefore: c.notBefore, notAfter: c.notAfter,
		signer: signer, public: signer.Public(), trial: &standIn{},
	}
	if is.rdns, err = parseName(is.subject); err != nil {
		return fail("subject: %w", err)
	}
	if len(is.rdns) == 0 {
		return fail("it has no subject")
	}
	pub, err := alg.ParsePublicKey(c.spki)
	if err != nil {
		return fail("public key: %w", err)
	}
	if k, ok := pub.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(is.public) {
		return nil, errors.New("CA key: it is not the key of the CA certificate; configure the two that belong together")
	}
	bc, ok := c.extension(pkix.OIDBasicConstraints)
	if !ok {
		return fail("it has no basicConstraints, so it is not for a CA")
	}
	constraints, ok := pkix.ParseBasicConstraints(bc.Value)
	if !ok || !constraints.CA {
		return fail("basicConstraints does not say CA:TRUE, so it is not for a CA")
	}
	is.pathLen = constraints.MaxPathLen
	if e, ok := c.extension(pkix.OIDKeyUsage); ok {
		ku, ok := pkix.ParseKeyUsage(e.Value)
		if want := pkix.KeyCertSign | pkix.CRLSign; !ok || !ku.Has(want) {
			return fail("keyUsage is %q, it must have %q", ku, want)
		}
	}
	is.keyID = c.spki.KeyID()
	if e, ok := c.extension(pkix.OIDSubjectKeyID); ok {
		if is.keyID, ok = pkix.ParseSubjectKeyID(e.Value); !ok || len(is.keyID) == 0 {
			return fail("subjectKeyIdentifier is malformed")
		}
		is.keyID = slices.Clone(is.keyID)
	}
	if e, ok := c.extension(pkix.OIDNameConstraints); ok {
		if is.limits, err = parseNameLimits(slices.Clone(e.Value)); err != nil {
			return fail("nameConstraints: %w", err)
		}
	}
	if is.sigAlg, err = alg.SignatureFor(is.public, sigAlgName); err != nil {
		return nil, fmt.Errorf("CA key: %w", err)
	}
	is.sigAlgDER = is.sigAlg.Bytes()
	is.sigSize = alg.SignatureSize(is.public)
	aki, err := pkix.AuthorityKeyIDExtension(pkix.AuthorityKeyID{KeyID: is.keyID})
	if err != nil {
		return fail("authority key identifier: %w", err)
	}
	is.akiValue, is.akiDER = aki.Value, appendExtension(nil, aki)
	return is, nil
}

// Certificate is the DER of the CA certificate.
func (is *Issuer) Certificate() []byte { return is.cert }

// Subject is the name of the CA: the issuer of its certificates.
func (is *Issuer) Subject() pkix.Name { return is.subject }

// KeyID is the subject key identifier of the CA.
func (is *Issuer) KeyID() []byte { return is.keyID }

// Validity gives the dates of the CA certificate.
func (is *Issuer) Validity() (notBefore, notAfter time.Time) { return is.notBefore, is.notAfter }

// SignatureAlgorithm is what certificates and CRLs are signed with.
func (is *Issuer) SignatureAlgorithm() pkix.AlgorithmIdentifier { return is.sigAlg }

// hasKey tells whether the key is the CA's own.
func (is *Issuer) hasKey(pub crypto.PublicKey) bool {
	k, ok := pub.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(is.public)
}
