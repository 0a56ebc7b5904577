// Package lint has certificates looked at by zlint, the linter of the public
// PKIs, before a CA signs them.
//
// What to call:
//
//	look, err := lint.Compile(config)     // once: all faults of the settings at a time
//	findings := look(certificate)         // sorted, the worst first
//
// The certificate is one of issuance.Issuer.Rehearse: the octets that would be
// signed, and a signature that is worth nothing. A finding says whether the
// settings refuse a certificate for it.
//
// zlint reads certificates with a parser of its own. What that cannot read, what
// makes it panic and what takes it too long is a finding itself, [NotLintable],
// of level fatal: who wants certificates looked at does not want those that
// cannot be. Settings may ignore it as any other.
//
// The package stands beside the core and not in it: zlint brings a parser, a
// list of all domains and more than four hundred lints along, which who imports
// the core for its protocol should not have to. It knows nothing of CMP and of
// who asks; nothing in it uses the network.
package lint
