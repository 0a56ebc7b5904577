package cmptext

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

func certificates(l *node, ders [][]byte) {
	for _, d := range ders {
		certificate(l.object(""), d)
	}
}

// certificate shows what tells one certificate from another.
func certificate(n *node, d []byte) {
	sum := sha256.Sum256(d)
	defer func() { n.str("sha256", hex.EncodeToString(sum[:])) }()
	c, ok := readCertificate(d)
	if !ok {
		n.str("error", fmt.Sprintf("not a readable certificate, %d octets", len(d)))
		return
	}
	n.str("subject", nameText(c.subject))
	n.str("issuer", nameText(c.issuer))
	n.str("serialNumber", serial(c.serial))
	n.time("notBefore", c.notBefore)
	n.time("notAfter", c.notAfter)
	publicKey(n, "publicKey", c.key)
	n.str("signatureAlgorithm", signatureName(c.signatureAlg))
	for _, id := range []pkix.OID{pkix.OIDSubjectAltName, pkix.OIDKeyUsage, pkix.OIDExtKeyUsage, pkix.OIDBasicConstraints} {
		if e, ok := pkix.FindExtension(c.extensions, id); ok {
			n.str(oidName(id), extensionText(n.t, e))
		}
	}
}

// certificateInfo is what is shown of a certificate.
type certificateInfo struct {
	serial              *big.Int
	signatureAlg        pkix.AlgorithmIdentifier
	issuer, subject     pkix.Name
	notBefore, notAfter time.Time
	key                 pkix.SubjectPublicKeyInfo
	extensions          []pkix.Extension
}

// readCertificate reads a Certificate (RFC 5280 section 4.1), in less depth
// than those who trust it must.
func readCertificate(d []byte) (c certificateInfo, ok bool) {
	if der.Scan(d, der.Limits{}) != nil {
		return c, false
	}
	s := cryptobyte.String(d)
	var cert, tbs, v, validity cryptobyte.String
	if !s.ReadASN1(&cert, asn1.SEQUENCE) || !cert.ReadASN1(&tbs, asn1.SEQUENCE) {
		return c, false
	}
	version := asn1.Tag(0).ContextSpecific().Constructed()
	if !tbs.SkipOptionalASN1(version) {
		return c, false
	}
	if c.serial, ok = pkix.ReadInteger(&tbs, asn1.INTEGER); !ok {
		return c, false
	}
	if c.signatureAlg, ok = pkix.ReadAlgorithm(&tbs); !ok {
		return c, false
	}
	if c.issuer, ok = pkix.ReadName(&tbs); !ok {
		return c, false
	}
	if !tbs.ReadASN1(&validity, asn1.SEQUENCE) {
		return c, false
	}
	if c.notBefore, ok = readAnyTime(&validity); !ok {
		return c, false
	}
	if c.notAfter, ok = readAnyTime(&validity); !ok {
		return c, false
	}
	if c.subject, ok = pkix.ReadName(&tbs); !ok {
		return c, false
	}
	if c.key, ok = pkix.ReadSubjectPublicKeyInfo(&tbs); !ok {
		return c, false
	}
	if !tbs.SkipOptionalASN1(asn1.Tag(1).ContextSpecific()) || !tbs.SkipOptionalASN1(asn1.Tag(2).ContextSpecific()) {
		return c, false
	}
	if tbs.Empty() {
		return c, true
	}
	if !tbs.ReadASN1(&v, asn1.Tag(3).ContextSpecific().Constructed()) {
		return c, false
	}
	c.extensions, ok = pkix.ReadExtensions(&v)
	return c, ok
}

// readAnyTime takes the form of time that the year does not allow, too.
func readAnyTime(s *cryptobyte.String) (time.Time, bool) {
	if s.PeekASN1Tag(asn1.GeneralizedTime) {
		return pkix.ReadGeneralizedTime(s)
	}
	return pkix.ReadTime(s)
}

func signatureName(a pkix.AlgorithmIdentifier) string {
	if name := alg.SignatureName(a); alg.IsSignature(a) {
		return name
	}
	return oidName(a.OID)
}

// crls shows CertificateLists by their issuer and times.
func crls(l *node, ders [][]byte) {
	for _, d := range ders {
		crl(l.object(""), d)
	}
}

func crl(n *node, d []byte) {
	sum := sha256.Sum256(d)
	defer func() {
		n.num("octets", int64(len(d)))
		n.str("sha256", hex.EncodeToString(sum[:]))
	}()
	s := cryptobyte.String(d)
	var list, tbs, revoked cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !list.ReadASN1(&tbs, asn1.SEQUENCE) ||
		!tbs.SkipOptionalASN1(asn1.INTEGER) {
		n.str("error", "not a readable CRL")
		return
	}
	a, ok := pkix.ReadAlgorithm(&tbs)
	if !ok {
		n.str("error", "not a readable CRL")
		return
	}
	issuer, ok := pkix.ReadName(&tbs)
	if !ok {
		n.str("error", "not a readable CRL")
		return
	}
	n.str("issuer", nameText(issuer))
	n.str("signatureAlgorithm", signatureName(a))
	if t, ok := readAnyTime(&tbs); ok {
		n.time("thisUpdate", t)
	}
	if tbs.PeekASN1Tag(asn1.UTCTime) || tbs.PeekASN1Tag(asn1.GeneralizedTime) {
		if t, ok := readAnyTime(&tbs); ok {
			n.time("nextUpdate", t)
		}
	}
	entries := int64(0)
	if tbs.PeekASN1Tag(asn1.SEQUENCE) && tbs.ReadASN1(&revoked, asn1.SEQUENCE) {
		for !revoked.Empty() && revoked.SkipASN1(asn1.SEQUENCE) {
			entries++
		}
	}
	n.num("revokedCertificates", entries)
}
