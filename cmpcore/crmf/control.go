package crmf

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// Types of controls: RFC 4211 section 6, RFC 9810 section 5.2.1 and 5.3.19.16.
var (
	OIDRegToken           = pkix.MustOID("1.3.6.1.5.5.7.5.1.1")
	OIDAuthenticator      = pkix.MustOID("1.3.6.1.5.5.7.5.1.2")
	OIDPKIPublicationInfo = pkix.MustOID("1.3.6.1.5.5.7.5.1.3")
	OIDPKIArchiveOptions  = pkix.MustOID("1.3.6.1.5.5.7.5.1.4")
	OIDOldCertID          = pkix.MustOID("1.3.6.1.5.5.7.5.1.5")
	OIDProtocolEncrKey    = pkix.MustOID("1.3.6.1.5.5.7.5.1.6")
	OIDAltCertTemplate    = pkix.MustOID("1.3.6.1.5.5.7.5.1.7")
	OIDAlgID              = pkix.MustOID("1.3.6.1.5.5.7.5.1.11")
	OIDRSAKeyLen          = pkix.MustOID("1.3.6.1.5.5.7.5.1.12")
)

var errType = errors.New("attribute is of another type")

// newAttribute encodes a value.
func newAttribute(typ pkix.OID, add func(*cryptobyte.Builder)) (Attribute, error) {
	var b cryptobyte.Builder
	add(&b)
	v, err := b.Bytes()
	return Attribute{Type: typ, Value: v}, err
}

// value checks the type and gives the value to be read.
func (a Attribute) value(typ pkix.OID) (cryptobyte.String, error) {
	if a.Type != typ {
		return nil, errType
	}
	return a.Value, nil
}

// NewRegToken makes the control regToken: a secret the CA or RA gave out for
// one request.
func NewRegToken(token string) (Attribute, error) {
	return newAttribute(OIDRegToken, func(b *cryptobyte.Builder) { pkix.AddUTF8(b, token) })
}

// RegToken reads the control regToken.
func (a Attribute) RegToken() (string, error) { return a.utf8(OIDRegToken, "regToken") }

// NewAuthenticator makes the control authenticator: a secret for many requests.
func NewAuthenticator(text string) (Attribute, error) {
	return newAttribute(OIDAuthenticator, func(b *cryptobyte.Builder) { pkix.AddUTF8(b, text) })
}

// Authenticator reads the control authenticator.
func (a Attribute) Authenticator() (string, error) {
	return a.utf8(OIDAuthenticator, "authenticator")
}

func (a Attribute) utf8(typ pkix.OID, name string) (string, error) {
	s, err := a.value(typ)
	if err != nil {
		return "", at(name, err)
	}
	text, ok := pkix.ReadUTF8(&s)
	if !ok || !s.Empty() {
		return "", malformed(name)
	}
	return text, nil
}

// NewPKIPublicationInfo makes the control pkiPublicationInfo.
func NewPKIPublicationInfo(p PKIPublicationInfo) (Attribute, error) {
	return newAttribute(OIDPKIPublicationInfo, p.Add)
}

// PKIPublicationInfo reads the control pkiPublicationInfo.
func (a Attribute) PKIPublicationInfo() (p PKIPublicationInfo, err error) {
	s, err := a.value(OIDPKIPublicationInfo)
	if err == nil {
		p, err = ReadPKIPublicationInfo(&s)
	}
	return p, whole("pkiPublicationInfo", s, err)
}

// whole completes the reading of a value: nothing may follow it.
func whole(name string, rest cryptobyte.String, err error) error {
	if err == nil && !rest.Empty() {
		err = unexpected(rest)
	}
	if err != nil {
		return at(name, err)
	}
	return nil
}

