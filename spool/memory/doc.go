// Package memory is a Store in memory: a double for tests that obeys the whole
// contract of [spool.Store] but durability. Start with [New].
//
// A test can make each kind of write fail in both ways that matter: failed and
// not stored, failed and stored all the same. See [Store.SetFault].
//
// It scans where a real Store has an index; it is for thousands of messages,
// not for millions. It knows nothing of CMP.
package memory
