package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool"
)

// benchMAC is what OpenSSL 3.0 protects with: SHA-256, 500 iterations,
// HMAC-SHA1.
var benchMAC = client.MAC{Hash: "sha256", HMAC: "sha1", Iterations: 500}

const benchRef = "lot-1"

// benchCA makes a CA with one registered secret.
func benchCA(tb testing.TB, dir string) (config string, secret []byte) {
	tb.Helper()
	ctx := context.Background()
	made, err := makeCA(ctx, dir, initOptions{subject: "CN=Bench CA", keyType: "ecdsa-p256", validity: "10y"})
	if err != nil {
		tb.Fatal(err)
	}
	c := &cli{stdout: os.Stdout, stderr: os.Stderr, configFile: made.Config, logFormat: "auto", logLevel: "error"}
	a, err := c.openVault(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	defer a.close()
	secret = []byte("the secret of lot 1, as good as any")
	sealed, err := a.vault.Seal(rand.Reader, benchRef, secret)
	if err != nil {
		tb.Fatal(err)
	}
	if err := a.store.AddSecret(ctx, &cmpcore.Secret{Ref: benchRef, Sealed: sealed, Created: time.Now()}); err != nil {
		tb.Fatal(err)
	}
	return made.Config, secret
}

// writeRequests drops n different ir messages of P-256 keys into a folder.
func writeRequests(tb testing.TB, folder string, n int, secret []byte, mac client.MAC) {
	tb.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				if err != nil {
					tb.Error(err)
					return
				}
				subject, err := pkix.ParseDN(fmt.Sprintf("CN=device %d,O=Lot 1", i))
				if err != nil {
					tb.Error(err)
					return
				}
				_, message, err := client.Start(client.Options{
					Kind: cmp.TypeIR, ImplicitConfirm: true,
					Credentials:  client.Credentials{Secret: secret, Reference: []byte(benchRef), MAC: mac, Now: time.Now(), Rand: rand.Reader},
					Certificates: []client.CertificateRequest{{Subject: subject, Key: key}},
				})
				if err != nil {
					tb.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("device-%07d.pki", i)), message, 0o644); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
}

// pbm500 is the password-based MAC by the standard library alone.
func pbm500(secret, salt, message []byte) []byte {
	k := sha256.Sum256(append(append([]byte(nil), secret...), salt...))
	for range 499 {
		k = sha256.Sum256(k[:])
	}
	m := hmac.New(sha1.New, k[:])
	m.Write(message)
	return m.Sum(nil)
}

// cryptoFloor is how many enrolments a second all cores can compute the
// cryptography of, and nothing else: key derivation and check of the request's
// MAC, the signature of the proof of possession, the signature of the
// certificate, key derivation and MAC of the answer. P-256, 500 iterations.
// It also tells the processor time of one, which other load on the machine
// disturbs less. shared leaves out the second derivation, which an answer with
// the salt of its request does not need.
func cryptoFloor(tb testing.TB, d time.Duration, shared bool) (rate, cpu float64) {
	tb.Helper()
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	device, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	secret, salt := make([]byte, 35), make([]byte, 16)
	request, certReq, tbs, reply := make([]byte, 600), make([]byte, 180), make([]byte, 350), make([]byte, 1300)
	digest := sha256.Sum256(certReq)
	pop, err := device.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	mac := pbm500(secret, salt, request)
	var n atomic.Int64
	var wg sync.WaitGroup
	began, used := time.Now(), processorTime(tb)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for time.Since(began) < d {
				if !hmac.Equal(pbm500(secret, salt, request), mac) {
					tb.Error("MAC")
				}
				h := sha256.Sum256(certReq)
				if !ecdsa.VerifyASN1(&device.PublicKey, h[:], pop) {
					tb.Error("POP")
				}
				h = sha256.Sum256(tbs)
				if _, err := ca.Sign(rand.Reader, h[:], crypto.SHA256); err != nil {
					tb.Error(err)
				}
				if shared {
					hmac.New(sha1.New, salt).Write(reply)
				} else {
					pbm500(secret, salt, reply)
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(began).Seconds(), (processorTime(tb) - used) / float64(n.Load())
}

// processorTime is what this process has used, in seconds.
func processorTime(tb testing.TB) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// command runs the program as a process of its own: the test binary, told to
// be cmp-batch.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), beMain+"=1")
	return cmd
}

// BenchmarkEndToEnd is the yardstick of the project: `run --once` over a full
// spool, files in, durable commits, files out, archived, as a ratio to the
// crypto floor measured in the same run, before and after.
func BenchmarkEndToEnd(b *testing.B) {
	// One folder to the end: what the file system does to free the files of one
	// run would weigh on the next.
	work := b.TempDir()
	program := filepath.Join(work, "cmp-batch")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	for _, n := range []int{20_000, 40_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				endToEnd(b, program, filepath.Join(work, fmt.Sprintf("ca-%d-%d", n, i)), n)
			}
		})
	}
}

func endToEnd(b *testing.B, program, dir string, n int) {
	config, secret := benchCA(b, dir)
	writeRequests(b, filepath.Join(dir, "spool", "in"), n, secret, benchMAC)
	syscall.Sync()

	floor, floorCPU := cryptoFloor(b, 2*time.Second, false)
	least, _ := cryptoFloor(b, 2*time.Second, true)
	cmd := exec.Command(program, "run", "-c", config, "--once", "--json", "--log-level", "warn")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	after, afterCPU := cryptoFloor(b, 2*time.Second, false)
	floor, floorCPU = (floor+after)/2, (floorCPU+afterCPU)/2
	leastAfter, _ := cryptoFloor(b, 2*time.Second, true)
	least = (least + leastAfter) / 2

	var s spool.Summary
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		b.Fatalf("%v: %s", err, out.Bytes())
	}
	if s.Received != int64(n) || s.Issued != int64(n) || s.Refused != 0 || !s.Complete() || !s.Reconciles() {
		b.Fatalf("not all was answered: %+v", s)
	}
	for folder, want := range map[string]int{"in": 0, "out": n, "archive": n, "failed": 0} {
		entries, err := os.ReadDir(filepath.Join(dir, "spool", folder))
		if err != nil {
			b.Fatal(err)
		}
		if len(entries) != want {
			b.Fatalf("%s has %d files, not %d", folder, len(entries), want)
		}
	}
	rate := float64(n) / took.Seconds()
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	b.ReportMetric(floor, "floor/s")
	b.ReportMetric(rate, "rate/s")
	b.ReportMetric(rate/floor, "ratio")
	b.ReportMetric(rate/least, "ratio-shared")
	b.ReportMetric(float64(usage.Maxrss)/1024, "peak-MiB")
	cpu := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() / float64(n)
	b.ReportMetric(floorCPU/cpu, "cpu-ratio")
	b.ReportMetric(floorCPU*1e6, "floor-µs/op")
	b.ReportMetric(cmd.ProcessState.UserTime().Seconds()*1e6/float64(n), "user-µs/op")
	b.ReportMetric(cmd.ProcessState.SystemTime().Seconds()*1e6/float64(n), "sys-µs/op")
	b.ReportMetric(float64(usage.Oublock)*512/float64(n), "disk-B/op")
	b.ReportMetric(0, "ns/op")
}
