package spool

import (
	"context"
	"time"
)

// Return is where an answer goes: the name of a channel and the name that the
// channel gave the request. Only the channel's sink understands Name.
type Return struct {
	Channel string
	Name    string
}

// Item is one message that a Source shows.
type Item struct {
	// ID is the Source's own handle, unique among items that are not settled.
	ID string
	// Return is where the answer goes.
	Return Return
	// DER is the message. The receiver owns it.
	DER []byte
	// Bad says why the item can never be a message (too large, not a regular
	// file, not DER at its start); DER is then empty or a beginning. Such an
	// item is to be quarantined.
	Bad string
}

// Action is what a Source shall do with an item that is finished with.
type Action uint8

// The actions.
const (
	// Done: the outcome is durable and its answer, if any, is delivered. The
	// Source archives or deletes the original.
	Done Action = 1
	// Quarantine: not a message, or not one that may be answered. The Source
	// moves the original aside with the reason beside it.
	Quarantine Action = 2
	// Retry: put it back; Collect may show it again, if it can after others that
	// wait.
	Retry Action = 3
)

// Settlement ends the claim on an item.
type Settlement struct {
	ID     string
	Action Action
	Reason string // of a quarantine, for the operator
}

// Source shows the messages of one channel. A Source is used by one goroutine
// for Collect and Wait and by another for Settle.
type Source interface {
	// Channel is the channel's name in the configuration.
	Channel() string
	// Collect claims up to max items that are ready now and returns at once,
	// with none when there are none. A claimed item is not shown again before
	// it was settled with Retry, or the process was restarted. It holds no more
	// than it returns: memory does not grow with what waits. An error is
	// temporary unless [IsPermanent]; items returned with it count.
	Collect(ctx context.Context, max int) ([]Item, error)
	// Settle ends claims. It is idempotent. The errors are by index, nil where
	// all went well; a failed one may be settled again.
	Settle(ctx context.Context, s []Settlement) []error
	// Wait returns when something may have arrived, at the latest after d.
	Wait(ctx context.Context, d time.Duration) error
	Close() error
}

// Delivery is one committed answer on its way.
type Delivery struct {
	Name string // Return.Name
	DER  []byte
}

// Sink delivers answers into one channel.
type Sink interface {
	Channel() string
	// Deliver makes each answer arrive, durably, before it returns. It is
	// idempotent: the same answer under the same name again changes nothing.
	// Different bytes under a name that is taken go to a new free name. The
	// errors are by index, nil where all went well; an error is temporary
	// unless [IsPermanent]. It returns when ctx ends. The pump calls it for at most
	// two groups of answers at a time, so that one can be written while the other
	// waits for the disk; a Sink that can do but one lets the other wait.
	Deliver(ctx context.Context, d []Delivery) []error
	Close() error
}
