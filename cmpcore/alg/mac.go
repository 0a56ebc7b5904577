package alg

import (
	"crypto"
	"crypto/hmac"
	"fmt"
	"hash"
	"io"
	"slices"

	"cmp-batch/cmpcore/pkix"
)

// macKind is a row of the table of password-based MACs: how a key is derived
// from the secret.
type macKind struct {
	name   string
	oid    pkix.OID
	read   func(m *MAC, params []byte, p *MACPolicy) error
	write  func(m *MAC) []byte
	derive func(m *MAC, secret []byte) []byte
}

// macKinds is the table of password-based MACs (RFC 9481 section 6.1).
var macKinds = []*macKind{
	{"pbm", pkix.MustOID("1.2.840.113533.7.66.13"), readPBM, writePBM, derivePBM},
	{"pbmac1", pkix.MustOID("1.2.840.113549.1.5.14"), readPBMAC1, writePBMAC1, derivePBMAC1},
}

// keyedMAC is a row of the table of MACs with a key, which the above use.
type keyedMAC struct {
	name    string
	oid     pkix.OID
	size    int // octets of its output
	keySize int // octets of the key where nothing says otherwise
	minKey  int // octets of the shortest key
	hmac    *digest
	new     func(key []byte) hash.Hash
	// read gives the row with what the parameters change, ok=false where they
	// are wrong.
	read func(k *keyedMAC, a pkix.AlgorithmIdentifier) (r *keyedMAC, ok bool)
}

// keyedMACs is the table of MACs with a key (RFC 9481 section 6.2): HMAC with
// every hash of the hash table, under each of its identifiers, and KMAC.
var keyedMACs = append(hmacs(),
	kmacRow("kmac128", "2.16.840.1.101.3.4.2.19", 128), kmacRow("kmac256", "2.16.840.1.101.3.4.2.20", 256))

func hmacs() (rows []*keyedMAC) {
	for _, d := range digests {
		for _, o := range d.hmac {
			rows = append(rows, &keyedMAC{
				name: "hmac-" + d.name, oid: o, size: d.length(), keySize: d.length(), hmac: d,
				new:  func(key []byte) hash.Hash { return hmac.New(d.hash.New, key) },
				read: func(k *keyedMAC, a pkix.AlgorithmIdentifier) (*keyedMAC, bool) { return k, nullOrAbsent(a) },
			})
		}
	}
	return rows
}

var (
	macKindByOID  = map[pkix.OID]*macKind{}
	keyedMACByOID = map[pkix.OID]*keyedMAC{}
)

func init() {
	for _, k := range macKinds {
		macKindByOID[k.oid] = k
	}
	for _, k := range keyedMACs {
		keyedMACByOID[k.oid] = k
	}
}

// The defaults of [MACPolicy]. They admit the messages of an unconfigured
// OpenSSL 3.0: 500 iterations, a salt of 16 octets, SHA-256 and HMAC-SHA1.
const (
	DefaultMinIterations       = 100     // the least of RFC 4211 section 4.4
	DefaultMaxIterations       = 100_000 // some 10 ms
	DefaultMaxPBMAC1Iterations = 1_000_000
	DefaultMinSalt             = 8 // octets, RFC 4211 section 4.4
	DefaultMaxSalt             = 256
)

// maxMACKey bounds the key that PBMAC1 derives; HMAC gains nothing beyond the
// block size of its hash.
const maxMACKey = 144

// MACPolicy bounds what a peer's MAC parameters may ask for. nil and zero
// fields stand for the defaults.
type MACPolicy struct {
	MinIterations       int // of PBM and PBMAC1
	MaxIterations       int // of PBM
	MaxPBMAC1Iterations int // each block of key that is derived counts
	MinSalt, MaxSalt    int // octets

	// AllowSHA1 admits SHA-1 as the one-way function of PBM.
	AllowSHA1 bool
	// RefuseHMACSHA1 refuses HMAC-SHA1 too, the MAC of an unconfigured OpenSSL
	// 3.0 and the default PRF of PBKDF2, which no attack on SHA-1 reaches.
	RefuseHMACSHA1 bool
	// Only, where not empty, lists all that is accepted of [MACKinds].
	Only []string
}

// The MACs whose key does not come of a password.
const (
	kindDHBM  = "dhbm"
	kindKEMBM = "kembm"
)

// MACKinds lists what MACPolicy.Only may name: the password-based MACs, and
// those by Diffie-Hellman and by a KEM.
func MACKinds() (names []string) {
	for _, k := range macKinds {
		names = append(names, k.name)
	}
	return append(names, kindDHBM, kindKEMBM)
}

