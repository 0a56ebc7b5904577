package alg

import (
	"crypto/sha3"
	"encoding/binary"
	"hash"
)

// shakeHash is SHAKE with an output of fixed size as a hash.Hash.
type shakeHash struct {
	*sha3.SHAKE
	size int
}

func (h *shakeHash) Size() int { return h.size }

// Sum leaves the state as it is, so that more can be written.
func (h *shakeHash) Sum(b []byte) []byte {
	state := *h.SHAKE
	out := make([]byte, h.size)
	state.Read(out)
	return append(b, out...)
}

// kmac is KMAC of NIST SP 800-185 section 4 with an output of fixed size.
type kmac struct {
	shakeHash
	start *sha3.SHAKE // the state with the key in it
}

// newKMAC makes KMAC128 or KMAC256 with an output of size octets.
func newKMAC(bits int, key, customization []byte, size int) hash.Hash {
	cshake, rate := sha3.NewCSHAKE128, 168
	if bits == 256 {
		cshake, rate = sha3.NewCSHAKE256, 136
	}
	s := cshake([]byte("KMAC"), customization)
	// bytepad(encode_string(key), rate)
	b := leftEncode(nil, uint64(rate))
	b = append(leftEncode(b, uint64(len(key))*8), key...)
	b = append(b, make([]byte, (rate-len(b)%rate)%rate)...)
	s.Write(b)
	start := *s
	return &kmac{shakeHash{s, size}, &start}
}

func (h *kmac) Reset() { *h.SHAKE = *h.start }

func (h *kmac) Sum(b []byte) []byte {
	state := *h.SHAKE
	state.Write(rightEncode(uint64(h.size) * 8))
	out := make([]byte, h.size)
	state.Read(out)
	return append(b, out...)
}

// leftEncode and rightEncode are of NIST SP 800-185 section 2.3.1.
func leftEncode(b []byte, v uint64) []byte {
	n := minimal(v)
	return append(append(b, byte(len(n))), n...)
}

func rightEncode(v uint64) []byte {
	n := minimal(v)
	return append(n, byte(len(n)))
}

func minimal(v uint64) []byte {
	n := binary.BigEndian.AppendUint64(nil, v)
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	return n
}
