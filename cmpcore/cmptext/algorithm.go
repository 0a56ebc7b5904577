package cmptext

import (
	"fmt"
	"strconv"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidPBM    = pkix.MustOID("1.2.840.113533.7.66.13")
	oidPBMAC1 = pkix.MustOID("1.2.840.113549.1.5.14")
	oidPBKDF2 = pkix.MustOID("1.2.840.113549.1.5.12")
	oidDHBM   = pkix.MustOID("1.2.840.113533.7.66.30")
	oidKEMBM  = pkix.MustOID("1.2.840.113533.7.66.16")
	oidEC     = pkix.MustOID("1.2.840.10045.2.1")
)

// names are words for identifiers that have no name in another package.
var names = map[pkix.OID]string{
	oidPBM: "PBM", oidPBMAC1: "PBMAC1", oidPBKDF2: "PBKDF2",

	oidDHBM: "DHBasedMac", oidKEMBM: "KemBasedMac",

	pkix.MustOID("1.3.6.1.5.5.7.6.25"): "ecdhPop-static-sha224-hmac-sha224",
	pkix.MustOID("1.3.6.1.5.5.7.6.26"): "ecdhPop-static-sha256-hmac-sha256",
	pkix.MustOID("1.3.6.1.5.5.7.6.27"): "ecdhPop-static-sha384-hmac-sha384",
	pkix.MustOID("1.3.6.1.5.5.7.6.28"): "ecdhPop-static-sha512-hmac-sha512",

	pkix.MustOID("1.3.14.3.2.26"):              "sha1",
	pkix.MustOID("2.16.840.1.101.3.4.2.4"):     "sha224",
	pkix.MustOID("2.16.840.1.101.3.4.2.1"):     "sha256",
	pkix.MustOID("2.16.840.1.101.3.4.2.2"):     "sha384",
	pkix.MustOID("2.16.840.1.101.3.4.2.3"):     "sha512",
	pkix.MustOID("2.16.840.1.101.3.4.2.5"):     "sha512-224",
	pkix.MustOID("2.16.840.1.101.3.4.2.6"):     "sha512-256",
	pkix.MustOID("2.16.840.1.101.3.4.2.7"):     "sha3-224",
	pkix.MustOID("2.16.840.1.101.3.4.2.8"):     "sha3-256",
	pkix.MustOID("2.16.840.1.101.3.4.2.9"):     "sha3-384",
	pkix.MustOID("2.16.840.1.101.3.4.2.10"):    "sha3-512",
	pkix.MustOID("2.16.840.1.101.3.4.2.11"):    "shake128",
	pkix.MustOID("2.16.840.1.101.3.4.2.12"):    "shake256",
	pkix.MustOID("2.16.840.1.101.3.4.2.19"):    "kmac128",
	pkix.MustOID("2.16.840.1.101.3.4.2.20"):    "kmac256",
	pkix.MustOID("1.2.840.113549.1.9.16.3.28"): "hkdf-sha256",
	pkix.MustOID("1.2.840.113549.1.9.16.3.29"): "hkdf-sha384",
	pkix.MustOID("1.2.840.113549.1.9.16.3.30"): "hkdf-sha512",
	pkix.MustOID("1.3.133.16.840.9.44.1.1"):    "kdf2",
	pkix.MustOID("1.3.133.16.840.9.44.1.2"):    "kdf3",
	pkix.MustOID("1.0.18033.2.2.4"):            "rsa-kem",
	pkix.MustOID("1.2.840.113549.2.7"):         "hmac-sha1",
	pkix.MustOID("1.3.6.1.5.5.8.1.2"):          "hmac-sha1",
	pkix.MustOID("1.2.840.113549.2.8"):         "hmac-sha224",
	pkix.MustOID("1.2.840.113549.2.9"):         "hmac-sha256",
	pkix.MustOID("1.2.840.113549.2.10"):        "hmac-sha384",
	pkix.MustOID("1.2.840.113549.2.11"):        "hmac-sha512",
	pkix.MustOID("1.2.840.113549.2.12"):        "hmac-sha512-224",
	pkix.MustOID("1.2.840.113549.2.13"):        "hmac-sha512-256",
	pkix.MustOID("2.16.840.1.101.3.4.2.13"):    "hmac-sha3-224",
	pkix.MustOID("2.16.840.1.101.3.4.2.14"):    "hmac-sha3-256",
	pkix.MustOID("2.16.840.1.101.3.4.2.15"):    "hmac-sha3-384",
	pkix.MustOID("2.16.840.1.101.3.4.2.16"):    "hmac-sha3-512",

	pkix.MustOID("1.2.840.113549.1.1.1"):       "rsaEncryption",
	pkix.MustOID("1.2.840.113549.1.1.10"):      "rsassaPss",
	pkix.MustOID("1.2.840.113549.1.1.7"):       "rsaesOaep",
	pkix.MustOID("1.2.840.113549.1.9.16.3.14"): "rsa-kem-key",
	oidEC:                                      "ecPublicKey",
	pkix.MustOID("1.2.840.10045.3.1.7"):        "p-256",
	pkix.MustOID("1.3.132.0.34"):               "p-384",
	pkix.MustOID("1.3.132.0.35"):               "p-521",
	pkix.MustOID("1.3.132.0.33"):               "p-224",
	pkix.MustOID("1.3.101.110"):                "x25519",
	pkix.MustOID("1.3.101.111"):                "x448",
	pkix.MustOID("1.3.101.112"):                "ed25519",
	pkix.MustOID("1.3.101.113"):                "ed448",
	pkix.MustOID("2.16.840.1.101.3.4.3.17"):    "ml-dsa-44",
	pkix.MustOID("2.16.840.1.101.3.4.3.18"):    "ml-dsa-65",
	pkix.MustOID("2.16.840.1.101.3.4.3.19"):    "ml-dsa-87",
	pkix.MustOID("2.16.840.1.101.3.4.4.1"):     "ml-kem-512",
	pkix.MustOID("2.16.840.1.101.3.4.4.2"):     "ml-kem-768",
	pkix.MustOID("2.16.840.1.101.3.4.4.3"):     "ml-kem-1024",
	pkix.MustOID("1.2.840.113549.1.9.16.3.9"):  "pwri-kek",
	pkix.MustOID("1.3.132.1.11.0"):             "ecdh-sha224kdf",
	pkix.MustOID("1.3.132.1.11.1"):             "ecdh-sha256kdf",
	pkix.MustOID("1.3.132.1.11.2"):             "ecdh-sha384kdf",
	pkix.MustOID("1.3.132.1.11.3"):             "ecdh-sha512kdf",
	pkix.MustOID("1.2.840.113549.1.9.16.3.19"): "ecdh-hkdf-sha256",
	pkix.MustOID("1.2.840.113549.1.9.16.3.20"): "ecdh-hkdf-sha384",
	pkix.MustOID("1.2.840.113549.1.9.16.3.21"): "ecdh-hkdf-sha512",
	pkix.MustOID("2.16.840.1.101.3.4.1.2"):     "aes128-cbc",
	pkix.MustOID("2.16.840.1.101.3.4.1.22"):    "aes192-cbc",
	pkix.MustOID("2.16.840.1.101.3.4.1.42"):    "aes256-cbc",
	pkix.MustOID("2.16.840.1.101.3.4.1.6"):     "aes128-gcm",
	pkix.MustOID("2.16.840.1.101.3.4.1.26"):    "aes192-gcm",
	pkix.MustOID("2.16.840.1.101.3.4.1.46"):    "aes256-gcm",
	pkix.MustOID("2.16.840.1.101.3.4.1.5"):     "aes128-wrap",
	pkix.MustOID("2.16.840.1.101.3.4.1.25"):    "aes192-wrap",
	pkix.MustOID("2.16.840.1.101.3.4.1.45"):    "aes256-wrap",
	pkix.MustOID("1.2.840.113549.3.7"):         "des-ede3-cbc",
	pkix.MustOID("1.2.840.113549.1.7.1"):       "data",
	pkix.MustOID("1.2.840.113549.1.7.2"):       "signedData",
	pkix.MustOID("1.2.840.113549.1.7.3"):       "envelopedData",
	pkix.MustOID("1.2.840.113549.1.9.16.1.23"): "authEnvelopedData",
	pkix.MustOID("1.2.840.113549.1.9.16.1.21"): "encKeyWithID",
	pkix.MustOID("2.16.840.1.101.2.1.2.78.5"):  "asymmetricKeyPackage",

	crmf.OIDRegToken: "regToken", crmf.OIDAuthenticator: "authenticator",
	crmf.OIDPKIPublicationInfo: "pkiPublicationInfo", crmf.OIDPKIArchiveOptions: "pkiArchiveOptions",
	crmf.OIDOldCertID: "oldCertID", crmf.OIDProtocolEncrKey: "protocolEncrKey",
	crmf.OIDAltCertTemplate: "altCertTemplate", crmf.OIDAlgID: "algId", crmf.OIDRSAKeyLen: "rsaKeyLen",
	crmf.OIDUTF8Pairs: "utf8Pairs", crmf.OIDCertReq: "certReq",

	pkix.OIDSubjectKeyID: "subjectKeyIdentifier", pkix.OIDKeyUsage: "keyUsage",
	pkix.OIDSubjectAltName: "subjectAltName", pkix.OIDIssuerAltName: "issuerAltName",
	pkix.OIDBasicConstraints: "basicConstraints", pkix.OIDCRLNumber: "cRLNumber",
	pkix.OIDReasonCode: "reasonCode", pkix.OIDInvalidityDate: "invalidityDate",
	pkix.OIDNameConstraints: "nameConstraints", pkix.OIDCRLDistributionPoints: "cRLDistributionPoints",
	pkix.OIDCertificatePolicies: "certificatePolicies", pkix.OIDPolicyMappings: "policyMappings",
	pkix.OIDAuthorityKeyID: "authorityKeyIdentifier", pkix.OIDPolicyConstraints: "policyConstraints",
	pkix.OIDExtKeyUsage: "extKeyUsage", pkix.OIDInhibitAnyPolicy: "inhibitAnyPolicy",
	pkix.OIDAuthorityInfoAccess: "authorityInfoAccess", pkix.OIDTLSFeature: "tlsFeature",

	pkix.MustOID("1.2.840.113549.1.9.14"): "extensionRequest",
	pkix.MustOID("1.2.840.113549.1.9.7"):  "challengePassword",
	pkix.MustOID("1.2.840.113549.1.9.2"):  "unstructuredName",
}

