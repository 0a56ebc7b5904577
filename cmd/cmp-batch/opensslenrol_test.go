package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/configs"
	"cmp-batch/spool"
)

const deviceSecret = "what device 1 and the CA know"

// byMAC protects by the secret that every site here has.
var byMAC = []string{"-ref", "device-1", "-secret", "pass:" + deviceSecret}

// stockSite is a CA as init makes it, with one registered secret.
func stockSite(t *testing.T) *site {
	return newSite(t, "", map[string]string{"device-1": deviceSecret})
}

func with(lists ...[]string) []string { return slices.Concat(lists...) }

// enrolment is one transaction for a certificate that must be issued.
type enrolment struct {
	name   string
	kind   string
	key    string // its file; ir takes it by -newkey
	args   []string
	posts  int                // messages of the client; 0: two, the second is certConf
	status cmpcore.CertStatus // 0: Valid
	words  []string           // that openssl says
	check  func(t *testing.T, c *x509.Certificate)
	csr    bool // the key is not given to openssl cmp
}

// enrol runs one enrolment and checks everything about it that is the same for
// all: the certificate is for the key, verifies strictly, and is in the store.
func (s *site) enrol(t *testing.T, o *openssl, channel string, e enrolment) *x509.Certificate {
	t.Helper()
	out := e.name + ".crt"
	args := with([]string{"-certout", out}, e.args)
	if !e.csr {
		args = append(args, "-newkey", e.key)
	}
	path := channel + "/" + e.name
	s.cmp(t, o, path, e.kind, args...).expect(t, 0, e.words...)
	if e.posts == 0 {
		e.posts = 2
	}
	if n := s.posts(path); n != e.posts {
		t.Errorf("%d messages were sent, want %d", n, e.posts)
	}
	if e.status == 0 {
		e.status = cmpcore.Valid
	}
	s.status(t, out, e.status)
	cert := certFile(t, filepath.Join(s.work, out))
	pub := o.do(t, s.work, "pkey", "-in", e.key, "-pubout")
	if got := o.do(t, s.work, "x509", "-in", out, "-noout", "-pubkey"); got != pub {
		t.Errorf("the certificate is for another key: %s, want %s", got, pub)
	}
	o.do(t, s.work, "verify", "-x509_strict", "-CAfile", s.ca(), out)
	if e.check != nil {
		e.check(t, cert)
	}
	return cert
}

