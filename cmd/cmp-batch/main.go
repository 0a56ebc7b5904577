// Command cmp-batch is a CMP authority for places a network does not reach.
// This package reads flags, wires the rooms together and prints; everything
// worth a test of its own is elsewhere.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"cmp-batch/configs"
)

// The exit codes of the outside contract.
const (
	exitDone  = 0 // refusals are answers, so they count as done
	exitRetry = 1 // something could not be done and is still there to retry
	exitUsage = 2 // wrong use or configuration
)

// cores is how many processors there are to compute with.
var cores = runtime.GOMAXPROCS(0)

func main() {
	if os.Getenv("GOMAXPROCS") == "" {
		// A thread that waits for the disk keeps what it computes with from the
		// others for up to 10 ms. So there are more of these than processors; how much
		// is computed at a time is the pump's choice.
		runtime.GOMAXPROCS(2 * cores)
	}
	if os.Getenv("GOGC") == "" {
		// What is alive is small: caches of the database and the batches in work.
		// Half as many collections cost some 20 MiB.
		debug.SetGCPercent(200)
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func usage(format string, a ...any) error { return usageError{fmt.Errorf(format, a...)} }

// hinted is an error with the next thing to do.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

func hint(err error, format string, a ...any) error {
	if err == nil {
		return nil
	}
	return hinted{err, fmt.Sprintf(format, a...)}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c := &cli{stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var faults configs.Faults
	if errors.As(err, &faults) {
		fmt.Fprintln(stderr, err)
	} else {
		fmt.Fprintln(stderr, "cmp-batch:", err)
	}
	var h hinted
	if errors.As(err, &h) {
		fmt.Fprintln(stderr, "hint:", h.hint)
	}
	var u usageError
	if !c.started || errors.As(err, &u) || errors.As(err, &faults) {
		return exitUsage
	}
	return exitRetry
}
