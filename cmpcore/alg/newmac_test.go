package alg

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

// NIST's samples of KMAC to SP 800-185.
func TestKMACSamples(t *testing.T) {
	count := func(from, n int) (b []byte) {
		for i := range n {
			b = append(b, byte(from+i))
		}
		return b
	}
	for i, v := range []struct {
		bits          int
		data          []byte
		customization string
		want          string
	}{
		{128, count(0, 4), "", "e5780b0d3ea6f7d3a429c5706aa43a00fadbd7d49628839e3187243f456ee14e"},
		{128, count(0, 4), "My Tagged Application", "3b1fba963cd8b0b59e8c1a6d71888b7143651af8ba0a7070c0979e2811324aa5"},
		{128, count(0, 200), "My Tagged Application", "1f5b4e6cca02209e0dcb5ca635b89a15e271ecc760071dfd805faa38f9729230"},
		{256, count(0, 4), "My Tagged Application", "20c570c31346f703c9ac36c61c03cb64c3970d0cfc787e9b79599d273a68d2f7f69d4cc3de9d104a351689f27cf6f5951f0103f33f4f24871024d9c27773a8dd"},
		{256, count(0, 200), "", "75358cf39e41494e949707927cee0af20a3ff553904c86b08f21cc414bcfd691589d27cf5e15369cbbff8b9a4c2eb17800855d0235ff635da82533ec6b759b69"},
		{256, count(0, 200), "My Tagged Application", "b58618f71f92e1d56c1b8c55ddd7cd188b97b4ca4d99831eb2699a837da2e4d970fbacfde50033aea585f1a2708510c32d07880801bd182898fe476876fc8965"},
	} {
		h := newKMAC(v.bits, count(0x40, 32), []byte(v.customization), v.bits/4)
		h.Write([]byte("thrown away"))
		h.Reset()
		h.Write(v.data)
		if got := hex.EncodeToString(h.Sum(nil)); got != v.want {
			t.Errorf("sample %d: %s", i+1, got)
		}
	}
}

