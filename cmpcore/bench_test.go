package cmpcore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

// The two benchmarks are one yardstick: what an ir costs, and what its
// cryptography alone costs. PBM of 500 iterations, P-256 everywhere.

func benchBed(b *testing.B) (*bed, []byte, *cmp.PKIMessage) {
	d := newBed(b)
	d.cfg.Random = rand.Reader
	d.rebuild()
	k := d.talk(d.device("dev-1"))
	der := k.message(k.one(cmp.TypeIR, "CN=device 0000001,O=Example Corp,C=DE", "p256 a"))
	if out := d.process(der); len(out.Certificates) != 1 {
		b.Fatalf("%s", describe(out))
	}
	m, err := cmp.Parse(der, cmp.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	return d, der, m
}

func BenchmarkProcessIR(b *testing.B) {
	d, der, _ := benchBed(b)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		out, err := d.engine.Process(ctx, d.engine.Parse(der, "dir"), d.store)
		if err != nil || len(out.Certificates) != 1 {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloor does with the standard library alone, over octets that are at
// hand: MAC of the request, proof of possession, signature of the certificate,
// MAC of the answer.
func BenchmarkFloor(b *testing.B) {
	d, der, m := benchBed(b)
	req := &m.Body.(*cmp.CertReqMessages).Requests[0]
	pop := req.POPO.(*crmf.POPOSigningKey)
	pub := key(b, "p256 a").Public().(*ecdsa.PublicKey)
	ca := d.ca.key.(*ecdsa.PrivateKey)
	part := protectedPart(b, der)
	answer := protectedPart(b, d.process(der).Reply)
	secret, salt := []byte("secret of dev-1"), random(16)
	pbm := func(message []byte) []byte {
		h := sha256.New()
		h.Write(secret)
		h.Write(salt)
		var k [sha256.Size]byte
		h.Sum(k[:0])
		for range 499 {
			k = sha256.Sum256(k[:])
		}
		mac := hmac.New(sha256.New, k[:])
		mac.Write(message)
		return mac.Sum(nil)
	}
	tbs := make([]byte, 400)
	b.ReportAllocs()
	for b.Loop() {
		hmac.Equal(pbm(part), salt)
		sum := sha256.Sum256(req.CertReq.Raw)
		if !ecdsa.VerifyASN1(pub, sum[:], pop.Signature) {
			b.Fatal("proof of possession")
		}
		sum = sha256.Sum256(tbs)
		if _, err := ecdsa.SignASN1(rand.Reader, ca, sum[:]); err != nil {
			b.Fatal(err)
		}
		pbm(answer)
	}
}
