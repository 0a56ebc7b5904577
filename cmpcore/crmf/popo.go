package crmf

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// readPOPO takes a ProofOfPossession off s, if one comes next.
func readPOPO(s *cryptobyte.String) (ProofOfPossession, error) {
	var c cryptobyte.String
	switch {
	case s.PeekASN1Tag(prim(0)):
		if !s.ReadASN1(&c, prim(0)) || !c.Empty() {
			return nil, malformed("raVerified")
		}
		return RAVerified{}, nil
	case s.PeekASN1Tag(cons(1)):
		if !s.ReadASN1(&c, cons(1)) {
			return nil, malformed("signature")
		}
		return readSigningKey(c)
	case s.PeekASN1Tag(cons(KeyEncipherment)):
		return readPrivKey(s, KeyEncipherment)
	case s.PeekASN1Tag(cons(KeyAgreement)):
		return readPrivKey(s, KeyAgreement)
	}
	return nil, nil
}

func (RAVerified) add(b *cryptobyte.Builder) { pkix.AddElement(b, prim(0), nil) }

func readSigningKey(c cryptobyte.String) (*POPOSigningKey, error) {
	p := new(POPOSigningKey)
	if c.PeekASN1Tag(cons(0)) {
		raw, ok := retag(&c, cons(0))
		if !ok {
			return nil, malformed("signature: poposkInput")
		}
		in, err := readSigningKeyInput(raw)
		if err != nil {
			return nil, at("signature: poposkInput", err)
		}
		p.Input = in
	}
	var ok bool
	if p.Algorithm, ok = pkix.ReadAlgorithm(&c); !ok {
		return nil, malformed("signature: algorithmIdentifier")
	}
	if p.Signature, ok = pkix.ReadBits(&c, asn1.BIT_STRING); !ok {
		return nil, malformed("signature: signature")
	}
	if !c.Empty() {
		return nil, at("signature", unexpected(c))
	}
	return p, nil
}

func (p *POPOSigningKey) add(b *cryptobyte.Builder) {
	b.AddASN1(cons(1), func(b *cryptobyte.Builder) {
		if p.Input != nil {
			p.Input.add(b, cons(0))
		}
		p.Algorithm.Add(b)
		pkix.AddBits(b, asn1.BIT_STRING, p.Signature)
	})
}

func retag(s *cryptobyte.String, tag asn1.Tag) ([]byte, bool) {
	return pkix.ReadRetagged(s, tag, asn1.SEQUENCE)
}

func readSigningKeyInput(raw []byte) (*POPOSigningKeyInput, error) {
	in := &POPOSigningKeyInput{Raw: raw}
	s := cryptobyte.String(raw)
	var seq cryptobyte.String
	s.ReadASN1(&seq, asn1.SEQUENCE)
	var ok bool
	if seq.PeekASN1Tag(cons(0)) {
		var c cryptobyte.String
		if !seq.ReadASN1(&c, cons(0)) {
			return nil, malformed("sender")
		}
		if in.Sender, ok = pkix.ReadGeneralName(&c); !ok || !c.Empty() {
			return nil, malformed("sender")
		}
	} else {
		mac, err := ReadPKMACValue(&seq, asn1.SEQUENCE)
		if err != nil {
			return nil, at("publicKeyMAC", err)
		}
		in.PublicKeyMAC = mac
	}
	if in.PublicKey, ok = pkix.ReadSubjectPublicKeyInfo(&seq); !ok {
		return nil, malformed("publicKey")
	}
	if !seq.Empty() {
		return nil, unexpected(seq)
	}
	return in, nil
}

func (in *POPOSigningKeyInput) add(b *cryptobyte.Builder, tag asn1.Tag) {
	if (in.Sender == nil) == (in.PublicKeyMAC == nil) {
		b.SetError(fmt.Errorf("poposkInput: exactly one of sender and publicKeyMAC must be set"))
		return
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		if in.Sender != nil {
			pkix.AddElement(b, cons(0), in.Sender)
		} else {
			in.PublicKeyMAC.Add(b, asn1.SEQUENCE)
		}
		in.PublicKey.Add(b)
	})
}

// Bytes gives the DER of the fields under the SEQUENCE tag: what the signature
// covers.
func (in *POPOSigningKeyInput) Bytes() ([]byte, error) {
	var b cryptobyte.Builder
	in.add(&b, asn1.SEQUENCE)
	return b.Bytes()
}

