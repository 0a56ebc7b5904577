package keyfile

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
)

func chain(t testing.TB, n int) [][]byte {
	t.Helper()
	var certs [][]byte
	k, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		template := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1))}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, der)
	}
	return certs
}

func TestParseCertificates(t *testing.T) {
	certs := chain(t, 3)
	text := MarshalCertificates(certs...)
	key := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	for name, data := range map[string][]byte{
		"PEM":             text,
		"DER":             bytes.Join(certs, nil),
		"with words":      append([]byte("subject=CN=x\n"), text...),
		"with a key":      append(bytes.Clone(key), text...),
		"key at the end":  append(bytes.Clone(text), key...),
		"old PEM type":    bytes.ReplaceAll(text, []byte(" CERTIFICATE"), []byte(" X509 CERTIFICATE")),
		"carriage return": bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
	} {
		got, err := ParseCertificates(data)
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %d certificates, %v", name, len(got), err)
			continue
		}
		for i := range got {
			if !bytes.Equal(got[i], certs[i]) {
				t.Errorf("%s: certificate %d differs", name, i)
			}
		}
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":           {nil, "no certificate found"},
		"a key alone":       {key, "no certificate found"},
		"cut off":           {text[:len(text)-10], "certificate 3: damaged PEM"},
		"first damaged":     {append([]byte("-----BEGIN CERTIFICATE-----\nA\n"), text...), "certificate 1: damaged PEM"},
		"middle damaged":    {bytes.Replace(text, []byte("-----END CERTIFICATE-----\n"), nil, 1), "certificate 1: damaged PEM"},
		"no certificate":    {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "certificate 1: the PEM block"},
		"DER cut off":       {bytes.Join(certs, nil)[:len(certs[0])+50], "certificate 2: not the DER"},
		"DER of another":    {[]byte{0x30, 0}, "certificate 1: not the DER"},
		"DER, then text":    {append(bytes.Clone(certs[0]), "\n"...), "certificate 2"},
		"trusted by itself": {bytes.ReplaceAll(text, []byte(" CERTIFICATE"), []byte(" TRUSTED CERTIFICATE")), "openssl x509"},
	} {
		got, err := ParseCertificates(c.data)
		if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParseCertificates(f *testing.F) {
	certs := chain(f, 2)
	f.Add(bytes.Join(certs, nil))
	f.Add(MarshalCertificates(certs...))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ParseCertificates(data)
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%d certificates with error %v", len(got), err)
		}
		if err != nil {
			return
		}
		again, err := ParseCertificates(MarshalCertificates(got...))
		if err != nil || len(again) != len(got) {
			t.Fatalf("written and read again: %d certificates, %v", len(again), err)
		}
	})
}
