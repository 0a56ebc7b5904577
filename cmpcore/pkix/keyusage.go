package pkix

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// KeyUsage is a set of the uses of RFC 5280 section 4.2.1.3: bit n of the
// extension is 1<<n here.
type KeyUsage uint16

// The uses of a key.
const (
	DigitalSignature KeyUsage = 1 << iota
	ContentCommitment
	KeyEncipherment
	DataEncipherment
	KeyAgreement
	KeyCertSign
	CRLSign
	EncipherOnly
	DecipherOnly
)

var keyUsageNames = [...]string{
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment",
	"keyAgreement", "keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
}

// Has tells whether all uses of want are in u.
func (u KeyUsage) Has(want KeyUsage) bool { return u&want == want }

// String lists the names, as in "digitalSignature,keyAgreement".
func (u KeyUsage) String() string {
	var names []string
	for i, name := range keyUsageNames {
		if u&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// KeyUsageByName finds one use by its name in RFC 5280, or by
// "contentCommitment", the newer name of nonRepudiation. Case is ignored.
func KeyUsageByName(name string) (KeyUsage, bool) {
	if strings.EqualFold(name, "contentCommitment") {
		return ContentCommitment, true
	}
	for i, n := range keyUsageNames {
		if strings.EqualFold(name, n) {
			return 1 << i, true
		}
	}
	return 0, false
}

// KeyUsageExtension makes the extension, critical.
func KeyUsageExtension(u KeyUsage) Extension {
	var b cryptobyte.Builder
	AddNamedBits(&b, uint32(u))
	return Extension{ID: OIDKeyUsage, Critical: true, Value: b.BytesOrPanic()}
}

// ParseKeyUsage reads the extension's value. Bits that RFC 5280 does not name
// are refused.
func ParseKeyUsage(value []byte) (KeyUsage, bool) {
	s := cryptobyte.String(value)
	set, ok := ReadNamedBits(&s)
	if !ok || !s.Empty() || set >= 1<<len(keyUsageNames) {
		return 0, false
	}
	return KeyUsage(set), true
}

// Purposes of extKeyUsage.
var (
	OIDAnyExtKeyUsage  = MustOID("2.5.29.37.0")
	OIDServerAuth      = MustOID("1.3.6.1.5.5.7.3.1")
	OIDClientAuth      = MustOID("1.3.6.1.5.5.7.3.2")
	OIDCodeSigning     = MustOID("1.3.6.1.5.5.7.3.3")
	OIDEmailProtection = MustOID("1.3.6.1.5.5.7.3.4")
	OIDTimeStamping    = MustOID("1.3.6.1.5.5.7.3.8")
	OIDOCSPSigning     = MustOID("1.3.6.1.5.5.7.3.9")
	OIDCMCCA           = MustOID("1.3.6.1.5.5.7.3.27") // a CA's CMP signer
	OIDCMCRA           = MustOID("1.3.6.1.5.5.7.3.28") // an RA's CMP signer
	OIDCMKGA           = MustOID("1.3.6.1.5.5.7.3.32") // a key generation authority
)

var extKeyUsageNames = []struct {
	name string
	oid  OID
}{
	{"anyExtendedKeyUsage", OIDAnyExtKeyUsage},
	{"serverAuth", OIDServerAuth},
	{"clientAuth", OIDClientAuth},
	{"codeSigning", OIDCodeSigning},
	{"emailProtection", OIDEmailProtection},
	{"timeStamping", OIDTimeStamping},
	{"OCSPSigning", OIDOCSPSigning},
	{"cmcCA", OIDCMCCA},
	{"cmcRA", OIDCMCRA},
	{"cmKGA", OIDCMKGA},
}

// ExtKeyUsageByName finds a purpose by its name, such as "clientAuth", or its
// dotted form. Case is ignored.
func ExtKeyUsageByName(name string) (OID, bool) {
	for _, e := range extKeyUsageNames {
		if strings.EqualFold(name, e.name) {
			return e.oid, true
		}
	}
	oid, err := ParseOID(name)
	return oid, err == nil
}

// ExtKeyUsageName is the name of a purpose, or its dotted form.
func ExtKeyUsageName(oid OID) string {
	for _, e := range extKeyUsageNames {
		if oid == e.oid {
			return e.name
		}
	}
	return oid.String()
}

// ExtKeyUsageExtension makes the extension, not critical.
func ExtKeyUsageExtension(purposes []OID) Extension {
	return Extension{ID: OIDExtKeyUsage, Value: oidList(purposes)}
}

func oidList(oids []OID) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, o := range oids {
			o.Add(b)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	return der
}

// ParseExtKeyUsage reads the extension's value: at least one purpose.
func ParseExtKeyUsage(value []byte) ([]OID, bool) {
	s := cryptobyte.String(value)
	oids, ok := readOIDList(&s)
	return oids, ok && s.Empty()
}

func readOIDList(s *cryptobyte.String) ([]OID, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || seq.Empty() {
		return nil, false
	}
	var oids []OID
	for !seq.Empty() {
		o, ok := ReadOID(&seq)
		if !ok {
			return nil, false
		}
		oids = append(oids, o)
	}
	return oids, true
}
