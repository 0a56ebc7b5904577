package issuance

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"cmp-batch/cmpcore/pkix"
)

// Request is what somebody wants certified. All of it is judged; none of it is
// believed. Possession of the key is the caller's to check.
type Request struct {
	Subject    pkix.Name // nil and the NULL-DN alike ask for none
	PublicKey  pkix.SubjectPublicKeyInfo
	Extensions []pkix.Extension
	Validity   *pkix.Validity // nil, or either bound zero: as the profile has it
}

// Prepared is a certificate that may be issued, once, by the CA it was prepared
// for. The exported fields tell what it says; changing them changes nothing.
type Prepared struct {
	Mods                []string // what differs from the request, in words for the requester
	Subject             pkix.Name
	NotBefore, NotAfter time.Time
	KeyType             string        // as alg.KeyType
	KeyUsage            pkix.KeyUsage // 0: the extension is not there
	Profile             string

	issuer  *Issuer
	profile *Profile
	rest    []byte // TBSCertificate from signature on
	used    atomic.Bool
}

// requested sorts the extensions of a request.
type requested struct {
	san, keyUsage, extKeyUsage, basicConstraints, skid, akid *pkix.Extension

	copied []pkix.Extension
	mods   []string
}

// maxKeyID bounds the key identifier that a CA may choose: SHA-512 has as much.
const maxKeyID = 64

// Prepare judges a request. Its error is a [*Refusal]. Nothing is signed, and
// the same arguments give the same result.
func (p *Profile) Prepare(req Request, is *Issuer, now time.Time) (*Prepared, error) {
	nb, na, mods, ref := p.grantValidity(req.Validity, is, now)
	if ref != nil {
		return nil, ref
	}
	pub, keyType, ref := p.checkKey(req.PublicKey, is)
	if ref != nil {
		return nil, ref
	}
	subject, rdns, subjectMods, ref := p.applySubject(req.Subject)
	if ref != nil {
		return nil, ref
	}
	if sameName(rdns, is.rdns) {
		return nil, p.refuse(BadTemplate, "the requested subject is not accepted", "subject: it is the CA's own name")
	}
	asked, ref := p.sortExtensions(req.Extensions)
	if ref != nil {
		return nil, ref
	}
	mods = append(append(mods, subjectMods...), asked.mods...)
	note := func(mod string) {
		if mod != "" {
			mods = append(mods, mod)
		}
	}
	ku, mod, ref := p.grantKeyUsage(asked.keyUsage, pub)
	if ref != nil {
		return nil, ref
	}
	note(mod)
	eku, mod, ref := p.grantExtKeyUsage(asked.extKeyUsage)
	if ref != nil {
		return nil, ref
	}
	note(mod)
	bc, mod, ref := p.grantBasicConstraints(asked.basicConstraints, is)
	if ref != nil {
		return nil, ref
	}
	note(mod)
	sanCritical := false
	if asked.san != nil {
		sanCritical = asked.san.Critical
	}
	if len(rdns) == 0 {
		if asked.san == nil {
			return nil, p.refuse(BadTemplate, "the request names no subject, and no subjectAltName either",
				"subject: neither subject nor subjectAltName")
		}
		if !sanCritical {
			sanCritical = true
			note("subjectAltName: critical, as there is no subject")
		}
	}
	if p.san.required && asked.san == nil {
		return nil, p.refuse(BadTemplate, "the request has no subjectAltName", "san.required: the request has no subjectAltName")
	}
	if is.limits != nil {
		if err := is.limits.check(subject, rdns, asked.san); err != nil {
			return nil, p.refuse(NotAuthorized, "this CA may not certify such a name", "nameConstraints of the CA: %v", err)
		}
	}
	keyID := req.PublicKey.KeyID()
	if asked.skid != nil {
		if id, ok := pkix.ParseSubjectKeyID(asked.skid.Value); !ok {
			return nil, p.refuse(BadExtension, "the requested subjectKeyIdentifier is malformed", "extensions: subjectKeyIdentifier is malformed")
		} else if p.ca && 0 < len(id) && len(id) <= maxKeyID {
			keyID = id // what a CA has issued names its key by this already
		} else if !bytes.Equal(id, keyID) {
			note("subjectKeyIdentifier: set by the CA")
		}
	}
	if asked.akid != nil {
		if _, ok := pkix.ParseAuthorityKeyID(asked.akid.Value); !ok {
			return nil, p.refuse(BadExtension, "the requested authorityKeyIdentifier is malformed", "extensions: authorityKeyIdentifier is malformed")
		}
		if !bytes.Equal(asked.akid.Value, is.akiValue) {
			note("authorityKeyIdentifier: set by the CA")
		}
	}

	exts := make([]byte, 0, p.sizeOfExtensions(asked))
	if ku != 0 {
		exts = appendExtension(exts, pkix.KeyUsageExtension(ku))
	}
	if len(eku) > 0 {
		e := pkix.ExtKeyUsageExtension(eku)
		e.Critical = p.extKeyUsage.critical || asked.extKeyUsage != nil && asked.extKeyUsage.Critical
		exts = appendExtension(exts, e)
	}
	exts = appendExtension(exts, pkix.BasicConstraintsExtension(bc))
	exts = appendExtension(exts, pkix.SubjectKeyIDExtension(keyID))
	exts = append(exts, is.akiDER...)
	if asked.san != nil {
		exts = appendExtension(exts, pkix.Extension{ID: pkix.OIDSubjectAltName, Critical: sanCritical, Value: asked.san.Value})
	}
	for _, c := range p.constant {
		if _, overridden := pkix.FindExtension(asked.copied, c.id); !overridden {
			exts = append(exts, c.der...)
		}
	}
	for _, e := range asked.copied {
		exts = appendExtension(exts, e)
	}
	return &Prepared{
		Mods: mods, Subject: subject, NotBefore: nb, NotAfter: na, KeyType: keyType, KeyUsage: ku, Profile: p.name,
		issuer: is, profile: p,
		rest: buildRest(is.sigAlgDER, is.subject, nb, na, subject, req.PublicKey, exts),
	}, nil
}

