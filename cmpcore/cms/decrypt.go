package cms

import (
	"crypto"
	"errors"
	"io"
)

// Key opens envelopes. Fields that are not needed are nil.
type Key struct {
	// Private is a key of package alg or of the standard library, or one in a
	// device: a crypto.Decrypter for RSA, an ecdh.KeyExchanger, a
	// crypto.Decapsulator.
	Private crypto.PrivateKey
	// Certificate is that of Private. Recipients that name another are passed
	// over. Where it is nil every recipient of Private's kind is tried: RFC 9810
	// section 5.2.8.3 lets clients ignore whom an encrypted certificate names.
	Certificate []byte
	// Originators are certificates of senders with a static key agreement key,
	// which a message may name in place of an ephemeral key.
	Originators [][]byte

	// Password opens what is for a password or shared secret.
	Password []byte
}

// errOtherKey is a recipient of another kind than the key.
var errOtherKey = errors.New("recipient of another kind of key")

// Decrypt gives the content. The error wraps [ErrNoRecipient] where nobody that
// the envelope names has the key, [ErrDecrypt] where key or content do not
// decrypt, whatever the reason, or an error of package alg for an algorithm
// that is not supported, refused by the policy or malformed.
//
// The content of an EnvelopedData is not authenticated.
func (e *Envelope) Decrypt(rand io.Reader, k *Key, p *Policy) ([]byte, error) {
	policy := p.withDefaults()
	size, decrypt, err := e.decrypter()
	if err != nil {
		return nil, err
	}
	var cert *certificate
	if k.Certificate != nil {
		if cert, err = parseCertificate(k.Certificate); err != nil {
			return nil, err
		}
	}
	err = ErrNoRecipient
	for _, r := range e.recipients {
		if r.open == nil || cert != nil && r.technique != Password && !cert.is(r.id) {
			continue
		}
		cek, e := r.open(rand, k, &policy, size)
		if e == nil {
			var content []byte
			content, e = decrypt(cek)
			clear(cek)
			if e == nil {
				return content, nil
			}
		}
		// The first thing that went wrong with a recipient that may be us.
		if e != errOtherKey && (err == ErrNoRecipient || err == ErrDecrypt) {
			err = e
		}
	}
	return nil, at(e.name(), err)
}

func (e *Envelope) name() string {
	if e.Authenticated {
		return "authEnvelopedData"
	}
	return "envelopedData"
}
