package configs

import (
	"errors"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/lint"
)

// standardPolicy is the policy of channels that name none.
const standardPolicy = "standard"

// missing reports a required key that is not there or empty.
func (r *reader) missing(path, hint string) {
	r.fault(path, "it is missing; write %s", hint)
}

// settings turns what is written into what is used and reports what is wrong
// with it. The result is of use only where there are no faults.
func (r *reader) settings(w *written, dir string) *Config {
	c := &Config{File: r.file, Dir: dir}
	switch {
	case !r.has("version"):
		r.missing("version", "version: 1")
	case w.Version != 1:
		r.fault("version", "this program reads version 1, not %d", w.Version)
	}
	c.CA = r.ca(w.CA, dir)
	c.Vault = r.passphrase("vault", w.Vault, dir)
	if c.Vault.IsZero() {
		c.Vault = c.CA.Passphrase
	}
	c.Store.SQLite = r.path(dir, "store.sqlite", w.Store.SQLite, "sqlite: state.db")
	c.Profiles = r.profiles(w.Profiles)
	c.Rules = r.rules(w, dir)
	c.Approvers = r.approvers(w.Approvers)
	c.Trust = r.trust(w.Trust, c.Rules, dir)
	if c.Vault.IsZero() && slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Passphrases }) {
		r.fault("vault", "rules take revocation passphrases, and nothing protects these: the CA's key has no passphrase; write vault: {passphrase_file: secrets/vault.pass}")
	} else if c.Vault.IsZero() && slices.ContainsFunc(c.Rules, func(r Rule) bool { return len(r.Secret) > 0 || r.RegToken }) {
		r.fault("vault", "rules are about shared secrets, and nothing protects these: the CA's key has no passphrase; write vault: {passphrase_file: secrets/vault.pass}")
	}
	c.Policies = r.policies(w.Policies)
	c.Channels = r.channels(w.Channels, c.Policies, dir)
	c.Announcements = r.announcements(w.Announcements, c.Channels)
	r.policyName("process.policy", w.Process.Policy, c.Policies)
	c.Process.Policy = w.Process.Policy
	c.CRL = r.crl(w.CRL, c.Channels, dir)
	c.Limits = der.Limits{
		Bytes:    int(r.size("limits.message_size", w.Limits.MessageSize, 1<<10, 1<<30)),
		Elements: r.number("limits.elements", w.Limits.Elements, 100, 100_000_000),
		Depth:    r.number("limits.depth", w.Limits.Depth, 16, 1000),
	}
	c.Batch = Batch{
		Size:      r.number("batch.size", w.Batch.Size, 1, 65536),
		Workers:   r.number("batch.workers", w.Batch.Workers, 0, 4096),
		ScanEvery: r.length("batch.scan_every", w.Batch.ScanEvery, time.Second, false),
	}
	c.Log = r.log(w.Log)
	c.Metrics = r.metrics(w.Metrics, dir)
	c.names = r.names
	return c
}

