package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// stdValue is an EncryptedValue (RFC 4211 section 2.1) as encoding/asn1 writes it.
type stdValue struct {
	SymmAlg    stdAlgorithm   `asn1:"tag:1"`
	EncSymmKey asn1.BitString `asn1:"tag:2"`
	KeyAlg     stdAlgorithm   `asn1:"tag:3"`
	EncValue   asn1.BitString
}

type stdAlgorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

func stdBits(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

var (
	stdRSA  = stdAlgorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, asn1.NullRawValue}
	stdOAEP = stdAlgorithm{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 7}, asn1.RawValue{FullBytes: []byte{0x30, 0}}} // SHA-1 throughout
	std3DES = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
)

func stdAES(last int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, last}
}

// stdSeal makes an EncryptedValue with the standard library alone. wrap gives
// encSymmKey.
func stdSeal(t testing.TB, oid asn1.ObjectIdentifier, keySize int, newCipher func([]byte) (cipher.Block, error), keyAlg stdAlgorithm, wrap func(key []byte) ([]byte, error), content []byte) *crmf.EncryptedValue {
	t.Helper()
	key := make([]byte, keySize)
	rand.Read(key)
	block := must[cipher.Block](t)(newCipher(key))
	iv := make([]byte, block.BlockSize())
	rand.Read(iv)
	n := len(iv) - len(content)%len(iv)
	data := append(bytes.Clone(content), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	params := must[[]byte](t)(asn1.Marshal(iv))
	der := must[[]byte](t)(asn1.Marshal(stdValue{
		SymmAlg: stdAlgorithm{oid, asn1.RawValue{FullBytes: params}}, EncSymmKey: stdBits(must[[]byte](t)(wrap(key))), KeyAlg: keyAlg, EncValue: stdBits(data)}))
	return must[*crmf.EncryptedValue](t)(crmf.ParseEncryptedValue(der))
}

func stdWrap(pub *rsa.PublicKey) func([]byte) ([]byte, error) {
	//lint:ignore SA1019 the form that is to be read
	return func(key []byte) ([]byte, error) { return rsa.EncryptPKCS1v15(rand.Reader, pub, key) }
}

func TestEncryptedValuesOfTheStandardLibrary(t *testing.T) {
	private := everybody(t)["rsa"].key.(*rsa.PrivateKey)
	pub := &private.PublicKey
	sha256OAEP := must[[]byte](t)(transportAlgorithm(t, pub))
	for _, c := range []struct {
		name   string
		oid    asn1.ObjectIdentifier
		size   int
		cipher func([]byte) (cipher.Block, error)
		least  ValuePolicy
	}{
		{"aes-128", stdAES(2), 16, aes.NewCipher, ValuesAES},
		{"aes-192", stdAES(22), 24, aes.NewCipher, ValuesAES},
		{"aes-256", stdAES(42), 32, aes.NewCipher, ValuesAES},
		{"des-ede3", std3DES, 24, des.NewTripleDESCipher, ValuesTripleDES},
	} {
		for _, k := range []struct {
			name string
			alg  stdAlgorithm
			wrap func([]byte) ([]byte, error)
		}{
			{"pkcs1", stdRSA, stdWrap(pub)},
			{"pkcs1 without parameters", stdAlgorithm{Algorithm: stdRSA.Algorithm}, stdWrap(pub)},
			{"oaep sha-1", stdOAEP, func(key []byte) ([]byte, error) { return rsa.EncryptOAEP(sha1.New(), rand.Reader, pub, key, nil) }},
			{"oaep sha-256", stdAlgorithm{stdOAEP.Algorithm, asn1.RawValue{FullBytes: sha256OAEP}}, func(key []byte) ([]byte, error) {
				return rsa.EncryptOAEP(sha256.New(), rand.Reader, pub, key, nil)
			}},
		} {
			for n := range 18 {
				content := bytes.Repeat([]byte{0xa5}, n)
				v := stdSeal(t, c.oid, c.size, c.cipher, k.alg, k.wrap, content)
				for p := ValuesRefused; p <= ValuesTripleDES; p++ {
					got, err := OpenValue(rand.Reader, v, private, p)
					if p < c.least {
						if !errors.Is(err, ErrOldEncryption) || !errors.Is(err, alg.ErrForbidden) || got != nil {
							t.Fatalf("%s, %s under policy %d: %v", c.name, k.name, p, err)
						}
					} else if err != nil || !bytes.Equal(got, content) {
						t.Fatalf("%s, %s, %d octets under policy %d: %x, %v", c.name, k.name, n, p, got, err)
					}
				}
			}
		}
	}
}

// transportAlgorithm gives the parameters of OAEP with SHA-256, as the recipients
// of envelopes have them and OpenSSL reads them.
func transportAlgorithm(t testing.TB, pub *rsa.PublicKey) ([]byte, error) {
	t.Helper()
	return asn1.Marshal(struct {
		Hash stdAlgorithm `asn1:"explicit,tag:0"`
		MGF  struct {
			Algorithm  asn1.ObjectIdentifier
			Parameters stdAlgorithm
		} `asn1:"explicit,tag:1"`
	}{stdAlgorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.NullRawValue}, struct {
		Algorithm  asn1.ObjectIdentifier
		Parameters stdAlgorithm
	}{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 8}, stdAlgorithm{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, asn1.NullRawValue}}})
}

