package issuance

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// nameLimits is the nameConstraints of the CA certificate (RFC 5280 section
// 4.2.1.10). A certificate outside would be refused by every verifier, so it
// is not issued.
type nameLimits struct {
	permitted, excluded []nameLimit
}

type nameLimit struct {
	tag  int
	text string // dns, email, uri, in lower case
	ip   []byte // address, then mask
	rdns []rdn
}

// maxNameLimits bounds the comparison of each name with each limit.
const maxNameLimits = 1000

func parseNameLimits(value []byte) (*nameLimits, error) {
	s := cryptobyte.String(value)
	if check := s; !nameConstraints(&check) || !check.Empty() {
		return nil, errors.New("it is malformed")
	}
	var seq cryptobyte.String
	s.ReadASN1(&seq, asn1.SEQUENCE)
	l := &nameLimits{}
	for _, part := range []struct {
		tag  asn1.Tag
		into *[]nameLimit
	}{{tag0c, &l.permitted}, {tag1c, &l.excluded}} {
		var trees, tree cryptobyte.String
		if !seq.ReadOptionalASN1(&trees, nil, part.tag) {
			return nil, errors.New("it is malformed")
		}
		for !trees.Empty() {
			trees.ReadASN1(&tree, asn1.SEQUENCE)
			g, _ := pkix.ReadGeneralName(&tree)
			limit, err := parseNameLimit(g)
			if err != nil {
				return nil, err
			}
			if *part.into = append(*part.into, limit); len(*part.into) > maxNameLimits {
				return nil, fmt.Errorf("it has more than %d subtrees", maxNameLimits)
			}
		}
	}
	return l, nil
}

func parseNameLimit(g pkix.GeneralName) (n nameLimit, err error) {
	n.tag = g.Tag()
	text, _ := g.Text()
	n.text = strings.ToLower(text)
	switch n.tag {
	case pkix.TagDirectoryName:
		name, _ := g.DirectoryName()
		n.rdns, err = parseName(name)
	case pkix.TagIPAddress:
		s := cryptobyte.String(g)
		var c cryptobyte.String
		s.ReadASN1(&c, asn1.Tag(pkix.TagIPAddress).ContextSpecific())
		if n.ip = c; len(c) != 8 && len(c) != 32 {
			err = errors.New("an address range has neither 8 nor 32 octets")
		}
	}
	return n, err
}

// check refuses names outside the limits.
func (l *nameLimits) check(subject pkix.Name, rdns []rdn, san *pkix.Extension) error {
	if len(rdns) > 0 {
		if err := l.checkOne(pkix.NewDirectoryName(subject), rdns); err != nil {
			return err
		}
	}
	for _, r := range rdns {
		for _, a := range r.attrs {
			if a.typ != pkix.OIDEmailAddress {
				continue
			}
			g, err := pkix.NewRFC822Name(a.text)
			if err == nil {
				err = l.checkOne(g, nil)
			}
			if err != nil {
				return err
			}
		}
	}
	if san == nil {
		return nil
	}
	names, ok := pkix.ParseSubjectAltName(san.Value)
	if !ok {
		return errors.New("subjectAltName is malformed")
	}
	for _, g := range names {
		var rdns []rdn
		if dn, ok := g.DirectoryName(); ok {
			var err error
			if rdns, err = parseName(dn); err != nil {
				return err
			}
		}
		if err := l.checkOne(g, rdns); err != nil {
			return err
		}
	}
	return nil
}

func (l *nameLimits) checkOne(g pkix.GeneralName, rdns []rdn) error {
	tag, limited, inside := g.Tag(), false, false
	for _, x := range l.excluded {
		if x.tag == tag && x.covers(g, rdns, true) {
			return fmt.Errorf("%q is in an excluded subtree", clip(g.String()))
		}
	}
	for _, x := range l.permitted {
		if x.tag == tag {
			limited = true
			inside = inside || x.covers(g, rdns, false)
		}
	}
	if limited && !inside {
		return fmt.Errorf("%q is in no permitted subtree", clip(g.String()))
	}
	return nil
}

// covers tells whether the name lies in the subtree. Where that cannot be told,
// the answer is doubt, which is what refuses the name.
func (n *nameLimit) covers(g pkix.GeneralName, rdns []rdn, doubt bool) bool {
	text, _ := g.Text()
	text = strings.ToLower(text)
	switch n.tag {
	case pkix.TagDirectoryName:
		return len(rdns) >= len(n.rdns) && sameName(rdns[:len(n.rdns)], n.rdns)
	case pkix.TagDNSName:
		base, wild := strings.CutPrefix(text, "*.")
		// A wildcard may stand for a name in a subtree below it.
		if doubt && wild && hostWithin(strings.TrimPrefix(n.text, "."), base) {
			return true
		}
		return hostWithin(text, n.text)
	case pkix.TagRFC822Name:
		if strings.Contains(n.text, "@") {
			return text == n.text
		}
		_, domain, ok := strings.Cut(text, "@")
		return ok && exactOrBelow(domain, n.text, doubt)
	case pkix.TagURI:
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" {
			return doubt
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			return doubt
		}
		return exactOrBelow(u.Hostname(), n.text, doubt)
	case pkix.TagIPAddress:
		ip, ok := g.IP()
		if !ok {
			return doubt
		}
		b := ip.AsSlice()
		if len(n.ip) != 2*len(b) {
			return false
		}
		masked, base := make([]byte, len(b)), make([]byte, len(b))
		for i, m := range n.ip[len(b):] {
			masked[i], base[i] = b[i]&m, n.ip[i]&m
		}
		return bytes.Equal(masked, base)
	}
	return doubt
}

// hostWithin is the rule of dNSName: the host itself or anything below it.
func hostWithin(host, tree string) bool {
	if tree == "" || host == tree {
		return true
	}
	if tree[0] != '.' {
		tree = "." + tree
	}
	return strings.HasSuffix(host, tree)
}

// exactOrBelow is the rule of mail and URI hosts: ".tree" is anything below,
// "tree" just that host. Go's verifier takes the latter for what is below too,
// so in doubt that is covered.
func exactOrBelow(host, tree string, doubt bool) bool {
	if doubt && hostWithin(host, tree) {
		return true
	}
	if strings.HasPrefix(tree, ".") {
		return strings.HasSuffix(host, tree)
	}
	return tree == "" || host == tree
}
