package issuance

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"io"
	"sync"

	"cmp-batch/cmpcore/alg"
)

// standIn is a key of the kind of a CA's that nobody keeps.
type standIn struct {
	sync.Mutex
	key crypto.Signer
}

// CanRehearse tells why [Issuer.Rehearse] could never work.
func (is *Issuer) CanRehearse() error {
	if t := is.standInType(); alg.KeyTypeUses(t)&alg.UseSign == 0 {
		return fmt.Errorf("no keys of type %q, that of the CA, are made here to sign for trial", t)
	}
	return nil
}

// standInType is the type of the CA's key. RSA keys are all alike to who looks
// at what they sign, and small ones are made soon.
func (is *Issuer) standInType() string {
	switch is.public.(type) {
	case *rsa.PublicKey, *alg.PSSPublicKey:
		return "rsa-2048"
	default:
		return alg.KeyType(is.public)
	}
}

// Rehearse gives the certificate that [Issuer.Issue] would make of p with this
// serial number, for those who look before the CA signs: the octets to sign are
// the same and the signature algorithm is, but the signature is by a key of the
// CA's kind that is made at the first call and never leaves the memory. The
// CA's key signs nothing. p is not spent.
func (is *Issuer) Rehearse(rand io.Reader, p *Prepared, serial []byte) ([]byte, error) {
	if p == nil || p.issuer != is {
		return nil, ErrOtherIssuer
	}
	if err := checkSerial(serial); err != nil {
		return nil, err
	}
	key, err := is.trialKey(rand)
	if err != nil {
		return nil, fmt.Errorf("rehearse by profile %s: %w", p.profile.name, err)
	}
	cert, err := signCertificate(rand, key, is.sigAlg, is.sigAlgDER, is.sigSize, serial, p.rest)
	if err != nil {
		return nil, fmt.Errorf("rehearse by profile %s: %w", p.profile.name, err)
	}
	return cert, nil
}

func (is *Issuer) trialKey(rand io.Reader) (crypto.Signer, error) {
	is.trial.Lock()
	defer is.trial.Unlock()
	if is.trial.key == nil {
		key, err := alg.GenerateKey(rand, is.standInType())
		if err != nil {
			return nil, fmt.Errorf("key for trial: %w", err)
		}
		is.trial.key = key
	}
	return is.trial.key, nil
}
