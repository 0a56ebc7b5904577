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

	// NoAttributes says that the attributes element, which is mandatory though
	// it may be empty, is missing, as some programs have it.
	NoAttributes bool
}

// Attribute is one attribute; each value is a whole DER element.
type Attribute struct {
	Type   pkix.OID
	Values [][]byte
}
