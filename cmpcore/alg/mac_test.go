package alg

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// message is a PKIMessage as the standard library reads it.
type message struct {
	Header     asn1.RawValue
	Body       asn1.RawValue
	Protection asn1.BitString  `asn1:"explicit,tag:0"`
	Extra      []asn1.RawValue `asn1:"optional,explicit,tag:1"`
}

// protected gives what the protection of a message covers (RFC 9810 section
// 5.1.3), its algorithm, and its value.
func protected(t testing.TB, file string) (part []byte, a pkix.AlgorithmIdentifier, value []byte) {
	t.Helper()
	der, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if rest, err := asn1.Unmarshal(der, &m); err != nil || len(rest) > 0 {
		t.Fatalf("%s: %v", file, err)
	}
	part, err = asn1.Marshal(struct{ H, B asn1.RawValue }{m.Header, m.Body})
	if err != nil {
		t.Fatal(err)
	}
	for rest := m.Header.Bytes; len(rest) > 0; {
		var field asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &field); err != nil {
			t.Fatal(err)
		}
		if field.Class == asn1.ClassContextSpecific && field.Tag == 1 {
			s := cryptobyte.String(field.Bytes)
			var ok bool
			if a, ok = pkix.ReadAlgorithm(&s); !ok {
				t.Fatal("protectionAlg")
			}
		}
	}
	return part, a, m.Protection.Bytes
}

func TestPBMOfOpenSSL(t *testing.T) {
	names := map[string]string{
		"openssl-default":            "pbm-sha256-hmac-sha1",
		"openssl-sha1-sha1":          "pbm-sha1-hmac-sha1",
		"openssl-sha512-hmac-sha1":   "pbm-sha512-hmac-sha1",
		"openssl-sha1-hmac-sha512":   "pbm-sha1-hmac-sha512",
		"openssl-sha384-hmac-sha256": "pbm-sha384-hmac-sha256",
		"openssl-sha224-hmac-sha384": "pbm-sha224-hmac-sha384",
	}
	files, _ := filepath.Glob("testdata/openssl-*.pki")
	if len(files) != len(names) {
		t.Fatalf("%d messages, want %d", len(files), len(names))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".pki")
		t.Run(name, func(t *testing.T) {
			part, a, value := protected(t, file)
			_, err := ParseMAC(a, nil)
			if sha1 := strings.HasPrefix(name, "openssl-sha1-"); sha1 != errors.Is(err, ErrForbidden) || !sha1 && err != nil {
				t.Fatalf("by default: %v", err)
			}
			m, err := ParseMAC(a, &MACPolicy{AllowSHA1: true})
			if err != nil {
				t.Fatal(err)
			}
			if m.Name() != names[name] || m.Iterations() != 500 {
				t.Errorf("%s with %d iterations", m.Name(), m.Iterations())
			}
			secret := []byte("SiemensIT")
			if !m.Verify(secret, part, value) {
				t.Error("does not verify")
			}
			if m.Verify([]byte("SiemensIt"), part, value) || m.Verify(nil, part, value) {
				t.Error("verifies with another secret")
			}
			if m.Verify(secret, part[1:], value) || m.Verify(secret, part, value[1:]) || m.Verify(secret, part, nil) {
				t.Error("verifies when cut")
			}
			value[len(value)-1] ^= 1
			if m.Verify(secret, part, value) {
				t.Error("verifies when changed")
			}
			// In kind: all but the salt as the peer wrote it.
			f, err := m.WithFreshSalt(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			got := bytes.Replace(f.Algorithm().Bytes(), f.salt, m.salt, 1)
			if !bytes.Equal(got, a.Bytes()) || bytes.Equal(f.salt, m.salt) {
				t.Errorf("in kind: %x, request %x", f.Algorithm().Bytes(), a.Bytes())
			}
			mac, err := f.Sum(secret, part)
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseMAC(f.Algorithm(), &MACPolicy{AllowSHA1: true})
			if err != nil || !again.Verify(secret, part, mac) {
				t.Errorf("the answer does not verify: %v", err)
			}
			if _, err := ParseMAC(a, &MACPolicy{AllowSHA1: true, RefuseHMACSHA1: true}); errors.Is(err, ErrForbidden) != strings.HasSuffix(m.Name(), "hmac-sha1") {
				t.Errorf("without HMAC-SHA1: %v", err)
			}
		})
	}
}

