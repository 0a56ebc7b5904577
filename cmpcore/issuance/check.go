package issuance

import (
	"bytes"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/pkix"
)

// Check tells what about a certificate is not as RFC 5280 section 4 wants it
// from a CA: structure, serial number, algorithms, names, dates, and that the
// extensions are sound and fit each other. It does not verify the signature.
// All findings are joined.
func Check(cert []byte) error {
	c, err := parseCertificate(cert)
	if err != nil {
		return err
	}
	var errs []error
	find := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if err := checkSerial(c.serial); err != nil {
		find("%w", err)
	}
	if !c.innerAlg.Equal(c.outerAlg) {
		find("signature and signatureAlgorithm differ (section 4.1.1.2)")
	}
	if rdns, err := parseName(c.issuer); err != nil || len(rdns) == 0 {
		find("issuer is malformed or empty (section 4.1.2.4)")
	}
	rdns, err := parseName(c.subject)
	if err != nil {
		find("subject: %w", err)
	}
	if !c.notAfter.After(c.notBefore) {
		find("validity ends before it begins")
	}

	bc := pkix.BasicConstraints{MaxPathLen: -1}
	if e, ok := c.extension(pkix.OIDBasicConstraints); ok {
		if bc, ok = pkix.ParseBasicConstraints(e.Value); !ok {
			find("basicConstraints is malformed")
		}
		if bc.CA && !e.Critical {
			find("basicConstraints of a CA is not critical (section 4.2.1.9)")
		}
	}
	var ku pkix.KeyUsage
	if e, ok := c.extension(pkix.OIDKeyUsage); ok {
		if ku, ok = pkix.ParseKeyUsage(e.Value); !ok || ku == 0 {
			find("keyUsage is malformed or empty")
		}
	}
	if bc.CA && !ku.Has(pkix.KeyCertSign) {
		find("a CA has no keyUsage with keyCertSign (section 4.2.1.3)")
	}
	if !bc.CA && ku.Has(pkix.KeyCertSign) {
		find("keyCertSign without the CA flag (section 4.2.1.9)")
	}
	if bc.CA && len(rdns) == 0 {
		find("a CA has no subject (section 4.1.2.6)")
	}
	if e, ok := c.extension(pkix.OIDExtKeyUsage); ok {
		if oids, ok := pkix.ParseExtKeyUsage(e.Value); !ok || hasTwice(oids) {
			find("extKeyUsage is malformed")
		}
	}
	skid, ok := c.extension(pkix.OIDSubjectKeyID)
	if id, ok2 := pkix.ParseSubjectKeyID(skid.Value); !ok || !ok2 || len(id) == 0 || skid.Critical {
		find("subjectKeyIdentifier is missing, malformed or critical (section 4.2.1.2)")
	}
	akid, ok := c.extension(pkix.OIDAuthorityKeyID)
	if id, ok2 := pkix.ParseAuthorityKeyID(akid.Value); !ok || !ok2 || len(id.KeyID) == 0 || akid.Critical {
		find("authorityKeyIdentifier is missing, without a key identifier, or critical (section 4.2.1.1)")
	}
	san, hasSAN := c.extension(pkix.OIDSubjectAltName)
	if hasSAN {
		if _, ok := pkix.ParseSubjectAltName(san.Value); !ok {
			find("subjectAltName is malformed")
		}
	}
	if len(rdns) == 0 && !san.Critical {
		find("without a subject there must be a critical subjectAltName (section 4.2.1.6)")
	}
	for _, e := range c.extensions {
		if ownRule[e.ID] != "" {
			continue
		}
		if caOnly[e.ID] && !bc.CA {
			find("%s is for CAs only", extensionName(e.ID))
		}
		if err := checkExtension(e); err != nil {
			find("%s: %w", extensionName(e.ID), err)
		}
	}
	if bytes.Equal(c.issuer, c.subject) && !bc.CA {
		find("an end entity has the name of its issuer")
	}
	return errors.Join(errs...)
}
