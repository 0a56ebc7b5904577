package cmpcore

import "cmp-batch/cmpcore/cmp"

// cost is something that a message may have done only so often, because it costs
// work.
type cost uint8

const (
	costPOPMAC    cost = iota // a publicKeyMAC is checked
	costChallenge             // a challenge is encrypted
	costKey                   // a key is made
	costPrivate               // an envelope of a private key is opened
	costs
)

// fileShare is how many times as much as one message those of a batch together
// may cost: more would hold up all that is worked on with it.
const fileShare = 4

// maxBatchAnswers bounds the octets of answers in a batch that only tell
// something, such as a CRL for each who asks.
const maxBatchAnswers = 32 << 20

// file is what the messages of one file share.
type file struct {
	spent   [costs]int
	answers int // octets
}

// spend counts one more, of at most most for a message.
func (x *exchange) spend(c cost, most int) bool {
	x.spent[c]++
	x.file.spent[c]++
	return x.spent[c] <= most && x.file.spent[c] <= fileShare*most
}

// fits tells whether the answer to a part of a batch still has room in it.
// Answers that grant something always have.
func (x *exchange) fits(o *Outcome, known bool) bool {
	if !known && (o.Transaction != nil || len(o.CertChanges)+len(o.Certificates)+len(o.SecretUses)+len(o.Outgoing)+len(o.Parts) > 0) {
		return true
	}
	if x.file.answers+len(o.Reply) > maxBatchAnswers {
		return false
	}
	x.file.answers += len(o.Reply)
	return true
}

// noRoom refuses a part of a batch whose answer has no room.
func noRoom() *failure {
	return refuse(cmp.SystemUnavail, "the answers to the messages of this batch are too large together; send this one again, alone")
}
