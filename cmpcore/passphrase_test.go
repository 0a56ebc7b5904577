package cmpcore_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// withPassphrases lets all who may revoke leave a passphrase.
func withPassphrases(b *bed) {
	withEncryptionKey("rsa2048 encryption", x509.KeyUsageKeyEncipherment)(b)
	for i := range b.cfg.Rules {
		b.cfg.Rules[i].Passphrases = slices.Contains(b.cfg.Rules[i].May, cmp.TypeRR)
	}
}

func withEncryptionKey(keyName string, usage x509.KeyUsage) option {
	return func(b *bed) {
		enc := certify(b, b.ca, "Encryption", key(b, keyName), func(c *x509.Certificate) { c.KeyUsage = usage })
		b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key}
	}
}

const phrase = "correct horse battery staple"

// toCA and bySecret are whom a passphrase is encrypted for.
func (b *bed) toCA() *cms.Recipient {
	b.Helper()
	return must[*cms.Recipient](b)(cms.ForCertificate(b.cfg.Encryption.Certificate, nil))
}

func (b *bed) bySecret(secret string) *cms.Recipient {
	b.Helper()
	return must[*cms.Recipient](b)(cms.ForPassword([]byte(secret), &cms.PasswordOptions{Iterations: 1000}))
}

func (b *bed) phraseInfo(to *cms.Recipient, value, name string) cmp.InfoTypeAndValue {
	b.Helper()
	der := must[[]byte](b)(cms.Encrypt(b.cfg.Random, []*cms.Recipient{to}, cms.OIDData, []byte(value), &cms.EncryptOptions{LocalKeyID: []byte(name)}))
	return must[cmp.InfoTypeAndValue](b)(cmp.NewRevPassphrase(crmf.EncryptedKey{Enveloped: der}))
}

func inHeader(i cmp.InfoTypeAndValue) edit {
	return func(m *message) { m.PVNO, m.GeneralInfo = 3, append(m.GeneralInfo, i) }
}

// leave leaves a passphrase by genm.
func (b *bed) leave(p *party, to *cms.Recipient, value, name string) {
	b.Helper()
	a := b.talk(p).say(genm(b.phraseInfo(to, value, name)), version3).answer(cmp.OIDRevPassphrase)
	if a.Value != nil {
		b.Errorf("the answer has the value %x", a.Value)
	}
}

// knower protects by a passphrase.
func knower(name, value string) *party {
	return &party{ref: name, secret: value, sender: mustDN("CN=device 1")}
}

// phrases counts what is kept.
func (b *bed) phrases(want int) {
	b.Helper()
	if n := len(b.store.passphrases); n != want {
		b.Fatalf("%d passphrases are kept, want %d", n, want)
	}
}

func (r *reply) saysTaken(want bool) *reply {
	r.Helper()
	i, ok := cmp.FindInfo(r.msg.Header.GeneralInfo, cmp.OIDRevPassphrase)
	if ok != want || i.Value != nil {
		r.Errorf("revPassphrase in the answer's header: %v, want %v (%s)", ok, want, r.out.Reason)
	}
	return r
}

