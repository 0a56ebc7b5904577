package alg

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/dh/x448"
)

// vectors gives the path of published data; see testdata/README.
func vectors(t *testing.T, elem ...string) string {
	t.Helper()
	dir := os.Getenv("CMP_BATCH_VECTORS")
	if dir == "" {
		t.Skip("CMP_BATCH_VECTORS is not set")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func readPEM(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(data)
	if b == nil {
		t.Fatalf("%s: no PEM", path)
	}
	return b.Bytes
}

type octets []byte

func (o *octets) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return nil // another kind of field under the same name
	}
	b, err := hex.DecodeString(s)
	*o = b
	return err
}

// group is a group of Wycheproof with every field that is used here.
type group struct {
	KeySize, TagSize                                       int
	ParameterSet, Sha                                      string
	PublicKeyDer, PrivateKeyPkcs8, PrivateSeed, PrivateKey octets
	PublicKey                                              json.RawMessage
	Tests                                                  []struct {
		TcID                                                             int
		Comment, Result                                                  string
		Flags                                                            []string
		Msg, Sig, Ctx, Mu, Key, Tag, Seed, Ek, C, K, Dk, Public, Private octets
		Shared                                                           octets
	}
}

func wycheproof(t *testing.T, pattern string) (groups []group) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(vectors(t, "wycheproof", "testvectors_v1"), pattern))
	if len(files) == 0 {
		t.Fatalf("no file %s", pattern)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var v struct{ TestGroups []group }
		if err := json.Unmarshal(data, &v); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		groups = append(groups, v.TestGroups...)
	}
	return groups
}

