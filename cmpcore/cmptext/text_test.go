package cmptext_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// zeros is a random source for parameters that nobody checks.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// made builds a message and reads it again.
func made(t testing.TB, body cmp.Body, change func(*cmp.PKIHeader)) *cmp.PKIMessage {
	t.Helper()
	mac, err := alg.NewPBMAC1(zeros{}, alg.PBMAC1Options{Iterations: 4242})
	if err != nil {
		t.Fatal(err)
	}
	name := pkix.NewDirectoryName(pkix.EmptyName)
	h := &cmp.PKIHeader{PVNO: 3, Sender: name, Recipient: name, TransactionID: []byte("0123456789abcdef")}
	if change != nil {
		change(h)
	}
	der, err := cmp.Seal(h, body, nil, cmp.MACProtector(mac, []byte("x")))
	if err != nil {
		t.Fatal(err)
	}
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func lacks(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%q is missing in\n%s", want, got)
	}
}

func certOf(t testing.TB) []byte {
	for _, g := range goldens(t) {
		if g.name == "ir-signed" {
			m, err := cmp.Parse(g.der, cmp.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			return m.ExtraCerts[0]
		}
	}
	t.Fatal("no certificate")
	return nil
}

func info(i cmp.InfoTypeAndValue, err error) func(testing.TB) cmp.InfoTypeAndValue {
	return func(t testing.TB) cmp.InfoTypeAndValue {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
}

// TestBodies has the bodies that OpenSSL does not make.
func TestBodies(t *testing.T) {
	cert := certOf(t)
	inner := made(t, &cmp.PKIConf{}, nil)
	subject := "CN=device 1,O=Example"
	p256 := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.10045.2.1"), Parameters: []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}}
	id := crmf.CertID{Issuer: pkix.NewDirectoryName(pkix.EmptyName), SerialNumber: big.NewInt(0xabc)}
	token, err := crmf.NewRegToken("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	pairs, err := crmf.NewUTF8Pairs([]crmf.Pair{{Name: "user", Value: "bob\x1b"}})
	if err != nil {
		t.Fatal(err)
	}
	request := crmf.CertReqMsg{
		CertReq: crmf.CertRequest{CertReqID: big.NewInt(-7), Template: crmf.CertTemplate{Subject: pkix.EmptyName}, Controls: []crmf.Attribute{token}},
		POPO:    &crmf.POPOPrivKey{Use: crmf.KeyEncipherment, Form: crmf.SubsequentMessage, Subsequent: crmf.EncrCert},
		RegInfo: []crmf.Attribute{pairs},
	}
	infos := func(list ...func(testing.TB) cmp.InfoTypeAndValue) *cmp.GenMsg {
		b := &cmp.GenMsg{Kind: cmp.TypeGenP}
		for _, i := range list {
			b.Infos = append(b.Infos, i(t))
		}
		return b
	}
	for _, tt := range []struct {
		body cmp.Body
		has  []string
	}{
		{&cmp.Nested{Messages: []*cmp.PKIMessage{inner, inner}}, []string{"PKIMessage: nested", "    PKIMessage: pkiconf", "    protection: present"}},
		{&cmp.CertReqMessages{Kind: cmp.TypeKRR, Requests: []crmf.CertReqMsg{request}}, []string{"krr", "certReqId: -7", "subject: NULL-DN", "regToken", "not shown", "kind: keyEncipherment", "subsequentMessage: encrCert", `"user=bob\x1b"`}},
		{&cmp.POPODecKeyChallenge{Challenges: []cmp.Challenge{{OWF: pkix.AlgorithmIdentifier{OID: pkix.MustOID("2.16.840.1.101.3.4.2.1")}, Witness: []byte{1}, Challenge: []byte{2}}}}, []string{"popdecc", "owf: sha256", "witness: 01"}},
		{&cmp.POPODecKeyResponse{Responses: []*big.Int{new(big.Int).Lsh(big.NewInt(1), 64)}}, []string{"18446744073709551616"}},
		{&cmp.KeyRecRepContent{Status: cmp.PKIStatusInfo{Status: cmp.GrantedWithMods}, NewSigCert: cert, KeyPairHist: []cmp.CertifiedKeyPair{{Certificate: cert,
			PrivateKey: &crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{1, 2, 3}}}}}}, []string{"krp", "grantedWithMods", subject, "kind: encryptedValue", "encValueOctets: 3"}},
		{&cmp.CAKeyUpdAnn{OldWithNew: cert, NewWithOld: cert, NewWithNew: cert}, []string{"ckuann", "oldWithNew", "newWithNew", subject}},
		{&cmp.CertAnn{Certificate: cert}, []string{"cann", subject}},
		{&cmp.RevAnn{Status: cmp.RevocationWarning, CertID: id, WillBeRevokedAt: time.Unix(0, 0), BadSince: time.Unix(86400, 0)}, []string{"rann", "revocationWarning", "serial 0abc", "1970-01-02T00:00:00Z"}},
		{&cmp.CRLAnn{CRLs: [][]byte{{0x30, 0}}}, []string{"crlann", "not a readable CRL"}},
		{infos(info(cmp.NewSignKeyPairTypes([]pkix.AlgorithmIdentifier{p256}))), []string{"signKeyPairTypes", "ecPublicKey, curve p-256"}},
		{infos(info(cmp.NewCACerts([][]byte{cert}))), []string{"caCerts", subject}},
		{infos(info(cmp.NewUnsupportedOIDs([]pkix.OID{cmp.OIDCRLs}))), []string{"unsupportedOIDs", "crls"}},
		{infos(info(cmp.NewConfirmWaitTime(time.Unix(0, 0)))), []string{"confirmWaitTime", "1970-01-01T00:00:00Z"}},
		{infos(info(cmp.NewSuppLangTags([]string{"de", "\u202e"}))), []string{`"de"`, `"\u202e"`}},
		{infos(info(cmp.NewKeyPairParamReq(p256.OID))), []string{"ecPublicKey"}},
		{infos(info(cmp.NewCertReqTemplate(cmp.CertReqTemplate{Template: crmf.CertTemplate{Subject: pkix.EmptyName}}))), []string{"certReqTemplate", "subject: NULL-DN"}},
		{infos(info(cmp.NewOrigPKIMessage([]*cmp.PKIMessage{inner}))), []string{"origPKIMessage", "PKIMessage: pkiconf"}},
		{infos(info(cmp.InfoTypeAndValue{Type: cmp.OIDCACerts, Value: []byte{5, 0}}, nil)), []string{"error: caCerts", "infoValue: 0500"}},
		{&cmp.CertRepMessage{Kind: cmp.TypeCP, Responses: []cmp.CertResponse{{CertReqID: big.NewInt(0), CertifiedKeyPair: &cmp.CertifiedKeyPair{Certificate: []byte{0x30, 0}}, RspInfo: []byte{0xff}}}}, []string{"not a readable certificate, 2 octets", "rspInfo: ff"}},
	} {
		t.Run(tt.body.Type().String(), func(t *testing.T) {
			m := made(t, tt.body, nil)
			got := text(t, m, cmptext.Options{})
			safe(t, got)
			for _, h := range append(tt.has, "PBMAC1, salt 00000000000000000000000000000000, prf hmac-sha256, 4242 iterations, mac hmac-sha256, key of 32 octets") {
				lacks(t, got, h)
			}
			if strings.Contains(got, "sesame") {
				t.Error("a secret is shown")
			}
			j, err := cmptext.JSON(m, cmptext.Options{})
			if err != nil || !json.Valid(j) || bytes.Contains(j, []byte("sesame")) {
				t.Errorf("%v %s", err, j)
			}
			uniqueKeys(t, json.NewDecoder(bytes.NewReader(j)))
		})
	}
}

func TestLastLineTellsOfTheProtection(t *testing.T) {
	m := made(t, &cmp.PKIConf{}, nil)
	bare := *m
	bare.Protection, bare.Header.ProtectionAlg = nil, pkix.AlgorithmIdentifier{}
	half := *m
	half.Protection = nil
	for _, tt := range []struct {
		m    *cmp.PKIMessage
		p    *cmptext.Protection
		want string
	}{
		{m, nil, "protection: present, 32 octets, not checked (no secret given)"},
		{m, &cmptext.Protection{By: "secret ref-1"}, "protection: present, 32 octets, good, by secret ref-1"},
		{m, &cmptext.Protection{Err: errors.New("MAC is\x1b wrong")}, `protection: present, 32 octets, WRONG: MAC is\x1b wrong`},
		{&bare, nil, "protection: absent"},
		{&bare, &cmptext.Protection{Err: cmp.ErrUnprotected}, "protection: absent, WRONG: message is not protected"},
		{&half, nil, "protection: absent, though the header names an algorithm"},
	} {
		got := strings.Split(strings.TrimSpace(text(t, tt.m, cmptext.Options{Protection: tt.p})), "\n")
		if last := got[len(got)-1]; last != tt.want {
			t.Errorf("%q, want %q", last, tt.want)
		}
	}
}

func TestNotAMessage(t *testing.T) {
	m, err := cmp.Parse([]byte("hello"), cmp.Limits{})
	if got := text(t, m, cmptext.Options{ParseErr: err}); !strings.HasPrefix(got, "error: not a PKIMessage") {
		t.Error(got)
	}
	if j, err := cmptext.JSON(nil, cmptext.Options{}); err != nil || string(j) != `{"error":"not a PKIMessage"}` {
		t.Errorf("%s %v", j, err)
	}
	safe(t, text(t, &cmp.PKIMessage{}, cmptext.Options{}))
}

// TestOutputIsBounded: ten times the text makes ten times the input, but not
// the output.
func TestOutputIsBounded(t *testing.T) {
	size := func(n int) int {
		return len(text(t, made(t, &cmp.ErrorMsg{Status: cmp.PKIStatusInfo{StatusString: []string{strings.Repeat("ä\x00", n)}}},
			func(h *cmp.PKIHeader) { h.SenderKID = bytes.Repeat([]byte{0xff}, n) }), cmptext.Options{}))
	}
	if a, b := size(10_000), size(100_000); b > a+20 || a > 5000 {
		t.Errorf("%d and %d octets", a, b)
	}
}

func TestWriterFails(t *testing.T) {
	want := errors.New("disk full")
	if err := cmptext.Text(failing{want}, made(t, &cmp.PKIConf{}, nil), cmptext.Options{}); !errors.Is(err, want) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// FuzzShow: whatever can be parsed, in part too, is shown without a panic, and
// safely.
func FuzzShow(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.der)
	}
	f.Add(made(f, &cmp.Nested{Messages: []*cmp.PKIMessage{made(f, &cmp.PKIConf{}, nil)}}, nil).Raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := cmp.Parse(b, cmp.Limits{})
		o := cmptext.Options{ParseErr: err}
		safe(t, text(t, m, o))
		j, err := cmptext.JSON(m, o)
		if err != nil {
			t.Fatal(err)
		}
		safe(t, string(j))
		uniqueKeys(t, json.NewDecoder(bytes.NewReader(j)))
	})
}

