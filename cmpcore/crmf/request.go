package crmf

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// ReadCertReqMsg takes a CertReqMsg off s.
func ReadCertReqMsg(s *cryptobyte.String) (m CertReqMsg, err error) {
	var raw, seq cryptobyte.String
	if !s.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return m, malformed("certReqMsg")
	}
	m.Raw = raw
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	if m.CertReq, err = ReadCertRequest(&seq); err != nil {
		return m, err
	}
	if m.POPO, err = readPOPO(&seq); err != nil {
		return m, at("popo", err)
	}
	if seq.PeekASN1Tag(asn1.SEQUENCE) {
		if m.RegInfo, err = ReadControls(&seq); err != nil {
			return m, at("regInfo", err)
		}
	}
	if !seq.Empty() {
		return m, unexpected(seq)
	}
	return m, nil
}

// Add appends the CertReqMsg, from its fields.
func (m *CertReqMsg) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.CertReq.Add(b)
		if m.POPO != nil {
			m.POPO.add(b)
		}
		if len(m.RegInfo) > 0 {
			AddControls(b, m.RegInfo)
		}
	})
}

// ReadCertRequest takes a CertRequest off s.
func ReadCertRequest(s *cryptobyte.String) (r CertRequest, err error) {
	var raw, seq cryptobyte.String
	if !s.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return r, malformed("certReq")
	}
	r.Raw = raw
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	var ok bool
	if r.CertReqID, ok = pkix.ReadInteger(&seq, asn1.INTEGER); !ok {
		return r, malformed("certReq: certReqId")
	}
	if r.Template, err = ReadCertTemplate(&seq); err != nil {
		return r, at("certReq: certTemplate", err)
	}
	if seq.PeekASN1Tag(asn1.SEQUENCE) {
		if r.Controls, err = ReadControls(&seq); err != nil {
			return r, at("certReq: controls", err)
		}
	}
	if !seq.Empty() {
		return r, at("certReq", unexpected(seq))
	}
	return r, nil
}

// Add appends the CertRequest, from its fields.
func (r *CertRequest) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AddInteger(b, asn1.INTEGER, r.CertReqID)
		r.Template.Add(b)
		if len(r.Controls) > 0 {
			AddControls(b, r.Controls)
		}
	})
}

// Bytes gives the DER of the fields: what a signature POPO covers.
func (r *CertRequest) Bytes() ([]byte, error) {
	var b cryptobyte.Builder
	r.Add(&b)
	return b.Bytes()
}

// ReadControls takes a SEQUENCE OF at least one Attribute off s: controls,
// regInfo, or the keySpec of a CertReqTemplate.
func ReadControls(s *cryptobyte.String) ([]Attribute, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, errForm
	}
	if seq.Empty() {
		return nil, errEmpty
	}
	var list []Attribute
	for !seq.Empty() {
		a, ok := readAttribute(&seq)
		if !ok {
			return nil, errForm
		}
		list = append(list, a)
	}
	return list, nil
}

// AddControls appends a SEQUENCE OF Attribute.
func AddControls(b *cryptobyte.Builder, list []Attribute) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i := range list {
			list[i].add(b)
		}
	})
}

func readAttribute(s *cryptobyte.String) (a Attribute, ok bool) {
	var seq, v cryptobyte.String
	var tag asn1.Tag
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return a, false
	}
	if a.Type, ok = pkix.ReadOID(&seq); !ok {
		return a, false
	}
	ok = seq.ReadAnyASN1Element(&v, &tag) && seq.Empty()
	a.Value = v
	return a, ok
}

func (a *Attribute) add(b *cryptobyte.Builder) {
	if len(a.Value) == 0 {
		b.SetError(at("attribute "+a.Type.String()+": value", errMissing))
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		a.Type.Add(b)
		b.AddBytes(a.Value)
	})
}

// Find looks for the first attribute of a type.
func Find(list []Attribute, typ pkix.OID) (Attribute, bool) {
	for _, a := range list {
		if a.Type == typ {
			return a, true
		}
	}
	return Attribute{}, false
}
