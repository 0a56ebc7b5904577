package cmpcore_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

func genm(infos ...cmp.InfoTypeAndValue) *cmp.GenMsg {
	return &cmp.GenMsg{Kind: cmp.TypeGenM, Infos: infos}
}

func question(typ pkix.OID) cmp.InfoTypeAndValue { return cmp.InfoTypeAndValue{Type: typ} }

func (r *reply) infos() []cmp.InfoTypeAndValue {
	r.Helper()
	return r.body(cmp.TypeGenP).msg.Body.(*cmp.GenMsg).Infos
}

// answer wants one answer of a type.
func (r *reply) answer(typ pkix.OID) cmp.InfoTypeAndValue {
	r.Helper()
	list := r.infos()
	if len(list) != 1 || list[0].Type != typ {
		r.Fatalf("answers %v", list)
	}
	return list[0]
}

func TestGenmIsAnsweredInOrderAndTheUnknownAtTheEnd(t *testing.T) {
	b := newBed(t)
	b.makeCRL()
	strange := pkix.MustOID("1.2.3.4")
	r := b.talk(b.device("dev-1")).say(genm(question(cmp.OIDCurrentCRL), question(strange), question(cmp.OIDCACerts), question(cmp.OIDRevPassphrase)))
	var types []string
	for _, i := range r.infos() {
		types = append(types, cmp.InfoName(i.Type))
	}
	if !slices.Equal(types, []string{"currentCRL", "caCerts", "unsupportedOIDs"}) {
		t.Fatalf("answers %q", types)
	}
	oids, err := r.infos()[2].UnsupportedOIDs()
	if err != nil || !slices.Equal(oids, []pkix.OID{strange, cmp.OIDRevPassphrase}) {
		t.Errorf("%v %v", oids, err)
	}
	if b.store.transactionOf(r.id) != nil {
		t.Error("a question left a transaction")
	}
}

func TestWhatGenmServes(t *testing.T) {
	b := newBed(t)
	ask := func(q cmp.InfoTypeAndValue) *reply { return b.talk(b.device("dev-1")).say(genm(q)) }
	certs, err := ask(question(cmp.OIDCACerts)).answer(cmp.OIDCACerts).CACerts()
	if err != nil || len(certs) != 2 || !bytes.Equal(certs[0], b.ca.cert.Raw) || !bytes.Equal(certs[1], b.root.cert.Raw) {
		t.Errorf("caCerts: %d, %v", len(certs), err)
	}
	root, err := cmp.NewRootCACert(b.root.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(root).answer(cmp.OIDRootCAKeyUpdate); a.Value != nil {
		t.Error("there is no newer root")
	}
	if a := ask(question(cmp.OIDCurrentCRL)).answer(cmp.OIDCurrentCRL); a.Value != nil {
		t.Error("there is no CRL yet")
	}
	b.makeCRL()
	crl, err := ask(question(cmp.OIDCurrentCRL)).answer(cmp.OIDCurrentCRL).CurrentCRL()
	if err != nil || !bytes.Equal(crl, b.store.crl.DER) {
		t.Errorf("currentCRL: %v", err)
	}
	algs, err := ask(question(cmp.OIDSignKeyPairTypes)).answer(cmp.OIDSignKeyPairTypes).SignKeyPairTypes()
	if err != nil || len(algs) < 3 {
		t.Errorf("signKeyPairTypes: %v %v", algs, err)
	}
	names, err := ask(question(cmp.OIDCertProfile)).answer(cmp.OIDCertProfile).CertProfile()
	if err != nil || !slices.Equal(names, []string{"default", "strict"}) {
		t.Errorf("certProfile: %q %v", names, err)
	}
	wait, err := ask(question(cmp.OIDConfirmWaitTime)).answer(cmp.OIDConfirmWaitTime).ConfirmWaitTime()
	if err != nil || !wait.Equal(epoch.Add(30*day).Truncate(time.Second)) {
		t.Errorf("confirmWaitTime: %s %v", wait, err)
	}
	if err := ask(question(cmp.OIDImplicitConfirm)).answer(cmp.OIDImplicitConfirm).ImplicitConfirm(); err != nil {
		t.Error(err)
	}
}

func TestCRLStatusListGivesNewerCRLsOnly(t *testing.T) {
	b := newBed(t)
	b.makeCRL()
	uri, _ := pkix.NewURI(crlURL)
	otherURI, _ := pkix.NewURI("http://other.example/")
	ours := []pkix.GeneralName{pkix.NewDirectoryName(pkix.Name(b.ca.cert.RawSubject))}
	at := epoch.UTC().Truncate(time.Second)
	for name, c := range map[string]struct {
		status cmp.CRLStatus
		want   bool
	}{
		"by issuer, having none":           {cmp.CRLStatus{Issuer: ours}, true},
		"by issuer, having an older":       {cmp.CRLStatus{Issuer: ours, ThisUpdate: at.Add(-time.Second)}, true},
		"by issuer, having the newest":     {cmp.CRLStatus{Issuer: ours, ThisUpdate: at}, false},
		"by distribution point":            {cmp.CRLStatus{FullName: []pkix.GeneralName{uri}}, true},
		"by distribution point, newest":    {cmp.CRLStatus{FullName: []pkix.GeneralName{uri}, ThisUpdate: at}, false},
		"by another's distribution point":  {cmp.CRLStatus{FullName: []pkix.GeneralName{otherURI}}, false},
		"by another issuer":                {cmp.CRLStatus{Issuer: []pkix.GeneralName{pkix.NewDirectoryName(dn(t, "CN=Other"))}}, false},
		"by a name relative to the issuer": {cmp.CRLStatus{RelativeName: element(0x30, []byte{6, 3, 85, 4, 3, 12, 1, 'x'})}, false},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := cmp.NewCRLStatusList([]cmp.CRLStatus{c.status})
			if err != nil {
				t.Fatal(err)
			}
			a := b.talk(b.device("dev-1")).say(genm(q)).answer(cmp.OIDCRLs)
			if !c.want {
				if a.Value != nil {
					t.Error("a CRL was given")
				}
				return
			}
			crls, err := a.CRLs()
			if err != nil || len(crls) != 1 || !bytes.Equal(crls[0], b.store.crl.DER) {
				t.Errorf("%d CRLs, %v", len(crls), err)
			}
		})
	}
	r := b.talk(b.device("dev-1")).say(genm(question(cmp.OIDCRLStatusList)))
	r.refused(cmp.BadDataFormat)
}

