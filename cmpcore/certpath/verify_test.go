package certpath

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/issuance"
	cmppkix "cmp-batch/cmpcore/pkix"
)

var now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// entity is a certificate with its key.
type entity struct {
	*x509.Certificate
	key crypto.Signer
}

var serial int64

// make1 issues a certificate; a nil issuer makes it self-signed.
func make1(t testing.TB, issuer *entity, name string, change func(c *x509.Certificate)) *entity {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return makeWith(t, issuer, k, name, change)
}

func makeWith(t testing.TB, issuer *entity, k crypto.Signer, name string, change func(c *x509.Certificate)) *entity {
	t.Helper()
	serial++
	c := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	up, key := c, k
	if issuer != nil {
		up, key = issuer.Certificate, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, up, k.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	x, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{x, k}
}

func ca(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign }

func certs(es ...*entity) (list []*x509.Certificate) {
	for _, e := range es {
		list = append(list, e.Certificate)
	}
	return list
}

// standard is the verdict of the standard library.
func standard(c *x509.Certificate, anchors, others []*x509.Certificate) error {
	roots, inter := x509.NewCertPool(), x509.NewCertPool()
	for _, a := range anchors {
		roots.AddCert(a)
	}
	for _, o := range others {
		inter.AddCert(o)
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

func TestVerify(t *testing.T) {
	root := make1(t, nil, "root", ca)
	sub := make1(t, root, "sub", ca)
	leaf := make1(t, sub, "leaf", nil)
	rootAgain := make1(t, nil, "root", ca) // the same name, another key
	with := func(f ...func(*x509.Certificate)) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			for _, f := range f {
				f(c)
			}
		}
	}
	pathLen := func(n int) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
	}
	old := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }
	early := func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }
	noCertSign := func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCRLSign }
	noUsage := func(c *x509.Certificate) { c.IsCA = true }
	noBasic := func(c *x509.Certificate) { c.BasicConstraintsValid = false; c.KeyUsage = x509.KeyUsageCertSign }
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	}
	oldSub, earlySub := make1(t, root, "sub", with(ca, old)), make1(t, root, "sub", with(ca, early))
	oldRoot := make1(t, nil, "root", with(ca, old))
	plainSub, criticalSub := make1(t, root, "sub", nil), make1(t, root, "sub", with(ca, critical))
	weakSub, openSub, noBasicSub := make1(t, root, "sub", noCertSign), make1(t, root, "sub", noUsage), make1(t, root, "sub", noBasic)
	zero := make1(t, nil, "zero", with(ca, pathLen(0)))
	underZero := make1(t, zero, "under zero", ca)
	one := make1(t, nil, "one", with(ca, pathLen(1)))
	underOne := make1(t, one, "under one", ca)
	below := make1(t, underOne, "below", ca)
	forged := make1(t, rootAgain, "sub", ca)
	leafOf := func(e *entity) *entity { return make1(t, e, "leaf", nil) }
	badSig := *leaf.Certificate
	raw := append([]byte(nil), leaf.Raw...)
	raw[len(raw)-1] ^= 1
	if c, err := x509.ParseCertificate(raw); err == nil {
		badSig = *c
	}
	cross := makeWith(t, rootAgain, sub.key, "sub", ca) // sub, certified by another root too

	for name, c := range map[string]struct {
		cert            *x509.Certificate
		anchors, others []*x509.Certificate
		want            error
	}{
		"through one":            {leaf.Certificate, certs(root), certs(sub), nil},
		"direct":                 {sub.Certificate, certs(root), nil, nil},
		"the anchor itself":      {root.Certificate, certs(root), nil, nil},
		"an anchor that is none": {leaf.Certificate, certs(leaf), nil, nil},
		"the CA as anchor":       {leaf.Certificate, certs(sub), nil, nil},
		"others with rubbish":    {leaf.Certificate, certs(root), certs(rootAgain, leaf, sub, plainSub, forged), nil},
		"two roots of a name":    {leaf.Certificate, certs(rootAgain, root), certs(sub), nil},
		"two ways up":            {leaf.Certificate, certs(root), certs(cross, sub), nil},
		"the other way up":       {leaf.Certificate, certs(rootAgain), certs(sub, cross), nil},
		"nothing between":        {leaf.Certificate, certs(root), nil, ErrNoPath},
		"no anchor":              {leaf.Certificate, nil, certs(sub, root), ErrNoPath},
		"another root":           {leaf.Certificate, certs(rootAgain), certs(sub), ErrSignature},
		"forged":                 {leaf.Certificate, certs(root), certs(forged), ErrSignature},
		"bad signature":          {&badSig, certs(root), certs(sub), ErrSignature},
		"old CA":                 {leafOf(oldSub).Certificate, certs(root), certs(oldSub), ErrValidity},
		"early CA":               {leafOf(earlySub).Certificate, certs(root), certs(earlySub), ErrValidity},
		"old root":               {make1(t, oldRoot, "x", nil).Certificate, certs(oldRoot), nil, ErrValidity},
		"old leaf":               {make1(t, root, "x", old).Certificate, certs(root), nil, ErrValidity},
		"not a CA":               {leafOf(plainSub).Certificate, certs(root), certs(plainSub), ErrNotCA},
		"no keyCertSign":         {leafOf(weakSub).Certificate, certs(root), certs(weakSub), ErrNotCA},
		"no key usage":           {leafOf(openSub).Certificate, certs(root), certs(openSub), nil},
		"no basicConstraints":    {leafOf(noBasicSub).Certificate, certs(root), certs(noBasicSub), ErrNotCA},
		"critical, CA":           {leafOf(criticalSub).Certificate, certs(root), certs(criticalSub), ErrExtension},
		"critical, leaf":         {make1(t, root, "x", critical).Certificate, certs(root), nil, ErrExtension},
		"path length 0, direct":  {leafOf(zero).Certificate, certs(zero), nil, nil},
		"path length 0, one":     {leafOf(underZero).Certificate, certs(zero), certs(underZero), ErrPathLen},
		"path length 1, one":     {leafOf(underOne).Certificate, certs(one), certs(underOne), nil},
		"path length 1, two":     {leafOf(below).Certificate, certs(one), certs(underOne, below), ErrPathLen},
	} {
		t.Run(name, func(t *testing.T) {
			chain, err := Verify(c.cert, Options{Anchors: c.anchors, Others: c.others, Time: now})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if (err == nil) != (standard(c.cert, c.anchors, c.others) == nil) {
				t.Errorf("got %v, standard library %v", err, standard(c.cert, c.anchors, c.others))
			}
			if err == nil && (chain[0] != c.cert || !contains(c.anchors, chain[len(chain)-1])) {
				t.Errorf("chain of %d", len(chain))
			}
		})
	}
	if _, err := Verify(leaf.Certificate, Options{Anchors: certs(sub)}); err == nil {
		t.Error("without a time")
	}
}

