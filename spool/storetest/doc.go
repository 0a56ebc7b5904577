// Package storetest is what every [spool.Store] must pass: [Run] checks the
// contract sentence by sentence. It is used by the tests of the double in
// memory and of the databases, so that what holds for one holds for all.
//
// Beyond the comments of [spool.Store], all Stores agree on this: times are
// kept to the microsecond and come back in UTC; empty octet strings come back
// as nil; new rows have version 1 and each change adds one; a batch of which
// nothing is stored has no ID (0), and reporting that one delivered is no error;
// IDs rise and are never used again; serial numbers are ordered as numbers.
package storetest

import (
	"testing"

	"cmp-batch/spool"
)

// Opener makes an empty database for one test and opens it. Reopen opens the
// same database once more, as another process would: also while s is open, and
// after s was closed. What Run gets it closes; a second Close must do nothing.
type Opener func(t *testing.T) (s spool.Store, reopen func() spool.Store)

// Run checks the Stores that open makes.
func Run(t *testing.T, open func(t *testing.T) (s spool.Store, reopen func() spool.Store)) {
	for _, c := range []struct {
		name string
		test func(*bench)
	}{
		{"everything comes back as it was stored", testRoundTrip},
		{"a reopened Store knows everything", testReopen},
		{"a conflicting entry leaves no trace and the others are stored", testConflicts},
		{"entries of one batch see each other", testBatchConflicts},
		{"a batch of conflicts stores nothing", testAllConflicts},
		{"uses of a secret are counted across batches", testSecretUses},
		{"a cancelled commit stores nothing", testCancelled},
		{"what the caller keeps is not what is stored", testNoAliasing},
		{"a held message is released once with all its returns", testHeld},
		{"a held message that is withdrawn is held no more", testWithdrawn},
		{"a decision needs the version that was read", testDecide},
		{"one rejects, and as many as it takes approve", testVotes},
		{"votes of several people at one time all count", testVotesTogether},
		{"a request is kept while its transaction waits for a person", testKeepRequest},
		{"expired lists what time has run out for", testExpired},
		{"waiting lists what waits for a person", testWaiting},
		{"answers are undelivered until reported", testUndelivered},
		{"single answers can be reported", testDeliveredOne},
		{"a released message is undelivered with its release only", testReleaseDelivery},
		{"a failed message can be forgotten", testFailures},
		{"certificates of a key come newest first", testCertificatesOfKey},
		{"revoked certificates come in order of serial number", testRevoked},
		{"certificates are filtered", testCertificates},
		{"secrets are added, listed and removed", testSecrets},
		{"meta is a map", testMeta},
		{"counts count", testCounts},
		{"the audit log is a chain of all entries", testAudit},
		{"a CRL number only rises", testCRL},
		{"long lists come whole", testLongLists},
		{"the parts of an outcome are stored one after another", testParts},
		{"a conflict of a part is one of the whole", testPartConflicts},
		{"the request of a part is kept while its transaction waits", testPartKept},
		{"a challenge waits for its response", testProof},
		{"archived keys come newest first", testArchive},
		{"a revocation passphrase takes the place of the one before", testPassphrases},
		{"what is sent unasked is undelivered until reported", testOutgoing},
		{"all calls may run at once", testConcurrent},
		{"two Stores on one database do not both win", testTwoStores},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t)
			t.Cleanup(func() { s.Close() })
			c.test(&bench{T: t, s: s, reopen: func() spool.Store {
				n := reopen()
				t.Cleanup(func() { n.Close() })
				return n
			}})
		})
	}
}
