package issuance

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// SelfSigned makes a root certificate that is valid from now for the period.
// Its key usage is keyCertSign, cRLSign and digitalSignature: a CA of CMP signs
// messages too, and OpenSSL's client looks for it. An empty signature algorithm
// is the key's default.
func SelfSigned(rand io.Reader, signer crypto.Signer, sigAlgName string, subject pkix.Name, validity Period, now time.Time) ([]byte, error) {
	rdns, err := parseName(subject)
	if err != nil {
		return nil, fmt.Errorf("root certificate: subject: %w", err)
	}
	if len(rdns) == 0 {
		return nil, errors.New("root certificate: it needs a subject, such as CN=Example Root CA")
	}
	if validity.IsZero() {
		return nil, errors.New("root certificate: the validity has no length")
	}
	sigAlg, err := alg.SignatureFor(signer.Public(), sigAlgName)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	spki, err := alg.MarshalPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	aki, err := pkix.AuthorityKeyIDExtension(pkix.AuthorityKeyID{KeyID: spki.KeyID()})
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	var exts []byte
	for _, e := range []pkix.Extension{
		pkix.KeyUsageExtension(pkix.KeyCertSign | pkix.CRLSign | pkix.DigitalSignature),
		pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: -1}),
		pkix.SubjectKeyIDExtension(spki.KeyID()),
		aki,
	} {
		exts = appendExtension(exts, e)
	}
	serial, err := NewSerial(rand)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	now = now.UTC().Truncate(time.Second)
	der := sigAlg.Bytes()
	rest := buildRest(der, subject, now, validity.From(now), subject, spki, exts)
	cert, err := signCertificate(rand, signer, sigAlg, der, alg.SignatureSize(signer.Public()), serial, rest)
	if err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	if err := Check(cert); err != nil {
		return nil, fmt.Errorf("root certificate: %w", err)
	}
	return cert, nil
}
