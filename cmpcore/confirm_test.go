package cmpcore_test

import (
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"math/big"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

func status(hash []byte, id int64) cmp.CertStatus {
	return cmp.CertStatus{CertHash: hash, CertReqID: big.NewInt(id)}
}

func withInfo(s cmp.CertStatus, status cmp.PKIStatus) cmp.CertStatus {
	s.StatusInfo = &cmp.PKIStatusInfo{Status: status, StatusString: []string{"so it is"}}
	return s
}

func withHash(s cmp.CertStatus, h crypto.Hash) cmp.CertStatus {
	s.HashAlg = alg.HashAlgorithm(h)
	return s
}

func TestCertConf(t *testing.T) {
	sum := func(c *x509.Certificate) []byte { h := sha256.Sum256(c.Raw); return h[:] }
	v3 := []edit{version3}
	for name, c := range map[string]struct {
		caKey  string
		conf   func(c *x509.Certificate) []cmp.CertStatus
		edits  []edit
		fail   cmp.PKIFailureInfo
		status cmpcore.CertStatus
	}{
		"the right hash confirms": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 0)} }, nil, 0, cmpcore.Valid},
		"an explicit acceptance confirms": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{withInfo(status(sum(c), 0), cmp.Accepted)}
		}, nil, 0, cmpcore.Valid},
		"a rejection rejects, and is acknowledged": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{withInfo(status(sum(c), 0), cmp.Rejection)}
		}, nil, 0, cmpcore.RejectedByHolder},
		"what is neither accepted nor rejected is no acceptance": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{withInfo(status(sum(c), 0), cmp.PKIStatus(9))}
		}, nil, 0, cmpcore.RejectedByHolder},
		"an empty message rejects all":  {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return nil }, nil, 0, cmpcore.RejectedByHolder},
		"a wrong hash changes nothing":  {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(random(32), 0)} }, nil, cmp.BadCertID, cmpcore.Unconfirmed},
		"a short hash changes nothing":  {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c)[:8], 0)} }, nil, cmp.BadCertID, cmpcore.Unconfirmed},
		"an empty hash changes nothing": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status([]byte{}, 0)} }, nil, cmp.BadCertID, cmpcore.Unconfirmed},
		"a rejection of another certificate changes nothing": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{withInfo(status(random(32), 0), cmp.Rejection)}
		}, nil, cmp.BadCertID, cmpcore.Unconfirmed},
		"a hash by another algorithm than the signature's": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha1.Sum(c.Raw)
			return []cmp.CertStatus{status(h[:], 0)}
		}, nil, cmp.BadCertID, cmpcore.Unconfirmed},
		"a wrong id":  {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 1)} }, nil, cmp.BadRequest, cmpcore.Unconfirmed},
		"an id of -1": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), -1)} }, nil, cmp.BadRequest, cmpcore.Unconfirmed},
		"the same twice": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{status(sum(c), 0), status(sum(c), 0)}
		}, nil, cmp.BadRequest, cmpcore.Unconfirmed},
		"no nonce of ours":       {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 0)} }, []edit{func(m *message) { m.RecipNonce = nil }}, cmp.BadRecipientNonce, cmpcore.Unconfirmed},
		"a nonce of any kind":    {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 0)} }, []edit{func(m *message) { m.RecipNonce = random(16) }}, cmp.BadRecipientNonce, cmpcore.Unconfirmed},
		"a nonce that is longer": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 0)} }, []edit{func(m *message) { m.RecipNonce = append(m.RecipNonce, 0) }}, cmp.BadRecipientNonce, cmpcore.Unconfirmed},
		"hashAlg in version 2": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			return []cmp.CertStatus{withHash(status(sum(c), 0), crypto.SHA256)}
		}, nil, cmp.BadRequest, cmpcore.Unconfirmed},
		"hashAlg in version 3": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha512.Sum512(c.Raw)
			return []cmp.CertStatus{withHash(status(h[:], 0), crypto.SHA512)}
		}, v3, 0, cmpcore.Valid},
		"a weak hashAlg": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha1.Sum(c.Raw)
			s := status(h[:], 0)
			s.HashAlg = pkix.AlgorithmIdentifier{OID: pkix.MustOID(oidSHA1)}
			return []cmp.CertStatus{s}
		}, v3, cmp.BadAlg, cmpcore.Unconfirmed},
		"a hashAlg that nobody knows": {"p256 ca", func(c *x509.Certificate) []cmp.CertStatus {
			s := status(sum(c), 0)
			s.HashAlg = pkix.AlgorithmIdentifier{OID: pkix.MustOID("1.2.3.4")}
			return []cmp.CertStatus{s}
		}, v3, cmp.BadAlg, cmpcore.Unconfirmed},
		"SHA-384 of a CA with P-384": {"p384 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha512.Sum384(c.Raw)
			return []cmp.CertStatus{status(h[:], 0)}
		}, nil, 0, cmpcore.Valid},
		"SHA-512 of a CA with Ed25519, named": {"ed25519 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha512.Sum512(c.Raw)
			return []cmp.CertStatus{withHash(status(h[:], 0), crypto.SHA512)}
		}, v3, 0, cmpcore.Valid},
		"SHA-512 of a CA with Ed25519, not named": {"ed25519 ca", func(c *x509.Certificate) []cmp.CertStatus {
			h := sha512.Sum512(c.Raw)
			return []cmp.CertStatus{status(h[:], 0)}
		}, nil, 0, cmpcore.Valid},
		"SHA-256 of a CA with Ed25519, not named": {"ed25519 ca", func(c *x509.Certificate) []cmp.CertStatus { return []cmp.CertStatus{status(sum(c), 0)} }, nil, cmp.BadCertID, cmpcore.Unconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, withCAKey(c.caKey))
			k := b.talk(b.device("dev-1"))
			cert := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
			before := *b.store.transactionOf(k.id)
			r := k.say(&cmp.CertConfirm{Statuses: c.conf(cert)}, c.edits...)
			b.wantStatus(cert, c.status)
			if c.fail == 0 {
				r.body(cmp.TypePKIConf)
				k.wantState(cmpcore.Finished)
				return
			}
			r.refused(c.fail)
			if after := b.store.transactionOf(k.id); after.Version != before.Version {
				t.Error("the transaction was touched")
			}
		})
	}
}

