package cmpcore

import (
	"crypto"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// checkRevealedKey checks the proof encryptedKey: the private key itself (RFC
// 9810 section 5.2.8.3.1, RFC 4211 section 4.2). It is looked at and overwritten;
// to have it kept, there is pkiArchiveOptions. What is wrong is not told apart:
// whoever could tell would read the envelopes of others.
func (x *exchange) checkRevealedKey(orig *cmp.PKIMessage, it *certItem, rule *Rule, p *crmf.POPOPrivKey) error {
	switch {
	case rule.Proofs&ProofEncryptedKey == 0:
		return refuse(cmp.BadPOP, "this form of proof of possession is not served here").because("rule %s", rule.Name)
	case orig.Header.PVNO < 3:
		return refuse(cmp.BadRequest, "encryptedKey needs pvno 3")
	}
	if !x.spend(costPrivate, maxArchivedKeys) {
		return refuse(cmp.BadRequest, "the message has too many private keys").because("more than %d", maxArchivedKeys)
	}
	private, err := x.openKey(p.Enveloped, it, func(k *cms.KeyWithID) bool { return x.namesRequester(k, it) })
	return it.seen(private, err)
}

// checkThisMessage checks the deprecated form: an EncryptedValue in a BIT STRING
// (RFC 9810 section 5.2.8.3.1), which names nobody.
func (x *exchange) checkThisMessage(orig *cmp.PKIMessage, it *certItem, rule *Rule, p *crmf.POPOPrivKey) error {
	switch {
	case rule.Proofs&ProofThisMessage == 0:
		return refuse(cmp.BadPOP, "this form of proof of possession is not served here").because("rule %s", rule.Name)
	case orig.Header.PVNO > 2:
		return refuse(cmp.BadRequest, "thisMessage is for pvno 2; encryptedKey has taken its place")
	}
	if !x.spend(costPrivate, maxArchivedKeys) {
		return refuse(cmp.BadRequest, "the message has too many private keys").because("more than %d", maxArchivedKeys)
	}
	var private crypto.PrivateKey
	v, err := crmf.ParseEncryptedValue(p.Bits)
	if err == nil {
		private, err = x.openValue(v, it)
	}
	return it.seen(private, err)
}

// seen takes a private key that was opened, or not, as the proof.
func (it *certItem) seen(private crypto.PrivateKey, err error) error {
	if err != nil {
		return refuse(cmp.BadPOP, "the private key does not open, or is not that of the request").because("%v", err)
	}
	alg.WipePrivateKey(private)
	it.revealed = true
	return nil
}

// namesRequester tells whether a private key says that it was encrypted for this
// request, and not taken out of another's: the identifier must be there (RFC 4211
// section 4.2). It is the wanted subject, the subject of the certificate that
// signs, or the reference of the shared secret. The sender of the header is no
// such word: under a shared secret it may be any name.
func (x *exchange) namesRequester(k *cms.KeyWithID, it *certItem) bool {
	if k.Text != "" {
		return x.who.secret != nil && k.Text == x.who.secret.Ref
	}
	name, ok := k.Name.DirectoryName()
	if !ok || name.IsEmpty() {
		return false
	}
	return name.Matches(it.ask.Subject) || x.who.cert != nil && name.Matches(pkix.Name(x.who.cert.RawSubject))
}
