package configs

import "cmp-batch/cmpcore/issuance"

// The structs of this file are the configuration as it is written. Their
// comments are the reference: docs/configuration.md is made from them, and a
// test keeps it in step. What follows from the settings is in settings.go.

// written is the whole file. Relative paths in it are relative to its folder.
// Lengths of time are written as 30d, 12h, 90m or 1d12h, where d is 24 hours and
// y is 365 days. Sizes are written as 1MiB, 64KiB or in octets.
type written struct {
	// The form of this file. It is 1. Required.
	Version int `yaml:"version"`
	// The certification authority: its certificate and key. Required.
	CA writtenCA `yaml:"ca"`
	// What protects the registered shared secrets in the store. Where it is
	// left out, the passphrase of the CA's key does.
	Vault writtenPassphrase `yaml:"vault"`
	// Where everything is kept that must survive. Required.
	Store writtenStore `yaml:"store"`
	// Certificate profiles by name: what the certificates look like.
	Profiles map[string]issuance.ProfileConfig `yaml:"profiles"`
	// Who may ask for what. The first rule that matches the requester and the
	// kind of message decides; where none does, the request is refused. Required.
	Rules []writtenRule `yaml:"rules"`
	// The people who may decide about requests that wait (`queue approve`, `queue
	// reject`). Left out, everybody may whose account may use the database, under
	// the name of that account.
	Approvers []writtenApprover `yaml:"approvers"`
	// What is known of revocation at other CAs whose holders of certificates sign
	// (rules[].who.certificate). Certificates of this CA are looked up in the
	// store in any case.
	Trust []writtenTrust `yaml:"trust"`
	// Policies by name: how a channel speaks the protocol. One named standard
	// exists in any case, with the defaults below.
	Policies map[string]writtenPolicy `yaml:"policies"`
	// The places where messages come in and answers go out.
	Channels []writtenChannel `yaml:"channels"`
	// Who is told, unasked, of what the CA does.
	Announcements []writtenAnnouncement `yaml:"announcements"`
	// The command `process`, which works on one medium.
	Process writtenProcess `yaml:"process"`
	// Certificate revocation lists.
	CRL writtenCRL `yaml:"crl"`
	// What a message may cost before it is refused.
	Limits writtenLimits `yaml:"limits"`
	// How many messages are worked on at a time.
	Batch writtenBatch `yaml:"batch"`
	// What is logged, and how.
	Log writtenLog `yaml:"log"`
	// Numbers for monitoring.
	Metrics writtenMetrics `yaml:"metrics"`
}

// writtenPassphrase is where a passphrase comes from: one of the three, or
// none where the key is not encrypted.
type writtenPassphrase struct {
	// File whose first line is the passphrase.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
}

// writtenCA is the certification authority.
type writtenCA struct {
	// The CA's certificate, PEM or DER. Required.
	Certificate string `yaml:"certificate"`
	// The certificates above it, PEM, in order and up to the root. A root has none.
	Chain string `yaml:"chain"`
	// The CA's private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
	// Signature algorithm of certificates and CRLs, such as ecdsa-sha384 or
	// rsa-pss-sha256. Left out, it follows from the key.
	Signature string `yaml:"signature"`
	// A certificate and key of their own for the protection of answers. Left
	// out, the CA's own protect them.
	Protection *writtenProtection `yaml:"protection"`
	// A certificate and key of their own that sign the private keys which rules
	// let be made here (central_keys); the certificate has the extended key usage
	// cmKGA. Left out, the CA's own sign them.
	KeyGeneration *writtenKeyGeneration `yaml:"key_generation"`
	// A certificate and key to which requesters encrypt what only the CA may
	// read. Left out, nothing is encrypted to the CA.
	Encryption *writtenEncryption `yaml:"encryption"`
	// Changes of the root's key, past ones and one to come, so that requesters
	// may learn of them (caKeyUpdateInfo, rootCaCert).
	RootUpdates []writtenRootUpdate `yaml:"root_updates"`
	// A certificate and key for MACs by Diffie-Hellman: requesters with a key
	// agreement key (EC, X25519, X448) of the same kind protect messages by
	// it. Left out, such messages are refused.
	KeyAgreement *writtenStaticKey `yaml:"key_agreement"`
	// A certificate and key of a KEM (ML-KEM, or RSA as one), whose key usage,
	// if any, has keyEncipherment: answers to requests that bring a ciphertext
	// for it are protected by it and not by a signature.
	KEM *writtenStaticKey `yaml:"kem"`
}

