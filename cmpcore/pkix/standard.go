package pkix

import (
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Extensions of certificates and CRLs (RFC 5280 sections 4.2 and 5.2).
var (
	OIDSubjectKeyID             = MustOID("2.5.29.14")
	OIDKeyUsage                 = MustOID("2.5.29.15")
	OIDSubjectAltName           = MustOID("2.5.29.17")
	OIDIssuerAltName            = MustOID("2.5.29.18")
	OIDBasicConstraints         = MustOID("2.5.29.19")
	OIDCRLNumber                = MustOID("2.5.29.20")
	OIDReasonCode               = MustOID("2.5.29.21")
	OIDInvalidityDate           = MustOID("2.5.29.24")
	OIDDeltaCRLIndicator        = MustOID("2.5.29.27")
	OIDIssuingDistributionPoint = MustOID("2.5.29.28")
	OIDCertificateIssuer        = MustOID("2.5.29.29")
	OIDNameConstraints          = MustOID("2.5.29.30")
	OIDCRLDistributionPoints    = MustOID("2.5.29.31")
	OIDCertificatePolicies      = MustOID("2.5.29.32")
	OIDPolicyMappings           = MustOID("2.5.29.33")
	OIDAuthorityKeyID           = MustOID("2.5.29.35")
	OIDPolicyConstraints        = MustOID("2.5.29.36")
	OIDExtKeyUsage              = MustOID("2.5.29.37")
	OIDFreshestCRL              = MustOID("2.5.29.46")
	OIDInhibitAnyPolicy         = MustOID("2.5.29.54")
	OIDAuthorityInfoAccess      = MustOID("1.3.6.1.5.5.7.1.1")
	OIDSubjectInfoAccess        = MustOID("1.3.6.1.5.5.7.1.11")
	OIDTLSFeature               = MustOID("1.3.6.1.5.5.7.1.24")

	oidOCSP      = MustOID("1.3.6.1.5.5.7.48.1")
	oidCAIssuers = MustOID("1.3.6.1.5.5.7.48.2")
	oidCPS       = MustOID("1.3.6.1.5.5.7.2.1")
)

func context(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific() }

// BasicConstraints of RFC 5280 section 4.2.1.9.
type BasicConstraints struct {
	CA         bool
	MaxPathLen int // -1: no limit
}

// BasicConstraintsExtension makes the extension, critical.
func BasicConstraintsExtension(c BasicConstraints) Extension {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if c.CA {
			b.AddASN1Boolean(true)
			if c.MaxPathLen >= 0 {
				b.AddASN1Int64(int64(c.MaxPathLen))
			}
		}
	})
	return Extension{ID: OIDBasicConstraints, Critical: true, Value: b.BytesOrPanic()}
}

// ParseBasicConstraints reads the extension's value. A path length without cA
// is refused.
func ParseBasicConstraints(value []byte) (BasicConstraints, bool) {
	c := BasicConstraints{MaxPathLen: -1}
	s := cryptobyte.String(value)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return c, false
	}
	if seq.PeekASN1Tag(asn1.BOOLEAN) && (!seq.ReadASN1Boolean(&c.CA) || !c.CA) {
		return c, false
	}
	if !seq.Empty() {
		n, ok := ReadInt(&seq, asn1.INTEGER)
		if !ok || n < 0 || n > 1<<30 || !c.CA || !seq.Empty() {
			return c, false
		}
		c.MaxPathLen = int(n)
	}
	return c, true
}

// SubjectKeyIDExtension makes the extension, not critical.
func SubjectKeyIDExtension(id []byte) Extension {
	var b cryptobyte.Builder
	AddElement(&b, asn1.OCTET_STRING, id)
	return Extension{ID: OIDSubjectKeyID, Value: b.BytesOrPanic()}
}

// ParseSubjectKeyID reads the extension's value.
func ParseSubjectKeyID(value []byte) ([]byte, bool) {
	s := cryptobyte.String(value)
	var id cryptobyte.String
	return id, s.ReadASN1(&id, asn1.OCTET_STRING) && s.Empty()
}

