package cmpcore_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

var lightweight = withPolicy(func(p *cmpcore.Policy) { p.Lightweight = true })

func tolerate(names ...string) option {
	return withPolicy(func(p *cmpcore.Policy) { p.Tolerate = names })
}

// Each deviation is refused without its tolerance, and accepted with it. A
// deviation that only RFC 9483 knows is accepted without its profile too.
func TestEveryToleranceHasADeviationItIsFor(t *testing.T) {
	type deviation struct {
		tolerance string
		want      cmp.PKIFailureInfo
		rfc9810   bool // refused without RFC 9483 as well
		say       func(b *bed) *reply
	}
	ir := func(b *bed, edits ...edit) *reply {
		k := b.talk(b.device("dev-1"))
		return k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), edits...)
	}
	all := []deviation{
		{"mac-sender", cmp.BadMessageCheck, true, func(b *bed) *reply {
			return ir(b, func(m *message) { m.Sender = pkix.NewDirectoryName(dn(b, "CN=a")) })
		}},
		{"mac-sender", cmp.BadMessageCheck, true, func(b *bed) *reply {
			return ir(b, func(m *message) { m.Sender = pkix.NewDirectoryName(pkix.EmptyName) })
		}},
		{"any-recipient", cmp.WrongAuthority, false, func(b *bed) *reply {
			return ir(b, func(m *message) { m.Recipient = pkix.NewDirectoryName(dn(b, "CN=Some CA")) })
		}},
		{"any-recipient", cmp.WrongAuthority, false, func(b *bed) *reply {
			n, _ := pkix.NewDNSName("ca.example")
			return ir(b, func(m *message) { m.Recipient = n })
		}},
		{"no-sender-nonce", cmp.BadSenderNonce, true, func(b *bed) *reply {
			return ir(b, func(m *message) { m.SenderNonce = nil })
		}},
		{"no-sender-nonce", cmp.BadSenderNonce, true, func(b *bed) *reply {
			return ir(b, func(m *message) { m.SenderNonce = random(4) })
		}},
		{"short-transactionid", cmp.BadDataFormat, false, func(b *bed) *reply {
			return ir(b, func(m *message) { m.TransactionID = random(4) })
		}},
		{"first-recip-nonce", cmp.BadRecipientNonce, false, func(b *bed) *reply {
			return ir(b, func(m *message) { m.RecipNonce = random(16) })
		}},
		{"pop-form", cmp.BadPOP, true, func(b *bed) *reply {
			k := b.talk(b.device("dev-1"))
			return k.say(k.request(cmp.TypeIR, want{key: "p256 a", template: withSAN(b, "a.example"), popo: func(r *crmf.CertReqMsg) {
				r.CertReq.Template.Subject = pkix.EmptyName
				k.prove(r, key(b, "p256 a"), "") // over the CertRequest
				r.CertReq.Template.Subject = nil
				der, _ := r.CertReq.Bytes()
				resign(b, r, der)
			}}))
		}},
		{"signer-issuer", cmp.BadCertTemplate, true, func(b *bed) *reply {
			k := b.talk(b.signer(certify(b, b.partner, "partner device", key(b, "p256 x"), nil)))
			return k.say(k.request(cmp.TypeCR, want{subject: "CN=a", key: "p256 a", template: func(t *crmf.CertTemplate) {
				t.Issuer = pkix.Name(b.partner.cert.RawSubject)
			}}))
		}},
		{"no-sender-kid", cmp.BadMessageCheck, false, func(b *bed) *reply {
			return b.talk(b.enrolled("CN=a", "p256 a")).sayKUR(func(m *message) { m.SenderKID = nil })
		}},
		{"p10cr-id-zero", cmp.BadRequest, true, func(b *bed) *reply {
			k := b.talk(b.device("dev-1"))
			return k.say(confirmation(k.say(k.p10cr("CN=a", "p256 a")).cert(0)))
		}},
	}
	seen := map[string]bool{}
	for _, d := range all {
		seen[d.tolerance] = true
		t.Run(d.tolerance, func(t *testing.T) {
			for _, profile := range []option{lightweight, func(*bed) {}} {
				b := newBed(t, profile)
				strict := b.cfg.Policies["dir"].Lightweight
				r := d.say(b)
				if strict || d.rfc9810 {
					r.told(d.want)
				} else {
					r.told(0)
				}
				d.say(newBed(t, profile, tolerate(d.tolerance))).told(0)
				// Another tolerance does not help.
				others := slices.DeleteFunc(slices.Collect(maps.Keys(cmpcore.Tolerances)), func(n string) bool { return n == d.tolerance })
				if strict {
					d.say(newBed(t, profile, tolerate(others...))).told(d.want)
				}
			}
		})
	}
	for name, text := range cmpcore.Tolerances {
		if !seen[name] {
			t.Errorf("tolerance %s has no test", name)
		}
		if !strings.Contains(text, "RFC") {
			t.Errorf("tolerance %s names no rule: %q", name, text)
		}
	}
}

func (k *talk) sayKUR(edits ...edit) *reply {
	k.Helper()
	return k.say(k.one(cmp.TypeKUR, "", "p256 new"), edits...)
}

// told wants a failure bit wherever the body has it, or, with 0, a grant.
func (r *reply) told(want cmp.PKIFailureInfo) {
	r.Helper()
	switch b := r.msg.Body.(type) {
	case *cmp.ErrorMsg:
		if b.Status.FailInfo != want {
			r.Errorf("error %s (%s), want %q", b.Status.FailInfo, r.out.Reason, want)
		}
	case *cmp.CertRepMessage:
		if b.Responses[0].Status.FailInfo != want {
			r.Errorf("%s (%s), want %q", b.Responses[0].Status.FailInfo, r.out.Reason, want)
		}
	case *cmp.PKIConf:
		if want != 0 {
			r.Errorf("pkiconf, want %q", want)
		}
	default:
		r.Errorf("body %s", b.Type())
	}
}

func TestRFC9483WantsOneOfEach(t *testing.T) {
	b := newBed(t, lightweight)
	two := []want{want2("CN=a", "p256 a", 0), want2("CN=b", "p256 b", 1)}
	k := b.talk(b.device("dev-1"))
	k.say(k.request(cmp.TypeIR, two...)).refused(cmp.BadRequest)
	k = b.talk(b.device("dev-1"))
	k.say(k.request(cmp.TypeIR, two[1])).refused(cmp.BadRequest) // the id must be 0
	k = b.talk(b.device("dev-1"))
	c := k.say(k.request(cmp.TypeIR, two[0])).cert(0)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	ra := b.device("ra-1")
	b.talk(ra).say(rr(revocation(c, 1), revocation(c, 1))).refused(cmp.BadRequest)
	b.talk(ra).say(rr(revocation(c, 1))).statuses(0)
	b.talk(ra).say(genm(question(cmp.OIDCACerts), question(cmp.OIDCurrentCRL))).refused(cmp.BadRequest)
	b.talk(ra).say(genm(question(cmp.OIDCACerts))).answer(cmp.OIDCACerts)
}

func TestRFC9483KnowsUsByBothNamesAndByNone(t *testing.T) {
	b := newBed(t, lightweight, withServer)
	for _, name := range []pkix.Name{pkix.Name(b.ca.cert.RawSubject), pkix.Name(b.server.cert.RawSubject), pkix.EmptyName, dn(t, "CN=ISSUING ca,O=Example")} {
		k := b.talk(b.device("dev-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.Recipient = pkix.NewDirectoryName(name) }).cert(0)
	}
}
