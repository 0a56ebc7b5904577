package cms

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// ValuePolicy says which EncryptedValues (RFC 4211 section 2.1, RFC 4210 section
// 5.2.2) are opened: the deprecated form that EnvelopedData has replaced. It has
// no integrity, and does not say whom it is for, nor whose its content is.
type ValuePolicy uint8

// The policies. What opens any takes RSA encryption of PKCS #1 v1.5 too.
const (
	ValuesRefused   ValuePolicy = iota
	ValuesAES                   // AES in CBC mode
	ValuesTripleDES             // DES-EDE3-CBC too
)

// ErrOldEncryption is what a ValuePolicy refuses. It wraps alg.ErrForbidden.
var ErrOldEncryption = fmt.Errorf("not taken in EncryptedValue: %w", alg.ErrForbidden)

// valuePolicies are the words of configurations and commands.
var valuePolicies = map[string]ValuePolicy{"none": ValuesRefused, "aes": ValuesAES, "3des": ValuesTripleDES}

// ValuePolicyNames are the words for [ValuePolicyByName], the strictest first.
var ValuePolicyNames = []string{"none", "aes", "3des"}

// ValuePolicyByName reads one of [ValuePolicyNames].
func ValuePolicyByName(name string) (ValuePolicy, bool) {
	p, ok := valuePolicies[name]
	return p, ok
}

var oidTripleDES = pkix.MustOID("1.2.840.113549.3.7") // DES-EDE3-CBC, RFC 3370 section 5.1

// OpenValue gives what an EncryptedValue holds, by the private key of an RSA key
// pair or a crypto.Decrypter for one. intendedAlg and valueHint are not looked at:
// what is inside says what it is. The error wraps [ErrNoRecipient] where the key
// is of another kind, [ErrDecrypt] where key or content do not decrypt, whatever
// the reason, [ErrOldEncryption] for what the policy refuses, or an error of package
// alg for an algorithm that is not supported or malformed.
//
// The content is not authenticated, and a wrong key may give any octets. Who
// answers those that sent it must not tell this from content that is not what it
// should be.
func OpenValue(rand io.Reader, v *crmf.EncryptedValue, private crypto.PrivateKey, p ValuePolicy) ([]byte, error) {
	const where = "encryptedValue"
	content, err := openValue(rand, v, private, p)
	if errors.Is(err, errOtherKey) {
		err = ErrNoRecipient
	}
	if err != nil {
		return nil, at(where, err)
	}
	return content, nil
}

func openValue(rand io.Reader, v *crmf.EncryptedValue, private crypto.PrivateKey, p ValuePolicy) ([]byte, error) {
	switch {
	case p == ValuesRefused:
		return nil, at("the deprecated form", ErrOldEncryption)
	case v.SymmAlg.IsZero() || v.EncSymmKey == nil || v.KeyAlg.IsZero():
		return nil, unsupported("without symmAlg, encSymmKey or keyAlg")
	}
	size, newCipher, err := valueCipher(v.SymmAlg.OID, p)
	if err != nil {
		return nil, err
	}
	block, err := newCipher(make([]byte, size))
	if err != nil {
		return nil, err
	}
	in := cryptobyte.String(v.SymmAlg.Parameters)
	var iv cryptobyte.String
	switch n := block.BlockSize(); {
	case !in.ReadASN1(&iv, asn1.OCTET_STRING) || !in.Empty() || len(iv) != n:
		return nil, badParameters("CBC mode")
	case len(v.EncValue) == 0 || len(v.EncValue)%n != 0:
		return nil, ErrDecrypt
	case len(v.EncValue) > maxStructure:
		return nil, ErrTooLarge
	}
	// An RSA decryption that fails gives a random key: RFC 3218 section 2.3.2.
	k := keyTransport{alg: v.KeyAlg, encrypted: v.EncSymmKey}
	key, err := k.open(rand, &Key{Private: private}, &Policy{AllowPKCS1v15: true}, size)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if block, err = newCipher(key); err != nil {
		return nil, err
	}
	return decryptBlocks(block, iv, v.EncValue)
}

// valueCipher gives the size of the key, and the cipher.
func valueCipher(oid pkix.OID, p ValuePolicy) (int, func([]byte) (cipher.Block, error), error) {
	if oid == oidTripleDES {
		if p != ValuesTripleDES {
			return 0, nil, at("DES-EDE3-CBC", ErrOldEncryption)
		}
		return 24, des.NewTripleDESCipher, nil
	}
	c, err := cipherByOID(oid, false)
	if err != nil {
		return 0, nil, err
	}
	return c.keySize, aes.NewCipher, nil
}

// SealValue makes an EncryptedValue, for peers that read nothing else: AES-256-CBC
// under a key that RSA encrypts by PKCS #1 v1.5, which is what those read. intended
// is the algorithm of a private key that is the content; zero: left out.
func SealValue(rand io.Reader, pub crypto.PublicKey, intended pkix.AlgorithmIdentifier, content []byte) (*crmf.EncryptedValue, error) {
	to, ok := pub.(*rsa.PublicKey)
	if !ok {
		return nil, at("encryptedValue to a key of type "+alg.KeyType(pub), alg.ErrMismatch)
	}
	c, err := cipherByName("", false)
	if err != nil {
		return nil, err
	}
	key := make([]byte, c.keySize)
	defer clear(key)
	if _, err := io.ReadFull(rand, key); err != nil {
		return nil, err
	}
	//lint:ignore SA1019 peers that read this deprecated form read no other encryption
	encrypted, err := rsa.EncryptPKCS1v15(rand, to, key)
	if err != nil {
		return nil, at("encryptedValue", err)
	}
	v := &crmf.EncryptedValue{IntendedAlg: intended, EncSymmKey: encrypted, KeyAlg: pkix.AlgorithmIdentifier{OID: oidRSA, Parameters: pkix.Null}}
	if v.SymmAlg, v.EncValue, err = c.encryptCBC(rand, key, content); err != nil {
		return nil, at("encryptedValue", err)
	}
	return v, nil
}

// OpenKeyValue gives the private key that an EncryptedValue holds as a
// PrivateKeyInfo. All that is wrong with the ciphertext is [ErrDecrypt].
func OpenKeyValue(rand io.Reader, v *crmf.EncryptedValue, private crypto.PrivateKey, p ValuePolicy) (crypto.PrivateKey, error) {
	content, err := OpenValue(rand, v, private, p)
	if err != nil {
		return nil, err
	}
	defer clear(content)
	k, err := ParseOneAsymmetricKey(content)
	if err != nil {
		return nil, at("encryptedValue", ErrDecrypt)
	}
	return k.Parse()
}

// SealKeyValue makes an EncryptedValue of a private key, as [SealValue] does.
func SealKeyValue(rand io.Reader, pub crypto.PublicKey, private crypto.PrivateKey) (*crmf.EncryptedValue, error) {
	pkcs8, err := alg.MarshalPrivateKey(private)
	if err != nil {
		return nil, err
	}
	defer clear(pkcs8)
	k, err := ParseOneAsymmetricKey(pkcs8)
	if err != nil {
		return nil, err
	}
	intended := k.Algorithm
	intended.Parameters = bytes.Clone(intended.Parameters) // outlives pkcs8
	return SealValue(rand, pub, intended, pkcs8)
}
