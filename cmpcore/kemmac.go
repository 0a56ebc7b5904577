package cmpcore

import (
	"errors"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
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
