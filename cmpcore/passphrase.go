package cmpcore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
)

// Limits on revocation passphrases, in octets.
const (
	minPassphrase      = 16 // "relatively long" (RFC 9810 appendix B): guesses at it can be tried on one message
	maxPassphrase      = 1024
	maxPassphraseKeyID = 128
)

// passphraseIdentity is the requester of a message under the passphrase of an owner.
func passphraseIdentity(owner string) string { return "passphrase:" + owner }

// owner is under whose name certificates were asked for, and a passphrase is
// left: a passphrase speaks for its owner.
func (w *requester) owner() string {
	if w.phrase != nil {
		return w.phrase.Owner
	}
	return w.identity
}

// owns tells whether a certificate is that of the requester, or one that was
// issued at its request.
func (w *requester) owns(c *Certificate) bool {
	owner := w.owner()
	return c.Requester == owner || "cert:"+hex.EncodeToString(c.Serial) == owner
}

// passphraseRule finds the rule under which this requester may leave a
// passphrase, by genm or otherwise; nil where there is none. One that came by a
// passphrase has the rule under which that was left.
func (x *exchange) passphraseRule() (*Rule, error) {
	if p := x.who.phrase; p != nil {
		i := slices.IndexFunc(x.cfg.Rules, func(r Rule) bool { return r.Passphrases && r.Name == p.Rule })
		if i < 0 {
			return nil, nil
		}
		return &x.cfg.Rules[i], nil
	}
	for r, err := range x.rules(func(r *Rule) bool { return r.Passphrases && x.secretAllows(r, cmp.TypeRR) == nil }) {
		return r, err
	}
	return nil, nil
}

// ruleOfPassphrase is rule for a message under a passphrase.
func (x *exchange) ruleOfPassphrase(body cmp.BodyType) (*Rule, error) {
	if body != cmp.TypeRR {
		return nil, refuse(cmp.NotAuthorized, "a revocation passphrase may be used for rr alone").because("%s of %s", body, x.who.identity)
	}
	r, err := x.passphraseRule()
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, refuse(cmp.NotAuthorized, "the revocation passphrase may not be used any more").
			because("%s was left under rule %s, which is gone or does not take passphrases", x.who.identity, x.who.phrase.Rule)
	}
	return r, nil
}

// passphraseInHeader finds revPassphrase in generalInfo, as one who may leave one
// has it taken. Others have an information there that is not known.
func (x *exchange) passphraseInHeader() (q cmp.InfoTypeAndValue, r *Rule, err error) {
	q, ok := cmp.FindInfo(x.msg.Header.GeneralInfo, cmp.OIDRevPassphrase)
	if !ok {
		return q, nil, nil
	}
	r, err = x.passphraseRule()
	return q, r, err
}

// takeFromHeader takes the passphrase that any message may have in generalInfo
// (RFC 9810 appendix B). It is kept with the answer, which says so.
func (x *exchange) takeFromHeader() error {
	q, rule, err := x.passphraseInHeader()
	if rule == nil || err != nil {
		return err
	}
	n := 0
	for _, i := range x.msg.Header.GeneralInfo {
		if i.Type == cmp.OIDRevPassphrase {
			n++
		}
	}
	if n > 1 {
		return refuse(cmp.BadRequest, "generalInfo has more than one revocation passphrase")
	}
	x.leftInHeader = true
	return x.takePassphrase(rule, q)
}

// refusePassphrase: a message that may come more than once, or whose answer is
// another's, leaves no passphrase, and that must be said.
func (x *exchange) refusePassphrase() error {
	_, rule, err := x.passphraseInHeader()
	if rule != nil && err == nil {
		return refuse(cmp.BadRequest, "a revocation passphrase is not taken with a "+x.msg.BodyType().String()+" message")
	}
	return err
}

// takeFromBody answers the question revPassphrase: it has no value (RFC 9810
// section 5.3.19.9).
func (x *exchange) takeFromBody(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	rule, err := x.passphraseRule()
	if rule == nil || err != nil {
		return a, false, err
	}
	if x.left != nil {
		return a, false, refuse(cmp.BadRequest, "there is a revocation passphrase in the header already")
	}
	if err := x.takePassphrase(rule, q); err != nil {
		return a, false, err
	}
	return cmp.InfoTypeAndValue{Type: cmp.OIDRevPassphrase}, true, nil
}

