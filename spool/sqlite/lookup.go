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
		err = lookup(c, hashes, found)
		c.rollback()
	}
	if err != nil {
		return nil, s.explain(ctx, "look up messages", err)
	}
	return found, nil
}

func lookup(c *conn, hashes []cmpcore.Hash, found map[cmpcore.Hash]spool.Stored) error {
	for i := range hashes {
		h1, rest := hashKey(&hashes[i])
		q := c.q(qLookup).int(h1).blob(rest)
		if q.next() {
			found[hashes[i]] = spool.Stored{
				ID:          q.ColumnInt64(0),
				Disposition: cmpcore.Disposition(q.ColumnInt64(1)),
				Reply:       q.copyBlob(2),
				Reason:      q.ColumnText(3),
			}
		}
		if err := q.done(); err != nil {
			return err
		}
	}
	return nil
}
