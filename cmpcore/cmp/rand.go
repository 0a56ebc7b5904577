package cmp

import (
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// Rand is the plain text of a [Challenge]: a random number and the sender of
// the challenge as in the header (RFC 9810 section 5.2.8.3).
type Rand struct {
	Int    *big.Int
	Sender pkix.GeneralName
}

// ParseRand reads a decrypted challenge, which no limit has seen yet.
func ParseRand(b []byte) (r Rand, err error) {
	if err := der.Scan(b, der.Limits{Bytes: 1 << 16}); err != nil {
		return r, at("rand", err)
	}
	s := cryptobyte.String(b)
	err = sequence(&s, func(s *cryptobyte.String) (err error) {
		if r.Int, err = readInteger(s); err != nil {
			return at("int", err)
		}
		var ok bool
		if r.Sender, ok = pkix.ReadGeneralName(s); !ok {
			return malformed("sender")
		}
		return nil
	})
	if err != nil {
		return Rand{}, at("rand", err)
	}
	return r, nil
}

// Bytes gives the DER.
func (r Rand) Bytes() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AddInteger(b, asn1.INTEGER, r.Int)
		r.Sender.Add(b)
	})
	return b.Bytes()
}
