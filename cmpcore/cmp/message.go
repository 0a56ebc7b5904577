package cmp

import (
	"time"

	"cmp-batch/cmpcore/pkix"
)

// PKIMessage of RFC 9810 section 5.1. What [Parse] returns refers to its input.
type PKIMessage struct {
	Raw    []byte // the message as received; nil in one being built
	Header PKIHeader
	Body   Body // nil where Parse found it malformed

	// RawBody is the PKIBody as received, with its outer tag.
	RawBody []byte

	// Protection is the contents of the BIT STRING without the unused-bits
	// octet (which must be 0), nil where absent.
	Protection []byte

	ExtraCerts [][]byte // CMPCertificate elements, whole DER, in order
}

// PKIHeader of RFC 9810 section 5.1.1. Zero fields are absent; an octet string
// that is empty but not nil is there and empty.
type PKIHeader struct {
	Raw           []byte
	PVNO          int
	Sender        pkix.GeneralName
	Recipient     pkix.GeneralName
	MessageTime   time.Time
	ProtectionAlg pkix.AlgorithmIdentifier
	SenderKID     []byte
	RecipKID      []byte
	TransactionID []byte
	SenderNonce   []byte
	RecipNonce    []byte
	FreeText      []string
	GeneralInfo   []InfoTypeAndValue
}

// InfoTypeAndValue of RFC 9810 section 5.1.1. Value is the whole DER of
// infoValue, nil where absent.
type InfoTypeAndValue struct {
	Type  pkix.OID
	Value []byte
}
