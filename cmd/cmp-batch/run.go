package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	dirin "cmp-batch/inbox/dir"
	dirout "cmp-batch/outbox/dir"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

func (c *cli) runCommand() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Watch all channels and answer what arrives",
		Long: `Watch all channels of the configuration and answer what arrives, until told to
stop (SIGTERM or Ctrl-C): the messages in work are finished, the rest stays
where it is. A crash at any moment loses nothing.

With --once, answer what is there, print a summary, and exit: 0 when all is
done (refusals are answers), 1 when something is still there to retry.`,
		Example: `  cmp-batch run -c my-ca/cmp-batch.yaml
  cmp-batch run -c my-ca/cmp-batch.yaml --once --json`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			a, release, err := c.openToProcess(ctx)
			if err != nil {
				return err
			}
			defer release()
			if once {
				return a.drain(ctx, a.channels())
			}
			return a.watch(ctx, a.channels())
		},
	}
	cmd.Flags().BoolVar(&once, "once", false, "answer what is there, print a summary and exit")
	return c.withJSON(c.withConfig(cmd))
}

func (c *cli) processCommand() *cobra.Command {
	var in, out, medium string
	cmd := &cobra.Command{
		Use:   "process",
		Short: "Answer the messages of one medium, such as a USB stick",
		Long: `Answer the messages in one folder and write the answers to another, as
run --once does, with nothing else touched. Answered requests move to archive/
beside the requests, what is no message to failed/ there.

What is still owed to a medium, such as the answer to a request that was held, goes
to it alone when it comes back. It is known by its name, in the hidden file
.cmp-batch-medium beside the requests: that of --medium, or one that is made up
when it is first processed.`,
		Example: `  cmp-batch process -c my-ca/cmp-batch.yaml --in /media/stick/requests --out /media/stick/answers`,
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in == "" || out == "" {
				return usage("--in and --out are needed: the folders of the medium")
			}
			ctx := cmd.Context()
			a, release, err := c.openToProcess(ctx)
			if err != nil {
				return err
			}
			defer release()
			info, err := os.Stat(in)
			if err != nil {
				return usageError{fmt.Errorf("--in: %w", err)}
			}
			if !info.IsDir() {
				return usage("--in: %s is not a folder", in)
			}
			ch := channel{name: mediumChannel, in: in, out: out, archive: filepath.Join(in, "archive"), failed: filepath.Join(in, "failed"), makeFolders: true}
			if err := foldersDiffer([]channel{ch}); err != nil {
				return usageError{err} // before anything is written there
			}
			name, err := nameMedium(ctx, in, medium)
			if err != nil {
				return err
			}
			ch.name = mediumPrefix + name
			a.log.Info("medium", "channel", ch.name, "in", in)
			if a.channel(mediumChannel) == nil { // else that is another place
				ch.also = mediumChannel
			}
			return a.drain(ctx, []channel{ch})
		},
	}
	cmd.Flags().StringVar(&in, "in", "", "`DIR` with the requests")
	cmd.Flags().StringVar(&out, "out", "", "`DIR` for the answers; made where missing")
	cmd.Flags().StringVar(&medium, "medium", "", "`NAME` for a medium that has none yet")
	return c.withJSON(c.withConfig(cmd))
}

// openToProcess opens the CA and takes the lock that keeps a second instance
// off the same database.
func (c *cli) openToProcess(ctx context.Context) (*authority, func(), error) {
	a, err := c.openAuthority(ctx)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := sqlite.LockRun(a.cfg.Store.SQLite)
	if err != nil {
		a.close()
		return nil, nil, err
	}
	release := func() { a.close(); unlock() }
	if err := a.archiveOpens(ctx); err != nil {
		release()
		return nil, nil, err
	}
	a.readTrust()
	return a, release, nil
}

// channel is one pair of folders to work on.
type channel struct {
	name, in, out, archive, failed string
	also                           string // a channel whose answers go there too; empty: none
	remove, makeFolders            bool
	staleAfter                     time.Duration
	suffixes                       []string
}

