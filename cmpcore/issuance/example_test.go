package issuance_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

func Example() {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

	// The CA.
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	caName, _ := pkix.ParseDN("CN=Example Root CA,O=Example")
	tenYears, _ := issuance.ParsePeriod("10y")
	root, err := issuance.SelfSigned(rand.Reader, caKey, "", caName, tenYears, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	ca, err := issuance.NewIssuer(root, caKey, "")
	if err != nil {
		fmt.Println(err)
		return
	}
	profile, err := issuance.Compile(issuance.ProfileConfig{
		Name:     "device",
		Validity: issuance.ValidityConfig{Default: "397d", Backdate: "5m"},
		Keys:     []string{"ecdsa-p256", "rsa-3072+"},
		Subject:  issuance.SubjectConfig{FromRequest: true, Fixed: []string{"O=Example"}, Patterns: map[string]string{"CN": "device [0-9]+"}},
		KeyUsage: issuance.UsageConfig{Fixed: []string{"digitalSignature"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// A request.
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	spki, _ := alg.MarshalPublicKey(key.Public())
	for _, subject := range []string{"CN=device 7", "CN=toaster"} {
		name, _ := pkix.ParseDN(subject)
		prepared, err := profile.Prepare(issuance.Request{Subject: name, PublicKey: spki}, ca, now)
		if refusal := (*issuance.Refusal)(nil); errors.As(err, &refusal) {
			fmt.Printf("to the peer: %s\nto the log: %s\n", refusal.Public, refusal.Detail)
			continue
		}
		serial, _ := issuance.NewSerial(rand.Reader)
		der, err := ca.Issue(rand.Reader, prepared, serial)
		if err != nil {
			fmt.Println(err)
			return
		}
		cert, _ := x509.ParseCertificate(der)
		fmt.Println(cert.Subject, cert.NotAfter.Format(time.DateOnly), prepared.Mods)
	}
	// Output:
	// CN=device 7,O=Example 2031-02-02 [subject: changed to CN=device 7,O=Example]
	// to the peer: the requested subject is not accepted
	// to the log: profile device: subject.patterns.CN: "toaster" does not match
}
