package cmp

import (
	"bytes"
	"math/big"
	"reflect"
	"testing"
	"time"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func TestEveryInfoIsWhatTheModuleSays(t *testing.T) {
	must := func(i InfoTypeAndValue, err error) InfoTypeAndValue {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	algs := []pkix.AlgorithmIdentifier{sha256ID, {OID: pkix.MustOID("1.3.101.112"), Parameters: pkix.Null}}
	algsDER := seq(sha256Alg, seq(oid(1, 3, 101, 112), null))
	uri, err := pkix.NewURI("http://ca.example/crl")
	if err != nil {
		t.Fatal(err)
	}
	uriDER := imp(6, []byte("http://ca.example/crl")...)
	rdn := seq(oid(2, 5, 4, 3), utf8("part"))
	version := 2
	keyLen, err := crmf.NewRSAKeyLen(3072)
	if err != nil {
		t.Fatal(err)
	}
	update := CAKeyUpdAnn{OldWithNew: cert1, NewWithOld: cert2, NewWithNew: cert3}
	rootUpdate := CAKeyUpdAnn{RootForm: true, NewWithOld: cert2, NewWithNew: cert3}
	tests := []struct {
		n    int // id-it
		info InfoTypeAndValue
		der  []byte
		read any // the method that reads it
		want any
	}{
		{1, must(NewCAProtEncCert(cert1)), cert1, InfoTypeAndValue.CAProtEncCert, cert1},
		{2, must(NewSignKeyPairTypes(algs)), algsDER, InfoTypeAndValue.SignKeyPairTypes, algs},
		{3, must(NewEncKeyPairTypes(algs)), algsDER, InfoTypeAndValue.EncKeyPairTypes, algs},
		{4, must(NewPreferredSymmAlg(sha256ID)), sha256Alg, InfoTypeAndValue.PreferredSymmAlg, sha256ID},
		{5, must(NewCAKeyUpdateInfo(update)), seq(cert1, cert2, cert3), InfoTypeAndValue.CAKeyUpdateInfo, update},
		{6, must(NewCurrentCRL(cert2)), cert2, InfoTypeAndValue.CurrentCRL, cert2},
		{7, must(NewUnsupportedOIDs([]pkix.OID{OIDCRLs, OIDCACerts})), seq(oid(1, 3, 6, 1, 5, 5, 7, 4, 23), oid(1, 3, 6, 1, 5, 5, 7, 4, 17)), InfoTypeAndValue.UnsupportedOIDs, []pkix.OID{OIDCRLs, OIDCACerts}},
		{10, must(NewKeyPairParamReq(sha256ID.OID)), oid(2, 16, 840, 1, 101, 3, 4, 2, 1), InfoTypeAndValue.KeyPairParamReq, sha256ID.OID},
		{11, must(NewKeyPairParamRep(algs[1])), seq(oid(1, 3, 101, 112), null), InfoTypeAndValue.KeyPairParamRep, algs[1]},
		{12, must(NewRevPassphrase(crmf.EncryptedKey{Enveloped: enveloped})), implicitEnveloped(0), InfoTypeAndValue.RevPassphrase, crmf.EncryptedKey{Enveloped: enveloped}},
		{14, must(NewConfirmWaitTime(yearEnd.Add(time.Millisecond))), generalized("20301231235959"), InfoTypeAndValue.ConfirmWaitTime, yearEnd},
		{16, must(NewSuppLangTags([]string{"de", "en-GB"})), seq(utf8("de"), utf8("en-GB")), InfoTypeAndValue.SuppLangTags, []string{"de", "en-GB"}},
		{16, must(NewSuppLangTags(nil)), seq(), InfoTypeAndValue.SuppLangTags, []string(nil)},
		{17, must(NewCACerts([][]byte{cert1, cert2})), seq(cert1, cert2), InfoTypeAndValue.CACerts, [][]byte{cert1, cert2}},
		{18, must(NewRootCAKeyUpdate(rootUpdate)), seq(cert3, exp(0, cert2)), InfoTypeAndValue.RootCAKeyUpdate, rootUpdate},
		{
			19, must(NewCertReqTemplate(CertReqTemplate{
				Template: crmf.CertTemplate{Version: &version, Subject: pkix.EmptyName, Extensions: []pkix.Extension{pkix.KeyUsageExtension(pkix.DigitalSignature)}},
				KeySpec:  []crmf.Attribute{keyLen},
			})),
			seq(seq(imp(0, 2), exp(5, seq()), exp(9, seq(oid(2, 5, 29, 15), marshal(true), octets(3, 2, 7, 0x80)))), seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 5, 1, 12), number(3072)))),
			InfoTypeAndValue.CertReqTemplate, nil,
		},
		{20, must(NewRootCACert(cert1)), cert1, InfoTypeAndValue.RootCACert, cert1},
		{21, must(NewCertProfile([]string{"device"})), seq(utf8("device")), InfoTypeAndValue.CertProfile, []string{"device"}},
		{
			22, must(NewCRLStatusList([]CRLStatus{
				{FullName: []pkix.GeneralName{uri}, ThisUpdate: yearEnd},
				{RelativeName: rdn},
				{Issuer: []pkix.GeneralName{nullDN}, ThisUpdate: time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)},
			})),
			seq(
				seq(exp(0, exp(0, uriDER)), raw(0, 23, false, []byte("301231235959Z"))),
				seq(exp(0, exp(1, rdn))),
				seq(exp(1, seq(nullDN)), generalized("20500101000000")),
			),
			InfoTypeAndValue.CRLStatusList, nil,
		},
		{23, must(NewCRLs([][]byte{cert1})), seq(cert1), InfoTypeAndValue.CRLs, [][]byte{cert1}},
		{24, must(NewKEMCiphertextInfo(KEMCiphertextInfo{KEM: sha256ID, Ciphertext: []byte{1, 2}})), seq(sha256Alg, octets(1, 2)), InfoTypeAndValue.KEMCiphertextInfo, KEMCiphertextInfo{KEM: sha256ID, Ciphertext: []byte{1, 2}}},
	}
	for _, tt := range tests {
		t.Run(InfoName(tt.info.Type), func(t *testing.T) {
			want := seq(oid(1, 3, 6, 1, 5, 5, 7, 4, tt.n), tt.der)
			body := message(header(), exp(21, seq(want)))
			m, err := Parse(body, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := m.Body.(*GenMsg).Infos[0]
			if got.Type != tt.info.Type || !bytes.Equal(got.Value, tt.info.Value) {
				t.Fatalf("written %s %x\nwant    %x", tt.info.Type, tt.info.Value, tt.der)
			}
			read := func(i InfoTypeAndValue) (any, error) {
				out := reflect.ValueOf(tt.read).Call([]reflect.Value{reflect.ValueOf(i)})
				err, _ := out[1].Interface().(error)
				return out[0].Interface(), err
			}
			v, err := read(got)
			if err != nil || tt.want != nil && !reflect.DeepEqual(v, tt.want) {
				t.Errorf("read %+v, %v; want %+v", v, err, tt.want)
			}
			for what, bad := range map[string]InfoTypeAndValue{
				"no value":      {Type: got.Type},
				"another type":  {Type: "\x2a\x03", Value: got.Value},
				"another value": {Type: got.Type, Value: marshal(true)},
				"two values":    {Type: got.Type, Value: append(bytes.Clone(got.Value), null...)},
			} {
				if v, err := read(bad); err == nil {
					t.Errorf("%s: read %+v", what, v)
				}
			}
		})
	}
}

