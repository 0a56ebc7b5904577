package cmpcore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool"
	"cmp-batch/spool/memory"
)

// A CA in one function: a message in, an outcome out, and a store that makes the
// outcome true before the answer leaves.
func ExampleEngine_Process() {
	if err := exampleCA(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// answered, certificates: 1
	// CN=device 7,O=Example issued by CN=Example CA
	// the same octets again: already answered
}

func exampleCA() error {
	ctx, now := context.Background(), time.Now()

	// The CA's key and certificate, and what its certificates look like.
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	name, _ := pkix.ParseDN("CN=Example CA")
	tenYears, _ := issuance.ParsePeriod("10y")
	caCert, err := issuance.SelfSigned(rand.Reader, caKey, "", name, tenYears, now)
	if err != nil {
		return err
	}
	issuer, err := issuance.NewIssuer(caCert, caKey, "")
	if err != nil {
		return err
	}
	profileConfig := issuance.DefaultProfile()
	profileConfig.Name = "device"
	profile, err := issuance.Compile(profileConfig)
	if err != nil {
		return err
	}

	engine, err := cmpcore.New(cmpcore.Config{
		Authority: cmpcore.Authority{Issuer: issuer, Certificate: caCert, Signer: caKey},
		Profiles:  map[string]*issuance.Profile{"device": profile},
		Rules: []cmpcore.Rule{{
			Name: "devices", Secret: func(ref string) bool { return ref == "device-7" },
			May: []cmp.BodyType{cmp.TypeIR}, Profiles: []string{"device"},
		}},
		Policies: map[string]cmpcore.Policy{"example": {
			ImplicitConfirm: true, ConfirmWait: 24 * time.Hour, TransactionLife: 24 * time.Hour, PollInterval: time.Hour,
		}},
		CRLLifetime: 7 * 24 * time.Hour,
		Clock:       time.Now,
		Random:      rand.Reader,
		Unseal:      func(s *cmpcore.Secret) ([]byte, error) { return s.Sealed, nil }, // a real one decrypts
	})
	if err != nil {
		return err
	}
	store := memory.New()
	secret := []byte("correct horse battery staple")
	if err := store.AddSecret(ctx, &cmpcore.Secret{Ref: "device-7", Sealed: secret, Created: now}); err != nil {
		return err
	}

	// The device's side.
	key, err := alg.GenerateKey(rand.Reader, "ecdsa-p256")
	if err != nil {
		return err
	}
	subject, _ := pkix.ParseDN("CN=device 7,O=Example")
	device := client.Credentials{Secret: secret, Reference: []byte("device-7"), Now: now, Rand: rand.Reader}
	session, request, err := client.Start(client.Options{
		Kind: cmp.TypeIR, ImplicitConfirm: true, Credentials: device,
		Certificates: []client.CertificateRequest{{Subject: subject, Key: key}},
	})
	if err != nil {
		return err
	}

	// The CA's side: nothing has happened until the commit.
	message := engine.Parse(request, "example")
	outcome, err := engine.Process(ctx, message, store.View())
	if err != nil {
		return err
	}
	if _, _, err := store.Commit(ctx, []spool.Entry{{Hash: message.Hash, DER: request, Received: now, Outcome: outcome}}); err != nil {
		return err
	}
	fmt.Printf("%s, certificates: %d\n", outcome.Disposition, len(outcome.Certificates))

	// The device checks the answer.
	result, err := session.Accept(outcome.Reply, device)
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(result.Certificates[0].Certificate)
	if err != nil {
		return err
	}
	fmt.Println(cert.Subject, "issued by", cert.Issuer)

	// A second copy is not processed: the store has its answer.
	known, err := store.Lookup(ctx, []cmpcore.Hash{message.Hash})
	if err != nil {
		return err
	}
	fmt.Println("the same octets again: already", known[message.Hash].Disposition)
	return nil
}
