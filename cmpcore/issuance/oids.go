package issuance

import "cmp-batch/cmpcore/pkix"

// What pkix has no name for.
var (
	oidSubjectDirectoryAttributes = pkix.MustOID("2.5.29.9")
	oidOCSPNoCheck                = pkix.MustOID("1.3.6.1.5.5.7.48.1.5")
	oidAnyPolicy                  = pkix.MustOID("2.5.29.32.0")
	oidUPN                        = pkix.MustOID("1.3.6.1.4.1.311.20.2.3")
)

// extensionOIDs names the extensions that a profile can speak of.
var extensionOIDs = map[string]pkix.OID{
	"subjectDirectoryAttributes": oidSubjectDirectoryAttributes,
	"subjectKeyIdentifier":       pkix.OIDSubjectKeyID,
	"keyUsage":                   pkix.OIDKeyUsage,
	"subjectAltName":             pkix.OIDSubjectAltName,
	"issuerAltName":              pkix.OIDIssuerAltName,
	"basicConstraints":           pkix.OIDBasicConstraints,
	"nameConstraints":            pkix.OIDNameConstraints,
	"cRLDistributionPoints":      pkix.OIDCRLDistributionPoints,
	"certificatePolicies":        pkix.OIDCertificatePolicies,
	"policyMappings":             pkix.OIDPolicyMappings,
	"authorityKeyIdentifier":     pkix.OIDAuthorityKeyID,
	"policyConstraints":          pkix.OIDPolicyConstraints,
	"extKeyUsage":                pkix.OIDExtKeyUsage,
	"freshestCRL":                pkix.OIDFreshestCRL,
	"inhibitAnyPolicy":           pkix.OIDInhibitAnyPolicy,
	"authorityInfoAccess":        pkix.OIDAuthorityInfoAccess,
	"subjectInfoAccess":          pkix.OIDSubjectInfoAccess,
	"tlsFeature":                 pkix.OIDTLSFeature,
	"ocspNoCheck":                oidOCSPNoCheck,
}

func extensionName(o pkix.OID) string {
	for n, x := range extensionOIDs {
		if x == o {
			return n
		}
	}
	return clip(o.String())
}

// ownRule says, for the extensions that have a place of their own in a profile
// or are the CA's alone, why they cannot be listed.
var ownRule = map[pkix.OID]string{
	pkix.OIDSubjectAltName:   "it is ruled by san",
	pkix.OIDKeyUsage:         "it is ruled by key_usage",
	pkix.OIDExtKeyUsage:      "it is ruled by ext_key_usage",
	pkix.OIDBasicConstraints: "it is ruled by basic_constraints",
	pkix.OIDSubjectKeyID:     "the CA always sets it from the key",
	pkix.OIDAuthorityKeyID:   "the CA always sets it",
}

// caOnly are extensions that RFC 5280 allows in certificates of CAs alone.
var caOnly = map[pkix.OID]bool{
	pkix.OIDNameConstraints: true, pkix.OIDPolicyMappings: true, pkix.OIDPolicyConstraints: true,
	pkix.OIDInhibitAnyPolicy: true,
}

// criticality has what RFC 5280 demands: true must be critical, false must not.
var criticality = map[pkix.OID]bool{
	pkix.OIDNameConstraints: true, pkix.OIDPolicyConstraints: true, pkix.OIDInhibitAnyPolicy: true,
	oidSubjectDirectoryAttributes: false, pkix.OIDFreshestCRL: false, pkix.OIDAuthorityInfoAccess: false,
	pkix.OIDSubjectInfoAccess: false, oidOCSPNoCheck: false,
}

// upperBounds of attributes of names, in characters (RFC 5280 appendix A.1).
var upperBounds = map[pkix.OID]int{
	pkix.OIDCommonName: 64, pkix.OIDSerialNumber: 64, pkix.OIDCountry: 2, pkix.OIDEmailAddress: 255,
	pkix.OIDLocality: 128, pkix.OIDState: 128, pkix.OIDOrganization: 64, pkix.OIDOrganizationalUnit: 64,
	pkix.OIDTitle: 64, pkix.MustOID("2.5.4.65"): 128, // pseudonym
}
