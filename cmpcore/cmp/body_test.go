package cmp

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// The expected octets of these tests come from encoding/asn1.

func raw(class, tag int, compound bool, parts ...[]byte) []byte {
	b, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: bytes.Join(parts, nil)})
	if err != nil {
		panic(err)
	}
	return b
}

func seq(parts ...[]byte) []byte         { return raw(asn1.ClassUniversal, asn1.TagSequence, true, parts...) }
func exp(n int, parts ...[]byte) []byte  { return raw(asn1.ClassContextSpecific, n, true, parts...) }
func imp(n int, contents ...byte) []byte { return raw(asn1.ClassContextSpecific, n, false, contents) }
func octets(b ...byte) []byte            { return marshal(b) }
func number(n int64) []byte              { return marshal(n) }
func bits(b ...byte) []byte              { return marshal(asn1.BitString{Bytes: b, BitLength: 8 * len(b)}) }
func oid(arcs ...int) []byte             { return marshal(asn1.ObjectIdentifier(arcs)) }
func utf8(text string) []byte            { return raw(0, asn1.TagUTF8String, false, []byte(text)) }
func generalized(yyyymmddhhmmss string) []byte {
	return raw(0, asn1.TagGeneralizedTime, false, []byte(yyyymmddhhmmss+"Z"))
}

