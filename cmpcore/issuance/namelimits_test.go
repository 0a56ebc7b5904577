package issuance

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"

	"cmp-batch/cmpcore/pkix"
)

// Go's verifier is the judge: what it accepts under the constraints is issued,
// what it does not is refused.
func TestNamesOutsideTheConstraintsOfTheCAAreRefused(t *testing.T) {
	k := testKey(t, "ecdsa-p256", 0)
	_, net10, _ := net.ParseCIDR("10.0.0.0/8")
	_, bad10, _ := net.ParseCIDR("10.9.0.0/16")
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: testNow, NotAfter: testNow.AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, PermittedDNSDomainsCritical: true,
		PermittedDNSDomains: []string{"example.com"}, ExcludedDNSDomains: []string{"bad.example.com"},
		PermittedIPRanges: []*net.IPNet{net10}, ExcludedIPRanges: []*net.IPNet{bad10},
		PermittedEmailAddresses: []string{"example.com", ".mail.example", "one@other.example"},
		PermittedURIDomains:     []string{"example.com", ".sub.example"},
	}
	tmpl.Subject.CommonName = "constrained"
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	is, err := NewIssuer(der, k, "")
	if err != nil {
		t.Fatal(err)
	}
	open := *is
	open.limits = nil
	p := mustCompile(t, DefaultProfile())
	email := func(s string) pkix.GeneralName { g, _ := pkix.NewRFC822Name(s); return g }
	uri := func(s string) pkix.GeneralName { g, _ := pkix.NewURI(s); return g }
	ip := func(s string) pkix.GeneralName { g, _ := pkix.NewIPAddress(netip.MustParseAddr(s)); return g }
	for _, g := range []pkix.GeneralName{
		dns(t, "example.com"), dns(t, "a.EXAMPLE.com"), dns(t, "notexample.com"), dns(t, "x.bad.example.com"), dns(t, "bad.example.com"), dns(t, "*.good.example.com"),
		ip("10.1.2.3"), ip("10.9.2.3"), ip("192.0.2.1"), ip("2001:db8::1"),
		email("a@example.com"), email("a@x.mail.example"), email("a@mail.example"), email("one@other.example"), email("two@other.example"),
		uri("http://example.com/"), uri("http://a.sub.example/"), uri("http://sub.example/"), uri("http://10.1.2.3/"),
	} {
		req := testRequest(t)
		req.Extensions = []pkix.Extension{sanExt(t, false, g)}
		c, _ := issue(t, p, &open, req)
		_, verifies := c.Verify(x509.VerifyOptions{Roots: rootPool(t, is), CurrentTime: testNow, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		_, err := p.Prepare(req, is, testNow)
		var ref *Refusal
		if (verifies == nil) != (err == nil) || err != nil && (!errors.As(err, &ref) || ref.Kind != NotAuthorized) {
			t.Errorf("%s: Go's verifier says %v, we say %v", g, verifies, err)
		}
	}
	// Go lets a host stand for what is below it in mail and URIs too, RFC 5280
	// section 4.2.1.10 does not; and where both leave it open, doubt refuses.
	for _, g := range []pkix.GeneralName{email("a@x.example.com"), uri("http://a.example.com/"), dns(t, "*.example.com"), uri("urn:x:y")} {
		req := testRequest(t)
		req.Extensions = []pkix.Extension{sanExt(t, false, g)}
		if _, err := p.Prepare(req, is, testNow); err == nil || !strings.Contains(err.Error(), "subtree") {
			t.Errorf("%s: %v", g, err)
		}
	}
}

func TestSubjectsOutsideTheConstraintsOfTheCAAreRefused(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	// permitted: directoryName O=Example; excluded: OU=Evil below it.
	permitted, excluded := pkix.NewDirectoryName(mustDN(t, "O=Example")), pkix.NewDirectoryName(mustDN(t, "OU=Evil,O=Example"))
	tree := func(tag byte, g pkix.GeneralName) []byte {
		return append([]byte{tag, byte(len(g) + 2), 0x30, byte(len(g))}, g...)
	}
	body := append(tree(0xa0, permitted), tree(0xa1, excluded)...)
	limits, err := parseNameLimits(append([]byte{0x30, byte(len(body))}, body...))
	if err != nil {
		t.Fatal(err)
	}
	limited := *is
	limited.limits = limits
	p := mustCompile(t, DefaultProfile())
	for dn, want := range map[string]bool{
		"CN=x,O=Example": true, "O=EXAMPLE": true, "CN=x": false, "CN=x,O=Other": false, "CN=x,OU=Evil,O=Example": false, "OU=Evil,CN=x,O=Example": true,
	} {
		req := testRequest(t)
		req.Subject = mustDN(t, dn)
		if _, err := p.Prepare(req, &limited, testNow); (err == nil) != want {
			t.Errorf("%s: %v", dn, err)
		}
	}
	if _, err := parseNameLimits([]byte{0x30, 0}); err == nil {
		t.Error("empty constraints pass")
	}
}
