package alg

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"

	"github.com/cloudflare/circl/sign/ed448"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func publicOf(k crypto.PrivateKey) crypto.PublicKey {
	switch k := k.(type) {
	case interface{ Public() crypto.PublicKey }:
		return k.Public()
	}
	return nil
}

func equal(a, b any) bool {
	switch k := a.(type) {
	case interface{ Equal(crypto.PublicKey) bool }:
		return k.Equal(b)
	case interface{ Equal(crypto.PrivateKey) bool }:
		return k.Equal(b)
	}
	return false
}

// slow are the key types whose making or signing takes seconds.
func slow(keyType string) bool {
	return strings.Contains(keyType, "4096") || strings.HasPrefix(keyType, "slh-dsa-") && strings.HasSuffix(keyType, "s") &&
		keyType != "slh-dsa-sha2-128s"
}

func TestEveryKeyType(t *testing.T) {
	all := slices.Concat(KeyTypes(), EncryptionKeyTypes())
	if len(all) != 7+1+3+12+16+2+3 {
		t.Fatalf("%d key types: %v", len(all), all)
	}
	for _, kt := range all {
		if slow(kt) && testing.Short() {
			continue
		}
		t.Run(kt, func(t *testing.T) {
			var priv crypto.PrivateKey
			var err error
			signs := slices.Contains(KeyTypes(), kt)
			if signs {
				priv, err = GenerateKey(rand.Reader, kt)
			} else {
				priv, err = GenerateEncryptionKey(rand.Reader, kt)
			}
			if err != nil {
				t.Fatal(err)
			}
			pub := publicOf(priv)
			if KeyType(pub) != kt {
				t.Errorf("type %q", KeyType(pub))
			}
			if (Uses(pub)&UseSign != 0) != signs || Uses(pub) == 0 {
				t.Errorf("uses %b", Uses(pub))
			}
			spki, err := MarshalPublicKey(pub)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParsePublicKey(spki)
			if err != nil || !equal(again, pub) || !equal(pub, again) {
				t.Errorf("another key read: %v", err)
			}
			a, ok := KeyTypeAlgorithm(kt)
			if !ok || !a.Equal(spki.Algorithm()) {
				t.Errorf("algorithm of the type %x, of the key %x", a.Bytes(), spki.Algorithm().Bytes())
			}
			for _, cut := range []int{0, 1, 20, len(spki) / 2, len(spki) - 1} {
				if _, err := ParsePublicKey(spki[:cut]); err == nil {
					t.Errorf("accepted when cut off after %d octets", cut)
				}
			}
			if fixedByOID[a.OID] != nil {
				with := pkix.AlgorithmIdentifier{OID: a.OID, Parameters: pkix.Null}
				if _, err := ParsePublicKey(buildSPKI(with, spki.KeyBits())); !errors.Is(err, ErrParameters) {
					t.Errorf("with NULL: %v", err)
				}
				for _, bits := range [][]byte{nil, spki.KeyBits()[1:], append(slices.Clone(spki.KeyBits()), 0)} {
					if _, err := ParsePublicKey(buildSPKI(a, bits)); !errors.Is(err, ErrKey) {
						t.Errorf("%d octets: %v", len(bits), err)
					}
				}
			}

			der, err := MarshalPrivateKey(priv)
			if err != nil {
				t.Fatal(err)
			}
			back, err := ParsePrivateKey(der)
			if err != nil || !equal(back, priv) || !equal(publicOf(back), pub) {
				t.Fatalf("another private key read: %v", err)
			}
			for _, cut := range []int{0, 1, 10, 20, len(der) - 1} {
				if _, err := ParsePrivateKey(der[:cut]); err == nil {
					t.Errorf("private key accepted when cut off after %d octets", cut)
				}
			}
			if signs {
				signAndVerify(t, back.(crypto.Signer), kt)
			} else if _, err := SignatureFor(pub, ""); !errors.Is(err, ErrUnsupported) {
				t.Errorf("signature of a key that cannot sign: %v", err)
			}
		})
	}
}

