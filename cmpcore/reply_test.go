package cmpcore_test

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"hash"
	"math/bits"
	"slices"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// reply is an answer that passed every check that does not depend on the test.
type reply struct {
	*talk
	out    *cmpcore.Outcome
	msg    *cmp.PKIMessage // nil where there was no answer
	signed bool            // protected by signature, not by MAC
	kem    bool            // protected by a MAC under the CA's KEM key
}

// check reads an answer with the eyes of the requester.
func (k *talk) check(request []byte, out *cmpcore.Outcome) *reply {
	k.Helper()
	r := &reply{talk: k, out: out}
	if out.Reply == nil {
		return r
	}
	m, err := cmp.Parse(out.Reply, cmp.Limits{})
	if err != nil {
		k.Fatalf("the answer cannot be read: %v", err)
	}
	r.msg = m
	req, _ := cmp.Parse(request, cmp.Limits{})
	h, q := &m.Header, &req.Header
	bad := func(format string, a ...any) {
		k.Helper()
		k.Errorf("answer %s: "+format, append([]any{m.Body.Type()}, a...)...)
	}
	pvno := q.PVNO
	if pvno == 1 {
		pvno = 2
	} else if pvno != 2 && pvno != 3 {
		pvno = 3
	}
	if h.PVNO != pvno {
		bad("pvno %d to a request of %d", h.PVNO, q.PVNO)
	}
	if q.Sender != nil && !bytes.Equal(h.Recipient, q.Sender) {
		bad("recipient %x, want %x", h.Recipient, q.Sender)
	}
	us := k.ca
	if k.server != nil {
		us = k.server
	}
	switch cmp.ProtectionKind(h.ProtectionAlg) {
	case cmp.ProtectionDHMAC:
		us = k.agreement
	case cmp.ProtectionKEMMAC:
		us = k.kem
	}
	if !bytes.Equal(h.Sender, pkix.NewDirectoryName(pkix.Name(us.cert.RawSubject))) {
		bad("sender %s", h.Sender)
	}
	if !h.MessageTime.Equal(k.now.Truncate(time.Second)) || !bytes.Contains(h.Raw, []byte(k.now.UTC().Format("20060102150405Z"))) {
		bad("messageTime %s, want %s", h.MessageTime, k.now.UTC())
	}
	if len(q.TransactionID) <= 64 && !bytes.Equal(h.TransactionID, q.TransactionID) {
		bad("transactionID %x, want %x", h.TransactionID, q.TransactionID)
	}
	if len(h.SenderNonce) != 16 || k.nonces[string(h.SenderNonce)] {
		bad("senderNonce %x is short or used", h.SenderNonce)
	}
	k.nonces[string(h.SenderNonce)] = true
	k.checkRecipNonce(m, req, out, bad)
	r.checkProtection(req, us, bad)
	r.checkBody(req, bad)
	return r
}

// checkRecipNonce: the nonce of the message answered, but after polling that of
// the first one (RFC 9483 section 4.4) unless the policy says otherwise.
func (k *talk) checkRecipNonce(m, req *cmp.PKIMessage, out *cmpcore.Outcome, bad func(string, ...any)) {
	k.Helper()
	want := req.Header.SenderNonce
	if _, ok := req.Body.(*cmp.PollReq); ok && !k.cfg.Policies[k.channel].LastPollNonce &&
		m.Body.Type() != cmp.TypePollRep && out.Transaction != nil {
		want = k.first
	}
	if !bytes.Equal(m.Header.RecipNonce, want) {
		bad("recipNonce %x, want %x", m.Header.RecipNonce, want)
	}
}

