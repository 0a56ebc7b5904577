package client_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	cpkix "cmp-batch/cmpcore/pkix"
)

const secret = "a shared secret"

// mock starts the mock CA of OpenSSL and gives its address. It knows the shared
// secret and certificates under the root of the PKI.
func mock(t *testing.T, dir string, args ...string) string {
	t.Helper()
	args = append([]string{"cmp", "-port", "0", "-srv_trusted", filepath.Join(dir, "root.pem"),
		"-srv_untrusted", filepath.Join(dir, "sub.pem"), "-rsp_cert", filepath.Join(dir, "ee.pem"),
		"-rsp_extracerts", filepath.Join(dir, "sub.pem")}, args...)
	cmd := exec.Command("openssl", args...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("openssl is needed for this test: %v", err)
	}
	lines := bufio.NewReader(out)
	drained := make(chan struct{})
	drain := func() { io.Copy(io.Discard, lines); close(drained) }
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
		if t.Failed() {
			t.Logf("openssl %s\n%s", strings.Join(args, " "), log.String())
		}
	})
	accept := regexp.MustCompile(`ACCEPT .*:(\d+) PID`)
	for {
		line, err := lines.ReadString('\n')
		if m := accept.FindStringSubmatch(line); m != nil {
			go drain()
			return "http://127.0.0.1:" + m[1] + "/pkix/"
		}
		if err != nil {
			drain()
			t.Fatalf("the mock server did not start: %v", err)
		}
	}
}

func macServer(t *testing.T, dir string, args ...string) string {
	return mock(t, dir, append([]string{"-srv_ref", "server", "-srv_secret", "pass:" + secret}, args...)...)
}

func sigServer(t *testing.T, dir string, args ...string) string {
	return mock(t, dir, append([]string{"-srv_cert", filepath.Join(dir, "server.pem"), "-srv_key", filepath.Join(dir, "server.key")}, args...)...)
}

func post(t *testing.T, url string, message []byte) []byte {
	t.Helper()
	resp, err := http.Post(url, "application/pkixcmp", bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("HTTP %d, %v", resp.StatusCode, err)
	}
	return b
}

// talk runs a transaction to its end. It gives the result of every answer.
func talk(t *testing.T, url string, o client.Options) (results []*client.Result, err error) {
	t.Helper()
	s, next, err := client.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	for next != nil {
		if len(results) > 10 {
			t.Fatal("no end in sight")
		}
		s = viaFile(t, s, o.Credentials.Secret)
		r, err := s.Accept(post(t, url, next), o.Credentials)
		if err != nil {
			return results, err
		}
		results = append(results, r)
		next = r.Next
	}
	if s.Waiting() || !results[len(results)-1].Done {
		t.Fatalf("nothing to send, but the step is %q", s.Step)
	}
	return results, nil
}

func kinds(results []*client.Result) string {
	var b []string
	for _, r := range results {
		b = append(b, r.Kind.String())
	}
	return strings.Join(b, " ")
}

func (p *pki) request(t *testing.T) client.CertificateRequest {
	return client.CertificateRequest{
		Subject: dn(t, "CN=device 1"), Key: p.ee.key,
		NotAfter: now.Add(100 * time.Hour), KeyUsage: cpkix.DigitalSignature,
		ExtKeyUsage: []cpkix.OID{cpkix.OIDClientAuth},
	}
}