func TestPBMAC1WithKMACOfOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	for _, bits := range []int{128, 256} {
		m, err := NewPBMAC1(rand.Reader, PBMAC1Options{KMAC: bits, Iterations: 1234})
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("pbmac1-sha256-kmac%d", bits); m.Name() != want {
			t.Errorf("name %s, want %s", m.Name(), want)
		}
		size := fmt.Sprint(bits / 4)
		o.run("kdf", "-keylen", size, "-kdfopt", "digest:SHA256", "-kdfopt", "pass:secret", "-kdfopt", "hexsalt:"+hex.EncodeToString(m.salt),
			"-kdfopt", "iter:1234", "-binary", "-out", "key", "PBKDF2")
		o.write("message", []byte("message"))
		o.run("mac", "-macopt", "hexkey:"+hex.EncodeToString(o.read("key")), "-macopt", "size:"+size, "-in", "message", "-binary", "-out", "mac", fmt.Sprintf("KMAC%d", bits))
		// As a peer reads it.
		read, err := ParseMAC(m.Algorithm(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !read.Verify([]byte("secret"), []byte("message"), o.read("mac")) {
			sum, err := m.Sum([]byte("secret"), []byte("message"))
			t.Errorf("KMAC%d %x, OpenSSL %x, %v", bits, sum, o.read("mac"), err)
		}
	}
}

func TestKMACParameters(t *testing.T) {
	id := func(oid string, params string) pkix.AlgorithmIdentifier {
		a := pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid)}
		if params != "absent" {
			a.Parameters = unhex(t, params)
		}
		return a
	}
	const k128, k256 = "2.16.840.1.101.3.4.2.19", "2.16.840.1.101.3.4.2.20"
	for name, c := range map[string]struct {
		a    pkix.AlgorithmIdentifier
		size int // 0: refused
	}{
		"absent":               {id(k128, "absent"), 32},
		"absent, 256":          {id(k256, "absent"), 64},
		"defaults":             {id(k256, "3000"), 64},
		"160 bits":             {id(k128, "3004020200a0"), 20},
		"customization":        {id(k128, "30040402434d"), 32},
		"both":                 {id(k128, "3008020201000402434d"), 32},
		"NULL":                 {id(k128, "0500"), 0},
		"64 bits":              {id(k128, "3003020140"), 0},
		"255 bits":             {id(k128, "3004020200ff"), 0},
		"negative":             {id(k128, "30030201ff"), 0},
		"a million bits":       {id(k128, "30050203100000"), 0},
		"wrong order":          {id(k128, "30080402434d02020100"), 0},
		"more":                 {id(k128, "3008020201000400"+"0500"), 0},
		"enormous integer":     {id(k128, "300b0209010000000000000000"), 0},
		"text after it":        {id(k128, "30000500"), 0},
		"customization, large": {id(k128, "30820105"+"04820101"+strings.Repeat("00", 257)), 0},
	} {
		m, err := readKeyedMAC(c.a)
		if c.size == 0 {
			if !errors.Is(err, ErrParameters) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || m.size != c.size || len(m.sum(make([]byte, 32), nil)) != c.size {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	a, err := readKeyedMAC(id(k128, "30040402434d"))
	if err != nil {
		t.Fatal(err)
	}
	h := newKMAC(128, make([]byte, 32), []byte("CM"), 32)
	h.Write([]byte("m"))
	if got := a.sum(make([]byte, 32), []byte("m")); !bytes.Equal(got, h.Sum(nil)) {
		t.Error("customization is not used")
	}

	for _, bits := range []int{128, 256} {
		m, err := NewPBM(rand.Reader, PBMOptions{KMAC: bits})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := m.Sum([]byte("s"), []byte("m"))
		if err != nil || len(sum) != bits/4 || !m.Verify([]byte("s"), []byte("m"), sum) {
			t.Errorf("PBM with KMAC%d: %x, %v", bits, sum, err)
		}
	}
	if _, err := NewPBM(rand.Reader, PBMOptions{KMAC: 512}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("KMAC512: %v", err)
	}
	if _, err := NewPBM(rand.Reader, PBMOptions{OWF: crypto.SHA224, KMAC: 256}); !errors.Is(err, ErrForbidden) {
		t.Errorf("KMAC256 with a key of 224 bits: %v", err)
	}
	if _, err := HMACByAlgorithm(id(k128, "absent")); !errors.Is(err, ErrUnsupported) {
		t.Errorf("KMAC as an HMAC: %v", err)
	}
}

func TestDHBM(t *testing.T) {
	z := []byte("shared secret")
	base := sha256.Sum256(z)
	one := sha256.Sum256(append([]byte("1"), base[:]...))
	for _, c := range []struct {
		owf, mac crypto.Hash
		key      []byte
	}{
		{0, 0, base[:]},
		{crypto.SHA256, crypto.SHA512, append(slices.Clone(base[:]), one[:]...)},
		{crypto.SHA256, crypto.SHA384, append(slices.Clone(base[:]), one[:16]...)},
		{crypto.SHA256, crypto.SHA224, base[:28]},
	} {
		d, err := NewDHBM(DHBMOptions{OWF: c.owf, HMAC: c.mac})
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Key(z); !bytes.Equal(got, c.key) {
			t.Errorf("%s: key %x, want %x", d.Name(), got, c.key)
		}
		if c.mac == 0 {
			c.mac = crypto.SHA256
		}
		h := hmac.New(c.mac.New, c.key)
		h.Write([]byte("m"))
		if !d.Verify(z, []byte("m"), h.Sum(nil)) || d.Verify(z, []byte("n"), h.Sum(nil)) || d.Verify(nil, []byte("m"), h.Sum(nil)) {
			t.Errorf("%s: wrong MAC", d.Name())
		}
	}
	d, _ := NewDHBM(DHBMOptions{})
	// SEQUENCE { SEQUENCE { sha256 }, SEQUENCE { hmacWithSHA256, NULL } }
	if got := hex.EncodeToString(d.Algorithm().Parameters); got != "301b300b0609608648016503040201300c06082a864886f70d02090500" {
		t.Errorf("parameters %s", got)
	}
	for name, params := range map[string]string{
		"absent": "", "NULL": "0500", "no MAC": "300d300b0609608648016503040201",
		"more": "301d300b0609608648016503040201300c06082a864886f70d020905000500",
	} {
		if _, err := ParseDHBM(pkix.AlgorithmIdentifier{OID: oidDHBM, Parameters: unhex(t, params)}); !errors.Is(err, ErrParameters) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewDHBM(DHBMOptions{OWF: crypto.SHA1}); !errors.Is(err, ErrForbidden) {
		t.Errorf("SHA-1: %v", err)
	}
	if _, err := ParseDHBM(pkix.AlgorithmIdentifier{OID: oidKEMBM}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("another: %v", err)
	}
	if !IsDHBM(d.Algorithm()) || IsMAC(d.Algorithm()) {
		t.Error("what it is")
	}
}

func TestSharedSecretOfOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+name, "-out", "peer.pem")
		o.run("pkcs8", "-topk8", "-nocrypt", "-in", "peer.pem", "-outform", "DER", "-out", "peer.der")
		peer, err := ParsePrivateKey(o.read("peer.der"))
		if err != nil {
			t.Fatal(err)
		}
		own, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		spki, _ := MarshalPublicKey(own.Public())
		o.write("own.pub", spki)
		o.run("pkeyutl", "-derive", "-keyform", "DER", "-inkey", "peer.der", "-peerform", "DER", "-peerkey", "own.pub", "-out", "shared")
		if s, err := SharedSecret(own, publicOf(peer)); err != nil || !bytes.Equal(s, o.read("shared")) {
			t.Errorf("%s: %x, %v", name, s, err)
		}
		e, err := own.ECDH()
		if err != nil {
			t.Fatal(err)
		}
		if s, err := SharedSecret(e, publicOf(peer)); err != nil || !bytes.Equal(s, o.read("shared")) {
			t.Errorf("%s as ecdh: %x, %v", name, s, err)
		}
	}
	a, _ := ecdh.X25519().GenerateKey(rand.Reader)
	b, _ := ecdh.X25519().GenerateKey(rand.Reader)
	x, err := SharedSecret(a, b.PublicKey())
	y, err2 := SharedSecret(b, a.PublicKey())
	if err != nil || err2 != nil || !bytes.Equal(x, y) {
		t.Errorf("X25519: %x, %x, %v, %v", x, y, err, err2)
	}
	low, _ := ecdh.X25519().NewPublicKey(make([]byte, 32))
	if _, err := SharedSecret(a, low); !errors.Is(err, ErrKey) {
		t.Errorf("point of low order: %v", err)
	}
	p256, p384 := testKey(t, "ecdsa-p256"), testKey(t, "ecdsa-p384")
	if _, err := SharedSecret(p256, p384.Public()); !errors.Is(err, ErrMismatch) {
		t.Errorf("two curves: %v", err)
	}
	if _, err := SharedSecret(testKey(t, "rsa-2048"), p256.Public()); !errors.Is(err, ErrMismatch) {
		t.Errorf("RSA: %v", err)
	}
}

