package cms

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// keyAgreement is KeyAgreeRecipientInfo of RFC 5652 section 6.2.2 for one of
// its recipients.
type keyAgreement struct {
	originatorAlg pkix.AlgorithmIdentifier
	originatorKey []byte     // nil: originatorID is set
	originatorID  Identifier // of a certificate with a static key
	ukm           []byte     // nil where absent
	alg           pkix.AlgorithmIdentifier
	encrypted     []byte
}

func readKeyAgreement(s *cryptobyte.String, most int) ([]*recipientInfo, error) {
	const where = "kari"
	var seq, originator, field, keys cryptobyte.String
	if !s.ReadASN1(&seq, cons(1)) {
		return nil, malformed(where)
	}
	if version, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || version != 3 {
		return nil, malformed(where + ": version")
	}
	var k keyAgreement
	if !seq.ReadASN1(&originator, cons(0)) {
		return nil, malformed(where + ": originator")
	}
	var ok bool
	if originator.PeekASN1Tag(cons(1)) {
		var c cryptobyte.String
		if !originator.ReadASN1(&c, cons(1)) {
			return nil, malformed(where + ": originatorKey")
		}
		if k.originatorAlg, ok = pkix.ReadAlgorithm(&c); !ok {
			return nil, malformed(where + ": originatorKey")
		}
		if k.originatorKey, ok = pkix.ReadBits(&c, asn1.BIT_STRING); !ok || !c.Empty() {
			return nil, malformed(where + ": originatorKey")
		}
	} else if k.originatorID, ok = readIdentifier(&originator); !ok {
		return nil, malformed(where + ": originator")
	}
	if !originator.Empty() {
		return nil, malformed(where + ": originator")
	}
	var present bool
	if !seq.ReadOptionalASN1(&field, &present, cons(1)) {
		return nil, malformed(where + ": ukm")
	}
	if present {
		var err error
		if k.ukm, err = readUKM(field); err != nil {
			return nil, at(where, err)
		}
	}
	if k.alg, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&keys, asn1.SEQUENCE) || keys.Empty() {
		return nil, malformed(where)
	}
	if err := end(where, seq); err != nil {
		return nil, err
	}
	var list []*recipientInfo
	for !keys.Empty() {
		if len(list) == most {
			return nil, at("recipients", ErrTooLarge)
		}
		var e, encrypted cryptobyte.String
		r, one := &recipientInfo{technique: KeyAgreement}, k
		if !keys.ReadASN1(&e, asn1.SEQUENCE) {
			return nil, malformed(where + ": recipientEncryptedKeys")
		}
		if r.id, ok = readAgreementIdentifier(&e); !ok || !e.ReadASN1(&encrypted, asn1.OCTET_STRING) || !e.Empty() {
			return nil, malformed(where + ": recipientEncryptedKeys")
		}
		one.encrypted = encrypted
		r.open, r.alg = one.open, one.alg
		list = append(list, r)
	}
	return list, nil
}

// readAgreementIdentifier takes a KeyAgreeRecipientIdentifier off s. Date and
// other of a key identifier are read, and say nothing here.
func readAgreementIdentifier(s *cryptobyte.String) (i Identifier, ok bool) {
	if !s.PeekASN1Tag(cons(0)) {
		return readIssuerAndSerial(s)
	}
	var seq, id cryptobyte.String
	if !s.ReadASN1(&seq, cons(0)) || !seq.ReadASN1(&id, asn1.OCTET_STRING) || len(id) == 0 {
		return i, false
	}
	if seq.PeekASN1Tag(asn1.GeneralizedTime) {
		if _, ok := pkix.ReadExactTime(&seq); !ok {
			return i, false
		}
	}
	i.KeyID = id
	return i, seq.SkipOptionalASN1(asn1.SEQUENCE) && seq.Empty()
}

