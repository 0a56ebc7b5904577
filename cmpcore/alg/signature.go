package alg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"

	"cmp-batch/cmpcore/pkix"
)

// signature is a row of the table of signature algorithms.
type signature struct {
	name string
	oid  pkix.OID
	kind *signatureKind
	hash *digest // nil: the message itself is signed
	// certHash is the hash of certConf for an algorithm whose identifier names
	// none; CertStatus then carries it (RFC 9810 section 5.3.18). Only where it
	// is assigned does CertStatus without it mean that hash.
	certHash *digest
	assigned bool
	weak     bool // refused unless a policy names it, and never made
}

// signatureKind is what rows of one family share.
type signatureKind struct {
	// parameters checks those of an identifier and picks the row, of all with
	// the identifier's OID.
	parameters func(rows []*signature, a pkix.AlgorithmIdentifier) (scheme, error)
	// written gives the parameters that we write.
	written func(s *signature) []byte
	// fits tells whether the key is for the scheme.
	fits   func(s scheme, pub crypto.PublicKey) bool
	verify func(s scheme, pub crypto.PublicKey, message, sig []byte) bool
	sign   func(rand io.Reader, s scheme, k crypto.Signer, message []byte) ([]byte, error)
}

// scheme is a row with what the parameters add.
type scheme struct {
	*signature
	salt int // RSASSA-PSS
}

// signatures is the table of signature algorithms (RFC 9481 section 3, RFC
// 4055, RFC 5758, RFC 8410, RFC 8692 and its siblings in NIST's arc for SHA-3,
// RFC 9881, RFC 9909, draft-ietf-lamps-pq-composite-sigs).
var signatures = slices.Concat([]*signature{
	row("rsa-sha1", "1.2.840.113549.1.1.5", rsaPKCS1, "sha1"),
	row("rsa-sha224", "1.2.840.113549.1.1.14", rsaPKCS1, "sha224"),
	row("rsa-sha256", "1.2.840.113549.1.1.11", rsaPKCS1, "sha256"),
	row("rsa-sha384", "1.2.840.113549.1.1.12", rsaPKCS1, "sha384"),
	row("rsa-sha512", "1.2.840.113549.1.1.13", rsaPKCS1, "sha512"),
	row("rsa-sha512-224", "1.2.840.113549.1.1.15", rsaPKCS1, "sha512-224"),
	row("rsa-sha512-256", "1.2.840.113549.1.1.16", rsaPKCS1, "sha512-256"),
	row("rsa-sha3-224", "2.16.840.1.101.3.4.3.13", rsaPKCS1, "sha3-224"),
	row("rsa-sha3-256", "2.16.840.1.101.3.4.3.14", rsaPKCS1, "sha3-256"),
	row("rsa-sha3-384", "2.16.840.1.101.3.4.3.15", rsaPKCS1, "sha3-384"),
	row("rsa-sha3-512", "2.16.840.1.101.3.4.3.16", rsaPKCS1, "sha3-512"),

	row("rsa-pss-sha1", "1.2.840.113549.1.1.10", rsaPSS, "sha1"),
	row("rsa-pss-sha224", "1.2.840.113549.1.1.10", rsaPSS, "sha224"),
	row("rsa-pss-sha256", "1.2.840.113549.1.1.10", rsaPSS, "sha256"),
	row("rsa-pss-sha384", "1.2.840.113549.1.1.10", rsaPSS, "sha384"),
	row("rsa-pss-sha512", "1.2.840.113549.1.1.10", rsaPSS, "sha512"),
	row("rsa-pss-sha3-256", "1.2.840.113549.1.1.10", rsaPSS, "sha3-256"),
	row("rsa-pss-sha3-384", "1.2.840.113549.1.1.10", rsaPSS, "sha3-384"),
	row("rsa-pss-sha3-512", "1.2.840.113549.1.1.10", rsaPSS, "sha3-512"),

	row("ecdsa-sha1", "1.2.840.10045.4.1", ecDSA, "sha1"),
	row("ecdsa-sha224", "1.2.840.10045.4.3.1", ecDSA, "sha224"),
	row("ecdsa-sha256", "1.2.840.10045.4.3.2", ecDSA, "sha256"),
	row("ecdsa-sha384", "1.2.840.10045.4.3.3", ecDSA, "sha384"),
	row("ecdsa-sha512", "1.2.840.10045.4.3.4", ecDSA, "sha512"),
	row("ecdsa-sha3-224", "2.16.840.1.101.3.4.3.9", ecDSA, "sha3-224"),
	row("ecdsa-sha3-256", "2.16.840.1.101.3.4.3.10", ecDSA, "sha3-256"),
	row("ecdsa-sha3-384", "2.16.840.1.101.3.4.3.11", ecDSA, "sha3-384"),
	row("ecdsa-sha3-512", "2.16.840.1.101.3.4.3.12", ecDSA, "sha3-512"),

	row("rsa-pss-shake128", "1.3.6.1.5.5.7.6.30", rsaPSSShake, "shake128"),
	row("rsa-pss-shake256", "1.3.6.1.5.5.7.6.31", rsaPSSShake, "shake256"),
	row("ecdsa-shake128", "1.3.6.1.5.5.7.6.32", ecDSA, "shake128"),
	row("ecdsa-shake256", "1.3.6.1.5.5.7.6.33", ecDSA, "shake256"),

	// RFC 9481 section 3.3 assigns the hashes.
	{name: "ed25519", oid: oidEd25519, kind: edDSA, certHash: named("sha512"), assigned: true},
	{name: "ed448", oid: ed448Key.oid, kind: messageKind(ed448Key, verifyEd448), certHash: named("shake256"), assigned: true},
}, messageSignatures(mldsaKeys(), verifyMLDSA), messageSignatures(slhdsaKeys(), verifySLHDSA), compositeSignatures())

