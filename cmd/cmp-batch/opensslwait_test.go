package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
)

// await waits until something is so.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick, giveUp := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-giveUp:
			t.Fatalf("this does not become true: %s", what)
		}
	}
}

// background is an openssl cmp that runs while the test goes on.
type background struct {
	cmd  *exec.Cmd
	out  lockedBuffer
	done chan struct{}
}

func (s *site) cmpStart(t testing.TB, o *openssl, path, kind string, args ...string) *background {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	b := &background{cmd: o.start(ctx, s.work, s.cmpArgs(path, kind, args...)...), done: make(chan struct{})}
	b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.out
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.cmd.Wait(); close(b.done) }()
	t.Cleanup(func() { cancel(); <-b.done })
	return b
}

func (b *background) wait() said {
	<-b.done
	return said{b.cmd.ProcessState.ExitCode(), b.out.String()}
}

// waitingID finds a waiting request as an operator does, by a word of its
// summary in queue ls.
func (s *site) waitingID(t testing.TB, word string) (id string) {
	t.Helper()
	for line := range strings.Lines(s.cli(t, "queue", "ls", "-c", s.config, "--json")) {
		var w struct {
			Kind, Summary string
			ID            any // failed and undelivered messages have numbers
		}
		if err := json.Unmarshal([]byte(line), &w); err != nil {
			t.Fatal(err)
		}
		if w.Kind == "waiting" && strings.Contains(w.Summary, word) {
			if id != "" {
				t.Fatalf("two requests with %q wait", word)
			}
			id = w.ID.(string)
		}
	}
	return id
}

func (s *site) approve(t testing.TB, word string) {
	t.Helper()
	s.cli(t, "queue", "approve", s.waitingID(t, word), "-c", s.config)
}