func TestPBMAC1OfRFC9579(t *testing.T) {
	files, _ := filepath.Glob("testdata/rfc9579-a*.b64")
	if len(files) != 3 {
		t.Fatalf("%d files, want 3", len(files))
	}
	names := []string{"pbmac1-sha256-hmac-sha256", "pbmac1-sha512-hmac-sha256", "pbmac1-sha512-hmac-sha512"}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		der, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(string(text), "\n", ""))
		if err != nil {
			t.Fatal(err)
		}
		var pfx struct {
			Version  int
			AuthSafe struct {
				Type    asn1.ObjectIdentifier
				Content []byte `asn1:"explicit,tag:0"`
			}
			Mac struct {
				Info struct {
					Alg    asn1.RawValue
					Digest []byte
				}
				Salt       []byte
				Iterations int
			}
		}
		if _, err := asn1.Unmarshal(der, &pfx); err != nil {
			t.Fatal(err)
		}
		s := cryptobyte.String(pfx.Mac.Info.Alg.FullBytes)
		a, _ := pkix.ReadAlgorithm(&s)
		m, err := ParseMAC(a, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if m.Name() != names[i] || m.Iterations() != 2048 {
			t.Errorf("%s: %s with %d iterations", file, m.Name(), m.Iterations())
		}
		if !m.Verify([]byte("1234"), pfx.AuthSafe.Content, pfx.Mac.Info.Digest) {
			t.Errorf("%s: does not verify", file)
		}
		if m.Verify([]byte("12345"), pfx.AuthSafe.Content, pfx.Mac.Info.Digest) {
			t.Errorf("%s: verifies with another password", file)
		}
		f, err := m.WithFreshSalt(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		got := f.Algorithm()
		m.salt = f.salt
		if want := m.kind.write(m); !bytes.Equal(got.Parameters, want) {
			t.Errorf("%s: in kind: %x, want %x", file, got.Parameters, want)
		}
	}
}

// The default PRF and the vectors of RFC 6070 for PBKDF2 with HMAC-SHA1.
func TestPBMAC1DefaultPRF(t *testing.T) {
	var kdf, p cryptobyte.Builder
	kdf.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString([]byte("saltSALTsaltSALTsaltSALTsaltSALTsalt"))
		b.AddASN1Int64(4096)
		b.AddASN1Int64(25)
	})
	p.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: kdf.BytesOrPanic()}.Add(b)
		hmacAlgorithm(named("sha1")).Add(b)
	})
	m, err := ParseMAC(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113549.1.5.14"), Parameters: p.BytesOrPanic()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("\x3d\x2e\xec\x4f\xe4\x1c\x84\x9b\x80\xc8\xd8\x36\x62\xc0\xe4\x4a\x8b\x29\x1a\x96\x4c\xf2\xf0\x70\x38")
	h := hmac.New(sha1.New, key)
	h.Write([]byte("message"))
	if !m.Verify([]byte("passwordPASSWORDpassword"), []byte("message"), h.Sum(nil)) {
		t.Error("does not verify")
	}
	if !bytes.Equal(m.kind.write(m), m.alg.Parameters) {
		t.Error("written back differently")
	}
}

// pbm and pbmac1 build identifiers that no honest writer would.
func pbm(salt, iterations []byte, owf, mac pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		owf.Add(b)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(iterations) })
		mac.Add(b)
	})
	return pkix.AlgorithmIdentifier{OID: macKinds[0].oid, Parameters: b.BytesOrPanic()}
}

func pbmac1(salt, iterations, keyLen []byte, prf, mac pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
	var kdf, p cryptobyte.Builder
	kdf.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(iterations) })
		if keyLen != nil {
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(keyLen) })
		}
		prf.Add(b)
	})
	p.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: kdf.BytesOrPanic()}.Add(b)
		mac.Add(b)
	})
	return pkix.AlgorithmIdentifier{OID: macKinds[1].oid, Parameters: p.BytesOrPanic()}
}

