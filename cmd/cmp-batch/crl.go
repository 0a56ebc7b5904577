package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cmp-batch/cmpcore"

	"github.com/spf13/cobra"
)

func (c *cli) crlCommand() *cobra.Command {
	var out string
	var asDER, asPEM, current bool
	cmd := &cobra.Command{
		Use:   "crl",
		Short: "Make a new CRL now, or print the newest",
		Long: `Make a new certificate revocation list now, and write it to --out, to crl: file
of the configuration, or both. A file is replaced durably and never half.

With --current, the newest CRL is written without making one.

A file is DER, or PEM where its name ends in .pem; without --out, PEM goes to
standard output.`,
		Example: `  cmp-batch crl --out /srv/www/ca.crl
  cmp-batch crl --current | openssl crl -noout -text`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			toFile := out != "" && out != "-"
			switch {
			case asDER && asPEM:
				return usage("--der or --pem: not both")
			case asDER && !toFile && !c.json && isTerminal(c.stdout):
				return usage("--der: standard output is a terminal; --out says where it goes")
			case !asDER && !asPEM:
				asPEM = !toFile || strings.EqualFold(filepath.Ext(out), ".pem")
			}
			if toFile { // before a number is used up
				if info, err := os.Stat(filepath.Dir(out)); err != nil || !info.IsDir() {
					return usage("--out: %s is not a folder that is there", filepath.Dir(out))
				}
			}
			ctx := cmd.Context()
			a, crl, err := c.takeCRL(ctx, current)
			if err != nil {
				return err
			}
			defer a.close()
			data := crl.DER
			if asPEM {
				data = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl.DER})
			}
			if toFile {
				if err := replaceFile(out, data, 0o644); err != nil {
					return err
				}
			}
			return c.printCRL(crl, data, out, toFile, asPEM)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&out, "out", "o", "", "`FILE` to write (default: standard output)")
	f.BoolVar(&asDER, "der", false, "write DER")
	f.BoolVar(&asPEM, "pem", false, "write PEM")
	f.BoolVar(&current, "current", false, "write the newest CRL; make none")
	return c.withJSON(c.withConfig(cmd))
}

// takeCRL opens the CA as far as needed and gives the newest CRL, a new one
// unless current is wanted.
func (c *cli) takeCRL(ctx context.Context, current bool) (*authority, *cmpcore.CRL, error) {
	open := c.openAuthority
	if current {
		open = c.openLedger
	}
	a, err := open(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !current {
		err = a.makeCRL(ctx)
	}
	var crl *cmpcore.CRL
	if err == nil {
		crl, err = a.store.View().CRL(ctx)
	}
	if err == nil && crl == nil {
		err = hint(errors.New("there is no CRL yet"), "cmp-batch crl makes one")
	}
	if err != nil {
		a.close()
		return nil, nil, err
	}
	return a, crl, nil
}

func (c *cli) printCRL(crl *cmpcore.CRL, data []byte, out string, toFile, asPEM bool) error {
	if c.json {
		j := struct {
			Number     int64  `json:"number"`
			ThisUpdate string `json:"this_update"`
			NextUpdate string `json:"next_update"`
			Out        string `json:"out,omitempty"`
			PEM        string `json:"pem,omitempty"` // without --out
			DER        []byte `json:"der,omitempty"` // likewise, with --der
		}{Number: crl.Number, ThisUpdate: stamp(crl.ThisUpdate), NextUpdate: stamp(crl.NextUpdate)}
		switch {
		case toFile:
			j.Out = out
		case asPEM:
			j.PEM = string(data)
		default:
			j.DER = data
		}
		return c.printJSON(j)
	}
	if !toFile {
		_, err := c.stdout.Write(data)
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "CRL %d, good until %s, is in %s\n", crl.Number, stamp(crl.NextUpdate), out)
	return err
}
