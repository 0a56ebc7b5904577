package cmpcore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// ArchiveMode says whether private keys are kept here (RFC 4211 section 6.4).
type ArchiveMode uint8

// The modes of a Rule.
const (
	ArchiveNone     ArchiveMode = 0 // whoever gives one is refused
	ArchiveAllowed  ArchiveMode = 1
	ArchiveRequired ArchiveMode = 2 // whoever gives none is refused
)

// maxArchivedKeys bounds the private keys of one message that are opened: each
// costs an operation with the encryption key.
const maxArchivedKeys = 16

// checkArchiveOptions reads the control pkiArchiveOptions.
func (x *exchange) checkArchiveOptions(pvno int, rule *Rule, it *certItem, c crmf.Attribute) error {
	if rule.Archive == ArchiveNone {
		return refuse(cmp.BadRequest, "keys are not archived here for this requester")
	}
	o, err := c.PKIArchiveOptions()
	switch {
	case err != nil:
		return refuse(cmp.BadDataFormat, "pkiArchiveOptions could not be read").because("%v", err)
	case o.KeyGenParameters != nil:
		return refuse(cmp.BadRequest, "keyGenParameters of pkiArchiveOptions are not served")
	case o.ArchiveRemGenPriv != nil:
		if *o.ArchiveRemGenPriv && !it.central {
			return refuse(cmp.BadRequest, "archiveRemGenPrivKey is for keys that are made here")
		}
		it.keep = *o.ArchiveRemGenPriv
		return nil
	case it.central:
		return refuse(cmp.BadRequest, "a private key to archive, and one to be made here, exclude each other")
	case o.EncryptedPrivKey.Value != nil && (x.cfg.Encryption.Values == cms.ValuesRefused || pvno > 2):
		return refuse(cmp.BadRequest, "the private key to archive must come as EnvelopedData")
	}
	it.envelope = o.EncryptedPrivKey
	return nil
}

// openArchived gets hold of the private key that is to be kept, and refuses one
// that is not of the certificate. What is wrong is not told apart: whoever could
// tell would read the envelopes of others.
func (x *exchange) openArchived(rule *Rule, it *certItem) error {
	if it.envelope == nil {
		if rule.Archive == ArchiveRequired && !it.keep {
			return refuse(cmp.BadRequest, "the private key must be given to be archived").because("rule %s", rule.Name)
		}
		return nil
	}
	if !x.spend(costPrivate, maxArchivedKeys) {
		return refuse(cmp.BadRequest, "the message has too many private keys to archive").because("more than %d", maxArchivedKeys)
	}
	private, err := x.readArchived(it)
	if err != nil {
		return refuse(cmp.IncorrectData, "the private key to archive does not open, or is not that of the certificate").because("%v", err)
	}
	it.archive = private
	return nil
}

func (x *exchange) readArchived(it *certItem) (crypto.PrivateKey, error) {
	if it.envelope.Value != nil {
		return x.openValue(it.envelope.Value, it)
	}
	return x.openKey(it.envelope.Enveloped, it, func(k *cms.KeyWithID) bool {
		name, ok := k.Name.DirectoryName()
		return !ok || name.Matches(it.prepared.Subject) || name.Matches(it.ask.Subject)
	})
}

// openKey opens a private key that came encrypted to us. It must be that of the
// request, and mine must accept its identifier.
func (x *exchange) openKey(envelope []byte, it *certItem, mine func(*cms.KeyWithID) bool) (crypto.PrivateKey, error) {
	e, err := cms.ParseEnvelopedData(envelope)
	if err != nil {
		return nil, err
	}
	if e.ContentType != cms.OIDKeyWithID {
		return nil, fmt.Errorf("content of type %s, not encKeyWithID", e.ContentType)
	}
	var content []byte
	for _, key := range x.cfg.Encryption.keys() {
		if content, err = e.Decrypt(x.cfg.Random, &key, nil); !errors.Is(err, cms.ErrNoRecipient) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer clear(content)
	k, err := cms.ParseKeyWithID(content)
	if err != nil {
		return nil, err
	}
	if !mine(k) {
		return nil, errors.New("it is somebody else's")
	}
	private, err := k.Key.Parse()
	if err != nil {
		return nil, err
	}
	return it.own(private)
}

// openValue opens a private key that came as EncryptedValue. That form names
// neither recipient nor holder: each of our keys is tried.
func (x *exchange) openValue(v *crmf.EncryptedValue, it *certItem) (crypto.PrivateKey, error) {
	err := cms.ErrNoRecipient
	for _, key := range x.cfg.Encryption.keys() {
		private, e := cms.OpenKeyValue(x.cfg.Random, v, key.Private, x.cfg.Encryption.Values)
		if e == nil {
			return it.own(private)
		}
		if !errors.Is(e, cms.ErrNoRecipient) {
			err = e
		}
	}
	return nil, err
}

// own wants the private key to be that of the request.
func (it *certItem) own(private crypto.PrivateKey) (crypto.PrivateKey, error) {
	spki, err := publicOf(private)
	if err != nil {
		return nil, err
	}
	if !sameKeys(spki, it.ask.PublicKey) {
		alg.WipePrivateKey(private)
		return nil, errors.New("another key")
	}
	return private, nil
}

func publicOf(private crypto.PrivateKey) (pkix.SubjectPublicKeyInfo, error) {
	p, ok := private.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, fmt.Errorf("a private key of type %T has no public key", private)
	}
	return alg.MarshalPublicKey(p.Public())
}

// sameKeys compares keys whatever their parameters look like.
func sameKeys(a, b pkix.SubjectPublicKeyInfo) bool {
	return a.Algorithm().OID == b.Algorithm().OID && bytes.Equal(a.KeyBits(), b.KeyBits())
}

// keepKey adds a private key to the archive: signed by us, and encrypted to our
// own certificate, whatever the requester had encrypted it with.
func (x *exchange) keepKey(private crypto.PrivateKey, c *Certificate) error {
	to, err := cms.ForCertificate(x.cfg.Encryption.Certificate, nil)
	if err != nil {
		return fmt.Errorf("archive a private key: %w", err)
	}
	der, err := cms.WrapPrivateKey(x.cfg.Random, private, x.kga, to, x.now, nil)
	if err != nil {
		return fmt.Errorf("archive a private key: %w", err)
	}
	x.out.Archive = append(x.out.Archive, &ArchivedKey{
		KeyID: c.KeyID, Serial: c.Serial, Requester: c.Requester, Subject: c.Subject, Created: x.now, Envelope: der,
	})
	return nil
}

func spkiOf(cert []byte) []byte {
	c, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil // who uses the certificate complains of it
	}
	return c.RawSubjectPublicKeyInfo
}

// checkArchive refuses rules that could not be kept.
func (c *Config) checkArchive(r *Rule) error {
	if !r.handlesKeys() {
		return nil
	}
	return c.checkEncryption(r)
}

// checkEncryption refuses to open private keys of others with no key, or with
// that which signs certificates.
func (c *Config) checkEncryption(r *Rule) error {
	switch {
	case c.Encryption == nil:
		return fmt.Errorf("rule %s: private keys are archived, recovered or prove possession, but there is no encryption certificate with its key", r.Name)
	case bytes.Equal(spkiOf(c.Encryption.Certificate), spkiOf(c.Authority.Certificate)):
		return fmt.Errorf("rule %s: private keys would be encrypted to the CA's own key; give the encryption certificate another one", r.Name)
	}
	return nil
}
