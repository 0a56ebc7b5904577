package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/spool/sqlite"
)

// TestCheckBesideRun: what a running daemon has is not wrong.
func TestCheckBesideRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	config := filepath.Join(dir, "cmp-batch.yaml")
	call := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := run(args, strings.NewReader(""), &out, &errs); got != want {
			t.Fatalf("%q: exit %d, want %d\n%s%s", args, got, want, &out, &errs)
		}
		return out.String()
	}
	call(exitDone, "init", dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := os.OpenFile(config, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "\nmetrics: {listen: %q}\n", l.Addr().String())
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	out := call(exitRetry, "check", "--quick", "-c", config)
	for _, want := range []string{"no run is at work", "FAIL  metrics.listen"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	release, err := sqlite.LockRun(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	out = call(exitDone, "check", "--quick", "-c", config)
	for _, want := range []string{fmt.Sprintf("(process %d)", os.Getpid()), "is in use, and a daemon is running"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestParseSerial(t *testing.T) {
	for text, want := range map[string]string{
		"3fa901": "3fa901", "3F:A9:01": "3fa901", "0x3Fa901": "3fa901", "00:3f:a9:01": "3fa901", "0003FA901": "3fa901",
		"abc": "0abc", "1": "01", "3f a9 01": "3fa901",
		"": "", "0": "", "0x": "", "00:00": "", "xyz": "", "-1": "", "3f,a9": "", strings.Repeat("ff", 65): "",
	} {
		got, err := parseSerial(text)
		if fmt.Sprintf("%x", got) != want || (err != nil) != (want == "") {
			t.Errorf("%q: %x, %v; want %s", text, got, err, want)
		}
	}
}
