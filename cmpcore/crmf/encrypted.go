package crmf

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// ReadEncryptedKey takes an EncryptedKey off s.
func ReadEncryptedKey(s *cryptobyte.String) (k EncryptedKey, err error) {
	if s.PeekASN1Tag(cons(0)) {
		k.Enveloped, err = readEnveloped(s, cons(0))
		return k, err
	}
	k.Value, err = ReadEncryptedValue(s)
	return k, err
}

// Add appends the EncryptedKey.
func (k *EncryptedKey) Add(b *cryptobyte.Builder) {
	switch {
	case (k.Value == nil) == (k.Enveloped == nil):
		b.SetError(errors.New("encryptedKey: exactly one of encryptedValue and envelopedData must be set"))
	case k.Value != nil:
		k.Value.Add(b)
	default:
		pkix.AddRetagged(b, cons(0), k.Enveloped)
	}
}

// ReadEncryptedValue takes an EncryptedValue off s.
func ReadEncryptedValue(s *cryptobyte.String) (*EncryptedValue, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, malformed("encryptedValue")
	}
	v := new(EncryptedValue)
	ok := true
	if seq.PeekASN1Tag(cons(0)) {
		if v.IntendedAlg, ok = pkix.ReadTaggedAlgorithm(&seq, cons(0)); !ok {
			return nil, malformed("encryptedValue: intendedAlg")
		}
	}
	if seq.PeekASN1Tag(cons(1)) {
		if v.SymmAlg, ok = pkix.ReadTaggedAlgorithm(&seq, cons(1)); !ok {
			return nil, malformed("encryptedValue: symmAlg")
		}
	}
	if seq.PeekASN1Tag(prim(2)) {
		if v.EncSymmKey, ok = pkix.ReadBits(&seq, prim(2)); !ok {
			return nil, malformed("encryptedValue: encSymmKey")
		}
	}
	if seq.PeekASN1Tag(cons(3)) {
		if v.KeyAlg, ok = pkix.ReadTaggedAlgorithm(&seq, cons(3)); !ok {
			return nil, malformed("encryptedValue: keyAlg")
		}
	}
	if seq.PeekASN1Tag(prim(4)) {
		var hint cryptobyte.String
		if !seq.ReadASN1(&hint, prim(4)) {
			return nil, malformed("encryptedValue: valueHint")
		}
		v.ValueHint = hint
	}
	if v.EncValue, ok = pkix.ReadBits(&seq, asn1.BIT_STRING); !ok {
		return nil, malformed("encryptedValue: encValue")
	}
	if !seq.Empty() {
		return nil, at("encryptedValue", unexpected(seq))
	}
	return v, nil
}

// ParseEncryptedValue reads an EncryptedValue that is all of b: the contents of
// thisMessage (RFC 9810 section 5.2.8.3.1), which the scan of the message around
// them did not see. The result refers to b.
func ParseEncryptedValue(b []byte) (*EncryptedValue, error) {
	if err := der.Scan(b, der.Limits{Bytes: maxThisMessage}); err != nil {
		return nil, at("encryptedValue", err)
	}
	s := cryptobyte.String(b)
	v, err := ReadEncryptedValue(&s)
	if err != nil {
		return nil, err
	}
	if !s.Empty() {
		return nil, at("encryptedValue", unexpected(s))
	}
	return v, nil
}

// maxThisMessage is far above what a private key takes, in octets.
const maxThisMessage = 1 << 16

// Bytes gives the DER.
func (v *EncryptedValue) Bytes() ([]byte, error) {
	var b cryptobyte.Builder
	v.Add(&b)
	return b.Bytes()
}

// Add appends the EncryptedValue.
func (v *EncryptedValue) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if !v.IntendedAlg.IsZero() {
			v.IntendedAlg.AddTagged(b, cons(0))
		}
		if !v.SymmAlg.IsZero() {
			v.SymmAlg.AddTagged(b, cons(1))
		}
		if v.EncSymmKey != nil {
			pkix.AddBits(b, prim(2), v.EncSymmKey)
		}
		if !v.KeyAlg.IsZero() {
			v.KeyAlg.AddTagged(b, cons(3))
		}
		if v.ValueHint != nil {
			pkix.AddElement(b, prim(4), v.ValueHint)
		}
		pkix.AddBits(b, asn1.BIT_STRING, v.EncValue)
	})
}
