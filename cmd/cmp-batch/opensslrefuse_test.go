package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// refusal is one transaction that must end without a certificate: openssl
// exits 1 and shows the reason that we give.
type refusal struct {
	name    string
	kind    string
	channel string // default: that of the test
	args    []string
	fail    string // PKIFailureInfo, as openssl writes it
	text    string // our statusString
	posts   int    // default 1
}

// slug makes a name one for paths.
var slug = strings.NewReplacer(" ", "-", "'", "")

func (s *site) refuse(t *testing.T, o *openssl, channel string, r refusal) {
	t.Helper()
	if r.channel != "" {
		channel = r.channel
	}
	if r.posts == 0 {
		r.posts = 1
	}
	args := r.args
	if r.kind != "rr" && r.kind != "genm" {
		args = with([]string{"-certout", r.name + ".crt"}, args)
	}
	path := channel + "/" + slug.Replace(r.name)
	words := []string{"PKIStatus: rejection; PKIFailureInfo: " + r.fail + "; StatusString: \"" + r.text + "\""}
	s.cmp(t, o, path, r.kind, args...).expect(t, 1, words...)
	if n := s.posts(path); n != r.posts {
		t.Errorf("%d messages were sent, want %d", n, r.posts)
	}
	if n := s.issuedTo(t, "CN="+r.name); n != 0 {
		t.Errorf("%d certificates were issued", n)
	}
}

