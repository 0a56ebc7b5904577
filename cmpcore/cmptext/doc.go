// Package cmptext shows PKIMessages to people: [Text] writes lines for a
// terminal, [JSON] one object for programs, both from the same reading of the
// message, with the field names of RFC 9810 and RFC 4211.
//
// Whatever a message holds, the output has no control characters but line
// feeds and no characters that turn the direction of writing, and its size is
// bounded: long values are cut and say so. Secrets that travel in a message in
// the clear (regToken, authenticator) are not shown.
//
// A message that could be read in part only, as cmp.Parse gives it beside its
// error, is shown as far as it goes. The package verifies nothing; what the
// caller has found out about the protection is given in [Options].
package cmptext
