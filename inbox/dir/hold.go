package dir

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"cmp-batch/spool/durable"
)

// holdName is the folder inside that of the messages into which files go that
// are about to be deleted or copied: there they can be looked at once more
// while no sender can exchange them.
const holdName = ".cmp-batch"

// copyChunk bounds the octets in memory while files are copied.
const copyChunk = 8 << 20

func (b *settling) openHold() (err error) {
	if b.hold == nil {
		b.hold, err = b.in.Sub(holdName, true)
	}
	return err
}

// closeHold ends the use of the hold. What a failure left in it goes back.
func (b *settling) closeHold() {
	if b.hold != nil {
		b.hold.Close()
	}
	b.tidyHold()
}

func (s *Source) tidyHold() {
	if !s.untidy {
		return
	}
	if err := s.restoreHeld(); err != nil {
		s.log.Error("files cannot be put back now; the next settling or start will", "err", err)
		return
	}
	s.untidy = false
}

// take moves the file of a claim into the hold. held is "" when it is gone or
// was replaced.
func (b *settling) take(c claim) (held string, err error) {
	if err := b.openHold(); err != nil {
		return "", err
	}
	held, err = putBack(b.in, c.name, b.hold, c.name)
	if err != nil {
		b.untidy = b.untidy || !isGone(err)
		return "", ignoreGone(err)
	}
	ok, err := b.verify(c, b.hold, held)
	if err != nil || !ok {
		b.untidy = b.untidy || err != nil
		return "", err
	}
	return held, nil
}

// drop deletes the file of a claim.
func (b *settling) drop(c claim) error {
	held, err := b.take(c)
	if err != nil || held == "" {
		return err
	}
	return b.forget(held)
}

func (b *settling) forget(held string) error {
	err := ignoreGone(b.hold.Remove(held))
	b.untidy = b.untidy || err != nil
	return err
}

// copyAll copies the files of jobs to d, under their names or those in names,
// and deletes them. vanished are those that were gone or replaced.
func (b *settling) copyAll(jobs []job, d *durable.Dir, o durable.WriteOptions, names []string) (copied, vanished []job) {
	for at := 0; at < len(jobs); {
		var files []durable.NewFile
		var held []string
		var taken []job
		for octets := 0; at < len(jobs) && octets < copyChunk; at++ {
			j := jobs[at]
			name, err := b.take(j.claim)
			var data []byte
			if err == nil && name != "" {
				data, _, err = b.hold.Read(name, b.o.MaxBytes)
				b.untidy = b.untidy || err != nil
			}
			switch {
			case err != nil:
				b.fail(j, err)
			case name == "":
				vanished = append(vanished, j)
			default:
				f := durable.NewFile{Name: j.claim.name, Data: data}
				if names != nil {
					f.Name = names[at]
				}
				files, held, taken = append(files, f), append(held, name), append(taken, j)
				octets += len(data)
			}
		}
		for i, p := range d.WriteAll(b.ctx, files, o) {
			err := p.Err
			b.untidy = b.untidy || err != nil
			if err == nil {
				err = b.forget(held[i])
			}
			if err != nil {
				b.fail(taken[i], err)
				continue
			}
			copied = append(copied, taken[i])
		}
	}
	return copied, vanished
}

// restoreHeld puts back what a crash left in the hold. If it was settled, it
// will be found to be done.
func (s *Source) restoreHeld() error {
	hold, err := s.in.Sub(holdName, false)
	if isGone(err) {
		return nil
	}
	if err != nil {
		// Somebody put something else there. That must not stop the channel.
		s.log.Warn("the folder for files in motion cannot be opened", "err", err)
		return nil
	}
	defer hold.Close()
	l, err := hold.List()
	if err != nil {
		return err
	}
	defer l.Close()
	n := 0
	for {
		entries, err := l.ReadDir(listChunk)
		for _, e := range entries {
			name, err := putBack(hold, e.Name(), s.in, e.Name())
			if ignoreGone(err) != nil {
				return fmt.Errorf("put back what was being settled: %w", err)
			}
			if err == nil {
				s.reclaim(name)
				n++
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(entries) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("list %q: %w", hold.Path(), err)
		}
	}
	if n > 0 {
		s.log.Info("put back files that were being settled", "files", n)
		return s.in.Sync()
	}
	return nil
}

// reclaim lets the claim on a file that was put back know it again.
func (s *Source) reclaim(name string) {
	info, err := s.in.Stat(name)
	if err != nil {
		return
	}
	id := strconv.Itoa(s.gen) + "/" + name
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.claims[id]; ok && c.seen.SameContent(info) {
		c.seen = info
		s.claims[id] = c
	}
}
