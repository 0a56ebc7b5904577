package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"time"

	"cmp-batch/cmpcore/der"
	"cmp-batch/spool"
	"cmp-batch/spool/durable"
)

// Options configure a Source.
type Options struct {
	Channel string // its name in the configuration
	// In is the folder with the messages, Archive takes those that are done,
	// Failed those that are bad. They must exist and be different. With Delete
	// there is no Archive: done is deleted.
	In, Archive, Failed string
	Delete              bool
	// Suffixes are the ends of names, any case, that make a file a message.
	// Default: .pki
	Suffixes []string
	// MaxBytes is the largest message in octets. Default: [der.DefaultBytes].
	// No more than that is ever read of a file.
	MaxBytes int64
	// StaleAfter is how long an incomplete file may stop growing before it is
	// bad. 0: for ever.
	StaleAfter time.Duration
	// MinAge is how long a file must not have changed before it is looked at. Default: 0.
	MinAge time.Duration
	// ScanInterval is the longest time between looks at the folder while
	// events come or not. Default: 5 s.
	ScanInterval time.Duration
	Now          func() time.Time // the clock; nil is time.Now
	Logger       *slog.Logger     // nil: none

	afterRead func(name string) // of tests: a file was read, and is not trusted yet
}

// The defaults and bounds.
const (
	defaultSuffix   = ".pki"
	defaultInterval = 5 * time.Second
	listChunk       = 4096     // names held of a listing
	maxTracked      = 4096     // incomplete files whose growth is watched
	maxCollect      = 64 << 20 // octets that one Collect returns, more or less
)

// Source is a folder of messages. Collect and Wait are for one goroutine,
// Settle for another; Pending is for any.
type Source struct {
	o   Options
	log *slog.Logger

	// The folders. Collect and Wait exchange in, Settle the others; Settle
	// also uses in.
	dirs   sync.RWMutex
	in     *durable.Dir
	gen    int // how often in was exchanged; part of every Item.ID
	closed chan struct{}
	once   sync.Once

	turn  sync.Mutex // a Collect, or the Close that must not disturb it
	scan  scan       // of Collect
	watch watch

	mu     sync.Mutex
	claims map[string]claim // by Item.ID

	done, failed *durable.Dir // of Settle; done is nil with Delete
	untidy       bool         // of Settle; something may be in the hold

	fault durable.Fault // of tests
}

var _ spool.Source = (*Source)(nil)

// claim is what an item was when it was read.
type claim struct {
	gen  int
	name string
	seen durable.Info
}

// New opens the folders and puts back what a crash left half settled.
func New(o Options) (*Source, error) { return newSource(o, nil) }

