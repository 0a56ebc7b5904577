package cmpcore

import (
	"crypto"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
)

// Proofs are the forms of proof of possession that a rule accepts besides those
// that always serve: a signature, encrCert and challengeResp.
type Proofs uint8

// The forms.
const (
	// ProofAgreement is a MAC under the secret of the requested key and that of
	// [Authority.Agreement]: agreeMAC (RFC 4211 section 4.3), DHBasedMac in place of
	// a signature (RFC 9810 section 5.2.8.2), or static ECDH (RFC 6955), which a
	// PKCS #10 request has too.
	ProofAgreement Proofs = 1 << iota
	// ProofDHMAC is dhMAC, the deprecated form of agreeMAC, with SHA-1.
	ProofDHMAC
	// ProofEncryptedKey is the private key itself, encrypted to [Encryption] (RFC
	// 9810 section 5.2.8.3.1). It is not kept unless the request asks for it.
	ProofEncryptedKey
	// ProofThisMessage is the deprecated form of that at pvno 2: the private key as
	// EncryptedValue, which does not say whose it is. Whoever has read one such
	// request may have its key certified to another name.
	ProofThisMessage
)

// checkProofs refuses a rule whose proofs nothing could check.
func (c *Config) checkProofs(r *Rule) error {
	switch {
	case r.Proofs&(ProofAgreement|ProofDHMAC) != 0 && c.Authority.Agreement == nil:
		return fmt.Errorf("rule %s: possession is proven by key agreement, but the CA has no key for it", r.Name)
	case r.Proofs&(ProofEncryptedKey|ProofThisMessage) != 0:
		if err := c.checkEncryption(r); err != nil {
			return err
		}
		if r.Proofs&ProofThisMessage != 0 && c.Encryption.Values == cms.ValuesRefused {
			return fmt.Errorf("rule %s: thisMessage proves possession, but EncryptedValue is refused", r.Name)
		}
	}
	return nil
}

// staticDH gives the secret of the requested key and ours.
func (x *exchange) staticDH(pub crypto.PublicKey) (*alg.StaticDH, error) {
	dh, err := alg.NewStaticDH(x.agreement.key, pub, x.agreement.recipient)
	if err != nil {
		return nil, refuse(cmp.BadPOP, "the requested key does not agree with this CA's key agreement key").because("%v", err)
	}
	return dh, nil
}

// checkSignedProof checks the proof that has the form of a signature.
func (x *exchange) checkSignedProof(rule *Rule, it *certItem, pub crypto.PublicKey, p *crmf.POPOSigningKey) error {
	policy := crmf.POPPolicy{Signature: x.policy.Signatures, MAC: x.policy.MAC, AnyForm: x.policy.tolerates("pop-form")}
	if rule.Proofs&ProofAgreement != 0 && alg.IsStaticDH(p.Algorithm) {
		dh, err := x.staticDH(pub)
		if err != nil {
			return err
		}
		policy.Agreement, it.popUse = dh, crmf.KeyAgreement
	}
	if err := crmf.VerifySignaturePOP(it.req, pub, &policy); err != nil {
		return popFailure(err)
	}
	return nil
}

// checkPKCS10Proof checks the signature of a PKCS #10 request, or what stands in
// its place (RFC 6955 section 7).
func (x *exchange) checkPKCS10Proof(rule *Rule, it *certItem, pub crypto.PublicKey, p *cmp.P10CR) (err error) {
	r := &p.Request
	if rule.Proofs&ProofAgreement != 0 && alg.IsStaticPOP(r.Algorithm) {
		dh, err := x.staticDH(pub)
		if err != nil {
			return err
		}
		it.popUse = crmf.KeyAgreement
		if err := dh.Verify(r.Algorithm, r.RawInfo, r.Signature, x.policy.MAC); err != nil {
			return popFailure(err)
		}
		return nil
	}
	if err := alg.Verify(r.Algorithm, pub, r.RawInfo, r.Signature, x.policy.Signatures); err != nil {
		return popFailure(err)
	}
	return nil
}

// checkAgreementMAC checks agreeMAC and dhMAC.
func (x *exchange) checkAgreementMAC(orig *cmp.PKIMessage, it *certItem, rule *Rule, pub crypto.PublicKey, p *crmf.POPOPrivKey) error {
	need := ProofDHMAC
	if p.Form == crmf.AgreeMAC {
		need = ProofAgreement
	}
	switch {
	case rule.Proofs&need == 0:
		return refuse(cmp.BadPOP, "this form of proof of possession is not served here").because("rule %s", rule.Name)
	case p.Form == crmf.AgreeMAC && orig.Header.PVNO < 3:
		return refuse(cmp.BadRequest, "agreeMAC needs pvno 3")
	}
	if p.Form == crmf.AgreeMAC && !alg.IsStaticDH(p.MAC.Algorithm) {
		if !x.spend(costPOPMAC, maxPOPMACs) { // password-based
			return refuse(cmp.BadPOP, "the message has too many MACs that are password-based")
		}
	}
	dh, err := x.staticDH(pub)
	if err != nil {
		return err
	}
	if err := crmf.VerifyAgreementPOP(it.req, dh, x.policy.MAC); err != nil {
		return macFailure(err)
	}
	return nil
}
