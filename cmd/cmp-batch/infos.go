package main

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cmptext"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
)

// infoQuestion makes one question of a genm of NAME or NAME=VALUE.
func infoQuestion(text string) (q cmp.InfoTypeAndValue, err error) {
	name, value, has := strings.Cut(text, "=")
	if q.Type, err = client.InfoType(name); err != nil {
		return q, err
	}
	need := func(what string) error { return fmt.Errorf("%s asks with a value: %s", name, what) }
	switch q.Type {
	case cmp.OIDRootCACert:
		if !has {
			return q, nil
		}
		certs, err := readCertificates(value)
		if err != nil {
			return q, err
		}
		return cmp.NewRootCACert(certs[0])
	case cmp.OIDKeyPairParamReq:
		if !has {
			return q, need(name + "=ecdsa-p256, or an object identifier")
		}
		if a, ok := alg.KeyTypeAlgorithm(value); ok {
			return cmp.NewKeyPairParamReq(a.OID)
		}
		o, err := pkix.ParseOID(value)
		if err != nil {
			return q, fmt.Errorf("%s: %.40q is neither a type of key nor an object identifier", name, value)
		}
		return cmp.NewKeyPairParamReq(o)
	case cmp.OIDSuppLangTags:
		if !has {
			return q, need(name + "=de:en")
		}
		return cmp.NewSuppLangTags(strings.Split(value, ":"))
	case cmp.OIDCRLStatusList:
		if !has {
			return q, need(name + "=FILE, the CRL that is there, or the certificate of the CA")
		}
		s, err := crlStatus(value)
		if err != nil {
			return q, err
		}
		return cmp.NewCRLStatusList([]cmp.CRLStatus{s})
	}
	if has {
		return q, fmt.Errorf("%s asks without a value", name)
	}
	return q, nil
}

// crlStatus says which CRL is wanted: one newer than that of the file, or any
// of the CA whose certificate it is.
func crlStatus(path string) (s cmp.CRLStatus, err error) {
	data, err := readBounded(path, maxShow)
	if err != nil {
		return s, err
	}
	der := data
	if b, _ := pem.Decode(data); b != nil {
		der = b.Bytes
	}
	if crl, err := x509.ParseRevocationList(der); err == nil {
		return cmp.CRLStatus{Issuer: []pkix.GeneralName{pkix.NewDirectoryName(crl.RawIssuer)}, ThisUpdate: crl.ThisUpdate}, nil
	}
	certs, err := keyfile.ParseCertificates(data)
	if err != nil {
		return s, fmt.Errorf("%s is neither a CRL nor a certificate", path)
	}
	c, err := x509.ParseCertificate(certs[0])
	if err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return cmp.CRLStatus{Issuer: []pkix.GeneralName{pkix.NewDirectoryName(c.RawSubject)}}, nil
}

// info writes what of a genp is better a file.
func (t *taken) info(i cmp.InfoTypeAndValue) (paths []string, err error) {
	if i.Value == nil {
		return nil, nil
	}
	write := func(suffix string, data []byte) {
		if err == nil {
			if err = replaceFile(t.base+suffix, data, 0o644); err == nil {
				paths = append(paths, t.base+suffix)
			}
		}
	}
	certs := func(suffix string, certs ...[]byte) {
		if len(certs) > 0 && certs[0] != nil {
			write(suffix, keyfile.MarshalCertificates(certs...))
		}
	}
	// Several answers may bring CRLs, and the same one.
	crlFile := func(der []byte) {
		if path, ok := t.crls[string(der)]; ok {
			paths = append(paths, path)
			return
		}
		suffix := ".crl"
		if n := len(t.crls); n > 0 {
			suffix = "-" + strconv.Itoa(n) + suffix
		}
		write(suffix, der)
		if t.crls == nil {
			t.crls = map[string]string{}
		}
		t.crls[string(der)] = t.base + suffix
	}
	switch i.Type {
	case cmp.OIDCACerts:
		list, err := i.CACerts()
		if err != nil {
			return nil, err
		}
		certs(".cacerts.pem", list...)
	case cmp.OIDCAProtEncCert:
		c, err := i.CAProtEncCert()
		if err != nil {
			return nil, err
		}
		certs(".encryption.crt", c)
	case cmp.OIDRootCAKeyUpdate, cmp.OIDCAKeyUpdateInfo:
		u, err := i.RootCAKeyUpdate()
		if i.Type == cmp.OIDCAKeyUpdateInfo {
			u, err = i.CAKeyUpdateInfo()
		}
		if err != nil {
			return nil, err
		}
		certs(".new-root.pem", u.NewWithNew)
		certs(".new-with-old.pem", u.NewWithOld)
		certs(".old-with-new.pem", u.OldWithNew)
	case cmp.OIDCurrentCRL:
		crl, err := i.CurrentCRL()
		if err != nil {
			return nil, err
		}
		crlFile(crl)
	case cmp.OIDCRLs:
		crls, err := i.CRLs()
		if err != nil {
			return nil, err
		}
		for _, crl := range crls {
			crlFile(crl)
		}
	}
	return paths, err
}

