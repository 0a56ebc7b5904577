package dir

import (
	"context"
	"errors"
	"fmt"

	"cmp-batch/spool/durable"
)

// Requeue moves a file of the failed folder back to the messages, under the
// name it came with or, where that is taken, a variant, and returns the name.
// Its reason is removed once the file is durable there. It may be called while
// a Source is open, in any process. Only In, Failed, MaxBytes and Suffixes of
// the options count.
func Requeue(o Options, failedName string) (name string, err error) {
	if err := durable.CheckName(failedName); err != nil {
		return "", err
	}
	if hasSuffixFold(failedName, reasonSuffix) {
		return "", fmt.Errorf("%s is the reason of a file; name the file", quote(failedName))
	}
	o.Delete, o.Archive = true, ""
	if o, err = o.check(); err != nil {
		return "", err
	}
	in, err := durable.OpenDir(o.In)
	if err != nil {
		return "", fmt.Errorf("folder for messages: %w", err)
	}
	defer in.Close()
	failed, err := durable.OpenDir(o.Failed)
	if err != nil {
		return "", fmt.Errorf("folder for bad messages: %w", err)
	}
	defer failed.Close()

	name = failedName
	r, err := readReason(failed, failedName)
	switch {
	case err == nil && durable.CheckName(r.Name()) == nil && o.matches(r.Name()) && !skipped(r.Name()):
		name = r.Name()
	case !o.matches(failedName) || skipped(failedName):
		return "", fmt.Errorf("%s would not be collected under its name, and no reason tells another", quote(failedName))
	}
	if name, err = requeueAs(o, in, failed, failedName, name); err != nil {
		return "", fmt.Errorf("requeue %s: %w", quote(failedName), err)
	}
	if err := ignoreGone(failed.Remove(failedName + reasonSuffix)); err != nil {
		return name, err
	}
	return name, failed.Sync()
}

func requeueAs(o Options, in, failed *durable.Dir, from, name string) (string, error) {
	as, err := putBack(failed, from, in, name)
	if !errors.Is(err, durable.ErrCrossDevice) {
		if err != nil {
			return "", err
		}
		return as, in.Sync()
	}
	data, _, err := failed.Read(from, o.MaxBytes)
	if err != nil {
		return "", err
	}
	p := in.WriteAll(context.Background(), []durable.NewFile{{Name: name, Data: data}}, durable.WriteOptions{Rename: true})[0]
	if p.Err != nil {
		return "", p.Err
	}
	return p.Name, failed.Remove(from)
}
