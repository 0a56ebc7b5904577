package alg

import (
	"crypto"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/pbkdf2"
)

var oidPBKDF2 = pkix.MustOID("1.2.840.113549.1.5.12")

// PBMAC1Options are the parameters of a PBMAC1 to make. Zero fields stand for
// HMAC-SHA256 twice, 10,000 iterations and a salt of 16 octets.
type PBMAC1Options struct {
	PRF, HMAC  crypto.Hash
	KMAC       int // 128 or 256: KMAC instead of HMAC (RFC 9481 section 6.2.2)
	Iterations int
	SaltSize   int
}

// NewPBMAC1 makes the parameters of PBMAC1 (RFC 8018 section 7.1) with a fresh
// salt and, as RFC 9579 wants it, the key's length. They must meet the default
// [MACPolicy].
func NewPBMAC1(rand io.Reader, o PBMAC1Options) (*MAC, error) {
	m, err := newMAC("pbmac1", o.PRF, o.HMAC, o.KMAC, o.Iterations)
	if err != nil {
		return nil, err
	}
	if m.hash.hash != crypto.SHA1 { // the default is not written
		m.hashAlg = hmacAlgorithm(m.hash)
	}
	m.keyLen, m.hasKeyLen = m.mac.keySize, true
	return m.made(rand, o.SaltSize)
}

// readPBMAC1 reads PBMAC1-params with PBKDF2-params (RFC 8018 appendix A).
func readPBMAC1(m *MAC, params []byte, p *MACPolicy) error {
	in := cryptobyte.String(params)
	var seq, kdf, salt cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return fmt.Errorf("pbmac1 parameters: %w", ErrParameters)
	}
	kdfAlg, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return fmt.Errorf("pbmac1 key derivation: %w", ErrParameters)
	}
	if m.macAlg, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.Empty() {
		return fmt.Errorf("pbmac1 MAC: %w", ErrParameters)
	}
	if kdfAlg.OID != oidPBKDF2 {
		return fmt.Errorf("pbmac1 key derivation %s: %w", short(kdfAlg.OID), ErrUnsupported)
	}
	var err error
	if m.mac, err = readKeyedMAC(m.macAlg); err != nil {
		return fmt.Errorf("pbmac1: %w", err)
	}

	in = cryptobyte.String(kdfAlg.Parameters)
	if !in.ReadASN1(&kdf, asn1.SEQUENCE) || !in.Empty() {
		return fmt.Errorf("pbkdf2 parameters: %w", ErrParameters)
	}
	if kdf.PeekASN1Tag(asn1.SEQUENCE) {
		return fmt.Errorf("pbkdf2 salt from elsewhere: %w", ErrUnsupported)
	}
	if !kdf.ReadASN1(&salt, asn1.OCTET_STRING) || !readCount(&kdf, &m.iterations) {
		return fmt.Errorf("pbkdf2 salt or iteration count: %w", ErrParameters)
	}
	m.salt = salt
	m.keyLen = m.mac.keySize
	if kdf.PeekASN1Tag(asn1.INTEGER) {
		if m.hasKeyLen = readCount(&kdf, &m.keyLen); !m.hasKeyLen {
			return fmt.Errorf("pbkdf2 key length: %w", ErrParameters)
		}
	}
	m.hash = digestByName["sha1"]
	if !kdf.Empty() {
		if m.hashAlg, ok = pkix.ReadAlgorithm(&kdf); !ok || !kdf.Empty() {
			return fmt.Errorf("pbkdf2 pseudo-random function: %w", ErrParameters)
		}
		prf, err := readKeyedMAC(m.hashAlg)
		if err != nil {
			return fmt.Errorf("pbkdf2 pseudo-random function: %w", err)
		}
		if prf.hmac == nil {
			return fmt.Errorf("pbkdf2 with %s: %w", prf.name, ErrUnsupported)
		}
		m.hash = prf.hmac
	}

	switch {
	case m.keyLen < max(minMACKey, m.mac.minKey) || m.keyLen > maxMACKey:
		return fmt.Errorf("pbmac1 with a key of %d octets, not %d to %d: %w", m.keyLen, max(minMACKey, m.mac.minKey), maxMACKey, ErrForbidden)
	case m.hash.weak && p.RefuseHMACSHA1:
		return fmt.Errorf("pbmac1 with hmac-%s: %w", m.hash.name, ErrForbidden)
	}
	blocks := (m.keyLen + m.hash.length() - 1) / m.hash.length()
	if m.iterations > p.MaxPBMAC1Iterations/blocks {
		return fmt.Errorf("pbmac1 with %d iterations for each of %d blocks, at most %d in all are accepted: %w",
			m.iterations, blocks, p.MaxPBMAC1Iterations, ErrForbidden)
	}
	return nil
}

// minMACKey is 128 bits: a shorter key is weaker than the MAC it is for.
const minMACKey = 16

func writePBMAC1(m *MAC) []byte {
	var p cryptobyte.Builder
	p.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(m.salt)
		b.AddASN1Int64(int64(m.iterations))
		if m.hasKeyLen {
			b.AddASN1Int64(int64(m.keyLen))
		}
		if !m.hashAlg.IsZero() {
			m.hashAlg.Add(b)
		}
	})
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: p.BytesOrPanic()}.Add(b)
		m.macAlg.Add(b)
	})
	return b.BytesOrPanic()
}

func derivePBMAC1(m *MAC, secret []byte) []byte {
	return pbkdf2.Key(secret, m.salt, m.iterations, m.keyLen, m.hash.new)
}
