package issuance

import (
	"fmt"
	"strings"
)

// Kind sorts refusals by whose fault it is; the caller maps it to the failure
// bit of its protocol.
type Kind int

// The kinds of refusal.
const (
	BadTemplate         Kind = iota + 1 // subject missing, malformed or against the profile
	BadKey                              // public key unreadable, weak, or the CA's own
	BadAlg                              // key of a type the profile does not allow
	BadExtension                        // a requested extension is malformed or there twice
	UnacceptedExtension                 // a requested extension or value the profile does not grant
	BadValidity                         // requested validity outside the profile or impossible
	NotAuthorized                       // this CA may not issue such a certificate
	IssuerUnable                        // the CA itself is not in a state to issue
)

var kindNames = [...]string{
	BadTemplate: "bad template", BadKey: "bad key", BadAlg: "bad algorithm", BadExtension: "bad extension",
	UnacceptedExtension: "unaccepted extension", BadValidity: "bad validity", NotAuthorized: "not authorized",
	IssuerUnable: "issuer unable",
}

// String names the kind in lower case words.
func (k Kind) String() string {
	if k <= 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// Refusal says why a request got no certificate.
type Refusal struct {
	Kind   Kind
	Public string // for the peer: plain, names no rule
	Detail string // for the log: profile and rule, what was asked for
}

// Error gives the Detail: it is for logs.
func (r *Refusal) Error() string { return r.Detail }

func refuse(k Kind, public, detail string, args ...any) *Refusal {
	return &Refusal{Kind: k, Public: public, Detail: fmt.Sprintf(detail, args...)}
}

// clip bounds text of others before it goes into an error.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}
