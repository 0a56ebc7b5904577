package client

import (
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
)

// RevPassphrase is a passphrase that is left at the CA, to protect a later rr
// when the keys are lost (RFC 9810 section 5.3.19.9 and appendix B). That rr has
// it as Credentials.Secret, and Name as Credentials.Reference.
type RevPassphrase struct {
	Value []byte // UTF-8 of at least 16 octets without control characters
	Name  []byte // localKeyId; nil: the CA finds it by the certificate to revoke
	// To is the CA's encryption certificate (DER, caProtEncCert). nil stands for
	// the shared secret that protects the request.
	To []byte
}

// minPassphrase: guesses at a passphrase can be tried on one message.
const minPassphrase = 16

func (p *RevPassphrase) info(c *Credentials) (i cmp.InfoTypeAndValue, err error) {
	if len(p.Value) < minPassphrase || !utf8.Valid(p.Value) || slices.ContainsFunc([]rune(string(p.Value)), unicode.IsControl) {
		return i, fmt.Errorf("%w: a revocation passphrase is a text of at least %d octets, without control characters", ErrOptions, minPassphrase)
	}
	var to *cms.Recipient
	switch {
	case p.To != nil:
		if to, err = cms.ForCertificate(p.To, nil); err != nil {
			return i, fmt.Errorf("%w: certificate to encrypt the revocation passphrase to: %w", ErrOptions, err)
		}
	case len(c.Secret) > 0:
		if to, err = cms.ForPassword(c.Secret, nil); err != nil {
			return i, err
		}
	default:
		return i, fmt.Errorf("%w: without a shared secret a revocation passphrase needs the CA's encryption certificate", ErrOptions)
	}
	der, err := cms.Encrypt(c.Rand, []*cms.Recipient{to}, cms.OIDData, p.Value, &cms.EncryptOptions{LocalKeyID: p.Name})
	if err != nil {
		return i, err
	}
	return cmp.NewRevPassphrase(crmf.EncryptedKey{Enveloped: der})
}

// leavePassphrase puts the passphrase where the kind of message has it: in the
// body of a genm, in generalInfo of others.
func (o *Options) leavePassphrase(s *Session) error {
	p := o.RevPassphrase
	if p == nil {
		return nil
	}
	if o.PVNO != 3 {
		return fmt.Errorf("%w: a revocation passphrase needs pvno 3", ErrOptions)
	}
	if o.Credentials.KEMKey != nil && o.After == nil {
		return fmt.Errorf("%w: a revocation passphrase is not left with a message that nothing protects", ErrOptions)
	}
	there := func(i cmp.InfoTypeAndValue) bool { return i.Type == cmp.OIDRevPassphrase }
	if slices.ContainsFunc(o.Infos, there) || slices.ContainsFunc(o.GeneralInfo, there) {
		return fmt.Errorf("%w: there are two revocation passphrases", ErrOptions)
	}
	i, err := p.info(&o.Credentials)
	if err != nil {
		return err
	}
	if o.Kind == cmp.TypeGenM {
		o.Infos = append(slices.Clone(o.Infos), i)
	} else {
		o.GeneralInfo = append(slices.Clone(o.GeneralInfo), i)
	}
	s.Passphrase = true
	return nil
}

// passphraseAnswered finds out what the first answer says of the passphrase.
func (s *Session) passphraseAnswered(m *cmp.PKIMessage, r *Result) {
	if !s.Passphrase {
		return
	}
	list := m.Header.GeneralInfo
	if b, ok := m.Body.(*cmp.GenMsg); ok {
		list = b.Infos
	}
	r.Passphrase = PassphraseNotTaken
	if i, ok := cmp.FindInfo(list, cmp.OIDRevPassphrase); ok && i.Value == nil {
		r.Passphrase = PassphraseTaken
	}
	s.Passphrase = false
}

// PassphraseState is what the first answer says of a [RevPassphrase].
type PassphraseState string

// The states; the empty one is of a request without a passphrase, and of every
// answer after the first.
const (
	PassphraseTaken    PassphraseState = "taken"
	PassphraseNotTaken PassphraseState = "not taken" // the CA does not know such a thing, or does not serve it
)