// admit is for MACs whose parameters cost nothing.
func (p *MACPolicy) admit(kind string, mac *keyedMAC) error {
	switch {
	case p == nil:
	case len(p.Only) > 0 && !slices.Contains(p.Only, kind):
		return fmt.Errorf("MAC algorithm %s: %w", kind, ErrForbidden)
	case p.RefuseHMACSHA1 && mac.hmac != nil && mac.hmac.weak:
		return fmt.Errorf("%s with %s: %w", kind, mac.name, ErrForbidden)
	}
	return nil
}

// Check refuses a policy that nothing could meet, for the reader of
// configuration.
func (p *MACPolicy) Check() error {
	q := p.filled()
	for _, n := range q.Only {
		if !slices.Contains(MACKinds(), n) {
			return fmt.Errorf("MAC algorithm %.40q: %w", n, ErrUnsupported)
		}
	}
	switch {
	case q.MinIterations < 1 || q.MinSalt < 1:
		return fmt.Errorf("MAC policy: at least one iteration and one octet of salt are needed: %w", ErrParameters)
	case q.MinIterations > q.MaxIterations || q.MinIterations > q.MaxPBMAC1Iterations || q.MinSalt > q.MaxSalt:
		return fmt.Errorf("MAC policy: a minimum is above its maximum: %w", ErrParameters)
	}
	return nil
}

func (p *MACPolicy) filled() MACPolicy {
	var q MACPolicy
	if p != nil {
		q = *p
	}
	fill := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	fill(&q.MinIterations, DefaultMinIterations)
	fill(&q.MaxIterations, DefaultMaxIterations)
	fill(&q.MaxPBMAC1Iterations, DefaultMaxPBMAC1Iterations)
	fill(&q.MinSalt, DefaultMinSalt)
	fill(&q.MaxSalt, DefaultMaxSalt)
	return q
}

// MAC is a password-based MAC with all its parameters, ready for a secret.
type MAC struct {
	kind       *macKind
	alg        pkix.AlgorithmIdentifier
	salt       []byte
	iterations int

	hash    *digest                  // PBM: the one-way function; PBMAC1: of the PRF
	hashAlg pkix.AlgorithmIdentifier // its identifier as received; zero: PBKDF2's default PRF
	mac     *keyedMAC
	macAlg  pkix.AlgorithmIdentifier

	keyLen    int  // PBMAC1: octets of key
	hasKeyLen bool // PBMAC1: keyLength is written

	kept *keptKey // of Keeping
}

// keptKey is the last key that was derived, and from what.
type keptKey struct{ secret, key []byte }

// IsMAC tells whether the identifier is that of a password-based MAC in the
// table, whatever its parameters.
func IsMAC(a pkix.AlgorithmIdentifier) bool { return macKindByOID[a.OID] != nil }

// ParseMAC reads a protection algorithm. No key is derived here: parameters
// that would cost more than the policy grants are refused first. Errors wrap
// [ErrUnsupported], [ErrParameters] or [ErrForbidden].
func ParseMAC(a pkix.AlgorithmIdentifier, p *MACPolicy) (*MAC, error) {
	k := macKindByOID[a.OID]
	if k == nil {
		return nil, fmt.Errorf("MAC algorithm %s: %w", short(a.OID), ErrUnsupported)
	}
	q := p.filled()
	if len(q.Only) > 0 && !slices.Contains(q.Only, k.name) {
		return nil, fmt.Errorf("MAC algorithm %s: %w", k.name, ErrForbidden)
	}
	m := &MAC{kind: k, alg: a}
	if err := k.read(m, a.Parameters, &q); err != nil {
		return nil, err
	}
	switch {
	case m.iterations < q.MinIterations:
		return nil, fmt.Errorf("%s with %d iterations, at least %d are needed: %w", k.name, m.iterations, q.MinIterations, ErrForbidden)
	case len(m.salt) < q.MinSalt || len(m.salt) > q.MaxSalt:
		return nil, fmt.Errorf("%s with %d octets of salt, not %d to %d: %w", k.name, len(m.salt), q.MinSalt, q.MaxSalt, ErrForbidden)
	case q.RefuseHMACSHA1 && m.mac.hmac != nil && m.mac.hmac.weak:
		return nil, fmt.Errorf("%s with %s: %w", k.name, m.mac.name, ErrForbidden)
	}
	return m, nil
}

// Algorithm gives the identifier for the header.
func (m *MAC) Algorithm() pkix.AlgorithmIdentifier { return m.alg }