func (r *reply) checkProtection(req *cmp.PKIMessage, us *holder, bad func(string, ...any)) {
	r.Helper()
	h := &r.msg.Header
	part := protectedPart(r, r.msg.Raw)
	certs := r.msg.ExtraCerts
	switch cmp.ProtectionKind(h.ProtectionAlg) {
	case cmp.ProtectionMAC:
		q := &req.Header
		if !bytes.Equal(h.SenderKID, []byte(r.party.ref)) || !bytes.Equal(q.SenderKID, h.SenderKID) {
			bad("senderKID %q under a secret with the reference %q", h.SenderKID, r.party.ref)
		}
		if long := saltLength(r, q.ProtectionAlg) >= 16; h.ProtectionAlg.OID != q.ProtectionAlg.OID || long != h.ProtectionAlg.Equal(q.ProtectionAlg) ||
			saltLength(r, h.ProtectionAlg) < 16 {
			bad("the MAC is not that of the request, or not with a longer salt where that one is short")
		}
		if !bytes.Equal(stdMAC(r, h.ProtectionAlg, []byte(r.party.secret), part), r.msg.Protection) {
			bad("the MAC does not verify")
		}
		if !bytes.Equal(stdMAC(r, q.ProtectionAlg, []byte(r.party.secret), protectedPart(r, req.Raw)), req.Protection) {
			bad("a MAC although that of the request is wrong")
		}
	case cmp.ProtectionKEMMAC:
		r.kem = true
		if len(certs) == 0 || !bytes.Equal(certs[0], us.cert.Raw) || !bytes.Equal(h.SenderKID, us.cert.SubjectKeyId) {
			bad("extraCerts or senderKID are not of the KEM key")
		}
		if !bytes.Equal(stdKEMMAC(r, h.ProtectionAlg, r.kemSecret, req.Header.TransactionID, part), r.msg.Protection) {
			bad("the MAC does not verify")
		}
	case cmp.ProtectionDHMAC:
		q := &req.Header
		if !h.ProtectionAlg.Equal(q.ProtectionAlg) {
			bad("the MAC is not that of the request")
		}
		if len(certs) == 0 || !bytes.Equal(certs[0], us.cert.Raw) || !bytes.Equal(h.SenderKID, us.cert.SubjectKeyId) {
			bad("extraCerts or senderKID are not of the key agreement key")
		}
		if !bytes.Equal(stdDHMAC(r, h.ProtectionAlg, r.party.shared, part), r.msg.Protection) {
			bad("the MAC does not verify")
		}
		if !bytes.Equal(stdDHMAC(r, q.ProtectionAlg, r.party.shared, protectedPart(r, req.Raw)), req.Protection) {
			bad("a MAC although that of the request is wrong")
		}
	case cmp.ProtectionSignature:
		r.signed = true
		if len(certs) == 0 || !bytes.Equal(certs[0], us.cert.Raw) {
			bad("extraCerts do not begin with the certificate that signs")
		}
		if !bytes.Equal(h.SenderKID, us.cert.SubjectKeyId) {
			bad("senderKID %x, want %x", h.SenderKID, us.cert.SubjectKeyId)
		}
		if err := us.cert.CheckSignature(stdSignature(h.ProtectionAlg), part, r.msg.Protection); err != nil {
			bad("signature: %v", err)
		}
	default:
		bad("no protection")
	}
	// extraCerts lead to the root, each certificate signed by the next; what links
	// roots comes after it.
	all := certs
	for len(certs) > 0 && slices.ContainsFunc(r.cfg.Authority.RootUpdates, func(u cmpcore.RootUpdate) bool {
		last := certs[len(certs)-1]
		return bytes.Equal(last, u.NewWithOld) || bytes.Equal(last, u.OldWithNew)
	}) {
		certs = certs[:len(certs)-1]
	}
	for i, der := range certs {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			bad("extraCerts[%d]: %v", i, err)
			return
		}
		if i > 0 {
			below, _ := x509.ParseCertificate(certs[i-1])
			if err := below.CheckSignatureFrom(c); err != nil {
				bad("extraCerts[%d] is not signed by the next: %v", i-1, err)
			}
		}
		last := i == len(certs)-1
		if root := bytes.Equal(c.RawSubject, c.RawIssuer); last && root == r.cfg.Policies[r.channel].OmitRoot {
			bad("the chain of extraCerts ends at %s", c.Subject)
		}
	}
	if len(all) == 0 {
		bad("no extraCerts")
	}
}

