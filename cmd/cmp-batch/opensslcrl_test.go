package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/configs"
)

// partnerPKI is another CA, all by openssl ca: a root, a CA below it, and two
// devices of that.
type partnerPKI struct {
	t   *testing.T
	o   *openssl
	dir string // root.crt, sub.crt, d1.crt, d2.crt with their .key
}

const opensslCA = `[ca]
default_ca = x
[x]
dir = %[1]s
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
crl_extensions = crl_ext
[any]
commonName = supplied
[crl_ext]
authorityKeyIdentifier = keyid
[ca_ext]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[ee_ext]
keyUsage = critical,digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`

func newPartnerPKI(t *testing.T, o *openssl) *partnerPKI {
	p := &partnerPKI{t, o, t.TempDir()}
	for i, ca := range []string{"root", "sub"} {
		if err := os.Mkdir(filepath.Join(p.dir, ca+".d"), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(p.dir, ca+".cnf"), fmt.Sprintf(opensslCA, ca+".d"))
		writeFile(t, filepath.Join(p.dir, ca+".d", "index.txt"), "")
		writeFile(t, filepath.Join(p.dir, ca+".d", "serial"), fmt.Sprintf("%d000\n", i+1))
		writeFile(t, filepath.Join(p.dir, ca+".d", "crlnumber"), "01\n")
	}
	for _, name := range []string{"root", "sub", "d1", "d2"} {
		o.key(t, p.dir, name, "p256")
	}
	o.do(t, p.dir, "req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Partner Root", "-days", "100", "-out", "root.crt",
		"-config", "root.cnf", "-extensions", "ca_ext")
	for _, c := range []struct{ name, by, ext string }{{"sub", "root", "ca_ext"}, {"d1", "sub", "ee_ext"}, {"d2", "sub", "ee_ext"}} {
		o.do(t, p.dir, "req", "-new", "-key", c.name+".key", "-subj", "/CN=partner "+c.name, "-out", c.name+".csr", "-config", "root.cnf")
		p.ca(c.by, "-batch", "-notext", "-in", c.name+".csr", "-out", c.name+".crt", "-days", "90", "-extensions", c.ext)
	}
	var chain []byte
	for _, f := range []string{"d1.crt", "sub.crt"} {
		chain = append(chain, read(t, filepath.Join(p.dir, f))...)
	}
	writeFile(t, filepath.Join(p.dir, "d1.chain"), string(chain))
	return p
}

func (p *partnerPKI) ca(name string, args ...string) {
	p.t.Helper()
	p.o.do(p.t, p.dir, append([]string{"ca", "-config", name + ".cnf", "-keyfile", name + ".key", "-cert", name + ".crt"}, args...)...)
}

// crl gives the CRL of a CA as it is now, PEM.
func (p *partnerPKI) crl(name string, args ...string) []byte {
	p.t.Helper()
	if len(args) == 0 {
		args = []string{"-crldays", "30"}
	}
	p.ca(name, append([]string{"-gencrl", "-out", "out.crl"}, args...)...)
	return read(p.t, filepath.Join(p.dir, "out.crl"))
}

func (p *partnerPKI) revoke(by, name string) {
	p.t.Helper()
	p.ca(by, "-revoke", name+".crt", "-crl_reason", "keyCompromise")
}

// trusting makes a CA of ours that lets the devices of the partner ask.
func (p *partnerPKI) trusting(revocation string) (dir, config string) {
	p.t.Helper()
	dir = filepath.Join(p.t.TempDir(), "ca")
	config, _ = benchCA(p.t, dir)
	text := string(read(p.t, config))
	rule := "rules:\n  - name: partners\n    who: {certificate: {issued_by: partner.pem}}\n    may: [genm]\n"
	if !strings.Contains(text, "\nrules:\n") {
		p.t.Fatal("no rules in the configuration")
	}
	writeFile(p.t, config, strings.Replace(text, "rules:\n", rule, 1))
	appendConfig(p.t, config, "trust:\n  - {name: partner, anchors: partner.pem, crls: crls, revocation: "+revocation+"}\nmetrics: {textfile: m.prom}\nbatch: {scan_every: 1s}\n")
	writeFile(p.t, filepath.Join(dir, "partner.pem"), string(read(p.t, filepath.Join(p.dir, "root.crt"))))
	if err := os.Mkdir(filepath.Join(dir, "crls"), 0o755); err != nil {
		p.t.Fatal(err)
	}
	return dir, config
}

