package alg

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

// Points with which every private key gives zero (RFC 7748 section 6; the list
// for Curve25519 is that of cr.yp.to/ecdh.html).
func TestPointsOfLowOrder(t *testing.T) {
	for oid, points := range map[string][]string{
		"1.3.101.110": {
			"0000000000000000000000000000000000000000000000000000000000000000",
			"0100000000000000000000000000000000000000000000000000000000000000",
			"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
			"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
			"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
			"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		},
		"1.3.101.111": {
			hex.EncodeToString(make([]byte, 56)),
			"01" + hex.EncodeToString(make([]byte, 55)),
			"fe" + hex.EncodeToString(append(append(bytes.Repeat([]byte{0xff}, 27), 0xfe), bytes.Repeat([]byte{0xff}, 27)...)),
		},
	} {
		a := pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid)}
		for _, p := range points {
			spki, err := pkix.NewSubjectPublicKeyInfo(a, unhex(t, p))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParsePublicKey(spki); !errors.Is(err, ErrKey) {
				t.Errorf("%s %s: %v", oid, p, err)
			}
		}
		// The base point is none of them.
		base := make([]byte, len(points[0])/2)
		if base[0] = 9; oid == "1.3.101.111" {
			base[0] = 5
		}
		spki, err := pkix.NewSubjectPublicKeyInfo(a, base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParsePublicKey(spki); err != nil {
			t.Errorf("%s: the base point: %v", oid, err)
		}
	}
}
