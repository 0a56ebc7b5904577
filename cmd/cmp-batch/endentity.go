package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/keyfile"

	"github.com/spf13/cobra"
)

// identity are the flags that say as whom the end entity speaks and whom it
// believes; request and accept share them.
type identity struct {
	ref, secretFile            string
	signCert, signKey, signAlg string
	passphraseFile             string
	trust                      []string
	unprotectedErrors          bool
	crls                       []string // files, by which signers of answers are judged
	needCRL                    bool
	mac                        client.MAC
	dhMAC                      bool   // sign-key is for key agreement
	agreementCert              string // the CA's; not needed where a session has it
	kemCert                    string // the same
	kemMAC                     bool   // sign-key is of a KEM
}

func (id *identity) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&id.ref, "ref", "", "`REF`erence of the shared secret (senderKID)")
	f.StringVar(&id.secretFile, "secret-file", "", "`FILE` whose first line is the shared secret")
	f.StringVar(&id.signCert, "cert", "", "certificate `FILE` that protects the messages, chain after it")
	f.StringVar(&id.signKey, "sign-key", "", "private key `FILE` of --cert")
	f.StringVar(&id.passphraseFile, "passphrase-file", "", "`FILE` whose first line encrypts the private keys")
	f.StringArrayVar(&id.trust, "trust", nil, "CA certificate `FILE` whose signed answers are believed (may repeat)")
}

// again writes the flags that accept needs to be who made the request.
func (id *identity) again() string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{
		{"secret-file", id.secretFile}, {"cert", id.signCert}, {"sign-key", id.signKey}, {"passphrase-file", id.passphraseFile},
	} {
		if f.value != "" {
			fmt.Fprintf(&b, " --%s %s", f.name, shellQuote(f.value))
		}
	}
	for _, t := range id.trust {
		fmt.Fprintf(&b, " --trust %s", shellQuote(t))
	}
	if id.secretFile == "" && len(id.trust) == 0 {
		b.WriteString(" --trust CA.crt")
	}
	return b.String()
}

// readSecretFile gives the first line of a file.
func readSecretFile(path string) ([]byte, error) {
	data, err := readBounded(path, 64<<10)
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return nil, fmt.Errorf("%s: the first line is empty", path)
	}
	return []byte(line), nil
}

func (id *identity) passphrase() ([]byte, error) {
	if id.passphraseFile == "" {
		return nil, nil
	}
	return readSecretFile(id.passphraseFile)
}

// readKey reads a key that signs.
func readKey(path string, pass []byte) (crypto.Signer, error) {
	k, err := readAnyKey(path, pass)
	if err != nil {
		return nil, err
	}
	s, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a private key of type %T cannot sign", path, k)
	}
	return s, nil
}