func TestParseMACRefuses(t *testing.T) {
	var (
		salt   = []byte("0123456789abcdef")
		sha256 = HashAlgorithm(crypto.SHA256)
		hm     = HMACAlgorithm(crypto.SHA256)
		hmSHA1 = HMACAlgorithm(crypto.SHA1)
		ok     = []byte{0x01, 0xf4} // 500
		good   = pbm(salt, ok, sha256, hm)
		good1  = pbmac1(salt, ok, nil, hm, hm)
		null   = pkix.AlgorithmIdentifier{OID: sha256.OID, Parameters: pkix.Null}
		octets = []byte{4, 0}
	)
	cut := func(a pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
		a.Parameters = a.Parameters[:len(a.Parameters)-1]
		return a
	}
	more := func(a pkix.AlgorithmIdentifier) pkix.AlgorithmIdentifier {
		a.Parameters = append(bytes.Clone(a.Parameters), 5, 0)
		return a
	}
	with := func(a pkix.AlgorithmIdentifier, p []byte) pkix.AlgorithmIdentifier {
		a.Parameters = p
		return a
	}
	for name, c := range map[string]struct {
		a      pkix.AlgorithmIdentifier
		policy *MACPolicy
		want   error
	}{
		"pbm":                          {good, nil, nil},
		"pbm, hash with NULL":          {pbm(salt, ok, null, with(hm, nil)), nil, nil},
		"pbm, 100 iterations":          {pbm(salt, []byte{100}, sha256, hm), nil, nil},
		"pbm, 99 iterations":           {pbm(salt, []byte{99}, sha256, hm), nil, ErrForbidden},
		"pbm, 100000 iterations":       {pbm(salt, []byte{1, 0x86, 0xa0}, sha256, hm), nil, nil},
		"pbm, 100001 iterations":       {pbm(salt, []byte{1, 0x86, 0xa1}, sha256, hm), nil, ErrForbidden},
		"pbm, 2^31-1 iterations":       {pbm(salt, []byte{0x7f, 0xff, 0xff, 0xff}, sha256, hm), nil, ErrForbidden},
		"pbm, 2^64 iterations":         {pbm(salt, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, sha256, hm), nil, ErrParameters},
		"pbm, no iteration":            {pbm(salt, []byte{0}, sha256, hm), nil, ErrParameters},
		"pbm, negative iterations":     {pbm(salt, []byte{0x80, 0}, sha256, hm), nil, ErrParameters},
		"pbm, iterations not minimal":  {pbm(salt, []byte{0, 0x7f}, sha256, hm), nil, ErrParameters},
		"pbm, empty iterations":        {pbm(salt, nil, sha256, hm), nil, ErrParameters},
		"pbm, no salt":                 {pbm(nil, ok, sha256, hm), nil, ErrForbidden},
		"pbm, 7 octets of salt":        {pbm(salt[:7], ok, sha256, hm), nil, ErrForbidden},
		"pbm, 8 octets of salt":        {pbm(salt[:8], ok, sha256, hm), nil, nil},
		"pbm, 257 octets of salt":      {pbm(make([]byte, 257), ok, sha256, hm), nil, ErrForbidden},
		"pbm, a megabyte of salt":      {pbm(make([]byte, 1<<20), ok, sha256, hm), nil, ErrForbidden},
		"pbm, stricter policy":         {good, &MACPolicy{MinIterations: 1000}, ErrForbidden},
		"pbm, stricter maximum":        {good, &MACPolicy{MaxIterations: 499}, ErrForbidden},
		"pbm, not among the only":      {good, &MACPolicy{Only: []string{"pbmac1"}}, ErrForbidden},
		"pbm, parameters absent":       {with(good, nil), nil, ErrParameters},
		"pbm, parameters NULL":         {with(good, pkix.Null), nil, ErrParameters},
		"pbm, cut off":                 {cut(good), nil, ErrParameters},
		"pbm, data after it":           {more(good), nil, ErrParameters},
		"pbm, SHA-1":                   {pbm(salt, ok, HashAlgorithm(crypto.SHA1), hm), nil, ErrForbidden},
		"pbm, HMAC as hash":            {pbm(salt, ok, hm, hm), nil, ErrUnsupported},
		"pbm, hash as MAC":             {pbm(salt, ok, sha256, sha256), nil, ErrUnsupported},
		"pbm, hash with octets":        {pbm(salt, ok, with(sha256, octets), hm), nil, ErrParameters},
		"pbm, HMAC with octets":        {pbm(salt, ok, sha256, with(hm, octets)), nil, ErrParameters},
		"pbm, MAC is pbm":              {pbm(salt, ok, sha256, good), nil, ErrUnsupported},
		"pbmac1":                       {good1, nil, nil},
		"pbmac1, million iterations":   {pbmac1(salt, []byte{0x0f, 0x42, 0x40}, nil, hm, hm), nil, nil},
		"pbmac1, million and one":      {pbmac1(salt, []byte{0x0f, 0x42, 0x41}, nil, hm, hm), nil, ErrForbidden},
		"pbmac1, long key":             {pbmac1(salt, []byte{0x0f, 0x42, 0x40}, []byte{33}, hm, hm), nil, ErrForbidden},
		"pbmac1, long key, half":       {pbmac1(salt, []byte{0x07, 0xa1, 0x20}, []byte{33}, hm, hm), nil, nil},
		"pbmac1, giant key":            {pbmac1(salt, ok, []byte{0x7f, 0xff, 0xff, 0xff}, hm, hm), nil, ErrForbidden},
		"pbmac1, short key":            {pbmac1(salt, ok, []byte{15}, hm, hm), nil, ErrForbidden},
		"pbmac1, no key":               {pbmac1(salt, ok, []byte{0}, hm, hm), nil, ErrParameters},
		"pbmac1, negative key":         {pbmac1(salt, ok, []byte{0xff}, hm, hm), nil, ErrParameters},
		"pbmac1, negative iterations":  {pbmac1(salt, []byte{0xff}, nil, hm, hm), nil, ErrParameters},
		"pbmac1, few iterations":       {pbmac1(salt, []byte{1}, nil, hm, hm), nil, ErrForbidden},
		"pbmac1, short salt":           {pbmac1(salt[:7], ok, nil, hm, hm), nil, ErrForbidden},
		"pbmac1, hash as PRF":          {pbmac1(salt, ok, nil, sha256, hm), nil, ErrUnsupported},
		"pbmac1, PRF SHA-1 refused":    {pbmac1(salt, ok, nil, hmSHA1, hm), &MACPolicy{RefuseHMACSHA1: true}, ErrForbidden},
		"pbmac1, PRF SHA-1":            {pbmac1(salt, ok, nil, hmSHA1, hm), nil, nil},
		"pbmac1, not among the only":   {good1, &MACPolicy{Only: []string{"pbm"}}, ErrForbidden},
		"pbmac1, parameters absent":    {with(good1, nil), nil, ErrParameters},
		"pbmac1, cut off":              {cut(good1), nil, ErrParameters},
		"pbmac1, data after it":        {more(good1), nil, ErrParameters},
		"pbmac1, parameters of pbm":    {with(good1, good.Parameters), nil, ErrParameters},
		"pbm, parameters of pbmac1":    {with(good, good1.Parameters), nil, ErrParameters},
		"a signature":                  {pkix.AlgorithmIdentifier{OID: oidEd25519}, nil, ErrUnsupported},
		"nothing":                      {pkix.AlgorithmIdentifier{}, nil, ErrUnsupported},
		"a MAC with a key":             {hm, nil, ErrUnsupported},
		"pbmac1, salt from elsewhere":  {with(good1, elsewhere(hm)), nil, ErrUnsupported},
		"pbmac1, another derivation":   {with(good1, bytes.Replace(good1.Parameters, []byte(oidPBKDF2), []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d"), 1)), nil, ErrUnsupported},
		"pbmac1, derivation, no parts": {with(good1, []byte{0x30, 4, 0x30, 0, 0x30, 0}), nil, ErrParameters},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMAC(c.a, c.policy)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if (m == nil) != (err != nil) {
				t.Errorf("MAC %v with error %v", m, err)
			}
		})
	}
}

// elsewhere is PBMAC1 whose salt is an AlgorithmIdentifier.
func elsewhere(hm pkix.AlgorithmIdentifier) []byte {
	var kdf, p cryptobyte.Builder
	kdf.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		hm.Add(b)
		b.AddASN1Int64(500)
	})
	p.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: kdf.BytesOrPanic()}.Add(b)
		hm.Add(b)
	})
	return p.BytesOrPanic()
}