func (r *reply) checkStatus(s *cmp.PKIStatusInfo, bad func(string, ...any)) {
	r.Helper()
	switch s.Status {
	case cmp.Accepted, cmp.Waiting:
		if s.FailInfo != 0 {
			bad("%s with failInfo %s", s.Status, s.FailInfo)
		}
	case cmp.GrantedWithMods:
		if s.FailInfo != 0 || len(s.StatusString) == 0 {
			bad("grantedWithMods with failInfo %s and text %q", s.FailInfo, s.StatusString)
		}
	case cmp.Rejection:
		if bits.OnesCount32(uint32(s.FailInfo)) != 1 || len(s.StatusString) != 1 || s.StatusString[0] == "" {
			bad("rejection with failInfo %q and text %q", s.FailInfo, s.StatusString)
		}
	default:
		bad("status %s", s.Status)
	}
}

func (r *reply) checkBody(req *cmp.PKIMessage, bad func(string, ...any)) {
	r.Helper()
	switch b := r.msg.Body.(type) {
	case *cmp.ErrorMsg:
		r.checkStatus(&b.Status, bad)
		if b.Status.Status != cmp.Rejection && b.Status.Status != cmp.Waiting {
			bad("error with status %s", b.Status.Status)
		}
	case *cmp.RevRepContent:
		for i := range b.Status {
			r.checkStatus(&b.Status[i], bad)
		}
	case *cmp.CertRepMessage:
		granted := slices.ContainsFunc(b.Responses, func(c cmp.CertResponse) bool { return c.CertifiedKeyPair != nil })
		if len(b.CAPubs) > 0 && (b.Kind != cmp.TypeIP || r.signed || !granted) {
			bad("caPubs in %s", b.Kind)
		}
		for i := range b.Responses {
			c := &b.Responses[i]
			r.checkStatus(&c.Status, bad)
			has := c.CertifiedKeyPair != nil
			if granted := c.Status.Status == cmp.Accepted || c.Status.Status == cmp.GrantedWithMods; granted != has {
				bad("response %d is %s, and has a certificate: %v", i, c.Status.Status, has)
			}
			if has && c.CertifiedKeyPair.EncryptedCert == nil {
				r.checkCertificate(c, bad)
			}
		}
	}
}

// checkCertificate asks the standard library about an issued certificate.
func (r *reply) checkCertificate(c *cmp.CertResponse, bad func(string, ...any)) {
	r.Helper()
	cert, err := x509.ParseCertificate(c.CertifiedKeyPair.Certificate)
	if err != nil {
		bad("certificate: %v", err)
		return
	}
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(r.root.cert)
	inter.AddCert(r.ca.cert)
	cert.UnhandledCriticalExtensions = nil
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: cert.NotBefore.Add(time.Second),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		bad("certificate: %v", err)
	}
	if c.CertifiedKeyPair.PrivateKey != nil {
		return // the test opens it
	}
	want := r.keys[c.CertReqID.Int64()]
	if cert.PublicKey == nil && want != nil { // one that crypto/x509 does not read
		if der, err := alg.MarshalPublicKey(want.Public()); err != nil || !bytes.Equal(der, cert.RawSubjectPublicKeyInfo) {
			bad("certificate %d has another key than the request", c.CertReqID)
		}
		return
	}
	if k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); want == nil || !ok || !k.Equal(want.Public()) {
		bad("certificate %d has another key than the request", c.CertReqID)
	}
}

// What a test expects of an answer.

func (r *reply) body(want cmp.BodyType) *reply {
	r.Helper()
	if r.msg == nil {
		r.Fatalf("no answer (%s: %s), want %s", r.out.Disposition, r.out.Reason, want)
	}
	if got := r.msg.Body.Type(); got != want {
		r.Fatalf("the answer is %s, want %s (%s)", got, want, r.out.Reason)
	}
	return r
}

