package cmpcore_test

import (
	"crypto"
	"fmt"
	"testing"

	"golang.org/x/crypto/cryptobyte"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/crmf"
	"cmp-batch/cmpcore/pkcs10"
	"cmp-batch/cmpcore/pkix"
)

// algorithm writes an AlgorithmIdentifier.
func algorithm(oid string, parameters ...[]byte) []byte {
	return element(0x30, append([][]byte{element(6, []byte(pkix.MustOID(oid)))}, parameters...)...)
}

func number(n ...byte) []byte { return element(2, n) }

func tree(der []byte) *node {
	s := cryptobyte.String(der)
	return readNode(&s)
}

func (n *node) der() []byte {
	var b cryptobyte.Builder
	n.add(&b)
	return b.BytesOrPanic()
}

// Every parameter of every MAC, wrong, missing and doubled. What cannot be
// accepted is badAlg (RFC 9810 section 5.2.3: "unrecognized or unsupported
// algorithm identifier"); what can be is held against the MAC, which here is
// random octets, so that it is badMessageCheck.
func TestEveryParameterOfEveryMAC(t *testing.T) {
	const oidKMAC128, oidPBKDF2 = "2.16.840.1.101.3.4.2.19", "1.2.840.113549.1.5.12"
	null := []byte(pkix.Null)
	salt := element(4, random(16))
	type row struct {
		at    []int
		wrong map[string][]byte // all badAlg
		// optional: it may be missing
		optional bool
	}
	digests := map[string][]byte{"unknown": algorithm("1.2.3.4"), "SHA-1": algorithm(oidSHA1), "an INTEGER": number(1), "parameters": algorithm(oidSHA256, number(1))}
	macs := map[string][]byte{"unknown": algorithm("1.2.3.4"), "a hash": algorithm(oidSHA256), "an INTEGER": number(1), "parameters": algorithm(oidHMACSHA256, number(1)),
		"KMAC with an output of 1 bit": algorithm(oidKMAC128, element(0x30, number(1)))}
	for _, mac := range []struct {
		name, oid string
		good      []byte
		party     func(*bed) *party
		rows      []row
	}{
		{"PBM", "1.2.840.113533.7.66.13", element(0x30, salt, algorithm(oidSHA256), number(2, 0), algorithm(oidHMACSHA256, null)),
			func(b *bed) *party { return b.device("dev-1") }, []row{
				{[]int{0}, map[string][]byte{"7 octets": element(4, random(7)), "257 octets": element(4, random(257)), "a BIT STRING": element(3, []byte{0, 1})}, false},
				{[]int{1}, digests, false},
				{[]int{1, 0}, nil, false},
				{[]int{2}, map[string][]byte{"99": number(99), "negative": number(0xff), "100,001": number(1, 0x86, 0xa1), "zero": number(0), "padded": number(0, 0x7f)}, false},
				{[]int{3}, macs, false},
				{[]int{3, 0}, nil, false},
				{[]int{3, 1}, nil, true},
			}},
		{"PBMAC1", "1.2.840.113549.1.5.14", element(0x30,
			algorithm(oidPBKDF2, element(0x30, salt, number(2, 0), number(32), algorithm(oidHMACSHA256, null))), algorithm(oidHMACSHA256, null)),
			func(b *bed) *party { return b.device("dev-1") }, []row{
				{[]int{0}, map[string][]byte{"unknown": algorithm("1.2.3.4"), "without parameters": algorithm(oidPBKDF2), "scrypt": algorithm("1.3.6.1.4.1.11591.4.11")}, false},
				{[]int{0, 0}, nil, false},
				{[]int{0, 1}, map[string][]byte{"NULL": null}, false},
				{[]int{0, 1, 0}, map[string][]byte{"7 octets": element(4, random(7)), "from elsewhere": algorithm("1.2.3.4")}, false},
				{[]int{0, 1, 1}, map[string][]byte{"99": number(99), "1,000,001": number(0x0f, 0x42, 0x41), "negative": number(0xff)}, false},
				{[]int{0, 1, 2}, map[string][]byte{"8": number(8), "negative": number(0xff), "65,536": number(1, 0, 0)}, true},
				{[]int{0, 1, 3}, map[string][]byte{"unknown": algorithm("1.2.3.4"), "a hash": algorithm(oidSHA256), "KMAC": algorithm(oidKMAC128)}, true},
				{[]int{0, 1, 3, 0}, nil, false},
				{[]int{0, 1, 3, 1}, nil, true},
				{[]int{1}, macs, false},
				{[]int{1, 0}, nil, false},
				{[]int{1, 1}, nil, true},
			}},
		{"Diffie-Hellman", "1.2.840.113533.7.66.30", element(0x30, algorithm(oidSHA256), algorithm(oidHMACSHA256, null)),
			nil, []row{{[]int{0}, digests, false}, {[]int{0, 0}, nil, false}, {[]int{1}, macs, false}, {[]int{1, 0}, nil, false}, {[]int{1, 1}, nil, true}}},
		{"KEM", "1.2.840.113533.7.66.16", element(0x30, algorithm("1.2.840.113549.1.9.16.3.28"), number(32), algorithm(oidHMACSHA256, null)),
			nil, []row{
				{[]int{0}, map[string][]byte{"unknown": algorithm("1.2.3.4"), "a hash": algorithm(oidSHA256), "an INTEGER": number(1)}, false},
				{[]int{0, 0}, nil, false},
				{[]int{1}, map[string][]byte{"8": number(8), "negative": number(0xff), "65,536": number(1, 0, 0)}, false},
				{[]int{2}, macs, false},
				{[]int{2, 0}, nil, false},
				{[]int{2, 1}, nil, true},
			}},
	} {
		try := func(name string, parameters []byte, want cmp.PKIFailureInfo) {
			t.Run(mac.name+"/"+name, func(t *testing.T) {
				b := lifeBed(t)
				var p *party
				for _, l := range lifeProtections {
					if l.name == mac.name && mac.party == nil {
						g := b.guise(l, false)
						h := &holder{cert: parsed(t, g.Certificate), chain: g.Chain}
						p = &party{holder: h, sender: pkix.Name(h.cert.RawSubject)}
					}
				}
				if mac.party != nil {
					p = mac.party(b)
				}
				k := b.talk(p)
				by := fixed{pkix.AlgorithmIdentifier{OID: pkix.MustOID(mac.oid), Parameters: parameters}, random(32)}
				k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), version3, func(m *message) { m.by = by }).stranger(want)
			})
		}
		try("as it should be", mac.good, cmp.BadMessageCheck)
		try("no parameters", nil, cmp.BadAlg)
		try("NULL", pkix.Null, cmp.BadAlg)
		for _, r := range mac.rows {
			change := func(f func(parent *node, i int)) []byte {
				n := tree(mac.good)
				f(n.at(r.at[:len(r.at)-1]...), r.at[len(r.at)-1])
				return n.der()
			}
			for name, der := range r.wrong {
				try(fmt.Sprint(r.at, " ", name), change(func(parent *node, i int) { parent.kids[i] = tree(der) }), cmp.BadAlg)
			}
			gone := cmp.BadAlg
			if r.optional {
				gone = cmp.BadMessageCheck
			}
			try(fmt.Sprint(r.at, " missing"), change((*node).drop), gone)
			try(fmt.Sprint(r.at, " twice"), change((*node).again), cmp.BadAlg)
		}
	}
}

