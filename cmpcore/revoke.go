package cmpcore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Reason codes of RFC 5280 section 5.3.1 that have a meaning of their own here.
const (
	reasonHold          = 6
	reasonRemoveFromCRL = 8
)

// ValidReason tells whether a CRLReason exists and may stand in a request.
func ValidReason(r int) bool { return r >= 0 && r <= 10 && r != 7 }

// revoke answers rr (RFC 9810 section 5.3.9).
func (x *exchange) revoke() error {
	if err := x.checkFirst(); err != nil {
		return err
	}
	rule, err := x.rule(cmp.TypeRR)
	if err != nil {
		return err
	}
	return x.revokeUnder(rule, x.msg, x.msg.Body.(*cmp.RevReqContent))
}

func (x *exchange) revokeUnder(rule *Rule, orig *cmp.PKIMessage, b *cmp.RevReqContent) error {
	switch n := len(b.Details); {
	case n == 0:
		return refuse(cmp.BadRequest, "the message names no certificate")
	case n > x.policy.maxRequests():
		return refuse(cmp.BadRequest, "the message has too many requests").because("%d", n)
	case x.policy.Lightweight && n != 1:
		return refuse(cmp.BadRequest, "the message must name exactly one certificate")
	}
	body := &cmp.RevRepContent{}
	granted := 0
	var reasons, serials []string
	seen := map[string]bool{}
	for i := range b.Details {
		d := &b.Details[i]
		change, err := x.judgeRevocation(rule, d)
		if err == nil && seen[string(change.Serial)] {
			err = refuse(cmp.BadRequest, "the message names this certificate twice")
		}
		if err == nil && x.tx != nil && x.tx.Decision == Rejected {
			err = x.rejectedByPerson()
		}
		if id := certIDOf(d); id != nil {
			body.RevCerts = append(body.RevCerts, *id)
			serials = append(serials, fmt.Sprintf("%x", id.SerialNumber))
		}
		if err != nil {
			f, ok := asFailure(err)
			if !ok {
				return err
			}
			f.rule = rule.Name
			body.Status = append(body.Status, f.statusInfo())
			reasons = append(reasons, f.Error())
			x.audit("refused", func(a *AuditEntry) { a.Rule = rule.Name; a.Detail = clip(f.Error()) })
			continue
		}
		granted++
		seen[string(change.Serial)] = true
		body.Status = append(body.Status, cmp.PKIStatusInfo{Status: cmp.Accepted})
		x.out.CertChanges = append(x.out.CertChanges, *change)
		x.auditRevocation(rule, change)
	}
	if len(body.RevCerts) != len(body.Status) {
		// In step with the statuses or not at all.
		body.RevCerts = nil
	}
	if rule.Approval && granted > 0 && (x.tx == nil || x.tx.Decision == Undecided) {
		x.out = &Outcome{}
		return x.waitWhole(rule, orig, "rr: "+strings.Join(serials, ", "))
	}
	x.dropRelianceOnChanged()
	t := x.newTransaction(orig)
	t.endWaiting(Finished)
	t.Items = nil
	x.out.Transaction = t
	x.out.Disposition = Answered
	if granted == 0 {
		t.State = Aborted
		x.out.Disposition = Refused
		x.out.Reason = clip(strings.Join(reasons, "; "))
	}
	return x.reply(body, x.finalOptions(orig, t))
}

// dropRelianceOnChanged: a change checks its own version; relying on the same
// row besides would conflict with it.
func (x *exchange) dropRelianceOnChanged() {
	var keep []Reliance
	for _, r := range x.out.Relied {
		changed := false
		for _, c := range x.out.CertChanges {
			changed = changed || bytes.Equal(c.Serial, r.CertificateSerial)
		}
		if !changed {
			keep = append(keep, r)
		}
	}
	x.out.Relied = keep
}

func certIDOf(d *cmp.RevDetails) *crmf.CertID {
	t := &d.CertDetails
	if len(t.Issuer) == 0 || t.SerialNumber == nil {
		return nil
	}
	return &crmf.CertID{Issuer: pkix.NewDirectoryName(t.Issuer), SerialNumber: t.SerialNumber}
}

