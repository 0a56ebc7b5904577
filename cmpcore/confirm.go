package cmpcore

import (
	"crypto/subtle"
	"fmt"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// confirm answers certConf (RFC 9810 section 5.3.18). A certificate that the
// message does not name is rejected; an empty message rejects all.
func (x *exchange) confirm(b *cmp.CertConfirm) error {
	t := x.tx
	switch {
	case t == nil:
		return refuse(cmp.BadRequest, "no transaction of this requester has this transactionID")
	case t.State == Finished && len(t.Items) > 0:
		return refuse(cmp.CertConfirmed, "the certificates of this transaction are confirmed already")
	case t.State != AwaitingConfirm:
		return refuse(cmp.BadRequest, "no certificate of this transaction waits for confirmation")
	}
	if err := x.checkFollowUp(false); err != nil {
		return err
	}
	said := make([]*cmp.CertStatus, len(t.Items))
	for i := range b.Statuses {
		s := &b.Statuses[i]
		at := -1
		if s.CertReqID.IsInt64() {
			at = x.findItem(s.CertReqID.Int64())
		}
		if at < 0 || t.Items[at].Serial == nil {
			return refuse(cmp.BadRequest, "certConf names a certReqId for which no certificate was sent")
		}
		if said[at] != nil {
			return refuse(cmp.BadRequest, "certConf names a certReqId twice")
		}
		said[at] = s
	}
	next := x.newTransaction(x.msg)
	next.endWaiting(Finished)
	for i, item := range t.Items {
		if item.Serial == nil {
			continue
		}
		if err := x.confirmOne(next, i, said[i]); err != nil {
			return err
		}
	}
	x.out.Disposition = Answered
	x.out.Transaction = next
	return x.reply(&cmp.PKIConf{}, replyOptions{})
}

func (x *exchange) confirmOne(next *Transaction, i int, s *cmp.CertStatus) error {
	serial := next.Items[i].Serial
	cert, err := x.view.Certificate(x.ctx, serial)
	if err != nil {
		return err
	}
	if cert == nil {
		return fmt.Errorf("certificate %x of a transaction is not in the store", serial)
	}
	accepted := s != nil && (s.StatusInfo == nil || s.StatusInfo.Status == cmp.Accepted || s.StatusInfo.Status == cmp.GrantedWithMods)
	if s != nil {
		if err := x.checkCertHash(cert, s); err != nil {
			return err
		}
	}
	if s != nil {
		next.Items[i].Unproven = false // who knows the hash has decrypted it
	}
	if cert.Status != Unconfirmed {
		// Revoked by an operator meanwhile: that stands.
		return nil
	}
	change := CertificateChange{Serial: serial, Version: cert.Version, Status: Valid}
	event := "confirmed"
	if !accepted {
		change.Status, change.RevokedAt = RejectedByHolder, x.now
		event = "rejected"
	}
	next.Items[i].Confirmed = accepted
	x.out.CertChanges = append(x.out.CertChanges, change)
	x.audit(event, func(a *AuditEntry) {
		a.Serial = fmt.Sprintf("%x", serial)
		if s != nil && s.StatusInfo != nil && len(s.StatusInfo.StatusString) > 0 {
			a.Detail = clip(fmt.Sprintf("%q", s.StatusInfo.StatusString[0]))
		}
	})
	return nil
}

// checkCertHash compares with the hash over the certificate, by the hash of its
// signature algorithm unless hashAlg names another.
func (x *exchange) checkCertHash(cert *Certificate, s *cmp.CertStatus) error {
	if !s.HashAlg.IsZero() && x.msg.Header.PVNO < 3 {
		return refuse(cmp.BadRequest, "hashAlg in certConf needs pvno 3")
	}
	sigAlg, ok := pkix.SignatureAlgorithm(cert.DER)
	if !ok {
		return fmt.Errorf("certificate %x in the store is no certificate", cert.Serial)
	}
	want, err := alg.CertHashSum(sigAlg, s.HashAlg, cert.DER)
	if err != nil {
		return refuse(cmp.BadAlg, "hashAlg of certConf is not accepted").because("%v", err)
	}
	if subtle.ConstantTimeCompare(want, s.CertHash) != 1 {
		return refuse(cmp.BadCertID, "certHash is not that of the certificate that was sent")
	}
	return nil
}

// peerError takes an error message: it ends the requester's transaction and is
// answered by pkiconf (RFC 9483 section 3.6.4). Certificates that were waiting
// for confirmation are rejected by it.
func (x *exchange) peerError(b *cmp.ErrorMsg) error {
	if t := x.tx; t != nil && (t.State.Open() || t.State == AwaitingConfirm) {
		if err := x.checkErrorNonce(); err != nil {
			return err
		}
		next := x.newTransaction(x.msg)
		for i, item := range t.Items {
			if item.Serial != nil && t.State == AwaitingConfirm {
				if err := x.confirmOne(next, i, nil); err != nil {
					return err
				}
			}
		}
		next.endWaiting(Aborted)
		x.out.Transaction = next
	}
	x.audit("peer-error", func(a *AuditEntry) {
		a.Detail = clip(fmt.Sprintf("%s %s %q", b.Status.Status, b.Status.FailInfo, b.Status.StatusString))
	})
	x.out.Disposition = Answered
	return x.reply(&cmp.PKIConf{}, replyOptions{})
}

// checkErrorNonce keeps an error message of ours, which has a MAC by the same
// secret and the same transactionID, from ending the transaction when somebody
// on the way sends it back to us: it has no nonce of ours to answer.
func (x *exchange) checkErrorNonce() error {
	if len(x.tx.OurNonce) == 0 {
		if len(x.msg.Header.RecipNonce) != 0 {
			return refuse(cmp.BadRecipientNonce, "recipNonce must be absent where nothing was answered")
		}
		return nil
	}
	return x.checkRecipNonce(true)
}