// A passphrase is left in any message, by any requester, and revokes what the
// requester could: RFC 9810 section 5.3.19.9 and appendix B.
func TestRevocationPassphrases(t *testing.T) {
	type scene struct {
		b    *bed
		cert *x509.Certificate // what is to be revoked
	}
	enrolment := func(s *scene, p *party, edits ...edit) *reply {
		k := s.b.talk(p)
		r := k.say(k.one(cmp.TypeIR, "CN=device 1", "p256 a"), append(edits, version3)...)
		s.cert = r.cert(0)
		return r
	}
	for name, leave := range map[string]func(s *scene){
		"genm of the certificate's holder": func(s *scene) {
			p := s.b.enrolled("CN=device 1", "p256 a")
			s.cert = p.holder.cert
			s.b.leave(p, s.b.toCA(), phrase, "my name")
		},
		"genm under the secret": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			s.b.leave(p, s.b.bySecret(p.secret), phrase, "my name")
		},
		"genm under the secret, to the certificate": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			s.b.leave(p, s.b.toCA(), phrase, "my name")
		},
		"genm of another CA's holder": func(s *scene) {
			p := s.b.signer(certify(s.b, s.b.partner, "partner device", key(s.b, "p256 x"), nil))
			enrolment(s, p, implicit)
			s.b.leave(p, s.b.toCA(), phrase, "my name")
		},
		"the header of ir": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit, inHeader(s.b.phraseInfo(s.b.bySecret(p.secret), phrase, "my name"))).saysTaken(true)
		},
		"the header of certConf": func(s *scene) {
			p := s.b.device("dev-1")
			r := enrolment(s, p).saysTaken(false)
			r.say(confirmation(s.cert), inHeader(s.b.phraseInfo(s.b.toCA(), phrase, "my name"))).body(cmp.TypePKIConf).saysTaken(true)
		},
		"the header of kur": func(s *scene) {
			p := s.b.enrolled("CN=device 1", "p256 a")
			s.cert = p.holder.cert
			k := s.b.talk(p)
			k.say(k.one(cmp.TypeKUR, "CN=device 1", "p256 b"), inHeader(s.b.phraseInfo(s.b.toCA(), phrase, "my name"))).body(cmp.TypeKUP).saysTaken(true)
		},
		"the header of an ir that is refused": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			k := s.b.talk(p)
			r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), certProfile("nope"), inHeader(s.b.phraseInfo(s.b.toCA(), phrase, "my name")))
			r.saysTaken(true).rejected(0, cmp.UnacceptedPolicy)
		},
		"the header of rr for another certificate": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			first := s.cert
			enrolment(s, p, implicit)
			s.b.talk(p).say(rr(revocation(first, 4)), inHeader(s.b.phraseInfo(s.b.toCA(), phrase, "my name"))).saysTaken(true).statuses(0)
		},
		"the header of a question": func(s *scene) {
			p := s.b.enrolled("CN=device 1", "p256 a")
			s.cert = p.holder.cert
			s.b.talk(p).say(genm(question(cmp.OIDCACerts)), inHeader(s.b.phraseInfo(s.b.toCA(), phrase, "my name"))).saysTaken(true).answer(cmp.OIDCACerts)
		},
		"as OpenSSL encrypts it to the certificate": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			s.b.talk(p).say(genm(s.b.opensslPhrase(phrase, "")), version3).answer(cmp.OIDRevPassphrase)
		},
		"as OpenSSL encrypts it under the secret": func(s *scene) {
			p := s.b.device("dev-1")
			enrolment(s, p, implicit)
			s.b.talk(p).say(genm(s.b.opensslPhrase(phrase, p.secret)), version3).answer(cmp.OIDRevPassphrase)
		},
		"one that replaces another": func(s *scene) {
			p := s.b.enrolled("CN=device 1", "p256 a")
			s.cert = p.holder.cert
			s.b.leave(p, s.b.toCA(), "an earlier passphrase", "an earlier name")
			s.b.leave(p, s.b.toCA(), phrase, "my name")
			rr := rr(revocation(s.cert, 1))
			s.b.talk(knower("an earlier name", "an earlier passphrase")).say(rr).stranger(cmp.BadMessageCheck)
			s.b.talk(knower("my name", "an earlier passphrase")).say(rr).stranger(cmp.BadMessageCheck)
		},
		"one of text beyond ASCII": func(s *scene) {
			p := s.b.enrolled("CN=device 1", "p256 a")
			s.cert = p.holder.cert
			s.b.leave(p, s.b.toCA(), "an earlier passphrase", "my name")
			s.b.leave(p, s.b.toCA(), phrase, "my name")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scene{b: newBed(t, withPassphrases)}
			leave(s)
			s.b.phrases(1)
			for _, p := range s.b.store.passphrases {
				if bytes.Contains(p.Sealed, []byte(phrase)) != bytes.HasPrefix(p.Sealed, []byte("sealed for "+p.Owner)) {
					t.Error("the passphrase is not sealed for its owner")
				}
			}
			who := knower("my name", phrase)
			if strings.HasPrefix(name, "as OpenSSL") {
				who.ref = "" // its command line knows no localKeyId
			}
			s.b.now = s.b.now.Add(20 * day)
			k := s.b.talk(who)
			r := k.say(rr(revocation(s.cert, 1)))
			r.statuses(0)
			if r.signed {
				t.Error("the answer to a message under the passphrase has no MAC")
			}
			s.b.wantStatus(s.cert, cmpcore.Revoked)
			k.wantState(cmpcore.Finished)
			a := r.out.Audit[len(r.out.Audit)-1]
			if a.Event != "revoked" || !strings.HasPrefix(a.Requester, "passphrase:") || a.Rule == "" {
				t.Errorf("audit %+v", a)
			}
			k.say(rr(revocation(s.cert, 1))).refused(cmp.TransactionIDInUse)
		})
	}
}

