package cms

import (
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// Identifier names a certificate by its key or by its issuer and serial number:
// RecipientIdentifier and SignerIdentifier of RFC 5652. Where there is no
// certificate yet, as for the challenge of RFC 9810 section 5.2.8.3.3, it is
// the NULL-DN and the number of the request.
type Identifier struct {
	KeyID []byte // subjectKeyIdentifier; nil: Issuer and Serial are set

	Issuer pkix.Name
	Serial *big.Int
}

// CertificateID gives the identifier that names the certificate: the key
// identifier or, where it has none, issuer and serial number.
func CertificateID(cert []byte) (Identifier, error) {
	c, err := parseCertificate(cert)
	if err != nil {
		return Identifier{}, err
	}
	return c.id(), nil
}

// IssuerAndSerial gives the other identifier, for peers that look for it.
func IssuerAndSerial(cert []byte) (Identifier, error) {
	c, err := parseCertificate(cert)
	if err != nil {
		return Identifier{}, err
	}
	return Identifier{Issuer: c.issuer, Serial: c.serial}, nil
}

func (i Identifier) isZero() bool { return i.KeyID == nil && i.Serial == nil }

// read takes a CHOICE off s whose second alternative is a key identifier under
// [0].
func readIdentifier(s *cryptobyte.String) (i Identifier, ok bool) {
	if s.PeekASN1Tag(prim(0)) {
		var id cryptobyte.String
		ok = s.ReadASN1(&id, prim(0)) && len(id) > 0
		i.KeyID = id
		return i, ok
	}
	return readIssuerAndSerial(s)
}

func readIssuerAndSerial(s *cryptobyte.String) (i Identifier, ok bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return i, false
	}
	if i.Issuer, ok = pkix.ReadName(&seq); !ok {
		return i, false
	}
	i.Serial, ok = pkix.ReadInteger(&seq, asn1.INTEGER)
	return i, ok && seq.Empty()
}

func (i Identifier) add(b *cryptobyte.Builder) {
	if i.KeyID != nil {
		pkix.AddElement(b, prim(0), i.KeyID)
		return
	}
	i.addIssuerAndSerial(b)
}

func (i Identifier) addIssuerAndSerial(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		i.Issuer.Add(b)
		pkix.AddInteger(b, asn1.INTEGER, i.Serial)
	})
}