// subjectIs compares the subject, the most significant attribute first, as
// openssl takes it; + joins what is in one RDN.
func subjectIs(want string) func(*testing.T, *x509.Certificate) {
	return func(t *testing.T, c *x509.Certificate) {
		var rdns pkix.RDNSequence
		if _, err := asn1.Unmarshal(c.RawSubject, &rdns); err != nil {
			t.Fatal(err)
		}
		names := map[string]string{"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.10": "O", "2.5.4.11": "OU"}
		got := ""
		for _, rdn := range rdns {
			sep := "/"
			for _, a := range rdn {
				got += sep + names[a.Type.String()] + "=" + fmt.Sprint(a.Value)
				sep = "+"
			}
		}
		if got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
}

func lastsDays(days int) func(*testing.T, *x509.Certificate) {
	return func(t *testing.T, c *x509.Certificate) {
		want := time.Now().Add(time.Duration(days) * 24 * time.Hour)
		// Years of a profile are those of the calendar.
		if d := c.NotAfter.Sub(want); d < -patience || d > 24*time.Hour+patience || days < 365 && d > patience {
			t.Errorf("valid until %s, want %s", c.NotAfter, want)
		}
	}
}

const requestExtensions = `
[exts]
subjectAltName = critical, DNS:ext.example, email:a@ext.example, dirName:dir
keyUsage = critical, digitalSignature, keyAgreement
extendedKeyUsage = clientAuth, serverAuth
tlsfeature = status_request
[dir]
CN = inner
[policy]
certificatePolicies = 1.2.3.4
[ca]
basicConstraints = critical, CA:true
[ca-usage]
keyUsage = critical, keyCertSign
`

// TestOpenSSLEnrolsBySecret: a fresh CA, nothing configured, and everything that
// openssl cmp can ask for under a shared secret.
func TestOpenSSLEnrolsBySecret(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := stockSite(t)
		for _, k := range []string{"p256", "p384", "p521", "rsa", "ed25519"} {
			o.key(t, s.work, k, k)
		}
		writeFile(t, filepath.Join(s.work, "exts.cnf"), requestExtensions)
		o.do(t, s.work, "req", "-new", "-key", "p256.key", "-subj", "/O=CSR/CN=printer", "-out", "printer.csr",
			"-addext", "subjectAltName=DNS:printer.example", "-addext", "keyUsage=digitalSignature")
		o.do(t, s.work, "req", "-new", "-key", "ed25519.key", "-subj", "/CN=ed", "-outform", "DER", "-out", "ed.csr")

		implicit := []string{"-implicit_confirm"}
		subject := func(name string) []string { return []string{"-subject", "/O=Interop/CN=" + name} }
		tests := []enrolment{
			{name: "p256", key: "p256.key", args: subject("p256"), check: subjectIs("/O=Interop/CN=p256")},
			{name: "p384", key: "p384.key", args: subject("p384")},
			{name: "p521", key: "p521.key", args: subject("p521")},
			{name: "rsa", key: "rsa.key", args: subject("rsa")},
			{name: "ed25519", key: "ed25519.key", args: subject("ed25519")},
			{name: "cr", kind: "cr", key: "p256.key", args: subject("cr")},
			{name: "cr-implicit", kind: "cr", key: "p256.key", args: with(subject("cr-implicit"), implicit), posts: 1},

			{name: "implicit", key: "p256.key", args: with(subject("implicit"), implicit), posts: 1},
			{name: "unconfirmed", key: "p256.key", args: with(subject("unconfirmed"), []string{"-disable_confirm"}), posts: 1, status: cmpcore.Unconfirmed},
			// Asked for and then sent all the same would be one message more.
			{name: "implicit-and-disabled", key: "p256.key", args: with(subject("x"), implicit, []string{"-disable_confirm"}), posts: 1},

			{name: "order", key: "p256.key", args: []string{"-subject", "/C=DE/O=Ex/OU=b/OU=a/CN=order"},
				check: subjectIs("/C=DE/O=Ex/OU=b/OU=a/CN=order")},
			{name: "utf8", key: "p256.key", args: []string{"-subject", "/O=Größe/CN=Jörg"}, check: subjectIs("/O=Größe/CN=Jörg")},
			{name: "multi-valued", key: "p256.key", args: []string{"-subject", "/O=Ex/CN=multi+serialNumber=42"},
				check: subjectIs("/O=Ex/serialNumber=42+CN=multi")},
			{name: "san-only", key: "p256.key", args: []string{"-sans", "only.example"},
				check: func(t *testing.T, c *x509.Certificate) {
					if len(c.Subject.Names) != 0 || !slices.Equal(c.DNSNames, []string{"only.example"}) {
						t.Errorf("subject %q, names %q", c.Subject, c.DNSNames)
					}
					for _, e := range c.Extensions {
						if e.Id.String() == "2.5.29.17" && !e.Critical {
							t.Error("subjectAltName is not critical in a certificate without subject (RFC 5280 section 4.2.1.6)")
						}
					}
				}},
			{name: "sans", key: "p256.key", args: with(subject("sans"), []string{"-sans", "a.example,192.0.2.1,2001:db8::1,https://x.example/a?b"}),
				check: func(t *testing.T, c *x509.Certificate) {
					var ips []string
					for _, ip := range c.IPAddresses {
						a, _ := netip.AddrFromSlice(ip)
						ips = append(ips, a.String())
					}
					if !slices.Equal(c.DNSNames, []string{"a.example"}) || !slices.Equal(ips, []string{"192.0.2.1", "2001:db8::1"}) ||
						len(c.URIs) != 1 || c.URIs[0].String() != "https://x.example/a?b" {
						t.Errorf("names %q %q %q", c.DNSNames, ips, c.URIs)
					}
				}},
			{name: "reqexts", key: "p256.key", args: with(subject("reqexts"), []string{"-config", "exts.cnf", "-reqexts", "exts"}),
				check: func(t *testing.T, c *x509.Certificate) {
					if c.KeyUsage != x509.KeyUsageDigitalSignature|x509.KeyUsageKeyAgreement ||
						!slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}) ||
						!slices.Equal(c.DNSNames, []string{"ext.example"}) || !slices.Equal(c.EmailAddresses, []string{"a@ext.example"}) {
						t.Errorf("%v %v %q %q", c.KeyUsage, c.ExtKeyUsage, c.DNSNames, c.EmailAddresses)
					}
					if !slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool {
						return e.Id.String() == "1.3.6.1.5.5.7.1.24" && bytes.Equal(e.Value, []byte{0x30, 3, 2, 1, 5})
					}) {
						t.Error("tlsfeature is missing")
					}
				}},
			{name: "policy-oids", key: "p256.key", args: with(subject("policy-oids"), []string{"-policy_oids", "1.2.3.4 1.2.3.5"}),
				words: []string{"granted with modifications", "extension certificatePolicies: left out"},
				check: func(t *testing.T, c *x509.Certificate) {
					if len(c.PolicyIdentifiers) != 0 {
						t.Error("policies that the profile does not allow")
					}
				}},
			{name: "policies", key: "p256.key", args: with(subject("policies"), []string{"-config", "exts.cnf", "-policies", "policy"}),
				words: []string{"granted with modifications", "extension certificatePolicies: left out"}},
			{name: "sub-ca", key: "p256.key", args: with(subject("sub-ca"), []string{"-config", "exts.cnf", "-reqexts", "ca"}),
				words: []string{"granted with modifications", "basicConstraints: granted CA FALSE"},
				check: func(t *testing.T, c *x509.Certificate) {
					if c.IsCA || c.KeyUsage&x509.KeyUsageCertSign != 0 {
						t.Error("a device got a CA certificate")
					}
				}},
			{name: "days", key: "p256.key", args: with(subject("days"), []string{"-days", "30"}), check: lastsDays(30)},
			{name: "days-clamped", key: "p256.key", args: with(subject("days-clamped"), []string{"-days", "36500"}),
				words: []string{"granted with modifications", "notAfter changed"}, check: lastsDays(3 * 365)},
			{name: "no-days", key: "p256.key", args: subject("no-days"), check: lastsDays(365)},

			{name: "recipient", key: "p256.key", args: with(subject("recipient"), []string{"-recipient", "/O=Interop/CN=Interop CA"})},
			{name: "recipient-other", key: "p256.key", args: with(subject("recipient-other"), []string{"-recipient", "/CN=Somebody"})},
			{name: "issuer", key: "p256.key", args: with(subject("issuer"), []string{"-issuer", "/O=Interop/CN=Interop CA"})},
			{name: "geninfo", key: "p256.key", args: with(subject("geninfo"), []string{"-geninfo", "1.2.3.4:int:987"})},
			{name: "expect-sender", key: "p256.key", args: with(subject("expect-sender"), []string{"-expect_sender", "/O=Interop/CN=Interop CA"})},

			{name: "ir-csr", key: "p256.key", args: []string{"-csr", "printer.csr"},
				check: func(t *testing.T, c *x509.Certificate) {
					subjectIs("/O=CSR/CN=printer")(t, c)
					if !slices.Equal(c.DNSNames, []string{"printer.example"}) {
						t.Errorf("names %q", c.DNSNames)
					}
				}},
			{name: "p10cr", kind: "p10cr", csr: true, key: "p256.key", args: []string{"-csr", "printer.csr"},
				check: func(t *testing.T, c *x509.Certificate) {
					subjectIs("/O=CSR/CN=printer")(t, c)
					if !slices.Equal(c.DNSNames, []string{"printer.example"}) || c.KeyUsage != x509.KeyUsageDigitalSignature {
						t.Errorf("names %q, usage %v", c.DNSNames, c.KeyUsage)
					}
				}},
			{name: "p10cr-implicit", kind: "p10cr", csr: true, key: "p256.key", args: with(implicit, []string{"-csr", "printer.csr"}), posts: 1},
			{name: "p10cr-ed25519", kind: "p10cr", csr: true, key: "ed25519.key", args: []string{"-csr", "ed.csr"}},
		}
		for _, digest := range []string{"sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512"} {
			tests = append(tests, enrolment{name: "owf-" + digest, key: "p256.key", args: with(subject(digest), implicit, []string{"-digest", digest}), posts: 1})
		}
		for _, mac := range []string{"hmac-sha1", "hmacWithSHA1", "hmacWithSHA224", "hmacWithSHA256", "hmacWithSHA384", "hmacWithSHA512"} {
			tests = append(tests, enrolment{name: "mac-" + mac, key: "p256.key", args: with(subject(mac), implicit, []string{"-mac", mac}), posts: 1})
		}
		for _, e := range tests {
			if e.kind == "" {
				e.kind = "ir"
			}
			e.args = with(byMAC, e.args)
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				s.enrol(t, o, "spool", e)
			})
		}
		t.Run("caPubs and extraCerts", func(t *testing.T) {
			t.Parallel()
			args := with(byMAC, subject("capubs"), []string{"-newkey", "p256.key", "-certout", "capubs.crt",
				"-cacertsout", "capubs.pem", "-extracertsout", "extra.pem"})
			s.cmp(t, o, "spool/capubs", "ir", args...).expect(t, 0)
			root := pemFile(t, s.ca())
			for _, f := range []string{"capubs.pem", "extra.pem"} {
				if !bytes.Equal(pemFile(t, filepath.Join(s.work, f)), root) {
					t.Errorf("%s is not the CA's certificate", f)
				}
			}
		})
		t.Run("the client does not want it", func(t *testing.T) {
			t.Parallel()
			// It trusts another CA for what it enrols, and says so by certConf.
			o.do(t, s.work, "req", "-x509", "-key", "p384.key", "-subj", "/CN=Other CA", "-days", "30", "-out", "other-ca.crt")
			args := with(byMAC, subject("unwanted"), []string{"-newkey", "p256.key", "-certout", "unwanted.crt", "-out_trusted", "other-ca.crt"})
			s.cmp(t, o, "spool/unwanted", "ir", args...).expect(t, 1, "rejecting newly enrolled cert")
			if n := s.posts("spool/unwanted"); n != 2 {
				t.Errorf("%d messages, want ir and certConf", n)
			}
			n := 0
			for c, err := range s.store.Certificates(context.Background(), spool.CertFilter{SubjectPart: "CN=unwanted"}) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; c.Status != cmpcore.RejectedByHolder {
					t.Errorf("it is %s", c.Status)
				}
			}
			if n != 1 {
				t.Errorf("%d certificates", n)
			}
		})
	})
}

