package crmf

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// The expected octets of these tests come from encoding/asn1.

func raw(class, tag int, compound bool, parts ...[]byte) []byte {
	return marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: bytes.Join(parts, nil)})
}

func seq(parts ...[]byte) []byte        { return raw(0, asn1.TagSequence, true, parts...) }
func ctx(n int, parts ...[]byte) []byte { return raw(asn1.ClassContextSpecific, n, true, parts...) }
func imp(n int, contents ...byte) []byte {
	return raw(asn1.ClassContextSpecific, n, false, contents)
}
func bits(b ...byte) []byte         { return marshal(asn1.BitString{Bytes: b, BitLength: 8 * len(b)}) }
func oid(arcs ...int) []byte        { return marshal(asn1.ObjectIdentifier(arcs)) }
func utf8String(text string) []byte { return raw(0, asn1.TagUTF8String, false, []byte(text)) }
func regCtrl(n int) []byte          { return oid(1, 3, 6, 1, 5, 5, 7, 5, 1, n) }
func utc(text string) []byte        { return raw(0, asn1.TagUTCTime, false, []byte(text)) }
func later(text string) []byte      { return raw(0, asn1.TagGeneralizedTime, false, []byte(text)) }

func marshal(v any) []byte {
	b, err := asn1.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

var (
	null      = marshal(asn1.NullRawValue)
	someAlg   = pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}
	algDER    = seq(oid(1, 3, 101, 112))
	key       = pkix.SubjectPublicKeyInfo(seq(algDER, bits(1, 2, 3)))
	name      = pkix.Name(seq(raw(0, 17, true, seq(oid(2, 5, 4, 3), utf8String("x")))))
	general   = pkix.NewDirectoryName(name)
	mac       = &PKMACValue{Algorithm: someAlg, Value: []byte{9}}
	enveloped = seq(marshal(2), marshal([]byte{7}))
)

func request(popo ...[]byte) []byte {
	return seq(append([][]byte{seq(marshal(0), seq())}, popo...)...)
}

func TestTemplateWithEveryField(t *testing.T) {
	version := 2
	tmpl := CertTemplate{
		Version: &version, SerialNumber: big.NewInt(-200), SigningAlg: someAlg, Issuer: name,
		Validity: &pkix.Validity{NotBefore: time.Date(2049, 12, 31, 23, 59, 59, 0, time.UTC), NotAfter: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
		Subject:  pkix.EmptyName, PublicKey: key, IssuerUID: []byte{3, 0xf8}, SubjectUID: []byte{0},
		Extensions: []pkix.Extension{pkix.KeyUsageExtension(pkix.DigitalSignature), pkix.SubjectKeyIDExtension([]byte{1})},
	}
	want := seq(
		imp(0, 2), imp(1, 0xff, 0x38), ctx(2, oid(1, 3, 101, 112)), ctx(3, name),
		ctx(4, ctx(0, utc("491231235959Z")), ctx(1, later("20500101000000Z"))),
		ctx(5, seq()), ctx(6, algDER, bits(1, 2, 3)), imp(7, 3, 0xf8), imp(8, 0),
		ctx(9, seq(oid(2, 5, 29, 15), marshal(true), marshal([]byte{3, 2, 7, 0x80})), seq(oid(2, 5, 29, 14), marshal([]byte{4, 1, 1}))),
	)
	var b cryptobyte.Builder
	tmpl.Add(&b)
	if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v\ngot  %x\nwant %x", err, got, want)
	}
	s := cryptobyte.String(want)
	got, err := ReadCertTemplate(&s)
	if err != nil || !bytes.Equal(got.Raw, want) {
		t.Fatalf("%v: %x", err, got.Raw)
	}
	got.Raw = nil
	if !reflect.DeepEqual(got, tmpl) {
		t.Errorf("got %+v, want %+v", got, tmpl)
	}
	if got.PublicKey.Algorithm().OID != someAlg.OID {
		t.Errorf("the key has no SEQUENCE tag: %x", []byte(got.PublicKey))
	}
}

