package client_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	cpkix "cmp-batch/cmpcore/pkix"
)

func TestUnfitCertificates(t *testing.T) {
	p, q := newPKI(t), newPKI(t)
	key := ecKey(t)
	good := issue(t, p.sub, "device 7", key, nil).der()
	otherKey := issue(t, p.sub, "device 7", ecKey(t), nil).der()
	otherName := issue(t, p.sub, "device 8", key, nil).der()
	expired := issue(t, p.sub, "device 7", key, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }).der()
	withSAN := issue(t, p.sub, "DEVICE 7", key, func(c *x509.Certificate) { c.DNSNames = []string{"a.example"} }).der()
	tests := []struct {
		name   string
		status cmp.PKIStatus
		cert   []byte
		any    bool
		issued []byte
		info   cmp.PKIFailureInfo // 0: accepted
		change string
	}{
		{name: "what was asked for", cert: good},
		{name: "another key", cert: otherKey, info: cmp.IncorrectData},
		{name: "another key, granted with modifications", status: cmp.GrantedWithMods, cert: otherKey, info: cmp.IncorrectData},
		{name: "another subject", cert: otherName, info: cmp.IncorrectData},
		{name: "another subject, granted with modifications", status: cmp.GrantedWithMods, cert: otherName, change: `subject is "CN=device 8"`},
		{name: "another subject, where any will do", cert: otherName, any: true, change: `subject is "CN=device 8"`},
		{name: "the subject in other letters, and a name besides", cert: withSAN},
		{name: "expired", cert: expired, info: cmp.BadTime},
		{name: "no certificate at all", cert: []byte{0x30, 0}, info: cmp.BadDataFormat},
		{name: "revoked already", status: cmp.RevocationNotification, cert: good, info: cmp.IncorrectData},
		{name: "to be revoked soon", status: cmp.RevocationWarning, cert: good, change: "warns"},
		{name: "under a trusted CA", cert: good, issued: p.root.der()},
		{name: "under another CA than the trusted one", cert: good, issued: q.root.der(), info: cmp.SignerNotTrusted},
	}
	for _, tt := range tests {
		for _, implicit := range []bool{false, true} {
			name := tt.name
			if implicit {
				name += ", confirmed implicitly"
			}
			t.Run(name, func(t *testing.T) {
				c := withSecret(secret)
				s, req, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c, ImplicitConfirm: implicit,
					Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), Key: key, AnySubject: tt.any}}})
				if err != nil {
					t.Fatal(err)
				}
				if tt.issued != nil {
					c.Trust.Issued = [][]byte{tt.issued}
				}
				answer := reply{body: ip(response(0, tt.status, tt.cert)), extra: [][]byte{p.sub.der()}}
				if implicit {
					answer.header = func(h *cmp.PKIHeader) { h.GeneralInfo = []cmp.InfoTypeAndValue{cmp.NewImplicitConfirm()} }
				}
				r := accept(t, s, answer.to(t, req), c)
				cert := r.Certificates[0]
				if tt.info == 0 {
					if !bytes.Equal(cert.Certificate, tt.cert) || cert.Rejected != nil || cert.Err != nil {
						t.Errorf("not accepted: %v", cert.Err)
					}
				} else if cert.Certificate != nil || !bytes.Equal(cert.Rejected, tt.cert) || cert.Err == nil {
					t.Errorf("accepted: %+v", cert)
				}
				if got := strings.Join(cert.Changes, "; "); !strings.Contains(got, tt.change) || tt.change == "" && got != "" {
					t.Errorf("changes %q, want %q", got, tt.change)
				}
				if implicit {
					if r.Next != nil || s.Waiting() || tt.info != 0 && !strings.Contains(cert.Err.Error(), "revoked") {
						t.Errorf("next %d octets, step %s, %v", len(r.Next), s.Step, cert.Err)
					}
					return
				}
				_, st := certConf(t, r.Next)
				switch {
				case tt.info == 0 && st[0].StatusInfo != nil:
					t.Errorf("certConf rejects: %+v", st[0].StatusInfo)
				case tt.info != 0 && (st[0].StatusInfo == nil || st[0].StatusInfo.Status != cmp.Rejection || st[0].StatusInfo.FailInfo != tt.info):
					t.Errorf("certConf says %+v", st[0].StatusInfo)
				}
				r = accept(t, viaFile(t, s), reply{body: body(&cmp.PKIConf{})}.to(t, r.Next), c)
				want := client.ItemConfirmed
				if tt.info != 0 {
					want = client.ItemRejected
				}
				if !r.Done || r.Certificates[0].State != want {
					t.Errorf("at the end: %+v", r)
				}
			})
		}
	}
}

