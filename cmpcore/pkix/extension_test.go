package pkix

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// stdCert has crypto/x509 make a certificate with about every extension.
func stdCert(t *testing.T) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	policy, err := x509.ParseOID("1.2.3.4")
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: stdpkix.Name{CommonName: "x"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(2051, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageDecipherOnly,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageOCSPSigning},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		DNSNames: []string{"a.example"}, EmailAddresses: []string{"a@b.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1).To4(), net.ParseIP("2001:db8::1")}, URIs: []*url.URL{{Scheme: "urn", Opaque: "x"}},
		CRLDistributionPoints: []string{"http://ca.example/1", "http://ca.example/2"},
		OCSPServer:            []string{"http://ocsp.example"}, IssuingCertificateURL: []string{"http://ca.example/ca"},
		Policies:     []x509.OID{policy},
		SubjectKeyId: []byte{1, 2, 3}, AuthorityKeyId: []byte{4, 5},
	}
	parent := *tmpl
	parent.SubjectKeyId = []byte{4, 5}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, &parent, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestExtensionsAsTheStandardLibraryHasThem(t *testing.T) {
	must := func(e Extension, err error) Extension {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	dns, _ := NewDNSName("a.example")
	mail, _ := NewRFC822Name("a@b.example")
	uri, _ := NewURI("urn:x")
	ip4, _ := NewIPAddress(netip.MustParseAddr("192.0.2.1"))
	ip6, _ := NewIPAddress(netip.MustParseAddr("2001:db8::1"))
	ours := []Extension{
		KeyUsageExtension(DigitalSignature | KeyCertSign | DecipherOnly),
		ExtKeyUsageExtension([]OID{OIDClientAuth, OIDOCSPSigning}),
		BasicConstraintsExtension(BasicConstraints{CA: true, MaxPathLen: 0}),
		SubjectKeyIDExtension([]byte{1, 2, 3}),
		must(AuthorityKeyIDExtension(AuthorityKeyID{KeyID: []byte{4, 5}})),
		must(AuthorityInfoAccessExtension([]string{"http://ocsp.example"}, []string{"http://ca.example/ca"})),
		must(SubjectAltNameExtension([]GeneralName{dns, mail, ip4, ip6, uri}, false)),
		must(CertificatePoliciesExtension([]Policy{{ID: MustOID("1.2.3.4")}})),
		must(CRLDistributionPointsExtension([]string{"http://ca.example/1", "http://ca.example/2"})),
	}
	cert := stdCert(t)
	if len(cert.Extensions) != len(ours) {
		t.Errorf("%d extensions, crypto/x509 has %d", len(ours), len(cert.Extensions))
	}
	for _, std := range cert.Extensions {
		e, ok := FindExtension(ours, MustOID(std.Id.String()))
		if !ok || e.Critical != std.Critical || !bytes.Equal(e.Value, std.Value) {
			t.Errorf("%s: got %v %x, want %v %x", std.Id, e.Critical, e.Value, std.Critical, std.Value)
		}
	}

	// The whole list, as it stands in the certificate.
	want, err := stdasn1.Marshal(cert.Extensions)
	if err != nil {
		t.Fatal(err)
	}
	s := cryptobyte.String(want)
	list, ok := ReadExtensions(&s)
	if !ok || !s.Empty() || len(list) != len(ours) {
		t.Fatalf("read %d extensions, %v", len(list), ok)
	}
	if got := built(t, func(b *cryptobyte.Builder) { AddExtensions(b, asn1.SEQUENCE, list) }); !bytes.Equal(got, want) {
		t.Errorf("written %x, want %x", got, want)
	}

	value := func(id OID) []byte { e, _ := FindExtension(list, id); return e.Value }
	if u, ok := ParseKeyUsage(value(OIDKeyUsage)); !ok || u.String() != "digitalSignature,keyCertSign,decipherOnly" || !u.Has(KeyCertSign|DigitalSignature) || u.Has(CRLSign) {
		t.Errorf("keyUsage %v", u)
	}
	if p, ok := ParseExtKeyUsage(value(OIDExtKeyUsage)); !ok || len(p) != 2 || ExtKeyUsageName(p[0]) != "clientAuth" || p[1] != OIDOCSPSigning {
		t.Errorf("extKeyUsage %v", p)
	}
	if c, ok := ParseBasicConstraints(value(OIDBasicConstraints)); !ok || !c.CA || c.MaxPathLen != 0 {
		t.Errorf("basicConstraints %+v", c)
	}
	if id, ok := ParseSubjectKeyID(value(OIDSubjectKeyID)); !ok || !bytes.Equal(id, cert.SubjectKeyId) {
		t.Errorf("subjectKeyIdentifier %x", id)
	}
	if a, ok := ParseAuthorityKeyID(value(OIDAuthorityKeyID)); !ok || !bytes.Equal(a.KeyID, cert.AuthorityKeyId) || a.Issuer != nil || a.Serial != nil {
		t.Errorf("authorityKeyIdentifier %+v", a)
	}
	if p, ok := ParseCertificatePolicies(value(OIDCertificatePolicies)); !ok || len(p) != 1 || p[0].String() != "1.2.3.4" {
		t.Errorf("certificatePolicies %v", p)
	}
	names, ok := ParseSubjectAltName(value(OIDSubjectAltName))
	if !ok || len(names) != 5 {
		t.Fatalf("subjectAltName %v", names)
	}
	for i, want := range []string{"DNS:a.example", "email:a@b.example", "IP:192.0.2.1", "IP:2001:db8::1", "URI:urn:x"} {
		if got := names[i].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestStandardExtensionsRefuse(t *testing.T) {
	h := func(s string) []byte { return unhex(t, s) }
	tests := []struct {
		name string
		ok   bool
	}{
		{"keyUsage with a trailing zero", second(ParseKeyUsage(h("03020080")))},
		{"keyUsage with bit 9", second(ParseKeyUsage(h("0303060040")))},
		{"keyUsage with more after it", second(ParseKeyUsage(h("030207800500")))},
		{"extKeyUsage that is empty", second(ParseExtKeyUsage(h("3000")))},
		{"basicConstraints with cA FALSE", second(ParseBasicConstraints(h("3003010100")))},
		{"basicConstraints with a length alone", second(ParseBasicConstraints(h("3003020101")))},
		{"basicConstraints with a negative length", second(ParseBasicConstraints(h("30060101ff0201ff")))},
		{"subjectKeyIdentifier as BIT STRING", second(ParseSubjectKeyID(h("030100")))},
		{"authorityKeyIdentifier out of order", second(ParseAuthorityKeyID(h("3006820101800101")))},
		{"authorityKeyIdentifier with an empty issuer", second(ParseAuthorityKeyID(h("3002a100")))},
		{"subjectAltName that is empty", second(ParseSubjectAltName(h("3000")))},
		{"certificatePolicies that are empty", second(ParseCertificatePolicies(h("3000")))},
		{"reasonCode 7", second(ParseReasonCode(h("0a0107")))},
		{"reasonCode 11", second(ParseReasonCode(h("0a010b")))},
		{"reasonCode -1", second(ParseReasonCode(h("0a01ff")))},
		{"reasonCode as INTEGER", second(ParseReasonCode(h("020101")))},
		{"invalidityDate as UTCTime", second(ParseInvalidityDate(h("170d3730303130313030303030305a")))},
	}
	for _, tt := range tests {
		if tt.ok {
			t.Errorf("%s accepted", tt.name)
		}
	}
}

func second[T any](_ T, ok bool) bool { return ok }

func TestCRLEntryExtensions(t *testing.T) {
	e := ReasonCodeExtension(ReasonKeyCompromise)
	if want := unhex(t, "0a0101"); !bytes.Equal(e.Value, want) || e.Critical {
		t.Errorf("%x", e.Value)
	}
	if r, ok := ParseReasonCode(e.Value); !ok || r.String() != "keyCompromise" {
		t.Errorf("%v", r)
	}
	if r, ok := CRLReasonByName("aACompromise"); !ok || r != ReasonAACompromise {
		t.Errorf("%v", r)
	}
	if _, ok := CRLReasonByName(""); ok || CRLReason(7).String() != "unknown" || CRLReason(-1).String() != "unknown" {
		t.Error("reason 7 has a name")
	}
	e, err := InvalidityDateExtension(time.Date(1970, 1, 1, 0, 0, 0, 5, time.UTC))
	if want := "\x18\x0f19700101000000Z"; err != nil || string(e.Value) != want {
		t.Errorf("%q, %v", e.Value, err)
	}
	if d, ok := ParseInvalidityDate(e.Value); !ok || d.Unix() != 0 {
		t.Errorf("%v", d)
	}
	e, err = CRLNumberExtension(big.NewInt(255))
	if err != nil || !bytes.Equal(e.Value, unhex(t, "020200ff")) {
		t.Errorf("%x, %v", e.Value, err)
	}
}

func TestPolicyWithPracticeStatement(t *testing.T) {
	e, err := CertificatePoliciesExtension([]Policy{{ID: MustOID("1.2.3.4"), CPS: "http://a"}})
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Policy     stdasn1.ObjectIdentifier
		Qualifiers []struct {
			ID  stdasn1.ObjectIdentifier
			CPS string `asn1:"ia5"`
		}
	}
	if rest, err := stdasn1.Unmarshal(e.Value, &list); err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if q := list[0].Qualifiers[0]; q.ID.String() != "1.3.6.1.5.5.7.2.1" || q.CPS != "http://a" {
		t.Errorf("%+v", list)
	}
	if oids, ok := ParseCertificatePolicies(e.Value); !ok || oids[0].String() != "1.2.3.4" {
		t.Errorf("%v", oids)
	}
	if _, err := CertificatePoliciesExtension([]Policy{{ID: MustOID("1.2.3.4"), CPS: "ü"}}); err == nil {
		t.Error("a CPS that is not ASCII")
	}
}

func TestExtensionLists(t *testing.T) {
	one := func(id byte) []byte { return []byte{0x30, 7, 6, 3, 0x55, 29, id, 4, 0} }
	list := func(n int, id func(int) byte) cryptobyte.String {
		var all []byte
		for i := range n {
			all = append(all, one(id(i))...)
		}
		return built(t, func(b *cryptobyte.Builder) { AddElement(b, asn1.SEQUENCE, all) })
	}
	count := func(i int) byte { return byte(i) }
	for _, tt := range []struct {
		name string
		der  cryptobyte.String
		ok   bool
	}{
		{"none", list(0, count), false},
		{"one", list(1, count), true},
		{"as many as may be", list(MaxExtensions, count), true},
		{"one more", list(MaxExtensions+1, count), false},
		{"the same twice", list(2, func(int) byte { return 1 }), false},
	} {
		if _, ok := ReadExtensions(&tt.der); ok != tt.ok {
			t.Errorf("%s: %v", tt.name, ok)
		}
	}
	for name, der := range map[string]string{
		"critical FALSE":    "300a0603551d0f0101000400",
		"critical 1":        "300a0603551d0f0101010400",
		"no value":          "30050603551d0f",
		"value as BIT":      "30080603551d0f030100",
		"more after it":     "30090603551d0f04000500",
		"an empty sequence": "3000",
	} {
		s := cryptobyte.String(unhex(t, der))
		if e, ok := ReadExtension(&s); ok {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestGeneralNames(t *testing.T) {
	dn, err := ParseDN("CN=x")
	if err != nil {
		t.Fatal(err)
	}
	g := NewDirectoryName(dn)
	if got, ok := g.DirectoryName(); !ok || !got.Equal(dn) || g.Tag() != TagDirectoryName || g.String() != "dirName:CN=x" {
		t.Errorf("%v %v", got, g)
	}
	if s := NewRegisteredID(MustOID("1.2.3")).String(); s != "RID:1.2.3" {
		t.Error(s)
	}
	if ip, err := NewIPAddress(netip.MustParseAddr("::ffff:192.0.2.1")); err != nil || !bytes.Equal(ip, []byte{0x87, 4, 192, 0, 2, 1}) {
		t.Errorf("%x, %v", []byte(ip), err)
	}
	for name, err := range map[string]error{
		"DNS":  third(NewDNSName("ü.example")),
		"none": third(NewDNSName("")),
		"mail": third(NewRFC822Name("ü@b")),
		"URI":  third(NewURI("\xff")),
		"IP":   third(NewIPAddress(netip.Addr{})),
		"zone": third(NewIPAddress(netip.MustParseAddr("fe80::1%eth0"))),
	} {
		if err == nil {
			t.Errorf("%s accepted", name)
		}
	}
	tests := []struct {
		name, der string
		ok        bool
		text      string
	}{
		{"otherName", "a0090603 2a0304 a0020500", true, "othername:#a00906032a0304a0020500"},
		{"otherName without value", "a005 06032a0304", false, ""},
		{"rfc822Name", "8103 614062", true, "email:a@b"},
		{"dNSName with a control", "8203 610a62", true, "DNS:a\ufffdb"},
		{"dNSName that is not ASCII", "8202 c3bc", false, ""},
		{"dNSName, constructed", "a203 0c0161", false, ""},
		{"x400Address", "a3023000", true, "x400:#a3023000"},
		{"directoryName, empty", "a4023000", true, "dirName:"},
		{"directoryName, implicit", "a400", false, ""},
		{"directoryName with more", "a40430000500", false, ""},
		{"ediPartyName", "a504a1020c00", true, "ediParty:#a504a1020c00"},
		{"iPAddress of 5 octets", "87050102030405", true, "IP:#87050102030405"},
		{"registeredID", "88022a03", true, "RID:1.2.3"},
		{"registeredID, malformed", "88022a83", false, ""},
		{"number 9", "8900", false, ""},
		{"universal", "0c0161", false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := cryptobyte.String(unhex(t, string(bytes.ReplaceAll([]byte(tt.der), []byte(" "), nil))))
			g, ok := ReadGeneralName(&s)
			if ok != tt.ok || ok && g.String() != tt.text {
				t.Errorf("%v, %s", ok, g)
			}
		})
	}
	if GeneralName(nil).Tag() != -1 || GeneralName(nil).String() != "" {
		t.Error("no name has a tag")
	}
}

func third[T any](_ T, err error) error { return err }

func TestSubjectPublicKeyInfo(t *testing.T) {
	cert := stdCert(t)
	s := cryptobyte.String(cert.RawSubjectPublicKeyInfo)
	k, ok := ReadSubjectPublicKeyInfo(&s)
	if !ok || !s.Empty() || k.Algorithm().OID.String() != "1.2.840.10045.2.1" || k.KeyBits()[0] != 4 || len(k.KeyBits()) != 65 {
		t.Fatalf("%v %x", ok, []byte(k))
	}
	again, err := NewSubjectPublicKeyInfo(k.Algorithm(), k.KeyBits())
	if err != nil || !again.Equal(k) {
		t.Errorf("%x, %v", []byte(again), err)
	}
	tagged := built(t, func(b *cryptobyte.Builder) { k.AddTagged(b, 0xa6) })
	s = tagged
	back, ok := ReadTaggedSubjectPublicKeyInfo(&s, 0xa6)
	if !ok || !back.Equal(k) || tagged[0] != 0xa6 {
		t.Errorf("%v %x", ok, []byte(back))
	}
	empty, err := NewSubjectPublicKeyInfo(k.Algorithm(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s = cryptobyte.String(empty)
	if e, ok := ReadSubjectPublicKeyInfo(&s); !ok || len(e.KeyBits()) != 0 {
		t.Errorf("an empty key: %v", ok)
	}
	for name, der := range map[string]string{
		"no key":        "30073005 06032b6570",
		"unused bits":   "300b3005 06032b6570 03020780",
		"more after it": "300c3005 06032b6570 030100 0500",
		"no algorithm":  "3003 030100",
		"another tag":   "310a3005 06032b6570 030100",
	} {
		s := cryptobyte.String(unhex(t, string(bytes.ReplaceAll([]byte(der), []byte(" "), nil))))
		if k, ok := ReadSubjectPublicKeyInfo(&s); ok {
			t.Errorf("%s: %x", name, []byte(k))
		}
	}
	if SubjectPublicKeyInfo(nil).KeyBits() != nil || !SubjectPublicKeyInfo(nil).Algorithm().IsZero() {
		t.Error("an absent key has parts")
	}
}

// OpenSSL makes key identifiers by the same method; Go took to a cut SHA-256.
func TestKeyIDIsThatOfOpenSSL(t *testing.T) {
	der, err := os.ReadFile("testdata/openssl.cer")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if got := SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo).KeyID(); !bytes.Equal(got, cert.SubjectKeyId) {
		t.Errorf("got %x, want %x", got, cert.SubjectKeyId)
	}
}

func TestAlgorithmIdentifier(t *testing.T) {
	sha256 := AlgorithmIdentifier{OID: MustOID("2.16.840.1.101.3.4.2.1")}
	withNull := AlgorithmIdentifier{OID: sha256.OID, Parameters: Null}
	if sha256.Equal(withNull) || !withNull.Equal(withNull) || sha256.IsZero() || !(AlgorithmIdentifier{}).IsZero() {
		t.Error("Equal or IsZero")
	}
	for _, a := range []AlgorithmIdentifier{sha256, withNull} {
		s := cryptobyte.String(a.Bytes())
		if got, ok := ReadAlgorithm(&s); !ok || !got.Equal(a) || !s.Empty() {
			t.Errorf("%v: %v", a, got)
		}
		var std stdpkix.AlgorithmIdentifier
		if _, err := stdasn1.Unmarshal(a.Bytes(), &std); err != nil || std.Algorithm.String() != a.OID.String() || !bytes.Equal(std.Parameters.FullBytes, a.Parameters) {
			t.Errorf("encoding/asn1: %+v, %v", std, err)
		}
	}
	if (AlgorithmIdentifier{}).Bytes() != nil {
		t.Error("an absent identifier is written")
	}
	s := cryptobyte.String(unhex(t, "300706012a05000500"))
	if a, ok := ReadAlgorithm(&s); ok {
		t.Errorf("two parameters: %v", a)
	}
}

func TestNamesOfUses(t *testing.T) {
	for _, name := range []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly"} {
		if u, ok := KeyUsageByName(name); !ok || u.String() != name {
			t.Errorf("%s: %v", name, u)
		}
	}
	if u, ok := KeyUsageByName("contentcommitment"); !ok || u != ContentCommitment {
		t.Errorf("contentCommitment: %v", u)
	}
	if _, ok := KeyUsageByName("sign"); ok {
		t.Error("sign accepted")
	}
	if o, ok := ExtKeyUsageByName("CLIENTAUTH"); !ok || o != OIDClientAuth {
		t.Error("clientAuth")
	}
	if o, ok := ExtKeyUsageByName("1.2.3"); !ok || ExtKeyUsageName(o) != "1.2.3" {
		t.Error("1.2.3")
	}
	if _, ok := ExtKeyUsageByName("client"); ok {
		t.Error("client accepted")
	}
}
