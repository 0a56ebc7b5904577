package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// Accept checks an answer and moves the session on. After an error the session
// is as it was, but for an authenticated [*PeerError], which ends it.
//
// The caller stores the session before it sends Result.Next.
func (s *Session) Accept(answer []byte, c Credentials) (*Result, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(answer)
	if bytes.Equal(sum[:], s.LastAnswer) {
		return nil, ErrRepeated
	}
	if !s.Waiting() {
		return nil, ErrFinished
	}
	if err := s.use(&c); err != nil {
		return nil, err
	}
	limits := cmp.Limits{}
	if s.Kind == kindNested {
		limits = nestedLimits
	}
	m, err := cmp.Parse(answer, limits)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	t := s.clone()
	t.LastAnswer = sum[:]
	r, err := t.accept(m, &c)
	if pe := (*PeerError)(nil); err == nil || errors.As(err, &pe) && t.Step == StepFailed {
		*s = *t
	}
	return r, err
}

// accept works on a copy of the session.
func (s *Session) accept(m *cmp.PKIMessage, c *Credentials) (*Result, error) {
	if s.Kind == kindNested && len(s.Nested) == 1 && !s.forUs(m) {
		return s.addedProtection(m)
	}
	if err := s.checkHeader(m, c); err != nil {
		return nil, unbelieved(m, err)
	}
	signer, err := s.authenticate(m, c)
	if err != nil {
		_, isError := m.Body.(*cmp.ErrorMsg)
		if isError && c.Trust.UnprotectedErrors && errors.Is(err, cmp.ErrUnprotected) {
			s.Step = StepFailed
		}
		return nil, unbelieved(m, err)
	}
	s.PeerNonce = slices.Clone(Octets(m.Header.SenderNonce))
	r := &Result{Kind: m.Body.Type(), ExtraCerts: m.ExtraCerts}
	if signer != nil {
		r.Signer = signer.Raw
	}
	s.passphraseAnswered(m, r)
	switch b := m.Body.(type) {
	case *cmp.ErrorMsg:
		err = s.peerError(m, b, c, r)
	case *cmp.POPODecKeyChallenge:
		err = s.challenges(m, b, c, r)
	case *cmp.CertRepMessage:
		err = s.certificates(m, b, c, r)
	case *cmp.RevRepContent:
		err = s.revoked(b, r)
	case *cmp.GenMsg:
		r.Infos = b.Infos
		if s.Protection.Method == MethodKEMMAC && s.Ciphertext == nil {
			err = s.takeCiphertext(m, c)
		}
		s.Step = StepFinished
	case *cmp.KeyRecRepContent:
		err = s.recovered(m, b, c, r)
	case *cmp.PollRep:
		err = s.poll(b, c, r)
	case *cmp.PKIConf:
		err = s.confirmed(c, r)
	case *cmp.Nested:
		err = s.split(b, r)
	default:
		err = fmt.Errorf("%w: %v", ErrBody, m.Body.Type())
	}
	if err != nil {
		return nil, err
	}
	r.Done = s.Step == StepFinished
	return r, nil
}

// unbelieved wraps the complaint of a message that has not passed.
func unbelieved(m *cmp.PKIMessage, cause error) error {
	e := peerError(m)
	if e == nil {
		return cause
	}
	e.Cause = cause
	return e
}

// checkHeader does what needs no key.
func (s *Session) checkHeader(m *cmp.PKIMessage, c *Credentials) error {
	h := &m.Header
	_, isError := m.Body.(*cmp.ErrorMsg)
	// Some peers complain about everything in version 1.
	if h.PVNO != 2 && h.PVNO != 3 && !(isError && h.PVNO == 1) {
		return fmt.Errorf("%w: %d", ErrVersion, h.PVNO)
	}
	if !s.fits(m.Body.Type()) {
		return fmt.Errorf("%w: %v in answer to %s at step %q", ErrBody, m.Body.Type(), s.Kind, s.Step)
	}
	if !bytes.Equal(h.TransactionID, s.TransactionID) {
		return fmt.Errorf("%w: %.32x", ErrTransaction, h.TransactionID)
	}
	if err := s.checkNonces(m); err != nil {
		return err
	}
	if !sameName(h.Recipient, pkix.GeneralName(s.Sender)) {
		return fmt.Errorf("%w: %.200q", ErrRecipient, h.Recipient.String())
	}
	if s.ExpectSender != nil {
		if n, ok := h.Sender.DirectoryName(); !ok || !n.Matches(pkix.Name(s.ExpectSender)) {
			return fmt.Errorf("%w: %.200q", ErrSender, h.Sender.String())
		}
	}
	if w := c.Trust.Window; w != 0 {
		if d := c.Now.Sub(h.MessageTime); h.MessageTime.IsZero() || d > w || d < -w {
			return fmt.Errorf("%w: %s", ErrTime, h.MessageTime.Format(time.RFC3339))
		}
	}
	return nil
}

// fits tells whether a body may come at this step.
func (s *Session) fits(t cmp.BodyType) bool {
	if t == cmp.TypeError {
		return true
	}
	switch s.Step {
	case StepAnswer:
		return t == s.answerType() || t == cmp.TypePOPDecC && slices.ContainsFunc(s.Items, func(it Item) bool { return it.Challenge })
	case StepProof:
		return t == s.answerType()
	case StepPoll:
		return t == cmp.TypePollRep || t == s.answerType()
	case StepConfirm:
		return t == cmp.TypePKIConf
	}
	return false
}

