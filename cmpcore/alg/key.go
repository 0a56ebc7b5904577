package alg

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Limits on RSA keys. The upper one bounds what a verification costs.
const (
	MinRSABits = 1024
	MaxRSABits = 16384
)

// keyAlgorithm is a row of the table of public keys. Functions are nil where
// the kind of key cannot do it.
type keyAlgorithm struct {
	oid   pkix.OID
	parse func(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error)
	// identify gives the identifier and the contents of the BIT STRING for a
	// key of this kind, and ok=false for another kind of key.
	identify func(pub crypto.PublicKey) (a pkix.AlgorithmIdentifier, key []byte, ok bool)
	// name gives the KeyType of a key of this kind, "" for another kind.
	name func(pub crypto.PublicKey) string
	use  Use
}

// keyAlgorithms is the table of public keys (RFC 3279 section 2.3, RFC 4055,
// RFC 5480, RFC 8410, RFC 8692, RFC 9690). Those of fixedKeys follow.
var keyAlgorithms = []*keyAlgorithm{
	{oidRSA, parseRSA, identifyRSA, nameRSA, UseSign | UseEncipher},
	{oidPSS, parsePSSKey, identifyPSSKey, namePSSKey, UseSign},
	{oidPSSShake128, parsePSSShakeKey("shake128"), nil, nil, UseSign},
	{oidPSSShake256, parsePSSShakeKey("shake256"), nil, nil, UseSign},
	{oidRSAKEMKey, parseRSAKEMKey, identifyRSAKEMKey, nameRSAKEMKey, UseEncapsulate},
	{oidEC, parseEC, identifyEC, nameEC, UseSign | UseAgree},
	{oidEd25519, parseEd25519, identifyEd25519, nameEd25519, UseSign},
	{oidX25519, parseX25519, identifyX25519, nameX25519, UseAgree},
}

// generator is a row of the table of key types that can be made.
type generator struct {
	keyType  string
	generate func(rand io.Reader) (crypto.PrivateKey, error)
	signs    bool
	a        pkix.AlgorithmIdentifier
}

// generators is that table, in the order in which people are shown them. Those
// of fixedKeys follow.
var generators = []*generator{
	signer("ecdsa-p256", generateEC(elliptic.P256())),
	signer("ecdsa-p384", generateEC(elliptic.P384())),
	signer("ecdsa-p521", generateEC(elliptic.P521())),
	signer("rsa-2048", generateRSA(2048)),
	signer("rsa-3072", generateRSA(3072)),
	signer("rsa-4096", generateRSA(4096)),
	signer("ed25519", generateEd25519),
	{keyType: "x25519", a: pkix.AlgorithmIdentifier{OID: oidX25519}, generate: func(rand io.Reader) (crypto.PrivateKey, error) {
		return ecdh.X25519().GenerateKey(rand)
	}},
}

func signer(keyType string, generate func(io.Reader) (crypto.Signer, error)) *generator {
	return &generator{keyType: keyType, signs: true, generate: func(rand io.Reader) (crypto.PrivateKey, error) { return generate(rand) }}
}

var (
	oidRSA     = pkix.MustOID("1.2.840.113549.1.1.1")
	oidPSS     = pkix.MustOID("1.2.840.113549.1.1.10")
	oidEC      = pkix.MustOID("1.2.840.10045.2.1")
	oidEd25519 = pkix.MustOID("1.3.101.112")
	oidX25519  = pkix.MustOID("1.3.101.110")
)

// curves is the table of named curves; a is what their keys carry.
var curves = []*struct {
	oid   pkix.OID
	curve elliptic.Curve
	name  string
	a     pkix.AlgorithmIdentifier
}{
	{oid: pkix.MustOID("1.2.840.10045.3.1.7"), curve: elliptic.P256(), name: "ecdsa-p256"},
	{oid: pkix.MustOID("1.3.132.0.34"), curve: elliptic.P384(), name: "ecdsa-p384"},
	{oid: pkix.MustOID("1.3.132.0.35"), curve: elliptic.P521(), name: "ecdsa-p521"},
	{oid: pkix.MustOID("1.3.132.0.33"), curve: elliptic.P224(), name: weakCurve},
}

// weakCurve is the type of the keys that [Verify] takes only where a policy
// names it: 112 bits of security are not to be used after 2030.
const weakCurve = "ecdsa-p224"

func isWeakCurve(pub crypto.PublicKey) bool {
	k, ok := pub.(*ecdsa.PublicKey)
	return ok && k.Curve == elliptic.P224()
}

var (
	keyByOID   = map[pkix.OID]*keyAlgorithm{}
	fixedByOID = map[pkix.OID]*fixedKey{}
)

// p256Prefix is what every P-256 key with an uncompressed point starts with.
var p256Prefix []byte

const p256Len = 65

