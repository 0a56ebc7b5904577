package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// TestOpenSSLRevokes goes through the reasons of RFC 5280 section 5.3.1, and
// then lets openssl verify judge with the CRL.
func TestOpenSSLRevokes(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := newSite(t, broadConfig, map[string]string{"device-1": deviceSecret, "device-2": "what device 2 knows", "ra-1": "what the RA knows"})
		byRA := []string{"-ref", "ra-1", "-secret", "pass:what the RA knows"}
		trust := []string{"-trusted", s.ca()}
		o.key(t, s.work, "k", "p256")
		// make gives a certificate that device-1 asked for.
		make := func(t *testing.T, name string) string {
			t.Helper()
			s.enrol(t, o, "poll", enrolment{name: name, kind: "ir", key: "k.key", posts: 1,
				args: with(byMAC, []string{"-subject", "/CN=" + name, "-implicit_confirm"})})
			return name + ".crt"
		}
		accepted := func(t *testing.T, name, cert string, args ...string) {
			t.Helper()
			s.cmp(t, o, "poll/"+name, "rr", with([]string{"-oldcert", cert}, args)...).expect(t, 0, "revocation accepted")
		}
		revoked := func(t *testing.T, cert string, reason int) {
			t.Helper()
			if c := s.status(t, cert, cmpcore.Revoked); c.Reason != reason || c.RevokedAt.IsZero() {
				t.Errorf("%s: reason %d at %s, want %d", cert, c.Reason, c.RevokedAt, reason)
			}
		}

		good := []string{make(t, "good")}
		bad := map[string]int{} // file, reason
		for _, reason := range []int{-1, 0, 1, 2, 3, 4, 5, 6, 9, 10} {
			name := fmt.Sprintf("reason%d", reason)
			cert := make(t, name)
			bad[cert] = max(reason, 0)
			t.Run(name, func(t *testing.T) {
				accepted(t, "rr-"+name, cert, with(byRA, []string{"-revreason", fmt.Sprint(reason)})...)
				revoked(t, cert, max(reason, 0))
			})
		}
		for _, reason := range []string{"7", "11", "-2"} {
			t.Run("reason"+reason, func(t *testing.T) {
				s.cmp(t, o, "poll/none"+reason, "rr", with(byRA, []string{"-oldcert", "good.crt", "-revreason", reason})...).expect(t, 1, "revreason")
				if n := s.posts("poll/none" + reason); n != 0 {
					t.Errorf("openssl sends what RFC 5280 does not have: %d messages", n)
				}
			})
		}
		t.Run("on hold and back", func(t *testing.T) {
			cert := make(t, "held")
			accepted(t, "hold", cert, with(byRA, []string{"-revreason", "6"})...)
			revoked(t, cert, 6)
			s.refuse(t, o, "poll", refusal{name: "held twice", kind: "rr", args: with(byRA, []string{"-oldcert", cert, "-revreason", "6"}),
				fail: "certRevoked", text: "the certificate is revoked already"})
			accepted(t, "release", cert, with(byRA, []string{"-revreason", "8"})...)
			s.status(t, cert, cmpcore.Valid)
			good = append(good, cert)
		})
		t.Run("on hold and then for good", func(t *testing.T) {
			cert := make(t, "doomed")
			accepted(t, "doomed-hold", cert, with(byRA, []string{"-revreason", "6"})...)
			accepted(t, "doomed-end", cert, with(byRA, []string{"-revreason", "5"})...)
			revoked(t, cert, 5)
			bad[cert] = 5
			s.refuse(t, o, "poll", refusal{name: "doomed once more", kind: "rr", args: with(byRA, []string{"-oldcert", cert, "-revreason", "1"}),
				fail: "certRevoked", text: "the certificate is revoked already"})
			revoked(t, cert, 5)
			s.refuse(t, o, "poll", refusal{name: "back from the dead", kind: "rr", args: with(byRA, []string{"-oldcert", cert, "-revreason", "8"}),
				fail: "badRequest", text: "removeFromCRL needs a certificate that is on hold"})
		})
		t.Run("by its key", func(t *testing.T) {
			cert := make(t, "suicide")
			signed := with(trust, []string{"-cert", cert, "-key", "k.key"})
			accepted(t, "by-its-key", cert, with(signed, []string{"-revreason", "4"})...)
			revoked(t, cert, 4)
			bad[cert] = 4
			for _, kind := range []string{"kur", "rr", "genm"} {
				args := map[string][]string{"kur": {"-newkey", "k.key"}, "rr": {"-oldcert", "good.crt"}, "genm": {"-infotype", "caCerts"}}[kind]
				s.refuse(t, o, "poll", refusal{name: "after that " + kind, kind: kind, args: with(signed, args),
					fail: "certRevoked", text: "the signer's certificate is revoked"})
			}
		})
		t.Run("by the secret that asked for it", func(t *testing.T) {
			cert := make(t, "asked")
			s.refuse(t, o, "poll", refusal{name: "by another secret", kind: "rr", fail: "notAuthorized", text: "this requester may not revoke this certificate",
				args: []string{"-oldcert", cert, "-ref", "device-2", "-secret", "pass:what device 2 knows", "-revreason", "1"}})
			s.status(t, cert, cmpcore.Valid)
			accepted(t, "by-secret", cert, with(byMAC, []string{"-revreason", "1"})...)
			revoked(t, cert, 1)
			bad[cert] = 1
		})
		t.Run("before it is confirmed", func(t *testing.T) {
			s.enrol(t, o, "poll", enrolment{name: "early", kind: "ir", key: "k.key", posts: 1, status: cmpcore.Unconfirmed,
				args: with(byMAC, []string{"-subject", "/CN=early", "-disable_confirm"})})
			accepted(t, "rr-early", "early.crt", with(byMAC, []string{"-revreason", "1"})...)
			revoked(t, "early.crt", 1)
			bad["early.crt"] = 1
		})
		t.Run("not wanted by its holder", func(t *testing.T) {
			// It trusts another CA for what it enrols, and says no by certConf.
			o.do(t, s.work, "req", "-x509", "-key", "k.key", "-subj", "/CN=Other CA", "-out", "other-ca.crt")
			s.cmp(t, o, "poll/unwanted", "ir", with(byMAC, []string{"-newkey", "k.key", "-subject", "/CN=unwanted", "-certout", "x.crt", "-out_trusted", "other-ca.crt"})...).
				expect(t, 1, "rejecting newly enrolled cert")
			for c, err := range s.store.Certificates(context.Background(), spool.CertFilter{SubjectPart: "CN=unwanted"}) {
				if err != nil {
					t.Fatal(err)
				}
				writeFile(t, filepath.Join(s.work, "unwanted.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.DER})))
			}
			s.status(t, "unwanted.crt", cmpcore.RejectedByHolder)
			bad["unwanted.crt"] = 0
		})
		if o.can("-serial") {
			t.Run("by issuer and serial number", func(t *testing.T) {
				cert := make(t, "numbered")
				serial := s.record(t, cert).Serial
				s.cmp(t, o, "poll/numbered-rr", "rr", with(byRA, []string{"-issuer", "/O=Interop/CN=Interop CA", "-serial", fmt.Sprintf("0x%x", serial), "-revreason", "1"})...).
					expect(t, 0, "revocation accepted")
				revoked(t, cert, 1)
				bad[cert] = 1
			})
		}
		if t.Failed() {
			return
		}

		crl := filepath.Join(s.work, "ca.crl")
		s.cli(t, "crl", "-c", s.config, "--out", crl)
		der, err := os.ReadFile(crl)
		if err != nil {
			t.Fatal(err)
		}
		t.Run("CRL", func(t *testing.T) { checkCRL(t, s, o, der, good, bad) })
		t.Run("currentCRL", func(t *testing.T) {
			s.cmp(t, o, "poll/currentCRL", "genm", with(byMAC, []string{"-infotype", "currentCRL", "-rspout", "genp.pki"})...).
				expect(t, 0, "genp contains ITAV of type: id-it-currentCRL")
			// The daemon may have made one since.
			now, err := s.store.View().CRL(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			genp := read(t, filepath.Join(s.work, "genp.pki"))
			if !bytes.Contains(genp, der) && !bytes.Contains(genp, now.DER) {
				t.Error("it is not the CRL of cmp-batch crl")
			}
		})
	})
}

// checkCRL lets openssl verify, and reads the entries.
func checkCRL(t *testing.T, s *site, o *openssl, der []byte, good []string, bad map[string]int) {
	o.do(t, s.work, "crl", "-inform", "DER", "-in", "ca.crl", "-out", "ca-crl.pem")
	if said := o.do(t, s.work, "crl", "-in", "ca-crl.pem", "-CAfile", s.ca(), "-noout"); !bytes.Contains([]byte(said), []byte("verify OK")) {
		t.Errorf("openssl crl: %s", said)
	}
	verify := func(file string) said {
		return o.run(t, s.work, "verify", "-x509_strict", "-crl_check", "-CAfile", s.ca(), "-CRLfile", "ca-crl.pem", file)
	}
	for _, file := range good {
		verify(file).expect(t, 0, file+": OK")
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]int{}
	for _, e := range list.RevokedCertificateEntries {
		reasons[e.SerialNumber.String()] = e.ReasonCode
		for _, x := range e.Extensions {
			// RFC 5280 section 5.3.1: absent instead of unspecified.
			if x.Id.String() == "2.5.29.21" && e.ReasonCode == 0 {
				t.Errorf("%s has a reasonCode unspecified", e.SerialNumber)
			}
		}
	}
	for file, want := range bad {
		verify(file).expect(t, 2, "certificate revoked")
		serial := certFile(t, filepath.Join(s.work, file)).SerialNumber.String()
		if got, ok := reasons[serial]; !ok || got != want {
			t.Errorf("%s: reason %d (%v) in the CRL, want %d", file, got, ok, want)
		}
		delete(reasons, serial)
	}
	if len(reasons) != 0 {
		t.Errorf("%d entries too many in the CRL", len(reasons))
	}
}

// TestOpenSSLAsks: what genm can ask, as far as OpenSSL 3.0 has names for it. It
// shows the types of an answer only; values are looked for in the octets.
func TestOpenSSLAsks(t *testing.T) {
	eachOpenSSL(t, func(t *testing.T, o *openssl) {
		s := stockSite(t)
		o.key(t, s.work, "k", "p256")
		s.enrol(t, o, "spool", enrolment{name: "ee", kind: "ir", key: "k.key", args: with(byMAC, []string{"-subject", "/CN=ee"})})
		root := pemFile(t, s.ca())
		for _, who := range []struct {
			name string
			args []string
		}{{"mac", byMAC}, {"signed", []string{"-cert", "ee.crt", "-key", "k.key", "-trusted", s.ca()}}} {
			for _, tt := range []struct {
				ask     string
				answers []string
				has     []byte
			}{
				{"caCerts", []string{"caCerts"}, root},
				{"currentCRL", []string{"currentCRL"}, nil},
				{"signKeyPairTypes", []string{"signKeyPairTypes"}, []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}}, // secp384r1
				{"implicitConfirm", []string{"implicitConfirm"}, nil},
				{"confirmWaitTime", []string{"confirmWaitTime"}, nil},
				{"encKeyPairTypes", []string{"encKeyPairTypes"}, nil},
				{"preferredSymmAlg", []string{"unsupportedOIDs"}, nil},
				{"caKeyUpdateInfo", []string{"caKeyUpdateInfo"}, nil},
				{"revPassphrase", []string{"unsupportedOIDs"}, nil},
				// OpenSSL 3.0 sends these without the value that they must have.
				{"keyPairParamReq", nil, nil},
				{"suppLangTags", nil, nil},
				// RFC 9810 appendix D.5: an empty one wants all relevant information.
				{"", []string{"caCerts", "signKeyPairTypes", "currentCRL"}, root},
			} {
				name := who.name + "-" + tt.ask
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					args := with(who.args, []string{"-rspout", name + ".pki"})
					if tt.ask != "" {
						args = append(args, "-infotype", tt.ask)
					}
					var words []string
					for _, a := range tt.answers {
						words = append(words, "genp contains ITAV of type: id-it-"+a)
					}
					if tt.answers == nil {
						s.cmp(t, o, "spool/"+name, "genm", args...).expect(t, 1, "badDataFormat", tt.ask+" could not be read")
						return
					}
					s.cmp(t, o, "spool/"+name, "genm", args...).expect(t, 0, words...)
					if !bytes.Contains(read(t, filepath.Join(s.work, name+".pki")), tt.has) {
						t.Error("the value is not in the answer")
					}
				})
			}
		}
	})
}