// TestOpenSSLEnrolsBySignature: certificates of this CA protect the requests.
func TestOpenSSLEnrolsBySignature(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := newSite(t, broadConfig, map[string]string{"device-1": deviceSecret})
		trust := []string{"-trusted", s.ca()}
		o.key(t, s.work, "new", "p256")
		o.key(t, s.work, "new-rsa", "rsa")
		signers := []string{"p256", "p384", "p521", "rsa", "pss", "ed25519"}
		for _, k := range signers {
			o.key(t, s.work, k, k)
			s.enrol(t, o, "poll", enrolment{name: k, kind: "ir", key: k + ".key", posts: 1,
				args: with(byMAC, []string{"-subject", "/O=Interop/CN=" + k, "-sans", k + ".example", "-implicit_confirm"})})
		}
		signed := func(k string) []string {
			return with(trust, []string{"-cert", k + ".crt", "-key", k + ".key"})
		}
		// update is a kur of a signer's certificate, of which subject and names stay.
		update := func(k string) func(*testing.T, *x509.Certificate) {
			return func(t *testing.T, c *x509.Certificate) {
				subjectIs("/O=Interop/CN="+k)(t, c)
				if !slices.Equal(c.DNSNames, []string{k + ".example"}) {
					t.Errorf("names %q", c.DNSNames)
				}
			}
		}
		var tests []enrolment
		for _, k := range []string{"p256", "p384", "p521", "rsa"} {
			tests = append(tests,
				enrolment{name: "kur-" + k, kind: "kur", key: "new.key", args: signed(k), check: update(k)},
				enrolment{name: "cr-" + k, kind: "cr", key: "new-rsa.key", args: with(signed(k), []string{"-subject", "/CN=cr of " + k}),
					check: subjectIs("/CN=cr of " + k)})
		}
		for _, digest := range []string{"sha224", "sha256", "sha384", "sha512", "sha3-256"} {
			for _, k := range []string{"p384", "rsa"} {
				if k == "p384" && strings.HasPrefix(digest, "sha3-") && o.old() {
					continue // it knows no name for ECDSA with SHA-3
				}
				tests = append(tests, enrolment{name: "kur-" + k + "-" + digest, kind: "kur", key: "new.key",
					args: with(signed(k), []string{"-digest", digest, "-implicit_confirm"}), posts: 1})
			}
		}
		o.do(t, s.work, "req", "-new", "-key", "new.key", "-subj", "/CN=signed csr", "-out", "new.csr")
		tests = append(tests,
			enrolment{name: "p10cr", kind: "p10cr", csr: true, key: "new.key", args: with(signed("p256"), []string{"-csr", "new.csr"}), check: subjectIs("/CN=signed csr")},
			enrolment{name: "ir", kind: "ir", key: "new.key", args: with(signed("p256"), []string{"-subject", "/CN=signed ir"})},
			enrolment{name: "kur-implicit", kind: "kur", key: "new.key", args: with(signed("p256"), []string{"-implicit_confirm"}), posts: 1, check: update("p256")},
			enrolment{name: "kur-unconfirmed", kind: "kur", key: "new.key", args: with(signed("p256"), []string{"-disable_confirm"}), posts: 1,
				status: cmpcore.Unconfirmed, check: update("p256")},
			enrolment{name: "kur-oldcert", kind: "kur", key: "new.key", args: with(signed("p256"), []string{"-oldcert", "p256.crt"}), check: update("p256")},
			enrolment{name: "kur-srvcert", kind: "kur", key: "new.key", check: update("p256"),
				args: []string{"-cert", "p256.crt", "-key", "p256.key", "-srvcert", s.ca()}},
			enrolment{name: "kur-without-names", kind: "kur", key: "new.key", args: with(signed("p256"), []string{"-san_nodefault"}), check: update("p256")},
			enrolment{name: "kur-under-secret", kind: "kur", key: "new.key", args: with(byMAC, []string{"-oldcert", "p256.crt"}), check: update("p256")},
			enrolment{name: "extracerts", kind: "kur", key: "new.key", args: with(signed("p256"), []string{"-extracerts", "rsa.crt"}), check: update("p256")},
			enrolment{name: "pss-key", kind: "cr", key: "pss.key", args: with(signed("rsa"), []string{"-subject", "/CN=pss key"})},
		)
		for _, e := range tests {
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				s.enrol(t, o, "poll", e)
			})
		}
		// What OpenSSL 3.0 cannot: it finds no signature algorithm for these keys
		// and a digest of its own choice.
		for _, k := range []string{"ed25519", "pss"} {
			t.Run("kur-"+k, func(t *testing.T) {
				t.Parallel()
				if o.old() {
					s.cmp(t, o, "poll/kur-"+k, "kur", with(signed(k), []string{"-newkey", "new.key", "-certout", "x.crt"})...).expect(t, 1, "error")
					if n := s.posts("poll/kur-" + k); n != 0 {
						t.Errorf("OpenSSL %s has learned to protect with this key: move it to the others", o.version)
					}
					return
				}
				s.enrol(t, o, "poll", enrolment{name: "kur-" + k, kind: "kur", key: "new.key", args: signed(k), check: update(k)})
			})
		}
	})
}

