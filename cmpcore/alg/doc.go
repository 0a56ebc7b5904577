// Package alg holds the algorithms of CMP as tables: public keys, signatures,
// hashes and the MACs of shared secrets (RFC 9481). A new algorithm is a new
// row in one of key.go, fixedkey.go, signature.go, hash.go, mac.go and kdf.go.
//
// Start with [ParsePublicKey] and [Verify] for what was signed, [SignatureFor]
// and [Sign] to sign with any crypto.Signer, [ParseMAC] for what a shared
// secret protects, [NewPBM] and [NewPBMAC1] to protect with one. [ParseDHBM] and
// [ParseKEMBM] are the MACs by key agreement and by KEM. [ParsePrivateKey] and
// [MarshalPrivateKey] know every private key.
//
// Identifiers and their parameters are read strictly, and what they can cost is
// bounded before any of it is spent. What is known but not wanted by default,
// such as SHA-1 and P-224, is refused unless a policy names it. Errors tell apart what is
// unknown, forbidden, malformed, unfit for the key, and simply wrong; see
// errors.go.
//
// The package knows no message, no certificate and no file. It expects its
// input to have passed der.Scan. All of it may be used concurrently.
package alg
