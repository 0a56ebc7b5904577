package pkix

import (
	"bytes"
	stdpkix "crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What `openssl req -utf8 -subj` makes of this text (3.0.19), and what
// `-nameopt RFC2253` prints of it but for the order within OU.
const (
	opensslSubj = `/C=DE/O=Example, Inc./OU=a+OU=b/CN=#x "y"/serialNumber=42/emailAddress=a@b.example/DC=com/UID=jd`
	opensslDER  = "30819e310b300906035504061302444531163014060355040a0c0d4578616d706c652c20496e632e31143008060355040b0c01613008060355040b0c0162310f300d06035504030c06237820227922310b3009060355040513023432311a301806092a864886f70d010901160b6140622e6578616d706c6531133011060a0992268993f22c6401191603636f6d31123010060a0992268993f22c6401010c026a64"
	openssl2253 = `UID=jd,DC=com,emailAddress=a@b.example,serialNumber=42,CN=\#x \"y\",OU=a+OU=b,O=Example\, Inc.,C=DE`
)

func TestNamesAsOpenSSLHasThem(t *testing.T) {
	want := unhex(t, opensslDER)
	for _, text := range []string{opensslSubj, openssl2253} {
		n, err := ParseDN(text)
		if err != nil || !bytes.Equal(n, want) {
			t.Errorf("%s: %v\ngot  %x\nwant %x", text, err, n, want)
		}
	}
	if got := Name(want).String(); got != openssl2253 {
		t.Errorf("got  %s\nwant %s", got, openssl2253)
	}
}

// The standard library's names have no escapes in these, so both must agree.
func TestNamesAsTheStandardLibraryHasThem(t *testing.T) {
	std := stdpkix.Name{Country: []string{"DE"}, Organization: []string{"Ex"}, Province: []string{"Bayern"}, CommonName: "a, b+c", SerialNumber: "7"}
	der, err := asn1.Marshal(std.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(std.String(), "SERIALNUMBER", "serialNumber", 1)
	if got := Name(der).String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseDN(t *testing.T) {
	tests := []struct{ name, text, want string }{ // want: String() again
		{"spaces around separators", " CN = x , O=y ", "CN=x,O=y"},
		{"spaces that are escaped", `CN=\ x \ ,O=y`, `CN=\ x \ ,O=y`},
		{"hex of UTF-8", `CN=Lu\C4\8Di\C4\87`, "CN=Lučić"},
		{"hex of a DER element", "CN=#0c0141,1.2.3=#020107", "CN=A,1.2.3=#020107"},
		{"a dotted type that is known", "OID.2.5.4.3=x", "CN=x"},
		{"names in another case", "cn=x,emailaddress=a@b,STREET=s", "CN=x,emailAddress=a@b,STREET=s"},
		{"other names of one type", "E=a@b,S=x,surname=y,commonName=z", "emailAddress=a@b,ST=x,SN=y,CN=z"},
		{"quotes", `CN="a,b+c \"d\"",O=y`, `CN=a\,b\+c \"d\",O=y`},
		{"an equals sign in a value", "CN=a=b", "CN=a=b"},
		{"a slash in a value", "CN=a/b", "CN=a/b"},
		{"multi-valued", "CN=x+serialNumber=7,O=y", "CN=x+serialNumber=7,O=y"},
		{"OpenSSL's form", "/O=y/CN=x", "CN=x,O=y"},
		{"OpenSSL's escapes", `/O=a\/b\+c/CN=\ab#`, `CN=ab#,O=a/b\+c`},
		{"OpenSSL's spaces", "/O= y /CN=x", `CN=x,O=\ y\ `},
		{"the NULL-DN", "", ""},
		{"OpenSSL's NULL-DN", "/", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := ParseDN(tt.text)
			if err != nil || n.String() != tt.want {
				t.Errorf("got %s, %v; want %s", n, err, tt.want)
			}
			var std stdpkix.RDNSequence
			if rest, err := asn1.Unmarshal(n, &std); err != nil || len(rest) > 0 {
				t.Errorf("encoding/asn1: %v", err)
			}
		})
	}
	for name, text := range map[string]string{
		"no equals sign":                  "device 7",
		"an unknown type":                 "XY=a",
		"an empty type":                   "=a",
		"an empty value":                  "CN=,O=y",
		"an empty RDN":                    "CN=x,,O=y",
		"a separator at the end":          "CN=x,",
		"an escape at the end":            `CN=x\`,
		"an open quote":                   `CN="x`,
		"text after a quote":              `CN="x"y`,
		"hex that is none":                "CN=#0c01",
		"hex with more after it":          "CN=#0500aa",
		"a country of three":              "C=DEU",
		"a country that is no text":       "C=D*",
		"a serialNumber beyond Printable": "serialNumber=7_8",
		"mail that is not ASCII":          "emailAddress=ü@b.example",
		"octets that are no UTF-8":        "CN=\xff",
		"escaped ones":                    `CN=\FF`,
	} {
		if n, err := ParseDN(text); err == nil {
			t.Errorf("%s: %q gives %s", name, text, n)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d octets", name, len(err.Error()))
		}
	}
}

func attr(tag byte, value string) Name {
	var b cryptobyte.Builder
	b.AddBytes([]byte{0x30, byte(len(value) + 11), 0x31, byte(len(value) + 9), 0x30, byte(len(value) + 7), 6, 3, 0x55, 4, 3, tag, byte(len(value))})
	b.AddBytes([]byte(value))
	return b.BytesOrPanic()
}

func TestNamesThatWouldFoolATerminal(t *testing.T) {
	tests := []struct {
		name string
		der  Name
		want string
	}{
		{"escape sequence", attr(12, "a\x1b[31mb"), `CN=a\1B[31mb`},
		{"new line", attr(19, "a\nb"), `CN=a\0Ab`},
		{"NUL", attr(12, "a\x00b"), `CN=a\00b`},
		{"right to left override", attr(12, "a\u202eb"), `CN=a\E2\80\AEb`},
		{"isolate", attr(12, "\u2066"), `CN=\E2\81\A6`},
		{"zero width space", attr(12, "a\u200bb"), `CN=a\E2\80\8Bb`},
		{"no-break space", attr(12, "a\u00a0b"), `CN=a\C2\A0b`},
		{"UTF-8 that is none", attr(12, "a\xffb"), "CN=#0c0361ff62"},
		{"Printable that is none", attr(19, "\xe4"), "CN=#1301e4"},
		{"Latin-1 in a T61String", attr(20, "M\xfcn"), "CN=Mün"},
		{"BMPString", attr(30, "\x01\x0d\x00a"), "CN=ča"},
		{"BMPString of odd length", attr(30, "\x01"), "CN=#1e0101"},
		{"BMPString with a surrogate", attr(30, "\xd8\x00"), "CN=#1e02d800"},
		{"UniversalString", attr(28, "\x00\x01\xf6\x00"), "CN=😀"},
		{"UniversalString beyond Unicode", attr(28, "\x7f\xff\xff\xff"), "CN=#1c047fffffff"},
		{"INTEGER", attr(2, "\x07"), "CN=#020107"},
		{"empty", attr(12, ""), "CN="},
		{"separators", attr(12, `a,b+c"d\e<f>g;h`), `CN=a\,b\+c\"d\\e\<f\>g\;h`},
		{"malformed", Name{0x30, 1, 0}, "(malformed name)"},
		{"truncated", attr(12, "abc")[:10], "(malformed name)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.der.String(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestReadName(t *testing.T) {
	for name, der := range map[string]string{
		"an empty RDN":               "30023100",
		"an attribute without value": "300931073005 0603550403",
		"an attribute with two":      "300d310b3009 0603550403 0500 0500",
		"an RDN that is a SEQUENCE":  "300c300a3008 0603550403 0c0141",
		"a malformed identifier":     "300c310a3008 0603558003 0c0141",
		"no sequence":                "3100",
	} {
		s := cryptobyte.String(unhex(t, strings.ReplaceAll(der, " ", "")))
		if n, ok := ReadName(&s); ok {
			t.Errorf("%s: %x accepted", name, n)
		}
	}
	der := append(unhex(t, opensslDER), 5, 0)
	s := cryptobyte.String(der)
	n, ok := ReadName(&s)
	if !ok || len(s) != 2 || len(n) != len(der)-2 {
		t.Errorf("%v, %d octets left", ok, len(s))
	}
	if got := n.Attributes(); len(got) != 8 || len(got[2]) != 2 || got[2][1].Text != "b" || got[0][0].Type != OIDCountry {
		t.Errorf("attributes %v", got)
	}
	if got := n.Get(OIDOrganizationalUnit); strings.Join(got, " ") != "a b" {
		t.Errorf("OU %v", got)
	}
}

func TestMatches(t *testing.T) {
	dn := func(text string) Name {
		n, err := ParseDN(text)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	tests := []struct {
		name string
		a, b Name
		want bool
	}{
		{"case", dn("CN=Device,O=X"), dn("CN=dEVICE,O=x"), true},
		{"case beyond ASCII", dn("CN=MÜNCHEN ſ"), dn("CN=münchen S"), true},
		{"string type", attr(12, "abc"), attr(19, "abc"), true},
		{"BMPString and UTF8String", attr(30, "\x00a\x01\x0d"), attr(12, "ač"), true},
		{"white space", dn(`CN=\ a   b\ `), dn("CN=a b"), true},
		{"no white space", dn("CN=ab"), dn("CN=a b"), false},
		{"order within an RDN", dn("CN=x+OU=y"), dn("OU=Y+CN=X"), true},
		{"order of RDNs", dn("CN=x,O=y"), dn("O=y,CN=x"), false},
		{"one RDN or two", dn("CN=x+O=y"), dn("CN=x,O=y"), false},
		{"a prefix", dn("CN=x,O=y"), dn("O=y"), false},
		{"another type", dn("CN=x"), dn("O=x"), false},
		{"a value that is no text", attr(2, "\x07"), attr(2, "\x07"), true},
		{"text and number", attr(2, "a"), attr(12, "a"), false},
		{"empty", EmptyName, EmptyName, true},
		{"empty and not", EmptyName, dn("CN=x"), false},
		{"absent", nil, nil, true},
		{"absent and empty", nil, EmptyName, false},
		{"an attribute twice", dn("OU=a+OU=A"), dn("OU=a"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.a.Matches(tt.b) != tt.want || tt.b.Matches(tt.a) != tt.want {
				t.Errorf("%s and %s: want %v", tt.a, tt.b, tt.want)
			}
		})
	}
	if dn("CN=a").Equal(dn("CN=A")) || !dn("CN=a").Equal(dn("CN=a")) || Name(nil).IsEmpty() != true || !EmptyName.IsEmpty() || dn("CN=a").IsEmpty() {
		t.Error("Equal or IsEmpty")
	}
}

// FuzzName: a name that is accepted is told to people without characters that
// do not print, and where that text can be parsed it is the same name to RFC
// 5280.
func FuzzName(f *testing.F) {
	f.Add(unhex(f, opensslDER))
	for _, tag := range []byte{2, 12, 18, 19, 20, 22, 26, 28, 30} {
		f.Add([]byte(attr(tag, "ab\x00c")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := cryptobyte.String(b)
		n, ok := ReadName(&s)
		if !ok || !s.Empty() {
			return
		}
		text := n.String()
		for _, r := range text {
			if r < 0x20 || r == 0x7f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
				t.Fatalf("%q has %U", text, r)
			}
		}
		if !n.Matches(n) {
			t.Fatal("does not match itself")
		}
		back, err := ParseDN(text)
		if err != nil {
			return // an empty value, a country of three, a type that cannot be told from another
		}
		if !back.Matches(n) && !hasForeignForm(n) {
			t.Fatalf("%x\nas text %q\nis then %x", b, text, []byte(back))
		}
	})
}

// hasForeignForm: RFC 4514 cannot tell a "#" value of a known type with a text
// in an odd encoding from that text.
func hasForeignForm(n Name) bool {
	for _, rdn := range n.Attributes() {
		for _, a := range rdn {
			if !a.IsText {
				return true
			}
		}
	}
	return false
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{opensslSubj, openssl2253, `CN="a"+O=\ b`, "1.2.3=#020107", "/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseDN(text)
		if err != nil {
			return
		}
		s := cryptobyte.String(n)
		if _, ok := ReadName(&s); !ok || !s.Empty() {
			t.Fatalf("%q gives %x, which is no name", text, []byte(n))
		}
	})
}