func init() {
	for _, f := range fixedKeys {
		fixedByOID[f.oid] = f
		keyAlgorithms = append(keyAlgorithms, f.row())
		generators = append(generators, &generator{f.name, f.generate, f.use == UseSign, f.algorithm()})
	}
	for _, k := range keyAlgorithms {
		keyByOID[k.oid] = k
	}
	for _, c := range curves {
		var b cryptobyte.Builder
		c.oid.Add(&b)
		c.a = pkix.AlgorithmIdentifier{OID: oidEC, Parameters: b.BytesOrPanic()}
	}
	for _, g := range generators {
		switch {
		case strings.HasPrefix(g.keyType, "rsa-"):
			g.a = pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}
		case g.keyType == "ed25519":
			g.a = pkix.AlgorithmIdentifier{OID: oidEd25519}
		default:
			for _, c := range curves {
				if c.name == g.keyType {
					g.a = c.a
				}
			}
		}
	}
	spki := buildSPKI(curves[0].a, make([]byte, p256Len))
	p256Prefix = spki[:len(spki)-p256Len]
}

// ParsePublicKey reads a SubjectPublicKeyInfo. It gives *rsa.PublicKey,
// [*PSSPublicKey], *ecdsa.PublicKey, ed25519.PublicKey, *ecdh.PublicKey for
// X25519, ed448.PublicKey and slhdsa.PublicKey of circl, *mldsa.PublicKey of
// filippo.io/mldsa, [X448PublicKey], *[MLKEMPublicKey], *[RSAKEMPublicKey] or
// *[CompositePublicKey]. Errors wrap [ErrUnsupported], [ErrParameters] or [ErrKey].
func ParsePublicKey(spki pkix.SubjectPublicKeyInfo) (crypto.PublicKey, error) {
	if n := len(p256Prefix); len(spki) == n+p256Len && string(spki[:n]) == string(p256Prefix) {
		return parsePoint(elliptic.P256(), spki[n:])
	}
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	var key []byte
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, fmt.Errorf("subject public key info is not a SEQUENCE: %w", ErrKey)
	}
	a, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.ReadASN1BitStringAsBytes(&key) || !seq.Empty() {
		return nil, fmt.Errorf("subject public key info is malformed: %w", ErrKey)
	}
	k := keyByOID[a.OID]
	if k == nil {
		return nil, fmt.Errorf("public key of type %s: %w", short(a.OID), ErrUnsupported)
	}
	return k.parse(a, key)
}

// MarshalPublicKey writes a SubjectPublicKeyInfo for a key of a kind that
// [ParsePublicKey] gives.
func MarshalPublicKey(pub crypto.PublicKey) (pkix.SubjectPublicKeyInfo, error) {
	for _, k := range keyAlgorithms {
		if k.identify == nil {
			continue
		}
		if a, key, ok := k.identify(pub); ok {
			return buildSPKI(a, key), nil
		}
	}
	return nil, fmt.Errorf("public key of type %T: %w", pub, ErrUnsupported)
}

// KeyType names the type of a public key as configuration and commands do:
// "ecdsa-p256", "rsa-3072", "ed25519", "ml-dsa-65". It is "" for an unknown
// key.
func KeyType(pub crypto.PublicKey) string {
	n, _ := typeAndUse(pub)
	return n
}

func typeAndUse(pub crypto.PublicKey) (string, Use) {
	for _, k := range keyAlgorithms {
		if k.name == nil {
			continue
		}
		if n := k.name(pub); n != "" {
			return n, k.use
		}
	}
	return "", 0
}

// KeyTypes lists what [GenerateKey] can make: keys that sign.
func KeyTypes() []string { return keyTypes(true) }

// EncryptionKeyTypes lists what [GenerateEncryptionKey] can make: keys that
// cannot sign, for agreement or encapsulation.
func EncryptionKeyTypes() []string { return keyTypes(false) }

// WeakKeyTypes lists the types of keys that [Verify] takes only where a policy
// names them, and that are not made.
func WeakKeyTypes() []string { return []string{weakCurve} }

func keyTypes(signs bool) (names []string) {
	for _, g := range generators {
		if g.signs == signs {
			names = append(names, g.keyType)
		}
	}
	return names
}

// GenerateKey makes a key pair of one of [KeyTypes]. Go takes the randomness of
// RSA and EC keys from the system whatever rand is.
func GenerateKey(rand io.Reader, keyType string) (crypto.Signer, error) {
	k, err := generate(rand, keyType, true)
	if err != nil {
		return nil, err
	}
	return k.(crypto.Signer), nil
}

// GenerateEncryptionKey makes a key pair of one of [EncryptionKeyTypes]: an
// *ecdh.PrivateKey, *[X448PrivateKey] or *[MLKEMPrivateKey].
func GenerateEncryptionKey(rand io.Reader, keyType string) (crypto.PrivateKey, error) {
	return generate(rand, keyType, false)
}

func generate(rand io.Reader, keyType string, signs bool) (crypto.PrivateKey, error) {
	for _, g := range generators {
		if g.keyType == keyType && g.signs == signs {
			return g.generate(rand)
		}
	}
	return nil, fmt.Errorf("key type %.40q: %w", keyType, ErrUnsupported)
}

