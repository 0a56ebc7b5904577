package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"cmp-batch/cmpcore"
)

// archiveMeta is where the Store keeps the name of the set of keys that opened
// all of the archive. While the set is the same, nothing need be looked at: what
// is new in the archive is for one of them.
const archiveMeta = "archive-opens"

const formerHint = "write the certificate and key that were replaced under ca.encryption.former; where they are lost, write the recipient under ca.encryption.lost"

// orphan is a recipient of archived keys whose key is not there.
type orphan struct {
	recipient string
	keys      int // that are for it
	err       error
}

func (o orphan) String() string {
	return fmt.Sprintf("no key of ca.encryption opens %s, archived for the recipient %s (%v)", count(o.keys, "private key"), o.recipient, o.err)
}

// archiveOpens refuses to work with keys that do not open the archive: whoever
// has lost a key should not be the one who finds out.
func (a *authority) archiveOpens(ctx context.Context) error {
	set := a.openerSet()
	seen, err := a.store.Meta(ctx, archiveMeta)
	if err != nil || string(seen) == set {
		return err
	}
	orphans, n, err := a.orphans(ctx)
	if err != nil {
		return err
	}
	if a.opener == nil && n > 0 {
		a.log.Warn("the database has archived private keys, and without ca.encryption nothing opens them", "keys", n)
		return nil
	}
	if len(orphans) > 0 {
		var errs []error
		for _, o := range orphans {
			errs = append(errs, errors.New(o.String()))
		}
		return hint(usageError{errors.Join(errs...)}, "%s", formerHint)
	}
	return a.store.SetMeta(ctx, archiveMeta, []byte(set))
}

// openerSet names the keys that open the archive and what is given up.
func (a *authority) openerSet() string {
	if a.opener == nil {
		return ""
	}
	names := slices.Clone(a.cfg.CA.Encryption.Lost)
	add := func(cert []byte) {
		sum := sha256.Sum256(cert)
		names = append(names, hex.EncodeToString(sum[:]))
	}
	add(a.opener.Certificate)
	for _, f := range a.opener.Former {
		add(f.Certificate)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), "\n")
}

// orphans goes through the archive, of which there are n keys, and opens one key
// of each recipient.
func (a *authority) orphans(ctx context.Context) (list []orphan, n int, err error) {
	seen := map[string]int{} // index in list, -1 for what opens
	for k, err := range a.store.Archive(ctx) {
		if err != nil {
			return nil, 0, err
		}
		n++
		if a.opener == nil {
			continue
		}
		to, err := cmpcore.ArchiveRecipient(k)
		if err != nil {
			to = fmt.Sprintf("certificate:%x", k.Serial) // damaged
		}
		i, known := seen[to]
		if !known {
			i = -1
			if !slices.Contains(a.cfg.CA.Encryption.Lost, to) {
				if err == nil {
					err = a.opener.Opens(rand.Reader, k)
				}
				if err != nil {
					i = len(list)
					list = append(list, orphan{recipient: to, err: err})
				}
			}
			seen[to] = i
		}
		if i >= 0 {
			list[i].keys++
		}
	}
	return list, n, nil
}

// archive opens one key of each recipient in the archive.
func (k *checker) archive(ctx context.Context) {
	orphans, n, err := k.a.orphans(ctx)
	switch {
	case err != nil:
		k.fail("archive", "", "%v", err)
	case n == 0:
	case k.a.opener == nil:
		k.warn("archive", "write ca.encryption with the certificate and key that they were archived under", "%s, which nothing opens", count(n, "archived private key"))
	case len(orphans) == 0:
		k.ok("archive", "%s, which ca.encryption opens", count(n, "private key"))
	}
	for _, o := range orphans {
		k.misconfigured("archive", formerHint, "%s", o)
	}
}
