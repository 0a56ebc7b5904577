package cmptext

import (
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

func certReqMsg(n *node, m *crmf.CertReqMsg) {
	n.big("certReqId", m.CertReq.CertReqID)
	template(n.object("certTemplate"), &m.CertReq.Template)
	if len(m.CertReq.Controls) > 0 {
		l := n.list("controls")
		for _, a := range m.CertReq.Controls {
			control(l.object(""), a)
		}
	}
	popo(n, m.POPO)
	if len(m.RegInfo) > 0 {
		l := n.list("regInfo")
		for _, a := range m.RegInfo {
			control(l.object(""), a)
		}
	}
}

func template(n *node, t *crmf.CertTemplate) {
	if t.Version != nil {
		n.num("version", int64(*t.Version))
	}
	if t.SerialNumber != nil {
		n.str("serialNumber", serial(t.SerialNumber))
	}
	if !t.SigningAlg.IsZero() {
		algorithm(n, "signingAlg", t.SigningAlg)
	}
	if t.Issuer != nil {
		n.str("issuer", nameText(t.Issuer))
	}
	if t.Validity != nil {
		v := n.object("validity")
		v.time("notBefore", t.Validity.NotBefore)
		v.time("notAfter", t.Validity.NotAfter)
	}
	if t.Subject != nil {
		n.str("subject", nameText(t.Subject))
	}
	if t.PublicKey != nil {
		publicKey(n, "publicKey", t.PublicKey)
	}
	if t.IssuerUID != nil {
		n.hex("issuerUID", t.IssuerUID)
	}
	if t.SubjectUID != nil {
		n.hex("subjectUID", t.SubjectUID)
	}
	if len(t.Extensions) > 0 {
		extensions(n.list("extensions"), t.Extensions)
	}
}

// publicKey shows the type and the key identifier.
func publicKey(n *node, key string, k pkix.SubjectPublicKeyInfo) {
	c := n.object(key)
	typ := keyType(k)
	c.str("type", typ)
	if len(k.KeyBits()) == 0 {
		c.bool("empty", true)
		c.line = typ + ", no key: the CA is asked to make one"
		return
	}
	c.hex("keyIdentifier", k.KeyID())
	c.line = fmt.Sprintf("%s, key identifier %x", typ, k.KeyID())
}

// keyType names the type, or the algorithm of a key that package alg does not
// read.
func keyType(k pkix.SubjectPublicKeyInfo) string {
	if pub, err := alg.ParsePublicKey(k); err == nil {
		if t := alg.KeyType(pub); t != "" {
			return t
		}
	}
	if a := k.Algorithm(); alg.IsSignature(a) {
		return alg.SignatureName(a) // of ML-DSA, SLH-DSA and composites it is that of the key
	}
	return oidName(k.Algorithm().OID)
}

func popo(n *node, p crmf.ProofOfPossession) {
	switch p := p.(type) {
	case nil:
		n.str("popo", "absent")
	case crmf.RAVerified:
		n.str("popo", "raVerified")
	case *crmf.POPOSigningKey:
		c := n.object("popo")
		c.str("kind", "signature")
		algorithm(c, "algorithmIdentifier", p.Algorithm)
		if in := p.Input; in != nil {
			i := c.object("poposkInput")
			if in.Sender != nil {
				i.str("sender", generalName(in.Sender))
			}
			if in.PublicKeyMAC != nil {
				algorithm(i, "publicKeyMAC", in.PublicKeyMAC.Algorithm)
			}
			publicKey(i, "publicKey", in.PublicKey)
		}
		c.num("signatureOctets", int64(len(p.Signature)))
		recipient(c, p.Algorithm, p.Signature)
	case *crmf.POPOPrivKey:
		c := n.object("popo")
		kind := "keyEncipherment"
		if p.Use == crmf.KeyAgreement {
			kind = "keyAgreement"
		}
		c.str("kind", kind)
		privKeyPOP(c, p)
	default:
		n.str("popo", "of an unknown kind")
	}
}

func privKeyPOP(n *node, p *crmf.POPOPrivKey) {
	switch p.Form {
	case crmf.ThisMessage:
		n.num("thisMessageOctets", int64(len(p.Bits)))
	case crmf.SubsequentMessage:
		n.str("subsequentMessage", pick(p.Subsequent, "encrCert", "challengeResp"))
	case crmf.DHMAC:
		n.hex("dhMAC", p.Bits)
	case crmf.AgreeMAC:
		if p.MAC != nil {
			algorithm(n, "agreeMAC", p.MAC.Algorithm)
			recipient(n, p.MAC.Algorithm, p.MAC.Value)
		}
	case crmf.EncryptedKeyPOP:
		enveloped(n, "encryptedKey", p.Enveloped)
	}
}

// control shows a control or a regInfo entry.
func control(n *node, a crmf.Attribute) {
	n.str("type", oidName(a.Type))
	var err error
	switch a.Type {
	case crmf.OIDRegToken, crmf.OIDAuthenticator:
		n.str("value", fmt.Sprintf("a secret of %d octets, not shown", max(len(a.Value)-2, 0)))
	case crmf.OIDOldCertID:
		var id crmf.CertID
		if id, err = a.OldCertID(); err == nil {
			certID(n, "value", &id)
		}
	case crmf.OIDProtocolEncrKey:
		var k pkix.SubjectPublicKeyInfo
		if k, err = a.ProtocolEncrKey(); err == nil {
			publicKey(n, "value", k)
		}
	case crmf.OIDPKIPublicationInfo:
		var p crmf.PKIPublicationInfo
		if p, err = a.PKIPublicationInfo(); err == nil {
			publicationInfo(n.object("value"), &p)
		}
	case crmf.OIDPKIArchiveOptions:
		var o crmf.PKIArchiveOptions
		if o, err = a.PKIArchiveOptions(); err == nil {
			archiveOptions(n, &o)
		}
	case crmf.OIDAlgID:
		var id pkix.AlgorithmIdentifier
		if id, err = a.AlgID(); err == nil {
			algorithm(n, "value", id)
		}
	case crmf.OIDRSAKeyLen:
		var bits int
		if bits, err = a.RSAKeyLen(); err == nil {
			n.num("value", int64(bits))
		}
	case crmf.OIDUTF8Pairs:
		var pairs []crmf.Pair
		if pairs, err = a.UTF8Pairs(); err == nil {
			l := n.list("value")
			for _, p := range pairs {
				l.free("", p.Name+"="+p.Value)
			}
		}
	case crmf.OIDCertReq:
		var r crmf.CertRequest
		if r, err = a.CertReqInfo(); err == nil {
			template(n.object("value"), &r.Template)
		}
	default:
		n.hex("value", a.Value)
	}
	if err != nil {
		n.str("error", err.Error())
		n.hex("value", a.Value)
	}
}

func archiveOptions(n *node, o *crmf.PKIArchiveOptions) {
	switch {
	case o.EncryptedPrivKey != nil:
		encryptedKey(n, "encryptedPrivKey", o.EncryptedPrivKey)
	case o.KeyGenParameters != nil:
		n.hex("keyGenParameters", o.KeyGenParameters)
	case o.ArchiveRemGenPriv != nil:
		n.bool("archiveRemGenPrivKey", *o.ArchiveRemGenPriv)
	}
}

func encryptedKey(n *node, key string, k *crmf.EncryptedKey) {
	if k.Value == nil {
		enveloped(n, key, k.Enveloped)
		return
	}
	c := n.object(key)
	c.str("kind", "encryptedValue")
	if !k.Value.IntendedAlg.IsZero() {
		algorithm(c, "intendedAlg", k.Value.IntendedAlg)
	}
	if !k.Value.SymmAlg.IsZero() {
		algorithm(c, "symmAlg", k.Value.SymmAlg)
	}
	if !k.Value.KeyAlg.IsZero() {
		algorithm(c, "keyAlg", k.Value.KeyAlg)
	}
	c.num("encValueOctets", int64(len(k.Value.EncValue)))
}

func pkcs10Request(n *node, r *pkcs10.CertificationRequest) {
	n.str("subject", nameText(r.Subject))
	publicKey(n, "subjectPKInfo", r.PublicKey)
	if list, err := r.RequestedExtensions(); err != nil {
		n.str("extensionRequest", "malformed: "+err.Error())
	} else if len(list) > 0 {
		extensions(n.list("extensionRequest"), list)
	}
	if len(r.Attributes) > 0 {
		l := n.list("attributes")
		for _, a := range r.Attributes {
			l.str("", oidName(a.Type))
		}
	}
	algorithm(n, "signatureAlgorithm", r.Algorithm)
	n.num("signatureOctets", int64(len(r.Signature)))
	recipient(n, r.Algorithm, r.Signature)
}

// recipient shows which certificate a proof by static ECDH is for, where it says so.
func recipient(n *node, a pkix.AlgorithmIdentifier, value []byte) {
	if !alg.IsStaticPOP(a) {
		return
	}
	if v, err := alg.ParseDHSigStatic(value); err != nil {
		n.str("recipient", err.Error())
	} else if v.Issuer != nil {
		certID(n, "recipient", &crmf.CertID{Issuer: pkix.NewDirectoryName(v.Issuer), SerialNumber: v.Serial})
	}
}