func TestEncryptedValuesThatDoNotOpen(t *testing.T) {
	private := everybody(t)["rsa"].key.(*rsa.PrivateKey)
	other := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	small := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 3072))
	pub := &private.PublicKey
	good := func() *crmf.EncryptedValue {
		return stdSeal(t, stdAES(42), 32, aes.NewCipher, stdRSA, stdWrap(pub), testContent)
	}
	wrapped := func(key []byte) func([]byte) ([]byte, error) {
		return func([]byte) ([]byte, error) { return stdWrap(pub)(key) }
	}
	aesParams := func(p []byte) func(v *crmf.EncryptedValue) {
		return func(v *crmf.EncryptedValue) { v.SymmAlg.Parameters = p }
	}
	ec := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	for name, c := range map[string]struct {
		change func(*crmf.EncryptedValue)
		key    crypto.PrivateKey
		want   error
	}{
		"no symmAlg":                {func(v *crmf.EncryptedValue) { v.SymmAlg = pkix.AlgorithmIdentifier{} }, private, alg.ErrUnsupported},
		"no encSymmKey":             {func(v *crmf.EncryptedValue) { v.EncSymmKey = nil }, private, alg.ErrUnsupported},
		"no keyAlg":                 {func(v *crmf.EncryptedValue) { v.KeyAlg = pkix.AlgorithmIdentifier{} }, private, alg.ErrUnsupported},
		"AES-GCM":                   {func(v *crmf.EncryptedValue) { v.SymmAlg.OID = pkix.MustOID("2.16.840.1.101.3.4.1.46") }, private, alg.ErrUnsupported},
		"DES":                       {func(v *crmf.EncryptedValue) { v.SymmAlg.OID = pkix.MustOID("1.3.14.3.2.7") }, private, alg.ErrUnsupported},
		"no initial vector":         {aesParams(nil), private, alg.ErrParameters},
		"NULL for one":              {aesParams(pkix.Null), private, alg.ErrParameters},
		"one of 8 octets":           {aesParams([]byte{4, 8, 1, 2, 3, 4, 5, 6, 7, 8}), private, alg.ErrParameters},
		"one, and more":             {aesParams(append(append([]byte{4, 16}, make([]byte, 16)...), 5, 0)), private, alg.ErrParameters},
		"nothing encrypted":         {func(v *crmf.EncryptedValue) { v.EncValue = nil }, private, ErrDecrypt},
		"half a block":              {func(v *crmf.EncryptedValue) { v.EncValue = v.EncValue[:8] }, private, ErrDecrypt},
		"ECDH":                      {func(v *crmf.EncryptedValue) { v.KeyAlg.OID = pkix.MustOID("1.3.132.1.11.1") }, private, alg.ErrUnsupported},
		"parameters of PKCS #1":     {func(v *crmf.EncryptedValue) { v.KeyAlg.Parameters = []byte{0x30, 0} }, private, alg.ErrParameters},
		"OAEP without parameters":   {func(v *crmf.EncryptedValue) { v.KeyAlg = pkix.AlgorithmIdentifier{OID: oidOAEP} }, private, alg.ErrParameters},
		"an EC key":                 {func(*crmf.EncryptedValue) {}, ec, ErrNoRecipient},
		"no key":                    {func(*crmf.EncryptedValue) {}, nil, ErrNoRecipient},
		"more than is ever decoded": {func(v *crmf.EncryptedValue) { v.EncValue = make([]byte, maxStructure+16) }, private, ErrTooLarge},
	} {
		v := good()
		c.change(v)
		if got, err := OpenValue(rand.Reader, v, c.key, ValuesTripleDES); !errors.Is(err, c.want) || got != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}

	// Failures of RSA are those of the cipher, and cannot be told from them: the
	// key is a random one, under which one in 256 contents has a good padding.
	for name, c := range map[string]struct {
		change func(*crmf.EncryptedValue)
		key    crypto.PrivateKey
	}{
		"another key":                  {func(*crmf.EncryptedValue) {}, other},
		"a longer modulus":             {func(*crmf.EncryptedValue) {}, small},
		"encSymmKey that is flipped":   {func(v *crmf.EncryptedValue) { v.EncSymmKey[9] ^= 1 }, private},
		"encSymmKey that is cut":       {func(v *crmf.EncryptedValue) { v.EncSymmKey = v.EncSymmKey[1:] }, private},
		"encSymmKey that is empty":     {func(v *crmf.EncryptedValue) { v.EncSymmKey = []byte{} }, private},
		"encSymmKey above the modulus": {func(v *crmf.EncryptedValue) { v.EncSymmKey = bytes.Repeat([]byte{0xff}, 256) }, private},
		"PKCS #1 said to be OAEP": {func(v *crmf.EncryptedValue) {
			v.KeyAlg = pkix.AlgorithmIdentifier{OID: oidOAEP, Parameters: []byte{0x30, 0}}
		}, private},
		"a key of AES-128 for AES-256": {func(v *crmf.EncryptedValue) {
			v.EncSymmKey = stdSeal(t, stdAES(42), 32, aes.NewCipher, stdRSA, wrapped(make([]byte, 16)), nil).EncSymmKey
		}, private},
		"a padding that is wrong": {func(v *crmf.EncryptedValue) {
			clear(v.EncValue[len(v.EncValue)-32 : len(v.EncValue)-16])
			v.EncValue[len(v.EncValue)-17] = ^v.EncValue[len(v.EncValue)-17]
		}, private},
	} {
		failed := 0
		for range 20 {
			v := good()
			c.change(v)
			got, err := OpenValue(rand.Reader, v, c.key, ValuesTripleDES)
			switch {
			case err == nil && bytes.Equal(got, testContent):
				t.Fatalf("%s: it opens", name)
			case err != nil && (!errors.Is(err, ErrDecrypt) || err.Error() != "encryptedValue: "+ErrDecrypt.Error()):
				t.Fatalf("%s: %v", name, err)
			case err != nil:
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("%s: it always opens", name)
		}
	}
}

