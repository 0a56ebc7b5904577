package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cmp-batch/spool"
)

// crlCountKey is where the Store keeps how many certificates were revoked when
// the last CRL was made.
const crlCountKey = "crl.revoked"

// crlSignerKey is where it keeps the identifier of the key that signed it.
const crlSignerKey = "crl.signer"

// refreshCRL makes a new CRL where one is due by the schedule of the
// configuration, and sees to it that the file is the newest one.
func (a *authority) refreshCRL(ctx context.Context) error {
	last, err := a.store.View().CRL(ctx)
	if err != nil {
		return err
	}
	counts, err := a.store.Counts(ctx)
	if err != nil {
		return err
	}
	due := last == nil
	if last != nil {
		now := time.Now()
		due = a.cfg.CRL.Every > 0 && !now.Before(last.ThisUpdate.Add(a.cfg.CRL.Every))
		// A new key of the CA says so by its first CRL.
		if a.cfg.CRL.Every > 0 || a.cfg.CRL.OnRevoke {
			by, err := a.store.Meta(ctx, crlSignerKey)
			if err != nil {
				return err
			}
			due = due || by != nil && !bytes.Equal(by, a.caKeyID)
		}
		if a.cfg.CRL.OnRevoke {
			was, err := a.store.Meta(ctx, crlCountKey)
			if err != nil {
				return err
			}
			due = due || len(was) != 8 || int64(binary.BigEndian.Uint64(was)) != counts.RevokedCertificates
		}
	}
	if due {
		return a.makeCRL(ctx)
	}
	return a.writeCRLFile(last.DER)
}

// makeCRL makes the next CRL now.
func (a *authority) makeCRL(ctx context.Context) error {
	for range 10 {
		counts, err := a.store.Counts(ctx)
		if err != nil {
			return err
		}
		out, err := a.engine.MakeCRL(ctx, a.store.View())
		if err != nil {
			return err
		}
		_, verdicts, err := a.store.Commit(ctx, []spool.Entry{{Received: time.Now(), Outcome: out}})
		if err != nil {
			return fmt.Errorf("store CRL %d: %w", out.CRL.Number, err)
		}
		if verdicts[0].Conflict {
			continue // another process made one meanwhile
		}
		if err := a.store.SetMeta(ctx, crlCountKey, binary.BigEndian.AppendUint64(nil, uint64(counts.RevokedCertificates))); err != nil {
			return err
		}
		if err := a.store.SetMeta(ctx, crlSignerKey, a.caKeyID); err != nil {
			return err
		}
		a.log.Info("CRL made", "number", out.CRL.Number, "next_update", out.CRL.NextUpdate)
		return a.writeCRLFile(out.CRL.DER)
	}
	return fmt.Errorf("CRL: %w", spool.ErrConflict)
}

// writeCRLFile replaces the CRL file of the configuration, never half.
func (a *authority) writeCRLFile(der []byte) error {
	path := a.cfg.CRL.File
	if path == "" {
		return nil
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == string(der) {
		return nil
	}
	return replaceFile(path, der, 0o644)
}

// replaceFile puts data under path, whole or not at all.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".cmp-batch-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Chmod(mode); err != nil {
		f.Close()
		return err
	}
	if _, err := f.Write(data); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// crlCheck is how often a running daemon looks whether a CRL is due.
const crlCheck = 30 * time.Second

// keepCRL keeps the CRL fresh while the daemon runs. A CRL that cannot be made
// is logged and tried again; it stops nothing else.
func (a *authority) keepCRL(ctx context.Context) error {
	t := time.NewTicker(crlCheck)
	defer t.Stop()
	for {
		if err := a.refreshCRL(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("CRL", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
