package cmpcore

import (
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// checkCrossMessage: another CA asks for one certificate a message, and signs it
// (RFC 9810 appendix D.6). Who must sign cannot have guessed a secret, and what
// a certificate for a CA can do is worth that.
func (x *exchange) checkCrossMessage(b *cmp.CertReqMessages) error {
	switch {
	case x.who.secret != nil:
		return refuse(cmp.WrongIntegrity, "a ccr message must be signed")
	case len(b.Requests) != 1:
		return refuse(cmp.BadRequest, "a ccr message must have exactly one request").because("%d", len(b.Requests))
	}
	return nil
}

// checkCrossRequest wants the request of another CA to be complete (RFC 9810
// section 6.6.1, note 1): nothing of it is left to us to make up.
func (x *exchange) checkCrossRequest(it *certItem) error {
	t := &it.req.CertReq.Template
	switch {
	case it.central:
		return refuse(cmp.BadCertTemplate, "the template of a ccr must have a public key: CAs make their own (RFC 9810 section 5.3.11)")
	case t.Subject == nil:
		return refuse(cmp.BadCertTemplate, "the template of a ccr must have a subject")
	case t.Validity == nil || t.Validity.NotBefore.IsZero() || t.Validity.NotAfter.IsZero():
		return refuse(cmp.BadCertTemplate, "the template of a ccr must have both ends of the validity")
	}
	e, ok := pkix.FindExtension(t.Extensions, pkix.OIDBasicConstraints)
	if !ok {
		return refuse(cmp.BadCertTemplate, "the template of a ccr must have basicConstraints")
	}
	if bc, ok := pkix.ParseBasicConstraints(e.Value); !ok || !bc.CA {
		return refuse(cmp.BadCertTemplate, "the basicConstraints of a ccr must be those of a CA")
	}
	if it.envelope != nil {
		return refuse(cmp.BadRequest, "the key of a CA is not given away (RFC 9810 section 5.3.11)")
	}
	if p, ok := it.req.POPO.(*crmf.POPOSigningKey); !ok || alg.IsStaticDH(p.Algorithm) {
		return refuse(cmp.BadPOP, "a ccr needs a proof of possession by signature")
	}
	return nil
}

// checkSigningAlg: RFC 4211 section 5 wants no signingAlg, RFC 9810 appendix D.6
// has it in a ccr. There it may be the one that we sign with.
func (x *exchange) checkSigningAlg(kind cmp.BodyType, t *crmf.CertTemplate) error {
	if t.SigningAlg.IsZero() {
		return nil
	}
	if kind != cmp.TypeCCR {
		return refuse(cmp.BadCertTemplate, "the template must not have a signing algorithm")
	}
	if want := alg.SignatureName(t.SigningAlg); want == "" || want != alg.SignatureName(x.cfg.Authority.Issuer.SignatureAlgorithm()) {
		return refuse(cmp.BadAlg, "this CA signs certificates with another algorithm than the template has").
			because("%s", t.SigningAlg.OID)
	}
	return nil
}

// checkCrossRule: what is certified for a CA must be a certificate of a CA, for
// somebody who signs.
func (c *Config) checkCrossRule(r *Rule) error {
	if r.Certificate == nil {
		return fmt.Errorf("rule %s: ccr is signed, and the rule is about holders of secrets", r.Name)
	}
	for _, p := range r.Profiles {
		if c.Profiles[p] != nil && !c.Profiles[p].IsCA() {
			return fmt.Errorf("rule %s: ccr asks for certificates of CAs, and profile %s makes none", r.Name, p)
		}
	}
	return nil
}
