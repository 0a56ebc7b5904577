// Package client is the end entity's side of CMP, one step at a time: a request
// goes out as octets, its answer comes back as octets, perhaps weeks later and
// on another medium, and what must be remembered between the two is a
// [Session], which is plain JSON without any secret in it.
//
// [Start] makes a request: ir, cr, kur, p10cr, rr or genm. [Session.Accept]
// checks an answer and says what it brought and, where the transaction goes on,
// gives the next message to send: certConf or pollReq. [Session.Reject] turns
// down a certificate that the caller does not want.
//
// What Accept checks of every answer (RFC 9810 sections 5.1.1, 5.1.3 and 8, RFC
// 9483 section 3.5): that it belongs to this transaction and answers our last
// message (transactionID, recipNonce), that it is for us (recipient), that it
// is protected by the same shared secret or by a signer that the caller trusts,
// that its body fits the step; and of every certificate: that it was asked for,
// and that its key and subject are those of the request. The session changes
// only when an answer has passed, so a bad answer costs nothing: give Accept
// the next one.
//
// CAs in caPubs are trusted only under a shared secret (RFC 9810 section
// 5.3.4). An error message that is not authenticated is reported, because its
// text helps people, but ends nothing.
//
// The package opens no file and has neither a clock nor a source of randomness
// but those in [Credentials]. It knows nothing of the Engine.
package client
