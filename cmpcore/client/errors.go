package client

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"cmp-batch/cmpcore/cmp"
)

// What can be wrong with an answer. Errors of [Session.Accept] wrap one of
// these, those of packages cmp and alg, or are a [*PeerError].
var (
	// ErrFinished is an answer to a session that expects none any more.
	ErrFinished = errors.New("the transaction has ended")
	// ErrRepeated is an answer that was accepted before: Session.Outgoing is
	// what was to be sent after it.
	ErrRepeated = errors.New("this answer was accepted already")
	// ErrTransaction is another transactionID.
	ErrTransaction = errors.New("the answer belongs to another transaction")
	// ErrNonce is a recipNonce that is not our senderNonce, or a missing or
	// repeated senderNonce.
	ErrNonce = errors.New("the answer has a wrong nonce")
	// ErrRecipient is an answer for somebody else.
	ErrRecipient = errors.New("the answer is for another recipient")
	// ErrSender is an answer by somebody else than expected.
	ErrSender = errors.New("the answer has an unexpected sender")
	// ErrVersion is a pvno that is neither 2 nor 3.
	ErrVersion = errors.New("the answer has an unsupported version")
	// ErrTime is a messageTime outside the window of [Trust].
	ErrTime = errors.New("the answer's time is outside the accepted window")
	// ErrBody is a body that does not fit the step.
	ErrBody = errors.New("the answer does not fit the request")
	// ErrCertReqID is a certReqId that was not asked for, is there twice, or is
	// missing.
	ErrCertReqID = errors.New("the answer's certReqIds are not those of the request")
	// ErrSigner is a signature by somebody who is not trusted to sign answers.
	ErrSigner = errors.New("the answer's signer is not trusted")
	// ErrEncrypted is a certificate that came encrypted without a way to
	// decrypt it.
	ErrEncrypted = errors.New("the certificate is encrypted")
	// ErrCredentials is a set of [Credentials] that cannot do what is asked.
	ErrCredentials = errors.New("the credentials do not fit")
	// ErrOptions is a set of [Options] of which no request can be made.
	ErrOptions = errors.New("the request cannot be made")
	// ErrSession is a session file that no version of this package wrote.
	ErrSession = errors.New("the session is not usable")
	// ErrStep is a call that the session's step does not allow.
	ErrStep = errors.New("not possible at this step")
)

// PeerError is what a peer says went wrong: an error message (RFC 9810 section
// 5.3.21) or, where its protection is bad, an answer that refuses everything.
type PeerError struct {
	// Authenticated tells that the message passed every check. The transaction
	// has then ended. Otherwise anybody may have written the text, Cause says
	// why it is not believed, and the session goes on.
	Authenticated bool
	Cause         error

	Status   cmp.PKIStatus
	FailInfo cmp.PKIFailureInfo
	Text     []string // statusString
	Code     *big.Int // errorCode, nil where absent
	Details  []string // errorDetails
}

// Error quotes the peer's words, capped.
func (e *PeerError) Error() string {
	var b strings.Builder
	b.WriteString("the peer answers with an error: ")
	fmt.Fprintf(&b, "%v", e.Status)
	if e.FailInfo != 0 {
		fmt.Fprintf(&b, " (%v)", e.FailInfo)
	}
	for i, t := range append(append([]string(nil), e.Text...), e.Details...) {
		if i == 4 {
			b.WriteString(" ...")
			break
		}
		fmt.Fprintf(&b, " %.200q", t)
	}
	if e.Code != nil {
		fmt.Fprintf(&b, ", code %s", number(e.Code))
	}
	if !e.Authenticated {
		fmt.Fprintf(&b, "; it is not authenticated: %v", e.Cause)
	}
	return b.String()
}

// Unwrap gives Cause.
func (e *PeerError) Unwrap() error { return e.Cause }

// peerError reads the complaint of a message, nil where it has none.
func peerError(m *cmp.PKIMessage) *PeerError {
	var all []cmp.PKIStatusInfo
	switch b := m.Body.(type) {
	case *cmp.ErrorMsg:
		return &PeerError{Status: b.Status.Status, FailInfo: b.Status.FailInfo, Text: b.Status.StatusString,
			Code: b.ErrorCode, Details: b.ErrorDetails}
	case *cmp.CertRepMessage:
		for i := range b.Responses {
			all = append(all, b.Responses[i].Status)
		}
	case *cmp.RevRepContent:
		all = b.Status
	}
	if len(all) == 0 {
		return nil
	}
	e := &PeerError{Status: cmp.Rejection}
	for _, s := range all {
		if s.Status != cmp.Rejection {
			return nil
		}
		e.FailInfo |= s.FailInfo
		e.Text = append(e.Text, s.StatusString...)
	}
	return e
}

// number writes an INTEGER of a peer, unless it is absurdly long.
func number(n *big.Int) string {
	if n == nil || n.BitLen() > 160 {
		return "?"
	}
	return n.String()
}