// ReadPKIPublicationInfo takes a PKIPublicationInfo off s.
func ReadPKIPublicationInfo(s *cryptobyte.String) (p PKIPublicationInfo, err error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return p, errForm
	}
	n, ok := pkix.ReadInt(&seq, asn1.INTEGER)
	if !ok || n != 0 && n != 1 {
		return p, malformed("action")
	}
	p.Action = int(n)
	if seq.Empty() {
		return p, nil
	}
	var infos cryptobyte.String
	if !seq.ReadASN1(&infos, asn1.SEQUENCE) || !seq.Empty() {
		return p, malformed("pubInfos")
	}
	if infos.Empty() {
		return p, at("pubInfos", errEmpty)
	}
	for !infos.Empty() {
		var c cryptobyte.String
		if !infos.ReadASN1(&c, asn1.SEQUENCE) {
			return p, malformed("pubInfos")
		}
		var info SinglePubInfo
		n, ok := pkix.ReadInt(&c, asn1.INTEGER)
		if !ok || n < 0 || n > 3 {
			return p, malformed("pubMethod")
		}
		info.Method = int(n)
		if !c.Empty() {
			if info.Location, ok = pkix.ReadGeneralName(&c); !ok || !c.Empty() {
				return p, malformed("pubLocation")
			}
		}
		p.Infos = append(p.Infos, info)
	}
	return p, nil
}

// Add appends the PKIPublicationInfo.
func (p PKIPublicationInfo) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(p.Action))
		if len(p.Infos) == 0 {
			return
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, info := range p.Infos {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(int64(info.Method))
					b.AddBytes(info.Location)
				})
			}
		})
	})
}

// NewPKIArchiveOptions makes the control pkiArchiveOptions.
func NewPKIArchiveOptions(o PKIArchiveOptions) (Attribute, error) {
	set := 0
	for _, is := range []bool{o.EncryptedPrivKey != nil, o.KeyGenParameters != nil, o.ArchiveRemGenPriv != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return Attribute{}, errors.New("pkiArchiveOptions: exactly one alternative must be set")
	}
	return newAttribute(OIDPKIArchiveOptions, func(b *cryptobyte.Builder) {
		switch {
		case o.EncryptedPrivKey != nil:
			b.AddASN1(cons(0), o.EncryptedPrivKey.Add)
		case o.KeyGenParameters != nil:
			pkix.AddElement(b, prim(1), o.KeyGenParameters)
		case *o.ArchiveRemGenPriv:
			pkix.AddElement(b, prim(2), []byte{0xff})
		default:
			pkix.AddElement(b, prim(2), []byte{0})
		}
	})
}

// PKIArchiveOptions reads the control pkiArchiveOptions.
func (a Attribute) PKIArchiveOptions() (o PKIArchiveOptions, err error) {
	const name = "pkiArchiveOptions"
	s, err := a.value(OIDPKIArchiveOptions)
	if err != nil {
		return o, at(name, err)
	}
	var c cryptobyte.String
	switch {
	case s.PeekASN1Tag(cons(0)):
		if !s.ReadASN1(&c, cons(0)) {
			return o, malformed(name + ": encryptedPrivKey")
		}
		k, err := ReadEncryptedKey(&c)
		if err = whole(name+": encryptedPrivKey", c, err); err != nil {
			return o, err
		}
		o.EncryptedPrivKey = &k
	case s.PeekASN1Tag(prim(1)):
		if !s.ReadASN1(&c, prim(1)) {
			return o, malformed(name + ": keyGenParameters")
		}
		o.KeyGenParameters = c
	case s.PeekASN1Tag(prim(2)):
		if !s.ReadASN1(&c, prim(2)) || len(c) != 1 || c[0] != 0 && c[0] != 0xff {
			return o, malformed(name + ": archiveRemGenPrivKey")
		}
		yes := c[0] != 0
		o.ArchiveRemGenPriv = &yes
	default:
		return o, malformed(name)
	}
	return o, whole(name, s, nil)
}

// NewOldCertID makes the control oldCertID: the certificate to be updated.
func NewOldCertID(id CertID) (Attribute, error) { return newAttribute(OIDOldCertID, id.Add) }

