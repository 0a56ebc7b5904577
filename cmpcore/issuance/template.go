package issuance

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/pkix"
)

// Template tells requesters what a request under the profile should hold (RFC
// 9810 section 5.3.19.16): the subject with its fixed attributes and with empty
// values for those the requester must fill in, and the extensions that the
// certificate will have where nothing else is asked. The subject is nil where
// the profile demands nothing of it.
func (p *Profile) Template() (subject pkix.Name, exts []pkix.Extension) {
	return p.subject.template(), p.templateExtensions()
}

// template has the fixed parts, then the required ones as empty text: RFC 9483
// section 4.3.3 has the requester fill in what is empty.
func (r *subjectRule) template() pkix.Name {
	rdns := slices.Clone(r.fixed)
	if r.fromRequest {
		for _, o := range r.required {
			if !r.fixedTypes[o] {
				rdns = append(rdns, emptyAttribute(o))
			}
		}
	}
	if len(rdns) == 0 {
		return nil
	}
	return joinRDNs(rdns)
}

func emptyAttribute(typ pkix.OID) rdn {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			typ.Add(b)
			pkix.AddUTF8(b, "")
		})
	})
	return rdn{raw: b.BytesOrPanic(), attrs: []attribute{{typ: typ}}}
}

func (p *Profile) templateExtensions() (exts []pkix.Extension) {
	if u := p.keyUsage.def; u != 0 && p.everyKeyServes(u) {
		exts = append(exts, pkix.KeyUsageExtension(u))
	}
	if l := p.extKeyUsage.def; len(l) > 0 {
		e := pkix.ExtKeyUsageExtension(l)
		e.Critical = p.extKeyUsage.critical
		exts = append(exts, e)
	}
	if p.ca {
		exts = append(exts, pkix.BasicConstraintsExtension(pkix.BasicConstraints{CA: true, MaxPathLen: p.pathLen}))
	}
	if p.san.required {
		// An empty value: which names, only the requester knows.
		exts = append(exts, pkix.Extension{ID: pkix.OIDSubjectAltName})
	}
	return exts
}

// everyKeyServes tells whether whoever asks for these usages will get them,
// whatever the type of the key. Where not, to ask for none is better.
func (p *Profile) everyKeyServes(u pkix.KeyUsage) bool {
	for _, kt := range p.AllKeyTypes() {
		if u&^usagesOf(alg.KeyTypeUses(kt)) != 0 {
			return false
		}
	}
	return true
}

// EncryptionKeyTypes lists the key types, of alg.KeyTypes and
// alg.EncryptionKeyTypes, that the profile accepts and lets be used for
// encryption or key agreement.
func (p *Profile) EncryptionKeyTypes() []string {
	usages := p.keyUsage.allowed | p.keyUsage.def
	var out []string
	for _, kt := range slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes()) {
		serves := usagesOf(alg.KeyTypeUses(kt)) &^ (useSign | useNarrow)
		// No keyUsage at all restricts nothing.
		if p.allowsKey(kt) && serves != 0 && (usages == 0 || usages&serves != 0) {
			out = append(out, kt)
		}
	}
	return out
}

// AllKeyTypes lists the key types, of alg.KeyTypes and alg.EncryptionKeyTypes,
// that the profile accepts.
func (p *Profile) AllKeyTypes() []string {
	return slices.DeleteFunc(slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes()), func(kt string) bool { return !p.allowsKey(kt) })
}