// describeInfo says in words what a genp tells. Text of the peer is quoted.
func describeInfo(i cmp.InfoTypeAndValue) (string, error) {
	if i.Value == nil {
		return "(nothing)", nil
	}
	switch i.Type {
	case cmp.OIDCertProfile:
		names, err := i.CertProfile()
		return fmt.Sprintf("%q", names), err
	case cmp.OIDSuppLangTags:
		tags, err := i.SuppLangTags()
		return fmt.Sprintf("%q", tags), err
	case cmp.OIDConfirmWaitTime:
		at, err := i.ConfirmWaitTime()
		return at.Format(time.DateTime), err
	case cmp.OIDSignKeyPairTypes:
		algs, err := i.SignKeyPairTypes()
		return algorithmNames(algs...), err
	case cmp.OIDEncKeyPairTypes:
		algs, err := i.EncKeyPairTypes()
		return algorithmNames(algs...), err
	case cmp.OIDKeyPairParamRep:
		a, err := i.KeyPairParamRep()
		return algorithmNames(a), err
	case cmp.OIDPreferredSymmAlg:
		a, err := i.PreferredSymmAlg()
		return algorithmNames(a), err
	case cmp.OIDCertReqTemplate:
		return describeTemplate(i)
	case cmp.OIDKEMCiphertextInfo:
		k, err := i.KEMCiphertextInfo()
		return algorithmNames(k.KEM) + " ciphertext, for a request with --kem-mac --after the session", err
	case cmp.OIDUnsupportedOIDs:
		oids, err := i.UnsupportedOIDs()
		var names []string
		for _, o := range oids {
			names = append(names, cmp.InfoName(o))
		}
		return strings.Join(names, ", "), err
	}
	return hex.EncodeToString(i.Value[:min(len(i.Value), 64)]), nil
}

// describeTemplate says what a request should hold. An attribute without a
// value is to be filled in.
func describeTemplate(i cmp.InfoTypeAndValue) (string, error) {
	t, err := i.CertReqTemplate()
	if err != nil {
		return "", err
	}
	var parts []string
	if t.Template.Subject != nil {
		parts = append(parts, fmt.Sprintf("subject %q", t.Template.Subject.String()))
	}
	for _, e := range t.Template.Extensions {
		parts = append(parts, "extension "+describeExtension(e))
	}
	var keys []string
	for _, c := range t.KeySpec {
		if n, err := c.RSAKeyLen(); err == nil {
			keys = append(keys, "rsa-"+strconv.Itoa(n))
		} else if a, err := c.AlgID(); err == nil {
			keys = append(keys, algorithmNames(a))
		}
	}
	if len(keys) > 0 {
		parts = append(parts, "keys "+strings.Join(keys, ", "))
	}
	return strings.Join(parts, "; "), nil
}

func describeExtension(e pkix.Extension) string {
	name := cmptext.Name(e.ID)
	switch e.ID {
	case pkix.OIDKeyUsage:
		if u, ok := pkix.ParseKeyUsage(e.Value); ok {
			return name + "=" + u.String()
		}
	case pkix.OIDExtKeyUsage:
		if list, ok := pkix.ParseExtKeyUsage(e.Value); ok {
			var names []string
			for _, o := range list {
				names = append(names, pkix.ExtKeyUsageName(o))
			}
			return name + "=" + strings.Join(names, ",")
		}
	}
	if len(e.Value) == 0 {
		name += " (to be filled in)"
	}
	return name
}

// algorithmNames are the words that --key-type takes, where there are some.
func algorithmNames(list ...pkix.AlgorithmIdentifier) string {
	var names []string
	for _, a := range list {
		name := cmptext.Name(a.OID)
		for _, kt := range slices.Concat(alg.KeyTypes(), alg.EncryptionKeyTypes()) {
			if k, ok := alg.KeyTypeAlgorithm(kt); ok && k.Equal(a) && !strings.HasPrefix(kt, "rsa-") {
				name = kt
			}
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
