package client_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"cmp-batch/cmpcore/client"
	cpkix "cmp-batch/cmpcore/pkix"
)

// now is the clock of these tests. OpenSSL reads its own, so it cannot be far.
var now = time.Now()

// holder is a certificate with its key.
type holder struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func (h *holder) der() []byte { return h.cert.Raw }

// pki is a CA over an intermediate, a CMP signer and an end entity.
type pki struct {
	root, sub, server, ee *holder
}

var serials int64 = 100

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func edKey(t testing.TB) crypto.Signer {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// issue makes a certificate; a nil issuer makes a root.
func issue(t testing.TB, issuer *holder, cn string, key crypto.Signer, change func(*x509.Certificate)) *holder {
	t.Helper()
	serials++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serials),
		Subject:      pkix.Name{CommonName: cn},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(1000 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(tmpl)
	}
	parent, signer := tmpl, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &holder{key, c}
}

func asCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid = true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
}

func asCMPServer(c *x509.Certificate) {
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 27}} // id-kp-cmcCA
	c.SubjectKeyId = []byte("server key id")
}

func newPKI(t testing.TB) *pki {
	t.Helper()
	p := &pki{}
	p.root = issue(t, nil, "Root", ecKey(t), asCA)
	p.sub = issue(t, p.root, "Issuing CA", ecKey(t), asCA)
	p.server = issue(t, p.sub, "CMP server", ecKey(t), asCMPServer)
	p.ee = issue(t, p.sub, "device 1", ecKey(t), nil)
	return p
}

// files writes the PKI as PEM for OpenSSL.
func (p *pki) files(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, h := range map[string]*holder{"root": p.root, "sub": p.sub, "server": p.server, "ee": p.ee} {
		writeHolder(t, dir, name, h)
	}
	return dir
}

func writeHolder(t testing.TB, dir, name string, h *holder) {
	t.Helper()
	writePEM(t, filepath.Join(dir, name+".pem"), "CERTIFICATE", h.cert.Raw)
	k, err := x509.MarshalPKCS8PrivateKey(h.key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", k)
}

func writePEM(t testing.TB, path, typ string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// dn reads a name or fails the test.
func dn(t testing.TB, text string) cpkix.Name {
	t.Helper()
	n, err := cpkix.ParseDN(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func withSecret(secret string) client.Credentials {
	return client.Credentials{Secret: []byte(secret), Reference: []byte("ref-1"), Now: now, Rand: rand.Reader}
}

func (p *pki) signed() client.Credentials {
	return client.Credentials{
		Key: p.ee.key, Certificate: p.ee.der(), Chain: [][]byte{p.sub.der()},
		Trust: client.Trust{Anchors: [][]byte{p.root.der()}},
		Now:   now, Rand: rand.Reader,
	}
}

// viaFile sends the session through JSON, as between two runs of a program.
// Nothing secret may be in it.
func viaFile(t testing.TB, s *client.Session, secrets ...[]byte) *client.Session {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if len(secret) > 0 && bytes.Contains(b, secret) {
			t.Fatalf("the session file has the secret %q in it", secret)
		}
	}
	var r client.Session
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// issueFor makes a certificate for a key of which only the public half is here.
func issueFor(t testing.TB, ca *holder, cn string, pub crypto.PublicKey) []byte {
	t.Helper()
	serials++
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(serials), Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, pub, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
