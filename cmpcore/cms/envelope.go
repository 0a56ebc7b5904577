package cms

import (
	"crypto/aes"
	"fmt"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// Envelope is an EnvelopedData of RFC 5652 section 6.1, or an AuthEnvelopedData
// of RFC 5083 section 2.1, as received.
type Envelope struct {
	// ContentType is that of what is encrypted: OIDSignedData for a private
	// key, OIDData for a certificate.
	ContentType pkix.OID
	// Cipher is the content encryption algorithm.
	Cipher pkix.AlgorithmIdentifier
	// Authenticated tells an AuthEnvelopedData.
	Authenticated bool
	// LocalKeyID is the attribute localKeyId of an EnvelopedData, by which RFC
	// 9810 appendix B names a revocation passphrase; nil where absent. Nothing
	// protects it.
	LocalKeyID []byte

	recipients []*recipientInfo
	encrypted  []byte
	mac        []byte // of an AuthEnvelopedData
	authAttrs  []byte // the element under the tag SET; nil where absent
}

// RecipientInfo tells for whom the content is encrypted. A KeyAgreeRecipientInfo
// for several counts as several.
type RecipientInfo struct {
	Technique Technique
	ID        Identifier // zero for Password and Unknown
	Algorithm pkix.AlgorithmIdentifier
}

// recipientInfo is a RecipientInfo that can be opened.
type recipientInfo struct {
	technique Technique
	id        Identifier
	alg       pkix.AlgorithmIdentifier
	// open gives the content encryption key, of size octets. It is nil for what
	// is not known; errOtherKey is a key of another kind.
	open func(rand io.Reader, key *Key, p *Policy, size int) ([]byte, error)
}

// Recipients lists for whom the content is encrypted: 1 to [MaxRecipients]. RFC
// 9810 section 5.2.2 wants one.
func (e *Envelope) Recipients() []RecipientInfo {
	list := make([]RecipientInfo, len(e.recipients))
	for i, r := range e.recipients {
		list[i] = RecipientInfo{r.technique, r.id, r.alg}
	}
	return list
}

// ParseEnvelopedData reads an EnvelopedData, such as Enveloped of a
// crmf.EncryptedKey, which is all of b. Nothing is decrypted. The result refers
// to b.
func ParseEnvelopedData(b []byte) (*Envelope, error) {
	const where = "envelopedData"
	seq, err := open(where, b)
	if err != nil {
		return nil, err
	}
	e := &Envelope{}
	// RFC 5652 and RFC 9483 differ in the version for passwords.
	if v, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || v < 0 || v > 4 || v == 1 {
		return nil, malformed(where + ": version")
	}
	if err := e.readRecipients(&seq); err != nil {
		return nil, at(where, err)
	}
	if err := e.readContent(&seq); err != nil {
		return nil, at(where, err)
	}
	if seq.PeekASN1Tag(cons(1)) {
		attrs, _, err := readAttributes(&seq, cons(1), "unprotectedAttrs", false)
		if err == nil {
			e.LocalKeyID, err = localKeyID(attrs)
		}
		if err != nil {
			return nil, at(where, err)
		}
	}
	return e, end(where, seq)
}

func localKeyID(attrs []attribute) ([]byte, error) {
	v, present, ok := single(attrs, oidLocalKeyID)
	if !present {
		return nil, nil
	}
	var id cryptobyte.String
	if !ok || !v.ReadASN1(&id, asn1.OCTET_STRING) || !v.Empty() || len(id) == 0 {
		return nil, malformed("localKeyId")
	}
	return id, nil
}

// ParseAuthEnvelopedData reads an AuthEnvelopedData that is all of b. Nothing
// is decrypted. The result refers to b.
func ParseAuthEnvelopedData(b []byte) (*Envelope, error) {
	const where = "authEnvelopedData"
	seq, err := open(where, b)
	if err != nil {
		return nil, err
	}
	e := &Envelope{Authenticated: true}
	if v, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || v != 0 {
		return nil, malformed(where + ": version")
	}
	if err := e.readRecipients(&seq); err != nil {
		return nil, at(where, err)
	}
	if err := e.readContent(&seq); err != nil {
		return nil, at(where, err)
	}
	var attrs []attribute
	if seq.PeekASN1Tag(cons(1)) {
		if attrs, e.authAttrs, err = readAttributes(&seq, cons(1), "authAttrs", true); err != nil {
			return nil, at(where, err)
		}
	}
	// RFC 5083 section 2.1: they must be there for another type than data, and
	// must then name it.
	if (attrs != nil || e.ContentType != OIDData) && !contentTypeIs(attrs, e.ContentType) {
		return nil, malformed(where + ": content-type attribute")
	}
	var mac cryptobyte.String
	if !seq.ReadASN1(&mac, asn1.OCTET_STRING) {
		return nil, malformed(where + ": mac")
	}
	e.mac = mac
	if seq.PeekASN1Tag(cons(2)) {
		if _, _, err := readAttributes(&seq, cons(2), "unauthAttrs", false); err != nil {
			return nil, at(where, err)
		}
	}
	return e, end(where, seq)
}

// readRecipients takes originatorInfo, which is only bounded, and
// recipientInfos off s.
func (e *Envelope) readRecipients(s *cryptobyte.String) error {
	if s.PeekASN1Tag(cons(0)) {
		var info cryptobyte.String
		if !s.ReadASN1(&info, cons(0)) {
			return malformed("originatorInfo")
		}
		for n, of := range []string{"originatorInfo: certs", "originatorInfo: crls"} {
			if info.PeekASN1Tag(cons(uint8(n))) {
				if _, err := readSet(&info, cons(uint8(n)), of, MaxCertificates); err != nil {
					return err
				}
			}
		}
		if err := end("originatorInfo", info); err != nil {
			return err
		}
	}
	list, err := readSet(s, asn1.SET, "recipientInfos", MaxRecipients)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return malformed("recipientInfos")
	}
	for _, info := range list {
		in := cryptobyte.String(info)
		var r *recipientInfo
		var err error
		switch asn1.Tag(info[0]) {
		case asn1.SEQUENCE:
			r, err = readKeyTransport(&in)
		case cons(1):
			var several []*recipientInfo
			if several, err = readKeyAgreement(&in, MaxRecipients-len(e.recipients)); err != nil {
				return err
			}
			e.recipients = append(e.recipients, several...)
			continue
		case cons(2):
			r = &recipientInfo{technique: Unknown} // KEKRecipientInfo
		case cons(3):
			r, err = readPassword(&in)
		case cons(4):
			r, err = readOther(&in)
		default:
			return fmt.Errorf("recipientInfos: element with tag 0x%02x: %w", info[0], ErrMalformed)
		}
		if err != nil {
			return err
		}
		if len(e.recipients) == MaxRecipients {
			return at("recipients", ErrTooLarge)
		}
		e.recipients = append(e.recipients, r)
	}
	return nil
}

