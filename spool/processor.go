package spool

import (
	"context"

	"cmp-batch/cmpcore"
)

// Processor is what the pump asks of the core; [*cmpcore.Engine] is one.
type Processor interface {
	// Parse reads a message once. It does not fail: what is wrong with the
	// message is in the Request and in its outcome.
	Parse(der []byte, channel string) *cmpcore.Request
	// Process turns a message into its outcome and changes nothing. An error
	// means that the outcome could not be computed now; the message stays.
	Process(ctx context.Context, r *cmpcore.Request, v cmpcore.View) (*cmpcore.Outcome, error)
	// Expire gives the outcome of a transaction's time having run out. For a
	// held one, the outcome carries the answer to its first message.
	Expire(ctx context.Context, t *cmpcore.Transaction, v cmpcore.View) (*cmpcore.Outcome, error)
}