func TestPrivateKeysInEncryptedValues(t *testing.T) {
	private := everybody(t)["rsa"].key.(*rsa.PrivateKey)
	ec := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	pkcs8 := must[[]byte](t)(x509.MarshalPKCS8PrivateKey(ec))
	seal := func(content []byte) *crmf.EncryptedValue {
		return stdSeal(t, stdAES(2), 16, aes.NewCipher, stdRSA, stdWrap(&private.PublicKey), content)
	}
	if k, err := OpenKeyValue(rand.Reader, seal(pkcs8), private, ValuesAES); err != nil || !ec.Equal(k) {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"a trailing octet":         {append(bytes.Clone(pkcs8), 0), ErrDecrypt},
		"an octet missing":         {pkcs8[:len(pkcs8)-1], ErrDecrypt},
		"a certificate":            {everybody(t)["rsa"].cert, ErrDecrypt},
		"nothing":                  {nil, ErrDecrypt},
		"an ECPrivateKey":          {must[[]byte](t)(x509.MarshalECPrivateKey(ec)), ErrDecrypt},
		"a scalar of another form": {bytes.Replace(bytes.Clone(pkcs8), []byte{2, 1, 1, 4, 0x20}, []byte{2, 1, 9, 4, 0x20}, 1), ErrPrivateKey},
	} {
		if k, err := OpenKeyValue(rand.Reader, seal(c.content), private, ValuesAES); !errors.Is(err, c.want) || k != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}

	// What we write, as the standard library reads it.
	v := must[*crmf.EncryptedValue](t)(SealKeyValue(rand.Reader, private.Public(), ec))
	var std struct {
		IntendedAlg stdAlgorithm `asn1:"tag:0"`
		stdValue
	}
	der := must[[]byte](t)(v.Bytes())
	if want := must[*OneAsymmetricKey](t)(ParseOneAsymmetricKey(pkcs8)).Algorithm.Parameters; !bytes.Equal(v.IntendedAlg.Parameters, want) {
		t.Errorf("intendedAlg with %x", v.IntendedAlg.Parameters)
	}
	var all asn1.RawValue
	must[[]byte](t)(asn1.Unmarshal(der, &all))
	rest := must[[]byte](t)(asn1.UnmarshalWithParams(all.Bytes, &std.IntendedAlg, "tag:0"))
	rest = must[[]byte](t)(asn1.UnmarshalWithParams(rest, &std.SymmAlg, "tag:1"))
	rest = must[[]byte](t)(asn1.UnmarshalWithParams(rest, &std.EncSymmKey, "tag:2"))
	rest = must[[]byte](t)(asn1.UnmarshalWithParams(rest, &std.KeyAlg, "tag:3"))
	rest = must[[]byte](t)(asn1.Unmarshal(rest, &std.EncValue))
	if len(rest) > 0 || !std.IntendedAlg.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}) || !std.KeyAlg.Algorithm.Equal(stdRSA.Algorithm) || !std.SymmAlg.Algorithm.Equal(stdAES(42)) {
		t.Fatalf("%+v", std)
	}
	//lint:ignore SA1019 as its readers do
	key := must[[]byte](t)(rsa.DecryptPKCS1v15(nil, private, std.EncSymmKey.Bytes))
	plain := make([]byte, len(std.EncValue.Bytes))
	cipher.NewCBCDecrypter(must[cipher.Block](t)(aes.NewCipher(key)), std.SymmAlg.Parameters.Bytes).CryptBlocks(plain, std.EncValue.Bytes)
	plain = plain[:len(plain)-int(plain[len(plain)-1])]
	if k, err := x509.ParsePKCS8PrivateKey(plain); err != nil || !ec.Equal(k) {
		t.Error(err)
	}
	if _, err := SealKeyValue(rand.Reader, ec.Public(), ec); !errors.Is(err, alg.ErrMismatch) {
		t.Errorf("to an EC key: %v", err)
	}
}

