-- Times are microseconds since 1970 in UTC.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID, STRICT;

-- One row a commit. Its messages are those from first to last (none where last
-- is below first). While delivered is 0, all of them that have a reply are
-- undelivered, and so is each message named in the table undelivered.
CREATE TABLE batch (
  id        INTEGER PRIMARY KEY,
  first     INTEGER NOT NULL,
  last      INTEGER NOT NULL,
  delivered INTEGER NOT NULL
) STRICT;
CREATE INDEX batch_open ON batch (delivered) WHERE delivered = 0;

CREATE TABLE undelivered (
  message INTEGER PRIMARY KEY,
  batch   INTEGER NOT NULL
) STRICT;
CREATE INDEX undelivered_batch ON undelivered (batch);

-- Rows that are found by a random key are indexed within eras, some ten thousand
-- requests each. A commit then writes only into the pages of the era it is in,
-- instead of into a page anywhere in a large index for each key. For each era
-- that is over, a Bloom filter tells which keys cannot be in it.
CREATE TABLE current (
  one  INTEGER PRIMARY KEY CHECK (one = 1),
  era  INTEGER NOT NULL,
  keys INTEGER NOT NULL, -- in this era
  past INTEGER NOT NULL  -- in all eras before
) STRICT;
INSERT INTO current VALUES (1, 1, 0, 0);

CREATE TABLE era (
  id     INTEGER PRIMARY KEY, -- 1, 2, 3, ...
  filter BLOB NOT NULL
) STRICT;

-- The index has only the first 8 octets of the hash, so that it stays small;
-- every query compares the rest as well.
CREATE TABLE message (
  id          INTEGER PRIMARY KEY,
  era         INTEGER NOT NULL,
  h           INTEGER NOT NULL, -- octets 0 to 7 of the SHA-256
  rest        BLOB NOT NULL,    -- octets 8 to 31
  disposition INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  channel     TEXT NOT NULL,
  name        TEXT NOT NULL,
  reason      TEXT,
  reply       BLOB
) STRICT;
CREATE INDEX message_hash ON message (era, h);
CREATE INDEX message_held ON message (disposition) WHERE disposition = 4;
CREATE INDEX message_failed ON message (disposition) WHERE disposition = 5;

-- More places for the answer of a message that was held when it came again.
CREATE TABLE also_return (
  id      INTEGER PRIMARY KEY,
  message INTEGER NOT NULL,
  channel TEXT NOT NULL,
  name    TEXT NOT NULL,
  UNIQUE (message, channel, name)
) STRICT;

-- Messages that are kept while their transaction waits for a person.
CREATE TABLE request (
  message INTEGER PRIMARY KEY,
  tx      INTEGER NOT NULL,
  der     BLOB NOT NULL
) STRICT;
CREATE INDEX request_tx ON request (tx);

-- phase is what is still to be done, NULL where nothing is: 1 undecided,
-- 2 decided and held, 3 decided and answered, 4 frozen, 5 awaiting certConf.
CREATE TABLE tx (
  id      INTEGER PRIMARY KEY,
  era     INTEGER NOT NULL,
  k1      INTEGER NOT NULL, -- octets 0 to 7 of the key
  k2      INTEGER NOT NULL, -- octets 8 to 15
  version INTEGER NOT NULL,
  state   INTEGER NOT NULL,
  phase   INTEGER,
  expires INTEGER,          -- NULL: never
  data    BLOB NOT NULL
) STRICT;
CREATE INDEX tx_key ON tx (era, k1);
CREATE INDEX tx_phase ON tx (phase, expires) WHERE phase IS NOT NULL;

CREATE TABLE certificate (
  id         INTEGER PRIMARY KEY,
  era        INTEGER NOT NULL,
  serial     BLOB NOT NULL,
  kid        INTEGER NOT NULL, -- octets 0 to 7 of the key identifier
  version    INTEGER NOT NULL,
  status     INTEGER NOT NULL,
  not_after  INTEGER NOT NULL,
  revoked_at INTEGER,
  reason     INTEGER NOT NULL,
  invalidity INTEGER,
  data       BLOB NOT NULL,
  der        BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX certificate_serial ON certificate (era, serial);
CREATE INDEX certificate_key ON certificate (era, kid);
CREATE INDEX certificate_unconfirmed ON certificate (status) WHERE status = 1;
-- Has all that a CRL needs, in the order of serial numbers.
CREATE INDEX certificate_revoked
  ON certificate (length(serial), serial, not_after, status, revoked_at, reason, invalidity, version)
  WHERE status >= 3;

CREATE TABLE secret (
  ref      BLOB PRIMARY KEY,
  version  INTEGER NOT NULL,
  created  INTEGER NOT NULL,
  expires  INTEGER,
  max_uses INTEGER NOT NULL,
  used     INTEGER NOT NULL,
  rule     TEXT NOT NULL,
  bodies   TEXT NOT NULL, -- separated by commas
  sealed   BLOB NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE crl (
  number      INTEGER PRIMARY KEY,
  this_update INTEGER NOT NULL,
  next_update INTEGER NOT NULL,
  der         BLOB NOT NULL
) STRICT;

CREATE TABLE audit (
  seq     INTEGER PRIMARY KEY,
  head    BLOB NOT NULL,
  entries BLOB NOT NULL
) STRICT;