// broadConfig is a CA for all that the stock one does not do.
const broadConfig = `version: 1
ca:
  certificate: ca/ca.crt
  key: ca/ca.key
  passphrase_file: secrets/ca.pass
store:
  sqlite: state.db
profiles:
  default:
    validity: {default: 1y, max: 3y, request: clamp}
    keys: [ecdsa-p256, ecdsa-p384, ecdsa-p521, rsa-2048+, rsa-pss-2048+, ed25519]
    subject: {from_request: true, may_be_empty: true}
    san: {allowed: [dns, ip, email, uri]}
    key_usage:
      allowed: [digitalSignature, keyEncipherment, keyAgreement]
      default: [digitalSignature]
    extensions: {unaccepted: refuse}
rules:
  - name: waiting
    who: {secret: "slow-*"}
    may: [ir, cr, p10cr]
    profile: default
    approval: required
  - name: registration-authority
    who: {secret: "ra-*"}
    may: [ir, cr, kur, p10cr, rr, genm]
    profile: default
    ra_verified: true
    update: {any: true}
    revoke: {any: true}
  - name: named
    who: {secret: "named-*"}
    may: [ir]
    profile: default
    subjects: "CN=named *,O=Interop"
    key_types: [ecdsa-p384]
  - name: devices
    who: {secret: "*"}
    may: [ir, cr, kur, p10cr, rr, genm]
    profile: default
  - name: slow-holders
    who: {certificate: {issued_by: self, subject: "CN=slow *,*"}}
    may: [kur, rr]
    profile: default
    own: true
    approval: required
  - name: holders
    who: {certificate: {issued_by: self}}
    may: [ir, cr, kur, p10cr, rr, genm]
    profile: default
channels:
  - name: poll
    policy: poll
    dir: {in: spool/poll/in, out: spool/poll/out, archive: spool/poll/archive, failed: spool/poll/failed}
  - name: rfc
    policy: rfc
    dir: {in: spool/rfc/in, out: spool/rfc/out, archive: spool/rfc/archive, failed: spool/rfc/failed}
  - name: hold
    policy: hold
    dir: {in: spool/hold/in, out: spool/hold/out, archive: spool/hold/archive, failed: spool/hold/failed}
  - name: strict
    policy: strict
    dir: {in: spool/strict/in, out: spool/strict/out, archive: spool/strict/archive, failed: spool/strict/failed}
policies:
  poll: {poll_interval: 1s, poll_nonce: last}   # what OpenSSL 3.0 wants
  rfc: {poll_interval: 1s, poll_nonce: first}
  hold: {waiting: hold}
  strict:
    protocol: rfc9483
    tolerate: []
    implicit_confirm: false
    extra_certs_root: false
    message_time_window: 10m
    require_message_time: true
    mac: {min_iterations: 1000, allow_hmac_sha1: false, allow_sha1: true}
    signatures: {algorithms: [ecdsa-sha384], weak: []}
`

func TestBroadConfigIsRight(t *testing.T) {
	if _, err := configs.Parse([]byte(broadConfig), t.TempDir()); err != nil {
		t.Fatal(err)
	}
}