// oidName is a word for an identifier, or its dotted form.
func oidName(o pkix.OID) string {
	if name, ok := names[o]; ok {
		return name
	}
	return o.String()
}

// algorithm shows an AlgorithmIdentifier with its parameters.
func algorithm(n *node, key string, a pkix.AlgorithmIdentifier) {
	c := n.object(key)
	var name string
	switch {
	case a.OID == oidPBM || a.OID == oidPBMAC1:
		name = oidName(a.OID)
	case alg.IsSignature(a):
		name = alg.SignatureName(a)
	default:
		name = oidName(a.OID)
	}
	c.str("name", name)
	if dotted := a.OID.String(); dotted != name {
		c.str("oid", dotted)
	}
	c.line = name
	switch a.OID {
	case oidPBM:
		if pbm(c, a.Parameters) {
			return
		}
	case oidPBMAC1:
		if pbmac1(c, a.Parameters) {
			return
		}
	case oidDHBM:
		if dhbm(c, a.Parameters) {
			return
		}
	case oidKEMBM:
		if kembm(c, a.Parameters) {
			return
		}
	case oidEC:
		p := cryptobyte.String(a.Parameters)
		if o, ok := pkix.ReadOID(&p); ok && p.Empty() {
			c.str("curve", oidName(o))
			c.line += ", curve " + oidName(o)
			return
		}
	}
	if a.Parameters == nil || string(a.Parameters) == string(pkix.Null) || alg.IsSignature(a) && name != a.OID.String() {
		return
	}
	c.hex("parameters", a.Parameters)
	c.line += ", parameters " + n.t.hex(a.Parameters)
}