func TestNewMAC(t *testing.T) {
	makers := map[string]func(crypto.Hash, int, int) (*MAC, error){
		"pbm": func(h crypto.Hash, n, salt int) (*MAC, error) {
			return NewPBM(rand.Reader, PBMOptions{OWF: h, HMAC: h, Iterations: n, SaltSize: salt})
		},
		"pbmac1": func(h crypto.Hash, n, salt int) (*MAC, error) {
			return NewPBMAC1(rand.Reader, PBMAC1Options{PRF: h, HMAC: h, Iterations: n, SaltSize: salt})
		},
	}
	for kind, make := range makers {
		for _, h := range []crypto.Hash{0, crypto.SHA224, crypto.SHA512, crypto.SHA512_256, crypto.SHA3_512} {
			m, err := make(h, 1000, 0)
			if err != nil {
				t.Fatalf("%s %v: %v", kind, h, err)
			}
			mac, err := m.Sum([]byte("secret"), []byte("message"))
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseMAC(m.Algorithm(), nil)
			if err != nil || !again.Verify([]byte("secret"), []byte("message"), mac) {
				t.Errorf("%s %v: %v", kind, h, err)
			}
			if _, err := m.Sum(nil, nil); !errors.Is(err, ErrSecret) {
				t.Errorf("%s: empty secret: %v", kind, err)
			}
		}
		if _, err := make(0, 99, 0); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s with 99 iterations: %v", kind, err)
		}
		if _, err := make(0, 0, 4); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s with 4 octets of salt: %v", kind, err)
		}
		if _, err := make(crypto.MD5, 0, 0); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s with MD5: %v", kind, err)
		}
	}
	if _, err := NewPBM(strings.NewReader("short"), PBMOptions{}); err == nil {
		t.Error("made without randomness")
	}
	if _, err := NewPBM(rand.Reader, PBMOptions{OWF: crypto.SHA1}); !errors.Is(err, ErrForbidden) {
		t.Errorf("SHA-1: %v", err)
	}
	for _, p := range []*MACPolicy{{MinIterations: -1}, {MinSalt: 300}, {MinIterations: 200, MaxIterations: 100}, {Only: []string{"pbmac"}}} {
		if p.Check() == nil {
			t.Errorf("%+v accepted", p)
		}
	}
	if err := (*MACPolicy)(nil).Check(); err != nil {
		t.Error(err)
	}
}

