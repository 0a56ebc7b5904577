package main

import (
	"bufio"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"
	"cmp-batch/spool/sqlite"

	"golang.org/x/term"
)

// vaultKey is where the Store keeps the wrapped key of the vault.
const vaultKey = "vault"

// authority is a CA as its configuration describes it, opened as far as a
// command needs it.
type authority struct {
	cfg    *configs.Config
	log    *slog.Logger
	store  *sqlite.Store
	vault  *keyfile.Vault
	engine *cmpcore.Engine

	shelves []*shelf            // of the elements of trust
	opener  *cmpcore.Encryption // opens the archive of private keys; nil: nothing does
	caKeyID []byte              // of the key that signs certificates and CRLs

	// passphrases are asked for once, however many things they open.
	passphrases map[configs.Passphrase][]byte
	// early are keys that are being decrypted beside other work.
	early map[configs.KeyPair]func() (crypto.PrivateKey, error)
	cli   *cli
}

// openLedger opens configuration and database: enough to look at things.
func (c *cli) openLedger(ctx context.Context) (*authority, error) {
	cfg, err := configs.Load(c.configFile)
	if err != nil {
		return nil, configError(err)
	}
	log, err := c.logger(cfg.Log)
	if err != nil {
		return nil, err
	}
	a := &authority{cfg: cfg, log: log, cli: c, passphrases: map[configs.Passphrase][]byte{}}
	a.store, err = sqlite.Open(ctx, cfg.Store.SQLite, sqlite.Options{Readers: max(4, 2*cores)})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, hint(usageError{cfg.Locate(err)}, "cmp-batch init makes a CA with its database; a lost one comes back from the backup")
	}
	if errors.Is(err, sqlite.ErrNotOurs) {
		return nil, usageError{cfg.Locate(err)}
	}
	if err != nil {
		free, ok := freeSpace(filepath.Dir(cfg.Store.SQLite))
		return nil, withSpace(err, free, ok)
	}
	return a, nil
}

// withSpace adds to an error of the database that there is no room for it, which
// SQLite calls an I/O error.
func withSpace(err error, free uint64, known bool) error {
	if !known || free >= noSpace {
		return err
	}
	return hint(err, "%d KiB are free on the file system of the database: make room and run again; nothing is lost", free>>10)
}

// configError makes a configuration that cannot be read wrong use.
func configError(err error) error {
	var f configs.Faults
	if errors.As(err, &f) {
		return err
	}
	return usageError{err}
}

// openVault opens the registered secrets too.
func (c *cli) openVault(ctx context.Context) (*authority, error) {
	a, err := c.openLedger(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.unlock(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// openAuthority opens everything: the CA's key as well.
func (c *cli) openAuthority(ctx context.Context) (*authority, error) {
	a, err := c.openLedger(ctx)
	if err != nil {
		return nil, err
	}
	a.decryptEarly(a.cfg.CA.KeyPair)
	if err := a.unlock(ctx); err != nil {
		a.close()
		return nil, err
	}
	if a.engine, err = a.newEngine(); err != nil {
		a.close()
		return nil, usageError{a.cfg.Locate(err)}
	}
	return a, nil
}

func (a *authority) close() {
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			a.log.Error("database: close", "err", err)
		}
	}
}

func (a *authority) unlock(ctx context.Context) error {
	wrapped, err := a.store.Meta(ctx, vaultKey)
	if err != nil {
		return err
	}
	if wrapped == nil {
		return usageError{fmt.Errorf("database %s has no vault: it was not made by init", a.cfg.Store.SQLite)}
	}
	pass, err := a.passphrase(a.cfg.Vault, a.vaultIs())
	if err != nil {
		return a.cfg.Locate(err)
	}
	if a.vault, err = keyfile.OpenVault(wrapped, pass); err != nil {
		return hint(usageError{fmt.Errorf("vault of registered secrets: %w", err)}, "%s", a.vaultHint())
	}
	return nil
}

// vaultIs says what the passphrase of the vault opens.
func (a *authority) vaultIs() string {
	if a.cfg.Vault == a.cfg.CA.Passphrase {
		return "the CA's key and the vault of registered secrets"
	}
	return "the vault of registered secrets"
}

func (a *authority) vaultHint() string {
	if a.cfg.Vault == a.cfg.CA.Passphrase {
		return "it is the passphrase of ca; vault: in the configuration names another"
	}
	return "vault: in the configuration says where its passphrase is"
}

// passphrase gets a passphrase from where the configuration says.
func (a *authority) passphrase(p configs.Passphrase, what string) ([]byte, error) {
	if v, ok := a.passphrases[p]; ok {
		return v, nil
	}
	var v []byte
	switch {
	case p.File != "":
		f, err := os.Open(p.File)
		if err != nil {
			return nil, usageError{fmt.Errorf("passphrase of %s: %w", what, err)}
		}
		defer f.Close()
		line, err := bufio.NewReaderSize(f, 4096).ReadSlice('\n')
		if len(line) == 0 && err != nil {
			return nil, usageError{fmt.Errorf("passphrase of %s: file %s is empty", what, p.File)}
		}
		v = []byte(strings.TrimRight(string(line), "\r\n"))
	case p.Env != "":
		s, ok := os.LookupEnv(p.Env)
		if !ok {
			return nil, usageError{fmt.Errorf("passphrase of %s: environment variable %s is not set", what, p.Env)}
		}
		v = []byte(s)
	case p.Prompt:
		f, ok := a.cli.stdin.(*os.File)
		if !ok || !term.IsTerminal(int(f.Fd())) {
			return nil, usageError{fmt.Errorf("passphrase of %s: there is no terminal to ask on", what)}
		}
		fmt.Fprintf(a.cli.stderr, "Passphrase of %s: ", what)
		var err error
		v, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.cli.stderr)
		if err != nil {
			return nil, fmt.Errorf("passphrase of %s: %w", what, err)
		}
	}
	a.passphrases[p] = v
	return v, nil
}

