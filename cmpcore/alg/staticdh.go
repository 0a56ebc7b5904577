package alg

import (
	"crypto"
	"crypto/hmac"
	"fmt"
	"math/big"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// StaticDH is the Diffie-Hellman secret of two keys that stay, one of them in a
// certificate: with it the owner of the other proves that it is its own.
type StaticDH struct {
	secret []byte
	of     StaticRecipient
}

// StaticRecipient is the certificate of who checks the proof: its names become
// part of the key (RFC 6955 section 4).
type StaticRecipient struct {
	Subject, Issuer pkix.Name
	Serial          *big.Int
}

// NewStaticDH computes the secret. Both sides call it, with the certificate of
// who checks the proof. Errors are those of [SharedSecret].
func NewStaticDH(k crypto.PrivateKey, pub crypto.PublicKey, of StaticRecipient) (*StaticDH, error) {
	secret, err := SharedSecret(k, pub)
	if err != nil {
		return nil, err
	}
	return &StaticDH{secret, of}, nil
}

// staticPOP is a row of the table of proofs by static ECDH: the hash that makes
// the key, and that of the HMAC.
type staticPOP struct {
	oid  pkix.OID
	hash *digest
}

// staticPOPs is that table (RFC 6955 section 7: id-alg-ecdhPop-static-*). X25519
// and X448, which came later, are taken under the same identifiers.
var staticPOPs = []staticPOP{
	{pkix.MustOID("1.3.6.1.5.5.7.6.25"), digestOf("sha224")},
	{pkix.MustOID("1.3.6.1.5.5.7.6.26"), digestOf("sha256")},
	{pkix.MustOID("1.3.6.1.5.5.7.6.27"), digestOf("sha384")},
	{pkix.MustOID("1.3.6.1.5.5.7.6.28"), digestOf("sha512")},
}

// digestOf is for tables that are made before digestByName is.
func digestOf(name string) *digest {
	for _, d := range digests {
		if d.name == name {
			return d
		}
	}
	panic("no hash " + name)
}

func findStaticPOP(a pkix.AlgorithmIdentifier) *staticPOP {
	for i := range staticPOPs {
		if staticPOPs[i].oid == a.OID {
			return &staticPOPs[i]
		}
	}
	return nil
}

// IsStaticPOP tells whether the identifier is a proof by static ECDH of RFC 6955.
func IsStaticPOP(a pkix.AlgorithmIdentifier) bool { return findStaticPOP(a) != nil }

// IsStaticDH tells whether the identifier is one that [StaticDH.Verify] knows: by
// Diffie-Hellman, and neither a signature nor by a password.
func IsStaticDH(a pkix.AlgorithmIdentifier) bool { return IsDHBM(a) || IsStaticPOP(a) }

// StaticPOPFor gives the algorithm of RFC 6955 that is as strong as the key.
// The error wraps [ErrMismatch] for a key that agrees on nothing.
func StaticPOPFor(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, error) {
	if Uses(pub)&UseAgree == 0 {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("proof by static ECDH with a key of type %q: %w", KeyType(pub), ErrMismatch)
	}
	row := &staticPOPs[1]
	switch KeyType(pub) {
	case "ecdsa-p384":
		row = &staticPOPs[2]
	case "ecdsa-p521", "x448":
		row = &staticPOPs[3]
	}
	return pkix.AlgorithmIdentifier{OID: row.oid}, nil
}

// Sign proves possession for the message: a MAC by DHBasedMac, or a DhSigStatic
// that names the certificate. Errors are those of [ParseDHBM], or wrap
// [ErrUnsupported] or [ErrParameters].
func (s *StaticDH) Sign(a pkix.AlgorithmIdentifier, message []byte) ([]byte, error) {
	if IsDHBM(a) {
		d, err := ParseDHBM(a)
		if err != nil {
			return nil, err
		}
		return d.Sum(s.secret, message)
	}
	p, err := readStaticPOP(a)
	if err != nil {
		return nil, err
	}
	return s.marshal(s.sum(p.hash, message))
}

// Verify checks such a proof. Errors wrap [ErrUnsupported], [ErrParameters],
// [ErrForbidden], or [ErrSignature] where it is wrong, malformed, or for another
// certificate.
func (s *StaticDH) Verify(a pkix.AlgorithmIdentifier, message, value []byte, p *MACPolicy) error {
	if IsDHBM(a) {
		d, err := ParseDHBM(a)
		if err == nil {
			err = d.Admit(p)
		}
		switch {
		case err != nil:
			return err
		case !d.Verify(s.secret, message, value):
			return fmt.Errorf("%s: %w", d.Name(), ErrSignature)
		}
		return nil
	}
	row, err := readStaticPOP(a)
	if err != nil {
		return err
	}
	mac, err := s.read(value)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac, s.sum(row.hash, message)) {
		return fmt.Errorf("static ECDH with %s: %w", row.hash.name, ErrSignature)
	}
	return nil
}

