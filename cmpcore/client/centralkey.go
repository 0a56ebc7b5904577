package client

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// keyOpener opens the private keys that an answer brings (RFC 9483 section
// 4.1.6). anchors are whom a key generation authority must be under; others may
// lie between. pinned is the only signer that is believed without a path.
type keyOpener struct {
	s               *Session
	c               *Credentials
	anchors, others [][]byte
	pinned          []byte
}

var errNoKey = errors.New("the CA was asked to make a key, but none came")

// open gives the private key of cert. The failure info is for our rejection of
// the certificate, which without its key is of no use. An error that wraps
// [ErrCredentials] is not the CA's fault.
func (o *keyOpener) open(k *crmf.EncryptedKey, cert []byte) (crypto.PrivateKey, cmp.PKIFailureInfo, error) {
	switch {
	case k == nil:
		return nil, cmp.IncorrectData, errNoKey
	case k.Value != nil:
		return o.openValue(k.Value, cert)
	case len(o.anchors) == 0 && o.pinned == nil:
		return nil, 0, fmt.Errorf("%w: nobody is trusted to sign the private key: a trust anchor is needed", ErrCredentials)
	}
	key, err := o.s.envelopeKey(o.c)
	if err != nil {
		return nil, 0, err
	}
	u, err := cms.UnwrapPrivateKey(o.c.Rand, k.Enveloped, key, nil)
	if err != nil {
		return nil, cmp.IncorrectData, fmt.Errorf("the private key does not open: %w", err)
	}
	defer func() {
		for _, k := range u.Keys {
			k.Clear()
		}
	}()
	x, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, cmp.BadDataFormat, err
	}
	if err := o.checkSigners(u, x); err != nil {
		return nil, cmp.SignerNotTrusted, err
	}
	if len(u.Keys) != 1 {
		return nil, cmp.BadDataFormat, fmt.Errorf("%d private keys came, not one", len(u.Keys))
	}
	private, err := u.Keys[0].Parse()
	if err != nil {
		return nil, cmp.BadDataFormat, fmt.Errorf("the private key cannot be read: %w", err)
	}
	return pairOf(private, x)
}

// openValue gives the private key of cert that came in the deprecated form, which
// nobody signs.
func (o *keyOpener) openValue(v *crmf.EncryptedValue, cert []byte) (crypto.PrivateKey, cmp.PKIFailureInfo, error) {
	key, err := o.s.envelopeKey(o.c)
	if err != nil {
		return nil, 0, err
	}
	private, err := cms.OpenKeyValue(o.c.Rand, v, key.Private, o.c.OldEncryption)
	switch {
	case errors.Is(err, cms.ErrOldEncryption) && o.s.PVNO < 3:
		// It was asked for, and whoever asked may still allow it.
		return nil, 0, fmt.Errorf("%w: the private key came as EncryptedValue: %w", ErrCredentials, err)
	case errors.Is(err, cms.ErrOldEncryption):
		return nil, cmp.BadDataFormat, fmt.Errorf("the private key came as EncryptedValue, and EnvelopedData was asked for: %w", err)
	case err != nil:
		return nil, cmp.IncorrectData, fmt.Errorf("the private key does not open: %w", err)
	}
	x, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, cmp.BadDataFormat, err
	}
	return pairOf(private, x)
}

// pairOf wants the private key of a certificate.
func pairOf(private crypto.PrivateKey, x *x509.Certificate) (crypto.PrivateKey, cmp.PKIFailureInfo, error) {
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, cmp.BadAlg, fmt.Errorf("a private key of type %T is not known", private)
	}
	spki, err := alg.MarshalPublicKey(p.Public())
	if err != nil {
		return nil, cmp.BadAlg, err
	}
	if !sameKey(spki, x.RawSubjectPublicKeyInfo) {
		return nil, cmp.IncorrectData, errors.New("the private key is not that of the certificate")
	}
	return private, 0, nil
}

// checkSigners wants every signer to be the issuer of the certificate, or a key
// generation authority by its extended key usage, under one of the anchors.
func (o *keyOpener) checkSigners(u *cms.Unwrapped, cert *x509.Certificate) error {
	for _, s := range u.Signatures {
		if o.pinned != nil && bytes.Equal(s.Certificate, o.pinned) {
			continue
		}
		signer, err := x509.ParseCertificate(s.Certificate)
		if err != nil {
			return fmt.Errorf("the signer of the private key: %w", err)
		}
		name := pkix.Name(signer.RawSubject).String()
		if signer.KeyUsage != 0 && signer.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return fmt.Errorf("the signer of the private key, %.200q, may not sign by its keyUsage", name)
		}
		issuer := signer.BasicConstraintsValid && signer.IsCA && bytes.Equal(signer.RawSubject, cert.RawIssuer)
		if !issuer && !hasPurpose(signer, pkix.OIDCMKGA) {
			return fmt.Errorf("the signer of the private key, %.200q, is neither the issuer of the certificate nor a key generation authority", name)
		}
		others := slices.Concat(u.Certificates, o.others, o.c.Trust.Untrusted)
		if err := verifyChain(signer, o.anchors, others, o.c); err != nil {
			// A root with a new key is one through its link alone.
			if !issuer || verifyLink(signer, o.anchors, others, o.c) == nil {
				return fmt.Errorf("the signer of the private key is not trusted: %w", err)
			}
		}
	}
	if len(u.Signatures) == 0 {
		return cms.ErrUnsigned
	}
	return nil
}

func hasPurpose(cert *x509.Certificate, purposes ...pkix.OID) bool {
	for _, e := range cert.UnknownExtKeyUsage {
		if o, err := pkix.ParseOID(e.String()); err == nil && slices.Contains(purposes, o) {
			return true
		}
	}
	return false
}