func TestReadStructuredInfos(t *testing.T) {
	info := InfoTypeAndValue{Type: OIDCertReqTemplate, Value: seq(seq(imp(0, 2), exp(5, seq())), seq(seq(oid(1, 3, 6, 1, 5, 5, 7, 5, 1, 12), number(3072)), seq(oid(1, 3, 6, 1, 5, 5, 7, 5, 1, 11), sha256Alg)))}
	tmpl, err := info.CertReqTemplate()
	if err != nil || *tmpl.Template.Version != 2 || !tmpl.Template.Subject.IsEmpty() || len(tmpl.KeySpec) != 2 {
		t.Fatalf("%+v, %v", tmpl, err)
	}
	if n, err := tmpl.KeySpec[0].RSAKeyLen(); err != nil || n != 3072 {
		t.Errorf("rsaKeyLen %d, %v", n, err)
	}
	if a, err := tmpl.KeySpec[1].AlgID(); err != nil || !a.Equal(sha256ID) {
		t.Errorf("algId %v, %v", a, err)
	}

	info = InfoTypeAndValue{Type: OIDCRLStatusList, Value: seq(seq(exp(0, exp(0, imp(6, 'x'))), generalized("20500101000000")), seq(exp(1, seq(nullDN))))}
	list, err := info.CRLStatusList()
	if err != nil || len(list) != 2 || list[0].FullName[0].String() != "URI:x" || list[0].ThisUpdate.Year() != 2050 || !list[1].Issuer[0].Equal(nullDN) || !list[1].ThisUpdate.IsZero() {
		t.Errorf("%+v, %v", list, err)
	}
	for name, bad := range map[string][]byte{
		"no source":              seq(seq()),
		"a source of no kind":    seq(seq(exp(2, seq(nullDN)))),
		"no names":               seq(seq(exp(1, seq()))),
		"a malformed RDN":        seq(seq(exp(0, exp(1, null)))),
		"two sources":            seq(seq(exp(0, exp(0, imp(6, 'x'))), exp(1, seq(nullDN)))),
		"implicit instead":       seq(seq(exp(1, nullDN))),
		"thisUpdate as a number": seq(seq(exp(1, seq(nullDN)), number(1))),
	} {
		if list, err := (InfoTypeAndValue{Type: OIDCRLStatusList, Value: bad}).CRLStatusList(); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
	for _, c := range []CRLStatus{{}, {FullName: []pkix.GeneralName{nullDN}, Issuer: []pkix.GeneralName{nullDN}}} {
		if _, err := NewCRLStatusList([]CRLStatus{c}); err == nil {
			t.Errorf("%+v written", c)
		}
	}
}

func TestOrigPKIMessage(t *testing.T) {
	ir := parseGolden(t, "ir.pki")
	info, err := NewOrigPKIMessage([]*PKIMessage{ir})
	if err != nil || !bytes.Equal(info.Value, seq(golden(t, "ir.pki"))) {
		t.Fatalf("%v: %x", err, info.Value)
	}
	list, err := info.OrigPKIMessage(Limits{})
	if err != nil || len(list) != 1 || list[0].BodyType() != TypeIR || !bytes.Equal(list[0].Raw, ir.Raw) {
		t.Errorf("%v: %v", list, err)
	}
	if _, err := info.OrigPKIMessage(Limits{NestedMessages: 1}); err != nil {
		t.Error(err)
	}
	two := InfoTypeAndValue{Type: OIDOrigPKIMessage, Value: seq(ir.Raw, ir.Raw)}
	if _, err := two.OrigPKIMessage(Limits{NestedMessages: 1}); err == nil {
		t.Error("two messages over a limit of one")
	}
	if _, err := NewOrigPKIMessage(nil); err == nil {
		t.Error("no messages written")
	}
}

func TestImplicitConfirm(t *testing.T) {
	for name, tt := range map[string]struct {
		info InfoTypeAndValue
		ok   bool
	}{
		"NULL":         {NewImplicitConfirm(), true},
		"absent":       {InfoTypeAndValue{Type: OIDImplicitConfirm}, true},
		"TRUE":         {InfoTypeAndValue{Type: OIDImplicitConfirm, Value: marshal(true)}, false},
		"another type": {InfoTypeAndValue{Type: OIDCACerts, Value: pkix.Null}, false},
	} {
		if err := tt.info.ImplicitConfirm(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRand(t *testing.T) {
	r := Rand{Int: big.NewInt(1 << 50), Sender: nullDN}
	want := seq(number(1<<50), nullDN)
	got, err := r.Bytes()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: %x", err, got)
	}
	back, err := ParseRand(want)
	if err != nil || back.Int.Cmp(r.Int) != 0 || !back.Sender.Equal(nullDN) {
		t.Errorf("%v: %+v", err, back)
	}
	for name, bad := range map[string][]byte{"no sender": seq(number(1)), "no number": seq(nullDN), "more": seq(number(1), nullDN, null), "not DER": {0x30, 0x80}} {
		if _, err := ParseRand(bad); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	if _, err := (Rand{Sender: nullDN}).Bytes(); err == nil {
		t.Error("no number written")
	}
}
