package cmpcore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Announcement is somebody who is told, unasked, of what this CA does (RFC 9810
// sections 5.3.13 to 5.3.16).
type Announcement struct {
	Channel string // where to; one of Config.Policies
	Prefix  string // of the names under which announcements are delivered
	// What is of TypeCKUAnn (the root's key changes), TypeCAnn (a certificate
	// becomes valid), TypeRAnn (one is revoked) and TypeCRLAnn (a CRL is made).
	What []cmp.BodyType
}

func hashOf(der []byte) []byte {
	sum := sha256.Sum256(der)
	return sum[:]
}

// announced tells whether a body is of a kind that is announced.
func announced(b cmp.BodyType) bool {
	return b == cmp.TypeCKUAnn || b == cmp.TypeCAnn || b == cmp.TypeRAnn || b == cmp.TypeCRLAnn
}

func (c *Config) checkAnnouncements(fail func(string, ...any)) {
	for i, a := range c.Announcements {
		if _, ok := c.Policies[a.Channel]; !ok {
			fail("announcement %d: channel %q has no policy", i, a.Channel)
		}
		if len(a.What) == 0 {
			fail("announcement %d: nothing is to be announced", i)
		}
		for _, b := range a.What {
			if !announced(b) {
				fail("announcement %d: %s messages are no announcements", i, b)
			}
		}
	}
}

func (e *Engine) tells(body cmp.BodyType) bool {
	return slices.ContainsFunc(e.cfg.Announcements, func(a Announcement) bool { return slices.Contains(a.What, body) })
}

// announce makes one message for each subscriber, signed as answers are. Each
// is a transaction of its own.
func (e *Engine) announce(now time.Time, body cmp.Body, pvno int, name string) (out []Outgoing, err error) {
	for _, a := range e.cfg.Announcements {
		if !slices.Contains(a.What, body.Type()) {
			continue
		}
		random := make([]byte, 2*nonceSize)
		if _, err := io.ReadFull(e.cfg.Random, random); err != nil {
			return nil, fmt.Errorf("nonce: %w", err)
		}
		h := cmp.PKIHeader{
			PVNO: pvno, Sender: e.sender, Recipient: pkix.NewDirectoryName(pkix.EmptyName), MessageTime: now,
			SenderKID: e.senderKID, TransactionID: random[:nonceSize], SenderNonce: random[nonceSize:],
		}
		extra := e.protChain
		if e.cfg.Policies[a.Channel].OmitRoot {
			extra = e.protCut
		}
		der, err := cmp.Seal(&h, body, extra, cmp.SignatureProtector(e.cfg.Random, e.cfg.Authority.Signer, e.sigAlg))
		if err != nil {
			return nil, fmt.Errorf("build the announcement %s: %w", name, err)
		}
		out = append(out, Outgoing{Channel: a.Channel, Name: a.Prefix + name + ".pki", DER: der})
	}
	return out, nil
}

// announceChanges adds to an outcome what it gives reason to announce:
// certificates that become valid and those that are revoked. One that waits for
// its certConf is not announced before.
func (e *Engine) announceChanges(ctx context.Context, v View, out *Outcome) error {
	cann, rann := e.tells(cmp.TypeCAnn), e.tells(cmp.TypeRAnn)
	if !cann && !rann {
		return nil
	}
	now := e.cfg.Clock()
	var all []Outgoing
	add := func(body cmp.Body, name string, serial []byte) error {
		o, err := e.announce(now, body, 2, name+hex.EncodeToString(serial))
		all = append(all, o...)
		return err
	}
	for o := range out.All() {
		for _, c := range o.Certificates {
			if cann && c.Status == Valid {
				if err := add(&cmp.CertAnn{Certificate: c.DER}, "cert-", c.Serial); err != nil {
					return err
				}
			}
		}
		for i := range o.CertChanges {
			c := &o.CertChanges[i]
			switch {
			case rann && c.Status == Revoked:
				if err := add(e.revocationNotice(c), "revoked-", c.Serial); err != nil {
					return err
				}
			case cann && c.Status == Valid:
				cert, err := v.Certificate(ctx, c.Serial)
				if err != nil {
					return err
				}
				// From Revoked it comes off hold, and is known already.
				if cert != nil && cert.Status == Unconfirmed {
					if err := add(&cmp.CertAnn{Certificate: cert.DER}, "cert-", c.Serial); err != nil {
						return err
					}
				}
			}
		}
	}
	out.Outgoing = append(out.Outgoing, all...)
	return nil
}

func (e *Engine) revocationNotice(c *CertificateChange) *cmp.RevAnn {
	b := &cmp.RevAnn{
		Status:          cmp.RevocationNotification,
		CertID:          crmf.CertID{Issuer: pkix.NewDirectoryName(e.caName), SerialNumber: new(big.Int).SetBytes(c.Serial)},
		WillBeRevokedAt: c.RevokedAt.Truncate(time.Second), BadSince: c.RevokedAt.Truncate(time.Second),
	}
	if !c.InvalidityDate.IsZero() {
		b.BadSince = c.InvalidityDate
	}
	if c.Reason != 0 {
		b.CRLDetails = []pkix.Extension{pkix.ReasonCodeExtension(pkix.CRLReason(c.Reason))}
	}
	return b
}

// AnnounceRoot gives the outcome that announces a change of the root's key,
// by its number in Authority.RootUpdates: in the form of RFC 9810 and, where
// both links are there, in that of RFC 4210 too. It is nil where nobody is to
// be told.
func (e *Engine) AnnounceRoot(update int) (*Outcome, error) {
	if update < 0 || update >= len(e.cfg.Authority.RootUpdates) {
		return nil, fmt.Errorf("there is no root update %d", update)
	}
	u := &e.cfg.Authority.RootUpdates[update]
	now := e.cfg.Clock()
	name := "root-" + hex.EncodeToString(hashOf(u.New)[:8])
	body := u.announcement()
	list, err := e.announce(now, &body, 3, name)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if u.NewWithOld != nil && u.OldWithNew != nil {
		old := body
		old.RootForm = false
		more, err := e.announce(now, &old, 2, name+"-rfc4210")
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return &Outcome{Disposition: Silent, Outgoing: list, Audit: []AuditEntry{{Time: now, Event: "announced", Detail: name}}}, nil
}

// announcement takes a message that nobody asked for: it must be signed by a CA
// that some rule names or that is certified by one. It is written down and not
// answered; what cannot be verified is set aside.
func (x *exchange) announcement() error {
	err := x.checkHeader()
	if err == nil && x.req.parseErr != nil {
		err = refuse(cmp.BadDataFormat, "the message could not be read").because("%v", x.req.parseErr)
	}
	if err == nil && cmp.ProtectionKind(x.msg.Header.ProtectionAlg) != cmp.ProtectionSignature {
		err = refuse(cmp.WrongIntegrity, "an announcement must be signed")
	}
	if err == nil {
		err = x.authenticate()
	}
	if err == nil && !x.authoritySigned() {
		err = refuse(cmp.SignerNotTrusted, "the certificate that signs is not of a certification authority")
	}
	if f, ok := asFailure(err); ok {
		x.out = &Outcome{Disposition: Failed, Reason: x.msg.BodyType().String() + ": " + f.Error()}
		x.audit("refused", func(a *AuditEntry) { a.Detail = clip(x.out.Reason) })
		return nil
	}
	if err != nil {
		return err
	}
	x.silent(x.msg.BodyType().String() + " of a trusted authority")
	x.audit("announcement", func(a *AuditEntry) { a.Detail = clip(x.describeAnnouncement()) })
	return nil
}

// authoritySigned: any holder of a certificate can sign, but only a CA, or one
// whom a CA made its CMP server, can announce.
func (x *exchange) authoritySigned() bool {
	c := x.who.cert
	if c.BasicConstraintsValid && c.IsCA {
		return true
	}
	for _, u := range c.UnknownExtKeyUsage {
		if o, err := pkix.ParseOID(u.String()); err == nil && o == pkix.OIDCMCCA {
			return true
		}
	}
	// A root of version 1 cannot say that it is a CA; a device that is pinned can
	// say that it is none.
	return c.Version < 3 && slices.ContainsFunc(x.anchors, c.Equal)
}

func (x *exchange) describeAnnouncement() string {
	by := "of " + pkix.Name(x.who.cert.RawSubject).String()
	switch b := x.msg.Body.(type) {
	case *cmp.CRLAnn:
		return fmt.Sprintf("crlann, CRLs: %d, %s", len(b.CRLs), by)
	case *cmp.CertAnn:
		return fmt.Sprintf("cann, certificate with SHA-256 %x, %s", hashOf(b.Certificate), by)
	case *cmp.RevAnn:
		return fmt.Sprintf("rann, serial %x, %s", b.CertID.SerialNumber, by)
	case *cmp.CAKeyUpdAnn:
		return fmt.Sprintf("ckuann, new root with SHA-256 %x, %s", hashOf(b.NewWithNew), by)
	}
	return by
}