func signAndVerify(t *testing.T, k crypto.Signer, keyType string) {
	a, err := SignatureFor(k.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	if f := fixedByOID[a.OID]; f != nil && (SignatureName(a) != keyType || a.Parameters != nil) {
		t.Errorf("signature %s by a key of type %s, parameters %x", SignatureName(a), keyType, a.Parameters)
	}
	message := []byte("message")
	sig, err := Sign(rand.Reader, k, a, message)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(a, k.Public(), message, sig, nil); err != nil {
		t.Error(err)
	}
	if err := Verify(a, k.Public(), []byte("massage"), sig, nil); !errors.Is(err, ErrSignature) {
		t.Errorf("another message: %v", err)
	}
	for _, i := range []int{0, len(sig) / 2, len(sig) - 1} {
		bad := slices.Clone(sig)
		bad[i] ^= 1
		if err := Verify(a, k.Public(), message, bad, nil); !errors.Is(err, ErrSignature) {
			t.Errorf("bit changed in octet %d: %v", i, err)
		}
	}
	for _, s := range [][]byte{nil, sig[1:], sig[:len(sig)-1], append(slices.Clone(sig), 0)} {
		if err := Verify(a, k.Public(), message, s, nil); !errors.Is(err, ErrSignature) {
			t.Errorf("signature of %d octets for %d: %v", len(s), len(sig), err)
		}
	}
	if err := Verify(a, testKey(t, "ecdsa-p256").Public(), message, sig, nil); a.OID != pkix.MustOID("1.2.840.10045.4.3.2") && !errors.Is(err, ErrMismatch) {
		// ECDSA of another curve fits the key and does not verify.
		if !strings.HasPrefix(keyType, "ecdsa-") {
			t.Errorf("key of another kind: %v", err)
		}
	}
}

// RFC 8032 section 7.4, "blank" and "1 octet".
func TestEd448OfRFC8032(t *testing.T) {
	for _, v := range []struct{ seed, pub, message, sig string }{
		{
			"6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f032e7549a20098f95b",
			"5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6cd1fa1abeafe8256180",
			"",
			"533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
		},
		{
			"c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949ef8021e954e0a12274e",
			"43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c235160627b4c3a9480",
			"03",
			"26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
		},
	} {
		k := ed448.NewKeyFromSeed(unhex(t, v.seed))
		spki, err := MarshalPublicKey(k.Public())
		// RFC 8410 section 4: SEQUENCE { SEQUENCE { OID 1.3.101.113 }, BIT STRING }
		if want := "3043300506032b6571033a00" + v.pub; err != nil || hex.EncodeToString(spki) != want {
			t.Errorf("key %x, %v", spki, err)
		}
		a, err := SignatureFor(k.Public(), "")
		if err != nil {
			t.Fatal(err)
		}
		sig, err := Sign(rand.Reader, k, a, unhex(t, v.message))
		if err != nil || hex.EncodeToString(sig) != v.sig {
			t.Errorf("signature %x, %v", sig, err)
		}
		der, err := MarshalPrivateKey(k)
		if want := "3047020100300506032b6571043b0439" + v.seed; err != nil || hex.EncodeToString(der) != want {
			t.Errorf("private key %x, %v", der, err)
		}
	}
}

// RFC 7748 section 6.2.
func TestX448OfRFC7748(t *testing.T) {
	key := func(s string) *X448PrivateKey {
		k, err := ParsePrivateKey(unhex(t, "3046020100300506032b656f043a0438"+s))
		if err != nil {
			t.Fatal(err)
		}
		return k.(*X448PrivateKey)
	}
	alice := key("9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b")
	bob := key("1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d")
	pub := alice.Public().(X448PublicKey)
	if got := hex.EncodeToString(pub[:]); got != "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0" {
		t.Errorf("public key %s", got)
	}
	for _, pair := range [][2]*X448PrivateKey{{alice, bob}, {bob, alice}} {
		s, err := SharedSecret(pair[0], pair[1].Public())
		if got := hex.EncodeToString(s); err != nil || got != "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879d" {
			t.Errorf("secret %s, %v", got, err)
		}
	}
	if _, err := SharedSecret(alice, X448PublicKey{}); !errors.Is(err, ErrKey) {
		t.Errorf("point of low order: %v", err)
	}
	if _, err := SharedSecret(alice, testKey(t, "ecdsa-p256").Public()); !errors.Is(err, ErrMismatch) {
		t.Errorf("key of another kind: %v", err)
	}
}

// The seeds of RFC 9881 appendix C and RFC 9935 appendix C, and the hashes of
// the public keys there.
func TestSeedsOfTheRFCs(t *testing.T) {
	seed := make([]byte, 64)
	for i := range seed {
		seed[i] = byte(i)
	}
	for name, want := range map[string]string{
		"ml-dsa-44":   "837832708c5236d951581f1fddf2b79991b3424a0486d16da1ddad0fd69701be",
		"ml-dsa-65":   "b8b62131bfbe84433efb2273d7f5b87f7a22854a2cfd366fc2aead86d837c52d",
		"ml-dsa-87":   "07e57c4f14dbad1267f621ec3777b4e2e6c4fbc4c22fbb87510ff8e0b3c6a642",
		"ml-kem-512":  "0e3c8b89b54202d2545f7aba2e2aaa3cffa7b6191919ad738fab35b4f313cf71",
		"ml-kem-768":  "c23e23dd3d485a9256cda09358a4a286e00b373db10761eadf99f710649ca31c",
		"ml-kem-1024": "d2b7480ae006a14b37c1e8a8e45ea39022e32a9b1a7b90d594c84d869c6ac420",
	} {
		f := fixedKeys[slices.IndexFunc(fixedKeys, func(f *fixedKey) bool { return f.name == name })]
		n := 32
		if f.use == UseEncapsulate {
			n = 64
		}
		k, err := f.parsePrivate(addSeed(seed[:n]))
		if err != nil {
			t.Fatal(err)
		}
		spki, err := MarshalPublicKey(publicOf(k))
		if got := sha256.Sum256(spki); err != nil || hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: %x, %v", name, got, err)
		}
	}
}

