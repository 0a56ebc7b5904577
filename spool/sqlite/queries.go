package sqlite

// query names a statement of the hot paths; connections prepare each once.
type query int

const (
	qBegin query = iota
	qBeginWrite
	qCommit
	qRollback

	qCurrent
	qFilters
	qLookup
	qMessageOfHash
	qRequest
	qTransaction
	qTransactionByID
	qTransactionState
	qCertificate
	qCertificateState
	qCertificatesOfKey
	qSecret
	qCRL
	qArchivedOfRequester
	qArchivedOfKey
	qArchive
	qPassphrase
	qPassphraseOfKey
	qPassphraseVersion
	qRevokedSameLength
	qRevokedLonger

	qLastBatch
	qLastAudit
	qCRLNumber
	qSecretUses
	qInsertMessage
	qReleaseMessage
	qInsertPart
	qInsertOutgoing
	qInsertArchived
	qPutPassphrase
	qSavepoint
	qRollbackTo
	qReleaseSavepoint
	qInsertRequest
	qWithdraw
	qDropRequest
	qInsertTransaction
	qUpdateTransaction
	qInsertCertificate
	qChangeCertificate
	qUseSecret
	qDropCRL
	qInsertCRL
	qInsertAudit
	qUpdateCurrent
	qInsertEra
	qMessageKeys
	qTransactionKeys
	qSerialKeys
	qKeyIDKeys
	qInsertBatch
	qInsertUndelivered

	qBatch
	qBatchDelivered
	qListBatch
	qUndeliveredOfBatch
	qDropUndelivered
	qDropOutgoing
	qOutgoing
	qOpenBatches
	qOpenMessages
	qUndelivered
	qAnswer
	qAlsoReturns
	qBatchOfMessage
	qMessageReturn
	qInsertReturn

	qReleasable
	qExpired
	qWaiting

	qMeta
	qSetMeta
	qInsertSecret
	qDeleteSecret
	qSecrets
	qPassphrases
	qDeletePassphrase
	qCertificates
	qCertificatesUnconfirmed
	qFailures
	qForget
	qAudit

	queryCount
)

const (
	certificateColumns = `id, serial, version, status, not_after, revoked_at, reason, invalidity, data, der FROM certificate `
	transactionColumns = `id, k1, k2, version, state, data FROM tx `
	revoked            = `SELECT serial, version, status, not_after, revoked_at, reason, invalidity FROM certificate INDEXED BY certificate_revoked WHERE status >= 3 `
	archivedColumns    = `kid, requester, serial, subject, created, envelope FROM archived_key `
	passphraseColumns  = `owner, version, kid, rule, created, sealed FROM passphrase `
	secretColumns      = `ref, version, created, expires, max_uses, used, rule, bodies, sealed FROM secret `
)

