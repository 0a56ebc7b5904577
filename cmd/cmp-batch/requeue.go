package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	dirin "cmp-batch/inbox/dir"
	"cmp-batch/spool"
	"cmp-batch/spool/durable"

	"github.com/spf13/cobra"
)

func (c *cli) queueRequeueCommand() *cobra.Command {
	var all bool
	var in string
	cmd := &cobra.Command{
		Use:   "requeue (ID... | FILE... | --all)",
		Short: "Let failed messages be processed anew",
		Long: `Let failed messages be processed anew, once the cause is gone: their files move
from the failed folder back to the folder of requests, and the database forgets
the failure. A file may also be named by its path in the failed folder.

Messages of the process command are on their medium, in failed/ beside the
requests. Name these by their path, or by --in DIR, as process has it, and IDs or
--all for all that failed of this medium. The next process answers them.`,
		Example: `  cmp-batch queue requeue 12
  cmp-batch queue requeue spool/failed/device-1.pki
  cmp-batch queue requeue --all
  cmp-batch queue requeue --all --in /media/stick/requests`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return hint(usage("IDs, files or --all say what is processed anew"), "cmp-batch queue ls lists what failed")
			}
			ctx := cmd.Context()
			a, err := c.openLedger(ctx)
			if err != nil {
				return err
			}
			defer a.close()
			q := requeuer{authority: a}
			if in != "" {
				if q.medium, err = mediumAt(in); err != nil {
					return err
				}
			}
			return q.all(ctx, args)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "all that failed")
	cmd.Flags().StringVar(&in, "in", "", "`DIR` with the requests of a medium")
	return c.withJSON(c.withConfig(cmd))
}

// requeuer lets messages be processed anew: those of the channels or, where it
// is set, of one medium.
type requeuer struct {
	*authority
	medium *configs.Channel
}

// all is about all failures where args is empty.
func (a *requeuer) all(ctx context.Context, args []string) error {
	var failures []spool.Failure
	for f, err := range a.store.Failures(ctx) {
		if err != nil {
			return err
		}
		if a.medium == nil || a.isOurs(&f) {
			failures = append(failures, f)
		}
	}
	byID := map[string]*spool.Failure{}
	for i := range failures {
		byID[strconv.FormatInt(failures[i].ID, 10)] = &failures[i]
	}
	var errs []error
	try := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, arg := range args {
		if f := byID[arg]; f != nil {
			try(a.requeueFailure(ctx, f))
			continue
		}
		try(a.requeueFile(ctx, arg, failures))
	}
	if len(args) == 0 {
		for i := range failures {
			try(a.requeueFailure(ctx, &failures[i]))
		}
		if len(failures) == 0 && !a.cli.json {
			fmt.Fprintln(a.cli.stdout, "nothing failed")
		}
	}
	return errors.Join(errs...)
}

// isOurs tells whether a failure is of the medium. Those of a time when media had
// no names are where their file is.
func (a *requeuer) isOurs(f *spool.Failure) bool {
	if f.Return.Channel != mediumChannel {
		return f.Return.Channel == a.medium.Name
	}
	_, err := findFailed(a.medium, f)
	return err == nil
}

// failedFile is a file in a channel's failed folder.
type failedFile struct {
	channel *configs.Channel
	name    string
	reason  *dirin.Reason // nil where it has none that can be read
}

func (f *failedFile) path() string { return filepath.Join(f.channel.Dir.Failed, f.name) }

func (a *authority) channel(name string) *configs.Channel {
	for i := range a.cfg.Channels {
		if a.cfg.Channels[i].Name == name {
			return &a.cfg.Channels[i]
		}
	}
	return nil
}

// failedFile finds the file of a failure. It may have another name in the
// failed folder than it came with.
func (a *authority) failedFile(f *spool.Failure) (*failedFile, error) {
	ch := a.channel(f.Return.Channel)
	switch {
	case ch == nil && isMedium(f.Return.Channel):
		return nil, hint(usage("message %d is on its medium, %s", f.ID, f.Return.Channel), "--in says where that is: the folder of requests, as process has it")
	case ch == nil:
		return nil, usage("message %d came by channel %q, which is not in the configuration any more", f.ID, f.Return.Channel)
	}
	return findFailed(ch, f)
}

