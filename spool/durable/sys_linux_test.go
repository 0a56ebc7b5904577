package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func withoutTmpfile(d *Dir)   { d.h.state.noTmpfile.Store(true) }
func withoutEmptyPath(d *Dir) { d.h.state.noEmptyPath.Store(true) }

var renames = map[string]func(from handle, old string, dir handle, to string) error{
	"renameat2":       renameNoReplace,
	"link and unlink": linkThenUnlink,
}

func makeFIFO(t *testing.T, path string) {
	t.Helper()
	must(t, unix.Mkfifo(path, 0o600))
}

func TestKernelRelease(t *testing.T) {
	for _, tt := range []struct {
		release string
		want    bool
	}{
		{"5.8.0", true}, {"5.8", true}, {"5.7.19-generic", false}, {"5.10.0-28-amd64", true}, {"6.1.0", true}, {"4.18.0-553.el8", false},
		{"10.0", true}, {"5.8-rc1", true}, {"5.15.153.1-microsoft-standard-WSL2", true}, {"", false}, {"5", false}, {"x.y", false},
	} {
		if got := release(tt.release, 5, 8); got != tt.want {
			t.Errorf("release(%q) = %v", tt.release, got)
		}
	}
}

// Watchers commonly wait for a file to be closed after writing, or moved in.
func TestWatchersSeeTheName(t *testing.T) {
	for name, limit := range map[string]func(*Dir){"nameless": func(*Dir) {}, "temporary name": withoutTmpfile} {
		t.Run(name, func(t *testing.T) {
			d := open(t, t.TempDir())
			limit(d)
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			must(t, err)
			defer unix.Close(fd)
			_, err = unix.InotifyAddWatch(fd, d.Path(), unix.IN_CLOSE_WRITE|unix.IN_MOVED_TO)
			must(t, err)
			must(t, d.WriteAll(t.Context(), []NewFile{{Name: "a.pki", Data: []byte("x")}}, WriteOptions{})[0].Err)
			write(t, filepath.Join(d.Path(), "end"), "") // so that the read below ends
			seen := false
			for {
				buf := make([]byte, 4096)
				n, err := unix.Read(fd, buf)
				must(t, err)
				for at := 0; at < n; {
					size := int(buf[at+12]) // of the name, padded
					event := unix.ByteSliceToString(buf[at+16 : at+16+size])
					at += 16 + size
					if event == "end" {
						if !seen {
							t.Fatal("a.pki was not seen")
						}
						return
					}
					seen = seen || event == "a.pki"
				}
			}
		})
	}
}

// More files than descriptors.
func TestFewDescriptors(t *testing.T) {
	d := open(t, t.TempDir())
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	few := old
	few.Cur = 60
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
	got := d.WriteAll(t.Context(), batch(200), WriteOptions{})
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	for i, p := range got {
		if p.Err != nil {
			t.Fatalf("file %d: %v", i, p.Err)
		}
	}
}

// BenchmarkWriteAll is the cost of an answer: 1.5 kB files in batches, on the
// file system of the working directory. Nothing is deleted between the rounds, as ext4
// avoids inodes that were freed a short while ago and gets slow.
func BenchmarkWriteAll(b *testing.B) {
	root, err := os.MkdirTemp(".", "bench-")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(root) })
	for _, way := range []struct {
		name  string
		limit func(*Dir)
	}{
		{"nameless", func(*Dir) {}},
		{"proc", withoutEmptyPath},
		{"temporary", withoutTmpfile},
		{"fsync", func(d *Dir) { d.h.syncFS = false }},
	} {
		for _, n := range []int{1, 16, 512} {
			b.Run(fmt.Sprintf("%s-%d", way.name, n), func(b *testing.B) {
				base, err := os.MkdirTemp(root, "")
				must(b, err)
				d := open(b, base)
				way.limit(d)
				files := make([]NewFile, n)
				data := make([]byte, 1500)
				round := 0
				b.ReportAllocs()
				for b.Loop() {
					for i := range files {
						files[i] = NewFile{Name: fmt.Sprintf("%06d-%03d.pki", round, i), Data: data}
					}
					round++
					for _, p := range d.WriteAll(b.Context(), files, WriteOptions{Rename: true}) {
						must(b, p.Err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/file")
			})
		}
	}
}
