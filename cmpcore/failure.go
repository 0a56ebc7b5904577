package cmpcore

import (
	"errors"
	"fmt"

	"cmp-batch/cmpcore/cmp"
)

// failure is a refusal by the protocol: what the peer is told, and, apart from
// it, what the operator is told.
type failure struct {
	info   cmp.PKIFailureInfo
	text   string // statusString
	detail string // for log and audit; empty: text says it all
	status cmp.PKIStatus
	rule   string // the rule that refused, where one did
}

func (f *failure) Error() string {
	if f.detail != "" {
		return f.text + ": " + f.detail
	}
	return f.text
}

func refuse(info cmp.PKIFailureInfo, text string) *failure {
	return &failure{info: info, text: text, status: cmp.Rejection}
}

func (f *failure) because(format string, a ...any) *failure {
	f.detail = fmt.Sprintf(format, a...)
	return f
}

// statusInfo is what a reply carries of the failure.
func (f *failure) statusInfo() cmp.PKIStatusInfo {
	return cmp.PKIStatusInfo{Status: f.status, StatusString: []string{f.text}, FailInfo: f.info}
}

// asFailure splits protocol refusals from errors of the machine around.
func asFailure(err error) (*failure, bool) {
	var f *failure
	ok := errors.As(err, &f)
	return f, ok
}