// OldCertID reads the control oldCertID.
func (a Attribute) OldCertID() (id CertID, err error) {
	s, err := a.value(OIDOldCertID)
	if err == nil {
		id, err = ReadCertID(&s)
	}
	return id, whole("oldCertID", s, err)
}

// ReadCertID takes a CertId off s.
func ReadCertID(s *cryptobyte.String) (id CertID, err error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return id, errForm
	}
	var ok bool
	if id.Issuer, ok = pkix.ReadGeneralName(&seq); !ok {
		return id, malformed("issuer")
	}
	if id.SerialNumber, ok = pkix.ReadInteger(&seq, asn1.INTEGER); !ok {
		return id, malformed("serialNumber")
	}
	if !seq.Empty() {
		return id, unexpected(seq)
	}
	return id, nil
}

// Add appends the CertId.
func (id CertID) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		id.Issuer.Add(b)
		pkix.AddInteger(b, asn1.INTEGER, id.SerialNumber)
	})
}

// NewProtocolEncrKey makes the control protocolEncrKey: a key to which the CA
// encrypts what it sends.
func NewProtocolEncrKey(k pkix.SubjectPublicKeyInfo) (Attribute, error) {
	return newAttribute(OIDProtocolEncrKey, k.Add)
}

// ProtocolEncrKey reads the control protocolEncrKey.
func (a Attribute) ProtocolEncrKey() (pkix.SubjectPublicKeyInfo, error) {
	s, err := a.value(OIDProtocolEncrKey)
	if err != nil {
		return nil, at("protocolEncrKey", err)
	}
	k, ok := pkix.ReadSubjectPublicKeyInfo(&s)
	if !ok || !s.Empty() {
		return nil, malformed("protocolEncrKey")
	}
	return k, nil
}

// NewAltCertTemplate makes the control altCertTemplate: the template of a
// certificate that is not an X.509 one.
func NewAltCertTemplate(t Attribute) (Attribute, error) {
	return newAttribute(OIDAltCertTemplate, t.add)
}

// AltCertTemplate reads the control altCertTemplate.
func (a Attribute) AltCertTemplate() (Attribute, error) {
	s, err := a.value(OIDAltCertTemplate)
	if err != nil {
		return Attribute{}, at("altCertTemplate", err)
	}
	t, ok := readAttribute(&s)
	if !ok || !s.Empty() {
		return Attribute{}, malformed("altCertTemplate")
	}
	return t, nil
}

// NewAlgID makes the control algId: a key type other than RSA.
func NewAlgID(alg pkix.AlgorithmIdentifier) (Attribute, error) {
	return newAttribute(OIDAlgID, alg.Add)
}

// AlgID reads the control algId.
func (a Attribute) AlgID() (pkix.AlgorithmIdentifier, error) {
	s, err := a.value(OIDAlgID)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, at("algId", err)
	}
	alg, ok := pkix.ReadAlgorithm(&s)
	if !ok || !s.Empty() {
		return pkix.AlgorithmIdentifier{}, malformed("algId")
	}
	return alg, nil
}

// NewRSAKeyLen makes the control rsaKeyLen: a length of RSA keys in bits.
func NewRSAKeyLen(bits int) (Attribute, error) {
	if bits < 1 {
		return Attribute{}, fmt.Errorf("rsaKeyLen: %d is not a length", bits)
	}
	return newAttribute(OIDRSAKeyLen, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(bits)) })
}

// RSAKeyLen reads the control rsaKeyLen.
func (a Attribute) RSAKeyLen() (int, error) {
	s, err := a.value(OIDRSAKeyLen)
	if err != nil {
		return 0, at("rsaKeyLen", err)
	}
	n, ok := pkix.ReadInt(&s, asn1.INTEGER)
	if !ok || !s.Empty() || n < 1 || n > 1<<30 {
		return 0, malformed("rsaKeyLen")
	}
	return int(n), nil
}