func marshal(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// Stand-ins for certificates and CRLs, of which cmp knows only the outer tag.
var cert1, cert2, cert3 = seq(number(1)), seq(number(2)), seq(number(3))

var (
	nullDN     = exp(4, seq())
	sha256Alg  = seq(oid(2, 16, 840, 1, 101, 3, 4, 2, 1))
	sha256ID   = pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.16.840.1.101.3.4.2.1")}
	certIDDER  = seq(exp(4, seq()), number(77))
	certID     = crmf.CertID{Issuer: pkix.NewDirectoryName(pkix.EmptyName), SerialNumber: big.NewInt(77)}
	accepted   = seq(number(0))
	rejectedDE = seq(number(2), seq(utf8("no")), marshal(asn1.BitString{Bytes: []byte{0, 0x40}, BitLength: 10}))
	rejected   = PKIStatusInfo{Status: Rejection, StatusString: []string{"no"}, FailInfo: BadPOP}
	enveloped  = seq(number(2), octets(9))
	reasonDER  = seq(seq(oid(2, 5, 29, 21), octets(10, 1, 4)))
	reason     = []pkix.Extension{pkix.ReasonCodeExtension(pkix.ReasonSuperseded)}
	yearEnd    = time.Date(2030, 12, 31, 23, 59, 59, 0, time.UTC)
)

func implicitEnveloped(n int) []byte { return exp(n, number(2), octets(9)) }

func requests(kind BodyType) *CertReqMessages {
	return &CertReqMessages{Kind: kind, Requests: []crmf.CertReqMsg{{CertReq: crmf.CertRequest{CertReqID: big.NewInt(5)}}}}
}

var requestsDER = seq(seq(seq(number(5), seq())))

func TestEveryBodyIsWhatTheModuleSays(t *testing.T) {
	newKey := crmf.EncryptedKey{Enveloped: enveloped}
	oldKey := crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{7}}}
	tests := []struct {
		name string
		body Body
		der  []byte // inside the body's tag
	}{
		{"ir", requests(TypeIR), requestsDER},
		{"cr", requests(TypeCR), requestsDER},
		{"kur", requests(TypeKUR), requestsDER},
		{"krr", requests(TypeKRR), requestsDER},
		{"ccr", requests(TypeCCR), requestsDER},
		{
			"ip with everything",
			&CertRepMessage{Kind: TypeIP, CAPubs: [][]byte{cert1, cert2}, Responses: []CertResponse{
				{CertReqID: big.NewInt(0), Status: PKIStatusInfo{}, CertifiedKeyPair: &CertifiedKeyPair{
					Certificate: cert3, PrivateKey: &newKey, PublicationInfo: &crmf.PKIPublicationInfo{Action: 1},
				}, RspInfo: []byte("a?b%")},
				{CertReqID: big.NewInt(1), Status: rejected},
			}},
			seq(exp(1, seq(cert1, cert2)), seq(
				seq(number(0), accepted, seq(exp(0, cert3), exp(0, implicitEnveloped(0)), exp(1, seq(number(1)))), octets([]byte("a?b%")...)),
				seq(number(1), rejectedDE),
			)),
		},
		{
			"cp with an encrypted certificate",
			&CertRepMessage{Kind: TypeCP, Responses: []CertResponse{{CertReqID: big.NewInt(-1), CertifiedKeyPair: &CertifiedKeyPair{EncryptedCert: &newKey, PrivateKey: &oldKey}}}},
			seq(seq(seq(number(-1), accepted, seq(exp(1, implicitEnveloped(0)), exp(0, seq(bits(7))))))),
		},
		{"kup without responses", &CertRepMessage{Kind: TypeKUP}, seq(seq())},
		{"ccp with empty rspInfo", &CertRepMessage{Kind: TypeCCP, Responses: []CertResponse{{CertReqID: big.NewInt(1 << 40), Status: PKIStatusInfo{Status: Waiting}, RspInfo: []byte{}}}}, seq(seq(seq(number(1<<40), seq(number(3)), octets())))},
		{
			"popdecc",
			&POPODecKeyChallenge{Challenges: []Challenge{
				{OWF: sha256ID, Witness: []byte{1}, Challenge: []byte{2}},
				{Witness: []byte{3}, Challenge: []byte{}, EncryptedRand: enveloped},
			}},
			seq(seq(sha256Alg, octets(1), octets(2)), seq(octets(3), octets(), exp(0, enveloped))),
		},
		{"popdecr", &POPODecKeyResponse{Responses: []*big.Int{big.NewInt(-129), new(big.Int).Lsh(big.NewInt(1), 100)}}, seq(number(-129), marshal(new(big.Int).Lsh(big.NewInt(1), 100)))},
		{
			"krp",
			&KeyRecRepContent{Status: rejected, NewSigCert: cert1, CACerts: [][]byte{cert2}, KeyPairHist: []CertifiedKeyPair{{Certificate: cert3, PrivateKey: &newKey}}},
			seq(rejectedDE, exp(0, cert1), exp(1, seq(cert2)), exp(2, seq(seq(exp(0, cert3), exp(0, implicitEnveloped(0)))))),
		},
		{"krp with a status alone", &KeyRecRepContent{}, seq(accepted)},
		{
			"rr",
			&RevReqContent{Details: []RevDetails{
				{CertDetails: crmf.CertTemplate{SerialNumber: big.NewInt(200), Issuer: pkix.EmptyName}, CRLEntryDetails: reason},
				{CertDetails: crmf.CertTemplate{SerialNumber: big.NewInt(1)}},
			}},
			seq(seq(seq(imp(1, 0, 200), exp(3, seq())), reasonDER), seq(seq(imp(1, 1)))),
		},
		{
			"rp",
			&RevRepContent{Status: []PKIStatusInfo{{}, rejected}, RevCerts: []crmf.CertID{certID, certID}, CRLs: [][]byte{cert1}},
			seq(seq(accepted, rejectedDE), exp(0, seq(certIDDER, certIDDER)), exp(1, seq(cert1))),
		},
		{"ckuann of version 2", &CAKeyUpdAnn{OldWithNew: cert1, NewWithOld: cert2, NewWithNew: cert3}, seq(cert1, cert2, cert3)},
		{"ckuann of version 3", &CAKeyUpdAnn{RootForm: true, OldWithNew: cert1, NewWithOld: cert2, NewWithNew: cert3}, exp(0, seq(cert3, exp(0, cert2), exp(1, cert1)))},
		{"cann", &CertAnn{Certificate: cert1}, cert1},
		{
			"rann",
			&RevAnn{Status: RevocationWarning, CertID: certID, WillBeRevokedAt: yearEnd, BadSince: yearEnd, CRLDetails: reason},
			seq(number(4), certIDDER, generalized("20301231235959"), generalized("20301231235959"), reasonDER),
		},
		{"crlann", &CRLAnn{CRLs: [][]byte{cert1, cert2}}, seq(cert1, cert2)},
		{"pkiconf", &PKIConf{}, marshal(asn1.NullRawValue)},
		{
			"nested",
			&Nested{Messages: []*PKIMessage{{
				Header: PKIHeader{PVNO: 2, Sender: nullDN, Recipient: nullDN}, Body: &PKIConf{}, Protection: []byte{5}, ExtraCerts: [][]byte{cert1},
			}}},
			seq(seq(seq(number(2), nullDN, nullDN), exp(19, marshal(asn1.NullRawValue)), exp(0, bits(5)), exp(1, seq(cert1)))),
		},
		{"genm", &GenMsg{Kind: TypeGenM, Infos: []InfoTypeAndValue{{Type: OIDCACerts}, NewImplicitConfirm()}}, seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 4, 17)), seq(oid(1, 3, 6, 1, 5, 5, 7, 4, 13), marshal(asn1.NullRawValue)))},
		{"genp without entries", &GenMsg{Kind: TypeGenP}, seq()},
		{"error", &ErrorMsg{Status: rejected, ErrorCode: big.NewInt(300), ErrorDetails: []string{"a", "ü"}}, seq(rejectedDE, number(300), seq(utf8("a"), utf8("ü")))},
		{"error with a status alone", &ErrorMsg{Status: PKIStatusInfo{Status: Rejection}}, seq(seq(number(2)))},
		{
			"certConf",
			&CertConfirm{Statuses: []CertStatus{
				{CertHash: []byte{1, 2}, CertReqID: big.NewInt(0)},
				{CertHash: []byte{3}, CertReqID: big.NewInt(-1), StatusInfo: &rejected, HashAlg: sha256ID},
			}},
			seq(seq(octets(1, 2), number(0)), seq(octets(3), number(-1), rejectedDE, exp(0, sha256Alg))),
		},
		{"certConf that rejects all", &CertConfirm{}, seq()},
		{"pollReq", &PollReq{CertReqIDs: []*big.Int{big.NewInt(0), big.NewInt(-1)}}, seq(seq(number(0)), seq(number(-1)))},
		{"pollRep", &PollRep{Items: []PollRepItem{{CertReqID: big.NewInt(0), CheckAfter: 86400, Reason: []string{"person asked"}}, {CertReqID: big.NewInt(1), CheckAfter: -1}}}, seq(seq(number(0), number(86400), seq(utf8("person asked"))), seq(number(1), number(-1)))},
	}
	seen := map[BodyType]bool{TypeP10CR: true} // golden messages have p10cr
	for _, tt := range tests {
		seen[tt.body.Type()] = true
		t.Run(tt.name, func(t *testing.T) {
			want := seq(seq(number(2), nullDN, nullDN), exp(int(tt.body.Type()), tt.der))
			got, err := Build(&PKIHeader{PVNO: 2, Sender: nullDN, Recipient: nullDN}, tt.body, nil, nil)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("Build: %v\ngot  %x\nwant %x", err, got, want)
			}
			m, err := Parse(want, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			clearRaw(reflect.ValueOf(m))
			if !reflect.DeepEqual(m.Body, tt.body) {
				t.Errorf("Parse: got %+v, want %+v", m.Body, tt.body)
			}
		})
	}
	for typ := TypeIR; typ <= TypePollRep; typ++ {
		if !seen[typ] {
			t.Errorf("no test of %s", typ)
		}
	}
}

