package cmpcore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/issuance"
	"cmp-batch/cmpcore/pkix"
)

// certItem is one certificate that a message asks for, on its way to an answer.
type certItem struct {
	id        *big.Int
	req       *crmf.CertReqMsg // nil with p10cr
	ask       issuance.Request
	profile   string
	mods      []string
	prepared  *issuance.Prepared
	serial    []byte             // nil until it is drawn
	lint      string             // findings that do not refuse it
	central   bool               // the key is to be made here
	private   crypto.PrivateKey  // it was, and is on its way to the requester
	keyTo     *keyRecipient      // encrypted to this
	encrypt   crypto.PublicKey   // the certificate goes out encrypted to this, its own key
	challenge crypto.PublicKey   // possession of it is to be proven by a response
	popUse    int                // of what kind the proof is, where it is none by signature
	revealed  bool               // the proof is the private key itself
	envelope  *crmf.EncryptedKey // has the private key to archive
	archive   crypto.PrivateKey  // it, opened
	keep      bool               // the key made here is to be archived
	token     *Secret            // registered for whom the request is
	fail      *failure           // set: refused
}

// enrol answers ir, cr, kur, p10cr and ccr.
func (x *exchange) enrol() error {
	if err := x.checkFirst(); err != nil {
		return err
	}
	if b, ok := x.msg.Body.(*cmp.CertReqMessages); ok && b.Kind == cmp.TypeCCR {
		if err := x.checkCrossMessage(b); err != nil {
			return err
		}
	}
	rule, err := x.rule(x.msg.Body.Type())
	if err != nil {
		return err
	}
	return x.certify(rule, x.msg)
}

// certify judges every request of orig and issues, or asks a person, or says
// what that person said. orig is x.msg itself unless x.msg is a pollReq.
func (x *exchange) certify(rule *Rule, orig *cmp.PKIMessage) error {
	items, err := x.readItems(orig)
	if err != nil {
		return err
	}
	if err := x.useProof(); err != nil {
		return err
	}
	decision := Undecided
	if x.tx != nil {
		decision = x.tx.Decision
	}
	approval := rule.needsApproval(orig.Body.Type())
	x.sample = decision == Rejected || approval && decision == Undecided || x.usedUp()
	good := 0
	for i := range items {
		err := x.judge(rule, orig, &items[i])
		if err == nil {
			good++
			continue
		}
		f, ok := asFailure(err)
		if !ok {
			return err
		}
		f.rule = rule.Name
		items[i].fail = f
	}
	if decision == Rejected {
		for i := range items {
			if items[i].fail == nil {
				items[i].fail = x.rejectedByPerson()
			}
		}
		good = 0
	}
	if slices.ContainsFunc(items, func(it certItem) bool { return it.fail == nil && it.challenge != nil }) && !x.usedUp() {
		return x.sendChallenges(orig, items)
	}
	if approval && decision == Undecided && good > 0 && !x.usedUp() {
		return x.waitForPerson(rule, orig, items)
	}
	if err := x.countUses(items, int64(good)); err != nil {
		return err
	}
	x.countTokens(items)
	return x.answerItems(rule, orig, items)
}

// usedUp tells whether the shared secret can bring no certificate any more:
// then no person need be asked.
func (x *exchange) usedUp() bool {
	s := x.who.secret
	return s != nil && s.MaxUses > 0 && s.Used >= s.MaxUses
}

// countUses applies the limit of a shared secret to the certificates of this
// message together.
func (x *exchange) countUses(items []certItem, good int64) error {
	s := x.who.secret
	if s == nil || good == 0 {
		return nil
	}
	left := good
	if s.MaxUses > 0 {
		left = min(good, max(0, s.MaxUses-s.Used))
	}
	n := left
	for i := range items {
		if items[i].fail != nil {
			continue
		}
		if left == 0 {
			items[i].fail = refuse(cmp.NotAuthorized, "the shared secret is used up").
				because("reference %q has brought %d of %d certificates", s.Ref, s.Used, s.MaxUses)
			continue
		}
		left--
	}
	if n > 0 {
		x.out.SecretUses = append(x.out.SecretUses, SecretUse{Ref: s.Ref, N: n})
	}
	return nil
}

