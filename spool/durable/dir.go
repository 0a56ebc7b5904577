package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// ErrNotRegular is in the error of opening what is no regular file.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge is in the error of reading a file that is larger than allowed.
var ErrTooLarge = errors.New("file is larger than the limit")

// ErrCrossDevice is in the error of a move between file systems.
var ErrCrossDevice = errors.New("the folders are on different file systems")

// Dir is an open directory. Its methods may be used concurrently, but for
// Close and Inject.
type Dir struct {
	path  string
	h     handle
	info  Info
	fault Fault

	taken atomic.Bool // the last batch of WriteAll met files that were there, or failed
}

// OpenDir opens the directory at path, through links if there are any.
func OpenDir(path string) (*Dir, error) {
	h, info, err := openHandle(path)
	if err != nil {
		return nil, err
	}
	return &Dir{path: path, h: h, info: info}, nil
}

// Path is the path that d was opened with.
func (d *Dir) Path() string { return d.path }

// Close frees d.
func (d *Dir) Close() error { return d.h.close() }

// Info is what the directory was when it was opened.
func (d *Dir) Info() Info { return d.info }

// Current tells whether the path still leads to the open directory. It does
// not after the directory was renamed, or another file system mounted over it.
func (d *Dir) Current() (bool, error) {
	fi, err := statPath(d.path)
	if err != nil {
		return false, err
	}
	return fi.SameFile(d.info), nil
}

// Sub opens the directory name in d, which must not be a link. With create, it
// is made when it is not there, for the owner alone.
func (d *Dir) Sub(name string, create bool) (*Dir, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	if create {
		if err := d.h.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, d.failed("make folder", name, err)
		}
	}
	h, info, err := d.h.sub(name)
	if err != nil {
		return nil, d.failed("open folder", name, err)
	}
	return &Dir{path: d.path + string(os.PathSeparator) + name, h: h, info: info, fault: d.fault}, nil
}

// List gives a new listing of d from its beginning, for [os.File.ReadDir]. The
// types in it are hints.
func (d *Dir) List() (*os.File, error) { return d.h.list() }

// Stat tells what name is; a link is not followed.
func (d *Dir) Stat(name string) (Info, error) {
	if err := CheckName(name); err != nil {
		return Info{}, err
	}
	info, err := d.h.lstat(name)
	if err != nil {
		return Info{}, d.failed("look at", name, err)
	}
	return info, nil
}

// File is a regular file open for reading.
type File struct{ file }

// Open opens the regular file name for reading. It never follows a link and
// never waits: a FIFO, a device or a link is [ErrNotRegular].
func (d *Dir) Open(name string) (File, Info, error) {
	if err := CheckName(name); err != nil {
		return File{}, Info{}, err
	}
	f, err := d.h.open(name)
	if err != nil {
		// The error of opening a link or a socket has no name of its own.
		if info, serr := d.h.lstat(name); serr == nil && !info.Regular() {
			return File{}, info, d.failed("open", name, ErrNotRegular)
		}
		return File{}, Info{}, d.failed("open", name, err)
	}
	info, err := f.stat()
	if err == nil && !info.Regular() {
		err = ErrNotRegular
	}
	if err != nil {
		f.close()
		return File{}, info, d.failed("open", name, err)
	}
	return File{f}, info, nil
}

// Read fills b as far as the file goes from where the last Read ended, and
// tells how far.
func (f File) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := f.read(b[n:])
		n += m
		if err != nil && err != io.EOF {
			return n, err
		}
		if m == 0 || err == io.EOF {
			break
		}
	}
	return n, nil
}

// Stat tells what the file is now.
func (f File) Stat() (Info, error) { return f.stat() }

// Close closes the file.
func (f File) Close() error { return f.close() }

// Read reads the whole regular file name, at most limit octets ([ErrTooLarge]
// otherwise).
func (d *Dir) Read(name string, limit int64) ([]byte, Info, error) {
	f, info, err := d.Open(name)
	if err != nil {
		return nil, info, err
	}
	defer f.Close()
	if info.Size > limit {
		return nil, info, d.failed("read", name, fmt.Errorf("%w: %d octets, the limit is %d", ErrTooLarge, info.Size, limit))
	}
	b := make([]byte, info.Size)
	n, err := f.Read(b)
	if err != nil {
		return nil, info, d.failed("read", name, err)
	}
	return b[:n], info, nil
}

// Holds tells whether name is a regular file with exactly these contents; one
// that may not be read is not.
func (d *Dir) Holds(name string, data []byte) (bool, error) {
	info, err := d.Stat(name)
	if err != nil {
		return false, err
	}
	if !info.Regular() || info.Size != int64(len(data)) {
		return false, nil
	}
	b, _, err := d.Read(name, int64(len(data)))
	if err != nil {
		if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrNotRegular) || errors.Is(err, fs.ErrPermission) {
			return false, nil
		}
		return false, err
	}
	return bytes.Equal(b, data), nil
}

// Remove removes the name of a file. It is durable after Sync.
func (d *Dir) Remove(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return d.failed("remove", name, d.step(OpRemove, name, func() error { return d.h.remove(name) }))
}

// RemoveSub removes the directory name in d if it is empty.
func (d *Dir) RemoveSub(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return d.failed("remove folder", name, d.h.rmdir(name))
}

// Sync makes durable which names are in d and what they stand for.
func (d *Dir) Sync() error {
	if err := d.step(OpDirSync, "", d.h.sync); err != nil {
		return fmt.Errorf("sync folder %q: %w", d.path, err)
	}
	return nil
}

// RenameNoReplace gives the file, link or directory old in from the name to
// in dir. Where that name is taken, the error is [fs.ErrExist] and nothing is
// changed; between file systems it is [ErrCrossDevice]. It is durable after
// dir.Sync.
func RenameNoReplace(from *Dir, old string, dir *Dir, to string) error {
	if err := CheckName(old); err != nil {
		return err
	}
	if err := CheckName(to); err != nil {
		return err
	}
	err := from.step(OpMove, old, func() error { return renameNoReplace(from.h, old, dir.h, to) })
	if err != nil {
		return fmt.Errorf("move %.80q from %q to %q as %.80q: %w", old, from.path, dir.path, to, err)
	}
	return nil
}

func (d *Dir) failed(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %.80q in %q: %w", what, name, d.path, err)
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
