package cmpcore

import (
	"bytes"
	"crypto/x509"
	"errors"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
)

// authenticateDHMAC checks a MAC under the secret that the requester's and our
// key agreement key share (RFC 9810 section 5.1.3.2). The certificate is found
// and trusted as that of a signer.
func (x *exchange) authenticateDHMAC() (*requester, error) {
	if x.agreement == nil {
		return nil, refuse(cmp.BadAlg, "this CA has no key for MACs by Diffie-Hellman")
	}
	// Before the secret is computed, which costs more.
	dh, err := alg.ParseDHBM(x.msg.Header.ProtectionAlg)
	if err == nil {
		err = dh.Admit(x.policy.MAC)
	}
	if err != nil {
		return nil, refuse(cmp.BadAlg, "the MAC algorithm or its parameters are not accepted").because("%v", err)
	}
	if kid := x.msg.Header.RecipKID; len(kid) > 0 && len(x.agreement.kid) > 0 && !bytes.Equal(kid, x.agreement.kid) {
		return nil, refuse(cmp.BadMessageCheck, "recipKID is not the subject key identifier of this CA's key agreement certificate")
	}
	who, pub, err := x.certificateHolder(x509.KeyUsageKeyAgreement, "key agreement")
	if err != nil {
		return nil, err
	}
	secret, err := alg.SharedSecret(x.agreement.key, pub)
	if err != nil {
		info := cmp.BadAlg
		if errors.Is(err, alg.ErrKey) {
			info = cmp.BadMessageCheck
		}
		return nil, refuse(info, "the requester's key does not agree with this CA's key agreement key").because("%v", err)
	}
	if !dh.Verify(secret, x.msg.ProtectedPart(), x.msg.Protection) {
		return nil, refuse(cmp.BadMessageCheck, "the message authentication code does not verify")
	}
	who.dh, who.dhSecret = dh, secret
	return who, nil
}
