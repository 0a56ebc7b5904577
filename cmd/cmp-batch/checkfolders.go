package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cmp-batch/cmpcore/der"
	"cmp-batch/configs"
	"cmp-batch/spool/durable"
)

// folder is one that was opened.
type folder struct {
	check, path string
	info        durable.Info
}

// folders checks the folders of all channels, and those of database and CRL for
// space.
func (k *checker) folders() {
	var seen []folder
	for _, ch := range k.cfg.Channels {
		seen = k.channel(ch, seen)
	}
	space := map[uint64]bool{}
	for _, f := range append(seen, folder{check: "database", path: filepath.Dir(k.cfg.Store.SQLite)}) {
		if f.info == (durable.Info{}) {
			if d, err := durable.OpenDir(f.path); err == nil {
				f.info = d.Info()
				d.Close()
			}
		}
		if !space[f.info.Dev] {
			space[f.info.Dev] = true
			k.space(f)
		}
	}
}

func (k *checker) channel(ch configs.Channel, seen []folder) []folder {
	base := "channel." + ch.Name
	open := func(role, path string) *folder {
		if path == "" {
			return nil
		}
		f := folder{check: base + "." + role, path: path}
		if !k.open(&f) {
			return nil
		}
		for _, other := range seen {
			if f.info.SameFile(other.info) && f.info.Ino != 0 {
				k.misconfigured(f.check, "give each its own folder", "%s is the same folder as %s of %s", path, other.path, other.check)
			}
		}
		seen = append(seen, f)
		return &f
	}
	in := open("in", ch.Dir.In)
	out := open("out", ch.Dir.Out)
	archive := open("archive", ch.Dir.Archive)
	failed := open("failed", ch.Dir.Failed)
	for _, f := range []*folder{archive, failed} {
		if in != nil && f != nil && f.info.Dev != in.info.Dev {
			k.warn(f.check, "put it on the file system of "+ch.Dir.In, "%s is on another file system than the requests: each is copied, which is slow", f.path)
		}
	}
	if in != nil {
		k.requests(in, ch.Dir.Suffixes)
	}
	for _, f := range []*folder{out, archive, failed} {
		if f != nil {
			k.leftovers(f)
		}
	}
	return seen
}

func (k *checker) open(f *folder) bool {
	info, err := os.Stat(f.path)
	switch {
	case missing(err):
		k.misconfigured(f.check, "mkdir "+shellQuote(f.path)+", or mount what belongs there", "%s is not there", f.path)
		return false
	case err != nil:
		k.fail(f.check, "", "%v", err)
		return false
	case !info.IsDir():
		k.misconfigured(f.check, "", "%s is not a folder", f.path)
		return false
	}
	if err := writableFolder(f.path); err != nil {
		k.fail(f.check, "give this user the right to read and write there", "%v", err)
		return false
	}
	d, err := durable.OpenDir(f.path)
	if err != nil {
		k.fail(f.check, "", "%v", err)
		return false
	}
	defer d.Close()
	f.info = d.Info()
	return true
}

// entries visits what is in a folder without holding all of it.
func entries(path string, visit func(os.DirEntry)) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		list, err := d.ReadDir(1024)
		for _, e := range list {
			visit(e)
		}
		if errors.Is(err, io.EOF) || err == nil && len(list) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// requests looks at what waits in a folder of requests.
