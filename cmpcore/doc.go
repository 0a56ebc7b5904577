// Package cmpcore is the CMP authority as a function: [Engine.Process] turns a
// message and a [View] of committed state into an [Outcome], the list of all
// that shall become true, and changes nothing itself. Package cmpcore/cmp is
// the wire; this package is the rules.
//
// It answers ir, cr, kur, p10cr (RFC 9810 section 5.3.1 to 5.3.5), rr (5.3.9),
// certConf (5.3.18), genm (5.3.19), error (5.3.21) and pollReq (5.3.22), with
// the profile of RFC 9483 as a switch of the channel's [Policy]. Nested messages
// (5.1.3.4) are opened: each message inside has its own outcome, which is a part
// of that of the outer one.
//
// The order of checks in a message is that of cost and of trust: what parsing
// saw, then the header, then the protection, and only for an authenticated
// requester the transaction, the rule that allows the request, proof of
// possession and the certificate's profile. A stranger costs at most one
// bounded key derivation or one signature check.
//
// The package opens no file, no socket and no database. Time, random octets
// and the opening of sealed secrets are given in [Config].
package cmpcore