// AuthorityKeyID of RFC 5280 section 4.2.1.1. Zero fields are absent.
type AuthorityKeyID struct {
	KeyID  []byte
	Issuer []GeneralName
	Serial *big.Int
}

// AuthorityKeyIDExtension makes the extension, not critical.
func AuthorityKeyIDExtension(a AuthorityKeyID) (Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if a.KeyID != nil {
			AddElement(b, context(0), a.KeyID)
		}
		if a.Issuer != nil {
			AddGeneralNames(b, context(1).Constructed(), a.Issuer)
		}
		if a.Serial != nil {
			AddInteger(b, context(2), a.Serial)
		}
	})
	v, err := b.Bytes()
	return Extension{ID: OIDAuthorityKeyID, Value: v}, err
}

// ParseAuthorityKeyID reads the extension's value.
func ParseAuthorityKeyID(value []byte) (a AuthorityKeyID, ok bool) {
	s := cryptobyte.String(value)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return a, false
	}
	if seq.PeekASN1Tag(context(0)) {
		var id cryptobyte.String
		if !seq.ReadASN1(&id, context(0)) {
			return a, false
		}
		a.KeyID = id
	}
	if seq.PeekASN1Tag(context(1).Constructed()) {
		if a.Issuer, ok = ReadTaggedGeneralNames(&seq, context(1).Constructed()); !ok {
			return a, false
		}
	}
	if seq.PeekASN1Tag(context(2)) {
		if a.Serial, ok = ReadInteger(&seq, context(2)); !ok {
			return a, false
		}
	}
	return a, seq.Empty()
}

// SubjectAltNameExtension makes the extension. It must be critical exactly
// where the subject is empty.
func SubjectAltNameExtension(names []GeneralName, critical bool) (Extension, error) {
	var b cryptobyte.Builder
	AddGeneralNames(&b, asn1.SEQUENCE, names)
	v, err := b.Bytes()
	return Extension{ID: OIDSubjectAltName, Critical: critical, Value: v}, err
}

// ParseSubjectAltName reads the extension's value: at least one name.
func ParseSubjectAltName(value []byte) ([]GeneralName, bool) {
	s := cryptobyte.String(value)
	names, ok := ReadGeneralNames(&s)
	return names, ok && s.Empty()
}

// CRLDistributionPointsExtension makes the extension, not critical, with one
// point for each URI.
func CRLDistributionPointsExtension(uris []string) (Extension, error) {
	names, err := uriNames(uris)
	if err != nil {
		return Extension{}, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, g := range names {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(context(0).Constructed(), func(b *cryptobyte.Builder) {
					AddGeneralNames(b, context(0).Constructed(), []GeneralName{g})
				})
			})
		}
	})
	v, err := b.Bytes()
	return Extension{ID: OIDCRLDistributionPoints, Value: v}, err
}

func uriNames(uris []string) ([]GeneralName, error) {
	names := make([]GeneralName, len(uris))
	for i, u := range uris {
		var err error
		if names[i], err = NewURI(u); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// AuthorityInfoAccessExtension makes the extension, not critical.
func AuthorityInfoAccessExtension(ocsp, caIssuers []string) (Extension, error) {
	o, err := uriNames(ocsp)
	if err != nil {
		return Extension{}, err
	}
	c, err := uriNames(caIssuers)
	if err != nil {
		return Extension{}, err
	}
	var b cryptobyte.Builder
	add := func(b *cryptobyte.Builder, method OID, names []GeneralName) {
		for _, g := range names {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				method.Add(b)
				g.Add(b)
			})
		}
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		add(b, oidOCSP, o)
		add(b, oidCAIssuers, c)
	})
	v, err := b.Bytes()
	return Extension{ID: OIDAuthorityInfoAccess, Value: v}, err
}

// Policy is one certificate policy. CPS is the URI of the practice statement,
// empty where there is none.
type Policy struct {
	ID  OID
	CPS string
}