// Name is for people: "pbm-sha256-hmac-sha1".
func (m *MAC) Name() string { return m.kind.name + "-" + m.hash.name + "-" + m.mac.name }

// Iterations is the count that the parameters name.
func (m *MAC) Iterations() int { return m.iterations }

// Sum computes the MAC of the message. The secret must not be empty.
func (m *MAC) Sum(secret, message []byte) ([]byte, error) {
	if len(secret) == 0 {
		return nil, fmt.Errorf("%s: %w", m.kind.name, ErrSecret)
	}
	h := m.mac.new(m.key(secret))
	h.Write(message)
	return h.Sum(make([]byte, 0, m.mac.size)), nil
}

func (m *MAC) key(secret []byte) []byte {
	if m.kept == nil {
		return m.kind.derive(m, secret)
	}
	if m.kept.key == nil || !hmac.Equal(m.kept.secret, secret) {
		*m.kept = keptKey{secret, m.kind.derive(m, secret)}
	}
	return m.kept.key
}

// Keeping gives the same MAC, which keeps the key that it derives: the check of a
// message and the MAC of its answer are one derivation. It must not be used
// concurrently, and the secret must not be changed meanwhile.
func (m *MAC) Keeping() *MAC {
	k := *m
	k.kept = new(keptKey)
	return &k
}

// Verify tells whether mac is that of the message, in time that does not depend
// on where they differ. An empty secret verifies nothing.
func (m *MAC) Verify(secret, message, mac []byte) bool {
	// The length is public, and a wrong one not worth a derivation.
	if len(mac) != m.mac.size {
		return false
	}
	want, err := m.Sum(secret, message)
	return err == nil && hmac.Equal(want, mac)
}

// InKind gives the MAC for the answer to a message with this one: the same, as
// RFC 9810 section 5.1.3.1 recommends for a transaction, unless its salt is
// shorter than one of ours.
func (m *MAC) InKind(rand io.Reader) (*MAC, error) {
	if len(m.salt) >= defaultSalt {
		return m, nil
	}
	return m.WithFreshSalt(rand)
}

// WithFreshSalt gives the same MAC with a new salt of 16 octets, or as many as
// m has where that is more.
func (m *MAC) WithFreshSalt(rand io.Reader) (*MAC, error) {
	f := *m
	f.kept = nil
	if err := f.setSalt(rand, max(len(m.salt), defaultSalt)); err != nil {
		return nil, err
	}
	return &f, nil
}

const defaultSalt = 16

// setSalt completes a MAC with a salt and the identifier that follows.
func (m *MAC) setSalt(rand io.Reader, n int) error {
	m.salt = make([]byte, n)
	if _, err := io.ReadFull(rand, m.salt); err != nil {
		return fmt.Errorf("salt for %s: %w", m.kind.name, err)
	}
	m.alg = pkix.AlgorithmIdentifier{OID: m.kind.oid, Parameters: m.kind.write(m)}
	return nil
}

func readKeyedMAC(a pkix.AlgorithmIdentifier) (*keyedMAC, error) {
	k := keyedMACByOID[a.OID]
	if k == nil {
		return nil, fmt.Errorf("MAC %s: %w", short(a.OID), ErrUnsupported)
	}
	r, ok := k.read(k, a)
	if !ok {
		return nil, fmt.Errorf("the parameters of %s: %w", k.name, ErrParameters)
	}
	return r, nil
}

// HMACByAlgorithm gives the hash of an HMAC identifier, such as the PRF of
// PBKDF2, whose parameters are absent or NULL (RFC 8018 appendix B.1).
func HMACByAlgorithm(a pkix.AlgorithmIdentifier) (crypto.Hash, error) {
	k, err := readKeyedMAC(a)
	if err != nil {
		return 0, err
	}
	if k.hmac == nil {
		return 0, fmt.Errorf("%s is not an HMAC: %w", k.name, ErrUnsupported)
	}
	return k.hmac.hash, nil
}

// HMACAlgorithm gives the identifier of HMAC with a hash. It is zero for a hash
// that is not in the table.
func HMACAlgorithm(h crypto.Hash) pkix.AlgorithmIdentifier {
	d := digestByHash[h]
	if d == nil {
		return pkix.AlgorithmIdentifier{}
	}
	return hmacAlgorithm(d)
}

// hmacAlgorithm gives the identifier of HMAC with a hash, whose parameters are
// NULL (RFC 8018 appendix B.1).
func hmacAlgorithm(d *digest) pkix.AlgorithmIdentifier {
	return pkix.AlgorithmIdentifier{OID: d.hmac[0], Parameters: pkix.Null}
}
