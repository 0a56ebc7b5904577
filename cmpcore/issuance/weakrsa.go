package issuance

import (
	"errors"
	"fmt"
	"math/big"
)

// smallPrimes are the odd primes below 752, the range that CA/Browser Forum
// requirements (section 6.1.6) and NIST SP 800-89 have a CA rule out.
var smallPrimes = oddPrimesBelow(752)

// rocaMarks tells, for each prime of the ROCA test, which remainders a modulus
// of the flawed generator (CVE-2017-15361) can have: the powers of 65537.
var rocaMarks = func() map[uint64][]bool {
	m := map[uint64][]bool{}
	for _, p := range oddPrimesBelow(168) {
		// The generator's M is the product of the primes up to 167 for the
		// larger sizes; the first 39 primes mark all sizes.
		set := make([]bool, p)
		for x := uint64(1); !set[x]; x = x * 65537 % p {
			set[x] = true
		}
		m[p] = set
	}
	return m
}()

// fermatRounds is how far apart the two primes may be before a factorisation
// by Fermat's method is given up; 100 is what public CAs test.
const fermatRounds = 100

// checkRSA refuses a modulus that has a small factor, that comes from the
// generator of CVE-2017-15361, or whose two primes are so close that anybody
// can find them (CVE-2022-26320).
func checkRSA(n *big.Int) error {
	roca := true
	var rem, prime big.Int
	for _, p := range smallPrimes {
		r := rem.Mod(n, prime.SetUint64(p)).Uint64()
		if r == 0 {
			return fmt.Errorf("the modulus is divisible by %d", p)
		}
		if marks := rocaMarks[p]; marks != nil && !marks[r] {
			roca = false
		}
	}
	if roca {
		return errors.New("the key has the mark of the generator of CVE-2017-15361")
	}
	if closePrimes(n) {
		return errors.New("the two primes are too close to each other")
	}
	return nil
}

// closePrimes tries to write n as a²-b² with a near its root.
func closePrimes(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	b2 := new(big.Int).Mul(a, a)
	if b2.Cmp(n) == 0 {
		return true
	}
	var step, root, square big.Int
	one := big.NewInt(1)
	b2.Sub(b2, n)
	for range fermatRounds {
		// (a+1)² - n = a² - n + 2a + 1
		step.Lsh(a, 1)
		b2.Add(b2, step.Add(&step, one))
		a.Add(a, one)
		// The last six bits rule out four in five before the root is drawn.
		if low := b2.Bits()[0] & 63; squares64>>low&1 == 0 {
			continue
		}
		root.Sqrt(b2)
		if square.Mul(&root, &root).Cmp(b2) == 0 {
			return true
		}
	}
	return false
}

// squares64 has a bit for each remainder that a square leaves when divided by 64.
var squares64 = func() (set uint64) {
	for i := range uint64(64) {
		set |= 1 << (i * i % 64)
	}
	return set
}()

func oddPrimesBelow(limit uint64) (primes []uint64) {
next:
	for n := uint64(3); n < limit; n += 2 {
		for _, p := range primes {
			if n%p == 0 {
				continue next
			}
		}
		primes = append(primes, n)
	}
	return primes
}
