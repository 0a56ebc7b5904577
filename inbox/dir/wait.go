package dir

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch turns events of the folder into wake-ups. They are hints: they may be
// lost, and on network file systems there are none.
type watch struct {
	mu      sync.Mutex
	w       *fsnotify.Watcher // nil: none
	wake    chan struct{}
	told    bool        // that there are no events
	lost    atomic.Bool // the folder is not watched any more
	stopped chan struct{}
}

// arm watches the folder if it is not watched, from the first Wait on: who never
// waits needs no watch. It returns true when it has just begun to: what came
// before gives no event.
func (w *watch) arm(s *Source) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.isClosed() || w.w != nil && !w.lost.Load() {
		return false
	}
	err := w.add(s)
	if err != nil && !w.told {
		w.told = true
		s.log.Warn("no events of the folder; it is looked at periodically", "folder", s.o.In, "every", s.o.ScanInterval, "err", err)
	}
	return err == nil
}

func (w *watch) add(s *Source) error {
	path := filepath.Clean(s.o.In)
	if w.w == nil {
		n, err := fsnotify.NewWatcher()
		if err != nil {
			return err
		}
		w.w, w.stopped = n, make(chan struct{})
		go w.drain(s, n, path)
	}
	// The old one may be of a folder that was renamed.
	if err := w.w.Remove(path); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) {
		return err
	}
	w.lost.Store(false) // before Add: a loss after it counts
	if err := w.w.Add(path); err != nil {
		w.lost.Store(true)
		return err
	}
	return nil
}

// drain reads events at once, so that as few as possible are lost.
func (w *watch) drain(s *Source, n *fsnotify.Watcher, path string) {
	defer close(w.stopped)
	for {
		select {
		case e, ok := <-n.Events:
			if !ok {
				return
			}
			switch {
			case e.Name == path && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)):
				w.loseAndWake()
			case e.Has(fsnotify.Create) || e.Has(fsnotify.Write):
				// Our own moves out of the folder wake nobody.
				if name := filepath.Base(e.Name); !skipped(name) && s.o.matches(name) {
					w.poke()
				}
			}
		case _, ok := <-n.Errors:
			if !ok {
				return
			}
			// Events were lost, or the watch itself.
			w.loseAndWake()
		}
	}
}

func (w *watch) loseAndWake() {
	w.lost.Store(true)
	w.poke()
}

func (w *watch) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *watch) close() {
	w.mu.Lock()
	n, stopped := w.w, w.stopped
	w.w = nil
	w.mu.Unlock()
	if n != nil {
		n.Close()
		<-stopped
	}
}

// maxPause bounds how long events are not followed after a long look.
const maxPause = time.Second

// Wait implements [spool.Source]. It returns at the latest after ScanInterval.
func (s *Source) Wait(ctx context.Context, d time.Duration) error {
	if s.isClosed() {
		return errClosed
	}
	if ok, err := s.in.Current(); err == nil && !ok {
		s.watch.loseAndWake()
	}
	if s.watch.arm(s) {
		return ctx.Err()
	}
	end := time.NewTimer(min(d, s.o.ScanInterval))
	defer end.Stop()
	select {
	case <-s.watch.wake:
	case <-end.C:
		return nil
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	// Where one look takes long, as with very many files that wait, each of a slow writer's
	// events shall not cost one: at most half of the time is for looking.
	pause := min(s.scan.took-time.Since(s.scan.ended), maxPause)
	if pause <= 0 {
		return nil
	}
	more := time.NewTimer(pause)
	defer more.Stop()
	select {
	case <-more.C:
	case <-end.C:
	case <-s.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
