package cmp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"cmp-batch/cmpcore/der"
)

var null = marshal(asn1.NullRawValue)

func message(header, body []byte, tail ...[]byte) []byte {
	return seq(append([][]byte{header, body}, tail...)...)
}

func header(fields ...[]byte) []byte {
	return seq(append([][]byte{number(2), nullDN, nullDN}, fields...)...)
}

func TestWhatIsNoPKIMessage(t *testing.T) {
	csr := golden(t, "new.p10")
	tests := []struct {
		name string
		der  []byte
		want error
	}{
		{"nothing", nil, der.ErrTruncated},
		{"text", []byte("-----BEGIN CERTIFICATE-----"), nil},
		{"an empty sequence", seq(), nil},
		{"a certificate", golden(t, "ca.cer"), nil},
		{"a PKCS #10 request", csr, nil},
		{"CMS", seq(oid(1, 2, 840, 113549, 1, 7, 2), exp(0, seq())), nil},
		{"a header alone", seq(header()), nil},
		{"no recipient", message(seq(number(2), nullDN), exp(19, null)), nil},
		{"a Name where a GeneralName should be", message(seq(number(2), seq(), seq()), exp(19, null)), nil},
		{"a body without a tag", message(header(), null), nil},
		{"a body with a primitive tag", message(header(), imp(19)), nil},
		{"a message cut off", golden(t, "ir.pki")[:500], der.ErrTruncated},
		{"octets after the message", append(golden(t, "ir.pki"), 0), der.ErrTrailing},
		{"indefinite length", append([]byte{0x30, 0x80}, 0, 0), der.ErrEncoding},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(tt.der, Limits{})
			if m != nil || !errors.Is(err, ErrNotPKIMessage) || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
	if m, err := Parse(golden(t, "ir.pki"), Limits{DER: der.Limits{Bytes: 100}}); m != nil || !errors.Is(err, ErrNotPKIMessage) || !errors.Is(err, der.ErrTooLarge) {
		t.Errorf("a message that is too large: %v, %v", m, err)
	}
}

// A malformed header gives the fields that are good: the transactionID among
// them, which an error answer needs.
func TestMalformedHeaders(t *testing.T) {
	tid := exp(4, octets(0xcc))
	tests := []struct {
		name, want string
		header     []byte
	}{
		{"version beyond an int", "header: pvno", seq(marshal(asn1.RawValue{Tag: 2, Bytes: make65th()}), nullDN, nullDN, tid)},
		{"version not in its shortest form", "header: pvno", seq([]byte{2, 2, 0, 2}, nullDN, nullDN, tid)},
		{"sender with a malformed name", "header: sender", seq(number(2), exp(4, seq(null)), nullDN, tid)},
		{"sender of no known kind", "header: sender", seq(number(2), imp(9), nullDN, tid)},
		{"recipient that is no ASCII", "header: recipient", seq(number(2), nullDN, imp(2, 0xfc), tid)},
		{"messageTime with an offset", "header: messageTime", header(exp(0, raw(0, 24, false, []byte("20300101000000+0100"))), tid)},
		{"messageTime as UTCTime", "header: messageTime", header(exp(0, raw(0, 23, false, []byte("300101000000Z"))), tid)},
		{"messageTime on 30 February", "header: messageTime", header(exp(0, generalized("20300230000000")), tid)},
		{"messageTime with a zero at the end of the fraction", "header: messageTime", header(exp(0, generalized("20300101000000.10")), tid)},
		{"protectionAlg without an identifier", "header: protectionAlg", header(exp(1, seq(null)), tid)},
		{"senderKID as INTEGER", "header: senderKID", header(exp(2, number(1)), tid)},
		{"senderKID implicitly tagged", "header: after the mandatory fields", header(imp(2, 1), tid)},
		{"senderNonce as BIT STRING", "header: senderNonce", header(tid, exp(5, bits(1)))},
		{"two values in one field", "header: recipNonce: unexpected element", header(tid, exp(6, octets(1), octets(2)))},
		{"empty freeText", "header: freeText: empty", header(tid, exp(7, seq()))},
		{"freeText that is no UTF-8", "header: freeText: [1]: not a UTF8String", header(tid, exp(7, seq(utf8("a"), utf8("\xff"))))},
		{"freeText as PrintableString", "header: freeText: [0]", header(tid, exp(7, seq(raw(0, 19, false, []byte("a")))))},
		{"empty generalInfo", "header: generalInfo: empty", header(tid, exp(8, seq()))},
		{"generalInfo with two values", "header: generalInfo: [0]: unexpected", header(tid, exp(8, seq(seq(oid(1, 2), null, null))))},
		{"a field twice", "header: after the mandatory fields: unexpected element with tag 0xa4", header(tid, tid)},
		{"fields out of order", "header: after the mandatory fields: unexpected element with tag 0xa0", header(tid, exp(0, generalized("20300101000000")))},
		{"a field that CMP does not have", "header: after the mandatory fields: unexpected element with tag 0xa9", header(tid, exp(9, null))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(message(tt.header, exp(19, null), exp(0, bits(7)), exp(1, seq(cert1))), Limits{})
			if !errors.Is(err, ErrHeader) || errors.Is(err, ErrBody) || errors.Is(err, ErrNotPKIMessage) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v; want %q", err, tt.want)
			}
			if !bytes.Equal(m.Header.TransactionID, []byte{0xcc}) || m.Body != nil || m.BodyType() != TypePKIConf {
				t.Errorf("transactionID %x, body %v of type %v", m.Header.TransactionID, m.Body, m.BodyType())
			}
			if !bytes.Equal(m.Protection, []byte{7}) || len(m.ExtraCerts) != 1 {
				t.Errorf("protection %x, extraCerts %x", m.Protection, m.ExtraCerts)
			}
		})
	}
}

