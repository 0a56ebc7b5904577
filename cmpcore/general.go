package cmpcore

import (
	"slices"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// general answers genm (RFC 9810 section 5.3.19): one answer for each
// question in order, and at the end the types that are not known here.
func (x *exchange) general(b *cmp.GenMsg) error {
	if err := x.checkFirst(); err != nil {
		return err
	}
	rule, err := x.rule(cmp.TypeGenM)
	if err != nil {
		return err
	}
	switch n := len(b.Infos); {
	case n > x.policy.maxRequests():
		return refuse(cmp.BadRequest, "the message asks too much").because("%d", n)
	case x.policy.Lightweight && n != 1:
		return refuse(cmp.BadRequest, "the message must ask exactly one thing")
	}
	asked := b.Infos
	if len(asked) == 0 {
		asked = allRelevant
	}
	rep := &cmp.GenMsg{Kind: cmp.TypeGenP}
	var unknown []pkix.OID
	for i, q := range asked {
		// A CRL may be large; a hundred times the same one is no answer.
		if slices.ContainsFunc(asked[:i], func(o cmp.InfoTypeAndValue) bool { return o.Type == q.Type }) {
			return refuse(cmp.BadRequest, "the message asks the same thing twice").because("%s", cmp.InfoName(q.Type))
		}
		answer, ok, err := x.inform(q)
		if err != nil {
			if f, is := asFailure(err); is {
				f.rule = rule.Name
			}
			return err
		}
		if !ok {
			unknown = append(unknown, q.Type)
			continue
		}
		if answer.Value != nil || len(b.Infos) > 0 {
			rep.Infos = append(rep.Infos, answer)
		}
	}
	if len(unknown) > 0 && len(b.Infos) > 0 {
		info, err := cmp.NewUnsupportedOIDs(unknown)
		if err != nil {
			return err
		}
		rep.Infos = append(rep.Infos, info)
	}
	x.out.Disposition = Answered
	if x.left != nil {
		// So that the message, wrapped anew, does not bring an old passphrase back.
		t := x.newTransaction(x.msg)
		t.endWaiting(Finished)
		x.out.Transaction = t
	}
	x.audit("informed", nil)
	return x.reply(rep, replyOptions{})
}

// allRelevant is what an empty genm asks: "all relevant information" (RFC 9810
// appendix D.5). Of these, the answer has what there is.
var allRelevant = []cmp.InfoTypeAndValue{
	{Type: cmp.OIDCACerts}, {Type: cmp.OIDCAProtEncCert}, {Type: cmp.OIDSignKeyPairTypes}, {Type: cmp.OIDEncKeyPairTypes},
	{Type: cmp.OIDPreferredSymmAlg}, {Type: cmp.OIDCurrentCRL},
}

// inform answers one question. ok is false for a type that is not served.
func (x *exchange) inform(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	switch q.Type {
	case cmp.OIDCACerts:
		return served(cmp.NewCACerts(x.caChain))
	case cmp.OIDRootCACert:
		return x.rootUpdate(q)
	case cmp.OIDCAKeyUpdateInfo:
		return x.keyUpdateInfo()
	case cmp.OIDCAProtEncCert:
		if x.cfg.Encryption == nil {
			return cmp.InfoTypeAndValue{Type: cmp.OIDCAProtEncCert}, true, nil
		}
		return served(cmp.NewCAProtEncCert(x.cfg.Encryption.Certificate))
	case cmp.OIDPreferredSymmAlg:
		if x.cfg.Encryption == nil || x.cfg.Encryption.Algorithm.IsZero() {
			return a, false, nil
		}
		return served(cmp.NewPreferredSymmAlg(x.cfg.Encryption.Algorithm))
	case cmp.OIDCertReqTemplate:
		return x.requestTemplate()
	case cmp.OIDEncKeyPairTypes:
		types, err := x.keyAlgorithms((*issuance.Profile).EncryptionKeyTypes)
		if err != nil || len(types) == 0 {
			return a, false, err
		}
		return served(cmp.NewEncKeyPairTypes(types))
	case cmp.OIDKeyPairParamReq:
		return x.keyParameters(q)
	case cmp.OIDSuppLangTags:
		return language(q)
	case cmp.OIDSignKeyPairTypes:
		types, err := x.keyAlgorithms((*issuance.Profile).KeyTypes)
		if err != nil || len(types) == 0 {
			return a, false, err // an empty list cannot be written
		}
		return served(cmp.NewSignKeyPairTypes(types))
	case cmp.OIDCurrentCRL:
		crl, err := x.view.CRL(x.ctx)
		if err != nil {
			return a, false, err
		}
		if crl == nil {
			return cmp.InfoTypeAndValue{Type: cmp.OIDCurrentCRL}, true, nil
		}
		return served(cmp.NewCurrentCRL(crl.DER))
	case cmp.OIDCRLStatusList:
		return x.newerCRLs(q)
	case cmp.OIDImplicitConfirm:
		if !x.policy.ImplicitConfirm {
			return a, false, nil
		}
		return cmp.NewImplicitConfirm(), true, nil
	case cmp.OIDConfirmWaitTime:
		return served(cmp.NewConfirmWaitTime(x.now.Add(x.policy.ConfirmWait)))
	case cmp.OIDRevPassphrase:
		return x.takeFromBody(q)
	case cmp.OIDCertProfile:
		names, err := x.profilesOf()
		if err != nil || len(names) == 0 {
			return a, false, err
		}
		return served(cmp.NewCertProfile(names))
	}
	return a, false, nil
}

func served(a cmp.InfoTypeAndValue, err error) (cmp.InfoTypeAndValue, bool, error) {
	return a, err == nil, err
}

// newerCRLs answers crlStatusList by crls: our CRL where the one that the
// requester has is older (RFC 9483 section 4.3.4).
func (x *exchange) newerCRLs(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	list, perr := q.CRLStatusList()
	if perr != nil || len(list) == 0 {
		return a, false, refuse(cmp.BadDataFormat, "crlStatusList could not be read")
	}
	crl, err := x.view.CRL(x.ctx)
	if err != nil {
		return a, false, err
	}
	answer := cmp.InfoTypeAndValue{Type: cmp.OIDCRLs}
	for _, s := range list {
		if crl == nil || !x.crlSourceIsOurs(s) || !s.ThisUpdate.IsZero() && !crl.ThisUpdate.Truncate(1e9).After(s.ThisUpdate) {
			continue
		}
		return served(cmp.NewCRLs([][]byte{crl.DER}))
	}
	return answer, true, nil
}

func (x *exchange) crlSourceIsOurs(s cmp.CRLStatus) bool {
	for _, n := range s.Issuer {
		if name, ok := n.DirectoryName(); ok && name.Matches(x.caName) {
			return true
		}
	}
	for _, n := range s.FullName {
		if u, ok := n.Text(); ok && n.Tag() == pkix.TagURI && slices.Contains(x.cfg.CRLDistributionPoints, u) {
			return true
		}
	}
	return false
}
