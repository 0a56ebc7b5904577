package cmpcore_test

import (
	"crypto/x509"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

func TestAConfigThatContradictsItselfIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change option
		want   string
	}{
		"no issuer":                            {func(b *bed) { b.cfg.Authority.Issuer = nil }, "issuer"},
		"no signer":                            {func(b *bed) { b.cfg.Authority.Signer = nil }, "signer"},
		"no clock":                             {func(b *bed) { b.cfg.Clock = nil }, "clock"},
		"no random source":                     {func(b *bed) { b.cfg.Random = nil }, "random"},
		"no way to open secrets":               {func(b *bed) { b.cfg.Unseal = nil }, "unseal"},
		"CRLs without a life":                  {func(b *bed) { b.cfg.CRLLifetime = 0 }, "CRL lifetime"},
		"two rules of one name":                {func(b *bed) { b.cfg.Rules[1].Name = "devices" }, "devices"},
		"a rule without a name":                {func(b *bed) { b.cfg.Rules[1].Name = "" }, "name"},
		"a rule for nobody":                    {func(b *bed) { b.cfg.Rules[0].Secret = nil }, "devices"},
		"a rule for both kinds":                {func(b *bed) { b.cfg.Rules[0].Certificate = &cmpcore.CertificateWho{IssuedHere: true} }, "devices"},
		"a rule that no certificate can match": {func(b *bed) { b.cfg.Rules[4].Certificate = &cmpcore.CertificateWho{} }, "holders"},
		"a rule without profiles":              {func(b *bed) { b.cfg.Rules[0].Profiles = nil }, "devices"},
		"an unknown profile":                   {func(b *bed) { b.cfg.Rules[0].Profiles = []string{"nope"} }, "nope"},
		"an unknown tolerance":                 {tolerate("everything"), "everything"},
		"no wait for certConf":                 {withPolicy(func(p *cmpcore.Policy) { p.ConfirmWait = 0 }), "confirm wait"},
		"no life of a transaction":             {withPolicy(func(p *cmpcore.Policy) { p.TransactionLife = 0 }), "transaction life"},
		"a negative limit":                     {withPolicy(func(p *cmpcore.Policy) { p.MaxRequests = -1 }), "max requests"},
		"a negative window":                    {withPolicy(func(p *cmpcore.Policy) { p.MessageTimeWindow = -1 }), "time window"},
		"no poll interval":                     {withPolicy(func(p *cmpcore.Policy) { p.PollInterval = 0 }), "poll interval"},
		"another's key":                        {func(b *bed) { b.cfg.Authority.Signer = key(b, "p256 x") }, "key"},
		"an algorithm of another key":          {func(b *bed) { b.cfg.Authority.SignatureAlgorithm = "rsa-sha256" }, "key"},
		"no certificate":                       {func(b *bed) { b.cfg.Authority.Certificate = []byte{0x30, 0} }, "CA certificate"},
		"no chain":                             {func(b *bed) { b.cfg.Authority.Chain = [][]byte{{0x30, 0}} }, "chain"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			c.change(b)
			if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that names %q", err, c.want)
			}
		})
	}
}

func TestAProtectionCertificateMustBeForSigning(t *testing.T) {
	b := newBed(t)
	h := certify(t, b.ca, "CMP server", key(t, "p256 server"), func(c *x509.Certificate) { c.KeyUsage = 4 })
	b.cfg.Authority.ProtectionCertificate, b.cfg.Authority.Signer = h.cert.Raw, h.key
	if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "digitalSignature") {
		t.Errorf("%v", err)
	}
}

func TestAChannelNeedsAPolicy(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := b.engine.Parse(k.message(k.one(cmp.TypeIR, "CN=a", "p256 a")), "elsewhere")
	if _, err := b.engine.Process(t.Context(), r, b.store); err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("%v", err)
	}
}

func TestTheOrderKeyIsTheTransactionID(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	if got := b.engine.Parse(k.message(&cmp.PKIConf{}), "dir").OrderKey(); got != string(k.id) {
		t.Errorf("%x", got)
	}
	if got := b.engine.Parse([]byte("junk"), "dir").OrderKey(); got != "" {
		t.Errorf("%x", got)
	}
}
