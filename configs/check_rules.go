package configs

import (
	"slices"
	"strconv"
	"strings"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// bodies are the messages that a rule may be about, in the order of people.
var bodies = []struct {
	name string
	body cmp.BodyType
}{
	{"ir", cmp.TypeIR}, {"cr", cmp.TypeCR}, {"p10cr", cmp.TypeP10CR},
	{"kur", cmp.TypeKUR}, {"rr", cmp.TypeRR}, {"genm", cmp.TypeGenM},
	{"nested", cmp.TypeNested}, {"ccr", cmp.TypeCCR}, {"krr", cmp.TypeKRR},
}

func bodyNames() []string {
	var names []string
	for _, b := range bodies {
		names = append(names, b.name)
	}
	return names
}

func (r *reader) rules(w *written, dir string) []Rule {
	if len(w.Rules) == 0 {
		r.fault("rules", "there are none, and nothing is issued without a rule; write at least one")
		return nil
	}
	var profiles []string
	ca := map[string]bool{}
	r.cmcRAIsGiven = true
	for name, p := range w.Profiles {
		profiles = append(profiles, name)
		ca[name] = p.BasicConstraints.CA
		if chooses(p.ExtKeyUsage.Allowed, pkix.OIDCMCRA) {
			r.cmcRAIsGiven = false
		}
	}
	slices.Sort(profiles)
	seen := map[string]int{}
	rules := make([]Rule, len(w.Rules))
	for i := range w.Rules {
		at := index("rules", i)
		r.uniqueName(at, w.Rules[i].Name, seen, i)
		rules[i] = r.rule(at, &w.Rules[i], profiles, ca, len(w.Approvers), dir)
		if w.CA.Encryption == nil && rules[i].may(cmp.TypeKRR) {
			r.fault(child(at, "may"), "krr brings archived keys, and nothing opens the archive; write ca.encryption")
		}
		r.keysOfProofs(at, &rules[i], &w.CA)
		if w.CA.Encryption == nil && rules[i].Passphrases && rules[i].Certificate != nil {
			r.fault(child(at, "revocation_passphrases"), "holders of certificates send them encrypted; write ca.encryption, whose certificate is what they are encrypted to")
		}
		if w.CA.Encryption == nil && rules[i].Archive != "none" && rules[i].Archive != "" {
			r.fault(child(at, "archive"), "keys come encrypted, and are kept so; write ca.encryption, whose certificate is what they are encrypted to")
		}
	}
	return rules
}

// chooses tells whether requests may choose a purpose.
func chooses(allowed []string, purpose pkix.OID) bool {
	return slices.ContainsFunc(allowed, func(s string) bool {
		o, ok := pkix.ExtKeyUsageByName(s)
		return ok && o == purpose || s == purpose.String()
	})
}

// ProofNames are the words of rules[].proofs.
var ProofNames = []string{ProofAgreeMAC, ProofDHMAC, ProofEncryptedKey, ProofThisMessage}

// The words of rules[].proofs.
const (
	ProofAgreeMAC     = "agree-mac"
	ProofDHMAC        = "dh-mac"
	ProofEncryptedKey = "encrypted-key"
	ProofThisMessage  = "this-message"
)

// keysOfProofs: what is encrypted or computed for a key needs that key.
func (r *reader) keysOfProofs(at string, out *Rule, ca *writtenCA) {
	for i, p := range out.Proofs {
		path := index(child(at, "proofs"), i)
		switch {
		case (p == ProofEncryptedKey || p == ProofThisMessage) && ca.Encryption == nil:
			r.fault(path, "keys come encrypted; write ca.encryption, whose certificate is what they are encrypted to")
		case p == ProofThisMessage && ca.Encryption.EncryptedValue == "none":
			r.fault(path, "keys come as EncryptedValue; write ca.encryption.encrypted_value: aes")
		case (p == ProofAgreeMAC || p == ProofDHMAC) && ca.KeyAgreement == nil:
			r.fault(path, "the MAC is made with the CA's key for key agreement; write ca.key_agreement")
		}
	}
}

// uniqueName checks the name of an element of a list.
func (r *reader) uniqueName(at, name string, seen map[string]int, i int) {
	path := child(at, "name")
	switch j, twice := seen[name]; {
	case name == "":
		r.missing(path, "a name that logs can use")
	case !nameRule.MatchString(name):
		r.fault(path, "%q is not a name: %s", clip(name), nameHint)
	case twice:
		r.fault(path, "%q is the name of %s already", name, index(parent(at), j))
	default:
		seen[name] = i
	}
}

func (r *reader) rule(at string, w *writtenRule, profiles []string, caProfiles map[string]bool, people int, dir string) Rule {
	out := Rule{
		Name: w.Name, Profiles: w.Profile, KeyTypes: w.KeyTypes, Own: w.Own, RAVerified: w.RAVerified, Passphrases: w.RevocationPassphrases, RegToken: w.RegToken,
		CentralKeys: w.CentralKeys, SameKey: w.Update.SameKey, ChangeNames: w.Update.ChangeNames, UpdateAny: w.Update.Any, RevokeAny: w.Revoke.Any,
		Subjects: r.subjects(child(at, "subjects"), w.Subjects),
	}
	if modes := []string{"none", "allowed", "required"}; r.word(child(at, "archive"), w.Archive, modes...) >= 0 {
		out.Archive = w.Archive
	}
	out.Proofs = r.words(child(at, "proofs"), w.Proofs, "a proof of possession", ProofNames)
	if modes := []string{"none", "recovery", "allowed", "required"}; r.word(child(at, "protocol_encr_key"), w.ProtocolEncrKey, modes...) >= 0 {
		out.EncrKey = w.ProtocolEncrKey
	}
	switch r.word(child(at, "approval"), w.Approval, "none", "sensitive", "required") {
	case 0:
		out.Unattended = true
	case 2:
		out.Approval = true
	}
	r.who(&out, child(at, "who"), &w.Who, dir)
	for i, k := range w.KeyTypes {
		r.keyType(index(child(at, "key_types"), i), k)
	}
	for i, k := range w.CentralKeys {
		r.madeKeyType(index(child(at, "central_keys"), i), k)
	}
	if len(w.May) == 0 {
		r.missing(child(at, "may"), "what they may send, such as [ir, p10cr]")
	}
	r.words(child(at, "may"), w.May, "a body type", bodyNames())
	for _, b := range bodies {
		if slices.Contains(w.May, b.name) {
			out.May = append(out.May, b.body)
		}
	}
	if len(out.May) == 0 {
		return out // what follows would speak of what the rule does not say
	}
	r.profileNames(child(at, "profile"), &out, profiles)
	r.crossCertification(at, &out, caProfiles)
	r.uselessKeys(at, &out)
	r.approvals(at, w, &out, people)
	return out
}

func (r *Rule) may(b ...cmp.BodyType) bool {
	return slices.ContainsFunc(b, func(b cmp.BodyType) bool { return slices.Contains(r.May, b) })
}

func (r *Rule) issues() bool {
	return r.may(cmp.TypeIR, cmp.TypeCR, cmp.TypeP10CR, cmp.TypeKUR, cmp.TypeCCR)
}

func (r *reader) who(out *Rule, at string, w *writtenWho, dir string) {
	secret, certificate := child(at, "secret"), child(at, "certificate")
	switch {
	case r.has(secret) && r.has(certificate):
		r.fault(at, "one of secret and certificate; write a rule for each")
	case r.has(certificate):
		out.Certificate = r.holder(certificate, w.Certificate, dir)
	case !r.has(secret):
		r.fault(at, `nobody is named; write who: {secret: "*"} or who: {certificate: {issued_by: self}}`)
	case len(w.Secret) == 0:
		r.fault(secret, `the list is empty; write "*" for any registered secret`)
	}
	for i, s := range w.Secret {
		g, err := newGlob(s)
		if s == "" || err != nil {
			r.fault(r.element(secret, i), `%q is no pattern of references; write "*" for any`, clip(s))
		}
		out.Secret = append(out.Secret, g)
	}
}

// element is the path of an element of a list that may be written as its only
// element.
func (r *reader) element(path string, i int) string {
	if at := index(path, i); r.has(at) {
		return at
	}
	return path
}

func (r *reader) holder(at string, w *writtenHolder, dir string) *Holder {
	if w == nil {
		return nil
	}
	h := &Holder{Subjects: r.subjects(child(at, "subject"), w.Subject), CMCRA: w.CMCRA}
	issuedBy := child(at, "issued_by")
	if len(w.IssuedBy) == 0 {
		r.missing(issuedBy, "issued_by: self, or a PEM file with certificates")
	}
	for i, s := range w.IssuedBy {
		if s == "self" {
			h.IssuedHere = true
			continue
		}
		h.Files = append(h.Files, r.path(dir, r.element(issuedBy, i), s, "self, or a PEM file with certificates"))
	}
	return h
}

func (r *reader) subjects(path string, texts oneOrMore) []Subject {
	var list []Subject
	for i, text := range texts {
		s, err := newSubject(text)
		if err != nil {
			r.fault(r.element(path, i), "%v", err)
			continue
		}
		list = append(list, s)
	}
	if len(texts) == 0 && r.has(path) {
		r.fault(path, `the list is empty; remove the key, or write "*" for any subject`)
	}
	return list
}

// keyType checks the exact name of a type of key. RSA keys have any size.
func (r *reader) keyType(path, s string) {
	known := slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes(), alg.WeakKeyTypes())
	if slices.Contains(known, s) {
		return
	}
	for _, family := range []string{"rsa-pss-", "rsa-"} {
		digits, ok := strings.CutPrefix(s, family)
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(digits); err == nil && strconv.Itoa(n) == digits && n >= alg.MinRSABits && n <= alg.MaxRSABits {
			return
		}
		if strings.ContainsAny(digits, "+.") {
			r.fault(path, "%q is a range, which is for profiles; list the sizes here, such as rsa-2048, rsa-3072", clip(s))
			return
		}
	}
	r.fault(path, "%q is no type of key; %s", clip(s), oneOf(s, known))
}

