package client_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	cpkix "cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// TestAcceptUnderMAC changes one thing at a time in an answer that is good.
func TestAcceptUnderMAC(t *testing.T) {
	p := newPKI(t)
	creds := withSecret(secret)
	stranger := make([]byte, 16)
	tests := []struct {
		name   string
		change func(r *reply, cert []byte)
		trust  func(*client.Trust)
		opts   func(*client.Options)
		want   error // nil: accepted
	}{
		{name: "nothing changed"},
		{name: "another transactionID", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.TransactionID = stranger }
		}, want: client.ErrTransaction},
		{name: "no transactionID", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.TransactionID = nil }
		}, want: client.ErrTransaction},
		{name: "another recipNonce", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.RecipNonce = stranger }
		}, want: client.ErrNonce},
		{name: "no recipNonce", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.RecipNonce = nil }
		}, want: client.ErrNonce},
		{name: "no senderNonce", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.SenderNonce = nil }
		}, want: client.ErrNonce},
		{name: "short senderNonce", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.SenderNonce = h.SenderNonce[:15] }
		}, want: client.ErrNonce},
		{name: "another recipient", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.Recipient = cpkix.NewDirectoryName(dn(t, "CN=ref-2")) }
		}, want: client.ErrRecipient},
		{name: "recipient in another string type", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) {
				h.Recipient = cpkix.NewDirectoryName(bytes.Replace(h.Recipient[2:], []byte{12, 5}, []byte{19, 5}, 1))
			}
		}},
		{name: "pvno 1", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.PVNO = 1 }
		}, want: client.ErrVersion},
		{name: "pvno 3", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.PVNO = 3 }
		}},
		{name: "another secret", change: func(r *reply, _ []byte) { r.secret = "other" }, want: cmp.ErrMAC},
		{name: "unprotected", change: func(r *reply, _ []byte) { r.bare = true }, want: cmp.ErrUnprotected},
		{name: "too costly a MAC", change: func(r *reply, _ []byte) { r.mac = costly(t) }, want: alg.ErrForbidden},
		{name: "a MAC of SHA-1", change: func(r *reply, _ []byte) { r.mac = weak(t) }, want: alg.ErrForbidden},
		{name: "a signature without a trust anchor", change: func(r *reply, _ []byte) { r.signer = p.server }, want: client.ErrSigner},
		{name: "a signature under a trust anchor", change: func(r *reply, _ []byte) {
			r.signer = p.server
			r.extra = [][]byte{p.server.der(), p.sub.der()}
		}, trust: func(c *client.Trust) { c.Anchors = [][]byte{p.root.der()} }},
		{name: "a revoked signer", change: signedByServer(p), trust: func(c *client.Trust) {
			c.Anchors, c.CRLs = [][]byte{p.root.der()}, [][]byte{crl(t, p.root), crl(t, p.sub, p.server)}
		}, want: certpath.ErrRevoked},
		{name: "a signer that is not revoked", change: signedByServer(p), trust: func(c *client.Trust) {
			c.Anchors, c.CRLs, c.NeedCRL = [][]byte{p.root.der()}, [][]byte{crl(t, p.root), crl(t, p.sub, p.ee)}, true
		}},
		{name: "no CRL where one is needed", change: signedByServer(p), trust: func(c *client.Trust) {
			c.Anchors, c.CRLs, c.NeedCRL = [][]byte{p.root.der()}, [][]byte{crl(t, p.root)}, true
		}, want: certpath.ErrCRL},
		{name: "a CRL that is none", change: signedByServer(p), trust: func(c *client.Trust) {
			c.Anchors, c.CRLs = [][]byte{p.root.der()}, [][]byte{{0x30, 0}}
		}, want: client.ErrCredentials},
		{name: "cp in answer to ir", change: func(r *reply, cert []byte) {
			r.body = rep(cmp.TypeCP, response(0, cmp.Accepted, cert))
		}, want: client.ErrBody},
		{name: "pkiConf in answer to ir", change: func(r *reply, _ []byte) { r.body = body(&cmp.PKIConf{}) }, want: client.ErrBody},
		{name: "pollRep before a pollReq", change: func(r *reply, _ []byte) {
			r.body = body(&cmp.PollRep{Items: []cmp.PollRepItem{{CertReqID: response(0, 0, nil).CertReqID}}})
		}, want: client.ErrBody},
		{name: "certReqId of nobody", change: func(r *reply, cert []byte) { r.body = ip(response(1, cmp.Accepted, cert)) }, want: client.ErrCertReqID},
		{name: "certReqId -1", change: func(r *reply, cert []byte) { r.body = ip(response(-1, cmp.Accepted, cert)) }, want: client.ErrCertReqID},
		{name: "certReqId twice", change: func(r *reply, cert []byte) {
			r.body = ip(response(0, cmp.Accepted, cert), response(0, cmp.Accepted, cert))
		}, want: client.ErrCertReqID},
		{name: "no response at all", change: func(r *reply, _ []byte) { r.body = ip() }, want: client.ErrCertReqID},
		{name: "accepted without a certificate", change: func(r *reply, _ []byte) { r.body = ip(response(0, cmp.Accepted, nil)) }, want: client.ErrBody},
		{name: "unknown status", change: func(r *reply, cert []byte) { r.body = ip(response(0, 9, cert)) }, want: client.ErrBody},
		{name: "encrypted certificate", change: func(r *reply, _ []byte) {
			resp := response(0, cmp.Accepted, nil)
			resp.CertifiedKeyPair = &cmp.CertifiedKeyPair{EncryptedCert: &crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{1}}}}
			r.body = ip(resp)
		}, want: client.ErrEncrypted},
		{name: "unexpected sender", opts: func(o *client.Options) { o.ExpectSender = dn(t, "CN=Another CA") }, want: client.ErrSender},
		{name: "expected sender in other letters", opts: func(o *client.Options) { o.ExpectSender = dn(t, "CN=ISSUING  ca") }},
		{name: "time outside the window", trust: func(c *client.Trust) { c.Window = time.Hour }, change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.MessageTime = now.Add(-2 * time.Hour) }
		}, want: client.ErrTime},
		{name: "no time where a window is set", trust: func(c *client.Trust) { c.Window = time.Hour }, change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.MessageTime = time.Time{} }
		}, want: client.ErrTime},
		{name: "no time where none is wanted", change: func(r *reply, _ []byte) {
			r.header = func(h *cmp.PKIHeader) { h.MessageTime = time.Time{} }
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, req, cert := asked(t, p, creds, tt.opts)
			r := reply{body: ip(response(0, cmp.Accepted, cert))}
			if tt.change != nil {
				tt.change(&r, cert)
			}
			c := creds
			if tt.trust != nil {
				tt.trust(&c.Trust)
			}
			check(t, s, r.to(t, req), c, tt.want)
		})
	}
}