// refused wants an error message with one failure bit.
func (r *reply) refused(want cmp.PKIFailureInfo) {
	r.Helper()
	b := r.body(cmp.TypeError).msg.Body.(*cmp.ErrorMsg)
	if b.Status.FailInfo != want {
		r.Errorf("failInfo %s (%s), want %s", b.Status.FailInfo, r.out.Reason, want)
	}
	if r.out.Disposition != cmpcore.Refused {
		r.Errorf("disposition %s, want refused", r.out.Disposition)
	}
	if !slices.ContainsFunc(r.out.Audit, func(a cmpcore.AuditEntry) bool {
		return (a.Event == "refused" || a.Event == "expired") && a.Detail != "" && a.Transaction == hex.EncodeToString(r.msg.Header.TransactionID)
	}) {
		r.Errorf("the audit log does not tell of it:\n%s", describe(r.out))
	}
	if len(r.out.Certificates)+len(r.out.CertChanges)+len(r.out.SecretUses) > 0 {
		r.Errorf("a refusal changed something:\n%s", describe(r.out))
	}
}

// stranger wants the answer to be signed: the requester proved no secret.
func (r *reply) stranger(want cmp.PKIFailureInfo) {
	r.Helper()
	r.refused(want)
	if !r.signed {
		r.Error("the answer has a MAC although the requester proved nothing")
	}
	if r.out.Transaction != nil {
		r.Error("a stranger left a transaction")
	}
}

func (r *reply) response(i int) *cmp.CertResponse {
	r.Helper()
	if r.msg == nil {
		r.Fatalf("no answer (%s: %s)", r.out.Disposition, r.out.Reason)
	}
	b, ok := r.msg.Body.(*cmp.CertRepMessage)
	if !ok || i >= len(b.Responses) {
		r.Fatalf("the answer is %s and has no response %d (%s)", r.msg.Body.Type(), i, r.out.Reason)
	}
	return &b.Responses[i]
}

// cert wants a certificate in response i.
func (r *reply) cert(i int) *x509.Certificate {
	r.Helper()
	c := r.response(i)
	if c.CertifiedKeyPair == nil {
		r.Fatalf("response %d is %s: %q (%s)", i, c.Status.Status, c.Status.StatusString, r.out.Reason)
	}
	cert, err := x509.ParseCertificate(c.CertifiedKeyPair.Certificate)
	if err != nil {
		r.Fatal(err)
	}
	return cert
}

// rejected wants response i to be a rejection with one failure bit.
func (r *reply) rejected(i int, want cmp.PKIFailureInfo) {
	r.Helper()
	c := r.response(i)
	if c.Status.Status != cmp.Rejection || c.Status.FailInfo != want {
		r.Errorf("response %d is %s %s (%s), want rejection %s", i, c.Status.Status, c.Status.FailInfo, r.out.Reason, want)
	}
}

func (r *reply) waits(i int) {
	r.Helper()
	if c := r.response(i); c.Status.Status != cmp.Waiting {
		r.Errorf("response %d is %s, want waiting", i, c.Status.Status)
	}
}

// silent wants no answer.
func (r *reply) silent(want cmpcore.Disposition) {
	r.Helper()
	if want != cmpcore.Held && r.out.Reason == "" {
		r.Error("silent without a reason for the operator")
	}
	if r.msg != nil || r.out.Disposition != want {
		r.Errorf("disposition %s with answer: %v, want %s and none (%s)", r.out.Disposition, r.msg != nil, want, r.out.Reason)
	}
}

// Independent reading of protections.

// protectedPart takes header and body out of a message without package cmp.
func protectedPart(t testing.TB, raw []byte) []byte {
	t.Helper()
	var outer, header, body asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &outer); err != nil {
		t.Fatal(err)
	}
	rest, err := asn1.Unmarshal(outer.Bytes, &header)
	if err == nil {
		_, err = asn1.Unmarshal(rest, &body)
	}
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(append([]byte(nil), header.FullBytes...), body.FullBytes...)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

type stdAlgorithm struct {
	OID    asn1.ObjectIdentifier
	Params asn1.RawValue `asn1:"optional"`
}

