package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// On Linux all calls are relative to the descriptor of the directory and take
// one component, never following a link. That is stricter than os.Root, which follows
// links that stay inside, and saves its poller calls for each file.

func localName(name string) bool { return !strings.ContainsAny(name, "/\x00") }

// handle is an open directory.
type handle struct {
	fd     int
	path   string
	syncFS bool // syncfs does what fsync of each file would
	state  *handleState
}

// handleState remembers what the file system turned out not to have.
type handleState struct {
	noTmpfile   atomic.Bool // O_TMPFILE
	noEmptyPath atomic.Bool // linkat(AT_EMPTY_PATH), which may need a privilege
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

func openat(dirfd int, name string, flags int, perm uint32) (fd int, err error) {
	err = retry(func() error {
		var err error
		fd, err = unix.Openat(dirfd, name, flags|unix.O_CLOEXEC, perm)
		return err
	})
	return fd, err
}

func openHandle(path string) (handle, Info, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return handle{}, Info{}, &fs.PathError{Op: "open folder", Path: path, Err: err}
	}
	return newHandle(fd, path)
}

func newHandle(fd int, path string) (handle, Info, error) {
	info, err := file{fd}.stat()
	if err != nil {
		unix.Close(fd)
		return handle{}, Info{}, &fs.PathError{Op: "look at folder", Path: path, Err: err}
	}
	return handle{fd: fd, path: path, syncFS: syncFSReports() && syncFSWorks(fd), state: new(handleState)}, info, nil
}

// syncFSReports tells whether the kernel reports write errors through syncfs.
func syncFSReports() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	return release(unix.ByteSliceToString(u.Release[:]), 5, 8)
}

// release tells whether the kernel release text r is at least major.minor.
func release(r string, major, minor int) bool {
	a, rest, _ := strings.Cut(r, ".")
	b := rest
	if i := strings.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' }); i >= 0 {
		b = rest[:i]
	}
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	return err1 == nil && err2 == nil && (x > major || x == major && y >= minor)
}

// syncFSWorks names the file systems whose syncfs writes everything and
// flushes the disk's cache. FAT does not flush, FUSE does nothing.
func syncFSWorks(fd int) bool {
	var s unix.Statfs_t
	if retry(func() error { return unix.Fstatfs(fd, &s) }) != nil {
		return false
	}
	switch int64(s.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC:
		return true
	}
	return false
}

func (h handle) close() error { return unix.Close(h.fd) }

