package cms

import (
	"crypto"
	"crypto/rsa"
	"io"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

var (
	oidRSA        = pkix.MustOID("1.2.840.113549.1.1.1")
	oidOAEP       = pkix.MustOID("1.2.840.113549.1.1.7")
	oidMGF1       = pkix.MustOID("1.2.840.113549.1.1.8")
	oidPSpecified = pkix.MustOID("1.2.840.113549.1.1.9")
)

// keyTransport is KeyTransRecipientInfo of RFC 5652 section 6.2.1.
type keyTransport struct {
	alg       pkix.AlgorithmIdentifier
	encrypted []byte
}

// transportTo makes a recipient with RSAES-OAEP (RFC 3560).
func transportTo(pub *rsa.PublicKey, o RecipientOptions) (*Recipient, error) {
	h := o.Hash
	if h == 0 {
		h = crypto.SHA256
	}
	hash := alg.HashAlgorithm(h)
	if hash.IsZero() || !h.Available() {
		return nil, unsupported("RSAES-OAEP with hash %d", h)
	}
	// NULL follows the identifiers in these parameters (RFC 4055 section 2.1).
	hash.Parameters = pkix.Null
	var params cryptobyte.Builder
	params.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cons(0), hash.Add)
		b.AddASN1(cons(1), pkix.AlgorithmIdentifier{OID: oidMGF1, Parameters: hash.Bytes()}.Add)
	})
	a := pkix.AlgorithmIdentifier{OID: oidOAEP, Parameters: params.BytesOrPanic()}
	version, envelope := int64(0), 0
	if o.ID.KeyID != nil {
		version, envelope = 2, 2
	}
	return &Recipient{KeyTransport, envelope, func(rand io.Reader, cek []byte) ([]byte, error) {
		encrypted, err := rsa.EncryptOAEP(h.New(), rand, pub, cek, nil)
		if err != nil {
			return nil, at("RSAES-OAEP", err)
		}
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(version)
			o.ID.add(b)
			a.Add(b)
			b.AddASN1OctetString(encrypted)
		})
		return b.Bytes()
	}}, nil
}

func readKeyTransport(s *cryptobyte.String) (*recipientInfo, error) {
	const where = "ktri"
	var seq, encrypted cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, malformed(where)
	}
	version, ok := pkix.ReadInt(&seq, asn1.INTEGER)
	if !ok || version != 0 && version != 2 {
		return nil, malformed(where + ": version")
	}
	r, k := &recipientInfo{technique: KeyTransport}, &keyTransport{}
	if r.id, ok = readIdentifier(&seq); !ok || (r.id.KeyID != nil) != (version == 2) {
		return nil, malformed(where + ": rid")
	}
	if k.alg, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&encrypted, asn1.OCTET_STRING) {
		return nil, malformed(where)
	}
	k.encrypted = encrypted
	r.open, r.alg = k.open, k.alg
	return r, end(where, seq)
}

// open gives a random key where the one in the message does not decrypt: what
// an attacker learns is the same as from a content that does not (RFC 3218
// section 2.3.2).
func (k *keyTransport) open(rand io.Reader, key *Key, p *Policy, size int) ([]byte, error) {
	d, ok := key.Private.(crypto.Decrypter)
	if !ok {
		return nil, errOtherKey
	}
	pub, ok := d.Public().(*rsa.PublicKey)
	if !ok {
		return nil, errOtherKey
	}
	var opts crypto.DecrypterOpts
	switch k.alg.OID {
	case oidOAEP:
		o, err := readOAEP(k.alg.Parameters)
		if err != nil {
			return nil, err
		}
		if p.RefuseSHA1 && (o.Hash == crypto.SHA1 || o.MGFHash == crypto.SHA1) {
			return nil, forbidden("RSAES-OAEP with SHA-1")
		}
		opts = o
	case oidRSA:
		if k.alg.Parameters != nil && string(k.alg.Parameters) != string(pkix.Null) {
			return nil, badParameters("rsaEncryption")
		}
		if !p.AllowPKCS1v15 {
			return nil, forbidden("RSA encryption of PKCS #1 v1.5")
		}
		//lint:ignore SA1019 read only where a policy asks for it, with a session key of fixed length: no oracle (RFC 3218)
		opts = &rsa.PKCS1v15DecryptOptions{SessionKeyLen: size}
	default:
		return nil, unsupported("key transport %s", short(k.alg.OID))
	}
	random := make([]byte, size)
	if _, err := io.ReadFull(rand, random); err != nil {
		return nil, err
	}
	if len(k.encrypted) != pub.Size() {
		return random, nil
	}
	cek, err := d.Decrypt(rand, k.encrypted, opts)
	if err != nil || len(cek) != size {
		clear(cek)
		return random, nil
	}
	return cek, nil
}

// readOAEP reads RSAES-OAEP-params of RFC 4055 section 4.1. A default written
// out is not DER, but no ambiguity either.
func readOAEP(params []byte) (*rsa.OAEPOptions, error) {
	bad := badParameters("RSAES-OAEP")
	in := cryptobyte.String(params)
	var seq, field, label cryptobyte.String
	var present bool
	o := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	if !in.ReadASN1(&seq, asn1.SEQUENCE) || !in.Empty() || !seq.ReadOptionalASN1(&field, &present, cons(0)) {
		return nil, bad
	}
	var err error
	if present {
		if o.Hash, err = readHash(field, "RSAES-OAEP"); err != nil {
			return nil, err
		}
	}
	if !seq.ReadOptionalASN1(&field, &present, cons(1)) {
		return nil, bad
	}
	if present {
		a, ok := pkix.ReadAlgorithm(&field)
		switch {
		case !ok || !field.Empty():
			return nil, bad
		case a.OID != oidMGF1:
			return nil, unsupported("RSAES-OAEP mask generation %s", short(a.OID))
		}
		if o.MGFHash, err = readHash(a.Parameters, "RSAES-OAEP mask generation"); err != nil {
			return nil, err
		}
	}
	if !seq.ReadOptionalASN1(&field, &present, cons(2)) || !seq.Empty() {
		return nil, bad
	}
	if present {
		a, ok := pkix.ReadAlgorithm(&field)
		source := cryptobyte.String(a.Parameters)
		switch {
		case !ok || !field.Empty():
			return nil, bad
		case a.OID != oidPSpecified:
			return nil, unsupported("RSAES-OAEP label source %s", short(a.OID))
		case !source.ReadASN1(&label, asn1.OCTET_STRING) || !source.Empty():
			return nil, bad
		case len(label) > maxLabel:
			return nil, forbidden("RSAES-OAEP with a label of %d octets", len(label))
		}
		o.Label = label
	}
	return o, nil
}

func readHash(der []byte, of string) (crypto.Hash, error) {
	in := cryptobyte.String(der)
	a, ok := pkix.ReadAlgorithm(&in)
	if !ok || !in.Empty() {
		return 0, badParameters(of)
	}
	h, err := alg.HashByAlgorithm(a)
	if err != nil {
		return 0, at(of, err)
	}
	return h, nil
}
