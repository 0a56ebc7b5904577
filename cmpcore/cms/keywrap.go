package cms

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
	"slices"

	"cmp-batch/cmpcore/pkix"
)

// keyWrap is a row of the table of AES key wrap (RFC 3394, RFC 3565 section
// 2.3.2). Its identifiers have no parameters.
type keyWrap struct {
	oid     pkix.OID
	keySize int
}

var keyWraps = []*keyWrap{
	{pkix.MustOID("2.16.840.1.101.3.4.1.45"), 32}, // the first is written by default
	{pkix.MustOID("2.16.840.1.101.3.4.1.25"), 24},
	{pkix.MustOID("2.16.840.1.101.3.4.1.5"), 16},
}

func wrapBySize(size int) (*keyWrap, error) {
	if size == 0 {
		return keyWraps[0], nil
	}
	i := slices.IndexFunc(keyWraps, func(w *keyWrap) bool { return w.keySize == size })
	if i < 0 {
		return nil, unsupported("AES key wrap with a key of %d octets", size)
	}
	return keyWraps[i], nil
}

func isKeyWrap(o pkix.OID) bool {
	return slices.ContainsFunc(keyWraps, func(w *keyWrap) bool { return w.oid == o })
}

// wrapByAlgorithm reads an identifier. NULL for the absent parameters is
// accepted: some write it, and key derivation covers what was written.
func wrapByAlgorithm(a pkix.AlgorithmIdentifier) (*keyWrap, error) {
	i := slices.IndexFunc(keyWraps, func(w *keyWrap) bool { return w.oid == a.OID })
	if i < 0 {
		return nil, unsupported("key wrap %s", short(a.OID))
	}
	if a.Parameters != nil && string(a.Parameters) != string(pkix.Null) {
		return nil, badParameters("AES key wrap")
	}
	return keyWraps[i], nil
}

func (w *keyWrap) algorithm() pkix.AlgorithmIdentifier { return pkix.AlgorithmIdentifier{OID: w.oid} }

// wrapIV is the initial value of RFC 3394 section 2.2.3.1.
const wrapIV = 0xa6a6a6a6a6a6a6a6

// wrapKey wraps a key of at least two 8-octet blocks.
func wrapKey(kek, key []byte) ([]byte, error) {
	n := len(key) / 8
	if len(key)%8 != 0 || n < 2 {
		return nil, unsupported("AES key wrap of a key of %d octets", len(key))
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 8+len(key))
	copy(out[8:], key)
	var buf [16]byte
	a := uint64(wrapIV)
	for t := uint64(0); t < uint64(6*n); t++ {
		r := out[8+8*(t%uint64(n)):][:8]
		binary.BigEndian.PutUint64(buf[:8], a)
		copy(buf[8:], r)
		block.Encrypt(buf[:], buf[:])
		a = binary.BigEndian.Uint64(buf[:8]) ^ (t + 1)
		copy(r, buf[8:])
	}
	binary.BigEndian.PutUint64(out, a)
	return out, nil
}

// unwrapKey gives a key of exactly size octets, or [ErrDecrypt].
func unwrapKey(kek, wrapped []byte, size int) ([]byte, error) {
	n := size / 8
	if len(wrapped) != size+8 || size%8 != 0 || n < 2 {
		return nil, ErrDecrypt
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(wrapped[8:])
	var buf [16]byte
	a := binary.BigEndian.Uint64(wrapped)
	for t := uint64(6 * n); t > 0; t-- {
		r := out[8*((t-1)%uint64(n)):][:8]
		binary.BigEndian.PutUint64(buf[:8], a^t)
		copy(buf[8:], r)
		block.Decrypt(buf[:], buf[:])
		a = binary.BigEndian.Uint64(buf[:8])
		copy(r, buf[8:])
	}
	var want, got [8]byte
	binary.BigEndian.PutUint64(want[:], wrapIV)
	binary.BigEndian.PutUint64(got[:], a)
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		clear(out)
		return nil, ErrDecrypt
	}
	return out, nil
}
