package cmpcore

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

const (
	// maxRecovered bounds the private keys of one krp, which are opened and
	// encrypted each.
	maxRecovered = 16
	// maxOwnedKeys bounds the archived keys of a requester that are looked
	// through.
	maxOwnedKeys = 1000
	// maxForebears bounds how many updates back a certificate's keys are looked
	// for.
	maxForebears = 16
)

// recover answers krr (RFC 9810 section 5.3.7).
func (x *exchange) recover() error {
	if err := x.checkFirst(); err != nil {
		return err
	}
	rule, err := x.rule(cmp.TypeKRR)
	if err != nil {
		return err
	}
	return x.recoverUnder(rule, x.msg, x.msg.Body.(*cmp.CertReqMessages))
}

// recoverUnder gives the archived keys, or asks a person first, or says why not.
func (x *exchange) recoverUnder(rule *Rule, orig *cmp.PKIMessage, b *cmp.CertReqMessages) error {
	keys, to, err := x.judgeRecovery(rule, orig, b)
	if err == nil && x.tx != nil && x.tx.Decision == Rejected {
		err = x.rejectedByPerson()
	}
	f, refused := asFailure(err)
	if err != nil && !refused {
		return err
	}
	if !refused && rule.needsApproval(cmp.TypeKRR) && (x.tx == nil || x.tx.Decision == Undecided) {
		return x.askForRecovery(rule, orig, keys, to)
	}
	body := &cmp.KeyRecRepContent{}
	if !refused {
		if body, err = x.recovered(rule, keys, to); err != nil {
			return err
		}
	}
	t := x.newTransaction(orig)
	t.endWaiting(Finished)
	t.Items = nil
	x.out.Transaction = t
	x.out.Disposition = Answered
	if refused {
		f.rule = rule.Name
		body.Status = f.statusInfo()
		t.State = Aborted
		x.out.Disposition = Refused
		x.out.Reason = clip(f.Error())
		x.audit("refused", func(a *AuditEntry) { a.Rule = rule.Name; a.Detail = clip(f.Error()) })
	}
	return x.reply(body, x.finalOptions(orig, t))
}

// askForRecovery: the answer waits as a whole (RFC 9810 section 5.3.22).
func (x *exchange) askForRecovery(rule *Rule, orig *cmp.PKIMessage, keys []*ArchivedKey, to *keyRecipient) error {
	// All are named, so that nobody approves what cannot be seen.
	var names []string
	for _, k := range keys {
		name := fmt.Sprintf("%s (%x)", clip(k.Subject.String()), k.Serial)
		if x.beforeSecret(k) {
			name += ", archived under an earlier secret of this reference"
		}
		names = append(names, name)
	}
	summary := fmt.Sprintf("krr: %d private keys: %s", len(keys), strings.Join(names, "; "))
	summary += to.note
	t := x.newTransaction(orig)
	t.Items = []TransactionItem{{CertReqID: -1}}
	return x.wait(rule, t, summary, &cmp.KeyRecRepContent{
		Status: cmp.PKIStatusInfo{Status: cmp.Waiting, StatusString: []string{"waits for a decision of the CA's operator"}},
	})
}

// judgeRecovery finds the keys that the requester may have and wants, and whom
// to encrypt them to.
func (x *exchange) judgeRecovery(rule *Rule, orig *cmp.PKIMessage, b *cmp.CertReqMessages) ([]*ArchivedKey, *keyRecipient, error) {
	switch {
	case len(b.Requests) != 1:
		return nil, nil, refuse(cmp.BadRequest, "a krr message must have exactly one request").because("%d", len(b.Requests))
	case orig.Header.PVNO < 3:
		return nil, nil, refuse(cmp.BadRequest, "a private key is sent at pvno 3 only")
	case b.Requests[0].POPO != nil:
		return nil, nil, refuse(cmp.BadPOP, "there must be no proof of possession of a key that is lost")
	}
	q := &b.Requests[0].CertReq
	if err := checkControlsOnce(q.Controls); err != nil {
		return nil, nil, err
	}
	for _, c := range q.Controls {
		if c.Type != crmf.OIDProtocolEncrKey {
			return nil, nil, refuse(cmp.BadRequest, "a control of the request is not served with krr").because("%s", c.Type)
		}
	}
	to, err := x.keyRecipient(q.Controls, rule.encrKeyForKept())
	if err != nil {
		return nil, nil, err
	}
	want, err := x.wantedKeys(&q.Template)
	if err != nil {
		return nil, nil, err
	}
	keys, err := x.ownedKeys(rule, &q.Template)
	if err != nil {
		return nil, nil, err
	}
	keys = slices.DeleteFunc(keys, func(k *ArchivedKey) bool { return !want(k) || x.tooLate(k) })
	if keys, err = x.provenKeys(keys); err != nil {
		return nil, nil, err
	}
	if rule.Unattended {
		keys = slices.DeleteFunc(keys, x.beforeSecret)
	}
	switch {
	case len(keys) == 0 && x.unseen:
		return nil, nil, refuse(cmp.BadCertID, "too many archived private keys to look through: name a serial number or a public key").
			because("%d and more", maxOwnedKeys)
	case len(keys) == 0:
		return nil, nil, refuse(cmp.BadCertID, "no archived private key of this requester fits the request")
	case len(keys) > maxRecovered:
		return nil, nil, refuse(cmp.BadRequest, "too many archived private keys fit the request: name a subject, a serial number or a public key").
			because("%d of at most %d", len(keys), maxRecovered)
	}
	return keys, to, nil
}

