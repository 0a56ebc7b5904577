// Package cmp reads and writes the PKIMessage of the Certificate Management
// Protocol (RFC 9810), all 27 bodies of it, with CRMF and PKCS #10 inside.
//
// [Parse] checks the input against limits and reads it into a [PKIMessage].
// Where a message is malformed it still gives what an error answer needs; the
// sentinels [ErrNotPKIMessage], [ErrHeader] and [ErrBody] tell how much that
// is. [Build] encodes a message and has it protected over exactly the octets it
// sends. [PKIMessage.ProtectedPart] gives the octets that the protection of a
// message that was read covers.
//
// Everything that is read is strict DER, and writing the fields again gives the
// same octets. An [InfoTypeAndValue] keeps its value as DER; there is a typed
// codec for each of the kinds 1 to 24 of RFC 9810 section 5.3.19.
//
// Tags are those of the module PKIXCMP-2023: explicit, except inside structures
// of CRMF. The package decides nothing: whether a version, a nonce or a time is
// acceptable is the business of who calls it.
package cmp
