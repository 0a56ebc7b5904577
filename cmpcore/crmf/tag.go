package crmf

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The ways in which a structure is malformed. The errors of this package say
// where, from the outside in.
var (
	errForm    = errors.New("not the type it should be, or not DER")
	errMissing = errors.New("missing")
	errEmpty   = errors.New("empty, though it must have an entry")
)

func at(where string, err error) error { return fmt.Errorf("%s: %w", where, err) }

func malformed(where string) error { return at(where, errForm) }

// unexpected reports an element where the structure should have ended: one of
// a later version, out of order, or given twice.
func unexpected(s cryptobyte.String) error {
	return fmt.Errorf("unexpected element with tag 0x%02x", s[0])
}

// prim and cons are the context-specific tags for implicit tagging of primitive
// types, and of constructed types or explicit tagging.
func prim(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }
func cons(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// readEnveloped takes an implicitly tagged EnvelopedData off s and gives it
// the SEQUENCE tag.
func readEnveloped(s *cryptobyte.String, tag asn1.Tag) ([]byte, error) {
	e, ok := retag(s, tag)
	if !ok {
		return nil, malformed("envelopedData")
	}
	return e, nil
}
