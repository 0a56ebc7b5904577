package certpath

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"
	"time"
)

// makeCRL is signed by the standard library.
func makeCRL(t testing.TB, by *entity, from, to time.Duration, change func(*x509.RevocationList)) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(from), NextUpdate: now.Add(to)}
	if change != nil {
		change(l)
	}
	issuer := *by.Certificate
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	der, err := x509.CreateRevocationList(rand.Reader, l, &issuer, by.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func readCRL(t testing.TB, der []byte) *CRL {
	t.Helper()
	c, err := ParseCRL(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// idp writes issuingDistributionPoint.
func idp(fields ...[]byte) func(*x509.RevocationList) {
	var body []byte
	for _, f := range fields {
		body = append(body, f...)
	}
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{
			Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: append([]byte{0x30, byte(len(body))}, body...),
		})
	}
}

func tlv(tag byte, value ...byte) []byte { return append([]byte{tag, byte(len(value))}, value...) }

func atURL(url string) []byte {
	return tlv(0xa0, tlv(0xa0, tlv(0x86, []byte(url)...)...)...)
}

func revokes(reason int, es ...*entity) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		for _, e := range es {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: e.SerialNumber, RevocationTime: now.Add(-time.Hour), ReasonCode: reason,
			})
		}
	}
}

// A CRL that is about some certificates acquits those alone (RFC 5280 section
// 6.3.3 b).
func TestScopeOfCRLs(t *testing.T) {
	root := make1(t, nil, "root", ca)
	sub := make1(t, root, "sub", ca)
	leaf := make1(t, root, "leaf", func(c *x509.Certificate) { c.CRLDistributionPoints = []string{"http://x/1.crl"} })
	user, cas := tlv(0x81, 0xff), tlv(0x82, 0xff)
	for name, c := range map[string]struct {
		cert *entity
		crl  func(*x509.RevocationList)
		want error
	}{
		"all":                                   {leaf, nil, nil},
		"end entities, an end entity":           {leaf, idp(user), nil},
		"end entities, a CA":                    {sub, idp(user), ErrCRL},
		"CAs, a CA":                             {sub, idp(cas), nil},
		"CAs, an end entity":                    {leaf, idp(cas), ErrCRL},
		"another kind, and listed":              {leaf, func(l *x509.RevocationList) { idp(cas)(l); revokes(1, leaf)(l) }, ErrRevoked},
		"its distribution point":                {leaf, idp(atURL("http://x/1.crl")), nil},
		"another distribution point":            {leaf, idp(atURL("http://x/2.crl")), ErrCRL},
		"a distribution point, and it has none": {sub, idp(atURL("http://x/1.crl")), ErrCRL},
		"both narrow it":                        {leaf, idp(atURL("http://x/1.crl"), cas), ErrCRL},
		"a point without a URI":                 {leaf, idp(tlv(0xa0, tlv(0xa1)...)), ErrCRL},
		"some reasons":                          {leaf, idp(tlv(0x83, 6, 0x40)), ErrCRL},
		"attribute certificates":                {leaf, idp(tlv(0x85, 0xff)), ErrCRL},
		"nothing is narrowed":                   {leaf, idp(), nil},
		"a critical extension nobody knows": {leaf, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		}, ErrCRL},
		"one that is not critical": {leaf, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}
		}, nil},
		"an entry of another issuer": {leaf, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: now, ExtraExtensions: []pkix.Extension{
				{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: tlv(0x30)},
			}}}
		}, ErrCRL},
	} {
		t.Run(name, func(t *testing.T) {
			crl := readCRL(t, makeCRL(t, root, -time.Hour, time.Hour, c.crl))
			_, err := Verify(c.cert.Certificate, Options{Anchors: certs(root), Time: now, CRLs: []*CRL{crl}, NeedCRL: true})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		crl  func(*x509.RevocationList)
		want error
	}{
		"delta": {func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
		}, ErrDelta},
		"indirect":                 {idp(tlv(0x84, 0xff)), ErrIndirect},
		"tags in the wrong order":  {idp(cas, user), nil},
		"a BOOLEAN of two octets":  {idp(tlv(0x81, 0xff, 0xff)), nil},
		"a BOOLEAN that is no DER": {idp(tlv(0x81, 1)), nil},
		"a tag that is not known":  {idp(tlv(0x86, 0xff)), nil},
		"a universal tag":          {idp(tlv(2, 1)), nil},
		"twice":                    {idp(user, user), nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseCRL(makeCRL(t, root, -time.Hour, time.Hour, c.crl))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A certificate comes off hold by the next list that leaves it out, and off
// nothing else by that.
func TestHoldEndsWithANewerCRL(t *testing.T) {
	root := make1(t, nil, "root", ca)
	leaf := make1(t, root, "leaf", nil)
	at := func(from, to time.Duration, reason int, es ...*entity) *CRL {
		return readCRL(t, makeCRL(t, root, from, to, revokes(reason, es...)))
	}
	h := time.Hour
	for name, c := range map[string]struct {
		crls []*CRL
		want error
	}{
		"on hold":                        {[]*CRL{at(-h, h, 6, leaf)}, ErrRevoked},
		"released":                       {[]*CRL{at(-2*h, h, 6, leaf), at(-h, h, 0)}, nil},
		"released, the other way round":  {[]*CRL{at(-h, h, 0), at(-2*h, h, 6, leaf)}, nil},
		"on hold since":                  {[]*CRL{at(-2*h, h, 0), at(-h, h, 6, leaf)}, ErrRevoked},
		"released in one that is over":   {[]*CRL{at(-3*h, h, 6, leaf), at(-2*h, -h, 0)}, ErrRevoked},
		"revoked for good, then missing": {[]*CRL{at(-2*h, h, 1, leaf), at(-h, h, 0)}, ErrRevoked},
		"at the same time":               {[]*CRL{at(-h, h, 6, leaf), at(-h, h, 0)}, ErrRevoked},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Time: now, CRLs: c.crls}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// A root with a new key lists the certificates of the old one too.
func TestCRLOfTheRootsNextKey(t *testing.T) {
	root, next := make1(t, nil, "root", ca), make1(t, nil, "root", ca)
	leaf := make1(t, root, "leaf", nil)
	of := func(crl *CRL, anchors ...*entity) error {
		_, err := Verify(leaf.Certificate, Options{Anchors: certs(anchors...), Time: now, CRLs: []*CRL{crl}, NeedCRL: true})
		return err
	}
	clean := readCRL(t, makeCRL(t, next, -time.Hour, time.Hour, nil))
	if err := of(clean, root); !errors.Is(err, ErrCRL) {
		t.Errorf("of a key that nobody trusts: %v", err)
	}
	if err := of(clean, root, next); err != nil {
		t.Errorf("of a key that is trusted: %v", err)
	}
	if err := of(readCRL(t, makeCRL(t, next, -time.Hour, time.Hour, revokes(1, leaf))), root, next); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked by the next key: %v", err)
	}
}

// What is known of revocation may differ by anchor, and one that is revoked on
// one way is said to be where no other is good.
func TestRevocationByAnchor(t *testing.T) {
	a, b := make1(t, nil, "a", ca), make1(t, nil, "b", ca)
	subA := make1(t, a, "sub", ca)
	subB := makeWith(t, b, subA.key, "sub", ca)
	leaf := make1(t, subA, "leaf", nil)
	crlA := readCRL(t, makeCRL(t, a, -time.Hour, time.Hour, revokes(1, subA)))
	verify := func(r map[*entity]Revocation, anchors ...*entity) error {
		_, err := Verify(leaf.Certificate, Options{
			Anchors: certs(anchors...), Others: certs(subA, subB), Time: now,
			Revocation: func(anchor *x509.Certificate) Revocation {
				for e, r := range r {
					if e.Equal(anchor) {
						return r
					}
				}
				t.Errorf("asked for %v", anchor.Subject)
				return Revocation{}
			},
		})
		return err
	}
	if err := verify(map[*entity]Revocation{a: {CRLs: []*CRL{crlA}}}, a); !errors.Is(err, ErrRevoked) {
		t.Errorf("a alone: %v", err)
	}
	if err := verify(map[*entity]Revocation{a: {CRLs: []*CRL{crlA}}, b: {}}, a, b); err != nil {
		t.Errorf("the way to b is good: %v", err)
	}
	for _, order := range [][]*entity{{a, b}, {b, a}} {
		if err := verify(map[*entity]Revocation{a: {CRLs: []*CRL{crlA}}, b: {Need: true}}, order...); !errors.Is(err, ErrRevoked) {
			t.Errorf("revoked under a, unknown under b: %v", err)
		}
	}
	asked := 0
	status := Revocation{Need: true, Status: func(c *x509.Certificate) (bool, error) {
		asked++
		return true, nil
	}}
	if err := verify(map[*entity]Revocation{b: status}, b); err != nil || asked != 2 {
		t.Errorf("by status: %v, asked %d times", err, asked)
	}
	status.Status = func(c *x509.Certificate) (bool, error) { return false, revoked(c) }
	if err := verify(map[*entity]Revocation{b: status}, b); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked by status: %v", err)
	}
}

// A list without an end is of any age.
func TestCRLWithoutNextUpdate(t *testing.T) {
	root := make1(t, nil, "root", ca)
	leaf := make1(t, root, "leaf", nil)
	l := readCRL(t, makeCRL(t, root, -time.Hour, time.Hour, nil))
	l.list.NextUpdate = time.Time{}
	if l.Fresh(now) {
		t.Error("it is called fresh")
	}
	if _, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Time: now, CRLs: []*CRL{l}, NeedCRL: true}); !errors.Is(err, ErrCRL) {
		t.Errorf("got %v", err)
	}
}

