package issuance

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// The limits of the extensions of one request.
const (
	maxExtensions      = 64
	maxExtensionOctets = 64 << 10 // of all values together
)

// checkExtension checks the value of an extension that is copied: as one
// well-formed element, and by its own syntax where that is known.
func checkExtension(e pkix.Extension) error {
	if must, ok := criticality[e.ID]; ok && must != e.Critical {
		return fmt.Errorf("RFC 5280 wants the extension to have critical %t", must)
	}
	if err := der.Scan(e.Value, der.Limits{Bytes: maxExtensionOctets}); err != nil {
		return err
	}
	check := extensionSyntax[e.ID]
	if check == nil {
		return nil
	}
	s := cryptobyte.String(e.Value)
	if !check(&s) || !s.Empty() {
		return errors.New("the value does not have the syntax of the extension")
	}
	return nil
}

var (
	tag0  = asn1.Tag(0).ContextSpecific()
	tag1  = asn1.Tag(1).ContextSpecific()
	tag0c = tag0.Constructed()
	tag1c = tag1.Constructed()
	tag2c = asn1.Tag(2).ContextSpecific().Constructed()
)

// syntax takes one value off s.
type syntax func(s *cryptobyte.String) bool

// extensionSyntax has the types of RFC 5280 section 4.2 that a profile can let
// a request set, RFC 7633 and RFC 6960.
var extensionSyntax = map[pkix.OID]syntax{
	oidSubjectDirectoryAttributes: listOf(asn1.SEQUENCE, 1, sequence(oid, listOf(asn1.SET, 1, anything))),
	pkix.OIDIssuerAltName:         listOf(asn1.SEQUENCE, 1, generalName),
	pkix.OIDNameConstraints:       nameConstraints,
	pkix.OIDCRLDistributionPoints: distributionPoints,
	pkix.OIDFreshestCRL:           distributionPoints,
	pkix.OIDCertificatePolicies:   certificatePolicies,
	pkix.OIDPolicyMappings:        listOf(asn1.SEQUENCE, 1, sequence(policyOID, policyOID)),
	pkix.OIDPolicyConstraints:     policyConstraints,
	pkix.OIDInhibitAnyPolicy:      smallNumber(asn1.INTEGER),
	pkix.OIDAuthorityInfoAccess:   listOf(asn1.SEQUENCE, 1, sequence(oid, generalName)),
	pkix.OIDSubjectInfoAccess:     listOf(asn1.SEQUENCE, 1, sequence(oid, generalName)),
	pkix.OIDTLSFeature:            listOf(asn1.SEQUENCE, 1, smallNumber(asn1.INTEGER)),
	oidOCSPNoCheck:                element(asn1.NULL),
}

func anything(s *cryptobyte.String) bool {
	var e cryptobyte.String
	var tag asn1.Tag
	return s.ReadAnyASN1Element(&e, &tag)
}

func element(tag asn1.Tag) syntax {
	return func(s *cryptobyte.String) bool {
		var c cryptobyte.String
		return s.ReadASN1(&c, tag) && (tag != asn1.NULL || c.Empty())
	}
}

func oid(s *cryptobyte.String) bool {
	_, ok := pkix.ReadOID(s)
	return ok
}

func policyOID(s *cryptobyte.String) bool {
	o, ok := pkix.ReadOID(s)
	return ok && o != oidAnyPolicy // RFC 5280 section 4.2.1.5
}

func generalName(s *cryptobyte.String) bool {
	_, ok := pkix.ReadGeneralName(s)
	return ok
}

func smallNumber(tag asn1.Tag) syntax {
	return func(s *cryptobyte.String) bool {
		n, ok := pkix.ReadInt(s, tag)
		return ok && n >= 0 && n <= 65535
	}
}

func listOf(tag asn1.Tag, least int, one syntax) syntax {
	return func(s *cryptobyte.String) bool {
		var c cryptobyte.String
		if !s.ReadASN1(&c, tag) {
			return false
		}
		n := 0
		for ; !c.Empty(); n++ {
			if !one(&c) {
				return false
			}
		}
		return n >= least
	}
}

func sequence(parts ...syntax) syntax {
	return func(s *cryptobyte.String) bool {
		var c cryptobyte.String
		if !s.ReadASN1(&c, asn1.SEQUENCE) {
			return false
		}
		for _, p := range parts {
			if !p(&c) {
				return false
			}
		}
		return c.Empty()
	}
}

// optional takes what is there under the tag, by its syntax.
func optional(s *cryptobyte.String, tag asn1.Tag, one syntax) (found, ok bool) {
	if !s.PeekASN1Tag(tag) {
		return false, true
	}
	return true, one(s)
}

func nameConstraints(s *cryptobyte.String) bool {
	subtree := func(s *cryptobyte.String) bool { // minimum and maximum are never there (section 4.2.1.10)
		return sequence(generalName)(s)
	}
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.SEQUENCE) {
		return false
	}
	permitted, ok1 := optional(&c, tag0c, listOf(tag0c, 1, subtree))
	excluded, ok2 := optional(&c, tag1c, listOf(tag1c, 1, subtree))
	return ok1 && ok2 && (permitted || excluded) && c.Empty()
}

func policyConstraints(s *cryptobyte.String) bool {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.SEQUENCE) {
		return false
	}
	require, ok1 := optional(&c, tag0, smallNumber(tag0))
	inhibit, ok2 := optional(&c, tag1, smallNumber(tag1))
	return ok1 && ok2 && (require || inhibit) && c.Empty()
}

func distributionPoints(s *cryptobyte.String) bool {
	return listOf(asn1.SEQUENCE, 1, distributionPoint)(s)
}

func distributionPoint(s *cryptobyte.String) bool {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.SEQUENCE) {
		return false
	}
	point, ok1 := optional(&c, tag0c, func(s *cryptobyte.String) bool {
		var name cryptobyte.String
		if !s.ReadASN1(&name, tag0c) {
			return false
		}
		full, ok1 := optional(&name, tag0c, listOf(tag0c, 1, generalName))
		relative, ok2 := optional(&name, tag1c, listOf(tag1c, 1, anything))
		return ok1 && ok2 && full != relative && name.Empty()
	})
	_, ok2 := optional(&c, tag1, func(s *cryptobyte.String) bool {
		_, _, ok := pkix.ReadBitString(s, tag1)
		return ok
	})
	issuer, ok3 := optional(&c, tag2c, listOf(tag2c, 1, generalName))
	// Reasons alone say nothing (section 4.2.1.13).
	return ok1 && ok2 && ok3 && (point || issuer) && c.Empty()
}

func certificatePolicies(s *cryptobyte.String) bool {
	seen := map[pkix.OID]bool{}
	return listOf(asn1.SEQUENCE, 1, func(s *cryptobyte.String) bool {
		var c cryptobyte.String
		if !s.ReadASN1(&c, asn1.SEQUENCE) {
			return false
		}
		o, ok := pkix.ReadOID(&c)
		if !ok || seen[o] {
			return false
		}
		seen[o] = true
		if c.Empty() {
			return true
		}
		return listOf(asn1.SEQUENCE, 1, sequence(oid, anything))(&c) && c.Empty()
	})(s)
}