// check wants an error and a session that has not moved, or no error.
func check(t *testing.T, s *client.Session, answer []byte, c client.Credentials, want error) {
	t.Helper()
	before := snapshot(t, s)
	r, err := s.Accept(answer, c)
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if want != nil {
		if snapshot(t, s) != before {
			t.Error("the session has changed")
		}
		return
	}
	if r.NextKind != cmp.TypeCertConf || r.Certificates[0].State != client.ItemIssued {
		t.Errorf("%+v", r)
	}
}

func costly(t *testing.T) *alg.MAC { return macOf(t, 90_000, "2.16.840.1.101.3.4.2.1", 2_000_000) }
func weak(t *testing.T) *alg.MAC   { return macOf(t, 500, "1.3.14.3.2.26", 500) }

// macOf makes a PBM that package alg would not make.
func macOf(t *testing.T, _ int, owf string, count int64) *alg.MAC {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString([]byte("salt salt"))
		cpkix.AlgorithmIdentifier{OID: cpkix.MustOID(owf)}.Add(b)
		b.AddASN1Int64(count)
		cpkix.AlgorithmIdentifier{OID: cpkix.MustOID("1.2.840.113549.2.9")}.Add(b)
	})
	m, err := alg.ParseMAC(cpkix.AlgorithmIdentifier{OID: cpkix.MustOID("1.2.840.113533.7.66.13"), Parameters: b.BytesOrPanic()},
		&alg.MACPolicy{MaxIterations: 1 << 30, AllowSHA1: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAcceptFlippedBits(t *testing.T) {
	p := newPKI(t)
	creds := withSecret(secret)
	s, req, cert := asked(t, p, creds, nil)
	good := reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req)
	before := snapshot(t, s)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if r, err := s.Accept(bad, creds); err == nil {
			t.Fatalf("accepted with bit %d of octet %d flipped: %+v", i%8, i, r)
		}
	}
	if snapshot(t, s) != before {
		t.Fatal("the session has changed")
	}
	accept(t, s, good, creds)
}

