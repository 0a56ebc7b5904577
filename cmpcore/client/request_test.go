package client_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"strings"
	"testing"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	cpkix "cmp-batch/cmpcore/pkix"
)

func start(t testing.TB, o client.Options) (*client.Session, *cmp.PKIMessage) {
	t.Helper()
	s, der, err := client.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(s.Outgoing, der) {
		t.Error("the session has not kept its message")
	}
	return s, parse(t, der)
}

func TestRequestHeader(t *testing.T) {
	p := newPKI(t)
	r := []client.CertificateRequest{{Subject: dn(t, "CN=x"), Key: p.ee.key, Issuer: dn(t, "CN=Wanted CA")}}
	t.Run("MAC", func(t *testing.T) {
		_, m := start(t, client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), ImplicitConfirm: true,
			CertProfile: []string{"tls"}, Certificates: r})
		h := m.Header
		if h.PVNO != 2 || h.Sender.String() != "dirName:CN=ref-1" || string(h.SenderKID) != "ref-1" || h.Recipient.String() != "dirName:CN=Wanted CA" {
			t.Errorf("%+v", h)
		}
		if len(h.TransactionID) != 16 || len(h.SenderNonce) != 16 || h.RecipNonce != nil || bytes.Equal(h.SenderNonce, h.TransactionID) {
			t.Errorf("%x %x %x", h.TransactionID, h.SenderNonce, h.RecipNonce)
		}
		// implicitConfirm NULL, certProfile SEQUENCE OF UTF8String "tls".
		if len(h.GeneralInfo) != 2 || hex.EncodeToString(h.GeneralInfo[0].Value) != "0500" || hex.EncodeToString(h.GeneralInfo[1].Value) != "30050c03746c73" {
			t.Errorf("%x", h.GeneralInfo)
		}
		if m.ExtraCerts != nil || m.VerifyMAC([]byte(secret), nil) != nil {
			t.Error("protection")
		}
	})
	t.Run("PBMAC1", func(t *testing.T) {
		c := withSecret(secret)
		c.MAC = client.MAC{PBMAC1: true}
		_, m := start(t, client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: r})
		if m.Header.ProtectionAlg.OID.String() != "1.2.840.113549.1.5.14" || m.VerifyMAC([]byte(secret), nil) != nil {
			t.Error(m.Header.ProtectionAlg.OID)
		}
	})
	t.Run("signature", func(t *testing.T) {
		c := p.signed()
		c.Key, c.Certificate = p.server.key, p.server.der() // has a key identifier
		_, m := start(t, client.Options{Kind: cmp.TypeIR, Credentials: c, ExtraCerts: [][]byte{p.root.der(), p.sub.der()}, Certificates: r})
		if m.Header.Sender.String() != "dirName:CN=CMP server" || string(m.Header.SenderKID) != "server key id" {
			t.Errorf("%v %q", m.Header.Sender, m.Header.SenderKID)
		}
		if len(m.ExtraCerts) != 3 || !bytes.Equal(m.ExtraCerts[0], p.server.der()) || !bytes.Equal(m.ExtraCerts[1], p.sub.der()) {
			t.Errorf("%d extraCerts", len(m.ExtraCerts))
		}
		if err := m.VerifySignature(p.server.key.Public(), nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("names and time as the caller says", func(t *testing.T) {
		s, m := start(t, client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), PVNO: 3, NoTime: true,
			Sender: cpkix.EmptyName, Recipient: dn(t, "CN=RA"), Certificates: r})
		if m.Header.PVNO != 3 || !m.Header.MessageTime.IsZero() || !bytes.Equal(m.Header.Sender, cpkix.NewDirectoryName(cpkix.EmptyName)) || m.Header.Recipient.String() != "dirName:CN=RA" {
			t.Errorf("%+v", m.Header)
		}
		if !s.NoTime {
			t.Error("the session forgets that no time is wanted")
		}
	})
}

