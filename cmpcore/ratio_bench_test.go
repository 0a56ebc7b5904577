//go:build unix

package cmpcore_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// The benchmarks of this file tell what an algorithm costs, as a ratio to one
// whole enrolment with P-256 everywhere: request, certificate, certConf and
// pkiConf, both sides, in memory. They count processor time, which other load
// on the machine disturbs less than the time of day, and take the yardstick in
// the same run. docs/performance.md says how to run them.

// cpu is the processor time of this process in nanoseconds.
func cpu(b testing.TB) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

var (
	yardstickOnce sync.Once
	yardstickCPU  float64
)

// yardstick is the processor time of an enrolment under ECDSA P-256.
func yardstick(b testing.TB) float64 {
	yardstickOnce.Do(func() {
		const n = 200
		enrol := enrolment(b, "ECDSA")
		enrol()
		before := cpu(b)
		for range n {
			enrol()
		}
		yardstickCPU = float64(cpu(b)-before) / n
	})
	return yardstickCPU
}

// ratio runs f and reports what it costs.
func ratio(b *testing.B, f func()) {
	b.Helper()
	one := yardstick(b)
	f() // what is made once is not counted
	before := cpu(b)
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/one, "ratio")
	b.ReportMetric(0, "ns/op")
}

// enrolment is one under a protection, of a P-256 key.
func enrolment(b testing.TB, protection string) func() {
	d := lifeBed(b)
	d.cfg.Random = rand.Reader
	d.rebuild()
	var g *guise
	for _, p := range lifeProtections {
		if p.name == protection {
			g = d.guise(p, false)
		}
	}
	secrets := d.store.secrets
	want := client.CertificateRequest{Subject: dn(b, "CN=device 0000001,O=Example Corp,C=DE"), Key: key(b, "p256 a")}
	return func() {
		d.store = newStore() // it does not grow
		d.store.secrets = secrets
		s, der := g.start(client.Options{Kind: cmp.TypeIR, Certificates: []client.CertificateRequest{want}})
		if _, certs, _ := g.goOn(s, der); len(certs) != 1 {
			b.Fatal("no certificate")
		}
	}
}

func BenchmarkEnrolment(b *testing.B) {
	for _, p := range lifeProtections {
		b.Run(p.name, func(b *testing.B) { ratio(b, enrolment(b, p.name)) })
	}
}

func BenchmarkSign(b *testing.B) {
	message := random(500)
	for _, kt := range alg.KeyTypes() {
		b.Run(kt, func(b *testing.B) {
			k := lifeKey(b, kt, 0).(crypto.Signer)
			a := must[pkix.AlgorithmIdentifier](b)(alg.SignatureFor(k.Public(), ""))
			ratio(b, func() {
				if _, err := alg.Sign(rand.Reader, k, a, message); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	message := random(500)
	for _, kt := range alg.KeyTypes() {
		b.Run(kt, func(b *testing.B) {
			k := lifeKey(b, kt, 0).(crypto.Signer)
			a := must[pkix.AlgorithmIdentifier](b)(alg.SignatureFor(k.Public(), ""))
			sig := must[[]byte](b)(alg.Sign(rand.Reader, k, a, message))
			ratio(b, func() {
				if err := alg.Verify(a, k.Public(), message, sig, nil); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkMAC is one MAC, with the derivation of its key. Password-based ones
// have 10,000 iterations, the default of what we make.
func BenchmarkMAC(b *testing.B) {
	message, secret, id := random(500), random(32), random(16)
	keyed := func(m *alg.MAC) func() error {
		return func() error { _, err := m.Sum(secret, message); return err }
	}
	for name, sum := range map[string]func() error{
		"PBM":              keyed(must[*alg.MAC](b)(alg.NewPBM(rand.Reader, alg.PBMOptions{}))),
		"PBM with KMAC":    keyed(must[*alg.MAC](b)(alg.NewPBM(rand.Reader, alg.PBMOptions{KMAC: 256}))),
		"PBMAC1":           keyed(must[*alg.MAC](b)(alg.NewPBMAC1(rand.Reader, alg.PBMAC1Options{}))),
		"PBMAC1 with KMAC": keyed(must[*alg.MAC](b)(alg.NewPBMAC1(rand.Reader, alg.PBMAC1Options{KMAC: 256}))),
		"Diffie-Hellman": func() func() error {
			m := must[*alg.DHBM](b)(alg.NewDHBM(alg.DHBMOptions{}))
			own := lifeKey(b, "x25519", 0)
			peer := lifeKey(b, "x25519", 1).(interface{ Public() crypto.PublicKey }).Public()
			return func() error {
				shared, err := alg.SharedSecret(own, peer)
				if err == nil {
					_, err = m.Sum(shared, message)
				}
				return err
			}
		}(),
		"KEM": func() func() error {
			m := must[*alg.KEMBM](b)(alg.NewKEMBM(alg.KEMBMOptions{}))
			own := lifeKey(b, "ml-kem-768", 0)
			kem, ct, _, err := alg.EncapsulateFrom([32]byte{1}, own.(interface{ Public() crypto.PublicKey }).Public())
			if err != nil {
				b.Fatal(err)
			}
			return func() error {
				shared, err := alg.Decapsulate(rand.Reader, own, kem, ct)
				if err == nil {
					_, err = m.Sum(shared, id, message)
				}
				return err
			}
		}(),
	} {
		b.Run(name, func(b *testing.B) {
			ratio(b, func() {
				if err := sum(); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkProof is what the Engine does with one request: for each type of key
// and each proof of possession that it can have, under a PBM of 200 iterations.
func BenchmarkProof(b *testing.B) {
	for _, kt := range lifeKeyTypes() {
		for _, pop := range lifePOPs {
			made := pop.pop == client.POPNone
			if verdict(kt, lifeProtections[0], pop) != 0 || pop.ra || made && strings.Contains(kt, "rsa") {
				continue // RSA keys take as long as it happens to take
			}
			b.Run(kt+"/"+pop.name, func(b *testing.B) {
				d := lifeBed(b)
				d.cfg.Random = rand.Reader
				d.rebuild()
				g := d.guise(lifeProtections[0], false)
				want, private := g.wanted(kt, 0, pop, nil)
				o := client.Options{Kind: pop.body, Certificates: []client.CertificateRequest{want}}
				if pop.body == cmp.TypeP10CR {
					o.Certificates, o.PKCS10 = nil, g.pkcs10(private)
				}
				_, der := g.start(o)
				ratio(b, func() {
					out, err := d.engine.Process(context.Background(), d.engine.Parse(der, "dir"), d.store)
					if err != nil || len(out.Certificates) == 0 && pop.pop != client.POPChallenge {
						b.Fatal(err, out.Reason)
					}
				})
			})
		}
	}
}
