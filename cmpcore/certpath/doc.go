// Package certpath tells whether a certificate leads to a trust anchor (RFC
// 5280 section 6), with every signature algorithm of package alg: the standard
// library verifies none by ML-DSA, SLH-DSA, Ed448 or composites.
//
// Call [Verify] with the certificate, the anchors, what may lie between and the
// time; [SignedBy] checks one signature alone. Checked are signatures, validity,
// names from certificate to issuer, basicConstraints with the length of the
// path, keyCertSign, name constraints, and revocation where CRLs are given
// ([ParseCRL]; complete ones, also such as are split by kind of certificate or
// by distribution point). Not checked are certificate policies and extended key usages of CAs, which say
// nothing about a signer of CMP.
//
// All certificates are read by crypto/x509 before. The work is bounded whatever
// a stranger puts between: so many signatures are checked and no more. The
// package knows no message, no clock and no file.
package certpath