func TestARejectedCertificateIsOnTheNextCRL(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	k.say(&cmp.CertConfirm{}).body(cmp.TypePKIConf)
	crl := b.makeCRL()
	if len(crl.RevokedCertificateEntries) != 1 || crl.RevokedCertificateEntries[0].SerialNumber.Cmp(c.SerialNumber) != 0 {
		t.Errorf("the CRL lists %v", crl.RevokedCertificateEntries)
	}
}

func TestACertConfForSomeRejectsTheOthers(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.request(cmp.TypeIR, want{id: 0, subject: "CN=a", key: "p256 a"}, want{id: 1, subject: "CN=b", key: "p256 b"}))
	one, two := r.cert(0), r.cert(1)
	sum := sha256.Sum256(two.Raw)
	k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{status(sum[:], 1)}}).body(cmp.TypePKIConf)
	b.wantStatus(one, cmpcore.RejectedByHolder)
	b.wantStatus(two, cmpcore.Valid)
}

func TestARefusedItemCannotBeConfirmed(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.request(cmp.TypeIR, want{id: 0, subject: "CN=a", key: "p256 a"}, want{id: 1, subject: "CN=b", key: "rsa1024 b"}))
	c := r.cert(0)
	sum := sha256.Sum256(c.Raw)
	k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{status(sum[:], 0), status(sum[:], 1)}}).refused(cmp.BadRequest)
	b.wantStatus(c, cmpcore.Unconfirmed)
}

func TestConfirmingTwiceIsCertConfirmed(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	k.say(confirmation(c)).refused(cmp.CertConfirmed)
	k.say(&cmp.CertConfirm{}).refused(cmp.CertConfirmed)
	b.wantStatus(c, cmpcore.Valid)
}

func TestImplicitConfirmIsGrantedToThoseWhoAsk(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit)
	c := r.cert(0)
	if _, ok := cmp.FindInfo(r.msg.Header.GeneralInfo, cmp.OIDImplicitConfirm); !ok || len(r.msg.Header.GeneralInfo) != 1 {
		t.Error("the grant is not said, or something else is")
	}
	b.wantStatus(c, cmpcore.Valid)
	k.wantState(cmpcore.Finished)
	k.say(confirmation(c)).refused(cmp.CertConfirmed)
	k.say(&cmp.CertConfirm{}).refused(cmp.CertConfirmed) // too late to reject
	b.wantStatus(c, cmpcore.Valid)

	b = newBed(t, withPolicy(func(p *cmpcore.Policy) { p.ImplicitConfirm = false }))
	k = b.talk(b.device("dev-1"))
	r = k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit)
	if _, ok := cmp.FindInfo(r.msg.Header.GeneralInfo, cmp.OIDImplicitConfirm); ok {
		t.Error("granted against the policy")
	}
	b.wantStatus(r.cert(0), cmpcore.Unconfirmed)
}