// readItems brings the two kinds of request into one form and checks what
// concerns the message as a whole.
func (x *exchange) readItems(orig *cmp.PKIMessage) ([]certItem, error) {
	if b, ok := orig.Body.(*cmp.P10CR); ok {
		exts, err := b.Request.RequestedExtensions()
		if err != nil {
			return nil, refuse(cmp.BadDataFormat, "the requested extensions could not be read").because("%v", err)
		}
		return []certItem{{
			id: big.NewInt(-1), // RFC 9810 section 5.3.4
			ask: issuance.Request{
				Subject: b.Request.Subject, PublicKey: b.Request.PublicKey, Extensions: exts,
			},
		}}, nil
	}
	b, ok := orig.Body.(*cmp.CertReqMessages)
	if !ok {
		return nil, fmt.Errorf("a %s message asks for no certificates", orig.Body.Type())
	}
	switch n := len(b.Requests); {
	case n == 0:
		return nil, refuse(cmp.BadRequest, "the message has no requests")
	case n > x.policy.maxRequests():
		return nil, refuse(cmp.BadRequest, "the message has too many requests").because("%d", n)
	case x.policy.Lightweight && n != 1:
		return nil, refuse(cmp.BadRequest, "the message must have exactly one request")
	}
	items := make([]certItem, len(b.Requests))
	seen := make(map[int64]bool, len(b.Requests))
	for i := range b.Requests {
		r := &b.Requests[i]
		id := r.CertReq.CertReqID
		if !id.IsInt64() || id.Sign() < 0 {
			return nil, refuse(cmp.BadRequest, "certReqId is out of range")
		}
		if x.policy.Lightweight && id.Sign() != 0 {
			return nil, refuse(cmp.BadRequest, "certReqId must be 0")
		}
		if seen[id.Int64()] {
			return nil, refuse(cmp.BadRequest, "two requests have the same certReqId")
		}
		seen[id.Int64()] = true
		t := &r.CertReq.Template
		items[i] = certItem{id: id, req: r, ask: issuance.Request{
			Subject: t.Subject, PublicKey: t.PublicKey, Extensions: t.Extensions, Validity: t.Validity,
		}, central: len(t.PublicKey.KeyBits()) == 0}
	}
	return items, nil
}

// judge decides about one request, short of issuing.
func (x *exchange) judge(rule *Rule, orig *cmp.PKIMessage, it *certItem) error {
	if it.req != nil {
		if err := x.checkTemplate(orig.Body.Type(), &it.req.CertReq.Template); err != nil {
			return err
		}
		if err := x.checkControls(orig.Header.PVNO, rule, it); err != nil {
			return err
		}
		if err := x.checkToken(rule, orig.Body.Type(), it); err != nil {
			return err
		}
	}
	if orig.Body.Type() == cmp.TypeCCR {
		if err := x.checkCrossRequest(it); err != nil {
			return err
		}
	}
	var old *Certificate
	if orig.Body.Type() == cmp.TypeKUR {
		var err error
		if old, err = x.oldCertificate(rule, it); err != nil {
			return err
		}
		if err := x.inherit(rule, it, old); err != nil {
			return err
		}
	}
	check := x.checkPOP
	if it.central {
		check = x.checkCentralKey
	}
	if err := check(rule, orig, it); err != nil {
		return err
	}
	if orig.Body.Type() != cmp.TypeKUR {
		if err := x.namesAllowed(rule, it.ask.Subject, it.ask.Extensions); err != nil {
			return err
		}
	} else if rule.Names != nil && !rule.Names(it.ask.Subject) {
		return refuse(cmp.NotAuthorized, "this requester may not have a certificate of this name")
	}
	profile, err := x.chooseProfile(rule, orig, it, old)
	if err != nil {
		return err
	}
	it.profile = profile
	if it.central {
		if err := x.makeKey(rule, it); err != nil {
			return err
		}
	}
	it.prepared, err = x.cfg.Profiles[profile].Prepare(it.ask, x.cfg.Authority.Issuer, x.now)
	if err != nil {
		return fromRefusal(err)
	}
	if err := it.checkPOPUsage(); err != nil {
		return err
	}
	if err := x.openArchived(rule, it); err != nil {
		return err
	}
	it.mods = append(it.mods, it.prepared.Mods...)
	return x.lint(it)
}

