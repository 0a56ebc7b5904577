package cms

import (
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// SignedData of RFC 5652 section 5.1 as received. Its content is had by
// verifying it.
type SignedData struct {
	ContentType pkix.OID
	// Certificates are the X.509 certificates in the order received. They prove
	// nothing by being here.
	Certificates [][]byte

	content []byte
	signers []*signerInfo
}

// signerInfo of RFC 5652 section 5.3.
type signerInfo struct {
	sid       Identifier
	digest    pkix.AlgorithmIdentifier
	attrs     []attribute // nil where absent
	signed    []byte      // the element under the tag SET
	signature pkix.AlgorithmIdentifier
	value     []byte
}

// ParseSignedData reads a SignedData, not a ContentInfo, that is all of b and
// has its content within, and one to [MaxSigners] signatures. Nothing is
// verified. The result refers to b.
func ParseSignedData(b []byte) (*SignedData, error) {
	const where = "signedData"
	seq, err := open(where, b)
	if err != nil {
		return nil, err
	}
	if v, ok := pkix.ReadInt(&seq, asn1.INTEGER); !ok || v < 1 || v > 5 || v == 2 {
		return nil, malformed(where + ": version")
	}
	digests, err := readSet(&seq, asn1.SET, "digestAlgorithms", MaxSigners)
	if err != nil {
		return nil, at(where, err)
	}
	for _, d := range digests {
		in := cryptobyte.String(d)
		if _, ok := pkix.ReadAlgorithm(&in); !ok {
			return nil, malformed(where + ": digestAlgorithms")
		}
	}
	s := &SignedData{}
	var encap, inner, content cryptobyte.String
	var ok bool
	if !seq.ReadASN1(&encap, asn1.SEQUENCE) {
		return nil, malformed(where + ": encapContentInfo")
	}
	if s.ContentType, ok = pkix.ReadOID(&encap); !ok {
		return nil, malformed(where + ": eContentType")
	}
	if !encap.ReadASN1(&inner, cons(0)) || !encap.Empty() || !inner.ReadASN1(&content, asn1.OCTET_STRING) || !inner.Empty() {
		return nil, malformed(where + ": eContent")
	}
	s.content = content
	if seq.PeekASN1Tag(cons(0)) {
		certs, err := readSet(&seq, cons(0), "certificates", MaxCertificates)
		if err != nil {
			return nil, at(where, err)
		}
		for _, c := range certs {
			if asn1.Tag(c[0]) == asn1.SEQUENCE { // else of another kind
				s.Certificates = append(s.Certificates, c)
			}
		}
	}
	if seq.PeekASN1Tag(cons(1)) {
		if _, err := readSet(&seq, cons(1), "crls", MaxCertificates); err != nil {
			return nil, at(where, err)
		}
	}
	infos, err := readSet(&seq, asn1.SET, "signerInfos", MaxSigners)
	if err != nil {
		return nil, at(where, err)
	}
	if len(infos) == 0 {
		return nil, malformed(where + ": signerInfos")
	}
	for _, info := range infos {
		i, err := readSignerInfo(cryptobyte.String(info))
		if err != nil {
			return nil, at(where, err)
		}
		s.signers = append(s.signers, i)
	}
	return s, end(where, seq)
}

func readSignerInfo(in cryptobyte.String) (*signerInfo, error) {
	const where = "signerInfo"
	var seq, value cryptobyte.String
	if !in.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, malformed(where)
	}
	version, ok := pkix.ReadInt(&seq, asn1.INTEGER)
	if !ok || version != 1 && version != 3 {
		return nil, malformed(where + ": version")
	}
	i := &signerInfo{}
	if i.sid, ok = readIdentifier(&seq); !ok || (i.sid.KeyID != nil) != (version == 3) {
		return nil, malformed(where + ": sid")
	}
	if i.digest, ok = pkix.ReadAlgorithm(&seq); !ok {
		return nil, malformed(where + ": digestAlgorithm")
	}
	var err error
	if seq.PeekASN1Tag(cons(0)) {
		if i.attrs, i.signed, err = readAttributes(&seq, cons(0), "signedAttrs", true); err != nil {
			return nil, at(where, err)
		}
	}
	if i.signature, ok = pkix.ReadAlgorithm(&seq); !ok || !seq.ReadASN1(&value, asn1.OCTET_STRING) {
		return nil, malformed(where + ": signature")
	}
	i.value = value
	if seq.PeekASN1Tag(cons(1)) {
		if _, _, err := readAttributes(&seq, cons(1), "unsignedAttrs", false); err != nil {
			return nil, at(where, err)
		}
	}
	return i, end(where, seq)
}
