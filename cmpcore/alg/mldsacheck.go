package alg

import (
	"crypto/sha3"
	"math/bits"
)

// The check of an expanded ML-DSA private key that no module exports: that its
// t0 is of its s1 and s2 (RFC 9881 section 8, FIPS 204 algorithms 6 and 25). A
// wrong t0 still signs, mostly.

const (
	mldsaQ         = 8380417
	mldsaD         = 13
	mldsaZeta      = 1753
	inverse256modQ = 8347681
)

type mldsaPoly [256]uint64

// mldsaZetas are the powers of FIPS 204 appendix B, in the order of the NTT.
var mldsaZetas = func() (z mldsaPoly) {
	power := [256]uint64{1}
	for i := 1; i < 256; i++ {
		power[i] = power[i-1] * mldsaZeta % mldsaQ
	}
	for i := range z {
		z[i] = power[bits.Reverse8(uint8(i))]
	}
	return z
}()

func (p *mldsaPoly) ntt() {
	m := 0
	for half := 128; half >= 1; half /= 2 {
		for start := 0; start < 256; start += 2 * half {
			m++
			for j := start; j < start+half; j++ {
				t := mldsaZetas[m] * p[j+half] % mldsaQ
				p[j+half] = (p[j] + mldsaQ - t) % mldsaQ
				p[j] = (p[j] + t) % mldsaQ
			}
		}
	}
}

func (p *mldsaPoly) inverseNTT() {
	m := 256
	for half := 1; half < 256; half *= 2 {
		for start := 0; start < 256; start += 2 * half {
			m--
			for j := start; j < start+half; j++ {
				t := p[j]
				p[j] = (t + p[j+half]) % mldsaQ
				p[j+half] = (mldsaQ - mldsaZetas[m]) * ((t + mldsaQ - p[j+half]) % mldsaQ) % mldsaQ
			}
		}
	}
	for j := range p {
		p[j] = p[j] * inverse256modQ % mldsaQ
	}
}

// mldsaUniform is RejNTTPoly of FIPS 204 algorithm 30.
func mldsaUniform(rho []byte, column, row byte) (p mldsaPoly) {
	x := sha3.NewSHAKE128()
	x.Write(rho)
	x.Write([]byte{column, row})
	var b [3]byte
	for i := 0; i < len(p); {
		x.Read(b[:])
		if v := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2]&0x7f)<<16; v < mldsaQ {
			p[i] = v
			i++
		}
	}
	return p
}

// unpackMLDSA reads polynomials whose coefficients c are packed as top-c.
func unpackMLDSA(packed []byte, polys, width int, top uint64) []mldsaPoly {
	out := make([]mldsaPoly, polys)
	var acc uint64
	have, next := 0, 0
	for i := range out {
		for j := range out[i] {
			for ; have < width; have += 8 {
				acc |= uint64(packed[next]) << have
				next++
			}
			out[i][j] = (top + mldsaQ - acc&(1<<width-1)) % mldsaQ
			acc, have = acc>>width, have-width
		}
	}
	return out
}

// lowBitsFit computes t of A, s1 and s2 and compares its low bits with t0. Rows
// and columns are those of the matrix, k and l.
func lowBitsFit(key []byte, rows, columns, etaBits int, eta uint64) bool {
	at, size := 128, 32*etaBits
	s1 := unpackMLDSA(key[at:], columns, etaBits, eta)
	at += columns * size
	s2 := unpackMLDSA(key[at:], rows, etaBits, eta)
	at += rows * size
	t0 := unpackMLDSA(key[at:], rows, mldsaD, 1<<(mldsaD-1))
	for i := range s1 {
		s1[i].ntt()
	}
	for r := range rows {
		var t mldsaPoly
		for c := range columns {
			a := mldsaUniform(key[:32], byte(c), byte(r))
			for j := range t {
				t[j] = (t[j] + a[j]*s1[c][j]) % mldsaQ
			}
		}
		t.inverseNTT()
		for j := range t {
			v := (t[j] + s2[r][j]) % mldsaQ
			low := v & (1<<mldsaD - 1)
			if low > 1<<(mldsaD-1) {
				low += mldsaQ - 1<<mldsaD
			}
			if low%mldsaQ != t0[r][j] {
				return false
			}
		}
	}
	return true
}
