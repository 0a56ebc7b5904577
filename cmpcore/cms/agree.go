package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// agreementScheme is a row of the table of Diffie-Hellman with a key derivation
// (RFC 9481 section 4.1.2, RFC 8418).
type agreementScheme struct {
	oid  pkix.OID
	hash crypto.Hash
	hkdf bool // else the key derivation of ANSI X9.63
}

// agreementSchemes is the table. On the curves of the table below, whose
// cofactor is 1 or goes by the definition of the function, cofactor
// Diffie-Hellman is the same as the standard one.
var agreementSchemes = []*agreementScheme{
	{pkix.MustOID("1.3.132.1.11.0"), crypto.SHA224, false},
	{pkix.MustOID("1.3.132.1.11.1"), crypto.SHA256, false},
	{pkix.MustOID("1.3.132.1.11.2"), crypto.SHA384, false},
	{pkix.MustOID("1.3.132.1.11.3"), crypto.SHA512, false},
	{pkix.MustOID("1.2.840.113549.1.9.16.3.19"), crypto.SHA256, true},
	{pkix.MustOID("1.2.840.113549.1.9.16.3.20"), crypto.SHA384, true},
	{pkix.MustOID("1.2.840.113549.1.9.16.3.21"), crypto.SHA512, true},
	{pkix.MustOID("1.3.132.1.14.0"), crypto.SHA224, false},
	{pkix.MustOID("1.3.132.1.14.1"), crypto.SHA256, false},
	{pkix.MustOID("1.3.132.1.14.2"), crypto.SHA384, false},
	{pkix.MustOID("1.3.132.1.14.3"), crypto.SHA512, false},
	{pkix.MustOID("1.3.133.16.840.63.0.2"), crypto.SHA1, false}, // never written
}

// kek derives the key-encryption key (RFC 5753 section 7.2, RFC 8418 section 2).
func (s *agreementScheme) kek(secret, ukm []byte, wrapAlg pkix.AlgorithmIdentifier, size int) ([]byte, error) {
	info := sharedInfo(wrapAlg, ukm, size)
	if s.hkdf {
		// ukm is the salt, besides its place in info.
		return hkdf.Key(s.hash.New, secret, ukm, string(info), size)
	}
	return x963KDF(s.hash, secret, info, size), nil
}

// agreementCurve is a row of the table of kinds of key.
type agreementCurve struct {
	curve ecdh.Curve // nil: X448
	hash  crypto.Hash
	hkdf  bool // is written
}

var agreementCurves = []agreementCurve{
	{ecdh.P256(), crypto.SHA256, false},
	{ecdh.P384(), crypto.SHA384, false},
	{ecdh.P521(), crypto.SHA512, false},
	{ecdh.X25519(), crypto.SHA256, true},
	{nil, crypto.SHA512, true},
}

func curveOf(pub crypto.PublicKey) (agreementCurve, bool) {
	var c ecdh.Curve
	switch k := pub.(type) {
	case *ecdh.PublicKey:
		c = k.Curve()
	case alg.X448PublicKey:
	default:
		return agreementCurve{}, false
	}
	for _, row := range agreementCurves {
		if row.curve == c {
			return row, true
		}
	}
	return agreementCurve{}, false
}

// agreementTo makes a recipient by Diffie-Hellman with a key for the one use:
// ephemeral-static (RFC 5753 section 3.1, RFC 8418 section 3).
func agreementTo(pub crypto.PublicKey, o RecipientOptions) (*Recipient, error) {
	curve, ok := curveOf(pub)
	if !ok {
		return nil, unsupported("key agreement with a key of type %T", pub)
	}
	hash := o.Hash
	if hash == 0 {
		hash = curve.hash
	}
	var scheme *agreementScheme
	for _, s := range agreementSchemes {
		if s.hash == hash && s.hkdf == curve.hkdf {
			scheme = s
			break
		}
	}
	if scheme == nil {
		return nil, unsupported("key agreement with hash %s", alg.HashName(hash))
	}
	wrap, err := wrapBySize(o.WrapKeySize)
	if err != nil {
		return nil, err
	}
	a := pkix.AlgorithmIdentifier{OID: scheme.oid, Parameters: wrap.algorithm().Bytes()}
	return &Recipient{KeyAgreement, 2, func(rand io.Reader, cek []byte) ([]byte, error) {
		originator, secret, err := ephemeral(rand, pub)
		if err != nil {
			return nil, at("key agreement", err)
		}
		defer clear(secret)
		kek, err := scheme.kek(secret, nil, wrap.algorithm(), wrap.keySize)
		if err != nil {
			return nil, err
		}
		defer clear(kek)
		wrapped, err := wrapKey(kek, cek)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(cons(1), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(3)
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { pkix.AddRetagged(b, cons(1), originator) })
			a.Add(b)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					if o.ID.KeyID != nil {
						b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(o.ID.KeyID) })
					} else {
						o.ID.addIssuerAndSerial(b)
					}
					b.AddASN1OctetString(wrapped)
				})
			})
		})
		return b.Bytes()
	}}, nil
}

// ephemeral gives a fresh public key as a SubjectPublicKeyInfo, which is what
// OriginatorPublicKey looks like too, and the secret of it with pub.
func ephemeral(rand io.Reader, pub crypto.PublicKey) (originator, secret []byte, err error) {
	var mine crypto.PublicKey
	switch k := pub.(type) {
	case *ecdh.PublicKey:
		e, err := k.Curve().GenerateKey(rand)
		if err != nil {
			return nil, nil, err
		}
		if secret, err = e.ECDH(k); err != nil {
			return nil, nil, err
		}
		if mine, err = signingForm(e.PublicKey()); err != nil {
			return nil, nil, err
		}
	case alg.X448PublicKey:
		g, err := alg.GenerateEncryptionKey(rand, "x448")
		if err != nil {
			return nil, nil, err
		}
		e := g.(*alg.X448PrivateKey)
		if secret, err = e.ECDH(k); err != nil {
			return nil, nil, err
		}
		mine = e.Public()
	}
	originator, err = alg.MarshalPublicKey(mine)
	return originator, secret, err
}

// signingForm gives the *ecdsa.PublicKey of a NIST curve's key, which is the
// form that package alg marshals.
func signingForm(k *ecdh.PublicKey) (crypto.PublicKey, error) {
	c := namedCurve(k.Curve())
	if c == nil {
		return k, nil
	}
	return ecdsa.ParseUncompressedPublicKey(c, k.Bytes())
}

// agreementKey gives the Diffie-Hellman function of a private key and its
// public key, nil for a key of another kind. Keys in devices are an
// ecdh.KeyExchanger.
func agreementKey(private crypto.PrivateKey) (agree func(crypto.PublicKey) ([]byte, error), pub crypto.PublicKey) {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		e, err := k.ECDH()
		if err != nil {
			return nil, nil
		}
		return agreementKey(e)
	case ecdh.KeyExchanger:
		return func(theirs crypto.PublicKey) ([]byte, error) { return k.ECDH(theirs.(*ecdh.PublicKey)) }, k.PublicKey()
	case *alg.X448PrivateKey:
		return func(theirs crypto.PublicKey) ([]byte, error) { return k.ECDH(theirs.(alg.X448PublicKey)) }, k.Public()
	}
	return nil, nil
}

func namedCurve(c ecdh.Curve) elliptic.Curve {
	switch c {
	case ecdh.P256():
		return elliptic.P256()
	case ecdh.P384():
		return elliptic.P384()
	case ecdh.P521():
		return elliptic.P521()
	}
	return nil
}
