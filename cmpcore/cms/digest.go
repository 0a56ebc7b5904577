package cms

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var (
	oidSHAKE128 = pkix.MustOID("2.16.840.1.101.3.4.2.11")
	// oidSHAKE256Len has the length of the output as its parameter; Ed448 goes
	// with 512 bits, which is what SHAKE256 without a length has (RFC 8419
	// section 2.3, RFC 8702 section 3.1).
	oidSHAKE256Len = pkix.MustOID("2.16.840.1.101.3.4.2.18")
	shake256Len512 = []byte{2, 2, 2, 0}
)

// digestFor gives the digest of the content that goes with a signature
// algorithm: its own hash (RFC 8933 section 3) or, where it has none, the one
// that is written. own tells which it is.
func digestFor(sigAlg pkix.AlgorithmIdentifier) (d pkix.AlgorithmIdentifier, own bool, err error) {
	h, assigned, err := alg.CertHash(sigAlg)
	if err == nil {
		return alg.HashAlgorithm(h), !assigned, nil
	}
	switch name := alg.SignatureName(sigAlg); {
	case name == "ed448":
		return pkix.AlgorithmIdentifier{OID: oidSHAKE256Len, Parameters: shake256Len512}, false, nil
	case strings.HasSuffix(name, "shake128"):
		return pkix.AlgorithmIdentifier{OID: oidSHAKE128}, true, nil
	case strings.HasSuffix(name, "shake256"):
		return pkix.AlgorithmIdentifier{OID: oidSHAKE256}, true, nil
	}
	return d, false, err
}

// checkDigest refuses a digest that is not that of the signature (RFC 8933
// section 3), or not the one that EdDSA must have (RFC 8419 section 3).
func checkDigest(sigAlg, digest pkix.AlgorithmIdentifier) error {
	want, own, err := digestFor(sigAlg)
	if err != nil {
		return err
	}
	name := alg.SignatureName(sigAlg)
	switch {
	case digest.OID == want.OID:
		return nil
	case own || name == "ed25519":
		return fmt.Errorf("digest %s for a signature of %s: %w", short(digest.OID), name, alg.ErrMismatch)
	case name == "ed448" && digest.OID != oidSHAKE256:
		return fmt.Errorf("digest %s for a signature of %s: %w", short(digest.OID), name, alg.ErrMismatch)
	}
	return nil
}

// sum computes a digest. Weak hashes are refused.
func sum(digest pkix.AlgorithmIdentifier, content []byte) ([]byte, error) {
	if digest.OID == oidSHAKE256Len {
		if string(digest.Parameters) != string(shake256Len512) {
			return nil, unsupported("SHAKE256 of another length than 512 bits")
		}
		digest = pkix.AlgorithmIdentifier{OID: oidSHAKE256}
	}
	s, err := alg.CertHashSum(pkix.AlgorithmIdentifier{}, digest, content)
	if err != nil {
		return nil, at("digest", err)
	}
	return s, nil
}

// fullSignature gives the signature algorithm with its hash: RSA is named by
// its key alone in many messages (RFC 3370 section 3.2).
func fullSignature(a, digest pkix.AlgorithmIdentifier, pub crypto.PublicKey) (pkix.AlgorithmIdentifier, error) {
	if a.OID != oidRSA {
		return a, nil
	}
	if _, ok := pub.(*rsa.PublicKey); !ok {
		return a, fmt.Errorf("signature of RSA: %w", alg.ErrMismatch)
	}
	if a.Parameters != nil && string(a.Parameters) != string(pkix.Null) {
		return a, badParameters("rsaEncryption")
	}
	h, err := alg.HashByAlgorithm(digest)
	if err != nil {
		return a, at("digest", err)
	}
	return alg.SignatureFor(pub, "rsa-"+alg.HashName(h))
}

// addProtection appends CMSAlgorithmProtection of RFC 6211.
func addProtection(b *cryptobyte.Builder, digest, sigAlg pkix.AlgorithmIdentifier) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		digest.Add(b)
		sigAlg.AddTagged(b, cons(1))
	})
}

// isProtection tells whether the attribute names the algorithms that stand
// beside it. Absent parameters and NULL are the same for a digest.
func isProtection(value cryptobyte.String, digest, sigAlg pkix.AlgorithmIdentifier) bool {
	var seq cryptobyte.String
	if !value.ReadASN1(&seq, asn1.SEQUENCE) || !value.Empty() {
		return false
	}
	d, ok1 := pkix.ReadAlgorithm(&seq)
	s, ok2 := pkix.ReadTaggedAlgorithm(&seq, cons(1))
	return ok1 && ok2 && seq.Empty() && d.OID == digest.OID && s.Equal(sigAlg)
}
