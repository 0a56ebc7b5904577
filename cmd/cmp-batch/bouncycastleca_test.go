package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bcAnswer is one answer of Bouncy Castle as a CA: how it is made, what Bouncy
// Castle finds in the message that it answers, and what accept makes of it.
type bcAnswer struct {
	args   []string
	found  string
	status string // and text, where there is one: "refused badPOP: text"
	next   string // the message after it
	after  int64  // check_after
	change string // the last of changes
}

// bcExchange is one transaction of our end entity with that CA.
type bcExchange struct {
	name, kind      string
	request, accept []string
	answers         []bcAnswer
}

// play runs request, and accept for every answer.
func (m *mockCA) play(b *bouncy, e bcExchange) {
	t := m.test
	t.Helper()
	m.cli(0, with([]string{"request", e.kind, "--out", e.name + ".pki"}, e.request)...)
	file, brought := e.name+".pki", false
	for i, a := range e.answers {
		answer := strings.TrimSuffix(file, ".pki") + ".answer.pki"
		if found := b.do(t, "answer", with([]string{"file=" + file, "out=" + answer, "as=" + e.name}, a.args)...); found != a.found {
			t.Errorf("answer %d: Bouncy Castle finds\n %s, want\n %s", i, found, a.found)
		}
		r := m.accept(answer, e.name+".session.json", e.accept...)
		got := r.Status
		if r.Text != "" {
			got += " " + r.FailInfo + ": " + r.Text
		}
		if got != a.status || r.NextKind != a.next || r.CheckAfter != a.after || r.Done != (i == len(e.answers)-1) {
			t.Fatalf("answer %d: accept says %q and %+v", i, got, r)
		}
		if n := len(r.Changes); n == 0 && a.change != "" || n > 0 && r.Changes[n-1] != a.change {
			t.Errorf("answer %d: accept tells of the changes %q, want %q", i, r.Changes, a.change)
		}
		brought = brought || r.Status == "issued"
		show := []string{"show", answer}
		if !strings.Contains(a.found, " signed ") {
			show = append(show, "--secret-file", "secret")
		}
		if text := m.cli(0, show...); !strings.Contains(text, " octets, good, by ") {
			t.Errorf("answer %d: show prints\n%s", i, text)
		}
		file = r.Next
	}
	if _, err := os.Stat(filepath.Join(m.dir, e.name+".crt")); brought != (err == nil) {
		t.Errorf("a certificate was issued: %v; its file: %v", brought, err)
	}
}

