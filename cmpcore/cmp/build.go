package cmp

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// headRoom is the most that the identifier and length octets of the outermost
// SEQUENCE need.
const headRoom = 6

// Build encodes a message. protect gets the DER of the ProtectedPart and
// returns the contents of the protection's BIT STRING; it must not keep or
// change what it gets. A nil protect makes an unprotected message, and then, and
// only then, h must have no ProtectionAlg. Fractions of a second of the
// messageTime are cut off.
//
// A message is encoded once and into one buffer: the octets that are protected
// are the octets that are sent.
func Build(h *PKIHeader, body Body, extraCerts [][]byte, protect func(protectedPart []byte) ([]byte, error)) ([]byte, error) {
	if h.ProtectionAlg.IsZero() != (protect == nil) {
		return nil, errors.New("build PKIMessage: protectionAlg and protection must be there both or neither")
	}
	size := 1024 + bodySize(body)
	for _, c := range extraCerts {
		size += len(c)
	}
	// The buffer begins with room for the header of the ProtectedPart, and in
	// its place later that of the message.
	b := cryptobyte.NewBuilder(make([]byte, headRoom, size))
	h.add(b, h.MessageTime.Truncate(time.Second))
	addBody(b, body)
	buf, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("build PKIMessage: %w", err)
	}
	var protection []byte
	if protect != nil {
		if protection, err = protect(frame(buf)); err != nil {
			return nil, fmt.Errorf("protect PKIMessage: %w", err)
		}
		if len(protection) == 0 {
			return nil, errors.New("protect PKIMessage: no protection")
		}
	}
	b = cryptobyte.NewBuilder(buf)
	addTail(b, protection, extraCerts)
	if buf, err = b.Bytes(); err != nil {
		return nil, fmt.Errorf("build PKIMessage: %w", err)
	}
	return frame(buf), nil
}

// AppendBody appends the DER of a PKIBody, with its outer tag.
func AppendBody(b []byte, body Body) ([]byte, error) {
	out := cryptobyte.NewBuilder(b)
	addBody(out, body)
	return out.Bytes()
}

// frame puts the header of a SEQUENCE before the contents, into the headRoom
// they have been given.
func frame(buf []byte) []byte {
	var head [headRoom]byte
	h := appendHead(head[:0], len(buf)-headRoom)
	start := headRoom - len(h)
	copy(buf[start:], h)
	return buf[start:]
}

// appendHead appends identifier and length octets of a SEQUENCE.
func appendHead(b []byte, n int) []byte {
	b = append(b, byte(asn1.SEQUENCE))
	switch {
	case n < 0x80:
		return append(b, byte(n))
	case n <= 0xff:
		return append(b, 0x81, byte(n))
	case n <= 0xffff:
		return append(b, 0x82, byte(n>>8), byte(n))
	case n <= 0xffffff:
		return append(b, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(b, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// bodySize estimates the octets that the large parts of a body need.
func bodySize(body Body) (n int) {
	switch m := body.(type) {
	case *CertRepMessage:
		for _, c := range m.CAPubs {
			n += len(c)
		}
		for i := range m.Responses {
			n += 64
			if k := m.Responses[i].CertifiedKeyPair; k != nil {
				n += len(k.Certificate)
			}
		}
	case *CertReqMessages:
		n = 512 * len(m.Requests)
	case *Nested:
		for _, inner := range m.Messages {
			if inner != nil {
				n += len(inner.Raw)
			}
		}
	}
	return n
}

// Marshal encodes the message from its fields, with the protection it has. For
// a message that was read this gives Raw again.
func (m *PKIMessage) Marshal() ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, max(len(m.Raw), 1024)))
	m.add(b)
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal PKIMessage: %w", err)
	}
	return der, nil
}

func (m *PKIMessage) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		m.Header.add(b, m.Header.MessageTime)
		addBody(b, m.Body)
		addTail(b, m.Protection, m.ExtraCerts)
	})
}

func addTail(b *cryptobyte.Builder, protection []byte, extraCerts [][]byte) {
	if protection != nil {
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			pkix.AddBits(b, asn1.BIT_STRING, protection)
		})
	}
	if len(extraCerts) > 0 {
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { addCerts(b, "extraCerts", extraCerts) })
	}
}

func (h *PKIHeader) add(b *cryptobyte.Builder, messageTime time.Time) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(int64(h.PVNO))
		if h.Sender == nil || h.Recipient == nil {
			b.SetError(at("header: sender or recipient", errMissing))
			return
		}
		h.Sender.Add(b)
		h.Recipient.Add(b)
		if !messageTime.IsZero() {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { pkix.AddExactTime(b, messageTime) })
		}
		if !h.ProtectionAlg.IsZero() {
			b.AddASN1(explicit(1), h.ProtectionAlg.Add)
		}
		for i, octets := range [...][]byte{h.SenderKID, h.RecipKID, h.TransactionID, h.SenderNonce, h.RecipNonce} {
			if octets != nil {
				addTaggedOctets(b, uint8(i+2), octets)
			}
		}
		if len(h.FreeText) > 0 {
			b.AddASN1(explicit(7), func(b *cryptobyte.Builder) { addFreeText(b, "header: freeText", h.FreeText) })
		}
		if len(h.GeneralInfo) > 0 {
			b.AddASN1(explicit(8), func(b *cryptobyte.Builder) {
				addList(b, "header: generalInfo", 1, h.GeneralInfo, addInfo)
			})
		}
	})
}

func addTaggedOctets(b *cryptobyte.Builder, n uint8, octets []byte) {
	b.AddASN1(explicit(n), func(b *cryptobyte.Builder) { pkix.AddElement(b, asn1.OCTET_STRING, octets) })
}