// takePassphrase opens and seals a passphrase, and sets x.left.
func (x *exchange) takePassphrase(rule *Rule, q cmp.InfoTypeAndValue) error {
	k, err := q.RevPassphrase()
	switch {
	case err != nil:
		return refuse(cmp.BadDataFormat, "revPassphrase could not be read").because("%v", err)
	case k.Value != nil && (x.msg.Header.PVNO > 2 || x.cfg.Encryption == nil || x.cfg.Encryption.Values == cms.ValuesRefused):
		return refuse(cmp.BadRequest, "a revocation passphrase is taken as EnvelopedData only")
	case k.Value == nil && x.msg.Header.PVNO < 3:
		return refuse(cmp.BadRequest, "a revocation passphrase in EnvelopedData needs pvno 3")
	}
	var keyID []byte
	open := func() ([]byte, error) { return x.openOldPassphrase(k.Value) }
	if k.Value != nil {
		keyID = k.Value.ValueHint
	} else {
		e, err := cms.ParseEnvelopedData(k.Enveloped)
		switch {
		case err != nil:
			return refuse(cmp.BadDataFormat, "revPassphrase could not be read").because("%v", err)
		case len(e.Recipients()) != 1:
			return refuse(cmp.BadDataFormat, "revPassphrase must have one recipient").because("%d", len(e.Recipients()))
		}
		keyID, open = e.LocalKeyID, func() ([]byte, error) { return x.openPassphrase(e) }
	}
	switch {
	case len(keyID) > maxPassphraseKeyID:
		return refuse(cmp.BadDataFormat, "the localKeyId of revPassphrase is too long").because("%d octets", len(keyID))
	case rule.Approval && len(keyID) == 0:
		// A pollReq names no certificate by which the passphrase could be found.
		return refuse(cmp.BadRequest, "revPassphrase must have a localKeyId here, as revocations wait for a person")
	}
	p := &Passphrase{Owner: x.who.owner(), KeyID: slices.Clone(keyID), Rule: rule.Name, Created: x.now}
	if err := x.checkPassphraseName(p); err != nil {
		return err
	}
	value, err := open()
	if err != nil {
		// All alike: who could tell wrong padding from a wrong text would read the
		// passphrases of others, whose envelopes they can change.
		return refuse(cmp.IncorrectData, "the revocation passphrase does not open, or is not a text of 16 to 1024 octets").because("%v", err)
	}
	defer clear(value)
	if p.Sealed, err = x.cfg.SealPassphrase(p, value); err != nil {
		return fmt.Errorf("seal a revocation passphrase: %w", err)
	}
	old, err := x.view.Passphrase(x.ctx, p.Owner)
	if err != nil {
		return err
	}
	if old != nil {
		p.Version = old.Version
	}
	x.left = p
	return nil
}

// checkPassphraseName: by the name alone the passphrase, or the secret, of a
// message is found, so nobody else may have it.
func (x *exchange) checkPassphraseName(p *Passphrase) error {
	if len(p.KeyID) == 0 {
		return nil
	}
	other, err := x.view.PassphraseOfKey(x.ctx, p.KeyID)
	if err != nil {
		return err
	}
	secret, err := x.view.Secret(x.ctx, string(p.KeyID))
	if err != nil {
		return err
	}
	if secret != nil || other != nil && other.Owner != p.Owner {
		return refuse(cmp.BadRequest, "the localKeyId of revPassphrase is taken, choose another").because("%.64q", p.KeyID)
	}
	return nil
}

// openPassphrase decrypts a passphrase: by the shared secret, or the passphrase
// before, that protects the message, or with the encryption key. It must be a
// text, so that an envelope that was changed gives none.
func (x *exchange) openPassphrase(e *cms.Envelope) ([]byte, error) {
	if e.ContentType != cms.OIDData {
		return nil, fmt.Errorf("content of type %s, not data", e.ContentType)
	}
	key := &cms.Key{Password: x.who.secretValue}
	if enc := x.cfg.Encryption; enc != nil {
		key.Private, key.Certificate = enc.Key, enc.Certificate
	}
	value, err := e.Decrypt(x.cfg.Random, key, nil)
	if err != nil {
		return nil, err
	}
	return passphraseText(value)
}

// openOldPassphrase decrypts one that came as EncryptedValue (RFC 9810 appendix B),
// which does not say to which of our keys.
func (x *exchange) openOldPassphrase(v *crmf.EncryptedValue) (value []byte, err error) {
	err = cms.ErrNoRecipient
	for _, key := range x.cfg.Encryption.keys() {
		var e error
		if value, e = cms.OpenValue(x.cfg.Random, v, key.Private, x.cfg.Encryption.Values); e == nil {
			value, e = passphraseText(value)
		}
		if e == nil {
			return value, nil
		}
		if !errors.Is(e, cms.ErrNoRecipient) {
			err = e
		}
	}
	return nil, err
}

func passphraseText(value []byte) ([]byte, error) {
	if len(value) < minPassphrase || len(value) > maxPassphrase || !utf8.Valid(value) || bytes.ContainsFunc(value, unicode.IsControl) {
		clear(value)
		return nil, errors.New("it is no text of the right length")
	}
	return value, nil
}

