package cmp

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// PKIStatus of RFC 9810 section 5.2.3.
type PKIStatus int

// The values of PKIStatus.
const (
	Accepted               PKIStatus = 0
	GrantedWithMods        PKIStatus = 1
	Rejection              PKIStatus = 2
	Waiting                PKIStatus = 3
	RevocationWarning      PKIStatus = 4
	RevocationNotification PKIStatus = 5
	KeyUpdateWarning       PKIStatus = 6
)

var statusNames = [...]string{
	"accepted", "grantedWithMods", "rejection", "waiting",
	"revocationWarning", "revocationNotification", "keyUpdateWarning",
}

// String is the name in RFC 9810, such as "grantedWithMods".
func (s PKIStatus) String() string {
	if s < 0 || int(s) >= len(statusNames) {
		return fmt.Sprintf("status %d", int(s))
	}
	return statusNames[s]
}

// PKIFailureInfo is a set of failure bits: bit n of RFC 9810 section 5.2.3 is
// 1<<n here. What we send has exactly one; what we read may have several.
type PKIFailureInfo uint32

// The failure bits.
const (
	BadAlg PKIFailureInfo = 1 << iota
	BadMessageCheck
	BadRequest
	BadTime
	BadCertID
	BadDataFormat
	WrongAuthority
	IncorrectData
	MissingTimeStamp
	BadPOP
	CertRevoked
	CertConfirmed
	WrongIntegrity
	BadRecipientNonce
	TimeNotAvailable
	UnacceptedPolicy
	UnacceptedExtension
	AddInfoNotAvailable
	BadSenderNonce
	BadCertTemplate
	SignerNotTrusted
	TransactionIDInUse
	UnsupportedVersion
	NotAuthorized
	SystemUnavail
	SystemFailure
	DuplicateCertReq
)

var failureNames = [...]string{
	"badAlg", "badMessageCheck", "badRequest", "badTime", "badCertId",
	"badDataFormat", "wrongAuthority", "incorrectData", "missingTimeStamp", "badPOP",
	"certRevoked", "certConfirmed", "wrongIntegrity", "badRecipientNonce", "timeNotAvailable",
	"unacceptedPolicy", "unacceptedExtension", "addInfoNotAvailable", "badSenderNonce", "badCertTemplate",
	"signerNotTrusted", "transactionIdInUse", "unsupportedVersion", "notAuthorized", "systemUnavail",
	"systemFailure", "duplicateCertReq",
}

// String lists the names in RFC 9810, as in "badPOP" or "badAlg,badRequest".
func (f PKIFailureInfo) String() string {
	var names []string
	for i := range 32 {
		switch {
		case f&(1<<i) == 0:
		case i < len(failureNames):
			names = append(names, failureNames[i])
		default:
			names = append(names, fmt.Sprintf("bit %d", i))
		}
	}
	return strings.Join(names, ",")
}

// PKIStatusInfo of RFC 9810 section 5.2.3.
type PKIStatusInfo struct {
	Status       PKIStatus
	StatusString []string       // PKIFreeText
	FailInfo     PKIFailureInfo // 0: absent

	// failBits is the contents of failInfo as received, where FailInfo alone
	// would be written otherwise: peers leave trailing zero bits, and a later
	// standard may have bits above 31.
	failBits []byte
}

func readStatus(s *cryptobyte.String) (PKIStatus, bool) {
	v, ok := pkix.ReadInt(s, asn1.INTEGER)
	return PKIStatus(v), ok && int64(int(v)) == v
}

func (p *parser) statusInfo(s *cryptobyte.String) (i PKIStatusInfo, err error) {
	err = sequence(s, func(s *cryptobyte.String) (err error) {
		var ok bool
		if i.Status, ok = readStatus(s); !ok {
			return malformed("status")
		}
		if s.PeekASN1Tag(asn1.SEQUENCE) {
			if i.StatusString, err = readFreeText(s, &p.lim); err != nil {
				return at("statusString", err)
			}
		}
		if s.PeekASN1Tag(asn1.BIT_STRING) {
			return i.readFailInfo(s)
		}
		return nil
	})
	return i, err
}

func (i *PKIStatusInfo) readFailInfo(s *cryptobyte.String) error {
	peek := *s
	bits, unused, ok := pkix.ReadBitString(s, asn1.BIT_STRING)
	if !ok {
		return malformed("failInfo")
	}
	i.FailInfo = PKIFailureInfo(pkix.NamedBits(bits))
	if len(bits) == 0 || len(bits) > 4 || bits[len(bits)-1]>>unused&1 == 0 {
		var c cryptobyte.String
		peek.ReadASN1(&c, asn1.BIT_STRING)
		i.failBits = c
	}
	return nil
}

func (i *PKIStatusInfo) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(i.Status))
		if len(i.StatusString) > 0 {
			addFreeText(b, "statusString", i.StatusString)
		}
		switch {
		case len(i.failBits) > 0 && PKIFailureInfo(pkix.NamedBits(i.failBits[1:])) == i.FailInfo:
			pkix.AddElement(b, asn1.BIT_STRING, i.failBits)
		case i.FailInfo != 0:
			pkix.AddNamedBits(b, uint32(i.FailInfo))
		}
	})
}