// opensslPhrase encrypts as openssl does: under a password, or to our certificate.
func (b *bed) opensslPhrase(value, password string) cmp.InfoTypeAndValue {
	b.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		b.Fatal("openssl is not installed; scripts/install-peers.sh installs it")
	}
	dir := b.TempDir()
	enc := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.cfg.Encryption.Certificate})
	for name, data := range map[string][]byte{"enc.crt": enc, "phrase": []byte(value)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	args := []string{"cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", "phrase", "-out", "env.der"}
	if password != "" {
		args = append(args, "-pwri_password", password)
	} else {
		args = append(args, "-recip", "enc.crt", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")
	}
	openssl(b, dir, args...)
	in := must[[]byte](b)(os.ReadFile(filepath.Join(dir, "env.der")))
	return must[cmp.InfoTypeAndValue](b)(cmp.NewRevPassphrase(crmf.EncryptedKey{Enveloped: contentOf(b, in)}))
}

// contentOf takes the EnvelopedData out of a ContentInfo.
func contentOf(t testing.TB, der []byte) []byte {
	t.Helper()
	var c struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	if rest, err := asn1.Unmarshal(der, &c); err != nil || len(rest) != 0 {
		t.Fatalf("no ContentInfo: %v", err)
	}
	return c.Content.Bytes
}

func TestPassphrasesThatAreNotTaken(t *testing.T) {
	var unlike [2]string // the text of all that must not be told apart
	genmOf := func(make func(b *bed) cmp.InfoTypeAndValue) func(b *bed, k *talk) *reply {
		return func(b *bed, k *talk) *reply { return k.say(genm(make(b)), version3) }
	}
	enveloped := func(b *bed, typ pkix.OID, value []byte, to ...*cms.Recipient) cmp.InfoTypeAndValue {
		der := must[[]byte](b)(cms.Encrypt(b.cfg.Random, to, typ, value, nil))
		return must[cmp.InfoTypeAndValue](b)(cmp.NewRevPassphrase(crmf.EncryptedKey{Enveloped: der}))
	}
	text := func(value string) func(b *bed, k *talk) *reply {
		return genmOf(func(b *bed) cmp.InfoTypeAndValue { return b.phraseInfo(b.toCA(), value, "n") })
	}
	good := func(b *bed) cmp.InfoTypeAndValue { return b.phraseInfo(b.toCA(), phrase, "n") }
	for name, c := range map[string]struct {
		say  func(b *bed, k *talk) *reply
		want cmp.PKIFailureInfo
	}{
		"no value": {genmOf(func(*bed) cmp.InfoTypeAndValue { return question(cmp.OIDRevPassphrase) }), cmp.BadDataFormat},
		"a value of null": {genmOf(func(*bed) cmp.InfoTypeAndValue {
			return cmp.InfoTypeAndValue{Type: cmp.OIDRevPassphrase, Value: pkix.Null}
		}), cmp.BadDataFormat},
		"pvno 2": {func(b *bed, k *talk) *reply { return k.say(genm(good(b))) }, cmp.BadRequest},
		"encryptedValue": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			return must[cmp.InfoTypeAndValue](b)(cmp.NewRevPassphrase(crmf.EncryptedKey{Value: &crmf.EncryptedValue{EncValue: []byte{1}}}))
		}), cmp.BadRequest},
		"two recipients": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			return enveloped(b, cms.OIDData, []byte(phrase), b.toCA(), b.bySecret("secret of dev-1"))
		}), cmp.BadDataFormat},
		"a long localKeyId": {genmOf(func(b *bed) cmp.InfoTypeAndValue { return b.phraseInfo(b.toCA(), phrase, strings.Repeat("x", 129)) }), cmp.BadDataFormat},
		"the reference of a secret": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			b.device("dev-9")
			return b.phraseInfo(b.toCA(), phrase, "dev-9")
		}), cmp.BadRequest},
		"the name of another": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			b.store.passphrases["secret:x"] = &cmpcore.Passphrase{Owner: "secret:x", Version: 1, KeyID: []byte("n")}
			return good(b)
		}), cmp.BadRequest},
		"to another certificate": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			enc := certify(b, b.ca, "Other", key(b, "rsa2048 other"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
			return enveloped(b, cms.OIDData, []byte(phrase), must[*cms.Recipient](b)(cms.ForCertificate(enc.cert.Raw, nil)))
		}), cmp.IncorrectData},
		"under another's secret": {genmOf(func(b *bed) cmp.InfoTypeAndValue { return b.phraseInfo(b.bySecret("secret of dev-2"), phrase, "n") }), cmp.IncorrectData},
		"signed data":            {genmOf(func(b *bed) cmp.InfoTypeAndValue { return enveloped(b, cms.OIDSignedData, []byte(phrase), b.toCA()) }), cmp.IncorrectData},
		"15 octets":              {text("123456789012345"), cmp.IncorrectData},
		"16 octets":              {text("1234567890123456"), 0},
		"1024 octets":            {text(strings.Repeat("x", 1024)), 0},
		"1025 octets":            {text(strings.Repeat("x", 1025)), cmp.IncorrectData},
		"a line break":           {text("correct horse\nbattery staple"), cmp.IncorrectData},
		"no UTF-8":               {text("correct horse battery \xff staple"), cmp.IncorrectData},
		"UTF-8":                  {text("größeres Pferd, müde"), 0},
		"a changed block": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			i := enveloped(b, cms.OIDData, []byte(phrase+phrase), b.toCA())
			i.Value[len(i.Value)-40]++
			return i
		}), cmp.IncorrectData},
		"a changed end": {genmOf(func(b *bed) cmp.InfoTypeAndValue {
			i := enveloped(b, cms.OIDData, []byte(phrase+phrase), b.toCA())
			i.Value[len(i.Value)-17] ^= 0x40 // of the padding
			return i
		}), cmp.IncorrectData},
		"two in the header": {func(b *bed, k *talk) *reply {
			return k.say(genm(question(cmp.OIDCACerts)), inHeader(good(b)), inHeader(good(b)))
		}, cmp.BadRequest},
		"one in the header, one in the body": {func(b *bed, k *talk) *reply { return k.say(genm(good(b)), inHeader(good(b))) }, cmp.BadRequest},
		"two in the body":                    {func(b *bed, k *talk) *reply { return k.say(genm(good(b), good(b)), version3) }, cmp.BadRequest},
		"with a question that is refused":    {func(b *bed, k *talk) *reply { return k.say(genm(good(b), question(cmp.OIDSuppLangTags)), version3) }, cmp.BadDataFormat},
		"an ir that is refused as a whole": {func(b *bed, k *talk) *reply {
			return k.say(k.request(cmp.TypeIR, want2("CN=a", "p256 a", 0), want2("CN=b", "p256 b", 0)), inHeader(good(b)))
		}, cmp.BadRequest},
		"pollReq": {func(b *bed, k *talk) *reply {
			k.party = b.device("slow-1")
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
			return k.say(poll(0), inHeader(good(b)))
		}, cmp.BadRequest},
		"without a name, where revocation waits": {func(b *bed, k *talk) *reply {
			k.party = b.device("slow-1")
			return k.say(genm(b.phraseInfo(b.toCA(), phrase, "")), version3)
		}, cmp.BadRequest},
		"with a name, where revocation waits": {func(b *bed, k *talk) *reply {
			k.party = b.device("slow-1")
			return k.say(genm(good(b)), version3)
		}, 0},
		"around one message": {func(b *bed, k *talk) *reply {
			inner := k.message(k.one(cmp.TypeIR, "CN=a", "p256 a"))
			ra := b.talk(b.registrar())
			return ra.say(nest(b, inner), inHeader(good(b)))
		}, cmp.BadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases, withRegistrars)
			k := b.talk(b.device("dev-1"))
			r := c.say(b, k)
			if c.want == 0 {
				r.answer(cmp.OIDRevPassphrase)
				b.phrases(1)
				return
			}
			r.saysTaken(false).refused(c.want)
			delete(b.store.passphrases, "secret:x")
			b.phrases(0)
			if c.want == cmp.IncorrectData {
				s := r.msg.Body.(*cmp.ErrorMsg).Status.StatusString[0]
				if unlike[0] == "" {
					unlike[0] = s
				}
				if s != unlike[0] {
					t.Errorf("%q tells this from what says %q", s, unlike[0])
				}
			}
		})
	}
}

