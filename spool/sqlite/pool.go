package sqlite

import (
	"context"
	"sync"

	"github.com/ncruces/go-sqlite3"
)

// pool lends connections for reading. It opens one only when all others are
// lent, up to its size; the one given back last is lent first, so that a quiet
// Store works with one warm cache.
type pool struct {
	connect func(context.Context) (*conn, error)
	permits chan struct{}
	mu      sync.Mutex
	idle    []*conn
	closed  bool
}

func (p *pool) init(size int, connect func(context.Context) (*conn, error)) {
	p.connect = connect
	p.permits = make(chan struct{}, size)
}

// get lends a connection; its statements end when ctx does.
func (p *pool) get(ctx context.Context) (*conn, error) {
	select {
	case p.permits <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.permits
		return nil, errClosed
	}
	var c *conn
	if n := len(p.idle); n > 0 {
		c = p.idle[n-1]
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if c == nil {
		var err error
		if c, err = p.connect(ctx); err != nil {
			<-p.permits
			return nil, err
		}
	}
	c.SetInterrupt(ctx)
	return c, nil
}

func (p *pool) put(c *conn) {
	c.SetInterrupt(context.Background())
	p.mu.Lock()
	p.idle = append(p.idle, c)
	p.mu.Unlock()
	<-p.permits
}

// close waits for all connections that are lent.
func (p *pool) close() {
	p.mu.Lock()
	was := p.closed
	p.closed = true
	p.mu.Unlock()
	if was {
		return
	}
	for range cap(p.permits) {
		p.permits <- struct{}{}
	}
	for _, c := range p.idle {
		c.close()
	}
	p.idle = nil
	for range cap(p.permits) {
		<-p.permits
	}
}

// writer is the one connection that writes, and what its holder knows.
type writer struct {
	turn        chan struct{} // holds a token while the writer is free
	c           *conn
	full        bool          // synchronous is FULL
	pages       int           // in the log, after the last commit
	checkpoints *checkpointer // nil until there is something to do
	lost        error         // set when nobody knows what a commit did: no more writes
}

func (w *writer) init(c *conn) {
	w.turn = make(chan struct{}, 1)
	w.c, w.full = c, true
	c.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		w.pages = pages
		return nil
	})
	w.turn <- struct{}{}
}

func (w *writer) close() error {
	<-w.turn
	defer func() { w.turn <- struct{}{} }()
	c := w.c
	if c == nil {
		return nil
	}
	w.c = nil
	if w.checkpoints != nil {
		w.checkpoints.stop()
	}
	var err error
	if w.lost == nil {
		// BUSY where another process reads or writes: it will do that later.
		c.BusyTimeout(0)
		if _, _, e := c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE); e != nil && !isBusy(e) {
			err = e
		}
	}
	if e := c.close(); err == nil {
		err = e
	}
	return err
}
