package alg

import (
	"crypto/rand"
	"testing"
)

// BenchmarkPBM500 is the MAC of one message of an unconfigured OpenSSL 3.0.
func BenchmarkPBM500(b *testing.B) {
	m, err := NewPBM(rand.Reader, PBMOptions{Iterations: 500})
	if err != nil {
		b.Fatal(err)
	}
	secret, message := []byte("insta"), make([]byte, 500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Sum(secret, message); err != nil {
			b.Fatal(err)
		}
	}
}
