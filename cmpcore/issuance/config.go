package issuance

// ProfileConfig is a certificate profile as it is written down. [Compile]
// checks it and makes the [Profile] that is used. A field left out is the
// strictest choice unless its comment says otherwise.
type ProfileConfig struct {
	// Name is what requests, logs and error messages call the profile.
	Name     string         `yaml:"name"`
	Validity ValidityConfig `yaml:"validity"`
	// Keys lists the allowed key types: ecdsa-p256, ecdsa-p384, ecdsa-p521,
	// ed25519, rsa-3072 (exactly), rsa-2048+ (at least), rsa-2048..4096, and
	// whatever other name package alg gives to a key.
	Keys []string `yaml:"keys"`
	// RSAMinExponent is the smallest public exponent; default 65537, as FIPS
	// 186-5 has it. 3 is the smallest possible.
	RSAMinExponent   int64                  `yaml:"rsa_min_exponent"`
	Subject          SubjectConfig          `yaml:"subject"`
	SAN              SANConfig              `yaml:"san"`
	KeyUsage         UsageConfig            `yaml:"key_usage"`
	ExtKeyUsage      UsageConfig            `yaml:"ext_key_usage"`
	BasicConstraints BasicConstraintsConfig `yaml:"basic_constraints"`
	Extensions       ExtensionsConfig       `yaml:"extensions"`
	// Policies become certificatePolicies.
	Policies []PolicyConfig `yaml:"policies"`
	// CRLURLs become one distribution point: the same CRL at several places.
	CRLURLs []string `yaml:"crl_urls"`
	// CAIssuersURLs and OCSPURLs become authorityInfoAccess.
	CAIssuersURLs []string `yaml:"ca_issuers_urls"`
	OCSPURLs      []string `yaml:"ocsp_urls"`
	// Lint has each certificate looked at by zlint before it is signed; left out,
	// none is.
	Lint *LintConfig `yaml:"lint"`
}

// LintConfig says which lints of zlint a certificate must pass before it is
// signed. What they look at is signed for trial, by a key that nobody keeps.
type LintConfig struct {
	// Refuse is the least level of a finding for which a certificate is refused:
	// notice, warn, error (the default), fatal, or none. Findings below it only
	// stand in the log and in the audit log.
	Refuse string `yaml:"refuse"`
	// Sources lists whose rules count, such as RFC5280, CABF_BR or
	// CABF_SMIME_BR; left out, all RFCs.
	Sources []string `yaml:"sources"`
	// Ignore lists lints by name whose findings count for nothing. not_lintable
	// is the one, of level fatal, about certificates that zlint cannot read.
	Ignore []string `yaml:"ignore"`
}

// ValidityConfig says how long certificates live. Lengths are written as
// [ParsePeriod] reads them.
type ValidityConfig struct {
	// Default is the validity of a request that asks for none, from now.
	Default string `yaml:"default"`
	// Max is the longest validity, from now or from a later notBefore; left
	// out, it is Default.
	Max string `yaml:"max"`
	// Backdate is how far before now a certificate begins, for clocks that
	// run behind.
	Backdate string `yaml:"backdate"`
	// Advance is how far in the future a requested notBefore may be.
	Advance string `yaml:"advance"`
	// Request says what becomes of dates in a request: "clamp" (the default)
	// grants them as far as the profile allows and changes them otherwise,
	// "strict" grants or refuses, "ignore" takes no notice.
	Request string `yaml:"request"`
	// BeyondCA says what happens where a certificate would outlive its CA:
	// "truncate" (the default) to the end of the CA, or "refuse".
	BeyondCA string `yaml:"beyond_ca"`
}

// SubjectConfig says what the subject may be. Attributes are named CN, O, OU,
// C, serialNumber and so on, or by object identifier.
type SubjectConfig struct {
	// FromRequest takes the subject of the request; otherwise it is Fixed.
	FromRequest bool `yaml:"from_request"`
	// Fixed lists "O=Example Corp" parts that every subject has, in front of
	// what comes from the request; they replace attributes of the same type.
	Fixed []string `yaml:"fixed"`
	// Required lists attributes that must be there.
	Required []string `yaml:"required"`
	// Allowed lists attributes that may be there besides Fixed and Required;
	// left out, all are.
	Allowed []string `yaml:"allowed"`
	// Patterns gives a regular expression (RE2) that all of each value of an
	// attribute must match.
	Patterns map[string]string `yaml:"patterns"`
	// MayBeEmpty allows no subject at all; then the request must have a
	// subjectAltName, which becomes critical (RFC 5280 section 4.2.1.6).
	MayBeEmpty bool `yaml:"may_be_empty"`
}

