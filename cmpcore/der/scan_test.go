package der

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"testing"
)

func TestScan(t *testing.T) {
	deep := func(n int) string {
		b := []byte{0x05, 0x00}
		for range n {
			b = append([]byte{0x30, byte(len(b))}, b...)
		}
		return hex.EncodeToString(b)
	}
	tests := []struct {
		name, hex string
		limits    Limits
		want      error
	}{
		{"empty sequence", "3000", Limits{}, nil},
		{"sequence of integer and null", "30050201010500", Limits{}, nil},
		{"explicit tag", "a003020101", Limits{}, nil},
		{"no input", "", Limits{}, ErrTruncated},
		{"tag alone", "30", Limits{}, ErrTruncated},
		{"contents cut off", "3003020101"[:8], Limits{}, ErrTruncated},
		{"length octets cut off", "3082", Limits{}, ErrTruncated},
		{"inner element longer than outer", "3003020401", Limits{}, ErrTruncated},
		{"inner element passes the end of the outer", "300302020101", Limits{}, ErrTruncated},
		{"octets after the end", "300000", Limits{}, ErrTrailing},
		{"indefinite length", "30800000", Limits{}, ErrEncoding},
		{"length in long form though short", "308100", Limits{}, ErrEncoding},
		{"length with leading zero", "3082008002010100", Limits{}, ErrEncoding},
		{"length of five octets", "30850000000000", Limits{}, ErrEncoding},
		{"high tag number", "1f2000", Limits{}, ErrEncoding},
		{"end of contents", "0000", Limits{}, ErrEncoding},
		{"primitive sequence", "1000", Limits{}, ErrEncoding},
		{"constructed octet string", "24020400", Limits{}, ErrEncoding},
		{"at the depth limit", deep(3), Limits{Depth: 4}, nil},
		{"over the depth limit", deep(4), Limits{Depth: 4}, ErrTooDeep},
		{"at the element limit", "300405000500", Limits{Elements: 3}, nil},
		{"over the element limit", "300405000500", Limits{Elements: 2}, ErrTooMany},
		{"over the size limit", "300405000500", Limits{Bytes: 5}, ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.hex)
			if err != nil {
				t.Fatal(err)
			}
			if err := Scan(b, tt.limits); !errors.Is(err, tt.want) {
				t.Fatalf("Scan = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSizeOfAGrowingFile(t *testing.T) {
	whole, err := asn1.Marshal(bytes.Repeat([]byte{7}, 70_000))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if _, err := Size(whole[:n]); !errors.Is(err, ErrTruncated) {
			t.Fatalf("Size of %d octets: %v, want ErrTruncated", n, err)
		}
	}
	for _, n := range []int{5, 100, len(whole)} {
		got, err := Size(whole[:n])
		if err != nil || got != int64(len(whole)) {
			t.Fatalf("Size of %d octets = %d, %v; want %d", n, got, err, len(whole))
		}
	}
}

func TestScanAllocatesNothing(t *testing.T) {
	b, _ := hex.DecodeString("30050201010500")
	if n := testing.AllocsPerRun(100, func() {
		if Scan(b, Limits{}) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

// FuzzScan holds Scan against encoding/asn1: what Scan accepts, the standard
// library takes as one element of the same length.
func FuzzScan(f *testing.F) {
	for _, s := range []string{"3000", "30050201010500", "a003020101", "30800000", "0000", "3082008002010100"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if Scan(b, Limits{}) != nil {
			return
		}
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(b, &v)
		if err != nil || len(rest) != 0 {
			t.Fatalf("Scan accepts %x, encoding/asn1: %v, %d octets left", b, err, len(rest))
		}
		if n, err := Size(b); err != nil || n != int64(len(b)) {
			t.Fatalf("Size = %d, %v for %d octets", n, err, len(b))
		}
	})
}
