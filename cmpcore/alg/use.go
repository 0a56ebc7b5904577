package alg

import (
	"crypto"
	"crypto/rsa"

	"filippo.io/mldsa"
	"github.com/cloudflare/circl/sign/slhdsa"
)

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

// SignatureSize is about the most octets that a signature by the key will have,
// to allocate once. It holds for ECDSA up to P-521.
func SignatureSize(pub crypto.PublicKey) int {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return k.Size()
	case *PSSPublicKey:
		return k.Key.Size()
	case *mldsa.PublicKey:
		return k.Parameters().SignatureSize()
	case slhdsa.PublicKey:
		return k.ID.Scheme().SignatureSize()
	case *CompositePublicKey:
		return k.row.mldsa.params.SignatureSize() + SignatureSize(k.trad)
	}
	return 144
}
