package alg

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"math"
	"math/big"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// parseRSA reads RSAPublicKey under rsaEncryption, whose parameters are NULL
// (RFC 3279 section 2.3.1); absent ones are tolerated.
func parseRSA(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	if !nullOrAbsent(a) {
		return nil, fmt.Errorf("the parameters of an RSA key must be NULL: %w", ErrParameters)
	}
	k, err := readRSAPublicKey(key)
	if err != nil {
		return nil, err
	}
	return k, nil
}

func readRSAPublicKey(key []byte) (*rsa.PublicKey, error) {
	in := cryptobyte.String(key)
	var seq, n cryptobyte.String
	var e int64
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&n, asn1.INTEGER) ||
		len(n) == 0 || n[0]&0x80 != 0 || len(n) > 1 && n[0] == 0 && n[1]&0x80 == 0 {
		return nil, fmt.Errorf("RSA key is malformed: %w", ErrKey)
	}
	// Go computes with exponents up to 31 bits; a larger one buys no security.
	if !seq.ReadASN1Integer(&e) || !seq.Empty() || e < 3 || e&1 == 0 || e > math.MaxInt32 {
		return nil, fmt.Errorf("RSA exponent is not odd and between 3 and 2^31-1: %w", ErrKey)
	}
	if len(n) > MaxRSABits/8+1 {
		return nil, fmt.Errorf("RSA modulus has %d octets, more than %d bits: %w", len(n), MaxRSABits, ErrKey)
	}
	k := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(e)}
	if bits := k.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
		return nil, fmt.Errorf("RSA modulus has %d bits, not %d to %d: %w", bits, MinRSABits, MaxRSABits, ErrKey)
	}
	if k.N.Bit(0) == 0 {
		return nil, fmt.Errorf("RSA modulus is even: %w", ErrKey)
	}
	return k, nil
}

func identifyRSA(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	k, ok := pub.(*rsa.PublicKey)
	if !ok || k.N == nil {
		return pkix.AlgorithmIdentifier{}, nil, false
	}
	return pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}, marshalRSA(k), true
}

func marshalRSA(k *rsa.PublicKey) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(k.N)
		b.AddASN1Int64(int64(k.E))
	})
	return b.BytesOrPanic()
}

// PSSPublicKey is an RSA key whose certificate allows RSASSA-PSS alone (RFC
// 4055 section 1.2), perhaps with one hash and a least salt only.
type PSSPublicKey struct {
	Key *rsa.PublicKey
	// Parameters are those of the key as received, nil where any will do.
	Parameters []byte

	pss pssParameters // read from Parameters, or what SHAKE's identifiers say
}

// The identifiers of RFC 8692 section 3, which say all and have no parameters.
var (
	oidPSSShake128 = pkix.MustOID("1.3.6.1.5.5.7.6.30")
	oidPSSShake256 = pkix.MustOID("1.3.6.1.5.5.7.6.31")
)

// Equal tells whether both are the same key with the same restrictions.
func (k *PSSPublicKey) Equal(o crypto.PublicKey) bool {
	p, ok := o.(*PSSPublicKey)
	return ok && k.Key.Equal(p.Key) && string(k.Parameters) == string(p.Parameters) &&
		(k.Parameters == nil) == (p.Parameters == nil) && k.shake() == p.shake()
}

// shake is the hash of a key for SHAKE alone (RFC 8692 section 4), else nil.
func (k *PSSPublicKey) shake() *digest {
	if k.Parameters == nil {
		return k.pss.hash
	}
	return nil
}

// allows tells whether the restrictions of the key admit the scheme (RFC 4055
// section 3.3: the same hash, a salt not shorter).
func (k *PSSPublicKey) allows(s scheme) bool {
	return k.Parameters == nil && k.pss.hash == nil || k.pss.hash == s.hash && s.salt >= k.pss.salt
}

func parsePSSKey(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	k := &PSSPublicKey{Parameters: a.Parameters}
	var err error
	if a.Parameters != nil {
		if k.pss, err = readPSSParameters(a.Parameters); err != nil {
			return nil, err
		}
	}
	if k.Key, err = readRSAPublicKey(key); err != nil {
		return nil, err
	}
	return k, nil
}

func parsePSSShakeKey(hash string) func(pkix.AlgorithmIdentifier, []byte) (crypto.PublicKey, error) {
	d := named(hash)
	return func(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
		if a.Parameters != nil {
			return nil, fmt.Errorf("a key for RSASSA-PSS with %s must have no parameters: %w", hash, ErrParameters)
		}
		n, err := readRSAPublicKey(key)
		if err != nil {
			return nil, err
		}
		return &PSSPublicKey{Key: n, pss: pssParameters{hash: d, salt: d.length()}}, nil
	}
}

func identifyPSSKey(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	k, ok := pub.(*PSSPublicKey)
	if !ok {
		return pkix.AlgorithmIdentifier{}, nil, false
	}
	a := pkix.AlgorithmIdentifier{OID: oidPSS, Parameters: k.Parameters}
	if d := k.shake(); d != nil {
		if a.OID = oidPSSShake128; d.name == "shake256" {
			a.OID = oidPSSShake256
		}
	}
	return a, marshalRSA(k.Key), true
}
