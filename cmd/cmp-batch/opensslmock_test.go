package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mockCA is the CA of openssl cmp -port, in front of which stands what this
// program is for: files. A pump of the test carries them to it.
type mockCA struct {
	url  string
	dir  string // for the files of the end entity, and of the PKI
	o    *openssl
	test *testing.T
}

var mockListens = regexp.MustCompile(`ACCEPT .*:(\d+) PID`)

func startMock(t *testing.T, o *openssl, dir string, args ...string) *mockCA {
	t.Helper()
	cmd := exec.Command(o.path, with([]string{"cmp", "-port", "0", "-srv_trusted", "root.crt", "-rsp_cert", "ee.crt", "-rsp_capubs", "root.crt"}, args)...)
	cmd.Dir = dir
	var log lockedBuffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines, drained := bufio.NewReader(out), make(chan struct{})
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-drained
		cmd.Wait()
		if t.Failed() {
			t.Logf("the mock CA said\n%s", log.String())
		}
	})
	port := ""
	for port == "" {
		line, err := lines.ReadString('\n')
		if err != nil {
			close(drained)
			t.Fatalf("the mock CA does not start: %v\n%s", err, log.String())
		}
		log.Write([]byte(line))
		if m := mockListens.FindStringSubmatch(line); m != nil {
			port = m[1]
		}
	}
	go func() { io.Copy(&log, lines); close(drained) }()
	return &mockCA{url: "http://127.0.0.1:" + port + "/pkix/", dir: dir, o: o, test: t}
}

// cli runs cmp-batch in the folder of the end entity.
func (m *mockCA) cli(exit int, args ...string) string {
	m.test.Helper()
	cmd := command(args...)
	cmd.Dir = m.dir
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.Run()
	if c := cmd.ProcessState.ExitCode(); c != exit {
		m.test.Fatalf("cmp-batch %s exits %d, want %d:\n%s%s", strings.Join(args, " "), c, exit, out.String(), log.String())
	}
	return out.String() + log.String()
}

// carry is the pump: one message there, its answer back as a file.
func (m *mockCA) carry(file string) string {
	m.test.Helper()
	resp, err := http.Post(m.url, "application/pkixcmp", bytes.NewReader(read(m.test, filepath.Join(m.dir, file))))
	if err != nil {
		m.test.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.test.Fatalf("HTTP %d, %v", resp.StatusCode, err)
	}
	answer := "answer-to-" + file
	if err := os.WriteFile(filepath.Join(m.dir, answer), body, 0o644); err != nil {
		m.test.Fatal(err)
	}
	return answer
}

// accept reads an answer and gives what cmp-batch says of it.
func (m *mockCA) accept(answer, session string, args ...string) (r acceptReport) {
	m.test.Helper()
	text := m.cli(0, with([]string{"accept", answer, "--session", session, "--json"}, args)...)
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		m.test.Fatalf("%v: %s", err, text)
	}
	return r
}