// writtenEncryption is the certificate and key to which requesters encrypt.
type writtenEncryption struct {
	// The certificate, PEM or DER, for an RSA, EC, X25519, X448 or ML-KEM key.
	// Its key usage, if any, has keyEncipherment or, for EC, X25519 and X448,
	// keyAgreement. Required.
	Certificate string `yaml:"certificate"`
	// The certificates above it, PEM, where they are not the CA's and its chain.
	Chain string `yaml:"chain"`
	// The private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
	// What requesters are told to encrypt with (preferredSymmAlg): aes256-cbc,
	// aes192-cbc, aes128-cbc, aes256-gcm, aes192-gcm or aes128-gcm.
	Cipher string `yaml:"cipher"`
	// Whether private keys and revocation passphrases may come as EncryptedValue, the deprecated form of CMP's
	// version 2, for clients that know no other: `none`; `aes`, encrypted with AES
	// and an RSA key by OAEP or PKCS #1 v1.5; `3des`, with DES-EDE3-CBC too. That
	// form does not say whose a key is. It is for archive, passphrases and proofs:
	// [this-message]; certificate is of an RSA key then.
	EncryptedValue string `yaml:"encrypted_value"`
	// Certificates and keys that this one has replaced. They open the keys that
	// were archived under them, and requests that were on their way. The program
	// does not start while the archive has keys that none of them opens.
	Former []writtenFormerKey `yaml:"former"`
	// Recipients, as check names them, whose keys are lost for good: what was
	// archived for them is given up.
	Lost []string `yaml:"lost"`
}

// writtenFormerKey is a certificate and key that another has replaced.
type writtenFormerKey struct {
	// The certificate, PEM or DER. Required.
	Certificate string `yaml:"certificate"`
	// The private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
}

func (e *writtenEncryption) defaults() { e.Cipher, e.EncryptedValue = "aes256-cbc", "none" }

// writtenRootUpdate is one change of a root's key (RFC 9810 section 4.4).
type writtenRootUpdate struct {
	// The self-signed certificate before it, PEM or DER. Required.
	Old string `yaml:"old"`
	// The self-signed certificate after it. Required.
	New string `yaml:"new"`
	// The new key in a certificate by the old one.
	NewWithOld string `yaml:"new_with_old"`
	// The old key in a certificate by the new one.
	OldWithNew string `yaml:"old_with_new"`
}

// writtenStaticKey is a certificate and key that do not sign.
type writtenStaticKey struct {
	// The certificate, PEM or DER. Required.
	Certificate string `yaml:"certificate"`
	// The certificates above it, PEM, where they are not the CA's and its chain.
	Chain string `yaml:"chain"`
	// The private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
}

// writtenProtection is the certificate and key that protect answers.
type writtenProtection struct {
	// The certificate, PEM or DER; its key usage, if any, has digitalSignature. Required.
	Certificate string `yaml:"certificate"`
	// The certificates above it, PEM, where they are not the CA's and its chain.
	Chain string `yaml:"chain"`
	// The private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
	// Signature algorithm of answers. Left out, it follows from the key.
	Signature string `yaml:"signature"`
}