func TestProofsOfPossession(t *testing.T) {
	withSender := &POPOSigningKeyInput{Sender: general, PublicKey: key}
	withMAC := &POPOSigningKeyInput{PublicKeyMAC: mac, PublicKey: key}
	macDER := [][]byte{algDER, bits(9)}
	tests := []struct {
		name string
		popo ProofOfPossession
		der  []byte
	}{
		{"raVerified", RAVerified{}, imp(0)},
		{"signature", &POPOSigningKey{Algorithm: someAlg, Signature: []byte{1}}, ctx(1, algDER, bits(1))},
		{"signature over input with sender", &POPOSigningKey{Input: withSender, Algorithm: someAlg, Signature: []byte{}}, ctx(1, ctx(0, ctx(0, general), key), algDER, bits())},
		{"signature over input with MAC", &POPOSigningKey{Input: withMAC, Algorithm: someAlg, Signature: []byte{1}}, ctx(1, ctx(0, seq(macDER...), key), algDER, bits(1))},
		{"keyEncipherment thisMessage", &POPOPrivKey{Use: KeyEncipherment, Form: ThisMessage, Bits: []byte{5}}, ctx(2, imp(0, 0, 5))},
		{"keyEncipherment encrCert", &POPOPrivKey{Use: KeyEncipherment, Form: SubsequentMessage, Subsequent: EncrCert}, ctx(2, imp(1, 0))},
		{"keyAgreement challengeResp", &POPOPrivKey{Use: KeyAgreement, Form: SubsequentMessage, Subsequent: ChallengeResp}, ctx(3, imp(1, 1))},
		{"keyAgreement dhMAC", &POPOPrivKey{Use: KeyAgreement, Form: DHMAC, Bits: []byte{6}}, ctx(3, imp(2, 0, 6))},
		{"keyAgreement agreeMAC", &POPOPrivKey{Use: KeyAgreement, Form: AgreeMAC, MAC: mac}, ctx(3, ctx(3, macDER...))},
		{"keyEncipherment encryptedKey", &POPOPrivKey{Use: KeyEncipherment, Form: EncryptedKeyPOP, Enveloped: enveloped}, ctx(2, ctx(4, marshal(2), marshal([]byte{7})))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := request(tt.der)
			s := cryptobyte.String(want)
			m, err := ReadCertReqMsg(&s)
			if err != nil {
				t.Fatal(err)
			}
			if p, ok := m.POPO.(*POPOSigningKey); ok && p.Input != nil {
				// What is signed has the SEQUENCE tag.
				signed, err := p.Input.Bytes()
				if err != nil || !bytes.Equal(signed, p.Input.Raw) || p.Input.Raw[0] != 0x30 {
					t.Errorf("poposkInput %x, raw %x, %v", signed, p.Input.Raw, err)
				}
				p.Input.Raw = nil
			}
			if !reflect.DeepEqual(m.POPO, tt.popo) {
				t.Errorf("got %+v, want %+v", m.POPO, tt.popo)
			}
			built := CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: tt.popo}
			var b cryptobyte.Builder
			built.Add(&b)
			if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%v\ngot  %x\nwant %x", err, got, want)
			}
		})
	}
}

