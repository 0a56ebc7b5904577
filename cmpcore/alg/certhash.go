package alg

import (
	"crypto"
	"fmt"

	"cmp-batch/cmpcore/pkix"
)

// CertHash gives the hash for CertStatus.certHash of a certificate whose
// signature has the given algorithm (RFC 9810 section 5.3.18): that algorithm's
// own hash or, where it names none, the one RFC 9481 assigns to it. explicit
// tells that CertStatus must then carry hashAlg, which needs CMP version 3.
func CertHash(sigAlg pkix.AlgorithmIdentifier) (h crypto.Hash, explicit bool, err error) {
	s, err := lookup(sigAlg)
	if err != nil {
		return 0, false, err
	}
	if s.hash != nil {
		return s.hash.hash, false, nil
	}
	return s.certHash.hash, true, nil
}

// CertHashSum computes certHash over a certificate's DER. hashAlg is that of
// CertStatus; zero stands for the one of [CertHash].
func CertHashSum(sigAlg, hashAlg pkix.AlgorithmIdentifier, cert []byte) ([]byte, error) {
	var d *digest
	if hashAlg.IsZero() {
		s, err := lookup(sigAlg)
		if err != nil {
			return nil, err
		}
		if d = s.hash; d == nil {
			d = s.certHash
		}
	} else {
		var err error
		if d, err = readDigest(hashAlg); err != nil {
			return nil, err
		}
		// Two certificates with one hash would let one confirm the other.
		if d.weak {
			return nil, fmt.Errorf("certificate hash with %s: %w", d.name, ErrForbidden)
		}
	}
	return d.sum(nil, cert), nil
}
