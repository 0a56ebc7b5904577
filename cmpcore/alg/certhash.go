package alg

import (
	"crypto"
	"fmt"

	"cmp-batch/cmpcore/pkix"
)

// CertHash gives the hash for CertStatus.certHash of a certificate whose
// signature has the given algorithm (RFC 9810 section 5.3.18): that algorithm's
// own hash or, where it names none, the one RFC 9481 assigns to it. explicit
// tells that CertStatus must then carry hashAlg, which needs CMP version 3. For
// SHAKE there is no crypto.Hash ([ErrUnsupported]): see [NewCertHash].
func CertHash(sigAlg pkix.AlgorithmIdentifier) (h crypto.Hash, explicit bool, err error) {
	s, err := lookup(sigAlg)
	if err != nil {
		return 0, false, err
	}
	d, explicit := s.hash, false
	if d == nil {
		d, explicit = s.certHash, true
	}
	if d.hash == 0 {
		return 0, explicit, fmt.Errorf("hash %s as one of fixed size: %w", d.name, ErrUnsupported)
	}
	return d.hash, explicit, nil
}

// NewCertHash computes certHash for a certConf, and gives the hashAlg that
// CertStatus must then carry, zero where it need not (RFC 9810 section 5.3.18).
// It is written for EdDSA too, though RFC 9481 section 3.3 assigns the hashes:
// OpenSSL does so, and what is written cannot be mistaken.
func NewCertHash(sigAlg pkix.AlgorithmIdentifier, cert []byte) (sum []byte, hashAlg pkix.AlgorithmIdentifier, err error) {
	s, err := lookup(sigAlg)
	if err != nil {
		return nil, hashAlg, err
	}
	if s.hash != nil {
		return s.hash.sum(nil, cert), hashAlg, nil
	}
	return s.certHash.sum(nil, cert), pkix.AlgorithmIdentifier{OID: s.certHash.oid}, nil
}

// CertHashSum computes certHash over a certificate's DER. hashAlg is that of
// CertStatus; zero stands for the hash of the signature algorithm, or what RFC
// 9481 assigns to it. Where there is neither, such as for ML-DSA, hashAlg is
// needed ([ErrParameters], RFC 9810 section 5.3.18).
func CertHashSum(sigAlg, hashAlg pkix.AlgorithmIdentifier, cert []byte) ([]byte, error) {
	var d *digest
	if hashAlg.IsZero() {
		s, err := lookup(sigAlg)
		if err != nil {
			return nil, err
		}
		if d = s.hash; d == nil {
			if !s.assigned {
				return nil, fmt.Errorf("certificate hash without hashAlg for %s, which has no hash: %w", s.name, ErrParameters)
			}
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
