package sqlite

import (
	"context"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
)

// walPages is the size of the write-ahead log from which it is copied into the
// database: 32 MiB, so that a page changed by several commits is copied once.
// Commits wait for the copying at the size times walPatience.
var walPages = 8192 // a variable for tests

const walPatience = 8

// checkpointer copies the log into the database beside the commits, on a
// connection of its own. What is committed meanwhile is still in the log when
// it is done; so the writer then copies that little rest itself, which lets the
// next commit begin the log anew. Without that the log would grow for as long
// as there is work.
//
// An error is no harm: the log stays, and the next commit asks again.
type checkpointer struct {
	ask  chan struct{}
	done chan struct{} // closed at the end
	rest atomic.Bool   // the writer is to copy the rest
}

func startCheckpointer(connect func(context.Context) (*conn, error)) *checkpointer {
	p := &checkpointer{ask: make(chan struct{}, 1), done: make(chan struct{})}
	go p.run(connect)
	return p
}

func (p *checkpointer) run(connect func(context.Context) (*conn, error)) {
	defer close(p.done)
	c, err := connect(context.Background())
	if err != nil {
		return // the writer does it alone, at last
	}
	defer c.close()
	for range p.ask {
		if _, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE); err == nil {
			p.rest.Store(true)
		}
	}
}

func (p *checkpointer) stop() {
	close(p.ask)
	<-p.done
}

// tidyLog is called after a commit.
func (s *Store) tidyLog() {
	w := &s.writer
	if w.pages < walPages {
		return
	}
	if w.checkpoints == nil {
		w.checkpoints = startCheckpointer(s.connect)
	}
	p := w.checkpoints
	if p.rest.Load() || w.pages >= walPatience*walPages {
		if log, copied, err := w.c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE); err == nil && log == copied {
			p.rest.Store(false)
			w.pages = 0
		}
		return
	}
	select {
	case p.ask <- struct{}{}:
	default:
	}
}