// wantedKeys reads the template: what is in it narrows the keys.
func (x *exchange) wantedKeys(t *crmf.CertTemplate) (func(*ArchivedKey) bool, error) {
	switch {
	case t.Version != nil || !t.SigningAlg.IsZero() || t.Validity != nil || t.IssuerUID != nil || t.SubjectUID != nil || len(t.Extensions) > 0:
		return nil, refuse(cmp.BadCertTemplate, "the template of a krr may have issuer, serial number, subject and public key")
	case len(t.Issuer) != 0 && !t.Issuer.IsEmpty() && !t.Issuer.Matches(x.caName):
		return nil, refuse(cmp.BadCertTemplate, "the template names another issuer")
	case t.SerialNumber != nil && t.SerialNumber.Sign() <= 0:
		return nil, refuse(cmp.BadCertTemplate, "the serial number must be positive")
	}
	return func(k *ArchivedKey) bool {
		return (t.SerialNumber == nil || t.SerialNumber.Cmp(new(big.Int).SetBytes(k.Serial)) == 0) &&
			(t.Subject.IsEmpty() || t.Subject.Matches(k.Subject)) &&
			(len(t.PublicKey) == 0 || k.KeyID == [20]byte(t.PublicKey.KeyID()))
	}, nil
}

// tooLate tells whether a key was archived after people were asked: what they
// have not seen they have not approved.
func (x *exchange) tooLate(k *ArchivedKey) bool {
	return x.tx != nil && k.Created.After(x.tx.Created)
}

// beforeSecret tells whether a key is older than the shared secret that asks for
// it. The reference may have been somebody else's then, or the same device has
// a new secret, having lost the old one with its key: a person must know.
func (x *exchange) beforeSecret(k *ArchivedKey) bool {
	return x.who.secret != nil && k.Created.Before(x.who.secret.Created)
}

// certificateOf is the certificate that an archived key came with.
func (x *exchange) certificateOf(k *ArchivedKey) (*Certificate, error) {
	c, err := x.view.Certificate(x.ctx, k.Serial)
	if c == nil && err == nil {
		err = fmt.Errorf("certificate %x of an archived key is not in the store", k.Serial)
	}
	return c, err
}

// provenKeys leaves out those that came with a request whose possession of the
// key was to be proven by decrypting the certificate, and never was. Whoever
// sees another's envelope could have it archived as his own.
func (x *exchange) provenKeys(keys []*ArchivedKey) (proven []*ArchivedKey, err error) {
	for _, k := range keys {
		c, err := x.certificateOf(k)
		if err != nil {
			return nil, err
		}
		t, err := x.view.Transaction(x.ctx, c.TransactionKey)
		if err != nil {
			return nil, err
		}
		if t == nil || slices.ContainsFunc(t.Items, func(i TransactionItem) bool { return i.Unproven && string(i.Serial) == string(k.Serial) }) {
			continue
		}
		proven = append(proven, k)
	}
	return proven, nil
}

// ownedKeys lists the keys that the requester has given to keep. Who signs owns,
// besides, those of the same subject that came at the request for the
// certificate that signs, or for those that it updates: not all of that
// requester, which may be a secret of many devices.
func (x *exchange) ownedKeys(rule *Rule, t *crmf.CertTemplate) ([]*ArchivedKey, error) {
	keys, err := x.keysOf(x.who.identity, t)
	if err != nil {
		return nil, err
	}
	own := func(k *ArchivedKey) bool { return true }
	if cert := x.who.cert; cert != nil {
		subject := pkix.Name(cert.RawSubject)
		own = func(k *ArchivedKey) bool { return !subject.IsEmpty() && subject.Matches(k.Subject) }
		at := x.who.issued
		for n := 0; at != nil && n < maxForebears; n++ {
			more, err := x.keysOf(at.Requester, t)
			if err != nil {
				return nil, err
			}
			by, err := x.requestedBy(at)
			if err != nil {
				return nil, err
			}
			itself := by != nil && subject.Matches(by.Subject)
			for _, k := range more {
				if !own(k) || slices.ContainsFunc(keys, func(h *ArchivedKey) bool { return string(h.Serial) == string(k.Serial) }) {
					continue
				}
				mine := itself
				if !mine {
					if mine, err = x.cameTogether(k, at); err != nil {
						return nil, err
					}
				}
				if mine {
					keys = append(keys, k)
				}
			}
			at = by
		}
	}
	return slices.DeleteFunc(keys, func(k *ArchivedKey) bool {
		return rule.Names != nil && !rule.Names(k.Subject) || rule.Own && !own(k)
	}), nil
}