// writtenKeyGeneration is the certificate and key that sign private keys made
// here.
type writtenKeyGeneration struct {
	// The certificate, PEM or DER; its extended key usage has cmKGA, and its key
	// usage, if any, has digitalSignature. Required.
	Certificate string `yaml:"certificate"`
	// The certificates above it, PEM, where they are not the CA's and its chain.
	Chain string `yaml:"chain"`
	// The private key: PKCS#8, encrypted or not. Required.
	Key string `yaml:"key"`
	// File whose first line is the passphrase of the key.
	PassphraseFile string `yaml:"passphrase_file"`
	// Environment variable that holds the passphrase of the key.
	PassphraseEnv string `yaml:"passphrase_env"`
	// Ask for the passphrase of the key on the terminal at each start.
	PassphrasePrompt bool `yaml:"passphrase_prompt"`
	// Signature algorithm of key packages. Left out, it follows from the key.
	Signature string `yaml:"signature"`
}

// writtenStore is where state is kept.
type writtenStore struct {
	// SQLite database file; it is made where it does not exist. Required.
	SQLite string `yaml:"sqlite"`
}

// writtenRule is about what somebody may ask for.
type writtenRule struct {
	// Name of the rule, for logs and for secrets that are limited to it. Required.
	Name string `yaml:"name"`
	// Whom the rule is about. Required.
	Who writtenWho `yaml:"who"`
	// The messages they may send: ir, cr and p10cr (new certificates), kur
	// (update), rr (revocation), genm (questions), and nested: messages of
	// others that a registration authority has put into one and signed. Those
	// are judged as if each had come alone. ccr (certificates for other CAs) is
	// signed too, and profile must be one for CAs. krr gets archived private keys
	// back. What follows from them
	// (certConf, pollReq, error) needs no mention. Required.
	May []string `yaml:"may"`
	// Name of the certificate profile, or a list: the first is the default and
	// requests may choose among the others by certProfile. Required for all of
	// may that brings certificates.
	Profile oneOrMore `yaml:"profile"`
	// Patterns of subjects, one of which the requested subject must match. Left
	// out, the profile alone decides. A pattern lists attributes in any order,
	// with * for any text: "CN=sensor-*,O=Example". The subject must have these
	// and no others, except where an element of its own is *: "O=Example,*".
	// Case does not count. Put quotes around patterns.
	Subjects oneOrMore `yaml:"subjects"`
	// Types of key that may be certified, such as ecdsa-p256 or rsa-3072, out of
	// those that the profile allows. Left out, the profile alone decides.
	KeyTypes []string `yaml:"key_types"`
	// Types of key that the CA makes for those who ask for it by ir, cr or kur
	// without a key of their own (central key generation), the first where they
	// name none. They come encrypted by the shared secret, or to the certificate,
	// that protects the request, or as protocol_encr_key says. Left out, no keys
	// are made.
	CentralKeys []string `yaml:"central_keys"`
	// Whether a request may bring a key of its own (control protocolEncrKey), to
	// which the private keys that go back are encrypted instead: `recovery` with
	// krr alone, `allowed` with central_keys too; `required` refuses requests
	// for private keys without one; `none` refuses requests with one. It is an
	// RSA key of 2048 to 8192 bits, or an EC, X25519, X448 or ML-KEM key.
	ProtocolEncrKey string `yaml:"protocol_encr_key"`
	// Private keys of certificates in the CA's archive, encrypted to the
	// certificate of ca.encryption: `allowed` keeps those that requests by ir, cr
	// and kur bring, or that the CA makes and is asked to keep; `required` refuses
	// requests without; `none` refuses requests with one. krr gets them back.
	Archive string `yaml:"archive"`
	// Forms of proof of possession accepted besides a signature, an encrypted
	// certificate and a challenge: `agree-mac`, a MAC under the Diffie-Hellman
	// secret of the requested key and that of ca.key_agreement (agreeMAC,
	// DHBasedMac in a signature's place, and static ECDH of RFC 6955, also in
	// p10cr); `dh-mac`, its deprecated form with SHA-1; `encrypted-key`, the private
	// key itself, encrypted to the certificate of ca.encryption: the CA sees it,
	// but keeps it only where archive lets it and the request asks for that;
	// `this-message`, its deprecated form in CMP's version 2, which
	// ca.encryption.encrypted_value has to allow: whoever has read one such request
	// may have its key certified to a name of their own. Left out, none of these.
	Proofs []string `yaml:"proofs"`
	// Only for holders of certificates: names of a new certificate must be
	// those of the certificate that signs, and only it may be updated or revoked.
	Own bool `yaml:"own"`
	// `required` makes requests for certificates wait until a person has
	// approved them (`queue approve`); `sensitive` makes only ccr and krr
	// wait; `none` makes nothing wait.
	Approval string `yaml:"approval"`
	// How many different people must approve a request under this rule that waits.
	// One rejection rejects.
	Approvals int `yaml:"approvals"`
	// The requester is a registration authority: it may vouch that the holder
	// has the private key (raVerified), for names that are not its own. With
	// nested in may, it may do so for the messages inside, too. It updates and
	// revokes what it asked for itself; update.any and revoke.any are for others.
	RAVerified bool `yaml:"ra_verified"`
	// What an update (kur) may change.
	Update writtenUpdate `yaml:"update"`
	// What may be revoked (rr).
	Revoke writtenRevoke `yaml:"revoke"`
	// They may leave a revocation passphrase (revPassphrase), by genm or in the
	// header of any message. A revocation of their own certificates, and of those
	// that they have asked for, may then be protected by it, when all else is
	// lost. It comes encrypted to the certificate of ca.encryption, or by the
	// shared secret that protects the message.
	RevocationPassphrases bool `yaml:"revocation_passphrases"`
	// Only for holders of certificates: requests by ir and cr must bring a
	// registration token, REF:SECRET in control regToken or authenticator. It is
	// registered by `secret add REF --rule` with the name of this rule, and brings
	// as many certificates as its limits let it. Where a rule does not ask for
	// tokens, nothing is decided by them.
	RegToken bool `yaml:"reg_token"`
}

