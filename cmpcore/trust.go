package cmpcore

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

// Trust is what is known of revocation below trust anchors: how far a signer
// with a certificate of another CA is believed that it still holds. Certificates
// of this CA are held against the Store in any case.
type Trust struct {
	Name    string // for people
	Anchors []*x509.Certificate
	Mode    RevocationMode
	// CRLs gives the lists as they are known now. It may be called concurrently.
	CRLs func() []*certpath.CRL
}

// RevocationMode says what follows where nothing fresh is known of a
// certificate. What a CRL lists is refused in either mode but the last.
type RevocationMode uint8

// The modes. Anchors that no Trust is about are as under RevocationPrefer
// without any CRL.
const (
	RevocationRequire RevocationMode = iota // it is refused
	RevocationPrefer                        // it is believed
	RevocationOff                           // CRLs are not looked at
)

func (c *Config) checkTrust(fail func(string, ...any)) {
	var seen []*x509.Certificate
	for _, t := range c.Trust {
		if t.Mode > RevocationOff {
			fail("trust %s: unknown revocation mode %d", t.Name, t.Mode)
		}
		if len(t.Anchors) == 0 || t.CRLs == nil {
			fail("trust %s: anchors and CRLs are needed", t.Name)
		}
		for _, a := range t.Anchors {
			if slices.ContainsFunc(seen, a.Equal) {
				fail("trust %s: %q is an anchor of two", t.Name, pkix.Name(a.RawSubject).String())
			}
			seen = append(seen, a)
		}
	}
}

// revocation is what is known below an anchor.
func (e *Engine) revocation(anchor *x509.Certificate) (r certpath.Revocation) {
	for _, t := range e.cfg.Trust {
		if t.Mode != RevocationOff && slices.ContainsFunc(t.Anchors, anchor.Equal) {
			return certpath.Revocation{CRLs: t.CRLs(), Need: t.Mode == RevocationRequire, Signers: t.Anchors}
		}
	}
	return r
}

// chainsTo looks for a path by certificates in extraCerts from cert to one of
// the anchors, on which nothing is revoked; bad says why there is none, and err
// is of the View.
func (x *exchange) chainsTo(cert *x509.Certificate, anchors []*x509.Certificate) (bad, err error) {
	if len(anchors) == 0 {
		return certpath.ErrNoPath, nil
	}
	var relied []Reliance
	_, bad = certpath.Verify(cert, certpath.Options{
		Anchors: anchors, Others: x.intermediates(), Time: x.now,
		Revocation: func(anchor *x509.Certificate) certpath.Revocation {
			r := x.revocation(anchor)
			relied = relied[:0]
			r.Status = func(c *x509.Certificate) (bool, error) {
				rec, fail := x.record(c)
				switch {
				case fail != nil:
					err = fail
					return false, fail
				case rec == nil:
					return false, nil
				case rec.Status == Revoked || rec.Status == RejectedByHolder:
					return true, fmt.Errorf("%w: serial %x, of this CA", certpath.ErrRevoked, rec.Serial)
				}
				relied = append(relied, Reliance{CertificateSerial: rec.Serial, Version: rec.Version})
				return true, nil
			}
			return r
		},
	})
	if bad == nil && err == nil {
		x.relyOn(relied)
	}
	return bad, err
}

// relyOn adds what was not relied on before.
func (x *exchange) relyOn(list []Reliance) {
	for _, r := range list {
		if !slices.ContainsFunc(x.out.Relied, func(o Reliance) bool { return bytes.Equal(o.CertificateSerial, r.CertificateSerial) }) {
			x.out.Relied = append(x.out.Relied, r)
		}
	}
}

// record finds what we know of a certificate that we issued; nil where we did
// not.
func (x *exchange) record(c *x509.Certificate) (*Certificate, error) {
	if !bytes.Equal(c.RawIssuer, x.caName) {
		return nil, nil
	}
	rec, err := x.view.Certificate(x.ctx, c.SerialNumber.Bytes())
	if err != nil || rec == nil || !bytes.Equal(rec.DER, c.Raw) {
		return nil, err
	}
	return rec, nil
}

// distrust is what keeps a signer with a path to an anchor from being believed;
// other errors mean that there is no such path.
func (x *exchange) distrust(err error) *failure {
	switch {
	case errors.Is(err, certpath.ErrRevoked):
		return refuse(cmp.CertRevoked, x.theCertificate()+", or one above it, is revoked").because("%v", err)
	case errors.Is(err, certpath.ErrCRL):
		return refuse(cmp.SignerNotTrusted, "whether "+x.theCertificate()+" is revoked is not known here at this time").because("%v", err)
	}
	return nil
}
