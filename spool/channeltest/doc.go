// Package channeltest holds what every channel must do, as tests: [Source]
// for a [cmp-batch/spool.Source], [Sink] for a [cmp-batch/spool.Sink]. A
// channel's own test makes a fixture and calls them; what is said in the
// comments of the interfaces is checked there and nowhere else.
package channeltest
