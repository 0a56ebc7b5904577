package cms

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var (
	oidKEMRecipient = pkix.MustOID("1.2.840.113549.1.9.16.13.3") // id-ori-kem, RFC 9629 section 3
	oidRSAKEM       = pkix.MustOID("1.0.18033.2.2.4")            // id-kem-rsa, RFC 9690 section 2.2
)

// kemRecipient is KEMRecipientInfo of RFC 9629 section 3.
type kemRecipient struct {
	kem        pkix.AlgorithmIdentifier
	ciphertext []byte
	kdf        pkix.AlgorithmIdentifier
	kekLength  int64
	ukm        []byte // nil where absent
	wrap       pkix.AlgorithmIdentifier
	encrypted  []byte
}

// kemChoice is what a KEMRecipientInfo has besides the KEM.
type kemChoice struct {
	kdf      pkix.AlgorithmIdentifier
	wrapAlg  pkix.AlgorithmIdentifier
	wrapSize int
}

// chooseKEM takes what all know that have the KEM: HKDF and SHA-256 with AES key
// wrap of 256 bits, of 128 for ML-KEM-512 (RFC 9936 section 2.1), and KDF3 and
// SHA-256 with AES key wrap of 128 bits for RSA-KEM (RFC 9690 section 2.1); or
// what the key demands.
func chooseKEM(pub crypto.PublicKey, o RecipientOptions) (*kemChoice, error) {
	if o.Hash != 0 && o.Hash != crypto.SHA256 {
		return nil, unsupported("key encapsulation with another hash than SHA-256")
	}
	size, kdf := o.WrapKeySize, alg.HKDFAlgorithm()
	switch k := pub.(type) {
	case *rsa.PublicKey:
		kdf = alg.KDF3Algorithm()
	case *alg.RSAKEMPublicKey:
		kdf = alg.KDF3Algorithm()
		if given, length, wrapAlg, ok := k.Components(); ok {
			wrap, err := wrapByAlgorithm(wrapAlg)
			switch {
			case err != nil:
				return nil, err
			case wrap.keySize != length || size != 0 && size != length:
				return nil, fmt.Errorf("key wrap of the RSA-KEM key: %w", alg.ErrMismatch)
			}
			return &kemChoice{given, wrapAlg, length}, nil
		}
	}
	if size == 0 && (alg.KeyType(pub) == "ml-kem-512" || kdf.OID != alg.HKDFAlgorithm().OID) {
		size = 16
	}
	wrap, err := wrapBySize(size)
	if err != nil {
		return nil, err
	}
	return &kemChoice{kdf, wrap.algorithm(), wrap.keySize}, nil
}

// encapsulate makes a secret for a key. With RSA-KEM its own key derivation is
// that of the recipient, and as long: so it is right too for who does not look
// at the parameters of the KEM, as RFC 9690 appendix D does without them.
func (c *kemChoice) encapsulate(rand io.Reader, pub crypto.PublicKey) (kem pkix.AlgorithmIdentifier, ciphertext, secret []byte, err error) {
	switch pub.(type) {
	case *rsa.PublicKey, *alg.RSAKEMPublicKey:
		return alg.EncapsulateRSA(rand, pub, c.kdf, c.wrapSize)
	}
	return alg.Encapsulate(rand, pub)
}

// encapsulationTo makes a recipient by a KEM.
func encapsulationTo(pub crypto.PublicKey, o RecipientOptions) (*Recipient, error) {
	c, err := chooseKEM(pub, o)
	if err != nil {
		return nil, err
	}
	return &Recipient{KeyEncapsulation, 3, func(rand io.Reader, cek []byte) ([]byte, error) {
		kem, ciphertext, secret, err := c.encapsulate(rand, pub)
		if err != nil {
			return nil, err
		}
		defer clear(secret)
		kek, err := kemKDF(c.kdf, secret, kemOtherInfo(c.wrapAlg, nil, c.wrapSize), c.wrapSize)
		if err != nil {
			return nil, err
		}
		defer clear(kek)
		wrapped, err := wrapKey(kek, cek)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		b.AddASN1(cons(4), func(b *cryptobyte.Builder) {
			oidKEMRecipient.Add(b)
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(0)
				o.ID.add(b)
				kem.Add(b)
				b.AddASN1OctetString(ciphertext)
				c.kdf.Add(b)
				b.AddASN1Int64(int64(c.wrapSize))
				c.wrapAlg.Add(b)
				b.AddASN1OctetString(wrapped)
			})
		})
		return b.Bytes()
	}}, nil
}

