package alg

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
)

// testKey makes one key of a type for all tests; RSA keys are slow to make.
func testKey(t testing.TB, keyType string) crypto.Signer {
	t.Helper()
	testKeys.Lock()
	defer testKeys.Unlock()
	if k := testKeys.m[keyType]; k != nil {
		return k
	}
	k, err := GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	testKeys.m[keyType] = k
	return k
}

var testKeys = struct {
	sync.Mutex
	m map[string]crypto.Signer
}{m: map[string]crypto.Signer{}}

// signedBy is a signature algorithm with a key for it and the words of the
// openssl command that does the same.
type signedBy struct {
	keyType, name string
	dgst          []string
}

func opensslSignatures() []signedBy {
	var all []signedBy
	for _, h := range []string{"sha224", "sha256", "sha384", "sha512", "sha512-224", "sha512-256", "sha3-224", "sha3-256", "sha3-384", "sha3-512"} {
		all = append(all, signedBy{"rsa-2048", "rsa-" + h, []string{"-" + h}})
		if !strings.HasPrefix(h, "sha512-") {
			all = append(all, signedBy{"ecdsa-p384", "ecdsa-" + h, []string{"-" + h}})
		}
	}
	for _, h := range []string{"sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"} {
		all = append(all, signedBy{"rsa-2048", "rsa-pss-" + h, []string{
			"-" + h, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sigopt", "rsa_mgf1_md:" + h}})
	}
	return append(all,
		signedBy{"ecdsa-p256", "ecdsa-sha256", []string{"-sha256"}},
		signedBy{"ecdsa-p256", "ecdsa-sha512", []string{"-sha512"}},
		signedBy{"ecdsa-p521", "ecdsa-sha512", []string{"-sha512"}},
		signedBy{"ed25519", "ed25519", nil})
}

func TestSignaturesAgainstOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	message := []byte("header and body")
	o.write("m", message)
	for _, keyType := range []string{"rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519"} {
		k := testKey(t, keyType)
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		o.write(keyType+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		spki, err := MarshalPublicKey(k.Public())
		if err != nil {
			t.Fatal(err)
		}
		o.write(keyType+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	}
	for _, s := range opensslSignatures() {
		t.Run(s.keyType+" "+s.name, func(t *testing.T) {
			o.t = t
			k := testKey(t, s.keyType)
			a, err := SignatureFor(k.Public(), s.name)
			if err != nil {
				t.Fatal(err)
			}
			if n := SignatureName(a); n != s.name {
				t.Errorf("named %q", n)
			}
			sig, err := Sign(rand.Reader, k, a, message)
			if err != nil {
				t.Fatal(err)
			}
			o.write("sig", sig)
			sign := append(append([]string{"dgst"}, s.dgst...), "-sign", s.keyType+".key", "-out", "sig2", "m")
			verify := append(append([]string{"dgst"}, s.dgst...), "-verify", s.keyType+".pub", "-signature", "sig", "m")
			if s.dgst == nil {
				sign = []string{"pkeyutl", "-sign", "-rawin", "-inkey", s.keyType + ".key", "-in", "m", "-out", "sig2"}
				verify = []string{"pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", s.keyType + ".pub", "-in", "m", "-sigfile", "sig"}
			}
			o.run(verify...)
			o.run(sign...)
			pub := k.Public()
			if err := Verify(a, pub, message, o.read("sig2"), nil); err != nil {
				t.Errorf("signature of openssl: %v", err)
			}
			if err := Verify(a, pub, append([]byte{'x'}, message...), sig, nil); !errors.Is(err, ErrSignature) {
				t.Errorf("other message: %v", err)
			}
			for _, i := range []int{0, len(sig) / 2, len(sig) - 1} {
				bad := append([]byte(nil), sig...)
				bad[i] ^= 1
				if err := Verify(a, pub, message, bad, nil); !errors.Is(err, ErrSignature) {
					t.Errorf("octet %d changed: %v", i, err)
				}
			}
			for _, bad := range [][]byte{nil, {}, sig[:len(sig)-1], append(append([]byte(nil), sig...), 0)} {
				if err := Verify(a, pub, message, bad, nil); !errors.Is(err, ErrSignature) {
					t.Errorf("signature of %d octets: %v", len(bad), err)
				}
			}
		})
	}
}

// certificate splits a certificate with the standard library alone.
func certificate(t *testing.T, der []byte) (tbs []byte, a pkix.AlgorithmIdentifier, sig []byte, spki pkix.SubjectPublicKeyInfo) {
	t.Helper()
	var c struct {
		TBS struct {
			Raw        asn1.RawContent
			Version    int `asn1:"optional,explicit,default:0,tag:0"`
			Serial     *big.Int
			Alg        asn1.RawValue
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			Key        asn1.RawValue
			Extensions asn1.RawValue `asn1:"optional,explicit,tag:3"`
		}
		Alg asn1.RawValue
		Sig asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) > 0 {
		t.Fatalf("certificate: %v, %d octets left", err, len(rest))
	}
	s := cryptobyte.String(c.Alg.FullBytes)
	a, ok := pkix.ReadAlgorithm(&s)
	if !ok {
		t.Fatal("signature algorithm of the certificate")
	}
	return c.TBS.Raw, a, c.Sig.RightAlign(), c.TBS.Key.FullBytes
}

// The identifiers we write are, octet for octet, those of the standard library.
func TestIdentifiersAgainstStandardLibrary(t *testing.T) {
	for std, want := range map[x509.SignatureAlgorithm]struct{ keyType, name string }{
		x509.SHA256WithRSA:    {"rsa-2048", "rsa-sha256"},
		x509.SHA384WithRSA:    {"rsa-2048", "rsa-sha384"},
		x509.SHA512WithRSA:    {"rsa-2048", "rsa-sha512"},
		x509.SHA256WithRSAPSS: {"rsa-2048", "rsa-pss-sha256"},
		x509.SHA384WithRSAPSS: {"rsa-2048", "rsa-pss-sha384"},
		x509.SHA512WithRSAPSS: {"rsa-2048", "rsa-pss-sha512"},
		x509.ECDSAWithSHA256:  {"ecdsa-p256", "ecdsa-sha256"},
		x509.ECDSAWithSHA384:  {"ecdsa-p384", "ecdsa-sha384"},
		x509.ECDSAWithSHA512:  {"ecdsa-p521", "ecdsa-sha512"},
		x509.PureEd25519:      {"ed25519", "ed25519"},
	} {
		t.Run(std.String(), func(t *testing.T) {
			k := testKey(t, want.keyType)
			template := &x509.Certificate{SerialNumber: big.NewInt(1), SignatureAlgorithm: std, Subject: stdpkix.Name{CommonName: "x"}}
			der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
			if err != nil {
				t.Fatal(err)
			}
			tbs, a, sig, spki := certificate(t, der)
			pub, err := ParsePublicKey(spki)
			if err != nil {
				t.Fatal(err)
			}
			if KeyType(pub) != want.keyType {
				t.Errorf("key type %q", KeyType(pub))
			}
			if err := Verify(a, pub, tbs, sig, nil); err != nil {
				t.Error(err)
			}
			ours, err := SignatureFor(pub, want.name)
			if err != nil || !ours.Equal(a) {
				t.Errorf("identifier %x, standard library writes %x: %v", ours.Bytes(), a.Bytes(), err)
			}
			h, explicit, err := CertHash(a)
			if err != nil || explicit != (std == x509.PureEd25519) {
				t.Errorf("certificate hash %v, explicit %v: %v", h, explicit, err)
			}
			if std == x509.PureEd25519 && h != crypto.SHA512 {
				t.Errorf("certificate hash %v", h)
			}
		})
	}
}

func TestPSSCertificatesOfOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	o.run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.key")
	o.run("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "any.key")
	o.run("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", "rsa_pss_keygen_md:sha384",
		"-pkeyopt", "rsa_pss_keygen_mgf1_md:sha384", "-pkeyopt", "rsa_pss_keygen_saltlen:40", "-out", "only384.key")
	for _, c := range []struct {
		key, hash, salt, name, keyType string
		want                           error
	}{
		{"rsa", "sha256", "32", "rsa-pss-sha256", "rsa-2048", nil},
		{"rsa", "sha256", "20", "rsa-pss-sha256", "rsa-2048", nil}, // a default left out
		{"rsa", "sha512", "0", "rsa-pss-sha512", "rsa-2048", nil},
		{"rsa", "sha256", "222", "rsa-pss-sha256", "rsa-2048", nil}, // the longest there is
		{"rsa", "sha1", "20", "rsa-pss-sha1", "rsa-2048", ErrForbidden},
		{"any", "sha512", "64", "rsa-pss-sha512", "rsa-pss-2048", nil},
		{"only384", "sha384", "48", "rsa-pss-sha384", "rsa-pss-2048", nil},
	} {
		t.Run(c.key+" "+c.hash+" "+c.salt, func(t *testing.T) {
			o.t = t
			o.run("req", "-x509", "-new", "-subj", "/CN=x", "-key", c.key+".key", "-"+c.hash, "-sigopt", "rsa_padding_mode:pss",
				"-sigopt", "rsa_pss_saltlen:"+c.salt, "-outform", "DER", "-out", "crt")
			tbs, a, sig, spki := certificate(t, o.read("crt"))
			pub, err := ParsePublicKey(spki)
			if err != nil {
				t.Fatal(err)
			}
			if KeyType(pub) != c.keyType || SignatureName(a) != c.name {
				t.Errorf("key %s, signature %s", KeyType(pub), SignatureName(a))
			}
			if err := Verify(a, pub, tbs, sig, nil); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err := Verify(a, pub, tbs, sig, &SignaturePolicy{Weak: []string{"rsa-pss-sha1"}}); err != nil {
				t.Errorf("with SHA-1 allowed: %v", err)
			}
			if again, err := MarshalPublicKey(pub); err != nil || string(again) != string(spki) {
				t.Errorf("key written back differently: %v", err)
			}
			pss, ok := pub.(*PSSPublicKey)
			if !ok {
				return
			}
			pkcs1, _ := SignatureFor(&rsa.PublicKey{N: pss.Key.N, E: pss.Key.E}, "rsa-sha256")
			if err := Verify(pkcs1, pub, tbs, sig, nil); !errors.Is(err, ErrMismatch) {
				t.Errorf("PKCS #1 v1.5 by a PSS key: %v", err)
			}
			other, _ := SignatureFor(pss.Key, "rsa-pss-sha256")
			err = Verify(other, pub, tbs, sig, nil)
			if want := ErrMismatch; c.key == "only384" && !errors.Is(err, want) {
				t.Errorf("SHA-256 by a key for SHA-384: %v", err)
			}
			if d, err := SignatureFor(pub, ""); err != nil || c.key == "only384" && SignatureName(d) != "rsa-pss-sha384" {
				t.Errorf("default %s: %v", SignatureName(d), err)
			}
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	ec, rsaKey, ed := testKey(t, "ecdsa-p256").Public(), testKey(t, "rsa-2048").Public(), testKey(t, "ed25519").Public()
	id := func(oid string, params ...byte) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid), Parameters: params}
	}
	const pss = "1.2.840.113549.1.1.10"
	params := writePSSParameters(named("sha256"))
	without := func(replace func(s string) string) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{OID: pkix.MustOID(pss), Parameters: []byte(replace(string(params)))}
	}
	swap := func(old, new string) pkix.AlgorithmIdentifier {
		return without(func(s string) string {
			if strings.Count(s, old) == 0 {
				t.Fatalf("%x is not in %x", old, s)
			}
			return strings.Replace(s, old, new, 1)
		})
	}
	for name, c := range map[string]struct {
		a      pkix.AlgorithmIdentifier
		pub    crypto.PublicKey
		policy *SignaturePolicy
		want   error
	}{
		"no algorithm":                {pkix.AlgorithmIdentifier{}, ec, nil, ErrUnsupported},
		"MD5":                         {id("1.2.840.113549.1.1.4", 5, 0), rsaKey, nil, ErrUnsupported},
		"a MAC":                       {id("1.2.840.113533.7.66.13"), rsaKey, nil, ErrUnsupported},
		"a key":                       {id("1.2.840.113549.1.1.1", 5, 0), rsaKey, nil, ErrUnsupported},
		"SHA-1 with RSA":              {id("1.2.840.113549.1.1.5", 5, 0), rsaKey, nil, ErrForbidden},
		"SHA-1 with ECDSA":            {id("1.2.840.10045.4.1"), ec, &SignaturePolicy{}, ErrForbidden},
		"not in the only":             {id("1.2.840.10045.4.3.2"), ec, &SignaturePolicy{Only: []string{"ed25519"}}, ErrForbidden},
		"SHA-1 allowed, wrong":        {id("1.2.840.10045.4.1"), ec, &SignaturePolicy{Weak: []string{"ecdsa-sha1"}}, ErrSignature},
		"SHA-1 of the other kind":     {id("1.2.840.10045.4.1"), ec, &SignaturePolicy{Weak: []string{"rsa-sha1"}}, ErrForbidden},
		"RSA for EC":                  {id("1.2.840.113549.1.1.11", 5, 0), ec, nil, ErrMismatch},
		"EC for RSA":                  {id("1.2.840.10045.4.3.2"), rsaKey, nil, ErrMismatch},
		"EC for Ed25519":              {id("1.2.840.10045.4.3.2"), ed, nil, ErrMismatch},
		"Ed25519 for EC":              {id("1.3.101.112"), ec, nil, ErrMismatch},
		"no key":                      {id("1.3.101.112"), nil, nil, ErrMismatch},
		"RSA, parameters absent":      {id("1.2.840.113549.1.1.11"), rsaKey, nil, ErrSignature},
		"RSA, other parameters":       {id("1.2.840.113549.1.1.11", 4, 0), rsaKey, nil, ErrParameters},
		"ECDSA with NULL":             {id("1.2.840.10045.4.3.2", 5, 0), ec, nil, ErrParameters},
		"Ed25519 with NULL":           {id("1.3.101.112", 5, 0), ed, nil, ErrParameters},
		"PSS without parameters":      {id(pss), rsaKey, nil, ErrParameters},
		"PSS with NULL":               {id(pss, 5, 0), rsaKey, nil, ErrParameters},
		"PSS of defaults":             {id(pss, 0x30, 0), rsaKey, nil, ErrForbidden},
		"PSS, SHA-1 mask":             {swap("\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00", ""), rsaKey, nil, ErrParameters},
		"PSS, another mask hash":      {swap("\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01", "\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03"), rsaKey, nil, ErrUnsupported},
		"PSS, another mask":           {swap("\x01\x01\x08", "\x01\x01\x09"), rsaKey, nil, ErrUnsupported},
		"PSS, unknown hash":           {swap("\x60\x86\x48\x01\x65\x03\x04\x02\x01", "\x60\x86\x48\x01\x65\x03\x04\x02\x7f"), rsaKey, nil, ErrUnsupported},
		"PSS, negative salt":          {swap("\xa2\x03\x02\x01\x20", "\xa2\x03\x02\x01\xff"), rsaKey, nil, ErrParameters},
		"PSS, salt for no key":        {swap("\xa2\x03\x02\x01\x20", "\xa2\x03\x02\x01\x7f"), rsaKey, nil, ErrSignature},
		"PSS, data after the last":    {without(func(s string) string { return s + "\x05\x00" }), rsaKey, nil, ErrParameters},
		"PSS, cut off":                {without(func(s string) string { return s[:len(s)-1] }), rsaKey, nil, ErrParameters},
		"PSS, trailer 2":              {id(pss, 0x30, 5, 0xa3, 3, 2, 1, 2), rsaKey, nil, ErrParameters},
		"PSS, enormous salt":          {id(pss, 0x30, 8, 0xa2, 6, 2, 4, 0x7f, 0xff, 0xff, 0xff), rsaKey, nil, ErrParameters},
		"PSS, fields out of order":    {id(pss, 0x30, 10, 0xa3, 3, 2, 1, 1, 0xa2, 3, 2, 1, 20), rsaKey, nil, ErrParameters},
		"PSS, a salt that is no INT.": {id(pss, 0x30, 5, 0xa2, 3, 4, 1, 20), rsaKey, nil, ErrParameters},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "PSS, SHA-1 mask" {
				// The length of the outer SEQUENCE follows what was cut out.
				p := append([]byte(nil), c.a.Parameters...)
				p[1] = byte(len(p) - 2)
				c.a.Parameters, c.want = p, ErrUnsupported
			}
			err := Verify(c.a, c.pub, []byte("m"), make([]byte, 256), c.policy)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestSignatureForDefaults(t *testing.T) {
	for keyType, want := range map[string]string{
		"ecdsa-p256": "ecdsa-sha256", "ecdsa-p384": "ecdsa-sha384", "ecdsa-p521": "ecdsa-sha512",
		"rsa-2048": "rsa-sha256", "rsa-3072": "rsa-sha256", "ed25519": "ed25519",
	} {
		k := testKey(t, keyType)
		a, err := SignatureFor(k.Public(), "")
		if err != nil || SignatureName(a) != want {
			t.Errorf("%s: %s, %v; want %s", keyType, SignatureName(a), err, want)
		}
	}
	ec := testKey(t, "ecdsa-p256")
	for name, want := range map[string]error{"rsa-sha256": ErrMismatch, "ecdsa-sha1": ErrForbidden, "ecdsa": ErrUnsupported} {
		if _, err := SignatureFor(ec.Public(), name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}
	if _, err := SignatureFor("no key", ""); !errors.Is(err, ErrUnsupported) {
		t.Errorf("no key: %v", err)
	}
	sha1 := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.10045.4.1")}
	if _, err := Sign(rand.Reader, ec, sha1, nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("signing with SHA-1: %v", err)
	}
	if err := (&SignaturePolicy{Weak: []string{"rsa-sha1"}, Only: []string{"rsa-md5"}}).Check(); !errors.Is(err, ErrUnsupported) {
		t.Errorf("policy with an unknown name: %v", err)
	}
}

func TestCertHash(t *testing.T) {
	pss := pkix.AlgorithmIdentifier{OID: oidPSS, Parameters: writePSSParameters(named("sha384"))}
	if h, explicit, err := CertHash(pss); h != crypto.SHA384 || explicit || err != nil {
		t.Errorf("PSS with SHA-384: %v %v %v", h, explicit, err)
	}
	ed := pkix.AlgorithmIdentifier{OID: oidEd25519}
	want := crypto.SHA512.New()
	want.Write([]byte("certificate"))
	sum, err := CertHashSum(ed, pkix.AlgorithmIdentifier{}, []byte("certificate"))
	if err != nil || string(sum) != string(want.Sum(nil)) {
		t.Errorf("Ed25519: %x, %v", sum, err)
	}
	sum, err = CertHashSum(ed, HashAlgorithm(crypto.SHA256), []byte("abc"))
	if got := fmt.Sprintf("%x", sum); err != nil || got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("SHA-256 named: %s, %v", got, err)
	}
	if _, err := CertHashSum(ed, HashAlgorithm(crypto.SHA1), nil); !errors.Is(err, ErrForbidden) {
		t.Errorf("SHA-1 named: %v", err)
	}
	if _, _, err := CertHash(pkix.AlgorithmIdentifier{OID: oidRSA}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a key as signature algorithm: %v", err)
	}
}