func (r *writtenRule) defaults() {
	r.Approval, r.Approvals, r.Archive, r.ProtocolEncrKey = "sensitive", 1, "none", "recovery"
}

// writtenApprover is a person who may decide.
type writtenApprover struct {
	// Name of the person, for `queue show` and the audit log. Required.
	Name string `yaml:"name"`
	// The person's account of the operating system, which is what is checked:
	// its name, or uid:1001 where it has none. Left out, the same as name. People
	// who share an account say who they are by `--by`, and nobody checks that.
	Account string `yaml:"account"`
}

// writtenWho is about requesters. Exactly one key is there.
type writtenWho struct {
	// Holders of a registered shared secret: a pattern of its reference, or a
	// list. * stands for any text, ? for one character.
	Secret oneOrMore `yaml:"secret"`
	// Holders of certificates.
	Certificate *writtenHolder `yaml:"certificate"`
}

// writtenHolder is about holders of certificates.
type writtenHolder struct {
	// `self` for certificates of this CA, or a PEM file with CA certificates to
	// which the signer's must chain, or with the very certificates that may
	// sign. Also a list of these. Required.
	IssuedBy oneOrMore `yaml:"issued_by"`
	// Patterns of subjects as in rules.subjects, one of which the subject of
	// the signer's certificate must match.
	Subject oneOrMore `yaml:"subject"`
	// The signer's certificate must have the extended key usage cmcRA
	// (1.3.6.1.5.5.7.3.28), by which the CA that issued it names a registration
	// authority (RFC 9810 section 4.5). With issued_by: self, a profile of its own
	// should have it in ext_key_usage.fixed.
	CMCRA bool `yaml:"cmc_ra"`
}

