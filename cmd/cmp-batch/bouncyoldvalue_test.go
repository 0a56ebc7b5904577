package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
)

// TestBouncyCastleEncryptsTheOldWay: Bouncy Castle makes EncryptedValues, as an
// end entity that proves possession and archives, and as a CA.
func TestBouncyCastleEncryptsTheOldWay(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	ways := []string{"aes128-pkcs1", "aes192-oaep", "aes256-pkcs1", "aes256-oaep"}
	device := []string{"kid=device-1", "secret=" + deviceSecret, "hash=sha256", "iterations=1000", "mac=hmac-sha256"}
	const pbm = "v2 pbm sha256 1000 hmac-sha256"

	t.Run("to our CA", func(t *testing.T) {
		f := newOffline(t, nil, bouncyConfig, map[string]string{"device-1": deviceSecret})
		encryption := filepath.Join(f.dir, "ca", "encryption.crt")
		made := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "100",
			"-subj", "/CN=Encryption/O=Interop", "-addext", "keyUsage=critical,keyEncipherment", "-keyout", filepath.Join(f.dir, "ca", "encryption.key"), "-out", encryption)
		if text, err := made.CombinedOutput(); err != nil {
			t.Fatalf("openssl: %v\n%s", err, text)
		}
		writeFile(t, f.config, strings.NewReplacer(
			"  key: ca/ca.key\n", "  key: ca/ca.key\n  encryption: {certificate: ca/encryption.crt, key: ca/encryption.key, encrypted_value: aes}\n",
			"  - name: devices\n", "  - name: devices\n    proofs: [this-message]\n    archive: allowed\n").Replace(bouncyConfig))
		b := startBouncy(t, f.work)
		b.do(t, "trust", "file="+f.ca())
		b.do(t, "key", "name=own", "type=rsa")
		b.do(t, "key", "name=ec", "type=P-256")
		b.do(t, "key", "name=other", "type=rsa")
		ir := func(key, name, way string, more ...string) []string {
			item := with([]string{"item=key=" + key, "subject=CN=" + name, "way=" + way, "with=" + encryption}, more)
			return with(device, []string{"kind=ir", strings.Join(item, "|")})
		}
		granted := func(name string) string { return "ip " + pbm + " caPubs [0 accepted CN=" + name + "]" }
		refused := func(why string) string { return "ip " + pbm + " [0 rejection " + why + "]" }
		const wrongPOP = `badPOP "the private key does not open, or is not that of the request"`
		const wrongKey = `incorrectData "the private key to archive does not open, or is not that of the certificate"`
		var steps []bcStep
		for _, way := range ways {
			steps = append(steps,
				bcStep{tx: "this-" + way, args: ir("own", "this-"+way, way, "pop=thisMessage", "usage=32"), answer: granted("this-" + way)},
				bcStep{tx: "archive-" + way, args: ir("ec", "archive-"+way, way, "archive=yes"), answer: granted("archive-" + way)})
		}
		steps = append(steps,
			bcStep{tx: "agree", args: ir("ec", "agree", "aes256-pkcs1", "pop=thisMessage", "usage=8"), answer: granted("agree")},
			bcStep{tx: "oldest", args: ir("own", "x", "3des-pkcs1", "pop=thisMessage", "usage=32"), answer: refused(wrongPOP)},
			bcStep{tx: "oldest-archive", args: ir("ec", "x", "3des-oaep", "archive=yes"), answer: refused(wrongKey)},
			bcStep{tx: "wrong", args: ir("own", "x", "aes256-oaep", "pop=thisMessage", "other=other", "usage=32"), answer: refused(wrongPOP)},
			bcStep{tx: "wrong-archive", args: ir("ec", "x", "aes256-oaep", "archive=yes", "other=other"), answer: refused(wrongKey)},
			bcStep{tx: "at-3", args: with(ir("own", "x", "aes256-oaep", "pop=thisMessage", "usage=32"), []string{"pvno=3"}),
				answer: strings.Replace(refused(`badRequest "thisMessage is for pvno 2; encryptedKey has taken its place"`), "v2", "v3", 1)},
		)
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
	})

	t.Run("as a CA", func(t *testing.T) {
		m := &mockCA{dir: t.TempDir(), test: t}
		b := startBouncy(t, m.dir)
		writeFile(t, filepath.Join(m.dir, "secret"), deviceSecret+"\n")
		b.do(t, "key", "name=ca", "type=rsa")
		b.do(t, "ca", "key=ca", "subject=O=Mock,CN=Mock CA", "alg=SHA256withRSA", "out="+filepath.Join(m.dir, "root.crt"))
		bySecret := []string{"--ref", "device", "--secret-file", "secret"}
		ask := with(bySecret, []string{"--subject", "CN=device,O=Mock"})
		caAlg := []string{"caalg=SHA256withRSA"}
		mac := with(caAlg, []string{"secret=" + deviceSecret, "kid=device", "hash=sha256", "iterations=1000", "mac=hmac-sha256"})
		const asked = "v2 pbm sha256 10000 hmac-sha256"
		conf := bcAnswer{args: mac, found: "certConf " + asked + " [0 hash]", status: "confirmed"}
		encrypted := func(way, policy string) bcExchange {
			return bcExchange{name: way, kind: "ir", request: with(ask, []string{"--key-type", "rsa-2048", "--pop", "encr-cert", "--pvno", "2"}),
				accept: with(bySecret, []string{"--old-encryption", policy}), answers: []bcAnswer{
					{args: with(mac, []string{"encryptold=" + way}), found: "ir " + asked + " [0 O=Mock,CN=device POP of type 2]", status: "issued", next: "certConf"}, conf}}
		}
		for _, way := range ways {
			m.play(b, encrypted(way, "aes"))
		}
		m.play(b, encrypted("3des-pkcs1", "3des"))

		// Keys that the CA makes, to the RSA key that signs.
		m.play(b, bcExchange{name: "holder", kind: "ir", request: with(ask, []string{"--key-type", "rsa-2048"}), accept: bySecret, answers: []bcAnswer{
			{args: mac, found: "ir " + asked + " [0 O=Mock,CN=device POP]", status: "issued", next: "certConf"}, conf}})
		signed := []string{"--cert", "holder.crt", "--sign-key", "holder.key"}
		const update = "v2 signed SHA256WITHRSA"
		m.play(b, bcExchange{name: "central", kind: "kur", request: with(signed, []string{"--central-key", "any", "--pvno", "2"}),
			accept: with(signed, []string{"--trust", "root.crt", "--old-encryption", "aes"}), answers: []bcAnswer{
				{args: with(caAlg, []string{"makeold=aes256-pkcs1", "for=holder"}), found: "kur " + update + " [0 O=Mock,CN=device no POP control 1.3.6.1.5.5.7.5.1.5]", status: "issued", next: "certConf"},
				{args: caAlg, found: "certConf " + update + " [0 hash]", status: "confirmed"}}})

		// Unless it is allowed, nothing is taken, and it may be allowed afterwards.
		m.cli(0, with([]string{"request", "kur", "--out", "k.pki", "--central-key", "any", "--pvno", "2"}, signed)...)
		m.cli(0, with([]string{"request", "ir", "--out", "e.pki", "--key-type", "rsa-2048", "--pop", "encr-cert", "--pvno", "2"}, ask)...)
		b.do(t, "answer", with([]string{"file=k.pki", "out=k.answer.pki", "makeold=aes128-oaep", "for=holder"}, caAlg)...)
		b.do(t, "answer", with([]string{"file=e.pki", "out=e.answer.pki", "encryptold=3des-oaep"}, mac)...)
		for _, c := range []struct {
			file, policy string
			as           []string
		}{{"k", "none", with(signed, []string{"--trust", "root.crt"})}, {"e", "none", bySecret}, {"e", "aes", bySecret}} {
			accept := with([]string{"accept", c.file + ".answer.pki", "--session", c.file + ".session.json"}, c.as)
			before := read(t, filepath.Join(m.dir, c.file+".session.json"))
			text := m.cli(1, with(accept, []string{"--old-encryption", c.policy})...)
			if !strings.Contains(text, "--old-encryption aes takes it") {
				t.Errorf("%s under %s: accept says %s", c.file, c.policy, text)
			}
			if string(read(t, filepath.Join(m.dir, c.file+".session.json"))) != string(before) {
				t.Errorf("%s under %s: the session changed", c.file, c.policy)
			}
			if c.policy != "none" || c.file == "k" {
				m.cli(0, with(accept, []string{"--old-encryption", "3des", "--require"})...)
			}
		}
	})
}