func buildSPKI(a pkix.AlgorithmIdentifier, key []byte) pkix.SubjectPublicKeyInfo {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		a.Add(b)
		b.AddASN1BitString(key)
	})
	return b.BytesOrPanic()
}

func generateEC(c elliptic.Curve) func(io.Reader) (crypto.Signer, error) {
	return func(rand io.Reader) (crypto.Signer, error) { return ecdsa.GenerateKey(c, rand) }
}

func generateRSA(bits int) func(io.Reader) (crypto.Signer, error) {
	return func(rand io.Reader) (crypto.Signer, error) { return rsa.GenerateKey(rand, bits) }
}

func generateEd25519(rand io.Reader) (crypto.Signer, error) {
	_, k, err := ed25519.GenerateKey(rand)
	return k, err
}

func parseEC(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	for _, c := range curves {
		if string(a.Parameters) == string(c.a.Parameters) {
			return parsePoint(c.curve, key)
		}
	}
	p := cryptobyte.String(a.Parameters)
	if o, ok := pkix.ReadOID(&p); ok && p.Empty() {
		return nil, fmt.Errorf("elliptic curve %s: %w", short(o), ErrUnsupported)
	}
	return nil, fmt.Errorf("elliptic curve is not given by name: %w", ErrParameters)
}

func parsePoint(c elliptic.Curve, point []byte) (crypto.PublicKey, error) {
	pub, err := ecdsa.ParseUncompressedPublicKey(c, point)
	if err != nil {
		return nil, fmt.Errorf("point is not an uncompressed one of %s: %w", c.Params().Name, ErrKey)
	}
	return pub, nil
}

func identifyEC(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	k, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return pkix.AlgorithmIdentifier{}, nil, false
	}
	for _, c := range curves {
		if c.curve == k.Curve {
			point, err := k.Bytes()
			return c.a, point, err == nil
		}
	}
	return pkix.AlgorithmIdentifier{}, nil, false
}

func nameEC(pub crypto.PublicKey) string {
	if k, ok := pub.(*ecdsa.PublicKey); ok {
		for _, c := range curves {
			if c.curve == k.Curve {
				return c.name
			}
		}
	}
	return ""
}

func parseEd25519(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	if a.Parameters != nil {
		return nil, fmt.Errorf("an Ed25519 key must have no parameters: %w", ErrParameters)
	}
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("an Ed25519 key must have 32 octets, not %d: %w", len(key), ErrKey)
	}
	return ed25519.PublicKey(key), nil
}

func identifyEd25519(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	k, ok := pub.(ed25519.PublicKey)
	return pkix.AlgorithmIdentifier{OID: oidEd25519}, k, ok && len(k) == ed25519.PublicKeySize
}

func nameEd25519(pub crypto.PublicKey) string {
	if _, ok := pub.(ed25519.PublicKey); ok {
		return "ed25519"
	}
	return ""
}

func parseX25519(a pkix.AlgorithmIdentifier, key []byte) (crypto.PublicKey, error) {
	if a.Parameters != nil {
		return nil, fmt.Errorf("an X25519 key must have no parameters: %w", ErrParameters)
	}
	pub, err := ecdh.X25519().NewPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("an X25519 key must have 32 octets, not %d: %w", len(key), ErrKey)
	}
	// Nothing could be encrypted to a point of low order: every private key gives
	// zero with it (RFC 7748 section 6.1), so that any finds out.
	if _, err := anyX25519().ECDH(pub); err != nil {
		return nil, fmt.Errorf("X25519 key of low order: %w", ErrKey)
	}
	return pub, nil
}

var anyX25519 = sync.OnceValue(func() *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(make([]byte, 32))
	if err != nil {
		panic(err) // it has 32 octets
	}
	return k
})

func identifyX25519(pub crypto.PublicKey) (pkix.AlgorithmIdentifier, []byte, bool) {
	if k, ok := pub.(*ecdh.PublicKey); ok && k.Curve() == ecdh.X25519() {
		return pkix.AlgorithmIdentifier{OID: oidX25519}, k.Bytes(), true
	}
	return pkix.AlgorithmIdentifier{}, nil, false
}

func nameX25519(pub crypto.PublicKey) string {
	if k, ok := pub.(*ecdh.PublicKey); ok && k.Curve() == ecdh.X25519() {
		return "x25519"
	}
	return ""
}

func nameRSA(pub crypto.PublicKey) string {
	if k, ok := pub.(*rsa.PublicKey); ok && k.N != nil {
		return "rsa-" + strconv.Itoa(k.N.BitLen())
	}
	return ""
}

func namePSSKey(pub crypto.PublicKey) string {
	if k, ok := pub.(*PSSPublicKey); ok {
		return "rsa-pss-" + strconv.Itoa(k.Key.N.BitLen())
	}
	return ""
}