// Many lists of one issuer are no work of the stranger's, and a signature is
// checked once.
func TestManyCRLs(t *testing.T) {
	root := make1(t, nil, "root", ca)
	leaf := make1(t, root, "leaf", nil)
	var crls []*CRL
	for range 2 * maxChecks {
		crls = append(crls, readCRL(t, makeCRL(t, root, -time.Hour, time.Hour, nil)))
	}
	for range 2 {
		if _, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Time: now, CRLs: crls, NeedCRL: true}); err != nil {
			t.Fatal(err)
		}
	}
	for range maxSigners + 5 {
		crls[0].SignedBy(make1(t, nil, "root", ca).Certificate)
	}
	if n := len(crls[0].signers); n != maxSigners {
		t.Errorf("%d keys are remembered", n)
	}
	if !crls[0].SignedBy(root.Certificate) {
		t.Error("the real one is forgotten")
	}
}

func FuzzParseCRL(f *testing.F) {
	root := make1(f, nil, "root", ca)
	for _, c := range []func(*x509.RevocationList){nil, revokes(6, root), idp(tlv(0x81, 0xff)), idp(atURL("http://x/1.crl"))} {
		f.Add(makeCRL(f, root, -time.Hour, time.Hour, c))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := ParseCRL(der)
		if err != nil {
			return
		}
		c.covers(root.Certificate)
		c.Fresh(now)
		c.SignedBy(root.Certificate)
	})
}