// ReadPKMACValue takes a PKMACValue off s, tagged SEQUENCE or implicitly.
func ReadPKMACValue(s *cryptobyte.String, tag asn1.Tag) (*PKMACValue, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, tag) {
		return nil, errForm
	}
	v := new(PKMACValue)
	var ok bool
	if v.Algorithm, ok = pkix.ReadAlgorithm(&seq); !ok {
		return nil, malformed("algId")
	}
	if v.Value, ok = pkix.ReadBits(&seq, asn1.BIT_STRING); !ok {
		return nil, malformed("value")
	}
	if !seq.Empty() {
		return nil, unexpected(seq)
	}
	return v, nil
}

// Add appends the PKMACValue, tagged SEQUENCE or implicitly.
func (v *PKMACValue) Add(b *cryptobyte.Builder, tag asn1.Tag) {
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		v.Algorithm.Add(b)
		pkix.AddBits(b, asn1.BIT_STRING, v.Value)
	})
}

var popoUses = map[int]string{KeyEncipherment: "keyEncipherment", KeyAgreement: "keyAgreement"}

// readPrivKey reads POPOPrivKey, a CHOICE and therefore explicitly tagged.
func readPrivKey(s *cryptobyte.String, use int) (*POPOPrivKey, error) {
	var c cryptobyte.String
	if !s.ReadASN1(&c, cons(uint8(use))) || c.Empty() {
		return nil, malformed(popoUses[use])
	}
	p := &POPOPrivKey{Use: use}
	if err := p.read(&c); err != nil {
		return nil, at(popoUses[use], err)
	}
	if !c.Empty() {
		return nil, at(popoUses[use], unexpected(c))
	}
	return p, nil
}

func (p *POPOPrivKey) read(c *cryptobyte.String) (err error) {
	var ok bool
	switch asn1.Tag((*c)[0]) {
	case prim(ThisMessage):
		p.Form = ThisMessage
		if p.Bits, ok = pkix.ReadBits(c, prim(ThisMessage)); !ok {
			return malformed("thisMessage")
		}
	case prim(SubsequentMessage):
		p.Form = SubsequentMessage
		n, ok := pkix.ReadInt(c, prim(SubsequentMessage))
		if !ok || n != EncrCert && n != ChallengeResp {
			return malformed("subsequentMessage")
		}
		p.Subsequent = int(n)
	case prim(DHMAC):
		p.Form = DHMAC
		if p.Bits, ok = pkix.ReadBits(c, prim(DHMAC)); !ok {
			return malformed("dhMAC")
		}
	case cons(AgreeMAC):
		p.Form = AgreeMAC
		if p.MAC, err = ReadPKMACValue(c, cons(AgreeMAC)); err != nil {
			return at("agreeMAC", err)
		}
	case cons(EncryptedKeyPOP):
		p.Form = EncryptedKeyPOP
		if p.Enveloped, err = readEnveloped(c, cons(EncryptedKeyPOP)); err != nil {
			return at("encryptedKey", err)
		}
	default:
		return unexpected(*c)
	}
	return nil
}

func (p *POPOPrivKey) add(b *cryptobyte.Builder) {
	if popoUses[p.Use] == "" {
		b.SetError(fmt.Errorf("popo: %d is neither keyEncipherment nor keyAgreement", p.Use))
		return
	}
	b.AddASN1(cons(uint8(p.Use)), func(b *cryptobyte.Builder) {
		switch p.Form {
		case ThisMessage, DHMAC:
			pkix.AddBits(b, prim(uint8(p.Form)), p.Bits)
		case SubsequentMessage:
			b.AddASN1Int64WithTag(int64(p.Subsequent), prim(SubsequentMessage))
		case AgreeMAC:
			if p.MAC == nil {
				b.SetError(at("popo: agreeMAC", errMissing))
				return
			}
			p.MAC.Add(b, cons(AgreeMAC))
		case EncryptedKeyPOP:
			pkix.AddRetagged(b, cons(EncryptedKeyPOP), p.Enveloped)
		default:
			b.SetError(fmt.Errorf("popo: no form %d of POPOPrivKey", p.Form))
		}
	})
}
