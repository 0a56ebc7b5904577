package keyfile

import (
	"encoding/pem"
	"fmt"
)

const typeCRL = "X509 CRL"

// ParseCRLs gives the DER of the CRLs of a file: PEM, with text around it, or
// DER. At least one and at most [MaxCertificates] must be there. What is in them
// is not looked at.
func ParseCRLs(data []byte) ([][]byte, error) {
	return sequence{
		what: "CRL",
		pem: func(b *pem.Block) (bool, error) {
			if b.Type != typeCRL {
				return false, fmt.Errorf("a PEM block of type %.40q, and not %q", b.Type, typeCRL)
			}
			return true, nil
		},
		der:  func([]byte) bool { return true },
		bad:  "not whole",
		none: "no CRL in it, neither PEM nor DER",
	}.parse(data)
}
