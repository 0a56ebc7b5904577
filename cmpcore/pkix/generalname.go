package pkix

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

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

// generalNameForm has the identifier octet of each alternative. All tags of
// RFC 5280 appendix A.2 are implicit but that of directoryName, a CHOICE.
var generalNameForm = [...]asn1.Tag{0xa0, 0x81, 0x82, 0xa3, 0xa4, 0xa5, 0x86, 0x87, 0x88}

// ReadGeneralName takes a GeneralName off s. The strings must be ASCII, as
// IA5String is, and a directoryName must hold a Name.
func ReadGeneralName(s *cryptobyte.String) (GeneralName, bool) {
	var e cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1Element(&e, &tag) {
		return nil, false
	}
	g := GeneralName(e)
	n := int(tag & 0x1f)
	if n >= len(generalNameForm) || generalNameForm[n] != tag {
		return nil, false
	}
	c := cryptobyte.String(g.contents())
	switch n {
	case TagRFC822Name, TagDNSName, TagURI:
		return g, isASCII(c)
	case TagDirectoryName:
		_, ok := ReadName(&c)
		return g, ok && c.Empty()
	case TagRegisteredID:
		return g, validOID(c)
	case TagOtherName:
		var v cryptobyte.String
		_, ok := ReadOID(&c)
		return g, ok && c.ReadASN1(&v, asn1.Tag(0).ContextSpecific().Constructed()) && c.Empty()
	}
	return g, true
}

// ReadGeneralNames takes a SEQUENCE OF at least one GeneralName off s.
func ReadGeneralNames(s *cryptobyte.String) ([]GeneralName, bool) {
	return ReadTaggedGeneralNames(s, asn1.SEQUENCE)
}

// ReadTaggedGeneralNames is [ReadGeneralNames] for an implicitly tagged one.
func ReadTaggedGeneralNames(s *cryptobyte.String, tag asn1.Tag) ([]GeneralName, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) || seq.Empty() {
		return nil, false
	}
	var names []GeneralName
	for !seq.Empty() {
		g, ok := ReadGeneralName(&seq)
		if !ok {
			return nil, false
		}
		names = append(names, g)
	}
	return names, true
}

// AddGeneralNames appends a SEQUENCE OF GeneralName under the tag: SEQUENCE or
// an implicit one.
func AddGeneralNames(b *cryptobyte.Builder, tag asn1.Tag, names []GeneralName) {
	n := 0
	for _, g := range names {
		n += len(g)
	}
	addHeader(b, tag, n)
	for _, g := range names {
		g.Add(b)
	}
}

// Add appends the GeneralName. nil is an error of the builder.
func (g GeneralName) Add(b *cryptobyte.Builder) {
	if g == nil {
		b.SetError(errors.New("general name is missing"))
		return
	}
	b.AddBytes(g)
}

// NewDirectoryName wraps a Name.
func NewDirectoryName(n Name) GeneralName {
	return newGeneralName(TagDirectoryName, n)
}

// NewDNSName makes a dNSName; host must be ASCII, internationalised labels in
// their "xn--" form.
func NewDNSName(host string) (GeneralName, error) { return newIA5Name(TagDNSName, "dNSName", host) }

// NewRFC822Name makes an rfc822Name, a mail address in ASCII.
func NewRFC822Name(mail string) (GeneralName, error) {
	return newIA5Name(TagRFC822Name, "rfc822Name", mail)
}

// NewURI makes a uniformResourceIdentifier; uri must be ASCII.
func NewURI(uri string) (GeneralName, error) { return newIA5Name(TagURI, "URI", uri) }

// NewIPAddress makes an iPAddress of 4 or 16 octets.
func NewIPAddress(ip netip.Addr) (GeneralName, error) {
	if !ip.IsValid() || ip.Zone() != "" {
		return nil, fmt.Errorf("%q is not an IP address a certificate can hold", ip.String())
	}
	return newGeneralName(TagIPAddress, ip.Unmap().AsSlice()), nil
}

// NewRegisteredID makes a registeredID.
func NewRegisteredID(oid OID) GeneralName { return newGeneralName(TagRegisteredID, []byte(oid)) }

func newIA5Name(n int, what, text string) (GeneralName, error) {
	if text == "" || !isASCII([]byte(text)) {
		return nil, fmt.Errorf("%s %q must be ASCII and not empty", what, cut(text))
	}
	return newGeneralName(n, []byte(text)), nil
}

func newGeneralName(n int, contents []byte) GeneralName {
	b := cryptobyte.NewBuilder(make([]byte, 0, headerSize(len(contents))+len(contents)))
	AddElement(b, generalNameForm[n], contents)
	return b.BytesOrPanic()
}

func (g GeneralName) contents() []byte {
	s := cryptobyte.String(g)
	var c cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&c, &tag) {
		return nil
	}
	return c
}

// Tag is the number of the alternative, such as [TagDNSName]; -1 for none.
func (g GeneralName) Tag() int {
	if len(g) == 0 {
		return -1
	}
	return int(g[0] & 0x1f)
}

// Equal compares byte for byte.
func (g GeneralName) Equal(o GeneralName) bool { return bytes.Equal(g, o) }

// DirectoryName gives the Name of a directoryName.
func (g GeneralName) DirectoryName() (Name, bool) {
	if g.Tag() != TagDirectoryName {
		return nil, false
	}
	c := cryptobyte.String(g.contents())
	n, ok := ReadName(&c)
	return n, ok && c.Empty()
}

// Text is the value of an rfc822Name, dNSName or URI.
func (g GeneralName) Text() (string, bool) {
	switch g.Tag() {
	case TagRFC822Name, TagDNSName, TagURI:
		c := g.contents()
		return string(c), isASCII(c)
	}
	return "", false
}

// IP is the address of an iPAddress of 4 or 16 octets.
func (g GeneralName) IP() (netip.Addr, bool) {
	if g.Tag() != TagIPAddress {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(g.contents())
}

// Names of the alternatives in text: those OpenSSL writes.
var generalNameKinds = [...]string{"othername", "email", "DNS", "x400", "dirName", "ediParty", "URI", "IP", "RID"}

// String writes the name for people and logs, such as "DNS:a.example" or
// "dirName:CN=x". Characters that do not print are escaped.
func (g GeneralName) String() string {
	if g == nil {
		return ""
	}
	n := g.Tag()
	if n < 0 || n >= len(generalNameKinds) {
		return "(malformed name)"
	}
	kind := generalNameKinds[n] + ":"
	if dn, ok := g.DirectoryName(); ok {
		return kind + dn.String()
	}
	if text, ok := g.Text(); ok {
		return kind + strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return unicode.ReplacementChar
			}
			return r
		}, text)
	}
	if ip, ok := g.IP(); ok {
		return kind + ip.String()
	}
	if c := g.contents(); n == TagRegisteredID && validOID(c) {
		return kind + OID(c).String()
	}
	return kind + "#" + hex.EncodeToString(g)
}