func TestP10CRIsConfirmedUnderMinusOne(t *testing.T) {
	for _, c := range []struct {
		id       int64
		tolerate []string
		ok       bool
	}{{-1, nil, true}, {-1, []string{"p10cr-id-zero"}, true}, {0, nil, false}, {0, []string{"p10cr-id-zero"}, true}, {1, []string{"p10cr-id-zero"}, false}} {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.Tolerate = c.tolerate }))
		k := b.talk(b.device("dev-1"))
		cert := k.say(k.p10cr("CN=a", "p256 a")).cert(0)
		sum := sha256.Sum256(cert.Raw)
		r := k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{status(sum[:], c.id)}})
		if c.ok {
			r.body(cmp.TypePKIConf)
		} else {
			r.refused(cmp.BadRequest)
		}
	}
	// Both names for the same certificate are twice the same.
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.Tolerate = tolerant }))
	k := b.talk(b.device("dev-1"))
	cert := k.say(k.p10cr("CN=a", "p256 a")).cert(0)
	sum := sha256.Sum256(cert.Raw)
	k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{status(sum[:], -1), status(sum[:], 0)}}).refused(cmp.BadRequest)
}

func TestCertConfNeedsATransactionThatWaitsForIt(t *testing.T) {
	b := newBed(t)
	p := b.device("dev-1")
	k := b.talk(p)
	k.say(&cmp.CertConfirm{}).refused(cmp.BadRequest) // of nothing
	k = b.talk(p)
	k.say(k.one(cmp.TypeIR, "CN=a", "rsa1024 a")).rejected(0, cmp.BadAlg)
	k.say(&cmp.CertConfirm{}).refused(cmp.BadRequest) // of a refusal
	k = b.talk(b.device("slow-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
	k.say(&cmp.CertConfirm{}).refused(cmp.BadRequest) // of a waiting one
	k.wantState(cmpcore.AwaitingDecision)
}

func TestARevocationBeforeCertConfStands(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	b.revokeByHand(c, 1)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	b.wantStatus(c, cmpcore.Revoked)
}

func TestErrorsOfThePeer(t *testing.T) {
	no := &cmp.ErrorMsg{Status: cmp.PKIStatusInfo{Status: cmp.Rejection, StatusString: []string{"no, thank you"}, FailInfo: cmp.BadCertTemplate}}
	t.Run("without a transaction are acknowledged", func(t *testing.T) {
		b := newBed(t)
		b.talk(b.device("dev-1")).say(no).body(cmp.TypePKIConf)
	})
	t.Run("reject certificates that wait for certConf", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("dev-1"))
		c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
		k.say(no).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.RejectedByHolder)
		k.wantState(cmpcore.Aborted)
		k.say(confirmation(c)).refused(cmp.BadRequest)
	})
	t.Run("end a request that waits for a person", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("slow-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).waits(0)
		k.say(no).body(cmp.TypePKIConf)
		k.wantState(cmpcore.Aborted)
		k.say(poll(0)).refused(cmp.BadRequest)
	})
	t.Run("withdraw a request that is held", func(t *testing.T) {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.Hold = true }))
		k := b.talk(b.device("slow-1"))
		k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).silent(cmpcore.Held)
		k.say(no, func(m *message) { m.RecipNonce = random(16) }).silent(cmpcore.Silent)
		k.wantState(cmpcore.AwaitingDecision)
		k.say(no).body(cmp.TypePKIConf)
		k.wantState(cmpcore.Aborted)
	})
	t.Run("change nothing that is finished", func(t *testing.T) {
		b := newBed(t)
		k := b.talk(b.device("dev-1"))
		c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
		k.say(confirmation(c)).body(cmp.TypePKIConf)
		k.say(no).body(cmp.TypePKIConf)
		b.wantStatus(c, cmpcore.Valid)
	})
	t.Run("are never answered by errors", func(t *testing.T) {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.MessageTimeWindow = 1e9 }))
		k := b.talk(b.device("dev-1"))
		c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
		for _, e := range []edit{
			func(m *message) { m.by = nil }, func(m *message) { m.PVNO = 1 }, func(m *message) { m.SenderNonce = nil },
			func(m *message) { m.MessageTime = epoch.Add(day) }, func(m *message) { m.RecipNonce = random(16) },
			func(m *message) { m.by = cmp.MACProtector(pbm(t, 500), []byte("guess")) },
		} {
			k.say(no, e).silent(cmpcore.Silent)
		}
		k.send(k.raw(&rawBody{cmp.TypeError, element(0x02, []byte{1})})).silent(cmpcore.Silent)
		b.wantStatus(c, cmpcore.Unconfirmed)
	})
}

// Under a shared secret our error messages could be sent back to us: the MAC is
// as good as the requester's own, and where any sender is tolerated nothing
// else tells them apart but the nonces.
func TestAnErrorOfOursThatIsSentBackEndsNothing(t *testing.T) {
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.Tolerate = tolerant }))
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	nonce := k.peer
	r := k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{status(random(32), 0)}})
	r.refused(cmp.BadCertID)
	k.send(r.out.Reply).silent(cmpcore.Silent)
	b.wantStatus(c, cmpcore.Unconfirmed)
	k.peer = nonce
	k.say(confirmation(c)).body(cmp.TypePKIConf)
}
