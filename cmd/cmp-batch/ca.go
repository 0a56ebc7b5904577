package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"

	"github.com/spf13/cobra"
)

func (c *cli) caCommand() *cobra.Command {
	return family(&cobra.Command{
		Use:   "ca {rollover|activate}",
		Short: "Give the root a new key",
		Long: `Give a root CA a new key before the old one ends (RFC 9810 section 4.4):

  rollover   makes the new key and root, and lets requesters learn of it
  activate   makes the CA sign with the new key

Between the two lies the time that the new root needs to get everywhere.`,
		Example: `  cmp-batch ca rollover -c my-ca/cmp-batch.yaml
  cmp-batch ca activate -c my-ca/cmp-batch.yaml`,
	}, c.caRolloverCommand(), c.caActivateCommand())
}

// rolledOver is what --json prints.
type rolledOver struct {
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	NewWithOld  string `json:"new_with_old"`
	OldWithNew  string `json:"old_with_new"`
	KeyType     string `json:"key_type"`
	NotAfter    string `json:"not_after"`
	Config      string `json:"config"`

	Lint []findingJSON `json:"lint,omitempty"` // of the new root and its links
}

func (c *cli) caRolloverCommand() *cobra.Command {
	var keyType, validity string
	cmd := &cobra.Command{
		Use:   "rollover",
		Short: "Make the root's next key, certificate and links",
		Long: `Make a new key for a root CA, its self-signed certificate, and the two links
between it and the old root. They lie beside the CA's certificate and overwrite
nothing: ca-2.crt, ca-2.key (encrypted as the old key is),
ca-2-new-with-old.crt and ca-2-old-with-new.crt.

The configuration names them in ca.root_updates, so that after a restart of run
requesters learn of the new root (rootCaCert, caKeyUpdateInfo). The CA goes on
signing with the old key until ca activate.`,
		Example: `  cmp-batch ca rollover -c my-ca/cmp-batch.yaml
  cmp-batch ca rollover --key-type ml-dsa-65 --validity 25y`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.rollOver(keyType, validity)
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyType, "key-type", "", "`TYPE` of the new key (default: that of the old): "+keyTypeHelp)
	f.StringVar(&validity, "validity", "20y", "how long the new root is valid, as 20y or 7300d")
	return c.withConfig(c.withJSON(cmd))
}

// openRoot reads the configuration and the CA's key, and wants a root.
func (c *cli) openRoot() (a *authority, text []byte, cert []byte, key crypto.Signer, err error) {
	fail := func(err error) (*authority, []byte, []byte, crypto.Signer, error) { return nil, nil, nil, nil, err }
	// The text first: what is read after it can only be newer.
	if text, err = readBounded(c.configFile, 1<<20); err != nil {
		return fail(usageError{err})
	}
	cfg, err := configs.Load(c.configFile)
	if err != nil {
		return fail(configError(err))
	}
	a = &authority{cfg: cfg, cli: c, passphrases: map[configs.Passphrase][]byte{}}
	cert, chain, key, err := a.keyPair(cfg.CA.KeyPair, "the CA")
	if err != nil {
		return fail(usageError{err})
	}
	x, err := x509.ParseCertificate(cert)
	if err != nil {
		return fail(usageError{err})
	}
	if len(chain) > 0 || !certpath.IsIssuer(x, x, nil) {
		return fail(hint(usage("%q is not a root: it has an issuer", pkix.Name(x.RawSubject).String()),
			"the CA above certifies a new key of this one; ca.root_updates tells requesters of a new root"))
	}
	return a, text, cert, key, nil
}

