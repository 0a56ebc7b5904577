package sqlite_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/spool/sqlite"
)

// The test binary runs itself as another process; childJob says what that does.
const childJob = "CMPBATCH_TEST_CHILD"

func TestMain(m *testing.M) {
	job, path, _ := strings.Cut(os.Getenv(childJob), " ")
	switch job {
	case "":
		os.Exit(m.Run())
	case "commit":
		childCommits(path)
	case "secrets":
		childSecrets(path)
	case "lock":
		childLock(path)
	}
	os.Exit(2)
}

func check(err error) {
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// childCommits commits batches for ever and says the number of each one that
// is durable.
func childCommits(path string) {
	first, path, _ := strings.Cut(path, " ")
	n, err := strconv.ParseUint(first, 10, 64)
	check(err)
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	check(err)
	for ; ; n += killBatch {
		id, v, err := s.Commit(ctx, entries(n, killBatch))
		check(err)
		if v[0].Conflict {
			check(fmt.Errorf("entry %d is a conflict", n))
		}
		fmt.Println("stored", n)
		if n%(3*killBatch) == 0 {
			check(s.Delivered(ctx, id, nil))
		}
	}
}

// childSecrets registers a secret for each line it gets.
func childSecrets(path string) {
	s, err := sqlite.Open(ctx, path, sqlite.Options{})
	check(err)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		check(s.AddSecret(ctx, &cmpcore.Secret{Ref: lines.Text(), Sealed: []byte("sealed")}))
		fmt.Println("stored", lines.Text())
	}
	check(s.Close())
	os.Exit(0)
}

func childLock(path string) {
	_, err := sqlite.LockRun(path)
	check(err)
	fmt.Println("locked")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

type child struct {
	*exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func start(t *testing.T, job string) *child {
	t.Helper()
	c := &child{Cmd: exec.Command(os.Args[0])}
	c.Env = append(os.Environ(), childJob+"="+job)
	c.Stderr = os.Stderr
	var err error
	if c.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return c
}

// line reads what the child says; ok is false at its end.
func (c *child) line(t *testing.T) (string, bool) {
	t.Helper()
	if !c.out.Scan() {
		return "", false
	}
	if strings.HasPrefix(c.out.Text(), "error ") {
		t.Fatal("child: " + c.out.Text())
	}
	return c.out.Text(), true
}

const killBatch = 20

// What a process said it has stored is there, whenever it is killed, and no
// batch is there by half.
func TestKilledProcessLeavesWholeBatches(t *testing.T) {
	sqlite.SetWALPages(t, 64) // not in the child; the parent copies the log often
	s, path := create(t)
	s.Close()
	var next uint64
	rng := rand.New(rand.NewPCG(1, 2))
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		c := start(t, fmt.Sprintf("commit %d %s", next, path))
		var said []uint64
		for range 1 + rng.IntN(12) {
			line, ok := c.line(t)
			if !ok {
				t.Fatal("the child has ended")
			}
			var n uint64
			if _, err := fmt.Sscanf(line, "stored %d", &n); err != nil {
				t.Fatal(line, err)
			}
			said = append(said, n)
		}
		// The child is at any place in its next commits.
		c.Process.Kill()
		for {
			line, ok := c.line(t)
			if !ok {
				break
			}
			var n uint64
			if _, err := fmt.Sscanf(line, "stored %d", &n); err == nil {
				said = append(said, n)
			}
		}
		c.Wait()
		s := open(t, path)
		for _, n := range said {
			if found := has(t, s, n, killBatch); found != killBatch {
				t.Fatalf("round %d: %d of the batch at %d are there", round, found, n)
			}
		}
		last := said[len(said)-1] + killBatch
		switch found := has(t, s, last, killBatch); found {
		case killBatch: // durable, but not said
			next = last + killBatch
		case 0:
			next = last
		default:
			t.Fatalf("round %d: %d of a batch are there", round, found)
		}
		if found := has(t, s, next, killBatch); found != 0 {
			t.Fatalf("round %d: %d of a batch that was not reached are there", round, found)
		}
		sound(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A command adds secrets while the daemon commits.
func TestAnotherProcessMayWriteMeanwhile(t *testing.T) {
	s, path := create(t)
	c := start(t, "secrets "+path)
	for i := range uint64(50) {
		ref := fmt.Sprint("ref ", i)
		fmt.Fprintln(c.in, ref)
		store(t, s, entries(10*i, 10)...)
		if line, ok := c.line(t); !ok || line != "stored "+ref {
			t.Fatalf("child said %q", line)
		}
		// It is seen at once, and can be used.
		if got, err := s.View().Secret(ctx, ref); err != nil || got == nil {
			t.Fatalf("secret %s: %v %v", ref, got, err)
		}
		e := entry(1000 + i)
		e.Outcome.SecretUses = []cmpcore.SecretUse{{Ref: ref, N: 1}}
		store(t, s, e)
	}
	c.in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if n, err := s.Counts(ctx); err != nil || n.Secrets != 50 || n.Messages != 550 {
		t.Errorf("%+v %v", n, err)
	}
	sound(t, s)
}

func TestLockRunEndsWithItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	c := start(t, "lock "+path)
	if line, _ := c.line(t); line != "locked" {
		t.Fatal(line)
	}
	if _, err := sqlite.LockRun(path); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", c.Process.Pid)) {
		t.Errorf("error %v, want one that names process %d", err, c.Process.Pid)
	}
	c.Process.Kill()
	c.Wait()
	release, err := sqlite.LockRun(path)
	if err != nil {
		t.Fatal(err)
	}
	release()
}