// cameTogether tells whether a key was given with the request for c.
func (x *exchange) cameTogether(k *ArchivedKey, c *Certificate) (bool, error) {
	kept, err := x.view.Certificate(x.ctx, k.Serial)
	return kept != nil && kept.TransactionKey == c.TransactionKey, err
}

// keysOf lists the keys that a requester has given, at most maxOwnedKeys and
// with x.unseen where there may be more. Those that a template names by serial
// number or public key are found among any number.
func (x *exchange) keysOf(requester string, t *crmf.CertTemplate) ([]*ArchivedKey, error) {
	var keys []*ArchivedKey
	var err error
	switch {
	case len(t.PublicKey) > 0:
		keys, err = x.view.ArchivedKeysOf(x.ctx, requester, [20]byte(t.PublicKey.KeyID()), maxOwnedKeys)
	case t.SerialNumber != nil:
		var c *Certificate
		if c, err = x.view.Certificate(x.ctx, t.SerialNumber.Bytes()); err != nil || c == nil {
			return nil, err
		}
		keys, err = x.view.ArchivedKeysOf(x.ctx, requester, c.KeyID, maxOwnedKeys)
	default:
		keys, err = x.view.ArchivedKeys(x.ctx, requester, maxOwnedKeys)
	}
	x.unseen = x.unseen || len(keys) == maxOwnedKeys
	return slices.Clone(keys), err
}

// requestedBy gives the certificate that signed the request for c; nil where
// that was none of ours.
func (x *exchange) requestedBy(c *Certificate) (*Certificate, error) {
	text, ok := strings.CutPrefix(c.Requester, "cert:")
	serial, isHex := new(big.Int).SetString(text, 16)
	if !ok || !isHex {
		return nil, nil
	}
	return x.view.Certificate(x.ctx, serial.Bytes())
}

// recovered opens the keys and encrypts them to the requester.
func (x *exchange) recovered(rule *Rule, keys []*ArchivedKey, to *keyRecipient) (*cmp.KeyRecRepContent, error) {
	body := &cmp.KeyRecRepContent{Status: cmp.PKIStatusInfo{Status: cmp.Accepted}, CACerts: x.caChain}
	for _, k := range keys {
		c, err := x.certificateOf(k)
		if err != nil {
			return nil, err
		}
		private, err := x.openKept(k, c)
		if err != nil {
			return nil, refuse(cmp.SystemFailure, "an archived private key cannot be opened here").because("certificate %x: %v", k.Serial, err)
		}
		sent, err := x.sendKey(private, to)
		if err != nil {
			return nil, err
		}
		body.KeyPairHist = append(body.KeyPairHist, cmp.CertifiedKeyPair{Certificate: c.DER, PrivateKey: sent})
	}
	for _, k := range keys {
		x.audit("recovered", func(a *AuditEntry) {
			a.Serial = fmt.Sprintf("%x", k.Serial)
			a.Rule = rule.Name
			a.Detail = clip("the private key of " + k.Subject.String() + " went to the requester" + to.note)
		})
	}
	return body, nil
}

// openKept opens a key of the archive and holds it against its certificate.
func (x *exchange) openKept(k *ArchivedKey, c *Certificate) (crypto.PrivateKey, error) {
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, err
	}
	u, err := x.cfg.Encryption.unwrap(x.cfg.Random, k.Envelope)
	if err != nil {
		return nil, err
	}
	defer u.clear()
	if len(u.Keys) != 1 {
		return nil, fmt.Errorf("%d keys, not one", len(u.Keys))
	}
	private, err := u.Keys[0].Parse()
	if err != nil {
		return nil, err
	}
	spki, err := publicOf(private)
	if err != nil {
		return nil, err
	}
	if !sameKeys(spki, cert.RawSubjectPublicKeyInfo) {
		return nil, errors.New("it is not the key of the certificate")
	}
	return private, nil
}
