package cms

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Signer signs: the key generation authority of RFC 9483 section 4.1.6.
type Signer struct {
	Key crypto.Signer
	// Chain is the signer's certificate, and then those of CAs up to, but not
	// with, the trust anchor. At most [MaxCertificates].
	Chain [][]byte
	// Algorithm is a name of package alg; empty is the key's default.
	Algorithm string
}

// Sign makes a SignedData with one signature in the form of RFC 9483 section
// 4.1.6: with the content, the chain in its order, and the signed attributes
// contentType, messageDigest, signingTime and CMSAlgorithmProtection (RFC 8933
// section 3). Certificates are not sorted as DER sorts a SET: the first must be
// the signer's.
func Sign(rand io.Reader, by *Signer, contentType pkix.OID, content []byte, now time.Time) ([]byte, error) {
	const where = "sign"
	if by == nil || by.Key == nil || len(by.Chain) == 0 || len(by.Chain) > MaxCertificates || contentType == "" {
		return nil, errors.New("sign: a key, 1 to 32 certificates and a content type are needed")
	}
	cert, err := parseCertificate(by.Chain[0])
	if err != nil {
		return nil, at(where, err)
	}
	pub, err := cert.key()
	if err != nil {
		return nil, at(where, err)
	}
	spki, err := alg.MarshalPublicKey(by.Key.Public())
	if err != nil {
		return nil, at(where, err)
	}
	if !bytes.Equal(spki.KeyBits(), cert.spki.KeyBits()) {
		return nil, fmt.Errorf("sign: the first certificate is not that of the key: %w", alg.ErrMismatch)
	}
	if !cert.allows(pkix.DigitalSignature) {
		return nil, fmt.Errorf("sign: keyUsage of the certificate is without %s: %w", pkix.DigitalSignature, alg.ErrMismatch)
	}
	sigAlg, err := alg.SignatureFor(pub, by.Algorithm)
	if err != nil {
		return nil, at(where, err)
	}
	digest, _, err := digestFor(sigAlg)
	if err != nil {
		return nil, at(where, err)
	}
	md, err := sum(digest, content)
	if err != nil {
		return nil, at(where, err)
	}
	var attrs cryptobyte.Builder
	addSet(&attrs, asn1.SET, [][]byte{
		marshalAttribute(oidContentType, contentType.Add),
		marshalAttribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(md) }),
		marshalAttribute(oidSigningTime, func(b *cryptobyte.Builder) { pkix.AddTime(b, now) }),
		marshalAttribute(oidProtection, func(b *cryptobyte.Builder) { addProtection(b, digest, sigAlg) }),
	})
	signed, err := attrs.Bytes()
	if err != nil {
		return nil, at(where, err)
	}
	sig, err := alg.Sign(rand, by.Key, sigAlg, signed)
	if err != nil {
		return nil, at(where, err)
	}
	sid := cert.id()
	version, sidVersion := int64(1), int64(1)
	if sid.KeyID != nil {
		sidVersion = 3
	}
	if sid.KeyID != nil || contentType != OIDData {
		version = 3
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(version)
		b.AddASN1(asn1.SET, digest.Add)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			contentType.Add(b)
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
		})
		pkix.AddElement(b, cons(0), bytes.Join(by.Chain, nil))
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(sidVersion)
				sid.add(b)
				digest.Add(b)
				pkix.AddRetagged(b, cons(0), signed)
				sigAlg.Add(b)
				b.AddASN1OctetString(sig)
			})
		})
	})
	return b.Bytes()
}
