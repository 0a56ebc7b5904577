package alg

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// seedTag is that of the private key which is its seed alone.
const seedTag = asn1.Tag(0) | 0x80

// readSeedKey reads the three forms in which the private keys of ML-DSA and
// ML-KEM come (RFC 9881 section 6, RFC 9935 section 6): the seed, the expanded
// key, or both. What is missing is nil.
func readSeedKey(octets []byte, seedSize, expandedSize int) (seed, expanded []byte, ok bool) {
	in := cryptobyte.String(octets)
	var s, e, both cryptobyte.String
	switch {
	case in.PeekASN1Tag(seedTag):
		ok = in.ReadASN1(&s, seedTag)
	case in.PeekASN1Tag(asn1.OCTET_STRING):
		ok = in.ReadASN1(&e, asn1.OCTET_STRING)
	default:
		ok = in.ReadASN1(&both, asn1.SEQUENCE) && both.ReadASN1(&s, asn1.OCTET_STRING) &&
			both.ReadASN1(&e, asn1.OCTET_STRING) && both.Empty()
	}
	ok = ok && in.Empty() && (s == nil || len(s) == seedSize) && (e == nil || len(e) == expandedSize)
	return s, e, ok
}

// addSeed writes the form with the seed alone, addExpanded that without it.
func addSeed(seed []byte) []byte { return addOctets(seed, seedTag) }

func addExpanded(key []byte) []byte { return addOctets(key, asn1.OCTET_STRING) }

func addOctets(octets []byte, tag asn1.Tag) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(octets) })
	return b.BytesOrPanic()
}
