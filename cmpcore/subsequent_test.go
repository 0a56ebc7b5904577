package cmpcore_test

import (
	"crypto"
	"fmt"
	"strings"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// Which keys the proofs by what follows are for, at either version. At pvno 2 a
// certificate would come as EncryptedValue, which is not written, and a challenge
// is encrypted with the key itself, which only RSA does (RFC 9810 sections
// 5.2.8.3.2 and 5.2.8.3.3).
func TestProofsByWhatFollowsAtEachVersion(t *testing.T) {
	b := newBed(t, withDecryptionKeys)
	agrees := map[string]bool{"ecdsa-p256": true, "ecdsa-p384": true, "ecdsa-p521": true, "x25519": true, "x448": true}
	for _, keyType := range []string{"rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "x25519", "x448", "ml-kem-512", "ml-kem-768", "ml-kem-1024"} {
		private := anyKey(t, keyType)
		use := crmf.KeyEncipherment
		if agrees[keyType] {
			use = crmf.KeyAgreement
		}
		spki := must[pkix.SubjectPublicKeyInfo](t)(alg.MarshalPublicKey(private.(interface{ Public() crypto.PublicKey }).Public()))
		ask := func(subsequentMessage, pvno int) (*talk, *reply) {
			k := b.talk(b.device("dev-1"))
			b.keysOf(k, private, 0)
			return k, k.say(k.request(cmp.TypeIR, want{subject: "CN=a", template: func(t *crmf.CertTemplate) { t.PublicKey = spki },
				popo: subsequent(use, subsequentMessage)}), func(m *message) { m.PVNO = pvno })
		}
		for _, pvno := range []int{2, 3} {
			t.Run(fmt.Sprint(keyType, " encrCert ", pvno), func(t *testing.T) {
				k, r := ask(crmf.EncrCert, pvno)
				if pvno == 2 {
					r.judge(cmp.BadRequest)
					return
				}
				k.say(confirmation(r.decrypted(0, private)), version3).body(cmp.TypePKIConf)
			})
			t.Run(fmt.Sprint(keyType, " challengeResp ", pvno), func(t *testing.T) {
				k, r := ask(crmf.ChallengeResp, pvno)
				if pvno == 2 && !strings.HasPrefix(keyType, "rsa-") {
					r.judge(cmp.BadRequest)
					return
				}
				k.say(r.respond(private), func(m *message) { m.PVNO = pvno }).cert(0)
			})
		}
	}
}
