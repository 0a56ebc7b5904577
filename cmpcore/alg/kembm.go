package alg

import (
	"crypto"
	"crypto/hmac"
	"fmt"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// oidKEMBM is id-KemBasedMac.
var oidKEMBM = pkix.MustOID("1.2.840.113533.7.66.16")

// KEMBM is a MAC whose key comes of a KEM's shared secret (RFC 9810 section
// 5.1.3.4). [Encapsulate] and [Decapsulate] make that secret.
type KEMBM struct {
	alg     pkix.AlgorithmIdentifier
	kdf     pkix.AlgorithmIdentifier
	context []byte // nil: absent
	keyLen  int
	mac     *keyedMAC
}

// KEMBMOptions are the parameters of a KEMBM to make. Zero fields stand for
// HKDF with SHA-256 and HMAC-SHA256.
type KEMBMOptions struct {
	KDF     pkix.AlgorithmIdentifier
	HMAC    crypto.Hash
	KMAC    int    // 128 or 256: instead of HMAC
	Context []byte // kemContext; nil: absent
}

var kemContextTag = asn1.Tag(0).ContextSpecific()

// maxKEMContext bounds kemContext in octets.
const maxKEMContext = 1024

// IsKEMBM tells whether the identifier is id-KemBasedMac.
func IsKEMBM(a pkix.AlgorithmIdentifier) bool { return a.OID == oidKEMBM }

// ParseKEMBM reads a protection algorithm with KemBMParameter. Errors wrap
// [ErrUnsupported], [ErrParameters] or [ErrForbidden].
func ParseKEMBM(a pkix.AlgorithmIdentifier) (*KEMBM, error) {
	if !IsKEMBM(a) {
		return nil, fmt.Errorf("MAC algorithm %s as one by a KEM: %w", short(a.OID), ErrUnsupported)
	}
	k := &KEMBM{alg: a}
	in := cryptobyte.String(a.Parameters)
	var seq, context cryptobyte.String
	var has, ok bool
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("kembm parameters: %w", ErrParameters)
	}
	if k.kdf, ok = pkix.ReadAlgorithm(&seq); !ok {
		return nil, fmt.Errorf("kembm key derivation: %w", ErrParameters)
	}
	if !seq.ReadOptionalASN1(&context, &has, kemContextTag) || !readCount(&seq, &k.keyLen) {
		return nil, fmt.Errorf("kembm context or length of key: %w", ErrParameters)
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, fmt.Errorf("kembm MAC: %w", ErrParameters)
	}
	if has {
		if k.context = context; k.context == nil {
			k.context = []byte{}
		}
	}
	var err error
	if _, _, err = readKDF(k.kdf); err != nil {
		return nil, fmt.Errorf("kembm: %w", err)
	}
	if k.mac, err = readKeyedMAC(mac); err != nil {
		return nil, fmt.Errorf("kembm: %w", err)
	}
	switch least := max(minMACKey, k.mac.minKey); {
	case k.keyLen < least || k.keyLen > maxMACKey:
		return nil, fmt.Errorf("kembm with a key of %d octets, not %d to %d: %w", k.keyLen, least, maxMACKey, ErrForbidden)
	case len(k.context) > maxKEMContext:
		return nil, fmt.Errorf("kembm with a context of %d octets, more than %d: %w", len(k.context), maxKEMContext, ErrForbidden)
	}
	return k, nil
}

// NewKEMBM makes the parameters for the messages that we protect.
func NewKEMBM(o KEMBMOptions) (*KEMBM, error) {
	if o.KDF.IsZero() {
		o.KDF = HKDFAlgorithm()
	}
	m, err := newMAC("pbmac1", 0, o.HMAC, o.KMAC, 0) // the same choice of MACs
	if err != nil {
		return nil, fmt.Errorf("kembm: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		o.KDF.Add(b)
		if o.Context != nil {
			b.AddASN1(kemContextTag, func(b *cryptobyte.Builder) { b.AddBytes(o.Context) })
		}
		b.AddASN1Int64(int64(m.mac.keySize))
		m.macAlg.Add(b)
	})
	return ParseKEMBM(pkix.AlgorithmIdentifier{OID: oidKEMBM, Parameters: b.BytesOrPanic()})
}

// Admit refuses what the policy does not accept: KEMBM at all, or HMAC-SHA1.
// The error wraps [ErrForbidden].
func (k *KEMBM) Admit(p *MACPolicy) error { return p.admit(kindKEMBM, k.mac) }

// Algorithm gives the identifier for the header.
func (k *KEMBM) Algorithm() pkix.AlgorithmIdentifier { return k.alg }

// Name is for people: "kembm-hkdf-sha256-hmac-sha256".
func (k *KEMBM) Name() string {
	f, d, _ := readKDF(k.kdf)
	if f.hash == nil {
		return "kembm-" + f.name + "-" + d.name + "-" + k.mac.name
	}
	return "kembm-" + f.name + "-" + k.mac.name
}

// Key derives ssk from the shared secret ss. transactionID is that of the
// message with the ciphertext.
func (k *KEMBM) Key(secret, transactionID []byte) ([]byte, error) {
	return DeriveKey(k.kdf, secret, k.keyLen, KEMOtherInfo(transactionID, k.context))
}

// Sum computes the MAC of a message under ss.
func (k *KEMBM) Sum(secret, transactionID, message []byte) ([]byte, error) {
	key, err := k.Key(secret, transactionID)
	if err != nil {
		return nil, fmt.Errorf("kembm: %w", err)
	}
	return k.mac.sum(key, message), nil
}

// Verify tells whether mac is that of the message, in time that does not depend
// on where they differ.
func (k *KEMBM) Verify(secret, transactionID, message, mac []byte) bool {
	want, err := k.Sum(secret, transactionID, message)
	return err == nil && hmac.Equal(want, mac)
}

// KEMOtherInfo gives the DER of KemOtherInfo, the context of the derivation. A
// nil kemContext is absent.
func KEMOtherInfo(transactionID, kemContext []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // PKIFreeText
			b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte("CMP-KEM")) })
		})
		b.AddASN1OctetString(transactionID)
		if kemContext != nil {
			b.AddASN1(kemContextTag, func(b *cryptobyte.Builder) { b.AddBytes(kemContext) })
		}
	})
	return b.BytesOrPanic()
}