func (k *checker) requests(f *folder, suffixes []string) {
	var ready, other, unfinished, partial, closed, looked int
	hold := false
	err := entries(f.path, func(e os.DirEntry) {
		name := strings.ToLower(e.Name())
		switch {
		case e.Name() == ".cmp-batch":
			hold = true
		case strings.HasSuffix(name, ".tmp"), strings.HasSuffix(name, ".part"), strings.HasSuffix(name, "~"):
			if k.older(e, 24*time.Hour) {
				unfinished++
			}
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, ".reason.json"):
		case e.IsDir():
		case hasSuffixIn(name, suffixes):
			ready++
			if looked++; looked > mostLookedAt {
				return
			}
			switch whole, err := isWhole(filepath.Join(f.path, e.Name()), e); {
			case errors.Is(err, fs.ErrPermission):
				closed++
			case err == nil && !whole && k.older(e, time.Minute):
				partial++
			}
		default:
			other++
		}
	})
	if err != nil {
		k.fail(f.check, "", "%v", err)
		return
	}
	k.ok(f.check, "%s: %s to be read", f.path, count(ready, "file"))
	if other > 0 {
		k.warn(f.check, "names must end in "+strings.Join(suffixes, ", "), "%s never read because of the name", countAre(other, "file"))
	}
	if closed > 0 {
		k.warn(f.check, "give this user the right to read what others drop there", "%s not readable for this user", countAre(closed, "file"))
	}
	if partial > 0 {
		k.warn(f.check, "ask the sender for the rest", "%s not whole, for a minute or longer", countAre(partial, "file"))
	}
	if unfinished > 0 {
		k.warn(f.check, "ask the sender, and remove them", "%s unfinished for more than a day", countAre(unfinished, "file"))
	}
	if hold && !k.running {
		k.heldBack(f)
	}
}

// mostLookedAt bounds how many requests are opened.
const mostLookedAt = 10_000

// isWhole tells whether a file is as long as its first octets say. What can
// never be a message counts as whole: the next run puts it aside.
func isWhole(path string, e os.DirEntry) (bool, error) {
	if !e.Type().IsRegular() {
		return true, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	var head [6]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if n > 0 && head[0] != 0x30 {
		return true, nil
	}
	size, err := der.Size(head[:n])
	if errors.Is(err, der.ErrTruncated) {
		return false, nil
	}
	return err != nil || size <= info.Size(), nil
}

// heldBack looks at what a crash left between two folders.
func (k *checker) heldBack(f *folder) {
	n := 0
	if err := entries(filepath.Join(f.path, ".cmp-batch"), func(os.DirEntry) { n++ }); err == nil && n > 0 {
		k.warn(f.check, "the next run puts them back", "%s left by a crash in %s", countAre(n, "file"), filepath.Join(f.path, ".cmp-batch"))
	}
}

func hasSuffixIn(name string, suffixes []string) bool {
	for _, s := range suffixes {
		if strings.HasSuffix(name, strings.ToLower(s)) {
			return true
		}
	}
	return false
}

func countAre(n int, noun string) string {
	verb := "are"
	if n == 1 {
		verb = "is"
	}
	return count(n, noun) + " " + verb
}

func (k *checker) older(e os.DirEntry, d time.Duration) bool {
	info, err := e.Info()
	return err == nil && k.now.Sub(info.ModTime()) > d
}

// leftovers finds temporary files of a crash; those of a running program are
// young.
func (k *checker) leftovers(f *folder) {
	files, stale := 0, 0
	err := entries(f.path, func(e os.DirEntry) {
		switch name := e.Name(); {
		case strings.HasPrefix(name, ".cmp-batch-") && strings.HasSuffix(name, ".tmp"):
			if k.older(e, time.Hour) {
				stale++
			}
		case !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, ".reason.json"):
			files++
		}
	})
	if err != nil {
		k.fail(f.check, "", "%v", err)
		return
	}
	k.ok(f.check, "%s: %s", f.path, count(files, "file"))
	if stale > 0 {
		k.warn(f.check, "remove .cmp-batch-*.tmp there", "%s left by a crash", countAre(stale, "temporary file"))
	}
}

// Space below which work will stop soon, and below which it stops.
const (
	littleSpace = 256 << 20 // octets
	noSpace     = 16 << 20
)

func (k *checker) space(f folder) {
	free, ok := freeSpace(f.path)
	text := fmt.Sprintf("%d MiB are free on the file system of %s", free>>20, f.path)
	switch {
	case !ok:
	case free < noSpace:
		k.fail("space", "make room", "%s", text)
	case free < littleSpace:
		k.warn("space", "make room", "%s", text)
	default:
		k.ok("space", "%s", text)
	}
}
