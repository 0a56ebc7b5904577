// Package outbox is the room of the channels through which answers go out.
// Each folder is one kind of channel and holds one [cmp-batch/spool.Sink]; what a Sink
// promises stands there. A Sink knows nothing of where a request came from
// beyond its return address.
package outbox