// pbm reads PBMParameter (RFC 9810 section 5.1.3.1), whatever it asks for.
func pbm(n *node, params []byte) bool {
	s := cryptobyte.String(params)
	var seq, salt cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() || !seq.ReadASN1(&salt, asn1.OCTET_STRING) {
		return false
	}
	owf, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return false
	}
	count, ok := pkix.ReadInteger(&seq, asn1.INTEGER)
	if !ok {
		return false
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return false
	}
	n.hex("salt", salt)
	n.str("owf", oidName(owf.OID))
	n.big("iterationCount", count)
	n.str("mac", oidName(mac.OID))
	n.line = fmt.Sprintf("PBM, salt %s, owf %s, %s iterations, mac %s", n.t.hex(salt), oidName(owf.OID), decimal(count), oidName(mac.OID))
	return true
}

// pbmac1 reads PBMAC1-params with PBKDF2 (RFC 8018 appendix A).
func pbmac1(n *node, params []byte) bool {
	s := cryptobyte.String(params)
	var seq, kdf, salt cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	kdfAlg, ok := pkix.ReadAlgorithm(&seq)
	if !ok || kdfAlg.OID != oidPBKDF2 {
		return false
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	p := cryptobyte.String(kdfAlg.Parameters)
	if !ok || !p.ReadASN1(&kdf, asn1.SEQUENCE) || !kdf.ReadASN1(&salt, asn1.OCTET_STRING) {
		return false
	}
	count, ok := pkix.ReadInteger(&kdf, asn1.INTEGER)
	if !ok {
		return false
	}
	prf, keyLen := "hmac-sha1", ""
	if kdf.PeekASN1Tag(asn1.INTEGER) {
		v, ok := pkix.ReadInt(&kdf, asn1.INTEGER)
		if !ok {
			return false
		}
		keyLen = strconv.FormatInt(v, 10)
	}
	if !kdf.Empty() {
		a, ok := pkix.ReadAlgorithm(&kdf)
		if !ok {
			return false
		}
		prf = oidName(a.OID)
	}
	n.hex("salt", salt)
	n.str("prf", prf)
	n.big("iterationCount", count)
	n.line = fmt.Sprintf("PBMAC1, salt %s, prf %s, %s iterations, mac %s", n.t.hex(salt), prf, decimal(count), oidName(mac.OID))
	if keyLen != "" {
		n.str("keyLength", keyLen)
		n.line += ", key of " + keyLen + " octets"
	}
	n.str("mac", oidName(mac.OID))
	return true
}

// dhbm reads DHBMParameter (RFC 9810 section 5.1.3.2).
func dhbm(n *node, params []byte) bool {
	s := cryptobyte.String(params)
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	owf, ok := pkix.ReadAlgorithm(&seq)
	if !ok {
		return false
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return false
	}
	n.str("owf", oidName(owf.OID))
	n.str("mac", oidName(mac.OID))
	n.line = fmt.Sprintf("DHBasedMac, owf %s, mac %s", oidName(owf.OID), oidName(mac.OID))
	return true
}

// kembm reads KemBMParameter (RFC 9810 section 5.1.3.4).
func kembm(n *node, params []byte) bool {
	s := cryptobyte.String(params)
	var seq, context cryptobyte.String
	var has bool
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	kdf, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.ReadOptionalASN1(&context, &has, asn1.Tag(0).ContextSpecific()) {
		return false
	}
	size, ok := pkix.ReadInteger(&seq, asn1.INTEGER)
	if !ok {
		return false
	}
	mac, ok := pkix.ReadAlgorithm(&seq)
	if !ok || !seq.Empty() {
		return false
	}
	n.str("kdf", oidName(kdf.OID))
	n.line = fmt.Sprintf("KemBasedMac, kdf %s, key of %s octets, mac %s", oidName(kdf.OID), decimal(size), oidName(mac.OID))
	if has {
		n.hex("kemContext", context)
		n.line += ", context " + n.t.hex(context)
	}
	n.big("length", size)
	n.str("mac", oidName(mac.OID))
	return true
}

// enveloped shows the content type and the encryption of EnvelopedData (RFC
// 5652 section 6.1), and for whom it is: of one that cannot be read as a whole,
// only by what technique.
func enveloped(n *node, key string, der []byte) {
	c := n.object(key)
	c.str("kind", "envelopedData")
	c.num("octets", int64(len(der)))
	s := cryptobyte.String(der)
	var seq, recipients, content cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) || !seq.SkipASN1(asn1.INTEGER) ||
		!seq.SkipOptionalASN1(asn1.Tag(0).ContextSpecific().Constructed()) ||
		!seq.ReadASN1(&recipients, asn1.SET) || !seq.ReadASN1(&content, asn1.SEQUENCE) {
		return
	}
	l := c.list("recipients")
	var localKeyID []byte
	if e, err := cms.ParseEnvelopedData(der); err == nil {
		for _, r := range e.Recipients() {
			l.str("", l.recipient(&r))
		}
		recipients, localKeyID = nil, e.LocalKeyID
	}
	for !recipients.Empty() {
		var e cryptobyte.String
		var tag asn1.Tag
		if !recipients.ReadAnyASN1(&e, &tag) {
			return
		}
		l.str("", recipientKind(tag, e))
	}
	if typ, ok := pkix.ReadOID(&content); ok {
		c.str("contentType", oidName(typ))
	}
	if a, ok := pkix.ReadAlgorithm(&content); ok {
		algorithm(c, "contentEncryptionAlgorithm", a)
	}
	if len(localKeyID) > 0 {
		c.hex("localKeyId", localKeyID)
	}
}

