package crmf

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"math/big"
	"slices"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// popKey is a new key with its DER and its default signature algorithm.
func popKey(t *testing.T) (crypto.Signer, pkix.SubjectPublicKeyInfo, pkix.AlgorithmIdentifier) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := alg.MarshalPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	a, err := alg.SignatureFor(k.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	return k, spki, a
}

// wire writes a request and reads it back.
func wire(t *testing.T, m CertReqMsg) *CertReqMsg {
	t.Helper()
	var b cryptobyte.Builder
	m.Add(&b)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s := cryptobyte.String(der)
	got, err := ReadCertReqMsg(&s)
	if err != nil || !s.Empty() {
		t.Fatalf("request read back: %v", err)
	}
	return &got
}

func TestSignaturePOP(t *testing.T) {
	k, spki, a := popKey(t)
	_, otherSPKI, _ := popKey(t)
	subject, err := pkix.ParseDN("CN=device")
	if err != nil {
		t.Fatal(err)
	}
	sender := pkix.NewDirectoryName(subject)
	full := CertTemplate{Subject: subject, PublicKey: spki}
	overRequest := func(tmpl CertTemplate) *CertReqMsg {
		m := CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0), Template: tmpl}}
		der, err := m.CertReq.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if m.POPO, err = SignPOP(rand.Reader, k, a, der); err != nil {
			t.Fatal(err)
		}
		return wire(t, m)
	}
	overInput := func(tmpl CertTemplate, in POPOSigningKeyInput) *CertReqMsg {
		m := CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0), Template: tmpl}}
		p, err := SignPOPInput(rand.Reader, k, a, &in)
		if err != nil {
			t.Fatal(err)
		}
		m.POPO = p
		return wire(t, m)
	}
	change := func(m *CertReqMsg, f func(*CertReqMsg)) *CertReqMsg { f(m); return m }
	sha1 := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.10045.4.1")}
	rsa := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113549.1.1.11"), Parameters: pkix.Null}
	any := &POPPolicy{AnyForm: true}

	for name, c := range map[string]struct {
		msg    *CertReqMsg
		policy *POPPolicy
		want   error
	}{
		"over the request":            {overRequest(full), nil, nil},
		"over the request, NULL-DN":   {overRequest(CertTemplate{Subject: pkix.EmptyName, PublicKey: spki}), nil, nil},
		"over the request, changed":   {change(overRequest(full), func(m *CertReqMsg) { m.CertReq.Raw = append(slices.Clone(m.CertReq.Raw), 0) }), nil, ErrPOPSignature},
		"over the request, no octets": {change(overRequest(full), func(m *CertReqMsg) { m.CertReq.Raw = nil }), nil, ErrPOPForm},
		"for another key":             {overRequest(CertTemplate{Subject: subject, PublicKey: otherSPKI}), nil, ErrPOPSignature},
		"no subject":                  {overRequest(CertTemplate{PublicKey: spki}), nil, ErrPOPForm},
		"no subject, any form":        {overRequest(CertTemplate{PublicKey: spki}), any, nil},
		"no key":                      {overRequest(CertTemplate{Subject: subject}), any, ErrPOPKey},
		"input, no subject":           {overInput(CertTemplate{PublicKey: spki}, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), nil, nil},
		"input, no key":               {overInput(CertTemplate{Subject: subject}, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), nil, nil},
		"input, template empty":       {overInput(CertTemplate{}, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), nil, nil},
		"input, another key":          {overInput(CertTemplate{PublicKey: otherSPKI}, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), nil, ErrPOPKey},
		"input, template full":        {overInput(full, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), nil, ErrPOPForm},
		"input, full, any form":       {overInput(full, POPOSigningKeyInput{Sender: sender, PublicKey: spki}), any, nil},
		"input of another key":        {overInput(CertTemplate{}, POPOSigningKeyInput{Sender: sender, PublicKey: otherSPKI}), nil, ErrPOPSignature},
		"input changed": {change(overInput(CertTemplate{}, POPOSigningKeyInput{Sender: sender, PublicKey: spki}),
			func(m *CertReqMsg) { in := m.POPO.(*POPOSigningKey).Input; in.Raw = append(slices.Clone(in.Raw), 0) }), nil, ErrPOPSignature},
		"no proof":        {wire(t, CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0), Template: full}}), nil, ErrPOPMissing},
		"raVerified":      {wire(t, CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0), Template: full}, POPO: RAVerified{}}), nil, ErrPOPMissing},
		"SHA-1":           {change(overRequest(full), func(m *CertReqMsg) { m.POPO.(*POPOSigningKey).Algorithm = sha1 }), nil, alg.ErrForbidden},
		"SHA-1 allowed":   {change(overRequest(full), func(m *CertReqMsg) { m.POPO.(*POPOSigningKey).Algorithm = sha1 }), &POPPolicy{Signature: &alg.SignaturePolicy{Weak: []string{"ecdsa-sha1"}}}, ErrPOPSignature},
		"unfit algorithm": {change(overRequest(full), func(m *CertReqMsg) { m.POPO.(*POPOSigningKey).Algorithm = rsa }), nil, ErrPOPSignature},
	} {
		t.Run(name, func(t *testing.T) {
			if err := VerifySignaturePOP(c.msg, nil, c.policy); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if err := VerifySignaturePOP(overRequest(full), k.Public(), nil); err != nil {
		t.Errorf("with the key at hand: %v", err)
	}
	if _, err := SignPOPInput(rand.Reader, k, a, &POPOSigningKeyInput{PublicKey: spki}); err == nil {
		t.Error("input without sender or MAC")
	}
}

func TestPublicKeyMAC(t *testing.T) {
	k, spki, a := popKey(t)
	mac, err := alg.NewPBM(rand.Reader, alg.PBMOptions{Iterations: 500})
	if err != nil {
		t.Fatal(err)
	}
	v, err := SignPublicKeyMAC(mac, spki, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	m := CertReqMsg{CertReq: CertRequest{CertReqID: big.NewInt(0)}}
	if m.POPO, err = SignPOPInput(rand.Reader, k, a, &POPOSigningKeyInput{PublicKeyMAC: v, PublicKey: spki}); err != nil {
		t.Fatal(err)
	}
	got := wire(t, m)
	if err := VerifySignaturePOP(got, nil, nil); err != nil {
		t.Fatal(err)
	}
	in := got.POPO.(*POPOSigningKey).Input
	if err := VerifyPublicKeyMAC(in.PublicKeyMAC, in.PublicKey, []byte("secret"), nil); err != nil {
		t.Error(err)
	}
	if err := VerifyPublicKeyMAC(in.PublicKeyMAC, in.PublicKey, []byte("Secret"), nil); !errors.Is(err, ErrPOPMAC) {
		t.Errorf("another secret: %v", err)
	}
	if err := VerifyPublicKeyMAC(in.PublicKeyMAC, in.PublicKey, nil, nil); !errors.Is(err, ErrPOPMAC) {
		t.Errorf("no secret: %v", err)
	}
	if err := VerifyPublicKeyMAC(in.PublicKeyMAC, in.PublicKey[1:], []byte("secret"), nil); !errors.Is(err, ErrPOPMAC) {
		t.Errorf("another key: %v", err)
	}
	if err := VerifyPublicKeyMAC(in.PublicKeyMAC, in.PublicKey, []byte("secret"), &alg.MACPolicy{MinIterations: 501}); !errors.Is(err, alg.ErrForbidden) {
		t.Errorf("policy: %v", err)
	}
	if err := VerifyPublicKeyMAC(nil, spki, []byte("secret"), nil); !errors.Is(err, ErrPOPMissing) {
		t.Errorf("none: %v", err)
	}
}
