package alg

import "cmp-batch/cmpcore/pkix"

// KeyTypeAlgorithm gives the AlgorithmIdentifier that the keys of a type carry,
// as signKeyPairTypes lists them (RFC 9810 section 5.3.19.2). ok is false for a
// type that is not in [KeyTypes].
func KeyTypeAlgorithm(keyType string) (a pkix.AlgorithmIdentifier, ok bool) {
	for _, c := range curves {
		if c.name == keyType {
			return c.a, true
		}
	}
	switch {
	case keyType == "ed25519":
		return pkix.AlgorithmIdentifier{OID: oidEd25519}, true
	case len(keyType) > 4 && keyType[:4] == "rsa-":
		for _, g := range generators {
			if g.keyType == keyType {
				return pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}, true
			}
		}
	}
	return a, false
}