// checkTemplate: fields that RFC 4211 section 5 leaves to the CA.
func (x *exchange) checkTemplate(kind cmp.BodyType, t *crmf.CertTemplate) error {
	switch {
	case t.Version != nil && *t.Version != 2:
		return refuse(cmp.BadCertTemplate, "the template's version must be v3 or absent")
	case t.SerialNumber != nil:
		return refuse(cmp.BadCertTemplate, "the template must not have a serial number")
	case t.IssuerUID != nil || t.SubjectUID != nil:
		return refuse(cmp.BadCertTemplate, "the template must not have unique identifiers")
	case len(t.Issuer) != 0 && !t.Issuer.IsEmpty() && !t.Issuer.Matches(x.caName) && !x.issuerOfSigner(t.Issuer):
		return refuse(cmp.BadCertTemplate, "the template names another issuer")
	}
	return x.checkSigningAlg(kind, t)
}

// issuerOfSigner tells whether a template's issuer only repeats that of the
// certificate that signs, which is tolerated.
func (x *exchange) issuerOfSigner(issuer pkix.Name) bool {
	return x.who.cert != nil && x.policy.tolerates("signer-issuer") && issuer.Matches(pkix.Name(x.who.cert.RawIssuer))
}

// checkControls refuses controls that ask for what is not done here: to obey
// them silently or to drop them silently would both deceive.
func (x *exchange) checkControls(pvno int, rule *Rule, it *certItem) error {
	if err := checkControlsOnce(it.req.CertReq.Controls); err != nil {
		return err
	}
	for _, c := range it.req.CertReq.Controls {
		switch c.Type {
		case crmf.OIDOldCertID, crmf.OIDRegToken, crmf.OIDAuthenticator, crmf.OIDProtocolEncrKey:
		case crmf.OIDPKIPublicationInfo:
			info, err := c.PKIPublicationInfo()
			if err != nil {
				return refuse(cmp.BadDataFormat, "pkiPublicationInfo could not be read")
			}
			if info.Action != 0 {
				it.mods = append(it.mods, "the certificate is not published")
			}
		case crmf.OIDAlgID, crmf.OIDRSAKeyLen:
			if !it.central {
				return refuse(cmp.BadRequest, "algId and rsaKeyLen are for requests without a public key")
			}
		case crmf.OIDPKIArchiveOptions:
			if err := x.checkArchiveOptions(pvno, rule, it, c); err != nil {
				return err
			}
		default:
			return refuse(cmp.BadRequest, "a control of the request is not known here").because("%s", c.Type)
		}
	}
	return nil
}

// checkControlsOnce: of two controls that say different things neither can be
// obeyed.
func checkControlsOnce(controls []crmf.Attribute) error {
	seen := make(map[pkix.OID]bool, len(controls))
	for _, c := range controls {
		if seen[c.Type] {
			return refuse(cmp.BadRequest, "the request has a control twice").because("%s", c.Type)
		}
		seen[c.Type] = true
	}
	return nil
}

// maxPOPMACs bounds the publicKeyMACs of one message: each costs the derivation
// of a key with as many iterations as the policy accepts. Password-based MACs of
// agreeMAC count too.
const maxPOPMACs = 10

// checkPOP checks proof of possession (RFC 9810 section 5.2.8, RFC 4211 section 4).
func (x *exchange) checkPOP(rule *Rule, orig *cmp.PKIMessage, it *certItem) error {
	pub, err := alg.ParsePublicKey(it.ask.PublicKey)
	switch {
	case errors.Is(err, alg.ErrUnsupported):
		return refuse(cmp.BadAlg, "keys of this type are not supported").because("%v", err)
	case err != nil:
		return refuse(cmp.BadCertTemplate, "the public key is not accepted").because("%v", err)
	}
	if kt := alg.KeyType(pub); len(rule.KeyTypes) > 0 && !slices.Contains(rule.KeyTypes, kt) {
		return refuse(cmp.BadCertTemplate, "this type of key is not accepted from this requester").because("%s under rule %s", kt, rule.Name)
	}
	if it.req == nil {
		return x.checkPKCS10Proof(rule, it, pub, orig.Body.(*cmp.P10CR))
	}
	switch p := it.req.POPO.(type) {
	case nil:
		return refuse(cmp.BadPOP, "proof of possession is missing")
	case crmf.RAVerified:
		if !rule.RAVerified && !x.vouched {
			return refuse(cmp.BadPOP, "raVerified is not accepted from this requester").because("rule %s", rule.Name)
		}
		return nil
	case *crmf.POPOSigningKey:
		if p.Input != nil && p.Input.PublicKeyMAC != nil {
			if x.who.secret == nil {
				return refuse(cmp.BadPOP, "publicKeyMAC needs a shared secret")
			}
			if !x.spend(costPOPMAC, maxPOPMACs) {
				return refuse(cmp.BadPOP, "the message has too many publicKeyMACs")
			}
			if err := crmf.VerifyPublicKeyMAC(p.Input.PublicKeyMAC, p.Input.PublicKey, x.who.secretValue, x.policy.MAC); err != nil {
				if f := macFailure(err); f.info != cmp.BadPOP {
					return f
				}
				return refuse(cmp.BadPOP, "publicKeyMAC does not verify").because("%v", err)
			}
		}
		if p.Input != nil && p.Input.Sender != nil && !bytes.Equal(p.Input.Sender, orig.Header.Sender) {
			return refuse(cmp.BadPOP, "the sender in poposkInput is not the sender of the message")
		}
		return x.checkSignedProof(rule, it, pub, p)
	case *crmf.POPOPrivKey:
		return x.checkDecryptionKey(orig, it, rule, pub, p)
	default:
		return refuse(cmp.BadPOP, "this form of proof of possession is not served here")
	}
}

