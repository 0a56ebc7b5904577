package cmpcore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// registers has the partners' devices bring tokens.
func registers(b *bed) {
	withRule("partners", func(r *cmpcore.Rule) {
		r.RegToken = true
		r.May = []cmp.BodyType{cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR}
	})(b)
}

// token registers one for the partners' devices.
func (b *bed) token(ref string, change ...func(*cmpcore.Secret)) string {
	p := b.device(ref, append([]func(*cmpcore.Secret){func(s *cmpcore.Secret) { s.Rule, s.Sealed = "partners", []byte("sesame") }}, change...)...)
	return ref + ":" + p.secret
}

func regToken(t testing.TB, text string) crmf.Attribute {
	t.Helper()
	a, err := crmf.NewRegToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A maker's certificate says that a device is genuine, its token whose it is.
func TestRegistrationTokens(t *testing.T) {
	authenticator, err := crmf.NewAuthenticator("t:1:sesame")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		controls []crmf.Attribute
		change   func(*cmpcore.Secret)
		want     cmp.PKIFailureInfo
		why      string
	}{
		"regToken":      {[]crmf.Attribute{regToken(t, "t:1:sesame")}, nil, 0, ""}, // the reference has a colon
		"authenticator": {[]crmf.Attribute{authenticator}, nil, 0, ""},
		"none":          {nil, nil, cmp.NotAuthorized, "is missing"},
		"two": {[]crmf.Attribute{regToken(t, "t:1:sesame"), authenticator}, nil,
			cmp.BadRequest, "two registration tokens"},
		"malformed":       {[]crmf.Attribute{{Type: crmf.OIDRegToken, Value: []byte{5, 0}}}, nil, cmp.BadDataFormat, "could not be read"},
		"no form":         {[]crmf.Attribute{regToken(t, "sesame")}, nil, cmp.NotAuthorized, "REF:SECRET"},
		"empty":           {[]crmf.Attribute{regToken(t, "")}, nil, cmp.NotAuthorized, "REF:SECRET"},
		"no reference":    {[]crmf.Attribute{regToken(t, ":sesame")}, nil, cmp.NotAuthorized, "REF:SECRET"},
		"no secret":       {[]crmf.Attribute{regToken(t, "t:1:")}, nil, cmp.NotAuthorized, "not the secret"},
		"another secret":  {[]crmf.Attribute{regToken(t, "t:1:sesami")}, nil, cmp.NotAuthorized, "not the secret"},
		"nobody's":        {[]crmf.Attribute{regToken(t, "t:2:sesame")}, nil, cmp.NotAuthorized, "no shared secret"},
		"cut elsewhere":   {[]crmf.Attribute{regToken(t, "t:sesame:1")}, nil, cmp.NotAuthorized, "no shared secret"},
		"for any rule":    {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.Rule = "" }, cmp.NotAuthorized, "rule alone"},
		"of another rule": {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.Rule = "devices" }, cmp.NotAuthorized, "rule alone"},
		"for p10cr":       {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.Bodies = []string{"p10cr"} }, cmp.NotAuthorized, "is for [p10cr]"},
		"for both":        {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.Bodies = []string{"ir", "cr"} }, 0, ""},
		"expired":         {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.Expires = epoch }, cmp.NotAuthorized, "has expired"},
		"used up":         {[]crmf.Attribute{regToken(t, "t:1:sesame")}, func(s *cmpcore.Secret) { s.MaxUses, s.Used = 2, 2 }, cmp.NotAuthorized, "2 of 2"},
	} {
		for _, kind := range []cmp.BodyType{cmp.TypeIR, cmp.TypeCR} {
			t.Run(name+"/"+kind.String(), func(t *testing.T) {
				b := newBed(t, registers)
				b.token("t:1", func(s *cmpcore.Secret) {
					if s.Expires = b.now.Add(time.Second); c.change != nil {
						c.change(s)
					}
				})
				k := b.talk(b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil)))
				r := k.say(k.request(kind, want{subject: "CN=d", key: "p256 a", controls: c.controls}))
				if c.want == 0 {
					r.cert(0)
					if n := b.store.secrets["t:1"].Used; n != 1 {
						t.Errorf("it counts as %d uses", n)
					}
					return
				}
				r.rejected(0, c.want)
				if len(r.out.SecretUses) != 0 {
					t.Error("a refused request counts as a use")
				}
				text := r.response(0).Status.StatusString[0]
				if a := r.out.Audit[0]; !strings.Contains(text+" "+a.Detail, c.why) {
					t.Errorf("%q, and in the log %q, lack %q", text, a.Detail, c.why)
				}
				for _, s := range append([]string{text}, r.out.Reason, fmt.Sprint(r.out.Audit)) {
					if strings.Contains(s, "sesam") {
						t.Errorf("the token is told: %q", s)
					}
				}
			})
		}
	}
}

