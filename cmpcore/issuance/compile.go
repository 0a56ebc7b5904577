package issuance

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"cmp-batch/cmpcore/pkix"
)

// compiler collects the faults of one profile.
type compiler struct {
	prefix string
	errs   []error
}

func (c *compiler) fault(key, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s.%s: %w", c.prefix, key, fmt.Errorf(format, args...)))
}

// Compile checks a profile. Its error joins all faults, each of which names
// the place as "profiles.NAME.validity.max: ...".
func Compile(cfg ProfileConfig) (*Profile, error) {
	c := &compiler{prefix: "profiles." + clip(cfg.Name)}
	if cfg.Name == "" {
		c.prefix = "profiles.?"
		c.fault("name", "a profile needs a name")
	}
	p := &Profile{name: cfg.Name, ca: cfg.BasicConstraints.CA, pathLen: -1, linted: cfg.Lint != nil}
	c.validity(p, cfg.Validity)
	c.keys(p, cfg)
	c.subject(p, cfg.Subject)
	c.san(p, cfg.SAN, cfg.Subject)
	c.keyUsage(p, cfg.KeyUsage)
	c.extKeyUsage(p, cfg.ExtKeyUsage)
	c.basicConstraints(p, cfg.BasicConstraints)
	c.extensions(p, cfg.Extensions)
	c.policies(p, cfg.Policies)
	c.locations(p, cfg)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return p, nil
}

func (c *compiler) period(key, s string, into *Period) bool {
	if s == "" {
		return false
	}
	p, err := ParsePeriod(s)
	if err != nil {
		c.fault(key, "%w", err)
		return false
	}
	*into = p
	return true
}

func (c *compiler) validity(p *Profile, cfg ValidityConfig) {
	v := &p.validity
	before := len(c.errs)
	if !c.period("validity.default", cfg.Default, &v.def) && len(c.errs) == before {
		c.fault("validity.default", "it is missing; write it as 397d or 1y")
	}
	v.max = v.def
	c.period("validity.max", cfg.Max, &v.max)
	c.period("validity.backdate", cfg.Backdate, &v.backdate)
	c.period("validity.advance", cfg.Advance, &v.advance)
	if len(c.errs) == before {
		if v.def.IsZero() {
			c.fault("validity.default", "it has no length")
		}
		if v.def.longerThan(v.max) {
			c.fault("validity.max", "%s is shorter than validity.default %s", v.max, v.def)
		}
		if v.backdate.forever || v.backdate.longerThan(Period{days: 366}) {
			c.fault("validity.backdate", "%s is more than a year", v.backdate)
		}
		if v.advance.forever {
			c.fault("validity.advance", "it must be a length of time")
		}
	}
	v.request = c.oneOf("validity.request", cfg.Request, "clamp", "strict", "ignore")
	v.refuseBeyondCA = c.oneOf("validity.beyond_ca", cfg.BeyondCA, "truncate", "refuse") == "refuse"
}

// oneOf reads a word; the first is the default.
func (c *compiler) oneOf(key, got string, words ...string) string {
	if got == "" {
		return words[0]
	}
	if !slices.Contains(words, got) {
		c.fault(key, "%q is none of %s", clip(got), strings.Join(words, ", "))
	}
	return got
}

func (c *compiler) keys(p *Profile, cfg ProfileConfig) {
	if len(cfg.Keys) == 0 {
		c.fault("keys", "no key type is allowed; list some, such as ecdsa-p256 or rsa-2048+")
	}
	for i, s := range cfg.Keys {
		r, err := parseKeyRule(s)
		if err != nil {
			c.fault(fmt.Sprintf("keys[%d]", i), "%w", err)
		}
		p.keys = append(p.keys, r)
	}
	p.rsaMinExponent = 65537
	if cfg.RSAMinExponent != 0 {
		p.rsaMinExponent = cfg.RSAMinExponent
		if p.rsaMinExponent < 3 || p.rsaMinExponent > 1<<31-1 {
			c.fault("rsa_min_exponent", "%d is not between 3 and 2147483647", p.rsaMinExponent)
		}
	}
}

func (c *compiler) attribute(key, s string) pkix.OID {
	o, err := pkix.AttributeTypeByName(s)
	if err != nil {
		c.fault(key, "%q is neither the name of an attribute, such as CN, nor an object identifier", clip(s))
	}
	return o
}

