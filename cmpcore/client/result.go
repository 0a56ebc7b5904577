package client

import (
	"crypto"
	"math/big"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
)

// Result is what an accepted answer brought.
type Result struct {
	Kind cmp.BodyType // of the answer
	// Signer is the certificate (DER) that protects the answer, nil under a
	// shared secret.
	Signer []byte

	Certificates []Certificate // of ip, cp and kup, in the order of the request
	// CAPubs are the CAs that the answer tells to trust (RFC 9810 section
	// 5.3.4), which it may under a shared secret only; UntrustedCAPubs are
	// those that came under a signature.
	CAPubs          [][]byte
	UntrustedCAPubs [][]byte
	// ExtraCerts is everything the answer carried.
	ExtraCerts [][]byte

	Revocations []RevocationResult     // of rp, in the order of the request
	CRLs        [][]byte               // of rp
	Infos       []cmp.InfoTypeAndValue // of genp
	Recovery    *RecoveryResult        // of krp

	// Passphrase says in the first answer whether a [RevPassphrase] was taken.
	Passphrase PassphraseState

	// Nested are the answers to the messages of [Nest], in their order. Those that
	// need no answer are not among them.
	Nested []NestedAnswer

	// Waiting tells that the answer is not ready; nil otherwise.
	Waiting *Waiting

	// Next is the message to send: certConf, pollReq or popdecr, as NextKind says. nil
	// where nothing is to be sent.
	Next     []byte
	NextKind cmp.BodyType

	// Done tells that the session has ended well.
	Done bool
}

// Certificate is the answer to one wanted certificate.
type Certificate struct {
	CertReqID int64
	State     ItemState
	Status    cmp.PKIStatusInfo // what the CA says

	// Certificate (DER) is set where one came that may be used. Rejected is one
	// that may not, and Err says why.
	Certificate []byte
	Rejected    []byte
	Err         error

	// Chain leads from the issuer upwards as far as the answer's certificates
	// reach; each certificate's signature was checked with the next one's key.
	// Complete tells that it ends in a root. It is no statement of trust.
	Chain    [][]byte
	Complete bool

	// Changes lists, for people, what differs from the request.
	Changes []string

	// Key is the private key, of a type of package alg, where the CA was asked to
	// make it: decrypted, and held against Certificate and its signature. Keep it
	// before the session.
	Key crypto.PrivateKey
	// PrivateKey is a private key as it came, encrypted.
	PrivateKey *crmf.EncryptedKey
	RspInfo    []byte
}

// RevocationResult is the answer to one revocation.
type RevocationResult struct {
	Issuer []byte // Name
	Serial *big.Int
	Status cmp.PKIStatusInfo
}

// Revoked tells whether the CA has done it.
func (r *RevocationResult) Revoked() bool {
	switch r.Status.Status {
	case cmp.Accepted, cmp.GrantedWithMods, cmp.RevocationNotification:
		return true
	}
	return false
}

// RecoveryResult is the answer to krr.
type RecoveryResult struct {
	Status cmp.PKIStatusInfo
	Keys   []RecoveredKey
}

// RecoveredKey is an archived private key with its certificate.
type RecoveredKey struct {
	Certificate []byte
	// Key is of a type of package alg, decrypted, and held against Certificate and
	// its signature; nil where Err says what is wrong with it.
	Key crypto.PrivateKey
	Err error
}

// Waiting says when to ask again.
type Waiting struct {
	CheckAfter time.Duration // 0: not said
	Reason     []string
}
