package client

import (
	"crypto"
	"math/big"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Options say what to ask for.
type Options struct {
	Kind        cmp.BodyType // TypeIR, TypeCR, TypeKUR, TypeP10CR, TypeRR, TypeGenM, TypeCCR or TypeKRR
	Credentials Credentials

	// PVNO is 2 or 3; 0 is 2, which every peer knows.
	PVNO int
	// Sender is our name in the header. nil stands for the subject of the
	// protection certificate or, under a shared secret, CN=reference.
	Sender pkix.Name
	// Recipient is the CA or RA. nil stands for the issuer of the certificate
	// that is updated or revoked, of the wanted one, or of the protection
	// certificate, and else for the NULL-DN.
	Recipient pkix.Name
	// ExpectSender, if not nil, is whose name every answer must carry.
	ExpectSender pkix.Name
	// NoTime leaves messageTime out, for peers with another idea of the time.
	NoTime bool

	// After, with Credentials.KEMKey, is the session that fetched a ciphertext;
	// the request continues its transaction. Each serves once.
	After *Session

	// ImplicitConfirm asks the CA to do without certConf.
	ImplicitConfirm bool
	// CertProfile names profiles of the CA, one for each certificate (RFC 9810
	// section 5.1.1.4).
	CertProfile []string
	// RevPassphrase is left at the CA with the request.
	RevPassphrase *RevPassphrase
	// GeneralInfo and ExtraCerts are sent besides what the above make.
	GeneralInfo []cmp.InfoTypeAndValue
	ExtraCerts  [][]byte

	// EncrKey is a public key, best made for this transaction alone, to which the
	// CA is to encrypt the private keys that it makes or gives back (control
	// protocolEncrKey, RFC 4211 section 6.6); nil: to what protects the request.
	// Credentials.EncrKey opens them then.
	EncrKey pkix.SubjectPublicKeyInfo

	// OldEncryption lets CentralKey and TypeKRR go at PVNO 2, at which private keys
	// come as EncryptedValue: encrypted to EncrKey or to the key of the protection
	// certificate, an RSA key. Credentials.OldEncryption opens them.
	OldEncryption bool

	Certificates []CertificateRequest   // of ir, cr and kur; of ccr exactly one
	PKCS10       []byte                 // of p10cr: the CertificationRequest, DER
	Revocations  []Revocation           // of rr
	Recovery     *Recovery              // of krr; nil: all keys that may be had
	Infos        []cmp.InfoTypeAndValue // of genm; see InfoType for types by name
}

// CertificateRequest is one wanted certificate. certReqIds count from 0 in the
// order of Options.Certificates.
type CertificateRequest struct {
	// Subject of the certificate. nil stands for that of OldCertificate, and
	// else for the NULL-DN, where SANs name the holder; but see
	// [POPSignatureInput].
	Subject pkix.Name
	// Key is the key to certify and proves possession. Where only its public
	// half is at hand, PublicKey is set instead, and POP is not POPSignature.
	Key       crypto.Signer
	PublicKey pkix.SubjectPublicKeyInfo
	// CentralKey asks the CA to make the key. Its value, perhaps zero, names
	// the algorithm (RFC 9483 section 4.1.6). It needs PVNO 3, or
	// Options.OldEncryption.
	CentralKey *pkix.AlgorithmIdentifier

	Issuer              pkix.Name // the wanted issuer; nil: any
	NotBefore, NotAfter time.Time // zero: as the CA likes

	SANs        []pkix.GeneralName
	KeyUsage    pkix.KeyUsage // 0: not asked for
	ExtKeyUsage []pkix.OID
	Extensions  []pkix.Extension // besides the above

	POP POP
	// Signature is the algorithm of POPSignature, a name of alg.SignatureNames;
	// empty is the key's default.
	Signature string

	// ProofTo is the certificate of the CA (DER) that POPAgreeMAC,
	// POPAgreeSignature, POPEncryptedKey and POPThisMessage are for, and ProofKey the private key
	// where Key is not set, because it cannot sign.
	ProofTo  []byte
	ProofKey crypto.PrivateKey
	// StaticECDH makes the MAC as RFC 6955 says, in place of DHBasedMac.
	StaticECDH bool

	// OldCertificate (DER) is what kur updates; nil is the protection
	// certificate. Its SANs are asked for again unless SANs are given.
	OldCertificate []byte

	Controls []crmf.Attribute // besides oldCertID
	RegInfo  []crmf.Attribute

	// ArchiveTo is the CA's encryption certificate (DER, caProtEncCert), where the
	// CA is to keep the private key: Key, encrypted to it, or that of CentralKey.
	// It needs PVNO 3.
	ArchiveTo []byte
	// ArchiveKey is the private key to archive where Key is not set, because it
	// cannot sign.
	ArchiveKey crypto.PrivateKey

	// AnySubject accepts a certificate for another subject although the CA says
	// that it granted what was asked for.
	AnySubject bool
}

// Recovery narrows the archived private keys that are wanted back. Zero fields
// do not.
type Recovery struct {
	// Certificate (DER) is one whose key is wanted.
	Certificate []byte
	Subject     pkix.Name
	Serial      *big.Int
}

// POP is how possession of the private key is proven.
type POP int

// The proofs (RFC 4211 section 4, RFC 9810 section 5.2.8).
const (
	// POPSignature signs the request with the requested key.
	POPSignature POP = iota
	// POPRAVerified says that we, an RA, have checked it.
	POPRAVerified
	// POPNone leaves it out: for keys made by the CA, and for tests.
	POPNone
	// POPEncrCert asks for the certificate encrypted to its own key, for keys
	// that cannot sign. [Credentials.RequestedKeys] open it; at PVNO 2, where it
	// comes in an older form, if [Credentials.OldEncryption] allows that.
	POPEncrCert
	// POPChallenge has the CA send a challenge that only the key opens; at PVNO
	// 2 only an RSA key can. [Credentials.RequestedKeys] open it.
	POPChallenge
	// POPSignatureInput leaves Subject, where it is nil, out of the template: the
	// key signs itself together with our sender or, under a shared secret, with a
	// MAC over it (poposkInput, RFC 4211 section 4.1).
	POPSignatureInput
	// POPAgreeMAC has a MAC over the request, under the secret of the key and
	// that of ProofTo, the CA's certificate for key agreement: agreeMAC. It needs
	// PVNO 3.
	POPAgreeMAC
	// POPAgreeSignature has that MAC where a signature would be, at any PVNO
	// (RFC 9810 section 5.2.8.2).
	POPAgreeSignature
	// POPEncryptedKey gives the private key away, encrypted to ProofTo, the CA's
	// encryption certificate: encryptedKey. It needs PVNO 3.
	POPEncryptedKey
	// POPThisMessage is the deprecated form of that, for PVNO 2 and a CA with an RSA
	// key: thisMessage. It does not say whose the key is, so that another who
	// reads the message may use it as its own proof.
	POPThisMessage
)

// Revocation asks to revoke one certificate, or to revive it.
type Revocation struct {
	// Certificate (DER) to revoke, or its Issuer and Serial.
	Certificate []byte
	Issuer      pkix.Name
	Serial      *big.Int

	// Reason says why; pkix.ReasonRemoveFromCRL revives a certificate on hold.
	// NoReason leaves the extension out.
	Reason   pkix.CRLReason
	NoReason bool
	// InvalidityDate, if not zero, is since when the key is not to be trusted.
	InvalidityDate time.Time
}
