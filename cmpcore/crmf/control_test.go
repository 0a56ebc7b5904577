package crmf

import (
	"bytes"
	"math/big"
	"reflect"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/pkix"
)

func TestEveryAttributeIsWhatTheModuleSays(t *testing.T) {
	must := func(a Attribute, err error) Attribute {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	yes, no := true, false
	info := PKIPublicationInfo{Action: 1, Infos: []SinglePubInfo{{Method: 3, Location: general}, {Method: 0}}}
	value := EncryptedKey{Value: &EncryptedValue{IntendedAlg: someAlg, SymmAlg: someAlg, EncSymmKey: []byte{1}, KeyAlg: someAlg, ValueHint: []byte{}, EncValue: []byte{2}}}
	valueDER := seq(ctx(0, oid(1, 3, 101, 112)), ctx(1, oid(1, 3, 101, 112)), imp(2, 0, 1), ctx(3, oid(1, 3, 101, 112)), imp(4), bits(2))
	cms := EncryptedKey{Enveloped: enveloped}
	id := CertID{Issuer: general, SerialNumber: big.NewInt(128)}
	alt := Attribute{Type: pkix.MustOID("1.2.3"), Value: null}
	tests := []struct {
		name string
		attr Attribute
		typ  []byte
		der  []byte
		read any
		want any
	}{
		{"regToken", must(NewRegToken("tök")), regCtrl(1), utf8String("tök"), Attribute.RegToken, "tök"},
		{"authenticator", must(NewAuthenticator("")), regCtrl(2), utf8String(""), Attribute.Authenticator, ""},
		{"pkiPublicationInfo", must(NewPKIPublicationInfo(info)), regCtrl(3), seq(marshal(1), seq(seq(marshal(3), general), seq(marshal(0)))), Attribute.PKIPublicationInfo, info},
		{"dontPublish", must(NewPKIPublicationInfo(PKIPublicationInfo{})), regCtrl(3), seq(marshal(0)), Attribute.PKIPublicationInfo, PKIPublicationInfo{}},
		{"archive encryptedValue", must(NewPKIArchiveOptions(PKIArchiveOptions{EncryptedPrivKey: &value})), regCtrl(4), ctx(0, valueDER), Attribute.PKIArchiveOptions, PKIArchiveOptions{EncryptedPrivKey: &value}},
		{"archive envelopedData", must(NewPKIArchiveOptions(PKIArchiveOptions{EncryptedPrivKey: &cms})), regCtrl(4), ctx(0, ctx(0, marshal(2), marshal([]byte{7}))), Attribute.PKIArchiveOptions, PKIArchiveOptions{EncryptedPrivKey: &cms}},
		{"archive keyGenParameters", must(NewPKIArchiveOptions(PKIArchiveOptions{KeyGenParameters: []byte{4}})), regCtrl(4), imp(1, 4), Attribute.PKIArchiveOptions, PKIArchiveOptions{KeyGenParameters: []byte{4}}},
		{"archive true", must(NewPKIArchiveOptions(PKIArchiveOptions{ArchiveRemGenPriv: &yes})), regCtrl(4), imp(2, 0xff), Attribute.PKIArchiveOptions, PKIArchiveOptions{ArchiveRemGenPriv: &yes}},
		{"archive false", must(NewPKIArchiveOptions(PKIArchiveOptions{ArchiveRemGenPriv: &no})), regCtrl(4), imp(2, 0), Attribute.PKIArchiveOptions, PKIArchiveOptions{ArchiveRemGenPriv: &no}},
		{"oldCertID", must(NewOldCertID(id)), regCtrl(5), seq(general, marshal(128)), Attribute.OldCertID, id},
		{"protocolEncrKey", must(NewProtocolEncrKey(key)), regCtrl(6), key, Attribute.ProtocolEncrKey, key},
		{"altCertTemplate", must(NewAltCertTemplate(alt)), regCtrl(7), seq(oid(1, 2, 3), null), Attribute.AltCertTemplate, alt},
		{"algId", must(NewAlgID(someAlg)), regCtrl(11), algDER, Attribute.AlgID, someAlg},
		{"rsaKeyLen", must(NewRSAKeyLen(4096)), regCtrl(12), marshal(4096), Attribute.RSAKeyLen, 4096},
		{"utf8Pairs", must(NewUTF8Pairs([]Pair{{"a", "1%2?3"}, {"b", ""}})), oid(1, 3, 6, 1, 5, 5, 7, 5, 2, 1), utf8String("a?1%252%3f3%b?%"), Attribute.UTF8Pairs, []Pair{{"a", "1%2?3"}, {"b", ""}}},
		{"certReq", must(NewCertReqInfo(CertRequest{CertReqID: big.NewInt(3)})), oid(1, 3, 6, 1, 5, 5, 7, 5, 2, 2), seq(marshal(3), seq()), Attribute.CertReqInfo, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b cryptobyte.Builder
			AddControls(&b, []Attribute{tt.attr})
			want := seq(seq(tt.typ, tt.der))
			if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%v\ngot  %x\nwant %x", err, got, want)
			}
			read := func(a Attribute) (any, error) {
				out := reflect.ValueOf(tt.read).Call([]reflect.Value{reflect.ValueOf(a)})
				err, _ := out[1].Interface().(error)
				return out[0].Interface(), err
			}
			got, err := read(tt.attr)
			if err != nil || tt.want != nil && !reflect.DeepEqual(got, tt.want) {
				t.Errorf("read %+v, %v; want %+v", got, err, tt.want)
			}
			for what, bad := range map[string]Attribute{
				"another type":  {Type: pkix.MustOID("1.2.3"), Value: tt.attr.Value},
				"another value": {Type: tt.attr.Type, Value: raw(0, 19, false)},
				"no value":      {Type: tt.attr.Type},
				"two values":    {Type: tt.attr.Type, Value: append(bytes.Clone(tt.attr.Value), null...)},
			} {
				if got, err := read(bad); err == nil {
					t.Errorf("%s: read %+v", what, got)
				}
			}
		})
	}
}

