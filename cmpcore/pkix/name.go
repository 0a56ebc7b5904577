package pkix

import "time"

// Name is the DER of an X.501 Name: a SEQUENCE of RDNs. nil stands for no
// name; [EmptyName] is the NULL-DN. Names are mirrored and stored as received.
type Name []byte

// EmptyName is the NULL-DN, a Name without RDNs.
var EmptyName = Name{0x30, 0x00}

// GeneralName is one alternative of RFC 5280 section 4.2.1.6 as its whole DER.
type GeneralName []byte

// Tags of GeneralName, the context-specific tag number.
const (
	TagOtherName     = 0
	TagRFC822Name    = 1
	TagDNSName       = 2
	TagX400Address   = 3
	TagDirectoryName = 4
	TagEDIPartyName  = 5
	TagURI           = 6
	TagIPAddress     = 7
	TagRegisteredID  = 8
)

// Extension of RFC 5280 section 4.1.
type Extension struct {
	ID       OID
	Critical bool
	Value    []byte // contents of extnValue: the DER of the extension's type
}

// Validity as CRMF has it: either bound may be the zero time, which is absent.
type Validity struct {
	NotBefore, NotAfter time.Time
}

// SubjectPublicKeyInfo is the whole DER of RFC 5280 section 4.1.2.7. nil is
// absent.
type SubjectPublicKeyInfo []byte