func TestHeaderWithEveryField(t *testing.T) {
	h := PKIHeader{
		PVNO: 3, Sender: nullDN, Recipient: imp(6, []byte("urn:x")...),
		MessageTime: yearEnd, ProtectionAlg: sha256ID,
		SenderKID: []byte{1}, RecipKID: []byte{2}, TransactionID: []byte{3}, SenderNonce: []byte{4}, RecipNonce: []byte{},
		FreeText: []string{"hi"}, GeneralInfo: []InfoTypeAndValue{NewImplicitConfirm()},
	}
	want := seq(seq(
		number(3), nullDN, imp(6, []byte("urn:x")...),
		exp(0, generalized("20301231235959")), exp(1, sha256Alg),
		exp(2, octets(1)), exp(3, octets(2)), exp(4, octets(3)), exp(5, octets(4)), exp(6, octets()),
		exp(7, seq(utf8("hi"))), exp(8, seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 4, 13), marshal(asn1.NullRawValue)))),
	), exp(19, marshal(asn1.NullRawValue)), exp(0, bits(0xaa, 0xbb)), exp(1, seq(cert1, cert2)))
	var protected []byte
	got, err := Build(&h, &PKIConf{}, [][]byte{cert1, cert2}, func(part []byte) ([]byte, error) {
		protected = bytes.Clone(part)
		return []byte{0xaa, 0xbb}, nil
	})
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("Build: %v\ngot  %x\nwant %x", err, got, want)
	}
	m, err := Parse(want, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(protected, m.ProtectedPart()) {
		t.Errorf("protected %x, ProtectedPart %x", protected, m.ProtectedPart())
	}
	var parts []asn1.RawValue
	if _, err := asn1.Unmarshal(want, &parts); err != nil {
		t.Fatal(err)
	}
	if want := seq(parts[0].FullBytes, parts[1].FullBytes); !bytes.Equal(protected, want) {
		t.Errorf("protected %x, want %x", protected, want)
	}
	clearRaw(reflect.ValueOf(m))
	if !reflect.DeepEqual(m.Header, h) {
		t.Errorf("Parse: got %+v, want %+v", m.Header, h)
	}
}

