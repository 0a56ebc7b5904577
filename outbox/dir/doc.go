// Package dir delivers answers as files into a folder: the answer to
// in/NAME.pki is out/NAME.pki.
//
// Open a [Sink] with [New]. When Deliver returns without error for an answer,
// the file is whole, under its name, and survives a power cut; before that
// nobody can see a part of it. A file that is there is never replaced: with
// the same octets it is the answer, delivered by an earlier try; otherwise the
// answer becomes NAME-2.pki, NAME-3.pki and so on. How, is in
// [cmp-batch/spool/durable].
//
// The folder may be fetched from, emptied or moved away at any time. It may be
// shared by several processes. On media that shall be unmounted, Close comes
// first.
//
// The package knows nothing of CMP and nothing of where a request came from.
package dir