// A rollover certificate of the CA itself does not count for the length of the
// path (RFC 5280 section 6.1.4 l).
func TestSelfIssuedDoesNotCount(t *testing.T) {
	old := make1(t, nil, "ca", func(c *x509.Certificate) { ca(c); c.MaxPathLenZero = true })
	fresh := make1(t, old, "ca", ca)
	leaf := make1(t, fresh, "leaf", nil)
	if _, err := Verify(leaf.Certificate, Options{Anchors: certs(old), Others: certs(fresh), Time: now}); err != nil {
		t.Error(err)
	}
}

func TestNameConstraints(t *testing.T) {
	must := func(s string) *net.IPNet {
		_, n, err := net.ParseCIDR(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	root := make1(t, nil, "root", ca)
	limited := func(f func(c *x509.Certificate)) *entity {
		return make1(t, root, "sub", func(c *x509.Certificate) { ca(c); c.PermittedDNSDomainsCritical = true; f(c) })
	}
	host := func(names ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = names }
	}
	uri := func(s string) func(*x509.Certificate) {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return func(c *x509.Certificate) { c.URIs = []*url.URL{u} }
	}
	mail := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{s} }
	}
	ip := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(s)} }
	}
	permit := limited(func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.com"} })
	exclude := limited(func(c *x509.Certificate) { c.ExcludedDNSDomains = []string{"bad.example.com"} })
	nets := limited(func(c *x509.Certificate) {
		c.PermittedIPRanges, c.ExcludedIPRanges = []*net.IPNet{must("10.0.0.0/8")}, []*net.IPNet{must("10.1.0.0/16")}
	})
	mails := limited(func(c *x509.Certificate) { c.PermittedEmailAddresses = []string{"example.com", "a@b.c"} })
	uris := limited(func(c *x509.Certificate) {
		c.PermittedURIDomains, c.ExcludedURIDomains = []string{".example.com"}, []string{"x.example.com"}
	})
	for name, c := range map[string]struct {
		by   *entity
		leaf func(*x509.Certificate)
		want error
	}{
		"no names":                 {permit, nil, nil},
		"host":                     {permit, host("example.com"), nil},
		"host below":               {permit, host("a.EXAMPLE.com"), nil},
		"another host":             {permit, host("a.example.com", "example.org"), ErrNames},
		"a host that ends so":      {permit, host("badexample.com"), ErrNames},
		"excluded":                 {exclude, host("x.bad.example.com"), ErrNames},
		"beside excluded":          {exclude, host("good.example.com"), nil},
		"address":                  {nets, ip("10.2.3.4"), nil},
		"excluded address":         {nets, ip("10.1.3.4"), ErrNames},
		"another address":          {nets, ip("11.2.3.4"), ErrNames},
		"address of IPv6":          {nets, ip("2001:db8::1"), ErrNames},
		"mail":                     {mails, mail("x@example.com"), nil},
		"mail, mailbox":            {mails, mail("a@b.c"), nil},
		"mail, another mailbox":    {mails, mail("b@b.c"), ErrNames},
		"mail below":               {mails, mail("x@a.example.com"), ErrNames},
		"URI below":                {uris, uri("https://a.example.com/x"), nil},
		"URI, excluded":            {uris, uri("https://x.example.com/x"), ErrNames},
		"URI, not below":           {uris, uri("https://example.org/"), ErrNames},
		"URI without host":         {uris, uri("urn:a:b"), ErrNames},
		"URI of an address":        {uris, uri("https://10.0.0.1/"), ErrNames},
		"no constraint on a kind":  {permit, ip("1.2.3.4"), nil},
		"constraint on other kind": {nets, host("example.org"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := make1(t, c.by, "leaf", c.leaf)
			_, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Others: certs(c.by), Time: now})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			// The standard library lets a host of mail stand for those below it.
			if std := standard(leaf.Certificate, certs(root), certs(c.by)); (std == nil) != (c.want == nil) && name != "mail below" {
				t.Errorf("standard library: %v", std)
			}
		})
	}
	wild := make1(t, exclude, "leaf", host("*.example.com"))
	if _, err := Verify(wild.Certificate, Options{Anchors: certs(root), Others: certs(exclude), Time: now}); !errors.Is(err, ErrNames) {
		t.Errorf("a wildcard over what is excluded: %v", err)
	}
}

