package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The tests of these files let the real OpenSSL talk to the real program: the
// one in PATH, and those that CMP_BATCH_OPENSSL lists besides, separated as in
// PATH. Without an openssl they fail.

// openssl is one OpenSSL program.
type openssl struct {
	path    string
	version string // such as 3.0.19
	options string // of openssl cmp, as its help prints them
}

var findOpenSSL = sync.OnceValues(func() ([]openssl, error) {
	paths := []string{"openssl"}
	paths = append(paths, filepath.SplitList(os.Getenv("CMP_BATCH_OPENSSL"))...)
	var found []openssl
	for _, p := range paths {
		path, err := exec.LookPath(p)
		if err != nil {
			return nil, err
		}
		v, err := exec.Command(path, "version").Output()
		if err != nil {
			return nil, err
		}
		fields := strings.Fields(string(v))
		if len(fields) < 2 {
			return nil, errors.New(path + " is no OpenSSL")
		}
		help, err := exec.Command(path, "cmp", "-help").CombinedOutput()
		if err != nil {
			return nil, errors.New(path + " has no cmp command: it needs version 3.0 or later")
		}
		found = append(found, openssl{path, fields[1], string(help)})
	}
	return found, nil
})

// eachOpenSSL runs the test once for every OpenSSL there is, in parallel with
// all others.
func eachOpenSSL(t *testing.T, f func(t *testing.T, o *openssl)) {
	t.Helper()
	t.Parallel()
	found, err := findOpenSSL()
	if err != nil {
		t.Fatalf("openssl is needed for this test: %v", err)
	}
	for i := range found {
		t.Run(found[i].version, func(t *testing.T) {
			t.Parallel()
			f(t, &found[i])
		})
	}
}

// can tells whether openssl cmp has an option; the older ones lack some.
func (o *openssl) can(option string) bool {
	return strings.Contains(o.options, " "+option+" ")
}

// old tells whether this is a version 3.0, the oldest with openssl cmp.
func (o *openssl) old() bool { return strings.HasPrefix(o.version, "3.0.") }

// said is how a run of openssl ended.
type said struct {
	exit int
	text string // stdout and stderr
}

// patience is how long anything here may take; it only ends what hangs.
const patience = 2 * time.Minute

// start prepares a run of openssl in a folder.
func (o *openssl) start(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, o.path, args...)
	cmd.Dir = dir
	for _, e := range os.Environ() {
		// A proxy of the surroundings is none of ours.
		if k, _, _ := strings.Cut(strings.ToLower(e), "="); strings.HasSuffix(k, "_proxy") {
			continue
		}
		cmd.Env = append(cmd.Env, e)
	}
	return cmd
}

// run runs openssl to its end, however that is.
func (o *openssl) run(t testing.TB, dir string, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := o.start(ctx, dir, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("openssl %s: %v, %v\n%s", strings.Join(args, " "), err, ctx.Err(), out.Bytes())
	}
	return said{cmd.ProcessState.ExitCode(), out.String()}
}

// do runs openssl where it must succeed.
func (o *openssl) do(t testing.TB, dir string, args ...string) string {
	t.Helper()
	r := o.run(t, dir, args...)
	if r.exit != 0 {
		t.Fatalf("openssl %s: exit %d\n%s", strings.Join(args, " "), r.exit, r.text)
	}
	return r.text
}

// expect compares how a run ended with how it must, and looks for words in
// what was printed.
func (r said) expect(t testing.TB, exit int, words ...string) {
	t.Helper()
	if r.exit != exit {
		t.Errorf("openssl exits %d, want %d", r.exit, exit)
	}
	for _, w := range words {
		if !strings.Contains(r.text, w) {
			t.Errorf("openssl does not say %q", w)
		}
	}
	if t.Failed() {
		t.Logf("openssl said:\n%s", r.text)
		t.FailNow()
	}
}

// keySpecs are keys as openssl genpkey makes them.
var keySpecs = map[string][]string{
	"p256":      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	"p384":      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
	"p521":      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"},
	"rsa":       {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
	"pss":       {"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
	"ed25519":   {"-algorithm", "ED25519"},
	"brainpool": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"},
	"weak":      {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"},
}

// key makes a private key in dir and gives the name of its file.
func (o *openssl) key(t testing.TB, dir, name, kind string) string {
	t.Helper()
	file := name + ".key"
	o.do(t, dir, append([]string{"genpkey", "-quiet", "-out", file}, keySpecs[kind]...)...)
	return file
}

// pemFile reads the first PEM block of a file.
func pemFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := pem.Decode(data)
	if b == nil {
		t.Fatalf("%s is not PEM", path)
	}
	return b.Bytes
}

// certFile reads a certificate.
func certFile(t testing.TB, path string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(pemFile(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return c
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
