package keyfile

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/pbkdf2"
	"golang.org/x/crypto/scrypt"
)

// Iterations is the PBKDF2 count of what is written.
const Iterations = 600_000

// Limits on what an encrypted file may ask for.
const (
	MaxIterations   = 10_000_000
	maxScryptMemory = 256 << 20 // octets: 128 N r
	maxScryptWork   = 1 << 24   // N r p
)

var (
	oidPBES2  = pkix.MustOID("1.2.840.113549.1.5.13")
	oidPBKDF2 = pkix.MustOID("1.2.840.113549.1.5.12")
	oidScrypt = pkix.MustOID("1.3.6.1.4.1.11591.4.11")
)

// contentCipher is a row of the table of ciphers in CBC mode.
type contentCipher struct {
	oid     pkix.OID
	keySize int
	new     func(key []byte) (cipher.Block, error)
}

var contentCiphers = []contentCipher{
	{pkix.MustOID("2.16.840.1.101.3.4.1.42"), 32, aes.NewCipher}, // the first is written
	{pkix.MustOID("2.16.840.1.101.3.4.1.22"), 24, aes.NewCipher},
	{pkix.MustOID("2.16.840.1.101.3.4.1.2"), 16, aes.NewCipher},
	{pkix.MustOID("1.2.840.113549.3.7"), 24, des.NewTripleDESCipher}, // of old files
}

var errMalformed = errors.New("encrypted private key is malformed")

// isEncrypted tells an EncryptedPrivateKeyInfo from a PrivateKeyInfo: the
// latter starts with its version.
func isEncrypted(der []byte) bool {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	return in.ReadASN1(&seq, asn1.SEQUENCE) && seq.PeekASN1Tag(asn1.SEQUENCE)
}

func encryptPBES2(rand io.Reader, plain, passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("the passphrase is empty")
	}
	c := contentCiphers[0]
	random := make([]byte, 16+aes.BlockSize)
	if _, err := io.ReadFull(rand, random); err != nil {
		return nil, err
	}
	salt, iv := random[:16], random[16:]
	key := pbkdf2.Key(passphrase, salt, Iterations, c.keySize, crypto.SHA256.New)
	defer clear(key)
	block, err := c.new(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	var kdf, scheme, params, out cryptobyte.Builder
	kdf.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(salt)
		b.AddASN1Int64(Iterations)
		alg.HMACAlgorithm(crypto.SHA256).Add(b)
	})
	scheme.AddASN1OctetString(iv)
	params.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBKDF2, Parameters: kdf.BytesOrPanic()}.Add(b)
		pkix.AlgorithmIdentifier{OID: c.oid, Parameters: scheme.BytesOrPanic()}.Add(b)
	})
	out.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		pkix.AlgorithmIdentifier{OID: oidPBES2, Parameters: params.BytesOrPanic()}.Add(b)
		b.AddASN1OctetString(data)
	})
	return out.Bytes()
}

// decryptPBES2 gives a PrivateKeyInfo; whatever else comes out of the cipher is
// taken for the work of a wrong passphrase.
func decryptPBES2(der, passphrase []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var seq, data cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, errMalformed
	}
	scheme, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.ReadASN1(&data, asn1.OCTET_STRING) || !seq.Empty() {
		return nil, errMalformed
	}
	if scheme.OID != oidPBES2 {
		return nil, fmt.Errorf(`encryption %.64s is not PBES2: convert the key with "openssl pkcs8 -topk8 -v2 aes-256-cbc"`, scheme.OID)
	}
	in = cryptobyte.String(scheme.Parameters)
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() {
		return nil, errMalformed
	}
	kdf, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return nil, errMalformed
	}
	enc, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return nil, errMalformed
	}
	var c contentCipher
	for _, c = range contentCiphers {
		if c.oid == enc.OID {
			break
		}
	}
	if c.oid != enc.OID {
		return nil, fmt.Errorf("cipher %.64s is not supported", enc.OID)
	}
	blockSize := aes.BlockSize
	if c.oid == contentCiphers[3].oid {
		blockSize = des.BlockSize
	}
	ivIn := cryptobyte.String(enc.Parameters)
	var iv cryptobyte.String
	if !ivIn.ReadASN1(&iv, asn1.OCTET_STRING) || !ivIn.Empty() || len(iv) != blockSize ||
		len(data) == 0 || len(data)%blockSize != 0 {
		return nil, errMalformed
	}
	key, err := deriveKey(kdf, passphrase, c.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := c.new(key)
	if err != nil {
		return nil, err
	}
	plain := bytes.Clone(data)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, plain)
	if plain = unpad(plain, blockSize); plain == nil {
		return nil, ErrPassphrase
	}
	in = cryptobyte.String(plain)
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.PeekASN1Tag(asn1.INTEGER) {
		return nil, ErrPassphrase
	}
	return plain, nil
}

func unpad(b []byte, blockSize int) []byte {
	n := int(b[len(b)-1])
	if n == 0 || n > blockSize {
		return nil
	}
	for _, x := range b[len(b)-n:] {
		if int(x) != n {
			return nil
		}
	}
	return b[:len(b)-n]
}

// deriveKey reads the parameters of PBKDF2 (RFC 8018) or scrypt (RFC 7914
// section 7) and derives, unless that would cost too much.
func deriveKey(kdf pkix.AlgorithmIdentifier, passphrase []byte, size int) ([]byte, error) {
	in := cryptobyte.String(kdf.Parameters)
	var seq, salt cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&salt, asn1.OCTET_STRING) {
		return nil, errMalformed
	}
	switch kdf.OID {
	case oidPBKDF2:
		var iterations int
		if !seq.ReadASN1Integer(&iterations) || iterations < 1 {
			return nil, errMalformed
		}
		if !readKeyLength(&seq, size) {
			return nil, errMalformed
		}
		prf := crypto.SHA1 // the default
		if !seq.Empty() {
			a, ok := pkix.ReadAlgorithm(&seq)
			if !ok || !seq.Empty() {
				return nil, errMalformed
			}
			var err error
			if prf, err = alg.HMACByAlgorithm(a); err != nil {
				return nil, fmt.Errorf("pbkdf2: %w", err)
			}
		}
		if iterations > MaxIterations {
			return nil, fmt.Errorf("pbkdf2 with %d iterations, at most %d are accepted", iterations, MaxIterations)
		}
		return pbkdf2.Key(passphrase, salt, iterations, size, prf.New), nil
	case oidScrypt:
		var n, r, p int64
		if !seq.ReadASN1Integer(&n) || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&p) ||
			!readKeyLength(&seq, size) || !seq.Empty() {
			return nil, errMalformed
		}
		if n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
			return nil, errMalformed
		}
		const most = maxScryptMemory / 128
		if n > most || r > most/n || p > maxScryptWork/(n*r) {
			return nil, fmt.Errorf("scrypt with N=%d, r=%d, p=%d costs more than is accepted", n, r, p)
		}
		return scrypt.Key(passphrase, salt, int(n), int(r), int(p), size)
	}
	return nil, fmt.Errorf("key derivation %.64s is not supported", kdf.OID)
}

// readKeyLength reads the optional length, which must be that of the cipher.
func readKeyLength(s *cryptobyte.String, size int) bool {
	var n int
	return !s.PeekASN1Tag(asn1.INTEGER) || s.ReadASN1Integer(&n) && n == size
}
