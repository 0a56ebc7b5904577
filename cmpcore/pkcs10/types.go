package pkcs10

import "cmp-batch/cmpcore/pkix"

// CertificationRequest of RFC 2986 section 4.
type CertificationRequest struct {
	Raw        []byte
	RawInfo    []byte // CertificationRequestInfo: what the signature covers
	Subject    pkix.Name
	PublicKey  pkix.SubjectPublicKeyInfo
	Attributes []Attribute
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
}

// Attribute is one attribute; each value is a whole DER element.
type Attribute struct {
	Type   pkix.OID
	Values [][]byte
}
