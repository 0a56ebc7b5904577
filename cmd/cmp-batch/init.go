package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"
	"cmp-batch/spool/sqlite"

	"github.com/spf13/cobra"
)

// initOptions are what a fresh CA is made from.
type initOptions struct {
	subject    string
	keyType    string
	passphrase string // file
	validity   string
}

func (c *cli) initCommand() *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Make a working CA in DIR",
		Long: `Make a working CA in DIR: cmp-batch.yaml, ca/ca.crt, ca/ca.key (encrypted),
state.db, and the folders in, out, archive and failed of spool/.

Nothing that exists is overwritten. Without --passphrase-file, a passphrase is
made in secrets/ca.pass; move it to another medium.`,
		Example: `  cmp-batch init my-ca
  cmp-batch init root --subject "CN=Example Root CA,O=Example" --key-type ecdsa-p384 --passphrase-file /media/key/root.pass`,
		Args: only(1, "the folder is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := makeCA(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(made)
			}
			made.print(c)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.subject, "subject", "CN=cmp-batch CA", "distinguished `NAME` of the CA")
	f.StringVar(&o.keyType, "key-type", "ecdsa-p256", "`TYPE` of the CA's key: "+keyTypeHelp)
	f.StringVar(&o.passphrase, "passphrase-file", "", "`FILE` whose first line protects the CA's key and the registered secrets")
	f.StringVar(&o.validity, "validity", "20y", "how long the CA is valid: years and days as in 20y, 7300d, or 9999-12-31")
	return c.withJSON(cmd)
}

// madeCA says what init made.
type madeCA struct {
	Dir         string `json:"dir"`
	Config      string `json:"config"`
	Certificate string `json:"certificate"`
	Passphrase  string `json:"passphrase_file"`
	Subject     string `json:"subject"`
	KeyType     string `json:"key_type"`

	Lint []findingJSON `json:"lint,omitempty"` // of the certificate

	fresh bool // the passphrase was made here
}

func (m *madeCA) print(c *cli) {
	fmt.Fprintf(c.stdout, "A CA is in %s\n\n", m.Dir)
	w := c.table("  name\t" + m.Subject)
	fmt.Fprintf(w, "  key\t%s, encrypted\n", m.KeyType)
	fmt.Fprintf(w, "  certificate\t%s\n", m.Certificate)
	fmt.Fprintf(w, "  configuration\t%s\n", m.Config)
	fmt.Fprintf(w, "  requests go into\t%s\n", filepath.Join(m.Dir, "spool", "in"))
	fmt.Fprintf(w, "  answers come out in\t%s\n", filepath.Join(m.Dir, "spool", "out"))
	w.Flush()
	c.printLint(m.Certificate, m.Lint)
	if m.fresh {
		fmt.Fprintf(c.stdout, "\nThe passphrase was made in %s.\nMove it to another medium and set ca: passphrase_file in the configuration.\nWhoever has it together with this folder has the CA.\n", m.Passphrase)
	}
	fmt.Fprintf(c.stdout, "\nNext:\n  cmp-batch secret add device-1 --generate -c %s\n  cmp-batch run -c %s\n", m.Config, m.Config)
}

