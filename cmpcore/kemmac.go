package cmpcore

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// openCiphertext takes the KEM's secret out of generalInfo, where a requester
// who has proven himself wants the answer to have a MAC under it (RFC 9810
// sections 5.1.1.5 and 5.1.3.4). Nothing of it is kept: a follow-up whose
// answer is to have the MAC brings the same ciphertext.
func (x *exchange) openCiphertext() error {
	if x.kem == nil {
		return nil // the answer is protected as another would be
	}
	for _, i := range x.msg.Header.GeneralInfo {
		if i.Type != cmp.OIDKEMCiphertextInfo || i.Value == nil {
			continue
		}
		if x.kemSecret != nil {
			return refuse(cmp.BadDataFormat, "generalInfo has more than one KEM ciphertext")
		}
		c, err := i.KEMCiphertextInfo()
		if err != nil {
			return refuse(cmp.BadDataFormat, "generalInfo could not be read").because("%v", err)
		}
		secret, err := alg.Decapsulate(x.cfg.Random, x.kem.key, c.KEM, c.Ciphertext)
		switch {
		case errors.Is(err, alg.ErrMismatch):
			return refuse(cmp.BadAlg, "the KEM is not that of this CA's key").because("%v", err)
		case err != nil:
			return refuse(cmp.BadMessageCheck, "the KEM ciphertext does not open").because("%v", err)
		}
		x.kemSecret = secret
	}
	return nil
}

// kemProtector makes the MAC of an answer to a message with a ciphertext.
func (x *exchange) kemProtector() (cmp.Protector, error) {
	mac, err := alg.NewKEMBM(alg.KEMBMOptions{})
	if err != nil {
		return nil, err
	}
	return cmp.KEMMACProtector(mac, x.kemSecret, x.msg.Header.TransactionID), nil
}

// asksForCiphertext tells whether the message is the question with which a
// requester with a KEM key begins (RFC 9810 appendix E, the first flow). It has
// no protection, and nothing else can be asked so.
func (x *exchange) asksForCiphertext() bool {
	if !x.policy.KEMRequesters || x.cfg.KEMSeed == nil || !x.msg.Header.ProtectionAlg.IsZero() {
		return false
	}
	b, ok := x.msg.Body.(*cmp.GenMsg)
	return ok && b.Kind == cmp.TypeGenM && len(b.Infos) == 1 && b.Infos[0].Type == cmp.OIDKEMCiphertextInfo && b.Infos[0].Value == nil
}

// giveCiphertext answers that question. The requester has proven nothing yet,
// so nothing is kept of it, and the answer is signed.
func (x *exchange) giveCiphertext() error {
	if x.policy.SilentToStrangers {
		return refuse(cmp.BadMessageCheck, "the message is not protected")
	}
	if err := x.checkMessageTime(); err != nil {
		return err
	}
	if err := x.checkFirstNonce(); err != nil {
		return err
	}
	who, pub, err := x.certificateHolder(x509.KeyUsageKeyEncipherment, "key encipherment")
	if err != nil {
		return err
	}
	if err := x.checkRevocation(who); err != nil {
		return err
	}
	kem, ct, _, err := x.encapsulate(who.cert, pub)
	if err != nil {
		return err
	}
	info, err := cmp.NewKEMCiphertextInfo(cmp.KEMCiphertextInfo{KEM: kem, Ciphertext: ct})
	if err != nil {
		return err
	}
	x.out.Disposition = Answered
	x.audit("informed", func(a *AuditEntry) { a.Detail = "KEM ciphertext for " + who.identity + ", unproven" })
	return x.reply(&cmp.GenMsg{Kind: cmp.TypeGenP, Infos: []cmp.InfoTypeAndValue{info}}, replyOptions{})
}

// encapsulate makes the ciphertext and the secret of this transaction and
// certificate: the same ones each time.
func (x *exchange) encapsulate(cert *x509.Certificate, pub crypto.PublicKey) (kem pkix.AlgorithmIdentifier, ct, secret []byte, err error) {
	h := hmac.New(sha256.New, x.cfg.KEMSeed)
	sum := sha256.Sum256(cert.Raw)
	h.Write(sum[:])
	h.Write(x.msg.Header.TransactionID)
	kem, ct, secret, err = alg.EncapsulateFrom([32]byte(h.Sum(nil)), pub)
	if err != nil {
		return kem, nil, nil, refuse(cmp.BadAlg, "the key of the certificate that protects is not of a KEM").because("%v", err)
	}
	return kem, ct, secret, nil
}

// authenticateKEMMAC checks a MAC under the secret of the ciphertext that was
// given to this requester in this transaction.
func (x *exchange) authenticateKEMMAC() (*requester, error) {
	if !x.policy.KEMRequesters || x.cfg.KEMSeed == nil {
		return nil, refuse(cmp.BadAlg, "MACs by a KEM are not accepted here")
	}
	mac, err := alg.ParseKEMBM(x.msg.Header.ProtectionAlg)
	if err == nil {
		err = mac.Admit(x.policy.MAC)
	}
	if err != nil {
		return nil, refuse(cmp.BadAlg, "the MAC algorithm or its parameters are not accepted").because("%v", err)
	}
	who, pub, err := x.certificateHolder(x509.KeyUsageKeyEncipherment, "key encipherment")
	if err != nil {
		return nil, err
	}
	_, _, secret, err := x.encapsulate(who.cert, pub)
	if err != nil {
		return nil, err
	}
	if !mac.Verify(secret, x.msg.Header.TransactionID, x.msg.ProtectedPart(), x.msg.Protection) {
		return nil, refuse(cmp.BadMessageCheck, "the message authentication code does not verify")
	}
	who.kem = true
	return who, nil
}
