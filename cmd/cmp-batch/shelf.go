package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cmp-batch/cmpcore"
	"cmp-batch/cmpcore/certpath"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/configs"
)

// Bounds on the CRLs of one element of trust. A million revoked certificates
// make some 40 MiB.
const (
	maxCRLFile  = 64 << 20  // octets of one file
	maxCRLBytes = 256 << 20 // of all files
	maxCRLs     = 1000
)

// shelf holds the CRLs of one element of trust as they were read last.
type shelf struct {
	cfg     configs.Trust
	anchors []*x509.Certificate
	crls    atomic.Pointer[[]*certpath.CRL]

	mu    sync.Mutex // of the rest
	files map[string]*crlFile
	said  map[*certpath.CRL]bool // logged as not valid now
}

// crlFile is a file as it was when it was looked at last. With an error its CRLs
// are those of before.
type crlFile struct {
	path string
	size int64
	mod  time.Time
	read time.Time
	crls []*certpath.CRL
	err  error

	settled bool // its content, good or bad, was read
}

func newShelf(t configs.Trust) (*shelf, error) {
	s := &shelf{cfg: t, files: map[string]*crlFile{}}
	for _, path := range t.Anchors {
		certs, err := readAnchors(path)
		if err != nil {
			return nil, err
		}
		for _, c := range certs {
			if !slices.ContainsFunc(s.anchors, c.Equal) {
				s.anchors = append(s.anchors, c)
			}
		}
	}
	s.crls.Store(&[]*certpath.CRL{})
	return s, nil
}

// trust is what the Engine asks.
func (s *shelf) trust() cmpcore.Trust {
	return cmpcore.Trust{
		Name: s.cfg.Name, Anchors: s.anchors, Mode: revocationModes[s.cfg.Revocation],
		CRLs: func() []*certpath.CRL { return *s.crls.Load() },
	}
}

// revocationModes are the words of trust[].revocation.
var revocationModes = map[string]cmpcore.RevocationMode{
	"require": cmpcore.RevocationRequire, "prefer": cmpcore.RevocationPrefer, "off": cmpcore.RevocationOff,
}

// reload reads what is new or changed. What cannot be read leaves what was read
// before, which can only grow old.
func (s *shelf) reload(now time.Time, log *slog.Logger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log = log.With("trust", s.cfg.Name)
	seen := map[string]*crlFile{}
	room := &bounds{maxCRLBytes, maxCRLs}
	for _, path := range s.cfg.CRLs {
		files, err := crlPaths(path)
		if err != nil {
			s.keep(seen, path, room, err, log)
			continue
		}
		for _, f := range files {
			if seen[f] == nil {
				seen[f] = s.look(f, room, now, log)
			}
		}
	}
	for path, f := range s.files {
		if seen[path] == nil && len(f.crls) > 0 {
			log.Warn("CRL taken away", "file", path)
		}
	}
	s.files = seen
	var all []*certpath.CRL
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		all = append(all, s.files[path].crls...)
	}
	s.crls.Store(&all)
	s.complain(all, now, log)
}

// keep goes on with what was read under a path that cannot be looked at now.
func (s *shelf) keep(seen map[string]*crlFile, path string, room *bounds, err error, log *slog.Logger) {
	under := path + string(filepath.Separator)
	for p, f := range s.files {
		if strings.HasPrefix(p, under) && seen[p] == nil && room.take(f) {
			seen[p] = f
		}
	}
	f := &crlFile{path: path}
	if old := s.files[path]; old != nil {
		f.size, f.crls, f.err = old.size, old.crls, old.err
		room.take(f)
	}
	f.fail(err, log)
	seen[path] = f
}

func (f *crlFile) fail(err error, log *slog.Logger) {
	if f.err == nil || f.err.Error() != err.Error() {
		log.Error("CRL cannot be read", "file", f.path, "err", err, "used_from_before", len(f.crls))
	}
	f.err = err
}

// crlPaths gives the files that a path stands for.
func crlPaths(path string) ([]string, error) {
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !i.IsDir() {
		return []string{path}, nil
	}
	var list []string
	err = entries(path, func(e os.DirEntry) {
		switch name := e.Name(); strings.ToLower(filepath.Ext(name)) {
		case ".crl", ".pem", ".der":
			if !strings.HasPrefix(name, ".") && !e.IsDir() {
				list = append(list, filepath.Join(path, name))
			}
		}
	})
	slices.Sort(list)
	if len(list) > maxCRLs {
		return nil, fmt.Errorf("%s has more than %d CRLs", path, maxCRLs)
	}
	return list, err
}

