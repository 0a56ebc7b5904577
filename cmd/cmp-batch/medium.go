package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"cmp-batch/configs"
	"cmp-batch/spool/durable"
)

// A medium of the process command is a channel of its own, so that what is owed
// to one does not go to another. Its name is in a hidden file beside its
// requests, which travels with them: it was given by --medium, or made up when
// the medium was first processed.

const (
	// mediumChannel is what the channels of all media begin with, and the policy
	// of them all. Before media had names it was the only one; what is still owed
	// to that goes to the medium that is processed next, as it did.
	mediumChannel = "medium"
	mediumPrefix  = mediumChannel + ":"
	mediumFile    = ".cmp-batch-medium"
)

var mediumName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// isMedium tells whether a channel is a medium.
func isMedium(channel string) bool {
	return channel == mediumChannel || strings.HasPrefix(channel, mediumPrefix)
}

// readMedium gives the name of the medium with this folder of requests; empty
// where it has none.
func readMedium(in string) (string, error) {
	d, err := durable.OpenDir(in)
	if err != nil {
		return "", err
	}
	defer d.Close()
	data, _, err := d.Read(mediumFile, 256)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	name := strings.TrimSpace(string(data))
	if err == nil && !mediumName.MatchString(name) {
		err = fmt.Errorf("%s has no name of a medium", filepath.Join(in, mediumFile))
	}
	if err != nil {
		return "", hint(usageError{err}, "remove the file, and say by --medium which medium this is")
	}
	return name, nil
}

// nameMedium finds the name of a medium, or gives it the one that is wanted, or
// one of its own.
func nameMedium(ctx context.Context, in, want string) (string, error) {
	if want != "" && !mediumName.MatchString(want) {
		return "", usage("--medium %.80q: a name has letters, digits, - and _, at most 64", want)
	}
	name, err := readMedium(in)
	switch {
	case err != nil:
		return "", err
	case name != "" && want != "" && name != want:
		return "", hint(usage("--medium %s: this medium has the name %s, and what is owed to it goes by that", want, name),
			"remove %s to give it another", shellQuote(filepath.Join(in, mediumFile)))
	case name != "":
		return name, nil
	case want == "":
		b := make([]byte, 6)
		rand.Read(b) // it never fails
		want = hex.EncodeToString(b)
	}
	d, err := durable.OpenDir(in)
	if err != nil {
		return "", err
	}
	defer d.Close()
	placed := d.WriteAll(ctx, []durable.NewFile{{Name: mediumFile, Data: []byte(want + "\n")}}, durable.WriteOptions{})
	return want, placed[0].Err
}

// mediumAt is a medium as a channel, for queue requeue.
func mediumAt(in string) (*configs.Channel, error) {
	name, err := readMedium(in)
	if err != nil {
		return nil, err
	}
	channel := mediumChannel // it was processed before media had names
	if name != "" {
		channel = mediumPrefix + name
	}
	return &configs.Channel{Name: channel, Dir: &configs.Dir{In: in, Failed: filepath.Join(in, "failed")}}, nil
}