func readOther(s *cryptobyte.String) (*recipientInfo, error) {
	const where = "ori"
	var seq, value, info cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&seq, cons(4)) {
		return nil, malformed(where)
	}
	o, ok := pkix.ReadOID(&seq)
	if !ok || !seq.ReadAnyASN1Element(&value, &tag) {
		return nil, malformed(where)
	}
	if err := end(where, seq); err != nil {
		return nil, err
	}
	if o != oidKEMRecipient {
		return &recipientInfo{technique: Unknown, alg: pkix.AlgorithmIdentifier{OID: o}}, nil
	}
	if !value.ReadASN1(&info, asn1.SEQUENCE) {
		return nil, malformed("kemri")
	}
	return readKEM(info)
}

func readKEM(seq cryptobyte.String) (*recipientInfo, error) {
	const where = "kemri"
	var ciphertext, field, encrypted cryptobyte.String
	if version, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || version != 0 {
		return nil, malformed(where + ": version")
	}
	r, k := &recipientInfo{technique: KeyEncapsulation}, &kemRecipient{}
	var ok bool
	if r.id, ok = readIdentifier(&seq); !ok {
		return nil, malformed(where + ": rid")
	}
	if k.kem, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&ciphertext, asn1.OCTET_STRING) {
		return nil, malformed(where + ": kem")
	}
	if k.kdf, ok = pkix.ReadAlgorithm(&seq); !ok {
		return nil, malformed(where + ": kdf")
	}
	if k.kekLength, ok = pkix.ReadInt(&seq, asn1.INTEGER); !ok || k.kekLength < 1 || k.kekLength > 65535 {
		return nil, malformed(where + ": kekLength")
	}
	var present bool
	if !seq.ReadOptionalASN1(&field, &present, cons(0)) {
		return nil, malformed(where + ": ukm")
	}
	if present {
		var err error
		if k.ukm, err = readUKM(field); err != nil {
			return nil, at(where, err)
		}
	}
	if k.wrap, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&encrypted, asn1.OCTET_STRING) {
		return nil, malformed(where + ": wrap")
	}
	k.ciphertext, k.encrypted = ciphertext, encrypted
	r.open, r.alg = k.open, k.kem
	return r, end(where, seq)
}

func (k *kemRecipient) open(rand io.Reader, key *Key, _ *Policy, size int) ([]byte, error) {
	if key.Private == nil {
		return nil, errOtherKey
	}
	wrap, err := wrapByAlgorithm(k.wrap)
	if err != nil {
		return nil, err
	}
	if int(k.kekLength) != wrap.keySize {
		return nil, badParameters("kekLength")
	}
	secret, err := decapsulate(rand, key.Private, k.kemAlgorithm(), k.ciphertext)
	switch {
	case errors.Is(err, alg.ErrMismatch):
		return nil, errOtherKey
	case err != nil:
		return nil, err
	}
	defer clear(secret)
	kek, err := kemKDF(k.kdf, secret, kemOtherInfo(k.wrap, k.ukm, wrap.keySize), wrap.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	return unwrapKey(kek, k.encrypted, size)
}

// kemAlgorithm gives RSA-KEM its parameters. Where they are absent, its own key
// derivation is that of the recipient and as long (RFC 9690 appendix D).
func (k *kemRecipient) kemAlgorithm() pkix.AlgorithmIdentifier {
	if k.kem.OID != oidRSAKEM || k.kem.Parameters != nil || k.kdf.IsZero() {
		return k.kem
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		k.kdf.Add(b)
		b.AddASN1Int64(k.kekLength)
	})
	return pkix.AlgorithmIdentifier{OID: k.kem.OID, Parameters: b.BytesOrPanic()}
}

// decapsulate opens with a key of package alg, or with one of the standard
// library or a device.
func decapsulate(rand io.Reader, private crypto.PrivateKey, kem pkix.AlgorithmIdentifier, ciphertext []byte) ([]byte, error) {
	d, ok := private.(crypto.Decapsulator)
	if !ok {
		return alg.Decapsulate(rand, private, kem, ciphertext)
	}
	spki, err := pkix.NewSubjectPublicKeyInfo(kem, d.Encapsulator().Bytes())
	if err != nil {
		return nil, err
	}
	if _, err := alg.ParsePublicKey(spki); err != nil || kem.Parameters != nil {
		return nil, at("KEM "+short(kem.OID), alg.ErrMismatch)
	}
	secret, err := d.Decapsulate(ciphertext)
	if err != nil {
		return nil, badParameters("KEM ciphertext")
	}
	return secret, nil
}
