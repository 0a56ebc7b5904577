package cmptext_test

import (
	"crypto"
	"math/big"
	"strings"
	"testing"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkix"
)

// TestWhatIsAcceptedHasAName: no key, hash or MAC that package alg knows is
// shown as a number.
func TestWhatIsAcceptedHasAName(t *testing.T) {
	for _, keyType := range append(alg.KeyTypes(), alg.EncryptionKeyTypes()...) {
		a, ok := alg.KeyTypeAlgorithm(keyType)
		if !ok {
			t.Fatalf("%s has no algorithm", keyType)
		}
		empty, err := pkix.NewSubjectPublicKeyInfo(a, nil)
		if err != nil {
			t.Fatal(err)
		}
		b := &cmp.CertReqMessages{Kind: cmp.TypeIR, Requests: []crmf.CertReqMsg{{CertReq: crmf.CertRequest{CertReqID: new(big.Int), Template: crmf.CertTemplate{PublicKey: empty}}}}}
		got := text(t, made(t, b, nil), cmptext.Options{})
		want := keyType
		switch {
		case strings.HasPrefix(keyType, "ecdsa-"):
			want = "ecPublicKey" // the curve is not in the key's identifier
		case strings.HasPrefix(keyType, "rsa-"):
			want = "rsaEncryption"
		}
		lacks(t, got, "publicKey: "+want+", no key: the CA is asked to make one")
	}
	for hash, name := range map[crypto.Hash]string{
		crypto.SHA224: "sha224", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512",
		crypto.SHA512_224: "sha512-224", crypto.SHA512_256: "sha512-256",
		crypto.SHA3_224: "sha3-224", crypto.SHA3_256: "sha3-256", crypto.SHA3_384: "sha3-384", crypto.SHA3_512: "sha3-512",
	} {
		m, err := alg.NewPBM(zeros{}, alg.PBMOptions{OWF: hash, HMAC: hash, Iterations: 1000})
		if err != nil {
			t.Fatal(err)
		}
		der, err := cmp.Seal(&cmp.PKIHeader{PVNO: 2, Sender: pkix.NewDirectoryName(pkix.EmptyName), Recipient: pkix.NewDirectoryName(pkix.EmptyName)},
			&cmp.PKIConf{}, nil, cmp.MACProtector(m, []byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := cmp.Parse(der, cmp.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got := text(t, parsed, cmptext.Options{})
		lacks(t, got, "owf "+name+",")
		lacks(t, got, "mac hmac-"+name+"\n")
	}
}

// TestProtectionInside: of messages inside, what the caller finds out is shown.
func TestProtectionInside(t *testing.T) {
	inner := made(t, &cmp.PKIConf{}, nil)
	m := made(t, &cmp.Nested{Messages: []*cmp.PKIMessage{inner}}, nil)
	for _, tt := range []struct {
		check func(*cmp.PKIMessage) *cmptext.Protection
		want  string
	}{
		{nil, "    protection: present, 32 octets, not checked (no secret given)\n"},
		{func(*cmp.PKIMessage) *cmptext.Protection { return nil }, "    protection: present, 32 octets, not checked (no secret given)\n"},
		{func(i *cmp.PKIMessage) *cmptext.Protection {
			return &cmptext.Protection{Err: i.VerifyMAC([]byte("y"), nil)}
		}, "    protection: present, 32 octets, WRONG: message authentication code does not verify\n"},
		{func(i *cmp.PKIMessage) *cmptext.Protection {
			return &cmptext.Protection{By: "x", Err: i.VerifyMAC([]byte("x"), nil)}
		}, "    protection: present, 32 octets, good, by x\n"},
	} {
		lacks(t, text(t, m, cmptext.Options{Inner: tt.check}), tt.want)
	}
}

// TestAChallengeIsShownAsAnEnvelope names for whom it is encrypted.
func TestAChallengeIsShownAsAnEnvelope(t *testing.T) {
	b := &cmp.POPODecKeyChallenge{Challenges: []cmp.Challenge{{EncryptedRand: enveloped(t)}}}
	got := text(t, made(t, b, nil), cmptext.Options{})
	for _, want := range []string{"encryptedRand\n", "kind: envelopedData", "ktri", "aes256-cbc"} {
		lacks(t, got, want)
	}
}