// TestOpenSSLWaits: a person decides while the client polls.
func TestOpenSSLWaits(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := newSite(t, broadConfig, map[string]string{"device-1": deviceSecret, "slow-1": "what slow 1 knows"})
		bySlow := []string{"-ref", "slow-1", "-secret", "pass:what slow 1 knows"}
		trust := []string{"-trusted", s.ca()}
		o.key(t, s.work, "k", "p256")
		o.key(t, s.work, "new", "p256")
		o.do(t, s.work, "req", "-new", "-key", "k.key", "-subj", "/CN=wait p10cr", "-out", "k.csr")
		for _, n := range []string{"updated", "revoked", "refused"} {
			s.enrol(t, o, "poll", enrolment{name: n, kind: "ir", key: "k.key", posts: 1,
				args: with(byMAC, []string{"-subject", "/O=Interop/CN=slow " + n, "-implicit_confirm"})})
		}
		signed := func(n string) []string { return with(trust, []string{"-cert", n + ".crt", "-key", "k.key"}) }

		for _, tt := range []struct {
			name, kind, word string
			args             []string
			key              string
			implicit         bool
		}{
			{name: "ir", kind: "ir", word: "CN=wait ir", key: "k.key", args: with(bySlow, []string{"-subject", "/CN=wait ir", "-newkey", "k.key"})},
			{name: "ir-implicit", kind: "ir", word: "CN=wait implicit", key: "k.key", implicit: true,
				args: with(bySlow, []string{"-subject", "/CN=wait implicit", "-newkey", "k.key", "-implicit_confirm"})},
			{name: "cr", kind: "cr", word: "CN=wait cr", key: "k.key", args: with(bySlow, []string{"-subject", "/CN=wait cr", "-newkey", "k.key"})},
			{name: "p10cr", kind: "p10cr", word: "CN=wait p10cr", key: "k.key", args: with(bySlow, []string{"-csr", "k.csr"})},
			{name: "kur", kind: "kur", word: "CN=slow updated", key: "new.key", args: with(signed("updated"), []string{"-newkey", "new.key"})},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				path, out := "poll/wait-"+tt.name, "wait-"+tt.name+".crt"
				b := s.cmpStart(t, o, path, tt.kind, with(tt.args, []string{"-certout", out})...)
				await(t, "the client has polled", func() bool { return s.posts(path) >= 2 })
				s.approve(t, tt.word)
				b.wait().expect(t, 0, "received 'waiting' PKIStatus")
				s.status(t, out, cmpcore.Valid)
				o.do(t, s.work, "verify", "-x509_strict", "-CAfile", s.ca(), out)
				want := o.do(t, s.work, "pkey", "-in", tt.key, "-pubout")
				if got := o.do(t, s.work, "x509", "-in", out, "-noout", "-pubkey"); got != want {
					t.Error("the certificate is for another key")
				}
				least := 4 // request, pollReq twice, certConf
				if tt.implicit {
					least = 3
				}
				if n := s.posts(path); n < least {
					t.Errorf("%d messages, want %d", n, least)
				}
			})
		}

		t.Run("nonce of the first request", func(t *testing.T) {
			t.Parallel()
			// RFC 9483 section 4.4 wants it in the final answer; OpenSSL 3.0 does
			// not take it, which is what poll_nonce: last is for.
			b := s.cmpStart(t, o, "rfc/first", "ir", with(bySlow, []string{"-subject", "/CN=wait rfc", "-newkey", "k.key", "-certout", "first.crt"})...)
			await(t, "the client has polled", func() bool { return s.posts("rfc/first") >= 2 })
			s.approve(t, "CN=wait rfc")
			if o.old() {
				b.wait().expect(t, 1, "recipnonce unmatched")
				return
			}
			b.wait().expect(t, 0)
			s.status(t, "first.crt", cmpcore.Valid)
		})
		t.Run("rejected", func(t *testing.T) {
			t.Parallel()
			b := s.cmpStart(t, o, "poll/rejected", "ir", with(bySlow, []string{"-subject", "/CN=wait rejected", "-newkey", "k.key", "-certout", "x.crt"})...)
			await(t, "the client has polled", func() bool { return s.posts("poll/rejected") >= 2 })
			s.cli(t, "queue", "reject", s.waitingID(t, "CN=wait rejected"), "--reason", "nobody knows this device", "-c", s.config)
			b.wait().expect(t, 1, `PKIStatus: rejection; PKIFailureInfo: notAuthorized; StatusString: "nobody knows this device"`)
			if n := s.issuedTo(t, "CN=wait rejected"); n != 0 {
				t.Errorf("%d certificates", n)
			}
		})
		t.Run("the client gives up", func(t *testing.T) {
			t.Parallel()
			s.cmp(t, o, "poll/tired", "ir", with(bySlow, []string{"-subject", "/CN=wait tired", "-newkey", "k.key", "-certout", "x.crt", "-total_timeout", "2"})...).
				expect(t, 1, "total timeout")
			if s.waitingID(t, "CN=wait tired") == "" {
				t.Error("the request does not wait any more")
			}
		})
		t.Run("refused before anybody is asked", func(t *testing.T) {
			t.Parallel()
			s.refuse(t, o, "poll", refusal{name: "wait without POP", kind: "ir", fail: "badPOP", text: "proof of possession is missing",
				args: with(bySlow, []string{"-subject", "/CN=wait without POP", "-newkey", "k.key", "-popo", "-1"})})
		})

		t.Run("held", func(t *testing.T) {
			t.Parallel()
			b := s.cmpStart(t, o, "hold/held", "ir", with(bySlow, []string{"-subject", "/CN=wait held", "-newkey", "k.key", "-certout", "held.crt"})...)
			await(t, "the request waits", func() bool { return s.waitingID(t, "CN=wait held") != "" })
			s.approve(t, "CN=wait held")
			r := b.wait()
			r.expect(t, 0, "received IP", "received PKICONF")
			if strings.Contains(r.text, "waiting") {
				t.Error("the client was told to wait")
			}
			if n := s.posts("hold/held"); n != 2 {
				t.Errorf("%d messages, want ir and certConf", n)
			}
			s.status(t, "held.crt", cmpcore.Valid)
		})
		t.Run("revocation held", func(t *testing.T) {
			t.Parallel()
			b := s.cmpStart(t, o, "hold/rr", "rr", with(signed("revoked"), []string{"-oldcert", "revoked.crt", "-revreason", "4"})...)
			serial := s.record(t, "revoked.crt").Serial
			word := fmt.Sprintf("%x", serial)
			await(t, "the request waits", func() bool { return s.waitingID(t, word) != "" })
			s.status(t, "revoked.crt", cmpcore.Valid)
			s.approve(t, word)
			b.wait().expect(t, 0, "revocation accepted")
			s.status(t, "revoked.crt", cmpcore.Revoked)
		})
		if o.old() {
			t.Run("revocation waiting", func(t *testing.T) {
				t.Parallel()
				// OpenSSL 3.0 takes an error message with status waiting for the end
				// (RFC 9810 section 5.3.22 has it else): such clients need a channel
				// with waiting: hold.
				s.cmp(t, o, "poll/rr", "rr", with(signed("refused"), []string{"-oldcert", "refused.crt"})...).expect(t, 1, "waiting")
				s.status(t, "refused.crt", cmpcore.Valid)
			})
		}
	})
}

