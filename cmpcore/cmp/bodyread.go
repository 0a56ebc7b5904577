package cmp

import (
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

func (p *parser) body(raw cryptobyte.String, tag asn1.Tag) (body Body, err error) {
	typ := BodyType(tag &^ explicit(0))
	if typ > TypePollRep {
		return nil, fmt.Errorf("type %d, which RFC 9810 does not have", int(typ))
	}
	var c cryptobyte.String
	raw.ReadASN1(&c, tag)
	err = whole(&c, func(c *cryptobyte.String) error {
		body, err = p.content(typ, c)
		return err
	})
	if err != nil {
		return nil, at(typ.String(), err)
	}
	return body, nil
}

func (p *parser) content(typ BodyType, c *cryptobyte.String) (_ Body, err error) {
	switch typ {
	case TypeIR, TypeCR, TypeKUR, TypeKRR, TypeCCR:
		b := &CertReqMessages{Kind: typ}
		b.Requests, err = readList(c, 1, p.lim.CertRequests, crmf.ReadCertReqMsg)
		return b, err
	case TypeIP, TypeCP, TypeKUP, TypeCCP:
		return p.certRep(typ, c)
	case TypeP10CR:
		b := new(P10CR)
		b.Request, err = pkcs10.Read(c)
		return b, err
	case TypePOPDecC:
		b := new(POPODecKeyChallenge)
		b.Challenges, err = readList(c, 0, p.lim.CertRequests, readChallenge)
		return b, err
	case TypePOPDecR:
		b := new(POPODecKeyResponse)
		b.Responses, err = readList(c, 0, p.lim.CertRequests, readInteger)
		return b, err
	case TypeKRP:
		return p.keyRecRep(c)
	case TypeRR:
		b := new(RevReqContent)
		b.Details, err = readList(c, 0, p.lim.CertRequests, readRevDetails)
		return b, err
	case TypeRP:
		return p.revRep(c)
	case TypeCKUAnn:
		b, err := readCAKeyUpdate(c)
		return &b, err
	case TypeCAnn:
		b := new(CertAnn)
		b.Certificate, err = readCert(c)
		return b, err
	case TypeRAnn:
		return readRevAnn(c)
	case TypeCRLAnn:
		b := new(CRLAnn)
		b.CRLs, err = readList(c, 0, p.lim.ExtraCerts, readCert)
		return b, err
	case TypePKIConf:
		var null cryptobyte.String
		if !c.ReadASN1(&null, asn1.NULL) || !null.Empty() {
			return nil, errForm
		}
		return new(PKIConf), nil
	case TypeNested:
		return p.nested(c)
	case TypeGenM, TypeGenP:
		b := &GenMsg{Kind: typ}
		b.Infos, err = readList(c, 0, p.lim.GeneralInfo, readInfo)
		return b, err
	case TypeError:
		return p.errorMsg(c)
	case TypeCertConf:
		b := new(CertConfirm)
		b.Statuses, err = readList(c, 0, p.lim.CertRequests, p.certStatus)
		return b, err
	case TypePollReq:
		b := new(PollReq)
		b.CertReqIDs, err = readList(c, 0, p.lim.CertRequests, readPollReq)
		return b, err
	default: // TypePollRep
		b := new(PollRep)
		b.Items, err = readList(c, 0, p.lim.CertRequests, p.pollRep)
		return b, err
	}
}

// sequence takes a SEQUENCE off s and reads it to its end.
func sequence(s *cryptobyte.String, read func(*cryptobyte.String) error) error {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return errForm
	}
	return whole(&seq, read)
}

func (p *parser) certRep(typ BodyType, s *cryptobyte.String) (*CertRepMessage, error) {
	b := &CertRepMessage{Kind: typ}
	return b, sequence(s, func(s *cryptobyte.String) error {
		err := inside(s, 1, "caPubs", func(c *cryptobyte.String) (err error) {
			b.CAPubs, err = readList(c, 1, p.lim.ExtraCerts, readCert)
			return err
		})
		if err != nil {
			return err
		}
		if b.Responses, err = readList(s, 0, p.lim.CertRequests, p.certResponse); err != nil {
			return at("response", err)
		}
		return nil
	})
}

func (p *parser) certResponse(s *cryptobyte.String) (r CertResponse, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if r.CertReqID, err = readInteger(s); err != nil {
			return at("certReqId", err)
		}
		if r.Status, err = p.statusInfo(s); err != nil {
			return at("status", err)
		}
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			k, err := readCertifiedKeyPair(s)
			if err != nil {
				return at("certifiedKeyPair", err)
			}
			r.CertifiedKeyPair = &k
		}
		if s.PeekASN1Tag(asn1.OCTET_STRING) {
			r.RspInfo, _ = readOctets(s)
		}
		return nil
	})
	return r, err
}

