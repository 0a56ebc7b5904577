package cms

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// EncryptOptions are choices for [Encrypt], [EncryptAuthenticated] and
// [WrapPrivateKey]. nil and zero fields stand for the defaults.
type EncryptOptions struct {
	// Cipher is one of [CipherNames] of the mode that is needed; by default it
	// has a key of 256 bits.
	Cipher string
	// LocalKeyID, where set, goes along in the clear as the attribute localKeyId
	// (RFC 2985 section 5.5.2). It is for [Encrypt].
	LocalKeyID []byte
}

// Encrypt makes an EnvelopedData, an element as crmf.EncryptedKey wants it, for
// 1 to [MaxRecipients] recipients; RFC 9810 section 5.2.2 wants one. The content
// goes as it is: the DER of a certificate, or of a POP challenge, with OIDData.
func Encrypt(rand io.Reader, to []*Recipient, contentType pkix.OID, content []byte, o *EncryptOptions) ([]byte, error) {
	c, err := cipherByName(o.cipher(), false)
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		return nil, errors.New("envelopedData: content type is missing")
	}
	cek, infos, version, err := makeRecipients(rand, to, c.keySize)
	if err != nil {
		return nil, at("envelopedData", err)
	}
	defer clear(cek)
	a, data, err := c.encryptCBC(rand, cek, content)
	if err != nil {
		return nil, at("envelopedData", err)
	}
	var attrs [][]byte
	if o != nil && len(o.LocalKeyID) > 0 {
		attrs = append(attrs, marshalAttribute(oidLocalKeyID, func(b *cryptobyte.Builder) { b.AddASN1OctetString(o.LocalKeyID) }))
		version = max(version, 2)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(version))
		addSet(b, asn1.SET, infos)
		addEncryptedContent(b, contentType, a, data)
		if attrs != nil {
			addSet(b, cons(1), attrs)
		}
	})
	return b.Bytes()
}

// EncryptAuthenticated makes an AuthEnvelopedData with AES-GCM (RFC 5084),
// which CMP itself has no place for.
func EncryptAuthenticated(rand io.Reader, to []*Recipient, contentType pkix.OID, content []byte, o *EncryptOptions) ([]byte, error) {
	c, err := cipherByName(o.cipher(), true)
	if err != nil {
		return nil, err
	}
	if contentType == "" {
		return nil, errors.New("authEnvelopedData: content type is missing")
	}
	cek, infos, _, err := makeRecipients(rand, to, c.keySize)
	if err != nil {
		return nil, at("authEnvelopedData", err)
	}
	defer clear(cek)
	var attrs []byte
	if contentType != OIDData {
		var b cryptobyte.Builder
		addSet(&b, asn1.SET, [][]byte{marshalAttribute(oidContentType, contentType.Add)})
		attrs = b.BytesOrPanic()
	}
	a, data, mac, err := c.encryptGCM(rand, cek, content, attrs)
	if err != nil {
		return nil, at("authEnvelopedData", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		addSet(b, asn1.SET, infos)
		addEncryptedContent(b, contentType, a, data)
		if attrs != nil {
			pkix.AddRetagged(b, cons(1), attrs)
		}
		b.AddASN1OctetString(mac)
	})
	return b.Bytes()
}

func (o *EncryptOptions) cipher() string {
	if o == nil {
		return ""
	}
	return o.Cipher
}

// makeRecipients makes a content encryption key, and for each recipient what
// gives it. The version is that of RFC 5652 section 6.1.
func makeRecipients(rand io.Reader, to []*Recipient, size int) (cek []byte, infos [][]byte, version int, err error) {
	if len(to) == 0 || len(to) > MaxRecipients {
		return nil, nil, 0, fmt.Errorf("%d recipients, not 1 to %d", len(to), MaxRecipients)
	}
	cek = make([]byte, size)
	if _, err := io.ReadFull(rand, cek); err != nil {
		return nil, nil, 0, err
	}
	for _, r := range to {
		info, err := r.make(rand, cek)
		if err != nil {
			clear(cek)
			return nil, nil, 0, fmt.Errorf("recipient %s: %w", r.technique, err)
		}
		infos = append(infos, info)
		version = max(version, r.version)
	}
	return cek, infos, version, nil
}

func addEncryptedContent(b *cryptobyte.Builder, contentType pkix.OID, a pkix.AlgorithmIdentifier, data []byte) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		contentType.Add(b)
		a.Add(b)
		pkix.AddElement(b, prim(0), data)
	})
}
