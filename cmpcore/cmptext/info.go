package cmptext

import (
	"errors"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/pkix"
)

var errUnknownInfo = errors.New("unknown")

// info shows an InfoTypeAndValue with its value decoded where the type is
// known, and in hex else.
func info(n *node, i *cmp.InfoTypeAndValue) {
	n.str("infoType", cmp.InfoName(i.Type))
	if i.Value == nil {
		n.str("infoValue", "absent")
		n.line = cmp.InfoName(i.Type)
		return
	}
	err := infoValue(n, i)
	if err == nil {
		return
	}
	if err != errUnknownInfo {
		n.str("error", err.Error())
	}
	n.hex("infoValue", i.Value)
}

// infoValue adds the value under "infoValue". It adds nothing where it fails.
func infoValue(n *node, i *cmp.InfoTypeAndValue) error {
	const key = "infoValue"
	switch i.Type {
	case cmp.OIDImplicitConfirm:
		if err := i.ImplicitConfirm(); err != nil {
			return err
		}
		n.str(key, "NULL")
		n.line = "implicitConfirm"
	case cmp.OIDConfirmWaitTime:
		t, err := i.ConfirmWaitTime()
		if err != nil {
			return err
		}
		n.time(key, t)
	case cmp.OIDCertProfile:
		return texts(n, key, i.CertProfile)
	case cmp.OIDSuppLangTags:
		return texts(n, key, i.SuppLangTags)
	case cmp.OIDSignKeyPairTypes:
		return algorithms(n, key, i.SignKeyPairTypes)
	case cmp.OIDEncKeyPairTypes:
		return algorithms(n, key, i.EncKeyPairTypes)
	case cmp.OIDPreferredSymmAlg:
		return one(i.PreferredSymmAlg, func(a pkix.AlgorithmIdentifier) { algorithm(n, key, a) })
	case cmp.OIDKeyPairParamRep:
		return one(i.KeyPairParamRep, func(a pkix.AlgorithmIdentifier) { algorithm(n, key, a) })
	case cmp.OIDKeyPairParamReq:
		return one(i.KeyPairParamReq, func(o pkix.OID) { n.str(key, oidName(o)) })
	case cmp.OIDUnsupportedOIDs:
		return one(i.UnsupportedOIDs, func(oids []pkix.OID) {
			l := n.list(key)
			for _, o := range oids {
				l.str("", cmp.InfoName(o))
			}
		})
	case cmp.OIDCAProtEncCert:
		return one(i.CAProtEncCert, func(der []byte) { certificate(n.object(key), der) })
	case cmp.OIDRootCACert:
		return one(i.RootCACert, func(der []byte) { certificate(n.object(key), der) })
	case cmp.OIDCACerts:
		return one(i.CACerts, func(ders [][]byte) { certificates(n.list(key), ders) })
	case cmp.OIDCurrentCRL:
		return one(i.CurrentCRL, func(der []byte) { crl(n.object(key), der) })
	case cmp.OIDCRLs:
		return one(i.CRLs, func(ders [][]byte) { crls(n.list(key), ders) })
	default:
		return rareInfo(n, key, i)
	}
	return nil
}

func rareInfo(n *node, key string, i *cmp.InfoTypeAndValue) error {
	switch i.Type {
	case cmp.OIDRootCAKeyUpdate:
		return one(i.RootCAKeyUpdate, func(u cmp.CAKeyUpdAnn) { keyUpdate(n.object(key), &u) })
	case cmp.OIDCAKeyUpdateInfo:
		return one(i.CAKeyUpdateInfo, func(u cmp.CAKeyUpdAnn) { keyUpdate(n.object(key), &u) })
	case cmp.OIDRevPassphrase:
		k, err := i.RevPassphrase()
		if err != nil {
			return err
		}
		encryptedKey(n, key, &k)
	case cmp.OIDCertReqTemplate:
		return one(i.CertReqTemplate, func(t cmp.CertReqTemplate) {
			c := n.object(key)
			template(c.object("certTemplate"), &t.Template)
			if len(t.KeySpec) > 0 {
				l := c.list("keySpec")
				for _, a := range t.KeySpec {
					control(l.object(""), a)
				}
			}
		})
	case cmp.OIDCRLStatusList:
		return one(i.CRLStatusList, func(list []cmp.CRLStatus) {
			l := n.list(key)
			for _, s := range list {
				c := l.object("")
				switch {
				case s.FullName != nil:
					c.str("fullName", generalNames(n.t, s.FullName))
				case s.Issuer != nil:
					c.str("issuer", generalNames(n.t, s.Issuer))
				default:
					c.hex("nameRelativeToCRLIssuer", s.RelativeName)
				}
				c.time("thisUpdate", s.ThisUpdate)
			}
		})
	case cmp.OIDKEMCiphertextInfo:
		return one(i.KEMCiphertextInfo, func(k cmp.KEMCiphertextInfo) {
			c := n.object(key)
			algorithm(c, "kem", k.KEM)
			c.hex("ct", k.Ciphertext)
		})
	case cmp.OIDOrigPKIMessage:
		messages, err := i.OrigPKIMessage(cmp.Limits{NestedDepth: 1})
		if err != nil {
			return err
		}
		l := n.list(key)
		for _, m := range messages {
			message(l.object(""), m, maxNested)
		}
	default:
		return errUnknownInfo
	}
	return nil
}

func one[T any](read func() (T, error), show func(T)) error {
	v, err := read()
	if err != nil {
		return err
	}
	show(v)
	return nil
}

func texts(n *node, key string, read func() ([]string, error)) error {
	return one(read, func(list []string) {
		l := n.list(key)
		for _, t := range list {
			l.free("", t)
		}
	})
}

func algorithms(n *node, key string, read func() ([]pkix.AlgorithmIdentifier, error)) error {
	return one(read, func(list []pkix.AlgorithmIdentifier) {
		l := n.list(key)
		for _, a := range list {
			algorithm(l, "", a)
		}
	})
}

func keyUpdate(n *node, u *cmp.CAKeyUpdAnn) {
	for _, v := range []struct {
		key string
		der []byte
	}{{"oldWithNew", u.OldWithNew}, {"newWithOld", u.NewWithOld}, {"newWithNew", u.NewWithNew}} {
		if v.der != nil {
			certificate(n.object(v.key), v.der)
		}
	}
}
