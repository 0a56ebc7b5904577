package issuance

import (
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// certificate is what this package needs to know of one.
type certificate struct {
	serial              []byte // contents octets
	innerAlg, outerAlg  pkix.AlgorithmIdentifier
	issuer, subject     pkix.Name
	notBefore, notAfter time.Time
	spki                pkix.SubjectPublicKeyInfo
	extensions          []pkix.Extension
}

var errNoCertificate = errors.New("it is not the DER of a version 3 certificate without unique identifiers (RFC 5280 section 4.1)")

// parseCertificate reads a certificate as this package writes them: v3, no
// unique identifiers, extensions.
func parseCertificate(b []byte) (*certificate, error) {
	if err := der.Scan(b, der.Limits{}); err != nil {
		return nil, err
	}
	s := cryptobyte.String(b)
	var outer, tbs, validity, version, serial, issuer, subject cryptobyte.String
	var c certificate
	var ok1, ok2, ok3, ok4, ok5 bool
	if !s.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1(&tbs, asn1.SEQUENCE) {
		return nil, errNoCertificate
	}
	if c.outerAlg, ok1 = pkix.ReadAlgorithm(&outer); !ok1 {
		return nil, errNoCertificate
	}
	if sig, ok := pkix.ReadBits(&outer, asn1.BIT_STRING); !ok || len(sig) == 0 || !outer.Empty() {
		return nil, errNoCertificate
	}
	if !tbs.ReadASN1(&version, tag0c) || string(version) != "\x02\x01\x02" || !tbs.ReadASN1(&serial, asn1.INTEGER) {
		return nil, errNoCertificate
	}
	c.serial = serial
	if c.innerAlg, ok1 = pkix.ReadAlgorithm(&tbs); !ok1 || !tbs.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
		!tbs.ReadASN1(&validity, asn1.SEQUENCE) || !tbs.ReadASN1Element(&subject, asn1.SEQUENCE) {
		return nil, errNoCertificate
	}
	c.issuer, c.subject = pkix.Name(issuer), pkix.Name(subject)
	c.notBefore, ok2 = pkix.ReadTime(&validity)
	c.notAfter, ok3 = pkix.ReadTime(&validity)
	c.spki, ok4 = pkix.ReadSubjectPublicKeyInfo(&tbs)
	var exts cryptobyte.String
	if !ok2 || !ok3 || !ok4 || !validity.Empty() || !tbs.ReadASN1(&exts, asn1.Tag(3).ContextSpecific().Constructed()) || !tbs.Empty() {
		return nil, errNoCertificate
	}
	if c.extensions, ok5 = pkix.ReadExtensions(&exts); !ok5 || !exts.Empty() {
		return nil, errNoCertificate
	}
	return &c, nil
}

func (c *certificate) extension(id pkix.OID) (pkix.Extension, bool) {
	return pkix.FindExtension(c.extensions, id)
}
