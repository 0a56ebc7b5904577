package lint

import (
	"testing"

	"cmp-batch/cmpcore/issuance"
)

// BenchmarkLook is what lint adds to a certificate, besides the signature for
// trial.
func BenchmarkLook(b *testing.B) {
	der := trial(b, ca(b, "ecdsa-p256"), server(), "ecdsa-p256", "CN=www.example.com", dnsNames(b, "www.example.com"))
	for _, x := range []struct {
		name    string
		sources []string
	}{{"RFCs", nil}, {"CABF_BR", []string{"CABF_BR"}}, {"all", Sources()}} {
		b.Run(x.name, func(b *testing.B) {
			look := mustCompile(b, issuance.LintConfig{Sources: x.sources})
			b.ReportAllocs()
			for b.Loop() {
				look(der)
			}
		})
	}
}
