package alg

import (
	"fmt"

	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// pssParameters is RSASSA-PSS-params of RFC 4055 section 3.1 with what we
// accept: MGF1 with the message's hash, and trailer field 1.
type pssParameters struct {
	hash *digest
	salt int
}

var oidMGF1 = pkix.MustOID("1.2.840.113549.1.1.8")

// maxSalt is far beyond the longest hash, which is the longest useful salt.
const maxSalt = 512

func readPSSParameters(der []byte) (pssParameters, error) {
	p := pssParameters{hash: digestByName["sha1"], salt: 20}
	in := cryptobyte.String(der)
	var seq, field cryptobyte.String
	var present bool
	bad := func(what string) (pssParameters, error) {
		return p, fmt.Errorf("RSASSA-PSS %s: %w", what, ErrParameters)
	}
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return bad("parameters are not a SEQUENCE")
	}
	tag := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

	if !seq.ReadOptionalASN1(&field, &present, tag(0)) {
		return bad("hash is malformed")
	}
	if present {
		a, ok := pkix.ReadAlgorithm(&field)
		if !ok || !field.Empty() {
			return bad("hash is malformed")
		}
		var err error
		if p.hash, err = readDigest(a); err != nil {
			return p, err
		}
	}

	mgfHash := digestByName["sha1"]
	if !seq.ReadOptionalASN1(&field, &present, tag(1)) {
		return bad("mask generation is malformed")
	}
	if present {
		a, ok := pkix.ReadAlgorithm(&field)
		if !ok || !field.Empty() {
			return bad("mask generation is malformed")
		}
		if a.OID != oidMGF1 {
			return p, fmt.Errorf("RSASSA-PSS mask generation %s: %w", short(a.OID), ErrUnsupported)
		}
		params := cryptobyte.String(a.Parameters)
		h, ok := pkix.ReadAlgorithm(&params)
		if !ok || !params.Empty() {
			return bad("mask generation names no hash and")
		}
		var err error
		if mgfHash, err = readDigest(h); err != nil {
			return p, err
		}
	}
	if p.hash.xof != nil {
		// RFC 8692 gives them identifiers of their own.
		return p, fmt.Errorf("RSASSA-PSS with %s in its parameters: %w", p.hash.name, ErrUnsupported)
	}
	if mgfHash != p.hash {
		return p, fmt.Errorf("RSASSA-PSS with %s and a mask by %s: %w", p.hash.name, mgfHash.name, ErrUnsupported)
	}

	if !readTaggedInt(&seq, tag(2), &p.salt) || p.salt < 0 || p.salt > maxSalt {
		return bad("salt length is out of range")
	}
	trailer := 1
	if !readTaggedInt(&seq, tag(3), &trailer) || trailer != 1 {
		return bad("trailer field is not 1")
	}
	if !seq.Empty() {
		return bad("parameters have more than four fields")
	}
	return p, nil
}

// readTaggedInt reads an optional explicitly tagged INTEGER and leaves v where
// it is absent. A default written out is not DER, but no ambiguity either.
func readTaggedInt(s *cryptobyte.String, tag asn1.Tag, v *int) bool {
	var field cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&field, &present, tag) {
		return false
	}
	return !present || field.ReadASN1Integer(v) && field.Empty()
}

// writePSSParameters gives parameters whose salt is as long as the hash, which
// must not be SHA-1. NULL follows the hash identifiers (RFC 4055 section 2.1).
func writePSSParameters(d *digest) []byte {
	hash := pkix.AlgorithmIdentifier{OID: d.oid, Parameters: pkix.Null}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), hash.Add)
		b.AddASN1(asn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			pkix.AlgorithmIdentifier{OID: oidMGF1, Parameters: hash.Bytes()}.Add(b)
		})
		b.AddASN1(asn1.Tag(2).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64(d.hash.Size()))
		})
	})
	return b.BytesOrPanic()
}
