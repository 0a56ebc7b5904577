package cmpcore

import (
	"crypto"
	"fmt"
	"math/big"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// checkDecryptionKey checks the proofs of keys that do not sign (RFC 9810
// section 5.2.8.3), as far as a request can have one: encrCert and challengeResp
// are proofs by what follows.
func (x *exchange) checkDecryptionKey(orig *cmp.PKIMessage, it *certItem, rule *Rule, pub crypto.PublicKey, p *crmf.POPOPrivKey) error {
	uses := alg.Uses(pub)
	fits := uses&(alg.UseEncipher|alg.UseEncapsulate) != 0
	if p.Use == crmf.KeyAgreement {
		fits = uses&alg.UseAgree != 0
	}
	if !fits {
		return refuse(cmp.BadPOP, "this proof of possession is not for this type of key").because("%s", alg.KeyType(pub))
	}
	it.popUse = p.Use
	switch p.Form {
	case crmf.SubsequentMessage:
	case crmf.AgreeMAC, crmf.DHMAC:
		return x.checkAgreementMAC(orig, it, rule, pub, p)
	case crmf.EncryptedKeyPOP:
		return x.checkRevealedKey(orig, it, rule, p)
	default: // thisMessage
		return x.checkThisMessage(orig, it, rule, p)
	}
	if p.Subsequent == crmf.ChallengeResp {
		return x.checkChallengeResponse(rule, orig, it, pub)
	}
	if orig.Header.PVNO < 3 {
		return refuse(cmp.BadRequest, "an encrypted certificate needs pvno 3")
	}
	it.encrypt = pub
	return nil
}

// checkPOPUsage: who proves that it can decrypt or agree on a key asks not for a
// certificate to sign with.
func (it *certItem) checkPOPUsage() error {
	need := pkix.KeyEncipherment | pkix.DataEncipherment
	if it.popUse == crmf.KeyAgreement {
		need = pkix.KeyAgreement
	}
	if it.popUse != 0 && it.prepared.KeyUsage != 0 && it.prepared.KeyUsage&need == 0 {
		return refuse(cmp.BadPOP, "this proof of possession is not for the key usage of the certificate").
			because("key usage %s under profile %s", it.prepared.KeyUsage, it.profile)
	}
	return nil
}

// encryptCertificate encrypts a certificate to its own key: that the requester
// can confirm its hash is the proof of possession (RFC 9810 section 5.2.8.3.2).
func (x *exchange) encryptCertificate(it *certItem, c *Certificate) (*crmf.EncryptedKey, error) {
	to, err := cms.ForKey(it.encrypt, &cms.RecipientOptions{
		ID: cms.Identifier{Issuer: x.caName, Serial: new(big.Int).SetBytes(c.Serial)},
	})
	if err != nil {
		return nil, fmt.Errorf("encrypt a certificate: %w", err)
	}
	der, err := cms.Encrypt(x.cfg.Random, []*cms.Recipient{to}, cms.OIDData, c.DER, nil)
	if err != nil {
		return nil, fmt.Errorf("encrypt a certificate: %w", err)
	}
	return &crmf.EncryptedKey{Enveloped: der}, nil
}
