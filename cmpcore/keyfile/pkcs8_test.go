package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"
)

type openssl struct {
	t   *testing.T
	dir string
}

func newOpenSSL(t *testing.T) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	return openssl{t, t.TempDir()}
}

func (o openssl) run(args ...string) []byte {
	o.t.Helper()
	c := exec.Command("openssl", args...)
	c.Dir = o.dir
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		o.t.Fatalf("openssl %v: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

func (o openssl) write(name string, data []byte) {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func keys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"rsa": r, "ec": e, "ed25519": d}
}

func samePublic(t *testing.T, a crypto.Signer, spkiPEM []byte) {
	t.Helper()
	b, _ := pem.Decode(spkiPEM)
	if b == nil {
		t.Fatal("no public key in PEM")
	}
	want, err := x509.ParsePKIXPublicKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !a.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(want) {
		t.Error("another key")
	}
}

func TestEncryptedKeysAreReadByOthers(t *testing.T) {
	o := newOpenSSL(t)
	for name, k := range keys(t) {
		out, err := EncryptPKCS8(rand.Reader, k, []byte("correct horse"))
		if err != nil {
			t.Fatal(err)
		}
		o.write(name, out)
		samePublic(t, k, o.run("pkey", "-in", name, "-passin", "pass:correct horse", "-pubout"))
		b, _ := pem.Decode(out)
		if b.Type != "ENCRYPTED PRIVATE KEY" {
			t.Errorf("PEM type %q", b.Type)
		}
		if _, _, err := pkcs8.ParsePrivateKey(b.Bytes, []byte("correct horse")); err != nil {
			t.Errorf("%s, youmark/pkcs8: %v", name, err)
		}
		again, err := ParsePKCS8(out, []byte("correct horse"))
		if err != nil || !again.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(k.Public()) {
			t.Errorf("%s read back: %v", name, err)
		}
		if _, err := ParsePKCS8(out, nil); !errors.Is(err, ErrPassphraseNeeded) {
			t.Errorf("%s without passphrase: %v", name, err)
		}
		if _, err := ParsePKCS8(b.Bytes, []byte("correct horse")); err != nil {
			t.Errorf("%s in DER: %v", name, err)
		}
	}
	if _, err := EncryptPKCS8(rand.Reader, keys(t)["ec"], nil); err == nil {
		t.Error("encrypted under an empty passphrase")
	}
	if _, err := EncryptPKCS8(strings.NewReader("x"), keys(t)["ec"], []byte("p")); err == nil {
		t.Error("encrypted without randomness")
	}
}

func TestKeysOfOpenSSL(t *testing.T) {
	o := newOpenSSL(t)
	o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "plain")
	o.run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa")
	o.run("genpkey", "-algorithm", "ED25519", "-out", "ed")
	const pass = "pass:s3cret"
	o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", pass, "-out", "genpkey-aes256")
	o.run("genpkey", "-algorithm", "ED25519", "-aes128", "-pass", pass, "-out", "genpkey-aes128")
	for name, args := range map[string][]string{
		"topk8":         nil,
		"topk8-aes192":  {"-v2", "aes-192-cbc"},
		"topk8-des3":    {"-v2", "des3"},
		"topk8-sha1":    {"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA1"},
		"topk8-sha512":  {"-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"},
		"topk8-iter":    {"-iter", "100000"},
		"topk8-scrypt":  {"-scrypt"},
		"topk8-scrypt2": {"-scrypt_N", "8192", "-scrypt_r", "8", "-scrypt_p", "2"},
	} {
		o.run(append([]string{"pkcs8", "-topk8", "-in", "rsa", "-passout", pass, "-out", name}, args...)...)
	}
	o.run("ecparam", "-name", "prime256v1", "-genkey", "-out", "ecparam") // with a block of parameters before
	o.run("rsa", "-in", "rsa", "-traditional", "-out", "traditional")
	files, _ := os.ReadDir(o.dir)
	if len(files) != 15 {
		t.Fatalf("%d files", len(files))
	}
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			o.t = t
			data, err := os.ReadFile(filepath.Join(o.dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			k, err := ParsePKCS8(data, []byte("s3cret"))
			if err != nil {
				t.Fatal(err)
			}
			samePublic(t, k, o.run("pkey", "-in", f.Name(), "-passin", pass, "-pubout"))
			encrypted := bytes.Contains(data, []byte("ENCRYPTED"))
			for range 3 { // one in 256 wrong passphrases leaves good padding
				_, err = ParsePKCS8(data, []byte("wrong"))
				if encrypted != errors.Is(err, ErrPassphrase) {
					t.Errorf("with a wrong passphrase: %v", err)
				}
			}
		})
	}
}

