package cmp

import (
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/der"
)

// Limits bound what [Parse] accepts. A zero field means the default.
type Limits struct {
	// DER bounds the octets, the depth and the elements of the whole message.
	DER der.Limits
	// CertRequests bounds the entries of a body: requests, responses,
	// revocations, confirmations, challenges, polls. Default 1,000.
	CertRequests int
	// ExtraCerts bounds extraCerts and every other list of certificates or
	// CRLs. Default 100.
	ExtraCerts int
	// GeneralInfo bounds generalInfo and the entries of genm and genp, and the
	// lists inside them. Default 100.
	GeneralInfo int
	// FreeText bounds the strings of one PKIFreeText. Default 100.
	FreeText int
	// NestedMessages bounds the messages of one nested body. Default 1,000.
	NestedMessages int
	// NestedDepth is how many nested bodies may be around a message. Default 3.
	NestedDepth int
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.CertRequests, 1000},
		{&l.ExtraCerts, 100},
		{&l.GeneralInfo, 100},
		{&l.FreeText, 100},
		{&l.NestedMessages, 1000},
		{&l.NestedDepth, 3},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return l
}

// MaxNestedDepth is NestedDepth, or what stands for zero.
func (l Limits) MaxNestedDepth() int { return l.withDefaults().NestedDepth }

// The classes of errors of [Parse], for errors.Is.
var (
	// ErrNotPKIMessage: the input is not DER, exceeds the limits on DER, or is
	// something else than a PKIMessage. There is nothing that could be
	// answered, and Parse returns no message.
	ErrNotPKIMessage = errors.New("not a PKIMessage")
	// ErrHeader: a field of the header is malformed. The message has the other
	// fields, and no body.
	ErrHeader = errors.New("malformed PKIMessage header")
	// ErrBody: the header is good, but the body, the protection or extraCerts
	// are malformed. The message has no body.
	ErrBody = errors.New("malformed PKIMessage")
	// ErrLimit: a list is longer than the limits allow. It comes with ErrHeader
	// or ErrBody.
	ErrLimit = errors.New("too many entries")
)

var (
	errForm    = errors.New("not the type it should be, or not DER")
	errMissing = errors.New("missing")
	errEmpty   = errors.New("empty, though it must have an entry")
)

func at(where string, err error) error { return fmt.Errorf("%s: %w", where, err) }

func malformed(where string) error { return at(where, errForm) }

func unexpected(s cryptobyte.String) error {
	return fmt.Errorf("unexpected element with tag 0x%02x", s[0])
}

func explicit(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// readList takes a SEQUENCE OF off s. With atLeast 1 an empty one is refused.
func readList[T any](s *cryptobyte.String, atLeast, limit int, read func(*cryptobyte.String) (T, error)) ([]T, error) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, asn1.SEQUENCE) {
		return nil, errForm
	}
	if seq.Empty() && atLeast > 0 {
		return nil, errEmpty
	}
	var list []T
	for !seq.Empty() {
		if len(list) == limit {
			return nil, fmt.Errorf("%w: the limit is %d", ErrLimit, limit)
		}
		v, err := read(&seq)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", len(list), err)
		}
		list = append(list, v)
	}
	return list, nil
}

// addList appends a SEQUENCE OF at least atLeast entries.
func addList[T any](b *cryptobyte.Builder, where string, atLeast int, list []T, add func(*cryptobyte.Builder, *T)) {
	if len(list) < atLeast {
		b.SetError(at(where, errEmpty))
		return
	}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for i := range list {
			add(b, &list[i])
		}
	})
}

// inside takes the explicit tag n off s and reads what it holds, if it is there.
func inside(s *cryptobyte.String, n uint8, where string, read func(*cryptobyte.String) error) error {
	if !s.PeekASN1Tag(explicit(n)) {
		return nil
	}
	var c cryptobyte.String
	if !s.ReadASN1(&c, explicit(n)) {
		return malformed(where)
	}
	if err := whole(&c, read); err != nil {
		return at(where, err)
	}
	return nil
}

// whole reads c to its end.
func whole(c *cryptobyte.String, read func(*cryptobyte.String) error) error {
	if err := read(c); err != nil {
		return err
	}
	if !c.Empty() {
		return unexpected(*c)
	}
	return nil
}

// readCert takes a CMPCertificate or a CertificateList off s and keeps its DER.
// What is inside is for those who verify it.
func readCert(s *cryptobyte.String) ([]byte, error) {
	var e cryptobyte.String
	if !s.ReadASN1Element(&e, asn1.SEQUENCE) {
		return nil, errForm
	}
	return e, nil
}

func addCert(b *cryptobyte.Builder, cert *[]byte) {
	if len(*cert) == 0 || asn1.Tag((*cert)[0]) != asn1.SEQUENCE {
		b.SetError(errors.New("a certificate or CRL that is none"))
		return
	}
	b.AddBytes(*cert)
}

func addCerts(b *cryptobyte.Builder, where string, list [][]byte) {
	addList(b, where, 1, list, addCert)
}
