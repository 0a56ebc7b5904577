package cmpcore

import (
	"bytes"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

const (
	nonceSize        = 16
	maxTransactionID = 64
)

// checkHeader applies what can be checked before the protection is (RFC 9810
// section 5.1.1, RFC 9483 section 3.5).
func (x *exchange) checkHeader() error {
	h := &x.msg.Header
	if h.PVNO != 2 && h.PVNO != 3 {
		return refuse(cmp.UnsupportedVersion, "pvno must be 2 or 3").because("it is %d", h.PVNO)
	}
	switch n := len(h.TransactionID); {
	case n == 0:
		return refuse(cmp.BadDataFormat, "transactionID is missing")
	case n > maxTransactionID:
		return refuse(cmp.BadDataFormat, "transactionID is longer than 64 octets")
	case n < 16 && x.policy.Lightweight && !x.policy.tolerates("short-transactionid"):
		return refuse(cmp.BadDataFormat, "transactionID must have 16 octets")
	}
	if len(h.SenderNonce) < nonceSize && !x.policy.tolerates("no-sender-nonce") {
		return refuse(cmp.BadSenderNonce, "senderNonce must have at least 16 octets")
	}
	if len(h.SenderNonce) > 256 {
		return refuse(cmp.BadSenderNonce, "senderNonce is longer than 256 octets")
	}
	if h.Sender.Tag() != pkix.TagDirectoryName {
		return refuse(cmp.BadDataFormat, "sender must be a directoryName")
	}
	// A recipient that cannot be read is told as such, with the rest of the header.
	if h.Recipient != nil && x.policy.Lightweight && !x.policy.tolerates("any-recipient") {
		name, ok := h.Recipient.DirectoryName()
		if !ok || !name.IsEmpty() && !name.Matches(x.caName) && !bytes.Equal(h.Recipient, x.sender) && !x.agreement.named(h.Recipient) && !x.kem.named(h.Recipient) {
			return refuse(cmp.WrongAuthority, "recipient is not this CA")
		}
	}
	if h.ProtectionAlg.IsZero() != (x.msg.Protection == nil) {
		return refuse(cmp.BadMessageCheck, "protectionAlg and protection must both be there or both be absent")
	}
	return nil
}

func (x *exchange) checkMessageTime() error {
	t := x.msg.Header.MessageTime
	if t.IsZero() {
		if x.policy.RequireMessageTime {
			return refuse(cmp.MissingTimeStamp, "messageTime is missing")
		}
		return nil
	}
	w := x.policy.MessageTimeWindow
	if w == 0 {
		return nil
	}
	if d := x.now.Sub(t); d > w || d < -w {
		return refuse(cmp.BadTime, "messageTime is outside the accepted window").because("it is %s off", d.Round(1e9))
	}
	return nil
}

// checkGeneralInfo: what is not known in generalInfo is passed over, what is
// known and malformed is not (RFC 9810 section 5.1.1).
func checkGeneralInfo(h *cmp.PKIHeader) error {
	profiles := 0
	for _, i := range h.GeneralInfo {
		var err error
		switch i.Type {
		case cmp.OIDImplicitConfirm:
			err = i.ImplicitConfirm()
		case cmp.OIDConfirmWaitTime:
			_, err = i.ConfirmWaitTime()
		case cmp.OIDCertProfile:
			_, err = i.CertProfile()
			profiles++
		}
		if err != nil {
			return refuse(cmp.BadDataFormat, "generalInfo could not be read").because("%v", err)
		}
	}
	if profiles > 1 {
		return refuse(cmp.BadDataFormat, "generalInfo has more than one certProfile")
	}
	return nil
}

// checkOneOriginal reads origPKIMessage: only the header of a nested message
// may have the originals of several messages (RFC 9810 section 5.1.1.3).
func checkOneOriginal(h *cmp.PKIHeader) error {
	if i, ok := cmp.FindInfo(h.GeneralInfo, cmp.OIDOrigPKIMessage); ok {
		if list, err := i.OrigPKIMessage(cmp.Limits{}); err != nil || len(list) != 1 {
			return refuse(cmp.BadDataFormat, "origPKIMessage must have exactly one message")
		}
	}
	return nil
}

// checkFirst is what every message that begins a transaction is held against,
// whatever its body, and in this order: it must not meet a transaction, and what
// is in generalInfo must be readable.
func (x *exchange) checkFirst() error {
	if x.tx != nil {
		return refuse(cmp.TransactionIDInUse, "this transactionID has been used already")
	}
	if err := x.checkFirstNonce(); err != nil {
		return err
	}
	if err := checkGeneralInfo(&x.msg.Header); err != nil {
		return err
	}
	if x.msg.BodyType() != cmp.TypeNested {
		if err := checkOneOriginal(&x.msg.Header); err != nil {
			return err
		}
	}
	return x.takeFromHeader()
}

// checkFirstNonce: a first message answers nothing, but for the genp that gave a
// KEM ciphertext.
func (x *exchange) checkFirstNonce() error {
	if x.who != nil && x.who.kem {
		return nil
	}
	if x.policy.Lightweight && len(x.msg.Header.RecipNonce) != 0 && !x.policy.tolerates("first-recip-nonce") {
		return refuse(cmp.BadRecipientNonce, "recipNonce must be absent in a first request")
	}
	return nil
}

// checkFollowUp is what every message that goes on with a transaction is held
// against, once it is one that the transaction waits for.
func (x *exchange) checkFollowUp(anyOfOurs bool) error {
	if err := x.checkRecipNonce(anyOfOurs); err != nil {
		return err
	}
	if err := checkGeneralInfo(&x.msg.Header); err != nil {
		return err
	}
	if anyOfOurs { // a poll, which may come more than once
		return x.refusePassphrase()
	}
	return x.takeFromHeader()
}

// checkRecipNonce: a follow-up carries the senderNonce of our last message.
// A poll may also carry an earlier one of this transaction, because the answer
// that had a later one may be lost with its medium.
func (x *exchange) checkRecipNonce(anyOfOurs bool) error {
	ours, got := x.tx.OurNonce, x.msg.Header.RecipNonce
	for len(ours) >= nonceSize && len(got) == nonceSize {
		if bytes.Equal(ours[:nonceSize], got) {
			return nil
		}
		if !anyOfOurs {
			break
		}
		ours = ours[nonceSize:]
	}
	return refuse(cmp.BadRecipientNonce, "recipNonce is not the senderNonce of the last answer")
}

// rememberNonces is how many of our nonces a waiting transaction keeps.
const rememberNonces = 8

func pushNonce(old, nonce []byte) []byte {
	n := append(append([]byte(nil), nonce...), old...)
	return n[:min(len(n), rememberNonces*nonceSize)]
}
