package cms

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	stdpkix "crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

type asnSigned struct {
	Version int
	Digests []stdpkix.AlgorithmIdentifier `asn1:"set"`
	Content struct {
		Type    stdasn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	Certificates stdasn1.RawValue `asn1:"tag:0"`
	Signers      []struct {
		Version   int
		KeyID     []byte `asn1:"tag:0"`
		Digest    stdpkix.AlgorithmIdentifier
		Attrs     stdasn1.RawValue `asn1:"tag:0"`
		Algorithm stdpkix.AlgorithmIdentifier
		Signature []byte
	} `asn1:"set"`
}

// The form of RFC 9483 section 4.1.6, read and verified by the standard
// library.
func TestSignaturesHaveTheFormOfRFC9483(t *testing.T) {
	p := everybody(t)["ed25519"]
	ca := everybody(t)["p384"].cert
	b := must[[]byte](t)(Sign(rand.Reader, &Signer{Key: p.key.(crypto.Signer), Chain: [][]byte{p.cert, ca}}, OIDKeyPackage, testContent, testNow))
	var s asnSigned
	asnRead(t, b, &s, "")
	sha512OID := "2.16.840.1.101.3.4.2.3"
	i := s.Signers[0]
	if s.Version != 3 || len(s.Digests) != 1 || s.Digests[0].Algorithm.String() != sha512OID || s.Content.Type.String() != "2.16.840.1.101.2.1.2.78.5" ||
		!bytes.Equal(s.Content.Content, testContent) || len(s.Signers) != 1 || i.Version != 3 || string(i.KeyID) != "ed" ||
		i.Digest.Algorithm.String() != sha512OID || i.Algorithm.Algorithm.String() != "1.3.101.112" || len(i.Algorithm.Parameters.FullBytes) != 0 {
		t.Errorf("%+v", s)
	}
	if !bytes.Equal(s.Certificates.Bytes, slices.Concat(p.cert, ca)) {
		t.Error("certificates are not the chain in its order")
	}
	signed := bytes.Clone(i.Attrs.FullBytes)
	signed[0] = 0x31
	if !ed25519.Verify(p.key.(ed25519.PrivateKey).Public().(ed25519.PublicKey), signed, i.Signature) {
		t.Error("the standard library does not verify it")
	}
	var attrs []struct {
		Type   stdasn1.ObjectIdentifier
		Values []stdasn1.RawValue `asn1:"set"`
	}
	asnRead(t, signed, &attrs, "set")
	got := map[string][]byte{}
	for _, a := range attrs {
		got[a.Type.String()] = a.Values[0].FullBytes
	}
	digest := sha512.Sum512(testContent)
	want := map[string]any{
		"1.2.840.113549.1.9.3": s.Content.Type, "1.2.840.113549.1.9.4": digest[:], "1.2.840.113549.1.9.5": testNow,
	}
	for typ, v := range want {
		if der := must[[]byte](t)(stdasn1.Marshal(v)); !bytes.Equal(got[typ], der) {
			t.Errorf("attribute %s is %x", typ, got[typ])
		}
	}
	if len(got) != 4 || got["1.2.840.113549.1.9.52"] == nil {
		t.Errorf("attributes %v", got)
	}
}

func TestEveryKindOfKeySigns(t *testing.T) {
	kinds := []string{"ecdsa-p256", "ed25519", "ed448", "ml-dsa-44", "ml-dsa-87"}
	for _, n := range kinds {
		key := must[crypto.Signer](t)(alg.GenerateKey(rand.Reader, n))
		cert := certify(t, key.Public(), pkix.DigitalSignature, []byte(n))
		b, err := Sign(rand.Reader, &Signer{Key: key, Chain: [][]byte{cert}}, OIDKeyPackage, testContent, testNow)
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		s := must[*SignedData](t)(ParseSignedData(b))
		content, by, err := s.Verify(nil, nil)
		if err != nil || !bytes.Equal(content, testContent) || !bytes.Equal(by[0].Certificate, cert) {
			t.Errorf("%s: %v", n, err)
		}
		if _, _, err := s.Verify(nil, &VerifyPolicy{Signature: &alg.SignaturePolicy{Only: []string{"rsa-sha256"}}}); !errors.Is(err, alg.ErrForbidden) {
			t.Errorf("%s by a policy of RSA alone: %v", n, err)
		}
	}
	rsa := everybody(t)["rsa"]
	for _, n := range alg.SignatureNames() {
		if !strings.HasPrefix(n, "rsa-") {
			continue
		}
		b, err := Sign(rand.Reader, &Signer{rsa.key.(crypto.Signer), [][]byte{rsa.cert}, n}, OIDData, testContent, testNow)
		if strings.HasSuffix(n, "sha1") {
			if !errors.Is(err, alg.ErrForbidden) {
				t.Errorf("%s: %v", n, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", n, err)
			continue
		}
		if _, _, err := must[*SignedData](t)(ParseSignedData(b)).Verify(nil, nil); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// Every octet of the content and of the signer's part matters.
func TestAChangedSignedDataDoesNotVerify(t *testing.T) {
	p := everybody(t)["p256"]
	b := must[[]byte](t)(Sign(rand.Reader, kga(p), OIDKeyPackage, testContent, testNow))
	cert := bytes.Index(b, p.cert)
	for i := range b {
		if i >= cert && i < cert+len(p.cert) {
			continue // looked at by who trusts it
		}
		s, err := ParseSignedData(flip(b, i))
		if err != nil {
			continue
		}
		content, _, err := s.Verify(nil, &VerifyPolicy{AllowNoAttributes: true})
		// Up to octet 22 there are the version and the list of digests, on which
		// nothing depends.
		if err == nil && (i > 22 || !bytes.Equal(content, testContent)) {
			t.Errorf("octet %d of %d changed, and it verifies", i, len(b))
		}
	}
}

// signedBy makes a SignedData with attributes of one's own.
func signedBy(t testing.TB, p *party, typ pkix.OID, content []byte, digest, sigAlg pkix.AlgorithmIdentifier, attrs [][]byte) []byte {
	t.Helper()
	signed := content
	var raw []byte
	if attrs != nil {
		var b cryptobyte.Builder
		pkix.AddElement(&b, asn1.SET, bytes.Join(attrs, nil))
		raw = b.BytesOrPanic()
		signed = raw
	}
	sig := must[[]byte](t)(alg.Sign(rand.Reader, p.key.(crypto.Signer), sigAlg, signed))
	id := must[Identifier](t)(CertificateID(p.cert))
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(3)
		b.AddASN1(asn1.SET, digest.Add)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			typ.Add(b)
			b.AddASN1(cons(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
		})
		pkix.AddElement(b, cons(0), p.cert)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(3)
				id.add(b)
				digest.Add(b)
				if raw != nil {
					pkix.AddRetagged(b, cons(0), raw)
				}
				sigAlg.Add(b)
				b.AddASN1OctetString(sig)
			})
		})
	})
	return must[[]byte](t)(b.Bytes())
}

