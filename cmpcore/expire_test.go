package cmpcore_test

import (
	"context"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

func (b *bed) makeCRL() *x509.RevocationList {
	b.Helper()
	out, err := b.engine.MakeCRL(context.Background(), b.store)
	if err != nil {
		b.Fatal(err)
	}
	checkOutcome(b, b.now.UTC(), out)
	if err := b.store.commit(nil, out); err != nil {
		b.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(out.CRL.DER)
	if err != nil {
		b.Fatal(err)
	}
	if crl.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		b.signedByCA(crl.RawTBSRevocationList, crl.Signature, crl.Raw)
	} else if err := crl.CheckSignatureFrom(b.ca.cert); err != nil {
		b.Error(err)
	}
	if crl.Number.Int64() != out.CRL.Number || !crl.ThisUpdate.Equal(b.now.Truncate(time.Second)) || !crl.NextUpdate.Equal(b.now.Add(b.cfg.CRLLifetime).Truncate(time.Second)) {
		b.Errorf("CRL %s of %s to %s, the record says %d of %s", crl.Number, crl.ThisUpdate, crl.NextUpdate, out.CRL.Number, out.CRL.ThisUpdate)
	}
	return crl
}

func (b *bed) revokeByHand(c *x509.Certificate, reason int) {
	b.Helper()
	out, err := b.engine.Revoke(context.Background(), b.store, c.SerialNumber.Bytes(), reason, time.Time{}, "alice")
	if err != nil {
		b.Fatal(err)
	}
	checkOutcome(b, b.now, out)
	if err := b.store.commit(nil, out); err != nil {
		b.Fatal(err)
	}
}

func TestCRLsAreNumberedAndListWhatExpiredOnceMore(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit).cert(0)
	if crl := b.makeCRL(); crl.Number.Int64() != 1 || len(crl.RevokedCertificateEntries) != 0 {
		t.Errorf("the first CRL is number %s with %d entries", crl.Number, len(crl.RevokedCertificateEntries))
	}
	b.revokeByHand(c, 1)
	crl := b.makeCRL()
	if crl.Number.Int64() != 2 || len(crl.RevokedCertificateEntries) != 1 || crl.RevokedCertificateEntries[0].ReasonCode != 1 {
		t.Errorf("the second CRL is number %s: %v", crl.Number, crl.RevokedCertificateEntries)
	}
	b.now = c.NotAfter.Add(-1e9)
	b.makeCRL()
	b.now = c.NotAfter.Add(5 * day)
	if crl := b.makeCRL(); len(crl.RevokedCertificateEntries) != 1 {
		t.Error("a certificate that expired since the last CRL must be on one more (RFC 5280 section 3.3)")
	}
	b.now = b.now.Add(day)
	if crl := b.makeCRL(); len(crl.RevokedCertificateEntries) != 0 {
		t.Error("it is on two more")
	}
}

func TestRevocationByHand(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit).cert(0)
	revoke := func(serial []byte, reason int) error {
		out, err := b.engine.Revoke(context.Background(), b.store, serial, reason, time.Time{}, "alice")
		if err == nil {
			checkOutcome(t, b.now, out)
			err = b.store.commit(nil, out)
		}
		return err
	}
	serial := c.SerialNumber.Bytes()
	for _, step := range []struct {
		serial []byte
		reason int
		err    error
		status cmpcore.CertStatus
	}{
		{[]byte{1}, 1, cmpcore.ErrNoCertificate, cmpcore.Valid},
		{serial, 7, cmpcore.ErrNotRevocable, cmpcore.Valid},
		{serial, 11, cmpcore.ErrNotRevocable, cmpcore.Valid},
		{serial, -1, cmpcore.ErrNotRevocable, cmpcore.Valid},
		{serial, 8, cmpcore.ErrNotRevocable, cmpcore.Valid}, // not on hold
		{serial, 6, nil, cmpcore.Revoked},
		{serial, 6, cmpcore.ErrNotRevocable, cmpcore.Revoked},
		{serial, 8, nil, cmpcore.Valid},
		{serial, 6, nil, cmpcore.Revoked},
		{serial, 1, nil, cmpcore.Revoked}, // from hold to the end
		{serial, 8, cmpcore.ErrNotRevocable, cmpcore.Revoked},
		{serial, 1, cmpcore.ErrNotRevocable, cmpcore.Revoked},
	} {
		if err := revoke(step.serial, step.reason); !errors.Is(err, step.err) || (err == nil) != (step.err == nil) {
			t.Errorf("reason %d: %v, want %v", step.reason, err, step.err)
		}
		b.wantStatus(c, step.status)
	}
}

