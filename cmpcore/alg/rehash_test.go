package alg

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

func TestHashingAgainIsAsSumDoesIt(t *testing.T) {
	if !statesAreHashes {
		t.Error("the state of a SHA-256 is not its hash in this version of Go: PBM takes twice as long")
	}
	for _, n := range []int{0, 1, 2, 499, 10_000} {
		want := sha256.Sum256([]byte("secret and salt"))
		got := want
		for range n {
			want = sha256.Sum256(want[:])
		}
		h := sha256.New()
		h.Write([]byte("what h was used for before"))
		if !rehash256(h, got[:], n) || got != want {
			t.Errorf("%d times: %x, want %x", n, got, want)
		}
	}
	short := []byte("short")
	if rehash256(sha256.New(), short, 1) || !bytes.Equal(short, []byte("short")) {
		t.Error("what is no hash was hashed")
	}
}
