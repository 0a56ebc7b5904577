package cmp

import (
	"errors"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Types of [InfoTypeAndValue]: id-it 1 to 24 of RFC 9810 section 5.3.19. The
// numbers 8 and 9 were never given out.
var (
	OIDCAProtEncCert     = pkix.MustOID("1.3.6.1.5.5.7.4.1")
	OIDSignKeyPairTypes  = pkix.MustOID("1.3.6.1.5.5.7.4.2")
	OIDEncKeyPairTypes   = pkix.MustOID("1.3.6.1.5.5.7.4.3")
	OIDPreferredSymmAlg  = pkix.MustOID("1.3.6.1.5.5.7.4.4")
	OIDCAKeyUpdateInfo   = pkix.MustOID("1.3.6.1.5.5.7.4.5")
	OIDCurrentCRL        = pkix.MustOID("1.3.6.1.5.5.7.4.6")
	OIDUnsupportedOIDs   = pkix.MustOID("1.3.6.1.5.5.7.4.7")
	OIDKeyPairParamReq   = pkix.MustOID("1.3.6.1.5.5.7.4.10")
	OIDKeyPairParamRep   = pkix.MustOID("1.3.6.1.5.5.7.4.11")
	OIDRevPassphrase     = pkix.MustOID("1.3.6.1.5.5.7.4.12")
	OIDImplicitConfirm   = pkix.MustOID("1.3.6.1.5.5.7.4.13")
	OIDConfirmWaitTime   = pkix.MustOID("1.3.6.1.5.5.7.4.14")
	OIDOrigPKIMessage    = pkix.MustOID("1.3.6.1.5.5.7.4.15")
	OIDSuppLangTags      = pkix.MustOID("1.3.6.1.5.5.7.4.16")
	OIDCACerts           = pkix.MustOID("1.3.6.1.5.5.7.4.17")
	OIDRootCAKeyUpdate   = pkix.MustOID("1.3.6.1.5.5.7.4.18")
	OIDCertReqTemplate   = pkix.MustOID("1.3.6.1.5.5.7.4.19")
	OIDRootCACert        = pkix.MustOID("1.3.6.1.5.5.7.4.20")
	OIDCertProfile       = pkix.MustOID("1.3.6.1.5.5.7.4.21")
	OIDCRLStatusList     = pkix.MustOID("1.3.6.1.5.5.7.4.22")
	OIDCRLs              = pkix.MustOID("1.3.6.1.5.5.7.4.23")
	OIDKEMCiphertextInfo = pkix.MustOID("1.3.6.1.5.5.7.4.24")
)

var infoNames = map[pkix.OID]string{
	OIDCAProtEncCert: "caProtEncCert", OIDSignKeyPairTypes: "signKeyPairTypes",
	OIDEncKeyPairTypes: "encKeyPairTypes", OIDPreferredSymmAlg: "preferredSymmAlg",
	OIDCAKeyUpdateInfo: "caKeyUpdateInfo", OIDCurrentCRL: "currentCRL",
	OIDUnsupportedOIDs: "unsupportedOIDs", OIDKeyPairParamReq: "keyPairParamReq",
	OIDKeyPairParamRep: "keyPairParamRep", OIDRevPassphrase: "revPassphrase",
	OIDImplicitConfirm: "implicitConfirm", OIDConfirmWaitTime: "confirmWaitTime",
	OIDOrigPKIMessage: "origPKIMessage", OIDSuppLangTags: "suppLangTags",
	OIDCACerts: "caCerts", OIDRootCAKeyUpdate: "rootCaKeyUpdate",
	OIDCertReqTemplate: "certReqTemplate", OIDRootCACert: "rootCaCert",
	OIDCertProfile: "certProfile", OIDCRLStatusList: "crlStatusList",
	OIDCRLs: "crls", OIDKEMCiphertextInfo: "kemCiphertextInfo",
}

// InfoName is the name of a type in RFC 9810, or its dotted form.
func InfoName(typ pkix.OID) string {
	if name, ok := infoNames[typ]; ok {
		return name
	}
	return typ.String()
}

// FindInfo looks for the first entry of a type.
func FindInfo(list []InfoTypeAndValue, typ pkix.OID) (InfoTypeAndValue, bool) {
	for _, i := range list {
		if i.Type == typ {
			return i, true
		}
	}
	return InfoTypeAndValue{}, false
}

var errInfoType = errors.New("info is of another type")

func newInfo(typ pkix.OID, add func(*cryptobyte.Builder)) (InfoTypeAndValue, error) {
	var b cryptobyte.Builder
	add(&b)
	v, err := b.Bytes()
	if err != nil {
		return InfoTypeAndValue{}, at(InfoName(typ), err)
	}
	return InfoTypeAndValue{Type: typ, Value: v}, nil
}

// read checks the type and reads the value to its end.
func (i InfoTypeAndValue) read(typ pkix.OID, read func(*cryptobyte.String) error) error {
	err := errInfoType
	if i.Type == typ {
		err = errMissing
		if i.Value != nil {
			s := cryptobyte.String(i.Value)
			err = whole(&s, read)
		}
	}
	if err != nil {
		return at(InfoName(typ), err)
	}
	return nil
}

func (i InfoTypeAndValue) cert(typ pkix.OID) (cert []byte, err error) {
	err = i.read(typ, func(s *cryptobyte.String) (err error) {
		cert, err = readCert(s)
		return err
	})
	return cert, err
}

func (i InfoTypeAndValue) certs(typ pkix.OID) ([][]byte, error) {
	return readInfoList(i, typ, 1, readCert)
}

func readInfoList[T any](i InfoTypeAndValue, typ pkix.OID, atLeast int, read func(*cryptobyte.String) (T, error)) (list []T, err error) {
	err = i.read(typ, func(s *cryptobyte.String) (err error) {
		list, err = readList(s, atLeast, Limits{}.withDefaults().CertRequests, read)
		return err
	})
	return list, err
}

func newCertInfo(typ pkix.OID, cert []byte) (InfoTypeAndValue, error) {
	return newInfo(typ, func(b *cryptobyte.Builder) { addCert(b, &cert) })
}

func newCertsInfo(typ pkix.OID, certs [][]byte) (InfoTypeAndValue, error) {
	return newInfo(typ, func(b *cryptobyte.Builder) { addCerts(b, "value", certs) })
}

// NewCAProtEncCert holds the certificate to which secrets for the CA are
// encrypted, such as keys to be archived.
func NewCAProtEncCert(cert []byte) (InfoTypeAndValue, error) {
	return newCertInfo(OIDCAProtEncCert, cert)
}

// CAProtEncCert reads the value of caProtEncCert.
func (i InfoTypeAndValue) CAProtEncCert() ([]byte, error) { return i.cert(OIDCAProtEncCert) }

func readAlgorithm(s *cryptobyte.String) (pkix.AlgorithmIdentifier, error) {
	a, ok := pkix.ReadAlgorithm(s)
	if !ok {
		return a, errForm
	}
	return a, nil
}

func addAlgorithm(b *cryptobyte.Builder, a *pkix.AlgorithmIdentifier) { a.Add(b) }

func newAlgorithmsInfo(typ pkix.OID, algs []pkix.AlgorithmIdentifier) (InfoTypeAndValue, error) {
	return newInfo(typ, func(b *cryptobyte.Builder) { addList(b, "value", 1, algs, addAlgorithm) })
}

func (i InfoTypeAndValue) algorithm(typ pkix.OID) (a pkix.AlgorithmIdentifier, err error) {
	err = i.read(typ, func(s *cryptobyte.String) (err error) {
		a, err = readAlgorithm(s)
		return err
	})
	return a, err
}

// NewSignKeyPairTypes lists the types of signature keys a CA certifies.
func NewSignKeyPairTypes(algs []pkix.AlgorithmIdentifier) (InfoTypeAndValue, error) {
	return newAlgorithmsInfo(OIDSignKeyPairTypes, algs)
}

// SignKeyPairTypes reads the value of signKeyPairTypes.
func (i InfoTypeAndValue) SignKeyPairTypes() ([]pkix.AlgorithmIdentifier, error) {
	return readInfoList(i, OIDSignKeyPairTypes, 1, readAlgorithm)
}

// NewEncKeyPairTypes lists the types of encryption keys a CA certifies.
func NewEncKeyPairTypes(algs []pkix.AlgorithmIdentifier) (InfoTypeAndValue, error) {
	return newAlgorithmsInfo(OIDEncKeyPairTypes, algs)
}

// EncKeyPairTypes reads the value of encKeyPairTypes.
func (i InfoTypeAndValue) EncKeyPairTypes() ([]pkix.AlgorithmIdentifier, error) {
	return readInfoList(i, OIDEncKeyPairTypes, 1, readAlgorithm)
}

// NewPreferredSymmAlg names the symmetric algorithm a CA prefers.
func NewPreferredSymmAlg(alg pkix.AlgorithmIdentifier) (InfoTypeAndValue, error) {
	return newInfo(OIDPreferredSymmAlg, alg.Add)
}

// PreferredSymmAlg reads the value of preferredSymmAlg.
func (i InfoTypeAndValue) PreferredSymmAlg() (pkix.AlgorithmIdentifier, error) {
	return i.algorithm(OIDPreferredSymmAlg)
}

// NewCAKeyUpdateInfo holds the three certificates of a key update, in the form
// of version 2 (deprecated; see [NewRootCAKeyUpdate]).
func NewCAKeyUpdateInfo(u CAKeyUpdAnn) (InfoTypeAndValue, error) {
	u.RootForm = false
	return newInfo(OIDCAKeyUpdateInfo, u.add)
}

// CAKeyUpdateInfo reads the value of caKeyUpdateInfo.
func (i InfoTypeAndValue) CAKeyUpdateInfo() (u CAKeyUpdAnn, err error) {
	err = i.read(OIDCAKeyUpdateInfo, func(s *cryptobyte.String) (err error) {
		if !s.PeekASN1Tag(asn1.SEQUENCE) {
			return errForm
		}
		u, err = readCAKeyUpdate(s)
		return err
	})
	return u, err
}

// NewCurrentCRL holds a CRL.
func NewCurrentCRL(crl []byte) (InfoTypeAndValue, error) { return newCertInfo(OIDCurrentCRL, crl) }

// CurrentCRL reads the value of currentCRL.
func (i InfoTypeAndValue) CurrentCRL() ([]byte, error) { return i.cert(OIDCurrentCRL) }

func readOID(s *cryptobyte.String) (pkix.OID, error) {
	o, ok := pkix.ReadOID(s)
	if !ok {
		return "", errForm
	}
	return o, nil
}

// NewUnsupportedOIDs lists types of a genm that have no answer.
func NewUnsupportedOIDs(oids []pkix.OID) (InfoTypeAndValue, error) {
	return newInfo(OIDUnsupportedOIDs, func(b *cryptobyte.Builder) {
		addList(b, "value", 1, oids, func(b *cryptobyte.Builder, o *pkix.OID) { o.Add(b) })
	})
}

// UnsupportedOIDs reads the value of unsupportedOIDs.
func (i InfoTypeAndValue) UnsupportedOIDs() ([]pkix.OID, error) {
	return readInfoList(i, OIDUnsupportedOIDs, 1, readOID)
}

// NewKeyPairParamReq asks for the parameters of a key type.
func NewKeyPairParamReq(alg pkix.OID) (InfoTypeAndValue, error) {
	return newInfo(OIDKeyPairParamReq, alg.Add)
}

// KeyPairParamReq reads the value of keyPairParamReq.
func (i InfoTypeAndValue) KeyPairParamReq() (o pkix.OID, err error) {
	err = i.read(OIDKeyPairParamReq, func(s *cryptobyte.String) (err error) {
		o, err = readOID(s)
		return err
	})
	return o, err
}

// NewKeyPairParamRep gives the parameters of a key type.
func NewKeyPairParamRep(alg pkix.AlgorithmIdentifier) (InfoTypeAndValue, error) {
	return newInfo(OIDKeyPairParamRep, alg.Add)
}

// KeyPairParamRep reads the value of keyPairParamRep.
func (i InfoTypeAndValue) KeyPairParamRep() (pkix.AlgorithmIdentifier, error) {
	return i.algorithm(OIDKeyPairParamRep)
}

// NewRevPassphrase holds an encrypted passphrase for a later revocation.
func NewRevPassphrase(k crmf.EncryptedKey) (InfoTypeAndValue, error) {
	return newInfo(OIDRevPassphrase, k.Add)
}

// RevPassphrase reads the value of revPassphrase.
func (i InfoTypeAndValue) RevPassphrase() (k crmf.EncryptedKey, err error) {
	err = i.read(OIDRevPassphrase, func(s *cryptobyte.String) (err error) {
		k, err = crmf.ReadEncryptedKey(s)
		return err
	})
	return k, err
}

// NewImplicitConfirm asks for, or grants, that no certConf is sent.
func NewImplicitConfirm() InfoTypeAndValue {
	return InfoTypeAndValue{Type: OIDImplicitConfirm, Value: pkix.Null}
}

// ImplicitConfirm checks the value of implicitConfirm: NULL, or absent, as some
// peers have it.
func (i InfoTypeAndValue) ImplicitConfirm() error {
	if i.Type == OIDImplicitConfirm && (i.Value == nil || string(i.Value) == string(pkix.Null)) {
		return nil
	}
	return malformed(InfoName(OIDImplicitConfirm))
}

// NewConfirmWaitTime says until when the CA waits for a certConf. Fractions of
// a second are cut off.
func NewConfirmWaitTime(t time.Time) (InfoTypeAndValue, error) {
	return newInfo(OIDConfirmWaitTime, func(b *cryptobyte.Builder) { pkix.AddGeneralizedTime(b, t) })
}

// ConfirmWaitTime reads the value of confirmWaitTime.
func (i InfoTypeAndValue) ConfirmWaitTime() (t time.Time, err error) {
	err = i.read(OIDConfirmWaitTime, func(s *cryptobyte.String) error {
		var ok bool
		if t, ok = pkix.ReadExactTime(s); !ok {
			return errForm
		}
		return nil
	})
	return t, err
}

// NewOrigPKIMessage holds the messages that an RA got and changed.
func NewOrigPKIMessage(messages []*PKIMessage) (InfoTypeAndValue, error) {
	return newInfo(OIDOrigPKIMessage, (&Nested{Messages: messages}).add)
}

// OrigPKIMessage reads the value of origPKIMessage within the limits.
func (i InfoTypeAndValue) OrigPKIMessage(lim Limits) (list []*PKIMessage, err error) {
	err = i.read(OIDOrigPKIMessage, func(s *cryptobyte.String) error {
		p := parser{lim: lim.withDefaults()}
		n, err := p.nested(s)
		if err == nil {
			list = n.Messages
		}
		return err
	})
	return list, err
}

func (i InfoTypeAndValue) texts(typ pkix.OID, atLeast int) ([]string, error) {
	return readInfoList(i, typ, atLeast, readText)
}

func newTexts(typ pkix.OID, texts []string, atLeast int) (InfoTypeAndValue, error) {
	return newInfo(typ, func(b *cryptobyte.Builder) {
		addList(b, "value", atLeast, texts, func(b *cryptobyte.Builder, t *string) { pkix.AddUTF8(b, *t) })
	})
}

// NewSuppLangTags lists the languages for texts, as of RFC 5646, best first.
func NewSuppLangTags(tags []string) (InfoTypeAndValue, error) {
	return newTexts(OIDSuppLangTags, tags, 0)
}

// SuppLangTags reads the value of suppLangTags.
func (i InfoTypeAndValue) SuppLangTags() ([]string, error) { return i.texts(OIDSuppLangTags, 0) }

// NewCACerts holds certificates of CAs.
func NewCACerts(certs [][]byte) (InfoTypeAndValue, error) { return newCertsInfo(OIDCACerts, certs) }

// CACerts reads the value of caCerts.
func (i InfoTypeAndValue) CACerts() ([][]byte, error) { return i.certs(OIDCACerts) }

// NewRootCAKeyUpdate holds a new root certificate, and where they are set the
// two that link it with the old one.
func NewRootCAKeyUpdate(u CAKeyUpdAnn) (InfoTypeAndValue, error) {
	return newInfo(OIDRootCAKeyUpdate, u.addRootUpdate)
}

// RootCAKeyUpdate reads the value of rootCaKeyUpdate.
func (i InfoTypeAndValue) RootCAKeyUpdate() (u CAKeyUpdAnn, err error) {
	err = i.read(OIDRootCAKeyUpdate, func(s *cryptobyte.String) (err error) {
		u, err = readRootUpdate(s)
		return err
	})
	return u, err
}

// CertReqTemplate says what a request should look like (RFC 9810 section
// 5.3.19.16).
type CertReqTemplate struct {
	Template crmf.CertTemplate // without a public key
	KeySpec  []crmf.Attribute  // algId and rsaKeyLen controls; nil where absent
}

// NewCertReqTemplate holds a template for requests.
func NewCertReqTemplate(t CertReqTemplate) (InfoTypeAndValue, error) {
	return newInfo(OIDCertReqTemplate, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			t.Template.Add(b)
			if len(t.KeySpec) > 0 {
				crmf.AddControls(b, t.KeySpec)
			}
		})
	})
}

