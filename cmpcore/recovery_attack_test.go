package cmpcore_test

import (
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/crmf"
)

// Whoever reads along has the envelope of another's key. With it, and a proof of
// possession that is still to come, he must not make the key his own.
func TestAnotherDevicesEnvelopeBringsNothing(t *testing.T) {
	for name, end := range map[string]func(*talk, *reply){
		"never confirmed":     func(*talk, *reply) {},
		"rejected by silence": func(k *talk, _ *reply) { k.say(&cmp.CertConfirm{}, version3).body(cmp.TypePKIConf) },
		"ended by an error": func(k *talk, _ *reply) {
			k.say(&cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection}}, version3).body(cmp.TypePKIConf)
		},
		"its time is over": func(k *talk, _ *reply) { k.now = k.now.Add(90 * day); k.expire() },
		"revoked by its holder": func(k *talk, r *reply) {
			c := must[*x509.Certificate](k)(x509.ParseCertificate(r.out.Certificates[0].DER))
			k.talk(k.party).say(rr(revocation(c, 1))).statuses(0)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withArchive)
			victim := key(t, "rsa2048 victim")
			envelope := b.toArchive(victim, nil)
			mallory := b.device("dev-13")
			k := b.talk(mallory)
			r := k.say(k.request(cmp.TypeIR, want{subject: "CN=mallory", key: "rsa2048 victim", controls: envelope, popo: subsequent(crmf.KeyEncipherment, crmf.EncrCert)}), version3)
			if r.out.Disposition != cmpcore.Answered || len(r.out.Archive) != 1 {
				t.Fatal(describe(r.out))
			}
			end(k, r)
			b.talk(mallory).say(krr(nil), version3).norecovery(cmp.BadCertID)
			b.talk(mallory).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = spki(t, victim) }), version3).norecovery(cmp.BadCertID)
			// Nor does it hide the key from whose it is.
			own := b.archived(b.device("dev-7"), "CN=victim", "rsa2048 victim")
			mine := b.device("dev-7")
			b.talk(mine).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = spki(t, victim) }), version3).
				history(&cms.Key{Password: []byte(mine.secret)}, own)
		})
	}
}

// A secret of many devices: one that gets itself a certificate of another's name
// must not get that one's keys by it.
func TestTheSameNameIsNotTheSameDevice(t *testing.T) {
	b := newBed(t, withArchive)
	group := b.device("dev-1")
	victim := b.archived(group, "CN=victim", "p256 v")
	c := must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
	ask := func(h *holder) *reply {
		return b.talk(b.signer(h)).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Controls = []crmf.Attribute{c} }), version3)
	}
	chain := append([][]byte{b.ca.cert.Raw}, b.ca.chain...)
	k := b.talk(group)
	mallory := k.say(k.one(cmp.TypeIR, "CN=victim", "p256 m"), implicit).cert(0)
	ask(&holder{key: key(t, "p256 m"), cert: mallory, chain: chain}).norecovery(cmp.BadCertID)
	ask(&holder{key: key(t, "p256 v"), cert: victim, chain: chain}).history(&cms.Key{Private: key(t, "rsa2048 x")}, victim)

	// One message for a key that signs and a key that decrypts.
	k = b.talk(group)
	r := k.say(k.request(cmp.TypeIR, want{id: 0, subject: "CN=two", key: "p256 sign"},
		want{id: 1, subject: "CN=two", key: "rsa2048 enc", controls: b.toArchive(key(t, "rsa2048 enc"), nil)}), implicit, version3)
	sign, enc := r.cert(0), r.cert(1)
	ask(&holder{key: key(t, "p256 sign"), cert: sign, chain: chain}).history(&cms.Key{Private: key(t, "rsa2048 x")}, enc)
}