var stdHashes = map[string]crypto.Hash{
	"1.3.14.3.2.26": crypto.SHA1, "2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384,
	"2.16.840.1.101.3.4.2.3": crypto.SHA512, "2.16.840.1.101.3.4.2.4": crypto.SHA224,
	"1.3.6.1.5.5.8.1.2": crypto.SHA1, "1.2.840.113549.2.7": crypto.SHA1, "1.2.840.113549.2.8": crypto.SHA224,
	"1.2.840.113549.2.9": crypto.SHA256, "1.2.840.113549.2.10": crypto.SHA384, "1.2.840.113549.2.11": crypto.SHA512,
}

// saltLength is that of a PBM or PBMAC1, in octets.
func saltLength(t testing.TB, a pkix.AlgorithmIdentifier) int {
	t.Helper()
	der := []byte(a.Parameters)
	if a.OID.String() == "1.2.840.113549.1.5.14" {
		var p struct{ KDF, MAC stdAlgorithm }
		if _, err := asn1.Unmarshal(der, &p); err != nil {
			t.Fatal(err)
		}
		der = p.KDF.Params.FullBytes
	}
	var p asn1.RawValue
	if _, err := asn1.Unmarshal(der, &p); err != nil {
		t.Fatal(err)
	}
	var salt []byte
	if _, err := asn1.Unmarshal(p.Bytes, &salt); err != nil {
		t.Fatal(err)
	}
	return len(salt)
}

// stdMAC computes PBM (RFC 4211 section 4.4) and PBMAC1 (RFC 8018 section 7.1)
// with the standard library; nil for what is neither.
func stdMAC(t testing.TB, a pkix.AlgorithmIdentifier, secret, message []byte) []byte {
	t.Helper()
	sum := func(key []byte, mac stdAlgorithm) []byte {
		h := hmac.New(stdHashes[mac.OID.String()].New, key)
		h.Write(message)
		return h.Sum(nil)
	}
	if a.OID.String() == "1.2.840.113549.1.5.14" {
		var p struct{ KDF, MAC stdAlgorithm }
		var k struct {
			Salt       []byte
			Iterations int
			KeyLen     int          `asn1:"optional"`
			PRF        stdAlgorithm `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(a.Parameters, &p); err != nil {
			t.Fatal(err)
		}
		if _, err := asn1.Unmarshal(p.KDF.Params.FullBytes, &k); err != nil {
			t.Fatal(err)
		}
		prf := crypto.SHA1
		if k.PRF.OID != nil {
			prf = stdHashes[k.PRF.OID.String()]
		}
		if k.KeyLen == 0 {
			k.KeyLen = stdHashes[p.MAC.OID.String()].Size()
		}
		key, err := pbkdf2.Key(func() hash.Hash { return prf.New() }, string(secret), k.Salt, k.Iterations, k.KeyLen)
		if err != nil {
			t.Fatal(err)
		}
		return sum(key, p.MAC)
	}
	var p struct {
		Salt       []byte
		OWF        stdAlgorithm
		Iterations int
		MAC        stdAlgorithm
	}
	if _, err := asn1.Unmarshal(a.Parameters, &p); err != nil {
		return nil
	}
	key := append(append([]byte(nil), secret...), p.Salt...)
	for range p.Iterations {
		h := stdHashes[p.OWF.OID.String()].New()
		h.Write(key)
		key = h.Sum(nil)
	}
	return sum(key, p.MAC)
}

// stdSignature names an algorithm for crypto/x509.
func stdSignature(a pkix.AlgorithmIdentifier) x509.SignatureAlgorithm {
	return map[string]x509.SignatureAlgorithm{
		"1.2.840.10045.4.3.2": x509.ECDSAWithSHA256, "1.2.840.10045.4.3.3": x509.ECDSAWithSHA384,
		"1.2.840.113549.1.1.11": x509.SHA256WithRSA, "1.3.101.112": x509.PureEd25519,
	}[a.OID.String()]
}
