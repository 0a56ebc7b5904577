// Package pkix holds the wire types of RFC 5280 that CMP, CRMF and
// certificates share: object identifiers, AlgorithmIdentifier, Name,
// GeneralName, Extension, SubjectPublicKeyInfo, Time.
//
// Types keep what was received: a Name is its DER, compared and mirrored byte
// for byte where the protocol wants that, read as text only for people and for
// policy. Reading and writing use cryptobyte; both are strict DER. A Read
// function takes the element off the front of the input and reports ok=false
// for anything that is not exactly that element; an Add method appends the
// element to a builder, and what was read is written back unchanged.
//
// The package knows no CMP, no keys and no policy. It expects its input to
// have passed der.Scan.
package pkix