func TestX25519KeyIsNoSigner(t *testing.T) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	out, err := EncryptDER(rand.Reader, der, []byte("p"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePrivateKey(out, []byte("p"))
	if err != nil || !k.Equal(got.(*ecdh.PrivateKey)) {
		t.Errorf("read back: %v", err)
	}
	if _, err := ParsePKCS8(out, []byte("p")); err == nil || !strings.Contains(err.Error(), "cannot sign") {
		t.Errorf("as a signer: %v", err)
	}
	kind, again, err := DecryptDER(out, []byte("p"))
	if err != nil || kind != "PRIVATE KEY" || !bytes.Equal(again, der) {
		t.Errorf("decrypted: %q, %v", kind, err)
	}
}

func TestParsePKCS8Refuses(t *testing.T) {
	o := newOpenSSL(t)
	o.run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa")
	old := o.run("rsa", "-in", "rsa", "-traditional", "-aes128", "-passout", "pass:x")
	weak := o.run("pkcs8", "-topk8", "-in", "rsa", "-v1", "PBE-SHA1-3DES", "-passout", "pass:x")
	plain, _ := os.ReadFile(filepath.Join(o.dir, "rsa"))
	good := o.run("pkcs8", "-topk8", "-in", "rsa", "-passout", "pass:x", "-iter", "2048", "-outform", "DER")
	scrypt := o.run("pkcs8", "-topk8", "-in", "rsa", "-passout", "pass:x", "-scrypt", "-outform", "DER")
	swap := func(der []byte, old, new string) []byte {
		if bytes.Count(der, []byte(old)) != 1 {
			t.Fatalf("%x is not once in it", old)
		}
		return bytes.Replace(der, []byte(old), []byte(new), 1)
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":              {nil, "no private key found"},
		"text":                 {[]byte("hello"), "no private key found"},
		"a certificate":        {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "no private key found"},
		"damaged PEM":          {plain[:len(plain)-20], "damaged PEM"},
		"two keys":             {append(bytes.Clone(plain), plain...), "more than one"},
		"too large":            {make([]byte, MaxKeySize+1), "more than 65536"},
		"old encryption":       {old, "openssl pkcs8 -topk8"},
		"PBES1":                {weak, "is not PBES2"},
		"cut off":              {good[:len(good)-1], "read private key"},
		"2^31-1 iterations":    {swap(good, "\x02\x02\x08\x00", "\x02\x02\x7f\xff"), ErrPassphrase.Error()}, // still within the limit
		"negative iterations":  {swap(good, "\x02\x02\x08\x00", "\x02\x02\x80\x00"), "malformed"},
		"unknown cipher":       {swap(good, "\x60\x86\x48\x01\x65\x03\x04\x01\x2a", "\x60\x86\x48\x01\x65\x03\x04\x01\x2e"), "is not supported"},
		"unknown PRF":          {swap(good, "\x2a\x86\x48\x86\xf7\x0d\x02\x09", "\x2a\x86\x48\x86\xf7\x0d\x02\x7f"), "not supported"},
		"scrypt, N no power":   {swap(scrypt, "\x02\x02\x40\x00", "\x02\x02\x40\x01"), "malformed"},
		"scrypt, no memory":    {swap(scrypt, "\x02\x02\x40\x00\x02\x01\x08\x02\x01\x01", "\x02\x02\x40\x00\x02\x01\x08\x02\x01\xff"), "malformed"},
		"scrypt, much work":    {swap(scrypt, "\x02\x02\x40\x00\x02\x01\x08\x02\x01\x01", "\x02\x02\x40\x00\x02\x01\x7f\x02\x01\x7f"), "costs more"},
		"PEM that is no PKCS8": {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "read private key"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := ParsePKCS8(c.data, []byte("x"))
			switch {
			case name == "2^31-1 iterations":
				if !errors.Is(err, ErrPassphrase) {
					t.Errorf("got %v", err)
				}
			case err == nil || !strings.Contains(err.Error(), c.want) || k != nil:
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	// Ten million iterations and one.
	longer := bytes.Replace(good, []byte("\x02\x02\x08\x00\x30"), []byte("\x02\x04\x7f\xff\xff\xff\x30"), 1)
	if _, err := decryptPBES2(fixLengths(t, longer), []byte("x")); err == nil || !strings.Contains(err.Error(), "at most 10000000") {
		t.Errorf("2^31-1 iterations: %v", err)
	}
}

// fixLengths adds two octets to the five SEQUENCEs around an INTEGER that grew.
func fixLengths(t *testing.T, der []byte) []byte {
	t.Helper()
	out := bytes.Clone(der)
	at := 0
	for range 5 {
		if out[at] != 0x30 {
			t.Fatalf("no SEQUENCE at %d", at)
		}
		switch out[at+1] {
		case 0x82:
			out[at+3] += 2
			at += 4
		default:
			out[at+1] += 2
			at += 2
		}
		if out[at] == 6 { // over the identifier, to its parameters
			at += 2 + int(out[at+1])
		}
	}
	return out
}

func FuzzDecryptDER(f *testing.F) {
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(d)
	if err != nil {
		f.Fatal(err)
	}
	out, err := pkcs8.MarshalPrivateKey(d, []byte("p"), &pkcs8.Opts{Cipher: pkcs8.AES256CBC,
		KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 8, IterationCount: 10, HMACHash: crypto.SHA256}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(out)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: typeEncrypted, Bytes: out}))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, der, err := DecryptDER(data, []byte("p"))
		if err != nil && (der != nil || kind != "") {
			t.Fatal("a key beside the error")
		}
		ParsePrivateKey(data, nil)
	})
}
