package alg

import (
	"crypto"
	"fmt"
	"io"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// PBMOptions are the parameters of a PBM to make. Zero fields stand for
// SHA-256, HMAC-SHA256, 10,000 iterations and a salt of 16 octets.
type PBMOptions struct {
	OWF, HMAC  crypto.Hash
	KMAC       int // 128 or 256: KMAC instead of HMAC (RFC 9481 section 6.2.2)
	Iterations int
	SaltSize   int
}

// NewPBM makes the parameters of a password-based MAC (RFC 9810 section
// 5.1.3.1) with a fresh salt. They must meet the default [MACPolicy].
func NewPBM(rand io.Reader, o PBMOptions) (*MAC, error) {
	m, err := newMAC("pbm", o.OWF, o.HMAC, o.KMAC, o.Iterations)
	if err != nil {
		return nil, err
	}
	m.hashAlg = pkix.AlgorithmIdentifier{OID: m.hash.oid}
	return m.made(rand, o.SaltSize)
}

// newMAC begins a MAC of ours; zero stands for the default.
func newMAC(kind string, hash, mac crypto.Hash, kmac, iterations int) (*MAC, error) {
	if hash == 0 {
		hash = crypto.SHA256
	}
	if mac == 0 {
		mac = crypto.SHA256
	}
	d, k := digestByHash[hash], digestByHash[mac]
	if d == nil || k == nil {
		return nil, fmt.Errorf("%s with %v and HMAC with %v: %w", kind, hash, mac, ErrUnsupported)
	}
	if iterations == 0 {
		iterations = 10_000
	}
	m := &MAC{hash: d, mac: keyedMACByOID[k.hmac[0]], macAlg: hmacAlgorithm(k), iterations: iterations}
	for _, r := range macKinds {
		if r.name == kind {
			m.kind = r
		}
	}
	if kmac != 0 {
		return m, m.useKMAC(kmac)
	}
	return m, nil
}

// useKMAC takes KMAC128 or KMAC256 with its default output for the MAC.
func (m *MAC) useKMAC(bits int) error {
	for _, k := range keyedMACs {
		if k.hmac == nil && k.name == fmt.Sprintf("kmac%d", bits) {
			m.mac, m.macAlg = k, pkix.AlgorithmIdentifier{OID: k.oid}
			return nil
		}
	}
	return fmt.Errorf("%s with KMAC%d: %w", m.kind.name, bits, ErrUnsupported)
}

// made completes a MAC of ours and holds it to what we would accept.
func (m *MAC) made(rand io.Reader, salt int) (*MAC, error) {
	if salt == 0 {
		salt = defaultSalt
	}
	if salt < DefaultMinSalt || salt > DefaultMaxSalt {
		return nil, fmt.Errorf("%s with %d octets of salt, not %d to %d: %w", m.kind.name, salt, DefaultMinSalt, DefaultMaxSalt, ErrForbidden)
	}
	if err := m.setSalt(rand, salt); err != nil {
		return nil, err
	}
	return ParseMAC(m.alg, nil)
}

// readPBM reads PBMParameter.
func readPBM(m *MAC, params []byte, p *MACPolicy) error {
	in := cryptobyte.String(params)
	var seq, salt cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&salt, asn1.OCTET_STRING) {
		return fmt.Errorf("pbm parameters: %w", ErrParameters)
	}
	m.salt = salt
	var ok bool
	if m.hashAlg, ok = pkix.ReadAlgorithm(&seq); !ok {
		return fmt.Errorf("pbm one-way function: %w", ErrParameters)
	}
	if !readCount(&seq, &m.iterations) {
		return fmt.Errorf("pbm iteration count: %w", ErrParameters)
	}
	if m.macAlg, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.Empty() {
		return fmt.Errorf("pbm MAC: %w", ErrParameters)
	}
	if m.iterations > p.MaxIterations {
		return fmt.Errorf("pbm with %d iterations, at most %d are accepted: %w", m.iterations, p.MaxIterations, ErrForbidden)
	}
	var err error
	if m.hash, err = readDigest(m.hashAlg); err != nil {
		return fmt.Errorf("pbm one-way function: %w", err)
	}
	if m.hash.weak && !p.AllowSHA1 {
		return fmt.Errorf("pbm with %s as one-way function: %w", m.hash.name, ErrForbidden)
	}
	if m.mac, err = readKeyedMAC(m.macAlg); err != nil {
		return fmt.Errorf("pbm: %w", err)
	}
	if m.hash.length() < m.mac.minKey {
		return fmt.Errorf("pbm with %s for a key of %s: %w", m.hash.name, m.mac.name, ErrForbidden)
	}
	return nil
}

// readCount reads an INTEGER that is positive and fits 31 bits; no count above
// is ever within a policy.
func readCount(s *cryptobyte.String, n *int) bool {
	var v int64
	if !s.ReadASN1Integer(&v) || v < 1 || v > 1<<31-1 {
		return false
	}
	*n = int(v)
	return true
}

func writePBM(m *MAC) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(m.salt)
		m.hashAlg.Add(b)
		b.AddASN1Int64(int64(m.iterations))
		m.macAlg.Add(b)
	})
	return b.BytesOrPanic()
}

// derivePBM hashes secret || salt, then the result again until the count is
// reached. HMAC takes a key of any size, so the whole of it is the key, as all
// known peers have it.
func derivePBM(m *MAC, secret []byte) []byte {
	h := m.hash.new()
	h.Write(secret)
	h.Write(m.salt)
	k := h.Sum(make([]byte, 0, 64))
	if m.hash.hash == crypto.SHA256 && rehash256(h, k, m.iterations-1) {
		return k
	}
	for range m.iterations - 1 {
		h.Reset()
		h.Write(k)
		k = h.Sum(k[:0])
	}
	return k
}