func TestKeyUpdateRequest(t *testing.T) {
	p := newPKI(t)
	old := issue(t, p.sub, "device 1", ecKey(t), func(c *x509.Certificate) { c.DNSNames = []string{"a.example", "b.example"} })
	c := p.signed()
	c.Key, c.Certificate = old.key, old.der()
	s, m := start(t, client.Options{Kind: cmp.TypeKUR, Credentials: c, Certificates: []client.CertificateRequest{{Key: ecKey(t)}}})
	req := m.Body.(*cmp.CertReqMessages).Requests[0]
	ctl, ok := crmf.Find(req.CertReq.Controls, crmf.OIDOldCertID)
	id, err := ctl.OldCertID()
	if !ok || err != nil || id.SerialNumber.Cmp(old.cert.SerialNumber) != 0 || !bytes.Equal(id.Issuer, cpkix.NewDirectoryName(old.cert.RawIssuer)) {
		t.Errorf("oldCertID %+v %v", id, err)
	}
	tmpl := req.CertReq.Template
	if !bytes.Equal(tmpl.Subject, old.cert.RawSubject) {
		t.Error("the subject is not that of the old certificate")
	}
	e, _ := cpkix.FindExtension(tmpl.Extensions, cpkix.OIDSubjectAltName)
	if sans, ok := cpkix.ParseSubjectAltName(e.Value); !ok || len(sans) != 2 || len(s.Items[0].SANs) != 2 {
		t.Error("the alternative names are not those of the old certificate")
	}
	if m.Header.Recipient.String() != "dirName:CN=Issuing CA" {
		t.Error(m.Header.Recipient)
	}
	if err := crmf.VerifySignaturePOP(&req, nil, nil); err != nil {
		t.Error(err)
	}
}

func TestRequestForCentralKey(t *testing.T) {
	for name, a := range map[string]cpkix.AlgorithmIdentifier{"any": {}, "ed25519": {OID: cpkix.MustOID("1.3.101.112")}} {
		s, m := start(t, client.Options{Kind: cmp.TypeIR, PVNO: 3, Credentials: withSecret(secret),
			Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=x"), CentralKey: &a}}})
		req := m.Body.(*cmp.CertReqMessages).Requests[0]
		if k := req.CertReq.Template.PublicKey; req.POPO != nil || s.Items[0].PublicKey != nil || (k == nil) != (name == "any") || len(k.KeyBits()) != 0 {
			t.Errorf("%s: key %x, proof %v", name, k, req.POPO)
		}
	}
}

func TestManyRequestsInOneMessage(t *testing.T) {
	o := client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret)}
	for range 3 {
		o.Certificates = append(o.Certificates, client.CertificateRequest{Subject: dn(t, "CN=x"), Key: edKey(t)})
	}
	_, m := start(t, o)
	for i, r := range m.Body.(*cmp.CertReqMessages).Requests {
		if r.CertReq.CertReqID.Int64() != int64(i) {
			t.Errorf("request %d has certReqId %v", i, r.CertReq.CertReqID)
		}
		if err := crmf.VerifySignaturePOP(&r, nil, nil); err != nil {
			t.Error(err)
		}
	}
}

