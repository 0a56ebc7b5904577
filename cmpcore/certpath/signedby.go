package certpath

import (
	"crypto/x509"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// SignedBy checks the signature of a certificate under the key of another, with
// every algorithm of package alg, and nothing else. Errors wrap [ErrSignature].
func SignedBy(c, issuer *x509.Certificate, policy *alg.SignaturePolicy) error {
	if err := verify(c.Raw, c.RawTBSCertificate, c.Signature, issuer, policy); err != nil {
		return fmt.Errorf("%w: %.100q under %.100q: %w", ErrSignature, c.Subject.String(), issuer.Subject.String(), err)
	}
	return nil
}

// IsIssuer tells whether one certificate can have issued the other: by its
// name, as a CA, and with a signature that verifies.
func IsIssuer(c, issuer *x509.Certificate, policy *alg.SignaturePolicy) bool {
	return string(c.RawIssuer) == string(issuer.RawSubject) && mayIssue(issuer, []*x509.Certificate{c}) == nil &&
		SignedBy(c, issuer, policy) == nil
}

func verify(der, tbs, sig []byte, issuer *x509.Certificate, policy *alg.SignaturePolicy) error {
	a, ok := pkix.SignatureAlgorithm(der)
	if !ok {
		return errors.New("signature algorithm is malformed")
	}
	pub, err := alg.ParsePublicKey(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return err
	}
	return alg.Verify(a, pub, tbs, sig, policy)
}