// madeKeyType checks the name of a type of key that can be made.
func (r *reader) madeKeyType(path, s string) {
	if _, ok := alg.KeyTypeAlgorithm(s); !ok {
		r.fault(path, "keys of type %q cannot be made; %s", clip(s), oneOf(s, slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes())))
	}
}

func (r *reader) profileNames(path string, out *Rule, profiles []string) {
	switch {
	case !out.issues() && r.has(path):
		r.fault(path, "none of may brings a certificate; remove the key")
	case out.issues() && len(out.Profiles) == 0:
		r.missing(path, "the name of a profile; "+oneOf("", profiles))
	}
	for i, p := range out.Profiles {
		at := r.element(path, i)
		switch {
		case !slices.Contains(profiles, p):
			r.fault(at, "%q is not a profile; %s", clip(p), oneOf(p, profiles))
		case slices.Contains(out.Profiles[:i], p):
			r.fault(at, "%q is there twice", clip(p))
		}
	}
}

// crossCertification: ccr is signed by another CA and brings certificates of CAs.
func (r *reader) crossCertification(at string, out *Rule, ca map[string]bool) {
	if !out.may(cmp.TypeCCR) {
		return
	}
	if len(out.Secret) > 0 {
		r.fault(child(at, "may"), "ccr is signed, and this rule is about holders of secrets; write a rule with who.certificate")
		return
	}
	if h := out.Certificate; h != nil && len(h.Subjects) == 0 {
		r.fault(child(at, "may"), "with ccr, everybody below who.certificate.issued_by could become a CA; say who may, by who.certificate.subject")
		return
	}
	for i, p := range out.Profiles {
		if isCA, ok := ca[p]; ok && !isCA {
			r.fault(r.element(child(at, "profile"), i), "%s makes no certificates of CAs, which ccr asks for; set its basic_constraints.ca, or write a rule for ccr alone", p)
		}
	}
}