// CertificatePoliciesExtension makes the extension, not critical.
func CertificatePoliciesExtension(policies []Policy) (Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, p := range policies {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				p.ID.Add(b)
				if p.CPS == "" {
					return
				}
				if _, err := NewURI(p.CPS); err != nil {
					b.SetError(err)
					return
				}
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						oidCPS.Add(b)
						AddElement(b, asn1.IA5String, []byte(p.CPS))
					})
				})
			})
		}
	})
	v, err := b.Bytes()
	return Extension{ID: OIDCertificatePolicies, Value: v}, err
}

// ParseCertificatePolicies reads the policies of the extension's value; their
// qualifiers are passed over.
func ParseCertificatePolicies(value []byte) ([]OID, bool) {
	s := cryptobyte.String(value)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return nil, false
	}
	var oids []OID
	for !seq.Empty() {
		var info cryptobyte.String
		if !seq.ReadASN1(&info, asn1.SEQUENCE) {
			return nil, false
		}
		o, ok := ReadOID(&info)
		if !ok || !info.SkipOptionalASN1(asn1.SEQUENCE) || !info.Empty() {
			return nil, false
		}
		oids = append(oids, o)
	}
	return oids, true
}

// CRLNumberExtension makes the extension, not critical.
func CRLNumberExtension(n *big.Int) (Extension, error) {
	var b cryptobyte.Builder
	AddInteger(&b, asn1.INTEGER, n)
	v, err := b.Bytes()
	return Extension{ID: OIDCRLNumber, Value: v}, err
}

// CRLReason says why a certificate was revoked (RFC 5280 section 5.3.1).
type CRLReason int

// The values of CRLReason; there is no 7.
const (
	ReasonUnspecified          CRLReason = 0
	ReasonKeyCompromise        CRLReason = 1
	ReasonCACompromise         CRLReason = 2
	ReasonAffiliationChanged   CRLReason = 3
	ReasonSuperseded           CRLReason = 4
	ReasonCessationOfOperation CRLReason = 5
	ReasonCertificateHold      CRLReason = 6
	ReasonRemoveFromCRL        CRLReason = 8
	ReasonPrivilegeWithdrawn   CRLReason = 9
	ReasonAACompromise         CRLReason = 10
)

var reasonNames = [...]string{
	"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
	"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
}

// String is the name in RFC 5280; "unknown" where it has none.
func (r CRLReason) String() string {
	if r < 0 || int(r) >= len(reasonNames) || reasonNames[r] == "" {
		return "unknown"
	}
	return reasonNames[r]
}

// CRLReasonByName finds a reason by its name in RFC 5280.
func CRLReasonByName(name string) (CRLReason, bool) {
	for i, n := range reasonNames {
		if n != "" && n == name {
			return CRLReason(i), true
		}
	}
	return 0, false
}

// ReasonCodeExtension makes the CRL entry extension, not critical.
func ReasonCodeExtension(r CRLReason) Extension {
	var b cryptobyte.Builder
	b.AddASN1Enum(int64(r))
	return Extension{ID: OIDReasonCode, Value: b.BytesOrPanic()}
}

// ParseReasonCode reads the extension's value. A reason that RFC 5280 does not
// name is refused.
func ParseReasonCode(value []byte) (CRLReason, bool) {
	s := cryptobyte.String(value)
	n, ok := ReadInt(&s, asn1.ENUM)
	if !ok || !s.Empty() || n < 0 || n >= int64(len(reasonNames)) || reasonNames[n] == "" {
		return 0, false
	}
	return CRLReason(n), true
}

// InvalidityDateExtension makes the CRL entry extension, not critical.
func InvalidityDateExtension(t time.Time) (Extension, error) {
	var b cryptobyte.Builder
	AddGeneralizedTime(&b, t)
	v, err := b.Bytes()
	return Extension{ID: OIDInvalidityDate, Value: v}, err
}

// ParseInvalidityDate reads the extension's value.
func ParseInvalidityDate(value []byte) (time.Time, bool) {
	s := cryptobyte.String(value)
	t, ok := ReadGeneralizedTime(&s)
	return t, ok && s.Empty()
}