// The reference of a secret was given to another device.
func TestAReferenceThatIsGivenAnew(t *testing.T) {
	b := newBed(t, withArchive, withRule("slow", func(r *cmpcore.Rule) { r.Approval = false }))
	b.archived(b.device("dev-1"), "CN=old", "p256 old")
	b.archived(b.device("slow-1"), "CN=old", "p256 old")
	b.now = b.now.Add(time.Hour)
	anew := func(s *cmpcore.Secret) { s.Created = b.now.Add(-time.Minute) }
	p := b.device("dev-1", anew)
	b.talk(p).say(krr(nil), version3).norecovery(cmp.BadCertID) // no person is asked
	mine := b.archived(p, "CN=new", "p256 new")
	b.talk(p).say(krr(nil), version3).history(&cms.Key{Password: []byte(p.secret)}, mine)

	k := b.talk(b.device("slow-1", anew))
	k.say(krr(nil), version3).body(cmp.TypeKRP)
	if s := b.store.transactionOf(k.id).Summary; !strings.Contains(s, "archived under an earlier secret of this reference") {
		t.Errorf("the person is not told: %q", s)
	}
}

// What people have approved is what they saw.
func TestARecoveryBringsOnlyWhatWasApproved(t *testing.T) {
	b := newBed(t, withArchive, withRule("slow", func(r *cmpcore.Rule) { r.Approval = false }))
	p := b.device("slow-1")
	seen := b.archived(p, "CN=seen", "p256 seen")
	b.now = b.now.Add(time.Minute)
	k := b.talk(p)
	k.say(krr(nil), version3).body(cmp.TypeKRP)
	b.now = b.now.Add(time.Minute)
	b.archived(p, "CN=unseen", "p256 unseen")
	b.decide(k, cmpcore.Approved, "")
	k.say(poll(-1), version3).history(&cms.Key{Password: []byte(p.secret)}, seen)

	// All that comes is named, however much it is, and to whose key it goes.
	for i := range 15 {
		b.archived(p, fmt.Sprintf("CN=a device with quite a long name %d,O=Example Corporation of the North", i), fmt.Sprint("p256 ", i))
	}
	c := must[crmf.Attribute](t)(crmf.NewProtocolEncrKey(spki(t, key(t, "rsa2048 x"))))
	k = b.talk(p)
	k.say(krr(func(m *crmf.CertReqMsg) {
		m.CertReq.Controls, m.CertReq.Template.Subject = []crmf.Attribute{c}, nil
	}), version3).norecovery(cmp.BadRequest) // 17
	k = b.talk(p)
	k.say(krr(func(m *crmf.CertReqMsg) {
		m.CertReq.Controls, m.CertReq.Template.SerialNumber = []crmf.Attribute{c}, seen.SerialNumber
	}), version3).body(cmp.TypeKRP)
	if s := b.store.transactionOf(k.id).Summary; !strings.Contains(s, "CN=seen") || !strings.Contains(s, ", encrypted to a key of type rsa-2048 (protocolEncrKey)") {
		t.Errorf("summary %q", s)
	}
	b.store.archive = b.store.archive[1:] // 16 are left
	k = b.talk(p)
	k.say(krr(nil), version3).body(cmp.TypeKRP)
	s := b.store.transactionOf(k.id).Summary
	for i := range 15 {
		if !strings.Contains(s, fmt.Sprintf("name %d,", i)) {
			t.Errorf("%d is not named in %q", i, s)
		}
	}
}

// A registration authority has archived more keys than are looked through.
func TestAKeyAmongManyIsFoundByItsNumber(t *testing.T) {
	b := newBed(t, withArchive)
	p := b.device("dev-1")
	first := b.archived(p, "CN=first", "p256 first")
	for len(b.store.archive) < 1200 {
		k := *b.store.archive[0]
		k.KeyID[19] ^= byte(len(b.store.archive))
		k.KeyID[18] ^= byte(len(b.store.archive)>>8) + 1
		k.Subject = dn(t, "CN=other")
		b.store.archive = append(b.store.archive, &k)
	}
	open := &cms.Key{Password: []byte(p.secret)}
	b.talk(p).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.SerialNumber = first.SerialNumber }), version3).history(open, first)
	b.talk(p).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.PublicKey = first.RawSubjectPublicKeyInfo }), version3).history(open, first)
	r := b.talk(p).say(krr(func(m *crmf.CertReqMsg) { m.CertReq.Template.Subject = dn(t, "CN=first") }), version3)
	r.norecovery(cmp.BadCertID)
	if !strings.Contains(r.out.Reason, "too many archived private keys to look through") {
		t.Errorf("refused for %q", r.out.Reason)
	}
}