// judgeRevocation decides about one RevDetails.
func (x *exchange) judgeRevocation(rule *Rule, d *cmp.RevDetails) (*CertificateChange, error) {
	t := &d.CertDetails
	if len(t.Issuer) == 0 || t.SerialNumber == nil {
		return nil, refuse(cmp.BadCertID, "certDetails must have issuer and serialNumber")
	}
	if !t.Issuer.Matches(x.caName) || t.SerialNumber.Sign() <= 0 {
		return nil, refuse(cmp.BadCertID, "certDetails names no certificate of this CA")
	}
	reason, invalidity, err := revocationDetails(d.CRLEntryDetails)
	if err != nil {
		return nil, err
	}
	cert, err := x.view.Certificate(x.ctx, t.SerialNumber.Bytes())
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, refuse(cmp.BadCertID, "certDetails names no certificate of this CA")
	}
	if !x.who.owns(cert) && (x.who.phrase != nil || !rule.RevokeAny) {
		return nil, refuse(cmp.NotAuthorized, "this requester may not revoke this certificate").because("serial %x", cert.Serial)
	}
	return revocationChange(cert, reason, invalidity, x.now)
}

// revocationChange applies the rules of status: hold may be lifted or made
// final, everything else revoked stays as it is.
func revocationChange(cert *Certificate, reason int, invalidity, now time.Time) (*CertificateChange, error) {
	onHold := cert.Status == Revoked && cert.Reason == reasonHold
	c := &CertificateChange{Serial: cert.Serial, Version: cert.Version, Status: Revoked, RevokedAt: now, Reason: reason, InvalidityDate: invalidity}
	switch {
	case reason == reasonRemoveFromCRL && !onHold:
		return nil, refuse(cmp.BadRequest, "removeFromCRL needs a certificate that is on hold")
	case reason == reasonRemoveFromCRL:
		return &CertificateChange{Serial: cert.Serial, Version: cert.Version, Status: Valid}, nil
	case onHold && reason == reasonHold, cert.Status == RejectedByHolder, cert.Status == Revoked && !onHold:
		return nil, refuse(cmp.CertRevoked, "the certificate is revoked already")
	}
	return c, nil
}

// revocationDetails reads crlEntryDetails: reasonCode and invalidityDate;
// another extension is refused where it is critical.
func revocationDetails(exts []pkix.Extension) (reason int, invalidity time.Time, err error) {
	for _, e := range exts {
		switch e.ID {
		case pkix.OIDReasonCode:
			r, ok := pkix.ParseReasonCode(e.Value)
			if !ok || !ValidReason(int(r)) {
				return 0, time.Time{}, refuse(cmp.BadDataFormat, "the reasonCode is not one of RFC 5280")
			}
			reason = int(r)
		case pkix.OIDInvalidityDate:
			t, ok := pkix.ParseInvalidityDate(e.Value)
			if !ok {
				return 0, time.Time{}, refuse(cmp.BadDataFormat, "the invalidityDate could not be read")
			}
			invalidity = t
		default:
			if e.Critical {
				return 0, time.Time{}, refuse(cmp.UnacceptedExtension, "a critical CRL entry extension is not known").because("%s", e.ID)
			}
		}
	}
	return reason, invalidity, nil
}

func (x *exchange) auditRevocation(rule *Rule, c *CertificateChange) {
	event := "revoked"
	if c.Status == Valid {
		event = "unrevoked"
	}
	x.audit(event, func(a *AuditEntry) {
		a.Serial = hex.EncodeToString(c.Serial)
		a.Rule = rule.Name
		a.Detail = fmt.Sprintf("reason %d", c.Reason)
	})
}

// ErrNoCertificate is in the error of a revocation by hand of a serial that
// this CA has not issued; ErrNotRevocable where its status forbids it.
var (
	ErrNoCertificate = errors.New("no such certificate")
	ErrNotRevocable  = errors.New("cannot be revoked")
)

// Revoke gives the outcome of a revocation by hand. Reason 8 (removeFromCRL)
// lifts a hold. by names the operator in the audit log.
func (e *Engine) Revoke(ctx context.Context, v View, serial []byte, reason int, invalidity time.Time, by string) (*Outcome, error) {
	if !ValidReason(reason) {
		return nil, fmt.Errorf("%w: reason %d is not one of RFC 5280", ErrNotRevocable, reason)
	}
	cert, err := v.Certificate(ctx, serial)
	if err != nil {
		return nil, err
	}
	if cert == nil {
		return nil, fmt.Errorf("%w: serial %x", ErrNoCertificate, serial)
	}
	now := e.cfg.Clock()
	change, err := revocationChange(cert, reason, invalidity, now)
	if err != nil {
		return nil, fmt.Errorf("%w: serial %x: %s", ErrNotRevocable, serial, err)
	}
	event := "revoked"
	if change.Status == Valid {
		event = "unrevoked"
	}
	out := &Outcome{Disposition: Silent, CertChanges: []CertificateChange{*change}, Audit: []AuditEntry{{
		Time: now, Event: event, Requester: "operator:" + by, Serial: hex.EncodeToString(serial), Detail: fmt.Sprintf("reason %d", reason),
	}}}
	if err := e.announceChanges(ctx, v, out); err != nil {
		return nil, err
	}
	return out, nil
}