// verifyAll runs groups of signatures that the identifier is for.
func verifyAll(t *testing.T, groups []group, a pkix.AlgorithmIdentifier, policy *SignaturePolicy) {
	t.Helper()
	n := 0
	for _, g := range groups {
		if g.PublicKeyDer == nil {
			continue
		}
		pub, err := ParsePublicKey(pkix.SubjectPublicKeyInfo(g.PublicKeyDer))
		for _, c := range g.Tests {
			if len(c.Ctx) > 0 || slices.Contains(c.Flags, "Internal") || c.Msg == nil {
				continue
			}
			n++
			id := a
			if id.IsZero() {
				id = pkix.AlgorithmIdentifier{OID: pkix.SubjectPublicKeyInfo(g.PublicKeyDer).Algorithm().OID}
			}
			got := err
			if err == nil {
				got = Verify(id, pub, c.Msg, c.Sig, policy)
			}
			if (got == nil) != (c.Result == "valid") {
				t.Errorf("%d %s: %s, got %v", c.TcID, c.Comment, c.Result, got)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d vectors", n)
	}
	t.Logf("%d vectors", n)
}

func TestPublishedVectors(t *testing.T) {
	id := func(name string) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{OID: signatureByName[name].oid}
	}
	t.Run("Ed448", func(t *testing.T) { verifyAll(t, wycheproof(t, "ed448_test.json"), id("ed448"), nil) })
	for _, set := range []string{"44", "65", "87"} {
		t.Run("ML-DSA-"+set, func(t *testing.T) {
			verifyAll(t, wycheproof(t, "mldsa_"+set+"_verify_test.json"), id("ml-dsa-"+set), nil)
		})
	}
	for file, name := range map[string]string{
		"ecdsa_secp224r1_shake128": "ecdsa-shake128", "ecdsa_secp256r1_shake128": "ecdsa-shake128",
		"ecdsa_secp384r1_shake256": "ecdsa-shake256", "ecdsa_secp521r1_shake256": "ecdsa-shake256",
	} {
		t.Run(file, func(t *testing.T) {
			verifyAll(t, wycheproof(t, file+"_test.json"), id(name), &SignaturePolicy{Weak: []string{"ecdsa-p224"}})
		})
	}
	for file, name := range map[string]string{
		"rsa_pss_2048_shake128": "rsa-pss-shake128", "rsa_pss_3072_shake128": "rsa-pss-shake128", "rsa_pss_2048_shake256": "rsa-pss-shake256",
		"rsa_pss_3072_shake256": "rsa-pss-shake256", "rsa_pss_4096_shake256": "rsa-pss-shake256",
	} {
		t.Run(file, func(t *testing.T) { verifyAll(t, wycheproof(t, file+"_test.json"), id(name), nil) })
	}
}

func TestPublishedMLDSAKeys(t *testing.T) {
	n := 0
	for _, g := range wycheproof(t, "mldsa_*_sign_seed_test.json") {
		k, err := ParsePrivateKey(g.PrivateKeyPkcs8)
		for _, c := range g.Tests {
			if len(c.Ctx) > 0 || c.Msg == nil || slices.Contains(c.Flags, "Internal") || slices.Contains(c.Flags, "Randomized") {
				continue
			}
			n++
			if err != nil {
				if c.Result == "valid" {
					t.Errorf("%d %s: %v", c.TcID, c.Comment, err)
				}
				continue
			}
			sig, err := k.(*mldsa.PrivateKey).SignDeterministic(c.Msg, nil)
			if (err == nil && bytes.Equal(sig, c.Sig)) != (c.Result == "valid") {
				t.Errorf("%d %s: %v", c.TcID, c.Comment, err)
			}
		}
	}
	if n < 100 {
		t.Errorf("only %d vectors", n)
	}
}

func TestPublishedX448(t *testing.T) {
	n := 0
	for _, g := range wycheproof(t, "x448_test.json") {
		for _, c := range g.Tests {
			if len(c.Private) != x448.Size || len(c.Public) != x448.Size {
				continue
			}
			n++
			s, err := SharedSecret(&X448PrivateKey{x448.Key(c.Private)}, X448PublicKey(c.Public))
			zero := bytes.Equal(c.Shared, make([]byte, x448.Size))
			if zero != errors.Is(err, ErrKey) || !zero && !bytes.Equal(s, c.Shared) {
				t.Errorf("%d %s: %x, %v", c.TcID, c.Comment, s, err)
			}
		}
	}
	if n < 400 {
		t.Errorf("only %d vectors", n)
	}
}

func TestPublishedMLKEM(t *testing.T) {
	set := func(g group) *mlkemSet {
		return mlkemSets[slices.IndexFunc(mlkemSets, func(s *mlkemSet) bool { return s.label == g.ParameterSet })]
	}
	n := 0
	for _, g := range wycheproof(t, "mlkem_*_keygen_seed_test.json") {
		s := set(g)
		for _, c := range g.Tests {
			n++
			k, err := s.parsePrivate(addSeed(c.Seed))
			if err != nil || !bytes.Equal(publicOf(k).(*MLKEMPublicKey).Bytes(), c.Ek) {
				t.Errorf("%s %d: %v", s.name, c.TcID, err)
			}
			if _, err := s.parsePrivate(addExpanded(c.Dk)); err != nil {
				t.Errorf("%s %d expanded: %v", s.name, c.TcID, err)
			}
		}
	}
	for _, size := range []string{"512", "768", "1024"} {
		for _, g := range wycheproof(t, "mlkem_"+size+"_test.json") {
			s := set(g)
			for _, c := range g.Tests {
				n++
				k, err := s.parsePrivate(addSeed(c.Seed))
				var got []byte
				if err == nil {
					got, err = Decapsulate(rand.Reader, k, pkix.AlgorithmIdentifier{OID: s.oid}, c.C)
				}
				if (err == nil && bytes.Equal(got, c.K)) != (c.Result == "valid") {
					t.Errorf("%s %d %s: %s, %x, %v", s.name, c.TcID, c.Comment, c.Result, got, err)
				}
			}
		}
	}
	for _, g := range wycheproof(t, "mlkem_*_encaps_test.json") {
		s := set(g)
		for _, c := range g.Tests {
			n++
			// Keys with coefficients out of range are the invalid ones.
			if _, err := s.parse(c.Ek); (err == nil) != (c.Result == "valid") {
				t.Errorf("%s %d %s %v: %s, %v", s.name, c.TcID, c.Comment, c.Flags, c.Result, err)
			}
		}
	}
	for _, g := range wycheproof(t, "mlkem_*_semi_expanded_decaps_test.json") {
		s := set(g)
		for _, c := range g.Tests {
			n++
			var got []byte
			k, err := s.parsePrivate(addExpanded(c.Dk))
			if err == nil {
				got, err = Decapsulate(rand.Reader, k, pkix.AlgorithmIdentifier{OID: s.oid}, c.C)
			}
			if (err == nil && (c.K == nil || bytes.Equal(got, c.K))) != (c.Result == "valid") {
				t.Errorf("%s %d %s: %s, %v", s.name, c.TcID, c.Comment, c.Result, err)
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d vectors", n)
	}
	t.Logf("%d vectors", n)
}

func TestPublishedKMAC(t *testing.T) {
	n := 0
	for _, bits := range []int{128, 256} {
		for _, g := range wycheproof(t, map[int]string{128: "kmac128*.json", 256: "kmac256*.json"}[bits]) {
			for _, c := range g.Tests {
				n++
				h := newKMAC(bits, c.Key, nil, g.TagSize/8)
				h.Write(c.Msg[:len(c.Msg)/2])
				h.Sum(nil) // must not disturb
				h.Write(c.Msg[len(c.Msg)/2:])
				if got := h.Sum(nil); bytes.Equal(got, c.Tag) != (c.Result == "valid") {
					t.Errorf("KMAC%d %d %s: %x", bits, c.TcID, c.Comment, got)
				}
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d vectors", n)
	}
}

// published checks an example: a certificate that verifies under its own key,
// which is the public key, or under another's.
func published(t *testing.T, cert []byte, keyType string) (spki pkix.SubjectPublicKeyInfo) {
	t.Helper()
	tbs, a, sig, spki := certificate(t, cert)
	pub, err := ParsePublicKey(spki)
	if err != nil || KeyType(pub) != keyType {
		t.Fatalf("%s: key of type %q, %v", keyType, KeyType(pub), err)
	}
	if again, err := MarshalPublicKey(pub); err != nil || !bytes.Equal(again, spki) {
		t.Errorf("%s: key written back differently: %v", keyType, err)
	}
	if Uses(pub) == UseSign {
		if err := Verify(a, pub, tbs, sig, nil); err != nil {
			t.Errorf("%s: %v", keyType, err)
		}
	}
	return spki
}

func TestPublishedExamples(t *testing.T) {
	for dir, names := range map[string][]string{
		"dilithium-certificates/examples": {"ML-DSA-44", "ML-DSA-65", "ML-DSA-87"},
		"kyber-certificates/example":      {"ML-KEM-512", "ML-KEM-768", "ML-KEM-1024"},
	} {
		dir = vectors(t, dir)
		for _, name := range names {
			spki := published(t, readPEM(t, filepath.Join(dir, name+".crt")), strings.ToLower(name))
			if pub := readPEM(t, filepath.Join(dir, name+".pub")); !bytes.Equal(pub, spki) {
				t.Errorf("%s: another key in the certificate", name)
			}
			for _, form := range []string{"seed", "expanded", "both"} {
				der := readPEM(t, filepath.Join(dir, name+"-"+form+".priv"))
				k, err := ParsePrivateKey(der)
				if err != nil {
					t.Errorf("%s %s: %v", name, form, err)
					continue
				}
				if own, err := MarshalPublicKey(publicOf(k)); err != nil || !bytes.Equal(own, spki) {
					t.Errorf("%s %s: public key %x", name, form, own)
				}
				back, err := MarshalPrivateKey(k)
				want := der
				if form == "both" {
					want = readPEM(t, filepath.Join(dir, name+"-seed.priv"))
				}
				if err != nil || !bytes.Equal(back, want) {
					t.Errorf("%s %s: written back differently: %v", name, form, err)
				}
			}
		}
		bad, _ := filepath.Glob(filepath.Join(dir, "bad-*.priv"))
		if len(bad) < 3 {
			t.Errorf("only %d bad keys in %s", len(bad), dir)
		}
		for _, f := range bad {
			if _, err := ParsePrivateKey(readPEM(t, f)); !errors.Is(err, ErrPrivateKey) {
				t.Errorf("%s: %v", filepath.Base(f), err)
			}
		}
	}

	dir := vectors(t, "x509-slhdsa")
	spki := published(t, readPEM(t, filepath.Join(dir, "id-slh-dsa-sha2-128s.pem")), "slh-dsa-sha2-128s")
	der := readPEM(t, filepath.Join(dir, "id-slh-dsa-sha2-128s.priv"))
	k, err := ParsePrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := MarshalPublicKey(publicOf(k)); err != nil || !bytes.Equal(own, spki) {
		t.Errorf("SLH-DSA public key %x, %v", own, err)
	}
	if back, err := MarshalPrivateKey(k); err != nil || !bytes.Equal(back, der) {
		t.Errorf("SLH-DSA private key written back differently: %v", err)
	}
	signAndVerify(t, k.(crypto.Signer), "slh-dsa-sha2-128s")
}

func TestPublishedComposites(t *testing.T) {
	data, err := os.ReadFile(vectors(t, "draft-composite-sigs/src/testvectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		M     string
		Tests []struct{ TcID, PK, X5C, SK, SKPKCS8, S string }
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(data), `"sk_pkcs8"`, `"skpkcs8"`)), &v); err != nil {
		t.Fatal(err)
	}
	b64 := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	n := 0
	for _, c := range v.Tests {
		if strings.Contains(c.TcID, "brainpool") {
			continue
		}
		name := strings.ToLower(strings.TrimPrefix(c.TcID, "id-"))
		t.Run(name, func(t *testing.T) {
			n++
			spki := published(t, b64(c.X5C), name)
			pub, err := ParsePublicKey(spki)
			if err != nil || !bytes.Equal(spki.KeyBits(), b64(c.PK)) {
				t.Fatalf("key of the certificate: %v", err)
			}
			a := spki.Algorithm()
			if err := Verify(a, pub, b64(v.M), b64(c.S), nil); err != nil {
				t.Error(err)
			}
			k, err := ParsePrivateKey(b64(c.SKPKCS8))
			if err != nil || !equal(publicOf(k), pub) {
				t.Fatalf("private key: %v", err)
			}
			if back, err := MarshalPrivateKey(k); err != nil || !bytes.Equal(back, b64(c.SKPKCS8)) {
				t.Errorf("private key written as %x, %v", back, err)
			}
			signAndVerify(t, k.(crypto.Signer), name)
		})
	}
	if n != len(composites)+3 {
		t.Errorf("%d vectors for %d composites and ML-DSA", n, len(composites))
	}
}

func TestRSAPSSShakeByKeyAlgorithm(t *testing.T) {
	k := testKey(t, "rsa-2048")
	n := k.Public().(*rsa.PublicKey)
	for _, hash := range []string{"shake128", "shake256"} {
		a, err := SignatureFor(k.Public(), "rsa-pss-"+hash)
		if err != nil || a.Parameters != nil {
			t.Fatalf("%x, %v", a.Bytes(), err)
		}
		sig, err := Sign(rand.Reader, k, a, []byte("m"))
		if err != nil {
			t.Fatal(err)
		}
		oid := map[string]string{"shake128": "1.3.6.1.5.5.7.6.30", "shake256": "1.3.6.1.5.5.7.6.31"}
		spki := buildSPKI(pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid[hash])}, marshalRSA(n))
		pub, err := ParsePublicKey(spki)
		if err != nil || KeyType(pub) != "rsa-pss-2048" {
			t.Fatalf("%q, %v", KeyType(pub), err)
		}
		if again, err := MarshalPublicKey(pub); err != nil || !bytes.Equal(again, spki) {
			t.Errorf("written back as %x, %v", again, err)
		}
		if err := Verify(a, pub, []byte("m"), sig, nil); err != nil {
			t.Error(err)
		}
		if err := Verify(a, pub, []byte("n"), sig, nil); !errors.Is(err, ErrSignature) {
			t.Errorf("another message: %v", err)
		}
		other := pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid[map[string]string{"shake128": "shake256", "shake256": "shake128"}[hash]])}
		if err := Verify(other, pub, []byte("m"), sig, nil); !errors.Is(err, ErrMismatch) {
			t.Errorf("the other SHAKE: %v", err)
		}
		if d, err := SignatureFor(pub, ""); err != nil || !d.Equal(a) {
			t.Errorf("default %s, %v", SignatureName(d), err)
		}
		with := pkix.AlgorithmIdentifier{OID: a.OID, Parameters: pkix.Null}
		if err := Verify(with, pub, []byte("m"), sig, nil); !errors.Is(err, ErrParameters) {
			t.Errorf("with NULL: %v", err)
		}
		if equal(pub, &PSSPublicKey{Key: n}) || equal(&PSSPublicKey{Key: n}, pub) {
			t.Error("equal to a key without restriction")
		}
		if _, err := Sign(rand.Reader, opaque{k}, a, []byte("m")); !errors.Is(err, ErrUnsupported) {
			t.Errorf("by a device: %v", err)
		}
	}
	// The mask is checked to the last bit.
	a := pkix.AlgorithmIdentifier{OID: oidPSSShake128}
	sig, err := Sign(rand.Reader, k, a, nil)
	if err != nil {
		t.Fatal(err)
	}
	em, _ := rsaPublic(n, sig)
	for i := range em {
		bad := slices.Clone(em)
		bad[i] ^= 0x40
		if verifyPSSShake(named("shake128"), bad, n.N.BitLen()-1, nil) {
			t.Errorf("accepted with octet %d of the encoding changed", i)
		}
	}
	for _, s := range [][]byte{nil, sig[1:], append([]byte{0}, sig...), n.N.Bytes()} {
		if Verify(a, n, nil, s, nil) == nil {
			t.Errorf("accepted: %x", s)
		}
	}
}

// opaque hides the key, as a device does.
type opaque struct{ crypto.Signer }
