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
	// person, or for the response to a challenge.
	Message(ctx context.Context, h Hash) ([]byte, error)
	// Answer gives what was said to a message, whether it came alone or inside
	// another one; nil where the message is not known.
	Answer(ctx context.Context, h Hash) (*Answer, error)
	Certificate(ctx context.Context, serial []byte) (*Certificate, error)
	// CertificatesOfKey lists, newest first, at most limit certificates with
	// this key identifier.
	CertificatesOfKey(ctx context.Context, keyID [20]byte, limit int) ([]*Certificate, error)
	Secret(ctx context.Context, ref string) (*Secret, error)
	// Passphrase gives the revocation passphrase that a requester has left.
	Passphrase(ctx context.Context, owner string) (*Passphrase, error)
	// PassphraseOfKey gives the one with this key identifier, which is not empty.
	PassphraseOfKey(ctx context.Context, keyID []byte) (*Passphrase, error)
	// ArchivedKeys lists, newest first, at most limit keys that a requester gave
	// to keep.
	ArchivedKeys(ctx context.Context, requester string, limit int) ([]*ArchivedKey, error)
	// ArchivedKeysOf lists those of them with this key identifier.
	ArchivedKeysOf(ctx context.Context, requester string, keyID [20]byte, limit int) ([]*ArchivedKey, error)
	// CRL gives the newest CRL, nil where none was made yet.
	CRL(ctx context.Context) (*CRL, error)
	// Revoked yields the certificates with status Revoked or RejectedByHolder
	// whose notAfter is at or after since (RFC 5280 section 3.3 lets expired
	// ones go), in order of serial. DER and names may be left out.
	Revoked(ctx context.Context, since time.Time) iter.Seq2[*Certificate, error]
}
