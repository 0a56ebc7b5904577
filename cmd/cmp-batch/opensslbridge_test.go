package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"

	"github.com/fsnotify/fsnotify"
)

// site is a CA with a running daemon, and a bridge from HTTP to its spool: what
// is posted to /CHANNEL/NAME becomes the file in/NAME-1.pki of the channel, then
// NAME-2.pki and so on, and the answer is what comes out under the same name.
type site struct {
	dir     string // of the CA
	work    string // for the files of clients
	config  string
	store   *sqlite.Store
	address string // host:port of the bridge

	daemon *exec.Cmd
	log    lockedBuffer
	exited chan struct{}

	folders map[string]*configs.Dir
	watcher *fsnotify.Watcher

	mu     sync.Mutex
	posted map[string]int           // by CHANNEL/NAME
	coming map[string]chan struct{} // by path of the answer
}

// newSite makes a CA and starts its daemon. An empty config leaves that of init
// as it is; secrets are registered by reference. What prepare does is done
// before the daemon starts.
func newSite(t *testing.T, config string, secrets map[string]string, prepare ...func(*site)) *site {
	t.Helper()
	root := t.TempDir()
	s := &site{
		dir: filepath.Join(root, "ca"), work: filepath.Join(root, "work"), exited: make(chan struct{}),
		folders: map[string]*configs.Dir{}, posted: map[string]int{}, coming: map[string]chan struct{}{},
	}
	if err := os.Mkdir(s.work, 0o755); err != nil {
		t.Fatal(err)
	}
	s.cli(t, "init", s.dir, "--subject", "CN=Interop CA,O=Interop")
	s.config = filepath.Join(s.dir, configs.FileName)
	if config != "" {
		writeFile(t, s.config, config)
	}
	for ref, secret := range secrets {
		file := filepath.Join(s.work, ref+".secret")
		writeFile(t, file, secret)
		s.cli(t, "secret", "add", ref, "--secret-file", file, "-c", s.config)
	}
	for _, f := range prepare {
		f(s)
	}
	cfg, err := configs.Load(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if s.watcher, err = fsnotify.NewWatcher(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.watcher.Close() })
	for _, ch := range cfg.Channels {
		s.folders[ch.Name] = ch.Dir
		for _, d := range []string{ch.Dir.In, ch.Dir.Out, ch.Dir.Archive, ch.Dir.Failed} {
			if err := os.MkdirAll(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.watcher.Add(ch.Dir.Out); err != nil {
			t.Fatal(err)
		}
	}
	if s.store, err = sqlite.Open(context.Background(), cfg.Store.SQLite, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })

	s.daemon = command("run", "-c", s.config, "--log-format", "json")
	s.daemon.Stderr = &s.log
	if err := s.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.daemon.Wait(); close(s.exited) }()
	go s.notice()
	bridge := httptest.NewServer(s)
	s.address = bridge.Listener.Addr().String()
	t.Cleanup(func() {
		bridge.Close()
		s.stop(t)
		if t.Failed() {
			t.Logf("log of the daemon:\n%s", s.log.String())
		}
	})
	return s
}

// cli runs the program to its end, which must be a good one.
func (s *site) cli(t testing.TB, args ...string) string {
	t.Helper()
	cmd := command(args...)
	cmd.Dir = s.work
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("cmp-batch %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), log.Bytes())
	}
	return out.String()
}

// notice wakes those who wait for a file that appears.
func (s *site) notice() {
	for {
		select {
		case e, ok := <-s.watcher.Events:
			if !ok {
				return
			}
			s.mu.Lock()
			if c := s.coming[e.Name]; c != nil && e.Has(fsnotify.Create) {
				close(c)
				delete(s.coming, e.Name)
			}
			s.mu.Unlock()
		case err, ok := <-s.watcher.Errors:
			if !ok {
				return
			}
			fmt.Fprintf(&s.log, "{\"level\":\"ERROR\",\"msg\":%q}\n", "the bridge loses sight of answers: "+err.Error())
		}
	}
}

// ServeHTTP carries one message to the spool and the answer back.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.carry(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/pkixcmp")
	w.Write(answer)
}

