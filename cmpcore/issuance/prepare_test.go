package issuance

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

func ext(id string, critical bool, valueHex string) pkix.Extension {
	v, err := hex.DecodeString(strings.ReplaceAll(valueHex, " ", ""))
	if err != nil {
		panic(err)
	}
	return pkix.Extension{ID: pkix.MustOID(id), Critical: critical, Value: v}
}

func at(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// Each row changes a small profile and a good request. want is the start of the
// refusal's Detail after "profile device: ", empty for a certificate; mods is
// what the certificate differs in.
func TestPrepare(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	email := func(s string) pkix.GeneralName { g, _ := pkix.NewRFC822Name(s); return g }
	uri := func(s string) pkix.GeneralName { g, _ := pkix.NewURI(s); return g }
	ip := func(s string) pkix.GeneralName { g, _ := pkix.NewIPAddress(netip.MustParseAddr(s)); return g }
	type mods = []string
	for _, x := range []struct {
		name    string
		profile func(*ProfileConfig)
		request func(*Request)
		kind    Kind
		want    string
		mods    mods
		see     func(c *x509.Certificate) bool
	}{
		{name: "a plain request is granted"},

		// Keys.
		{name: "a key is needed", request: func(r *Request) { r.PublicKey = nil }, kind: BadTemplate, want: "keys: no public key"},
		{name: "a malformed key is refused", request: func(r *Request) { r.PublicKey = r.PublicKey[:40] }, kind: BadKey, want: "keys: "},
		{name: "a point off the curve is refused", request: func(r *Request) {
			r.PublicKey = append(pkix.SubjectPublicKeyInfo{}, r.PublicKey...)
			r.PublicKey[80] ^= 1
		}, kind: BadKey, want: "keys: point is not"},
		{name: "a key type not in the list is refused", request: func(r *Request) { r.PublicKey = testSPKI(t, "ecdsa-p384", 1) }, kind: BadAlg, want: "keys: ecdsa-p384 is not in the list"},
		{name: "an unknown key type is refused", request: func(r *Request) {
			r.PublicKey = append(pkix.SubjectPublicKeyInfo{0x30, 0x0b, 0x30, 5, 6, 3, 0x2a, 3, 4, 3}, 2, 0, 1)
		}, kind: BadAlg, want: "keys: public key of type 1.2.3.4: algorithm is not supported"},
		{name: "an RSA key of the least size passes", profile: func(c *ProfileConfig) { c.Keys = []string{"rsa-2048+"} }, request: func(r *Request) { r.PublicKey = testSPKI(t, "rsa-2048", 1) }},
		{name: "an RSA key below the least size is refused", profile: func(c *ProfileConfig) { c.Keys = []string{"rsa-3072+"} }, request: func(r *Request) { r.PublicKey = testSPKI(t, "rsa-2048", 1) }, kind: BadAlg, want: "keys: rsa-2048 is not in the list"},
		{name: "an RSA key above the range is refused", profile: func(c *ProfileConfig) { c.Keys = []string{"rsa-1024..2047", "rsa-3072"} }, request: func(r *Request) { r.PublicKey = testSPKI(t, "rsa-2048", 1) }, kind: BadAlg, want: "keys: rsa-2048 is not in the list"},
		{name: "exponent 3 is refused", profile: func(c *ProfileConfig) { c.Keys = []string{"rsa-2048+"} }, request: func(r *Request) { r.PublicKey = exponent3(t) }, kind: BadKey, want: "rsa_min_exponent: the exponent is 3"},
		{name: "exponent 3 passes where the profile says so", profile: func(c *ProfileConfig) { c.Keys, c.RSAMinExponent = []string{"rsa-2048+"}, 3 }, request: func(r *Request) { r.PublicKey = exponent3(t) }},
		{name: "the CA's own key is refused", request: func(r *Request) { r.PublicKey = testSPKI(t, "ecdsa-p256", 0) }, kind: BadKey, want: "keys: the public key is the CA's own"},

		// Subject.
		{name: "a missing subject is refused", request: func(r *Request) { r.Subject = nil }, kind: BadTemplate, want: "subject.may_be_empty"},
		{name: "the NULL-DN is a missing subject", request: func(r *Request) { r.Subject = pkix.EmptyName }, kind: BadTemplate, want: "subject.may_be_empty"},
		{name: "no subject and no alternative name is refused", profile: func(c *ProfileConfig) { c.Subject.MayBeEmpty = true }, request: func(r *Request) { r.Subject = nil }, kind: BadTemplate, want: "subject: neither"},
		{name: "without a subject the alternative name becomes critical", profile: func(c *ProfileConfig) { c.Subject.MayBeEmpty, c.SAN.Allowed = true, []string{"dns"} },
			request: func(r *Request) {
				r.Subject, r.Extensions = nil, []pkix.Extension{sanExt(t, false, dns(t, "a.example"))}
			},
			mods: mods{"subjectAltName: critical, as there is no subject"}, see: func(c *x509.Certificate) bool {
				return len(c.Subject.Names) == 0 && critical(c, "2.5.29.17")
			}},
		{name: "a fixed subject replaces the request's", profile: func(c *ProfileConfig) { c.Subject = SubjectConfig{Fixed: []string{"C=DE", "O=Acme"}} },
			mods: mods{"subject: changed to O=Acme,C=DE"}, see: func(c *x509.Certificate) bool { return c.Subject.String() == "O=Acme,C=DE" }},
		{name: "a fixed subject for a request without one is no change", profile: func(c *ProfileConfig) { c.Subject = SubjectConfig{Fixed: []string{"O=Acme"}} },
			request: func(r *Request) { r.Subject = pkix.EmptyName }, see: func(c *x509.Certificate) bool { return c.Subject.String() == "O=Acme" }},
		{name: "fixed parts come first and replace their type", profile: func(c *ProfileConfig) { c.Subject.Fixed = []string{"O=Acme"} },
			mods: mods{"subject: changed to CN=device 7,O=Acme"}, see: func(c *x509.Certificate) bool { return c.Subject.String() == "CN=device 7,O=Acme" }},
		{name: "fixed parts that are there already leave the name alone", profile: func(c *ProfileConfig) { c.Subject.Fixed = []string{"O=EXAMPLE"} },
			see: func(c *x509.Certificate) bool {
				return string(c.RawSubject) == string(mustDN(t, "CN=device 7,O=Example"))
			}},
		{name: "a second value beside the fixed one is replaced", profile: func(c *ProfileConfig) { c.Subject.Fixed = []string{"O=Acme"} },
			request: func(r *Request) { r.Subject = mustDN(t, "CN=x,O=Acme,O=Evil") }, mods: mods{"subject: changed to CN=x,O=Acme"}},
		{name: "a required attribute must be there", profile: func(c *ProfileConfig) { c.Subject.Required = []string{"serialNumber"} }, kind: BadTemplate, want: "subject.required: serialNumber is missing"},
		{name: "an attribute that is not allowed is refused", profile: func(c *ProfileConfig) { c.Subject.Allowed = []string{"CN"} }, kind: BadTemplate, want: "subject.allowed: O is not in the list"},
		{name: "required and fixed attributes are allowed", profile: func(c *ProfileConfig) {
			c.Subject.Allowed, c.Subject.Required, c.Subject.Fixed = []string{"L"}, []string{"CN"}, []string{"O=Example"}
		}},
		{name: "a pattern must match all of a value", profile: func(c *ProfileConfig) { c.Subject.Patterns = map[string]string{"CN": "device|dev"} }, kind: BadTemplate, want: `subject.patterns.CN: "device 7" does not match`},
		{name: "a pattern matches", profile: func(c *ProfileConfig) { c.Subject.Patterns = map[string]string{"CN": "device [0-9]+"} }},
		{name: "the CA's own name is refused", request: func(r *Request) { r.Subject = mustDN(t, "CN=TEST  root ca,O=EXAMPLE,C=DE") }, kind: BadTemplate, want: "subject: it is the CA's own name"},
		{name: "a common name of 65 characters is refused", request: func(r *Request) { r.Subject = mustDN(t, "CN="+strings.Repeat("ü", 65)) }, kind: BadTemplate, want: "subject: attribute CN of the name is longer than 64 characters"},
		{name: "a common name of 64 characters passes", request: func(r *Request) { r.Subject = mustDN(t, "CN="+strings.Repeat("ü", 64)) }},
		{name: "a control character is refused", request: func(r *Request) { r.Subject = mustDN(t, `CN=a\00b`) }, kind: BadTemplate, want: "subject: attribute CN of the name: it has a control character"},
		{name: "a cut name is refused", request: func(r *Request) { r.Subject = r.Subject[:9] }, kind: BadTemplate, want: "subject: the name is no SEQUENCE"},
		{name: "an empty value is refused", request: func(r *Request) { r.Subject = hexName("300b 3109 3007 0603550403 0c00") }, kind: BadTemplate, want: "subject: attribute CN of the name is empty"},
		{name: "an RDN that is not sorted is refused", request: func(r *Request) { r.Subject = hexName("3016 3114 3008 060355040a 0c0162 3008 0603550403 0c0161") }, kind: BadTemplate, want: "subject: attributes of a relative"},
		{name: "country is PrintableString", request: func(r *Request) { r.Subject = hexName("300d 310b 3009 0603550406 0c024445") }, kind: BadTemplate, want: "subject: attribute C of the name has string type 12, RFC 5280 wants 19"},
		{name: "PrintableString has no @", request: func(r *Request) { r.Subject = hexName("300c 310a 3008 0603550403 130140") }, kind: BadTemplate, want: "subject: attribute CN of the name: PrintableString has the octet 0x40"},
		{name: "UTF8String is UTF-8", request: func(r *Request) { r.Subject = hexName("300c 310a 3008 0603550403 0c01ff") }, kind: BadTemplate, want: "subject: attribute CN of the name: UTF8String is not UTF-8"},
		{name: "BMPString passes", request: func(r *Request) { r.Subject = hexName("300d 310b 3009 0603550403 1e0220ac") }},

		// Validity.
		{name: "validity: the default", see: func(c *x509.Certificate) bool {
			return c.NotBefore.Equal(testNow) && c.NotAfter.Equal(testNow.AddDate(1, 0, 0))
		}},
		{name: "validity: backdating takes nothing away", profile: func(c *ProfileConfig) { c.Validity.Backdate = "2h" },
			see: func(c *x509.Certificate) bool {
				return c.NotBefore.Equal(testNow.Add(-2*time.Hour)) && c.NotAfter.Equal(testNow.AddDate(1, 0, 0))
			}},
		{name: "validity: a shorter one is granted", request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2030-06-01")} },
			see: func(c *x509.Certificate) bool { return c.NotAfter.Equal(at("2030-06-01")) }},
		{name: "validity: a longer one within max is granted", profile: func(c *ProfileConfig) { c.Validity.Max = "3y" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2033-05-01")} },
			see: func(c *x509.Certificate) bool { return c.NotAfter.Equal(at("2033-05-01")) }},
		{name: "validity: a longer one is cut", request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2040-01-01")} }, mods: mods{"validity: notAfter changed to 2031-05-17T12:30:15Z"}},
		{name: "validity: a longer one is refused where strict", profile: func(c *ProfileConfig) { c.Validity.Request = "strict" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2040-01-01")} }, kind: BadValidity, want: "validity.max: notAfter 2040-01-01"},
		{name: "validity: a past one is refused", request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2030-05-17")} }, kind: BadValidity, want: "validity: notAfter 2030-05-17T00:00:00Z was asked for, which is past"},
		{name: "validity: an early beginning is moved", request: func(r *Request) { r.Validity = &pkix.Validity{NotBefore: at("2030-05-01")} }, mods: mods{"validity: notBefore changed to 2030-05-17T12:30:15Z"}},
		{name: "validity: an early beginning is refused where strict", profile: func(c *ProfileConfig) { c.Validity.Request = "strict" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotBefore: at("2030-05-01")} }, kind: BadValidity, want: "validity.backdate: notBefore"},
		{name: "validity: a beginning within backdate is granted", profile: func(c *ProfileConfig) { c.Validity.Backdate, c.Validity.Request = "30d", "strict" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotBefore: at("2030-05-01")} },
			see: func(c *x509.Certificate) bool { return c.NotBefore.Equal(at("2030-05-01")) }},
		{name: "validity: a late beginning moves the end", profile: func(c *ProfileConfig) { c.Validity.Advance = "60d" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotBefore: at("2030-06-01")} },
			see: func(c *x509.Certificate) bool {
				return c.NotBefore.Equal(at("2030-06-01")) && c.NotAfter.Equal(at("2031-06-01"))
			}},
		{name: "validity: too late a beginning is moved", request: func(r *Request) { r.Validity = &pkix.Validity{NotBefore: at("2030-06-01")} }, mods: mods{"validity: notBefore changed to 2030-05-17T12:30:15Z"}},
		{name: "validity: an end before the beginning is refused", profile: func(c *ProfileConfig) { c.Validity.Advance = "60d" }, request: func(r *Request) {
			r.Validity = &pkix.Validity{NotBefore: at("2030-06-02"), NotAfter: at("2030-06-01")}
		}, kind: BadValidity, want: "validity: notAfter 2030-06-01"},
		{name: "validity: dates are ignored where the profile says so", profile: func(c *ProfileConfig) { c.Validity.Request = "ignore" }, request: func(r *Request) { r.Validity = &pkix.Validity{NotAfter: at("2000-01-01")} }, mods: mods{"validity: notAfter changed to 2031-05-17T12:30:15Z"}},
		{name: "validity: never beyond the CA", profile: func(c *ProfileConfig) { c.Validity.Default = "50y" }, see: func(c *x509.Certificate) bool { return c.NotAfter.Equal(testNow.AddDate(39, 0, 0)) }},
		{name: "validity: beyond the CA is refused", profile: func(c *ProfileConfig) { c.Validity.Default, c.Validity.BeyondCA = "50y", "refuse" }, kind: BadValidity, want: "validity.beyond_ca: "},

		// Alternative names.
		{name: "SAN: refused where none are allowed", request: reqExt(sanExt(t, false, dns(t, "a.example"))), kind: UnacceptedExtension, want: "extensions.unaccepted: subjectAltName"},
		{name: "SAN: left out where the profile drops", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(sanExt(t, false, dns(t, "a.example"))), mods: mods{"extension subjectAltName: left out"}},
		{name: "SAN: required", profile: func(c *ProfileConfig) { c.SAN = SANConfig{Allowed: []string{"dns"}, Required: true} }, kind: BadTemplate, want: "san.required"},
		{name: "SAN: criticality is the request's", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"dns"} }, request: reqExt(sanExt(t, true, dns(t, "a.example"))), see: func(c *x509.Certificate) bool { return critical(c, "2.5.29.17") }},
		{name: "SAN: a kind that is not allowed", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"dns"} }, request: reqExt(sanExt(t, false, dns(t, "a.example"), ip("192.0.2.1"))), kind: UnacceptedExtension, want: `san.allowed: name 2, "IP:192.0.2.1"`},
		{name: "SAN: too many", profile: func(c *ProfileConfig) { c.SAN = SANConfig{Allowed: []string{"dns"}, Max: 1} }, request: reqExt(sanExt(t, false, dns(t, "a.example"), dns(t, "b.example"))), kind: UnacceptedExtension, want: "san.max: more than 1"},
		{name: "SAN: inside a suffix", profile: func(c *ProfileConfig) {
			c.SAN = SANConfig{Allowed: []string{"dns"}, DNSSuffixes: []string{".Example.com"}}
		}, request: reqExt(sanExt(t, false, dns(t, "EXAMPLE.com"), dns(t, "a.b.example.COM")))},
		{name: "SAN: a suffix ends at a dot", profile: func(c *ProfileConfig) {
			c.SAN = SANConfig{Allowed: []string{"dns"}, DNSSuffixes: []string{"example.com"}}
		}, request: reqExt(sanExt(t, false, dns(t, "notexample.com"))), kind: UnacceptedExtension, want: "san.dns_suffixes or"},
		{name: "SAN: a DNS pattern", profile: func(c *ProfileConfig) {
			c.SAN = SANConfig{Allowed: []string{"dns"}, Patterns: map[string]string{"dns": `dev[0-9]+\.example`}}
		}, request: reqExt(sanExt(t, false, dns(t, "dev1.example"), dns(t, "dev1.example.org"))), kind: UnacceptedExtension, want: `san.dns_suffixes or san.patterns.dns: "dev1.example.org"`},
		{name: "SAN: no wildcards", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"dns"} }, request: reqExt(sanExt(t, false, dns(t, "*.example"))), kind: BadExtension, want: `san: name 1, "DNS:*.example": wildcards are not allowed`},
		{name: "SAN: an address range", profile: func(c *ProfileConfig) { c.SAN = SANConfig{Allowed: []string{"ip"}, IPRanges: []string{"10.0.0.0/8"}} }, request: reqExt(sanExt(t, false, ip("10.1.2.3"), ip("192.0.2.1"))), kind: UnacceptedExtension, want: "san.ip_ranges: 192.0.2.1 is outside"},
		{name: "SAN: an address of 5 octets", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"ip"} }, request: reqExt(ext("2.5.29.17", false, "3007 8705 0102030405")), kind: BadExtension, want: "san: name 1 is an IP address of neither"},
		{name: "SAN: a mail pattern", profile: func(c *ProfileConfig) {
			c.SAN = SANConfig{Allowed: []string{"email"}, Patterns: map[string]string{"email": `.*@example\.com`}}
		}, request: reqExt(sanExt(t, false, email("a@example.com"), email("a@example.com.evil.org"))), kind: UnacceptedExtension, want: `san.patterns.email: "a@example.com.evil.org"`},
		{name: "SAN: a URI pattern", profile: func(c *ProfileConfig) {
			c.SAN = SANConfig{Allowed: []string{"uri"}, Patterns: map[string]string{"uri": `spiffe://example/.*`}}
		}, request: reqExt(sanExt(t, false, uri("spiffe://example/a"), uri("spiffe://evil/a"))), kind: UnacceptedExtension, want: `san.patterns.uri: "spiffe://evil/a"`},
		{name: "SAN: an otherName by its identifier", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"otherName:1.3.6.1.4.1.311.20.2.3"} }, request: reqExt(ext("2.5.29.17", false, "3017 a015 060a2b060104018237140203 a007 0c05 6140622e63"))},
		{name: "SAN: a user principal name is text", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"otherName:*"} }, request: reqExt(ext("2.5.29.17", false, "3014 a012 060a2b060104018237140203 a004 0402 6140")), kind: BadExtension, want: "san: name 1, "},
		{name: "SAN: another otherName", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"otherName:1.2.3.4"} }, request: reqExt(ext("2.5.29.17", false, "300b a009 06032a0305 a002 0500")), kind: UnacceptedExtension, want: "san.allowed: otherName:1.2.3.5"},
		{name: "SAN: an empty one", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"dns"} }, request: reqExt(ext("2.5.29.17", false, "3000")), kind: BadExtension, want: "san: it is no SEQUENCE of at least one name"},
		{name: "SAN: an empty directoryName", profile: func(c *ProfileConfig) { c.SAN.Allowed = []string{"directoryName"} }, request: reqExt(ext("2.5.29.17", false, "3004 a402 3000")), kind: BadExtension, want: "san: name 1 is an empty directoryName"},

		// Usages.
		{name: "key usage: what is fixed may be asked for", request: reqExt(pkix.KeyUsageExtension(pkix.DigitalSignature))},
		{name: "key usage: another than the fixed is refused", request: reqExt(pkix.KeyUsageExtension(pkix.KeyAgreement)), kind: UnacceptedExtension, want: "key_usage: keyAgreement was asked for, digitalSignature could be granted"},
		{name: "key usage: another than the fixed becomes the fixed", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.KeyUsageExtension(pkix.KeyAgreement)), mods: mods{"keyUsage: granted digitalSignature"}},
		{name: "key usage: a subset of the allowed", profile: chooseKU, request: reqExt(pkix.KeyUsageExtension(pkix.KeyAgreement)), see: func(c *x509.Certificate) bool { return c.KeyUsage == x509.KeyUsageKeyAgreement }},
		{name: "key usage: the default is cut to what the key can do", profile: chooseKU, see: func(c *x509.Certificate) bool { return c.KeyUsage == x509.KeyUsageDigitalSignature }},
		{name: "key usage: RSA keys can encipher", profile: func(c *ProfileConfig) { chooseKU(c); c.Keys = []string{"rsa-2048"} }, request: func(r *Request) { r.PublicKey = testSPKI(t, "rsa-2048", 1) }, see: func(c *x509.Certificate) bool {
			return c.KeyUsage == x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment
		}},
		{name: "key usage: an EC key cannot encipher (RFC 8813)", profile: chooseKU, request: reqExt(pkix.KeyUsageExtension(pkix.DigitalSignature | pkix.KeyEncipherment)), kind: UnacceptedExtension, want: "key_usage: "},
		{name: "key usage: what the key cannot do is dropped", profile: func(c *ProfileConfig) { chooseKU(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.KeyUsageExtension(pkix.DigitalSignature | pkix.KeyEncipherment)), mods: mods{"keyUsage: granted digitalSignature"}},
		{name: "key usage: nothing left is refused even where the profile drops", profile: func(c *ProfileConfig) { chooseKU(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.KeyUsageExtension(pkix.CRLSign)), kind: UnacceptedExtension, want: "key_usage: cRLSign was asked for, nothing could be granted"},
		{name: "key usage: keyCertSign is never granted to an end entity", profile: func(c *ProfileConfig) { chooseKU(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.KeyUsageExtension(pkix.DigitalSignature | pkix.KeyCertSign)), mods: mods{"keyUsage: granted digitalSignature"}},
		{name: "key usage: encipherOnly needs keyAgreement", profile: chooseKU, request: reqExt(pkix.KeyUsageExtension(pkix.DigitalSignature | pkix.EncipherOnly)), kind: UnacceptedExtension, want: "key_usage: "},
		{name: "key usage: trailing zero bits are not DER", request: reqExt(ext("2.5.29.15", true, "03020080")), kind: BadExtension, want: "key_usage: it is malformed"},
		{name: "key usage: an empty one", request: reqExt(ext("2.5.29.15", true, "030100")), kind: BadExtension, want: "key_usage: it is malformed or empty"},
		{name: "key usage: an Ed25519 key only signs", profile: func(c *ProfileConfig) { chooseKU(c); c.Keys = []string{"ed25519"} }, request: func(r *Request) {
			r.PublicKey = testSPKI(t, "ed25519", 1)
			r.Extensions = []pkix.Extension{pkix.KeyUsageExtension(pkix.KeyAgreement)}
		}, kind: UnacceptedExtension, want: "key_usage: "},
		{name: "key usage: a key that can serve none of it", profile: func(c *ProfileConfig) { c.KeyUsage.Fixed = []string{"keyEncipherment"} }, kind: BadAlg, want: "key_usage: the key can serve none of keyEncipherment"},
		{name: "EKU: a choice, in its order", profile: chooseEKU, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDServerAuth, pkix.OIDClientAuth})), see: func(c *x509.Certificate) bool {
			return reflect.DeepEqual(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth})
		}},
		{name: "EKU: the default", profile: chooseEKU, see: func(c *x509.Certificate) bool {
			return reflect.DeepEqual(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth})
		}},
		{name: "EKU: one that is not allowed", profile: chooseEKU, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDServerAuth, pkix.OIDOCSPSigning})), kind: UnacceptedExtension, want: "ext_key_usage: serverAuth,OCSPSigning was asked for, serverAuth could be granted"},
		{name: "EKU: dropped", profile: func(c *ProfileConfig) { chooseEKU(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDServerAuth, pkix.OIDOCSPSigning})), mods: mods{"extKeyUsage: granted serverAuth"}},
		{name: "EKU: the last purpose is never dropped", profile: func(c *ProfileConfig) { chooseEKU(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDCMCRA})), kind: UnacceptedExtension, want: "ext_key_usage: cmcRA was asked for, nothing could be granted"},
		{name: "EKU: one where the profile has none", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDServerAuth})), kind: UnacceptedExtension, want: "ext_key_usage: "},
		{name: "EKU: twice the same", profile: chooseEKU, request: reqExt(pkix.ExtKeyUsageExtension([]pkix.OID{pkix.OIDServerAuth, pkix.OIDServerAuth})), kind: BadExtension, want: "ext_key_usage: "},
		{name: "EKU: critical as the profile says", profile: func(c *ProfileConfig) {
			c.ExtKeyUsage = UsageConfig{Fixed: []string{"timeStamping"}, Critical: true}
		}, see: func(c *x509.Certificate) bool { return critical(c, "2.5.29.37") }},

		// CA flag.
		{name: "an end entity may say that it is none", request: reqExt(ext("2.5.29.19", false, "3000"))},
		{name: "CA:FALSE in full is not DER", request: reqExt(ext("2.5.29.19", false, "3003010100")), kind: BadExtension, want: "basic_constraints: it is malformed"},
		{name: "an end entity does not become a CA", request: reqExt(ext("2.5.29.19", true, "30030101ff")), kind: UnacceptedExtension, want: "basic_constraints.ca: CA true was asked for, the profile has false"},
		{name: "an end entity does not become a CA where the profile drops", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(ext("2.5.29.19", true, "30030101ff")), mods: mods{"basicConstraints: granted CA FALSE"}, see: func(c *x509.Certificate) bool { return !c.IsCA }},
		{name: "a CA may ask for a shorter path", profile: caProfile, request: reqExt(ext("2.5.29.19", true, "30060101ff020101")), see: func(c *x509.Certificate) bool { return c.IsCA && c.MaxPathLen == 1 }},
		{name: "a CA does not get a longer path", profile: caProfile, request: reqExt(ext("2.5.29.19", true, "30060101ff020103")), kind: UnacceptedExtension, want: "basic_constraints.path_len: 3 was asked for, 2 is the most"},
		{name: "a CA's longer path is cut", profile: func(c *ProfileConfig) { caProfile(c); c.Extensions.Unaccepted = "drop" }, request: reqExt(ext("2.5.29.19", true, "30060101ff020103")), mods: mods{"basicConstraints: the path length is limited"}, see: func(c *x509.Certificate) bool { return c.MaxPathLen == 2 }},

		// Other extensions.
		{name: "an unknown extension is refused", request: reqExt(ext("1.2.3.4", false, "0500")), kind: UnacceptedExtension, want: "extensions.unaccepted: 1.2.3.4 is not in extensions.allowed"},
		{name: "an unknown extension is dropped", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(ext("1.2.3.4", true, "0500")), mods: mods{"extension 1.2.3.4: left out"}, see: func(c *x509.Certificate) bool { return !has(c, "1.2.3.4") }},
		{name: "a listed extension is copied with its criticality", profile: func(c *ProfileConfig) { c.Extensions.Allowed = []string{"1.2.3.4"} }, request: reqExt(ext("1.2.3.4", true, "0500")), see: func(c *x509.Certificate) bool { return critical(c, "1.2.3.4") }},
		{name: "a listed extension must be DER", profile: func(c *ProfileConfig) { c.Extensions.Allowed = []string{"1.2.3.4"} }, request: reqExt(ext("1.2.3.4", false, "050000")), kind: BadExtension, want: "extensions.allowed: 1.2.3.4: "},
		{name: "a listed extension that is known must have its syntax", profile: func(c *ProfileConfig) { c.Extensions.Allowed = []string{"certificatePolicies"} }, request: reqExt(ext("2.5.29.32", false, "3000")), kind: BadExtension, want: "extensions.allowed: certificatePolicies: the value does not"},
		{name: "a listed extension overrides the profile's", profile: func(c *ProfileConfig) {
			c.Extensions.Allowed, c.Policies = []string{"certificatePolicies"}, []PolicyConfig{{OID: "1.2.3"}}
		}, request: reqExt(ext("2.5.29.32", false, "3006 3004 06022a05")), see: func(c *x509.Certificate) bool { return fmt.Sprint(c.Policies) == "[1.2.5]" }},
		{name: "what the profile sets anyway may be asked for", profile: func(c *ProfileConfig) { c.Policies = []PolicyConfig{{OID: "1.2.3"}} }, request: reqExt(ext("2.5.29.32", false, "3006 3004 06022a03"))},
		{name: "an extension that must not be critical", profile: func(c *ProfileConfig) { c.Extensions.Allowed = []string{"authorityInfoAccess"} }, request: reqExt(ext("1.3.6.1.5.5.7.1.1", true, "3010 300e 06082b06010505073001 8602613a")), kind: BadExtension, want: "extensions.allowed: authorityInfoAccess: RFC 5280 wants"},
		{name: "an extension twice", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(ext("1.2.3.4", false, "0500"), ext("1.2.3.4", false, "0500")), kind: BadExtension, want: "extensions: 1.2.3.4 is there twice"},
		{name: "too many extensions", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: func(r *Request) {
			for i := range 65 {
				r.Extensions = append(r.Extensions, ext(fmt.Sprintf("1.2.3.%d", i), false, "0500"))
			}
		}, kind: BadExtension, want: "extensions: more than 64"},
		{name: "too large extensions", profile: func(c *ProfileConfig) { c.Extensions.Unaccepted = "drop" }, request: reqExt(pkix.Extension{ID: pkix.MustOID("1.2.3"), Value: make([]byte, 64<<10+1)}), kind: BadExtension, want: "extensions: more than 65536 octets"},
		{name: "another subject key identifier is told", request: reqExt(pkix.SubjectKeyIDExtension([]byte{1, 2})), mods: mods{"subjectKeyIdentifier: set by the CA"}},
		{name: "another authority key identifier is told", request: reqExt(ext("2.5.29.35", false, "30038001 07")), mods: mods{"authorityKeyIdentifier: set by the CA"}},
		{name: "a malformed key identifier is refused", request: reqExt(ext("2.5.29.14", false, "0500")), kind: BadExtension, want: "extensions: subjectKeyIdentifier is malformed"},
		{name: "a fixed extension is in every certificate", profile: func(c *ProfileConfig) {
			c.Extensions.Fixed = []FixedExtensionConfig{{OID: "tlsFeature", Value: "3003020105"}}
		}, see: func(c *x509.Certificate) bool { return has(c, "1.3.6.1.5.5.7.1.24") }},
	} {
		t.Run(x.name, func(t *testing.T) {
			cfg, req := plain(), testRequest(t)
			if x.profile != nil {
				x.profile(&cfg)
			}
			if x.request != nil {
				x.request(&req)
			}
			p := mustCompile(t, cfg)
			if x.want == "" {
				c, prep := issue(t, p, is, req)
				if !reflect.DeepEqual(prep.Mods, x.mods) {
					t.Errorf("mods: got %q, want %q", prep.Mods, x.mods)
				}
				if x.see != nil && !x.see(c) {
					t.Errorf("not what it should be: %+v", c)
				}
				return
			}
			prep, err := p.Prepare(req, is, testNow)
			var ref *Refusal
			if !errors.As(err, &ref) || prep != nil {
				t.Fatalf("not refused: %v", err)
			}
			if ref.Kind != x.kind || !strings.HasPrefix(ref.Detail, "profile device: "+x.want) {
				t.Errorf("got %s, %q", ref.Kind, ref.Detail)
			}
			if ref.Public == "" || strings.Contains(ref.Public, "device") || ref.Error() != ref.Detail {
				t.Errorf("public text: %q", ref.Public)
			}
		})
	}
}

