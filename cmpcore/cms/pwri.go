package cms

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/subtle"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var (
	oidPBKDF2  = pkix.MustOID("1.2.840.113549.1.5.12")
	oidPWRIKEK = pkix.MustOID("1.2.840.113549.1.9.16.3.9")
)

// PasswordOptions are the choices of [ForPassword]. nil and zero fields stand
// for HMAC-SHA256, 100,000 iterations, a salt of 16 octets and id-alg-PWRI-KEK.
type PasswordOptions struct {
	PRF        crypto.Hash
	Iterations int
	SaltSize   int // octets
	// AESWrap protects the key with AES key wrap, as RFC 9481 section 4.3 has
	// it. By default it is id-alg-PWRI-KEK with AES-256 (RFC 3211), the only
	// one that OpenSSL and Bouncy Castle read.
	AESWrap bool
}

// ForPassword encrypts to all who know a password or shared secret, by PBKDF2
// (RFC 9483 section 4.1.6.3). It must meet the default [Policy].
func ForPassword(password []byte, o *PasswordOptions) (*Recipient, error) {
	q := PasswordOptions{}
	if o != nil {
		q = *o
	}
	if q.PRF == 0 {
		q.PRF = crypto.SHA256
	}
	if q.Iterations == 0 {
		q.Iterations = 100_000
	}
	if q.SaltSize == 0 {
		q.SaltSize = 16
	}
	prf := alg.HMACAlgorithm(q.PRF)
	if prf.IsZero() || q.PRF == crypto.SHA1 {
		return nil, unsupported("PBKDF2 with hash %d", q.PRF)
	}
	prf.Parameters = pkix.Null // RFC 8018 appendix B.1.2
	if len(password) == 0 {
		return nil, at("password", alg.ErrSecret)
	}
	d := derivation{prf: q.PRF, iterations: int64(q.Iterations), salt: make([]byte, q.SaltSize)}
	p := (*Policy)(nil).withDefaults()
	if err := d.check(&p, keyWraps[0].keySize); err != nil {
		return nil, err
	}
	password = append([]byte(nil), password...)
	return &Recipient{Password, 3, func(rand io.Reader, cek []byte) ([]byte, error) {
		d := derivation{prf: q.PRF, iterations: int64(q.Iterations), salt: make([]byte, q.SaltSize)}
		if _, err := io.ReadFull(rand, d.salt); err != nil {
			return nil, err
		}
		kek, err := d.key(password, keyWraps[0].keySize)
		if err != nil {
			return nil, err
		}
		defer clear(kek)
		var a pkix.AlgorithmIdentifier
		var wrapped []byte
		if q.AESWrap {
			a = keyWraps[0].algorithm()
			wrapped, err = wrapKey(kek, cek)
		} else {
			iv := make([]byte, aes.BlockSize)
			if _, err := io.ReadFull(rand, iv); err != nil {
				return nil, err
			}
			a = pkix.AlgorithmIdentifier{OID: oidPWRIKEK, Parameters: contentCiphers[0].withIV(iv).Bytes()}
			wrapped, err = wrapPWRI(rand, kek, iv, cek)
		}
		if err != nil {
			return nil, err
		}
		var params, b cryptobyte.Builder
		params.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1OctetString(d.salt)
			b.AddASN1Int64(d.iterations)
			prf.Add(b)
		})
		b.AddASN1(cons(3), func(b *cryptobyte.Builder) {
			b.AddASN1Int64(0)
			pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: params.BytesOrPanic()}.AddTagged(b, cons(0))
			a.Add(b)
			b.AddASN1OctetString(wrapped)
		})
		return b.Bytes()
	}}, nil
}

// passwordRecipient is PasswordRecipientInfo of RFC 5652 section 6.2.4.
type passwordRecipient struct {
	kdf       pkix.AlgorithmIdentifier // zero where absent
	alg       pkix.AlgorithmIdentifier
	encrypted []byte
}

func readPassword(s *cryptobyte.String) (*recipientInfo, error) {
	const where = "pwri"
	var seq, encrypted cryptobyte.String
	if !s.ReadASN1(&seq, cons(3)) {
		return nil, malformed(where)
	}
	version, ok := pkix.ReadInt(&seq, asn1.INTEGER)
	if !ok || version != 0 {
		return nil, malformed(where + ": version")
	}
	r, k := &recipientInfo{technique: Password}, &passwordRecipient{}
	if seq.PeekASN1Tag(cons(0)) {
		if k.kdf, ok = pkix.ReadTaggedAlgorithm(&seq, cons(0)); !ok {
			return nil, malformed(where + ": keyDerivationAlgorithm")
		}
	}
	if k.alg, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&encrypted, asn1.OCTET_STRING) {
		return nil, malformed(where)
	}
	k.encrypted = encrypted
	r.open, r.alg = k.open, k.alg
	return r, end(where, seq)
}

