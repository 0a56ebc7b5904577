// Package crmf reads and writes the Certificate Request Message Format of RFC
// 4211, as CMP uses it (RFC 9810 section 5.2).
//
// [ReadCertReqMsg] takes one request off the input; its Add method writes one.
// Controls and regInfo are kept as [Attribute] values with a typed codec for
// each kind. What is read has been strict DER, so that writing its fields gives
// the same octets again; Raw holds those octets where a signature covers them.
//
// Tags are those of the module PKIXCRMF-2009: implicit, but explicit around a
// CHOICE such as Name. The package checks forms, never signatures or policy,
// and knows nothing of PKIMessage. It expects its input to have passed
// der.Scan.
package crmf