var queries = [queryCount]string{
	qBegin:      `BEGIN`,
	qBeginWrite: `BEGIN IMMEDIATE`,
	qCommit:     `COMMIT`,
	qRollback:   `ROLLBACK`,

	qCurrent:             `SELECT era, keys, past FROM current`,
	qFilters:             `SELECT id, filter FROM era WHERE id>?1 ORDER BY id`,
	qLookup:              `SELECT id, disposition, reply, reason FROM message WHERE era=?1 AND h=?2 AND rest=?3`,
	qMessageOfHash:       `SELECT id, disposition FROM message WHERE era=?1 AND h=?2 AND rest=?3`,
	qRequest:             `SELECT der FROM request WHERE message=?1`,
	qTransaction:         `SELECT ` + transactionColumns + `WHERE era=?1 AND k1=?2 AND k2=?3`,
	qTransactionByID:     `SELECT ` + transactionColumns + `WHERE id=?1`,
	qTransactionState:    `SELECT id, version, state FROM tx WHERE era=?1 AND k1=?2 AND k2=?3`,
	qCertificate:         `SELECT ` + certificateColumns + `WHERE era=?1 AND serial=?2`,
	qCertificateState:    `SELECT id, version FROM certificate WHERE era=?1 AND serial=?2`,
	qCertificatesOfKey:   `SELECT ` + certificateColumns + `WHERE era=?1 AND kid=?2 ORDER BY id DESC`,
	qSecret:              `SELECT ` + secretColumns + `WHERE ref=?1`,
	qCRL:                 `SELECT number, this_update, next_update, der FROM crl ORDER BY number DESC LIMIT 1`,
	qArchivedOfRequester: `SELECT ` + archivedColumns + `WHERE requester=?1 ORDER BY id DESC LIMIT ?2`,
	qArchivedOfKey:       `SELECT ` + archivedColumns + `INDEXED BY archived_key_kid WHERE requester=?1 AND kid=?2 ORDER BY id DESC LIMIT ?3`,
	qArchive:             `SELECT id, ` + archivedColumns + `WHERE id>?1 ORDER BY id LIMIT ?2`,
	qPassphrase:          `SELECT ` + passphraseColumns + `WHERE owner=?1`,
	qPassphraseOfKey:     `SELECT ` + passphraseColumns + `WHERE kid=?1`,
	qPassphraseVersion:   `SELECT version FROM passphrase WHERE owner=?1`,
	qRevokedSameLength:   revoked + `AND length(serial)=?1 AND serial>?2 AND not_after>=?3 ORDER BY serial LIMIT ?4`,
	qRevokedLonger:       revoked + `AND length(serial)>?1 AND not_after>=?2 ORDER BY length(serial), serial LIMIT ?3`,

	qLastBatch:     `SELECT id, last FROM batch ORDER BY id DESC LIMIT 1`,
	qLastAudit:     `SELECT seq, head FROM audit ORDER BY seq DESC LIMIT 1`,
	qCRLNumber:     `SELECT number FROM crl ORDER BY number DESC LIMIT 1`,
	qSecretUses:    `SELECT max_uses, used FROM secret WHERE ref=?1`,
	qInsertMessage: `INSERT INTO message (id, era, h, rest, disposition, received, channel, name, reason, reply) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)`,
	qInsertPart: `INSERT INTO message (id, era, h, rest, disposition, received, channel, name, reason, reply, part_of)
		VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)`,
	qInsertOutgoing: `INSERT INTO outgoing (id, channel, name, der) VALUES (?1,?2,?3,?4)`,
	qInsertArchived: `INSERT INTO archived_key (kid, requester, serial, subject, created, envelope) VALUES (?1,?2,?3,?4,?5,?6)`,
	qPutPassphrase: `INSERT INTO passphrase (owner, version, kid, rule, created, sealed) VALUES (?1,?2,?3,?4,?5,?6)
		ON CONFLICT (owner) DO UPDATE SET version=excluded.version, kid=excluded.kid, rule=excluded.rule, created=excluded.created, sealed=excluded.sealed`,
	qSavepoint:        `SAVEPOINT entry`,
	qRollbackTo:       `ROLLBACK TO entry`,
	qReleaseSavepoint: `RELEASE entry`,
	qReleaseMessage:   `UPDATE message SET disposition=?1, reason=?2, reply=?3 WHERE id=?4`,
	qInsertRequest:    `INSERT OR REPLACE INTO request (message, tx, der) VALUES (?1,?2,?3)`,
	qWithdraw: `UPDATE message SET disposition=6, reason=?1
		WHERE id IN (SELECT message FROM request INDEXED BY request_tx WHERE tx=?2) AND disposition=4`,
	qDropRequest:       `DELETE FROM request WHERE tx=?1`,
	qInsertTransaction: `INSERT INTO tx (era, k1, k2, version, state, phase, expires, data) VALUES (?1,?2,?3,1,?4,?5,?6,?7)`,
	qUpdateTransaction: `UPDATE tx SET version=?1, state=?2, phase=?3, expires=?4, data=?5 WHERE id=?6`,
	qInsertCertificate: `INSERT INTO certificate (era, serial, kid, version, status, not_after, revoked_at, reason, invalidity, data, der)
		VALUES (?1,?2,?3,1,?4,?5,?6,?7,?8,?9,?10)`,
	qChangeCertificate: `UPDATE certificate SET version=version+1, status=?1, revoked_at=?2, reason=?3, invalidity=?4 WHERE id=?5`,
	qUseSecret:         `UPDATE secret SET used=?1 WHERE ref=?2`,
	qDropCRL:           `DELETE FROM crl`,
	qInsertCRL:         `INSERT INTO crl (number, this_update, next_update, der) VALUES (?1,?2,?3,?4)`,
	qInsertAudit:       `INSERT INTO audit (seq, head, entries) VALUES (?1,?2,?3)`,
	qUpdateCurrent:     `UPDATE current SET era=?1, keys=?2, past=?3`,
	qInsertEra:         `INSERT INTO era (id, filter) VALUES (?1,?2)`,
	qMessageKeys:       `SELECT h FROM message WHERE era=?1`,
	qTransactionKeys:   `SELECT k1 FROM tx WHERE era=?1`,
	qSerialKeys:        `SELECT serial FROM certificate INDEXED BY certificate_serial WHERE era=?1`,
	qKeyIDKeys:         `SELECT kid FROM certificate INDEXED BY certificate_key WHERE era=?1`,
	qInsertBatch:       `INSERT INTO batch (id, first, last, delivered) VALUES (?1,?2,?3,?4)`,
	qInsertUndelivered: `INSERT OR IGNORE INTO undelivered (message, batch) VALUES (?1,?2)`,

	qBatch:          `SELECT first, last, delivered FROM batch WHERE id=?1`,
	qBatchDelivered: `UPDATE batch SET delivered=1 WHERE id=?1`,
	qListBatch: `INSERT OR IGNORE INTO undelivered (message, batch)
		SELECT id, ?1 FROM message WHERE id BETWEEN ?2 AND ?3 AND reply IS NOT NULL AND part_of IS NULL`,
	qUndeliveredOfBatch: `SELECT message FROM undelivered WHERE batch=?1`,
	qDropUndelivered:    `DELETE FROM undelivered WHERE message=?1`,
	qDropOutgoing:       `DELETE FROM outgoing WHERE id=?1`,
	qOutgoing:           `SELECT channel, name, der FROM outgoing WHERE id=?1`,
	qOpenBatches:        `SELECT id, first, last FROM batch WHERE delivered=0 ORDER BY id`,
	qOpenMessages:       `SELECT id FROM message WHERE id BETWEEN ?1 AND ?2 AND reply IS NOT NULL AND part_of IS NULL ORDER BY id LIMIT ?3`,
	qUndelivered:        `SELECT message, batch FROM undelivered WHERE message>?1 ORDER BY message LIMIT ?2`,
	qAnswer:             `SELECT channel, name, reply FROM message WHERE id=?1`,
	qAlsoReturns:        `SELECT channel, name FROM also_return WHERE message=?1 ORDER BY id`,
	qBatchOfMessage:     `SELECT id, first, last FROM batch WHERE delivered=0 AND first<=?1 AND last>=?1`,
	qMessageReturn:      `SELECT disposition, channel, name FROM message WHERE id=?1`,
	qInsertReturn:       `INSERT OR IGNORE INTO also_return (message, channel, name) VALUES (?1,?2,?3)`,

	qReleasable: `SELECT data FROM tx INDEXED BY tx_phase WHERE phase=2`,
	qExpired:    `SELECT ` + transactionColumns + `INDEXED BY tx_phase WHERE phase IN (1,2,3,5,6) AND expires<=?1 ORDER BY expires, id LIMIT ?2`,
	qWaiting:    `SELECT id FROM tx INDEXED BY tx_phase WHERE phase IN (1,2,3,4) ORDER BY id`,

	qMeta:                    `SELECT value FROM meta WHERE key=?1`,
	qSetMeta:                 `INSERT INTO meta (key, value) VALUES (?1,?2) ON CONFLICT (key) DO UPDATE SET value=excluded.value`,
	qInsertSecret:            `INSERT INTO secret (ref, version, created, expires, max_uses, used, rule, bodies, sealed) VALUES (?1,1,?2,?3,?4,?5,?6,?7,?8)`,
	qDeleteSecret:            `DELETE FROM secret WHERE ref=?1`,
	qSecrets:                 `SELECT ` + secretColumns + `WHERE ref>?1 ORDER BY ref LIMIT ?2`,
	qPassphrases:             `SELECT ` + passphraseColumns + `WHERE owner>?1 ORDER BY owner LIMIT ?2`,
	qDeletePassphrase:        `DELETE FROM passphrase WHERE owner=?1`,
	qCertificates:            `SELECT ` + certificateColumns + `WHERE id>?1 ORDER BY id LIMIT ?2`,
	qCertificatesUnconfirmed: `SELECT ` + certificateColumns + `INDEXED BY certificate_unconfirmed WHERE id>?1 AND status=1 ORDER BY id LIMIT ?2`,
	qFailures: `SELECT id, h, rest, channel, name, received, reason FROM message INDEXED BY message_failed
		WHERE disposition=5 AND id<?1 ORDER BY id DESC LIMIT ?2`,
	qForget: `DELETE FROM message WHERE id=?1 AND disposition=5`,
	qAudit:  `SELECT seq, entries, head FROM audit WHERE seq>=?1 ORDER BY seq LIMIT ?2`,
}
