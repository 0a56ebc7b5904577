package cms

import (
	"crypto"
	"io"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// WrapPrivateKey makes what CertifiedKeyPair.privateKey carries after central key
// generation (RFC 9483 section 4.1.6): an EnvelopedData of a SignedData, by a
// key generation authority, of an AsymmetricKeyPackage with the one key and its
// public key.
func WrapPrivateKey(rand io.Reader, private crypto.PrivateKey, by *Signer, to *Recipient, now time.Time, o *EncryptOptions) ([]byte, error) {
	k, err := NewOneAsymmetricKey(private)
	if err != nil {
		return nil, at("wrap private key", err)
	}
	defer k.Clear()
	pkg, err := MarshalKeyPackage(k)
	if err != nil {
		return nil, at("wrap private key", err)
	}
	defer clear(pkg)
	signed, err := Sign(rand, by, OIDKeyPackage, pkg, now)
	if err != nil {
		return nil, at("wrap private key", err)
	}
	defer clear(signed)
	return Encrypt(rand, []*Recipient{to}, OIDSignedData, signed, o)
}

// UnwrapOptions are choices for [UnwrapPrivateKey]. nil and the zero value are
// what RFC 9483 wants.
type UnwrapOptions struct {
	Envelope *Policy
	Verify   *VerifyPolicy
	// Known are certificates of key generation authorities, for a message that
	// leaves its own out.
	Known [][]byte
	// AllowUnsigned admits a key package, or a private key alone, that is not
	// in a SignedData: some CAs send it so, and the protection of the message is
	// then all there is.
	AllowUnsigned bool
}

// Unwrapped is what [UnwrapPrivateKey] found.
type Unwrapped struct {
	Keys []*OneAsymmetricKey // RFC 9483 wants one; see [OneAsymmetricKey.Parse]
	// Signatures tell who signed; nil for what was not signed. The caller
	// decides whether to trust it, by Certificates and the purpose OIDCMKGA of
	// package pkix.
	Signatures   []Signature
	Certificates [][]byte // that came with it
}

// UnwrapPrivateKey opens an EnvelopedData with a private key. It takes what
// known peers send in place of what they should: a private key alone in place
// of the key package, the identifier of the key package with a wrong first
// number, and a ContentInfo around the SignedData. The error wraps those of
// [Envelope.Decrypt] and [SignedData.Verify], or [ErrUnsigned].
func UnwrapPrivateKey(rand io.Reader, enveloped []byte, k *Key, o *UnwrapOptions) (*Unwrapped, error) {
	if o == nil {
		o = &UnwrapOptions{}
	}
	e, err := ParseEnvelopedData(enveloped)
	if err != nil {
		return nil, err
	}
	content, err := e.Decrypt(rand, k, o.Envelope)
	if err != nil {
		return nil, err
	}
	out := &Unwrapped{}
	if s := peekContent(content); s == contentKey || s == contentPackage {
		if !o.AllowUnsigned {
			clear(content)
			return nil, ErrUnsigned
		}
		out.Keys, err = parseKeys(content)
		return out, err
	} else if s == contentInfo {
		c, err := ParseContentInfo(content)
		if err != nil {
			return nil, err
		}
		if c.Type != OIDSignedData {
			return nil, malformed("contentInfo: signedData")
		}
		content = c.Content
	}
	if e.ContentType != OIDSignedData {
		return nil, malformed("encryptedContentInfo: content type of a private key")
	}
	s, err := ParseSignedData(content)
	if err != nil {
		return nil, err
	}
	if s.ContentType != OIDKeyPackage && s.ContentType != oidKeyPackageTypo {
		return nil, malformed("signedData: content type of a private key")
	}
	pkg, by, err := s.Verify(o.Known, o.Verify)
	if err != nil {
		return nil, err
	}
	out.Signatures, out.Certificates = by, s.Certificates
	out.Keys, err = parseKeys(pkg)
	return out, err
}

func parseKeys(b []byte) ([]*OneAsymmetricKey, error) {
	if peekContent(b) != contentKey {
		return ParseKeyPackage(b)
	}
	k, err := ParseOneAsymmetricKey(b)
	if err != nil {
		return nil, err
	}
	return []*OneAsymmetricKey{k}, nil
}

// The structures that a decrypted private key may be in.
const (
	contentOther = iota
	contentInfo
	contentKey
	contentPackage
)

// peekContent tells them apart by their first elements.
func peekContent(b []byte) int {
	seq, err := open("", b)
	if err != nil {
		return contentOther
	}
	switch {
	case seq.PeekASN1Tag(asn1.OBJECT_IDENTIFIER):
		return contentInfo
	case seq.PeekASN1Tag(asn1.SEQUENCE):
		return contentPackage
	}
	if _, ok := pkix.ReadInt(&seq, asn1.INTEGER); ok && seq.PeekASN1Tag(asn1.SEQUENCE) {
		return contentKey
	}
	return contentOther
}