// What a stranger sends costs so many checks and no more.
func TestWorkIsBounded(t *testing.T) {
	root := make1(t, nil, "root", ca)
	sub := make1(t, root, "sub", ca)
	leaf := make1(t, sub, "leaf", nil)
	var others []*x509.Certificate
	for range maxChecks + 5 {
		others = append(others, make1(t, nil, "sub", ca).Certificate)
	}
	if _, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Others: append(others, sub.Certificate), Time: now}); err != nil {
		t.Errorf("the one whose key identifier fits is tried first: %v", err)
	}
	if _, err := Verify(leaf.Certificate, Options{Anchors: certs(root), Others: others, Time: now}); !errors.Is(err, ErrWork) {
		t.Errorf("got %v", err)
	}
	// A ring of CAs that certify each other.
	a, b := make1(t, nil, "a", ca), make1(t, nil, "b", ca)
	ab, ba := makeWith(t, a, b.key, "b", ca), makeWith(t, b, a.key, "a", ca)
	x := make1(t, a, "x", nil)
	if _, err := Verify(x.Certificate, Options{Anchors: certs(root), Others: certs(ab, ba, a, b), Time: now}); !errors.Is(err, ErrNoPath) {
		t.Errorf("ring: %v", err)
	}
	// Longer than any real path.
	up := root
	var chain []*entity
	for i := range maxDepth {
		up = make1(t, up, fmt.Sprint("level ", i), ca)
		chain = append(chain, up)
	}
	deep := make1(t, up, "deep", nil)
	if _, err := Verify(deep.Certificate, Options{Anchors: certs(root), Others: certs(chain...), Time: now}); !errors.Is(err, ErrNoPath) {
		t.Errorf("deep: %v", err)
	}
	if _, err := Verify(deep.Certificate, Options{Anchors: certs(chain[1]), Others: certs(chain...), Time: now}); err != nil {
		t.Errorf("less deep: %v", err)
	}
}

