package cmpcore_test

import (
	"crypto/sha1"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// failOf is the bit of a refusal, of the message or of its first item; 0: none.
func failOf(r *reply) cmp.PKIFailureInfo {
	r.Helper()
	if r.msg == nil {
		r.Fatalf("no answer (%s)", r.out.Reason)
	}
	switch b := r.msg.Body.(type) {
	case *cmp.ErrorMsg:
		return b.Status.FailInfo
	case *cmp.CertRepMessage:
		return b.Responses[0].Status.FailInfo
	case *cmp.RevRepContent:
		return b.Status[0].FailInfo
	case *cmp.KeyRecRepContent:
		return b.Status.FailInfo
	}
	return 0
}

// at goes down a tree by places.
func (n *node) at(places ...int) *node {
	for _, i := range places {
		n = n.kids[i]
	}
	return n
}

func (n *node) drop(i int)  { n.kids = slices.Delete(n.kids, i, i+1) }
func (n *node) again(i int) { n.kids = slices.Insert(n.kids, i, n.kids[i].copy()) }

// Every field of the bodies that are not asked for every day, wrong, missing
// and doubled. (TestWhatATemplateMayHave, TestWhatAnUpdateMayChange,
// TestCrossCertificationRefused and TestArchiveRefused do the same for
// templates and controls, TestCertConf for the hashes.) body is changed before,
// der after it is written; der gets the body's own element.
func TestEveryFieldOfTheBodies(t *testing.T) {
	const (
		format  = cmp.BadDataFormat
		request = cmp.BadRequest
		tmpl    = cmp.BadCertTemplate
		pop     = cmp.BadPOP
		id      = cmp.BadCertID
		badAlg  = cmp.BadAlg
	)
	conf := func(f func(*cmp.CertConfirm)) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body {
			c := k.conf()
			if f != nil {
				f(c)
			}
			return c
		}
	}
	polls := func(ids ...int64) func(*talk) cmp.Body { return func(*talk) cmp.Body { return poll(ids...) } }
	answer := func(f func(*cmp.POPODecKeyResponse)) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body {
			r := k.response()
			if f != nil {
				f(r)
			}
			return r
		}
	}
	revoke := func(f func(*cmp.RevDetails)) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body {
			d := revocation(k.enrolledCert, 1)
			if f != nil {
				f(&d)
			}
			return rr(d)
		}
	}
	recovery := func(f func(*crmf.CertReqMsg)) func(*talk) cmp.Body { return func(*talk) cmp.Body { return krr(f) } }
	ask := func(infos ...cmp.InfoTypeAndValue) func(*talk) cmp.Body {
		return func(*talk) cmp.Body { return genm(infos...) }
	}
	raw := func(typ pkix.OID, value []byte) func(*talk) cmp.Body {
		return ask(cmp.InfoTypeAndValue{Type: typ, Value: value})
	}
	wants := func(kind cmp.BodyType, f func(*crmf.CertReqMsg)) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body {
			b := k.one(kind, "CN=b", "p256 b")
			f(&b.Requests[0])
			k.prove(&b.Requests[0], key(k, "p256 b"), "")
			return b
		}
	}
	crossed := func(f func(*cmp.CertReqMessages)) func(*talk) cmp.Body {
		return func(k *talk) cmp.Body {
			b := k.request(cmp.TypeCCR, k.crossWant(nil))
			f(b)
			return b
		}
	}
	control := func(a crmf.Attribute, err error) crmf.Attribute { return must[crmf.Attribute](t)(a, err) }
	token := control(crmf.NewRegToken("4711"))
	toRSA := control(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
	toSigner := control(crmf.NewProtocolEncrKey(spki(t, key(t, "ed25519 x"))))
	self := func(k *talk) []crmf.Attribute {
		return oldCert(t, pkix.Name(k.ca.cert.RawSubject), k.enrolledCert.SerialNumber)
	}
	one := 1
	ext := pkix.KeyUsageExtension(pkix.DigitalSignature)

	for _, row := range []struct {
		body, fault string
		state       string // empty: none
		build       func(*talk) cmp.Body
		der         func(*node)
		want        cmp.PKIFailureInfo
		edits       []edit
	}{
		{"certConf", "nothing", "unconfirmed", conf(nil), nil, 0, nil},
		{"certConf", "certHash wrong", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].CertHash = random(32) }), nil, id, nil},
		{"certConf", "certHash empty", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].CertHash = []byte{} }), nil, id, nil},
		{"certConf", "certHash missing", "unconfirmed", conf(nil), func(n *node) { n.at(0, 0).drop(0) }, format, nil},
		{"certConf", "certHash twice", "unconfirmed", conf(nil), func(n *node) { n.at(0, 0).again(0) }, format, nil},
		{"certConf", "certReqId wrong", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].CertReqID = big.NewInt(1) }), nil, request, nil},
		{"certConf", "certReqId huge", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].CertReqID = new(big.Int).Lsh(big.NewInt(1), 64) }), nil, request, nil},
		{"certConf", "certReqId missing", "unconfirmed", conf(nil), func(n *node) { n.at(0, 0).drop(1) }, format, nil},
		{"certConf", "certReqId twice", "unconfirmed", conf(nil), func(n *node) { n.at(0, 0).again(1) }, format, nil},
		{"certConf", "CertStatus twice", "unconfirmed", conf(nil), func(n *node) { n.at(0).again(0) }, request, nil},
		{"certConf", "statusInfo empty", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].StatusInfo = &cmp.PKIStatusInfo{} }), func(n *node) { n.at(0, 0, 2).kids = nil }, format, nil},
		{"certConf", "statusInfo twice", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].StatusInfo = &cmp.PKIStatusInfo{} }), func(n *node) { n.at(0, 0).again(2) }, format, nil},
		{"certConf", "status unknown", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].StatusInfo = &cmp.PKIStatusInfo{} }), func(n *node) { n.at(0, 0, 2, 0).leaf = []byte{9} }, 0, nil}, // no acceptance: TestCertConf
		{"certConf", "hashAlg of pvno 2", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].HashAlg.OID = pkix.MustOID(oidSHA256) }), nil, request, []edit{version2}},
		{"certConf", "hashAlg unknown", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].HashAlg.OID = pkix.MustOID("1.2.3.4") }), nil, badAlg, nil},
		{"certConf", "hashAlg weak", "unconfirmed", conf(func(c *cmp.CertConfirm) {
			c.Statuses[0].HashAlg.OID = pkix.MustOID(oidSHA1)
			sum := sha1.Sum(nil)
			c.Statuses[0].CertHash = sum[:]
		}), nil, badAlg, nil},
		{"certConf", "hashAlg with parameters", "unconfirmed", conf(func(c *cmp.CertConfirm) {
			c.Statuses[0].HashAlg = pkix.AlgorithmIdentifier{OID: pkix.MustOID(oidSHA256), Parameters: []byte{2, 1, 1}}
		}), nil, badAlg, nil},
		{"certConf", "hashAlg twice", "unconfirmed", conf(func(c *cmp.CertConfirm) { c.Statuses[0].HashAlg.OID = pkix.MustOID(oidSHA256) }), func(n *node) { n.at(0, 0).again(2) }, format, nil},

		{"pollReq", "nothing", "waiting", polls(0), nil, 0, nil},
		{"pollReq", "certReqId wrong", "waiting", polls(1), nil, request, nil},
		{"pollReq", "certReqId -1", "waiting", polls(-1), nil, request, nil},
		{"pollReq", "certReqId twice", "waiting", polls(0, 0), nil, request, nil},
		{"pollReq", "certReqId missing", "waiting", polls(0), func(n *node) { n.at(0, 0).drop(0) }, format, nil},
		{"pollReq", "no certReqId at all", "waiting", polls(0), func(n *node) { n.at(0).drop(0) }, request, nil},
		{"pollReq", "certReqId malformed", "waiting", polls(0), func(n *node) { n.at(0, 0, 0).leaf = []byte{0, 1} }, format, nil},

		{"popdecr", "nothing", "challenged", answer(nil), nil, 0, nil},
		{"popdecr", "number wrong", "challenged", answer(func(r *cmp.POPODecKeyResponse) { r.Responses[0].Add(r.Responses[0], big.NewInt(1)) }), nil, pop, nil},
		{"popdecr", "number zero", "challenged", answer(func(r *cmp.POPODecKeyResponse) { r.Responses[0] = new(big.Int) }), nil, pop, nil},
		{"popdecr", "number negated", "challenged", answer(func(r *cmp.POPODecKeyResponse) { r.Responses[0].Neg(r.Responses[0]) }), nil, pop, nil},
		{"popdecr", "number twice", "challenged", answer(func(r *cmp.POPODecKeyResponse) { r.Responses = append(r.Responses, r.Responses[0]) }), nil, pop, nil},
		{"popdecr", "no number", "challenged", answer(nil), func(n *node) { n.at(0).drop(0) }, pop, nil},
		{"popdecr", "no INTEGER", "challenged", answer(nil), func(n *node) { n.at(0, 0).tag = asn1.OCTET_STRING }, format, nil},

		{"rr", "nothing", "", revoke(nil), nil, 0, nil},
		{"rr", "RevDetails missing", "", revoke(nil), func(n *node) { n.at(0).drop(0) }, request, nil},
		{"rr", "certDetails missing", "", revoke(nil), func(n *node) { n.at(0, 0).drop(0) }, format, nil},
		{"rr", "certDetails twice", "", revoke(nil), func(n *node) { n.at(0, 0).again(0) }, format, nil},
		{"rr", "issuer missing", "", revoke(func(d *cmp.RevDetails) { d.CertDetails.Issuer = nil }), nil, id, nil},
		{"rr", "issuer wrong", "", revoke(func(d *cmp.RevDetails) { d.CertDetails.Issuer = mustDN("CN=Other CA") }), nil, id, nil},
		{"rr", "serialNumber missing", "", revoke(func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = nil }), nil, id, nil},
		{"rr", "serialNumber wrong", "", revoke(func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = big.NewInt(4711) }), nil, id, nil},
		{"rr", "serialNumber twice", "", revoke(nil), func(n *node) { n.at(0, 0, 0).again(0) }, format, nil},
		{"rr", "reasonCode missing", "", revoke(func(d *cmp.RevDetails) { d.CRLEntryDetails = nil }), nil, 0, nil},
		{"rr", "reasonCode wrong", "", revoke(func(d *cmp.RevDetails) { d.CRLEntryDetails[0] = reasonExt(7) }), nil, format, nil},
		{"rr", "reasonCode twice", "", revoke(func(d *cmp.RevDetails) { d.CRLEntryDetails = append(d.CRLEntryDetails, reasonExt(4)) }), nil, format, nil},
		{"rr", "invalidityDate malformed", "", revoke(func(d *cmp.RevDetails) {
			d.CRLEntryDetails = append(d.CRLEntryDetails, pkix.Extension{ID: pkix.OIDInvalidityDate, Value: pkix.Null})
		}), nil, format, nil},
		{"rr", "critical and unknown", "", revoke(func(d *cmp.RevDetails) {
			d.CRLEntryDetails = append(d.CRLEntryDetails, pkix.Extension{ID: pkix.MustOID("1.2.3.4"), Critical: true, Value: pkix.Null})
		}), nil, cmp.UnacceptedExtension, nil},

		{"genm", "caCerts with a value", "", raw(cmp.OIDCACerts, pkix.Null), nil, 0, nil},
		{"genm", "caCerts twice", "", ask(question(cmp.OIDCACerts), question(cmp.OIDCACerts)), nil, request, nil},
		{"genm", "the unknown twice", "", ask(question("x"), question("x")), nil, request, nil},
		{"genm", "ITAV without a type", "", ask(question(cmp.OIDCACerts)), func(n *node) { n.at(0, 0).drop(0) }, format, nil},
		{"genm", "rootCaCert NULL", "", raw(cmp.OIDRootCACert, pkix.Null), nil, format, nil},
		{"genm", "rootCaCert missing", "", raw(cmp.OIDRootCACert, nil), nil, 0, nil},
		{"genm", "keyPairParamReq NULL", "", raw(cmp.OIDKeyPairParamReq, pkix.Null), nil, format, nil},
		{"genm", "keyPairParamReq missing", "", raw(cmp.OIDKeyPairParamReq, nil), nil, format, nil},
		{"genm", "suppLangTags NULL", "", raw(cmp.OIDSuppLangTags, pkix.Null), nil, format, nil},
		{"genm", "suppLangTags missing", "", raw(cmp.OIDSuppLangTags, nil), nil, format, nil},
		{"genm", "suppLangTags empty", "", raw(cmp.OIDSuppLangTags, element(0x30)), nil, format, nil},
		{"genm", "suppLangTags of others", "", raw(cmp.OIDSuppLangTags, element(0x30, element(12, []byte("de")))), nil, cmp.AddInfoNotAvailable, nil},
		{"genm", "crlStatusList NULL", "", raw(cmp.OIDCRLStatusList, pkix.Null), nil, format, nil},
		{"genm", "crlStatusList missing", "", raw(cmp.OIDCRLStatusList, nil), nil, format, nil},
		{"genm", "crlStatusList empty", "", raw(cmp.OIDCRLStatusList, element(0x30)), nil, format, nil},
		{"genm", "certReqTemplate of no profile", "", ask(question(cmp.OIDCertReqTemplate)), nil, cmp.UnacceptedPolicy, []edit{certProfile("secret")}},
		{"genm", "certReqTemplate of two profiles", "", ask(question(cmp.OIDCertReqTemplate)), nil, request, []edit{certProfile("default", "strict")}},

		{"krr", "nothing", "", recovery(nil), nil, 0, nil},
		{"krr", "at pvno 2", "", recovery(nil), nil, request, []edit{version2}},
		{"krr", "CertReqMsg missing", "", recovery(nil), func(n *node) { n.at(0).drop(0) }, format, nil},
		{"krr", "CertReqMsg twice", "", recovery(nil), func(n *node) { n.at(0).again(0) }, request, nil},
		{"krr", "certReqId missing", "", recovery(nil), func(n *node) { n.at(0, 0, 0).drop(0) }, format, nil},
		{"krr", "certTemplate missing", "", recovery(nil), func(n *node) { n.at(0, 0, 0).drop(1) }, format, nil},
		{"krr", "a version", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.Version = &one }), nil, tmpl, nil},
		{"krr", "a serialNumber of none", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = big.NewInt(4711) }), nil, id, nil},
		{"krr", "a negative serialNumber", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = big.NewInt(-1) }), nil, tmpl, nil},
		{"krr", "a signingAlg", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.SigningAlg.OID = pkix.MustOID("1.2.3") }), nil, tmpl, nil},
		{"krr", "another issuer", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.Issuer = mustDN("CN=x") }), nil, tmpl, nil},
		{"krr", "a validity", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.Validity = &pkix.Validity{NotAfter: epoch} }), nil, tmpl, nil},
		{"krr", "a subject of nobody", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.Subject = mustDN("CN=x") }), nil, id, nil},
		{"krr", "a publicKey of nobody", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = spki(t, key(t, "p256 x")) }), nil, id, nil},
		{"krr", "an issuerUID", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.IssuerUID = []byte{0, 1} }), nil, tmpl, nil},
		{"krr", "a subjectUID", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.SubjectUID = []byte{0, 1} }), nil, tmpl, nil},
		{"krr", "extensions", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Template.Extensions = []pkix.Extension{ext} }), nil, tmpl, nil},
		{"krr", "raVerified", "", recovery(func(m *crmf.CertReqMsg) { m.POPO = crmf.RAVerified{} }), nil, pop, nil},
		{"krr", "a proof by decryption", "", recovery(subsequent(crmf.KeyEncipherment, crmf.EncrCert)), nil, pop, nil},
		{"krr", "another control", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{token} }), nil, request, nil},
		{"krr", "protocolEncrKey malformed", "", recovery(func(m *crmf.CertReqMsg) {
			m.CertReq.Controls = []crmf.Attribute{{Type: crmf.OIDProtocolEncrKey, Value: pkix.Null}}
		}), nil, format, nil},
		{"krr", "protocolEncrKey that signs", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{toSigner} }), nil, badAlg, nil},
		{"krr", "protocolEncrKey", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{toRSA} }), nil, 0, nil},
		{"krr", "protocolEncrKey twice", "", recovery(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{toRSA, toRSA} }), nil, request, nil},

		{"kur", "nothing", "", func(k *talk) cmp.Body {
			return wants(cmp.TypeKUR, func(r *crmf.CertReqMsg) { r.CertReq.Controls, r.CertReq.Template.Subject = self(k), pkix.EmptyName })(k)
		}, nil, 0, nil},
		{"kur", "oldCertID missing", "", wants(cmp.TypeKUR, func(*crmf.CertReqMsg) {}), nil, id, nil},
		{"kur", "oldCertID malformed", "", wants(cmp.TypeKUR, func(r *crmf.CertReqMsg) {
			r.CertReq.Controls = []crmf.Attribute{{Type: crmf.OIDOldCertID, Value: pkix.Null}}
		}), nil, format, nil},
		{"kur", "oldCertID twice", "", func(k *talk) cmp.Body {
			return wants(cmp.TypeKUR, func(r *crmf.CertReqMsg) {
				r.CertReq.Controls, r.CertReq.Template.Subject = append(self(k), self(k)...), pkix.EmptyName
			})(k)
		}, nil, request, nil},

		{"ir", "regToken twice", "", wants(cmp.TypeIR, func(r *crmf.CertReqMsg) { r.CertReq.Controls = []crmf.Attribute{token, token} }), nil, request, nil},
		{"ir", "an extension twice", "", wants(cmp.TypeIR, func(r *crmf.CertReqMsg) { r.CertReq.Template.Extensions = []pkix.Extension{ext, ext} }), nil, format, nil},
		{"ir", "certReqId negative", "", wants(cmp.TypeIR, func(r *crmf.CertReqMsg) { r.CertReq.CertReqID = big.NewInt(-1) }), nil, request, nil},
		{"ir", "certReqId missing", "", wants(cmp.TypeIR, func(*crmf.CertReqMsg) {}), func(n *node) { n.at(0, 0, 0).drop(0) }, format, nil},
		{"ir", "CertReqMsg missing", "", wants(cmp.TypeIR, func(*crmf.CertReqMsg) {}), func(n *node) { n.at(0).drop(0) }, format, nil},
		{"ir", "CertReqMsg twice", "", wants(cmp.TypeIR, func(*crmf.CertReqMsg) {}), func(n *node) { n.at(0).again(0) }, request, nil},
		{"ir", "popo twice", "", wants(cmp.TypeIR, func(*crmf.CertReqMsg) {}), func(n *node) { n.at(0, 0).again(1) }, format, nil},

		{"p10cr", "nothing", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, nil, 0, nil},
		{"p10cr", "version wrong", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, func(n *node) { n.at(0, 0, 0).leaf = []byte{1} }, format, nil},
		{"p10cr", "version missing", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, func(n *node) { n.at(0, 0).drop(0) }, format, nil},
		{"p10cr", "subject missing", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, func(n *node) { n.at(0, 0).drop(1) }, format, nil},
		{"p10cr", "signature missing", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, func(n *node) { n.at(0).drop(2) }, format, nil},
		{"p10cr", "signatureAlgorithm unknown", "", func(k *talk) cmp.Body { return k.p10cr("CN=b", "p256 b") }, func(n *node) { n.at(0, 1, 0).leaf = []byte{42, 3} }, badAlg, nil},

		{"ccr", "CertReqMsg twice", "", crossed(func(b *cmp.CertReqMessages) { b.Requests = append(b.Requests, b.Requests[0]) }), nil, request, nil},
		{"ccr", "CertReqMsg missing", "", crossed(func(*cmp.CertReqMessages) {}), func(n *node) { n.at(0).drop(0) }, format, nil},
		{"ccr", "popo missing", "", crossed(func(b *cmp.CertReqMessages) { b.Requests[0].POPO = nil }), nil, pop, nil},
		{"ccr", "certTemplate missing", "", crossed(func(*cmp.CertReqMessages) {}), func(n *node) { n.at(0, 0, 0).drop(1) }, format, nil},

		{"nested", "no message", "", func(k *talk) cmp.Body { return begin(k, "nested batch") }, func(n *node) { n.at(0).kids = nil }, format, nil},
		{"nested", "no messages but NULL", "", func(k *talk) cmp.Body { return begin(k, "nested batch") }, func(n *node) { n.kids = []*node{{tag: asn1.NULL}} }, format, nil},
		{"nested", "a message twice", "", func(k *talk) cmp.Body { return begin(k, "nested batch") }, func(n *node) { n.at(0).again(0) }, 0, nil},
	} {
		t.Run(row.body+"/"+row.fault, func(t *testing.T) {
			b := stateBed(t, row.state)
			p := b.device("dev-1")
			if row.body == "krr" {
				b.archived(p, "CN=kept", "p256 kept")
			}
			cert := b.ca.cert
			if row.state != "waiting" {
				cert = b.archived(p, "CN=b", "p256 a")
			}
			if row.body == "ccr" || row.body == "nested" {
				p = b.signer(b.partner)
			}
			state := row.state
			if state == "" {
				state = "none"
			}
			k := b.into(state, p)
			k.enrolledCert = cert
			before, peer := b.store.transactionOf(k.id), k.peer
			change := func(*node) {}
			if row.der != nil {
				change = func(root *node) { row.der(root.kids[1]) }
			}
			r := k.send(k.rewritten(row.build(k), change, append([]edit{version3}, row.edits...)...))
			if got := failOf(r); got != row.want {
				t.Fatalf("failInfo %s of %s, want %s (%s)", got, r.msg.Body.Type(), row.want, r.out.Reason)
			}
			if row.want == 0 {
				return
			}
			if len(r.out.Certificates)+len(r.out.CertChanges)+len(r.out.SecretUses)+len(r.out.Archive) > 0 || r.out.Disposition != cmpcore.Refused {
				t.Errorf("a refusal changed something:\n%s", describe(r.out))
			}
			if cert != b.ca.cert {
				b.wantStatus(cert, cmpcore.Valid)
			}
			if after := b.store.transactionOf(k.id); before != nil && row.want != pop {
				if after.Version != before.Version {
					t.Error("the transaction was touched")
				}
				k.peer = peer
				k.say(k.due(state), version3).body(map[string]cmp.BodyType{"waiting": cmp.TypePollRep, "challenged": cmp.TypeIP, "unconfirmed": cmp.TypePKIConf}[state])
			}
		})
	}
}

func version2(m *message) { m.PVNO = 2 }
