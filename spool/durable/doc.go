// Package durable puts files into directories so that a crash at any moment,
// also of the power, leaves each name either absent or whole, and nothing that
// was there before is replaced.
//
// Open a directory with [OpenDir]; [Dir.WriteAll] makes a batch of files arrive,
// [RenameNoReplace] moves what is there, [Dir.Sync] makes names durable.
//
// # The order of the system calls, and why
//
// WriteAll, for each batch:
//
//  1. fstatat of the name. The same bytes there already are the answer of an
//     earlier try: nothing to write, only to make durable. Other bytes there
//     stay; the next free name is used.
//  2. open(O_TMPFILE), or open(".cmp-batch-RANDOM.tmp", O_CREAT|O_EXCL) where the file
//     system has no nameless files; write. No name that anyone looks for exists
//     yet, so nobody can see a half. A crash leaves nothing (O_TMPFILE) or a
//     name that the next [Dir.RemoveStale] removes.
//  3. fsync of each file, or one syncfs for many. It must come before 4: a name that
//     is durable before its contents is an empty file after a power cut.
//  4. linkat of the nameless file, or renameat2(RENAME_NOREPLACE). Both are
//     atomic and fail where the name is taken by now.
//  5. fsync of the directory, once for the batch. Before it a power cut may
//     take the names away again; only after it may anyone be told "delivered".
//
// After linkat the file is opened for writing and closed again. That changes
// nothing but gives those who watch the directory for IN_CLOSE_WRITE, as tools
// commonly do, their event under the right name.
//
// Moving needs only renameat2 and the fsync of the directory that receives: if
// the loss of the old name is not durable, the file is there twice after a
// power cut, and whoever collects it again finds that it was done.
//
// syncfs is used only where the kernel reports write errors through it (Linux
// 5.8) and for file systems known to implement it; elsewhere each file is
// fsynced.
//
// # Names
//
// A name is one component of a path: not empty, not "." or "..", without '/'
// and NUL, at most 255 octets; otherwise any octets. Symbolic links are never
// followed. On Linux every call is relative to the open directory (openat with
// O_NOFOLLOW), elsewhere it goes through [os.Root]. The path given to OpenDir
// itself is the operator's and may be a link.
//
// The package knows nothing of messages, channels or CMP.
package durable
