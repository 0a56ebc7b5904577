package cmpcore_test

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"testing"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

func reasonExt(r int) pkix.Extension {
	return pkix.Extension{ID: pkix.OIDReasonCode, Value: []byte{10, 1, byte(r)}}
}

// revocation names a certificate; reason -1 leaves crlEntryDetails out.
func revocation(c *x509.Certificate, reason int, exts ...pkix.Extension) cmp.RevDetails {
	d := cmp.RevDetails{CertDetails: crmf.CertTemplate{SerialNumber: c.SerialNumber, Issuer: pkix.Name(c.RawIssuer)}, CRLEntryDetails: exts}
	if reason >= 0 {
		d.CRLEntryDetails = append(d.CRLEntryDetails, reasonExt(reason))
	}
	return d
}

func rr(d ...cmp.RevDetails) *cmp.RevReqContent { return &cmp.RevReqContent{Details: d} }

// statuses compares the statuses of an rp: 0 is accepted.
func (r *reply) statuses(want ...cmp.PKIFailureInfo) {
	r.Helper()
	b := r.body(cmp.TypeRP).msg.Body.(*cmp.RevRepContent)
	if len(b.Status) != len(want) {
		r.Fatalf("%d statuses, want %d", len(b.Status), len(want))
	}
	granted := false
	for i, w := range want {
		s := b.Status[i]
		if s.FailInfo != w || (s.Status == cmp.Accepted) != (w == 0) {
			r.Errorf("status %d is %s %s (%s), want %s", i, s.Status, s.FailInfo, r.out.Reason, w)
		}
		granted = granted || w == 0
	}
	if disposition := r.out.Disposition; granted != (disposition == cmpcore.Answered) || !granted && disposition != cmpcore.Refused {
		r.Errorf("disposition %s", disposition)
	}
}

func TestHoldersRevokeTheirOwnCertificates(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	k := b.talk(p)
	r := k.say(rr(revocation(p.holder.cert, 1)))
	r.statuses(0)
	b.wantStatus(p.holder.cert, cmpcore.Revoked)
	k.wantState(cmpcore.Finished)
	ids := r.msg.Body.(*cmp.RevRepContent).RevCerts
	if len(ids) != 1 || ids[0].SerialNumber.Cmp(p.holder.cert.SerialNumber) != 0 || string(ids[0].Issuer) != string(pkix.NewDirectoryName(pkix.Name(b.ca.cert.RawSubject))) {
		t.Errorf("revCerts %v", ids)
	}
	e := b.makeCRL().RevokedCertificateEntries
	if len(e) != 1 || e[0].ReasonCode != 1 || !e[0].RevocationTime.Equal(epoch.Truncate(time.Second)) {
		t.Errorf("the CRL says %v", e)
	}
	k = b.talk(p)
	k.say(rr(revocation(p.holder.cert, 1))).refused(cmp.CertRevoked) // it signs no more
}

func TestReasonsOfRevocation(t *testing.T) {
	for reason := -1; reason <= 11; reason++ {
		t.Run(fmt.Sprint(reason), func(t *testing.T) {
			b := newBed(t)
			p := b.enrolled("CN=device 1", "p256 a")
			k := b.talk(b.device("ra-1"))
			r := k.say(rr(revocation(p.holder.cert, reason)))
			rec := b.store.certs[string(p.holder.cert.SerialNumber.Bytes())]
			switch reason {
			case 7, 11:
				r.statuses(cmp.BadDataFormat)
				b.wantStatus(p.holder.cert, cmpcore.Valid)
			case 8:
				r.statuses(cmp.BadRequest) // removeFromCRL of what is not on it
				b.wantStatus(p.holder.cert, cmpcore.Valid)
			default:
				r.statuses(0)
				b.wantStatus(p.holder.cert, cmpcore.Revoked)
				if rec.Reason != max(reason, 0) {
					t.Errorf("reason %d", rec.Reason)
				}
			}
		})
	}
}

func TestHoldAndRelease(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	c := p.holder.cert
	ra := b.device("ra-1")
	say := func(reason int) *reply { return b.talk(ra).say(rr(revocation(c, reason))) }
	say(6).statuses(0)
	b.wantStatus(c, cmpcore.Revoked)
	say(6).statuses(cmp.CertRevoked)
	// On hold, the holder cannot sign, not even for its release.
	b.talk(p).say(rr(revocation(c, 8))).refused(cmp.CertRevoked)
	say(8).statuses(0)
	b.wantStatus(c, cmpcore.Valid)
	if rec := b.store.certs[string(c.SerialNumber.Bytes())]; rec.Reason != 0 || !rec.RevokedAt.IsZero() {
		t.Errorf("still %+v", rec)
	}
	say(6).statuses(0)
	say(1).statuses(0) // made final
	say(8).statuses(cmp.BadRequest)
	say(1).statuses(cmp.CertRevoked)
	b.wantStatus(c, cmpcore.Revoked)
}

