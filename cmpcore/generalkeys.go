package cmpcore

import (
	"slices"
	"strconv"
	"strings"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// offer is a profile that a rule offers to a requester.
type offer struct {
	profile string
	rule    *Rule
}

// offers lists the profiles that some rule offers to this requester, the first
// one for those who name none.
func (x *exchange) offers() (list []offer, err error) {
	for r, err := range x.rules((*Rule).issues) {
		if err != nil {
			return nil, err
		}
		for _, p := range r.Profiles {
			if !slices.ContainsFunc(list, func(o offer) bool { return o.profile == p }) {
				list = append(list, offer{p, r})
			}
		}
	}
	return list, nil
}

func (x *exchange) profilesOf() (names []string, err error) {
	offers, err := x.offers()
	for _, o := range offers {
		names = append(names, o.profile)
	}
	return names, err
}

// keyTypes narrows what a profile accepts to what the rule does.
func (o offer) keyTypes(types []string) []string {
	if len(o.rule.KeyTypes) == 0 {
		return types
	}
	return slices.DeleteFunc(types, func(kt string) bool { return !slices.Contains(o.rule.KeyTypes, kt) })
}

// keyAlgorithms lists the algorithms of the keys that this requester may have
// certified, out of those that of gives for a profile.
func (x *exchange) keyAlgorithms(of func(*issuance.Profile) []string) (out []pkix.AlgorithmIdentifier, err error) {
	offers, err := x.offers()
	for _, o := range offers {
		for _, kt := range o.keyTypes(of(x.cfg.Profiles[o.profile])) {
			if a, ok := alg.KeyTypeAlgorithm(kt); ok && !slices.ContainsFunc(out, a.Equal) {
				out = append(out, a)
			}
		}
	}
	return out, err
}

// requestTemplate answers certReqTemplate: the template of the profile that
// certProfile in the header names, or else of the first that is offered (RFC
// 9483 section 4.3.3). It has no value for those who may have nothing issued.
func (x *exchange) requestTemplate() (a cmp.InfoTypeAndValue, ok bool, err error) {
	offers, err := x.offers()
	if err != nil {
		return a, false, err
	}
	if info, ok := cmp.FindInfo(x.msg.Header.GeneralInfo, cmp.OIDCertProfile); ok {
		names, err := info.CertProfile()
		if err != nil || len(names) != 1 {
			return a, false, refuse(cmp.BadRequest, "certProfile must have one name")
		}
		offers = slices.DeleteFunc(offers, func(o offer) bool { return o.profile != names[0] })
		if len(offers) == 0 {
			return a, false, refuse(cmp.UnacceptedPolicy, "this certProfile is not offered to this requester").because("%.64q", names[0])
		}
	}
	if len(offers) == 0 {
		return cmp.InfoTypeAndValue{Type: cmp.OIDCertReqTemplate}, true, nil
	}
	p := x.cfg.Profiles[offers[0].profile]
	var t cmp.CertReqTemplate
	t.Template.Subject, t.Template.Extensions = p.Template()
	if t.KeySpec, err = keySpec(offers[0].keyTypes(p.AllKeyTypes())); err != nil {
		return a, false, err
	}
	return served(cmp.NewCertReqTemplate(t))
}

// keySpec has one control for each type of key: rsaKeyLen for RSA, algId for
// all others.
func keySpec(types []string) (spec []crmf.Attribute, err error) {
	for _, kt := range types {
		var c crmf.Attribute
		if bits, isRSA := strings.CutPrefix(kt, "rsa-"); isRSA {
			n, err := strconv.Atoi(bits)
			if err != nil {
				continue // rsa-pss keys have parameters of their own
			}
			if c, err = crmf.NewRSAKeyLen(n); err != nil {
				return nil, err
			}
		} else {
			a, ok := alg.KeyTypeAlgorithm(kt)
			if !ok {
				continue
			}
			if c, err = crmf.NewAlgID(a); err != nil {
				return nil, err
			}
		}
		spec = append(spec, c)
	}
	return spec, nil
}

// keyParameters answers keyPairParamReq by keyPairParamRep: the parameters that
// the first fitting type of key has, without a value where this requester may
// have no key of the algorithm certified (RFC 9810 section 5.3.19.8).
func (x *exchange) keyParameters(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	id, err := q.KeyPairParamReq()
	if err != nil {
		return a, false, refuse(cmp.BadDataFormat, "keyPairParamReq could not be read").because("%v", err)
	}
	list, err := x.keyAlgorithms((*issuance.Profile).AllKeyTypes)
	if err != nil {
		return a, false, err
	}
	for _, k := range list {
		if k.OID == id {
			return served(cmp.NewKeyPairParamRep(k))
		}
	}
	return cmp.InfoTypeAndValue{Type: cmp.OIDKeyPairParamRep}, true, nil
}

// language answers suppLangTags by the first offered tag of English, which our
// texts are in (RFC 9810 section 5.3.19.13).
func language(q cmp.InfoTypeAndValue) (a cmp.InfoTypeAndValue, ok bool, err error) {
	tags, err := q.SuppLangTags()
	if err != nil || len(tags) == 0 {
		return a, false, refuse(cmp.BadDataFormat, "suppLangTags could not be read")
	}
	for _, t := range tags {
		if primary, _, _ := strings.Cut(t, "-"); strings.EqualFold(primary, "en") {
			return served(cmp.NewSuppLangTags([]string{t}))
		}
	}
	return a, false, refuse(cmp.AddInfoNotAvailable, "none of the languages is spoken here, only en")
}