func make65th() []byte { return []byte{1, 0, 0, 0, 0, 0, 0, 0, 0} }

func TestMalformedBodies(t *testing.T) {
	ok := exp(19, null)
	noBits := marshal(asn1.BitString{})
	tests := []struct {
		name, want string
		body       []byte
		tail       [][]byte
	}{
		{"no such body", "body: type 27", exp(27, null), nil},
		{"an empty body", "body: pkiconf: not the type", exp(19), nil},
		{"two bodies in one", "body: pkiconf: unexpected element", exp(19, null, null), nil},
		{"a body of another type", "body: ir: not the type", exp(0, null), nil},
		{"no requests", "body: ir: empty", exp(0, seq()), nil},
		{"a request without a template", "body: cr: [0]: certReq: certTemplate", exp(2, seq(seq(seq(number(0))))), nil},
		{"an element after the template", "certReq: unexpected element with tag 0x05", exp(2, seq(seq(seq(number(0), seq(), null)))), nil},
		{"a template with an explicit version", "certTemplate: unexpected element with tag 0xa0", exp(2, seq(seq(seq(number(0), seq(exp(0, number(2))))))), nil},
		{"a template out of order", "certTemplate: unexpected element with tag 0x81", exp(2, seq(seq(seq(number(0), seq(imp(7, 0), imp(1, 1)))))), nil},
		{"a critical FALSE, the default", "certTemplate: extensions", exp(2, seq(seq(seq(number(0), seq(exp(9, seq(oid(2, 5, 29, 15), marshal(false), octets()))))))), nil},
		{"an extension twice", "certTemplate: extensions", exp(2, seq(seq(seq(number(0), seq(exp(9, seq(oid(2, 5, 29, 15), octets()), seq(oid(2, 5, 29, 15), octets()))))))), nil},
		{"a validity without bounds", "certTemplate: validity", exp(2, seq(seq(seq(number(0), seq(exp(4)))))), nil},
		{"a GeneralizedTime before 2050", "certTemplate: validity", exp(2, seq(seq(seq(number(0), seq(exp(4, exp(0, generalized("20490101000000")))))))), nil},
		{"empty controls", "controls: empty", exp(2, seq(seq(seq(number(0), seq(), seq())))), nil},
		{"a signature with unused bits", "popo: signature: signature", exp(2, seq(seq(seq(number(0), seq()), exp(1, sha256Alg, marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}))))), nil},
		{"a raVerified with contents", "popo: raVerified", exp(2, seq(seq(seq(number(0), seq()), imp(0, 1)))), nil},
		{"a POPOPrivKey of no form", "popo: keyEncipherment: unexpected element with tag 0x85", exp(2, seq(seq(seq(number(0), seq()), exp(2, imp(5))))), nil},
		{"a subsequentMessage 2", "popo: keyAgreement: subsequentMessage", exp(2, seq(seq(seq(number(0), seq()), exp(3, imp(1, 2))))), nil},
		{"caPubs that are empty", "body: ip: caPubs: empty", exp(1, seq(exp(1, seq()), seq())), nil},
		{"a response without a status", "body: ip: response: [0]: status", exp(1, seq(seq(seq(number(0))))), nil},
		{"a key pair without a certificate", "certifiedKeyPair: certOrEncCert: missing", exp(1, seq(seq(seq(number(0), accepted, seq())))), nil},
		{"an empty statusString", "statusString: empty", exp(23, seq(seq(number(2), seq()))), nil},
		{"a failInfo with padding that is set", "failInfo", exp(23, seq(seq(number(2), raw(0, 3, false, []byte{1, 1})))), nil},
		{"an element after the failInfo", "unexpected element with tag 0x05", exp(23, seq(seq(number(2), noBits, null))), nil},
		{"a CRMF request in p10cr", "body: p10cr: certification request", exp(4, requestsDER), nil},
		{"a certHash as BIT STRING", "body: certConf: [1]: certHash", exp(24, seq(seq(octets(1), number(0)), seq(bits(1), number(0)))), nil},
		{"a checkAfter beyond an int64", "body: pollRep: [0]: checkAfter", exp(26, seq(seq(number(0), marshal(asn1.RawValue{Tag: 2, Bytes: make65th()})))), nil},
		{"a certificate that is none", "body: cann", exp(16, null), nil},
		{"a certificate too few", "body: ckuann: newWithNew", exp(15, seq(cert1, cert2)), nil},
		{"no inner messages", "body: nested: empty", exp(20, seq()), nil},
		{"an inner message that is none", "body: nested: [0]: not a PKIMessage", exp(20, seq(cert1)), nil},
		{"an inner message with a malformed body", "body: nested: [1]: malformed PKIMessage: body: pkiconf", exp(20, seq(message(header(), ok), message(header(), exp(19)))), nil},
		{"an inner message with a malformed header", "body: nested: [0]: malformed PKIMessage header: header: transactionID", exp(20, seq(message(header(exp(4, null)), ok))), nil},
		{"protection with unused bits", "protection", ok, [][]byte{exp(0, marshal(asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}))}},
		{"protection as OCTET STRING", "protection", ok, [][]byte{exp(0, octets(1))}},
		{"empty extraCerts", "extraCerts: empty", ok, [][]byte{exp(1, seq())}},
		{"an extra certificate that is none", "extraCerts: [1]", ok, [][]byte{exp(1, seq(cert1, null))}},
		{"extraCerts before the protection", "unexpected element with tag 0xa0", ok, [][]byte{exp(1, seq(cert1)), exp(0, bits(1))}},
		{"an element at the end", "unexpected element with tag 0xa2", ok, [][]byte{exp(2, null)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(message(header(exp(4, octets(0xcc))), tt.body, tt.tail...), Limits{})
			if !errors.Is(err, ErrBody) || errors.Is(err, ErrHeader) || errors.Is(err, ErrNotPKIMessage) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v; want %q", err, tt.want)
			}
			if m == nil || m.Body != nil || !bytes.Equal(m.Header.TransactionID, []byte{0xcc}) || !bytes.Equal(m.RawBody, tt.body) {
				t.Errorf("message %+v", m)
			}
		})
	}
}

