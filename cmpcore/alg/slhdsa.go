package alg

import (
	"bytes"
	"crypto"
	"fmt"
	"io"
	"strings"

	"cmp-batch/cmpcore/pkix"

	"github.com/cloudflare/circl/sign/slhdsa"
)

// slhdsaSets are the parameter sets of FIPS 205 that sign the message itself
// (RFC 9909 section 3), in the order of their identifiers. Keys are those of
// circl's package slhdsa.
var slhdsaSets = []struct {
	id  slhdsa.ID
	oid string
}{
	{slhdsa.SHA2_128s, "2.16.840.1.101.3.4.3.20"},
	{slhdsa.SHA2_128f, "2.16.840.1.101.3.4.3.21"},
	{slhdsa.SHA2_192s, "2.16.840.1.101.3.4.3.22"},
	{slhdsa.SHA2_192f, "2.16.840.1.101.3.4.3.23"},
	{slhdsa.SHA2_256s, "2.16.840.1.101.3.4.3.24"},
	{slhdsa.SHA2_256f, "2.16.840.1.101.3.4.3.25"},
	{slhdsa.SHAKE_128s, "2.16.840.1.101.3.4.3.26"},
	{slhdsa.SHAKE_128f, "2.16.840.1.101.3.4.3.27"},
	{slhdsa.SHAKE_192s, "2.16.840.1.101.3.4.3.28"},
	{slhdsa.SHAKE_192f, "2.16.840.1.101.3.4.3.29"},
	{slhdsa.SHAKE_256s, "2.16.840.1.101.3.4.3.30"},
	{slhdsa.SHAKE_256f, "2.16.840.1.101.3.4.3.31"},
}

func slhdsaKeys() (keys []*fixedKey) {
	for _, set := range slhdsaSets {
		id := set.id
		keys = append(keys, &fixedKey{
			name: strings.ToLower(id.String()), oid: pkix.MustOID(set.oid), use: UseSign,
			parse: func(key []byte) (crypto.PublicKey, error) {
				pub := slhdsa.PublicKey{ID: id}
				// The key may outlive what it is read from.
				if err := pub.UnmarshalBinary(bytes.Clone(key)); err != nil {
					return nil, fmt.Errorf("an %s key of %d octets: %w", id, len(key), ErrKey)
				}
				return pub, nil
			},
			is: func(pub crypto.PublicKey) bool {
				k, ok := pub.(slhdsa.PublicKey)
				return ok && k.ID == id
			},
			bytes: func(pub crypto.PublicKey) []byte {
				b, _ := pub.(slhdsa.PublicKey).MarshalBinary()
				return b
			},
			// The four values of the key without any wrapping (RFC 9909 section 6).
			parsePrivate: func(octets []byte) (crypto.PrivateKey, error) {
				k := slhdsa.PrivateKey{ID: id}
				if err := k.UnmarshalBinary(bytes.Clone(octets)); err != nil {
					return nil, fmt.Errorf("%s private key of %d octets: %w", id, len(octets), ErrPrivateKey)
				}
				return k, nil
			},
			privateBytes: func(k crypto.PrivateKey) []byte {
				p, ok := k.(slhdsa.PrivateKey)
				if !ok || p.ID != id {
					return nil
				}
				b, _ := p.MarshalBinary()
				return b
			},
			generate: func(rand io.Reader) (crypto.PrivateKey, error) {
				_, k, err := slhdsa.GenerateKey(rand, id)
				return k, err
			},
		})
	}
	return keys
}

func verifySLHDSA(pub crypto.PublicKey, message, sig []byte) bool {
	k := pub.(slhdsa.PublicKey)
	return slhdsa.Verify(&k, slhdsa.NewMessage(message), sig, nil)
}
