package crmf

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// What can be wrong with a proof by signature besides the signature itself,
// for which see the errors of package alg.
var (
	// ErrPOPMissing is a request without the proof that is to be checked.
	ErrPOPMissing = errors.New("proof of possession is missing")
	// ErrPOPForm is poposkInput where it must not be, or none where it must.
	ErrPOPForm = errors.New("proof of possession has the wrong form")
	// ErrPOPKey is a proof for another key than the requested one, or for none.
	ErrPOPKey = errors.New("proof of possession is not for the requested key")
	// ErrPOPSignature is a signature that does not verify or is by an algorithm
	// that the key is not for. The error of package alg is wrapped too.
	ErrPOPSignature = errors.New("proof of possession does not verify")
	// ErrPOPMAC is a publicKeyMAC that does not verify.
	ErrPOPMAC = errors.New("public key MAC does not verify")
)

// POPPolicy is what [VerifySignaturePOP] accepts. nil is the zero value.
type POPPolicy struct {
	Signature *alg.SignaturePolicy
	// MAC is for Agreement.
	MAC *alg.MACPolicy
	// Agreement, where set, admits a MAC by Diffie-Hellman in the signature's place
	// (RFC 9810 section 5.2.8.2): DHBasedMac, or static ECDH of RFC 6955.
	Agreement *alg.StaticDH

	// AnyForm tolerates poposkInput in a request whose template has subject and
	// public key, and its absence from one that lacks either. The signature is
	// checked over what is there all the same.
	AnyForm bool
}

// VerifySignaturePOP checks a POPOSigningKey (RFC 4211 section 4.1): the
// signature covers the CertRequest where the template has both a subject and a
// public key, else the POPOSigningKeyInput. A nil pub stands for the key that
// the request names.
//
// The Input's word about who asks is not checked here: its sender must be the
// authenticated sender of the message, and its publicKeyMAC must pass
// [VerifyPublicKeyMAC].
//
// Errors wrap [ErrPOPMissing], [ErrPOPForm], [ErrPOPKey], [ErrPOPSignature] or,
// for algorithms and keys that are not usable, those of alg.Verify and
// alg.ParsePublicKey.
func VerifySignaturePOP(msg *CertReqMsg, pub crypto.PublicKey, policy *POPPolicy) error {
	p, ok := msg.POPO.(*POPOSigningKey)
	if !ok || p == nil {
		return fmt.Errorf("signature by the requested key: %w", ErrPOPMissing)
	}
	if policy == nil {
		policy = &POPPolicy{}
	}
	t := &msg.CertReq.Template
	spki, signed := t.PublicKey, msg.CertReq.Raw
	complete := t.Subject != nil && t.PublicKey != nil
	switch {
	case p.Input != nil && complete && !policy.AnyForm:
		return fmt.Errorf("poposkInput beside a template with subject and public key: %w", ErrPOPForm)
	case p.Input == nil && !complete && !policy.AnyForm:
		return fmt.Errorf("no poposkInput beside a template without subject or public key: %w", ErrPOPForm)
	}
	if p.Input != nil {
		if t.PublicKey != nil && !bytes.Equal(p.Input.PublicKey, t.PublicKey) {
			return fmt.Errorf("poposkInput and template have different keys: %w", ErrPOPKey)
		}
		spki, signed = p.Input.PublicKey, p.Input.Raw
	}
	if len(signed) == 0 {
		return fmt.Errorf("the signed octets are not at hand: %w", ErrPOPForm)
	}
	if pub == nil {
		if len(spki) == 0 {
			return fmt.Errorf("the request names no public key: %w", ErrPOPKey)
		}
		var err error
		if pub, err = alg.ParsePublicKey(spki); err != nil {
			return fmt.Errorf("requested public key: %w", err)
		}
	}
	var err error
	if policy.Agreement != nil && alg.IsStaticDH(p.Algorithm) {
		err = policy.Agreement.Verify(p.Algorithm, signed, p.Signature, policy.MAC)
	} else {
		err = alg.Verify(p.Algorithm, pub, signed, p.Signature, policy.Signature)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, alg.ErrSignature), errors.Is(err, alg.ErrMismatch):
		return fmt.Errorf("%w: %w", ErrPOPSignature, err)
	}
	return fmt.Errorf("proof of possession: %w", err)
}

// VerifyPublicKeyMAC checks the PKMACValue that stands for the sender in a
// POPOSigningKeyInput: a MAC over the DER of the public key under the secret
// that both sides share (RFC 4211 section 4.1). Errors wrap [ErrPOPMissing],
// [ErrPOPMAC] or those of alg.ParseMAC.
func VerifyPublicKeyMAC(v *PKMACValue, spki pkix.SubjectPublicKeyInfo, secret []byte, policy *alg.MACPolicy) error {
	if v == nil {
		return fmt.Errorf("public key MAC: %w", ErrPOPMissing)
	}
	m, err := alg.ParseMAC(v.Algorithm, policy)
	if err != nil {
		return fmt.Errorf("public key MAC: %w", err)
	}
	if !m.Verify(secret, spki, v.Value) {
		return ErrPOPMAC
	}
	return nil
}

// SignPublicKeyMAC makes what [VerifyPublicKeyMAC] checks.
func SignPublicKeyMAC(m *alg.MAC, spki pkix.SubjectPublicKeyInfo, secret []byte) (*PKMACValue, error) {
	value, err := m.Sum(secret, spki)
	if err != nil {
		return nil, fmt.Errorf("public key MAC: %w", err)
	}
	return &PKMACValue{Algorithm: m.Algorithm(), Value: value}, nil
}

// SignPOP makes the proof for a request whose template has subject and public
// key: a signature over certReq, the DER of the CertRequest.
func SignPOP(rand io.Reader, signer crypto.Signer, a pkix.AlgorithmIdentifier, certReq []byte) (*POPOSigningKey, error) {
	sig, err := alg.Sign(rand, signer, a, certReq)
	if err != nil {
		return nil, fmt.Errorf("proof of possession: %w", err)
	}
	return &POPOSigningKey{Algorithm: a, Signature: sig}, nil
}

// SignPOPInput makes the proof for a request whose template lacks the subject
// or the public key: a signature over in, which must have the public key and
// either the sender or its publicKeyMAC. It sets in.Raw.
func SignPOPInput(rand io.Reader, signer crypto.Signer, a pkix.AlgorithmIdentifier, in *POPOSigningKeyInput) (*POPOSigningKey, error) {
	raw, err := in.Bytes()
	if err != nil {
		return nil, fmt.Errorf("proof of possession: %w", err)
	}
	p, err := SignPOP(rand, signer, a, raw)
	if err != nil {
		return nil, err
	}
	in.Raw, p.Input = raw, in
	return p, nil
}