// TestCertHash takes the hashes from RFC 9481 section 3: that of the
// certificate's signature, and SHA-512 for Ed25519, which names none.
func TestCertHash(t *testing.T) {
	p := newPKI(t)
	edCA := issue(t, nil, "Ed CA", edKey(t), asCA)
	rsaLike := issue(t, p.root, "P-256 CA", ecKey(t), asCA)
	for _, tt := range []struct {
		name string
		ca   *holder
		hash func([]byte) []byte
		alg  string
		pvno int
	}{
		{"ecdsa-sha256", rsaLike, func(b []byte) []byte { h := sha256.Sum256(b); return h[:] }, "", 2},
		{"ed25519", edCA, func(b []byte) []byte { h := sha512.Sum512(b); return h[:] }, "2.16.840.1.101.3.4.2.3", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := withSecret(secret)
			s, req, _ := asked(t, p, c, nil)
			m := parse(t, req)
			spki := m.Body.(*cmp.CertReqMessages).Requests[0].CertReq.Template.PublicKey
			pub, err := x509.ParsePKIXPublicKey(spki)
			if err != nil {
				t.Fatal(err)
			}
			cert := issueFor(t, tt.ca, "device 7", pub)
			r := accept(t, s, reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req), c)
			conf, st := certConf(t, r.Next)
			if !bytes.Equal(st[0].CertHash, tt.hash(cert)) || st[0].HashAlg.OID.String() != tt.alg || conf.Header.PVNO != tt.pvno {
				t.Errorf("hash %x, hashAlg %q, pvno %d", st[0].CertHash, st[0].HashAlg.OID, conf.Header.PVNO)
			}
		})
	}
}

// TestSeveralCertificates follows the diagram of RFC 9810 section 5.3.22: what
// is there is confirmed before the rest is polled for.
func TestSeveralCertificates(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	keys := []*holder{}
	o := client.Options{Kind: cmp.TypeCR, Credentials: c}
	for _, cn := range []string{"a", "b", "c"} {
		h := issue(t, p.sub, cn, ecKey(t), nil)
		keys = append(keys, h)
		o.Certificates = append(o.Certificates, client.CertificateRequest{Subject: dn(t, "CN="+cn), Key: h.key})
	}
	s, req, err := client.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	first := req

	// Not all of them answered: nothing is accepted.
	bad := reply{body: rep(cmp.TypeCP, response(0, cmp.Accepted, keys[0].der()), response(1, cmp.Waiting, nil))}.to(t, req)
	if _, err := s.Accept(bad, c); !errors.Is(err, client.ErrCertReqID) {
		t.Fatal(err)
	}
	// In another order, and each under its own number.
	r := accept(t, s, reply{body: rep(cmp.TypeCP, response(2, cmp.Rejection, nil), response(0, cmp.Accepted, keys[0].der()), response(1, cmp.Waiting, nil))}.to(t, req), c)
	if got := r.Certificates; len(got) != 3 || got[0].State != client.ItemIssued || got[1].State != client.ItemWaiting || got[2].State != client.ItemRefused || r.Waiting == nil {
		t.Fatalf("%+v", got)
	}
	_, st := certConf(t, r.Next)
	if len(st) != 1 || st[0].CertReqID.Int64() != 0 {
		t.Fatalf("%+v", st)
	}
	s = viaFile(t, s)
	r = accept(t, s, reply{body: body(&cmp.PKIConf{})}.to(t, r.Next), c)
	poll, ok := parse(t, r.Next).Body.(*cmp.PollReq)
	if !ok || len(poll.CertReqIDs) != 1 || poll.CertReqIDs[0].Int64() != 1 || r.Done {
		t.Fatalf("%+v", parse(t, r.Next).Body)
	}
	// A pollRep for what does not wait.
	if _, err := s.Accept(reply{body: body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(0)}}})}.to(t, r.Next), c); !errors.Is(err, client.ErrCertReqID) {
		t.Fatal(err)
	}
	r = accept(t, s, reply{body: body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(1), CheckAfter: 60, Reason: []string{"an operator decides"}}}})}.to(t, r.Next), c)
	if r.Waiting.CheckAfter != time.Minute || r.Waiting.Reason[0] != "an operator decides" {
		t.Fatalf("%+v", r.Waiting)
	}
	s = viaFile(t, s)
	next := r.Next
	// A certificate that was settled may not change any more.
	if _, err := s.Accept(reply{body: rep(cmp.TypeCP, response(0, cmp.Accepted, keys[1].der()), response(1, cmp.Accepted, keys[1].der()))}.to(t, next), c); !errors.Is(err, client.ErrCertReqID) {
		t.Fatal(err)
	}
	// The final answer, with the nonce of the first request (RFC 9483 section
	// 4.4), and with the first certificate again.
	r = accept(t, s, reply{body: rep(cmp.TypeCP, response(0, cmp.Accepted, keys[0].der()), response(1, cmp.Accepted, keys[1].der())),
		header: func(h *cmp.PKIHeader) { h.RecipNonce = parse(t, first).Header.SenderNonce }}.to(t, next), c)
	if _, st = certConf(t, r.Next); len(st) != 1 || st[0].CertReqID.Int64() != 1 || len(r.Certificates) != 1 {
		t.Fatalf("%+v", st)
	}
	r = accept(t, s, reply{body: body(&cmp.PKIConf{})}.to(t, r.Next), c)
	if !r.Done || r.Next != nil {
		t.Fatalf("%+v", r)
	}
	if _, err := s.Accept(reply{body: body(&cmp.PKIConf{})}.to(t, req), c); !errors.Is(err, client.ErrFinished) {
		t.Fatal(err)
	}
}

