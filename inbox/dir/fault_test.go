package dir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/spool"
	"cmp-batch/spool/channeltest"
	"cmp-batch/spool/durable"
)

var errFault = errors.New("injected fault")

// scenario is a batch of files with what becomes of them.
func scenario(t *testing.T, e *env) (contents [][]byte) {
	for i := range 6 {
		data := channeltest.Message(i)
		if i%3 == 2 {
			data = []byte(fmt.Sprintf("bad %d", i))
		}
		e.put(fmt.Sprintf("%02d.pki", i), data)
		contents = append(contents, data)
	}
	// Names are taken, by other contents and by the same.
	if !e.o.Delete {
		write(t, filepath.Join(e.o.Archive, "00.pki"), []byte("older"))
		write(t, filepath.Join(e.o.Archive, "01.pki"), channeltest.Message(1))
	}
	write(t, filepath.Join(e.o.Failed, "02.pki"), []byte("older"))
	return contents
}

// settlements collects everything.
func (e *env) settlements() (s []spool.Settlement) {
	for _, it := range e.collect(100) {
		x := spool.Settlement{ID: it.ID, Action: spool.Done, Reason: it.Bad}
		if it.Bad != "" {
			x.Action = spool.Quarantine
		}
		s = append(s, x)
	}
	return s
}

// settleBy settles in one batch or one by one.
func (e *env) settleBy(s []spool.Settlement, batch bool) (errs []error) {
	if batch {
		return e.src.Settle(e.Context(), s)
	}
	for _, x := range s {
		errs = append(errs, e.src.Settle(e.Context(), []spool.Settlement{x})...)
	}
	return errs
}

// holds counts in how many files the contents are, below all folders.
func (e *env) holds(contents []byte) (places []string) {
	e.Helper()
	for _, d := range []string{e.o.In, e.o.Archive, e.o.Failed} {
		if d == "" {
			continue
		}
		err := filepath.WalkDir(d, func(path string, x fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || err == nil && !x.Type().IsRegular() {
				return nil
			}
			if err != nil {
				return err
			}
			if b, err := os.ReadFile(path); err == nil && bytes.Equal(b, contents) {
				places = append(places, path)
			}
			return nil
		})
		must(e.T, err)
	}
	return places
}

// audit is what must hold at every moment.
func (e *env) audit(contents [][]byte, when string) {
	e.Helper()
	for _, c := range contents {
		bad := c[0] != 0x30
		if len(e.holds(c)) == 0 && (bad || !e.o.Delete) {
			e.Fatalf("%s: %q is nowhere", when, c)
		}
	}
	aside, err := os.ReadDir(e.o.Failed)
	must(e.T, err)
	for _, x := range aside {
		if strings.HasPrefix(x.Name(), ".") || strings.HasSuffix(x.Name(), reasonSuffix) || x.Name() == "02.pki" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(e.o.Failed, x.Name()+reasonSuffix))
		if err != nil || !bytes.HasSuffix(b, []byte("}\n")) {
			e.Fatalf("%s: %q in quarantine has no whole reason: %q, %v", when, x.Name(), b, err)
		}
	}
}

// TestFaultAtEveryStep makes the n-th step fail, for each n, before or after it
// took effect, once or for ever after as in a crash; then the process starts again without faults.
// Nothing may be lost at any time, and everything must come to its end.
func TestFaultAtEveryStep(t *testing.T) {
	for kind, change := range map[string]func(*testing.T) func(*Options){
		"archive":             func(t *testing.T) func(*Options) { return inMemory(t) },
		"delete":              func(t *testing.T) func(*Options) { return func(o *Options) { inMemory(t)(o); deletes(o) } },
		"another file system": func(t *testing.T) func(*Options) { return elsewhere(t) },
	} {
		for _, apply := range []bool{false, true} {
			for _, crash := range []bool{false, true} {
				for _, batch := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, apply %v, crash %v, batch %v", kind, apply, crash, batch), func(t *testing.T) {
						t.Parallel()
						steps := map[durable.Op]bool{}
						for n := 0; ; n++ {
							if !faultAt(t, change, n, apply, crash, batch, steps) {
								break
							}
						}
						want := []durable.Op{durable.OpCreate, durable.OpWrite, durable.OpName, durable.OpMove, durable.OpDirSync}
						for _, op := range want {
							if !steps[op] {
								t.Errorf("no step %q was seen", op)
							}
						}
					})
				}
			}
		}
	}
}

// inMemory puts all folders where a sync costs nothing.
func inMemory(t *testing.T) func(*Options) {
	return func(o *Options) {
		elsewhere(t)(o)
		o.In = filepath.Join(filepath.Dir(o.Failed), "in")
	}
}

func faultAt(t *testing.T, change func(*testing.T) func(*Options), n int, apply, crash, batch bool, steps map[durable.Op]bool) (reached bool) {
	e := newEnv(t, change(t))
	contents := scenario(t, e)
	count, watching := 0, true
	e.fault = func(op durable.Op, dir, name string) (bool, error) {
		if !watching {
			return true, nil
		}
		steps[op] = true
		at := fmt.Sprintf("step %d (%s of %q in %q)", count, op, name, filepath.Base(dir))
		if count >= n { // what is before is seen in the runs before
			e.audit(contents, "before "+at)
		}
		count++
		if count-1 == n || crash && count > n {
			reached = true
			return apply && count-1 == n, fmt.Errorf("%s: %w", at, errFault)
		}
		return true, nil
	}
	e.open()
	first := e.settlements()
	e.settleBy(first, batch)
	e.audit(contents, fmt.Sprintf("after a fault at step %d", n))
	watching = false

	// Repeating must do, or if not, a new start.
	if crash {
		e.open()
	}
	for range 3 {
		for _, x := range first {
			if errs := e.src.Settle(t.Context(), []spool.Settlement{x}); errs[0] != nil {
				t.Fatalf("after a fault at step %d: settle again: %v", n, errs[0])
			}
		}
		for _, err := range e.settleBy(e.settlements(), batch) {
			if err != nil {
				t.Fatalf("after a fault at step %d: %v", n, err)
			}
		}
	}
	e.src.Close()
	e.audit(contents, fmt.Sprintf("at the end, after a fault at step %d", n))
	if left := files(t, e.o.In); left != 0 {
		t.Fatalf("after a fault at step %d: %d files are left", n, left)
	}
	for _, c := range contents {
		places := e.holds(c)
		switch bad := c[0] != 0x30; {
		case bad && (len(places) != 1 || filepath.Dir(places[0]) != e.o.Failed),
			!bad && !e.o.Delete && (len(places) != 1 || filepath.Dir(places[0]) != e.o.Archive),
			!bad && e.o.Delete && len(places) != 0:
			t.Fatalf("after a fault at step %d: %q is in %q", n, c, places)
		}
	}
	return reached
}