// keepPassphrase makes the passphrase that came with the message a part of its
// outcome.
func (x *exchange) keepPassphrase() {
	p := x.left
	if p == nil {
		return
	}
	x.out.Passphrases = append(x.out.Passphrases, p)
	x.audit("passphrase", func(a *AuditEntry) {
		a.Rule = p.Rule
		a.Detail = "left for revocation by " + p.Owner
		if p.Version > 0 {
			a.Detail += ", in place of the one before"
		}
		if len(p.KeyID) > 0 {
			a.Detail = clip(a.Detail + fmt.Sprintf(", named %.100q", p.KeyID))
		}
	})
}

// tellPassphrase tells whether the answer is to say that a passphrase was taken.
// That of a held message was kept when it came; it, or one after it, is there.
func (x *exchange) tellPassphrase() (bool, error) {
	if x.left != nil {
		return x.leftInHeader, nil
	}
	if x.who == nil || !x.heldMessage() {
		return false, nil
	}
	if _, rule, err := x.passphraseInHeader(); rule == nil || err != nil {
		return false, err
	}
	p, err := x.view.Passphrase(x.ctx, x.who.owner())
	return p != nil && !p.Created.Before(x.tx.Created), err
}

// findPassphrase finds the passphrase under which the message claims to be
// protected: the one that senderKID names, or else, for rr, that of the owner of
// the first certificate. A registered secret of the name comes before it.
func (x *exchange) findPassphrase() (*Passphrase, error) {
	if !x.passphrases {
		return nil, nil
	}
	kid := x.msg.Header.SenderKID
	if len(kid) > 0 {
		if s, err := x.view.Secret(x.ctx, string(kid)); s != nil || err != nil {
			return nil, err
		}
		if p, err := x.view.PassphraseOfKey(x.ctx, kid); p != nil || err != nil {
			return p, err
		}
	}
	owners, err := x.ownersOfRevoked()
	if err != nil {
		return nil, err
	}
	for _, o := range owners {
		p, err := x.view.Passphrase(x.ctx, o)
		if err != nil {
			return nil, err
		}
		if p != nil && (len(kid) == 0 || len(p.KeyID) == 0) {
			return p, nil
		}
	}
	return nil, nil
}

// ownersOfRevoked lists who may have left a passphrase for the first certificate
// that an rr names: its holder, and who asked for it.
func (x *exchange) ownersOfRevoked() ([]string, error) {
	b, ok := x.msg.Body.(*cmp.RevReqContent)
	if !ok || len(b.Details) == 0 {
		return nil, nil
	}
	t := &b.Details[0].CertDetails
	if t.SerialNumber == nil || t.SerialNumber.Sign() <= 0 || len(t.Issuer) == 0 || !t.Issuer.Matches(x.caName) {
		return nil, nil
	}
	c, err := x.view.Certificate(x.ctx, t.SerialNumber.Bytes())
	if c == nil || err != nil {
		return nil, err
	}
	return []string{"cert:" + hex.EncodeToString(c.Serial), c.Requester}, nil
}

// authenticatePassphrase checks a MAC under a passphrase (RFC 9810 appendix B).
func (x *exchange) authenticatePassphrase(p *Passphrase) (*requester, error) {
	mac, err := alg.ParseMAC(x.msg.Header.ProtectionAlg, x.policy.MAC)
	if err != nil {
		return nil, refuse(cmp.BadAlg, "the MAC algorithm or its parameters are not accepted").because("%v", err)
	}
	value, err := x.cfg.UnsealPassphrase(p)
	if err != nil {
		return nil, fmt.Errorf("open the revocation passphrase of %.64q: %w", p.Owner, err)
	}
	if !mac.Verify(value, x.msg.ProtectedPart(), x.msg.Protection) {
		return nil, refuse(cmp.BadMessageCheck, badMAC).because("wrong MAC under the revocation passphrase of %.100q", p.Owner)
	}
	return &requester{identity: passphraseIdentity(p.Owner), phrase: p, secretValue: value, mac: mac}, nil
}

// checkPassphrases refuses a configuration under which none could be taken.
func (c *Config) checkPassphrases(r *Rule) error {
	switch {
	case !r.Passphrases:
		return nil
	case !slices.Contains(r.May, cmp.TypeRR):
		return fmt.Errorf("rule %s: revocation passphrases are for rr, which it does not allow", r.Name)
	case c.SealPassphrase == nil || c.UnsealPassphrase == nil:
		return fmt.Errorf("rule %s: revocation passphrases are taken, but nothing seals and unseals them", r.Name)
	case r.Certificate != nil && c.Encryption == nil:
		return fmt.Errorf("rule %s: revocation passphrases come encrypted, but there is no encryption certificate with its key", r.Name)
	case c.Encryption != nil && bytes.Equal(spkiOf(c.Encryption.Certificate), spkiOf(c.Authority.Certificate)):
		return fmt.Errorf("rule %s: revocation passphrases would be decrypted with the CA's own key; give the encryption certificate another one", r.Name)
	}
	return nil
}