func TestPollingNonces(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	s, req, cert := asked(t, p, c, nil)
	waiting := reply{body: ip(response(0, cmp.Waiting, nil))}.to(t, req)
	r := accept(t, s, waiting, c)
	poll := r.Next
	firstNonce := func(h *cmp.PKIHeader) { h.RecipNonce = parse(t, req).Header.SenderNonce }
	pollRep := body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(0), CheckAfter: 1}}})

	if _, err := s.Accept(waiting, c); !errors.Is(err, client.ErrRepeated) {
		t.Errorf("the same answer again: %v", err)
	}
	check(t, s, reply{body: pollRep, header: firstNonce}.to(t, poll), c, client.ErrNonce)
	check(t, s, reply{body: ip(response(0, cmp.Accepted, cert)), header: func(h *cmp.PKIHeader) { h.RecipNonce = make([]byte, 16) }}.to(t, poll), c, client.ErrNonce)
	// The nonce of the answer before, under the nonce of the first request: a
	// replay in new clothes.
	check(t, s, reply{body: ip(response(0, cmp.Accepted, cert)), header: func(h *cmp.PKIHeader) {
		firstNonce(h)
		h.SenderNonce = parse(t, waiting).Header.SenderNonce
	}}.to(t, poll), c, client.ErrNonce)
	check(t, viaFile(t, s), reply{body: ip(response(0, cmp.Accepted, cert)), header: firstNonce}.to(t, poll), c, nil)
	check(t, viaFile(t, s), reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, poll), c, nil)

	r = accept(t, s, reply{body: body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(0), CheckAfter: 1 << 62}}})}.to(t, poll), c)
	if d := r.Waiting.CheckAfter; d <= 0 || d > 20*365*24*time.Hour {
		t.Errorf("checkAfter of 2^62 s became %v", d)
	}
	r = accept(t, s, reply{body: body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(0), CheckAfter: -5}}})}.to(t, r.Next), c)
	if d := r.Waiting.CheckAfter; d != 0 {
		t.Errorf("checkAfter of -5 s became %v", d)
	}
}

// TestWholeMessageWaits: RFC 9483 section 4.4, error with the status waiting
// and certReqId -1.
func TestWholeMessageWaits(t *testing.T) {
	p := newPKI(t)
	c := p.signed()
	s, req, err := client.Start(client.Options{Kind: cmp.TypeRR, Credentials: c, Revocations: []client.Revocation{{Certificate: p.ee.der()}}})
	if err != nil {
		t.Fatal(err)
	}
	from := func(b cmp.Body, to []byte) []byte {
		return reply{body: body(b), signer: p.server, extra: [][]byte{p.server.der(), p.sub.der()}}.to(t, to)
	}
	r := accept(t, s, from(&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Waiting, StatusString: []string{"later"}}}, req), c)
	if b := parse(t, r.Next).Body.(*cmp.PollReq); b.CertReqIDs[0].Int64() != -1 || r.Waiting == nil || r.Waiting.Reason[0] != "later" {
		t.Fatalf("%+v", b)
	}
	s = viaFile(t, s)
	r = accept(t, s, from(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: big.NewInt(-1), CheckAfter: 3}}}, r.Next), c)
	r = accept(t, s, from(&cmp.RevRepContent{Status: []cmp.PKIStatusInfo{{Status: cmp.Accepted}}}, r.Next), c)
	if !r.Done || !r.Revocations[0].Revoked() {
		t.Fatalf("%+v", r)
	}
}

