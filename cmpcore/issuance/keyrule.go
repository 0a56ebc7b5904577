package issuance

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// keyRule allows one type of key: a name of package alg, or RSA in a range.
type keyRule struct {
	name             string
	family           string // "rsa-" or "rsa-pss-", where it is a range
	minBits, maxBits int
}

var oidRSA = pkix.MustOID("1.2.840.113549.1.1.1") // rsaEncryption

var rsaRange = regexp.MustCompile(`^(rsa-|rsa-pss-)(\d{1,5})(\+|\.\.(\d{1,5}))?$`)

// otherKeys are the names besides those of alg.KeyTypes that a key in a
// request can have.
var otherKeys = slices.Concat(alg.EncryptionKeyTypes(), alg.WeakKeyTypes())

func parseKeyRule(s string) (keyRule, error) {
	if m := rsaRange.FindStringSubmatch(s); m != nil {
		r := keyRule{family: m[1]}
		r.minBits, _ = strconv.Atoi(m[2])
		switch {
		case m[3] == "":
			r.maxBits = r.minBits
		case m[3] == "+":
			r.maxBits = alg.MaxRSABits
		default:
			r.maxBits, _ = strconv.Atoi(m[4])
		}
		if r.minBits < alg.MinRSABits || r.maxBits > alg.MaxRSABits || r.minBits > r.maxBits {
			return keyRule{}, fmt.Errorf("%q: RSA keys have %d to %d bits", clip(s), alg.MinRSABits, alg.MaxRSABits)
		}
		return r, nil
	}
	known := append(alg.KeyTypes(), otherKeys...)
	for _, k := range known {
		if s == k {
			return keyRule{name: s}, nil
		}
	}
	return keyRule{}, fmt.Errorf("%q is no key type; there are %s, rsa-2048+ and rsa-2048..4096", clip(s), strings.Join(known, ", "))
}

func (r keyRule) allows(keyType string) bool {
	if r.family == "" {
		return r.name == keyType
	}
	digits, ok := strings.CutPrefix(keyType, r.family)
	if !ok {
		return false
	}
	bits, err := strconv.Atoi(digits)
	return err == nil && bits >= r.minBits && bits <= r.maxBits
}

// checkKey reads the public key, tells its type, and refuses keys that are
// weak, not of an allowed type, or the CA's own.
func (p *Profile) checkKey(spki pkix.SubjectPublicKeyInfo, is *Issuer) (pub crypto.PublicKey, keyType string, r *Refusal) {
	if len(spki) == 0 {
		return nil, "", p.refuse(BadTemplate, "the request has no public key", "keys: no public key in the request")
	}
	pub, err := alg.ParsePublicKey(spki)
	switch {
	case errors.Is(err, alg.ErrUnsupported):
		return nil, "", p.refuse(BadAlg, "keys of this type are not supported", "keys: %v", err)
	case err != nil:
		return nil, "", p.refuse(BadKey, "the public key is malformed or not acceptable", "keys: %v", err)
	case spki.Algorithm().OID == oidRSA && spki.Algorithm().Parameters == nil:
		// Package alg reads such keys, but few verifiers read their certificates.
		return nil, "", p.refuse(BadKey, "the parameters of an RSA key must be NULL", "keys: RSA without parameters (RFC 3279 section 2.3.1)")
	}
	keyType = alg.KeyType(pub)
	if !p.allowsKey(keyType) {
		return nil, "", p.refuse(BadAlg, "keys of type "+keyType+" are not accepted", "keys: %s is not in the list", keyType)
	}
	n := rsaOf(pub)
	if n != nil {
		if int64(n.E) < p.rsaMinExponent {
			return nil, "", p.refuse(BadKey, "the exponent of the RSA key is too small",
				"rsa_min_exponent: the exponent is %d, the least is %d", n.E, p.rsaMinExponent)
		}
		if err := checkRSA(n.N); err != nil {
			return nil, "", p.refuse(BadKey, "the RSA key is weak", "keys: weak RSA key: %v", err)
		}
	}
	if is.hasKey(pub) {
		return nil, "", p.refuse(BadKey, "the public key is not acceptable", "keys: the public key is the CA's own")
	}
	return pub, keyType, nil
}

func (p *Profile) allowsKey(keyType string) bool {
	for _, r := range p.keys {
		if r.allows(keyType) {
			return true
		}
	}
	return false
}

func rsaOf(pub crypto.PublicKey) *rsa.PublicKey {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return k
	case *alg.PSSPublicKey:
		return k.Key
	}
	return nil
}

// The key usages by what a key must be able to do.
const (
	useSign     = pkix.DigitalSignature | pkix.ContentCommitment | pkix.KeyCertSign | pkix.CRLSign
	useEncipher = pkix.KeyEncipherment | pkix.DataEncipherment
	useNarrow   = pkix.EncipherOnly | pkix.DecipherOnly // mean nothing without keyAgreement
	useAgree    = pkix.KeyAgreement | useNarrow
)

// usableWith gives the key usages that the type of key can serve at all (RFC
// 4055 section 1.2 and RFC 3279, RFC 5480 with RFC 8813, RFC 8410 section 5, RFC
// 9881, RFC 9909 and RFC 9935). A type that is not known here can serve all.
func usableWith(pub crypto.PublicKey) pkix.KeyUsage {
	uses := alg.Uses(pub)
	if uses == 0 {
		return useSign | useEncipher | useAgree
	}
	return usagesOf(uses)
}

func usagesOf(uses alg.Use) (u pkix.KeyUsage) {
	for _, x := range []struct {
		use   alg.Use
		usage pkix.KeyUsage
	}{
		{alg.UseSign, useSign}, {alg.UseEncipher, useEncipher}, {alg.UseAgree, useAgree}, {alg.UseEncapsulate, pkix.KeyEncipherment},
	} {
		if uses&x.use != 0 {
			u |= x.usage
		}
	}
	return u
}

// AllowsKeyType tells whether the profile accepts keys of a type as alg.KeyType
// names it.
func (p *Profile) AllowsKeyType(keyType string) bool { return p.allowsKey(keyType) }

// KeyTypes lists the key types of alg.KeyTypes that the profile accepts.
func (p *Profile) KeyTypes() []string {
	var out []string
	for _, kt := range alg.KeyTypes() {
		if p.allowsKey(kt) {
			out = append(out, kt)
		}
	}
	return out
}
