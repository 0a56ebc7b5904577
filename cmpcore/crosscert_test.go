package cmpcore_test

import (
	"bytes"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// withCross lets the partner ask for a certificate of a CA, by ccr only.
func withCross(b *bed) {
	b.cfg.Profiles["cross"] = profile(b, "cross", func(c *issuance.ProfileConfig) {
		two := 2
		c.BasicConstraints = issuance.BasicConstraintsConfig{CA: true, PathLen: &two}
		c.KeyUsage.Fixed = []string{"keyCertSign", "cRLSign"}
		c.KeyUsage.Default, c.KeyUsage.Allowed, c.Subject.MayBeEmpty = nil, nil, false
	})
	b.cfg.Rules = append(b.cfg.Rules, cmpcore.Rule{
		Name: "cross", Certificate: &cmpcore.CertificateWho{Anchors: []*x509.Certificate{b.partner.cert}},
		May: []cmp.BodyType{cmp.TypeCCR}, Profiles: []string{"cross"},
	})
}

// crossWant is a request that is complete.
func (b *bed) crossWant(change func(*crmf.CertTemplate)) want {
	return want{subject: "CN=Partner Root,O=Example", key: "p256 partner", template: func(t *crmf.CertTemplate) {
		t.Issuer = pkix.Name(b.ca.cert.RawSubject)
		t.Validity = &pkix.Validity{NotBefore: b.now, NotAfter: b.now.Add(300 * day)}
		t.Subject = pkix.Name(b.partner.cert.RawSubject)
		t.Extensions = []pkix.Extension{
			pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: 1}),
			pkix.SubjectKeyIDExtension(b.partner.cert.SubjectKeyId),
		}
		if change != nil {
			change(t)
		}
	}}
}

func TestCrossCertification(t *testing.T) {
	b := newBed(t, withCross)
	leaf := certify(t, b.partner, "leaf", key(t, "p256 leaf"), nil)
	k := b.talk(b.signer(b.partner))
	k.say(k.request(cmp.TypeCCR, b.crossWant(nil))).body(cmp.TypeCCP).waits(0)
	if tx := b.store.transactionOf(k.id); !strings.HasPrefix(tx.Summary, "ccr: ") || !strings.Contains(tx.Summary, "Partner Root") {
		t.Errorf("summary %q", tx.Summary)
	}
	b.decide(k, cmpcore.Approved, "")
	r := k.say(poll(0)).body(cmp.TypeCCP)
	cert := r.cert(0)
	b.wantStatus(cert, cmpcore.Unconfirmed)
	if !cert.IsCA || cert.MaxPathLen != 1 || cert.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Errorf("CA %v, path length %d, key usage %b", cert.IsCA, cert.MaxPathLen, cert.KeyUsage)
	}
	if !cert.NotBefore.Equal(b.now.Truncate(time.Second)) || !cert.NotAfter.Equal(b.now.Add(300*day).Truncate(time.Second)) {
		t.Errorf("valid from %s to %s", cert.NotBefore, cert.NotAfter)
	}
	if !bytes.Equal(cert.SubjectKeyId, b.partner.cert.SubjectKeyId) {
		t.Errorf("key identifier %x, what the partner issued has %x", cert.SubjectKeyId, b.partner.cert.SubjectKeyId)
	}
	// Its whole purpose: what the partner issued leads to our root.
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(b.root.cert)
	inter.AddCert(b.ca.cert)
	inter.AddCert(cert)
	if _, err := leaf.cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: b.now.Add(time.Minute),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	k.say(confirmation(cert)).body(cmp.TypePKIConf)
	b.wantStatus(cert, cmpcore.Valid)

	t.Run("rejected by a person", func(t *testing.T) {
		k := b.talk(b.signer(b.partner))
		k.say(k.request(cmp.TypeCCR, b.crossWant(nil))).waits(0)
		b.decide(k, cmpcore.Rejected, "no contract")
		k.say(poll(0)).rejected(0, cmp.NotAuthorized)
	})
	t.Run("unattended, without confirmation", func(t *testing.T) {
		b := newBed(t, withCross, withRule("cross", func(r *cmpcore.Rule) { r.Unattended = true }))
		k := b.talk(b.signer(b.partner))
		r := k.say(k.request(cmp.TypeCCR, b.crossWant(nil)), implicit).body(cmp.TypeCCP)
		b.wantStatus(r.cert(0), cmpcore.Valid)
	})
}

