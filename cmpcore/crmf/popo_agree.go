package crmf

import (
	"errors"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// VerifyAgreementPOP checks a proof by agreeMAC or dhMAC (RFC 4211 section 4.3):
// a MAC over the CertRequest, whose template must have a subject and a public
// key, under the secret that the requested key has with that of the CA.
//
// Errors wrap [ErrPOPMissing], [ErrPOPForm], [ErrPOPSignature] or those of
// alg.StaticDH.VerifyAgreeMAC.
func VerifyAgreementPOP(msg *CertReqMsg, dh *alg.StaticDH, policy *alg.MACPolicy) error {
	p, ok := msg.POPO.(*POPOPrivKey)
	t := &msg.CertReq.Template
	switch {
	case !ok || p.Form != AgreeMAC && p.Form != DHMAC:
		return fmt.Errorf("MAC by key agreement: %w", ErrPOPMissing)
	case p.Use != KeyAgreement:
		return fmt.Errorf("MAC by key agreement under keyEncipherment: %w", ErrPOPForm)
	case t.Subject == nil || t.PublicKey == nil:
		return fmt.Errorf("MAC by key agreement beside a template without subject or public key: %w", ErrPOPForm)
	case len(msg.CertReq.Raw) == 0:
		return fmt.Errorf("the octets under the MAC are not at hand: %w", ErrPOPForm)
	}
	var err error
	if p.Form == DHMAC {
		err = dh.VerifyDHMAC(msg.CertReq.Raw, p.Bits)
	} else {
		err = dh.VerifyAgreeMAC(p.MAC.Algorithm, msg.CertReq.Raw, p.MAC.Value, policy)
	}
	if errors.Is(err, alg.ErrSignature) {
		return fmt.Errorf("%w: %w", ErrPOPSignature, err)
	}
	return err
}

// MakeAgreeMAC makes the proof agreeMAC over certReq, the DER of a CertRequest
// whose template has subject and public key.
func MakeAgreeMAC(dh *alg.StaticDH, a pkix.AlgorithmIdentifier, certReq []byte) (*POPOPrivKey, error) {
	mac, err := dh.Sign(a, certReq)
	if err != nil {
		return nil, fmt.Errorf("proof of possession: %w", err)
	}
	return &POPOPrivKey{Use: KeyAgreement, Form: AgreeMAC, MAC: &PKMACValue{Algorithm: a, Value: mac}}, nil
}