func TestBuildCutsFractionsAndParseKeepsThem(t *testing.T) {
	h := &PKIHeader{PVNO: 2, Sender: nullDN, Recipient: nullDN, MessageTime: yearEnd.Add(120 * time.Millisecond)}
	der, err := Build(h, &PKIConf{}, nil, nil)
	if err != nil || !bytes.Contains(der, []byte("20301231235959Z")) {
		t.Fatalf("%v: %x", err, der)
	}
	fraction := seq(seq(number(2), nullDN, nullDN, exp(0, generalized("20301231235959.12"))), exp(19, marshal(asn1.NullRawValue)))
	m, err := Parse(fraction, Limits{})
	if err != nil || !m.Header.MessageTime.Equal(h.MessageTime) {
		t.Fatalf("%v: %v", err, m.Header.MessageTime)
	}
	if again, err := m.Marshal(); err != nil || !bytes.Equal(again, fraction) {
		t.Errorf("%v: %x", err, again)
	}
}

func TestBuildGrowsEveryLengthForm(t *testing.T) {
	for _, n := range []int{0, 60, 120, 127, 128, 129, 255, 256, 70_000, 1 << 24} {
		body := &CertAnn{Certificate: seq(octets(make([]byte, n)...))}
		h := &PKIHeader{PVNO: 2, Sender: nullDN, Recipient: nullDN, ProtectionAlg: sha256ID}
		var part []byte
		got, err := Build(h, body, [][]byte{cert1}, func(p []byte) ([]byte, error) { part = bytes.Clone(p); return make([]byte, 32), nil })
		if err != nil {
			t.Fatal(err)
		}
		header := seq(number(2), nullDN, nullDN, exp(1, sha256Alg))
		inner := exp(16, body.Certificate)
		if !bytes.Equal(part, seq(header, inner)) || !bytes.Equal(got, seq(header, inner, exp(0, bits(make([]byte, 32)...)), exp(1, seq(cert1)))) {
			t.Errorf("%d octets: wrong framing", n)
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	good := func() *PKIHeader { return &PKIHeader{PVNO: 2, Sender: nullDN, Recipient: nullDN} }
	protected := good()
	protected.ProtectionAlg = sha256ID
	noSender := good()
	noSender.Sender = nil
	sign := func([]byte) ([]byte, error) { return []byte{1}, nil }
	secret := errors.New("token is gone")
	tests := []struct {
		name    string
		h       *PKIHeader
		body    Body
		certs   [][]byte
		protect func([]byte) ([]byte, error)
		want    string
	}{
		{"an algorithm without protection", protected, &PKIConf{}, nil, nil, "both or neither"},
		{"protection without an algorithm", good(), &PKIConf{}, nil, sign, "both or neither"},
		{"no sender", noSender, &PKIConf{}, nil, nil, "sender"},
		{"no body", good(), nil, nil, nil, "body: missing"},
		{"requests of the wrong kind", good(), requests(TypeIP), nil, nil, "ip does not have this content"},
		{"responses of the wrong kind", good(), &CertRepMessage{Kind: TypeIR}, nil, nil, "ir does not have this content"},
		{"no requests", good(), &CertReqMessages{Kind: TypeIR}, nil, nil, "empty"},
		{"no certReqId", good(), &PollReq{CertReqIDs: []*big.Int{nil}}, nil, nil, "missing"},
		{"a certificate that is none", good(), &CertAnn{Certificate: []byte{2, 1, 1}}, nil, nil, "certificate"},
		{"an extra certificate that is none", good(), &PKIConf{}, [][]byte{nil}, nil, "certificate"},
		{"both certificate and encrypted one", good(), &CertRepMessage{Kind: TypeIP, Responses: []CertResponse{{CertReqID: big.NewInt(0), CertifiedKeyPair: &CertifiedKeyPair{Certificate: cert1, EncryptedCert: &crmf.EncryptedKey{Enveloped: enveloped}}}}}, nil, nil, "exactly one"},
		{"text that is not UTF-8", good(), &ErrorMsg{Status: PKIStatusInfo{StatusString: []string{"\xff"}}}, nil, nil, "UTF-8"},
		{"a protection that fails", protected, &PKIConf{}, nil, func([]byte) ([]byte, error) { return nil, secret }, "token is gone"},
		{"an empty protection", protected, &PKIConf{}, nil, func([]byte) ([]byte, error) { return nil, nil }, "no protection"},
		{"a nested message that is nil", good(), &Nested{Messages: []*PKIMessage{nil}}, nil, nil, "missing"},
		{"no time", good(), &RevAnn{CertID: certID}, nil, nil, "time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			der, err := Build(tt.h, tt.body, tt.certs, tt.protect)
			if err == nil || der != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %x, %v; want %q", der, err, tt.want)
			}
		})
	}
}