// The CA's encryption key is replaced, or its certificate renewed.
func TestTheEncryptionKeyIsReplaced(t *testing.T) {
	usage := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }
	bare := func(c *x509.Certificate) { usage(c); c.SubjectKeyId = nil; c.SerialNumber.SetInt64(77) }
	for name, change := range map[string]func(*bed) error{
		"and the former is kept": func(b *bed) error {
			enc := certify(b, b.ca, "Encryption 2", key(b, "rsa2048 encryption 2"), usage)
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key,
				Former: []cmpcore.FormerEncryption{{Certificate: b.cfg.Encryption.Certificate, Key: b.cfg.Encryption.Key}}}
			return nil
		},
		"by one of another kind": func(b *bed) error {
			enc := certify(b, b.ca, "Encryption 2", key(b, "p256 encryption 2"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key,
				Former: []cmpcore.FormerEncryption{{Certificate: b.cfg.Encryption.Certificate, Key: b.cfg.Encryption.Key}}}
			return nil
		},
		"by a certificate for the same key, without a key identifier": func(b *bed) error {
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: certify(b, b.ca, "Encryption", key(b, "rsa2048 encryption"), bare).cert.Raw, Key: b.cfg.Encryption.Key}
			return nil
		},
		"and lost": func(b *bed) error {
			enc := certify(b, b.ca, "Encryption 2", key(b, "rsa2048 encryption 2"), usage)
			b.cfg.Encryption = &cmpcore.Encryption{Certificate: enc.cert.Raw, Key: enc.key}
			return cms.ErrDecrypt
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withArchive)
			p := b.device("dev-1")
			open := &cms.Key{Password: []byte(p.secret)}
			one := b.archived(p, "CN=one", "p256 one")
			onItsWay := b.toArchive(key(t, "p256 two"), nil)
			old, err := cmpcore.ArchiveRecipient(b.store.archive[0])
			if err != nil || !strings.HasPrefix(old, "serial:") || !strings.Contains(old, " of CN=Issuing CA") {
				t.Errorf("recipient %q %v", old, err)
			}
			lost := change(b)
			b.engine = must[*cmpcore.Engine](b)(cmpcore.New(b.cfg))
			if err := b.cfg.Encryption.Opens(b.cfg.Random, b.store.archive[0]); (err == nil) != (lost == nil) {
				t.Errorf("opens: %v", err)
			}
			if lost != nil {
				b.talk(p).say(krr(nil), version3).refused(cmp.SystemFailure)
				return
			}
			b.talk(p).say(krr(nil), version3).history(open, one)
			if strings.Contains(name, "same key") {
				return // it is not the same recipient to requesters
			}
			k := b.talk(p)
			two := k.say(k.request(cmp.TypeIR, want{subject: "CN=two", key: "p256 two", controls: onItsWay}), implicit, version3).cert(0)
			three := b.archived(p, "CN=three", "p256 three")
			b.talk(p).say(krr(nil), version3).history(open, one, two, three)
			if now, err := cmpcore.ArchiveRecipient(b.store.archive[2]); err != nil || now == old {
				t.Errorf("kept for %q %v", now, err)
			}
		})
	}
	t.Run("the former's key is another's", func(t *testing.T) {
		b := newBed(t, withArchive)
		b.cfg.Encryption.Former = []cmpcore.FormerEncryption{{Certificate: b.cfg.Encryption.Certificate, Key: key(t, "rsa2048 x")}}
		if _, err := cmpcore.New(b.cfg); err == nil || !strings.Contains(err.Error(), "former encryption 0: key: it does not belong") {
			t.Error(err)
		}
	})
}
