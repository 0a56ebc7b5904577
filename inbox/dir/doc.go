// Package dir takes messages from a folder: each file NAME.pki is one DER
// element, and NAME.pki is what its answer will be called.
//
// Open a [Source] with [New]. [Requeue] brings back what was put aside as bad.
//
// # When a file is taken
//
// A file is a message when its name ends in one of the suffixes and it is a
// regular file as long as its first octets say. A shorter one is being written
// and waits, for StaleAfter if that is set. One that can never become a
// message is shown as bad at once: a first octet other than 0x30, octets after
// the end, a size over the limit, a link, a folder, a FIFO. Other names are left
// alone; so are hidden names and those that end in .tmp, .part, ~ or
// .reason.json, whatever the suffixes are. A file that changes while it is read
// is not taken; the next look takes it.
//
// Senders who set the size before the contents (SMB, preallocation) need
// MinAge.
//
// # Where it goes
//
// Done moves it into the archive folder, or deletes it. Quarantine moves it
// into the failed folder and puts NAME.pki.reason.json beside it, which is durable
// before the file moves. Neither replaces anything there: a taken name becomes
// NAME-2.pki, NAME-3.pki and so on.
//
// A file that was replaced or changed after it was read stays: it is a new
// message. As no system call moves a file only if it is still the same one,
// the file is looked at again after its move and put back if it is another.
// Files that are to be deleted, or copied to another file system, are
// therefore moved into the hidden folder .cmp-batch first; what a crash leaves
// there goes back at the next start.
//
// # Cost
//
// The folder is listed in parts, and nothing is remembered of files that wait
// but a bounded number of sizes and times. Events of the system shorten the
// wait; the truth is a look at all names, every ScanInterval. Hence network
// file systems work, without events.
//
// A folder that is renamed and made anew, or mounted over, is followed. An
// open Source keeps its file systems busy: Close before media are unmounted.
//
// The package does not parse CMP and decides nothing about a message.
package dir
