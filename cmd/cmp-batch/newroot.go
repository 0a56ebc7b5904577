package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"
)

// newRoot is a root that a genp tells of.
type newRoot struct {
	cert  []byte
	old   []byte // the anchor that vouches for it; nil: none
	doubt error  // why there is none
}

// newRoots checks, before anything is written, what a genp tells of new roots.
func newRoots(infos []cmp.InfoTypeAndValue, anchors [][]byte, now time.Time) (list []newRoot, err error) {
	for _, i := range infos {
		if i.Value == nil || i.Type != cmp.OIDRootCAKeyUpdate && i.Type != cmp.OIDCAKeyUpdateInfo {
			continue
		}
		u, err := i.RootCAKeyUpdate()
		if i.Type == cmp.OIDCAKeyUpdateInfo {
			u, err = i.CAKeyUpdateInfo()
		}
		if err != nil {
			return nil, err
		}
		r := newRoot{cert: u.NewWithNew}
		if r.old, r.doubt = client.VerifyNewRoot(u, anchors, now); r.doubt != nil && !errors.Is(r.doubt, client.ErrNoVoucher) {
			return nil, fmt.Errorf("%s: %w", cmp.InfoName(i.Type), r.doubt)
		}
		if !slices.ContainsFunc(list, func(o newRoot) bool { return bytes.Equal(o.cert, r.cert) && (o.old != nil || r.old == nil) }) {
			list = append(list, r)
		}
	}
	return list, nil
}

// anchor tells of a new root and, where it is wanted, puts it beside the old one.
func (t *taken) anchor(r newRoot, rep *acceptReport, say func(string, ...any)) error {
	print := fmt.Sprintf("%X", sha256.Sum256(r.cert))
	switch {
	case r.old == nil && t.updateAnchors:
		return hint(fmt.Errorf("--update-anchors: %w", r.doubt), "nothing was written; compare its fingerprint by another way: SHA-256 %s", print)
	case r.old == nil:
		say("the new root is NOT verified: %v", r.doubt)
		say("compare its SHA-256 fingerprint before you trust it: %s", print)
		rep.NewRoots = append(rep.NewRoots, newRootReport{Fingerprint: print, Doubt: r.doubt.Error()})
		return nil
	}
	n := newRootReport{Fingerprint: print, Verified: true}
	if bytes.Equal(r.old, r.cert) {
		say("the new root is trusted already: SHA-256 %s", print)
		rep.NewRoots = append(rep.NewRoots, n)
		return nil
	}
	x, err := x509.ParseCertificate(r.old)
	if err != nil {
		return err
	}
	say("the new root is verified by the old one, %q: SHA-256 %s", pkix.Name(x.RawSubject).String(), print)
	if t.updateAnchors {
		if n.Anchors, err = addAnchor(t.trust, r.old, r.cert); err != nil {
			return err
		}
		say("%s has it now, beside the old one", n.Anchors)
	}
	rep.NewRoots = append(rep.NewRoots, n)
	return nil
}

// newRootReport is what --json prints of a new root.
type newRootReport struct {
	Fingerprint string `json:"fingerprint"` // SHA-256
	Verified    bool   `json:"verified"`    // by a root of --trust
	Doubt       string `json:"doubt,omitempty"`
	Anchors     string `json:"anchors,omitempty"` // the file that has it now
}

// addAnchor adds a root to the first file that has another one. The old one
// stays: what it certified lives on until it ends.
func addAnchor(files []string, old, next []byte) (string, error) {
	for _, path := range files {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		certs, err := keyfile.ParseCertificates(data)
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		if !slices.ContainsFunc(certs, func(c []byte) bool { return bytes.Equal(c, old) }) {
			continue
		}
		if b, _ := pem.Decode(data); b == nil {
			data = keyfile.MarshalCertificates(certs...)
		}
		if !bytes.HasSuffix(data, []byte("\n")) {
			data = append(data, '\n')
		}
		data = append(data, keyfile.MarshalCertificates(next)...)
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return "", err
		}
		i, err := os.Stat(real)
		if err != nil {
			return "", err
		}
		return path, replaceFile(real, data, i.Mode().Perm())
	}
	return "", errors.New("no file of --trust has the old root any more")
}
