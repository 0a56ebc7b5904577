package alg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"
)

// The families of signature algorithms.
var (
	rsaPKCS1 = &signatureKind{
		parameters: nullParameters, // RFC 4055 section 5
		written:    func(*signature) []byte { return pkix.Null },
		fits:       func(_ scheme, pub crypto.PublicKey) bool { _, ok := pub.(*rsa.PublicKey); return ok },
		verify: func(s scheme, pub crypto.PublicKey, message, sig []byte) bool {
			var buf [64]byte
			return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), s.hash.hash, s.hash.sum(buf[:0], message), sig) == nil
		},
		sign: signDigest,
	}
	rsaPSS = &signatureKind{
		parameters: pssScheme,
		written:    func(s *signature) []byte { return writePSSParameters(s.hash) },
		fits: func(s scheme, pub crypto.PublicKey) bool {
			switch k := pub.(type) {
			case *rsa.PublicKey:
				return true
			case *PSSPublicKey:
				return k.allows(s)
			}
			return false
		},
		verify: func(s scheme, pub crypto.PublicKey, message, sig []byte) bool {
			k, ok := pub.(*rsa.PublicKey)
			if !ok {
				k = pub.(*PSSPublicKey).Key
			}
			// Salt 0 means "any salt" here; a signature that has another is no
			// easier to forge.
			opts := &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash.hash}
			var buf [64]byte
			return rsa.VerifyPSS(k, s.hash.hash, s.hash.sum(buf[:0], message), sig, opts) == nil
		},
		sign: func(rand io.Reader, s scheme, k crypto.Signer, message []byte) ([]byte, error) {
			if s.salt == 0 {
				return nil, errors.New("RSASSA-PSS is not made without a salt")
			}
			return k.Sign(rand, s.hash.sum(nil, message), &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash.hash})
		},
	}
	ecDSA = &signatureKind{
		parameters: noParameters, // RFC 5758 section 3.2
		written:    func(*signature) []byte { return nil },
		fits:       func(_ scheme, pub crypto.PublicKey) bool { _, ok := pub.(*ecdsa.PublicKey); return ok },
		verify: func(s scheme, pub crypto.PublicKey, message, sig []byte) bool {
			var buf [64]byte
			return ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), s.hash.sum(buf[:0], message), sig)
		},
		sign: signDigest,
	}
	edDSA = &signatureKind{
		parameters: noParameters, // RFC 8410 section 3
		written:    func(*signature) []byte { return nil },
		fits:       func(_ scheme, pub crypto.PublicKey) bool { _, ok := pub.(ed25519.PublicKey); return ok },
		verify: func(_ scheme, pub crypto.PublicKey, message, sig []byte) bool {
			k := pub.(ed25519.PublicKey)
			return len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
		},
		sign: func(rand io.Reader, _ scheme, k crypto.Signer, message []byte) ([]byte, error) {
			return signMessage(rand, k, message)
		},
	}
)

func signDigest(rand io.Reader, s scheme, k crypto.Signer, message []byte) ([]byte, error) {
	return k.Sign(rand, s.hash.sum(nil, message), s.hash.hash)
}

func nullParameters(rows []*signature, a pkix.AlgorithmIdentifier) (scheme, error) {
	if !nullOrAbsent(a) {
		return scheme{}, fmt.Errorf("the parameters of %s must be NULL: %w", rows[0].name, ErrParameters)
	}
	return scheme{signature: rows[0]}, nil
}

func noParameters(rows []*signature, a pkix.AlgorithmIdentifier) (scheme, error) {
	if a.Parameters != nil {
		return scheme{}, fmt.Errorf("%s must have no parameters: %w", rows[0].name, ErrParameters)
	}
	return scheme{signature: rows[0]}, nil
}

func pssScheme(rows []*signature, a pkix.AlgorithmIdentifier) (scheme, error) {
	if a.Parameters == nil {
		return scheme{}, fmt.Errorf("RSASSA-PSS must have parameters in a signature: %w", ErrParameters)
	}
	p, err := readPSSParameters(a.Parameters)
	if err != nil {
		return scheme{}, err
	}
	for _, s := range rows {
		if s.hash == p.hash {
			return scheme{signature: s, salt: p.salt}, nil
		}
	}
	return scheme{}, fmt.Errorf("RSASSA-PSS with %s: %w", p.hash.name, ErrUnsupported)
}
