package cmpcore

import (
	"crypto"
	"crypto/rsa"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// EncrKeyMode says with which private keys requesters may name the key to
// encrypt them to, by control protocolEncrKey (RFC 4211 section 6.6).
type EncrKeyMode uint8

// The modes of a Rule.
const (
	EncrKeyRecovery EncrKeyMode = 0 // those that krr gets back, as RFC 9810 section 5.3.7 has it
	EncrKeyNone     EncrKeyMode = 1 // whoever names one is refused
	EncrKeyAllowed  EncrKeyMode = 2 // those too that are made here
	EncrKeyRequired EncrKeyMode = 3 // whoever names none is refused
)

// encrKeyForMade is the mode for keys that are made here, encrKeyForKept that
// for archived ones: EncrKeyNone, EncrKeyAllowed or EncrKeyRequired.
func (r *Rule) encrKeyForMade() EncrKeyMode { return r.encrKey(EncrKeyNone) }
func (r *Rule) encrKeyForKept() EncrKeyMode { return r.encrKey(EncrKeyAllowed) }

func (r *Rule) encrKey(ofRecovery EncrKeyMode) EncrKeyMode {
	if r.EncrKey == EncrKeyRecovery {
		return ofRecovery
	}
	return r.EncrKey
}

// The sizes of RSA keys that private keys are encrypted to: a smaller one would
// be the weakest of all that protects them, a larger one only costs.
const (
	minRecipientBits = 2048
	maxRecipientBits = 8192
)

// keyRecipient is whom a private key is encrypted to.
type keyRecipient struct {
	*cms.Recipient
	note string // for the audit log, where it is not who protects the message
}

// keyRecipient: a private key is encrypted by the shared secret, or to the key of
// the certificate, that protects the request (RFC 9483 section 4.1.6), or, where
// that is allowed, to the key of its control protocolEncrKey. That is as good as
// the protection of the message that it stands in.
func (x *exchange) keyRecipient(controls []crmf.Attribute, mode EncrKeyMode) (*keyRecipient, error) {
	var named *crmf.Attribute
	for i := range controls {
		if controls[i].Type == crmf.OIDProtocolEncrKey {
			named = &controls[i] // once: see checkControlsOnce
		}
	}
	switch {
	case named == nil && mode == EncrKeyRequired:
		return nil, refuse(cmp.BadRequest, "the private key is to be encrypted to a key of its own: control protocolEncrKey is missing")
	case named == nil:
		return x.protectorAsRecipient()
	case mode == EncrKeyNone:
		return nil, refuse(cmp.BadRequest, "protocolEncrKey is not served: a private key is encrypted for who protects the message")
	}
	spki, err := named.ProtocolEncrKey()
	if err != nil {
		return nil, refuse(cmp.BadDataFormat, "protocolEncrKey could not be read").because("%v", err)
	}
	pub, err := alg.ParsePublicKey(spki)
	if err == nil {
		err = checkRecipientKey(pub)
	}
	var to *cms.Recipient
	if err == nil {
		// There is no certificate: method 1 of RFC 5280 section 4.2.1.2.
		id := spki.KeyID()
		to, err = cms.ForKey(pub, &cms.RecipientOptions{ID: cms.Identifier{KeyID: id[:]}})
	}
	if err != nil {
		return nil, refuse(cmp.BadAlg, "nothing can be encrypted to the key of protocolEncrKey").because("%v", err)
	}
	return &keyRecipient{to, fmt.Sprintf(", encrypted to a key of type %s (protocolEncrKey)", alg.KeyType(pub))}, nil
}

// protectorAsRecipient is who protects the message.
func (x *exchange) protectorAsRecipient() (*keyRecipient, error) {
	if x.protector != nil {
		return x.protector, nil
	}
	var to *cms.Recipient
	var err error
	if x.who.secret != nil {
		if to, err = cms.ForPassword(x.who.secretValue, nil); err != nil {
			return nil, err
		}
	} else if to, err = x.certificateAsRecipient(); err != nil {
		return nil, refuse(cmp.NotAuthorized, "a private key cannot be encrypted to "+x.theCertificate()+": its key or key usage is not for that").
			because("%v", err)
	}
	x.protector = &keyRecipient{Recipient: to}
	return x.protector, nil
}

func (x *exchange) certificateAsRecipient() (*cms.Recipient, error) {
	cert := x.who.cert
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
	if err != nil {
		return nil, err
	}
	if err := checkRecipientKey(pub); err != nil {
		return nil, err
	}
	// An RSA key is best used in one scheme (RFC 9690 section 3): its holder has
	// just shown which.
	return cms.ForCertificate(cert.Raw, &cms.RecipientOptions{RSAKEM: x.who.kem})
}

func checkRecipientKey(pub crypto.PublicKey) error {
	var n *rsa.PublicKey
	switch k := pub.(type) {
	case *rsa.PublicKey:
		n = k
	case *alg.RSAKEMPublicKey:
		n = k.Key
	default:
		return nil // cms knows those of curves and ML-KEM that are good
	}
	if bits := n.N.BitLen(); bits < minRecipientBits || bits > maxRecipientBits {
		return fmt.Errorf("an RSA key of %d bits, not %d to %d", bits, minRecipientBits, maxRecipientBits)
	}
	return nil
}