func (s *site) carry(r *http.Request) ([]byte, error) {
	channel, name, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	f := s.folders[channel]
	if f == nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/pkixcmp" {
		return nil, fmt.Errorf("%s %s, %q is not for this bridge", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	message, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.posted[channel+"/"+name]++
	file := fmt.Sprintf("%s-%d.pki", name, s.posted[channel+"/"+name])
	out, came := filepath.Join(f.Out, file), make(chan struct{})
	s.coming[out] = came
	s.mu.Unlock()
	tmp := filepath.Join(f.In, "."+file+".tmp")
	if err := os.WriteFile(tmp, message, 0o644); err != nil {
		return nil, err
	}
	if err := os.Rename(tmp, filepath.Join(f.In, file)); err != nil {
		return nil, err
	}
	select {
	case <-came:
		return os.ReadFile(out)
	case <-s.exited:
		return nil, fmt.Errorf("the daemon is not there any more")
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// posts is how many messages came for a CHANNEL/NAME.
func (s *site) posts(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.posted[path]
}

// stop ends the daemon as an operator does and reconciles what it says with
// what was posted, what is in the folders and what is in the store.
func (s *site) stop(t *testing.T) {
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.daemon.Process.Kill()
		t.Error("the daemon does not end at SIGTERM")
	}
	if c := s.daemon.ProcessState.ExitCode(); c != 0 {
		t.Errorf("the daemon exits %d at SIGTERM", c)
	}
	var stopped *struct{ Summary spool.Summary }
	for lines := bufio.NewScanner(strings.NewReader(s.log.String())); lines.Scan(); {
		var line struct {
			Msg, Level string
			Summary    json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("log line %q: %v", lines.Text(), err)
			continue
		}
		if line.Level == "ERROR" {
			t.Errorf("the daemon logs %s", lines.Text())
		}
		if line.Msg == "stopped" {
			if err := json.Unmarshal(lines.Bytes(), &stopped); err != nil {
				t.Error(err)
			}
		}
	}
	if stopped == nil {
		t.Fatal("the daemon says no summary at its end")
	}
	sum, posted := stopped.Summary, int64(0)
	for _, n := range s.posted {
		posted += int64(n)
	}
	if !sum.Reconciles() || !sum.Complete() || sum.Failed != 0 || sum.Silent != 0 || sum.Received != posted+sum.Released {
		t.Errorf("%d messages were posted; the summary is %+v", posted, sum)
	}
	archived := 0
	for name, f := range s.folders {
		archived += len(names(t, f.Archive))
		if n := names(t, f.In); len(n) != 0 {
			t.Errorf("channel %s: %q are still there", name, n)
		}
		if n := names(t, f.Failed); len(n) != 0 {
			t.Errorf("channel %s: %q failed", name, n)
		}
	}
	if int64(archived) != posted {
		t.Errorf("%d requests in the archives, %d were posted", archived, posted)
	}
	ctx, issued, revoked := context.Background(), int64(0), int64(0)
	for c, err := range s.store.Certificates(ctx, spool.CertFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		issued++
		if c.Status == cmpcore.Revoked {
			revoked++
		}
	}
	if issued != sum.Issued {
		t.Errorf("%d certificates in the store, the summary is %+v", issued, sum)
	}
	// A hold and its end count as revoked once, and leave none.
	if revoked > sum.Revoked {
		t.Errorf("%d certificates are revoked, the summary is %+v", revoked, sum)
	}
	late, err := s.store.Undelivered(ctx, 0, 10)
	if err != nil || len(late) != 0 {
		t.Errorf("undelivered: %d, %v", len(late), err)
	}
	if _, _, err := s.store.VerifyAudit(ctx); err != nil {
		t.Errorf("audit log: %v", err)
	}
}

// record is what the store has of the certificate in a file.
func (s *site) record(t testing.TB, file string) *cmpcore.Certificate {
	t.Helper()
	cert := certFile(t, filepath.Join(s.work, file))
	c, err := s.store.View().Certificate(context.Background(), cert.SerialNumber.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if c == nil || !bytes.Equal(c.DER, cert.Raw) {
		t.Fatalf("%s is not the certificate in the store", file)
	}
	return c
}

// status compares the status of a certificate in the store.
func (s *site) status(t testing.TB, file string, want cmpcore.CertStatus) *cmpcore.Certificate {
	t.Helper()
	c := s.record(t, file)
	if c.Status != want {
		t.Errorf("%s is %s in the store, want %s", file, c.Status, want)
	}
	return c
}

// issuedTo counts the certificates of a subject.
func (s *site) issuedTo(t testing.TB, subject string) int {
	t.Helper()
	n := 0
	for _, err := range s.store.Certificates(context.Background(), spool.CertFilter{SubjectPart: subject}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// ca is the file of the CA's certificate.
func (s *site) ca() string { return filepath.Join(s.dir, "ca", "ca.crt") }

// cmp runs openssl cmp against the bridge: command kind, and the channel and
// name under which its messages are carried.
func (s *site) cmp(t testing.TB, o *openssl, path, kind string, args ...string) said {
	t.Helper()
	return o.run(t, s.work, s.cmpArgs(path, kind, args...)...)
}

func (s *site) cmpArgs(path, kind string, args ...string) []string {
	return append([]string{"cmp", "-batch", "-cmd", kind, "-server", s.address, "-path", path}, args...)
}