func reqExt(l ...pkix.Extension) func(*Request) { return func(r *Request) { r.Extensions = l } }

func chooseKU(c *ProfileConfig) {
	c.KeyUsage = UsageConfig{
		Allowed: []string{"digitalSignature", "keyEncipherment", "keyAgreement", "encipherOnly"},
		Default: []string{"digitalSignature", "keyEncipherment"},
	}
}

func chooseEKU(c *ProfileConfig) {
	c.ExtKeyUsage = UsageConfig{Allowed: []string{"clientAuth", "serverAuth"}, Default: []string{"clientAuth"}}
}

func caProfile(c *ProfileConfig) {
	two := 2
	c.BasicConstraints = BasicConstraintsConfig{CA: true, PathLen: &two}
	c.KeyUsage.Fixed = []string{"keyCertSign", "cRLSign"}
}

func hexName(s string) pkix.Name {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func oidOf(s string) asn1.ObjectIdentifier {
	var o asn1.ObjectIdentifier
	for p := range strings.SplitSeq(s, ".") {
		n := 0
		fmt.Sscan(p, &n)
		o = append(o, n)
	}
	return o
}

func has(c *x509.Certificate, id string) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidOf(id)) {
			return true
		}
	}
	return false
}

func critical(c *x509.Certificate, id string) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(oidOf(id)) {
			return e.Critical
		}
	}
	return false
}