// checkNonces holds recipNonce against our last senderNonce. After polling the
// final answer may have that of the request instead: RFC 9483 section 4.4 and
// OpenSSL differ.
func (s *Session) checkNonces(m *cmp.PKIMessage) error {
	h := &m.Header
	final := s.Step == StepPoll && m.Body.Type() != cmp.TypePollRep
	switch {
	case bytes.Equal(h.RecipNonce, s.Nonce):
	case final && bytes.Equal(h.RecipNonce, s.FirstNonce):
	case len(h.RecipNonce) == 0:
		return fmt.Errorf("%w: recipNonce is missing", ErrNonce)
	default:
		return fmt.Errorf("%w: recipNonce is not our senderNonce", ErrNonce)
	}
	switch {
	case len(h.SenderNonce) < nonceSize:
		return fmt.Errorf("%w: senderNonce has %d octets, at least %d are needed", ErrNonce, len(h.SenderNonce), nonceSize)
	case bytes.Equal(h.SenderNonce, s.PeerNonce):
		// An old answer that fits again, as one with the first nonce could.
		return fmt.Errorf("%w: senderNonce is that of the answer before", ErrNonce)
	}
	return nil
}

// sameName compares byte for byte or, for directory names, as names.
func sameName(a, b pkix.GeneralName) bool {
	if a.Equal(b) {
		return true
	}
	x, okX := a.DirectoryName()
	y, okY := b.DirectoryName()
	return okX && okY && x.Matches(y)
}

// peerError ends the session, or has it wait (RFC 9483 section 4.4).
func (s *Session) peerError(m *cmp.PKIMessage, b *cmp.ErrorMsg, c *Credentials, r *Result) error {
	if b.Status.Status == cmp.Waiting && (s.Step == StepAnswer || s.Step == StepProof) {
		r.Waiting = &Waiting{Reason: b.Status.StatusString}
		s.Whole = true
		for i := range s.Items {
			s.Items[i].State = ItemWaiting
		}
		return s.sendPoll(c, r)
	}
	e := peerError(m)
	e.Authenticated = true
	s.Step = StepFailed
	return e
}

// sendPoll makes the next pollReq.
func (s *Session) sendPoll(c *Credentials, r *Result) error {
	b := &cmp.PollReq{}
	if s.Whole {
		b.CertReqIDs = append(b.CertReqIDs, big.NewInt(-1))
	} else {
		for i := range s.Items {
			if s.Items[i].State == ItemWaiting {
				b.CertReqIDs = append(b.CertReqIDs, big.NewInt(s.Items[i].CertReqID))
			}
		}
	}
	s.Step = StepPoll
	return s.next(c, b, s.PVNO, r)
}

func (s *Session) next(c *Credentials, b cmp.Body, pvno int, r *Result) (err error) {
	r.NextKind = b.Type()
	r.Next, err = s.send(c, b, nil, nil, pvno)
	return err
}

// maxCheckAfter bounds what a peer may ask us to wait.
const maxCheckAfter = 10 * 365 * 24 * time.Hour

// poll reads a pollRep (RFC 9810 section 5.3.22). Of several certificates the
// one that is ready first counts.
func (s *Session) poll(b *cmp.PollRep, c *Credentials, r *Result) error {
	r.Waiting = &Waiting{}
	index := s.index()
	for i, p := range b.Items {
		switch {
		case s.Whole && p.CertReqID.IsInt64() && p.CertReqID.Int64() == -1:
		default:
			if it := index.find(p.CertReqID); it == nil || it.State != ItemWaiting {
				return fmt.Errorf("%w: pollRep for %s, which does not wait", ErrCertReqID, number(p.CertReqID))
			}
		}
		after := maxCheckAfter
		if p.CheckAfter < int64(maxCheckAfter/time.Second) {
			after = time.Duration(max(p.CheckAfter, 0)) * time.Second
		}
		if i == 0 || after < r.Waiting.CheckAfter {
			r.Waiting.CheckAfter = after
		}
		r.Waiting.Reason = append(r.Waiting.Reason, p.Reason...)
	}
	return s.sendPoll(c, r)
}

// revoked reads an rp, which answers every request in its order (RFC 9810
// section 5.3.10).
func (s *Session) revoked(b *cmp.RevRepContent, r *Result) error {
	if len(b.Status) != len(s.Revocations) {
		return fmt.Errorf("%w: rp has %d statuses for %d revocations", ErrBody, len(b.Status), len(s.Revocations))
	}
	if n := len(b.RevCerts); n != 0 && n != len(s.Revocations) {
		return fmt.Errorf("%w: rp names %d certificates for %d revocations", ErrBody, n, len(s.Revocations))
	}
	for i, q := range s.Revocations {
		serial, ok := new(big.Int).SetString(q.Serial, 10)
		if !ok {
			return fmt.Errorf("%w: serial number %.40q", ErrSession, q.Serial)
		}
		if len(b.RevCerts) > 0 {
			id := b.RevCerts[i]
			if id.SerialNumber.Cmp(serial) != 0 || !sameName(id.Issuer, pkix.NewDirectoryName(pkix.Name(q.Issuer))) {
				return fmt.Errorf("%w: rp names another certificate than revocation %d", ErrBody, i)
			}
		}
		r.Revocations = append(r.Revocations, RevocationResult{Issuer: q.Issuer, Serial: serial, Status: b.Status[i]})
	}
	r.CRLs = b.CRLs
	s.Step = StepFinished
	return nil
}
