package certpath

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// checkNames holds the names of the certificates below a CA to its constraints
// (RFC 5280 section 4.2.1.10). Constraints on kinds of names that crypto/x509
// does not read, such as directoryName, make the extension one that is not
// understood where it is critical, which it must be.
func checkNames(ca *x509.Certificate, below []*x509.Certificate) error {
	if !constrains(ca) {
		return nil
	}
	for i, c := range below {
		// Self-issued certificates are exempt, unless they are the last.
		if i > 0 && string(c.RawSubject) == string(c.RawIssuer) {
			continue
		}
		for _, n := range c.DNSNames {
			if !within(strings.ToLower(n), ca.PermittedDNSDomains, ca.ExcludedDNSDomains, hostWithin, hostTouches) {
				return outside(n, ca)
			}
		}
		for _, n := range c.EmailAddresses {
			if !within(strings.ToLower(n), ca.PermittedEmailAddresses, ca.ExcludedEmailAddresses, mailWithin, mailWithin) {
				return outside(n, ca)
			}
		}
		for _, n := range c.URIs {
			if !within(n, ca.PermittedURIDomains, ca.ExcludedURIDomains, uriWithin(false), uriWithin(true)) {
				return outside(n.Host, ca)
			}
		}
		for _, n := range c.IPAddresses {
			if !within(n, ca.PermittedIPRanges, ca.ExcludedIPRanges, inNet, inNet) {
				return outside(n.String(), ca)
			}
		}
	}
	return nil
}

func constrains(ca *x509.Certificate) bool {
	return len(ca.PermittedDNSDomains)+len(ca.ExcludedDNSDomains)+len(ca.PermittedEmailAddresses)+len(ca.ExcludedEmailAddresses)+
		len(ca.PermittedURIDomains)+len(ca.ExcludedURIDomains)+len(ca.PermittedIPRanges)+len(ca.ExcludedIPRanges) > 0
}

func outside(name string, ca *x509.Certificate) error {
	return fmt.Errorf("%w: %.100q, by %.100q", ErrNames, name, ca.Subject.String())
}

// within: in no excluded subtree, and in a permitted one where there are any.
func within[N, T any](name N, permitted, excluded []T, in, touches func(N, T) bool) bool {
	for _, t := range excluded {
		if touches(name, t) {
			return false
		}
	}
	for _, t := range permitted {
		if in(name, t) {
			return true
		}
	}
	return len(permitted) == 0
}

func hostWithin(host, tree string) bool {
	tree = strings.ToLower(strings.TrimPrefix(tree, "."))
	return tree == "" || host == tree || strings.HasSuffix(host, "."+tree)
}

// hostTouches is for what is excluded: a wildcard may stand for a name in it.
func hostTouches(host, tree string) bool {
	base, wild := strings.CutPrefix(host, "*.")
	return hostWithin(host, tree) || wild && hostWithin(strings.ToLower(strings.TrimPrefix(tree, ".")), base)
}

// mailWithin: a mailbox, a host, or with a dot in front all hosts below it.
func mailWithin(mail, tree string) bool {
	tree = strings.ToLower(tree)
	if strings.Contains(tree, "@") {
		return mail == tree
	}
	_, host, _ := strings.Cut(mail, "@")
	return exactOrBelow(host, tree)
}

// uriWithin is by host. One without is in no subtree that permits, and in
// every one that excludes.
func uriWithin(doubt bool) func(*url.URL, string) bool {
	return func(u *url.URL, tree string) bool {
		host := strings.ToLower(u.Hostname())
		if _, err := netip.ParseAddr(host); host == "" || err == nil {
			return doubt
		}
		return exactOrBelow(host, strings.ToLower(tree))
	}
}

func exactOrBelow(host, tree string) bool {
	if strings.HasPrefix(tree, ".") {
		return strings.HasSuffix(host, tree)
	}
	return tree == "" || host == tree
}

func inNet[IP any, N interface{ Contains(IP) bool }](ip IP, n N) bool { return n.Contains(ip) }