// keyPair reads a certificate, its chain and its key, which signs.
func (a *authority) keyPair(k configs.KeyPair, what string) (cert []byte, chain [][]byte, signer crypto.Signer, err error) {
	cert, chain, key, err := a.anyKeyPair(k, what)
	if err != nil {
		return nil, nil, nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, nil, nil, fmt.Errorf("key of %s, %s: private key of type %T cannot sign", what, k.Key, key)
	}
	return cert, chain, signer, nil
}

// anyKeyPair is keyPair for any kind of key.
func (a *authority) anyKeyPair(k configs.KeyPair, what string) (cert []byte, chain [][]byte, key crypto.PrivateKey, err error) {
	certs, err := readCertificates(k.Certificate)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	cert, chain = certs[0], certs[1:]
	if k.Chain != "" {
		more, err := readCertificates(k.Chain)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("chain of %s: %w", what, err)
		}
		chain = append(chain, more...)
	}
	if chain, err = orderChain(cert, chain); err != nil {
		return nil, nil, nil, fmt.Errorf("chain of %s: %w", what, err)
	}
	if key, err = a.privateKey(k, what); err != nil {
		return nil, nil, nil, err
	}
	return cert, chain, key, nil
}

// privateKey reads the key of a pair.
func (a *authority) privateKey(k configs.KeyPair, what string) (crypto.PrivateKey, error) {
	decrypt := a.early[k]
	if decrypt == nil {
		data, err := os.ReadFile(k.Key)
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", what, err)
		}
		pass, err := a.passphrase(k.Passphrase, "the key of "+what)
		if err != nil {
			return nil, err
		}
		decrypt = func() (crypto.PrivateKey, error) { return keyfile.ParsePrivateKey(data, pass) }
	}
	key, err := decrypt()
	if err != nil {
		return nil, fmt.Errorf("key of %s, %s: %w", what, k.Key, err)
	}
	return key, nil
}

// decryptEarly begins to decrypt a key while the vault is opened: each costs a
// key derivation of some 60 ms. What goes wrong here is told when the key is
// needed.
func (a *authority) decryptEarly(k configs.KeyPair) {
	if k.Passphrase.Prompt {
		return // questions are asked in their order
	}
	pass, err := a.passphrase(k.Passphrase, "")
	if err != nil {
		return
	}
	data, err := os.ReadFile(k.Key)
	if err != nil {
		return
	}
	decrypt := sync.OnceValues(func() (crypto.PrivateKey, error) { return keyfile.ParsePrivateKey(data, pass) })
	go decrypt()
	a.early = map[configs.KeyPair]func() (crypto.PrivateKey, error){k: decrypt}
}

// staticKey reads a key that does not sign; nil where there is none.
func (a *authority) staticKey(k *configs.KeyPair, what string) (*cmpcore.StaticKey, error) {
	if k == nil {
		return nil, nil
	}
	cert, chain, key, err := a.anyKeyPair(*k, what)
	if err != nil {
		return nil, err
	}
	return &cmpcore.StaticKey{Certificate: cert, Chain: chain, Key: key}, nil
}

func readCertificates(path string) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := keyfile.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

