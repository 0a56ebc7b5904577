package alg

import (
	"crypto"
	"crypto/rsa"
	"crypto/subtle"
	"fmt"
	"io"
	"math/big"

	"cmp-batch/cmpcore/pkix"
)

// rsaPSSShake is RSASSA-PSS with SHAKE as hash and as mask, without MGF1 (RFC
// 8692 section 4.1). The standard library has no hook for such a mask, so the
// encoding of RFC 8017 section 9.1 is here.
var rsaPSSShake = &signatureKind{
	parameters: func(rows []*signature, a pkix.AlgorithmIdentifier) (scheme, error) {
		s, err := noParameters(rows, a)
		s.salt = rows[0].hash.length()
		return s, err
	},
	written: func(*signature) []byte { return nil },
	fits:    rsaPSS.fits,
	verify: func(s scheme, pub crypto.PublicKey, message, sig []byte) bool {
		k, ok := pub.(*rsa.PublicKey)
		if !ok {
			k = pub.(*PSSPublicKey).Key
		}
		em, ok := rsaPublic(k, sig)
		return ok && verifyPSSShake(s.hash, em, k.N.BitLen()-1, message)
	},
	sign: func(rand io.Reader, s scheme, k crypto.Signer, message []byte) ([]byte, error) {
		key, ok := k.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("RSASSA-PSS with %s by a key in a device: %w", s.hash.name, ErrUnsupported)
		}
		salt := make([]byte, s.salt)
		if _, err := io.ReadFull(rand, salt); err != nil {
			return nil, err
		}
		em, err := encodePSSShake(s.hash, key.N.BitLen()-1, message, salt)
		if err != nil {
			return nil, err
		}
		return rsaPrivate(rand, key, em)
	},
}

// pssHash is H of RFC 8017 section 9.1.1 step 6.
func pssHash(d *digest, message, salt []byte) []byte {
	h := d.new()
	h.Write(make([]byte, 8))
	h.Write(d.sum(nil, message))
	h.Write(salt)
	return h.Sum(nil)
}

// unmask XORs the mask over db and clears the bits beyond emBits.
func unmask(d *digest, db, hash []byte, emBits int) {
	x := d.xof()
	x.Write(hash)
	mask := make([]byte, len(db))
	x.Read(mask)
	subtle.XORBytes(db, db, mask)
	db[0] &= 0xff >> (8*((emBits+7)/8) - emBits)
}

func encodePSSShake(d *digest, emBits int, message, salt []byte) ([]byte, error) {
	n, h := (emBits+7)/8, d.length()
	if n < h+len(salt)+2 {
		return nil, fmt.Errorf("RSASSA-PSS with %s needs a longer key: %w", d.name, ErrMismatch)
	}
	em := make([]byte, n)
	db := em[:n-h-1]
	db[len(db)-len(salt)-1] = 1
	copy(db[len(db)-len(salt):], salt)
	hash := pssHash(d, message, salt)
	unmask(d, db, hash, emBits)
	copy(em[n-h-1:], hash)
	em[n-1] = 0xbc
	return em, nil
}

// verifyPSSShake is RFC 8017 section 9.1.2 with a salt as long as the hash. em
// is as long as the modulus.
func verifyPSSShake(d *digest, em []byte, emBits int, message []byte) bool {
	n, h := (emBits+7)/8, d.length()
	if n < 2*h+2 || len(em) < n {
		return false
	}
	if len(em) > n { // a modulus of 8k+1 bits
		if em[0] != 0 {
			return false
		}
		em = em[1:]
	}
	if em[n-1] != 0xbc || em[0]&^(0xff>>(8*n-emBits)) != 0 {
		return false
	}
	db, hash := em[:n-h-1], em[n-h-1:n-1]
	unmask(d, db, hash, emBits)
	salt := db[len(db)-h:]
	for _, b := range db[:len(db)-h-1] {
		if b != 0 {
			return false
		}
	}
	return db[len(db)-h-1] == 1 && subtle.ConstantTimeCompare(hash, pssHash(d, message, salt)) == 1
}

// rsaPublic is RSAVP1 and RSAEP of RFC 8017 on a value as long as the modulus.
func rsaPublic(k *rsa.PublicKey, value []byte) ([]byte, bool) {
	c := new(big.Int).SetBytes(value)
	if len(value) != k.Size() || c.Cmp(k.N) >= 0 {
		return nil, false
	}
	return c.Exp(c, big.NewInt(int64(k.E)), k.N).FillBytes(make([]byte, k.Size())), true
}

// rsaPrivate is RSASP1 and RSADP of RFC 8017. The value is blinded, as the
// arithmetic takes time that depends on it, and the result is checked, as an
// error in one of the two halves would give the key away.
func rsaPrivate(random io.Reader, k *rsa.PrivateKey, value []byte) ([]byte, error) {
	m := new(big.Int).SetBytes(value)
	if m.Cmp(k.N) >= 0 || len(k.Primes) != 2 {
		return nil, fmt.Errorf("RSA value or key out of range: %w", ErrPrivateKey)
	}
	var r, inverse *big.Int
	for tries := 0; inverse == nil; tries++ {
		if tries == 8 {
			return nil, fmt.Errorf("RSA blinding: the random source gives nothing usable: %w", ErrPrivateKey)
		}
		b := make([]byte, k.Size()+8) // a bias of 2^-64
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, err
		}
		r = new(big.Int).SetBytes(b)
		r.Mod(r, k.N)
		inverse = new(big.Int).ModInverse(r, k.N) // nil for 0 and multiples of a prime
	}
	e := big.NewInt(int64(k.E))
	c := new(big.Int).Exp(r, e, k.N)
	c.Mul(c, m).Mod(c, k.N)

	p, q := k.Primes[0], k.Primes[1]
	one := big.NewInt(1)
	half := func(prime *big.Int) *big.Int {
		d := new(big.Int).Sub(prime, one)
		d.Mod(k.D, d)
		return d.Exp(new(big.Int).Mod(c, prime), d, prime)
	}
	s1, s2 := half(p), half(q)
	h := new(big.Int).ModInverse(q, p)
	s := s1.Sub(s1, s2)
	s.Mul(s, h).Mod(s, p).Mul(s, q).Add(s, s2)
	s.Mul(s, inverse).Mod(s, k.N)
	if new(big.Int).Exp(s, e, k.N).Cmp(m) != 0 {
		return nil, fmt.Errorf("RSA result is wrong: %w", ErrPrivateKey)
	}
	return s.FillBytes(make([]byte, k.Size())), nil
}