func TestRevocationAnswers(t *testing.T) {
	p := newPKI(t)
	c := p.signed()
	other := issue(t, p.sub, "device 9", ecKey(t), nil)
	id := func(h *holder) crmf.CertID {
		return crmf.CertID{Issuer: cpkix.NewDirectoryName(h.cert.RawIssuer), SerialNumber: h.cert.SerialNumber}
	}
	ok, no := cmp.PKIStatusInfo{Status: cmp.Accepted}, cmp.PKIStatusInfo{Status: cmp.Rejection, FailInfo: cmp.BadCertID}
	for _, tt := range []struct {
		name string
		rp   cmp.RevRepContent
		want error
	}{
		{"one yes, one no", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok, no}}, nil},
		{"with names", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok, no}, RevCerts: []crmf.CertID{id(p.ee), id(other)}}, nil},
		{"with the names swapped", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok, no}, RevCerts: []crmf.CertID{id(other), id(p.ee)}}, client.ErrBody},
		{"too few names", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok, no}, RevCerts: []crmf.CertID{id(p.ee)}}, client.ErrBody},
		{"too few statuses", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok}}, client.ErrBody},
		{"too many statuses", cmp.RevRepContent{Status: []cmp.PKIStatusInfo{ok, ok, ok}}, client.ErrBody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, req, err := client.Start(client.Options{Kind: cmp.TypeRR, Credentials: c,
				Revocations: []client.Revocation{{Certificate: p.ee.der()}, {Certificate: other.der()}}})
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Accept(reply{body: body(&tt.rp), signer: p.server, extra: [][]byte{p.server.der(), p.sub.der()}}.to(t, req), c)
			if !errors.Is(err, tt.want) {
				t.Fatal(err)
			}
			if err == nil && (!r.Revocations[0].Revoked() || r.Revocations[1].Revoked() || r.Revocations[1].Serial.Cmp(other.cert.SerialNumber) != 0) {
				t.Fatalf("%+v", r.Revocations)
			}
		})
	}
}

func TestReject(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	s, req, cert := asked(t, p, c, nil)
	if _, err := s.Reject([]client.Rejection{{}}, c); !errors.Is(err, client.ErrStep) {
		t.Errorf("before the answer: %v", err)
	}
	r := accept(t, s, reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req), c)
	if _, err := s.Reject([]client.Rejection{{CertReqID: 5}}, c); !errors.Is(err, client.ErrStep) {
		t.Errorf("another certReqId: %v", err)
	}
	next, err := s.Reject([]client.Rejection{{FailInfo: cmp.UnacceptedExtension, Text: "no, thank you"}}, c)
	if err != nil {
		t.Fatal(err)
	}
	m, st := certConf(t, next)
	if i := st[0].StatusInfo; i == nil || i.FailInfo != cmp.UnacceptedExtension || i.StatusString[0] != "no, thank you" {
		t.Fatalf("%+v", i)
	}
	// The answer to the certConf that was not sent does not count.
	if _, err := s.Accept(reply{body: body(&cmp.PKIConf{})}.to(t, r.Next), c); !errors.Is(err, client.ErrNonce) {
		t.Errorf("answer to another certConf: %v", err)
	}
	if bytes.Equal(m.Header.SenderNonce, parse(t, r.Next).Header.SenderNonce) || !bytes.Equal(m.Header.RecipNonce, parse(t, r.Next).Header.RecipNonce) {
		t.Error("nonces of the second certConf")
	}
	r = accept(t, s, reply{body: body(&cmp.PKIConf{})}.to(t, next), c)
	if r.Certificates[0].State != client.ItemRejected || !r.Done {
		t.Errorf("%+v", r)
	}
}

