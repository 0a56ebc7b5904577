package keyfile

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var errTooMany = fmt.Errorf("more than %d certificates or CRLs", MaxCertificates)

// sequence is how a file of several elements of one kind is read: PEM blocks, or
// DER one after another.
type sequence struct {
	what string                         // an element, for errors
	pem  func(*pem.Block) (bool, error) // whether a block is one; else it is passed over
	der  func([]byte) bool              // whether the DER is one
	bad  string                         // what is wrong where it is not
	none string                         // the error of a file without any
}

func (s sequence) parse(data []byte) (list [][]byte, err error) {
	at := func(err error) error { return fmt.Errorf("%s %d: %w", s.what, len(list)+1, err) }
	if len(data) > 0 && data[0] == 0x30 {
		in := cryptobyte.String(data)
		for !in.Empty() {
			var c cryptobyte.String
			if !in.ReadASN1Element(&c, asn1.SEQUENCE) || !s.der(c) {
				return nil, at(errors.New(s.bad))
			}
			if list = append(list, c); len(list) > MaxCertificates {
				return nil, errTooMany
			}
		}
		return list, nil
	}
	begin, damaged := []byte("-----BEGIN"), errors.New("damaged PEM")
	for {
		b, rest := pem.Decode(data)
		if b == nil {
			break
		}
		// The decoder passes over blocks that it cannot read; here a chain with
		// a hole is an error.
		if bytes.Count(data[:len(data)-len(rest)], begin) > 1 {
			return nil, at(damaged)
		}
		data = rest
		take, err := s.pem(b)
		if err != nil {
			return nil, at(err)
		}
		if !take {
			continue
		}
		if list = append(list, b.Bytes); len(list) > MaxCertificates {
			return nil, errTooMany
		}
	}
	if bytes.Contains(data, begin) {
		return nil, at(damaged)
	}
	if len(list) == 0 {
		return nil, errors.New(s.none)
	}
	return list, nil
}