func readUKM(field cryptobyte.String) ([]byte, error) {
	var ukm cryptobyte.String
	if !field.ReadASN1(&ukm, asn1.OCTET_STRING) || !field.Empty() {
		return nil, malformed("ukm")
	}
	if len(ukm) > maxUKM {
		return nil, at("ukm", ErrTooLarge)
	}
	return append([]byte{}, ukm...), nil
}

func (k *keyAgreement) open(_ io.Reader, key *Key, p *Policy, size int) ([]byte, error) {
	agree, pub := agreementKey(key.Private)
	if agree == nil {
		return nil, errOtherKey
	}
	var scheme *agreementScheme
	for _, s := range agreementSchemes {
		if s.oid == k.alg.OID {
			scheme = s
		}
	}
	if scheme == nil {
		return nil, unsupported("key agreement %s", short(k.alg.OID))
	}
	if scheme.hash == crypto.SHA1 && p.RefuseSHA1 {
		return nil, forbidden("key agreement with SHA-1")
	}
	in := cryptobyte.String(k.alg.Parameters)
	wrapAlg, ok := pkix.ReadAlgorithm(&in)
	if !ok || !in.Empty() {
		return nil, badParameters("key agreement")
	}
	wrap, err := wrapByAlgorithm(wrapAlg)
	if err != nil {
		return nil, err
	}
	theirs, err := k.originator(key, pub)
	if err != nil {
		return nil, err
	}
	secret, err := agree(theirs)
	if err != nil {
		return nil, ErrDecrypt
	}
	defer clear(secret)
	kek, err := scheme.kek(secret, k.ukm, wrapAlg, wrap.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(kek)
	return unwrapKey(kek, k.encrypted, size)
}

// originator gives the sender's key, which must be of the same curve as ours.
func (k *keyAgreement) originator(key *Key, ours crypto.PublicKey) (crypto.PublicKey, error) {
	mismatch := at("originator's key", alg.ErrMismatch)
	var theirs crypto.PublicKey
	if k.originatorKey == nil {
		for _, cert := range key.Originators {
			c, err := parseCertificate(cert)
			if err != nil {
				return nil, at("originator", err)
			}
			if !c.is(k.originatorID) {
				continue
			}
			if theirs, err = c.key(); err != nil {
				return nil, at("originator", err)
			}
			if !c.allows(pkix.KeyAgreement) {
				return nil, mismatch
			}
			break
		}
		if theirs == nil {
			return nil, at("originator's certificate is not at hand", alg.ErrMismatch)
		}
		if e, ok := theirs.(*ecdsa.PublicKey); ok {
			t, err := e.ECDH()
			if err != nil {
				return nil, mismatch
			}
			theirs = t
		}
	} else {
		form := ours
		var err error
		if e, ok := ours.(*ecdh.PublicKey); ok {
			if form, err = signingForm(e); err != nil {
				return nil, mismatch
			}
		}
		spki, err := alg.MarshalPublicKey(form)
		if err != nil {
			return nil, mismatch
		}
		// The parameters of an EC key may be absent or NULL: they are those of
		// ours (RFC 5753 section 3.1.1).
		want := spki.Algorithm()
		a := k.originatorAlg
		if a.OID != want.OID || a.Parameters != nil && string(a.Parameters) != string(want.Parameters) && string(a.Parameters) != string(pkix.Null) {
			return nil, mismatch
		}
		switch e := ours.(type) {
		case *ecdh.PublicKey:
			t, err := e.Curve().NewPublicKey(k.originatorKey)
			if err != nil {
				return nil, at("originator's key", alg.ErrKey)
			}
			theirs = t
		case alg.X448PublicKey:
			if len(k.originatorKey) != len(e) {
				return nil, at("originator's key", alg.ErrKey)
			}
			theirs = alg.X448PublicKey(bytes.Clone(k.originatorKey))
		}
	}
	a, ok1 := curveOf(theirs)
	b, ok2 := curveOf(ours)
	if !ok1 || !ok2 || a.curve != b.curve {
		return nil, mismatch
	}
	return theirs, nil
}
