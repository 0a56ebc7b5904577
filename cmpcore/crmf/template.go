package crmf

import (
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// ReadCertTemplate takes a CertTemplate off s.
func ReadCertTemplate(s *cryptobyte.String) (t CertTemplate, err error) {
	var raw, seq cryptobyte.String
	if !s.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return t, errForm
	}
	t.Raw = raw
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	ok := true
	if seq.PeekASN1Tag(prim(0)) {
		v, ok := pkix.ReadInt(&seq, prim(0))
		if !ok || int64(int(v)) != v {
			return t, malformed("version")
		}
		n := int(v)
		t.Version = &n
	}
	if seq.PeekASN1Tag(prim(1)) {
		if t.SerialNumber, ok = pkix.ReadInteger(&seq, prim(1)); !ok {
			return t, malformed("serialNumber")
		}
	}
	if seq.PeekASN1Tag(cons(2)) {
		if t.SigningAlg, ok = pkix.ReadTaggedAlgorithm(&seq, cons(2)); !ok {
			return t, malformed("signingAlg")
		}
	}
	if seq.PeekASN1Tag(cons(3)) {
		if t.Issuer, ok = readExplicitName(&seq, cons(3)); !ok {
			return t, malformed("issuer")
		}
	}
	if seq.PeekASN1Tag(cons(4)) {
		if t.Validity, ok = readValidity(&seq); !ok {
			return t, malformed("validity")
		}
	}
	if seq.PeekASN1Tag(cons(5)) {
		if t.Subject, ok = readExplicitName(&seq, cons(5)); !ok {
			return t, malformed("subject")
		}
	}
	if seq.PeekASN1Tag(cons(6)) {
		if t.PublicKey, ok = pkix.ReadTaggedSubjectPublicKeyInfo(&seq, cons(6)); !ok {
			return t, malformed("publicKey")
		}
	}
	if seq.PeekASN1Tag(prim(7)) {
		if t.IssuerUID, ok = readUID(&seq, prim(7)); !ok {
			return t, malformed("issuerUID")
		}
	}
	if seq.PeekASN1Tag(prim(8)) {
		if t.SubjectUID, ok = readUID(&seq, prim(8)); !ok {
			return t, malformed("subjectUID")
		}
	}
	if seq.PeekASN1Tag(cons(9)) {
		if t.Extensions, ok = pkix.ReadTaggedExtensions(&seq, cons(9)); !ok {
			return t, malformed("extensions")
		}
	}
	if !seq.Empty() {
		return t, unexpected(seq)
	}
	return t, nil
}

// Add appends the CertTemplate, from its fields.
func (t *CertTemplate) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if t.Version != nil {
			b.AddASN1Int64WithTag(int64(*t.Version), prim(0))
		}
		if t.SerialNumber != nil {
			pkix.AddInteger(b, prim(1), t.SerialNumber)
		}
		if !t.SigningAlg.IsZero() {
			t.SigningAlg.AddTagged(b, cons(2))
		}
		if t.Issuer != nil {
			pkix.AddElement(b, cons(3), t.Issuer)
		}
		if t.Validity != nil {
			t.addValidity(b)
		}
		if t.Subject != nil {
			pkix.AddElement(b, cons(5), t.Subject)
		}
		if t.PublicKey != nil {
			t.PublicKey.AddTagged(b, cons(6))
		}
		if t.IssuerUID != nil {
			pkix.AddElement(b, prim(7), t.IssuerUID)
		}
		if t.SubjectUID != nil {
			pkix.AddElement(b, prim(8), t.SubjectUID)
		}
		if len(t.Extensions) > 0 {
			pkix.AddExtensions(b, cons(9), t.Extensions)
		}
	})
}

func readExplicitName(s *cryptobyte.String, tag asn1.Tag) (pkix.Name, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, tag) {
		return nil, false
	}
	n, ok := pkix.ReadName(&c)
	return n, ok && c.Empty()
}

func readUID(s *cryptobyte.String, tag asn1.Tag) ([]byte, bool) {
	peek := *s
	if _, _, ok := pkix.ReadBitString(&peek, tag); !ok {
		return nil, false
	}
	var c cryptobyte.String
	return c, s.ReadASN1(&c, tag)
}

// readValidity reads OptionalValidity, of which one bound must be there.
func readValidity(s *cryptobyte.String) (*pkix.Validity, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cons(4)) || seq.Empty() {
		return nil, false
	}
	v := new(pkix.Validity)
	for i, bound := range []*time.Time{&v.NotBefore, &v.NotAfter} {
		tag := cons(uint8(i))
		if !seq.PeekASN1Tag(tag) {
			continue
		}
		var c cryptobyte.String
		var ok bool
		if !seq.ReadASN1(&c, tag) {
			return nil, false
		}
		if *bound, ok = pkix.ReadTime(&c); !ok || !c.Empty() {
			return nil, false
		}
	}
	return v, seq.Empty()
}

func (t *CertTemplate) addValidity(b *cryptobyte.Builder) {
	v := *t.Validity
	if v.NotBefore.IsZero() && v.NotAfter.IsZero() {
		b.SetError(at("certTemplate: validity", errEmpty))
		return
	}
	b.AddASN1(cons(4), func(b *cryptobyte.Builder) {
		for i, bound := range []time.Time{v.NotBefore, v.NotAfter} {
			if !bound.IsZero() {
				b.AddASN1(cons(uint8(i)), func(b *cryptobyte.Builder) { pkix.AddTime(b, bound) })
			}
		}
	})
}