func TestAcceptSigned(t *testing.T) {
	p, q := newPKI(t), newPKI(t)
	noKU := issue(t, p.sub, "CMP server", ecKey(t), func(c *x509.Certificate) { asCMPServer(c); c.KeyUsage = x509.KeyUsageKeyEncipherment })
	anyKU := issue(t, p.sub, "CMP server", ecKey(t), func(c *x509.Certificate) { asCMPServer(c); c.KeyUsage = 0 })
	old := issue(t, p.sub, "CMP server", ecKey(t), func(c *x509.Certificate) { asCMPServer(c); c.NotAfter = now.Add(-time.Minute) })
	ed := issue(t, p.sub, "CMP server", edKey(t), asCMPServer)
	device := issue(t, p.sub, "device 2", ecKey(t), nil)
	tests := []struct {
		name   string
		change func(r *reply)
		trust  func(*client.Trust)
		opts   func(*client.Options)
		want   error
	}{
		{name: "nothing changed"},
		{name: "Ed25519", change: func(r *reply) { r.signer = ed }},
		{name: "the CA itself signs", change: func(r *reply) { r.signer = p.sub }},
		{name: "another key under the same name", change: func(r *reply) { r.key = device }, want: alg.ErrSignature},
		{name: "a signer under another root", change: func(r *reply) { r.signer = q.server; r.extra = [][]byte{q.server.der(), q.sub.der(), q.root.der()} }, want: client.ErrSigner},
		{name: "an expired signer", change: func(r *reply) { r.signer = old }, want: client.ErrSigner},
		{name: "a signer whose key may not sign", change: func(r *reply) { r.signer = noKU }, want: client.ErrSigner},
		{name: "a signer whose key may not sign, tolerated", change: func(r *reply) { r.signer = noKU }, trust: func(c *client.Trust) { c.IgnoreKeyUsage = true }},
		{name: "a signer without keyUsage", change: func(r *reply) { r.signer = anyKU }},
		{name: "another device signs", change: func(r *reply) { r.signer = device }, want: client.ErrSigner},
		{name: "another device says of itself that it is the CA", change: func(r *reply) {
			r.signer = issue(t, nil, "device 2", device.key, asCA)
			r.extra = [][]byte{r.signer.der(), device.der(), p.sub.der()}
		}, want: client.ErrSigner},
		{name: "another device says of itself that it is a CMP server", change: func(r *reply) {
			r.signer = issue(t, nil, "device 2", device.key, asCMPServer)
			r.extra = [][]byte{r.signer.der(), device.der(), p.sub.der()}
		}, want: client.ErrSigner},
		{name: "a CA through a link that its anchor signed", change: func(r *reply) {
			link := issue(t, p.root, "New Root", p.server.key, asCA)
			r.signer = issue(t, nil, "New Root", p.server.key, asCA)
			r.extra = [][]byte{r.signer.der(), link.der()}
		}},
		{name: "another device signs, tolerated", change: func(r *reply) { r.signer = device }, trust: func(c *client.Trust) { c.AnySigner = true }},
		{name: "the expected sender signs", change: func(r *reply) { r.signer = device }, opts: func(o *client.Options) { o.ExpectSender = dn(t, "CN=device 2") }},
		{name: "the recipient signs", change: func(r *reply) { r.signer = device }, opts: func(o *client.Options) { o.Recipient = dn(t, "CN=device 2") }},
		{name: "sender is not the signer", change: func(r *reply) {
			r.header = func(h *cmp.PKIHeader) { h.Sender = cpkix.NewDirectoryName(dn(t, "CN=Root")) }
		}, want: client.ErrSender},
		{name: "senderKID is not the signer's", change: func(r *reply) {
			r.header = func(h *cmp.PKIHeader) { h.SenderKID = []byte("somebody else") }
		}, want: client.ErrSender},
		{name: "a MAC", change: func(r *reply) { r.signer = nil }, want: cmp.ErrProtectionKind},
		{name: "unprotected", change: func(r *reply) { r.signer, r.bare = nil, true }, want: cmp.ErrUnprotected},
		{name: "no certificate of the signer", change: func(r *reply) { r.extra = [][]byte{p.sub.der()} }, want: client.ErrSender},
		{name: "certificate of the signer known before", change: func(r *reply) { r.extra = [][]byte{p.sub.der()} }, trust: func(c *client.Trust) { c.Untrusted = [][]byte{p.server.der()} }},
		{name: "the intermediate is missing", trust: func(c *client.Trust) { c.Untrusted = nil }, want: client.ErrSigner},
		{name: "no anchor", trust: func(c *client.Trust) { c.Anchors = nil }, want: client.ErrSigner},
		{name: "the pinned signer, without an anchor", trust: func(c *client.Trust) { c.Anchors = nil; c.Signer = p.server.der() }},
		{name: "not the pinned signer", trust: func(c *client.Trust) { c.Signer = device.der() }, want: client.ErrSender},
		{name: "pinned, but expired", change: func(r *reply) { r.signer = old }, trust: func(c *client.Trust) { c.Signer = old.der() }, want: client.ErrSigner},
		{name: "refused by policy", trust: func(c *client.Trust) { c.SignaturePolicy = &alg.SignaturePolicy{Only: []string{"ed25519"}} }, want: alg.ErrForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			creds := p.signed()
			s, req, cert := asked(t, p, creds, tt.opts)
			creds.Trust.Untrusted = [][]byte{p.sub.der()}
			if tt.trust != nil {
				tt.trust(&creds.Trust)
			}
			r := reply{body: ip(response(0, cmp.Accepted, cert)), signer: p.server}
			if tt.change != nil {
				tt.change(&r)
			}
			check(t, s, r.to(t, req), creds, tt.want)
		})
	}
}