// TestRequestAtOpenSSL: our end entity's side by files, against the mock CA of
// OpenSSL, which checks protection and proof of possession of all it gets.
func TestRequestAtOpenSSL(t *testing.T) {
	const secret = "what the mock CA and the device know"
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		// world makes a PKI and a key of a device. The mock CA issues always the
		// same certificate: ee.crt, for ee.key.
		world := func(t *testing.T) string {
			dir := t.TempDir()
			o.key(t, dir, "root", "p256")
			o.key(t, dir, "ee", "p256")
			writeFile(t, filepath.Join(dir, "secret"), secret+"\n")
			o.do(t, dir, "req", "-x509", "-key", "root.key", "-subj", "/O=Mock/CN=Mock CA", "-days", "30", "-out", "root.crt",
				"-addext", "keyUsage=keyCertSign,cRLSign,digitalSignature")
			o.do(t, dir, "req", "-new", "-key", "ee.key", "-subj", "/O=Mock/CN=device", "-out", "ee.csr")
			writeFile(t, filepath.Join(dir, "ee.ext"), "keyUsage=digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
			o.do(t, dir, "x509", "-req", "-in", "ee.csr", "-CA", "root.crt", "-CAkey", "root.key", "-CAcreateserial", "-days", "10", "-extfile", "ee.ext", "-out", "ee.crt")
			return dir
		}
		macServer := []string{"-srv_ref", "server", "-srv_secret", "pass:" + secret}
		sigServer := []string{"-srv_cert", "root.crt", "-srv_key", "root.key"}
		bySecret := []string{"--ref", "device", "--secret-file", "secret"}
		signed := []string{"--cert", "ee.crt", "--sign-key", "ee.key"}
		trust := []string{"--trust", "root.crt"}

		for _, tt := range []struct {
			name, kind      string
			server, request []string
			accept          []string
			steps           string // what accept says, answer by answer
			next            string // the messages after the first
		}{
			{name: "ir", kind: "ir", server: macServer, request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock"}),
				accept: bySecret, steps: "issued confirmed", next: "certConf"},
			{name: "ir-implicit", kind: "ir", server: with(macServer, []string{"-grant_implicitconf"}),
				request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock", "--implicit-confirm"}),
				accept:  bySecret, steps: "issued"},
			{name: "ir-polling", kind: "ir", server: with(macServer, []string{"-poll_count", "2", "-check_after", "7"}),
				request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock"}),
				accept:  bySecret, steps: "waiting waiting issued confirmed", next: "pollReq pollReq certConf"},
			{name: "ir-like-openssl", kind: "ir", server: macServer, accept: bySecret, steps: "issued confirmed", next: "certConf",
				request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock", "--mac-hmac", "sha1", "--mac-iterations", "500"})},
			{name: "p10cr", kind: "p10cr", server: macServer, request: with(bySecret, []string{"--csr", "ee.csr"}), accept: bySecret,
				steps: "issued confirmed", next: "certConf"},
			{name: "cr-signed", kind: "cr", server: sigServer, request: with(signed, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock"}),
				accept: with(signed, trust), steps: "issued confirmed", next: "certConf"},
			{name: "kur", kind: "kur", server: sigServer, request: with(signed, []string{"--key", "ee.key"}), accept: with(signed, trust),
				steps: "issued confirmed", next: "certConf"},
			{name: "rr", kind: "rr", server: sigServer, request: with(signed, []string{"--revoke", "ee.crt", "--reason", "superseded"}),
				accept: with(signed, trust), steps: "revoked"},
			{name: "rr-mac", kind: "rr", server: macServer, request: with(bySecret, []string{"--revoke", "ee.crt"}), accept: bySecret, steps: "revoked"},
			{name: "genm", kind: "genm", server: macServer, request: with(bySecret, []string{"--info", "signKeyPairTypes"}), accept: bySecret, steps: "informed"},
			{name: "genm-signed", kind: "genm", server: sigServer, request: with(signed, []string{"--info", "confirmWaitTime"}), accept: with(signed, trust), steps: "informed"},
			{name: "refused", kind: "ir", server: with(macServer, []string{"-pkistatus", "2", "-failure", "9", "-statusstring", "not this one"}),
				request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock"}), accept: bySecret, steps: "refused"},
			{name: "error", kind: "ir", server: with(macServer, []string{"-send_error"}),
				request: with(bySecret, []string{"--key", "ee.key", "--subject", "CN=device,O=Mock"}), accept: bySecret, steps: "error"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				dir := world(t)
				m := startMock(t, o, dir, tt.server...)
				m.cli(0, with([]string{"request", tt.kind, "--out", "d.pki"}, tt.request)...)
				var steps, next []string
				var last acceptReport
				issued := false
				for file := "d.pki"; file != ""; file = last.Next {
					last = m.accept(m.carry(file), "d.session.json", tt.accept...)
					steps = append(steps, last.Status)
					if last.NextKind != "" {
						next = append(next, last.NextKind)
					}
					issued = issued || last.Status == "issued"
					if last.Status == "waiting" && last.NextKind == "pollReq" && len(steps) > 1 && last.CheckAfter != 7 {
						t.Errorf("to be asked again after %d seconds, not 7", last.CheckAfter)
					}
				}
				if got := strings.Join(steps, " "); got != tt.steps {
					t.Errorf("accept says %q, want %q", got, tt.steps)
				}
				if got := strings.Join(next, " "); got != tt.next {
					t.Errorf("to be sent were %q, want %q", got, tt.next)
				}
				if !last.Done {
					t.Errorf("the transaction is not done: %+v", last)
				}
				switch tt.name {
				case "refused":
					if last.Text != "not this one" || last.FailInfo != "badPOP" {
						t.Errorf("%+v", last)
					}
				case "error":
					if last.Text != "error processing message" {
						t.Errorf("%+v", last)
					}
				}
				_, err := os.Stat(filepath.Join(dir, "d.crt"))
				if issued != (err == nil) {
					t.Errorf("issued is %v, and d.crt: %v", issued, err)
				}
				if !issued {
					return
				}
				if !bytes.Equal(pemFile(t, filepath.Join(dir, "d.crt")), pemFile(t, filepath.Join(dir, "ee.crt"))) {
					t.Error("d.crt is not what the mock CA issued")
				}
				if tt.kind == "ir" {
					o.do(t, dir, "verify", "-x509_strict", "-CAfile", "d.chain.pem", "d.crt")
				}
			})
		}

		t.Run("a key of its own is not the mock's", func(t *testing.T) {
			t.Parallel()
			dir := world(t)
			m := startMock(t, o, dir, macServer...)
			m.cli(0, with([]string{"request", "ir", "--out", "d.pki", "--subject", "CN=device"}, bySecret)...)
			r := m.accept(m.carry("d.pki"), "d.session.json", bySecret...)
			if r.NextKind != "certConf" || len(r.Certificates) != 0 {
				t.Errorf("%+v", r)
			}
			if _, err := os.Stat(filepath.Join(dir, "d.crt")); err == nil {
				t.Error("a certificate for another key was taken")
			}
			// The rejection reaches the mock CA, which takes it.
			r = m.accept(m.carry(r.Next), "d.session.json", bySecret...)
			if !r.Done || r.Status != "refused" {
				t.Errorf("%+v", r)
			}
			// The new key is one that openssl reads.
			key, err := x509.ParsePKCS8PrivateKey(pemFile(t, filepath.Join(dir, "d.key")))
			if err != nil || key == nil {
				t.Error(err)
			}
			o.do(t, dir, "pkey", "-in", "d.key", "-noout", "-check")
		})
		t.Run("wrong secret", func(t *testing.T) {
			t.Parallel()
			dir := world(t)
			m := startMock(t, o, dir, with(macServer, []string{"-send_unprot_err"})...)
			writeFile(t, filepath.Join(dir, "wrong"), "another secret")
			m.cli(0, "request", "ir", "--out", "d.pki", "--subject", "CN=device", "--key", "ee.key", "--ref", "device", "--secret-file", "wrong")
			answer := m.carry("d.pki")
			session := read(t, filepath.Join(dir, "d.session.json"))
			// An error that anybody could have written ends nothing.
			m.cli(1, "accept", answer, "--session", "d.session.json", "--secret-file", "wrong")
			if !bytes.Equal(read(t, filepath.Join(dir, "d.session.json")), session) {
				t.Error("it changed the session")
			}
			r := m.accept(answer, "d.session.json", "--secret-file", "wrong", "--unprotected-errors")
			if r.Status != "error" || !r.Done {
				t.Errorf("%+v", r)
			}
		})
	})
}