func (r *reader) ca(w writtenCA, dir string) CA {
	ca := CA{KeyPair: r.keyPair("ca", "ca/ca", writtenProtection{
		Certificate: w.Certificate, Chain: w.Chain, Key: w.Key, Signature: w.Signature,
		PassphraseFile: w.PassphraseFile, PassphraseEnv: w.PassphraseEnv, PassphrasePrompt: w.PassphrasePrompt,
	}, dir)}
	if w.Protection != nil {
		p := r.keyPair("ca.protection", "ca/cmp", *w.Protection, dir)
		ca.Protection = &p
	}
	if w.KeyGeneration != nil {
		p := r.keyPair("ca.key_generation", "ca/kga", writtenProtection(*w.KeyGeneration), dir)
		ca.KeyGeneration = &p
	}
	if e := w.Encryption; e != nil {
		ca.Encryption = &Encryption{Cipher: e.Cipher, Values: e.EncryptedValue, KeyPair: r.keyPair("ca.encryption", "ca/encryption", writtenProtection{
			Certificate: e.Certificate, Chain: e.Chain, Key: e.Key,
			PassphraseFile: e.PassphraseFile, PassphraseEnv: e.PassphraseEnv, PassphrasePrompt: e.PassphrasePrompt,
		}, dir)}
		r.word("ca.encryption.cipher", e.Cipher, cms.CipherNames()...)
		r.word("ca.encryption.encrypted_value", e.EncryptedValue, cms.ValuePolicyNames...)
		for i, f := range e.Former {
			ca.Encryption.Former = append(ca.Encryption.Former, r.keyPair(index("ca.encryption.former", i), "ca/encryption-1", writtenProtection{
				Certificate: f.Certificate, Key: f.Key, PassphraseFile: f.PassphraseFile, PassphraseEnv: f.PassphraseEnv, PassphrasePrompt: f.PassphrasePrompt,
			}, dir))
		}
		ca.Encryption.Lost = e.Lost
	}
	for i, u := range w.RootUpdates {
		at := index("ca.root_updates", i)
		ca.RootUpdates = append(ca.RootUpdates, RootUpdate{
			Old:        r.path(dir, child(at, "old"), u.Old, "old: ca/ca.crt"),
			New:        r.path(dir, child(at, "new"), u.New, "new: ca/ca-2.crt"),
			NewWithOld: r.path(dir, child(at, "new_with_old"), u.NewWithOld, ""),
			OldWithNew: r.path(dir, child(at, "old_with_new"), u.OldWithNew, ""),
		})
	}
	ca.KeyAgreement = r.staticKey("ca.key_agreement", "ca/agreement", w.KeyAgreement, dir)
	ca.KEM = r.staticKey("ca.kem", "ca/kem", w.KEM, dir)
	return ca
}

func (r *reader) keyPair(path, example string, w writtenProtection, dir string) KeyPair {
	p := KeyPair{
		Certificate: r.path(dir, child(path, "certificate"), w.Certificate, "certificate: "+example+".crt"),
		Chain:       r.path(dir, child(path, "chain"), w.Chain, ""),
		Key:         r.path(dir, child(path, "key"), w.Key, "key: "+example+".key"),
		Passphrase:  r.passphrase(path, writtenPassphrase{w.PassphraseFile, w.PassphraseEnv, w.PassphrasePrompt}, dir),
		Signature:   w.Signature,
	}
	if at := child(path, "signature"); w.Signature != "" {
		if r.word(at, w.Signature, alg.SignatureNames()...) >= 0 && weakSignature(w.Signature) {
			r.fault(at, "%s is too weak to sign with; remove the key to take the one that fits the private key", w.Signature)
		}
	}
	return p
}

func (r *reader) staticKey(path, example string, w *writtenStaticKey, dir string) *KeyPair {
	if w == nil {
		return nil
	}
	p := r.keyPair(path, example, writtenProtection{
		Certificate: w.Certificate, Chain: w.Chain, Key: w.Key,
		PassphraseFile: w.PassphraseFile, PassphraseEnv: w.PassphraseEnv, PassphrasePrompt: w.PassphrasePrompt,
	}, dir)
	return &p
}

// weakSignature tells whether the name is of an algorithm that is not made.
func weakSignature(name string) bool { return strings.HasSuffix(name, "-sha1") }

func (r *reader) passphrase(path string, w writtenPassphrase, dir string) Passphrase {
	p := Passphrase{
		File: r.path(dir, child(path, "passphrase_file"), w.PassphraseFile, ""),
		Env:  w.PassphraseEnv, Prompt: w.PassphrasePrompt,
	}
	n := 0
	for _, set := range []bool{p.File != "", p.Env != "", p.Prompt} {
		if set {
			n++
		}
	}
	if n > 1 {
		r.fault(path, "there is more than one passphrase; write one of passphrase_file, passphrase_env and passphrase_prompt")
	}
	if at := child(path, "passphrase_env"); strings.ContainsAny(p.Env, "=$ \n") {
		r.fault(at, "%q is not the name of an environment variable, such as CMP_BATCH_PASSPHRASE", clip(p.Env))
	} else if p.Env == "" && r.has(at) {
		r.fault(at, "the name is empty; remove the key if there is none")
	} else if p.Env != "" {
		r.named("environment variable "+p.Env+" ", at)
	}
	return p
}

