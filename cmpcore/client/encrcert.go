package client

import (
	"crypto"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// decryptCertificate opens a certificate that came encrypted to its own key (RFC
// 9810 section 5.2.8.3.2).
func (c *Credentials) decryptCertificate(it *Item, k *crmf.EncryptedKey) ([]byte, error) {
	if c.Decrypt != nil {
		der, err := c.Decrypt(k)
		if err != nil {
			return nil, fmt.Errorf("decrypt the certificate: %w", err)
		}
		return der, nil
	}
	private := c.requestedKey(it)
	switch {
	case private == nil:
		return nil, fmt.Errorf("%w, and the requested private key is not among the credentials", ErrEncrypted)
	case k.Value != nil:
		der, err := cms.OpenValue(c.Rand, k.Value, private, c.OldEncryption)
		if errors.Is(err, cms.ErrOldEncryption) {
			return nil, fmt.Errorf("%w as EncryptedValue: %w", ErrEncrypted, err)
		}
		if err != nil {
			return nil, fmt.Errorf("decrypt the certificate: %w", err)
		}
		return der, nil
	}
	e, err := cms.ParseEnvelopedData(k.Enveloped)
	if err != nil {
		return nil, fmt.Errorf("encrypted certificate: %w", err)
	}
	// It names a certificate that is not known yet, so any recipient is tried.
	der, err := e.Decrypt(c.Rand, &cms.Key{Private: private}, nil)
	if err != nil {
		return nil, fmt.Errorf("decrypt the certificate: %w", err)
	}
	return der, nil
}

// requestedKey finds the private key of a wanted certificate.
func (c *Credentials) requestedKey(it *Item) crypto.PrivateKey {
	for _, k := range c.RequestedKeys {
		p, ok := k.(interface{ Public() crypto.PublicKey })
		if !ok {
			continue
		}
		if spki, err := alg.MarshalPublicKey(p.Public()); err == nil && sameKey(spki, pkix.SubjectPublicKeyInfo(it.PublicKey)) {
			return k
		}
	}
	return nil
}
