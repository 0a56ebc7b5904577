package cmpcore_test

import (
	"crypto/sha256"
	"errors"
	"math/big"
	"testing"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
)

func TestIRIsAnsweredAndConfirmed(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.one(cmp.TypeIR, "CN=device 1,O=Example", "p256 a")).body(cmp.TypeIP)
	c := r.cert(0)
	if c.Subject.String() != "CN=device 1,O=Example" {
		t.Errorf("subject %s", c.Subject)
	}
	if pubs := r.msg.Body.(*cmp.CertRepMessage).CAPubs; len(pubs) != 1 || string(pubs[0]) != string(b.root.cert.Raw) {
		t.Errorf("caPubs has %d certificates, want the root", len(pubs))
	}
	wait, ok := cmp.FindInfo(r.msg.Header.GeneralInfo, cmp.OIDConfirmWaitTime)
	if at, err := wait.ConfirmWaitTime(); !ok || err != nil || !at.Equal(epoch.Add(30*day).Truncate(1e9)) {
		t.Errorf("confirmWaitTime %v %v", at, err)
	}
	b.wantStatus(c, cmpcore.Unconfirmed)
	k.wantState(cmpcore.AwaitingConfirm)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	b.wantStatus(c, cmpcore.Valid)
	k.wantState(cmpcore.Finished)
	if n := b.store.secrets["dev-1"].Used; n != 1 {
		t.Errorf("the secret was used %d times", n)
	}
}

func TestP10CRIsAnsweredWithMinusOne(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.p10cr("CN=device 1", "p256 a")).body(cmp.TypeCP)
	if id := r.response(0).CertReqID; id.Int64() != -1 {
		t.Errorf("certReqId %s, want -1", id)
	}
	c := r.cert(0)
	sum := sha256.Sum256(c.Raw)
	k.say(&cmp.CertConfirm{Statuses: []cmp.CertStatus{{CertHash: sum[:], CertReqID: big.NewInt(-1)}}}).body(cmp.TypePKIConf)
	b.wantStatus(c, cmpcore.Valid)
}

func TestAPKCS10MayAskForExtensions(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	c := k.say(k.p10cr("CN=device 1", "p256 a", "a.example", "b.example")).cert(0)
	if len(c.DNSNames) != 2 || c.DNSNames[1] != "b.example" {
		t.Errorf("DNS names %q", c.DNSNames)
	}
	k = b.talk(b.device("dev-1"))
	body := k.p10cr("CN=device 1", "p256 a", "a.example")
	body.Request.Attributes = append(body.Request.Attributes, body.Request.Attributes[0]) // twice the same
	k.say(body).refused(cmp.BadDataFormat)
}

func TestACRIsAnsweredByACP(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	r := k.say(k.one(cmp.TypeCR, "CN=device 1", "p256 a")).body(cmp.TypeCP)
	c := r.cert(0)
	k.say(confirmation(c)).body(cmp.TypePKIConf)
	b.wantStatus(c, cmpcore.Valid)
}

func TestACAThatCannotIssueSaysSo(t *testing.T) {
	b := newBed(t)
	b.now = b.ca.cert.NotAfter.Add(1e9)
	b.asked("dev-1", want{subject: "CN=a", key: "p256 a"}).judge(cmp.SystemUnavail)
}

// Two processes that answer the same bytes: the second commit must conflict.
func TestTheSameRequestTwiceConflicts(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	der := k.message(k.one(cmp.TypeIR, "CN=device 1", "p256 a"))
	one, two := b.process(der), b.process(der)
	b.commit(der, one)
	if b.store.commit(der, two) == nil {
		t.Error("two certificates for one request")
	}
}

func TestSerialNumbersComeFromTheRandomSource(t *testing.T) {
	b := newBed(t)
	k := b.talk(b.device("dev-1"))
	der := k.message(k.one(cmp.TypeIR, "CN=device 1", "p256 a"))
	one, two := b.process(der), b.process(der)
	if string(one.Certificates[0].Serial) == string(two.Certificates[0].Serial) {
		t.Error("the same serial number twice")
	}
	if s := one.Certificates[0].Serial; len(s) != 16 || s[0]&0x80 != 0 || s[0] == 0 {
		t.Errorf("serial number %x", s)
	}
	b.cfg.Random = failing{}
	b.rebuild()
	if _, err := b.engine.Process(t.Context(), b.engine.Parse(der, "dir"), b.store); err == nil {
		t.Error("issued without a random source")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("no entropy") }