// Without the switch revPassphrase is a type that is not known.
func TestPassphrasesNeedTheSwitch(t *testing.T) {
	only := func(bodies ...string) func(*cmpcore.Secret) { return func(s *cmpcore.Secret) { s.Bodies = bodies } }
	off := func(r *cmpcore.Rule) { r.Passphrases = false }
	for name, who := range map[string]func(b *bed) *party{
		"no rule has it": func(b *bed) *party {
			for i := range b.cfg.Rules {
				off(&b.cfg.Rules[i])
			}
			b.rebuild()
			return b.device("dev-1")
		},
		"another rule has it":            func(b *bed) *party { withRule("devices", off)(b); b.rebuild(); return b.device("dev-1") },
		"a secret that may not revoke":   func(b *bed) *party { return b.device("dev-1", only("ir", "genm")) },
		"a secret of another rule alone": func(b *bed) *party { return b.device("ask-1") },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases)
			p := who(b)
			info := b.phraseInfo(b.toCA(), phrase, "n")
			oids, err := b.talk(p).say(genm(info), version3).answer(cmp.OIDUnsupportedOIDs).UnsupportedOIDs()
			if err != nil || len(oids) != 1 || oids[0] != cmp.OIDRevPassphrase {
				t.Errorf("%v %v", oids, err)
			}
			b.talk(p).say(genm(question(cmp.OIDCACerts)), inHeader(info)).saysTaken(false).answer(cmp.OIDCACerts)
			b.talk(p).say(genm(question(cmp.OIDCACerts)), inHeader(question(cmp.OIDRevPassphrase))).answer(cmp.OIDCACerts)
			b.phrases(0)
		})
	}
	b := newBed(t, withPassphrases)
	p := b.device("dev-1", only("rr", "genm"))
	b.leave(p, b.toCA(), phrase, "n")
}

