package cmpcore

import "cmp-batch/cmpcore/cmp"

// Request is a message on its way through the Engine, parsed once.
type Request struct {
	Hash    Hash
	DER     []byte
	Channel string

	msg      *cmp.PKIMessage // nil where not even a header could be read
	parseErr error           // nil where the whole message was read
}

// OrderKey is equal for messages of one transaction: they are to be processed
// one after the other. It is not authenticated. Empty: no order is known.
func (r *Request) OrderKey() string {
	if r.msg == nil {
		return ""
	}
	return string(r.msg.Header.TransactionID)
}
