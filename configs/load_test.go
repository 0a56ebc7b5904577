package configs

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// valid is the shortest useful configuration. Tests of faults change its lines.
const valid = `version: 1
ca: {certificate: ca/ca.crt, key: ca/ca.key, passphrase_file: p}
store: {sqlite: state.db}
profiles:
  default:
    validity: {default: 1y}
    keys: [ecdsa-p256]
    subject: {from_request: true}
rules:
  - name: secrets
    who: {secret: "*"}
    may: [ir, cr]
    profile: default
`

func TestShortestConfiguration(t *testing.T) {
	c, err := Parse([]byte(valid), "/d")
	if err != nil {
		t.Fatal(err)
	}
	p := c.Policies["standard"]
	if !p.ImplicitConfirm || p.ConfirmWait != 30*24*time.Hour || p.KeepUnconfirmed || p.Hold || p.PollInterval != time.Hour ||
		p.MessageTimeWindow != 0 || !p.ExtraCertsRoot || p.MaxRequests != 1000 || p.MAC.RefuseHMACSHA1 || p.MAC.AllowSHA1 {
		t.Errorf("standard policy: %+v", p)
	}
	// RFC 4211 section 4.4 and an unconfigured OpenSSL 3.0.
	if p.MAC.MinIterations > 500 || p.MAC.MinSalt > 8 || p.MAC.MaxIterations != 100_000 {
		t.Errorf("mac: %+v", p.MAC)
	}
	if c.Limits.Bytes != 1<<20 || c.Batch.Size != 512 || c.Process.Policy != "standard" {
		t.Errorf("limits %+v batch %+v process %+v", c.Limits, c.Batch, c.Process)
	}
}

func TestAnAuthorityByItsPurposeNeedsNoSubject(t *testing.T) {
	c, err := Parse([]byte(strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self, cmc_ra: true}}\n    ra_verified: true\n    update: {any: true}"),
		mayLine, "    may: [ir, kur]", 1)), "/d")
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Rules[0]; !r.Certificate.CMCRA || !r.UpdateAny || !r.RAVerified || r.RevokeAny {
		t.Errorf("%+v", r)
	}
}

// edit replaces one line of valid, or appends where line is empty.
func edit(line, by string) string {
	if line == "" {
		return valid + by + "\n"
	}
	if strings.Count(valid, line+"\n") != 1 {
		panic("no such line: " + line)
	}
	return strings.Replace(valid, line+"\n", by+"\n", 1)
}

const (
	caLine  = "ca: {certificate: ca/ca.crt, key: ca/ca.key, passphrase_file: p}"
	mayLine = "    may: [ir, cr]"
	whoLine = `    who: {secret: "*"}`
	proLine = "    profile: default"
	dirLine = "channels: [{name: s, dir: {in: i, out: o, archive: a, failed: f}}]"
)

func channel(dir string) string { return edit("", "channels:\n  - name: s\n    dir: "+dir) }

func policy(key string) string { return edit("", "policies:\n  p:\n    "+key) }

