package cmp

import (
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

// BodyType is the tag number of a PKIBody alternative (RFC 9810 section 5.1.2).
type BodyType int

// The 27 alternatives of PKIBody.
const (
	TypeIR       BodyType = 0
	TypeIP       BodyType = 1
	TypeCR       BodyType = 2
	TypeCP       BodyType = 3
	TypeP10CR    BodyType = 4
	TypePOPDecC  BodyType = 5
	TypePOPDecR  BodyType = 6
	TypeKUR      BodyType = 7
	TypeKUP      BodyType = 8
	TypeKRR      BodyType = 9
	TypeKRP      BodyType = 10
	TypeRR       BodyType = 11
	TypeRP       BodyType = 12
	TypeCCR      BodyType = 13
	TypeCCP      BodyType = 14
	TypeCKUAnn   BodyType = 15
	TypeCAnn     BodyType = 16
	TypeRAnn     BodyType = 17
	TypeCRLAnn   BodyType = 18
	TypePKIConf  BodyType = 19
	TypeNested   BodyType = 20
	TypeGenM     BodyType = 21
	TypeGenP     BodyType = 22
	TypeError    BodyType = 23
	TypeCertConf BodyType = 24
	TypePollReq  BodyType = 25
	TypePollRep  BodyType = 26
)

var bodyNames = [...]string{
	"ir", "ip", "cr", "cp", "p10cr", "popdecc", "popdecr", "kur", "kup",
	"krr", "krp", "rr", "rp", "ccr", "ccp", "ckuann", "cann", "rann",
	"crlann", "pkiconf", "nested", "genm", "genp", "error", "certConf", "pollReq", "pollRep",
}

// String is the name in RFC 9810, such as "certConf".
func (t BodyType) String() string {
	if t < 0 || int(t) >= len(bodyNames) {
		return fmt.Sprintf("body type %d", int(t))
	}
	return bodyNames[t]
}

// Body is one alternative of PKIBody: a pointer to one of the body types of
// this package.
type Body interface {
	Type() BodyType
	add(*cryptobyte.Builder)
}

// CertReqMessages is the body of ir, cr, kur, krr and ccr.
type CertReqMessages struct {
	Kind     BodyType
	Requests []crmf.CertReqMsg
}

// CertRepMessage is the body of ip, cp, kup and ccp (RFC 9810 section 5.3.4).
type CertRepMessage struct {
	Kind      BodyType
	CAPubs    [][]byte // whole DER certificates
	Responses []CertResponse
}

// CertResponse answers one CertReqMsg.
type CertResponse struct {
	CertReqID        *big.Int
	Status           PKIStatusInfo
	CertifiedKeyPair *CertifiedKeyPair
	RspInfo          []byte // OCTET STRING contents, nil where absent
}

// CertifiedKeyPair carries the certificate, plain or encrypted.
type CertifiedKeyPair struct {
	Certificate     []byte             // whole DER; nil where EncryptedCert is there
	EncryptedCert   *crmf.EncryptedKey //
	PrivateKey      *crmf.EncryptedKey // nil where absent
	PublicationInfo *crmf.PKIPublicationInfo
}

// P10CR is the body of p10cr.
type P10CR struct{ Request pkcs10.CertificationRequest }

// POPODecKeyChallenge is the body of popdecc.
type POPODecKeyChallenge struct{ Challenges []Challenge }

// Challenge of RFC 9810 section 5.2.8.3.
type Challenge struct {
	OWF       pkix.AlgorithmIdentifier // zero: the one of the first challenge
	Witness   []byte
	Challenge []byte
	// EncryptedRand is the whole DER of EnvelopedData ([0] on the wire), of
	// CMP version 3; nil where absent.
	EncryptedRand []byte
}

// POPODecKeyResponse is the body of popdecr.
type POPODecKeyResponse struct{ Responses []*big.Int }

// KeyRecRepContent is the body of krp.
type KeyRecRepContent struct {
	Status      PKIStatusInfo
	NewSigCert  []byte
	CACerts     [][]byte
	KeyPairHist []CertifiedKeyPair
}

// RevReqContent is the body of rr.
type RevReqContent struct{ Details []RevDetails }

// RevDetails names a certificate and how to revoke it.
type RevDetails struct {
	CertDetails     crmf.CertTemplate
	CRLEntryDetails []pkix.Extension
}

// RevRepContent is the body of rp.
type RevRepContent struct {
	Status   []PKIStatusInfo
	RevCerts []crmf.CertID
	CRLs     [][]byte
}

// CAKeyUpdAnn is the body of ckuann. The version 3 form, RootCaKeyUpdate, has
// NewWithNew always and the other two where useful.
type CAKeyUpdAnn struct {
	RootForm   bool // the [0] alternative of RFC 9810
	OldWithNew []byte
	NewWithOld []byte
	NewWithNew []byte
}

// CertAnn is the body of cann: a certificate.
type CertAnn struct{ Certificate []byte }

// RevAnn is the body of rann.
type RevAnn struct {
	Status          PKIStatus
	CertID          crmf.CertID
	WillBeRevokedAt time.Time
	BadSince        time.Time
	CRLDetails      []pkix.Extension
}

// CRLAnn is the body of crlann.
type CRLAnn struct{ CRLs [][]byte }

// PKIConf is the body of pkiconf: NULL.
type PKIConf struct{}

// Nested is the body of nested: whole PKIMessages, each parsed.
type Nested struct{ Messages []*PKIMessage }

// GenMsg is the body of genm and genp.
type GenMsg struct {
	Kind  BodyType
	Infos []InfoTypeAndValue
}

// ErrorMsg is the body of error (RFC 9810 section 5.3.21).
type ErrorMsg struct {
	Status       PKIStatusInfo
	ErrorCode    *big.Int
	ErrorDetails []string
}

// CertConfirm is the body of certConf (RFC 9810 section 5.3.18).
type CertConfirm struct{ Statuses []CertStatus }

// CertStatus confirms or rejects one certificate. A nil StatusInfo is acceptance.
type CertStatus struct {
	CertHash   []byte
	CertReqID  *big.Int
	StatusInfo *PKIStatusInfo
	HashAlg    pkix.AlgorithmIdentifier // version 3; zero where absent
}

// PollReq is the body of pollReq.
type PollReq struct{ CertReqIDs []*big.Int }

// PollRep is the body of pollRep.
type PollRep struct{ Items []PollRepItem }

// PollRepItem says when to ask again.
type PollRepItem struct {
	CertReqID  *big.Int
	CheckAfter int64 // seconds
	Reason     []string
}

func (b *CertReqMessages) Type() BodyType     { return b.Kind }
func (b *CertRepMessage) Type() BodyType      { return b.Kind }
func (b *P10CR) Type() BodyType               { return TypeP10CR }
func (b *POPODecKeyChallenge) Type() BodyType { return TypePOPDecC }
func (b *POPODecKeyResponse) Type() BodyType  { return TypePOPDecR }
func (b *KeyRecRepContent) Type() BodyType    { return TypeKRP }
func (b *RevReqContent) Type() BodyType       { return TypeRR }
func (b *RevRepContent) Type() BodyType       { return TypeRP }
func (b *CAKeyUpdAnn) Type() BodyType         { return TypeCKUAnn }
func (b *CertAnn) Type() BodyType             { return TypeCAnn }
func (b *RevAnn) Type() BodyType              { return TypeRAnn }
func (b *CRLAnn) Type() BodyType              { return TypeCRLAnn }
func (b *PKIConf) Type() BodyType             { return TypePKIConf }
func (b *Nested) Type() BodyType              { return TypeNested }
func (b *GenMsg) Type() BodyType              { return b.Kind }
func (b *ErrorMsg) Type() BodyType            { return TypeError }
func (b *CertConfirm) Type() BodyType         { return TypeCertConf }
func (b *PollReq) Type() BodyType             { return TypePollReq }
func (b *PollRep) Type() BodyType             { return TypePollRep }