func popFailure(err error) *failure {
	switch {
	case errors.Is(err, alg.ErrUnsupported), errors.Is(err, alg.ErrForbidden), errors.Is(err, alg.ErrParameters):
		return refuse(cmp.BadAlg, "the algorithm of the proof of possession is not accepted").because("%v", err)
	default:
		return refuse(cmp.BadPOP, "the proof of possession does not verify").because("%v", err)
	}
}

// macFailure is popFailure for a MAC, whose parameters say what it costs.
func macFailure(err error) *failure {
	if errors.Is(err, alg.ErrParameters) {
		return refuse(cmp.BadAlg, "the algorithm of the proof of possession is malformed").because("%v", err)
	}
	return popFailure(err)
}

// oldCertificate finds the certificate that a kur updates (RFC 9810 section
// 5.3.5): that of control oldCertID, else the one that signs.
func (x *exchange) oldCertificate(rule *Rule, it *certItem) (*Certificate, error) {
	signer := x.who.issued
	old := signer
	for _, c := range it.req.CertReq.Controls {
		if c.Type != crmf.OIDOldCertID {
			continue
		}
		id, err := c.OldCertID()
		if err != nil {
			return nil, refuse(cmp.BadDataFormat, "oldCertID could not be read")
		}
		name, ok := id.Issuer.DirectoryName()
		if !ok || !name.Matches(x.caName) || id.SerialNumber.Sign() <= 0 {
			return nil, refuse(cmp.BadCertID, "oldCertID names no certificate of this CA")
		}
		if old, err = x.view.Certificate(x.ctx, id.SerialNumber.Bytes()); err != nil {
			return nil, err
		}
		if old == nil {
			return nil, refuse(cmp.BadCertID, "oldCertID names no certificate of this CA")
		}
	}
	if old == nil {
		return nil, refuse(cmp.BadCertID, "the certificate to update is not known: neither oldCertID nor the signer names it")
	}
	own := signer != nil && bytes.Equal(signer.Serial, old.Serial)
	if !own && !rule.UpdateAny && old.Requester != x.who.identity {
		return nil, refuse(cmp.BadCertID, "oldCertID is not the certificate that signs")
	}
	if old.Status == Revoked || old.Status == RejectedByHolder {
		return nil, refuse(cmp.CertRevoked, "the certificate to update is revoked")
	}
	x.out.Relied = append(x.out.Relied, Reliance{CertificateSerial: old.Serial, Version: old.Version})
	return old, nil
}

// inherit fills what a kur leaves out from the old certificate and compares
// what it gives.
func (x *exchange) inherit(rule *Rule, it *certItem, old *Certificate) error {
	cert, err := x509.ParseCertificate(old.DER)
	if err != nil {
		return fmt.Errorf("certificate %x in the store: %w", old.Serial, err)
	}
	if !rule.SameKey && bytes.Equal(cert.RawSubjectPublicKeyInfo, it.ask.PublicKey) {
		return refuse(cmp.BadCertTemplate, "the new certificate must have a new key")
	}
	if it.ask.Subject.IsEmpty() {
		it.ask.Subject = old.Subject
	} else if !rule.ChangeNames && !it.ask.Subject.Matches(old.Subject) {
		return refuse(cmp.BadCertTemplate, "an update must keep the subject")
	}
	oldSAN := ownSAN(cert)
	san, asked := pkix.FindExtension(it.ask.Extensions, pkix.OIDSubjectAltName)
	switch {
	case !asked && oldSAN != nil:
		it.ask.Extensions = append(slices.Clone(it.ask.Extensions), pkix.Extension{
			ID: pkix.OIDSubjectAltName, Value: oldSAN, Critical: it.ask.Subject.IsEmpty(),
		})
	case asked && !rule.ChangeNames && !bytes.Equal(san.Value, oldSAN):
		return refuse(cmp.BadCertTemplate, "an update must keep the subjectAltName")
	}
	return nil
}

