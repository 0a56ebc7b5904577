package crmf_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"log"
	"math/big"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// A request with proof of possession by signature: the signature covers the
// CertRequest.
func Example() {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		log.Fatal(err)
	}
	subject, err := pkix.ParseDN("CN=device 7")
	if err != nil {
		log.Fatal(err)
	}
	m := crmf.CertReqMsg{CertReq: crmf.CertRequest{
		CertReqID: big.NewInt(0),
		Template:  crmf.CertTemplate{Subject: subject, PublicKey: spki},
	}}
	signed, err := m.CertReq.Bytes()
	if err != nil {
		log.Fatal(err)
	}
	m.POPO = &crmf.POPOSigningKey{
		Algorithm: pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")},
		Signature: ed25519.Sign(key, signed),
	}
	var b cryptobyte.Builder
	m.Add(&b)

	s := cryptobyte.String(b.BytesOrPanic())
	got, err := crmf.ReadCertReqMsg(&s)
	if err != nil {
		log.Fatal(err)
	}
	popo := got.POPO.(*crmf.POPOSigningKey)
	fmt.Println(got.CertReq.Template.Subject)
	fmt.Println(ed25519.Verify(key.Public().(ed25519.PublicKey), got.CertReq.Raw, popo.Signature))
	// Output:
	// CN=device 7
	// true
}

func ExampleParsePairs() {
	pairs, err := crmf.ParsePairs("version?1%corp_company?Acme%org_unit?R%26D%")
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range pairs {
		fmt.Println(p.Name, "=", p.Value)
	}
	// Output:
	// version = 1
	// corp_company = Acme
	// org_unit = R&D
}