// CertReqTemplate reads the value of certReqTemplate.
func (i InfoTypeAndValue) CertReqTemplate() (t CertReqTemplate, err error) {
	err = i.read(OIDCertReqTemplate, func(s *cryptobyte.String) error {
		return sequence(s, func(s *cryptobyte.String) (err error) {
			if t.Template, err = crmf.ReadCertTemplate(s); err != nil {
				return at("certTemplate", err)
			}
			if s.PeekASN1Tag(asn1.SEQUENCE) {
				if t.KeySpec, err = crmf.ReadControls(s); err != nil {
					return at("keySpec", err)
				}
			}
			return nil
		})
	})
	return t, err
}

// NewRootCACert holds the root certificate to which an update is wanted.
func NewRootCACert(cert []byte) (InfoTypeAndValue, error) { return newCertInfo(OIDRootCACert, cert) }

// RootCACert reads the value of rootCaCert.
func (i InfoTypeAndValue) RootCACert() ([]byte, error) { return i.cert(OIDRootCACert) }

// NewCertProfile names certificate profiles, one for each request or one in all.
func NewCertProfile(names []string) (InfoTypeAndValue, error) {
	return newTexts(OIDCertProfile, names, 1)
}

// CertProfile reads the value of certProfile.
func (i InfoTypeAndValue) CertProfile() ([]string, error) { return i.texts(OIDCertProfile, 1) }

