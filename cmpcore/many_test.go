package cmpcore_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
)

func TestOneBadRequestDoesNotSpoilTheOthers(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.request(cmp.TypeIR,
		want{id: 7, subject: "CN=a", key: "p256 a"},
		want{id: 5, subject: "CN=b", key: "p256 b", popo: func(*crmf.CertReqMsg) {}},
		want{id: 9, subject: "CN=c", key: "ed25519 c"},
	))
	for i, id := range []int64{7, 5, 9} {
		if got := r.response(i).CertReqID.Int64(); got != id {
			t.Errorf("response %d has id %d, want %d: the order of the requests", i, got, id)
		}
	}
	a, c := r.cert(0), r.cert(2)
	r.rejected(1, cmp.BadPOP)
	if r.out.Disposition != cmpcore.Answered || b.store.secrets["dev-1"].Used != 2 {
		t.Errorf("%s, %d uses", r.out.Disposition, b.store.secrets["dev-1"].Used)
	}
	conf := confirmation(a, c)
	conf.Statuses[0].CertReqID, conf.Statuses[1].CertReqID = big.NewInt(7), big.NewInt(9)
	k.say(conf).body(cmp.TypePKIConf)
	b.wantStatus(a, cmpcore.Valid)
	b.wantStatus(c, cmpcore.Valid)
}

func TestRequestsOfOneMessageHaveIDsOfTheirOwn(t *testing.T) {
	huge, _ := new(big.Int).SetString("9223372036854775808", 10)
	for name, ids := range map[string][]*big.Int{
		"the same twice":     {big.NewInt(1), big.NewInt(1)},
		"a negative one":     {big.NewInt(-1), big.NewInt(0)},
		"one of 64 bits":     {huge, big.NewInt(0)},
		"minus one for both": {big.NewInt(-1), big.NewInt(-1)},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			k := b.talk(b.device("dev-1"))
			body := k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a"}, want{id: 1, subject: "CN=b", key: "p256 b"})
			for i := range body.Requests {
				body.Requests[i].CertReq.CertReqID = ids[i]
				k.prove(&body.Requests[i], key(t, []string{"p256 a", "p256 b"}[i]), "")
			}
			k.say(body).refused(cmp.BadRequest)
		})
	}
}

func TestTheNumberOfRequestsIsLimited(t *testing.T) {
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.MaxRequests = 2 }))
	k := b.talk(b.device("dev-1"))
	wants := []want{{id: 0, subject: "CN=a", key: "p256 a"}, {id: 1, subject: "CN=b", key: "p256 b"}, {id: 2, subject: "CN=c", key: "p256 c"}}
	k.say(k.request(cmp.TypeIR, wants...)).refused(cmp.BadRequest)
	k = b.talk(b.device("dev-1"))
	k.say(k.request(cmp.TypeIR, wants[:2]...)).cert(1)
	p := b.device("ra-1")
	k = b.talk(p)
	details := make([]cmp.RevDetails, 3)
	k.say(&cmp.RevReqContent{Details: details}).refused(cmp.BadRequest)
	k = b.talk(p)
	k.say(genm(question(cmp.OIDCACerts), question(cmp.OIDCurrentCRL), question(cmp.OIDRootCACert))).refused(cmp.BadRequest)
	b.talk(p).say(genm(question(cmp.OIDCACerts), question(cmp.OIDCurrentCRL))).body(cmp.TypeGenP)
}

func TestEachRequestMayHaveAProfileOfItsOwn(t *testing.T) {
	// default is the first, and strict has only P-256.
	wants := []want{{id: 0, subject: "CN=a", key: "p384 a"}, {id: 1, subject: "CN=b", key: "p384 b"}, {id: 2, subject: "CN=c", key: "p384 c"}}
	for name, c := range map[string]struct {
		profiles []string
		fail     [3]cmp.PKIFailureInfo
	}{
		"one for each":               {[]string{"default", "strict", "default"}, [3]cmp.PKIFailureInfo{0, cmp.BadAlg, 0}},
		"an empty name is none":      {[]string{"strict", "", "strict"}, [3]cmp.PKIFailureInfo{cmp.BadAlg, 0, cmp.BadAlg}},
		"those at the end have none": {[]string{"strict"}, [3]cmp.PKIFailureInfo{cmp.BadAlg, 0, 0}},
		"the last has none":          {[]string{"default", "strict"}, [3]cmp.PKIFailureInfo{0, cmp.BadAlg, 0}},
		"one of them is not offered": {[]string{"", "secret"}, [3]cmp.PKIFailureInfo{0, cmp.UnacceptedPolicy, 0}},
		"more names than requests":   {[]string{"", "", "", ""}, [3]cmp.PKIFailureInfo{cmp.BadRequest, cmp.BadRequest, cmp.BadRequest}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			k := b.talk(b.device("dev-1"))
			r := k.say(k.request(cmp.TypeIR, wants...), certProfile(c.profiles...))
			for i, fail := range c.fail {
				if fail == 0 {
					r.cert(i)
				} else {
					r.rejected(i, fail)
				}
			}
		})
	}
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	k.say(k.p10cr("CN=a", "p256 a"), certProfile("default", "")).rejected(0, cmp.BadRequest)
	k = b.talk(b.device("dev-1"))
	k.say(k.p10cr("CN=a", "p384 a"), certProfile("strict")).rejected(0, cmp.BadAlg)
}