// uselessKeys reports settings that the rest of the rule leaves without effect,
// or turns into a door.
func (r *reader) uselessKeys(at string, out *Rule) {
	useless := func(key string, when bool, why string) {
		if path := child(at, key); when && r.has(path) {
			r.fault(path, "%s; remove the key", why)
		}
	}
	useless("subjects", !out.issues() && !out.may(cmp.TypeKRR), "none of may brings a certificate")
	useless("key_types", !out.issues(), "none of may brings a certificate")
	useless("central_keys", !out.may(cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR), "it is about ir, cr and kur, and none is in may")
	useless("proofs", !out.may(cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR, cmp.TypeP10CR), "it is about ir, cr, kur and p10cr, and none is in may")
	useless("protocol_encr_key", len(out.CentralKeys) == 0 && !out.may(cmp.TypeKRR), "no private keys are sent: there are neither central_keys nor krr in may")
	useless("archive", !out.may(cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR), "it is about ir, cr and kur, and none is in may")
	useless("update", !out.may(cmp.TypeKUR), "kur is not in may")
	useless("revoke", !out.may(cmp.TypeRR), "rr is not in may")
	useless("revocation_passphrases", !out.may(cmp.TypeRR), "rr is not in may")
	useless("reg_token", !out.may(cmp.TypeIR, cmp.TypeCR), "it is about ir and cr, and neither is in may")
	if out.RegToken && out.Certificate == nil {
		r.fault(child(at, "reg_token"), "who has a shared secret is registered by it; write who.certificate, or remove the key")
	}
	if out.RegToken && out.may(cmp.TypeP10CR, cmp.TypeCCR) {
		r.fault(child(at, "reg_token"), "p10cr and ccr cannot bring a token; give them a rule of their own")
	}
	if out.Own && out.Certificate == nil && len(out.Secret) > 0 {
		useless("own", true, "a holder of a secret has no certificate of its own")
	}
	if out.Own && out.RevokeAny {
		r.fault(child(at, "revoke.any"), "own allows the own certificate only; remove one of both")
	}
	if out.Own && out.UpdateAny {
		r.fault(child(at, "update.any"), "own allows the own certificate only; remove one of both")
	}
	if out.Own && out.ChangeNames {
		r.fault(child(at, "update.change_names"), "own allows the own names only; remove one of both")
	}
	if out.Own && out.RAVerified {
		r.fault(child(at, "ra_verified"), "own allows the own names only, which no registration authority asks for; remove one of both")
	}
	if out.Approval && !out.issues() && !out.may(cmp.TypeKRR) {
		r.fault(child(at, "approval"), "only requests for certificates can wait; none of may is one")
	}
	if out.RAVerified && !out.may(cmp.TypeIR, cmp.TypeCR, cmp.TypeKUR, cmp.TypeNested) {
		r.fault(child(at, "ra_verified"), "it is about ir, cr, kur and nested; none is in may")
	}
	if out.may(cmp.TypeNested) && out.Certificate == nil && len(out.Secret) > 0 {
		r.fault(child(at, "may"), "nested messages must be signed; remove nested, or name the registration authority by who.certificate")
	}
	if h := out.Certificate; h != nil && h.IssuedHere && len(h.Subjects) == 0 && !(h.CMCRA && r.cmcRAIsGiven) {
		const everybody = "every holder of a certificate of this CA would be %s; say who is, by who.certificate.subject"
		if out.RAVerified {
			r.fault(child(at, "ra_verified"), everybody, "a registration authority")
		} else if out.may(cmp.TypeNested) {
			r.fault(child(at, "may"), everybody, "a registration authority that may bring nested messages")
		}
		if out.UpdateAny {
			r.fault(child(at, "update.any"), everybody, "free to update any other")
		}
		if out.RevokeAny {
			r.fault(child(at, "revoke.any"), everybody, "free to revoke any other")
		}
	}
}