func ExampleText() {
	name := pkix.NewDirectoryName(pkix.EmptyName)
	message, err := cmp.Build(&cmp.PKIHeader{PVNO: 2, Sender: name, Recipient: name, TransactionID: []byte{1, 2, 3}},
		&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection, FailInfo: cmp.BadRequest, StatusString: []string{"no\a"}}}, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := cmp.Parse(message, cmp.Limits{})
	var b bytes.Buffer
	cmptext.Text(&b, m, cmptext.Options{ParseErr: err})
	fmt.Print(b.String())
	// Output:
	// PKIMessage: error
	// octets: 42
	// header
	//   pvno: 2
	//   sender: NULL-DN
	//   recipient: NULL-DN
	//   transactionID: 010203
	// body
	//   pKIStatusInfo: rejection (badRequest) "no\a"
	// protection: absent
}

func ExampleJSON() {
	name := pkix.NewDirectoryName(pkix.EmptyName)
	message, err := cmp.Build(&cmp.PKIHeader{PVNO: 2, Sender: name, Recipient: name}, &cmp.PKIConf{}, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := cmp.Parse(message, cmp.Limits{})
	j, _ := cmptext.JSON(m, cmptext.Options{ParseErr: err})
	fmt.Printf("%s\n", j)
	// Output:
	// {"PKIMessage":"pkiconf","octets":19,"header":{"pvno":2,"sender":"NULL-DN","recipient":"NULL-DN"},"body":"NULL","protection":{"kind":"none","present":false}}
}