func FuzzOpenValue(f *testing.F) {
	private := everybody(f)["rsa"].key.(*rsa.PrivateKey)
	pkcs8 := must[[]byte](f)(x509.MarshalPKCS8PrivateKey(must[*ecdsa.PrivateKey](f)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))))
	for _, v := range []*crmf.EncryptedValue{
		stdSeal(f, stdAES(2), 16, aes.NewCipher, stdRSA, stdWrap(&private.PublicKey), pkcs8),
		stdSeal(f, std3DES, 24, des.NewTripleDESCipher, stdOAEP, stdWrap(&private.PublicKey), pkcs8),
		must[*crmf.EncryptedValue](f)(SealValue(rand.Reader, private.Public(), pkix.AlgorithmIdentifier{}, everybody(f)["rsa"].cert)),
	} {
		v.ValueHint = []byte("hint")
		f.Add(must[[]byte](f)(v.Bytes()))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := crmf.ParseEncryptedValue(b)
		if err != nil {
			return
		}
		if again, err := v.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v: %x became %x", err, b, again)
		}
		if content, err := OpenValue(rand.Reader, v, private, ValuesTripleDES); err != nil && content != nil {
			t.Fatal("content besides an error")
		}
		if k, err := OpenKeyValue(rand.Reader, v, private, ValuesTripleDES); err != nil && k != nil {
			t.Fatal("a key besides an error")
		}
		if _, err := OpenValue(rand.Reader, v, private, ValuesRefused); !errors.Is(err, ErrOldEncryption) {
			t.Fatalf("refused, with %v", err)
		}
	})
}