// A fault has exactly one text, and a file with one fault has no second. A text
// that ends in a blank goes on with a list of package alg.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		// YAML itself.
		{"empty", "", `cmp-batch.yaml: the file is empty; cmp-batch init DIR writes one to start from`},
		{"comments only", "# x\n", `cmp-batch.yaml: the file is empty; cmp-batch init DIR writes one to start from`},
		{"a list", "- x\n", `cmp-batch.yaml:1:1: the file must consist of keys with values, such as version: 1; this is a list`},
		{"a word", "x\n", `cmp-batch.yaml:1:1: the file must consist of keys with values, such as version: 1; this is a single value`},
		{"tab", edit(mayLine, "\tmay: [ir]"), `cmp-batch.yaml:12:1: a tab stands in the indentation; YAML wants spaces there`},
		{"tab after spaces", edit(mayLine, "  \tmay: [ir]"), `cmp-batch.yaml:12:3: a tab stands in the indentation; YAML wants spaces there`},
		{"control character", edit("", "log: {level: \"in\x01fo\"}"), `cmp-batch.yaml:14:17: this is not text; the file must be UTF-8 without control characters`},
		{"Latin-1", edit("", "# \xe4"), `cmp-batch.yaml:14:3: this is not text; the file must be UTF-8 without control characters`},
		{"UTF-16", "\xff\xfev\x00", `cmp-batch.yaml:1:1: this is not text; the file must be UTF-8 without control characters`},
		{"two documents", valid + "---\nversion: 1\n", `cmp-batch.yaml:15:1: a second document begins here; the file must be one`},
		{"anchor", edit("store: {sqlite: state.db}", "store: &x {sqlite: state.db}"), `cmp-batch.yaml:3:8: anchors (&) are not for this file; write the value out`},
		{"alias", edit(whoLine, "    who: {secret: *x}"), `cmp-batch.yaml:11:19: aliases (*) are not for this file; write the value out, or put quotes around a text that begins with *`},
		{"tag", edit("version: 1", "version: !!int 1"), `cmp-batch.yaml:1:10: tags (!) are not for this file; put quotes around a text that begins with !`},
		{"directive", "%YAML 1.2\n---\n" + valid, `cmp-batch.yaml:1:1: directives (%) are not for this file; put quotes around a text that begins with %`},
		{"question mark", edit("version: 1", "? version\n: 1"), `cmp-batch.yaml:1:1: keys that begin with ? are not for this file; put quotes around a text that begins with ?`},
		{"one colon too many", edit("", "log: level: info"), `cmp-batch.yaml:14:6: there is one colon too many here, or the line is indented differently from its neighbours; put quotes around a text with a colon`},
		{"open quotes", edit("", `log: {level: "info}`), `cmp-batch.yaml:14:14: the quotes that open here are not closed, or hold a \ that means nothing to YAML`},
		{"open bracket", edit(mayLine, "    may: [ir, cr"), `cmp-batch.yaml:13:5: not YAML: ',' or ']' must be specified`},
		{"brackets", edit("", "log: {level: "+strings.Repeat("[", 9)+strings.Repeat("]", 9)+"}"), `cmp-batch.yaml:14:21: brackets are nested more than 8 deep`},
		{"dashes", edit("", "channels: \n- - - x"), `cmp-batch.yaml:15:5: more than 2 lists begin on this line`},
		{"long line", edit("", "# "+strings.Repeat("x", 5000)), `cmp-batch.yaml:14:1: the line has 5002 octets; the most is 4096`},
		{"deep indentation", edit("", "log:\n"+strings.Repeat(" ", 65)+"level: info"), `cmp-batch.yaml:15:1: the line is indented by 65 columns; the most is 64`},

		// Keys.
		{"unknown key", edit("", "cha: 1"), `cmp-batch.yaml:14:1: cha: there is no such key; did you mean ca? One of version, ca, vault, store, profiles, rules, approvers, trust, policies, channels, announcements, process, crl, limits, batch, log, metrics`},
		{"near miss", edit("", "polices: {}"), `cmp-batch.yaml:14:1: polices: there is no such key; did you mean policies? One of version, ca, vault, store, profiles, rules, approvers, trust, policies, channels, announcements, process, crl, limits, batch, log, metrics`},
		{"unknown key inside", edit("", "log: {levle: info}"), `cmp-batch.yaml:14:7: log.levle: there is no such key; did you mean level? One of level, format`},
		{"unknown key far off", edit("", "log: {colour: red}"), `cmp-batch.yaml:14:7: log.colour: there is no such key; one of level, format`},
		{"hyphen for underscore", edit("", "batch: {scan-every: 1s}"), `cmp-batch.yaml:14:9: batch.scan-every: there is no such key; did you mean scan_every? One of size, workers, scan_every`},
		{"key twice", edit("", "log: {level: info, level: warn}"), `cmp-batch.yaml:14:20: log.level: the key is written twice; the first is in line 14`},
		{"section twice", edit("", "version: 1"), `cmp-batch.yaml:14:1: version: the key is written twice; the first is in line 1`},
		{"merge key", edit("", "log:\n  <<: {level: info}"), `cmp-batch.yaml:15:3: merge keys (<<) are not for this file; write the values out`},
		{"no value", edit("", "log: {level: }"), `cmp-batch.yaml:14:7: log.level: there is no value; write one, or remove the key`},
		{"number for text", edit("", "log: {level: 7}"), `cmp-batch.yaml:14:14: log.level: "7" means nothing here; one of debug, info, warn, error`},
		{"truth for text", edit("", "log: {level: true}"), `cmp-batch.yaml:14:14: log.level: a text belongs here, not the truth value true; put quotes around it if it is meant as text`},
		{"text for number", edit("", "batch: {size: many}"), `cmp-batch.yaml:14:15: batch.size: a whole number belongs here, not "many"`},
		{"quoted number", edit("", `batch: {size: "5"}`), `cmp-batch.yaml:14:15: batch.size: a whole number belongs here, not "5"`},
		{"octal number", edit("", `batch: {size: 0777}`), `cmp-batch.yaml:14:15: batch.size: a whole number belongs here, not "0777"`},
		{"fraction", edit("", `batch: {size: 1.5}`), `cmp-batch.yaml:14:15: batch.size: a whole number belongs here, not "1.5"`},
		{"yes for true", policy("implicit_confirm: yes"), `cmp-batch.yaml:16:23: policies.p.implicit_confirm: true or false belongs here, not "yes"`},
		{"list for text", edit("", "log: {level: [info]}"), `cmp-batch.yaml:14:14: log.level: a single value belongs here, not a list`},
		{"text for mapping", edit("", "log: info"), `cmp-batch.yaml:14:6: log: keys with values belong here, not a single value`},
		{"text for list", edit(mayLine, "    may: ir"), `cmp-batch.yaml:12:10: rules[0].may: a list belongs here, not a single value; write [ir]`},
		{"mapping for list", edit("", "channels: {a: b}"), `cmp-batch.yaml:14:11: channels: a list belongs here, not keys with values; begin each element with -`},

		// What is missing.
		{"no version", edit("version: 1", "# none"), `cmp-batch.yaml:1:1: version: it is missing; write version: 1`},
		{"wrong version", edit("version: 1", "version: 2"), `cmp-batch.yaml:1:10: version: this program reads version 1, not 2`},
		{"no ca key", edit(caLine, "ca: {certificate: x, passphrase_file: p}"), `cmp-batch.yaml:2:1: ca.key: it is missing; write key: ca/ca.key`},
		{"no store", edit("store: {sqlite: state.db}", ""), `cmp-batch.yaml:1:1: store.sqlite: it is missing; write sqlite: state.db`},
		{"store commented out", edit("store: {sqlite: state.db}", "store:\n  # sqlite: x"), `cmp-batch.yaml:3:1: store.sqlite: it is missing; write sqlite: state.db`},
		{"no rules", valid[:strings.Index(valid, "rules:")], `cmp-batch.yaml:1:1: rules: there are none, and nothing is issued without a rule; write at least one`},
		{"no may", edit(mayLine, "    # none"), `cmp-batch.yaml:10:5: rules[0].may: it is missing; write what they may send, such as [ir, p10cr]`},
		{"no who", edit(whoLine, "    # none"), `cmp-batch.yaml:10:5: rules[0].who: nobody is named; write who: {secret: "*"} or who: {certificate: {issued_by: self}}`},
		{"no profile", edit(proLine, "    # none"), `cmp-batch.yaml:10:5: rules[0].profile: it is missing; write the name of a profile; one of default`},
		{"no channel kind", edit("", "channels: [{name: x}]"), `cmp-batch.yaml:14:12: channels[0].dir: it is missing; write dir: {in: spool/in, out: spool/out, archive: spool/archive, failed: spool/failed}`},

		// The CA.
		{"two passphrases", edit(caLine, "ca: {certificate: c, key: k, passphrase_file: p, passphrase_env: P}"), `cmp-batch.yaml:2:5: ca: there is more than one passphrase; write one of passphrase_file, passphrase_env and passphrase_prompt`},
		{"dollar", edit(caLine, "ca: {certificate: c, key: k, passphrase_env: $P}"), `cmp-batch.yaml:2:46: ca.passphrase_env: "$P" is not the name of an environment variable, such as CMP_BATCH_PASSPHRASE`},
		{"nothing seals secrets", edit(caLine, "ca: {certificate: c, key: k}"), `cmp-batch.yaml:1:1: vault: rules are about shared secrets, and nothing protects these: the CA's key has no passphrase; write vault: {passphrase_file: secrets/vault.pass}`},
		{"tilde", edit("store: {sqlite: state.db}", "store: {sqlite: ~/state.db}"), `cmp-batch.yaml:3:17: store.sqlite: "~/state.db": ~ is not expanded here; write the folder out`},
		{"weak signature", edit(caLine, "ca: {certificate: c, key: k, passphrase_file: p, signature: rsa-sha1}"), `cmp-batch.yaml:2:61: ca.signature: rsa-sha1 is too weak to sign with; remove the key to take the one that fits the private key`},

		// Profiles.
		{"key type", edit("keys: [ecdsa-p256]", "keys: [ecdsa-p38]"), `cmp-batch.yaml:7:12: profiles.default.keys[0]: "ecdsa-p38" is no key type; did you mean ecdsa-p384?`},
		{"key type of a kind", edit("keys: [ecdsa-p256]", "keys: [rsa2048+]"), `cmp-batch.yaml:7:12: profiles.default.keys[0]: "rsa2048+" is no key type; did you mean rsa-2048+?`},
		{"word of a profile", edit("{default: 1y}", "{default: 1y, request: clmap}"), `cmp-batch.yaml:6:38: profiles.default.validity.request: "clmap" is none of clamp, strict, ignore; did you mean clamp?`},
		{"profile fault", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256, des]"), `cmp-batch.yaml:7:24: profiles.default.keys[1]: "des" is no key type; there are `},
		{"profile key unknown", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    key: x"), `cmp-batch.yaml:8:5: profiles.default.key: there is no such key; did you mean keys? One of name, validity, keys, rsa_min_exponent, subject, san, key_usage, ext_key_usage, basic_constraints, extensions, policies, crl_urls, ca_issuers_urls, ocsp_urls, lint`},
		{"lint level", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    lint: {refuse: errors}"), `cmp-batch.yaml:8:20: profiles.default.lint.refuse: "errors" is none of notice, warn, error, fatal, none; did you mean error?`},
		{"lint source", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    lint:\n      sources: [RFC5280, RFC5281]"), `cmp-batch.yaml:9:26: profiles.default.lint.sources[1]: "RFC5281" is no source of lints; one of `},
		{"lint name", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    lint:\n      ignore:\n        - e_issuer_field_empty\n        - w_subj_email_not_in_san"), `cmp-batch.yaml:11:11: profiles.default.lint.ignore[1]: "w_subj_email_not_in_san" is no lint of zlint for certificates; is it e_subj_email_not_in_san?`},
		{"lint of another source", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    lint: {ignore: [e_ext_san_missing]}"), `cmp-batch.yaml:8:21: profiles.default.lint.ignore[0]: e_ext_san_missing is a lint of CABF_BR, which is not among the sources; remove it`},
		{"lint key", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    lint: {fatal: warn}"), `cmp-batch.yaml:8:12: profiles.default.lint.fatal: there is no such key; one of refuse, sources, ignore`},
		{"profile name twice", edit("    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    name: other"), `cmp-batch.yaml:8:11: profiles.default.name: the profile has its name already, default; remove this key`},
		{"profile name odd", edit("", "policies:\n  a.b: {}"), `cmp-batch.yaml:15:3: policies.a.b: "a.b" is not a name: a name has letters, digits, - and _, at most 64`},

		// Rules.
		{"body type", edit(mayLine, "    may: [cr, irr]"), `cmp-batch.yaml:12:15: rules[0].may[1]: "irr" is not a body type; did you mean ir? One of ir, cr, p10cr, kur, rr, genm, nested, ccr, krr`},
		{"body type twice", edit(mayLine, "    may: [cr, cr]"), `cmp-batch.yaml:12:15: rules[0].may[1]: "cr" is there twice`},
		{"follow-ups", edit(mayLine, "    may: [cr, certConf]"), `cmp-batch.yaml:12:15: rules[0].may[1]: "certConf" is not a body type; one of ir, cr, p10cr, kur, rr, genm, nested, ccr, krr`},
		{"unknown profile", edit(proLine, "    profile: defualt"), `cmp-batch.yaml:13:14: rules[0].profile: "defualt" is not a profile; did you mean default? One of default`},
		{"unknown profile in list", edit(proLine, "    profile: [default, x]"), `cmp-batch.yaml:13:24: rules[0].profile[1]: "x" is not a profile; one of default`},
		{"useless profile", edit(mayLine, "    may: [rr, genm]"), `cmp-batch.yaml:13:14: rules[0].profile: none of may brings a certificate; remove the key`},
		{"useless update", edit(proLine, proLine+"\n    update: {same_key: true}"), `cmp-batch.yaml:14:13: rules[0].update: kur is not in may; remove the key`},
		{"useless revoke", edit(proLine, proLine+"\n    revoke: {any: true}"), `cmp-batch.yaml:14:13: rules[0].revoke: rr is not in may; remove the key`},
		{"own secret", edit(proLine, proLine+"\n    own: true"), `cmp-batch.yaml:14:10: rules[0].own: a holder of a secret has no certificate of its own; remove the key`},
		{"both who", edit(whoLine, `    who: {secret: "*", certificate: {issued_by: self}}`), `cmp-batch.yaml:11:10: rules[0].who: one of secret and certificate; write a rule for each`},
		{"empty secret", edit(whoLine, `    who: {secret: []}`), `cmp-batch.yaml:11:19: rules[0].who.secret: the list is empty; write "*" for any registered secret`},
		{"no issuer", edit(whoLine, `    who: {certificate: {subject: "CN=x"}}`), `cmp-batch.yaml:11:11: rules[0].who.certificate.issued_by: it is missing; write issued_by: self, or a PEM file with certificates`},
		{"everybody an RA", edit(whoLine, "    who: {certificate: {issued_by: self}}\n    ra_verified: true"), `cmp-batch.yaml:12:18: rules[0].ra_verified: every holder of a certificate of this CA would be a registration authority; say who is, by who.certificate.subject`},
		{"everybody nests", edit(whoLine, "    who: {certificate: {issued_by: self}}") + "  - name: x\n    who: {certificate: {issued_by: self}}\n    may: [nested]\n", `cmp-batch.yaml:16:10: rules[1].may: every holder of a certificate of this CA would be a registration authority that may bring nested messages; say who is, by who.certificate.subject`},
		{"nested by a secret", edit(mayLine, "    may: [ir, nested]"), `cmp-batch.yaml:12:10: rules[0].may: nested messages must be signed; remove nested, or name the registration authority by who.certificate`},
		{"CAs with secrets", edit(mayLine, "    may: [ccr]"), `cmp-batch.yaml:12:10: rules[0].may: ccr is signed, and this rule is about holders of secrets; write a rule with who.certificate`},
		{"everybody a CA", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: p.pem}}"), mayLine, "    may: [ccr]", 1), `cmp-batch.yaml:12:10: rules[0].may: with ccr, everybody below who.certificate.issued_by could become a CA; say who may, by who.certificate.subject`},
		{"CAs without a profile of CAs", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: p.pem, subject: CN=x}}"), mayLine, "    may: [ccr]", 1), `cmp-batch.yaml:13:14: rules[0].profile: default makes no certificates of CAs, which ccr asks for; set its basic_constraints.ca, or write a rule for ccr alone`},
		{"an archive that nothing opens", edit(proLine, proLine+"\n    archive: allowed"), `cmp-batch.yaml:14:14: rules[0].archive: keys come encrypted, and are kept so; write ca.encryption, whose certificate is what they are encrypted to`},
		{"recovery from nowhere", edit(mayLine, "    may: [ir, krr]"), `cmp-batch.yaml:12:10: rules[0].may: krr brings archived keys, and nothing opens the archive; write ca.encryption`},
		{"archive of questions", strings.Replace(edit(mayLine, "    may: [genm]\n    archive: none"), proLine+"\n", "", 1), `cmp-batch.yaml:13:14: rules[0].archive: it is about ir, cr and kur, and none is in may; remove the key`},
		{"everybody updates", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self}}\n    update: {any: true}"), mayLine, "    may: [kur]", 1), `cmp-batch.yaml:12:19: rules[0].update.any: every holder of a certificate of this CA would be free to update any other; say who is, by who.certificate.subject`},
		{"own and others", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: ra.pem}}\n    own: true\n    update: {any: true}"), mayLine, "    may: [kur]", 1), `cmp-batch.yaml:13:19: rules[0].update.any: own allows the own certificate only; remove one of both`},
		{"everybody an RA by choice", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self, cmc_ra: true}}\n    ra_verified: true"), "    keys: [ecdsa-p256]", "    keys: [ecdsa-p256]\n    ext_key_usage: {allowed: [clientAuth, cmcRA]}", 1), `cmp-batch.yaml:13:18: rules[0].ra_verified: every holder of a certificate of this CA would be a registration authority; say who is, by who.certificate.subject`},
		{"passphrases without rr", edit(proLine, proLine+"\n    revocation_passphrases: true"), `cmp-batch.yaml:14:29: rules[0].revocation_passphrases: rr is not in may; remove the key`},
		{"passphrases that nothing opens", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self}}\n    revocation_passphrases: true"), mayLine, "    may: [cr, rr]", 1), `cmp-batch.yaml:12:29: rules[0].revocation_passphrases: holders of certificates send them encrypted; write ca.encryption, whose certificate is what they are encrypted to`},
		{"passphrases that nothing seals", strings.Replace(strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self}}\n    revocation_passphrases: true"), mayLine, "    may: [cr, rr]", 1), caLine, "ca: {certificate: c, key: k, encryption: {certificate: e, key: f}}", 1), `cmp-batch.yaml:1:1: vault: rules take revocation passphrases, and nothing protects these: the CA's key has no passphrase; write vault: {passphrase_file: secrets/vault.pass}`},
		{"own and RA", edit(whoLine, "    who: {certificate: {issued_by: ra.pem}}\n    own: true\n    ra_verified: true"), `cmp-batch.yaml:13:18: rules[0].ra_verified: own allows the own names only, which no registration authority asks for; remove one of both`},
		{"everybody revokes", edit(mayLine, "    may: [ir, rr]\n    revoke: {any: true}") + "  - name: x\n    who: {certificate: {issued_by: [self, x.pem]}}\n    may: [rr]\n    revoke: {any: true}\n", `cmp-batch.yaml:18:19: rules[1].revoke.any: every holder of a certificate of this CA would be free to revoke any other; say who is, by who.certificate.subject`},
		{"approval of questions", strings.Replace(edit(mayLine, "    may: [genm]\n    approval: required"), proLine+"\n", "", 1), `cmp-batch.yaml:13:15: rules[0].approval: only requests for certificates can wait; none of may is one`},
		{"subject", edit(proLine, proLine+"\n    subjects: [CN=x, Example]"), `cmp-batch.yaml:14:22: rules[0].subjects[1]: "Example" is no attribute; write it as CN=sensor-*`},
		{"subject attribute", edit(proLine, proLine+"\n    subjects: KN=x"), `cmp-batch.yaml:14:15: rules[0].subjects: "KN" is no attribute type; write CN, O, OU, C, serialNumber or the like, or a dotted object identifier`},
		{"subject comma", edit(proLine, proLine+`
    subjects: "CN=x,"`), `cmp-batch.yaml:14:15: rules[0].subjects: there is nothing between two commas, or no pattern at all; write it as CN=sensor-*,O=Example`},
		{"key type", edit(proLine, proLine+"\n    key_types: [ecdsa-p265]"), `cmp-batch.yaml:14:17: rules[0].key_types[0]: "ecdsa-p265" is no type of key; did you mean ecdsa-p256? One of `},
		{"key that cannot be made", edit(proLine, proLine+"\n    central_keys: [rsa-1024]"), `cmp-batch.yaml:14:20: rules[0].central_keys[0]: keys of type "rsa-1024" cannot be made; one of ecdsa-p256, `},
		{"a key to encrypt what", edit(proLine, proLine+"\n    protocol_encr_key: allowed"), `cmp-batch.yaml:14:24: rules[0].protocol_encr_key: no private keys are sent: there are neither central_keys nor krr in may; remove the key`},
		{"a key to encrypt how", edit(proLine, proLine+"\n    central_keys: [ecdsa-p256]\n    protocol_encr_key: yes"), `cmp-batch.yaml:15:24: rules[0].protocol_encr_key: "yes" means nothing here; one of none, recovery, allowed, required`},
		{"key generation without a key", edit(caLine, caLine[:len(caLine)-1]+", key_generation: {certificate: c}}"), `cmp-batch.yaml:2:66: ca.key_generation.key: it is missing; write key: ca/kga.key`},
		{"key range", edit(proLine, proLine+"\n    key_types: [rsa-2048+]"), `cmp-batch.yaml:14:17: rules[0].key_types[0]: "rsa-2048+" is a range, which is for profiles; list the sizes here, such as rsa-2048, rsa-3072`},
		{"a former key alone", edit(caLine, caLine[:len(caLine)-1]+", encryption: {certificate: e, key: f, former: [{certificate: g}]}}"), `cmp-batch.yaml:2:112: ca.encryption.former[0].key: it is missing; write key: ca/encryption-1.key`},
		{"approvals of nothing", edit(proLine, proLine+"\n    approvals: 2"), `cmp-batch.yaml:14:16: rules[0].approvals: nothing under this rule waits for a person; write approval: required, or remove the key`},
		{"approvals without approval", edit(proLine, proLine+"\n    approval: none\n    approvals: 2"), `cmp-batch.yaml:15:16: rules[0].approvals: nothing under this rule waits for a person; write approval: required, or remove the key`},
		{"no approvals", edit(proLine, proLine+"\n    approval: required\n    approvals: 0"), `cmp-batch.yaml:15:16: rules[0].approvals: 0 is not between 1 and 8`},
		{"more approvals than people", edit(proLine, proLine+"\n    approval: required\n    approvals: 3\napprovers: [{name: a}, {name: b}]"), `cmp-batch.yaml:15:16: rules[0].approvals: 3 people must approve, and approvers has 2`},
		{"no approvers", edit("", "approvers: []"), `cmp-batch.yaml:14:12: approvers: the list is empty, and nobody could decide; remove the key, and everybody may whose account may use the database`},
		{"an approver without a name", edit("", "approvers: [{account: a}]"), `cmp-batch.yaml:14:13: approvers[0].name: it is missing; write the name of a person`},
		{"an approver's name", edit("", `approvers: [{name: "a, b"}]`), `cmp-batch.yaml:14:20: approvers[0].name: "a, b" is no name of a person: one line of at most 64 characters, without commas and blanks around it`},
		{"an approver twice", edit("", "approvers: [{name: Alice}, {name: alice, account: b}]"), `cmp-batch.yaml:14:35: approvers[1].name: "alice" is the name of approvers[0] already`},
		{"an approver without an account", edit("", `approvers: [{name: Alice, account: ""}]`), `cmp-batch.yaml:14:36: approvers[0].account: the name is empty; remove the key where it is the same as name`},
		{"tokens of those who have a secret", edit(proLine, proLine+"\n    reg_token: true"), `cmp-batch.yaml:14:16: rules[0].reg_token: who has a shared secret is registered by it; write who.certificate, or remove the key`},
		{"tokens of questions", strings.Replace(strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self}}\n    reg_token: true"), mayLine, "    may: [genm]", 1), proLine+"\n", "", 1), `cmp-batch.yaml:12:16: rules[0].reg_token: it is about ir and cr, and neither is in may; remove the key`},
		{"tokens in p10cr", strings.Replace(edit(whoLine, "    who: {certificate: {issued_by: self}}\n    reg_token: true"), mayLine, "    may: [ir, p10cr]", 1), `cmp-batch.yaml:12:16: rules[0].reg_token: p10cr and ccr cannot bring a token; give them a rule of their own`},
		{"unknown proof", edit(proLine, proLine+"\n    proofs: [magic]"), `cmp-batch.yaml:14:14: rules[0].proofs[0]: "magic" is not a proof of possession; one of agree-mac, dh-mac, encrypted-key, this-message`},
		{"proof without a key agreement key", edit(proLine, proLine+"\n    proofs: [agree-mac]"), `cmp-batch.yaml:14:14: rules[0].proofs[0]: the MAC is made with the CA's key for key agreement; write ca.key_agreement`},
		{"thisMessage without an encryption key", edit(proLine, proLine+"\n    proofs: [this-message]"), `cmp-batch.yaml:14:14: rules[0].proofs[0]: keys come encrypted; write ca.encryption, whose certificate is what they are encrypted to`},
		{"proof without an encryption key", edit(proLine, proLine+"\n    proofs: [encrypted-key]"), `cmp-batch.yaml:14:14: rules[0].proofs[0]: keys come encrypted; write ca.encryption, whose certificate is what they are encrypted to`},
		{"proofs of questions", strings.Replace(edit(mayLine, "    may: [genm]\n    proofs: []"), proLine+"\n", "", 1), `cmp-batch.yaml:13:13: rules[0].proofs: it is about ir, cr, kur and p10cr, and none is in may; remove the key`},
		{"approval", edit(proLine, proLine+"\n    approval: yes"), `cmp-batch.yaml:14:15: rules[0].approval: "yes" means nothing here; one of none, sensitive, required`},
		{"rule name twice", valid + "  - name: secrets\n    who: {secret: x}\n    may: [genm]\n", `cmp-batch.yaml:14:11: rules[1].name: "secrets" is the name of rules[0] already`},
		{"rule name odd", edit("  - name: secrets", "  - name: my rule"), `cmp-batch.yaml:10:11: rules[0].name: "my rule" is not a name: a name has letters, digits, - and _, at most 64`},

		// Policies.
		{"length without unit", policy("confirm_wait: 30"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: "30" is not a length of time: it has no unit; write it as 30d, 12h, 90m or 1d12h`},
		{"length unit", policy("confirm_wait: 2w"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: "2w" is not a length of time: the units are y, d, h, m and s, each once and in this order; write it as 30d, 12h, 90m or 1d12h`},
		{"length order", policy("confirm_wait: 1h2d"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: "1h2d" is not a length of time: the units are y, d, h, m and s, each once and in this order; write it as 30d, 12h, 90m or 1d12h`},
		{"length of zero", policy("confirm_wait: 0"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: 0 is too short; the least is 1m`},
		{"length negative", policy("confirm_wait: -1d"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: "-1d" is not a length of time: a number is missing; write it as 30d, 12h, 90m or 1d12h`},
		{"length huge", policy("confirm_wait: 101y"), `cmp-batch.yaml:16:19: policies.p.confirm_wait: "101y" is not a length of time: it is longer than 100y; write it as 30d, 12h, 90m or 1d12h`},
		{"protocol", policy("protocol: rfc4210"), `cmp-batch.yaml:16:15: policies.p.protocol: "rfc4210" means nothing here; did you mean rfc9810? One of rfc9810, rfc9483`},
		{"tolerance", policy("tolerate: [mac_sender]"), `cmp-batch.yaml:16:16: policies.p.tolerate[0]: "mac_sender" is not a deviation that can be tolerated; did you mean mac-sender? One of mac-sender, any-recipient, no-sender-nonce, short-transactionid, p10cr-id-zero, first-recip-nonce, no-sender-kid, pop-form, signer-issuer`},
		{"iterations", policy("mac: {min_iterations: 200000}"), `cmp-batch.yaml:16:27: policies.p.mac.min_iterations: 200000 is above max_iterations, which is 100000`},
		{"no iterations", policy("mac: {min_iterations: 0}"), `cmp-batch.yaml:16:27: policies.p.mac.min_iterations: 0 is not between 1 and 100000000`},
		{"poll interval of hold", policy("waiting: hold\n    poll_interval: 1h"), `cmp-batch.yaml:17:20: policies.p.poll_interval: nobody polls where waiting is hold; remove the key`},
		{"weak twice", policy("signatures: {algorithms: [rsa-sha256], weak: [rsa-sha1]}"), `cmp-batch.yaml:16:50: policies.p.signatures.weak: algorithms lists all that is accepted; write the weak ones there`},

		// Channels.
		{"in is out", channel("{in: x, out: ./x, archive: a, failed: f}"), `cmp-batch.yaml:16:23: channels[0].dir.out: it is the folder of channels[0].dir.in too; each needs its own`},
		{"folders of two channels", channel("{in: x, out: y, archive: a, failed: f}\n  - {name: t, dir: {in: y, out: z, delete: true, failed: g}}"), `cmp-batch.yaml:17:25: channels[1].dir.in: it is the folder of channels[0].dir.out too; each needs its own`},
		{"no archive", channel("{in: x, out: y, failed: f}"), `cmp-batch.yaml:16:5: channels[0].dir.archive: it is missing; write archive: spool/archive, or delete: true`},
		{"archive and delete", channel("{in: x, out: y, archive: a, delete: true, failed: f}"), `cmp-batch.yaml:16:46: channels[0].dir.delete: it is either an archive or delete; remove one of both`},
		{"suffix", channel("{in: x, out: y, archive: a, failed: f, suffixes: [pki]}"), `cmp-batch.yaml:16:60: channels[0].dir.suffixes[0]: "pki" is not the ending of a file's name, such as .pki`},
		{"suffix of the unfinished", channel("{in: x, out: y, archive: a, failed: f, suffixes: [.tmp]}"), `cmp-batch.yaml:16:60: channels[0].dir.suffixes[0]: ".tmp" is for files that are still being written`},
		{"unknown policy", edit("", strings.Replace(dirLine, "name: s", "name: s, policy: standart", 1)), `cmp-batch.yaml:14:30: channels[0].policy: "standart" is not a policy; did you mean standard? One of standard`},
		{"process policy", edit("", "process: {policy: usb}"), `cmp-batch.yaml:14:19: process.policy: "usb" is not a policy; one of standard`},

		// The rest.
		{"crl life", edit("", "crl: {every: 7d, lifetime: 7d}"), `cmp-batch.yaml:14:28: crl.lifetime: 7d is not longer than crl.every, which is 7d: the old CRL would end before the new one is there`},
		{"crl among requests", edit("", dirLine+"\ncrl: {file: i/ca.crl}"), `cmp-batch.yaml:15:13: crl.file: it lies in the folder of requests channels[0].dir.in`},
		{"size unit", edit("", "limits: {message_size: 1MB}"), `cmp-batch.yaml:14:24: limits.message_size: "1MB" is not a size; write it as 1MiB, 64KiB or in octets`},
		{"size range", edit("", "limits: {message_size: 9999999GiB}"), `cmp-batch.yaml:14:24: limits.message_size: 9999999GiB is not between 1024 and 1073741824 octets`},
		{"address", edit("", "metrics: {listen: localhost}"), `cmp-batch.yaml:14:19: metrics.listen: "localhost" is not an address: missing port in address; write it as 127.0.0.1:9464`},
		{"textfile", edit("", "metrics: {textfile: x.txt}"), `cmp-batch.yaml:14:21: metrics.textfile: "x.txt" does not end in .prom, and collectors read no other files`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.file), "/d")
			if err == nil {
				t.Fatalf("no fault in\n%s", c.file)
			}
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("%T is no Faults", err)
			}
			got := err.Error()
			if strings.HasSuffix(c.want, " ") {
				got = got[:min(len(got), len(c.want))]
			}
			if len(faults) != 1 || got != c.want {
				t.Errorf("got\n%s\nwant\n%s", err, c.want)
			}
		})
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := Parse([]byte(`version: 1
ca:
  certificat: ca/ca.crt
  key: ca/ca.key
store: {sqlite: state.db}
profiles:
  device: {validity: {default: 1j}, keys: [ecdsa-p256], subject: {from_request: maybe}}
rules:
  - name: a
    who: {secret: ref-*}
    may: [ir, p10rc]
    profile: devices
  - name: a
    may: [kur]
channels:
  - name: spool
    policy: mail
    dir: {in: in, out: in, archiv: x, failed: f, stale_after: 1}
`), "/d")
	want := strings.TrimSpace(`
cmp-batch.yaml:1:1: vault: rules are about shared secrets, and nothing protects these: the CA's key has no passphrase; write vault: {passphrase_file: secrets/vault.pass}
cmp-batch.yaml:2:1: ca.certificate: it is missing; write certificate: ca/ca.crt
cmp-batch.yaml:3:3: ca.certificat: there is no such key; did you mean certificate? One of certificate, chain, key, passphrase_file, passphrase_env, passphrase_prompt, signature, protection, key_generation, encryption, root_updates, key_agreement, kem
cmp-batch.yaml:7:32: profiles.device.validity.default: "1j" is not a length of time: its units are not known; write it as 90m, 36h, 397d, 2y or 9999-12-31
cmp-batch.yaml:7:81: profiles.device.subject.from_request: true or false belongs here, not "maybe"
cmp-batch.yaml:11:15: rules[0].may[1]: "p10rc" is not a body type; did you mean p10cr? One of ir, cr, p10cr, kur, rr, genm, nested, ccr, krr
cmp-batch.yaml:12:14: rules[0].profile: "devices" is not a profile; did you mean device? One of device
cmp-batch.yaml:13:5: rules[1].who: nobody is named; write who: {secret: "*"} or who: {certificate: {issued_by: self}}
cmp-batch.yaml:13:5: rules[1].profile: it is missing; write the name of a profile; one of device
cmp-batch.yaml:13:11: rules[1].name: "a" is the name of rules[0] already
cmp-batch.yaml:17:13: channels[0].policy: "mail" is not a policy; one of standard
cmp-batch.yaml:18:5: channels[0].dir.archive: it is missing; write archive: spool/archive, or delete: true
cmp-batch.yaml:18:24: channels[0].dir.out: it is the folder of channels[0].dir.in too; each needs its own
cmp-batch.yaml:18:28: channels[0].dir.archiv: there is no such key; did you mean archive? One of in, out, archive, delete, failed, stale_after, suffixes
cmp-batch.yaml:18:63: channels[0].dir.stale_after: "1" is not a length of time: it has no unit; write it as 30d, 12h, 90m or 1d12h`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestReportIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 2_000 {
		b.WriteString("key" + strings.Repeat("x", i%7) + ": 1\n")
	}
	_, err := Parse([]byte(b.String()), "/d")
	if err == nil || strings.Count(err.Error(), "\n") != maxShown {
		t.Errorf("the report has %d lines", strings.Count(err.Error(), "\n"))
	}
	if !strings.Contains(err.Error(), "faults more") {
		t.Error("the report does not say that there is more")
	}
}

