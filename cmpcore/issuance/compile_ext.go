package issuance

import (
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

func (c *compiler) extensionOID(key, s string, p *Profile) pkix.OID {
	o, ok := extensionOIDs[s]
	if !ok {
		var err error
		o, err = pkix.ParseOID(s)
		ok = err == nil
	}
	switch {
	case !ok:
		c.fault(key, "%q is neither the name of an extension, such as certificatePolicies, nor an object identifier", clip(s))
	case ownRule[o] != "":
		c.fault(key, "%s cannot be listed: %s", clip(s), ownRule[o])
	case caOnly[o] && !p.ca:
		c.fault(key, "%s is for CA certificates only", clip(s))
	}
	return o
}

func (c *compiler) extensions(p *Profile, cfg ExtensionsConfig) {
	p.drop = c.oneOf("extensions.unaccepted", cfg.Unaccepted, "refuse", "drop") == "drop"
	p.allowed = map[pkix.OID]bool{}
	for i, s := range cfg.Allowed {
		p.allowed[c.extensionOID(fmt.Sprintf("extensions.allowed[%d]", i), s, p)] = true
	}
	for i, f := range cfg.Fixed {
		key := fmt.Sprintf("extensions.fixed[%d]", i)
		o := c.extensionOID(key+".oid", f.OID, p)
		value, err := hex.DecodeString(f.Value)
		if err == nil {
			err = der.Scan(value, der.Limits{Bytes: maxExtensionOctets})
		}
		e := pkix.Extension{ID: o, Critical: f.Critical, Value: value}
		if err == nil {
			err = checkExtension(e)
		}
		if err != nil {
			c.fault(key+".value", "it is not the DER of such an extension in hex: %w", err)
			continue
		}
		c.constant(p, key+".oid", e)
	}
}

func (c *compiler) constant(p *Profile, key string, e pkix.Extension) {
	for _, x := range p.constant {
		if x.id == e.ID {
			c.fault(key, "the extension %s is there twice", extensionName(e.ID))
			return
		}
	}
	p.constant = append(p.constant, constantExtension{e.ID, appendExtension(nil, e)})
}

func (c *compiler) policies(p *Profile, cfg []PolicyConfig) {
	if len(cfg) == 0 {
		return
	}
	before := len(c.errs)
	var list []pkix.Policy
	for i, pol := range cfg {
		key := fmt.Sprintf("policies[%d]", i)
		o, err := pkix.ParseOID(pol.OID)
		if err != nil {
			c.fault(key+".oid", "%w", err)
		}
		if slices.ContainsFunc(list, func(x pkix.Policy) bool { return x.ID == o }) {
			c.fault(key+".oid", "%s is there twice", clip(pol.OID))
		}
		if pol.CPS != "" {
			c.url(key+".cps", pol.CPS)
		}
		list = append(list, pkix.Policy{ID: o, CPS: pol.CPS})
	}
	if len(c.errs) > before {
		return
	}
	e, err := pkix.CertificatePoliciesExtension(list)
	if err != nil {
		c.fault("policies", "%w", err)
		return
	}
	c.constant(p, "policies", e)
}

// url checks a location that goes into certificates.
func (c *compiler) url(key, s string) {
	u, err := url.Parse(s)
	if err != nil || !u.IsAbs() || u.Host == "" && u.Scheme != "ldap" {
		c.fault(key, "%q is no URL such as http://pki.example/ca.crl", clip(s))
		return
	}
	if strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }) >= 0 {
		c.fault(key, "%q has characters that a URL must escape", clip(s))
	}
}

func (c *compiler) locations(p *Profile, cfg ProfileConfig) {
	before := len(c.errs)
	for _, l := range []struct {
		key  string
		urls []string
	}{{"crl_urls", cfg.CRLURLs}, {"ca_issuers_urls", cfg.CAIssuersURLs}, {"ocsp_urls", cfg.OCSPURLs}} {
		for i, s := range l.urls {
			c.url(fmt.Sprintf("%s[%d]", l.key, i), s)
		}
	}
	if len(c.errs) > before {
		return
	}
	if len(cfg.CRLURLs) > 0 {
		c.constant(p, "crl_urls", pkix.Extension{ID: pkix.OIDCRLDistributionPoints, Value: onePoint(cfg.CRLURLs)})
	}
	if len(cfg.CAIssuersURLs)+len(cfg.OCSPURLs) > 0 {
		e, err := pkix.AuthorityInfoAccessExtension(cfg.OCSPURLs, cfg.CAIssuersURLs)
		if err != nil {
			c.fault("ca_issuers_urls", "%w", err)
			return
		}
		c.constant(p, "ca_issuers_urls", e)
	}
}

// onePoint makes CRLDistributionPoints of a single point: several names of one
// point are several ways to the same CRL (RFC 5280 section 4.2.1.13).
func onePoint(urls []string) []byte {
	tag0 := asn1.Tag(0).ContextSpecific().Constructed()
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // CRLDistributionPoints
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { // DistributionPoint
			b.AddASN1(tag0, func(b *cryptobyte.Builder) { // distributionPoint
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { // fullName
					for _, u := range urls {
						pkix.AddElement(b, asn1.Tag(pkix.TagURI).ContextSpecific(), []byte(u))
					}
				})
			})
		})
	})
	return b.BytesOrPanic()
}
