package cmp

import (
	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/crmf"
)

// failInfos is the table of [FailInfoFor]. The first match counts, so an error
// about a proof of possession stands before what it may wrap.
var failInfos = []struct {
	err error
	bit PKIFailureInfo
}{
	{crmf.ErrPOPMissing, BadPOP},
	{crmf.ErrPOPForm, BadPOP},
	{crmf.ErrPOPKey, BadPOP},
	{crmf.ErrPOPMAC, BadPOP},
	{crmf.ErrPOPSignature, BadPOP},
	{ErrUnprotected, BadMessageCheck},
	{ErrProtectionKind, WrongIntegrity},
	{ErrMAC, BadMessageCheck},
	{alg.ErrUnsupported, BadAlg},
	{alg.ErrForbidden, BadAlg},
	{alg.ErrParameters, BadAlg},
	{alg.ErrMismatch, BadMessageCheck},
	{alg.ErrSignature, BadMessageCheck},
	{alg.ErrKey, BadCertTemplate}, // of the requested key
	{alg.ErrSecret, BadMessageCheck},
}
