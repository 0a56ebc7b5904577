-- The message that brought this one inside it (0 where that one is not known);
-- NULL where it came alone. Its reply is delivered inside the other's.
ALTER TABLE message ADD COLUMN part_of INTEGER;

-- Messages that nobody asked for. Their ids are of the same sequence as those of
-- messages, and are listed in the table undelivered until they have arrived; then
-- the row goes.
CREATE TABLE outgoing (
  id      INTEGER PRIMARY KEY,
  channel TEXT NOT NULL,
  name    TEXT NOT NULL,
  der     BLOB NOT NULL
) STRICT;

-- Private keys, encrypted, that requesters gave to keep.
CREATE TABLE archived_key (
  id        INTEGER PRIMARY KEY,
  kid       BLOB NOT NULL,
  requester BLOB NOT NULL,
  serial    BLOB NOT NULL, -- empty: of no certificate
  subject   BLOB NOT NULL,
  created   INTEGER NOT NULL,
  envelope  BLOB NOT NULL
) STRICT;
CREATE INDEX archived_key_kid ON archived_key (kid);
CREATE INDEX archived_key_requester ON archived_key (requester);

-- A further phase in tx: 6 awaiting the response to a challenge.
