package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	"cmp-batch/spool"
	"cmp-batch/spool/sqlite"
)

// TestOpenSSLByFilePage does what docs/openssl-by-file.md says, with every
// OpenSSL there is, and looks into the store at the end.
func TestOpenSSLByFilePage(t *testing.T) {
	const page = "docs/openssl-by-file.md"
	blocks := fences(string(read(t, filepath.Join(docsRoot, page))))
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		home, bin := t.TempDir(), t.TempDir()
		writeFile(t, filepath.Join(bin, "openssl"), "#!/bin/sh\nexec '"+o.path+"' \"$@\"\n")
		if err := os.Chmod(filepath.Join(bin, "openssl"), 0o755); err != nil {
			t.Fatal(err)
		}
		env := reader(t, home)
		for _, e := range env {
			if path, ok := strings.CutPrefix(e, "PATH="); ok {
				env = append(env, "PATH="+bin+string(os.PathListSeparator)+path)
			}
		}
		runPageIn(t, home, env, page, blocks)

		s := &site{work: home, dir: filepath.Join(home, "my-ca"), config: filepath.Join(home, "my-ca", configs.FileName)}
		s.open(t)
		if c := s.status(t, "device-1.crt", cmpcore.Revoked); c.Reason != 4 {
			t.Errorf("device-1 is revoked for reason %d", c.Reason)
		}
		valid := []string{"device-1-new.crt", "device-2.crt", "device-3.crt", "device-4.crt", "printer.crt"}
		for _, file := range valid {
			s.status(t, file, cmpcore.Valid)
		}
		n, err := s.store.Counts(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if n.Certificates != int64(len(valid)+1) || n.Valid != int64(len(valid)) || n.RevokedCertificates != 1 ||
			n.Waiting+n.AwaitingConfirm+n.Undelivered+n.Failed+n.Held != 0 {
			t.Errorf("in the store: %+v", n)
		}
	})
}

// open opens the store of a CA without a daemon.
func (s *site) open(t *testing.T) {
	t.Helper()
	cfg, err := configs.Load(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if s.store, err = sqlite.Open(context.Background(), cfg.Store.SQLite, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.store.Close() })
}

// offline is a CA that answers files when it is told to.
type offline struct {
	*site
	o *openssl
}

