package pkcs10

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// OIDExtensionRequest is the attribute that holds the wanted extensions (RFC
// 2985 section 5.4.2); OIDChallengePassword is that of section 5.4.1.
var (
	OIDExtensionRequest  = pkix.MustOID("1.2.840.113549.1.9.14")
	OIDChallengePassword = pkix.MustOID("1.2.840.113549.1.9.7")
)

// Bounds on the attributes of a request.
const (
	maxAttributes = 100
	maxValues     = 100
)

var attributesTag = asn1.Tag(0).ContextSpecific().Constructed()

func malformed(where string) error {
	return fmt.Errorf("certification request: %s: not the type it should be, or not DER", where)
}

// Parse reads exactly one request. It checks the limits of der.Scan first.
func Parse(b []byte, lim der.Limits) (*CertificationRequest, error) {
	if err := der.Scan(b, lim); err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	s := cryptobyte.String(b)
	r, err := Read(&s)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Read takes a CertificationRequest off s, which has passed der.Scan.
func Read(s *cryptobyte.String) (r CertificationRequest, err error) {
	var raw, seq, info cryptobyte.String
	if !s.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return r, malformed("the whole")
	}
	r.Raw = raw
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	if !seq.ReadASN1Element(&info, asn1.SEQUENCE) {
		return r, malformed("certificationRequestInfo")
	}
	r.RawInfo = info
	if err := r.readInfo(info); err != nil {
		return r, err
	}
	var ok bool
	if r.Algorithm, ok = pkix.ReadAlgorithm(&seq); !ok {
		return r, malformed("signatureAlgorithm")
	}
	if r.Signature, ok = pkix.ReadBits(&seq, asn1.BIT_STRING); !ok {
		return r, malformed("signature")
	}
	if !seq.Empty() {
		return r, malformed("after the signature")
	}
	return r, nil
}

func (r *CertificationRequest) readInfo(raw cryptobyte.String) error {
	var seq cryptobyte.String
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	if v, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || v != 0 {
		return errors.New("certification request: version is not v1(0)")
	}
	var ok bool
	if r.Subject, ok = pkix.ReadName(&seq); !ok {
		return malformed("subject")
	}
	if r.PublicKey, ok = pkix.ReadSubjectPublicKeyInfo(&seq); !ok {
		return malformed("subjectPublicKeyInfo")
	}
	if seq.Empty() {
		r.NoAttributes = true
		return nil
	}
	var set cryptobyte.String
	if !seq.ReadASN1(&set, attributesTag) || !seq.Empty() {
		return malformed("attributes")
	}
	for !set.Empty() {
		a, ok := readAttribute(&set)
		if !ok {
			return malformed("attributes")
		}
		if len(r.Attributes) == maxAttributes {
			return fmt.Errorf("certification request: more than %d attributes", maxAttributes)
		}
		r.Attributes = append(r.Attributes, a)
	}
	return nil
}

func readAttribute(s *cryptobyte.String) (a Attribute, ok bool) {
	var seq, set cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return a, false
	}
	if a.Type, ok = pkix.ReadOID(&seq); !ok {
		return a, false
	}
	if !seq.ReadASN1(&set, asn1.SET) || !seq.Empty() || set.Empty() {
		return a, false
	}
	for !set.Empty() {
		var v cryptobyte.String
		var tag asn1.Tag
		if len(a.Values) == maxValues || !set.ReadAnyASN1Element(&v, &tag) {
			return a, false
		}
		a.Values = append(a.Values, v)
	}
	return a, true
}

// Add appends the request, from its fields. The attributes keep their order,
// which is the signer's.
func (r *CertificationRequest) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		r.addInfo(b)
		r.Algorithm.Add(b)
		pkix.AddBits(b, asn1.BIT_STRING, r.Signature)
	})
}

func (r *CertificationRequest) addInfo(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		r.Subject.Add(b)
		r.PublicKey.Add(b)
		if r.NoAttributes {
			return
		}
		b.AddASN1(attributesTag, func(b *cryptobyte.Builder) {
			for _, a := range r.Attributes {
				a.add(b)
			}
		})
	})
}

func (a Attribute) add(b *cryptobyte.Builder) {
	if len(a.Values) == 0 {
		b.SetError(fmt.Errorf("attribute %s has no value", a.Type))
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		a.Type.Add(b)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			for _, v := range a.Values {
				b.AddBytes(v)
			}
		})
	})
}

// Build makes a request. sign gets the CertificationRequestInfo and returns
// the signature by alg. Attributes and their values are sorted, as DER wants it.
func Build(subject pkix.Name, key pkix.SubjectPublicKeyInfo, attrs []Attribute, alg pkix.AlgorithmIdentifier, sign func(info []byte) ([]byte, error)) ([]byte, error) {
	attrs, err := sorted(attrs)
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	r := CertificationRequest{Subject: subject, PublicKey: key, Attributes: attrs, Algorithm: alg}
	var b cryptobyte.Builder
	r.addInfo(&b)
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	if r.Signature, err = sign(info); err != nil {
		return nil, fmt.Errorf("sign the certification request: %w", err)
	}
	var whole cryptobyte.Builder
	r.Add(&whole)
	der, err := whole.Bytes()
	if err != nil {
		return nil, fmt.Errorf("certification request: %w", err)
	}
	return der, nil
}

// sorted puts a SET OF into the order of its encodings (X.690 section 11.6).
func sorted(attrs []Attribute) ([]Attribute, error) {
	type encoded struct {
		attr Attribute
		der  []byte
	}
	list := make([]encoded, len(attrs))
	for i, a := range attrs {
		a.Values = slices.SortedFunc(slices.Values(a.Values), bytes.Compare)
		var b cryptobyte.Builder
		a.add(&b)
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		list[i] = encoded{a, der}
	}
	slices.SortFunc(list, func(a, b encoded) int { return bytes.Compare(a.der, b.der) })
	out := make([]Attribute, len(list))
	for i := range list {
		out[i] = list[i].attr
	}
	return out, nil
}

// ExtensionRequest makes the attribute that asks for extensions.
func ExtensionRequest(list []pkix.Extension) (Attribute, error) {
	var b cryptobyte.Builder
	pkix.AddExtensions(&b, asn1.SEQUENCE, list)
	v, err := b.Bytes()
	return Attribute{Type: OIDExtensionRequest, Values: [][]byte{v}}, err
}

// RequestedExtensions reads the extensionRequest attribute. No such attribute,
// and one with an empty list, which some programs write, give none; two of
// them, or two values, are an error.
func (r *CertificationRequest) RequestedExtensions() ([]pkix.Extension, error) {
	var value []byte
	for _, a := range r.Attributes {
		if a.Type != OIDExtensionRequest {
			continue
		}
		if value != nil || len(a.Values) != 1 {
			return nil, errors.New("certification request: more than one extensionRequest")
		}
		value = a.Values[0]
	}
	if value == nil || string(value) == "\x30\x00" {
		return nil, nil
	}
	s := cryptobyte.String(value)
	list, ok := pkix.ReadExtensions(&s)
	if !ok || !s.Empty() {
		return nil, malformed("extensionRequest")
	}
	return list, nil
}
