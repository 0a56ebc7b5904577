package cms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

// stdKeyWithID makes an EncKeyWithID with the standard library.
func stdKeyWithID(t testing.TB, identifier any) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if identifier == nil {
		der, err = asn1.Marshal(struct{ Key asn1.RawValue }{asn1.RawValue{FullBytes: pkcs8}})
	} else {
		der, err = asn1.Marshal(struct {
			Key asn1.RawValue
			ID  any
		}{asn1.RawValue{FullBytes: pkcs8}, identifier})
	}
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func TestKeyWithID(t *testing.T) {
	name, err := pkix.ParseDN("CN=a")
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		identifier any
		name, text string
	}{
		"nothing":         {nil, "", ""},
		"a text":          {asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("me")}, "", "me"},
		"a directoryName": {asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}, "CN=a", ""},
	} {
		der, key := stdKeyWithID(t, c.identifier)
		k, err := ParseKeyWithID(der)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		private, err := k.Key.Parse()
		if p, ok := private.(*ecdsa.PrivateKey); err != nil || !ok || !p.Equal(key) {
			t.Errorf("%s: another key: %v", what, err)
		}
		n, ok := k.Name.DirectoryName()
		if k.Text != c.text || ok != (c.name != "") || ok && n.String() != c.name {
			t.Errorf("%s: %q, %q", what, k.Text, n)
		}
		if again, err := MarshalKeyWithID(k); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%s: %v, %x, want %x", what, err, again, der)
		}
		for n := range der {
			if _, err := ParseKeyWithID(der[:n]); err == nil {
				t.Errorf("%s: the first %d octets are enough", what, n)
			}
		}
		if _, err := ParseKeyWithID(append(der[:len(der):len(der)], 0)); err == nil {
			t.Errorf("%s: a trailing octet is no fault", what)
		}
	}
}

func FuzzKeyWithID(f *testing.F) {
	for _, id := range []any{nil, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("me")}} {
		der, _ := stdKeyWithID(f, id)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := ParseKeyWithID(der)
		if err != nil {
			return
		}
		again, err := MarshalKeyWithID(k)
		if err != nil {
			return // a text that is not UTF-8
		}
		if _, err := ParseKeyWithID(again); err != nil {
			t.Error(err)
		}
	})
}