func TestPrivateKeyForms(t *testing.T) {
	for _, kt := range []string{"ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "ml-kem-512", "ml-kem-768", "ml-kem-1024"} {
		t.Run(kt, func(t *testing.T) {
			f := fixedKeys[slices.IndexFunc(fixedKeys, func(f *fixedKey) bool { return f.name == kt })]
			k, err := f.generate(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			seed := f.privateBytes(k)[2:]
			expanded := expand(t, kt, seed)
			both := func(seed, expanded []byte) []byte {
				return append(append([]byte{0x30, 0x82, byte((len(seed) + len(expanded) + 6) >> 8), byte(len(seed) + len(expanded) + 6), 4, byte(len(seed))}, seed...),
					addExpanded(expanded)...)
			}
			only, err := f.parsePrivate(addExpanded(expanded))
			if err != nil || !equal(publicOf(only), publicOf(k)) {
				t.Fatalf("expanded: %v", err)
			}
			if got := f.privateBytes(only); !bytes.Equal(got, addExpanded(expanded)) {
				t.Error("expanded key written back differently")
			}
			if s, ok := only.(crypto.Signer); ok {
				signAndVerify(t, s, kt)
			} else {
				kem, ct, ss, err := Encapsulate(rand.Reader, publicOf(only))
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range []crypto.PrivateKey{k, only} {
					if got, err := Decapsulate(rand.Reader, k, kem, ct); err != nil || !bytes.Equal(got, ss) {
						t.Errorf("decapsulated %x, %v", got, err)
					}
				}
			}
			if got, err := f.parsePrivate(both(seed, expanded)); err != nil || !equal(got, k) {
				t.Errorf("both: %v", err)
			}
			change := func(b []byte, i int) []byte {
				c := slices.Clone(b)
				c[i] ^= 1
				return c
			}
			for name, octets := range map[string][]byte{
				"nothing": nil, "no form": {5, 0}, "short seed": addSeed(seed[1:]), "long seed": addSeed(append(slices.Clone(seed), 0)),
				"short expanded": addExpanded(expanded[1:]), "seed untagged": addExpanded(seed), "after the end": append(addSeed(seed), 0),
				"both, other seed": both(change(seed, 3), expanded), "both, other expanded": both(seed, change(expanded, 40)),
				"expanded, another hash of the public key": addExpanded(change(expanded, map[bool]int{true: 64, false: len(expanded) - 64}[kt[:6] == "ml-dsa"])),
				"expanded, out of range":                   addExpanded(outOfRange(expanded)),
			} {
				if name == "expanded, out of range" && kt[:6] != "ml-dsa" {
					continue
				}
				if _, err := f.parsePrivate(octets); !errors.Is(err, ErrPrivateKey) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func outOfRange(key []byte) []byte {
	c := slices.Clone(key)
	c[128] = 0xff
	return c
}

// expand gives the expanded private key of a seed.
func expand(t *testing.T, keyType string, seed []byte) []byte {
	for _, s := range mldsaSets {
		if s.name == keyType {
			_, k := s.circl.DeriveKey(seed)
			b, err := k.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	for _, s := range mlkemSets {
		if s.name == keyType {
			_, k := s.circl.DeriveKeyPair(seed)
			b, err := k.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
	t.Fatal(keyType)
	return nil
}

func TestWeakCurve(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.10045.4.3.2")}
	digest := sha256.Sum256([]byte("m"))
	sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		policy *SignaturePolicy
		want   error
	}{
		{nil, ErrForbidden},
		{&SignaturePolicy{}, ErrForbidden},
		{&SignaturePolicy{Weak: []string{"ecdsa-p224"}}, nil},
		{&SignaturePolicy{Only: []string{"ecdsa-p224"}}, ErrForbidden},
		{&SignaturePolicy{Only: []string{"ecdsa-sha256"}}, ErrForbidden},
		{&SignaturePolicy{Only: []string{"ecdsa-sha256", "ecdsa-p224"}}, nil},
	} {
		if err := Verify(a, &k.PublicKey, []byte("m"), sig, c.policy); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.policy, err, c.want)
		}
		if err := c.policy.Check(); err != nil {
			t.Error(err)
		}
	}
	if _, err := SignatureFor(&k.PublicKey, ""); !errors.Is(err, ErrForbidden) {
		t.Errorf("signing: %v", err)
	}
	if _, err := Sign(rand.Reader, k, a, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("signing: %v", err)
	}
	if _, err := GenerateKey(rand.Reader, "ecdsa-p224"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("made: %v", err)
	}
}

func TestEdwardsKeysOfOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	o.run("genpkey", "-algorithm", "ED448", "-out", "ed.pem")
	o.run("pkey", "-in", "ed.pem", "-outform", "DER", "-out", "ed.der")
	k, err := ParsePrivateKey(o.read("ed.der"))
	if err != nil {
		t.Fatal(err)
	}
	if der, err := MarshalPrivateKey(k); err != nil || !bytes.Equal(der, o.read("ed.der")) {
		t.Errorf("private key written as %x, %v", der, err)
	}
	o.run("req", "-x509", "-new", "-subj", "/CN=x", "-key", "ed.pem", "-outform", "DER", "-out", "crt")
	tbs, a, sig, spki := certificate(t, o.read("crt"))
	pub, err := ParsePublicKey(spki)
	if err != nil || !equal(pub, publicOf(k)) {
		t.Fatalf("key of the certificate: %v", err)
	}
	if err := Verify(a, pub, tbs, sig, nil); err != nil {
		t.Error(err)
	}
	sum, hashAlg, err := NewCertHash(a, o.read("crt"))
	// openssl's default output of shake256 has 256 bits; CMP wants 512.
	o.run("dgst", "-shake256", "-xoflen", "64", "-binary", "-out", "sum", "crt")
	if err != nil || !bytes.Equal(sum, o.read("sum")) || hashAlg.OID != pkix.MustOID("2.16.840.1.101.3.4.2.12") || hashAlg.Parameters != nil {
		t.Errorf("certHash %x with %x, %v", sum, hashAlg.Bytes(), err)
	}

	o.run("genpkey", "-algorithm", "X448", "-outform", "DER", "-out", "x.der")
	x, err := ParsePrivateKey(o.read("x.der"))
	if err != nil {
		t.Fatal(err)
	}
	o.run("pkey", "-inform", "DER", "-in", "x.der", "-pubout", "-outform", "DER", "-out", "x.pub")
	if spki, err := MarshalPublicKey(publicOf(x)); err != nil || !bytes.Equal(spki, o.read("x.pub")) {
		t.Errorf("X448 key written as %x, %v", spki, err)
	}
	own, err := GenerateEncryptionKey(rand.Reader, "x448")
	if err != nil {
		t.Fatal(err)
	}
	spki, err = MarshalPublicKey(publicOf(own))
	if err != nil {
		t.Fatal(err)
	}
	o.write("own.pub", spki)
	o.run("pkeyutl", "-derive", "-keyform", "DER", "-inkey", "x.der", "-peerform", "DER", "-peerkey", "own.pub", "-out", "shared")
	if s, err := SharedSecret(own, publicOf(x)); err != nil || !bytes.Equal(s, o.read("shared")) {
		t.Errorf("shared secret %x, %v", s, err)
	}
}

func TestCertHashWithoutHash(t *testing.T) {
	cert := []byte("certificate")
	for name, c := range map[string]struct {
		explicit bool
		zero     error // of CertHashSum without hashAlg
		hash     string
	}{
		"ed25519": {true, nil, "sha512"}, "ed448": {true, nil, "shake256"},
		"ml-dsa-44": {true, ErrParameters, "sha512"}, "ml-dsa-87": {true, ErrParameters, "sha512"}, "slh-dsa-shake-128f": {true, ErrParameters, "sha512"},
		"ecdsa-shake128": {false, nil, "shake128"}, "rsa-pss-shake256": {false, nil, "shake256"},
		"mldsa44-ecdsa-p256-sha256": {false, nil, "sha256"}, "mldsa87-ed448-shake256": {false, nil, "shake256"},
	} {
		a := pkix.AlgorithmIdentifier{OID: signatureByName[name].oid}
		sum, hashAlg, err := NewCertHash(a, cert)
		if err != nil || hashAlg.IsZero() == c.explicit || !bytes.Equal(sum, named(c.hash).sum(nil, cert)) {
			t.Errorf("%s: %x with %x, %v", name, sum, hashAlg.Bytes(), err)
		}
		got, err := CertHashSum(a, pkix.AlgorithmIdentifier{}, cert)
		if !errors.Is(err, c.zero) || err == nil && !bytes.Equal(got, sum) {
			t.Errorf("%s without hashAlg: %x, %v", name, got, err)
		}
		if got, err := CertHashSum(a, hashAlg, cert); c.explicit && (err != nil || !bytes.Equal(got, sum)) {
			t.Errorf("%s with its hashAlg: %x, %v", name, got, err)
		}
	}
	shake := pkix.AlgorithmIdentifier{OID: named("shake256").oid, Parameters: pkix.Null}
	if _, err := CertHashSum(pkix.AlgorithmIdentifier{OID: oidEd25519}, shake, cert); !errors.Is(err, ErrParameters) {
		t.Errorf("SHAKE with NULL: %v", err)
	}
	if _, err := HashByAlgorithm(pkix.AlgorithmIdentifier{OID: named("shake256").oid}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("SHAKE as a crypto.Hash: %v", err)
	}
	if _, _, err := CertHash(pkix.AlgorithmIdentifier{OID: ed448Key.oid}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("SHAKE as a crypto.Hash: %v", err)
	}
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, kt := range []string{"ecdsa-p256", "ed448", "ml-dsa-44", "slh-dsa-shake-128f", "mldsa44-ecdsa-p256-sha256", "mldsa44-rsa2048-pss-sha256", "mldsa44-ed25519-sha512"} {
		der, err := MarshalPrivateKey(testKey(f, kt))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	for _, kt := range EncryptionKeyTypes() {
		k, err := GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			f.Fatal(err)
		}
		der, err := MarshalPrivateKey(k)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := ParsePrivateKey(der)
		if err != nil {
			return
		}
		if again, err := MarshalPrivateKey(k); err == nil {
			if back, err := ParsePrivateKey(again); err != nil || !equal(back, k) {
				t.Fatalf("read back differently: %v", err)
			}
		}
	})
}
