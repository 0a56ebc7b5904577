package client_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"testing"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	cpkix "cmp-batch/cmpcore/pkix"
)

func asKGA(c *x509.Certificate) {
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 32}} // id-kp-cmKGA
}

func TestKeysThatTheCAMade(t *testing.T) {
	p, q := newPKI(t), newPKI(t)
	kga := issue(t, p.sub, "KGA", ecKey(t), asKGA)
	key := ecKey(t)
	cert := issue(t, p.sub, "device 7", key, nil).der()
	to := func(secret string) *cms.Recipient {
		r, err := cms.ForPassword([]byte(secret), &cms.PasswordOptions{Iterations: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	by := func(h *holder, above ...[]byte) *cms.Signer {
		return &cms.Signer{Key: h.key, Chain: append([][]byte{h.der()}, above...)}
	}
	wrap := func(k crypto.PrivateKey, by *cms.Signer, to *cms.Recipient) *crmf.EncryptedKey {
		der, err := cms.WrapPrivateKey(rand.Reader, k, by, to, now, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &crmf.EncryptedKey{Enveloped: der}
	}
	unsigned := func() *crmf.EncryptedKey {
		k, err := cms.NewOneAsymmetricKey(key)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := cms.MarshalKeyPackage(k)
		if err != nil {
			t.Fatal(err)
		}
		der, err := cms.Encrypt(rand.Reader, []*cms.Recipient{to(secret)}, cms.OIDKeyPackage, pkg, nil)
		if err != nil {
			t.Fatal(err)
		}
		return &crmf.EncryptedKey{Enveloped: der}
	}
	tests := []struct {
		name string
		key  *crmf.EncryptedKey
		info cmp.PKIFailureInfo // 0: accepted
		text string
	}{
		{"by a key generation authority", wrap(key, by(kga, p.sub.der()), to(secret)), 0, ""},
		{"by the issuer", wrap(key, by(p.sub), to(secret)), 0, ""},
		{"none", nil, cmp.IncorrectData, "none came"},
		{"in the form of older versions", &crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{1}}}, cmp.BadDataFormat, "EncryptedValue"},
		{"under another secret", wrap(key, by(kga, p.sub.der()), to("another")), cmp.IncorrectData, "does not open"},
		{"of another certificate", wrap(ecKey(t), by(kga, p.sub.der()), to(secret)), cmp.IncorrectData, "not that of the certificate"},
		{"without a signature", unsigned(), cmp.IncorrectData, "not signed"},
		{"by the server", wrap(key, by(p.server, p.sub.der()), to(secret)), cmp.SignerNotTrusted, "neither the issuer"},
		{"by a CA that is not the issuer", wrap(key, by(p.root), to(secret)), cmp.SignerNotTrusted, "neither the issuer"},
		{"by a CA of another root", wrap(key, by(q.sub), to(secret)), cmp.SignerNotTrusted, "not trusted"},
		{"by an authority of another root", wrap(key, by(issue(t, q.sub, "KGA", ecKey(t), asKGA), q.sub.der()), to(secret)), cmp.SignerNotTrusted, "not trusted"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := withSecret(secret)
			any := cpkix.AlgorithmIdentifier{}
			s, req, err := client.Start(client.Options{Kind: cmp.TypeIR, PVNO: 3, Credentials: c,
				Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), CentralKey: &any}}})
			if err != nil {
				t.Fatal(err)
			}
			resp := response(0, cmp.Accepted, cert)
			resp.CertifiedKeyPair.PrivateKey = tt.key
			answer := reply{body: ip(resp), extra: [][]byte{p.sub.der()}}.to(t, req)
			if tt.key != nil && tt.key.Enveloped != nil {
				before := snapshot(t, s)
				if _, err := s.Accept(answer, c); !errors.Is(err, client.ErrCredentials) || snapshot(t, s) != before {
					t.Fatalf("with nobody to trust: %v", err)
				}
			}
			c.Trust.Anchors = [][]byte{p.root.der()}
			r := accept(t, s, answer, c)
			got := r.Certificates[0]
			_, statuses := certConf(t, r.Next)
			if tt.info == 0 {
				if k, ok := got.Key.(interface{ Equal(crypto.PrivateKey) bool }); got.Err != nil || !ok || !k.Equal(key) || statuses[0].StatusInfo != nil {
					t.Errorf("%v, key %T", got.Err, got.Key)
				}
				return
			}
			if got.Err == nil || !strings.Contains(got.Err.Error(), tt.text) || got.Key != nil || got.Certificate != nil {
				t.Errorf("%v, want %q", got.Err, tt.text)
			}
			if i := statuses[0].StatusInfo; i == nil || i.FailInfo != tt.info {
				t.Errorf("certConf with %+v, want %v", i, tt.info)
			}
			if strings.Contains(snapshot(t, s), "PRIVATE") {
				t.Error("the session has a key")
			}
		})
	}
}

// A root with a new key signs keys as itself; who has the old root believes it
// through the link, and nobody through the certificate of a device.
func TestKeysThatARootMadeAfterItsChange(t *testing.T) {
	p := newPKI(t)
	key, rootKey := ecKey(t), ecKey(t)
	next := issue(t, nil, "Root", rootKey, asCA)
	cert := issue(t, next, "device 7", key, nil).der()
	to, err := cms.ForPassword([]byte(secret), &cms.PasswordOptions{Iterations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	der, err := cms.WrapPrivateKey(rand.Reader, key, &cms.Signer{Key: rootKey, Chain: [][]byte{next.der()}}, to, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, link := range map[string]struct {
		link []byte
		good bool
	}{
		"through its link":                  {issue(t, p.root, "Root", rootKey, asCA).der(), true},
		"without one":                       {p.sub.der(), false},
		"a device that calls itself a root": {issue(t, p.root, "Root", rootKey, nil).der(), false},
		"a link by itself":                  {issue(t, next, "Root", rootKey, asCA).der(), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := withSecret(secret)
			c.Trust.Anchors = [][]byte{p.root.der()}
			any := cpkix.AlgorithmIdentifier{}
			s, req, err := client.Start(client.Options{Kind: cmp.TypeIR, PVNO: 3, Credentials: c,
				Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=device 7"), CentralKey: &any}}})
			if err != nil {
				t.Fatal(err)
			}
			resp := response(0, cmp.Accepted, cert)
			resp.CertifiedKeyPair.PrivateKey = &crmf.EncryptedKey{Enveloped: der}
			got := accept(t, s, reply{body: ip(resp), extra: [][]byte{link.link}}.to(t, req), c).Certificates[0]
			if err := got.Err; (err == nil) != (link.good) || err != nil && !strings.Contains(err.Error(), "not trusted") {
				t.Errorf("%v", err)
			}
		})
	}
}
