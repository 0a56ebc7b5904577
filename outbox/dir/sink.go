package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"cmp-batch/spool"
	"cmp-batch/spool/durable"
)

// Options configure a Sink.
type Options struct {
	Channel string // its name in the configuration
	Out     string // the folder; it must exist
	// Perm are the permissions of the files. 0 is 0644 less the umask; others
	// are set as they are.
	Perm fs.FileMode
	// Now is the clock; nil is time.Now. It only tells what a crash has left
	// from what is being written.
	Now    func() time.Time
	Logger *slog.Logger // nil: none
}

// Sink delivers into a folder. Its methods may be used concurrently.
type Sink struct {
	o   Options
	log *slog.Logger

	mu     sync.RWMutex // read-locked while answers are written
	out    *durable.Dir // nil when closed
	closed bool

	fault durable.Fault // of tests
}

var _ spool.Sink = (*Sink)(nil)

// New opens the folder and removes the temporary files that a crash left there.
func New(o Options) (*Sink, error) { return newSink(o, nil) }

func newSink(o Options, fault durable.Fault) (*Sink, error) {
	if o.Out == "" {
		return nil, errors.New("no folder for answers is given")
	}
	if o.Perm&^fs.ModePerm != 0 {
		return nil, fmt.Errorf("permissions %v of answers: only those of mode 0777 can be set", o.Perm)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Sink{o: o, log: o.Logger.With("channel", o.Channel), fault: fault}
	if err := s.open(); err != nil {
		return nil, err
	}
	n, err := s.out.RemoveStale(o.Now())
	if err != nil {
		s.log.Warn("cannot remove all temporary files of an earlier run", "folder", o.Out, "err", err)
	}
	if n > 0 {
		s.log.Info("removed temporary files of an earlier run", "folder", o.Out, "files", n)
	}
	return s, nil
}

func (s *Sink) open() error {
	d, err := durable.OpenDir(s.o.Out)
	if err != nil {
		return fmt.Errorf("folder for answers: %w", err)
	}
	d.Inject(s.fault)
	s.out = d
	return nil
}

// Channel is the channel's name in the configuration.
func (s *Sink) Channel() string { return s.o.Channel }

// Close frees the folder. A closed Sink delivers nothing.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.out == nil {
		return nil
	}
	d := s.out
	s.out = nil
	return d.Close()
}

// Deliver implements [spool.Sink]. Permanent are the errors about names that no
// file can have, or not here.
func (s *Sink) Deliver(ctx context.Context, d []spool.Delivery) []error {
	errs := make([]error, len(d))
	if len(d) == 0 {
		return errs
	}
	if err := s.follow(); err != nil {
		return all(errs, err)
	}
	defer s.mu.RUnlock()
	files := make([]durable.NewFile, 0, len(d))
	index := make([]int, 0, len(d))
	for i, a := range d {
		if strings.HasPrefix(a.Name, ".") {
			// Such names are hidden, and those of temporary files are among them.
			errs[i] = spool.Permanent(fmt.Errorf("answer %.80q: a name in a folder may not begin with a dot", a.Name))
			continue
		}
		files = append(files, durable.NewFile{Name: a.Name, Data: a.DER})
		index = append(index, i)
	}
	for j, p := range s.out.WriteAll(ctx, files, durable.WriteOptions{Perm: s.o.Perm, Rename: true}) {
		switch i := index[j]; {
		case errors.Is(p.Err, durable.ErrName):
			errs[i] = spool.Permanent(p.Err)
		case p.Err != nil:
			errs[i] = p.Err
		case p.Name != files[j].Name:
			s.log.Warn("another answer was there under this name", "name", files[j].Name, "written", p.Name)
		}
	}
	// Had the folder been exchanged meanwhile, the answers would be where nobody
	// looks. Delivering them again into the new one does no harm.
	if ok, err := s.out.Current(); err != nil || !ok {
		return all(errs, errors.Join(fmt.Errorf("folder %q for answers was exchanged during delivery", s.o.Out), err))
	}
	return errs
}

// follow opens the folder anew where the path leads elsewhere than before.
// Without error, s.mu is read-locked.
func (s *Sink) follow() error {
	for {
		s.mu.RLock()
		ok, err := s.current()
		if ok {
			return nil
		}
		s.mu.RUnlock()
		if err == nil {
			err = s.reopen()
		}
		if err != nil {
			return err
		}
	}
}

// current tells whether the open folder is where the path leads.
func (s *Sink) current() (bool, error) {
	if s.closed {
		return false, errors.New("the channel is closed")
	}
	if s.out == nil {
		return false, nil
	}
	ok, err := s.out.Current()
	if err != nil {
		return false, fmt.Errorf("folder for answers: %w", err)
	}
	return ok, nil
}

func (s *Sink) reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ok, err := s.current(); ok || err != nil {
		return err // another delivery was faster
	}
	if s.out != nil {
		s.log.Info("folder for answers was exchanged", "folder", s.o.Out)
		s.out.Close()
		s.out = nil
	}
	return s.open()
}

func all(errs []error, err error) []error {
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return errs
}
