package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cmp-batch/spool"
	"cmp-batch/spool/durable"
)

// scan is where Collect is in the folder. It belongs to the goroutine of Collect.
type scan struct {
	list    *os.File      // nil between passes
	names   []fs.DirEntry // of the listing, not looked at yet, sorted
	pass    int
	begun   time.Time
	took    time.Duration // the last whole pass
	ended   time.Time
	ignored int // in this pass

	reported bool // that there are ignored names
	tracked  map[string]tracked
	room     int // the most of them
}

// tracked is a file that was not ready.
type tracked struct {
	seen  durable.Info
	since time.Time // it has been as it is
	pass  int
	state string // for the operator
	again bool   // to be read again, though it has not changed
}

func (c *scan) end() {
	if c.list != nil {
		c.list.Close()
	}
	c.list, c.names, c.ignored = nil, nil, 0
}

// Collect implements [spool.Source]. Within 4096 names of a listing, items come
// in the order of their names. It returns fewer than max, though more are
// ready, when those have 64 MiB.
func (s *Source) Collect(ctx context.Context, max int) ([]spool.Item, error) {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.isClosed() {
		return nil, errClosed
	}
	if _, err := s.followIn(); err != nil {
		return nil, err
	}
	c := &s.scan
	var items []spool.Item
	// A pass that an earlier call began says nothing about the names before it: when
	// it ends without any item, one whole pass follows.
	whole := c.list == nil
	octets := int64(0)
	for len(items) < max && octets < maxCollect {
		if err := ctx.Err(); err != nil {
			return items, err
		}
		if len(c.names) == 0 {
			more, err := s.next()
			if err != nil {
				c.end()
				return items, err
			}
			if more {
				continue
			}
			if s.endPass(); whole || len(items) > 0 {
				break
			}
			whole = true
			continue
		}
		e := c.names[0]
		c.names = c.names[1:]
		if it, ok := s.look(e); ok {
			items = append(items, it)
			octets += int64(len(it.DER))
		}
	}
	return items, nil
}

// next fetches a part of the listing, and begins one if there is none. It
// returns false at the end.
func (s *Source) next() (bool, error) {
	c := &s.scan
	if c.list == nil {
		l, err := s.in.List()
		if err != nil {
			return false, fmt.Errorf("folder for messages: %w", err)
		}
		c.list, c.begun = l, time.Now()
		c.pass++
	}
	all, err := c.list.ReadDir(listChunk)
	if err != nil && err != io.EOF {
		return false, fmt.Errorf("list folder for messages: %w", err)
	}
	if len(all) == 0 {
		return false, nil
	}
	c.names = all[:0]
	for _, e := range all {
		switch name := e.Name(); {
		case skipped(name):
		case s.o.matches(name):
			c.names = append(c.names, e)
		case !s.o.own(name):
			c.ignored++
		}
	}
	clear(all[len(c.names):])
	slices.SortFunc(c.names, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return true, nil
}

func (s *Source) endPass() {
	c := &s.scan
	for name, t := range c.tracked {
		if t.pass != c.pass {
			delete(c.tracked, name)
		}
	}
	if c.ignored > 0 && !c.reported {
		c.reported = true
		s.log.Info("files of other names are left alone", "folder", s.o.In, "files", c.ignored, "suffixes", s.o.Suffixes)
	}
	c.ended = time.Now()
	c.took = c.ended.Sub(c.begun)
	c.end()
}

// look claims what is ready or bad.
func (s *Source) look(e fs.DirEntry) (spool.Item, bool) {
	name := e.Name()
	id := strconv.Itoa(s.gen) + "/" + name
	s.mu.Lock()
	_, claimed := s.claims[id]
	s.mu.Unlock()
	if claimed {
		return spool.Item{}, false
	}
	var before durable.Info
	if t := s.scan.tracked[name]; !t.again {
		before = t.seen
	}
	v := s.o.judge(s.in, name, e.Type(), before)
	switch {
	case v.state == gone, v.young:
		return spool.Item{}, false
	case v.state == waiting && !s.stale(name, &v):
		return spool.Item{}, false
	}
	delete(s.scan.tracked, name)
	s.mu.Lock()
	s.claims[id] = claim{gen: s.gen, name: name, seen: v.info}
	s.mu.Unlock()
	return spool.Item{
		ID: id, Return: spool.Return{Channel: s.o.Channel, Name: name},
		DER: v.der, Bad: v.reason,
	}, true
}

// stale remembers a file that is not ready, and turns v bad when it has waited
// too long.
func (s *Source) stale(name string, v *verdict) bool {
	c := &s.scan
	now := s.o.Now()
	t, known := c.tracked[name]
	if !known && len(c.tracked) >= c.room {
		return false // its time begins when there is room
	}
	if !known || t.seen != v.info {
		t = tracked{seen: v.info, since: now}
		if v.trouble {
			s.log.Warn("a file cannot be read", "name", name, "err", v.reason)
		}
	}
	t.pass, t.again = c.pass, v.trouble
	if v.reason == "" {
		v.reason = t.state // judge did not look again
	}
	t.state = v.reason
	c.tracked[name] = t
	if s.o.StaleAfter == 0 || now.Sub(t.since) < s.o.StaleAfter {
		return false
	}
	v.state, v.reason = bad, fmt.Sprintf("%s; no change for %v", v.reason, now.Sub(t.since).Round(time.Second))
	return true
}

// own tells whether name is one of our other folders, which may be below that
// of the messages.
func (o *Options) own(name string) bool {
	path := filepath.Join(o.In, name)
	return o.Archive != "" && path == filepath.Clean(o.Archive) || path == filepath.Clean(o.Failed)
}

// Pending counts what is in the folder.
type Pending struct {
	Ready      int // could be collected
	Bad        int // could be collected, and are no messages
	Claimed    int // collected and not settled
	Incomplete int // not whole, or not readable
	Ignored    int // have other names
}

// Pending looks at the whole folder. It claims nothing and reads no more than
// the first octets of each file.
func (s *Source) Pending(ctx context.Context) (Pending, error) {
	var p Pending
	s.dirs.RLock()
	defer s.dirs.RUnlock()
	if s.isClosed() {
		return p, errClosed
	}
	l, err := s.in.List()
	if err != nil {
		return p, fmt.Errorf("folder for messages: %w", err)
	}
	defer l.Close()
	prefix := strconv.Itoa(s.gen) + "/"
	for {
		entries, err := l.ReadDir(listChunk)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return p, err
			}
			name := e.Name()
			if skipped(name) {
				continue
			}
			if !s.o.matches(name) {
				if !s.o.own(name) {
					p.Ignored++
				}
				continue
			}
			s.mu.Lock()
			_, claimed := s.claims[prefix+name]
			s.mu.Unlock()
			if claimed {
				p.Claimed++
				continue
			}
			switch v := s.o.judgeHead(s.in, name, e.Type()); v.state {
			case ready:
				p.Ready++
			case bad:
				p.Bad++
			case waiting:
				p.Incomplete++
			}
		}
		if errors.Is(err, io.EOF) || err == nil && len(entries) == 0 {
			return p, nil
		}
		if err != nil {
			return p, fmt.Errorf("list folder for messages: %w", err)
		}
	}
}
