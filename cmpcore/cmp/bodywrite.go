package cmp

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// addBody appends the PKIBody with its outer tag.
func addBody(b *cryptobyte.Builder, body Body) {
	if body == nil {
		b.SetError(at("body", errMissing))
		return
	}
	typ := body.Type()
	if typ < TypeIR || typ > TypePollRep {
		b.SetError(fmt.Errorf("there is no %s", typ))
		return
	}
	b.AddASN1(explicit(uint8(typ)), body.add)
}

// kind guards the types that stand for several bodies.
func kind(b *cryptobyte.Builder, is BodyType, allowed ...BodyType) {
	if !slices.Contains(allowed, is) {
		b.SetError(fmt.Errorf("%s does not have this content", is))
	}
}

func addFreeText(b *cryptobyte.Builder, where string, text []string) {
	addList(b, where, 1, text, func(b *cryptobyte.Builder, t *string) { pkix.AddUTF8(b, *t) })
}

func addInfo(b *cryptobyte.Builder, i *InfoTypeAndValue) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		i.Type.Add(b)
		b.AddBytes(i.Value)
	})
}

func (m *CertReqMessages) add(b *cryptobyte.Builder) {
	kind(b, m.Kind, TypeIR, TypeCR, TypeKUR, TypeKRR, TypeCCR)
	addList(b, "requests", 1, m.Requests, func(b *cryptobyte.Builder, r *crmf.CertReqMsg) { r.Add(b) })
}

func (m *CertRepMessage) add(b *cryptobyte.Builder) {
	kind(b, m.Kind, TypeIP, TypeCP, TypeKUP, TypeCCP)
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if len(m.CAPubs) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addCerts(b, "caPubs", m.CAPubs) })
		}
		addList(b, "response", 0, m.Responses, func(b *cryptobyte.Builder, r *CertResponse) { r.add(b) })
	})
}

func (r *CertResponse) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AddInteger(b, asn1.INTEGER, r.CertReqID)
		r.Status.add(b)
		if r.CertifiedKeyPair != nil {
			addCertifiedKeyPair(b, r.CertifiedKeyPair)
		}
		if r.RspInfo != nil {
			pkix.AddElement(b, asn1.OCTET_STRING, r.RspInfo)
		}
	})
}

func addCertifiedKeyPair(b *cryptobyte.Builder, k *CertifiedKeyPair) {
	if (k.Certificate == nil) == (k.EncryptedCert == nil) {
		b.SetError(errors.New("certifiedKeyPair: exactly one of certificate and encryptedCert must be set"))
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if k.Certificate != nil {
			addTaggedCert(b, 0, k.Certificate)
		} else {
			b.AddASN1(explicit(1), k.EncryptedCert.Add)
		}
		if k.PrivateKey != nil {
			b.AddASN1(explicit(0), k.PrivateKey.Add)
		}
		if k.PublicationInfo != nil {
			b.AddASN1(explicit(1), k.PublicationInfo.Add)
		}
	})
}

func addTaggedCert(b *cryptobyte.Builder, n uint8, cert []byte) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { addCert(b, &cert) })
}

func (p *P10CR) add(b *cryptobyte.Builder) { p.Request.Add(b) }

func (m *POPODecKeyChallenge) add(b *cryptobyte.Builder) {
	addList(b, "challenges", 0, m.Challenges, func(b *cryptobyte.Builder, c *Challenge) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if !c.OWF.IsZero() {
				c.OWF.Add(b)
			}
			pkix.AddElement(b, asn1.OCTET_STRING, c.Witness)
			pkix.AddElement(b, asn1.OCTET_STRING, c.Challenge)
			if c.EncryptedRand != nil {
				addTaggedCert(b, 0, c.EncryptedRand)
			}
		})
	})
}

func addInteger(b *cryptobyte.Builder, v **big.Int) { pkix.AddInteger(b, asn1.INTEGER, *v) }

func (m *POPODecKeyResponse) add(b *cryptobyte.Builder) {
	addList(b, "responses", 0, m.Responses, addInteger)
}

func (m *KeyRecRepContent) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.Status.add(b)
		if m.NewSigCert != nil {
			addTaggedCert(b, 0, m.NewSigCert)
		}
		if len(m.CACerts) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addCerts(b, "caCerts", m.CACerts) })
		}
		if len(m.KeyPairHist) > 0 {
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
				addList(b, "keyPairHist", 1, m.KeyPairHist, addCertifiedKeyPair)
			})
		}
	})
}

