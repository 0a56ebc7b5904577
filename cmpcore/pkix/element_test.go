package pkix

import (
	"bytes"
	stdasn1 "encoding/asn1"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func built(t *testing.T, add func(*cryptobyte.Builder)) []byte {
	t.Helper()
	var b cryptobyte.Builder
	add(&b)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestIntegersAsTheStandardLibraryHasThem(t *testing.T) {
	var numbers []*big.Int
	for _, shift := range []uint{0, 7, 8, 15, 16, 31, 63, 64, 127, 128, 160, 1000} {
		for d := int64(-2); d <= 2; d++ {
			n := new(big.Int).Lsh(big.NewInt(1), shift)
			n.Add(n, big.NewInt(d))
			numbers = append(numbers, n, new(big.Int).Neg(n))
		}
	}
	for _, n := range numbers {
		want, err := stdasn1.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := built(t, func(b *cryptobyte.Builder) { AddInteger(b, asn1.INTEGER, n) }); !bytes.Equal(got, want) {
			t.Errorf("%v: written %x, want %x", n, got, want)
		}
		s := cryptobyte.String(want)
		if got, ok := ReadInteger(&s, asn1.INTEGER); !ok || got.Cmp(n) != 0 {
			t.Errorf("%v: read %v, %v", n, got, ok)
		}
		s = want
		if got, ok := ReadInt(&s, asn1.INTEGER); ok != n.IsInt64() || ok && got != n.Int64() {
			t.Errorf("%v: read %v, %v", n, got, ok)
		}
	}
	for name, der := range map[string][]byte{
		"empty":          {2, 0},
		"positive, long": {2, 2, 0, 0x7f},
		"negative, long": {2, 2, 0xff, 0x80},
		"huge":           append([]byte{2, 0x82, 4, 1}, bytes.Repeat([]byte{1}, 1025)...),
	} {
		s := cryptobyte.String(der)
		if n, ok := ReadInteger(&s, asn1.INTEGER); ok {
			t.Errorf("%s: %v", name, n)
		}
	}
}

func TestBitStrings(t *testing.T) {
	tests := []struct {
		der    []byte
		ok     bool
		unused int
	}{
		{[]byte{3, 1, 0}, true, 0},
		{[]byte{3, 2, 0, 0xff}, true, 0},
		{[]byte{3, 2, 3, 0xf8}, true, 3},
		{[]byte{3, 2, 3, 0xfc}, false, 0},
		{[]byte{3, 1, 1}, false, 0},
		{[]byte{3, 2, 8, 0}, false, 0},
		{[]byte{3, 0}, false, 0},
	}
	for _, tt := range tests {
		s := cryptobyte.String(tt.der)
		bits, unused, ok := ReadBitString(&s, asn1.BIT_STRING)
		if ok != tt.ok || ok && (unused != tt.unused || !bytes.Equal(bits, tt.der[3:])) {
			t.Errorf("%x: %x, %d, %v", tt.der, bits, unused, ok)
		}
		var std stdasn1.BitString
		if _, err := stdasn1.Unmarshal(tt.der, &std); (err == nil) != tt.ok {
			t.Errorf("%x: encoding/asn1: %v", tt.der, err)
		}
		s = tt.der
		if _, ok := ReadBits(&s, asn1.BIT_STRING); ok != (tt.ok && tt.unused == 0) {
			t.Errorf("%x: whole octets: %v", tt.der, ok)
		}
	}
}

func TestNamedBits(t *testing.T) {
	for set, want := range map[uint32][]byte{
		0:                 {3, 1, 0},
		1:                 {3, 2, 7, 0x80},
		1 << 7:            {3, 2, 0, 1},
		1 << 8:            {3, 3, 7, 0, 0x80},
		1<<9 | 1:          {3, 3, 6, 0x80, 0x40},
		1 << 31:           {3, 5, 0, 0, 0, 0, 1},
		0xffffffff:        {3, 5, 0, 0xff, 0xff, 0xff, 0xff},
		1<<26 | 1<<20 | 2: {3, 5, 5, 0x40, 0, 0x08, 0x20},
	} {
		if got := built(t, func(b *cryptobyte.Builder) { AddNamedBits(b, set) }); !bytes.Equal(got, want) {
			t.Errorf("%x: written %x, want %x", set, got, want)
		}
		s := cryptobyte.String(want)
		if got, ok := ReadNamedBits(&s); !ok || got != set {
			t.Errorf("%x: read %x, %v", set, got, ok)
		}
	}
	for _, der := range [][]byte{{3, 2, 0, 0x80}, {3, 2, 0, 0}, {3, 6, 7, 0, 0, 0, 0, 0x80}} {
		s := cryptobyte.String(der)
		if got, ok := ReadNamedBits(&s); ok {
			t.Errorf("%x: read %x", der, got)
		}
	}
}

func TestTimes(t *testing.T) {
	tests := []struct {
		der   string // tag and contents
		year  int
		ok    bool // as Time
		exact bool // as GeneralizedTime with fractions
	}{
		{"\x17500101000000Z", 1950, true, false},
		{"\x17491231235959Z", 2049, true, false},
		{"\x18" + "20500101000000Z", 2050, true, true},
		{"\x18" + "99991231235959Z", 9999, true, true},
		{"\x18" + "20491231235959Z", 2049, false, true},
		{"\x18" + "20500101000000.5Z", 2050, false, true},
		{"\x18" + "20500101000000.123456789Z", 2050, false, true},
		{"\x18" + "20500101000000.1234567891Z", 0, false, false},
		{"\x18" + "20500101000000.50Z", 0, false, false},
		{"\x18" + "20500101000000.Z", 0, false, false},
		{"\x18" + "20500101000000,5Z", 0, false, false},
		{"\x18" + "20500101000000", 0, false, false},
		{"\x18" + "205001010000Z", 0, false, false},
		{"\x18" + "20500101000000+0000", 0, false, false},
		{"\x18" + "20501301000000Z", 0, false, false},
		{"\x18" + "20500001000000Z", 0, false, false},
		{"\x18" + "20500229000000Z", 0, false, false},
		{"\x18" + "20520229000000Z", 2052, true, true},
		{"\x18" + "20500101240000Z", 0, false, false},
		{"\x18" + "20500101006000Z", 0, false, false},
		{"\x18" + "20500101000060Z", 0, false, false},
		{"\x18" + "2050010100000 Z", 0, false, false},
		{"\x18" + "00010101000000Z", 0, false, false}, // the zero time
		{"\x177001010000Z", 0, false, false},
		{"\x17700101000000+0000", 0, false, false},
		{"\x17700132000000Z", 0, false, false},
		{"\x17x00101000000Z", 0, false, false},
	}
	for _, tt := range tests {
		der := append([]byte{tt.der[0], byte(len(tt.der) - 1)}, tt.der[1:]...)
		s := cryptobyte.String(der)
		got, ok := ReadTime(&s)
		if ok != tt.ok || ok && got.Year() != tt.year {
			t.Errorf("%q as Time: %v, %v", tt.der, got, ok)
		}
		if ok {
			if again := built(t, func(b *cryptobyte.Builder) { AddTime(b, got) }); !bytes.Equal(again, der) {
				t.Errorf("%q written as %q", der, again)
			}
		}
		s = der
		got, ok = ReadExactTime(&s)
		if ok != tt.exact || ok && got.Year() != tt.year {
			t.Errorf("%q as GeneralizedTime: %v, %v", tt.der, got, ok)
		}
		if ok {
			if again := built(t, func(b *cryptobyte.Builder) { AddExactTime(b, got) }); !bytes.Equal(again, der) {
				t.Errorf("%q written as %q", der, again)
			}
		}
	}
	zone := time.FixedZone("", 3600)
	for _, tt := range []struct {
		time time.Time
		want string
	}{
		{time.Date(2050, 1, 1, 0, 30, 0, 0, zone), "\x17\x0d491231233000Z"},
		{time.Date(2049, 12, 31, 23, 59, 59, 999, time.UTC), "\x17\x0d491231235959Z"},
		{NoExpiry, "\x18\x0f99991231235959Z"},
	} {
		if got := built(t, func(b *cryptobyte.Builder) { AddTime(b, tt.time) }); string(got) != tt.want {
			t.Errorf("%v written as %q", tt.time, got)
		}
	}
	for _, bad := range []time.Time{{}, time.Date(1949, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		var b cryptobyte.Builder
		AddTime(&b, bad)
		if der, err := b.Bytes(); err == nil {
			t.Errorf("%v written as %q", bad, der)
		}
	}
}

func TestElementLengths(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 1 << 24} {
		c := make([]byte, n)
		want, err := stdasn1.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if got := built(t, func(b *cryptobyte.Builder) { AddElement(b, asn1.OCTET_STRING, c) }); !bytes.Equal(got, want) {
			t.Errorf("%d octets: header %x, want %x", n, got[:8], want[:8])
		}
		if got := headerSize(n) + n; got != len(want) {
			t.Errorf("%d octets: size %d, want %d", n, got, len(want))
		}
	}
}
