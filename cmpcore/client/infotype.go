package client

import (
	"fmt"
	"strings"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// infoTypes are the types that a genm can ask for or say (RFC 9810 section
// 5.3.19).
var infoTypes = []pkix.OID{
	cmp.OIDCAProtEncCert, cmp.OIDSignKeyPairTypes, cmp.OIDEncKeyPairTypes, cmp.OIDPreferredSymmAlg,
	cmp.OIDCAKeyUpdateInfo, cmp.OIDCurrentCRL, cmp.OIDUnsupportedOIDs, cmp.OIDKeyPairParamReq,
	cmp.OIDKeyPairParamRep, cmp.OIDRevPassphrase, cmp.OIDImplicitConfirm, cmp.OIDConfirmWaitTime,
	cmp.OIDOrigPKIMessage, cmp.OIDSuppLangTags, cmp.OIDCACerts, cmp.OIDRootCAKeyUpdate,
	cmp.OIDCertReqTemplate, cmp.OIDRootCACert, cmp.OIDCertProfile, cmp.OIDCRLStatusList,
	cmp.OIDCRLs, cmp.OIDKEMCiphertextInfo,
}

// InfoType finds a type for [Options.Infos] by its name in RFC 9810, such as
// "caCerts", in any case, or its dotted form. Most questions have no value; the
// New functions of package cmp make those that have one.
func InfoType(name string) (pkix.OID, error) {
	for _, o := range infoTypes {
		if strings.EqualFold(cmp.InfoName(o), name) {
			return o, nil
		}
	}
	o, err := pkix.ParseOID(name)
	if err != nil {
		return "", fmt.Errorf("%w: %.40q is neither a type of information, such as %q, nor an object identifier", ErrOptions, name, "caCerts")
	}
	return o, nil
}

// InfoTypes lists the names that [InfoType] knows.
func InfoTypes() []string {
	var names []string
	for _, o := range infoTypes {
		names = append(names, cmp.InfoName(o))
	}
	return names
}