func readCertifiedKeyPair(s *cryptobyte.String) (k CertifiedKeyPair, err error) {
	err = sequence(s, func(s *cryptobyte.String) error {
		switch {
		case s.PeekASN1Tag(explicit(0)):
			if err := inside(s, 0, "certificate", func(c *cryptobyte.String) (err error) {
				k.Certificate, err = readCert(c)
				return err
			}); err != nil {
				return err
			}
		case s.PeekASN1Tag(explicit(1)):
			if k.EncryptedCert, err = readEncryptedKey(s, 1, "encryptedCert"); err != nil {
				return err
			}
		default:
			return at("certOrEncCert", errMissing)
		}
		if k.PrivateKey, err = readEncryptedKey(s, 0, "privateKey"); err != nil {
			return err
		}
		return inside(s, 1, "publicationInfo", func(c *cryptobyte.String) error {
			info, err := crmf.ReadPKIPublicationInfo(c)
			k.PublicationInfo = &info
			return err
		})
	})
	return k, err
}

func readEncryptedKey(s *cryptobyte.String, n uint8, where string) (key *crmf.EncryptedKey, err error) {
	err = inside(s, n, where, func(c *cryptobyte.String) error {
		k, err := crmf.ReadEncryptedKey(c)
		key = &k
		return err
	})
	return key, err
}

func readChallenge(s *cryptobyte.String) (c Challenge, err error) {
	err = sequence(s, func(s *cryptobyte.String) error {
		ok := true
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			if c.OWF, ok = pkix.ReadAlgorithm(s); !ok {
				return malformed("owf")
			}
		}
		if c.Witness, ok = readOctets(s); !ok {
			return malformed("witness")
		}
		if c.Challenge, ok = readOctets(s); !ok {
			return malformed("challenge")
		}
		return inside(s, 0, "encryptedRand", func(s *cryptobyte.String) (err error) {
			c.EncryptedRand, err = readCert(s)
			return err
		})
	})
	return c, err
}

func readInteger(s *cryptobyte.String) (v *big.Int, err error) {
	v, ok := pkix.ReadInteger(s, asn1.INTEGER)
	if !ok {
		return nil, errForm
	}
	return v, nil
}

func (p *parser) keyRecRep(s *cryptobyte.String) (*KeyRecRepContent, error) {
	b := new(KeyRecRepContent)
	return b, sequence(s, func(s *cryptobyte.String) (err error) {
		if b.Status, err = p.statusInfo(s); err != nil {
			return at("status", err)
		}
		if err = inside(s, 0, "newSigCert", func(c *cryptobyte.String) (err error) {
			b.NewSigCert, err = readCert(c)
			return err
		}); err != nil {
			return err
		}
		if err = inside(s, 1, "caCerts", func(c *cryptobyte.String) (err error) {
			b.CACerts, err = readList(c, 1, p.lim.ExtraCerts, readCert)
			return err
		}); err != nil {
			return err
		}
		return inside(s, 2, "keyPairHist", func(c *cryptobyte.String) (err error) {
			b.KeyPairHist, err = readList(c, 1, p.lim.CertRequests, readCertifiedKeyPair)
			return err
		})
	})
}

func readRevDetails(s *cryptobyte.String) (d RevDetails, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if d.CertDetails, err = crmf.ReadCertTemplate(s); err != nil {
			return at("certDetails", err)
		}
		d.CRLEntryDetails, err = readOptionalExtensions(s, "crlEntryDetails")
		return err
	})
	return d, err
}

func readOptionalExtensions(s *cryptobyte.String, where string) ([]pkix.Extension, error) {
	if !s.PeekASN1Tag(asn1.SEQUENCE) {
		return nil, nil
	}
	list, ok := pkix.ReadExtensions(s)
	if !ok {
		return nil, malformed(where)
	}
	return list, nil
}

func (p *parser) revRep(s *cryptobyte.String) (*RevRepContent, error) {
	b := new(RevRepContent)
	return b, sequence(s, func(s *cryptobyte.String) (err error) {
		if b.Status, err = readList(s, 1, p.lim.CertRequests, p.statusInfo); err != nil {
			return at("status", err)
		}
		if err = inside(s, 0, "revCerts", func(c *cryptobyte.String) (err error) {
			b.RevCerts, err = readList(c, 1, p.lim.CertRequests, crmf.ReadCertID)
			return err
		}); err != nil {
			return err
		}
		return inside(s, 1, "crls", func(c *cryptobyte.String) (err error) {
			b.CRLs, err = readList(c, 1, p.lim.ExtraCerts, readCert)
			return err
		})
	})
}

