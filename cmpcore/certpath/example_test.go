package certpath_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log"
	"math/big"
	"time"

	"cmp-batch/cmpcore/certpath"
)

func ExampleVerify() {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	issue := func(name string, ca bool, issuer *x509.Certificate, seed byte) *x509.Certificate {
		key := func(b byte) ed25519.PrivateKey {
			return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), b))
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(seed)), Subject: pkix.Name{CommonName: name},
			NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(1, 0, 0),
			BasicConstraintsValid: true, IsCA: ca, KeyUsage: x509.KeyUsageDigitalSignature,
		}
		if ca {
			c.KeyUsage |= x509.KeyUsageCertSign
		}
		if issuer == nil {
			issuer = c
		}
		signer := key(byte(issuer.SerialNumber.Int64()))
		der, err := x509.CreateCertificate(nil, c, issuer, key(seed).Public(), signer)
		if err != nil {
			log.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			log.Fatal(err)
		}
		return cert
	}
	root := issue("root", true, nil, 1)
	between := issue("between", true, root, 2)
	device := issue("device", false, between, 3)

	o := certpath.Options{Anchors: []*x509.Certificate{root}, Others: []*x509.Certificate{between}, Time: at}
	path, err := certpath.Verify(device, o)
	fmt.Println(len(path), err)

	o.NeedCRL = true // and no CRL at hand
	_, err = certpath.Verify(device, o)
	fmt.Println(errors.Is(err, certpath.ErrCRL))
	// Output:
	// 3 <nil>
	// true
}