// A passphrase is good for rr alone, and for what its owner may revoke.
func TestAPassphraseDoesNothingElse(t *testing.T) {
	b := newBed(t, withPassphrases, withRegistrars, withRule("ra", func(r *cmpcore.Rule) { r.RevokeAny = true }))
	p := b.enrolled("CN=device 1", "p256 a")
	b.leave(p, b.toCA(), phrase, "my name")
	mine := p.holder.cert
	k := b.talk(p)
	asked := k.say(k.one(cmp.TypeCR, "CN=device 1", "p256 b"), implicit).cert(0) // at its request
	others := b.enrolled("CN=device 2", "p256 c").holder.cert
	ra := b.device("ra-1")
	b.leave(ra, b.bySecret(ra.secret), phrase+" of the RA", "RA")
	who, auth := knower("my name", phrase), cmp.NotAuthorized

	for name, body := range map[string]func(k *talk) cmp.Body{
		"ir": func(k *talk) cmp.Body { return k.one(cmp.TypeIR, "CN=device 1", "p256 x") },
		"cr": func(k *talk) cmp.Body { return k.one(cmp.TypeCR, "CN=device 1", "p256 x") },
		"kur": func(k *talk) cmp.Body {
			return k.request(cmp.TypeKUR, want{key: "p256 x", controls: oldCert(t, pkix.Name(b.ca.cert.RawSubject), mine.SerialNumber)})
		},
		"p10cr":                  func(k *talk) cmp.Body { return k.p10cr("CN=device 1", "p256 x") },
		"krr":                    func(k *talk) cmp.Body { return krr(nil) },
		"genm":                   func(k *talk) cmp.Body { return genm(question(cmp.OIDCACerts)) },
		"genm with a passphrase": func(k *talk) cmp.Body { return genm(b.phraseInfo(b.toCA(), "another passphrase", "x")) },
	} {
		t.Run(name, func(t *testing.T) {
			k := b.talk(who)
			r := k.say(body(k), version3)
			r.refused(auth)
			if r.signed || r.out.Transaction != nil || len(r.out.Passphrases) > 0 {
				t.Error(describe(r.out))
			}
			k = b.talk(knower("my name", "guess")) // and whoever does not know it learns nothing
			k.say(body(k), version3).stranger(cmp.BadMessageCheck)
		})
	}
	b.talk(who).say(confirmation(mine)).refused(cmp.BadRequest)
	b.talk(who).say(poll(0)).refused(cmp.BadRequest)
	b.talk(who).say(nest(t, b.talk(p).message(rr(revocation(mine, 1))))).refused(cmp.WrongIntegrity)

	b.talk(who).say(rr(revocation(others, 1))).statuses(auth)
	b.talk(who).say(rr(revocation(others, 1), revocation(asked, 1))).statuses(auth, 0)
	b.talk(knower("RA", phrase+" of the RA")).say(rr(revocation(others, 1))).statuses(auth) // what its secret may
	b.talk(ra).say(rr(revocation(others, 1))).statuses(0)
	strange := revocation(mine, 1)
	strange.CertDetails.SerialNumber = new(big.Int).Add(mine.SerialNumber, big.NewInt(1))
	b.talk(who).say(rr(strange)).statuses(cmp.BadCertID)

	for name, guess := range map[string]*party{
		"a wrong passphrase": knower("my name", "guess"), "an unknown name": knower("your name", phrase), "the RA's": knower("my name", phrase+" of the RA"),
		"of the secret": knower("my name", "secret of dev-enrol"), "without a name": knower("", phrase+"!"),
	} {
		t.Run(name, func(t *testing.T) { b.talk(guess).say(rr(revocation(asked, 1))).stranger(cmp.BadMessageCheck) })
	}
}

// What is needed of the owner when the time comes: nothing.
func TestAPassphraseOutlivesWhatItIsFor(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bed, p *party)
		want   cmp.PKIFailureInfo // of an error; 0: revoked
	}{
		"the rule does not take passphrases any more": {func(b *bed, p *party) { withRule("holders", func(r *cmpcore.Rule) { r.Passphrases = false })(b) }, cmp.NotAuthorized},
		"the rule is gone":                            {func(b *bed, p *party) { withRule("holders", func(r *cmpcore.Rule) { r.Name = "renamed" })(b) }, cmp.NotAuthorized},
		"no rule takes passphrases any more": {func(b *bed, p *party) {
			for i := range b.cfg.Rules {
				b.cfg.Rules[i].Passphrases = false
			}
		}, cmp.BadMessageCheck},
		"it was dropped":                            {func(b *bed, p *party) { clear(b.store.passphrases) }, cmp.BadMessageCheck},
		"a secret of the name is registered":        {func(b *bed, p *party) { b.device("my name") }, cmp.BadMessageCheck},
		"the secret of the first request went":      {func(b *bed, p *party) { delete(b.store.secrets, "dev-enrol") }, 0},
		"the encryption key is another":             {withNextEncryption("rsa2048 next"), 0},
		"the owner's certificate is on hold":        {func(b *bed, p *party) { b.revokeByHand(p.holder.cert, 6) }, 0},
		"nothing":                                   {func(b *bed, p *party) {}, 0},
		"the certificate's validity is nearly over": {func(b *bed, p *party) { b.now = b.now.Add(360 * day) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases)
			p := b.enrolled("CN=device 1", "p256 a")
			b.leave(p, b.toCA(), phrase, "my name")
			c.change(b, p)
			b.rebuild()
			r := b.talk(knower("my name", phrase)).say(rr(revocation(p.holder.cert, 1)))
			if c.want == 0 {
				r.statuses(0)
				return
			}
			r.refused(c.want)
			b.wantStatus(p.holder.cert, cmpcore.Valid)
		})
	}
}

