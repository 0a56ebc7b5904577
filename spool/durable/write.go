package durable

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"
)

// NewFile is a file that shall be in a directory.
type NewFile struct {
	Name string
	Data []byte
}

// Placed tells where a file is.
type Placed struct {
	Name string // the wanted one, or a [Variant] of it
	Err  error  // nil: it is there and survives a power cut
}

// WriteOptions say how WriteAll writes.
type WriteOptions struct {
	// Perm are the permissions; 0 is 0644 less the umask, others are set as
	// they are.
	Perm fs.FileMode
	// Rename allows other names where the wanted one is taken by other
	// contents. Without, that is [fs.ErrExist].
	Rename bool
}

// The limits were measured on ext4: from syncFrom files on, one syncfs is
// cheaper than a sync of each; a chunk bounds the open files.
const (
	syncFrom = 8
	chunk    = 512
)

// WriteAll makes files arrive in d, each whole or not at all. A file that is
// there with the same contents has arrived. One that fails does not keep back
// the others. The results are by index.
func (d *Dir) WriteAll(ctx context.Context, files []NewFile, o WriteOptions) []Placed {
	out := make([]Placed, len(files))
	for at := 0; at < len(files); at += chunk {
		end := min(at+chunk, len(files))
		b := writeBatch{ctx: ctx, d: d, o: o, each: end-at < syncFrom || !d.h.syncFS, look: d.taken.Load()}
		b.run(files[at:end], out[at:end])
		for i := range b.w {
			b.met = b.met || b.w[i].state == failed
		}
		d.taken.Store(b.met)
	}
	return out
}

// writeBatch is one pass of WriteAll through the steps of the package comment.
type writeBatch struct {
	ctx  context.Context
	d    *Dir
	o    WriteOptions
	each bool // sync each file
	deep int  // passes before this one
	// look for what is there before writing, not only when naming. That costs a
	// call for each file, and pays where files are delivered again: after a
	// batch in which one was there, or failed (met).
	look, met bool
	w         []writing
}

type state uint8

const (
	failed   state = iota // Placed.Err says why
	wanted                // has a name in mind
	found                 // was there with the same contents
	nameless              // written, file is open
	temp                  // written, under the name temp
	named                 // in place
	again                 // once more by itself: what hinders it may be over, or may be another's fault
)

type writing struct {
	NewFile
	*Placed
	variant int
	state   state
	open    bool
	file    file
	temp    string
}

func (b *writeBatch) run(files []NewFile, out []Placed) {
	b.w = make([]writing, len(files))
	for i := range files {
		w := &b.w[i]
		w.NewFile, w.Placed = files[i], &out[i]
		*w.Placed = Placed{}
		b.prepare(w)
	}
	b.sync()
	changed := false
	for i := range b.w {
		b.name(&b.w[i])
		changed = changed || b.w[i].state == named || b.w[i].state == found
	}
	if changed {
		if err := b.d.Sync(); err != nil {
			for i := range b.w {
				if w := &b.w[i]; w.state == named || w.state == found {
					w.fail(err)
				}
			}
		}
	}
	for i := range b.w {
		w := &b.w[i]
		b.tidy(w)
		if w.state == again {
			if b.deep == 2 {
				w.fail(fmt.Errorf("write %.80q in %q: somebody removes its temporary file", w.NewFile.Name, b.d.path))
				continue
			}
			alone := writeBatch{ctx: b.ctx, d: b.d, o: b.o, each: true, deep: b.deep + 1, look: true}
			alone.run(files[i:i+1], out[i:i+1])
		}
	}
}

func (w *writing) fail(err error) { w.state, w.Err = failed, err }

// tidy closes the file and takes away a temporary name that is of no use.
func (b *writeBatch) tidy(w *writing) {
	if w.open {
		w.open = false
		w.file.close()
	}
	if w.temp != "" {
		_ = b.d.step(OpRemove, w.temp, func() error { return b.d.h.remove(w.temp) }) // else RemoveStale will
		w.temp = ""
	}
}

// prepare is steps 1 and 2.
func (b *writeBatch) prepare(w *writing) {
	if err := b.ctx.Err(); err != nil {
		w.fail(err)
		return
	}
	if err := CheckName(w.NewFile.Name); err != nil {
		w.fail(err)
		return
	}
	if b.look {
		if b.choose(w); w.state != wanted {
			return
		}
	} else {
		w.Placed.Name = w.NewFile.Name
	}
	if err := b.write(w); errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		b.tidy(w)
		w.state = again
		if b.deep > 0 {
			w.fail(fmt.Errorf("write %.80q in %q: %w", w.NewFile.Name, b.d.path, err))
		}
	} else if err != nil {
		b.tidy(w)
		if !b.look {
			// What is there already needs no room.
			if b.choose(w); w.state == found {
				return
			}
		}
		w.fail(fmt.Errorf("write %.80q in %q: %w", w.NewFile.Name, b.d.path, err))
	}
}