// writtenTrust is about CRLs of another CA, for all certificates on the way from
// the one that signs to the anchor. Those that pin the very certificate of a
// signer need none: take the certificate out of the file.
type writtenTrust struct {
	// Name, for logs and metrics. Required.
	Name string `yaml:"name"`
	// Files of rules[].who.certificate.issued_by, or a list: the anchors that
	// this is about. No anchor is in two elements. Required.
	Anchors oneOrMore `yaml:"anchors"`
	// Files with complete CRLs, DER or PEM, or folders of these (*.crl, *.pem,
	// *.der), or a list: those of the anchors and of CAs below. What changed is
	// read again while run is at work, each batch.scan_every; a file that cannot
	// be read leaves what was read before. Delta and indirect CRLs are refused.
	// Required.
	CRLs oneOrMore `yaml:"crls"`
	// `require` refuses signers, with signerNotTrusted, where no CRL that is valid
	// now speaks of a certificate on the way; `prefer` believes these. Both refuse
	// those that a CRL lists, even an old one. `off` does not look at CRLs.
	Revocation string `yaml:"revocation"`
}

func (t *writtenTrust) defaults() { t.Revocation = "require" }

// writtenUpdate is what kur may do.
type writtenUpdate struct {
	// The new certificate may be for the same key.
	SameKey bool `yaml:"same_key"`
	// The new certificate may have another subject and other alternative names.
	ChangeNames bool `yaml:"change_names"`
	// Any certificate of this CA may be updated, by oldCertID, not just the one
	// that signs and those that its holder has asked for.
	Any bool `yaml:"any"`
}

// writtenRevoke is what rr may do.
type writtenRevoke struct {
	// Any certificate of this CA may be revoked, not just the one that signs.
	Any bool `yaml:"any"`
}

// writtenPolicy is how a channel speaks the protocol.
type writtenPolicy struct {
	// `rfc9810` takes all that CMP can say; `rfc9483` also wants what the
	// lightweight profile demands, such as one certificate a message.
	Protocol string `yaml:"protocol"`
	// How far messageTime may be from now, either way. 0: it is not looked at.
	MessageTimeWindow string `yaml:"message_time_window"`
	// Refuse messages without messageTime.
	RequireMessageTime bool `yaml:"require_message_time"`
	// Grant implicitConfirm to those who ask: no certConf, one trip less.
	ImplicitConfirm bool `yaml:"implicit_confirm"`
	// How long a certificate waits for its certConf.
	ConfirmWait string `yaml:"confirm_wait"`
	// What becomes of a certificate whose certConf did not come in time:
	// `revoke` or `keep`.
	OnConfirmTimeout string `yaml:"on_confirm_timeout"`
	// How long a request may wait for a person.
	TransactionLife string `yaml:"transaction_life"`
	// What those who wait for a person get: `poll` answers "waiting", and they
	// ask again; `hold` answers nothing until there is a decision.
	Waiting string `yaml:"waiting"`
	// How long they are told to wait before they ask again.
	PollInterval string `yaml:"poll_interval"`
	// Which nonce the final answer after polling repeats: that of the `first`
	// request, as RFC 9483 has it, or of the `last` pollReq, as OpenSSL 3.0 wants.
	PollNonce string `yaml:"poll_nonce"`
	// Send the root certificate along in extraCerts.
	ExtraCertsRoot bool `yaml:"extra_certs_root"`
	// Deviations of peers that are accepted: mac-sender (under a shared secret
	// the sender may be any name), any-recipient, no-sender-nonce (missing or
	// short), short-transactionid, p10cr-id-zero (certConf after p10cr with 0
	// and not -1), first-recip-nonce (one in a first request), no-sender-kid,
	// pop-form (a template without subject with the usual proof of possession),
	// signer-issuer (a template whose issuer is that of the certificate that
	// signs).
	Tolerate []string `yaml:"tolerate"`
	// Requesters with a certificate for a KEM key (ML-KEM, or RSA as one) may ask
	// without protection for a KEM ciphertext, and then protect by it.
	KEMRequesters bool `yaml:"kem_requesters"`
	// Give no answer at all to messages whose protection is not good.
	SilentToStrangers bool `yaml:"silent_to_strangers"`
	// Sign error messages, also those to requesters with a shared secret, as RFC
	// 9810 section 5.3.21 has it. They need the CA's certificate to read them.
	// Otherwise errors are protected as the request was.
	SignErrors bool `yaml:"sign_errors"`
	// The most requests, revocations or questions in one message.
	MaxRequests int `yaml:"max_requests"`
	// What is accepted of protection by MACs.
	MAC writtenMAC `yaml:"mac"`
	// What is accepted of protection by signature.
	Signatures writtenSignatures `yaml:"signatures"`
}

