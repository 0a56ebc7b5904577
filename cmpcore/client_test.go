package cmpcore_test

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

func (b *bed) credentials(p *party) client.Credentials {
	c := client.Credentials{Now: b.now, Rand: rand.Reader, Trust: client.Trust{
		Anchors: [][]byte{b.root.cert.Raw}, Issued: [][]byte{b.root.cert.Raw}, Window: day,
	}}
	if p.holder != nil {
		c.Key, c.Certificate, c.Chain = p.holder.key, p.holder.cert.Raw, p.holder.chain
	} else {
		c.Secret, c.Reference = []byte(p.secret), []byte(p.ref)
	}
	return c
}

// converse goes on until the client has nothing more to send. What waits is
// approved after two polls.
func (b *bed) converse(o client.Options) *client.Result {
	b.Helper()
	s, der, err := client.Start(o)
	if err != nil {
		b.Fatal(err)
	}
	var issued *client.Result
	for n := 0; der != nil; n++ {
		if n > 10 {
			b.Fatal("it does not end")
		}
		out := b.process(der)
		b.commit(der, out)
		r, err := s.Accept(out.Reply, o.Credentials)
		if err != nil {
			b.Fatalf("answer %d: %v (%s)", n, err, out.Reason)
		}
		if len(r.Certificates) > 0 {
			issued = r
		}
		if r.Waiting != nil && n == 2 {
			t := b.store.transactionOf(s.TransactionID)
			b.vote(t, "alice", cmpcore.Approved, "")
		}
		der = r.Next
		if der == nil {
			if !r.Done {
				b.Errorf("the session ends at %s without being done", s.Step)
			}
			if issued == nil {
				issued = r
			}
		}
	}
	return issued
}

// The client of this module and the Engine agree about the whole of a
// certificate's life.
func TestTheClientAndTheEngineAgree(t *testing.T) {
	for _, caKey := range []string{"p256 ca", "p384 ca", "rsa2048 ca", "ed25519 ca"} {
		for _, last := range []bool{false, true} {
			for _, strict := range []bool{false, true} {
				t.Run(fmt.Sprint(caKey, " last nonce ", last, " rfc9483 ", strict), func(t *testing.T) {
					policy := withPolicy(func(p *cmpcore.Policy) { p.LastPollNonce, p.Lightweight = last, strict })
					b := newBed(t, withCAKey(caKey), policy)
					for _, ref := range []string{"dev-1", "slow-1"} {
						p := b.device(ref)
						certs := []client.CertificateRequest{{Subject: dn(t, "CN=one"), Key: key(t, "p256 a")}}
						if !strict {
							certs = append(certs, client.CertificateRequest{Subject: dn(t, "CN=two"), Key: key(t, "ed25519 b")})
						}
						r := b.converse(client.Options{Kind: cmp.TypeIR, Credentials: b.credentials(p), Certificates: certs, PVNO: 3})
						for _, c := range r.Certificates {
							cert, err := x509.ParseCertificate(c.Certificate)
							if err != nil {
								t.Fatalf("%v, %s", err, c.State)
							}
							b.wantStatus(cert, cmpcore.Valid)
						}
						one, err := x509.ParseCertificate(r.Certificates[0].Certificate)
						if err != nil {
							t.Fatal(err)
						}
						me := b.signer(&holder{key: key(t, "p256 a"), cert: one, chain: append([][]byte{b.ca.cert.Raw}, b.ca.chain...)})
						r = b.converse(client.Options{Kind: cmp.TypeKUR, Credentials: b.credentials(me), PVNO: 3,
							Certificates: []client.CertificateRequest{{Key: key(t, "p256 c")}}})
						next, err := x509.ParseCertificate(r.Certificates[0].Certificate)
						if err != nil {
							t.Fatal(err)
						}
						b.wantStatus(next, cmpcore.Valid)
						b.converse(client.Options{Kind: cmp.TypeGenM, Credentials: b.credentials(me), Infos: []cmp.InfoTypeAndValue{question(cmp.OIDCACerts)}})
						r = b.converse(client.Options{Kind: cmp.TypeRR, Credentials: b.credentials(me),
							Revocations: []client.Revocation{{Certificate: one.Raw, Reason: pkix.ReasonSuperseded}}})
						if len(r.Revocations) != 1 || !r.Revocations[0].Revoked() {
							t.Errorf("%+v", r.Revocations)
						}
						b.wantStatus(one, cmpcore.Revoked)
					}
					p10 := b.talk(b.device("slow-2")).p10cr("CN=three", "rsa2048 d")
					r := b.converse(client.Options{Kind: cmp.TypeP10CR, Credentials: b.credentials(b.device("slow-2")), PKCS10: p10.Request.Raw, PVNO: 3})
					cert, err := x509.ParseCertificate(r.Certificates[0].Certificate)
					if err != nil {
						t.Fatal(err)
					}
					b.wantStatus(cert, cmpcore.Valid)
				})
			}
		}
	}
}
