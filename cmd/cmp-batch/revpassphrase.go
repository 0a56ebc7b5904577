package main

import (
	"errors"
	"fmt"

	"cmp-batch/cmpcore/client"

	"github.com/spf13/cobra"
)

// revPassphraseFlags are about a passphrase for a later revocation, which any
// request can leave.
type revPassphraseFlags struct{ file, ref, to string }

func (f *revPassphraseFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.file, "rev-passphrase", "", "leave a passphrase for revocation, the first line of `FILE`: rr may later be protected by it as by a secret, for lost keys")
	fl.StringVar(&f.ref, "rev-passphrase-ref", "", "`REF`erence of that passphrase, as a later rr names it by --ref (default: none, the CA finds it by the certificate)")
	fl.StringVar(&f.to, "rev-passphrase-to", "", "the CA's encryption certificate `FILE`, to which the passphrase is encrypted (default: by the secret of --secret-file)")
}

// read gives nil where there is none.
func (f *revPassphraseFlags) read() (*client.RevPassphrase, error) {
	if f.file == "" {
		if f.ref != "" || f.to != "" {
			return nil, errors.New("--rev-passphrase-ref and --rev-passphrase-to are about --rev-passphrase")
		}
		return nil, nil
	}
	value, err := readSecretFile(f.file)
	if err != nil {
		return nil, fmt.Errorf("--rev-passphrase: %w", err)
	}
	p := &client.RevPassphrase{Value: value}
	if f.ref != "" {
		p.Name = []byte(f.ref)
	}
	if f.to != "" {
		cert, err := certificateOfFlag("--rev-passphrase-to", f.to)
		if err != nil {
			return nil, err
		}
		p.To = cert
	}
	return p, nil
}