func TestCrossCertificationRefused(t *testing.T) {
	b := newBed(t, withCross, withRule("cross", func(r *cmpcore.Rule) { r.Unattended = true }))
	ecdsa256, err := alg.SignatureFor(key(t, "p256 ca").Public(), "ecdsa-sha256")
	if err != nil {
		t.Fatal(err)
	}
	ecdsa384, err := alg.SignatureFor(key(t, "p256 ca").Public(), "ecdsa-sha384")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*crmf.CertTemplate)
		edit   func(*want)
		fail   cmp.PKIFailureInfo
	}{
		"complete":                  {},
		"our signing algorithm":     {change: func(t *crmf.CertTemplate) { t.SigningAlg = ecdsa256 }},
		"another signing algorithm": {change: func(t *crmf.CertTemplate) { t.SigningAlg = ecdsa384 }, fail: cmp.BadAlg},
		"no subject":                {change: func(t *crmf.CertTemplate) { t.Subject = nil }, fail: cmp.BadCertTemplate},
		"our own subject":           {change: func(t *crmf.CertTemplate) { t.Subject = pkix.Name(b.ca.cert.RawSubject) }, fail: cmp.BadCertTemplate},
		"our own key":               {edit: func(w *want) { w.key = "p256 ca" }, fail: cmp.BadCertTemplate},
		"no validity":               {change: func(t *crmf.CertTemplate) { t.Validity = nil }, fail: cmp.BadCertTemplate},
		"no notBefore":              {change: func(t *crmf.CertTemplate) { t.Validity.NotBefore = time.Time{} }, fail: cmp.BadCertTemplate},
		"no notAfter":               {change: func(t *crmf.CertTemplate) { t.Validity.NotAfter = time.Time{} }, fail: cmp.BadCertTemplate},
		"no basicConstraints":       {change: func(t *crmf.CertTemplate) { t.Extensions = nil }, fail: cmp.BadCertTemplate},
		"another issuer":            {change: func(t *crmf.CertTemplate) { t.Issuer = mustDN("CN=Somebody") }, fail: cmp.BadCertTemplate},
		"a key to be made here":     {edit: func(w *want) { w.key = "" }, fail: cmp.BadCertTemplate},
		"no proof of possession":    {edit: func(w *want) { w.popo = func(*crmf.CertReqMsg) {} }, fail: cmp.BadPOP},
		"raVerified":                {edit: func(w *want) { w.popo = func(r *crmf.CertReqMsg) { r.POPO = crmf.RAVerified{} } }, fail: cmp.BadPOP},
		"proof with another key": {edit: func(w *want) {
			w.popo = func(r *crmf.CertReqMsg) { b.talk(b.signer(b.partner)).prove(r, key(t, "p256 other"), "") }
		}, fail: cmp.BadPOP},
		"the private key to archive": {edit: func(w *want) {
			w.controls = []crmf.Attribute{{Type: crmf.OIDPKIArchiveOptions, Value: []byte{0x82, 1, 0xff}}}
		}, fail: cmp.BadRequest},
		"basicConstraints of nothing": {change: func(t *crmf.CertTemplate) { t.Extensions[0].Value = []byte{5, 0} }, fail: cmp.BadCertTemplate},
		"an end entity": {change: func(t *crmf.CertTemplate) {
			t.Extensions[0] = pkix.BasicConstraintsExtension(pkix.BasicConstraints{MaxPathLen: -1})
		}, fail: cmp.BadCertTemplate},
	} {
		t.Run(name, func(t *testing.T) {
			w := b.crossWant(c.change)
			if c.edit != nil {
				c.edit(&w)
			}
			k := b.talk(b.signer(b.partner))
			r := k.say(k.request(cmp.TypeCCR, w), version3).body(cmp.TypeCCP)
			if c.fail == 0 {
				r.cert(0)
			} else {
				r.rejected(0, c.fail)
			}
		})
	}
	t.Run("two at once", func(t *testing.T) {
		k := b.talk(b.signer(b.partner))
		two := b.crossWant(nil)
		two.id = 1
		k.say(k.request(cmp.TypeCCR, b.crossWant(nil), two)).refused(cmp.BadRequest)
	})
	t.Run("under a shared secret", func(t *testing.T) {
		k := b.talk(b.device("dev-1"))
		k.say(k.request(cmp.TypeCCR, b.crossWant(nil))).refused(cmp.WrongIntegrity)
	})
	t.Run("by a holder of a certificate of this CA", func(t *testing.T) {
		k := b.talk(b.enrolled("CN=me", "p256 me"))
		k.say(k.request(cmp.TypeCCR, b.crossWant(nil))).refused(cmp.NotAuthorized)
	})
	t.Run("by a stranger", func(t *testing.T) {
		k := b.talk(b.signer(certify(t, nil, "Stranger", key(t, "p256 stranger"), asCA)))
		k.say(k.request(cmp.TypeCCR, b.crossWant(nil))).stranger(cmp.SignerNotTrusted)
	})
}

