package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cmp-batch/cmpcore/cmp"
)

// lockedBuffer collects the log of a process that goes on writing.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// daemonProcess is `cmp-batch run` as a process of its own.
type daemonProcess struct {
	t      testing.TB
	log    *lockedBuffer
	pid    *os.Process
	exited chan error
}

func startDaemon(t testing.TB, config string, args ...string) *daemonProcess {
	t.Helper()
	d := &daemonProcess{t: t, log: &lockedBuffer{}, exited: make(chan error, 1)}
	cmd := command(append([]string{"run", "-c", config}, args...)...)
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.pid = cmd.Process
	go func() { d.exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = d.pid.Kill() })
	return d
}

// until polls for a condition; the daemon must stay alive meanwhile.
func (d *daemonProcess) until(what string, ok func() bool) {
	d.t.Helper()
	giveUp := time.After(60 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case err := <-d.exited:
			d.t.Fatalf("waiting for %s: the daemon ended: %v\n%s", what, err, d.log)
		case <-giveUp:
			d.t.Fatalf("waiting for %s in vain\n%s", what, d.log)
		case <-tick.C:
		}
	}
}

// stop ends the daemon as systemd does; it must end well.
func (d *daemonProcess) stop() {
	d.t.Helper()
	if err := d.pid.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatal(err)
	}
	select {
	case err := <-d.exited:
		if err != nil {
			d.t.Fatalf("after SIGTERM: %v\n%s", err, d.log)
		}
	case <-time.After(60 * time.Second):
		d.t.Fatalf("does not end after SIGTERM\n%s", d.log)
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// TestDaemonStopsCleanly: SIGTERM in the middle of work loses nothing, and the
// rest is done at the next start.
func TestDaemonStopsCleanly(t *testing.T) {
	t.Parallel()
	const n = 600
	dir := filepath.Join(t.TempDir(), "ca")
	config, secret := benchCA(t, dir)
	appendConfig(t, config, "batch:\n  size: 32\n")
	writeRequests(t, filepath.Join(dir, "spool", "in"), n, secret, benchMAC)
	out := filepath.Join(dir, "spool", "out")
	d := startDaemon(t, config, "--log-format", "json")
	d.until("the first answers", func() bool { return len(names(t, out)) > 50 })
	d.stop()
	answered := len(names(t, out))
	if archived := len(names(t, filepath.Join(dir, "spool", "archive"))); archived != answered {
		t.Errorf("stopped with %d answers and %d requests in the archive", answered, archived)
	}
	for line := range strings.Lines(d.log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a line of JSON: %s", line)
		}
	}
	s := runOnce(t, config)
	if got := int64(answered) + s.Answered; got != n || s.Duplicates != 0 {
		t.Errorf("%d before, then %+v", answered, s)
	}
}

// TestSecondInstanceIsRefused: two processes on one database would each be
// right and together useless.
func TestSecondInstanceIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	config, _ := benchCA(t, dir)
	d := startDaemon(t, config)
	d.until("its start", func() bool { return strings.Contains(d.log.String(), "watching") })
	cmd := command("run", "-c", config, "--once")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != exitRetry {
		t.Errorf("a second instance: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), fmt.Sprint(d.pid.Pid)) {
		t.Errorf("the refusal does not name the process that runs: %s", out)
	}
	// Commands that only look or register go on.
	if out, err := command("cert", "ls", "-c", config).CombinedOutput(); err != nil {
		t.Errorf("cert ls beside the daemon: %v\n%s", err, out)
	}
	d.stop()
}

// Whoever has the address of the metrics may go, so a service manager is to try
// again.
func TestDaemonWhereTheAddressOfTheMetricsIsTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	config, _ := benchCA(t, filepath.Join(t.TempDir(), "ca"))
	appendConfig(t, config, "metrics:\n  listen: "+l.Addr().String()+"\n")
	cmd := command("run", "-c", config)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != exitRetry || !strings.Contains(string(out), l.Addr().String()) {
		t.Errorf("exit %d, not %d: %s", code, exitRetry, out)
	}
}