func TestAppendBody(t *testing.T) {
	got, err := AppendBody([]byte{0xaa}, &PKIConf{})
	if want := append([]byte{0xaa}, exp(19, null)...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v; want %x", got, err, want)
	}
	if got, err := AppendBody(nil, requests(TypeError)); err == nil {
		t.Errorf("%x", got)
	}
}

// One malformed message must not keep the others of a batch from an answer.
func TestNestedRawOfABatchWithAMalformedMessage(t *testing.T) {
	good, bad := message(header(), exp(19, null)), message(header(), exp(19))
	m, err := Parse(message(header(), exp(20, seq(good, bad))), Limits{})
	if !errors.Is(err, ErrBody) || m.Body != nil {
		t.Fatalf("%v", err)
	}
	list, err := m.NestedRaw(Limits{})
	if err != nil || len(list) != 2 || !bytes.Equal(list[0], good) || !bytes.Equal(list[1], bad) {
		t.Errorf("%x, %v", list, err)
	}
	if list, err := m.NestedRaw(Limits{NestedMessages: 1}); !errors.Is(err, ErrLimit) {
		t.Errorf("%x, %v", list, err)
	}
	for name, body := range map[string][]byte{"another body": exp(19, null), "no messages": exp(20, seq()), "no sequence": exp(20, null), "two": exp(20, seq(good), seq(good))} {
		if list, err := (&PKIMessage{RawBody: body}).NestedRaw(Limits{}); err == nil {
			t.Errorf("%s: %x", name, list)
		}
	}
}

func TestNestedKeepsReceivedOctets(t *testing.T) {
	inner := parseGolden(t, "ir.pki")
	inner.Header.PVNO = 9 // must not matter: the octets are protected
	h := &PKIHeader{PVNO: 3, Sender: nullDN, Recipient: nullDN}
	der, err := Build(h, &Nested{Messages: []*PKIMessage{inner, {Raw: golden(t, "cr.pki")}}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(der, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	list := m.Body.(*Nested).Messages
	if len(list) != 2 || !bytes.Equal(list[0].Raw, golden(t, "ir.pki")) || !bytes.Equal(list[1].Raw, golden(t, "cr.pki")) {
		t.Errorf("the inner messages changed")
	}
}