// Three levels by every kind of algorithm that the standard library lacks.
func TestAlgorithms(t *testing.T) {
	for _, kt := range []string{"ed448", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87", "slh-dsa-sha2-128f", "mldsa44-ecdsa-p256-sha256", "mldsa87-ed448-shake256", "rsa-2048", "ecdsa-p384"} {
		t.Run(kt, func(t *testing.T) {
			rootDER, rootKey := root(t, kt)
			is, err := issuance.NewIssuer(rootDER, rootKey, "")
			if err != nil {
				t.Fatal(err)
			}
			subDER, subKey := issued(t, is, "CN=Sub", kt, true)
			sub, err := issuance.NewIssuer(subDER, subKey, "")
			if err != nil {
				t.Fatal(err)
			}
			leafDER, _ := issued(t, sub, "CN=leaf", kt, false)
			r, s, l := parse(t, rootDER), parse(t, subDER), parse(t, leafDER)
			chain, err := Verify(l, Options{Anchors: []*x509.Certificate{r}, Others: []*x509.Certificate{s}, Time: now})
			if err != nil || len(chain) != 3 {
				t.Fatalf("%d certificates, %v", len(chain), err)
			}
			if !IsIssuer(l, s, nil) || IsIssuer(s, l, nil) || IsIssuer(l, r, nil) || !IsIssuer(r, r, nil) {
				t.Error("who is whose issuer")
			}
			if _, err := Verify(l, Options{Anchors: []*x509.Certificate{r}, Others: []*x509.Certificate{s}, Time: now,
				Signatures: &alg.SignaturePolicy{Only: []string{"ed25519"}}}); !errors.Is(err, alg.ErrForbidden) {
				t.Errorf("forbidden by policy: %v", err)
			}
			bad := append([]byte(nil), leafDER...)
			bad[len(bad)-1] ^= 1
			if _, err := Verify(parse(t, bad), Options{Anchors: []*x509.Certificate{r}, Others: []*x509.Certificate{s}, Time: now}); !errors.Is(err, ErrSignature) {
				t.Errorf("bad signature: %v", err)
			}
			crl := func(is *issuance.Issuer, revoked ...[]byte) *CRL {
				der, err := is.SignCRL(rand.Reader, 1, now.Add(-time.Hour), now.Add(time.Hour), func(yield func(issuance.CRLEntry, error) bool) {
					for _, n := range revoked {
						yield(issuance.CRLEntry{Serial: n, RevokedAt: now.Add(-2 * time.Hour)}, nil)
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				l, err := ParseCRL(der)
				if err != nil {
					t.Fatal(err)
				}
				return l
			}
			o := Options{Anchors: []*x509.Certificate{r}, Others: []*x509.Certificate{s}, Time: now, NeedCRL: true, CRLs: []*CRL{crl(is), crl(sub)}}
			if _, err := Verify(l, o); err != nil {
				t.Errorf("with CRLs: %v", err)
			}
			o.CRLs = []*CRL{crl(is), crl(sub, l.SerialNumber.Bytes())}
			if _, err := Verify(l, o); !errors.Is(err, ErrRevoked) {
				t.Errorf("revoked: %v", err)
			}
		})
	}
}

func root(t *testing.T, keyType string) ([]byte, crypto.Signer) {
	t.Helper()
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	name, _ := cmppkix.ParseDN("CN=Root")
	period, _ := issuance.ParsePeriod("10y")
	der, err := issuance.SelfSigned(rand.Reader, k, "", name, period, now.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return der, k
}

func issued(t *testing.T, is *issuance.Issuer, subject, keyType string, isCA bool) ([]byte, crypto.Signer) {
	t.Helper()
	k, err := alg.GenerateKey(rand.Reader, keyType)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := alg.MarshalPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	cfg := issuance.ProfileConfig{Name: "p", Keys: []string{keyType}, Validity: issuance.ValidityConfig{Default: "1y"}, Subject: issuance.SubjectConfig{FromRequest: true}}
	if isCA {
		cfg.BasicConstraints.CA = true
		cfg.KeyUsage.Fixed = []string{"keyCertSign", "cRLSign"}
	}
	p, err := issuance.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	name, err := cmppkix.ParseDN(subject)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := p.Prepare(issuance.Request{Subject: name, PublicKey: spki}, is, now)
	if err != nil {
		t.Fatal(err)
	}
	n, err := issuance.NewSerial(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := is.Issue(rand.Reader, prepared, n)
	if err != nil {
		t.Fatal(err)
	}
	return der, k
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRevocation(t *testing.T) {
	root := make1(t, nil, "root", ca)
	sub := make1(t, root, "sub", ca)
	leaf := make1(t, sub, "leaf", nil)
	stranger := make1(t, nil, "sub", ca)
	noCRLSign := make1(t, root, "mute", func(c *x509.Certificate) { ca(c); c.KeyUsage = x509.KeyUsageCertSign })
	muteLeaf := make1(t, noCRLSign, "leaf", nil)
	crl := func(by *entity, from, to time.Duration, change func(*x509.RevocationList), revoked ...*entity) *CRL {
		l := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(from), NextUpdate: now.Add(to)}
		for _, e := range revoked {
			l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: e.SerialNumber, RevocationTime: now.Add(-time.Hour)})
		}
		if change != nil {
			change(l)
		}
		issuer := *by.Certificate
		issuer.KeyUsage |= x509.KeyUsageCRLSign
		der, err := x509.CreateRevocationList(rand.Reader, l, &issuer, by.key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCRL(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	partial := func(l *x509.RevocationList) { // issuingDistributionPoint, onlyContainsCACerts
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x82, 1, 0xff}}}
	}
	hour, day := time.Hour, 24*time.Hour
	good := crl(root, -hour, hour, nil)
	for name, c := range map[string]struct {
		cert *entity
		need bool
		crls []*CRL
		want error
	}{
		"none":                        {leaf, false, nil, nil},
		"none, needed":                {leaf, true, nil, ErrCRL},
		"both":                        {leaf, true, []*CRL{good, crl(sub, -hour, hour, nil)}, nil},
		"another serial":              {leaf, true, []*CRL{good, crl(sub, -hour, hour, nil, root)}, nil},
		"one missing":                 {leaf, true, []*CRL{good}, ErrCRL},
		"revoked":                     {leaf, false, []*CRL{crl(sub, -hour, hour, nil, leaf)}, ErrRevoked},
		"CA revoked":                  {leaf, false, []*CRL{crl(root, -hour, hour, nil, sub)}, ErrRevoked},
		"revoked in an old one":       {leaf, false, []*CRL{crl(sub, -2*day, -day, nil, leaf)}, ErrRevoked},
		"revoked, a fresh one before": {leaf, false, []*CRL{crl(sub, -hour, hour, nil), crl(sub, -2*day, -day, nil, leaf)}, ErrRevoked},
		"too old":                     {leaf, true, []*CRL{good, crl(sub, -2*day, -day, nil)}, ErrCRL},
		"too old, not needed":         {leaf, false, []*CRL{good, crl(sub, -2*day, -day, nil)}, nil},
		"not yet":                     {leaf, true, []*CRL{good, crl(sub, hour, day, nil)}, ErrCRL},
		"forged":                      {leaf, false, []*CRL{crl(stranger, -hour, hour, nil, leaf)}, nil},
		"forged, needed":              {leaf, true, []*CRL{good, crl(stranger, -hour, hour, nil)}, ErrCRL},
		"of a part":                   {leaf, true, []*CRL{good, crl(sub, -hour, hour, partial)}, ErrCRL},
		"of a part, revoked":          {leaf, false, []*CRL{crl(sub, -hour, hour, partial, leaf)}, ErrRevoked},
		"by a CA that may not":        {muteLeaf, false, []*CRL{crl(noCRLSign, -hour, hour, nil, muteLeaf)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Verify(c.cert.Certificate, Options{Anchors: certs(root), Others: certs(sub, noCRLSign), Time: now, CRLs: c.crls, NeedCRL: c.need})
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := ParseCRL([]byte("no CRL")); err == nil || !strings.Contains(err.Error(), "CRL") {
		t.Errorf("no CRL: %v", err)
	}
}

func BenchmarkVerify(b *testing.B) {
	root := make1(b, nil, "root", ca)
	sub := make1(b, root, "sub", ca)
	leaf := make1(b, sub, "leaf", nil)
	o := Options{Anchors: certs(root), Others: certs(sub), Time: now}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(leaf.Certificate, o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyByStandardLibrary(b *testing.B) {
	root := make1(b, nil, "root", ca)
	sub := make1(b, root, "sub", ca)
	leaf := make1(b, sub, "leaf", nil)
	for b.Loop() {
		if err := standard(leaf.Certificate, certs(root), certs(sub)); err != nil {
			b.Fatal(err)
		}
	}
}
