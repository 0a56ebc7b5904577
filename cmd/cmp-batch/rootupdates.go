package main

import (
	"fmt"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/configs"
)

// rootUpdates reads the files of ca.root_updates.
func rootUpdates(cfg *configs.Config) (out []cmpcore.RootUpdate, err error) {
	for i, w := range cfg.CA.RootUpdates {
		var u cmpcore.RootUpdate
		for _, f := range []struct {
			key, path string
			to        *[]byte
		}{
			{"old", w.Old, &u.Old}, {"new", w.New, &u.New}, {"new_with_old", w.NewWithOld, &u.NewWithOld}, {"old_with_new", w.OldWithNew, &u.OldWithNew},
		} {
			if f.path == "" {
				continue
			}
			certs, err := readCertificates(f.path)
			if err != nil {
				return nil, fmt.Errorf("ca.root_updates[%d].%s: %w", i, f.key, err)
			}
			*f.to = certs[0]
		}
		out = append(out, u)
	}
	return out, nil
}

// encryption opens the certificate and key of ca.encryption.
func (a *authority) encryption() (*cmpcore.Encryption, error) {
	e := a.cfg.CA.Encryption
	if e == nil {
		return nil, nil
	}
	certs, err := readCertificates(e.Certificate)
	if err != nil {
		return nil, fmt.Errorf("CA encryption: %w", err)
	}
	out := &cmpcore.Encryption{Certificate: certs[0], Chain: certs[1:]}
	out.Values, _ = cms.ValuePolicyByName(e.Values) // checked with the configuration
	if e.Chain != "" {
		more, err := readCertificates(e.Chain)
		if err != nil {
			return nil, fmt.Errorf("chain of CA encryption: %w", err)
		}
		out.Chain = append(out.Chain, more...)
	}
	if out.Chain, err = orderChain(out.Certificate, out.Chain); err != nil {
		return nil, fmt.Errorf("chain of CA encryption: %w", err)
	}
	if out.Key, err = a.privateKey(e.KeyPair, "CA encryption"); err != nil {
		return nil, err
	}
	for _, f := range e.Former {
		certs, err := readCertificates(f.Certificate)
		if err != nil {
			return nil, fmt.Errorf("former CA encryption: %w", err)
		}
		key, err := a.privateKey(f, "former CA encryption")
		if err != nil {
			return nil, err
		}
		out.Former = append(out.Former, cmpcore.FormerEncryption{Certificate: certs[0], Key: key})
	}
	if out.Algorithm, err = cms.CipherAlgorithm(e.Cipher); err != nil {
		return nil, err
	}
	return out, nil
}
