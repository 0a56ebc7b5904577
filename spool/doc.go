// Package spool moves messages from sources through the core into sinks, and
// loses none. The word spool means three things elsewhere: the database is the
// [Store], the machine is the [Pump], the operator's directories are the
// channel in inbox/dir and outbox/dir.
//
// # Who owns a message when
//
//	state      it is in                       a crash leaves it      next start
//	arrived    the source                     in the source          collected
//	claimed    the source, and memory         in the source          collected again
//	committed  source and Store, with reply   both, not delivered    reply delivered from the Store; the source's
//	                                                                 copy is known by its hash: same reply, settled
//	delivered  source, Store and sink         reply durable, source  known by its hash; the sink finds the same
//	                                          not settled            bytes there: nothing to do; settled
//	settled    Store, sink, archive           everything             nothing
//	held       Store, archive                 no reply exists yet    waits; a decision makes it claimed again,
//	                                                                 from the Store instead of the source
//	failed     Store, quarantine of source    reason in the Store    nothing, until an operator requeues it
//
// Only the step from claimed to committed changes what is true, and it is one
// transaction of the Store for a whole batch. Every step before it can be
// repeated because it changes nothing, every step after it because it is
// idempotent. The same bytes always find the same stored reply.
//
// A message inside another one is stored with it, all or nothing, and known by
// its hash as if it had come alone; what it is answered with goes out inside the
// answer to the outer one. What an outcome sends unasked ([cmpcore.Outgoing]) is
// committed with it and delivered in the same ways, but no source waits for it.
//
// The package contains no rule of CMP and links no database driver. Channels
// (Source, Sink) and Stores are in packages of their own and are wired by the
// command.
package spool