// NewCRLs holds CRLs.
func NewCRLs(crls [][]byte) (InfoTypeAndValue, error) { return newCertsInfo(OIDCRLs, crls) }

// CRLs reads the value of crls.
func (i InfoTypeAndValue) CRLs() ([][]byte, error) { return i.certs(OIDCRLs) }

// KEMCiphertextInfo of RFC 9810 section 5.1.1.5.
type KEMCiphertextInfo struct {
	KEM        pkix.AlgorithmIdentifier
	Ciphertext []byte
}

// NewKEMCiphertextInfo holds a KEM ciphertext.
func NewKEMCiphertextInfo(k KEMCiphertextInfo) (InfoTypeAndValue, error) {
	return newInfo(OIDKEMCiphertextInfo, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			k.KEM.Add(b)
			pkix.AddElement(b, asn1.OCTET_STRING, k.Ciphertext)
		})
	})
}

// KEMCiphertextInfo reads the value of kemCiphertextInfo. A request for a
// ciphertext has no value.
func (i InfoTypeAndValue) KEMCiphertextInfo() (k KEMCiphertextInfo, err error) {
	err = i.read(OIDKEMCiphertextInfo, func(s *cryptobyte.String) error {
		return sequence(s, func(s *cryptobyte.String) error {
			var ok bool
			if k.KEM, ok = pkix.ReadAlgorithm(s); !ok {
				return malformed("kem")
			}
			if k.Ciphertext, ok = readOctets(s); !ok {
				return malformed("ct")
			}
			return nil
		})
	})
	return k, err
}