func (k *passwordRecipient) open(_ io.Reader, key *Key, p *Policy, size int) ([]byte, error) {
	if len(key.Password) == 0 {
		return nil, errOtherKey
	}
	if k.kdf.IsZero() {
		return nil, unsupported("password recipient without a key derivation")
	}
	if k.kdf.OID != oidPBKDF2 {
		return nil, unsupported("key derivation %s", short(k.kdf.OID))
	}
	var kekSize int
	var iv []byte
	switch {
	case k.alg.OID == oidPWRIKEK:
		in := cryptobyte.String(k.alg.Parameters)
		a, ok := pkix.ReadAlgorithm(&in)
		if !ok || !in.Empty() {
			return nil, badParameters("id-alg-PWRI-KEK")
		}
		c, err := cipherByOID(a.OID, false)
		if err != nil {
			return nil, at("id-alg-PWRI-KEK", err)
		}
		if iv, ok = readIV(a); !ok {
			return nil, badParameters("id-alg-PWRI-KEK")
		}
		kekSize = c.keySize
	case isKeyWrap(k.alg.OID):
		w, err := wrapByAlgorithm(k.alg)
		if err != nil {
			return nil, err
		}
		kekSize = w.keySize
	default:
		return nil, unsupported("key encryption %s", short(k.alg.OID))
	}
	d, err := readPBKDF2(k.kdf.Parameters, kekSize)
	if err != nil {
		return nil, err
	}
	if err := d.check(p, kekSize); err != nil {
		return nil, err
	}
	// All password recipients of an envelope share the limit.
	p.MaxIterations -= int(d.cost(kekSize))
	kek, err := d.key(key.Password, kekSize)
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	if iv == nil {
		return unwrapKey(kek, k.encrypted, size)
	}
	return unwrapPWRI(kek, iv, k.encrypted, size)
}

// derivation is PBKDF2-params of RFC 8018 appendix A.2.
type derivation struct {
	salt       []byte
	iterations int64
	prf        crypto.Hash
}

func readPBKDF2(params []byte, size int) (d derivation, err error) {
	bad := badParameters("PBKDF2")
	in := cryptobyte.String(params)
	var seq, salt cryptobyte.String
	var ok bool
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&salt, asn1.OCTET_STRING) {
		return d, bad
	}
	d.salt = salt
	if d.iterations, ok = pkix.ReadInt(&seq, asn1.INTEGER); !ok || d.iterations < 1 {
		return d, bad
	}
	if seq.PeekASN1Tag(asn1.INTEGER) {
		if n, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || n != int64(size) {
			return d, bad
		}
	}
	d.prf = crypto.SHA1 // the default
	if !seq.Empty() {
		a, ok := pkix.ReadAlgorithm(&seq)
		if !ok || !seq.Empty() {
			return d, bad
		}
		if d.prf, err = alg.HMACByAlgorithm(a); err != nil {
			return d, at("PBKDF2", err)
		}
	}
	return d, nil
}

func (d *derivation) blocks(size int) int64 { return int64((size + d.prf.Size() - 1) / d.prf.Size()) }

func (d *derivation) cost(size int) int64 { return d.iterations * d.blocks(size) }

// check refuses what would cost too much, or protect too little.
func (d *derivation) check(p *Policy, size int) error {
	blocks := d.blocks(size)
	switch {
	case d.iterations < int64(p.MinIterations):
		return forbidden("PBKDF2 with %d iterations, at least %d are needed", d.iterations, p.MinIterations)
	case d.iterations > int64(p.MaxIterations)/blocks:
		return forbidden("PBKDF2 with %d iterations for %d blocks, at most %d are accepted", d.iterations, blocks, p.MaxIterations)
	case len(d.salt) < p.MinSalt || len(d.salt) > p.MaxSalt:
		return forbidden("PBKDF2 with a salt of %d octets, not %d to %d", len(d.salt), p.MinSalt, p.MaxSalt)
	case d.prf == crypto.SHA1 && p.RefuseSHA1:
		return forbidden("PBKDF2 with SHA-1")
	}
	return nil
}

func (d *derivation) key(password []byte, size int) ([]byte, error) {
	k, err := pbkdf2.Key(d.prf.New, string(password), d.salt, int(d.iterations), size)
	if err != nil {
		return nil, fmt.Errorf("PBKDF2: %w", err)
	}
	return k, nil
}

// wrapPWRI is RFC 3211 section 2.3.1: the length, three check octets, the key
// and padding, encrypted twice in CBC mode as one chain.
func wrapPWRI(rand io.Reader, kek, iv, cek []byte) ([]byte, error) {
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	n := 4 + len(cek)
	out := make([]byte, max(2, (n+aes.BlockSize-1)/aes.BlockSize)*aes.BlockSize)
	if _, err := io.ReadFull(rand, out[n:]); err != nil {
		return nil, err
	}
	out[0], out[1], out[2], out[3] = byte(len(cek)), ^cek[0], ^cek[1], ^cek[2]
	copy(out[4:], cek)
	e := cipher.NewCBCEncrypter(block, iv)
	e.CryptBlocks(out, out)
	e.CryptBlocks(out, out)
	return out, nil
}

// maxPWRI is far beyond the wrapped form of the longest key.
const maxPWRI = 256

// unwrapPWRI is RFC 3211 section 2.3.2. It gives a key of exactly size octets,
// or [ErrDecrypt].
func unwrapPWRI(kek, iv, wrapped []byte, size int) ([]byte, error) {
	n := len(wrapped)
	if n%aes.BlockSize != 0 || n < 2*aes.BlockSize || n > maxPWRI || n < 4+size {
		return nil, ErrDecrypt
	}
	block, err := aes.NewCipher(kek)
	if err != nil {
		return nil, err
	}
	// The outer pass went on from the last block of the inner one, which is the
	// plaintext of its own last block.
	last := make([]byte, aes.BlockSize)
	cipher.NewCBCDecrypter(block, wrapped[n-2*aes.BlockSize:n-aes.BlockSize]).CryptBlocks(last, wrapped[n-aes.BlockSize:])
	out := make([]byte, n)
	cipher.NewCBCDecrypter(block, last).CryptBlocks(out, wrapped)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, out)
	good := subtle.ConstantTimeByteEq(out[0], byte(size))
	for i := range 3 {
		good &= subtle.ConstantTimeByteEq(^out[1+i], out[4+i])
	}
	if good == 0 {
		clear(out)
		return nil, ErrDecrypt
	}
	return out[4 : 4+size], nil
}
