package alg

import (
	"hash"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Limits on KMAC's parameters: no MAC shorter than 128 bits, none longer than
// anybody makes.
const (
	minKMACBits      = 128
	maxKMACBits      = 512
	maxCustomization = 256 // octets
)

// kmacRow is id-KMACWithSHAKE128 or id-KMACWithSHAKE256 (RFC 8702 section 3.4).
// The key must be as long as the strength (NIST SP 800-185 section 8.4.1).
func kmacRow(name, oid string, bits int) *keyedMAC {
	row := kmacWith(bits, 2*bits/8, nil)
	row.name, row.oid = name, pkix.MustOID(oid)
	row.read = func(k *keyedMAC, a pkix.AlgorithmIdentifier) (*keyedMAC, bool) {
		if a.Parameters == nil {
			return k, true
		}
		size, customization, ok := readKMACParameters(a.Parameters, 2*bits)
		if !ok {
			return nil, false
		}
		r := kmacWith(bits, size, customization)
		r.name, r.oid, r.read = k.name, k.oid, k.read
		return r, true
	}
	return row
}

func kmacWith(bits, size int, customization []byte) *keyedMAC {
	return &keyedMAC{
		size: size, keySize: 2 * bits / 8, minKey: bits / 8,
		new: func(key []byte) hash.Hash { return newKMAC(bits, key, customization, size) },
	}
}

// readKMACParameters reads KMACwithSHAKE128-params or its sibling. Both fields
// have defaults.
func readKMACParameters(der []byte, defaultBits int) (size int, customization []byte, ok bool) {
	in := cryptobyte.String(der)
	var seq, c cryptobyte.String
	bits := defaultBits
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() ||
		seq.PeekASN1Tag(asn1.INTEGER) && !seq.ReadASN1Integer(&bits) ||
		seq.PeekASN1Tag(asn1.OCTET_STRING) && !seq.ReadASN1(&c, asn1.OCTET_STRING) || !seq.Empty() {
		return 0, nil, false
	}
	ok = bits >= minKMACBits && bits <= maxKMACBits && bits%8 == 0 && len(c) <= maxCustomization
	return bits / 8, c, ok
}