func TestCAPubsAreTrustedUnderMACOnly(t *testing.T) {
	p := newPKI(t)
	pubs := func(cert []byte) func(*cmp.PKIMessage) cmp.Body {
		return body(&cmp.CertRepMessage{Kind: cmp.TypeIP, CAPubs: [][]byte{p.root.der()}, Responses: []cmp.CertResponse{response(0, cmp.Accepted, cert)}})
	}
	c := withSecret(secret)
	s, req, cert := asked(t, p, c, nil)
	r := accept(t, s, reply{body: pubs(cert), extra: [][]byte{p.sub.der()}}.to(t, req), c)
	if len(r.CAPubs) != 1 || r.UntrustedCAPubs != nil || !r.Certificates[0].Complete || len(r.Certificates[0].Chain) != 2 {
		t.Errorf("under a MAC: %+v", r)
	}
	c = p.signed()
	s, req, cert = asked(t, p, c, nil)
	r = accept(t, s, reply{body: pubs(cert), signer: p.server, extra: [][]byte{p.server.der(), p.sub.der()}}.to(t, req), c)
	if r.CAPubs != nil || len(r.UntrustedCAPubs) != 1 || !bytes.Equal(r.Signer, p.server.der()) {
		t.Errorf("signed: %+v", r)
	}
}

func TestCredentialsMustBeThoseOfTheRequest(t *testing.T) {
	p := newPKI(t)
	s, req, cert := asked(t, p, withSecret(secret), nil)
	answer := reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req)
	other := withSecret(secret)
	other.Reference = []byte("ref-2")
	check(t, s, answer, other, client.ErrCredentials)
	check(t, s, answer, p.signed(), client.ErrCredentials)
	check(t, s, answer, client.Credentials{Secret: []byte(secret)}, client.ErrCredentials)
	// The reference is in the session, so it need not be given again.
	check(t, s, answer, client.Credentials{Secret: []byte(secret), Now: now, Rand: rand.Reader}, nil)

	s, req, cert = asked(t, p, p.signed(), nil)
	answer = reply{body: ip(response(0, cmp.Accepted, cert)), signer: p.server, extra: [][]byte{p.server.der(), p.sub.der()}}.to(t, req)
	other = p.signed()
	other.Certificate = p.server.der()
	check(t, s, answer, other, client.ErrCredentials)
	other = p.signed()
	other.Key = crypto.Signer(p.server.key)
	check(t, s, answer, other, client.ErrCredentials)
	check(t, s, answer, withSecret(secret), client.ErrCredentials)
	other = p.signed()
	other.Certificate = nil // in the session
	check(t, s, answer, other, nil)
}

func TestSessionFileIsChecked(t *testing.T) {
	p := newPKI(t)
	c := withSecret(secret)
	s, req, cert := asked(t, p, c, nil)
	answer := reply{body: ip(response(0, cmp.Accepted, cert))}.to(t, req)
	for name, spoil := range map[string]func(*client.Session){
		"version":    func(s *client.Session) { s.Version = 2 },
		"kind":       func(s *client.Session) { s.Kind = "ip" },
		"step":       func(s *client.Session) { s.Step = "later" },
		"pvno":       func(s *client.Session) { s.PVNO = 0 },
		"nonce":      func(s *client.Session) { s.Nonce = nil },
		"sender":     func(s *client.Session) { s.Sender = nil },
		"protection": func(s *client.Session) { s.Protection.Method = "none" },
	} {
		bad := viaFile(t, s)
		spoil(bad)
		if _, err := bad.Accept(answer, c); !errors.Is(err, client.ErrSession) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var none *client.Session
	if _, err := none.Accept(answer, c); !errors.Is(err, client.ErrSession) {
		t.Errorf("nil session: %v", err)
	}
}

func signedByServer(p *pki) func(*reply, []byte) {
	return func(r *reply, _ []byte) {
		r.signer = p.server
		r.extra = [][]byte{p.server.der(), p.sub.der()}
	}
}

func crl(t *testing.T, ca *holder, revoked ...*holder) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}
	for _, h := range revoked {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: h.cert.SerialNumber, RevocationTime: now})
	}
	issuer := *ca.cert
	if len(issuer.SubjectKeyId) == 0 {
		issuer.SubjectKeyId = []byte{1}
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, &issuer, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