// RFC 4211 section 4.1: without a subject the key signs an input that tells who
// asks.
func TestProofWithoutASubject(t *testing.T) {
	p := newPKI(t)
	signed := p.signed()
	for name, c := range map[string]client.Credentials{"secret": withSecret(secret), "signature": signed} {
		_, m := start(t, client.Options{Kind: cmp.TypeIR, Credentials: c, Certificates: []client.CertificateRequest{{Key: ecKey(t), POP: client.POPSignatureInput}}})
		req := m.Body.(*cmp.CertReqMessages).Requests[0]
		in := req.POPO.(*crmf.POPOSigningKey).Input
		if req.CertReq.Template.Subject != nil || in == nil || (in.Sender == nil) != (name == "secret") {
			t.Fatalf("%s: %+v", name, req)
		}
		if name == "secret" {
			if err := crmf.VerifyPublicKeyMAC(in.PublicKeyMAC, req.CertReq.Template.PublicKey, []byte(secret), nil); err != nil {
				t.Error(err)
			}
		} else if !bytes.Equal(in.Sender, m.Header.Sender) {
			t.Errorf("sender %s", in.Sender)
		}
		if err := crmf.VerifySignaturePOP(&req, nil, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]client.CertificateRequest{
		"a subject": {Key: ecKey(t), Subject: dn(t, "CN=x"), POP: client.POPSignatureInput},
		"no key":    {PublicKey: cpkix.SubjectPublicKeyInfo(p.sub.cert.RawSubjectPublicKeyInfo), POP: client.POPSignatureInput},
	} {
		if _, _, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: signed, Certificates: []client.CertificateRequest{r}}); !errors.Is(err, client.ErrOptions) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusedOptions(t *testing.T) {
	p := newPKI(t)
	key := ecKey(t)
	one := func() []client.CertificateRequest {
		return []client.CertificateRequest{{Subject: dn(t, "CN=x"), Key: key}}
	}
	with := func(change func(*client.CertificateRequest)) []client.CertificateRequest {
		r := one()
		change(&r[0])
		return r
	}
	const long = "correct horse battery staple"
	mac := withSecret(secret)
	noRef := mac
	noRef.Reference = nil
	noTime := mac
	noTime.Rand = nil
	badMAC := mac
	badMAC.MAC.Hash = "md5"
	dear := mac
	dear.MAC.Iterations = 1 << 30
	stolen := p.signed()
	stolen.Certificate = p.sub.der()
	bare := p.signed()
	bare.Certificate = nil
	for _, tt := range []struct {
		name string
		opts client.Options
		want string
	}{
		{"no kind for clients", client.Options{Kind: cmp.TypeIP, Credentials: mac, Certificates: one()}, "body type 1"},
		{"no credentials", client.Options{Kind: cmp.TypeIR, Certificates: one()}, "no time or no random"},
		{"no reference", client.Options{Kind: cmp.TypeIR, Credentials: noRef, Certificates: one()}, "reference"},
		{"no random source", client.Options{Kind: cmp.TypeIR, Credentials: noTime, Certificates: one()}, "random"},
		{"no certificate of the signer", client.Options{Kind: cmp.TypeIR, Credentials: bare, Certificates: one()}, "needs its certificate"},
		{"key and certificate of two", client.Options{Kind: cmp.TypeIR, Credentials: stolen, Certificates: one()}, "not a pair"},
		{"unknown hash", client.Options{Kind: cmp.TypeIR, Credentials: badMAC, Certificates: one()}, "md5"},
		{"too many iterations", client.Options{Kind: cmp.TypeIR, Credentials: dear, Certificates: one()}, "iterations"},
		{"pvno 1", client.Options{Kind: cmp.TypeIR, Credentials: mac, PVNO: 1, Certificates: one()}, "pvno"},
		{"short passphrase", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte("fifteen octets!")}}, "at least 16 octets"},
		{"passphrase of two lines", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte("sixteen\noctets!!")}}, "control characters"},
		{"passphrase to nobody", client.Options{Kind: cmp.TypeIR, Credentials: p.signed(), Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte(long)}}, "encryption certificate"},
		{"passphrase to no certificate", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte(long), To: []byte{0x30, 0}}}, "certificate to encrypt"},
		{"passphrase at version 2", client.Options{Kind: cmp.TypeIR, Credentials: mac, PVNO: 2, Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte(long)}}, "pvno 3"},
		{"two passphrases", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: one(), RevPassphrase: &client.RevPassphrase{Value: []byte(long)},
			GeneralInfo: []cmp.InfoTypeAndValue{{Type: cmp.OIDRevPassphrase}}}, "two revocation passphrases"},
		{"ir without certificates", client.Options{Kind: cmp.TypeIR, Credentials: mac}, "ir needs certificates"},
		{"ir with PKCS #10", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: one(), PKCS10: []byte{1}}, "no place for a PKCS"},
		{"rr with certificates", client.Options{Kind: cmp.TypeRR, Credentials: mac, Certificates: one(), Revocations: []client.Revocation{{Certificate: p.ee.der()}}}, "no place for certificates"},
		{"rr without revocations", client.Options{Kind: cmp.TypeRR, Credentials: mac}, "rr needs revocations"},
		{"rr with implicit confirmation", client.Options{Kind: cmp.TypeRR, Credentials: mac, ImplicitConfirm: true, Revocations: []client.Revocation{{Certificate: p.ee.der()}}}, "no place for implicit"},
		{"genm without a question", client.Options{Kind: cmp.TypeGenM, Credentials: mac}, "genm needs"},
		{"p10cr without a request", client.Options{Kind: cmp.TypeP10CR, Credentials: mac}, "p10cr needs"},
		{"p10cr of rubbish", client.Options{Kind: cmp.TypeP10CR, Credentials: mac, PKCS10: []byte("hello")}, "PKCS #10"},
		{"kur without a certificate", client.Options{Kind: cmp.TypeKUR, Credentials: mac, Certificates: one()}, "certificate to update"},
		{"ir with an old certificate", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) { r.OldCertificate = p.ee.der() })}, "only kur"},
		{"no key", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) { r.Key = nil })}, "exactly one of"},
		{"two keys", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) { r.CentralKey = &cpkix.AlgorithmIdentifier{} }), PVNO: 3}, "exactly one of"},
		{"central key at version 2", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) { r.Key = nil; r.CentralKey = &cpkix.AlgorithmIdentifier{} })}, "pvno 3"},
		{"proof without the private key", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) { r.Key = nil; r.PublicKey = p.ee.cert.RawSubjectPublicKeyInfo })}, "private key"},
		{"an extension twice", client.Options{Kind: cmp.TypeIR, Credentials: mac, Certificates: with(func(r *client.CertificateRequest) {
			r.KeyUsage = cpkix.DigitalSignature
			r.Extensions = []cpkix.Extension{cpkix.KeyUsageExtension(cpkix.KeyAgreement)}
		})}, "given twice"},
		{"no such reason", client.Options{Kind: cmp.TypeRR, Credentials: mac, Revocations: []client.Revocation{{Certificate: p.ee.der(), Reason: 7}}}, "no reason 7"},
		{"a serial number without issuer", client.Options{Kind: cmp.TypeRR, Credentials: mac, Revocations: []client.Revocation{{Serial: big.NewInt(1)}}}, "issuer and serial"},
		{"a serial number of another certificate", client.Options{Kind: cmp.TypeRR, Credentials: mac, Revocations: []client.Revocation{{Certificate: p.ee.der(), Serial: big.NewInt(1)}}}, "not those of the certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, der, err := client.Start(tt.opts)
			if err == nil || s != nil || der != nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestInfoType(t *testing.T) {
	for name, want := range map[string]string{"caCerts": "1.3.6.1.5.5.7.4.17", "ROOTCACERT": "1.3.6.1.5.5.7.4.20", "1.2.3": "1.2.3"} {
		if o, err := client.InfoType(name); err != nil || o.String() != want {
			t.Errorf("%s: %v %v", name, o, err)
		}
	}
	if _, err := client.InfoType("caCert"); !errors.Is(err, client.ErrOptions) {
		t.Error(err)
	}
	for _, n := range client.InfoTypes() {
		if _, err := client.InfoType(n); err != nil || strings.Contains(n, ".") {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// FuzzAccept: no answer makes Accept panic, and one that has not passed changes
// nothing. The protection is not what keeps the fuzzer out: it may make answers
// with the right MAC, for Accept trusts the CA in this alone.
func FuzzAccept(f *testing.F) {
	p := newPKI(f)
	c := withSecret(secret)
	s, req, cert := asked(f, p, c, func(o *client.Options) { o.ImplicitConfirm = true })
	for _, r := range []reply{
		{body: ip(response(0, cmp.Accepted, cert)), extra: [][]byte{p.sub.der(), p.root.der()}},
		{body: ip(response(0, cmp.Waiting, nil))},
		{body: ip(response(0, cmp.Rejection, nil))},
		{body: body(&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Waiting}})},
		{body: body(&cmp.PKIConf{})},
		{body: body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(0), CheckAfter: 9}}})},
		{body: body(&cmp.RevRepContent{Status: []cmp.PKIStatusInfo{{}}})},
		{body: body(&cmp.GenMsg{Kind: cmp.TypeGenP, Infos: []cmp.InfoTypeAndValue{cmp.NewImplicitConfirm()}})},
	} {
		f.Add(r.to(f, req))
	}
	f.Add(req)
	before := snapshot(f, s)
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, step := range []client.Step{client.StepAnswer, client.StepPoll, client.StepConfirm} {
			s := viaFile(t, s)
			s.Step = step
			was := snapshot(t, s)
			if _, err := s.Accept(answer, c); err != nil {
				var e *client.PeerError
				if snapshot(t, s) != was && !(errors.As(err, &e) && e.Authenticated) {
					t.Fatalf("changed by %v", err)
				}
			}
			// The same body with everything around it right.
			m, err := cmp.Parse(answer, cmp.Limits{})
			if err != nil {
				continue
			}
			r := reply{body: body(m.Body), extra: m.ExtraCerts, header: func(h *cmp.PKIHeader) { h.GeneralInfo = m.Header.GeneralInfo }}
			if res, err := s.Accept(r.to(t, req), c); err == nil && res.Next != nil {
				parse(t, res.Next)
			}
		}
		if snapshot(t, s) != before {
			t.Fatal("the seed session has changed")
		}
	})
}
