package client_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	cpkix "cmp-batch/cmpcore/pkix"
)

// What a CA of CMP's version 2 sends: EncryptedValue (RFC 4211 section 2.1).
func TestTheOldFormOfEncryption(t *testing.T) {
	p := newPKI(t)
	newKey := func() *rsa.PrivateKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	own, other := newKey(), newKey()
	cert := issueFor(t, p.sub, "device 7", own.Public())
	seal := func(to *rsa.PrivateKey, content []byte) *crmf.EncryptedKey {
		v, err := cms.SealValue(rand.Reader, to.Public(), cpkix.AlgorithmIdentifier{}, content)
		if err != nil {
			t.Fatal(err)
		}
		return &crmf.EncryptedKey{Value: v}
	}

	t.Run("a certificate", func(t *testing.T) {
		c := withSecret(secret)
		c.RequestedKeys = []crypto.PrivateKey{own}
		s, req, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: c,
			Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), Key: own, POP: client.POPEncrCert}}})
		if err != nil {
			t.Fatal(err)
		}
		answer := func(k *crmf.EncryptedKey) []byte {
			resp := response(0, cmp.Accepted, nil)
			resp.CertifiedKeyPair = &cmp.CertifiedKeyPair{EncryptedCert: k}
			return reply{body: ip(resp)}.to(t, req)
		}
		good := answer(seal(own, cert))
		check(t, s, good, c, client.ErrEncrypted)
		check(t, s, good, c, cms.ErrOldEncryption)
		c.OldEncryption = cms.ValuesAES
		tripleDES := seal(own, cert)
		tripleDES.Value.SymmAlg.OID = cpkix.MustOID("1.2.840.113549.3.7")
		check(t, s, answer(tripleDES), c, cms.ErrOldEncryption)
		cut := seal(own, cert)
		cut.Value.EncValue = cut.Value.EncValue[1:]
		check(t, s, answer(cut), c, cms.ErrDecrypt)
		r := accept(t, s, good, c)
		hash := sha256.Sum256(cert)
		if _, st := certConf(t, r.Next); !bytes.Equal(st[0].CertHash, hash[:]) || !bytes.Equal(r.Certificates[0].Certificate, cert) {
			t.Errorf("%+v", r)
		}
	})

	key := ecKey(t).(*ecdsa.PrivateKey)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := x509.MarshalPKCS8PrivateKey(ecKey(t))
	if err != nil {
		t.Fatal(err)
	}
	made := issueFor(t, p.sub, "device 7", key.Public())
	spki, err := x509.MarshalPKIXPublicKey(own.Public())
	if err != nil {
		t.Fatal(err)
	}
	options := func() client.Options {
		return client.Options{Kind: cmp.TypeIR, Credentials: withSecret(secret), OldEncryption: true, EncrKey: spki,
			Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), CentralKey: &cpkix.AlgorithmIdentifier{}}}}
	}
	for _, tt := range []struct {
		name   string
		key    *crmf.EncryptedKey
		policy cms.ValuePolicy
		info   cmp.PKIFailureInfo
		err    error // the answer is as if it had not come
	}{
		{"a private key", seal(own, pkcs8), cms.ValuesAES, 0, nil},
		{"one that is not allowed", seal(own, pkcs8), cms.ValuesRefused, 0, client.ErrCredentials},
		{"one of another certificate", seal(own, otherKey), cms.ValuesAES, cmp.IncorrectData, nil},
		{"one to another", seal(other, pkcs8), cms.ValuesAES, cmp.IncorrectData, nil},
		{"no private key", seal(own, made), cms.ValuesAES, cmp.IncorrectData, nil},
		{"one with a trailing octet", seal(own, append(bytes.Clone(pkcs8), 0)), cms.ValuesAES, cmp.IncorrectData, nil},
		{"an empty value", &crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{}}}, cms.ValuesAES, cmp.IncorrectData, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options()
			s, req, err := client.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			if v := parse(t, req).Header.PVNO; v != 2 {
				t.Errorf("pvno %d", v)
			}
			c := o.Credentials
			c.EncrKey, c.OldEncryption = own, tt.policy
			resp := response(0, cmp.Accepted, made)
			resp.CertifiedKeyPair.PrivateKey = tt.key
			answer := reply{body: ip(resp)}.to(t, req)
			if tt.err != nil {
				check(t, s, answer, c, tt.err)
				return
			}
			got := accept(t, s, answer, c)
			_, st := certConf(t, got.Next)
			one := got.Certificates[0]
			if tt.info == 0 {
				if one.Err != nil || !key.Equal(one.Key) || st[0].StatusInfo != nil {
					t.Errorf("%v, key %T", one.Err, one.Key)
				}
			} else if i := st[0].StatusInfo; one.Err == nil || one.Key != nil || i == nil || i.FailInfo != tt.info {
				t.Errorf("%v, certConf with %+v, want %v", one.Err, i, tt.info)
			}
		})
	}

	for _, tt := range []struct {
		name   string
		change func(*client.Options)
		says   string
	}{
		{"nothing opens it", func(o *client.Options) { o.EncrKey = nil }, "RSA key"},
		{"an EC key opens nothing", func(o *client.Options) { o.EncrKey = p.ee.cert.RawSubjectPublicKeyInfo }, "RSA key"},
		{"at pvno 3", func(o *client.Options) { o.PVNO = 3 }, "pvno 2"},
		{"no private key is asked for", func(o *client.Options) {
			o.Certificates[0].CentralKey, o.Certificates[0].Key, o.EncrKey = nil, own, nil
		}, "pvno 2"},
	} {
		o := options()
		tt.change(&o)
		if _, _, err := client.Start(o); !errors.Is(err, client.ErrOptions) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
