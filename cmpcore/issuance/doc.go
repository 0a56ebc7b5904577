// Package issuance makes X.509 certificates and CRLs by RFC 5280 from profiles
// that are data.
//
// What to call, in this order:
//
//	profile, err := issuance.Compile(config)            // once: all faults of a profile at a time
//	issuer, err := issuance.NewIssuer(cert, key, "")    // once: the CA
//	p, err := profile.Prepare(request, issuer, now)     // judge one request, sign nothing
//	serial, err := issuance.NewSerial(rand)
//	trial, err := issuer.Rehearse(rand, p, serial)      // for linters: what Issue would sign, by a key of no worth
//	cert, err := issuer.Issue(rand, p, serial)          // sign it, once
//
// Prepare is where every rule lives. It answers with a one-shot [Prepared],
// which is all that Issue takes, or with a [*Refusal], whose Public text is fit
// for the peer and whose Detail is for the log. What the profile changed
// against the request stands in Prepared.Mods, so that the answer can be
// grantedWithMods (RFC 9810 section 5.2.3).
//
// A certificate of this package is v3, has no unique identifiers, an authority
// key identifier, a subject key identifier and basic constraints; its times are
// UTCTime through 2049 and GeneralizedTime after (RFC 5280 section 4.1.2.5).
// Names and extension values that came with a request are checked strictly and
// then copied byte for byte. [Issuer.SignCRL] makes full v2 CRLs, [SelfSigned]
// a root.
//
// The package opens no files and reads no clock: now and the random source are
// parameters. It knows nothing of CMP, of proof of possession and of who may
// ask for what. It expects requests to have passed der.Scan.
package issuance
