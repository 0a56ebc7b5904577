// Package sqlite is a Store in one SQLite file, for one machine and for several
// processes on it: while a run moves messages, commands may read and change the
// same database. Call [Create] once, then [Open]; a run takes [LockRun] first.
//
// # Promises
//
// Commit returns when its batch has reached the disk (write-ahead log,
// synchronous=FULL): messages, transactions, certificates, counters, audit
// record and the mark that its answers are not delivered yet are one SQLite
// transaction. A process that is killed leaves whole batches. An error means
// that nothing was stored and the call may be repeated, unless it is
// [spool.ErrAmbiguous]: the disk failed while a commit was made durable. Then
// the Store refuses all further writes, and the next start reads what is true.
// A full disk is a temporary error. Damage is a permanent one ([spool.IsPermanent]).
//
// The file has mode 0600, as have the log (-wal) and its index (-shm) that are
// beside it while it is open. After the last clean Close it is one file, which
// may be copied. It must be on a local disk: the log's index is shared memory.
// Do not copy it while it is open, but for a backup by SQLite's own means.
//
// # How it is made fast
//
// One connection writes, a few read; all statements are prepared once. What is
// one thing a batch is one row: the audit record, the delivery mark, the count
// of a secret's uses. Rare states (held, failed, waiting, unconfirmed, revoked)
// have partial indexes, which cost nothing elsewhere. Fields that no query asks
// for are packed into one column (encode.go).
//
// An enrolment is found by four random keys: message hash, transaction, serial
// number and key. In four large indexes each of them would write a page of its
// own, twice, for an entry of 17 octets. So rows belong to eras, and indexes
// begin with the era: a commit writes into the few pages of the present era.
// Bloom filters tell in which earlier eras a key may be (era.go). Against plain
// indexes at 200,000 enrolments that takes 0.4 times the processor time and 0.3
// times the octets written to the disk for the same inserts.
//
// An outcome with parts is written inside a savepoint (parts.go). Others pay
// nothing for it.
//
// The log is copied into the database beside the commits (checkpoint.go).
//
// Measured on one core of a small virtual machine, in batches of 512 enrolments
// with a reply of 1,500 and a certificate of 600 octets, all of Lookup, Commit
// and Delivered: 25 µs of processor time an outcome in an empty database, 29 µs
// with 200,000 enrolments, 40 µs with a million. A call of the View takes 3 to
// 7 µs. BenchmarkCommit and BenchmarkView measure it again.
//
// # The driver
//
// Both drivers in pure Go were measured on these tables, without cgo, relative
// to the low-level interface of github.com/ncruces/go-sqlite3 v0.37.0
// (processor time; smaller is better):
//
//	                        ncruces    ncruces        modernc.org/sqlite v1.62.0
//	                        low-level  database/sql   database/sql, driver.Conn
//	512 entries a commit    1          1.01 to 1.10   1.03 to 1.20
//	one entry a commit      1          1.0            1.1 to 1.2
//	one row by its key      1          1.4            1.6
//
// Durable commits a second depended on the disk's load more than on the driver:
// no ratio came out of them. Writes in bulk differ by little more than noise; the
// gain is in reads. Beside its
// speed, the chosen one has an interface to SQLite's statements that is public
// and typed, uses locks that belong to the open file (Linux OFD locks) and not
// to the process, and lets tests fail each step of a write (fault_test.go).
//
// The package knows no rule of CMP and no channel.
package sqlite