// The parameters of signatures, in each of the three places where a requester
// signs: the message, the proof of possession and the PKCS #10.
func TestEveryParameterOfSignatures(t *testing.T) {
	null := []byte(pkix.Null)
	field := func(n uint8, der []byte) []byte { return element(tagged(n), der) }
	pss := func(hash, mask, salt string, trailer ...byte) []byte {
		fields := [][]byte{field(0, algorithm(hash, null)), field(1, algorithm("1.2.840.113549.1.1.8", algorithm(mask, null))), field(2, number([]byte(salt)...))}
		if len(trailer) > 0 {
			fields = append(fields, field(3, number(trailer...)))
		}
		return element(0x30, fields...)
	}
	const (
		badAlg = cmp.BadAlg
		fine   = 0 // but for the signature, which is random
	)
	oid := map[string]string{"rsa": "1.2.840.113549.1.1.11", "pss": "1.2.840.113549.1.1.10", "ecdsa": "1.2.840.10045.4.3.2", "ed25519": "1.3.101.112", "ed448": "1.3.101.113",
		"mldsa": "2.16.840.1.101.3.4.3.18", "slhdsa": "2.16.840.1.101.3.4.3.21"}
	for _, row := range []struct {
		name, keyType, oid string
		parameters         []byte
		want               cmp.PKIFailureInfo
	}{
		{"RSA", "rsa-2048", oid["rsa"], null, fine},
		{"RSA, NULL missing", "rsa-2048", oid["rsa"], nil, fine}, // RFC 4055 section 5: accepted
		{"RSA with a number", "rsa-2048", oid["rsa"], number(1), badAlg},
		{"RSA with MD5", "rsa-2048", "1.2.840.113549.1.1.4", null, badAlg},
		{"RSA with SHA-1", "rsa-2048", "1.2.840.113549.1.1.5", null, badAlg},
		{"PSS", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA256, " "), fine},
		{"PSS, trailer 1", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA256, " ", 1), fine}, // the default, written out
		{"PSS, trailer 2", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA256, " ", 2), badAlg},
		{"PSS, no parameters", "rsa-2048", oid["pss"], nil, badAlg},
		{"PSS, NULL", "rsa-2048", oid["pss"], null, badAlg},
		{"PSS, SHA-1 by default", "rsa-2048", oid["pss"], element(0x30), badAlg},
		{"PSS, unknown hash", "rsa-2048", oid["pss"], pss("1.2.3.4", oidSHA256, " "), badAlg},
		{"PSS, another mask", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA512, " "), badAlg},
		{"PSS, negative salt", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA256, "\xff"), badAlg},
		{"PSS, salt of 65,536", "rsa-2048", oid["pss"], pss(oidSHA256, oidSHA256, "\x01\x00\x00"), badAlg},
		{"PSS, hash twice", "rsa-2048", oid["pss"], element(0x30, field(0, algorithm(oidSHA256, null)), field(0, algorithm(oidSHA256, null))), badAlg},
		{"ECDSA", "ecdsa-p256", oid["ecdsa"], nil, fine},
		{"ECDSA with NULL", "ecdsa-p256", oid["ecdsa"], null, badAlg},
		{"ECDSA with SHA-1", "ecdsa-p256", "1.2.840.10045.4.1", nil, badAlg},
		{"Ed25519", "ed25519", oid["ed25519"], nil, fine},
		{"Ed25519 with NULL", "ed25519", oid["ed25519"], null, badAlg},
		{"Ed448", "ed448", oid["ed448"], nil, fine},
		{"Ed448 with NULL", "ed448", oid["ed448"], null, badAlg},
		{"ML-DSA", "ml-dsa-65", oid["mldsa"], nil, fine},
		{"ML-DSA with NULL", "ml-dsa-65", oid["mldsa"], null, badAlg},
		{"SLH-DSA with NULL", "slh-dsa-sha2-128f", oid["slhdsa"], null, badAlg},
		{"unknown", "ecdsa-p256", "1.2.3.4", nil, badAlg},
		{"of another key", "ecdsa-p256", oid["ed25519"], nil, fine},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := lifeBed(t)
			a := pkix.AlgorithmIdentifier{OID: pkix.MustOID(row.oid), Parameters: row.parameters}
			private := lifeKey(t, row.keyType, 0)
			public := publicOf(t, private)
			told := func(unsigned cmp.PKIFailureInfo) cmp.PKIFailureInfo {
				if row.want == fine {
					return unsigned
				}
				return row.want
			}
			// The message.
			g := b.guise(lifeProtection{name: row.name, keyType: row.keyType, kind: cmp.ProtectionSignature}, false)
			h := &holder{key: private.(crypto.Signer), cert: parsed(t, g.Certificate), chain: g.Chain}
			k := b.talk(b.signer(h))
			k.say(k.one(cmp.TypeIR, "CN=a", "p256 a"), func(m *message) { m.by = fixed{a, random(64)} }).stranger(told(cmp.BadMessageCheck))
			// The proof of possession.
			b.asked("dev-1", want{subject: "CN=a", template: func(c *crmf.CertTemplate) { c.PublicKey = public },
				popo: func(r *crmf.CertReqMsg) { r.POPO = &crmf.POPOSigningKey{Algorithm: a, Signature: random(64)} }}).judge(told(cmp.BadPOP))
			// The PKCS #10.
			der := must[[]byte](t)(pkcs10.Build(dn(t, "CN=a"), public, nil, a, func([]byte) ([]byte, error) { return random(64), nil }))
			dev := b.guise(lifeProtections[0], false)
			s, msg := dev.start(client.Options{Kind: cmp.TypeP10CR, PKCS10: der})
			if _, _, refused := dev.goOn(s, msg); refused != told(cmp.BadPOP) {
				t.Errorf("PKCS #10: %s", refused)
			}
		})
	}
}
