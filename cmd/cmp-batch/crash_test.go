package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/configs"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

var (
	crashRequests = flag.Int("crash.requests", 2000, "requests of TestCrash")
	crashKills    = flag.Int("crash.kills", 30, "how often TestCrash kills the daemon")
	crashSeed     = flag.Uint64("crash.seed", 0, "seed of TestCrash; 0: by the clock")
)

// TestCrash is the promise of the program: the daemon is killed at random
// moments while requests wait and others arrive, and afterwards every request
// has exactly one answer, every certificate was issued once, and the same
// requests again bring the same octets and issue nothing.
func TestCrash(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	n, kills := *crashRequests, *crashKills
	if testing.Short() {
		n, kills = 300, 5
	}

	dir := filepath.Join(t.TempDir(), "ca")
	config, secret := benchCA(t, dir)
	sp := func(p ...string) string { return filepath.Join(append([]string{dir, "spool"}, p...)...) }
	stock := filepath.Join(dir, "stock")
	if err := os.Mkdir(stock, 0o755); err != nil {
		t.Fatal(err)
	}
	writeRequests(t, stock, n, secret, benchMAC)
	waiting := names(t, stock)
	drop := func(k int) {
		for _, name := range waiting[:min(k, len(waiting))] {
			if err := os.Rename(filepath.Join(stock, name), sp("in", name)); err != nil {
				t.Fatal(err)
			}
		}
		waiting = waiting[min(k, len(waiting)):]
	}

	for i := range kills {
		had := len(names(t, sp("out")))
		drop(n/kills + 1)
		target := had + rnd.IntN(n/kills+1)
		var log bytes.Buffer
		cmd := command("run", "-c", config, "--log-level", "warn")
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		// Killed once a random number of answers is there, or, where the last
		// run was killed before it had delivered much, after a while.
		giveUp := time.After(5 * time.Second)
	watch:
		for len(names(t, sp("out"))) < target {
			select {
			case err := <-exited:
				t.Fatalf("run %d ended by itself: %v\n%s", i, err, log.Bytes())
			case <-giveUp:
				t.Logf("run %d: killed at the timeout", i)
				break watch
			default:
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-exited
		if s := log.String(); strings.Contains(s, "panic") || strings.Contains(s, "DATA RACE") {
			t.Fatalf("run %d:\n%s", i, s)
		}
	}
	drop(n)
	before := len(names(t, sp("out")))
	t.Logf("%d of %d were answered between %d kills", before, n, kills)
	s := runOnce(t, config)
	if s.Failed != 0 || s.Refused != 0 {
		t.Errorf("after the crashes: %+v", s)
	}

	answers := map[string][]byte{}
	for _, name := range names(t, sp("out")) {
		der, err := os.ReadFile(sp("out", name))
		if err != nil {
			t.Fatal(err)
		}
		answers[name] = der
	}
	if len(answers) != n {
		t.Errorf("%d answers to %d requests", len(answers), n)
	}
	if left := names(t, sp("in")); len(left) != 0 {
		t.Errorf("%d requests are still in the in folder: %q ...", len(left), left[0])
	}
	archived := names(t, sp("archive"))
	if len(archived) != n {
		t.Errorf("%d requests in the archive, not %d", len(archived), n)
	}
	if bad := names(t, sp("failed")); len(bad) != 0 {
		t.Errorf("failed: %q", bad)
	}
	serials := map[string]string{}
	for name, der := range answers {
		if _, err := os.Stat(sp("archive", name)); err != nil {
			t.Errorf("an answer without a request: %v", err)
		}
		serial := issuedSerial(t, name, der)
		if other, ok := serials[serial]; ok {
			t.Errorf("%s and %s have the same certificate %s", name, other, serial)
		}
		serials[serial] = name
	}
	checkStore(t, config, serials)

	// Everything again: the same octets come back and nothing is issued.
	if err := os.Rename(sp("out"), sp("out-first")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(sp("out"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range archived {
		if err := os.Rename(sp("archive", name), sp("in", name)); err != nil {
			t.Fatal(err)
		}
	}
	s = runOnce(t, config)
	if s.Issued != 0 || s.Duplicates != int64(n) || s.Received != int64(n) {
		t.Errorf("the same requests again: %+v", s)
	}
	for name, want := range answers {
		got, err := os.ReadFile(sp("out", name))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s: another answer to the same request", name)
		}
	}
	checkStore(t, config, serials)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			list = append(list, e.Name())
		}
	}
	return list
}

// runOnce drains the spool in a process of its own.
func runOnce(t testing.TB, config string) spool.Summary {
	t.Helper()
	cmd := command("run", "-c", config, "--once", "--json", "--log-level", "warn")
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("run --once: %v\n%s%s", err, out.Bytes(), log.Bytes())
	}
	var s spool.Summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if !s.Reconciles() || !s.Complete() {
		t.Errorf("the summary does not reconcile: %+v", s)
	}
	return s
}

// issuedSerial reads the one certificate of an answer.
func issuedSerial(t testing.TB, name string, der []byte) string {
	t.Helper()
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b, ok := m.Body.(*cmp.CertRepMessage)
	if !ok || len(b.Responses) != 1 || b.Responses[0].CertifiedKeyPair == nil {
		t.Fatalf("%s: no certificate in a %v", name, m.Body.Type())
	}
	cert, err := x509.ParseCertificate(b.Responses[0].CertifiedKeyPair.Certificate)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return fmt.Sprintf("%x", cert.SerialNumber.Bytes())
}

// checkStore compares what the database says was issued with what the answers
// carry, and verifies the audit log.
func checkStore(t testing.TB, config string, serials map[string]string) {
	t.Helper()
	ctx := context.Background()
	cfg, err := configs.Load(config)
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(ctx, cfg.Store.SQLite, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	n := 0
	for c, err := range store.Certificates(ctx, spool.CertFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if serials[fmt.Sprintf("%x", c.Serial)] == "" {
			t.Errorf("certificate %x of %s was issued and is in no answer", c.Serial, c.Subject)
		}
	}
	if n != len(serials) {
		t.Errorf("%d certificates in the database, %d in answers", n, len(serials))
	}
	if _, _, err := store.VerifyAudit(ctx); err != nil {
		t.Errorf("audit log: %v", err)
	}
	late, err := store.Undelivered(ctx, 0, 10)
	if err != nil || len(late) != 0 {
		t.Errorf("undelivered: %d, %v", len(late), err)
	}
}
