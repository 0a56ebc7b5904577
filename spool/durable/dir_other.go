//go:build !linux

package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

func localName(name string) bool {
	return filepath.IsLocal(name) && !strings.ContainsAny(name, "/\x00") && filepath.Base(name) == name
}

// handle is an open directory.
type handle struct {
	root   *os.Root
	path   string
	syncFS bool
}

func openHandle(path string) (handle, Info, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return handle{}, Info{}, err
	}
	return newHandle(root, path)
}

func newHandle(root *os.Root, path string) (handle, Info, error) {
	fi, err := root.Stat(".")
	if err != nil {
		root.Close()
		return handle{}, Info{}, err
	}
	return handle{root: root, path: path}, infoOf(fi), nil
}

func (h handle) close() error { return h.root.Close() }

func statPath(path string) (Info, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func infoOf(fi fs.FileInfo) Info {
	i := Info{Size: fi.Size(), Type: fi.Mode().Type(), Modified: fi.ModTime().UnixNano()}
	i.Dev, i.Ino = inode(fi)
	return i
}

func (h handle) lstat(name string) (Info, error) {
	fi, err := h.root.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (h handle) sub(name string) (handle, Info, error) {
	if fi, err := h.root.Lstat(name); err != nil {
		return handle{}, Info{}, err
	} else if !fi.IsDir() {
		return handle{}, Info{}, syscall.ENOTDIR
	}
	root, err := h.root.OpenRoot(name)
	if err != nil {
		return handle{}, Info{}, err
	}
	return newHandle(root, filepath.Join(h.path, name))
}

func (h handle) mkdir(name string) error { return h.root.Mkdir(name, 0o700) }

func (h handle) rmdir(name string) error { return h.root.Remove(name) }

func (h handle) list() (*os.File, error) { return h.root.Open(".") }

// open looks before it opens, and again after: os.Root follows links that stay
// inside.
func (h handle) open(name string) (file, error) {
	before, err := h.root.Lstat(name)
	if err != nil {
		return file{}, err
	}
	if !before.Mode().IsRegular() {
		return file{}, ErrNotRegular
	}
	f, err := h.root.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return file{}, err
	}
	if after, err := f.Stat(); err != nil || !os.SameFile(before, after) {
		f.Close()
		return file{}, errors.Join(err, ErrNotRegular)
	}
	return file{f}, nil
}

func (h handle) create(name string, perm fs.FileMode) (file, error) {
	f, err := h.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm.Perm())
	return file{f}, err
}

func (h handle) tmpfile(fs.FileMode) (file, error) { return file{}, errors.ErrUnsupported }

func (h handle) link(file, string) error { return errors.ErrUnsupported }

func (h handle) remove(name string) error { return h.root.Remove(name) }

func (h handle) sync() error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call
	}
	f, err := h.root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func (h handle) syncAll() error { return errors.ErrUnsupported }

// renameNoReplace links and unlinks; what cannot be linked is renamed after a look.
func renameNoReplace(from handle, old string, dir handle, to string) error {
	fi, err := from.root.Lstat(old)
	if err != nil {
		return err
	}
	source, target := filepath.Join(from.path, old), filepath.Join(dir.path, to)
	if fi.Mode().IsRegular() {
		switch err := os.Link(source, target); {
		case err == nil:
			return from.root.Remove(old)
		case errors.Is(err, fs.ErrExist):
			return err
		}
	}
	if _, err := dir.root.Lstat(to); err == nil {
		return fs.ErrExist
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return crossDevice(os.Rename(source, target))
}

// file is an open file.
type file struct{ f *os.File }

func (f file) stat() (Info, error) {
	fi, err := f.f.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (f file) read(b []byte) (int, error) { return f.f.Read(b) }

func (f file) write(b []byte) error {
	_, err := f.f.Write(b)
	return err
}

func (f file) chmod(perm fs.FileMode) error { return f.f.Chmod(perm.Perm()) }

func (f file) startSync() {}

func (f file) sync() error { return f.f.Sync() }

func (f file) close() error { return f.f.Close() }

// permanent tells of a system error whether the same name will always meet it.
func permanent(err error) bool {
	return errors.Is(err, syscall.ENAMETOOLONG) || errors.Is(err, syscall.EINVAL)
}