func withNextEncryption(keyName string) func(*bed, *party) {
	return func(b *bed, _ *party) { withEncryptionKey(keyName, x509.KeyUsageKeyEncipherment)(b) }
}

// Without a name in senderKID it is found by the certificate that is named.
func TestAPassphraseWithoutAName(t *testing.T) {
	kid := func(id []byte) edit { return func(m *message) { m.SenderKID = id } }
	for name, c := range map[string]struct {
		left string // its name
		kid  []byte
		want bool
	}{
		"neither has one":                 {"", nil, true},
		"senderKID is something else":     {"", []byte("subject key"), true},
		"it has a name that is not given": {"my name", nil, true},
		"it has another name":             {"my name", []byte("your name"), false},
		"it has a name":                   {"my name", []byte("my name"), true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases)
			p := b.enrolled("CN=device 1", "p256 a")
			b.leave(p, b.toCA(), phrase, c.left)
			r := b.talk(knower(string(c.kid), phrase)).say(rr(revocation(p.holder.cert, 1)), kid(c.kid))
			if c.want {
				r.statuses(0)
			} else {
				r.stranger(cmp.BadMessageCheck)
			}
		})
	}
	// That of the certificate's holder goes before that of who asked for it.
	b := newBed(t, withPassphrases)
	secret := b.device("dev-enrol")
	p := b.enrolled("CN=device 1", "p256 a")
	second := b.enrolled("CN=device 2", "p256 b").holder.cert
	b.leave(secret, b.bySecret(secret.secret), "that of the secret", "")
	b.leave(p, b.toCA(), phrase, "")
	b.talk(knower("", "that of the secret")).say(rr(revocation(p.holder.cert, 1))).stranger(cmp.BadMessageCheck)
	b.talk(knower("", "that of the secret")).say(rr(revocation(second, 1), revocation(p.holder.cert, 6))).statuses(0, 0)
	b.talk(knower("", phrase)).say(rr(revocation(p.holder.cert, 1))).statuses(0)
}

// A message with an old passphrase does not bring it back: what nobody protects
// can be changed so that the octets are new.
func TestAnOldPassphraseDoesNotComeBack(t *testing.T) {
	b := newBed(t, withPassphrases)
	p := b.enrolled("CN=device 1", "p256 a")
	old := b.talk(p)
	der := old.message(genm(b.phraseInfo(b.toCA(), "an earlier passphrase", "n")), version3)
	old.send(der).answer(cmp.OIDRevPassphrase)
	old.wantState(cmpcore.Finished)
	b.leave(p, b.toCA(), phrase, "n")
	m := must[*cmp.PKIMessage](t)(cmp.Parse(der, cmp.Limits{}))
	raw := element(0x30, m.Header.Raw, m.RawBody, element(tagged(0), element(3, []byte{0}, m.Protection)),
		element(tagged(1), element(0x30, m.ExtraCerts[0])))
	again := raw
	if bytes.Equal(again, der) {
		t.Fatal("nothing was changed")
	}
	old.send(again).refused(cmp.TransactionIDInUse)
	b.talk(knower("n", phrase)).say(rr(revocation(p.holder.cert, 1))).statuses(0)
}

// Two that were left at once: one is computed anew.
func TestPassphrasesConflict(t *testing.T) {
	b := newBed(t, withPassphrases)
	p, q := b.device("dev-1"), b.device("dev-2")
	one, two := b.talk(p).message(genm(b.phraseInfo(b.toCA(), phrase, "n")), version3), b.talk(p).message(genm(b.phraseInfo(b.toCA(), phrase, "m")), version3)
	other := b.talk(q).message(genm(b.phraseInfo(b.toCA(), phrase, "n")), version3)
	outs := []*cmpcore.Outcome{b.process(one), b.process(two), b.process(other)}
	b.commit(one, outs[0])
	if b.store.commit(two, outs[1]) == nil || b.store.commit(other, outs[2]) == nil {
		t.Error("what was computed without the first is stored after it")
	}
	b.talk(p).send(two).answer(cmp.OIDRevPassphrase)
	b.talk(q).send(other).answer(cmp.OIDRevPassphrase) // the name is free again
	b.phrases(2)
}

// Appendix B: a revocation may bring the passphrase for the next.
func TestARevocationBringsTheNextPassphrase(t *testing.T) {
	b := newBed(t, withPassphrases)
	p := b.device("dev-1")
	k := b.talk(p)
	one := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit).cert(0)
	k = b.talk(p)
	two := k.say(k.one(cmp.TypeIR, "CN=b", "p256 b"), implicit).cert(0)
	b.leave(p, b.toCA(), phrase, "first")
	next := b.phraseInfo(b.bySecret(phrase), "the one for the next time", "second")
	b.talk(knower("first", phrase)).say(rr(revocation(one, 1)), inHeader(next)).saysTaken(true).statuses(0)
	b.phrases(1)
	b.talk(knower("first", phrase)).say(rr(revocation(two, 1))).stranger(cmp.BadMessageCheck)
	b.talk(knower("second", "the one for the next time")).say(rr(revocation(two, 1))).statuses(0)
}

