package der_test

import (
	"fmt"

	"cmp-batch/cmpcore/der"
)

// A file that grows is whole when it is as long as its first octets say.
func ExampleSize() {
	written := []byte{0x30, 0x82, 0x01, 0x0a, 0x02}
	whole, err := der.Size(written)
	fmt.Println(len(written), "of", whole, err)
	// Output: 5 of 270 <nil>
}

func ExampleScan() {
	fmt.Println(der.Scan([]byte{0x30, 0x03, 0x02, 0x01, 0x05}, der.Limits{}))
	// BER is not DER: a length in two octets where one does.
	fmt.Println(der.Scan([]byte{0x30, 0x81, 0x03, 0x02, 0x01, 0x05}, der.Limits{}) != nil)
	// Output:
	// <nil>
	// true
}
