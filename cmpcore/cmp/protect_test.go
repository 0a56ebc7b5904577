package cmp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// peer is the openssl command in a directory of its own.
type peer struct {
	t   *testing.T
	dir string
}

func newPeer(t *testing.T) peer {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	p := peer{t, t.TempDir()}
	p.write("new.key", keyPEM(t, signer(t, "ecdsa-p256")))
	return p
}

func (p peer) write(name string, data []byte) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), data, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// cmp runs openssl cmp. Without an answer it fails after the request is saved.
func (p peer) cmp(args ...string) string {
	c := exec.Command("openssl", append([]string{"cmp", "-cmd", "ir", "-server", "127.0.0.1:1", "-recipient", "/CN=CA",
		"-subject", "/CN=device", "-newkey", "new.key", "-certout", "out.crt"}, args...)...)
	c.Dir = p.dir
	out, _ := c.CombinedOutput()
	return string(out)
}

// request gives the message that openssl makes, read.
func (p peer) request(args ...string) *PKIMessage {
	p.t.Helper()
	out := p.cmp(append(args, "-reqout", "req", "-rspin", "none")...)
	der, err := os.ReadFile(filepath.Join(p.dir, "req"))
	if err != nil {
		p.t.Fatalf("no request: %s", out)
	}
	m, err := Parse(der, Limits{})
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func signer(t *testing.T, keyType string) crypto.Signer {
	t.Helper()
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func keyPEM(t *testing.T, k crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func selfSigned(t *testing.T, k crypto.Signer, cn string) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: stdpkix.Name{CommonName: cn}, NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter: time.Date(2049, 1, 1, 0, 0, 0, 0, time.UTC), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// answer is an error message to a request, under the given protection.
func answer(t *testing.T, req *PKIMessage, sender pkix.GeneralName, extra [][]byte, p Protector) []byte {
	t.Helper()
	h := &PKIHeader{PVNO: req.Header.PVNO, Sender: sender, Recipient: req.Header.Sender, TransactionID: req.Header.TransactionID,
		SenderNonce: []byte("0123456789abcdef"), RecipNonce: req.Header.SenderNonce}
	body := &ErrorMsg{Status: PKIStatusInfo{Status: Rejection, StatusString: []string{"said by the test"}, FailInfo: BadCertTemplate}}
	der, err := Seal(h, body, extra, p)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestMACProtectionWithOpenSSL(t *testing.T) {
	for _, args := range [][]string{{}, {"-digest", "sha512", "-mac", "hmacWithSHA256"}, {"-digest", "sha384"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			p := newPeer(t)
			args = append([]string{"-ref", "4711", "-secret", "pass:insta"}, args...)
			m := p.request(args...)
			if k := ProtectionKind(m.Header.ProtectionAlg); k != ProtectionMAC {
				t.Fatalf("kind %v", k)
			}
			if err := m.VerifyMAC([]byte("insta"), nil); err != nil {
				t.Fatal(err)
			}
			wantBit(t, m.VerifyMAC([]byte("Insta"), nil), ErrMAC, BadMessageCheck)
			wantBit(t, m.VerifyMAC(nil, nil), ErrMAC, BadMessageCheck)
			wantBit(t, m.VerifyMAC([]byte("insta"), &alg.MACPolicy{MinIterations: 1000}), alg.ErrForbidden, BadAlg)
			wantBit(t, m.VerifySignature(signer(t, "ed25519").Public(), nil), ErrProtectionKind, WrongIntegrity)

			req := m.Body.(*CertReqMessages).Requests[0]
			if err := crmf.VerifySignaturePOP(&req, nil, nil); err != nil {
				t.Errorf("proof of possession: %v", err)
			}

			// openssl believes the answer in kind, and no other.
			mac, err := alg.ParseMAC(m.Header.ProtectionAlg, nil)
			if err != nil {
				t.Fatal(err)
			}
			if mac, err = mac.WithFreshSalt(rand.Reader); err != nil {
				t.Fatal(err)
			}
			sender := pkix.NewDirectoryName(pkix.EmptyName)
			p.write("rsp", answer(t, m, sender, nil, MACProtector(mac, []byte("insta"))))
			if out := p.cmp(append(args, "-rspin", "rsp")...); !strings.Contains(out, "said by the test") {
				t.Errorf("answer not accepted: %s", out)
			}
			p.write("rsp", answer(t, m, sender, nil, MACProtector(mac, []byte("other"))))
			if out := p.cmp(append(args, "-rspin", "rsp")...); strings.Contains(out, "said by the test") || !strings.Contains(out, "wrong pbm value") {
				t.Errorf("answer under another secret: %s", out)
			}

			for name, change := range map[string]func(*PKIMessage){
				"header": func(m *PKIMessage) { m.Header.Raw[len(m.Header.Raw)-1] ^= 1 },
				"body":   func(m *PKIMessage) { m.RawBody[len(m.RawBody)-1] ^= 1 },
				"value":  func(m *PKIMessage) { m.Protection[0] ^= 1 },
			} {
				c, err := Parse(bytes.Clone(m.Raw), Limits{})
				if err != nil {
					t.Fatal(err)
				}
				change(c)
				if err := c.VerifyMAC([]byte("insta"), nil); !errors.Is(err, ErrMAC) {
					t.Errorf("%s changed: %v", name, err)
				}
			}
		})
	}
}

func TestSignatureProtectionWithOpenSSL(t *testing.T) {
	// OpenSSL 3.0 does not protect CMP messages with Ed25519.
	for _, keyType := range []string{"ecdsa-p256", "ecdsa-p384", "rsa-2048"} {
		t.Run(keyType, func(t *testing.T) {
			p := newPeer(t)
			device, ca := signer(t, keyType), signer(t, keyType)
			p.write("device.key", keyPEM(t, device))
			p.write("device.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned(t, device, "device")}))
			caCert := selfSigned(t, ca, "CA")
			p.write("ca.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caCert}))
			args := []string{"-cert", "device.crt", "-key", "device.key", "-srvcert", "ca.crt"}
			m := p.request(args...)
			if k := ProtectionKind(m.Header.ProtectionAlg); k != ProtectionSignature {
				t.Fatalf("kind %v", k)
			}
			if err := m.VerifySignature(device.Public(), nil); err != nil {
				t.Fatal(err)
			}
			wantBit(t, m.VerifySignature(ca.Public(), nil), alg.ErrSignature, BadMessageCheck)
			other := "ecdsa-p256"
			if strings.HasPrefix(keyType, "ecdsa") {
				other = "ed25519"
			}
			wantBit(t, m.VerifySignature(signer(t, other).Public(), nil), alg.ErrMismatch, BadMessageCheck)
			wantBit(t, m.VerifySignature(device.Public(), &alg.SignaturePolicy{Only: []string{"ecdsa-sha3-512"}}), alg.ErrForbidden, BadAlg)
			wantBit(t, m.VerifyMAC([]byte("insta"), nil), ErrProtectionKind, WrongIntegrity)

			a, err := alg.SignatureFor(ca.Public(), "")
			if err != nil {
				t.Fatal(err)
			}
			x, err := x509.ParseCertificate(caCert)
			if err != nil {
				t.Fatal(err)
			}
			sender := pkix.NewDirectoryName(x.RawSubject)
			p.write("rsp", answer(t, m, sender, [][]byte{caCert}, SignatureProtector(rand.Reader, ca, a)))
			if out := p.cmp(append(args, "-rspin", "rsp")...); !strings.Contains(out, "said by the test") {
				t.Errorf("answer not accepted: %s", out)
			}
			p.write("rsp", answer(t, m, sender, [][]byte{caCert}, SignatureProtector(rand.Reader, signer(t, keyType), a)))
			if out := p.cmp(append(args, "-rspin", "rsp")...); strings.Contains(out, "said by the test") {
				t.Errorf("answer by another key accepted: %s", out)
			}
		})
	}
}

func wantBit(t *testing.T, err, want error, bit PKIFailureInfo) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if got := FailInfoFor(err); got != bit {
		t.Errorf("%v: failure bit %b, want %b", err, got, bit)
	}
}

func TestProtectionKind(t *testing.T) {
	for oid, want := range map[string]Kind{
		"1.2.840.113533.7.66.13": ProtectionMAC,
		"1.2.840.113549.1.5.14":  ProtectionMAC,
		"1.2.840.113533.7.66.30": ProtectionDHMAC,
		"1.2.840.113533.7.66.16": ProtectionKEMMAC,
		"1.2.840.10045.4.3.2":    ProtectionSignature,
		"1.2.840.113549.1.1.10":  ProtectionSignature,
		"1.3.101.112":            ProtectionSignature,
		"1.2.840.113549.2.9":     ProtectionUnknown, // HMAC, not password-based
		"2.5.4.3":                ProtectionUnknown,
	} {
		if got := ProtectionKind(pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid)}); got != want {
			t.Errorf("%s: %v, want %v", oid, got, want)
		}
	}
	if got := ProtectionKind(pkix.AlgorithmIdentifier{}); got != ProtectionNone {
		t.Errorf("none: %v", got)
	}
}

func TestUnprotected(t *testing.T) {
	h := &PKIHeader{PVNO: 2, Sender: pkix.NewDirectoryName(pkix.EmptyName), Recipient: pkix.NewDirectoryName(pkix.EmptyName),
		ProtectionAlg: pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}} // Seal overwrites it
	der, err := Seal(h, &PKIConf{}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(der, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	wantBit(t, m.VerifyMAC([]byte("insta"), nil), ErrUnprotected, BadMessageCheck)
	wantBit(t, m.VerifySignature(signer(t, "ed25519").Public(), nil), ErrUnprotected, BadMessageCheck)

	// Half a protection is none.
	m.Header.ProtectionAlg = pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}
	wantBit(t, m.VerifySignature(signer(t, "ed25519").Public(), nil), ErrUnprotected, BadMessageCheck)
	m.Header.ProtectionAlg, m.Protection = pkix.AlgorithmIdentifier{}, []byte{1}
	wantBit(t, m.VerifyMAC([]byte("insta"), nil), ErrUnprotected, BadMessageCheck)
	m.Header.ProtectionAlg = pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.5.4.3")}
	wantBit(t, m.VerifyMAC([]byte("insta"), nil), alg.ErrUnsupported, BadAlg)
}

func TestSealWithEdDSAAndPSS(t *testing.T) {
	for keyType, name := range map[string]string{"ed25519": "", "rsa-2048": "rsa-pss-sha384"} {
		k := signer(t, keyType)
		a, err := alg.SignatureFor(k.Public(), name)
		if err != nil {
			t.Fatal(err)
		}
		h := &PKIHeader{PVNO: 2, Sender: pkix.NewDirectoryName(pkix.EmptyName), Recipient: pkix.NewDirectoryName(pkix.EmptyName)}
		der, err := Seal(h, &PKIConf{}, nil, SignatureProtector(rand.Reader, k, a))
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(der, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.VerifySignature(k.Public(), nil); err != nil {
			t.Errorf("%s: %v", keyType, err)
		}
		if !m.Header.ProtectionAlg.Equal(a) || !h.ProtectionAlg.Equal(a) {
			t.Errorf("%s: protectionAlg %x", keyType, m.Header.ProtectionAlg.Bytes())
		}
	}
}

func TestSealPassesErrorsOn(t *testing.T) {
	h := &PKIHeader{PVNO: 2, Sender: pkix.NewDirectoryName(pkix.EmptyName), Recipient: pkix.NewDirectoryName(pkix.EmptyName)}
	mac, err := alg.NewPBM(rand.Reader, alg.PBMOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(h, &PKIConf{}, nil, MACProtector(mac, nil)); !errors.Is(err, alg.ErrSecret) {
		t.Errorf("empty secret: %v", err)
	}
	broken := brokenSigner{signer(t, "ed25519")}
	a, err := alg.SignatureFor(broken.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Seal(h, &PKIConf{}, nil, SignatureProtector(rand.Reader, broken, a)); !errors.Is(err, errDevice) {
		t.Errorf("device out of order: %v", err)
	}
}

// brokenSigner is a device that has a public key and cannot sign.
type brokenSigner struct{ crypto.Signer }

var errDevice = errors.New("device is out of order")

func (brokenSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errDevice }

func TestFailInfoForProofOfPossession(t *testing.T) {
	for _, c := range []struct {
		err error
		bit PKIFailureInfo
	}{
		{nil, 0},
		{errDevice, 0},
		{fmt.Errorf("x: %w", crmf.ErrPOPMissing), BadPOP},
		{crmf.ErrPOPForm, BadPOP},
		{crmf.ErrPOPKey, BadPOP},
		{crmf.ErrPOPMAC, BadPOP},
		{fmt.Errorf("%w: %w", crmf.ErrPOPSignature, alg.ErrSignature), BadPOP},
		{fmt.Errorf("proof of possession: %w", alg.ErrForbidden), BadAlg},
		{alg.ErrParameters, BadAlg},
		{alg.ErrKey, BadCertTemplate},
	} {
		if got := FailInfoFor(c.err); got != c.bit {
			t.Errorf("%v: %b, want %b", c.err, got, c.bit)
		}
	}
}