// Whoever answers a malformed body with an error can check its protection.
func TestMalformedBodyKeepsItsProtection(t *testing.T) {
	der := message(header(), exp(0, seq()), exp(0, bits(1, 2)), exp(1, seq(cert1)))
	m, err := Parse(der, Limits{})
	if !errors.Is(err, ErrBody) || !bytes.Equal(m.Protection, []byte{1, 2}) || len(m.ExtraCerts) != 1 {
		t.Errorf("%v: %+v", err, m)
	}
	if got, want := m.ProtectedPart(), seq(header(), exp(0, seq())); !bytes.Equal(got, want) {
		t.Errorf("ProtectedPart %x, want %x", got, want)
	}
}

func TestLimits(t *testing.T) {
	twice := func(b []byte) []byte { return seq(b, b) }
	nested := func(depth int) []byte {
		m := message(header(), exp(19, null))
		for range depth {
			m = message(header(), exp(20, seq(m)))
		}
		return m
	}
	tests := []struct {
		name  string
		der   []byte
		under Limits
		at    Limits
		class error
	}{
		{"requests", message(header(), exp(0, twice(seq(seq(number(0), seq()))))), Limits{CertRequests: 1}, Limits{CertRequests: 2}, ErrBody},
		{"polls", message(header(), exp(25, twice(seq(number(0))))), Limits{CertRequests: 1}, Limits{CertRequests: 2}, ErrBody},
		{"extraCerts", message(header(), exp(19, null), exp(1, twice(cert1))), Limits{ExtraCerts: 1}, Limits{ExtraCerts: 2}, ErrBody},
		{"CRLs", message(header(), exp(18, twice(cert1))), Limits{ExtraCerts: 1}, Limits{ExtraCerts: 2}, ErrBody},
		{"generalInfo", message(header(exp(8, twice(seq(oid(1, 2))))), exp(19, null)), Limits{GeneralInfo: 1}, Limits{GeneralInfo: 2}, ErrHeader},
		{"genm", message(header(), exp(21, twice(seq(oid(1, 2))))), Limits{GeneralInfo: 1}, Limits{GeneralInfo: 2}, ErrBody},
		{"freeText", message(header(exp(7, twice(utf8("a")))), exp(19, null)), Limits{FreeText: 1}, Limits{FreeText: 2}, ErrHeader},
		{"nested messages", message(header(), exp(20, twice(message(header(), exp(19, null))))), Limits{NestedMessages: 1}, Limits{NestedMessages: 2}, ErrBody},
		{"nested depth", nested(2), Limits{NestedDepth: 1}, Limits{NestedDepth: 2}, ErrBody},
		{"nested depth by default", nested(4), Limits{}, Limits{NestedDepth: 4}, ErrBody},
		{"requests in a nested message", message(header(), exp(20, seq(message(header(), exp(25, twice(seq(number(0)))))))), Limits{CertRequests: 1}, Limits{}, ErrBody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(tt.der, tt.under)
			if !errors.Is(err, ErrLimit) || !errors.Is(err, tt.class) || m == nil {
				t.Errorf("over the limit: %v", err)
			}
			if _, err := Parse(tt.der, tt.at); err != nil {
				t.Errorf("at the limit: %v", err)
			}
		})
	}
}