func (c *compiler) subject(p *Profile, cfg SubjectConfig) {
	r := &p.subject
	r.fromRequest, r.mayBeEmpty = cfg.FromRequest, cfg.MayBeEmpty
	r.fixedTypes = map[pkix.OID]bool{}
	for i, s := range cfg.Fixed {
		key := fmt.Sprintf("subject.fixed[%d]", i)
		dn, err := pkix.ParseDN(s)
		var rdns []rdn
		if err == nil {
			rdns, err = parseName(dn)
		}
		if err != nil {
			c.fault(key, "%q: %w", clip(s), err)
			continue
		}
		for _, one := range rdns {
			r.fixed = append(r.fixed, one)
			for _, a := range one.attrs {
				r.fixedTypes[a.typ] = true
			}
		}
	}
	for i, s := range cfg.Required {
		key := fmt.Sprintf("subject.required[%d]", i)
		o := c.attribute(key, s)
		r.required = append(r.required, o)
		if o != "" && !cfg.FromRequest && !r.fixedTypes[o] {
			c.fault(key, "%s can never be there: the subject is not from the request and not fixed", clip(s))
		}
	}
	if len(cfg.Allowed) > 0 {
		r.allowed = map[pkix.OID]bool{}
		for i, s := range cfg.Allowed {
			r.allowed[c.attribute(fmt.Sprintf("subject.allowed[%d]", i), s)] = true
		}
		for _, o := range r.required {
			r.allowed[o] = true
		}
	}
	r.patterns = map[pkix.OID]*regexp.Regexp{}
	for _, s := range slices.Sorted(maps.Keys(cfg.Patterns)) {
		key := "subject.patterns." + clip(s)
		o := c.attribute(key, s)
		if r.patterns[o] != nil {
			c.fault(key, "the attribute has a pattern already, under another name")
		}
		r.patterns[o] = c.pattern(key, cfg.Patterns[s])
	}
	if !cfg.FromRequest && len(cfg.Fixed) == 0 && !cfg.MayBeEmpty {
		c.fault("subject", "it is neither from_request nor fixed, and may not be empty")
	}
	if p.ca && cfg.MayBeEmpty {
		c.fault("subject.may_be_empty", "a CA must have a subject (RFC 5280 section 4.1.2.6)")
	}
	for _, f := range r.fixed {
		for _, a := range f.attrs {
			if re := r.patterns[a.typ]; re != nil && !re.MatchString(a.text) {
				c.fault("subject.fixed", "%q does not match subject.patterns", clip(a.text))
			}
		}
	}
}

// pattern compiles a regular expression that must match all of a text: one
// that only had to match somewhere would be a hole in most rules.
func (c *compiler) pattern(key, s string) *regexp.Regexp {
	if len(s) > 4096 {
		c.fault(key, "the expression has more than 4096 characters")
		return nil
	}
	// First by itself, so that "a)(b" cannot close the group.
	if _, err := regexp.Compile(s); err != nil {
		c.fault(key, "%w", err)
		return nil
	}
	return regexp.MustCompile(`\A(?:` + s + `)\z`)
}

func (c *compiler) san(p *Profile, cfg SANConfig, subject SubjectConfig) {
	r := &p.san
	r.required, r.wildcards, r.max = cfg.Required, cfg.Wildcards, cfg.Max
	if r.max == 0 {
		r.max = 100
	}
	if r.max < 0 || r.max > maxSANs {
		c.fault("san.max", "%d is not between 1 and %d", cfg.Max, maxSANs)
	}
	r.otherNames = map[pkix.OID]bool{}
	tags := map[string]int{
		"dns": pkix.TagDNSName, "ip": pkix.TagIPAddress, "email": pkix.TagRFC822Name, "uri": pkix.TagURI,
		"directoryName": pkix.TagDirectoryName, "registeredID": pkix.TagRegisteredID,
	}
	for i, s := range cfg.Allowed {
		key := fmt.Sprintf("san.allowed[%d]", i)
		if id, ok := strings.CutPrefix(s, "otherName:"); ok {
			r.allowed[pkix.TagOtherName] = true
			if id == "*" {
				r.anyOtherName = true
				continue
			}
			o, err := pkix.ParseOID(id)
			if err != nil {
				c.fault(key, "%w", err)
			}
			r.otherNames[o] = true
			continue
		}
		tag, ok := tags[s]
		if !ok {
			c.fault(key, "%q is none of dns, ip, email, uri, directoryName, registeredID, otherName:OID", clip(s))
			continue
		}
		r.allowed[tag] = true
	}
	if len(cfg.Allowed) == 0 {
		if cfg.Required {
			c.fault("san.required", "no kind of name is in san.allowed")
		}
		if subject.MayBeEmpty && !subject.FromRequest && len(subject.Fixed) == 0 {
			c.fault("subject.may_be_empty", "without a subject there must be a subjectAltName, and san.allowed has no kind of name")
		}
	}
	for i, s := range cfg.DNSSuffixes {
		suffix := strings.ToLower(strings.TrimPrefix(s, "."))
		if err := checkDNS(suffix, false); err != nil {
			c.fault(fmt.Sprintf("san.dns_suffixes[%d]", i), "%q is no domain: %w", clip(s), err)
		}
		r.dnsSuffixes = append(r.dnsSuffixes, suffix)
	}
	for i, s := range cfg.IPRanges {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			c.fault(fmt.Sprintf("san.ip_ranges[%d]", i), "%q is no network such as 10.0.0.0/8", clip(s))
		}
		r.ipRanges = append(r.ipRanges, n.Masked())
	}
	for _, kind := range slices.Sorted(maps.Keys(cfg.Patterns)) {
		key := "san.patterns." + clip(kind)
		into := map[string]**regexp.Regexp{"dns": &r.dns, "email": &r.mail, "uri": &r.uri}[kind]
		if into == nil {
			c.fault(key, "patterns are for dns, email and uri")
			continue
		}
		*into = c.pattern(key, cfg.Patterns[kind])
	}
}