func findFailed(ch *configs.Channel, f *spool.Failure) (*failedFile, error) {
	const limit = durable.MaxName - len(".reason.json")
	content := func() ([]byte, error) { return nil, errors.New("not needed") }
	missed := 0
	for k := 0; missed < 8; k++ { // others may have been taken away
		name, ok, err := durable.Variant(f.Return.Name, k, limit, content)
		if err != nil || !ok {
			break
		}
		file := &failedFile{channel: ch, name: name}
		if _, err := os.Lstat(file.path()); err != nil {
			missed++
			continue
		}
		file.readReason()
		if file.isOf(f) {
			return file, nil
		}
	}
	return nil, fmt.Errorf("message %d: %q is not in %s", f.ID, f.Return.Name, ch.Dir.Failed)
}

func (f *failedFile) readReason() {
	data, err := readBounded(f.path()+".reason.json", 64<<10)
	if err != nil {
		return
	}
	r := new(dirin.Reason)
	if json.Unmarshal(data, r) == nil {
		f.reason = r
	}
}

// isOf tells whether this is the file of that failure.
func (f *failedFile) isOf(x *spool.Failure) bool {
	if f.reason == nil {
		return f.name == x.Return.Name
	}
	if f.reason.Name() != x.Return.Name {
		return false
	}
	return f.reason.SHA256 == hex.EncodeToString(x.Hash[:]) || f.reason.Reason == x.Reason
}

func (a *requeuer) requeueFailure(ctx context.Context, f *spool.Failure) error {
	var file *failedFile
	var err error
	if a.medium != nil {
		file, err = findFailed(a.medium, f)
	} else {
		file, err = a.failedFile(f)
	}
	if err != nil {
		return err
	}
	return a.requeue(ctx, file, f)
}

// requeueFile is for a path, also of a file that the database has forgotten.
func (a *requeuer) requeueFile(ctx context.Context, path string, failures []spool.Failure) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(abs); errors.Is(err, fs.ErrNotExist) {
		return hint(usage("%.80q is neither the number of a failed message nor a file", path), "cmp-batch queue ls lists what failed")
	}
	dir, err := os.Stat(filepath.Dir(abs))
	if err != nil {
		return err
	}
	channels := make([]*configs.Channel, 0, len(a.cfg.Channels)+1)
	for i := range a.cfg.Channels {
		channels = append(channels, &a.cfg.Channels[i])
	}
	if a.medium != nil {
		channels = []*configs.Channel{a.medium}
	} else if ch, err := mediumAt(filepath.Dir(filepath.Dir(abs))); err == nil && ch.Name != mediumChannel {
		channels = append(channels, ch)
	}
	for _, ch := range channels {
		failed, err := os.Stat(ch.Dir.Failed)
		if err != nil || !os.SameFile(dir, failed) {
			continue
		}
		file := &failedFile{channel: ch, name: filepath.Base(abs)}
		file.readReason()
		for i := range failures {
			of := failures[i].Return.Channel
			if (of == ch.Name || of == mediumChannel && isMedium(ch.Name)) && file.isOf(&failures[i]) {
				return a.requeue(ctx, file, &failures[i])
			}
		}
		return a.requeue(ctx, file, nil)
	}
	return hint(usage("%.80q is not in the failed folder of any channel", path), "where it is on a medium, --in is its folder of requests")
}

// requeue forgets first: a file that is back while its failure is still known
// would be put aside again. Where it ends in between, the file is still in the
// failed folder, and its path is good for another try.
func (a *authority) requeue(ctx context.Context, file *failedFile, f *spool.Failure) error {
	if f != nil {
		if err := a.store.Forget(ctx, f.ID); err != nil && !errors.Is(err, spool.ErrNotFound) {
			return err
		}
	}
	d := file.channel.Dir
	name, err := dirin.Requeue(dirin.Options{
		Channel: file.channel.Name, In: d.In, Failed: d.Failed, MaxBytes: int64(a.cfg.Limits.Bytes), Suffixes: d.Suffixes,
	}, file.name)
	if err != nil {
		return hint(err, "cmp-batch queue requeue %s tries again", shellQuote(file.path()))
	}
	to := filepath.Join(d.In, name)
	noted := a.note(ctx, cmpcore.AuditEntry{Event: "requeued", Detail: fmt.Sprintf("channel %s, file %.200q", file.channel.Name, name)})
	if a.cli.json {
		return errors.Join(a.cli.printJSON(map[string]string{"from": file.path(), "to": to, "status": "requeued"}), noted)
	}
	_, err = fmt.Fprintf(a.cli.stdout, "%q is back as %q\n", file.path(), to)
	return errors.Join(err, noted)
}