// makeCA makes all files of a fresh CA. What it needs is checked before the
// first is written; the configuration comes last, so that a folder with one is
// a whole CA.
func makeCA(ctx context.Context, dir string, o initOptions) (*madeCA, error) {
	subject, err := pkix.ParseDN(o.subject)
	if err != nil {
		return nil, usageError{fmt.Errorf("--subject: %w", err)}
	}
	if subject.IsEmpty() {
		return nil, usage("--subject: a CA needs a name")
	}
	validity, err := issuance.ParsePeriod(o.validity)
	if err != nil {
		return nil, usageError{fmt.Errorf("--validity: %w", err)}
	}
	if validity.IsZero() {
		return nil, usage("--validity: %q has no length", o.validity)
	}
	known := false
	for _, kt := range alg.KeyTypes() {
		known = known || kt == o.keyType
	}
	if !known {
		return nil, usage("--key-type: %q is not one of %s", o.keyType, strings.Join(alg.KeyTypes(), ", "))
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m := &madeCA{
		Dir: dir, Config: filepath.Join(dir, configs.FileName), Certificate: filepath.Join(dir, "ca", "ca.crt"),
		Passphrase: filepath.Join(dir, "secrets", "ca.pass"), Subject: subject.String(), KeyType: o.keyType, fresh: o.passphrase == "",
	}
	keyPath, dbPath := filepath.Join(dir, "ca", "ca.key"), filepath.Join(dir, "state.db")
	taken := []string{m.Config, m.Certificate, keyPath, dbPath}
	if m.fresh {
		taken = append(taken, m.Passphrase)
	}
	for _, p := range taken {
		if _, err := os.Lstat(p); err == nil {
			return nil, usage("%s exists; init never overwrites: choose another folder", p)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var pass []byte
	if m.fresh {
		b := make([]byte, 24)
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
		pass = []byte(base64.RawURLEncoding.EncodeToString(b))
	} else {
		if m.Passphrase, err = filepath.Abs(o.passphrase); err != nil {
			return nil, err
		}
		a := &authority{passphrases: map[configs.Passphrase][]byte{}}
		if pass, err = a.passphrase(configs.Passphrase{File: m.Passphrase}, "the CA"); err != nil {
			return nil, err
		}
		if len(pass) == 0 {
			return nil, usage("passphrase file %s: its first line is empty", m.Passphrase)
		}
	}

	now := time.Now()
	key, err := alg.GenerateKey(rand.Reader, o.keyType)
	if err != nil {
		return nil, err
	}
	// An hour back, for devices whose clocks run behind.
	cert, err := issuance.SelfSigned(rand.Reader, key, "", subject, validity, now.Add(-time.Hour))
	if err != nil {
		return nil, err
	}
	m.Lint = lintRoot(cert)
	keyPEM, err := keyfile.EncryptPKCS8(rand.Reader, key, pass)
	if err != nil {
		return nil, err
	}
	_, wrapped, err := keyfile.NewVault(rand.Reader, pass)
	if err != nil {
		return nil, err
	}

	for _, d := range []struct {
		path string
		mode os.FileMode
	}{{"", 0o755}, {"ca", 0o700}, {"secrets", 0o700}, {"spool", 0o755}, {"spool/in", 0o755}, {"spool/out", 0o755}, {"spool/archive", 0o755}, {"spool/failed", 0o755}} {
		if d.path == "secrets" && !m.fresh {
			continue
		}
		if err := os.MkdirAll(filepath.Join(dir, d.path), d.mode); err != nil {
			return nil, err
		}
	}
	if m.fresh {
		if err := writeNew(m.Passphrase, append(pass, '\n'), 0o600); err != nil {
			return nil, err
		}
	}
	if err := writeNew(keyPath, keyPEM, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(m.Certificate, keyfile.MarshalCertificates(cert), 0o644); err != nil {
		return nil, err
	}
	store, err := sqlite.Create(ctx, dbPath, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := store.SetMeta(ctx, vaultKey, wrapped); err != nil {
		store.Close()
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	passFile := m.Passphrase
	if m.fresh {
		passFile = "secrets/ca.pass"
	}
	yaml := configs.Default(configs.DefaultOptions{Subject: m.Subject, KeyType: o.keyType, PassphraseFile: passFile})
	if _, err := configs.Parse(yaml, dir); err != nil {
		return nil, fmt.Errorf("the configuration that init writes: %w", err)
	}
	return m, writeNew(m.Config, yaml, 0o644)
}

// writeNew writes a file that must not exist yet, durably.
func writeNew(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// keyTypeHelp is a part of alg.KeyTypes, which is too long a list for help.
const keyTypeHelp = "ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048, rsa-3072, rsa-4096, ed25519, ed448, ml-dsa-44, ml-dsa-65, ml-dsa-87, " +
	"slh-dsa-sha2-128s and its kin, composites such as mldsa65-ecdsa-p256-sha512"
