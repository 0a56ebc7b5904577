package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
)

// TestBouncyCastleProvesByKeyAgreement: Bouncy Castle computes the secret, its
// key and the MAC, in every place that has one.
func TestBouncyCastleProvesByKeyAgreement(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	b := startBouncy(t, t.TempDir())
	config := strings.NewReplacer("  key: ca/ca.key\n", "  key: ca/ca.key\n  key_agreement: {certificate: ca/agreement.crt, key: ca/agreement.key}\n",
		"  - name: devices\n", "  - name: devices\n    proofs: [agree-mac]\n").Replace(bouncyConfig)
	for curve, hash := range map[string]string{"P-256": "SHA256", "P-384": "SHA384", "P-521": "SHA512"} {
		t.Run(curve, func(t *testing.T) {
			f := newOffline(t, nil, bouncyConfig, map[string]string{"device-1": deviceSecret})
			agreement := filepath.Join(f.dir, "ca", "agreement.crt")
			made := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:"+curve, "-nodes", "-days", "100",
				"-subj", "/CN=Agreement/O=Interop", "-addext", "keyUsage=critical,keyAgreement", "-keyout", filepath.Join(f.dir, "ca", "agreement.key"), "-out", agreement)
			if text, err := made.CombinedOutput(); err != nil {
				t.Fatalf("openssl: %v\n%s", err, text)
			}
			writeFile(t, f.config, config)
			b.do(t, "trust", "file="+f.ca())
			for _, name := range []string{"own", "other"} {
				b.do(t, "key", "name="+name, "type="+curve)
			}
			const how = " pbm sha256 1000 hmac-sha256"
			device := []string{"kid=device-1", "secret=" + deviceSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256"}
			ir := func(pvno, name, pop, way string, more ...string) []string {
				item := with([]string{"item=key=own", "subject=CN=" + name, "usage=8", "pop=" + pop, "way=" + way, "with=" + agreement}, more)
				return with(device, []string{"pvno=" + pvno, "kind=ir", strings.Join(item, "|")})
			}
			granted := func(pvno, name string) string { return "ip v" + pvno + how + " caPubs [0 accepted CN=" + name + "]" }
			refused := func(pvno, why string) string { return "ip v" + pvno + how + " [0 rejection " + why + "]" }
			const wrong = `badPOP "the proof of possession does not verify"`
			steps := []bcStep{
				{tx: "mac-dhbm", args: ir("3", "mac-dhbm", "agreeMAC", "dhbm"), answer: granted("3", "mac-dhbm")},
				{tx: "mac-static", args: ir("3", "mac-static", "agreeMAC", hash), answer: granted("3", "mac-static")},
				{tx: "sig-dhbm", args: ir("2", "sig-dhbm", "agreeSignature", "dhbm"), answer: granted("2", "sig-dhbm")},
				{tx: "sig-static", args: ir("2", "sig-static", "agreeSignature", hash), answer: granted("2", "sig-static")},
				{tx: "p10cr", args: with(device, []string{"kind=p10cr", "key=own", "subject=CN=p10cr", "way=" + hash, "with=" + agreement}), answer: "cp v2" + how + " [-1 accepted CN=p10cr]"},
				{tx: "mac-at-2", args: ir("2", "x", "agreeMAC", "dhbm"), answer: refused("2", `badRequest "agreeMAC needs pvno 3"`)},
				{tx: "mac-wrong", args: ir("3", "x", "agreeMAC", "dhbm", "other=other"), answer: refused("3", wrong)},
				{tx: "sig-wrong", args: ir("2", "x", "agreeSignature", hash, "other=other"), answer: refused("2", wrong)},
			}
			f.carry(t, b, 1, steps)
			var second []bcStep
			for _, s := range steps {
				if s.brings() {
					second = append(second, s.confirm())
				}
			}
			f.carry(t, b, 2, second)
			for _, s := range second {
				f.status(t, s.tx+".crt", cmpcore.Valid)
			}
			f.cli(t, "show", filepath.Join(f.dir, "spool", "poll", "archive", "mac-static-1.pki"))
		})
	}
}
