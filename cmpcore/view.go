package cmpcore

import (
	"context"
	"iter"
	"time"
)

// View answers what the Engine asks of committed state. A nil result with a
// nil error means that there is no such thing. Every method may be called from
// many goroutines at once. What a View returns must not be changed by the
// caller. Answers need not come from one snapshot: an [Outcome] names what it
// relied on, and the Store checks that at commit.
type View interface {
	Transaction(ctx context.Context, key TransactionKey) (*Transaction, error)
	// Message gives the DER of a message of a transaction that waits for a
	// person.
	Message(ctx context.Context, h Hash) ([]byte, error)
	Certificate(ctx context.Context, serial []byte) (*Certificate, error)
	// CertificatesOfKey lists, newest first, at most limit certificates with
	// this key identifier.
	CertificatesOfKey(ctx context.Context, keyID [20]byte, limit int) ([]*Certificate, error)
	Secret(ctx context.Context, ref string) (*Secret, error)
	// CRL gives the newest CRL, nil where none was made yet.
	CRL(ctx context.Context) (*CRL, error)
	// Revoked yields the certificates with status Revoked or RejectedByHolder
	// whose notAfter is at or after since (RFC 5280 section 3.3 lets expired
	// ones go), in order of serial. DER and names may be left out.
	Revoked(ctx context.Context, since time.Time) iter.Seq2[*Certificate, error]
}
