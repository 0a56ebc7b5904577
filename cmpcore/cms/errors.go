package cms

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// What can be wrong. Matters of algorithms, such as one that is not supported,
// wrap the errors of package alg instead.
var (
	// ErrMalformed is a structure that is not what it should be, or not DER.
	ErrMalformed = errors.New("not the type it should be, or not DER")
	// ErrTooLarge is more than a limit allows.
	ErrTooLarge = errors.New("more than is accepted")
	// ErrNoRecipient is an envelope that is not for the key.
	ErrNoRecipient = errors.New("not encrypted for this key")
	// ErrDecrypt is a key or a content that does not decrypt, for whatever
	// reason: the difference is of use to attackers alone.
	ErrDecrypt = errors.New("does not decrypt: wrong key, or damaged")
	// ErrSigner is a signature whose certificate is not there, or not fit for
	// it.
	ErrSigner = errors.New("no usable certificate of the signer")
	// ErrUnsigned is a key package that is not signed.
	ErrUnsigned = errors.New("the key package is not signed")
	// ErrPrivateKey is a private key that is not usable, or not of its public
	// key.
	ErrPrivateKey = errors.New("private key is not usable")
)

func at(where string, err error) error { return fmt.Errorf("%s: %w", where, err) }

func malformed(where string) error { return at(where, ErrMalformed) }

// short is an identifier for an error text: it may be an attacker's.
func short(o pkix.OID) string {
	s := o.String()
	if len(s) > 64 {
		s = s[:64] + "..."
	}
	return s
}

// prim and cons are context-specific tags for implicit tagging of primitive
// types, and of constructed types or explicit tagging.
func prim(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
func cons(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// open scans DER that has come out of an OCTET STRING or a cipher and gives the
// contents of its SEQUENCE.
func open(where string, b []byte) (cryptobyte.String, error) {
	if err := der.Scan(b, der.Limits{Bytes: maxStructure}); err != nil {
		if errors.Is(err, der.ErrTooLarge) || errors.Is(err, der.ErrTooDeep) || errors.Is(err, der.ErrTooMany) {
			return nil, fmt.Errorf("%s: %w (%w)", where, ErrTooLarge, err)
		}
		return nil, fmt.Errorf("%s: %w (%w)", where, ErrMalformed, err)
	}
	s := cryptobyte.String(b)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return nil, malformed(where)
	}
	return seq, nil
}

// end refuses an element where the structure should have ended.
func end(where string, s cryptobyte.String) error {
	if s.Empty() {
		return nil
	}
	return fmt.Errorf("%s: element with tag 0x%02x where it should end: %w", where, s[0], ErrMalformed)
}