func TestWhoMayRevokeWhat(t *testing.T) {
	b := newBed(t)
	one, two := b.enrolled("CN=device 1", "p256 a"), b.enrolled("CN=device 2", "p256 b")
	mine := one.holder.cert
	say := func(p *party, d cmp.RevDetails) *reply { return b.talk(p).say(rr(d)) }
	say(two, revocation(mine, 1)).statuses(cmp.NotAuthorized)
	say(b.device("dev-2"), revocation(mine, 1)).statuses(cmp.NotAuthorized)
	say(b.signer(certify(t, b.partner, "device 1", key(t, "p256 x"), nil)), revocation(mine, 1)).statuses(cmp.NotAuthorized)
	b.wantStatus(mine, cmpcore.Valid)
	say(b.device("dev-enrol"), revocation(mine, 1)).statuses(0) // the secret that asked for it
	b.wantStatus(mine, cmpcore.Revoked)
}

func TestWhatARevocationMustName(t *testing.T) {
	b := newBed(t)
	p := b.enrolled("CN=device 1", "p256 a")
	c := p.holder.cert
	past := element(0x18, []byte("20300501000000Z"))
	critical := pkix.Extension{ID: pkix.MustOID("1.2.3.4"), Critical: true, Value: pkix.Null}
	for name, step := range map[string]struct {
		change func(*cmp.RevDetails)
		want   cmp.PKIFailureInfo
	}{
		"no issuer":                    {func(d *cmp.RevDetails) { d.CertDetails.Issuer = nil }, cmp.BadCertID},
		"no serial number":             {func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = nil }, cmp.BadCertID},
		"another issuer":               {func(d *cmp.RevDetails) { d.CertDetails.Issuer = dn(t, "CN=Other CA") }, cmp.BadCertID},
		"the NULL-DN as issuer":        {func(d *cmp.RevDetails) { d.CertDetails.Issuer = pkix.EmptyName }, cmp.BadCertID},
		"an unknown serial number":     {func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = big.NewInt(4711) }, cmp.BadCertID},
		"the serial number zero":       {func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = big.NewInt(0) }, cmp.BadCertID},
		"minus the serial number":      {func(d *cmp.RevDetails) { d.CertDetails.SerialNumber = new(big.Int).Neg(c.SerialNumber) }, cmp.BadCertID},
		"a critical unknown extension": {func(d *cmp.RevDetails) { d.CRLEntryDetails = append(d.CRLEntryDetails, critical) }, cmp.UnacceptedExtension},
		"a malformed reasonCode":       {func(d *cmp.RevDetails) { d.CRLEntryDetails[0].Value = []byte{2, 1, 1} }, cmp.BadDataFormat},
		"a malformed invalidityDate": {func(d *cmp.RevDetails) {
			d.CRLEntryDetails = append(d.CRLEntryDetails, pkix.Extension{ID: pkix.OIDInvalidityDate, Value: pkix.Null})
		}, cmp.BadDataFormat},
		"an invalidityDate and nothing": {func(d *cmp.RevDetails) {
			d.CRLEntryDetails = []pkix.Extension{{ID: pkix.OIDInvalidityDate, Value: past}}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			p := b.enrolled("CN=device 1", "p256 a")
			d := revocation(p.holder.cert, 1)
			step.change(&d)
			if step.want == 0 || d.CertDetails.SerialNumber != nil && d.CertDetails.SerialNumber.Cmp(c.SerialNumber) == 0 {
				d.CertDetails.SerialNumber = p.holder.cert.SerialNumber
			}
			b.talk(p).say(rr(d)).statuses(step.want)
			if step.want == 0 {
				rec := b.store.certs[string(p.holder.cert.SerialNumber.Bytes())]
				if !rec.InvalidityDate.Equal(time.Date(2030, 5, 1, 0, 0, 0, 0, time.UTC)) {
					t.Errorf("invalidityDate %s", rec.InvalidityDate)
				}
			} else {
				b.wantStatus(p.holder.cert, cmpcore.Valid)
			}
		})
	}
	b.talk(p).say(rr()).refused(cmp.BadRequest)
}

func TestStatusesOfManyRevocationsAreInOrder(t *testing.T) {
	b := newBed(t)
	var certs []*x509.Certificate
	for i := range 3 {
		certs = append(certs, b.enrolled(fmt.Sprintf("CN=device %d", i), fmt.Sprintf("p256 %d", i)).holder.cert)
	}
	b.revokeByHand(certs[1], 1)
	unknown := revocation(certs[0], 1)
	unknown.CertDetails.SerialNumber = big.NewInt(4711)
	r := b.talk(b.device("ra-1")).say(rr(revocation(certs[0], 4), revocation(certs[1], 4), unknown, revocation(certs[2], 6), revocation(certs[0], 4)))
	r.statuses(0, cmp.CertRevoked, cmp.BadCertID, 0, cmp.BadRequest)
	ids := r.msg.Body.(*cmp.RevRepContent).RevCerts
	if len(ids) != 5 || ids[3].SerialNumber.Cmp(certs[2].SerialNumber) != 0 {
		t.Errorf("revCerts %v", ids)
	}
	b.wantStatus(certs[0], cmpcore.Revoked)
	b.wantStatus(certs[2], cmpcore.Revoked)
}