func (m *RevReqContent) add(b *cryptobyte.Builder) {
	addList(b, "details", 0, m.Details, func(b *cryptobyte.Builder, d *RevDetails) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			d.CertDetails.Add(b)
			addOptionalExtensions(b, d.CRLEntryDetails)
		})
	})
}

func addOptionalExtensions(b *cryptobyte.Builder, list []pkix.Extension) {
	if len(list) > 0 {
		pkix.AddExtensions(b, asn1.SEQUENCE, list)
	}
}

func (m *RevRepContent) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addList(b, "status", 1, m.Status, func(b *cryptobyte.Builder, i *PKIStatusInfo) { i.add(b) })
		if len(m.RevCerts) > 0 {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				addList(b, "revCerts", 1, m.RevCerts, func(b *cryptobyte.Builder, id *crmf.CertID) { id.Add(b) })
			})
		}
		if len(m.CRLs) > 0 {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addCerts(b, "crls", m.CRLs) })
		}
	})
}

func (m *CAKeyUpdAnn) add(b *cryptobyte.Builder) {
	if m.RootForm {
		b.AddASN1(explicit(0), m.addRootUpdate)
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addCert(b, &m.OldWithNew)
		addCert(b, &m.NewWithOld)
		addCert(b, &m.NewWithNew)
	})
}

// addRootUpdate appends RootCaKeyUpdateContent.
func (m *CAKeyUpdAnn) addRootUpdate(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addCert(b, &m.NewWithNew)
		if m.NewWithOld != nil {
			addTaggedCert(b, 0, m.NewWithOld)
		}
		if m.OldWithNew != nil {
			addTaggedCert(b, 1, m.OldWithNew)
		}
	})
}

func (m *CertAnn) add(b *cryptobyte.Builder) { addCert(b, &m.Certificate) }

func (m *RevAnn) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(m.Status))
		m.CertID.Add(b)
		pkix.AddExactTime(b, m.WillBeRevokedAt)
		pkix.AddExactTime(b, m.BadSince)
		addOptionalExtensions(b, m.CRLDetails)
	})
}

func (m *CRLAnn) add(b *cryptobyte.Builder) { addList(b, "crls", 0, m.CRLs, addCert) }

func (*PKIConf) add(b *cryptobyte.Builder) { b.AddASN1NULL() }

// add writes an inner message that was received as it is: its protection
// covers those octets.
func (m *Nested) add(b *cryptobyte.Builder) {
	addList(b, "messages", 1, m.Messages, func(b *cryptobyte.Builder, inner **PKIMessage) {
		switch m := *inner; {
		case m == nil:
			b.SetError(at("nested: message", errMissing))
		case m.Raw != nil:
			b.AddBytes(m.Raw)
		default:
			m.add(b)
		}
	})
}

func (m *GenMsg) add(b *cryptobyte.Builder) {
	kind(b, m.Kind, TypeGenM, TypeGenP)
	addList(b, "infos", 0, m.Infos, addInfo)
}

func (m *ErrorMsg) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.Status.add(b)
		if m.ErrorCode != nil {
			pkix.AddInteger(b, asn1.INTEGER, m.ErrorCode)
		}
		if len(m.ErrorDetails) > 0 {
			addFreeText(b, "errorDetails", m.ErrorDetails)
		}
	})
}

func (m *CertConfirm) add(b *cryptobyte.Builder) {
	addList(b, "statuses", 0, m.Statuses, func(b *cryptobyte.Builder, c *CertStatus) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			pkix.AddElement(b, asn1.OCTET_STRING, c.CertHash)
			pkix.AddInteger(b, asn1.INTEGER, c.CertReqID)
			if c.StatusInfo != nil {
				c.StatusInfo.add(b)
			}
			if !c.HashAlg.IsZero() {
				b.AddASN1(explicit(0), c.HashAlg.Add)
			}
		})
	})
}

func (m *PollReq) add(b *cryptobyte.Builder) {
	addList(b, "requests", 0, m.CertReqIDs, func(b *cryptobyte.Builder, id **big.Int) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { addInteger(b, id) })
	})
}

func (m *PollRep) add(b *cryptobyte.Builder) {
	addList(b, "items", 0, m.Items, func(b *cryptobyte.Builder, i *PollRepItem) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			pkix.AddInteger(b, asn1.INTEGER, i.CertReqID)
			b.AddASN1Int64(i.CheckAfter)
			if len(i.Reason) > 0 {
				addFreeText(b, "reason", i.Reason)
			}
		})
	})
}
