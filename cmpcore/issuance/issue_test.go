package issuance

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"math/big"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

func TestACertificateSaysWhatProfileAndRequestSay(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	cfg := DefaultProfile()
	cfg.CRLURLs = []string{"http://pki.example/a.crl", "ldap:///CN=x?certificateRevocationList"}
	cfg.OCSPURLs = []string{"http://ocsp.example/"}
	cfg.CAIssuersURLs = []string{"http://pki.example/ca.crt"}
	cfg.Policies = []PolicyConfig{{OID: "1.3.6.1.4.1.99999.1", CPS: "https://pki.example/cps"}, {OID: "2.23.140.1.2.1"}}
	p := mustCompile(t, cfg)
	mail, _ := pkix.NewRFC822Name("ops@example.com")
	uri, _ := pkix.NewURI("urn:dev:ops:32473-1")
	ip4, _ := pkix.NewIPAddress(netip.MustParseAddr("192.0.2.7"))
	ip6, _ := pkix.NewIPAddress(netip.MustParseAddr("2001:db8::7"))
	req := testRequest(t)
	req.Extensions = []pkix.Extension{
		sanExt(t, false, dns(t, "a.example.com"), dns(t, "*.b.example.com"), mail, uri, ip4, ip6,
			pkix.NewDirectoryName(mustDN(t, "CN=other")), pkix.NewRegisteredID(pkix.MustOID("1.2.3.4"))),
		pkix.KeyUsageExtension(pkix.DigitalSignature | pkix.KeyAgreement),
		pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDClientAuth, pkix.OIDServerAuth}),
		pkix.BasicConstraintsExtension(pkix.BasicConstraints{MaxPathLen: -1}),
		pkix.SubjectKeyIDExtension(req.PublicKey.KeyID()),
	}
	req.Validity = &pkix.Validity{NotAfter: testNow.AddDate(2, 0, 0)}
	prep, err := p.Prepare(req, is, testNow)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := hex.DecodeString("00c0ffee000102030405060708090a0b0c0d0e")
	der, err := is.Issue(rand.Reader, prep, serial)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(is.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignatureFrom(ca); err != nil {
		t.Error(err)
	}
	for _, x := range []struct {
		what      string
		got, want any
	}{
		{"mods", prep.Mods, []string(nil)},
		{"version", c.Version, 3},
		{"serial", c.SerialNumber.Text(16), "c0ffee000102030405060708090a0b0c0d0e"},
		{"issuer", c.RawIssuer, ca.RawSubject},
		{"subject", c.RawSubject, []byte(req.Subject)},
		{"key", c.RawSubjectPublicKeyInfo, []byte(req.PublicKey)},
		{"notBefore", c.NotBefore, testNow.Add(-5 * time.Minute)},
		{"notAfter", c.NotAfter, testNow.AddDate(2, 0, 0)},
		{"signature algorithm", c.SignatureAlgorithm, x509.ECDSAWithSHA256},
		{"DNS names", c.DNSNames, []string{"a.example.com", "*.b.example.com"}},
		{"mail", c.EmailAddresses, []string{"ops@example.com"}},
		{"URI", c.URIs[0].String(), "urn:dev:ops:32473-1"},
		{"IPs", fmt.Sprint(c.IPAddresses), "[192.0.2.7 2001:db8::7]"},
		{"key usage", c.KeyUsage, x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement},
		{"EKU", c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}},
		{"basic constraints", c.BasicConstraintsValid && !c.IsCA, true},
		{"SKI", c.SubjectKeyId, req.PublicKey.KeyID()},
		{"AKI", c.AuthorityKeyId, ca.SubjectKeyId},
		{"CDP", c.CRLDistributionPoints, cfg.CRLURLs},
		{"OCSP", c.OCSPServer, cfg.OCSPURLs},
		{"caIssuers", c.IssuingCertificateURL, cfg.CAIssuersURLs},
		{"policies", fmt.Sprint(c.Policies), "[1.3.6.1.4.1.99999.1 2.23.140.1.2.1]"},
		{"unknown critical", len(c.UnhandledCriticalExtensions), 0},
	} {
		if !reflect.DeepEqual(x.got, x.want) {
			t.Errorf("%s: got %v, want %v", x.what, x.got, x.want)
		}
	}
	if !bytes.Equal(prep.Subject, c.RawSubject) || !prep.NotAfter.Equal(c.NotAfter) || !prep.NotBefore.Equal(c.NotBefore) || prep.KeyType != "ecdsa-p256" || prep.Profile != "default" {
		t.Errorf("Prepared tells something else: %+v", prep)
	}
	if _, err := c.Verify(x509.VerifyOptions{Roots: rootPool(t, is), CurrentTime: testNow, DNSName: "a.example.com", KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		t.Error(err)
	}
}