func TestPeerErrors(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	complaint := body(&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection, FailInfo: cmp.BadRequest, StatusString: []string{"nope\x1b[2J"}}, ErrorCode: big.NewInt(7)})
	refusal := ip(cmp.CertResponse{CertReqID: big.NewInt(0), Status: cmp.PKIStatusInfo{Status: cmp.Rejection, FailInfo: cmp.BadPOP, StatusString: []string{"bad"}}})
	for _, tt := range []struct {
		name  string
		reply reply
		trust bool
		auth  bool
		ends  bool
		info  cmp.PKIFailureInfo
	}{
		{"protected", reply{body: complaint}, false, true, true, cmp.BadRequest},
		{"protected, of version 1", reply{body: complaint, header: func(h *cmp.PKIHeader) { h.PVNO = 1 }}, false, true, true, cmp.BadRequest},
		{"unprotected", reply{body: complaint, bare: true}, false, false, false, cmp.BadRequest},
		{"unprotected, where that is to be trusted", reply{body: complaint, bare: true}, true, false, true, cmp.BadRequest},
		{"wrong MAC", reply{body: complaint, secret: "other"}, false, false, false, cmp.BadRequest},
		{"wrong MAC, where unprotected ones are to be trusted", reply{body: complaint, secret: "other"}, true, false, false, cmp.BadRequest},
		{"unprotected, of another transaction", reply{body: complaint, bare: true, header: func(h *cmp.PKIHeader) { h.TransactionID = nil }}, true, false, false, cmp.BadRequest},
		{"signed by a stranger", reply{body: complaint, signer: p.server}, false, false, false, cmp.BadRequest},
		{"unprotected refusal", reply{body: refusal, bare: true}, true, false, false, cmp.BadPOP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, req, cert := asked(t, p, c, nil)
			c := c
			c.Trust.UnprotectedErrors = tt.trust
			_, err := s.Accept(tt.reply.to(t, req), c)
			var e *client.PeerError
			if !errors.As(err, &e) || e.Authenticated != tt.auth || (e.Cause == nil) != tt.auth || e.FailInfo != tt.info {
				t.Fatalf("%#v", err)
			}
			if strings.ContainsRune(err.Error(), 0x1b) {
				t.Error("the text has a terminal escape")
			}
			if tt.ends == s.Waiting() {
				t.Errorf("step %s", s.Step)
			}
			if !tt.ends { // the true answer still counts
				accept(t, s, reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req), c)
			}
		})
	}
}

// TestEncryptedCertificate: possession proven by encrCert (RFC 4211 section
// 4.2); the certConf over the decrypted certificate is the proof.
func TestEncryptedCertificate(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	s, req, cert := asked(t, p, c, func(o *client.Options) { o.Certificates[0].POP = client.POPEncrCert })
	pop, ok := parse(t, req).Body.(*cmp.CertReqMessages).Requests[0].POPO.(*crmf.POPOPrivKey)
	if !ok || pop.Use != crmf.KeyAgreement || pop.Subsequent != crmf.EncrCert {
		t.Fatalf("%+v", pop)
	}
	sealed := &crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte("sealed")}}
	resp := response(0, cmp.Accepted, nil)
	resp.CertifiedKeyPair = &cmp.CertifiedKeyPair{EncryptedCert: sealed}
	answer := reply{body: ip(resp)}.to(t, req)
	broken := errors.New("wrong key")
	c.Decrypt = func(*crmf.EncryptedKey) ([]byte, error) { return nil, broken }
	check(t, s, answer, c, broken)
	c.Decrypt = func(k *crmf.EncryptedKey) ([]byte, error) {
		if string(k.Value.EncValue) != "sealed" {
			t.Errorf("asked to decrypt %q", k.Value.EncValue)
		}
		return cert, nil
	}
	r := accept(t, s, answer, c)
	hash := sha256.Sum256(cert)
	if _, st := certConf(t, r.Next); !bytes.Equal(st[0].CertHash, hash[:]) || !bytes.Equal(r.Certificates[0].Certificate, cert) {
		t.Errorf("%+v", r)
	}
}

func TestKeyUpdateWarning(t *testing.T) {
	p := newPKI(t)
	c := p.signed()
	for _, cert := range [][]byte{nil, p.ee.der()} {
		s, req, err := client.Start(client.Options{Kind: cmp.TypeKUR, Credentials: c, Certificates: []client.CertificateRequest{{Key: p.ee.key}}})
		if err != nil {
			t.Fatal(err)
		}
		r := accept(t, s, reply{body: rep(cmp.TypeKUP, response(0, cmp.KeyUpdateWarning, cert)), signer: p.server, extra: [][]byte{p.server.der(), p.sub.der()}}.to(t, req), c)
		if got := r.Certificates[0]; cert == nil && (got.State != client.ItemRefused || !r.Done) || cert != nil && (got.State != client.ItemIssued || len(got.Changes) != 1) {
			t.Errorf("%+v", got)
		}
	}
}