func TestFormsOfText(t *testing.T) {
	// Windows line ends, a byte order mark, a document header, quoted and block
	// scalars, sections whose lines are all comments.
	file := "\ufeff---\r\n" + strings.ReplaceAll(valid, "\n", "\r\n") +
		"log:\r\n  # level: debug\r\n  format: 'json'\r\nmetrics:\r\nbatch: {\"size\": 7}\r\n"
	c, err := Parse([]byte(file), "/d")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Log.JSON || c.Batch.Size != 7 {
		t.Errorf("log %+v batch %+v", c.Log, c.Batch)
	}
	c, err = Parse([]byte(edit("store: {sqlite: state.db}", "store:\n  sqlite: |\n    a b.db")), "/d")
	if err != nil || c.Store.SQLite != "/d/a b.db" {
		t.Errorf("block scalar: %+v %v", c, err)
	}
}

// What goes wrong with files later is told with the place that names them.
func TestLocate(t *testing.T) {
	c, err := Parse([]byte(`version: 1
ca: {certificate: ca/ca.crt, key: ca/ca.crt.key, passphrase_env: CA_PASS}
vault: {passphrase_file: /media/key/pass}
store: {sqlite: state.db}
profiles:
  default: {validity: {default: 1y}, keys: [ecdsa-p256], subject: {from_request: true}}
rules:
  - {name: s, who: {secret: "*"}, may: [ir], profile: default}
  - name: c
    who: {certificate: {issued_by: [self,
      partner.pem]}}
    may: [ir]
    profile: default
`), "/d")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []struct{ text, want string }{
		{"open /d/ca/ca.crt: no such file", "cmp-batch.yaml:2:19: ca.certificate: open /d/ca/ca.crt: no such file"},
		{"open /d/ca/ca.crt.key: no such file", "cmp-batch.yaml:2:35: ca.key: open /d/ca/ca.crt.key: no such file"},
		{"environment variable CA_PASS is not set", "cmp-batch.yaml:2:66: ca.passphrase_env: environment variable CA_PASS is not set"},
		{"file /media/key/pass is empty", "cmp-batch.yaml:3:26: vault.passphrase_file: file /media/key/pass is empty"},
		{"/d/partner.pem: no certificate", "cmp-batch.yaml:11:7: rules[1].who.certificate.issued_by[1]: /d/partner.pem: no certificate"},
		{"stat /d/other.pem", "stat /d/other.pem"},
		{"wrong passphrase", "wrong passphrase"},
	} {
		in := errors.New(e.text)
		got := c.Locate(in)
		if got.Error() != e.want || !errors.Is(got, in) {
			t.Errorf("got\n%v\nwant\n%s", got, e.want)
		}
	}
	if c.Locate(nil) != nil || new(Config).Locate(io.EOF) != io.EOF {
		t.Error("nothing became an error, or another one")
	}
}
