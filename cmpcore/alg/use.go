package alg

import "crypto"

// Use is what a key can do at all, whatever a certificate lets it do.
type Use uint8

// The uses of keys.
const (
	UseSign        Use = 1 << iota
	UseEncipher        // RSA: keys and data
	UseAgree           // Diffie-Hellman
	UseEncapsulate     // a KEM: keys alone (RFC 9935 section 5)
)

// Uses tells what a public key can do (RFC 4055 section 1.2, RFC 5480, RFC 8410
// section 5, RFC 9881 section 5, RFC 9909 section 5, RFC 9935 section 5). It is
// 0 for an unknown key.
func Uses(pub crypto.PublicKey) Use {
	_, use := typeAndUse(pub)
	return use
}
