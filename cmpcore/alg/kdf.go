package alg

import (
	"crypto/hkdf"
	"encoding/binary"
	"fmt"

	"cmp-batch/cmpcore/pkix"
)

// kdf is a row of the table of functions that derive a key from a KEM's secret
// (RFC 9629 section 5).
type kdf struct {
	name string
	oid  pkix.OID
	hash *digest // nil: the parameters name it
	key  func(d *digest, secret []byte, n int, info []byte) ([]byte, error)
}

var oidKDF3 = pkix.MustOID("1.3.133.16.840.9.44.1.2")

// kdfs is that table: HKDF of RFC 8619, KDF2 and KDF3 of ANSI X9.44 (RFC 9690
// appendix B).
var kdfs = []*kdf{
	{"hkdf-sha256", pkix.MustOID("1.2.840.113549.1.9.16.3.28"), named("sha256"), hkdfKey},
	{"hkdf-sha384", pkix.MustOID("1.2.840.113549.1.9.16.3.29"), named("sha384"), hkdfKey},
	{"hkdf-sha512", pkix.MustOID("1.2.840.113549.1.9.16.3.30"), named("sha512"), hkdfKey},
	{"kdf2", pkix.MustOID("1.3.133.16.840.9.44.1.1"), nil, kdf2Key},
	{"kdf3", oidKDF3, nil, kdf3Key},
}

// maxDerivedKey bounds what a key derivation is asked for, in octets.
const maxDerivedKey = 1024

// DeriveKey derives n octets from a KEM's shared secret with a key derivation
// function and its context: KDF(IKM, L, info) of RFC 9629 section 5. HKDF has
// no salt. Errors wrap [ErrUnsupported], [ErrParameters] or [ErrForbidden].
func DeriveKey(a pkix.AlgorithmIdentifier, secret []byte, n int, info []byte) ([]byte, error) {
	k, d, err := readKDF(a)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > maxDerivedKey {
		return nil, fmt.Errorf("%s for %d octets, not 1 to %d: %w", k.name, n, maxDerivedKey, ErrForbidden)
	}
	if len(secret) == 0 {
		return nil, fmt.Errorf("%s: %w", k.name, ErrSecret)
	}
	return k.key(d, secret, n, info)
}

func readKDF(a pkix.AlgorithmIdentifier) (*kdf, *digest, error) {
	for _, k := range kdfs {
		switch {
		case k.oid != a.OID:
			continue
		case k.hash != nil:
			if a.Parameters != nil {
				return nil, nil, fmt.Errorf("%s must have no parameters: %w", k.name, ErrParameters)
			}
			return k, k.hash, nil
		}
		d, err := readParameterHash(k.name, a.Parameters)
		return k, d, err
	}
	return nil, nil, fmt.Errorf("key derivation %s: %w", short(a.OID), ErrUnsupported)
}

// HKDFAlgorithm gives the identifier of HKDF with SHA-256, which all know.
func HKDFAlgorithm() pkix.AlgorithmIdentifier { return pkix.AlgorithmIdentifier{OID: kdfs[0].oid} }

func hkdfKey(d *digest, secret []byte, n int, info []byte) ([]byte, error) {
	return hkdf.Key(d.new, secret, nil, string(info), n)
}

func kdf2Key(d *digest, secret []byte, n int, info []byte) ([]byte, error) {
	return counted(d, n, secret, nil, info), nil
}

func kdf3Key(d *digest, secret []byte, n int, info []byte) ([]byte, error) {
	return counted(d, n, nil, secret, info), nil
}

// counted hashes before, a counter from 1 and what follows, until there are n
// octets.
func counted(d *digest, n int, before, after, info []byte) []byte {
	var key []byte
	for c := uint32(1); len(key) < n; c++ {
		h := d.new()
		h.Write(before)
		h.Write(binary.BigEndian.AppendUint32(nil, c))
		h.Write(after)
		h.Write(info)
		key = h.Sum(key)
	}
	return key[:n]
}
