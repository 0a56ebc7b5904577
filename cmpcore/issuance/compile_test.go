package issuance

import (
	"strings"
	"testing"
)

// plain is a small profile without faults.
func plain() ProfileConfig {
	return ProfileConfig{
		Name:     "device",
		Validity: ValidityConfig{Default: "1y"},
		Keys:     []string{"ecdsa-p256"},
		Subject:  SubjectConfig{FromRequest: true},
		KeyUsage: UsageConfig{Fixed: []string{"digitalSignature"}},
	}
}

func TestAFaultInAProfileIsNamedByItsKey(t *testing.T) {
	ten := 10
	for _, x := range []struct {
		name string
		f    func(*ProfileConfig)
		want string
	}{
		{"no name", func(c *ProfileConfig) { c.Name = "" }, `profiles.?.name: a profile needs a name`},
		{"no validity", func(c *ProfileConfig) { c.Validity = ValidityConfig{} }, `profiles.device.validity.default: it is missing; write it as 397d or 1y`},
		{"unreadable max", func(c *ProfileConfig) { c.Validity.Max = "3 years" }, `profiles.device.validity.max: "3 years" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31`},
		{"default beyond max", func(c *ProfileConfig) { c.Validity.Max = "90d" }, `profiles.device.validity.max: 90d is shorter than validity.default 1y`},
		{"zero default", func(c *ProfileConfig) { c.Validity.Default = "0h" }, `profiles.device.validity.default: it has no length`},
		{"endless backdate", func(c *ProfileConfig) { c.Validity.Backdate = "2y" }, `profiles.device.validity.backdate: 2y is more than a year`},
		{"endless advance", func(c *ProfileConfig) { c.Validity.Advance = "9999-12-31" }, `profiles.device.validity.advance: it must be a length of time`},
		{"unknown word", func(c *ProfileConfig) { c.Validity.Request = "maybe" }, `profiles.device.validity.request: "maybe" is none of clamp, strict, ignore`},
		{"unknown word 2", func(c *ProfileConfig) { c.Validity.BeyondCA = "no" }, `profiles.device.validity.beyond_ca: "no" is none of truncate, refuse`},
		{"no keys", func(c *ProfileConfig) { c.Keys = nil }, `profiles.device.keys: no key type is allowed; list some, such as ecdsa-p256 or rsa-2048+`},
		{"short RSA", func(c *ProfileConfig) { c.Keys = []string{"rsa-512+"} }, `profiles.device.keys[0]: "rsa-512+": RSA keys have 1024 to 16384 bits`},
		{"RSA range upside down", func(c *ProfileConfig) { c.Keys = []string{"rsa-4096..2048"} }, `profiles.device.keys[0]: "rsa-4096..2048": RSA keys have 1024 to 16384 bits`},
		{"exponent 1", func(c *ProfileConfig) { c.RSAMinExponent = 1 }, `profiles.device.rsa_min_exponent: 1 is not between 3 and 2147483647`},
		{"unknown attribute", func(c *ProfileConfig) { c.Subject.Required = []string{"nick"} }, `profiles.device.subject.required[0]: "nick" is neither the name of an attribute, such as CN, nor an object identifier`},
		{"malformed fixed part", func(c *ProfileConfig) { c.Subject.Fixed = []string{"Example"} }, ``},
		{"long country", func(c *ProfileConfig) { c.Subject.Fixed = []string{"C=Germany"} }, ``},
		{"required never there", func(c *ProfileConfig) {
			c.Subject = SubjectConfig{Fixed: []string{"O=x"}, Required: []string{"CN"}}
		}, `profiles.device.subject.required[0]: CN can never be there: the subject is not from the request and not fixed`},
		{"no subject at all", func(c *ProfileConfig) { c.Subject = SubjectConfig{} }, `profiles.device.subject: it is neither from_request nor fixed, and may not be empty`},
		{"bad pattern", func(c *ProfileConfig) { c.Subject.Patterns = map[string]string{"CN": "a)("} }, "profiles.device.subject.patterns.CN: error parsing regexp: unexpected ): `a)(`"},
		{"pattern under two names", func(c *ProfileConfig) { c.Subject.Patterns = map[string]string{"CN": "a", "2.5.4.3": "b"} }, `profiles.device.subject.patterns.CN: the attribute has a pattern already, under another name`},
		{"fixed against pattern", func(c *ProfileConfig) {
			c.Subject.Fixed, c.Subject.Patterns = []string{"O=x"}, map[string]string{"O": "y"}
		}, `profiles.device.subject.fixed: "x" does not match subject.patterns`},
		{"unknown SAN kind", func(c *ProfileConfig) { c.SAN.Allowed = []string{"x400"} }, `profiles.device.san.allowed[0]: "x400" is none of dns, ip, email, uri, directoryName, registeredID, otherName:OID`},
		{"SAN required but none allowed", func(c *ProfileConfig) { c.SAN.Required = true }, `profiles.device.san.required: no kind of name is in san.allowed`},
		{"SAN max", func(c *ProfileConfig) { c.SAN.Max = -1 }, `profiles.device.san.max: -1 is not between 1 and 10000`},
		{"bad suffix", func(c *ProfileConfig) { c.SAN.DNSSuffixes = []string{"a_b"} }, `profiles.device.san.dns_suffixes[0]: "a_b" is no domain: a label has the octet 0x5f; only letters, digits and hyphens are allowed`},
		{"bad range", func(c *ProfileConfig) { c.SAN.IPRanges = []string{"10.0.0.1"} }, `profiles.device.san.ip_ranges[0]: "10.0.0.1" is no network such as 10.0.0.0/8`},
		{"pattern for addresses", func(c *ProfileConfig) { c.SAN.Patterns = map[string]string{"ip": "x"} }, `profiles.device.san.patterns.ip: patterns are for dns, email and uri`},
		{"unknown key usage", func(c *ProfileConfig) { c.KeyUsage.Fixed = []string{"sign"} }, `profiles.device.key_usage.fixed[0]: "sign" is no key usage, such as digitalSignature`},
		{"fixed and allowed", func(c *ProfileConfig) { c.KeyUsage.Allowed = []string{"digitalSignature"} }, `profiles.device.key_usage: either fixed, or allowed and default`},
		{"default not allowed", func(c *ProfileConfig) {
			c.KeyUsage = UsageConfig{Allowed: []string{"digitalSignature"}, Default: []string{"keyAgreement"}}
		}, `profiles.device.key_usage.default[0]: "keyAgreement" is not in key_usage.allowed`},
		{"no default", func(c *ProfileConfig) { c.KeyUsage = UsageConfig{Allowed: []string{"digitalSignature"}} }, `profiles.device.key_usage.default: it is missing: what do requests get that do not choose?`},
		{"default without choice", func(c *ProfileConfig) { c.ExtKeyUsage.Default = []string{"clientAuth"} }, `profiles.device.ext_key_usage.default: it is for requests that may choose; without ext_key_usage.allowed write ext_key_usage.fixed`},
		{"keyCertSign of an end entity", func(c *ProfileConfig) { c.KeyUsage.Fixed = []string{"keyCertSign"} }, `profiles.device.key_usage: keyCertSign is for profiles with basic_constraints.ca only (RFC 5280 section 4.2.1.9)`},
		{"a CA that cannot sign", func(c *ProfileConfig) { c.BasicConstraints.CA = true }, `profiles.device.key_usage.fixed: a CA's certificate must have keyCertSign`},
		{"encipherOnly alone", func(c *ProfileConfig) { c.KeyUsage.Fixed = []string{"encipherOnly"} }, `profiles.device.key_usage: encipherOnly and decipherOnly mean nothing without keyAgreement`},
		{"unknown purpose", func(c *ProfileConfig) { c.ExtKeyUsage.Fixed = []string{"web"} }, `profiles.device.ext_key_usage.fixed[0]: "web" is neither an extended key usage, such as serverAuth, nor an object identifier`},
		{"purpose twice", func(c *ProfileConfig) { c.ExtKeyUsage.Fixed = []string{"clientAuth", "1.3.6.1.5.5.7.3.2"} }, `profiles.device.ext_key_usage.fixed[1]: "1.3.6.1.5.5.7.3.2" is there twice`},
		{"path length of an end entity", func(c *ProfileConfig) { c.BasicConstraints.PathLen = &ten }, `profiles.device.basic_constraints.path_len: it is for profiles with basic_constraints.ca only`},
		{"SAN as extension", func(c *ProfileConfig) { c.Extensions.Allowed = []string{"subjectAltName"} }, `profiles.device.extensions.allowed[0]: subjectAltName cannot be listed: it is ruled by san`},
		{"AKI as extension", func(c *ProfileConfig) { c.Extensions.Allowed = []string{"2.5.29.35"} }, `profiles.device.extensions.allowed[0]: 2.5.29.35 cannot be listed: the CA always sets it`},
		{"nameConstraints of an end entity", func(c *ProfileConfig) { c.Extensions.Allowed = []string{"nameConstraints"} }, `profiles.device.extensions.allowed[0]: nameConstraints is for CA certificates only`},
		{"unknown extension", func(c *ProfileConfig) { c.Extensions.Allowed = []string{"x"} }, `profiles.device.extensions.allowed[0]: "x" is neither the name of an extension, such as certificatePolicies, nor an object identifier`},
		{"fixed extension is no DER", func(c *ProfileConfig) {
			c.Extensions.Fixed = []FixedExtensionConfig{{OID: "tlsFeature", Value: "3003020105ff"}}
		}, ``},
		{"fixed extension of another type", func(c *ProfileConfig) {
			c.Extensions.Fixed = []FixedExtensionConfig{{OID: "tlsFeature", Value: "0500"}}
		}, `profiles.device.extensions.fixed[0].value: it is not the DER of such an extension in hex: the value does not have the syntax of the extension`},
		{"policies twice", func(c *ProfileConfig) {
			c.Policies, c.Extensions.Fixed = []PolicyConfig{{OID: "1.2.3"}}, []FixedExtensionConfig{{OID: "certificatePolicies", Value: "3006300406022a03"}}
		}, `profiles.device.policies: the extension certificatePolicies is there twice`},
		{"policy twice", func(c *ProfileConfig) { c.Policies = []PolicyConfig{{OID: "1.2.3"}, {OID: "1.2.3"}} }, `profiles.device.policies[1].oid: 1.2.3 is there twice`},
		{"no URL", func(c *ProfileConfig) { c.CRLURLs = []string{"pki.example/a.crl"} }, `profiles.device.crl_urls[0]: "pki.example/a.crl" is no URL such as http://pki.example/ca.crl`},
		{"URL with a space", func(c *ProfileConfig) { c.OCSPURLs = []string{"http://a.example/ x"} }, `profiles.device.ocsp_urls[0]: "http://a.example/ x" has characters that a URL must escape`},
	} {
		cfg := plain()
		x.f(&cfg)
		p, err := Compile(cfg)
		if err == nil || p != nil {
			t.Errorf("%s: compiled", x.name)
			continue
		}
		if x.want != "" && err.Error() != x.want {
			t.Errorf("%s:\n got %s\nwant %s", x.name, err, x.want)
		}
		if !strings.HasPrefix(err.Error(), "profiles.") {
			t.Errorf("%s: %s", x.name, err)
		}
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	_, err := Compile(ProfileConfig{Name: "x", Keys: []string{"dsa"}, ExtKeyUsage: UsageConfig{Fixed: []string{"?"}}, CRLURLs: []string{""}})
	if err == nil {
		t.Fatal("compiled")
	}
	var keys []string
	for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
		key, _, _ := strings.Cut(e.Error(), ":")
		keys = append(keys, key)
	}
	if got, want := strings.Join(keys, " "), "profiles.x.validity.default profiles.x.keys[0] profiles.x.subject profiles.x.ext_key_usage.fixed[0] profiles.x.crl_urls[0]"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestTheProfileOfAFreshCACompiles(t *testing.T) {
	p := mustCompile(t, DefaultProfile())
	if p.Name() != "default" || p.IsCA() {
		t.Errorf("%+v", p)
	}
	mustCompile(t, plain())
}
