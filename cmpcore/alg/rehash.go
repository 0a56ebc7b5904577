package alg

import (
	"crypto/sha256"
	"encoding"
	"hash"
)

// A serialized SHA-256 begins with four octets of a magic number, then its
// state: the hash, after a block that is complete and padded.
const stateAt = 4

// padding256 is what follows 32 octets in their only block (FIPS 180-4 section
// 5.1.1).
var padding256 = [32]byte{0: 0x80, 30: 0x01}

// statesAreHashes tells whether this Go serializes a SHA-256 as it ever did.
var statesAreHashes = func() bool {
	var zero [sha256.Size]byte
	got := zero
	want := sha256.Sum256(zero[:])
	return restate256(sha256.New(), got[:], 1) && got == want
}()

// rehash256 replaces k by SHA-256(k), n times over, with h. It is false, and k
// as it was, where that has to be done by h.Sum.
func rehash256(h hash.Hash, k []byte, n int) bool {
	return statesAreHashes && len(k) == sha256.Size && restate256(h, k, n)
}

// restate256 writes each hash with its padding as one whole block and takes the
// next from the state. Sum would copy the state, pad, and copy the block: as
// much work again as the block itself.
func restate256(h hash.Hash, k []byte, n int) bool {
	s, ok := h.(encoding.BinaryAppender)
	if !ok {
		return false
	}
	var block [sha256.BlockSize]byte
	copy(block[:], k)
	copy(block[sha256.Size:], padding256[:])
	buf := make([]byte, 0, 128)
	for range n {
		h.Reset()
		h.Write(block[:])
		state, err := s.AppendBinary(buf)
		if err != nil || len(state) < stateAt+sha256.Size {
			return false
		}
		copy(block[:sha256.Size], state[stateAt:])
	}
	copy(k, block[:sha256.Size])
	return true
}