// readContent takes an EncryptedContentInfo off s. The content must be there,
// in one piece.
func (e *Envelope) readContent(s *cryptobyte.String) error {
	const where = "encryptedContentInfo"
	var seq, encrypted cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return malformed(where)
	}
	var ok bool
	if e.ContentType, ok = pkix.ReadOID(&seq); !ok {
		return malformed(where + ": contentType")
	}
	if e.Cipher, ok = pkix.ReadAlgorithm(&seq); !ok {
		return malformed(where + ": contentEncryptionAlgorithm")
	}
	if !seq.ReadASN1(&encrypted, prim(0)) {
		return malformed(where + ": encryptedContent")
	}
	e.encrypted = encrypted
	return end(where, seq)
}

// decrypter reads the cipher's parameters and gives the size of its key, and
// the function that decrypts.
func (e *Envelope) decrypter() (size int, decrypt func(key []byte) ([]byte, error), err error) {
	c, err := cipherByOID(e.Cipher.OID, e.Authenticated)
	if err != nil {
		return 0, nil, err
	}
	if e.Authenticated {
		nonce, tag, err := readGCM(e.Cipher)
		if err != nil {
			return 0, nil, err
		}
		if len(e.mac) != tag {
			return 0, nil, malformed("mac")
		}
		return c.keySize, func(key []byte) ([]byte, error) {
			return decryptGCM(key, nonce, e.encrypted, e.mac, e.authAttrs)
		}, nil
	}
	iv, ok := readIV(e.Cipher)
	if !ok {
		return 0, nil, badParameters("AES-CBC")
	}
	if len(e.encrypted) == 0 || len(e.encrypted)%aes.BlockSize != 0 {
		return 0, nil, malformed("encryptedContent")
	}
	return c.keySize, func(key []byte) ([]byte, error) { return decryptCBC(key, iv, e.encrypted) }, nil
}
