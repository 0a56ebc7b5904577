package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"cmp-batch/cmpcore/cmp"
	"cmp-batch/configs"
	"cmp-batch/spool"
)

// rootAnnouncedKey is where the Store keeps that a change of the root's key was
// announced.
const rootAnnouncedKey = "announced.root."

// announceRoots announces changes of the root's key that were not announced
// yet. A crash in between announces one twice, which does no harm.
func (a *authority) announceRoots(ctx context.Context) error {
	updates, err := rootUpdates(a.cfg)
	if err != nil {
		return usageError{err}
	}
	for i, u := range updates {
		sum := sha256.Sum256(u.New)
		key := rootAnnouncedKey + hex.EncodeToString(sum[:])
		if done, err := a.store.Meta(ctx, key); err != nil || done != nil {
			if err != nil {
				return err
			}
			continue
		}
		out, err := a.engine.AnnounceRoot(i)
		if err != nil {
			return err
		}
		if out == nil {
			continue // nobody is to be told
		}
		if _, _, err := a.store.Commit(ctx, []spool.Entry{{Received: time.Now(), Outcome: out}}); err != nil {
			return fmt.Errorf("announce a new root: %w", err)
		}
		if err := a.store.SetMeta(ctx, key, []byte{1}); err != nil {
			return err
		}
		a.log.Info("new root announced", "root", a.cfg.CA.RootUpdates[i].New, "messages", len(out.Outgoing))
	}
	return nil
}

// tell delivers what was to be announced after the last message, such as the
// CRL that came of it.
func (j *joined) tell(ctx context.Context, a *authority) error {
	if !slices.ContainsFunc(a.cfg.Announcements, func(an configs.Announcement) bool { return slices.Contains(an.What, cmp.TypeCRLAnn) }) {
		return nil
	}
	p := spool.New(spool.Config{Store: a.store, Processor: a.engine, Sinks: j.sinks, BatchSize: a.cfg.Batch.Size, Workers: 1, Logger: a.log})
	_, err := p.Drain(ctx)
	return err
}
