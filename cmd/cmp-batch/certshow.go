package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/spool/durable"

	"github.com/spf13/cobra"
)

// findCertificate finds what a person named.
func (a *authority) findCertificate(ctx context.Context, text string) (*cmpcore.Certificate, error) {
	serial, err := parseSerial(text)
	if err != nil {
		return nil, err
	}
	cert, err := a.store.View().Certificate(ctx, serial)
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, hint(usage("no certificate of this CA has the serial number %x", serial), "cmp-batch cert ls lists them")
	}
	return cert, nil
}

func (c *cli) certShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show SERIAL",
		Short: "Print what is known about a certificate",
		Long: `Print what is known about a certificate: where it stands, who asked for it, and
what is in it. A serial number that was not issued is wrong use: exit 2.`,
		Example: `  cmp-batch cert show 3F:A9:01
  cmp-batch cert show 3fa901 --json`,
		Args: only(1, "the serial number is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := c.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			cert, err := a.findCertificate(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(struct {
					certJSON
					Certificate json.RawMessage `json:"certificate"`
				}{newCertJSON(cert), cmptext.CertificateJSON(cert.DER)})
			}
			w := c.table("serial:\t" + hex.EncodeToString(cert.Serial))
			fmt.Fprintf(w, "status:\t%s\n", statusWord(cert))
			if !cert.RevokedAt.IsZero() {
				fmt.Fprintf(w, "revoked:\t%s, %s\n", stamp(cert.RevokedAt), pkix.CRLReason(cert.Reason))
			}
			if !cert.InvalidityDate.IsZero() {
				fmt.Fprintf(w, "not to be trusted since:\t%s\n", stamp(cert.InvalidityDate))
			}
			fmt.Fprintf(w, "profile:\t%s\nrequester:\t%s\ntransaction:\t%x\n\n", cert.Profile, cmptext.Escape(cert.Requester), cert.TransactionID)
			if err := w.Flush(); err != nil {
				return err
			}
			return cmptext.CertificateText(c.stdout, cert.DER)
		},
	}
	return c.withJSON(c.withConfig(cmd))
}

func (c *cli) certExportCommand() *cobra.Command {
	var out string
	var asDER, asPEM, chain, force bool
	cmd := &cobra.Command{
		Use:   "export SERIAL",
		Short: "Write a certificate as PEM or DER",
		Long: `Write a certificate to standard output or into a file, whole or not at all. A
file that exists is not overwritten without --force.`,
		Example: `  cmp-batch cert export 3fa901 --out device-1.crt --chain
  cmp-batch cert export 3fa901 --der > device-1.der`,
		Args: only(1, "the serial number is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case asDER && asPEM:
				return usage("--der or --pem: not both")
			case asDER && chain:
				return usage("--chain: several certificates in one file need PEM")
			case asDER && out == "" && !c.json && isTerminal(c.stdout):
				return usage("--der: standard output is a terminal; --out says where it goes")
			}
			a, err := c.openLedger(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			cert, err := a.findCertificate(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			data := cert.DER
			if !asDER {
				certs := [][]byte{cert.DER}
				if chain {
					above, err := a.caChain()
					if err != nil {
						return err
					}
					certs = append(certs, above...)
				}
				data = keyfile.MarshalCertificates(certs...)
			}
			toFile := out != "" && out != "-"
			if toFile {
				if err := placeFile(cmd.Context(), out, data, force); err != nil {
					return err
				}
			}
			switch {
			case c.json:
				j := struct {
					Serial string `json:"serial"`
					Out    string `json:"out,omitempty"`
					PEM    string `json:"pem,omitempty"` // without --out
					DER    []byte `json:"der,omitempty"` // likewise, with --der
				}{Serial: hex.EncodeToString(cert.Serial)}
				switch {
				case toFile:
					j.Out = out
				case asDER:
					j.DER = data
				default:
					j.PEM = string(data)
				}
				return c.printJSON(j)
			case !toFile:
				_, err := c.stdout.Write(data)
				return err
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "", "`FILE` to write (default: standard output)")
	f.BoolVar(&asDER, "der", false, "write DER")
	f.BoolVar(&asPEM, "pem", false, "write PEM (the default)")
	f.BoolVar(&chain, "chain", false, "with the certificates of the CA after it")
	f.BoolVar(&force, "force", false, "replace a file that exists")
	return c.withJSON(c.withConfig(cmd))
}

// caChain gives the certificate of the CA and those above it.
func (a *authority) caChain() ([][]byte, error) {
	certs, err := readCertificates(a.cfg.CA.Certificate)
	if err != nil {
		return nil, usageError{fmt.Errorf("the CA: %w", err)}
	}
	above := certs[1:]
	if a.cfg.CA.Chain != "" {
		more, err := readCertificates(a.cfg.CA.Chain)
		if err != nil {
			return nil, usageError{fmt.Errorf("chain of the CA: %w", err)}
		}
		above = append(above, more...)
	}
	if above, err = orderChain(certs[0], above); err != nil {
		return nil, usageError{fmt.Errorf("chain of the CA: %w", err)}
	}
	return append([][]byte{certs[0]}, above...), nil
}

// placeFile writes a file, durably, whole or not at all. One that exists with
// other contents is replaced only with force.
func placeFile(ctx context.Context, path string, data []byte, force bool) error {
	if force {
		return replaceFile(path, data, 0o644)
	}
	d, err := durable.OpenDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	defer d.Close()
	err = d.WriteAll(ctx, []durable.NewFile{{Name: filepath.Base(path), Data: data}}, durable.WriteOptions{})[0].Err
	if errors.Is(err, fs.ErrExist) {
		return hint(usage("%s exists and is not overwritten", path), "--force replaces it")
	}
	return err
}