func (p *writtenPolicy) defaults() {
	p.Protocol = "rfc9810"
	p.MessageTimeWindow = "0"
	p.ImplicitConfirm = true
	p.ConfirmWait = "30d"
	p.OnConfirmTimeout = "revoke"
	p.TransactionLife = "90d"
	p.Waiting = "poll"
	p.PollInterval = "1h"
	p.PollNonce = "first"
	p.ExtraCertsRoot = true
	p.Tolerate = []string{"mac-sender", "any-recipient", "p10cr-id-zero", "pop-form", "signer-issuer"} // OpenSSL needs these
	p.MaxRequests = 1000
}

// writtenMAC is what is accepted of protection by MACs.
type writtenMAC struct {
	// Algorithms accepted: pbm, pbmac1, and those without a shared secret: dhbm
	// (by Diffie-Hellman) and kembm (by a KEM). Left out, all.
	Algorithms []string `yaml:"algorithms"`
	// Fewest iterations. An unconfigured OpenSSL 3.0 has 500.
	MinIterations int `yaml:"min_iterations"`
	// Most iterations of pbm: what a stranger can make the CA compute.
	MaxIterations int `yaml:"max_iterations"`
	// Most iterations of pbmac1, which are cheaper.
	MaxPBMAC1Iterations int `yaml:"max_pbmac1_iterations"`
	// Shortest salt, in octets.
	MinSalt int `yaml:"min_salt"`
	// Accept SHA-1 as the one-way function of pbm, which old clients have.
	AllowSHA1 bool `yaml:"allow_sha1"`
	// Accept HMAC-SHA1, which no attack on SHA-1 reaches. An unconfigured
	// OpenSSL 3.0 uses it.
	AllowHMACSHA1 bool `yaml:"allow_hmac_sha1"`
}

func (m *writtenMAC) defaults() {
	m.MinIterations, m.MaxIterations, m.MaxPBMAC1Iterations = 100, 100_000, 1_000_000
	m.MinSalt = 8
	m.AllowHMACSHA1 = true
}

// writtenSignatures is what is accepted of protection by signature.
type writtenSignatures struct {
	// Algorithms accepted, such as ecdsa-sha256. Left out, all that are not weak.
	Algorithms []string `yaml:"algorithms"`
	// Weak algorithms accepted besides, such as rsa-sha1; ecdsa-p224 stands for all
	// of keys on the curve P-224.
	Weak []string `yaml:"weak"`
}

// writtenChannel is a place where messages come in and answers go out.
type writtenChannel struct {
	// Name of the channel, for logs and metrics. Required.
	Name string `yaml:"name"`
	// Name of the policy.
	Policy string `yaml:"policy"`
	// The channel is a pair of folders. Required.
	Dir *writtenDir `yaml:"dir"`
}

func (c *writtenChannel) defaults() { c.Policy = standardPolicy }

