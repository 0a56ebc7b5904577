package cmp

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goldenFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.pki")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d golden messages, %v: testdata/gen.sh makes them", len(files), err)
	}
	return files
}

func parseGolden(t testing.TB, name string) *PKIMessage {
	t.Helper()
	m, err := Parse(golden(t, name), Limits{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// clearRaw sets every field to nil that only keeps what was received.
func clearRaw(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clearRaw(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			clearRaw(v.Index(i))
		}
	case reflect.Struct:
		if v.Type().PkgPath() == "math/big" || v.Type().PkgPath() == "time" {
			return
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			if strings.HasPrefix(f.Name, "Raw") {
				v.Field(i).SetZero()
			} else {
				clearRaw(v.Field(i))
			}
		}
	}
}

func TestWhatOpenSSLWritesIsWrittenAgainByteForByte(t *testing.T) {
	for _, file := range goldenFiles(t) {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Parse(der, Limits{})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		clearRaw(reflect.ValueOf(m))
		again, err := m.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%s: %v\nread    %x\nwritten %x", file, err, der, again)
		}
	}
}

func TestBodyTypesOfGoldenMessages(t *testing.T) {
	for name, want := range map[string]string{
		"ir": "ir", "ip": "ip", "cr": "cr", "cp": "cp", "kur": "kur", "kup": "kup", "rr": "rr", "rp": "rp",
		"p10cr": "p10cr", "p10cr-cp": "cp", "genm": "genm", "genp": "genp", "certconf": "certConf",
		"pkiconf": "pkiconf", "error": "error", "kur-error": "error", "pollreq": "pollReq", "pollrep": "pollRep",
		"waiting": "ip", "keyenc": "ir", "raverified": "ir", "bare": "ir",
	} {
		m := parseGolden(t, name+".pki")
		if got := m.BodyType().String(); got != want {
			t.Errorf("%s: body %s, want %s", name, got, want)
		}
	}
}

// The values are those on the command lines in testdata/gen.sh.
func TestInitializationRequestOfOpenSSL(t *testing.T) {
	m := parseGolden(t, "ir.pki")
	h := m.Header
	if h.PVNO != 2 {
		t.Errorf("pvno %d", h.PVNO)
	}
	if got := h.Sender.String(); got != "dirName:CN=device 8,O=Golden,C=DE" {
		t.Errorf("sender %s", got)
	}
	if got := h.Recipient.String(); got != "dirName:CN=Golden CA,O=Golden,C=DE" {
		t.Errorf("recipient %s", got)
	}
	if got := h.ProtectionAlg.OID.String(); got != "1.2.840.113533.7.66.13" {
		t.Errorf("protectionAlg %s", got)
	}
	if string(h.SenderKID) != "golden-ref" {
		t.Errorf("senderKID %q", h.SenderKID)
	}
	if len(h.TransactionID) != 16 || len(h.SenderNonce) != 16 || h.RecipNonce != nil || h.RecipKID != nil {
		t.Errorf("transactionID %x, senderNonce %x, recipNonce %x", h.TransactionID, h.SenderNonce, h.RecipNonce)
	}
	if h.MessageTime.IsZero() || len(m.Protection) != 20 {
		t.Errorf("messageTime %v, protection of %d octets", h.MessageTime, len(m.Protection))
	}
	info, ok := FindInfo(h.GeneralInfo, pkix.MustOID("1.2.3.4"))
	if want := []byte{2, 3, 0, 0xdd, 0xd5}; !ok || !bytes.Equal(info.Value, want) { // 56789
		t.Errorf("generalInfo %x", info.Value)
	}

	reqs := m.Body.(*CertReqMessages)
	if reqs.Kind != TypeIR || len(reqs.Requests) != 1 {
		t.Fatalf("%v with %d requests", reqs.Kind, len(reqs.Requests))
	}
	req := reqs.Requests[0]
	tmpl := req.CertReq.Template
	if req.CertReq.CertReqID.Int64() != 0 || tmpl.Subject.String() != "CN=device 8,O=Golden,C=DE" {
		t.Errorf("certReqId %v, subject %v", req.CertReq.CertReqID, tmpl.Subject)
	}
	if got := tmpl.Validity.NotAfter.Sub(tmpl.Validity.NotBefore).Hours(); got != 30*24 {
		t.Errorf("validity of %v hours", got)
	}
	san, ok := pkix.FindExtension(tmpl.Extensions, pkix.OIDSubjectAltName)
	names, okNames := pkix.ParseSubjectAltName(san.Value)
	if !ok || !okNames || len(names) != 2 || names[0].String() != "DNS:eight.example" || names[1].String() != "IP:192.0.2.8" {
		t.Errorf("subjectAltName %v", names)
	}
	pol, _ := pkix.FindExtension(tmpl.Extensions, pkix.OIDCertificatePolicies)
	if oids, ok := pkix.ParseCertificatePolicies(pol.Value); !ok || len(oids) != 1 || oids[0].String() != "1.2.3.4" {
		t.Errorf("policies %v", oids)
	}
	popo := req.POPO.(*crmf.POPOSigningKey)
	if popo.Input != nil {
		t.Error("poposkInput is there")
	}
	verifyECDSA(t, "popo", tmpl.PublicKey, req.CertReq.Raw, popo.Signature)
}

func verifyECDSA(t *testing.T, what string, spki, signed, signature []byte) {
	t.Helper()
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	digest := sha256.Sum256(signed)
	if !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), digest[:], signature) {
		t.Errorf("%s: the signature does not fit the raw octets", what)
	}
}

