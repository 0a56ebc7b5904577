package cmp

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// Parse reads exactly one PKIMessage. The result refers to b, which must not
// change afterwards.
//
// The message is nil exactly where the error wraps [ErrNotPKIMessage]. With
// [ErrHeader] and [ErrBody] it has no Body, but as much of the header as is
// well-formed, and RawBody, Protection and ExtraCerts where those are, so that
// the sender can get a CMP error with the failure badDataFormat.
func Parse(b []byte, lim Limits) (*PKIMessage, error) {
	lim = lim.withDefaults()
	if err := der.Scan(b, lim.DER); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotPKIMessage, err)
	}
	p := parser{lim: lim}
	s := cryptobyte.String(b)
	return p.message(&s)
}

type parser struct {
	lim   Limits
	depth int // nested bodies around this point
}

func (p *parser) message(s *cryptobyte.String) (*PKIMessage, error) {
	var raw, seq, header, body cryptobyte.String
	var bodyTag asn1.Tag
	if !s.ReadASN1Element(&raw, asn1.SEQUENCE) {
		return nil, ErrNotPKIMessage
	}
	m := &PKIMessage{Raw: raw}
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	if !seq.ReadASN1Element(&header, asn1.SEQUENCE) || !looksLikeHeader(header) ||
		!seq.ReadAnyASN1Element(&body, &bodyTag) || bodyTag&0xe0 != explicit(0) {
		return nil, ErrNotPKIMessage
	}
	m.RawBody = body
	headerErr := m.Header.read(header, &p.lim)
	// What follows the body comes before it here: whoever answers a malformed
	// body wants to know whether its protection is good.
	tailErr := p.tail(m, seq)
	switch {
	case headerErr != nil:
		return m, fmt.Errorf("%w: header: %w", ErrHeader, headerErr)
	case tailErr != nil:
		return m, fmt.Errorf("%w: %w", ErrBody, tailErr)
	}
	b, err := p.body(body, bodyTag)
	if err != nil {
		return m, fmt.Errorf("%w: body: %w", ErrBody, err)
	}
	m.Body = b
	return m, nil
}

// looksLikeHeader tells a PKIHeader from the first element of certificates,
// PKCS #10 requests, CMS and the like: a number and two GeneralNames.
func looksLikeHeader(header cryptobyte.String) bool {
	var seq, e cryptobyte.String
	if !header.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.INTEGER) {
		return false
	}
	for range 2 {
		var tag asn1.Tag
		if !seq.ReadAnyASN1(&e, &tag) || tag&0xc0 != 0x80 {
			return false
		}
	}
	return true
}

func (p *parser) tail(m *PKIMessage, seq cryptobyte.String) error {
	err := inside(&seq, 0, "protection", func(c *cryptobyte.String) error {
		bits, ok := pkix.ReadBits(c, asn1.BIT_STRING)
		if !ok {
			return errForm
		}
		m.Protection = bits
		return nil
	})
	if err != nil {
		return err
	}
	err = inside(&seq, 1, "extraCerts", func(c *cryptobyte.String) (err error) {
		m.ExtraCerts, err = readList(c, 1, p.lim.ExtraCerts, readCert)
		return err
	})
	if err == nil && !seq.Empty() {
		err = unexpected(seq)
	}
	return err
}

// ProtectedPart is what the protection of a message that was read covers: the
// SEQUENCE of header and body as received (RFC 9810 section 5.1.3). It is nil
// in a message being built.
func (m *PKIMessage) ProtectedPart() []byte {
	if m.Header.Raw == nil || m.RawBody == nil {
		return nil
	}
	n := len(m.Header.Raw) + len(m.RawBody)
	b := cryptobyte.NewBuilder(make([]byte, 0, n+headRoom))
	b.AddBytes(appendHead(nil, n))
	b.AddBytes(m.Header.Raw)
	b.AddBytes(m.RawBody)
	return b.BytesOrPanic()
}

// NestedRaw gives the messages inside a nested body as they stand, without
// reading them: for a batch of which one message is malformed, which makes
// [Parse] refuse the body as a whole. The result refers to the octets that were
// parsed.
func (m *PKIMessage) NestedRaw(lim Limits) ([][]byte, error) {
	lim = lim.withDefaults()
	s := cryptobyte.String(m.RawBody)
	if !s.PeekASN1Tag(explicit(uint8(TypeNested))) {
		return nil, errors.New("the body is not nested")
	}
	var list [][]byte
	err := inside(&s, uint8(TypeNested), "nested", func(c *cryptobyte.String) (err error) {
		list, err = readList(c, 1, lim.NestedMessages, readCert)
		return err
	})
	return list, err
}

