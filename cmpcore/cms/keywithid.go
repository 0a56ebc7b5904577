package cms

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// OIDKeyWithID is id-ct-encKeyWithID: the content of what archives a private key
// (RFC 4211 section 6.4).
var OIDKeyWithID = pkix.MustOID("1.2.840.113549.1.9.16.1.21")

// KeyWithID is an EncKeyWithID of RFC 4211 section 6.4: a private key and whose it is.
type KeyWithID struct {
	Key *OneAsymmetricKey
	// Name is whose key it is, and Text the same as a UTF8String; at most one is set.
	Name pkix.GeneralName
	Text string
}

// MarshalKeyWithID makes an EncKeyWithID. The caller clears it.
func MarshalKeyWithID(k *KeyWithID) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		(&OneAsymmetricKey{Algorithm: k.Key.Algorithm, PrivateKey: k.Key.PrivateKey}).add(b)
		switch {
		case k.Name != nil:
			b.AddBytes(k.Name)
		case k.Text != "":
			pkix.AddUTF8(b, k.Text)
		}
	})
	return b.Bytes()
}

// ParseKeyWithID reads an EncKeyWithID that is all of b. The result refers to b.
func ParseKeyWithID(b []byte) (*KeyWithID, error) {
	const where = "encKeyWithID"
	seq, err := open(where, b)
	if err != nil {
		return nil, err
	}
	var key cryptobyte.String
	if !seq.ReadASN1(&key, asn1.SEQUENCE) {
		return nil, malformed(where)
	}
	k := &KeyWithID{}
	if k.Key, err = readKey(key); err != nil {
		return nil, at(where, err)
	}
	var text cryptobyte.String
	var ok bool
	switch {
	case seq.Empty():
	case seq.PeekASN1Tag(asn1.UTF8String):
		if !seq.ReadASN1(&text, asn1.UTF8String) {
			return nil, malformed(where + ": identifier")
		}
		k.Text = string(text)
	default:
		if k.Name, ok = pkix.ReadGeneralName(&seq); !ok {
			return nil, malformed(where + ": identifier")
		}
	}
	return k, end(where, seq)
}