// TestOpenSSLUnderRules: registration authorities, narrow rules, limits of
// secrets, and a channel that keeps to RFC 9483.
func TestOpenSSLUnderRules(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := newSite(t, broadConfig, map[string]string{"device-1": deviceSecret, "ra-1": "what the RA knows", "named-1": "what named 1 knows"}, func(s *site) {
			// Two authorities of a factory: one pinned by its own self-signed
			// certificate, one under a CA that issued others too.
			for _, k := range []string{"pinned", "factory", "line"} {
				o.key(t, s.work, k, "p256")
			}
			o.do(t, s.work, "req", "-x509", "-key", "pinned.key", "-subj", "/CN=Pinned RA", "-out", "pinned.crt")
			o.do(t, s.work, "req", "-x509", "-key", "factory.key", "-subj", "/CN=Factory CA", "-out", "factory.crt")
			for _, name := range []string{"Line 7", "Canteen"} {
				o.do(t, s.work, "req", "-x509", "-key", "line.key", "-subj", "/O=Factory/CN="+name, "-CA", "factory.crt", "-CAkey", "factory.key", "-out", slug.Replace(name)+".crt")
			}
			for file, rule := range map[string]string{"pinned.crt": "who: {certificate: {issued_by: ca/pinned.crt}}", "factory.crt": `who: {certificate: {issued_by: ca/factory.crt, subject: "CN=Line *,O=Factory"}}`} {
				writeFile(t, filepath.Join(s.dir, "ca", file), string(read(t, filepath.Join(s.work, file))))
				config := strings.Replace(string(read(t, s.config)), "rules:\n", "rules:\n  - name: by-"+strings.TrimSuffix(file, ".crt")+"\n    "+rule+
					"\n    may: [ir, p10cr, rr]\n    profile: default\n    ra_verified: true\n    revoke: {any: true}\n", 1)
				writeFile(t, s.config, config)
			}
		})
		byRA := []string{"-ref", "ra-1", "-secret", "pass:what the RA knows"}
		byNamed := []string{"-ref", "named-1", "-secret", "pass:what named 1 knows"}
		for _, k := range []string{"p256", "p384"} {
			o.key(t, s.work, k, k)
		}
		o.key(t, s.work, "old", "p256")
		o.do(t, s.work, "pkey", "-in", "p256.key", "-pubout", "-out", "p256.pub")
		for ref, flags := range map[string][]string{"once-1": {"--max-uses", "1"}, "csr-1": {"--bodies", "p10cr"}, "rule-1": {"--rule", "devices"}} {
			writeFile(t, filepath.Join(s.work, ref+".secret"), "what "+ref+" knows")
			s.cli(t, with([]string{"secret", "add", ref, "--secret-file", filepath.Join(s.work, ref+".secret"), "-c", s.config}, flags)...)
		}
		by := func(ref string) []string { return []string{"-ref", ref, "-secret", "pass:what " + ref + " knows"} }
		run := func(name string, f func(t *testing.T)) {
			t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
		}

		run("raVerified", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "ra", kind: "ir", key: "p256.key", args: with(byRA, []string{"-subject", "/CN=ra", "-popo", "0"})})
		})
		run("raVerified for a public key", func(t *testing.T) {
			args := with(byRA, []string{"-subject", "/CN=public", "-popo", "0", "-newkey", "p256.pub", "-certout", "public.crt"})
			s.cmp(t, o, "poll/public", "cr", args...).expect(t, 0)
			s.status(t, "public.crt", cmpcore.Valid)
			if got, want := o.do(t, s.work, "x509", "-in", "public.crt", "-noout", "-pubkey"), string(read(t, filepath.Join(s.work, "p256.pub"))); got != want {
				t.Errorf("the certificate is for %s", got)
			}
		})
		run("RA updates for a device", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "outdated", kind: "ir", key: "old.key", args: with(byMAC, []string{"-subject", "/CN=outdated"})})
			s.enrol(t, o, "poll", enrolment{name: "updated", kind: "kur", key: "p256.key", args: with(byRA, []string{"-oldcert", "outdated.crt"}), check: subjectIs("/CN=outdated")})
		})
		foreign := func(cert, key string, more ...string) []string {
			return with([]string{"-cert", cert + ".crt", "-key", key + ".key", "-trusted", s.ca()}, more)
		}
		run("RA with a certificate of another CA", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "on-line-7", kind: "ir", key: "p256.key", args: foreign("Line-7", "line", "-subject", "/CN=on line 7", "-popo", "0")})
			s.cmp(t, o, "poll/scrapped", "rr", foreign("Line-7", "line", "-oldcert", "on-line-7.crt", "-revreason", "5")...).expect(t, 0, "revocation accepted")
			s.status(t, "on-line-7.crt", cmpcore.Revoked)
		})
		run("RA with a self-signed certificate", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "pinned-one", kind: "ir", key: "p256.key", args: foreign("pinned", "pinned", "-subject", "/CN=pinned one", "-popo", "0")})
		})
		run("somebody else under the RA's CA", func(t *testing.T) {
			s.refuse(t, o, "poll", refusal{name: "canteen", kind: "ir", fail: "notAuthorized", text: "this requester may not send a ir message",
				args: foreign("Canteen", "line", "-subject", "/CN=canteen", "-newkey", "p256.key")})
		})
		run("name allowed", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "named", kind: "ir", key: "p384.key", args: with(byNamed, []string{"-subject", "/O=Interop/CN=named one"})})
		})
		run("name not allowed", func(t *testing.T) {
			s.refuse(t, o, "poll", refusal{name: "unnamed", kind: "ir", args: with(byNamed, []string{"-newkey", "p384.key", "-subject", "/O=Interop/CN=unnamed"}),
				fail: "notAuthorized", text: "this requester may not have a certificate of this name"})
		})
		run("type of key not allowed", func(t *testing.T) {
			s.refuse(t, o, "poll", refusal{name: "named two", kind: "ir", args: with(byNamed, []string{"-newkey", "p256.key", "-subject", "/O=Interop/CN=named two"}),
				fail: "badCertTemplate", text: "this type of key is not accepted from this requester"})
		})
		run("extension not accepted", func(t *testing.T) {
			s.refuse(t, o, "poll", refusal{name: "policies", kind: "ir", fail: "unacceptedExtension", text: "a requested extension is not accepted",
				args: with(byMAC, []string{"-newkey", "p256.key", "-subject", "/CN=policies", "-policy_oids", "1.2.3.4"})})
		})
		run("secret for one certificate", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "once", kind: "ir", key: "p256.key", args: with(by("once-1"), []string{"-subject", "/CN=once"})})
			s.refuse(t, o, "poll", refusal{name: "twice", kind: "ir", fail: "notAuthorized", text: "the shared secret is used up",
				args: with(by("once-1"), []string{"-newkey", "p256.key", "-subject", "/CN=twice"})})
		})
		run("secret for p10cr", func(t *testing.T) {
			s.refuse(t, o, "poll", refusal{name: "no csr", kind: "ir", fail: "notAuthorized", text: "the shared secret may not be used for this",
				args: with(by("csr-1"), []string{"-newkey", "p256.key", "-subject", "/CN=no csr"})})
			o.do(t, s.work, "req", "-new", "-key", "p256.key", "-subj", "/CN=csr", "-out", "limited.csr")
			s.enrol(t, o, "poll", enrolment{name: "limited", kind: "p10cr", csr: true, key: "p256.key", args: with(by("csr-1"), []string{"-csr", "limited.csr"})})
		})
		run("secret for a rule", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "ruled", kind: "ir", key: "p256.key", args: with(by("rule-1"), []string{"-subject", "/CN=ruled"})})
		})

		t.Run("RFC 9483", func(t *testing.T) {
			t.Parallel()
			recipient := []string{"-recipient", "/O=Interop/CN=Interop CA"}
			s.enrol(t, o, "poll", enrolment{name: "signer", kind: "ir", key: "p384.key", args: with(byMAC, []string{"-subject", "/CN=signer"})})
			signed := func(digest string) []string {
				return []string{"-cert", "signer.crt", "-key", "p384.key", "-trusted", s.ca(), "-digest", digest}
			}
			o.do(t, s.work, "req", "-new", "-key", "p256.key", "-sha384", "-subj", "/CN=strict csr", "-out", "strict.csr")
			// Not granted, so it confirms; the root does not come along.
			s.enrol(t, o, "strict", enrolment{name: "strict", kind: "cr", key: "p256.key", posts: 2,
				args: with(signed("sha384"), recipient, []string{"-subject", "/CN=strict", "-implicit_confirm", "-extracertsout", "strict-extra.pem"}),
				check: func(t *testing.T, c *x509.Certificate) {
					if extra, root := read(t, filepath.Join(s.work, "strict-extra.pem")), read(t, s.ca()); len(bytes.TrimSpace(extra)) != 0 && bytes.Contains(extra, bytes.TrimSpace(root)) {
						t.Error("the root is in extraCerts")
					}
				}})
			s.enrol(t, o, "strict", enrolment{name: "strict-p10cr", kind: "p10cr", csr: true, key: "p256.key", args: with(signed("sha384"), recipient, []string{"-csr", "strict.csr"})})
			s.enrol(t, o, "strict", enrolment{name: "strict-kur", kind: "kur", key: "p256.key", args: signed("sha384")})
			for _, r := range []refusal{
				{name: "other algorithm", kind: "cr", fail: "badAlg", text: "the signature algorithm is not accepted",
					args: with(signed("sha256"), recipient, []string{"-subject", "/CN=other algorithm", "-newkey", "p256.key"})},
				{name: "other recipient", kind: "cr", fail: "wrongAuthority", text: "recipient is not this CA",
					args: with(signed("sha384"), []string{"-recipient", "/CN=Other CA", "-subject", "/CN=other recipient", "-newkey", "p256.key"})},
				{name: "stock MAC", kind: "ir", fail: "badAlg", text: "the MAC algorithm or its parameters are not accepted",
					args: []string{"-ref", "device-1", "-secret", "pass:" + deviceSecret, "-trusted", s.ca(), "-recipient", "/O=Interop/CN=Interop CA", "-subject", "/CN=device-1", "-newkey", "p256.key"}},
				{name: "sender is not the reference", kind: "ir", fail: "badMessageCheck", text: "sender must have the common name of the shared secret's reference",
					args: []string{"-ref", "device-1", "-secret", "pass:" + deviceSecret, "-trusted", s.ca(), "-recipient", "/O=Interop/CN=Interop CA", "-subject", "/CN=x", "-newkey", "p256.key"}},
				{name: "no question", kind: "genm", args: signed("sha384"), fail: "badRequest", text: "the message must ask exactly one thing"},
			} {
				t.Run(r.name, func(t *testing.T) { s.refuse(t, o, "strict", r) })
			}
		})
	})
}
