package cms

import (
	"crypto"
	"crypto/sha3"
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// x963KDF is the key derivation of ANSI X9.63 (SEC 1 section 3.6.1): the
// counter follows the secret.
func x963KDF(h crypto.Hash, secret, info []byte, size int) []byte {
	var out []byte
	for i := uint32(1); len(out) < size; i++ {
		d := h.New()
		d.Write(secret)
		d.Write(binary.BigEndian.AppendUint32(nil, i))
		d.Write(info)
		out = d.Sum(out)
	}
	return out[:size]
}

// sharedInfo is ECC-CMS-SharedInfo of RFC 5753 section 7.2.
func sharedInfo(wrap pkix.AlgorithmIdentifier, ukm []byte, size int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		wrap.Add(b)
		if ukm != nil {
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
		}
		b.AddASN1(cons(2), func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(binary.BigEndian.AppendUint32(nil, uint32(8*size)))
		})
	})
	return b.BytesOrPanic()
}

// kemOtherInfo is CMSORIforKEMOtherInfo of RFC 9629 section 5.
func kemOtherInfo(wrap pkix.AlgorithmIdentifier, ukm []byte, size int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		wrap.Add(b)
		b.AddASN1Int64(int64(size))
		if ukm != nil {
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(ukm) })
		}
	})
	return b.BytesOrPanic()
}

var oidSHAKE256 = pkix.MustOID("2.16.840.1.101.3.4.2.12")

// kemKDF derives the key of a KEMRecipientInfo: as package alg does, or with
// SHAKE256 over the secret and info, the default of Bouncy Castle.
func kemKDF(a pkix.AlgorithmIdentifier, secret, info []byte, size int) ([]byte, error) {
	if a.OID != oidSHAKE256 {
		return alg.DeriveKey(a, secret, size, info)
	}
	if a.Parameters != nil {
		return nil, badParameters("SHAKE256")
	}
	x := sha3.NewSHAKE256()
	x.Write(secret)
	x.Write(info)
	out := make([]byte, size)
	x.Read(out)
	return out, nil
}