func ownSAN(cert *x509.Certificate) []byte {
	for _, e := range cert.Extensions {
		if e.Id.String() == pkix.OIDSubjectAltName.String() {
			return e.Value
		}
	}
	return nil
}

// chooseProfile: the names of certProfile belong to the requests in their
// order; an empty one, and one that is not there, says nothing (RFC 9810
// section 5.1.1.4). Without a name an update keeps the old profile, and
// everything else takes the rule's first.
func (x *exchange) chooseProfile(rule *Rule, orig *cmp.PKIMessage, it *certItem, old *Certificate) (string, error) {
	var names []string
	if info, ok := cmp.FindInfo(orig.Header.GeneralInfo, cmp.OIDCertProfile); ok {
		var err error
		if names, err = info.CertProfile(); err != nil {
			return "", refuse(cmp.BadDataFormat, "certProfile could not be read").because("%v", err)
		}
	}
	name := ""
	if b, ok := orig.Body.(*cmp.CertReqMessages); !ok && len(names) > 1 || ok && len(names) > len(b.Requests) {
		return "", refuse(cmp.BadRequest, "certProfile has more names than the message has requests")
	} else if !ok && len(names) == 1 {
		name = names[0]
	} else {
		for i := range names {
			if &b.Requests[i] == it.req {
				name = names[i]
			}
		}
	}
	if name == "" {
		if old != nil && slices.Contains(rule.Profiles, old.Profile) {
			return old.Profile, nil
		}
		return rule.Profiles[0], nil
	}
	if !slices.Contains(rule.Profiles, name) {
		return "", refuse(cmp.UnacceptedPolicy, "this certProfile is not offered to this requester").because("%.64q under rule %s", name, rule.Name)
	}
	return name, nil
}

// fromRefusal gives a profile's refusal its failure bit.
func fromRefusal(err error) error {
	var r *issuance.Refusal
	if !errors.As(err, &r) {
		return err
	}
	info := cmp.BadCertTemplate
	switch r.Kind {
	case issuance.UnacceptedExtension:
		info = cmp.UnacceptedExtension
	case issuance.BadAlg:
		info = cmp.BadAlg
	case issuance.IssuerUnable:
		info = cmp.SystemUnavail
	case issuance.NotAuthorized:
		info = cmp.NotAuthorized
	}
	f := refuse(info, r.Public)
	if r.Detail != "" {
		f.because("%s", r.Detail)
	}
	return f
}