// foldersDiffer refuses channels with one folder for two things, whatever it is
// called: answers among the requests would be read as requests.
func foldersDiffer(channels []channel) error {
	type folder struct{ what, path string }
	var seen []folder
	for _, ch := range channels {
		for _, f := range []folder{{"in", ch.in}, {"out", ch.out}, {"archive", ch.archive}, {"failed", ch.failed}} {
			if f.path == "" {
				continue
			}
			f.what = ch.name + "." + f.what
			for _, other := range seen {
				if sameFolder(other.path, f.path) {
					return fmt.Errorf("%s (%s) and %s (%s) are one folder: each needs its own", other.what, other.path, f.what, f.path)
				}
			}
			seen = append(seen, f)
		}
	}
	return nil
}

// sameFolder compares where paths lead, as far as they are there.
func sameFolder(a, b string) bool {
	if x, err := filepath.Abs(a); err == nil {
		if y, err := filepath.Abs(b); err == nil && x == y {
			return true
		}
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// joined are the open ends of all channels and the pump between them.
type joined struct {
	pump    *spool.Pump
	sinks   map[string]spool.Sink
	sources []*dirin.Source
	close   func()
}

func (a *authority) join(channels []channel, progress func(spool.Progress), observe func(spool.Stage, int, time.Duration)) (*joined, error) {
	j := &joined{}
	var closers []func() error
	j.close = func() {
		for _, f := range closers {
			if err := f(); err != nil {
				a.log.Warn("channel: close", "err", err)
			}
		}
	}
	cfg := spool.Config{
		Store: a.store, Processor: a.engine, Sinks: map[string]spool.Sink{}, Adopts: isMedium,
		BatchSize: a.cfg.Batch.Size, Workers: cmp.Or(a.cfg.Batch.Workers, cores), ScanInterval: a.cfg.Batch.ScanEvery,
		Logger: a.log, Progress: progress, Observe: observe,
	}
	if err := foldersDiffer(channels); err != nil {
		return nil, err
	}
	for _, ch := range channels {
		if ch.makeFolders {
			for _, d := range []string{ch.out, ch.archive, ch.failed} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					j.close()
					return nil, err
				}
			}
		}
		src, err := dirin.New(dirin.Options{
			Channel: ch.name, In: ch.in, Archive: ch.archive, Delete: ch.remove, Failed: ch.failed,
			MaxBytes: int64(a.cfg.Limits.Bytes), StaleAfter: ch.staleAfter, Suffixes: ch.suffixes, Logger: a.log,
		})
		if err != nil {
			j.close()
			return nil, fmt.Errorf("channel %s: %w", ch.name, err)
		}
		closers = append(closers, src.Close)
		j.sources = append(j.sources, src)
		cfg.Sources = append(cfg.Sources, src)
		for _, name := range []string{ch.name, ch.also} {
			if name == "" {
				continue
			}
			sink, err := dirout.New(dirout.Options{Channel: name, Out: ch.out, Logger: a.log})
			if err != nil {
				j.close()
				return nil, fmt.Errorf("channel %s: %w", name, err)
			}
			closers = append(closers, sink.Close)
			cfg.Sinks[name] = sink
		}
	}
	j.sinks = cfg.Sinks
	j.pump = spool.New(cfg)
	return j, nil
}

// drain answers what is there and prints the summary.
func (a *authority) drain(ctx context.Context, channels []channel) error {
	c := a.cli
	s, err := a.drainOnce(ctx, channels)
	if u := (usageError{}); errors.As(err, &u) {
		return err // nothing was begun
	}
	if c.json {
		if err := c.printJSON(s); err != nil {
			return err
		}
	} else {
		fmt.Fprint(c.stdout, s)
	}
	if err != nil {
		return err
	}
	if !s.Complete() {
		return hint(errors.New("not everything could be done; what is left is still there"), "run again when the cause in the log is gone")
	}
	return nil
}