func (c *cli) rollOver(keyType, validity string) error {
	period, err := issuance.ParsePeriod(validity)
	if err != nil {
		return usageError{fmt.Errorf("--validity: %w", err)}
	}
	a, text, cert, key, err := c.openRoot()
	if err != nil {
		return err
	}
	ca := a.cfg.CA
	updates, err := rootUpdates(a.cfg)
	if err != nil {
		return usageError{err}
	}
	for i, u := range updates {
		if bytes.Equal(u.Old, cert) {
			return hint(usage("the next root is there already, in %s", ca.RootUpdates[i].New), "cmp-batch ca activate makes the CA sign with it")
		}
	}
	if keyType == "" {
		keyType = alg.KeyType(key.Public())
	}
	newKey, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		return usageError{fmt.Errorf("--key-type: %w", err)}
	}
	newAlg := ca.Signature
	if _, err := alg.SignatureFor(newKey.Public(), newAlg); err != nil {
		newAlg = "" // activate has the operator change the setting
	}
	// An hour back, for devices whose clocks run behind.
	r, err := issuance.RollOver(rand.Reader, cert, key, ca.Signature, newKey, newAlg, period, time.Now().Add(-time.Hour))
	if err != nil {
		return usageError{err}
	}
	pass, err := a.passphrase(ca.Passphrase, "the CA")
	if err != nil {
		return err
	}
	var keyPEM []byte
	if len(pass) > 0 {
		keyPEM, err = keyfile.EncryptPKCS8(rand.Reader, newKey, pass)
	} else {
		keyPEM, err = keyfile.MarshalPKCS8(newKey)
	}
	if err != nil {
		return err
	}
	base, err := nextBase(ca.Certificate)
	if err != nil {
		return err
	}
	u := configs.RootUpdate{Old: ca.Certificate, New: base + ".crt", NewWithOld: base + "-new-with-old.crt", OldWithNew: base + "-old-with-new.crt"}
	changed, layout := configs.WithRootUpdate(text, a.cfg.Dir, u)
	if layout != nil && !errors.Is(layout, configs.ErrLayout) {
		return layout
	}
	for _, f := range []struct {
		path string
		data []byte
		mode os.FileMode
	}{
		{base + ".key", keyPEM, 0o600}, {u.NewWithOld, keyfile.MarshalCertificates(r.NewWithOld), 0o644},
		{u.OldWithNew, keyfile.MarshalCertificates(r.OldWithNew), 0o644}, {u.New, keyfile.MarshalCertificates(r.NewWithNew), 0o644},
	} {
		if err := writeNew(f.path, f.data, f.mode); err != nil {
			return err
		}
	}
	if layout != nil {
		return hint(layout, "write below ca: root_updates:\n  %s", strings.Join(configs.RootUpdateLines(a.cfg.Dir, u), "\n  "))
	}
	if err := c.replaceConfig(text, changed); err != nil {
		return err
	}
	x, err := x509.ParseCertificate(r.NewWithNew)
	if err != nil {
		return err
	}
	out := rolledOver{u.New, base + ".key", u.NewWithOld, u.OldWithNew, keyType, x.NotAfter.Format(time.RFC3339), c.configFile,
		lintRoot(r.NewWithNew, r.NewWithOld, r.OldWithNew)}
	if c.json {
		return c.printJSON(out)
	}
	w := c.table("the next root\t" + u.New)
	fmt.Fprintf(w, "its key\t%s (%s)\n", out.Key, keyType)
	fmt.Fprintf(w, "for those who have the old root\t%s\n", u.NewWithOld)
	fmt.Fprintf(w, "for those who have the new root\t%s\n", u.OldWithNew)
	fmt.Fprintf(w, "configuration\t%s, ca.root_updates\n", c.configFile)
	w.Flush()
	c.printLint(u.New, out.Lint)
	fmt.Fprintf(c.stdout, "\nRestart run, and bring the new root to everybody. Then:\n  cmp-batch ca activate -c %s\n", c.configFile)
	return nil
}

var generationSuffix = regexp.MustCompile(`-(\d{1,6})$`)

