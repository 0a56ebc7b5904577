package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

const typeCRL = "X509 CRL"

// ParseCRLs gives the DER of the CRLs of a file: PEM, with text around it, or
// DER. At least one and at most [MaxCertificates] must be there. What is in them
// is not looked at.
func ParseCRLs(data []byte) ([][]byte, error) {
	var list [][]byte
	if len(data) > 0 && data[0] == 0x30 {
		in := cryptobyte.String(data)
		for !in.Empty() {
			var c cryptobyte.String
			if !in.ReadASN1Element(&c, asn1.SEQUENCE) {
				return nil, fmt.Errorf("CRL %d: not whole", len(list)+1)
			}
			if list = append(list, c); len(list) > MaxCertificates {
				return nil, errTooMany
			}
		}
		return list, nil
	}
	for {
		b, rest := pem.Decode(data)
		if b == nil {
			break
		}
		if taken := data[:len(data)-len(rest)]; bytes.Count(taken, []byte("-----BEGIN")) > 1 {
			return nil, fmt.Errorf("CRL %d: damaged PEM", len(list)+1)
		}
		data = rest
		if b.Type != typeCRL {
			return nil, fmt.Errorf("CRL %d: a PEM block of type %.40q, and not %q", len(list)+1, b.Type, typeCRL)
		}
		if list = append(list, b.Bytes); len(list) > MaxCertificates {
			return nil, errTooMany
		}
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, errors.New("damaged PEM at the end")
	}
	if len(list) == 0 {
		return nil, errors.New("no CRL in it, neither PEM nor DER")
	}
	return list, nil
}