// recipient tells how a recipient gets the key, who it is, and the algorithm.
func (n *node) recipient(r *cms.RecipientInfo) string {
	line := r.Technique.String()
	switch {
	case r.ID.KeyID != nil:
		line += ", key identifier " + n.t.hex(r.ID.KeyID)
	case r.ID.Serial != nil:
		line += ", serial " + serial(r.ID.Serial) + ", issuer " + n.t.cut(generalName(pkix.NewDirectoryName(r.ID.Issuer)))
	}
	if !r.Algorithm.IsZero() {
		line += ", " + oidName(r.Algorithm.OID)
	}
	return line
}

func recipientKind(tag asn1.Tag, e cryptobyte.String) string {
	switch tag {
	case asn1.SEQUENCE:
		return "ktri"
	case asn1.Tag(1).ContextSpecific().Constructed():
		return "kari"
	case asn1.Tag(2).ContextSpecific().Constructed():
		return "kekri"
	case asn1.Tag(3).ContextSpecific().Constructed():
		return "pwri"
	case asn1.Tag(4).ContextSpecific().Constructed():
		if o, ok := pkix.ReadOID(&e); ok {
			if o == pkix.MustOID("1.2.840.113549.1.9.16.13.3") {
				return "kemri"
			}
			return "ori " + o.String()
		}
	}
	return "unknown"
}