// VerifyDHMAC checks the dhMAC of RFC 4211 section 4.3, deprecated: it is made
// as RFC 2875 section 3 says, with SHA-1, and either the MAC alone or a
// DhSigStatic. The error wraps [ErrSignature].
func (s *StaticDH) VerifyDHMAC(message, value []byte) error {
	sha1 := digestByHash[crypto.SHA1]
	mac := value
	if len(value) != sha1.length() {
		var err error
		if mac, err = s.read(value); err != nil {
			return err
		}
	}
	if !hmac.Equal(mac, s.sum(sha1, message)) {
		return fmt.Errorf("dhMAC: %w", ErrSignature)
	}
	return nil
}

// VerifyAgreeMAC checks the PKMACValue of agreeMAC (RFC 4211 section 4.3): its
// algorithm is one of [StaticDH.Verify], or a password-based one with the secret
// in the password's place, as a PKMACValue has it (RFC 4211 section 4.1). Errors
// are those of Verify and [ParseMAC].
func (s *StaticDH) VerifyAgreeMAC(a pkix.AlgorithmIdentifier, message, value []byte, p *MACPolicy) error {
	if IsStaticDH(a) {
		return s.Verify(a, message, value, p)
	}
	m, err := ParseMAC(a, p)
	if err != nil {
		return err
	}
	if !m.Verify(s.secret, message, value) {
		return fmt.Errorf("%s: %w", m.Name(), ErrSignature)
	}
	return nil
}

func readStaticPOP(a pkix.AlgorithmIdentifier) (*staticPOP, error) {
	p := findStaticPOP(a)
	if p == nil {
		return nil, fmt.Errorf("%s as a proof by Diffie-Hellman: %w", short(a.OID), ErrUnsupported)
	}
	// Absent in RFC 6955; the example of RFC 2875 has NULL.
	if !nullOrAbsent(a) {
		return nil, fmt.Errorf("static ECDH with %s must have no parameters: %w", p.hash.name, ErrParameters)
	}
	return p, nil
}

// sum is the MAC under H(subject || secret || issuer), the names being those of
// the recipient's certificate.
func (s *StaticDH) sum(d *digest, message []byte) []byte {
	h := d.new()
	h.Write(s.of.Subject)
	h.Write(s.secret)
	h.Write(s.of.Issuer)
	m := hmac.New(d.hash.New, h.Sum(nil))
	m.Write(message)
	return m.Sum(nil)
}

// marshal makes a DhSigStatic.
func (s *StaticDH) marshal(mac []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			s.of.Issuer.Add(b)
			pkix.AddInteger(b, asn1.INTEGER, s.of.Serial)
		})
		b.AddASN1OctetString(mac)
	})
	return b.Bytes()
}

// read takes the MAC out of a DhSigStatic, which may name no certificate but
// ours.
func (s *StaticDH) read(value []byte) ([]byte, error) {
	v, err := ParseDHSigStatic(value)
	if err != nil {
		return nil, err
	}
	if v.Issuer != nil && (!v.Issuer.Matches(s.of.Issuer) || v.Serial.Cmp(s.of.Serial) != 0) {
		return nil, fmt.Errorf("DhSigStatic for another certificate than that of the recipient: %w", ErrSignature)
	}
	return v.MAC, nil
}

// DHSigStatic is the value of a proof by static Diffie-Hellman (RFC 6955 section
// 4.1).
type DHSigStatic struct {
	Issuer pkix.Name // with Serial, the certificate of the recipient; nil: it is not named
	Serial *big.Int
	MAC    []byte
}

// ParseDHSigStatic reads one that is all of b. The error wraps [ErrSignature].
func ParseDHSigStatic(b []byte) (v DHSigStatic, err error) {
	in := cryptobyte.String(b)
	var seq, mac cryptobyte.String
	ok := in.ReadASN1(&seq, asn1.SEQUENCE) && in.Empty()
	if ok && seq.PeekASN1Tag(asn1.SEQUENCE) {
		var id cryptobyte.String
		if ok = seq.ReadASN1(&id, asn1.SEQUENCE); ok {
			if v.Issuer, ok = pkix.ReadName(&id); ok {
				v.Serial, ok = pkix.ReadInteger(&id, asn1.INTEGER)
				ok = ok && id.Empty()
			}
		}
	}
	if !ok || !seq.ReadASN1(&mac, asn1.OCTET_STRING) || !seq.Empty() {
		return DHSigStatic{}, fmt.Errorf("DhSigStatic is malformed: %w", ErrSignature)
	}
	v.MAC = mac
	return v, nil
}