// usageShape checks what both kinds of usage share.
func (c *compiler) usageShape(key string, cfg UsageConfig) {
	if len(cfg.Fixed) > 0 && len(cfg.Allowed)+len(cfg.Default) > 0 {
		c.fault(key, "either fixed, or allowed and default")
	}
	if len(cfg.Default) > 0 && len(cfg.Allowed) == 0 {
		c.fault(key+".default", "it is for requests that may choose; without %s.allowed write %s.fixed", key, key)
	}
	for i, s := range cfg.Default {
		if len(cfg.Allowed) > 0 && !slices.Contains(cfg.Allowed, s) {
			c.fault(fmt.Sprintf("%s.default[%d]", key, i), "%q is not in %s.allowed", clip(s), key)
		}
	}
}

func (c *compiler) keyUsage(p *Profile, cfg UsageConfig) {
	r := &p.keyUsage
	c.usageShape("key_usage", cfg)
	r.choice, r.critical = len(cfg.Allowed) > 0, true
	bits := func(key string, names []string) (set pkix.KeyUsage) {
		for i, s := range names {
			u, ok := pkix.KeyUsageByName(s)
			if !ok {
				c.fault(fmt.Sprintf("key_usage.%s[%d]", key, i), "%q is no key usage, such as digitalSignature", clip(s))
			}
			set |= u
		}
		return set
	}
	fixed := bits("fixed", cfg.Fixed)
	r.allowed, r.def = bits("allowed", cfg.Allowed), fixed|bits("default", cfg.Default)
	all := r.allowed | r.def
	if all&useNarrow != 0 && all&pkix.KeyAgreement == 0 {
		c.fault("key_usage", "encipherOnly and decipherOnly mean nothing without keyAgreement")
	}
	switch {
	case p.ca && fixed&pkix.KeyCertSign == 0:
		c.fault("key_usage.fixed", "a CA's certificate must have keyCertSign")
	case !p.ca && all&pkix.KeyCertSign != 0:
		c.fault("key_usage", "keyCertSign is for profiles with basic_constraints.ca only (RFC 5280 section 4.2.1.9)")
	}
	if len(cfg.Allowed) > 0 && r.def == 0 {
		c.fault("key_usage.default", "it is missing: what do requests get that do not choose?")
	}
}

func (c *compiler) extKeyUsage(p *Profile, cfg UsageConfig) {
	r := &p.extKeyUsage
	c.usageShape("ext_key_usage", cfg)
	r.choice, r.critical = len(cfg.Allowed) > 0, cfg.Critical
	list := func(key string, names []string) (l []pkix.OID) {
		for i, s := range names {
			o, ok := pkix.ExtKeyUsageByName(s)
			if !ok {
				c.fault(fmt.Sprintf("ext_key_usage.%s[%d]", key, i), "%q is neither an extended key usage, such as serverAuth, nor an object identifier", clip(s))
				continue
			}
			if slices.Contains(l, o) {
				c.fault(fmt.Sprintf("ext_key_usage.%s[%d]", key, i), "%q is there twice", clip(s))
			}
			l = append(l, o)
		}
		return l
	}
	r.allowed, r.def = list("allowed", cfg.Allowed), append(list("fixed", cfg.Fixed), list("default", cfg.Default)...)
}

func (c *compiler) basicConstraints(p *Profile, cfg BasicConstraintsConfig) {
	if cfg.PathLen == nil {
		return
	}
	p.pathLen = *cfg.PathLen
	if !cfg.CA {
		c.fault("basic_constraints.path_len", "it is for profiles with basic_constraints.ca only")
	}
	if p.pathLen < 0 || p.pathLen > 100 {
		c.fault("basic_constraints.path_len", "%d is not between 0 and 100", p.pathLen)
	}
}