// ask makes a question of the partner's first device.
func (p *partnerPKI) ask(path string) {
	p.t.Helper()
	out, err := command("request", "genm", "--info", "caCerts", "--out", path, "--session", path+".session",
		"--cert", filepath.Join(p.dir, "d1.chain"), "--sign-key", filepath.Join(p.dir, "d1.key"), "--trust", filepath.Join(p.dir, "root.crt")).CombinedOutput()
	if err != nil {
		p.t.Fatalf("request: %v\n%s", err, out)
	}
}

// failInfo reads an answer; 0: it is genp.
func failInfo(t testing.TB, path string) cmp.PKIFailureInfo {
	t.Helper()
	m, err := cmp.Parse(read(t, path), cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := m.Body.(*cmp.ErrorMsg); ok {
		return e.Status.FailInfo
	}
	if m.BodyType() != cmp.TypeGenP {
		t.Fatalf("the answer is %s", m.BodyType())
	}
	return 0
}

func lines(t testing.TB, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	cmd := command(args...)
	cmd.Stdout = &out
	_ = cmd.Run() // its exit code is another test's
	return out.String()
}

func TestCRLsOfOpenSSLCAs(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		p := newPartnerPKI(t, o)
		clean := p.crl("root")
		cleanSub := p.crl("sub")
		otherRoot := newPartnerPKI(t, o).crl("root") // the same name, another key
		day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format("20060102150405Z") }
		expired := p.crl("sub", "-crl_lastupdate", day(-3), "-crl_nextupdate", day(-1))
		early := p.crl("sub", "-crl_lastupdate", day(1), "-crl_nextupdate", day(9))
		ending := p.crl("sub", "-crl_lastupdate", day(-19), "-crl_nextupdate", day(1))
		p.revoke("sub", "d2")
		d2 := p.crl("sub")
		p.revoke("sub", "d1")
		both := p.crl("sub")
		bothExpired := p.crl("sub", "-crl_lastupdate", day(-3), "-crl_nextupdate", day(-1))
		p.revoke("root", "sub")
		subRevoked := p.crl("root")
		der := func(pem []byte) []byte {
			writeFile(t, filepath.Join(p.dir, "in.pem"), string(pem))
			o.do(t, p.dir, "crl", "-in", "in.pem", "-outform", "DER", "-out", "out.der")
			return read(t, filepath.Join(p.dir, "out.der"))
		}
		requireDir, require := p.trusting("require")
		preferDir, prefer := p.trusting("prefer")
		for _, c := range []struct {
			name            string
			files           map[string][]byte
			require, prefer cmp.PKIFailureInfo
			check           string // of require
		}{
			{"none", nil, cmp.SignerNotTrusted, 0, "there is no CRL"},
			{"both, PEM and DER", map[string][]byte{"r.pem": clean, "s.crl": der(cleanSub)}, 0, 0, `ok    trust.partner           CRL of "CN=Partner Root" number 1, 0 revoked`},
			{"in one file", map[string][]byte{"all.pem": append(bytes.Clone(clean), cleanSub...)}, 0, 0, ""},
			{"another device is revoked", map[string][]byte{"r.pem": clean, "s.pem": d2}, 0, 0, "1 revoked"},
			{"the device is revoked", map[string][]byte{"r.pem": clean, "s.pem": both}, cmp.CertRevoked, cmp.CertRevoked, "2 revoked"},
			{"by a list that has run out", map[string][]byte{"r.pem": clean, "s.pem": bothExpired}, cmp.CertRevoked, cmp.CertRevoked, "FAIL  trust.partner"},
			{"the CA above is revoked", map[string][]byte{"r.pem": subRevoked, "s.pem": cleanSub}, cmp.CertRevoked, cmp.CertRevoked, ""},
			{"it has run out", map[string][]byte{"r.pem": clean, "s.pem": expired}, cmp.SignerNotTrusted, 0, "ended"},
			{"it is not valid yet", map[string][]byte{"r.pem": clean, "s.pem": early}, cmp.SignerNotTrusted, 0, "is not valid yet"},
			{"it ends soon", map[string][]byte{"r.pem": clean, "s.pem": ending}, 0, 0, "warn  trust.partner"},
			{"an old and a new one", map[string][]byte{"r.pem": clean, "s1.pem": expired, "s2.pem": cleanSub}, 0, 0, "0 failures"},
			{"of another root of the name", map[string][]byte{"r.pem": otherRoot, "s.pem": cleanSub}, cmp.SignerNotTrusted, 0, "is not signed by the anchor of that name"},
			{"of the wrong CA only", map[string][]byte{"r.pem": clean}, cmp.SignerNotTrusted, 0, ""},
			{"one is no CRL", map[string][]byte{"r.pem": clean, "s.pem": cleanSub, "x.crl": []byte("0\x03abc")}, 0, 0, "FAIL  trust.partner"},
			{"files of other kinds", map[string][]byte{"r.pem": clean, "s.pem": cleanSub, "README": []byte("x"), ".hidden.crl": []byte("x")}, 0, 0, "0 failures"},
		} {
			for i, ca := range []struct {
				dir, config string
				want        cmp.PKIFailureInfo
			}{{requireDir, require, c.require}, {preferDir, prefer, c.prefer}} {
				if i == 1 && c.require == 0 {
					continue // it is less strict
				}
				crls := filepath.Join(ca.dir, "crls")
				if err := os.RemoveAll(crls); err != nil {
					t.Fatal(err)
				}
				if err := os.Mkdir(crls, 0o755); err != nil {
					t.Fatal(err)
				}
				for name, data := range c.files {
					writeFile(t, filepath.Join(crls, name), string(data))
				}
				name := strings.ReplaceAll(c.name, " ", "-") + ".pki"
				p.ask(filepath.Join(ca.dir, "spool", "in", name))
				runOnce(t, ca.config)
				if got := failInfo(t, filepath.Join(ca.dir, "spool", "out", name)); got != ca.want {
					t.Errorf("%s, %s: failInfo %s, want %s", c.name, []string{"require", "prefer"}[i], got, ca.want)
				}
			}
			if c.check != "" {
				if got := lines(t, "check", "--quick", "-c", require); !strings.Contains(got, c.check) {
					t.Errorf("%s: check does not say %q:\n%s", c.name, c.check, got)
				}
			}
		}
		page := string(read(t, filepath.Join(requireDir, "m.prom")))
		for _, want := range []string{`cmpbatch_trust_crls{state="valid",trust="partner"} 2`, `cmpbatch_trust_crls{state="unreadable",trust="partner"} 0`} {
			if !strings.Contains(page, want+"\n") {
				t.Errorf("the metrics lack %s:\n%s", want, page)
			}
		}
		if strings.Contains(page, "cmpbatch_trust_next_update_seconds{trust=\"partner\"} 0\n") {
			t.Error("the metrics do not tell when the first CRL ends")
		}
	})
}