func TestProtectedPartIsWhatOpenSSLSigned(t *testing.T) {
	for _, name := range []string{"cr.pki", "kur.pki", "rr.pki", "kur-certconf.pki"} {
		m := parseGolden(t, name)
		cert, err := x509.ParseCertificate(golden(t, "ee.cer"))
		if err != nil {
			t.Fatal(err)
		}
		verifyECDSA(t, name, cert.RawSubjectPublicKeyInfo, m.ProtectedPart(), m.Protection)
		if !bytes.Equal(m.ExtraCerts[0], cert.Raw) {
			t.Errorf("%s: extraCerts[0] is not the signer", name)
		}
		if !bytes.Equal(m.Header.SenderKID, cert.SubjectKeyId) {
			t.Errorf("%s: senderKID %x, want %x", name, m.Header.SenderKID, cert.SubjectKeyId)
		}
	}
}

func TestInitializationResponseOfOpenSSL(t *testing.T) {
	rep := parseGolden(t, "ip.pki").Body.(*CertRepMessage)
	if rep.Kind != TypeIP || len(rep.CAPubs) != 1 || !bytes.Equal(rep.CAPubs[0], golden(t, "ca.cer")) {
		t.Errorf("caPubs %x", rep.CAPubs)
	}
	r := rep.Responses[0]
	if r.Status.Status != Accepted || r.CertReqID.Int64() != 0 || !bytes.Equal(r.CertifiedKeyPair.Certificate, golden(t, "new.cer")) {
		t.Errorf("response %+v", r)
	}

	rep = parseGolden(t, "waiting.pki").Body.(*CertRepMessage)
	if r := rep.Responses[0]; r.Status.Status != Waiting || r.CertifiedKeyPair != nil {
		t.Errorf("response %+v", r)
	}
	rep = parseGolden(t, "keyenc-ip.pki").Body.(*CertRepMessage)
	if r := rep.Responses[0]; r.Status.Status != Rejection || r.Status.FailInfo != BadPOP || r.Status.StatusString[0] != "unsupported popo method" {
		t.Errorf("response %+v", r)
	}
}

func TestConfirmationOfOpenSSL(t *testing.T) {
	conf := parseGolden(t, "certconf.pki").Body.(*CertConfirm)
	hash := sha256.Sum256(golden(t, "new.cer")) // the certificate is signed with SHA-256
	if s := conf.Statuses[0]; !bytes.Equal(s.CertHash, hash[:]) || s.CertReqID.Int64() != 0 || !s.HashAlg.IsZero() {
		t.Errorf("status %+v", s)
	}
	conf = parseGolden(t, "p10cr-certconf.pki").Body.(*CertConfirm)
	if got := conf.Statuses[0].CertReqID.Int64(); got != -1 {
		t.Errorf("certReqId %d after p10cr", got)
	}
}

