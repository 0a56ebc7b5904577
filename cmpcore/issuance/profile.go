package issuance

import (
	"net/netip"
	"regexp"
	"sync/atomic"

	"cmp-batch/cmpcore/pkix"
)

// Profile is a checked profile, made by [Compile]. It does not change and may
// be used concurrently.
type Profile struct {
	name string

	validity struct {
		def, max, backdate, advance Period
		request                     string // "clamp", "strict", "ignore"
		refuseBeyondCA              bool
	}

	keys           []keyRule
	rsaMinExponent int64

	subject subjectRule
	san     sanRule

	keyUsage    usageRule[pkix.KeyUsage]
	extKeyUsage usageRule[[]pkix.OID]

	ca      bool
	pathLen int // -1: none

	allowed  map[pkix.OID]bool // extensions copied from a request
	drop     bool              // what is not granted is left out, not refused
	constant []constantExtension

	linted bool

	checked atomic.Bool // the first certificate has passed Check
}

// Name is what the configuration calls the profile.
func (p *Profile) Name() string { return p.name }

// IsCA tells whether the profile makes CA certificates.
func (p *Profile) IsCA() bool { return p.ca }

type subjectRule struct {
	fromRequest bool
	fixed       []rdn
	fixedTypes  map[pkix.OID]bool
	required    []pkix.OID
	allowed     map[pkix.OID]bool // nil: any
	patterns    map[pkix.OID]*regexp.Regexp
	mayBeEmpty  bool
}

type sanRule struct {
	allowed        [9]bool // by the tag of GeneralName
	otherNames     map[pkix.OID]bool
	anyOtherName   bool
	required       bool
	max            int
	dnsSuffixes    []string // in lower case, without a leading dot
	wildcards      bool
	ipRanges       []netip.Prefix
	dns, mail, uri *regexp.Regexp // nil: any
}

// usageRule is for key usages as a set of bits and extended ones as a list.
type usageRule[T any] struct {
	choice   bool // the request may choose
	allowed  T
	def      T // the fixed ones, or the default
	critical bool
}

// constantExtension is an extension that is the same in every certificate.
type constantExtension struct {
	id  pkix.OID
	der []byte // the whole Extension
}

// refuse makes a refusal whose Detail starts with the profile's name.
func (p *Profile) refuse(k Kind, public, detail string, args ...any) *Refusal {
	return refuse(k, public, "profile "+p.name+": "+detail, args...)
}