// A token lies open in the request. It protects no message.
func TestATokenIsNoSharedSecret(t *testing.T) {
	b := newBed(t, registers)
	p := b.device("dev-1", func(s *cmpcore.Secret) { s.Rule = "partners" })
	k := b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=d", "p256 a")).refused(cmp.NotAuthorized)
}

func TestUpdatesNeedNoToken(t *testing.T) {
	b := newBed(t, registers)
	k := b.talk(b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil)))
	c := k.say(k.request(cmp.TypeIR, want{subject: "CN=partner device", key: "p256 a", controls: []crmf.Attribute{regToken(t, b.token("t"))}}), implicit).cert(0)
	old, err := crmf.NewOldCertID(crmf.CertID{Issuer: pkix.NewDirectoryName(c.RawIssuer), SerialNumber: c.SerialNumber})
	if err != nil {
		t.Fatal(err)
	}
	k = b.talk(k.party)
	k.say(k.request(cmp.TypeKUR, want{subject: "CN=partner device", key: "p256 b", controls: []crmf.Attribute{old}})).cert(0)
}

// What a token may bring is counted within a message and across messages, and
// once where a person decides in between.
func TestATokenIsUsedAsOftenAsItMayBe(t *testing.T) {
	twice := func(s *cmpcore.Secret) { s.MaxUses = 2 }
	t.Run("within a message", func(t *testing.T) {
		b := newBed(t, registers)
		c := []crmf.Attribute{regToken(t, b.token("t", twice))}
		other := []crmf.Attribute{regToken(t, b.token("u", twice))}
		k := b.talk(b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil)))
		var wants []want
		for i, controls := range [][]crmf.Attribute{c, nil, c, c, other} {
			wants = append(wants, want{id: int64(i), subject: "CN=a", key: fmt.Sprintf("p256 %d", i), controls: controls})
		}
		r := k.say(k.request(cmp.TypeIR, wants...))
		for _, i := range []int{0, 2, 4} {
			r.cert(i)
		}
		r.rejected(1, cmp.NotAuthorized)
		r.rejected(3, cmp.NotAuthorized)
		if t1, u := b.store.secrets["t"].Used, b.store.secrets["u"].Used; t1 != 2 || u != 1 {
			t.Errorf("used %d and %d times", t1, u)
		}
	})
	t.Run("at the same time", func(t *testing.T) {
		b := newBed(t, registers)
		c := []crmf.Attribute{regToken(t, b.token("t", func(s *cmpcore.Secret) { s.MaxUses = 1 }))}
		p := b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil))
		k1, k2 := b.talk(p), b.talk(p)
		m1 := k1.message(k1.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", controls: c}))
		m2 := k2.message(k2.request(cmp.TypeIR, want{subject: "CN=b", key: "p256 b", controls: c}))
		o1, o2 := b.process(m1), b.process(m2)
		b.commit(m1, o1)
		if b.store.commit(m2, o2) == nil {
			t.Error("the token brought two certificates")
		}
		if o2 = b.process(m2); o2.Disposition != cmpcore.Refused {
			t.Errorf("processed again: %s", o2.Disposition)
		}
	})
	t.Run("by approval", func(t *testing.T) {
		b := newBed(t, registers, withRule("partners", func(r *cmpcore.Rule) { r.Approval = true }))
		c := []crmf.Attribute{regToken(t, b.token("t", func(s *cmpcore.Secret) { s.MaxUses, s.Expires = 1, epoch.Add(time.Minute) }))}
		k := b.talk(b.signer(certify(t, b.partner, "partner device", key(t, "p256 x"), nil)))
		k.say(k.request(cmp.TypeIR, want{subject: "CN=a", key: "p256 a", controls: c})).waits(0)
		if n := b.store.secrets["t"].Used; n != 0 {
			t.Errorf("%d uses before the decision", n)
		}
		b.decide(k, cmpcore.Approved, "")
		b.now = b.now.Add(time.Hour) // it was good when the request came
		k.say(poll(0)).cert(0)
		if n := b.store.secrets["t"].Used; n != 1 {
			t.Errorf("%d uses", n)
		}
	})
}

func TestRulesOfTokens(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*cmpcore.Rule)
		want   string
	}{
		"of secrets": {func(r *cmpcore.Rule) { r.Certificate, r.Secret = nil, secretPrefix("x") }, "holders of certificates"},
		"with p10cr": {func(r *cmpcore.Rule) { r.May = append(r.May, cmp.TypeP10CR) }, "p10cr"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, registers)
			withRule("partners", c.change)(b)
			if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// Where a rule does not ask for tokens, nothing depends on them but their form.
func TestTokensThatNobodyAsksFor(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	k.say(k.request(cmp.TypeIR, want{subject: "CN=d", key: "p256 a", controls: []crmf.Attribute{regToken(t, "anything")}})).cert(0)
	k = b.talk(b.device("dev-2"))
	k.say(k.request(cmp.TypeIR, want{subject: "CN=d", key: "p256 a", controls: []crmf.Attribute{{Type: crmf.OIDAuthenticator, Value: []byte{5, 0}}}})).rejected(0, cmp.BadDataFormat)
}