// answerItems issues what was granted and builds ip, cp or kup.
func (x *exchange) answerItems(rule *Rule, orig *cmp.PKIMessage, items []certItem) error {
	kind := orig.Body.Type()
	body := &cmp.CertRepMessage{Kind: responseKind(kind), Responses: make([]cmp.CertResponse, 0, len(items))}
	// Without certConf an encrypted certificate would be proof of nothing.
	implicit := x.policy.ImplicitConfirm && asksImplicitConfirm(&orig.Header) &&
		!slices.ContainsFunc(items, func(it certItem) bool { return it.fail == nil && it.encrypt != nil })
	t := x.newTransaction(orig)
	t.Items = t.Items[:0]
	granted, reasons := 0, []string(nil)
	for i := range items {
		it := &items[i]
		res := cmp.CertResponse{CertReqID: it.id}
		item := TransactionItem{CertReqID: it.id.Int64()}
		if it.fail != nil {
			res.Status = it.fail.statusInfo()
			reasons = append(reasons, it.fail.Error())
			x.audit("refused", func(a *AuditEntry) { a.Rule = rule.Name; a.Detail = clip(it.fail.Error()) })
		} else {
			cert, err := x.issue(rule, it, t, implicit)
			if err != nil {
				return err
			}
			granted++
			item.Serial = cert.Serial
			item.Confirmed = implicit
			res.CertifiedKeyPair = &cmp.CertifiedKeyPair{Certificate: cert.DER}
			if it.encrypt != nil {
				item.Unproven = true
				res.CertifiedKeyPair = &cmp.CertifiedKeyPair{}
				if res.CertifiedKeyPair.EncryptedCert, err = x.encryptCertificate(it, cert); err != nil {
					return err
				}
			}
			if it.private != nil {
				if res.CertifiedKeyPair.PrivateKey, err = x.sendKey(it.private, it.keyTo); err != nil {
					return err
				}
			}
			if len(it.mods) > 0 {
				res.Status = cmp.PKIStatusInfo{Status: cmp.GrantedWithMods, StatusString: []string{clip(strings.Join(it.mods, "; "))}}
			}
		}
		body.Responses = append(body.Responses, res)
		t.Items = append(t.Items, item)
	}
	o := x.finalOptions(orig, t)
	switch {
	case granted == 0:
		x.out.Disposition = Refused
		x.out.Reason = clip(strings.Join(reasons, "; "))
		t.endWaiting(Aborted)
	case implicit:
		x.out.Disposition = Answered
		t.endWaiting(Finished)
		o.info = []cmp.InfoTypeAndValue{cmp.NewImplicitConfirm()}
	default:
		x.out.Disposition = Answered
		t.endWaiting(AwaitingConfirm)
		t.Expires = x.now.Add(x.policy.ConfirmWait)
		wait, err := cmp.NewConfirmWaitTime(t.Expires)
		if err != nil {
			return err
		}
		o.info = []cmp.InfoTypeAndValue{wait}
	}
	if granted > 0 && kind == cmp.TypeIR && x.who.secret != nil {
		body.CAPubs = x.roots
	}
	x.out.Transaction = t
	return x.reply(body, o)
}

func (x *exchange) issue(rule *Rule, it *certItem, t *Transaction, implicit bool) (*Certificate, error) {
	serial, err := it.serial, error(nil)
	if serial == nil {
		if serial, err = issuance.NewSerial(x.cfg.Random); err != nil {
			return nil, err
		}
	}
	der, err := x.cfg.Authority.Issuer.Issue(x.cfg.Random, it.prepared, serial)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	c := &Certificate{
		Serial:         serial,
		DER:            der,
		Subject:        it.prepared.Subject,
		KeyID:          [20]byte(it.ask.PublicKey.KeyID()),
		Status:         Unconfirmed,
		NotBefore:      it.prepared.NotBefore,
		NotAfter:       it.prepared.NotAfter,
		Profile:        it.profile,
		Requester:      x.who.identity,
		TransactionKey: t.Key,
		TransactionID:  t.TransactionID,
	}
	if implicit {
		c.Status = Valid
	}
	x.out.Certificates = append(x.out.Certificates, c)
	archived := len(x.out.Archive)
	if it.keep {
		it.archive = it.private
	}
	if it.archive != nil {
		if err := x.keepKey(it.archive, c); err != nil {
			return nil, err
		}
	}
	x.audit("issued", func(a *AuditEntry) {
		a.Serial = fmt.Sprintf("%x", serial)
		a.Rule = rule.Name
		a.Profile = it.profile
		if it.private != nil {
			a.Detail = "the key was made here: " + it.prepared.KeyType + it.keyTo.note
		}
		if it.revealed {
			a.Detail = "the private key was the proof of possession"
		}
		if len(x.out.Archive) > archived {
			a.Detail = strings.TrimPrefix(a.Detail+"; the private key is archived", "; ")
		}
		if it.lint != "" {
			a.Detail = strings.TrimPrefix(a.Detail+"; lint: "+it.lint, "; ")
		}
	})
	return c, nil
}

func responseKind(request cmp.BodyType) cmp.BodyType {
	switch request {
	case cmp.TypeIR:
		return cmp.TypeIP
	case cmp.TypeKUR:
		return cmp.TypeKUP
	case cmp.TypeCCR:
		return cmp.TypeCCP
	default:
		return cmp.TypeCP
	}
}

func asksImplicitConfirm(h *cmp.PKIHeader) bool {
	return slices.ContainsFunc(h.GeneralInfo, func(i cmp.InfoTypeAndValue) bool { return i.Type == cmp.OIDImplicitConfirm })
}
