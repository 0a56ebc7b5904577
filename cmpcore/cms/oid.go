package cms

import "cmp-batch/cmpcore/pkix"

// Content types.
var (
	OIDData              = pkix.MustOID("1.2.840.113549.1.7.1")
	OIDSignedData        = pkix.MustOID("1.2.840.113549.1.7.2")
	OIDEnvelopedData     = pkix.MustOID("1.2.840.113549.1.7.3")
	OIDAuthEnvelopedData = pkix.MustOID("1.2.840.113549.1.9.16.1.23") // RFC 5083
	OIDKeyPackage        = pkix.MustOID("2.16.840.1.101.2.1.2.78.5")  // id-ct-KP-aKeyPackage, RFC 5958

	// oidKeyPackageTypo is what the CMP component of Siemens writes for
	// OIDKeyPackage.
	oidKeyPackageTypo = pkix.MustOID("1.2.16.840.1.101.2.1.2.78.5")
)

// Attributes of RFC 5652 section 11.
var (
	oidContentType   = pkix.MustOID("1.2.840.113549.1.9.3")
	oidMessageDigest = pkix.MustOID("1.2.840.113549.1.9.4")
	oidSigningTime   = pkix.MustOID("1.2.840.113549.1.9.5")
	oidProtection    = pkix.MustOID("1.2.840.113549.1.9.52") // CMSAlgorithmProtection, RFC 6211
	oidLocalKeyID    = pkix.MustOID("1.2.840.113549.1.9.21") // RFC 2985 section 5.5.2
)
