package cms

import (
	"bytes"
	"crypto"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// certificate is what this package needs to know of one.
type certificate struct {
	raw    []byte
	issuer pkix.Name
	serial *big.Int
	spki   pkix.SubjectPublicKeyInfo
	keyID  []byte // nil where the extension is absent
	usage  pkix.KeyUsage
	// limited tells that usage is there.
	limited bool
}

// parseCertificate reads a certificate as far as it must: the signature is
// neither checked nor looked at.
func parseCertificate(b []byte) (*certificate, error) {
	const where = "certificate"
	outer, err := open(where, b)
	if err != nil {
		return nil, err
	}
	c := &certificate{raw: b}
	var tbs, skip cryptobyte.String
	if !outer.ReadASN1(&tbs, asn1.SEQUENCE) || !tbs.SkipOptionalASN1(cons(0)) {
		return nil, malformed(where)
	}
	var ok1, ok2, ok3, ok4 bool
	c.serial, ok1 = pkix.ReadInteger(&tbs, asn1.INTEGER)
	if _, ok2 = pkix.ReadAlgorithm(&tbs); !ok1 || !ok2 {
		return nil, malformed(where)
	}
	c.issuer, ok1 = pkix.ReadName(&tbs)
	ok2 = tbs.ReadASN1(&skip, asn1.SEQUENCE)
	_, ok3 = pkix.ReadName(&tbs)
	c.spki, ok4 = pkix.ReadSubjectPublicKeyInfo(&tbs)
	if !ok1 || !ok2 || !ok3 || !ok4 || !tbs.SkipOptionalASN1(prim(1)) || !tbs.SkipOptionalASN1(prim(2)) {
		return nil, malformed(where)
	}
	if tbs.Empty() {
		return c, nil
	}
	var exts cryptobyte.String
	if !tbs.ReadASN1(&exts, cons(3)) || !tbs.Empty() {
		return nil, malformed(where)
	}
	list, ok := pkix.ReadExtensions(&exts)
	if !ok || !exts.Empty() {
		return nil, malformed(where)
	}
	if e, ok := pkix.FindExtension(list, pkix.OIDSubjectKeyID); ok {
		if c.keyID, ok = pkix.ParseSubjectKeyID(e.Value); !ok {
			return nil, malformed(where + ": subjectKeyIdentifier")
		}
	}
	if e, ok := pkix.FindExtension(list, pkix.OIDKeyUsage); ok {
		if c.usage, ok = pkix.ParseKeyUsage(e.Value); !ok {
			return nil, malformed(where + ": keyUsage")
		}
		c.limited = true
	}
	return c, nil
}

func (c *certificate) allows(u pkix.KeyUsage) bool { return !c.limited || c.usage.Has(u) }

func (c *certificate) key() (crypto.PublicKey, error) { return alg.ParsePublicKey(c.spki) }

// id is what an identifier in a new message says: the key identifier, as RFC
// 9483 wants it, or the issuer and serial number where there is none.
func (c *certificate) id() Identifier {
	if len(c.keyID) > 0 {
		return Identifier{KeyID: c.keyID}
	}
	return Identifier{Issuer: c.issuer, Serial: c.serial}
}

func (c *certificate) is(id Identifier) bool {
	if id.KeyID != nil {
		return len(c.keyID) > 0 && bytes.Equal(id.KeyID, c.keyID)
	}
	return c.issuer.Equal(id.Issuer) && c.serial.Cmp(id.Serial) == 0
}
