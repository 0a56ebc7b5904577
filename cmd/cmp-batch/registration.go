package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/configs"

	"github.com/spf13/cobra"
)

// registrationFlags are what a request tells about its requester, apart from
// the certificate (RFC 4211 sections 6.1, 6.2 and 7.1).
type registrationFlags struct {
	regToken, authenticator string   // files
	regInfo                 []string // NAME=VALUE
}

func (f *registrationFlags) flags(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.regToken, "reg-token-file", "", "`FILE` whose first line is a registration token of the CA; for cmp-batch that is REF:SECRET")
	fl.StringVar(&f.authenticator, "authenticator-file", "", "`FILE` whose first line is what the CA knows its requester by, in control authenticator")
	fl.StringArrayVar(&f.regInfo, "reg-info", nil, "`NAME=VALUE` for those who decide about the request (may repeat)")
}

// add puts it into a request for a certificate.
func (f *registrationFlags) add(r *client.CertificateRequest) error {
	for _, c := range []struct {
		flag, path string
		control    func(string) (crmf.Attribute, error)
	}{
		{"--reg-token-file", f.regToken, crmf.NewRegToken},
		{"--authenticator-file", f.authenticator, crmf.NewAuthenticator},
	} {
		if c.path == "" {
			continue
		}
		text, err := readSecretFile(c.path)
		if err == nil && !utf8.Valid(text) {
			err = errors.New("the first line is not UTF-8")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.flag, err)
		}
		a, err := c.control(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", c.flag, err)
		}
		r.Controls = append(r.Controls, a)
	}
	if len(f.regInfo) == 0 {
		return nil
	}
	var pairs []crmf.Pair
	for _, s := range f.regInfo {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("--reg-info: %.40q is not NAME=VALUE", s)
		}
		pairs = append(pairs, crmf.Pair{Name: name, Value: value})
	}
	a, err := crmf.NewUTF8Pairs(pairs)
	if err != nil {
		return fmt.Errorf("--reg-info: %w", err)
	}
	r.RegInfo = append(r.RegInfo, a)
	return nil
}

// none refuses the flags with requests that have no place for them.
func (f *registrationFlags) none() error {
	if f.regToken != "" || f.authenticator != "" || len(f.regInfo) > 0 {
		return errors.New("--reg-token-file, --authenticator-file and --reg-info are for ir, cr, kur and ccr")
	}
	return nil
}

// checkTokenSecret looks at a secret that is to be a registration token: the
// limits that its rule does not fit, and what a token cannot say.
func checkTokenSecret(r *configs.Rule, bodies []string, value []byte) error {
	for _, b := range bodies {
		if b != "ir" && b != "cr" {
			return usage("--bodies: rule %s takes the secret as a registration token, which comes with ir and cr", r.Name)
		}
	}
	if !utf8.Valid(value) || bytes.ContainsAny(value, ":\r\n") {
		return usage("rule %s takes the secret as a registration token, REF:SECRET on one line: it must be text without a colon", r.Name)
	}
	return nil
}

// tokenRule is the rule that takes a secret as a registration token, if it does.
func tokenRule(cfg *configs.Config, name string) *configs.Rule {
	for i := range cfg.Rules {
		if r := &cfg.Rules[i]; r.RegToken && r.Name == name {
			return r
		}
	}
	return nil
}
