package cmp

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

// PKIStatusInfo of RFC 9810 section 5.2.3.
type PKIStatusInfo struct {
	Status       PKIStatus
	StatusString []string       // PKIFreeText
	FailInfo     PKIFailureInfo // 0: absent
}