// TestOpenSSLEnrols lets the mock CA of OpenSSL answer us: it checks our
// protection and our proof of possession, and we what it says.
func TestOpenSSLEnrols(t *testing.T) {
	p := newPKI(t)
	dir := p.files(t)
	capubs := []string{"-rsp_capubs", filepath.Join(dir, "root.pem")}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "device 1"}}, p.ee.key)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		server func(*testing.T, string, ...string) string
		args   []string
		opts   client.Options
		kinds  string
	}{
		{"ir under PBM", macServer, capubs,
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
		{"ir under PBM with SHA-512 and HMAC-SHA384", macServer, nil,
			client.Options{Kind: cmp.TypeIR, Credentials: func() client.Credentials {
				c := withSecret(secret)
				c.MAC = client.MAC{Hash: "sha512", HMAC: "sha384", Iterations: 700}
				return c
			}(), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
		{"ir signed", sigServer, nil,
			client.Options{Kind: cmp.TypeIR, Credentials: p.signed(), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
		{"cr signed", sigServer, nil,
			client.Options{Kind: cmp.TypeCR, Credentials: p.signed(), Certificates: []client.CertificateRequest{p.request(t)}}, "cp pkiconf"},
		{"kur with the same key", sigServer, nil,
			client.Options{Kind: cmp.TypeKUR, Credentials: p.signed(), Certificates: []client.CertificateRequest{{Key: p.ee.key}}}, "kup pkiconf"},
		{"p10cr under PBM", macServer, nil,
			client.Options{Kind: cmp.TypeP10CR, Credentials: withSecret(secret), PKCS10: csr}, "cp pkiconf"},
		{"p10cr signed", sigServer, nil,
			client.Options{Kind: cmp.TypeP10CR, Credentials: p.signed(), PKCS10: csr}, "cp pkiconf"},
		{"implicit confirmation granted", macServer, []string{"-grant_implicitconf"},
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), ImplicitConfirm: true, Certificates: []client.CertificateRequest{p.request(t)}}, "ip"},
		{"implicit confirmation refused", macServer, nil,
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), ImplicitConfirm: true, Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
		{"implicit confirmation granted, but not asked for", macServer, []string{"-grant_implicitconf"},
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
		{"polling", macServer, []string{"-poll_count", "3", "-check_after", "7"},
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pollRep pollRep ip pkiconf"},
		{"polling, signed", sigServer, []string{"-poll_count", "2", "-grant_implicitconf"},
			client.Options{Kind: cmp.TypeCR, Credentials: p.signed(), ImplicitConfirm: true, Certificates: []client.CertificateRequest{p.request(t)}}, "cp pollRep cp"},
		{"raVerified", macServer, []string{"-accept_raverified"},
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{func() client.CertificateRequest {
				r := p.request(t)
				r.Key, r.PublicKey, r.POP = nil, p.ee.cert.RawSubjectPublicKeyInfo, client.POPRAVerified
				return r
			}()}}, "ip pkiconf"},
		{"granted with modifications", macServer, []string{"-pkistatus", "1"},
			client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}}, "ip pkiconf"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			results, err := talk(t, tt.server(t, dir, tt.args...), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if got := kinds(results); got != tt.kinds {
				t.Fatalf("answers %q, want %q", got, tt.kinds)
			}
			var cert *client.Certificate
			for _, r := range results {
				for i := range r.Certificates {
					if r.Certificates[i].Certificate != nil && cert == nil {
						cert = &r.Certificates[i]
					}
				}
				if r.Kind == cmp.TypePollRep && (r.Waiting == nil || r.NextKind != cmp.TypePollReq) {
					t.Errorf("pollRep: %+v", r)
				}
			}
			if cert == nil || !bytes.Equal(cert.Certificate, p.ee.der()) {
				t.Fatal("the certificate has not come")
			}
			if len(cert.Chain) == 0 || !bytes.Equal(cert.Chain[0], p.sub.der()) {
				t.Errorf("chain of %d certificates", len(cert.Chain))
			}
			if len(tt.args) > 0 && tt.args[0] == "-rsp_capubs" {
				if r := results[0]; len(r.CAPubs) != 1 || !bytes.Equal(r.CAPubs[0], p.root.der()) || !cert.Complete || len(cert.Chain) != 2 {
					t.Errorf("caPubs %d, complete %v, chain %d", len(r.CAPubs), cert.Complete, len(cert.Chain))
				}
			}
			last := results[len(results)-1]
			if c := last.Certificates; len(c) != 1 || c[0].State != client.ItemConfirmed {
				t.Errorf("last answer: %+v", c)
			}
		})
	}
}

func TestOpenSSLCheckAfter(t *testing.T) {
	p := newPKI(t)
	dir := p.files(t)
	results, err := talk(t, macServer(t, dir, "-poll_count", "2", "-check_after", "4711"),
		client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if w := results[1].Waiting; w == nil || w.CheckAfter != 4711*time.Second {
		t.Fatalf("waiting: %+v", w)
	}
}

func TestOpenSSLRevokes(t *testing.T) {
	p := newPKI(t)
	dir := p.files(t)
	for _, tt := range []struct {
		name   string
		revoke client.Revocation
	}{
		{"by certificate", client.Revocation{Certificate: p.ee.der(), Reason: cpkix.ReasonSuperseded}},
		{"by issuer and serial, without a reason", client.Revocation{Issuer: p.ee.cert.RawIssuer, Serial: p.ee.cert.SerialNumber, NoReason: true}},
		{"removeFromCRL", client.Revocation{Certificate: p.ee.der(), Reason: cpkix.ReasonRemoveFromCRL}},
		{"with an invalidity date", client.Revocation{Certificate: p.ee.der(), Reason: cpkix.ReasonKeyCompromise, InvalidityDate: now.Add(-time.Hour)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := talk(t, sigServer(t, dir), client.Options{Kind: cmp.TypeRR, Credentials: p.signed(), Revocations: []client.Revocation{tt.revoke}})
			if err != nil {
				t.Fatal(err)
			}
			r := results[0].Revocations
			if len(r) != 1 || !r[0].Revoked() || r[0].Serial.Cmp(p.ee.cert.SerialNumber) != 0 {
				t.Fatalf("%+v", r)
			}
		})
	}
	t.Run("unknown serial number", func(t *testing.T) {
		_, err := talk(t, sigServer(t, dir), client.Options{Kind: cmp.TypeRR, Credentials: p.signed(),
			Revocations: []client.Revocation{{Issuer: p.ee.cert.RawIssuer, Serial: big.NewInt(7)}}})
		var e *client.PeerError
		if !errors.As(err, &e) || !e.Authenticated {
			t.Fatalf("%v", err)
		}
	})
}

func TestOpenSSLInforms(t *testing.T) {
	p := newPKI(t)
	dir := p.files(t)
	typ, err := client.InfoType("CACERTS")
	if err != nil {
		t.Fatal(err)
	}
	infos := []cmp.InfoTypeAndValue{{Type: typ}} // the mock server takes one
	for name, s := range map[string]struct {
		server func(*testing.T, string, ...string) string
		c      client.Credentials
	}{"PBM": {macServer, withSecret(secret)}, "signature": {sigServer, p.signed()}} {
		t.Run(name, func(t *testing.T) {
			results, err := talk(t, s.server(t, dir), client.Options{Kind: cmp.TypeGenM, Credentials: s.c, Infos: infos})
			if err != nil {
				t.Fatal(err)
			}
			// The mock server echoes what it is asked.
			if got := results[0].Infos; len(got) != 1 || got[0].Type.String() != "1.3.6.1.5.5.7.4.17" {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func TestOpenSSLRefuses(t *testing.T) {
	p := newPKI(t)
	dir := p.files(t)
	ir := client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), Certificates: []client.CertificateRequest{p.request(t)}}
	t.Run("error message", func(t *testing.T) {
		_, err := talk(t, macServer(t, dir, "-send_error"), ir)
		var e *client.PeerError
		if !errors.As(err, &e) || !e.Authenticated || e.FailInfo != cmp.BadRequest || len(e.Text) != 1 || e.Text[0] != "error processing message" {
			t.Fatalf("%#v", err)
		}
	})
	t.Run("rejection in ip", func(t *testing.T) {
		results, err := talk(t, macServer(t, dir, "-pkistatus", "2", "-failure", "9"), ir)
		if err != nil {
			t.Fatal(err)
		}
		c := results[0].Certificates
		if len(c) != 1 || c[0].State != client.ItemRefused || c[0].Status.FailInfo != cmp.BadPOP {
			t.Fatalf("%+v", c)
		}
	})
	t.Run("unprotected error", func(t *testing.T) {
		url := macServer(t, dir, "-send_error", "-send_unprotected", "-failure", "23")
		_, err := talk(t, url, ir)
		var e *client.PeerError
		if !errors.As(err, &e) || e.Authenticated || !errors.Is(err, cmp.ErrUnprotected) {
			t.Fatalf("%v", err)
		}
	})
	t.Run("wrong secret", func(t *testing.T) {
		o := ir
		o.Credentials = withSecret("another secret")
		_, err := talk(t, macServer(t, dir), o)
		var e *client.PeerError
		if !errors.As(err, &e) || e.Authenticated {
			t.Fatalf("%v", err)
		}
	})
	t.Run("no proof of possession", func(t *testing.T) {
		o := ir
		r := p.request(t)
		r.POP = client.POPNone
		o.Certificates = []client.CertificateRequest{r}
		results, err := talk(t, macServer(t, dir), o)
		// 3.0 answers ip, others may answer error.
		if results == nil && err == nil || results != nil && results[0].Certificates[0].Status.FailInfo != cmp.BadPOP {
			t.Fatalf("%v %+v", err, results)
		}
	})
	t.Run("certificate for another key", func(t *testing.T) {
		o := ir
		r := p.request(t)
		r.Key = ecKey(t)
		o.Certificates = []client.CertificateRequest{r}
		results, err := talk(t, macServer(t, dir), o)
		if err != nil {
			t.Fatal(err)
		}
		// The mock CA takes our rejection with a pkiConf.
		if kinds(results) != "ip pkiconf" || results[0].Certificates[0].Certificate != nil || results[1].Certificates[0].State != client.ItemRejected {
			t.Fatalf("%s %+v", kinds(results), results[0].Certificates[0])
		}
	})
}