// orderChain puts the issuers of cert into order, the root last, and refuses
// certificates that do not belong to it.
func orderChain(cert []byte, pool [][]byte) ([][]byte, error) {
	at, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, err
	}
	var left []*x509.Certificate
	for _, der := range pool {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		if !c.Equal(at) {
			left = append(left, c)
		}
	}
	var chain [][]byte
	for len(left) > 0 {
		found := -1
		for i, c := range left {
			if certpath.IsIssuer(at, c, nil) {
				found = i
				break
			}
		}
		if found < 0 {
			return nil, fmt.Errorf("%q is not an issuer of %q", left[0].Subject, at.Subject)
		}
		at = left[found]
		chain = append(chain, at.Raw)
		left = append(left[:found], left[found+1:]...)
	}
	return chain, nil
}

// newEngine turns settings into the core.
func (a *authority) newEngine() (*cmpcore.Engine, error) {
	cfg := a.cfg
	cert, chain, signer, err := a.keyPair(cfg.CA.KeyPair, "the CA")
	if err != nil {
		return nil, err
	}
	issuer, err := issuance.NewIssuer(cert, signer, cfg.CA.Signature)
	if err != nil {
		return nil, err
	}
	a.caKeyID = issuer.KeyID()
	ec := cmpcore.Config{
		Authority: cmpcore.Authority{
			Issuer: issuer, Certificate: cert, Chain: chain, Signer: signer, SignatureAlgorithm: cfg.CA.Signature,
		},
		Profiles:    map[string]*issuance.Profile{},
		Policies:    map[string]cmpcore.Policy{},
		Lint:        map[string]issuance.Linter{},
		Limits:      cmp.Limits{DER: cfg.Limits, CertRequests: mostRequests(cfg)},
		CRLLifetime: cfg.CRL.Lifetime,
		Clock:       time.Now,
		Random:      rand.Reader,
		Unseal: func(s *cmpcore.Secret) ([]byte, error) {
			return a.vault.Open(s.Ref, s.Sealed)
		},
		SealPassphrase: func(p *cmpcore.Passphrase, value []byte) ([]byte, error) {
			return a.vault.Seal(rand.Reader, passphraseContext(p), value)
		},
		UnsealPassphrase: func(p *cmpcore.Passphrase) ([]byte, error) {
			return a.vault.Open(passphraseContext(p), p.Sealed)
		},
	}
	if a.vault != nil { // ca activate only looks whether the configuration is good
		ec.KEMSeed = a.vault.Derive("KEM ciphertexts for requesters")
	}
	if p := cfg.CA.Protection; p != nil {
		cert, chain, signer, err := a.keyPair(*p, "CMP protection")
		if err != nil {
			return nil, err
		}
		ec.Authority.ProtectionCertificate = cert
		ec.Authority.ProtectionChain = chain
		ec.Authority.Signer = signer
		ec.Authority.SignatureAlgorithm = p.Signature
	}
	ec.Authority.KeyGenerator = &cmpcore.KeyGenerator{Certificate: cert, Chain: chain, Signer: signer, SignatureAlgorithm: cfg.CA.Signature}
	if p := cfg.CA.KeyGeneration; p != nil {
		cert, chain, signer, err := a.keyPair(*p, "key generation")
		if err != nil {
			return nil, err
		}
		if len(chain) == 0 {
			chain = append([][]byte{ec.Authority.Certificate}, ec.Authority.Chain...)
		}
		ec.Authority.KeyGenerator = &cmpcore.KeyGenerator{Certificate: cert, Chain: chain, Signer: signer, SignatureAlgorithm: p.Signature}
	}
	if ec.Encryption, err = a.encryption(); err != nil {
		return nil, err
	}
	a.opener = ec.Encryption
	if ec.Authority.RootUpdates, err = rootUpdates(cfg); err != nil {
		return nil, err
	}
	if ec.Authority.Agreement, err = a.staticKey(cfg.CA.KeyAgreement, "key agreement"); err != nil {
		return nil, err
	}
	if ec.Authority.KEM, err = a.staticKey(cfg.CA.KEM, "the KEM"); err != nil {
		return nil, err
	}
	for name, pc := range cfg.Profiles {
		if ec.Profiles[name], err = issuance.Compile(pc); err != nil {
			return nil, err
		}
		if pc.Lint != nil {
			if ec.Lint[name], err = a.linter(name, *pc.Lint); err != nil {
				return nil, err
			}
		}
		ec.CRLDistributionPoints = append(ec.CRLDistributionPoints, pc.CRLURLs...)
	}
	for i := range cfg.Rules {
		r, err := engineRule(&cfg.Rules[i])
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", cfg.Rules[i].Name, err)
		}
		ec.Rules = append(ec.Rules, r)
	}
	a.shelves = nil
	for _, t := range cfg.Trust {
		s, err := newShelf(t)
		if err != nil {
			return nil, fmt.Errorf("trust %s: %w", t.Name, err)
		}
		a.shelves = append(a.shelves, s)
		ec.Trust = append(ec.Trust, s.trust())
	}
	for _, ch := range cfg.Channels {
		ec.Policies[ch.Name] = enginePolicy(cfg.Policy(ch))
	}
	for _, an := range cfg.Announcements {
		ec.Announcements = append(ec.Announcements, cmpcore.Announcement{Channel: an.To, Prefix: an.Prefix, What: an.What})
	}
	ec.Policies[mediumChannel] = enginePolicy(cfg.Policies[cfg.Process.Policy])
	return cmpcore.New(ec)
}

