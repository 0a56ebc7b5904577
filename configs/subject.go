package configs

import (
	"errors"
	"fmt"
	"strings"

	"cmp-batch/cmpcore/pkix"
)

// Subject is a pattern of distinguished names: a list of attributes whose
// values may hold *, each of which one attribute of the name must match. Their
// order does not count, and neither does how they are joined to RDNs: nobody
// remembers in which order which tool writes them. The name may have no other
// attributes, unless an element of the pattern is a lone *.
type Subject struct {
	text  string
	parts []subjectPart
	more  bool // other attributes may be there
}

type subjectPart struct {
	typ   pkix.OID
	value Glob
}

// maxAttributes bounds what [Subject.Match] compares; a name with more
// attributes matches nothing but a lone *.
const maxAttributes = 64

// newSubject compiles "CN=sensor-*,O=Example,*", or "/O=Example/CN=sensor-*".
func newSubject(text string) (Subject, error) {
	s := Subject{text: text}
	if n := len([]rune(text)); n > maxPattern {
		return Subject{}, fmt.Errorf("the pattern has %d characters; the most is %d", n, maxPattern)
	}
	rest, seps := text, ",+"
	if strings.HasPrefix(text, "/") {
		rest, seps = text[1:], "/+"
	}
	for {
		part, after, found := cutUnescaped(rest, seps)
		part = trimValue(part)
		if part == "*" {
			s.more = true
		} else if err := s.add(part); err != nil {
			return Subject{}, err
		}
		if !found {
			return s, nil
		}
		rest = after
	}
}

func (s *Subject) add(part string) error {
	if part == "" {
		return errors.New(`there is nothing between two commas, or no pattern at all; write it as CN=sensor-*,O=Example`)
	}
	name, value, found := strings.Cut(part, "=")
	if !found {
		return fmt.Errorf("%q is no attribute; write it as CN=sensor-*", clip(part))
	}
	name = strings.TrimSpace(name)
	// The attribute types that a name can be written with are pkix's business.
	n, err := pkix.ParseDN(name + "=#0c0178")
	if err != nil || len(n.Attributes()) != 1 || strings.ContainsAny(name, `=,+/\`) {
		return fmt.Errorf("%q is no attribute type; write CN, O, OU, C, serialNumber or the like, or a dotted object identifier", clip(name))
	}
	g, err := valueGlob(trimValue(strings.TrimLeft(value, " ")))
	if err != nil {
		return fmt.Errorf("%s: %w", clip(part), err)
	}
	if len(g.runs) == 0 {
		return fmt.Errorf("%s= has no value; write %s=* for any", clip(name), clip(name))
	}
	s.parts = append(s.parts, subjectPart{n.Attributes()[0][0].Type, g})
	return nil
}

// cutUnescaped cuts s at the first of seps that no \ stands before.
func cutUnescaped(s, seps string) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.IndexByte(seps, s[i]) >= 0:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// trimValue takes spaces off both ends, but not one that is escaped.
func trimValue(s string) string {
	s = strings.TrimLeft(s, " ")
	t := strings.TrimRight(s, " ")
	if slashes := len(t) - len(strings.TrimRight(t, `\`)); slashes%2 == 1 && len(t) < len(s) {
		t += " "
	}
	return t
}

// String gives the pattern as it was written.
func (s Subject) String() string { return s.text }

// Match tells whether the name matches. A malformed name matches nothing.
func (s Subject) Match(name pkix.Name) bool {
	var attrs []pkix.AttributeTypeAndValue
	if !name.IsEmpty() {
		rdns := name.Attributes()
		if rdns == nil {
			return false
		}
		if s.more && len(s.parts) == 0 {
			return true
		}
		for _, rdn := range rdns {
			attrs = append(attrs, rdn...)
		}
	}
	if len(attrs) < len(s.parts) || len(attrs) > len(s.parts) && !s.more || len(attrs) > maxAttributes {
		return false
	}
	// Each part needs an attribute of its own: "OU=a*,OU=*b" takes two. Parts
	// that are in the way move on to another of theirs (augmenting paths).
	owner := make([]int, len(attrs))
	for i := range owner {
		owner[i] = -1
	}
	fits := func(part, attr int) bool {
		p, a := s.parts[part], attrs[attr]
		return a.IsText && a.Type == p.typ && p.value.Match(strings.TrimSpace(a.Text))
	}
	var seen []bool
	var place func(part int) bool
	place = func(part int) bool {
		for i := range attrs {
			if seen[i] || !fits(part, i) {
				continue
			}
			seen[i] = true
			if owner[i] < 0 || place(owner[i]) {
				owner[i] = part
				return true
			}
		}
		return false
	}
	for part := range s.parts {
		seen = make([]bool, len(attrs))
		if !place(part) {
			return false
		}
	}
	return true
}
