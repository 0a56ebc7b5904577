package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"cmp-batch/cmpcore/alg"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
	"cmp-batch/configs"

	"golang.org/x/term"
)

// keyPair checks a certificate, those above it, its passphrase and its key, and
// tells whether run can use them. fits says what the key and its certificate
// must be.
func (k *checker) keyPair(check, what string, p configs.KeyPair, fits func(cert *x509.Certificate, key crypto.PrivateKey) error) bool {
	certs, err := readCertificates(p.Certificate)
	if err != nil {
		k.misconfigured(check+".certificate", "", "%s: %v", what, err)
		return false
	}
	cert, err := x509.ParseCertificate(certs[0])
	if err != nil {
		k.misconfigured(check+".certificate", "", "%s: %v", p.Certificate, err)
		return false
	}
	good := k.validity(check+".certificate", cert)
	good = k.chain(check+".chain", cert, certs[1:], p.Chain) && good
	key := k.key(check, what, p)
	if key == nil {
		return false
	}
	if err := fits(cert, key); err != nil {
		k.misconfigured(check, "", "%v", err)
		return false
	}
	k.ok(check+".key", "%s belongs to the certificate", p.Key)
	return good
}

// signerFits wraps what is wanted of keys that sign.
func signerFits(fits func(cert *x509.Certificate, signer crypto.Signer) error) func(*x509.Certificate, crypto.PrivateKey) error {
	return func(cert *x509.Certificate, key crypto.PrivateKey) error {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return fmt.Errorf("private key of type %T cannot sign", key)
		}
		return fits(cert, signer)
	}
}

// encryption checks what requesters encrypt to, and that it can be opened.
func (k *checker) encryption(path string) bool {
	e, err := k.a.encryption()
	if err != nil {
		k.misconfigured("ca.encryption", "", "%v", err)
		return false
	}
	k.a.opener = e
	cert, err := x509.ParseCertificate(e.Certificate)
	if err != nil {
		k.misconfigured("ca.encryption.certificate", "", "%s: %v", path, err)
		return false
	}
	return k.validity("ca.encryption.certificate", cert)
}

// fitsPurpose checks a certificate and key that sign what is not a certificate.
func fitsPurpose(what, signature string) func(*x509.Certificate, crypto.PrivateKey) error {
	return signerFits(func(cert *x509.Certificate, signer crypto.Signer) error {
		pub, err := alg.ParsePublicKey(pkix.SubjectPublicKeyInfo(cert.RawSubjectPublicKeyInfo))
		if err != nil {
			return fmt.Errorf("key of the certificate for %s: %w", what, err)
		}
		if p, ok := pub.(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(signer.Public()) {
			return fmt.Errorf("the key does not belong to the certificate for %s", what)
		}
		if cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
			return fmt.Errorf("the key usage of the certificate for %s lacks digitalSignature", what)
		}
		_, err = alg.SignatureFor(signer.Public(), signature)
		return err
	})
}

// soon is when the end of a certificate of the CA is near: it takes time to
// bring a new one everywhere.
const soon = 90 * 24 * time.Hour

func (k *checker) validity(check string, cert *x509.Certificate) bool {
	name := pkix.Name(cert.RawSubject).String()
	switch {
	case k.now.Before(cert.NotBefore):
		k.fail(check, "look at the clock of this machine", "%q is not valid before %s; the clock says %s", name, stamp(cert.NotBefore), stamp(k.now))
		return false
	case k.now.After(cert.NotAfter):
		k.fail(check, "look at the clock of this machine, or renew the certificate", "%q ended %s ago, on %s", name, age(k.now.Sub(cert.NotAfter)), stamp(cert.NotAfter))
		return false
	case cert.NotAfter.Sub(k.now) < soon:
		k.warn(check, "renew it in time", "%q ends in %s, on %s", name, age(cert.NotAfter.Sub(k.now)), stamp(cert.NotAfter))
	default:
		k.ok(check, "%q is valid until %s", name, until(cert.NotAfter, k.now))
	}
	return true
}

func (k *checker) chain(check string, cert *x509.Certificate, beside [][]byte, file string) bool {
	pool := beside
	if file != "" {
		more, err := readCertificates(file)
		if err != nil {
			k.misconfigured(check, "", "%v", err)
			return false
		}
		pool = append(pool, more...)
	}
	chain, err := orderChain(cert.Raw, pool)
	if err != nil {
		k.misconfigured(check, "write into the chain only the certificates above the other", "%v", err)
		return false
	}
	good := true
	last := cert
	for _, der := range chain {
		if last, err = x509.ParseCertificate(der); err != nil {
			k.misconfigured(check, "", "%v", err)
			return false
		}
		good = k.validity(check, last) && good
	}
	if !bytes.Equal(last.RawSubject, last.RawIssuer) {
		k.warn(check, "write the certificates above it, up to the root, into a file and set chain:",
			"it ends at %q, which is no root: devices get no root from here", pkix.Name(last.RawSubject).String())
	}
	return good
}

// key reads a private key; nil where it cannot be had now.
func (k *checker) key(check, what string, p configs.KeyPair) crypto.PrivateKey {
	k.private(check+".key", p.Key)
	data, err := readBounded(p.Key, keyfile.MaxKeySize)
	if err != nil {
		k.misconfigured(check+".key", "", "%v", err)
		return nil
	}
	if key, err := keyfile.ParsePrivateKey(data, nil); err == nil {
		k.warn(check+".key", "encrypt it: openssl pkcs8 -topk8 -v2 aes-256-cbc, and say where the passphrase is", "%s is not encrypted", p.Key)
		return key
	}
	pass, ok := k.passphrase(check+".passphrase", "the key of "+what, p.Passphrase)
	if !ok {
		return nil
	}
	key, err := keyfile.ParsePrivateKey(data, pass)
	if err != nil {
		k.misconfigured(check+".key", "", "%s: %v", p.Key, err)
		return nil
	}
	return key
}

// passphrase checks a source of a passphrase; ok is false where there is none
// to be had.
func (k *checker) passphrase(check, what string, p configs.Passphrase) (pass []byte, ok bool) {
	_, known := k.a.passphrases[p]
	if p.Prompt && !known {
		if f, is := k.c.stdin.(*os.File); !is || !term.IsTerminal(int(f.Fd())) {
			k.warn(check, "call check on a terminal", "the passphrase of %s is asked for on a terminal, and here is none: what it opens is not checked", what)
			return nil, false
		}
	}
	pass, err := k.a.passphrase(p, what)
	if err != nil {
		k.misconfigured(check, "", "%v", err)
		return nil, false
	}
	if p.File != "" && !known {
		k.private(check, p.File)
		if inside(k.cfg.Dir, p.File) {
			k.warn(check, "move it to another medium, and say where in the configuration",
				"%s lies in the folder of the CA: whoever copies the folder has the CA", p.File)
		}
	}
	return pass, true
}

func inside(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// private warns of a file that others can read.
func (k *checker) private(check, path string) {
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS == "windows" { // there the mode says nothing
		return
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		who := "the group"
		if mode&0o007 != 0 {
			who = "everybody"
		}
		k.warn(check, "chmod 600 "+shellQuote(path), "%s is open to %s: its mode is %#o", path, who, mode)
	}
}

// missing tells whether an error is that something is not there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
