package alg

import (
	"crypto"
	_ "crypto/sha1" // registered for hash.New
	"crypto/sha256"
	"crypto/sha3"
	_ "crypto/sha512"
	"fmt"
	"hash"

	"cmp-batch/cmpcore/pkix"
)

// digest is a row of the hash table.
type digest struct {
	name string // as it stands in names of other algorithms
	oid  pkix.OID
	hash crypto.Hash
	weak bool // collisions are known; refused where they matter

	// hmac are the identifiers of HMAC with this hash; the first is written.
	hmac []pkix.OID

	// xof is set where hash is 0: SHAKE with an output of size octets, which
	// is twice its strength (RFC 8692 section 4.1, RFC 8702 section 3.1).
	xof  func() *sha3.SHAKE
	size int
}

// digests is the hash table (RFC 9481 section 2, RFC 5754, RFC 8017 appendix
// A.2.4, FIPS 202, RFC 8692 for SHAKE).
var digests = []*digest{
	{"sha1", pkix.MustOID("1.3.14.3.2.26"), crypto.SHA1, true,
		oids("1.2.840.113549.2.7", "1.3.6.1.5.5.8.1.2"), nil, 0}, // the second of RFC 2202, sent by OpenSSL
	{"sha224", pkix.MustOID("2.16.840.1.101.3.4.2.4"), crypto.SHA224, false, oids("1.2.840.113549.2.8"), nil, 0},
	{"sha256", pkix.MustOID("2.16.840.1.101.3.4.2.1"), crypto.SHA256, false, oids("1.2.840.113549.2.9"), nil, 0},
	{"sha384", pkix.MustOID("2.16.840.1.101.3.4.2.2"), crypto.SHA384, false, oids("1.2.840.113549.2.10"), nil, 0},
	{"sha512", pkix.MustOID("2.16.840.1.101.3.4.2.3"), crypto.SHA512, false, oids("1.2.840.113549.2.11"), nil, 0},
	{"sha512-224", pkix.MustOID("2.16.840.1.101.3.4.2.5"), crypto.SHA512_224, false, oids("1.2.840.113549.2.12"), nil, 0},
	{"sha512-256", pkix.MustOID("2.16.840.1.101.3.4.2.6"), crypto.SHA512_256, false, oids("1.2.840.113549.2.13"), nil, 0},
	{"sha3-224", pkix.MustOID("2.16.840.1.101.3.4.2.7"), crypto.SHA3_224, false, oids("2.16.840.1.101.3.4.2.13"), nil, 0},
	{"sha3-256", pkix.MustOID("2.16.840.1.101.3.4.2.8"), crypto.SHA3_256, false, oids("2.16.840.1.101.3.4.2.14"), nil, 0},
	{"sha3-384", pkix.MustOID("2.16.840.1.101.3.4.2.9"), crypto.SHA3_384, false, oids("2.16.840.1.101.3.4.2.15"), nil, 0},
	{"sha3-512", pkix.MustOID("2.16.840.1.101.3.4.2.10"), crypto.SHA3_512, false, oids("2.16.840.1.101.3.4.2.16"), nil, 0},
	{"shake128", pkix.MustOID("2.16.840.1.101.3.4.2.11"), 0, false, nil, sha3.NewSHAKE128, 32},
	{"shake256", pkix.MustOID("2.16.840.1.101.3.4.2.12"), 0, false, nil, sha3.NewSHAKE256, 64},
}

var (
	digestByOID  = map[pkix.OID]*digest{}
	digestByName = map[string]*digest{}
	digestByHash = map[crypto.Hash]*digest{}
)

func init() {
	for _, d := range digests {
		digestByOID[d.oid] = d
		digestByName[d.name] = d
		if d.hash != 0 {
			digestByHash[d.hash] = d
		}
	}
}

func oids(dotted ...string) (o []pkix.OID) {
	for _, d := range dotted {
		o = append(o, pkix.MustOID(d))
	}
	return o
}

func (d *digest) new() hash.Hash {
	if d.xof != nil {
		return &shakeHash{d.xof(), d.size}
	}
	return d.hash.New()
}

// length is the octets of the output.
func (d *digest) length() int {
	if d.xof != nil {
		return d.size
	}
	return d.hash.Size()
}

// sum hashes the message onto buf.
func (d *digest) sum(buf, message []byte) []byte {
	if d.hash == crypto.SHA256 {
		s := sha256.Sum256(message)
		return append(buf, s[:]...)
	}
	h := d.new()
	h.Write(message)
	return h.Sum(buf)
}

// HashByAlgorithm gives the hash of an identifier, whose parameters are absent
// or NULL (RFC 5754 section 2). SHAKE is none for crypto.Hash
// ([ErrUnsupported]); [CertHashSum] knows it.
func HashByAlgorithm(a pkix.AlgorithmIdentifier) (crypto.Hash, error) {
	d, err := readDigest(a)
	if err != nil {
		return 0, err
	}
	if d.hash == 0 {
		return 0, fmt.Errorf("hash %s as one of fixed size: %w", d.name, ErrUnsupported)
	}
	return d.hash, nil
}

func readDigest(a pkix.AlgorithmIdentifier) (*digest, error) {
	d := digestByOID[a.OID]
	if d == nil {
		return nil, fmt.Errorf("hash %s: %w", short(a.OID), ErrUnsupported)
	}
	if !nullOrAbsent(a) || d.xof != nil && a.Parameters != nil { // RFC 8702 section 3.1
		return nil, fmt.Errorf("hash %s must have no parameters: %w", d.name, ErrParameters)
	}
	return d, nil
}

// HashAlgorithm gives the identifier of a hash, without parameters as RFC 5754
// section 2 writes it. It is zero for a hash that is not in the table.
func HashAlgorithm(h crypto.Hash) pkix.AlgorithmIdentifier {
	d := digestByHash[h]
	if d == nil {
		return pkix.AlgorithmIdentifier{}
	}
	return pkix.AlgorithmIdentifier{OID: d.oid}
}

// HashName is the name of a hash in configuration, "sha256" and so on, and ""
// for a hash that is not in the table.
func HashName(h crypto.Hash) string {
	if d := digestByHash[h]; d != nil {
		return d.name
	}
	return ""
}

// HashByName is the reverse of [HashName].
func HashByName(name string) (crypto.Hash, error) {
	if d := digestByName[name]; d != nil && d.hash != 0 {
		return d.hash, nil
	}
	return 0, fmt.Errorf("hash %.40q: %w", name, ErrUnsupported)
}

func nullOrAbsent(a pkix.AlgorithmIdentifier) bool {
	return a.Parameters == nil || string(a.Parameters) == string(pkix.Null)
}

// short is the dotted form for an error text, which a hostile OID must not fill.
func short(o pkix.OID) string {
	s := o.String()
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
