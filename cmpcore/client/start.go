package client

import (
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// nonceSize is that of transactionID and senderNonce (RFC 9483 section 3.1).
const nonceSize = 16

// Start makes a request and the session that waits for its answer. Errors wrap
// [ErrOptions] or [ErrCredentials], or are those of the keys.
func Start(o Options) (*Session, []byte, error) {
	kind, err := kindName(o.Kind)
	if err != nil {
		return nil, nil, err
	}
	own, err := o.Credentials.check()
	if err != nil {
		return nil, nil, err
	}
	if o.PVNO == 0 {
		o.PVNO = 2
		if o.Credentials.Trust.KEM != nil || o.Credentials.KEMKey != nil || o.RevPassphrase != nil {
			o.PVNO = 3
		}
	}
	if o.PVNO != 2 && o.PVNO != 3 {
		return nil, nil, fmt.Errorf("%w: pvno must be 2 or 3, not %d", ErrOptions, o.PVNO)
	}
	s := &Session{
		Version: sessionVersion, Kind: kind, Step: StepAnswer, PVNO: o.PVNO,
		ExpectSender: Octets(o.ExpectSender), NoTime: o.NoTime, ImplicitConfirm: o.ImplicitConfirm,
	}
	if s.Protection, err = protection(&o.Credentials); err != nil {
		return nil, nil, err
	}
	if err := o.leavePassphrase(s); err != nil {
		return nil, nil, err
	}
	q := &request{Options: &o, session: s, own: own}
	body, err := q.body()
	if err != nil {
		return nil, nil, err
	}
	sender, recipient, err := q.names()
	if err != nil {
		return nil, nil, err
	}
	s.Sender, s.Recipient = Octets(pkix.NewDirectoryName(sender)), Octets(pkix.NewDirectoryName(recipient))
	if s.TransactionID, err = random(o.Credentials.Rand); err != nil {
		return nil, nil, err
	}
	if err := s.after(&o); err != nil {
		return nil, nil, err
	}
	info, err := q.generalInfo()
	if err != nil {
		return nil, nil, err
	}
	if cert := o.Credentials.Trust.KEM; cert != nil {
		if s.KEM, err = encapsulate(o.Credentials.Rand, cert); err != nil {
			return nil, nil, err
		}
	}
	der, err := s.send(&o.Credentials, body, info, o.ExtraCerts, s.PVNO)
	if err != nil {
		return nil, nil, err
	}
	s.FirstNonce = s.Nonce
	return s, der, nil
}

// protection remembers how messages are protected.
func protection(c *Credentials) (Protection, error) {
	if len(c.Secret) > 0 {
		mac := c.MAC
		return Protection{Method: MethodMAC, Reference: slices.Clone(c.Reference), MAC: &mac}, nil
	}
	if a := c.Agreement; a != nil {
		mac := a.MAC
		return Protection{Method: MethodDHMAC, Certificate: slices.Clone(c.Certificate), Peer: slices.Clone(a.Peer), MAC: &mac}, nil
	}
	if c.KEMKey != nil {
		mac := c.MAC
		return Protection{Method: MethodKEMMAC, Certificate: slices.Clone(c.Certificate), MAC: &mac}, nil
	}
	return Protection{Method: MethodSignature, Certificate: slices.Clone(c.Certificate), Signature: c.Signature}, nil
}

// names gives the sender and the recipient.
func (q *request) names() (sender, recipient pkix.Name, err error) {
	sender, recipient = q.Sender, q.Recipient
	if sender == nil {
		if q.own != nil {
			sender = q.own.cert.RawSubject
		} else if sender, err = referenceName(q.Credentials.Reference); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case recipient != nil:
	case q.issuer != nil:
		recipient = q.issuer
	case q.own != nil:
		recipient = q.own.cert.RawIssuer
	default:
		recipient = pkix.EmptyName
	}
	return sender, recipient, nil
}

// referenceName is the sender under a shared secret: CN=reference (RFC 9483
// section 3.1), or the NULL-DN where the reference is no text.
func referenceName(ref []byte) (pkix.Name, error) {
	if !utf8.Valid(ref) || len(ref) > 64 {
		return pkix.EmptyName, nil
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				pkix.OIDCommonName.Add(b)
				pkix.AddUTF8(b, string(ref))
			})
		})
	})
	der, err := b.Bytes()
	return der, err
}

func (q *request) generalInfo() ([]cmp.InfoTypeAndValue, error) {
	var info []cmp.InfoTypeAndValue
	if q.ImplicitConfirm {
		info = append(info, cmp.InfoTypeAndValue{Type: cmp.OIDImplicitConfirm, Value: pkix.Null})
	}
	if len(q.CertProfile) > 0 {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, p := range q.CertProfile {
				pkix.AddUTF8(b, p)
			}
		})
		v, err := b.Bytes()
		if err != nil {
			return nil, fmt.Errorf("%w: certificate profile: %w", ErrOptions, err)
		}
		info = append(info, cmp.InfoTypeAndValue{Type: cmp.OIDCertProfile, Value: v})
	}
	return append(info, q.GeneralInfo...), nil
}

// send builds and protects a message of the session and remembers it.
func (s *Session) send(c *Credentials, body cmp.Body, info []cmp.InfoTypeAndValue, extra [][]byte, pvno int) ([]byte, error) {
	nonce, err := random(c.Rand)
	if err != nil {
		return nil, err
	}
	return s.seal(c, body, info, extra, pvno, nonce)
}

func (s *Session) seal(c *Credentials, body cmp.Body, info []cmp.InfoTypeAndValue, extra [][]byte, pvno int, nonce Octets) ([]byte, error) {
	h := &cmp.PKIHeader{
		PVNO: pvno, Sender: pkix.GeneralName(s.Sender), Recipient: pkix.GeneralName(s.Recipient),
		TransactionID: s.TransactionID, SenderNonce: nonce, RecipNonce: s.PeerNonce, GeneralInfo: info,
	}
	if !s.NoTime {
		h.MessageTime = c.Now
	}
	if h.SenderKID = s.Protection.Reference; s.Protection.Method != MethodMAC {
		own, err := c.check()
		if err != nil {
			return nil, err
		}
		h.SenderKID = own.cert.SubjectKeyId
		if own.peer != nil {
			h.RecipKID = own.peer.SubjectKeyId
		}
	}
	if s.KEM != nil {
		h.GeneralInfo = slices.Concat(info, []cmp.InfoTypeAndValue{s.KEM.info()})
	}
	var p cmp.Protector // nil asks for a ciphertext
	var err error
	switch {
	case s.Protection.Method != MethodKEMMAC:
		p, err = c.protector()
	case s.Ciphertext != nil:
		p, err = s.kemProtector(c)
	case s.Kind != "genm":
		err = fmt.Errorf("%w: there is no ciphertext for our KEM key", ErrOptions)
	}
	if err != nil {
		return nil, err
	}
	der, err := cmp.Seal(h, body, c.extraCerts(extra), p)
	if err != nil {
		return nil, fmt.Errorf("build %s message: %w", body.Type(), err)
	}
	s.Nonce, s.Outgoing = nonce, der
	return der, nil
}

func random(r io.Reader) (Octets, error) {
	b := make([]byte, nonceSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("random octets: %w", err)
	}
	return b, nil
}