func exponent3(t *testing.T) pkix.SubjectPublicKeyInfo {
	n := new(big.Int).Set(testKey(t, "rsa-2048", 1).Public().(*rsa.PublicKey).N)
	spki, err := alg.MarshalPublicKey(&rsa.PublicKey{N: n, E: 3})
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

func TestAnExpiredCAIssuesNothing(t *testing.T) {
	is := testCA(t, "ecdsa-p256", "")
	p := mustCompile(t, plain())
	for _, now := range []time.Time{testNow.AddDate(39, 0, 1), testNow.AddDate(-1, 0, -1)} {
		_, err := p.Prepare(testRequest(t), is, now)
		var ref *Refusal
		if !errors.As(err, &ref) || ref.Kind != IssuerUnable {
			t.Errorf("%s: %v", now, err)
		}
	}
}

func TestSyntaxOfAlternativeNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, x := range []struct {
		check     func(string) error
		good, bad []string
	}{
		{func(s string) error { return checkDNS(s, true) },
			[]string{"a", "a.b", "A-1.example", "3com.com", "xn--nxasmq6b.example", "*.example.com", long + ".b", strings.Repeat(long+".", 3) + strings.Repeat("a", 61)},
			[]string{"", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a_b.c", "a b", "*", "*.", "a.*.b", "a*.b", "**.b", "1.2.3.4", "a.1", "a\x00.b", "ü.example", long + "a.b", strings.Repeat(long+".", 3) + strings.Repeat("a", 62), "a@b", "a:80", "[::1]"}},
		{checkMail,
			[]string{"a@b.example", "first.last+tag@example.com", "x!#$%&'*+-/=?^_`{|}~@b"},
			[]string{"", "a", "@b", "a@", "a@@b", "a..b@c", ".a@c", "a.@c", "a b@c", `"a b"@c`, "a@b c", "A <a@b>", "a\x00@b", strings.Repeat("a", 65) + "@b", "a@[192.0.2.1]"}},
		{checkURI,
			[]string{"http://a.example/x?y#z", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "spiffe://td/ns/x", "ldap:///CN=x", "http://192.0.2.1/", "http://[2001:db8::1]:80/", "tag:x", "mailto:a@b"},
			[]string{"", "/relative", "a.example", "http:", "http://a b/", "http://a_b/", "http:///\x00", "http://ü/", "http://[::1/", "http://a.1/", "http://a/<x>", "http://*.a/"}},
	} {
		for _, s := range x.good {
			if err := x.check(s); err != nil {
				t.Errorf("%q is refused: %v", s, err)
			}
		}
		for _, s := range x.bad {
			if x.check(s) == nil {
				t.Errorf("%q passes", s)
			}
		}
	}
}