func TestDeriveKey(t *testing.T) {
	// RFC 5869 appendix A.3: no salt, no info.
	got, err := DeriveKey(HKDFAlgorithm(), bytes.Repeat([]byte{0x0b}, 22), 42, nil)
	if hex.EncodeToString(got) != "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" || err != nil {
		t.Errorf("HKDF %x, %v", got, err)
	}
	sha := pkix.AlgorithmIdentifier{OID: named("sha256").oid}
	kdf := func(n int) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{OID: pkix.MustOID(fmt.Sprintf("1.3.133.16.840.9.44.1.%d", n)), Parameters: sha.Bytes()}
	}
	o := newOpenSSL(t)
	for n, name := range map[int]string{1: "X963KDF", 2: "SSKDF"} { // hash(Z || counter || info), hash(counter || Z || info)
		o.run("kdf", "-keylen", "77", "-kdfopt", "digest:SHA256", "-kdfopt", "hexsecret:0102030405", "-kdfopt", "hexinfo:a1a2", "-binary", "-out", "key", name)
		if got, err := DeriveKey(kdf(n), []byte{1, 2, 3, 4, 5}, 77, []byte{0xa1, 0xa2}); err != nil || !bytes.Equal(got, o.read("key")) {
			t.Errorf("KDF%d %x, OpenSSL %x, %v", n+1, got, o.read("key"), err)
		}
	}
	for name, c := range map[string]struct {
		a      pkix.AlgorithmIdentifier
		secret []byte
		n      int
		want   error
	}{
		"unknown":         {pkix.AlgorithmIdentifier{OID: oidPBKDF2}, []byte{1}, 32, ErrUnsupported},
		"HKDF with NULL":  {pkix.AlgorithmIdentifier{OID: kdfs[0].oid, Parameters: pkix.Null}, []byte{1}, 32, ErrParameters},
		"KDF3 of nothing": {pkix.AlgorithmIdentifier{OID: kdf(2).OID}, []byte{1}, 32, ErrParameters},
		"KDF3 of SHA-1":   {pkix.AlgorithmIdentifier{OID: kdf(2).OID, Parameters: pkix.AlgorithmIdentifier{OID: named("sha1").oid}.Bytes()}, []byte{1}, 32, ErrForbidden},
		"no secret":       {kdf(2), nil, 32, ErrSecret},
		"no octet":        {kdf(2), []byte{1}, 0, ErrForbidden},
		"a million":       {kdf(2), []byte{1}, 1e6, ErrForbidden},
	} {
		if _, err := DeriveKey(c.a, c.secret, c.n, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKEMBM(t *testing.T) {
	k, err := NewKEMBM(KEMBMOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// SEQUENCE { SEQUENCE { hkdf-with-sha256 }, 32, SEQUENCE { hmacWithSHA256, NULL } }
	if got := hex.EncodeToString(k.Algorithm().Parameters); got != "3020300d060b2a864886f70d010910031c020120300c06082a864886f70d02090500" || k.Name() != "kembm-hkdf-sha256-hmac-sha256" {
		t.Errorf("parameters %s of %s", got, k.Name())
	}
	// SEQUENCE { SEQUENCE { UTF8String "CMP-KEM" }, OCTET STRING 0102, [0] 03 }
	if got := hex.EncodeToString(KEMOtherInfo([]byte{1, 2}, []byte{3})); got != "3012"+"30090c07434d502d4b454d"+"04020102"+"800103" {
		t.Errorf("KemOtherInfo %s", got)
	}
	if got := hex.EncodeToString(KEMOtherInfo([]byte{1, 2}, nil)); got != "300f30090c07434d502d4b454d04020102" {
		t.Errorf("KemOtherInfo without context %s", got)
	}
	// HKDF by hand: extract with no salt, expand once.
	ss, id := []byte("shared secret"), []byte{1, 2}
	extract := hmac.New(sha256.New, make([]byte, 32))
	extract.Write(ss)
	expand := hmac.New(sha256.New, extract.Sum(nil))
	expand.Write(append(KEMOtherInfo(id, nil), 1))
	mac := hmac.New(sha256.New, expand.Sum(nil))
	mac.Write([]byte("m"))
	if !k.Verify(ss, id, []byte("m"), mac.Sum(nil)) {
		t.Error("another MAC")
	}
	if k.Verify(ss, []byte{1}, []byte("m"), mac.Sum(nil)) || k.Verify(nil, id, []byte("m"), mac.Sum(nil)) || k.Verify(ss, id, []byte("n"), mac.Sum(nil)) {
		t.Error("verified by other data")
	}

	for name, opt := range map[string]KEMBMOptions{
		"kembm-hkdf-sha512-hmac-sha512": {KDF: pkix.AlgorithmIdentifier{OID: kdfs[2].oid}, HMAC: crypto.SHA512, Context: []byte("context")},
		"kembm-hkdf-sha256-kmac256":     {KMAC: 256, Context: []byte{}},
		"kembm-kdf3-sha256-hmac-sha256": {KDF: pkix.AlgorithmIdentifier{OID: kdfs[4].oid, Parameters: pkix.AlgorithmIdentifier{OID: named("sha256").oid}.Bytes()}},
	} {
		k, err := NewKEMBM(opt)
		if err != nil || k.Name() != name || (k.context == nil) != (opt.Context == nil) || !bytes.Equal(k.context, opt.Context) {
			t.Errorf("%s: %v, %v", name, k, err)
			continue
		}
		sum, err := k.Sum(ss, id, []byte("m"))
		again, err2 := ParseKEMBM(k.Algorithm())
		if err != nil || err2 != nil || !again.Verify(ss, id, []byte("m"), sum) {
			t.Errorf("%s: %v, %v", name, err, err2)
		}
	}

	good := hex.EncodeToString(k.Algorithm().Parameters)
	for name, c := range map[string]struct {
		params string
		want   error
	}{
		"absent":        {"", ErrParameters},
		"cut off":       {good[:len(good)-2], ErrParameters},
		"key too short": {strings.Replace(good, "020120", "020108", 1), ErrForbidden},
		"no key":        {strings.Replace(good, "020120", "020100", 1), ErrParameters},
		"unknown KDF":   {strings.Replace(good, "10031c", "10037c", 1), ErrUnsupported},
		"unknown MAC":   {strings.Replace(good, "0d0209", "0d0279", 1), ErrUnsupported},
	} {
		if _, err := ParseKEMBM(pkix.AlgorithmIdentifier{OID: oidKEMBM, Parameters: unhex(t, c.params)}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewKEMBM(KEMBMOptions{Context: make([]byte, maxKEMContext+1)}); !errors.Is(err, ErrForbidden) {
		t.Errorf("large context: %v", err)
	}
}

func TestEncapsulate(t *testing.T) {
	keys := map[string]crypto.PrivateKey{"rsa-2048": testKey(t, "rsa-2048")}
	for _, kt := range []string{"ml-kem-512", "ml-kem-768", "ml-kem-1024"} {
		k, err := GenerateEncryptionKey(rand.Reader, kt)
		if err != nil {
			t.Fatal(err)
		}
		keys[kt] = k
	}
	for name, k := range keys {
		kem, ct, ss, err := Encapsulate(rand.Reader, publicOf(k))
		if err != nil || len(ss) != 32 || !IsKEM(kem) {
			t.Fatalf("%s: %x, %v", name, ss, err)
		}
		got, err := Decapsulate(rand.Reader, k, kem, ct)
		if err != nil || !bytes.Equal(got, ss) {
			t.Errorf("%s: %x, want %x, %v", name, got, ss, err)
		}
		bad := slices.Clone(ct)
		bad[len(bad)-1] ^= 1
		if got, err := Decapsulate(rand.Reader, k, kem, bad); err != nil || bytes.Equal(got, ss) {
			t.Errorf("%s, another ciphertext: %x, %v", name, got, err)
		}
		if _, err := Decapsulate(rand.Reader, k, kem, ct[1:]); !errors.Is(err, ErrParameters) {
			t.Errorf("%s, ciphertext cut off: %v", name, err)
		}
		if _, err := Decapsulate(rand.Reader, k, pkix.AlgorithmIdentifier{OID: oidRSA}, ct); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s, another KEM: %v", name, err)
		}
		kem.Parameters = pkix.Null
		if _, err := Decapsulate(rand.Reader, k, kem, ct); !errors.Is(err, ErrParameters) {
			t.Errorf("%s with NULL: %v", name, err)
		}
	}
	if _, _, _, err := Encapsulate(rand.Reader, testKey(t, "ecdsa-p256").Public()); !errors.Is(err, ErrMismatch) {
		t.Errorf("EC: %v", err)
	}
	if _, err := Decapsulate(rand.Reader, testKey(t, "ecdsa-p256"), rsaKEMAlgorithm(KDF3Algorithm(), 32), nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("EC: %v", err)
	}
	// The number under the ciphertext, taken by the standard library's own way
	// of raw RSA: a verification that tells what it finds.
	k := testKey(t, "rsa-2048").(*rsa.PrivateKey)
	digest := sha512.Sum512([]byte("m"))
	sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	em, ok := rsaPublic(&k.PublicKey, sig)
	if !ok || !bytes.HasPrefix(em, []byte{0, 1, 0xff}) || !bytes.HasSuffix(em, digest[:]) {
		t.Fatalf("%x", em)
	}
	if back, err := rsaPrivate(rand.Reader, k, em); err != nil || !bytes.Equal(back, sig) {
		t.Errorf("PKCS #1 signature is deterministic, but is %x, %v", back, err)
	}
	if _, err := rsaPrivate(zeros{}, k, em); !errors.Is(err, ErrPrivateKey) {
		t.Errorf("no randomness: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func FuzzParseKEMBM(f *testing.F) {
	seeds := []KEMBMOptions{{}, {KMAC: 128}, {Context: []byte("c")}}
	for _, o := range seeds {
		k, err := NewKEMBM(o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(k.Algorithm().Parameters)
	}
	d, err := NewDHBM(DHBMOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.Algorithm().Parameters)
	f.Fuzz(func(t *testing.T, params []byte) {
		if k, err := ParseKEMBM(pkix.AlgorithmIdentifier{OID: oidKEMBM, Parameters: params}); err == nil {
			if _, err := k.Sum([]byte("s"), []byte("t"), []byte("m")); err != nil {
				t.Fatal(err)
			}
		}
		if d, err := ParseDHBM(pkix.AlgorithmIdentifier{OID: oidDHBM, Parameters: params}); err == nil {
			if _, err := d.Sum([]byte("s"), []byte("m")); err != nil {
				t.Fatal(err)
			}
		}
		kem := pkix.AlgorithmIdentifier{OID: oidRSAKEM, Parameters: params}
		rsaKEMDerive(kem, []byte("z"))
	})
}