func TestASecretIsUsedAsOftenAsItMayBe(t *testing.T) {
	limit := func(s *cmpcore.Secret) { s.MaxUses = 3 }
	t.Run("across messages", func(t *testing.T) {
		b := newBed(t)
		p := b.device("dev-1", limit)
		for i := range 3 {
			k := b.talk(p)
			k.say(k.one(cmp.TypeIR, fmt.Sprintf("CN=%d", i), "p256 a")).cert(0)
		}
		k := b.talk(p)
		k.say(k.one(cmp.TypeIR, "CN=4", "p256 a")).rejected(0, cmp.NotAuthorized)
		k = b.talk(p)
		k.say(k.p10cr("CN=5", "p256 a")).rejected(0, cmp.NotAuthorized)
		k = b.talk(p)
		k.say(&cmp.GenMsg{Kind: cmp.TypeGenM, Infos: []cmp.InfoTypeAndValue{{Type: cmp.OIDCACerts}}}).body(cmp.TypeGenP)
	})
	t.Run("within a message, the first ones win", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("dev-1", limit))
		var wants []want
		for i := range 6 {
			w := want{id: int64(i), subject: "CN=a", key: fmt.Sprintf("p256 %d", i)}
			if i == 1 {
				w.popo = func(*crmf.CertReqMsg) {} // costs no use
			}
			wants = append(wants, w)
		}
		r := k.say(k.request(cmp.TypeIR, wants...))
		for i, fail := range []cmp.PKIFailureInfo{0, cmp.BadPOP, 0, 0, cmp.NotAuthorized, cmp.NotAuthorized} {
			if fail == 0 {
				r.cert(i)
			} else {
				r.rejected(i, fail)
			}
		}
		if n := b.store.secrets["dev-1"].Used; n != 3 {
			t.Errorf("used %d times", n)
		}
	})
	t.Run("a use more than the store allows is a conflict there", func(t *testing.T) {
		b := newBed(t)
		p := b.device("dev-1", func(s *cmpcore.Secret) { s.MaxUses = 1 })
		k1, k2 := b.talk(p), b.talk(p)
		m1, m2 := k1.message(k1.one(cmp.TypeIR, "CN=a", "p256 a")), k2.message(k2.one(cmp.TypeIR, "CN=b", "p256 b"))
		o1, o2 := b.process(m1), b.process(m2)
		b.commit(m1, o1)
		if b.store.commit(m2, o2) == nil {
			t.Error("the secret brought two certificates")
		}
		if o2 = b.process(m2); o2.Disposition != cmpcore.Refused {
			t.Errorf("processed again: %s", o2.Disposition)
		}
	})
}

