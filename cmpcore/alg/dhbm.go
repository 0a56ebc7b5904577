package alg

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/hmac"
	"fmt"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oidDHBM is id-DHBasedMac.
var oidDHBM = pkix.MustOID("1.2.840.113533.7.66.30")

// DHBM is a MAC whose key comes of a Diffie-Hellman secret (RFC 9810 section
// 5.1.3.2).
type DHBM struct {
	alg pkix.AlgorithmIdentifier
	owf *digest
	mac *keyedMAC
}

// IsDHBM tells whether the identifier is id-DHBasedMac.
func IsDHBM(a pkix.AlgorithmIdentifier) bool { return a.OID == oidDHBM }

// ParseDHBM reads a protection algorithm with DHBMParameter. SHA-1 is refused
// as one-way function. Errors wrap [ErrUnsupported], [ErrParameters] or
// [ErrForbidden].
func ParseDHBM(a pkix.AlgorithmIdentifier) (*DHBM, error) {
	if !IsDHBM(a) {
		return nil, fmt.Errorf("MAC algorithm %s as one by Diffie-Hellman: %w", short(a.OID), ErrUnsupported)
	}
	in := cryptobyte.String(a.Parameters)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("dhbm parameters: %w", ErrParameters)
	}
	owf, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return nil, fmt.Errorf("dhbm one-way function: %w", ErrParameters)
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, fmt.Errorf("dhbm MAC: %w", ErrParameters)
	}
	d := &DHBM{alg: a}
	var err error
	if d.owf, err = readDigest(owf); err != nil {
		return nil, fmt.Errorf("dhbm one-way function: %w", err)
	}
	if d.owf.weak {
		return nil, fmt.Errorf("dhbm with %s as one-way function: %w", d.owf.name, ErrForbidden)
	}
	if d.mac, err = readKeyedMAC(mac); err != nil {
		return nil, fmt.Errorf("dhbm: %w", err)
	}
	return d, nil
}

// DHBMOptions are the parameters of a DHBM to make. Zero fields stand for
// SHA-256 and HMAC-SHA256.
type DHBMOptions struct {
	OWF, HMAC crypto.Hash
	KMAC      int // 128 or 256: KMAC instead of HMAC (RFC 9481 section 6.2.2)
}

// NewDHBM makes the parameters for the messages that we protect.
func NewDHBM(o DHBMOptions) (*DHBM, error) {
	m, err := newMAC("pbm", o.OWF, o.HMAC, o.KMAC, 0) // the same choice of hashes and MACs
	if err != nil {
		return nil, fmt.Errorf("dhbm: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: m.hash.oid}.Add(b)
		m.macAlg.Add(b)
	})
	return ParseDHBM(pkix.AlgorithmIdentifier{OID: oidDHBM, Parameters: b.BytesOrPanic()})
}

// Admit refuses what the policy does not accept: DHBM at all, or HMAC-SHA1.
// The error wraps [ErrForbidden].
func (d *DHBM) Admit(p *MACPolicy) error { return p.admit(kindDHBM, d.mac) }

// Algorithm gives the identifier for the header.
func (d *DHBM) Algorithm() pkix.AlgorithmIdentifier { return d.alg }

// Name is for people: "dhbm-sha256-hmac-sha256".
func (d *DHBM) Name() string { return "dhbm-" + d.owf.name + "-" + d.mac.name }

// Key derives the MAC's key from the shared secret: OWF(secret), which is the
// BASEKEY, and where that is too short, OWF("1" || BASEKEY) after it and so on.
func (d *DHBM) Key(secret []byte) []byte {
	base := d.owf.sum(nil, secret)
	key := append([]byte(nil), base...)
	for n := byte('1'); len(key) < d.mac.keySize; n++ {
		key = append(key, d.owf.sum(nil, append([]byte{n}, base...))...)
	}
	return key[:d.mac.keySize]
}

// Sum computes the MAC of the message under the shared secret, which must not
// be empty.
func (d *DHBM) Sum(secret, message []byte) ([]byte, error) {
	if len(secret) == 0 {
		return nil, fmt.Errorf("dhbm: %w", ErrSecret)
	}
	return d.mac.sum(d.Key(secret), message), nil
}

// Verify tells whether mac is that of the message, in time that does not depend
// on where they differ.
func (d *DHBM) Verify(secret, message, mac []byte) bool {
	want, err := d.Sum(secret, message)
	return err == nil && hmac.Equal(want, mac)
}

func (k *keyedMAC) sum(key, message []byte) []byte {
	h := k.new(key)
	h.Write(message)
	return h.Sum(make([]byte, 0, k.size))
}

// SharedSecret computes the Diffie-Hellman secret of a private and a public key
// of one kind: EC on one curve (the x-coordinate, RFC 5480 section 2.1), X25519
// or X448. Errors wrap [ErrMismatch] or [ErrKey].
func SharedSecret(k crypto.PrivateKey, pub crypto.PublicKey) ([]byte, error) {
	switch priv := k.(type) {
	case *X448PrivateKey:
		if p, ok := pub.(X448PublicKey); ok {
			return priv.ECDH(p)
		}
	case *ecdsa.PrivateKey:
		p, ok := pub.(*ecdsa.PublicKey)
		if !ok || p.Curve != priv.Curve {
			break
		}
		a, err := priv.ECDH()
		if err != nil {
			return nil, fmt.Errorf("key agreement by %s: %w", KeyType(&priv.PublicKey), ErrMismatch)
		}
		b, err := p.ECDH()
		if err != nil {
			return nil, fmt.Errorf("key agreement with %s: %w", KeyType(pub), ErrKey)
		}
		return ecdhSecret(a, b)
	case *ecdh.PrivateKey:
		switch p := pub.(type) {
		case *ecdh.PublicKey:
			if p.Curve() == priv.Curve() {
				return ecdhSecret(priv, p)
			}
		case *ecdsa.PublicKey:
			if q, err := p.ECDH(); err == nil && q.Curve() == priv.Curve() {
				return ecdhSecret(priv, q)
			}
		}
	}
	return nil, fmt.Errorf("key agreement of a %T with a key of type %q: %w", k, KeyType(pub), ErrMismatch)
}

func ecdhSecret(k *ecdh.PrivateKey, pub *ecdh.PublicKey) ([]byte, error) {
	s, err := k.ECDH(pub)
	if err != nil { // a point of low order
		return nil, fmt.Errorf("key agreement: %w", ErrKey)
	}
	return s, nil
}
