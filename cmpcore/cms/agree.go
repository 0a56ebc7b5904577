package cms

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"

	"cmp-batch/cmpcore/alg"
)

// agreementKey gives the Diffie-Hellman function of a private key and its
// public key, nil for a key of another kind. Keys in devices are an
// ecdh.KeyExchanger.
func agreementKey(private crypto.PrivateKey) (agree func(crypto.PublicKey) ([]byte, error), pub crypto.PublicKey) {
	switch k := private.(type) {
	case *ecdsa.PrivateKey:
		e, err := k.ECDH()
		if err != nil {
			return nil, nil
		}
		return agreementKey(e)
	case ecdh.KeyExchanger:
		return func(theirs crypto.PublicKey) ([]byte, error) { return k.ECDH(theirs.(*ecdh.PublicKey)) }, k.PublicKey()
	case *alg.X448PrivateKey:
		return func(theirs crypto.PublicKey) ([]byte, error) { return k.ECDH(theirs.(alg.X448PublicKey)) }, k.Public()
	}
	return nil, nil
}

func namedCurve(c ecdh.Curve) elliptic.Curve {
	switch c {
	case ecdh.P256():
		return elliptic.P256()
	case ecdh.P384():
		return elliptic.P384()
	case ecdh.P521():
		return elliptic.P521()
	}
	return nil
}