// A CRL that is replaced while the daemon runs counts from then on, without a
// restart; one that is broken leaves the one before.
func TestACRLIsReplacedWhileTheDaemonRuns(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		p := newPartnerPKI(t, o)
		dir, config := p.trusting("require")
		root, sub := filepath.Join(dir, "crls", "root.crl"), filepath.Join(dir, "crls", "sub.crl")
		writeFile(t, root, string(p.crl("root")))
		writeFile(t, sub, string(p.crl("sub")))
		d := startDaemon(t, config)
		ask := func(name string) cmp.PKIFailureInfo {
			p.ask(filepath.Join(dir, name))
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "spool", "in", name)); err != nil {
				t.Fatal(err)
			}
			answer := filepath.Join(dir, "spool", "out", name)
			d.until("the answer to "+name, func() bool { return exists(answer) })
			return failInfo(t, answer)
		}
		if got := ask("1.pki"); got != 0 {
			t.Errorf("before: %s", got)
		}
		read := func() int { return strings.Count(d.log.String(), "CRL read") }
		d.until("both CRLs", func() bool { return read() == 2 })

		writeFile(t, sub+".tmp", "0\x03abc")
		if err := os.Rename(sub+".tmp", sub); err != nil {
			t.Fatal(err)
		}
		d.until("a complaint", func() bool { return strings.Contains(d.log.String(), "CRL cannot be read") })
		if got := ask("2.pki"); got != 0 {
			t.Errorf("with a broken file: %s", got)
		}

		p.revoke("sub", "d1")
		writeFile(t, sub+".tmp", string(p.crl("sub")))
		if err := os.Rename(sub+".tmp", sub); err != nil {
			t.Fatal(err)
		}
		d.until("the new CRL", func() bool { return read() == 3 })
		if got := ask("3.pki"); got != cmp.CertRevoked {
			t.Errorf("revoked: %s", got)
		}

		if err := os.Remove(sub); err != nil {
			t.Fatal(err)
		}
		d.until("that it is gone", func() bool { return strings.Contains(d.log.String(), "CRL taken away") })
		if got := ask("4.pki"); got != cmp.SignerNotTrusted {
			t.Errorf("without: %s", got)
		}
		d.stop()
	})
}

