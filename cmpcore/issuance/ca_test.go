package issuance

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var testNow = time.Date(2030, 5, 17, 12, 30, 15, 0, time.UTC)

var keyCache sync.Map

// testKey gives the nth key of a type; RSA keys are slow to make, so they are
// made once.
func testKey(t testing.TB, keyType string, n int) crypto.Signer {
	t.Helper()
	id := keyType + string(rune('0'+n))
	if k, ok := keyCache.Load(id); ok {
		return k.(crypto.Signer)
	}
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	keyCache.Store(id, k)
	return k
}

func testSPKI(t testing.TB, keyType string, n int) pkix.SubjectPublicKeyInfo {
	t.Helper()
	spki, err := alg.MarshalPublicKey(testKey(t, keyType, n).Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

func mustDN(t testing.TB, s string) pkix.Name {
	t.Helper()
	n, err := pkix.ParseDN(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustPeriod(t testing.TB, s string) Period {
	t.Helper()
	p, err := ParsePeriod(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// testCA makes a root whose life began a year before testNow.
func testCA(t testing.TB, keyType, sigAlg string) *Issuer {
	t.Helper()
	k := testKey(t, keyType, 0)
	cert, err := SelfSigned(rand.Reader, k, sigAlg, mustDN(t, "CN=Test Root CA,O=Example,C=DE"), mustPeriod(t, "40y"), testNow.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(cert, k, sigAlg)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func mustCompile(t testing.TB, cfg ProfileConfig) *Profile {
	t.Helper()
	p, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func sanExt(t testing.TB, critical bool, names ...pkix.GeneralName) pkix.Extension {
	t.Helper()
	e, err := pkix.SubjectAltNameExtension(names, critical)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func dns(t testing.TB, host string) pkix.GeneralName {
	t.Helper()
	g, err := pkix.NewDNSName(host)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func testRequest(t testing.TB) Request {
	return Request{Subject: mustDN(t, "CN=device 7,O=Example"), PublicKey: testSPKI(t, "ecdsa-p256", 1)}
}

// issue prepares and issues, and reads the result with Go's parser.
func issue(t testing.TB, p *Profile, is *Issuer, req Request) (*x509.Certificate, *Prepared) {
	t.Helper()
	prep, err := p.Prepare(req, is, testNow)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := NewSerial(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := is.Issue(rand.Reader, prep, serial)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("%v\n%x", err, der)
	}
	if err := Check(der); err != nil {
		t.Errorf("Check: %v", err)
	}
	return c, prep
}

func rootPool(t testing.TB, is *Issuer) *x509.CertPool {
	t.Helper()
	c, err := x509.ParseCertificate(is.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(c)
	return pool
}

func pemFile(t testing.TB, dir, name, kind string, ders ...[]byte) string {
	t.Helper()
	var b []byte
	for _, d := range ders {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: d})...)
	}
	f := filepath.Join(dir, name)
	if err := os.WriteFile(f, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// openssl runs the real one; a missing one is a failure.
func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