// look reads a file where it is another than it was, if there is room for it.
func (s *shelf) look(path string, room *bounds, now time.Time, log *slog.Logger) *crlFile {
	old := s.files[path]
	if old == nil {
		old = &crlFile{}
	}
	f := &crlFile{path: path, read: now, crls: old.crls, err: old.err}
	i, err := os.Stat(path)
	if err != nil {
		room.take(f)
		f.fail(err, log)
		return f
	}
	f.size, f.mod = i.Size(), i.ModTime()
	// What was written just before it was read may have been written again
	// since, in the same tick of the file system's clock.
	settled := old.settled && old.read.Sub(old.mod) > 2*time.Second && old.size == f.size && old.mod.Equal(f.mod)
	if settled && room.take(old) {
		return old
	}
	if f.crls = nil; !room.take(f) {
		f.fail(fmt.Errorf("the CRLs of this trust are more than %d, or than %d MiB: this file is not used", maxCRLs, maxCRLBytes>>20), log)
		return f
	}
	list, err := readCRLs(path)
	var bad contentError
	f.settled = err == nil || errors.As(err, &bad)
	f.crls = list
	if err == nil && !room.take(&crlFile{crls: list}) {
		err = fmt.Errorf("the CRLs of this trust are more than %d: this file is not used", maxCRLs)
		f.settled, f.crls = false, nil
	}
	if err != nil {
		if f.crls = old.crls; !room.take(&crlFile{crls: f.crls}) {
			f.crls = nil
		}
		f.fail(err, log)
		return f
	}
	changed := len(list) != len(old.crls)
	for i, l := range list {
		switch {
		case !changed && l.Same(old.crls[i]):
			list[i] = old.crls[i] // its signature need not be checked again
			continue
		case !changed && l.SameScope(old.crls[i]) && l.ThisUpdate().Before(old.crls[i].ThisUpdate()):
			log.Warn("CRL is older than the one before", "file", path, "this_update", l.ThisUpdate(), "before", old.crls[i].ThisUpdate())
		}
		log.Info("CRL read", "file", path, "issuer", l.Issuer().String(), "number", l.Number(), "this_update", l.ThisUpdate(), "next_update", l.NextUpdate(), "revoked", l.Len())
	}
	f.err = nil
	return f
}

// bounds is the room that is left.
type bounds struct {
	octets int64
	crls   int
}

// take makes room for a file, or says that there is none.
func (b *bounds) take(f *crlFile) bool {
	if f.size > b.octets || len(f.crls) > b.crls {
		return false
	}
	b.octets -= f.size
	b.crls -= len(f.crls)
	return true
}

// contentError is of a file that could be read, but not understood: as long as
// it does not change, it need not be read again.
type contentError struct{ error }

func (e contentError) Unwrap() error { return e.error }

func readCRLs(path string) ([]*certpath.CRL, error) {
	i, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !i.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", path) // a pipe would be waited for
	}
	data, err := readBounded(path, maxCRLFile)
	if err != nil {
		return nil, err
	}
	ders, err := keyfile.ParseCRLs(data)
	if err != nil {
		return nil, contentError{fmt.Errorf("%s: %w", path, err)}
	}
	var list []*certpath.CRL
	for _, der := range ders {
		l, err := certpath.ParseCRL(der)
		if err != nil {
			return nil, contentError{fmt.Errorf("%s: %w", path, err)}
		}
		list = append(list, l)
	}
	return list, nil
}

// complain logs each CRL once that is not valid now and has no newer one.
func (s *shelf) complain(all []*certpath.CRL, now time.Time, log *slog.Logger) {
	said := map[*certpath.CRL]bool{}
	for _, l := range newest(all, now) {
		if l.Fresh(now) || s.cfg.Revocation == "off" {
			continue
		}
		if said[l] = true; s.said[l] {
			continue
		}
		what := "signers of whom nothing else is known are refused"
		if s.cfg.Revocation == "prefer" {
			what = "signers are believed if it does not list them"
		}
		log.Warn("CRL is not valid now", "issuer", l.Issuer().String(), "this_update", l.ThisUpdate(), "next_update", l.NextUpdate(), "effect", what)
	}
	s.said = said
}

// newest leaves out what a newer CRL of the same issuer and scope replaces. One
// that is not valid yet replaces none.
func newest(all []*certpath.CRL, now time.Time) (list []*certpath.CRL) {
	for _, l := range all {
		if !slices.ContainsFunc(all, func(o *certpath.CRL) bool {
			return o != l && o.SameScope(l) && !o.ThisUpdate().After(now) && (o.ThisUpdate().After(l.ThisUpdate()) && !l.ThisUpdate().After(now))
		}) {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b *certpath.CRL) int { return cmp.Compare(a.Issuer().String(), b.Issuer().String()) })
	return list
}

// errors are the files that cannot be read, in order.
func (s *shelf) errors() (list []*crlFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		if f := s.files[path]; f.err != nil {
			list = append(list, f)
		}
	}
	return list
}

// counts are how many CRLs are valid now, are not, and how many files cannot be
// read; next is when the first of the valid ones ends.
func (s *shelf) counts(now time.Time) (valid, invalid, unread int64, next time.Time) {
	for _, l := range newest(*s.crls.Load(), now) {
		if !l.Fresh(now) {
			invalid++
			continue
		}
		if valid++; next.IsZero() || l.NextUpdate().Before(next) {
			next = l.NextUpdate()
		}
	}
	return valid, invalid, int64(len(s.errors())), next
}

// readTrust reads the CRLs of other CAs for the first time.
func (a *authority) readTrust() {
	for _, s := range a.shelves {
		s.reload(time.Now(), a.log)
	}
}

// keepTrust reads what changes while the daemon runs.
func (a *authority) keepTrust(ctx context.Context) error {
	if len(a.shelves) == 0 {
		return nil
	}
	t := time.NewTicker(a.cfg.Batch.ScanEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			a.readTrust()
		}
	}
}

func readAnchors(path string) ([]*x509.Certificate, error) {
	ders, err := readCertificates(path)
	if err != nil {
		return nil, err
	}
	var list []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, c)
	}
	return list, nil
}