func newSource(o Options, fault durable.Fault) (*Source, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	s := &Source{
		o: o, log: o.Logger.With("channel", o.Channel), fault: fault,
		claims: make(map[string]claim), closed: make(chan struct{}),
	}
	s.scan.tracked, s.scan.room = make(map[string]tracked), maxTracked
	s.watch.wake = make(chan struct{}, 1)
	if err := s.openAll(); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.restoreHeld(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (o Options) check() (Options, error) {
	switch {
	case o.In == "":
		return o, errors.New("no folder for messages is given")
	case o.Failed == "":
		return o, errors.New("no folder for bad messages is given")
	case o.Delete && o.Archive != "":
		return o, errors.New("both an archive folder and deletion are given: choose one")
	case !o.Delete && o.Archive == "":
		return o, errors.New("neither an archive folder nor deletion is given")
	case o.MaxBytes < 0 || o.StaleAfter < 0 || o.MinAge < 0 || o.ScanInterval < 0:
		return o, errors.New("sizes and times of a folder must not be negative")
	}
	if len(o.Suffixes) == 0 {
		o.Suffixes = []string{defaultSuffix}
	}
	for _, x := range o.Suffixes {
		if len(x) < 2 || x[0] != '.' || skipped("x"+x) {
			return o, fmt.Errorf("suffix %q: a suffix is a dot and letters, and not that of an unfinished file", x)
		}
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = der.DefaultBytes
	}
	if o.ScanInterval == 0 {
		o.ScanInterval = defaultInterval
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

func (s *Source) openDir(path string) (*durable.Dir, error) {
	d, err := durable.OpenDir(path)
	if err != nil {
		return nil, err
	}
	d.Inject(s.fault)
	return d, nil
}

func (s *Source) openAll() (err error) {
	if s.in, err = s.openDir(s.o.In); err != nil {
		return fmt.Errorf("folder for messages: %w", err)
	}
	return s.openTargets()
}

// openTargets opens, or opens anew, the folders that messages are moved to.
func (s *Source) openTargets() error {
	err := s.follow(&s.failed, s.o.Failed)
	if err == nil && !s.o.Delete {
		err = s.follow(&s.done, s.o.Archive)
	}
	if err != nil {
		return err
	}
	// One folder in two roles would take its own files in again, for ever.
	if same(s.failed, s.in) {
		return fmt.Errorf("folders %q and %q are the same", s.o.In, s.o.Failed)
	}
	if s.done != nil && (same(s.done, s.in) || same(s.done, s.failed)) {
		return fmt.Errorf("archive folder %q is also another folder of the channel", s.o.Archive)
	}
	return nil
}

func same(a, b *durable.Dir) bool {
	i := a.Info()
	return i.Ino != 0 && i.SameFile(b.Info())
}

// follow opens the folder at path where d is not it.
func (s *Source) follow(d **durable.Dir, path string) error {
	if *d != nil {
		ok, err := (*d).Current()
		if err != nil || ok {
			return err
		}
		s.log.Info("folder was exchanged", "folder", path)
		(*d).Close()
		*d = nil
	}
	n, err := s.openDir(path)
	*d = n
	return err
}

// Channel is the channel's name in the configuration.
func (s *Source) Channel() string { return s.o.Channel }

var errClosed = errors.New("the channel is closed")

func (s *Source) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Close ends a Wait and frees the folders.
func (s *Source) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.watch.close()
		s.turn.Lock()
		defer s.turn.Unlock()
		s.dirs.Lock()
		defer s.dirs.Unlock()
		s.scan.end()
		if s.in != nil {
			_ = s.in.RemoveSub(holdName) // if empty
		}
		for _, d := range []*durable.Dir{s.in, s.done, s.failed} {
			if d != nil {
				d.Close()
			}
		}
	})
	return nil
}

// followIn opens the folder of messages anew where its path leads elsewhere
// than before. Claims on the files of the old one are void.
func (s *Source) followIn() (exchanged bool, err error) {
	ok, err := s.in.Current()
	if err != nil {
		return false, fmt.Errorf("folder for messages: %w", err)
	}
	if ok {
		return false, nil
	}
	n, err := s.openDir(s.o.In)
	if err != nil {
		return false, fmt.Errorf("folder for messages: %w", err)
	}
	s.log.Info("folder for messages was exchanged", "folder", s.o.In)
	s.dirs.Lock()
	defer s.dirs.Unlock()
	if s.isClosed() {
		n.Close()
		return false, errClosed
	}
	s.in.Close()
	s.in = n
	s.gen++
	s.scan.end()
	clear(s.scan.tracked)
	s.watch.loseAndWake()
	return true, s.restoreHeld()
}

// skipped tells whether a name is that of a hidden or unfinished file, whatever the suffixes.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") ||
		hasSuffixFold(name, ".tmp") || hasSuffixFold(name, ".part") || hasSuffixFold(name, reasonSuffix)
}

func (o *Options) matches(name string) bool {
	for _, x := range o.Suffixes {
		if hasSuffixFold(name, x) {
			return true
		}
	}
	return false
}

func hasSuffixFold(name, suffix string) bool {
	return len(name) >= len(suffix) && strings.EqualFold(name[len(name)-len(suffix):], suffix)
}

func quote(name string) string { return fmt.Sprintf("%.80q", name) }

func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// kind names what is no regular file.
func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeDir != 0:
		return "a folder"
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	}
	return "of unknown kind"
}
