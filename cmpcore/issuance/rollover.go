package issuance

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Rollover is a root's new key: its self-signed certificate, and those that
// link it with the old one (RFC 9810 section 4.4).
type Rollover struct {
	NewWithNew []byte
	NewWithOld []byte // the new key, signed by the old
	OldWithNew []byte // the old key, signed by the new
}

// RollOver gives a root of the same name a new key. The new certificate has the
// old one's extensions and is valid from now for the period; the links have the
// dates of RFC 9810 section 4.4.1: NewWithOld begins with the new root and ends
// with the old one, OldWithNew has the dates of the old root. The names of
// signature algorithms are those of package alg; empty is the key's default.
func RollOver(rand io.Reader, old []byte, oldKey crypto.Signer, oldAlg string, newKey crypto.Signer, newAlg string, validity Period, now time.Time) (*Rollover, error) {
	fail := func(err error) (*Rollover, error) { return nil, fmt.Errorf("roll over the root: %w", err) }
	is, err := NewIssuer(old, oldKey, oldAlg)
	if err != nil {
		return fail(err)
	}
	c, err := parseCertificate(is.cert)
	if err != nil {
		return fail(err)
	}
	now = now.UTC().Truncate(time.Second)
	end := validity.From(now)
	switch {
	case !c.issuer.Equal(c.subject):
		return fail(fmt.Errorf("%q is not self-signed: the CA above it certifies its new key", clip(c.subject.String())))
	case !c.notAfter.After(now):
		return fail(fmt.Errorf("it ended %s; its key must sign no more, and new devices need a new root anyway", c.notAfter.Format(time.RFC3339)))
	case !end.After(c.notAfter):
		return fail(fmt.Errorf("the new root would end %s, not after the old one, which ends %s", end.Format(time.RFC3339), c.notAfter.Format(time.RFC3339)))
	case is.hasKey(newKey.Public()):
		return fail(errors.New("the new key is the old one"))
	}
	newSPKI, err := alg.MarshalPublicKey(newKey.Public())
	if err != nil {
		return fail(err)
	}
	r := &Rollover{}
	for _, x := range []struct {
		name      string
		to        *[]byte
		spki      pkix.SubjectPublicKeyInfo
		keyID     []byte
		by        crypto.Signer
		alg       string
		issuerKey []byte
		nb, na    time.Time
	}{
		{"new with new", &r.NewWithNew, newSPKI, newSPKI.KeyID(), newKey, newAlg, newSPKI.KeyID(), now, end},
		{"new with old", &r.NewWithOld, newSPKI, newSPKI.KeyID(), oldKey, oldAlg, is.keyID, now, c.notAfter},
		{"old with new", &r.OldWithNew, c.spki, is.keyID, newKey, newAlg, newSPKI.KeyID(), c.notBefore, c.notAfter},
	} {
		if *x.to, err = rootCertificate(rand, c, x.spki, x.keyID, x.by, x.alg, x.issuerKey, x.nb, x.na); err != nil {
			return fail(fmt.Errorf("%s: %w", x.name, err))
		}
	}
	return r, nil
}

// rootCertificate makes a certificate like old for the key and the issuer's key.
func rootCertificate(rand io.Reader, old *certificate, spki pkix.SubjectPublicKeyInfo, keyID []byte, by crypto.Signer, sigAlgName string, issuerKey []byte, nb, na time.Time) ([]byte, error) {
	aki, err := pkix.AuthorityKeyIDExtension(pkix.AuthorityKeyID{KeyID: issuerKey})
	if err != nil {
		return nil, err
	}
	list := slices.DeleteFunc(slices.Clone(old.extensions), func(e pkix.Extension) bool {
		return e.ID == pkix.OIDSubjectKeyID || e.ID == pkix.OIDAuthorityKeyID
	})
	var exts []byte
	for _, e := range append(list, pkix.SubjectKeyIDExtension(keyID), aki) {
		exts = appendExtension(exts, e)
	}
	sigAlg, err := alg.SignatureFor(by.Public(), sigAlgName)
	if err != nil {
		return nil, err
	}
	serial, err := NewSerial(rand)
	if err != nil {
		return nil, err
	}
	der := sigAlg.Bytes()
	cert, err := signCertificate(rand, by, sigAlg, der, alg.SignatureSize(by.Public()), serial, buildRest(der, old.subject, nb, na, old.subject, spki, exts))
	if err != nil {
		return nil, err
	}
	return cert, Check(cert)
}
