-- Revocation passphrases, sealed, that requesters have left.
CREATE TABLE passphrase (
  owner   BLOB PRIMARY KEY,
  version INTEGER NOT NULL,
  kid     BLOB, -- the owner's name for it; NULL: none
  rule    TEXT NOT NULL,
  created INTEGER NOT NULL,
  sealed  BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE UNIQUE INDEX passphrase_kid ON passphrase (kid) WHERE kid IS NOT NULL;