// readCAKeyUpdate reads CAKeyUpdContent, a CHOICE.
func readCAKeyUpdate(s *cryptobyte.String) (b CAKeyUpdAnn, err error) {
	if s.PeekASN1Tag(explicit(0)) {
		err = inside(s, 0, "cAKeyUpdAnnV3", func(c *cryptobyte.String) (err error) {
			b, err = readRootUpdate(c)
			return err
		})
		return b, err
	}
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if b.OldWithNew, err = readCert(s); err != nil {
			return at("oldWithNew", err)
		}
		if b.NewWithOld, err = readCert(s); err != nil {
			return at("newWithOld", err)
		}
		if b.NewWithNew, err = readCert(s); err != nil {
			return at("newWithNew", err)
		}
		return nil
	})
	return b, err
}

// readRootUpdate reads RootCaKeyUpdateContent.
func readRootUpdate(s *cryptobyte.String) (b CAKeyUpdAnn, err error) {
	b.RootForm = true
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if b.NewWithNew, err = readCert(s); err != nil {
			return at("newWithNew", err)
		}
		if err = inside(s, 0, "newWithOld", func(c *cryptobyte.String) (err error) {
			b.NewWithOld, err = readCert(c)
			return err
		}); err != nil {
			return err
		}
		return inside(s, 1, "oldWithNew", func(c *cryptobyte.String) (err error) {
			b.OldWithNew, err = readCert(c)
			return err
		})
	})
	return b, err
}

func readRevAnn(s *cryptobyte.String) (*RevAnn, error) {
	b := new(RevAnn)
	return b, sequence(s, func(s *cryptobyte.String) (err error) {
		var ok bool
		if b.Status, ok = readStatus(s); !ok {
			return malformed("status")
		}
		if b.CertID, err = crmf.ReadCertID(s); err != nil {
			return at("certId", err)
		}
		if b.WillBeRevokedAt, ok = pkix.ReadExactTime(s); !ok {
			return malformed("willBeRevokedAt")
		}
		if b.BadSince, ok = pkix.ReadExactTime(s); !ok {
			return malformed("badSinceDate")
		}
		b.CRLDetails, err = readOptionalExtensions(s, "crlDetails")
		return err
	})
}

func (p *parser) nested(s *cryptobyte.String) (*Nested, error) {
	if p.depth == p.lim.NestedDepth {
		return nil, fmt.Errorf("%w: more than %d nested bodies around a message", ErrLimit, p.depth)
	}
	p.depth++
	defer func() { p.depth-- }()
	list, err := readList(s, 1, p.lim.NestedMessages, func(s *cryptobyte.String) (*PKIMessage, error) {
		m, err := p.message(s)
		if err != nil {
			return nil, innerError{err}
		}
		return m, nil
	})
	return &Nested{Messages: list}, err
}

// innerError keeps the class of an inner message's error from being taken for
// the class of the outer one.
type innerError struct{ error }

func (e innerError) Is(target error) bool { return target == ErrLimit && errors.Is(e.error, ErrLimit) }

func (p *parser) errorMsg(s *cryptobyte.String) (*ErrorMsg, error) {
	b := new(ErrorMsg)
	return b, sequence(s, func(s *cryptobyte.String) (err error) {
		if b.Status, err = p.statusInfo(s); err != nil {
			return at("pKIStatusInfo", err)
		}
		if s.PeekASN1Tag(asn1.INTEGER) {
			if b.ErrorCode, err = readInteger(s); err != nil {
				return at("errorCode", err)
			}
		}
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			if b.ErrorDetails, err = readFreeText(s, &p.lim); err != nil {
				return at("errorDetails", err)
			}
		}
		return nil
	})
}

func (p *parser) certStatus(s *cryptobyte.String) (c CertStatus, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		var ok bool
		if c.CertHash, ok = readOctets(s); !ok {
			return malformed("certHash")
		}
		if c.CertReqID, err = readInteger(s); err != nil {
			return at("certReqId", err)
		}
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			info, err := p.statusInfo(s)
			if err != nil {
				return at("statusInfo", err)
			}
			c.StatusInfo = &info
		}
		return inside(s, 0, "hashAlg", func(s *cryptobyte.String) error {
			if c.HashAlg, ok = pkix.ReadAlgorithm(s); !ok {
				return errForm
			}
			return nil
		})
	})
	return c, err
}

func readPollReq(s *cryptobyte.String) (id *big.Int, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if id, err = readInteger(s); err != nil {
			return at("certReqId", err)
		}
		return nil
	})
	return id, err
}

func (p *parser) pollRep(s *cryptobyte.String) (i PollRepItem, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		if i.CertReqID, err = readInteger(s); err != nil {
			return at("certReqId", err)
		}
		var ok bool
		if i.CheckAfter, ok = pkix.ReadInt(s, asn1.INTEGER); !ok {
			return malformed("checkAfter")
		}
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			if i.Reason, err = readFreeText(s, &p.lim); err != nil {
				return at("reason", err)
			}
		}
		return nil
	})
	return i, err
}
