package cms

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// ContentInfo of RFC 5652 section 3: what files and mails carry.
type ContentInfo struct {
	Type    pkix.OID
	Content []byte // the whole element, such as a SignedData
}

// ParseContentInfo reads a ContentInfo that is all of b.
func ParseContentInfo(b []byte) (c ContentInfo, err error) {
	const where = "contentInfo"
	seq, err := open(where, b)
	if err != nil {
		return c, err
	}
	var inner, content cryptobyte.String
	var tag asn1.Tag
	var ok bool
	if c.Type, ok = pkix.ReadOID(&seq); !ok || !seq.ReadASN1(&inner, cons(0)) || !seq.Empty() ||
		!inner.ReadAnyASN1Element(&content, &tag) || !inner.Empty() {
		return ContentInfo{}, malformed(where)
	}
	c.Content = content
	return c, nil
}

// Marshal gives the DER.
func (c ContentInfo) Marshal() ([]byte, error) {
	if c.Type == "" || len(c.Content) < 2 {
		return nil, malformed("contentInfo")
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		c.Type.Add(b)
		pkix.AddElement(b, cons(0), c.Content)
	})
	return b.Bytes()
}