func TestControlsRefuse(t *testing.T) {
	tests := []struct {
		name string
		typ  pkix.OID
		der  []byte
	}{
		{"action 2", OIDPKIPublicationInfo, seq(marshal(2))},
		{"no pubInfos", OIDPKIPublicationInfo, seq(marshal(1), seq())},
		{"pubMethod 4", OIDPKIPublicationInfo, seq(marshal(1), seq(seq(marshal(4))))},
		{"two locations", OIDPKIPublicationInfo, seq(marshal(1), seq(seq(marshal(0), general, general)))},
		{"archive BOOLEAN 1", OIDPKIArchiveOptions, imp(2, 1)},
		{"archive with an implicit key", OIDPKIArchiveOptions, ctx(0, bits(1))},
		{"archive with two keys", OIDPKIArchiveOptions, ctx(0, seq(bits(1)), seq(bits(1)))},
		{"oldCertID without serial", OIDOldCertID, seq(general)},
		{"oldCertID with a Name", OIDOldCertID, seq(name, marshal(1))},
		{"rsaKeyLen 0", OIDRSAKeyLen, marshal(0)},
		{"rsaKeyLen -1", OIDRSAKeyLen, marshal(-1)},
	}
	for _, tt := range tests {
		a := Attribute{Type: tt.typ, Value: tt.der}
		_, e1 := a.PKIPublicationInfo()
		_, e2 := a.PKIArchiveOptions()
		_, e3 := a.OldCertID()
		_, e4 := a.RSAKeyLen()
		if e1 == nil || e2 == nil || e3 == nil || e4 == nil {
			t.Errorf("%s accepted", tt.name)
		}
	}
	yes := true
	for name, o := range map[string]PKIArchiveOptions{
		"nothing": {},
		"two":     {KeyGenParameters: []byte{1}, ArchiveRemGenPriv: &yes},
		"neither": {EncryptedPrivKey: &EncryptedKey{}},
	} {
		if a, err := NewPKIArchiveOptions(o); err == nil {
			t.Errorf("%s: %x", name, a.Value)
		}
	}
	if _, err := NewRSAKeyLen(0); err == nil {
		t.Error("rsaKeyLen 0 written")
	}
	if _, err := NewRegToken("\xff"); err == nil {
		t.Error("regToken that is not UTF-8 written")
	}
}

// RFC 4211 section 7.1 and appendix A.
func TestPairs(t *testing.T) {
	tests := []struct {
		text string
		want []Pair
	}{
		{"", nil},
		{"version?1%corp_company?Acme, Inc.%org_unit?Engineering%", []Pair{{"version", "1"}, {"corp_company", "Acme, Inc."}, {"org_unit", "Engineering"}}},
		{"a?1", []Pair{{"a", "1"}}},
		{"a?%", []Pair{{"a", ""}}},
		{"a?what%3f%b?100%25%", []Pair{{"a", "what?"}, {"b", "100%"}}},
		{"a?1%abc?2%", []Pair{{"a", "1"}, {"abc", "2"}}}, // %ab is no escape: names start with letters
		{"a?x%3Fy%", []Pair{{"a", "x?y"}}},
		{"a?x%4", []Pair{{"a", "x"}, {}}},
	}
	for _, tt := range tests {
		got, err := ParsePairs(tt.text)
		if len(tt.want) > 0 && tt.want[len(tt.want)-1] == (Pair{}) {
			if err == nil {
				t.Errorf("%q: %v", tt.text, got)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%q: %v, %v", tt.text, got, err)
		}
	}
	for _, bad := range []string{"a", "a%", "?1%", "a?1%?2%", "a?1?2%", "%", "a?%80%"} {
		if got, err := ParsePairs(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
	for _, bad := range []Pair{{"", "1"}, {"1a", "1"}} {
		if text, err := FormatPairs([]Pair{bad}); err == nil {
			t.Errorf("%v: %q", bad, text)
		}
	}
}

func FuzzPairs(f *testing.F) {
	f.Add("version?1%corp_company?Acme, Inc.%")
	f.Add("a?what%3f%b?100%25%")
	f.Fuzz(func(t *testing.T, text string) {
		pairs, err := ParsePairs(text)
		if err != nil {
			return
		}
		again, err := FormatPairs(pairs)
		if err != nil {
			return // a name that starts with a digit after its escapes
		}
		back, err := ParsePairs(again)
		if err != nil || !reflect.DeepEqual(back, pairs) {
			t.Fatalf("%q: %v, then %q: %v, %v", text, pairs, again, back, err)
		}
	})
}