// nextBase gives the path of the next root without its ending: of ca/ca.crt
// it is ca/ca-2, unless anything of that name is there.
func nextBase(cert string) (string, error) {
	stem := strings.TrimSuffix(cert, filepath.Ext(cert))
	n := 1
	if m := generationSuffix.FindStringSubmatch(stem); m != nil {
		stem = strings.TrimSuffix(stem, m[0])
		n, _ = strconv.Atoi(m[1])
	}
	for n++; ; n++ {
		base := stem + "-" + strconv.Itoa(n)
		free := true
		for _, end := range []string{".crt", ".key", "-new-with-old.crt", "-old-with-new.crt"} {
			_, err := os.Lstat(base + end)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			free = free && err != nil
		}
		if free {
			return base, nil
		}
	}
}

// replaceConfig puts a changed configuration in the place of the one that was
// read, unless somebody has changed that meanwhile.
func (c *cli) replaceConfig(was, text []byte) error {
	now, err := readBounded(c.configFile, 1<<20)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, was) {
		return fmt.Errorf("%s was changed meanwhile; try again", c.configFile)
	}
	// What a symbolic link leads to changes, and not the link.
	path, err := filepath.EvalSymlinks(c.configFile)
	if err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if i, err := os.Stat(path); err == nil {
		mode = i.Mode().Perm()
	}
	return replaceFile(path, text, mode)
}

func (c *cli) caActivateCommand() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "activate",
		Short: "Make the CA sign with the root's next key",
		Long: `Make the CA sign with the key that ca rollover made: certificates, CRLs and
answers. Only ca.certificate and ca.key of the configuration change, in one
step, and only where the changed configuration has been tried. The old
configuration is kept beside it, and no other file is touched.

The CRL that the new key signs is for all certificates of the CA, those of the
old key too. The old key is needed no more; keep or destroy it as your policy
says.`,
		Example: `  cmp-batch ca activate -c my-ca/cmp-batch.yaml
  cmp-batch ca activate --key /media/key/ca-2.key`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.activate(keyFile)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "`FILE` of the new key, where it does not lie beside the new root")
	return c.withConfig(c.withJSON(cmd))
}

func (c *cli) activate(keyFile string) error {
	a, text, cert, _, err := c.openRoot()
	if err != nil {
		return err
	}
	updates, err := rootUpdates(a.cfg)
	if err != nil {
		return usageError{err}
	}
	next := -1
	for i, u := range updates {
		if bytes.Equal(u.Old, cert) {
			next = i
		}
	}
	if next < 0 {
		return hint(usage("there is no next root: no ca.root_updates begins with %s", a.cfg.CA.Certificate), "cmp-batch ca rollover makes one")
	}
	path := a.cfg.CA.RootUpdates[next].New
	if keyFile == "" {
		keyFile = strings.TrimSuffix(path, filepath.Ext(path)) + ".key"
	} else if keyFile, err = filepath.Abs(keyFile); err != nil {
		return err
	}
	changed, err := configs.WithCA(text, a.cfg.Dir, path, keyFile)
	if errors.Is(err, configs.ErrLayout) {
		return hint(err, "write below ca: certificate: %s and key: %s", path, keyFile)
	}
	if err != nil {
		return err
	}
	// What run would make of it.
	if a.cfg, err = configs.Parse(changed, a.cfg.Dir); err != nil {
		return err
	}
	if _, err := a.newEngine(); err != nil {
		return hint(usageError{fmt.Errorf("the CA cannot work with the new key: %w", err)},
			"where ca.signature is of the old type of key, change it or remove it first")
	}
	backup := c.configFile + ".before-" + strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if err := writeNew(backup, text, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := c.replaceConfig(text, changed); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(map[string]string{"certificate": path, "key": keyFile, "config": c.configFile, "backup": backup})
	}
	w := c.table("the CA signs with\t" + keyFile)
	fmt.Fprintf(w, "its certificate\t%s\n", path)
	fmt.Fprintf(w, "configuration\t%s\n", c.configFile)
	fmt.Fprintf(w, "as it was\t%s\n", backup)
	w.Flush()
	fmt.Fprintf(c.stdout, "\nRestart run. Then publish the first CRL of the new key:\n  cmp-batch crl -c %s\n", c.configFile)
	return nil
}
