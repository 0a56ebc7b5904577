package cmp

import (
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// CRLStatus names a CRL and tells how new the copy is that the sender has (RFC
// 9810 section 5.3.19.17). The source is exactly one of the first three.
type CRLStatus struct {
	FullName     []pkix.GeneralName // distribution point: fullName
	RelativeName []byte             // distribution point: nameRelativeToCRLIssuer, the contents of the RDN
	Issuer       []pkix.GeneralName
	ThisUpdate   time.Time // zero: the sender has none
}

// NewCRLStatusList asks for CRLs newer than those that are known.
func NewCRLStatusList(list []CRLStatus) (InfoTypeAndValue, error) {
	return newInfo(OIDCRLStatusList, func(b *cryptobyte.Builder) {
		addList(b, "value", 1, list, func(b *cryptobyte.Builder, s *CRLStatus) { s.add(b) })
	})
}

// CRLStatusList reads the value of crlStatusList.
func (i InfoTypeAndValue) CRLStatusList() ([]CRLStatus, error) {
	return readInfoList(i, OIDCRLStatusList, 1, readCRLStatus)
}

// DistributionPointName is of a module with implicit tags, CRLSource around it
// of one with explicit ones.
func readCRLStatus(s *cryptobyte.String) (c CRLStatus, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		switch {
		case s.PeekASN1Tag(explicit(0)):
			err = inside(s, 0, "dpn", c.readPoint)
		case s.PeekASN1Tag(explicit(1)):
			err = inside(s, 1, "issuer", func(s *cryptobyte.String) error {
				var ok bool
				if c.Issuer, ok = pkix.ReadGeneralNames(s); !ok {
					return errForm
				}
				return nil
			})
		default:
			err = at("source", errMissing)
		}
		if err != nil || s.Empty() {
			return err
		}
		var ok bool
		if c.ThisUpdate, ok = pkix.ReadTime(s); !ok {
			return malformed("thisUpdate")
		}
		return nil
	})
	return c, err
}

func (c *CRLStatus) readPoint(s *cryptobyte.String) error {
	var ok bool
	if s.PeekASN1Tag(explicit(0)) {
		if c.FullName, ok = pkix.ReadTaggedGeneralNames(s, explicit(0)); !ok {
			return malformed("fullName")
		}
		return nil
	}
	var rdn cryptobyte.String
	if !s.ReadASN1(&rdn, explicit(1)) || rdn.Empty() {
		return errForm
	}
	c.RelativeName = rdn
	// A Name of this one RDN must be well-formed.
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { pkix.AddElement(b, asn1.SET, rdn) })
	name := cryptobyte.String(b.BytesOrPanic())
	if _, ok := pkix.ReadName(&name); !ok {
		return malformed("nameRelativeToCRLIssuer")
	}
	return nil
}

func (c *CRLStatus) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		switch {
		case len(c.FullName) > 0 && c.RelativeName == nil && len(c.Issuer) == 0:
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				pkix.AddGeneralNames(b, explicit(0), c.FullName)
			})
		case len(c.FullName) == 0 && c.RelativeName != nil && len(c.Issuer) == 0:
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				pkix.AddElement(b, explicit(1), c.RelativeName)
			})
		case len(c.FullName) == 0 && c.RelativeName == nil && len(c.Issuer) > 0:
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				pkix.AddGeneralNames(b, asn1.SEQUENCE, c.Issuer)
			})
		default:
			b.SetError(errors.New("crlStatus: exactly one source must be set"))
			return
		}
		if !c.ThisUpdate.IsZero() {
			pkix.AddTime(b, c.ThisUpdate)
		}
	})
}
