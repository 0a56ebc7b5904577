package pkix

import (
	"encoding/asn1"
	"testing"
)

func TestOID(t *testing.T) {
	for _, s := range []string{"1.2.840.113533.7.66.13", "2.16.840.1.101.2.1.2.78.5", "2.999.1", "0.9.2342.19200300.100.1.25", "1.3.6.1.5.5.7.4.0"} {
		var want asn1.ObjectIdentifier
		o, err := ParseOID(s)
		if err != nil {
			t.Fatal(err)
		}
		b := append([]byte{6, byte(len(o))}, o...)
		if _, err := asn1.Unmarshal(b, &want); err != nil {
			t.Fatalf("%s: %x: %v", s, b, err)
		}
		if want.String() != s || o.String() != s {
			t.Errorf("%s: written as %s, read as %s", s, want, o)
		}
	}
	for _, s := range []string{"", "1", "3.1", "1.40", "1.2.x", "1.02", "1..2", "-1.2"} {
		if _, err := ParseOID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}