// readAnyKey reads a private key, among them those that cannot sign.
func readAnyKey(path string, pass []byte) (crypto.PrivateKey, error) {
	data, err := readBounded(path, keyfile.MaxKeySize)
	if err != nil {
		return nil, err
	}
	key, err := keyfile.ParsePrivateKey(data, pass)
	if errors.Is(err, keyfile.ErrPassphraseNeeded) {
		return nil, fmt.Errorf("%s: %w: --passphrase-file says it", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// certificateOfFlag reads the first certificate of the file that a flag names.
func certificateOfFlag(flag, path string) ([]byte, error) {
	certs, err := readCertificates(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return certs[0], nil
}

// agreement reads the keys of a MAC by Diffie-Hellman.
func (id *identity) agreement(pass []byte) (*client.Agreement, error) {
	a := &client.Agreement{MAC: id.mac}
	var err error
	if a.Key, err = readAnyKey(id.signKey, pass); err != nil {
		return nil, fmt.Errorf("--sign-key: %w", err)
	}
	if id.agreementCert != "" {
		cert, err := certificateOfFlag("--ca-agreement-cert", id.agreementCert)
		if err != nil {
			return nil, err
		}
		a.Peer = cert
	}
	return a, nil
}

// credentials reads all files that the flags name.
func (id *identity) credentials() (client.Credentials, error) {
	c := client.Credentials{Now: time.Now(), Rand: rand.Reader, MAC: id.mac, Signature: id.signAlg}
	c.Trust.UnprotectedErrors = id.unprotectedErrors
	c.Trust.NeedCRL = id.needCRL
	for _, path := range id.crls {
		data, err := readBounded(path, maxCRLFile)
		if err != nil {
			return c, fmt.Errorf("--crl: %w", err)
		}
		list, err := keyfile.ParseCRLs(data)
		if err != nil {
			return c, fmt.Errorf("--crl %s: %w", path, err)
		}
		for _, der := range list {
			if _, err := certpath.ParseCRL(der); err != nil {
				return c, fmt.Errorf("--crl %s: %w", path, err)
			}
		}
		c.Trust.CRLs = append(c.Trust.CRLs, list...)
	}
	switch {
	case id.secretFile != "" && (id.signCert != "" || id.signKey != ""):
		return c, errors.New("--secret-file and --cert exclude each other: a message has one protection")
	case id.secretFile != "":
		var err error
		if c.Secret, err = readSecretFile(id.secretFile); err != nil {
			return c, fmt.Errorf("--secret-file: %w", err)
		}
		c.Reference = []byte(id.ref)
	case id.signCert != "" && id.signKey != "":
		certs, err := readCertificates(id.signCert)
		if err != nil {
			return c, fmt.Errorf("--cert: %w", err)
		}
		pass, err := id.passphrase()
		if err != nil {
			return c, fmt.Errorf("--passphrase-file: %w", err)
		}
		c.Certificate, c.Chain = certs[0], certs[1:]
		if id.kemMAC {
			if c.KEMKey, err = readAnyKey(id.signKey, pass); err != nil {
				return c, fmt.Errorf("--sign-key: %w", err)
			}
			break
		}
		if id.dhMAC {
			if c.Agreement, err = id.agreement(pass); err != nil {
				return c, err
			}
			break
		}
		if c.Key, err = readKey(id.signKey, pass); err != nil {
			return c, fmt.Errorf("--sign-key: %w", err)
		}
	default:
		return c, errors.New("say who asks: --ref and --secret-file, or --cert and --sign-key")
	}
	if id.kemCert != "" {
		cert, err := certificateOfFlag("--ca-kem-cert", id.kemCert)
		if err != nil {
			return c, err
		}
		c.Trust.KEM = cert
	}
	for _, path := range id.trust {
		certs, err := readCertificates(path)
		if err != nil {
			return c, fmt.Errorf("--trust: %w", err)
		}
		for _, der := range certs {
			x, err := parseCertificate(der)
			if err != nil {
				return c, fmt.Errorf("--trust %s: %w", path, err)
			}
			if x.IsCA {
				c.Trust.Anchors = append(c.Trust.Anchors, der)
			} else {
				c.Trust.Untrusted = append(c.Trust.Untrusted, der)
			}
		}
	}
	return c, nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) { return x509.ParseCertificate(der) }

// readSession reads the memory of a transaction; writeSession replaces it.
func readSession(path string) (*client.Session, error) {
	data, err := readBounded(path, 64<<20)
	if err != nil {
		return nil, err
	}
	s := new(client.Session)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("session %s: %w", path, err)
	}
	return s, nil
}

func writeSession(path string, s *client.Session) error {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return replaceFile(path, append(data, '\n'), 0o600)
}

// refuseExisting keeps commands from overwriting what a person may need.
func refuseExisting(paths ...string) error {
	for _, p := range paths {
		if p == "" {
			continue
		}
		if _, err := os.Lstat(p); err == nil {
			return usage("%s exists and is not overwritten", p)
		}
	}
	return nil
}