// sizeOfExtensions guesses the size of all extensions, to allocate once.
func (p *Profile) sizeOfExtensions(asked *requested) int {
	n := 256
	if asked.san != nil {
		n += len(asked.san.Value)
	}
	for _, c := range p.constant {
		n += len(c.der)
	}
	for _, e := range asked.copied {
		n += len(e.Value) + 32
	}
	return n
}

// buildRest makes the fields of TBSCertificate that follow the serial number.
func buildRest(sigAlg []byte, issuer pkix.Name, nb, na time.Time, subject pkix.Name, spki pkix.SubjectPublicKeyInfo, exts []byte) []byte {
	b := make([]byte, 0, len(sigAlg)+len(issuer)+36+len(subject)+len(spki)+2*maxHeader+len(exts))
	b = append(b, sigAlg...)
	b = append(b, issuer...)
	var times [34]byte
	validity := appendTime(appendTime(times[:0], nb), na)
	b = append(appendHeader(b, asn1.SEQUENCE, len(validity)), validity...)
	b = append(b, subject...)
	b = append(b, spki...)
	var header [maxHeader]byte
	inner := appendHeader(header[:0], asn1.SEQUENCE, len(exts))
	b = appendHeader(b, asn1.Tag(3).ContextSpecific().Constructed(), len(inner)+len(exts))
	return append(append(b, inner...), exts...)
}

// sortExtensions takes the requested extensions apart, and refuses or drops
// those that the profile has no place for.
func (p *Profile) sortExtensions(list []pkix.Extension) (*requested, *Refusal) {
	if len(list) > maxExtensions {
		return nil, p.refuse(BadExtension, "too many extensions are requested", "extensions: more than %d", maxExtensions)
	}
	total := 0
	r := &requested{}
	for i := range list {
		e := &list[i]
		if total += len(e.Value); total > maxExtensionOctets {
			return nil, p.refuse(BadExtension, "the requested extensions are too large", "extensions: more than %d octets", maxExtensionOctets)
		}
		if slices.ContainsFunc(list[:i], func(x pkix.Extension) bool { return x.ID == e.ID }) {
			return nil, p.refuse(BadExtension, "an extension is requested twice", "extensions: %s is there twice", extensionName(e.ID))
		}
		switch e.ID {
		case pkix.OIDSubjectAltName:
			if p.san.allowed != [9]bool{} {
				if ref := p.checkSAN(*e); ref != nil {
					return nil, ref
				}
				r.san = e
				continue
			}
		case pkix.OIDKeyUsage:
			r.keyUsage = e
			continue
		case pkix.OIDExtKeyUsage:
			r.extKeyUsage = e
			continue
		case pkix.OIDBasicConstraints:
			r.basicConstraints = e
			continue
		case pkix.OIDSubjectKeyID:
			r.skid = e
			continue
		case pkix.OIDAuthorityKeyID:
			r.akid = e
			continue
		default:
			if p.allowed[e.ID] {
				if err := checkExtension(*e); err != nil {
					return nil, p.refuse(BadExtension, "a requested extension is malformed", "extensions.allowed: %s: %v", extensionName(e.ID), err)
				}
				r.copied = append(r.copied, *e)
				continue
			}
			if p.isConstant(e) {
				continue
			}
		}
		if !p.drop {
			return nil, p.refuse(UnacceptedExtension, "a requested extension is not accepted",
				"extensions.unaccepted: %s is not in extensions.allowed", extensionName(e.ID))
		}
		r.mods = append(r.mods, "extension "+extensionName(e.ID)+": left out")
	}
	return r, nil
}

// isConstant tells whether the profile sets the extension to just this value.
func (p *Profile) isConstant(e *pkix.Extension) bool {
	for _, c := range p.constant {
		if c.id == e.ID {
			return bytes.Equal(c.der, appendExtension(nil, *e))
		}
	}
	return false
}
