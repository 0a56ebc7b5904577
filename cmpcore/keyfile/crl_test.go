package keyfile

import (
	"bytes"
	"encoding/pem"
	"strings"
	"testing"
)

func TestParseCRLs(t *testing.T) {
	der := func(s string) []byte { return append([]byte{0x30, byte(len(s))}, s...) }
	block := func(kind, s string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der(s)}))
	}
	a, b := block("X509 CRL", "a"), block("X509 CRL", "b")
	for name, c := range map[string]struct {
		data string
		want int
		err  string
	}{
		"DER":                    {string(der("a")), 1, ""},
		"DER, two":               {string(der("a")) + string(der("b")), 2, ""},
		"PEM":                    {a, 1, ""},
		"PEM with text":          {"Certificate Revocation List (CRL):\n" + a + "text\n" + b, 2, ""},
		"nothing":                {"", 0, "no CRL"},
		"text":                   {"hello", 0, "no CRL"},
		"DER cut off":            {string(der("a"))[:2], 0, "CRL 1: not whole"},
		"DER and something":      {string(der("a")) + "x", 0, "CRL 2: not whole"},
		"a certificate":          {a + block("CERTIFICATE", "c"), 0, `CRL 2: a PEM block of type "CERTIFICATE"`},
		"PEM cut off":            {a + b[:len(b)-10], 0, "damaged PEM"},
		"PEM damaged in between": {strings.Replace(a, "-----END", "----END", 1) + b, 0, "damaged PEM"},
		"too many":               {strings.Repeat(string(der("")), MaxCertificates+1), 0, "more than"},
		"too many, PEM":          {strings.Repeat(block("X509 CRL", ""), MaxCertificates+1), 0, "more than"},
	} {
		list, err := ParseCRLs([]byte(c.data))
		if len(list) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d CRLs, %v", name, len(list), err)
		}
		if len(list) > 0 && !bytes.Equal(list[0], der("a")) {
			t.Errorf("%s: the first is %x", name, list[0])
		}
	}
}

func FuzzParseCRLs(f *testing.F) {
	f.Add([]byte{0x30, 1, 'a', 0x30, 0})
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: []byte{0x30, 0}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseCRLs(data)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%d CRLs, %v", len(list), err)
		}
	})
}