// TestMetrics: the counters that Prometheus reads are those of the work done.
func TestMetrics(t *testing.T) {
	t.Parallel()
	const n = 20
	dir := filepath.Join(t.TempDir(), "ca")
	config, secret := benchCA(t, dir)
	appendConfig(t, config, "metrics:\n  listen: 127.0.0.1:0\n")
	d := startDaemon(t, config)
	var url string
	d.until("the address of the metrics", func() bool {
		m := regexp.MustCompile(`url=(http://\S+)`).FindStringSubmatch(d.log.String())
		if m != nil {
			url = m[1]
		}
		return m != nil
	})
	writeRequests(t, dir, n, secret, benchMAC)
	for _, name := range names(t, dir) {
		if strings.HasSuffix(name, ".pki") {
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, "spool", "in", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{
		fmt.Sprintf(`cmpbatch_messages_total{channel="spool",result="answered"} %d`, n),
		fmt.Sprintf(`cmpbatch_certificates_total{done="issued"} %d`, n),
		fmt.Sprintf(`cmpbatch_store_rows{kind="valid"} %d`, n),
		fmt.Sprintf(`cmpbatch_replies_delivered_total{channel="spool"} %d`, n),
	}
	var page string
	d.until("the counters", func() bool {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		page = string(b)
		for _, w := range want {
			if !strings.Contains(page, w+"\n") {
				return false
			}
		}
		return true
	})
	d.stop()
}

// appendConfig adds top-level keys that the fresh configuration leaves out.
func appendConfig(t testing.TB, config, text string) {
	t.Helper()
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("\n" + text); err != nil {
		t.Fatal(err)
	}
}

// TestBadInput: whatever lies in the in folder, the daemon goes on, honest
// requests beside it are answered, and each item is accounted for.
func TestBadInput(t *testing.T) {
	t.Parallel()
	const n = 40
	dir := filepath.Join(t.TempDir(), "ca")
	config, secret := benchCA(t, dir)
	sp := func(p ...string) string { return filepath.Join(append([]string{dir, "spool"}, p...)...) }
	in := func(name string) string { return sp("in", name) }
	stock := filepath.Join(dir, "stock")
	if err := os.Mkdir(stock, 0o755); err != nil {
		t.Fatal(err)
	}
	writeRequests(t, stock, n+2, secret, benchMAC)
	honest := names(t, stock)
	good, err := os.ReadFile(filepath.Join(stock, honest[n]))
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Remove(filepath.Join(stock, honest[n])))
	must(os.Remove(filepath.Join(stock, honest[n+1])))
	honest = honest[:n]

	// What can never be a message goes to failed, with a reason.
	var failing []string
	bad := func(name string, put func(path string) error) {
		t.Helper()
		must(put(in(name)))
		failing = append(failing, name)
	}
	write := func(data []byte) func(string) error {
		return func(path string) error { return os.WriteFile(path, data, 0o644) }
	}
	bad("text.pki", write([]byte("Dear CA, please send a certificate.\n")))
	bad("trailing.pki", write(append(bytes.Clone(good), 0)))
	bad("sparse.pki", func(path string) error {
		must(os.WriteFile(path, []byte{0x30, 0x84, 0xbf, 0xff, 0xff, 0xfa}, 0o644))
		return os.Truncate(path, 3<<30)
	})
	bad("zeros.pki", func(path string) error { must(write(nil)(path)); return os.Truncate(path, 3<<30) })
	bad("symlink.pki", func(path string) error { return os.Symlink("/etc/passwd", path) })
	bad("fifo.pki", func(path string) error { return syscall.Mkfifo(path, 0o644) })
	bad("folder.pki", func(path string) error { return os.Mkdir(path, 0o755) })
	bad("certificate.pki", func(path string) error {
		der, err := readCertificates(filepath.Join(dir, "ca", "ca.crt"))
		must(err)
		return write(der[0])(path)
	})
	bad("--help;rm -rf $HOME\n\xff\u202e.pki", write([]byte("x")))
	bad(strings.Repeat("n", 251)+".pki", write([]byte("long")))
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 20 {
		b := make([]byte, 10+rnd.IntN(500))
		for j := range b {
			b[j] = byte(rnd.Uint32())
		}
		b[0] = 0x31 // never the start of a message
		bad(fmt.Sprintf("random-%d.pki", i), write(b))
	}
	// What is a message, though a bad one, is answered.
	answered := append([]string(nil), honest...)
	for i := range 40 {
		b := bytes.Clone(good)
		b[20+rnd.IntN(len(b)-20)] ^= byte(1 + rnd.IntN(255))
		name := fmt.Sprintf("mutated-%d.pki", i)
		must(write(b)(in(name)))
		answered = append(answered, name)
	}
	// What is not finished waits, what is none of our business stays.
	staying := []string{"half.pki", "empty.pki", ".hidden.pki", "upload.pki.tmp", "upload.pki.part", "backup.pki~", "README.txt"}
	for _, name := range staying {
		switch name {
		case "half.pki":
			must(write(good[:len(good)/2])(in(name)))
		case "empty.pki":
			must(write(nil)(in(name)))
		default:
			must(write(good)(in(name)))
		}
	}

	d := startDaemon(t, config)
	for _, name := range honest {
		must(os.Rename(filepath.Join(stock, name), in(name)))
	}
	d.until("every item to be taken", func() bool { return len(names(t, sp("in"))) == 6 })
	failed := strings.Join(names(t, sp("failed")), "\n")
	for _, list := range [][]string{failing, answered} {
		for _, name := range list {
			// A name that leaves no room for .reason.json is cut.
			if !exists(sp("out", name)) && !strings.Contains(failed, name[:min(len(name), 200)]) {
				t.Errorf("%q is in neither out nor failed", name)
			}
		}
	}
	for _, name := range honest {
		issuedSerial(t, name, read(t, sp("out", name)))
	}
	for _, name := range answered {
		if !exists(sp("out", name)) {
			continue // a mutation that leaves no header to answer
		}
		if _, err := cmp.Parse(read(t, sp("out", name)), cmp.Limits{}); err != nil {
			t.Errorf("answer to %s: %v", name, err)
		}
	}
	reasons := 0
	for _, name := range names(t, sp("failed")) {
		if strings.HasSuffix(name, ".reason.json") {
			reasons++
			var r struct{ Reason string }
			if err := json.Unmarshal(read(t, sp("failed", name)), &r); err != nil || r.Reason == "" {
				t.Errorf("%q: %v, reason %q", name, err, r.Reason)
			}
		}
	}
	if reasons < len(failing) {
		t.Errorf("%d reasons for %d failures", reasons, len(failing))
	}
	if target, err := os.Readlink(sp("failed", "symlink.pki")); err != nil || target != "/etc/passwd" {
		t.Errorf("the symlink was not moved as what it is: %q, %v", target, err)
	}
	for _, name := range staying {
		if !exists(in(name)) {
			t.Errorf("%s is gone from the in folder", name)
		}
	}

	// The half file is finished: now it is a message.
	f, err := os.OpenFile(in("half.pki"), os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = f.Write(good[len(good)/2:])
	must(err)
	must(f.Close())
	d.until("the finished file", func() bool { return exists(sp("out", "half.pki")) })
	issuedSerial(t, "half.pki", read(t, sp("out", "half.pki")))

	// The out folder goes away and comes back: its answers wait in the store.
	must(os.Rename(sp("out"), sp("gone")))
	writeRequests(t, stock, 3, secret, benchMAC)
	for _, name := range names(t, stock) {
		must(os.Rename(filepath.Join(stock, name), in("later-"+name)))
	}
	d.until("the failure to be logged", func() bool { return strings.Contains(d.log.String(), "deliver") })
	must(os.Mkdir(sp("out"), 0o755))
	d.until("late answers", func() bool { return len(names(t, sp("out"))) == 3 })
	d.stop()
	if s := d.log.String(); strings.Contains(s, "panic") {
		t.Errorf("a panic:\n%s", s)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