func TestRequestWithControlsAndRegInfo(t *testing.T) {
	token, err := NewRegToken("secret")
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := NewUTF8Pairs([]Pair{{"version", "1"}})
	if err != nil {
		t.Fatal(err)
	}
	certReq := seq(marshal(77), seq(), seq(seq(regCtrl(1), utf8String("secret"))))
	want := seq(certReq, imp(0), seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 5, 2, 1), utf8String("version?1%"))))
	m := CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(77), Controls: []Attribute{token}}, POPO: RAVerified{}, RegInfo: []Attribute{pairs}}
	var b cryptobyte.Builder
	m.Add(&b)
	if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v\ngot  %x\nwant %x", err, got, want)
	}
	s := cryptobyte.String(want)
	got, err := ReadCertReqMsg(&s)
	if err != nil || !bytes.Equal(got.Raw, want) || !bytes.Equal(got.CertReq.Raw, certReq) {
		t.Fatalf("%v: %+v", err, got)
	}
	if signed, err := got.CertReq.Bytes(); err != nil || !bytes.Equal(signed, certReq) {
		t.Errorf("%v: %x", err, signed)
	}
	if a, ok := Find(got.CertReq.Controls, OIDRegToken); !ok || !bytes.Equal(a.Value, utf8String("secret")) {
		t.Errorf("controls %+v", got.CertReq.Controls)
	}
	if _, ok := Find(got.RegInfo, OIDRegToken); ok {
		t.Error("regToken in regInfo")
	}
}

func TestReadCertReqMsgRefuses(t *testing.T) {
	tests := []struct {
		name, want string
		der        []byte
	}{
		{"nothing inside", "certReq", seq()},
		{"no template", "certReq: certTemplate", seq(seq(marshal(0)))},
		{"no certReqId", "certReq: certReqId", seq(seq(seq()))},
		{"a certReqId that is long", "certReq: certReqId", seq(seq(raw(0, 2, false, []byte{0, 1}), seq()))},
		{"an empty regInfo", "regInfo: empty", request(imp(0), seq())},
		{"an attribute without value", "regInfo", request(imp(0), seq(seq(oid(1, 2))))},
		{"an attribute with two values", "regInfo", request(imp(0), seq(seq(oid(1, 2), null, null)))},
		{"two proofs", "unexpected element with tag 0x80", request(imp(0), imp(0))},
		{"a template field twice", "certTemplate: unexpected element with tag 0x81", seq(seq(marshal(0), seq(imp(1, 1), imp(1, 1))))},
		{"issuer as implicit Name", "issuer", seq(seq(marshal(0), seq(ctx(3, raw(0, 17, true, seq(oid(2, 5, 4, 3), utf8String("x")))))))},
		{"subject with more after it", "subject", seq(seq(marshal(0), seq(ctx(5, seq(), null))))},
		{"publicKey with explicit tag", "publicKey", seq(seq(marshal(0), seq(ctx(6, key))))},
		{"issuerUID with padding set", "issuerUID", seq(seq(marshal(0), seq(imp(7, 3, 0xff))))},
		{"subjectUID without unused bits", "subjectUID", seq(seq(marshal(0), seq(imp(8))))},
		{"version beyond an int64", "version", seq(seq(marshal(0), seq(imp(0, 1, 0, 0, 0, 0, 0, 0, 0, 0))))},
		{"validity out of order", "validity", seq(seq(marshal(0), seq(ctx(4, ctx(1, utc("300101000000Z")), ctx(0, utc("300101000000Z"))))))},
		{"validity with two times in one", "validity", seq(seq(marshal(0), seq(ctx(4, ctx(0, utc("300101000000Z"), null)))))},
		{"poposkInput without a key", "poposkInput: publicKey", request(ctx(1, ctx(0, ctx(0, general)), algDER, bits(1)))},
		{"poposkInput with both", "poposkInput: unexpected element with tag 0x30", request(ctx(1, ctx(0, ctx(0, general), seq(algDER, bits(9)), key), algDER, bits(1)))},
		{"poposkInput with neither", "poposkInput: publicKeyMAC", request(ctx(1, ctx(0), algDER, bits(1)))},
		{"an empty keyEncipherment", "keyEncipherment", request(ctx(2))},
		{"keyEncipherment with two forms", "keyEncipherment: unexpected", request(ctx(2, imp(1, 0), imp(1, 0)))},
		{"dhMAC with unused bits", "dhMAC", request(ctx(3, imp(2, 1, 2)))},
		{"agreeMAC without a value", "agreeMAC: value", request(ctx(3, ctx(3, algDER)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cryptobyte.String(tt.der)
			if m, err := ReadCertReqMsg(&s); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want %q", m, err, tt.want)
			}
		})
	}
}

