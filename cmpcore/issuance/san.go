package issuance

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

// maxSANs is the most names a profile can allow.
const maxSANs = 10_000

// checkSAN judges a requested subjectAltName (RFC 5280 section 4.2.1.6).
func (p *Profile) checkSAN(e pkix.Extension) *Refusal {
	malformed := func(why string, args ...any) *Refusal {
		return p.refuse(BadExtension, "the requested subjectAltName is malformed", "san: %s", fmt.Sprintf(why, args...))
	}
	forbidden := func(why string, args ...any) *Refusal {
		return p.refuse(UnacceptedExtension, "a name in the requested subjectAltName is not accepted", "%s", fmt.Sprintf(why, args...))
	}
	r := &p.san
	s := cryptobyte.String(e.Value)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || seq.Empty() {
		return malformed("it is no SEQUENCE of at least one name")
	}
	for n := 1; !seq.Empty(); n++ {
		if n > r.max {
			return p.refuse(UnacceptedExtension, "the requested subjectAltName has too many names", "san.max: more than %d names", r.max)
		}
		g, ok := pkix.ReadGeneralName(&seq)
		if !ok {
			return malformed("name %d is no GeneralName", n)
		}
		tag := g.Tag()
		if !r.allowed[tag] {
			return forbidden("san.allowed: name %d, %q, is of a kind that is not allowed", n, clip(g.String()))
		}
		var err error
		switch tag {
		case pkix.TagDNSName:
			text, _ := g.Text()
			if err = checkDNS(text, r.wildcards); err == nil && !r.acceptsDNS(text) {
				return forbidden("san.dns_suffixes or san.patterns.dns: %q is outside", clip(text))
			}
		case pkix.TagIPAddress:
			ip, ok := g.IP()
			if !ok {
				return malformed("name %d is an IP address of neither 4 nor 16 octets", n)
			}
			if !r.acceptsIP(ip) {
				return forbidden("san.ip_ranges: %s is outside", ip)
			}
		case pkix.TagRFC822Name:
			text, _ := g.Text()
			if err = checkMail(text); err == nil && r.mail != nil && !r.mail.MatchString(text) {
				return forbidden("san.patterns.email: %q does not match", clip(text))
			}
		case pkix.TagURI:
			text, _ := g.Text()
			if err = checkURI(text); err == nil && r.uri != nil && !r.uri.MatchString(text) {
				return forbidden("san.patterns.uri: %q does not match", clip(text))
			}
		case pkix.TagDirectoryName:
			name, _ := g.DirectoryName()
			if name.IsEmpty() {
				return malformed("name %d is an empty directoryName", n)
			}
			_, err = parseName(name)
		case pkix.TagOtherName:
			var typ pkix.OID
			if typ, err = checkOtherName(g); err == nil && !r.anyOtherName && !r.otherNames[typ] {
				return forbidden("san.allowed: otherName:%s is not in the list", clip(typ.String()))
			}
		}
		if err != nil {
			return malformed("name %d, %q: %v", n, clip(g.String()), err)
		}
	}
	return nil
}

func (r *sanRule) acceptsDNS(host string) bool {
	if r.dns == nil && len(r.dnsSuffixes) == 0 {
		return true
	}
	host = strings.ToLower(host)
	if r.dns != nil && !r.dns.MatchString(host) {
		return false
	}
	for _, suffix := range r.dnsSuffixes {
		if rest, ok := strings.CutSuffix(host, suffix); ok && (rest == "" || rest[len(rest)-1] == '.') {
			return true
		}
	}
	return len(r.dnsSuffixes) == 0
}

func (r *sanRule) acceptsIP(ip netip.Addr) bool {
	for _, n := range r.ipRanges {
		if n.Contains(ip) {
			return true
		}
	}
	return len(r.ipRanges) == 0
}

// checkDNS wants the preferred name syntax of RFC 1034 section 3.5 and RFC 1123
// section 2.1: labels of letters, digits and inner hyphens, no final dot, and
// a last label that is no number, as that would read as an IP address.
func checkDNS(host string, wildcards bool) error {
	if host == "" || len(host) > 253 {
		return errors.New("a DNS name has 1 to 253 characters")
	}
	rest := host
	if w, ok := strings.CutPrefix(host, "*."); ok {
		if !wildcards {
			return errors.New("wildcards are not allowed")
		}
		rest = w
	}
	label := ""
	for more := true; more; {
		label, rest, more = strings.Cut(rest, ".")
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return errors.New("a label is empty, longer than 63, or has a hyphen at its end")
		}
		for _, c := range []byte(label) {
			if c != '-' && !isAlphanumeric(c) {
				return fmt.Errorf("a label has the octet %#02x; only letters, digits and hyphens are allowed", c)
			}
		}
	}
	if strings.Trim(label, "0123456789") == "" {
		return errors.New("the last label is a number")
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// checkMail wants local@domain with a dot-atom on the left (RFC 5321 section
// 4.1.2 without quoted strings, which nobody's verifiers agree on).
func checkMail(mail string) error {
	local, domain, ok := strings.Cut(mail, "@")
	if !ok || len(local) > 64 || len(mail) > 254 {
		return errors.New("a mail address is local@domain, at most 64 and 254 characters")
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" {
			return errors.New("the local part has an empty atom")
		}
		for _, c := range []byte(atom) {
			if !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return fmt.Errorf("the local part has the octet %#02x", c)
			}
		}
	}
	return checkDNS(domain, false)
}

// checkURI wants an absolute URI whose host, if it has one, is a DNS name or
// an IP address (RFC 5280 section 4.2.1.6).
func checkURI(uri string) error {
	for _, c := range []byte(uri) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return fmt.Errorf("a URI has the octet %#02x", c)
		}
	}
	u, err := url.Parse(uri)
	if err != nil {
		return errors.New("it is no URI")
	}
	if !u.IsAbs() || u.Opaque == "" && u.Host == "" && u.Path == "" {
		return errors.New("a URI must be absolute")
	}
	if u.Host == "" {
		return nil
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	return checkDNS(host, false)
}

// checkOtherName wants a value of one well-formed element, and text for the
// user principal name, the one type most verifiers act on.
func checkOtherName(g pkix.GeneralName) (pkix.OID, error) {
	s := cryptobyte.String(g)
	var c, value cryptobyte.String
	if !s.ReadASN1(&c, asn1.Tag(0).ContextSpecific().Constructed()) {
		return "", errors.New("malformed otherName")
	}
	typ, ok := pkix.ReadOID(&c)
	if !ok || !c.ReadASN1(&value, asn1.Tag(0).ContextSpecific().Constructed()) || !c.Empty() {
		return "", errors.New("malformed otherName")
	}
	if err := der.Scan(value, der.Limits{Bytes: maxExtensionOctets}); err != nil {
		return "", fmt.Errorf("value of the otherName: %w", err)
	}
	if typ == oidUPN {
		text, ok := pkix.ReadUTF8(&value)
		if !ok || text == "" || hasControl(text) {
			return "", errors.New("a user principal name must be UTF8String without control characters")
		}
	}
	return typ, nil
}