// profiles compiles each profile for its faults; the Engine compiles it again.
func (r *reader) profiles(w map[string]issuance.ProfileConfig) map[string]issuance.ProfileConfig {
	out := make(map[string]issuance.ProfileConfig, len(w))
	for _, name := range slices.Sorted(maps.Keys(w)) {
		p, at := w[name], child("profiles", name)
		if r.has(child(at, "name")) {
			r.fault(child(at, "name"), "the profile has its name already, %s; remove this key", name)
		}
		p.Name = name
		out[name] = p
		_, err := issuance.Compile(p)
		r.compiled(at, at+".", err)
		if p.Lint != nil {
			_, err = lint.Compile(*p.Lint)
			r.compiled(at, "", err)
		}
	}
	return out
}

// compiled reports the faults that err joins. Each is written as prefix, the
// key below at, a colon, and what is wrong.
func (r *reader) compiled(at, prefix string, err error) {
	if err == nil {
		return
	}
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		faults = joined.Unwrap()
	}
	for _, f := range faults {
		path, text := at, f.Error()
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			if key, what, ok := strings.Cut(rest, ": "); ok && !strings.ContainsAny(key, ` "`) {
				path, text = child(at, key), suggested(what)
			}
		}
		if !r.brokenBelow(path) {
			r.fault(path, "%s", text)
		}
	}
}

// brokenBelow tells whether a fault about path may only follow from a part of
// it that could not be read.
func (r *reader) brokenBelow(path string) bool {
	for p := range r.broken {
		if strings.HasPrefix(p, path+".") || strings.HasPrefix(p, path+"[") {
			return true
		}
	}
	return false
}

func (r *reader) crl(w writtenCRL, channels []Channel, dir string) CRL {
	c := CRL{
		File:     r.path(dir, "crl.file", w.File, ""),
		Every:    r.length("crl.every", w.Every, time.Minute, true),
		Lifetime: r.length("crl.lifetime", w.Lifetime, time.Minute, false),
		OnRevoke: w.OnRevoke,
	}
	if c.Every > 0 && c.Lifetime > 0 && c.Lifetime <= c.Every {
		r.fault("crl.lifetime", "%s is not longer than crl.every, which is %s: the old CRL would end before the new one is there", w.Lifetime, w.Every)
	}
	for i, ch := range channels {
		if c.File != "" && ch.Dir != nil && filepath.Dir(c.File) == ch.Dir.In {
			r.fault("crl.file", "it lies in the folder of requests channels[%d].dir.in", i)
		}
	}
	return c
}

func (r *reader) log(w writtenLog) Log {
	levels := []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	level := r.word("log.level", w.Level, "debug", "info", "warn", "error")
	return Log{Level: levels[max(level, 0)], JSON: r.word("log.format", w.Format, "text", "json") == 1}
}

func (r *reader) metrics(w writtenMetrics, dir string) Metrics {
	m := Metrics{Listen: w.Listen, Textfile: r.path(dir, "metrics.textfile", w.Textfile, "")}
	if w.Textfile != "" && !strings.HasSuffix(w.Textfile, ".prom") {
		r.fault("metrics.textfile", "%q does not end in .prom, and collectors read no other files", clip(w.Textfile))
	}
	if w.Listen != "" {
		if err := checkAddress(w.Listen); err != nil {
			r.fault("metrics.listen", "%q is not an address: %v; write it as 127.0.0.1:9464", clip(w.Listen), err)
		}
	}
	return m
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		var ae *net.AddrError
		if errors.As(err, &ae) {
			return errors.New(ae.Err)
		}
		return err
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("the port is not a number up to 65535")
	}
	return nil
}
