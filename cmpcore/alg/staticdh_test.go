package alg

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

// exampleDhSigStatic is the value in the PKCS #10 request of RFC 6955 appendix B
// and RFC 2875 appendix B.
const exampleDhSigStatic = "306a30523048" +
	"310b3009060355040613025553" + "3111300f060355040a13085845544920496e63" +
	"3110300e060355040b130754657374696e67" + "311430120603550403130b526f6f7420445341204341" +
	"020600da39b6e2cb" + "04142d0577fe5e8f65f5afadc95c9b02c0a888296163"

func TestDhSigStaticOfTheExample(t *testing.T) {
	v, err := ParseDHSigStatic(fromHex(t, exampleDhSigStatic))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Issuer.String(); !strings.Contains(got, "CN=Root DSA CA") || !strings.Contains(got, "O=XETI Inc") {
		t.Errorf("issuer %s", got)
	}
	if v.Serial.Cmp(big.NewInt(0xda39b6e2cb)) != 0 || hex.EncodeToString(v.MAC) != "2d0577fe5e8f65f5afadc95c9b02c0a888296163" {
		t.Errorf("serial %x, MAC %x", v.Serial, v.MAC)
	}
	s := &StaticDH{of: StaticRecipient{Issuer: v.Issuer, Serial: v.Serial}}
	if der, err := s.marshal(v.MAC); err != nil || hex.EncodeToString(der) != exampleDhSigStatic {
		t.Errorf("written %x, %v", der, err)
	}
}

func fromHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func name(t testing.TB, s string) pkix.Name {
	t.Helper()
	n, err := pkix.ParseDN(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// opensslPrivate makes a key with openssl and reads it.
func opensslPrivate(t *testing.T, o openssl, file string, args ...string) crypto.PrivateKey {
	t.Helper()
	o.run(append([]string{"genpkey", "-out", file}, args...)...)
	b, _ := pem.Decode(o.read(file))
	k, err := ParsePrivateKey(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// openssl derives the secret, the key and the MAC of RFC 6955, each with its own
// tool.
func TestStaticECDHAsOpenSSLComputesIt(t *testing.T) {
	of := StaticRecipient{Subject: name(t, "CN=CA agreement,O=Example"), Issuer: name(t, "CN=Root,O=Example"), Serial: big.NewInt(4711)}
	message := []byte("the CertRequest, or CertificationRequestInfo")
	for kind, c := range map[string]struct {
		args []string
		oid  string
	}{
		"p256":   {[]string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, "1.3.6.1.5.5.7.6.26"},
		"p384":   {[]string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"}, "1.3.6.1.5.5.7.6.27"},
		"p521":   {[]string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"}, "1.3.6.1.5.5.7.6.28"},
		"x25519": {[]string{"-algorithm", "X25519"}, "1.3.6.1.5.5.7.6.26"},
		"x448":   {[]string{"-algorithm", "X448"}, "1.3.6.1.5.5.7.6.28"},
	} {
		t.Run(kind, func(t *testing.T) {
			o := newOpenSSL(t)
			own := opensslPrivate(t, o, "own.pem", c.args...)
			ca := opensslPrivate(t, o, "ca.pem", c.args...)
			public := func(k crypto.PrivateKey) crypto.PublicKey {
				return k.(interface{ Public() crypto.PublicKey }).Public()
			}
			o.run("pkey", "-in", "ca.pem", "-pubout", "-out", "ca.pub")
			o.run("pkeyutl", "-derive", "-inkey", "own.pem", "-peerkey", "ca.pub", "-out", "zz")
			o.write("keydata", bytes.Join([][]byte{of.Subject, o.read("zz"), of.Issuer}, nil))
			o.write("message", message)

			if a, err := StaticPOPFor(public(own)); err != nil || a.OID.String() != c.oid || a.Parameters != nil {
				t.Errorf("chosen: %s, %v", a.OID, err)
			}
			mine, err := NewStaticDH(own, public(ca), of)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := NewStaticDH(ca, public(own), of)
			if err != nil {
				t.Fatal(err)
			}
			for oid, hash := range map[string]string{"1.3.6.1.5.5.7.6.25": "sha224", "1.3.6.1.5.5.7.6.26": "sha256", "1.3.6.1.5.5.7.6.27": "sha384", "1.3.6.1.5.5.7.6.28": "sha512", "": "sha1"} {
				o.run("dgst", "-"+hash, "-binary", "-out", "key", "keydata")
				o.run("dgst", "-"+hash, "-mac", "HMAC", "-macopt", "hexkey:"+hex.EncodeToString(o.read("key")), "-binary", "-out", "mac", "message")
				want := o.read("mac")
				if oid == "" {
					if err := theirs.VerifyDHMAC(message, want); err != nil {
						t.Errorf("dhMAC: %v", err)
					}
					if err := theirs.VerifyDHMAC([]byte("another"), want); !errors.Is(err, ErrSignature) {
						t.Errorf("dhMAC of another message: %v", err)
					}
					continue
				}
				a := pkix.AlgorithmIdentifier{OID: pkix.MustOID(oid)}
				got, err := mine.Sign(a, message)
				if err != nil {
					t.Fatal(err)
				}
				v, err := ParseDHSigStatic(got)
				if err != nil || !bytes.Equal(v.MAC, want) || !bytes.Equal(v.Issuer, of.Issuer) || v.Serial.Cmp(of.Serial) != 0 {
					t.Errorf("%s: %x, want %x, %v", hash, v.MAC, want, err)
				}
				if err := theirs.Verify(a, message, got, nil); err != nil {
					t.Errorf("%s: %v", hash, err)
				}
				if err := theirs.Verify(a, append(message, 1), got, nil); !errors.Is(err, ErrSignature) {
					t.Errorf("%s of another message: %v", hash, err)
				}
			}
		})
	}
}

func TestStaticDHRefuses(t *testing.T) {
	k, err := GenerateAnyKey(zeros{}, "ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	pub := k.(interface{ Public() crypto.PublicKey }).Public()
	of := StaticRecipient{Subject: name(t, "CN=a"), Issuer: name(t, "CN=b"), Serial: big.NewInt(1)}
	s, err := NewStaticDH(k, pub, of)
	if err != nil {
		t.Fatal(err)
	}
	sha256 := pkix.MustOID("1.3.6.1.5.5.7.6.26")
	good, err := s.Sign(pkix.AlgorithmIdentifier{OID: sha256}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sibling := &StaticDH{s.secret, StaticRecipient{Subject: of.Subject, Issuer: of.Issuer, Serial: big.NewInt(2)}}
	renewed, err := sibling.Sign(pkix.AlgorithmIdentifier{OID: sha256}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		a     pkix.AlgorithmIdentifier
		value []byte
		want  error
	}{
		"good":                 {pkix.AlgorithmIdentifier{OID: sha256}, good, nil},
		"good, NULL":           {pkix.AlgorithmIdentifier{OID: sha256, Parameters: pkix.Null}, good, nil},
		"parameters":           {pkix.AlgorithmIdentifier{OID: sha256, Parameters: []byte{4, 0}}, good, ErrParameters},
		"another hash":         {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.6.1.5.5.7.6.27")}, good, ErrSignature},
		"DH of another kind":   {pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.6.1.5.5.7.6.16")}, good, ErrUnsupported},
		"DHBasedMac, nothing":  {pkix.AlgorithmIdentifier{OID: oidDHBM}, good, ErrParameters},
		"another serial":       {pkix.AlgorithmIdentifier{OID: sha256}, renewed, ErrSignature},
		"empty":                {pkix.AlgorithmIdentifier{OID: sha256}, nil, ErrSignature},
		"a trailing octet":     {pkix.AlgorithmIdentifier{OID: sha256}, append(good[:len(good):len(good)], 0), ErrSignature},
		"an octet less":        {pkix.AlgorithmIdentifier{OID: sha256}, good[:len(good)-1], ErrSignature},
		"an empty MAC":         {pkix.AlgorithmIdentifier{OID: sha256}, []byte{0x30, 2, 4, 0}, ErrSignature},
		"no MAC":               {pkix.AlgorithmIdentifier{OID: sha256}, []byte{0x30, 0}, ErrSignature},
		"an issuer that is no": {pkix.AlgorithmIdentifier{OID: sha256}, []byte{0x30, 4, 0x30, 0, 4, 0}, ErrSignature},
	} {
		if err := s.Verify(c.a, nil, c.value, nil); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := s.Sign(pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3")}, nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("Sign: %v", err)
	}
	ed, err := GenerateAnyKey(zeros{}, "ed25519")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := StaticPOPFor(ed.(crypto.Signer).Public()); !errors.Is(err, ErrMismatch) {
		t.Errorf("for Ed25519: %v", err)
	}
	if _, err := NewStaticDH(ed, pub, of); !errors.Is(err, ErrMismatch) {
		t.Errorf("with Ed25519: %v", err)
	}
}

func TestWipedKeysAreGone(t *testing.T) {
	for _, kind := range []string{"rsa-2048", "ecdsa-p384", "ed25519", "x448", "ml-kem-512"} {
		k, err := GenerateAnyKey(rand.Reader, kind)
		if err != nil {
			t.Fatal(err)
		}
		before, err := MarshalPrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		WipePrivateKey(k)
		if after, err := MarshalPrivateKey(k); err == nil && bytes.Equal(after, before) {
			t.Errorf("%s is still there", kind)
		}
	}
}

func FuzzParseDHSigStatic(f *testing.F) {
	seed := fromHex(f, exampleDhSigStatic)
	if len(seed) == 0 {
		f.Fatal("no seed")
	}
	f.Add(seed)
	f.Add([]byte{0x30, 2, 4, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseDHSigStatic(b)
		if err != nil {
			return
		}
		if v.Issuer == nil {
			return
		}
		s := &StaticDH{of: StaticRecipient{Issuer: v.Issuer, Serial: v.Serial}}
		if der, err := s.marshal(v.MAC); err != nil || !bytes.Equal(der, b) {
			t.Errorf("%x is written as %x, %v", b, der, err)
		}
	})
}