// Every kind of CA key signs for every kind of subject key, and OpenSSL at its
// strictest agrees, with a CRL that has another certificate on it.
func TestOpenSSLVerifiesStrictly(t *testing.T) {
	for _, ca := range []struct{ key, sig string }{
		{"ecdsa-p256", ""}, {"ecdsa-p384", ""}, {"ecdsa-p521", ""}, {"ed25519", ""}, {"rsa-2048", ""}, {"rsa-2048", "rsa-pss-sha256"},
	} {
		t.Run(ca.key+ca.sig, func(t *testing.T) {
			is := testCA(t, ca.key, ca.sig)
			p := mustCompile(t, DefaultProfile())
			dir := t.TempDir()
			var leaves [][]byte
			for i, kt := range []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ed25519", "rsa-2048"} {
				req := testRequest(t)
				req.PublicKey = testSPKI(t, kt, 1)
				if i%2 == 0 {
					req.Subject = pkix.EmptyName
					req.Extensions = []pkix.Extension{sanExt(t, true, dns(t, "x.example"))}
				}
				c, _ := issue(t, p, is, req)
				if _, err := c.Verify(x509.VerifyOptions{Roots: rootPool(t, is), CurrentTime: testNow, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
					t.Errorf("%s: %v", kt, err)
				}
				leaves = append(leaves, c.Raw)
			}
			revoked, err := x509.ParseCertificate(leaves[3])
			if err != nil {
				t.Fatal(err)
			}
			crl, err := is.SignCRL(rand.Reader, 1, testNow, testNow.AddDate(0, 1, 0), entriesOf(
				CRLEntry{Serial: revoked.SerialNumber.Bytes(), RevokedAt: testNow, Reason: 1}))
			if err != nil {
				t.Fatal(err)
			}
			root := pemFile(t, dir, "root.pem", "CERTIFICATE", is.Certificate())
			list := pemFile(t, dir, "crl.pem", "X509 CRL", crl)
			for i, l := range leaves {
				leaf := pemFile(t, dir, "leaf.pem", "CERTIFICATE", l)
				out, err := openssl(t, "verify", "-x509_strict", "-crl_check", "-attime", strconv.FormatInt(testNow.Unix(), 10),
					"-CAfile", root, "-CRLfile", list, leaf)
				if i == 3 {
					if !strings.Contains(out, "certificate revoked") {
						t.Errorf("a revoked certificate verifies: %s", out)
					}
				} else if err != nil {
					t.Errorf("certificate %d: %s", i, out)
				}
			}
			if out, err := openssl(t, "verify", "-x509_strict", "-check_ss_sig", "-attime", strconv.FormatInt(testNow.Unix(), 10), "-CAfile", root, root); err != nil {
				t.Errorf("root: %s", out)
			}
		})
	}
}