// messageSignatures gives the algorithms by key kinds of the same name. For
// them no hash is assigned, so certConf names SHA-512, which RFC 9882 section
// 3.3 wants beside ML-DSA and everybody has.
func messageSignatures(keys []*fixedKey, verify func(pub crypto.PublicKey, message, sig []byte) bool) (rows []*signature) {
	for _, f := range keys {
		rows = append(rows, &signature{name: f.name, oid: f.oid, kind: messageKind(f, verify), certHash: named("sha512")})
	}
	return rows
}

// compositeSignatures gives those that sign a hash which their name tells, so
// that certConf needs no other.
func compositeSignatures() (rows []*signature) {
	keys := compositeKeys()
	for i, c := range composites {
		rows = append(rows, &signature{name: keys[i].name, oid: c.oid, kind: messageKind(keys[i], c.verify), hash: named(c.hash)})
	}
	return rows
}

func row(name, oid string, kind *signatureKind, hash string) *signature {
	d := named(hash)
	return &signature{name: name, oid: pkix.MustOID(oid), kind: kind, hash: d, weak: d.weak}
}

// named finds a hash while the tables are still being made.
func named(hash string) *digest {
	i := slices.IndexFunc(digests, func(d *digest) bool { return d.name == hash })
	return digests[i]
}

var signatureByOID = map[pkix.OID][]*signature{}
var signatureByName = map[string]*signature{}

func init() {
	for _, s := range signatures {
		signatureByOID[s.oid] = append(signatureByOID[s.oid], s)
		signatureByName[s.name] = s
	}
}

// SignaturePolicy narrows or widens what [Verify] accepts. nil and the zero
// value stand for every algorithm of the table that is not weak; the weak ones
// are those with SHA-1, and all by keys on the curve P-224. Names are those of
// [SignatureNames] and "ecdsa-p224".
type SignaturePolicy struct {
	// Only, where not empty, lists all that is accepted.
	Only []string
	// Weak lists weak algorithms accepted besides, such as "rsa-sha1". The key
	// type "ecdsa-p224" may stand in either list, beside the algorithm.
	Weak []string
}

// Check refuses names that no algorithm has, for the reader of configuration.
func (p *SignaturePolicy) Check() error {
	if p == nil {
		return nil
	}
	for _, n := range slices.Concat(p.Only, p.Weak) {
		if signatureByName[n] == nil && n != weakCurve {
			return fmt.Errorf("signature algorithm %.40q: %w", n, ErrUnsupported)
		}
	}
	return nil
}

func (p *SignaturePolicy) allowsWeakCurve() bool {
	return p != nil && (slices.Contains(p.Only, weakCurve) || slices.Contains(p.Weak, weakCurve))
}

func (p *SignaturePolicy) allows(s *signature) bool {
	switch {
	case p == nil:
		return !s.weak
	case len(p.Only) > 0:
		return slices.Contains(p.Only, s.name)
	default:
		return !s.weak || slices.Contains(p.Weak, s.name)
	}
}

// SignatureNames lists all signature algorithms, weak ones too.
func SignatureNames() []string {
	var names []string
	for _, s := range signatures {
		names = append(names, s.name)
	}
	return names
}

