package pkix

import (
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

func TestOID(t *testing.T) {
	for _, s := range []string{"1.2.840.113533.7.66.13", "2.16.840.1.101.2.1.2.78.5", "2.999.1", "0.9.2342.19200300.100.1.25", "1.3.6.1.5.5.7.4.0", "0.0", "1.39", "2.0", "2.47", "2.48"} {
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
	for _, s := range []string{"", "1", "3.1", "1.40", "1.2.x", "1.02", "1..2", "-1.2", "1.+2", "1.2.", ".1.2", "1. 2"} {
		if _, err := ParseOID(s); err == nil {
			t.Errorf("%q accepted", s)
		}
	}
}

// Arcs of any size are in use: UUIDs under 2.25 have 128 bits. crypto/x509
// reads those too.
func TestOIDWithLargeArcs(t *testing.T) {
	for _, s := range []string{
		"2.25.329800735698586629295641978511506172918", "1.2.9223372036854775807", "1.2.9223372036854775808",
		"1.2.18446744073709551615", "1.2.18446744073709551616", "2.18446744073709551615", "2.99999999999999999999999999.1",
		"2.9223372036854775727", "2.9223372036854775728",
	} {
		want, err := x509.ParseOID(s)
		if err != nil {
			t.Fatal(err)
		}
		o, err := ParseOID(s)
		if err != nil || o.String() != s {
			t.Errorf("%s: %v, %v", s, o, err)
			continue
		}
		if der, err := want.MarshalBinary(); err != nil || string(der) != string(o) {
			t.Errorf("%s: %x, want %x", s, string(o), der)
		}
	}
	if got := OID("\x2a\x83").String(); got != "1.2.?" {
		t.Errorf("cut off: %s", got)
	}
	if got := OID("").String(); got != "" {
		t.Errorf("none: %s", got)
	}
}

func TestReadOIDRefuses(t *testing.T) {
	long := append([]byte{6, 0x81, 129}, make([]byte, 129)...)
	for name, der := range map[string][]byte{
		"empty":        {6, 0},
		"leading zero": {6, 3, 0x2a, 0x80, 1},
		"cut off":      {6, 2, 0x2a, 0x83},
		"too long":     long,
		"another tag":  {5, 0},
	} {
		s := cryptobyte.String(der)
		if o, ok := ReadOID(&s); ok {
			t.Errorf("%s: %s", name, o)
		}
	}
	var b cryptobyte.Builder
	OID("\x2a\x83").Add(&b)
	if _, err := b.Bytes(); err == nil {
		t.Error("a cut-off identifier is written")
	}
}

func FuzzOID(f *testing.F) {
	f.Add([]byte(MustOID("2.25.329800735698586629295641978511506172918")))
	f.Add([]byte(MustOID("1.2.840.113549.1.1.1")))
	f.Fuzz(func(t *testing.T, c []byte) {
		_ = OID(c).String()
		if !validOID(c) {
			return
		}
		if o, err := ParseOID(OID(c).String()); err != nil || string(o) != string(c) {
			t.Fatalf("%x as text %s is then %x, %v", c, OID(c), string(o), err)
		}
	})
}
