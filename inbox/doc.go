// Package inbox is the room of the channels through which messages come in.
// Each folder is one kind of channel and holds one [cmp-batch/spool.Source]; what a
// Source promises stands there. A Source does not parse CMP and decides nothing
// about a message.
package inbox
