package alg

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"strconv"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oidRSAKEMKey is id-rsa-kem-spki (RFC 9690 section 2.3).
var oidRSAKEMKey = pkix.MustOID("1.2.840.113549.1.9.16.3.14")

// RSAKEMPublicKey is an RSA key that is for RSA-KEM alone (RFC 9690 section
// 2.3), perhaps with certain components only. Its private half is an
// *rsa.PrivateKey.
type RSAKEMPublicKey struct {
	Key *rsa.PublicKey
	// Parameters are those of the key as received, GenericHybridParameters, nil
	// where any components will do.
	Parameters []byte

	kem       pkix.AlgorithmIdentifier // read from Parameters
	kdf, wrap pkix.AlgorithmIdentifier
	length    int
}

// Equal tells whether both are the same key with the same restrictions.
func (k *RSAKEMPublicKey) Equal(o crypto.PublicKey) bool {
	p, ok := o.(*RSAKEMPublicKey)
	return ok && k.Key.Equal(p.Key) && string(k.Parameters) == string(p.Parameters) &&
		(k.Parameters == nil) == (p.Parameters == nil)
}

// Components gives the key derivation, the octets of the key-encryption key,
// and the key wrap that KEMRecipientInfo must have for this key (RFC 9690
// section 2.4). ok is false where any will do.
func (k *RSAKEMPublicKey) Components() (kdf pkix.AlgorithmIdentifier, length int, wrap pkix.AlgorithmIdentifier, ok bool) {
	return k.kdf, k.length, k.wrap, k.Parameters != nil
}

// Opens tells whether a private key opens what is encrypted to a public one: a
// key for RSA-KEM alone is opened by what is otherwise an RSA key as others.
func Opens(private crypto.PrivateKey, pub crypto.PublicKey) bool {
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return false
	}
	if k, ok := pub.(*RSAKEMPublicKey); ok {
		pub = k.Key
	}
	// The octets, as keys of ECDSA and of Diffie-Hellman are of different types.
	want, err := MarshalPublicKey(pub)
	if err != nil {
		return false
	}
	have, err := MarshalPublicKey(p.Public())
	return err == nil && string(have) == string(want)
}

func parseRSAKEMKey(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	k := &RSAKEMPublicKey{Parameters: a.Parameters}
	if a.Parameters != nil {
		if err := k.readComponents(a.Parameters); err != nil {
			return nil, err
		}
	}
	var err error
	if k.Key, err = readRSAPublicKey(key); err != nil {
		return nil, err
	}
	return k, nil
}

// readComponents reads GenericHybridParameters: the KEM, which has parameters,
// and the key wrap.
func (k *RSAKEMPublicKey) readComponents(der []byte) error {
	bad := fmt.Errorf("parameters of a key for RSA-KEM: %w", ErrParameters)
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return bad
	}
	var ok bool
	if k.kem, ok = pkix.ReadAlgorithm(&seq); !ok || k.kem.OID != oidRSAKEM {
		return bad
	}
	if k.wrap, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.Empty() {
		return bad
	}
	var err error
	if k.kdf, k.length, err = readRSAKEM(k.kem); err != nil {
		return err
	}
	_, _, err = readKDF(k.kdf)
	return err
}

func identifyRSAKEMKey(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	k, ok := pub.(*RSAKEMPublicKey)
	if !ok || k.Key == nil || k.Key.N == nil {
		return pkix.AlgorithmIdentifier{}, nil, false
	}
	return pkix.AlgorithmIdentifier{OID: oidRSAKEMKey, Parameters: k.Parameters}, marshalRSA(k.Key), true
}

func nameRSAKEMKey(pub crypto.PublicKey) string {
	if k, ok := pub.(*RSAKEMPublicKey); ok && k.Key != nil && k.Key.N != nil {
		return "rsa-kem-" + strconv.Itoa(k.Key.N.BitLen())
	}
	return ""
}

// EncapsulateRSA is [Encapsulate] by RSA-KEM with a key derivation and a length
// of the secret in octets, which kem then names. A key that is for certain
// components only has them whatever kdf and n are.
func EncapsulateRSA(rand io.Reader, pub crypto.PublicKey, kdf pkix.AlgorithmIdentifier, n int) (kem pkix.AlgorithmIdentifier, ciphertext, secret []byte, err error) {
	kem = rsaKEMAlgorithm(kdf, n)
	var key *rsa.PublicKey
	switch k := pub.(type) {
	case *rsa.PublicKey:
		key = k
	case *RSAKEMPublicKey:
		key = k.Key
		if k.Parameters != nil {
			kem = k.kem
		}
	default:
		return kem, nil, nil, fmt.Errorf("RSA-KEM to a key of type %q: %w", KeyType(pub), ErrMismatch)
	}
	ciphertext, secret, err = encapsulateRSA(rand, key, kem)
	return kem, ciphertext, secret, err
}

// KDF3Algorithm gives the identifier of KDF3 with SHA-256, which all know that
// have RSA-KEM (RFC 9690 section 2.1).
func KDF3Algorithm() pkix.AlgorithmIdentifier {
	hash := pkix.AlgorithmIdentifier{OID: named("sha256").oid}
	return pkix.AlgorithmIdentifier{OID: oidKDF3, Parameters: hash.Bytes()}
}

// rsaKEMAlgorithm is id-kem-rsa with RsaKemParameters.
func rsaKEMAlgorithm(kdf pkix.AlgorithmIdentifier, n int) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		kdf.Add(b)
		b.AddASN1Int64(int64(n))
	})
	return pkix.AlgorithmIdentifier{OID: oidRSAKEM, Parameters: b.BytesOrPanic()}
}

// readRSAKEM reads RsaKemParameters.
func readRSAKEM(kem pkix.AlgorithmIdentifier) (kdf pkix.AlgorithmIdentifier, n int, err error) {
	in := cryptobyte.String(kem.Parameters)
	var seq cryptobyte.String
	var ok bool
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return kdf, 0, fmt.Errorf("RSA-KEM parameters: %w", ErrParameters)
	}
	if kdf, ok = pkix.ReadAlgorithm(&seq); !ok || !readCount(&seq, &n) || !seq.Empty() {
		return kdf, 0, fmt.Errorf("RSA-KEM parameters: %w", ErrParameters)
	}
	if n < minMACKey || n > maxRSAKEMSecret {
		return kdf, 0, fmt.Errorf("RSA-KEM for %d octets, not %d to %d: %w", n, minMACKey, maxRSAKEMSecret, ErrForbidden)
	}
	return kdf, n, nil
}

// rsaKEMDerive takes the secret from the number as RsaKemParameters say.
func rsaKEMDerive(kem pkix.AlgorithmIdentifier, z []byte) ([]byte, error) {
	kdf, n, err := readRSAKEM(kem)
	if err != nil {
		return nil, err
	}
	return DeriveKey(kdf, z, n, nil)
}