func statPath(path string) (Info, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return Info{}, &fs.PathError{Op: "look at", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

func (h handle) lstat(name string) (Info, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	if err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Stat_t) Info {
	i := Info{
		Dev: uint64(st.Dev), Ino: uint64(st.Ino), Size: st.Size,
		Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano(),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		i.Type = fs.ModeDir
	case unix.S_IFLNK:
		i.Type = fs.ModeSymlink
	case unix.S_IFIFO:
		i.Type = fs.ModeNamedPipe
	case unix.S_IFSOCK:
		i.Type = fs.ModeSocket
	case unix.S_IFCHR:
		i.Type = fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		i.Type = fs.ModeDevice
	default:
		i.Type = fs.ModeIrregular
	}
	return i
}

func (h handle) sub(name string) (handle, Info, error) {
	fd, err := openat(h.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return handle{}, Info{}, err
	}
	return newHandle(fd, h.path+"/"+name)
}

func (h handle) mkdir(name string) error {
	return retry(func() error { return unix.Mkdirat(h.fd, name, 0o700) })
}

func (h handle) rmdir(name string) error {
	return retry(func() error { return unix.Unlinkat(h.fd, name, unix.AT_REMOVEDIR) })
}

func (h handle) list() (*os.File, error) {
	fd, err := openat(h.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("list %q: %w", h.path, err)
	}
	return os.NewFile(uintptr(fd), h.path), nil
}

func (h handle) open(name string) (file, error) {
	fd, err := openat(h.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	return file{fd}, err
}

func (h handle) create(name string, perm fs.FileMode) (file, error) {
	fd, err := openat(h.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, uint32(perm.Perm()))
	return file{fd}, err
}

// tmpfile makes a file without a name, or errors.ErrUnsupported.
func (h handle) tmpfile(perm fs.FileMode) (file, error) {
	if h.state.noTmpfile.Load() {
		return file{}, errors.ErrUnsupported
	}
	fd, err := openat(h.fd, ".", unix.O_WRONLY|unix.O_TMPFILE, uint32(perm.Perm()))
	switch err {
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL, unix.ENOSYS:
		h.state.noTmpfile.Store(true)
		return file{}, errors.ErrUnsupported
	}
	return file{fd}, err
}

// link names a file made by tmpfile, or is errors.ErrUnsupported.
func (h handle) link(f file, name string) error {
	if !h.state.noEmptyPath.Load() {
		err := retry(func() error { return unix.Linkat(f.fd, "", h.fd, name, unix.AT_EMPTY_PATH) })
		if err != unix.ENOENT && err != unix.EINVAL && err != unix.EPERM && err != unix.EACCES {
			h.announce(name, err)
			return err
		}
		h.state.noEmptyPath.Store(true)
	}
	proc := "/proc/self/fd/" + strconv.Itoa(f.fd)
	err := retry(func() error { return unix.Linkat(unix.AT_FDCWD, proc, h.fd, name, unix.AT_SYMLINK_FOLLOW) })
	switch err {
	case unix.ENOENT, unix.EPERM, unix.EACCES, unix.EXDEV, unix.EOPNOTSUPP:
		h.state.noTmpfile.Store(true)
		return errors.ErrUnsupported
	}
	h.announce(name, err)
	return err
}

// announce makes the kernel tell watchers that name was closed after writing.
func (h handle) announce(name string, err error) {
	if err != nil {
		return
	}
	fd, err := openat(h.fd, name, unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err == nil {
		unix.Close(fd)
	}
}

func (h handle) remove(name string) error {
	return retry(func() error { return unix.Unlinkat(h.fd, name, 0) })
}

func (h handle) sync() error { return retry(func() error { return unix.Fsync(h.fd) }) }

func (h handle) syncAll() error { return retry(func() error { return unix.Syncfs(h.fd) }) }

func renameNoReplace(from handle, old string, dir handle, to string) error {
	err := retry(func() error {
		return unix.Renameat2(from.fd, old, dir.fd, to, unix.RENAME_NOREPLACE)
	})
	switch err {
	case unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP:
		return linkThenUnlink(from, old, dir, to)
	case unix.EXDEV:
		return fmt.Errorf("%w: %w", ErrCrossDevice, err)
	}
	return err
}

// linkThenUnlink is for file systems without RENAME_NOREPLACE, such as NFS. A
// crash between the two leaves the file under both names.
func linkThenUnlink(from handle, old string, dir handle, to string) error {
	err := retry(func() error { return unix.Linkat(from.fd, old, dir.fd, to, 0) })
	switch err {
	case nil:
		return from.remove(old)
	case unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EMLINK:
		// A directory, or a file system without hard links: what is left is to look first.
		// Only another writer of the same name at the same moment could be hurt.
		if _, err := dir.lstat(to); err == nil {
			return fs.ErrExist
		} else if err != unix.ENOENT {
			return err
		}
		return retry(func() error { return unix.Renameat(from.fd, old, dir.fd, to) })
	case unix.EXDEV:
		return fmt.Errorf("%w: %w", ErrCrossDevice, err)
	}
	return err
}

// file is an open file.
type file struct{ fd int }

func (f file) stat() (Info, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(f.fd, &st) }); err != nil {
		return Info{}, err
	}
	return infoOf(&st), nil
}

func (f file) read(b []byte) (n int, err error) {
	err = retry(func() error {
		var err error
		n, err = unix.Read(f.fd, b)
		return err
	})
	return max(n, 0), err
}

func (f file) write(b []byte) error {
	for len(b) > 0 {
		n := 0
		err := retry(func() error {
			var err error
			n, err = unix.Write(f.fd, b)
			return err
		})
		if err != nil {
			return err
		}
		if n <= 0 {
			return io.ErrShortWrite
		}
		b = b[n:]
	}
	return nil
}

func (f file) chmod(perm fs.FileMode) error {
	return retry(func() error { return unix.Fchmod(f.fd, uint32(perm.Perm())) })
}

// startSync asks for writing to begin, so that the syncs after it wait once.
func (f file) startSync() { unix.SyncFileRange(f.fd, 0, 0, unix.SYNC_FILE_RANGE_WRITE) }

func (f file) sync() error { return retry(func() error { return unix.Fsync(f.fd) }) }

func (f file) close() error { return unix.Close(f.fd) }

// permanent tells of a system error whether the same name will always meet it.
func permanent(err error) bool {
	return errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EILSEQ) || errors.Is(err, unix.EINVAL)
}