func newOffline(t *testing.T, o *openssl, config string, secrets map[string]string, init ...string) offline {
	root := t.TempDir()
	s := &site{dir: filepath.Join(root, "ca"), work: filepath.Join(root, "work")}
	s.config = filepath.Join(s.dir, configs.FileName)
	if err := os.Mkdir(s.work, 0o755); err != nil {
		t.Fatal(err)
	}
	s.cli(t, with([]string{"init", s.dir, "--subject", "CN=Interop CA,O=Interop"}, init)...)
	if config != "" {
		writeFile(t, s.config, config)
		for _, ch := range []string{"poll", "rfc", "hold", "strict", "sha1"} {
			for _, d := range []string{"in", "out", "archive", "failed"} {
				if err := os.MkdirAll(filepath.Join(s.dir, "spool", ch, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for ref, secret := range secrets {
		writeFile(t, filepath.Join(s.work, ref+".secret"), secret)
		s.cli(t, "secret", "add", ref, "--secret-file", ref+".secret", "-c", s.config)
	}
	s.open(t)
	return offline{s, o}
}

// message lets openssl make the message after the answers that it has.
func (f offline) message(t *testing.T, name string, answers []string, args ...string) {
	t.Helper()
	var out []string
	for range answers {
		out = append(out, "unused.pki")
	}
	out = append(out, name)
	args = with([]string{"cmp", "-batch"}, args, []string{"-reqout", strings.Join(out, ","), "-rspin", strings.Join(append(answers, "none"), ",")})
	f.o.run(t, f.work, args...).expect(t, 1, "cannot read PKIMessage from file 'none'")
	if info, err := os.Stat(filepath.Join(f.work, name)); err != nil || info.Size() == 0 {
		t.Fatalf("openssl did not write %s: %v", name, err)
	}
}

// finish lets openssl read all answers.
func (f offline) finish(t *testing.T, answers []string, args ...string) said {
	t.Helper()
	return f.o.run(t, f.work, with([]string{"cmp", "-batch"}, args, []string{"-rspin", strings.Join(answers, ",")})...)
}

// trip carries messages to a channel and lets the CA run once. It gives the
// paths of the answers.
func (f offline) trip(t *testing.T, channel string, files ...string) (sum spool.Summary, answers []string) {
	t.Helper()
	at := filepath.Join(f.dir, "spool", channel)
	for _, name := range files {
		if err := os.WriteFile(filepath.Join(at, "in", name), read(t, filepath.Join(f.work, name)), 0o644); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, filepath.Join(at, "out", name))
	}
	return runOnce(t, f.config), answers
}

// TestOpenSSLByFile: what the page does not show.
func TestOpenSSLByFile(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		f := newOffline(t, o, broadConfig, map[string]string{"device-1": deviceSecret, "slow-1": "what slow 1 knows"})
		o.key(t, f.work, "k", "p256")
		o.key(t, f.work, "new", "rsa")
		bySlow := []string{"-ref", "slow-1", "-secret", "pass:what slow 1 knows"}
		ir := func(who []string, name string) []string {
			return with(who, []string{"-cmd", "ir", "-newkey", "k.key", "-subject", "/CN=" + name, "-certout", name + ".crt"})
		}

		t.Run("a trip comes twice", func(t *testing.T) {
			args := ir(byMAC, "twice")
			f.message(t, "twice.pki", nil, args...)
			sum, answers := f.trip(t, "poll", "twice.pki")
			if sum.Issued != 1 || sum.Received != 1 {
				t.Errorf("%+v", sum)
			}
			first := read(t, answers[0])
			// The medium was not emptied, and a copy has another name.
			if err := os.WriteFile(filepath.Join(f.work, "copy.pki"), read(t, filepath.Join(f.work, "twice.pki")), 0o644); err != nil {
				t.Fatal(err)
			}
			sum, again := f.trip(t, "poll", "twice.pki", "copy.pki")
			if sum.Issued != 0 || sum.Duplicates != 2 || sum.Received != 2 {
				t.Errorf("%+v", sum)
			}
			for _, a := range again {
				if !bytes.Equal(read(t, a), first) {
					t.Errorf("%s is another answer", a)
				}
			}
			f.message(t, "twice-conf.pki", answers, args...)
			_, conf := f.trip(t, "poll", "twice-conf.pki")
			f.finish(t, []string{again[1], conf[0]}, args...).expect(t, 0, "received PKICONF")
			f.status(t, "twice.crt", cmpcore.Valid)
		})
		t.Run("certConf and its pkiConf are lost", func(t *testing.T) {
			args := ir(byMAC, "lost")
			f.message(t, "lost.pki", nil, args...)
			_, answers := f.trip(t, "poll", "lost.pki")
			f.message(t, "lost-conf.pki", answers, args...)
			sum, _ := f.trip(t, "poll", "lost-conf.pki")
			if sum.Answered != 1 || sum.Refused != 0 {
				t.Errorf("%+v", sum)
			}
			// openssl makes another certConf, which says the same with other
			// octets: the answer tells that it is done.
			f.message(t, "lost-conf-2.pki", answers, args...)
			sum, second := f.trip(t, "poll", "lost-conf-2.pki")
			if sum.Refused != 1 {
				t.Errorf("%+v", sum)
			}
			f.finish(t, []string{answers[0], second[0]}, args...).expect(t, 1, "certConfirmed", "the certificates of this transaction are confirmed already")
			// The same file gets the same pkiConf.
			_, conf := f.trip(t, "poll", "lost-conf.pki")
			f.finish(t, []string{answers[0], conf[0]}, args...).expect(t, 0)
			f.status(t, "lost.crt", cmpcore.Valid)
		})
		t.Run("polls over several trips", func(t *testing.T) {
			args := ir(bySlow, "patient")
			f.message(t, "patient.pki", nil, args...)
			sum, answers := f.trip(t, "rfc", "patient.pki")
			if sum.Waiting != 1 || sum.Answered != 0 {
				t.Errorf("%+v", sum)
			}
			for _, poll := range []string{"patient-1.pki", "patient-2.pki"} {
				f.message(t, poll, answers, args...)
				if sum, _ = f.trip(t, "rfc", poll); sum.Waiting != 1 || sum.Received != 1 {
					t.Errorf("%+v", sum)
				}
			}
			f.approve(t, "CN=patient")
			f.message(t, "patient-3.pki", answers, args...)
			sum, last := f.trip(t, "rfc", "patient-3.pki")
			if sum.Issued != 1 {
				t.Errorf("%+v", sum)
			}
			answers = append(answers, last...)
			f.message(t, "patient-conf.pki", answers, args...)
			_, conf := f.trip(t, "rfc", "patient-conf.pki")
			f.finish(t, append(answers, conf...), args...).expect(t, 0, "received 'waiting' PKIStatus", "received PKICONF")
			f.status(t, "patient.crt", cmpcore.Valid)
		})
		t.Run("held, without a poll", func(t *testing.T) {
			args := with(ir(bySlow, "held"), []string{"-implicit_confirm"})
			f.message(t, "held.pki", nil, args...)
			sum, answers := f.trip(t, "hold", "held.pki")
			if sum.Held != 1 {
				t.Errorf("%+v", sum)
			}
			if _, err := os.Stat(answers[0]); err == nil {
				t.Error("there is an answer before the decision")
			}
			f.approve(t, "CN=held")
			if sum := runOnce(t, f.config); sum.Released != 1 || sum.Issued != 1 || sum.Answered != 1 {
				t.Errorf("%+v", sum)
			}
			f.finish(t, answers, args...).expect(t, 0)
			f.status(t, "held.crt", cmpcore.Valid)
		})
		t.Run("kur and rr by file", func(t *testing.T) {
			signed := []string{"-cert", "twice.crt", "-key", "k.key", "-trusted", f.ca()}
			kur := with(signed, []string{"-cmd", "kur", "-newkey", "new.key", "-certout", "twice-new.crt"})
			f.message(t, "kur.pki", nil, kur...)
			_, answers := f.trip(t, "poll", "kur.pki")
			f.message(t, "kur-conf.pki", answers, kur...)
			_, conf := f.trip(t, "poll", "kur-conf.pki")
			f.finish(t, append(answers, conf...), kur...).expect(t, 0)
			f.status(t, "twice-new.crt", cmpcore.Valid)

			rr := with(signed, []string{"-cmd", "rr", "-oldcert", "twice.crt", "-revreason", "1"})
			f.message(t, "rr.pki", nil, rr...)
			sum, answers := f.trip(t, "poll", "rr.pki")
			if sum.Revoked != 1 {
				t.Errorf("%+v", sum)
			}
			f.finish(t, answers, rr...).expect(t, 0, "revocation accepted")
			f.status(t, "twice.crt", cmpcore.Revoked)
			// Carried there once more, the request revokes nothing and is not
			// refused, though its signer is revoked by now.
			sum, answers = f.trip(t, "poll", "rr.pki")
			if sum.Revoked != 0 || sum.Duplicates != 1 || sum.Refused != 0 {
				t.Errorf("%+v", sum)
			}
			f.finish(t, answers, rr...).expect(t, 0, "revocation accepted")
		})
		t.Run("many on one medium", func(t *testing.T) {
			medium := filepath.Join(f.work, "medium")
			if err := os.MkdirAll(filepath.Join(medium, "in"), 0o755); err != nil {
				t.Fatal(err)
			}
			list := []string{"m1", "m2", "m3", "m4"}
			for _, name := range list {
				f.message(t, filepath.Join("medium", "in", name+".pki"), nil, with(ir(byMAC, name), []string{"-implicit_confirm"})...)
			}
			writeFile(t, filepath.Join(medium, "in", "README.txt"), "not for the CA")
			out := f.cli(t, "process", "-c", f.config, "--in", filepath.Join(medium, "in"), "--out", filepath.Join(medium, "out"))
			if !strings.Contains(out, "4 received = 4 answered + 0 waiting + 0 failed") {
				t.Errorf("process prints\n%s", out)
			}
			for _, name := range list {
				f.finish(t, []string{filepath.Join(medium, "out", name+".pki")}, with(ir(byMAC, name), []string{"-implicit_confirm"})...).expect(t, 0)
				f.status(t, name+".crt", cmpcore.Valid)
			}
			if n := names(t, filepath.Join(medium, "in")); strings.Join(n, " ") != "README.txt archive failed" {
				t.Errorf("on the medium: %q", n)
			}
		})
		t.Run("an answer that was changed on the way", func(t *testing.T) {
			args := with(ir(byMAC, "changed"), []string{"-implicit_confirm"})
			f.message(t, "changed.pki", nil, args...)
			_, answers := f.trip(t, "poll", "changed.pki")
			der := read(t, answers[0])
			der[bytes.Index(der, []byte("changed"))] ^= 1
			if err := os.WriteFile(answers[0], der, 0o644); err != nil {
				t.Fatal(err)
			}
			f.finish(t, answers, args...).expect(t, 1, "error validating protection")
		})
		n, err := f.store.Counts(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if n.Waiting+n.AwaitingConfirm+n.Undelivered+n.Failed+n.Held != 0 {
			t.Errorf("left in the store: %+v", n)
		}
		if _, _, err := f.store.VerifyAudit(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