// Peers leave zero bits at the end of failInfo, and standards to come may have
// more bits than we know. Such a message is read and written as it was.
func TestFailInfoOfEveryForm(t *testing.T) {
	tests := []struct {
		name string
		bits []byte // contents of the BIT STRING
		want PKIFailureInfo
	}{
		{"badPOP", []byte{6, 0, 0x40}, BadPOP},
		{"badPOP and bits that are not set", []byte{0, 0, 0x40, 0, 0}, BadPOP},
		{"unused bits too few", []byte{5, 0, 0x40}, BadPOP},
		{"no bits", []byte{0}, 0},
		{"only zero bits", []byte{0, 0, 0}, 0},
		{"duplicateCertReq and badAlg", []byte{5, 0x80, 0, 0, 0x20}, BadAlg | DuplicateCertReq},
		{"bit 31", []byte{0, 0, 0, 0, 1}, 1 << 31},
		{"bit 39", []byte{0, 0x80, 0, 0, 0, 1}, BadAlg},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			der := message(header(), exp(23, seq(seq(number(2), raw(0, 3, false, tt.bits)))))
			m, err := Parse(der, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			e := m.Body.(*ErrorMsg)
			if e.Status.FailInfo != tt.want {
				t.Errorf("got %v, want %v", e.Status.FailInfo, tt.want)
			}
			if again, err := m.Marshal(); err != nil || !bytes.Equal(again, der) {
				t.Errorf("%v: %x, want %x", err, again, der)
			}
			e.Status.FailInfo = BadTime // what is set counts, not what was read
			again, err := m.Marshal()
			if want := message(header(), exp(23, seq(seq(number(2), raw(0, 3, false, []byte{4, 0x10}))))); err != nil || !bytes.Equal(again, want) {
				t.Errorf("%v: %x, want %x", err, again, want)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{TypeIR.String(), "ir"},
		{TypeCertConf.String(), "certConf"},
		{TypePollRep.String(), "pollRep"},
		{BodyType(27).String(), "body type 27"},
		{BodyType(-1).String(), "body type -1"},
		{Accepted.String(), "accepted"},
		{KeyUpdateWarning.String(), "keyUpdateWarning"},
		{PKIStatus(7).String(), "status 7"},
		{PKIFailureInfo(0).String(), ""},
		{BadPOP.String(), "badPOP"},
		{(BadAlg | DuplicateCertReq | 1<<30).String(), "badAlg,duplicateCertReq,bit 30"},
		{TransactionIDInUse.String(), "transactionIdInUse"},
		{InfoName(OIDCRLStatusList), "crlStatusList"},
		{InfoName("\x2a\x03"), "1.2.3"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
