package sqlite

import (
	"context"

	"cmp-batch/cmpcore"
	"cmp-batch/spool"
)

// Lookup finds the messages of these hashes that are stored already. It reads
// one state for all of them.
func (s *Store) Lookup(ctx context.Context, hashes []cmpcore.Hash) (map[cmpcore.Hash]spool.Stored, error) {
	found := make(map[cmpcore.Hash]spool.Stored)
	if len(hashes) == 0 {
		return found, nil
	}
	c, err := s.readers.get(ctx)
	if err != nil {
		return nil, s.explain(ctx, "look up messages", err)
	}
	defer s.readers.put(c)
	err = c.q(qBegin).exec()
	if err == nil {
		err = s.lookup(c, hashes, found)
		c.rollback()
	}
	if err != nil {
		return nil, s.explain(ctx, "look up messages", err)
	}
	return found, nil
}

func (s *Store) lookup(c *conn, hashes []cmpcore.Hash, found map[cmpcore.Hash]spool.Stored) error {
	e, err := s.current(c)
	if err != nil {
		return err
	}
	for i := range hashes {
		m, err := e.stored(c, &hashes[i])
		if err != nil {
			return err
		}
		if m.ID != 0 {
			found[hashes[i]] = m
		}
	}
	return nil
}