// choose goes on from w.variant to a name that is free or has the contents already.
func (b *writeBatch) choose(w *writing) {
	for ; ; w.variant++ {
		if w.variant > 0 && !b.o.Rename {
			w.fail(fmt.Errorf("write %.80q in %q: other contents are there: %w", w.NewFile.Name, b.d.path, fs.ErrExist))
			return
		}
		name, ok, _ := Variant(w.NewFile.Name, w.variant, MaxName, func() ([]byte, error) { return w.Data, nil })
		if !ok {
			w.fail(fmt.Errorf("write %.80q in %q: %w", w.NewFile.Name, b.d.path, ErrNoName))
			return
		}
		w.Placed.Name = name
		same, err := b.d.Holds(name, w.Data)
		if !errors.Is(err, fs.ErrNotExist) {
			b.met = true
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			w.state = wanted
			return
		case err != nil:
			w.fail(nameError(err))
			return
		case same:
			w.state = found
			return
		}
	}
}

func (b *writeBatch) write(w *writing) error {
	perm := b.o.Perm
	if perm == 0 {
		perm = 0o644
	}
	w.state = nameless
	err := b.d.step(OpCreate, w.NewFile.Name, func() (err error) {
		w.file, err = b.d.h.tmpfile(perm)
		if errors.Is(err, errors.ErrUnsupported) {
			name := tempName()
			if w.file, err = b.d.h.create(name, perm); err == nil {
				w.state, w.temp = temp, name
			}
		}
		w.open = err == nil
		return err
	})
	if err != nil {
		return err
	}
	err = b.d.step(OpWrite, w.NewFile.Name, func() error {
		if err := w.file.write(w.Data); err != nil {
			return err
		}
		if b.o.Perm != 0 {
			return w.file.chmod(perm)
		}
		return nil
	})
	if err == nil && w.state == temp && !b.each {
		w.open = false
		err = w.file.close()
	}
	return err
}

// sync is step 3.
func (b *writeBatch) sync() {
	if !b.each {
		err := b.d.step(OpSyncFS, "", b.d.h.syncAll)
		if err == nil {
			return
		}
		// It may have been the file of somebody else: find out one by one, and with new
		// files, as the kernel tells of a failed write only once.
		for i := range b.w {
			if w := &b.w[i]; w.state != failed {
				w.state = again
			}
		}
		return
	}
	for i := range b.w {
		if w := &b.w[i]; w.open {
			w.file.startSync()
		}
	}
	for i := range b.w {
		w := &b.w[i]
		var err error
		switch w.state {
		case found:
			err = b.syncFound(w)
		case nameless, temp:
			err = b.d.step(OpSync, w.NewFile.Name, w.file.sync)
			if w.state == temp && err == nil {
				w.open = false
				err = w.file.close()
			}
		}
		if err != nil {
			w.fail(fmt.Errorf("sync %.80q in %q: %w", w.NewFile.Name, b.d.path, err))
		}
	}
}

// syncFound makes durable what another try, or another process, wrote.
func (b *writeBatch) syncFound(w *writing) error {
	f, _, err := b.d.Open(w.Placed.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it was fetched meanwhile, so it had arrived
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return b.d.step(OpSync, w.Placed.Name, f.sync)
}

// name is step 4.
func (b *writeBatch) name(w *writing) {
	for w.state == nameless || w.state == temp {
		err := b.d.step(OpName, w.Placed.Name, func() error {
			if w.state == nameless {
				return b.d.h.link(w.file, w.Placed.Name)
			}
			return renameNoReplace(b.d.h, w.temp, b.d.h, w.Placed.Name)
		})
		switch {
		case err == nil:
			w.state, w.temp = named, ""
		case errors.Is(err, fs.ErrExist):
			written := w.state
			if b.choose(w); w.state == wanted {
				w.state = written
			} else if w.state == found {
				if err := b.syncFound(w); err != nil {
					w.fail(fmt.Errorf("sync %.80q in %q: %w", w.Placed.Name, b.d.path, err))
				}
			}
		case errors.Is(err, errors.ErrUnsupported), w.state == temp && errors.Is(err, fs.ErrNotExist):
			w.state = again
		default:
			w.fail(fmt.Errorf("name %.80q in %q: %w", w.Placed.Name, b.d.path, nameError(err)))
		}
	}
}

// nameError marks an error that is the name's fault.
func nameError(err error) error {
	if permanent(err) {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	return err
}

const (
	tempPrefix = ".cmp-batch-"
	tempSuffix = ".tmp"
)

func tempName() string {
	var r [8]byte
	_, _ = rand.Read(r[:]) // never fails
	return tempPrefix + hex.EncodeToString(r[:]) + tempSuffix
}

func isTempName(name string) bool {
	return len(name) == len(tempPrefix)+16+len(tempSuffix) &&
		strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// RemoveStale removes temporary files that a crash left and that were last
// written before the given time, and tells how many. A live process whose file this
// takes writes it anew.
func (d *Dir) RemoveStale(before time.Time) (int, error) {
	l, err := d.List()
	if err != nil {
		return 0, err
	}
	defer l.Close()
	n := 0
	for {
		entries, err := l.ReadDir(1024)
		for _, e := range entries {
			if !isTempName(e.Name()) {
				continue
			}
			info, err := d.Stat(e.Name())
			if err != nil || !info.Regular() || info.Modified >= before.UnixNano() {
				continue
			}
			if err := d.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return n, err
			}
			n++
		}
		if len(entries) == 0 {
			return n, notEOF(err)
		}
	}
}