func entriesOf(l ...CRLEntry) iter.Seq2[CRLEntry, error] {
	return func(yield func(CRLEntry, error) bool) {
		for _, e := range l {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func TestTheTokenIsGoodForOneCertificateOfOneCA(t *testing.T) {
	is, other := testCA(t, "ecdsa-p256", ""), testCA(t, "ecdsa-p384", "")
	p := mustCompile(t, DefaultProfile())
	prep, err := p.Prepare(testRequest(t), is, testNow)
	if err != nil {
		t.Fatal(err)
	}
	serial, _ := NewSerial(rand.Reader)
	if _, err := other.Issue(rand.Reader, prep, serial); !errors.Is(err, ErrOtherIssuer) {
		t.Errorf("other CA: %v", err)
	}
	for _, p := range []*Prepared{nil, {}} {
		if _, err := is.Issue(rand.Reader, p, serial); !errors.Is(err, ErrOtherIssuer) {
			t.Errorf("a token out of nothing: %v", err)
		}
	}
	// A bad serial number does not spend the token.
	for _, s := range []string{"", "00", "80", "ff01", "0001", "0000000000000000000000000000000000000000", "010203040506070809101112131415161718192021"} {
		b, _ := hex.DecodeString(s)
		if _, err := is.Issue(rand.Reader, prep, b); err == nil || !strings.HasPrefix(err.Error(), "serial number: ") {
			t.Errorf("serial %s: %v", s, err)
		}
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	issued := 0
	for range 8 {
		wg.Go(func() {
			_, err := is.Issue(rand.Reader, prep, serial)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				issued++
			} else if !errors.Is(err, ErrUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if issued != 1 {
		t.Errorf("issued %d times", issued)
	}
}

func TestSerialNumbersAreLargePositiveAndDifferent(t *testing.T) {
	seen := map[string]bool{}
	or, and := make([]byte, SerialSize), bytes.Repeat([]byte{0xff}, SerialSize)
	for range 5000 {
		s, err := NewSerial(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if n := new(big.Int).SetBytes(s); n.BitLen() != 127 || len(s) != 16 || seen[string(s)] || checkSerial(s) != nil {
			t.Fatalf("%x", s)
		}
		seen[string(s)] = true
		for i := range s {
			or[i] |= s[i]
			and[i] &= s[i]
		}
	}
	// All bits but the first two vary.
	if or[0] != 0x7f || and[0] != 0x40 || !bytes.Equal(or[1:], bytes.Repeat([]byte{0xff}, 15)) || !bytes.Equal(and[1:], make([]byte, 15)) {
		t.Errorf("bits that never vary: or %x, and %x", or, and)
	}
	if _, err := NewSerial(bytes.NewReader(make([]byte, 15))); err == nil {
		t.Error("a random source that ends early gave a serial number")
	}
	if s, err := NewSerial(bytes.NewReader(make([]byte, 16))); err != nil || checkSerial(s) != nil {
		t.Errorf("zeros: %x, %v", s, err)
	}
}

func TestDatesHaveTheFormOfTheirYear(t *testing.T) {
	is := caUntil(t, "9999-12-31")
	cfg := DefaultProfile()
	cfg.Validity = ValidityConfig{Default: "1y", Max: "9999-12-31"}
	p := mustCompile(t, cfg)
	for _, x := range []struct{ notAfter, der string }{
		{"2049-12-31T23:59:59Z", "170d3439313233313233353935395a"},
		{"2050-01-01T00:00:00Z", "180f32303530303130313030303030305a"},
		{"9999-12-31T23:59:59Z", "180f39393939313233313233353935395a"}, // RFC 5280 section 4.1.2.5
	} {
		na, err := time.Parse(time.RFC3339, x.notAfter)
		if err != nil {
			t.Fatal(err)
		}
		req := testRequest(t)
		req.Validity = &pkix.Validity{NotAfter: na}
		c, _ := issue(t, p, is, req)
		want, _ := hex.DecodeString(x.der)
		if !c.NotAfter.Equal(na) || !bytes.Contains(c.RawTBSCertificate, want) {
			t.Errorf("%s: %s, %x", x.notAfter, c.NotAfter, c.RawTBSCertificate)
		}
	}
	cfg.Validity = ValidityConfig{Default: "9999-12-31"}
	if c, _ := issue(t, mustCompile(t, cfg), is, testRequest(t)); c.NotAfter != time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) {
		t.Errorf("device identity ends %s", c.NotAfter)
	}
}

func caUntil(t testing.TB, period string) *Issuer {
	t.Helper()
	k := testKey(t, "ecdsa-p256", 0)
	cert, err := SelfSigned(rand.Reader, k, "", mustDN(t, "CN=Root"), mustPeriod(t, period), testNow.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(cert, k, "")
	if err != nil {
		t.Fatal(err)
	}
	return is
}

func TestARootIsWhatOpenSSLAndGoCallARoot(t *testing.T) {
	is := testCA(t, "rsa-2048", "rsa-pss-sha256")
	c, err := x509.ParseCertificate(is.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSignatureFrom(c); err != nil {
		t.Error(err)
	}
	if !c.IsCA || c.MaxPathLen != -1 || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature ||
		!bytes.Equal(c.SubjectKeyId, c.AuthorityKeyId) || c.SignatureAlgorithm != x509.SHA256WithRSAPSS || c.NotBefore != testNow.AddDate(-1, 0, 0) || c.NotAfter != testNow.AddDate(39, 0, 0) {
		t.Errorf("%+v", c)
	}
	for _, e := range c.Extensions {
		if s := e.Id.String(); e.Critical != (s == "2.5.29.15" || s == "2.5.29.19") {
			t.Errorf("extension %s: critical %t", s, e.Critical)
		}
	}
	k := testKey(t, "ed25519", 0)
	for what, f := range map[string]func() ([]byte, error){
		"no subject": func() ([]byte, error) {
			return SelfSigned(rand.Reader, k, "", pkix.EmptyName, mustPeriod(t, "1y"), testNow)
		},
		"no length": func() ([]byte, error) { return SelfSigned(rand.Reader, k, "", mustDN(t, "CN=x"), Period{}, testNow) },
		"other algorithm": func() ([]byte, error) {
			return SelfSigned(rand.Reader, k, "ecdsa-sha256", mustDN(t, "CN=x"), mustPeriod(t, "1y"), testNow)
		},
		"SHA-1": func() ([]byte, error) {
			return SelfSigned(rand.Reader, testKey(t, "rsa-2048", 0), "rsa-sha1", mustDN(t, "CN=x"), mustPeriod(t, "1y"), testNow)
		},
	} {
		if der, err := f(); err == nil || der != nil {
			t.Errorf("%s: made a root", what)
		}
	}
}

func TestAnIssuerIsACAWithItsOwnKey(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	leaf, _ := issue(t, mustCompile(t, DefaultProfile()), is, testRequest(t))
	ca := is.Certificate()
	for _, x := range []struct {
		name   string
		cert   []byte
		key    int
		sigAlg string
		want   string
	}{
		{"the key of another", ca, 1, "", "CA key: it is not the key of the CA certificate; configure the two that belong together"},
		{"an end entity", leaf.Raw, 1, "", "CA certificate: basicConstraints does not say CA:TRUE, so it is not for a CA"},
		{"an RSA algorithm with an EC key", ca, 0, "rsa-sha256", `CA key: signature algorithm rsa-sha256 for a key of type "ecdsa-p256": algorithm does not fit the key`},
		{"no certificate", []byte{0x30, 0}, 0, "", "CA certificate: it is not the DER of a version 3 certificate without unique identifiers (RFC 5280 section 4.1)"},
		{"rubbish", []byte("-----BEGIN"), 0, "", ""},
	} {
		_, err := NewIssuer(x.cert, testKey(t, "ecdsa-p256", x.key), x.sigAlg)
		if err == nil || x.want != "" && err.Error() != x.want {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	if _, err := NewIssuer(ca, nil, ""); err == nil {
		t.Error("no key: accepted")
	}
	// A CA made by Go's library, with keyUsage that lacks cRLSign.
	k := testKey(t, "ecdsa-p256", 0)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: testNow, NotAfter: testNow.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	tmpl.Subject.CommonName = "x"
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewIssuer(der, k, ""); err == nil || err.Error() != `CA certificate: keyUsage is "keyCertSign", it must have "keyCertSign,cRLSign"` {
		t.Error(err)
	}
}

func TestASubordinateCAIssuesWithinItsPathLength(t *testing.T) {
	root := testCA(t, "ecdsa-p384", "")
	zero := 0
	cfg := ProfileConfig{
		Name: "sub", Validity: ValidityConfig{Default: "10y"}, Keys: []string{"ecdsa-p256"},
		Subject:          SubjectConfig{FromRequest: true},
		KeyUsage:         UsageConfig{Fixed: []string{"keyCertSign", "cRLSign", "digitalSignature"}},
		BasicConstraints: BasicConstraintsConfig{CA: true, PathLen: &zero},
	}
	subProfile := mustCompile(t, cfg)
	req := testRequest(t)
	req.Subject = mustDN(t, "CN=Sub CA")
	sub, _ := issue(t, subProfile, root, req)
	if !sub.IsCA || sub.MaxPathLen != 0 || !sub.MaxPathLenZero || sub.KeyUsage&x509.KeyUsageCertSign == 0 {
		t.Fatalf("%+v", sub)
	}
	is, err := NewIssuer(sub.Raw, testKey(t, "ecdsa-p256", 1), "")
	if err != nil {
		t.Fatal(err)
	}
	req = testRequest(t)
	req.PublicKey = testSPKI(t, "ecdsa-p256", 2)
	_, err = subProfile.Prepare(req, is, testNow)
	var ref *Refusal
	if !errors.As(err, &ref) || ref.Kind != NotAuthorized {
		t.Errorf("a CA below path length 0: %v", err)
	}
	leaf, _ := issue(t, mustCompile(t, DefaultProfile()), is, req)
	inter := x509.NewCertPool()
	inter.AddCert(sub)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: rootPool(t, root), Intermediates: inter, CurrentTime: testNow, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if out, err := openssl(t, "verify", "-x509_strict", "-attime", strconv.FormatInt(testNow.Unix(), 10),
		"-CAfile", pemFile(t, dir, "root.pem", "CERTIFICATE", root.Certificate()),
		"-untrusted", pemFile(t, dir, "sub.pem", "CERTIFICATE", sub.Raw), pemFile(t, dir, "leaf.pem", "CERTIFICATE", leaf.Raw)); err != nil {
		t.Error(out)
	}
}

func TestCheckFindsWhatCertificatesOfOthersLack(t *testing.T) {
	k := testKey(t, "ecdsa-p256", 0)
	make := func(f func(*x509.Certificate)) []byte {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(7), NotBefore: testNow, NotAfter: testNow.AddDate(1, 0, 0), SubjectKeyId: []byte{1}, AuthorityKeyId: []byte{2}}
		tmpl.Subject.CommonName = "x"
		f(tmpl)
		parent := &x509.Certificate{SubjectKeyId: tmpl.AuthorityKeyId}
		parent.Subject.CommonName = "ca"
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, k.Public(), k)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if err := Check(make(func(*x509.Certificate) {})); err != nil {
		t.Errorf("a sound certificate: %v", err)
	}
	for _, x := range []struct {
		want string
		f    func(*x509.Certificate)
	}{
		{"without a subject there must be a critical subjectAltName (section 4.2.1.6)", func(c *x509.Certificate) { c.Subject.CommonName = "" }},
		{"keyCertSign without the CA flag (section 4.2.1.9)", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }},
		{"a CA has no keyUsage with keyCertSign (section 4.2.1.3)", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }},
		{"subjectKeyIdentifier is missing, malformed or critical (section 4.2.1.2)", func(c *x509.Certificate) { c.SubjectKeyId = nil }},
		{"authorityKeyIdentifier is missing, without a key identifier, or critical (section 4.2.1.1)", func(c *x509.Certificate) { c.AuthorityKeyId = nil }},
		{"an end entity has the name of its issuer", func(c *x509.Certificate) { c.Subject.CommonName = "ca" }},
		{"nameConstraints is for CAs only", func(c *x509.Certificate) { c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"x"}, true }},
	} {
		if err := Check(make(x.f)); err == nil || err.Error() != x.want {
			t.Errorf("got %v, want %s", err, x.want)
		}
	}
	if err := Check(nil); err == nil {
		t.Error("nothing passes")
	}
}

func TestWeakRSAKeysAreFound(t *testing.T) {
	good := testKey(t, "rsa-2048", 1).Public().(*rsa.PublicKey)
	if err := checkRSA(good.N); err != nil {
		t.Error(err)
	}
	three := new(big.Int).Mul(good.N, big.NewInt(3))
	if err := checkRSA(three); err == nil || err.Error() != "the modulus is divisible by 3" {
		t.Error(err)
	}
	// Two neighbouring primes.
	p, err := rand.Prime(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(20) {
		q.Add(q, big.NewInt(2))
	}
	if err := checkRSA(new(big.Int).Mul(p, q)); err == nil || err.Error() != "the two primes are too close to each other" {
		t.Error(err)
	}
	if err := checkRSA(new(big.Int).Mul(p, p)); err == nil {
		t.Error("a square passes")
	}
	// The flawed generator: p = k*M + (65537^a mod M), M the product of the
	// first 39 primes (Nemec et al., CCS 2017, section 3).
	m := big.NewInt(2)
	for _, x := range oddPrimesBelow(168) {
		m.Mul(m, new(big.Int).SetUint64(x))
	}
	flawed := func(a int64) *big.Int {
		r := new(big.Int).Exp(big.NewInt(65537), big.NewInt(a), m)
		n := new(big.Int).Add(new(big.Int).Mul(m, new(big.Int).Lsh(big.NewInt(a), 780)), r)
		for !n.ProbablyPrime(20) {
			n.Add(n, m)
		}
		return n
	}
	if err := checkRSA(new(big.Int).Mul(flawed(123457), flawed(991))); err == nil || err.Error() != "the key has the mark of the generator of CVE-2017-15361" {
		t.Error(err)
	}
	spki, err := alg.MarshalPublicKey(&rsa.PublicKey{N: three, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	req := testRequest(t)
	req.PublicKey = spki
	_, err = mustCompile(t, DefaultProfile()).Prepare(req, testCA(t, "ecdsa-p256", ""), testNow)
	var ref *Refusal
	if !errors.As(err, &ref) || ref.Kind != BadKey {
		t.Error(err)
	}
}