func TestARevocationByPassphraseWaits(t *testing.T) {
	enrolled := func(b *bed) (*party, *x509.Certificate) {
		p := b.device("slow-1")
		k := b.talk(p)
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit, inHeader(b.phraseInfo(b.toCA(), phrase, "n"))).saysTaken(true).waits(0)
		b.phrases(1)
		b.decide(k, cmpcore.Approved, "")
		return p, k.say(poll(0)).saysTaken(false).cert(0)
	}
	b := newBed(t, withPassphrases)
	_, c := enrolled(b)
	k := b.talk(knower("n", phrase))
	k.say(rr(revocation(c, 1)), inHeader(b.phraseInfo(b.toCA(), "another passphrase", "m"))).refused(cmp.BadRequest)
	b.phrases(1)
	k = b.talk(knower("n", phrase))
	r := k.say(rr(revocation(c, 1))).body(cmp.TypeError)
	if s := r.msg.Body.(*cmp.ErrorMsg).Status.Status; s != cmp.Waiting {
		t.Fatalf("status %s", s)
	}
	k.say(poll(-1)).pollRep(-1)
	b.decide(k, cmpcore.Approved, "")
	k.say(poll(-1)).statuses(0)
	b.wantStatus(c, cmpcore.Revoked)

	// Held, and the passphrase goes before the decision: so does the request.
	for _, dropped := range []bool{false, true} {
		b := newBed(t, withPassphrases)
		_, c := enrolled(b)
		hold(b)
		b.rebuild()
		k := b.talk(knower("n", phrase))
		der := k.held(rr(revocation(c, 1)))
		b.decide(k, cmpcore.Approved, "")
		if !dropped {
			k.send(der).statuses(0)
			continue
		}
		clear(b.store.passphrases)
		k.send(der).refused(cmp.BadMessageCheck)
		k.wantState(cmpcore.Aborted)
	}
}

// That of a request that is held is kept at once, and told of with the answer,
// unless it has gone.
func TestThePassphraseOfAHeldRequest(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(b *bed, p *party)
		told      bool
	}{
		"nothing happens": {func(*bed, *party) {}, true},
		"it is dropped":   {func(b *bed, _ *party) { clear(b.store.passphrases) }, false},
		"another is left": {func(b *bed, p *party) { b.leave(p, b.toCA(), "a newer passphrase", "n") }, true},
		"the switch goes off": {func(b *bed, _ *party) {
			withRule("slow", func(r *cmpcore.Rule) { r.Passphrases = false })(b)
			b.rebuild()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases, hold)
			p := b.device("slow-1")
			k := b.talk(p)
			der := k.held(k.one(cmp.TypeIR, "CN=a", "p256 a"), inHeader(b.phraseInfo(b.toCA(), phrase, "n")))
			b.phrases(1)
			b.now = b.now.Add(day)
			c.meanwhile(b, p)
			kept := copyOf(b.store.passphrases["secret:slow-1"])
			b.decide(k, cmpcore.Approved, "")
			k.send(der).saysTaken(c.told).cert(0)
			if now := b.store.passphrases["secret:slow-1"]; (now == nil) != (kept == nil) || now != nil && !bytes.Equal(now.Sealed, kept.Sealed) {
				t.Error("the old passphrase came back")
			}
		})
	}
}

// What a message of a batch leaves is there for those behind it.
func TestABatchLeavesAndUsesAPassphrase(t *testing.T) {
	b := newBed(t, withPassphrases, withRegistrars)
	p := b.enrolled("CN=device 1", "p256 a")
	leave, again, use := b.talk(p), b.talk(p), b.talk(knower("n", "the second passphrase"))
	messages := [][]byte{
		leave.message(genm(b.phraseInfo(b.toCA(), phrase, "n0")), version3),
		again.message(genm(b.phraseInfo(b.toCA(), "the second passphrase", "n")), version3),
		b.talk(knower("n0", phrase)).message(rr(revocation(p.holder.cert, 1))),
		use.message(rr(revocation(p.holder.cert, 1))),
	}
	answers := b.talk(b.registrar()).say(nest(t, messages...)).inside()
	if len(answers) != 4 {
		t.Fatalf("%d answers", len(answers))
	}
	leave.got(messages[0], answers[0]).answer(cmp.OIDRevPassphrase)
	if m := must[*cmp.PKIMessage](t)(cmp.Parse(answers[2], cmp.Limits{})); m.Body.Type() != cmp.TypeError {
		t.Errorf("the passphrase that was replaced is answered by %s", m.Body.Type())
	}
	if m := must[*cmp.PKIMessage](t)(cmp.Parse(answers[3], cmp.Limits{})); m.Body.Type() != cmp.TypeRP {
		t.Errorf("the passphrase that was left is answered by %s", m.Body.Type())
	}
	b.wantStatus(p.holder.cert, cmpcore.Revoked)
}

