package alg

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

func TestPublicKeysAgainstStandardLibrary(t *testing.T) {
	pubs := map[string]any{}
	for _, kt := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048", "rsa-3072", "ed25519"} {
		pubs[kt] = testKey(t, kt).Public()
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pubs["ecdsa-p224"] = &p224.PublicKey
	x, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pubs["x25519"] = x.PublicKey()
	for kt, pub := range pubs {
		std, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := MarshalPublicKey(pub)
		if err != nil || !bytes.Equal(std, ours) {
			t.Errorf("%s: written as %x, standard library %x: %v", kt, ours, std, err)
		}
		got, err := ParsePublicKey(std)
		if err != nil {
			t.Errorf("%s: %v", kt, err)
			continue
		}
		if !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(pub) {
			t.Errorf("%s: another key read", kt)
		}
		if KeyType(got) != kt {
			t.Errorf("%s: type %q", kt, KeyType(got))
		}
		for cut := range std {
			if _, err := ParsePublicKey(std[:cut]); err == nil {
				t.Errorf("%s: accepted when cut off after %d octets", kt, cut)
			}
		}
		if _, err := ParsePublicKey(append(slices.Clone(std), 0)); err == nil {
			t.Errorf("%s: accepted with an octet more", kt)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	rsaKey := func(bits uint, e int, tweak int64) pkix.SubjectPublicKeyInfo {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		n.Add(n, big.NewInt(tweak))
		return buildSPKI(pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}, marshalRSA(&rsa.PublicKey{N: n, E: e}))
	}
	point := testKey(t, "ecdsa-p256").Public().(*ecdsa.PublicKey)
	raw, _ := point.Bytes()
	off := slices.Clone(raw)
	off[64] ^= 1
	compressed := append([]byte{2 | raw[64]&1}, raw[1:33]...) // SEC 1 section 2.3.3
	p384 := curves[1].a
	named := func(oid string) pkix.AlgorithmIdentifier {
		o := pkix.MustOID(oid)
		return pkix.AlgorithmIdentifier{OID: oidEC, Parameters: append([]byte{6, byte(len(o))}, o...)}
	}
	for name, c := range map[string]struct {
		spki pkix.SubjectPublicKeyInfo
		want error
	}{
		"nothing":             {nil, ErrKey},
		"no key type":         {pkix.SubjectPublicKeyInfo{0x30, 0}, ErrKey},
		"unknown key type":    {buildSPKI(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}, []byte{1}), ErrUnsupported},
		"RSA of 512 bits":     {rsaKey(512, 65537, 1), ErrKey},
		"RSA of 1023 bits":    {rsaKey(1023, 65537, 1), ErrKey},
		"RSA of 1024 bits":    {rsaKey(1024, 65537, 1), nil},
		"RSA of 16384 bits":   {rsaKey(16384, 65537, 1), nil},
		"RSA of 16385 bits":   {rsaKey(16385, 65537, 1), ErrKey},
		"RSA of 100000 bits":  {rsaKey(100000, 65537, 1), ErrKey},
		"RSA, even modulus":   {rsaKey(2048, 65537, 2), ErrKey},
		"RSA, exponent 1":     {rsaKey(2048, 1, 1), ErrKey},
		"RSA, exponent 3":     {rsaKey(2048, 3, 1), nil},
		"RSA, even exponent":  {rsaKey(2048, 65536, 1), ErrKey},
		"RSA, exponent < 0":   {rsaKey(2048, -65537, 1), ErrKey},
		"RSA, exponent 2^31+": {rsaKey(2048, 1<<31+1, 1), ErrKey},
		"RSA, no key":         {buildSPKI(pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}, nil), ErrKey},
		"RSA, parameters": {buildSPKI(pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: []byte{4, 0}},
			marshalRSA(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3})), ErrParameters},
		"RSA, negative modulus": {buildSPKI(pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null},
			append([]byte{0x30, 0x82, 1, 7, 2, 0x82, 1, 0, 0x81}, append(make([]byte, 255), 2, 1, 3)...)), ErrKey},
		"EC, point off the curve":     {buildSPKI(curves[0].a, off), ErrKey},
		"EC, point at infinity":       {buildSPKI(curves[0].a, []byte{0}), ErrKey},
		"EC, compressed point":        {buildSPKI(curves[0].a, compressed), ErrKey},
		"EC, point of another":        {buildSPKI(p384, raw), ErrKey},
		"EC, no point":                {buildSPKI(curves[0].a, nil), ErrKey},
		"EC, unknown curve":           {buildSPKI(named("1.3.132.0.10"), raw), ErrUnsupported},
		"EC, no curve":                {buildSPKI(pkix.AlgorithmIdentifier{OID: oidEC}, raw), ErrParameters},
		"EC, curve by the CA":         {buildSPKI(pkix.AlgorithmIdentifier{OID: oidEC, Parameters: pkix.Null}, raw), ErrParameters},
		"EC, explicit curve":          {buildSPKI(pkix.AlgorithmIdentifier{OID: oidEC, Parameters: []byte{0x30, 3, 2, 1, 1}}, raw), ErrParameters},
		"Ed25519 of 31 octets":        {buildSPKI(pkix.AlgorithmIdentifier{OID: oidEd25519}, make([]byte, 31)), ErrKey},
		"Ed25519 with NULL":           {buildSPKI(pkix.AlgorithmIdentifier{OID: oidEd25519, Parameters: pkix.Null}, make([]byte, 32)), ErrParameters},
		"X25519 of 33 octets":         {buildSPKI(pkix.AlgorithmIdentifier{OID: oidX25519}, make([]byte, 33)), ErrKey},
		"X25519 with NULL":            {buildSPKI(pkix.AlgorithmIdentifier{OID: oidX25519, Parameters: pkix.Null}, make([]byte, 32)), ErrParameters},
		"PSS key, bad parameters":     {buildSPKI(pkix.AlgorithmIdentifier{OID: oidPSS, Parameters: pkix.Null}, marshalRSA(testKey(t, "rsa-2048").Public().(*rsa.PublicKey))), ErrParameters},
		"PSS key without parameters":  {buildSPKI(pkix.AlgorithmIdentifier{OID: oidPSS}, marshalRSA(testKey(t, "rsa-2048").Public().(*rsa.PublicKey))), nil},
		"PSS key, small":              {buildSPKI(pkix.AlgorithmIdentifier{OID: oidPSS}, marshalRSA(&rsa.PublicKey{N: big.NewInt(35), E: 3})), ErrKey},
		"P-256 prefix with a bad tag": {buildSPKI(curves[0].a, append([]byte{5}, raw[1:]...)), ErrKey},
	} {
		t.Run(name, func(t *testing.T) {
			pub, err := ParsePublicKey(c.spki)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err != nil && pub != nil {
				t.Errorf("a key of type %T beside the error", pub)
			}
		})
	}
	if _, err := GenerateKey(rand.Reader, "rsa-1"); !errors.Is(err, ErrUnsupported) {
		t.Errorf("unknown key type: %v", err)
	}
	if KeyType(nil) != "" || KeyType(&rsa.PublicKey{}) != "" {
		t.Error("no key has a type")
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, kt := range []string{"ecdsa-p256", "ecdsa-p521", "rsa-2048", "ed25519", "ed448", "ml-dsa-44", "slh-dsa-shake-128f",
		"mldsa44-ecdsa-p256-sha256", "mldsa44-rsa2048-pss-sha256", "mldsa87-ed448-shake256"} {
		spki, err := MarshalPublicKey(testKey(f, kt).Public())
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(spki))
	}
	pss := &PSSPublicKey{Key: testKey(f, "rsa-2048").Public().(*rsa.PublicKey), Parameters: writePSSParameters(named("sha256"))}
	spki, err := MarshalPublicKey(pss)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(spki))
	f.Add([]byte(rsaKEMSPKI(f, pss.Key, asn1.RawValue{})))
	f.Add([]byte(rsaKEMSPKI(f, pss.Key, hybrid(f, stdKDF2, stdSHA512, 32, stdWrap256))))
	for _, kt := range EncryptionKeyTypes() {
		k, err := GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			f.Fatal(err)
		}
		if spki, err = MarshalPublicKey(publicOf(k)); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(spki))
	}
	f.Fuzz(func(t *testing.T, spki []byte) {
		pub, err := ParsePublicKey(spki)
		if err != nil {
			return
		}
		again, err := MarshalPublicKey(pub)
		if err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		if !bytes.Equal(again, spki) {
			// The one freedom: RSA parameters may be absent.
			if _, ok := pub.(*rsa.PublicKey); !ok || len(again) != len(spki)+2 {
				t.Fatalf("%x written back as %x", spki, again)
			}
		}
		if KeyType(pub) == "" {
			t.Fatal("a key without a type")
		}
	})
}
