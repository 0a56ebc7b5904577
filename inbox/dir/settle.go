package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"cmp-batch/spool"
	"cmp-batch/spool/durable"
)

// Settle implements [spool.Source]. One sync of the folder that receives makes
// the whole batch durable.
func (s *Source) Settle(ctx context.Context, batch []spool.Settlement) []error {
	errs := make([]error, len(batch))
	s.dirs.RLock()
	defer s.dirs.RUnlock()
	if s.isClosed() {
		return all(errs, errClosed)
	}
	if err := s.openTargets(); err != nil {
		return all(errs, fmt.Errorf("settle: %w", err))
	}
	s.tidyHold()
	b := settling{Source: s, ctx: ctx, errs: errs}
	defer b.closeHold()
	seen := make(map[string]bool, len(batch)) // an ID may be in a batch twice
	for i, x := range batch {
		s.mu.Lock()
		c, ok := s.claims[x.ID]
		s.mu.Unlock()
		if !ok || seen[x.ID] {
			continue
		}
		seen[x.ID] = true
		job := job{at: i, id: x.ID, claim: c, reason: x.Reason}
		switch {
		case ctx.Err() != nil:
			errs[i] = ctx.Err()
		case x.Action == spool.Retry || c.gen != s.gen:
			s.release(x.ID)
		case x.Action == spool.Done:
			b.done = append(b.done, job)
		case x.Action == spool.Quarantine:
			b.bad = append(b.bad, job)
		default:
			errs[i] = spool.Permanent(fmt.Errorf("settle %s: unknown action %d", quote(c.name), x.Action))
		}
	}
	b.archive()
	b.quarantine()
	return errs
}

// release ends a claim.
func (s *Source) release(id string) {
	s.mu.Lock()
	delete(s.claims, id)
	s.mu.Unlock()
}

// settling is one call of Settle.
type settling struct {
	*Source
	ctx       context.Context
	errs      []error
	done, bad []job
	hold      *durable.Dir
}

type job struct {
	at     int // in the batch
	id     string
	claim  claim
	reason string
}

// finish ends the jobs that did not fail once their folder is durable.
func (b *settling) finish(moved []job, d *durable.Dir) {
	if len(moved) == 0 {
		return
	}
	err := d.Sync()
	for _, j := range moved {
		if err != nil {
			// Another Settle finds the file gone and only syncs.
			b.errs[j.at] = err
			continue
		}
		b.release(j.id)
	}
}

// archive moves what is done into the archive, or deletes it.
func (b *settling) archive() {
	var moved, far []job
	target := b.Source.done
	if target == nil {
		target = b.in
	}
	for _, j := range b.done {
		err := b.archiveOne(j.claim)
		switch {
		case err == nil:
			moved = append(moved, j)
		case errors.Is(err, durable.ErrCrossDevice):
			far = append(far, j)
		default:
			b.fail(j, err)
		}
	}
	copied, vanished := b.copyAll(far, target, durable.WriteOptions{Rename: true}, nil)
	b.finish(slices.Concat(moved, copied, vanished), target)
}

func (b *settling) fail(j job, err error) {
	b.errs[j.at] = fmt.Errorf("settle %s: %w", quote(j.claim.name), err)
}

func (b *settling) archiveOne(c claim) error {
	if ok, err := b.unchanged(c); err != nil || !ok {
		return err
	}
	if b.Source.done == nil {
		return b.drop(c)
	}
	for k := 0; ; k++ {
		to, err := b.variant(c.name, k, durable.MaxName)
		if err != nil {
			return ignoreGone(err)
		}
		err = durable.RenameNoReplace(b.in, c.name, b.Source.done, to)
		switch {
		case err == nil:
			_, err := b.verify(c, b.Source.done, to)
			return err
		case !errors.Is(err, fs.ErrExist):
			return ignoreGone(err)
		}
		if same, err := b.archivedAs(c.name, to); err != nil {
			return ignoreGone(err)
		} else if same {
			return b.drop(c)
		}
	}
}

// archivedAs tells whether the archive has these octets under the name to.
func (b *settling) archivedAs(name, to string) (bool, error) {
	there, err := b.Source.done.Stat(to)
	if err != nil {
		return false, nil // the next name will do
	}
	here, err := b.in.Stat(name)
	if err != nil || !there.Regular() || there.Size != here.Size {
		return false, err
	}
	data, _, err := b.in.Read(name, b.o.MaxBytes)
	if err != nil {
		return false, err
	}
	same, err := b.Source.done.Holds(to, data)
	return same && err == nil, nil
}

func (b *settling) variant(name string, k, limit int) (string, error) {
	to, ok, err := durable.Variant(name, k, limit, func() ([]byte, error) {
		data, _, err := b.in.Read(name, b.o.MaxBytes)
		return data, err
	})
	if err == nil && !ok {
		err = durable.ErrNoName
	}
	return to, err
}

// unchanged tells whether the file of a claim is there as it was read. Gone,
// or replaced, it needs no settling.
func (b *settling) unchanged(c claim) (bool, error) {
	now, err := b.in.Stat(c.name)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !b.sameThing(c.seen, now, true) {
		b.log.Info("a file was replaced after it was read; the new one is a new message", "name", c.name)
		return false, nil
	}
	return true, nil
}

// sameThing tells whether a file is still what was claimed. What can become no
// message, however it changes, is known by its inode.
func (b *settling) sameThing(was, now durable.Info, inPlace bool) bool {
	switch {
	case !was.Regular() || was.Size > b.o.MaxBytes && now.Size > b.o.MaxBytes:
		return was.SameFile(now)
	case inPlace:
		return was == now
	}
	return was.SameContent(now)
}

// verify looks at what was moved to d. If it is not what was claimed, it goes
// back: it came between the look and the move.
func (b *settling) verify(c claim, d *durable.Dir, to string) (bool, error) {
	now, err := d.Stat(to)
	if err != nil {
		return false, ignoreGone(err) // whoever tidies d may be quick
	}
	if b.sameThing(c.seen, now, false) {
		return true, nil
	}
	b.log.Info("a file was replaced while it was moved; it goes back", "name", c.name)
	_, err = putBack(d, to, b.in, c.name)
	return false, err
}

// putBack moves from/name into in under the name wanted, or a variant of it.
func putBack(from *durable.Dir, name string, in *durable.Dir, wanted string) (string, error) {
	for k := 0; ; k++ {
		to, ok, err := durable.Variant(wanted, k, durable.MaxName, func() ([]byte, error) { return []byte(name), nil })
		if err == nil && !ok {
			err = durable.ErrNoName
		}
		if err != nil {
			return "", err
		}
		if err := durable.RenameNoReplace(from, name, in, to); !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
}

func ignoreGone(err error) error {
	if isGone(err) {
		return nil
	}
	return err
}

func all(errs []error, err error) []error {
	for i := range errs {
		errs[i] = err
	}
	return errs
}
