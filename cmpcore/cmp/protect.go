package cmp

import (
	"crypto"
	"errors"
	"fmt"
	"io"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Kind is how a message is protected (RFC 9810 section 5.1.3).
type Kind int

// The kinds of protection.
const (
	ProtectionNone      Kind = iota // no protectionAlg
	ProtectionMAC                   // by a shared secret: PBM, PBMAC1
	ProtectionSignature             // by a signature
	ProtectionDHMAC                 // by a MAC under a Diffie-Hellman key
	ProtectionKEMMAC                // by a MAC under a KEM's key
	ProtectionUnknown               // by an algorithm that is not known
)

// String names the kind for logs.
func (k Kind) String() string {
	switch k {
	case ProtectionNone:
		return "none"
	case ProtectionMAC:
		return "mac"
	case ProtectionSignature:
		return "signature"
	case ProtectionDHMAC:
		return "dh-mac"
	case ProtectionKEMMAC:
		return "kem-mac"
	}
	return "unknown"
}

// ProtectionKind sorts a protection algorithm, whatever its parameters. A zero
// identifier is ProtectionNone.
func ProtectionKind(a pkix.AlgorithmIdentifier) Kind {
	switch {
	case a.IsZero():
		return ProtectionNone
	case alg.IsMAC(a):
		return ProtectionMAC
	case alg.IsSignature(a):
		return ProtectionSignature
	case alg.IsDHBM(a):
		return ProtectionDHMAC
	case alg.IsKEMBM(a):
		return ProtectionKEMMAC
	}
	return ProtectionUnknown
}

// What can be wrong with a protection, besides the errors of package alg.
var (
	// ErrUnprotected is a message without protection, or with half of one: the
	// algorithm and the value come together or not at all.
	ErrUnprotected = errors.New("message is not protected")
	// ErrProtectionKind is a MAC where a signature is wanted or the reverse.
	ErrProtectionKind = errors.New("message is protected in another way")
	// ErrMAC is a MAC that does not verify.
	ErrMAC = errors.New("message authentication code does not verify")
)

// VerifyMAC checks a protection by a shared secret (RFC 9810 section 5.1.3.1)
// over the header and body as received. A nil policy stands for its defaults.
// Errors wrap [ErrUnprotected], [ErrProtectionKind], [ErrMAC] or those of
// alg.ParseMAC; [FailInfoFor] maps them.
func (m *PKIMessage) VerifyMAC(secret []byte, p *alg.MACPolicy) error {
	if err := m.wantProtection(ProtectionMAC); err != nil {
		return err
	}
	mac, err := alg.ParseMAC(m.Header.ProtectionAlg, p)
	if err != nil {
		return fmt.Errorf("message protection: %w", err)
	}
	if !mac.Verify(secret, m.ProtectedPart(), m.Protection) {
		return ErrMAC
	}
	return nil
}

// VerifySignature checks a protection by signature (RFC 9810 section 5.1.3.3)
// over the header and body as received. Whether the key may sign for the sender
// is another question. A nil policy stands for its defaults. Errors wrap
// [ErrUnprotected], [ErrProtectionKind] or those of alg.Verify.
func (m *PKIMessage) VerifySignature(pub crypto.PublicKey, p *alg.SignaturePolicy) error {
	if err := m.wantProtection(ProtectionSignature); err != nil {
		return err
	}
	if err := alg.Verify(m.Header.ProtectionAlg, pub, m.ProtectedPart(), m.Protection, p); err != nil {
		return fmt.Errorf("message protection: %w", err)
	}
	return nil
}

// VerifyDHMAC checks a protection by a MAC under a Diffie-Hellman secret (RFC
// 9810 section 5.1.3.2), which alg.SharedSecret gives. A nil policy stands for
// its defaults. Errors are as those of [PKIMessage.VerifyMAC].
func (m *PKIMessage) VerifyDHMAC(secret []byte, p *alg.MACPolicy) (*alg.DHBM, error) {
	if err := m.wantProtection(ProtectionDHMAC); err != nil {
		return nil, err
	}
	d, err := alg.ParseDHBM(m.Header.ProtectionAlg)
	if err == nil {
		err = d.Admit(p)
	}
	if err != nil {
		return nil, fmt.Errorf("message protection: %w", err)
	}
	if !d.Verify(secret, m.ProtectedPart(), m.Protection) {
		return nil, ErrMAC
	}
	return d, nil
}

// VerifyKEMMAC checks a protection by a MAC under a KEM's secret (RFC 9810
// section 5.1.3.4), for the transactionID of the message that had the
// ciphertext. A nil policy stands for its defaults. Errors are as those of
// [PKIMessage.VerifyMAC].
func (m *PKIMessage) VerifyKEMMAC(secret, transactionID []byte, p *alg.MACPolicy) (*alg.KEMBM, error) {
	if err := m.wantProtection(ProtectionKEMMAC); err != nil {
		return nil, err
	}
	k, err := alg.ParseKEMBM(m.Header.ProtectionAlg)
	if err == nil {
		err = k.Admit(p)
	}
	if err != nil {
		return nil, fmt.Errorf("message protection: %w", err)
	}
	if !k.Verify(secret, transactionID, m.ProtectedPart(), m.Protection) {
		return nil, ErrMAC
	}
	return k, nil
}

func (m *PKIMessage) wantProtection(want Kind) error {
	switch k := ProtectionKind(m.Header.ProtectionAlg); {
	case k == ProtectionNone || m.Protection == nil:
		return ErrUnprotected
	case k == ProtectionUnknown:
		return fmt.Errorf("message protection: %w", alg.ErrUnsupported)
	case k != want:
		return fmt.Errorf("protection is %v, not %v: %w", k, want, ErrProtectionKind)
	}
	return nil
}

// FailInfoFor maps an error of checking a protection or a proof of possession
// to the one failure bit for the answer, 0 for an error that is neither.
func FailInfoFor(err error) PKIFailureInfo {
	for _, f := range failInfos {
		if errors.Is(err, f.err) {
			return f.bit
		}
	}
	return 0
}

// Protector protects messages to send: with a MAC of some kind or a signature.
type Protector interface {
	// Algorithm is what the header names.
	Algorithm() pkix.AlgorithmIdentifier
	// Protect gives the protection of the DER of a ProtectedPart.
	Protect(part []byte) ([]byte, error)
}

type macProtector struct {
	mac    *alg.MAC
	secret []byte
}

// MACProtector protects with a shared secret. To answer in kind, give it
// InKind of the MAC that the request had.
func MACProtector(mac *alg.MAC, secret []byte) Protector { return macProtector{mac, secret} }

func (p macProtector) Algorithm() pkix.AlgorithmIdentifier { return p.mac.Algorithm() }
func (p macProtector) Protect(part []byte) ([]byte, error) { return p.mac.Sum(p.secret, part) }

type dhProtector struct {
	mac    *alg.DHBM
	secret []byte
}

// DHMACProtector protects under a Diffie-Hellman secret.
func DHMACProtector(mac *alg.DHBM, secret []byte) Protector { return dhProtector{mac, secret} }

func (p dhProtector) Algorithm() pkix.AlgorithmIdentifier { return p.mac.Algorithm() }
func (p dhProtector) Protect(part []byte) ([]byte, error) { return p.mac.Sum(p.secret, part) }

type kemProtector struct {
	mac                   *alg.KEMBM
	secret, transactionID []byte
}

// KEMMACProtector protects under a KEM's secret, for the transactionID of the
// message that had the ciphertext.
func KEMMACProtector(mac *alg.KEMBM, secret, transactionID []byte) Protector {
	return kemProtector{mac, secret, transactionID}
}

func (p kemProtector) Algorithm() pkix.AlgorithmIdentifier { return p.mac.Algorithm() }
func (p kemProtector) Protect(part []byte) ([]byte, error) {
	return p.mac.Sum(p.secret, p.transactionID, part)
}

type signatureProtector struct {
	rand   io.Reader
	signer crypto.Signer
	alg    pkix.AlgorithmIdentifier
}

// SignatureProtector protects by signing; alg.SignatureFor gives the algorithm.
func SignatureProtector(rand io.Reader, signer crypto.Signer, a pkix.AlgorithmIdentifier) Protector {
	return signatureProtector{rand, signer, a}
}

func (p signatureProtector) Algorithm() pkix.AlgorithmIdentifier { return p.alg }
func (p signatureProtector) Protect(part []byte) ([]byte, error) {
	return alg.Sign(p.rand, p.signer, p.alg, part)
}

// Seal writes a whole PKIMessage. It sets h.ProtectionAlg to that of p; a nil p
// makes a message without protection.
func Seal(h *PKIHeader, b Body, extraCerts [][]byte, p Protector) ([]byte, error) {
	if p == nil {
		h.ProtectionAlg = pkix.AlgorithmIdentifier{}
		return Build(h, b, extraCerts, nil)
	}
	h.ProtectionAlg = p.Algorithm()
	return Build(h, b, extraCerts, p.Protect)
}
