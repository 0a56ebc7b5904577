package cms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// contentCipher is a row of the table of content encryption (RFC 9481 section
// 5; RFC 5084 for GCM).
type contentCipher struct {
	name    string
	oid     pkix.OID
	keySize int
	gcm     bool
}

// contentCiphers is the table; the first of its mode is written by default.
var contentCiphers = []*contentCipher{
	{"aes256-cbc", pkix.MustOID("2.16.840.1.101.3.4.1.42"), 32, false},
	{"aes192-cbc", pkix.MustOID("2.16.840.1.101.3.4.1.22"), 24, false},
	{"aes128-cbc", pkix.MustOID("2.16.840.1.101.3.4.1.2"), 16, false},
	{"aes256-gcm", pkix.MustOID("2.16.840.1.101.3.4.1.46"), 32, true},
	{"aes192-gcm", pkix.MustOID("2.16.840.1.101.3.4.1.26"), 24, true},
	{"aes128-gcm", pkix.MustOID("2.16.840.1.101.3.4.1.6"), 16, true},
}

// CipherNames lists the names for [EncryptOptions].
func CipherNames() []string {
	var names []string
	for _, c := range contentCiphers {
		names = append(names, c.name)
	}
	return names
}

// CipherAlgorithm gives the identifier of one of [CipherNames], without the
// parameters that each use has anew, as preferredSymmAlg names it.
func CipherAlgorithm(name string) (pkix.AlgorithmIdentifier, error) {
	for _, c := range contentCiphers {
		if c.name == name {
			return pkix.AlgorithmIdentifier{OID: c.oid}, nil
		}
	}
	return pkix.AlgorithmIdentifier{}, unsupported("content cipher %.40q", name)
}

func cipherByName(name string, gcm bool) (*contentCipher, error) {
	i := slices.IndexFunc(contentCiphers, func(c *contentCipher) bool {
		return c.gcm == gcm && (name == "" || c.name == name)
	})
	if i < 0 {
		return nil, unsupported("content cipher %.40q", name)
	}
	return contentCiphers[i], nil
}

func cipherByOID(o pkix.OID, gcm bool) (*contentCipher, error) {
	i := slices.IndexFunc(contentCiphers, func(c *contentCipher) bool { return c.gcm == gcm && c.oid == o })
	if i < 0 {
		return nil, unsupported("content cipher %s", short(o))
	}
	return contentCiphers[i], nil
}

// GCM of RFC 5084 section 3.2, with a nonce of the recommended size.
const (
	gcmNonceSize  = 12
	gcmTagSize    = 16 // the longest, which is written
	gcmMinTag     = 12
	gcmDefaultTag = 12
)

// encryptCBC gives the algorithm with its IV and the ciphertext (RFC 5652 section 6.3).
func (c *contentCipher) encryptCBC(rand io.Reader, key, content []byte) (a pkix.AlgorithmIdentifier, data []byte, err error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return a, nil, err
	}
	iv := make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(rand, iv); err != nil {
		return a, nil, err
	}
	pad := aes.BlockSize - len(content)%aes.BlockSize
	data = make([]byte, len(content)+pad)
	for i := copy(data, content); i < len(data); i++ {
		data[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return c.withIV(iv), data, nil
}

func (c *contentCipher) withIV(iv []byte) pkix.AlgorithmIdentifier {
	var b cryptobyte.Builder
	b.AddASN1OctetString(iv)
	return pkix.AlgorithmIdentifier{OID: c.oid, Parameters: b.BytesOrPanic()}
}

// readIV reads the parameters of CBC mode.
func readIV(a pkix.AlgorithmIdentifier) ([]byte, bool) {
	in := cryptobyte.String(a.Parameters)
	var iv cryptobyte.String
	return iv, in.ReadASN1(&iv, asn1.OCTET_STRING) && in.Empty() && len(iv) == aes.BlockSize
}

func decryptCBC(key, iv, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return decryptBlocks(block, iv, data)
}

// decryptBlocks takes time that does not depend on the padding. data is of whole
// blocks, one at least.
func decryptBlocks(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	last := plain[len(plain)-size:]
	pad := int(last[size-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, size)
	for i, x := range last {
		inPad := subtle.ConstantTimeLessOrEq(size-i, pad)
		good &= subtle.ConstantTimeSelect(inPad, subtle.ConstantTimeByteEq(x, byte(pad)), 1)
	}
	if good == 0 {
		clear(plain)
		return nil, ErrDecrypt
	}
	return plain[:len(plain)-pad], nil
}

// encryptGCM gives the parameters, the ciphertext and the tag.
func (c *contentCipher) encryptGCM(rand io.Reader, key, content, aad []byte) (a pkix.AlgorithmIdentifier, data, mac []byte, err error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return a, nil, nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return a, nil, nil, err
	}
	nonce := make([]byte, gcmNonceSize)
	if _, err := io.ReadFull(rand, nonce); err != nil {
		return a, nil, nil, err
	}
	sealed := aead.Seal(nil, nonce, content, aad)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1OctetString(nonce)
		b.AddASN1Int64(gcmTagSize)
	})
	n := len(sealed) - gcmTagSize
	return pkix.AlgorithmIdentifier{OID: c.oid, Parameters: b.BytesOrPanic()}, sealed[:n], sealed[n:], nil
}

// readGCM reads GCMParameters.
func readGCM(a pkix.AlgorithmIdentifier) (nonce []byte, tag int, err error) {
	in := cryptobyte.String(a.Parameters)
	var seq, n cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&n, asn1.OCTET_STRING) || len(n) == 0 {
		return nil, 0, badParameters("AES-GCM")
	}
	tag = gcmDefaultTag
	if !seq.Empty() {
		v, ok := pkix.ReadInt(&seq, asn1.INTEGER)
		if !ok || !seq.Empty() || v == gcmDefaultTag || v < gcmMinTag || v > gcmTagSize {
			return nil, 0, badParameters("AES-GCM")
		}
		tag = int(v)
	}
	if len(n) != gcmNonceSize {
		return nil, 0, unsupported("AES-GCM with a nonce of %d octets", len(n))
	}
	return n, tag, nil
}

func decryptGCM(key, nonce, data, mac, aad []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithTagSize(block, len(mac))
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nonce, slices.Concat(data, mac), aad)
	if err != nil {
		return nil, ErrDecrypt
	}
	return plain, nil
}