// SANConfig says what subjectAltName may hold. It always comes from the
// request; a common name is never copied into it.
type SANConfig struct {
	// Allowed lists the kinds of name: dns, ip, email, uri, directoryName,
	// registeredID, and otherName:OID or otherName:* for any.
	Allowed []string `yaml:"allowed"`
	// Required refuses requests without one.
	Required bool `yaml:"required"`
	// Max is the largest number of names; default 100, at most 10,000.
	Max int `yaml:"max"`
	// DNSSuffixes lists the domains that DNS names must lie in or be; left
	// out, all.
	DNSSuffixes []string `yaml:"dns_suffixes"`
	// Wildcards allows "*" as the whole leftmost label of a DNS name.
	Wildcards bool `yaml:"wildcards"`
	// IPRanges lists the networks that addresses must lie in, such as
	// 10.0.0.0/8; left out, all.
	IPRanges []string `yaml:"ip_ranges"`
	// Patterns gives regular expressions (RE2) that all of a name must match,
	// for the kinds dns (in lower case), email and uri.
	Patterns map[string]string `yaml:"patterns"`
}

// UsageConfig is for keyUsage (digitalSignature, keyEncipherment, ...) and for
// extendedKeyUsage (serverAuth, clientAuth, ... or object identifiers). Either
// Fixed, or Allowed with Default, or nothing: then the certificate has no such
// extension.
//
// Key usages that a key cannot serve, such as keyEncipherment with an EC key
// (RFC 8813), are left out of Fixed and Default by themselves.
type UsageConfig struct {
	// Fixed is what every certificate has, whatever the request says.
	Fixed []string `yaml:"fixed"`
	// Allowed is what a request may choose from.
	Allowed []string `yaml:"allowed"`
	// Default is for requests that do not choose.
	Default []string `yaml:"default"`
	// Critical marks extendedKeyUsage critical, as RFC 3161 wants it for
	// timeStamping. keyUsage always is.
	Critical bool `yaml:"critical"`
}

// BasicConstraintsConfig says whether the certificates are for CAs.
type BasicConstraintsConfig struct {
	CA bool `yaml:"ca"`
	// PathLen bounds the CAs below; left out, only the CA's own does.
	PathLen *int `yaml:"path_len"`
}

// ExtensionsConfig says what happens to other extensions. They are named as in
// RFC 5280 (certificatePolicies, cRLDistributionPoints, ...) or by object
// identifier.
type ExtensionsConfig struct {
	// Allowed lists extensions copied from the request; they override what
	// the profile would put there.
	Allowed []string `yaml:"allowed"`
	// Unaccepted says what becomes of extensions, usages and a CA flag in a
	// request that the profile does not grant: "refuse" (the default), or
	// "drop", which issues without them and reports a modification.
	Unaccepted string `yaml:"unaccepted"`
	// Fixed lists extensions with a constant value.
	Fixed []FixedExtensionConfig `yaml:"fixed"`
}

// FixedExtensionConfig is an extension that every certificate gets.
type FixedExtensionConfig struct {
	OID      string `yaml:"oid"`
	Critical bool   `yaml:"critical"`
	Value    string `yaml:"value"` // the DER of the extension's type, in hex
}

// PolicyConfig is one entry of certificatePolicies.
type PolicyConfig struct {
	OID string `yaml:"oid"`
	CPS string `yaml:"cps"` // URL of the practice statement; optional
}

// DefaultProfile is the profile of a fresh CA: end entities with any subject,
// all the usual kinds of key and of alternative names, key usages of the
// request's choice that no CA, OCSP responder or registration authority needs,
// for one year where nothing is asked and three at most. Extensions it does
// not know are left out, which the requester is told.
func DefaultProfile() ProfileConfig {
	return ProfileConfig{
		Name: "default",
		Validity: ValidityConfig{
			Default: "1y", Max: "3y", Backdate: "5m", Advance: "90d", Request: "clamp", BeyondCA: "truncate",
		},
		Keys: []string{"ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048+", "ed25519"},
		Subject: SubjectConfig{
			FromRequest: true, MayBeEmpty: true,
		},
		SAN: SANConfig{
			Allowed: []string{"dns", "ip", "email", "uri", "directoryName", "registeredID",
				"otherName:1.3.6.1.5.5.7.8.3", "otherName:1.3.6.1.5.5.7.8.4"}, // permanent identifier, hardware module
			Wildcards: true,
		},
		KeyUsage: UsageConfig{
			Allowed: []string{"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
				"keyAgreement", "encipherOnly", "decipherOnly"},
			Default: []string{"digitalSignature", "keyEncipherment"},
		},
		ExtKeyUsage: UsageConfig{
			Allowed: []string{"serverAuth", "clientAuth", "codeSigning", "emailProtection", "timeStamping",
				"1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.7.3.36"}, // IKE, document signing
		},
		Extensions: ExtensionsConfig{
			Allowed:    []string{"tlsFeature"},
			Unaccepted: "drop",
		},
	}
}
