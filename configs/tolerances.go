package configs

// Tolerances are the deviations of peers that a policy may accept on read. The
// Engine has a table of the same names with the peers and the rules.
var Tolerances = []string{
	"mac-sender", "any-recipient", "no-sender-nonce", "short-transactionid",
	"p10cr-id-zero", "first-recip-nonce", "no-sender-kid", "pop-form", "signer-issuer",
}