// A folder that is not there for a while, such as of a medium, keeps what was
// read, and bounds hold.
func TestShelf(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		p := newPartnerPKI(t, o)
		dir := t.TempDir()
		crls := filepath.Join(dir, "crls")
		if err := os.Mkdir(crls, 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(crls, "a.crl"), string(p.crl("root")))
		single := filepath.Join(dir, "single.pem")
		s, err := newShelf(configs.Trust{Name: "p", Anchors: []string{filepath.Join(p.dir, "root.crt")}, CRLs: []string{crls, single}, Revocation: "require"})
		if err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		now := time.Now()
		reload := func(crls, bad int) {
			t.Helper()
			s.reload(now, testLog(&log))
			if n, e := len(*s.crls.Load()), len(s.errors()); n != crls || e != bad {
				t.Errorf("%d CRLs, %d errors, want %d, %d\n%s", n, e, crls, bad, log.String())
			}
		}
		reload(1, 1)
		first := (*s.crls.Load())[0]
		writeFile(t, single, string(p.crl("sub")))
		reload(2, 0)
		if (*s.crls.Load())[0] != first {
			t.Error("what did not change was read again")
		}
		if err := os.Rename(crls, crls+"-away"); err != nil {
			t.Fatal(err)
		}
		reload(2, 1)
		reload(2, 1)
		if n := strings.Count(log.String(), "CRL cannot be read"); n != 2 {
			t.Errorf("%d complaints, want one for each trouble\n%s", n, log.String())
		}
		if err := os.Rename(crls+"-away", crls); err != nil {
			t.Fatal(err)
		}
		reload(2, 0)
		now = now.AddDate(0, 0, 31)
		reload(2, 0)
		reload(2, 0)
		if n := strings.Count(log.String(), "CRL is not valid now"); n != 2 {
			t.Errorf("%d complaints, want one for each CRL\n%s", n, log.String())
		}
		// More than there is room for.
		one := read(t, filepath.Join(crls, "a.crl"))
		writeFile(t, single, strings.Repeat(string(one), maxCRLs))
		reload(2, 1) // the one that was there before goes on
		writeFile(t, single, strings.Repeat(string(one), maxCRLs-1))
		reload(maxCRLs, 0)
		big, err := os.Create(filepath.Join(crls, "z.crl"))
		if err != nil {
			t.Fatal(err)
		}
		if err := big.Truncate(maxCRLFile + 1); err != nil {
			t.Fatal(err)
		}
		big.Close()
		reload(maxCRLs, 1)
		if err := os.Remove(big.Name()); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(big.Name(), 0o755); err != nil { // a folder in it is passed over
			t.Fatal(err)
		}
		reload(maxCRLs, 0)
	})
}

func testLog(b *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
