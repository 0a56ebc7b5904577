package alg

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

type (
	stdAlgorithmID struct {
		OID        asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	stdSPKI struct {
		Algorithm stdAlgorithmID
		Key       asn1.BitString
	}
	stdRSAKEMParameters struct {
		KDF    stdAlgorithmID
		Length int
	}
	stdHybrid struct{ KEM, DEM stdAlgorithmID }
)

var (
	stdRSAKEMKey = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 3, 14}
	stdRSAKEM    = asn1.ObjectIdentifier{1, 0, 18033, 2, 2, 4}
	stdKDF2      = asn1.ObjectIdentifier{1, 3, 133, 16, 840, 9, 44, 1, 1}
	stdSHA256    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	stdSHA512    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
	stdWrap256   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 45}
)

func stdMarshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// hybrid makes the parameters of a key for RSA-KEM with the standard library.
func hybrid(t testing.TB, kdf, hash asn1.ObjectIdentifier, length int, dem asn1.ObjectIdentifier) asn1.RawValue {
	t.Helper()
	p := stdRSAKEMParameters{KDF: stdAlgorithmID{OID: kdf, Parameters: asn1.RawValue{FullBytes: stdMarshal(t, stdAlgorithmID{OID: hash})}}, Length: length}
	return asn1.RawValue{FullBytes: stdMarshal(t, stdHybrid{
		KEM: stdAlgorithmID{OID: stdRSAKEM, Parameters: asn1.RawValue{FullBytes: stdMarshal(t, p)}},
		DEM: stdAlgorithmID{OID: dem},
	})}
}

func rsaKEMSPKI(t testing.TB, k *rsa.PublicKey, params asn1.RawValue) pkix.SubjectPublicKeyInfo {
	t.Helper()
	key := x509.MarshalPKCS1PublicKey(k)
	return stdMarshal(t, stdSPKI{stdAlgorithmID{stdRSAKEMKey, params}, asn1.BitString{Bytes: key, BitLength: 8 * len(key)}})
}

func TestKeysForRSAKEMAlone(t *testing.T) {
	k := testKey(t, "rsa-2048").(*rsa.PrivateKey)
	for name, params := range map[string]asn1.RawValue{"any components": {}, "KDF2, SHA-512, AES-256": hybrid(t, stdKDF2, stdSHA512, 32, stdWrap256)} {
		t.Run(name, func(t *testing.T) {
			spki := rsaKEMSPKI(t, &k.PublicKey, params)
			pub, err := ParsePublicKey(spki)
			if err != nil {
				t.Fatal(err)
			}
			if KeyType(pub) != "rsa-kem-2048" || Uses(pub) != UseEncapsulate {
				t.Errorf("%q, %v", KeyType(pub), Uses(pub))
			}
			if back, err := MarshalPublicKey(pub); err != nil || !bytes.Equal(back, spki) {
				t.Errorf("%x, %v", back, err)
			}
			if !Opens(k, pub) || Opens(testKey(t, "rsa-3072"), pub) || !Opens(k, &k.PublicKey) {
				t.Error("Opens is wrong")
			}
			again, _ := ParsePublicKey(spki)
			if !equal(pub, again) || equal(pub, &k.PublicKey) {
				t.Error("Equal is wrong")
			}
			kem, ct, ss, err := Encapsulate(rand.Reader, pub)
			if err != nil || !IsKEM(kem) {
				t.Fatal(err)
			}
			if got, err := Decapsulate(rand.Reader, k, kem, ct); err != nil || !bytes.Equal(got, ss) {
				t.Errorf("%x, want %x, %v", got, ss, err)
			}
			kdf, n, wrap, ok := pub.(*RSAKEMPublicKey).Components()
			if !ok {
				if params.FullBytes != nil {
					t.Error("no components")
				}
				return
			}
			if kdf.OID.String() != stdKDF2.String() || n != 32 || wrap.OID.String() != stdWrap256.String() {
				t.Errorf("%v, %d, %v", kdf, n, wrap)
			}
			// The KEM's own parameters are those of the key.
			var h stdHybrid
			if _, err := asn1.Unmarshal(params.FullBytes, &h); err != nil || !bytes.Equal(kem.Parameters, h.KEM.Parameters.FullBytes) {
				t.Errorf("%x, %v", kem.Parameters, err)
			}
		})
	}
	plain, _ := ParsePublicKey(rsaKEMSPKI(t, &k.PublicKey, asn1.RawValue{}))
	if err := Verify(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.840.113549.1.1.11"), Parameters: pkix.Null}, plain, []byte("m"), make([]byte, 256), nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("a signature by a key for RSA-KEM: %v", err)
	}
}

func TestKeysForRSAKEMThatAreRefused(t *testing.T) {
	k := testKey(t, "rsa-2048").(*rsa.PrivateKey)
	for name, c := range map[string]struct {
		params asn1.RawValue
		want   error
	}{
		"NULL":               {asn1.RawValue{FullBytes: pkix.Null}, ErrParameters},
		"an empty SEQUENCE":  {asn1.RawValue{FullBytes: []byte{0x30, 0}}, ErrParameters},
		"another KEM":        {asn1.RawValue{FullBytes: stdMarshal(t, stdHybrid{stdAlgorithmID{OID: stdSHA256}, stdAlgorithmID{OID: stdWrap256}})}, ErrParameters},
		"no parameters":      {asn1.RawValue{FullBytes: stdMarshal(t, stdHybrid{stdAlgorithmID{OID: stdRSAKEM}, stdAlgorithmID{OID: stdWrap256}})}, ErrParameters},
		"an unknown KDF":     {hybrid(t, stdSHA256, stdSHA256, 16, stdWrap256), ErrUnsupported},
		"a KDF with SHA-1":   {hybrid(t, stdKDF2, asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, 16, stdWrap256), ErrForbidden},
		"too short a secret": {hybrid(t, stdKDF2, stdSHA256, 1, stdWrap256), ErrForbidden},
		"too long a secret":  {hybrid(t, stdKDF2, stdSHA256, 1<<20, stdWrap256), ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParsePublicKey(rsaKEMSPKI(t, &k.PublicKey, c.params)); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	even := rsa.PublicKey{N: k.N, E: 4}
	if _, err := ParsePublicKey(rsaKEMSPKI(t, &even, asn1.RawValue{})); !errors.Is(err, ErrKey) {
		t.Errorf("an even exponent: %v", err)
	}
	if _, _, _, err := EncapsulateRSA(rand.Reader, crypto.PublicKey(testKey(t, "ecdsa-p256").Public()), KDF3Algorithm(), 16); !errors.Is(err, ErrMismatch) {
		t.Errorf("RSA-KEM to an EC key: %v", err)
	}
}