// TestOpenSSLIsRefused: what a fresh CA does not grant to the holder of a
// secret or a certificate. Unprotected errors are not accepted by the client:
// whatever it shows was protected, by the secret or, where none was proven, by
// the CA's signature.
func TestOpenSSLIsRefused(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := stockSite(t)
		trust := []string{"-trusted", s.ca()}
		for _, k := range []string{"p256", "new", "other"} {
			o.key(t, s.work, k, "p256")
		}
		o.key(t, s.work, "rsa", "rsa")
		o.key(t, s.work, "pss", "pss")
		o.key(t, s.work, "weak", "weak")
		o.key(t, s.work, "brainpool", "brainpool")
		writeFile(t, filepath.Join(s.work, "exts.cnf"), requestExtensions)
		implicit := []string{"-implicit_confirm"}
		for _, k := range []string{"p256", "other", "rsa"} {
			s.enrol(t, o, "spool", enrolment{name: k, kind: "ir", key: k + ".key", posts: 1,
				args: with(byMAC, implicit, []string{"-subject", "/O=Interop/CN=holder of " + k, "-sans", k + ".example"})})
		}
		o.do(t, s.work, "req", "-x509", "-key", "rsa.key", "-subj", "/CN=Other CA", "-out", "other-ca.crt")
		o.do(t, s.work, "req", "-x509", "-key", "new.key", "-subj", "/CN=stranger", "-CA", "other-ca.crt", "-CAkey", "rsa.key", "-out", "stranger.crt")
		// A certificate with the name of the CA as its issuer, and its subject that
		// of a certificate of ours.
		o.do(t, s.work, "req", "-x509", "-key", "rsa.key", "-subj", "/O=Interop/CN=Interop CA", "-out", "false-ca.crt")
		o.do(t, s.work, "req", "-x509", "-key", "new.key", "-subj", "/O=Interop/CN=holder of p256", "-CA", "false-ca.crt", "-CAkey", "rsa.key", "-out", "impostor.crt")

		ask := func(name string, more ...string) []string {
			return with(byMAC, []string{"-newkey", "new.key", "-subject", "/CN=" + name}, more)
		}
		signed := func(k string, more ...string) []string {
			return with(trust, []string{"-cert", k + ".crt", "-key", k + ".key"}, more)
		}
		update := func(k string, more ...string) []string {
			return with(signed(k, "-newkey", "new.key"), more)
		}
		secret := func(ref, secret string) []string {
			return with(trust, []string{"-ref", ref, "-secret", "pass:" + secret, "-newkey", "new.key", "-subject", "/CN=x"})
		}
		const badMAC = "the message authentication code does not verify, or its reference is unknown"
		tests := []refusal{
			{name: "wrong secret", kind: "ir", args: secret("device-1", "another"), fail: "badMessageCheck", text: badMAC},
			{name: "unknown reference", kind: "ir", args: secret("device-2", deviceSecret), fail: "badMessageCheck", text: badMAC},
			{name: "no reference", kind: "ir", args: with(trust, []string{"-secret", "pass:" + deviceSecret, "-newkey", "new.key", "-subject", "/CN=x"}),
				fail: "badMessageCheck", text: badMAC},
			{name: "owf SHA-1", kind: "ir", args: with(trust, ask("owf SHA-1", "-digest", "sha1")),
				fail: "badAlg", text: "the MAC algorithm or its parameters are not accepted"},
			{name: "HMAC-MD5", kind: "ir", args: with(trust, ask("HMAC-MD5", "-mac", "hmac-md5")),
				fail: "badAlg", text: "the MAC algorithm or its parameters are not accepted"},

			{name: "no POP", kind: "ir", args: ask("no POP", "-popo", "-1"), fail: "badPOP", text: "proof of possession is missing"},
			{name: "raVerified", kind: "ir", args: ask("raVerified", "-popo", "0"), fail: "badPOP", text: "raVerified is not accepted from this requester"},
			{name: "keyEnc", kind: "ir", args: ask("keyEnc", "-popo", "2"), fail: "badPOP", text: "this proof of possession is not for this type of key"},
			{name: "no name", kind: "ir", args: with(byMAC, []string{"-newkey", "new.key"}),
				fail: "badCertTemplate", text: "the request names no subject, and no subjectAltName either"},
			{name: "other issuer", kind: "ir", args: ask("other issuer", "-issuer", "/CN=Other CA"), fail: "badCertTemplate", text: "the template names another issuer"},
			{name: "RSA-PSS key", kind: "ir", args: with(byMAC, []string{"-newkey", "pss.key", "-subject", "/CN=x"}),
				fail: "badAlg", text: "keys of type rsa-pss-2048 are not accepted"},
			{name: "CA", kind: "ir", args: ask("CA", "-config", "exts.cnf", "-reqexts", "ca-usage"),
				fail: "unacceptedExtension", text: "the requested keyUsage is not accepted"},
			{name: "weak key", kind: "ir", args: with(byMAC, []string{"-newkey", "weak.key", "-subject", "/CN=x"}),
				fail: "badAlg", text: "keys of type rsa-1024 are not accepted"},
			{name: "brainpool key", kind: "ir", args: with(byMAC, []string{"-newkey", "brainpool.key", "-subject", "/CN=x"}),
				fail: "badAlg", text: "keys of this type are not supported"},

			{name: "kur under secret", kind: "kur", args: with(byMAC, []string{"-oldcert", "p256.crt", "-newkey", "new.key"}),
				fail: "notAuthorized", text: "this requester may not send a kur message"},
			{name: "rr under secret", kind: "rr", args: with(byMAC, []string{"-oldcert", "p256.crt"}),
				fail: "notAuthorized", text: "this requester may not send a rr message"},
			{name: "cr signed", kind: "cr", args: update("p256", "-subject", "/CN=cr signed"),
				fail: "notAuthorized", text: "this requester may not send a cr message"},

			{name: "stranger", kind: "kur", args: with(trust, []string{"-cert", "stranger.crt", "-key", "new.key", "-newkey", "other.key", "-recipient", "/CN=CA"}),
				fail: "signerNotTrusted", text: "the certificate that signs is not trusted here"},
			{name: "impostor", kind: "kur", args: with(trust, []string{"-cert", "impostor.crt", "-key", "new.key", "-newkey", "other.key"}),
				fail: "signerNotTrusted", text: "the certificate that signs is not trusted here"},
			{name: "SHA-1 with RSA", kind: "kur", args: update("rsa", "-digest", "sha1"), fail: "badAlg", text: "the signature algorithm is not accepted"},
			{name: "SHA-1 with ECDSA", kind: "kur", args: update("p256", "-digest", "sha1"), fail: "badAlg", text: "the signature algorithm is not accepted"},
			{name: "same key", kind: "kur", args: signed("p256", "-newkey", "p256.key"), fail: "badCertTemplate", text: "the new certificate must have a new key"},
			{name: "other subject", kind: "kur", args: update("p256", "-subject", "/CN=other subject"), fail: "badCertTemplate", text: "an update must keep the subject"},
			{name: "other names", kind: "kur", args: update("p256", "-sans", "evil.example"), fail: "badCertTemplate", text: "an update must keep the subjectAltName"},
			{name: "somebody else's update", kind: "kur", args: update("p256", "-oldcert", "other.crt"),
				fail: "badCertId", text: "oldCertID is not the certificate that signs"},
			{name: "somebody else's revocation", kind: "rr", args: signed("p256", "-oldcert", "other.crt", "-revreason", "1"),
				fail: "notAuthorized", text: "this requester may not revoke this certificate"},
			{name: "removeFromCRL", kind: "rr", args: signed("p256", "-oldcert", "p256.crt", "-revreason", "8"),
				fail: "badRequest", text: "removeFromCRL needs a certificate that is on hold"},
			{name: "no certificate of ours", kind: "rr", args: signed("p256", "-oldcert", "stranger.crt", "-revreason", "1"),
				fail: "badCertId", text: "certDetails names no certificate of this CA"},
		}
		for _, r := range tests {
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				s.refuse(t, o, "spool", r)
			})
		}
		t.Run("without trust in the CA", func(t *testing.T) {
			t.Parallel()
			// The refusal is signed, and this client has no way to check it.
			s.cmp(t, o, "spool/untrusting", "ir", "-ref", "device-1", "-secret", "pass:another", "-newkey", "new.key", "-subject", "/CN=x", "-certout", "x.crt").
				expect(t, 1, "missing trust anchor")
		})
		t.Run("unprotected request", func(t *testing.T) {
			t.Parallel()
			s.refuse(t, o, "spool", refusal{name: "unprotected", kind: "ir", fail: "badMessageCheck", text: "the message is not protected",
				args: with(trust, []string{"-unprotected_requests", "-newkey", "new.key", "-subject", "/CN=unprotected"})})
		})
	})
}