func TestRulesOfCrossCertification(t *testing.T) {
	for want, change := range map[string]func(*cmpcore.Rule){
		"makes none": func(r *cmpcore.Rule) { r.Profiles = append(r.Profiles, "default") },
		"holders of secrets": func(r *cmpcore.Rule) {
			r.Certificate, r.Secret = nil, secretPrefix("ca-")
		},
		"names no profile": func(r *cmpcore.Rule) { r.Profiles = nil },
	} {
		b := newBed(t, withCross)
		withRule("cross", change)(b)
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestTheClientCrossCertifies(t *testing.T) {
	b := newBed(t, withCross)
	o := client.Options{Kind: cmp.TypeCCR, Credentials: b.credentials(b.signer(b.partner)),
		Recipient: pkix.Name(b.ca.cert.RawSubject),
		Certificates: []client.CertificateRequest{{Subject: pkix.Name(b.partner.cert.RawSubject), Key: b.partner.key,
			NotBefore: b.now, NotAfter: b.now.Add(100 * day)}}}
	r := b.converse(o)
	cert, err := x509.ParseCertificate(r.Certificates[0].Certificate)
	if err != nil {
		t.Fatal(err, r.Certificates[0].Err)
	}
	b.wantStatus(cert, cmpcore.Valid)
	if !cert.IsCA || cert.MaxPathLen != 2 || !bytes.Equal(cert.SubjectKeyId, b.partner.cert.SubjectKeyId) {
		t.Errorf("CA %v, path length %d", cert.IsCA, cert.MaxPathLen)
	}
	for name, change := range map[string]func(*client.Options){
		"two":             func(o *client.Options) { o.Certificates = append(o.Certificates, o.Certificates[0]) },
		"a shared secret": func(o *client.Options) { o.Credentials = b.credentials(b.device("dev-9")) },
		"no subject":      func(o *client.Options) { o.Certificates[0].Subject = nil },
		"no end":          func(o *client.Options) { o.Certificates[0].NotAfter = time.Time{} },
		"no key":          func(o *client.Options) { o.Certificates[0].Key = nil },
		"no proof":        func(o *client.Options) { o.Certificates[0].POP = client.POPRAVerified },
		"not one of a CA": func(o *client.Options) {
			o.Certificates[0].Extensions = []pkix.Extension{pkix.BasicConstraintsExtension(pkix.BasicConstraints{MaxPathLen: -1})}
		},
		"nothing asked for": func(o *client.Options) { o.Certificates = nil },
	} {
		o := o
		o.Certificates = append([]client.CertificateRequest(nil), o.Certificates...)
		change(&o)
		if _, _, err := client.Start(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
