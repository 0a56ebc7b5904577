package alg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"math/big"
)

// WipePrivateKey overwrites what can be reached of a private key that has done
// its service; it is of no use after. The copies that the standard library and
// others keep within, as of X25519, are left to the garbage collector.
func WipePrivateKey(k crypto.PrivateKey) {
	switch k := k.(type) {
	case *rsa.PrivateKey:
		wipe(k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv)
		wipe(k.Primes...)
	case *ecdsa.PrivateKey:
		//lint:ignore SA1019 to make the key invalid is what this is for
		wipe(k.D)
	case ed25519.PrivateKey:
		clear(k)
	case *X448PrivateKey:
		clear(k.secret[:])
	case *MLKEMPrivateKey:
		clear(k.seed)
		clear(k.expanded)
	case *CompositePrivateKey:
		WipePrivateKey(k.trad)
	}
}

func wipe(numbers ...*big.Int) {
	for _, n := range numbers {
		if n != nil {
			clear(n.Bits())
			n.SetInt64(0)
		}
	}
}