func TestWritingRefuses(t *testing.T) {
	for name, m := range map[string]CertReqMsg{
		"no certReqId":        {},
		"an empty validity":   {CertReq: CertRequest{CertReqID: big.NewInt(0), Template: CertTemplate{Validity: &pkix.Validity{}}}},
		"neither in input":    {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOSigningKey{Algorithm: someAlg, Input: &POPOSigningKeyInput{PublicKey: key}}},
		"both in input":       {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOSigningKey{Algorithm: someAlg, Input: &POPOSigningKeyInput{Sender: general, PublicKeyMAC: mac, PublicKey: key}}},
		"no key in input":     {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOSigningKey{Algorithm: someAlg, Input: &POPOSigningKeyInput{Sender: general}}},
		"no algorithm":        {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOSigningKey{}},
		"no use":              {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOPrivKey{Form: SubsequentMessage}},
		"no such form":        {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOPrivKey{Use: KeyAgreement, Form: 5}},
		"no MAC":              {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOPrivKey{Use: KeyAgreement, Form: AgreeMAC}},
		"no EnvelopedData":    {CertReq: CertRequest{CertReqID: big.NewInt(0)}, POPO: &POPOPrivKey{Use: KeyAgreement, Form: EncryptedKeyPOP}},
		"a control, no value": {CertReq: CertRequest{CertReqID: big.NewInt(0), Controls: []Attribute{{Type: OIDRegToken}}}},
	} {
		var b cryptobyte.Builder
		m.Add(&b)
		if der, err := b.Bytes(); err == nil {
			t.Errorf("%s: %x", name, der)
		}
	}
}

func clearRaw(m *CertReqMsg) {
	m.Raw, m.CertReq.Raw, m.CertReq.Template.Raw = nil, nil, nil
	if p, ok := m.POPO.(*POPOSigningKey); ok && p.Input != nil {
		p.Input.Raw = nil
	}
}

// FuzzReadCertReqMsg: what is accepted is written again from its fields.
func FuzzReadCertReqMsg(f *testing.F) {
	files, err := filepath.Glob("testdata/*.crmf")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	macDER := [][]byte{algDER, bits(9)}
	for _, popo := range [][]byte{
		imp(0), ctx(1, ctx(0, ctx(0, general), key), algDER, bits()), ctx(1, ctx(0, seq(macDER...), key), algDER, bits(1)),
		ctx(2, imp(0, 0, 5)), ctx(3, imp(2, 0, 6)), ctx(3, ctx(3, macDER...)), ctx(2, ctx(4, marshal(2), marshal([]byte{7}))),
	} {
		f.Add(request(popo))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if der.Scan(b, der.Limits{}) != nil {
			return
		}
		s := cryptobyte.String(b)
		m, err := ReadCertReqMsg(&s)
		if err != nil || !s.Empty() {
			return
		}
		for _, a := range append(m.CertReq.Controls, m.RegInfo...) {
			readAll(a)
		}
		clearRaw(&m)
		var out cryptobyte.Builder
		m.Add(&out)
		if again, err := out.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v\nread    %x\nwritten %x", err, b, again)
		}
	})
}

// readAll runs every typed codec; none may panic.
func readAll(a Attribute) {
	a.RegToken()
	a.Authenticator()
	a.PKIPublicationInfo()
	a.PKIArchiveOptions()
	a.OldCertID()
	a.ProtocolEncrKey()
	a.AltCertTemplate()
	a.AlgID()
	a.RSAKeyLen()
	a.UTF8Pairs()
	a.CertReqInfo()
}