func TestPassphrasesNeedWhatTakesThem(t *testing.T) {
	for name, c := range map[string]struct {
		change option
		want   string
	}{
		"no rr":           {withRule("devices", func(r *cmpcore.Rule) { r.May = []cmp.BodyType{cmp.TypeGenM} }), "rr"},
		"nothing seals":   {func(b *bed) { b.cfg.SealPassphrase = nil }, "seals"},
		"nothing unseals": {func(b *bed) { b.cfg.UnsealPassphrase = nil }, "unseals"},
		"no encryption":   {func(b *bed) { b.cfg.Encryption = nil }, "holders"},
		"encryption by the CA": {func(b *bed) {
			b.cfg.Encryption = nil
			withCAKey("rsa2048 ca")(b)
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: b.ca.cert.Raw, Key: b.ca.key}
		}, "own key"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases)
			c.change(b)
			if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that names %q", err, c.want)
			}
		})
	}
	// Secrets encrypt by themselves.
	newBed(t, withRule("devices", func(r *cmpcore.Rule) { r.Passphrases = true }))
}

func TestTheClientLeavesAPassphrase(t *testing.T) {
	for name, c := range map[string]struct {
		ref   string
		waits bool
		leave func(b *bed) *client.RevPassphrase
	}{
		"by the secret": {"dev-1", false, func(*bed) *client.RevPassphrase { return &client.RevPassphrase{Name: []byte("lost")} }},
		"to the certificate": {"dev-1", false, func(b *bed) *client.RevPassphrase {
			return &client.RevPassphrase{Name: []byte("lost"), To: b.cfg.Encryption.Certificate}
		}},
		"without a name":            {"dev-1", false, func(*bed) *client.RevPassphrase { return &client.RevPassphrase{} }},
		"with a request that waits": {"slow-1", true, func(*bed) *client.RevPassphrase { return &client.RevPassphrase{Name: []byte("lost")} }},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withPassphrases)
			p := c.leave(b)
			p.Value = []byte(phrase)
			cred := b.credentials(b.device(c.ref))
			s, der, err := client.Start(client.Options{Kind: cmp.TypeIR, Credentials: cred, RevPassphrase: p, ImplicitConfirm: true,
				Certificates: []client.CertificateRequest{{Subject: dn(t, "CN=a"), Key: key(t, "p256 a")}}})
			if err != nil {
				t.Fatal(err)
			}
			step := func() *client.Result {
				out := b.process(der)
				b.commit(der, out)
				r, err := s.Accept(out.Reply, cred)
				if err != nil {
					t.Fatalf("%v (%s)", err, out.Reason)
				}
				der = r.Next
				return r
			}
			r := step()
			if r.Passphrase != client.PassphraseTaken {
				t.Errorf("the first answer says %q", r.Passphrase)
			}
			b.phrases(1)
			if c.waits {
				tx := b.store.transactionOf(s.TransactionID)
				b.vote(tx, "alice", cmpcore.Approved, "")
				if r = step(); r.Passphrase != "" {
					t.Errorf("the second answer says %q", r.Passphrase)
				}
			}
			lost := cred
			lost.Secret, lost.Reference = p.Value, []byte("lost")
			rr := client.Options{Kind: cmp.TypeRR, Credentials: lost, Revocations: []client.Revocation{{Certificate: r.Certificates[0].Certificate}}}
			r = b.converse(rr)
			if len(r.Revocations) != 1 || !r.Revocations[0].Revoked() || r.Signer != nil {
				t.Errorf("%+v", r)
			}
		})
	}
	b := newBed(t, withPassphrases)
	p := b.enrolled("CN=device 1", "p256 a")
	o := client.Options{Kind: cmp.TypeGenM, Credentials: b.credentials(p), RevPassphrase: &client.RevPassphrase{Value: []byte(phrase), To: b.cfg.Encryption.Certificate}}
	if r := b.converse(o); r.Passphrase != client.PassphraseTaken {
		t.Errorf("%q", r.Passphrase)
	}
	b.phrases(1)
	withRule("holders", func(r *cmpcore.Rule) { r.Passphrases = false })(b)
	b.rebuild()
	if r := b.converse(o); r.Passphrase != client.PassphraseNotTaken {
		t.Errorf("%q", r.Passphrase)
	}
	o.Kind, o.Infos = cmp.TypeRR, nil
	o.Revocations = []client.Revocation{{Certificate: b.enrolled("CN=device 2", "p256 b").holder.cert.Raw}}
	if r := b.converse(o); r.Passphrase != client.PassphraseNotTaken {
		t.Errorf("%q", r.Passphrase)
	}
}
