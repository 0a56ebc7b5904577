package cmpcore

import (
	"context"
	"fmt"
	"iter"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/issuance"
)

// MakeCRL gives the outcome that holds the next full CRL: its number is one
// above the last. A certificate that expired is listed on one more CRL after
// its notAfter (RFC 5280 section 3.3).
func (e *Engine) MakeCRL(ctx context.Context, v View) (*Outcome, error) {
	last, err := v.CRL(ctx)
	if err != nil {
		return nil, err
	}
	now := e.cfg.Clock().UTC()
	number, since := int64(1), now
	if last != nil {
		number, since = last.Number+1, last.ThisUpdate
	}
	var entries iter.Seq2[issuance.CRLEntry, error] = func(yield func(issuance.CRLEntry, error) bool) {
		for c, err := range v.Revoked(ctx, since) {
			if err != nil {
				yield(issuance.CRLEntry{}, err)
				return
			}
			if !yield(issuance.CRLEntry{Serial: c.Serial, RevokedAt: c.RevokedAt, Reason: c.Reason, InvalidityDate: c.InvalidityDate}, nil) {
				return
			}
		}
	}
	next := now.Add(e.cfg.CRLLifetime)
	der, err := e.cfg.Authority.Issuer.SignCRL(e.cfg.Random, number, now, next, entries)
	if err != nil {
		return nil, fmt.Errorf("CRL %d: %w", number, err)
	}
	outgoing, err := e.announce(now, &cmp.CRLAnn{CRLs: [][]byte{der}}, 2, fmt.Sprintf("crl-%d", number))
	if err != nil {
		return nil, err
	}
	return &Outcome{
		Disposition: Silent,
		Outgoing:    outgoing,
		CRL:         &CRL{Number: number, DER: der, ThisUpdate: now, NextUpdate: next},
		Audit:       []AuditEntry{{Time: now, Event: "crl", Detail: fmt.Sprintf("number %d", number)}},
	}, nil
}
