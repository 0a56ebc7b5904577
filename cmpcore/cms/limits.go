package cms

import (
	"fmt"

	"cmp-batch/cmpcore/alg"
)

// Limits on what is read.
const (
	MaxRecipients   = 16
	MaxSigners      = 16
	MaxCertificates = 32 // in a SignedData or an OriginatorInfo; CRLs likewise
	MaxAttributes   = 32
	MaxPrivateKeys  = 16 // of one package

	maxStructure = 1 << 20 // octets, of anything
	maxUKM       = 1024    // octets
	maxLabel     = 256     // octets of an OAEP label
)

// The defaults of [Policy].
const (
	DefaultMinIterations = 1000
	DefaultMaxIterations = 1_000_000
	DefaultMinSalt       = 8 // octets
	DefaultMaxSalt       = 256
)

// Policy bounds what an envelope may ask for. nil and zero fields stand for the
// defaults.
type Policy struct {
	MinIterations    int // of PBKDF2
	MaxIterations    int // each block of key that is derived counts
	MinSalt, MaxSalt int // octets

	// AllowPKCS1v15 admits RSA encryption of PKCS #1 v1.5. Its padding is
	// checked without telling the outcome.
	AllowPKCS1v15 bool
	// RefuseSHA1 refuses SHA-1 in key derivation and in OAEP, the defaults of
	// an unconfigured OpenSSL, which no attack on SHA-1 reaches.
	RefuseSHA1 bool
}

// withDefaults fills in the zero fields.
func (p *Policy) withDefaults() Policy {
	q := Policy{}
	if p != nil {
		q = *p
	}
	for _, f := range []struct {
		v *int
		d int
	}{{&q.MinIterations, DefaultMinIterations}, {&q.MaxIterations, DefaultMaxIterations}, {&q.MinSalt, DefaultMinSalt}, {&q.MaxSalt, DefaultMaxSalt}} {
		if *f.v == 0 {
			*f.v = f.d
		}
	}
	return q
}

// Check refuses a policy that nothing could meet, for the reader of
// configuration.
func (p *Policy) Check() error {
	q := p.withDefaults()
	switch {
	case q.MinIterations < 0 || q.MaxIterations < q.MinIterations:
		return fmt.Errorf("iterations from %d to %d: nothing could meet this", q.MinIterations, q.MaxIterations)
	case q.MinSalt < 0 || q.MaxSalt < q.MinSalt:
		return fmt.Errorf("salt from %d to %d octets: nothing could meet this", q.MinSalt, q.MaxSalt)
	}
	return nil
}

func forbidden(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, alg.ErrForbidden)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, alg.ErrUnsupported)...)
}

func badParameters(of string) error { return fmt.Errorf("%s: %w", of, alg.ErrParameters) }