// passphraseContext is what seals a revocation passphrase for its owner. No
// reference of a secret has control characters.
func passphraseContext(p *cmpcore.Passphrase) string {
	return "\x00revocation passphrase\x00" + p.Owner
}

// mostRequests is what the parser must let through so that each policy can
// apply its own bound.
func mostRequests(cfg *configs.Config) int {
	most := 0
	for _, p := range cfg.Policies {
		most = max(most, p.MaxRequests)
	}
	return most
}

// archiveModes are the words of rules[].archive.
var archiveModes = map[string]cmpcore.ArchiveMode{
	"none": cmpcore.ArchiveNone, "allowed": cmpcore.ArchiveAllowed, "required": cmpcore.ArchiveRequired,
}

// proofs reads rules[].proofs.
func proofs(names []string) (p cmpcore.Proofs) {
	for _, n := range names {
		switch n {
		case configs.ProofAgreeMAC:
			p |= cmpcore.ProofAgreement
		case configs.ProofDHMAC:
			p |= cmpcore.ProofDHMAC
		case configs.ProofEncryptedKey:
			p |= cmpcore.ProofEncryptedKey
		case configs.ProofThisMessage:
			p |= cmpcore.ProofThisMessage
		}
	}
	return p
}

// encrKeyModes are the words of rules[].protocol_encr_key.
var encrKeyModes = map[string]cmpcore.EncrKeyMode{
	"none": cmpcore.EncrKeyNone, "recovery": cmpcore.EncrKeyRecovery, "allowed": cmpcore.EncrKeyAllowed, "required": cmpcore.EncrKeyRequired,
}

func engineRule(r *configs.Rule) (cmpcore.Rule, error) {
	out := cmpcore.Rule{
		Name: r.Name, May: r.May, Profiles: r.Profiles, Own: r.Own, KeyTypes: r.KeyTypes, CentralKeys: r.CentralKeys,
		Approval: r.Approval, Approvals: r.Approvals, Unattended: r.Unattended, Archive: archiveModes[r.Archive], EncrKey: encrKeyModes[r.EncrKey],
		Proofs:     proofs(r.Proofs),
		RAVerified: r.RAVerified, Passphrases: r.Passphrases, RegToken: r.RegToken, SameKey: r.SameKey, ChangeNames: r.ChangeNames, UpdateAny: r.UpdateAny, RevokeAny: r.RevokeAny,
		Names: matchNames(r.Subjects),
	}
	h := r.Certificate
	if h == nil {
		out.Secret = r.MatchesSecret
		return out, nil
	}
	out.Certificate = &cmpcore.CertificateWho{IssuedHere: h.IssuedHere, Subject: matchNames(h.Subjects), CMCRA: h.CMCRA}
	for _, path := range h.Files {
		certs, err := readAnchors(path)
		if err != nil {
			return out, err
		}
		out.Certificate.Anchors = append(out.Certificate.Anchors, certs...)
	}
	return out, nil
}

func matchNames(patterns []configs.Subject) func(pkix.Name) bool {
	if len(patterns) == 0 {
		return nil
	}
	return func(n pkix.Name) bool {
		for i := range patterns {
			if patterns[i].Match(n) {
				return true
			}
		}
		return false
	}
}

func enginePolicy(p configs.Policy) cmpcore.Policy {
	return cmpcore.Policy{
		MessageTimeWindow: p.MessageTimeWindow, RequireMessageTime: p.RequireMessageTime,
		ImplicitConfirm: p.ImplicitConfirm, ConfirmWait: p.ConfirmWait, KeepUnconfirmed: p.KeepUnconfirmed,
		TransactionLife: p.TransactionLife, PollInterval: p.PollInterval, Hold: p.Hold,
		OmitRoot: !p.ExtraCertsRoot, MAC: &p.MAC, Signatures: &p.Signatures,
		Lightweight: p.Lightweight, LastPollNonce: p.LastPollNonce, Tolerate: p.Tolerate,
		KEMRequesters: p.KEMRequesters, SilentToStrangers: p.SilentToStrangers, SignErrors: p.SignErrors, MaxRequests: p.MaxRequests,
	}
}