func TestWhatIsNotConfirmedIsRevokedOrKeptWhenTheWaitIsOver(t *testing.T) {
	for keep, want := range map[bool]cmpcore.CertStatus{false: cmpcore.RejectedByHolder, true: cmpcore.Valid} {
		b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.KeepUnconfirmed = keep }))
		k := b.talk(b.device("dev-1"))
		r := k.say(k.request(cmp.TypeIR, want2("CN=a", "p256 a", 0), want2("CN=b", "p256 b", 1), want2("CN=c", "rsa1024 c", 2)))
		one, two := r.cert(0), r.cert(1)
		b.revokeByHand(two, 1)
		b.now = epoch.Add(30*day - 1)
		if outs := b.expire(); len(outs) != 0 {
			t.Fatal("too early")
		}
		b.now = epoch.Add(30 * day)
		if outs := b.expire(); len(outs) != 1 || outs[0].Disposition != cmpcore.Silent {
			t.Fatalf("%d outcomes", len(outs))
		}
		b.wantStatus(one, want)
		b.wantStatus(two, cmpcore.Revoked)
		if keep {
			k.wantState(cmpcore.Finished)
			k.say(confirmation(one, two)).refused(cmp.CertConfirmed)
		} else {
			k.wantState(cmpcore.Aborted)
			k.say(confirmation(one, two)).refused(cmp.BadRequest)
		}
		b.wantStatus(one, want)
	}
}

func want2(subject, key string, id int64) want { return want{id: id, subject: subject, key: key} }

func TestACertConfInTimeCounts(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	b.now = epoch.Add(30*day - 1)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	b.now = epoch.Add(31 * day)
	if outs := b.expire(); len(outs) != 0 {
		t.Error("a finished transaction expired")
	}
	b.wantStatus(c, cmpcore.Valid)
}

func TestAFinishedTransactionDoesNotExpire(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), implicit).cert(0)
	if _, err := b.engine.Expire(context.Background(), b.store.transactionOf(k.id), b.store); err == nil {
		t.Error("it did")
	}
}

// An error of the View is an error of Process: the message is to be kept.
func TestAStoreThatFailsRefusesNobody(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	b.store.fail = errors.New("disk on fire")
	for _, k := range []*talk{b.talk(b.device("dev-1")), b.talk(p)} {
		der := k.message(k.one(cmp.TypeCR, "CN=device 1", "p256 b"))
		if out, err := b.engine.Process(context.Background(), b.engine.Parse(der, "dir"), b.store); !errors.Is(err, b.store.fail) || out != nil {
			t.Errorf("%v, %v", out, err)
		}
	}
	if _, err := b.engine.MakeCRL(context.Background(), b.store); !errors.Is(err, b.store.fail) {
		t.Errorf("MakeCRL: %v", err)
	}
}

// What a View returns is not changed: the same transaction may be in use.
func TestExpiryDoesNotChangeItsTransaction(t *testing.T) {
	b := newBed(t, withPolicy(func(p *cmpcore.Policy) { p.KeepUnconfirmed = true }))
	k := b.talk(b.device("dev-1"))
	k.say(k.one(cmp.TypeIR, "CN=a", "p256 a")).cert(0)
	b.now = epoch.Add(30 * day)
	x := b.store.transactionOf(k.id)
	if _, err := b.engine.Expire(context.Background(), x, b.store); err != nil {
		t.Fatal(err)
	}
	if x.State != cmpcore.AwaitingConfirm || x.Items[0].Confirmed {
		t.Errorf("%+v", x)
	}
}
