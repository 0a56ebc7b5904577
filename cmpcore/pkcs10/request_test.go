package pkcs10

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/der"
	"cmp-batch/cmpcore/pkix"
)

func goldenFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.p10")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden requests: %v", err)
	}
	m := map[string][]byte{}
	for _, f := range files {
		if m[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func TestRequestsOfOpenSSLAsTheStandardLibraryReadsThem(t *testing.T) {
	for name, b := range goldenFiles(t) {
		r, err := Parse(b, der.Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		std, err := x509.ParseCertificateRequest(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := std.CheckSignature(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(r.RawInfo, std.RawTBSCertificateRequest) || !bytes.Equal(r.Subject, std.RawSubject) ||
			!bytes.Equal(r.PublicKey, std.RawSubjectPublicKeyInfo) || !bytes.Equal(r.Signature, std.Signature) {
			t.Errorf("%s: %+v", name, r)
		}
		exts, err := r.RequestedExtensions()
		if err != nil || len(exts) != len(std.Extensions) {
			t.Errorf("%s: extensions %v, %v", name, exts, err)
		}
		for i, e := range std.Extensions {
			if exts[i].ID.String() != e.Id.String() || exts[i].Critical != e.Critical || !bytes.Equal(exts[i].Value, e.Value) {
				t.Errorf("%s: extension %+v, want %+v", name, exts[i], e)
			}
		}
		var out cryptobyte.Builder
		r.Raw, r.RawInfo = nil, nil
		r.Add(&out)
		if again, err := out.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s: %v\nread    %x\nwritten %x", name, err, b, again)
		}
	}
}

func TestBuildIsReadByTheStandardLibrary(t *testing.T) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := pkix.ParseDN("CN=device 7,O=Example")
	if err != nil {
		t.Fatal(err)
	}
	dns, err := pkix.NewDNSName("a.example")
	if err != nil {
		t.Fatal(err)
	}
	san, err := pkix.SubjectAltNameExtension([]pkix.GeneralName{dns}, true)
	if err != nil {
		t.Fatal(err)
	}
	ext, err := ExtensionRequest([]pkix.Extension{san})
	if err != nil {
		t.Fatal(err)
	}
	password := Attribute{Type: OIDChallengePassword, Values: [][]byte{{12, 1, 'b'}, {12, 1, 'a'}}}
	alg := pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.3.101.112")}
	build := func(attrs ...Attribute) []byte {
		b, err := Build(subject, spki, attrs, alg, func(info []byte) ([]byte, error) { return ed25519.Sign(priv, info), nil })
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := build(ext, password)
	std, err := x509.ParseCertificateRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := std.CheckSignature(); err != nil {
		t.Error(err)
	}
	if std.Subject.CommonName != "device 7" || !slices.Equal(std.DNSNames, []string{"a.example"}) || !std.Extensions[0].Critical {
		t.Errorf("%+v", std)
	}
	// The order of the caller does not show: a SET OF is sorted.
	if !bytes.Equal(b, build(password, ext)) {
		t.Error("the order of attributes shows")
	}
	r, err := Parse(b, der.Limits{})
	if err != nil || len(r.Attributes) != 2 || !bytes.Equal(r.Attributes[1].Values[0], ext.Values[0]) && !bytes.Equal(r.Attributes[0].Values[0], []byte{12, 1, 'a'}) {
		t.Errorf("%+v, %v", r, err)
	}
	std, err = x509.ParseCertificateRequest(build())
	if err != nil || std.CheckSignature() != nil {
		t.Errorf("without attributes: %v", err)
	}

	gone := errors.New("token is gone")
	if _, err := Build(subject, spki, nil, alg, func([]byte) ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("a signature that fails: %v", err)
	}
	for name, bad := range map[string]func() ([]byte, error){
		"no subject": func() ([]byte, error) { return Build(nil, spki, nil, alg, nil) },
		"no key":     func() ([]byte, error) { return Build(subject, nil, nil, alg, nil) },
		"an empty attribute": func() ([]byte, error) {
			return Build(subject, spki, []Attribute{{Type: OIDChallengePassword}}, alg, nil)
		},
		"no algorithm": func() ([]byte, error) {
			return Build(subject, spki, nil, pkix.AlgorithmIdentifier{}, func([]byte) ([]byte, error) { return nil, nil })
		},
	} {
		if b, err := bad(); err == nil {
			t.Errorf("%s: %x", name, b)
		}
	}
}

// Octets from encoding/asn1.
func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type info struct {
	Version    int
	Subject    asn1.RawValue
	Key        asn1.RawValue
	Attributes asn1.RawValue `asn1:"optional"`
}

type whole struct {
	Info      any
	Algorithm stdpkix.AlgorithmIdentifier
	Signature asn1.BitString
}

func TestParseRefuses(t *testing.T) {
	ed := stdpkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 101, 112}}
	sig := asn1.BitString{Bytes: []byte{1}, BitLength: 8}
	name := asn1.RawValue{FullBytes: []byte{0x30, 0}}
	key := asn1.RawValue{FullBytes: marshal(t, struct {
		Algorithm stdpkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{ed, sig})}
	attrs := func(contents ...byte) asn1.RawValue {
		return asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: contents}
	}
	good := whole{info{0, name, key, attrs()}, ed, sig}
	if _, err := Parse(marshal(t, good), der.Limits{}); err != nil {
		t.Fatal(err)
	}
	var many []byte
	for range maxAttributes + 1 {
		many = append(many, 0x30, 7, 6, 1, 0x2a, 0x31, 2, 5, 0)
	}
	tests := []struct {
		name, want string
		der        []byte
	}{
		{"nothing", "cut off", nil},
		{"a certificate's version", "version", marshal(t, whole{info{2, name, key, attrs()}, ed, sig})},
		{"no name", "subject", marshal(t, whole{info{0, asn1.NullRawValue, key, attrs()}, ed, sig})},
		{"no key", "subjectPublicKeyInfo", marshal(t, whole{info{0, name, name, attrs()}, ed, sig})},
		{"attributes under another tag", "attributes", marshal(t, whole{info{0, name, key, asn1.RawValue{Class: 2, Tag: 1, IsCompound: true}}, ed, sig})},
		{"an attribute without values", "attributes", marshal(t, whole{info{0, name, key, attrs(0x30, 5, 6, 1, 0x2a, 0x31, 0)}, ed, sig})},
		{"values in a SEQUENCE", "attributes", marshal(t, whole{info{0, name, key, attrs(0x30, 7, 6, 1, 0x2a, 0x30, 2, 5, 0)}, ed, sig})},
		{"too many attributes", "more than 100", marshal(t, whole{info{0, name, key, attrs(many...)}, ed, sig})},
		{"unused bits in the signature", "signature", marshal(t, whole{good.Info, ed, asn1.BitString{Bytes: []byte{0x80}, BitLength: 1}})},
		{"no info", "certificationRequestInfo", marshal(t, whole{1, ed, sig})},
		{"more after it", "octets after", append(marshal(t, good), 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if r, err := Parse(tt.der, der.Limits{}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %+v, %v; want %q", r, err, tt.want)
			}
		})
	}

	// Some programs leave the attributes away, against RFC 2986.
	bare := marshal(t, whole{info{Version: 0, Subject: name, Key: key}, ed, sig})
	r, err := Parse(bare, der.Limits{})
	if err != nil || !r.NoAttributes {
		t.Fatalf("%+v, %v", r, err)
	}
	var out cryptobyte.Builder
	r.Add(&out)
	if again, err := out.Bytes(); err != nil || !bytes.Equal(again, bare) {
		t.Errorf("%v: %x, want %x", err, again, bare)
	}
}

func TestRequestedExtensionsRefuses(t *testing.T) {
	list := []byte{0x30, 9, 0x30, 7, 6, 3, 0x55, 29, 15, 4, 0}
	request := func(values ...[]byte) *CertificationRequest {
		return &CertificationRequest{Attributes: []Attribute{{Type: OIDChallengePassword, Values: [][]byte{{5, 0}}}, {Type: OIDExtensionRequest, Values: values}}}
	}
	if exts, err := request(list).RequestedExtensions(); err != nil || len(exts) != 1 {
		t.Errorf("%v, %v", exts, err)
	}
	if exts, err := request([]byte{0x30, 0}).RequestedExtensions(); err != nil || exts != nil {
		t.Errorf("an empty list: %v, %v", exts, err)
	}
	if exts, err := (&CertificationRequest{}).RequestedExtensions(); err != nil || exts != nil {
		t.Errorf("no attributes: %v, %v", exts, err)
	}
	twice := request(list)
	twice.Attributes = append(twice.Attributes, twice.Attributes[1])
	for name, r := range map[string]*CertificationRequest{
		"two values":        request(list, list),
		"two attributes":    twice,
		"no extensions":     request([]byte{5, 0}),
		"more after them":   request(append(slices.Clone(list), 5, 0)),
		"one of them twice": request([]byte{0x30, 18, 0x30, 7, 6, 3, 0x55, 29, 15, 4, 0, 0x30, 7, 6, 3, 0x55, 29, 15, 4, 0}),
	} {
		if exts, err := r.RequestedExtensions(); err == nil {
			t.Errorf("%s: %v", name, exts)
		}
	}
}

// FuzzParse: what is accepted is written again from its fields.
func FuzzParse(f *testing.F) {
	for _, b := range goldenFiles(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Parse(b, der.Limits{})
		if err != nil {
			return
		}
		r.RequestedExtensions()
		var out cryptobyte.Builder
		r.Add(&out)
		if again, err := out.Bytes(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%v\nread    %x\nwritten %x", err, b, again)
		}
	})
}
