package pkcs10_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"fmt"
	"log"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

func ExampleBuild() {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		log.Fatal(err)
	}
	subject, err := pkix.ParseDN("CN=device 7,O=Example")
	if err != nil {
		log.Fatal(err)
	}
	wanted, err := pkcs10.ExtensionRequest([]pkix.Extension{pkix.KeyUsageExtension(pkix.DigitalSignature)})
	if err != nil {
		log.Fatal(err)
	}
	ed25519ID := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}
	request, err := pkcs10.Build(subject, spki, []pkcs10.Attribute{wanted}, ed25519ID, func(info []byte) ([]byte, error) {
		return ed25519.Sign(key, info), nil
	})
	if err != nil {
		log.Fatal(err)
	}

	r, err := pkcs10.Parse(request, der.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	exts, err := r.RequestedExtensions()
	if err != nil {
		log.Fatal(err)
	}
	usage, _ := pkix.ParseKeyUsage(exts[0].Value)
	fmt.Println(r.Subject, usage)
	fmt.Println(ed25519.Verify(key.Public().(ed25519.PublicKey), r.RawInfo, r.Signature))
	// Output:
	// CN=device 7,O=Example digitalSignature
	// true
}