func TestASecretIsForWhatItWasRegisteredFor(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cmpcore.Secret)
		want   cmp.PKIFailureInfo
	}{
		"without limits":                {func(s *cmpcore.Secret) {}, 0},
		"for this rule":                 {func(s *cmpcore.Secret) { s.Rule = "devices" }, 0},
		"for another rule":              {func(s *cmpcore.Secret) { s.Rule = "ra" }, cmp.NotAuthorized},
		"for this body":                 {func(s *cmpcore.Secret) { s.Bodies = []string{"p10cr", "ir"} }, 0},
		"for another body":              {func(s *cmpcore.Secret) { s.Bodies = []string{"p10cr"} }, cmp.NotAuthorized},
		"until a second from now":       {func(s *cmpcore.Secret) { s.Expires = epoch.Add(1e9) }, 0},
		"until now":                     {func(s *cmpcore.Secret) { s.Expires = epoch }, cmp.NotAuthorized},
		"until a second ago":            {func(s *cmpcore.Secret) { s.Expires = epoch.Add(-1e9) }, cmp.NotAuthorized},
		"with an empty value, by error": {func(s *cmpcore.Secret) { s.Sealed = []byte{} }, cmp.BadMessageCheck},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			p := b.device("dev-1", c.change)
			if p.secret == "" {
				p.secret = "anything"
			}
			k := b.talk(p)
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"))
			if c.want == 0 {
				r.cert(0)
				return
			}
			r.refused(c.want)
			if r.signed != (c.want == cmp.BadMessageCheck) {
				t.Errorf("signed: %v", r.signed)
			}
		})
	}
}

func TestOneTransactionIDServesOnce(t *testing.T) {
	b := newBed(t)
	p := b.device("dev-1")
	k := b.talk(p)
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	before := *b.store.transactionOf(k.id)
	for _, body := range []cmp.Body{
		k.one(cmp.TypeIR, "CN=b", "p256 b"), k.one(cmp.TypeCR, "CN=b", "p256 b"), k.p10cr("CN=b", "p256 b"),
		&cmp.RevReqContent{}, &cmp.GenMsg{Kind: cmp.TypeGenM, Infos: []cmp.InfoTypeAndValue{{Type: cmp.OIDCACerts}}},
	} {
		again := &talk{bed: b, party: p, id: k.id, keys: k.keys}
		again.say(body).refused(cmp.TransactionIDInUse)
	}
	if after := b.store.transactionOf(k.id); after.Version != before.Version || after.State != before.State {
		t.Error("the first transaction was touched")
	}
	k.say(confirmation(c)).body(cmp.TypePKIConf) // and goes on
	again := &talk{bed: b, party: p, id: k.id, keys: k.keys}
	again.say(k.one(cmp.TypeIR, "CN=b", "p256 b")).refused(cmp.TransactionIDInUse)
}

func TestTwoRequestersWithTheSameTransactionIDDoNotMeet(t *testing.T) {
	b := newBed(t)
	one, two := b.talk(b.device("dev-1")), b.talk(b.device("dev-2"))
	two.id = one.id
	c1 := one.say(one.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	two.peer = one.peer // even knowing the nonce
	two.say(confirmation(c1)).refused(cmp.BadRequest)
	two.say(poll(0)).refused(cmp.BadRequest)
	two.say(&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection}}).body(cmp.TypePKIConf)
	b.wantStatus(c1, cmpcore.Unconfirmed)
	c2 := two.say(two.one(cmp.TypeIR, "CN=b", "p256 b")).cert(0)
	nonce := one.peer
	one.say(confirmation(c2)).refused(cmp.BadCertID)
	one.peer = nonce // a refusal leaves the transaction where it was
	one.say(confirmation(c1)).body(cmp.TypePKIConf)
	two.say(confirmation(c2)).body(cmp.TypePKIConf)
	b.wantStatus(c1, cmpcore.Valid)
	b.wantStatus(c2, cmpcore.Valid)
}

// A reference and a transactionID with octets of any value do not run together.
func TestReferencesAndTransactionIDsAreKeptApart(t *testing.T) {
	b := newBed(t)
	one, two := b.talk(b.device("dev-1\x00x")), b.talk(b.device("dev-1"))
	one.id = []byte("0123456789abcdef")
	two.id = []byte("x\x000123456789abcdef")
	one.say(one.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	two.say(two.one(cmp.TypeIR, "CN=b", "p256 b")).cert(0)
}

// Texts of ours are cut so that they stay UTF-8.
func TestALongListOfModificationsStaysUTF8(t *testing.T) {
	for pad := range 4 {
		b := newBed(t, func(b *bed) {
			b.cfg.Profiles["default"] = profile(b, "default", func(c *issuance.ProfileConfig) {
				c.Subject.Fixed = []string{"O=" + strings.Repeat("x", pad) + strings.Repeat("ü", 60)}
				c.Subject.FromRequest = true
			})
		})
		r := b.asked("dev-1", want{subject: "CN=a", key: "p256 a"})
		r.cert(0)
		for _, s := range r.response(0).Status.StatusString {
			if !utf8.ValidString(s) {
				t.Errorf("%q", s)
			}
		}
	}
}
