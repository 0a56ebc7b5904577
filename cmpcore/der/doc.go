// Package der reads strict DER under limits.
//
// Everything from outside passes [Scan] once, before any other parser sees it:
// one pass over the bytes that checks every length and tag (X.690 section 10
// and the DER rules for lengths and identifiers), the nesting depth and the
// number of elements, and allocates nothing. What passes has exactly one
// top-level element that ends where the input ends.
//
// The package knows nothing of CMP, of certificates or of files.
package der
