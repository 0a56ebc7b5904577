package crmf

import (
	"math/big"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/pkix"
)

// CertReqMsg is one request of CertReqMessages (RFC 4211 section 3).
type CertReqMsg struct {
	Raw     []byte // the element as received; nil in a message being built
	CertReq CertRequest
	POPO    ProofOfPossession // nil where absent
	RegInfo []Attribute       // nil where absent
}

// CertRequest of RFC 4211 section 5. Raw is what a signature POPO covers.
type CertRequest struct {
	Raw       []byte
	CertReqID *big.Int
	Template  CertTemplate
	Controls  []Attribute
}

// Attribute is AttributeTypeAndValue: a control or a regInfo entry. Value is
// the whole DER of the value.
type Attribute struct {
	Type  pkix.OID
	Value []byte
}

// CertTemplate of RFC 4211 section 5. Zero fields are absent.
type CertTemplate struct {
	Raw          []byte
	Version      *int // 0 is v1, 2 is v3
	SerialNumber *big.Int
	SigningAlg   pkix.AlgorithmIdentifier
	Issuer       pkix.Name
	Validity     *pkix.Validity
	Subject      pkix.Name
	PublicKey    pkix.SubjectPublicKeyInfo // with the SEQUENCE tag, though the wire has [6]
	IssuerUID    []byte                    // contents of the BIT STRING, with the unused-bits octet
	SubjectUID   []byte
	Extensions   []pkix.Extension
}

// ProofOfPossession is one of [RAVerified], [*POPOSigningKey], and [*POPOPrivKey]
// (for keyEncipherment and keyAgreement).
type ProofOfPossession interface {
	add(*cryptobyte.Builder)
}

// RAVerified says that the RA has checked possession (RFC 4211 section 4).
type RAVerified struct{}

// POPOSigningKey of RFC 4211 section 4.1.
type POPOSigningKey struct {
	Input     *POPOSigningKeyInput // nil: the signature covers the CertRequest
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
}

// POPOSigningKeyInput is what is signed where the template has no subject or
// no public key. Raw is the SEQUENCE (universal tag) that the signature covers.
// Exactly one of Sender and PublicKeyMAC is there.
type POPOSigningKeyInput struct {
	Raw          []byte
	Sender       pkix.GeneralName
	PublicKeyMAC *PKMACValue
	PublicKey    pkix.SubjectPublicKeyInfo
}

// PKMACValue of RFC 4211 section 4.1.
type PKMACValue struct {
	Algorithm pkix.AlgorithmIdentifier
	Value     []byte
}

// The two key uses a POPOPrivKey can speak of: the tags of ProofOfPossession.
const (
	KeyEncipherment = 2
	KeyAgreement    = 3
)

// The alternatives of POPOPrivKey (RFC 4211 section 4.2 and 4.3).
const (
	ThisMessage       = 0 // deprecated: BIT STRING
	SubsequentMessage = 1 // INTEGER: EncrCert or ChallengeResp
	DHMAC             = 2 // deprecated: BIT STRING
	AgreeMAC          = 3 // PKMACValue
	EncryptedKeyPOP   = 4 // EnvelopedData
)

// The values of SubsequentMessage.
const (
	EncrCert      = 0
	ChallengeResp = 1
)

// POPOPrivKey is keyEncipherment or keyAgreement.
type POPOPrivKey struct {
	Use        int         // KeyEncipherment or KeyAgreement
	Form       int         // ThisMessage ... EncryptedKeyPOP
	Bits       []byte      // ThisMessage, DHMAC: BIT STRING contents without the unused-bits octet, which must be 0
	Subsequent int         // SubsequentMessage
	MAC        *PKMACValue // AgreeMAC
	Enveloped  []byte      // EncryptedKeyPOP: whole DER of EnvelopedData, with the SEQUENCE tag
}

// EncryptedValue of RFC 4211 section 2 (deprecated, read for old peers).
type EncryptedValue struct {
	IntendedAlg pkix.AlgorithmIdentifier
	SymmAlg     pkix.AlgorithmIdentifier
	EncSymmKey  []byte // BIT STRING contents, nil where absent
	KeyAlg      pkix.AlgorithmIdentifier
	ValueHint   []byte
	EncValue    []byte
}

// EncryptedKey is exactly one of both.
type EncryptedKey struct {
	Value     *EncryptedValue
	Enveloped []byte // whole DER of EnvelopedData with the SEQUENCE tag, though the wire has [0]
}

// CertID of RFC 4211 section 6.5 (control oldCertID).
type CertID struct {
	Issuer       pkix.GeneralName
	SerialNumber *big.Int
}

// PKIPublicationInfo of RFC 4211 section 6.3.
type PKIPublicationInfo struct {
	Action int // 0 dontPublish, 1 pleasePublish
	Infos  []SinglePubInfo
}

// SinglePubInfo says where and how to publish.
type SinglePubInfo struct {
	Method   int // 0 dontCare, 1 x500, 2 web, 3 ldap
	Location pkix.GeneralName
}

// PKIArchiveOptions of RFC 4211 section 6.4: exactly one field is set.
type PKIArchiveOptions struct {
	EncryptedPrivKey  *EncryptedKey
	KeyGenParameters  []byte // OCTET STRING contents
	ArchiveRemGenPriv *bool
}