// SignatureName names the algorithm for people: a name of [SignatureNames], or
// the dotted identifier of one that is not in the table or is malformed.
func SignatureName(a pkix.AlgorithmIdentifier) string {
	s, err := lookup(a)
	if err != nil {
		return short(a.OID)
	}
	return s.name
}

func lookup(a pkix.AlgorithmIdentifier) (scheme, error) {
	rows := signatureByOID[a.OID]
	if rows == nil {
		return scheme{}, fmt.Errorf("signature algorithm %s: %w", short(a.OID), ErrUnsupported)
	}
	return rows[0].kind.parameters(rows, a)
}

// IsSignature tells whether the identifier is that of a signature algorithm in
// the table, whatever its parameters.
func IsSignature(a pkix.AlgorithmIdentifier) bool { return signatureByOID[a.OID] != nil }

// Verify checks a signature over the message. Errors wrap [ErrUnsupported],
// [ErrParameters], [ErrForbidden], [ErrMismatch] or [ErrSignature].
func Verify(a pkix.AlgorithmIdentifier, pub crypto.PublicKey, message, sig []byte, policy *SignaturePolicy) error {
	s, err := lookup(a)
	if err != nil {
		return err
	}
	if !policy.allows(s.signature) {
		return fmt.Errorf("signature algorithm %s: %w", s.name, ErrForbidden)
	}
	if !s.kind.fits(s, pub) {
		return fmt.Errorf("signature algorithm %s for a key of type %q: %w", s.name, KeyType(pub), ErrMismatch)
	}
	if isWeakCurve(pub) && !policy.allowsWeakCurve() {
		return fmt.Errorf("signature by a key of type %s: %w", weakCurve, ErrForbidden)
	}
	if !s.kind.verify(s, pub, message, sig) {
		return fmt.Errorf("%s: %w", s.name, ErrSignature)
	}
	return nil
}

// SignatureFor gives the identifier to sign with by the key's owner. An empty
// name is the key's default: the curve's own hash for ECDSA, SHA-256 for RSA
// and RSASSA-PSS. Weak algorithms, and those of weak keys, are not made
// ([ErrForbidden]).
func SignatureFor(pub crypto.PublicKey, name string) (pkix.AlgorithmIdentifier, error) {
	if name == "" {
		if name = defaultSignature(pub); name == "" {
			return pkix.AlgorithmIdentifier{}, fmt.Errorf("a key of type %q (%T) cannot sign: %w", KeyType(pub), pub, ErrUnsupported)
		}
	}
	s := signatureByName[name]
	if s == nil {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("signature algorithm %.40q: %w", name, ErrUnsupported)
	}
	if s.weak || isWeakCurve(pub) {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("signing with %s by a key of type %s: %w", name, KeyType(pub), ErrForbidden)
	}
	a := pkix.AlgorithmIdentifier{OID: s.oid, Parameters: s.kind.written(s)}
	sc, err := lookup(a)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, err
	}
	if !s.kind.fits(sc, pub) {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("signature algorithm %s for a key of type %q: %w", name, KeyType(pub), ErrMismatch)
	}
	return a, nil
}

func defaultSignature(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return "rsa-sha256"
	case *PSSPublicKey:
		if k.pss.hash != nil {
			return "rsa-pss-" + k.pss.hash.name
		}
		return "rsa-pss-sha256"
	case *ecdsa.PublicKey:
		switch bits := k.Curve.Params().BitSize; {
		case bits <= 256:
			return "ecdsa-sha256"
		case bits <= 384:
			return "ecdsa-sha384"
		default:
			return "ecdsa-sha512"
		}
	case ed25519.PublicKey:
		return "ed25519"
	}
	if n, use := typeAndUse(pub); use == UseSign {
		return n // the key says the algorithm
	}
	return ""
}

// Sign signs the message with any signer: a key in memory or in a device. Weak
// algorithms are refused.
func Sign(rand io.Reader, k crypto.Signer, a pkix.AlgorithmIdentifier, message []byte) ([]byte, error) {
	s, err := lookup(a)
	if err != nil {
		return nil, err
	}
	pub := k.Public()
	if s.weak || isWeakCurve(pub) {
		return nil, fmt.Errorf("signing with %s by a key of type %s: %w", s.name, KeyType(pub), ErrForbidden)
	}
	if !s.kind.fits(s, pub) {
		return nil, fmt.Errorf("signing with %s by a key of type %q: %w", s.name, KeyType(pub), ErrMismatch)
	}
	sig, err := s.kind.sign(rand, s, k, message)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", s.name, err)
	}
	return sig, nil
}