// writtenDir is a channel of folders. Files are requests, one a file; the answer
// has the same name. All folders of all channels differ.
type writtenDir struct {
	// Folder where requests arrive. Required.
	In string `yaml:"in"`
	// Folder for answers. Required.
	Out string `yaml:"out"`
	// Folder where requests go when their answer is there. Required, or delete.
	Archive string `yaml:"archive"`
	// Delete requests when their answer is there, in place of an archive.
	Delete bool `yaml:"delete"`
	// Folder for what is no request, with the reason beside it. Required.
	Failed string `yaml:"failed"`
	// A file that is still not whole after this time goes to failed. 0: never.
	StaleAfter string `yaml:"stale_after"`
	// Endings of the names of requests; other files are left alone.
	Suffixes []string `yaml:"suffixes"`
}

func (d *writtenDir) defaults() {
	d.StaleAfter, d.Suffixes = "1h", []string{".pki"}
}

// writtenAnnouncement is somebody who is told of what the CA does. Announcements
// are signed messages that nobody answers (RFC 9810 sections 5.3.13 to 5.3.16).
type writtenAnnouncement struct {
	// Name of the channel in whose folder for answers they are put. Required.
	To string `yaml:"to"`
	// What the names of their files begin with.
	Prefix string `yaml:"prefix"`
	// What is announced: crlann (a CRL was made), cann (a certificate is valid),
	// rann (one was revoked), ckuann (the root gets a new key; in the forms of
	// RFC 9810 and of RFC 4210). Each message costs a signature. Required.
	What []string `yaml:"what"`
}

func (a *writtenAnnouncement) defaults() { a.Prefix = "announcement-" }

// writtenProcess is the command `process`.
type writtenProcess struct {
	// Name of the policy.
	Policy string `yaml:"policy"`
}

func (p *writtenProcess) defaults() { p.Policy = standardPolicy }

// writtenCRL is about certificate revocation lists.
type writtenCRL struct {
	// File that always holds the newest CRL, as DER. Left out, CRLs are in the
	// store only.
	File string `yaml:"file"`
	// How often a new CRL is made. 0: only by hand or after revocations.
	Every string `yaml:"every"`
	// How long a CRL is valid: from thisUpdate to nextUpdate. Longer than
	// every, so that a late medium still brings a valid one.
	Lifetime string `yaml:"lifetime"`
	// Make a new CRL after each batch that revokes something.
	OnRevoke bool `yaml:"on_revoke"`
}

func (c *writtenCRL) defaults() { c.Every, c.Lifetime, c.OnRevoke = "7d", "14d", true }

// writtenLimits is what a message may have before anything is computed.
type writtenLimits struct {
	// Largest message.
	MessageSize string `yaml:"message_size"`
	// Most DER elements in a message.
	Elements int `yaml:"elements"`
	// Deepest nesting of DER elements.
	Depth int `yaml:"depth"`
}

func (l *writtenLimits) defaults() { l.MessageSize, l.Elements, l.Depth = "1MiB", 100_000, 64 }

// writtenBatch is about batches: what becomes durable in one transaction.
type writtenBatch struct {
	// Most messages of one batch.
	Size int `yaml:"size"`
	// How many are computed at a time. 0: one for each processor.
	Workers int `yaml:"workers"`
	// How often channels are looked at in any case; notifications of the
	// system only shorten the wait.
	ScanEvery string `yaml:"scan_every"`
}

func (b *writtenBatch) defaults() { b.Size, b.ScanEvery = 512, "5s" }

// writtenLog is about the log on stderr.
type writtenLog struct {
	// Least level: debug, info, warn or error.
	Level string `yaml:"level"`
	// `text` or `json`. The flag --log-format overrides it.
	Format string `yaml:"format"`
}

func (l *writtenLog) defaults() { l.Level, l.Format = "info", "text" }

// writtenMetrics is about monitoring. Both are off where they are left out.
type writtenMetrics struct {
	// Address for Prometheus to fetch /metrics from, such as 127.0.0.1:9464.
	Listen string `yaml:"listen"`
	// File rewritten every 15 s by run, and at the end of run --once, for the textfile collector of a host
	// that no network reaches. It ends in .prom.
	Textfile string `yaml:"textfile"`
}
