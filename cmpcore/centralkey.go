package cmpcore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// maxCentralKeys bounds the keys that are made for one message: a large RSA key
// costs as much as hundreds of signatures.
const maxCentralKeys = 16

// useKeyGenerator finds out who signs the keys that are made here.
func (e *Engine) useKeyGenerator() error {
	a := &e.cfg.Authority
	g := a.KeyGenerator
	needed := slices.ContainsFunc(e.cfg.Rules, func(r Rule) bool { return len(r.CentralKeys) > 0 || r.handlesKeys() })
	if !needed && (g == nil || bytes.Equal(g.Certificate, a.Certificate)) {
		return nil
	}
	if g == nil {
		if a.ProtectionCertificate != nil {
			return errors.New("rules let keys be made, archived or recovered here, but there is no key generator to sign them")
		}
		g = &KeyGenerator{Certificate: a.Certificate, Chain: a.Chain, Signer: a.Signer, SignatureAlgorithm: a.SignatureAlgorithm}
	}
	if err := CheckKeyGenerator(g, a.Certificate); err != nil {
		return err
	}
	chain, err := withoutRoots(g.Chain)
	if err != nil {
		return err
	}
	e.kga = &cms.Signer{Key: g.Signer, Chain: append([][]byte{g.Certificate}, chain...), Algorithm: g.SignatureAlgorithm}
	return nil
}

// CheckKeyGenerator tells why requesters would not believe in the keys that g
// signs. ca is the DER of the CA certificate.
func CheckKeyGenerator(g *KeyGenerator, ca []byte) error {
	cert, err := x509.ParseCertificate(g.Certificate)
	if err != nil {
		return fmt.Errorf("key generator's certificate: %w", err)
	}
	if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return fmt.Errorf("key generator's certificate %q: key usage lacks digitalSignature", pkix.Name(cert.RawSubject))
	}
	if !bytes.Equal(g.Certificate, ca) && !hasPurpose(cert, pkix.OIDCMKGA) {
		return fmt.Errorf("key generator's certificate %q: it is not the CA's, and its extended key usage lacks cmKGA (%s)",
			pkix.Name(cert.RawSubject), pkix.OIDCMKGA)
	}
	pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
	if err != nil {
		return fmt.Errorf("key generator's certificate: %w", err)
	}
	if k, ok := pub.(interface{ Equal(x crypto.PublicKey) bool }); !ok || !k.Equal(g.Signer.Public()) {
		return errors.New("key generator's key does not belong to its certificate")
	}
	if _, err := alg.SignatureFor(g.Signer.Public(), g.SignatureAlgorithm); err != nil {
		return fmt.Errorf("key generator's key: %w", err)
	}
	return nil
}

func hasPurpose(cert *x509.Certificate, purpose pkix.OID) bool {
	for _, o := range cert.UnknownExtKeyUsage {
		if o.String() == purpose.String() {
			return true
		}
	}
	return false
}

// checkCentralKey takes the place of checkPOP for a request whose key is to be
// made here (RFC 9483 section 4.1.6).
func (x *exchange) checkCentralKey(rule *Rule, orig *cmp.PKIMessage, it *certItem) error {
	switch {
	case len(rule.CentralKeys) == 0:
		return refuse(cmp.BadCertTemplate, "the template has no public key, and no keys are made here for this requester").
			because("rule %s has no central keys", rule.Name)
	case orig.Header.PVNO < 3:
		return refuse(cmp.BadRequest, "a key made here needs pvno 3")
	case it.req.POPO != nil:
		return refuse(cmp.BadPOP, "there must be no proof of possession of a key that is to be made here")
	}
	var err error
	it.keyTo, err = x.keyRecipient(it.req.CertReq.Controls, rule.encrKeyForMade())
	return err
}

// makeKey makes the key of a request that may have one.
func (x *exchange) makeKey(rule *Rule, it *certItem) error {
	keyType, err := x.centralKeyType(rule, it)
	if err != nil {
		return err
	}
	if x.sample {
		it.ask.PublicKey, err = x.standIn(keyType)
		return err
	}
	if !x.spend(costKey, maxCentralKeys) {
		return refuse(cmp.BadRequest, "too many keys are to be made for one message").because("more than %d", maxCentralKeys)
	}
	it.private, it.ask.PublicKey, err = generateKey(&x.cfg, keyType)
	return err
}

func generateKey(cfg *Config, keyType string) (crypto.PrivateKey, pkix.SubjectPublicKeyInfo, error) {
	k, err := alg.GenerateAnyKey(cfg.Random, keyType)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	p, ok := k.(interface{ Public() crypto.PublicKey })
	if !ok {
		return nil, nil, fmt.Errorf("make a key of type %s: %T has no public key", keyType, k)
	}
	spki, err := alg.MarshalPublicKey(p.Public())
	return k, spki, err
}

// standIn gives a public key of a type for a request that is only judged now,
// as before a person's decision.
func (e *Engine) standIn(keyType string) (pkix.SubjectPublicKeyInfo, error) {
	if v, ok := e.standIns.Load(keyType); ok {
		return v.(pkix.SubjectPublicKeyInfo), nil
	}
	_, spki, err := generateKey(&e.cfg, keyType)
	if err == nil {
		e.standIns.Store(keyType, spki)
	}
	return spki, err
}

// centralKeyType picks the first type of the rule that the profile allows and
// that fits what the request says of the key: an algorithm in place of the
// public key, or in the controls algId and rsaKeyLen.
func (x *exchange) centralKeyType(rule *Rule, it *certItem) (string, error) {
	var want []pkix.AlgorithmIdentifier
	if len(it.ask.PublicKey) > 0 {
		want = append(want, it.ask.PublicKey.Algorithm())
	}
	bits := 0
	for _, c := range it.req.CertReq.Controls {
		switch c.Type {
		case crmf.OIDAlgID:
			a, err := c.AlgID()
			if err != nil {
				return "", refuse(cmp.BadDataFormat, "control algId could not be read").because("%v", err)
			}
			want = append(want, a)
		case crmf.OIDRSAKeyLen:
			var err error
			if bits, err = c.RSAKeyLen(); err != nil {
				return "", refuse(cmp.BadDataFormat, "control rsaKeyLen could not be read").because("%v", err)
			}
		}
	}
	profile := x.cfg.Profiles[it.profile]
	for _, t := range rule.CentralKeys {
		if !profile.AllowsKeyType(t) || len(rule.KeyTypes) > 0 && !slices.Contains(rule.KeyTypes, t) {
			continue
		}
		if bits != 0 && t != fmt.Sprintf("rsa-%d", bits) {
			continue
		}
		have, _ := alg.KeyTypeAlgorithm(t)
		if !slices.ContainsFunc(want, func(w pkix.AlgorithmIdentifier) bool {
			return w.OID != have.OID || w.Parameters != nil && !bytes.Equal(w.Parameters, have.Parameters)
		}) {
			return t, nil
		}
	}
	return "", refuse(cmp.BadAlg, "keys of the wanted type are not made here for this requester").
		because("rule %s, profile %s", rule.Name, it.profile)
}

// sendKey makes the encrypted and signed form of a private key.
func (x *exchange) sendKey(private crypto.PrivateKey, to *keyRecipient) (*crmf.EncryptedKey, error) {
	der, err := cms.WrapPrivateKey(x.cfg.Random, private, x.kga, to.Recipient, x.now, nil)
	if err != nil {
		return nil, fmt.Errorf("send a private key: %w", err)
	}
	return &crmf.EncryptedKey{Enveloped: der}, nil
}
