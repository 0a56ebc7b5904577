package certpath

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// CRL is a list of revoked certificates, read once. It may be used by many
// goroutines.
type CRL struct {
	list    *x509.RevocationList
	revoked map[string]bool // by serial; true: only on hold
	scope   scope

	mu      sync.Mutex
	signers map[[32]byte]bool // whether these keys signed it
}

// scope is of which certificates the CRL speaks (RFC 5280 section 5.2.5).
type scope struct {
	raw      []byte // issuingDistributionPoint; nil: all
	users    bool   // of end entities only
	cas      bool   // of CAs only
	urls     []string
	narrowed bool // in a way that is not read here: it may revoke, but acquits nobody
}

// ErrDelta is of a CRL that only says what changed, and ErrIndirect of one that
// speaks for other issuers. Neither can be used by itself.
var (
	ErrDelta    = errors.New("a delta CRL is not supported; give the complete one")
	ErrIndirect = errors.New("an indirect CRL is not supported; give the one of the issuer itself")
)

// ParseCRL reads a complete CRL of version 2. Its signature is checked where it
// is used. Errors may wrap [ErrDelta] or [ErrIndirect].
func ParseCRL(der []byte) (*CRL, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("CRL: %w", err)
	}
	c := &CRL{list: l, revoked: make(map[string]bool, len(l.RevokedCertificateEntries))}
	for i := range l.RevokedCertificateEntries {
		e := &l.RevokedCertificateEntries[i]
		for _, x := range e.Extensions {
			// certificateIssuer of an indirect CRL changes whose serial it is.
			c.scope.narrowed = c.scope.narrowed || x.Critical
		}
		c.revoked[string(e.SerialNumber.Bytes())] = pkix.CRLReason(e.ReasonCode) == pkix.ReasonCertificateHold
	}
	l.RevokedCertificateEntries = nil
	for _, x := range l.Extensions {
		switch x.Id.String() {
		case "2.5.29.27":
			return nil, fmt.Errorf("CRL: %w", ErrDelta)
		case "2.5.29.28":
			if err := c.scope.read(x.Value); err != nil {
				return nil, fmt.Errorf("CRL: %w", err)
			}
		default:
			c.scope.narrowed = c.scope.narrowed || x.Critical
		}
	}
	return c, nil
}

// read reads issuingDistributionPoint.
func (s *scope) read(der []byte) error {
	malformed := errors.New("issuingDistributionPoint is malformed")
	s.raw = der
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() {
		return malformed
	}
	for last := -1; !seq.Empty(); {
		var v cryptobyte.String
		var tag casn1.Tag
		if !seq.ReadAnyASN1(&v, &tag) {
			return malformed
		}
		n := int(tag & 0x1f)
		if tag&0xc0 != 0x80 || n <= last || n > 5 || (tag&0x20 != 0) != (n == 0) {
			return malformed
		}
		last = n
		if n == 0 {
			if s.urls = uniformNames(v); len(s.urls) == 0 {
				s.narrowed = true // certificates name it in a way that is not compared
			}
			continue
		}
		if n == 3 {
			s.narrowed = true // some reasons: another CRL may have the others
			continue
		}
		if len(v) != 1 || v[0] != 0 && v[0] != 0xff {
			return malformed
		}
		set := v[0] != 0
		switch n {
		case 1:
			s.users = set
		case 2:
			s.cas = set
		case 4, 5:
			if set && n == 4 {
				return ErrIndirect
			}
			s.narrowed = s.narrowed || set // attribute certificates are none of ours
		}
	}
	return nil
}

// uniformNames gives the URIs of a DistributionPointName that is a fullName.
func uniformNames(name cryptobyte.String) (urls []string) {
	var full cryptobyte.String
	if !name.ReadASN1(&full, casn1.Tag(0).ContextSpecific().Constructed()) {
		return nil
	}
	for !full.Empty() {
		var v cryptobyte.String
		var tag casn1.Tag
		if !full.ReadAnyASN1(&v, &tag) {
			return nil
		}
		if tag == casn1.Tag(6).ContextSpecific() {
			urls = append(urls, string(v))
		}
	}
	return urls
}

// covers tells whether the CRL would list the certificate if it were revoked.
func (c *CRL) covers(cert *x509.Certificate) bool {
	isCA := cert.BasicConstraintsValid && cert.IsCA
	switch s := &c.scope; {
	case s.narrowed, s.users && isCA, s.cas && !isCA:
		return false
	case len(s.urls) > 0:
		return slices.ContainsFunc(s.urls, func(u string) bool { return slices.Contains(cert.CRLDistributionPoints, u) })
	}
	return true
}

// Issuer is the name of the CA whose certificates are listed.
func (c *CRL) Issuer() pkix.Name { return pkix.Name(c.list.RawIssuer) }

// Number is the CRL number; nil where it has none.
func (c *CRL) Number() *big.Int { return c.list.Number }

// ThisUpdate is when the CRL was made.
func (c *CRL) ThisUpdate() time.Time { return c.list.ThisUpdate }

// NextUpdate is until when there is a newer one; zero where the CRL does not
// say it, as it must (RFC 5280 section 5.1.2.5).
func (c *CRL) NextUpdate() time.Time { return c.list.NextUpdate }

// Len is how many certificates are listed.
func (c *CRL) Len() int { return len(c.revoked) }

// Narrowed tells whether the CRL can revoke and acquits nobody, because it is
// about some reasons only, or is narrowed in a way that is not understood.
func (c *CRL) Narrowed() bool { return c.scope.narrowed }

// SameScope tells whether two CRLs are of one issuer about the same
// certificates, so that the newer takes the place of the older.
func (c *CRL) SameScope(d *CRL) bool {
	return bytes.Equal(c.list.RawIssuer, d.list.RawIssuer) && bytes.Equal(c.scope.raw, d.scope.raw)
}

// Same tells whether two CRLs are one.
func (c *CRL) Same(d *CRL) bool { return bytes.Equal(c.list.Raw, d.list.Raw) }

// Fresh tells whether the CRL can acquit at a time: it is between thisUpdate
// and nextUpdate. Without nextUpdate it never is: it could be of any age.
func (c *CRL) Fresh(t time.Time) bool {
	return !t.Before(c.list.ThisUpdate) && !c.list.NextUpdate.IsZero() && !t.After(c.list.NextUpdate)
}

// maxSigners bounds what is remembered of one CRL. A CA has few keys.
const maxSigners = 16

// SignedBy tells whether the key of a certificate signed the CRL, by an
// algorithm that is not weak. It is computed once for each key.
func (c *CRL) SignedBy(issuer *x509.Certificate) bool { return c.signedBy(issuer, nil) }

func (c *CRL) signedBy(issuer *x509.Certificate, policy *alg.SignaturePolicy) bool {
	check := func() bool {
		return verify(c.list.Raw, c.list.RawTBSRevocationList, c.list.Signature, issuer, policy) == nil
	}
	if policy != nil {
		return check()
	}
	key := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	c.mu.Lock()
	good, known := c.signers[key]
	c.mu.Unlock()
	if known {
		return good
	}
	good = check()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.signers == nil {
		c.signers = map[[32]byte]bool{}
	}
	if len(c.signers) < maxSigners {
		c.signers[key] = good
	}
	return good
}
