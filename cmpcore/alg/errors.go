package alg

import "errors"

// What can be wrong with an algorithm, a key or a signature. Errors of this
// package wrap exactly one of these.
var (
	// ErrUnsupported is an algorithm that no table has.
	ErrUnsupported = errors.New("algorithm is not supported")
	// ErrForbidden is an algorithm, or a cost in its parameters, that is known
	// and refused by policy.
	ErrForbidden = errors.New("algorithm is refused by policy")
	// ErrParameters is an algorithm whose parameters are not what its
	// definition says.
	ErrParameters = errors.New("algorithm parameters are malformed")
	// ErrMismatch is an algorithm that the key is not for.
	ErrMismatch = errors.New("algorithm does not fit the key")
	// ErrSignature is a signature that does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrKey is a public key that is malformed or outside the limits.
	ErrKey = errors.New("public key is not usable")
	// ErrPrivateKey is a private key that is malformed, or whose parts are not
	// of one key.
	ErrPrivateKey = errors.New("private key is not usable")
	// ErrSecret is a shared secret without any octet.
	ErrSecret = errors.New("shared secret is empty")
)
