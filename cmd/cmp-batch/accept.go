package main

import (
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"cmp-batch/cmpcore/client"
	"cmp-batch/cmpcore/cmp"
	"cmp-batch/cmpcore/cms"
	"cmp-batch/cmpcore/keyfile"
	"cmp-batch/cmpcore/pkix"

	"github.com/spf13/cobra"
)

func (c *cli) acceptCommand() *cobra.Command {
	var id identity
	var session, certOut, chainOut, nextOut, keyOut, key, encrKey, answersOut string
	var oldEncryption string
	var require, updateAnchors bool
	cmd := &cobra.Command{
		Use:   "accept ANSWER.pki --session FILE.session.json",
		Short: "Check a CA's answer and take the certificate out",
		Long: `Check the answer to a request made by request, and take out what it brings:

  NAME.crt           the certificate
  NAME.chain.pem     the CA certificates above it
  NAME.key           the private key, where the CA was asked to make it, or to give
                     it back; more than one are numbered
  NAME.certConf.pki  a confirmation, where the CA wants one: carry it there
  NAME.popdecr.pki   the response to a challenge, where one came: carry it there
  NAME.pollReq.pki   where the CA is not ready: carry it there later

Of the answers to genm, certificates and CRLs become files too:
NAME.cacerts.pem, NAME.crl (more are numbered), NAME.encryption.crt, and
NAME.new-root.pem with NAME.new-with-old.pem and NAME.old-with-new.pem. A new root is checked with the
old one of --trust (RFC 9810 section 4.4.2.2), and you are told what came out of
it. It is yours to trust; --update-anchors puts one that the old root vouches for
into the file of --trust, beside the old one, and takes no other.

The answer to a batch of request nest is taken apart into the folder
NAME.answers, each inner answer under the name of the file it is for. They go
back to whoever made those; only they can check them.

NAME is that of the session file. An answer that is not what it should be
(wrong protection, wrong transaction, another key) changes nothing: exit 1. A
refusal by the CA is an answer, exit 0, unless --require is given.`,
		Example: `  cmp-batch accept out/d1.pki --session d1.session.json --secret-file d1.secret
  cmp-batch accept out/d1-new.pki --session d1-new.session.json --cert d1.crt --sign-key d1.key --trust ca.crt`,
		Args: only(1, "the file with the answer is missing"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if session == "" {
				return usage("--session says where the memory of the request is")
			}
			s, err := readSession(session)
			if err != nil {
				return usageError{err}
			}
			id.dhMAC = s.Protection.Method == client.MethodDHMAC
			id.kemMAC = s.Protection.Method == client.MethodKEMMAC
			cred, err := id.credentials()
			if err != nil {
				return usageError{err}
			}
			var known bool
			if cred.OldEncryption, known = cms.ValuePolicyByName(oldEncryption); !known {
				return usage("--old-encryption: %q is none of %s", oldEncryption, strings.Join(cms.ValuePolicyNames, ", "))
			}
			base := sessionBase(session)
			if s.Decrypts() {
				if key == "" {
					key = base + ".key"
				}
				pass, err := id.passphrase()
				if err != nil {
					return usageError{fmt.Errorf("--passphrase-file: %w", err)}
				}
				k, err := readAnyKey(key, pass)
				if err != nil {
					return usageError{fmt.Errorf("--key: %w", err)}
				}
				cred.RequestedKeys = append(cred.RequestedKeys, k)
			}
			if s.EncrKey != nil && s.Step != client.StepConfirm {
				if encrKey == "" {
					encrKey = base + ".encr.key"
				}
				pass, err := id.passphrase()
				if err != nil {
					return usageError{fmt.Errorf("--passphrase-file: %w", err)}
				}
				if cred.EncrKey, err = readAnyKey(encrKey, pass); err != nil {
					return usageError{fmt.Errorf("--encr-key: %w", err)}
				}
			} else if encrKey != "" && s.EncrKey == nil {
				return usage("--encr-key is for a request that was made with one")
			}
			answer, err := readBounded(args[0], maxShow)
			if err != nil {
				return usageError{err}
			}
			if require && len(s.Nested) > 0 {
				return usage("--require is for the requests inside: use it with their own sessions")
			}
			if answersOut == "" {
				answersOut = base + ".answers"
			}
			if certOut == "" {
				certOut = base + ".crt"
			}
			if chainOut == "" {
				chainOut = base + ".chain.pem"
			}
			if keyOut == "" {
				keyOut = base + ".key"
			}
			if id.needCRL && len(id.crls) == 0 {
				return usage("--need-crl needs --crl")
			}
			if updateAnchors && len(id.trust) == 0 {
				return usage("--update-anchors changes the file of --trust, and there is none")
			}
			t := &taken{c: c, trust: id.trust, anchors: cred.Trust.Anchors, updateAnchors: updateAnchors, base: base, session: session, certOut: certOut, chainOut: chainOut, nextOut: nextOut, keyOut: keyOut, answersOut: answersOut}
			if t.passphrase, err = id.passphrase(); err != nil {
				return usageError{fmt.Errorf("--passphrase-file: %w", err)}
			}
			got, err := t.take(s, answer, cred)
			if err == nil && require && !got {
				return errors.New("no certificate was issued")
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&session, "session", "", "`FILE` that request wrote beside the request")
	id.flags(cmd)
	f.StringArrayVar(&id.crls, "crl", nil, "CRL `FILE`, DER or PEM: a revoked signer is not believed (may repeat)")
	f.BoolVar(&id.needCRL, "need-crl", false, "believe a signer only where CRLs of --crl that are valid now speak of it and of all above it")
	f.BoolVar(&id.unprotectedErrors, "unprotected-errors", false, "let an error message without protection end the transaction")
	f.StringVar(&oldEncryption, "old-encryption", "none", "take certificates and private keys in the deprecated form of pvno 2, EncryptedValue: none; aes, for AES; 3des, for DES-EDE3-CBC too")
	f.StringVar(&certOut, "cert-out", "", "`FILE` for the certificate (default NAME.crt)")
	f.StringVar(&chainOut, "chain-out", "", "`FILE` for the CA certificates (default NAME.chain.pem)")
	f.StringVar(&key, "key", "", "the certificate's private key `FILE`, for --pop encr-cert and challenge (default NAME.key)")
	f.StringVar(&encrKey, "encr-key", "", "private key `FILE` of the request's --encr-key or --encr-key-type (default NAME.encr.key)")
	f.StringVar(&keyOut, "key-out", "", "`FILE` for a private key that the CA made (default NAME.key)")
	f.StringVar(&nextOut, "next-out", "", "`FILE` for the next message (default NAME.certConf.pki, NAME.popdecr.pki or NAME.pollReq.pki)")
	f.StringVar(&answersOut, "answers-out", "", "`FOLDER` for the answers inside that to a batch (default NAME.answers)")
	f.BoolVar(&updateAnchors, "update-anchors", false, "put a new root that an old one vouches for into the file of --trust")
	f.BoolVar(&require, "require", false, "exit 1 where the answer brings no certificate")
	return c.withJSON(cmd)
}

// sessionBase is what the names of all files of a session begin with.
func sessionBase(session string) string {
	return strings.TrimSuffix(strings.TrimSuffix(session, ".json"), ".session")
}

// taken writes what an answer brings.
type taken struct {
	c                          *cli
	base, session              string
	certOut, chainOut, nextOut string
	keyOut, answersOut         string
	passphrase                 []byte // encrypts keys that the CA made; nil: not

	trust         []string // files
	anchors       [][]byte // of them
	updateAnchors bool

	crls map[string]string // the files that were written, by what is in them
}

// acceptReport is what --json prints.
type acceptReport struct {
	Status       string          `json:"status"` // issued, confirmed, refused (by the CA, or here), waiting, challenged, revoked, recovered, informed, nested, error
	Certificates []string        `json:"certificates,omitempty"`
	Keys         []string        `json:"keys,omitempty"` // that the CA made
	Chain        string          `json:"chain,omitempty"`
	Serials      []string        `json:"serials,omitempty"`
	FailInfo     string          `json:"fail_info,omitempty"`
	Text         string          `json:"text,omitempty"`
	CheckAfter   int64           `json:"check_after,omitempty"` // seconds
	Next         string          `json:"next,omitempty"`
	NextKind     string          `json:"next_kind,omitempty"`
	Changes      []string        `json:"changes,omitempty"` // how a certificate differs from what was asked
	Infos        []string        `json:"infos,omitempty"`   // types of a genp
	Files        []string        `json:"files,omitempty"`   // what a genp brought
	NewRoots     []newRootReport `json:"new_roots,omitempty"`
	// Answers are those of a genp that are no files, by type, in words.
	Answers map[string]string `json:"answers,omitempty"`
	// RevocationPassphrase says of one that was left: taken, or not taken.
	RevocationPassphrase string `json:"revocation_passphrase,omitempty"`
	Done                 bool   `json:"done"`

	Nested []nestedReport `json:"nested,omitempty"` // of a batch, in the order of its messages
}

func (t *taken) take(s *client.Session, answer []byte, cred client.Credentials) (got bool, err error) {
	r, err := s.Accept(answer, cred)
	if errors.Is(err, client.ErrRepeated) {
		// The step before may have ended between session and files.
		if len(s.Outgoing) > 0 {
			return false, hint(err, "what is to be sent is in the session and was written before; ask the CA again with the same file")
		}
		return false, err
	}
	var peer *client.PeerError
	if errors.As(err, &peer) {
		if s.Step != client.StepFailed {
			return false, hint(err, "--trust CA.crt lets the CA's signed errors be believed; --unprotected-errors believes anybody's")
		}
		if err := writeSession(t.session, s); err != nil {
			return false, err
		}
		rep := acceptReport{Status: "error", FailInfo: peer.FailInfo.String(), Text: strings.Join(peer.Text, "; "), Done: true}
		return false, t.report(rep, fmt.Sprintf("refused: %v", peer))
	}
	if errors.Is(err, cms.ErrOldEncryption) {
		return false, hint(err, "the CA speaks an old form of encryption; --old-encryption aes takes it, and 3des also its oldest cipher")
	}
	if err != nil {
		return false, err
	}
	rep := acceptReport{Done: r.Done, Status: "done"}
	var lines []string
	say := func(format string, a ...any) { lines = append(lines, fmt.Sprintf(format, a...)) }
	for i := range r.Certificates {
		if r.Kind == cmp.TypePKIConf && r.Certificates[i].Certificate != nil {
			got = true // written when it came
			continue
		}
		ok, err := t.certificate(r, i, &rep, say)
		if err != nil {
			return got, err
		}
		got = got || ok
	}
	for i := range r.Revocations {
		v := &r.Revocations[i]
		if v.Revoked() {
			rep.Status = "revoked"
			say("revoked: serial %x", v.Serial)
		} else {
			rep.Status, rep.FailInfo, rep.Text = "refused", v.Status.FailInfo.String(), strings.Join(v.Status.StatusString, "; ")
			say("refused: serial %x: %s (%s)", v.Serial, rep.Text, rep.FailInfo)
		}
	}
	if len(r.Nested) > 0 {
		if err := t.nested(s, r, &rep, say); err != nil {
			return got, err
		}
	}
	if r.Recovery != nil {
		ok, err := t.recovered(r.Recovery, &rep, say)
		if err != nil {
			return got, err
		}
		got = got || ok
	}
	roots, err := newRoots(r.Infos, t.anchors, cred.Now)
	if err != nil {
		return got, err
	}
	var told []string
	for _, root := range roots {
		if err := t.anchor(root, &rep, func(format string, a ...any) { told = append(told, fmt.Sprintf(format, a...)) }); err != nil {
			return got, err
		}
	}
	for _, info := range r.Infos {
		rep.Status = "informed"
		files, err := t.info(info)
		if err != nil {
			return got, err
		}
		name := cmp.InfoName(info.Type)
		rep.Infos = append(rep.Infos, name)
		for _, f := range files {
			say("%s: %s", name, f)
			rep.Files = append(rep.Files, f)
		}
		if len(files) == 0 {
			text, err := describeInfo(info)
			if err != nil {
				return got, err
			}
			say("%s: %s", name, text)
			if rep.Answers == nil {
				rep.Answers = map[string]string{}
			}
			rep.Answers[name] = text
		}
	}
	lines = append(lines, told...)
	if r.Passphrase != "" {
		rep.RevocationPassphrase = string(r.Passphrase)
		say("revocation passphrase: %s", r.Passphrase)
	}
	if r.Waiting != nil {
		rep.Status, rep.CheckAfter, rep.Text = "waiting", int64(r.Waiting.CheckAfter/time.Second), strings.Join(r.Waiting.Reason, "; ")
		say("waiting: ask again in %s %q", r.Waiting.CheckAfter, rep.Text)
	}
	if r.Kind == cmp.TypePOPDecC && len(r.Nested) == 0 {
		rep.Status = "challenged"
		say("the CA wants proof of possession; the response proves it")
	}
	if r.Kind == cmp.TypePKIConf && len(r.Nested) == 0 {
		if rep.Status == "refused" {
			say("the CA knows that the certificate was not accepted")
		} else {
			rep.Status = "confirmed"
			say("the CA has the confirmation")
		}
	}
	if r.Next != nil {
		rep.NextKind = r.NextKind.String()
		rep.Next = t.nextOut
		if rep.Next == "" {
			rep.Next = t.base + "." + rep.NextKind + ".pki"
		}
		say("carry %s to the CA", rep.Next)
	}
	// Certificates are there by now; the session before the message that it
	// remembers.
	if err := writeSession(t.session, s); err != nil {
		return got, err
	}
	if r.Next != nil {
		if err := replaceFile(rep.Next, r.Next, 0o644); err != nil {
			return got, err
		}
	}
	return got, t.report(rep, strings.Join(lines, "\n"))
}

func (t *taken) report(rep acceptReport, text string) error {
	if t.c.json {
		return t.c.printJSON(rep)
	}
	_, err := fmt.Fprintln(t.c.stdout, text)
	return err
}

// recovered writes the keys that came from the CA's archive, with their
// certificates.
func (t *taken) recovered(r *client.RecoveryResult, rep *acceptReport, say func(string, ...any)) (got bool, err error) {
	if r.Status.Status == cmp.Rejection {
		rep.Status, rep.FailInfo, rep.Text = "refused", r.Status.FailInfo.String(), strings.Join(r.Status.StatusString, "; ")
		say("refused: %q (%s)", rep.Text, rep.FailInfo)
		return false, nil
	}
	rep.Status = "recovered"
	for i, k := range r.Keys {
		if k.Err != nil {
			rep.Status, rep.Text = "refused", k.Err.Error()
			say("not accepted: %v", k.Err)
			continue
		}
		x, err := parseCertificate(k.Certificate)
		if err != nil {
			return got, err
		}
		keyPath, path := t.keyOut, t.certOut
		if i > 0 {
			keyPath, path = besides(keyPath, fmt.Sprintf("-%d%s", i, extension(keyPath))), besides(path, fmt.Sprintf("-%d%s", i, extension(path)))
		}
		if err := t.writeKey(keyPath, k.Key); err != nil {
			return got, err
		}
		if err := replaceFile(path, keyfile.MarshalCertificates(k.Certificate), 0o644); err != nil {
			return got, err
		}
		got = true
		rep.Keys, rep.Certificates = append(rep.Keys, keyPath), append(rep.Certificates, path)
		rep.Serials = append(rep.Serials, hex.EncodeToString(x.SerialNumber.Bytes()))
		say("key: %s", keyPath)
		say("  certificate  %s", path)
		say("  subject      %s", pkix.Name(x.RawSubject))
		say("  serial       %x", x.SerialNumber)
	}
	return got, nil
}

// certificate writes one certificate and its chain.
func (t *taken) certificate(r *client.Result, i int, rep *acceptReport, say func(string, ...any)) (bool, error) {
	cert := &r.Certificates[i]
	numbered := func(path string) string {
		if i == 0 {
			return path
		}
		return besides(path, fmt.Sprintf("-%d%s", i, extension(path)))
	}
	if cert.Certificate == nil {
		if cert.State == client.ItemWaiting || cert.State == client.ItemAsked {
			return false, nil
		}
		rep.Status, rep.FailInfo, rep.Text = "refused", cert.Status.FailInfo.String(), strings.Join(cert.Status.StatusString, "; ")
		if cert.Err != nil {
			rep.Text = cert.Err.Error()
			say("not accepted: %v", cert.Err)
			return false, nil
		}
		say("refused: %q (%s)", rep.Text, rep.FailInfo)
		return false, nil
	}
	x, err := parseCertificate(cert.Certificate)
	if err != nil {
		return false, err
	}
	keyPath := ""
	if cert.Key != nil {
		// The key first: what else there is can be had again.
		keyPath = numbered(t.keyOut)
		if err := t.writeKey(keyPath, cert.Key); err != nil {
			return false, err
		}
		rep.Keys = append(rep.Keys, keyPath)
	}
	path := numbered(t.certOut)
	if err := replaceFile(path, keyfile.MarshalCertificates(cert.Certificate), 0o644); err != nil {
		return false, err
	}
	chain := numbered(t.chainOut)
	if len(cert.Chain) > 0 {
		if err := replaceFile(chain, keyfile.MarshalCertificates(cert.Chain...), 0o644); err != nil {
			return false, err
		}
		rep.Chain = chain
	}
	rep.Status = "issued"
	rep.Certificates = append(rep.Certificates, path)
	rep.Serials = append(rep.Serials, hex.EncodeToString(x.SerialNumber.Bytes()))
	say("certificate: %s", path)
	say("  subject  %s", pkix.Name(x.RawSubject))
	say("  issuer   %s", pkix.Name(x.RawIssuer))
	say("  serial   %x", x.SerialNumber)
	say("  valid    %s to %s", x.NotBefore.Format(time.DateTime), x.NotAfter.Format(time.DateTime))
	if keyPath != "" {
		note := ""
		if t.passphrase == nil {
			note = "  (not encrypted; --passphrase-file would)"
		}
		say("  key      %s%s", keyPath, note)
	}
	if rep.Chain != "" {
		say("  chain    %s", chain)
	}
	if len(cert.Status.StatusString) > 0 {
		rep.Text = strings.Join(cert.Status.StatusString, "; ")
		say("  the CA says %q", rep.Text)
	}
	rep.Changes = append(rep.Changes, cert.Changes...)
	for _, m := range cert.Changes {
		say("  changed  %q", m)
	}
	return true, nil
}

// writeKey writes a private key, but not over another one.
func (t *taken) writeKey(path string, key crypto.PrivateKey) error {
	if old, err := readBounded(path, keyfile.MaxKeySize); err == nil {
		have, err := keyfile.ParsePrivateKey(old, t.passphrase)
		same, ok := key.(interface{ Equal(crypto.PrivateKey) bool })
		if err != nil || !ok || !same.Equal(have) {
			return usage("%s exists with another key and is not overwritten: move it away, or say --key-out", path)
		}
	}
	data, err := keyPEM(key, t.passphrase)
	if err != nil {
		return err
	}
	return replaceFile(path, data, 0o600)
}

func extension(path string) string {
	if i := strings.LastIndexByte(path, '.'); i > strings.LastIndexByte(path, '/') {
		return path[i:]
	}
	return ""
}