// BodyType is the type of the body, even of one that is malformed; -1 where the
// message has none.
func (m *PKIMessage) BodyType() BodyType {
	switch {
	case m.Body != nil:
		return m.Body.Type()
	case len(m.RawBody) > 0:
		return BodyType(m.RawBody[0] & 0x1f)
	}
	return -1
}

// The names of the optional header fields, by tag.
var headerFields = [...]string{
	"messageTime", "protectionAlg", "senderKID", "recipKID", "transactionID",
	"senderNonce", "recipNonce", "freeText", "generalInfo",
}

// read fills h with every field that is well-formed and returns the first error.
func (h *PKIHeader) read(raw cryptobyte.String, lim *Limits) error {
	h.Raw = raw
	var seq cryptobyte.String
	raw.ReadASN1(&seq, asn1.SEQUENCE)
	var first error
	note := func(where string, err error) {
		if first == nil {
			first = at(where, err)
		}
	}
	var c cryptobyte.String
	var tag asn1.Tag
	// The three mandatory elements are there: looksLikeHeader has seen them.
	seq.ReadASN1Element(&c, asn1.INTEGER)
	if v, ok := pkix.ReadInt(&c, asn1.INTEGER); ok && int64(int(v)) == v {
		h.PVNO = int(v)
	} else {
		note("pvno", errForm)
	}
	for _, f := range []struct {
		where string
		name  *pkix.GeneralName
	}{{"sender", &h.Sender}, {"recipient", &h.Recipient}} {
		seq.ReadAnyASN1Element(&c, &tag)
		if g, ok := pkix.ReadGeneralName(&c); ok {
			*f.name = g
		} else {
			note(f.where, errForm)
		}
	}
	last := -1
	for !seq.Empty() {
		if !seq.ReadAnyASN1(&c, &tag) {
			note("after the last field", errForm)
			break
		}
		n := int(tag &^ explicit(0))
		if tag < explicit(0) || n >= len(headerFields) || n <= last {
			note("after the mandatory fields", fmt.Errorf("unexpected element with tag 0x%02x", uint8(tag)))
			continue
		}
		last = n
		if err := whole(&c, func(c *cryptobyte.String) error { return h.readField(n, c, lim) }); err != nil {
			note(headerFields[n], err)
		}
	}
	return first
}

func (h *PKIHeader) readField(n int, c *cryptobyte.String, lim *Limits) (err error) {
	ok := true
	switch n {
	case 0:
		h.MessageTime, ok = pkix.ReadExactTime(c)
	case 1:
		h.ProtectionAlg, ok = pkix.ReadAlgorithm(c)
	case 2:
		h.SenderKID, ok = readOctets(c)
	case 3:
		h.RecipKID, ok = readOctets(c)
	case 4:
		h.TransactionID, ok = readOctets(c)
	case 5:
		h.SenderNonce, ok = readOctets(c)
	case 6:
		h.RecipNonce, ok = readOctets(c)
	case 7:
		h.FreeText, err = readFreeText(c, lim)
	case 8:
		h.GeneralInfo, err = readList(c, 1, lim.GeneralInfo, readInfo)
	}
	if !ok {
		return errForm
	}
	return err
}

func readOctets(s *cryptobyte.String) ([]byte, bool) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, asn1.OCTET_STRING) {
		return nil, false
	}
	return c, true
}

func readFreeText(s *cryptobyte.String, lim *Limits) ([]string, error) {
	return readList(s, 1, lim.FreeText, readText)
}

var errNotUTF8 = errors.New("not a UTF8String")

func readText(s *cryptobyte.String) (string, error) {
	text, ok := pkix.ReadUTF8(s)
	if !ok {
		return "", errNotUTF8
	}
	return text, nil
}

func readInfo(s *cryptobyte.String) (i InfoTypeAndValue, err error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return i, errForm
	}
	var ok bool
	if i.Type, ok = pkix.ReadOID(&seq); !ok {
		return i, malformed("infoType")
	}
	if !seq.Empty() {
		var v cryptobyte.String
		var tag asn1.Tag
		if !seq.ReadAnyASN1Element(&v, &tag) {
			return i, malformed("infoValue")
		}
		i.Value = v
	}
	if !seq.Empty() {
		return i, unexpected(seq)
	}
	return i, nil
}
