package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"

	"github.com/spf13/cobra"
)

func (c *cli) showCommand() *cobra.Command {
	var secretFile string
	cmd := &cobra.Command{
		Use:   "show FILE.pki...",
		Short: "Print PKIMessages as readable text",
		Long: `Print PKIMessages, requests or answers of any kind, as readable text or JSON.

The protection is checked where that is possible: a signature with the
certificate in the message (whether that one is to be trusted is not judged), a
MAC with the secret of --secret-file. So are those of messages inside a nested one.`,
		Example: `  cmp-batch show spool/out/device-1.pki
  cmp-batch show --json --secret-file device-1.secret request.pki
  cmp-batch show - < request.pki`,
		Args: needs(1, "the file is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var secret []byte
			if secretFile != "" {
				var err error
				if secret, err = readSecretFile(secretFile); err != nil {
					return usageError{err}
				}
			}
			var failed []error
			for i, name := range args {
				if len(args) > 1 && !c.json {
					if i > 0 {
						fmt.Fprintln(c.stdout)
					}
					fmt.Fprintf(c.stdout, "%q:\n", name)
				}
				if err := c.show(name, secret); err != nil {
					failed = append(failed, fmt.Errorf("%q: %w", name, err))
				}
			}
			return errors.Join(failed...)
		},
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "`FILE` whose first line is the shared secret that protects the message")
	return c.withJSON(cmd)
}

func (c *cli) show(name string, secret []byte) error {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(c.stdin, maxShow+1))
	} else {
		data, err = readBounded(name, maxShow)
	}
	if err != nil {
		return usageError{err}
	}
	m, parseErr := cmp.Parse(data, cmp.Limits{DER: der.Limits{Bytes: maxShow}})
	if m == nil {
		return usageError{parseErr}
	}
	check := func(m *cmp.PKIMessage) *cmptext.Protection { return checkProtection(m, secret) }
	o := cmptext.Options{ParseErr: parseErr, Protection: check(m), Inner: check}
	if c.json {
		line, err := cmptext.JSON(m, o)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.stdout, "%s\n", line)
		return err
	}
	return cmptext.Text(c.stdout, m, o)
}

// maxShow is the largest file that is shown, in octets.
const maxShow = 16 << 20

// readBounded reads a file that may be anything.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d octets", path, limit)
	}
	return data, err
}

// checkProtection finds out what can be said about the protection; nil where
// nothing can.
func checkProtection(m *cmp.PKIMessage, secret []byte) *cmptext.Protection {
	if m.Protection == nil || m.RawBody == nil {
		return nil
	}
	switch cmp.ProtectionKind(m.Header.ProtectionAlg) {
	case cmp.ProtectionMAC:
		if secret == nil {
			return nil
		}
		return &cmptext.Protection{By: "the given shared secret", Err: m.VerifyMAC(secret, &alg.MACPolicy{AllowSHA1: true})}
	case cmp.ProtectionSignature:
		if len(m.ExtraCerts) == 0 {
			return nil
		}
		key, err := certificateKey(m.ExtraCerts[0])
		if err == nil {
			err = m.VerifySignature(key, nil)
		}
		return &cmptext.Protection{By: "the first certificate of extraCerts, whose trust was not judged", Err: err}
	}
	return nil
}

func certificateKey(certDER []byte) (any, error) {
	cert, err := parseCertificate(certDER)
	if err != nil {
		return nil, err
	}
	return alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
}