func TestGenmNeedsARule(t *testing.T) {
	b := newBed(t, withRule("holders", func(r *cmpcore.Rule) { r.May = []cmp.BodyType{cmp.TypeKUR} }))
	b.talk(b.device("nobody-1")).say(genm(question(cmp.OIDCACerts))).refused(cmp.NotAuthorized)
	b.talk(b.enrolled("CN=a", "p256 a")).say(genm(question(cmp.OIDCACerts))).refused(cmp.NotAuthorized)
	b.talk(b.device("dev-1")).say(genm(question(cmp.OIDCACerts)), func(m *message) { m.by = nil }).stranger(cmp.BadMessageCheck)
}

// RFC 9810 appendix D.5; RFC 9483 section 4.3 wants one question.
func TestAnEmptyGenmAsksForAllThatIsRelevant(t *testing.T) {
	few := withPolicy(func(p *cmpcore.Policy) { p.MaxRequests = 1 })
	for name, c := range map[string]struct {
		ref    string
		option option
		crl    bool
		want   []string
	}{
		"all":                              {"dev-1", withEncryption, true, []string{"caCerts", "caProtEncCert", "signKeyPairTypes", "encKeyPairTypes", "preferredSymmAlg", "currentCRL"}},
		"neither encryption nor a CRL yet": {"dev-1", func(*bed) {}, false, []string{"caCerts", "signKeyPairTypes", "encKeyPairTypes"}},
		"who may have nothing issued":      {"ask-1", func(*bed) {}, true, []string{"caCerts", "currentCRL"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, few, c.option)
			if c.crl {
				b.makeCRL()
			}
			var types []string
			for _, i := range b.talk(b.device(c.ref)).say(genm()).infos() {
				types = append(types, cmp.InfoName(i.Type))
				if i.Value == nil {
					t.Errorf("%s without a value", cmp.InfoName(i.Type))
				}
			}
			if !slices.Equal(types, c.want) {
				t.Errorf("%s gets %q", c.ref, types)
			}
		})
	}
	b := newBed(t, lightweight)
	b.talk(b.device("dev-1")).say(genm()).refused(cmp.BadRequest)
}

// Who may have nothing issued asks what could be: an empty list cannot be
// written, and the message must not be tried again for ever.
func TestThoseWhoMayHaveNothingIssuedAreToldNothing(t *testing.T) {
	b := newBed(t)
	for _, typ := range []pkix.OID{cmp.OIDSignKeyPairTypes, cmp.OIDCertProfile} {
		oids, err := b.talk(b.device("ask-1")).say(genm(question(typ))).answer(cmp.OIDUnsupportedOIDs).UnsupportedOIDs()
		if err != nil || len(oids) != 1 || oids[0] != typ {
			t.Errorf("%v %v", oids, err)
		}
	}
	b = newBed(t, withPolicy(func(p *cmpcore.Policy) { p.ImplicitConfirm = false }))
	b.talk(b.device("ask-1")).say(genm(question(cmp.OIDImplicitConfirm))).answer(cmp.OIDUnsupportedOIDs)
}

func TestAskingTheSameThingTwiceIsABadRequest(t *testing.T) {
	b := newBed(t)
	b.talk(b.device("dev-1")).say(genm(question(cmp.OIDCurrentCRL), question(cmp.OIDCACerts), question(cmp.OIDCurrentCRL))).refused(cmp.BadRequest)
}
