package crmf_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func TestAgreementPOP(t *testing.T) {
	gen := func() *ecdh.PrivateKey {
		k, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	own, ca := gen(), gen()
	subject, err := pkix.ParseDN("CN=a")
	if err != nil {
		t.Fatal(err)
	}
	of := alg.StaticRecipient{Subject: subject, Issuer: subject, Serial: big.NewInt(1)}
	secret := func(k *ecdh.PrivateKey, pub *ecdh.PublicKey) *alg.StaticDH {
		dh, err := alg.NewStaticDH(k, pub, of)
		if err != nil {
			t.Fatal(err)
		}
		return dh
	}
	mine, theirs, other := secret(own, ca.PublicKey()), secret(ca, own.PublicKey()), secret(ca, gen().PublicKey())
	spki, err := x509.MarshalPKIXPublicKey(own.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	pub, err := alg.ParsePublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	a, err := alg.StaticPOPFor(pub)
	if err != nil {
		t.Fatal(err)
	}
	request := func() *crmf.CertReqMsg {
		m := &crmf.CertReqMsg{CertReq: crmf.CertRequest{CertReqID: big.NewInt(0), Template: crmf.CertTemplate{Subject: subject, PublicKey: spki}}}
		if m.CertReq.Raw, err = m.CertReq.Bytes(); err != nil {
			t.Fatal(err)
		}
		p, err := crmf.MakeAgreeMAC(mine, a, m.CertReq.Raw)
		if err != nil {
			t.Fatal(err)
		}
		m.POPO = p
		return m
	}
	for name, c := range map[string]struct {
		change func(*crmf.CertReqMsg)
		dh     *alg.StaticDH
		want   error
	}{
		"good":        {func(*crmf.CertReqMsg) {}, theirs, nil},
		"another key": {func(*crmf.CertReqMsg) {}, other, crmf.ErrPOPSignature},
		"other octets": {func(m *crmf.CertReqMsg) {
			m.CertReq.Raw = append(m.CertReq.Raw[:len(m.CertReq.Raw):len(m.CertReq.Raw)], 0)
		}, theirs, crmf.ErrPOPSignature},
		"no octets":              {func(m *crmf.CertReqMsg) { m.CertReq.Raw = nil }, theirs, crmf.ErrPOPForm},
		"no subject":             {func(m *crmf.CertReqMsg) { m.CertReq.Template.Subject = nil }, theirs, crmf.ErrPOPForm},
		"no public key":          {func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = nil }, theirs, crmf.ErrPOPForm},
		"under keyEncipherment":  {func(m *crmf.CertReqMsg) { m.POPO.(*crmf.POPOPrivKey).Use = crmf.KeyEncipherment }, theirs, crmf.ErrPOPForm},
		"of another form":        {func(m *crmf.CertReqMsg) { m.POPO.(*crmf.POPOPrivKey).Form = crmf.SubsequentMessage }, theirs, crmf.ErrPOPMissing},
		"none":                   {func(m *crmf.CertReqMsg) { m.POPO = nil }, theirs, crmf.ErrPOPMissing},
		"agreeMAC as dhMAC":      {func(m *crmf.CertReqMsg) { p := m.POPO.(*crmf.POPOPrivKey); p.Form, p.Bits = crmf.DHMAC, p.MAC.Value }, theirs, crmf.ErrPOPSignature},
		"an algorithm of nobody": {func(m *crmf.CertReqMsg) { m.POPO.(*crmf.POPOPrivKey).MAC.Algorithm.OID = pkix.MustOID("1.2.3") }, theirs, alg.ErrUnsupported},
	} {
		m := request()
		c.change(m)
		if err := crmf.VerifyAgreementPOP(m, c.dh, nil); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