// The derivation must not allocate in its loop.
func TestDerivationAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("allocations are counted without the race detector")
	}
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA512, crypto.SHA3_256} {
		var n [2]float64
		for i, iterations := range []int{100, 1000} {
			m, err := NewPBM(rand.Reader, PBMOptions{OWF: h, Iterations: iterations})
			if err != nil {
				t.Fatal(err)
			}
			n[i] = testing.AllocsPerRun(10, func() { derivePBM(m, []byte("secret")) })
		}
		if n[1] > n[0] {
			t.Errorf("%v: %v allocations for 100 iterations, %v for 1000", h, n[0], n[1])
		}
	}
}

func FuzzParseMAC(f *testing.F) {
	files, _ := filepath.Glob("testdata/openssl-*.pki")
	if len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, file := range files {
		_, a, _ := protected(f, file)
		f.Add(a.Bytes())
	}
	for _, keyLen := range [][]byte{nil, {20}} {
		f.Add(pbmac1([]byte("0123456789abcdef"), []byte{1, 0xf4}, keyLen, HMACAlgorithm(crypto.SHA512), HMACAlgorithm(crypto.SHA256)).Bytes())
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		s := cryptobyte.String(der)
		a, ok := pkix.ReadAlgorithm(&s)
		if !ok || !s.Empty() {
			return
		}
		m, err := ParseMAC(a, &MACPolicy{AllowSHA1: true, MaxIterations: 2000, MaxPBMAC1Iterations: 2000})
		if err != nil {
			if m != nil {
				t.Fatal("a MAC beside the error")
			}
			return
		}
		if got := m.kind.write(m); !bytes.Equal(got, a.Parameters) {
			t.Fatalf("%x written back as %x", a.Parameters, got)
		}
		mac, err := m.Sum([]byte("secret"), der)
		if err != nil || !m.Verify([]byte("secret"), der, mac) {
			t.Fatalf("own MAC does not verify: %v", err)
		}
	})
}