func TestRequestsOfOpenSSL(t *testing.T) {
	rr := parseGolden(t, "rr.pki").Body.(*RevReqContent)
	d := rr.Details[0]
	if d.CertDetails.SerialNumber.Text(16) != "1234567890abcdef" || d.CertDetails.Issuer.String() != "CN=Golden CA,O=Golden,C=DE" {
		t.Errorf("certDetails %v %v", d.CertDetails.SerialNumber, d.CertDetails.Issuer)
	}
	if reason, ok := pkix.ParseReasonCode(d.CRLEntryDetails[0].Value); !ok || reason != pkix.ReasonSuperseded {
		t.Errorf("reason %v", reason)
	}
	rp := parseGolden(t, "rp.pki").Body.(*RevRepContent)
	if rp.Status[0].Status != Accepted || rp.RevCerts[0].SerialNumber.Text(16) != "1234567890abcdef" {
		t.Errorf("rp %+v", rp)
	}

	kur := parseGolden(t, "kur.pki").Body.(*CertReqMessages)
	ctrl, _ := crmf.Find(kur.Requests[0].CertReq.Controls, crmf.OIDOldCertID)
	old, err := ctrl.OldCertID()
	if err != nil || old.SerialNumber.Text(16) != "1234567890abcdef" || old.Issuer.String() != "dirName:CN=Golden CA,O=Golden,C=DE" {
		t.Errorf("oldCertID %+v, %v", old, err)
	}

	p10 := parseGolden(t, "p10cr.pki").Body.(*P10CR)
	if !bytes.Equal(p10.Request.Raw, golden(t, "new.p10")) {
		t.Errorf("p10cr %x", p10.Request.Raw)
	}

	genm := parseGolden(t, "genm.pki").Body.(*GenMsg)
	if genm.Kind != TypeGenM || len(genm.Infos) != 1 || genm.Infos[0].Type != OIDSignKeyPairTypes || genm.Infos[0].Value != nil {
		t.Errorf("genm %+v", genm)
	}

	poll := parseGolden(t, "pollrep.pki").Body.(*PollRep)
	if i := poll.Items[0]; i.CheckAfter != 1 || i.CertReqID.Int64() != 0 {
		t.Errorf("pollRep %+v", i)
	}

	cr := parseGolden(t, "cr.pki")
	info, ok := FindInfo(cr.Header.GeneralInfo, OIDImplicitConfirm)
	if err := info.ImplicitConfirm(); !ok || err != nil {
		t.Errorf("implicitConfirm: %v", err)
	}
}

func TestProofsOfPossessionOfOpenSSL(t *testing.T) {
	popo := func(name string) crmf.ProofOfPossession {
		return parseGolden(t, name).Body.(*CertReqMessages).Requests[0].POPO
	}
	if _, ok := popo("raverified.pki").(crmf.RAVerified); !ok {
		t.Errorf("raverified: %T", popo("raverified.pki"))
	}
	if p, ok := popo("keyenc.pki").(*crmf.POPOPrivKey); !ok || p.Use != crmf.KeyEncipherment || p.Form != crmf.SubsequentMessage || p.Subsequent != crmf.EncrCert {
		t.Errorf("keyenc: %+v", p)
	}
	if p := popo("bare.pki"); p != nil {
		t.Errorf("bare: %T", p)
	}
	if m := parseGolden(t, "bare.pki"); m.Protection != nil || !m.Header.ProtectionAlg.IsZero() {
		t.Errorf("bare: protection %x", m.Protection)
	}
}

func TestErrorOfOpenSSL(t *testing.T) {
	e := parseGolden(t, "kur-error.pki").Body.(*ErrorMsg)
	if e.Status.Status != Rejection || e.Status.FailInfo.String() != "badRequest" || e.Status.StatusString[0] != "wrong certid" {
		t.Errorf("status %+v", e.Status)
	}
	if e.ErrorCode.Text(16) != "1d0000bd" || strings.Join(e.ErrorDetails, "|") != "CMP routines|wrong certid" {
		t.Errorf("errorCode %x, errorDetails %q", e.ErrorCode, e.ErrorDetails)
	}
}