// TestRequestAtBouncyCastle: our end entity's side by files, against a CA of
// Bouncy Castle, which issues its own certificates and checks protection, proof
// of possession, nonces, the hash of the confirmation, and that all is DER.
func TestRequestAtBouncyCastle(t *testing.T) {
	t.Parallel()
	m := &mockCA{dir: t.TempDir(), test: t}
	b := startBouncy(t, m.dir)
	writeFile(t, filepath.Join(m.dir, "secret"), deviceSecret+"\n")
	const caName = "O=Mock,CN=Mock CA"
	bySecret := []string{"--ref", "device", "--secret-file", "secret"}
	mac := []string{"secret=" + deviceSecret, "kid=device", "hash=sha256", "iterations=1000", "mac=hmac-sha256"}
	subject := []string{"--subject", "CN=device,O=Mock"}
	const pbm = "v2 pbm sha256 10000 hmac-sha256"
	const asked = " [0 O=Mock,CN=device POP]"
	const unproven = " [0 O=Mock,CN=device no POP control 1.3.6.1.5.5.7.5.1.5]"
	const askedAgain = " [0 O=Mock,CN=device POP control 1.3.6.1.5.5.7.5.1.5]" // oldCertID

	for _, ca := range []struct{ key, alg string }{
		{"P-256", "SHA256withECDSA"}, {"rsa", "SHA256withRSA"}, {"rsa", "SHA256withRSAandMGF1"}, {"Ed25519", "Ed25519"},
	} {
		at := ca.alg + "-"
		root := at + "root.crt"
		b.do(t, "key", "name=ca", "type="+ca.key)
		b.do(t, "ca", "key=ca", "subject="+caName, "alg="+ca.alg, "out="+filepath.Join(m.dir, root))
		confirms := "v2"
		if ca.key == "Ed25519" {
			confirms = "v3" // which names the hash, where the certificate's signature does not: RFC 9810 section 5.3.18
		}
		caAlg := []string{"caalg=" + ca.alg}
		mac := with(caAlg, mac)
		trust := []string{"--trust", root}
		signed := func(cert string) []string {
			return []string{"--cert", at + cert + ".crt", "--sign-key", at + cert + ".key"}
		}
		run := func(e bcExchange) {
			t.Run(at+e.name, func(t *testing.T) {
				m := *m
				m.test = t
				e.name = at + e.name
				m.play(b, e)
			})
		}
		enrols := func(name, keyType string) bcExchange {
			return bcExchange{name: name, kind: "ir", request: with(bySecret, subject, []string{"--key-type", keyType}), accept: bySecret, answers: []bcAnswer{
				{args: mac, found: "ir " + pbm + asked, status: "issued", next: "certConf"},
				{args: mac, found: "certConf " + confirms + pbm[2:] + " [0 hash]", status: "confirmed"},
			}}
		}
		run(enrols("ec", "ecdsa-p256"))
		run(enrols("rsa", "rsa-2048"))
		run(enrols("ed", "ed25519"))
		for key, how := range map[string]string{"ec": "SHA256WITHECDSA", "rsa": "SHA256WITHRSA", "ed": "ED25519"} {
			run(bcExchange{name: key + "-kur", kind: "kur", request: signed(key), accept: with(signed(key), trust), answers: []bcAnswer{
				{args: caAlg, found: "kur v2 signed " + how + askedAgain, status: "issued", next: "certConf"},
				{args: caAlg, found: "certConf " + confirms + " signed " + how + " [0 hash]", status: "confirmed"},
			}})
			run(bcExchange{name: key + "-rr", kind: "rr", request: with(signed(key), []string{"--revoke", at + key + ".crt", "--reason", "superseded"}),
				accept:  with(signed(key), trust),
				answers: []bcAnswer{{args: caAlg, found: "rr v2 signed " + how + " [" + caName + " " + at + key + " reason 4]", status: "revoked"}}})
		}
		if ca.key != "P-256" {
			continue
		}
		ask := with(bySecret, subject)
		conf := func(how string) bcAnswer {
			return bcAnswer{args: mac, found: "certConf " + how + " [0 hash]", status: "confirmed"}
		}
		issued := func(body, how string, more ...string) bcAnswer {
			return bcAnswer{args: with(mac, more), found: body + " " + how + asked, status: "issued", next: "certConf"}
		}
		for _, e := range []bcExchange{
			{name: "cr", kind: "cr", request: ask, accept: bySecret, answers: []bcAnswer{issued("cr", pbm), conf(pbm)}},
			{name: "v3", kind: "ir", request: with(ask, []string{"--pvno", "3"}), accept: bySecret,
				answers: []bcAnswer{issued("ir", "v3"+pbm[2:]), conf("v3" + pbm[2:])}},
			{name: "p10cr", kind: "p10cr", request: ask, accept: bySecret, answers: []bcAnswer{
				{args: mac, found: "p10cr " + pbm + " [O=Mock,CN=device signature]", status: "issued", next: "certConf"},
				{args: mac, found: "certConf " + pbm + " [-1 hash]", status: "confirmed"},
			}},
			{name: "implicit", kind: "ir", request: with(ask, []string{"--implicit-confirm"}), accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"implicit=yes"}), found: "ir " + pbm + asked, status: "issued"}}},
			{name: "ra-verified", kind: "ir", request: with(ask, []string{"--ra-verified"}), accept: bySecret, answers: []bcAnswer{
				{args: mac, found: "ir " + pbm + " [0 O=Mock,CN=device raVerified]", status: "issued", next: "certConf"}, conf(pbm)}},
			{name: "pbm-sha512", kind: "ir", request: with(ask, []string{"--mac-hash", "sha512", "--mac-hmac", "sha512", "--mac-iterations", "500"}), accept: bySecret,
				answers: []bcAnswer{issued("ir", "v2 pbm sha512 500 hmac-sha512"), conf("v2 pbm sha512 500 hmac-sha512")}},
			{name: "pbm-hmac-sha1", kind: "ir", request: with(ask, []string{"--mac-hmac", "sha1"}), accept: bySecret,
				answers: []bcAnswer{issued("ir", "v2 pbm sha256 10000 hmacWithSHA1"), conf("v2 pbm sha256 10000 hmacWithSHA1")}},
			{name: "pbmac1", kind: "ir", request: with(ask, []string{"--pbmac1"}), accept: bySecret,
				answers: []bcAnswer{issued("ir", "v2 pbmac1 hmac-sha256", "mac=pbmac1"), conf("v2 pbmac1 hmac-sha256")}},
			{name: "central", kind: "ir", request: with(ask, []string{"--central-key", "any"}), accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"make=pwri"}), found: "ir v3" + pbm[2:] + " [0 O=Mock,CN=device no POP]", status: "issued", next: "certConf"}, conf("v3" + pbm[2:])}},
			{name: "central-rsa", kind: "kur", request: with(signed("rsa"), []string{"--central-key", "any"}), accept: with(signed("rsa"), trust), answers: []bcAnswer{
				{args: with(caAlg, []string{"make=ktri", "for=" + at + "rsa"}), found: "kur v3 signed SHA256WITHRSA" + unproven, status: "issued", next: "certConf"},
				{args: caAlg, found: "certConf v3 signed SHA256WITHRSA [0 hash]", status: "confirmed"}}},
			{name: "central-ec", kind: "kur", request: with(signed("ec"), []string{"--central-key", "any"}), accept: with(signed("ec"), trust), answers: []bcAnswer{
				{args: with(caAlg, []string{"make=kari", "for=" + at + "ec"}), found: "kur v3 signed SHA256WITHECDSA" + unproven, status: "issued", next: "certConf"},
				{args: caAlg, found: "certConf v3 signed SHA256WITHECDSA [0 hash]", status: "confirmed"}}},
			{name: "encrypted-rsa", kind: "ir", request: with(ask, []string{"--key-type", "rsa-2048", "--pop", "encr-cert"}), accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"encrypt=ktri"}), found: "ir v3" + pbm[2:] + " [0 O=Mock,CN=device POP of type 2]", status: "issued", next: "certConf"}, conf("v3" + pbm[2:])}},
			{name: "encrypted-ec", kind: "ir", request: with(ask, []string{"--pop", "encr-cert"}), accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"encrypt=kari"}), found: "ir v3" + pbm[2:] + " [0 O=Mock,CN=device POP of type 3]", status: "issued", next: "certConf"}, conf("v3" + pbm[2:])}},
			{name: "waits", kind: "ir", request: ask, accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"status=waiting"}), found: "ir " + pbm + asked, status: "waiting", next: "pollReq"},
				{args: with(mac, []string{"status=waiting"}), found: "pollReq " + pbm + " [0]", status: "waiting : asking the boss", next: "pollReq", after: 3600},
				{args: mac, found: "pollReq " + pbm + " [0]", status: "issued", next: "certConf"}, conf(pbm),
			}},
			{name: "mods", kind: "ir", request: ask, accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"status=grantedWithMods", "subject=O=Mock,CN=device of another name"}), found: "ir " + pbm + asked,
					status: "issued : another name", next: "certConf", change: `subject is "CN=device of another name,O=Mock", not "CN=device,O=Mock"`}, conf(pbm)}},
			{name: "refused", kind: "ir", request: ask, accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"status=rejection"}), found: "ir " + pbm + asked, status: "refused badCertTemplate: not this one"}}},
			{name: "kur-refused", kind: "kur", request: signed("ec"), accept: with(signed("ec"), trust), answers: []bcAnswer{
				{args: with(caAlg, []string{"status=rejection"}), found: "kur v2 signed SHA256WITHECDSA" + askedAgain, status: "refused badCertTemplate: not this one"}}},
			{name: "rr-refused", kind: "rr", request: with(signed("ec"), []string{"--revoke", at + "ec.crt"}), accept: with(signed("ec"), trust), answers: []bcAnswer{
				{args: with(caAlg, []string{"status=rejection"}), found: "rr v2 signed SHA256WITHECDSA [" + caName + " " + at + "ec]", status: "refused badCertTemplate: not this one"}}},
			{name: "rr-mac", kind: "rr", request: with(bySecret, []string{"--revoke", at + "ec.crt", "--reason", "keyCompromise"}), accept: bySecret, answers: []bcAnswer{
				{args: mac, found: "rr " + pbm + " [" + caName + " " + at + "ec reason 1]", status: "revoked"}}},
			{name: "error", kind: "ir", request: ask, accept: bySecret, answers: []bcAnswer{
				{args: with(mac, []string{"status=error"}), found: "ir " + pbm, status: "error systemUnavail: out of order"}}},
			{name: "genm", kind: "genm", request: with(bySecret, []string{"--info", "caCerts,signKeyPairTypes"}), accept: bySecret, answers: []bcAnswer{
				{args: mac, found: "genm " + pbm + " [1.3.6.1.5.5.7.4.17] [1.3.6.1.5.5.7.4.2]", status: "informed"}}},
		} {
			run(e)
		}
		if !bytes.Equal(pemFile(t, filepath.Join(m.dir, at+"genm.cacerts.pem")), pemFile(t, filepath.Join(m.dir, root))) {
			t.Error("caCerts are not the root")
		}

		// What accept must not take: exit 1, and the session stays as it was.
		m.cli(0, with([]string{"request", "ir", "--out", "d.pki"}, ask)...)
		m.cli(0, with([]string{"request", "kur", "--out", "k.pki"}, signed("ec"))...)
		m.cli(0, with([]string{"request", "ir", "--out", "e.pki", "--key-type", "rsa-2048", "--pop", "encr-cert"}, ask)...)
		b.do(t, "key", "name=false", "type=P-256")
		for _, bad := range []struct {
			name, file string
			args       []string
			accept     []string
			says       string
		}{
			{"the algorithms of a caller who chooses none", "d", with(caAlg, []string{"secret=" + deviceSecret, "kid=device"}), bySecret, "pbm with sha1 as one-way function: algorithm is refused by policy"},
			{"an encryption of a caller who chooses none", "e", with(mac, []string{"encrypt=ktri-pkcs1"}), bySecret, "RSA encryption of PKCS #1 v1.5: algorithm is refused by policy"},
			{"another secret", "d", with(mac, []string{"answersecret=another"}), bySecret, "message authentication code does not verify"},
			{"no protection", "d", with(mac, []string{"unprotected=yes"}), bySecret, "message is not protected"},
			{"an error without protection", "d", with(mac, []string{"unprotected=yes", "status=error"}), bySecret, "it is not authenticated: message is not protected"},
			{"a secret's answer signed", "d", with(mac, []string{"answersigned=yes"}), bySecret, "the answer is signed, but no trust anchor is given"},
			{"a false signature", "k", with(caAlg, []string{"signkey=false"}), with(signed("ec"), trust), "signature does not verify"},
			{"no trust in the CA", "k", caAlg, signed("ec"), "the answer is signed, but no trust anchor is given"},
			{"another transactionID", "k", with(caAlg, []string{"answertid=yes"}), with(signed("ec"), trust), "the answer belongs to another transaction"},
			{"another recipNonce", "k", with(caAlg, []string{"answernonce=yes"}), with(signed("ec"), trust), "recipNonce is not our senderNonce"},
		} {
			session := read(t, filepath.Join(m.dir, bad.file+".session.json"))
			b.do(t, "answer", with([]string{"file=" + bad.file + ".pki", "out=bad.pki"}, bad.args)...)
			text := m.cli(1, with([]string{"accept", "bad.pki", "--session", bad.file + ".session.json"}, bad.accept)...)
			if !strings.Contains(text, bad.says) {
				t.Errorf("%s: accept says %s, want %q", bad.name, text, bad.says)
			}
			if !bytes.Equal(read(t, filepath.Join(m.dir, bad.file+".session.json")), session) {
				t.Errorf("%s: the session changed", bad.name)
			}
		}
	}
}