func TestAttributesMustBeThoseOfTheContent(t *testing.T) {
	p := everybody(t)["p256"]
	sha256 := alg.HashAlgorithm(crypto.SHA256)
	ecdsa := must[pkix.AlgorithmIdentifier](t)(alg.SignatureFor(p.key.(crypto.Signer).Public(), ""))
	md := func(d pkix.AlgorithmIdentifier, content []byte) []byte {
		s := must[[]byte](t)(sum(d, content))
		return marshalAttribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(s) })
	}
	typ := func(o pkix.OID) []byte { return marshalAttribute(oidContentType, o.Add) }
	when := func(t time.Time) []byte {
		return marshalAttribute(oidSigningTime, func(b *cryptobyte.Builder) { pkix.AddTime(b, t) })
	}
	protection := func(d, s pkix.AlgorithmIdentifier) []byte {
		return marshalAttribute(oidProtection, func(b *cryptobyte.Builder) { addProtection(b, d, s) })
	}
	sorted := func(attrs ...[]byte) [][]byte { slices.SortFunc(attrs, bytes.Compare); return attrs }
	good := sorted(typ(OIDData), md(sha256, testContent))
	twice := marshalAttribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(make2(32)); b.AddASN1OctetString(make2(32)) })
	for _, c := range []struct {
		what           string
		digest, sigAlg pkix.AlgorithmIdentifier
		attrs          [][]byte
		parse, verify  error
	}{
		{"the least", sha256, ecdsa, good, nil, nil},
		{"with NULL", pkix.AlgorithmIdentifier{OID: sha256.OID, Parameters: pkix.Null}, ecdsa, good, nil, nil},
		{"all", sha256, ecdsa, sorted(typ(OIDData), md(sha256, testContent), when(testNow), protection(sha256, ecdsa)), nil, nil},
		{"another order", sha256, ecdsa, [][]byte{good[1], good[0]}, ErrMalformed, nil},
		{"twice the same", sha256, ecdsa, [][]byte{good[0], good[0], good[1]}, ErrMalformed, nil},
		{"two values", sha256, ecdsa, sorted(typ(OIDData), twice), nil, ErrMalformed},
		{"no content type", sha256, ecdsa, sorted(md(sha256, testContent)), nil, ErrMalformed},
		{"another content type", sha256, ecdsa, sorted(typ(OIDSignedData), md(sha256, testContent)), nil, ErrMalformed},
		{"no digest", sha256, ecdsa, sorted(typ(OIDData)), nil, ErrMalformed},
		{"another content", sha256, ecdsa, sorted(typ(OIDData), md(sha256, nil)), nil, alg.ErrSignature},
		{"digest of another hash", alg.HashAlgorithm(crypto.SHA512), ecdsa, sorted(typ(OIDData), md(alg.HashAlgorithm(crypto.SHA512), testContent)), nil, alg.ErrMismatch},
		{"protection of another", sha256, ecdsa, sorted(append([][]byte{protection(sha256, alg.HashAlgorithm(crypto.SHA512))}, good...)...), nil, alg.ErrMismatch},
		{"empty attributes", sha256, ecdsa, [][]byte{}, ErrMalformed, nil},
		{"no attributes", sha256, ecdsa, nil, nil, alg.ErrForbidden},
		{"SHA-1", alg.HashAlgorithm(crypto.SHA1), ecdsa, good, nil, alg.ErrMismatch},
	} {
		s, err := ParseSignedData(signedBy(t, p, OIDData, testContent, c.digest, c.sigAlg, c.attrs))
		if !errors.Is(err, c.parse) || err != nil {
			if c.parse == nil || !errors.Is(err, c.parse) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if _, _, err := s.Verify(nil, nil); !errors.Is(err, c.verify) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
	// The attributes of one message as the content of another.
	attrs := bytes.Join(good, nil)
	var b cryptobyte.Builder
	pkix.AddElement(&b, asn1.SET, attrs)
	s := must[*SignedData](t)(ParseSignedData(signedBy(t, p, OIDData, b.BytesOrPanic(), sha256, ecdsa, nil)))
	if _, _, err := s.Verify(nil, &VerifyPolicy{AllowNoAttributes: true}); !errors.Is(err, alg.ErrForbidden) {
		t.Errorf("attributes as content: %v", err)
	}
	s = must[*SignedData](t)(ParseSignedData(signedBy(t, p, OIDKeyPackage, testContent, sha256, ecdsa, nil)))
	if _, _, err := s.Verify(nil, &VerifyPolicy{AllowNoAttributes: true}); !errors.Is(err, alg.ErrForbidden) {
		t.Errorf("no attributes for another type: %v", err)
	}
}

func TestTheSignerMustBeThereAndFit(t *testing.T) {
	all := everybody(t)
	key := all["p256"].key.(crypto.Signer)
	cert := certify(t, key.Public(), pkix.KeyAgreement, []byte("x"))
	if _, err := Sign(rand.Reader, &Signer{Key: key, Chain: [][]byte{cert}}, OIDData, nil, testNow); !errors.Is(err, alg.ErrMismatch) {
		t.Errorf("keyUsage: %v", err)
	}
	if _, err := Sign(rand.Reader, &Signer{Key: key, Chain: [][]byte{all["p384"].cert}}, OIDData, nil, testNow); !errors.Is(err, alg.ErrMismatch) {
		t.Errorf("another's certificate: %v", err)
	}
	if _, err := Sign(rand.Reader, &Signer{Key: key}, OIDData, nil, testNow); err == nil {
		t.Error("no certificate")
	}
	sha256 := alg.HashAlgorithm(crypto.SHA256)
	ecdsa := must[pkix.AlgorithmIdentifier](t)(alg.SignatureFor(key.Public(), ""))
	b := signedBy(t, &party{key, cert}, OIDData, testContent, sha256, ecdsa, nil)
	s := must[*SignedData](t)(ParseSignedData(b))
	if _, _, err := s.Verify(nil, &VerifyPolicy{AllowNoAttributes: true}); !errors.Is(err, ErrSigner) {
		t.Errorf("keyUsage: %v", err)
	}
	s.Certificates = nil
	if _, _, err := s.Verify([][]byte{all["p256"].cert, {0}}, &VerifyPolicy{AllowNoAttributes: true}); !errors.Is(err, ErrSigner) {
		t.Errorf("no certificate: %v", err)
	}
}