// drainOnce answers what is there, with a line of progress on a terminal.
func (a *authority) drainOnce(ctx context.Context, channels []channel) (spool.Summary, error) {
	line := &progressLine{w: a.cli.stderr, on: isTerminal(a.cli.stderr)}
	j, err := a.join(channels, line.show, nil)
	if err != nil {
		return spool.Summary{}, usageError{a.cfg.Locate(err)}
	}
	defer j.close()
	if err := a.announceRoots(ctx); err != nil {
		return spool.Summary{}, err
	}
	s, err := j.pump.Drain(ctx)
	line.clear()
	if err == nil && s.Complete() {
		s.Unready, err = a.unready(ctx, j)
	}
	if p := a.cfg.Metrics.Textfile; p != "" {
		m := newMetrics()
		m.watch(j.pump, a.store, a.shelves)
		if err := prometheus.WriteToTextfile(p, m.registry); err != nil {
			a.log.Warn("metrics textfile", "err", err)
		}
	}
	err = errors.Join(err, a.refreshCRL(context.WithoutCancel(ctx)))
	if err == nil {
		err = j.tell(ctx, a)
	}
	return s, err
}

// unready counts files that are no message yet. A run that watches comes back to
// them; one that ends must say that they are there.
func (a *authority) unready(ctx context.Context, j *joined) (int64, error) {
	var n int64
	for _, src := range j.sources {
		p, err := src.Pending(ctx)
		if err != nil {
			return n, err
		}
		if p.Incomplete > 0 {
			a.log.Warn("files are not whole, or cannot be read: they stay", "channel", src.Channel(), "files", p.Incomplete)
		}
		n += int64(p.Incomplete)
	}
	return n, nil
}

// channels are those of the configuration.
func (a *authority) channels() []channel {
	var list []channel
	for _, ch := range a.cfg.Channels {
		list = append(list, channel{
			name: ch.Name, in: ch.Dir.In, out: ch.Dir.Out, archive: ch.Dir.Archive, remove: ch.Dir.Delete,
			failed: ch.Dir.Failed, staleAfter: ch.Dir.StaleAfter, suffixes: ch.Dir.Suffixes,
		})
	}
	return list
}

// watch answers until ctx ends.
func (a *authority) watch(ctx context.Context, channels []channel) error {
	m := newMetrics()
	j, err := a.join(channels, nil, m.observe)
	if err != nil {
		return usageError{a.cfg.Locate(err)}
	}
	defer j.close()
	m.watch(j.pump, a.store, a.shelves)
	if err := a.announceRoots(ctx); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	if l := a.cfg.Metrics.Listen; l != "" {
		stop, err := m.serve(l, a.log)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("metrics: %w", err) // whoever has it may go
		case err != nil:
			return usageError{fmt.Errorf("metrics: %w", err)}
		}
		defer stop()
	}
	g.Go(func() error { return j.pump.Run(ctx) })
	g.Go(func() error { return a.keepCRL(ctx) })
	g.Go(func() error { return a.keepTrust(ctx) })
	if p := a.cfg.Metrics.Textfile; p != "" {
		g.Go(func() error { return m.keepTextfile(ctx, p, a.log) })
	}
	for _, ch := range channels {
		a.log.Info("watching", "channel", ch.name, "in", ch.in, "out", ch.out)
	}
	err = g.Wait()
	s := j.pump.Stats().Summary
	a.log.Info("stopped", slog.Group("summary",
		"received", s.Received, "answered", s.Answered, "refused", s.Refused, "waiting", s.Waiting, "failed", s.Failed,
		"silent", s.Silent, "duplicates", s.Duplicates, "released", s.Released, "withdrawn", s.Withdrawn, "nested", s.Nested, "issued", s.Issued, "revoked", s.Revoked,
		"undelivered", s.Undelivered, "incomplete", s.Incomplete))
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}
